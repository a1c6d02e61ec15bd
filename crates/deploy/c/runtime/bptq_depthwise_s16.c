/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Depthwise convolution, 16-bit activations. */
#include "bptq_math.h"
#include "bptq_weights.h"
#include "bptq_window.h"

/* A block of at most BPTQ_CHANNELS output channels; taps stand `step` weights apart. */
typedef struct {
    const int8_t *weights;
    int32_t step;
    int32_t first;
    int32_t count;
} channel_block;

static channel_block decode_block(const bptq_depthwise *op, int32_t first, int8_t *scratch)
{
    const int32_t taps = op->window.kernel_height * op->window.kernel_width;
    const int32_t channels = op->channels * op->multiplier;
    const int32_t count = channels - first < BPTQ_CHANNELS ? channels - first : BPTQ_CHANNELS;
    channel_block block = {scratch, count, first, count};
    if (op->weighted.storage == 8) {
        block.weights = bptq_decode(&op->weighted, first, count, scratch);
        block.step = channels;
    } else {
        for (int32_t tap = 0; tap < taps; tap++) {
            (void)bptq_decode(&op->weighted, tap * channels + first, count,
                              scratch + tap * count);
        }
    }
    return block;
}

/* Adds the products of one tap. A constant `count` lets the compiler unroll the loop. */
static inline void accumulate(int64_t *sums, const int16_t *x, const int8_t *w, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        sums[i] += (int32_t)x[i] * w[i];
    }
}

/* The same where several output channels share an input channel. */
static void accumulate_shared(const bptq_depthwise *op, const channel_block *block,
                              const int16_t *x, const int8_t *w, int64_t *sums)
{
    int32_t channel = block->first / op->multiplier;
    int32_t left = (channel + 1) * op->multiplier - block->first;
    for (int32_t i = 0; i < block->count; i++) {
        if (left == 0) {
            channel++;
            left = op->multiplier;
        }
        sums[i] += (int32_t)x[channel] * w[i];
        left--;
    }
}

static void pixel(const bptq_depthwise *op, const int16_t *input, const channel_block *block,
                  int32_t y, int32_t x, int64_t sums[BPTQ_CHANNELS])
{
    const bptq_window *window = &op->window;
    const int32_t top = y * window->stride_height - window->pad_height;
    const int32_t left = x * window->stride_width - window->pad_width;
    const bptq_taps rows = bptq_inner_taps(top, window->dilation_height, window->kernel_height,
                                           window->input_height);
    const bptq_taps columns = bptq_inner_taps(left, window->dilation_width, window->kernel_width,
                                              window->input_width);
    for (int32_t row = rows.first; row < rows.end; row++) {
        const int32_t line = (top + row * window->dilation_height) * window->input_width + left;
        for (int32_t column = columns.first; column < columns.end; column++) {
            const int32_t place = line + column * window->dilation_width;
            const int32_t tap = row * window->kernel_width + column;
            const int16_t *source = input + place * op->channels;
            const int8_t *w = block->weights + tap * block->step;
            if (op->multiplier != 1) {
                accumulate_shared(op, block, source, w, sums);
            } else if (block->count == BPTQ_CHANNELS) {
                accumulate(sums, source + block->first, w, BPTQ_CHANNELS);
            } else {
                accumulate(sums, source + block->first, w, block->count);
            }
        }
    }
}

void bptq_depthwise_s16(const bptq_depthwise *op, const int16_t *input, int16_t *output,
                        int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t channels = op->channels * op->multiplier;
    for (int32_t first = 0; first < channels; first += BPTQ_CHANNELS) {
        const channel_block block = decode_block(op, first, scratch);
        int16_t *out = output + first;
        for (int32_t y = 0; y < window->output_height; y++) {
            for (int32_t x = 0; x < window->output_width; x++) {
                int64_t sums[BPTQ_CHANNELS] = {0};
                pixel(op, input, &block, y, x, sums);
                for (int32_t i = 0; i < block.count; i++) {
                    out[i] = bptq_output_s16(&op->weighted, first + i, sums[i]);
                }
                out += channels;
            }
        }
    }
}

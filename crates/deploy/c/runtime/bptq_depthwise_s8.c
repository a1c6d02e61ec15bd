/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Depthwise convolution, 8-bit activations. */
#include <string.h>

#include "bptq_dot.h"
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

/* The taps of one output pixel that lie within the input, row by row, and where the first of them
 * is in the input and in the weights. Unsigned: what no tap uses may be any number. */
typedef struct {
    int32_t rows, columns;
    uint32_t place, tap;
    /* From a tap to the next one in its row. */
    uint32_t place_step, tap_step;
    /* From a row to the one below. */
    uint32_t place_row, tap_row;
} pixel_taps;

static pixel_taps find_taps(const bptq_depthwise *op, const channel_block *block, int32_t y,
                            int32_t x)
{
    const bptq_window *window = &op->window;
    const int32_t top = y * window->stride_height - window->pad_height;
    const int32_t left = x * window->stride_width - window->pad_width;
    const bptq_taps rows = bptq_inner_taps(top, window->dilation_height, window->kernel_height,
                                           window->input_height);
    const bptq_taps columns = bptq_inner_taps(left, window->dilation_width, window->kernel_width,
                                              window->input_width);
    const uint32_t channels = (uint32_t)op->channels;
    const uint32_t width = (uint32_t)window->input_width;
    const uint32_t row = (uint32_t)(top + rows.first * window->dilation_height);
    const uint32_t column = (uint32_t)(left + columns.first * window->dilation_width);
    const int32_t empty = rows.first == rows.end || columns.first == columns.end;
    pixel_taps taps;
    taps.rows = empty ? 0 : rows.end - rows.first;
    taps.columns = columns.end - columns.first;
    taps.place = (row * width + column) * channels;
    taps.place_step = (uint32_t)window->dilation_width * channels;
    taps.place_row = (uint32_t)window->dilation_height * width * channels;
    taps.tap_step = (uint32_t)block->step;
    taps.tap_row = (uint32_t)window->kernel_width * taps.tap_step;
    taps.tap = (uint32_t)rows.first * taps.tap_row + (uint32_t)columns.first * taps.tap_step;
    return taps;
}

/* The sums of `count` channels over all taps, whose weights begin at `w`. A constant `count` keeps
 * them in registers. */
static inline void accumulate(const pixel_taps *taps, const int8_t *x, const int8_t *w,
                              int32_t zero_point, int32_t *sums, int32_t count)
{
    int32_t kept[4] = {0};
    uint32_t place_row = taps->place;
    uint32_t tap_row = taps->tap;
    const uint32_t place_step = taps->place_step;
    const uint32_t tap_step = taps->tap_step;
    for (int32_t rows = taps->rows; rows > 0; rows--) {
        uint32_t place = place_row;
        uint32_t tap = tap_row;
        for (int32_t left = taps->columns; left > 0; left--) {
            for (int32_t i = 0; i < count; i++) {
                kept[i] += (x[place + (uint32_t)i] - zero_point) * w[tap + (uint32_t)i];
            }
            place += place_step;
            tap += tap_step;
        }
        place_row += taps->place_row;
        tap_row += taps->tap_row;
    }
    for (int32_t i = 0; i < count; i++) {
        sums[i] = kept[i];
    }
}

/* The same where several output channels share an input channel. */
static void accumulate_shared(const bptq_depthwise *op, const channel_block *block,
                              const int8_t *x, const int8_t *w, int32_t *sums)
{
    int32_t channel = block->first / op->multiplier;
    int32_t left = (channel + 1) * op->multiplier - block->first;
    for (int32_t i = 0; i < block->count; i++) {
        if (left == 0) {
            channel++;
            left = op->multiplier;
        }
        sums[i] += (x[channel] - op->weighted.input_zero_point) * w[i];
        left--;
    }
}

static void pixel(const bptq_depthwise *op, const int8_t *input, const channel_block *block,
                  int32_t y, int32_t x, int32_t sums[BPTQ_CHANNELS])
{
    const pixel_taps taps = find_taps(op, block, y, x);
    const int32_t zero_point = op->weighted.input_zero_point;
    if (op->multiplier == 1) {
        const int8_t *channels = input + block->first;
        int32_t i = 0;
        for (; i + 4 <= block->count; i += 4) {
            accumulate(&taps, channels + i, block->weights + i, zero_point, sums + i, 4);
        }
        for (; i < block->count; i++) {
            accumulate(&taps, channels + i, block->weights + i, zero_point, sums + i, 1);
        }
        return;
    }
    memset(sums, 0, BPTQ_CHANNELS * sizeof *sums);
    uint32_t place_row = taps.place;
    uint32_t tap_row = taps.tap;
    for (int32_t rows = taps.rows; rows > 0; rows--) {
        uint32_t place = place_row;
        uint32_t tap = tap_row;
        for (int32_t left = taps.columns; left > 0; left--) {
            accumulate_shared(op, block, input + place, block->weights + tap, sums);
            place += taps.place_step;
            tap += taps.tap_step;
        }
        place_row += taps.place_row;
        tap_row += taps.tap_row;
    }
}

void bptq_depthwise_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                       int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t channels = op->channels * op->multiplier;
    for (int32_t first = 0; first < channels; first += BPTQ_CHANNELS) {
        const channel_block block = decode_block(op, first, scratch);
        int8_t *out = output + first;
        for (int32_t y = 0; y < window->output_height; y++) {
            for (int32_t x = 0; x < window->output_width; x++) {
                int32_t sums[BPTQ_CHANNELS];
                pixel(op, input, &block, y, x, sums);
                bptq_finish_s8(&op->weighted, first, block.count, sums, out);
                out += channels;
            }
        }
    }
}

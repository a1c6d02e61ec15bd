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

/* The taps of one output pixel that lie within the input, and where the first of them does. */
typedef struct {
    bptq_taps rows, columns;
    const int8_t *input;
    const int8_t *weights;
    /* From a tap to the next one in its row. */
    int32_t input_step, weights_step;
    /* From a row to the one below. */
    int32_t input_row, weights_row;
} pixel_taps;

static pixel_taps find_taps(const bptq_depthwise *op, const int8_t *input,
                            const channel_block *block, int32_t y, int32_t x)
{
    const bptq_window *window = &op->window;
    const int32_t top = y * window->stride_height - window->pad_height;
    const int32_t left = x * window->stride_width - window->pad_width;
    pixel_taps taps;
    taps.rows = bptq_inner_taps(top, window->dilation_height, window->kernel_height,
                                window->input_height);
    taps.columns = bptq_inner_taps(left, window->dilation_width, window->kernel_width,
                                   window->input_width);
    const int32_t row = top + taps.rows.first * window->dilation_height;
    const int32_t column = left + taps.columns.first * window->dilation_width;
    taps.input = input + (row * window->input_width + column) * op->channels;
    taps.weights = block->weights +
                   (taps.rows.first * window->kernel_width + taps.columns.first) * block->step;
    taps.input_step = window->dilation_width * op->channels;
    taps.weights_step = block->step;
    taps.input_row = window->dilation_height * window->input_width * op->channels;
    taps.weights_row = window->kernel_width * block->step;
    return taps;
}

/* The sums of `count` channels over all taps. A constant `count` keeps them in registers. */
static inline void accumulate(const pixel_taps *taps, int32_t first, int32_t skipped,
                              int32_t zero_point, int32_t *sums, int32_t count)
{
    int32_t kept[4] = {0};
    const int8_t *x_row = taps->input + first;
    const int8_t *w_row = taps->weights + skipped;
    const int32_t input_step = taps->input_step;
    const int32_t weights_step = taps->weights_step;
    for (int32_t row = taps->rows.first; row < taps->rows.end; row++) {
        const int8_t *x = x_row;
        const int8_t *w = w_row;
        for (int32_t left = taps->columns.end - taps->columns.first; left > 0; left--) {
            for (int32_t i = 0; i < count; i++) {
                kept[i] += (x[i] - zero_point) * w[i];
            }
            x += input_step;
            w += weights_step;
        }
        x_row += taps->input_row;
        w_row += taps->weights_row;
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
    const pixel_taps taps = find_taps(op, input, block, y, x);
    const int32_t zero_point = op->weighted.input_zero_point;
    if (op->multiplier == 1) {
        int32_t i = 0;
        for (; i + 4 <= block->count; i += 4) {
            accumulate(&taps, block->first + i, i, zero_point, sums + i, 4);
        }
        for (; i < block->count; i++) {
            accumulate(&taps, block->first + i, i, zero_point, sums + i, 1);
        }
        return;
    }
    memset(sums, 0, BPTQ_CHANNELS * sizeof *sums);
    for (int32_t row = 0; row < taps.rows.end - taps.rows.first; row++) {
        for (int32_t column = 0; column < taps.columns.end - taps.columns.first; column++) {
            accumulate_shared(op, block,
                              taps.input + row * taps.input_row + column * taps.input_step,
                              taps.weights + row * taps.weights_row + column * taps.weights_step,
                              sums);
        }
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

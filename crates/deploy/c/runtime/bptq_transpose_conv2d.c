/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Transposed convolution: every output gathers the taps that meet an input. */
#include "bptq_dot.h"
#include "bptq_math.h"

/* The taps that meet an input, in one axis: how many there are, the first with the input that it
 * meets, and how both change from one to the next. */
typedef struct {
    int32_t count;
    int32_t tap;
    int32_t tap_step;
    int32_t input;
    int32_t input_step;
} meeting_taps;

/* One axis of a window, with its steps divided by what they have in common. */
typedef struct {
    int32_t extent;
    int32_t kernel;
    int32_t stride;
    int32_t dilation;
    int32_t pad;
    int32_t tap_step;
    int32_t input_step;
} window_axis;

static window_axis axis(int32_t extent, int32_t kernel, int32_t stride, int32_t dilation,
                        int32_t pad)
{
    int32_t common = stride;
    int32_t rest = dilation;
    while (rest != 0) {
        const int32_t next = common % rest;
        common = rest;
        rest = next;
    }
    const window_axis made = {extent, kernel,          stride,           dilation,
                              pad,    stride / common, dilation / common};
    return made;
}

static meeting_taps taps_of(const window_axis *axis, int32_t out)
{
    meeting_taps taps = {0, 0, axis->tap_step, 0, axis->input_step};
    int32_t position = out + axis->pad;
    for (int32_t tap = 0; tap < axis->kernel && position >= 0; tap++) {
        const int32_t input = position / axis->stride;
        if (input < axis->extent && input * axis->stride == position) {
            /* As many as the kernel and the inputs before this one have. */
            const int32_t in_kernel = (axis->kernel - 1 - tap) / taps.tap_step;
            const int32_t in_input = input / taps.input_step;
            taps.count = 1 + (in_kernel < in_input ? in_kernel : in_input);
            taps.tap = tap;
            taps.input = input;
            break;
        }
        position -= axis->dilation;
    }
    return taps;
}

/* The place in the input, in elements, and that in a filter of the tap at `i`, `j`. */
typedef struct {
    int32_t input;
    int32_t weight;
} places;

static inline places place_of(const bptq_transpose_conv2d *op, const meeting_taps *rows, int32_t i,
                              const meeting_taps *columns, int32_t j, int32_t depth)
{
    const int32_t row = rows->input - i * rows->input_step;
    const int32_t column = columns->input - j * columns->input_step;
    const int32_t tap_row = rows->tap + i * rows->tap_step;
    const int32_t tap_column = columns->tap + j * columns->tap_step;
    const places found = {
        (row * op->window.input_width + column) * op->input_channels,
        (tap_row * op->window.kernel_width + tap_column) * depth,
    };
    return found;
}

void bptq_transpose_conv2d_s8(const bptq_transpose_conv2d *op, const int8_t *input,
                              int8_t *output, int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t depth = op->input_channels / op->groups;
    const int32_t group_filters = op->output_channels / op->groups;
    const int32_t filter_length = window->kernel_height * window->kernel_width * depth;
    const window_axis vertical =
        axis(window->input_height, window->kernel_height, window->stride_height,
             window->dilation_height, window->pad_height);
    const window_axis horizontal =
        axis(window->input_width, window->kernel_width, window->stride_width,
             window->dilation_width, window->pad_width);
    for (int32_t group = 0; group < op->groups; group++) {
        const int8_t *in = input + group * depth;
        const int32_t end = (group + 1) * group_filters;
        int32_t first = group * group_filters;
        while (first < end) {
            const bptq_block block =
                bptq_filters(&op->weighted, first, end, filter_length, scratch);
            int8_t *out = output + first;
            for (int32_t y = 0; y < window->output_height; y++) {
                const meeting_taps rows = taps_of(&vertical, y);
                for (int32_t x = 0; x < window->output_width; x++) {
                    const meeting_taps columns = taps_of(&horizontal, x);
                    int32_t sums[BPTQ_FILTERS] = {0};
                    for (int32_t i = 0; i < rows.count; i++) {
                        for (int32_t j = 0; j < columns.count; j++) {
                            const places at = place_of(op, &rows, i, &columns, j, depth);
                            bptq_dot_s8(in + at.input, op->weighted.input_zero_point, &block,
                                        at.weight, depth, sums);
                        }
                    }
                    bptq_finish_s8(&op->weighted, first, block.count, sums, out);
                    out += op->output_channels;
                }
            }
            first += block.count;
        }
    }
}

void bptq_transpose_conv2d_s16(const bptq_transpose_conv2d *op, const int16_t *input,
                               int16_t *output, int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t depth = op->input_channels / op->groups;
    const int32_t group_filters = op->output_channels / op->groups;
    const int32_t filter_length = window->kernel_height * window->kernel_width * depth;
    const window_axis vertical =
        axis(window->input_height, window->kernel_height, window->stride_height,
             window->dilation_height, window->pad_height);
    const window_axis horizontal =
        axis(window->input_width, window->kernel_width, window->stride_width,
             window->dilation_width, window->pad_width);
    for (int32_t group = 0; group < op->groups; group++) {
        const int16_t *in = input + group * depth;
        const int32_t end = (group + 1) * group_filters;
        int32_t first = group * group_filters;
        while (first < end) {
            const bptq_block block =
                bptq_filters(&op->weighted, first, end, filter_length, scratch);
            int16_t *out = output + first;
            for (int32_t y = 0; y < window->output_height; y++) {
                const meeting_taps rows = taps_of(&vertical, y);
                for (int32_t x = 0; x < window->output_width; x++) {
                    const meeting_taps columns = taps_of(&horizontal, x);
                    int64_t sums[BPTQ_FILTERS] = {0};
                    for (int32_t i = 0; i < rows.count; i++) {
                        for (int32_t j = 0; j < columns.count; j++) {
                            const places at = place_of(op, &rows, i, &columns, j, depth);
                            bptq_dot_s16(in + at.input, &block, at.weight, depth, sums);
                        }
                    }
                    for (int32_t i = 0; i < block.count; i++) {
                        out[i] = bptq_output_s16(&op->weighted, first + i, sums[i]);
                    }
                    out += op->output_channels;
                }
            }
            first += block.count;
        }
    }
}

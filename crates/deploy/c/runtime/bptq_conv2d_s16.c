/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Convolution, 16-bit activations. */
#include "bptq_dot.h"
#include "bptq_math.h"
#include "bptq_window.h"

/* One output pixel of a block of filters. Where the taps of a kernel row are neighbours in the
 * input, the row is one run. */
static void pixel(const bptq_conv2d *op, const int16_t *input, const bptq_block *block, int32_t y,
                  int32_t x, int64_t sums[BPTQ_FILTERS])
{
    const bptq_window *window = &op->window;
    const int32_t depth = op->groups == 1 ? op->input_channels : op->input_channels / op->groups;
    const int32_t top = y * window->stride_height - window->pad_height;
    const int32_t left = x * window->stride_width - window->pad_width;
    const bptq_taps rows = bptq_inner_taps(top, window->dilation_height, window->kernel_height,
                                           window->input_height);
    const bptq_taps columns = bptq_inner_taps(left, window->dilation_width, window->kernel_width,
                                              window->input_width);
    const int32_t joined = op->groups == 1 && window->dilation_width == 1;
    const int32_t run = joined ? columns.end - columns.first : 1;
    for (int32_t row = rows.first; row < rows.end; row++) {
        const int32_t line = (top + row * window->dilation_height) * window->input_width + left;
        for (int32_t column = columns.first; column < columns.end; column += run) {
            const int32_t place = line + column * window->dilation_width;
            const int32_t tap = row * window->kernel_width + column;
            bptq_dot_s16(input + place * op->input_channels, block, tap * depth, run * depth,
                         sums);
        }
    }
}

void bptq_conv2d_s16(const bptq_conv2d *op, const int16_t *input, int16_t *output,
                     int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t depth = op->input_channels / op->groups;
    const int32_t group_filters = op->output_channels / op->groups;
    const int32_t filter_length = window->kernel_height * window->kernel_width * depth;
    for (int32_t group = 0; group < op->groups; group++) {
        const int32_t end = (group + 1) * group_filters;
        int32_t first = group * group_filters;
        while (first < end) {
            const bptq_block block =
                bptq_filters(&op->weighted, first, end, filter_length, scratch);
            int16_t *out = output + first;
            for (int32_t y = 0; y < window->output_height; y++) {
                for (int32_t x = 0; x < window->output_width; x++) {
                    int64_t sums[BPTQ_FILTERS] = {0};
                    pixel(op, input + group * depth, &block, y, x, sums);
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

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Depthwise convolution of 3x3, 8-bit activations: sixteen channels at a time. */
#include "bptq_quad_depthwise.h"

static void depthwise(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                      int8_t *scratch, void (*outputs)(bptq_quad_line *line))
{
    const bptq_window *window = &op->window;
    const int32_t channels = op->channels;
    const int32_t stride = window->stride_width;
    const int32_t pitch = window->input_width * channels;
    const int32_t last_top = window->input_height - 3;
    const int32_t last_left = window->input_width - 3;
    const int32_t blocks = bptq_quad_padded(channels);
    bptq_quad_line line = {{NULL},
                           (const uint32_t *)op->weighted.weights,
                           output,
                           op->weighted.output_zero_point,
                           channels,
                           1,
                           stride * channels - blocks,
                           channels - blocks};
    bptq_quad_fill(op->weighted.input_zero_point, channels, scratch);
    for (int32_t y = 0; y < window->output_height; y++) {
        const int32_t top = y * window->stride_height - window->pad_height;
        for (int32_t x = 0; x < window->output_width; x += line.pixels) {
            const int32_t left = x * stride - window->pad_width;
            const int8_t **tap = line.taps;
            line.pixels = 1;
            if (top >= 0 && top <= last_top && left >= 0 && left <= last_left) {
                /* As many windows as lie within the input. */
                const int32_t inner = (last_left - left) / stride + 1;
                const int32_t outer = window->output_width - x;
                const int8_t *row = input + top * pitch + left * channels;
                line.pixels = inner < outer ? inner : outer;
                for (int32_t i = 0; i < 3; i++) {
                    tap[0] = row;
                    tap[1] = row + channels;
                    tap[2] = row + 2 * channels;
                    tap += 3;
                    row += pitch;
                }
            } else {
                for (int32_t i = top; i < top + 3; i++) {
                    const int32_t width =
                        (uint32_t)i < (uint32_t)window->input_height ? window->input_width : 0;
                    for (int32_t j = left; j < left + 3; j++) {
                        const int32_t inside = (uint32_t)j < (uint32_t)width;
                        *tap++ = inside ? input + i * pitch + j * channels : scratch;
                    }
                }
            }
            const int32_t pixels = line.pixels;
            outputs(&line);
            line.pixels = pixels;
            line.output += pixels * channels;
        }
    }
}

void bptq_quad_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch)
{
    const int32_t relu = op->weighted.output_zero_point == -128;
    depthwise(op, input, output, scratch, relu ? bptq_quad_line_w8_relu : bptq_quad_line_w8);
}

void bptq_quad_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch)
{
    const int32_t relu = op->weighted.output_zero_point == -128;
    depthwise(op, input, output, scratch, relu ? bptq_quad_line_w4_relu : bptq_quad_line_w4);
}

void bptq_quad_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch)
{
    const int32_t relu = op->weighted.output_zero_point == -128;
    depthwise(op, input, output, scratch, relu ? bptq_quad_line_w2_relu : bptq_quad_line_w2);
}

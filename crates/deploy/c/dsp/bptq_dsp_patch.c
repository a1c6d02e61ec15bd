/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Inputs of a convolution, gathered as 16-bit elements less the zero point. */
#include "bptq_dsp_patch.h"
#include "bptq_window.h"

BPTQ_INLINE void store(void *to, uint32_t word)
{
    memcpy(to, &word, sizeof word);
}

int16_t *bptq_dsp_expand(const int8_t *input, int32_t count, int32_t zero_point, int16_t *out)
{
    const uint32_t offset = bptq_twice(-zero_point);
    for (; count >= 4; count -= 4) {
        const uint32_t bytes = bptq_load(input);
        const uint32_t even = bptq_add_even_bytes(offset, bytes);
        const uint32_t odd = bptq_add_odd_bytes(offset, bytes);
        store(out, bptq_low_halves(even, odd));
        store(out + 2, bptq_high_halves(even, odd));
        input += 4;
        out += 4;
    }
    for (; count > 0; count--) {
        *out++ = (int16_t)(*input++ - zero_point);
    }
    return out;
}

static int16_t *zeros(int32_t count, int16_t *out)
{
    memset(out, 0, (size_t)count * sizeof *out);
    return out + count;
}

void bptq_dsp_gather(const bptq_conv2d *op, const int8_t *input, int32_t y, int32_t x,
                     int32_t length, int16_t *patch)
{
    const bptq_window *window = &op->window;
    const int32_t zero_point = op->weighted.input_zero_point;
    const int32_t depth = op->groups == 1 ? op->input_channels : op->input_channels / op->groups;
    const int32_t top = y * window->stride_height - window->pad_height;
    const int32_t left = x * window->stride_width - window->pad_width;
    const bptq_taps rows = bptq_inner_taps(top, window->dilation_height, window->kernel_height,
                                           window->input_height);
    const bptq_taps columns = bptq_inner_taps(left, window->dilation_width, window->kernel_width,
                                              window->input_width);
    const int32_t joined = op->groups == 1 && window->dilation_width == 1;
    const int32_t before = columns.first * depth;
    const int32_t after = (window->kernel_width - columns.end) * depth;
    const int32_t row_length = window->kernel_width * depth;
    const int16_t *end = patch + length;
    int16_t *out = patch;
    if (rows.first > 0) {
        out = zeros(rows.first * row_length, out);
    }
    for (int32_t row = rows.first; row < rows.end; row++) {
        const int32_t line = (top + row * window->dilation_height) * window->input_width + left;
        if (before > 0) {
            out = zeros(before, out);
        }
        if (joined) {
            out = bptq_dsp_expand(input + (line + columns.first) * op->input_channels,
                                  (columns.end - columns.first) * depth, zero_point, out);
        } else {
            for (int32_t column = columns.first; column < columns.end; column++) {
                const int32_t place = line + column * window->dilation_width;
                out = bptq_dsp_expand(input + place * op->input_channels, depth, zero_point, out);
            }
        }
        if (after > 0) {
            out = zeros(after, out);
        }
    }
    if (out != end) {
        zeros((int32_t)(end - out), out);
    }
}

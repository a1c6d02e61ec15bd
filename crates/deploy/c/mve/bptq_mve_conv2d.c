/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Convolution, 8-bit activations: two filters over two output pixels at a time. */
#include "bptq_mve_dot.h"
#include "bptq_window.h"

/* What the window at (y, x) covers of one group of channels, up to `length` elements, with the zero
 * point for the padding. */
static void gather(const bptq_conv2d *op, const int8_t *input, int32_t y, int32_t x,
                   int32_t length, int8_t *patch)
{
    const bptq_window *window = &op->window;
    const int32_t zero_point = op->weighted.input_zero_point;
    const int32_t depth = op->groups == 1 ? op->input_channels : op->input_channels / op->groups;
    const int32_t top = y * window->stride_height - window->pad_height;
    const int32_t left = x * window->stride_width - window->pad_width;
    if (op->groups == 1 && window->dilation_height == 1 && window->dilation_width == 1 &&
        top >= 0 && top + window->kernel_height <= window->input_height && left >= 0 &&
        left + window->kernel_width <= window->input_width) {
        const int32_t row_length = window->kernel_width * depth;
        const int32_t step = window->input_width * depth;
        const int8_t *from = input + top * step + left * depth;
        int8_t *to = patch;
        for (int32_t row = window->kernel_height; row > 0; row--) {
            to = bptq_mve_copy(from, row_length, to);
            from += step;
        }
        (void)bptq_mve_fill(zero_point, (int32_t)(patch + length - to), to);
        return;
    }
    const bptq_taps rows = bptq_inner_taps(top, window->dilation_height, window->kernel_height,
                                           window->input_height);
    const bptq_taps columns = bptq_inner_taps(left, window->dilation_width, window->kernel_width,
                                              window->input_width);
    const int32_t joined = op->groups == 1 && window->dilation_width == 1;
    const int32_t before = columns.first * depth;
    const int32_t after = (window->kernel_width - columns.end) * depth;
    int8_t *out = bptq_mve_fill(zero_point, rows.first * window->kernel_width * depth, patch);
    for (int32_t row = rows.first; row < rows.end; row++) {
        const int32_t line = (top + row * window->dilation_height) * window->input_width + left;
        out = bptq_mve_fill(zero_point, before, out);
        if (joined) {
            out = bptq_mve_copy(input + (line + columns.first) * op->input_channels,
                                (columns.end - columns.first) * depth, out);
        } else {
            for (int32_t column = columns.first; column < columns.end; column++) {
                const int32_t place = line + column * window->dilation_width;
                out = bptq_mve_copy(input + place * op->input_channels, depth, out);
            }
        }
        out = bptq_mve_fill(zero_point, after, out);
    }
    (void)bptq_mve_fill(zero_point, (int32_t)(patch + length - out), out);
}

/* Where the outputs of two pixels go, and their inputs. */
typedef struct {
    int8_t *out0;
    int8_t *out1;
    const int8_t *patch0;
    const int8_t *patch1;
} pixels;

/* The outputs of one group of filters. */
BPTQ_INLINE void filters(int32_t bits, const bptq_weighted *weighted, const int8_t *weights,
                         int32_t first, int32_t end, int32_t length, pixels at)
{
    const int32_t bytes = length / (8 / bits);
    int32_t sums0[BPTQ_MVE_CHANNELS];
    int32_t sums1[BPTQ_MVE_CHANNELS];
    while (first < end) {
        const int32_t count = end - first < BPTQ_MVE_CHANNELS ? end - first : BPTQ_MVE_CHANNELS;
        for (int32_t i = 0; i < count; i += 2) {
            /* The last of an odd number of filters is computed twice. */
            const int8_t *second = i + 1 < count ? weights + bytes : weights;
            bptq_mve_dot(bits, weights, second, at.patch0, at.patch1, length, sums0 + i,
                         sums1 + i);
            weights += 2 * bytes;
        }
        bptq_mve_finish(weighted, first, count, sums0, at.out0);
        bptq_mve_finish(weighted, first, count, sums1, at.out1);
        at.out0 += count;
        at.out1 += count;
        first += count;
    }
}

BPTQ_INLINE void conv2d(int32_t bits, const bptq_conv2d *op, const int8_t *input, int8_t *output,
                        int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t depth = op->input_channels / op->groups;
    const int32_t group_filters = op->output_channels / op->groups;
    const int32_t unit = BPTQ_MVE_UNIT(bits);
    const int32_t taps = window->kernel_height * window->kernel_width * depth;
    const int32_t length = (taps + unit - 1) / unit * unit;
    const int32_t count = window->output_height * window->output_width;
    const int8_t *weights = (const int8_t *)op->weighted.weights;
    /* Where a window is one pixel and pixels follow each other, the input is read in place. */
    const int32_t in_place = length == op->input_channels && bptq_is_pointwise(op);
    for (int32_t group = 0; group < op->groups; group++) {
        const int8_t *plane = input + group * depth;
        int32_t y = 0;
        int32_t x = 0;
        for (int32_t pixel = 0; pixel < count; pixel += 2) {
            const int32_t both = pixel + 1 < count;
            int8_t *out = output + pixel * op->output_channels + group * group_filters;
            pixels at = {out, out + op->output_channels, scratch, scratch + length};
            if (in_place) {
                at.patch0 = input + pixel * length;
                at.patch1 = at.patch0 + length;
            } else {
                gather(op, plane, y, x, length, scratch);
                if (++x == window->output_width) {
                    x = 0;
                    y++;
                }
                if (both) {
                    gather(op, plane, y, x, length, scratch + length);
                    if (++x == window->output_width) {
                        x = 0;
                        y++;
                    }
                }
            }
            if (!both) {
                /* The last of an odd number of pixels is computed twice. */
                at.out1 = at.out0;
                at.patch1 = at.patch0;
            }
            filters(bits, &op->weighted,
                    weights + group * group_filters * (length / (8 / bits)), group * group_filters,
                    (group + 1) * group_filters, length, at);
        }
    }
}

void bptq_mve_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    conv2d(8, op, input, output, scratch);
}

void bptq_mve_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    conv2d(4, op, input, output, scratch);
}

void bptq_mve_conv2d_w2_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    conv2d(2, op, input, output, scratch);
}

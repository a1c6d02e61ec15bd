/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Convolution, 8-bit activations: four channels of two pixels at a time. */
#include "bptq_quad_sums.h"
#include "bptq_window.h"

/* Where the next window is. */
typedef struct {
    int32_t x;
    int32_t left;
    int32_t top;
} place;

/* What all windows of a layer have in common. */
typedef struct {
    const bptq_conv2d *op;
    const int8_t *input;
    /* Bytes of a row of a window, and of one of the input. */
    int32_t row_bytes;
    int32_t pitch;
    /* The last place at which a window lies within the input. */
    int32_t last_top;
    int32_t last_left;
} source;

/* A window that reaches over an edge, with the padding. */
static void gather_edge(const source *from, place at, int8_t *to)
{
    const bptq_window *window = &from->op->window;
    const int32_t zero_point = from->op->weighted.input_zero_point;
    const int32_t channels = from->op->input_channels;
    const bptq_taps columns =
        bptq_inner_taps(at.left, 1, window->kernel_width, window->input_width);
    const int32_t before = columns.first * channels;
    const int32_t end = columns.end * channels;
    for (int32_t i = 0; i < window->kernel_height; i++) {
        const int32_t row = at.top + i;
        if (row >= 0 && row < window->input_height) {
            const int8_t *in = from->input + row * from->pitch + at.left * channels;
            bptq_quad_fill(zero_point, before, to);
            bptq_quad_copy(in + before, end - before, to + before);
            bptq_quad_fill(zero_point, from->row_bytes - end, to + end);
        } else {
            bptq_quad_fill(zero_point, from->row_bytes, to);
        }
        to += from->row_bytes;
    }
}

static void gather(const source *from, place at, int8_t *to)
{
    /* Negative where the window reaches over an edge. */
    const int32_t outside =
        at.top | at.left | (from->last_top - at.top) | (from->last_left - at.left);
    if (outside < 0) {
        gather_edge(from, at, to);
        return;
    }
    const int8_t *in =
        from->input + at.top * from->pitch + at.left * from->op->input_channels;
    for (int32_t rows = from->op->window.kernel_height; rows > 0; rows--) {
        bptq_quad_copy(in, from->row_bytes, to);
        in += from->pitch;
        to += from->row_bytes;
    }
}

static place next(const bptq_window *window, place at)
{
    at.x++;
    at.left += window->stride_width;
    if (at.x == window->output_width) {
        at.x = 0;
        at.left = -window->pad_width;
        at.top += window->stride_height;
    }
    return at;
}

BPTQ_INLINE void conv2d(int32_t bits, const bptq_conv2d *op, const int8_t *input, int8_t *output,
                        int8_t *scratch, bptq_quad_functions functions)
{
    const bptq_window *window = &op->window;
    const uint32_t *constants = (const uint32_t *)op->weighted.weights;
    const int32_t row_bytes = window->kernel_width * op->input_channels;
    const int32_t length = bptq_quad_padded(window->kernel_height * row_bytes);
    const int32_t step = op->output_channels;
    const source from = {op,
                         input,
                         row_bytes,
                         window->input_width * op->input_channels,
                         window->input_height - window->kernel_height,
                         window->input_width - window->kernel_width};
    const int32_t in_place = length == op->input_channels && bptq_is_pointwise(op);
    place at = {0, -window->pad_width, -window->pad_height};
    bptq_quad_pixels pixels = {{scratch, scratch + length},
                               op->weighted.output_zero_point,
                               constants + step * bptq_quad_words(bits, length) / 4,
                               NULL,
                               {output, output + step},
                               {0, 0}};
    for (int32_t left = window->output_height * window->output_width; left > 0; left -= 2) {
        if (in_place) {
            pixels.x[0] = input;
            pixels.x[1] = input + length;
            input += 2 * length;
        } else {
            gather(&from, at, scratch);
            at = next(window, at);
            if (left > 1) {
                gather(&from, at, scratch + length);
                at = next(window, at);
            }
        }
        bptq_quad_run(bits, &functions, constants, &pixels, length, left);
        pixels.output[0] += 2 * step;
        pixels.output[1] += 2 * step;
    }
}

void bptq_quad_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch)
{
    conv2d(8, op, input, output, scratch, BPTQ_QUAD_CHOSEN(bptq_quad_w8, &op->weighted));
}

void bptq_quad_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch)
{
    conv2d(4, op, input, output, scratch, BPTQ_QUAD_CHOSEN(bptq_quad_w4, &op->weighted));
}

void bptq_quad_conv2d_w2_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch)
{
    conv2d(2, op, input, output, scratch, BPTQ_QUAD_CHOSEN(bptq_quad_w2, &op->weighted));
}

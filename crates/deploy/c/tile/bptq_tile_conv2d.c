/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Convolution, 8-bit activations, in tiles of four pixels. */
#include "bptq_tile_gather.h"
#include "bptq_tile_sums.h"
#include "bptq_window.h"

/* Where the next window is, and the first one of its row. */
typedef struct {
    int32_t x;
    int32_t left;
    int32_t top;
} place;

/* What all windows of a layer have in common. */
typedef struct {
    const bptq_conv2d *op;
    const int8_t *input;
    bptq_tile_window window;
    /* The last place at which a window lies within the input. */
    int32_t last_top;
    int32_t last_left;
    /* For a window that does not. */
    int8_t *patch;
} source;

/* A window with the padding around it, as rows without gaps. */
static void fill_patch(const source *from, place at)
{
    const bptq_window *window = &from->op->window;
    const int32_t zero_point = from->op->weighted.input_zero_point;
    const int32_t channels = from->op->input_channels;
    const int32_t row_bytes = window->kernel_width * channels;
    const bptq_taps columns =
        bptq_inner_taps(at.left, 1, window->kernel_width, window->input_width);
    const int32_t before = columns.first * channels;
    const int32_t inside = (columns.end - columns.first) * channels;
    int8_t *to = from->patch;
    memset(to, zero_point, (size_t)(window->kernel_height * row_bytes));
    for (int32_t i = 0; i < window->kernel_height; i++) {
        const int32_t row = at.top + i;
        if (row >= 0 && row < window->input_height) {
            const int32_t column = row * window->input_width + at.left + columns.first;
            memcpy(to + before, from->input + column * channels, (size_t)inside);
        }
        to += row_bytes;
    }
}

/* A window that reaches over the edge of an input of a multiple of 4 channels. */
static void gather_edge(const source *from, place at, bptq_pair *x, int32_t pixels)
{
    const bptq_window *window = &from->op->window;
    const int32_t channels = from->op->input_channels;
    const uint32_t padding = bptq_twice(from->op->weighted.input_zero_point);
    for (int32_t i = 0; i < window->kernel_height; i++) {
        const int32_t row = at.top + i;
        const int32_t width =
            (uint32_t)row < (uint32_t)window->input_height ? window->input_width : 0;
        int32_t column = at.left;
        for (int32_t j = window->kernel_width; j > 0; j--, column++) {
            int32_t left = channels;
            if ((uint32_t)column < (uint32_t)width) {
                const int8_t *in = from->input + (row * window->input_width + column) * channels;
                for (; left != 0; left -= 4) {
                    const uint32_t word = bptq_load(in);
                    x[0] = bptq_even_bytes(word);
                    x[pixels] = bptq_odd_bytes(word);
                    x += 2 * pixels;
                    in += 4;
                }
            } else {
                for (; left != 0; left -= 4) {
                    x[0] = padding;
                    x[pixels] = padding;
                    x += 2 * pixels;
                }
            }
        }
    }
}

/* One of `pixels` windows. */
static void gather(const source *from, place at, bptq_pair *x, int32_t pixels)
{
    const bptq_window *window = &from->op->window;
    if (at.top >= 0 && at.top <= from->last_top && at.left >= 0 && at.left <= from->last_left) {
        const int32_t column = at.top * window->input_width + at.left;
        bptq_tile_gather_1(from->input + column * from->op->input_channels, &from->window, x,
                           pixels);
    } else if ((from->op->input_channels & 3) == 0) {
        gather_edge(from, at, x, pixels);
    } else {
        bptq_tile_window patch = from->window;
        patch.pitch = patch.full + patch.rest;
        fill_patch(from, at);
        bptq_tile_gather_1(from->patch, &patch, x, pixels);
    }
}

/* What is left of the rows of four windows, each of which has `pitch` bytes. */
static void gather_rest(const bptq_tile_window *window, const int8_t *const *windows, bptq_pair *x)
{
    const int32_t pitch = window->pitch;
    const int32_t full = window->full;
    if (window->rows == 3 && window->rest == 1) {
        /* A kernel of 3x3 over three channels, or one. */
        for (int32_t i = 0; i < 4; i++) {
            const int8_t *at = windows[i] + full;
            x[i] = bptq_low_halves((uint32_t)(int32_t)at[0], (uint32_t)(int32_t)at[pitch]);
            x[i + 4] = (uint32_t)(int32_t)at[2 * pitch] & 0xFFFFU;
        }
        return;
    }
    const bptq_tile_window rest = {window->rows, 0, window->rest, pitch};
    for (int32_t i = 0; i < 4; i++) {
        bptq_tile_gather_1(windows[i] + full, &rest, x + i, 4);
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

/* The windows of four pixels from `at` on; returns the place after them. */
static place gather_tile(const source *from, place at, bptq_pair *x)
{
    const bptq_window *window = &from->op->window;
    const int32_t last = at.left + 3 * window->stride_width;
    /* Negative where one of them is: no window reaches over an edge, or into the next row. */
    const int32_t outside = at.top | at.left | (from->last_top - at.top) |
                            (from->last_left - last) | (window->output_width - 4 - at.x);
    if (outside < 0) {
        for (int32_t i = 0; i < 4; i++) {
            gather(from, at, x + i, 4);
            at = next(window, at);
        }
        return at;
    }
    const int32_t channels = from->op->input_channels;
    const int32_t step = window->stride_width * channels;
    const int8_t *first = from->input + (at.top * window->input_width + at.left) * channels;
    const int8_t *const windows[4] = {first, first + step, first + 2 * step, first + 3 * step};
    if (from->window.full != 0) {
        const int32_t gap[2] = {from->window.full, from->window.pitch - from->window.full};
        x = bptq_tile_gather_4(windows, x, from->window.rows, gap);
    }
    if (from->window.rest != 0) {
        gather_rest(&from->window, windows, x);
    }
    at.x += 3;
    at.left = last;
    return next(window, at);
}

typedef void tile_function(const bptq_pair *x, const uint32_t *constants, int8_t *output,
                           const bptq_tile *tile);

BPTQ_INLINE void conv2d(int32_t bits, const bptq_conv2d *op, const int8_t *input, int8_t *output,
                        int8_t *scratch, tile_function *four, tile_function *two)
{
    const bptq_window *window = &op->window;
    const int32_t channels = op->input_channels;
    const int32_t row_bytes = window->kernel_width * channels;
    const uint32_t *constants = (const uint32_t *)op->weighted.weights;
    source from = {op,
                   input,
                   {window->kernel_height, row_bytes & ~3, row_bytes & 3,
                    window->input_width * channels},
                   window->input_height - window->kernel_height,
                   window->input_width - window->kernel_width,
                   NULL};
    const int32_t pairs = bptq_tile_length(&from.window) / 2;
    bptq_pair *x = (bptq_pair *)(void *)scratch;
    bptq_tile tile = {x + 4 * pairs, constants, op->output_channels, pairs};
    tile.end += op->output_channels / 2 * (bits == 8 ? 6 + pairs : 6 + pairs / 2);
    from.patch = (int8_t *)(void *)(x + 4 * pairs + 4);
    /* Pixels that follow each other as they are. */
    const int32_t plain = bptq_is_pointwise(op) && (channels & 3) == 0;
    int32_t count = window->output_height * window->output_width;
    place at = {0, -window->pad_width, -window->pad_height};
    for (; count >= 4; count -= 4) {
        if (plain) {
            bptq_tile_gather_pixels(from.input, channels, x);
            from.input += 4 * channels;
        } else {
            at = gather_tile(&from, at, x);
        }
        if (bits != 8) {
            bptq_tile_sums_4(x, x + 4 * pairs);
        }
        four(x, constants, output, &tile);
        output += 4 * op->output_channels;
    }
    tile.x_end = x + 2 * pairs;
    for (; count > 0; count -= 2) {
        const int32_t pixels = count > 1 ? 2 : 1;
        for (int32_t i = 0; i < pixels; i++) {
            if (plain) {
                const bptq_tile_window pixel = {1, channels, 0, 0};
                bptq_tile_gather_1(from.input, &pixel, x + i, 2);
                from.input += channels;
            } else {
                gather(&from, at, x + i, 2);
                at = next(window, at);
            }
        }
        if (pixels == 1) {
            /* The tile's second pixel is any, and the first one is written over it. */
            tile.pitch = 0;
        }
        if (bits != 8) {
            bptq_tile_sums_2(x, x + 2 * pairs);
        }
        two(x, constants, output, &tile);
        output += 2 * op->output_channels;
    }
}

void bptq_tile_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch)
{
    const int32_t relu = op->weighted.output_zero_point == -128;
    conv2d(8, op, input, output, scratch, relu ? bptq_tile_w8_relu : bptq_tile_w8,
           relu ? bptq_tile_w8_2_relu : bptq_tile_w8_2);
}

void bptq_tile_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch)
{
    const int32_t relu = op->weighted.output_zero_point == -128;
    conv2d(4, op, input, output, scratch, relu ? bptq_tile_w4_relu : bptq_tile_w4,
           relu ? bptq_tile_w4_2_relu : bptq_tile_w4_2);
}

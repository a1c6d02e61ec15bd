/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Windows of an input, gathered for tiles. */
#include "bptq_scalar_gather.h"
#include "bptq_window.h"

bptq_scalar_windows bptq_scalar_windows_of(const bptq_conv2d *op, const int8_t *input)
{
    const bptq_window *window = &op->window;
    const int32_t columns = window->output_height * window->output_width;
    /* Where windows are columns, they follow each other in one row. */
    const int32_t pointwise = bptq_is_pointwise(op);
    bptq_scalar_windows windows = {input,
                                   pointwise ? 1 : window->input_height,
                                   pointwise ? columns : window->input_width,
                                   op->input_channels,
                                   window->kernel_height,
                                   window->kernel_width,
                                   window->stride_height,
                                   window->stride_width,
                                   window->pad_width,
                                   pointwise ? columns : window->output_width,
                                   op->weighted.input_zero_point,
                                   0,
                                   -window->pad_height,
                                   -window->pad_width};
    return windows;
}

static void advance(bptq_scalar_windows *from, int32_t windows)
{
    from->number += windows;
    from->left += windows * from->stride_width;
    if (from->number == from->output_width) {
        from->number = 0;
        from->left = -from->pad_width;
        from->top += from->stride_height;
    }
}

/* Whether so many windows are in one row, and within the input. */
static int32_t are_inside(const bptq_scalar_windows *from, int32_t windows)
{
    const int32_t last = from->left + (windows - 1) * from->stride_width;
    /* Negative where one of them is. */
    return (from->top | from->left | (from->height - from->kernel_height - from->top) |
            (from->width - from->kernel_width - last) |
            (from->output_width - windows - from->number)) >= 0;
}

/* Where the elements of one window go: to every `pixels`th byte; or into every so many words of two
 * windows, the second one `second` to the first. */
typedef struct {
    int8_t *bytes;
    bptq_scalar_word *words;
    int32_t second;
    int32_t pixels;
} target;

/* `count` elements, `step` apart. */
static void put(target *to, const int8_t *at, int32_t step, int32_t count)
{
    const int32_t pixels = to->pixels;
    if (to->words == NULL) {
        int8_t *x = to->bytes;
        for (; count > 0; count--) {
            *x = *at;
            x += pixels;
            at += step;
        }
        to->bytes = x;
        return;
    }
    bptq_scalar_word *x = to->words;
    if (to->second == 0) {
        for (; count > 0; count--) {
            const uint32_t element = (uint32_t)(int32_t)*at;
            *x = element;
            x += pixels;
            at += step;
        }
    } else {
        for (; count > 0; count--) {
            *x += (uint32_t)(int32_t)*at << 16;
            x += pixels;
            at += step;
        }
    }
    to->words = x;
}

/* The next window, with the padding around it. */
static void gather(bptq_scalar_windows *from, target to)
{
    const int8_t padding = (int8_t)from->zero_point;
    const int32_t channels = from->channels;
    const bptq_taps columns = bptq_inner_taps(from->left, 1, from->kernel_width, from->width);
    for (int32_t i = 0; i < from->kernel_height; i++) {
        const int32_t row = from->top + i;
        const int32_t inside = (uint32_t)row < (uint32_t)from->height;
        const int32_t first = inside ? columns.first : from->kernel_width;
        const int32_t end = inside ? columns.end : from->kernel_width;
        put(&to, &padding, 0, first * channels);
        if (first != end) {
            const int32_t column = row * from->width + from->left + first;
            put(&to, from->input + column * channels, 1, (end - first) * channels);
        }
        put(&to, &padding, 0, (from->kernel_width - end) * channels);
    }
    advance(from, 1);
}

/* Rows of four windows at once, or two. */
static void rows_of_bytes_4(const bptq_scalar_windows *from, const int8_t *a, int8_t *x)
{
    const int32_t next = from->stride_width * from->channels;
    const int32_t count = from->kernel_width * from->channels;
    const int32_t gap = from->width * from->channels - count;
    const int8_t *b = a + next;
    const int8_t *c = b + next;
    const int8_t *d = c + next;
    for (int32_t rows = from->kernel_height; rows > 0; rows--) {
        for (const int8_t *end = a + count; a != end;) {
            x[0] = *a++;
            x[1] = *b++;
            x[2] = *c++;
            x[3] = *d++;
            x += 4;
        }
        a += gap;
        b += gap;
        c += gap;
        d += gap;
    }
}

static void rows_of_bytes_2(const bptq_scalar_windows *from, const int8_t *a, int8_t *x)
{
    const int32_t count = from->kernel_width * from->channels;
    const int32_t gap = from->width * from->channels - count;
    const int8_t *b = a + from->stride_width * from->channels;
    for (int32_t rows = from->kernel_height; rows > 0; rows--) {
        for (const int8_t *end = a + count; a != end;) {
            x[0] = *a++;
            x[1] = *b++;
            x += 2;
        }
        a += gap;
        b += gap;
    }
}

static void rows_of_words_4(const bptq_scalar_windows *from, const int8_t *a, bptq_scalar_word *x)
{
    const int32_t next = from->stride_width * from->channels;
    const int32_t count = from->kernel_width * from->channels;
    const int32_t gap = from->width * from->channels - count;
    const int8_t *b = a + next;
    const int8_t *c = b + next;
    const int8_t *d = c + next;
    for (int32_t rows = from->kernel_height; rows > 0; rows--) {
        for (const int8_t *end = a + count; a != end;) {
            x[0] = (uint32_t)(int32_t)*a++ + ((uint32_t)(int32_t)*b++ << 16);
            x[1] = (uint32_t)(int32_t)*c++ + ((uint32_t)(int32_t)*d++ << 16);
            x += 2;
        }
        a += gap;
        b += gap;
        c += gap;
        d += gap;
    }
}

static void rows_of_words_2(const bptq_scalar_windows *from, const int8_t *a, bptq_scalar_word *x)
{
    const int32_t count = from->kernel_width * from->channels;
    const int32_t gap = from->width * from->channels - count;
    const int8_t *b = a + from->stride_width * from->channels;
    for (int32_t rows = from->kernel_height; rows > 0; rows--) {
        for (const int8_t *end = a + count; a != end;) {
            *x++ = (uint32_t)(int32_t)*a++ + ((uint32_t)(int32_t)*b++ << 16);
        }
        a += gap;
        b += gap;
    }
}

static const int8_t *first_of(const bptq_scalar_windows *from)
{
    return from->input + (from->top * from->width + from->left) * from->channels;
}

const int8_t *bptq_scalar_gather_bytes(bptq_scalar_windows *from, int32_t pixels, int32_t length,
                                       int8_t *x)
{
    const int32_t inside = are_inside(from, pixels);
    if (inside && pixels == 1 && from->kernel_height == 1 &&
        from->kernel_width * from->channels == length) {
        const int8_t *first = first_of(from);
        advance(from, 1);
        return first;
    }
    if (inside && pixels != 1) {
        (pixels == 4 ? rows_of_bytes_4 : rows_of_bytes_2)(from, first_of(from), x);
        advance(from, pixels);
        return x;
    }
    for (int32_t i = 0; i < pixels; i++) {
        const target to = {x + i, NULL, 0, pixels};
        gather(from, to);
    }
    return x;
}

const bptq_scalar_word *bptq_scalar_gather_words(bptq_scalar_windows *from, int32_t pixels,
                                                 bptq_scalar_word *x)
{
    if (are_inside(from, pixels)) {
        (pixels == 4 ? rows_of_words_4 : rows_of_words_2)(from, first_of(from), x);
        advance(from, pixels);
        return x;
    }
    for (int32_t i = 0; i < pixels; i++) {
        const target to = {NULL, x + i / 2, i & 1, pixels / 2};
        gather(from, to);
    }
    return x;
}

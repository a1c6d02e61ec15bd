/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Depthwise convolution with a kernel of 3x3, 8-bit activations: four channels at a time. */
#include "bptq_tile_lines.h"

/* Lines of the input as pairs of columns, of four channels. */
typedef struct {
    int32_t pixel;
    int32_t width;
    /* Columns of padding before the first one, 0 or 1. */
    int32_t margin;
    uint32_t padding;
    /* Pairs of a line, and words from one to the next. */
    int32_t pairs;
    int32_t step;
} source;

static void expand(const source *from, const int8_t *line, bptq_pair *to)
{
    const int32_t pixel = from->pixel;
    const int32_t step = from->step;
    int32_t pairs = from->pairs;
    int32_t left = line == NULL ? 0 : from->width;
    if (left != 0 && from->margin != 0) {
        bptq_tile_store_pair(to, from->padding, bptq_load(line));
        line += pixel;
        to += step;
        left--;
        pairs--;
    }
    const int32_t whole = left / 2 < pairs ? left / 2 : pairs;
    if (whole != 0) {
        bptq_tile_pairs(line, pixel, whole, to, 4 * step);
        line += 2 * whole * pixel;
        to += whole * step;
        left -= 2 * whole;
        pairs -= whole;
    }
    if (left == 1 && pairs != 0) {
        bptq_tile_store_pair(to, bptq_load(line), from->padding);
        to += step;
        pairs--;
    }
    for (; pairs != 0; pairs--) {
        bptq_tile_store_pair(to, from->padding, from->padding);
        to += step;
    }
}

/* A plane as lines, along its longer side. */
typedef struct {
    int32_t lines;
    int32_t width;
    /* Bytes from an element of a channel to the next in its line, and to the next line. */
    int32_t pixel;
    int32_t line;
} plane;

static plane plane_of(int32_t height, int32_t width, int32_t channels, int32_t turned)
{
    const plane rows = {height, width, channels, width * channels};
    const plane columns = {width, height, width * channels, channels};
    return turned ? columns : rows;
}

/* Four channels whose weights of fewer bits are packed, as those of 8 bits; returns where they end. */
BPTQ_INLINE const uint32_t *unpack(int32_t bits, const uint32_t *packed, uint32_t *constants)
{
    const uint32_t mask = (((uint32_t)1 << bits) - 1U) * 0x01010101U;
    const uint32_t sign = ((uint32_t)1 << (bits - 1)) * 0x01010101U;
    const uint32_t top = 0x80808080U;
    for (int32_t channel = 0; channel < 4; channel++) {
        uint32_t fields = *packed++;
        for (int32_t row = 0; row < 3; row++) {
            if (bits == 4 && row == 2) {
                fields = *packed++;
            }
            /* The field of each byte less twice its sign; the top bits keep bytes apart. */
            *constants++ = (((fields & mask) ^ (sign | top)) - sign) ^ top;
            fields >>= bits;
        }
        constants[0] = packed[0];
        constants[1] = packed[1];
        constants[2] = packed[2];
        constants += 3;
        packed += 3;
    }
    return packed;
}

BPTQ_INLINE void depthwise(int32_t bits, const bptq_depthwise *op, const int8_t *input,
                           int8_t *output, int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t stride = window->stride_width;
    const int32_t turned = window->output_height > window->output_width &&
                           window->output_height > BPTQ_TILE_ROWS && window->pad_height <= 1;
    const plane in =
        plane_of(window->input_height, window->input_width, op->channels, turned);
    const plane out =
        plane_of(window->output_height, window->output_width, op->channels, turned);
    const int32_t pad = turned ? window->pad_width : window->pad_height;
    const uint32_t zero_point = (uint32_t)op->weighted.input_zero_point & 0xFFU;
    const uint32_t *packed = (const uint32_t *)op->weighted.weights;
    /* Lines that the whole plane of a block of channels needs, if they are few: then weights are loaded
     * once a channel. */
    const int32_t reach = (out.lines - 1) * stride + 3;
    const int32_t most = (stride == 1 ? BPTQ_TILE_PLANE_1 : BPTQ_TILE_PLANE_2) / 16;
    const int32_t small = out.lines > 1 && out.width <= BPTQ_TILE_PLANE_WIDTH && reach <= most;
    const int32_t pair_bytes = small ? 16 * most : BPTQ_TILE_SLOTS;
    const source from = {in.pixel,
                         in.width,
                         turned ? window->pad_height : window->pad_width,
                         zero_point * 0x01010101U,
                         stride == 1 ? (out.width + 1) / 2 + 1 : (out.width + 1) / 2 * 2 + 1,
                         pair_bytes / 4};
    bptq_tile_lines lines = {{0, 4, 8}, 0, 0, 0, 0, 0, 0};
    lines.span = out.width / 4 * 2 * stride * pair_bytes;
    lines.tail = out.width % 4;
    lines.pixel = out.pixel;
    lines.lines = small ? out.lines : 1;
    lines.line = out.line;
    lines.step = 16 * stride;
    for (int32_t first = 0; first < op->channels; first += 4) {
        uint32_t unpacked[4 * BPTQ_TILE_CHANNEL];
        const uint32_t *constants = bits == 8 ? packed : unpacked;
        packed = bits == 8 ? packed + 4 * BPTQ_TILE_CHANNEL : unpack(bits, packed, unpacked);
        bptq_pair *pairs = (bptq_pair *)(void *)scratch;
        int8_t *to = output + first;
        int32_t slot = 0;
        /* The next line to expand, and the one after the last of the next window. */
        int32_t next = -pad;
        int32_t end = small ? next + reach : next + 3;
        for (int32_t y = 0; y < out.lines; y += lines.lines) {
            for (; next < end; next++) {
                const int32_t inside = (uint32_t)next < (uint32_t)in.lines;
                expand(&from, inside ? input + first + next * in.line : NULL, pairs + 4 * slot);
                slot++;
                if (!small && slot == 3) {
                    slot = 0;
                }
            }
            end += stride;
            if (small) {
                (stride == 1 ? bptq_tile_plane_1 : bptq_tile_plane_2)(pairs, constants, to, &lines);
                break;
            }
            /* The oldest line lies in the slot that is filled next. */
            for (int32_t row = 0, oldest = slot; row < 3; row++) {
                lines.rows[oldest] = 4 * row;
                oldest = oldest == 2 ? 0 : oldest + 1;
            }
            (stride == 1 ? bptq_tile_slots_1 : bptq_tile_slots_2)(pairs, constants, to, &lines);
            to += lines.line;
        }
    }
}

void bptq_tile_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch)
{
    depthwise(8, op, input, output, scratch);
}

void bptq_tile_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch)
{
    depthwise(4, op, input, output, scratch);
}

void bptq_tile_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch)
{
    depthwise(2, op, input, output, scratch);
}

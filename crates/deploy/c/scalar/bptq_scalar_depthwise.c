/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Depthwise convolution with a kernel of 3x3, 8-bit activations: four channels at a time. */
#include "bptq_scalar_lines.h"
#include "bptq_weights.h"

/* Shifts above the largest one to the right are to the left. */
#define MOST_RIGHT 23

/* How columns of the input become those of a line in the scratch. */
typedef struct {
    int32_t pixel;
    int32_t width;
    int32_t margin;
    int32_t columns;
    uint32_t padding;
} source;

/* Four channels of a column: words, as scratch and inputs are aligned. */
BPTQ_SCALAR_INLINE void store(int8_t *to, uint32_t word)
{
    memcpy(__builtin_assume_aligned(to, 4), &word, sizeof word);
}

static int8_t *fill(int8_t *to, int32_t columns, uint32_t padding)
{
    for (; columns > 0; columns--) {
        store(to, padding);
        to += BPTQ_SCALAR_COLUMN;
    }
    return to;
}

/* A line of the input, or one of padding. */
static void expand(const source *from, const int8_t *line, int8_t *to)
{
    if (line == NULL) {
        (void)fill(to, from->columns, from->padding);
        return;
    }
    const int32_t room = from->columns - from->margin;
    const int32_t inside = room < from->width ? room : from->width;
    const int32_t pixel = from->pixel;
    to = fill(to, from->margin, from->padding);
    for (int32_t left = inside; left > 0; left--) {
        uint32_t word;
        memcpy(&word, __builtin_assume_aligned(line, 4), sizeof word);
        store(to, word);
        line += pixel;
        to += BPTQ_SCALAR_COLUMN;
    }
    (void)fill(to, room - inside, from->padding);
}

/* The constants of one channel, with weights as bytes; returns where they end. */
BPTQ_SCALAR_INLINE const uint32_t *unpack(uint32_t bits, const uint32_t *at, int32_t twice,
                                          bptq_scalar_channel *channel, int8_t *weights)
{
    const uint32_t quantized = at[1];
    uint32_t shift;
    channel->bias = bptq_wrap(at[0]);
    at += 2;
    if (bits == 8) {
        channel->weights = (const int8_t *)at;
        shift = (at[2] >> 8) & 0xFFU;
        at += 3;
    } else {
        uint32_t fields = *at++;
        shift = bits == 4 ? at[0] >> 8 : fields >> 27;
        const uint32_t left = shift > MOST_RIGHT ? shift - MOST_RIGHT : 0;
        for (int32_t i = 0; i < 9; i++) {
            if (bits == 4 && i == 8) {
                fields = *at++;
            }
            const uint32_t weight = (uint32_t)bptq_weight(bits, fields);
            weights[i] = (int8_t)bptq_wrap(weight << left);
            fields >>= bits;
        }
        channel->weights = weights;
        shift = left != 0 ? 0 : shift;
    }
    channel->factor = bptq_scalar_factor_of(quantized, shift, twice);
    return at;
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

BPTQ_SCALAR_INLINE void depthwise(uint32_t bits, const bptq_depthwise *op, const int8_t *input,
                                  int8_t *output, int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t stride = window->stride_width;
    const int32_t turned = window->output_height > window->output_width;
    const plane in =
        plane_of(window->input_height, window->input_width, op->channels, turned);
    const plane out =
        plane_of(window->output_height, window->output_width, op->channels, turned);
    const int32_t twice = 2 * op->weighted.output_zero_point + 1;
    const uint32_t padding = (uint32_t)op->weighted.input_zero_point & 0xFFU;
    const source from = {in.pixel, in.width, turned ? window->pad_height : window->pad_width,
                         (out.width - 1) * stride + 3, padding * 0x01010101U};
    const int32_t line_bytes = from.columns * BPTQ_SCALAR_COLUMN;
    const uint32_t *at = (const uint32_t *)op->weighted.weights;
    for (int32_t first = 0; first < op->channels; first += 4) {
        bptq_scalar_channel block[4];
        int8_t weights[4][9];
        for (int32_t i = 0; i < 4; i++) {
            at = unpack(bits, at, twice, block + i, weights[i]);
        }
        /* Lines of the input take each other's place in the scratch. */
        bptq_scalar_line line = {
            {scratch, scratch + line_bytes, scratch + 2 * line_bytes}, out.width, out.pixel};
        int8_t *free_line = scratch;
        int8_t *to = output + first;
        int32_t next = turned ? -window->pad_width : -window->pad_height;
        int32_t end = next + 3;
        for (int32_t y = 0; y < out.lines; y++) {
            for (; next < end; next++) {
                const int32_t inside = (uint32_t)next < (uint32_t)in.lines;
                expand(&from, inside ? input + first + next * in.line : NULL, free_line);
                line.rows[0] = line.rows[1];
                line.rows[1] = line.rows[2];
                line.rows[2] = free_line;
                free_line += line_bytes;
                if (free_line == scratch + 3 * line_bytes) {
                    free_line = scratch;
                }
            }
            end += stride;
            for (int32_t i = 0; i < 4; i++) {
                (stride == 1 ? bptq_scalar_line_1 : bptq_scalar_line_2)(&line, i, block + i,
                                                                        to + i);
            }
            to += out.line;
        }
    }
}

#define DEPTHWISE(bits)                                                                            \
    void bptq_scalar_depthwise_w##bits##_s8(const bptq_depthwise *op, const int8_t *input,         \
                                            int8_t *output, int8_t *scratch)                       \
    {                                                                                              \
        depthwise(bits, op, input, output, scratch);                                               \
    }

DEPTHWISE(8)
DEPTHWISE(4)
DEPTHWISE(3)
DEPTHWISE(2)

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Tiles, weights of 2, 3 or 4 bits. */
#ifndef BPTQ_SCALAR_PACKED_H
#define BPTQ_SCALAR_PACKED_H

#include "bptq_scalar_tile.h"

/* The weight whose field begins at bit `place` of a word, with its sign. */
BPTQ_SCALAR_INLINE int32_t bptq_scalar_field(uint32_t word, uint32_t bits, uint32_t place)
{
    return bptq_shift_right(bptq_wrap(word << (32U - bits - place)), (int32_t)(32U - bits));
}

/*
 * Two pixels in one word are multiplied at once: x0 + 2^16 x1 times w is w x0 + 2^16 w x1. Sums of
 * such words hold two sums, as long as neither leaves 16 bits; on the way there they may.
 */
BPTQ_SCALAR_INLINE void bptq_scalar_empty(int32_t *sums, uint32_t lanes)
{
    const int32_t low = (int16_t)(uint16_t)lanes;
    sums[0] = bptq_add_wrapping(sums[0], low);
    sums[1] = bptq_add_wrapping(sums[1], bptq_shift_right(bptq_wrap(lanes - (uint32_t)low), 16));
}

/* Elements whose weights of two channels one word holds. */
BPTQ_SCALAR_INLINE int32_t bptq_scalar_unit(uint32_t bits)
{
    return (int32_t)(16U / bits);
}

/* One element of four pixels, two channels. */
#define BPTQ_SCALAR_STEP_4(k)                                                                      \
    if ((k) < unit) {                                                                              \
        const uint32_t x0 = x[2 * (k)];                                                            \
        const uint32_t x1 = x[2 * (k) + 1];                                                        \
        uint32_t u = (uint32_t)bptq_scalar_field(word, bits, bits * (k));                          \
        a0 += u * x0;                                                                              \
        a1 += u * x1;                                                                              \
        u = (uint32_t)bptq_scalar_field(word, bits, bits * (k) + 16U);                             \
        b0 += u * x0;                                                                              \
        b1 += u * x1;                                                                              \
        BPTQ_SCALAR_KEEP(a0);                                                                      \
        BPTQ_SCALAR_KEEP(a1);                                                                      \
        BPTQ_SCALAR_KEEP(b0);                                                                      \
        BPTQ_SCALAR_KEEP(b1);                                                                      \
    }
#define BPTQ_SCALAR_STEP_2(k)                                                                      \
    if ((k) < unit) {                                                                              \
        const uint32_t x0 = x[k];                                                                  \
        a0 += (uint32_t)bptq_scalar_field(word, bits, bits * (k)) * x0;                            \
        b0 += (uint32_t)bptq_scalar_field(word, bits, bits * (k) + 16U) * x0;                      \
        BPTQ_SCALAR_KEEP(a0);                                                                      \
        BPTQ_SCALAR_KEEP(b0);                                                                      \
    }
/* One element of a pixel, both channels: of their weights a field has the sum with 2^(bits-1). */
#define BPTQ_SCALAR_STEP_1(k)                                                                      \
    if ((k) < unit) {                                                                              \
        const int32_t element = x[k];                                                              \
        lanes += ((word >> (bits * (k))) & mask) * (uint32_t)element;                              \
        BPTQ_SCALAR_KEEP(lanes);                                                                   \
    }
#define BPTQ_SCALAR_STEPS(step) step(0U) step(1U) step(2U) step(3U) step(4U) step(5U) step(6U) step(7U)

/* The words of sums over the elements up to `end`; returns where their weights end. */
BPTQ_SCALAR_INLINE const uint32_t *bptq_scalar_chunk_4(uint32_t bits, const bptq_scalar_word *x,
                                                       const uint32_t *weights,
                                                       const bptq_scalar_word *end, uint32_t *lanes)
{
    const uint32_t unit = 16U / bits;
    uint32_t a0 = 0;
    uint32_t a1 = 0;
    uint32_t b0 = 0;
    uint32_t b1 = 0;
    do {
        const uint32_t word = *weights++;
        BPTQ_SCALAR_STEPS(BPTQ_SCALAR_STEP_4)
        x += 2 * unit;
    } while (x != end);
    lanes[0] = a0;
    lanes[1] = a1;
    lanes[2] = b0;
    lanes[3] = b1;
    return weights;
}

BPTQ_SCALAR_INLINE const uint32_t *bptq_scalar_chunk_2(uint32_t bits, const bptq_scalar_word *x,
                                                       const uint32_t *weights,
                                                       const bptq_scalar_word *end, uint32_t *lanes)
{
    const uint32_t unit = 16U / bits;
    uint32_t a0 = 0;
    uint32_t b0 = 0;
    do {
        const uint32_t word = *weights++;
        BPTQ_SCALAR_STEPS(BPTQ_SCALAR_STEP_2)
        x += unit;
    } while (x != end);
    lanes[0] = a0;
    lanes[1] = b0;
    return weights;
}

typedef const uint32_t *bptq_scalar_chunk(const bptq_scalar_word *x, const uint32_t *weights,
                                          const bptq_scalar_word *end, uint32_t *lanes);

/* The outputs of four pixels. */
BPTQ_SCALAR_INLINE void bptq_scalar_packed_4(bptq_scalar_chunk *chunk, const bptq_scalar_tile *tile,
                                             const bptq_scalar_word *x, int8_t *output)
{
    const uint32_t *at = tile->constants;
    const int32_t pitch = tile->pitch;
    for (; at != tile->end; output += 2) {
        int32_t sums[8];
        sums[0] = sums[1] = sums[2] = sums[3] = bptq_wrap(at[0]);
        sums[4] = sums[5] = sums[6] = sums[7] = bptq_wrap(at[1]);
        at += 2;
        const bptq_scalar_word *from = x;
        for (int32_t left = tile->length; left > 0; left -= tile->chunk) {
            uint32_t lanes[4];
            const bptq_scalar_word *end = from + 2 * (left < tile->chunk ? left : tile->chunk);
            at = chunk(from, at, end, lanes);
            from = end;
            bptq_scalar_empty(sums, lanes[0]);
            bptq_scalar_empty(sums + 2, lanes[1]);
            bptq_scalar_empty(sums + 4, lanes[2]);
            bptq_scalar_empty(sums + 6, lanes[3]);
        }
        bptq_scalar_factor factor = bptq_scalar_factor_a(at, tile->twice);
        int8_t *out = output;
        out[0] = bptq_scalar_output(sums[0], factor);
        out[pitch] = bptq_scalar_output(sums[1], factor);
        out[2 * pitch] = bptq_scalar_output(sums[2], factor);
        out[3 * pitch] = bptq_scalar_output(sums[3], factor);
        factor = bptq_scalar_factor_b(at, tile->twice);
        out++;
        out[0] = bptq_scalar_output(sums[4], factor);
        out[pitch] = bptq_scalar_output(sums[5], factor);
        out[2 * pitch] = bptq_scalar_output(sums[6], factor);
        out[3 * pitch] = bptq_scalar_output(sums[7], factor);
        at += 3;
    }
}

/* The outputs of two pixels. */
BPTQ_SCALAR_INLINE void bptq_scalar_packed_2(bptq_scalar_chunk *chunk, const bptq_scalar_tile *tile,
                                             const bptq_scalar_word *x, int8_t *output)
{
    const uint32_t *at = tile->constants;
    const int32_t pitch = tile->pitch;
    for (; at != tile->end; output += 2) {
        int32_t sums[4];
        sums[0] = sums[1] = bptq_wrap(at[0]);
        sums[2] = sums[3] = bptq_wrap(at[1]);
        at += 2;
        const bptq_scalar_word *from = x;
        for (int32_t left = tile->length; left > 0; left -= tile->chunk) {
            uint32_t lanes[2];
            const bptq_scalar_word *end = from + (left < tile->chunk ? left : tile->chunk);
            at = chunk(from, at, end, lanes);
            from = end;
            bptq_scalar_empty(sums, lanes[0]);
            bptq_scalar_empty(sums + 2, lanes[1]);
        }
        bptq_scalar_factor factor = bptq_scalar_factor_a(at, tile->twice);
        output[0] = bptq_scalar_output(sums[0], factor);
        output[pitch] = bptq_scalar_output(sums[1], factor);
        factor = bptq_scalar_factor_b(at, tile->twice);
        output[1] = bptq_scalar_output(sums[2], factor);
        output[pitch + 1] = bptq_scalar_output(sums[3], factor);
        at += 3;
    }
}

/*
 * The outputs of one pixel: here the words of two lanes hold two weights, which are not negative so that
 * nothing has to extend signs. 2^(bits-1) times the sum of all elements is too much in each channel.
 */
BPTQ_SCALAR_INLINE void bptq_scalar_packed_1(uint32_t bits, const bptq_scalar_tile *tile,
                                             const int8_t *from, int8_t *output)
{
    const uint32_t unit = 16U / bits;
    const uint32_t mask = 0x10001U * ((1U << bits) - 1U);
    /* The highest bit of every field. */
    const uint32_t signs = bits == 4 ? 0x88888888U : bits == 3 ? 0x49244924U : 0xAAAAAAAAU;
    /* Elements after which a sum of the largest products, 128 times 2^bits - 1, may leave 16 bits. */
    const int32_t chunk = (int32_t)(unit * (32767U / ((128U << bits) - 128U) / unit));
    const int8_t *end = from + tile->length;
    const uint32_t *at = tile->constants;
    uint32_t excess = 0;
    for (const int8_t *x = from; x != end; x++) {
        const int32_t element = *x;
        excess += (uint32_t)element;
    }
    excess <<= bits - 1U;
    for (; at != tile->end; output += 2) {
        int32_t sums[2] = {bptq_wrap(at[0] - excess), bptq_wrap(at[1] - excess)};
        const int8_t *x = from;
        at += 2;
        do {
            const int8_t *stop = end - x > chunk ? x + chunk : end;
            uint32_t lanes = 0;
            do {
                const uint32_t word = *at++ ^ signs;
                BPTQ_SCALAR_STEPS(BPTQ_SCALAR_STEP_1)
                x += unit;
            } while (x != stop);
            bptq_scalar_empty(sums, lanes);
        } while (x != end);
        output[0] = bptq_scalar_output(sums[0], bptq_scalar_factor_a(at, tile->twice));
        output[1] = bptq_scalar_output(sums[1], bptq_scalar_factor_b(at, tile->twice));
        at += 3;
    }
}

/* All tiles of weights of so many bits. */
#define BPTQ_SCALAR_PACKED(bits)                                                                   \
    BPTQ_SCALAR_APART static const uint32_t *chunk_4(                                              \
        const bptq_scalar_word *x, const uint32_t *weights, const bptq_scalar_word *end,           \
        uint32_t *lanes)                                                                           \
    {                                                                                              \
        return bptq_scalar_chunk_4(bits, x, weights, end, lanes);                                  \
    }                                                                                              \
    BPTQ_SCALAR_APART static const uint32_t *chunk_2(                                              \
        const bptq_scalar_word *x, const uint32_t *weights, const bptq_scalar_word *end,           \
        uint32_t *lanes)                                                                           \
    {                                                                                              \
        return bptq_scalar_chunk_2(bits, x, weights, end, lanes);                                  \
    }                                                                                              \
    void bptq_scalar_w##bits##_4(const bptq_scalar_tile *tile, const bptq_scalar_word *x,          \
                                 int8_t *output)                                                   \
    {                                                                                              \
        bptq_scalar_packed_4(chunk_4, tile, x, output);                                            \
    }                                                                                              \
    void bptq_scalar_w##bits##_2(const bptq_scalar_tile *tile, const bptq_scalar_word *x,          \
                                 int8_t *output)                                                   \
    {                                                                                              \
        bptq_scalar_packed_2(chunk_2, tile, x, output);                                            \
    }                                                                                              \
    void bptq_scalar_w##bits##_1(const bptq_scalar_tile *tile, const int8_t *x, int8_t *output)    \
    {                                                                                              \
        bptq_scalar_packed_1(bits, tile, x, output);                                               \
    }

#endif /* BPTQ_SCALAR_PACKED_H */

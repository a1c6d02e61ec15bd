/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Tiles, weights of 8 bits. */
#include "bptq_scalar_tile.h"

/* The products of one element of a pixel with the weights u, v of two channels. */
#define PIXEL(i, sum_a, sum_b)                                                                     \
    t = x[i];                                                                                      \
    sum_a += u * t;                                                                                \
    sum_b += v * t;

/* One element of all pixels. */
#define STEP_4(k)                                                                                  \
    u = w[2 * (k)];                                                                                \
    v = w[2 * (k) + 1];                                                                            \
    PIXEL(4 * (k), a0, b0)                                                                         \
    PIXEL(4 * (k) + 1, a1, b1)                                                                     \
    PIXEL(4 * (k) + 2, a2, b2)                                                                     \
    PIXEL(4 * (k) + 3, a3, b3)
#define STEP_2(k)                                                                                  \
    u = w[2 * (k)];                                                                                \
    v = w[2 * (k) + 1];                                                                            \
    PIXEL(2 * (k), a0, b0)                                                                         \
    PIXEL(2 * (k) + 1, a1, b1)
#define STEP_1(k)                                                                                  \
    u = w[2 * (k)];                                                                                \
    v = w[2 * (k) + 1];                                                                            \
    PIXEL(k, a0, b0)

void bptq_scalar_w8_4(const bptq_scalar_tile *tile, const int8_t *x, int8_t *output)
{
    const int8_t *first = x;
    const int8_t *end = x + 4 * tile->length;
    const uint32_t *at = tile->constants;
    const int32_t pitch = tile->pitch;
    for (; at != tile->end; output += 2) {
        int32_t a0 = bptq_wrap(at[0]);
        int32_t b0 = bptq_wrap(at[1]);
        int32_t a1 = a0;
        int32_t a2 = a0;
        int32_t a3 = a0;
        int32_t b1 = b0;
        int32_t b2 = b0;
        int32_t b3 = b0;
        const int8_t *w = (const int8_t *)(at + 2);
        x = first;
        do {
            int32_t t;
            int32_t u;
            int32_t v;
            STEP_4(0)
            STEP_4(1)
            STEP_4(2)
            STEP_4(3)
            x += 16;
            w += 8;
        } while (x != end);
        at = (const uint32_t *)(const void *)w;
        bptq_scalar_factor factor = bptq_scalar_factor_a(at, tile->twice);
        int8_t *out = output;
        out[0] = bptq_scalar_output(a0, factor);
        out[pitch] = bptq_scalar_output(a1, factor);
        out[2 * pitch] = bptq_scalar_output(a2, factor);
        out[3 * pitch] = bptq_scalar_output(a3, factor);
        factor = bptq_scalar_factor_b(at, tile->twice);
        out++;
        out[0] = bptq_scalar_output(b0, factor);
        out[pitch] = bptq_scalar_output(b1, factor);
        out[2 * pitch] = bptq_scalar_output(b2, factor);
        out[3 * pitch] = bptq_scalar_output(b3, factor);
        at += 3;
    }
}

#if BPTQ_SCALAR_SMALL

/*
 * Registers: 0 elements, 1 weights, 2 a word of weights, 3 one of elements, 4 to 7 single ones; sums in 8 to
 * 11, to which any register is added; 12 the end. Products take the place of a factor.
 */
#define BYTE_0(to, word) "sxtb " to ", " word "\n"
#define BYTE_1(to, word) "lsls " to ", " word ", #16\nasrs " to ", " to ", #24\n"
#define BYTE_2(to, word) "lsls " to ", " word ", #8\nasrs " to ", " to ", #24\n"
#define BYTE_3(to, word) "asrs " to ", " word ", #24\n"
#define PRODUCTS(FIRST, SECOND)                                                                    \
    FIRST("r4", "r2")                                                                              \
    FIRST("r6", "r3")                                                                              \
    SECOND("r7", "r3")                                                                             \
    "mov r5, r4\n"                                                                                 \
    "muls r5, r6\n"                                                                                \
    "add r8, r5\n"                                                                                 \
    "muls r4, r7\n"                                                                                \
    "add r9, r4\n" SECOND("r4", "r2") "muls r6, r4\n"                                              \
    "add r10, r6\n"                                                                                \
    "muls r7, r4\n"                                                                                \
    "add r11, r7\n"
#define TWO_ELEMENTS                                                                               \
    "ldmia r1!, {r2}\n"                                                                            \
    "ldmia r0!, {r3}\n" PRODUCTS(BYTE_0, BYTE_1) PRODUCTS(BYTE_2, BYTE_3)

/* Adds products to the sums a, a, b, b of two pixels; returns where the weights end. */
BPTQ_SCALAR_NAKED static const int8_t *products(BPTQ_SCALAR_UNUSED const int8_t *x,
                                                BPTQ_SCALAR_UNUSED const int8_t *w,
                                                BPTQ_SCALAR_UNUSED const int8_t *end,
                                                BPTQ_SCALAR_UNUSED int32_t *sums)
{
    __asm__ volatile(".syntax unified\n"
                     "push {r4-r7, lr}\n"
                     "mov r4, r8\n"
                     "mov r5, r9\n"
                     "mov r6, r10\n"
                     "mov r7, r11\n"
                     "push {r3-r7}\n"
                     "ldmia r3!, {r4-r7}\n"
                     "mov r8, r4\n"
                     "mov r9, r5\n"
                     "mov r10, r6\n"
                     "mov r11, r7\n"
                     "mov r12, r2\n"
                     "1:\n" TWO_ELEMENTS TWO_ELEMENTS "cmp r0, r12\n"
                     "bne 1b\n"
                     "mov r0, r1\n"
                     "ldr r3, [sp]\n"
                     "mov r4, r8\n"
                     "mov r5, r9\n"
                     "mov r6, r10\n"
                     "mov r7, r11\n"
                     "stmia r3!, {r4-r7}\n"
                     "pop {r3-r7}\n"
                     "mov r8, r4\n"
                     "mov r9, r5\n"
                     "mov r10, r6\n"
                     "mov r11, r7\n"
                     "pop {r4-r7, pc}\n");
}

#else

static const int8_t *products(const int8_t *x, const int8_t *w, const int8_t *end, int32_t *sums)
{
    int32_t a0 = sums[0];
    int32_t a1 = sums[1];
    int32_t b0 = sums[2];
    int32_t b1 = sums[3];
    do {
        int32_t t;
        int32_t u;
        int32_t v;
        STEP_2(0)
        STEP_2(1)
        STEP_2(2)
        STEP_2(3)
        x += 8;
        w += 8;
    } while (x != end);
    sums[0] = a0;
    sums[1] = a1;
    sums[2] = b0;
    sums[3] = b1;
    return w;
}

#endif

void bptq_scalar_w8_2(const bptq_scalar_tile *tile, const int8_t *x, int8_t *output)
{
    const uint32_t *at = tile->constants;
    const int32_t pitch = tile->pitch;
    for (; at != tile->end; output += 2) {
        const int32_t a = bptq_wrap(at[0]);
        const int32_t b = bptq_wrap(at[1]);
        int32_t sums[4] = {a, a, b, b};
        const int8_t *w = products(x, (const int8_t *)(at + 2), x + 2 * tile->length, sums);
        at = (const uint32_t *)(const void *)w;
        bptq_scalar_factor factor = bptq_scalar_factor_a(at, tile->twice);
        output[0] = bptq_scalar_output(sums[0], factor);
        output[pitch] = bptq_scalar_output(sums[1], factor);
        factor = bptq_scalar_factor_b(at, tile->twice);
        output[1] = bptq_scalar_output(sums[2], factor);
        output[pitch + 1] = bptq_scalar_output(sums[3], factor);
        at += 3;
    }
}

void bptq_scalar_w8_1(const bptq_scalar_tile *tile, const int8_t *x, int8_t *output)
{
    const int8_t *first = x;
    const int8_t *end = x + tile->length;
    const uint32_t *at = tile->constants;
    for (; at != tile->end; output += 2) {
        int32_t a0 = bptq_wrap(at[0]);
        int32_t b0 = bptq_wrap(at[1]);
        const int8_t *w = (const int8_t *)(at + 2);
        x = first;
        do {
            int32_t t;
            int32_t u;
            int32_t v;
            STEP_1(0)
            STEP_1(1)
            STEP_1(2)
            STEP_1(3)
            x += 4;
            w += 8;
        } while (x != end);
        at = (const uint32_t *)(const void *)w;
        output[0] = bptq_scalar_output(a0, bptq_scalar_factor_a(at, tile->twice));
        output[1] = bptq_scalar_output(b0, bptq_scalar_factor_b(at, tile->twice));
        at += 3;
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Sums of four channels at a time, of all channels of two pixels or of one, and their outputs. */
#ifndef BPTQ_QUAD_SUMS_H
#define BPTQ_QUAD_SUMS_H

#include "bptq_quad_math.h"

/* What is read and written for two pixels; the second ones are not used for one. */
typedef struct {
    /* The elements of both, a multiple of 16. */
    const int8_t *x[2];
    int32_t zero_point;
    /* The ends of the layer's constants and of the first pixel's elements. */
    const uint32_t *end;
    const int8_t *x_end;
    int8_t *output[2];
    /* Of each pixel the sum of the elements, times what is added to all weights but the highest in
     * a byte: 8 or 2. */
    int32_t excess[2];
} bptq_quad_pixels;

/* _relu: for an output zero point of -128. */
#define BPTQ_QUAD_FUNCTION(name)                                                                   \
    void name(const uint32_t *constants, const bptq_quad_pixels *pixels)
BPTQ_QUAD_FUNCTION(bptq_quad_w8);
BPTQ_QUAD_FUNCTION(bptq_quad_w8_relu);
BPTQ_QUAD_FUNCTION(bptq_quad_w8_1);
BPTQ_QUAD_FUNCTION(bptq_quad_w8_1_relu);
BPTQ_QUAD_FUNCTION(bptq_quad_w4);
BPTQ_QUAD_FUNCTION(bptq_quad_w4_relu);
BPTQ_QUAD_FUNCTION(bptq_quad_w4_1);
BPTQ_QUAD_FUNCTION(bptq_quad_w4_1_relu);
BPTQ_QUAD_FUNCTION(bptq_quad_w2);
BPTQ_QUAD_FUNCTION(bptq_quad_w2_relu);
BPTQ_QUAD_FUNCTION(bptq_quad_w2_1);
BPTQ_QUAD_FUNCTION(bptq_quad_w2_1_relu);

/* The functions of one width and form, for two pixels and for one. */
typedef struct {
    BPTQ_QUAD_FUNCTION((*two));
    BPTQ_QUAD_FUNCTION((*one));
} bptq_quad_functions;

/* Outputs of the `count` pixels, two or one, of `length` elements. */
BPTQ_INLINE void bptq_quad_run(int32_t bits, const bptq_quad_functions *functions,
                               const uint32_t *constants, bptq_quad_pixels *pixels, int32_t length,
                               int32_t count)
{
    pixels->x_end = pixels->x[0] + length;
    if (bits != 8) {
        const int32_t moved = 1 << (bits - 1);
        pixels->excess[0] = moved * bptq_quad_total(pixels->x[0], length);
        if (count > 1) {
            pixels->excess[1] = moved * bptq_quad_total(pixels->x[1], length);
        }
    }
    if (count > 1) {
        functions->two(constants, pixels);
    } else {
        functions->one(constants, pixels);
    }
}

/* Those of `weighted`; by name, so that a network links the functions of its own widths only. */
#define BPTQ_QUAD_CHOSEN(name, weighted)                                                           \
    ((weighted)->output_zero_point == -128                                                         \
         ? (bptq_quad_functions){name##_relu, name##_1_relu}                                       \
         : (bptq_quad_functions){name, name##_1})

#if BPTQ_QUAD_VECTORS

/*
 * Registers of two pixels: 9 constants, 5 and 11 elements, 7 the end of the first pixel's, 1 and 3
 * where outputs go (VSTRB takes no high ones); sums of channels a, b, c, d in 0, 2, 4, 6 and, of
 * the second pixel, in 8, 10, 12, lr, because VMLADAVA adds to even registers. On the stack:
 */
#define BPTQ_QUAD_X "#0"
#define BPTQ_QUAD_ZERO_POINT "#8"
#define BPTQ_QUAD_EXCESS "#16"
#define BPTQ_QUAD_EXCESS_1 "#32"

/* Saves registers, keeps what is needed later and leaves the excess in registers 4 and 6. */
#define BPTQ_QUAD_BEGIN                                                                            \
    "push {r4-r11, lr}\n"                                                                          \
    "vpush {d8-d15}\n"                                                                             \
    "sub sp, #32\n"                                                                                \
    "ldmia r1!, {r3, r4, r5, r6, r7}\n"                                                            \
    "push {r3, r4, r5, r6}\n"                                                                      \
    "ldmia r1!, {r2, r3, r4, r6}\n"                                                                \
    "mov r1, r2\n"                                                                                 \
    "mov r9, r0\n"

/* The biases of both pixels, and their first elements. */
#define BPTQ_QUAD_FIRST                                                                            \
    "0: ldmia r9, {r8, r10, r12, lr}\n"                                                            \
    "ldmia r9!, {r0, r2, r4, r6}\n"                                                                \
    "ldrd r5, r11, [sp, " BPTQ_QUAD_X "]\n"                                                        \
    "1:\n"

#define BPTQ_QUAD_NEXT                                                                             \
    "cmp r5, r7\n"                                                                                 \
    "bne 1b\n"

/* The sums as vectors, one a pixel. */
#define BPTQ_QUAD_VECTORS_OF_2                                                                     \
    "vmov q0[2], q0[0], r0, r4\n"                                                                  \
    "vmov q0[3], q0[1], r2, r6\n"                                                                  \
    "vmov q1[2], q1[0], r8, r12\n"                                                                 \
    "vmov q1[3], q1[1], r10, lr\n"
#define BPTQ_QUAD_VECTOR                                                                           \
    "vmov q0[2], q0[0], r0, r4\n"                                                                  \
    "vmov q0[3], q0[1], r2, r6\n"

/* Products with the multipliers. The shift after them rounds half up; half away from zero is one
 * less for negative products. Where the zero point is the lower bound, they all become that. */
#define BPTQ_QUAD_PRODUCTS_2_RELU                                                                  \
    "vldrw.32 q2, [r9], #16\n"                                                                     \
    "vldrw.32 q3, [r9], #16\n"                                                                     \
    "vqrdmulh.s32 q0, q0, q2\n"                                                                    \
    "vqrdmulh.s32 q1, q1, q2\n"
#define BPTQ_QUAD_PRODUCTS_2                                                                       \
    BPTQ_QUAD_PRODUCTS_2_RELU                                                                      \
    "vshr.s32 q2, q0, #31\n"                                                                       \
    "vadd.i32 q0, q0, q2\n"                                                                        \
    "vshr.s32 q2, q1, #31\n"                                                                       \
    "vadd.i32 q1, q1, q2\n"
#define BPTQ_QUAD_PRODUCTS_1_RELU                                                                  \
    "vldrw.32 q1, [r1], #16\n"                                                                     \
    "vldrw.32 q2, [r1], #16\n"                                                                     \
    "vqrdmulh.s32 q0, q0, q1\n"
#define BPTQ_QUAD_PRODUCTS_1                                                                       \
    BPTQ_QUAD_PRODUCTS_1_RELU                                                                      \
    "vshr.s32 q1, q0, #31\n"                                                                       \
    "vadd.i32 q0, q0, q1\n"

/* Shifted, saturated to 16 bits in halves of each lane, moved by the zero point, saturated to 8. */
#define BPTQ_QUAD_STORE_2                                                                          \
    "ldrd r0, r2, [sp, " BPTQ_QUAD_ZERO_POINT "]\n"                                                \
    "vrshl.s32 q0, q0, q3\n"                                                                       \
    "vrshl.s32 q1, q1, q3\n"                                                                       \
    "vqmovnb.s32 q0, q0\n"                                                                         \
    "vqmovnt.s32 q0, q1\n"                                                                         \
    "vqadd.s16 q0, q0, r0\n"                                                                       \
    "vqmovnb.s16 q0, q0\n"                                                                         \
    "vstrb.32 q0, [r1], #4\n"                                                                      \
    "vshr.u32 q0, q0, #16\n"                                                                       \
    "vstrb.32 q0, [r3], #4\n"                                                                      \
    "cmp r9, r2\n"                                                                                 \
    "bne 0b\n"                                                                                     \
    "add sp, #48\n"                                                                                \
    "vpop {d8-d15}\n"                                                                              \
    "pop {r4-r11, pc}\n"

/* Registers of one pixel: 1 constants, 3 elements, 11 the first of them, 7 the end of the
 * constants, 8 units of 16 elements, 10 the zero point, 5 where outputs go; sums in 0, 2, 4, 6. */
#define BPTQ_QUAD_BEGIN_1                                                                          \
    "push {r4-r11, lr}\n"                                                                          \
    "vpush {d8-d15}\n"                                                                             \
    "ldmia r1!, {r4, r5, r6, r7, r8}\n"                                                            \
    "mov r11, r4\n"                                                                                \
    "mov r10, r6\n"                                                                                \
    "sub r8, r8, r4\n"                                                                             \
    "lsr r8, r8, #4\n"                                                                             \
    "ldmia r1, {r5, r6}\n"                                                                         \
    "ldr r4, [r1, #8]\n"                                                                           \
    "mov r1, r0\n"
#define BPTQ_QUAD_FIRST_1                                                                          \
    "0: ldmia r1!, {r0, r2, r4, r6}\n"                                                             \
    "mov r3, r11\n"                                                                                \
    "dls lr, r8\n"                                                                                 \
    "1:\n"
#define BPTQ_QUAD_NEXT_1 "le lr, 1b\n"
#define BPTQ_QUAD_STORE_1                                                                          \
    "vrshl.s32 q0, q0, q2\n"                                                                       \
    "vqmovnb.s32 q0, q0\n"                                                                         \
    "vqadd.s16 q0, q0, r10\n"                                                                      \
    "vqmovnb.s16 q0, q0\n"                                                                         \
    "vstrb.32 q0, [r5], #4\n"                                                                      \
    "cmp r1, r7\n"                                                                                 \
    "bne 0b\n"                                                                                     \
    "vpop {d8-d15}\n"                                                                              \
    "pop {r4-r11, pc}\n"

/* The definition of a function: what it begins with, its inner loop, how sums become vectors, and
 * outputs. */
#define BPTQ_QUAD_DEFINE(name, begin, loop, sums, outputs)                                         \
    BPTQ_NAKED void name(BPTQ_UNUSED const uint32_t *constants,                                    \
                         BPTQ_UNUSED const bptq_quad_pixels *pixels)                               \
    {                                                                                              \
        __asm__ volatile(begin loop);                                                              \
        __asm__ volatile(sums outputs);                                                            \
    }

/* All functions of one width: what follows the beginning, the steps of 16 elements, and how sums
 * are told apart, for two pixels and for one. */
#define BPTQ_QUAD_DEFINE_ALL(name, begin, step, sums, begin_1, step_1, sums_1)                     \
    BPTQ_QUAD_DEFINE(name, BPTQ_QUAD_BEGIN begin, BPTQ_QUAD_FIRST step BPTQ_QUAD_NEXT, sums,       \
                     BPTQ_QUAD_PRODUCTS_2 BPTQ_QUAD_STORE_2)                                       \
    BPTQ_QUAD_DEFINE(name##_relu, BPTQ_QUAD_BEGIN begin, BPTQ_QUAD_FIRST step BPTQ_QUAD_NEXT,      \
                     sums, BPTQ_QUAD_PRODUCTS_2_RELU BPTQ_QUAD_STORE_2)                            \
    BPTQ_QUAD_DEFINE(name##_1, BPTQ_QUAD_BEGIN_1 begin_1,                                          \
                     BPTQ_QUAD_FIRST_1 step_1 BPTQ_QUAD_NEXT_1, sums_1,                            \
                     BPTQ_QUAD_PRODUCTS_1 BPTQ_QUAD_STORE_1)                                       \
    BPTQ_QUAD_DEFINE(name##_1_relu, BPTQ_QUAD_BEGIN_1 begin_1,                                     \
                     BPTQ_QUAD_FIRST_1 step_1 BPTQ_QUAD_NEXT_1, sums_1,                            \
                     BPTQ_QUAD_PRODUCTS_1_RELU BPTQ_QUAD_STORE_1)

#else

/* Portable C for weights of `bits`: all channels of one pixel. */
BPTQ_INLINE void bptq_quad_portable(int32_t bits, int32_t relu, int32_t pixel,
                                    const uint32_t *constants, const bptq_quad_pixels *pixels)
{
    const int32_t length = (int32_t)(pixels->x_end - pixels->x[0]);
    const int32_t excess = bits == 8 ? 0 : pixels->excess[pixel];
    /* Channels whose weights share a byte. */
    const int32_t together = 8 / bits;
    const int8_t *x = pixels->x[pixel];
    int8_t *output = pixels->output[pixel];
    for (const uint32_t *at = constants; at != pixels->end;) {
        int32_t sums[4];
        for (int32_t i = 0; i < 4; i++) {
            sums[i] = bptq_wrap(at[i]);
        }
        const int8_t *weights = (const int8_t *)(at + 4);
        for (int32_t k = 0; k < length; k++) {
            for (int32_t i = 0; i < 4; i++) {
                const int32_t byte = weights[i / together * 16];
                const int32_t place = i % together + 1;
                const int32_t masked = byte & ((1 << (bits * place)) - 1);
                const int32_t product = x[k] * (place == together ? byte : masked);
                sums[i] = bptq_add_wrapping(sums[i], product);
            }
            weights += (k & 15) == 15 ? 4 / together * 16 - 15 : 1;
        }
        at += 4 + length * bits / 8;
        for (int32_t i = 3; i >= 0; i--) {
            const int32_t place = i % together;
            if (place > 0) {
                const uint32_t difference = (uint32_t)sums[i] - (uint32_t)sums[i - 1];
                sums[i] = bptq_shift_right(bptq_wrap(difference), bits * place);
            }
            if (place < together - 1) {
                sums[i] = bptq_wrap((uint32_t)sums[i] - (uint32_t)excess);
            }
            output[i] = bptq_quad_output(relu, sums[i], bptq_wrap(at[i]), bptq_wrap(at[4 + i]),
                                         pixels->zero_point);
        }
        at += 8;
        output += 4;
    }
}

#define BPTQ_QUAD_PORTABLE_2(name, bits, relu)                                                     \
    void name(const uint32_t *constants, const bptq_quad_pixels *pixels)                           \
    {                                                                                              \
        bptq_quad_portable(bits, relu, 0, constants, pixels);                                      \
        bptq_quad_portable(bits, relu, 1, constants, pixels);                                      \
    }
#define BPTQ_QUAD_PORTABLE_1(name, bits, relu)                                                     \
    void name(const uint32_t *constants, const bptq_quad_pixels *pixels)                           \
    {                                                                                              \
        bptq_quad_portable(bits, relu, 0, constants, pixels);                                      \
    }
#define BPTQ_QUAD_PORTABLE(name, bits)                                                             \
    BPTQ_QUAD_PORTABLE_2(name, bits, 0)                                                            \
    BPTQ_QUAD_PORTABLE_2(name##_relu, bits, 1)                                                     \
    BPTQ_QUAD_PORTABLE_1(name##_1, bits, 0)                                                        \
    BPTQ_QUAD_PORTABLE_1(name##_1_relu, bits, 1)

#endif

#endif /* BPTQ_QUAD_SUMS_H */

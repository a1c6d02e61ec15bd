/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Tiles of a convolution: all channels of four or two pixels. */
#ifndef BPTQ_TILE_SUMS_H
#define BPTQ_TILE_SUMS_H

#include "bptq_tile_math.h"

/* What a tile needs besides its pointers: the end of its elements and of the layer's constants, bytes
 * from one output pixel to the next, and pairs of elements of a pixel, an even number. */
typedef struct {
    const bptq_pair *x_end;
    const uint32_t *end;
    int32_t pitch;
    int32_t pairs;
} bptq_tile;

/*
 * Outputs of all channels of four pixels (two for _2) whose elements stand in turn: a pair of the first
 * pixel, one of the second, ... _w4 finds behind them, for each pixel, -16 times the sum of its elements.
 * The outputs of the first pixel are written last, so that a pitch of 0 leaves them.
 *
 * _relu: for an output zero point of -128.
 */
#define BPTQ_TILE_FUNCTION(name)                                                                   \
    void name(const bptq_pair *x, const uint32_t *constants, int8_t *output, const bptq_tile *tile)
BPTQ_TILE_FUNCTION(bptq_tile_w8);
BPTQ_TILE_FUNCTION(bptq_tile_w8_relu);
BPTQ_TILE_FUNCTION(bptq_tile_w8_2);
BPTQ_TILE_FUNCTION(bptq_tile_w8_2_relu);
BPTQ_TILE_FUNCTION(bptq_tile_w4);
BPTQ_TILE_FUNCTION(bptq_tile_w4_relu);
BPTQ_TILE_FUNCTION(bptq_tile_w4_2);
BPTQ_TILE_FUNCTION(bptq_tile_w4_2_relu);

/* Registers: 0 elements, 1 constants, 2 and 3 two pixels' pairs, 4 weights of b (or b with a), 5 those
 * of a; 6 to 9 sums of a, 10 to 12 and lr those of b. On the stack: */
#define BPTQ_TILE_X_END "#0"
#define BPTQ_TILE_ENTRY "#4"
#define BPTQ_TILE_X "#8"
#define BPTQ_TILE_END "#12"
#define BPTQ_TILE_OUTPUT "#16"

/* One pixel's pair, in `x`. */
#define BPTQ_TILE_PIXEL(a, b, x)                                                                   \
    "smlad " b ", r4, " x ", " b "\n"                                                              \
    "smlad " a ", r5, " x ", " a "\n"
/* The first ones: the biases stand in r9 and lr, which are the last to become sums. */
#define BPTQ_TILE_FIRST(a, b, x)                                                                   \
    "smlad " a ", r5, " x ", r9\n"                                                                 \
    "smlad " b ", r4, " x ", lr\n"
#define BPTQ_TILE_X2 "ldmia r0!, {r2, r3}\n"
#define BPTQ_TILE_PIXELS_4                                                                         \
    BPTQ_TILE_X2 BPTQ_TILE_PIXEL("r6", "r10", "r2") BPTQ_TILE_PIXEL("r7", "r11", "r3")             \
    BPTQ_TILE_X2 BPTQ_TILE_PIXEL("r8", "r12", "r2") BPTQ_TILE_PIXEL("r9", "lr", "r3")
#define BPTQ_TILE_PIXELS_2                                                                         \
    BPTQ_TILE_X2 BPTQ_TILE_PIXEL("r6", "r10", "r2") BPTQ_TILE_PIXEL("r7", "r11", "r3")
#define BPTQ_TILE_FIRSTS_4                                                                         \
    BPTQ_TILE_X2 BPTQ_TILE_FIRST("r6", "r10", "r2") BPTQ_TILE_FIRST("r7", "r11", "r3")             \
    BPTQ_TILE_X2 BPTQ_TILE_FIRST("r8", "r12", "r2") BPTQ_TILE_PIXEL("r9", "lr", "r3")
#define BPTQ_TILE_FIRSTS_2                                                                         \
    BPTQ_TILE_X2 BPTQ_TILE_FIRST("r6", "r10", "r2") BPTQ_TILE_FIRST("r7", "r11", "r3")

/* Saves registers and keeps what is needed later; a loop of eight pairs, after two, is entered where
 * it comes out even. */
#define BPTQ_TILE_BEGIN                                                                            \
    "push {r4-r11, lr}\n"                                                                          \
    "sub sp, #28\n"                                                                                \
    "ldmia r3, {r4, r5, r6, r7}\n"                                                                 \
    "str r4, [sp, " BPTQ_TILE_X_END "]\n"                                                          \
    "str r0, [sp, " BPTQ_TILE_X "]\n"                                                              \
    "str r5, [sp, " BPTQ_TILE_END "]\n"                                                            \
    "strd r2, r6, [sp, " BPTQ_TILE_OUTPUT "]\n"                                                    \
    "adr r5, 5f\n"                                                                                 \
    "cmp r7, #2\n"                                                                                 \
    "beq 9f\n"                                                                                     \
    "adr r5, 1f\n"                                                                                 \
    "and r7, r7, #7\n"                                                                             \
    "cmp r7, #2\n"                                                                                 \
    "beq 9f\n"                                                                                     \
    "adr r5, 2f\n"                                                                                 \
    "cmp r7, #0\n"                                                                                 \
    "beq 9f\n"                                                                                     \
    "adr r5, 3f\n"                                                                                 \
    "cmp r7, #6\n"                                                                                 \
    "beq 9f\n"                                                                                     \
    "adr r5, 4f\n"                                                                                 \
    "9: orr r5, r5, #1\n"                                                                          \
    "str r5, [sp, " BPTQ_TILE_ENTRY "]\n"                                                          \
    "0: ldmia r1!, {r9, lr}\n"                                                                     \
    "ldr r0, [sp, " BPTQ_TILE_X "]\n"

#define BPTQ_TILE_LOOP(two)                                                                        \
    "ldr r5, [sp, " BPTQ_TILE_ENTRY "]\n"                                                          \
    "bx r5\n"                                                                                      \
    ".balign 4\n"                                                                                  \
    "1:\n" two ".balign 4\n"                                                                       \
    "2:\n" two ".balign 4\n"                                                                       \
    "3:\n" two ".balign 4\n"                                                                       \
    "4:\n" two "ldr r5, [sp, " BPTQ_TILE_X_END "]\n"                                               \
    "cmp r0, r5\n"                                                                                 \
    "bne 1b\n"                                                                                     \
    ".balign 4\n"                                                                                  \
    "5:\n"

/* The sums of b, scaled by a power of two. */
#define BPTQ_TILE_PART_4                                                                           \
    "sub r10, r10, r6\n"                                                                           \
    "sub r11, r11, r7\n"                                                                           \
    "sub r12, r12, r8\n"                                                                           \
    "sub lr, lr, r9\n"
#define BPTQ_TILE_PART_2                                                                           \
    "sub r10, r10, r6\n"                                                                           \
    "sub r11, r11, r7\n"

#define BPTQ_TILE_WORDS "ldmia r1!, {r2, r3}\n" BPTQ_OUTPUT_SHIFT("r4", "r3")

#define BPTQ_TILE_STORE_4                                                                          \
    "ldrd r0, r5, [sp, " BPTQ_TILE_OUTPUT "]\n"                                                    \
    "bfi r6, r10, #8, #8\n"                                                                        \
    "bfi r7, r11, #8, #8\n"                                                                        \
    "bfi r8, r12, #8, #8\n"                                                                        \
    "bfi r9, lr, #8, #8\n"                                                                         \
    "add r2, r0, r5, lsl #1\n"                                                                     \
    "strh r9, [r2, r5]\n"                                                                          \
    "strh r8, [r2]\n"                                                                              \
    "strh r7, [r0, r5]\n"                                                                          \
    "strh r6, [r0], #2\n"                                                                          \
    "str r0, [sp, " BPTQ_TILE_OUTPUT "]\n"
#define BPTQ_TILE_STORE_2                                                                          \
    "ldrd r0, r5, [sp, " BPTQ_TILE_OUTPUT "]\n"                                                    \
    "bfi r6, r10, #8, #8\n"                                                                        \
    "bfi r7, r11, #8, #8\n"                                                                        \
    "strh r7, [r0, r5]\n"                                                                          \
    "strh r6, [r0], #2\n"                                                                          \
    "str r0, [sp, " BPTQ_TILE_OUTPUT "]\n"

#define BPTQ_TILE_FINISH                                                                           \
    "ldr r5, [sp, " BPTQ_TILE_END "]\n"                                                            \
    "cmp r1, r5\n"                                                                                 \
    "bne 0b\n"                                                                                     \
    "add sp, #28\n"                                                                                \
    "pop {r4-r11, pc}\n"

/* The definition of a tile: what it begins with, its first two pairs, two pairs of its loop, how the
 * sums of a and b are doubled, the outputs of a and b. */
#define BPTQ_TILE_DEFINE(name, first, two, doubled, a, b, store)                                   \
    BPTQ_NAKED void name(BPTQ_UNUSED const bptq_pair *x, BPTQ_UNUSED const uint32_t *constants,    \
                         BPTQ_UNUSED int8_t *output, BPTQ_UNUSED const bptq_tile *tile)            \
    {                                                                                              \
        /* In two parts: a string literal has at most 4095 characters. */                          \
        __asm__ volatile(BPTQ_TILE_BEGIN first BPTQ_TILE_LOOP(two));                               \
        __asm__ volatile(doubled BPTQ_TILE_WORDS a BPTQ_TILE_WORDS b store BPTQ_TILE_FINISH);      \
    }

/* The same in portable C, for weights of `bits`. */
BPTQ_INLINE void bptq_tile_portable(int32_t bits, int32_t pixels, const bptq_pair *x,
                                    const uint32_t *constants, int8_t *output,
                                    const bptq_tile *tile)
{
    const uint32_t *at = constants;
    for (; at != tile->end; output += 2) {
        int32_t sums_a[4];
        int32_t sums[4];
        for (int32_t i = 0; i < pixels; i++) {
            sums_a[i] = bptq_wrap(at[0]);
            sums[i] = bptq_wrap(at[1]);
        }
        at += 2;
        for (int32_t pair = 0; pair < tile->pairs; pair++) {
            const uint32_t odd = (uint32_t)pair & 1U;
            const uint32_t word = *at;
            const uint32_t bytes = odd != 0 ? bptq_odd_bytes(word) : bptq_even_bytes(word);
            const uint32_t both = bits == 8 ? word : bytes;
            const uint32_t a = bits == 8 ? bptq_even_bytes(word) : bytes & 0x000F000FU;
            at += bits == 8 ? 1U : odd;
            for (int32_t i = 0; i < pixels; i++) {
                sums[i] = bptq_smlad(both, x[pair * pixels + i], sums[i]);
                sums_a[i] = bptq_smlad(a, x[pair * pixels + i], sums_a[i]);
            }
        }
        for (int32_t i = pixels - 1; i >= 0; i--) {
            const int32_t part = bptq_wrap((uint32_t)sums[i] - (uint32_t)sums_a[i]);
            const uint32_t fix = bits == 8 ? 0 : x[tile->pairs * pixels + i];
            const int32_t a = bptq_wrap(2U * (uint32_t)sums_a[i] + fix);
            const int32_t b = bptq_shift_right(part, bits - 1);
            output[i * tile->pitch] = bptq_tile_output(a, at[0], at[1]);
            output[i * tile->pitch + 1] = bptq_tile_output(b, at[2], at[3]);
        }
        at += 4;
    }
}

#define BPTQ_TILE_PORTABLE(name, bits, pixels)                                                     \
    void name(const bptq_pair *x, const uint32_t *constants, int8_t *output,                       \
              const bptq_tile *tile)                                                               \
    {                                                                                              \
        bptq_tile_portable(bits, pixels, x, constants, output, tile);                              \
    }

#endif /* BPTQ_TILE_SUMS_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Tiles of a convolution, weights of 4 bits. */
#include "bptq_tile_sums.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* A word holds the weights of two pairs and is loaded for each: that saves a register. The sums of bytes
 * a + 8 + 16 b less those of their low fields are 16 times those of b; those of a are too large by 8 times
 * the sum of the elements. */
#define EVEN                                                                                       \
    "ldr r4, [r1]\n"                                                                               \
    "sxtb16 r4, r4\n"                                                                              \
    "and r5, r4, #0x000F000F\n"
#define ODD                                                                                        \
    "ldmia r1!, {r4}\n"                                                                            \
    "sxtb16 r4, r4, ror #8\n"                                                                      \
    "and r5, r4, #0x000F000F\n"
#define FIRST_4 EVEN BPTQ_TILE_FIRSTS_4 ODD BPTQ_TILE_PIXELS_4
#define FIRST_2 EVEN BPTQ_TILE_FIRSTS_2 ODD BPTQ_TILE_PIXELS_2
#define TWO_4 EVEN BPTQ_TILE_PIXELS_4 ODD BPTQ_TILE_PIXELS_4
#define TWO_2 EVEN BPTQ_TILE_PIXELS_2 ODD BPTQ_TILE_PIXELS_2
#define DOUBLED_4                                                                                  \
    BPTQ_TILE_PART_4                                                                               \
    "ldmia r0, {r0, r2, r3, r5}\n"                                                                 \
    "add r6, r0, r6, lsl #1\n"                                                                     \
    "add r7, r2, r7, lsl #1\n"                                                                     \
    "add r8, r3, r8, lsl #1\n"                                                                     \
    "add r9, r5, r9, lsl #1\n"
#define DOUBLED_2                                                                                  \
    BPTQ_TILE_PART_2                                                                               \
    "ldmia r0, {r0, r2}\n"                                                                         \
    "add r6, r0, r6, lsl #1\n"                                                                     \
    "add r7, r2, r7, lsl #1\n"

#define A(x) BPTQ_OUTPUT(x, "r2", "r3", "r4", "r5")
#define B(x) "asr " x ", " x ", #3\n" BPTQ_OUTPUT(x, "r2", "r3", "r4", "r5")
#define A_RELU(x) BPTQ_RELU_OUTPUT(x, "r2", "r3", "r4")
#define B_RELU(x) "asr " x ", " x ", #3\n" BPTQ_RELU_OUTPUT(x, "r2", "r3", "r4")

#define A_4(OUTPUT) OUTPUT("r6") OUTPUT("r7") OUTPUT("r8") OUTPUT("r9")
#define B_4(OUTPUT) OUTPUT("r10") OUTPUT("r11") OUTPUT("r12") OUTPUT("lr")
#define A_2(OUTPUT) OUTPUT("r6") OUTPUT("r7")
#define B_2(OUTPUT) OUTPUT("r10") OUTPUT("r11")

BPTQ_TILE_DEFINE(bptq_tile_w4, FIRST_4, TWO_4, DOUBLED_4, A_4(A), B_4(B), BPTQ_TILE_STORE_4)
BPTQ_TILE_DEFINE(bptq_tile_w4_relu, FIRST_4, TWO_4, DOUBLED_4, A_4(A_RELU), B_4(B_RELU),
                 BPTQ_TILE_STORE_4)
BPTQ_TILE_DEFINE(bptq_tile_w4_2, FIRST_2, TWO_2, DOUBLED_2, A_2(A), B_2(B), BPTQ_TILE_STORE_2)
BPTQ_TILE_DEFINE(bptq_tile_w4_2_relu, FIRST_2, TWO_2, DOUBLED_2, A_2(A_RELU), B_2(B_RELU),
                 BPTQ_TILE_STORE_2)

#else

BPTQ_TILE_PORTABLE(bptq_tile_w4, 4, 4)
BPTQ_TILE_PORTABLE(bptq_tile_w4_relu, 4, 4)
BPTQ_TILE_PORTABLE(bptq_tile_w4_2, 4, 2)
BPTQ_TILE_PORTABLE(bptq_tile_w4_2_relu, 4, 2)

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Tiles of a convolution, weights of 8 bits. */
#include "bptq_tile_sums.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* A word is an operand as it is: its sums are those of a and 256 times those of b, which a difference
 * tells apart, so that b needs no instruction to be unpacked and none to be doubled. */
#define WEIGHTS                                                                                    \
    "ldmia r1!, {r4}\n"                                                                            \
    "sxtb16 r5, r4\n"
#define FIRST_4 WEIGHTS BPTQ_TILE_FIRSTS_4 WEIGHTS BPTQ_TILE_PIXELS_4
#define FIRST_2 WEIGHTS BPTQ_TILE_FIRSTS_2 WEIGHTS BPTQ_TILE_PIXELS_2
#define TWO_4 WEIGHTS BPTQ_TILE_PIXELS_4 WEIGHTS BPTQ_TILE_PIXELS_4
#define TWO_2 WEIGHTS BPTQ_TILE_PIXELS_2 WEIGHTS BPTQ_TILE_PIXELS_2

#define A(x) "lsl " x ", " x ", #1\n" BPTQ_OUTPUT(x, "r2", "r3", "r4", "r5")
#define B(x) "asr " x ", " x ", #7\n" BPTQ_OUTPUT(x, "r2", "r3", "r4", "r5")
#define A_RELU(x) "lsl " x ", " x ", #1\n" BPTQ_RELU_OUTPUT(x, "r2", "r3", "r4")
#define B_RELU(x) "asr " x ", " x ", #7\n" BPTQ_RELU_OUTPUT(x, "r2", "r3", "r4")

#define A_4(OUTPUT) OUTPUT("r6") OUTPUT("r7") OUTPUT("r8") OUTPUT("r9")
#define B_4(OUTPUT) OUTPUT("r10") OUTPUT("r11") OUTPUT("r12") OUTPUT("lr")
#define A_2(OUTPUT) OUTPUT("r6") OUTPUT("r7")
#define B_2(OUTPUT) OUTPUT("r10") OUTPUT("r11")

BPTQ_TILE_DEFINE(bptq_tile_w8, FIRST_4, TWO_4, BPTQ_TILE_PART_4, A_4(A), B_4(B), BPTQ_TILE_STORE_4)
BPTQ_TILE_DEFINE(bptq_tile_w8_relu, FIRST_4, TWO_4, BPTQ_TILE_PART_4, A_4(A_RELU), B_4(B_RELU),
                 BPTQ_TILE_STORE_4)
BPTQ_TILE_DEFINE(bptq_tile_w8_2, FIRST_2, TWO_2, BPTQ_TILE_PART_2, A_2(A), B_2(B),
                 BPTQ_TILE_STORE_2)
BPTQ_TILE_DEFINE(bptq_tile_w8_2_relu, FIRST_2, TWO_2, BPTQ_TILE_PART_2, A_2(A_RELU), B_2(B_RELU),
                 BPTQ_TILE_STORE_2)

#else

BPTQ_TILE_PORTABLE(bptq_tile_w8, 8, 4)
BPTQ_TILE_PORTABLE(bptq_tile_w8_relu, 8, 4)
BPTQ_TILE_PORTABLE(bptq_tile_w8_2, 8, 2)
BPTQ_TILE_PORTABLE(bptq_tile_w8_2_relu, 8, 2)

#endif

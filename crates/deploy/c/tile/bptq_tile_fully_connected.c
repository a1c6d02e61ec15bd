/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fully connected layer, 8-bit activations: eight outputs at a time. */
#include "bptq_tile_math.h"

/* The end of the elements, and of the layer's constants. */
typedef struct {
    const bptq_pair *x_end;
    const uint32_t *end;
} bounds;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Registers: 0 elements, 1 constants, 2 a pair of elements, 3 and 4 weights, 5 those of one channel; 6 to
 * 12 and lr sums a, b, a, b, ... As in tiles of a convolution, those of b hold those of a too. */
#define TWO(w, a, b)                                                                               \
    "sxtb16 r5, " w "\n"                                                                           \
    "smlad " b ", " w ", r2, " b "\n"                                                              \
    "smlad " a ", r5, r2, " a "\n"
#define PAIR                                                                                       \
    "ldmia r1!, {r3, r4}\n"                                                                        \
    "ldmia r0!, {r2}\n" TWO("r3", "r6", "r7") TWO("r4", "r8", "r9") "ldmia r1!, {r3, r4}\n"        \
    TWO("r3", "r10", "r11") TWO("r4", "r12", "lr")
#define WORDS "ldmia r1!, {r2, r3}\n" BPTQ_OUTPUT_SHIFT("r4", "r3")
#define A(x) WORDS "lsl " x ", " x ", #1\n" BPTQ_OUTPUT(x, "r2", "r3", "r4", "r5")
#define B(x) WORDS "asr " x ", " x ", #7\n" BPTQ_OUTPUT(x, "r2", "r3", "r4", "r5")

BPTQ_NAKED static void outputs(BPTQ_UNUSED const bptq_pair *x,
                               BPTQ_UNUSED const uint32_t *constants, BPTQ_UNUSED int8_t *output,
                               BPTQ_UNUSED const bounds *ends)
{
    __asm__ volatile("push {r4-r11, lr}\n"
                     "sub sp, #20\n"
                     "ldrd r4, r5, [r3]\n"
                     "strd r4, r5, [sp]\n"
                     "strd r0, r2, [sp, #8]\n"
                     "0: ldmia r1!, {r6-r12, lr}\n"
                     "ldr r0, [sp, #8]\n"
                     "1:\n" PAIR PAIR "ldr r2, [sp]\n"
                     "cmp r0, r2\n"
                     "bne 1b\n"
                     "sub r7, r7, r6\n"
                     "sub r9, r9, r8\n"
                     "sub r11, r11, r10\n"
                     "sub lr, lr, r12\n" A("r6") B("r7") A("r8") B("r9") A("r10") B("r11") A("r12")
                         B("lr") "ldr r0, [sp, #12]\n"
                     "bfi r6, r7, #8, #8\n"
                     "bfi r8, r9, #8, #8\n"
                     "bfi r10, r11, #8, #8\n"
                     "bfi r12, lr, #8, #8\n"
                     "strh r6, [r0], #2\n"
                     "strh r8, [r0], #2\n"
                     "strh r10, [r0], #2\n"
                     "strh r12, [r0], #2\n"
                     "str r0, [sp, #12]\n"
                     "ldr r2, [sp, #4]\n"
                     "cmp r1, r2\n"
                     "bne 0b\n"
                     "add sp, #20\n"
                     "pop {r4-r11, pc}\n");
}

#else

static void outputs(const bptq_pair *x, const uint32_t *constants, int8_t *output,
                    const bounds *ends)
{
    for (const uint32_t *at = constants; at != ends->end; output += 8) {
        int32_t sums[8];
        for (int32_t i = 0; i < 8; i++) {
            sums[i] = bptq_wrap(*at++);
        }
        for (const bptq_pair *pair = x; pair != ends->x_end; pair++) {
            for (int32_t i = 0; i < 8; i += 2) {
                sums[i] = bptq_smlad(bptq_even_bytes(*at), *pair, sums[i]);
                sums[i + 1] = bptq_smlad(*at++, *pair, sums[i + 1]);
            }
        }
        for (int32_t i = 0; i < 8; i += 2) {
            const uint32_t a = (uint32_t)sums[i];
            const int32_t part = bptq_wrap((uint32_t)sums[i + 1] - a);
            output[i] = bptq_tile_output(bptq_wrap(2U * a), at[0], at[1]);
            output[i + 1] = bptq_tile_output(bptq_shift_right(part, 7), at[2], at[3]);
            at += 4;
        }
    }
}

#endif

void bptq_tile_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch)
{
    const uint32_t *constants = (const uint32_t *)op->weighted.weights;
    bptq_pair *x = (bptq_pair *)(void *)scratch;
    bptq_pair *to = x;
    for (int32_t i = 0; i < op->in_features; i += 4) {
        const uint32_t word = bptq_load(input + i);
        to[0] = bptq_even_bytes(word);
        to[1] = bptq_odd_bytes(word);
        to += 2;
    }
    const bounds ends = {to, constants + op->out_features / 8 * (24 + 2 * op->in_features)};
    outputs(x, constants, output, &ends);
}

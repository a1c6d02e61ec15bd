/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Element-wise sum, 8-bit activations. */
#include "bptq_sum.h"
#include "bptq_tile_math.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* An element of the rescaled input in r10, and of the plain one in r11. */
#define ELEMENT(rotation, place)                                                                   \
    "sxtb r12, r10" rotation "\n"                                                                  \
    "rsb r12, r3, r12, lsl #21\n"                                                                  \
    "add lr, r4, r12, asr #31\n"                                                                   \
    "smmlar r12, r12, r5, lr\n"                                                                    \
    "asr r12, r12, r6\n"                                                                           \
    "sxtb lr, r11" rotation "\n"                                                                   \
    "add r12, r12, lr, lsl #19\n"                                                                  \
    "lsl r12, r12, #1\n"                                                                           \
    "smmlar r12, r12, r7, r8\n"                                                                    \
    "asr r12, r12, r9\n"                                                                           \
    "ssat r12, #8, r12\n"                                                                          \
    "strb r12, [r2, #" place "]\n"

/* `length` stands on the stack, as the fifth argument. */
BPTQ_NAKED static void add(BPTQ_UNUSED const int8_t *x, BPTQ_UNUSED const int8_t *plain,
                           BPTQ_UNUSED int8_t *output, BPTQ_UNUSED const bptq_sum *by,
                           BPTQ_UNUSED int32_t length)
{
    __asm__ volatile("push {r4-r11, lr}\n"
                     "sub sp, #4\n"
                     "ldr r4, [sp, #40]\n"
                     "add r4, r0, r4\n"
                     "str r4, [sp]\n"
                     "ldmia r3, {r3-r9}\n"
                     "1: ldr r10, [r0], #4\n"
                     "ldr r11, [r1], #4\n" ELEMENT("", "0") ELEMENT(", ror #8", "1")
                         ELEMENT(", ror #16", "2") ELEMENT(", ror #24", "3") "ldr lr, [sp]\n"
                     "adds r2, #4\n"
                     "cmp r0, lr\n"
                     "bne 1b\n"
                     "add sp, #4\n"
                     "pop {r4-r11, pc}\n");
}

#else

/* a * b / 2^32, rounded half up, and `offset` on top. */
static int32_t high(int32_t a, int32_t b, int32_t offset)
{
    return bptq_add_wrapping(bptq_high_word(a, b), offset);
}

static void add(const int8_t *x, const int8_t *plain, int8_t *output, const bptq_sum *by,
                int32_t length)
{
    for (int32_t i = 0; i < length; i++) {
        const int32_t shifted = bptq_wrap(((uint32_t)(int32_t)x[i] << 21) - by->zero_point);
        const int32_t away = bptq_shift_right(shifted, 31);
        const int32_t offset = bptq_add_wrapping(bptq_wrap(by->offset), away);
        const int32_t scaled = bptq_shift_right(high(shifted, by->quantized, offset), by->shift);
        const uint32_t sum = (uint32_t)scaled + ((uint32_t)(int32_t)plain[i] << 19);
        const int32_t out = high(bptq_wrap(2U * sum), by->output_quantized,
                                 bptq_wrap(by->output_offset));
        output[i] = (int8_t)bptq_saturated(bptq_shift_right(out, by->output_shift));
    }
}

#endif

void bptq_tile_add_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b,
                      int8_t *output)
{
    const bptq_sum by = bptq_sum_of(op);
    const int32_t plain_a = bptq_sum_plain_a(op);
    add(plain_a ? b : a, plain_a ? a : b, output, &by, op->length);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Lines of a depthwise convolution with a kernel of 3x3. */
#include "bptq_tile_lines.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/*
 * Registers: 0 pairs, 1 outputs, 2 and 3 elements, 4 to 7 four sums; each row's weights as pairs
 * (w0, w1) and (w1, w2), doubled: 8 and 9, 10 and 11, 12 and lr. On the stack:
 */
#define MULTIPLIER "#0" /* two words */
#define SHIFT "#8"      /* and the next one */
#define PIXEL "#12"
#define BIAS "#16"
#define PAIRS_END "#20"
#define LINES "#24"
#define LINE_OUTPUT "#28" /* and the next one */
#define CHANNEL_X "#36"   /* and the next one */
#define CHANNEL_OUTPUT "#40"
#define CONSTANTS "#44"
#define CHANNELS "#48"
#define PARAMETERS "#52"
#define SPAN "#56"
#define TAIL "#60"
#define LEFT "#64"

/* The pair `pair` of line `row`; `bytes` a pair. */
#define LOAD(x, bytes, pair, row) "ldr " x ", [r0, #" #bytes "*" #pair "+16*" #row "]\n"

/* A row of weights below two or four outputs; the sums `s0`.. are added to. Outputs j and j + 1 meet pairs
 * p and p + 1: (x[j-1], x[j]) and (x[j+1], x[j+2]). */
#define STRIDE_1_2(bytes, row, w01, w12, s0, s1)                                                   \
    LOAD("r2", bytes, 0, row)                                                                      \
    LOAD("r3", bytes, 1, row)                                                                      \
    "smlad r4, r2, " w01 ", " s0 "\n"                                                              \
    "smlatb r5, r2, " w01 ", " s1 "\n"                                                             \
    "smlabt r4, r3, " w12 ", r4\n"                                                                 \
    "smlad r5, r3, " w12 ", r5\n"
#define STRIDE_1_4(bytes, row, w01, w12, s0, s1, s2, s3)                                           \
    STRIDE_1_2(bytes, row, w01, w12, s0, s1)                                                       \
    LOAD("r2", bytes, 2, row)                                                                      \
    "smlad r6, r3, " w01 ", " s2 "\n"                                                              \
    "smlatb r7, r3, " w01 ", " s3 "\n"                                                             \
    "smlabt r6, r2, " w12 ", r6\n"                                                                 \
    "smlad r7, r2, " w12 ", r7\n"
/* Output j meets pairs j and j + 1: (x[2j-1], x[2j]) and (x[2j+1], .). */
#define STRIDE_2_2(bytes, row, w01, w12, s0, s1)                                                   \
    LOAD("r2", bytes, 0, row)                                                                      \
    LOAD("r3", bytes, 1, row)                                                                      \
    "smlad r4, r2, " w01 ", " s0 "\n"                                                              \
    "smlabt r4, r3, " w12 ", r4\n" LOAD("r2", bytes, 2, row) "smlad r5, r3, " w01 ", " s1 "\n"     \
    "smlabt r5, r2, " w12 ", r5\n"
#define STRIDE_2_4(bytes, row, w01, w12, s0, s1, s2, s3)                                           \
    STRIDE_2_2(bytes, row, w01, w12, s0, s1)                                                       \
    LOAD("r3", bytes, 3, row)                                                                      \
    "smlad r6, r2, " w01 ", " s2 "\n"                                                              \
    "smlabt r6, r3, " w12 ", r6\n" LOAD("r2", bytes, 4, row) "smlad r7, r3, " w01 ", " s3 "\n"     \
    "smlabt r7, r2, " w12 ", r7\n"

/* The bias stands in the register of the last sum. */
#define SUMS_4(ROW, bytes)                                                                         \
    "ldr r7, [sp, " BIAS "]\n" ROW(bytes, 0, "r8", "r9", "r7", "r7", "r7", "r7")                   \
        ROW(bytes, 1, "r10", "r11", "r4", "r5", "r6", "r7")                                        \
            ROW(bytes, 2, "r12", "lr", "r4", "r5", "r6", "r7")
#define SUMS_2(ROW, bytes)                                                                         \
    "ldr r5, [sp, " BIAS "]\n" ROW(bytes, 0, "r8", "r9", "r5", "r5")                               \
        ROW(bytes, 1, "r10", "r11", "r4", "r5") ROW(bytes, 2, "r12", "lr", "r4", "r5")

#define HIGH(x) "smmlar " x ", " x ", r2, r3\n"
#define OUTPUT(x)                                                                                  \
    "asr " x ", " x ", r2\n"                                                                       \
    "ssat " x ", #8, " x ", asr #1\n"
/* Register 3 holds bytes to the next output from here on. */
#define OUTPUTS_4                                                                                  \
    "ldrd r2, r3, [sp, " MULTIPLIER "]\n" HIGH("r4") HIGH("r5") HIGH("r6") HIGH("r7")              \
    "ldrd r2, r3, [sp, " SHIFT "]\n" OUTPUT("r4") OUTPUT("r5") OUTPUT("r6") OUTPUT("r7")
#define OUTPUTS_2                                                                                  \
    "ldrd r2, r3, [sp, " MULTIPLIER "]\n" HIGH("r4") HIGH("r5")                                    \
    "ldrd r2, r3, [sp, " SHIFT "]\n" OUTPUT("r4") OUTPUT("r5")

/* A row's weights from the bytes w0, w1, w1, w2. */
#define ROW_WEIGHTS(offset, w01, w12)                                                              \
    "ldr r2, [r1, " offset "]\n"                                                                   \
    "sxtb16 " w01 ", r2\n"                                                                         \
    "sxtb16 " w12 ", r2, ror #8\n"                                                                 \
    "sadd16 " w01 ", " w01 ", " w01 "\n"                                                           \
    "sadd16 " w12 ", " w12 ", " w12 "\n"

#define BEGIN                                                                                      \
    "push {r4-r11, lr}\n"                                                                          \
    "sub sp, #68\n"                                                                                \
    "str r0, [sp, " CHANNEL_X "]\n"                                                                \
    "str r2, [sp, " CHANNEL_OUTPUT "]\n"                                                           \
    "str r1, [sp, " CONSTANTS "]\n"                                                                \
    "str r3, [sp, " PARAMETERS "]\n"                                                               \
    "ldrd r4, r5, [r3, #12]\n"                                                                     \
    "strd r4, r5, [sp, " SPAN "]\n"                                                                \
    "ldr r4, [r3, #20]\n"                                                                          \
    "str r4, [sp, " PIXEL "]\n"                                                                    \
    "movs r4, #4\n"                                                                                \
    "str r4, [sp, " CHANNELS "]\n"                                                                 \
    "0: ldr r1, [sp, " CONSTANTS "]\n"                                                             \
    "ldr r3, [sp, " PARAMETERS "]\n"                                                               \
    "ldmia r3, {r4, r5, r6}\n" ROW_WEIGHTS("r4", "r8", "r9") ROW_WEIGHTS("r5", "r10", "r11")       \
        ROW_WEIGHTS("r6", "r12", "lr")                                                             \
    "adds r1, #12\n"                                                                               \
    "ldmia r1!, {r4, r5, r6}\n"                                                                    \
    "strd r4, r5, [sp, " MULTIPLIER "]\n"                                                          \
    "str r6, [sp, " BIAS "]\n" BPTQ_OUTPUT_SHIFT("r7", "r5")                                       \
    "str r7, [sp, " SHIFT "]\n"                                                                    \
    "str r1, [sp, " CONSTANTS "]\n"                                                                \
    "ldr r2, [r3, #24]\n"                                                                          \
    "str r2, [sp, " LINES "]\n"                                                                    \
    "ldrd r0, r1, [sp, " CHANNEL_X "]\n"                                                           \
    "adds r2, r0, #4\n"                                                                            \
    "adds r3, r1, #1\n"                                                                            \
    "strd r2, r3, [sp, " CHANNEL_X "]\n"                                                           \
    "1: strd r1, r0, [sp, " LINE_OUTPUT "]\n"                                                      \
    "ldrd r2, r3, [sp, " SPAN "]\n"                                                                \
    "adds r2, r0, r2\n"                                                                            \
    "str r2, [sp, " PAIRS_END "]\n"                                                                \
    "cmp r2, r0\n"                                                                                 \
    "beq 3f\n"

/* Whole groups of four outputs, which move on by `pairs` pairs. */
#define GROUPS(ROW, bytes, pairs)                                                                  \
    "2:\n" SUMS_4(ROW, bytes) OUTPUTS_4                                                            \
    "strb r4, [r1]\n"                                                                              \
    "strb r5, [r1, r3]\n"                                                                          \
    "add r1, r1, r3, lsl #1\n"                                                                     \
    "strb r6, [r1]\n"                                                                              \
    "strb r7, [r1, r3]\n"                                                                          \
    "add r1, r1, r3, lsl #1\n"                                                                     \
    "ldr r2, [sp, " PAIRS_END "]\n"                                                                \
    "add r0, r0, #" #bytes "*" #pairs "\n"                                                         \
    "cmp r0, r2\n"                                                                                 \
    "bne 2b\n"

/* Two outputs, or one, of what is left; lines; channels. */
#define END(ROW, bytes, pairs)                                                                     \
    "3: ldr r2, [sp, " TAIL "]\n"                                                                  \
    "cmp r2, #0\n"                                                                                 \
    "beq 5f\n"                                                                                     \
    "4: str r2, [sp, " LEFT "]\n" SUMS_2(ROW, bytes) OUTPUTS_2                                     \
    "ldr r2, [sp, " LEFT "]\n"                                                                     \
    "strb r4, [r1]\n"                                                                              \
    "cmp r2, #1\n"                                                                                 \
    "it hi\n"                                                                                      \
    "strbhi r5, [r1, r3]\n"                                                                        \
    "add r1, r1, r3, lsl #1\n"                                                                     \
    "add r0, r0, #" #bytes "*" #pairs "\n"                                                         \
    "subs r2, #2\n"                                                                                \
    "bgt 4b\n"                                                                                     \
    "5: ldr r2, [sp, " LINES "]\n"                                                                 \
    "subs r2, #1\n"                                                                                \
    "beq 6f\n"                                                                                     \
    "str r2, [sp, " LINES "]\n"                                                                    \
    "ldr r3, [sp, " PARAMETERS "]\n"                                                               \
    "ldrd r4, r5, [r3, #28]\n"                                                                     \
    "ldrd r1, r0, [sp, " LINE_OUTPUT "]\n"                                                         \
    "add r1, r1, r4\n"                                                                             \
    "add r0, r0, r5\n"                                                                             \
    "b 1b\n"                                                                                       \
    "6: ldr r2, [sp, " CHANNELS "]\n"                                                              \
    "subs r2, #1\n"                                                                                \
    "str r2, [sp, " CHANNELS "]\n"                                                                 \
    "bne 0b\n"                                                                                     \
    "add sp, #68\n"                                                                                \
    "pop {r4-r11, pc}\n"

#define DEFINE(name, STRIDE, bytes, pairs_4, pairs_2)                                              \
    BPTQ_NAKED void name(BPTQ_UNUSED const bptq_pair *x, BPTQ_UNUSED const uint32_t *constants,    \
                         BPTQ_UNUSED int8_t *output, BPTQ_UNUSED const bptq_tile_lines *lines)     \
    {                                                                                              \
        /* In parts: a string literal has at most 4095 characters. */                              \
        __asm__ volatile(BEGIN);                                                                   \
        __asm__ volatile(GROUPS(STRIDE##_4, bytes, pairs_4));                                      \
        __asm__ volatile(END(STRIDE##_2, bytes, pairs_2));                                         \
    }

DEFINE(bptq_tile_slots_1, STRIDE_1, 48, 2, 1)
DEFINE(bptq_tile_slots_2, STRIDE_2, 48, 4, 2)
DEFINE(bptq_tile_plane_1, STRIDE_1, 224, 2, 1)
DEFINE(bptq_tile_plane_2, STRIDE_2, 288, 4, 2)

#define ONE_PAIR                                                                                   \
    "ldr r4, [r0]\n"                                                                               \
    "ldr r5, [r0, r1]\n"                                                                           \
    "add r0, r0, r1, lsl #1\n"                                                                     \
    "pkhbt r7, r4, r5, lsl #16\n"                                                                  \
    "pkhtb r8, r5, r4, asr #16\n"                                                                  \
    "sxtb16 r4, r7\n"                                                                              \
    "sxtb16 r5, r7, ror #8\n"                                                                      \
    "sxtb16 r6, r8\n"                                                                              \
    "sxtb16 r7, r8, ror #8\n"                                                                      \
    "stmia r3, {r4-r7}\n"                                                                          \
    "add r3, r3, r9\n"

/* `step` stands on the stack, as the fifth argument. */
BPTQ_NAKED void bptq_tile_pairs(BPTQ_UNUSED const int8_t *line, BPTQ_UNUSED int32_t pixel,
                                BPTQ_UNUSED int32_t count, BPTQ_UNUSED bptq_pair *to,
                                BPTQ_UNUSED int32_t step)
{
    __asm__ volatile("push {r4-r9, lr}\n"
                     "ldr r9, [sp, #28]\n"
                     "lsrs r2, r2, #1\n"
                     "bcc 1f\n" ONE_PAIR
                     /* Only the shift has set flags: there was one pair. */
                     "beq 2f\n"
                     "1:\n" ONE_PAIR ONE_PAIR "subs r2, r2, #1\n"
                     "bne 1b\n"
                     "2: pop {r4-r9, pc}\n");
}

#else

void bptq_tile_pairs(const int8_t *line, int32_t pixel, int32_t count, bptq_pair *to,
                     int32_t step)
{
    for (; count > 0; count--) {
        bptq_tile_store_pair(to, bptq_load(line), bptq_load(line + pixel));
        line += 2 * pixel;
        to += step / 4;
    }
}

BPTQ_INLINE void compute(int32_t stride, int32_t bytes, const bptq_pair *x,
                         const uint32_t *constants, int8_t *output, const bptq_tile_lines *lines)
{
    const int32_t words = bytes / 4;
    const int32_t width = lines->span / (bytes * stride) * 2 + lines->tail;
    for (int32_t channel = 0; channel < 4; channel++) {
        const uint32_t *own = constants + BPTQ_TILE_CHANNEL * channel;
        for (int32_t line = 0; line < lines->lines; line++) {
            const bptq_pair *first = x + channel + line * lines->step / 4;
            for (int32_t i = 0; i < width; i++) {
                int32_t sum = 0;
                for (int32_t row = 0; row < 3; row++) {
                    const uint32_t w = own[lines->rows[row] / 4];
                    const uint32_t w01 = bptq_even_bytes(w);
                    const uint32_t w12 = bptq_odd_bytes(w);
                    const bptq_pair *at = first + 4 * row + i * stride / 2 * words;
                    if (stride == 1 && (i & 1) != 0) {
                        sum = bptq_smlad(at[0] >> 16, w01 & 0xFFFFU, sum);
                        sum = bptq_smlad(at[words], w12, sum);
                    } else {
                        sum = bptq_smlad(at[0], w01, sum);
                        sum = bptq_smlad(at[words] & 0xFFFFU, w12 >> 16, sum);
                    }
                }
                const int32_t doubled = bptq_wrap(2U * (uint32_t)sum + own[5]);
                output[line * lines->line + i * lines->pixel + channel] =
                    bptq_tile_output(doubled, own[3], own[4]);
            }
        }
    }
}

#define DEFINE(name, stride, bytes)                                                                \
    void name(const bptq_pair *x, const uint32_t *constants, int8_t *output,                       \
              const bptq_tile_lines *lines)                                                        \
    {                                                                                              \
        compute(stride, bytes, x, constants, output, lines);                                       \
    }

DEFINE(bptq_tile_slots_1, 1, BPTQ_TILE_SLOTS)
DEFINE(bptq_tile_slots_2, 2, BPTQ_TILE_SLOTS)
DEFINE(bptq_tile_plane_1, 1, BPTQ_TILE_PLANE_1)
DEFINE(bptq_tile_plane_2, 2, BPTQ_TILE_PLANE_2)

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Fully connected layer of 8-bit inputs: eight outputs of 8 or 16 bits at a time. */
#include "bptq_tile_math.h"

/* The ends of the elements and of the layer's constants; for _w4, what takes 8 off every weight of a
 * first sum, and of a last one: -8 and -8 * 273 times the sum of the elements. */
typedef struct {
    const bptq_pair *x_end;
    const uint32_t *end;
    uint32_t less;
    uint32_t less_last;
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
/* Sums a, b, c, d of four channels: the fields of a half of a word, from the low one on. */
#define FOUR(w, a, b, c, d)                                                                        \
    "and r5, " w ", #0x000F000F\n"                                                                 \
    "smlad " d ", " w ", r2, " d "\n"                                                              \
    "smlad " a ", r5, r2, " a "\n"                                                                 \
    "and r5, " w ", #0x00F000F0\n"                                                                 \
    "smlad " b ", r5, r2, " b "\n"                                                                 \
    "and r5, " w ", #0x0F000F00\n"                                                                 \
    "smlad " c ", r5, r2, " c "\n"
#define PAIR_OF_FOURS                                                                              \
    "ldmia r1!, {r3, r4}\n"                                                                        \
    "ldmia r0!, {r2}\n" FOUR("r3", "r6", "r7", "r8", "r9") FOUR("r4", "r10", "r11", "r12", "lr")

#define WORDS "ldmia r1!, {r2, r3}\n" BPTQ_OUTPUT_SHIFT("r4", "r3")
/* The output of `bits` of a sum, or of one that is scaled by 2^(shift + 1). */
#define PLAIN(bits, x)                                                                             \
    WORDS "lsl " x ", " x ", #1\n" BPTQ_OUTPUT_OF(bits, x, "r2", "r3", "r4", "r5")
#define SCALED(bits, x, shift)                                                                     \
    WORDS "asr " x ", " x ", #" shift "\n" BPTQ_OUTPUT_OF(bits, x, "r2", "r3", "r4", "r5")
#define STORE_8                                                                                    \
    "bfi r6, r7, #8, #8\n"                                                                         \
    "bfi r8, r9, #8, #8\n"                                                                         \
    "bfi r10, r11, #8, #8\n"                                                                       \
    "bfi r12, lr, #8, #8\n"                                                                        \
    "strh r6, [r0], #2\n"                                                                          \
    "strh r8, [r0], #2\n"                                                                          \
    "strh r10, [r0], #2\n"                                                                         \
    "strh r12, [r0], #2\n"
#define STORE_16                                                                                   \
    "pkhbt r6, r6, r7, lsl #16\n"                                                                  \
    "pkhbt r8, r8, r9, lsl #16\n"                                                                  \
    "pkhbt r10, r10, r11, lsl #16\n"                                                               \
    "pkhbt r12, r12, lr, lsl #16\n"                                                                \
    "str r6, [r0], #4\n"                                                                           \
    "str r8, [r0], #4\n"                                                                           \
    "str r10, [r0], #4\n"                                                                          \
    "str r12, [r0], #4\n"

/* Sums of eight channels whose weights have 8 bits, and their outputs of `bits`. */
#define DEFINE_OUTPUTS_W8(name, type, bits, store)                                                 \
    BPTQ_NAKED static void name(BPTQ_UNUSED const bptq_pair *x,                                    \
                                BPTQ_UNUSED const uint32_t *constants,                             \
                                BPTQ_UNUSED type *output, BPTQ_UNUSED const bounds *ends)          \
    {                                                                                              \
        __asm__ volatile("push {r4-r11, lr}\n"                                                     \
                         "sub sp, #20\n"                                                           \
                         "ldrd r4, r5, [r3]\n"                                                     \
                         "strd r4, r5, [sp]\n"                                                     \
                         "strd r0, r2, [sp, #8]\n"                                                 \
                         "0: ldmia r1!, {r6-r12, lr}\n"                                            \
                         "ldr r0, [sp, #8]\n"                                                      \
                         "1:\n" PAIR PAIR "ldr r2, [sp]\n"                                         \
                         "cmp r0, r2\n"                                                            \
                         "bne 1b\n"                                                                \
                         "sub r7, r7, r6\n"                                                        \
                         "sub r9, r9, r8\n"                                                        \
                         "sub r11, r11, r10\n"                                                     \
                         "sub lr, lr, r12\n");                                                     \
        __asm__ volatile(PLAIN(bits, "r6") SCALED(bits, "r7", "7") PLAIN(bits, "r8")               \
                             SCALED(bits, "r9", "7") PLAIN(bits, "r10") SCALED(bits, "r11", "7")   \
                                 PLAIN(bits, "r12") SCALED(bits, "lr", "7")                        \
                         "ldr r0, [sp, #12]\n" store "str r0, [sp, #12]\n"                         \
                         "ldr r2, [sp, #4]\n"                                                      \
                         "cmp r1, r2\n"                                                            \
                         "bne 0b\n"                                                                \
                         "add sp, #20\n"                                                           \
                         "pop {r4-r11, pc}\n");                                                    \
    }

DEFINE_OUTPUTS_W8(outputs_w8, int8_t, "8", STORE_8)
DEFINE_OUTPUTS_W8(outputs_w8_s16, int16_t, "16", STORE_16)

/* Sums of eight channels whose weights stand in fours, and the outputs that `finish` makes of them. */
#define DEFINE_OUTPUTS_W4(name, type, finish, store)                                               \
    BPTQ_NAKED static void name(BPTQ_UNUSED const bptq_pair *x,                                    \
                                BPTQ_UNUSED const uint32_t *constants,                             \
                                BPTQ_UNUSED type *output, BPTQ_UNUSED const bounds *ends)          \
    {                                                                                              \
        __asm__ volatile("push {r4-r11, lr}\n"                                                     \
                         "sub sp, #28\n"                                                           \
                         "ldmia r3, {r4, r5, r6, r7}\n"                                            \
                         "strd r4, r5, [sp]\n"                                                     \
                         "strd r0, r2, [sp, #8]\n"                                                 \
                         "strd r6, r7, [sp, #16]\n"                                                \
                         "0: ldmia r1!, {r6-r12, lr}\n"                                            \
                         "ldr r0, [sp, #8]\n"                                                      \
                         "ldrd r2, r3, [sp, #16]\n"                                                \
                         "add r6, r6, r2\n"                                                        \
                         "add r7, r7, r2, lsl #4\n"                                                \
                         "add r8, r8, r2, lsl #8\n"                                                \
                         "add r9, r9, r3\n"                                                        \
                         "add r10, r10, r2\n"                                                      \
                         "add r11, r11, r2, lsl #4\n"                                              \
                         "add r12, r12, r2, lsl #8\n"                                              \
                         "add lr, lr, r3\n"                                                        \
                         "1:\n" PAIR_OF_FOURS PAIR_OF_FOURS "ldr r2, [sp]\n"                       \
                         "cmp r0, r2\n"                                                            \
                         "bne 1b\n"                                                                \
                         "sub r9, r9, r6\n"                                                        \
                         "sub r9, r9, r7\n"                                                        \
                         "sub r9, r9, r8\n"                                                        \
                         "sub lr, lr, r10\n"                                                       \
                         "sub lr, lr, r11\n"                                                       \
                         "sub lr, lr, r12\n");                                                     \
        __asm__ volatile(finish "ldr r0, [sp, #12]\n" store "str r0, [sp, #12]\n"                  \
                                "ldr r2, [sp, #4]\n"                                               \
                                "cmp r1, r2\n"                                                     \
                                "bne 0b\n"                                                         \
                                "add sp, #28\n"                                                    \
                                "pop {r4-r11, pc}\n");                                             \
    }

#define FINISH_FOUR(bits, a, b, c, d)                                                              \
    PLAIN(bits, a) SCALED(bits, b, "3") SCALED(bits, c, "7") SCALED(bits, d, "11")
#define FINISH(bits)                                                                               \
    FINISH_FOUR(bits, "r6", "r7", "r8", "r9") FINISH_FOUR(bits, "r10", "r11", "r12", "lr")
DEFINE_OUTPUTS_W4(outputs_w4, int8_t, FINISH("8"), STORE_8)
DEFINE_OUTPUTS_W4(outputs_w4_s16, int16_t, FINISH("16"), STORE_16)

/* The same of three words a channel, of sums that the multiplier may shift to the left. */
#define LEFT(bits, x, doubled)                                                                     \
    "ldmia r1!, {r2, r3, r4}\n" doubled " " x ", " x ", r4\n"                                      \
    "asr r5, r4, #16\n"                                                                            \
    "and r5, r5, " x ", asr #31\n"                                                                 \
    "add r5, r5, r3\n"                                                                             \
    "smmlar " x ", " x ", r2, r5\n"                                                                \
    "ubfx r4, r4, #8, #8\n"                                                                        \
    "asr " x ", " x ", r4\n"                                                                       \
    "ssat " x ", #" bits ", " x "\n"
#define LEFT_FOUR(bits, a, b, c, d)                                                                \
    LEFT(bits, a, "lsl " a ", " a ", #1\nlsl")                                                     \
    LEFT(bits, b, "asr " b ", " b ", #3\nlsl")                                                     \
    LEFT(bits, c, "asr " c ", " c ", #7\nlsl")                                                     \
    LEFT(bits, d, "asr " d ", " d ", #11\nlsl")
#define FINISH_LEFT(bits)                                                                          \
    LEFT_FOUR(bits, "r6", "r7", "r8", "r9") LEFT_FOUR(bits, "r10", "r11", "r12", "lr")
DEFINE_OUTPUTS_W4(outputs_w4_left, int8_t, FINISH_LEFT("8"), STORE_8)
DEFINE_OUTPUTS_W4(outputs_w4_left_s16, int16_t, FINISH_LEFT("16"), STORE_16)

#else

/* What a type makes of an output. */
BPTQ_INLINE int8_t narrow(int32_t x)
{
    return (int8_t)bptq_saturated(x);
}

BPTQ_INLINE int16_t wide(int32_t x)
{
    return (int16_t)(x < -32768 ? -32768 : x > 32767 ? 32767 : x);
}

/* Eight sums of weights of 8 bits, doubled; returns where the weights end. */
static const uint32_t *sums_w8(const bptq_pair *x, const uint32_t *at, const bounds *ends,
                               int32_t *doubled)
{
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
        doubled[i] = bptq_wrap(2U * a);
        doubled[i + 1] = bptq_shift_right(bptq_wrap((uint32_t)sums[i + 1] - a), 7);
    }
    return at;
}

/* The same of weights of 4 bits. */
static const uint32_t *sums_w4(const bptq_pair *x, const uint32_t *at, const bounds *ends,
                               int32_t *doubled)
{
    int32_t sums[8];
    for (int32_t i = 0; i < 8; i += 4) {
        for (int32_t j = 0; j < 3; j++) {
            sums[i + j] = bptq_wrap(*at++ + (ends->less << (4 * j)));
        }
        sums[i + 3] = bptq_wrap(*at++ + ends->less_last);
    }
    for (const bptq_pair *pair = x; pair != ends->x_end; pair++) {
        for (int32_t i = 0; i < 8; i += 4) {
            const uint32_t word = *at++;
            for (int32_t j = 0; j < 3; j++) {
                const uint32_t fields = word & ((uint32_t)0x000F000F << (4 * j));
                sums[i + j] = bptq_smlad(fields, *pair, sums[i + j]);
            }
            sums[i + 3] = bptq_smlad(word, *pair, sums[i + 3]);
        }
    }
    for (int32_t i = 0; i < 8; i++) {
        uint32_t sum = (uint32_t)sums[i];
        for (int32_t j = 1; i % 4 == 3 && j < 4; j++) {
            sum -= (uint32_t)sums[i - j];
        }
        doubled[i] =
            i % 4 == 0 ? bptq_wrap(2U * sum) : bptq_shift_right(bptq_wrap(sum), i % 4 * 4 - 1);
    }
    return at;
}

/* A doubled sum, rescaled by a multiplier with the shifts of its third word. */
static int32_t rescaled_left(int32_t doubled, const uint32_t *words)
{
    const int32_t x = bptq_wrap((uint32_t)doubled << (words[2] & 0xFFU));
    const int32_t shift = (int32_t)(words[2] >> 8 & 0xFFU);
    const int32_t away = (words[2] >> 16) != 0 ? bptq_shift_right(x, 31) : 0;
    const int64_t product = (int64_t)x * (int32_t)words[0] + ((int64_t)1 << 31);
    const int32_t high = (int32_t)bptq_shift_right_wide(product, 32);
    const int32_t sum = bptq_add_wrapping(high, bptq_add_wrapping(bptq_wrap(words[1]), away));
    return bptq_shift_right(sum, shift);
}

/* Outputs of `words` words a channel: two, or three whose sums may be shifted to the left. */
#define DEFINE_OUTPUTS(name, type, bounded, sums, words)                                           \
    static void name(const bptq_pair *x, const uint32_t *constants, type *output,                  \
                     const bounds *ends)                                                           \
    {                                                                                              \
        for (const uint32_t *at = constants; at != ends->end;) {                                   \
            int32_t doubled[8];                                                                    \
            at = sums(x, at, ends, doubled);                                                       \
            for (int32_t i = 0; i < 8; i++) {                                                      \
                *output++ = bounded((words) == 2 ? bptq_tile_rescaled(doubled[i], at[0], at[1])    \
                                                 : rescaled_left(doubled[i], at));                 \
                at += (words);                                                                     \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_OUTPUTS(outputs_w8, int8_t, narrow, sums_w8, 2)
DEFINE_OUTPUTS(outputs_w8_s16, int16_t, wide, sums_w8, 2)
DEFINE_OUTPUTS(outputs_w4, int8_t, narrow, sums_w4, 2)
DEFINE_OUTPUTS(outputs_w4_s16, int16_t, wide, sums_w4, 2)
DEFINE_OUTPUTS(outputs_w4_left, int8_t, narrow, sums_w4, 3)
DEFINE_OUTPUTS(outputs_w4_left_s16, int16_t, wide, sums_w4, 3)

#endif

/* Expands the input; returns the sum of its elements. */
BPTQ_INLINE int32_t expand(const bptq_fully_connected *op, const int8_t *input, bptq_pair *to)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < op->in_features; i += 4) {
        const uint32_t word = bptq_load(input + i);
        to[0] = bptq_even_bytes(word);
        to[1] = bptq_odd_bytes(word);
        sum = bptq_smlad(to[0], 0x00010001U, bptq_smlad(to[1], 0x00010001U, sum));
        to += 2;
    }
    return sum;
}

BPTQ_INLINE bounds bounds_w8(const bptq_fully_connected *op, const int8_t *input, bptq_pair *x)
{
    const uint32_t *constants = (const uint32_t *)op->weighted.weights;
    (void)expand(op, input, x);
    const bounds ends = {x + op->in_features / 2,
                         constants + op->out_features / 8 * (24 + 2 * op->in_features), 0, 0};
    return ends;
}

/* With `words` words a channel. */
BPTQ_INLINE bounds bounds_w4(int32_t words, const bptq_fully_connected *op, const int8_t *input,
                             bptq_pair *x)
{
    const uint32_t *constants = (const uint32_t *)op->weighted.weights;
    const uint32_t less = 0U - 8U * (uint32_t)expand(op, input, x);
    const int32_t block = 8 + op->in_features + 8 * words;
    const bounds ends = {x + op->in_features / 2, constants + op->out_features / 8 * block, less,
                         273U * less};
    return ends;
}

#define DEFINE(name, type, ends_of, outputs)                                                       \
    void name(const bptq_fully_connected *op, const int8_t *input, type *output, int8_t *scratch)  \
    {                                                                                              \
        bptq_pair *x = (bptq_pair *)(void *)scratch;                                               \
        const bounds ends = ends_of;                                                               \
        outputs(x, (const uint32_t *)op->weighted.weights, output, &ends);                         \
    }

DEFINE(bptq_tile_fully_connected_w8_s8, int8_t, bounds_w8(op, input, x), outputs_w8)
DEFINE(bptq_tile_fully_connected_w4_s8, int8_t, bounds_w4(2, op, input, x), outputs_w4)
DEFINE(bptq_tile_fully_connected_w4_left_s8, int8_t, bounds_w4(3, op, input, x), outputs_w4_left)
DEFINE(bptq_tile_fully_connected_w8_s8_s16, int16_t, bounds_w8(op, input, x), outputs_w8_s16)
DEFINE(bptq_tile_fully_connected_w4_s8_s16, int16_t, bounds_w4(2, op, input, x), outputs_w4_s16)
DEFINE(bptq_tile_fully_connected_w4_left_s8_s16, int16_t, bounds_w4(3, op, input, x),
       outputs_w4_left_s16)

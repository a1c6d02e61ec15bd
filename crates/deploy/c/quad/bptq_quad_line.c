/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Outputs of a depthwise convolution with nine taps. */
#include "bptq_quad_depthwise.h"

#if BPTQ_QUAD_VECTORS

/*
 * Registers: 0 to 8 the taps, 9 constants, 10 outputs, 11 the zero point, 12 the line. The loop
 * over blocks of sixteen channels is predicated by bytes, so that the last one may be any four,
 * eight or twelve: as halves of the products of even and odd bytes, four channels are one lane of
 * each of the four vectors of sums. Those are 4 for channels 0, 4, 8, 12, 5 for 1, 5, 9, 13, and so
 * on.
 */
#define BEGIN                                                                                      \
    "push {r4-r11, lr}\n"                                                                          \
    "vpush {d8-d15}\n"                                                                             \
    "mov r12, r0\n"                                                                                \
    "ldmia r12, {r0-r11}\n"                                                                        \
    "0: ldr r9, [r12, #36]\n"                                                                      \
    "ldr lr, [r12, #48]\n"                                                                         \
    "dlstp.8 lr, lr\n"                                                                             \
    "1:\n"

#define BIASES                                                                                     \
    "vldrw.32 q4, [r9], #16\n"                                                                     \
    "vldrw.32 q5, [r9], #16\n"                                                                     \
    "vldrw.32 q6, [r9], #16\n"                                                                     \
    "vldrw.32 q7, [r9], #16\n"

/* Sums of 16 bits in vectors 2 (even channels) and 0 (odd ones) are added to those of 32. */
#define WIDEN                                                                                      \
    "vmovlb.s16 q1, q2\n"                                                                          \
    "vadd.i32 q4, q4, q1\n"                                                                        \
    "vmovlt.s16 q2, q2\n"                                                                          \
    "vadd.i32 q6, q6, q2\n"                                                                        \
    "vmovlb.s16 q1, q0\n"                                                                          \
    "vadd.i32 q5, q5, q1\n"                                                                        \
    "vmovlt.s16 q0, q0\n"                                                                          \
    "vadd.i32 q7, q7, q0\n"

/* Weights of 8 bits: the products of two taps fit 16 bits together. No register is left for the
 * weights of the second tap while its even products are made. */
#define SINGLE_8(x)                                                                                \
    "vldrb.8 q1, [" x "], #16\n"                                                                   \
    "vldrb.8 q3, [r9], #16\n"                                                                      \
    "vmullb.s8 q2, q1, q3\n"                                                                       \
    "vmullt.s8 q0, q1, q3\n"
#define PAIR_8(x, y)                                                                               \
    SINGLE_8(x)                                                                                    \
    "vldrb.8 q1, [" y "], #16\n"                                                                   \
    "vldrb.8 q3, [r9]\n"                                                                           \
    "vmullb.s8 q3, q1, q3\n"                                                                       \
    "vadd.i16 q2, q2, q3\n"                                                                        \
    "vldrb.8 q3, [r9], #16\n"                                                                      \
    "vmullt.s8 q3, q1, q3\n"                                                                       \
    "vadd.i16 q0, q0, q3\n" WIDEN
#define SUMS_8                                                                                     \
    BIASES PAIR_8("r0", "r1") PAIR_8("r2", "r3") PAIR_8("r4", "r5") PAIR_8("r6", "r7")             \
        SINGLE_8("r8") WIDEN

/* Fewer bits: the products of all taps fit. The weights of several taps are in the fields of vector
 * 3; `field` leaves those of one in vector 4. */
#define FIRST(x, field)                                                                            \
    "vldrb.8 q1, [" x "], #16\n"                                                                   \
    "vldrb.8 q3, [r9], #16\n" field "vmullb.s8 q2, q1, q4\n"                                       \
    "vmullt.s8 q0, q1, q4\n"
#define TAP(x, field)                                                                              \
    "vldrb.8 q1, [" x "], #16\n" field "vmullb.s8 q5, q1, q4\n"                                    \
    "vadd.i16 q2, q2, q5\n"                                                                        \
    "vmullt.s8 q5, q1, q4\n"                                                                       \
    "vadd.i16 q0, q0, q5\n"
#define LOW(left, right)                                                                           \
    "vshl.i8 q4, q3, #" left "\n"                                                                  \
    "vshr.s8 q4, q4, #" right "\n"
#define HIGH(right) "vshr.s8 q4, q3, #" right "\n"
#define NEXT "vldrb.8 q3, [r9], #16\n"
#define SUMS_4                                                                                     \
    FIRST("r0", LOW("4", "4")) TAP("r1", HIGH("4")) NEXT TAP("r2", LOW("4", "4"))                  \
        TAP("r3", HIGH("4")) NEXT TAP("r4", LOW("4", "4")) TAP("r5", HIGH("4")) NEXT               \
            TAP("r6", LOW("4", "4")) TAP("r7", HIGH("4")) NEXT TAP("r8", HIGH("4")) BIASES WIDEN
#define SUMS_2                                                                                     \
    FIRST("r0", LOW("6", "6")) TAP("r1", LOW("4", "6")) TAP("r2", LOW("2", "6"))                   \
        TAP("r3", HIGH("6")) NEXT TAP("r4", LOW("6", "6")) TAP("r5", LOW("4", "6"))                \
            TAP("r6", LOW("2", "6")) TAP("r7", HIGH("6")) NEXT TAP("r8", HIGH("6")) BIASES WIDEN

/* See BPTQ_QUAD_PRODUCTS_2. */
#define RELU(sums)                                                                                 \
    "vldrw.32 q0, [r9], #16\n"                                                                     \
    "vldrw.32 q1, [r9], #16\n"                                                                     \
    "vqrdmulh.s32 " sums ", " sums ", q0\n"                                                        \
    "vrshl.s32 " sums ", " sums ", q1\n"
#define ANY(sums)                                                                                  \
    "vldrw.32 q0, [r9], #16\n"                                                                     \
    "vldrw.32 q1, [r9], #16\n"                                                                     \
    "vqrdmulh.s32 " sums ", " sums ", q0\n"                                                        \
    "vshr.s32 q0, " sums ", #31\n"                                                                 \
    "vadd.i32 " sums ", " sums ", q0\n"                                                            \
    "vrshl.s32 " sums ", " sums ", q1\n"

#define STORE                                                                                      \
    "vqmovnb.s32 q4, q4\n"                                                                         \
    "vqmovnt.s32 q4, q6\n"                                                                         \
    "vqmovnb.s32 q5, q5\n"                                                                         \
    "vqmovnt.s32 q5, q7\n"                                                                         \
    "vqadd.s16 q4, q4, r11\n"                                                                      \
    "vqadd.s16 q5, q5, r11\n"                                                                      \
    "vqmovnb.s16 q4, q4\n"                                                                         \
    "vqmovnt.s16 q4, q5\n"                                                                         \
    "vstrb.8 q4, [r10], #16\n"                                                                     \
    "letp lr, 1b\n"                                                                                \
    "ldr r9, [r12, #52]\n"                                                                         \
    "subs r9, r9, #1\n"                                                                            \
    "beq 2f\n"                                                                                     \
    "str r9, [r12, #52]\n"                                                                         \
    "ldrd r9, lr, [r12, #56]\n"                                                                    \
    "add r10, r10, lr\n"                                                                           \
    "cmp r9, #0\n"                                                                                 \
    "beq 0b\n"                                                                                     \
    "add r0, r0, r9\n"                                                                             \
    "add r1, r1, r9\n"                                                                             \
    "add r2, r2, r9\n"                                                                             \
    "add r3, r3, r9\n"                                                                             \
    "add r4, r4, r9\n"                                                                             \
    "add r5, r5, r9\n"                                                                             \
    "add r6, r6, r9\n"                                                                             \
    "add r7, r7, r9\n"                                                                             \
    "add r8, r8, r9\n"                                                                             \
    "b 0b\n"                                                                                       \
    "2: vpop {d8-d15}\n"                                                                           \
    "pop {r4-r11, pc}\n"

#define DEFINE(name, sums, output)                                                                 \
    BPTQ_NAKED void name(BPTQ_UNUSED bptq_quad_line *line)                                         \
    {                                                                                              \
        __asm__ volatile(BEGIN sums);                                                              \
        __asm__ volatile(output("q4") output("q5") output("q6") output("q7") STORE);               \
    }

DEFINE(bptq_quad_line_w8, SUMS_8, ANY)
DEFINE(bptq_quad_line_w8_relu, SUMS_8, RELU)
DEFINE(bptq_quad_line_w4, SUMS_4, ANY)
DEFINE(bptq_quad_line_w4_relu, SUMS_4, RELU)
DEFINE(bptq_quad_line_w2, SUMS_2, ANY)
DEFINE(bptq_quad_line_w2_relu, SUMS_2, RELU)

#else

/* The weight of `bits` of a tap, `weights` being the bytes of its channel, 16 apart. */
BPTQ_INLINE int32_t tap_weight(int32_t bits, const uint8_t *weights, int32_t tap)
{
    const int32_t fields = 8 / bits;
    const int32_t field = tap == 8 ? fields - 1 : tap % fields;
    const int32_t moved = weights[tap / fields * 16] << (8 - bits - bits * field);
    return bptq_shift_right((int8_t)(uint8_t)moved, 8 - bits);
}

/* Portable C: the channels of each pixel one by one. */
BPTQ_INLINE void portable(int32_t bits, int32_t relu, bptq_quad_line *line)
{
    /* Words of weights of a block of sixteen channels. */
    const int32_t words = 4 * ((9 * bits + 7) / 8);
    const int32_t channels = line->channels;
    const int32_t pitch = (channels + 15) / 16 * 16;
    for (int32_t pixel = 0; pixel < line->pixels; pixel++) {
        const int32_t at = pixel * (pitch + line->skip);
        int8_t *output = line->output + pixel * (pitch + line->output_skip);
        for (int32_t channel = 0; channel < channels; channel++) {
            const uint32_t *block = line->constants + channel / 16 * (words + 48);
            const uint8_t *weights = (const uint8_t *)(block + (bits == 8 ? 16 : 0)) + channel % 16;
            const int32_t place = channel % 16 / 4 + channel % 4 * 4;
            const uint32_t *factors = block + words + 16 + channel % 4 * 8 + channel % 16 / 4;
            int32_t sum = bptq_wrap(block[(bits == 8 ? 0 : words) + place]);
            for (int32_t tap = 0; tap < 9; tap++) {
                sum += line->taps[tap][at + channel] * tap_weight(bits, weights, tap);
            }
            output[channel] = bptq_quad_output(relu, sum, bptq_wrap(factors[0]),
                                               bptq_wrap(factors[4]), line->zero_point);
        }
    }
}

void bptq_quad_line_w8(bptq_quad_line *line)
{
    portable(8, 0, line);
}

void bptq_quad_line_w8_relu(bptq_quad_line *line)
{
    portable(8, 1, line);
}

void bptq_quad_line_w4(bptq_quad_line *line)
{
    portable(4, 0, line);
}

void bptq_quad_line_w4_relu(bptq_quad_line *line)
{
    portable(4, 1, line);
}

void bptq_quad_line_w2(bptq_quad_line *line)
{
    portable(2, 0, line);
}

void bptq_quad_line_w2_relu(bptq_quad_line *line)
{
    portable(2, 1, line);
}

#endif

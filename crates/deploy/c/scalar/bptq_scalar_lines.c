/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Lines of a depthwise convolution with a kernel of 3x3. */
#include "bptq_scalar_lines.h"

#if BPTQ_SCALAR_THUMB

/*
 * Registers: 0 to 2 elements of the three lines, 3 weights, 4 to 7 four sums, 8 to 10 a row of weights, 11
 * an element, 12 the bias. On the stack:
 */
#define OUTPUT "#0" /* and the bytes from one to the next */
#define LEFT "#8"
#define CHANNEL "#12"

/* Of the parameters. */
#define WIDTH "#12" /* and the bytes from one to the next */
#define FACTOR "#8"
#define SHIFT "#16"

#define WEIGHTS(row)                                                                               \
    "ldrsb r8, [r3, #3*" #row "]\n"                                                                \
    "ldrsb r9, [r3, #3*" #row "+1]\n"                                                              \
    "ldrsb r10, [r3, #3*" #row "+2]\n"
/* The element of a column, in bytes behind the first one; that moves on by `step` bytes. */
#define FIRST(x, step) "ldrsb r11, [" x "], #" #step "\n"
#define NEXT(x, step, column) "ldrsb r11, [" x ", #" #column "-" #step "]\n"
#define PRODUCT(sum, w, before) "mla " sum ", r11, " w ", " before "\n"

/* A row of weights over four outputs at stride 1 and 2, or over one; s0.. are the sums before. */
#define ROW_1(x, row, s0, s1, s2, s3)                                                              \
    WEIGHTS(row)                                                                                   \
    FIRST(x, 16) PRODUCT("r4", "r8", s0)                                                           \
    NEXT(x, 16, 4) PRODUCT("r4", "r9", "r4") PRODUCT("r5", "r8", s1)                               \
    NEXT(x, 16, 8) PRODUCT("r4", "r10", "r4") PRODUCT("r5", "r9", "r5") PRODUCT("r6", "r8", s2)    \
    NEXT(x, 16, 12) PRODUCT("r5", "r10", "r5") PRODUCT("r6", "r9", "r6") PRODUCT("r7", "r8", s3)   \
    NEXT(x, 16, 16) PRODUCT("r6", "r10", "r6") PRODUCT("r7", "r9", "r7")                           \
    NEXT(x, 16, 20) PRODUCT("r7", "r10", "r7")
#define ROW_2(x, row, s0, s1, s2, s3)                                                              \
    WEIGHTS(row)                                                                                   \
    FIRST(x, 32) PRODUCT("r4", "r8", s0)                                                           \
    NEXT(x, 32, 4) PRODUCT("r4", "r9", "r4")                                                       \
    NEXT(x, 32, 8) PRODUCT("r4", "r10", "r4") PRODUCT("r5", "r8", s1)                              \
    NEXT(x, 32, 12) PRODUCT("r5", "r9", "r5")                                                      \
    NEXT(x, 32, 16) PRODUCT("r5", "r10", "r5") PRODUCT("r6", "r8", s2)                             \
    NEXT(x, 32, 20) PRODUCT("r6", "r9", "r6")                                                      \
    NEXT(x, 32, 24) PRODUCT("r6", "r10", "r6") PRODUCT("r7", "r8", s3)                             \
    NEXT(x, 32, 28) PRODUCT("r7", "r9", "r7")                                                      \
    NEXT(x, 32, 32) PRODUCT("r7", "r10", "r7")
#define ROW_SINGLE(x, row, step, s0)                                                               \
    WEIGHTS(row)                                                                                   \
    FIRST(x, step) PRODUCT("r4", "r8", s0)                                                         \
    NEXT(x, step, 4) PRODUCT("r4", "r9", "r4")                                                     \
    NEXT(x, step, 8) PRODUCT("r4", "r10", "r4")

/* The output of a sum, as bptq_scalar_output says it; r8, r9 and r10 are the factor. */
#define OUTPUT_OF(sum)                                                                             \
    "lsl " sum ", " sum ", #1\n"                                                                   \
    "add lr, r9, " sum ", asr #31\n"                                                               \
    "mov r3, #0x80000000\n"                                                                        \
    "smlal r3, lr, " sum ", r8\n"                                                                  \
    "asr lr, lr, r10\n"                                                                            \
    "ssat lr, #8, lr\n"
#define FACTORS                                                                                    \
    "ldr lr, [sp, " CHANNEL "]\n"                                                                  \
    "ldrd r8, r9, [lr, " FACTOR "]\n"                                                              \
    "ldr r10, [lr, " SHIFT "]\n"                                                                   \
    "ldrd r11, r12, [sp, " OUTPUT "]\n"
#define CHANNEL_WEIGHTS                                                                            \
    "ldr lr, [sp, " CHANNEL "]\n"                                                                  \
    "ldrd r3, r12, [lr]\n"

#define LINE(name, ROW, step)                                                                      \
    BPTQ_SCALAR_NAKED void name(BPTQ_SCALAR_UNUSED const bptq_scalar_line *line,                   \
                                BPTQ_SCALAR_UNUSED int32_t number,                                 \
                                BPTQ_SCALAR_UNUSED const bptq_scalar_channel *channel,             \
                                BPTQ_SCALAR_UNUSED int8_t *output)                                 \
    {                                                                                              \
        __asm__ volatile("push {r4-r11, lr}\n"                                                     \
                         "sub sp, #20\n"                                                           \
                         "ldrd r4, r5, [r0, " WIDTH "]\n"                                          \
                         "strd r3, r5, [sp, " OUTPUT "]\n"                                         \
                         "str r2, [sp, " CHANNEL "]\n"                                             \
                         "ldrd r3, r12, [r2]\n"                                                    \
                         "ldr r2, [r0, #8]\n"                                                      \
                         "add r2, r2, r1\n"                                                        \
                         "ldrd r0, r5, [r0]\n"                                                     \
                         "add r0, r0, r1\n"                                                        \
                         "add r1, r1, r5\n"                                                        \
                         "subs r4, #4\n"                                                           \
                         "str r4, [sp, " LEFT "]\n"                                                \
                         "blt 2f\n"                                                                \
                         "1:\n" ROW("r0", 0, "r12", "r12", "r12", "r12")                           \
                             ROW("r1", 1, "r4", "r5", "r6", "r7")                                  \
                                 ROW("r2", 2, "r4", "r5", "r6", "r7") FACTORS);                    \
        __asm__ volatile(OUTPUT_OF("r4") "strb lr, [r11]\n" OUTPUT_OF("r5")                        \
                         "strb lr, [r11, r12]\n"                                                   \
                         "add r11, r11, r12, lsl #1\n" OUTPUT_OF("r6") "strb lr, [r11]\n"          \
                         OUTPUT_OF("r7") "strb lr, [r11, r12]\n"                                   \
                         "add r11, r11, r12, lsl #1\n"                                             \
                         "str r11, [sp, " OUTPUT "]\n"                                             \
                         "ldr r4, [sp, " LEFT "]\n" CHANNEL_WEIGHTS "subs r4, #4\n"                \
                         "str r4, [sp, " LEFT "]\n"                                                \
                         "bge 1b\n"                                                                \
                         "2: adds r4, #4\n"                                                        \
                         "beq 4f\n"                                                                \
                         "3: str r4, [sp, " LEFT "]\n" ROW_SINGLE("r0", 0, step, "r12")            \
                             ROW_SINGLE("r1", 1, step, "r4") ROW_SINGLE("r2", 2, step, "r4")       \
                                 FACTORS OUTPUT_OF("r4") "strb lr, [r11]\n"                        \
                         "add r11, r11, r12\n"                                                     \
                         "str r11, [sp, " OUTPUT "]\n" CHANNEL_WEIGHTS                             \
                         "ldr r4, [sp, " LEFT "]\n"                                                \
                         "subs r4, #1\n"                                                           \
                         "bne 3b\n"                                                                \
                         "4: add sp, #20\n"                                                        \
                         "pop {r4-r11, pc}\n");                                                    \
    }

LINE(bptq_scalar_line_1, ROW_1, 4)
LINE(bptq_scalar_line_2, ROW_2, 8)

#else

#define COLUMN BPTQ_SCALAR_COLUMN

/* A row of weights over four outputs at stride 1, and at stride 2; over a single one. */
#define ROW_1(row, w)                                                                              \
    {                                                                                              \
        const int8_t *x = row;                                                                     \
        const int32_t w0 = (w)[0];                                                                 \
        const int32_t w1 = (w)[1];                                                                 \
        const int32_t w2 = (w)[2];                                                                 \
        int32_t t;                                                                                 \
        t = x[0];                                                                                  \
        a0 += t * w0;                                                                              \
        t = x[COLUMN];                                                                             \
        a0 += t * w1;                                                                              \
        a1 += t * w0;                                                                              \
        t = x[2 * COLUMN];                                                                         \
        a0 += t * w2;                                                                              \
        a1 += t * w1;                                                                              \
        a2 += t * w0;                                                                              \
        t = x[3 * COLUMN];                                                                         \
        a1 += t * w2;                                                                              \
        a2 += t * w1;                                                                              \
        a3 += t * w0;                                                                              \
        t = x[4 * COLUMN];                                                                         \
        a2 += t * w2;                                                                              \
        a3 += t * w1;                                                                              \
        t = x[5 * COLUMN];                                                                         \
        a3 += t * w2;                                                                              \
    }
#define ROW_2(row, w)                                                                              \
    {                                                                                              \
        const int8_t *x = row;                                                                     \
        const int32_t w0 = (w)[0];                                                                 \
        const int32_t w1 = (w)[1];                                                                 \
        const int32_t w2 = (w)[2];                                                                 \
        int32_t t;                                                                                 \
        t = x[0];                                                                                  \
        a0 += t * w0;                                                                              \
        t = x[COLUMN];                                                                             \
        a0 += t * w1;                                                                              \
        t = x[2 * COLUMN];                                                                         \
        a0 += t * w2;                                                                              \
        a1 += t * w0;                                                                              \
        t = x[3 * COLUMN];                                                                         \
        a1 += t * w1;                                                                              \
        t = x[4 * COLUMN];                                                                         \
        a1 += t * w2;                                                                              \
        a2 += t * w0;                                                                              \
        t = x[5 * COLUMN];                                                                         \
        a2 += t * w1;                                                                              \
        t = x[6 * COLUMN];                                                                         \
        a2 += t * w2;                                                                              \
        a3 += t * w0;                                                                              \
        t = x[7 * COLUMN];                                                                         \
        a3 += t * w1;                                                                              \
        t = x[8 * COLUMN];                                                                         \
        a3 += t * w2;                                                                              \
    }
#define SINGLE(x, w) ((x)[0] * (w)[0] + (x)[COLUMN] * (w)[1] + (x)[2 * COLUMN] * (w)[2])

#define LINE(name, stride, ROW)                                                                    \
    void name(const bptq_scalar_line *line, int32_t number, const bptq_scalar_channel *channel,    \
              int8_t *output)                                                                      \
    {                                                                                              \
        const int8_t *top = line->rows[0] + number;                                                \
        const int8_t *middle = line->rows[1] + number;                                             \
        const int8_t *bottom = line->rows[2] + number;                                             \
        const int8_t *weights = channel->weights;                                                  \
        const int32_t pixel = line->pixel;                                                         \
        int32_t left = line->width;                                                                \
        for (; left >= 4; left -= 4) {                                                             \
            int32_t a0 = channel->bias;                                                            \
            int32_t a1 = a0;                                                                       \
            int32_t a2 = a0;                                                                       \
            int32_t a3 = a0;                                                                       \
            ROW(top, weights)                                                                      \
            ROW(middle, weights + 3)                                                               \
            ROW(bottom, weights + 6)                                                               \
            top += 4 * (stride)*COLUMN;                                                            \
            middle += 4 * (stride)*COLUMN;                                                         \
            bottom += 4 * (stride)*COLUMN;                                                         \
            output[0] = bptq_scalar_output(a0, channel->factor);                                   \
            output[pixel] = bptq_scalar_output(a1, channel->factor);                               \
            output += 2 * pixel;                                                                   \
            output[0] = bptq_scalar_output(a2, channel->factor);                                   \
            output[pixel] = bptq_scalar_output(a3, channel->factor);                               \
            output += 2 * pixel;                                                                   \
        }                                                                                          \
        for (; left > 0; left--) {                                                                 \
            const int32_t sum = channel->bias + SINGLE(top, weights) +                             \
                                SINGLE(middle, weights + 3) + SINGLE(bottom, weights + 6);         \
            output[0] = bptq_scalar_output(sum, channel->factor);                                  \
            top += (stride)*COLUMN;                                                                \
            middle += (stride)*COLUMN;                                                             \
            bottom += (stride)*COLUMN;                                                             \
            output += pixel;                                                                       \
        }                                                                                          \
    }

LINE(bptq_scalar_line_1, 1, ROW_1)
LINE(bptq_scalar_line_2, 2, ROW_2)

#endif

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Sums and outputs of four channels, weights of 2 bits. */
#include "bptq_quad_sums.h"

#if BPTQ_QUAD_VECTORS

/* A byte (a + 2) + 4 (b + 2) + 16 (c + 2) + 64 d is an operand as it is, and so are its low 6, 4
 * and 2 bits: the differences of their sums are those of single channels, scaled. All but the sum
 * of d are too large by twice the sum of the elements. */
#define MASKS(two, four, six)                                                                      \
    "vmov.i8 " two ", #3\n"                                                                        \
    "vmov.i8 " four ", #15\n"                                                                      \
    "vmov.i8 " six ", #63\n"

/* Vectors 4, 5 and 6 are masks, 7 what the sums are shifted by: 0, -2, -4 and -6. The excess is on
 * the stack. */
#define BEGIN                                                                                      \
    MASKS("q4", "q5", "q6")                                                                        \
    "movs r0, #0\n"                                                                                \
    "vdup.32 q0, r4\n"                                                                             \
    "vmov.32 q0[3], r0\n"                                                                          \
    "vdup.32 q1, r6\n"                                                                             \
    "vmov.32 q1[3], r0\n"                                                                          \
    "vstrw.32 q0, [sp, " BPTQ_QUAD_EXCESS "]\n"                                                    \
    "vstrw.32 q1, [sp, " BPTQ_QUAD_EXCESS_1 "]\n"                                                  \
    "vddup.u32 q7, r0, #2\n"
#define STEP                                                                                       \
    "vldrb.8 q0, [r9], #16\n"                                                                      \
    "vldrb.8 q2, [r5], #16\n"                                                                      \
    "vldrb.8 q3, [r11], #16\n"                                                                     \
    "vmladava.s8 r6, q2, q0\n"                                                                     \
    "vand q1, q0, q4\n"                                                                            \
    "vmladava.s8 lr, q3, q0\n"                                                                     \
    "vmladava.s8 r0, q2, q1\n"                                                                     \
    "vmladava.s8 r8, q3, q1\n"                                                                     \
    "vand q1, q0, q5\n"                                                                            \
    "vmladava.s8 r2, q2, q1\n"                                                                     \
    "vand q0, q0, q6\n"                                                                            \
    "vmladava.s8 r10, q3, q1\n"                                                                    \
    "vmladava.s8 r4, q2, q0\n"                                                                     \
    "vmladava.s8 r12, q3, q0\n"
#define SUMS                                                                                       \
    "sub r6, r6, r4\n"                                                                             \
    "sub r4, r4, r2\n"                                                                             \
    "sub r2, r2, r0\n"                                                                             \
    "sub lr, lr, r12\n"                                                                            \
    "sub r12, r12, r10\n"                                                                          \
    "sub r10, r10, r8\n" BPTQ_QUAD_VECTORS_OF_2                                                    \
    "vldrw.32 q2, [sp, " BPTQ_QUAD_EXCESS "]\n"                                                    \
    "vldrw.32 q3, [sp, " BPTQ_QUAD_EXCESS_1 "]\n"                                                  \
    "vshl.s32 q0, q0, q7\n"                                                                        \
    "vshl.s32 q1, q1, q7\n"                                                                        \
    "vsub.i32 q0, q0, q2\n"                                                                        \
    "vsub.i32 q1, q1, q3\n"

/* Of one pixel, 4, 5 and 6 are masks, 3 what the sums are shifted by, 7 the excess. */
#define BEGIN_1                                                                                    \
    MASKS("q4", "q5", "q6")                                                                        \
    "movs r0, #0\n"                                                                                \
    "vdup.32 q7, r4\n"                                                                             \
    "vmov.32 q7[3], r0\n"                                                                          \
    "vddup.u32 q3, r0, #2\n"
#define STEP_1                                                                                     \
    "vldrb.8 q0, [r1], #16\n"                                                                      \
    "vldrb.8 q2, [r3], #16\n"                                                                      \
    "vand q1, q0, q4\n"                                                                            \
    "vmladava.s8 r6, q2, q0\n"                                                                     \
    "vmladava.s8 r0, q2, q1\n"                                                                     \
    "vand q1, q0, q5\n"                                                                            \
    "vmladava.s8 r2, q2, q1\n"                                                                     \
    "vand q1, q0, q6\n"                                                                            \
    "vmladava.s8 r4, q2, q1\n"
#define SUMS_1                                                                                     \
    "sub r6, r6, r4\n"                                                                             \
    "sub r4, r4, r2\n"                                                                             \
    "sub r2, r2, r0\n" BPTQ_QUAD_VECTOR "vshl.s32 q0, q0, q3\n"                                    \
    "vsub.i32 q0, q0, q7\n"

BPTQ_QUAD_DEFINE_ALL(bptq_quad_w2, BEGIN, STEP, SUMS, BEGIN_1, STEP_1, SUMS_1)

#else

BPTQ_QUAD_PORTABLE(bptq_quad_w2, 2)

#endif

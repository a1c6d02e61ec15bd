/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Sums and outputs of four channels, weights of 4 bits. */
#include "bptq_quad_sums.h"

#if BPTQ_QUAD_VECTORS

/* A byte a + 8 + 16 b is an operand as it is, and so are its low bits: the difference of their sums
 * is 16 times that of b. The sum of a is too large by 8 times the sum of the elements. */
#define SHIFTS(shifts, a, b)                                                                       \
    "vmov.i32 " shifts ", #0\n"                                                                    \
    "mvn r0, #3\n"                                                                                 \
    "vmov " a ", " b ", r0, r0\n"

/* Vector 4 is the mask, 5 what the sums are shifted by, 6 and 7 the excess of both pixels. */
#define BEGIN                                                                                      \
    "vmov.i8 q4, #15\n"                                                                            \
    "vmov.i32 q6, #0\n"                                                                            \
    "vmov.i32 q7, #0\n"                                                                            \
    "vmov q6[2], q6[0], r4, r4\n"                                                                  \
    "vmov q7[2], q7[0], r6, r6\n" SHIFTS("q5", "q5[3]", "q5[1]")
#define STEP                                                                                       \
    "vldrb.8 q0, [r9], #16\n"                                                                      \
    "vldrb.8 q2, [r5], #16\n"                                                                      \
    "vldrb.8 q3, [r11], #16\n"                                                                     \
    "vmladava.s8 r2, q2, q0\n"                                                                     \
    "vand q1, q0, q4\n"                                                                            \
    "vmladava.s8 r10, q3, q0\n"                                                                    \
    "vmladava.s8 r0, q2, q1\n"                                                                     \
    "vldrb.8 q0, [r9], #16\n"                                                                      \
    "vmladava.s8 r8, q3, q1\n"                                                                     \
    "vmladava.s8 r6, q2, q0\n"                                                                     \
    "vand q1, q0, q4\n"                                                                            \
    "vmladava.s8 lr, q3, q0\n"                                                                     \
    "vmladava.s8 r4, q2, q1\n"                                                                     \
    "vmladava.s8 r12, q3, q1\n"
#define SUMS                                                                                       \
    "sub r2, r2, r0\n"                                                                             \
    "sub r6, r6, r4\n"                                                                             \
    "sub r10, r10, r8\n"                                                                           \
    "sub lr, lr, r12\n" BPTQ_QUAD_VECTORS_OF_2 "vshl.s32 q0, q0, q5\n"                             \
    "vshl.s32 q1, q1, q5\n"                                                                        \
    "vsub.i32 q0, q0, q6\n"                                                                        \
    "vsub.i32 q1, q1, q7\n"

/* Of one pixel, 3 is the mask, 4 what the sums are shifted by, 5 the excess. */
#define BEGIN_1                                                                                    \
    "vmov.i8 q3, #15\n"                                                                            \
    "vmov.i32 q5, #0\n"                                                                            \
    "vmov q5[2], q5[0], r4, r4\n" SHIFTS("q4", "q4[3]", "q4[1]")
#define STEP_1                                                                                     \
    "vldrb.8 q0, [r1], #16\n"                                                                      \
    "vldrb.8 q2, [r3], #16\n"                                                                      \
    "vmladava.s8 r2, q2, q0\n"                                                                     \
    "vand q1, q0, q3\n"                                                                            \
    "vldrb.8 q0, [r1], #16\n"                                                                      \
    "vmladava.s8 r0, q2, q1\n"                                                                     \
    "vand q1, q0, q3\n"                                                                            \
    "vmladava.s8 r6, q2, q0\n"                                                                     \
    "vmladava.s8 r4, q2, q1\n"
#define SUMS_1                                                                                     \
    "sub r2, r2, r0\n"                                                                             \
    "sub r6, r6, r4\n" BPTQ_QUAD_VECTOR "vshl.s32 q0, q0, q4\n"                                    \
    "vsub.i32 q0, q0, q5\n"

BPTQ_QUAD_DEFINE_ALL(bptq_quad_w4, BEGIN, STEP, SUMS, BEGIN_1, STEP_1, SUMS_1)

#else

BPTQ_QUAD_PORTABLE(bptq_quad_w4, 4)

#endif

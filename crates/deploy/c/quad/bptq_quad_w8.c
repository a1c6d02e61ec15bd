/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Sums and outputs of four channels, weights of 8 bits. */
#include "bptq_quad_sums.h"

#if BPTQ_QUAD_VECTORS

#define STEP                                                                                       \
    "vldrb.8 q0, [r9], #16\n"                                                                      \
    "vldrb.8 q2, [r5], #16\n"                                                                      \
    "vldrb.8 q3, [r11], #16\n"                                                                     \
    "vmladava.s8 r0, q2, q0\n"                                                                     \
    "vldrb.8 q1, [r9], #16\n"                                                                      \
    "vmladava.s8 r8, q3, q0\n"                                                                     \
    "vmladava.s8 r2, q2, q1\n"                                                                     \
    "vldrb.8 q0, [r9], #16\n"                                                                      \
    "vmladava.s8 r10, q3, q1\n"                                                                    \
    "vmladava.s8 r4, q2, q0\n"                                                                     \
    "vldrb.8 q1, [r9], #16\n"                                                                      \
    "vmladava.s8 r12, q3, q0\n"                                                                    \
    "vmladava.s8 r6, q2, q1\n"                                                                     \
    "vmladava.s8 lr, q3, q1\n"
#define STEP_1                                                                                     \
    "vldrb.8 q0, [r1], #16\n"                                                                      \
    "vldrb.8 q2, [r3], #16\n"                                                                      \
    "vmladava.s8 r0, q2, q0\n"                                                                     \
    "vldrb.8 q1, [r1], #16\n"                                                                      \
    "vmladava.s8 r2, q2, q1\n"                                                                     \
    "vldrb.8 q0, [r1], #16\n"                                                                      \
    "vmladava.s8 r4, q2, q0\n"                                                                     \
    "vldrb.8 q1, [r1], #16\n"                                                                      \
    "vmladava.s8 r6, q2, q1\n"

BPTQ_QUAD_DEFINE_ALL(bptq_quad_w8, "", STEP, BPTQ_QUAD_VECTORS_OF_2, "", STEP_1, BPTQ_QUAD_VECTOR)

#else

BPTQ_QUAD_PORTABLE(bptq_quad_w8, 8)

#endif

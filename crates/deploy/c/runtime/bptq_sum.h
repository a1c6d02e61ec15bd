/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* What fast sums of two inputs share. */
#ifndef BPTQ_SUM_H
#define BPTQ_SUM_H

#include "bptq_math.h"

/*
 * The factors of a sum whose left shift is 20. One input, the plain one, has the multiplier 1/2: it is
 * added as it is, 2^19 times. The other one is rescaled.
 */
typedef struct {
    /* Of the rescaled input: its zero point 2^21 times, and its multiplier. The offset holds the half of a
     * rounding and, so that it does not have to be taken off each element, the plain one's zero point. */
    uint32_t zero_point;
    uint32_t offset;
    int32_t quantized;
    int32_t shift;
    /* Of the sum: its multiplier; the offset holds the half of a rounding and the output's zero point. */
    int32_t output_quantized;
    uint32_t output_offset;
    int32_t output_shift;
} bptq_sum;

/* Whether input a is the plain one: that of the larger scale is. */
static inline int32_t bptq_sum_plain_a(const bptq_elementwise *op)
{
    return op->a.quantized == 0x40000000 && op->a.exponent == 0;
}

static inline bptq_sum bptq_sum_of(const bptq_elementwise *op)
{
    const int32_t plain_a = bptq_sum_plain_a(op);
    const bptq_multiplier factor = plain_a ? op->b : op->a;
    const uint32_t zero_point = (uint32_t)(plain_a ? op->b_zero_point : op->a_zero_point);
    const uint32_t plain = (uint32_t)(plain_a ? op->a_zero_point : op->b_zero_point) << 19;
    const int32_t shift = -factor.exponent;
    const int32_t output_shift = -op->output.exponent;
    bptq_sum sum;
    sum.zero_point = zero_point << 21;
    sum.offset = ((uint32_t)1 << (shift - 1)) - (plain << shift);
    sum.quantized = factor.quantized;
    sum.shift = shift;
    sum.output_quantized = op->output.quantized;
    sum.output_offset =
        ((uint32_t)1 << (output_shift - 1)) + ((uint32_t)op->output_zero_point << output_shift);
    sum.output_shift = output_shift;
    return sum;
}

#endif /* BPTQ_SUM_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Normalization of groups of elements by mean and variance, or by the root of their squares. */
#include <stddef.h>

#include "bptq_math.h"

static int32_t saturated(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* 1 / sqrt(x): five steps of Newton's method from 1, for x scaled into 1/4..1. */
static bptq_multiplier inverse_root(uint64_t x)
{
    const int32_t half_of_root_of_2 = 1518500250;
    const int32_t one_and_a_half = ((int32_t)1 << 28) + ((int32_t)1 << 27);
    bptq_multiplier result = {INT32_MAX, 0};
    if (x <= 1) {
        return result;
    }
    int32_t shift = 11;
    while (x >= (uint64_t)1 << 29) {
        x >>= 2;
        shift++;
    }
    /* From 2^27 on, and below 2^29. */
    uint32_t scaled = (uint32_t)x;
    while (scaled < (uint32_t)1 << 27) {
        scaled <<= 2;
        shift--;
    }
    const int32_t half_input = bptq_divide_by_power_of_two((int32_t)(scaled >> 1), 1);
    /* Numbers with 28 fraction bits. */
    int32_t y = (int32_t)1 << 28;
    for (int32_t i = 0; i < 5; i++) {
        const int32_t product = bptq_high_product(bptq_high_product(y, y), y);
        const int32_t cube = saturated((int64_t)product * 64);
        const int32_t next =
            bptq_high_product(one_and_a_half, y) - bptq_high_product(half_input, cube);
        y = saturated((int64_t)next * 8);
    }
    result.quantized = bptq_high_product(y, half_of_root_of_2);
    if (shift < 0) {
        result.quantized = bptq_wrap((uint32_t)result.quantized << -shift);
        shift = 0;
    }
    result.exponent = -shift;
    return result;
}

/* The product of two factors, of which the second is normalized. */
static bptq_multiplier times(bptq_multiplier a, bptq_multiplier b)
{
    const bptq_multiplier none = {0, 0};
    int64_t product = bptq_shift_right_wide(
        (int64_t)a.quantized * b.quantized + ((int64_t)1 << 29), 30);
    int32_t exponent = a.exponent + b.exponent - 1;
    if (product > INT32_MAX) {
        product = (product + 1) / 2;
        exponent++;
    }
    if (exponent < -31) {
        return none;
    }
    const bptq_multiplier result = {(int32_t)product, exponent > 30 ? 30 : exponent};
    return result;
}

/* x times a factor, rounded once, half up; or twice, as TensorFlow Lite's L2 normalization. */
static int64_t rescaled(const bptq_normalize *op, int32_t x, bptq_multiplier factor)
{
    const int32_t shift = 31 - factor.exponent;
    if (!op->center && (op->epsilon[0] | op->epsilon[1]) == 0 &&
        op->multiplier.quantized == (int32_t)1 << 30) {
        return bptq_rescale(x, factor);
    }
    const int64_t half = ((int64_t)1 << shift) / 2;
    return bptq_shift_right_wide((int64_t)x * factor.quantized + half, shift);
}

/* A result with the scale and shift of its element, if there are any; bounded. */
static int32_t finished(const bptq_normalize *op, int64_t result, int32_t parameter)
{
    int64_t rounded = result;
    if (op->scales != NULL) {
        const int32_t fraction = op->scale_fraction;
        const int64_t moved = (int64_t)op->shifts[parameter] * ((int64_t)1 << (fraction - 8));
        const int64_t sum = result * op->scales[parameter] + moved;
        rounded = bptq_shift_right_wide(sum + ((int64_t)1 << (fraction - 1)), fraction);
    }
    rounded += op->output_zero_point;
    return rounded < op->clamp.min   ? op->clamp.min
           : rounded > op->clamp.max ? op->clamp.max
                                     : (int32_t)rounded;
}

/* What the quotients of deviation and root are multiplied with, of a group of such sums. */
static bptq_multiplier factor_of(const bptq_normalize *op, int64_t sum, int64_t squares)
{
    const int64_t n = (int64_t)op->outer * op->inner;
    const int64_t variation = op->center ? n * squares - sum * sum : squares;
    const uint64_t epsilon = ((uint64_t)op->epsilon[1] << 32) + op->epsilon[0];
    const uint64_t widened = ((uint64_t)variation << op->fraction) + epsilon;
    return times(inverse_root(widened), op->multiplier);
}

void bptq_normalize_s8(const bptq_normalize *op, const int8_t *input, int8_t *output)
{
    const int32_t n = op->outer * op->inner;
    for (int32_t g = 0; g < op->groups; g++) {
        const int8_t *x = input + g * op->steps[0];
        int8_t *y = output + g * op->steps[0];
        int64_t sum = 0;
        int64_t squares = 0;
        for (int32_t i = 0; i < op->outer; i++) {
            for (int32_t j = 0; j < op->inner; j++) {
                const int32_t d = x[i * op->steps[1] + j * op->steps[2]] - op->input_zero_point;
                sum += d;
                squares += d * d;
            }
        }
        const bptq_multiplier factor = factor_of(op, sum, squares);
        for (int32_t i = 0; i < op->outer; i++) {
            for (int32_t j = 0; j < op->inner; j++) {
                const int32_t at = i * op->steps[1] + j * op->steps[2];
                const int32_t d = x[at] - op->input_zero_point;
                const int32_t deviation = op->center ? n * d - (int32_t)sum : d;
                const int32_t parameter = g * op->parameter_steps[0] +
                                          i * op->parameter_steps[1] + j * op->parameter_steps[2];
                y[at] = (int8_t)finished(op, rescaled(op, deviation, factor), parameter);
            }
        }
    }
}

void bptq_normalize_s16(const bptq_normalize *op, const int16_t *input, int16_t *output)
{
    const int32_t n = op->outer * op->inner;
    for (int32_t g = 0; g < op->groups; g++) {
        const int16_t *x = input + g * op->steps[0];
        int16_t *y = output + g * op->steps[0];
        int64_t sum = 0;
        int64_t squares = 0;
        for (int32_t i = 0; i < op->outer; i++) {
            for (int32_t j = 0; j < op->inner; j++) {
                const int32_t d = x[i * op->steps[1] + j * op->steps[2]] - op->input_zero_point;
                sum += d;
                squares += d * d;
            }
        }
        const bptq_multiplier factor = factor_of(op, sum, squares);
        for (int32_t i = 0; i < op->outer; i++) {
            for (int32_t j = 0; j < op->inner; j++) {
                const int32_t at = i * op->steps[1] + j * op->steps[2];
                const int32_t d = x[at] - op->input_zero_point;
                const int32_t deviation = op->center ? n * d - (int32_t)sum : d;
                const int32_t parameter = g * op->parameter_steps[0] +
                                          i * op->parameter_steps[1] + j * op->parameter_steps[2];
                y[at] = (int16_t)finished(op, rescaled(op, deviation, factor), parameter);
            }
        }
    }
}

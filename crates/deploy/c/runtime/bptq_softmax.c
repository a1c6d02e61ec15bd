/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Softmax in gemmlowp's fixed-point arithmetic, and its logarithm. */
#include "bptq_math.h"

/* exp(x) in Q0.31 for x in Q0.31 between -1/4 and 0: Taylor's series about -1/8. */
static int32_t exp_of_quarter(int32_t x)
{
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t y = x + ((int32_t)1 << 28);
    const int32_t y2 = bptq_high_product(y, y);
    const int32_t y3 = bptq_high_product(y2, y);
    const int32_t y4 = bptq_high_product(y2, y2);
    const int32_t quarter_y4 = bptq_divide_by_power_of_two(y4, 2);
    const int32_t higher = bptq_high_product(quarter_y4 + y3, third) + y2;
    const int32_t tail = bptq_divide_by_power_of_two(higher, 1);
    return exp_minus_eighth + bptq_high_product(exp_minus_eighth, y + tail);
}

/* exp(x) in Q0.31 for x <= 0 in Q5.26. */
static int32_t exp_of_negative(int32_t x)
{
    /* exp(-2^i) in Q0.31 for i of -2..=4. */
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242};
    const int32_t quarter = (int32_t)1 << 24;
    const int32_t within = (x & (quarter - 1)) - quarter;
    const int32_t remainder = bptq_wrap((uint32_t)within - (uint32_t)x);
    int32_t result = exp_of_quarter(within * 32);
    if (x == 0) {
        return INT32_MAX;
    }
    for (int32_t i = 0; i < 7; i++) {
        if ((remainder & (quarter << i)) != 0) {
            result = bptq_high_product(result, powers[i]);
        }
    }
    return result;
}

static int32_t leading_zeros(uint32_t x)
{
    int32_t count = 0;
    while (count < 32 && (x & 0x80000000U) == 0) {
        x <<= 1;
        count++;
    }
    return count;
}

static int32_t largest(const int8_t *row, int32_t depth)
{
    int32_t result = row[0];
    for (int32_t i = 1; i < depth; i++) {
        result = row[i] > result ? row[i] : result;
    }
    return result;
}

static void softmax_row(const bptq_softmax *op, const int8_t *input, int8_t *output)
{
    const int32_t maximum = largest(input, op->depth);
    /* The sum is in Q12.19. */
    int32_t sum = 0;
    for (int32_t i = 0; i < op->depth; i++) {
        const int32_t difference = input[i] - maximum;
        if (difference >= op->diff_min) {
            const int32_t power = exp_of_negative(bptq_rescale(difference, op->input));
            sum = bptq_add_wrapping(sum, bptq_divide_by_power_of_two(power, 12));
        }
    }
    const int32_t headroom = leading_zeros((uint32_t)sum);
    const int32_t fraction = bptq_wrap(((uint32_t)sum << headroom) - 0x80000000U);
    const int32_t scale = bptq_reciprocal_of_one_plus(fraction);
    const int32_t shift = (12 - headroom) + 31 - 8;
    /* Past a shift of 31 every share is below half a step. */
    const int representable = shift < 32;
    for (int32_t i = 0; i < op->depth; i++) {
        const int32_t difference = input[i] - maximum;
        int32_t value = 0;
        if (representable && difference >= op->diff_min) {
            const int32_t power = exp_of_negative(bptq_rescale(difference, op->input));
            value = bptq_divide_by_power_of_two(bptq_high_product(scale, power), shift);
        }
        output[i] = (int8_t)(value > 255 ? 127 : value - 128);
    }
}

void bptq_softmax_s8(const bptq_softmax *op, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < op->rows; row++) {
        softmax_row(op, input + row * op->depth, output + row * op->depth);
    }
}

/* ln(sum / 2^20) in Q16, for sum >= 2^20. */
static int32_t ln_of_sum(uint64_t sum)
{
    const int32_t ln_2 = 45426;
    int32_t integer = 20;
    while (integer < 63 && sum >> (integer + 1) != 0) {
        integer++;
    }
    /* The significand in [1, 2) as Q1.31; every squaring yields one bit of the binary logarithm. */
    uint64_t significand = (sum << (63 - integer)) >> 32;
    int32_t log2 = integer - 20;
    for (int32_t i = 0; i < 16; i++) {
        significand = (significand * significand) >> 31;
        log2 *= 2;
        if (significand >> 32 != 0) {
            significand >>= 1;
            log2++;
        }
    }
    return (int32_t)(((int64_t)log2 * ln_2 + ((int32_t)1 << 15)) / ((int32_t)1 << 16));
}

static void log_softmax_row(const bptq_log_softmax *op, const int8_t *input, int8_t *output)
{
    const int32_t maximum = largest(input, op->depth);
    uint64_t sum = 0;
    for (int32_t i = 0; i < op->depth; i++) {
        sum += op->exponentials[maximum - input[i]];
    }
    /* Steps of 1/16 with 12 fraction bits are natural logarithms in Q16; then in wider steps. */
    const int32_t widening = op->integer_bits - 4;
    const int32_t logarithm = (ln_of_sum(sum) + ((int32_t)1 << widening) / 2) >> widening;
    for (int32_t i = 0; i < op->depth; i++) {
        const int32_t below = (input[i] - maximum) * ((int32_t)1 << 12);
        const int64_t difference = (int64_t)bptq_rescale(below, op->input) - logarithm;
        const int64_t rounded = bptq_shift_right_wide(difference + (1 << 11), 12) + 127;
        output[i] = (int8_t)(rounded < -128 ? -128 : rounded > 127 ? 127 : rounded);
    }
}

void bptq_log_softmax_s8(const bptq_log_softmax *op, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < op->rows; row++) {
        log_softmax_row(op, input + row * op->depth, output + row * op->depth);
    }
}

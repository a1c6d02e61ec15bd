/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Reductions over any axes: sums and means, norms, extremes. */
#include "bptq_math.h"

/* The largest integer whose square is at most x. */
static uint32_t root(uint64_t x)
{
    uint64_t rest = x;
    uint64_t result = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit > 0; bit >>= 2) {
        if (rest >= result + bit) {
            rest -= result + bit;
            result = (result >> 1) + bit;
        } else {
            result >>= 1;
        }
    }
    return (uint32_t)result;
}

/* The reduced value before it is rescaled, of all reductions whose value has 32 bits. */
static int32_t joined(int32_t reduction, int32_t so_far, int32_t x)
{
    switch (reduction) {
    case BPTQ_MAX:
        return x > so_far ? x : so_far;
    case BPTQ_MIN:
        return x < so_far ? x : so_far;
    case BPTQ_SUM:
        return so_far + x;
    default:
        return so_far + (x < 0 ? -x : x);
    }
}

static int32_t finished(const bptq_reduce *op, int32_t scaled)
{
    return bptq_clamped(bptq_add_wrapping(scaled, op->output_zero_point), op->clamp);
}

static int32_t reduced_s8(const bptq_reduce *op, const int8_t *x)
{
    if (op->reduction == BPTQ_SUM_OF_SQUARES || op->reduction == BPTQ_ROOT_OF_SQUARES) {
        uint64_t squares = 0;
        for (int32_t k = 0; k < op->reduced; k++) {
            const int32_t d = x[k * op->inner] - op->input_zero_point;
            squares += (uint32_t)(d * d);
        }
        if (op->reduction == BPTQ_ROOT_OF_SQUARES) {
            return bptq_rescale((int32_t)root(squares << 16), op->multiplier);
        }
        return bptq_rescale((int32_t)squares, op->multiplier);
    }
    int32_t value = op->reduction == BPTQ_MAX || op->reduction == BPTQ_MIN
                        ? x[0] - op->input_zero_point
                        : 0;
    for (int32_t k = 0; k < op->reduced; k++) {
        value = joined(op->reduction, value, x[k * op->inner] - op->input_zero_point);
    }
    return bptq_rescale(value, op->multiplier);
}

void bptq_reduce_s8(const bptq_reduce *op, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < op->outer; i++) {
        for (int32_t j = 0; j < op->inner; j++) {
            const int32_t scaled = reduced_s8(op, input + i * op->reduced * op->inner + j);
            output[i * op->inner + j] = (int8_t)finished(op, scaled);
        }
    }
}

static int32_t reduced_s16(const bptq_reduce *op, const int16_t *x)
{
    if (op->reduction == BPTQ_SUM_OF_SQUARES || op->reduction == BPTQ_ROOT_OF_SQUARES) {
        uint64_t squares = 0;
        for (int32_t k = 0; k < op->reduced; k++) {
            const int32_t d = x[k * op->inner] - op->input_zero_point;
            squares += (uint32_t)(d * d);
        }
        if (op->reduction == BPTQ_ROOT_OF_SQUARES) {
            return bptq_rescale((int32_t)root(squares << 16), op->multiplier);
        }
        return bptq_rescale_wide((int64_t)squares, op->multiplier);
    }
    int32_t value = op->reduction == BPTQ_MAX || op->reduction == BPTQ_MIN
                        ? x[0] - op->input_zero_point
                        : 0;
    for (int32_t k = 0; k < op->reduced; k++) {
        value = joined(op->reduction, value, x[k * op->inner] - op->input_zero_point);
    }
    return bptq_rescale(value, op->multiplier);
}

void bptq_reduce_s16(const bptq_reduce *op, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < op->outer; i++) {
        for (int32_t j = 0; j < op->inner; j++) {
            const int32_t scaled = reduced_s16(op, input + i * op->reduced * op->inner + j);
            output[i * op->inner + j] = (int16_t)finished(op, scaled);
        }
    }
}

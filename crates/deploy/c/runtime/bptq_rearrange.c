/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Movements along several axes: slices, gathers, repetitions, flips, permutations. */
#include <string.h>

#include "bptq.h"

/* Where element `i` of an axis lies, `start` being that of the axes before. */
static int32_t place(const bptq_steps *axis, int32_t start, int32_t i)
{
    return start + (axis->places == NULL ? i * axis->step : (int32_t)axis->places[i]);
}

static int8_t *run_s8(const bptq_steps *axis, int32_t start, const int8_t *input, int8_t *output)
{
    if (axis->places == NULL && axis->step == 1) {
        memcpy(output, input + start, (size_t)axis->count * sizeof *input);
        return output + axis->count;
    }
    for (int32_t i = 0; i < axis->count; i++) {
        *output++ = input[place(axis, start, i)];
    }
    return output;
}

void bptq_rearrange_s8(const bptq_rearrange *op, const int8_t *input, int8_t *output)
{
    const bptq_steps *axis = op->axes;
    for (int32_t i = 0; i < axis[0].count; i++) {
        const int32_t a = place(&axis[0], op->first, i);
        for (int32_t j = 0; j < axis[1].count; j++) {
            const int32_t b = place(&axis[1], a, j);
            for (int32_t k = 0; k < axis[2].count; k++) {
                const int32_t c = place(&axis[2], b, k);
                for (int32_t l = 0; l < axis[3].count; l++) {
                    const int32_t d = place(&axis[3], c, l);
                    for (int32_t m = 0; m < axis[4].count; m++) {
                        output = run_s8(&axis[5], place(&axis[4], d, m), input, output);
                    }
                }
            }
        }
    }
}

static int16_t *run_s16(const bptq_steps *axis, int32_t start, const int16_t *input, int16_t *output)
{
    if (axis->places == NULL && axis->step == 1) {
        memcpy(output, input + start, (size_t)axis->count * sizeof *input);
        return output + axis->count;
    }
    for (int32_t i = 0; i < axis->count; i++) {
        *output++ = input[place(axis, start, i)];
    }
    return output;
}

void bptq_rearrange_s16(const bptq_rearrange *op, const int16_t *input, int16_t *output)
{
    const bptq_steps *axis = op->axes;
    for (int32_t i = 0; i < axis[0].count; i++) {
        const int32_t a = place(&axis[0], op->first, i);
        for (int32_t j = 0; j < axis[1].count; j++) {
            const int32_t b = place(&axis[1], a, j);
            for (int32_t k = 0; k < axis[2].count; k++) {
                const int32_t c = place(&axis[2], b, k);
                for (int32_t l = 0; l < axis[3].count; l++) {
                    const int32_t d = place(&axis[3], c, l);
                    for (int32_t m = 0; m < axis[4].count; m++) {
                        output = run_s16(&axis[5], place(&axis[4], d, m), input, output);
                    }
                }
            }
        }
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Operations that only move elements. */
#include <string.h>

#include "bptq.h"

void bptq_concat(int32_t outer, int32_t chunk, int32_t step, const void *input, void *output)
{
    const uint8_t *source = (const uint8_t *)input;
    uint8_t *target = (uint8_t *)output;
    for (int32_t i = 0; i < outer; i++) {
        memcpy(target + i * step, source + i * chunk, (size_t)chunk);
    }
}

void bptq_pad_s8(const bptq_pad *op, const int8_t *input, int8_t *output)
{
    int32_t extent[3];
    for (int32_t axis = 0; axis < 3; axis++) {
        extent[axis] = op->before[axis] + op->input[axis] + op->after[axis];
    }
    const int32_t length = extent[0] * extent[1] * extent[2];
    for (int32_t i = 0; i < length; i++) {
        output[i] = (int8_t)op->value;
    }
    for (int32_t y = 0; y < op->input[0]; y++) {
        for (int32_t x = 0; x < op->input[1]; x++) {
            const int32_t pixel = (y + op->before[0]) * extent[1] + x + op->before[1];
            int8_t *target = output + pixel * extent[2] + op->before[2];
            memcpy(target, input, (size_t)op->input[2] * sizeof *input);
            input += op->input[2];
        }
    }
}

void bptq_pad_s16(const bptq_pad *op, const int16_t *input, int16_t *output)
{
    int32_t extent[3];
    for (int32_t axis = 0; axis < 3; axis++) {
        extent[axis] = op->before[axis] + op->input[axis] + op->after[axis];
    }
    const int32_t length = extent[0] * extent[1] * extent[2];
    for (int32_t i = 0; i < length; i++) {
        output[i] = (int16_t)op->value;
    }
    for (int32_t y = 0; y < op->input[0]; y++) {
        for (int32_t x = 0; x < op->input[1]; x++) {
            const int32_t pixel = (y + op->before[0]) * extent[1] + x + op->before[1];
            int16_t *target = output + pixel * extent[2] + op->before[2];
            memcpy(target, input, (size_t)op->input[2] * sizeof *input);
            input += op->input[2];
        }
    }
}

void bptq_pack_s8(int32_t length, const int8_t *input, int8_t *output)
{
    uint8_t *pair = (uint8_t *)output;
    for (int32_t i = 0; i < length; i += 2) {
        const uint32_t low = (uint8_t)input[i] & 0x0Fu;
        const uint32_t high = (uint8_t)input[i + 1] & 0x0Fu;
        *pair++ = (uint8_t)(low | high << 4);
    }
}

void bptq_unpack_s8(int32_t length, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < length; i += 2) {
        const uint32_t pair = (uint8_t)*input++;
        /* Flipping the sign bit of a nibble and taking its weight away again extends it. */
        output[i] = (int8_t)((int32_t)((pair & 0x0Fu) ^ 8u) - 8);
        output[i + 1] = (int8_t)((int32_t)((pair >> 4) ^ 8u) - 8);
    }
}

/* The distance in the input between neighbours along each output axis. */
static void steps(const bptq_transpose *op, int32_t step[3])
{
    const int32_t distance[3] = {op->input[1] * op->input[2], op->input[2], 1};
    for (int32_t axis = 0; axis < 3; axis++) {
        step[axis] = distance[op->axes[axis]];
    }
}

void bptq_transpose_s8(const bptq_transpose *op, const int8_t *input, int8_t *output)
{
    int32_t step[3];
    steps(op, step);
    for (int32_t i = 0; i < op->input[op->axes[0]]; i++) {
        for (int32_t j = 0; j < op->input[op->axes[1]]; j++) {
            for (int32_t k = 0; k < op->input[op->axes[2]]; k++) {
                *output++ = input[i * step[0] + j * step[1] + k * step[2]];
            }
        }
    }
}

void bptq_transpose_s16(const bptq_transpose *op, const int16_t *input, int16_t *output)
{
    int32_t step[3];
    steps(op, step);
    for (int32_t i = 0; i < op->input[op->axes[0]]; i++) {
        for (int32_t j = 0; j < op->input[op->axes[1]]; j++) {
            for (int32_t k = 0; k < op->input[op->axes[2]]; k++) {
                *output++ = input[i * step[0] + j * step[1] + k * step[2]];
            }
        }
    }
}

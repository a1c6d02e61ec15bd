/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* The places or values of the largest or smallest elements of rows. */
#include "bptq.h"

/* Whether element `at` comes before `than`; different places never tie. */
static int comes_first(const bptq_top_k *op, int32_t x, int32_t at, int32_t y, int32_t than)
{
    if (x != y) {
        return op->smallest ? x < y : x > y;
    }
    return op->last ? at > than : at < than;
}

/* The place of the first element that does not come before `previous`, or of all if that is -1. */
static int32_t next_s8(const bptq_top_k *op, const int8_t *row, int32_t previous)
{
    int32_t found = -1;
    for (int32_t at = 0; at < op->depth; at++) {
        if (previous >= 0 && !comes_first(op, row[previous], previous, row[at], at)) {
            continue;
        }
        if (found < 0 || comes_first(op, row[at], at, row[found], found)) {
            found = at;
        }
    }
    return found;
}

/* The place of the first element that does not come before `previous`, or of all if that is -1. */
static int32_t next_s16(const bptq_top_k *op, const int16_t *row, int32_t previous)
{
    int32_t found = -1;
    for (int32_t at = 0; at < op->depth; at++) {
        if (previous >= 0 && !comes_first(op, row[previous], previous, row[at], at)) {
            continue;
        }
        if (found < 0 || comes_first(op, row[at], at, row[found], found)) {
            found = at;
        }
    }
    return found;
}

void bptq_top_k_s8(const bptq_top_k *op, const int8_t *input, int8_t *output)
{
    for (int32_t i = 0; i < op->rows; i++) {
        const int8_t *row = input + i * op->depth;
        int32_t at = -1;
        for (int32_t j = 0; j < op->k; j++) {
            at = next_s8(op, row, at);
            output[i * op->k + j] = row[at];
        }
    }
}

void bptq_top_k_s16(const bptq_top_k *op, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < op->rows; i++) {
        const int16_t *row = input + i * op->depth;
        int32_t at = -1;
        for (int32_t j = 0; j < op->k; j++) {
            at = next_s16(op, row, at);
            output[i * op->k + j] = row[at];
        }
    }
}

void bptq_top_k_s8_s16(const bptq_top_k *op, const int8_t *input, int16_t *output)
{
    for (int32_t i = 0; i < op->rows; i++) {
        const int8_t *row = input + i * op->depth;
        int32_t at = -1;
        for (int32_t j = 0; j < op->k; j++) {
            at = next_s8(op, row, at);
            output[i * op->k + j] = (int16_t)at;
        }
    }
}

void bptq_top_k_s16_s16(const bptq_top_k *op, const int16_t *input, int16_t *output)
{
    for (int32_t i = 0; i < op->rows; i++) {
        const int16_t *row = input + i * op->depth;
        int32_t at = -1;
        for (int32_t j = 0; j < op->k; j++) {
            at = next_s16(op, row, at);
            output[i * op->k + j] = (int16_t)at;
        }
    }
}

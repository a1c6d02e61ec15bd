/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Dot products of one run of inputs with BPTQ_FILTERS filters at once. */
#ifndef BPTQ_DOT_H
#define BPTQ_DOT_H

#include "bptq_weights.h"

/* A block of filters; a block with fewer than BPTQ_FILTERS repeats its last one. */
typedef struct {
    const int8_t *filter[BPTQ_FILTERS];
    int32_t count;
} bptq_block;

/* The filters from `first` on, before `end`, of `length` weights each. */
static inline bptq_block bptq_filters(const bptq_weighted *weighted, int32_t first, int32_t end,
                                      int32_t length, int8_t *scratch)
{
    bptq_block block;
    block.count = end - first < BPTQ_FILTERS ? end - first : BPTQ_FILTERS;
    const int8_t *weights =
        bptq_decode(weighted, first * length, block.count * length, scratch);
    for (int32_t i = 0; i < BPTQ_FILTERS; i++) {
        block.filter[i] = weights + (i < block.count ? i : block.count - 1) * length;
    }
    return block;
}

/* Adds the products of `length` inputs, less the zero point, with the weights of each filter from
 * index `start` on. The caller keeps sums below 2^31: 65,000 products do. A function of its own, in
 * which everything stays in registers. */
void bptq_dot_s8(const int8_t *x, int32_t zero_point, const bptq_block *block, int32_t start,
                 int32_t length, int32_t sums[BPTQ_FILTERS]);

/* The outputs of `count` channels from `first` on, from their sums of products. */
void bptq_finish_s8(const bptq_weighted *weighted, int32_t first, int32_t count,
                    const int32_t *sums, int8_t *output);

/* The outputs of all filters for each of the rows of `depth` inputs. */
void bptq_rows_s8(const bptq_weighted *weighted, int32_t rows, int32_t depth, int32_t filters,
                  const int8_t *input, int8_t *output, int8_t *scratch);

static inline void bptq_dot_s16(const int16_t *x, const bptq_block *block, int32_t start,
                                int32_t length, int64_t sums[BPTQ_FILTERS])
{
    for (int32_t filter = 0; filter < block->count; filter++) {
        const int8_t *w = block->filter[filter] + start;
        int64_t sum = sums[filter];
        for (int32_t i = 0; i < length; i++) {
            sum += (int32_t)x[i] * w[i];
        }
        sums[filter] = sum;
    }
}

#endif /* BPTQ_DOT_H */

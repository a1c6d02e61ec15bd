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
 * index `start` on. The caller keeps sums below 2^31: 65,000 products do. */
static inline void bptq_dot_s8(const int8_t *x, int32_t zero_point, const bptq_block *block,
                               int32_t start, int32_t length, int32_t sums[BPTQ_FILTERS])
{
    const int8_t *a = block->filter[0] + start;
    const int8_t *b = block->filter[1] + start;
    const int8_t *c = block->filter[2] + start;
    const int8_t *d = block->filter[3] + start;
    int32_t sum_a = sums[0];
    int32_t sum_b = sums[1];
    int32_t sum_c = sums[2];
    int32_t sum_d = sums[3];
    for (int32_t i = 0; i < length; i++) {
        const int32_t value = x[i] - zero_point;
        sum_a += value * a[i];
        sum_b += value * b[i];
        sum_c += value * c[i];
        sum_d += value * d[i];
    }
    sums[0] = sum_a;
    sums[1] = sum_b;
    sums[2] = sum_c;
    sums[3] = sum_d;
}

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

/* Dot products of expanded inputs with a pair of filters. */
#ifndef BPTQ_DSP_DOT_H
#define BPTQ_DSP_DOT_H

#include "bptq_dsp_math.h"

/* Elements of a patch for each word of a filter. */
#define BPTQ_DSP_PER_WORD(bits) (32 / (bits))

/* The sums of two filters, a and b, over two patches. */
typedef struct {
    int32_t a0, b0, a1, b1;
} bptq_sums;

/* Adds one pair of elements of each patch; wa and wb are ready pairs of weights. */
BPTQ_INLINE void bptq_dsp_add(bptq_sums *sums, uint32_t wa, uint32_t wb, uint32_t x0, uint32_t x1)
{
    sums->a0 = bptq_smlad(wa, x0, sums->a0);
    sums->b0 = bptq_smlad(wb, x0, sums->b0);
    sums->a1 = bptq_smlad(wa, x1, sums->a1);
    sums->b1 = bptq_smlad(wb, x1, sums->b1);
}

/* Pair `index` of a word's weights. Below 8 bits they are still biased. */
BPTQ_INLINE uint32_t bptq_dsp_weights(uint32_t word, int32_t bits, int32_t index)
{
    if (bits == 8) {
        return index == 0 ? bptq_even_bytes(word) : bptq_odd_bytes(word);
    }
    return (word >> (index * bits)) & (bits == 4 ? 0x000F000FU : 0x00030003U);
}

/* Two filters of `words` words each over two patches. */
BPTQ_INLINE void bptq_dsp_dot(int32_t bits, const uint32_t *weights, const bptq_pair *x0,
                              const bptq_pair *x1, int32_t words, bptq_sums *sums)
{
    const int32_t pairs = BPTQ_DSP_PER_WORD(bits) / 2;
    bptq_sums s = *sums;
    for (const uint32_t *end = weights + 2 * words; weights != end; weights += 2) {
        const uint32_t a = weights[0];
        const uint32_t b = weights[1];
        for (int32_t i = 0; i < pairs; i++) {
            bptq_dsp_add(&s, bptq_dsp_weights(a, bits, i), bptq_dsp_weights(b, bits, i), x0[i],
                         x1[i]);
        }
        x0 += pairs;
        x1 += pairs;
    }
    *sums = s;
}

/* Two pairs of filters over one patch; the second pair's sums are a1 and b1. */
BPTQ_INLINE void bptq_dsp_dot_wide(int32_t bits, const uint32_t *first, const uint32_t *second,
                                   const bptq_pair *x, int32_t words, bptq_sums *sums)
{
    const int32_t pairs = BPTQ_DSP_PER_WORD(bits) / 2;
    bptq_sums s = *sums;
    for (const uint32_t *end = first + 2 * words; first != end; first += 2) {
        const uint32_t a0 = first[0];
        const uint32_t b0 = first[1];
        const uint32_t a1 = second[0];
        const uint32_t b1 = second[1];
        for (int32_t i = 0; i < pairs; i++) {
            const uint32_t pair = x[i];
            s.a0 = bptq_smlad(bptq_dsp_weights(a0, bits, i), pair, s.a0);
            s.b0 = bptq_smlad(bptq_dsp_weights(b0, bits, i), pair, s.b0);
            s.a1 = bptq_smlad(bptq_dsp_weights(a1, bits, i), pair, s.a1);
            s.b1 = bptq_smlad(bptq_dsp_weights(b1, bits, i), pair, s.b1);
        }
        second += 2;
        x += pairs;
    }
    *sums = s;
}

#endif /* BPTQ_DSP_DOT_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Dot products of expanded inputs with pairs of filters. */
#ifndef BPTQ_DSP_DOT_H
#define BPTQ_DSP_DOT_H

#include "bptq_dsp_math.h"

/* Weights in each half of a word, of two filters; a pair of filters takes so many elements a word,
 * on average. */
#define BPTQ_DSP_PER_WORD(bits) (16 / (bits))

/* A filter's length is a multiple of this: what a step of the loops takes. */
#define BPTQ_DSP_STEP(bits) ((bits) == 8 ? 4 : (bits) == 3 ? 10 : 8)

/* The sums of two filters, a and b, over two patches; or those of four over one. */
typedef struct {
    int32_t a0, b0, a1, b1;
} bptq_sums;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Adds a pair of elements of each patch: weights in %[t] and %[w], elements in `p` and `q`. */
#define BPTQ_ADD(first, second, p, q)                                                             \
    "smlad %[a0], " first ", " p ", %[a0]\n"                                                      \
    "smlad %[b0], " second ", " p ", %[b0]\n"                                                     \
    "smlad %[a1], " first ", " q ", %[a1]\n"                                                      \
    "smlad %[b1], " second ", " q ", %[b1]\n"

/* Two pairs of packed weights, `shift` bits up, with the next element of each patch. */
#define BPTQ_ADD_PACKED(shift_a, shift_b)                                                         \
    "ldr %[p], [%[x0]], #4\n"                                                                     \
    "ldr %[q], [%[x1]], #4\n"                                                                     \
    "and %[t], %[mask], %[w]" shift_a "\n"                                                        \
    "smlad %[a0], %[t], %[p], %[a0]\n"                                                            \
    "smlad %[a1], %[t], %[q], %[a1]\n"                                                            \
    "and %[t], %[mask], %[w]" shift_b "\n"                                                        \
    "smlad %[b0], %[t], %[p], %[b0]\n"                                                            \
    "smlad %[b1], %[t], %[q], %[b1]\n"

/* The same where the weights of the second filter stand in the next word. */
#define BPTQ_ADD_SPLIT(shift_a)                                                                   \
    "ldr %[p], [%[x0]], #4\n"                                                                     \
    "ldr %[q], [%[x1]], #4\n"                                                                     \
    "and %[t], %[mask], %[w]" shift_a "\n"                                                        \
    "smlad %[a0], %[t], %[p], %[a0]\n"                                                            \
    "smlad %[a1], %[t], %[q], %[a1]\n"                                                            \
    "ldr %[w], [%[weights]], #4\n"                                                                \
    "and %[t], %[mask], %[w]\n"                                                                   \
    "smlad %[b0], %[t], %[p], %[b0]\n"                                                            \
    "smlad %[b1], %[t], %[q], %[b1]\n"

/* Two filters of `words` words over two patches. The compiler would spill what fits exactly. */
BPTQ_INLINE void bptq_dsp_dot(int32_t bits, const uint32_t *weights, const bptq_pair *x0,
                              const bptq_pair *x1, int32_t words, bptq_sums *sums)
{
    const uint32_t *end = weights + words;
    bptq_sums s = *sums;
    uint32_t w, t, p, q;
    if (bits == 8) {
        uint32_t r;
        __asm__("1:\n"
                "ldrd %[p], %[r], [%[x0]], #8\n"
                "ldr %[w], [%[weights]], #4\n"
                "ldr %[q], [%[x1]], #4\n"
                "sxtb16 %[t], %[w]\n"
                "sxtb16 %[w], %[w], ror #8\n" BPTQ_ADD("%[t]", "%[w]", "%[p]", "%[q]")
                "ldr %[w], [%[weights]], #4\n"
                "ldr %[q], [%[x1]], #4\n"
                "sxtb16 %[t], %[w]\n"
                "sxtb16 %[w], %[w], ror #8\n" BPTQ_ADD("%[t]", "%[w]", "%[r]", "%[q]")
                "cmp %[weights], %[end]\n"
                "bne 1b\n"
                : [a0] "+&r"(s.a0), [b0] "+&r"(s.b0), [a1] "+&r"(s.a1), [b1] "+&r"(s.b1),
                  [weights] "+&r"(weights), [x0] "+&r"(x0), [x1] "+&r"(x1), [w] "=&r"(w),
                  [t] "=&r"(t), [p] "=&r"(p), [q] "=&r"(q), [r] "=&r"(r)
                : [end] "r"(end)
                : "cc", "memory");
    } else if (bits == 4) {
        __asm__("1:\n"
                "ldr %[w], [%[weights]], #4\n" BPTQ_ADD_PACKED("", ", lsr #4")
                BPTQ_ADD_PACKED(", lsr #8", ", lsr #12")
                "ldr %[w], [%[weights]], #4\n" BPTQ_ADD_PACKED("", ", lsr #4")
                BPTQ_ADD_PACKED(", lsr #8", ", lsr #12")
                "cmp %[weights], %[end]\n"
                "bne 1b\n"
                : [a0] "+&r"(s.a0), [b0] "+&r"(s.b0), [a1] "+&r"(s.a1), [b1] "+&r"(s.b1),
                  [weights] "+&r"(weights), [x0] "+&r"(x0), [x1] "+&r"(x1), [w] "=&r"(w),
                  [t] "=&r"(t), [p] "=&r"(p), [q] "=&r"(q)
                : [end] "r"(end), [mask] "r"(0x000F000FU)
                : "cc", "memory");
    } else if (bits == 3) {
        __asm__("1:\n"
                "ldr %[w], [%[weights]], #4\n" BPTQ_ADD_PACKED("", ", lsr #3")
                BPTQ_ADD_PACKED(", lsr #6", ", lsr #9")
                BPTQ_ADD_SPLIT(", lsr #12")
                BPTQ_ADD_PACKED(", lsr #3", ", lsr #6")
                BPTQ_ADD_PACKED(", lsr #9", ", lsr #12")
                "cmp %[weights], %[end]\n"
                "bne 1b\n"
                : [a0] "+&r"(s.a0), [b0] "+&r"(s.b0), [a1] "+&r"(s.a1), [b1] "+&r"(s.b1),
                  [weights] "+&r"(weights), [x0] "+&r"(x0), [x1] "+&r"(x1), [w] "=&r"(w),
                  [t] "=&r"(t), [p] "=&r"(p), [q] "=&r"(q)
                : [end] "r"(end), [mask] "r"(0x00070007U)
                : "cc", "memory");
    } else {
        __asm__("1:\n"
                "ldr %[w], [%[weights]], #4\n" BPTQ_ADD_PACKED("", ", lsr #2")
                BPTQ_ADD_PACKED(", lsr #4", ", lsr #6")
                BPTQ_ADD_PACKED(", lsr #8", ", lsr #10")
                BPTQ_ADD_PACKED(", lsr #12", ", lsr #14")
                "cmp %[weights], %[end]\n"
                "bne 1b\n"
                : [a0] "+&r"(s.a0), [b0] "+&r"(s.b0), [a1] "+&r"(s.a1), [b1] "+&r"(s.b1),
                  [weights] "+&r"(weights), [x0] "+&r"(x0), [x1] "+&r"(x1), [w] "=&r"(w),
                  [t] "=&r"(t), [p] "=&r"(p), [q] "=&r"(q)
                : [end] "r"(end), [mask] "r"(0x00030003U)
                : "cc", "memory");
    }
    *sums = s;
}

/* One pair of filters a, b of the words in `w`, over the element pair `x`. */
#define BPTQ_ADD_WIDE_BYTES(w, x, a, b)                                                           \
    "sxtb16 %[t], " w "\n"                                                                        \
    "smlad " a ", %[t], " x ", " a "\n"                                                           \
    "sxtb16 " w ", " w ", ror #8\n"                                                               \
    "smlad " b ", " w ", " x ", " b "\n"

#define BPTQ_ADD_WIDE_WORD(x)                                                                     \
    "ldr %[w], [%[first]], #4\n"                                                                  \
    "ldr %[v], [%[second]], #4\n" BPTQ_ADD_WIDE_BYTES("%[w]", x, "%[a0]", "%[b0]")                \
        BPTQ_ADD_WIDE_BYTES("%[v]", x, "%[a1]", "%[b1]")

/* The next element pair with packed weights of both pairs of filters. */
#define BPTQ_ADD_WIDE_PACKED(shift_a, shift_b)                                                    \
    "ldr %[p], [%[x]], #4\n"                                                                      \
    "and %[t], %[mask], %[w]" shift_a "\n"                                                        \
    "smlad %[a0], %[t], %[p], %[a0]\n"                                                            \
    "and %[t], %[mask], %[w]" shift_b "\n"                                                        \
    "smlad %[b0], %[t], %[p], %[b0]\n"                                                            \
    "and %[t], %[mask], %[v]" shift_a "\n"                                                        \
    "smlad %[a1], %[t], %[p], %[a1]\n"                                                            \
    "and %[t], %[mask], %[v]" shift_b "\n"                                                        \
    "smlad %[b1], %[t], %[p], %[b1]\n"

/* The same where the weights of the second filters stand in the next words. */
#define BPTQ_ADD_WIDE_SPLIT(shift_a)                                                              \
    "ldr %[p], [%[x]], #4\n"                                                                      \
    "and %[t], %[mask], %[w]" shift_a "\n"                                                        \
    "smlad %[a0], %[t], %[p], %[a0]\n"                                                            \
    "and %[t], %[mask], %[v]" shift_a "\n"                                                        \
    "smlad %[a1], %[t], %[p], %[a1]\n" BPTQ_NEXT_WORDS                                            \
    "and %[t], %[mask], %[w]\n"                                                                   \
    "smlad %[b0], %[t], %[p], %[b0]\n"                                                            \
    "and %[t], %[mask], %[v]\n"                                                                   \
    "smlad %[b1], %[t], %[p], %[b1]\n"

#define BPTQ_NEXT_WORDS                                                                           \
    "ldr %[w], [%[first]], #4\n"                                                                  \
    "ldr %[v], [%[second]], #4\n"

#define BPTQ_WIDE_OPERANDS                                                                        \
    [a0] "+&r"(s.a0), [b0] "+&r"(s.b0), [a1] "+&r"(s.a1), [b1] "+&r"(s.b1), [first] "+&r"(first),      \
        [second] "+&r"(second), [x] "+&r"(x), [w] "=&r"(w), [v] "=&r"(v), [t] "=&r"(t),             \
        [p] "=&r"(p)

/* Two pairs of filters over one patch; the second pair's sums are a1 and b1. */
BPTQ_INLINE void bptq_dsp_dot_wide(int32_t bits, const uint32_t *first, const uint32_t *second,
                                   const bptq_pair *x, int32_t words, bptq_sums *sums)
{
    const uint32_t *end = first + words;
    bptq_sums s = *sums;
    uint32_t w, v, t, p;
    if (bits == 8) {
        uint32_t q;
        __asm__("1:\n"
                "ldrd %[p], %[q], [%[x]], #8\n" BPTQ_ADD_WIDE_WORD("%[p]")
                BPTQ_ADD_WIDE_WORD("%[q]")
                "cmp %[first], %[end]\n"
                "bne 1b\n"
                : BPTQ_WIDE_OPERANDS, [q] "=&r"(q)
                : [end] "r"(end)
                : "cc", "memory");
    } else if (bits == 4) {
        __asm__("1:\n" BPTQ_NEXT_WORDS BPTQ_ADD_WIDE_PACKED("", ", lsr #4")
                BPTQ_ADD_WIDE_PACKED(", lsr #8", ", lsr #12")
                BPTQ_NEXT_WORDS BPTQ_ADD_WIDE_PACKED("", ", lsr #4")
                BPTQ_ADD_WIDE_PACKED(", lsr #8", ", lsr #12")
                "cmp %[first], %[end]\n"
                "bne 1b\n"
                : BPTQ_WIDE_OPERANDS
                : [end] "r"(end), [mask] "r"(0x000F000FU)
                : "cc", "memory");
    } else if (bits == 3) {
        __asm__("1:\n" BPTQ_NEXT_WORDS BPTQ_ADD_WIDE_PACKED("", ", lsr #3")
                BPTQ_ADD_WIDE_PACKED(", lsr #6", ", lsr #9")
                BPTQ_ADD_WIDE_SPLIT(", lsr #12")
                BPTQ_ADD_WIDE_PACKED(", lsr #3", ", lsr #6")
                BPTQ_ADD_WIDE_PACKED(", lsr #9", ", lsr #12")
                "cmp %[first], %[end]\n"
                "bne 1b\n"
                : BPTQ_WIDE_OPERANDS
                : [end] "r"(end), [mask] "r"(0x00070007U)
                : "cc", "memory");
    } else {
        __asm__("1:\n" BPTQ_NEXT_WORDS BPTQ_ADD_WIDE_PACKED("", ", lsr #2")
                BPTQ_ADD_WIDE_PACKED(", lsr #4", ", lsr #6")
                BPTQ_ADD_WIDE_PACKED(", lsr #8", ", lsr #10")
                BPTQ_ADD_WIDE_PACKED(", lsr #12", ", lsr #14")
                "cmp %[first], %[end]\n"
                "bne 1b\n"
                : BPTQ_WIDE_OPERANDS
                : [end] "r"(end), [mask] "r"(0x00030003U)
                : "cc", "memory");
    }
    *sums = s;
}

#else

/* The weights below 8 bits that stand in one field of both halves of a word. */
BPTQ_INLINE uint32_t bptq_dsp_field(int32_t bits, const uint32_t *weights, int32_t field)
{
    const uint32_t mask = ((1U << bits) - 1U) * 0x00010001U;
    const int32_t per_word = BPTQ_DSP_PER_WORD(bits);
    return (weights[field / per_word] >> (field % per_word * bits)) & mask;
}

/* Two filters of `words` words over two patches. */
BPTQ_INLINE void bptq_dsp_dot(int32_t bits, const uint32_t *weights, const bptq_pair *x0,
                              const bptq_pair *x1, int32_t words, bptq_sums *sums)
{
    const int32_t pairs = words * BPTQ_DSP_PER_WORD(bits) / 2;
    for (int32_t i = 0; i < pairs; i++) {
        const uint32_t a =
            bits == 8 ? bptq_even_bytes(weights[i]) : bptq_dsp_field(bits, weights, 2 * i);
        const uint32_t b =
            bits == 8 ? bptq_odd_bytes(weights[i]) : bptq_dsp_field(bits, weights, 2 * i + 1);
        sums->a0 = bptq_smlad(a, *x0, sums->a0);
        sums->b0 = bptq_smlad(b, *x0++, sums->b0);
        sums->a1 = bptq_smlad(a, *x1, sums->a1);
        sums->b1 = bptq_smlad(b, *x1++, sums->b1);
    }
}

/* Two pairs of filters over one patch; the second pair's sums are a1 and b1. */
BPTQ_INLINE void bptq_dsp_dot_wide(int32_t bits, const uint32_t *first, const uint32_t *second,
                                   const bptq_pair *x, int32_t words, bptq_sums *sums)
{
    bptq_sums front = {sums->a0, sums->b0, 0, 0};
    bptq_sums back = {sums->a1, sums->b1, 0, 0};
    bptq_dsp_dot(bits, first, x, x, words, &front);
    bptq_dsp_dot(bits, second, x, x, words, &back);
    sums->a0 = front.a0;
    sums->b0 = front.b0;
    sums->a1 = back.a0;
    sums->b1 = back.b0;
}

#endif

#endif /* BPTQ_DSP_DOT_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* What kernels for cores without SIMD share. */
#ifndef BPTQ_SCALAR_MATH_H
#define BPTQ_SCALAR_MATH_H

#include <string.h>

#include "bptq_math.h"
#include "bptq_scalar.h"

#define BPTQ_SCALAR_INLINE static inline __attribute__((__always_inline__))

/* A function with registers of its own. */
#define BPTQ_SCALAR_APART __attribute__((__noinline__))

/* Two pixels; scratch is written and read as bytes, too. */
typedef uint32_t __attribute__((__may_alias__)) bptq_scalar_word;

/* Keeps a value in a register between steps of an unrolled loop: compilers would gather the products of
 * all steps first, for which there are too few registers. */
#define BPTQ_SCALAR_KEEP(x) __asm__("" : "+r"(x))

/* What makes outputs of a channel's sums. */
typedef struct {
    int32_t quantized;
    int32_t offset;
    int32_t shift;
} bptq_scalar_factor;

/* `twice` is 2 z + 1 of the output's zero point z. */
BPTQ_SCALAR_INLINE bptq_scalar_factor bptq_scalar_factor_of(uint32_t quantized, uint32_t shift,
                                                            int32_t twice)
{
    const int32_t offset = bptq_shift_right(bptq_wrap((uint32_t)twice << shift), 1);
    const bptq_scalar_factor factor = {bptq_wrap(quantized), offset, (int32_t)shift};
    return factor;
}

#if defined(__ARM_FEATURE_SAT)

BPTQ_SCALAR_INLINE int32_t bptq_scalar_saturated(int32_t x)
{
    __asm__("ssat %0, #8, %1" : "=r"(x) : "r"(x));
    return x;
}

#else

BPTQ_SCALAR_INLINE int32_t bptq_scalar_saturated(int32_t x)
{
    return x < -128 ? -128 : x > 127 ? 127 : x;
}

#endif

/* Whether functions may be in assembly of Armv7-M. */
#if defined(__thumb2__) && defined(__ARM_FEATURE_SAT)
#define BPTQ_SCALAR_THUMB 1
#else
#define BPTQ_SCALAR_THUMB 0
#endif

/* A function that is all assembly, with its arguments in registers 0 to 3. No compiler may look into
 * it to pass them otherwise. */
#if defined(__clang__)
#define BPTQ_SCALAR_NAKED __attribute__((__naked__, __noinline__))
#else
#define BPTQ_SCALAR_NAKED __attribute__((__naked__, __noipa__))
#endif
#define BPTQ_SCALAR_UNUSED __attribute__((__unused__))

/* Whether the processor has eight registers for most instructions, and multiplies 32 bits by 32 to 32. */
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define BPTQ_SCALAR_SMALL 1
#else
#define BPTQ_SCALAR_SMALL 0
#endif

#if BPTQ_SCALAR_SMALL

/* A function: it is long. */
#define BPTQ_SCALAR_OUTPUT static BPTQ_SCALAR_APART __attribute__((__unused__))

/* a * b / 2^32, rounded half up, and `offset` on top, of halves. */
BPTQ_SCALAR_INLINE int32_t bptq_scalar_high(int32_t a, int32_t b, int32_t offset)
{
    const uint32_t a_low = (uint32_t)a & 0xFFFFU;
    const int32_t a_high = bptq_shift_right(a, 16);
    const uint32_t b_low = (uint32_t)b & 0xFFFFU;
    const int32_t b_high = bptq_shift_right(b, 16);
    const uint32_t low = ((a_low * b_low) >> 16) + a_low * (uint32_t)b_high + 0x8000U;
    const int32_t middle = bptq_wrap((uint32_t)a_high * b_low);
    const uint32_t carry = ((low & 0xFFFFU) + ((uint32_t)middle & 0xFFFFU)) >> 16;
    return a_high * b_high + bptq_shift_right(middle, 16) + (int32_t)((low >> 16) + carry) + offset;
}

#else

#define BPTQ_SCALAR_OUTPUT BPTQ_SCALAR_INLINE

/* a * b / 2^32, rounded half up, and `offset` on top. */
BPTQ_SCALAR_INLINE int32_t bptq_scalar_high(int32_t a, int32_t b, int32_t offset)
{
    const uint64_t start = ((uint64_t)(uint32_t)offset << 32) | 0x80000000U;
    const int64_t sum = (int64_t)a * b + (int64_t)start;
    return (int32_t)bptq_shift_right_wide(sum, 32);
}

#endif

/*
 * The output of a sum: both roundings, the zero point and the shift in one. The offset holds the half of
 * a rounding half up and the zero point. Half away from zero is one less for negative products, and for
 * negative sums just as well: where their product is 0, the output stays the same.
 */
BPTQ_SCALAR_OUTPUT int8_t bptq_scalar_output(int32_t sum, bptq_scalar_factor factor)
{
    const int32_t doubled = bptq_wrap((uint32_t)sum << 1);
    const int32_t offset = factor.offset + bptq_shift_right(doubled, 31);
    const int32_t high = bptq_scalar_high(doubled, factor.quantized, offset);
    return (int8_t)bptq_scalar_saturated(bptq_shift_right(high, factor.shift));
}

#endif /* BPTQ_SCALAR_MATH_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* What tiles share. */
#ifndef BPTQ_TILE_MATH_H
#define BPTQ_TILE_MATH_H

#include "bptq_dsp_math.h"
#include "bptq_tile.h"

/* A function that is all assembly, with its arguments in registers 0 to 3. No compiler may look into
 * it to pass them otherwise. */
#if defined(__clang__)
#define BPTQ_NAKED __attribute__((__naked__, __noinline__))
#else
#define BPTQ_NAKED __attribute__((__naked__, __noipa__))
#endif
#define BPTQ_UNUSED __attribute__((__unused__))

/* The output of a sum that is doubled, the plain way, before its type bounds it. */
BPTQ_INLINE int32_t bptq_tile_rescaled(int32_t doubled, uint32_t quantized, uint32_t offset)
{
    const int32_t shift = __builtin_ctz(offset) + 1;
    const int64_t product = (int64_t)doubled * (int32_t)quantized + ((int64_t)1 << 31);
    const int32_t high = (int32_t)bptq_shift_right_wide(product, 32);
    /* The offset holds the half of a rounding half up, and the zero point. */
    const int32_t away = bptq_add_wrapping(bptq_wrap(offset), bptq_shift_right(doubled, 31));
    return bptq_shift_right(bptq_add_wrapping(high, away), shift);
}

BPTQ_INLINE int8_t bptq_tile_output(int32_t doubled, uint32_t quantized, uint32_t offset)
{
    return (int8_t)bptq_saturated(bptq_tile_rescaled(doubled, quantized, offset));
}

/*
 * The same for the register `x`, in assembly. `q` and `offset` are the two words, `shift` is one less
 * than the right shift, by which the saturation moves. SMMLAR adds the offset to the product before it
 * rounds, so that both roundings, the zero point and the shift are two instructions.
 *
 * Half away from zero is one less for negative products, and for negative sums just as well. Where the
 * zero point is the lower bound, they all become that: the second form.
 */
#define BPTQ_OUTPUT_OF(bits, x, q, offset, shift, spare)                                           \
    "add " spare ", " offset ", " x ", asr #31\n"                                                  \
    "smmlar " x ", " x ", " q ", " spare "\n"                                                      \
    "asr " x ", " x ", " shift "\n"                                                                \
    "ssat " x ", #" bits ", " x ", asr #1\n"
#define BPTQ_OUTPUT(x, q, offset, shift, spare) BPTQ_OUTPUT_OF("8", x, q, offset, shift, spare)
#define BPTQ_RELU_OUTPUT(x, q, offset, shift)                                                      \
    "smmlar " x ", " x ", " q ", " offset "\n"                                                     \
    "asr " x ", " x ", " shift "\n"                                                                \
    "ssat " x ", #8, " x ", asr #1\n"

/* The shift less one: zeros below the lowest bit of the offset. */
#define BPTQ_OUTPUT_SHIFT(shift, offset)                                                           \
    "rbit " shift ", " offset "\n"                                                                 \
    "clz " shift ", " shift "\n"

#endif /* BPTQ_TILE_MATH_H */

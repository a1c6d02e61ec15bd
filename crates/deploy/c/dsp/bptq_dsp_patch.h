/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Inputs of a convolution, gathered as 16-bit elements less the zero point. */
#ifndef BPTQ_DSP_PATCH_H
#define BPTQ_DSP_PATCH_H

#include "bptq_dsp_math.h"

/* Writes `count` inputs less the zero point; returns where they end. */
int16_t *bptq_dsp_expand(const int8_t *input, int32_t count, int32_t zero_point, int16_t *out);

/* What the window at (y, x) covers of one group of channels, with zeros for the padding and up to
 * `length` elements. */
void bptq_dsp_gather(const bptq_conv2d *op, const int8_t *input, int32_t y, int32_t x,
                     int32_t length, int16_t *patch);

/* What a sum over a patch of an even number of elements begins with: less what weights of `bits`
 * bits add to it that are packed with half their range on top. */
BPTQ_INLINE int32_t bptq_dsp_start(int32_t bits, const bptq_pair *patch, int32_t length)
{
    int32_t sum = 0;
    const bptq_pair *end = patch + length / 2;
    if (bits == 8) {
        return 0;
    }
    if ((length & 2) != 0) {
        sum = bptq_smlad(*patch++, 0x00010001U, sum);
    }
    for (; patch != end; patch += 2) {
        sum = bptq_smlad(patch[0], 0x00010001U, sum);
        sum = bptq_smlad(patch[1], 0x00010001U, sum);
    }
    return (int32_t)(0U - ((uint32_t)sum << (bits - 1)));
}

#endif /* BPTQ_DSP_PATCH_H */

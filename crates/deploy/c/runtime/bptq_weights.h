/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Access to packed weights. */
#ifndef BPTQ_WEIGHTS_H
#define BPTQ_WEIGHTS_H

#include "bptq.h"

/* `count` weights from index `first` on, one byte each: in place if they are stored so, otherwise
 * decoded into `scratch`. */
const int8_t *bptq_decode(const bptq_weighted *weighted, int32_t first, int32_t count,
                          int8_t *scratch);

/* The weight of `bits` bits at the bottom of `field`, sign-extended. */
static inline int32_t bptq_weight(uint32_t bits, uint32_t field)
{
    const uint32_t sign = 1U << (bits - 1U);
    return (int32_t)((field & (2U * sign - 1U)) ^ sign) - (int32_t)sign;
}

/* Eight weights of 3 bits as an integer. */
static inline uint32_t bptq_group_3(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
}

#endif /* BPTQ_WEIGHTS_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Decoding of packed weights. */
#include "bptq_weights.h"

static inline int8_t decode_2(uint32_t byte, uint32_t position)
{
    return (int8_t)bptq_weight(2, byte >> (2 * position));
}

static inline int8_t decode_4(uint32_t byte, uint32_t position)
{
    return (int8_t)bptq_weight(4, byte >> (4 * position));
}

static inline int8_t decode_3(const uint8_t *packed, int32_t index)
{
    const uint32_t bit = 3U * ((uint32_t)index & 7U);
    const uint8_t *byte = packed + (index >> 3) * 3 + (bit >> 3);
    const uint32_t shift = bit & 7U;
    /* The next byte is there only if the weight reaches into it. */
    const uint32_t high = shift > 5 ? byte[1] : 0;
    return (int8_t)bptq_weight(3, (byte[0] | high << 8) >> shift);
}

static void unpack_2(const uint8_t *packed, int32_t first, int32_t count, int8_t *out)
{
    const int32_t end = first + count;
    int32_t i = first;
    for (; i < end && (i & 3) != 0; i++) {
        *out++ = decode_2(packed[i >> 2], (uint32_t)i & 3U);
    }
    for (; i + 4 <= end; i += 4) {
        const uint32_t byte = packed[i >> 2];
        out[0] = decode_2(byte, 0);
        out[1] = decode_2(byte, 1);
        out[2] = decode_2(byte, 2);
        out[3] = decode_2(byte, 3);
        out += 4;
    }
    for (; i < end; i++) {
        *out++ = decode_2(packed[i >> 2], (uint32_t)i & 3U);
    }
}

static void unpack_3(const uint8_t *packed, int32_t first, int32_t count, int8_t *out)
{
    const int32_t end = first + count;
    int32_t i = first;
    for (; i < end && (i & 7) != 0; i++) {
        *out++ = decode_3(packed, i);
    }
    for (; i + 8 <= end; i += 8) {
        const uint32_t group = bptq_group_3(packed + (i >> 3) * 3);
        for (uint32_t position = 0; position < 8; position++) {
            out[position] = (int8_t)bptq_weight(3, group >> (3 * position));
        }
        out += 8;
    }
    for (; i < end; i++) {
        *out++ = decode_3(packed, i);
    }
}

static void unpack_4(const uint8_t *packed, int32_t first, int32_t count, int8_t *out)
{
    const int32_t end = first + count;
    int32_t i = first;
    if (i < end && (i & 1) != 0) {
        *out++ = decode_4(packed[i >> 1], 1);
        i++;
    }
    for (; i + 2 <= end; i += 2) {
        const uint32_t byte = packed[i >> 1];
        out[0] = decode_4(byte, 0);
        out[1] = decode_4(byte, 1);
        out += 2;
    }
    if (i < end) {
        *out = decode_4(packed[i >> 1], 0);
    }
}

const int8_t *bptq_decode(const bptq_weighted *weighted, int32_t first, int32_t count,
                          int8_t *scratch)
{
    if (weighted->storage == 8) {
        return (const int8_t *)weighted->weights + first;
    }
    if (weighted->storage == 4) {
        unpack_4((const uint8_t *)weighted->weights, first, count, scratch);
    } else if (weighted->storage == 3) {
        unpack_3((const uint8_t *)weighted->weights, first, count, scratch);
    } else {
        unpack_2((const uint8_t *)weighted->weights, first, count, scratch);
    }
    return scratch;
}

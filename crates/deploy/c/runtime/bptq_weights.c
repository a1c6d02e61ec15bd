/* Decoding of packed weights. */
#include "bptq_weights.h"

static inline int8_t decode_2(uint32_t byte, uint32_t position)
{
    return (int8_t)((int32_t)(((byte >> (2 * position)) & 3U) ^ 2U) - 2);
}

static inline int8_t decode_4(uint32_t byte, uint32_t position)
{
    return (int8_t)((int32_t)(((byte >> (4 * position)) & 15U) ^ 8U) - 8);
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
    } else {
        unpack_2((const uint8_t *)weighted->weights, first, count, scratch);
    }
    return scratch;
}

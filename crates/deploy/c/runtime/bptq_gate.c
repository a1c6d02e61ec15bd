/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Sigmoid and hyperbolic tangent of 16 bits, as gates of recurrent layers have them. Output element i
 * depends on input i alone and is written after it is read, so that the output may take its place. */
#include "bptq_math.h"

/* The sigmoid of i / 24 in Q0.16, raised by half of what chords lie below the curve; rounded to
 * nearest, and 65535 at the end. */
static const uint16_t sigmoid_table[256] = {
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149,
    40794, 41432, 42064, 42688, 43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369,
    47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409, 51865, 52311, 52745, 53169,
    53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433,
    57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370,
    60565, 60753, 60935, 61110, 61279, 61441, 61599, 61750, 61896, 62036, 62172, 62302,
    62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186, 63279, 63368, 63454, 63536,
    63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308,
    64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786,
    64816, 64845, 64873, 64900, 64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079,
    65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208, 65221, 65234, 65246, 65258,
    65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367,
    65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433,
    65438, 65442, 65445, 65449, 65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474,
    65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491, 65493, 65495, 65497, 65498,
    65500, 65501, 65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513,
    65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522,
    65523, 65523, 65524, 65524, 65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528,
    65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530, 65530, 65530, 65531, 65531,
    65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533, 65533, 65533,
    65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534,
    65534, 65534, 65534, 65535,
};

/* The input in steps of 2^-12 / 3. */
static inline int32_t moved(int32_t multiplier, int32_t shift, int32_t x)
{
    const int32_t half = bptq_shift_right((int32_t)1 << shift, 1);
    return bptq_shift_right(x * multiplier + half, shift);
}

/* The table at x / 2^bits, with as many bits more as `bits`; `last` from the last entry on. */
static inline int32_t interpolated(int32_t bits, int32_t x, int32_t last)
{
    const int32_t place = bptq_shift_right(x, bits);
    if (place >= 255) {
        return last;
    }
    const int32_t from = sigmoid_table[place];
    const int32_t rise = sigmoid_table[place + 1] - from;
    const int32_t fraction = x & (((int32_t)1 << bits) - 1);
    return from * ((int32_t)1 << bits) + fraction * rise;
}

void bptq_sigmoid_s16(int32_t multiplier, int32_t shift, int32_t length, const int16_t *input,
                      int16_t *output)
{
    for (int32_t i = 0; i < length; i++) {
        const int32_t x = moved(multiplier, shift, input[i]);
        /* In Q0.25: an entry has 16 bits, the place between two of them 9. */
        const int32_t magnitude = interpolated(9, x < 0 ? -x : x, (int32_t)0x7FFF << 10);
        const int32_t y = x < 0 ? ((int32_t)1 << 25) - 1 - magnitude : magnitude;
        output[i] = (int16_t)bptq_shift_right(y + ((int32_t)1 << 9), 10);
    }
}

void bptq_tanh_s16(int32_t multiplier, int32_t shift, int32_t length, const int16_t *input,
                   int16_t *output)
{
    for (int32_t i = 0; i < length; i++) {
        const int32_t x = moved(multiplier, shift, input[i]);
        /* In Q0.24; the half of the sigmoid is the zero of the tangent. */
        const int32_t sigmoid = interpolated(8, x < 0 ? -x : x, (int32_t)0xFFFF << 8);
        const int32_t magnitude = sigmoid - ((int32_t)1 << 23);
        const int32_t y = x < 0 ? -1 - magnitude : magnitude;
        output[i] = (int16_t)bptq_shift_right(y + ((int32_t)1 << 7), 8);
    }
}

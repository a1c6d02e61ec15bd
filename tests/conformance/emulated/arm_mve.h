/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * The intrinsics of Arm's M-profile vector extension that the C runtime uses, in portable C: so that
 * sanitizers see what its vector kernels read and write. Lanes that a predicate excludes are not touched.
 */
#ifndef EMULATED_ARM_MVE_H
#define EMULATED_ARM_MVE_H

#include <stdint.h>

typedef struct {
    int8_t v[16];
} int8x16_t;
typedef struct {
    int16_t v[8];
} int16x8_t;
typedef struct {
    int32_t v[4];
} int32x4_t;
typedef struct {
    uint32_t v[4];
} uint32x4_t;
typedef struct {
    int32x4_t val[2];
} int32x4x2_t;
typedef struct {
    int32x4_t val[4];
} int32x4x4_t;

/* One bit a byte. */
typedef uint16_t mve_pred16_t;

static inline mve_pred16_t emulated_lanes(uint32_t count, uint32_t bytes)
{
    return (mve_pred16_t)(count >= 16 / bytes ? 0xFFFFU : (1U << (count * bytes)) - 1U);
}

static inline mve_pred16_t vctp8q(uint32_t count)
{
    return emulated_lanes(count, 1);
}

static inline mve_pred16_t vctp16q(uint32_t count)
{
    return emulated_lanes(count, 2);
}

static inline mve_pred16_t vctp32q(uint32_t count)
{
    return emulated_lanes(count, 4);
}

/* Lane `i` of a vector of `type` with `count` lanes is `value`. */
#define EMULATED(name, type, count, arguments, value)                                              \
    static inline type name arguments                                                              \
    {                                                                                              \
        type result;                                                                               \
        for (int i = 0; i < (count); i++) {                                                        \
            result.v[i] = (value);                                                                 \
        }                                                                                          \
        return result;                                                                             \
    }
#define EMULATED_S8(name, arguments, value) EMULATED(name, int8x16_t, 16, arguments, (int8_t)(value))
#define EMULATED_S16(name, arguments, value) EMULATED(name, int16x8_t, 8, arguments, (int16_t)(value))
#define EMULATED_S32(name, arguments, value) EMULATED(name, int32x4_t, 4, arguments, (int32_t)(value))
#define EMULATED_U32(name, arguments, value) EMULATED(name, uint32x4_t, 4, arguments, (uint32_t)(value))

/* Element `i` of those that a predicate with `bytes` a lane includes. */
#define EMULATED_ACTIVE(lanes, bytes) (((lanes) >> (i * (bytes))) & 1)

EMULATED_S8(vld1q_s8, (const int8_t *from), from[i])
EMULATED_S32(vld1q_s32, (const int32_t *from), from[i])
EMULATED_S16(vldrbq_s16, (const int8_t *from), from[i])
EMULATED_S8(vldrbq_z_s8, (const int8_t *from, mve_pred16_t lanes),
            EMULATED_ACTIVE(lanes, 1) ? from[i] : 0)
EMULATED_S16(vldrbq_z_s16, (const int8_t *from, mve_pred16_t lanes),
             EMULATED_ACTIVE(lanes, 2) ? from[i] : 0)
EMULATED_S32(vldrbq_z_s32, (const int8_t *from, mve_pred16_t lanes),
             EMULATED_ACTIVE(lanes, 4) ? from[i] : 0)

EMULATED_S32(vldrhq_z_s32, (const int16_t *from, mve_pred16_t lanes),
             EMULATED_ACTIVE(lanes, 4) ? from[i] : 0)

static inline int32x4x2_t vld2q_s32(const int32_t *from)
{
    int32x4x2_t result;
    for (int i = 0; i < 8; i++) {
        result.val[i % 2].v[i / 2] = from[i];
    }
    return result;
}

#define EMULATED_STORE(name, element, type, count)                                                 \
    static inline void name(element *to, type from)                                                \
    {                                                                                              \
        for (int i = 0; i < (count); i++) {                                                        \
            to[i] = (element)from.v[i];                                                            \
        }                                                                                          \
    }
#define EMULATED_STORE_SOME(name, element, type, count)                                            \
    static inline void name(element *to, type from, mve_pred16_t lanes)                            \
    {                                                                                              \
        for (int i = 0; i < (count); i++) {                                                        \
            if (EMULATED_ACTIVE(lanes, 16 / (count))) {                                            \
                to[i] = (element)from.v[i];                                                        \
            }                                                                                      \
        }                                                                                          \
    }
EMULATED_STORE(vst1q_s8, int8_t, int8x16_t, 16)
EMULATED_STORE(vst1q_s32, int32_t, int32x4_t, 4)
EMULATED_STORE(vstrbq_s16, int8_t, int16x8_t, 8)
EMULATED_STORE(vstrbq_s32, int8_t, int32x4_t, 4)
EMULATED_STORE_SOME(vstrbq_p_s8, int8_t, int8x16_t, 16)
EMULATED_STORE_SOME(vstrbq_p_s16, int8_t, int16x8_t, 8)
EMULATED_STORE_SOME(vstrbq_p_s32, int8_t, int32x4_t, 4)
EMULATED_STORE_SOME(vstrhq_p_s32, int16_t, int32x4_t, 4)

static inline void vst4q_s32(int32_t *to, int32x4x4_t from)
{
    for (int i = 0; i < 16; i++) {
        to[i] = from.val[i % 4].v[i / 4];
    }
}

EMULATED_S8(vdupq_n_s8, (int8_t value), value)
EMULATED_S16(vdupq_n_s16, (int16_t value), value)
EMULATED_S32(vdupq_n_s32, (int32_t value), value)
EMULATED_U32(vdupq_n_u32, (uint32_t value), value)

EMULATED_S16(vaddq_s16, (int16x8_t a, int16x8_t b), a.v[i] + b.v[i])
EMULATED_S32(vaddq_s32, (int32x4_t a, int32x4_t b), (uint32_t)a.v[i] + (uint32_t)b.v[i])
EMULATED_S32(vaddq_n_s32, (int32x4_t a, int32_t b), (uint32_t)a.v[i] + (uint32_t)b)
EMULATED_U32(vaddq_n_u32, (uint32x4_t a, uint32_t b), a.v[i] + b)
EMULATED_S32(vsubq_s32, (int32x4_t a, int32x4_t b), (uint32_t)a.v[i] - (uint32_t)b.v[i])
EMULATED_S32(vsubq_n_s32, (int32x4_t a, int32_t b), (uint32_t)a.v[i] - (uint32_t)b)
EMULATED_S32(vandq_s32, (int32x4_t a, int32x4_t b), a.v[i] & b.v[i])
EMULATED_S32(veorq_s32, (int32x4_t a, int32x4_t b), a.v[i] ^ b.v[i])
EMULATED_S16(vmaxq_s16, (int16x8_t a, int16x8_t b), a.v[i] > b.v[i] ? a.v[i] : b.v[i])
EMULATED_S16(vminq_s16, (int16x8_t a, int16x8_t b), a.v[i] < b.v[i] ? a.v[i] : b.v[i])
EMULATED_S32(vmaxq_s32, (int32x4_t a, int32x4_t b), a.v[i] > b.v[i] ? a.v[i] : b.v[i])
EMULATED_S32(vminq_s32, (int32x4_t a, int32x4_t b), a.v[i] < b.v[i] ? a.v[i] : b.v[i])
EMULATED_S32(vabsq_s32, (int32x4_t a), a.v[i] < 0 ? 0U - (uint32_t)a.v[i] : (uint32_t)a.v[i])
EMULATED_U32(vreinterpretq_u32_s32, (int32x4_t a), a.v[i])
EMULATED_S32(vreinterpretq_s32_u32, (uint32x4_t a), a.v[i])

static inline int64_t emulated_saturated(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x;
}

EMULATED_S32(vqaddq_s32, (int32x4_t a, int32x4_t b),
             emulated_saturated((int64_t)a.v[i] + b.v[i]))
EMULATED_S32(vqrdmulhq_s32, (int32x4_t a, int32x4_t b),
             emulated_saturated(((int64_t)a.v[i] * b.v[i] + ((int64_t)1 << 30)) >> 31))
EMULATED_U32(vmulhq_u32, (uint32x4_t a, uint32x4_t b), ((uint64_t)a.v[i] * b.v[i]) >> 32)

/* A shift to the left, or to the right where `by` is negative, rounded half up if `rounded`. */
static inline int32_t emulated_shift(int32_t x, int32_t by, int rounded)
{
    if (by >= 0) {
        return by > 31 ? 0 : (int32_t)((uint32_t)x << by);
    }
    const int32_t right = by < -32 ? 32 : -by;
    const int64_t half = rounded ? (int64_t)1 << (right - 1) : 0;
    return (int32_t)((x + half) >> right);
}

EMULATED_S32(vshlq_s32, (int32x4_t a, int32x4_t b), emulated_shift(a.v[i], b.v[i], 0))
EMULATED_S32(vrshlq_s32, (int32x4_t a, int32x4_t b), emulated_shift(a.v[i], b.v[i], 1))
EMULATED_S32(vshlq_r_s32, (int32x4_t a, int32_t b), emulated_shift(a.v[i], b, 0))
EMULATED_S32(vshrq_n_s32, (int32x4_t a, int b), a.v[i] >> b)
EMULATED_S8(vshlq_n_s8, (int8x16_t a, int b), (uint8_t)((uint32_t)a.v[i] << b))
EMULATED_S8(vshrq_n_s8, (int8x16_t a, int b), a.v[i] >> b)

EMULATED_S32(vmovlbq_s16, (int16x8_t a), a.v[2 * i])
EMULATED_S32(vmovltq_s16, (int16x8_t a), a.v[2 * i + 1])
EMULATED_S16(vmovnbq_s32, (int16x8_t a, int32x4_t b), i % 2 == 0 ? b.v[i / 2] : a.v[i])
EMULATED_S16(vmovntq_s32, (int16x8_t a, int32x4_t b), i % 2 == 1 ? b.v[i / 2] : a.v[i])
EMULATED_S16(vmullbq_int_s8, (int8x16_t a, int8x16_t b), a.v[2 * i] * b.v[2 * i])
EMULATED_S16(vmulltq_int_s8, (int8x16_t a, int8x16_t b), a.v[2 * i + 1] * b.v[2 * i + 1])

static inline int32_t vmladavaq_s8(int32_t sum, int8x16_t a, int8x16_t b)
{
    for (int i = 0; i < 16; i++) {
        sum += a.v[i] * b.v[i];
    }
    return sum;
}

#endif /* EMULATED_ARM_MVE_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Average pooling, 8-bit activations: eight channels at a time. */
#include "bptq_mve_math.h"
#include "bptq_window.h"

/* So many elements are summed in 16 bits. */
#define SHORT_SUMS 256

/* The input elements that the window at one output pixel covers. */
typedef struct {
    const int8_t *first;
    int32_t rows;
    int32_t columns;
    /* Bytes from row to row and from column to column. */
    int32_t row_step;
    int32_t column_step;
} area;

static area covered(const bptq_pool *op, const int8_t *input, int32_t y, int32_t x)
{
    const bptq_window *window = &op->window;
    const int32_t top = y * window->stride_height - window->pad_height;
    const int32_t left = x * window->stride_width - window->pad_width;
    const bptq_taps rows = bptq_inner_taps(top, window->dilation_height, window->kernel_height,
                                           window->input_height);
    const bptq_taps columns = bptq_inner_taps(left, window->dilation_width, window->kernel_width,
                                              window->input_width);
    const int32_t row = top + rows.first * window->dilation_height;
    const int32_t column = left + columns.first * window->dilation_width;
    const area result = {input + (row * window->input_width + column) * op->channels,
                         rows.end - rows.first, columns.end - columns.first,
                         window->dilation_height * window->input_width * op->channels,
                         window->dilation_width * op->channels};
    return result;
}

/* Sums of the even and the odd of eight channels. */
typedef struct {
    int32x4_t even;
    int32x4_t odd;
} sums;

BPTQ_INLINE sums added(sums before, int16x8_t part)
{
    const sums result = {vaddq_s32(before.even, vmovlbq_s16(part)),
                         vaddq_s32(before.odd, vmovltq_s16(part))};
    return result;
}

/* Sums of sixteen channels if they are `whole`, or of at most eight, those of `lanes`. */
BPTQ_INLINE void summed(const area *a, const int8_t *first, int32_t whole, mve_pred16_t lanes,
                        sums total[2])
{
    int16x8_t low = vdupq_n_s16(0);
    int16x8_t high = vdupq_n_s16(0);
    int32_t room = SHORT_SUMS;
    for (int32_t row = a->rows; row > 0; row--) {
        const int8_t *at = first;
        int32_t left = a->columns;
        while (left > 0) {
            const int32_t run = left < room ? left : room;
            for (int32_t column = run; column > 0; column--) {
                low = vaddq_s16(low, whole ? vldrbq_s16(at) : vldrbq_z_s16(at, lanes));
                if (whole) {
                    high = vaddq_s16(high, vldrbq_s16(at + 8));
                }
                at += a->column_step;
            }
            left -= run;
            room -= run;
            if (room == 0) {
                total[0] = added(total[0], low);
                total[1] = added(total[1], high);
                low = vdupq_n_s16(0);
                high = vdupq_n_s16(0);
                room = SHORT_SUMS;
            }
        }
        first += a->row_step;
    }
    total[0] = added(total[0], low);
    total[1] = added(total[1], high);
}

/* sum / count, rounded half away from zero. `reciprocal` is 2^32 / count, rounded up: the quotient
 * is exact, because sums are at most 128 * count and count at most BPTQ_MVE_POOL_TAPS. */
BPTQ_INLINE int32x4_t rounded_mean(int32x4_t sum, int32_t count, uint32_t reciprocal)
{
    const uint32x4_t magnitude = vreinterpretq_u32_s32(vabsq_s32(sum));
    const uint32x4_t raised = vaddq_n_u32(magnitude, (uint32_t)count / 2);
    const uint32x4_t quotient =
        count > 1 ? vmulhq_u32(raised, vdupq_n_u32(reciprocal)) : raised;
    const int32x4_t sign = vshrq_n_s32(sum, 31);
    return vsubq_s32(veorq_s32(vreinterpretq_s32_u32(quotient), sign), sign);
}

/* What makes means of sums. */
typedef struct {
    int32_t count;
    uint32_t reciprocal;
    int16x8_t min;
    int16x8_t max;
} divisor;

BPTQ_INLINE int16x8_t means(sums total, const divisor *by)
{
    int16x8_t mean = vdupq_n_s16(0);
    mean = vmovnbq_s32(mean, rounded_mean(total.even, by->count, by->reciprocal));
    mean = vmovntq_s32(mean, rounded_mean(total.odd, by->count, by->reciprocal));
    return vminq_s16(vmaxq_s16(mean, by->min), by->max);
}

void bptq_mve_average_pool_s8(const bptq_pool *op, const int8_t *input, int8_t *output)
{
    /* An output might be a part of the operation, for all that the compiler knows. */
    const bptq_pool own = *op;
    divisor by = {1, 0, vdupq_n_s16((int16_t)own.clamp.min), vdupq_n_s16((int16_t)own.clamp.max)};
    for (int32_t y = 0; y < own.window.output_height; y++) {
        for (int32_t x = 0; x < own.window.output_width; x++) {
            const area a = covered(&own, input, y, x);
            const int8_t *first = a.first;
            int32_t left = own.channels;
            by.count = a.rows * a.columns;
            by.reciprocal = UINT32_MAX / (uint32_t)by.count + 1;
            while (left > 0) {
                const int32_t whole = left >= 16;
                const int32_t channels = whole ? 16 : left < 8 ? left : 8;
                const mve_pred16_t lanes = vctp16q((uint32_t)left);
                const sums none = {vdupq_n_s32(0), vdupq_n_s32(0)};
                sums total[2] = {none, none};
                if (whole) {
                    summed(&a, first, 1, lanes, total);
                    vstrbq_s16(output + 8, means(total[1], &by));
                } else {
                    summed(&a, first, 0, lanes, total);
                }
                vstrbq_p_s16(output, means(total[0], &by), lanes);
                first += channels;
                output += channels;
                left -= channels;
            }
        }
    }
}

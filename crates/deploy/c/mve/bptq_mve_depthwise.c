/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Depthwise convolution, 8-bit activations: sixteen channels at a time. */
#include "bptq_mve_math.h"

/* The inputs that the window from row `top` and column `left` on covers: for each tap, where its
 * channels begin, counted from the input; `outside` in the padding. */
static void window_taps(const bptq_depthwise *op, int32_t outside, int32_t top, int32_t left,
                        int32_t *taps)
{
    const bptq_window *window = &op->window;
    /* Unsigned: places in the padding may be any number. */
    const uint32_t channels = (uint32_t)op->channels;
    const uint32_t step = (uint32_t)window->dilation_width * channels;
    int32_t row = top;
    for (int32_t i = 0; i < window->kernel_height; i++) {
        const uint32_t width =
            (uint32_t)row < (uint32_t)window->input_height ? (uint32_t)window->input_width : 0;
        const uint32_t line = (uint32_t)row * (uint32_t)window->input_width;
        uint32_t place = (line + (uint32_t)left) * channels;
        int32_t column = left;
        for (int32_t j = 0; j < window->kernel_width; j++) {
            *taps++ = (uint32_t)column < width ? (int32_t)place : outside;
            place += step;
            column += window->dilation_width;
        }
        row += window->dilation_height;
    }
}

/* Products of the even and the odd of sixteen channels. */
typedef struct {
    int16x8_t even;
    int16x8_t odd;
} products;

/* The products of one tap; lanes beyond `lanes` read nothing if the block is `partial`. */
BPTQ_INLINE products multiplied(const int8_t *x, const int8_t *w, int32_t partial,
                                mve_pred16_t lanes)
{
    const int8x16_t inputs = partial ? vldrbq_z_s8(x, lanes) : vld1q_s8(x);
    const int8x16_t weights = partial ? vldrbq_z_s8(w, lanes) : vld1q_s8(w);
    const products found = {vmullbq_int_s8(inputs, weights), vmulltq_int_s8(inputs, weights)};
    return found;
}

/* The sums of sixteen channels, or of the last `count`. Products of two taps fit 16 bits. */
BPTQ_INLINE void block(const int8_t *weights, int32_t channels, const int8_t *input,
                       const int32_t *tap, int32_t taps, int32_t partial, int32_t count,
                       int32_t *sums)
{
    const mve_pred16_t lanes = partial ? vctp8q((uint32_t)count) : 0;
    int32x4x4_t s = {{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}};
    for (int32_t pairs = taps / 2; pairs > 0; pairs--) {
        const products p = multiplied(input + tap[0], weights, partial, lanes);
        const products q = multiplied(input + tap[1], weights + channels, partial, lanes);
        const int16x8_t even = vaddq_s16(p.even, q.even);
        const int16x8_t odd = vaddq_s16(p.odd, q.odd);
        s.val[0] = vaddq_s32(s.val[0], vmovlbq_s16(even));
        s.val[1] = vaddq_s32(s.val[1], vmovlbq_s16(odd));
        s.val[2] = vaddq_s32(s.val[2], vmovltq_s16(even));
        s.val[3] = vaddq_s32(s.val[3], vmovltq_s16(odd));
        weights += 2 * channels;
        tap += 2;
    }
    if ((taps & 1) != 0) {
        const products p = multiplied(input + tap[0], weights, partial, lanes);
        s.val[0] = vaddq_s32(s.val[0], vmovlbq_s16(p.even));
        s.val[1] = vaddq_s32(s.val[1], vmovlbq_s16(p.odd));
        s.val[2] = vaddq_s32(s.val[2], vmovltq_s16(p.even));
        s.val[3] = vaddq_s32(s.val[3], vmovltq_s16(p.odd));
    }
    vst4q_s32(sums, s);
}

static void depthwise(const bptq_depthwise *op, const int8_t *weights, const int8_t *input,
                      int8_t *output, int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t channels = op->channels;
    const int32_t count = window->kernel_height * window->kernel_width;
    const int32_t outside = (int32_t)(scratch - input);
    const int32_t last_row =
        window->input_height - 1 - (window->kernel_height - 1) * window->dilation_height;
    const int32_t last_column =
        window->input_width - 1 - (window->kernel_width - 1) * window->dilation_width;
    int32_t taps[BPTQ_MVE_TAPS] = {0};
    int32_t sums[BPTQ_MVE_CHANNELS];
    (void)bptq_mve_fill(op->weighted.input_zero_point, channels, scratch);
    for (int32_t y = 0; y < window->output_height; y++) {
        const int32_t top = y * window->stride_height - window->pad_height;
        for (int32_t x = 0; x < window->output_width; x++) {
            const int32_t left = x * window->stride_width - window->pad_width;
            if (x > 0 && left >= window->stride_width && left <= last_column && top >= 0 &&
                top <= last_row) {
                /* This window and the one before lie within the input. */
                const int32_t step = window->stride_width * channels;
                for (int32_t i = 0; i < count; i += 4) {
                    vst1q_s32(taps + i, vaddq_n_s32(vld1q_s32(taps + i), step));
                }
            } else {
                window_taps(op, outside, top, left, taps);
            }
            for (int32_t first = 0; first < channels; first += BPTQ_MVE_CHANNELS) {
                const int32_t left_over = channels - first;
                const int32_t some =
                    left_over < BPTQ_MVE_CHANNELS ? left_over : BPTQ_MVE_CHANNELS;
                int32_t i = first;
                for (; i + 16 <= first + some; i += 16) {
                    block(weights + i, channels, input + i, taps, count, 0, 16, sums + i - first);
                }
                if (i < first + some) {
                    block(weights + i, channels, input + i, taps, count, 1, first + some - i,
                          sums + i - first);
                }
                bptq_mve_finish(&op->weighted, first, some, sums, output);
                output += some;
            }
        }
    }
}

/* The weights of an operation, decoded into `out`. */
BPTQ_INLINE const int8_t *decoded(int32_t bits, const bptq_depthwise *op, int8_t *out)
{
    const int32_t length = op->window.kernel_height * op->window.kernel_width * op->channels;
    const int8_t *packed = (const int8_t *)op->weighted.weights;
    for (int32_t done = 0; done < length; done += BPTQ_MVE_UNIT(bits)) {
        const int8x16_t unit = vld1q_s8(packed);
        for (int32_t i = 0; i < 8 / bits; i++) {
            vst1q_s8(out + done + 16 * i, bptq_mve_weights(unit, bits, i));
        }
        packed += 16;
    }
    return out;
}

void bptq_mve_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch)
{
    depthwise(op, (const int8_t *)op->weighted.weights, input, output, scratch);
}

void bptq_mve_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch)
{
    const int8_t *weights = decoded(4, op, scratch + op->channels);
    depthwise(op, weights, input, output, scratch);
}

void bptq_mve_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch)
{
    const int8_t *weights = decoded(2, op, scratch + op->channels);
    depthwise(op, weights, input, output, scratch);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Convolution, 8-bit activations: two filters over two output pixels at a time. */
#include "bptq_dsp_dot.h"
#include "bptq_dsp_patch.h"

/* Where the outputs of two pixels go, and their inputs. */
typedef struct {
    int8_t *out0;
    int8_t *out1;
    const bptq_pair *patch0;
    const bptq_pair *patch1;
} pixels;

/* The outputs of one group of filters. */
BPTQ_INLINE void filters(int32_t bits, const bptq_weighted *weighted, const uint32_t *weights,
                         int32_t first, int32_t end, int32_t length, pixels at)
{
    const int32_t words = length / BPTQ_DSP_PER_WORD(bits);
    int32_t sums0[BPTQ_DSP_CHANNELS];
    int32_t sums1[BPTQ_DSP_CHANNELS];
    const int32_t start0 = bptq_dsp_start(bits, at.patch0, length);
    const int32_t start1 = bptq_dsp_start(bits, at.patch1, length);
    for (; first < end; first += BPTQ_DSP_CHANNELS) {
        const int32_t count = end - first < BPTQ_DSP_CHANNELS ? end - first : BPTQ_DSP_CHANNELS;
        for (int32_t i = 0; i < count; i += 2) {
            bptq_sums sums = {start0, start0, start1, start1};
            bptq_dsp_dot(bits, weights, at.patch0, at.patch1, words, &sums);
            sums0[i] = sums.a0;
            sums0[i + 1] = sums.b0;
            sums1[i] = sums.a1;
            sums1[i + 1] = sums.b1;
            weights += words;
        }
        bptq_dsp_finish(weighted, first, count, sums0, at.out0);
        bptq_dsp_finish(weighted, first, count, sums1, at.out1);
        at.out0 += BPTQ_DSP_CHANNELS;
        at.out1 += BPTQ_DSP_CHANNELS;
    }
}

BPTQ_INLINE void conv2d(int32_t bits, const bptq_conv2d *op, const int8_t *input, int8_t *output,
                        int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t depth = op->input_channels / op->groups;
    const int32_t group_filters = op->output_channels / op->groups;
    const int32_t per_word = BPTQ_DSP_PER_WORD(bits);
    const int32_t step = BPTQ_DSP_STEP(bits);
    const int32_t taps = window->kernel_height * window->kernel_width * depth;
    const int32_t length = (taps + step - 1) / step * step;
    const int32_t group_words = (group_filters + 1) / 2 * (length / per_word);
    const int32_t count = window->output_height * window->output_width;
    const uint32_t *weights = (const uint32_t *)op->weighted.weights;
    int16_t *patch = (int16_t *)(void *)scratch;
    for (int32_t group = 0; group < op->groups; group++) {
        const int8_t *plane = input + group * depth;
        int32_t y = 0;
        int32_t x = 0;
        for (int32_t pixel = 0; pixel < count; pixel += 2) {
            int8_t *out = output + pixel * op->output_channels + group * group_filters;
            const bptq_pair *first = (const bptq_pair *)(const void *)patch;
            pixels at = {out, out + op->output_channels, first, first + length / 2};
            bptq_dsp_gather(op, plane, y, x, length, patch);
            if (++x == window->output_width) {
                x = 0;
                y++;
            }
            if (pixel + 1 < count) {
                bptq_dsp_gather(op, plane, y, x, length, patch + length);
                if (++x == window->output_width) {
                    x = 0;
                    y++;
                }
            } else {
                /* The last of an odd number of pixels is computed twice. */
                at.out1 = at.out0;
                at.patch1 = at.patch0;
            }
            filters(bits, &op->weighted, weights + group * group_words, group * group_filters,
                    (group + 1) * group_filters, length, at);
        }
    }
}

void bptq_dsp_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    conv2d(8, op, input, output, scratch);
}

void bptq_dsp_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    conv2d(4, op, input, output, scratch);
}

void bptq_dsp_conv2d_w3_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    conv2d(3, op, input, output, scratch);
}

void bptq_dsp_conv2d_w2_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    conv2d(2, op, input, output, scratch);
}

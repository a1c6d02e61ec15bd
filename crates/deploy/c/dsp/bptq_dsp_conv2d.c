/* Convolution, 8-bit activations: two filters over two output pixels at a time. */
#include "bptq_dsp_dot.h"
#include "bptq_dsp_patch.h"

/* Where the outputs of two pixels go, and how many there are. */
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
    const int32_t zero_point = weighted->output_zero_point;
    const bptq_clamp clamp = weighted->clamp;
    const int saturates = bptq_saturates(clamp);
    const int32_t step = weighted->per_channel ? 1 : 0;
    const bptq_multiplier *multiplier = weighted->multipliers + step * first;
    const int32_t *bias = weighted->bias + first;
    int32_t excess0 = 0;
    int32_t excess1 = 0;
    if (bits < 8) {
        excess0 = bptq_dsp_sum(at.patch0, length) * (1 << (bits - 1));
        excess1 = bptq_dsp_sum(at.patch1, length) * (1 << (bits - 1));
    }
    for (int32_t left = end - first; left > 0; left -= 2) {
        const int32_t bias_a = bias[0];
        const int32_t bias_b = left > 1 ? bias[1] : 0;
        bptq_sums sums = {bias_a - excess0, bias_b - excess0, bias_a - excess1, bias_b - excess1};
        bptq_dsp_dot(bits, weights, at.patch0, at.patch1, words, &sums);
        *at.out0++ = bptq_dsp_output(sums.a0, *multiplier, zero_point, saturates, clamp);
        *at.out1++ = bptq_dsp_output(sums.a1, *multiplier, zero_point, saturates, clamp);
        multiplier += step;
        if (left > 1) {
            *at.out0++ = bptq_dsp_output(sums.b0, *multiplier, zero_point, saturates, clamp);
            *at.out1++ = bptq_dsp_output(sums.b1, *multiplier, zero_point, saturates, clamp);
            multiplier += step;
        }
        weights += 2 * words;
        bias += 2;
    }
}

BPTQ_INLINE void conv2d(int32_t bits, const bptq_conv2d *op, const int8_t *input, int8_t *output,
                        int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t depth = op->input_channels / op->groups;
    const int32_t group_filters = op->output_channels / op->groups;
    const int32_t per_word = BPTQ_DSP_PER_WORD(bits);
    const int32_t taps = window->kernel_height * window->kernel_width * depth;
    const int32_t length = (taps + per_word - 1) / per_word * per_word;
    const int32_t group_words = (group_filters + 1) / 2 * 2 * (length / per_word);
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

void bptq_dsp_conv2d_w2_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch)
{
    conv2d(2, op, input, output, scratch);
}

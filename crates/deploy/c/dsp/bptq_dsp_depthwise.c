/* Depthwise convolution, 8-bit activations: four channels and two taps at a time. */
#include "bptq_dsp_math.h"

/* The inputs that the window at (y, x) covers, a pointer to the channels of each tap; `zeros` in
 * the padding and after an odd last tap. */
static void window_taps(const bptq_depthwise *op, const int8_t *input, const int8_t *zeros,
                        int32_t y, int32_t x, const int8_t **taps)
{
    const bptq_window *window = &op->window;
    const int32_t left = x * window->stride_width - window->pad_width;
    int32_t row = y * window->stride_height - window->pad_height;
    for (int32_t i = 0; i < window->kernel_height; i++) {
        const uint32_t width =
            (uint32_t)row < (uint32_t)window->input_height ? (uint32_t)window->input_width : 0;
        int32_t place = (row * window->input_width + left) * op->channels;
        int32_t column = left;
        for (int32_t j = 0; j < window->kernel_width; j++) {
            *taps++ = (uint32_t)column < width ? input + place : zeros;
            place += window->dilation_width * op->channels;
            column += window->dilation_width;
        }
        row += window->dilation_height;
    }
    taps[0] = zeros;
    taps[1] = zeros;
    taps[2] = zeros;
}

/* Adds two taps of four channels. Below 8 bits, weights stand at the top of their halves, which
 * scales the sums by a power of two and keeps the weights' signs. */
BPTQ_INLINE void add_pair(int32_t bits, const uint32_t *weights, int32_t pair, uint32_t offset,
                          uint32_t s, uint32_t t, int32_t sums[4])
{
    const uint32_t low = bptq_low_halves(s, t);
    const uint32_t high = bptq_high_halves(s, t);
    const uint32_t x[4] = {
        bptq_add_even_bytes(offset, low),
        bptq_add_odd_bytes(offset, low),
        bptq_add_even_bytes(offset, high),
        bptq_add_odd_bytes(offset, high),
    };
    if (bits == 8) {
        sums[0] = bptq_smlad(bptq_even_bytes(weights[0]), x[0], sums[0]);
        sums[1] = bptq_smlad(bptq_odd_bytes(weights[0]), x[1], sums[1]);
        sums[2] = bptq_smlad(bptq_even_bytes(weights[1]), x[2], sums[2]);
        sums[3] = bptq_smlad(bptq_odd_bytes(weights[1]), x[3], sums[3]);
    } else {
        const uint32_t mask = bits == 4 ? 0xF000F000U : 0xC000C000U;
        for (int32_t i = 0; i < 4; i++) {
            const int32_t shift = 16 - bits - (pair * 4 + i) * bits;
            sums[i] = bptq_smlad((weights[0] << shift) & mask, x[i], sums[i]);
        }
    }
}

BPTQ_INLINE void depthwise(int32_t bits, const bptq_depthwise *op, const int8_t *input,
                           int8_t *output, int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const bptq_weighted *weighted = &op->weighted;
    const int32_t channels = op->channels;
    const int32_t zero_point = weighted->output_zero_point;
    const bptq_clamp clamp = weighted->clamp;
    const int saturates = bptq_saturates(clamp);
    const uint32_t offset = bptq_twice(-weighted->input_zero_point);
    /* Pairs of taps that are loaded together. */
    const int32_t pairs = bits == 2 ? 2 : 1;
    const int8_t *taps[BPTQ_DSP_TAPS + 3];
    const int8_t *const *end = taps + window->kernel_height * window->kernel_width;
    memset(scratch, weighted->input_zero_point, (size_t)channels);
    for (int32_t y = 0; y < window->output_height; y++) {
        for (int32_t x = 0; x < window->output_width; x++) {
            const uint32_t *weights = (const uint32_t *)weighted->weights;
            window_taps(op, input, scratch, y, x, taps);
            int32_t channel = 0;
            while (channel < channels) {
                /* The last block may overlap the one before. */
                const int32_t first = channel + 4 > channels ? channels - 4 : channel;
                int32_t sums[4] = {0, 0, 0, 0};
                for (const int8_t *const *tap = taps; tap < end; tap += 2 * pairs) {
                    add_pair(bits, weights, 0, offset, bptq_load(tap[0] + first),
                             bptq_load(tap[1] + first), sums);
                    if (pairs == 2) {
                        add_pair(bits, weights, 1, offset, bptq_load(tap[2] + first),
                                 bptq_load(tap[3] + first), sums);
                    }
                    weights += bits == 8 ? 2 : 1;
                }
                const bptq_multiplier *multiplier =
                    weighted->multipliers + (weighted->per_channel ? first : 0);
                for (int32_t i = 0; i < 4; i++) {
                    const int32_t sum = bptq_shift_right(sums[i], bits == 8 ? 0 : 16 - bits);
                    output[first + i] =
                        bptq_dsp_output(sum + weighted->bias[first + i], *multiplier, zero_point,
                                        saturates, clamp);
                    multiplier += weighted->per_channel ? 1 : 0;
                }
                channel += 4;
            }
            output += channels;
        }
    }
}

void bptq_dsp_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch)
{
    depthwise(8, op, input, output, scratch);
}

void bptq_dsp_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch)
{
    depthwise(4, op, input, output, scratch);
}

void bptq_dsp_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch)
{
    depthwise(2, op, input, output, scratch);
}

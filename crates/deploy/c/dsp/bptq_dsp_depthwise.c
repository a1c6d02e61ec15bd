/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Depthwise convolution, 8-bit activations: four channels and two taps at a time. */
#include "bptq_dsp_math.h"

/* The inputs that the window from row `top` and column `left` on covers, a pointer to the channels
 * of each tap; `zeros` in the padding and after an odd last tap. */
static void window_taps(const bptq_depthwise *op, const int8_t *input, const int8_t *zeros,
                        int32_t top, int32_t left, const int8_t **taps)
{
    const bptq_window *window = &op->window;
    const uint32_t channels = (uint32_t)op->channels;
    int32_t row = top;
    for (int32_t i = 0; i < window->kernel_height; i++) {
        const uint32_t width =
            (uint32_t)row < (uint32_t)window->input_height ? (uint32_t)window->input_width : 0;
        /* Unsigned: places in the padding may be any number. */
        const uint32_t line = (uint32_t)row * (uint32_t)window->input_width;
        uint32_t place = (line + (uint32_t)left) * channels;
        int32_t column = left;
        for (int32_t j = 0; j < window->kernel_width; j++) {
            *taps++ = (uint32_t)column < width ? input + place : zeros;
            place += (uint32_t)window->dilation_width * channels;
            column += window->dilation_width;
        }
        row += window->dilation_height;
    }
    taps[0] = zeros;
    taps[1] = zeros;
    taps[2] = zeros;
}

/* Four channels' sums. */
typedef struct {
    int32_t c0, c1, c2, c3;
} block_sums;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Loads the inputs of two taps s, t: %[a] gets 0s, 1s, 0t, 1t and %[b] gets 2s, 3s, 2t, 3t. */
#define LOAD_TAPS                                                                                 \
    "ldrd %[a], %[b], [%[tap]], #8\n"                                                             \
    "ldr %[a], [%[a], %[first]]\n"                                                                \
    "ldr %[b], [%[b], %[first]]\n"                                                                \
    "pkhbt %[t], %[a], %[b], lsl #16\n"                                                           \
    "pkhtb %[b], %[b], %[a], asr #16\n"

/* Two channels with weights of a byte. */
#define ADD_BYTES(x, low, high)                                                                   \
    "ldr %[w], [%[weights]], #4\n"                                                                \
    "sxtb16 %[a], " x "\n"                                                                        \
    "sxtb16 %[u], %[w]\n"                                                                         \
    "smlad " low ", %[a], %[u], " low "\n"                                                        \
    "sxtb16 %[a], " x ", ror #8\n"                                                                \
    "sxtb16 %[u], %[w], ror #8\n"                                                                 \
    "smlad " high ", %[a], %[u], " high "\n"

/* One channel with packed weights. */
#define ADD_PACKED(x, rotation, shift, sum)                                                       \
    "sxtb16 %[a], " x rotation "\n"                                                               \
    "and %[u], %[mask], %[w]" shift "\n"                                                          \
    "smlad " sum ", %[a], %[u], " sum "\n"

#define ADD_BLOCK(shift0, shift1, shift2, shift3)                                                 \
    LOAD_TAPS ADD_PACKED("%[t]", "", shift0, "%[c0]")                                             \
    ADD_PACKED("%[t]", ", ror #8", shift1, "%[c1]") ADD_PACKED("%[b]", "", shift2, "%[c2]")       \
    ADD_PACKED("%[b]", ", ror #8", shift3, "%[c3]")

#define BLOCK_OPERANDS                                                                            \
    [c0] "+&r"(s.c0), [c1] "+&r"(s.c1), [c2] "+&r"(s.c2), [c3] "+&r"(s.c3),                           \
        [weights] "+&r"(weights), [tap] "+&r"(tap), [a] "=&r"(a), [b] "=&r"(b), [t] "=&r"(t),       \
        [u] "=&r"(u), [w] "=&r"(w)

/* All taps of the channels `first` to `first + 3`; returns where their weights end. Below 8 bits,
 * weights stand at the top of their halves, which keeps their signs and scales the sums. */
BPTQ_INLINE const uint32_t *block(int32_t bits, const uint32_t *weights, const int8_t *const *tap,
                                  const int8_t *const *end, int32_t first, block_sums *sums)
{
    block_sums s = *sums;
    uint32_t a, b, t, u, w;
    if (bits == 8) {
        __asm__("1:\n" LOAD_TAPS ADD_BYTES("%[t]", "%[c0]", "%[c1]")
                ADD_BYTES("%[b]", "%[c2]", "%[c3]")
                "cmp %[tap], %[end]\n"
                "blo 1b\n"
                : BLOCK_OPERANDS
                : [first] "r"(first), [end] "r"(end)
                : "cc", "memory");
    } else if (bits == 4) {
        /* `end` is compared from memory: the mask takes its register. */
        do {
            __asm__("ldr %[w], [%[weights]], #4\n"
                    ADD_BLOCK(", lsl #12", ", lsl #8", ", lsl #4", "")
                    : BLOCK_OPERANDS
                    : [first] "r"(first), [mask] "r"(0xF000F000U)
                    : "memory");
        } while (tap < end);
    } else {
        do {
            __asm__("ldr %[w], [%[weights]], #4\n"
                    ADD_BLOCK(", lsl #14", ", lsl #12", ", lsl #10", ", lsl #8")
                    ADD_BLOCK(", lsl #6", ", lsl #4", ", lsl #2", "")
                    : BLOCK_OPERANDS
                    : [first] "r"(first), [mask] "r"(0xC000C000U)
                    : "memory");
        } while (tap < end);
    }
    *sums = s;
    return weights;
}

#else

BPTQ_INLINE const uint32_t *block(int32_t bits, const uint32_t *weights, const int8_t *const *tap,
                                  const int8_t *const *end, int32_t first, block_sums *sums)
{
    const uint32_t mask = bits == 4 ? 0xF000F000U : 0xC000C000U;
    int32_t pair = 0;
    for (; tap < end; tap += 2) {
        const uint32_t s = bptq_load(tap[0] + first);
        const uint32_t t = bptq_load(tap[1] + first);
        const uint32_t x[2] = {bptq_low_halves(s, t), bptq_high_halves(s, t)};
        int32_t *const sum[4] = {&sums->c0, &sums->c1, &sums->c2, &sums->c3};
        for (int32_t i = 0; i < 4; i++) {
            const uint32_t word = weights[bits == 8 ? i / 2 : 0];
            const uint32_t shift = (uint32_t)(16 - bits - (pair * 4 + i) * bits) & 31U;
            const uint32_t bytes = (i & 1) == 0 ? bptq_even_bytes(word) : bptq_odd_bytes(word);
            const uint32_t w = bits == 8 ? bytes : (word << shift) & mask;
            const uint32_t elements =
                (i & 1) == 0 ? bptq_even_bytes(x[i / 2]) : bptq_odd_bytes(x[i / 2]);
            *sum[i] = bptq_smlad(elements, w, *sum[i]);
        }
        pair = bits == 2 ? 1 - pair : 0;
        if (pair == 0) {
            weights += bits == 8 ? 2 : 1;
        }
    }
    return weights + (pair != 0 ? 1 : 0);
}

#endif

BPTQ_INLINE void depthwise(int32_t bits, const bptq_depthwise *op, const int8_t *input,
                           int8_t *output, int8_t *scratch)
{
    const bptq_window *window = &op->window;
    const int32_t channels = op->channels;
    const int32_t scale = bits == 8 ? 0 : 16 - bits;
    const int8_t *taps[BPTQ_DSP_TAPS + 3];
    const int32_t count_of_taps = window->kernel_height * window->kernel_width;
    const int8_t *const *end = taps + count_of_taps;
    const int32_t last_row =
        window->input_height - 1 - (window->kernel_height - 1) * window->dilation_height;
    const int32_t last_column =
        window->input_width - 1 - (window->kernel_width - 1) * window->dilation_width;
    int32_t kept[BPTQ_DSP_CHANNELS];
    memset(scratch, op->weighted.input_zero_point, (size_t)channels);
    for (int32_t y = 0; y < window->output_height; y++) {
        const int32_t top = y * window->stride_height - window->pad_height;
        const int32_t inside = top >= 0 && top <= last_row;
        for (int32_t x = 0; x < window->output_width; x++) {
            const int32_t left = x * window->stride_width - window->pad_width;
            const uint32_t *weights = (const uint32_t *)op->weighted.weights;
            int32_t channel = 0;
            if (inside && x > 0 && left >= window->stride_width && left <= last_column) {
                /* This window and the one before lie within the input. */
                const int32_t step = window->stride_width * channels;
                for (int32_t i = 0; i < count_of_taps; i++) {
                    taps[i] += step;
                }
            } else {
                window_taps(op, input, scratch, top, left, taps);
            }
            while (channel < channels) {
                int32_t count = 0;
                /* The last block may begin in the one before. */
                if (channel + 4 > channels) {
                    channel = channels - 4;
                }
                do {
                    block_sums sums = {0, 0, 0, 0};
                    weights = block(bits, weights, taps, end, channel + count, &sums);
                    kept[count] = bptq_shift_right(sums.c0, scale);
                    kept[count + 1] = bptq_shift_right(sums.c1, scale);
                    kept[count + 2] = bptq_shift_right(sums.c2, scale);
                    kept[count + 3] = bptq_shift_right(sums.c3, scale);
                    count += 4;
                } while (count < BPTQ_DSP_CHANNELS && channel + count + 4 <= channels);
                bptq_dsp_finish(&op->weighted, channel, count, kept, output + channel);
                channel += count;
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

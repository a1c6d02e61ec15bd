/* Fully connected layer, 8-bit activations: four filters at a time. */
#include "bptq_dsp_dot.h"
#include "bptq_dsp_patch.h"

BPTQ_INLINE void fully_connected(int32_t bits, const bptq_fully_connected *op,
                                 const int8_t *input, int8_t *output, int8_t *scratch)
{
    const bptq_weighted *weighted = &op->weighted;
    const int32_t per_word = BPTQ_DSP_PER_WORD(bits);
    const int32_t words = (op->in_features + per_word - 1) / per_word;
    const int32_t length = words * per_word;
    const int32_t step = weighted->per_channel ? 1 : 0;
    const bptq_clamp clamp = weighted->clamp;
    const int saturates = bptq_saturates(clamp);
    int16_t *patch = (int16_t *)(void *)scratch;
    const bptq_pair *pairs = (const bptq_pair *)(const void *)patch;
    for (int32_t row = 0; row < op->rows; row++) {
        const uint32_t *weights = (const uint32_t *)weighted->weights;
        const bptq_multiplier *multiplier = weighted->multipliers;
        const int32_t *bias = weighted->bias;
        int32_t excess = 0;
        int16_t *end =
            bptq_dsp_expand(input, op->in_features, weighted->input_zero_point, patch);
        memset(end, 0, (size_t)(length - op->in_features) * sizeof *end);
        if (bits < 8) {
            excess = bptq_dsp_sum(pairs, length) * (1 << (bits - 1));
        }
        for (int32_t left = op->out_features; left > 0; left -= 4) {
            const int32_t count = left < 4 ? left : 4;
            /* Where no second pair is left, the first is computed twice. */
            const uint32_t *second = left > 2 ? weights + 2 * words : weights;
            bptq_sums sums = {-excess, -excess, -excess, -excess};
            bptq_dsp_dot_wide(bits, weights, second, pairs, words, &sums);
            const int32_t found[4] = {sums.a0, sums.b0, sums.a1, sums.b1};
            for (int32_t i = 0; i < count; i++) {
                *output++ = bptq_dsp_output(found[i] + *bias++, *multiplier,
                                            weighted->output_zero_point, saturates, clamp);
                multiplier += step;
            }
            weights += 4 * words;
        }
        input += op->in_features;
    }
}

void bptq_dsp_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch)
{
    fully_connected(8, op, input, output, scratch);
}

void bptq_dsp_fully_connected_w4_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch)
{
    fully_connected(4, op, input, output, scratch);
}

void bptq_dsp_fully_connected_w2_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch)
{
    fully_connected(2, op, input, output, scratch);
}

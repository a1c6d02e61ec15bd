/* Fully connected layer. */
#include "bptq_dot.h"
#include "bptq_math.h"

void bptq_fully_connected_s8(const bptq_fully_connected *op, const int8_t *input, int8_t *output,
                             int8_t *scratch)
{
    int32_t first = 0;
    while (first < op->out_features) {
        const bptq_block block =
            bptq_filters(&op->weighted, first, op->out_features, op->in_features, scratch);
        const int8_t *x = input;
        int8_t *out = output + first;
        for (int32_t row = 0; row < op->rows; row++) {
            int32_t sums[BPTQ_FILTERS] = {0};
            bptq_dot_s8(x, op->weighted.input_zero_point, &block, 0, op->in_features, sums);
            for (int32_t i = 0; i < block.count; i++) {
                out[i] = bptq_output_s8(&op->weighted, first + i, sums[i]);
            }
            x += op->in_features;
            out += op->out_features;
        }
        first += block.count;
    }
}

void bptq_fully_connected_s16(const bptq_fully_connected *op, const int16_t *input,
                              int16_t *output, int8_t *scratch)
{
    int32_t first = 0;
    while (first < op->out_features) {
        const bptq_block block =
            bptq_filters(&op->weighted, first, op->out_features, op->in_features, scratch);
        const int16_t *x = input;
        int16_t *out = output + first;
        for (int32_t row = 0; row < op->rows; row++) {
            int64_t sums[BPTQ_FILTERS] = {0};
            bptq_dot_s16(x, &block, 0, op->in_features, sums);
            for (int32_t i = 0; i < block.count; i++) {
                out[i] = bptq_output_s16(&op->weighted, first + i, sums[i]);
            }
            x += op->in_features;
            out += op->out_features;
        }
        first += block.count;
    }
}

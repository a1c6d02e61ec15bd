/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Integer runtime of burn-ptq, in portable C99.
 *
 * One activation sample, layout [height, width, channels]. The arithmetic is TensorFlow Lite
 * Micro's (double rounding). No function allocates, recurses or uses floating point; all state is
 * in the arguments.
 *
 * Suffixes: _s8 reads and writes 8-bit activations, _s16 16-bit activations (zero point 0).
 */
#ifndef BPTQ_H
#define BPTQ_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version, 10000 * major + 100 * minor + patch; exported networks need their own. */
#define BPTQ_VERSION 100

/* Filters that a convolution or fully connected layer decodes at once when its weights are packed;
 * its scratch holds that many filters, one byte a weight. A fully connected layer with one row of a
 * multiple of eight 8-bit inputs reads its weights as they are, and has no scratch. */
#define BPTQ_FILTERS 4

/* Channels that a depthwise convolution decodes at once when its weights are packed; its scratch
 * holds that many filters, one byte a weight. */
#define BPTQ_CHANNELS 16

/* A positive factor: quantized * 2^(exponent - 31). */
typedef struct {
    int32_t quantized;
    int32_t exponent;
} bptq_multiplier;

/* Bounds of an output. */
typedef struct {
    int32_t min;
    int32_t max;
} bptq_clamp;

/* How a window walks over an input plane; `pad` is the padding before the first row and column. */
typedef struct {
    int32_t input_height, input_width;
    int32_t output_height, output_width;
    int32_t kernel_height, kernel_width;
    int32_t stride_height, stride_width;
    int32_t dilation_height, dilation_width;
    int32_t pad_height, pad_width;
} bptq_window;

/* Weights, biases and rescaling of a layer. Weights take `storage` bits each, 2, 3, 4 or 8, densely
 * and low bits first, unless the kernel that reads them says otherwise. There is one multiplier an
 * output channel if `per_channel`, otherwise one. */
typedef struct {
    const void *weights;
    int32_t storage;
    const int32_t *bias;
    const bptq_multiplier *multipliers;
    int32_t per_channel;
    int32_t input_zero_point;
    int32_t output_zero_point;
    bptq_clamp clamp;
} bptq_weighted;

/* Convolution; weights [output_channels, kernel_height, kernel_width, input_channels / groups]. */
typedef struct {
    bptq_window window;
    int32_t input_channels;
    int32_t output_channels;
    int32_t groups;
    bptq_weighted weighted;
} bptq_conv2d;

/* Depthwise convolution; weights [kernel_height, kernel_width, channels * multiplier]. Output
 * channel c reads input channel c / multiplier. */
typedef struct {
    bptq_window window;
    int32_t channels;
    int32_t multiplier;
    bptq_weighted weighted;
} bptq_depthwise;

/* Transposed convolution; weights [output_channels, kernel_height, kernel_width, input_channels /
 * groups]. The window walks over the output: input i meets tap t of the kernel in output i * stride +
 * t * dilation - pad. */
typedef struct {
    bptq_window window;
    int32_t input_channels;
    int32_t output_channels;
    int32_t groups;
    bptq_weighted weighted;
} bptq_transpose_conv2d;

/* Fully connected layer on each of `rows` rows; weights [out_features, in_features]. */
typedef struct {
    int32_t rows;
    int32_t in_features;
    int32_t out_features;
    bptq_weighted weighted;
} bptq_fully_connected;

/* Element-wise operation. Element i of the first input meets element i % b_length of the second:
 * b_length is `length`, the number of channels, or 1. A product uses the multiplier `output` alone.
 * The output may take the place of an input of full length. */
typedef struct {
    int32_t length;
    int32_t b_length;
    int32_t a_zero_point;
    int32_t b_zero_point;
    int32_t output_zero_point;
    int32_t left_shift;
    bptq_multiplier a;
    bptq_multiplier b;
    bptq_multiplier output;
    bptq_clamp clamp;
} bptq_elementwise;

/* Where two values meet: element (i, j, k) of the output is made of element
 * i * a_step[0] + j * a_step[1] + k * a_step[2] of the first, and likewise of the second. A step is 0
 * where a value repeats. */
typedef struct {
    int32_t extent[3];
    int32_t a_step[3];
    int32_t b_step[3];
} bptq_strides;

/* Moves values to another grid. The output may take the place of an input that is as wide. */
typedef struct {
    int32_t length;
    int32_t input_zero_point;
    int32_t output_zero_point;
    bptq_multiplier multiplier;
    bptq_clamp clamp;
} bptq_requantize;

/* Average or maximum over the elements of a window that are not padding. */
typedef struct {
    bptq_window window;
    int32_t channels;
    bptq_clamp clamp;
} bptq_pool;

/* Softmax over each of `rows` rows. Differences to the maximum below `diff_min` count as minus
 * infinity. */
typedef struct {
    int32_t rows;
    int32_t depth;
    bptq_multiplier input;
    int32_t diff_min;
} bptq_softmax;

/* Logarithm of the softmax; output scale 2^integer_bits / 256. `exponentials` holds exp(-d * scale) in
 * Q0.20 for d of 0..255. */
typedef struct {
    int32_t rows;
    int32_t depth;
    bptq_multiplier input;
    int32_t integer_bits;
    const uint32_t *exponentials;
} bptq_log_softmax;

/* Pads [height, width, channels] with copies of `value`. */
typedef struct {
    int32_t input[3];
    int32_t before[3];
    int32_t after[3];
    int32_t value;
} bptq_pad;

/* Permutes axes: output extent i is input[axes[i]]. */
typedef struct {
    int32_t input[3];
    int32_t axes[3];
} bptq_transpose;

/* Products of matrices of two activations, one for each of `batch` pairs. Steps are those from pair to
 * pair, row to row and column to column. */
typedef struct {
    int32_t batch;
    int32_t rows;
    int32_t columns;
    int32_t inner;
    int32_t a_steps[3];
    int32_t b_steps[3];
    int32_t output_steps[3];
    int32_t a_zero_point;
    int32_t b_zero_point;
    int32_t output_zero_point;
    bptq_multiplier multiplier;
    bptq_clamp clamp;
} bptq_batch_matmul;

/* What a reduction makes of its elements. */
enum {
    BPTQ_MAX,
    BPTQ_MIN,
    BPTQ_SUM,
    BPTQ_SUM_OF_MAGNITUDES,
    BPTQ_SUM_OF_SQUARES,
    BPTQ_ROOT_OF_SQUARES
};

/* Reduction of [outer, reduced, inner] to [outer, inner]. */
typedef struct {
    int32_t reduction;
    int32_t outer;
    int32_t reduced;
    int32_t inner;
    int32_t input_zero_point;
    int32_t output_zero_point;
    bptq_multiplier multiplier;
    bptq_clamp clamp;
} bptq_reduce;

/* Normalization of `groups` groups of outer * inner elements by mean and variance, or without
 * `center` by the root of the squares. Steps are those from group to group and along both walks
 * through a group; `parameter_steps` those through `scales` and `shifts`, which may be null. */
typedef struct {
    uint32_t epsilon[2]; /* low and high word */
    int32_t groups;
    int32_t outer;
    int32_t inner;
    int32_t steps[3];
    int32_t parameter_steps[3];
    int32_t center;
    int32_t fraction;
    bptq_multiplier multiplier;
    const int16_t *scales;
    const int32_t *shifts;
    int32_t scale_fraction;
    int32_t input_zero_point;
    int32_t output_zero_point;
    bptq_clamp clamp;
} bptq_normalize;

/* The first `k` elements of each of `rows` rows, the largest ones first or the `smallest` ones; of
 * equal ones those in front, or the `last` ones. */
typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t k;
    int32_t smallest;
    int32_t last;
} bptq_top_k;
 
/* Linear interpolation of [height, width, channels]; `rows` and `columns` hold where each row and
 * column of the output lies between those of the input, with 10 fraction bits. */
typedef struct {
    int32_t input[3];
    int32_t output_height;
    int32_t output_width;
    const int32_t *rows;
    const int32_t *columns;
} bptq_resize_linear;

/* How an axis of a movement walks over the input: element i is `i * step` places behind the first, or
 * at `places[i]`, unless that is NULL. */
typedef struct {
    int32_t count;
    int32_t step;
    const uint32_t *places;
} bptq_steps;

#define BPTQ_MOVE_AXES 6

/* Copies elements from anywhere: output element (i, j, ..) is the input's at `first` and what the axes
 * lead to from there. The last axis is the fastest. */
typedef struct {
    int32_t first;
    bptq_steps axes[BPTQ_MOVE_AXES];
} bptq_rearrange;

/* `rows` rows of `row_bytes` each, and `length` ids. */
typedef struct {
    const void *table;
    int32_t rows;
    int32_t row_bytes;
    int32_t length;
    int32_t zero_point;
} bptq_lookup;

/* `scratch` is only touched when weights are packed; see BPTQ_FILTERS and BPTQ_CHANNELS. */
void bptq_conv2d_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output, int8_t *scratch);
void bptq_conv2d_s16(const bptq_conv2d *op, const int16_t *input, int16_t *output,
                     int8_t *scratch);
void bptq_depthwise_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                       int8_t *scratch);
void bptq_depthwise_s16(const bptq_depthwise *op, const int16_t *input, int16_t *output,
                        int8_t *scratch);
void bptq_transpose_conv2d_s8(const bptq_transpose_conv2d *op, const int8_t *input,
                              int8_t *output, int8_t *scratch);
void bptq_transpose_conv2d_s16(const bptq_transpose_conv2d *op, const int16_t *input,
                               int16_t *output, int8_t *scratch);
void bptq_fully_connected_s8(const bptq_fully_connected *op, const int8_t *input, int8_t *output,
                             int8_t *scratch);
void bptq_fully_connected_s16(const bptq_fully_connected *op, const int16_t *input,
                              int16_t *output, int8_t *scratch);
void bptq_fully_connected_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                 int16_t *output, int8_t *scratch);

void bptq_add_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b, int8_t *output);
void bptq_add_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                  int16_t *output);
/* The same bytes of inputs of one length, where 16 bits alone bound the output. _plain: one input's multiplier is
 * 2^30, with exponent 0, and the other one's exponent is not positive, the output's negative; _same: inputs and output
 * have one scale. */
void bptq_add_plain_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                        int16_t *output);
void bptq_sub_plain_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                        int16_t *output);
void bptq_add_same_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                       int16_t *output);
void bptq_mul_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b, int8_t *output);
void bptq_mul_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                  int16_t *output);
/* The inputs have equal lengths. */
void bptq_mul_s16_s8(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                     int8_t *output);

void bptq_batch_matmul_s8(const bptq_batch_matmul *op, const int8_t *a, const int8_t *b,
                          int8_t *output);
void bptq_batch_matmul_s16(const bptq_batch_matmul *op, const int16_t *a, const int16_t *b,
                           int16_t *output);

void bptq_reduce_s8(const bptq_reduce *op, const int8_t *input, int8_t *output);
void bptq_reduce_s16(const bptq_reduce *op, const int16_t *input, int16_t *output);
void bptq_normalize_s8(const bptq_normalize *op, const int8_t *input, int8_t *output);
void bptq_normalize_s16(const bptq_normalize *op, const int16_t *input, int16_t *output);

/* Values, and places of elements in their rows. */
void bptq_top_k_s8(const bptq_top_k *op, const int8_t *input, int8_t *output);
void bptq_top_k_s16(const bptq_top_k *op, const int16_t *input, int16_t *output);
void bptq_top_k_s8_s16(const bptq_top_k *op, const int8_t *input, int16_t *output);
void bptq_top_k_s16_s16(const bptq_top_k *op, const int16_t *input, int16_t *output);
/* The same and others of values that may repeat along any axis. A difference has the parameters of a
 * sum. A quotient uses the multiplier `output` alone; that by 0 is a bound. bptq_prelu multiplies
 * negative elements of `a` by those of `b`, with the multiplier `b`, others with the multiplier `a`
 * alone. Minimum and maximum are of values on one grid. */
void bptq_add_strided_s8(const bptq_elementwise *op, const bptq_strides *strides,
                         const int8_t *a, const int8_t *b, int8_t *output);
void bptq_add_strided_s16(const bptq_elementwise *op, const bptq_strides *strides,
                          const int16_t *a, const int16_t *b, int16_t *output);
void bptq_mul_strided_s8(const bptq_elementwise *op, const bptq_strides *strides,
                         const int8_t *a, const int8_t *b, int8_t *output);
void bptq_mul_strided_s16(const bptq_elementwise *op, const bptq_strides *strides,
                          const int16_t *a, const int16_t *b, int16_t *output);
void bptq_sub_s8(const bptq_elementwise *op, const bptq_strides *strides,
                 const int8_t *a, const int8_t *b, int8_t *output);
void bptq_sub_s16(const bptq_elementwise *op, const bptq_strides *strides,
                  const int16_t *a, const int16_t *b, int16_t *output);
void bptq_div_s8(const bptq_elementwise *op, const bptq_strides *strides,
                 const int8_t *a, const int8_t *b, int8_t *output);
void bptq_div_s16(const bptq_elementwise *op, const bptq_strides *strides,
                  const int16_t *a, const int16_t *b, int16_t *output);
void bptq_prelu_s8(const bptq_elementwise *op, const bptq_strides *strides,
                   const int8_t *a, const int8_t *b, int8_t *output);
void bptq_prelu_s16(const bptq_elementwise *op, const bptq_strides *strides,
                    const int16_t *a, const int16_t *b, int16_t *output);
void bptq_minimum_s8(const bptq_strides *strides,
                     const int8_t *a, const int8_t *b, int8_t *output);
void bptq_minimum_s16(const bptq_strides *strides,
                      const int16_t *a, const int16_t *b, int16_t *output);
void bptq_maximum_s8(const bptq_strides *strides,
                     const int8_t *a, const int8_t *b, int8_t *output);
void bptq_maximum_s16(const bptq_strides *strides,
                      const int16_t *a, const int16_t *b, int16_t *output);

/* The rows of a table that ids name. */
void bptq_lookup_s8(const bptq_lookup *op, const int8_t *ids, void *output);
void bptq_lookup_s16(const bptq_lookup *op, const int16_t *ids, void *output);

/* table[x + 128] for each of `length` inputs x. */
void bptq_table_s8(const int8_t *table, int32_t length, const int8_t *input, int8_t *output);
/* Interpolates between 513 points that stand for the inputs -32768, -32640, ... 32768. */
void bptq_table_s16(const int16_t *table, int32_t length, const int16_t *input, int16_t *output);

/* In Q0.15 of `length` inputs x, of which (x * multiplier + 2^(shift - 1)) >> shift has steps of
 * 2^-12 / 3. */
void bptq_sigmoid_s16(int32_t multiplier, int32_t shift, int32_t length, const int16_t *input,
                      int16_t *output);
void bptq_tanh_s16(int32_t multiplier, int32_t shift, int32_t length, const int16_t *input,
                   int16_t *output);

void bptq_requantize_s8(const bptq_requantize *op, const int8_t *input, int8_t *output);
void bptq_requantize_s16(const bptq_requantize *op, const int16_t *input, int16_t *output);
void bptq_requantize_s8_s16(const bptq_requantize *op, const int8_t *input, int16_t *output);
void bptq_requantize_s16_s8(const bptq_requantize *op, const int16_t *input, int8_t *output);

void bptq_average_pool_s8(const bptq_pool *op, const int8_t *input, int8_t *output);
void bptq_average_pool_s16(const bptq_pool *op, const int16_t *input, int16_t *output);
void bptq_max_pool_s8(const bptq_pool *op, const int8_t *input, int8_t *output);
void bptq_max_pool_s16(const bptq_pool *op, const int16_t *input, int16_t *output);

void bptq_softmax_s8(const bptq_softmax *op, const int8_t *input, int8_t *output);
void bptq_log_softmax_s8(const bptq_log_softmax *op, const int8_t *input, int8_t *output);

/* Copies one input of a concatenation into its place: `outer` chunks of `chunk` bytes, `step` bytes
 * apart in the output. */
void bptq_concat(int32_t outer, int32_t chunk, int32_t step, const void *input, void *output);
void bptq_pad_s8(const bptq_pad *op, const int8_t *input, int8_t *output);
void bptq_pad_s16(const bptq_pad *op, const int16_t *input, int16_t *output);
/* Stores `length` elements of 4 bits, an even number, two to a byte, the first in the low bits. */
void bptq_pack_s8(int32_t length, const int8_t *input, int8_t *output);
/* Stores `length` elements one to a byte again. */
void bptq_unpack_s8(int32_t length, const int8_t *input, int8_t *output);
void bptq_resize_linear_s8(const bptq_resize_linear *op, const int8_t *input, int8_t *output);
void bptq_resize_linear_s16(const bptq_resize_linear *op, const int16_t *input, int16_t *output);
void bptq_transpose_s8(const bptq_transpose *op, const int8_t *input, int8_t *output);
void bptq_transpose_s16(const bptq_transpose *op, const int16_t *input, int16_t *output);
void bptq_rearrange_s8(const bptq_rearrange *op, const int8_t *input, int8_t *output);
void bptq_rearrange_s16(const bptq_rearrange *op, const int16_t *input, int16_t *output);

#ifdef __cplusplus
}
#endif

#endif /* BPTQ_H */

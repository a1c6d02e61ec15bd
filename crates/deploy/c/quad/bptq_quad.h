/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Kernels for Arm's M-profile vector extension (Helium) that make the outputs of four channels of
 * two pixels at a time: eight sums stay in registers, and become outputs without going through
 * memory.
 *
 * They give the bytes of their twins in bptq.h for layers that meet their conditions; the exporter
 * checks them. Without the extension the same files compile to portable C, so that a desktop can
 * test them.
 */
#ifndef BPTQ_QUAD_H
#define BPTQ_QUAD_H

#include "bptq.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Layers have a multiple of 4 output channels, one group, no dilation, and outputs that are bounded
 * by 8 bits alone. `weights` is all that a layer has of constants, as words; `bias` and
 * `multipliers` are null. Biases are less the input's zero point times the sum of a channel's
 * weights, so that inputs are multiplied as they are. No multiplier shifts to the left; all shift
 * to the right unless the output's zero point is -128.
 *
 * For each four channels a, b, c, d there are four words of biases, the weights, four multipliers
 * and four right shifts, which are negative. A filter is padded to a multiple of 16 weights, in any
 * way that is zero; each 16 weights of the four channels stand together:
 *
 * _w8: biases a, b, c, d; 16 bytes of a, of b, of c and of d.
 * _w4: biases a, a + 16 b, c, c + 16 d; 16 bytes a + 8 + 16 b, and 16 of c and d. Sums of b and d
 *      with their biases stay below 2^27.
 * _w2: biases a, a + 4 b, a + 4 b + 16 c, a + 4 b + 16 c + 64 d; 16 bytes (a + 2) + 4 (b + 2) + 16
 *      (c + 2) + 64 d. Sums of d with its bias stay below 2^25, those of c + 2 below 2^27, those of
 *      b + 2 below 2^29.
 *
 * `scratch` holds two windows, padded like a filter, unless a window is a pixel of a multiple of 16
 * channels that is read in place.
 */
void bptq_quad_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch);
void bptq_quad_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch);
void bptq_quad_conv2d_w2_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch);

/*
 * Fully connected layer: constants as above. `scratch` holds two rows of inputs, padded like a
 * filter, or one if there is one, unless inputs are a multiple of 16 and read in place.
 */
void bptq_quad_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch);
void bptq_quad_fully_connected_w4_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch);
void bptq_quad_fully_connected_w2_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch);

/*
 * Depthwise convolution of 3x3 taps without dilation, of a multiple of 4 channels, each with its
 * own input channel. For each sixteen channels (fewer ones are filled up with any) there are
 * weights, biases, and four times four multipliers and four right shifts, as above. Biases and the
 * others are those of channels 0, 4, 8, 12, then of 1, 5, 9, 13, and so on.
 *
 * _w8: the biases come first; nine times 16 bytes. No two weights after each other of a channel,
 *      from the first one on, are both -128.
 * _w4: 16 bytes hold two taps, low bits first, the last ones the ninth in their high bits.
 * _w2: 16 bytes hold four taps, low bits first, the last ones the ninth in their highest bits.
 *
 * `scratch` holds one byte a channel.
 */
void bptq_quad_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch);
void bptq_quad_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch);
void bptq_quad_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif /* BPTQ_QUAD_H */

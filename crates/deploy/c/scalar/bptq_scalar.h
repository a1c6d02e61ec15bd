/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Kernels for cores without SIMD instructions, in C99 with a few instructions of Arm: as many sums as
 * there are registers, and with weights of 4 bits or fewer two products in one multiplication.
 *
 * They give the bytes of their twins in bptq.h for layers that meet their conditions; the exporter
 * checks them.
 */
#ifndef BPTQ_SCALAR_H
#define BPTQ_SCALAR_H

#include "bptq.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Layers have one group, no dilation, and outputs that are bounded by 8 bits alone. `weights` is all
 * that a layer has of constants, as words; `bias` and `multipliers` are null. Biases are less the
 * input's zero point times the sum of a channel's weights, so that inputs are multiplied as they are;
 * with any input, a sum stays below 2^30.
 *
 * A channel's output is made of its sum by its multiplier q and a right shift r of 1 to 23, or of 0 if
 * the output's zero point is -128. A channel that has the same output for every input has weights of 0.
 */

/*
 * Convolution of an even number of channels, and a fully connected layer of as many outputs. For each
 * two channels a, b there are two biases, the weights of the elements of a window in their order, then
 * zeros up to a multiple of the unit, and q of a, q of b, r of a + 256 r of b.
 *
 * _w8: the unit is 4; a weight of a, one of b, as bytes.
 * _w4, _w3, _w2: the unit is 4, 5, 8, as many as half a word holds; from its low bits on those of a in the
 *      low half, those of b in the high half. One word before all others is the number of elements, in units, after which
 *      the sums of two pixels that share a word are taken apart: up to there, each stays within 16 bits.
 *
 * `scratch` holds four windows, of bytes or of 16-bit elements.
 */
void bptq_scalar_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void bptq_scalar_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void bptq_scalar_conv2d_w3_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void bptq_scalar_conv2d_w2_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void bptq_scalar_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                       int8_t *output, int8_t *scratch);
void bptq_scalar_fully_connected_w4_s8(const bptq_fully_connected *op, const int8_t *input,
                                       int8_t *output, int8_t *scratch);
void bptq_scalar_fully_connected_w3_s8(const bptq_fully_connected *op, const int8_t *input,
                                       int8_t *output, int8_t *scratch);
void bptq_scalar_fully_connected_w2_s8(const bptq_fully_connected *op, const int8_t *input,
                                       int8_t *output, int8_t *scratch);

/*
 * Depthwise convolution with a kernel of 3x3 and the same stride, 1 or 2, on both axes, of a multiple of 4
 * channels, each with its own input channel. A channel has its bias, its q, and its 9 weights, low
 * bits first, before its r:
 *
 * _w8: three words of bytes.
 * _w4: two words; r is the second byte of the second one.
 * _w3, _w2: one word; r is its five highest bits.
 *
 * An r of 23 + l stands for no shift, and weights that are multiplied by 2^l; the bias is that much larger.
 *
 * Where a call makes more rows than columns, columns take the place of rows, and so do those of the
 * kernel. `scratch` holds three lines of four channels, BPTQ_SCALAR_COLUMN bytes for each element that the
 * windows of a line touch.
 */
#define BPTQ_SCALAR_COLUMN 4
void bptq_scalar_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                                 int8_t *scratch);
void bptq_scalar_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                                 int8_t *scratch);
void bptq_scalar_depthwise_w3_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                                 int8_t *scratch);
void bptq_scalar_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                                 int8_t *scratch);

/*
 * Sum of two inputs of full length. One input's multiplier is 2^30, with exponent 0; the other one's
 * exponent is -1 to -3, and the output's -1 to -23.
 */
void bptq_scalar_add_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* BPTQ_SCALAR_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Kernels for the DSP extension in tiles: as many sums as there are registers, one instruction to
 * unpack the weights of two channels, and five or six to make an output of a sum.
 *
 * They give the bytes of their twins in bptq.h for layers that meet their conditions; the exporter
 * checks them. Without the extension the same files compile to portable C, so that a desktop can
 * test them.
 */
#ifndef BPTQ_TILE_H
#define BPTQ_TILE_H

#include "bptq.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Layers have one group, no dilation, and outputs that are bounded by their type alone. `weights` is all
 * that a layer has of constants, as words; `bias` and `multipliers` are null. Biases are less the
 * input's zero point times the sum of a channel's weights, so that inputs are multiplied as they are.
 *
 * A channel's output is made of its sum by two words: the multiplier q, and (2 z + 1) * 2^(r - 1)
 * of the output's zero point z and the right shift r of 1 to 23. A channel that has the same output y
 * for every input has q = 0 and 2 y + 1.
 */

/*
 * Convolution of an even number of channels. Elements of a window stand in the order in which they
 * are gathered: of each row fours, in the order 0, 2, 1, 3, then what is left of each row, then zeros
 * up to a multiple of 4. For each two channels a, b there are two biases, the weights, and the two
 * words of a and of b.
 *
 * _w8: the biases are a and a + 256 b; a word holds two elements' a + 256 b, as sums of 16 bits.
 *      Sums of b and its bias stay below 2^23.
 * _w4: the biases are a and a + 16 b; a word holds four elements' a + 8 + 16 b, as bytes: elements
 *      0 and 1 in bytes 0 and 2, elements 2 and 3 in bytes 1 and 3.
 *
 * `scratch` holds four windows of 16-bit elements, four words, and a window of bytes if the number of
 * channels is not a multiple of 4.
 */
void bptq_tile_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch);
void bptq_tile_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                            int8_t *scratch);

/*
 * Depthwise convolution with a kernel of 3x3 and stride 1 or 2 on both axes, of a multiple of 4
 * channels, each with its own input channel; the output's zero point is -128. A channel has its weights,
 * its two words, and its bias twice.
 *
 * _w8: three words of weights, each a row's w0, w1, w1, w2.
 * _w4: two words of such bytes: those of the first row in the low 4 bits of the first word, those of the
 *      second row in its high 4 bits, those of the third in the low ones of the second word.
 * _w2: a word of such bytes: a row in 2 bits each, low ones first.
 *
 * Where a call makes more
 * than BPTQ_TILE_ROWS rows that are shorter than the columns, columns take the place of rows, if there is
 * at most one row of padding before the first one.
 *
 * `scratch` holds pairs of elements of four channels: BPTQ_TILE_SLOTS bytes a pair, or
 * BPTQ_TILE_PLANE_1 or _2 (stride 1 and 2) for planes of few lines.
 */
void bptq_tile_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch);
void bptq_tile_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch);
void bptq_tile_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                               int8_t *scratch);

#define BPTQ_TILE_ROWS 4
#define BPTQ_TILE_SLOTS 48
#define BPTQ_TILE_PLANE_1 224
#define BPTQ_TILE_PLANE_2 288

/* Outputs of a line of such a plane. */
#define BPTQ_TILE_PLANE_WIDTH 16

/*
 * Fully connected layer of one row, a multiple of 4 inputs and of 8 outputs. Elements stand in the
 * order 0, 2, 1, 3 in each four. For each eight channels there are eight biases, the weights, then eight
 * times the two words of a channel.
 *
 * _w8: the biases are four times those of _w8 above; for each two elements there are four words of
 *      weights.
 * _w4: for each four channels a, b, c, d the biases are a, 16 b, 256 c and a + 16 b + 256 c + 4096 d;
 *      for each two elements there are two words, four channels each, whose halves are an element's
 *      a + 8 + 16 (b + 8) + 256 (c + 8) + 4096 d. Sums with their biases stay below 2^30, 2^27, 2^23
 *      and 2^19.
 * _w4_left: the same with three words a channel, of which some may have multipliers of 1 and more:
 *      q; the offset above, or the output's zero point if there is no right shift; in the bytes of the
 *      third word, from the low one on, left shift and right shift, and two of 255 if that is not 0.
 *      Sums that are shifted stay below 2^30.
 *
 * `scratch` holds the inputs as 16-bit elements.
 */
void bptq_tile_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch);
void bptq_tile_fully_connected_w4_s8(const bptq_fully_connected *op, const int8_t *input,
                                     int8_t *output, int8_t *scratch);
void bptq_tile_fully_connected_w4_left_s8(const bptq_fully_connected *op, const int8_t *input,
                                          int8_t *output, int8_t *scratch);

/* The same with outputs of 16 bits, whose zero point is 0. */
void bptq_tile_fully_connected_w8_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                         int16_t *output, int8_t *scratch);
void bptq_tile_fully_connected_w4_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                         int16_t *output, int8_t *scratch);
void bptq_tile_fully_connected_w4_left_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                              int16_t *output, int8_t *scratch);

/*
 * Sum of a multiple of 4 elements, of two inputs of full length. One input's multiplier is 2^30, with
 * exponent 0; the other one's exponent is -1 to -3, and the output's -1 to -23. The output's zero point
 * is -128.
 */
void bptq_tile_add_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b,
                      int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* BPTQ_TILE_H */

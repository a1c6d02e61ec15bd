/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Kernels for the DSP extension of Arm's M profile: two 16-bit products an instruction.
 *
 * They give the bytes of their twins in bptq.h, from weights packed as each function says. Without
 * the extension the same file compiles to portable C, so that a desktop can test it.
 */
#ifndef BPTQ_DSP_H
#define BPTQ_DSP_H

#include "bptq.h"

/* A depthwise convolution's kernel has at most so many taps. */
#define BPTQ_DSP_TAPS 64

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Convolution and fully connected layer. Filters stand in pairs a, b, each group of them padded to
 * an even number; a word holds weights of both. Filters are padded with zero weights to a multiple
 * of 4 (_w8), 10 (_w3) or 8 weights.
 *
 * _w8: two weights each, low byte first: a0, b0, a1, b1.
 * _w4: four weights each, plus 8; the fields of 4 bits, from the low one on, hold
 *      a0, b0, a2, b2, a1, b1, a3, b3.
 * _w3: ten weights each, plus 4, in two words. The fields of 3 bits in the low halves hold
 *      a0, b0, a2, b2, a4 and b4, a6, b6, a8, b8, those in the high halves the weights after these.
 * _w2: eight weights each, plus 2; the fields of 2 bits hold
 *      a0, b0, a2, b2, a4, b4, a6, b6, a1, b1, a3, b3, a5, b5, a7, b7.
 *
 * `scratch` of a convolution holds the padded inputs of two output pixels as 16-bit elements, that
 * of a fully connected layer those of one row.
 */
void bptq_dsp_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch);
void bptq_dsp_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch);
void bptq_dsp_conv2d_w3_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch);
void bptq_dsp_conv2d_w2_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch);
void bptq_dsp_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch);
void bptq_dsp_fully_connected_w4_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch);
void bptq_dsp_fully_connected_w3_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch);
void bptq_dsp_fully_connected_w2_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch);

/* The same with outputs of 16 bits, whose zero point is 0. */
void bptq_dsp_fully_connected_w8_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                        int16_t *output, int8_t *scratch);
void bptq_dsp_fully_connected_w4_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                        int16_t *output, int8_t *scratch);
void bptq_dsp_fully_connected_w3_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                        int16_t *output, int8_t *scratch);
void bptq_dsp_fully_connected_w2_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                        int16_t *output, int8_t *scratch);

/*
 * Depthwise convolution of at least four channels, each with its own input channel. Blocks of four
 * channels, of which the last may overlap the one before; in a block, pairs of taps s, t, the last
 * tap paired with zero weights if need be. Biases are less the input's zero point times the sum of
 * a channel's weights, so that inputs are multiplied as they are.
 *
 * _w8: a pair takes two words of bytes: 0s, 1s, 0t, 1t and 2s, 3s, 2t, 3t.
 * _w4: a pair takes a word: channel c of s at bits 4c, of t at 16 + 4c.
 * _w2: two pairs take a word: channel c of s at bits 2c, of t at 16 + 2c; the second pair's 8 on.
 *
 * `scratch` holds one byte a channel.
 */
void bptq_dsp_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void bptq_dsp_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void bptq_dsp_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);

#ifdef __cplusplus
}
#endif

#endif /* BPTQ_DSP_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Kernels for Arm's M-profile vector extension (Helium).
 *
 * They give the bytes of their twins in bptq.h, from weights packed as each function says. Biases
 * are less the input's zero point times the sum of a channel's weights, so that inputs are
 * multiplied as they are. There is one multiplier a channel; three more channels follow the last one
 * in biases and multipliers, because four are read at a time.
 */
#ifndef BPTQ_MVE_H
#define BPTQ_MVE_H

#include "bptq.h"

/* A depthwise convolution's kernel has at most so many taps. */
#define BPTQ_MVE_TAPS 64

/* A pool's window has at most so many elements. */
#define BPTQ_MVE_POOL_TAPS 4096

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Convolution and fully connected layer. Each filter is padded with zero weights to a multiple of
 * 16 (_w8), 32 (_w4, for 3 bits too) or 64 (_w2) weights, of which each unit takes 16 bytes: byte i holds the
 * weights i, i + 16, ... from its low bits on.
 *
 * `scratch` holds the inputs of two output pixels, padded alike; a fully connected layer's those of
 * one row.
 */
void bptq_mve_conv2d_w8_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch);
void bptq_mve_conv2d_w4_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch);
void bptq_mve_conv2d_w2_s8(const bptq_conv2d *op, const int8_t *input, int8_t *output,
                           int8_t *scratch);
void bptq_mve_fully_connected_w8_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch);
void bptq_mve_fully_connected_w4_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch);
void bptq_mve_fully_connected_w2_s8(const bptq_fully_connected *op, const int8_t *input,
                                    int8_t *output, int8_t *scratch);
void bptq_mve_fully_connected_w8_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                        int16_t *output, int8_t *scratch);
void bptq_mve_fully_connected_w4_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                        int16_t *output, int8_t *scratch);
void bptq_mve_fully_connected_w2_s8_s16(const bptq_fully_connected *op, const int8_t *input,
                                        int16_t *output, int8_t *scratch);

/*
 * Depthwise convolution in which each channel has its own input channel. Weights are those of
 * bptq_depthwise, [tap, channel], as one filter packed as above; _w8 is not padded.
 *
 * `scratch` holds one byte a channel, and below 8 bits the padded filter, one byte a weight.
 */
void bptq_mve_depthwise_w8_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void bptq_mve_depthwise_w4_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);
void bptq_mve_depthwise_w2_s8(const bptq_depthwise *op, const int8_t *input, int8_t *output,
                              int8_t *scratch);

/* Sum of two tensors of one shape. */
void bptq_mve_add_s8(const bptq_elementwise *op, const int8_t *a, const int8_t *b, int8_t *output);
void bptq_mve_add_s16(const bptq_elementwise *op, const int16_t *a, const int16_t *b,
                      int16_t *output);

/* Average over the elements of a window, BPTQ_MVE_POOL_TAPS at most. */
void bptq_mve_average_pool_s8(const bptq_pool *op, const int8_t *input, int8_t *output);

#ifdef __cplusplus
}
#endif

#endif /* BPTQ_MVE_H */

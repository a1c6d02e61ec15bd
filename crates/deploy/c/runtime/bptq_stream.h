/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Operations that run row by row, so that memory holds a few rows of what they pass on to each
 * other.
 */
#ifndef BPTQ_STREAM_H
#define BPTQ_STREAM_H

#include "bptq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Buffers that one stream may have. */
#define BPTQ_STREAM_BUFFERS 24

/* The rows of a tensor, `start` bytes into the arena; memory holds `capacity` of `height`. */
typedef struct {
    int32_t start;
    int32_t row_bytes;
    int32_t height;
    int32_t capacity;
} bptq_row_buffer;

/* One row to compute: the window sees `count` rows of the input, after `pad` rows of padding. */
typedef struct {
    const void *input[2];
    int32_t count;
    int32_t pad;
    void *output;
    void *arena;
} bptq_row;

/* An operation. Output row y needs the input rows from y * stride - pad to y * stride - pad + reach,
 * as far as they exist. `input` are indices of buffers, -1 if there is none. */
typedef struct {
    void (*run)(const bptq_row *row);
    int32_t input[2];
    int32_t reach;
    int32_t stride;
    int32_t pad;
} bptq_stage;

/* The first `externals` buffers are inputs, and whole; buffer `externals + i` is the output of stage
 * i. */
typedef struct {
    int32_t externals;
    int32_t stage_count;
    const bptq_row_buffer *buffers;
    const bptq_stage *stages;
} bptq_stream;

/* Computes all rows of the last stage, and the rows of the others that it needs, each once. */
void bptq_stream_run(const bptq_stream *stream, void *arena);

/* Narrows a window to the rows of `row`. */
static inline void bptq_row_window(bptq_window *window, const bptq_row *row)
{
    window->input_height = row->count;
    window->output_height = 1;
    window->pad_height = row->pad;
}

#ifdef __cplusplus
}
#endif

#endif /* BPTQ_STREAM_H */

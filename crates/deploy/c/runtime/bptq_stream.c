/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* The order of the rows: as late as possible, each once. */
#include <string.h>

#include "bptq_stream.h"

/* For each buffer, the first row that memory holds and the number of rows computed so far. */
typedef struct {
    int32_t first[BPTQ_STREAM_BUFFERS];
    int32_t made[BPTQ_STREAM_BUFFERS];
} progress;

/* Input rows `start` to before `end`. */
typedef struct {
    int32_t start;
    int32_t end;
} range;

static range window(const bptq_stage *stage, int32_t y, int32_t height)
{
    const int32_t start = y * stage->stride - stage->pad;
    const int32_t end = start + stage->reach;
    range rows;
    rows.end = end < height ? end : height;
    rows.start = start > 0 ? start : 0;
    return rows;
}

/* The first row of `buffer` that a stage still reads; its height if none does. */
static int32_t needed_from(const bptq_stream *stream, const progress *at, int32_t buffer)
{
    const int32_t height = stream->buffers[buffer].height;
    int32_t needed = height;
    for (int32_t i = 0; i < stream->stage_count; i++) {
        const bptq_stage *stage = &stream->stages[i];
        const int32_t output = stream->externals + i;
        if ((stage->input[0] == buffer || stage->input[1] == buffer) &&
            at->made[output] < stream->buffers[output].height) {
            const int32_t start = window(stage, at->made[output], height).start;
            needed = start < needed ? start : needed;
        }
    }
    return needed;
}

/* The stage that must run for the last one to come to its next row. */
static int32_t due(const bptq_stream *stream, const progress *at)
{
    int32_t stage = stream->stage_count - 1;
    for (;;) {
        const bptq_stage *reader = &stream->stages[stage];
        const int32_t next = at->made[stream->externals + stage];
        int32_t lacking = -1;
        for (int32_t i = 1; i >= 0; i--) {
            const int32_t buffer = reader->input[i];
            if (buffer >= 0 &&
                at->made[buffer] < window(reader, next, stream->buffers[buffer].height).end) {
                lacking = buffer;
            }
        }
        if (lacking < 0) {
            return stage;
        }
        stage = lacking - stream->externals;
    }
}

/* Makes room in the output of `stage` and computes its next row. */
static void step(const bptq_stream *stream, progress *at, int32_t stage)
{
    const bptq_stage *operation = &stream->stages[stage];
    const int32_t output = stream->externals + stage;
    const bptq_row_buffer *target = &stream->buffers[output];
    const int32_t made = at->made[output];
    bptq_row row = {{NULL, NULL}, 0, 0, NULL};
    if (made - at->first[output] == target->capacity) {
        const int32_t needed = needed_from(stream, at, output);
        const int32_t keep = needed < made ? needed : made;
        memmove(target->start, target->start + (keep - at->first[output]) * target->row_bytes,
                (size_t)((made - keep) * target->row_bytes));
        at->first[output] = keep;
    }
    for (int32_t i = 1; i >= 0; i--) {
        const int32_t buffer = operation->input[i];
        if (buffer >= 0) {
            const bptq_row_buffer *source = &stream->buffers[buffer];
            const range rows = window(operation, made, source->height);
            row.input[i] = source->start + (rows.start - at->first[buffer]) * source->row_bytes;
            row.count = rows.end - rows.start;
        }
    }
    row.pad = operation->pad - made * operation->stride;
    row.pad = row.pad > 0 ? row.pad : 0;
    row.output = target->start + (made - at->first[output]) * target->row_bytes;
    operation->run(&row);
    at->made[output] = made + 1;
}

void bptq_stream_run(const bptq_stream *stream)
{
    const int32_t last = stream->externals + stream->stage_count - 1;
    progress at;
    memset(&at, 0, sizeof at);
    for (int32_t i = 0; i < stream->externals; i++) {
        at.made[i] = stream->buffers[i].height;
    }
    while (at.made[last] < stream->buffers[last].height) {
        step(stream, &at, due(stream, &at));
    }
}

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

/* The first row of a stage's output `buffer` that a stage still reads; its height if none does. */
static int32_t needed_from(const bptq_stream *stream, const progress *at, int32_t buffer)
{
    const int32_t height = stream->buffers[buffer].height;
    int32_t needed = height;
    /* Stages read what stages before them make. */
    for (int32_t i = buffer - stream->externals + 1; i < stream->stage_count; i++) {
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

/* The stage whose next row `stage` lacks for its own; -1 if it lacks none. */
static int32_t lacking(const bptq_stream *stream, const progress *at, int32_t stage)
{
    const bptq_stage *reader = &stream->stages[stage];
    const int32_t end =
        at->made[stream->externals + stage] * reader->stride - reader->pad + reader->reach;
    for (int32_t i = 0; i < 2; i++) {
        const int32_t buffer = reader->input[i];
        if (buffer >= 0 && at->made[buffer] < end &&
            at->made[buffer] < stream->buffers[buffer].height) {
            return buffer - stream->externals;
        }
    }
    return -1;
}

/* Makes room in the output of `stage` and computes its next row. */
static void step(const bptq_stream *stream, progress *at, int32_t stage, int8_t *arena)
{
    const bptq_stage *operation = &stream->stages[stage];
    const int32_t output = stream->externals + stage;
    const bptq_row_buffer *target = &stream->buffers[output];
    const int32_t made = at->made[output];
    int8_t *const start = arena + target->start;
    bptq_row row = {{NULL, NULL}, 0, 0, NULL, arena};
    if (made - at->first[output] == target->capacity) {
        const int32_t needed = needed_from(stream, at, output);
        const int32_t keep = needed < made ? needed : made;
        memmove(start, start + (keep - at->first[output]) * target->row_bytes,
                (size_t)((made - keep) * target->row_bytes));
        at->first[output] = keep;
    }
    for (int32_t i = 1; i >= 0; i--) {
        const int32_t buffer = operation->input[i];
        if (buffer >= 0) {
            const bptq_row_buffer *source = &stream->buffers[buffer];
            const range rows = window(operation, made, source->height);
            row.input[i] =
                arena + source->start + (rows.start - at->first[buffer]) * source->row_bytes;
            row.count = rows.end - rows.start;
        }
    }
    row.pad = operation->pad - made * operation->stride;
    row.pad = row.pad > 0 ? row.pad : 0;
    row.output = start + (made - at->first[output]) * target->row_bytes;
    operation->run(&row);
    at->made[output] = made + 1;
}

void bptq_stream_run(const bptq_stream *stream, void *arena)
{
    const int32_t last = stream->externals + stream->stage_count - 1;
    progress at;
    memset(&at, 0, sizeof at);
    for (int32_t i = 0; i < stream->externals; i++) {
        at.made[i] = stream->buffers[i].height;
    }
    /* The stages that wait for each other, from the last one to the one that is looked at. Only
     * the next row of the following one changes what a stage waits for. */
    int32_t waiting[BPTQ_STREAM_BUFFERS];
    int32_t depth = 0;
    waiting[0] = stream->stage_count - 1;
    while (at.made[last] < stream->buffers[last].height) {
        const int32_t needed = lacking(stream, &at, waiting[depth]);
        if (needed >= 0) {
            depth++;
            waiting[depth] = needed;
        } else {
            step(stream, &at, waiting[depth], (int8_t *)arena);
            depth -= depth > 0 ? 1 : 0;
        }
    }
}

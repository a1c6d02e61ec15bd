/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Rows of a table by their numbers: embeddings. */
#include <string.h>

#include "bptq.h"

/* Negative ids count from the last row; ids beyond either end mean the nearest row. */
static void look_up(const bptq_lookup *op, int32_t id, int32_t place, void *output)
{
    id -= op->zero_point;
    if (id < 0) {
        id += op->rows;
    }
    if (id > op->rows - 1) {
        id = op->rows - 1;
    }
    if (id < 0) {
        id = 0;
    }
    memcpy((uint8_t *)output + place * op->row_bytes,
           (const uint8_t *)op->table + id * op->row_bytes, (size_t)op->row_bytes);
}

void bptq_lookup_s8(const bptq_lookup *op, const int8_t *ids, void *output)
{
    for (int32_t i = 0; i < op->length; i++) {
        look_up(op, ids[i], i, output);
    }
}

void bptq_lookup_s16(const bptq_lookup *op, const int16_t *ids, void *output)
{
    for (int32_t i = 0; i < op->length; i++) {
        look_up(op, ids[i], i, output);
    }
}

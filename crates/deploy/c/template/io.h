/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * What @NAME@ reads and writes, for programs that have raw samples and want values or classes. A
 * firmware that fills the input and reads the output itself leaves @NAME@_io.c out; otherwise the linker
 * drops the functions that are not called.
 */
#ifndef @PREFIX@_IO_H
#define @PREFIX@_IO_H

#include <stddef.h>

#include "@NAME@.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elements of a raw sample, and of the source model's input. */
#define @PREFIX@_RAW_LENGTH @INPUT_LENGTH@
/* Elements of the output. */
#define @PREFIX@_OUTPUT_LENGTH @OUTPUT_LENGTH@

/*
 * Fills @NAME@_input() from a raw sample, as the network was quantized:
 * @RULE@.
 * @RULE_ARITHMETIC@
 */
void @NAME@_quantize_input(const @RAW_TYPE@ *raw, @INPUT_TYPE@ *input);

/* The same from values that are preprocessed already, in the order of the source model's input. */
void @NAME@_quantize_preprocessed(const float *values, @INPUT_TYPE@ *input);

/* Makes of @NAME@_output() the values of the source model's output, in its order. */
void @NAME@_dequantize_output(const @OUTPUT_TYPE@ *output, float *values);
@DECLARATIONS@
#ifdef __cplusplus
}
#endif

#endif /* @PREFIX@_IO_H */

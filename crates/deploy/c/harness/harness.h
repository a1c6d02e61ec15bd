/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * The device side of MLPerf Tiny: the functions that the benchmark asks for, whose names begin with th_,
 * are in submitter.c; commands.c is a command loop that calls them, for when the benchmark's own sources
 * are not there.
 */
#ifndef MLPERF_TINY_HARNESS_H
#define MLPERF_TINY_HARNESS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a sample: @SAMPLE_LAYOUT@. */
#define HARNESS_SAMPLE_BYTES @SAMPLE_BYTES@

/* Answers commands until no more can come. */
void harness_run(void);

/* Bytes of the sample that have been received, and where they are. */
size_t harness_received(void);
const uint8_t *harness_sample(void);

/* Whether the last th_load_tensor() found a whole sample. */
int harness_is_loaded(void);

void th_load_tensor(void);
void th_infer(void);
void th_results(void);
void th_timestamp(void);
void th_timestamp_initialize(void);
void th_serialport_initialize(void);
void th_final_initialize(void);
void th_pre(void);
void th_post(void);
void th_command_ready(char volatile *command);
void th_printf(const char *format, ...);
int th_vprintf(const char *format, va_list arguments);
char th_getchar(void);

#ifdef __cplusplus
}
#endif

#endif /* MLPERF_TINY_HARNESS_H */

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* What the harness needs of a board: a serial port and a clock. port.c is for @PORT@; write another
 * one for your board. */
#ifndef MLPERF_TINY_PORT_H
#define MLPERF_TINY_PORT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Starts the serial port. */
void port_start_serial(void);

/* Waits for the next byte, which is in 0..255; negative if none can ever come. */
int port_get(void);

/* Sends a byte. */
void port_put(char byte);

/* Starts the clock. */
void port_start_clock(void);

/* Microseconds since then. */
unsigned long port_microseconds(void);

#ifdef __cplusplus
}
#endif

#endif /* MLPERF_TINY_PORT_H */

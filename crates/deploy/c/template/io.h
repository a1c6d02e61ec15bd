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

@IO_DECLARED@#ifdef __cplusplus
}
#endif

#endif /* @PREFIX@_IO_H */

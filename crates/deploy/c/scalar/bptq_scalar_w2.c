/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Tiles, weights of 2 bits. */
#include "bptq_scalar_packed.h"

BPTQ_SCALAR_PACKED(2)

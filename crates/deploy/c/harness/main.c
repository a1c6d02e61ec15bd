/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
#include "harness.h"

int main(void)
{
    harness_run();
    return 0;
}

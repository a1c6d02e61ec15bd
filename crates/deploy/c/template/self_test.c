/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Runs the network on embedded samples and compares every output byte with the expected one. */
#include <stdio.h>

#include "samples.h"

@COMPARE_FUNCTION@int main(void)
{
@OUTPUT_BUFFERS@    unsigned long differing = 0;

    for (int sample = 0; sample < SAMPLES; sample++) {
@COMPARED@    }
    printf("self-test: %d samples, %lu differing bytes\n", SAMPLES, differing);
    return differing == 0 ? 0 : 1;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Runs the network on embedded samples and compares every output byte with the expected one. */
#include <stdio.h>

#include "samples.h"

int main(void)
{
    static @OUTPUT_TYPE@ output[@OUTPUT_LENGTH@];
    unsigned long differing = 0;

    for (int sample = 0; sample < SAMPLES; sample++) {
        const unsigned char *actual = (const unsigned char *)output;
        const unsigned char *wanted = (const unsigned char *)expected[sample];
        @NAME@_infer(inputs[sample], output);
        for (unsigned long i = 0; i < @PREFIX@_OUTPUT_BYTES; i++) {
            differing += actual[i] != wanted[i];
        }
    }
    printf("self-test: %d samples, %lu differing bytes\n", SAMPLES, differing);
    return differing == 0 ? 0 : 1;
}

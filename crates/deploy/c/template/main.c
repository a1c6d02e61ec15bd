/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Runs the network on raw samples: @PREFIX@_INPUT_BYTES each, back to back, from the file named on
 * the command line or from standard input. Writes @PREFIX@_OUTPUT_BYTES a sample to standard output.
 */
#include <stdio.h>

#include "@NAME@.h"

int main(int argc, char **argv)
{
    FILE *source = stdin;
    size_t got;

    if (argc > 2) {
        fprintf(stderr, "usage: %s [FILE]\n", argv[0]);
        return 2;
    }
    if (argc == 2) {
        source = fopen(argv[1], "rb");
        if (source == NULL) {
            perror(argv[1]);
            return 2;
        }
    }
    while ((got = fread(@NAME@_input(), 1, @PREFIX@_INPUT_BYTES, source)) == @PREFIX@_INPUT_BYTES) {
        @NAME@_run();
        if (fwrite(@NAME@_output(), 1, @PREFIX@_OUTPUT_BYTES, stdout) != @PREFIX@_OUTPUT_BYTES) {
            perror("standard output");
            return 1;
        }
    }
    if (ferror(source)) {
        perror(argc == 2 ? argv[1] : "standard input");
        return 1;
    }
    if (got != 0) {
        fprintf(stderr, "the last sample has %lu of %lu bytes\n", (unsigned long)got,
                (unsigned long)@PREFIX@_INPUT_BYTES);
        return 1;
    }
    if (fflush(stdout) != 0) {
        perror("standard output");
        return 1;
    }
    return 0;
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
@MAIN_BYTES@
 */
#include <stdio.h>

#include "@NAME@.h"

@READ_SAMPLE@int main(int argc, char **argv)
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
@RESET@    while ((got = @READ@) == @SAMPLE_BYTES@) {
        @NAME@_run();
        if (@WRITE_FAILED@) {
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
                (unsigned long)@SAMPLE_BYTES@);
        return 1;
    }
    if (fflush(stdout) != 0) {
        perror("standard output");
        return 1;
    }
    return 0;
}

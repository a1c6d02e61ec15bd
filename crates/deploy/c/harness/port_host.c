/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* A machine with an operating system: standard input and output, and the clock of the process. */
#include "port.h"

#include <stdio.h>
#include <time.h>

void port_start_serial(void)
{
}

int port_get(void)
{
    const int byte = getchar();

    return byte == EOF ? -1 : byte;
}

void port_put(char byte)
{
    putchar(byte);
    /* Whoever waits for the end of a line waits no longer than that. */
    if (byte == '\n') {
        fflush(stdout);
    }
}

void port_start_clock(void)
{
}

unsigned long port_microseconds(void)
{
    return (unsigned long)((double)clock() * (1e6 / (double)CLOCKS_PER_SEC));
}

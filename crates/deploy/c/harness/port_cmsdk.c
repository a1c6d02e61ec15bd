/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* QEMU's @MACHINE@: a serial port of Arm's CMSDK, and SysTick. */
#include "port.h"

#include <stdint.h>

/* The serial port. */
#define SERIAL ((volatile uint32_t *)0x@SERIAL_ADDRESS@u)
enum { DATA, STATE, ENABLE, INTERRUPTS, DIVIDER };
enum { SEND_FULL = 1, RECEIVE_FULL = 2 };

/* The clock counts down from the mask to 0. */
#define SYSTICK ((volatile uint32_t *)0xE000E010u)
enum { CONTROL, RELOAD, CURRENT };
#define SYSTICK_MASK 0xFFFFFFu
#define TICKS_PER_MICROSECOND @TICKS_PER_MICROSECOND@u

static volatile uint32_t wraps;

#ifdef __cplusplus
extern "C"
#endif
void systick_handler(void);

void systick_handler(void)
{
    wraps = wraps + 1u;
}

void port_start_serial(void)
{
    /* The fastest, which an emulator ignores. */
    SERIAL[DIVIDER] = 16;
    SERIAL[ENABLE] = SEND_FULL | RECEIVE_FULL;
}

int port_get(void)
{
    while ((SERIAL[STATE] & RECEIVE_FULL) == 0) {
    }
    return (int)(SERIAL[DATA] & 0xFFu);
}

void port_put(char byte)
{
    while ((SERIAL[STATE] & SEND_FULL) != 0) {
    }
    SERIAL[DATA] = (uint8_t)byte;
}

void port_start_clock(void)
{
    SYSTICK[RELOAD] = SYSTICK_MASK;
    SYSTICK[CURRENT] = 0;
    SYSTICK[CONTROL] = 7;
}

unsigned long port_microseconds(void)
{
    uint32_t before, value;
    uint64_t ticks;

    /* The interrupt comes when the clock reaches 0, so that 0 belongs to the next turn. */
    do {
        before = wraps;
        value = SYSTICK[CURRENT];
    } while (before != wraps);
    ticks = ((uint64_t)before << 24) + ((0u - value) & SYSTICK_MASK);
    return (unsigned long)(ticks / TICKS_PER_MICROSECOND);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
#include "counter.h"

static uint64_t last;
static uint64_t overhead;

#ifdef __riscv

/* GCC must be told that there are registers of control and status; clang takes it for granted. */
#ifdef __clang__
#define ZICSR
#else
#define ZICSR ".option arch, +zicsr\n\t"
#endif

static uint64_t now(void)
{
    uint32_t high, low, again;

    do {
        __asm__ volatile(".option push\n\t" ZICSR
                         "csrr %0, minstreth\n\t"
                         "csrr %1, minstret\n\t"
                         "csrr %2, minstreth\n\t"
                         ".option pop"
                         : "=r"(high), "=r"(low), "=r"(again));
    } while (high != again);
    return ((uint64_t)high << 32) | low;
}

static void enable(void)
{
}

#else

#define SYSTICK ((volatile uint32_t *)0xE000E010u)
enum { CONTROL, RELOAD, CURRENT };
#define SYSTICK_MASK 0xFFFFFFu

static volatile uint32_t wraps;

void systick_handler(void);

void systick_handler(void)
{
    wraps++;
}

static uint64_t now(void)
{
    uint32_t before, value;

    /* Counts down; the interrupt comes when it reaches 0, so that 0 belongs to the next turn. */
    do {
        before = wraps;
        value = SYSTICK[CURRENT];
    } while (before != wraps);
    return ((uint64_t)before << 24) + ((0u - value) & SYSTICK_MASK);
}

static void enable(void)
{
    SYSTICK[RELOAD] = SYSTICK_MASK;
    SYSTICK[CURRENT] = 0;
    SYSTICK[CONTROL] = 7;
}

#endif

void counter_start(void)
{
    enable();
    counter_begin();
    bptq_node(0);
    overhead = counter_nodes[0];
    counter_nodes[0] = 0;
}

__attribute__((noinline)) void counter_begin(void)
{
    last = now();
}

__attribute__((noinline)) void bptq_node(int index)
{
    const uint64_t passed = now() - last;

    /* A node that does next to nothing may take no longer than counting does. */
    counter_nodes[index] += passed > overhead ? passed - overhead : 0;
    last = now();
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Start-up code of RISC-V in machine mode: stack, traps, memory, main. */
#include <stdint.h>

#include "semihosting.h"

int main(void);
void reset(void);
void start(void);
void fault(void);

/* Set by the linker script. */
extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[];

/* GCC must be told that there are registers of control and status; clang takes it for granted. */
#ifdef __clang__
#define ZICSR
#else
#define ZICSR ".option arch, +zicsr\n\t"
#endif

__attribute__((section(".start"), naked, used)) void reset(void)
{
    __asm__ volatile(".option push\n\t"
                     ".option norelax\n\t" ZICSR
                     "la gp, __global_pointer$\n\t"
                     "la sp, stack_top\n\t"
                     "la t0, fault\n\t"
                     "csrw mtvec, t0\n\t"
                     "j start\n\t"
                     ".option pop");
}

__attribute__((used)) void start(void)
{
    const uint32_t *source = data_load;

    for (uint32_t *word = data_start; word < data_end; word++) {
        *word = *source++;
    }
    for (uint32_t *word = bss_start; word < bss_end; word++) {
        *word = 0;
    }
    host_exit(main());
}

__attribute__((aligned(4))) void fault(void)
{
    host_print("fault\n");
    host_exit(3);
}

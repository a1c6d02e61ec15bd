/* Start-up code of Arm Cortex-M: vector table, coprocessors, memory, main. */
#include <stdint.h>

#include "semihosting.h"

int main(void);
void reset(void);
void fault(void);
void systick_handler(void) __attribute__((weak, alias("fault")));

/* Set by the linker script. */
extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[], stack_top[];

/* The 15 system exceptions; interrupts of the chip would follow. */
typedef struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vector_table;

__attribute__((section(".start"), used)) const vector_table vectors = {
    stack_top,
    {reset, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
     systick_handler},
};

__attribute__((noinline, noreturn)) static void start(void)
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

void reset(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    /* Before anything else: floating-point and vector instructions trap until this is done, and the
     * compiler may use them for loops over memory. */
    volatile uint32_t *const access = (volatile uint32_t *)0xE000ED88u;
    *access |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" : : : "memory");
#endif
    start();
}

void fault(void)
{
    host_print("fault\n");
    host_exit(3);
}

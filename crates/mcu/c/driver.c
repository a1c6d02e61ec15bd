/*
 * Streams samples through programs. The host's file "inputs" holds, for each program, two 32-bit numbers, of
 * samples and of those between resets, and the samples, of each the bytes of all inputs; "outputs" gets the outputs,
 * back to back; "counts" gets, for each program, the 64-bit ticks of each node over all samples, and the bytes of stack used.
 */
#include "counter.h"
#include "driver.h"
#include "semihosting.h"

#define PATTERN 0x5AC3A53Cu
#define PAINTED_BYTES 16384u

extern uint32_t bss_end[];

uint64_t counter_nodes[DRIVER_NODES];

static uintptr_t painted;

__attribute__((noinline)) static void paint_stack(void)
{
    const uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - 64u) & ~(uintptr_t)3;
    uintptr_t word = end - PAINTED_BYTES;

    if (word < (uintptr_t)bss_end) {
        word = (uintptr_t)bss_end;
    }
    painted = word;
    for (; word < end; word += 4) {
        *(volatile uint32_t *)word = PATTERN;
    }
}

/* Runs the program and returns the bytes of stack that it used. */
__attribute__((noinline)) static uint64_t run(const driver_program *program)
{
    uintptr_t word;

    paint_stack();
    counter_begin();
    program->run();
    for (word = painted; *(volatile uint32_t *)word == PATTERN;) {
        word += 4;
    }
    return (uintptr_t)__builtin_frame_address(0) - word;
}

static int32_t inputs, outputs, counts;

static int stream(const driver_program *program)
{
    uint32_t numbers[2];
    uint32_t left = 0;
    uint64_t stack = 0;

    if (!host_read(inputs, numbers, sizeof numbers)) {
        return 0;
    }
    for (uint32_t node = 0; node < program->nodes; node++) {
        counter_nodes[node] = 0;
    }
    for (uint32_t sample = 0; sample < numbers[0]; sample++) {
        if (left == 0) {
            left = numbers[1];
            if (program->reset != NULL) {
                program->reset();
            }
        }
        left--;
        if (!program->read(inputs)) {
            return 0;
        }
        const uint64_t used = run(program);
        stack = used > stack ? used : stack;
        if (!program->write(outputs)) {
            return 0;
        }
    }
    return host_write(counts, counter_nodes, program->nodes * (uint32_t)sizeof counter_nodes[0]) &&
           host_write(counts, &stack, sizeof stack);
}

int main(void)
{
    inputs = host_open("inputs", HOST_READ);
    outputs = host_open("outputs", HOST_WRITE);
    counts = host_open("counts", HOST_WRITE);
    if (inputs < 0 || outputs < 0 || counts < 0) {
        return 1;
    }
    counter_start();
    for (uint32_t program = 0; program < driver_program_count; program++) {
        if (!stream(&driver_programs[program])) {
            return 2;
        }
    }
    return 0;
}

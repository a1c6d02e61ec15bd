/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Runs the network on embedded samples and compares every output byte with the expected one. */
#include "@NAME@.h"
#include "self_test.h"
#include "semihosting.h"

#ifdef BPTQ_COUNT
#include <string.h>

#include "counter.h"
#include "layers.h"
#include "samples.h"

uint64_t counter_nodes[LAYERS];

/* Right-aligned in `width` columns. */
static void print_aligned(uint32_t number, int width)
{
    for (uint32_t rest = number / 10u; rest != 0; rest /= 10u) {
        width--;
    }
    while (--width > 0) {
        host_print(" ");
    }
    host_print_number(number);
}

static void print_row(uint64_t instructions, uint64_t all, uint32_t macs, const char *name)
{
    const uint32_t thousandths = all == 0 ? 0 : (uint32_t)((instructions * 1000u + all / 2u) / all);

    print_aligned((uint32_t)instructions, 12);
    print_aligned(thousandths / 10u, 6);
    host_print(".");
    host_print_number(thousandths % 10u);
    print_aligned(macs, 12);
    host_print("  ");
    host_print(name);
    host_print("\n");
}

/* Counts what the samples cost, from the inputs that are there to the outputs that are there. */
static void count(void)
{
    memset(counter_nodes, 0, sizeof counter_nodes);
@RESET@    counter_start();
    for (int sample = 0; sample < SAMPLES; sample++) {
@FILLED@        counter_begin();
        @NAME@_run();
    }
}

/* Prints what one inference costs, by layer. On QEMU these are instructions; on a board, where one
 * tick is one cycle, the factor is 1. */
static void print_counts(void)
{
    uint64_t all = 0;
    uint32_t macs = 0;

    for (int layer = 0; layer < LAYERS; layer++) {
        counter_nodes[layer] = counter_nodes[layer] * @TICK_FACTOR@ / @TICK_DIVISOR@ / SAMPLES;
        all += counter_nodes[layer];
        macs += layers[layer].macs;
    }
    host_print("instructions share %        MACs  layer\n");
    for (int layer = 0; layer < LAYERS; layer++) {
        print_row(counter_nodes[layer], all, layers[layer].macs, layers[layer].name);
    }
    print_row(all, all, macs, "all layers");
}
#endif

int main(void)
{
    const @NAME@_self_test_result result = @NAME@_self_test();

    host_print("self-test: ");
    host_print_number(result.samples);
    host_print(" samples, ");
    host_print_number(result.differing);
    host_print(" differing bytes\n");
    if (result.sample < result.samples) {
        host_print("first wrong: sample ");
        host_print_number(result.sample);
        if (result.node >= 0) {
            host_print(", operation ");
            host_print_number((uint32_t)result.node);
            host_print(", ");
            host_print(result.name);
        }
        host_print("\n");
    }
#ifdef BPTQ_COUNT
    count();
    print_counts();
#endif
    return result.sample == result.samples ? 0 : 1;
}

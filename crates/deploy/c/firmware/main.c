/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Runs the network on embedded samples and compares every output byte with the expected one. */
#include "counter.h"
#include "layers.h"
#include "samples.h"
#include "semihosting.h"

#ifdef BPTQ_COUNT
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

@COMPARE_FUNCTION@int main(void)
{
@OUTPUT_BUFFERS@    uint32_t differing = 0;

#ifdef BPTQ_COUNT
    counter_start();
#endif
    for (int sample = 0; sample < SAMPLES; sample++) {
#ifdef BPTQ_COUNT
        counter_begin();
#endif
@COMPARED@    }
    host_print("self-test: ");
    host_print_number(SAMPLES);
    host_print(" samples, ");
    host_print_number(differing);
    host_print(" differing bytes\n");
#ifdef BPTQ_COUNT
    print_counts();
#endif
    return differing == 0 ? 0 : 1;
}

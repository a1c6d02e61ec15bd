/* Runs the network on embedded samples and compares every output byte with the expected one. */
#include "counter.h"
#include "samples.h"
#include "semihosting.h"

#define NODES @NODES@

#ifdef BPTQ_COUNT
uint64_t counter_nodes[NODES];

/* Prints what one inference costs, by node. On QEMU these are instructions; on a board, where one
 * tick is one cycle, the factor is 1. */
static void print_counts(void)
{
    for (uint32_t node = 0; node < NODES; node++) {
        host_print("node ");
        host_print_number(node);
        host_print(": ");
        host_print_number((uint32_t)(counter_nodes[node] * @TICK_FACTOR@ / @TICK_DIVISOR@ / SAMPLES));
        host_print(" instructions\n");
    }
}
#endif

int main(void)
{
    static @OUTPUT_TYPE@ output[@OUTPUT_LENGTH@];
    uint32_t differing = 0;

#ifdef BPTQ_COUNT
    counter_start();
#endif
    for (int sample = 0; sample < SAMPLES; sample++) {
#ifdef BPTQ_COUNT
        counter_begin();
#endif
        @NAME@_infer(inputs[sample], output);
        const unsigned char *actual = (const unsigned char *)output;
        const unsigned char *wanted = (const unsigned char *)expected[sample];
        for (uint32_t i = 0; i < @PREFIX@_OUTPUT_BYTES; i++) {
            differing += actual[i] != wanted[i];
        }
    }
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

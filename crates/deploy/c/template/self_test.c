/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Runs the network on embedded samples and compares every output byte with the expected one. */
#include "self_test.h"
#include "samples.h"

/* What each operation gave of the sample that runs; the name is NULL where it was not seen. */
static struct {
    const char *name;
    uint32_t checksum;
} seen[CHECKSUMS];

void @NAME@_self_test_node(int index, const char *name, const void *output, size_t bytes)
{
    const unsigned char *byte = (const unsigned char *)output;
    uint32_t checksum = seen[index].checksum;

    for (size_t i = 0; i < bytes; i++) {
        checksum = (checksum ^ byte[i]) * 16777619u;
    }
    seen[index].name = name;
    seen[index].checksum = checksum;
}

/* How many of the bytes differ. */
static uint32_t differing_bytes(const void *found, const void *wanted, size_t bytes)
{
    const unsigned char *a = (const unsigned char *)found;
    const unsigned char *b = (const unsigned char *)wanted;
    uint32_t differing = 0;

    for (size_t i = 0; i < bytes; i++) {
        differing += a[i] != b[i];
    }
    return differing;
}

@NAME@_self_test_result @NAME@_self_test(void)
{
@OUTPUT_BUFFERS@    @NAME@_self_test_result result = {SAMPLES, 0, SAMPLES, -1, NULL};

@RESET@    for (uint32_t sample = 0; sample < SAMPLES; sample++) {
        const uint32_t before = result.differing;

        for (int node = 0; node < CHECKSUMS; node++) {
            seen[node].name = NULL;
            seen[node].checksum = 2166136261u;
        }
@COMPARED@        if (result.sample < SAMPLES) {
            continue;
        }
        for (int node = 0; node < CHECKSUMS && result.node < 0; node++) {
            if (seen[node].name != NULL && seen[node].checksum != checksums[sample][node]) {
                result.node = node;
                result.name = seen[node].name;
            }
        }
        if (result.node >= 0 || result.differing != before) {
            result.sample = sample;
        }
    }
    return result;
}

#ifdef @PREFIX@_SELF_TEST_MAIN
#include <stdio.h>

int main(void)
{
    const @NAME@_self_test_result result = @NAME@_self_test();

    printf("self-test: %lu samples, %lu differing bytes\n", (unsigned long)result.samples,
           (unsigned long)result.differing);
    if (result.sample == result.samples) {
        return 0;
    }
    printf("first wrong: sample %lu", (unsigned long)result.sample);
    if (result.node >= 0) {
        printf(", operation %ld, %s", (long)result.node, result.name);
    }
    printf("\n");
    return 1;
}
#endif

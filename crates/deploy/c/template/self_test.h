/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * The self-test of @NAME@, for a board too: runs the network on the samples of samples.h in the static
 * arena. Where @NAME@.c is compiled with -D@PREFIX@_NODE_HOOK=@NAME@_self_test_node, it
 * also names the operation that goes wrong. A firmware without it leaves self_test.c out.
 */
#ifndef @PREFIX@_SELF_TEST_H
#define @PREFIX@_SELF_TEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    /* Samples that ran. */
    uint32_t samples;
    /* Bytes of outputs that are not the expected ones, over all samples: 0 if all is well. */
    uint32_t differing;
    /* The first sample that went wrong; `samples` if none did. */
    uint32_t sample;
    /* The first operation in it that gave something else; -1 and NULL if none did or none was seen. */
    int32_t node;
    const char *name;
} @NAME@_self_test_result;

@NAME@_self_test_result @NAME@_self_test(void);

/* What the network calls after each operation, for @PREFIX@_NODE_HOOK. */
void @NAME@_self_test_node(int index, const char *name, const void *output, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* @PREFIX@_SELF_TEST_H */

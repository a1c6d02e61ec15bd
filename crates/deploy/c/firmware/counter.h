/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Counts what each node costs, in ticks of a counter that runs with the processor: SysTick on Arm,
 * the instruction counter on RISC-V.
 */
#ifndef COUNTER_H
#define COUNTER_H

#include <stdint.h>

/* Ticks of each node since the start; the program provides it, as long as its network has nodes. */
extern uint64_t counter_nodes[];

/* Starts the counter and measures what counting itself costs, which is left out of the counts. */
void counter_start(void);

/* Call it right before the network runs. */
void counter_begin(void);

/* The network calls it after each node. */
void bptq_node(int index);

#endif /* COUNTER_H */

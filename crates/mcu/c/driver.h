/* Every program of a firmware. */
#ifndef DRIVER_H
#define DRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    /* Fill all inputs from a file and write all outputs to one; whether all bytes were moved. */
    int (*read)(int32_t file);
    int (*write)(int32_t file);
    void (*run)(void);
    /* Begins a sequence; NULL where every sample stands for itself. */
    void (*reset)(void);
    uint32_t nodes;
} driver_program;

extern const driver_program driver_programs[];
extern const uint32_t driver_program_count;

#endif /* DRIVER_H */

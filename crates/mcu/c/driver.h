/* Every program of a firmware. */
#ifndef DRIVER_H
#define DRIVER_H

#include <stdint.h>

typedef struct {
    void *(*input)(void);
    const void *(*output)(void);
    void (*run)(void);
    uint32_t input_bytes;
    uint32_t output_bytes;
    uint32_t nodes;
} driver_program;

extern const driver_program driver_programs[];
extern const uint32_t driver_program_count;

#endif /* DRIVER_H */

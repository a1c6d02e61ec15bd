/* Which taps of a window lie within the input. */
#ifndef BPTQ_WINDOW_H
#define BPTQ_WINDOW_H

#include "bptq.h"

/* Taps first..end of a kernel, in one axis, that read an element of the input. */
typedef struct {
    int32_t first;
    int32_t end;
} bptq_taps;

/* `origin` is the input coordinate of tap 0, possibly in the padding. */
static inline bptq_taps bptq_inner_taps(int32_t origin, int32_t dilation, int32_t kernel,
                                        int32_t extent)
{
    bptq_taps taps = {0, kernel};
    while (taps.first < taps.end && origin + taps.first * dilation < 0) {
        taps.first++;
    }
    while (taps.end > taps.first && origin + (taps.end - 1) * dilation >= extent) {
        taps.end--;
    }
    return taps;
}

#endif /* BPTQ_WINDOW_H */

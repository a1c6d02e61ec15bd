/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Inputs of a tile of a convolution, as pairs of 16-bit elements. */
#include "bptq_tile_gather.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Inputs may begin anywhere: they are loaded word by word, which may be unaligned. */
BPTQ_NAKED bptq_pair *bptq_tile_gather_4(BPTQ_UNUSED const int8_t *const *windows,
                                         BPTQ_UNUSED bptq_pair *x, BPTQ_UNUSED int32_t rows,
                                         BPTQ_UNUSED const int32_t *full_and_gap)
{
    __asm__ volatile("push {r2, r4-r11, lr}\n"
                     "ldrd r2, r3, [r3]\n"
                     "push {r2, r3}\n"
                     "mov r12, r1\n"
                     "ldmia r0, {r0, r1, r2, r3}\n"
                     "1: ldr lr, [sp]\n"
                     "add lr, r0, lr\n"
                     "2: ldr r4, [r0], #4\n"
                     "ldr r5, [r1], #4\n"
                     "ldr r6, [r2], #4\n"
                     "ldr r7, [r3], #4\n"
                     "cmp r0, lr\n"
                     "sxtb16 r8, r4\n"
                     "sxtb16 r9, r5\n"
                     "sxtb16 r10, r6\n"
                     "sxtb16 r11, r7\n"
                     "sxtb16 r4, r4, ror #8\n"
                     "sxtb16 r5, r5, ror #8\n"
                     "sxtb16 r6, r6, ror #8\n"
                     "sxtb16 r7, r7, ror #8\n"
                     "stmia r12!, {r8-r11}\n"
                     "stmia r12!, {r4-r7}\n"
                     "bne 2b\n"
                     "ldrd r4, r5, [sp, #4]\n"
                     "subs r5, r5, #1\n"
                     "str r5, [sp, #8]\n"
                     "add r0, r0, r4\n"
                     "add r1, r1, r4\n"
                     "add r2, r2, r4\n"
                     "add r3, r3, r4\n"
                     "bne 1b\n"
                     "mov r0, r12\n"
                     "add sp, #12\n"
                     "pop {r4-r11, pc}\n");
}

BPTQ_NAKED void bptq_tile_gather_pixels(BPTQ_UNUSED const int8_t *pixels,
                                        BPTQ_UNUSED int32_t count, BPTQ_UNUSED bptq_pair *x)
{
    __asm__ volatile("push {r4-r8, lr}\n"
                     "add r3, r0, r1\n"
                     "add r12, r0, r1, lsl #1\n"
                     "1: ldr r5, [r0, r1]\n"
                     "ldr r4, [r0], #4\n"
                     "ldr r7, [r12, r1]\n"
                     "ldr r6, [r12], #4\n"
                     "cmp r0, r3\n"
                     "sxtb16 r8, r4\n"
                     "sxtb16 lr, r5\n"
                     "strd r8, lr, [r2], #8\n"
                     "sxtb16 r8, r6\n"
                     "sxtb16 lr, r7\n"
                     "strd r8, lr, [r2], #8\n"
                     "sxtb16 r4, r4, ror #8\n"
                     "sxtb16 r5, r5, ror #8\n"
                     "sxtb16 r6, r6, ror #8\n"
                     "sxtb16 r7, r7, ror #8\n"
                     "stmia r2!, {r4-r7}\n"
                     "bne 1b\n"
                     "pop {r4-r8, pc}\n");
}

BPTQ_NAKED void bptq_tile_sums_4(BPTQ_UNUSED bptq_pair *x, BPTQ_UNUSED bptq_pair *end)
{
    __asm__ volatile("push {r4-r10, lr}\n"
                     "mov r2, #0x00010001\n"
                     "movs r3, #0\n"
                     "movs r4, #0\n"
                     "movs r5, #0\n"
                     "movs r6, #0\n"
                     "1: ldmia r0!, {r7-r10}\n"
                     "cmp r0, r1\n"
                     "smlad r3, r7, r2, r3\n"
                     "smlad r4, r8, r2, r4\n"
                     "smlad r5, r9, r2, r5\n"
                     "smlad r6, r10, r2, r6\n"
                     "bne 1b\n"
                     "rsb r3, r3, #0\n"
                     "rsb r4, r4, #0\n"
                     "rsb r5, r5, #0\n"
                     "rsb r6, r6, #0\n"
                     "lsl r3, r3, #4\n"
                     "lsl r4, r4, #4\n"
                     "lsl r5, r5, #4\n"
                     "lsl r6, r6, #4\n"
                     "stmia r1!, {r3-r6}\n"
                     "pop {r4-r10, pc}\n");
}

#else

void bptq_tile_sums_4(bptq_pair *x, bptq_pair *end)
{
    for (int32_t i = 0; i < 4; i++) {
        int32_t sum = 0;
        for (const bptq_pair *at = x + i; at < end; at += 4) {
            sum = bptq_smlad(*at, 0x00010001U, sum);
        }
        end[i] = 0U - ((uint32_t)sum << 4);
    }
}

bptq_pair *bptq_tile_gather_4(const int8_t *const *windows, bptq_pair *x, int32_t rows,
                              const int32_t *full_and_gap)
{
    const int32_t pitch = full_and_gap[0] + full_and_gap[1];
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t i = 0; i < full_and_gap[0]; i += 4) {
            for (int32_t pixel = 0; pixel < 4; pixel++) {
                const uint32_t word = bptq_load(windows[pixel] + row * pitch + i);
                x[pixel] = bptq_even_bytes(word);
                x[pixel + 4] = bptq_odd_bytes(word);
            }
            x += 8;
        }
    }
    return x;
}

void bptq_tile_gather_pixels(const int8_t *pixels, int32_t count, bptq_pair *x)
{
    const int8_t *const windows[4] = {pixels, pixels + count, pixels + 2 * count,
                                      pixels + 3 * count};
    const int32_t full_and_gap[2] = {count, 0};
    (void)bptq_tile_gather_4(windows, x, 1, full_and_gap);
}

#endif

void bptq_tile_gather_1(const int8_t *from, const bptq_tile_window *window, bptq_pair *x,
                        int32_t pixels)
{
    const int8_t *at = from;
    for (int32_t row = 0; row < window->rows; row++) {
        const int8_t *end = at + window->full;
        for (; at != end; at += 4) {
            const uint32_t word = bptq_load(at);
            x[0] = bptq_even_bytes(word);
            x[pixels] = bptq_odd_bytes(word);
            x += 2 * pixels;
        }
        at += window->pitch - window->full;
    }
    if (window->rest == 0) {
        return;
    }
    /* What is left of all rows in turn. */
    int32_t left = 0;
    uint32_t low = 0;
    at = from + window->full;
    for (int32_t row = 0; row < window->rows; row++) {
        for (int32_t i = 0; i < window->rest; i++) {
            const uint32_t element = (uint32_t)(int32_t)at[i];
            if ((left & 1) != 0) {
                *x = bptq_low_halves(low, element);
                x += pixels;
            }
            low = element;
            left++;
        }
        at += window->pitch;
    }
    for (; (left & 3) != 0; left++) {
        if ((left & 1) != 0) {
            *x = bptq_low_halves(low, 0);
            x += pixels;
        }
        low = 0;
    }
}

void bptq_tile_sums_2(bptq_pair *x, bptq_pair *end)
{
    int32_t first = 0;
    int32_t second = 0;
    for (; x != end; x += 2) {
        first = bptq_smlad(x[0], 0x00010001U, first);
        second = bptq_smlad(x[1], 0x00010001U, second);
    }
    end[0] = 0U - ((uint32_t)first << 4);
    end[1] = 0U - ((uint32_t)second << 4);
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/* Average and maximum pooling. */
#include "bptq_math.h"
#include "bptq_window.h"

/* The input elements that the window at one output pixel covers. */
typedef struct {
    int32_t top, bottom, left, right;
    int32_t row_step, column_step;
} area;

static area covered(const bptq_window *window, int32_t y, int32_t x)
{
    const int32_t top = y * window->stride_height - window->pad_height;
    const int32_t left = x * window->stride_width - window->pad_width;
    const bptq_taps rows = bptq_inner_taps(top, window->dilation_height, window->kernel_height,
                                           window->input_height);
    const bptq_taps columns = bptq_inner_taps(left, window->dilation_width, window->kernel_width,
                                              window->input_width);
    const area result = {top + rows.first * window->dilation_height,
                         top + rows.end * window->dilation_height,
                         left + columns.first * window->dilation_width,
                         left + columns.end * window->dilation_width,
                         window->dilation_height, window->dilation_width};
    return result;
}

/* sum / count, rounded half away from zero. */
static inline int32_t rounded_mean(int32_t sum, int32_t count)
{
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

static inline int8_t mean(const bptq_pool *op, int32_t sum, int32_t count)
{
    return (int8_t)bptq_clamped(rounded_mean(sum, count), op->clamp);
}

/* The means of four channels, whose elements begin at `input`. Sums with names stay in registers. */
static void four_means(const bptq_pool *op, area a, const int8_t *input, int8_t *output)
{
    const int32_t step = a.column_step * op->channels;
    int32_t first = 0;
    int32_t second = 0;
    int32_t third = 0;
    int32_t fourth = 0;
    int32_t count = 0;
    for (int32_t row = a.top; row < a.bottom; row += a.row_step) {
        const int8_t *at = input + (row * op->window.input_width + a.left) * op->channels;
        for (int32_t column = a.left; column < a.right; column += a.column_step) {
            first += at[0];
            second += at[1];
            third += at[2];
            fourth += at[3];
            at += step;
            count++;
        }
    }
    output[0] = mean(op, first, count);
    output[1] = mean(op, second, count);
    output[2] = mean(op, third, count);
    output[3] = mean(op, fourth, count);
}

static void one_mean(const bptq_pool *op, area a, const int8_t *input, int8_t *output)
{
    const int32_t step = a.column_step * op->channels;
    int32_t sum = 0;
    int32_t count = 0;
    for (int32_t row = a.top; row < a.bottom; row += a.row_step) {
        const int8_t *at = input + (row * op->window.input_width + a.left) * op->channels;
        for (int32_t column = a.left; column < a.right; column += a.column_step) {
            sum += *at;
            at += step;
            count++;
        }
    }
    *output = mean(op, sum, count);
}

void bptq_average_pool_s8(const bptq_pool *op, const int8_t *input, int8_t *output)
{
    for (int32_t y = 0; y < op->window.output_height; y++) {
        for (int32_t x = 0; x < op->window.output_width; x++) {
            const area a = covered(&op->window, y, x);
            int32_t channel = 0;
            for (; channel + 4 <= op->channels; channel += 4) {
                four_means(op, a, input + channel, output + channel);
            }
            for (; channel < op->channels; channel++) {
                one_mean(op, a, input + channel, output + channel);
            }
            output += op->channels;
        }
    }
}

void bptq_max_pool_s8(const bptq_pool *op, const int8_t *input, int8_t *output)
{
    const int32_t width = op->window.input_width;
    for (int32_t y = 0; y < op->window.output_height; y++) {
        for (int32_t x = 0; x < op->window.output_width; x++) {
            const area a = covered(&op->window, y, x);
            for (int32_t channel = 0; channel < op->channels; channel++) {
                int32_t largest = INT16_MIN;
                for (int32_t row = a.top; row < a.bottom; row += a.row_step) {
                    for (int32_t column = a.left; column < a.right; column += a.column_step) {
                        const int32_t value =
                            input[(row * width + column) * op->channels + channel];
                        largest = value > largest ? value : largest;
                    }
                }
                *output++ = (int8_t)bptq_clamped(largest, op->clamp);
            }
        }
    }
}

void bptq_average_pool_s16(const bptq_pool *op, const int16_t *input, int16_t *output)
{
    const int32_t width = op->window.input_width;
    for (int32_t y = 0; y < op->window.output_height; y++) {
        for (int32_t x = 0; x < op->window.output_width; x++) {
            const area a = covered(&op->window, y, x);
            for (int32_t channel = 0; channel < op->channels; channel++) {
                int32_t sum = 0;
                int32_t count = 0;
                for (int32_t row = a.top; row < a.bottom; row += a.row_step) {
                    for (int32_t column = a.left; column < a.right; column += a.column_step) {
                        sum += input[(row * width + column) * op->channels + channel];
                        count++;
                    }
                }
                *output++ = (int16_t)bptq_clamped(rounded_mean(sum, count), op->clamp);
            }
        }
    }
}

void bptq_max_pool_s16(const bptq_pool *op, const int16_t *input, int16_t *output)
{
    const int32_t width = op->window.input_width;
    for (int32_t y = 0; y < op->window.output_height; y++) {
        for (int32_t x = 0; x < op->window.output_width; x++) {
            const area a = covered(&op->window, y, x);
            for (int32_t channel = 0; channel < op->channels; channel++) {
                int32_t largest = INT16_MIN;
                for (int32_t row = a.top; row < a.bottom; row += a.row_step) {
                    for (int32_t column = a.left; column < a.right; column += a.column_step) {
                        const int32_t value =
                            input[(row * width + column) * op->channels + channel];
                        largest = value > largest ? value : largest;
                    }
                }
                *output++ = (int16_t)bptq_clamped(largest, op->clamp);
            }
        }
    }
}

/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * The functions that MLPerf Tiny asks a submitter for, over @TITLE@.
 *
 * With the benchmark's own sources instead of commands.c and main.c, compile this file as C++, as they
 * are, with BPTQ_MLPERF_TINY_API defined and their folder `benchmark` on the path of headers.
 */
#ifndef TH_MODEL_VERSION
#define TH_MODEL_VERSION "@MODEL@"
#endif

#ifdef BPTQ_MLPERF_TINY_API
#include "api/internally_implemented.h"
#include "api/submitter_implemented.h"
#else
#include "harness.h"
#endif

#include <stdarg.h>
#include <string.h>

#include "@NAME@.h"
#include "@NAME@_io.h"
#include "port.h"

#define SAMPLE_BYTES @SAMPLE_BYTES@u

/* What the network reads, which running it must not change, and what it wrote. */
static @INPUT_TYPE@ tensor[@PREFIX@_RAW_LENGTH];
static @OUTPUT_TYPE@ output[@PREFIX@_OUTPUT_LENGTH];
static float values[@PREFIX@_OUTPUT_LENGTH];
static int is_loaded, has_run;

@QUANTIZER@
#ifdef BPTQ_MLPERF_TINY_API
static size_t received_bytes(void)
{
    return ee_get_buffer(NULL, SAMPLE_BYTES);
}

static const uint8_t *sample_bytes(void)
{
    return ee_get_buffer_pointer();
}
#else
int harness_is_loaded(void)
{
    return is_loaded;
}

static size_t received_bytes(void)
{
    return harness_received();
}

static const uint8_t *sample_bytes(void)
{
    return harness_sample();
}
#endif

void th_load_tensor(void)
{
    const size_t found = received_bytes();

    is_loaded = found == SAMPLE_BYTES;
    has_run = 0;
    if (!is_loaded) {
        th_printf("e-[A sample has %lu bytes, found %lu]\r\n", (unsigned long)SAMPLE_BYTES,
                  (unsigned long)found);
        return;
    }
    load(sample_bytes());
}

void th_infer(void)
{
    if (is_loaded) {
        @NAME@_infer(tensor, output);
        has_run = 1;
    }
}

/* Prints a value with three decimals, the even one if two are as near, as printf does. */
static void print_value(float value)
{
    /* Exact: 24 bits times 10. */
    const double thousandths = (double)(value < 0.0f ? -value : value) * 1000.0;
    const double most = 4000000000000.0;
    const uint64_t whole = (uint64_t)(thousandths < most ? thousandths : most);
    const double rest = (thousandths < most ? thousandths : most) - (double)whole;
    const uint64_t rounded = whole + (rest > 0.5 || (rest == 0.5 && whole % 2u == 1u) ? 1u : 0u);
    const unsigned long fraction = (unsigned long)(rounded % 1000u);

    th_printf("%s%lu.%c%c%c", value < 0.0f ? "-" : "", (unsigned long)(rounded / 1000u),
              (int)('0' + fraction / 100u), (int)('0' + fraction / 10u % 10u),
              (int)('0' + fraction % 10u));
}

void th_results(void)
{
    if (!has_run) {
        th_printf("e-[No inference of this sample has run]\r\n");
        return;
    }
    @NAME@_dequantize_output(output, values);
    th_printf("m-results-[");
@RESULTS@    th_printf("]\r\n");
}

void th_timestamp(void)
{
    th_printf("m-lap-us-%lu\r\n", port_microseconds());
}

void th_timestamp_initialize(void)
{
    port_start_clock();
    th_printf("m-timestamp-mode-performance\r\n");
    th_timestamp();
}

void th_serialport_initialize(void)
{
    port_start_serial();
}

void th_final_initialize(void)
{
}

void th_pre(void)
{
}

void th_post(void)
{
}

char th_getchar(void)
{
    return (char)port_get();
}

void th_command_ready(char volatile *command)
{
#ifdef BPTQ_MLPERF_TINY_API
    ee_serial_command_parser_callback((char *)command);
#else
    (void)command;
#endif
}

void th_printf(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    th_vprintf(format, arguments);
    va_end(arguments);
}

static int print_text(const char *text)
{
    int length = 0;

    for (; text[length] != '\0'; length++) {
        port_put(text[length]);
    }
    return length;
}

/* A number in the base, in at least so many digits. */
static int print_number(unsigned long number, unsigned base, int digits)
{
    char text[24];
    char *place = text + sizeof text - 1;

    *place = '\0';
    do {
        *--place = "0123456789abcdef"[number % base];
        number /= base;
        digits--;
    } while (number != 0 || (digits > 0 && place > text));
    return print_text(place);
}

/* Knows %d, %u and %x with l, z and a width in zeros, %s, %c and %%. */
int th_vprintf(const char *format, va_list arguments)
{
    int length = 0;

    for (; *format != '\0'; format++) {
        int digits = 0, is_long = 0;

        if (*format != '%') {
            port_put(*format);
            length++;
            continue;
        }
        for (format++; *format >= '0' && *format <= '9'; format++) {
            digits = digits * 10 + (*format - '0');
        }
        for (; *format == 'l' || *format == 'z'; format++) {
            is_long = *format == 'l' ? 1 : 2;
        }
        if (*format == 's') {
            length += print_text(va_arg(arguments, const char *));
        } else if (*format == 'c') {
            port_put((char)va_arg(arguments, int));
            length++;
        } else if (*format == 'd' || *format == 'i') {
            const long number = is_long == 0 ? (long)va_arg(arguments, int) : va_arg(arguments, long);

            length += number < 0 ? print_text("-") : 0;
            length += print_number(number < 0 ? 0ul - (unsigned long)number : (unsigned long)number, 10u,
                                   digits);
        } else if (*format == 'u' || *format == 'x') {
            const unsigned long number = is_long == 0   ? va_arg(arguments, unsigned)
                                         : is_long == 1 ? va_arg(arguments, unsigned long)
                                                        : (unsigned long)va_arg(arguments, size_t);

            length += print_number(number, *format == 'x' ? 16u : 10u, digits);
        } else if (*format == '\0') {
            break;
        } else {
            port_put(*format);
            length++;
        }
    }
    return length;
}

#ifdef BPTQ_MLPERF_TINY_API
int th_strncmp(const char *a, const char *b, size_t most)
{
    return strncmp(a, b, most);
}

char *th_strncpy(char *to, const char *from, size_t most)
{
    return strncpy(to, from, most);
}

size_t th_strnlen(const char *text, size_t most)
{
    size_t length = 0;

    while (length < most && text[length] != '\0') {
        length++;
    }
    return length;
}

char *th_strcat(char *to, const char *from)
{
    return strcat(to, from);
}

char *th_strtok(char *text, const char *separators)
{
    return strtok(text, separators);
}

int th_atoi(const char *text)
{
    return atoi(text);
}

void *th_memset(void *bytes, int value, size_t count)
{
    return memset(bytes, value, count);
}

void *th_memcpy(void *to, const void *from, size_t count)
{
    return memcpy(to, from, count);
}
#endif

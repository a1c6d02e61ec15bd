/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copyright (c) 2026 The burn-ptq authors */
/*
 * Reads commands, each ended by '%', and answers them. What is wrong is answered by a line e-[..] and
 * changes nothing.
 */
#include "harness.h"

#include <string.h>

#include "port.h"

/* Names of the benchmark and the answers to `name`. */
#ifndef TH_MODEL_VERSION
#define TH_MODEL_VERSION "@MODEL@"
#endif
#ifndef TH_VENDOR_NAME_STRING
#define TH_VENDOR_NAME_STRING "unspecified"
#endif

#define MOST_CHARACTERS 80u
#define BYTES_PER_LINE 8u

static uint8_t sample[HARNESS_SAMPLE_BYTES];
/* Bytes of the sample that were announced, and that came. */
static size_t expected, received;

size_t harness_received(void)
{
    return received;
}

const uint8_t *harness_sample(void)
{
    return sample;
}

/* The next word of a command, which it ends by a zero; NULL if there is none. */
static char *next_word(char **rest)
{
    char *start = *rest;
    char *end;

    while (*start == ' ') {
        start++;
    }
    for (end = start; *end != ' ' && *end != '\0'; end++) {
    }
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return end == start ? NULL : start;
}

/* Reads a decimal number below 1000000000; returns 0 if the word is none. */
static int number(const char *word, size_t *value)
{
    size_t digits = 0;

    *value = 0;
    for (; word[digits] != '\0'; digits++) {
        if (word[digits] < '0' || word[digits] > '9' || digits >= 9u) {
            return 0;
        }
        *value = *value * 10u + (size_t)(word[digits] - '0');
    }
    return digits > 0;
}

/* The value of a hexadecimal digit; negative if it is none. */
static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void begin_sample(char *rest)
{
    const char *word = next_word(&rest);
    size_t bytes;

    if (word == NULL) {
        th_printf("e-['db load' needs the number of bytes]\r\n");
    } else if (!number(word, &bytes) || bytes == 0 || bytes > HARNESS_SAMPLE_BYTES) {
        th_printf("e-['db load' takes 1 to %lu bytes, found %s]\r\n",
                  (unsigned long)HARNESS_SAMPLE_BYTES, word);
    } else {
        expected = bytes;
        received = 0;
        th_printf("m-[Expecting %lu bytes]\r\n", (unsigned long)bytes);
    }
}

static void take_bytes(const char *digits)
{
    const size_t length = strlen(digits);

    for (size_t i = 0; i < length; i++) {
        if (digit(digits[i]) < 0) {
            th_printf("e-[Not a hexadecimal digit: %c]\r\n", digits[i]);
            return;
        }
    }
    if (length % 2u != 0) {
        th_printf("e-[A byte has two hexadecimal digits, found %lu digits]\r\n", (unsigned long)length);
    } else if (received == expected) {
        th_printf("e-[No bytes are expected: begin with 'db load N']\r\n");
    } else if (length / 2u > expected - received) {
        th_printf("e-[%lu bytes are too many: %lu are missing]\r\n", (unsigned long)(length / 2u),
                  (unsigned long)(expected - received));
    } else {
        for (size_t i = 0; i < length; i += 2u) {
            sample[received++] = (uint8_t)(digit(digits[i]) * 16 + digit(digits[i + 1u]));
        }
        if (received == expected) {
            th_printf("m-load-done\r\n");
        }
    }
}

static void print_bytes(void)
{
    for (size_t i = 0; i < received; i++) {
        const int is_last = i + 1u == received || (i + 1u) % BYTES_PER_LINE == 0;

        th_printf("%s%02x%s", i % BYTES_PER_LINE == 0 ? "m-buffer-" : "-", (unsigned)sample[i],
                  is_last ? "\r\n" : "");
    }
}

static void buffer(char *rest)
{
    const char *word = next_word(&rest);

    if (word == NULL) {
        th_printf("e-['db' needs load, print or hexadecimal digits]\r\n");
    } else if (strcmp(word, "load") == 0) {
        begin_sample(rest);
    } else if (strcmp(word, "print") == 0) {
        print_bytes();
    } else {
        take_bytes(word);
    }
}

static void infer(char *rest)
{
    const char *words[2];
    size_t counts[2] = {1, 10};

    for (int i = 0; i < 2; i++) {
        words[i] = next_word(&rest);
        if (words[i] != NULL && (!number(words[i], &counts[i]) || (i == 0 && counts[i] == 0))) {
            th_printf("e-['infer' takes a number of inferences above 0 and one of warm-ups, found %s]\r\n",
                      words[i]);
            return;
        }
    }
    th_load_tensor();
    if (!harness_is_loaded()) {
        return;
    }
    th_printf("m-warmup-start-%lu\r\n", (unsigned long)counts[1]);
    for (size_t i = 0; i < counts[1]; i++) {
        th_infer();
    }
    th_printf("m-warmup-done\r\n");
    th_printf("m-infer-start-%lu\r\n", (unsigned long)counts[0]);
    th_timestamp();
    th_pre();
    for (size_t i = 0; i < counts[0]; i++) {
        th_infer();
    }
    th_post();
    th_timestamp();
    th_printf("m-infer-done\r\n");
    th_results();
}

static void help(void)
{
    th_printf("name           the name of the device\r\n"
              "profile        the version of the protocol and the model\r\n"
              "timestamp      microseconds since the start\r\n"
              "db load N      announces a sample of N bytes\r\n"
              "db HEX         bytes of the sample, two digits each\r\n"
              "db print       prints the bytes that came\r\n"
              "infer [N [W]]  N inferences of the sample after W ones that are not timed\r\n"
              "results        the outputs of the last inference\r\n");
}

static void answer(char *command)
{
    char *rest = command;
    const char *word = next_word(&rest);

    if (word == NULL) {
        th_printf("e-[Empty command]\r\n");
    } else if (strcmp(word, "name") == 0) {
        th_printf("m-name-dut-[%s]\r\n", TH_VENDOR_NAME_STRING);
    } else if (strcmp(word, "profile") == 0) {
        th_printf("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\n");
        th_printf("m-model-[%s]\r\n", TH_MODEL_VERSION);
    } else if (strcmp(word, "timestamp") == 0) {
        th_timestamp();
    } else if (strcmp(word, "db") == 0) {
        buffer(rest);
    } else if (strcmp(word, "infer") == 0) {
        infer(rest);
    } else if (strcmp(word, "results") == 0) {
        th_results();
    } else if (strcmp(word, "help") == 0) {
        help();
    } else {
        th_printf("e-[Unknown command: %s]\r\n", word);
    }
}

void harness_run(void)
{
    char command[MOST_CHARACTERS + 1u];
    size_t length = 0;
    int c;

    th_serialport_initialize();
    th_timestamp_initialize();
    th_final_initialize();
    th_printf("m-init-done\r\nm-ready\r\n");
    while ((c = port_get()) >= 0) {
        if (c != '%') {
            /* Characters beyond the most are counted once and not stored. */
            if (length < MOST_CHARACTERS) {
                const int is_space = c == '\r' || c == '\n' || c == '\t';

                command[length] = (char)(is_space ? ' ' : c < ' ' || c > '~' ? '?' : c);
            }
            length = length > MOST_CHARACTERS ? length : length + 1u;
            continue;
        }
        if (length > MOST_CHARACTERS) {
            th_printf("e-[A command has at most %lu characters]\r\n", (unsigned long)MOST_CHARACTERS);
        } else {
            command[length] = '\0';
            answer(command);
        }
        length = 0;
        th_printf("m-ready\r\n");
    }
    if (length > 0) {
        th_printf("e-[The last command does not end]\r\n");
    }
}

/*
 * A plugin of QEMU (interface 1: versions 4.2 to 8.2) that counts how often each instruction is executed
 * and writes "ADDRESS COUNT" lines, addresses in hexadecimal, to the file of its argument out=FILE.
 *
 * QEMU's header is not packaged everywhere: what is used of it is declared here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                                  void (*callback)(qemu_plugin_id_t,
                                                                   struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block,
                                                        size_t index);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction,
                                                       int operation, void *value,
                                                       uint64_t addend);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t, void *),
                                           void *data);

#define ADD_U64 0

int qemu_plugin_version = 1;

/* Counts of the halfwords of a 32-bit address space, a mebibyte each, where code has been seen. */
#define BLOCKS 4096u
#define HALFWORDS (1u << 19)

static uint64_t *blocks[BLOCKS];
static const char *path;

static uint64_t *count_of(uint64_t address)
{
    const uint64_t block = address >> 20;
    if (block >= BLOCKS) {
        return NULL;
    }
    if (blocks[block] == NULL) {
        blocks[block] = calloc(HALFWORDS, sizeof *blocks[block]);
    }
    return blocks[block] == NULL ? NULL : blocks[block] + (address / 2) % HALFWORDS;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    const size_t count = qemu_plugin_tb_n_insns(block);
    (void)id;
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t *executed = count_of(qemu_plugin_insn_vaddr(instruction));
        if (executed != NULL) {
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, executed, 1);
        }
    }
}

static void ended(qemu_plugin_id_t id, void *data)
{
    FILE *file = fopen(path, "w");
    (void)id;
    (void)data;
    if (file == NULL) {
        return;
    }
    for (uint64_t block = 0; block < BLOCKS; block++) {
        for (uint64_t i = 0; blocks[block] != NULL && i < HALFWORDS; i++) {
            if (blocks[block][i] != 0) {
                fprintf(file, "%" PRIx64 " %" PRIu64 "\n", (block << 20) + 2 * i, blocks[block][i]);
            }
        }
    }
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) {
        fprintf(stderr, "executed: expected out=FILE\n");
        return 1;
    }
    path = argv[0] + 4;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}

/* QEMU plugin (7.2 or later, user mode): executed guest instructions by function, written at exit to $INSTRUCTIONS_OUT:
 * count, address, length and symbol of every translated block. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

struct block {
    uint64_t executed, address;
    size_t length;
    char *symbol;
    struct block *next;
};
static struct block *blocks;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
    const char *symbol = qemu_plugin_insn_symbol(first);
    struct block *block = calloc(1, sizeof *block);
    if (!block) {
        return;
    }
    block->address = qemu_plugin_insn_vaddr(first);
    block->length = qemu_plugin_tb_n_insns(tb);
    block->symbol = strdup(symbol ? symbol : "?");
    block->next = blocks;
    blocks = block;
    /* Adds the block's length each time it runs, without a call. */
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &block->executed, block->length);
}

static void finished(qemu_plugin_id_t id, void *data)
{
    FILE *out = fopen(getenv("INSTRUCTIONS_OUT"), "w");
    for (struct block *b = blocks; out && b; b = b->next) {
        if (b->executed) {
            fprintf(out, "%llu %llx %zu %s\n", (unsigned long long)b->executed, (unsigned long long)b->address, b->length,
                    b->symbol ? b->symbol : "?");
        }
    }
    if (out) {
        fclose(out);
    }
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (!getenv("INSTRUCTIONS_OUT")) {
        fputs("INSTRUCTIONS_OUT names no file\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}

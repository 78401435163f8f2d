/* A plugin for qemu-user that counts executed instructions. Built on the host as a shared object; the few
   declarations of qemu's plugin interface are written out, so no header of qemu is needed. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifndef VERSION /* of the plugin interface; qemu names the versions that it takes */
#define VERSION 1
#endif
#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;

extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*f)(uint64_t id, struct qemu_plugin_tb *tb));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*f)(unsigned cpu, void *data),
                                                 int flags, void *data);
extern void qemu_plugin_register_atexit_cb(uint64_t id, void (*f)(uint64_t id, void *data), void *data);
extern void qemu_plugin_outs(const char *string);

EXPORT int qemu_plugin_version = VERSION;

static uint64_t executed;

static void on_block(unsigned cpu, void *data)
{
    (void)cpu;
    executed += (uintptr_t)data;
}

static void on_translation(uint64_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, 0, (void *)(uintptr_t)qemu_plugin_tb_n_insns(tb));
}

static void on_exit_(uint64_t id, void *data)
{
    char line[64];

    (void)id;
    (void)data;
    snprintf(line, sizeof line, "executed %" PRIu64 "\n", executed);
    qemu_plugin_outs(line);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit_, NULL);
    return 0;
}

/* The instruction sets that this build has, slowest first, and memory for the kernels. */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include <stdlib.h>
#include <string.h>
#include "kernels.h"

static const qnn_ops *const table[] = {
    &qnn_scalar,
#ifdef QNN_HAVE_AVX2
    &qnn_avx2,
#endif
#ifdef QNN_HAVE_AVX512
    &qnn_avx512,
#endif
#ifdef QNN_HAVE_NEON
    &qnn_neon,
#endif
};

int qnn_isa_count(void)
{
    return (int)(sizeof table / sizeof table[0]);
}

const qnn_ops *qnn_isa_ops(int isa)
{
    return isa >= 0 && isa < qnn_isa_count() ? table[isa] : &qnn_scalar;
}

const char *qnn_isa_name(int isa)
{
    return qnn_isa_ops(isa)->name;
}

int qnn_isa_usable(int isa)
{
    return qnn_isa_ops(isa)->usable();
}

/* aligned_alloc is missing in old macOS, posix_memalign in C99: keep the true address in front. */
void *qnn_alloc(size_t bytes)
{
    unsigned char *raw, *aligned;

    if (bytes > SIZE_MAX - 128)
        return NULL;
    raw = calloc(1, bytes + 128);
    if (!raw)
        return NULL;
    aligned = (unsigned char *)(((uintptr_t)raw + 64 + 63) & ~(uintptr_t)63);
    memcpy(aligned - sizeof raw, &raw, sizeof raw);
    return aligned;
}

void qnn_free(void *memory)
{
    void *raw;

    if (!memory)
        return;
    memcpy(&raw, (unsigned char *)memory - sizeof raw, sizeof raw);
    free(raw);
}

/* Memory for the kernels. */
#include <stdlib.h>
#include <string.h>
#include "kernels.h"

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

/* The reference of bytes to bits: portable C, written to be read; the other sets use it for what is left over. */
#include "kernels.h"

void qnn_compare_scalar(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out)
{
    size_t k;
    unsigned byte = 0;

    for (k = 0; k < n; k++) {
        byte |= (unsigned)(p[k] >= (t ? t[k] : threshold)) << (k & 7);
        if ((k & 7) == 7) {
            *out++ = (uint8_t)byte;
            byte = 0;
        }
    }
    if (n & 7)
        *out = (uint8_t)byte;
}

void qnn_pack_scalar(const uint8_t *p, size_t n, uint8_t *out)
{
    size_t k;
    unsigned byte = 0;

    for (k = 0; k < n; k++) {
        byte |= (unsigned)(p[k] & 1) << (k & 7);
        if ((k & 7) == 7) {
            *out++ = (uint8_t)byte;
            byte = 0;
        }
    }
    if (n & 7)
        *out = (uint8_t)byte;
}

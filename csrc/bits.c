/* Bit strings: integers of 1..8 bits packed and unpacked, pictures encoded, the highest set bit. */
#include <string.h>
#include "bits.h"

struct qnn_encoder {
    const qnn_kernels *kernels;
    size_t pixels, bits, used;
    unsigned threshold;
    uint16_t *index;     /* NULL: bit k is pixel k */
    uint8_t *thresholds; /* NULL: `threshold` for all */
};

static void pack_row(const uint8_t *v, size_t n, int bits, uint8_t *out)
{
    const unsigned mask = (1u << bits) - 1;
    uint64_t acc;
    size_t k;
    int j;

    for (k = 0; k + 8 <= n; k += 8, out += bits) { /* 8 values fill `bits` bytes */
        acc = 0;
        for (j = 0; j < 8; j++)
            acc |= (uint64_t)(v[k + j] & mask) << (j * bits);
        for (j = 0; j < bits; j++)
            out[j] = (uint8_t)(acc >> (8 * j));
    }
    if (k < n) {
        acc = 0;
        for (j = 0; k + j < n; j++)
            acc |= (uint64_t)(v[k + j] & mask) << (j * bits);
        for (j = 0; (size_t)j < ((n - k) * bits + 7) / 8; j++)
            out[j] = (uint8_t)(acc >> (8 * j));
    }
}

static void unpack_row(const uint8_t *in, size_t n, int bits, uint8_t *out)
{
    const unsigned mask = (1u << bits) - 1;
    uint64_t acc;
    size_t k;
    int j;

    for (k = 0; k + 8 <= n; k += 8, in += bits) {
        acc = 0;
        for (j = 0; j < bits; j++)
            acc |= (uint64_t)in[j] << (8 * j);
        for (j = 0; j < 8; j++)
            out[k + j] = (uint8_t)((acc >> (j * bits)) & mask);
    }
    if (k < n) {
        acc = 0;
        for (j = 0; (size_t)j < ((n - k) * bits + 7) / 8; j++)
            acc |= (uint64_t)in[j] << (8 * j);
        for (j = 0; k + j < n; j++)
            out[k + j] = (uint8_t)((acc >> (j * bits)) & mask);
    }
}

/* One eighth of the work of the general row: spread 8 bits over 8 bytes with one multiplication. */
static void unpack_bits(const uint8_t *in, size_t n, uint8_t *out)
{
    size_t k;

    for (k = 0; k + 8 <= n; k += 8) {
        uint64_t v = *in++ * UINT64_C(0x8040201008040201);
        v = (v >> 7) & UINT64_C(0x0101010101010101);
        /* byte j of v holds bit 7 - j */
        out[k + 7] = (uint8_t)v;
        out[k + 6] = (uint8_t)(v >> 8);
        out[k + 5] = (uint8_t)(v >> 16);
        out[k + 4] = (uint8_t)(v >> 24);
        out[k + 3] = (uint8_t)(v >> 32);
        out[k + 2] = (uint8_t)(v >> 40);
        out[k + 1] = (uint8_t)(v >> 48);
        out[k + 0] = (uint8_t)(v >> 56);
    }
    for (; k < n; k++)
        out[k] = (uint8_t)((*in >> (k & 7)) & 1);
}

void qnn_pack(int isa, const void *values, size_t rows, size_t n, int bits, void *out)
{
    const qnn_kernels *kernels = qnn_kernels_of(isa);
    const uint8_t *v = values;
    uint8_t *to = out;
    size_t i, row = (n * (size_t)bits + 7) / 8;

    for (i = 0; i < rows; i++, v += n, to += row) {
        if (bits == 1)
            kernels->pack(v, n, to);
        else if (bits == 8)
            memcpy(to, v, n);
        else
            pack_row(v, n, bits, to);
    }
}

void qnn_unpack(int isa, const void *words, size_t rows, size_t row_bytes, size_t count, int bits, void *out)
{
    const uint8_t *from = words;
    uint8_t *to = out;
    size_t i;

    (void)isa;
    for (i = 0; i < rows; i++, from += row_bytes, to += count) {
        if (bits == 1)
            unpack_bits(from, count, to);
        else if (bits == 8)
            memcpy(to, from, count);
        else
            unpack_row(from, count, bits, to);
    }
}

qnn_encoder *qnn_encoder_new(int isa, size_t pixels, size_t bits, size_t used, int threshold,
                             const void *index, const void *thresholds)
{
    qnn_encoder *e = qnn_alloc(sizeof *e);
    const uint16_t *at = index;
    size_t k;

    if (!e)
        return NULL;
    e->kernels = qnn_kernels_of(isa);
    e->pixels = pixels;
    e->bits = bits;
    e->used = used;
    e->threshold = (unsigned)threshold;
    for (k = 0; at && k < used && at[k] == k; k++)
        ;
    if (at && k < used) { /* an index that only counts needs no gather */
        e->index = qnn_alloc(used * 2);
        if (!e->index) {
            qnn_encoder_free(e);
            return NULL;
        }
        memcpy(e->index, index, used * 2);
    }
    if (thresholds) {
        e->thresholds = qnn_alloc(used);
        if (!e->thresholds) {
            qnn_encoder_free(e);
            return NULL;
        }
        memcpy(e->thresholds, thresholds, used);
    }
    return e;
}

void qnn_encoder_free(qnn_encoder *e)
{
    if (!e)
        return;
    qnn_free(e->index);
    qnn_free(e->thresholds);
    qnn_free(e);
}

size_t qnn_encoder_pixels(const qnn_encoder *e)
{
    return e->pixels;
}

void qnn_encode_row(const qnn_encoder *e, const uint8_t *picture, uint8_t *out)
{
    const size_t used = (e->used + 7) / 8;
    uint8_t gathered[1024];
    size_t k, j, n;

    memset(out + used, 0, (e->bits + 7) / 8 - used); /* a stack's rows may hold bits of another run */
    if (!e->index) {
        e->kernels->compare(picture, e->thresholds, e->threshold, e->used, out);
        return;
    }
    for (k = 0; k < e->used; k += n, out += n / 8) {
        n = e->used - k < sizeof gathered ? e->used - k : sizeof gathered;
        for (j = 0; j < n; j++)
            gathered[j] = picture[e->index[k + j]];
        e->kernels->compare(gathered, e->thresholds ? e->thresholds + k : NULL, e->threshold, n, out);
    }
}

void qnn_encoder_run(const qnn_encoder *e, const void *pictures, size_t n, void *out)
{
    const uint8_t *picture = pictures;
    const size_t row = (e->bits + 7) / 8;
    uint8_t *to = out;
    size_t i;

    for (i = 0; i < n; i++, picture += e->pixels, to += row)
        qnn_encode_row(e, picture, to);
}

size_t qnn_highest_class(const void *words, size_t n, uint64_t mask, int classes, int size, void *out)
{
    const uint64_t *w = words;
    uint8_t of[65] = {0}; /* by bit length */
    size_t i, none = 0;
    int j;

    for (j = 0; j < 64; j++)
        of[j + 1] = (uint8_t)(j % classes);
    for (i = 0; i < n; i++) {
        uint64_t v = w[i] & mask;
        int length = v ? 64 - __builtin_clzll(v) : 0;

        none += v == 0;
        if (size == 8)
            ((int64_t *)out)[i] = of[length];
        else
            ((int32_t *)out)[i] = of[length];
    }
    return none;
}

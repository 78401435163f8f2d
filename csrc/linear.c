/* Dense layers of a tail: memory, bit planes, thresholds. */
#include <string.h>
#include "linear.h"

static int blocks(const qnn_linear *l)
{
    return (l->outputs - 1) / l->kernels->linear_lanes + 1;
}

static void repack(const qnn_linear *l, const uint8_t *weights)
{
    const size_t row = ((size_t)l->inputs + 7) / 8;
    const int lanes = l->kernels->linear_lanes, tail = l->inputs & 7;
    uint8_t *to = l->weights;
    int o, k;

    if (l->weight_bits == 8) {
        for (o = 0; o < l->outputs; o++)
            memcpy(to + (size_t)o * l->row, weights + (size_t)o * l->inputs, (size_t)l->inputs);
        return;
    }
    for (o = 0; o < l->outputs; o++)
        for (k = 0; (size_t)k * 8 < row; k++) {
            const size_t left = row - (size_t)k * 8;
            uint64_t word = 0;

            memcpy(&word, weights + (size_t)o * row + (size_t)k * 8, left < 8 ? left : 8);
            if (left <= 8 && tail) /* the sums must not depend on pad bits */
                word &= (UINT64_C(1) << (l->inputs - 64 * k)) - 1;
            memcpy(to + (((size_t)(o / lanes) * l->words + k) * lanes + o % lanes) * 8, &word, 8);
        }
}

qnn_linear *qnn_linear_new(int isa, int inputs, int outputs, int weight_bits, int input_bits, int levels,
                           const void *weights, const void *thresholds)
{
    qnn_linear *l = qnn_alloc(sizeof *l);
    size_t bytes = (size_t)outputs * (size_t)levels * 4;

    if (!l)
        return NULL;
    l->inputs = inputs;
    l->outputs = outputs;
    l->weight_bits = weight_bits;
    l->input_bits = input_bits;
    l->levels = levels;
    l->words = (inputs + 511) / 512 * 8;
    l->row = (inputs + 63) / 64 * 64;
    l->kernels = qnn_kernels_of(isa);
    l->weight_bytes = weight_bits == 8 ? (size_t)outputs * l->row
                                       : (size_t)blocks(l) * l->words * (size_t)l->kernels->linear_lanes * 8;
    l->scratch_bytes = (weight_bits == 8 ? (size_t)l->row : (size_t)l->words * 8 * input_bits) +
                       ((size_t)outputs + 64) * 4;
    l->weights = qnn_alloc(l->weight_bytes);
    l->thresholds = qnn_alloc(bytes);
    l->scratch = qnn_alloc(l->scratch_bytes);
    if (!l->weights || !l->thresholds || !l->scratch) {
        qnn_linear_free(l);
        return NULL;
    }
    if (bytes)
        memcpy(l->thresholds, thresholds, bytes);
    repack(l, weights);
    return l;
}

void qnn_linear_free(qnn_linear *l)
{
    if (!l)
        return;
    qnn_free(l->weights);
    qnn_free(l->thresholds);
    qnn_free(l->scratch);
    qnn_free(l);
}

size_t qnn_linear_bytes(const qnn_linear *l)
{
    return l->weight_bytes + l->scratch_bytes + (size_t)l->outputs * (size_t)l->levels * 4;
}

/* Cuts codes into bit planes; the sum of the codes. */
static int32_t cut(const qnn_linear *l, const uint8_t *codes, uint64_t *planes)
{
    const int mask = (1 << l->input_bits) - 1;
    int32_t sum = 0;
    int k, j, p;

    for (k = 0; k * 8 < l->inputs; k++) {
        const int left = l->inputs - k * 8;
        uint64_t v = 0;

        if (left >= 8)
            memcpy(&v, codes + k * 8, 8);
        else
            for (j = 0; j < left; j++)
                v |= (uint64_t)codes[k * 8 + j] << (8 * j);
        v &= UINT64_C(0x0101010101010101) * (unsigned)mask;
        for (p = 0; p < l->input_bits; p++) { /* bit p of 8 bytes to one byte, by one multiplication */
            const uint64_t bit = (v >> p) & UINT64_C(0x0101010101010101);

            ((uint8_t *)(planes + (size_t)p * l->words))[k] = (uint8_t)((bit * UINT64_C(0x0102040810204080)) >> 56);
            sum += (int32_t)((bit * UINT64_C(0x0101010101010101)) >> 56) << p;
        }
    }
    return sum;
}

int qnn_linear_run(qnn_linear *l, const void *x, size_t n, void *out)
{
    const int shared = !__atomic_exchange_n(&l->busy, 1, __ATOMIC_ACQUIRE);
    unsigned char *scratch = shared ? l->scratch : qnn_alloc(l->scratch_bytes);
    const int mask = (1 << l->input_bits) - 1;
    const uint8_t *codes = x;
    int32_t *sums, *plain = out;
    uint8_t *to = out;
    size_t i;
    int o, t, k;

    if (!scratch)
        return -1;
    sums = (int32_t *)(scratch + l->scratch_bytes) - (l->outputs + 64);
    for (i = 0; i < n; i++, codes += l->inputs) {
        if (l->weight_bits == 1) {
            const int32_t sum = cut(l, codes, (uint64_t *)scratch);

            l->kernels->linear_counts(l, (const uint64_t *)scratch, sums);
            for (o = 0; o < l->outputs; o++)
                sums[o] = 2 * sums[o] - sum;
        } else {
            for (k = 0; k < l->inputs; k++)
                scratch[k] = (uint8_t)(codes[k] & mask);
            l->kernels->linear_products(l, scratch, sums);
        }
        if (!l->levels) {
            memcpy(plain, sums, (size_t)l->outputs * 4);
            plain += l->outputs;
            continue;
        }
        for (o = 0; o < l->outputs; o++) {
            int code = 0;

            for (t = 0; t < l->levels; t++)
                code += sums[o] >= l->thresholds[(size_t)o * l->levels + t];
            *to++ = (uint8_t)code;
        }
    }
    if (shared)
        __atomic_store_n(&l->busy, 0, __ATOMIC_RELEASE);
    else
        qnn_free(scratch);
    return 0;
}

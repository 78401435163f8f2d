/* The reference: portable C, written to be read. Every other file must give the same bytes. */
#include <string.h>
#include "kernels.h"

static int always(void)
{
    return 1;
}

static uint64_t popcount64(uint64_t v)
{
    v = v - ((v >> 1) & UINT64_C(0x5555555555555555));
    v = (v & UINT64_C(0x3333333333333333)) + ((v >> 2) & UINT64_C(0x3333333333333333));
    v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (v * UINT64_C(0x0101010101010101)) >> 56;
}

uint64_t qnn_weight_word(const qnn_layer *layer, const uint8_t *weights, int neuron, int word)
{
    size_t row = ((size_t)layer->inputs + 7) / 8, at = (size_t)word * 8, left;
    uint64_t v = 0;

    if (neuron >= layer->outputs || at >= row)
        return 0;
    left = row - at;
    memcpy(&v, weights + (size_t)neuron * row + at, left < 8 ? left : 8);
    if (layer->inputs - word * 64 < 64) /* the file promises zero pad bits; the sums must not depend on it */
        v &= (UINT64_C(1) << (layer->inputs - word * 64)) - 1;
    return v;
}

/* Layout: neuron, then word. */
static size_t weight_bytes(const qnn_layer *layer)
{
    return (size_t)layer->outputs * (size_t)layer->words * 8;
}

static void repack(const qnn_layer *layer, const uint8_t *weights, void *out)
{
    uint64_t *to = out;
    int n, k;

    for (n = 0; n < layer->outputs; n++)
        for (k = 0; k < layer->words; k++)
            *to++ = qnn_weight_word(layer, weights, n, k);
}

static void run(const qnn_layer *layer, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                int32_t *sums)
{
    const int words = layer->words;
    size_t i;
    int j, k, t;

    for (i = 0; i < n; i++, x += (size_t)layer->planes * layer->stride, y += y_row) {
        const uint64_t *nz = x, *neg = x + layer->stride, *w = layer->weights;
        const int16_t *threshold = layer->thresholds;
        int32_t centre = layer->inputs;

        if (layer->ternary)
            for (centre = 0, k = 0; k < words; k++)
                centre += (int32_t)popcount64(nz[k]);
        if (layer->levels)
            memset(y, 0, (size_t)layer->blocks);
        if (layer->levels == 2)
            memset(y + y_plane, 0, (size_t)layer->blocks);
        for (j = 0; j < layer->outputs; j++, w += words) {
            int32_t negative = 0, acc, fired = 0;

            if (layer->ternary)
                for (k = 0; k < words; k++)
                    negative += (int32_t)popcount64(nz[k] & ~(w[k] ^ neg[k]));
            else
                for (k = 0; k < words; k++)
                    negative += (int32_t)popcount64(w[k] ^ nz[k]);
            acc = centre - (negative << layer->doubled);
            if (sums)
                *sums++ = acc;
            for (t = 0; t < layer->levels; t++)
                fired += *threshold++ < acc;
            if (layer->levels == 1) {
                y[j >> 3] |= (uint8_t)(fired << (j & 7));
            } else if (layer->levels == 2) { /* value = fired - 1 */
                y[j >> 3] |= (uint8_t)((fired != 1) << (j & 7));
                y[y_plane + (j >> 3)] |= (uint8_t)((fired == 0) << (j & 7));
            }
        }
    }
}

void qnn_scalar_compare(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out)
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

void qnn_scalar_pack1(const uint8_t *p, size_t n, uint8_t *out)
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

const qnn_ops qnn_scalar = {"scalar", always, weight_bytes, repack, run, qnn_scalar_compare, qnn_scalar_pack1};

/* The reference of the dense layers: portable C, written to be read. Every other file must give the same bytes. */
#include <string.h>
#include "dense.h"

/* Layout: neuron, then word. */
size_t qnn_dense_size_scalar(const qnn_layer *layer)
{
    return (size_t)layer->outputs * (size_t)layer->words * 8;
}

void qnn_dense_repack_scalar(const qnn_layer *layer, const uint8_t *weights, void *out)
{
    uint64_t *to = out;
    int n, k;

    for (n = 0; n < layer->outputs; n++)
        for (k = 0; k < layer->words; k++)
            *to++ = qnn_weight_word(layer, weights, n, k);
}

void qnn_dense_scalar(const qnn_layer *layer, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
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
                centre += qnn_popcount64(nz[k]);
        if (layer->levels)
            memset(y, 0, (size_t)layer->blocks);
        if (layer->levels == 2)
            memset(y + y_plane, 0, (size_t)layer->blocks);
        for (j = 0; j < layer->outputs; j++, w += words) {
            int32_t negative = 0, acc, fired = 0;

            if (layer->ternary)
                for (k = 0; k < words; k++)
                    negative += qnn_popcount64(nz[k] & ~(w[k] ^ neg[k]));
            else
                for (k = 0; k < words; k++)
                    negative += qnn_popcount64(w[k] ^ nz[k]);
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

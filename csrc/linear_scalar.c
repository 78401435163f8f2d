/* The reference of the dense layers of a tail: portable C. */
#include "linear.h"

void qnn_linear_counts_scalar(const qnn_linear *l, const uint64_t *planes, int32_t *sums)
{
    const uint64_t *w = l->weights;
    int o, k, p;

    for (o = 0; o < l->outputs; o++, w += l->words) {
        sums[o] = 0;
        for (p = 0; p < l->input_bits; p++)
            for (k = 0; k < l->words; k++)
                sums[o] += qnn_popcount64(w[k] & planes[(size_t)p * l->words + k]) << p;
    }
}

void qnn_linear_products_scalar(const qnn_linear *l, const uint8_t *codes, int32_t *sums)
{
    qnn_linear_plain_products(l, codes, sums);
}

/* Inside of the dense layers of a tail. */
#ifndef QNN_LINEAR_H
#define QNN_LINEAR_H

#include "kernels.h"

/*
 * 1-bit weights: the codes are cut into bit planes, [plane][words] with zero bits behind the inputs; with
 * S = sum over the planes of 2^p popcount(w & plane p), the sum is 2 S - (sum of the codes).
 * 8-bit weights: rows of `row` codes and weights, zero behind the inputs.
 */
struct qnn_linear {
    int inputs, outputs, weight_bits, input_bits, levels;
    int words; /* of a bit plane, a multiple of 8 */
    int row;   /* bytes, a multiple of 64 */
    const qnn_kernels *kernels;
    void *weights; /* of 1 bit: [block of linear_lanes outputs][word][lane] */
    size_t weight_bytes;
    int32_t *thresholds;
    void *scratch; /* one image's inputs, then its sums */
    size_t scratch_bytes;
    int busy;
};

/* Sums of 8-bit weights; always inlined, so that it becomes code of the instruction set of its caller. */
static inline __attribute__((always_inline)) void qnn_linear_plain_products(const qnn_linear *l, const uint8_t *codes,
                                                                            int32_t *sums)
{
    const int8_t *w = l->weights;
    int o, k;

    for (o = 0; o < l->outputs; o++, w += l->row) {
        int32_t sum = 0;

        for (k = 0; k < l->row; k++)
            sum += w[k] * codes[k];
        sums[o] = sum;
    }
}

#endif

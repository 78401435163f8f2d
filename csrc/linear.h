/* Inside of the dense layers of a tail. */
#ifndef QNN_LINEAR_H
#define QNN_LINEAR_H

#include "kernels.h"

typedef struct qnn_linear_kernel qnn_linear_kernel;

/*
 * 1-bit weights: the codes are cut into bit planes, [plane][words] with zero bits behind the inputs; with
 * S = sum over the planes of 2^p popcount(w & plane p), the sum is 2 S - (sum of the codes).
 * 8-bit weights: rows of `row` codes and weights, zero behind the inputs.
 */
struct qnn_linear {
    int inputs, outputs, weight_bits, input_bits, levels;
    int words; /* of a bit plane, a multiple of 8 */
    int row;   /* bytes, a multiple of 64 */
    const qnn_linear_kernel *kernel;
    void *weights;
    size_t weight_bytes;
    int32_t *thresholds;
    void *scratch; /* one image's inputs, then its sums */
    size_t scratch_bytes;
    int busy;
};

struct qnn_linear_kernel {
    /* outputs in a block: weights are [block][word][lane] */
    int lanes;
    void (*bits)(const qnn_linear *linear, const uint64_t *planes, int32_t *sums);
    void (*bytes)(const qnn_linear *linear, const uint8_t *codes, int32_t *sums);
};

extern const qnn_linear_kernel qnn_linear_scalar, qnn_linear_avx2, qnn_linear_avx512, qnn_linear_neon;

#endif

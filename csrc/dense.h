/* Inside of the dense layers: activations and one layer. */
#ifndef QNN_DENSE_H
#define QNN_DENSE_H

#include "kernels.h"

enum { QNN_TILE = 64, QNN_BLOCK = 8 }; /* images that share one pass over the weights; neurons of a block */

/*
 * Activations of one image: `planes` bit planes of `stride` 64-bit words each (stride a multiple of 8, so
 * every plane is 64-byte aligned), bits beyond the inputs 0. Binary: one plane, 1 = +1. Ternary: plane 0
 * "not zero", plane 1 "negative" (a subset of plane 0).
 *
 * With P = the number of synapses whose product is negative:
 *   binary:  P = popcount(w ^ x),            centre = inputs
 *   ternary: P = popcount(nz & ~(w ^ neg)),  centre = popcount(nz)
 *   accumulator = centre - P  (popcount)  or  centre - 2 P  (signed sum, "doubled")
 *
 * The vector kernels compare without forming the accumulator: with half = centre >> 1 and
 * parity = centre & 1,  threshold < accumulator  <=>  P - half < limit[parity].
 */
struct qnn_layer {
    int inputs, outputs, ternary, doubled, levels;
    int planes, words, stride, blocks;
    void *weights;        /* as the set's dense_repack laid them out */
    int16_t *thresholds;  /* [outputs][levels] */
    int16_t *limits[2];   /* per parity: [block][level][8] */
    size_t weight_bytes;
};

/* Weight word `word` (64 bits) of a neuron, 0 beyond the end. */
uint64_t qnn_weight_word(const qnn_layer *layer, const uint8_t *weights, int neuron, int word);

#endif

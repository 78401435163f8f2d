/* Inside of the kernels: activations, layers and the table of functions of one instruction set. */
#ifndef QNN_KERNELS_H
#define QNN_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include "api.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernels are written for little-endian machines"
#endif

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define QNN_HAVE_AVX2 1
/* vpopcntdq: gcc 8 knows it, gcc 9 is the oldest that was tried */
#if (defined(__clang__) && __clang_major__ >= 7) || (!defined(__clang__) && __GNUC__ >= 9)
#define QNN_HAVE_AVX512 1
#endif
#endif

#if defined(__aarch64__)
#define QNN_HAVE_NEON 1
#elif defined(__arm__) && defined(__ARM_FP) && defined(__ARM_PCS_VFP) && __ARM_ARCH >= 7
#if defined(__ARM_NEON) || (defined(__GNUC__) && !defined(__clang__))
#define QNN_HAVE_NEON 1
#endif
#endif

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
typedef struct qnn_layer qnn_layer;
typedef struct qnn_ops qnn_ops;

struct qnn_layer {
    int inputs, outputs, ternary, doubled, levels;
    int planes, words, stride, blocks;
    void *weights;        /* as ops->repack laid them out */
    int16_t *thresholds;  /* [outputs][levels] */
    int16_t *limits[2];   /* per parity: [block][level][8] */
    size_t weight_bytes;
};

/* y: first output byte of image 0; y_row bytes to the next image; y_plane bytes to plane 1. sums may be NULL. */
typedef void qnn_layer_fn(const qnn_layer *layer, const uint64_t *x, size_t n, uint8_t *y, size_t y_row,
                          size_t y_plane, int32_t *sums);

struct qnn_ops {
    const char *name;
    int (*usable)(void);
    /* bytes that the repacked weights take, a multiple of 64 */
    size_t (*weight_bytes)(const qnn_layer *layer);
    /* weights: rows of ceil(inputs / 8) bytes; out: zeroed */
    void (*repack)(const qnn_layer *layer, const uint8_t *weights, void *out);
    qnn_layer_fn *run;
    /* bit k of out = p[k] >= t[k], or p[k] >= threshold where t is NULL; writes ceil(n / 8) bytes, pad bits 0 */
    void (*compare)(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out);
    /* bit k of out = bit 0 of p[k]; writes ceil(n / 8) bytes, pad bits 0 */
    void (*pack1)(const uint8_t *p, size_t n, uint8_t *out);
};

extern const qnn_ops qnn_scalar, qnn_avx2, qnn_avx512, qnn_neon;
const qnn_ops *qnn_isa_ops(int isa);

/* What the vector files reuse of the scalar file (tails). */
void qnn_scalar_compare(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out);
void qnn_scalar_pack1(const uint8_t *p, size_t n, uint8_t *out);
/* Weight word `word` (64 bits) of a neuron, 0 beyond the end. */
uint64_t qnn_weight_word(const qnn_layer *layer, const uint8_t *weights, int neuron, int word);

/* Layout of the x86 files: block of 8 neurons, then word, then neuron; pad neurons 0. */
size_t qnn_blocks_bytes(const qnn_layer *layer);
void qnn_blocks_repack(const qnn_layer *layer, const uint8_t *weights, void *out);

void *qnn_alloc(size_t bytes); /* 64-byte aligned and zeroed; NULL: no memory */
void qnn_free(void *memory);

/* One row of ceil(bits / 8) bytes, pad bits 0. */
void qnn_encode_row(const qnn_encoder *encoder, const uint8_t *picture, uint8_t *out);
size_t qnn_encoder_pixels(const qnn_encoder *encoder);

#endif

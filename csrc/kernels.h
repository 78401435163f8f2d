/* Inside of the kernels: what an instruction set offers, as one table of functions, and memory. */
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

typedef struct qnn_layer qnn_layer;             /* dense.h */
typedef struct qnn_conv_kernel qnn_conv_kernel; /* conv.h */

/* bit k of out = p[k] >= t[k], or p[k] >= threshold where t is NULL; writes ceil(n / 8) bytes, pad bits 0 */
typedef void qnn_compare_fn(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out);
/* bit k of out = bit 0 of p[k]; writes ceil(n / 8) bytes, pad bits 0 */
typedef void qnn_pack_fn(const uint8_t *p, size_t n, uint8_t *out);
/* bytes that the repacked weights take, a multiple of 64 */
typedef size_t qnn_dense_size_fn(const qnn_layer *layer);
/* weights: rows of ceil(inputs / 8) bytes; out: zeroed */
typedef void qnn_dense_repack_fn(const qnn_layer *layer, const uint8_t *weights, void *out);
/* y: first output byte of image 0; y_row bytes to the next image; y_plane bytes to plane 1. sums may be NULL. */
typedef void qnn_dense_fn(const qnn_layer *layer, const uint64_t *x, size_t n, uint8_t *y, size_t y_row,
                          size_t y_plane, int32_t *sums);
/* NULL: nothing of this instruction set for such a layer, the next slower one is asked */
typedef const qnn_conv_kernel *qnn_conv_fn(const qnn_conv *conv);
/* x: bit planes (counts) or codes (products), see linear.h */
typedef void qnn_linear_counts_fn(const qnn_linear *linear, const uint64_t *x, int32_t *sums);
typedef void qnn_linear_products_fn(const qnn_linear *linear, const uint8_t *x, int32_t *sums);

typedef struct {
    const char *name;
    int (*usable)(void);
    qnn_compare_fn *compare;
    qnn_pack_fn *pack;
    qnn_dense_size_fn *dense_size;
    qnn_dense_repack_fn *dense_repack;
    qnn_dense_fn *dense;
    qnn_conv_fn *conv;
    int linear_lanes; /* outputs of a block of 1-bit weights */
    qnn_linear_counts_fn *linear_counts;
    qnn_linear_products_fn *linear_products;
} qnn_kernels;

/* The table of a number that Python chose; the reference's for any other number. */
const qnn_kernels *qnn_kernels_of(int isa);

qnn_compare_fn qnn_compare_scalar, qnn_compare_avx2, qnn_compare_avx512, qnn_compare_neon;
qnn_pack_fn qnn_pack_scalar, qnn_pack_avx2, qnn_pack_avx512, qnn_pack_neon;
qnn_dense_size_fn qnn_dense_size_scalar, qnn_dense_size_avx2, qnn_dense_size_neon;
qnn_dense_repack_fn qnn_dense_repack_scalar, qnn_dense_repack_avx2, qnn_dense_repack_neon;
qnn_dense_fn qnn_dense_scalar, qnn_dense_avx2, qnn_dense_avx512, qnn_dense_neon;
qnn_conv_fn qnn_conv_scalar, qnn_conv_avx2, qnn_conv_avx512, qnn_conv_neon;
qnn_linear_counts_fn qnn_linear_counts_scalar, qnn_linear_counts_avx2, qnn_linear_counts_avx512, qnn_linear_counts_neon;
qnn_linear_products_fn qnn_linear_products_scalar, qnn_linear_products_avx2, qnn_linear_products_avx512,
    qnn_linear_products_neon;

/* For the references: any processor has it. */
static inline int qnn_popcount64(uint64_t v)
{
    v = v - ((v >> 1) & UINT64_C(0x5555555555555555));
    v = (v & UINT64_C(0x3333333333333333)) + ((v >> 2) & UINT64_C(0x3333333333333333));
    v = (v + (v >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (int)((v * UINT64_C(0x0101010101010101)) >> 56);
}

void *qnn_alloc(size_t bytes); /* 64-byte aligned and zeroed; NULL: no memory */
void qnn_free(void *memory);

#endif

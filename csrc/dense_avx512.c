/* AVX-512 with VPOPCNTDQ: 8 neurons in the 64-bit lanes of a vector, so no sum runs across lanes. */
#include "dense.h"

#ifdef QNN_HAVE_AVX512
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vpopcntdq,popcnt")))
#define INLINE static inline __attribute__((always_inline)) TARGET
/* gcc would fold a load that was hoisted out of a loop back into every use of it */
#define KEEP(v) __asm__("" : "+v"(v))

INLINE int popcount_row(const uint64_t *x, int words)
{
    int k, sum = 0;

    for (k = 0; k < words; k++)
        sum += (int)_mm_popcnt_u64(x[k]);
    return sum;
}

/* popcount of the products that are negative */
INLINE __m512i negatives(__m512i w, __m512i x, __m512i neg, int ternary)
{
    if (ternary) /* nz & ~(w ^ neg) */
        return _mm512_popcnt_epi64(_mm512_ternarylogic_epi64(x, w, neg, 0x90));
    return _mm512_popcnt_epi64(_mm512_xor_epi64(w, x));
}

INLINE __m512i limits_of(const int16_t *limits)
{
    return _mm512_cvtepi16_epi64(_mm_loadu_si128((const __m128i *)limits));
}

/* p = P - half of 8 neurons: fired bits to y */
INLINE void fire(__m512i p, __m512i limit0, __m512i limit1, const int levels, uint8_t *y, size_t y_plane)
{
    const __mmask8 f0 = _mm512_cmplt_epi64_mask(p, limit0);

    if (levels == 1) {
        _store_mask8((__mmask8 *)y, f0);
    } else { /* value = fired - 1 */
        const __mmask8 f1 = _mm512_cmplt_epi64_mask(p, limit1);

        _store_mask8((__mmask8 *)y, _kxnor_mask8(f0, f1));
        _store_mask8((__mmask8 *)(y + y_plane), _knot_mask8(_kor_mask8(f0, f1)));
    }
}

/* acc += popcounts of one or two words; the barriers stop gcc from building trees that spill */
#define STEP(acc, w, x, neg)                                                                                       \
    do {                                                                                                           \
        acc = _mm512_add_epi64(acc, negatives(w, x, neg, ternary));                                                \
        KEEP(acc);                                                                                                 \
    } while (0)

/* One image: the activations stay in registers, the weights stream. */
INLINE void one(const qnn_layer *l, const uint64_t *x, uint8_t *y, size_t y_plane, const int K, const int ternary,
                const int levels)
{
    const int centre = ternary ? popcount_row(x, K) : l->inputs, blocks = l->blocks;
    const __m512i start = _mm512_set1_epi64(-(centre >> 1)), zero = _mm512_setzero_si512();
    const int16_t *limits = l->limits[centre & 1];
    const uint64_t *neg = x + (K + 7) / 8 * 8;
    const __m512i *w = l->weights;
    __m512i nz[16];
    int block, k;

#pragma GCC unroll 16
    for (k = 0; k < K; k++) {
        nz[k] = _mm512_set1_epi64((long long)x[k]);
        KEEP(nz[k]);
    }
    for (block = 0; block < blocks; block++, w += K, y++, limits += 8 * levels) {
        __m512i a = start, b = zero;

#pragma GCC unroll 16
        for (k = 0; k < K; k += 2) {
            STEP(a, w[k], nz[k], ternary ? _mm512_set1_epi64((long long)neg[k]) : zero);
            if (k + 1 < K)
                STEP(b, w[k + 1], nz[k + 1], ternary ? _mm512_set1_epi64((long long)neg[k + 1]) : zero);
        }
        fire(_mm512_add_epi64(a, b), limits_of(limits), levels > 1 ? limits_of(limits + 8) : zero, levels, y,
             y_plane);
    }
}

/* A tile of images: the weights of 8 neurons stay in registers, the images pass by. */
INLINE void many(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                 const int K, const int ternary, const int levels)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i *w = l->weights;
    const size_t plane = (K + 7) / 8 * 8, row = plane * (ternary ? 2 : 1); /* = l->stride: known here */
    const int blocks = l->blocks, inputs = l->inputs;
    const int16_t *even = l->limits[ternary ? 0 : inputs & 1], *odd = l->limits[1];
    long long start[QNN_TILE];
    uint8_t parity[QNN_TILE];
    int block, k;
    size_t i;

    for (i = 0; ternary && i < n; i++) {
        const int centre = popcount_row(x + i * row, K);

        start[i] = -(centre >> 1);
        parity[i] = centre & 1;
    }
    for (block = 0; block < blocks; block++, w += K, even += 8 * levels, odd += 8 * levels) {
        const __m512i half = _mm512_set1_epi64(inputs >> 1);
        __m512i W[16], limit[2][2];
        const uint64_t *at = x;
        uint8_t *to = y + block;

        limit[0][0] = limits_of(even);
        limit[0][1] = levels > 1 ? limits_of(even + 8) : zero;
        if (!ternary) { /* the same for all images: compare P itself */
            limit[0][0] = _mm512_add_epi64(limit[0][0], half);
            limit[0][1] = _mm512_add_epi64(limit[0][1], half);
        }
        limit[1][0] = ternary ? limits_of(odd) : zero;
        limit[1][1] = ternary && levels > 1 ? limits_of(odd + 8) : zero;
#pragma GCC unroll 16
        for (k = 0; k < K; k++) {
            W[k] = w[k];
            KEEP(W[k]);
        }
        for (i = 0; i < n; i++, at += row, to += y_row) {
            __m512i a = ternary ? _mm512_set1_epi64(start[i]) : zero, b = zero;
            const int p = ternary ? parity[i] : 0;

#pragma GCC unroll 16
            for (k = 0; k < K; k += 2) {
                STEP(a, W[k], _mm512_set1_epi64((long long)at[k]),
                     ternary ? _mm512_set1_epi64((long long)at[plane + k]) : zero);
                if (k + 1 < K)
                    STEP(b, W[k + 1], _mm512_set1_epi64((long long)at[k + 1]),
                         ternary ? _mm512_set1_epi64((long long)at[plane + k + 1]) : zero);
            }
            fire(_mm512_add_epi64(a, b), limit[p][0], limit[p][1], levels, to, y_plane);
        }
    }
}

/* Any number of words, and accumulators on request. */
TARGET static void any(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                       int32_t *sums)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i *w = l->weights;
    const size_t row = (size_t)l->planes * l->stride;
    const int blocks = l->blocks, words = l->words, levels = l->levels, ternary = l->ternary;
    int centre[QNN_TILE], block, k;
    size_t i;

    for (i = 0; i < n; i++)
        centre[i] = ternary ? popcount_row(x + i * row, words) : l->inputs;
    for (block = 0; block < blocks; block++, w += words) {
        const int left = l->outputs - block * 8;
        const __mmask8 lanes = left < 8 ? (__mmask8)((1u << left) - 1) : 0xff;

        for (i = 0; i < n; i++) {
            const uint64_t *nz = x + i * row, *neg = nz + l->stride;
            const int16_t *limits = l->limits[centre[i] & 1] + (size_t)block * (size_t)levels * 8;
            uint8_t *to = y + i * y_row + block;
            __m512i p = _mm512_set1_epi64(-(centre[i] >> 1));

            if (ternary)
                for (k = 0; k < words; k++)
                    p = _mm512_add_epi64(p, negatives(w[k], _mm512_set1_epi64((long long)nz[k]),
                                                      _mm512_set1_epi64((long long)neg[k]), 1));
            else
                for (k = 0; k < words; k++)
                    p = _mm512_add_epi64(p, negatives(w[k], _mm512_set1_epi64((long long)nz[k]), zero, 0));
            if (levels == 1)
                fire(p, limits_of(limits), zero, 1, to, y_plane);
            else if (levels == 2)
                fire(p, limits_of(limits), limits_of(limits + 8), 2, to, y_plane);
            if (sums) { /* centre - (P << doubled) */
                const __m512i P = _mm512_add_epi64(p, _mm512_set1_epi64(centre[i] >> 1));

                _mm512_mask_cvtepi64_storeu_epi32(
                    sums + i * (size_t)l->outputs + (size_t)block * 8, lanes,
                    _mm512_sub_epi64(_mm512_set1_epi64(centre[i]),
                                     _mm512_sll_epi64(P, _mm_cvtsi32_si128(l->doubled))));
            }
        }
    }
}

#define FORM(name, K, ternary, levels)                                                                             \
    TARGET static void name(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row,             \
                            size_t y_plane)                                                                        \
    {                                                                                                              \
        size_t i;                                                                                                  \
                                                                                                                   \
        if (n > 1)                                                                                                \
            many(l, x, n, y, y_row, y_plane, K, ternary, levels);                                            \
        else                                                                                                       \
            for (i = 0; i < n; i++)                                                                                \
                one(l, x + i * (size_t)l->planes * l->stride, y + i * y_row, y_plane, K, ternary, levels);         \
    }

FORM(form13_01, 13, 0, 1)
FORM(form13_02, 13, 0, 2)
FORM(form16_01, 16, 0, 1)
FORM(form16_11, 16, 1, 1)
FORM(form16_12, 16, 1, 2)

TARGET void qnn_dense_avx512(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row,
                             size_t y_plane, int32_t *sums)
{
    if (!sums && l->words == 13 && !l->ternary && l->levels == 1)
        form13_01(l, x, n, y, y_row, y_plane);
    else if (!sums && l->words == 13 && !l->ternary && l->levels == 2)
        form13_02(l, x, n, y, y_row, y_plane);
    else if (!sums && l->words == 16 && !l->ternary && l->levels == 1)
        form16_01(l, x, n, y, y_row, y_plane);
    else if (!sums && l->words == 16 && l->ternary && l->levels == 1)
        form16_11(l, x, n, y, y_row, y_plane);
    else if (!sums && l->words == 16 && l->ternary && l->levels == 2)
        form16_12(l, x, n, y, y_row, y_plane);
    else
        any(l, x, n, y, y_row, y_plane, sums);
}
#endif

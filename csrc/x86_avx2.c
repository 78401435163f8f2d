/* AVX2: 4 neurons in the 64-bit lanes of a vector, popcounts by a table of 16 bytes (VPSHUFB). */
#include <string.h>
#include "kernels.h"

#ifdef QNN_HAVE_AVX2
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,popcnt")))
#define INLINE static inline __attribute__((always_inline)) TARGET

static int usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

INLINE int popcount_row(const uint64_t *x, int words)
{
    int k, sum = 0;

    for (k = 0; k < words; k++)
        sum += (int)_mm_popcnt_u64(x[k]);
    return sum;
}

INLINE __m256i byte_counts(__m256i v)
{
    const __m256i table =
        _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);

    return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(v, low)),
                           _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
}

/* bits of the products that are negative */
INLINE __m256i negatives(__m256i w, __m256i x, __m256i neg, int ternary)
{
    if (ternary)
        return _mm256_andnot_si256(_mm256_xor_si256(w, neg), x);
    return _mm256_xor_si256(w, x);
}

INLINE unsigned below(__m256i p, const int16_t *limits)
{
    const __m256i limit = _mm256_cvtepi16_epi64(_mm_loadl_epi64((const __m128i *)limits));

    return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(limit, p)));
}

/* a, b = P - half of neurons 0..3 and 4..7 of a block */
INLINE void finish(const qnn_layer *l, __m256i a, __m256i b, int block, int centre, uint8_t *y, size_t y_plane,
                   int32_t *sums)
{
    const int16_t *limits = l->limits[centre & 1] + (size_t)block * l->levels * 8;

    if (l->levels == 1) {
        *y = (uint8_t)(below(a, limits) | below(b, limits + 4) << 4);
    } else if (l->levels == 2) {
        unsigned f0 = below(a, limits) | below(b, limits + 4) << 4;
        unsigned f1 = below(a, limits + 8) | below(b, limits + 12) << 4;
        y[0] = (uint8_t)~(f0 ^ f1);
        y[y_plane] = (uint8_t)~(f0 | f1);
    }
    if (sums) {
        int64_t p[8];
        int j;

        _mm256_storeu_si256((__m256i *)p, a);
        _mm256_storeu_si256((__m256i *)(p + 4), b);
        for (j = 0; j < 8 && block * 8 + j < l->outputs; j++)
            sums[j] = centre - (int32_t)((p[j] + (centre >> 1)) << l->doubled);
    }
}

INLINE void work(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                 int32_t *sums, const int words, const int ternary)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i *w = l->weights;
    const size_t row = (size_t)l->planes * l->stride;
    int centre[QNN_TILE], block, k, from, to;
    size_t i;

    for (i = 0; i < n; i++)
        centre[i] = ternary ? popcount_row(x + i * row, words) : l->inputs;
    for (block = 0; block < l->blocks; block++, w += 2 * words) {
        for (i = 0; i < n; i++) {
            const uint64_t *nz = x + i * row, *neg = nz + l->stride;
            __m256i a = _mm256_set1_epi64x(-(centre[i] >> 1)), b = a;

            for (from = 0; from < words; from = to) { /* a byte counts to 255: 31 words of 8 bits */
                __m256i c = zero, d = zero;

                to = words - from < 31 ? words : from + 31;
                for (k = from; k < to; k++) {
                    const __m256i v = _mm256_set1_epi64x((long long)nz[k]);
                    const __m256i m = ternary ? _mm256_set1_epi64x((long long)neg[k]) : zero;

                    c = _mm256_add_epi8(c, byte_counts(negatives(w[2 * k], v, m, ternary)));
                    d = _mm256_add_epi8(d, byte_counts(negatives(w[2 * k + 1], v, m, ternary)));
                }
                a = _mm256_add_epi64(a, _mm256_sad_epu8(c, zero));
                b = _mm256_add_epi64(b, _mm256_sad_epu8(d, zero));
            }
            finish(l, a, b, block, centre[i], y + i * y_row + block, y_plane,
                   sums ? sums + i * (size_t)l->outputs + (size_t)block * 8 : NULL);
        }
    }
}

TARGET static void run(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                       int32_t *sums)
{
    if (l->ternary)
        work(l, x, n, y, y_row, y_plane, sums, l->words, 1);
    else
        work(l, x, n, y, y_row, y_plane, sums, l->words, 0);
}

TARGET static void compare(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out)
{
    const __m256i all = _mm256_set1_epi8((char)threshold);
    size_t k;

    if (!t && threshold > 255) {
        memset(out, 0, (n + 7) / 8);
        return;
    }
    for (k = 0; k + 32 <= n; k += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(p + k));
        const __m256i limit = t ? _mm256_loadu_si256((const __m256i *)(t + k)) : all;
        const int bits = _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(v, limit), v));

        memcpy(out + k / 8, &bits, 4);
    }
    if (k < n)
        qnn_scalar_compare(p + k, t ? t + k : NULL, threshold, n - k, out + k / 8);
}

TARGET static void pack1(const uint8_t *p, size_t n, uint8_t *out)
{
    size_t k;

    for (k = 0; k + 32 <= n; k += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(p + k));
        const int bits = _mm256_movemask_epi8(_mm256_slli_epi16(v, 7));

        memcpy(out + k / 8, &bits, 4);
    }
    if (k < n)
        qnn_scalar_pack1(p + k, n - k, out + k / 8);
}

const qnn_ops qnn_avx2 = {"avx2", usable, qnn_blocks_bytes, qnn_blocks_repack, run, compare, pack1};
#else
typedef int qnn_avx2_is_not_built;
#endif

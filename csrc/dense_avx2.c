/* AVX2: 4 neurons in the 64-bit lanes of a vector, popcounts by a table of 16 bytes (VPSHUFB). */
#include "dense.h"

#ifdef QNN_HAVE_AVX2
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,popcnt")))
#define INLINE static inline __attribute__((always_inline)) TARGET

/* Layout, also of AVX-512: block of 8 neurons, then word, then neuron; pad neurons 0. */
size_t qnn_dense_size_avx2(const qnn_layer *layer)
{
    return (size_t)layer->blocks * (size_t)layer->words * QNN_BLOCK * 8;
}

void qnn_dense_repack_avx2(const qnn_layer *layer, const uint8_t *weights, void *out)
{
    uint64_t *to = out;
    int block, k, lane;

    for (block = 0; block < layer->blocks; block++)
        for (k = 0; k < layer->words; k++)
            for (lane = 0; lane < QNN_BLOCK; lane++)
                *to++ = qnn_weight_word(layer, weights, block * QNN_BLOCK + lane, k);
}

INLINE int popcount_row(const uint64_t *x, int words)
{
    int k, sum = 0;

    for (k = 0; k < words; k++)
        sum += (int)_mm_popcnt_u64(x[k]);
    return sum;
}

/* `weight` times the number of set bits, per byte */
INLINE __m256i byte_counts(__m256i v, const int weight)
{
    const __m256i table = _mm256_setr_epi8(
        0, 1 * weight, 1 * weight, 2 * weight, 1 * weight, 2 * weight, 2 * weight, 3 * weight, 1 * weight, 2 * weight,
        2 * weight, 3 * weight, 2 * weight, 3 * weight, 3 * weight, 4 * weight, 0, 1 * weight, 1 * weight, 2 * weight,
        1 * weight, 2 * weight, 2 * weight, 3 * weight, 1 * weight, 2 * weight, 2 * weight, 3 * weight, 2 * weight,
        3 * weight, 3 * weight, 4 * weight);
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
                   int32_t *sums, const int levels)
{
    const int16_t *limits = l->limits[centre & 1] + (size_t)block * (size_t)levels * 8;

    if (levels == 1) {
        *y = (uint8_t)(below(a, limits) | below(b, limits + 4) << 4);
    } else if (levels == 2) {
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

/* Full adder on bits: sum += b + c, carry out. */
#define ADD(sum, carry, b, c)                                                                                      \
    do {                                                                                                           \
        const __m256i b_ = b, c_ = c, u_ = _mm256_xor_si256(sum, b_);                                              \
        carry = _mm256_or_si256(_mm256_and_si256(sum, b_), _mm256_and_si256(u_, c_));                              \
        sum = _mm256_xor_si256(u_, c_);                                                                            \
    } while (0)

/* Byte counts (at most 120) of `words` <= 15 words of 4 neurons. Adding bits before counting them costs 5
   operations for each word that goes away, counting it 7. */
INLINE __m256i tree(const uint64_t *w, const uint64_t *nz, const uint64_t *neg, const int words, const int ternary)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i ones, twos, fours, eights, c0, c1, f0, f1;

#define WORD(k)                                                                                                    \
    (k < words ? negatives(_mm256_load_si256((const __m256i *)(w + 8 * k)), _mm256_set1_epi64x((long long)nz[k]),  \
                           ternary ? _mm256_set1_epi64x((long long)neg[k]) : zero, ternary)                        \
               : zero)
    ones = WORD(0);
    ADD(ones, twos, WORD(1), WORD(2));
    ADD(ones, c0, WORD(3), WORD(4));
    ADD(ones, c1, WORD(5), WORD(6));
    ADD(twos, fours, c0, c1);
    ADD(ones, c0, WORD(7), WORD(8));
    ADD(ones, c1, WORD(9), WORD(10));
    ADD(twos, f0, c0, c1);
    ADD(ones, c0, WORD(11), WORD(12));
    ADD(ones, c1, WORD(13), WORD(14));
    ADD(twos, f1, c0, c1);
    ADD(fours, eights, f0, f1);
#undef WORD
    return _mm256_add_epi8(_mm256_add_epi8(byte_counts(ones, 1), byte_counts(twos, 2)),
                           _mm256_add_epi8(byte_counts(fours, 4), byte_counts(eights, 8)));
}

/* P - half of 4 neurons; fixed: the number of words when it is known, at most 16, else 0 */
INLINE __m256i count(const uint64_t *w, const uint64_t *nz, const uint64_t *neg, __m256i start, size_t words,
                     const int fixed, const int ternary)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i bytes;
    size_t k = 0;

    if (fixed) {
        bytes = tree(w, nz, neg, fixed < 15 ? fixed : 15, ternary);
        if (fixed == 16)
            bytes = _mm256_add_epi8(
                bytes, byte_counts(negatives(_mm256_load_si256((const __m256i *)(w + 120)),
                                             _mm256_set1_epi64x((long long)nz[15]),
                                             ternary ? _mm256_set1_epi64x((long long)neg[15]) : zero, ternary), 1));
        return _mm256_add_epi64(start, _mm256_sad_epu8(bytes, zero));
    }
    for (; k + 15 <= words; k += 15)
        start = _mm256_add_epi64(start, _mm256_sad_epu8(tree(w + 8 * k, nz + k, neg + k, 15, ternary), zero));
    bytes = zero;
    for (; k < words; k++)
        bytes = _mm256_add_epi8(
            bytes, byte_counts(negatives(_mm256_load_si256((const __m256i *)(w + 8 * k)),
                                         _mm256_set1_epi64x((long long)nz[k]),
                                         ternary ? _mm256_set1_epi64x((long long)neg[k]) : zero, ternary), 1));
    return _mm256_add_epi64(start, _mm256_sad_epu8(bytes, zero));
}

INLINE void work(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                 int32_t *sums, const int fixed, const int ternary, const int levels)
{
    const uint64_t *w = l->weights;
    const size_t row = (size_t)l->planes * l->stride, plane = l->stride, words = l->words;
    const int blocks = l->blocks;
    int centre[QNN_TILE], block;
    size_t i;

    for (i = 0; i < n; i++)
        centre[i] = ternary ? popcount_row(x + i * row, (int)words) : l->inputs;
    for (block = 0; block < blocks; block++, w += 8 * words) {
        for (i = 0; i < n; i++) {
            const uint64_t *nz = x + i * row, *neg = nz + plane;
            const __m256i start = _mm256_set1_epi64x(-(centre[i] >> 1));
            const __m256i a = count(w, nz, neg, start, words, fixed, ternary);
            const __m256i b = count(w + 4, nz, neg, start, words, fixed, ternary);

            finish(l, a, b, block, centre[i], y + i * y_row + block, y_plane,
                   sums ? sums + i * (size_t)l->outputs + (size_t)block * 8 : NULL, levels);
        }
    }
}

TARGET void qnn_dense_avx2(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                           int32_t *sums)
{
    const int words = sums ? 0 : l->words;

    if (words == 13 && !l->ternary && l->levels == 1)
        work(l, x, n, y, y_row, y_plane, NULL, 13, 0, 1);
    else if (words == 13 && !l->ternary && l->levels == 2)
        work(l, x, n, y, y_row, y_plane, NULL, 13, 0, 2);
    else if (words == 16 && !l->ternary && l->levels == 1)
        work(l, x, n, y, y_row, y_plane, NULL, 16, 0, 1);
    else if (words == 16 && l->ternary && l->levels == 1)
        work(l, x, n, y, y_row, y_plane, NULL, 16, 1, 1);
    else if (words == 16 && l->ternary && l->levels == 2)
        work(l, x, n, y, y_row, y_plane, NULL, 16, 1, 2);
    else if (l->ternary)
        work(l, x, n, y, y_row, y_plane, sums, 0, 1, l->levels);
    else
        work(l, x, n, y, y_row, y_plane, sums, 0, 0, l->levels);
}
#endif

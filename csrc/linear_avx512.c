/* Dense layers of a tail on AVX-512: VPOPCNTQ, and widening products that the compiler makes. */
#include "linear.h"

#ifdef QNN_HAVE_AVX512
#include <immintrin.h>

__attribute__((target("avx512f,avx512bw"))) void qnn_linear_products_avx512(const qnn_linear *l, const uint8_t *codes,
                                                                            int32_t *sums)
{
    qnn_linear_plain_products(l, codes, sums);
}

/* 8 outputs in the lanes, one plane of at most 8 after the other; 4 sums hide the adder's latency. */
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vpopcntdq"))) void
qnn_linear_counts_avx512(const qnn_linear *l, const uint64_t *planes, int32_t *sums)
{
    const uint64_t *w = l->weights;
    int o, k, p;

    for (o = 0; o < l->outputs; o += 8, w += (size_t)l->words * 8) {
        __m512i total = _mm512_setzero_si512();

        for (p = l->input_bits - 1; p >= 0; p -= 2) {
            const uint64_t *high = planes + (size_t)p * l->words, *low = high - (p ? l->words : 0);
            __m512i a0 = _mm512_setzero_si512(), a1 = a0, b0 = a0, b1 = a0;

            for (k = 0; k < l->words; k += 2) {
                const __m512i w0 = _mm512_loadu_si512(w + 8 * (size_t)k), w1 = _mm512_loadu_si512(w + 8 * (size_t)k + 8);

                _mm_prefetch((const char *)(w + 8 * (size_t)k + 512), _MM_HINT_T0);
                _mm_prefetch((const char *)(w + 8 * (size_t)k + 520), _MM_HINT_T0);
                a0 = _mm512_add_epi64(a0, _mm512_popcnt_epi64(_mm512_and_epi64(w0, _mm512_set1_epi64((long long)high[k]))));
                b0 = _mm512_add_epi64(b0, _mm512_popcnt_epi64(_mm512_and_epi64(w0, _mm512_set1_epi64((long long)low[k]))));
                a1 = _mm512_add_epi64(a1, _mm512_popcnt_epi64(_mm512_and_epi64(w1, _mm512_set1_epi64((long long)high[k + 1]))));
                b1 = _mm512_add_epi64(b1, _mm512_popcnt_epi64(_mm512_and_epi64(w1, _mm512_set1_epi64((long long)low[k + 1]))));
            }
            a0 = _mm512_add_epi64(a0, a1);
            b0 = _mm512_add_epi64(b0, b1);
            total = p ? _mm512_add_epi64(_mm512_slli_epi64(total, 2), _mm512_add_epi64(b0, _mm512_slli_epi64(a0, 1)))
                      : _mm512_add_epi64(_mm512_slli_epi64(total, 1), a0);
        }
        _mm256_storeu_si256((__m256i *)(sums + o), _mm512_cvtepi64_epi32(total));
    }
}
#endif

/* Dense layers of a tail on x86: POPCNT, VPOPCNTQ, and widening products that the compiler makes. */
#include "linear.h"

#ifdef QNN_HAVE_AVX2
#include <immintrin.h>

#define BYTES(name, isa)                                                                                           \
    __attribute__((target(isa))) static void name(const qnn_linear *l, const uint8_t *codes, int32_t *sums)        \
    {                                                                                                              \
        const int8_t *w = l->weights;                                                                              \
        int o, k;                                                                                                  \
                                                                                                                   \
        for (o = 0; o < l->outputs; o++, w += l->row) {                                                            \
            int32_t sum = 0;                                                                                       \
                                                                                                                   \
            for (k = 0; k < l->row; k++)                                                                           \
                sum += w[k] * codes[k];                                                                            \
            sums[o] = sum;                                                                                         \
        }                                                                                                          \
    }

BYTES(avx2_bytes, "avx2")

__attribute__((target("avx2,popcnt"))) static void avx2_bits(const qnn_linear *l, const uint64_t *planes,
                                                             int32_t *sums)
{
    const uint64_t *w = l->weights;
    int o, k, p;

    for (o = 0; o < l->outputs; o++, w += l->words) {
        uint64_t sum = 0;

        for (p = 0; p < l->input_bits; p++) {
            const uint64_t *x = planes + (size_t)p * l->words;
            uint64_t a = 0, b = 0;

            for (k = 0; k < l->words; k += 4) {
                a += (uint64_t)_mm_popcnt_u64(w[k] & x[k]) + (uint64_t)_mm_popcnt_u64(w[k + 1] & x[k + 1]);
                b += (uint64_t)_mm_popcnt_u64(w[k + 2] & x[k + 2]) + (uint64_t)_mm_popcnt_u64(w[k + 3] & x[k + 3]);
            }
            sum += (a + b) << p;
        }
        sums[o] = (int32_t)sum;
    }
}

const qnn_linear_kernel qnn_linear_avx2 = {1, avx2_bits, avx2_bytes};

#ifdef QNN_HAVE_AVX512
BYTES(avx512_bytes, "avx512f,avx512bw")

/* 8 outputs in the lanes, one plane of at most 8 after the other; 4 sums hide the adder's latency. */
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vpopcntdq"))) static void
avx512_bits(const qnn_linear *l, const uint64_t *planes, int32_t *sums)
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

const qnn_linear_kernel qnn_linear_avx512 = {8, avx512_bits, avx512_bytes};
#endif
#endif

/* Dense layers of a tail on AVX2: POPCNT, and widening products that the compiler makes. */
#include "linear.h"

#ifdef QNN_HAVE_AVX2
#include <immintrin.h>

__attribute__((target("avx2"))) void qnn_linear_products_avx2(const qnn_linear *l, const uint8_t *codes, int32_t *sums)
{
    qnn_linear_plain_products(l, codes, sums);
}

__attribute__((target("avx2,popcnt"))) void qnn_linear_counts_avx2(const qnn_linear *l, const uint64_t *planes,
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
#endif

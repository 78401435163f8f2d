/* Bytes to bits on AVX2: the sign bits of 32 bytes at a time. */
#include <string.h>
#include "kernels.h"

#ifdef QNN_HAVE_AVX2
#include <immintrin.h>

#define TARGET __attribute__((target("avx2")))

TARGET void qnn_compare_avx2(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out)
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
        qnn_compare_scalar(p + k, t ? t + k : NULL, threshold, n - k, out + k / 8);
}

TARGET void qnn_pack_avx2(const uint8_t *p, size_t n, uint8_t *out)
{
    size_t k;

    for (k = 0; k + 32 <= n; k += 32) {
        const __m256i v = _mm256_loadu_si256((const __m256i *)(p + k));
        const int bits = _mm256_movemask_epi8(_mm256_slli_epi16(v, 7));

        memcpy(out + k / 8, &bits, 4);
    }
    if (k < n)
        qnn_pack_scalar(p + k, n - k, out + k / 8);
}
#endif

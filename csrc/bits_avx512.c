/* Bytes to bits on AVX-512: the comparisons make masks. */
#include <string.h>
#include "kernels.h"

#ifdef QNN_HAVE_AVX512
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vpopcntdq,popcnt")))

TARGET void qnn_compare_avx512(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out)
{
    const __m512i all = _mm512_set1_epi8((char)threshold);
    size_t k;
    uint64_t bits;

    if (!t && threshold > 255) { /* no pixel reaches it */
        memset(out, 0, (n + 7) / 8);
        return;
    }
    for (k = 0; k + 64 <= n; k += 64) {
        bits = _mm512_cmpge_epu8_mask(_mm512_loadu_si512(p + k), t ? _mm512_loadu_si512(t + k) : all);
        memcpy(out + k / 8, &bits, 8);
    }
    if (k < n) {
        const __mmask64 some = (UINT64_C(1) << (n - k)) - 1;

        bits = _mm512_mask_cmpge_epu8_mask(some, _mm512_maskz_loadu_epi8(some, p + k),
                                           t ? _mm512_maskz_loadu_epi8(some, t + k) : all);
        memcpy(out + k / 8, &bits, (n - k + 7) / 8);
    }
}

TARGET void qnn_pack_avx512(const uint8_t *p, size_t n, uint8_t *out)
{
    const __m512i one_bit = _mm512_set1_epi8(1);
    size_t k;
    uint64_t bits;

    for (k = 0; k + 64 <= n; k += 64) {
        bits = _mm512_test_epi8_mask(_mm512_loadu_si512(p + k), one_bit);
        memcpy(out + k / 8, &bits, 8);
    }
    if (k < n) {
        const __mmask64 some = (UINT64_C(1) << (n - k)) - 1;

        bits = _mm512_test_epi8_mask(_mm512_maskz_loadu_epi8(some, p + k), one_bit);
        memcpy(out + k / 8, &bits, (n - k + 7) / 8);
    }
}
#endif

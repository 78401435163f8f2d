/* 1-bit convolutions on AVX2: tables of 4 channels, 32 outputs by one VPSHUFB. */
#include <string.h>
#include "conv.h"

#ifdef QNN_HAVE_AVX2
#include <immintrin.h>

#define NAME "avx2 lookup"
#define TARGET __attribute__((target("avx2")))
#define MAXIMUM qnn_maximum_avx2
#define KEEP(v) __asm__("" : "+x"(v))
#define VEC __m256i
#define REGISTER VEC
#define LANES 32
#define GROUP 4
#define TABLE 16
#define PIXELS 4
#define CACHE 28000
#define PER_SET 2
#define PAIRS 1
#define PAIR_RUN 1
#define UPPER 0 /* the upper half of a VPSHUFB has a table of its own anyway */
#define ZERO _mm256_setzero_si256()
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(p), v)
#define TAB(t) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(t)))
#define KEEP_TABLE KEEP
#define LOOK(t, i) _mm256_shuffle_epi8(t, i)
#define PAIRLOOK(a, b, at, i) _mm256_shuffle_epi8(LOAD(at), i)
#define ADD8 _mm256_add_epi8
#define ADD16 _mm256_add_epi16
#define SUB16 _mm256_sub_epi16
#define TWICE16(v) _mm256_add_epi16(v, v)
#define HIGH16(v) _mm256_srli_epi16(v, 8)
#define LIFT16(v) _mm256_slli_epi16(v, 8)
#define SET16(n) _mm256_set1_epi16((short)(n))
#define BELOW16(n, a, b) _mm256_add_epi16(n, _mm256_cmpgt_epi16(a, b))
#define JOIN(a, b) _mm256_or_si256(a, _mm256_slli_epi16(b, 8))
#define XOR _mm256_xor_si256
#define SWAP(v) _mm256_permute2x128_si256(v, v, 1)
#define MAKE(to, a, b)                                                                                             \
    _mm_storeu_si128((__m128i *)(to), _mm_add_epi8(four(a), _mm_shuffle_epi8(four(b), _mm_set_epi32(               \
        0x03030303, 0x02020202, 0x01010101, 0))))

TARGET static inline __attribute__((always_inline)) __m128i four(const void *from)
{
    int32_t bytes;

    memcpy(&bytes, from, 4);
    return _mm_set1_epi32(bytes);
}

#include "conv_lookup.h"

TARGET void qnn_maximum_avx2(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t k;

    for (k = 0; k + LANES <= n; k += LANES)
        STORE(to + k, _mm256_max_epu8(LOAD(a + k), LOAD(b + k)));
    qnn_maximum_scalar(to + k, a + k, b + k, n - k);
}

const qnn_conv_kernel *qnn_conv_avx2(const qnn_conv *c)
{
    if (c->s.weight_bits != 1)
        return qnn_conv_wide_avx2(c);
    return fits(c) ? &lookup : NULL;
}
#endif

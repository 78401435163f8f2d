/* 1-bit convolutions on AVX-512: tables of 6 channels, 64 outputs by one VPERMB. */
#include <string.h>
#include "conv.h"

#ifdef QNN_HAVE_AVX512
#include <immintrin.h>

#define NAME "avx512 lookup"
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vbmi")))
#define KEEP(v) __asm__("" : "+v"(v)) /* gcc would fold loads back and build trees that spill */
#define VEC __m512i
#define LANES 64
#define GROUP 6
#define TABLE 64
#define TILE 8
#define PAIRS 1
#define UPPER 64
#define ZERO _mm512_setzero_si512()
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define LOOKUP(i, t) _mm512_permutexvar_epi8(i, LOAD(t))
#define PAIRLOOK(i, t) _mm512_permutex2var_epi8(LOAD(t), i, LOAD((t) + 64))
#define ADD8 _mm512_add_epi8
#define ADD16 _mm512_add_epi16
#define SUB16 _mm512_sub_epi16
#define TWICE16(v) _mm512_add_epi16(v, v)
#define EVEN16(v) _mm512_and_si512(v, _mm512_set1_epi16(255))
#define ODD16(v) _mm512_srli_epi16(v, 8)
#define SET16(n) _mm512_set1_epi16((short)(n))
#define GREATER16(a, b) _mm512_movm_epi16(_mm512_cmpgt_epi16_mask(a, b))
#define JOIN(a, b) _mm512_or_si512(a, _mm512_slli_epi16(b, 8))
#define XOR _mm512_xor_si512
#define SWAP(v) _mm512_shuffle_i64x2(v, v, 0x4e)
#define MAKE(to, a, b) STORE(to, _mm512_add_epi8(eight(a), _mm512_shuffle_epi8(eight(b), spread())))

TARGET static inline __attribute__((always_inline)) __m512i eight(const void *from)
{
    int64_t bytes;

    memcpy(&bytes, from, 8);
    return _mm512_set1_epi64(bytes);
}

/* lane w: w >> 3 */
TARGET static inline __attribute__((always_inline)) __m512i spread(void)
{
    const __m512i eights = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);

    return _mm512_shuffle_epi8(eights, _mm512_set_epi64(0x0808080808080808, 0, 0x0808080808080808, 0,
                                                        0x0808080808080808, 0, 0x0808080808080808, 0));
}

#include "conv_lookup.h"

const qnn_conv_kernel *qnn_conv_avx512(const qnn_conv *c)
{
    __builtin_cpu_init();
    if (c->s.weight_bits != 1)
        return qnn_wide_avx512(c);
    return fits(c) && __builtin_cpu_supports("avx512vbmi") ? &lookup : NULL;
}
#endif

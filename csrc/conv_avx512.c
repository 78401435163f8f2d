/* 1-bit convolutions on AVX-512: tables of 6 channels, 64 outputs by one VPERMB. */
#include <string.h>
#include "conv.h"

#ifdef QNN_HAVE_AVX512
#include <immintrin.h>

#define NAME "avx512 lookup"
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vbmi")))
#define MAXIMUM maximum
#define KEEP(v) __asm__("" : "+v"(v)) /* gcc would fold loads back and build trees that spill */
#define VEC __m512i
#define LANES 64
#define GROUP 6
#define TABLE 64
#define PIXELS 8
#define CACHE 40000
#define PER_SET 2
#define PAIRS 1
#define PAIR_RUN 2
#define UPPER 64
#define ZERO _mm512_setzero_si512()
#define LOAD(p) _mm512_loadu_si512(p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define STORE_SOME(p, v, n) _mm512_mask_storeu_epi8(p, (UINT64_C(1) << (n)) - 1, v)
#define ADD8 _mm512_add_epi8
#define ADD16 _mm512_add_epi16
#define SUB16 _mm512_sub_epi16
#define TWICE16(v) _mm512_add_epi16(v, v)
#define HIGH16(v) _mm512_srli_epi16(v, 8)
#define LIFT16(v) _mm512_slli_epi16(v, 8)
#define SET16(n) _mm512_set1_epi16((short)(n))
#define BELOW16(n, a, b) _mm512_mask_sub_epi16(n, _mm512_cmpgt_epi16_mask(a, b), n, _mm512_set1_epi16(1))
#define JOIN(a, b) _mm512_or_si512(a, _mm512_slli_epi16(b, 8))
#define XOR _mm512_xor_si512
#define SWAP(v) _mm512_shuffle_i64x2(v, v, 0x4e)

TARGET static void maximum(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t k;

    for (k = 0; k + LANES <= n; k += LANES)
        STORE(to + k, _mm512_max_epu8(LOAD(a + k), LOAD(b + k)));
    if (k < n) {
        const __mmask64 some = (UINT64_C(1) << (n - k)) - 1;

        _mm512_mask_storeu_epi8(to + k, some, _mm512_max_epu8(_mm512_maskz_loadu_epi8(some, a + k),
                                                              _mm512_maskz_loadu_epi8(some, b + k)));
    }
}

#define SPREAD(n, v) _mm512_permutexvar_epi8(n, v)
#define FOUND(bits, n, v) _mm512_maskz_permutexvar_epi8(UINT64_C(bits), n, v)

/*
 * 8 tables at a time, all in registers: the 8 sums that 3 codes can have, for the tables in 8 lanes of 64 bits, and
 * of the other 3 codes; then each table from two of these lanes.
 */
TARGET static inline __attribute__((always_inline)) unsigned
make_tables(const qnn_conv *c, const uint8_t *p, const uint8_t *end, int codes, int tables, uint8_t *to)
{
    const __m512i mask = _mm512_set1_epi8((char)((1 << c->s.input_bits) - 1)), one = _mm512_set1_epi8(1);
    const __m512i eights = _mm512_set1_epi8(8);
    const __m512i lane = _mm512_set_epi64(0x0707070707070707, 0x0606060606060606, 0x0505050505050505,
                                          0x0404040404040404, 0x0303030303030303, 0x0202020202020202,
                                          0x0101010101010101, 0);
    const __m512i first = _mm512_add_epi8(_mm512_add_epi8(lane, lane), _mm512_slli_epi64(lane, 2)); /* of 6 codes */
    __m512i sum = _mm512_setzero_si512();

    (void)end;
    for (; tables > 0; p += 48, codes -= 48, tables -= 8) {
        const int many = tables < 8 ? tables : 8;
        const int count = codes < many * GROUP ? codes : many * GROUP;
        const __m512i v = _mm512_and_si512(_mm512_maskz_loadu_epi8((UINT64_C(1) << count) - 1, p), mask);
        __m512i n = first, a, b, of_a = _mm512_set1_epi64(0x0706050403020100), of_b = lane;
        int k;

        a = FOUND(0xaaaaaaaaaaaaaaaa, n, v);
        n = _mm512_add_epi8(n, one);
        a = _mm512_add_epi8(a, FOUND(0xcccccccccccccccc, n, v));
        n = _mm512_add_epi8(n, one);
        a = _mm512_add_epi8(a, FOUND(0xf0f0f0f0f0f0f0f0, n, v));
        n = _mm512_add_epi8(n, one);
        b = FOUND(0xaaaaaaaaaaaaaaaa, n, v);
        n = _mm512_add_epi8(n, one);
        b = _mm512_add_epi8(b, FOUND(0xcccccccccccccccc, n, v));
        n = _mm512_add_epi8(n, one);
        b = _mm512_add_epi8(b, FOUND(0xf0f0f0f0f0f0f0f0, n, v));
        sum = _mm512_add_epi64(sum, _mm512_sad_epu8(v, _mm512_setzero_si512()));
        for (k = 0; k < many; k++, to += TABLE) {
            _mm512_storeu_si512(to, _mm512_add_epi8(SPREAD(of_a, a), SPREAD(of_b, b)));
            of_a = _mm512_add_epi8(of_a, eights);
            of_b = _mm512_add_epi8(of_b, eights);
        }
    }
    return (unsigned)_mm512_reduce_add_epi64(sum);
}
#define MAKE_TABLES make_tables

struct work;
static void some_pixels(const struct work *t, int pixels, int full, int pair);
#define SOME_PIXELS some_pixels

#include "conv_lookup.h"
#include "conv_tile_avx512.h"

const qnn_conv_kernel *qnn_conv_avx512(const qnn_conv *c)
{
    __builtin_cpu_init();
    if (c->s.weight_bits != 1)
        return qnn_conv_wide_avx512(c);
    return fits(c) && __builtin_cpu_supports("avx512vbmi") ? &lookup : NULL;
}
#endif

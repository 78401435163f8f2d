/* Convolutions of pixels on AVX2: VPMADDWD, and fused multiply-adds for floats. */
#include <string.h>
#include "conv.h"

#ifdef QNN_HAVE_AVX2
#include <immintrin.h>

#define MAXIMUM qnn_maximum_avx2
#define KEEP(v) __asm__("" : "+x"(v)) /* gcc would fold the loads back into every use */
#define PAIR(p) (((const union pair *)(p))->both)

/* two 16-bit values that are taken as one */
union pair {
    int16_t each[2];
    int32_t both;
} __attribute__((packed, may_alias));

#define FN(n) shorts_##n
#define NAME "avx2 16-bit"
#define TARGET __attribute__((target("avx2,fma")))
#define ELEMENT int16_t
#define PIXEL uint8_t
#define SUM int32_t
#define STEP 2
#define LANES 8
#define VEC __m256i
#define ACC __m256i
#define NONE _mm256_setzero_si256()
#define LOADW(p) _mm256_loadu_si256((const __m256i *)(p))
#define SPREAD(p) _mm256_set1_epi32(PAIR(p))
#define DOT(s, w, x) _mm256_add_epi32(s, _mm256_madd_epi16(w, x))
#define SAVE(p, s) _mm256_storeu_si256((__m256i *)(p), s)
#define REACHED(s, t) (s) >= (t)
#define PIXELS 4
#define BLOCKS 2
#define MOST 0
#include "conv_wide.h"

#define FN(n) floats_##n
#define NAME "avx2 float"
#define TARGET __attribute__((target("avx2,fma")))
#define ELEMENT float
#define PIXEL float
#define SUM float
#define STEP 1
#define LANES 8
#define VEC __m256
#define ACC __m256
#define NONE _mm256_setzero_ps()
#define LOADW(p) _mm256_loadu_ps(p)
#define SPREAD(p) _mm256_set1_ps(*(p))
#define DOT(s, w, x) _mm256_fmadd_ps(w, x, s)
#define SAVE(p, s) _mm256_storeu_ps(p, s)
#define REACHED(s, t) (s) > (t)
#define PIXELS 4
#define BLOCKS 2
#define MOST 0
#include "conv_wide.h"

const qnn_conv_kernel *qnn_conv_wide_avx2(const qnn_conv *c)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("fma") ? qnn_conv_wide(c, &shorts_kernel, &floats_kernel) : NULL;
}
#endif

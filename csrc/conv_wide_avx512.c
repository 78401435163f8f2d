/* Convolutions of pixels on AVX-512: VPDPWSSD, and fused multiply-adds for floats. */
#include <string.h>
#include "conv.h"

#ifdef QNN_HAVE_AVX512
#include <immintrin.h>

#define MAXIMUM qnn_maximum_avx2

/*
 * Whole tiles in assembly, 24 and 18 sums in registers: what gcc makes of such loops differs from version to version.
 * A step multiplies 4 vectors of weights with 6 pixels, or one vector with 18; where that has at most 4 outputs, 4
 * steps are one. The places of a step's pixels are 0, p, 2p, 3p, 4p, 5p bytes behind that of the first one.
 */
#define LINE(text) text "\n\t"
#define PIXEL4(dot, at, x, a, b, c, d)                                                                             \
    LINE("vpbroadcastd " at ", %%zmm" x)                                                                           \
    LINE(dot " %%zmm" x ", %%zmm24, %%zmm" a) LINE(dot " %%zmm" x ", %%zmm25, %%zmm" b)                            \
    LINE(dot " %%zmm" x ", %%zmm26, %%zmm" c) LINE(dot " %%zmm" x ", %%zmm27, %%zmm" d)
#define PIXEL1(dot, spread, at, x, a) LINE(spread " " at ", %%zmm" x) LINE(dot " %%zmm" x ", %%zmm24, %%zmm" a)
#define SIX(dot, spread, r, a, b, c, d, e, f)                                                                      \
    PIXEL1(dot, spread, "(" r ")", "25", a)                                                                        \
    PIXEL1(dot, spread, "(" r ",%[p])", "26", b)                                                                   \
    PIXEL1(dot, spread, "(" r ",%[p],2)", "27", c)                                                                 \
    PIXEL1(dot, spread, "(" r ",%[p3])", "28", d)                                                                  \
    PIXEL1(dot, spread, "(" r ",%[p],4)", "29", e)                                                                 \
    PIXEL1(dot, spread, "(" r ",%[p5])", "30", f)
#define STEP4(dot)                                                                                                 \
    LINE("vmovdqu64 (%[w]), %%zmm24") LINE("vmovdqu64 64(%[w]), %%zmm25")                                          \
    LINE("vmovdqu64 128(%[w]), %%zmm26") LINE("vmovdqu64 192(%[w]), %%zmm27") LINE("add $256, %[w]")               \
    PIXEL4(dot, "(%%rax)", "28", "0", "1", "2", "3")                                                               \
    PIXEL4(dot, "(%%rax,%[p])", "29", "4", "5", "6", "7")                                                          \
    PIXEL4(dot, "(%%rax,%[p],2)", "30", "8", "9", "10", "11")                                                      \
    PIXEL4(dot, "(%%rax,%[p3])", "31", "12", "13", "14", "15")                                                     \
    PIXEL4(dot, "(%%rax,%[p],4)", "28", "16", "17", "18", "19")                                                    \
    PIXEL4(dot, "(%%rax,%[p5])", "29", "20", "21", "22", "23")
#define STEP1(dot, spread)                                                                                         \
    LINE("lea (%%rax,%[p3],2), %%rcx") LINE("lea (%%rcx,%[p3],2), %%rdx")                                          \
    LINE("vmovdqu64 (%[w]), %%zmm24") LINE("add $64, %[w]")                                                        \
    SIX(dot, spread, "%%rax", "0", "1", "2", "3", "4", "5")                                                        \
    SIX(dot, spread, "%%rcx", "6", "7", "8", "9", "10", "11")                                                      \
    SIX(dot, spread, "%%rdx", "12", "13", "14", "15", "16", "17")
#define CLEAR(n) LINE("vpxord %%zmm" #n ", %%zmm" #n ", %%zmm" #n)
#define SAVE_ONE(n) LINE("vmovdqu64 %%zmm" #n ", 64*" #n "(%[to])")
#define ALL18(DO)                                                                                                  \
    DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15) DO(16) DO(17)
#define ALL24(DO) ALL18(DO) DO(18) DO(19) DO(20) DO(21) DO(22) DO(23)
#define LOOP(step, all)                                                                                            \
    __asm__ volatile(all(CLEAR) LINE("1:") LINE("movslq (%[at]), %%rax") LINE("add $4, %[at]")                     \
                     LINE("add %[first], %%rax") step LINE("dec %[n]") LINE("jnz 1b") all(SAVE_ONE)                \
                     : [w] "+r"(w), [at] "+r"(at), [n] "+r"(n)                                                     \
                     : [first] "r"(first), [p] "r"(p), [p3] "r"(3 * p), [p5] "r"(5 * p), [to] "r"(to)              \
                     : "rax", "rcx", "rdx", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",        \
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",       \
                       "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",   \
                       "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31")
#define TILES_OF(name, dot)                                                                                        \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"), noinline)) static void name(                    \
        int blocks, const void *w, const void *first, const int32_t *at, long n, size_t p, void *to)               \
    {                                                                                                              \
        if (blocks == 4)                                                                                           \
            LOOP(STEP4(dot), ALL24);                                                                               \
        else if (blocks)                                                                                           \
            LOOP(STEP1(dot, "vpbroadcastd"), ALL18);                                                               \
        else                                                                                                       \
            LOOP(STEP1(dot, "vbroadcasti32x4"), ALL18);                                                            \
    }
TILES_OF(tiles_of_shorts, "vpdpwssd")
TILES_OF(tiles_of_floats, "vfmadd231ps")

#define CODES_OF(name, sum, load, reached)                                                                         \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) static inline void name(                       \
        const sum *sums, const sum *limits, size_t step, int levels, const uint8_t *invert, int n, uint8_t *out)   \
    {                                                                                                              \
        const __mmask16 some = (__mmask16)((1u << n) - 1);                                                         \
        __m512i code = _mm512_setzero_si512();                                                                     \
        int t;                                                                                                     \
                                                                                                                   \
        for (t = 0; t < levels; t++, limits += step)                                                               \
            code = _mm512_mask_add_epi32(code, reached(load(sums), load(limits)), code, _mm512_set1_epi32(1));     \
        _mm_mask_storeu_epi8(out, some, _mm_xor_si128(_mm512_cvtepi32_epi8(code),                                  \
                                                      _mm_maskz_loadu_epi8(some, invert)));                        \
    }
#define ABOVE(a, b) _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ)
CODES_OF(codes_of_shorts, int32_t, _mm512_loadu_si512, _mm512_cmpge_epi32_mask)
CODES_OF(codes_of_floats, float, _mm512_loadu_ps, ABOVE)
/* Four sums that belong to an output lie side by side. */
__attribute__((target("avx512f"))) static inline void gathered(int32_t *sums, int many)
{
    for (; many > 0; many--, sums += 16) {
        __m512i v = _mm512_loadu_si512(sums);

        v = _mm512_add_epi32(v, _mm512_shuffle_epi32(v, _MM_PERM_BADC));
        v = _mm512_add_epi32(v, _mm512_shuffle_epi32(v, _MM_PERM_CDAB));
        _mm512_storeu_si512(sums, _mm512_maskz_compress_epi32(0x1111, v));
    }
}

#define FN(n) shorts_##n
#define NAME "avx512 16-bit"
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define ELEMENT int16_t
#define PIXEL uint8_t
#define SUM int32_t
#define STEP 2
#define LANES 16
#define REACHED(s, t) (s) >= (t)
#define PIXELS 6
#define BLOCKS 4
#define MOST 18
#define TILES tiles_of_shorts
#define NARROW 4
#define GATHER gathered
#define CODES codes_of_shorts
#include "conv_wide.h"

#define FN(n) floats_##n
#define NAME "avx512 float"
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define ELEMENT float
#define PIXEL float
#define SUM float
#define STEP 1
#define LANES 16
#define REACHED(s, t) (s) > (t)
#define PIXELS 6
#define BLOCKS 4
#define MOST 18
#define TILES tiles_of_floats
#define CODES codes_of_floats
#include "conv_wide.h"

const qnn_conv_kernel *qnn_conv_wide_avx512(const qnn_conv *c)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512vnni") || !__builtin_cpu_supports("avx512vl"))
        return NULL;
    return qnn_conv_wide(c, &shorts_kernel, &floats_kernel);
}
#endif

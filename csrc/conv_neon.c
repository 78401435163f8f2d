/* 1-bit convolutions on ARM: tables of 4 channels, 16 outputs by VTBL. */
#include <string.h>
#include "conv.h"

#ifdef QNN_HAVE_NEON
#include "neon.h"

#define MAXIMUM qnn_maximum_neon
#define KEEP(v) __asm__("" : "+w"(v))
#if defined(__aarch64__)
#define PIXELS 4
#define REGISTER uint8x16_t
#define TAB(t) vld1q_u8(t)
#define LOOK(t, i) vqtbl1q_u8(t, i)
#else
#define PIXELS 4
#define REGISTER uint8x8x2_t
static inline __attribute__((always_inline)) uint8x8x2_t two(const uint8_t *t)
{
    const uint8x16_t table = vld1q_u8(t);
    const uint8x8x2_t both = {{vget_low_u8(table), vget_high_u8(table)}};

    return both;
}
#define TAB two
#define LOOK(t, i) vcombine_u8(vtbl2_u8(t, vget_low_u8(i)), vtbl2_u8(t, vget_high_u8(i)))
#endif
#define KEEP_TABLE(t) (void)(t)
#define S16(v) vreinterpretq_s16_u8(v)
#define U16(v) vreinterpretq_u16_u8(v)
#define NAME "neon lookup"
#define TARGET
#define VEC uint8x16_t
#define LANES 16
#define GROUP 4
#define TABLE 16
#define CACHE 24000
#define PER_SET 2
#define PAIRS 0
#define PAIR_RUN 1
#define UPPER 0
#define ZERO vdupq_n_u8(0)
#define LOAD(p) vld1q_u8(p)
#define STORE(p, v) vst1q_u8(p, v)
#define PAIRLOOK(a, b, at, i) LOOK(a, i)
#define ADD8 vaddq_u8
#define ADD16(a, b) vreinterpretq_u8_u16(vaddq_u16(U16(a), U16(b)))
#define SUB16(a, b) vreinterpretq_u8_u16(vsubq_u16(U16(a), U16(b)))
#define TWICE16(v) ADD16(v, v)
#define HIGH16(v) vreinterpretq_u8_u16(vshrq_n_u16(U16(v), 8))
#define LIFT16(v) vreinterpretq_u8_u16(vshlq_n_u16(U16(v), 8))
#define SET16(n) vreinterpretq_u8_u16(vdupq_n_u16((uint16_t)(n)))
#define BELOW16(n, a, b) ADD16(n, vreinterpretq_u8_u16(vcgtq_s16(S16(a), S16(b))))
#define JOIN(a, b) vreinterpretq_u8_u16(vorrq_u16(U16(a), vshlq_n_u16(U16(b), 8)))
#define XOR veorq_u8
#define SWAP(v) (v)
#define MAKE make

/* Lane w: a[w & 3] + b[w >> 2]. */
static inline __attribute__((always_inline)) void make(uint8_t *to, const void *a, const void *b)
{
    uint32_t low, high;
    uint8x8_t bytes;

    memcpy(&low, a, 4);
    memcpy(&high, b, 4);
    bytes = vreinterpret_u8_u32(vdup_n_u32(high));
    bytes = vzip_u8(bytes, bytes).val[0]; /* 0 0 1 1 2 2 3 3 */
    vst1q_u8(to, vaddq_u8(vreinterpretq_u8_u32(vdupq_n_u32(low)),
                          vcombine_u8(vzip_u8(bytes, bytes).val[0], vzip_u8(bytes, bytes).val[1])));
}

#include "conv_lookup.h"

void qnn_maximum_neon(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t k;

    for (k = 0; k + LANES <= n; k += LANES)
        STORE(to + k, vmaxq_u8(LOAD(a + k), LOAD(b + k)));
    qnn_maximum_scalar(to + k, a + k, b + k, n - k);
}

const qnn_conv_kernel *qnn_conv_neon(const qnn_conv *c)
{
    if (c->s.weight_bits != 1)
        return qnn_conv_wide_neon(c);
    return fits(c) ? &lookup : NULL;
}
#endif

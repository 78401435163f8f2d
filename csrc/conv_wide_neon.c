/* Convolutions of pixels on ARM: VMLAL for 16-bit weights, VMLA for floats. */
#include <string.h>
#include "conv.h"

#ifdef QNN_HAVE_NEON
#include "neon.h"

#define MAXIMUM qnn_maximum_neon
#define KEEP(v) (void)(v)

/*
 * A tile of 4 pixels and 2 vectors of 4 outputs, or of one vector. A step takes 4 values of each pixel's row; they are
 * multiplied with weights by their lane.
 */
#define SUMS int32x4_t a0 = vdupq_n_s32(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
/* pointers that only step forward: each becomes part of its load */
#define STEPPED(p) __asm__("" : "+r"(p))
#define VALUE(x)                                                                                                   \
    x = vld1_s16(e);                                                                                               \
    e += p;                                                                                                        \
    STEPPED(e);
#define VALUES                                                                                                     \
    const int16_t *e = (const int16_t *)((const char *)first + *at);                                               \
    int16x4_t x0, x1, x2, x3;                                                                                      \
    VALUE(x0) VALUE(x1) VALUE(x2) VALUE(x3)
#define TWO(i)                                                                                                     \
    v = vld1q_s16(w);                                                                                              \
    a0 = vmlal_lane_s16(a0, vget_low_s16(v), x0, i);                                                               \
    b0 = vmlal_lane_s16(b0, vget_high_s16(v), x0, i);                                                              \
    a1 = vmlal_lane_s16(a1, vget_low_s16(v), x1, i);                                                               \
    b1 = vmlal_lane_s16(b1, vget_high_s16(v), x1, i);                                                              \
    a2 = vmlal_lane_s16(a2, vget_low_s16(v), x2, i);                                                               \
    b2 = vmlal_lane_s16(b2, vget_high_s16(v), x2, i);                                                              \
    a3 = vmlal_lane_s16(a3, vget_low_s16(v), x3, i);                                                               \
    b3 = vmlal_lane_s16(b3, vget_high_s16(v), x3, i);                                                              \
    w += 8;                                                                                                        \
    STEPPED(w);
#define ONE(i)                                                                                                     \
    u = vld1_s16(w);                                                                                               \
    a0 = vmlal_lane_s16(a0, u, x0, i);                                                                             \
    a1 = vmlal_lane_s16(a1, u, x1, i);                                                                             \
    a2 = vmlal_lane_s16(a2, u, x2, i);                                                                             \
    a3 = vmlal_lane_s16(a3, u, x3, i);                                                                             \
    w += 4;                                                                                                        \
    STEPPED(w);
#define PUT(n, s) vst1q_s32(to + 4 * (n), s);

static void tiles_of_shorts(int blocks, const int16_t *w, const int16_t *first, const int32_t *at, long n, size_t p,
                            int32_t *to)
{
    const int32_t *const end = at + n;
    int16x8_t v;
    int16x4_t u;
    SUMS

    p /= sizeof *w;
    if (blocks == 2) {
        for (; at < end; at++) {
            VALUES
            TWO(0) TWO(1) TWO(2) TWO(3)
        }
        PUT(0, a0) PUT(1, b0) PUT(2, a1) PUT(3, b1) PUT(4, a2) PUT(5, b2) PUT(6, a3) PUT(7, b3)
    } else {
        for (; at < end; at++) {
            VALUES
            ONE(0) ONE(1) ONE(2) ONE(3)
        }
        PUT(0, a0) PUT(1, a1) PUT(2, a2) PUT(3, a3)
    }
}

static inline void codes_of_shorts(const int32_t *sums, const int32_t *limits, size_t step, int levels,
                                   const uint8_t *invert, int n, uint8_t *out)
{
    const int32x4_t v = vld1q_s32(sums);
    uint32x4_t code = vdupq_n_u32(0);
    uint16_t some[4];
    int t;

    for (t = 0; t < levels; t++, limits += step) /* a true comparison is -1 */
        code = vsubq_u32(code, vcgeq_s32(v, vld1q_s32(limits)));
    vst1_u16(some, vmovn_u32(code));
    for (t = 0; t < n; t++)
        out[t] = (uint8_t)some[t] ^ invert[t];
}

#define FN(n) shorts_##n
#define NAME "neon 16-bit"
#define TARGET
#define ELEMENT int16_t
#define PIXEL uint8_t
#define SUM int32_t
#define STEP 4
#define LANES 4
#define REACHED(s, t) (s) >= (t)
#define PIXELS 4
#define BLOCKS 2
#define MOST 4
#define PLACE(n, j, lane, i) (((i) * (n) + (j)) * LANES + (lane))
#define TILES tiles_of_shorts
#define CODES codes_of_shorts
#include "conv_wide.h"

#define FN(n) floats_##n
#define NAME "neon float"
#define TARGET
#define ELEMENT float
#define PIXEL float
#define SUM float
#define STEP 1
#define LANES 4
#define VEC float32x4_t
#define ACC float32x4_t
#define NONE vdupq_n_f32(0)
#define LOADW(p) vld1q_f32(p)
#define SPREAD(p) vld1q_dup_f32(p)
#define DOT(s, w, x) vmlaq_f32(s, w, x)
#define SAVE(p, s) vst1q_f32(p, s)
#define REACHED(s, t) (s) > (t)
#define PIXELS 2
#define BLOCKS 4
#define MOST 0
#include "conv_wide.h"

const qnn_conv_kernel *qnn_conv_wide_neon(const qnn_conv *c)
{
    return qnn_conv_wide(c, &shorts_kernel, &floats_kernel);
}
#endif

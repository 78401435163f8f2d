/* Convolutions of pixels on ARM: VMLAL for 16-bit weights, VMLA for floats. */
#include <string.h>
#include "conv.h"

#ifdef QNN_HAVE_NEON
#if defined(__arm__) && !defined(__ARM_NEON)
#pragma GCC push_options
#pragma GCC target("fpu=neon")
#define POP_OPTIONS
#endif
#include <arm_neon.h>

#define MAXIMUM qnn_maximum_neon
#define KEEP(v) (void)(v)

#define FN(n) shorts_##n
#define NAME "neon 16-bit"
#define TARGET 
#define ELEMENT int16_t
#define PIXEL uint8_t
#define SUM int32_t
#define STEP 1
#define LANES 4
#define VEC int16x4_t
#define ACC int32x4_t
#define NONE vdupq_n_s32(0)
#define LOADW(p) vld1_s16(p)
#define SPREAD(p) vld1_dup_s16(p)
#define DOT(s, w, x) vmlal_s16(s, w, x)
#define SAVE(p, s) vst1q_s32(p, s)
#define REACHED(s, t) (s) >= (t)
#define PIXELS 2
#define BLOCKS 4
#define MOST 0
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

const qnn_conv_kernel *qnn_wide_neon(const qnn_conv *c)
{
    return c->s.groups > 1 || c->s.weight_bits == 1 ? NULL : c->s.weight_bits == 16 ? &shorts_kernel : &floats_kernel;
}

#ifdef POP_OPTIONS
#pragma GCC pop_options
#endif
#endif

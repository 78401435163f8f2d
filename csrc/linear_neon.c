/* Dense layers of a tail on ARM: 16 bytes of weights at a time. */
#include "linear.h"

#ifdef QNN_HAVE_NEON
#include "neon.h"

static int32_t across(uint32x4_t v)
{
    const uint64x2_t wide = vpaddlq_u32(v);

    return (int32_t)(vgetq_lane_u64(wide, 0) + vgetq_lane_u64(wide, 1));
}

void qnn_linear_counts_neon(const qnn_linear *l, const uint64_t *planes, int32_t *sums)
{
    const uint8_t *w = l->weights;
    int o, k, j, p;

    for (o = 0; o < l->outputs; o++, w += (size_t)l->words * 8) {
        int32_t sum = 0;

        for (p = 0; p < l->input_bits; p++) {
            const uint8_t *x = (const uint8_t *)(planes + (size_t)p * l->words);
            uint32x4_t total = vdupq_n_u32(0);

            for (k = 0; k < l->words * 8; k += 64) { /* 4 times at most 8 in a byte */
                uint8x16_t counts = vcntq_u8(vandq_u8(vld1q_u8(w + k), vld1q_u8(x + k)));

                for (j = 16; j < 64; j += 16)
                    counts = vaddq_u8(counts, vcntq_u8(vandq_u8(vld1q_u8(w + k + j), vld1q_u8(x + k + j))));
                total = vpadalq_u16(total, vpaddlq_u8(counts));
            }
            sum += across(total) << p;
        }
        sums[o] = sum;
    }
}

void qnn_linear_products_neon(const qnn_linear *l, const uint8_t *codes, int32_t *sums)
{
    const int8_t *w = l->weights;
    int o, k;

    for (o = 0; o < l->outputs; o++, w += l->row) {
        int32x4_t sum = vdupq_n_s32(0);

        for (k = 0; k < l->row; k += 8) {
            const int16x8_t a = vmovl_s8(vld1_s8(w + k));
            const int16x8_t b = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(codes + k)));

            sum = vmlal_s16(sum, vget_low_s16(a), vget_low_s16(b));
            sum = vmlal_s16(sum, vget_high_s16(a), vget_high_s16(b));
        }
        sums[o] = across(vreinterpretq_u32_s32(sum));
    }
}
#endif

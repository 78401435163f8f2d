/* Bytes to bits on ARM: a mask of 16 bytes keeps a bit of each, and three additions of pairs join them. */
#include <string.h>
#include "kernels.h"

#ifdef QNN_HAVE_NEON
#include "neon.h"

/* 16 mask bytes -> 16 bits */
static inline __attribute__((always_inline)) void store_bits(uint8x16_t mask, uint8_t *out)
{
    static const uint8_t weight[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t m = vandq_u8(mask, vld1q_u8(weight));
    uint8x8_t s = vpadd_u8(vget_low_u8(m), vget_high_u8(m));

    s = vpadd_u8(s, s);
    s = vpadd_u8(s, s);
    vst1_lane_u8(out, s, 0);
    vst1_lane_u8(out + 1, s, 1);
}

void qnn_compare_neon(const uint8_t *p, const uint8_t *t, unsigned threshold, size_t n, uint8_t *out)
{
    const uint8x16_t all = vdupq_n_u8((uint8_t)threshold);
    size_t k;

    if (!t && threshold > 255) {
        memset(out, 0, (n + 7) / 8);
        return;
    }
    for (k = 0; k + 16 <= n; k += 16)
        store_bits(vcgeq_u8(vld1q_u8(p + k), t ? vld1q_u8(t + k) : all), out + k / 8);
    if (k < n)
        qnn_compare_scalar(p + k, t ? t + k : NULL, threshold, n - k, out + k / 8);
}

void qnn_pack_neon(const uint8_t *p, size_t n, uint8_t *out)
{
    const uint8x16_t one = vdupq_n_u8(1);
    size_t k;

    for (k = 0; k + 16 <= n; k += 16)
        store_bits(vtstq_u8(vld1q_u8(p + k), one), out + k / 8);
    if (k < n)
        qnn_pack_scalar(p + k, n - k, out + k / 8);
}
#endif

/* Inside of the convolutions: one layer, and what an instruction set has to offer for it. */
#ifndef QNN_CONV_H
#define QNN_CONV_H

#include "kernels.h"

struct qnn_conv {
    qnn_conv_shape s;
    int high, wide;      /* of the convolution */
    int out_high, out_wide; /* behind the pool */
    int part_in, part_out;  /* channels of one group */
    const qnn_conv_kernel *kernel;
    void *weights; /* as kernel->repack laid them out */
    size_t weight_bytes;
    void *thresholds; /* [outputs][levels], int32 or float */
    uint8_t *invert;  /* [outputs]: 0 or the mask that turns a code round */
    void *scratch;
    size_t scratch_bytes; /* of the kernel; a row of codes, and one of pooled codes, follow */
    int busy;             /* scratch is in use: another thread makes its own */
};

/*
 * The rows of an image are asked for from 0 upwards, so a kernel may keep what it made of input rows in its
 * scratch memory; row 0 starts a new image. `end`: first byte behind all inputs, nothing there may be read.
 */
struct qnn_conv_kernel {
    const char *name;
    size_t (*weight_bytes)(const qnn_conv *conv);
    size_t (*scratch_bytes)(const qnn_conv *conv);
    void (*repack)(const qnn_conv *conv, const void *weights, void *out);
    void (*row)(const qnn_conv *conv, const void *image, const void *end, int row, void *scratch, uint8_t *out);
    /* of n bytes; `to` may be `a` */
    void (*maximum)(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t n);
};

void qnn_maximum_scalar(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t n);
void qnn_maximum_avx2(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t n);
void qnn_maximum_neon(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t n);

/* Those of pixels (weights of more than 1 bit), which know no groups; NULL as in the table. */
qnn_conv_fn qnn_conv_wide_avx2, qnn_conv_wide_avx512, qnn_conv_wide_neon;

static inline const qnn_conv_kernel *qnn_conv_wide(const qnn_conv *c, const qnn_conv_kernel *shorts,
                                                   const qnn_conv_kernel *floats)
{
    return c->s.groups > 1 ? NULL : c->s.weight_bits == 16 ? shorts : floats;
}

/* Bit of input `i` of output `o` (both counted in the whole layer's outputs and the group's inputs). */
static inline int qnn_conv_bit(const qnn_conv *c, const uint8_t *weights, int o, int ky, int kx, int i)
{
    const size_t row = ((size_t)c->part_in + 7) / 8;

    return (weights[(((size_t)o * c->s.kernel + ky) * c->s.kernel + kx) * row + i / 8] >> (i & 7)) & 1;
}

/* The largest sum of codes that a window can have. */
static inline double qnn_conv_reach(const qnn_conv *c)
{
    return (double)c->s.kernel * c->s.kernel * c->part_in * ((1 << c->s.input_bits) - 1);
}

#endif

/* The reference of the convolutions: portable C, written to be read. */
#include <string.h>
#include "conv.h"

static size_t count(const qnn_conv *c)
{
    return (size_t)c->s.outputs * c->s.kernel * c->s.kernel * c->part_in;
}

/* 1-bit weights become int8 +1/-1; the others stay as they are. */
static size_t scalar_weight_bytes(const qnn_conv *c)
{
    return count(c) * (c->s.weight_bits == 1 ? 1 : (size_t)c->s.weight_bits / 8);
}

static size_t scalar_scratch_bytes(const qnn_conv *c)
{
    (void)c;
    return 0;
}

static void scalar_repack(const qnn_conv *c, const void *weights, void *out)
{
    int8_t *to = out;
    int o, ky, kx, i;

    if (c->s.weight_bits != 1) {
        memcpy(out, weights, scalar_weight_bytes(c));
        return;
    }
    for (o = 0; o < c->s.outputs; o++)
        for (ky = 0; ky < c->s.kernel; ky++)
            for (kx = 0; kx < c->s.kernel; kx++)
                for (i = 0; i < c->part_in; i++)
                    *to++ = qnn_conv_bit(c, weights, o, ky, kx, i) ? 1 : -1;
}

/* Calls ADD for each part of the window that lies in the map: `from` and `at` are offsets of part_in elements. */
#define WINDOW(ADD)                                                                                                \
    for (ky = 0; ky < s->kernel; ky++) {                                                                           \
        const int y = row * s->stride - s->before + ky;                                                            \
                                                                                                                   \
        for (kx = 0; kx < s->kernel; kx++) {                                                                       \
            const int x = ox * s->stride - s->before + kx;                                                         \
            const size_t from = ((size_t)y * s->width + x) * s->inputs + (size_t)(o / c->part_out) * c->part_in;   \
            const size_t at = (((size_t)o * s->kernel + ky) * s->kernel + kx) * c->part_in;                        \
                                                                                                                   \
            if (y >= 0 && y < s->height && x >= 0 && x < s->width)                                                 \
                for (i = 0; i < c->part_in; i++)                                                                   \
                    ADD;                                                                                           \
        }                                                                                                          \
    }

static void row_of(const qnn_conv *c, const void *image, const void *end, int row, void *scratch, uint8_t *out)
{
    const qnn_conv_shape *s = &c->s;
    const uint8_t *codes = image;
    const float *pixels = image;
    const int8_t *signs = c->weights;
    const int16_t *shorts = c->weights;
    const float *floats = c->weights;
    const int mask = (1 << (s->input_bits & 15)) - 1; /* not used for floats */
    int ox, o, ky, kx, i, t;

    (void)end;
    (void)scratch;
    for (ox = 0; ox < c->wide; ox++)
        for (o = 0; o < s->outputs; o++) {
            const size_t first = (size_t)o * s->levels;
            int code = 0;

            if (s->weight_bits == 32) {
                double sum = 0;

                WINDOW(sum += (double)floats[at + i] * (double)pixels[from + i])
                for (t = 0; t < s->levels; t++)
                    code += sum > (double)((const float *)c->thresholds)[first + t];
            } else {
                int32_t sum = 0;

                if (s->weight_bits == 1)
                    WINDOW(sum += signs[at + i] * (codes[from + i] & mask))
                else
                    WINDOW(sum += shorts[at + i] * codes[from + i])
                for (t = 0; t < s->levels; t++)
                    code += sum >= ((const int32_t *)c->thresholds)[first + t];
            }
            *out++ = (uint8_t)(code ^ c->invert[o]);
        }
}

void qnn_maximum_scalar(uint8_t *to, const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t k;

    for (k = 0; k < n; k++)
        to[k] = a[k] > b[k] ? a[k] : b[k];
}

const qnn_conv_kernel *qnn_conv_scalar(const qnn_conv *conv)
{
    static const qnn_conv_kernel kernel = {"scalar", scalar_weight_bytes, scalar_scratch_bytes, scalar_repack, row_of,
                                           qnn_maximum_scalar};

    (void)conv;
    return &kernel;
}

/* Convolutions and dense tails of every instruction set against the scalar reference, on random layers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernels.h"

static uint32_t state = 7;

static uint32_t draw(uint32_t n)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static uint8_t *bytes(size_t n, unsigned mask)
{
    uint8_t *p = malloc(n ? n : 1);
    size_t k;

    for (k = 0; p && k < n; k++)
        p[k] = (uint8_t)(draw(256) & mask);
    return p;
}

static int one(int isa)
{
    const int bits = 1 + (int)draw(3), wide = draw(4) == 0, groups = wide ? 1 : 1 + (int)draw(2);
    const int in = 1 + (int)draw(20), outs = 1 + (int)draw(40), kernel = 1 + (int)draw(4);
    qnn_conv_shape s = {kernel + (int)draw(8), kernel + (int)draw(8), in * groups, outs * groups, kernel,
                        1 + (int)draw(3), (int)draw(3), (int)draw(3), groups, wide ? 16 : 1, wide ? 8 : bits, 3,
                        draw(2) ? 1 : 0, 1, 0, 0};
    const size_t maps = (size_t)s.height * s.width * s.inputs;
    const size_t row = wide ? (size_t)in * 2 : ((size_t)in + 7) / 8;
    const int high = (s.height + s.before + s.after - kernel) / s.stride + 1;
    const int wide_out = (s.width + s.before + s.after - kernel) / s.stride + 1;
    const size_t size = (size_t)high * wide_out * s.outputs;
    uint8_t *w = bytes((size_t)s.outputs * kernel * kernel * row, 255), *x = bytes(maps, wide ? 255u : (1u << bits) - 1);
    uint8_t *invert = bytes((size_t)s.outputs, 1), *a = bytes(size, 0), *b = bytes(size, 0);
    int32_t *t = malloc((size_t)s.outputs * 12);
    int k, bad, reach = in * kernel * kernel * 3;
    qnn_conv *first, *second;

    for (k = 0; k < s.outputs * 3; k++)
        t[k] = ((int32_t)draw((uint32_t)(2 * reach + 1)) - reach) / 2 * (wide ? 100000 : 1);
    for (k = 0; wide && k < s.outputs * kernel * kernel * in; k++) /* the sums must fit */
        ((int16_t *)(void *)w)[k] /= 16;
    first = qnn_conv_new(0, &s, w, t, invert);
    second = qnn_conv_new(isa, &s, w, t, invert);
    qnn_conv_run(first, x, 1, a);
    qnn_conv_run(second, x, 1, b);
    bad = memcmp(a, b, size) != 0;
    qnn_conv_free(first);
    qnn_conv_free(second);
    free(w), free(x), free(invert), free(a), free(b), free(t);
    return bad;
}

static int dense(int isa)
{
    const int inputs = 1 + (int)draw(600), outputs = 1 + (int)draw(20), weights = draw(2) ? 1 : 8;
    uint8_t *w = bytes((size_t)inputs * outputs, 255), *x = bytes((size_t)inputs, 7);
    int32_t a[20], b[20];
    qnn_linear *first = qnn_linear_new(0, inputs, outputs, weights, 3, 0, w, NULL);
    qnn_linear *second = qnn_linear_new(isa, inputs, outputs, weights, 3, 0, w, NULL);
    int bad;

    qnn_linear_run(first, x, 1, a);
    qnn_linear_run(second, x, 1, b);
    bad = memcmp(a, b, (size_t)outputs * 4) != 0;
    qnn_linear_free(first);
    qnn_linear_free(second);
    free(w), free(x);
    return bad;
}

/* DoReFa-Net's first convolution on that many pictures, with the best instruction set: for counting. */
static int first(int pictures)
{
    const qnn_conv_shape s = {224, 224, 3, 68, 12, 4, 0, 0, 1, 16, 8, 3, 0, 1, 0, 0};
    const size_t size = 54 * 54 * 68;
    uint8_t *w = bytes(68 * 432 * 2, 255), *x = bytes(224 * 224 * 3, 255), *out = bytes(size, 0);
    int32_t *t = malloc(68 * 12);
    qnn_conv *c;
    int k;

    for (k = 0; k < 68 * 3; k++)
        t[k] = 1000000 * (k % 3);
    for (k = 0; k < 68 * 432; k++)
        ((int16_t *)(void *)w)[k] /= 16;
    c = qnn_conv_new(qnn_isa_count() - 1, &s, w, t, NULL);
    printf("%s\n", qnn_conv_method(c));
    for (k = 0; k < pictures; k++)
        qnn_conv_run(c, x, 1, out);
    qnn_conv_free(c);
    free(w), free(x), free(t), free(out);
    return 0;
}

int main(int argc, char **argv)
{
    int isa, k, bad = 0;

    if (argc > 2 && !strcmp(argv[1], "count"))
        return first(atoi(argv[2]));

    for (isa = 1; isa < qnn_isa_count(); isa++)
        for (k = 0; k < 80 && qnn_isa_usable(isa); k++)
            bad += one(isa) + dense(isa);
    printf("%s\n%d differences\n", qnn_isa_name(qnn_isa_count() - 1), bad);
    return bad != 0;
}

/* Convolutions: which kernel, memory, and the pool behind each row. */
#include <string.h>
#include "conv.h"

/* The fastest set that has something for such a layer, from `isa` downwards; the reference has for all. */
static const qnn_conv_kernel *choose(const qnn_conv *c, int isa)
{
    const qnn_conv_kernel *kernel = NULL;

    for (; !kernel; isa--)
        kernel = qnn_kernels_of(isa)->conv(c);
    return kernel;
}

static size_t whole_scratch(const qnn_conv *c)
{
    return c->scratch_bytes + ((size_t)c->wide + c->out_wide) * c->s.outputs + 64;
}

qnn_conv *qnn_conv_new(int isa, const qnn_conv_shape *shape, const void *weights, const void *thresholds,
                       const void *invert)
{
    qnn_conv *c = qnn_alloc(sizeof *c);
    const qnn_conv_shape *s = shape;
    const uint8_t *inverted = invert;
    size_t bytes;
    int o;

    if (!c)
        return NULL;
    c->s = *s;
    c->high = (s->height + s->before + s->after - s->kernel) / s->stride + 1;
    c->wide = (s->width + s->before + s->after - s->kernel) / s->stride + 1;
    c->out_high = c->high;
    c->out_wide = c->wide;
    if (s->pool_size) {
        c->out_high = (c->high + s->pool_before + s->pool_after - s->pool_size) / s->pool_stride + 1;
        c->out_wide = (c->wide + s->pool_before + s->pool_after - s->pool_size) / s->pool_stride + 1;
    }
    c->part_in = s->inputs / s->groups;
    c->part_out = s->outputs / s->groups;
    bytes = (size_t)s->outputs * (size_t)s->levels * 4;
    c->thresholds = qnn_alloc(bytes);
    c->invert = qnn_alloc((size_t)s->outputs);
    if (!c->thresholds || !c->invert) {
        qnn_conv_free(c);
        return NULL;
    }
    memcpy(c->thresholds, thresholds, bytes);
    for (o = 0; inverted && o < s->outputs; o++)
        c->invert[o] = inverted[o] ? (uint8_t)s->levels : 0;
    c->kernel = choose(c, isa);
    c->weight_bytes = c->kernel->weight_bytes(c);
    c->scratch_bytes = (c->kernel->scratch_bytes(c) + 63) / 64 * 64;
    c->weights = qnn_alloc(c->weight_bytes);
    c->scratch = qnn_alloc(whole_scratch(c));
    if (!c->weights || !c->scratch) {
        qnn_conv_free(c);
        return NULL;
    }
    c->kernel->repack(c, weights, c->weights);
    return c;
}

void qnn_conv_free(qnn_conv *c)
{
    if (!c)
        return;
    qnn_free(c->weights);
    qnn_free(c->thresholds);
    qnn_free(c->invert);
    qnn_free(c->scratch);
    qnn_free(c);
}

size_t qnn_conv_bytes(const qnn_conv *c)
{
    return c->weight_bytes + whole_scratch(c) + (size_t)c->s.outputs * ((size_t)c->s.levels * 4 + 1);
}

const char *qnn_conv_method(const qnn_conv *c)
{
    return c->kernel->name;
}

/*
 * Codes are not negative, so neither the padding nor the start value 0 changes a maximum. First along the row, then
 * with what is in `out` of earlier rows.
 */
static void pool(const qnn_conv *c, int y, const uint8_t *row, uint8_t *along, uint8_t *out)
{
    const qnn_conv_shape *s = &c->s;
    const size_t n = (size_t)s->outputs, line = (size_t)c->out_wide * n;
    int py, px, x;

    for (px = 0; px < c->out_wide; px++) {
        const int start = px * s->pool_stride - s->pool_before, from = start < 0 ? 0 : start;
        const int to = start + s->pool_size < c->wide ? start + s->pool_size : c->wide;
        uint8_t *const at = along + (size_t)px * n;

        if (to <= from) {
            memset(at, 0, n);
            continue;
        }
        c->kernel->maximum(at, row + (size_t)from * n, row + (size_t)(to - 1) * n, n);
        for (x = from + 1; x < to - 1; x++)
            c->kernel->maximum(at, at, row + (size_t)x * n, n);
    }
    py = y + s->pool_before - s->pool_size + 1;
    for (py = py > 0 ? (py + s->pool_stride - 1) / s->pool_stride : 0;
         py < c->out_high && py * s->pool_stride - s->pool_before <= y; py++)
        c->kernel->maximum(out + (size_t)py * line, out + (size_t)py * line, along, line);
}

int qnn_conv_run(qnn_conv *c, const void *x, size_t n, void *out)
{
    const size_t step = (size_t)c->s.height * c->s.width * c->s.inputs * (c->s.weight_bits == 32 ? 4 : 1);
    const size_t size = (size_t)c->out_high * c->out_wide * c->s.outputs;
    const int shared = !__atomic_exchange_n(&c->busy, 1, __ATOMIC_ACQUIRE);
    unsigned char *scratch = shared ? c->scratch : qnn_alloc(whole_scratch(c));
    const uint8_t *from = x, *end = from + n * step;
    uint8_t *to = out;
    size_t i;
    int y;

    if (!scratch)
        return -1;
    for (i = 0; i < n; i++, from += step, to += size) {
        if (c->s.pool_size)
            memset(to, 0, size);
        for (y = 0; y < c->high; y++) {
            uint8_t *row = c->s.pool_size ? scratch + c->scratch_bytes : to + (size_t)y * c->wide * c->s.outputs;

            c->kernel->row(c, from, end, y, scratch, row);
            if (c->s.pool_size)
                pool(c, y, row, row + (size_t)c->wide * c->s.outputs, to);
        }
    }
    if (shared)
        __atomic_store_n(&c->busy, 0, __ATOMIC_RELEASE);
    else
        qnn_free(scratch);
    return 0;
}

/* A stack of dense layers: repacked weights, scratch memory, and one pass over a batch in tiles. */
#include <string.h>
#include "bits.h"
#include "dense.h"

struct qnn_stack {
    const qnn_kernels *kernels;
    const qnn_encoder *encoder;
    qnn_layer *layers;
    int count;
    uint64_t *scratch; /* inputs of every layer for one tile; pads stay 0 */
    size_t *offsets;   /* word at which a layer's inputs start */
    size_t scratch_bytes;
    int busy;          /* scratch is in use: another thread makes its own */
};

qnn_stack *qnn_stack_new(int isa, int layers)
{
    qnn_stack *s = qnn_alloc(sizeof *s);

    if (!s)
        return NULL;
    s->kernels = qnn_kernels_of(isa);
    s->count = layers;
    s->layers = qnn_alloc((size_t)layers * sizeof *s->layers);
    s->offsets = qnn_alloc((size_t)layers * sizeof *s->offsets);
    if (!s->layers || !s->offsets) {
        qnn_stack_free(s);
        return NULL;
    }
    return s;
}

void qnn_stack_free(qnn_stack *s)
{
    int i;

    if (!s)
        return;
    for (i = 0; s->layers && i < s->count; i++) {
        qnn_free(s->layers[i].weights);
        qnn_free(s->layers[i].thresholds);
        qnn_free(s->layers[i].limits[0]);
        qnn_free(s->layers[i].limits[1]);
    }
    qnn_free(s->layers);
    qnn_free(s->offsets);
    qnn_free(s->scratch);
    qnn_free(s);
}

uint64_t qnn_weight_word(const qnn_layer *layer, const uint8_t *weights, int neuron, int word)
{
    size_t row = ((size_t)layer->inputs + 7) / 8, at = (size_t)word * 8, left;
    uint64_t v = 0;

    if (neuron >= layer->outputs || at >= row)
        return 0;
    left = row - at;
    memcpy(&v, weights + (size_t)neuron * row + at, left < 8 ? left : 8);
    if (layer->inputs - word * 64 < 64) /* the file promises zero pad bits; the sums must not depend on it */
        v &= (UINT64_C(1) << (layer->inputs - word * 64)) - 1;
    return v;
}

/* See dense.h: threshold < accumulator  <=>  P - half < limit. */
static int16_t limit_of(const qnn_layer *layer, int threshold, int parity)
{
    int limit;

    if (layer->doubled) /* centre - 2P > t  <=>  P - half < ceil((parity - t) / 2) */
        return (int16_t)((parity - threshold + 1) >> 1);
    limit = layer->inputs - threshold - layer->inputs / 2;
    return (int16_t)(limit > 32767 ? 32767 : limit);
}

static int make_limits(qnn_layer *layer)
{
    int parity, block, t, lane;

    for (parity = 0; parity < 2; parity++) {
        int16_t *to = qnn_alloc((size_t)layer->blocks * layer->levels * QNN_BLOCK * 2);

        if (!to)
            return -1;
        layer->limits[parity] = to;
        for (block = 0; block < layer->blocks; block++)
            for (t = 0; t < layer->levels; t++)
                for (lane = 0; lane < QNN_BLOCK; lane++) {
                    int neuron = block * QNN_BLOCK + lane, threshold;

                    if (neuron < layer->outputs) {
                        threshold = layer->thresholds[neuron * layer->levels + t];
                        *to++ = limit_of(layer, threshold, parity);
                    } else { /* pad neurons: bit 0; ternary: the value 0, one of two thresholds fired */
                        *to++ = layer->levels == 2 && t == 0 ? 32767 : -32768;
                    }
                }
    }
    return 0;
}

int qnn_stack_layer(qnn_stack *s, int at, int inputs, int outputs, int ternary, int doubled, int levels,
                    const void *weights, const void *thresholds)
{
    qnn_layer *layer = &s->layers[at];
    size_t bytes = (size_t)outputs * (size_t)levels * 2;

    layer->inputs = inputs;
    layer->outputs = outputs;
    layer->ternary = ternary;
    layer->doubled = doubled;
    layer->levels = levels;
    layer->planes = ternary ? 2 : 1;
    layer->words = (inputs + 63) / 64;
    layer->stride = (layer->words + 7) / 8 * 8;
    layer->blocks = (outputs - 1) / QNN_BLOCK + 1;
    layer->weight_bytes = s->kernels->dense_size(layer);
    layer->weights = qnn_alloc(layer->weight_bytes);
    layer->thresholds = qnn_alloc(bytes);
    if (!layer->weights || !layer->thresholds)
        return -1;
    if (bytes)
        memcpy(layer->thresholds, thresholds, bytes);
    if (make_limits(layer))
        return -1;
    s->kernels->dense_repack(layer, weights, layer->weights);
    return 0;
}

/* All layers are there: make the scratch memory. encoder may be NULL; it must outlive the stack. */
int qnn_stack_ready(qnn_stack *s, const qnn_encoder *encoder)
{
    size_t words = 0;
    int i;

    for (i = 0; i < s->count; i++) {
        s->offsets[i] = words;
        words += (size_t)s->layers[i].planes * s->layers[i].stride * QNN_TILE;
    }
    s->encoder = encoder;
    s->scratch_bytes = words * 8;
    s->scratch = qnn_alloc(s->scratch_bytes);
    return s->scratch ? 0 : -1;
}

size_t qnn_stack_bytes(const qnn_stack *s)
{
    size_t bytes = s->scratch_bytes;
    int i;

    for (i = 0; i < s->count; i++)
        bytes += s->layers[i].weight_bytes + (size_t)s->layers[i].blocks * QNN_BLOCK * s->layers[i].levels * 6;
    return bytes;
}

static void load_bits(const qnn_layer *first, const uint8_t *bits, size_t n, uint64_t *x)
{
    const size_t row = ((size_t)first->inputs + 7) / 8;
    const int tail = first->inputs & 7;
    size_t i;

    for (i = 0; i < n; i++, bits += row, x += first->stride) {
        memcpy(x, bits, row);
        if (tail)
            ((uint8_t *)x)[row - 1] &= (uint8_t)((1u << tail) - 1);
    }
}

static void load_pictures(const qnn_stack *s, const uint8_t *pictures, size_t n, uint64_t *x)
{
    const size_t pixels = qnn_encoder_pixels(s->encoder);
    size_t i;

    for (i = 0; i < n; i++, pictures += pixels, x += s->layers[0].stride)
        qnn_encode_row(s->encoder, pictures, (uint8_t *)x);
}

static int run(qnn_stack *s, const uint8_t *source, int pictures, size_t n, uint8_t *out, int32_t *sums)
{
    const qnn_layer *last = &s->layers[s->count - 1];
    const size_t step = pictures ? qnn_encoder_pixels(s->encoder) : ((size_t)s->layers[0].inputs + 7) / 8;
    const int shared = !__atomic_exchange_n(&s->busy, 1, __ATOMIC_ACQUIRE);
    uint64_t *scratch = shared ? s->scratch : qnn_alloc(s->scratch_bytes);
    size_t done, tile;
    int i;

    if (!scratch)
        return -1;
    for (done = 0; done < n; done += tile) {
        tile = n - done < QNN_TILE ? n - done : QNN_TILE;
        if (pictures)
            load_pictures(s, source, tile, scratch);
        else
            load_bits(s->layers, source, tile, scratch);
        source += tile * step;
        for (i = 0; i < s->count - 1; i++) {
            const qnn_layer *layer = &s->layers[i], *next = layer + 1;

            s->kernels->dense(layer, scratch + s->offsets[i], tile, (uint8_t *)(scratch + s->offsets[i + 1]),
                        (size_t)next->planes * next->stride * 8, (size_t)next->stride * 8, NULL);
        }
        s->kernels->dense(last, scratch + s->offsets[i], tile, out, out ? (size_t)last->blocks : 0, 0, sums);
        if (out)
            out += tile * (size_t)last->blocks;
        if (sums)
            sums += tile * (size_t)last->outputs;
    }
    if (shared)
        __atomic_store_n(&s->busy, 0, __ATOMIC_RELEASE);
    else
        qnn_free(scratch);
    return 0;
}

int qnn_stack_run(qnn_stack *s, const void *bits, size_t n, void *out, void *sums)
{
    return run(s, bits, 0, n, out, sums);
}

int qnn_stack_run_pictures(qnn_stack *s, const void *pictures, size_t n, void *out, void *sums)
{
    return run(s, pictures, 1, n, out, sums);
}

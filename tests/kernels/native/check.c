/* Runs on the target, under qemu or on a board: every instruction set of the build against the scalar
   reference, with a random generator of its own. Usage: check [seed [rounds]]
   or, for counting instructions: check count ISA w1a1|w1a2 images [batch] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "kernels.h"

static uint64_t state = 1;

static uint64_t next(void) /* xorshift64* */
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(2685821657736338717);
}

static int below(int n)
{
    return (int)((next() >> 33) % (uint64_t)n);
}

static void fill(void *memory, size_t bytes)
{
    static const int extreme[] = {0, 255};
    uint8_t *to = memory;
    int kind = below(8);

    while (bytes--)
        *to++ = kind < 2 ? (uint8_t)extreme[kind] : (uint8_t)(next() >> 40);
}

typedef struct {
    int inputs, outputs, ternary, doubled, levels;
    uint8_t *weights;
    int16_t *thresholds;
} layer;

static void make_layer(layer *l, int inputs, int outputs, int ternary, int doubled, int levels)
{
    static const int extreme[] = {-32768, 32767, -1, 0, 1};
    size_t bytes = (size_t)outputs * (((size_t)inputs + 7) / 8);
    int i, kind = below(4), spread = 2;

    while (spread * spread < inputs)
        spread++;
    l->inputs = inputs;
    l->outputs = outputs;
    l->ternary = ternary;
    l->doubled = doubled;
    l->levels = levels;
    l->weights = malloc(bytes);
    l->thresholds = malloc((size_t)outputs * 2 * 2);
    fill(l->weights, bytes);
    for (i = 0; i < outputs * levels; i++) {
        int t = kind == 0 ? extreme[below(5)] : below(2 * spread + 1) - spread;

        l->thresholds[i] = (int16_t)(kind == 0 || doubled ? t : t + inputs / 2);
    }
}

static qnn_stack *make_stack(int isa, const layer *layers, int count)
{
    qnn_stack *s = qnn_stack_new(isa, count);
    int i;

    for (i = 0; i < count; i++)
        if (qnn_stack_layer(s, i, layers[i].inputs, layers[i].outputs, layers[i].ternary, layers[i].doubled,
                            layers[i].levels, layers[i].weights, layers[i].thresholds))
            exit(3);
    if (qnn_stack_ready(s, NULL))
        exit(3);
    return s;
}

static void free_layers(layer *layers, int count)
{
    while (count--) {
        free(layers[count].weights);
        free(layers[count].thresholds);
    }
}

static int pick_size(void)
{
    static const int edges[] = {1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 832, 896, 1000, 1023, 1024, 1025, 2048, 2100};

    return below(3) ? edges[below((int)(sizeof edges / sizeof edges[0]))] : 1 + below(1500);
}

static int check_stack(int isa)
{
    layer layers[4];
    int sizes[5], count = 1 + below(4), i, kind = 0, n = below(2) ? 1 + below(6) : 60 + below(10), bad;
    int last_levels = below(4) ? 1 : 0;
    size_t in, out;
    uint8_t *bits, *a, *b, *c;
    int32_t *sa, *sb;
    qnn_stack *s, *r;

    if (!below(4)) { /* the published shape */
        static const int lfc[] = {832, 1024, 1024, 1024, 64};

        count = 4;
        memcpy(sizes, lfc, sizeof lfc);
    } else {
        for (i = 0; i <= count; i++)
            sizes[i] = pick_size();
    }
    for (i = 0; i < count; i++) {
        int levels = i == count - 1 ? last_levels : 1 + below(2);

        make_layer(&layers[i], sizes[i], sizes[i + 1], kind, kind ? 1 : below(2), levels);
        kind = levels == 2;
    }
    in = ((size_t)sizes[0] + 7) / 8;
    out = ((size_t)sizes[count] + 7) / 8;
    bits = malloc(n * in);
    a = calloc(n, out);
    b = calloc(n, out);
    c = calloc(n, out);
    sa = calloc((size_t)n * sizes[count], 4);
    sb = calloc((size_t)n * sizes[count], 4);
    fill(bits, n * in);
    r = make_stack(0, layers, count);
    s = make_stack(isa, layers, count);
    qnn_stack_run(r, bits, n, last_levels ? a : NULL, sa);
    qnn_stack_run(s, bits, n, last_levels ? b : NULL, sb);
    if (last_levels)
        qnn_stack_run(s, bits, n, c, NULL);
    bad = memcmp(a, b, n * out) || memcmp(sa, sb, (size_t)n * sizes[count] * 4) ||
          (last_levels && memcmp(a, c, n * out));
    if (bad)
        printf("%s: %d layers, %d -> %d, %d images: differs from scalar\n", qnn_isa_name(isa), count, sizes[0],
               sizes[count], n);
    qnn_stack_free(r);
    qnn_stack_free(s);
    free_layers(layers, count);
    free(bits);
    free(a);
    free(b);
    free(c);
    free(sa);
    free(sb);
    return bad;
}

static int check_bits(int isa)
{
    static uint8_t p[2100], t[2000], a[2000], b[2000];
    static uint16_t index[2000];
    int n = 1 + below(1500), bits = 1 + below(8), shift = below(16), threshold = below(257), i, bad;
    qnn_encoder *e, *f;

    fill(p, sizeof p);
    fill(t, sizeof t);
    for (i = 0; i < n; i++)
        index[i] = (uint16_t)below(n);
    memset(a, 0xaa, sizeof a);
    memset(b, 0xaa, sizeof b);
    qnn_pack(0, p + shift, 1, n, bits, a); /* any alignment */
    qnn_pack(isa, p + shift, 1, n, bits, b);
    bad = memcmp(a, b, sizeof a);
    i = below(3);
    e = qnn_encoder_new(0, n, n + 30, n, threshold, i == 1 ? index : NULL, i ? t : NULL);
    f = qnn_encoder_new(isa, n, n + 30, n, threshold, i == 1 ? index : NULL, i ? t : NULL);
    qnn_encoder_run(e, p + shift, 1, a);
    qnn_encoder_run(f, p + shift, 1, b);
    bad |= memcmp(a, b, sizeof a);
    qnn_encoder_free(e);
    qnn_encoder_free(f);
    if (bad)
        printf("%s: packing or encoding of %d differs from scalar\n", qnn_isa_name(isa), n);
    return bad != 0;
}

static int count(const char *name, int ternary, int images, int batch)
{
    static const int lfc[] = {832, 1024, 1024, 1024, 64};
    layer layers[4];
    uint8_t *bits = calloc(batch, 104), *out = calloc(batch, 8);
    uint64_t sum = 0;
    qnn_stack *s;
    int isa, i;

    for (isa = 0; isa < qnn_isa_count() && strcmp(qnn_isa_name(isa), name); isa++)
        ;
    if (isa == qnn_isa_count() || !qnn_isa_usable(isa))
        return 4;
    for (i = 0; i < 4; i++)
        make_layer(&layers[i], lfc[i], lfc[i + 1], ternary && i, ternary, ternary && i < 3 ? 2 : 1);
    fill(bits, (size_t)batch * 104);
    s = make_stack(isa, layers, 4);
    for (i = 0; i < images; i += batch) {
        qnn_stack_run(s, bits, batch, out, NULL);
        sum += out[0];
    }
    printf("%s %d images, %lu\n", name, images, (unsigned long)sum);
    return 0;
}

int main(int argc, char **argv)
{
    int isa, round, rounds = 100, bad = 0;

    if (argc > 4 && !strcmp(argv[1], "count"))
        return count(argv[2], !strcmp(argv[3], "w1a2"), atoi(argv[4]), argc > 5 ? atoi(argv[5]) : 1);
    if (argc > 1)
        state = strtoull(argv[1], NULL, 10) * 2 + 1;
    if (argc > 2)
        rounds = atoi(argv[2]);
    for (isa = 0; isa < qnn_isa_count(); isa++) {
        printf("%s%s\n", qnn_isa_name(isa), qnn_isa_usable(isa) ? "" : " (not on this processor)");
        for (round = 0; isa && qnn_isa_usable(isa) && round < rounds; round++)
            bad += check_stack(isa) + check_bits(isa) + check_bits(isa) + check_bits(isa);
    }
    printf("%d differences\n", bad);
    return bad != 0;
}

/*
 * Convolutions of pixels, 16-bit or float weights: outputs in the lanes, a pixel's value in all of them. Included
 * once for each kind of vector by a file that defines FN (names), NAME, TARGET, ELEMENT, SUM, STEP (values of a
 * row that a product takes), LANES, VEC, ACC, NONE, LOADW, SPREAD, DOT, SAVE, REACHED, KEEP, PIXELS and BLOCKS, and
 * either MOST 0 or TILES, which fills the sums of PIXELS times BLOCKS vectors, or of MOST pixels' last vectors, and
 * may read beyond.
 * NARROW, if defined: a vector behind all others with so few outputs has LANES / NARROW steps at once in its lanes,
 * [output][step][value], TILES takes it for 0 vectors and GATHER adds what belongs together.
 * Rows of the input are widened once, into a ring; a kernel's row is contiguous there, so nothing is gathered.
 */
#ifndef PLACE /* of a weight in a step of n vectors */
#define PLACE(n, j, lane, i) (((j) * LANES + (lane)) * STEP + (i))
#endif
#ifdef NARROW
#define TOGETHER (LANES / NARROW) /* steps */
#else
#define NARROW 0
#define TOGETHER 1
#endif
typedef struct {
    int values, steps, blocks; /* of a kernel's row; vectors of outputs */
    int narrow, fewer;         /* 1: the last vector is; steps of it */
    size_t row;                /* elements of a row in the ring */
    size_t limits;             /* bytes before the thresholds [level][outputs], behind the weights */
} FN(layout);

static FN(layout) FN(layout_of)(const qnn_conv *c)
{
    FN(layout) l;

    l.values = c->s.kernel * c->s.inputs;
    l.steps = (l.values + STEP - 1) / STEP;
    l.blocks = (c->s.outputs + LANES - 1) / LANES;
    l.narrow = l.blocks % BLOCKS && c->s.outputs - (l.blocks - 1) * LANES <= NARROW;
    l.fewer = (l.steps + TOGETHER - 1) / TOGETHER;
    l.row = (((size_t)(c->wide - 1) * c->s.stride + c->s.kernel) * c->s.inputs + TOGETHER * STEP + 31) / 32 * 32;
    l.limits = (size_t)l.blocks * c->s.kernel * l.steps * LANES * STEP * sizeof(ELEMENT);
    return l;
}

static size_t FN(weight_bytes)(const qnn_conv *c)
{
    const FN(layout) l = FN(layout_of)(c);

    return l.limits + (size_t)c->s.levels * l.blocks * LANES * 4;
}

static size_t FN(scratch_bytes)(const qnn_conv *c)
{
    const FN(layout) l = FN(layout_of)(c);
    const size_t beyond = MOST * (size_t)c->s.stride * c->s.inputs * sizeof(ELEMENT); /* a tile reads */

    return (l.row * sizeof(ELEMENT) + ((size_t)l.steps + l.fewer) * 4) * c->s.kernel + beyond + 64;
}

/* [BLOCKS vectors, or one behind the last full group][kernel row][step][vector][lane][value] */
static void FN(repack)(const qnn_conv *c, const void *weights, void *out)
{
    const FN(layout) l = FN(layout_of)(c);
    const ELEMENT *from = weights;
    ELEMENT *to = out;
    SUM *limits = (SUM *)((uint8_t *)out + l.limits);
    int b, n, ky, k, j, lane, i, o, t;

    for (b = 0; b < l.blocks; b += n) {
        n = l.blocks - b >= BLOCKS ? BLOCKS : 1;
        if (l.narrow && b == l.blocks - 1) {
            for (ky = 0; ky < c->s.kernel; ky++)
                for (o = b * LANES; o < c->s.outputs; o++)
                    for (i = 0; i < l.values; i++) {
                        k = i / (TOGETHER * STEP);
                        to[((size_t)ky * l.fewer + k) * LANES * STEP + (o % LANES) * TOGETHER * STEP +
                           i % (TOGETHER * STEP)] = from[((size_t)o * c->s.kernel + ky) * l.values + i];
                    }
            break;
        }
        for (ky = 0; ky < c->s.kernel; ky++)
            for (k = 0; k < l.steps; k++)
                for (j = 0; j < n; j++)
                    for (lane = 0; lane < LANES; lane++)
                        for (i = 0; i < STEP; i++) {
                            o = (b + j) * LANES + lane;
                            if (o < c->s.outputs && k * STEP + i < l.values)
                                to[(((size_t)ky * l.steps + k) * n * LANES * STEP) + PLACE(n, j, lane, i)] =
                                    from[((size_t)o * c->s.kernel + ky) * l.values + k * STEP + i];
                        }
        to += (size_t)c->s.kernel * l.steps * n * LANES * STEP;
    }
    for (t = 0; t < c->s.levels; t++)
        for (o = 0; o < c->s.outputs; o++)
            limits[(size_t)t * l.blocks * LANES + o] = ((const SUM *)c->thresholds)[(size_t)o * c->s.levels + t];
}

/* Codes of one vector of outputs. */
TARGET static inline __attribute__((always_inline)) void FN(codes)(const qnn_conv *c, const FN(layout) *l, int block,
                                                                   const SUM *sums, uint8_t *out)
{
    const SUM *limits = (const SUM *)((const uint8_t *)c->weights + l->limits) + (size_t)block * LANES;
    const int first = block * LANES, left = c->s.outputs - first, n = left < LANES ? left : LANES;

#ifdef CODES
    CODES(sums, limits, (size_t)l->blocks * LANES, c->s.levels, c->invert + first, n, out);
#else
    SUM code[LANES];
    int t, lane;

    for (lane = 0; lane < LANES; lane++)
        code[lane] = 0;
    for (t = 0; t < c->s.levels; t++)
        for (lane = 0; lane < LANES; lane++)
            code[lane] += REACHED(sums[lane], limits[(size_t)t * l->blocks * LANES + lane]);
    for (lane = 0; lane < n; lane++)
        out[lane] = (uint8_t)((uint8_t)code[lane] ^ c->invert[first + lane]);
#endif
}

#ifndef TILES
TARGET static inline __attribute__((always_inline)) void
FN(tile)(const qnn_conv *c, const FN(layout) *l, const ELEMENT *w, const ELEMENT *ring, int slot, int x, int block,
         const int pixels, const int blocks, uint8_t *out)
{
    const size_t pixel = (size_t)c->s.stride * c->s.inputs;
    ACC sum[PIXELS][BLOCKS];
    int ky, k, p, b;

    for (p = 0; p < pixels; p++)
        for (b = 0; b < blocks; b++)
            sum[p][b] = NONE;
    for (ky = 0; ky < c->s.kernel; ky++) {
        const ELEMENT *e = ring + (size_t)slot * l->row + (size_t)x * pixel;

        slot = slot + 1 == c->s.kernel ? 0 : slot + 1;
        for (k = 0; k < l->steps; k++, e += STEP, w += (size_t)blocks * LANES * STEP) {
            VEC v[BLOCKS];

            for (b = 0; b < blocks; b++) {
                v[b] = LOADW(w + b * LANES * STEP);
                KEEP(v[b]);
            }
            for (p = 0; p < pixels; p++) {
                VEC s = SPREAD(e + p * pixel);

                KEEP(s);
                for (b = 0; b < blocks; b++)
                    sum[p][b] = DOT(sum[p][b], v[b], s);
            }
        }
    }
    for (p = 0; p < pixels; p++, out += c->s.outputs)
        for (b = 0; b < blocks; b++) {
            SUM sums[LANES];

            SAVE(sums, sum[p][b]);
            FN(codes)(c, l, block + b, sums, out + b * LANES);
        }
}

#define CASE(n)                                                                                                    \
    case n:                                                                                                        \
        if (blocks == BLOCKS)                                                                                      \
            FN(tile)(c, l, w, ring, slot, x, block, n, BLOCKS, out);                                               \
        else                                                                                                       \
            FN(tile)(c, l, w, ring, slot, x, block, n, 1, out);                                                    \
        break;

TARGET static void FN(pixels)(const qnn_conv *c, const FN(layout) *l, const ELEMENT *w, const ELEMENT *ring, int slot,
                              int x, int block, int pixels, int blocks, uint8_t *out)
{
    switch (pixels) {
        CASE(1)
        CASE(2)
#if PIXELS > 2
        CASE(3)
        CASE(4)
#endif
#if PIXELS > 4
        CASE(5)
        CASE(6)
#endif
    }
}
#undef CASE
#endif

TARGET static void FN(row)(const qnn_conv *c, const void *image, const void *end, int row, void *scratch, uint8_t *out)
{
    const FN(layout) l = FN(layout_of)(c);
    const int kernel = c->s.kernel, top = row * c->s.stride;
    const int first = row ? top - c->s.stride + kernel : 0;
    const size_t line = (size_t)c->s.width * c->s.inputs, before = (size_t)c->s.before * c->s.inputs;
    ELEMENT *ring = scratch;
#ifdef TILES
    int32_t *places = (int32_t *)(ring + kernel * l.row + MOST * (size_t)c->s.stride * c->s.inputs);
#else
    const int tiles = (c->wide + PIXELS - 1) / PIXELS;
#endif
    size_t j;
    int y, i, x, n, b, nb;

    (void)end;
    for (y = first > top ? first : top; y < top + kernel; y++) {
        ELEMENT *to = ring + (size_t)(y % kernel) * l.row;
        const int from = y - c->s.before;
        const PIXEL *p = (const PIXEL *)image + (from < 0 ? 0 : (size_t)from) * line;
        const size_t some = before < l.row ? before : l.row, rest = l.row - some, many = line < rest ? line : rest;

        memset(to, 0, l.row * sizeof(ELEMENT));
        if (from >= 0 && from < c->s.height)
            for (j = 0; j < many; j++)
                to[some + j] = (ELEMENT)p[j];
    }
#ifdef TILES
    for (y = 0, i = 0; y < kernel; y++)
        for (n = 0; n < l.steps; n++, i++)
            places[i] = (int32_t)(((size_t)((top + y) % kernel) * l.row + n * STEP) * sizeof(ELEMENT));
    for (y = 0; y < kernel; y++)
        for (n = 0; n < l.fewer; n++, i++)
            places[i] = places[y * l.steps] + (int32_t)(n * TOGETHER * STEP * sizeof(ELEMENT));
    for (b = 0; b < l.blocks; b += nb) {
        const ELEMENT *w = (const ELEMENT *)c->weights + (size_t)b * kernel * l.steps * LANES * STEP;
        const int narrow = l.narrow && b == l.blocks - 1;
        int many, k;

        nb = l.blocks - b >= BLOCKS ? BLOCKS : 1;
        many = nb == 1 ? MOST : PIXELS;
        for (x = 0; x < c->wide; x += many) {
            SUM sums[MOST > PIXELS * BLOCKS ? MOST * LANES : PIXELS * BLOCKS * LANES];

            TILES(narrow ? 0 : nb, w, ring + (size_t)x * c->s.stride * c->s.inputs,
                  places + (narrow ? kernel * l.steps : 0), kernel * (narrow ? l.fewer : l.steps),
                  (size_t)c->s.stride * c->s.inputs * sizeof(ELEMENT), sums);
#ifdef GATHER
            if (narrow)
                GATHER(sums, many);
#endif
            for (n = 0; n < many && x + n < c->wide; n++)
                for (k = 0; k < nb; k++)
                    FN(codes)(c, &l, b + k, sums + (n * nb + k) * LANES,
                              out + (size_t)(x + n) * c->s.outputs + (size_t)(b + k) * LANES);
        }
    }
#else
    for (i = 0, x = 0; i < tiles; i++, x += n) {
        n = (c->wide - x + tiles - i - 1) / (tiles - i);
        for (b = 0; b < l.blocks; b += nb) {
            nb = l.blocks - b >= BLOCKS ? BLOCKS : 1;
            FN(pixels)(c, &l, (const ELEMENT *)c->weights + (size_t)b * kernel * l.steps * LANES * STEP, ring,
                       top % kernel, x, b, n, nb, out + (size_t)x * c->s.outputs + (size_t)b * LANES);
        }
    }
#endif
}

static const qnn_conv_kernel FN(kernel) = {NAME, FN(weight_bytes), FN(scratch_bytes), FN(repack), FN(row), MAXIMUM};
#undef FN
#undef NAME
#undef TARGET
#undef ELEMENT
#undef PIXEL
#undef SUM
#undef STEP
#undef LANES
#undef VEC
#undef ACC
#undef NONE
#undef LOADW
#undef SPREAD
#undef DOT
#undef SAVE
#undef REACHED
#undef PIXELS
#undef BLOCKS
#undef MOST
#undef PLACE
#undef TILES
#undef CODES
#undef NARROW
#undef TOGETHER
#undef GATHER

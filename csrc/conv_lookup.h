/*
 * 1-bit weights times codes by lookup; included by one file for each vector length, which defines VEC, LANES
 * (bytes of a vector), GROUP (channels of a table), TABLE (its bytes, 2^GROUP), PIXELS and PER_SET (vectors) of a
 * tile, CACHE (bytes that a tile may walk over), PAIRS (0 or 1: pair vectors) and UPPER (index bits of their upper
 * half), MAKE (a table of the sums of its halves) or MAKE_TABLES (a pixel's tables), TAB (a table to a REGISTER),
 * LOOK and PAIRLOOK or SOME_PIXELS (a tile), ADD8, HIGH16, LIFT16 (bytes down and up in 16 bits), ADD16, SUB16,
 * TWICE16, BELOW16 (counts down where a > b), SET16, JOIN (even and odd halves to bytes), XOR, SWAP, LOAD, STORE,
 * ZERO, PAIR_RUN (how many times as long a pair vector goes without widening), KEEP, KEEP_TABLE, MAXIMUM, TARGET,
 * NAME, and STORE_SOME where it knows a better one.
 *
 * An input pixel has one table for GROUP channels: T[w] = sum of the codes whose weight bit is 1. A step looks
 * up LANES outputs at once, the weights' bits are the index vector; S = sum of T[w] over the window, and the
 * convolution is 2 S - (sum of the window's codes). Bytes are widened before they can overflow; tables of the
 * padding are 0.
 *
 * A tile is PIXELS neighbours times a set of vectors of outputs, so a table is loaded once for all of them. It takes
 * a chunk of the channels for the whole window: what it walks over then stays in the first cache. Sums of 16 bits
 * are in memory, [pixel][vector][all bytes, odd bytes only].
 *
 * PAIRLOOK serves a last vector of at most LANES / 2 outputs: the lower half of the lanes takes a step's table,
 * the upper half the next one's.
 */
#include <string.h>
#include "conv.h"

#ifndef STORE_SOME /* the first n bytes */
#define STORE_SOME(p, v, n)                                                                                        \
    do {                                                                                                           \
        uint8_t some[LANES];                                                                                       \
        STORE(some, v);                                                                                            \
        memcpy(p, some, (size_t)(n));                                                                              \
    } while (0)
#endif

#define PART (1 << (GROUP / 2)) /* sums that half a group can have */
#define INLINE static inline __attribute__((always_inline)) TARGET

typedef struct {
    int tables;         /* of a pixel */
    int chunk, chunks;  /* tables of a chunk; the last one may have fewer */
    int padded;         /* pixels of a row, padding included */
    int full, pairs;    /* vectors of outputs in a group; 1: a pair vector behind them */
    int sets;           /* the vectors are cut into */
    size_t row;         /* bytes of a row's tables, [chunk][pixel][table] */
    size_t sum;         /* bytes of a pixel's sums */
    size_t limits, parts, indices, ring, totals, columns, sums, pieces; /* where things are */
    size_t weight_bytes, scratch_bytes;
} layout;

/* Double steps whose tables lie one behind the other; then nothing, or vectors (1), or pair vectors too (3) widen. */
typedef struct {
    int32_t place, steps, widen, none;
} piece;

/* What a tile needs: pieces up to one without steps. */
typedef struct work {
    const uint8_t *index, *ring;
    const piece *pieces;
    uint8_t *sums;
    size_t pixel, sum; /* bytes: between pixels in the ring, between pixels' sums */
    int fresh;
} work;

static int chunk_of(const layout *l, int chunk)
{
    const int left = l->tables - chunk * l->chunk;

    return left < l->chunk ? left : l->chunk;
}

/* Two steps of all vectors. */
static size_t step_bytes(const layout *l)
{
    return (size_t)(2 * l->full + l->pairs) * LANES;
}

static int doubles_of(const layout *l, int kernel, int chunk)
{
    return (kernel * chunk_of(l, chunk) + 1) / 2;
}

static layout layout_of(const qnn_conv *c)
{
    const size_t entries = (size_t)1 << (c->s.input_bits * (GROUP / 2));
    const int left = c->part_out % LANES, kernel = c->s.kernel;
    layout l;
    size_t steps = 0;
    int k;

    l.tables = (c->part_in + GROUP - 1) / GROUP;
    l.padded = (c->wide - 1) * c->s.stride + kernel;
    l.pairs = PAIRS && left > 0 && left <= LANES / 2;
    l.full = (c->part_out + LANES - 1) / LANES - l.pairs;
    l.sets = (l.full + (PER_SET > 1 ? l.pairs : !l.full) + PER_SET - 1) / PER_SET;
    for (l.chunks = 1;; l.chunks++) {
        l.chunk = (l.tables + l.chunks - 1) / l.chunks;
        l.chunk += l.chunks > 1 && (l.chunk & 1); /* an odd number wastes half a step */
        if (l.chunk <= 2 || (size_t)kernel * l.chunk * ((step_bytes(&l) / 2 * kernel) +
                                                        (size_t)((PIXELS - 1) * c->s.stride + kernel) * TABLE) <= CACHE)
            break;
    }
    l.chunks = (l.tables + l.chunk - 1) / l.chunk;
    l.row = ((size_t)l.padded * l.tables * TABLE + TABLE + 191) / 128 * 128;
    l.sum = (size_t)(l.full + l.pairs) * 2 * LANES;
    for (k = 0; k < l.chunks; k++)
        steps += (size_t)doubles_of(&l, kernel, k);
    /* weights: tables of half a group, thresholds, parts of a chunk, indices */
    l.limits = (entries * PART + 63) / 64 * 64;
    l.parts = l.limits + (size_t)c->s.groups * (l.full + l.pairs) * (2 * (size_t)c->s.levels + 1) * LANES;
    l.indices = (l.parts + (size_t)l.chunks * sizeof(int32_t) + 63) / 64 * 64;
    l.weight_bytes = l.indices + c->s.groups * kernel * steps * step_bytes(&l);
    /* scratch: tables of the last rows of every group, their pixels' sums of codes, of columns, of a window's part */
    l.ring = 0;
    l.totals = (size_t)c->s.groups * kernel * l.row;
    l.columns = l.totals + (size_t)c->s.groups * kernel * l.padded * 2;
    l.sums = (l.columns + ((size_t)l.padded + c->wide) * 2 + 63) / 64 * 64;
    l.pieces = l.sums + c->wide * l.sum;
    l.scratch_bytes = l.pieces + ((size_t)kernel * (doubles_of(&l, kernel, 0) + 1) + 1) * sizeof(piece) + 64;
    return l;
}

static size_t lookup_weight_bytes(const qnn_conv *c)
{
    return layout_of(c).weight_bytes;
}

static size_t lookup_scratch_bytes(const qnn_conv *c)
{
    return layout_of(c).scratch_bytes;
}

static int16_t limit16(int32_t t)
{
    return (int16_t)(t > 32767 ? 32767 : t < -32768 ? -32768 : t);
}

/* The vectors of a set: the first one and how many; the pair vector is the last one of the last set. */
static int set_of(const layout *l, int set, int *first)
{
    const int all = l->full + l->pairs;

    *first = set * PER_SET;
    return set == l->sets - 1 ? all - *first : PER_SET;
}

/* Bit i: weight of channel (first table + step) * GROUP + i; steps of a kernel's row go over kx, then tables. */
static int index_of(const qnn_conv *c, const uint8_t *weights, int o, int ky, int step, int from, int tables)
{
    const int kx = step / tables, first = (from + step % tables) * GROUP;
    int i, bits = 0;

    if (kx >= c->s.kernel || o < 0)
        return 0;
    for (i = 0; i < GROUP && first + i < c->part_in; i++)
        bits |= qnn_conv_bit(c, weights, o, ky, kx, first + i) << i;
    return bits;
}

/*
 * Whether a byte can overflow that is widened after `part` double steps of a set's `many` vectors: only weights that
 * are 1 count, so about half as many as there are.
 */
static int overflows(const qnn_conv *c, const uint8_t *index, int many, int pair, int doubles, int part)
{
    const size_t next = (size_t)(many - pair) * LANES, step = next + (size_t)many * LANES;
    const int most = 255 / ((1 << c->s.input_bits) - 1), mask = (1 << GROUP) - 1;
    int v, lane, d;

    for (v = 0; v < many; v++)
        for (lane = 0; lane < LANES; lane++) {
            const int paired = pair && v == many - 1, run = paired ? part * PAIR_RUN : part;
            const uint8_t *at = index + (size_t)v * LANES + lane;
            int ones = 0;

            for (d = 0; d < doubles; d++, at += step) {
                ones = d % run ? ones : 0;
                ones += __builtin_popcount(at[next] & mask) + (paired ? 0 : __builtin_popcount(at[0] & mask));
                if (ones > most)
                    return 1;
            }
        }
    return 0;
}

/* The least number of equal parts, as double steps of a part, of a chunk whose indices start at `index`. */
static int part_of(const qnn_conv *c, const layout *l, const uint8_t *index, int doubles)
{
    const size_t group = (l->weight_bytes - l->indices) / c->s.groups;
    int n, g, set, first, part, good;

    for (n = 1;; n++) {
        part = (doubles + n - 1) / n;
        for (good = part > 1, g = 0; good && g < c->s.groups; g++) {
            const uint8_t *at = index + g * group;

            for (set = 0; good && set < l->sets; set++) {
                const int many = set_of(l, set, &first), pair = first + many > l->full;

                good = !overflows(c, at, many, pair, doubles, part);
                at += (size_t)doubles * (2 * many - pair) * LANES;
            }
        }
        if (good || part == 1)
            return part;
    }
}

static void lookup_repack(const qnn_conv *c, const void *weights, void *out)
{
    const layout l = layout_of(c);
    const int bits = c->s.input_bits, entries = 1 << (bits * (GROUP / 2)), mask = (1 << bits) - 1;
    const int all = l.full + l.pairs;
    uint8_t *base = out, *to = base;
    int32_t *parts = (int32_t *)(base + l.parts);
    int e, w, i, g, b, t, ky, lane, chunk, set, first, n, d;

    for (e = 0; e < entries; e++)
        for (w = 0; w < PART; w++, to++)
            for (*to = 0, i = 0; i < GROUP / 2; i++)
                if ((w >> i) & 1)
                    *to = (uint8_t)(*to + ((e >> (bits * i)) & mask));
    to = base + l.limits;
    for (g = 0; g < c->s.groups; g++)
        for (b = 0; b < all; b++, to += (2 * (size_t)c->s.levels + 1) * LANES)
            for (lane = 0; lane < LANES && b * LANES + lane < c->part_out; lane++) {
                const int o = g * c->part_out + b * LANES + lane;

                to[lane] = c->invert[o];
                for (t = 0; t < c->s.levels; t++) /* even lanes, then odd ones */
                    ((int16_t *)(to + LANES))[(2 * t + (lane & 1)) * (LANES / 2) + lane / 2] =
                        limit16(((const int32_t *)c->thresholds)[(size_t)o * c->s.levels + t]);
            }
    to = base + l.indices;
    for (g = 0; g < c->s.groups; g++)
        for (chunk = 0; chunk < l.chunks; chunk++)
            for (set = 0; set < l.sets; set++) {
                const int many = set_of(&l, set, &first), tables = chunk_of(&l, chunk), from = chunk * l.chunk;

                for (ky = 0; ky < c->s.kernel; ky++)
                    for (d = 0; d < doubles_of(&l, c->s.kernel, chunk); d++)
                        for (n = 0; n < 2; n++)
                            for (b = first; b < first + many; b++) {
                                const int paired = b == l.full;

                                if (paired && !n)
                                    continue;
                                for (lane = 0; lane < LANES; lane++) {
                                    const int upper = paired && lane >= LANES / 2;
                                    const int at = b * LANES + (upper ? lane - LANES / 2 : lane);
                                    const int o = at < c->part_out ? g * c->part_out + at : -1;
                                    const int step = 2 * d + (paired ? upper : n);

                                    *to++ = (uint8_t)(index_of(c, weights, o, ky, step, from, tables) |
                                                      (upper ? UPPER : 0));
                                }
                            }
            }
    to = base + l.indices;
    for (chunk = 0; chunk < l.chunks; chunk++) {
        d = c->s.kernel * doubles_of(&l, c->s.kernel, chunk);
        parts[chunk] = part_of(c, &l, to, d);
        to += d * step_bytes(&l);
    }
}

#ifndef MAKE_TABLES
/* `tables` tables of a pixel's codes from `p` on, the first `codes` of them; the sum of these. */
INLINE unsigned make_tables(const qnn_conv *c, const uint8_t *p, const uint8_t *end, int codes, int tables, uint8_t *to)
{
    const int bits = c->s.input_bits, half = bits * (GROUP / 2), shift = 8 - bits;
    const uint8_t *const sum_of = c->weights;
    const uint64_t mask = UINT64_C(0x0101010101010101) * ((1u << bits) - 1), field = (1u << half) - 1;
    unsigned sum = 0;

    for (; tables > 0; tables--, to += TABLE, p += GROUP, codes -= GROUP) {
        const int valid = codes < GROUP ? codes : GROUP;
        uint64_t v = 0;

        memcpy(&v, p, end - p >= 8 ? 8 : (size_t)(end - p));
        v &= mask & ((UINT64_C(1) << (8 * valid)) - 1);
        v |= v >> shift;
        MAKE(to, sum_of + (size_t)(v & field) * PART, sum_of + (size_t)((v >> (8 * (GROUP / 2))) & field) * PART);
        sum += to[TABLE - 1];
    }
    return sum;
}
#define MAKE_TABLES make_tables
#endif

/* Tables and sums of one input row of one group; rows outside are not looked at, columns outside stay zeros. */
TARGET static void input_row(const qnn_conv *c, const layout *l, const uint8_t *image, const uint8_t *end, int y,
                             int group, uint8_t *to, uint16_t *totals)
{
    const int first = c->s.before, left = l->padded - first, many = left < c->s.width ? left : c->s.width;
    int chunk, x;

    memset(totals, 0, (size_t)l->padded * 2);
    if (y < 0 || y >= c->s.height) {
        return;
    }
    image += (size_t)y * c->s.width * c->s.inputs + (size_t)group * c->part_in;
    for (chunk = 0; chunk < l->chunks; chunk++) {
        const int tables = chunk_of(l, chunk), from = chunk * l->chunk * GROUP, codes = c->part_in - from;
        const uint8_t *p = image + from;
        uint8_t *pixel = to + ((size_t)l->padded * chunk * l->chunk + (size_t)first * tables) * TABLE;

        for (x = 0; x < many; x++, p += c->s.inputs, pixel += (size_t)tables * TABLE)
            totals[first + x] = (uint16_t)(totals[first + x] + MAKE_TABLES(c, p, end, codes, tables, pixel));
    }
}

#ifndef SOME_PIXELS
/* Sums by name: gcc leaves arrays of vectors in memory. What lies beyond a tile's size vanishes. */
#define PIXEL_SUMS(p) VEC s##p##0 = ZERO, s##p##1 = ZERO;
#define ADD_TO(s, v)                                                                                               \
    do {                                                                                                           \
        s = ADD8(s, v);                                                                                            \
        KEEP(s);                                                                                                   \
    } while (0)
#define WEIGHTS(n, w)                                                                                              \
    if ((n) < 2 * full + pair) {                                                                                   \
        w = LOAD(index + (n) * LANES);                                                                             \
        KEEP(w);                                                                                                   \
    }
#define PIXEL_STEPS(p)                                                                                             \
    if (p < pixels) {                                                                                              \
        const uint8_t *const at = table + p * pixel;                                                               \
        REGISTER a = TAB(at), b = TAB(at + TABLE);                                                                 \
                                                                                                                   \
        KEEP_TABLE(a);                                                                                             \
        KEEP_TABLE(b);                                                                                             \
        if (full > 0)                                                                                              \
            ADD_TO(s##p##0, LOOK(a, w0));                                                                          \
        if (full > 1)                                                                                              \
            ADD_TO(s##p##1, LOOK(a, w1));                                                                          \
        if (full == 1)                                                                                             \
            ADD_TO(s##p##0, LOOK(b, w1));                                                                          \
        if (full == 2) {                                                                                           \
            ADD_TO(s##p##0, LOOK(b, w2));                                                                          \
            ADD_TO(s##p##1, LOOK(b, w3));                                                                          \
        }                                                                                                          \
        if (pair && full == 0)                                                                                     \
            ADD_TO(s##p##0, PAIRLOOK(a, b, at, w0));                                                               \
        if (pair && full == 1)                                                                                     \
            ADD_TO(s##p##1, PAIRLOOK(a, b, at, w2));                                                               \
    }
#define HAS(p, f) (p < pixels && f < full + pair)
#define MEMORY(p, f) (t->sums + p * t->sum + f * 2 * LANES)
#define BEGIN(p, f)                                                                                                \
    if (t->fresh && HAS(p, f)) {                                                                                   \
        STORE(MEMORY(p, f), ZERO);                                                                                 \
        STORE(MEMORY(p, f) + LANES, ZERO);                                                                         \
    }
#define WIDEN(p, f)                                                                                                \
    if (HAS(p, f)) {                                                                                               \
        uint8_t *const sum = MEMORY(p, f);                                                                         \
                                                                                                                   \
        STORE(sum, ADD16(LOAD(sum), s##p##f));                                                                     \
        STORE(sum + LANES, ADD16(LOAD(sum + LANES), HIGH16(s##p##f)));                                             \
        s##p##f = ZERO;                                                                                            \
    }
#define PIXEL_BEGINS(p) BEGIN(p, 0) BEGIN(p, 1)
#define PIXEL_WIDENS(p) WIDEN(p, 0) WIDEN(p, 1)
#define PIXELS_DO(DO) DO(0) DO(1) DO(2) DO(3)

/* Adds the looked up sums of `pixels` neighbours for one set of vectors of outputs. */
INLINE void tile(const work *t, const int pixels, const int full, const int pair)
{
    const uint8_t *index = t->index;
    const piece *at;
    const size_t pixel = t->pixel;
    PIXELS_DO(PIXEL_SUMS)

    PIXELS_DO(PIXEL_BEGINS)
    for (at = t->pieces; at->steps; at++) {
        const uint8_t *table = t->ring + at->place, *const stop = table + (size_t)at->steps * 2 * TABLE;

        for (; table != stop; table += 2 * TABLE) {
            VEC w0 = ZERO, w1 = w0, w2 = w0, w3 = w0;

            WEIGHTS(0, w0)
            WEIGHTS(1, w1)
            WEIGHTS(2, w2)
            WEIGHTS(3, w3)
            PIXELS_DO(PIXEL_STEPS)
            index += (2 * full + pair) * LANES;
        }
        if (at->widen) {
            PIXELS_DO(PIXEL_WIDENS)
        }
    }
}

#define CASE(n, full, pair)                                                                                        \
    case (n) * 8 + (full) * 2 + (pair):                                                                            \
        tile(t, n, full, pair);                                                                                    \
        break;
#if PAIRS
#define BOTH(n, full) CASE(n, full, 0) CASE(n, (full) - 1, 1)
#else
#define BOTH(n, full) CASE(n, full, 0)
#endif
#define ALL(n) BOTH(n, 1) BOTH(n, 2)

TARGET static void some_pixels(const work *t, int pixels, int full, int pair)
{
    switch (pixels * 8 + full * 2 + pair) {
        ALL(1)
        ALL(2)
        ALL(3)
        ALL(4)
    }
}
#define SOME_PIXELS some_pixels
#endif

/* Codes of `count` outputs of a row's pixels from the sums of their windows, whose codes have the sums `areas`. */
INLINE void codes_of(const uint8_t *sums, size_t sum, const uint8_t *limits, const int levels, const int pair,
                     const uint16_t *areas, int pixels, int count, uint8_t *out, size_t outputs)
{
    int x, k;

    for (x = 0; x < pixels; x++, sums += sum, out += outputs) {
        const VEC area = SET16(areas[x]);
        VEC b = LOAD(sums + LANES), a = SUB16(LOAD(sums), LIFT16(b)), even = SET16(levels), odd = even;

        if (pair) { /* lanes of both halves belong together */
            a = ADD16(a, SWAP(a));
            b = ADD16(b, SWAP(b));
        }
        a = SUB16(TWICE16(a), area);
        b = SUB16(TWICE16(b), area);
        for (k = 0; k < levels; k++) { /* one less for every threshold that is not reached */
            even = BELOW16(even, LOAD(limits + (2 * k + 1) * LANES), a);
            odd = BELOW16(odd, LOAD(limits + (2 * k + 2) * LANES), b);
        }
        even = XOR(JOIN(even, odd), LOAD(limits));
        if (count == LANES)
            STORE(out, even);
        else
            STORE_SOME(out, even, count);
    }
}

#define CODES(levels, pair)                                                                                        \
    codes_of(sums, l->sum, limits, levels, pair, areas, pixels, left < LANES ? left : LANES, out,                 \
             (size_t)c->s.outputs)

TARGET static void finish(const qnn_conv *c, const layout *l, const uint8_t *sums, const uint8_t *limits,
                          const uint16_t *areas, int pixels, uint8_t *out)
{
    int v, left = c->part_out;

    for (v = 0; v < l->full + l->pairs; v++, sums += 2 * LANES, out += LANES, left -= LANES) {
        if (c->s.levels == 3 && v < l->full)
            CODES(3, 0);
        else if (c->s.levels == 3)
            CODES(3, 1);
        else
            CODES(c->s.levels, v == l->full);
        limits += (2 * (size_t)c->s.levels + 1) * LANES;
    }
}

/*
 * The pieces of a window: the kernel's rows from `from` up to before `to` in the ring, cut where bytes are widened, after
 * every `part` double steps of the whole window. The other rows are padding.
 */
static void cut(piece *p, int kernel, int from, int to, int doubles, int part, int top, size_t row)
{
    int y, n, done, left = part, odd = 1;

    for (y = 0; y < to; y++)
        for (done = 0; done < doubles; done += n) {
            n = doubles - done < left ? doubles - done : left;
            left -= n;
            p->place = (int32_t)((size_t)((top + y) % kernel) * row) + done * 2 * TABLE;
            p->steps = n;
            p->widen = left ? 0 : PAIR_RUN > 1 && odd ? 1 : 3;
            if (!left) {
                left = part;
                odd = !odd;
            }
            if (y + 1 == to && done + n == doubles)
                p->widen = 3;
            p += y >= from;
        }
    p->steps = 0;
}

TARGET static void row_of(const qnn_conv *c, const void *image, const void *end, int row, void *scratch, uint8_t *out)
{
    const layout l = layout_of(c);
    const int kernel = c->s.kernel, top = row * c->s.stride, tiles = (c->wide + PIXELS - 1) / PIXELS;
    const int first = row ? top - c->s.stride + kernel : 0, all = l.full + l.pairs;
    const int outside = c->s.before - top, inside = outside + c->s.height; /* rows of the kernel: padding, image, padding */
    const int below = inside < 0 ? 0 : inside < kernel ? inside : kernel;
    const int above = outside < 0 ? 0 : outside < below ? outside : below;
    const uint8_t *index = (const uint8_t *)c->weights + l.indices;
    const uint8_t *limits = (const uint8_t *)c->weights + l.limits;
    uint16_t *columns = (uint16_t *)((uint8_t *)scratch + l.columns), *areas = columns + l.padded;
    uint8_t *sums = (uint8_t *)scratch + l.sums, *to;
    piece *pieces = (piece *)((uint8_t *)scratch + l.pieces);
    const int32_t *parts = (const int32_t *)((const uint8_t *)c->weights + l.parts);
    int g, y, i, x, k, n, chunk, set, from;
    work t;

    t.sum = l.sum;
    t.pieces = pieces;
    for (g = 0; g < c->s.groups; g++, limits += (size_t)all * (2 * c->s.levels + 1) * LANES) {
        uint8_t *ring = (uint8_t *)scratch + l.ring + (size_t)g * kernel * l.row;
        uint16_t *totals = (uint16_t *)((uint8_t *)scratch + l.totals) + (size_t)g * kernel * l.padded;

        for (y = first > top ? first : top; y < top + kernel; y++)
            input_row(c, &l, image, end, y - c->s.before, g, ring + (size_t)(y % kernel) * l.row,
                      totals + (size_t)(y % kernel) * l.padded);
        for (x = 0; x < l.padded; x++)
            columns[x] = totals[x];
        for (y = 1; y < kernel; y++)
            for (x = 0; x < l.padded; x++)
                columns[x] = (uint16_t)(columns[x] + totals[(size_t)y * l.padded + x]);
        memset(areas, 0, (size_t)c->wide * 2);
        for (k = 0; k < kernel; k++)
            for (x = 0; x < c->wide; x++)
                areas[x] = (uint16_t)(areas[x] + columns[x * c->s.stride + k]);
        for (chunk = 0; chunk < l.chunks; chunk++) {
            const int tables = chunk_of(&l, chunk), doubles = doubles_of(&l, kernel, chunk);
            const size_t step = (size_t)doubles * LANES;

            cut(pieces, kernel, above, below, doubles, parts[chunk], top, l.row);
            t.index = index;
            t.pixel = (size_t)c->s.stride * tables * TABLE;
            t.fresh = chunk == 0;
            for (i = 0, x = 0; i < tiles; i++, x += n) {
                n = (c->wide - x + tiles - i - 1) / (tiles - i);
                t.ring = ring + (size_t)l.padded * chunk * l.chunk * TABLE + x * t.pixel;
                t.index = index;
                to = sums + (l.chunks > 1 ? x * l.sum : 0); /* in the first cache, if possible */
                for (set = 0; set < l.sets; set++) {
                    const int many = set_of(&l, set, &from), pair = from + many > l.full;

                    t.sums = to + (size_t)from * 2 * LANES;
                    t.index += above * step * (2 * many - pair);
                    SOME_PIXELS(&t, n, many - pair, pair);
                    t.index += (kernel - above) * step * (2 * many - pair);
                }
                if (chunk == l.chunks - 1)
                    finish(c, &l, to, limits, areas + x, n, out + (size_t)x * c->s.outputs + (size_t)g * c->part_out);
            }
            index = t.index;
        }
    }
}

/* Sums must fit in 16 bits with a threshold above them. */
static int fits(const qnn_conv *c)
{
    return c->s.weight_bits == 1 && qnn_conv_reach(c) < 32767 && c->s.levels <= 255;
}

static const qnn_conv_kernel lookup = {NAME, lookup_weight_bytes, lookup_scratch_bytes, lookup_repack, row_of, MAXIMUM};

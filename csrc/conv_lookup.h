/*
 * 1-bit weights times codes by lookup; included by one file for each vector length, which defines VEC, LANES
 * (bytes of a vector), GROUP (channels of a table), TABLE (its bytes, 2^GROUP), TILE (pixels at a time), LOOKUP,
 * PAIRLOOK, MAKE (a table of the sums of its halves), ADD8, EVEN16, ODD16 (bytes to 16 bits), ADD16, SUB16, TWICE16, GREATER16 (all ones where a > b),
 * SET16, JOIN (even and odd halves to bytes), XOR, LOAD, STORE, ZERO, KEEP, TARGET and NAME.
 *
 * An input pixel has one table for GROUP channels: T[w] = sum of the codes whose weight bit is 1. A step looks
 * up LANES outputs at once, the weights' bits are the index vector; S = sum of T[w] over the window, and the
 * convolution is 2 S - (sum of the window's codes). All tables that a pixel's window has in one row of the
 * kernel lie side by side. Bytes are widened before they can overflow; tables of the padding are 0.
 *
 * PAIRLOOK, where it exists, serves a last block of at most LANES / 2 outputs: the lower half of the lanes takes
 * the step's table, the upper half the next one's.
 */
#include <string.h>
#include "conv.h"

#define PART (1 << (GROUP / 2)) /* sums that half a group can have */
#define INLINE static inline __attribute__((always_inline)) TARGET

typedef struct {
    int tables; /* of a pixel */
    int padded; /* pixels of a row, padding included */
    int steps;  /* kernel * tables, and one of zeros if that is odd */
    int blocks; /* of outputs in a group; the last one may be a pair block */
    int pairs;  /* 1: the last one is */
    size_t row; /* bytes of a row's tables */
    size_t limits, indices, ring, sums, columns; /* where things are */
    size_t weight_bytes, scratch_bytes;
} layout;

static layout layout_of(const qnn_conv *c)
{
    const size_t entries = (size_t)1 << (c->s.input_bits * (GROUP / 2));
    const int left = c->part_out % LANES;
    layout l;

    l.tables = (c->part_in + GROUP - 1) / GROUP;
    l.padded = (c->wide - 1) * c->s.stride + c->s.kernel;
    l.steps = c->s.kernel * l.tables;
    l.blocks = (c->part_out + LANES - 1) / LANES;
    l.pairs = PAIRS && left > 0 && left <= LANES / 2;
    l.row = ((size_t)l.padded * l.tables * TABLE + TABLE + 191) / 128 * 128;
    /* weights: tables of half a group, thresholds, indices */
    l.limits = (entries * PART + 63) / 64 * 64;
    l.indices = l.limits + (size_t)c->s.groups * l.blocks * (2 * (size_t)c->s.levels + 1) * LANES;
    l.weight_bytes = l.indices + (size_t)c->s.groups * l.blocks * c->s.kernel * (l.steps + 1) * LANES;
    /* scratch: tables of the last rows of every group, their pixels' sums, sums of columns */
    l.ring = 0;
    l.sums = (size_t)c->s.groups * c->s.kernel * l.row;
    l.columns = l.sums + (size_t)c->s.groups * c->s.kernel * l.padded * 2;
    l.scratch_bytes = l.columns + ((size_t)l.padded + c->wide) * 2 + 64;
    return l;
}

static size_t weight_bytes(const qnn_conv *c)
{
    return layout_of(c).weight_bytes;
}

static size_t scratch_bytes(const qnn_conv *c)
{
    return layout_of(c).scratch_bytes;
}

static int16_t limit16(int32_t t)
{
    return (int16_t)(t > 32767 ? 32767 : t < -32768 ? -32768 : t);
}

/* Bit i: weight of channel table * GROUP + i. */
static int index_of(const qnn_conv *c, const uint8_t *weights, int o, int ky, int step, int tables)
{
    const int kx = step / tables, first = step % tables * GROUP;
    int i, bits = 0;

    if (kx >= c->s.kernel)
        return 0;
    for (i = 0; i < GROUP && first + i < c->part_in; i++)
        bits |= qnn_conv_bit(c, weights, o, ky, kx, first + i) << i;
    return bits;
}

static void repack(const qnn_conv *c, const void *weights, void *out)
{
    const layout l = layout_of(c);
    const int bits = c->s.input_bits, entries = 1 << (bits * (GROUP / 2)), mask = (1 << bits) - 1;
    uint8_t *base = out, *to = base;
    int e, w, i, g, b, t, k, ky, lane;

    for (e = 0; e < entries; e++)
        for (w = 0; w < PART; w++, to++)
            for (*to = 0, i = 0; i < GROUP / 2; i++)
                if ((w >> i) & 1)
                    *to = (uint8_t)(*to + ((e >> (bits * i)) & mask));
    to = base + l.limits;
    for (g = 0; g < c->s.groups; g++)
        for (b = 0; b < l.blocks; b++, to += (2 * (size_t)c->s.levels + 1) * LANES)
            for (lane = 0; lane < LANES && b * LANES + lane < c->part_out; lane++) {
                const int o = g * c->part_out + b * LANES + lane;

                to[lane] = c->invert[o];
                for (t = 0; t < c->s.levels; t++) /* even lanes, then odd ones */
                    ((int16_t *)(to + LANES))[(2 * t + (lane & 1)) * (LANES / 2) + lane / 2] =
                        limit16(((const int32_t *)c->thresholds)[(size_t)o * c->s.levels + t]);
            }
    to = base + l.indices;
    for (g = 0; g < c->s.groups; g++)
        for (b = 0; b < l.blocks; b++) {
            const int paired = l.pairs && b == l.blocks - 1;

            for (ky = 0; ky < c->s.kernel; ky++, to += (l.steps + 1) * LANES)
                for (k = 0; k < l.steps; k += 1 + paired)
                    for (lane = 0; lane < LANES; lane++) {
                        const int upper = paired && lane >= LANES / 2;
                        const int at = b * LANES + (upper ? lane - LANES / 2 : lane);
                        const int index = at < c->part_out
                                              ? index_of(c, weights, g * c->part_out + at, ky, k + upper, l.tables) : 0;

                        to[(k >> paired) * LANES + lane] = (uint8_t)(index | (upper ? UPPER : 0));
                    }
        }
}

/* Tables and sums of one input row of one group; rows outside are zeros. */
TARGET static void make_tables(const qnn_conv *c, const layout *l, const uint8_t *image, const uint8_t *end, int y,
                               int group, uint8_t *to, uint16_t *sums)
{
    const int bits = c->s.input_bits, half = bits * (GROUP / 2), shift = 8 - bits;
    const uint8_t *const sum_of = c->weights;
    const int inputs = c->s.inputs, tables = l->tables;
    const uint64_t mask = UINT64_C(0x0101010101010101) * ((1u << bits) - 1), field = (1u << half) - 1;
    const int tail = c->part_in - (l->tables - 1) * GROUP;
    const uint64_t full = mask & ((UINT64_C(1) << (8 * GROUP)) - 1), last = mask & ((UINT64_C(1) << (8 * tail)) - 1);
    /* the first code of each half of 6: 3 times 3 bits reach into the next byte */
    const uint64_t ones = UINT64_C(0x1000001) * ((1u << bits) - 1);
    int x, g;

    if (y < 0 || y >= c->s.height) {
        memset(to, 0, (size_t)l->padded * l->tables * TABLE);
        memset(sums, 0, (size_t)l->padded * 2);
        return;
    }
    for (x = 0; x < l->padded; x++) {
        const uint8_t *p = image + ((size_t)y * c->s.width + (x - c->s.before)) * inputs + group * c->part_in;
        unsigned sum = 0;

        if (x < c->s.before || x - c->s.before >= c->s.width) {
            memset(to, 0, (size_t)l->tables * TABLE);
            to += (size_t)l->tables * TABLE;
            sums[x] = 0;
            continue;
        }
        for (g = 0; g < tables; g++, to += TABLE, p += GROUP) {
            uint64_t v = 0;

            if (end - p >= 8)
                memcpy(&v, p, 8);
            else
                memcpy(&v, p, (size_t)(end - p));
            v &= g == tables - 1 ? last : full;
            sum += (unsigned)((v * UINT64_C(0x0101010101010101)) >> 56);
            v = GROUP == 6 ? (v & ones) | (v >> shift) | ((v >> 2 * shift) & (ones << 2 * bits)) : v | (v >> shift);
            MAKE(to, sum_of + (size_t)(v & field) * PART, sum_of + (size_t)((v >> (8 * (GROUP / 2))) & field) * PART);
        }
        sums[x] = (uint16_t)sum;
    }
}

/* `pixels` <= TILE neighbours, one block of outputs: sums S of a window, over all rows of the kernel. */
INLINE void tile(const qnn_conv *c, const layout *l, const uint8_t *index, const uint8_t *ring, int slot, int x,
                 const uint16_t *areas, const uint8_t *limits, const int pixels, const int paired, const int count,
                 uint8_t *out)
{
    const int most = 255 / (GROUP * ((1 << c->s.input_bits) - 1)), steps = paired ? (l->steps + 1) / 2 : l->steps;
    const size_t step = (size_t)TABLE << paired, pixel = (size_t)c->s.stride * l->tables * TABLE;
    VEC even[TILE], odd[TILE], bytes[TILE];
    int ky, k, p, n, t;

    for (p = 0; p < pixels; p++)
        even[p] = odd[p] = ZERO;
    for (ky = 0; ky < c->s.kernel; ky++, index += (size_t)(l->steps + 1) * LANES) {
        const uint8_t *table = ring + (size_t)slot * l->row + (size_t)x * pixel, *w = index;

        slot = slot + 1 == c->s.kernel ? 0 : slot + 1;
        for (k = 0; k < steps; k += n) {
            const uint8_t *stop;

            n = steps - k < most ? steps - k : most;
            stop = w + (size_t)n * LANES;
            for (p = 0; p < pixels; p++)
                bytes[p] = ZERO;
            for (; w < stop; w += LANES, table += step) {
                VEC i = LOAD(w);

                KEEP(i);
                for (p = 0; p < pixels; p++) {
                    bytes[p] = ADD8(bytes[p], paired ? PAIRLOOK(i, table + p * pixel) : LOOKUP(i, table + p * pixel));
                    KEEP(bytes[p]);
                }
            }
            for (p = 0; p < pixels; p++) {
                even[p] = ADD16(even[p], EVEN16(bytes[p]));
                odd[p] = ADD16(odd[p], ODD16(bytes[p]));
            }
        }
    }
    for (p = 0; p < pixels; p++, out += c->s.outputs) {
        const VEC area = SET16(areas[p]);
        VEC a = even[p], b = odd[p], high = SET16(c->s.levels), low = high, code;

        if (paired) { /* lanes of both halves belong together */
            a = ADD16(a, SWAP(a));
            b = ADD16(b, SWAP(b));
        }
        a = SUB16(TWICE16(a), area);
        b = SUB16(TWICE16(b), area);
        for (t = 0; t < c->s.levels; t++) { /* -1 for every threshold that is not reached */
            high = ADD16(high, GREATER16(LOAD(limits + (2 * t + 1) * LANES), a));
            low = ADD16(low, GREATER16(LOAD(limits + (2 * t + 2) * LANES), b));
        }
        code = XOR(JOIN(high, low), LOAD(limits));
        if (count == LANES) {
            STORE(out, code);
        } else {
            uint8_t some[LANES];

            STORE(some, code);
            memcpy(out, some, (size_t)count);
        }
    }
}

#define CASE(n)                                                                                                    \
    case n:                                                                                                        \
        if (paired)                                                                                                \
            tile(c, l, index, ring, slot, x, areas + x, limits, n, PAIRS, count, out);                             \
        else                                                                                                       \
            tile(c, l, index, ring, slot, x, areas + x, limits, n, 0, count, out);                                 \
        break;

TARGET static void some_pixels(const qnn_conv *c, const layout *l, const uint8_t *index, const uint8_t *ring,
                               int slot, int x, const uint16_t *areas, const uint8_t *limits, int pixels, int paired,
                               int count, uint8_t *out)
{
    switch (pixels) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
#if TILE > 4
        CASE(5)
        CASE(6)
        CASE(7)
        CASE(8)
#endif
    }
}

TARGET static void row_of(const qnn_conv *c, const void *image, const void *end, int row, void *scratch, uint8_t *out)
{
    const layout l = layout_of(c);
    const int kernel = c->s.kernel, top = row * c->s.stride, tiles = (c->wide + TILE - 1) / TILE;
    const size_t block = (size_t)kernel * (l.steps + 1) * LANES, limit = (2 * (size_t)c->s.levels + 1) * LANES;
    int first = row ? top - c->s.stride + kernel : 0, g, y, b, i, x, k, n;

    for (g = 0; g < c->s.groups; g++) {
        uint8_t *ring = (uint8_t *)scratch + l.ring + (size_t)g * kernel * l.row;
        uint16_t *sums = (uint16_t *)((uint8_t *)scratch + l.sums) + (size_t)g * kernel * l.padded;
        uint16_t *columns = (uint16_t *)((uint8_t *)scratch + l.columns), *areas = columns + l.padded;

        for (y = first > top ? first : top; y < top + kernel; y++)
            make_tables(c, &l, image, end, y - c->s.before, g, ring + (size_t)(y % kernel) * l.row,
                        sums + (size_t)(y % kernel) * l.padded);
        for (x = 0; x < l.padded; x++)
            columns[x] = sums[x];
        for (y = 1; y < kernel; y++)
            for (x = 0; x < l.padded; x++)
                columns[x] = (uint16_t)(columns[x] + sums[(size_t)y * l.padded + x]);
        for (x = 0; x < c->wide; x++) {
            unsigned area = 0;

            for (k = 0; k < kernel; k++)
                area += columns[x * c->s.stride + k];
            areas[x] = (uint16_t)area;
        }
        for (i = 0, x = 0; i < tiles; i++, x += n) {
            n = (c->wide - x + tiles - i - 1) / (tiles - i);
            for (b = 0; b < l.blocks; b++) {
                const int left = c->part_out - b * LANES;

                some_pixels(c, &l, (const uint8_t *)c->weights + l.indices + ((size_t)g * l.blocks + b) * block,
                            ring, top % kernel, x, areas, (const uint8_t *)c->weights + l.limits +
                            ((size_t)g * l.blocks + b) * limit, n, l.pairs && b == l.blocks - 1,
                            left < LANES ? left : LANES,
                            out + (size_t)x * c->s.outputs + (size_t)g * c->part_out + (size_t)b * LANES);
            }
        }
    }
}

/* Sums must fit in 16 bits with a threshold above them. */
static int fits(const qnn_conv *c)
{
    return c->s.weight_bits == 1 && qnn_conv_reach(c) < 32767 && c->s.levels <= 255;
}

static const qnn_conv_kernel lookup = {NAME, weight_bytes, scratch_bytes, repack, row_of};

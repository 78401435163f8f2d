/* NEON, armv7 and aarch64: 128 inputs of one neuron in a vector, popcounts by VCNT, 8 neurons at a time. */
#include "dense.h"

#ifdef QNN_HAVE_NEON
#include "neon.h"

#define INLINE static inline __attribute__((always_inline))

enum { CHUNK = 8 }; /* vectors of inputs that are summed in bytes: 8 * 8 = 64 at most */

/* Layout: block of 8 neurons, chunk of 8 vectors (the last one shorter), neuron, vector. */
size_t qnn_dense_size_neon(const qnn_layer *layer)
{
    return (size_t)layer->blocks * QNN_BLOCK * (((size_t)layer->words + 1) / 2) * 16;
}

void qnn_dense_repack_neon(const qnn_layer *layer, const uint8_t *weights, void *out)
{
    const int vectors = (layer->words + 1) / 2;
    uint64_t *to = out;
    int block, from, lane, v, size;

    for (block = 0; block < layer->blocks; block++)
        for (from = 0; from < vectors; from += size) {
            size = vectors - from < CHUNK ? vectors - from : CHUNK;
            for (lane = 0; lane < QNN_BLOCK; lane++)
                for (v = from; v < from + size; v++) {
                    *to++ = qnn_weight_word(layer, weights, block * QNN_BLOCK + lane, 2 * v);
                    *to++ = qnn_weight_word(layer, weights, block * QNN_BLOCK + lane, 2 * v + 1);
                }
        }
}

INLINE int popcount_row(const uint8_t *x, int vectors)
{
    uint32x4_t sum = vdupq_n_u32(0);
    uint64x2_t wide;
    int v;

    for (v = 0; v < vectors; v++)
        sum = vpadalq_u16(sum, vpaddlq_u8(vcntq_u8(vld1q_u8(x + 16 * v))));
    wide = vpaddlq_u32(sum);
    return (int)(vgetq_lane_u64(wide, 0) + vgetq_lane_u64(wide, 1));
}

/* Byte counts of the products of one neuron that are negative, `size` <= 8 vectors. */
INLINE uint8x16_t bytes_of(const uint8_t *w, const uint8x16_t *x, const uint8_t *neg, const int size,
                           const int ternary)
{
    uint8x16_t sum = vdupq_n_u8(0);
    int v;

#pragma GCC unroll 8
    for (v = 0; v < size; v++) {
        uint8x16_t bits = vld1q_u8(w + 16 * v);

        bits = ternary ? vbicq_u8(x[v], veorq_u8(bits, vld1q_u8(neg + 16 * v))) : veorq_u8(bits, x[v]);
        sum = v ? vaddq_u8(sum, vcntq_u8(bits)) : vcntq_u8(bits);
    }
    return sum;
}

#if defined(__arm__)
/*
 * The same for 7 and 8 vectors, and w moved on to the next neuron. Written out because gcc spends one more
 * instruction on every address: 27 and 40 instructions for 8 vectors, where it makes 37 and 60.
 */
#define LOAD "vld1.64 {d0-d3}, [%[w]:128]!\n\tvld1.64 {d4-d7}, [%[w]:128]!\n\t"
#define LOAD7 "vld1.64 {d0-d3}, [%[w]:128]!\n\tvld1.64 {d4-d5}, [%[w]:128]!\n\t"
#define XOR(i, x) "veor q" #i ", q" #i ", %q[" #x "]\n\t"
#define COUNT(i) "vcnt.8 q" #i ", q" #i "\n\t"
#define SUM(i) "vadd.i8 %q[sum], %q[sum], q" #i "\n\t"
#define HALF XOR(0, x0) XOR(1, x1) XOR(2, x2) XOR(3, x3) COUNT(0) COUNT(1) COUNT(2) COUNT(3) \
    "vadd.i8 %q[sum], q0, q1\n\t" SUM(2) SUM(3)
/* an operand that says which memory is read: without it the compiler may move stores past the code */
#define BYTES(p, n) "m"(*(const uint8_t(*)[n])(p))
#define INPUTS [x0] "w"(x[0]), [x1] "w"(x[1]), [x2] "w"(x[2]), [x3] "w"(x[3]), [x4] "w"(x[4]), [x5] "w"(x[5]), \
    [x6] "w"(x[6])

INLINE uint8x16_t binary_bytes(const uint8_t **w, const uint8x16_t *x, const int size)
{
    uint8x16_t sum;

    if (size == 7)
        __asm__(LOAD HALF LOAD7 XOR(0, x4) XOR(1, x5) XOR(2, x6) COUNT(0) COUNT(1) COUNT(2) SUM(0) SUM(1) SUM(2)
                : [sum] "=&w"(sum), [w] "+r"(*w)
                : INPUTS, BYTES(*w, 112)
                : "q0", "q1", "q2", "q3");
    else
        __asm__(LOAD HALF LOAD XOR(0, x4) XOR(1, x5) XOR(2, x6) XOR(3, x7) COUNT(0) COUNT(1) COUNT(2) COUNT(3)
                SUM(0) SUM(1) SUM(2) SUM(3)
                : [sum] "=&w"(sum), [w] "+r"(*w)
                : INPUTS, [x7] "w"(x[7]), BYTES(*w, 128)
                : "q0", "q1", "q2", "q3");
    return sum;
}

/* two vectors: nz & ~(w ^ neg) */
#define TERNARY(a, b) "vld1.64 {d0-d3}, [%[w]:128]!\n\tvld1.64 {d4-d7}, [%[neg]:128]!\n\t" \
    "veor q0, q0, q2\n\tveor q1, q1, q3\n\tvbic q0, %q[" #a "], q0\n\tvbic q1, %q[" #b "], q1\n\t" \
    COUNT(0) COUNT(1)

INLINE uint8x16_t ternary_bytes(const uint8_t **w, const uint8x16_t *x, const uint8_t *neg)
{
    uint8x16_t sum;

    __asm__(TERNARY(x0, x1) "vadd.i8 %q[sum], q0, q1\n\t" TERNARY(x2, x3) SUM(0) SUM(1) TERNARY(x4, x5) SUM(0)
            SUM(1) TERNARY(x6, x7) SUM(0) SUM(1)
            : [sum] "=&w"(sum), [w] "+r"(*w), [neg] "+r"(neg)
            : INPUTS, [x7] "w"(x[7]), BYTES(*w, 128), BYTES(neg, 128)
            : "q0", "q1", "q2", "q3");
    return sum;
}
#endif

/* Counts of 8 neurons over one chunk of 7 or 8 vectors. */
INLINE uint16x8_t counts_of(const uint8_t *w, const uint8_t *x, const uint8_t *neg, const int size,
                            const int ternary)
{
    uint8x16_t nz[CHUNK];
    int v;
#if defined(__aarch64__)
    uint16x8_t quarter[2];
    int j;

#pragma GCC unroll 8
    for (v = 0; v < size; v++)
        nz[v] = vld1q_u8(x + 16 * v);
#pragma GCC unroll 2
    for (j = 0; j < 2; j++, w += 64 * size) {
        uint16x8_t a = vpaddlq_u8(vpaddq_u8(bytes_of(w, nz, neg, size, ternary),
                                            bytes_of(w + 16 * size, nz, neg, size, ternary)));
        uint16x8_t b = vpaddlq_u8(vpaddq_u8(bytes_of(w + 32 * size, nz, neg, size, ternary),
                                            bytes_of(w + 48 * size, nz, neg, size, ternary)));
        quarter[j] = vpaddq_u16(a, b);
    }
    return vpaddq_u16(quarter[0], quarter[1]);
#else
    uint16x4_t half[2], pair[2];
    int j, i;

#pragma GCC unroll 8
    for (v = 0; v < size; v++)
        nz[v] = vld1q_u8(x + 16 * v);
#pragma GCC unroll 2
    for (j = 0; j < 2; j++) {
#pragma GCC unroll 2
        for (i = 0; i < 2; i++) {
            uint8x16_t a = ternary ? ternary_bytes(&w, nz, neg) : binary_bytes(&w, nz, size);
            uint8x16_t b = ternary ? ternary_bytes(&w, nz, neg) : binary_bytes(&w, nz, size);

            pair[i] = vpadd_u16(vpaddl_u8(vpadd_u8(vget_low_u8(a), vget_high_u8(a))),
                                vpaddl_u8(vpadd_u8(vget_low_u8(b), vget_high_u8(b))));
        }
        half[j] = vpadd_u16(pair[0], pair[1]);
    }
    return vcombine_u16(half[0], half[1]);
#endif
}

/* bit j = lane j of the mask */
INLINE unsigned bits_of(uint16x8_t mask)
{
    static const uint8_t weight[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint8x8_t m = vand_u8(vmovn_u16(mask), vld1_u8(weight));

#if defined(__aarch64__)
    return vaddv_u8(m);
#else
    m = vpadd_u8(m, m);
    m = vpadd_u8(m, m);
    return vget_lane_u8(vpadd_u8(m, m), 0);
#endif
}

INLINE void finish(const qnn_layer *l, uint16x8_t counts, int block, int centre, uint8_t *y, size_t y_plane,
                   int32_t *sums, const int levels)
{
    const int16_t *limits = l->limits[centre & 1] + (size_t)block * (size_t)levels * 8;
    const int16x8_t p = vsubq_s16(vreinterpretq_s16_u16(counts), vdupq_n_s16((int16_t)(centre >> 1)));

    if (levels == 1) {
        *y = (uint8_t)bits_of(vcltq_s16(p, vld1q_s16(limits)));
    } else if (levels == 2) {
        uint16x8_t f0 = vcltq_s16(p, vld1q_s16(limits)), f1 = vcltq_s16(p, vld1q_s16(limits + 8));

        y[0] = (uint8_t)~bits_of(veorq_u16(f0, f1));
        y[y_plane] = (uint8_t)~bits_of(vorrq_u16(f0, f1));
    }
    if (sums) {
        uint16_t count[8];
        int j;

        vst1q_u16(count, counts);
        for (j = 0; j < 8 && block * 8 + j < l->outputs; j++)
            sums[j] = centre - ((int32_t)count[j] << l->doubled);
    }
}

/* size: the number of vectors where it is at most 8, else 0 */
INLINE void work(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                 int32_t *sums, const int size, const int ternary, const int levels)
{
    const uint8_t *w = l->weights;
    const size_t row = (size_t)l->planes * l->stride * 8, plane = (size_t)l->stride * 8;
    const int blocks = l->blocks, vectors = (l->words + 1) / 2;
    int centre[QNN_TILE], block, from;
    size_t i;

    for (i = 0; i < n; i++)
        centre[i] = ternary ? popcount_row((const uint8_t *)x + i * row, vectors) : l->inputs;
    for (block = 0; block < blocks; block++, w += (size_t)vectors * 128) {
        const uint8_t *nz = (const uint8_t *)x;

        for (i = 0; i < n; i++, nz += row) {
            uint16x8_t counts;

            if (size) {
                counts = counts_of(w, nz, nz + plane, size, ternary);
            } else {
                counts = vdupq_n_u16(0);
                for (from = 0; from + CHUNK <= vectors; from += CHUNK)
                    counts = vaddq_u16(counts, counts_of(w + (size_t)from * 128, nz + (size_t)from * 16,
                                                         nz + plane + (size_t)from * 16, CHUNK, ternary));
                for (; from < vectors; from++) { /* chunk of `left` vectors, one at a time */
                    const int left = vectors % CHUNK, first = vectors - left;
                    const uint8_t *part = w + (size_t)first * 128 + (size_t)(from - first) * 16;
                    const uint8x16_t v = vld1q_u8(nz + (size_t)from * 16);
                    uint16_t lane[8];
                    int j;

                    for (j = 0; j < 8; j++) {
                        uint8x16_t b = bytes_of(part + (size_t)j * left * 16, &v, nz + plane + (size_t)from * 16, 1,
                                                ternary);
                        uint64x2_t s = vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(b)));

                        lane[j] = (uint16_t)(vgetq_lane_u64(s, 0) + vgetq_lane_u64(s, 1));
                    }
                    counts = vaddq_u16(counts, vld1q_u16(lane));
                }
            }
            finish(l, counts, block, centre[i], y + i * y_row + block, y_plane,
                   sums ? sums + i * (size_t)l->outputs + (size_t)block * 8 : NULL, levels);
        }
    }
}

void qnn_dense_neon(const qnn_layer *l, const uint64_t *x, size_t n, uint8_t *y, size_t y_row, size_t y_plane,
                    int32_t *sums)
{
    const int size = sums ? 0 : (l->words + 1) / 2;

    if (size == 7 && !l->ternary && l->levels == 1)
        work(l, x, n, y, y_row, y_plane, NULL, 7, 0, 1);
    else if (size == 7 && !l->ternary && l->levels == 2)
        work(l, x, n, y, y_row, y_plane, NULL, 7, 0, 2);
    else if (size == 8 && !l->ternary && l->levels == 1)
        work(l, x, n, y, y_row, y_plane, NULL, 8, 0, 1);
    else if (size == 8 && l->ternary && l->levels == 1)
        work(l, x, n, y, y_row, y_plane, NULL, 8, 1, 1);
    else if (size == 8 && l->ternary && l->levels == 2)
        work(l, x, n, y, y_row, y_plane, NULL, 8, 1, 2);
    else if (l->ternary)
        work(l, x, n, y, y_row, y_plane, sums, 0, 1, l->levels);
    else
        work(l, x, n, y, y_row, y_plane, sums, 0, 0, l->levels);
}
#endif

/* Numbers <-> fixed point: value = integer * 2^-fraction, the integer of 1..64 bits, in a container of 1, 2, 4 or 8
   bytes. Rounding and overflow are those of the C++ types ap_fixed and ap_int, by number as kernels/fixed.py has them. */
#include <float.h>
#include <math.h> /* fabs, which needs no library */
#include <string.h>
#include "kernels.h"

enum { TRN, RND, TRN_ZERO, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV };
enum { WRAP, SAT, SAT_ZERO, SAT_SYM, REFUSE };
enum { BLOCK = 256 };

static uint64_t ones(int bits)
{
    return bits >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1;
}

/* The low bits of v, extended to 64. */
static uint64_t extend(uint64_t v, const qnn_fixed *t)
{
    v &= ones(t->width);
    return t->is_signed && v >> (t->width - 1) ? v | ~ones(t->width) : v;
}

static void store(void *out, size_t i, int bytes, uint64_t v)
{
    switch (bytes) {
    case 1: ((uint8_t *)out)[i] = (uint8_t)v; break;
    case 2: ((uint16_t *)out)[i] = (uint16_t)v; break;
    case 4: ((uint32_t *)out)[i] = (uint32_t)v; break;
    default: ((uint64_t *)out)[i] = v;
    }
}

static uint64_t fetch(const void *raw, size_t i, int bytes)
{
    switch (bytes) {
    case 1: return ((const uint8_t *)raw)[i];
    case 2: return ((const uint16_t *)raw)[i];
    case 4: return ((const uint32_t *)raw)[i];
    default: return ((const uint64_t *)raw)[i];
    }
}

/* What the least value is above the least one of the bits: with AP_SAT_SYM it is minus the greatest, or -1 of one bit. */
static int spared(const qnn_fixed *t)
{
    return t->overflow == SAT_SYM && t->width > 1;
}

/* A rounded value of any size (`over`: of more than 64 bits, and magnitude its low ones) into the type.
   0 where it does not fit and must not be bent. */
static int fit(const qnn_fixed *t, int negative, uint64_t magnitude, int over, uint64_t *raw)
{
    const uint64_t highest = ones(t->width - t->is_signed);
    const uint64_t lowest = t->is_signed ? highest + !spared(t) : 0; /* its magnitude */

    if (!over && magnitude <= (negative ? lowest : highest)) {
        *raw = negative ? 0 - magnitude : magnitude;
        return 1;
    }
    switch (t->overflow) {
    case WRAP: *raw = extend(negative ? 0 - magnitude : magnitude, t); return 1;
    case SAT:
    case SAT_SYM: *raw = negative ? 0 - lowest : highest; return 1;
    case SAT_ZERO: *raw = 0; return 1;
    default: return 0;
    }
}

/* Whether a magnitude cut at the point grows by one: `half` compares what was cut off with a half, -1, 0 or 1. */
static int grows(int rounding, int negative, int any, int half, int odd)
{
    if (rounding == TRN)
        return negative && any;
    if (rounding == TRN_ZERO || half)
        return rounding != TRN_ZERO && half > 0;
    switch (rounding) {
    case RND: return !negative;
    case RND_MIN_INF: return negative;
    case RND_INF: return 1;
    case RND_CONV: return odd;
    default: return 0;
    }
}

static int from_integer(const qnn_fixed *t, int negative, uint64_t magnitude, uint64_t *raw)
{
    const int f = t->fraction, cut = -f;
    uint64_t whole, rest, middle;
    int half;

    if (f >= 0) {
        const int over = magnitude && (f >= 64 || (f && magnitude >> (64 - f)));

        return fit(t, negative, f >= 64 ? 0 : magnitude << f, over, raw);
    }
    whole = cut >= 64 ? 0 : magnitude >> cut;
    rest = cut >= 64 ? magnitude : magnitude & ones(cut);
    middle = UINT64_C(1) << (cut >= 64 ? 63 : cut - 1);
    half = cut > 64 || rest < middle ? -1 : rest > middle;
    return fit(t, negative, whole + grows(t->rounding, negative, rest != 0, half, (int)(whole & 1)), 0, raw);
}

static double power_of_two(int exponent)
{
    double power = 1;

    for (; exponent > 0; exponent--)
        power *= 2;
    for (; exponent < 0; exponent++)
        power /= 2;
    return power;
}

static int from_double(const qnn_fixed *t, double scale, double x, uint64_t *raw)
{
    double magnitude = fabs(x * scale), rest;
    uint64_t whole;

    if (!(fabs(x) <= DBL_MAX)) /* infinite, or no number */
        return 0;
    if (magnitude == 0 && x != 0) /* too small even for a double, but not nothing */
        magnitude = DBL_MIN;
    if (magnitude >= 18446744073709551616.0) { /* 2^64: its 53 bits stand at bit 12 or above */
        uint64_t bits;
        int shift;

        memcpy(&bits, &magnitude, 8);
        shift = (int)(bits >> 52) - 1075;
        bits = (bits & ones(52)) | UINT64_C(1) << 52;
        return fit(t, x < 0, shift < 64 ? bits << shift : 0, 1, raw);
    }
    whole = (uint64_t)magnitude;
    rest = magnitude - (double)whole; /* exact */
    whole += (uint64_t)grows(t->rounding, x < 0, rest != 0, rest < 0.5 ? -1 : rest > 0.5, (int)(whole & 1));
    return fit(t, x < 0, whole, 0, raw);
}

/*
 * A block to the nearest (ties to even) or down, by additions that the compiler turns into vector code: what is added
 * to 1.5 * 2^(bits of the mantissa - 1) loses its fraction. 0: a value lies outside, or is no number; what was stored
 * then is of no meaning.
 */
#define QUICK(NAME, TARGET, SOURCE, REAL, FLAG, MAGIC, DOWN)                                                  \
    TARGET static int NAME(const SOURCE *x, int n, const qnn_fixed *t, void *out, size_t at)                 \
    {                                                                                                         \
        const REAL magic = MAGIC, scale = (REAL)power_of_two(t->fraction);                                    \
        const REAL highest = (REAL)ones(t->width - t->is_signed);                                             \
        const REAL lowest = t->is_signed ? -highest - !spared(t) : 0;                                         \
        REAL r[BLOCK];                                                                                        \
        FLAG bad = 0;                                                                                         \
        int i;                                                                                                \
                                                                                                              \
        if (t->rounding == RND_CONV)                                                                          \
            for (i = 0; i < n; i++)                                                                           \
                r[i] = (x[i] * scale + magic) - magic;                                                        \
        else                                                                                                  \
            for (i = 0; i < n; i++)                                                                           \
                r[i] = DOWN(x[i] * scale, magic);                                                             \
        for (i = 0; i < n; i++)                                                                               \
            bad |= r[i] >= lowest && r[i] <= highest ? 0 : 1;                                                 \
        if (bad)                                                                                              \
            return 0;                                                                                         \
        switch (t->bytes) {                                                                                   \
        case 1:                                                                                               \
            for (i = 0; i < n; i++)                                                                           \
                ((uint8_t *)out)[at + i] = (uint8_t)(int32_t)r[i];                                            \
            break;                                                                                            \
        case 2:                                                                                               \
            for (i = 0; i < n; i++)                                                                           \
                ((uint16_t *)out)[at + i] = (uint16_t)(int32_t)r[i];                                          \
            break;                                                                                            \
        default:                                                                                              \
            for (i = 0; i < n; i++)                                                                           \
                ((uint32_t *)out)[at + i] = (uint32_t)(int64_t)r[i];                                          \
        }                                                                                                     \
        return 1;                                                                                             \
    }

/* Singles where they hold the bits with one to spare, doubles else. */
#define QUICKS(SUFFIX, TARGET, DOWNF, DOWN)                                                                   \
    QUICK(short_##SUFFIX, TARGET, float, float, int32_t, 12582912.0f, DOWNF)                                  \
    QUICK(float_##SUFFIX, TARGET, float, double, int64_t, 6755399441055744.0, DOWN)                           \
    QUICK(double_##SUFFIX, TARGET, double, double, int64_t, 6755399441055744.0, DOWN)

static float downf(float s, float magic)
{
    const float near = (s + magic) - magic;

    return near - (float)(near > s);
}

static double down(double s, double magic)
{
    const double near = (s + magic) - magic;

    return near - (double)(near > s);
}

QUICKS(plain, , downf, down)
#if defined(__x86_64__) && defined(__GNUC__)
#define FLOORF(s, magic) __builtin_floorf(s) /* one instruction here, a library's function without avx2 */
#define FLOOR(s, magic) __builtin_floor(s)
QUICKS(avx2, __attribute__((target("avx2"))), FLOORF, FLOOR)
#define CHOOSE(KIND) (__builtin_cpu_supports("avx2") ? KIND##_avx2 : KIND##_plain)
#else
#define CHOOSE(KIND) KIND##_plain
#endif

enum { SHORT_BITS = 22, SHORT_REACH = 100 };

#define FROM_REAL(NAME, TYPE, BLOCKWISE)                                                                      \
    static size_t NAME(const TYPE *x, size_t n, const qnn_fixed *t, void *out)                                \
    {                                                                                                         \
        const double scale = power_of_two(t->fraction);                                                       \
        /* a scale below 1 could push a tiny number to 0, which rounding down must still see */               \
        const int quick = t->width <= 32 && (t->rounding == RND_CONV || (t->rounding == TRN && t->fraction >= 0)); \
        int (*const block)(const TYPE *, int, const qnn_fixed *, void *, size_t) = BLOCKWISE;                 \
        size_t at = 0;                                                                                        \
                                                                                                              \
        while (at < n) {                                                                                      \
            const int m = n - at < BLOCK ? (int)(n - at) : BLOCK;                                             \
            const size_t end = at + (size_t)m;                                                                \
            uint64_t raw;                                                                                     \
                                                                                                              \
            if (!quick || !block(x + at, m, t, out, at))                                                      \
                for (; at < end; at++) {                                                                      \
                    if (!from_double(t, scale, x[at], &raw))                                                  \
                        return at;                                                                            \
                    store(out, at, t->bytes, raw);                                                            \
                }                                                                                             \
            at = end;                                                                                         \
        }                                                                                                     \
        return n;                                                                                             \
    }

FROM_REAL(from_floats, float, t->width <= SHORT_BITS && t->fraction >= -SHORT_REACH && t->fraction <= SHORT_REACH
                                  ? CHOOSE(short) : CHOOSE(float))
FROM_REAL(from_doubles, double, CHOOSE(double))

size_t qnn_fixed_from(const qnn_fixed *t, int source, const void *values, size_t n, void *out)
{
    size_t i;
    uint64_t raw;

    if (source == 0)
        return from_floats(values, n, t, out);
    if (source == 1)
        return from_doubles(values, n, t, out);
    for (i = 0; i < n; i++) {
        const uint64_t v = ((const uint64_t *)values)[i];
        const int negative = source == 2 && v >> 63;

        if (!from_integer(t, negative, negative ? 0 - v : v, &raw))
            return i;
        store(out, i, t->bytes, raw);
    }
    return n;
}

#define TO_REAL(NAME, TYPE)                                                                                   \
    static void NAME(const qnn_fixed *t, const void *raw, size_t n, TYPE *out)                                \
    {                                                                                                         \
        const double scale = power_of_two(-t->fraction);                                                        \
        const int spare = 32 - t->width;                                                                      \
        size_t i;                                                                                             \
                                                                                                              \
        if (t->bytes == 2 && t->is_signed)                                                                    \
            for (i = 0; i < n; i++)                                                                           \
                out[i] = (TYPE)(((int32_t)((uint32_t)((const uint16_t *)raw)[i] << spare) >> spare) * scale); \
        else if (t->bytes == 4 && t->is_signed)                                                               \
            for (i = 0; i < n; i++)                                                                           \
                out[i] = (TYPE)(((int32_t)(((const uint32_t *)raw)[i] << spare) >> spare) * scale);           \
        else                                                                                                  \
            for (i = 0; i < n; i++) {                                                                         \
                const uint64_t v = extend(fetch(raw, i, t->bytes), t);                                        \
                                                                                                              \
                out[i] = (TYPE)((t->is_signed ? (double)(int64_t)v : (double)v) * scale);                     \
            }                                                                                                 \
    }

TO_REAL(to_floats, float)
TO_REAL(to_doubles, double)

void qnn_fixed_to(const qnn_fixed *t, const void *raw, size_t n, int target, void *out)
{
    size_t i;

    if (target == 0)
        to_floats(t, raw, n, out);
    else if (target == 1)
        to_doubles(t, raw, n, out);
    else
        for (i = 0; i < n; i++)
            store(out, i, t->bytes, extend(fetch(raw, i, t->bytes), t));
}

/*
 * The tiles of conv_avx512.c. The inner loops are assembly: gcc would load tables apart from their use and spread the
 * additions in ways that cost a third of the speed. Sums of bytes, and both sums of 16 bits, have a register each.
 */
#define EIGHT(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define FOUR(DO) DO(0) DO(1) DO(2) DO(3)
#define DECLARE(p) __m512i s##p = ZERO, a##p = ZERO, h##p = ZERO;
#define WIDE(s, a, h)                                                                                              \
    a = ADD16(a, s);                                                                                               \
    h = ADD16(h, HIGH16(s));                                                                                       \
    s = ZERO;
#define FETCH(p, a, h, at)                                                                                         \
    if (p < pixels) {                                                                                              \
        a = LOAD(t->sums + p * t->sum + (at));                                                                     \
        h = LOAD(t->sums + p * t->sum + (at) + LANES);                                                             \
    }
#define PUT(p, a, h, at)                                                                                           \
    if (p < pixels) {                                                                                              \
        STORE(t->sums + p * t->sum + (at), a);                                                                     \
        STORE(t->sums + p * t->sum + (at) + LANES, h);                                                             \
    }

/* One vector of outputs. */
#define STEP1(at, found, s) "vpermb " at ", %%zmm31, %%" found "\n\tvpaddb %%" found ", %[" s "], %[" s "]\n\t"
#define STEPS1 STEP1("(%[t])", "zmm27", "s0")
#define STEPS2 STEPS1 STEP1("(%[t],%[p])", "zmm28", "s1")
#define STEPS3 STEPS2 STEP1("(%[t],%[p],2)", "zmm29", "s2")
#define STEPS4 STEPS3 STEP1("(%[t],%[p3])", "zmm30", "s3")
#define STEPS5 STEPS4 STEP1("(%[t],%[p],4)", "zmm27", "s4")
#define STEPS6 STEPS5 STEP1("(%[t],%[p5])", "zmm28", "s5")
#define STEPS7 STEPS6 STEP1("(%[t],%[p3],2)", "zmm29", "s6")
#define STEPS8 STEPS7 STEP1("(%[t],%[p7])", "zmm30", "s7")
#define LOOP1(steps)                                                                                               \
    __asm__ volatile("1:\n\tvmovdqu64 (%[w]), %%zmm31\n\t" steps                                                   \
                     "add $64, %[w]\n\tadd $64, %[t]\n\tdec %[n]\n\tjnz 1b"                                        \
                     : [w] "+r"(index), [t] "+r"(table), [n] "+r"(n), [s0] "+v"(s0), [s1] "+v"(s1), [s2] "+v"(s2), \
                       [s3] "+v"(s3), [s4] "+v"(s4), [s5] "+v"(s5), [s6] "+v"(s6), [s7] "+v"(s7)                   \
                     : [p] "r"(pixel), [p3] "r"(3 * pixel), [p5] "r"(5 * pixel), [p7] "r"(7 * pixel)               \
                     : "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "cc", "memory")

INLINE void one_vector(const work *t, const int pixels)
{
    const uint8_t *index = t->index;
    const size_t pixel = t->pixel;
    int slot = t->slot, ky, d;
    EIGHT(DECLARE)

#define DO(p) FETCH(p, a##p, h##p, 0)
    if (!t->fresh) {
        EIGHT(DO)
    }
#undef DO
    for (ky = 0; ky < t->kernel; ky++) {
        const uint8_t *table = t->ring + (size_t)slot * t->row;

        slot = slot + 1 == t->kernel ? 0 : slot + 1;
        for (d = t->doubles; d > 0; d -= t->part) {
            long n = 2 * (d < t->part ? d : t->part);

            switch (pixels) {
            case 1: LOOP1(STEPS1); break;
            case 2: LOOP1(STEPS2); break;
            case 3: LOOP1(STEPS3); break;
            case 4: LOOP1(STEPS4); break;
            case 5: LOOP1(STEPS5); break;
            case 6: LOOP1(STEPS6); break;
            case 7: LOOP1(STEPS7); break;
            default: LOOP1(STEPS8);
            }
#define DO(p) if (p < pixels) { WIDE(s##p, a##p, h##p) }
            EIGHT(DO)
#undef DO
        }
    }
#define DO(p) PUT(p, a##p, h##p, 0)
    EIGHT(DO)
#undef DO
}

/* A vector and the pair vector behind it, or the pair vector alone. */
#define DECLARE2(p) __m512i r##p = ZERO, b##p = ZERO, g##p = ZERO;
#define STEP2(at, s, r)                                                                                            \
    "vmovdqu64 " at ", %%zmm26\n\tvmovdqu64 64" at ", %%zmm27\n\t"                                                 \
    "vpermb %%zmm26, %%zmm29, %%zmm24\n\tvpaddb %%zmm24, %[" s "], %[" s "]\n\t"                                   \
    "vpermb %%zmm27, %%zmm30, %%zmm25\n\tvpaddb %%zmm25, %[" s "], %[" s "]\n\t"                                   \
    "vpermt2b %%zmm27, %%zmm31, %%zmm26\n\tvpaddb %%zmm26, %[" r "], %[" r "]\n\t"
#define STEP3(at, s, r)                                                                                            \
    "vmovdqu64 " at ", %%zmm26\n\tvpermt2b 64" at ", %%zmm31, %%zmm26\n\tvpaddb %%zmm26, %[" r "], %[" r "]\n\t"
#define PAIRS1(STEP) STEP("(%[t])", "s0", "r0")
#define PAIRS2(STEP) PAIRS1(STEP) STEP("(%[t],%[p])", "s1", "r1")
#define PAIRS3(STEP) PAIRS2(STEP) STEP("(%[t],%[p],2)", "s2", "r2")
#define PAIRS4(STEP) PAIRS3(STEP) STEP("(%[t],%[p3])", "s3", "r3")
#define LOOP2(head, steps)                                                                                         \
    __asm__ volatile("1:\n\t" head steps "add $128, %[t]\n\tdec %[n]\n\tjnz 1b"                                    \
                     : [w] "+r"(index), [t] "+r"(table), [n] "+r"(n), [s0] "+v"(s0), [s1] "+v"(s1), [s2] "+v"(s2), \
                       [s3] "+v"(s3), [r0] "+v"(r0), [r1] "+v"(r1), [r2] "+v"(r2), [r3] "+v"(r3)                   \
                     : [p] "r"(pixel), [p3] "r"(3 * pixel)                                                         \
                     : "xmm24", "xmm25", "xmm26", "xmm27", "xmm29", "xmm30", "xmm31", "cc", "memory")
#define HEAD2                                                                                                      \
    "vmovdqu64 (%[w]), %%zmm29\n\tvmovdqu64 64(%[w]), %%zmm30\n\tvmovdqu64 128(%[w]), %%zmm31\n\tadd $192, %[w]\n\t"
#define HEAD3 "vmovdqu64 (%[w]), %%zmm31\n\tadd $64, %[w]\n\t"
#define LOOP(n)                                                                                                    \
    if (full)                                                                                                      \
        LOOP2(HEAD2, PAIRS##n(STEP2));                                                                             \
    else                                                                                                           \
        LOOP2(HEAD3, PAIRS##n(STEP3));                                                                             \
    break;

INLINE void pair_vector(const work *t, const int pixels, const int full)
{
    const uint8_t *index = t->index;
    const size_t pixel = t->pixel;
    int slot = t->slot, odd = 0, ky, d;
    FOUR(DECLARE)
    FOUR(DECLARE2)

#define DO(p)                                                                                                      \
    if (full) {                                                                                                    \
        FETCH(p, a##p, h##p, 0)                                                                                    \
    }                                                                                                              \
    FETCH(p, b##p, g##p, 2 * LANES * full)
    if (!t->fresh) {
        FOUR(DO)
    }
#undef DO
    for (ky = 0; ky < t->kernel; ky++) {
        const uint8_t *table = t->ring + (size_t)slot * t->row;

        slot = slot + 1 == t->kernel ? 0 : slot + 1;
        for (d = t->doubles; d > 0; d -= t->part) {
            long n = d < t->part ? d : t->part;

            switch (pixels) {
            case 1: LOOP(1)
            case 2: LOOP(2)
            case 3: LOOP(3)
            default: LOOP(4)
            }
#define DO(p)                                                                                                      \
    if (p < pixels) {                                                                                              \
        WIDE(s##p, a##p, h##p)                                                                                     \
    }
            FOUR(DO)
#undef DO
            odd = !odd; /* a pair vector takes half as many bytes: it is widened every second time */
            if (odd && (d > t->part || ky + 1 < t->kernel))
                continue;
#define DO(p)                                                                                                      \
    if (p < pixels) {                                                                                              \
        WIDE(r##p, b##p, g##p)                                                                                     \
    }
            FOUR(DO)
#undef DO
        }
    }
#define DO(p)                                                                                                      \
    if (full) {                                                                                                    \
        PUT(p, a##p, h##p, 0)                                                                                      \
    }                                                                                                              \
    PUT(p, b##p, g##p, 2 * LANES * full)
    FOUR(DO)
#undef DO
}

#define CASE(n)                                                                                                    \
    case n: one_vector(t, n); break;

TARGET static void vectors(const work *t, int pixels)
{
    switch (pixels) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
        CASE(7)
        CASE(8)
    }
}
#undef CASE
#define CASE(n)                                                                                                    \
    case 2 * n: pair_vector(t, n, 0); break;                                                                       \
    case 2 * n + 1: pair_vector(t, n, 1); break;

TARGET static void pairs(const work *t, int pixels, int full)
{
    switch (2 * pixels + full) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
    }
}
#undef CASE

TARGET static void some_pixels(const work *t, int pixels, int full, int pair)
{
    work half = *t;
    const int first = pixels / 2;

    if (!pair) {
        vectors(t, pixels);
        return;
    }
    if (first)
        pairs(t, first, full);
    half.ring += first * t->pixel;
    half.sums += first * t->sum;
    pairs(&half, pixels - first, full);
}

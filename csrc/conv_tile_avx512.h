/*
 * The tiles of conv_avx512.c, in assembly: gcc would load tables apart from their use and spread the additions in
 * ways that cost a third of the speed. Sums of bytes have a register each, zmm0-7 and zmm8-15 for 8 pixels times two
 * vectors; those of 16 bits are in memory, so that a table in a register serves more lookups, but for odd bytes of the
 * first vector, in zmm16-23.
 */
#define LINE(text) text "\n\t"
/* Saturation never happens; but only this addition stays away from the permutes' ports (measured on Zen 5). */
#define ADD(found, sum) LINE("vpaddusb %%zmm" found ", %%zmm" sum ", %%zmm" sum)

/* A pixel's two steps: of a vector, */
#define ONE(at, s, r, c)                                                                                           \
    LINE("vpermb " at ", %%zmm28, %%zmm24") ADD("24", s)                                                           \
    LINE("vpermb 64" at ", %%zmm29, %%zmm25") ADD("25", s)
/* of two, */
#define TWO(at, s, r, c)                                                                                           \
    LINE("vmovdqu64 " at ", %%zmm26") LINE("vmovdqu64 64" at ", %%zmm27")                                          \
    LINE("vpermb %%zmm26, %%zmm28, %%zmm24") ADD("24", s)                                                          \
    LINE("vpermb %%zmm26, %%zmm29, %%zmm25") ADD("25", r)                                                          \
    LINE("vpermb %%zmm27, %%zmm30, %%zmm24") ADD("24", s)                                                          \
    LINE("vpermb %%zmm27, %%zmm31, %%zmm25") ADD("25", r)
/* of a vector and the pair vector behind it, */
#define MIXED(at, s, r, c)                                                                                         \
    LINE("vmovdqu64 " at ", %%zmm26") LINE("vmovdqu64 64" at ", %%zmm27")                                          \
    LINE("vpermb %%zmm26, %%zmm28, %%zmm24") ADD("24", s)                                                          \
    LINE("vpermb %%zmm27, %%zmm29, %%zmm25") ADD("25", s)                                                          \
    LINE("vpermt2b %%zmm27, %%zmm30, %%zmm26") ADD("26", r)
/* of a pair vector. */
#define PAIR(at, s, r, c)                                                                                          \
    LINE("vmovdqu64 " at ", %%zmm26") LINE("vpermt2b 64" at ", %%zmm28, %%zmm26") ADD("26", s)

#define WEIGHT(n, z) LINE("vmovdqu64 64*" #n "(%[w]), %%zmm" #z)
#define ONE_WEIGHTS WEIGHT(0, 28) WEIGHT(1, 29) LINE("sub $-128, %[w]")
#define TWO_WEIGHTS WEIGHT(0, 28) WEIGHT(1, 29) WEIGHT(2, 30) WEIGHT(3, 31) LINE("add $256, %[w]")
#define MIXED_WEIGHTS WEIGHT(0, 28) WEIGHT(1, 29) WEIGHT(2, 30) LINE("add $192, %[w]")
#define PAIR_WEIGHTS WEIGHT(0, 28) LINE("add $64, %[w]")

#define STEPS1(DO) DO("(%%rax)", "0", "8", "16")
#define STEPS2(DO) STEPS1(DO) DO("(%%rax,%[p])", "1", "9", "17")
#define STEPS3(DO) STEPS2(DO) DO("(%%rax,%[p],2)", "2", "10", "18")
#define STEPS4(DO) STEPS3(DO) DO("(%%rax,%[p3])", "3", "11", "19")
#define STEPS5(DO) STEPS4(DO) DO("(%%rax,%[p],4)", "4", "12", "20")
#define STEPS6(DO) STEPS5(DO) DO("(%%rax,%[p5])", "5", "13", "21")
#define STEPS7(DO) STEPS6(DO) DO("(%%rax,%[p3],2)", "6", "14", "22")
#define STEPS8(DO) STEPS7(DO) DO("(%%rax,%[p7])", "7", "15", "23")

/* All bytes are added as they are: codes_of() takes the odd ones' part away again. */
#define WIDE(at, s)                                                                                                \
    LINE("vpsrlw $8, %%zmm" s ", %%zmm24") LINE("vpaddw " at "(%%rcx), %%zmm" s ", %%zmm25")                       \
    LINE("vpaddw 64+" at "(%%rcx), %%zmm24, %%zmm24") LINE("vmovdqu64 %%zmm25, " at "(%%rcx)")                     \
    LINE("vmovdqu64 %%zmm24, 64+" at "(%%rcx)") LINE("vpxord %%zmm" s ", %%zmm" s ", %%zmm" s)
#define WIDE_FIRST(s, c)                                                                                           \
    LINE("vpsrlw $8, %%zmm" s ", %%zmm24") LINE("vpaddw (%%rcx), %%zmm" s ", %%zmm25")                             \
    LINE("vpaddw %%zmm24, %%zmm" c ", %%zmm" c) LINE("vmovdqu64 %%zmm25, (%%rcx)")                                 \
    LINE("vpxord %%zmm" s ", %%zmm" s ", %%zmm" s)
#define WIDE_S(at, s, r, c) WIDE_FIRST(s, c) LINE("add %[q], %%rcx")
#define WIDE_R(at, s, r, c) WIDE("128", r) LINE("add %[q], %%rcx")
#define WIDE_BOTH(at, s, r, c) WIDE_FIRST(s, c) WIDE("128", r) LINE("add %[q], %%rcx")
#define CLEAR(at, s, r, c)                                                                                         \
    LINE("vpxord %%zmm" s ", %%zmm" s ", %%zmm" s) LINE("vpxord %%zmm" r ", %%zmm" r ", %%zmm" r)                  \
    LINE("vpxord %%zmm" c ", %%zmm" c ", %%zmm" c)
#define END(at, s, r, c)                                                                                           \
    LINE("vpaddw 64(%%rcx), %%zmm" c ", %%zmm" c) LINE("vmovdqu64 %%zmm" c ", 64(%%rcx)") LINE("add %[q], %%rcx")

#define WIDEN_ALL(STEPS, DO) LINE("mov %[to], %%rcx") STEPS(DO)
#define WIDEN_MIXED(STEPS, DO)                                                                                     \
    WIDEN_ALL(STEPS, WIDE_S)                                                                                       \
    LINE("cmpl $1, 8(%[at])") LINE("je 3f")                                                                        \
    WIDEN_ALL(STEPS, WIDE_R)

#define TILE(STEPS, KIND, WHEN, WIDEN, WIDE_KIND)                                                                  \
    __asm__ volatile(STEPS(CLEAR)                                                                                  \
                     LINE("1:") LINE("movslq (%[at]), %%rax") LINE("movl 4(%[at]), %%ecx")                         \
                     LINE("add %[first], %%rax")                                                                   \
                     LINE("2:") KIND##_WEIGHTS STEPS(KIND) LINE("sub $-128, %%rax")                                \
                     LINE("dec %%ecx") LINE("jnz 2b")                                                              \
                     LINE("cmpl $" WHEN ", 8(%[at])") LINE("jb 3f")                                                \
                     WIDEN(STEPS, WIDE_KIND)                                                                       \
                     LINE("3:") LINE("add $16, %[at]") LINE("cmpl $0, 4(%[at])") LINE("jne 1b")                    \
                     WIDEN_ALL(STEPS, END)                                                                         \
                     : [w] "+r"(index), [at] "+r"(at)                                                              \
                     : [first] "r"(t->ring), [p] "r"(p), [p3] "r"(3 * p), [p5] "r"(5 * p), [p7] "r"(7 * p),        \
                       [to] "r"(t->sums), [q] "r"(t->sum)                                                          \
                     : "rax", "rcx", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",       \
                       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16",      \
                       "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",            \
                       "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31")

#define CASE(n)                                                                                                    \
    case n:                                                                                                        \
        if (full == 2)                                                                                             \
            TILE(STEPS##n, TWO, "1", WIDEN_ALL, WIDE_BOTH);                                                        \
        else if (full && pair)                                                                                     \
            TILE(STEPS##n, MIXED, "1", WIDEN_MIXED, 0);                                                            \
        else if (full)                                                                                             \
            TILE(STEPS##n, ONE, "1", WIDEN_ALL, WIDE_S);                                                           \
        else                                                                                                       \
            TILE(STEPS##n, PAIR, "3", WIDEN_ALL, WIDE_S);                                                          \
        break;

TARGET static __attribute__((noinline)) void some_pixels(const work *t, int pixels, int full, int pair)
{
    const uint8_t *index = t->index;
    const piece *at = t->pieces;
    const size_t p = t->pixel;
    int x, v;

    if (t->fresh)
        for (x = 0; x < pixels; x++)
            for (v = 0; v < 2 * (full + pair); v++)
                STORE(t->sums + x * t->sum + v * LANES, ZERO);
    if (!at->steps) /* nothing but padding */
        return;
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

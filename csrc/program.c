/* Register accesses played from a program: volatile, 32 bits wide, in order, under one deadline. */
#if defined(__linux__)
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <time.h>
#include "kernels.h"

/* The logic is outside the processors' shareability domain, where __sync_synchronize (DMB ISH) promises nothing. */
#if defined(__aarch64__) || (defined(__arm__) && __ARM_ARCH >= 7)
#define BARRIER() __asm__ volatile("dsb sy" : : : "memory")
#else
#define BARRIER() __sync_synchronize()
#endif

#define SPIN_NS 1200000 /* then sleep 1/40 of the time waited: late by that at most, and 3 % of the processor */
#define SHARE 40
#define LONGEST_NS 50000000

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void doze(int64_t waited, int64_t left)
{
    struct timespec t = {0, 0};
    int64_t ns = waited / SHARE;

    if (ns > LONGEST_NS)
        ns = LONGEST_NS;
    t.tv_nsec = (long)(ns < left ? ns : left);
    nanosleep(&t, NULL);
}

int qnn_run_program(void *window, size_t window_bytes, const void *program, size_t steps, int64_t timeout_ns,
             size_t *step)
{
    volatile uint32_t *registers = window;
    const qnn_step *s = program;
    int64_t deadline, begun, now;
    size_t i;
    unsigned polls;

    for (i = 0; i < steps; i++) { /* nothing is touched unless every step is good */
        if (s[i].op > 1 || (s[i].offset & 3) || window_bytes < 4 || s[i].offset > window_bytes - 4) {
            *step = i;
            return s[i].op > 1 ? 2 : 3;
        }
    }
    deadline = now_ns();
    deadline = timeout_ns > INT64_MAX - deadline ? INT64_MAX : deadline + timeout_ns;
    BARRIER(); /* buffers are written before the logic is started */
    for (i = 0; i < steps; i++) {
        volatile uint32_t *at = registers + s[i].offset / 4;

        if (s[i].op == 0) {
            *at = s[i].value;
            continue;
        }
        begun = 0;
        for (polls = 1; !(*at & s[i].value); polls++) {
            if (polls & 15) /* a read of the logic takes about 0.1 us, the clock less: look now and then */
                continue;
            now = now_ns();
            if (now > deadline) {
                *step = i;
                return 1;
            }
            begun = begun ? begun : now;
            if (now - begun > SPIN_NS)
                doze(now - begun, deadline - now);
            else if (polls >= 1024)
                sched_yield();
        }
    }
    BARRIER(); /* results are read after the logic has finished */
    *step = steps;
    return 0;
}

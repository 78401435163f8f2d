/* A thread's processor time. */
#if defined(__linux__) || defined(__APPLE__)
#include <time.h>
#endif
#include "kernels.h"

double qnn_thread_seconds(void)
{
#ifdef CLOCK_THREAD_CPUTIME_ID
    struct timespec now;

    if (!clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
        return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#endif
    return 0;
}

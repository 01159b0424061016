/* measure.h - what the benchmarks share: a thread's processor time, order statistics, the distance of results, the end of a run that fails. */
#ifndef OT_BENCH_MEASURE_H
#define OT_BENCH_MEASURE_H

#include "ohmtrim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Of this thread: what others do on the machine counts less. */
static inline double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* qsort's order of doubles. */
static inline int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Largest |a - b| over largest |a|; infinite where a difference is not a number. */
static inline double gap(const double *a, const double *b, int n)
{
    double most = 0, far = 0;
    for (int i = 0; i < n; i++) {
        most = fmax(most, fabs(a[i]));
        far = a[i] - b[i] == a[i] - b[i] ? fmax(far, fabs(a[i] - b[i])) : INFINITY;
    }
    return far / most;
}

static inline void must(ot_status st)
{
    if (st == OT_OK) return;
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, ot_last_error());
    exit(ot_status_exit(st));
}

#endif

/* progress.c - see progress.h.  One line, rewritten in place; nothing at all unless stderr is a terminal. */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int enabled;

double ot__seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ot__progress_enable(int on) { enabled = on; }

void ot__progress_start(ot_progress *p, const char *what, int64_t total)
{
    *p = (ot_progress){.what = what, .total = total, .start = ot__seconds(), .on = enabled && isatty(STDERR_FILENO)};
}

void ot__progress_add(ot_progress *p, int64_t n, const char *note)
{
    p->done += n;
    double now = ot__seconds();
    if (!p->on || (now - p->last < 0.2 && p->done < p->total)) return;
    p->last = now;
    double rate = (double)p->done / (now - p->start + 1e-9);
    double left = rate > 0 ? (double)(p->total - p->done) / rate : 0;
    fprintf(stderr, "\r\033[K%lld/%lld %s, %.3g/s, %d:%02d left%s%s", (long long)p->done, (long long)p->total, p->what, rate,
            (int)(left / 60), (int)left % 60, note ? ", " : "", note ? note : "");
    fflush(stderr);
}

void ot__progress_end(ot_progress *p)
{
    if (p->on) fputs("\r\033[K", stderr);
    p->on = 0;
}

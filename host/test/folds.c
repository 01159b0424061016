/* folds.c - fits out of fold, and the threads that share them.
 *
 * Distances of the rows a covariance was made from are too small, the more so the more numbers a row has: a threshold taken from them
 * flags good new chips by the dozen.  So the rows are dealt into folds, and each fold's distances come from a fit of the others.
 *
 * The fits are jobs that threads take in turn.  A job shares nothing with another and runs on one thread, so results do not depend on how
 * many threads there are. */
#include "test/folds.h"
#include "base/fail.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 256 };

typedef struct job { ot_status st; char sentence[512]; } job;

typedef struct work {
    const ot__dealt *d;
    ot__trial       *trials;
    ot__whole       *whole;
    job             *job;
    int              jobs;
    atomic_int       next;
} work;

/* log of (d (bent) / dx) of a row, summed over its numbers. */
static double log_slope(const ot_screen *s, const double *x)
{
    double sum = 0;
    for (int k = 0; s->middle && k < s->p; k++) {
        double off = x[k] - s->middle[k];
        sum -= 0.5 * log(off * off + s->width[k] * s->width[k]);
    }
    return sum;
}

/* The volume of d2 <= 1 is that of the unit ball times det L, in bent numbers; in x it is smaller by the slope there, for which the median
 * row's stands. */
static double log_size(const ot_screen *s, const double *x, int n, double *room)
{
    double sum = 0;
    if (s->kind == OT_SCREEN_PCA_MCD) return NAN;
    for (int i = 0; i < s->q; i++) sum += log(s->factor[(size_t)i * ((size_t)s->q + 1)]);
    for (int i = 0; i < n; i++) room[i] = log_slope(s, x + (size_t)i * (size_t)s->p);
    ot__sort(room, n);
    return sum - ot__median(room, n);
}

static ot_status fit_whole(const work *w)
{
    const ot__dealt *d = w->d;
    ot__whole       *a = w->whole;
    OT_TRY(ot__screen_fit_rows(&a->screen, &a->scatter, d->x, d->n, d->p, w->trials, 0));
    double *room = ot_alloc((size_t)(d->p + a->screen.q), sizeof *room);
    if (!room) OT_NOMEM("screen", (size_t)(d->p + a->screen.q) * sizeof *room);
    for (int i = 0; i < d->n; i++) a->distance[i] = ot_screen_distance(&a->screen, d->x + (size_t)i * (size_t)d->p, room);
    ot_free(room);
    return OT_OK;
}

static ot_status fit_fold(const work *w, ot__trial *t, int fold)
{
    const ot__dealt *d = w->d;
    const size_t     p = (size_t)d->p;
    int              n = 0;
    ot_screen        s = {0};
    ot__scatter      r;
    ot_status        st;
    double          *room = NULL, *x = ot_alloc((size_t)d->n * p, sizeof *x);
    if (!x) OT_NOMEM("screen", (size_t)d->n * p * sizeof *x);
    for (int i = 0; i < d->n; i++)
        if (i % d->folds != fold) memcpy(x + (size_t)n++ * p, d->x + (size_t)d->order[i] * p, p * sizeof *x);
    OT_TRY_TO(done, st, ot__screen_fit_rows(&s, &r, x, n, d->p, t, (uint32_t)fold + 1));
    room = ot_alloc(p + (size_t)s.q + (size_t)n, sizeof *room);
    if (!room) OT_FAIL_TO(done, st, OT_E_NOMEM, "screen: no memory for %d numbers", d->p + s.q + n);
    for (int i = fold; i < d->n; i += d->folds) t->distance[d->order[i]] = ot_screen_distance(&s, d->x + (size_t)d->order[i] * p, room);
    t->log_size[fold] = log_size(&s, x, n, room);
done:
    ot_free(room);
    ot_screen_free(&s);
    ot_free(x);
    if (st != OT_OK) return ot__fail_prefix(st, "fold %d: ", fold);
    return OT_OK;
}

/* The whole first: it takes longest. */
static void *serve(void *arg)
{
    work *w = arg;
    for (int k; (k = atomic_fetch_add(&w->next, 1)) < w->jobs;) {
        int at = k - (w->whole != NULL);
        w->job[k].st = at < 0 ? fit_whole(w) : fit_fold(w, &w->trials[at / w->d->folds], at % w->d->folds);
        if (w->job[k].st != OT_OK) snprintf(w->job[k].sentence, sizeof w->job[k].sentence, "%s", ot_last_error());
    }
    return NULL;
}

/* Fewer threads than asked for where no more can be started: slower, same bits. */
ot_status ot__folds_run(const ot__dealt *d, ot__trial *trials, int n_trials, ot__whole *whole)
{
    pthread_t id[THREADS];
    int       started = 0, threads = d->threads ? d->threads : (int)sysconf(_SC_NPROCESSORS_ONLN), bad = -1;
    work      w = {.d = d, .trials = trials, .whole = whole, .jobs = n_trials * d->folds + (whole != NULL)};
    if (!(w.job = ot_alloc((size_t)w.jobs, sizeof *w.job))) OT_NOMEM("screen", (size_t)w.jobs * sizeof *w.job);
    if (threads > w.jobs) threads = w.jobs;
    if (threads > THREADS) threads = THREADS;
    while (started < threads - 1 && !pthread_create(&id[started], NULL, serve, &w)) started++;
    serve(&w);
    while (started) pthread_join(id[--started], NULL);
    for (int k = w.jobs - 1; k >= 0; k--)
        if (w.job[k].st != OT_OK) bad = k;
    ot_status st = bad < 0 ? OT_OK : ot__fail(w.job[bad].st, __FILE__, __LINE__, "%s", w.job[bad].sentence);
    ot_free(w.job);
    return st;
}

double ot__trial_volume(ot__trial *t, const ot__dealt *d)
{
    double sum = 0;
    ot__sort(t->distance, d->n);
    for (int k = 0; k < d->folds; k++) sum += t->log_size[k];
    return sum / d->folds + 0.5 * d->p * log(ot__quantile(t->distance, d->n, 1 - t->o.contamination) + 1e-300);
}

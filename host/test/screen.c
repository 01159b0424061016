/* screen.c - learning a screen: options, the folds that its threshold comes from, and the threads that share them.
 *
 * Distances of the rows a covariance was made from are too small, the more so the more numbers a row has: a threshold taken from them
 * flags good new chips by the dozen.  So the rows are dealt into folds; each fold's distances come from a fit of the others, and the
 * threshold is a quantile of those.  The screen itself is fitted on all rows.
 *
 * The fits (all rows, then each fold) are the jobs that threads take in turn.  A job shares nothing with another and runs on one thread,
 * so results do not depend on how many threads there are. */
#include "test/mrcd.h"
#include "base/fail.h"
#include "test/shuffle.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FOLDS = 100, THREADS = 256, A_FOLD = 4 };

ot_screen_options ot_screen_defaults(ot_screen_kind kind)
{
    return (ot_screen_options){.kind = kind, .contamination = 0.01, .folds = 5, .components = 20, .seed = 1};
}

static ot_status check_options(const ot_screen_options *o)
{
    if (!((int)o->kind >= 0 && o->kind < OT_SCREENS)) OT_FAIL(OT_E_RANGE, "screen: kind = %d, want 0..%d", (int)o->kind, OT_SCREENS - 1);
    if (!(o->support == 0 || (o->support >= 0.5 && o->support <= 1)))
        OT_FAIL(OT_E_RANGE, "screen: support = %g, want 0.5..1 (the share of the chips that is trusted), or 0: the kind's own", o->support);
    if (!(o->contamination > 0 && o->contamination <= 0.5)) OT_FAIL(OT_E_RANGE, "screen: contamination = %g, want above 0, at most 0.5", o->contamination);
    if (!(o->folds >= 2 && o->folds <= FOLDS)) OT_FAIL(OT_E_RANGE, "screen: folds = %d, want 2..%d", o->folds, FOLDS);
    if (!(o->components >= 1)) OT_FAIL(OT_E_RANGE, "screen: components = %d, want 1 or more", o->components);
    if (!(o->threads >= 0 && o->threads <= THREADS)) OT_FAIL(OT_E_RANGE, "screen: threads = %d, want 0 (one a core) .. %d", o->threads, THREADS);
    return OT_OK;
}

static ot_status check_data(const double *x, int n, int p, const ot_screen_options *o)
{
    int spread = 0, q = o->kind == OT_SCREEN_PCA_MCD ? (o->components < p - 1 ? o->components : p - 1) + 1 : p;
    if (!(n >= A_FOLD * o->folds)) OT_FAIL(OT_E_RANGE, "screen: n = %d chips for %d folds, want at least %d (%d a fold)", n, o->folds, A_FOLD * o->folds, A_FOLD);
    if (!(p >= 1)) OT_FAIL(OT_E_RANGE, "screen: p = %d numbers a signature, want 1 or more", p);
    if (o->kind == OT_SCREEN_PCA_MCD && p < 2) OT_FAIL(OT_E_RANGE, "pca-mcd: p = 1 number a signature leaves nothing over, want 2 or more; mcd and mrcd take 1");
    for (int64_t i = 0; i < (int64_t)n * p; i++) {
        if (!isfinite(x[i])) OT_FAIL(OT_E_DATA, "screen: row %lld, number %lld is %g, want a finite number", (long long)(i / p), (long long)(i % p), x[i]);
        if (fabs(x[i]) > 1e100) OT_FAIL(OT_E_DATA, "screen: row %lld, number %lld is %g, want at most 1e100 in size", (long long)(i / p), (long long)(i % p), x[i]);
        spread |= x[i] != x[i % p];
    }
    if (!spread) OT_FAIL(OT_E_DATA, "screen: all %d rows are equal, want chips that differ", n);
    int trained = n - (n + o->folds - 1) / o->folds, least = ot__mcd_least_subset(trained, q, o->support), all = ot__mcd_least_subset(n, q, o->support);
    if (all < least) least = all;
    if (o->kind != OT_SCREEN_MRCD && q >= least)
        OT_FAIL(OT_E_RANGE, "%s: %d numbers a row are too many for the %d rows of its least subset (%d chips, %d folds), want fewer than that; %s", ot_screen_name(o->kind), q,
                least, n, o->folds, o->kind == OT_SCREEN_MCD ? "pca-mcd and mrcd take any number" : "take fewer components, or mrcd");
    return OT_OK;
}

static ot_status make(ot_screen *s, ot_screen_kind kind, int p, int q)
{
    size_t  axes = kind == OT_SCREEN_PCA_MCD ? (size_t)(q - 1) * (size_t)p : 0, mean = kind == OT_SCREEN_PCA_MCD ? (size_t)p : 0;
    double *m = ot_alloc(mean + axes + (size_t)q + (size_t)q * (size_t)q, sizeof *m);
    if (!m) OT_FAIL(OT_E_NOMEM, "screen: no memory for a covariance of %d numbers", q);
    *s = (ot_screen){.kind = kind, .p = p, .q = q, .memory = m, .centre = m + mean + axes, .factor = m + mean + axes + q};
    if (mean) s->mean = m, s->axes = m + mean;
    return OT_OK;
}

/* Scores and the logarithm of what they leave over (host/floor/screen.c measures the same). */
static void project(double *z, const double *x, int n, int p, const double *mean, const double *axes, int k, double *rest)
{
    for (int i = 0; i < n; i++) {
        double left = 0;
        for (int j = 0; j < p; j++) rest[j] = x[(size_t)i * (size_t)p + (size_t)j] - mean[j];
        for (int a = 0; a < k; a++) {
            const double *axis = axes + (size_t)a * (size_t)p;
            double        score = 0;
            for (int j = 0; j < p; j++) score += axis[j] * (x[(size_t)i * (size_t)p + (size_t)j] - mean[j]);
            for (int j = 0; j < p; j++) rest[j] -= score * axis[j];
            z[(size_t)i * (size_t)(k + 1) + (size_t)a] = score;
        }
        for (int j = 0; j < p; j++) left += rest[j] * rest[j];
        z[(size_t)i * (size_t)(k + 1) + (size_t)k] = log(left + 1e-300);
    }
}

static ot_status fit_pca(ot_screen *out, ot__scatter *r, const double *x, int n, int p, const ot_screen_options *o, uint32_t stream)
{
    int       most = o->components < p ? o->components : p, k = 0;
    double   *mean = ot_alloc((size_t)p, sizeof *mean), *axes = ot_alloc((size_t)most * (size_t)p, sizeof *axes), *z = NULL, *rest = NULL;
    ot_status st = OT_OK;
    if (!mean || !axes) OT_FAIL_TO(done, st, OT_E_NOMEM, "pca-mcd: no memory for %d axes of %d numbers", most, p);
    OT_TRY_TO(done, st, ot__pca(&k, mean, axes, x, n, p, most));
    z = ot_alloc((size_t)n * (size_t)(k + 1), sizeof *z);
    rest = ot_alloc((size_t)p, sizeof *rest);
    if (!z || !rest) OT_FAIL_TO(done, st, OT_E_NOMEM, "pca-mcd: no memory for the scores of %d rows", n);
    OT_TRY_TO(done, st, make(out, OT_SCREEN_PCA_MCD, p, k + 1));
    memcpy(out->memory, mean, (size_t)p * sizeof *mean);
    memcpy((double *)out->memory + p, axes, (size_t)k * (size_t)p * sizeof *axes);
    project(z, x, n, p, mean, axes, k, rest);
    r->centre = (double *)out->memory + (size_t)(k + 1) * (size_t)p;
    r->factor = r->centre + k + 1;
    st = ot__mcd(r, z, n, k + 1, o->support, o->seed, stream);
done:
    ot_free(rest);
    ot_free(z);
    ot_free(axes);
    ot_free(mean);
    return st;
}

static ot_status fit(ot_screen *out, ot__scatter *r, const double *x, int n, int p, const ot_screen_options *o, uint32_t stream)
{
    *r = (ot__scatter){0};
    if (o->kind == OT_SCREEN_PCA_MCD) return fit_pca(out, r, x, n, p, o, stream);
    OT_TRY(make(out, o->kind, p, p));
    r->centre = out->memory;
    r->factor = r->centre + p;
    return o->kind == OT_SCREEN_MCD ? ot__mcd(r, x, n, p, o->support, o->seed, stream) : ot__mrcd(r, x, n, p, o->support);
}

/* -- The fits as jobs ------------------------------------------------------------------------------------------------- */

typedef struct job { ot_status st; char sentence[512]; } job;
typedef struct work {
    const double            *x;
    int                      n, p;
    const ot_screen_options *o;
    const uint32_t          *order;        /* (n) row order[i] is in fold i % folds */
    double                  *inside, *outside;     /* (n) distances: of the final fit, of the fold's fit */
    ot_screen                screen;       /* of job 0 */
    ot__scatter              scatter;
    atomic_int               next;
    job                      job[FOLDS + 1];
} work;

/* Job 0: all rows. */
static ot_status fit_all(work *w)
{
    OT_TRY(fit(&w->screen, &w->scatter, w->x, w->n, w->p, w->o, 0));
    double *room = ot_alloc((size_t)(w->p + w->screen.q), sizeof *room);
    if (!room) OT_NOMEM("screen", (size_t)(w->p + w->screen.q) * sizeof *room);
    for (int i = 0; i < w->n; i++) w->inside[i] = ot_screen_distance(&w->screen, w->x + (size_t)i * (size_t)w->p, room);
    ot_free(room);
    return OT_OK;
}

static ot_status fit_fold(work *w, int fold)
{
    int         n = 0, p = w->p;
    ot_screen   s = {0};
    ot__scatter r;
    ot_status   st;
    double     *room = NULL, *x = ot_alloc((size_t)w->n * (size_t)p, sizeof *x);
    if (!x) OT_NOMEM("screen", (size_t)w->n * (size_t)p * sizeof *x);
    for (int i = 0; i < w->n; i++)
        if (i % w->o->folds != fold) memcpy(x + (size_t)n++ * (size_t)p, w->x + (size_t)w->order[i] * (size_t)p, (size_t)p * sizeof *x);
    OT_TRY_TO(done, st, fit(&s, &r, x, n, p, w->o, (uint32_t)fold + 1));
    room = ot_alloc((size_t)(p + s.q), sizeof *room);
    if (!room) OT_FAIL_TO(done, st, OT_E_NOMEM, "screen: no memory for %d numbers", p + s.q);
    for (int i = fold; i < w->n; i += w->o->folds) w->outside[w->order[i]] = ot_screen_distance(&s, w->x + (size_t)w->order[i] * (size_t)p, room);
done:
    ot_free(room);
    ot_screen_free(&s);
    ot_free(x);
    if (st != OT_OK) return ot__fail_prefix(st, "fold %d: ", fold);
    return OT_OK;
}

static void *serve(void *arg)
{
    work *w = arg;
    for (int k; (k = atomic_fetch_add(&w->next, 1)) <= w->o->folds;) {
        w->job[k].st = k ? fit_fold(w, k - 1) : fit_all(w);
        if (w->job[k].st != OT_OK) snprintf(w->job[k].sentence, sizeof w->job[k].sentence, "%s", ot_last_error());
    }
    return NULL;
}

/* Fewer threads than asked for where no more can be started: slower, same bits. */
static ot_status run(work *w, int threads)
{
    pthread_t id[FOLDS + 1];
    int       started = 0;
    if (!threads) threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > w->o->folds + 1) threads = w->o->folds + 1;
    while (started < threads - 1 && !pthread_create(&id[started], NULL, serve, w)) started++;
    serve(w);
    while (started) pthread_join(id[--started], NULL);
    for (int k = 0; k <= w->o->folds; k++)
        if (w->job[k].st != OT_OK) OT_FAIL(w->job[k].st, "%s", w->job[k].sentence);
    return OT_OK;
}

ot_status ot_screen_fit(ot_screen *out, const double *x, int n, int p, const ot_screen_options *opt, ot_screen_report *report)
{
    OT_TRY(check_options(opt));
    OT_TRY(check_data(x, n, p, opt));
    ot_status st;
    work     *w = ot_alloc(1, sizeof *w);
    double   *d = ot_alloc(2 * (size_t)n, sizeof *d);
    uint32_t *order = ot_alloc((size_t)n, sizeof *order);
    if (!w || !d || !order) OT_FAIL_TO(done, st, OT_E_NOMEM, "screen: no memory for %d rows", n);
    for (uint32_t i = 0; i < (uint32_t)n; i++) order[i] = i;
    ot__shuffle(order, (uint32_t)n, opt->seed, OT__SHUFFLE_SCREEN_FOLDS, 0);
    w->x = x, w->n = n, w->p = p, w->o = opt, w->order = order, w->inside = d, w->outside = d + n;
    OT_TRY_TO(done, st, run(w, opt->threads));
    ot__sort(w->inside, n);
    ot__sort(w->outside, n);
    w->screen.threshold = ot__quantile(w->outside, n, 1 - opt->contamination);
    if (report)
        *report = (ot_screen_report){.log_det = w->scatter.log_det, .rho = w->scatter.rho, .h = w->scatter.h,
                                     .threshold_in_sample = ot__quantile(w->inside, n, 1 - opt->contamination), .threshold = w->screen.threshold};
    *out = w->screen;
done:
    if (st != OT_OK && w) ot_screen_free(&w->screen);
    ot_free(order);
    ot_free(d);
    ot_free(w);
    return st;
}

/* screen.c - learning a screen: options, one fit, the threshold.
 *
 * What is not given is chosen (choose.c).  Then the screen is fitted on all rows, and its threshold is a quantile of the distances that rows have
 * from fits which did not see them (folds.c). */
#include "test/folds.h"
#include "base/fail.h"
#include "test/shuffle.h"

#include <math.h>
#include <string.h>

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
    if (!isfinite(o->bend)) OT_FAIL(OT_E_RANGE, "screen: bend = %g, want a finite number: above 0, below 0 (none), or 0 (chosen)", o->bend);
    if (!(o->condition == 0 || (o->condition >= 2 && o->condition <= 1e8)))
        OT_FAIL(OT_E_RANGE, "screen: condition = %g, want 2..1e8, or 0 (chosen)", o->condition);
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

/* Room for a screen of q numbers: middle and width, mean and axes where they are wanted, centre, factor. */
static ot_status make(ot_screen *s, ot_screen_kind kind, int p, int q, int bent)
{
    const size_t bend = bent ? 2 * (size_t)p : 0, mean = kind == OT_SCREEN_PCA_MCD ? (size_t)p : 0, axes = mean * (size_t)(q - 1);
    double      *m = ot_alloc(bend + mean + axes + (size_t)q + (size_t)q * (size_t)q, sizeof *m);
    if (!m) OT_FAIL(OT_E_NOMEM, "screen: no memory for a covariance of %d numbers", q);
    *s = (ot_screen){.kind = kind, .p = p, .q = q, .memory = m, .centre = m + bend + mean + axes, .factor = m + bend + mean + axes + q};
    if (bend) s->middle = m, s->width = m + p;
    if (mean) s->mean = m + bend, s->axes = m + bend + mean;
    return OT_OK;
}

/* The arrays of a screen that is being made. */
static double *own(const ot_screen *s, const double *array) { return (double *)s->memory + (array - (const double *)s->memory); }

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

static ot_status fit_pca(ot_screen *out, ot__scatter *r, const double *y, int n, int p, const ot_screen_options *o, uint32_t stream)
{
    int       most = o->components < p ? o->components : p, k = 0;
    double   *mean = ot_alloc((size_t)p, sizeof *mean), *axes = ot_alloc((size_t)most * (size_t)p, sizeof *axes), *z = NULL, *rest = NULL;
    ot_status st = OT_OK;
    if (!mean || !axes) OT_FAIL_TO(done, st, OT_E_NOMEM, "pca-mcd: no memory for %d axes of %d numbers", most, p);
    OT_TRY_TO(done, st, ot__pca(&k, mean, axes, y, n, p, most));
    z = ot_alloc((size_t)n * (size_t)(k + 1), sizeof *z);
    rest = ot_alloc((size_t)p, sizeof *rest);
    if (!z || !rest) OT_FAIL_TO(done, st, OT_E_NOMEM, "pca-mcd: no memory for the scores of %d rows", n);
    OT_TRY_TO(done, st, make(out, OT_SCREEN_PCA_MCD, p, k + 1, o->bend > 0));
    memcpy(own(out, out->mean), mean, (size_t)p * sizeof *mean);
    memcpy(own(out, out->axes), axes, (size_t)k * (size_t)p * sizeof *axes);
    project(z, y, n, p, mean, axes, k, rest);
    r->centre = own(out, out->centre), r->factor = own(out, out->factor);
    st = ot__mcd(r, z, n, k + 1, o->support, o->seed, stream);
done:
    ot_free(rest);
    ot_free(z);
    ot_free(axes);
    ot_free(mean);
    return st;
}

/* y: x bent; middle and width (p). */
static ot_status bend_rows(double *y, double *middle, double *width, const double *x, int n, int p, double bend)
{
    OT_TRY(ot__mrcd_standardise(y, middle, width, x, n, p));
    for (int k = 0; k < p; k++) width[k] *= bend;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < p; k++) y[(size_t)i * (size_t)p + (size_t)k] = asinh((x[(size_t)i * (size_t)p + (size_t)k] - middle[k]) / width[k]);
    return OT_OK;
}

ot_status ot__screen_fit_rows(ot_screen *out, ot__scatter *r, const double *x, int n, int p, const ot__trial *t, uint32_t stream)
{
    const ot_screen_options *o = &t->o;
    const int                bent = o->bend > 0;
    const double            *rows = x;
    double                  *y = NULL, *middle = NULL, *width = NULL;
    ot_status                st = OT_OK;
    *r = (ot__scatter){0};
    if (bent) {
        if (!(y = ot_alloc((size_t)(n + 2) * (size_t)p, sizeof *y))) OT_NOMEM("screen", (size_t)(n + 2) * (size_t)p * sizeof *y);
        middle = y + (size_t)n * (size_t)p, width = middle + p, rows = y;
        OT_TRY_TO(done, st, bend_rows(y, middle, width, x, n, p, o->bend));
    }
    if (o->kind == OT_SCREEN_PCA_MCD) st = fit_pca(out, r, rows, n, p, o, stream);
    else {
        OT_TRY_TO(done, st, make(out, o->kind, p, p, bent));
        r->centre = own(out, out->centre), r->factor = own(out, out->factor);
        st = o->kind == OT_SCREEN_MCD ? ot__mcd(r, rows, n, p, o->support, o->seed, stream)
                                      : ot__mrcd(r, rows, n, p, &(ot__mrcd_options){.support = o->support, .condition = o->condition, .starts = t->starts});
    }
    if (st == OT_OK && bent) {
        memcpy(own(out, out->middle), middle, (size_t)p * sizeof *middle);
        memcpy(own(out, out->width), width, (size_t)p * sizeof *width);
    }
done:
    ot_free(y);
    return st;
}

ot_status ot_screen_fit(ot_screen *out, const double *x, int n, int p, const ot_screen_options *opt, ot_screen_report *report)
{
    OT_TRY(check_options(opt));
    OT_TRY(check_data(x, n, p, opt));
    ot_status st;
    ot__trial t = {.o = *opt, .starts = OT__MRCD_STARTS};
    ot__whole whole = {0};
    double   *d = ot_alloc(2 * (size_t)n + (size_t)opt->folds, sizeof *d);
    uint32_t *order = ot_alloc((size_t)n, sizeof *order);
    if (!d || !order) OT_FAIL_TO(done, st, OT_E_NOMEM, "screen: no memory for %d rows", n);
    for (uint32_t i = 0; i < (uint32_t)n; i++) order[i] = i;
    ot__shuffle(order, (uint32_t)n, opt->seed, OT__SHUFFLE_SCREEN_FOLDS, 0);
    const ot__dealt dealt = {.x = x, .order = order, .n = n, .p = p, .folds = opt->folds, .threads = opt->threads};
    if (opt->kind == OT_SCREEN_MRCD) OT_TRY_TO(done, st, ot__screen_choose(&t.o, &dealt));
    whole.distance = d, t.distance = d + n, t.log_size = d + 2 * (size_t)n;
    OT_TRY_TO(done, st, ot__folds_run(&dealt, &t, 1, &whole));
    const double volume = ot__trial_volume(&t, &dealt);
    ot__sort(whole.distance, n);
    whole.screen.threshold = ot__quantile(t.distance, n, 1 - opt->contamination);
    if (report)
        *report = (ot_screen_report){.log_det = whole.scatter.log_det, .rho = whole.scatter.rho, .h = whole.scatter.h, .bend = fmax(t.o.bend, 0),
                                     .condition = opt->kind == OT_SCREEN_MRCD ? t.o.condition : 0, .log_volume = volume,
                                     .threshold_in_sample = ot__quantile(whole.distance, n, 1 - opt->contamination), .threshold = whole.screen.threshold};
    *out = whole.screen;
done:
    if (st != OT_OK) ot_screen_free(&whole.screen);
    ot_free(order);
    ot_free(d);
    return st;
}

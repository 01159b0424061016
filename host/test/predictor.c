/* predictor.c - one call for every learner: settings, checks of the rows, threads. */
#include "test/mars.h"
#include "base/fail.h"

#include <math.h>
#include <unistd.h>

ot_predictor_options ot_predictor_defaults(ot_predictor_kind kind)
{
    return (ot_predictor_options){.kind = kind, .degree = 1, .penalty = -1, .thresh = 0.001, .fast_k = -1, .trees = 100, .depth = 3, .rate = 0.1, .lambda = -1};
}

ot_status ot_predictor_options_check(const ot_predictor_options *o)
{
    if (!((int)o->kind >= 0 && o->kind < OT_PREDICTORS)) OT_FAIL(OT_E_RANGE, "predictor kind = %d, want 0..%d", (int)o->kind, OT_PREDICTORS - 1);
    if (!(o->degree == 1 || o->degree == 2)) OT_FAIL(OT_E_RANGE, "degree = %d, want 1 or 2 (hinges a term)", o->degree);
    if (!(o->penalty <= 1000)) OT_FAIL(OT_E_RANGE, "penalty = %g, want 0..1000 (below 0: 2 for degree 1, 3 for degree 2)", o->penalty);
    if (!(o->max_terms == 0 || (o->max_terms >= 3 && o->max_terms <= 1000))) OT_FAIL(OT_E_RANGE, "max_terms = %d, want 3..1000 (0: by the features)", o->max_terms);
    if (!(o->thresh >= 0 && o->thresh < 1)) OT_FAIL(OT_E_RANGE, "thresh = %g, want 0 or more, below 1 (gain of R2 a step)", o->thresh);
    if (!(o->fast_k <= 1000)) OT_FAIL(OT_E_RANGE, "fast_k = %d, want 0..1000 (0: all; below 0: by the degree)", o->fast_k);
    if (!(o->trees >= 1 && o->trees <= 100000)) OT_FAIL(OT_E_RANGE, "trees = %d, want 1..100000", o->trees);
    if (!(o->depth >= 1 && o->depth <= 16)) OT_FAIL(OT_E_RANGE, "depth = %d, want 1..16", o->depth);
    if (!(o->rate > 0 && o->rate <= 1)) OT_FAIL(OT_E_RANGE, "rate = %g, want above 0, at most 1", o->rate);
    if (!(o->lambda <= 1e100)) OT_FAIL(OT_E_RANGE, "lambda = %g, want 0..1e100 (below 0: by generalised cross-validation)", o->lambda);
    if (!(o->threads >= 0 && o->threads <= 1024)) OT_FAIL(OT_E_RANGE, "threads = %d, want 0..1024 (0: one a core)", o->threads);
    return OT_OK;
}

static ot_status check_rows(const double *x, const double *y, int n, int p)
{
    if (!(n >= 3 && p >= 1)) OT_FAIL(OT_E_RANGE, "predictor: %d rows of %d numbers, want 3 or more of 1 or more", n, p);
    for (int64_t i = 0; i < (int64_t)n * p; i++)
        if (!(fabs(x[i]) <= 1e100))
            OT_FAIL(OT_E_DATA, "predictor: number %lld of row %lld is %g, want -1e100..1e100", (long long)(i % p), (long long)(i / p), x[i]);
    for (int i = 0; i < n; i++)
        if (!(fabs(y[i]) <= 1e100)) OT_FAIL(OT_E_DATA, "predictor: y of row %d is %g, want -1e100..1e100", i, y[i]);
    return OT_OK;
}

static int constant(const double *y, int n)
{
    for (int i = 1; i < n; i++)
        if (y[i] != y[0]) return 0;
    return 1;
}

/* A model that says `value` whatever it is asked. */
static ot_status constant_fit(ot_predictor *out, const ot__rows *rows)
{
    double  value = rows->y[0];
    double *number = ot_alloc((size_t)rows->p + 1, sizeof *number);       /* room for ridge's coefficients, or a term and its bounds */
    if (!number) OT_NOMEM("predictor", ((size_t)rows->p + 1) * sizeof *number);
    int32_t *none = (int32_t *)(number + 1);
    *out = (ot_predictor){.kind = rows->opt->kind, .p = rows->p, .memory = number};
    switch (out->kind) {
    case OT_PREDICTOR_MARS:
        number[0] = value;
        out->mars = (ot_mars){.terms = 1, .coef = number, .start = none, .feature = none, .dir = none, .cut = number + 1};
        break;
    case OT_PREDICTOR_BOOST: out->boost = (ot_boost){.init = value, .rate = rows->opt->rate, .root = none, .feature = none, .left = none, .value = number}; break;
    case OT_PREDICTOR_RIDGE: out->ridge = (ot_ridge){.intercept = value, .coef = number}; break;
    case OT_PREDICTORS: break;
    }
    return OT_OK;
}

static ot_status fit(ot_predictor *out, const ot__rows *rows)
{
    if (constant(rows->y, rows->n)) return constant_fit(out, rows);
    switch (rows->opt->kind) {
    case OT_PREDICTOR_MARS: return ot__mars_fit(out, NULL, NULL, rows);
    case OT_PREDICTOR_BOOST: return ot__boost_fit(out, rows);
    case OT_PREDICTOR_RIDGE: return ot__ridge_fit(out, rows);
    case OT_PREDICTORS: break;
    }
    OT_FAIL(OT_E_BUG, "predictor kind %d was checked", (int)rows->opt->kind);
}

ot_status ot_predictor_fit(ot_predictor *out, const double *x, const double *y, int n, int p, const ot_predictor_options *opt)
{
    ot_predictor_options usual = ot_predictor_defaults(OT_PREDICTOR_MARS);
    ot__rows             rows = {.x = x, .y = y, .n = n, .p = p, .opt = opt ? opt : &usual};
    OT_TRY(ot_predictor_options_check(rows.opt));
    OT_TRY(check_rows(x, y, n, p));
    rows.threads = rows.opt->threads ? rows.opt->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (rows.threads < 1) rows.threads = 1;
    if (rows.threads > p) rows.threads = p;                          /* features are what is shared out */
    OT_TRY(ot__pool_open(&rows.pool, rows.threads));
    ot_status st = fit(out, &rows);
    ot__pool_close(rows.pool);
    if (st != OT_OK || !rows.opt->hold) return st;
    out->holds = 1, out->least = out->most = y[0];
    for (int i = 1; i < n; i++) out->least = fmin(out->least, y[i]), out->most = fmax(out->most, y[i]);
    return OT_OK;
}

/* cross_validate.c - how good is a predictor on chips it has not seen?  Groups of rows are dealt to folds in an order drawn from the seed; each
 * fold is predicted by a model of the other folds, which sees neither its y nor, in the features' means, its signatures. */
#include "ohmtrim/predictor.h"
#include "base/fail.h"
#include "test/shuffle.h"
#include "train/pool.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct validation {
    const float  *signatures;
    const double *y;
    int           n, s, folds;
    uint32_t     *order;                    /* (n) rows, groups in the order drawn */
    int          *fold;                     /* (n) of place i in that order */
    double       *predicted;
    ot_predictor_options opt;
} validation;

/* Fits features and model on the rows outside the fold and predicts those inside. */
static ot_status learn(const validation *v, int fold, float *signatures, double *x, double *y)
{
    ot_features  f = {0};
    ot_predictor m = {0};
    ot_status    st;
    int          n = 0;
    size_t       s = (size_t)v->s;
    for (int i = 0; i < v->n; i++) {
        if (v->fold[i] == fold) continue;
        const float *from = v->signatures + v->order[i] * s;
        for (size_t k = 0; k < s; k++) signatures[(size_t)n * s + k] = from[k];
        y[n++] = v->y[v->order[i]];
    }
    OT_TRY_TO(done, st, ot_features_fit(&f, signatures, n, v->s));
    for (int i = 0; i < n; i++) ot_features_apply(x + (size_t)i * (size_t)f.p, &f, signatures + (size_t)i * s);
    OT_TRY_TO(done, st, ot_predictor_fit(&m, x, y, n, f.p, &v->opt));
    for (int i = 0; i < v->n; i++) {
        if (v->fold[i] != fold) continue;
        ot_features_apply(x, &f, v->signatures + v->order[i] * s);
        v->predicted[v->order[i]] = ot_predictor_value(&m, x);
    }
done:
    ot_predictor_free(&m);
    ot_features_free(&f);
    return st;
}

static ot_status run_fold(void *user, int fold)
{
    const validation *v = user;
    size_t    n = (size_t)v->n, s = (size_t)v->s;
    float    *signatures = ot_alloc(n * s, sizeof *signatures);
    double   *x = ot_alloc(n * s + n, sizeof *x);
    ot_status st = OT_OK;
    if (!signatures || !x) OT_FAIL_TO(done, st, OT_E_NOMEM, "cross-validation: no memory for %d signatures of %d numbers", v->n, v->s);
    st = learn(v, fold, signatures, x, x + n * s);
    if (st != OT_OK) ot__fail_prefix(st, "fold %d of %d: ", fold + 1, v->folds);
done:
    ot_free(x);
    ot_free(signatures);
    return st;
}

static ot_status check(const float *signatures, const double *y, int n, int s, int folds, const ot_predictor_options *opt)
{
    OT_TRY(ot_predictor_options_check(opt));
    if (!(n >= 1 && s >= 1)) OT_FAIL(OT_E_RANGE, "cross-validation of %d signatures of %d numbers, want 1 or more", n, s);
    if (!(folds >= 2 && folds <= n)) OT_FAIL(OT_E_RANGE, "folds = %d, want 2..%d (the signatures)", folds, n);
    if (n - (n + folds - 1) / folds < 3)
        OT_FAIL(OT_E_RANGE, "cross-validation: %d signatures in %d folds leave %d to learn from, want 3", n, folds, n - (n + folds - 1) / folds);
    for (int64_t i = 0; i < (int64_t)n * s; i++)                     /* here, where rows have the caller's numbers */
        if (!isfinite(signatures[i]))
            OT_FAIL(OT_E_DATA, "signature %lld, number %lld is %g, want a finite number", (long long)(i / s), (long long)(i % s), (double)signatures[i]);
    for (int i = 0; i < n; i++)
        if (!(fabs(y[i]) <= 1e100)) OT_FAIL(OT_E_DATA, "cross-validation: y of row %d is %g, want -1e100..1e100", i, y[i]);
    return OT_OK;
}

static void judge(ot_cross_validation *out, const double *predicted, const double *y, int n, int folds)
{
    double sum = 0, square = 0, absolute = 0, mean = 0, spread = 0, about = 0;
    for (int i = 0; i < n; i++) {
        double e = predicted[i] - y[i];
        sum += e, square += e * e, absolute += fabs(e), mean += y[i] - y[0];
    }
    mean = y[0] + mean / n;
    for (int i = 0; i < n; i++) {
        double e = predicted[i] - y[i] - sum / n;
        about += e * e, spread += (y[i] - mean) * (y[i] - mean);
    }
    *out = (ot_cross_validation){.rmse = sqrt(square / n), .mean = sum / n, .sd = sqrt(about / n), .mae = absolute / n,
                                 .r2 = spread > 0 ? 1 - square / spread : 0, .folds = folds};
}

typedef struct member { int group, row; } member;

static int by_group(const void *a, const void *b)
{
    const member *p = a, *q = b;
    return p->group != q->group ? (p->group < q->group ? -1 : 1) : p->row - q->row;
}

/* Group number `order[k]` (in the order of their ids) is the k-th to be dealt, to fold k % folds. */
static ot_status deal(validation *v, const int *group, uint64_t seed)
{
    const size_t n = (size_t)v->n;
    uint32_t    *drawn = ot_alloc(n, sizeof *drawn);
    int         *first = ot_alloc(n + 1, sizeof *first), at = 0, groups = 0;
    member      *m = ot_alloc(n, sizeof *m);
    ot_status    st = OT_OK;
    v->order = ot_alloc(n, sizeof *v->order);
    v->fold = ot_alloc(n, sizeof *v->fold);
    if (!drawn || !first || !m || !v->order || !v->fold) OT_FAIL_TO(done, st, OT_E_NOMEM, "cross-validation: no memory for %d rows", v->n);
    for (int i = 0; i < v->n; i++) m[i] = (member){group ? group[i] : i, i};
    qsort(m, n, sizeof *m, by_group);
    for (int i = 0; i < v->n; i++)
        if (!i || m[i].group != m[i - 1].group) first[groups++] = i;
    first[groups] = v->n;
    if (groups < v->folds) OT_FAIL_TO(done, st, OT_E_RANGE, "folds = %d, want 2..%d (the groups of rows)", v->folds, groups);
    for (int k = 0; k < groups; k++) drawn[k] = (uint32_t)k;
    ot__shuffle(drawn, (uint32_t)groups, seed, OT__SHUFFLE_FOLDS, 0);
    for (int k = 0; k < groups; k++)
        for (int i = first[drawn[k]]; i < first[drawn[k] + 1]; i++) v->order[at] = (uint32_t)m[i].row, v->fold[at++] = k % v->folds;
done:
    ot_free(m);
    ot_free(first);
    ot_free(drawn);
    return st;
}

ot_status ot_predictor_cross_validate(ot_cross_validation *out, double *predicted, const float *signatures, const double *y, int n, int s,
                                      int folds, uint64_t seed, const ot_predictor_options *opt)
{
    return ot_predictor_cross_validate_groups(out, predicted, signatures, y, NULL, n, s, folds, seed, opt);
}

ot_status ot_predictor_cross_validate_groups(ot_cross_validation *out, double *predicted, const float *signatures, const double *y, const int *group,
                                             int n, int s, int folds, uint64_t seed, const ot_predictor_options *opt)
{
    validation v = {.signatures = signatures, .y = y, .n = n, .s = s, .folds = folds, .predicted = predicted,
                    .opt = opt ? *opt : ot_predictor_defaults(OT_PREDICTOR_MARS)};
    ot__pool  *pool = NULL;
    ot_status  st;
    OT_TRY(check(signatures, y, n, s, folds, &v.opt));
    int threads = v.opt.threads ? v.opt.threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads < 1) threads = 1;
    if (threads > folds) threads = folds;
    v.opt.threads = 1;                                               /* one fold, one thread */
    OT_TRY_TO(done, st, deal(&v, group, seed));
    OT_TRY_TO(done, st, ot__pool_open(&pool, threads));
    OT_TRY_TO(done, st, ot__pool_run(pool, folds, run_fold, &v));
    judge(out, predicted, y, n, folds);
done:
    ot__pool_close(pool);
    ot_free(v.fold);
    ot_free(v.order);
    return st;
}

/* judge.c - learns a judge: features, predictor with its errors out of fold, screen.
 *
 * The predictor that is kept saw all chips; what is said of its errors comes from cross-validation, in which every chip was predicted by
 * models that had not seen it. */
#include "ohmtrim/learn.h"

#include "base/fail.h"
#include "test/scatter.h"

#include <math.h>

ot_learn_options ot_learn_defaults(void)
{
    ot_learn_options o = {.predictor = ot_predictor_defaults(OT_PREDICTOR_MARS), .screen = ot_screen_defaults(OT_SCREEN_MRCD), .folds = 5, .seed = 1};
    o.predictor.hold = 1;
    return o;
}

void ot_learned_free(ot_learned *l)
{
    if (!l) return;
    ot_features_free(&l->judge.features);
    ot_predictor_free(&l->judge.predictor);
    ot_screen_free(&l->judge.screen);
    ot_free(l->accuracy);
    ot_free(l->predicted);
    ot_free(l);
}

/* Where the accuracy lies around a prediction, 95 of 100 times. */
static ot_status interval(ot_judge *j, const double *predicted, const double *accuracy, int n)
{
    double *left = ot_alloc((size_t)n, sizeof *left);
    if (!left) OT_NOMEM("residuals", (size_t)n * sizeof *left);
    for (int i = 0; i < n; i++) left[i] = accuracy[i] - predicted[i];
    ot__sort(left, n);
    j->low = ot__quantile(left, n, 0.025);
    j->high = ot__quantile(left, n, 0.975);
    ot_free(left);
    return OT_OK;
}

static void absolute_errors(ot_learned *l, const double *x, int in_sample)
{
    const int p = l->judge.features.p, n = l->n - l->first;
    double    sum = 0, square = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = l->first; i < l->n; i++) {
            double e = fabs((in_sample ? ot_predictor_value(&l->judge.predictor, x + (size_t)i * (size_t)p) : l->predicted[i]) - l->accuracy[i]);
            if (pass) square += (e - l->error_mean) * (e - l->error_mean);
            else sum += e;
        }
        l->error_mean = sum / n;
    }
    l->error_sd = sqrt(square / n);
}

static ot_status check(const double *accuracy, int n, const ot_learn_options *o)
{
    if (o->folds < 2) OT_FAIL(OT_E_RANGE, "folds = %d, want 2 or more", o->folds);
    if (n < 2 * o->folds) OT_FAIL(OT_E_RANGE, "%d chips to learn from, want at least %d for %d folds", n, 2 * o->folds, o->folds);
    if (!(o->first >= 0 && n - o->first >= 2 * o->folds)) OT_FAIL(OT_E_RANGE, "%d chips from number %d on, want at least %d", n - o->first, o->first, 2 * o->folds);
    for (int i = 0; i < n; i++)
        if (!(accuracy[i] >= 0 && accuracy[i] <= 1)) OT_FAIL(OT_E_DATA, "accuracy of chip %d is %g, want 0..1", i, accuracy[i]);
    return OT_OK;
}

/* As cross-validation reports them. */
static void errors(ot_cross_validation *cv, const double *predicted, const double *accuracy, int n)
{
    double sum = 0, mae = 0, square = 0, mean = 0, spread = 0;
    for (int i = 0; i < n; i++) sum += predicted[i] - accuracy[i], mae += fabs(predicted[i] - accuracy[i]), mean += accuracy[i] / n;
    cv->mean = sum / n, cv->mae = mae / n;
    sum = 0;
    for (int i = 0; i < n; i++) {
        const double e = predicted[i] - accuracy[i];
        square += e * e, sum += (e - cv->mean) * (e - cv->mean), spread += (accuracy[i] - mean) * (accuracy[i] - mean);
    }
    cv->rmse = sqrt(square / n), cv->sd = sqrt(sum / n), cv->r2 = spread > 0 ? 1 - square / spread : 0;
}

static ot_status learn(ot_learned *l, const float *signatures, int s, const ot_learn_options *o)
{
    ot_judge *j = &l->judge;
    ot_status st = OT_OK;
    double   *x = NULL;
    OT_TRY(ot_features_fit(&j->features, signatures, l->n, s));
    const size_t p = (size_t)j->features.p;
    if (!(x = ot_alloc((size_t)l->n, p * sizeof *x))) OT_NOMEM("features", (size_t)l->n * p * sizeof *x);
    for (int i = 0; i < l->n; i++) ot_features_apply(x + (size_t)i * p, &j->features, signatures + (size_t)i * (size_t)s);
    OT_TRY_TO(done, st, ot_predictor_fit(&j->predictor, x, l->accuracy, l->n, (int)p, &o->predictor));
    OT_TRY_TO(done, st, ot_predictor_cross_validate_groups(&l->cv, l->predicted, signatures, l->accuracy, o->chip, l->n, s, o->folds, o->seed, &o->predictor));
    if (l->first) errors(&l->cv, l->predicted + l->first, l->accuracy + l->first, l->n - l->first);
    OT_TRY_TO(done, st, interval(j, l->predicted + l->first, l->accuracy + l->first, l->n - l->first));
    j->rmse = l->cv.rmse, j->sd = l->cv.sd, j->mean = l->cv.mean;
    absolute_errors(l, x, !o->errors_out_of_fold);
    OT_TRY_TO(done, st, ot_screen_fit(&j->screen, x + (size_t)l->first * p, l->n - l->first, (int)p, &o->screen, &l->screen));
done:
    ot_free(x);
    return st;
}

ot_status ot_judge_learn(ot_learned **out, const float *signatures, const double *accuracy, int n, int s, const ot_learn_options *opt)
{
    const ot_learn_options o = opt ? *opt : ot_learn_defaults();
    ot_status              st = OT_OK;
    OT_TRY(check(accuracy, n, &o));
    ot_learned *l = ot_alloc(1, sizeof *l);
    if (!l) OT_NOMEM("a judge", sizeof *l);
    l->n = n;
    l->first = o.first;
    l->predicted = ot_alloc((size_t)n, sizeof *l->predicted);
    l->accuracy = ot_alloc((size_t)n, sizeof *l->accuracy);
    if (!l->predicted || !l->accuracy) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d chips", n);
    for (int i = 0; i < n; i++) l->accuracy[i] = accuracy[i];
    st = learn(l, signatures, s, &o);
done:
    if (st != OT_OK) {
        ot_learned_free(l);
        return st;
    }
    *out = l;
    return OT_OK;
}

/* The (m + 1)-th largest a_hat of a bad chip is the first that may not pass, m being how many bad ones may. */
static ot_status conformal(double *guard, const ot_learned *l, double cutoff, double escape)
{
    const int    n = l->n - l->first;
    const double may = floor(escape / 2 * (n + 1) * (1 + 1e-12)) - 1;
    int          bad = 0;
    if (may < 0) OT_FAIL(OT_E_RANGE, "escape = %g with %d chips, want at least %.0f chips", escape, n, ceil(2 / escape) - 1);
    double *above = ot_alloc((size_t)n, sizeof *above);
    if (!above) OT_NOMEM("bad chips", (size_t)n * sizeof *above);
    for (int i = l->first; i < l->n; i++)
        if (l->accuracy[i] < cutoff && l->predicted[i] >= cutoff) above[bad++] = l->predicted[i] - cutoff;
    ot__sort(above, bad);
    *guard = bad > may ? above[bad - 1 - (int)may] + 1e-12 : 0;       /* past rounding; accuracies are steps of 1 / images */
    ot_free(above);
    return OT_OK;
}

ot_status ot_rule_guard(double *guard, const ot_learned *l, ot_rule_kind kind, double cutoff, double k, double escape)
{
    if (!(cutoff >= 0 && cutoff <= 1)) OT_FAIL(OT_E_RANGE, "cutoff = %g, want 0..1 (an accuracy)", cutoff);
    if (!(k >= 0 && k <= 100)) OT_FAIL(OT_E_RANGE, "k = %g, want 0..100", k);
    if (!(escape > 0 && escape <= 1)) OT_FAIL(OT_E_RANGE, "escape = %g, want more than 0, at most 1", escape);
    switch (kind) {
    case OT_RULE_000: *guard = k * l->cv.sd; return OT_OK;
    case OT_RULE_002: *guard = l->error_mean + 2 * l->error_sd; return OT_OK;
    case OT_RULE_CONFORMAL: return conformal(guard, l, cutoff, escape);
    case OT_RULES: break;
    }
    OT_FAIL(OT_E_RANGE, "rule number %d, want 0..%d", (int)kind, OT_RULES - 1);
}

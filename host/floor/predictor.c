/* predictor.c - a signature's features, and the accuracy that a learned model makes of them.
 *
 * Sums run in a fixed order, so the same model gives the same bits wherever it is evaluated.  A NaN among the features a
 * model looks at gives NaN, but for boosting, whose comparisons would send it right: there every NaN is looked for first. */
#include "floor/names.h"
#include "floor/sums.h"

#include <math.h>

void ot_features_apply(double *x, const ot_features *f, const float *signature)
{
    for (int k = 0; k < f->p; k++) x[k] = ((double)signature[f->feature[k]] - f->mean[k]) / f->sd[k];
}

void ot_features_free(ot_features *f)
{
    ot_free(f->memory);
    *f = (ot_features){0};
}

static double mars(const ot_mars *m, const double *x)
{
    double y = 0;
    for (int t = 0; t < m->terms; t++) {
        double b = 1;
        for (int j = m->start[t]; j < m->start[t + 1]; j++) {
            double v = x[m->feature[j]], h = m->dir[j] == 2 ? v : m->dir[j] * (v - m->cut[j]);
            b *= m->dir[j] != 2 && h < 0 ? 0 : h;                  /* written so that NaN stays */
        }
        y += m->coef[t] * b;
    }
    return y;
}

static double boost(const ot_boost *m, const double *x, int p)
{
    double sum = 0;
    for (int k = 0; k < p; k++)
        if (isnan(x[k])) return NAN;
    for (int t = 0; t < m->trees; t++) {
        int i = m->root[t];
        while (m->feature[i] >= 0) i = m->left[i] + !(x[m->feature[i]] <= m->value[i]);
        sum += m->rate * m->value[i];
    }
    return m->init + sum;
}

static double ridge(const ot_ridge *m, const double *x, int p)
{
    return m->intercept + ot__dot(m->coef, x, p);
}

static double value(const ot_predictor *m, const double *x)
{
    switch (m->kind) {
    case OT_PREDICTOR_MARS: return mars(&m->mars, x);
    case OT_PREDICTOR_BOOST: return boost(&m->boost, x, m->p);
    case OT_PREDICTOR_RIDGE: return ridge(&m->ridge, x, m->p);
    case OT_PREDICTORS: break;
    }
    return NAN;
}

double ot_predictor_value(const ot_predictor *m, const double *x)
{
    const double v = value(m, x);
    return !m->holds || isnan(v) ? v : v < m->least ? m->least : v > m->most ? m->most : v;
}

void ot_predictor_free(ot_predictor *m)
{
    ot_free(m->memory);
    *m = (ot_predictor){0};
}

static const char *const names[] = {"mars", "boost", "ridge"};
const char *ot_predictor_name(ot_predictor_kind kind) { return ot__name_of(names, OT_PREDICTORS, (int)kind); }

ot_status ot_predictor_parse(ot_predictor_kind *out, const char *name)
{
    int       i;
    ot_status st = ot__name_parse(&i, names, OT_PREDICTORS, "predictor", name);
    if (st == OT_OK) *out = (ot_predictor_kind)i;
    return st;
}

/* casebook_ridge.c - every knob as a linear function of the standardised signature: ridge regression on the casebook, one knob after
 * the other, each with its own penalty by generalised cross-validation. */
#include "tune/casebook.h"

#include "base/fail.h"
#include "ohmtrim/predictor.h"

#include <string.h>

static ot_status fit(double *coef, double *intercept, const ot_casebook *cb)
{
    const int            n = cb->cases.n, p = cb->cases.p, l = cb->cases.l;
    ot_predictor_options opt = ot_predictor_defaults(OT_PREDICTOR_RIDGE);
    ot_status            st = OT_OK;
    double              *x = ot_alloc((size_t)n * (size_t)p, sizeof *x), *y = ot_alloc((size_t)n, sizeof *y);
    if (!x || !y) OT_FAIL_TO(done, st, OT_E_NOMEM, "casebook: no memory for a ridge regression on %d chips of %d features", n, p);
    for (size_t i = 0; i < (size_t)n * (size_t)p; i++) x[i] = (double)cb->cases.x[i];
    for (int k = 0; k < 2 * l; k++) {
        const float *knob = k < l ? cb->cases.gain + k : cb->cases.offset + (k - l);
        ot_predictor m;
        for (int i = 0; i < n; i++) y[i] = (double)knob[(size_t)i * (size_t)l];
        OT_TRY_TO(done, st, ot_predictor_fit(&m, x, y, n, p, &opt));
        memcpy(coef + (size_t)k * (size_t)p, m.ridge.coef, (size_t)p * sizeof *coef);
        intercept[k] = m.ridge.intercept;
        ot_predictor_free(&m);
    }
done:
    ot_free(y);
    ot_free(x);
    return st;
}

const ot_ridge_knobs *ot_casebook_ridge(const ot_casebook *cb) { return &cb->ridge; }

ot_status ot_casebook_fit_ridge(ot_casebook *cb)
{
    const size_t knobs = 2 * (size_t)cb->cases.l, p = (size_t)cb->cases.p;
    if (cb->ridge.coef) return OT_OK;
    if (p < 1 || cb->cases.n < 3) OT_FAIL(OT_E_DATA, "casebook: %d chips with %zu numbers that vary, want 3 and 1 for a ridge regression", cb->cases.n, p);
    double *coef = ot_alloc(knobs, (p + 1) * sizeof *coef);
    if (!coef) OT_NOMEM("casebook's ridge regression", knobs * (p + 1) * sizeof *coef);
    ot_status st = fit(coef, coef + knobs * p, cb);
    if (st == OT_OK) cb->ridge = (ot_ridge_knobs){.l = cb->cases.l, .p = cb->cases.p, .coef = coef, .intercept = coef + knobs * p};
    else ot_free(coef);
    return st;
}

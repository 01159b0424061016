/* detector.c - pass or fail by a screen alone: what good chips answer to the compact set is normal, everything else fails.
 *
 * No accuracy is predicted and no bad chip is needed to learn from; how far out a good chip may lie comes from the screen's own
 * cross-validation (its contamination is the overkill it aims at). */
#include "base/fail.h"
#include "ohmtrim/predictor.h"
#include "ohmtrim/synthesise.h"

#include <string.h>

/* The rows of good chips, one after the other. */
static ot_status good_rows(float **out, int *n_good, const float *signatures, const uint8_t *good, int n, int s)
{
    *n_good = 0;
    for (int i = 0; i < n; i++) *n_good += good[i] != 0;
    if (*n_good < 3) OT_FAIL(OT_E_RANGE, "%d good chips of %d, want at least 3 to learn what is normal", *n_good, n);
    if (!(*out = ot_alloc((size_t)*n_good, (size_t)s * sizeof **out))) OT_NOMEM("detector", (size_t)*n_good * (size_t)s * sizeof **out);
    for (int i = 0, k = 0; i < n; i++)
        if (good[i]) memcpy(*out + (size_t)k++ * (size_t)s, signatures + (size_t)i * (size_t)s, (size_t)s * sizeof **out);
    return OT_OK;
}

ot_status ot_detector_fit(ot_detector *out, const float *signatures, const uint8_t *good, int n, int s, const ot_screen_options *opt)
{
    const ot_screen_options defaults = ot_screen_defaults(OT_SCREEN_MRCD);
    ot_detector             d = {0};
    float                  *rows = NULL;
    double                 *x = NULL;
    int                     g;
    ot_status               st = good_rows(&rows, &g, signatures, good, n, s);
    if (st != OT_OK) return st;
    OT_TRY_TO(done, st, ot_features_fit(&d.features, rows, g, s));
    if (!(x = ot_alloc((size_t)g, (size_t)d.features.p * sizeof *x))) OT_FAIL_TO(done, st, OT_E_NOMEM, "detector: no memory for %d chips of %d features", g, d.features.p);
    for (int i = 0; i < g; i++) ot_features_apply(x + (size_t)i * (size_t)d.features.p, &d.features, rows + (size_t)i * (size_t)s);
    st = ot_screen_fit(&d.screen, x, g, d.features.p, opt ? opt : &defaults, NULL);
done:
    ot_free(x);
    ot_free(rows);
    if (st == OT_OK) *out = d;
    else ot_detector_free(&d);
    return st;
}

void ot_detector_free(ot_detector *d)
{
    ot_features_free(&d->features);
    ot_screen_free(&d->screen);
}

ot_status ot_detector_distances(double *distance, const ot_detector *d, const float *signatures, int n)
{
    const size_t p = (size_t)d->features.p;
    double      *x = ot_alloc(2 * p + (size_t)d->screen.q, sizeof *x);
    if (!x) OT_NOMEM("detector", (2 * p + (size_t)d->screen.q) * sizeof *x);
    for (int i = 0; i < n; i++) {
        ot_features_apply(x, &d->features, signatures + (size_t)i * (size_t)d->features.s);
        distance[i] = ot_screen_distance(&d->screen, x, x + p);
    }
    ot_free(x);
    return OT_OK;
}

/* floor_screen.c - one chip on the test floor: signature in, verdict and knobs out; getters of an open recipe.
 *
 * Nothing is allocated and nothing is written before the chip is judged: knobs are made in the recipe's scratch, and what is not finite
 * is refused, so a caller never holds half a verdict. */
#include "base/fail.h"
#include "floor/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const ot_layout  *ot_floor_layout(const ot_floor *f) { return &f->layout; }
const ot_rule    *ot_floor_rule(const ot_floor *f) { return &f->rule; }
const ot_mending *ot_floor_mending(const ot_floor *f) { return &f->mending; }
const ot_judge   *ot_floor_judge(const ot_floor *f, ot_floor_when when) { return when == OT_FLOOR_BEFORE || f->has_after ? &f->judge[when] : NULL; }

ot_status ot_floor_set_cutoff(ot_floor *f, double cutoff)
{
    if (!(cutoff >= 0 && cutoff <= 1)) OT_FAIL(OT_E_RANGE, "cutoff = %g, want an accuracy 0..1", cutoff);
    f->rule.cutoff = cutoff;
    return OT_OK;
}

ot_status ot_floor_expect(const ot_floor *f, const char *network)
{
    const char *name = ot_floor_text(f, "network"), *sha = ot_floor_text(f, "network_sha256");
    size_t      n = strlen(network);
    if ((name && !strcmp(name, network)) || (sha && n >= 8 && !strncmp(sha, network, n))) return OT_OK;
    OT_FAIL(OT_E_MISMATCH, "the recipe is for network '%.60s' (%.64s), want '%.64s'", name ? name : "", sha ? sha : "no hash", network);
}

const uint8_t *ot_floor_stimulus(const ot_floor *f, int *c, int *h, int *w)
{
    *c = f->image[0], *h = f->image[1], *w = f->image[2];
    return f->stimulus;
}

const char *ot_floor_stimulus_source(const ot_floor *f, int i) { return f->source && i >= 0 && i < f->layout.images ? f->source[i] : NULL; }

/* What number `i` of a signature is: "image 2, class 4". */
static void place(char out[64], const ot_layout *l, int i)
{
    int relus = l->kind == OT_SIGNATURE_FINAL ? 0 : l->relus, a_image = relus + l->classes, image = i / a_image, at = i % a_image;
    if (image >= l->images) {
        at = i - l->images * a_image;
        snprintf(out, 64, "%s of layer %d", at < relus ? "mean" : "spread", at % relus);
    } else snprintf(out, 64, "image %d, %s %d", image, at < relus ? "layer" : "class", at < relus ? at : at - relus);
}

/* The nearest row of the casebook, and the mender's knobs in the scratch. */
static ot_status mend(ot_floor *f, const float *signature, ot_floor_result *r)
{
    const ot_mending *m = &f->mending;
    const ot_cases   *c = &m->cases;
    size_t            bytes = (size_t)f->layout.relus * sizeof(float);
    if (m->kind == OT_MENDER_KNN) r->nearest = ot_cases_knn(c, f->x, m->k, f->gain, f->offset, f->work, &r->nearest_distance);
    else if (c->n > 0) r->nearest = ot_cases_nearest(c, m->kind, f->x, &r->nearest_distance);
    if (m->kind == OT_MENDER_NONE)
        for (int i = 0; i < f->layout.relus; i++) f->gain[i] = 1, f->offset[i] = 0;
    else if (m->kind == OT_MENDER_RIDGE) r->held = ot_ridge_knobs_value(&m->ridge, f->x, f->gain, f->offset);
    else if (m->kind == OT_MENDER_MOMENTS) r->held = ot_moments_knobs(&m->moments, signature, f->gain, f->offset);
    else if (m->kind != OT_MENDER_KNN) {
        memcpy(f->gain, c->gain + (int64_t)r->nearest * c->l, bytes);
        memcpy(f->offset, c->offset + (int64_t)r->nearest * c->l, bytes);
    }
    if (m->knobs != OT_KNOBS_GAIN_OFFSET && m->kind != OT_MENDER_NONE) r->held += ot_ladder_round(&m->ladder, f->gain, f->layout.relus);
    for (int i = 0; i < f->layout.relus; i++)
        if (!isfinite(f->gain[i]) || !isfinite(f->offset[i]))
            OT_FAIL(OT_E_DATA, "signature: the mender '%s' gives gain %g, offset %g for layer %d, want finite", ot_mender_name(m->kind), (double)f->gain[i],
                    (double)f->offset[i], i);
    if (r->nearest >= 0 && !isfinite(r->nearest_distance)) OT_FAIL(OT_E_DATA, "signature: its distance to the casebook is %g, want finite", r->nearest_distance);
    return OT_OK;
}

ot_status ot_floor_screen(ot_floor *f, ot_floor_when when, const float *signature, ot_floor_result *out, float *gain, float *offset)
{
    const ot_judge *j = ot_floor_judge(f, when);
    ot_floor_result r = {.nearest = -1, .nearest_distance = NAN};
    char            where[64];
    if (!j) OT_FAIL(OT_E_UNSUPPORTED, "the recipe has no judge for chips with knobs set (it was learned from untuned chips alone)");
    for (int i = 0; i < f->layout.length; i++)
        if (!isfinite(signature[i])) {
            place(where, &f->layout, i);
            OT_FAIL(OT_E_DATA, "signature: number %d (%s) is %g, want finite", i, where, (double)signature[i]);
        }
    ot_features_apply(f->x, &j->features, signature);
    double d2 = ot_screen_distance(&j->screen, f->x, f->work);
    r.predicted = ot_predictor_value(&j->predictor, f->x);
    r.low = r.predicted + j->low;
    r.high = r.predicted + j->high;
    r.distance = sqrt(d2);
    if (!isfinite(r.low) || !isfinite(r.high) || !isfinite(r.distance))
        OT_FAIL(OT_E_DATA, "signature: the recipe's models give accuracy %g, distance %g, want finite (the signature is far from all it was learned from)",
                r.predicted, r.distance);
    r.outlier = ot_screen_outlier(&j->screen, d2);
    r.verdict = ot_rule_verdict(&f->rule, r.predicted, r.outlier, when == OT_FLOOR_AFTER);
    if (when == OT_FLOOR_BEFORE) {
        OT_TRY(mend(f, signature, &r));
        for (int i = 0; i < f->layout.relus; i++) {
            int pass = r.verdict == OT_VERDICT_PASS;
            gain[i] = pass ? 1 : f->gain[i];
            offset[i] = pass ? 0 : f->offset[i];
        }
    }
    *out = r;
    return OT_OK;
}

void ot_floor_knobs(const ot_floor *f, float *gain, float *offset)
{
    memcpy(gain, f->gain, (size_t)f->layout.relus * sizeof *gain);
    memcpy(offset, f->offset, (size_t)f->layout.relus * sizeof *offset);
}

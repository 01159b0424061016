/* verdicts.c - what a rule makes of the evaluation chips, from first signature to shipped or rejected.
 *
 *     signature (K images) -> first verdict
 *       pass        shipped as it is
 *       tune        knobs set, signature (K more) -> second verdict: pass: shipped; full test (N images): shipped or rejected
 *       full-test   (N images) good: shipped as it is; bad: as under `tune`
 *
 * Everything is known of these chips (accuracy untuned and tuned), so every rule and cutoff is worked out afterwards from the same
 * rows.  Judges are evaluated by the test floor's own functions. */
#include "base/fail.h"
#include "ohmtrim/campaign.h"

#include <math.h>

/* a_hat and whether the signature is one of the normal ones. */
typedef struct opinion { double predicted; int outlier; } opinion;

static opinion judge(const ot_judge *j, const float *signature, double *x, double *work)
{
    ot_features_apply(x, &j->features, signature);
    return (opinion){ot_predictor_value(&j->predictor, x), ot_screen_outlier(&j->screen, ot_screen_distance(&j->screen, x, work))};
}

static size_t work_of(const ot_judge *j) { return j ? (size_t)j->features.p * 2 + (size_t)j->screen.q : 0; }

struct ot_opinions {
    int      n;
    int64_t  test_images;
    int      images;
    double  *untuned, *tuned;              /* accuracies (n) */
    opinion *before, *after;               /* (n) */
};

void ot_opinions_free(ot_opinions *o)
{
    if (!o) return;
    ot_free(o->after);
    ot_free(o->before);
    ot_free(o->tuned);
    ot_free(o->untuned);
    ot_free(o);
}

static ot_status check(const ot_judge *before, const ot_judge *after, const ot_campaign_answers *u, const ot_campaign_answers *t)
{
    if (u->n < 1) OT_FAIL(OT_E_DATA, "no evaluation chips with untuned answers");
    if (before->features.s != u->layout.length || (after && after->features.s != t->layout.length))
        OT_FAIL(OT_E_SHAPE, "the judge wants signatures of %d numbers, the chips gave %d", before->features.s, u->layout.length);
    if (u->n != t->n) OT_FAIL(OT_E_DATA, "%d chips answered untuned, %d tuned: the campaign is not complete", u->n, t->n);
    for (int i = 0; i < u->n; i++)
        if (u->chip[i] != t->chip[i]) OT_FAIL(OT_E_DATA, "chip %u answered untuned but not tuned: the campaign is not complete", u->chip[i]);
    return OT_OK;
}

ot_status ot_opinions_make(ot_opinions **out, const ot_judge *before, const ot_judge *after, const ot_campaign_answers *untuned, const ot_campaign_answers *tuned)
{
    ot_status    st = OT_OK;
    OT_TRY(check(before, after, untuned, tuned));
    const size_t n = (size_t)untuned->n, S = (size_t)untuned->layout.length, room = work_of(before) > work_of(after) ? work_of(before) : work_of(after);
    ot_opinions *o = ot_alloc(1, sizeof *o);
    double      *work = ot_alloc(room, sizeof *work);
    if (!o || !work) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory to judge %zu chips", n);
    *o = (ot_opinions){.n = (int)n, .test_images = untuned->images, .images = untuned->layout.images};
    o->untuned = ot_alloc(n, sizeof *o->untuned), o->tuned = ot_alloc(n, sizeof *o->tuned);
    o->before = ot_alloc(n, sizeof *o->before), o->after = ot_alloc(n, sizeof *o->after);
    if (!o->untuned || !o->tuned || !o->before || !o->after) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory to judge %zu chips", n);
    for (size_t i = 0; i < n; i++) {
        o->untuned[i] = untuned->accuracy[i], o->tuned[i] = tuned->accuracy[i];
        o->before[i] = judge(before, untuned->signature + i * S, work, work + before->features.p);
        o->after[i] = after ? judge(after, tuned->signature + i * S, work, work + after->features.p) : (opinion){0, 1};      /* nobody to trust: the full test */
    }
done:
    ot_free(work);
    if (st != OT_OK) {
        ot_opinions_free(o);
        return st;
    }
    *out = o;
    return OT_OK;
}

void ot_opinions_errors(const ot_opinions *o, double *before_mean, double *before_sd, double *after_mean, double *after_sd)
{
    for (int tuned = 0; tuned < 2; tuned++) {
        double sum = 0, square = 0;
        for (int i = 0; i < o->n; i++) sum += tuned ? o->after[i].predicted - o->tuned[i] : o->before[i].predicted - o->untuned[i];
        const double mean = sum / o->n;
        for (int i = 0; i < o->n; i++) {
            double e = (tuned ? o->after[i].predicted - o->tuned[i] : o->before[i].predicted - o->untuned[i]) - mean;
            square += e * e;
        }
        *(tuned ? after_mean : before_mean) = mean;
        *(tuned ? after_sd : before_sd) = sqrt(square / o->n);
    }
}

void ot_opinions_verdicts(ot_verdicts *out, const ot_opinions *o, const ot_rule *rule)
{
    int64_t escapes = 0, overkill = 0, shipped = 0, good = 0;
    double  images = 0;
    *out = (ot_verdicts){.chips = o->n, .rule = rule->kind, .cutoff = rule->cutoff, .guard = rule->guard, .guard_after = rule->guard_after};
    for (int i = 0; i < o->n; i++) {
        const double a = o->untuned[i], b = o->tuned[i], cutoff = rule->cutoff;
        ot_verdict   v = ot_rule_verdict(rule, o->before[i].predicted, o->before[i].outlier, 0);
        double       final = a;
        int          mended = 0;
        out->first[v]++;
        images += o->images;
        if (v == OT_VERDICT_FULL_TEST) {
            images += (double)o->test_images;
            v = ot_rule_full_test(rule, a, 0);
        }
        if (v == OT_VERDICT_TUNE) {
            out->tuned++;
            final = b, mended = 1;
            images += o->images;
            v = ot_rule_verdict(rule, o->after[i].predicted, o->after[i].outlier, 1);
            out->second[v]++;
            if (v == OT_VERDICT_FULL_TEST) {
                images += (double)o->test_images;
                v = ot_rule_full_test(rule, b, 1);
            }
        }
        const int ship = v == OT_VERDICT_PASS;
        shipped += ship;
        good += ship && final >= cutoff;
        escapes += ship && final < cutoff;
        out->escaped[mended] += ship && final < cutoff;
        overkill += !ship && (a >= cutoff || b >= cutoff);
    }
    out->rejected = o->n - (int)shipped;
    out->yield = ot_wilson(good, o->n);
    out->escape = ot_wilson(escapes, o->n);
    out->overkill = ot_wilson(overkill, o->n);
    out->images = images / o->n;
}

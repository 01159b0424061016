/* options.c - the tuners' names, their settings and the defaults that docs/tuning.md's sweep found. */
#include "ohmtrim/tune.h"
#include "base/fail.h"
#include "floor/names.h"

#include <math.h>

static const char *const names[OT_TUNERS] = {
    [OT_TUNER_EXHAUSTIVE] = "exhaustive",   [OT_TUNER_SUBSET] = "subset",
    [OT_TUNER_LEARNED] = "learned",         [OT_TUNER_CLOSED_FORM] = "closed-form",
    [OT_TUNER_CLOSED_FORM_ADAM] = "closed-form-adam",
    [OT_TUNER_NEAREST] = "nearest",         [OT_TUNER_KNN] = "knn",
    [OT_TUNER_RIDGE] = "ridge",             [OT_TUNER_LEARNED_ADAM] = "learned-adam",
    [OT_TUNER_MOMENTS] = "moments",         [OT_TUNER_SELF_TUNING] = "self-tuning",
    [OT_TUNER_BN_STATS] = "bn-stats",       [OT_TUNER_RETRAIN] = "retrain",
    [OT_TUNER_SELF_TUNING_LTM] = "self-tuning-ltm",
};

const char *ot_tuner_name(ot_tuner t) { return ot__name_of(names, OT_TUNERS, (int)t); }

int ot_tuner_wants_casebook(ot_tuner t)
{
    return t == OT_TUNER_LEARNED || t == OT_TUNER_NEAREST || t == OT_TUNER_KNN || t == OT_TUNER_RIDGE || t == OT_TUNER_LEARNED_ADAM;
}

int ot_tuner_wants_stimulus(ot_tuner t) { return t == OT_TUNER_MOMENTS || ot_tuner_wants_casebook(t); }

ot_status ot_tuner_parse(ot_tuner *out, const char *name)
{
    int       i;
    ot_status st = ot__name_parse(&i, names, OT_TUNERS, "tuner", name);
    if (st == OT_OK) *out = (ot_tuner)i;
    return st;
}

ot_tune_options ot_tune_defaults(void)
{
    return (ot_tune_options){
        .lr = 0.01, .epochs = 1, .minibatch = 128, .subset_frac = 0.1, .images = 100, .polish_steps = 20, .polish_images = 1000, .gtm_cells = 1000,
        .ltm_columns = 1, .retrain_frac = 0.01, .retrain_lr = 0.003, .seed = 1, .optimizer = OT_OPTIMIZER_ADAM,
    };
}

ot_status ot_tune_check(const ot_tune_options *o)
{
    if (!(o->lr > 0 && o->lr <= 1)) OT_FAIL(OT_E_RANGE, "lr = %g, want more than 0, at most 1", o->lr);
    if (!(o->epochs > 0 && o->epochs <= 1000)) OT_FAIL(OT_E_RANGE, "epochs = %g, want more than 0, at most 1000", o->epochs);
    if (!(o->steps >= 0 && o->steps <= 1000000)) OT_FAIL(OT_E_RANGE, "steps = %d, want 0..1000000 (0: by epochs)", o->steps);
    if (!(o->minibatch >= 1 && o->minibatch <= 4096)) OT_FAIL(OT_E_RANGE, "minibatch = %d, want 1..4096", o->minibatch);
    if (!(o->subset_frac > 0 && o->subset_frac <= 1))
        OT_FAIL(OT_E_RANGE, "subset_frac = %g, want more than 0, at most 1", o->subset_frac);
    if (!(o->images >= 2 && o->images <= 4096)) OT_FAIL(OT_E_RANGE, "images = %d, want 2..4096 (closed form)", o->images);
    if (!(o->polish_steps >= 1 && o->polish_steps <= 1000000))
        OT_FAIL(OT_E_RANGE, "polish_steps = %d, want 1..1000000", o->polish_steps);
    if (!(o->polish_images >= 1)) OT_FAIL(OT_E_RANGE, "polish_images = %d, want 1 or more", o->polish_images);
    if (!(o->gtm_cells >= 1 && o->gtm_cells <= 100000000)) OT_FAIL(OT_E_RANGE, "gtm_cells = %d, want 1..100000000 (self-tuning)", o->gtm_cells);
    if (!(o->ltm_columns >= 1 && o->ltm_columns <= 65536)) OT_FAIL(OT_E_RANGE, "ltm_columns = %d, want 1..65536 (self-tuning-ltm)", o->ltm_columns);
    if (!(o->retrain_frac > 0 && o->retrain_frac <= 1)) OT_FAIL(OT_E_RANGE, "retrain_frac = %g, want more than 0, at most 1 (all weights)", o->retrain_frac);
    if (!(o->retrain_lr > 0 && o->retrain_lr <= 1)) OT_FAIL(OT_E_RANGE, "retrain_lr = %g, want more than 0, at most 1", o->retrain_lr);
    if (o->optimizer != OT_OPTIMIZER_SGD && o->optimizer != OT_OPTIMIZER_ADAM)
        OT_FAIL(OT_E_RANGE, "optimizer = %d, want %d (SGD) or %d (Adam)", (int)o->optimizer, OT_OPTIMIZER_SGD, OT_OPTIMIZER_ADAM);
    if (!(o->momentum >= 0 && o->momentum < 1)) OT_FAIL(OT_E_RANGE, "momentum = %g, want 0 or more, below 1", o->momentum);
    OT_TRY(ot_policy_check(&o->policy));
    return OT_OK;
}

int64_t ot_tune_steps(const ot_tune_options *o, int64_t n)
{
    if (o->steps > 0) return o->steps;
    double steps = nearbyint(o->epochs * (double)n / (double)(n < o->minibatch ? n : o->minibatch));
    return steps < 1 ? 1 : (int64_t)steps;
}

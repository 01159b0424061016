/* tuning.c - one door to all tuners, and what the chips of a network share: which images each tuner sees, and the ideal's means and
 * spreads.  Drawn once from the seed, never from a chip, so that chips and tuners are compared on equal terms. */
#include "tune/tuning.h"

#include "base/fail.h"
#include "test/shuffle.h"
#include "tune/adam.h"

#include <string.h>

void ot_tuning_free(ot_tuning *t)
{
    if (!t) return;
    ot_free(t->stimulus_sd);
    ot_free(t->stimulus_mean);
    ot_free(t->stimulus);
    ot_free(t->rate);
    ot_free(t->sd);
    ot_free(t->mean);
    for (int i = 0; i < 4; i++) ot_free(t->index[i]);
    ot_free(t);
}

/* The first `n` of all images in a drawn order. */
static ot_status draw_images(ot_tuning *t, int list, int64_t n, uint32_t which)
{
    uint32_t all = (uint32_t)t->train->n, *index = ot_alloc(all, sizeof *index);
    if (!index) OT_NOMEM("image numbers", all * sizeof *index);
    for (uint32_t i = 0; i < all; i++) index[i] = i;
    if (list != ALL) ot__shuffle(index, all, t->opt.seed, which, 0);
    t->index[list] = index;
    t->n[list] = n < all ? n : all;
    return OT_OK;
}

/* The policy goes with the steps of every tuner: said now, not at the first chip. */
static ot_status check_policy(const ot_tuning *t)
{
    static const int lists[] = {ALL, SUBSET, POLISH};
    for (int i = 0; i < 3; i++) {
        int64_t   n = t->n[lists[i]], batch = t->opt.minibatch < n ? t->opt.minibatch : n;
        ot_policy p;
        OT_TRY(ot__tune_policy(&p, &t->opt, lists[i] == POLISH ? t->opt.polish_steps : ot_tune_steps(&t->opt, n), batch, n));
    }
    return OT_OK;
}

ot_status ot_tuning_open(ot_tuning **out, ot_plan *plan, const ot_data *train, const ot_tune_options *opt)
{
    const ot_network *net = ot_plan_network(plan);
    int               relus = ot_plan_knobs(plan);
    OT_TRY(ot_tune_check(opt));
    OT_TRY(ot_data_check(train, net));
    if (relus < 1) OT_FAIL(OT_E_UNSUPPORTED, "network '%s' has neither ReLU nor spiking layers, so it has no knobs to tune", ot_network_name(net));
    if (train->n < 1) OT_FAIL(OT_E_DATA, "no training images (%s)", train->name);
    ot_tuning *t = ot_alloc(1, sizeof *t);
    ot_status  st = OT_OK;
    if (!t) OT_NOMEM("tuning", sizeof *t);
    *t = (ot_tuning){.opt = *opt, .train = train, .relus = relus};
    int64_t subset = (int64_t)((double)train->n * opt->subset_frac + 0.5);
    OT_TRY_TO(done, st, draw_images(t, ALL, train->n, 0));
    OT_TRY_TO(done, st, draw_images(t, SUBSET, subset > 1 ? subset : 1, OT__SHUFFLE_SUBSET));
    OT_TRY_TO(done, st, draw_images(t, MATCH, opt->images, OT__SHUFFLE_CLOSED_FORM));
    OT_TRY_TO(done, st, draw_images(t, POLISH, opt->polish_images, OT__SHUFFLE_POLISH));
    OT_TRY_TO(done, st, check_policy(t));
    t->mean = ot_alloc((size_t)relus, sizeof *t->mean);
    t->sd = ot_alloc((size_t)relus, sizeof *t->sd);
    if (!t->mean || !t->sd) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for the targets of %d layers", relus);
    OT_TRY_TO(done, st, ot_tune_targets(t->mean, t->sd, plan, train, t->index[MATCH], (int)t->n[MATCH]));
    if (!ot_network_spikes(net)) goto done;
    if (!(t->rate = ot_alloc((size_t)relus, sizeof *t->rate))) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for the firing rates of %d layers", relus);
    st = ot_plan_rates(plan, train, t->index[MATCH], (int)t->n[MATCH], t->rate);
done:
    if (st != OT_OK) {
        ot_tuning_free(t);
        return st;
    }
    *out = t;
    return OT_OK;
}

ot_status ot_tuning_set_stimulus(ot_tuning *t, ot_plan *plan, const ot_data *data, const uint32_t *index, int k)
{
    uint32_t *copy = ot_alloc((size_t)k, sizeof *copy);
    double   *mean = ot_alloc((size_t)t->relus, sizeof *mean), *sd = ot_alloc((size_t)t->relus, sizeof *sd);
    ot_status st = OT_OK;
    if (!copy || !mean || !sd) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for a stimulus of %d images", k);
    memcpy(copy, index, (size_t)k * sizeof *copy);
    st = ot_tune_targets(mean, sd, plan, data, copy, k);
done:
    if (st != OT_OK) {
        ot_free(sd), ot_free(mean), ot_free(copy);
        return st;
    }
    ot_free(t->stimulus_sd), ot_free(t->stimulus_mean), ot_free(t->stimulus);
    t->stimulus_of = data, t->stimulus = copy, t->n_stimulus = k;
    t->stimulus_mean = mean, t->stimulus_sd = sd;
    return OT_OK;
}

ot_mender ot__mender_of(ot_tuner t)
{
    switch (t) {
    case OT_TUNER_NEAREST: return OT_MENDER_NEAREST;
    case OT_TUNER_KNN: return OT_MENDER_KNN;
    case OT_TUNER_RIDGE: return OT_MENDER_RIDGE;
    case OT_TUNER_MOMENTS: return OT_MENDER_MOMENTS;
    default: return OT_MENDER_LEARNED;
    }
}

ot_status ot__tuning_may(const ot_tuning *t, ot_tuner tuner, const ot_casebook *cb, const float *signature)
{
    if (tuner < 0 || tuner >= OT_TUNERS) OT_FAIL(OT_E_RANGE, "tuner number %d, want 0..%d", (int)tuner, OT_TUNERS - 1);
    if (tuner == OT_TUNER_SELF_TUNING) OT_FAIL(OT_E_USAGE, "self-tuning corrects a chip, not knobs: want ot_tuning_change, or a fleet");
    if (ot_tuner_changes_chip(tuner)) OT_FAIL(OT_E_USAGE, "the tuner %s changes one chip at a time, not knobs: want ot_tuning_change", ot_tuner_name(tuner));
    if (tuner == OT_TUNER_MOMENTS && !t->stimulus) OT_FAIL(OT_E_USAGE, "the tuner moments wants a stimulus");
    if (!ot_tuner_wants_casebook(tuner)) return OT_OK;
    if (!cb || !signature) OT_FAIL(OT_E_USAGE, "the tuner %s wants a casebook and the chip's signature", ot_tuner_name(tuner));
    if (ot_casebook_relus(cb) != t->relus)
        OT_FAIL(OT_E_SHAPE, "the casebook has %d knob pairs a chip, the network %d", ot_casebook_relus(cb), t->relus);
    return OT_OK;
}

static ot_status adam(const ot_tuning *t, int list, int64_t steps, ot_plan *plan, float *gain, float *offset, ot_tune_cost *cost)
{
    return ot_tune_adam(plan, t->train, t->index[list], t->n[list], &t->opt, steps, gain, offset, cost);
}

static ot_status closed_form(const ot_tuning *t, ot_plan *plan, float *gain, float *offset, ot_tune_cost *cost)
{
    if (t->rate) return ot_tune_match_rates(plan, t->train, t->index[MATCH], (int)t->n[MATCH], t->rate, gain, offset, cost);
    return ot_tune_closed_form(plan, t->train, t->index[MATCH], (int)t->n[MATCH], t->mean, t->sd, gain, offset, cost);
}

ot_status ot_tuning_run(const ot_tuning *t, ot_tuner tuner, ot_plan *plan, const ot_casebook *cb, const float *signature, float *gain,
                        float *offset, int *nearest, ot_tune_cost *cost)
{
    *cost = (ot_tune_cost){0};
    if (ot_plan_knobs(plan) != t->relus)
        OT_FAIL(OT_E_SHAPE, "the plan has %d knob pairs, the tuning was opened for %d", ot_plan_knobs(plan), t->relus);
    OT_TRY(ot__tuning_may(t, tuner, cb, signature));
    for (int l = 0; l < t->relus; l++) {
        gain[l] = 1;
        offset[l] = 0;
    }
    if (ot_tuner_wants_casebook(tuner)) {
        OT_TRY(ot_casebook_mend(cb, ot__mender_of(tuner), signature, gain, offset, nearest, cost));
        OT_TRY(ot_plan_set_knobs(plan, gain, offset));
        return tuner == OT_TUNER_LEARNED_ADAM ? adam(t, POLISH, t->opt.polish_steps, plan, gain, offset, cost) : OT_OK;
    }
    switch (tuner) {
    case OT_TUNER_EXHAUSTIVE: return adam(t, ALL, ot_tune_steps(&t->opt, t->n[ALL]), plan, gain, offset, cost);
    case OT_TUNER_SUBSET: return adam(t, SUBSET, ot_tune_steps(&t->opt, t->n[SUBSET]), plan, gain, offset, cost);
    case OT_TUNER_CLOSED_FORM: return closed_form(t, plan, gain, offset, cost);
    case OT_TUNER_CLOSED_FORM_ADAM:
        OT_TRY(closed_form(t, plan, gain, offset, cost));
        return adam(t, POLISH, t->opt.polish_steps, plan, gain, offset, cost);
    default:
        return ot_tune_closed_form(plan, t->stimulus_of, t->stimulus, t->n_stimulus, t->stimulus_mean, t->stimulus_sd, gain, offset, cost);
    }
}

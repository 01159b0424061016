/* fleet.c - the tuners on a whole fleet at once (ot_tuning_run_fleet).  What one chip gets here is what it gets from ot_tuning_run; where the
 * backend holds the chips itself, Adam runs there (kernels/adam.cu) and the host only sends the order of images. */
#include "tune/tuning.h"

#include "base/fail.h"
#include "base/progress.h"
#include "plan/fleet.h"
#include "tune/adam.h"

#include <string.h>

/* The fleet's knobs out to the caller's arrays. */
static void knobs_out(const ot_fleet *f, float *gain, float *offset)
{
    const size_t L = (size_t)f->plan->relus;
    for (size_t k = 0; k < (size_t)f->n; k++) {
        memcpy(gain + k * L, f->knobs + k * 2 * L, L * sizeof *gain);
        memcpy(offset + k * L, f->knobs + k * 2 * L + L, L * sizeof *offset);
    }
}

static void knobs_of(ot_fleet *to, const float *gain, const float *offset, size_t k)
{
    const size_t L = (size_t)to->plan->relus;
    memcpy(to->knobs, gain + k * L, L * sizeof *gain);
    memcpy(to->knobs + L, offset + k * L, L * sizeof *offset);
}

/* All minibatches' rows, as ot_tune_adam cuts them. */
static ot_status rows_make(uint32_t **out, const ot_tuning *t, int list, int64_t steps, int64_t *batch)
{
    ot__images images = {0};
    OT_TRY(ot__images_open(&images, t->index[list], t->n[list], t->opt.seed));
    *batch = t->opt.minibatch < t->n[list] ? t->opt.minibatch : t->n[list];
    *out = ot_alloc((size_t)(steps * *batch), sizeof **out);
    if (*out) ot__images_next(&images, *out, steps * *batch);
    ot__images_close(&images);
    if (!*out) OT_NOMEM("order of images", (size_t)(steps * *batch) * sizeof **out);
    return OT_OK;
}

static void add_cost(ot_tune_cost *cost, const ot_many_adam_result *r, int64_t batch)
{
    cost->images_forward += r->steps * batch;
    cost->images_backward += r->steps * batch;
    cost->steps += r->steps;
    cost->projected += r->projected;
    cost->nan_restores += r->nan_restores;
}

/* How the options step knobs; *rates, the caller's to free, is what it points to. */
static ot_status rule_make(ot_many_rule *rule, double **rates, const ot_tuning *t, int list, int64_t steps, int64_t batch)
{
    const ot_tune_options *o = &t->opt;
    ot_policy              policy;
    *rule = (ot_many_rule){.lr = o->lr, .steps = steps, .sgd = o->optimizer == OT_OPTIMIZER_SGD, .momentum = o->momentum};
    if (!o->policy.n) return OT_OK;
    OT_TRY(ot__tune_policy(&policy, o, steps, batch, t->n[list]));
    *rates = ot_alloc((size_t)steps, sizeof **rates);
    if (!*rates) OT_NOMEM("learning rates", (size_t)steps * sizeof **rates);
    for (int64_t i = 0; i < steps; i++) (*rates)[i] = ot_policy_lr(&policy, (double)i);
    rule->rate = *rates;
    return OT_OK;
}

/* A chip that half precision was too narrow for, from its first knobs again in float. */
static ot_status again(ot_fleet *f, size_t k, const ot_tuning *t, const uint32_t *rows, int64_t batch, const ot_many_rule *rule, float *gain, float *offset,
                       ot_many_adam_result *r)
{
    const size_t L = (size_t)f->plan->relus;
    ot_fleet    *exact;
    OT_TRY(ot__fleet_exact(&exact, f, (int)k));
    knobs_of(exact, gain, offset, k);
    OT_TRY(ot__fleet_many_adam(exact, t->train, rows, batch, rule->steps, rule, r));
    memcpy(f->knobs + k * 2 * L, exact->knobs, 2 * L * sizeof *gain);
    return ot__fleet_many_knobs(f);
}

static ot_status adam_many(const ot_tuning *t, int list, int64_t steps, ot_fleet *f, float *gain, float *offset, ot_tune_cost *cost)
{
    uint32_t            *rows = NULL;
    double              *rates = NULL;
    ot_many_rule         rule;
    int64_t              batch = 0;
    ot_status            st = OT_OK;
    ot_many_adam_result *result = ot_alloc((size_t)f->n, sizeof *result);
    if (!result) OT_NOMEM("Adam", (size_t)f->n * sizeof *result);
    OT_TRY_TO(done, st, rows_make(&rows, t, list, steps, &batch));
    OT_TRY_TO(done, st, rule_make(&rule, &rates, t, list, steps, batch));
    OT_TRY_TO(done, st, ot_fleet_set_knobs(f, gain, offset));
    OT_TRY_TO(done, st, ot__fleet_many_adam(f, t->train, rows, batch, steps, &rule, result));
    for (size_t k = 0; k < (size_t)f->n; k++) {
        if (f->narrow && result[k].nan_restores > 0) OT_TRY_TO(done, st, again(f, k, t, rows, batch, &rule, gain, offset, &result[k]));
        add_cost(&cost[k], &result[k], batch);
    }
    knobs_out(f, gain, offset);
done:
    ot_free(rates);
    ot_free(rows);
    ot_free(result);
    return st;
}

static ot_status adam(const ot_tuning *t, int list, int64_t steps, ot_fleet *f, float *gain, float *offset, ot_tune_cost *cost)
{
    const size_t L = (size_t)f->plan->relus;
    if (f->many) return adam_many(t, list, steps, f, gain, offset, cost);
    for (size_t k = 0; k < (size_t)f->n; k++) {
        OT_TRY(ot__fleet_take_turn(f, (int)k));
        OT_TRY(ot_tune_adam(f->plan, t->train, t->index[list], t->n[list], &t->opt, steps, gain + k * L, offset + k * L, &cost[k]));
        cost[k].seconds = 0;                             /* shared out by the caller */
    }
    return ot_fleet_set_knobs(f, gain, offset);
}

typedef struct matching { int spiking; const double *mean, *sd; ot_tune_cost *cost; } matching;

static ot_status match(void *user, int chip, int relu, double mean, double sd, float *gain, float *offset)
{
    const matching *m = user;
    ot__match(m->spiking, m->mean[relu], m->sd[relu], mean, sd, gain, offset, &m->cost[chip]);
    return OT_OK;
}

static ot_status closed_form(ot_fleet *f, const ot_data *data, const uint32_t *index, int n, const double *mean, const double *sd, float *gain, float *offset,
                             ot_tune_cost *cost)
{
    matching m = {ot__knobs_of(f->plan->net), mean, sd, cost};
    OT_TRY(ot_fleet_set_knobs(f, NULL, NULL));
    OT_TRY(ot_fleet_moments(f, data, index, n, match, &m));
    for (int k = 0; k < f->n; k++) cost[k].images_forward += n;
    knobs_out(f, gain, offset);
    return OT_OK;
}

static ot_status match_rates(ot_fleet *f, const ot_tuning *t, float *gain, float *offset, ot_tune_cost *cost)
{
    const size_t L = (size_t)f->plan->relus;
    OT_TRY(ot_fleet_set_knobs(f, NULL, NULL));
    if (f->many) {
        OT_TRY(ot__fleet_many_match_rates(f, t->train, t->index[MATCH], (int)t->n[MATCH], t->rate, OT__RATE_LOW, OT__RATE_HIGH, f->plan->once));
        for (int k = 0; k < f->n; k++) cost[k].images_forward += t->n[MATCH];
        knobs_out(f, gain, offset);
        return OT_OK;
    }
    for (size_t k = 0; k < (size_t)f->n; k++) {
        OT_TRY(ot__fleet_take_turn(f, (int)k));
        OT_TRY(ot_tune_match_rates(f->plan, t->train, t->index[MATCH], (int)t->n[MATCH], t->rate, gain + k * L, offset + k * L, &cost[k]));
    }
    return ot_fleet_set_knobs(f, gain, offset);
}

static ot_status from_casebook(ot_fleet *f, const ot_casebook *cb, ot_mender how, const float *signatures, float *gain, float *offset, int *nearest, ot_tune_cost *cost)
{
    const size_t L = (size_t)f->plan->relus, S = (size_t)ot_casebook_signature_length(cb);
    for (size_t k = 0; k < (size_t)f->n; k++)
        OT_TRY(ot_casebook_mend(cb, how, signatures + k * S, gain + k * L, offset + k * L, nearest ? &nearest[k] : NULL, &cost[k]));
    return ot_fleet_set_knobs(f, gain, offset);
}

ot_status ot_tuning_run_fleet(const ot_tuning *t, ot_tuner tuner, ot_fleet *f, const ot_casebook *cb, const float *signatures, float *gain, float *offset, int *nearest,
                              ot_tune_cost *cost)
{
    const double start = ot__seconds();
    ot_status    st = OT_OK;
    if (f->n < 1) OT_FAIL(OT_E_RANGE, "the fleet has no chips yet: draw some");
    if (f->plan->relus != t->relus) OT_FAIL(OT_E_SHAPE, "the fleet has %d knob pairs, the tuning was opened for %d", f->plan->relus, t->relus);
    if (tuner != OT_TUNER_SELF_TUNING) {
        OT_TRY(ot__tuning_may(t, tuner, cb, signatures));
        OT_TRY(ot_fleet_correct(f, NULL));
    }
    for (size_t i = 0; i < (size_t)f->n * (size_t)t->relus; i++) gain[i] = 1, offset[i] = 0;
    for (int k = 0; k < f->n; k++) cost[k] = (ot_tune_cost){0};
    if (ot_tuner_wants_casebook(tuner)) st = from_casebook(f, cb, ot__mender_of(tuner), signatures, gain, offset, nearest, cost);
    if (tuner == OT_TUNER_CLOSED_FORM || tuner == OT_TUNER_CLOSED_FORM_ADAM)
        st = t->rate ? match_rates(f, t, gain, offset, cost) : closed_form(f, t->train, t->index[MATCH], (int)t->n[MATCH], t->mean, t->sd, gain, offset, cost);
    if (tuner == OT_TUNER_MOMENTS) st = closed_form(f, t->stimulus_of, t->stimulus, t->n_stimulus, t->stimulus_mean, t->stimulus_sd, gain, offset, cost);
    if (st == OT_OK && (tuner == OT_TUNER_CLOSED_FORM_ADAM || tuner == OT_TUNER_LEARNED_ADAM)) st = adam(t, POLISH, t->opt.polish_steps, f, gain, offset, cost);
    if (tuner == OT_TUNER_EXHAUSTIVE) st = adam(t, ALL, ot_tune_steps(&t->opt, t->n[ALL]), f, gain, offset, cost);
    if (tuner == OT_TUNER_SUBSET) st = adam(t, SUBSET, ot_tune_steps(&t->opt, t->n[SUBSET]), f, gain, offset, cost);
    if (tuner == OT_TUNER_SELF_TUNING) {
        st = ot__tuning_self_fleet(f, t->opt.gtm_cells);
        knobs_out(f, gain, offset);
    }
    for (int k = 0; k < f->n; k++) cost[k].seconds = (ot__seconds() - start) / f->n;
    return st;
}

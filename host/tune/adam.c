/* adam.c - paper 000's Algorithm 1: all weights frozen, Adam on one gain and one offset a T-ReLU, by backward passes over training
 * images.  Any learning-rate policy, and SGD with or without momentum, take the place of Adam at a fixed rate.
 *
 * Knobs and moments are doubles; the plan gets them rounded to float.  After each step a gain is held at 1/64 or above, where backward
 * still divides safely.  The order of images depends on the seed and the epoch alone, so chips tuned in one campaign see the same
 * minibatches: their differences are the chips', not the order's.  Minibatches are cut from an endless stream of epochs, so every one
 * is full and a fraction of an epoch is a plain number of steps. */
#include "tune/adam.h"
#include "base/fail.h"
#include "base/progress.h"
#include "kernels/adam.h"
#include "test/shuffle.h"

#include <math.h>
#include <string.h>

enum { GIVE_UP = 4 };

struct ot__adam {
    int           relus, bad_in_row;
    double        lr, best_loss, momentum;
    ot_policy     policy;               /* none: lr */
    ot_optimizer  optimizer;
    int64_t       done;                 /* steps, lost ones too */
    ot_adam_power power;
    double       *knob, *best, *grad;   /* (2L) each: gains, then offsets */
    ot_adam      *state;                /* (2L) */
    float        *sent;                 /* (2L), what the plan was given */
};

void ot__adam_close(ot__adam *a)
{
    if (!a) return;
    ot_free(a->sent);
    ot_free(a->state);
    ot_free(a->grad);
    ot_free(a->best);
    ot_free(a->knob);
    ot_free(a);
}

ot_status ot__adam_open(ot__adam **out, int relus, double lr, const float *gain, const float *offset)
{
    size_t    n = 2 * (size_t)relus;
    ot__adam *a = ot_alloc(1, sizeof *a);
    if (!a) OT_NOMEM("Adam", sizeof *a);
    *a = (ot__adam){.relus = relus, .lr = lr, .best_loss = INFINITY, .optimizer = OT_OPTIMIZER_ADAM, .power = {1, 1}};
    a->knob = ot_alloc(n, sizeof *a->knob);
    a->best = ot_alloc(n, sizeof *a->best);
    a->grad = ot_alloc(n, sizeof *a->grad);
    a->state = ot_alloc(n, sizeof *a->state);
    a->sent = ot_alloc(n, sizeof *a->sent);
    if (!a->knob || !a->best || !a->grad || !a->state || !a->sent) {
        ot__adam_close(a);
        OT_NOMEM("Adam", n * (3 * sizeof(double) + sizeof(ot_adam) + sizeof(float)));
    }
    for (int l = 0; l < relus; l++) {
        a->knob[l] = gain[l];
        a->knob[relus + l] = offset[l];
        a->best[l] = 1;                                  /* until a finite loss is seen: untuned */
    }
    *out = a;
    return OT_OK;
}

void ot__adam_knobs(const ot__adam *a, float *gain, float *offset)
{
    for (int l = 0; l < a->relus; l++) {
        gain[l] = (float)a->knob[l];
        offset[l] = (float)a->knob[a->relus + l];
    }
}

void ot__adam_rates(ot__adam *a, const ot_policy *policy, ot_optimizer optimizer, double momentum)
{
    a->policy = *policy;
    a->optimizer = optimizer;
    a->momentum = momentum;
}

static double update(const ot__adam *a, double knob, double grad, double lr, ot_adam *state)
{
    return a->optimizer == OT_OPTIMIZER_ADAM ? ot_adam_step(knob, grad, lr, state, a->power) : ot_sgd_step(knob, grad, lr, a->momentum, state);
}

int ot__adam_gave_up(const ot__adam *a) { return a->bad_in_row >= GIVE_UP; }

ot_status ot__adam_step(ot__adam *a, ot_plan *plan, const ot_data *data, const uint32_t *index, int64_t n, double *loss,
                        ot_tune_cost *cost)
{
    size_t L = (size_t)a->relus, bytes = 2 * L * sizeof(double);
    ot__adam_knobs(a, a->sent, a->sent + L);
    OT_TRY(ot_plan_set_knobs(plan, a->sent, a->sent + L));
    OT_TRY(ot_plan_gradient(plan, data, index, n, loss, a->grad, a->grad + L));
    cost->images_forward += n;
    cost->images_backward += n;
    cost->steps++;
    const double lr = a->policy.n ? ot_policy_lr(&a->policy, (double)a->done) : a->lr;
    a->done++;
    int finite = isfinite(*loss) != 0;
    for (size_t k = 0; k < 2 * L; k++) finite = finite && isfinite(a->grad[k]);
    if (!finite) {
        memcpy(a->knob, a->best, bytes);
        memset(a->state, 0, 2 * L * sizeof *a->state);
        a->power = (ot_adam_power){1, 1};
        a->bad_in_row++;
        cost->nan_restores++;
        return OT_OK;
    }
    a->bad_in_row = 0;
    if (*loss < a->best_loss) {
        a->best_loss = *loss;
        memcpy(a->best, a->knob, bytes);
    }
    ot_adam_advance(&a->power);
    for (size_t k = 0; k < 2 * L; k++) a->knob[k] = update(a, a->knob[k], a->grad[k], lr, &a->state[k]);
    for (size_t k = 0; k < L; k++) a->knob[k] = ot_adam_project_gain(a->knob[k], &cost->projected);
    return OT_OK;
}

ot_status ot__images_open(ot__images *s, const uint32_t *index, int64_t n, uint64_t seed)
{
    *s = (ot__images){.index = index, .n = n, .at = n, .seed = seed};
    if (!(n >= 1 && n <= UINT32_MAX)) OT_FAIL(OT_E_RANGE, "Adam on %lld images, want at least 1", (long long)n);
    s->order = ot_alloc((size_t)n, sizeof *s->order);
    if (!s->order) OT_NOMEM("order of images", (size_t)n * sizeof *s->order);
    return OT_OK;
}

void ot__images_close(ot__images *s) { ot_free(s->order); }

void ot__images_next(ot__images *s, uint32_t *rows, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (s->at == s->n) {
            for (int64_t k = 0; k < s->n; k++) s->order[k] = s->index ? s->index[k] : (uint32_t)k;
            ot__shuffle(s->order, (uint32_t)s->n, s->seed, OT__SHUFFLE_ORDER, s->epoch++);
            s->at = 0;
        }
        rows[i] = s->order[s->at++];
    }
}

ot_status ot__tune_policy(ot_policy *out, const ot_tune_options *opt, int64_t steps, int64_t batch, int64_t n)
{
    return ot_policy_for(out, &opt->policy, (double)steps, (double)n / (double)(batch > 0 ? batch : 1));
}

ot_status ot_tune_adam(ot_plan *plan, const ot_data *data, const uint32_t *index, int64_t n_index, const ot_tune_options *opt,
                       int64_t steps, float *gain, float *offset, ot_tune_cost *cost)
{
    double     start = ot__seconds(), loss;
    ot__adam  *adam = NULL;
    ot__images images = {0};
    ot_status  st = OT_OK;
    ot_policy  policy;
    OT_TRY(ot_tune_check(opt));
    int64_t   batch = opt->minibatch < n_index ? opt->minibatch : n_index;
    OT_TRY(ot__tune_policy(&policy, opt, steps, batch, n_index));
    OT_TRY(ot__images_open(&images, index, n_index, opt->seed));
    uint32_t *rows = ot_alloc((size_t)batch, sizeof *rows);
    if (!rows) OT_FAIL_TO(done, st, OT_E_NOMEM, "Adam: no memory for minibatches of %lld images", (long long)batch);
    OT_TRY_TO(done, st, ot__adam_open(&adam, ot_plan_knobs(plan), opt->lr, gain, offset));
    ot__adam_rates(adam, &policy, opt->optimizer, opt->momentum);
    for (int64_t i = 0; i < steps && !ot__adam_gave_up(adam); i++) {
        ot__images_next(&images, rows, batch);
        OT_TRY_TO(done, st, ot__adam_step(adam, plan, data, rows, batch, &loss, cost));
    }
    ot__adam_knobs(adam, gain, offset);
    OT_TRY_TO(done, st, ot_plan_set_knobs(plan, gain, offset));
    cost->seconds += ot__seconds() - start;
done:
    ot__adam_close(adam);
    ot_free(rows);
    ot__images_close(&images);
    return st;
}

/* moments.c - forward that stops before each T-ReLU, for closed forms: they see its input's mean and spread and may set its knobs.
 *
 * The step runs without its T-ReLU, its output is measured, and the step runs again with the knobs that came back.  Twice the work
 * of a forward pass, on a hundred images, once a chip.  A spiking layer is a step of its own: its currents lie there already. */
#include "plan/impl.h"

static ot_status stop_at(ot_plan *p, int step, int n, ot_moment_fn fn, void *user)
{
    const ot_step *s = &p->steps[step];
    const int      l = ot__step_knob(s), at = p->spiking ? s->src : s->dst;
    double         mean, sd;
    float          gain = p->gain[l], offset = p->offset[l];
    if (!p->spiking) OT_TRY(ot__plan_step(p, step, n, 0, 1));
    OT_TRY(p->be->i->moments(p->be->ctx, ot__plan_tensor(p, at), p->tensors[at].shape, n * p->tensors[at].frames, &mean, &sd));
    OT_TRY(fn(user, l, mean, sd, &gain, &offset));
    OT_TRY(ot__plan_check_knob(p, l, gain, offset));
    p->gain[l] = gain;
    p->offset[l] = offset;
    return OT_OK;
}

ot_status ot_plan_moments(ot_plan *p, const ot_data *data, const uint32_t *index, int n, ot_moment_fn fn, void *user)
{
    if (p->opt.use == OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "this plan trains; moments want one for forward or tuning");
    if (n < 1 || n > p->opt.tile) OT_FAIL(OT_E_RANGE, "moments of %d images, want 1..%d (the plan's tile)", n, p->opt.tile);
    OT_TRY(ot__plan_check_images(p, data, index, n));
    OT_TRY(ot__plan_fill(p, data, index, 0, n));
    for (int i = 0; i < p->n_steps; i++) {
        if (ot__step_knob(&p->steps[i]) >= 0) OT_TRY(stop_at(p, i, n, fn, user));
        OT_TRY(ot__plan_step(p, i, n, 0, 0));
    }
    return OT_OK;
}

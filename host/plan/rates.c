/* rates.c - mean firing rates of a spiking network's layers, and the thresholds that bring them back to given ones.
 *
 * A layer's rate falls as its threshold rises, so the threshold with a wanted rate is found by halving an interval: as a chip can do by
 * itself, with a counter a layer.  Layers go in order, each on the spikes of those before with their new thresholds.  Only the scan is
 * repeated: the currents, which cost the most, are computed once.  Layers that fire once have gains, which go the other way. */
#include "plan/impl.h"

enum { HALVINGS = 20 };                                              /* a millionth of the interval */

/* The mean over the n images of the step's rates. */
static ot_status rate_at(ot_plan *p, int step, int n, float gain, double *rate)
{
    const int    l = ot__step_knob(&p->steps[step]);
    const float *tap = p->tap + (size_t)l * (size_t)p->opt.tile;
    p->gain[l] = gain;
    OT_TRY(ot__plan_step(p, step, n, 1, 0));
    *rate = 0;
    for (int k = 0; k < n; k++) *rate += (double)tap[k] / n;
    return OT_OK;
}

static ot_status match(ot_plan *p, int step, int n, double want, double low, double high, float *gain)
{
    double rate;
    for (int i = 0; i < HALVINGS; i++) {
        const double middle = 0.5 * (low + high);
        OT_TRY(rate_at(p, step, n, (float)middle, &rate));
        *((rate > want) != p->once ? &low : &high) = middle;
    }
    *gain = (float)(0.5 * (low + high));
    return rate_at(p, step, n, *gain, &rate);
}

static ot_status check(const ot_plan *p, const ot_data *data, const uint32_t *index, int n)
{
    if (!p->spiking) OT_FAIL(OT_E_UNSUPPORTED, "network '%s' does not spike, so it has no firing rates", ot_network_name(p->net));
    if (p->opt.use == OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "this plan trains; firing rates want one for forward or tuning");
    if (n < 1 || n > p->opt.tile) OT_FAIL(OT_E_RANGE, "firing rates of %d images, want 1..%d (the plan's tile)", n, p->opt.tile);
    return ot__plan_check_images(p, data, index, n);
}

ot_status ot_plan_rates(ot_plan *p, const ot_data *data, const uint32_t *index, int n, double *rate)
{
    OT_TRY(check(p, data, index, n));
    OT_TRY(ot__plan_fill(p, data, index, 0, n));
    for (int i = 0; i < p->n_steps; i++) {
        const int l = ot__step_knob(&p->steps[i]);
        if (l >= 0) OT_TRY(rate_at(p, i, n, p->gain[l], &rate[l]));
        else OT_TRY(ot__plan_step(p, i, n, 0, 0));
    }
    return OT_OK;
}

ot_status ot_plan_match_rates(ot_plan *p, const ot_data *data, const uint32_t *index, int n, const double *rate, double low, double high, float *gain)
{
    OT_TRY(check(p, data, index, n));
    if (!(low >= 0.015625 && high > low && high <= 1e6)) OT_FAIL(OT_E_RANGE, "gains between %g and %g, want 1/64 or more, the second larger", low, high);
    OT_TRY(ot__plan_fill(p, data, index, 0, n));
    for (int i = 0; i < p->n_steps; i++) {
        const int l = ot__step_knob(&p->steps[i]);
        if (l >= 0) OT_TRY(match(p, i, n, rate[l], low, high, &gain[l]));
        else OT_TRY(ot__plan_step(p, i, n, 0, 0));
    }
    return OT_OK;
}

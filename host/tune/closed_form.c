/* closed_form.c - knobs without labels, gradients or training images: match mean and spread (DESIGN 6).
 *
 * What variation does to a layer is, for the most part, to scale and shift its input as a whole; batch norm's scale and shift were
 * learned for the ideal.  So run a few images, and before each T-ReLU in turn choose (a, b) such that (x - b) a has the mean and the
 * spread that the ideal network's x0 had on them:
 *
 *     a = sd(x0) / sd(x)        b = mean(x) - mean(x0) / a
 *
 * The next layer then sees the mended output of this one, so one forward pass does all layers.  The spread is that within channels:
 * random variation moves channels apart, and a gain that shrank to make up for it would shrink the signal (docs/tuning.md has both
 * measured).  A gain that would fall below 1/64 is held there (b follows); a layer without spread keeps (1, 0).
 *
 * A spiking layer has no offset, and what scales its currents as a whole is made good by a threshold scaled alike: a = sd(x) / sd(x0).
 * Better, and simpler for a chip, is to match what it can count: each layer's mean firing rate (plan/rates.c). */
#include "tune/tuning.h"

#include "base/fail.h"
#include "base/progress.h"
#include "kernels/adam.h"

#include <math.h>

typedef struct matching {
    int           spiking;
    double       *mean, *sd;               /* targets: written ... */
    const double *mean0, *sd0;             /* ... or matched */
    float        *gain, *offset;
    ot_tune_cost *cost;
} matching;

static ot_status note(void *user, int relu, double mean, double sd, float *gain, float *offset)
{
    matching *m = user;
    m->mean[relu] = mean;
    m->sd[relu] = sd;
    *gain = 1;
    *offset = 0;
    return OT_OK;
}

void ot__match(int spiking, double mean0, double sd0, double mean, double sd, float *gain, float *offset, ot_tune_cost *cost)
{
    double a = 1, b = 0;
    if (spiking) {
        const double ratio = spiking == OT__ONCE ? sd0 / sd : sd / sd0;
        if (sd > 0 && sd0 > 0 && isfinite((float)ratio)) a = ot_adam_project_gain(ratio, &cost->projected);
        *gain = (float)a, *offset = 0;
        return;
    }
    if (sd > 0 && sd0 > 0 && isfinite((float)(sd0 / sd))) {
        a = ot_adam_project_gain(sd0 / sd, &cost->projected);
        b = mean - mean0 / a;
        if (!isfinite((float)b)) a = 1, b = 0;
    }
    *gain = (float)a;
    *offset = (float)b;
}

static ot_status match(void *user, int relu, double mean, double sd, float *gain, float *offset)
{
    matching *m = user;
    ot__match(m->spiking, m->mean0[relu], m->sd0[relu], mean, sd, gain, offset, m->cost);
    m->gain[relu] = *gain;
    m->offset[relu] = *offset;
    return OT_OK;
}

ot_status ot_tune_targets(double *mean, double *sd, ot_plan *plan, const ot_data *data, const uint32_t *index, int n)
{
    matching m = {.mean = mean, .sd = sd};
    OT_TRY(ot_plan_load(plan, NULL));
    OT_TRY(ot_plan_set_knobs(plan, NULL, NULL));
    return ot_plan_moments(plan, data, index, n, note, &m);
}

ot_status ot_tune_closed_form(ot_plan *plan, const ot_data *data, const uint32_t *index, int n, const double *mean, const double *sd,
                              float *gain, float *offset, ot_tune_cost *cost)
{
    double   start = ot__seconds();
    matching m = {.spiking = ot__knobs_of(ot_plan_network(plan)), .mean0 = mean, .sd0 = sd, .gain = gain, .offset = offset, .cost = cost};
    OT_TRY(ot_plan_moments(plan, data, index, n, match, &m));
    cost->images_forward += n;
    cost->seconds += ot__seconds() - start;
    return ot_plan_set_knobs(plan, gain, offset);
}

ot_status ot_tune_match_rates(ot_plan *plan, const ot_data *data, const uint32_t *index, int n, const double *rate, float *gain, float *offset, ot_tune_cost *cost)
{
    const double start = ot__seconds();
    OT_TRY(ot_plan_match_rates(plan, data, index, n, rate, OT__RATE_LOW, OT__RATE_HIGH, gain));
    for (int l = 0; l < ot_plan_knobs(plan); l++) offset[l] = 0;
    cost->images_forward += n;
    cost->seconds += ot__seconds() - start;
    return ot_plan_set_knobs(plan, gain, offset);
}

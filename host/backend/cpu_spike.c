/* cpu_spike.c - integrate-and-fire steps of the cpu backend: settings, strips, mean rates.  The loops are in cpu_loops_spike.h. */
#include "backend/cpu.h"

#include <math.h>

enum { STRIP = 1024, NEAR_BYTES = 24576 };     /* membranes of a strip at all steps: half of a first-level cache */

void ot__cpu_spike_open(ot__cpu_op *op, const ot_plan_options *opt)
{
    static const float usual[OT_SURROGATES] = {2.0f, 25.0f, 1.0f};
    const ot_layer    *l = op->step.layer;
    int                strip = NEAR_BYTES / (4 * op->step.steps) / OT_BLOCK * OT_BLOCK;
    if (strip > STRIP) strip = STRIP;
    if (strip < OT_BLOCK) strip = OT_BLOCK;
    op->spike = (ot__cpu_spike){.steps = op->step.steps, .still = op->step.still, .strip = strip, .leak = l->leak, .reset = l->reset, .surrogate = opt->surrogate,
                                .sharpness = opt->sharpness > 0.0 ? (float)opt->sharpness : usual[opt->surrogate]};
    if (op->use != OT_PLAN_FORWARD) op->scratch = (size_t)strip * (size_t)op->step.steps * sizeof(float);
    op->algorithm = "scan";
}

static ot__cpu_spike with_threshold(const ot__cpu_op *op, float threshold)
{
    ot__cpu_spike p = op->spike;
    p.threshold = threshold;
    p.loss = p.reset == OT_RESET_FIXED ? op->step.layer->u_rst : p.reset == OT_RESET_ONCE ? INFINITY : threshold;
    return p;
}

void ot__cpu_spike_forward(const ot__cpu_op *op, const float *src, float *dst, const ot_step_run *run)
{
    const ot__cpu_spike p = with_threshold(op, run->gain);
    OT_LOOPS_OF(op->cpu, op->out)->spike(op->out, &p, src, dst, run->n / p.steps);
}

void ot__cpu_spike_backward(const ot__cpu_op *op, const float *src, const float *g, float *dsrc, float *scratch, const ot_step_back *back)
{
    const ot__cpu_spike p = with_threshold(op, back->gain);
    double              sum = OT_LOOPS_OF(op->cpu, op->out)->spike_back(op->out, &p, src, g, dsrc, back->add_src, back->n / p.steps, scratch);
    if (back->grad_gain) *back->grad_gain = sum, *back->grad_offset = 0.0;
}

/* cpu_conv.c - convolution and dense layers of the cpu backend: weights in, forward, gradients to input and weights.
 *
 * Batch norm's scale is folded into the weights when a chip is loaded (only rounding differs), its shift into the bias; so forward
 * is one pass with the T-ReLU done in registers, and backward needs no scale at all.  Grouped convolutions that are
 * not depthwise are computed as dense ones with zeros between the groups: right, and rare enough. */
#include "backend/cpu.h"

#include <string.h>

typedef struct place { size_t forward, back; } place;

/* Where weight (o, i of the group, tap) lies in the two packed arrays. */
static place place_of(const ot__cpu_op *op, int o, int i, int tap)
{
    const ot__cpu_conv *f = &op->forward, *b = &op->back;
    size_t bo = (size_t)f->dst.b, bi = (size_t)f->src.b, to = (size_t)o, t = (size_t)tap;
    if (f->depthwise) {
        size_t at = to / bo * f->weight_out + t * bo + to % bo;
        return (place){at, at};
    }
    const ot_layer *l = op->step.layer;
    int groups = op->step.kind == OT_STEP_CONV ? l->groups : 1;
    size_t ti = (size_t)(o / (op->out.c / groups) * (op->in.c / groups) + i);
    return (place){to / bo * f->weight_out + ti / bi * f->weight_block + t * bi * bo + ti % bi * bo + to % bo,
                   ti / bi * b->weight_out + to / bo * b->weight_block + t * bi * bo + to % bo * bi + ti % bi};
}

static int taps_of(const ot__cpu_op *op) { return op->step.kind == OT_STEP_CONV ? op->step.layer->kh * op->step.layer->kw : 1; }
static int inputs_of(const ot__cpu_op *op) { return op->step.kind == OT_STEP_CONV ? op->in.c / op->step.layer->groups : op->in.c; }

static size_t weight_floats(const ot__cpu_conv *c) { return c->weight_out * (size_t)c->dst.nb; }

ot_status ot__cpu_conv_open(ot__cpu_op *op, const ot_plan_options *opt)
{
    (void)opt;
    OT_TRY(ot__cpu_conv_plan(&op->forward, op->use == OT_PLAN_FORWARD ? NULL : &op->back, &op->step, op->in, op->out, &op->bytes));
    op->weight_scale = ot_alloc((size_t)op->out.c, sizeof *op->weight_scale);
    if (!op->weight_scale) OT_NOMEM("scales of a convolution", (size_t)op->out.c * sizeof *op->weight_scale);
    op->bytes += (size_t)op->out.c * sizeof *op->weight_scale;
    size_t frame = ot__cpu_frame_bytes(&op->forward), back = ot__cpu_frame_bytes(&op->back);
    op->scratch = frame > back ? frame : back;
    if (op->use == OT_PLAN_TRAIN) {
        size_t weights = frame + weight_floats(&op->forward) * sizeof(float);
        if (weights > op->scratch) op->scratch = weights;
    }
    op->algorithm = op->forward.depthwise ? "depthwise" : "direct";
    return OT_OK;
}

void ot__cpu_conv_close(ot__cpu_op *op)
{
    ot__cpu_conv_free(&op->forward);
    ot__cpu_conv_free(&op->back);
    ot_free(op->weight_scale);
}

ot_status ot__cpu_conv_load(ot__cpu_op *op, const float *weight, const float *scale)
{
    int taps = taps_of(op), inputs = inputs_of(op);
    for (int o = 0; o < op->out.c; o++) {
        op->weight_scale[o] = scale ? scale[o] : 1.0f;
        for (int i = 0; i < inputs; i++)
            for (int t = 0; t < taps; t++) {
                float w = *weight++ * op->weight_scale[o];
                place at = place_of(op, o, i, t);
                op->forward.weight[at.forward] = w;
                if (op->back.weight) op->back.weight[at.back] = w;
            }
    }
    return OT_OK;
}

ot_status ot__cpu_conv_forward(ot__cpu_op *op, const float *src, const float *res, float *dst, float *scratch, int n, const ot__cpu_post *post)
{
    OT_LOOPS_OF(op->cpu, op->out)->conv(&op->forward, src, res, dst, 0, n, post, scratch);
    return OT_OK;
}

static void gradients(ot__cpu_op *op, const float *src, const float *g, float *scratch, const ot_step_back *back)
{
    float *packed = scratch + ot__cpu_frame_bytes(&op->forward) / sizeof *scratch;
    memset(packed, 0, weight_floats(&op->forward) * sizeof *packed);
    OT_LOOPS_OF(op->cpu, op->out)->conv_weights(&op->forward, src, g, packed, back->n, scratch);
    int taps = taps_of(op), inputs = inputs_of(op);
    float *out = back->grad_weight;
    for (int o = 0; o < op->out.c; o++)
        for (int i = 0; i < inputs; i++)
            for (int t = 0; t < taps; t++) *out++ = packed[place_of(op, o, i, t).forward] * op->weight_scale[o];
}

ot_status ot__cpu_conv_backward(ot__cpu_op *op, const float *src, float *g, float *dsrc, float *scratch, const ot_step_back *back)
{
    if (dsrc) OT_LOOPS_OF(op->cpu, op->in)->conv(&op->back, g, NULL, dsrc, back->add_src, back->n, NULL, scratch);
    if (back->grad_weight) gradients(op, src, g, scratch, back);
    return OT_OK;
}

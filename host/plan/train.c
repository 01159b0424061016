/* train.c - one minibatch of weight training: parameters in, their gradient and the minibatch's statistics out.
 *
 * What to do with the gradient (momentum, decay, schedule) is the train stage's business.  Knobs stay at what they were set to.
 * In a spiking network batch norm takes its statistics over time steps as well (tdBN): a step's frames are so many images to it. */
#include "plan/impl.h"

#include <math.h>
#include <string.h>

ot_status ot_plan_set_parameters(ot_plan *p, const float *parameters)
{
    if (p->opt.use != OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "parameters can be set in a plan opened for training only");
    for (int i = 0; i < p->n_steps; i++) {
        const ot_step  *s = &p->steps[i];
        const ot_layer *l = s->layer;
        const float    *at = parameters + p->tensors[s->dst].parameter, *weight = NULL, *bias = NULL, *scale = NULL, *shift = NULL;
        if (l->crossbar >= 0) {
            weight = at;
            bias = l->bias ? at + ot_layer_weights(l) : NULL;
        } else if (s->batch) {
            scale = at;
            shift = at + l->c;
        } else if (l->op == OT_OP_BATCH_NORM) {
            ot__plan_fold(p, l, at, at + l->c);
            scale = p->scale;
            shift = p->shift;
        } else if (l->op == OT_OP_BIAS) {
            for (int c = 0; c < l->c; c++) p->scale[c] = 1;
            scale = p->scale;
            shift = at;
        } else {
            continue;
        }
        OT_TRY(p->be->i->step_load(p->be->ctx, p->ops[i], weight, bias, scale, shift));
    }
    return OT_OK;
}

static ot_status statistics(ot_plan *p, float *out)
{
    for (int i = 0; i < p->n_steps; i++) {
        const ot_step *s = &p->steps[i];
        if (!s->batch) continue;
        float *at = out + p->tensors[s->dst].statistic;
        OT_TRY(p->be->i->batch_statistics(p->be->ctx, p->ops[i], at, at + s->layer->c));
    }
    return OT_OK;
}

ot_status ot_plan_train(ot_plan *p, const float *images, const int32_t *labels, int n, float *grad, float *batch_statistics, double *loss,
                        int64_t *correct)
{
    if (p->opt.use != OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "training wants a plan opened for it");
    if (n < 1 || n > p->opt.tile) OT_FAIL(OT_E_RANGE, "training on %d images, want 1..%d (the plan's tile)", n, p->opt.tile);
    for (int k = 0; k < n; k++)
        if (labels[k] < 0 || labels[k] >= p->classes) OT_FAIL(OT_E_DATA, "label of image %d = %d, want 0..%d", k, (int)labels[k], p->classes - 1);
    OT_TRY(p->be->i->put(p->be->ctx, ot__plan_tensor(p, 0), p->tensors[0].shape, n * p->tensors[0].frames, images));
    OT_TRY(ot__plan_steps(p, n, 0));
    OT_TRY(ot__plan_answers(p, n));
    int64_t right = 0;
    double  sum = 0.0;
    for (int k = 0; k < n; k++) right += ot_plan_class(p->out + (size_t)k * (size_t)p->classes, p->classes) == labels[k];
    ot__plan_cross_entropy(p, labels, n, 1.0 / n, p->opt.label_smoothing, &sum);
    if (grad) {
        memset(grad, 0, ot_network_parameters(p->net) * sizeof *grad);
        OT_TRY(ot__plan_backward(p, n, NULL, NULL, grad));
    }
    if (batch_statistics) OT_TRY(statistics(p, batch_statistics));
    if (loss) *loss = sum / n;
    if (correct) *correct = right;
    return OT_OK;
}

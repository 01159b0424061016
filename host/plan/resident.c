/* resident.c - see resident.h. */
#include "plan/resident.h"
#include "plan/impl.h"

int ot__resident_can(const ot_plan *p)
{
    return p->opt.use == OT_PLAN_TRAIN && !p->opt.frozen_norm && !p->spiking && p->be->i->resident && p->be->i->many;
}

ot_status ot__resident_load(ot_plan *p, const float *parameters)
{
    for (int i = 0; i < p->n_steps; i++) {
        const ot_step  *s = &p->steps[i];
        const ot_layer *l = s->layer;
        const float    *at = parameters + p->tensors[s->dst].parameter;
        if (l->crossbar >= 0) OT_TRY(p->be->i->resident->load(p->be->ctx, p->ops[i], at, l->bias ? at + ot_layer_weights(l) : NULL, NULL, NULL));
        else if (s->batch) OT_TRY(p->be->i->resident->load(p->be->ctx, p->ops[i], NULL, NULL, at, at + l->c));
        else if (l->op == OT_OP_BIAS) OT_TRY(p->be->i->resident->load(p->be->ctx, p->ops[i], NULL, NULL, NULL, at)); /* its scale is 1 from the beginning */
    }
    return OT_OK;
}

ot_status ot__resident_pass(ot_plan *p, const ot_many_input *input, const int32_t *labels, int n, float *grad, float *batch_statistics, double *loss, int64_t *right)
{
    const ot_backend_i *b = p->be->i;
    const ot__tensor   *t = &p->tensors[p->logits];
    const ot_many_loss  want = {.labels = labels, .rows = input->wanted, .grad = ot__plan_grad(p, p->logits), .loss = loss, .right = right, .scale = 1,
                                .weight = 1.0 / n, .smoothing = p->opt.label_smoothing};
    OT_TRY(b->many->input(p->be->ctx, ot__plan_tensor(p, 0), p->tensors[0].shape, n, input));
    OT_TRY(ot__plan_steps(p, n, 0));
    OT_TRY(b->many->loss(p->be->ctx, ot__plan_tensor(p, p->logits), t->shape, 0, 1, n, &want));
    OT_TRY(ot__plan_back_from(p, n, NULL, NULL, grad, 1));
    for (int i = 0; i < p->n_steps; i++)
        if (p->steps[i].batch) OT_TRY(b->resident->statistics(p->be->ctx, p->ops[i], batch_statistics + p->tensors[p->steps[i].dst].statistic));
    return OT_OK;
}

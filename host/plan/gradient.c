/* gradient.c - loss and backward: to the knobs when tuning, to all parameters in training. */
#include "impl.h"

#include <math.h>
#include <string.h>

void plan__softmax(ot_plan *p, const int32_t *labels, int n, int64_t n_total, double *loss, int64_t *correct)
{
    double smooth = p->opt.use == OT_PLAN_TRAIN ? p->opt.label_smoothing : 0, spread = smooth / p->classes;
    for (int i = 0; i < n; i++) {
        float *z = p->logits + (size_t)i * (size_t)p->classes;
        int best = plan__best(z, p->classes);
        if (correct) *correct += best == labels[i];
        double top = best < 0 ? NAN : (double)z[best], sum = 0, cross = 0;
        for (int k = 0; k < p->classes; k++) sum += exp((double)z[k] - top);
        double log_sum = top + log(sum);
        for (int k = 0; k < p->classes; k++) {
            double target = spread + (k == labels[i] ? 1 - smooth : 0);
            if (target > 0) cross += target * (log_sum - (double)z[k]);
            z[k] = (float)((exp((double)z[k] - log_sum) - target) / (double)n_total);
        }
        *loss += cross;
    }
}

ot_status plan__backward(ot_plan *p, int n, float *grad)
{
    const ot_backend_i *be = p->be->i;
    int out = p->steps[p->n_steps - 1].step.dst;
    for (int i = 0; i < p->n_tensors; i++) p->tensors[i].grad_written = 0;
    memset(p->logits + (size_t)n * (size_t)p->classes, 0, (size_t)(p->opt.tile - n) * (size_t)p->classes * sizeof *p->logits);
    for (int r = 0; r < p->n_relus; r++) p->dgain[r] = p->doffset[r] = 0;
    if (!p->tensors[out].need_grad) return OT_OK;
    OT_TRY(be->put(p->be->ctx, plan__grad(p, out), p->tensors[out].shape, p->opt.tile, p->logits));
    p->tensors[out].grad_written = 1;
    for (int k = p->n_steps - 1; k >= 0; k--) {
        plan_step *ps = &p->steps[k];
        const ot_step *s = &ps->step;
        if (!ps->need_back || !p->tensors[s->dst].grad_written) continue;
        plan_tensor *src = &p->tensors[s->src], *res = s->res < 0 ? NULL : &p->tensors[s->res];
        int r = s->relu ? s->relu->relu : -1;
        size_t c = (size_t)s->out.c;
        ot_step_back back = {.n = n, .gain = r < 0 ? 1 : p->gain[r], .offset = r < 0 ? 0 : p->offset[r],
                             .grad_gain = r < 0 || grad ? NULL : &p->dgain[r], .grad_offset = r < 0 || grad ? NULL : &p->doffset[r],
                             .add_src = src->grad_written, .add_res = res && (res->grad_written || res == src)};
        if (grad) {
            if (s->layer->weight) back.grad_weight = grad + ps->at;
            if (s->layer->weight && s->layer->bias) back.grad_bias = grad + ps->at + ot_layer_weights(s->layer);
            if (s->affine) back.grad_beta = grad + ps->at_affine + (s->batch ? c : 0);
            if (s->batch) back.grad_gamma = grad + ps->at_affine;
        }
        void *dsrc = src->need_grad ? plan__grad(p, s->src) : NULL, *dres = res && res->need_grad ? plan__grad(p, s->res) : NULL;
        OT_TRY(be->backward(p->be->ctx, ps->op, plan__mem(p, s->src), plan__mem(p, s->dst), plan__grad(p, s->dst), dsrc, dres, p->scratch, &back));
        src->grad_written |= dsrc != NULL;
        if (res) res->grad_written |= dres != NULL;
    }
    return OT_OK;
}

ot_status ot_plan_gradient(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n, double *loss, double *grad_gain, double *grad_offset)
{
    if (p->opt.use != OT_PLAN_TUNE) OT_FAIL(OT_E_RANGE, "knob gradients want a TUNE plan");
    OT_TRY(plan__check_images(p, data, index, n));
    if (n < 1) OT_FAIL(OT_E_RANGE, "gradient of %lld images, want 1 or more", (long long)n);
    int32_t labels[4096];
    double sum = 0;
    for (int r = 0; r < p->n_relus; r++) grad_gain[r] = grad_offset[r] = 0;
    for (int64_t at = 0; at < n; at += p->opt.tile) {
        int m = (int)(n - at < p->opt.tile ? n - at : p->opt.tile);
        for (int i = 0; i < m; i++) labels[i] = data->labels[index ? index[at + i] : (uint32_t)(at + i)];
        plan__stage(p, data, index, at, m);
        OT_TRY(plan__forward(p, m, 0));
        plan__softmax(p, labels, m, n, &sum, NULL);
        OT_TRY(plan__backward(p, m, NULL));
        for (int r = 0; r < p->n_relus; r++) {
            grad_gain[r] += p->dgain[r];
            grad_offset[r] += p->doffset[r];
        }
    }
    if (loss) *loss = sum / (double)n;
    return OT_OK;
}

ot_status ot_plan_train(ot_plan *p, const float *images, const int32_t *labels, int n, float *grad, float *batch_statistics, double *loss,
                        int64_t *correct)
{
    if (p->opt.use != OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "training wants a TRAIN plan");
    if (n != p->opt.tile) OT_FAIL(OT_E_RANGE, "a training minibatch of %d images, want %d (the tile)", n, p->opt.tile);
    for (int i = 0; i < n; i++)
        if (labels[i] < 0 || labels[i] >= p->classes) OT_FAIL(OT_E_RANGE, "label %d of the minibatch is %d, want 0..%d", i, labels[i], p->classes - 1);
    const ot_layer *in = ot_network_layer(p->net, 0);
    double sum = 0;
    int64_t right = 0;
    memcpy(p->image, images, (size_t)n * (size_t)in->c * (size_t)in->h * (size_t)in->w * sizeof *images);
    memset(grad, 0, ot_network_parameters(p->net) * sizeof *grad);
    OT_TRY(plan__forward(p, n, 0));
    for (int k = 0; batch_statistics && k < p->n_steps; k++) {
        const plan_step *ps = &p->steps[k];
        float *to = batch_statistics + ps->at_statistics;
        if (ps->step.batch) OT_TRY(p->be->i->batch_statistics(p->be->ctx, ps->op, to, to + ps->step.out.c));
    }
    plan__softmax(p, labels, n, n, &sum, &right);
    OT_TRY(plan__backward(p, n, grad));
    if (loss) *loss = sum / n;
    if (correct) *correct = right;
    return OT_OK;
}

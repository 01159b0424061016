/* gradient.c - loss and its derivatives: softmax cross-entropy in double, then backward through the steps.
 *
 * The order of every sum is fixed: images in order, tiles in order, and a tensor with several readers collects their gradients in
 * reverse order of the steps.  A plan opened for it goes on to the images (tensor 0), for losses its caller makes from the logits. */
#include "plan/impl.h"

#include <math.h>
#include <string.h>

/* Derivatives to counts as derivatives to the spikes of each step: the same at every one, or times what a spike counts there. */
static void spread(ot_plan *p, int n)
{
    const size_t classes = (size_t)p->classes, steps = p->spiking ? (size_t)p->spiking->steps : 0;
    for (size_t i = 0; i < (size_t)n * steps; i++)
        for (size_t c = 0; c < classes; c++) p->frames[i * classes + c] = p->out[i / steps * classes + c] * ot__spike_score(p, (int)(i % steps));
}

/* The loss of one row of logits, which become its derivatives times weight. */
static double cross_entropy(float *x, int classes, int label, double weight, double smoothing)
{
    double top = (double)x[0], sum = 0.0, mean = 0.0;
    for (int c = 1; c < classes; c++) top = (double)x[c] > top ? (double)x[c] : top;
    for (int c = 0; c < classes; c++) {
        sum += exp((double)x[c] - top);
        mean += (double)x[c] - top;
    }
    mean /= classes;
    const double loss = log(sum) - (1.0 - smoothing) * ((double)x[label] - top) - smoothing * mean;
    for (int c = 0; c < classes; c++) {
        double target = (c == label ? 1.0 - smoothing : 0.0) + smoothing / classes;
        x[c] = (float)(weight * (exp((double)x[c] - top) / sum - target));
    }
    return loss;
}

void ot__plan_cross_entropy(ot_plan *p, const int32_t *labels, int n, double weight, double smoothing, double *sum_of_losses)
{
    const size_t classes = (size_t)p->classes;
    if (p->spiking && p->opt.spike_loss == OT_SPIKE_LOSS_RATE) {
        const int T = p->spiking->steps;
        for (int k = 0; k < n * T; k++)
            *sum_of_losses += cross_entropy(p->frames + (size_t)k * classes, p->classes, labels[k / T], weight / T, smoothing) / T;
        return;
    }
    for (int k = 0; k < n; k++) *sum_of_losses += cross_entropy(p->out + (size_t)k * classes, p->classes, labels[k], weight, smoothing);
    spread(p, n);
}

/* Where a step's parameter gradients go in the flat vector: weight, bias, gamma, beta. */
static void point_parameters(const ot_plan *p, const ot_step *s, float *grad, ot_step_back *back)
{
    const ot_layer *l = s->layer;
    float          *at = grad + p->tensors[s->dst].parameter;
    if (l->crossbar >= 0) {
        back->grad_weight = at;
        if (l->bias) back->grad_bias = at + ot_layer_weights(l);
    } else if (s->batch) {
        back->grad_gamma = at;
        back->grad_beta = at + l->c;
    } else if (l->op == OT_OP_BIAS) {
        back->grad_beta = at;
    }
}

void *ot__plan_operand(ot_plan *p, int t, int *add)
{
    void *g = ot__plan_grad(p, t);
    if (!g) return NULL;
    *add = p->tensors[t].written;
    p->tensors[t].written = 1;
    return g;
}

ot_status ot__plan_backward(ot_plan *p, int n, double *grad_gain, double *grad_offset, float *grad)
{
    void *to = ot__plan_grad(p, p->logits);
    if (!to) return OT_OK;                                           /* neither knobs nor parameters */
    OT_TRY(p->be->i->put(p->be->ctx, to, p->tensors[p->logits].shape, n * p->tensors[p->logits].frames, p->spiking ? p->frames : p->out));
    return ot__plan_back_from(p, n, grad_gain, grad_offset, grad, 0);
}

ot_status ot__plan_back_from(ot_plan *p, int n, double *grad_gain, double *grad_offset, float *grad, int resident)
{
    const ot_backend_i *b = p->be->i;
    for (int t = 0; t < p->n_tensors; t++) p->tensors[t].written = 0;
    for (int i = p->n_steps - 1; i >= 0; i--) {
        const ot_step *s = &p->steps[i];
        ot_step_back   back = {.n = n * p->tensors[s->dst].frames, .gain = 1.0f, .resident = resident};
        const int      l = ot__step_knob(s);
        double         gain = 0.0, offset = 0.0;
        void          *g = ot__plan_grad(p, s->dst);
        if (!g) continue;
        if (l >= 0) {
            back.gain = s->kind == OT_STEP_SPIKE ? ot__step_threshold(s, p->gain[l]) : p->gain[l];
            back.offset = p->offset[l];
            if (grad_gain) back.grad_gain = &gain, back.grad_offset = &offset;
        }
        if (grad) point_parameters(p, s, grad, &back);
        void *dsrc = ot__plan_operand(p, s->src, &back.add_src), *dres = ot__plan_operand(p, s->res, &back.add_res);
        OT_TRY(b->backward(p->be->ctx, p->ops[i], ot__plan_tensor(p, s->src), ot__plan_tensor(p, s->dst), g, dsrc, dres, p->scratch, &back));
        if (l >= 0 && grad_gain) {
            grad_gain[l] += s->kind == OT_STEP_SPIKE ? gain * ot__step_threshold_slope(s, p->gain[l]) : gain;
            grad_offset[l] += offset;
        }
    }
    return OT_OK;
}

ot_status ot_plan_gradient(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n, double *loss, double *grad_gain, double *grad_offset)
{
    const size_t relus = (size_t)p->relus;
    const double scale = p->be->i->gradient_scale ? (double)p->be->i->gradient_scale(p->be->ctx) : 1.0;
    double       sum = 0.0;
    int32_t      labels[4096];                                       /* the largest tile */
    if (p->opt.use != OT_PLAN_TUNE) OT_FAIL(OT_E_RANGE, "gradients to knobs want a plan opened for tuning");
    if (n < 1) OT_FAIL(OT_E_RANGE, "gradient of %lld images, want 1 or more", (long long)n);
    OT_TRY(ot__plan_check_images(p, data, index, n));
    memset(grad_gain, 0, relus * sizeof *grad_gain);
    memset(grad_offset, 0, relus * sizeof *grad_offset);
    for (int64_t first = 0; first < n; first += p->opt.tile) {
        int count = n - first < p->opt.tile ? (int)(n - first) : p->opt.tile;
        OT_TRY(ot__plan_fill(p, data, index, first, count));
        OT_TRY(ot__plan_steps(p, count, 0));
        OT_TRY(ot__plan_answers(p, count));
        for (int k = 0; k < count; k++) labels[k] = data->labels[index ? (int64_t)index[first + k] : first + k];
        ot__plan_cross_entropy(p, labels, count, scale / (double)n, 0.0, &sum);
        OT_TRY(ot__plan_backward(p, count, grad_gain, grad_offset, NULL));
    }
    for (size_t l = 0; l < relus; l++) grad_gain[l] /= scale, grad_offset[l] /= scale;
    *loss = sum / (double)n;
    return OT_OK;
}

ot_status ot_plan_input_gradient(ot_plan *p, const float *images, int n, ot_logit_fn fn, void *user, float *grad)
{
    const ot_backend_i *b = p->be->i;
    const float         scale = b->gradient_scale ? b->gradient_scale(p->be->ctx) : 1.0f;
    const size_t        outputs = (size_t)n * (size_t)p->classes, pixels = (size_t)n * p->image;
    float              *logits = p->out + (size_t)p->opt.tile * (size_t)p->classes;
    if (!p->opt.input_gradient) OT_FAIL(OT_E_RANGE, "gradients to images want a plan opened with input_gradient");
    if (n < 1 || n > p->opt.tile) OT_FAIL(OT_E_RANGE, "gradients to %d images, want 1..%d (the plan's tile)", n, p->opt.tile);
    for (size_t i = 0; p->spiking && i < pixels; i++)
        if (!isfinite(images[i])) OT_FAIL(OT_E_DATA, "image %zu, number %zu = %g, want a finite one", i / p->image, i % p->image, (double)images[i]);
    OT_TRY(b->put(p->be->ctx, ot__plan_tensor(p, 0), p->tensors[0].shape, n, images));
    OT_TRY(ot__plan_steps(p, n, 0));
    OT_TRY(ot__plan_answers(p, n));
    memcpy(logits, p->out, outputs * sizeof *logits);
    OT_TRY(fn(user, logits, n, p->out));
    for (size_t i = 0; i < outputs; i++) p->out[i] *= scale;
    spread(p, n);
    OT_TRY(ot__plan_backward(p, n, NULL, NULL, NULL));
    OT_TRY(b->get(p->be->ctx, grad, p->tensors[0].shape, n, ot__plan_grad(p, 0)));
    for (size_t i = 0; i < pixels; i++) grad[i] /= scale;
    return OT_OK;
}

/* cuda_train.c - training of weights on the GPU: gradients of a step's parameters, and what the host never sees in between.
 *
 * A plan of its own (ot_plan_train) gets each gradient to the host at once, which waits for the device.  One whose parameters are resident
 * (ot_resident_i) has them written to where its caller keeps them on the device; nothing waits. */
#include "backend/cuda_op.h"

#ifdef OT_HAVE_CUDA

/* Where a gradient of `count` numbers is computed: in place, or in the op on its way to the host. */
static float *place_for(ot__cuda_op *op, size_t at, float *to, int resident) { return resident ? to : op->grad + at; }

static ot_status deliver(ot__cuda *c, ot__cuda_op *op, size_t at, float *to, size_t count, int resident)
{
    return resident ? OT_OK : ot__cuda_to_host(c, to, op->grad + at, count * sizeof(float));
}

ot_status ot__cuda_conv_gradients(ot__cuda *c, ot__cuda_op *op, const void *src, void *g, void *scratch, const ot_step_back *back)
{
    const ot_step *s = &op->step;
    const int      resident = back->resident;
    if (back->grad_weight) {
        float *to = place_for(op, 0, back->grad_weight, resident);
        if (op->way[OT_PASS_GRADIENT] != OT_WAY_OWN) OT_TRY(ot__cuda_lib_gradient(c->lib, &op->conv, back->n, src, g, to, scratch, op->lib_bytes));
        else OT_CUDA(otk_conv_gradient(&op->conv, back->n, src, g, to, scratch, c->stream));
        OT_TRY(deliver(c, op, 0, back->grad_weight, op->weights, resident));
    }
    if (!back->grad_bias) return OT_OK;
    OT_CUDA(otk_channel_sums(ot__cuda_shape(s->out), back->n, g, place_for(op, op->weights, back->grad_bias, resident), scratch, c->stream));
    return deliver(c, op, op->weights, back->grad_bias, (size_t)s->out.c, resident);
}

ot_status ot__cuda_bias_gradient(ot__cuda *c, ot__cuda_op *op, const void *g, void *scratch, const ot_step_back *back)
{
    const ot_step *s = &op->step;
    OT_CUDA(otk_channel_sums(ot__cuda_shape(s->out), back->n, g, place_for(op, op->weights, back->grad_beta, back->resident), scratch, c->stream));
    return deliver(c, op, op->weights, back->grad_beta, (size_t)s->out.c, back->resident);
}

ot_status ot__cuda_norm_back(ot__cuda *c, ot__cuda_op *op, const void *src, void *g, void *dsrc, void *scratch, const ot_step_back *back)
{
    const ot_step *s = &op->step;
    const size_t   gamma = op->weights, beta = gamma + (size_t)otk_channels(s->out.c), channels = (size_t)s->out.c;
    const int      resident = back->resident;
    float         *dgamma = place_for(op, gamma, back->grad_gamma, resident), *dbeta = place_for(op, beta, back->grad_beta, resident);
    OT_CUDA(otk_norm_back(ot__cuda_shape(s->in), back->n, src, g, dsrc, back->add_src, op->scale, op->mean, op->inverse, dgamma, dbeta, scratch, c->stream));
    if (back->grad_gamma) OT_TRY(deliver(c, op, gamma, back->grad_gamma, channels, resident));
    return back->grad_beta ? deliver(c, op, beta, back->grad_beta, channels, resident) : OT_OK;
}

ot_status ot__cuda_batch_statistics(void *ctx, void *vop, float *mean, float *var)
{
    ot__cuda    *c = ctx;
    ot__cuda_op *op = vop;
    int          channels = op->step.in.c;
    double      *host = ot_alloc((size_t)channels * 2, sizeof *host);
    if (!host) OT_NOMEM("batch statistics", (size_t)channels * 2 * sizeof *host);
    ot_status st = ot__cuda_to_host(c, host, op->mean, (size_t)channels * sizeof *host);
    if (st == OT_OK) st = ot__cuda_to_host(c, host + channels, op->var, (size_t)channels * sizeof *host);
    double m = (double)op->count, unbiased = m / (m > 1 ? m - 1 : 1);
    for (int k = 0; k < channels && st == OT_OK; k++) mean[k] = (float)host[k], var[k] = (float)(host[channels + k] * unbiased);
    ot_free(host);
    return st;
}

/* --- resident --- */

static ot_status between(ot__cuda *c, float *to, const float *from, int count)
{
    OT_CUDA(cudaMemcpyAsync(to, from, (size_t)count * sizeof *to, cudaMemcpyDeviceToDevice, c->stream));
    return OT_OK;
}

static ot_status load(void *ctx, void *vop, const float *weight, const float *bias, const float *scale, const float *shift)
{
    ot__cuda    *c = ctx;
    ot__cuda_op *op = vop;
    const int    channels = op->step.out.c;
    if (weight) OT_CUDA(otk_conv_pack(&op->conv, c->type, (float *)weight, op->weight, 0, c->stream));
    if (weight) op->has_bias = bias != NULL;
    if (bias) OT_TRY(between(c, op->bias, bias, channels));
    if (scale) OT_TRY(between(c, op->scale, scale, channels));
    return shift ? between(c, op->shift, shift, channels) : OT_OK;
}

static ot_status statistics(void *ctx, void *vop, float *out)
{
    ot__cuda    *c = ctx;
    ot__cuda_op *op = vop;
    OT_CUDA(otk_norm_statistics(op->step.in.c, op->count, op->mean, op->var, out, c->stream));
    return OT_OK;
}

static ot_status update(void *ctx, const ot_resident *r)
{
    const otk_weights w = {.n = (int64_t)r->n, .n_statistics = (int64_t)r->n_statistics, .shards = r->shards, .parameters = r->parameters, .grad = r->grad,
                           .decays = r->decays, .velocity = r->velocity, .moments = r->moments, .power = r->power, .rate = r->rate, .momentum = r->momentum,
                           .decay = r->decay, .statistics = r->statistics, .batch_statistics = r->batch_statistics, .share = r->share, .images = r->images,
                           .loss = r->loss, .losses = r->losses, .step = r->step};
    OT_CUDA(otk_weights_step(&w, ((ot__cuda *)ctx)->stream));
    return OT_OK;
}

const ot_resident_i ot__cuda_resident = {.load = load, .statistics = statistics, .update = update};

#else
typedef int ot__cuda_train_is_not_in_this_build;
#endif

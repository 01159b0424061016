/* optimizer.c - see optimizer.h. */
#include "train/optimizer.h"
#include "base/fail.h"

ot_status ot__optimizer_open(ot__optimizer *out, const ot_train_options *opt, size_t n, const uint8_t *decays)
{
    *out = (ot__optimizer){.kind = opt->optimizer,
                           .n = n,
                           .momentum = opt->momentum,
                           .weight_decay = opt->weight_decay,
                           .decays = decays,
                           .power = {1, 1}};
    if (out->kind == OT_OPTIMIZER_SGD)
        out->velocity = ot_alloc(n, sizeof *out->velocity);
    else
        out->moments = ot_alloc(n, sizeof *out->moments);
    if (!out->velocity && !out->moments) OT_NOMEM("the optimiser", n * sizeof(float));
    return OT_OK;
}

void ot__optimizer_close(ot__optimizer *o)
{
    ot_free(o->velocity);
    ot_free(o->moments);
    *o = (ot__optimizer){0};
}

static void sgd(ot__optimizer *o, float *restrict p, const float *restrict g, float lr)
{
    float *restrict v = o->velocity;
    float momentum = (float)o->momentum, decay = (float)o->weight_decay;
    for (size_t i = 0; i < o->n; i++) {
        v[i] = momentum * v[i] + (g[i] + decay * (float)o->decays[i] * p[i]);
        p[i] -= lr * v[i];
    }
}

void ot__optimizer_step(ot__optimizer *o, float *parameters, const float *grad, double lr)
{
    if (o->kind == OT_OPTIMIZER_SGD) {
        sgd(o, parameters, grad, (float)lr);
        return;
    }
    ot_adam_advance(&o->power);
    for (size_t i = 0; i < o->n; i++) {
        double p = parameters[i], g = grad[i] + o->weight_decay * o->decays[i] * p;
        parameters[i] = (float)ot_adam_step(p, g, lr, &o->moments[i], o->power);
    }
}

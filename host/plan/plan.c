/* plan.c - opening, loading and freeing plans. */
#include "impl.h"
#include "kernels/trelu.h"

#include <math.h>
#include <string.h>

static ot_status check_options(const ot_plan_options *opt)
{
    if (opt->tile < 1 || opt->tile > 4096) OT_FAIL(OT_E_RANGE, "tile = %d, want 1..4096 images", opt->tile);
    if (!(opt->label_smoothing >= 0 && opt->label_smoothing < 1)) OT_FAIL(OT_E_RANGE, "label_smoothing = %g, want 0..1", opt->label_smoothing);
    if (opt->use < OT_PLAN_FORWARD || opt->use > OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "plan use = %d, want FORWARD, TUNE or TRAIN", (int)opt->use);
    if (opt->conv < OT_CONV_AUTO || opt->conv > OT_CONV_WINOGRAD) OT_FAIL(OT_E_RANGE, "plan conv = %d, want AUTO, DIRECT or WINOGRAD", (int)opt->conv);
    return OT_OK;
}

/* Steps, tensors and slots; with `take` also operations and memory. */
static ot_status build(ot_plan *p, int take)
{
    const ot_backend_i *be = p->be->i;
    OT_TRY(plan__lower(p));
    if (p->n_steps == 0) OT_FAIL(OT_E_SHAPE, "network %s has no layers", ot_network_name(p->net));
    OT_TRY(plan__place(p));
    for (int k = 0; k < p->n_steps; k++) {
        size_t op_bytes = 0, scratch_bytes = 0;
        OT_TRY(be->step_open(p->be->ctx, &p->steps[k].op, &p->steps[k].step, p->opt.tile, &p->opt, &op_bytes, &scratch_bytes));
        if (!take) {                                                /* one at a time is enough to know its size */
            be->step_close(p->be->ctx, p->steps[k].op);
            p->steps[k].op = NULL;
        }
        p->op_bytes += op_bytes;
        if (scratch_bytes > p->scratch_bytes) p->scratch_bytes = scratch_bytes;
    }
    const ot_layer *in = ot_network_layer(p->net, 0);
    size_t widest = 0, tile = (size_t)p->opt.tile, image = (size_t)in->c * (size_t)in->h * (size_t)in->w, relus = (size_t)p->n_relus, classes = (size_t)p->classes;
    for (int k = 0; k < p->n_steps; k++)
        if (p->steps[k].step.affine && (size_t)p->steps[k].step.out.c > widest) widest = (size_t)p->steps[k].step.out.c;
    p->host_bytes = sizeof(float) * (tile * (image + classes + relus) + 2 * relus + 2 * widest) + sizeof(double) * 2 * relus;
    if (!take) return OT_OK;
    p->image = ot_alloc(tile * image, sizeof(float));
    p->logits = ot_alloc(tile * classes, sizeof(float));
    p->taps = ot_alloc(tile * relus, sizeof(float));
    p->gain = ot_alloc(relus, sizeof(float));
    p->offset = ot_alloc(relus, sizeof(float));
    p->fold = ot_alloc(2 * widest, sizeof(float));
    p->dgain = ot_alloc(relus, sizeof(double));
    p->doffset = ot_alloc(relus, sizeof(double));
    if (!p->image || !p->logits || !p->taps || !p->gain || !p->offset || !p->fold || !p->dgain || !p->doffset) OT_NOMEM(ot_network_name(p->net), p->host_bytes);
    if (p->scratch_bytes) OT_TRY(be->alloc(p->be->ctx, &p->scratch, p->scratch_bytes));
    for (int i = 0; i < p->n_slots; i++) OT_TRY(be->alloc(p->be->ctx, &p->slots[i].mem, p->slots[i].bytes));
    return OT_OK;
}

static ot_status start(ot_plan **out, ot_backend *be, const ot_network *net, const ot_plan_options *opt, int take)
{
    OT_TRY(check_options(opt));
    ot_plan *p = ot_alloc(1, sizeof *p);
    if (!p) OT_NOMEM(ot_network_name(net), sizeof *p);
    p->be = be;
    p->net = net;
    p->opt = *opt;
    p->n_relus = ot_network_relus(net);
    p->classes = ot_network_classes(net);
    ot_status st = build(p, take);
    if (st == OT_OK && take) st = ot_plan_set_knobs(p, NULL, NULL);
    if (st == OT_OK && take) st = ot_plan_load(p, NULL);
    if (st != OT_OK) {
        ot_plan_free(p);
        return st;
    }
    *out = p;
    return OT_OK;
}

ot_status ot_plan_open(ot_plan **out, ot_backend *be, const ot_network *net, const ot_plan_options *opt) { return start(out, be, net, opt, 1); }

ot_status ot_plan_measure(size_t *bytes, ot_backend *be, const ot_network *net, const ot_plan_options *opt)
{
    ot_plan *p;
    OT_TRY(start(&p, be, net, opt, 0));
    *bytes = ot_plan_bytes(p);
    ot_plan_free(p);
    return OT_OK;
}

void ot_plan_free(ot_plan *p)
{
    if (!p) return;
    const ot_backend_i *be = p->be->i;
    for (int k = 0; k < p->n_steps; k++)
        if (p->steps[k].op) be->step_close(p->be->ctx, p->steps[k].op);
    for (int i = 0; i < p->n_slots; i++)
        if (p->slots[i].mem) be->free(p->be->ctx, p->slots[i].mem);
    if (p->scratch) be->free(p->be->ctx, p->scratch);
    ot_free(p->steps);
    ot_free(p->tensors);
    ot_free(p->slots);
    ot_free(p->image);
    ot_free(p->logits);
    ot_free(p->taps);
    ot_free(p->gain);
    ot_free(p->offset);
    ot_free(p->fold);
    ot_free(p->dgain);
    ot_free(p->doffset);
    ot_free(p);
}

size_t ot_plan_bytes(const ot_plan *p)
{
    size_t bytes = p->host_bytes + p->op_bytes + p->scratch_bytes + (size_t)p->n_steps * (sizeof *p->steps + sizeof *p->tensors);
    for (int i = 0; i < p->n_slots; i++) bytes += p->slots[i].bytes;
    return bytes;
}

const ot_network *ot_plan_network(const ot_plan *p) { return p->net; }
int               ot_plan_relus(const ot_plan *p) { return p->n_relus; }

/* Weights of one step: from the chip, the flat parameter vector (training) or the network. */
static ot_status load_step(ot_plan *p, plan_step *ps, const ot_chip *chip, const float *flat)
{
    const ot_layer *l = ps->step.layer, *f = ps->step.affine;
    size_t n_w = ot_layer_weights(l), c = (size_t)ps->step.out.c;
    const float *weight = flat ? flat + ps->at : chip && l->crossbar >= 0 ? ot_chip_weights(chip, l->crossbar) : l->weight;
    const float *bias = l->op == OT_OP_BIAS || !l->bias ? NULL : flat ? flat + ps->at + n_w : l->bias;
    if (!n_w && !f) return OT_OK;
    if (!f) return p->be->i->step_load(p->be->ctx, ps->op, weight, bias, NULL, NULL);
    float *fold = p->fold;
    const float *gamma = flat ? flat + ps->at_affine : f->gamma, *beta = flat ? flat + ps->at_affine + c : f->beta;
    for (size_t i = 0; i < c; i++) {
        if (f->op == OT_OP_BIAS) fold[i] = 1, fold[c + i] = flat ? flat[ps->at_affine + i] : f->bias[i];
        else if (ps->step.batch) fold[i] = gamma[i], fold[c + i] = beta[i];
        else {
            double scale = (double)gamma[i] / sqrt((double)f->var[i] + (double)f->eps);
            fold[i] = (float)scale;
            fold[c + i] = (float)((double)beta[i] - (double)f->mean[i] * scale);
        }
    }
    return p->be->i->step_load(p->be->ctx, ps->op, n_w ? weight : NULL, bias, fold, fold + c);
}

ot_status ot_plan_load(ot_plan *p, const ot_chip *chip)
{
    if (chip && ot_network_crossbars(ot_chip_network(chip)) != ot_network_crossbars(p->net))
        OT_FAIL(OT_E_SHAPE, "the chip is of network %s, the plan of %s", ot_network_name(ot_chip_network(chip)), ot_network_name(p->net));
    for (int k = 0; k < p->n_steps; k++) OT_TRY(load_step(p, &p->steps[k], chip, NULL));
    return OT_OK;
}

ot_status ot_plan_set_parameters(ot_plan *p, const float *parameters)
{
    for (int k = 0; k < p->n_steps; k++) OT_TRY(load_step(p, &p->steps[k], NULL, parameters));
    return OT_OK;
}

ot_status ot_plan_set_knobs(ot_plan *p, const float *gain, const float *offset)
{
    for (int i = 0; i < p->n_relus; i++) {
        if (gain && !(gain[i] >= OT_GAIN_MIN && isfinite(gain[i]))) OT_FAIL(OT_E_RANGE, "gain[%d] = %g, want 1/64 or more and finite", i, (double)gain[i]);
        if (offset && !isfinite(offset[i])) OT_FAIL(OT_E_RANGE, "offset[%d] = %g, want a finite number", i, (double)offset[i]);
    }
    for (int i = 0; i < p->n_relus; i++) {
        p->gain[i] = gain ? gain[i] : 1;
        p->offset[i] = offset ? offset[i] : 0;
    }
    return OT_OK;
}

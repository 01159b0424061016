/* plan.c - opening, measuring and closing a plan; loading weights and knobs into it. */
#include "plan/impl.h"

#include <math.h>
#include <string.h>

static ot_status check(const ot_plan_options *opt)
{
    if (opt->use != OT_PLAN_FORWARD && opt->use != OT_PLAN_TUNE && opt->use != OT_PLAN_TRAIN)
        OT_FAIL(OT_E_RANGE, "plan use = %d, want forward, tune or train", (int)opt->use);
    if (opt->tile < 1 || opt->tile > 4096) OT_FAIL(OT_E_RANGE, "tile = %d images, want 1..4096", opt->tile);
    if (opt->conv != OT_CONV_AUTO && opt->conv != OT_CONV_DIRECT && opt->conv != OT_CONV_WINOGRAD)
        OT_FAIL(OT_E_RANGE, "convolution choice = %d, want auto, direct or winograd", (int)opt->conv);
    if (opt->chips < 0 || opt->chips > 65535) OT_FAIL(OT_E_RANGE, "chips in flight = %d, want 0..65535", opt->chips);
    if (opt->input_gradient && (opt->use != OT_PLAN_TUNE || opt->chips > 0))
        OT_FAIL(OT_E_RANGE, "gradients to images want a plan of one chip opened for tuning");
    if (!(opt->label_smoothing >= 0 && opt->label_smoothing <= 1))
        OT_FAIL(OT_E_RANGE, "label smoothing = %g, want 0..1", opt->label_smoothing);
    if (opt->relu_ste < 0 || opt->relu_ste >= OT_STES) OT_FAIL(OT_E_RANGE, "estimator of quantised activations = %d, want one of ot_ste", (int)opt->relu_ste);
    if (opt->surrogate < 0 || opt->surrogate >= OT_SURROGATES) OT_FAIL(OT_E_RANGE, "surrogate = %d, want one of ot_surrogate", (int)opt->surrogate);
    if (!(opt->sharpness >= 0 && opt->sharpness <= 1e6)) OT_FAIL(OT_E_RANGE, "sharpness of the surrogate = %g, want 0 (the usual one) to 1e6", opt->sharpness);
    if (opt->spike_loss != OT_SPIKE_LOSS_COUNT && opt->spike_loss != OT_SPIKE_LOSS_RATE)
        OT_FAIL(OT_E_RANGE, "loss of spikes = %d, want count or rate", (int)opt->spike_loss);
    return OT_OK;
}

/* What spiking networks can not do (yet), and how large a tile is in frames. */
static ot_status check_spiking(const ot_network *net, const ot_plan_options *opt)
{
    const ot_spiking *s = ot_network_spiking(net);
    if (!ot_network_spikes(net)) return OT_OK;
    OT_TRY(ot_network_check_spiking(net));
    if (opt->input_gradient && s->coding != OT_CODING_DIRECT) OT_FAIL(OT_E_UNSUPPORTED, "gradients to images through input spikes do not exist, want direct coding");
    if (opt->spike_loss == OT_SPIKE_LOSS_RATE && ot_network_once(net)) OT_FAIL(OT_E_UNSUPPORTED, "the loss of rates for neurons that fire once, want that of counts");
    return OT_OK;
}

/* Steps and places: everything but the operations and the large memory. */
static ot_status make(ot_plan **out, ot_backend *be, const ot_network *net, const ot_plan_options *opt)
{
    OT_TRY(check(opt));
    if (opt->chips > 0 && !be->i->many) OT_FAIL(OT_E_RANGE, "a plan of %d chips at once wants backend 'cuda', this one is '%s'", opt->chips, be->i->name);
    OT_TRY(check_spiking(net, opt));
    size_t   n = (size_t)ot_network_layers(net);
    size_t   bytes = sizeof(ot_plan) + n * (sizeof(ot__tensor) + sizeof(ot_step) + sizeof(void *));
    ot_plan *p = ot_alloc(1, bytes);
    if (!p) OT_NOMEM("plan", bytes);
    const ot_layer *in = ot_network_layer(net, 0);
    *p = (ot_plan){.be = be, .net = net, .opt = *opt, .n_tensors = (int)n, .relus = ot_network_knobs(net),
                   .spiking = ot_network_spikes(net) ? ot_network_spiking(net) : NULL, .once = ot_network_once(net),
                   .classes = ot_network_classes(net), .logits = (int)n - 1, .image = (size_t)in->c * (size_t)in->h * (size_t)in->w, .bytes = bytes};
    p->tensors = (ot__tensor *)(p + 1);
    p->steps = (ot_step *)(p->tensors + n);
    p->ops = (void **)(p->steps + n);
    ot__plan_lower(p);
    ot_status st = ot__plan_place(p);
    if (st != OT_OK) {
        ot_plan_free(p);
        return st;
    }
    ot__plan_cut_host(p);
    *out = p;
    return OT_OK;
}

/* Opens step i's operation and counts what it takes. */
static ot_status open_op(ot_plan *p, int i)
{
    size_t bytes = 0, scratch = 0;
    OT_TRY(p->be->i->step_open(p->be->ctx, &p->ops[i], &p->steps[i], p->opt.tile * p->tensors[p->steps[i].dst].frames, &p->opt, &bytes, &scratch));
    p->op_bytes += bytes;
    if (scratch > p->scratch_bytes) p->scratch_bytes = scratch;
    return OT_OK;
}

static void close_op(ot_plan *p, int i)
{
    if (p->ops[i]) p->be->i->step_close(p->be->ctx, p->ops[i]);
    p->ops[i] = NULL;
}

static size_t total(const ot_plan *p) { return p->bytes + p->op_bytes + p->arena_bytes + p->scratch_bytes + p->host_bytes; }

void ot_plan_free(ot_plan *p)
{
    if (!p) return;
    for (int i = 0; i < p->n_steps; i++) close_op(p, i);
    if (p->scratch) p->be->i->free(p->be->ctx, p->scratch);
    if (p->arena) p->be->i->free(p->be->ctx, p->arena);
    ot_free(p->host);
    ot_free(p);
}

ot_status ot_plan_measure(size_t *bytes, ot_backend *be, const ot_network *net, const ot_plan_options *opt)
{
    ot_plan  *p;
    ot_status st = OT_OK;
    OT_TRY(make(&p, be, net, opt));
    for (int i = 0; i < p->n_steps && st == OT_OK; i++) {             /* one at a time: the peak is the largest layer's */
        st = open_op(p, i);
        close_op(p, i);
    }
    if (st == OT_OK) *bytes = total(p);
    ot_plan_free(p);
    return st;
}

ot_status ot_plan_open(ot_plan **out, ot_backend *be, const ot_network *net, const ot_plan_options *opt)
{
    ot_plan  *p;
    void     *arena = NULL;
    ot_status st = OT_OK;
    OT_TRY(make(&p, be, net, opt));
    for (int i = 0; i < p->n_steps; i++) OT_TRY_TO(done, st, open_op(p, i));
    OT_TRY_TO(done, st, be->i->alloc(be->ctx, &arena, p->arena_bytes));
    p->arena = arena;
    if (p->scratch_bytes) OT_TRY_TO(done, st, be->i->alloc(be->ctx, &p->scratch, p->scratch_bytes));
    if (!(p->host = ot_alloc(1, p->host_bytes))) OT_FAIL_TO(done, st, OT_E_NOMEM, "plan: no memory for %zu bytes", p->host_bytes);
    ot__plan_cut_host(p);
    OT_TRY_TO(done, st, ot_plan_set_knobs(p, NULL, NULL));
    OT_TRY_TO(done, st, ot_plan_load(p, NULL));
done:
    if (st == OT_OK) *out = p;
    else ot_plan_free(p);
    return st;
}

size_t            ot_plan_bytes(const ot_plan *p) { return total(p); }
const ot_network *ot_plan_network(const ot_plan *p) { return p->net; }
ot_backend       *ot_plan_backend(const ot_plan *p) { return p->be; }
int               ot_plan_knobs(const ot_plan *p) { return p->relus; }

void ot__plan_fold(const ot_plan *p, const ot_layer *l, const float *gamma, const float *beta)
{
    for (int c = 0; c < l->c; c++) {
        if (l->op == OT_OP_BIAS) {
            p->scale[c] = 1;
            p->shift[c] = l->bias[c];
            continue;
        }
        double scale = (double)gamma[c] / sqrt((double)l->var[c] + (double)l->eps);
        p->scale[c] = (float)scale;
        p->shift[c] = (float)((double)beta[c] - (double)l->mean[c] * scale);
    }
}

static ot_status check_chip(const ot_plan *p, const ot_chip *chip)
{
    const ot_network *net = ot_chip_network(chip);
    if (net == p->net) return OT_OK;
    if (ot_network_crossbars(net) != ot_network_crossbars(p->net))
        OT_FAIL(OT_E_SHAPE, "the chip has %d crossbar layers (%s), the plan's network %d (%s)", ot_network_crossbars(net), ot_network_name(net),
                ot_network_crossbars(p->net), ot_network_name(p->net));
    for (int i = 0; i < ot_network_crossbars(net); i++) {
        size_t chips = ot_layer_weights(ot_network_crossbar(net, i)), plans = ot_layer_weights(ot_network_crossbar(p->net, i));
        if (chips != plans) OT_FAIL(OT_E_SHAPE, "crossbar layer %d: the chip has %zu weights, the plan's network %zu", i, chips, plans);
    }
    return OT_OK;
}

/* The layer of `net` that stands where `l` stands in the plan's network. */
static const ot_layer *twin(const ot_plan *p, const ot_layer *l, const ot_network *net)
{
    int i = 0;
    while (ot_network_layer(p->net, i) != l) i++;
    return ot_network_layer(net, i);
}

/* The weights of `chip` if there is one; all else of `net`, whose layers are those of p->net. */
static ot_status load(ot_plan *p, const ot_chip *chip, const ot_network *net)
{
    for (int i = 0; i < p->n_steps; i++) {
        const ot_step  *s = &p->steps[i];
        const ot_layer *l = net == p->net ? s->layer : twin(p, s->layer, net), *a = !s->affine || net == p->net ? s->affine : twin(p, s->affine, net);
        const float    *weight = l->crossbar < 0 ? NULL : chip ? ot_chip_weights(chip, l->crossbar) : l->weight;
        const float    *bias = l->crossbar < 0 ? NULL : l->bias;
        if (!weight && !a) continue;
        if (a && !s->batch) ot__plan_fold(p, a, a->gamma, a->beta);
        const float *scale = !a ? NULL : s->batch ? a->gamma : p->scale, *shift = !a ? NULL : s->batch ? a->beta : p->shift;
        OT_TRY(p->be->i->step_load(p->be->ctx, p->ops[i], weight, bias, scale, shift));
    }
    return OT_OK;
}

ot_status ot_plan_load(ot_plan *p, const ot_chip *chip)
{
    if (chip) OT_TRY(check_chip(p, chip));
    return load(p, chip, p->net);
}

ot_status ot_plan_load_network(ot_plan *p, const ot_network *net)
{
    for (int i = 0; i < p->n_tensors; i++) {
        const ot_layer *mine = ot_network_layer(p->net, i), *other = ot_network_layer(net, i);
        if (!other || other->op != mine->op || other->c != mine->c || other->h != mine->h || other->w != mine->w || ot_layer_weights(other) != ot_layer_weights(mine) ||
            !other->bias != !mine->bias)
            OT_FAIL(OT_E_SHAPE, "network '%s' is not of the plan's layers ('%s'): layer %d differs", ot_network_name(net), ot_network_name(p->net), i);
    }
    return load(p, NULL, net);
}

ot_status ot__plan_check_knob(const ot_plan *p, int l, float gain, float offset)
{
    const char *kind = p->spiking ? "spiking" : "ReLU";
    if (!(gain >= 0.015625f && isfinite(gain)))
        OT_FAIL(OT_E_RANGE, "gain of %s layer %d = %g, want a finite number of at least 1/64", kind, l, (double)gain);
    if (!isfinite(offset)) OT_FAIL(OT_E_RANGE, "offset of %s layer %d = %g, want a finite number", kind, l, (double)offset);
    if (p->spiking && !(offset == 0)) OT_FAIL(OT_E_RANGE, "offset of spiking layer %d = %g, want 0: it has a gain alone", l, (double)offset);
    return OT_OK;
}

ot_status ot_plan_set_knobs(ot_plan *p, const float *gain, const float *offset)
{
    for (int l = 0; l < p->relus; l++) OT_TRY(ot__plan_check_knob(p, l, gain ? gain[l] : 1, offset ? offset[l] : 0));
    for (int l = 0; l < p->relus; l++) {
        p->gain[l] = gain ? gain[l] : 1;
        p->offset[l] = offset ? offset[l] : 0;
    }
    return OT_OK;
}

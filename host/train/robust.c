/* robust.c - quantisation- and variability-aware training: weights on their way into the plans, gradients on their way back.
 *
 * For each sample of noise the crossbar weights go through their way (quantise/quantise.h) into `effective`, in parts that the pool's
 * threads share; all shards see the same sample, as all images of a minibatch would see the same chip.  Samples are numbered through
 * the whole training, so a run that goes on from a checkpoint draws what it would have drawn.
 *
 * With a device, a sample is a chip of the device model, drawn bit by bit from the weights as they stand; what differs from the weight is
 * taken as noise that does not depend on it, so its straight-through slope is the quantiser's. */
#include "base/fail.h"
#include "chip/chip.h"
#include "train/trainer.h"

#include <string.h>

static const ot_robust_options *of(const ot__trainer *t) { return &t->opt->robust; }
static int is_noisy(const ot_robust_options *o) { return o->noise.within > 0 || o->noise.between > 0; }
static int is_quantised(const ot_robust_options *o) { return o->weight_bits || o->activation_bits; }

ot_status ot__robust_check(const ot_train_options *opt, const ot_network *net)
{
    const ot_robust_options *o = &opt->robust;
    if (o->weight_bits) OT_TRY(ot_quantise_check_bits(o->weight_bits, "weight_bits"));
    if (o->activation_bits) OT_TRY(ot_quantise_check_bits(o->activation_bits, "activation_bits"));
    if (o->weight_ste < 0 || o->weight_ste >= OT_STES) OT_FAIL(OT_E_RANGE, "weight_ste = %d, want one of ot_ste", (int)o->weight_ste);
    if (o->activation_ste < 0 || o->activation_ste >= OT_STES) OT_FAIL(OT_E_RANGE, "activation_ste = %d, want one of ot_ste", (int)o->activation_ste);
    if (o->range < 0 || o->range > OT_RANGE_LEAST) OT_FAIL(OT_E_RANGE, "range = %d, want one of ot_range", (int)o->range);
    if (!(o->quantise_after >= 0 && o->quantise_after <= opt->epochs))
        OT_FAIL(OT_E_RANGE, "quantise_after = %d epochs, want 0..%d (epochs)", o->quantise_after, opt->epochs);
    if (!(o->rescale_epochs >= 0)) OT_FAIL(OT_E_RANGE, "rescale_epochs = %d, want 0 (never) or more", o->rescale_epochs);
    if (!(o->range_batches >= 1 && o->range_batches <= 100000)) OT_FAIL(OT_E_RANGE, "range_batches = %d, want 1..100000", o->range_batches);
    if (!(o->range_momentum >= 0 && o->range_momentum < 1)) OT_FAIL(OT_E_RANGE, "range_momentum = %g, want 0 or more, below 1", o->range_momentum);
    if (!(o->samples >= 1 && o->samples <= 1000)) OT_FAIL(OT_E_RANGE, "samples = %d of noise a step, want 1..1000", o->samples);
    OT_TRY(ot_noise_check(&o->noise));
    if (o->device) {
        OT_TRY(ot_device_check(o->device));
        OT_TRY(ot_variation_check(&o->variation));
        if (is_noisy(o)) OT_FAIL(OT_E_RANGE, "noise on weights and chips of a device at once, want one or the other");
    }
    if (net && (o->weight_bits || is_noisy(o) || o->device) && ot_network_crossbars(net) == 0)
        OT_FAIL(OT_E_UNSUPPORTED, "network '%s' has no convolution or dense layer whose weights could be quantised or vary", ot_network_name(net));
    if (net && o->activation_bits && ot_network_relus(net) == 0)
        OT_FAIL(OT_E_UNSUPPORTED, "network '%s' has no ReLU layer whose output could have %d bits%s", ot_network_name(net), o->activation_bits,
                ot_network_spikes(net) ? ": spikes have one" : "");
    return OT_OK;
}

static void find_layers(ot__trainer *t)
{
    ot__robust *r = &t->robust;
    size_t at = 0;
    for (int i = 0; i < ot_network_layers(t->net); i++) {
        const ot_layer *l = ot_network_layer(t->net, i);
        const size_t n = ot_layer_weights(l);
        if (l->crossbar >= 0) r->layers[l->crossbar] = (ot__robust_layer){.layer = i, .at = at, .n = n};
        at += n + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
    }
}

ot_status ot__robust_open(ot__trainer *t)
{
    const ot_robust_options *o = of(t);
    ot__robust *r = &t->robust;
    *r = (ot__robust){.n_layers = ot_network_crossbars(t->net), .n_relus = ot_network_relus(t->net)};
    if (!is_quantised(o) && !is_noisy(o) && !o->device) return OT_OK;
    r->layers = ot_alloc((size_t)r->n_layers, sizeof *r->layers);
    r->weight_scale = ot_alloc((size_t)r->n_layers, sizeof *r->weight_scale);
    r->activation_step = ot_alloc((size_t)r->n_relus, sizeof *r->activation_step);
    r->effective = ot_alloc(t->n_parameters, sizeof *r->effective);
    r->slope = ot_alloc(t->n_parameters, sizeof *r->slope);
    if (!r->layers || !r->weight_scale || !r->activation_step || !r->effective || !r->slope)
        OT_NOMEM("quantising and noise", 2 * t->n_parameters * sizeof(float));
    find_layers(t);
    for (size_t i = 0; i < t->n_parameters; i++) r->slope[i] = 1;
    for (int l = 0; o->activation_bits && l < r->n_relus; l++) OT_TRY(ot_network_quantise_relu(t->net, l, 0, 0));
    if (!o->device) return OT_OK;
    ot_variation var = o->variation;
    var.seed = t->opt->seed ^ UINT64_C(0x7261696e696e6721); /* not the seed of a campaign: none of its chips is trained on */
    OT_TRY(ot_network_copy(&r->twin, t->net));
    return ot_chip_draw(&r->chip, r->twin, o->device, &var, 0);
}

void ot__robust_close(ot__trainer *t)
{
    ot__robust *r = &t->robust;
    ot_chip_free(r->chip);
    ot_network_free(r->twin);
    ot_free(r->slope);
    ot_free(r->effective);
    ot_free(r->activation_step);
    ot_free(r->weight_scale);
    ot_free(r->layers);
    *r = (ot__robust){0};
}

int ot__robust_samples(const ot__trainer *t) { return is_noisy(of(t)) || of(t)->device ? of(t)->samples : 1; }
const float *ot__robust_parameters(const ot__trainer *t) { return t->robust.effective ? t->robust.effective : t->parameters; }

/* Chunks of all layers, dealt to the jobs in turn. */
static ot_status go(void *trainer, int job)
{
    ot__trainer *t = trainer;
    ot__robust *r = &t->robust;
    int chunk = 0;
    for (int k = 0; k < r->n_layers; k++)
        for (size_t at = 0; at < r->layers[k].n; at += OT__WAY_CHUNK, chunk++) {
            const ot__robust_layer *l = &r->layers[k];
            size_t n = l->n - at < OT__WAY_CHUNK ? l->n - at : OT__WAY_CHUNK, place = l->at + at;
            if (chunk % t->n_shards == job) ot__weight_go(r->effective + place, r->slope + place, t->parameters + place, at, n, &l->way);
        }
    return OT_OK;
}

static void set_ways(ot__trainer *t, int noisy, uint32_t sample)
{
    const ot_robust_options *o = of(t);
    ot__robust *r = &t->robust;
    const double between = noisy && o->noise.between > 0 ? o->noise.between * ot__noise_common(t->opt->seed, sample, OT_PURPOSE_TRAIN_NOISE) : 0;
    for (int k = 0; k < r->n_layers; k++) {
        ot__robust_layer *l = &r->layers[k];
        l->way = (ot__weight_way){.bits = r->quantising ? o->weight_bits : 0, .scale = r->weight_scale[k], .ste = o->weight_ste, .model = o->noise.model,
                                  .within = noisy ? o->noise.within : 0, .between = between, .seed = t->opt->seed, .layer = (uint32_t)k,
                                  .sample = sample, .purpose = OT_PURPOSE_TRAIN_NOISE};
        if (noisy && o->noise.model == OT_NOISE_FIXED) l->way.w_max = ot__weight_most(t->parameters + l->at, l->n, l->way.bits, l->way.scale);
    }
    memcpy(r->effective, t->parameters, t->n_parameters * sizeof *r->effective);
}

/* A chip of the weights in `effective` in their place. */
static ot_status draw_chip(ot__trainer *t, uint32_t number)
{
    ot__robust *r = &t->robust;
    ot_network_set_parameters(r->twin, r->effective);
    OT_TRY(ot__chip_redesign(r->chip));
    OT_TRY(ot_chip_redraw(r->chip, number));
    for (int k = 0; k < r->n_layers; k++) memcpy(r->effective + r->layers[k].at, ot_chip_weights(r->chip, k), r->layers[k].n * sizeof(float));
    return OT_OK;
}

ot_status ot__robust_sample(ot__trainer *t, int i)
{
    if (!t->robust.effective) return OT_OK;
    const uint64_t step = (uint64_t)t->epoch * (uint64_t)t->steps + (uint64_t)t->step;
    const uint32_t sample = (uint32_t)(step * (uint64_t)ot__robust_samples(t) + (uint64_t)i); /* draws repeat after 2^32 */
    set_ways(t, is_noisy(of(t)), sample);
    OT_TRY(ot__pool_run(t->pool, t->n_shards, go, t));
    return of(t)->device ? draw_chip(t, sample) : OT_OK;
}

void ot__robust_network(ot__trainer *t)
{
    if (t->robust.effective) {
        set_ways(t, 0, 0);
        for (int job = 0; job < t->n_shards; job++) go(t, job);
    }
    ot_network_set_parameters(t->net, ot__robust_parameters(t));
    ot_network_set_statistics(t->net, t->statistics);
}

static ot_status rescale(ot__trainer *t)
{
    ot__robust *r = &t->robust;
    for (int k = 0; of(t)->weight_bits && k < r->n_layers; k++) {
        ot_status st = ot__quantise_scale_f32(&r->weight_scale[k], t->parameters + r->layers[k].at, r->layers[k].n, of(t)->weight_bits);
        if (st != OT_OK) return ot__fail_prefix(st, "layer '%s': ", ot_network_layer(t->net, r->layers[k].layer)->name);
    }
    return OT_OK;
}

static ot_status reopen(void *trainer, int job)
{
    ot__trainer *t = trainer;
    ot__shard_close(&t->shard[job]);
    return ot__shard_open(t, job);
}

ot_status ot__robust_begin(ot__trainer *t)
{
    const ot_robust_options *o = of(t);
    ot__robust *r = &t->robust;
    for (int l = 0; o->activation_bits && l < r->n_relus; l++)
        OT_TRY(ot_network_quantise_relu(t->net, l, ot_quantise_codes(o->activation_bits), r->activation_step[l]));
    /* a chip's magnitudes of so many bits are these codes; two is the least a chip has */
    if (o->weight_bits) OT_TRY(ot_network_set_bits(t->net, o->weight_bits > 3 ? o->weight_bits - 1 : 2));
    r->quantising = 1;
    return o->activation_bits ? ot__pool_run(t->pool, t->n_shards, reopen, t) : OT_OK;
}

int ot__robust_quantises(const ot__trainer *t, int epochs_done) { return is_quantised(of(t)) && epochs_done >= of(t)->quantise_after; }

/* Of an epoch that begins, not of one that ends: a run that is made longer later finds the scales that it would have found. */
ot_status ot__robust_rescale(ot__trainer *t)
{
    const int since = t->epoch - of(t)->quantise_after;
    return t->robust.quantising && of(t)->rescale_epochs && since > 0 && since % of(t)->rescale_epochs == 0 ? rescale(t) : OT_OK;
}

ot_status ot__robust_advance(ot__trainer *t, int epochs_done)
{
    const ot_robust_options *o = of(t);
    if (t->robust.quantising || !ot__robust_quantises(t, epochs_done)) return OT_OK;
    OT_TRY(rescale(t));
    if (o->activation_bits) OT_TRY(ot__robust_ranges(t));
    return ot__robust_begin(t);
}

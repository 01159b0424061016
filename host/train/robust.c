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

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

ot_status ot__robust_advance(ot__trainer *t, int epochs_done)
{
    const ot_robust_options *o = of(t);
    if (!is_quantised(o)) return OT_OK;
    if (t->robust.quantising) {
        int since = epochs_done - o->quantise_after;
        return o->rescale_epochs && since > 0 && since % o->rescale_epochs == 0 && epochs_done < t->opt->epochs ? rescale(t) : OT_OK;
    }
    if (epochs_done < o->quantise_after) return OT_OK;
    OT_TRY(rescale(t));
    if (o->activation_bits) OT_TRY(ot__robust_ranges(t));
    return ot__robust_begin(t);
}

static const char *number(char text[32], double v)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    return text;
}

void ot__robust_identity(char *text, size_t room, const ot__trainer *t)
{
    static const char *const stes[OT_STES] = {"clipped", "identity", "inside"}, *const ranges[] = {"auto", "average", "least"};
    const ot_robust_options *o = of(t);
    const ot_variation *v = &o->variation;
    char a[32], b[32], c[32], d[32];
    int n = 0;
    if (is_quantised(o))
        n += snprintf(text, room, "bits: weights %d %s, activations %d %s\nquantised after: %d epochs, scales every %d\nrange: %s of %d, momentum %s\n", o->weight_bits,
                      stes[o->weight_ste], o->activation_bits, stes[o->activation_ste], o->quantise_after, o->rescale_epochs, ranges[o->range],
                      o->range_batches, number(a, o->range_momentum));
    if (is_noisy(o))
        n += snprintf(text + n, room - (size_t)n, "noise: %s, within %s, between %s, %d samples\n", ot_noise_model_name(o->noise.model),
                      number(a, o->noise.within), number(b, o->noise.between), o->samples);
    if (o->device)
        snprintf(text + n, room - (size_t)n, "chips: %.60s hash %016" PRIx64 ", sigma %s, share %s, %d bits, stuck %s %s, %d samples\n", o->device->name,
                 ot__train_hash(0, o->device->poly, sizeof o->device->poly), number(a, v->sigma), number(b, v->sys_share), v->bits, number(c, v->stuck_lrs),
                 number(d, v->stuck_hrs), o->samples);
}

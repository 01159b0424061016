/* shard.c - a shard's share of a minibatch: fetch and augment its images, run them forward and backward through its own plan. */
#include "base/fail.h"
#include "train/augment.h"
#include "train/trainer.h"

#include <string.h>

ot_status ot__shard_open(void *trainer, int job)
{
    ot__trainer *t = trainer;
    ot__shard *s = &t->shard[job];
    size_t image = (size_t)t->train->c * t->train->h * t->train->w;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;

    OT_TRY(ot_backend_open(&s->backend, t->backend, NULL));
    opt.use = OT_PLAN_TRAIN;
    opt.tile = t->tile;
    opt.label_smoothing = t->opt->label_smoothing;
    opt.relu_ste = t->opt->robust.activation_ste;
    opt.surrogate = t->opt->surrogate;
    opt.sharpness = t->opt->sharpness;
    opt.spike_loss = t->opt->spike_loss;
    const int resident = ot__resident_fits(t, s->backend);
    if (job == 0 || !resident) OT_TRY(ot_plan_open(&s->plan, s->backend, t->net, &opt));
    if (t->test) {
        opt = (ot_plan_options)OT_PLAN_OPTIONS_INIT;
        opt.tile = OT__TRAIN_EVAL_TILE;
        OT_TRY(ot_plan_open(&s->eval, s->backend, t->net, &opt));
    }
    if (resident) return OT_OK;
    s->input = ot_plan_input(s->plan);
    s->images = ot_alloc((size_t)t->tile * s->input, sizeof *s->images);
    s->one = ot_alloc(image, sizeof *s->one);
    s->labels = ot_alloc((size_t)t->tile, sizeof *s->labels);
    s->grad = ot_alloc(t->n_parameters, sizeof *s->grad);
    s->statistics = ot_alloc(t->n_statistics, sizeof *s->statistics);
    if (!s->images || !s->one || !s->labels || !s->grad || !s->statistics) OT_NOMEM("a shard of the minibatch", (size_t)t->tile * s->input * sizeof(float));
    return OT_OK;
}

void ot__shard_close(ot__shard *s)
{
    ot_free(s->statistics);
    ot_free(s->grad);
    ot_free(s->labels);
    ot_free(s->one);
    ot_free(s->images);
    ot_plan_free(s->eval);
    ot_plan_free(s->plan);
    ot_backend_close(s->backend);
    *s = (ot__shard){0};
}

ot_status ot__shard_step(void *trainer, int job)
{
    ot__trainer *t = trainer;
    ot__shard *s = &t->shard[job];
    const ot_data *d = t->train;
    const uint32_t *index = t->order + (size_t)t->step * t->opt->minibatch + (size_t)job * t->tile;
    const ot_spiking *spiking = ot_network_spiking(t->net);
    const int coded = ot_network_spikes(t->net) && spiking->coding != OT_CODING_DIRECT; /* frames of spikes; with rate coding others every epoch */
    int augment = t->opt->crop_pad || t->opt->flip;

    for (int i = 0; i < t->tile; i++) {
        float *to = s->images + (size_t)i * s->input;
        ot_data_image(d, t->net, index[i], augment ? s->one : to);
        if (augment)
            ot__augment_apply(to, s->one, d->c, d->h, d->w, t->opt->crop_pad,
                              ot__augment_choose(t->opt, index[i], (uint32_t)t->epoch), t->black);
        if (coded) OT_TRY(ot_plan_input_spikes(s->plan, spiking->seed + t->opt->seed + (uint64_t)t->epoch, index[i], to));
        s->labels[i] = d->labels[index[i]];
    }
    OT_TRY(ot_plan_set_parameters(s->plan, ot__robust_parameters(t)));
    return ot_plan_train(s->plan, s->images, s->labels, t->tile, s->grad, s->statistics, &s->loss, &s->correct);
}

ot_status ot__shard_count(void *trainer, int job)
{
    ot__trainer *t = trainer;
    ot__shard *s = &t->shard[job];
    /* whole tiles, so that a shard computes no padding but at the end */
    int64_t tiles = (t->test->n + OT__TRAIN_EVAL_TILE - 1) / OT__TRAIN_EVAL_TILE;
    int64_t first = tiles * job / t->n_shards * OT__TRAIN_EVAL_TILE, end = tiles * (job + 1) / t->n_shards * OT__TRAIN_EVAL_TILE;
    if (end > t->test->n) end = t->test->n;
    s->correct = 0;
    if (first >= end) return OT_OK;
    uint32_t *index = ot_alloc((size_t)(end - first), sizeof *index);
    if (!index) OT_NOMEM("the test images' numbers", (size_t)(end - first) * sizeof *index);
    for (int64_t i = first; i < end; i++) index[i - first] = (uint32_t)i;
    ot_status st = ot_plan_load(s->eval, NULL);
    if (st == OT_OK) st = ot_plan_count(s->eval, t->test, index, end - first, &s->correct, NULL);
    ot_free(index);
    return st;
}

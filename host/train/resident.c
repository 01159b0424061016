/* resident.c - see resident.h.  One plan does all shards of a minibatch, one after the other: they share the weights, each has its own batch
 * norm, and their gradients lie side by side until the optimiser adds them. */
#include "train/resident.h"
#include "base/fail.h"
#include "kernels/crop.h"
#include "plan/resident.h"
#include "train/augment.h"
#include "train/trainer.h"

#include <math.h>
#include <string.h>

enum { AT_ONCE = 16 }; /* minibatches between two looks at the losses */

struct ot__resident {
    ot_plan *plan;         /* shard 0's, borrowed */
    ot_backend *be;        /* its */
    ot_resident r;         /* all pointers in the backend's memory */
    void *pixels, *values, *norm;
    int32_t *labels;
    uint32_t *rows, *crops, *wanted;
    int64_t *right;
    double *rate;
    void *graph;           /* a minibatch, noted in this epoch; NULL: not yet */
    int epoch;             /* whose tables are there; -1: none */
    int sent;              /* parameters and the rest are there */
    int in_hand;           /* what is there differs from what the trainer has */
    double *losses;        /* host: (AT_ONCE) */
};

#define BE (r->be->i)
#define CTX (r->be->ctx)

int ot__resident_fits(const ot__trainer *t, const ot_backend *be)
{
    return be->i->resident && be->i->many && !t->robust.effective && !t->singular && !ot_network_spikes(t->net) && t->train->c <= 1024 && t->opt->crop_pad <= OT_CROP_PAD_MOST;
}

static ot_status take(ot__resident *r, void *mem, size_t bytes)
{
    void *p = NULL;
    OT_TRY(BE->alloc(CTX, &p, bytes));
    memcpy(mem, &p, sizeof p);
    return OT_OK;
}

static ot_status keep(ot__resident *r, void *mem, const void *from, size_t bytes)
{
    void *p;
    OT_TRY(take(r, mem, bytes));
    memcpy(&p, mem, sizeof p);
    return BE->many->write(CTX, p, from, bytes);
}

static ot_status keep_images(ot__resident *r, const ot__trainer *t)
{
    const ot_data *d = t->train;
    const size_t numbers = (size_t)d->n * (size_t)d->c * (size_t)d->h * (size_t)d->w;
    const float *mean, *std;
    float both[2 * 1024];
    ot_network_normalisation(t->net, &mean, &std);
    for (int k = 0; k < d->c; k++) both[k] = 1.0f / (255.0f * std[k]), both[d->c + k] = -mean[k] / std[k]; /* as ot_data_image */
    OT_TRY(keep(r, &r->norm, both, (size_t)d->c * 2 * sizeof *both));
    OT_TRY(keep(r, &r->labels, d->labels, (size_t)d->n * sizeof *d->labels));
    if (d->values) return keep(r, &r->values, d->values, numbers * sizeof *d->values);
    return keep(r, &r->pixels, d->pixels, numbers);
}

static ot_status take_all(ot__resident *r, const ot__trainer *t)
{
    const size_t n = t->n_parameters, shards = (size_t)t->n_shards, images = (size_t)t->steps * (size_t)t->opt->minibatch;
    const int augment = t->opt->crop_pad || t->opt->flip;
    OT_TRY(keep_images(r, t));
    OT_TRY(keep(r, &r->r.decays, t->decays, n));
    OT_TRY(take(r, &r->r.parameters, n * sizeof(float)));
    OT_TRY(take(r, &r->r.grad, shards * n * sizeof(float)));
    OT_TRY(BE->many->fill(CTX, r->r.grad, 0, shards * n * sizeof(float))); /* what the loss does not depend on has no gradient */
    OT_TRY(take(r, &r->r.statistics, t->n_statistics * sizeof(float)));
    OT_TRY(take(r, &r->r.batch_statistics, shards * t->n_statistics * sizeof(float)));
    if (t->optimizer.velocity) OT_TRY(take(r, &r->r.velocity, n * sizeof(float)));
    if (t->optimizer.moments) OT_TRY(take(r, &r->r.moments, 2 * n * sizeof(double)));
    if (t->optimizer.moments) OT_TRY(take(r, &r->r.power, 2 * sizeof(double)));
    OT_TRY(take(r, &r->rate, (size_t)t->steps * sizeof(double)));
    OT_TRY(take(r, &r->r.losses, (size_t)t->steps * sizeof(double)));
    OT_TRY(take(r, &r->r.loss, sizeof(double)));
    OT_TRY(take(r, &r->r.step, sizeof(uint32_t)));
    OT_TRY(take(r, &r->right, sizeof(int64_t)));
    OT_TRY(take(r, &r->rows, images * sizeof(uint32_t)));
    OT_TRY(take(r, &r->wanted, (size_t)t->tile * sizeof(uint32_t)));
    return augment ? take(r, &r->crops, images * sizeof(uint32_t)) : OT_OK;
}

ot_status ot__resident_open(ot__resident **out, ot__trainer *t)
{
    const ot__shard *s = &t->shard[0];
    *out = NULL;
    if (!ot__resident_fits(t, s->backend) || !ot__resident_can(s->plan)) return OT_OK;
    ot__resident *r = ot_alloc(1, sizeof *r);
    double *losses = ot_alloc(AT_ONCE, sizeof *losses);
    if (!r || !losses) {
        ot_free(r);
        ot_free(losses);
        OT_NOMEM("training", sizeof *r);
    }
    *r = (ot__resident){.plan = s->plan, .be = s->backend, .epoch = -1, .losses = losses};
    ot_status st = take_all(r, t);
    if (st != OT_OK) {
        ot__resident_close(r);
        return ot__fail_prefix(st, "training in the backend's memory: ");
    }
    r->r.n = t->n_parameters, r->r.n_statistics = t->n_statistics, r->r.shards = t->n_shards;
    r->r.rate = r->rate, r->r.momentum = t->opt->momentum, r->r.decay = t->opt->weight_decay;
    r->r.share = OT__TRAIN_STATISTICS_MOMENTUM, r->r.images = t->opt->minibatch;
    *out = r;
    return OT_OK;
}

static void drop_graph(ot__resident *r)
{
    if (r->graph) BE->many->graph_close(CTX, r->graph);
    r->graph = NULL;
}

void ot__resident_close(ot__resident *r)
{
    if (!r) return;
    drop_graph(r);
    void *all[] = {r->pixels, r->values, r->norm, r->labels, r->rows, r->crops, r->wanted, r->right, r->rate, r->r.parameters, r->r.grad, (void *)r->r.decays,
                   r->r.velocity, r->r.moments, r->r.power, r->r.statistics, r->r.batch_statistics, r->r.loss, r->r.losses, r->r.step};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (all[k]) BE->free(CTX, all[k]);
    ot_free(r->losses);
    ot_free(r);
}

/* What training stands at, from the host. */
static ot_status send(ot__resident *r, const ot__trainer *t)
{
    const ot_many_i *m = BE->many;
    const size_t n = t->n_parameters;
    OT_TRY(m->write(CTX, r->r.parameters, t->parameters, n * sizeof(float)));
    if (t->n_statistics) OT_TRY(m->write(CTX, r->r.statistics, t->statistics, t->n_statistics * sizeof(float)));
    if (r->r.velocity) OT_TRY(m->write(CTX, r->r.velocity, t->optimizer.velocity, n * sizeof(float)));
    if (r->r.moments) OT_TRY(m->write(CTX, r->r.moments, t->optimizer.moments, 2 * n * sizeof(double)));
    if (r->r.power) OT_TRY(m->write(CTX, r->r.power, &t->optimizer.power, 2 * sizeof(double)));
    OT_TRY(m->fill(CTX, r->r.loss, 0, sizeof(double)));
    r->sent = 1;
    return OT_OK;
}

ot_status ot__resident_read(ot__resident *r, ot__trainer *t)
{
    const ot_many_i *m = BE->many;
    const size_t n = t->n_parameters;
    if (!r->in_hand) return OT_OK;
    OT_TRY(m->read(CTX, t->parameters, r->r.parameters, n * sizeof(float)));
    if (t->n_statistics) OT_TRY(m->read(CTX, t->statistics, r->r.statistics, t->n_statistics * sizeof(float)));
    if (r->r.velocity) OT_TRY(m->read(CTX, t->optimizer.velocity, r->r.velocity, n * sizeof(float)));
    if (r->r.moments) OT_TRY(m->read(CTX, t->optimizer.moments, r->r.moments, 2 * n * sizeof(double)));
    if (r->r.power) OT_TRY(m->read(CTX, &t->optimizer.power, r->r.power, 2 * sizeof(double)));
    r->in_hand = 0;
    return OT_OK;
}

/* The epoch's order, crops and rates, and where in it training stands. */
static ot_status begin_epoch(ot__resident *r, const ot__trainer *t)
{
    const size_t steps = (size_t)t->steps, images = steps * (size_t)t->opt->minibatch;
    const uint32_t step = (uint32_t)t->step;
    ot_status st = OT_OK;
    double *rate = ot_alloc(steps, sizeof *rate);
    uint32_t *crops = ot_alloc(images, sizeof *crops);
    if (!rate || !crops) OT_FAIL_TO(done, st, OT_E_NOMEM, "training: no memory for the crops of %zu images", images);
    for (size_t k = 0; k < steps; k++) rate[k] = ot_train_lr(t->opt, t->epoch, (int)k, t->steps);
    for (size_t i = 0; i < images && r->crops; i++) {
        const ot__crop c = ot__augment_choose(t->opt, t->order[i], (uint32_t)t->epoch);
        crops[i] = ot_crop_word(c.dy, c.dx, c.flip);
    }
    drop_graph(r); /* others may have used the backend since */
    OT_TRY_TO(done, st, BE->many->write(CTX, r->rate, rate, steps * sizeof *rate));
    OT_TRY_TO(done, st, BE->many->write(CTX, r->rows, t->order, images * sizeof *t->order));
    if (r->crops) OT_TRY_TO(done, st, BE->many->write(CTX, r->crops, crops, images * sizeof *crops));
    OT_TRY_TO(done, st, BE->many->write(CTX, r->r.step, &step, sizeof step));
    r->epoch = t->epoch;
done:
    ot_free(crops);
    ot_free(rate);
    return st;
}

/* One minibatch, as work put into the queue. */
static ot_status minibatch(const ot__resident *r, const ot__trainer *t)
{
    const float *norm = r->norm;
    OT_TRY(ot__resident_load(r->plan, r->r.parameters));
    for (int k = 0; k < t->n_shards; k++) {
        const ot_many_input in = {.pixels = r->pixels, .values = r->values, .scale = norm, .shift = norm + t->train->c, .rows = r->rows, .step = r->r.step,
                                  .per_step = t->opt->minibatch, .first = (int64_t)k * t->tile, .wanted = r->wanted, .crops = r->crops, .pad = t->opt->crop_pad};
        OT_TRY(ot__resident_pass(r->plan, &in, r->labels, t->tile, r->r.grad + (size_t)k * t->n_parameters, r->r.batch_statistics + (size_t)k * t->n_statistics,
                                 r->r.loss, r->right));
    }
    return BE->resident->update(CTX, &r->r);
}

/* The first of an epoch as it is (whatever a backend takes at first use, it takes now), the second noted, the rest replayed. */
static ot_status go(ot__resident *r, const ot__trainer *t, int is_first)
{
    if (is_first) return minibatch(r, t);
    if (!r->graph) {
        OT_TRY(BE->many->capture(CTX));
        ot_status st = minibatch(r, t);
        if (st != OT_OK) {
            (void)BE->many->captured(CTX, NULL);
            return st;
        }
        OT_TRY(BE->many->captured(CTX, &r->graph));
    }
    return BE->many->replay(CTX, r->graph);
}

ot_status ot__resident_minibatches(ot__resident *r, ot__trainer *t)
{
    const int n = t->steps - t->step < AT_ONCE ? t->steps - t->step : AT_ONCE;
    int64_t right;
    int is_first = r->epoch != t->epoch;
    if (!r->sent) OT_TRY(send(r, t));
    if (is_first) OT_TRY(begin_epoch(r, t));
    OT_TRY(BE->many->fill(CTX, r->right, 0, sizeof right));
    r->in_hand = 1;
    for (int k = 0; k < n; k++, is_first = 0) OT_TRY(go(r, t, is_first));
    OT_TRY(BE->many->read(CTX, r->losses, r->r.losses + t->step, (size_t)n * sizeof *r->losses));
    OT_TRY(BE->many->read(CTX, &right, r->right, sizeof right));
    for (int k = 0; k < n; k++) {
        OT_TRY(ot__train_check_loss(t, r->losses[k]));
        t->loss_sum += r->losses[k];
        t->step++;
    }
    t->correct_sum += right;
    return OT_OK;
}

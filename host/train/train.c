/* train.c - the training loop.
 *
 *     for each epoch:      order of the images
 *       for each minibatch:  shards in parallel: images, forward, backward;  then here: add up gradients, statistics, one optimiser step
 *       running statistics and parameters into the network;  test accuracy;  checkpoint;  the caller's function
 *
 * All that happens between two minibatches happens in this thread, in a fixed order, in double where sums are long: shards differ
 * from run to run only in which thread computes them.  Where the backend has memory of its own, an epoch's minibatches happen there (resident.h). */
#include "base/fail.h"
#include "base/file.h"
#include "base/progress.h"
#include "network/structure.h"
#include "train/draw.h"
#include "train/lipschitz.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where weight decay applies, in the order of network.h's flat vector: weight, bias, gamma, beta of each layer. */
static void mark_weights(uint8_t *decays, const ot_network *net)
{
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        size_t weights = ot_layer_weights(l);
        memset(decays, 1, weights);
        decays += weights + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
    }
}

/* Room for the penalty's vectors. */
static ot_status make_singular(ot__trainer *t)
{
    if (!(t->opt->lipschitz > 0)) return OT_OK;
    for (int k = 0; k < ot_network_crossbars(t->net); k++) {
        const ot_layer *l = ot_network_crossbar(t->net, k);
        const size_t cols = (size_t)ot_layer_fan_in(t->net, l), rows = (size_t)l->c;
        if (cols > t->widest) t->widest = cols;
        if (rows > t->widest) t->widest = rows;
    }
    t->singular = ot_alloc(2 * t->widest, sizeof *t->singular);
    if (!t->singular) OT_NOMEM("singular vectors", 2 * t->widest * sizeof *t->singular);
    return OT_OK;
}

static uint64_t hash_data(const ot_data *d)
{
    size_t pixels = (size_t)d->n * d->c * d->h * d->w;
    uint64_t h = ot__train_hash(0, d->labels, (size_t)d->n * sizeof *d->labels);
    return d->pixels ? ot__train_hash(h, d->pixels, pixels) : ot__train_hash(h, d->values, pixels * sizeof *d->values);
}

/* Batch norm over a single number divides by zero in the unbiased variance. */
static ot_status check_norms(const ot_network *net, int tile)
{
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        if (l->op == OT_OP_BATCH_NORM && (int64_t)tile * l->h * l->w < 2)
            OT_FAIL(OT_E_RANGE,
                    "layer '%s': batch norm over %d image of %d x %d has one value a channel, want 2 or more: a larger minibatch",
                    l->name, tile, l->h, l->w);
    }
    return OT_OK;
}

static ot_status check(const ot_network *net, const ot_data *train, const ot_data *test, const ot_train_options *opt)
{
    OT_TRY(ot_train_check(opt));
    OT_TRY(ot_data_check(train, net));
    if (test) OT_TRY(ot_data_check(test, net));
    OT_TRY(ot__robust_check(opt, net));
    if (train->n < opt->minibatch)
        OT_FAIL(OT_E_RANGE, "minibatch = %d, but %s has %d training images", opt->minibatch, train->name, train->n);
    if (opt->schedule == OT_SCHEDULE_POLICY) {
        int steps = train->n / opt->minibatch;
        ot_policy p;
        OT_TRY(ot_policy_for(&p, &opt->policy, (double)(opt->epochs - opt->warmup_epochs) * steps, steps));
    }
    return OT_OK;
}

static ot_status trainer_open(ot__trainer *t)
{
    const ot_train_options *opt = t->opt;
    t->n_parameters = ot_network_parameters(t->net);
    t->n_statistics = ot_network_statistics(t->net);
    t->n_shards = opt->shards ? opt->shards : opt->minibatch % 2 ? 1 : 2;
    t->tile = opt->minibatch / t->n_shards;
    t->steps = t->train->n / opt->minibatch;
    OT_TRY(check_norms(t->net, t->tile));

    t->parameters = ot_alloc(t->n_parameters, sizeof *t->parameters);
    t->grad = ot_alloc(t->n_parameters, sizeof *t->grad);
    t->decays = ot_alloc(t->n_parameters, sizeof *t->decays);
    t->statistics = ot_alloc(t->n_statistics, sizeof *t->statistics);
    t->order = ot_alloc((size_t)t->train->n, sizeof *t->order);
    t->black = ot_alloc((size_t)t->train->c, sizeof *t->black);
    t->shard = ot_alloc((size_t)t->n_shards, sizeof *t->shard);
    if (!t->parameters || !t->grad || !t->decays || !t->statistics || !t->order || !t->black || !t->shard)
        OT_NOMEM("training", t->n_parameters * sizeof(float));
    ot_network_get_parameters(t->net, t->parameters);
    ot_network_get_statistics(t->net, t->statistics);
    t->start_hash = ot__train_hash(0, t->parameters, t->n_parameters * sizeof *t->parameters);
    ot_sha256 structure;
    ot__sha256_start(&structure);
    ot__network_add_structure(&structure, t->net);
    ot__sha256_end(&structure, t->structure);
    if (opt->checkpoint) t->data_hash = hash_data(t->train);
    mark_weights(t->decays, t->net);
    if (t->train->pixels) {
        const float *mean, *std;
        ot_network_normalisation(t->net, &mean, &std);
        for (int c = 0; c < t->train->c; c++) t->black[c] = (0.0f - mean[c]) / std[c];
    }
    OT_TRY(make_singular(t));
    OT_TRY(ot__robust_open(t));
    OT_TRY(ot__optimizer_open(&t->optimizer, opt, t->n_parameters, t->decays));

    int threads = opt->threads ? opt->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (threads > t->n_shards) threads = t->n_shards;
    OT_TRY(ot__pool_open(&t->pool, threads < 1 ? 1 : threads));
    OT_TRY(ot__pool_run(t->pool, t->n_shards, ot__shard_open, t));
    return ot__resident_open(&t->resident, t);
}

static void trainer_close(ot__trainer *t)
{
    ot__resident_close(t->resident);
    for (int i = 0; t->shard && i < t->n_shards; i++) ot__shard_close(&t->shard[i]);
    ot__pool_close(t->pool);
    ot__optimizer_close(&t->optimizer);
    ot__robust_close(t);
    ot_free(t->shard);
    ot_free(t->singular);
    ot_free(t->black);
    ot_free(t->order);
    ot_free(t->statistics);
    ot_free(t->decays);
    ot_free(t->grad);
    ot_free(t->parameters);
}

/* Mean over the shards (and samples of noise) of what ot_plan_train left, added in the shards' order. */
static void gather(ot__trainer *t, int sample)
{
    const int samples = ot__robust_samples(t);
    const float *slope = t->robust.effective ? t->robust.slope : NULL;
    double share = 1.0 / t->n_shards;
    for (size_t i = 0; i < t->n_parameters; i++) {
        double sum = 0;
        for (int k = 0; k < t->n_shards; k++) sum += t->shard[k].grad[i];
        sum *= slope ? slope[i] * share / samples : share;
        t->grad[i] = sample ? (float)(t->grad[i] + sum) : (float)sum;
    }
    for (size_t i = 0; i < t->n_statistics; i++) {
        double sum = 0;
        for (int k = 0; k < t->n_shards; k++) sum += t->shard[k].statistics[i];
        t->statistics[i] += (float)(OT__TRAIN_STATISTICS_MOMENTUM / samples * (sum * share - t->statistics[i]));
    }
}

/* Loss and gradient of one sample of noise. */
static ot_status pass(ot__trainer *t, int sample, double *loss)
{
    OT_TRY(ot__robust_sample(t, sample));
    OT_TRY(ot__pool_run(t->pool, t->n_shards, ot__shard_step, t));
    for (int k = 0; k < t->n_shards; k++) {
        *loss += t->shard[k].loss / t->n_shards / ot__robust_samples(t);
        if (sample == 0) t->correct_sum += t->shard[k].correct;
    }
    gather(t, sample);
    return OT_OK;
}

ot_status ot__train_check_loss(const ot__trainer *t, double loss)
{
    if (isfinite(loss)) return OT_OK;
    OT_FAIL(OT_E_DATA, "training: loss = %g at epoch %d, minibatch %d, want a finite number; lr was %g: try a smaller one, or warm-up", loss, t->epoch + 1,
            t->step + 1, ot_train_lr(t->opt, t->epoch, t->step, t->steps));
}

static ot_status minibatch(ot__trainer *t)
{
    double loss = 0;
    for (int i = 0; i < ot__robust_samples(t); i++) OT_TRY(pass(t, i, &loss));
    OT_TRY(ot__train_check_loss(t, loss));
    if (t->singular) ot__lipschitz_add(t);
    ot__optimizer_step(&t->optimizer, t->parameters, t->grad, ot_train_lr(t->opt, t->epoch, t->step, t->steps));
    t->loss_sum += loss;
    t->step++;
    return OT_OK;
}

/* Accuracy on the test set with running statistics; NaN without one. */
static ot_status measure(ot__trainer *t, double *accuracy)
{
    ot__robust_network(t);
    *accuracy = NAN;
    if (!t->test) return OT_OK;
    OT_TRY(ot__pool_run(t->pool, t->n_shards, ot__shard_count, t));
    int64_t correct = 0;
    for (int k = 0; k < t->n_shards; k++) correct += t->shard[k].correct;
    *accuracy = (double)correct / t->test->n;
    return OT_OK;
}

static ot_status epoch(ot__trainer *t, ot_train_fn fn, void *user)
{
    const ot_train_options *opt = t->opt;
    ot_progress progress;
    char what[48];
    snprintf(what, sizeof what, "epoch %d of %d, minibatches", t->epoch + 1, opt->epochs);
    ot__progress_start(&progress, what, t->steps);
    ot__progress_add(&progress, t->step, NULL);
    ot__draw_order(t->order, (uint32_t)t->train->n, opt->seed, (uint32_t)t->epoch);
    ot_status st = t->step ? OT_OK : ot__robust_rescale(t);
    while (st == OT_OK && t->step < t->steps) {
        if (opt->stop && *opt->stop) {
            st = t->resident ? ot__resident_read(t->resident, t) : OT_OK;
            if (st == OT_OK && opt->checkpoint) st = ot__checkpoint_write(t, opt->checkpoint);
            if (st == OT_OK)
                st = ot__fail(OT_E_INTERRUPTED, __FILE__, __LINE__, "training stopped at epoch %d of %d, minibatch %d of %d; %s%s",
                              t->epoch + 1, opt->epochs, t->step, t->steps,
                              opt->checkpoint ? "the same command goes on from " : "there is no checkpoint to go on from",
                              opt->checkpoint ? opt->checkpoint : "");
            break;
        }
        const int before = t->step;
        st = t->resident ? ot__resident_minibatches(t->resident, t) : minibatch(t);
        ot__progress_add(&progress, t->step - before, NULL);
    }
    ot__progress_end(&progress);
    if (st != OT_OK) return st;
    if (t->resident) OT_TRY(ot__resident_read(t->resident, t));

    double accuracy, loss = t->loss_sum / t->steps, trained = (double)t->correct_sum / ((double)t->steps * opt->minibatch);
    double lr = ot_train_lr(opt, t->epoch, t->steps - 1, t->steps);
    t->epoch++;
    OT_TRY(ot__robust_advance(t, t->epoch));
    OT_TRY(measure(t, &accuracy));
    t->step = 0;
    t->loss_sum = 0;
    t->correct_sum = 0;
    if (opt->checkpoint) OT_TRY(ot__checkpoint_write(t, opt->checkpoint));
    return fn ? fn(user, t->epoch - 1, loss, trained, accuracy, lr) : OT_OK;
}

ot_status ot_train(ot_network *net, const char *backend, const ot_data *train, const ot_data *test, const ot_train_options *opt,
                   ot_train_fn fn, void *user)
{
    ot__trainer t = {.net = net, .train = train, .test = test, .opt = opt, .backend = backend};
    OT_TRY(check(net, train, test, opt));
    ot_status st = trainer_open(&t);
    if (st == OT_OK && opt->checkpoint && ot__file_exists(opt->checkpoint)) st = ot__checkpoint_read(&t, opt->checkpoint);
    if (st == OT_OK && !t.robust.quantising) st = ot__robust_advance(&t, t.epoch);
    while (st == OT_OK && t.epoch < opt->epochs) st = epoch(&t, fn, user);
    if (st == OT_OK) {
        ot__robust_network(&t);
    }
    trainer_close(&t);
    return st;
}

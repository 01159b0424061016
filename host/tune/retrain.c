/* retrain.c - a chip some of whose weights are trained again and written anew, as CorrectNet-like methods do (methods compared with in paper 000's
 * Table II; our reading: which weights, and how, the paper does not say).
 *
 *     1. gradient of the chip's own loss on images of the subset, batch norm frozen at the network's statistics
 *     2. the share retrain_frac of all crossbar weights with the largest |w dL/dw| is chosen; ties go to the earlier weight
 *     3. Adam on these alone, on the subset; a weight stays within +- the largest of its ideal layer, as far as a cell can be set
 *
 * Writing is taken to be exact, and possible in every cell: what write-and-verify would reach at best.  The chip's own variation stays in all the
 * others.  Nothing depends on threads: sums run in the order of images and weights. */
#include "tune/change.h"

#include "base/fail.h"
#include "kernels/adam.h"
#include "tune/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHOOSING = 8, GIVE_UP = 4 };            /* minibatches that weights are chosen by; losses in a row that are not finite */

typedef struct choice { double salience; uint32_t at; float limit; } choice;

typedef struct retraining {
    const ot_tuning *t;
    ot_network *net;                           /* the chip's weights; trained */
    ot_plan    *plan;
    size_t      n, n_weights, n_chosen;
    float      *parameters, *grad, *x;
    double     *sum, *weight;                  /* (n) gradient added up; (n_chosen) */
    choice     *weights;                       /* (n_weights), the chosen first */
    ot_adam    *state;
    int32_t    *labels;
    uint32_t   *rows;
    int64_t     batch;
    ot__images  images;
} retraining;

static void retraining_close(retraining *r)
{
    ot__images_close(&r->images);
    ot_free(r->rows), ot_free(r->labels), ot_free(r->state), ot_free(r->weights), ot_free(r->weight), ot_free(r->sum);
    ot_free(r->x), ot_free(r->grad), ot_free(r->parameters);
    ot_plan_free(r->plan);
    ot_network_free(r->net);
}

static float largest(const float *w, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fabsf(w[i]) > most ? fabsf(w[i]) : most;
    return most;
}

/* Where crossbar weights stand among the parameters (network.h), and how large each may be. */
static void find_weights(retraining *r, const ot_network *ideal)
{
    size_t at = 0, k = 0;
    for (int i = 0; i < ot_network_layers(ideal); i++) {
        const ot_layer *l = ot_network_layer(ideal, i);
        const size_t    n = ot_layer_weights(l);
        const float     limit = largest(l->weight, n);
        for (size_t w = 0; w < n; w++) r->weights[k++] = (choice){.at = (uint32_t)(at + w), .limit = limit};
        at += n + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
    }
}

static size_t count_weights(const ot_network *net)
{
    size_t n = 0;
    for (int k = 0; k < ot_network_crossbars(net); k++) n += ot_layer_weights(ot_network_crossbar(net, k));
    return n;
}

static ot_status retraining_open(retraining *r, const ot_tuning *t, const ot_plan *plan, const ot_chip *chip)
{
    const ot_layer *image = ot_network_layer(ot_plan_network(plan), 0);
    r->t = t;
    r->batch = t->opt.minibatch < t->n[SUBSET] ? t->opt.minibatch : t->n[SUBSET];
    r->n_weights = count_weights(ot_plan_network(plan));
    r->n_chosen = (size_t)ceil(t->opt.retrain_frac * (double)r->n_weights);
    OT_TRY(ot_chip_network_copy(&r->net, chip));
    r->n = ot_network_parameters(r->net);
    OT_TRY(ot_plan_open(&r->plan, ot_plan_backend(plan), r->net, &(ot_plan_options){.use = OT_PLAN_TRAIN, .tile = (int)r->batch, .frozen_norm = 1}));
    OT_TRY(ot__images_open(&r->images, t->index[SUBSET], t->n[SUBSET], t->opt.seed));
    r->parameters = ot_alloc(r->n, sizeof *r->parameters);
    r->grad = ot_alloc(r->n, sizeof *r->grad);
    r->sum = ot_alloc(r->n, sizeof *r->sum);
    r->weights = ot_alloc(r->n_weights, sizeof *r->weights);
    r->weight = ot_alloc(r->n_chosen, sizeof *r->weight);
    r->state = ot_alloc(r->n_chosen, sizeof *r->state);
    r->x = ot_alloc((size_t)r->batch * (size_t)image->c * (size_t)image->h * (size_t)image->w, sizeof *r->x);
    r->labels = ot_alloc((size_t)r->batch, sizeof *r->labels);
    r->rows = ot_alloc((size_t)r->batch, sizeof *r->rows);
    if (!r->parameters || !r->grad || !r->sum || !r->weights || !r->weight || !r->state || !r->x || !r->labels || !r->rows)
        OT_NOMEM("retraining", r->n * (2 * sizeof(float) + sizeof(double)) + r->n_weights * sizeof *r->weights);
    ot_network_get_parameters(r->net, r->parameters);
    find_weights(r, ot_plan_network(plan));
    return OT_OK;
}

/* r->grad of the next minibatch; *finite. */
static ot_status gradient(retraining *r, int *finite, ot_tune_cost *cost)
{
    const ot_data  *d = r->t->train;
    const ot_layer *image = ot_network_layer(r->net, 0);
    const size_t    size = (size_t)image->c * (size_t)image->h * (size_t)image->w;
    double          loss;
    ot__images_next(&r->images, r->rows, r->batch);
    for (int64_t k = 0; k < r->batch; k++) {
        ot_data_image(d, r->net, r->rows[k], r->x + (size_t)k * size);
        r->labels[k] = d->labels[r->rows[k]];
    }
    OT_TRY(ot_plan_set_parameters(r->plan, r->parameters));
    OT_TRY(ot_plan_train(r->plan, r->x, r->labels, (int)r->batch, r->grad, NULL, &loss, NULL));
    cost->images_forward += r->batch;
    cost->images_backward += r->batch;
    *finite = isfinite(loss) != 0;
    return OT_OK;
}

static int by_salience(const void *a, const void *b)
{
    const choice *x = a, *y = b;
    if (x->salience != y->salience) return x->salience < y->salience ? 1 : -1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static ot_status choose(retraining *r, ot_tune_cost *cost)
{
    for (int i = 0; i < CHOOSING; i++) {
        int finite;
        OT_TRY(gradient(r, &finite, cost));
        for (size_t k = 0; finite && k < r->n; k++) r->sum[k] += (double)r->grad[k];
        cost->nan_restores += !finite;
    }
    for (size_t k = 0; k < r->n_weights; k++) {
        const double s = fabs((double)r->parameters[r->weights[k].at] * r->sum[r->weights[k].at]);
        r->weights[k].salience = isfinite(s) ? s : 0;
    }
    qsort(r->weights, r->n_weights, sizeof *r->weights, by_salience);
    for (size_t k = 0; k < r->n_chosen; k++) r->weight[k] = (double)r->parameters[r->weights[k].at];
    return OT_OK;
}

static double held(double w, double limit) { return w > limit ? limit : w < -limit ? -limit : w; }

static ot_status train(retraining *r, ot_tune_cost *cost)
{
    const ot_tune_options *o = &r->t->opt;
    const int64_t          steps = ot_tune_steps(o, r->t->n[SUBSET]);
    ot_adam_power          power = {1, 1};
    int                    bad = 0, finite;
    for (int64_t i = 0; i < steps && bad < GIVE_UP; i++) {
        OT_TRY(gradient(r, &finite, cost));
        cost->steps++;
        for (size_t k = 0; finite && k < r->n_chosen; k++) finite = isfinite(r->grad[r->weights[k].at]) != 0;
        bad = finite ? 0 : bad + 1;
        cost->nan_restores += !finite;
        if (!finite) continue;
        ot_adam_advance(&power);
        for (size_t k = 0; k < r->n_chosen; k++) {
            const choice *c = &r->weights[k];
            r->weight[k] = held(ot_adam_step(r->weight[k], (double)r->grad[c->at], o->retrain_lr, &r->state[k], power), (double)c->limit);
            r->parameters[c->at] = (float)r->weight[k];
        }
    }
    return OT_OK;
}

ot_status ot__tuning_retrain(const ot_tuning *t, ot_plan *plan, const ot_chip *chip, int64_t *values, ot_tune_cost *cost)
{
    retraining r = {0};
    ot_status  st = retraining_open(&r, t, plan, chip);
    if (st == OT_OK) st = choose(&r, cost);
    if (st == OT_OK) st = train(&r, cost);
    if (st == OT_OK) {
        ot_network_set_parameters(r.net, r.parameters);
        st = ot_plan_load_network(plan, r.net);
    }
    *values = (int64_t)r.n_chosen;
    retraining_close(&r);
    return st;
}

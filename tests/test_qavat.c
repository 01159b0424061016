/* test_qavat.c - quantisation- and variability-aware training: what a step does, scales and ranges, stopping and going on; accuracy over noise. */
#include "check.h"
#include "models/model.h"
#include "nets.h"
#include "ohmtrim/noise.h"
#include "quantise/quantise.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { SIDE = NET_TINY_SIDE, N = 48, CLASSES = NET_TINY_CLASSES };

static ot_data *set(int n)
{
    ot_network *net;
    if (net_tiny(&net, 1) != OT_OK) return NULL;
    ot_data *d = net_data(net, 77, n, 0);
    for (int i = 0; i < n; i++) /* something to learn: classes differ in their mean */
        for (int k = 0; k < SIDE * SIDE; k++) d->values[i * SIDE * SIDE + k] += (float)(d->labels[i] - 1);
    ot_network_free(net);
    return d;
}

static ot_train_options quick(void)
{
    ot_train_options o = ot_train_defaults();
    o.epochs = 4;
    o.minibatch = 12;
    o.lr = 0.05;
    o.threads = 1;
    return o;
}

/* ---- one step, written out ---- */

/* Gradient of a sample's weights, times their slope. */
static ot_status gradient(double *sum, const ot_network *net, const ot_data *d, const float *effective, const float *slope, double share)
{
    const size_t    n = ot_network_parameters(net);
    ot_backend     *be = NULL;
    ot_plan        *plan = NULL;
    ot_plan_options opt = {.use = OT_PLAN_TRAIN, .tile = d->n};
    float          *grad = malloc(n * sizeof *grad);
    ot_status       st = ot_backend_open(&be, "ref", NULL);
    if (st == OT_OK) st = ot_plan_open(&plan, be, net, &opt);
    if (st == OT_OK) st = ot_plan_set_parameters(plan, effective);
    if (st == OT_OK) st = ot_plan_train(plan, d->values, d->labels, d->n, grad, NULL, NULL, NULL);
    for (size_t i = 0; i < n && st == OT_OK; i++) sum[i] += share * (double)grad[i] * (slope ? (double)slope[i] : 1.0);
    ot_plan_free(plan);
    ot_backend_close(be);
    free(grad);
    return st;
}

/* One SGD step over the whole set is the mean of the samples' gradients at weights with their noise, straight through it. */
TEST a_step_is_as_written(ot_noise_model model, int samples, int bits)
{
    ot_network *net, *twin;
    ot_data *d = set(N);
    OK(net_tiny(&net, 3));
    OK(ot_network_copy(&twin, net));
    const size_t n = ot_network_parameters(net);
    float *w = malloc(n * sizeof *w), *effective = malloc(n * sizeof *w), *slope = malloc(n * sizeof *w), *got = malloc(n * sizeof *w), *want = malloc(n * sizeof *w);
    double *sum = calloc(n, sizeof *sum), scale[3] = {0};
    ot_train_options o = quick();
    o.epochs = 1, o.minibatch = N, o.shards = 1, o.momentum = 0, o.weight_decay = 0, o.schedule = OT_SCHEDULE_FIXED, o.lr = 0.25, o.seed = 9;
    o.robust.noise = (ot_noise){.model = model, .within = 0.3, .between = 0.2};
    o.robust.samples = samples;
    o.robust.weight_bits = bits;
    o.robust.weight_ste = OT_STE_CLIPPED;
    ot_network_get_parameters(net, w);
    for (int s = 0; s < samples; s++) {
        size_t at = 0;
        memcpy(effective, w, n * sizeof *w);
        for (size_t i = 0; i < n; i++) slope[i] = 1;
        for (int i = 0, k = 0; i < ot_network_layers(net); i++) {
            const ot_layer *l = ot_network_layer(net, i);
            const size_t m = ot_layer_weights(l);
            if (m) {
                if (bits) OK(ot__quantise_scale_f32(&scale[k], w + at, m, bits));
                ot__weight_way way = {.bits = bits, .scale = scale[k], .ste = OT_STE_CLIPPED, .model = model, .within = 0.3, .seed = 9, .layer = (uint32_t)k, .sample = (uint32_t)s,
                                      .purpose = OT_PURPOSE_TRAIN_NOISE, .between = 0.2 * ot__noise_common(9, (uint32_t)s, OT_PURPOSE_TRAIN_NOISE)};
                way.w_max = ot__weight_most(w + at, m, bits, scale[k++]);
                ot__weight_go(effective + at, slope + at, w + at, 0, m, &way);
            }
            at += m + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
        }
        OK(gradient(sum, twin, d, effective, slope, 1.0 / samples));
    }
    for (size_t i = 0; i < n; i++) want[i] = (float)((double)w[i] - 0.25 * sum[i]);
    OK(ot_train(net, "ref", d, NULL, &o, NULL, NULL));
    ot_network_get_parameters(net, got);
    size_t at = 0;
    for (int i = 0, k = 0; i < ot_network_layers(net); i++) { /* the network that comes out is quantised, with the scales found first */
        const ot_layer *l = ot_network_layer(net, i);
        const size_t m = ot_layer_weights(l);
        if (m && bits) ot__weight_go(want + at, NULL, want + at, 0, m, &(ot__weight_way){.bits = bits, .scale = scale[k++]});
        at += m + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
    }
    /* images in another order: sums of doubles, rounded to float a sample */
    CHECK_CLOSE(want, got, n, 3e-7 * fmax(1, check_max_f32(want, n)));
    free(sum), free(want), free(got), free(slope), free(effective), free(w);
    ot_data_free(d);
    ot_network_free(twin);
    ot_network_free(net);
    PASS();
}

/* With a device, a sample is a chip of it, and never one that the seed gives a campaign. */
TEST a_device_trains_on_its_chips(void)
{
    static const ot_device dev = {.name = "steep", .g = {1e-4, 1e-6}, .n_poly = {3, 2}, .poly = {{1, 0.9, 0.2}, {1, -0.8}}, .domain = 0.15, .g_min = 1e-9, .g_max = 1e-2,
                                  .s = {6, -5.3}, .valid_min = -0.15};
    ot_network *net, *twin;
    ot_data *d = set(N);
    ot_chip *chip;
    OK(net_tiny(&net, 3));
    OK(ot_network_copy(&twin, net));
    const size_t n = ot_network_parameters(net);
    float *w = malloc(n * sizeof *w), *effective = malloc(n * sizeof *w), *got = malloc(n * sizeof *w), *want = malloc(n * sizeof *w);
    ot_train_options o = quick();
    o.epochs = 1, o.minibatch = N, o.shards = 1, o.momentum = 0, o.weight_decay = 0, o.schedule = OT_SCHEDULE_FIXED, o.lr = 0.25, o.seed = 4;
    o.robust.device = &dev;
    o.robust.variation = (ot_variation){.sigma = 0.08, .sys_share = 0.5, .bits = 6};
    o.robust.samples = 2;
    ot_network_get_parameters(net, w);
    double apart[2];
    for (int own = 0; own < 2; own++) {
        double *sum = calloc(n, sizeof *sum);
        ot_variation var = o.robust.variation;
        var.seed = own ? 4 : 4 ^ UINT64_C(0x7261696e696e6721);
        OK(ot_chip_draw(&chip, twin, &dev, &var, 0));
        for (uint32_t s = 0; s < 2; s++) {
            size_t at = 0;
            OK(ot_chip_redraw(chip, s));
            memcpy(effective, w, n * sizeof *w);
            for (int i = 0, k = 0; i < ot_network_layers(net); i++) {
                const ot_layer *l = ot_network_layer(net, i);
                const size_t m = ot_layer_weights(l);
                if (m) memcpy(effective + at, ot_chip_weights(chip, k++), m * sizeof *w);
                at += m + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
            }
            OK(gradient(sum, twin, d, effective, NULL, 0.5));
        }
        for (size_t i = 0; i < n; i++) want[i] = (float)((double)w[i] - 0.25 * sum[i]);
        if (!own) OK(ot_train(net, "ref", d, NULL, &o, NULL, NULL));
        ot_network_get_parameters(net, got);
        apart[own] = 0;
        for (size_t i = 0; i < n; i++) apart[own] = fmax(apart[own], fabs((double)want[i] - (double)got[i]));
        ot_chip_free(chip);
        free(sum);
    }
    ASSERT_LT(apart[0], 3e-7 * fmax(1, check_max_f32(want, n)));
    ASSERT_GT(apart[1], 1e-3);
    free(want), free(got), free(effective), free(w);
    ot_data_free(d);
    ot_network_free(twin);
    ot_network_free(net);
    PASS();
}

/* ---- runs ---- */

static ot_data *train_set, *test_set;
typedef struct history { int n, stop_after; double test[32]; } history;

static ot_status remember(void *user, int epoch, double loss, double train, double test, double lr)
{
    history *h = user;
    (void)loss, (void)train, (void)lr;
    h->test[epoch] = test;
    h->n++;
    return h->stop_after && epoch + 1 == h->stop_after ? OT_E_INTERRUPTED : OT_OK;
}

/* Everything at once: float, then 3-bit weights and 4-bit activations with noise of both kinds, two samples, scales found again. */
static ot_train_options everything(void)
{
    ot_train_options o = quick();
    o.epochs = 5;
    o.robust.weight_bits = 3, o.robust.activation_bits = 4, o.robust.quantise_after = 1, o.robust.rescale_epochs = 2;
    o.robust.noise = (ot_noise){.model = OT_NOISE_FIXED, .within = 0.1, .between = 0.1};
    o.robust.samples = 2;
    return o;
}

static ot_status run(ot_network **net, const ot_train_options *o, const char *backend, history *h)
{
    *h = (history){.stop_after = h->stop_after};
    ot_status st = net_tiny(net, o->seed);
    return st == OT_OK ? ot_train(*net, backend, train_set, test_set, o, remember, h) : st;
}

static int same(const ot_network *a, const ot_network *b)
{
    const size_t n = ot_network_parameters(a), m = ot_network_statistics(a);
    float *x = malloc((n + m) * sizeof *x), *y = malloc((n + m) * sizeof *y);
    ot_network_get_parameters(a, x), ot_network_get_statistics(a, x + n);
    ot_network_get_parameters(b, y), ot_network_get_statistics(b, y + n);
    int equal = !memcmp(x, y, (n + m) * sizeof *x);
    for (int l = 0; l < ot_network_relus(a); l++) {
        const ot_layer *p = ot_network_relu(a, l), *q = ot_network_relu(b, l);
        equal = equal && p->codes == q->codes && !memcmp(&p->step, &q->step, sizeof p->step);
    }
    free(x), free(y);
    return equal;
}

static const char *scratch(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    return path;
}

/* What comes out has the bits that were asked for, on weights and ReLU outputs, and says so to chips. */
TEST the_network_that_comes_out_is_quantised(const char *backend)
{
    ot_network *net;
    history h = {0};
    ot_train_options o = everything();
    OK(run(&net, &o, backend, &h));
    ASSERT_EQ(5, h.n);
    ASSERT_GT(h.test[4], 0.5); /* a third would be chance */
    for (int k = 0; k < ot_network_crossbars(net); k++) {
        const ot_layer *l = ot_network_crossbar(net, k);
        double least = INFINITY;
        for (size_t i = 0; i < ot_layer_weights(l); i++)
            if (fabsf(l->weight[i]) > 0) least = fmin(least, fabs((double)l->weight[i]));
        for (size_t i = 0; i < ot_layer_weights(l); i++) {
            double codes = fabs((double)l->weight[i]) / least; /* 0, 1, 2, 3 steps, if one has code 1 */
            ASSERT(codes < 3.001 && fabs(codes - rint(codes)) < 1e-5);
        }
    }
    for (int l = 0; l < 2; l++) ASSERT(ot_network_relu(net, l)->codes == 7 && ot_network_relu(net, l)->step > 0);
    ASSERT_EQ(2, ot_network_bits(net));
    ot_network_free(net);
    o.robust.weight_bits = 8;
    OK(run(&net, &o, backend, &h));
    ASSERT_EQ(7, ot_network_bits(net));
    ot_network_free(net);
    PASS();
}

TEST threads_change_nothing(void)
{
    ot_network *a, *b;
    history h = {0}, k = {0};
    ot_train_options o = everything();
    o.shards = 3;
    OK(run(&a, &o, "ref", &h));
    o.threads = 3;
    OK(run(&b, &o, "ref", &k));
    ASSERT(same(a, b));
    ASSERT(!memcmp(h.test, k.test, sizeof h.test));
    ot_network_free(b);
    o.seed = 2;
    OK(run(&b, &o, "ref", &k));
    ASSERT(!same(a, b));
    ot_network_free(a), ot_network_free(b);
    PASS();
}

/* Float, noise, then the scales of what came out: no step after that. */
TEST quantised_after_training_is_quantised_once(void)
{
    ot_network *plain, *after;
    history h = {0};
    double scale[3];
    ot_train_options o = quick();
    o.robust.noise = (ot_noise){.model = OT_NOISE_PROPORTIONAL, .within = 0.2};
    OK(run(&plain, &o, "ref", &h));
    ASSERT(!ot_network_is_quantised(plain));
    o.robust.weight_bits = 4, o.robust.activation_bits = 8, o.robust.quantise_after = o.epochs;
    double float_accuracy = h.test[3];
    OK(run(&after, &o, "ref", &h));
    ASSERT(fabs(h.test[3] - float_accuracy) < 0.2);
    ASSERT(ot_network_is_quantised(after));
    OK(ot_quantise_weights(plain, 4, scale));
    for (int k = 0; k < ot_network_crossbars(plain); k++)
        ASSERT_MEM_EQ(ot_network_crossbar(plain, k)->weight, ot_network_crossbar(after, k)->weight, ot_layer_weights(ot_network_crossbar(plain, k)) * sizeof(float));
    for (int l = 0; l < 2; l++) ASSERT_EQ(127, ot_network_relu(after, l)->codes);
    ot_network_free(after);
    ot_network_free(plain);
    PASS();
}

/* Ranges: what the definition gives on the training set's batches; at 2 bits least squares is far below the largest value. */
typedef struct seen { double range; int n; } seen;
static ot_status most_of(void *user, int relu, const float *v, size_t n)
{
    seen *s = user;
    if (relu) return OT_OK;
    float most = 0;
    for (size_t i = 0; i < n; i++) most = v[i] > most ? v[i] : most;
    s->range = ot__range_next(s->range, (double)most, s->n++, 0.5);
    return OT_OK;
}

TEST ranges_are_those_of_the_batches(void)
{
    ot_network *net, *start;
    history h = {0};
    ot_backend *be;
    ot_plan *plan;
    seen s = {0};
    ot_train_options o = quick();
    o.epochs = 1, o.lr = 1e-9, o.shards = 1, o.minibatch = N; /* one batch an epoch: every order is the same set */
    o.robust.activation_bits = 3, o.robust.range = OT_RANGE_AVERAGE, o.robust.range_momentum = 0.5;
    OK(run(&net, &o, "ref", &h));
    OK(net_tiny(&start, o.seed));
    ot_plan_options opt = {.use = OT_PLAN_TRAIN, .tile = N};
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_plan_open(&plan, be, start, &opt));
    OK(ot_plan_activations(plan, train_set->values, N, most_of, &s));
    ASSERT_EQ(1, s.n);
    ASSERT_IN_RANGE(s.range / 3, (double)ot_network_relu(net, 0)->step, 1e-6);
    FAILS(OT_E_RANGE, "activations of 0 images, want 1..48", ot_plan_activations(plan, train_set->values, 0, most_of, &s));
    ot_plan_free(plan);
    ot_backend_close(be);
    double average = (double)ot_network_relu(net, 0)->step * 3;
    ot_network_free(start);
    ot_network_free(net);
    o.robust.activation_bits = 2, o.robust.range = OT_RANGE_AUTO;
    OK(run(&net, &o, "ref", &h));
    ASSERT(ot_network_relu(net, 0)->step < 0.8 * average);
    double least = (double)ot_network_relu(net, 0)->step;
    ot_network_free(net);
    o.robust.range = OT_RANGE_LEAST;
    OK(run(&net, &o, "ref", &h));
    ASSERT_EQ(least, (double)ot_network_relu(net, 0)->step);
    ot_network_free(net);
    PASS();
}

/* ---- stopping and going on ---- */

TEST going_on_from_a_checkpoint_changes_nothing(int stop_after)
{
    ot_network *whole, *net;
    history h = {0}, part = {.stop_after = stop_after}, rest = {0};
    ot_train_options o = everything();
    OK(run(&whole, &o, "ref", &h));
    o.checkpoint = scratch(stop_after == 1 ? "q1.npz" : stop_after == 2 ? "q2.npz" : "q3.npz");
    ASSERT_EQ(OT_E_INTERRUPTED, run(&net, &o, "ref", &part));
    ot_network_free(net);
    OK(run(&net, &o, "ref", &rest));
    ASSERT_EQ(5 - stop_after, rest.n);
    ASSERT(same(whole, net));
    for (int e = stop_after; e < 5; e++) ASSERT(h.test[e] == rest.test[e]);
    ot_network_free(net);
    OK(run(&net, &o, "ref", &rest)); /* nothing is left to do */
    ASSERT_EQ(0, rest.n);
    ASSERT(same(whole, net));
    ot_network_free(net);
    ot_network_free(whole);
    PASS();
}

static volatile sig_atomic_t stop_now;
static void on_alarm(int number)
{
    (void)number;
    stop_now = 1;
}

TEST stopping_within_epochs_changes_nothing(void)
{
    ot_network *whole, *net;
    history h = {0};
    int stops = 0;
    ot_train_options o = everything();
    o.epochs = 9;
    OK(run(&whole, &o, "ref", &h));
    o.checkpoint = scratch("stopped.npz");
    o.stop = &stop_now;
    signal(SIGALRM, on_alarm);
    for (long us = 2000;; us *= 2) {
        struct itimerval in = {.it_value = {.tv_sec = us / 1000000, .tv_usec = us % 1000000}};
        stop_now = 0;
        ASSERT_EQ(0, setitimer(ITIMER_REAL, &in, NULL));
        ot_status st = run(&net, &o, "ref", &h);
        setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_INTERRUPTED, st);
        ot_network_free(net);
        stops++;
    }
    signal(SIGALRM, SIG_DFL);
    ASSERT(stops >= 1);
    ASSERT(same(whole, net));
    ot_network_free(net);
    ot_network_free(whole);
    PASS();
}

TEST checkpoints_of_other_settings_are_refused(void)
{
    ot_network *net;
    history h = {.stop_after = 2};
    ot_train_options o = everything();
    o.checkpoint = scratch("other.npz");
    ASSERT_EQ(OT_E_INTERRUPTED, run(&net, &o, "ref", &h));
    ot_network_free(net);
#define REFUSED(change, words)                                                                \
    do {                                                                                      \
        ot_train_options p = o;                                                               \
        change;                                                                               \
        ASSERTm(words, check_status(OT_E_MISMATCH, run(&net, &p, "ref", &h), words, words));  \
        ot_network_free(net);                                                                 \
    } while (0)
    REFUSED(p.robust.weight_bits = 4, "it has 'bits: weights 3 identity, activations 4 clipped', this run 'bits: weights 4");
    REFUSED(p.robust.activation_ste = OT_STE_INSIDE, "activations 4 inside");
    REFUSED(p.robust.quantise_after = 0, "quantised after: 1 epochs");
    REFUSED(p.robust.range = OT_RANGE_AVERAGE, "range: auto of 100");
    REFUSED(p.robust.noise.within = 0.2, "noise: fixed, within 0.1, between 0.1, 2 samples', this run 'noise: fixed, within 0.2");
    REFUSED(p.robust.samples = 1, "2 samples', this run");
    REFUSED(p.robust.noise = (ot_noise){0}, "noise: fixed");
    REFUSED(p.robust = quick().robust, "bits: weights 3");
    REFUSED(p.seed = 5, "it has 'seed: 1', this run 'seed: 5'");
    PASS();
}

/* ---- bad input, memory ---- */

TEST settings_out_of_range_say_so(void)
{
    ot_network *net;
    OK(net_tiny(&net, 1));
#define BAD(change, status, words)                                                                            \
    do {                                                                                                      \
        ot_train_options o = quick();                                                                         \
        change;                                                                                               \
        ASSERTm(words, check_status(status, ot_train(net, "ref", train_set, NULL, &o, NULL, NULL), words, words)); \
    } while (0)
    BAD(o.robust.weight_bits = 1, OT_E_RANGE, "weight_bits = 1, want 2..8");
    BAD(o.robust.weight_bits = 9, OT_E_RANGE, "weight_bits = 9, want 2..8");
    BAD(o.robust.activation_bits = -2, OT_E_RANGE, "activation_bits = -2, want 2..8");
    BAD(o.robust.weight_ste = OT_STES, OT_E_RANGE, "weight_ste = 3");
    BAD(o.robust.activation_ste = OT_STES, OT_E_RANGE, "activation_ste = 3");
    BAD(o.robust.range = (ot_range)3, OT_E_RANGE, "range = 3");
    BAD(o.robust.quantise_after = 5, OT_E_RANGE, "quantise_after = 5 epochs, want 0..4");
    BAD(o.robust.rescale_epochs = -1, OT_E_RANGE, "rescale_epochs = -1");
    BAD(o.robust.range_batches = 0, OT_E_RANGE, "range_batches = 0");
    BAD(o.robust.range_momentum = 1, OT_E_RANGE, "range_momentum = 1");
    BAD(o.robust.samples = 0, OT_E_RANGE, "samples = 0");
    BAD(o.robust.noise.within = -0.5, OT_E_RANGE, "sigma within chips = -0.5, want 0..1");
    BAD(o.robust.noise.between = NAN, OT_E_RANGE, "sigma between chips = nan");
    ot_device dev;
    OK(ot_device_open(&dev, "r1"));
    BAD(o.robust.device = &dev; o.robust.noise.within = 0.1, OT_E_RANGE, "noise on weights and chips of a device at once");
    BAD(o.robust.device = &dev; o.robust.variation.sigma = 1, OT_E_RANGE, "sigma = 1");
    ot_network_free(net);
    OK(ot_network_new(&net, "bare", 1, SIDE, SIDE));
    OK(ot_network_add(net, &(ot_layer){.op = OT_OP_BIAS, .name = "bias", .bias = (float[]){1}}, NULL));
    OK(ot_network_add(net, &(ot_layer){.op = OT_OP_SLICE, .name = "slice", .in = {1, -1}, .c = 1, .h = 3, .w = 1, .slice_step = {1, 2, 1}}, NULL));
    BAD(o.robust.weight_bits = 4, OT_E_UNSUPPORTED, "network 'bare' has no convolution or dense layer whose weights could be quantised or vary");
    BAD(o.robust.activation_bits = 4, OT_E_UNSUPPORTED, "network 'bare' has no ReLU layer whose output could have 4 bits");
    ot_network_free(net);
    PASS();
}

TEST every_failed_allocation_is_reported_and_nothing_leaks(void)
{
    static const ot_device dev = {.name = "flat", .g = {1e-4, 1e-6}, .n_poly = {2, 1}, .poly = {{1, 0.9}, {1}}, .domain = 0.15, .g_min = 1e-9, .g_max = 1e-2, .s = {6, 0}, .valid_min = -0.15};
    ot_train_options o = everything();
    history h = {0};
    o.epochs = 2;
    o.robust.noise = (ot_noise){0};
    o.robust.device = &dev;
    o.robust.samples = 1;
    for (size_t n = 1;; n++) {
        ot_network *net = NULL;
        o.checkpoint = scratch("memory.npz");
        size_t live = ot_memory_now().live;
        ot_memory_fail_at(n);
        ot_status st = run(&net, &o, "ref", &h);
        ot_memory_fail_at(0);
        ot_network_free(net);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) {
            ASSERT(n > 60);
            break;
        }
        ASSERT_EQ(OT_E_NOMEM, st);
    }
    PASS();
}

/* ---- accuracy over chips of noise ---- */

TEST chips_of_noise_are_measured_one_like_the_other(void)
{
    ot_network *net, *chip;
    ot_noise_chip one[7], many[5];
    ot_backend *be;
    ot_plan *plan;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    OK(net_tiny(&net, 2));
    OK(ot_network_copy(&chip, net));
    ot_noise_run r = {.noise = {.model = OT_NOISE_FIXED, .within = 0.3, .between = 0.3, .seed = 6}, .self_tuning = {.gtm_cells = 50, .ltm_columns = 2}, .first = 3, .chips = 7, .threads = 1};
    OK(ot_noise_measure(one, net, "ref", test_set, &r));
    r.first = 5, r.chips = 5, r.threads = 4, r.tile = 7;
    OK(ot_noise_measure(many, net, "ref", test_set, &r));
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_plan_open(&plan, be, chip, &opt));
    for (int k = 0; k < 5; k++) {
        int64_t correct = -1;
        double between, estimate;
        ASSERT(one[k + 2].correct == many[k].correct && !(one[k + 2].between < many[k].between) && !(one[k + 2].estimate > many[k].estimate));
        OK(ot_noise_apply(chip, net, &r.noise, &r.self_tuning, 5 + (uint32_t)k, &between, &estimate));
        OK(ot_plan_load(plan, NULL));
        OK(ot_plan_count(plan, test_set, NULL, test_set->n, &correct, NULL));
        ASSERT_EQ(correct, many[k].correct);
        ASSERT(between <= many[k].between && between >= many[k].between && estimate <= many[k].estimate && estimate >= many[k].estimate);
    }
    ot_plan_free(plan);
    ot_backend_close(be);
    FAILS(OT_E_RANGE, "0 chips of noise, want 1..10000000", ot_noise_measure(many, net, "ref", test_set, &(ot_noise_run){.chips = 0}));
    FAILS(OT_E_RANGE, "threads = -1", ot_noise_measure(many, net, "ref", test_set, &(ot_noise_run){.chips = 1, .threads = -1}));
    FAILS(OT_E_RANGE, "tile = 5000", ot_noise_measure(many, net, "ref", test_set, &(ot_noise_run){.chips = 1, .tile = 5000}));
    FAILS(OT_E_RANGE, "sigma within", ot_noise_measure(many, net, "ref", test_set, &(ot_noise_run){.chips = 1, .noise = {.within = -1}}));
    FAILS(OT_E_RANGE, "0 cells", ot_noise_measure(many, net, "ref", test_set, &(ot_noise_run){.chips = 1, .self_tuning = {.ltm_columns = 1}}));
    FAILS(OT_E_BACKEND, "nonesuch", ot_noise_measure(many, net, "nonesuch", test_set, &(ot_noise_run){.chips = 2, .threads = 2}));
    ot_network_free(chip);
    ot_network_free(net);
    OK(ot_network_new(&net, "bare", 1, SIDE, SIDE));
    OK(ot_network_add(net, &(ot_layer){.op = OT_OP_SLICE, .name = "slice", .c = 1, .h = 3, .w = 1, .slice_step = {1, 2, 1}}, NULL));
    FAILS(OT_E_UNSUPPORTED, "network 'bare' has no convolution or dense layer", ot_noise_measure(many, net, "ref", test_set, &(ot_noise_run){.chips = 1}));
    ot_network_free(net);
    PASS();
}

TEST a_summary_is_of_means_and_spreads(void)
{
    const ot_noise_chip c[3] = {{.correct = 5, .between = 0.1, .estimate = 0.1}, {.correct = 7, .between = 0, .estimate = 0.3}, {.correct = 9, .between = -0.2, .estimate = -0.2}};
    ot_noise_summary s;
    ot_noise_summarise(&s, c, 3, 10);
    ASSERT_IN_RANGE(0.7, s.mean, 1e-15);
    ASSERT_IN_RANGE(0.2, s.sd, 1e-15);
    ASSERT_IN_RANGE(0.7 - 1.96 * 0.2 / sqrt(3), s.low, 1e-15);
    ASSERT_IN_RANGE(0.7 + 1.96 * 0.2 / sqrt(3), s.high, 1e-15);
    ASSERT(s.least <= 0.5 && s.least >= 0.5 && s.most <= 0.9 && s.most >= 0.9);
    ASSERT_IN_RANGE(0.3 / sqrt(3), s.error, 1e-15);
    PASS();
}

/* Paper 003's Table I in the small: LeNet-5 with 2-bit weights and activations, layer-fixed noise of half the largest weight.  3,000 images and 3
 * epochs a setting, so far from the paper's figures; their order is the paper's.  20 chips, 1,000 test images: a mean's sd is below 0.02. */
static ot_status mnist_mean(double *mean, const ot_network *from, const ot_data *train, const ot_data *test, ot_train_options o)
{
    ot_network *net;
    ot_noise_chip chip[20];
    ot_noise_summary s;
    ot_noise_run r = {.noise = {.model = OT_NOISE_FIXED, .within = 0.5, .seed = 3}, .chips = 20};
    ot_status st = ot_network_copy(&net, from);
    if (st != OT_OK) return st;
    st = ot_train(net, "cpu", train, NULL, &o, NULL, NULL);
    if (st == OT_OK) st = ot_noise_measure(chip, net, "cpu", test, &r);
    if (st == OT_OK) ot_noise_summarise(&s, chip, 20, test->n);
    if (st == OT_OK) *mean = s.mean;
    ot_network_free(net);
    return st;
}

TEST qavat_beats_qat_beats_quantising_after_vat(void)
{
    char name[600];
    ot_network *net;
    ot_data *train, *test;
    if (!check_shared("data/mnist")) SKIPm("the shared data are not here");
    snprintf(name, sizeof name, "mnist:%s", check_shared("data/mnist"));
    OK(ot_data_open(&train, name, OT_SPLIT_TRAIN, 3000));
    OK(ot_data_open(&test, name, OT_SPLIT_TEST, 1000));
    OK(ot_model_build(&net, "lenet5", 1, 28, 28, 10, 1));
    OK(ot_train_normalise(net, train));
    ot_train_options o = ot_train_defaults();
    o.optimizer = OT_OPTIMIZER_ADAM, o.epochs = 3, o.minibatch = 50, o.lr = 0.002;
    OK(ot_train(net, "cpu", train, NULL, &o, NULL, NULL));
    double ptq, qat, qavat;
    o.robust.weight_bits = o.robust.activation_bits = 2;
    o.robust.quantise_after = o.epochs;
    o.robust.noise = (ot_noise){.model = OT_NOISE_FIXED, .within = 0.1}; /* at 0.5 the float network learns nothing */
    OK(mnist_mean(&ptq, net, train, test, o));
    o.lr = 0.003;
    o.robust.quantise_after = 0;
    o.robust.noise.within = 0.5;
    OK(mnist_mean(&qavat, net, train, test, o));
    o.robust.noise.within = 0;
    OK(mnist_mean(&qat, net, train, test, o));
    if (!(qavat > qat + 0.05 && qat > ptq + 0.05)) printf("\nQAVAT %.3f, QAT %.3f, PTQ-VAT %.3f\n", qavat, qat, ptq);
    ASSERT(qavat > qat + 0.05);
    ASSERT(qat > ptq + 0.05);
    ot_data_free(test);
    ot_data_free(train);
    ot_network_free(net);
    PASS();
}

SUITE(test_qavat)
{
    train_set = set(N);
    test_set = set(20);
    for (int m = 0; m < OT_NOISE_MODELS; m++) {
        RUN_TESTp(a_step_is_as_written, (ot_noise_model)m, 1, 0);
        RUN_TESTp(a_step_is_as_written, (ot_noise_model)m, 3, 4);
    }
    RUN_TEST(a_device_trains_on_its_chips);
    RUN_TESTp(the_network_that_comes_out_is_quantised, "ref");
    RUN_TESTp(the_network_that_comes_out_is_quantised, "cpu");
    RUN_TEST(threads_change_nothing);
    RUN_TEST(quantised_after_training_is_quantised_once);
    RUN_TEST(ranges_are_those_of_the_batches);
    for (int s = 1; s <= 3; s++) RUN_TESTp(going_on_from_a_checkpoint_changes_nothing, s);
    RUN_TEST(stopping_within_epochs_changes_nothing);
    RUN_TEST(checkpoints_of_other_settings_are_refused);
    RUN_TEST(settings_out_of_range_say_so);
    RUN_TEST(every_failed_allocation_is_reported_and_nothing_leaks);
    RUN_TEST(chips_of_noise_are_measured_one_like_the_other);
    RUN_TEST(a_summary_is_of_means_and_spreads);
    RUN_TEST(qavat_beats_qat_beats_quantising_after_vat);
    ot_data_free(test_set);
    ot_data_free(train_set);
}

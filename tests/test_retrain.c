/* test_retrain.c - tuners that change the chip: retraining of a share of its weights against a plain second version of it, batch norm found
 * again, what both leave behind, campaigns with them, bad input. */
#include "base/fail.h"
#include "ohmtrim/campaign.h"
#include "tune/adam.h"
#include "tune/tuning.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 96, CLASSES = 5, SIDE = 8, TILE = 32, CHIPS = 3 };

/* Steep enough that chips differ; no physics to integrate. */
static const ot_device steep = {.name = "steep", .g = {1e-4, 1e-6}, .n_poly = {3, 2}, .poly = {{1, 0.9, 0.2}, {1, -0.8}}, .domain = 0.15,
                                .g_min = 1e-9, .g_max = 1e-2, .s = {6, -5.3}, .valid_min = -0.15};

typedef struct bench {
    ot_network     *net;
    ot_data         data;
    ot_backend     *be;
    ot_plan        *plan;
    ot_tuning      *tuning;
    ot_tune_options opt;
    ot_chip        *chip;
    uint8_t        *pixels;
    int32_t        *labels;
} bench;

/* Images whose class is a bright stripe; a little trained network would do, random weights with learned statistics do as well. */
static int draw_images(bench *b, int c)
{
    check_rng r = {7};
    b->pixels = malloc((size_t)(N * c * SIDE * SIDE));
    b->labels = malloc(N * sizeof *b->labels);
    if (!b->pixels || !b->labels) return 0;
    for (int i = 0; i < N; i++) {
        b->labels[i] = i % CLASSES;
        for (int p = 0; p < c * SIDE * SIDE; p++) b->pixels[i * c * SIDE * SIDE + p] = (uint8_t)(100 * check_uniform(&r) + (p % SIDE == b->labels[i] ? 150 : 0));
    }
    b->data = (ot_data){.name = "stripes", .n = N, .c = c, .h = SIDE, .w = SIDE, .classes = CLASSES, .pixels = b->pixels, .labels = b->labels};
    return 1;
}

static void bench_close(bench *b)
{
    ot_tuning_free(b->tuning);
    ot_plan_free(b->plan);
    ot_backend_close(b->be);
    ot_chip_free(b->chip);
    ot_network_free(b->net);
    free(b->labels), free(b->pixels);
}

/* resnet8 (additions, strides) trained for an epoch, so that batch norm has statistics of its own and gradients mean something. */
static ot_status bench_open(bench *b, const char *backend, double frac)
{
    ot_variation     var = {.sigma = 0.05, .sys_share = 0.5, .bits = 8, .seed = 3};
    ot_train_options train = ot_train_defaults();
    *b = (bench){.opt = ot_tune_defaults()};
    if (!draw_images(b, 1)) return OT_E_NOMEM;
    ot_status st = ot_model_build(&b->net, "resnet8", 1, SIDE, SIDE, CLASSES, 1);
    train.epochs = 4, train.minibatch = 16, train.threads = 1, train.lr = 0.02;
    if (st == OT_OK) st = ot_train(b->net, "cpu", &b->data, NULL, &train, NULL, NULL);
    if (st == OT_OK) st = ot_chip_draw(&b->chip, b->net, &steep, &var, 0);
    if (st == OT_OK) st = ot_backend_open(&b->be, backend, NULL);
    if (st == OT_OK) st = ot_plan_open(&b->plan, b->be, b->net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = TILE});
    b->opt.images = 24, b->opt.minibatch = 16, b->opt.subset_frac = 0.5, b->opt.steps = 5, b->opt.retrain_frac = frac, b->opt.polish_images = 16;
    if (st == OT_OK) st = ot_tuning_open(&b->tuning, b->plan, &b->data, &b->opt);
    if (st == OT_OK) st = ot_plan_load(b->plan, b->chip);
    return st;
}

static ot_status logits_of(bench *b, float *out)
{
    check_poison(out, N * CLASSES);
    return ot_plan_forward(b->plan, &b->data, NULL, N, out, NULL);
}

static ot_status loss_of(bench *b, double *loss)
{
    double gain[16], offset[16];
    return ot_plan_gradient(b->plan, &b->data, b->tuning->index[SUBSET], b->tuning->n[SUBSET], loss, gain, offset);
}

/* ---- plans that train with batch norm frozen, and take another network's numbers ---- */

static void fetch(const bench *b, const ot_network *net, const uint32_t *rows, int n, float *x, int32_t *labels)
{
    for (int k = 0; k < n; k++) {
        ot_data_image(&b->data, net, rows ? rows[k] : (uint32_t)k, x + (size_t)k * SIDE * SIDE);
        labels[k] = b->labels[rows ? rows[k] : (uint32_t)k];
    }
}

/* The loss is that of the network as it runs; every kind of weight's gradient is the difference quotient of that loss. */
TEST a_frozen_plan_trains_the_network_as_it_runs(const char *backend, double tol)
{
    bench       b;
    ot_network *net;
    ot_plan    *train;
    float       x[TILE * SIDE * SIDE];
    int32_t     labels[TILE];
    double      loss = NAN, runs = NAN, gain[16], offset[16];
    OK(bench_open(&b, backend, 0.01));
    OK(ot_chip_network_copy(&net, b.chip));
    OK(ot_plan_open(&train, b.be, net, &(ot_plan_options){.use = OT_PLAN_TRAIN, .tile = TILE, .frozen_norm = 1}));
    const size_t n = ot_network_parameters(net);
    float       *p = malloc(n * sizeof *p), *grad = malloc(n * sizeof *grad);
    ASSERT(p && grad);
    ot_network_get_parameters(net, p);
    fetch(&b, net, NULL, TILE, x, labels);
    check_poison(grad, n);
    OK(ot_plan_set_parameters(train, p));
    OK(ot_plan_train(train, x, labels, TILE, grad, NULL, &loss, NULL));
    OK(ot_plan_gradient(b.plan, &b.data, NULL, TILE, &runs, gain, offset));
    ASSERT_IN_RANGE(runs, loss, tol);
    size_t at = 0;
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        const size_t    weights = ot_layer_weights(l);
        for (size_t k = 0; weights && k < weights && !strcmp(backend, "ref"); k += 1 + weights / 3) {
            const float w = p[at + k];
            double      side[2];
            for (int s = 0; s < 2; s++) {
                p[at + k] = w + (s ? 1e-4f : -1e-4f);
                ot_network_set_parameters(net, p);
                OK(ot_plan_load_network(b.plan, net));
                OK(ot_plan_gradient(b.plan, &b.data, NULL, TILE, &side[s], gain, offset));
                p[at + k] = w;
            }
            const double step = (double)(w + 1e-4f) - (double)(w - 1e-4f);
            ASSERT_IN_RANGE((side[1] - side[0]) / step, (double)grad[at + k], 2e-3 * (1 + fabs((double)grad[at + k])));       /* kinks of ReLUs within 1e-4 */
        }
        at += weights + (l->bias ? (size_t)l->c : 0);
        for (int c = 0; l->gamma && c < 2 * l->c; c++) ASSERT_EQ(0.0f, grad[at++]);
    }
    ASSERT_EQ(n, at);
    free(grad), free(p);
    ot_plan_free(train);
    ot_network_free(net);
    bench_close(&b);
    PASS();
}

TEST a_plan_takes_another_networks_numbers(const char *backend)
{
    bench       b;
    ot_network *net, *other;
    float       want[N * CLASSES], got[N * CLASSES];
    OK(bench_open(&b, backend, 0.01));
    OK(logits_of(&b, want));
    OK(ot_plan_load(b.plan, NULL));
    OK(ot_chip_network_copy(&net, b.chip));
    OK(ot_plan_load_network(b.plan, net));
    OK(logits_of(&b, got));
    ASSERT_MEM_EQ(want, got, sizeof want);
    OK(ot_model_build(&other, "resnet20", 1, SIDE, SIDE, CLASSES, 1));
    FAILS(OT_E_SHAPE, "network 'resnet20' is not of the plan's layers ('resnet8'): layer", ot_plan_load_network(b.plan, other));
    ot_network_free(other);
    OK(ot_model_build(&other, "resnet8", 1, SIDE, SIDE, CLASSES + 1, 1));
    FAILS(OT_E_SHAPE, "differs", ot_plan_load_network(b.plan, other));
    ot_network_free(other);
    OK(logits_of(&b, got));
    ASSERT_MEM_EQ(want, got, sizeof want);
    ot_network_free(net);
    bench_close(&b);
    PASS();
}

/* ---- retraining ---- */

/* Again, plainly: gradients summed over 8 minibatches, the k largest |w g| found one by one, textbook Adam on these. */
static ot_status plainly(const bench *b, ot_network *net, int k_chosen, int *at_limit)
{
    const size_t n = ot_network_parameters(net);
    float       *p = malloc(n * sizeof *p), *grad = malloc(n * sizeof *grad), x[16 * SIDE * SIDE];
    double      *sum = calloc(n, sizeof *sum), *m = calloc(n, sizeof *m), *v = calloc(n, sizeof *v), *w = calloc(n, sizeof *w), *limit = calloc(n, sizeof *limit);
    char        *is_weight = calloc(n, 1), *chosen = calloc(n, 1);
    ot_plan     *plan;
    ot__images   images;
    uint32_t     rows[16];
    int32_t      labels[16];
    size_t       at = 0;
    for (int i = 0; i < ot_network_layers(b->net); i++) {
        const ot_layer *l = ot_network_layer(b->net, i);
        const size_t    weights = ot_layer_weights(l);
        double          most = 0;
        for (size_t k = 0; k < weights; k++) most = fmax(most, fabs((double)l->weight[k]));
        for (size_t k = 0; k < weights; k++) is_weight[at + k] = 1, limit[at + k] = most;
        at += weights + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
    }
    ot_network_get_parameters(net, p);
    for (size_t k = 0; k < n; k++) w[k] = (double)p[k];
    OT_TRY(ot_plan_open(&plan, b->be, net, &(ot_plan_options){.use = OT_PLAN_TRAIN, .tile = 16, .frozen_norm = 1}));
    OT_TRY(ot__images_open(&images, b->tuning->index[SUBSET], b->tuning->n[SUBSET], b->opt.seed));
    for (int step = 0; step < 8 + b->opt.steps; step++) {
        if (step == 8)
            for (int c = 0; c < k_chosen; c++) {
                if (b->opt.retrain_frac >= 1) {                 /* all of them */
                    memcpy(chosen, is_weight, n);
                    break;
                }
                size_t best = n;
                for (size_t k = 0; k < n; k++)
                    if (is_weight[k] && !chosen[k] && (best == n || fabs(w[k] * sum[k]) > fabs(w[best] * sum[best]))) best = k;
                chosen[best] = 1;
            }
        ot__images_next(&images, rows, 16);
        fetch(b, net, rows, 16, x, labels);
        OT_TRY(ot_plan_set_parameters(plan, p));
        OT_TRY(ot_plan_train(plan, x, labels, 16, grad, NULL, NULL, NULL));
        const int t = step - 7;
        for (size_t k = 0; k < n; k++) {
            const double g = (double)grad[k];
            sum[k] += step < 8 ? g : 0;
            if (!chosen[k]) continue;
            m[k] = 0.9 * m[k] + 0.1 * g;
            v[k] = 0.999 * v[k] + 0.001 * g * g;
            w[k] -= b->opt.retrain_lr * (m[k] / (1 - pow(0.9, t))) / (sqrt(v[k] / (1 - pow(0.999, t))) + 1e-8);
            *at_limit += fabs(w[k]) > limit[k];
            w[k] = fmax(-limit[k], fmin(limit[k], w[k]));
            p[k] = (float)w[k];
        }
    }
    ot_network_set_parameters(net, p);
    ot__images_close(&images);
    ot_plan_free(plan);
    free(chosen), free(is_weight), free(limit), free(w), free(v), free(m), free(sum), free(grad), free(p);
    return OT_OK;
}

/* A rate of 0.5 brings weights to their limits. */
TEST retraining_is_what_it_says(double frac, double lr)
{
    bench        b;
    ot_network  *net;
    float        want[N * CLASSES], got[N * CLASSES], before[N * CLASSES], gain[16], offset[16];
    ot_tune_cost cost;
    int64_t      values = -1;
    double       first, last;
    OK(bench_open(&b, "ref", frac));
    b.opt.retrain_lr = b.tuning->opt.retrain_lr = lr;
    OK(logits_of(&b, before));
    OK(loss_of(&b, &first));
    check_poison(gain, 16), check_poison(offset, 16);
    OK(ot_tuning_change(b.tuning, OT_TUNER_RETRAIN, b.plan, b.chip, gain, offset, &values, &cost));
    for (int l = 0; l < ot_network_knobs(b.net); l++) ASSERT(gain[l] == 1 && offset[l] == 0);
    size_t weights = 0;
    for (int k = 0; k < ot_network_crossbars(b.net); k++) weights += ot_layer_weights(ot_network_crossbar(b.net, k));
    ASSERT_EQ((int64_t)ceil(frac * (double)weights), values);
    ASSERT_EQ((8 + 5) * 16, cost.images_forward);
    ASSERT_EQ(cost.images_forward, cost.images_backward);
    ASSERT_EQ(5, cost.steps);
    OK(logits_of(&b, got));
    OK(loss_of(&b, &last));
    if (lr < 0.1) ASSERT_LT(last, first);
    OK(ot_chip_network_copy(&net, b.chip));
    int at_limit = 0;
    OK(plainly(&b, net, (int)values, &at_limit));
    ASSERT(lr < 0.1 || at_limit > 100);
    OK(ot_plan_load_network(b.plan, net));
    OK(logits_of(&b, want));
    CHECK_CLOSE(want, got, N * CLASSES, 1e-5 * check_max_f32(want, N * CLASSES));       /* powers of 0.9 by pow, not by products: weights differ by a float's last bit */
    OK(ot_tuning_change_back(b.plan, b.chip));
    OK(logits_of(&b, got));
    ASSERT_MEM_EQ(before, got, sizeof got);
    ot_network_free(net);
    bench_close(&b);
    PASS();
}

TEST a_failed_allocation_leaves_the_chip_alone(ot_tuner tuner)
{
    bench        b;
    float        gain[16], offset[16], before[N * CLASSES], after[N * CLASSES];
    ot_tune_cost cost;
    OK(bench_open(&b, "cpu", 0.05));
    b.tuning->opt.steps = 1, b.tuning->n[SUBSET] = 8;
    OK(logits_of(&b, before));
    const size_t live = ot_memory_now().live;
    for (int n = 1;; n++) {
        ot_memory_fail_at((size_t)n);
        ot_status st = ot_tuning_change(b.tuning, tuner, b.plan, b.chip, gain, offset, NULL, &cost);
        ot_memory_fail_at(0);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        OK(logits_of(&b, after));
        ASSERT_MEM_EQ(before, after, sizeof after);
        ASSERT(n < 500);
    }
    bench_close(&b);
    PASS();
}

/* ---- batch norm ---- */

typedef struct seen { const ot_network *net; double worst_mean, worst_sd; } seen;

/* What stands before ReLU `relu` if batch norm does, else NULL. */
static const ot_layer *norm_before(const ot_network *net, int relu)
{
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        if (l->op == OT_OP_RELU && l->relu == relu && ot_network_layer(net, l->in[0])->op == OT_OP_BATCH_NORM) return ot_network_layer(net, l->in[0]);
    }
    return NULL;
}

static ot_status look(void *user, int relu, double mean, double sd, float *gain, float *offset)
{
    seen           *s = user;
    const ot_layer *l = norm_before(s->net, relu);
    double          beta = 0, gamma2 = 0;
    (void)gain, (void)offset;
    if (!l) return OT_OK;
    for (int c = 0; c < l->c; c++) beta += (double)l->beta[c] / l->c, gamma2 += (double)l->gamma[c] * (double)l->gamma[c] / l->c;
    s->worst_mean = fmax(s->worst_mean, fabs(mean - beta));
    s->worst_sd = fmax(s->worst_sd, fabs(sd / sqrt(gamma2) - 1));
    return OT_OK;
}

/* On the images they were found on, inputs of ReLUs right behind a norm have mean beta and spread gamma. */
TEST batch_norm_is_found_again(const char *backend)
{
    bench        b;
    float        gain[16], offset[16], before[N * CLASSES], after[N * CLASSES];
    ot_tune_cost cost;
    int64_t      values;
    OK(bench_open(&b, backend, 0.01));
    OK(logits_of(&b, before));
    seen was = {.net = b.net}, is = {.net = b.net};
    OK(ot_plan_moments(b.plan, &b.data, b.tuning->index[MATCH], (int)b.tuning->n[MATCH], look, &was));
    OK(ot_tuning_change(b.tuning, OT_TUNER_BN_STATS, b.plan, b.chip, gain, offset, &values, &cost));
    ASSERT_EQ((int64_t)ot_network_statistics(b.net), values);
    ASSERT(cost.images_forward == 24 && cost.images_backward == 0 && cost.steps == 0);
    OK(ot_plan_moments(b.plan, &b.data, b.tuning->index[MATCH], (int)b.tuning->n[MATCH], look, &is));
    ASSERT_GT(was.worst_sd, 0.01);
    ASSERT_GT(was.worst_mean, 0.02);
    ASSERT_IN_RANGE(0, is.worst_mean, 2e-3);            /* found with a minibatch's own variance, kept as the unbiased one: 1/2 % of 24 x 4 pixels in the last stage */
    ASSERT_IN_RANGE(0, is.worst_sd, 0.03);
    OK(ot_tuning_change_back(b.plan, b.chip));
    OK(logits_of(&b, after));
    ASSERT_MEM_EQ(before, after, sizeof after);
    bench_close(&b);
    PASS();
}

/* ---- bad input ---- */

TEST tuners_say_what_does_not_suit_them(void)
{
    bench        b;
    ot_network  *net;
    float        gain[16], offset[16];
    ot_tune_cost cost;
    OK(bench_open(&b, "ref", 0.01));
    FAILS(OT_E_USAGE, "the tuner closed-form sets knobs: want ot_tuning_run", ot_tuning_change(b.tuning, OT_TUNER_CLOSED_FORM, b.plan, b.chip, gain, offset, NULL, &cost));
    FAILS(OT_E_USAGE, "the tuner retrain changes one chip at a time", ot_tuning_run(b.tuning, OT_TUNER_RETRAIN, b.plan, NULL, NULL, gain, offset, NULL, &cost));
    OK(ot_model_build(&net, "lenet5", 1, 28, 28, 10, 1));
    FAILS(OT_E_UNSUPPORTED, "bn-stats wants batch norm apart from the weights; 'lenet5' has none", ot_tuner_suits(OT_TUNER_BN_STATS, net, b.be));
    OK(ot_tuner_suits(OT_TUNER_RETRAIN, net, b.be));
    ot_network_free(net);
    OK(ot_model_build(&net, "snn-xs", 1, 28, 28, 10, 1));
    FAILS(OT_E_UNSUPPORTED, "the tuner retrain is for networks of ReLU layers; 'snn-xs' spikes", ot_tuner_suits(OT_TUNER_RETRAIN, net, b.be));
    OK(ot_tuner_suits(OT_TUNER_SELF_TUNING, net, b.be));
    ot_network_free(net);
    ot_tune_options many = ot_tune_defaults();
    many.ltm_columns = 0;
    FAILS(OT_E_RANGE, "ltm_columns = 0, want 1..65536", ot_tune_check(&many));
    static const double bad[] = {0, -0.1, 1.01, NAN};
    for (int k = 0; k < 4; k++) {
        ot_tune_options o = ot_tune_defaults();
        o.retrain_frac = bad[k];
        FAILS(OT_E_RANGE, "retrain_frac", ot_tune_check(&o));
        o = ot_tune_defaults();
        o.retrain_lr = bad[k];
        FAILS(OT_E_RANGE, "retrain_lr", ot_tune_check(&o));
    }
    bench_close(&b);
    PASS();
}

/* ---- campaigns ---- */

static ot_status small(ot_campaign_spec *s, const char *tuners, const char *backend)
{
    ot_campaign_spec_defaults(s);
    snprintf(s->network, sizeof s->network, "%s", check_golden("../tune/tiny.onnx"));
    snprintf(s->data, sizeof s->data, "npz:%s", check_golden("../tune/tiny.npz"));
    s->casebook_chips = 0, s->chips = CHIPS, s->stimulus_images = 4;
    s->variation.sigma = 0.08;
    snprintf(s->backend, sizeof s->backend, "%s", backend);
    ot_status st = ot_campaign_spec_set(s, "tune.retrain_frac", "0.1");
    return st == OT_OK ? ot_campaign_spec_set(s, "tuners", tuners) : st;
}

/* Every tuner finds the chip as it was, whatever ran before; digests do not depend on threads nor on when a tuner came. */
TEST campaigns_have_them_as_tuners(const char *backend)
{
    ot_campaign_spec     s;
    ot_campaign_how      one = {.threads = 1}, three = {.threads = 3};
    ot_campaign_results *r;
    char                 a[600], b[600], first[65], second[65];
    snprintf(a, sizeof a, "%s/retrain-a-%s.db", check_scratch(), backend);
    snprintf(b, sizeof b, "%s/retrain-b-%s.db", check_scratch(), backend);
    OK(small(&s, "closed-form,self-tuning,bn-stats,retrain", backend));
    OK(ot_campaign_run(a, &s, &one));
    OK(small(&s, "retrain", backend));
    OK(ot_campaign_run(b, &s, &three));
    OK(small(&s, "bn-stats,retrain,self-tuning,closed-form", backend));
    OK(ot_campaign_run(b, &s, &three));
    OK(ot_campaign_digest(a, first));
    OK(ot_campaign_digest(b, second));
    ASSERT_STR_EQ(first, second);
    OK(ot_campaign_results_read(&r, a));
    ASSERT(r->n == CHIPS && r->n_tuners == 4 && r->failed == 0);
    ot_campaign_results_free(r);
    FAILS(OT_E_RANGE, "tune.retrain_frac", ot_campaign_spec_set(&s, "tune.retrain_frac", "1.5"));
    OK(ot_campaign_spec_set(&s, "tune.retrain_frac", "0.2"));
    FAILS(OT_E_MISMATCH, "tune.retrain_frac (stored 0.1, asked 0.2)", ot_campaign_run(b, &s, &one));
    PASS();
}

SUITE(test_retrain)
{
    RUN_TESTp(a_frozen_plan_trains_the_network_as_it_runs, "ref", 1e-7);
    greatest_set_test_suffix("cpu");
    RUN_TESTp(a_frozen_plan_trains_the_network_as_it_runs, "cpu", 2e-5);
    RUN_TESTp(a_plan_takes_another_networks_numbers, "ref");
    RUN_TESTp(a_plan_takes_another_networks_numbers, "cpu");
    RUN_TESTp(retraining_is_what_it_says, 0.005, 0.003);
    RUN_TESTp(retraining_is_what_it_says, 0.02, 0.003);
    RUN_TESTp(retraining_is_what_it_says, 1.0, 0.003);
    RUN_TESTp(retraining_is_what_it_says, 1.0, 0.5);
    RUN_TESTp(a_failed_allocation_leaves_the_chip_alone, OT_TUNER_RETRAIN);
    RUN_TESTp(a_failed_allocation_leaves_the_chip_alone, OT_TUNER_BN_STATS);
    RUN_TESTp(a_failed_allocation_leaves_the_chip_alone, OT_TUNER_SELF_TUNING_LTM);
    RUN_TESTp(batch_norm_is_found_again, "ref");
    RUN_TESTp(batch_norm_is_found_again, "cpu");
    RUN_TEST(tuners_say_what_does_not_suit_them);
    RUN_TESTp(campaigns_have_them_as_tuners, "ref");
    RUN_TESTp(campaigns_have_them_as_tuners, "cpu");
}

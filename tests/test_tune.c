/* test_tune.c - Adam on knobs, the closed form, the casebook, the door to all tuners. */
#include "kernels/adam.h"
#include "trelu.h"
#include "tune/adam.h"

enum { L = 6 };

typedef struct bench { ot_network *net; ot_data data; ot_backend *be; ot_plan *plan; } bench;

static ot_status bench_open(bench *b, const char *backend)
{
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = OT_PLAN_TUNE;
    opt.tile = 32;
    *b = (bench){0};
    ot_status st = trelu_open(&b->net, &b->data);
    if (st == OT_OK) st = ot_backend_open(&b->be, backend, NULL);
    if (st == OT_OK) st = ot_plan_open(&b->plan, b->be, b->net, &opt);
    if (st == OT_OK) st = ot_plan_load(b->plan, NULL);
    return st;
}

static void bench_close(bench *b)
{
    ot_plan_free(b->plan);
    ot_backend_close(b->be);
    trelu_close(b->net, &b->data);
}

/* A made-up device, steep enough that chips differ; no physics to integrate. */
static const ot_device steep = {.name = "steep", .g = {1e-4, 1e-6}, .n_poly = {3, 2}, .poly = {{1, 0.9, 0.2}, {1, -0.8}}, .domain = 0.15,
                                .g_min = 1e-9, .g_max = 1e-2, .s = {6, -5.3}, .valid_min = -0.15};

static ot_status draw(ot_chip **chip, const ot_network *net, uint32_t number)
{
    ot_variation var = OT_VARIATION_INIT;
    return ot_chip_draw(chip, net, &steep, &var, number);
}

static double loss_of(bench *b, const float *gain, const float *offset)
{
    double loss = NAN, grad[2 * L];
    if (ot_plan_set_knobs(b->plan, gain, offset) != OT_OK) return NAN;
    if (ot_plan_gradient(b->plan, &b->data, NULL, 32, &loss, grad, grad + L) != OT_OK) return NAN;
    return loss;
}

/* PyTorch float64's 20 steps on given minibatches. */
TEST adam_follows_the_golden_trajectory(const char *backend, double knob_tol, double loss_tol)
{
    bench           b;
    ot_array        batches, want_a, want_b, want_batch_loss, want_loss;
    float           gain[L] = {1, 1, 1, 1, 1, 1}, offset[L] = {0};
    ot_tune_cost    cost = {0};
    ot__adam       *adam;
    OK(bench_open(&b, backend));
    ASSERT(check_load(&batches, "trelu/batches.npy") && check_load(&want_a, "trelu/adam_a.npy") && check_load(&want_b, "trelu/adam_b.npy") &&
           check_load(&want_batch_loss, "trelu/adam_batch_loss.npy") && check_load(&want_loss, "trelu/adam_loss.npy"));
    OK(ot__adam_open(&adam, L, 0.01, gain, offset));
    for (int step = 0; step < 20; step++) {
        uint32_t rows[16];
        double   loss = NAN;
        for (int i = 0; i < 16; i++) rows[i] = (uint32_t)((const double *)batches.data)[step * 16 + i];
        OK(ot__adam_step(adam, b.plan, &b.data, rows, 16, &loss, &cost));
        check_poison(gain, L), check_poison(offset, L);
        ot__adam_knobs(adam, gain, offset);
        ASSERT_IN_RANGE(((const double *)want_batch_loss.data)[step], loss, loss_tol);
        for (int l = 0; l < L; l++) {
            ASSERT_IN_RANGE(((const double *)want_a.data)[step * L + l], (double)gain[l], knob_tol);
            ASSERT_IN_RANGE(((const double *)want_b.data)[step * L + l], (double)offset[l], knob_tol);
        }
        ASSERT_IN_RANGE(((const double *)want_loss.data)[step], loss_of(&b, gain, offset), loss_tol);
    }
    ASSERT(cost.steps == 20 && cost.images_forward == 320 && cost.images_backward == 320 && cost.nan_restores == 0);
    ot__adam_close(adam);
    ot_array_free(&batches), ot_array_free(&want_a), ot_array_free(&want_b), ot_array_free(&want_batch_loss), ot_array_free(&want_loss);
    bench_close(&b);
    PASS();
}

TEST adam_repeats_itself_and_listens_to_the_seed(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    float           knobs[3][2 * L];
    uint32_t        index[32];
    opt.minibatch = 10;                                   /* cuts across epochs */
    for (uint32_t i = 0; i < 32; i++) index[i] = i;
    OK(bench_open(&b, "ref"));
    for (int turn = 0; turn < 3; turn++) {
        ot_tune_cost cost = {0};
        for (int l = 0; l < L; l++) knobs[turn][l] = 1, knobs[turn][L + l] = 0;
        opt.seed = turn == 2 ? 9 : 1;
        OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 7, knobs[turn], knobs[turn] + L, &cost));
        ASSERT(cost.steps == 7 && cost.images_forward == 70 && cost.images_backward == 70 && cost.seconds > 0);
    }
    ASSERT_EQ(0, memcmp(knobs[0], knobs[1], sizeof knobs[0]));
    ASSERT(memcmp(knobs[0], knobs[2], sizeof knobs[0]));
    bench_close(&b);
    PASS();
}

TEST an_epoch_shows_every_image_once(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    uint32_t        index[32];
    float           a[2 * L], c[2 * L];
    ot_tune_cost    cost = {0};
    for (uint32_t i = 0; i < 32; i++) index[i] = i;
    OK(bench_open(&b, "ref"));
    for (int l = 0; l < L; l++) a[l] = c[l] = 1, a[L + l] = c[L + l] = 0;
    opt.minibatch = 4096;                                 /* the whole list at once: the order does not matter */
    OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 1, a, a + L, &cost));
    opt.seed = 77;
    OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 1, c, c + L, &cost));
    CHECK_CLOSE(a, c, 2 * L, /* Adam's first step is lr whatever the size of the gradient; sums in another order */ 1e-6);
    ASSERT_EQ(64, cost.images_forward);
    bench_close(&b);
    PASS();
}

TEST a_loss_that_is_not_finite_brings_the_best_knobs_back(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    uint32_t        index[32];
    float           gain[L], offset[L], sane_gain[L] = {1, 1, 1, 1, 1, 1}, sane_offset[L] = {0};
    ot_tune_cost    cost = {0}, sane_cost = {0};
    for (uint32_t i = 0; i < 32; i++) index[i] = i;
    opt.minibatch = 32;
    OK(bench_open(&b, "ref"));
    for (int l = 0; l < L; l++) gain[l] = 1e38f, offset[l] = 0;               /* overflows in the second layer */
    OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 6, gain, offset, &cost));
    ASSERT_EQ(1, cost.nan_restores);
    ASSERT_EQ(6, cost.steps);
    /* one step lost, then as from 1, 0: the same images in every minibatch, in another order */
    OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 5, sane_gain, sane_offset, &sane_cost));
    CHECK_CLOSE(sane_gain, gain, L, 1e-4);
    CHECK_CLOSE(sane_offset, offset, L, 1e-4);
    ASSERT_EQ(0, sane_cost.nan_restores);
    bench_close(&b);
    PASS();
}

TEST best_means_the_least_loss_seen(void)
{
    bench        b;
    float        gain[L] = {1, 1, 1, 1, 1, 1}, offset[L] = {0}, first_gain[L], first_offset[L];
    ot_tune_cost cost = {0};
    ot__adam    *adam;
    double       loss, first;
    uint32_t     rows[32];
    for (uint32_t i = 0; i < 32; i++) rows[i] = i;
    OK(bench_open(&b, "ref"));
    OK(ot__adam_open(&adam, L, 0.9, gain, offset));                           /* a stride that makes matters worse at once */
    OK(ot__adam_step(adam, b.plan, &b.data, rows, 32, &first, &cost));
    ot__adam_knobs(adam, first_gain, first_offset);
    OK(ot__adam_step(adam, b.plan, &b.data, rows, 32, &loss, &cost));
    ASSERT_GT(loss, first);
    float *w = ot_network_weights(b.net, 1), keep = w[0];                     /* the chip breaks */
    w[0] = NAN;
    OK(ot_plan_load(b.plan, NULL));
    OK(ot__adam_step(adam, b.plan, &b.data, rows, 32, &loss, &cost));
    ot__adam_knobs(adam, first_gain, first_offset);
    ASSERT_EQ(1, cost.nan_restores);
    CHECK_CLOSE(gain, first_gain, L, 0);
    CHECK_CLOSE(offset, first_offset, L, 0);
    w[0] = keep;
    ot__adam_close(adam);
    bench_close(&b);
    PASS();
}

TEST a_chip_that_never_answers_ends_untuned_after_four_tries(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    uint32_t        index[32];
    float           gain[L], offset[L], one[L] = {1, 1, 1, 1, 1, 1}, zero[L] = {0};
    ot_tune_cost    cost = {0};
    for (uint32_t i = 0; i < 32; i++) index[i] = i;
    OK(bench_open(&b, "ref"));
    ot_network_weights(b.net, 1)[0] = NAN;
    OK(ot_plan_load(b.plan, NULL));
    for (int l = 0; l < L; l++) gain[l] = 2, offset[l] = 0.5f;
    OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 100, gain, offset, &cost));
    ASSERT_EQ(4, cost.steps);
    ASSERT_EQ(4, cost.nan_restores);
    CHECK_CLOSE(one, gain, L, 0);
    CHECK_CLOSE(zero, offset, L, 0);
    bench_close(&b);
    PASS();
}

/* Two steps by hand: gradients asked of the plan, the update written out. */
TEST knobs_follow_policy_and_optimiser(ot_optimizer optimizer, double momentum)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    uint32_t        index[32];
    float           gain[L] = {1, 1, 1, 1, 1, 1}, offset[L] = {0}, want[2 * L];
    double          knob[2 * L], v[2 * L] = {0}, m[2 * L] = {0}, grad[2 * L], loss;
    ot_tune_cost    cost = {0};
    for (uint32_t i = 0; i < 32; i++) index[i] = i;
    OK(bench_open(&b, "ref"));
    OK(ot_policy_read(&opt.policy, "STEP k0=0.02 gamma=0.25 l=1ep"));         /* an epoch is one step of all images: 0.02, 0.005, 0.00125 */
    opt.minibatch = 32, opt.lr = 1;
    opt.optimizer = optimizer, opt.momentum = momentum;
    for (int k = 0; k < 2 * L; k++) knob[k] = k < L;
    for (int step = 0; step < 3; step++) {
        const double lr = 0.02 * pow(0.25, step);
        for (int k = 0; k < 2 * L; k++) want[k] = (float)knob[k];
        OK(ot_plan_set_knobs(b.plan, want, want + L));
        OK(ot_plan_gradient(b.plan, &b.data, index, 32, &loss, grad, grad + L));
        for (int k = 0; k < 2 * L; k++) {
            v[k] = optimizer == OT_OPTIMIZER_SGD ? momentum * v[k] + grad[k] : 0.999 * v[k] + 0.001 * grad[k] * grad[k];
            m[k] = 0.9 * m[k] + 0.1 * grad[k];
            knob[k] -= optimizer == OT_OPTIMIZER_SGD ? lr * v[k] : lr * m[k] / (1 - pow(0.9, step + 1)) / (sqrt(v[k] / (1 - pow(0.999, step + 1))) + 1e-8);
        }
    }
    for (int k = 0; k < 2 * L; k++) want[k] = (float)knob[k];
    OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 3, gain, offset, &cost));
    /* the same images in another order: float sums, and Adam's steps are as sensitive as gradients are small */
    CHECK_CLOSE(want, gain, L, 1e-5);
    CHECK_CLOSE(want + L, offset, L, 1e-5);
    ASSERT_EQ(3, cost.steps);
    bench_close(&b);
    PASS();
}

TEST a_fixed_policy_is_the_plain_rate_to_the_bit(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    uint32_t        index[32];
    float           knobs[2][2 * L];
    for (uint32_t i = 0; i < 32; i++) index[i] = i;
    opt.minibatch = 10;
    OK(bench_open(&b, "ref"));
    for (int turn = 0; turn < 2; turn++) {
        ot_tune_cost cost = {0};
        for (int l = 0; l < L; l++) knobs[turn][l] = 1, knobs[turn][L + l] = 0;
        if (turn) OK(ot_policy_read(&opt.policy, "FIX k0=0.01"));
        opt.lr = turn ? 0.5 : 0.01;
        OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 7, knobs[turn], knobs[turn] + L, &cost));
    }
    ASSERT_MEM_EQ(knobs[0], knobs[1], sizeof knobs[0]);
    bench_close(&b);
    PASS();
}

/* However large its steps, knobs stay what a float holds and a plan takes. */
TEST sgd_that_runs_away_is_no_failure(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    uint32_t        index[32];
    float           gain[L] = {1, 1, 1, 1, 1, 1}, offset[L] = {0};
    ot_tune_cost    cost = {0};
    for (uint32_t i = 0; i < 32; i++) index[i] = i;
    OK(bench_open(&b, "ref"));
    OK(ot_policy_read(&opt.policy, "FIX k0=100"));
    opt.minibatch = 32, opt.optimizer = OT_OPTIMIZER_SGD, opt.momentum = 0.99;
    for (int l = 0; l < L; l++) gain[l] = 1e6f;                               /* gradients to match */
    OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 40, gain, offset, &cost));
    ASSERT(cost.steps == 40 || cost.nan_restores >= 4);
    for (int l = 0; l < L; l++) ASSERT(isfinite(gain[l]) && isfinite(offset[l]));
    ot_adam s = {1e300, 0};
    ASSERT_EQ(-1e38, ot_sgd_step(0, 0, 1e10, 1, &s));
    s.m = -1e300;
    ASSERT_EQ(1e38, ot_sgd_step(0, 0, 1e10, 1, &s));
    bench_close(&b);
    PASS();
}

TEST a_policy_that_does_not_fit_the_steps_is_refused_at_once(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    ot_tuning      *t;
    OK(bench_open(&b, "ref"));
    OK(ot_policy_read(&opt.policy, "FIX(k0=0.1)@30, FIX(k0=0.01)@50%, FIX(k0=0.001)"));
    opt.steps = 100, opt.polish_steps = 20;                                   /* of the 20 steps after a closed form half are 10 */
    FAILS(OT_E_RANGE, "boundary 2 is at 10 after 30", ot_tuning_open(&t, b.plan, &b.data, &opt));
    opt.policy.part[0].k0 = -1;
    FAILS(OT_E_RANGE, "FIX: k0 = -1", ot_tuning_open(&t, b.plan, &b.data, &opt));
    opt.policy = (ot_policy){0};
    opt.momentum = 1;
    FAILS(OT_E_RANGE, "momentum = 1", ot_tuning_open(&t, b.plan, &b.data, &opt));
    opt.momentum = 0, opt.optimizer = (ot_optimizer)2;
    FAILS(OT_E_RANGE, "optimizer = 2", ot_tuning_open(&t, b.plan, &b.data, &opt));
    bench_close(&b);
    PASS();
}

TEST gains_are_held_at_a_64th_and_counted(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    uint32_t        index[32];
    float           gain[L] = {1, 1, 1, 1, 1, 1}, offset[L] = {0}, least = 9;
    ot_tune_cost    cost = {0};
    for (uint32_t i = 0; i < 32; i++) index[i] = i;
    opt.lr = 1;                                           /* Adam's first step is lr: gains with a rising loss go to 0 */
    OK(bench_open(&b, "ref"));
    OK(ot_tune_adam(b.plan, &b.data, index, 32, &opt, 1, gain, offset, &cost));
    ASSERT_GT(cost.projected, 0);
    int held = 0;
    for (int l = 0; l < L; l++) least = gain[l] < least ? gain[l] : least, held += gain[l] == 0.015625f;
    ASSERT_EQ(0.015625f, least);
    ASSERT_EQ(cost.projected, held);
    bench_close(&b);
    PASS();
}

typedef struct seen { const float *gain, *offset; double mean[L], sd[L]; } seen;
static ot_status look(void *user, int relu, double mean, double sd, float *gain, float *offset)
{
    seen *s = user;
    s->mean[relu] = mean;
    s->sd[relu] = sd;
    *gain = s->gain[relu];
    *offset = s->offset[relu];
    return OT_OK;
}

TEST the_closed_form_gives_each_layer_the_ideals_mean_and_spread(void)
{
    bench        b;
    ot_chip     *chip;
    double       mean[L], sd[L];
    float        gain[L], offset[L];
    ot_tune_cost cost = {0};
    seen         s = {.gain = gain, .offset = offset};
    uint32_t     index[20];
    for (uint32_t i = 0; i < 20; i++) index[i] = 31 - i;
    OK(bench_open(&b, "ref"));
    OK(ot_tune_targets(mean, sd, b.plan, &b.data, index, 20));
    OK(ot_tune_closed_form(b.plan, &b.data, index, 20, mean, sd, gain, offset, &cost));    /* the ideal needs no tuning */
    for (int l = 0; l < L; l++) {
        ASSERT_IN_RANGE(1, (double)gain[l], 1e-6);
        ASSERT_IN_RANGE(0, (double)offset[l], 1e-6 * sd[l]);
    }
    OK(draw(&chip, b.net, 3));
    OK(ot_plan_load(b.plan, chip));
    check_poison(gain, L), check_poison(offset, L);
    OK(ot_tune_closed_form(b.plan, &b.data, index, 20, mean, sd, gain, offset, &cost));
    ASSERT(cost.images_forward == 40 && cost.images_backward == 0 && cost.steps == 0 && cost.projected == 0);
    OK(ot_plan_moments(b.plan, &b.data, index, 20, look, &s));
    double moved = 0;
    for (int l = 0; l < L; l++) {
        moved = fmax(moved, fabs((double)gain[l] - 1));
        ASSERT_IN_RANGE(sd[l], s.sd[l] * (double)gain[l], /* knobs are floats */ 1e-6 * sd[l]);
        ASSERT_IN_RANGE(mean[l], (s.mean[l] - (double)offset[l]) * (double)gain[l], 1e-6 * (sd[l] + fabs(s.mean[l] * (double)gain[l])));
    }
    ASSERT_GT(moved, 0.01);                               /* the chip did need it */
    ot_chip_free(chip);
    bench_close(&b);
    PASS();
}

TEST the_closed_form_leaves_layers_without_spread_alone(void)
{
    bench        b;
    double       mean[L], sd[L];
    float        gain[L], offset[L];
    ot_tune_cost cost = {0};
    uint32_t     index[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    OK(bench_open(&b, "ref"));
    OK(ot_tune_targets(mean, sd, b.plan, &b.data, index, 8));
    sd[0] = 0;                                            /* the ideal's */
    sd[1] = NAN;
    sd[L - 1] = sd[L - 1] * 1e-3;                         /* the last: nothing follows that would make up for it */
    OK(ot_tune_closed_form(b.plan, &b.data, index, 8, mean, sd, gain, offset, &cost));
    for (int l = 0; l < 2; l++) ASSERT(gain[l] == 1 && offset[l] == 0);
    ASSERT_EQ(0.015625f, gain[L - 1]);
    ASSERT_EQ(1, cost.projected);
    for (int layer = 0; layer < ot_network_layers(b.net); layer++) {          /* the chip's: all weights 0 */
        float *w = ot_network_weights(b.net, layer);
        if (w) memset(w, 0, ot_layer_weights(ot_network_layer(b.net, layer)) * sizeof *w);
    }
    OK(ot_tune_targets(mean, sd, b.plan, &b.data, index, 8));
    double zeros[L] = {0}, ones[L] = {1, 1, 1, 1, 1, 1};
    check_poison(gain, L), check_poison(offset, L);
    OK(ot_tune_closed_form(b.plan, &b.data, index, 8, zeros, ones, gain, offset, &cost));
    ASSERT(sd[0] > 0 || (gain[0] == 1 && offset[0] == 0));
    for (int l = 0; l < L; l++) ASSERT(gain[l] >= 0.015625f && offset[l] - offset[l] == 0);
    bench_close(&b);
    PASS();
}

/* Algorithm 2 written a second time, over the public clustering. */
static int brute_force(const float *signatures, int n, int s, int clusters, const float *asked, int *chosen)
{
    double x[40 * 8], q[8], best = -2, least = INFINITY;
    int    p = 0, label[40], medoid[40], near = -1, row = -1;
    ot_merge tree[39];
    for (int k = 0; k < s; k++) {
        double mean = 0, var = 0;
        for (int i = 0; i < n; i++) mean += (double)signatures[i * s + k] / n;
        for (int i = 0; i < n; i++) var += pow((double)signatures[i * s + k] - mean, 2) / n;
        if (sqrt(var) < 1e-12) continue;
        for (int i = 0; i < n; i++) x[i * 8 + p] = ((double)signatures[i * s + k] - mean) / sqrt(var);
        q[p++] = ((double)asked[k] - mean) / sqrt(var);
    }
    for (int i = 0; i < n; i++) memmove(x + i * p, x + i * 8, (size_t)p * sizeof *x);
    if (ot_cluster_tree(tree, x, n, p, OT_WARD) != OT_OK) return -1;
    if (!clusters)
        for (int c = 2; c <= 30 && c < n; c++) {
            double v = -2;
            ot_cluster_cut(label, tree, n, c);
            if (ot_cluster_silhouette(&v, x, n, p, label, c) != OT_OK) return -1;
            if (v > best) best = v, clusters = c;
        }
    ot_cluster_cut(label, tree, n, clusters);
    if (ot_cluster_medoids(medoid, x, n, p, label, clusters) != OT_OK) return -1;
    for (int pass = 0; pass < 2; pass++, least = INFINITY)
        for (int i = 0; i < (pass ? n : clusters); i++) {
            double d = 0;
            if (pass && label[i] != near) continue;
            for (int k = 0; k < p; k++) d += pow(x[(pass ? i : medoid[i]) * p + k] - q[k], 2);
            if (d < least) least = d, *(pass ? &row : &near) = i;
        }
    *chosen = clusters;
    return row;
}

TEST learned_takes_the_nearest_member_of_the_nearest_medoids_cluster(int n, int clusters)
{
    enum { S = 7 };
    check_rng    r = {(uint64_t)(n * 31 + clusters)};
    float        signatures[40 * S], gains[40 * 2], offsets[40 * 2], asked[S], gain[2], offset[2];
    int          other_than_plain = 0;
    ot_casebook *cb;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < S; k++)
            signatures[i * S + k] = k == 4 ? 123456.7f : (float)((k == 2 ? 1000 : 1) * (check_normal(&r) + i % 3 * (k == 0 ? 2.5 : 0)));
        for (int l = 0; l < 2; l++) gains[i * 2 + l] = 1 + 0.1f * (float)i, offsets[i * 2 + l] = (float)(i + 100 * l);
    }
    OK(ot_casebook_make(&cb, signatures, gains, offsets, n, S, 2, clusters));
    ASSERT(ot_casebook_signature_length(cb) == S && ot_casebook_relus(cb) == 2);
    ASSERT_EQ(n > 1 ? 1 : S, ot_casebook_dropped(cb));
    for (int turn = 0; turn < 50 && n > 2; turn++) {
        ot_tune_cost cost = {0};
        int          nearest = -1, chosen = -1;
        for (int k = 0; k < S; k++)
            asked[k] = k == 4 ? 123456.7f : (float)((k == 2 ? 1000 : 1) * (check_normal(&r) + (k == 0 ? 5 * check_uniform(&r) : 0)));
        OK(ot_casebook_mend(cb, OT_MENDER_LEARNED, asked, gain, offset, &nearest, &cost));
        ASSERT_EQ(brute_force(signatures, n, S, clusters, asked, &chosen), nearest);
        ASSERT_EQ(chosen, ot_casebook_clusters(cb));
        ASSERT(gain[0] == gains[nearest * 2] && offset[1] == offsets[nearest * 2 + 1]);
        other_than_plain += brute_force(signatures, n, S, 1, asked, &chosen) != nearest;
        ASSERT(cost.steps == 0 && cost.images_backward == 0);
    }
    if (clusters > 5 && clusters < n) ASSERT_GT(other_than_plain, 0);      /* the clusters do matter here */
    ot_casebook_free(cb);
    PASS();
}

TEST a_casebook_of_few_or_equal_rows_answers_with_the_lowest(void)
{
    const float  same[3 * 2] = {1, 2, 1, 2, 1, 2}, gains[3] = {2, 3, 4}, offsets[3] = {0, 0, 0}, asked[2] = {5, 5};
    float        gain, offset;
    int          nearest;
    ot_tune_cost cost = {0};
    for (int n = 1; n <= 3; n++) {
        ot_casebook *cb;
        OK(ot_casebook_make(&cb, same, gains, offsets, n, 2, 1, 0));
        ASSERT_EQ(2, ot_casebook_dropped(cb));
        ASSERT_EQ(1, ot_casebook_clusters(cb));
        OK(ot_casebook_mend(cb, OT_MENDER_LEARNED, asked, &gain, &offset, &nearest, &cost));
        ASSERT(nearest == 0 && gain == 2);
        ot_casebook_free(cb);
    }
    PASS();
}

TEST a_casebook_refuses_what_is_not_usable(void)
{
    float        signatures[4] = {1, 2, 3, 4}, gains[2] = {1, 1}, offsets[2] = {0, 0}, gain, offset;
    ot_casebook *cb;
    ot_tune_cost cost = {0};
    int          nearest;
    FAILS(OT_E_RANGE, "0 chips", ot_casebook_make(&cb, signatures, gains, offsets, 0, 2, 1, 0));
    FAILS(OT_E_RANGE, "clusters = 3", ot_casebook_make(&cb, signatures, gains, offsets, 2, 2, 1, 3));
    signatures[3] = INFINITY;
    FAILS(OT_E_DATA, "signature 1, number 1 is inf", ot_casebook_make(&cb, signatures, gains, offsets, 2, 2, 1, 0));
    signatures[3] = 4;
    gains[1] = 0.01f;
    FAILS(OT_E_DATA, "chip 1", ot_casebook_make(&cb, signatures, gains, offsets, 2, 2, 1, 0));
    gains[1] = 1;
    offsets[0] = NAN;
    FAILS(OT_E_DATA, "offset nan", ot_casebook_make(&cb, signatures, gains, offsets, 2, 2, 1, 0));
    offsets[0] = 0;
    OK(ot_casebook_make(&cb, signatures, gains, offsets, 2, 2, 1, 0));
    signatures[1] = NAN;
    FAILS(OT_E_DATA, "number 1 is nan", ot_casebook_mend(cb, OT_MENDER_LEARNED, signatures, &gain, &offset, &nearest, &cost));
    ot_casebook_free(cb);
    PASS();
}

TEST tuners_have_names(void)
{
    ot_tuner t;
    for (int i = 0; i < OT_TUNERS; i++) {
        OK(ot_tuner_parse(&t, ot_tuner_name((ot_tuner)i)));
        ASSERT_EQ(i, (int)t);
    }
    FAILS(OT_E_USAGE, "closed-form-adam", ot_tuner_parse(&t, "exhausting"));
    FAILS(OT_E_USAGE, "''", ot_tuner_parse(&t, ""));
    ASSERT_STR_EQ("?", ot_tuner_name(OT_TUNERS));
    PASS();
}

TEST settings_are_checked_one_by_one(void)
{
    ot_tune_options o = ot_tune_defaults();
    OK(ot_tune_check(&o));
#define WRONG(FIELD, VALUE)                                 \
    o = ot_tune_defaults();                                 \
    o.FIELD = VALUE;                                        \
    FAILS(OT_E_RANGE, #FIELD " = ", ot_tune_check(&o))
    WRONG(lr, 0); WRONG(lr, NAN); WRONG(lr, 1.5);
    WRONG(epochs, 0); WRONG(epochs, NAN); WRONG(epochs, 1001);
    WRONG(steps, -1); WRONG(steps, 1000001);
    WRONG(minibatch, 0); WRONG(minibatch, 5000);
    WRONG(subset_frac, 0); WRONG(subset_frac, 1.01); WRONG(subset_frac, NAN);
    WRONG(images, 1); WRONG(images, 5000);
    WRONG(polish_steps, 0); WRONG(polish_images, 0);
#undef WRONG
    PASS();
}

TEST epochs_become_steps(void)
{
    ot_tune_options o = ot_tune_defaults();
    o.epochs = 2, o.minibatch = 128;
    ASSERT_EQ(938, ot_tune_steps(&o, 60000));
    o.epochs = 0.001;
    ASSERT_EQ(1, ot_tune_steps(&o, 1000));
    o.epochs = 3;
    ASSERT_EQ(3, ot_tune_steps(&o, 20));                  /* fewer images than a minibatch: one step an epoch */
    o.steps = 50;
    ASSERT_EQ(50, ot_tune_steps(&o, 60000));
    PASS();
}

TEST every_tuner_mends_a_chip(void)
{
    bench           b;
    ot_chip        *chip;
    ot_tuning      *tuning;
    ot_casebook    *cb;
    ot_tune_options opt = ot_tune_defaults();
    ot_tune_cost    cost;
    float           signature[48], gain[L], offset[L], book[3 * 48], book_gain[3 * L], book_offset[3 * L];
    uint32_t        stimulus[3];
    int             nearest = -1;
    OK(bench_open(&b, "ref"));
    /* labels the ideal network gives: so it is right, and a chip can only be worse */
    float logits[320];
    OK(ot_plan_forward(b.plan, &b.data, NULL, 32, logits, NULL));
    for (int i = 0; i < 32; i++)
        for (int c = 0, top = 0; c < 10; c++)
            if (logits[i * 10 + c] > logits[i * 10 + top]) b.data.labels[i] = top = c; else if (!c) b.data.labels[i] = 0;
    OK(ot_stimulus_random(stimulus, 3, &b.data, 1));
    opt.minibatch = 16, opt.steps = 15, opt.images = 32, opt.polish_steps = 5, opt.polish_images = 32, opt.subset_frac = 0.5;
    OK(ot_tuning_open(&tuning, b.plan, &b.data, &opt));
    for (uint32_t number = 0; number < 3; number++) {
        OK(draw(&chip, b.net, number));
        OK(ot_plan_load(b.plan, chip));
        OK(ot_plan_set_knobs(b.plan, NULL, NULL));
        OK(ot_signature_measure(book + number * 48, b.plan, &b.data, stimulus, 3));
        OK(ot_tuning_run(tuning, OT_TUNER_EXHAUSTIVE, b.plan, NULL, NULL, book_gain + number * L, book_offset + number * L, NULL, &cost));
        ASSERT(cost.steps == 15 && cost.images_forward == 240);
        ot_chip_free(chip);
    }
    FAILS(OT_E_USAGE, "moments wants a stimulus", ot_tuning_run(tuning, OT_TUNER_MOMENTS, b.plan, NULL, NULL, gain, offset, NULL, &cost));
    OK(ot_tuning_set_stimulus(tuning, b.plan, &b.data, stimulus, 3));
    OK(ot_casebook_make(&cb, book, book_gain, book_offset, 3, 48, L, 0));
    FAILS(OT_E_USAGE, "no ridge regression", ot_tuning_run(tuning, OT_TUNER_RIDGE, b.plan, cb, book, gain, offset, NULL, &cost));
    OK(ot_casebook_fit_ridge(cb));
    OK(draw(&chip, b.net, 0));                            /* a bad one, which the casebook knows */
    OK(ot_plan_load(b.plan, chip));
    OK(ot_plan_set_knobs(b.plan, NULL, NULL));
    OK(ot_signature_measure(signature, b.plan, &b.data, stimulus, 3));
    double before = loss_of(&b, NULL, NULL);
    for (int t = 0; t < OT_TUNER_SELF_TUNING; t++) {          /* that one: test_self_tuning.c */
        check_poison(gain, L), check_poison(offset, L);
        OK(ot_tuning_run(tuning, (ot_tuner)t, b.plan, cb, signature, gain, offset, &nearest, &cost));
        double after = loss_of(&b, gain, offset);
        if (!(after < before)) printf("\n%s: loss %g before, %g after\n", ot_tuner_name((ot_tuner)t), before, after);
        ASSERT_LT(after, before);
        ASSERT(cost.images_forward > 0 || ot_tuner_wants_casebook((ot_tuner)t));
        if (t == OT_TUNER_LEARNED || t == OT_TUNER_NEAREST) CHECK_CLOSE(book_gain, gain, L, 0);
        if (t == OT_TUNER_KNN) CHECK_CLOSE(book_gain, gain, L, /* the chip itself weighs 1e12, others 1 / distance */ 1e-9);
        if (t == OT_TUNER_LEARNED_ADAM) ASSERT_EQ(5, cost.steps);
        if (t == OT_TUNER_MOMENTS) ASSERT_EQ(3, cost.images_forward);
    }
    ASSERT_EQ(0, nearest);
    FAILS(OT_E_USAGE, "casebook", ot_tuning_run(tuning, OT_TUNER_LEARNED, b.plan, NULL, signature, gain, offset, NULL, &cost));
    FAILS(OT_E_RANGE, "tuner number", ot_tuning_run(tuning, OT_TUNERS, b.plan, NULL, NULL, gain, offset, NULL, &cost));
    ot_casebook_free(cb);
    OK(ot_casebook_make(&cb, book, book_gain, book_offset, 3, 48, L - 1, 0));
    FAILS(OT_E_SHAPE, "5 knob pairs", ot_tuning_run(tuning, OT_TUNER_LEARNED, b.plan, cb, signature, gain, offset, NULL, &cost));
    ot_casebook_free(cb);
    ot_chip_free(chip);
    ot_tuning_free(tuning);
    bench_close(&b);
    PASS();
}

TEST a_network_without_relu_has_nothing_to_tune(void)
{
    ot_network     *net;
    ot_backend     *be;
    ot_plan        *plan;
    ot_tuning      *tuning;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    ot_tune_options how = ot_tune_defaults();
    uint8_t         pixels[8] = {0};
    int32_t         labels[2] = {0, 1};
    char            name[] = "two";
    ot_data         data = {.name = name, .n = 2, .c = 1, .h = 2, .w = 2, .classes = 2, .pixels = pixels, .labels = labels};
    float           weight[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    OK(ot_network_new(&net, "linear", 1, 2, 2));
    OK(ot_network_add(net, &(ot_layer){.op = OT_OP_RESHAPE, .name = "flat", .in = {0, -1}, .c = 4, .h = 1, .w = 1}, NULL));
    OK(ot_network_add(net, &(ot_layer){.op = OT_OP_DENSE, .name = "fc", .in = {1, -1}, .c = 2, .groups = 1, .weight = weight}, NULL));
    OK(ot_backend_open(&be, "ref", NULL));
    opt.use = OT_PLAN_TUNE;
    OK(ot_plan_open(&plan, be, net, &opt));
    FAILS(OT_E_UNSUPPORTED, "neither ReLU nor spiking", ot_tuning_open(&tuning, plan, &data, &how));
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

TEST no_memory_is_said_and_nothing_leaks_in_any_tuner(void)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    float           signatures[10 * 4], gains[10 * L], offsets[10 * L], gain[L], offset[L];
    check_rng       r = {11};
    int             failed = 0;
    for (int i = 0; i < 40; i++) signatures[i] = (float)check_normal(&r);
    for (int i = 0; i < 10 * L; i++) gains[i] = 1, offsets[i] = 0;
    opt.minibatch = 8, opt.steps = 1, opt.images = 8, opt.polish_steps = 1, opt.polish_images = 8;
    OK(bench_open(&b, "ref"));
    size_t live = ot_memory_now().live;
    for (size_t n = 1;; n++) {
        ot_tuning   *tuning = NULL;
        ot_casebook *cb = NULL;
        ot_tune_cost cost;
        ot_memory_fail_at(n);
        ot_status st = ot_tuning_open(&tuning, b.plan, &b.data, &opt);
        if (st == OT_OK) st = ot_tuning_set_stimulus(tuning, b.plan, &b.data, (const uint32_t[2]){3, 5}, 2);
        if (st == OT_OK) st = ot_casebook_make(&cb, signatures, gains, offsets, 10, 4, L, 0);
        if (st == OT_OK) st = ot_casebook_fit_ridge(cb);
        for (int t = 0; t < OT_TUNER_SELF_TUNING && st == OT_OK; t++)
            st = ot_tuning_run(tuning, (ot_tuner)t, b.plan, cb, signatures, gain, offset, NULL, &cost);
        ot_memory_fail_at(0);
        ot_casebook_free(cb);
        ot_tuning_free(tuning);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        failed++;
    }
    ASSERT_GT(failed, 30);
    bench_close(&b);
    PASS();
}

SUITE(test_tune)
{
    static const int books[][2] = {{1, 0}, {2, 0}, {3, 0}, {40, 0}, {40, 1}, {40, 8}, {40, 40}};
    ot_backend      *cpu;
    char             suffix[32];
    greatest_set_test_suffix("ref");
    RUN_TESTp(adam_follows_the_golden_trajectory, "ref", /* the issue's */ 1e-5, 1e-5);
    if (ot_backend_open(&cpu, "cpu", NULL) == OT_OK) {
        ot_backend_close(cpu);
        greatest_set_test_suffix("cpu");
        RUN_TESTp(adam_follows_the_golden_trajectory, "cpu", /* the manifest's, for float32 */ 2e-3, /* the issue's */ 1e-4);
    }
    RUN_TEST(adam_repeats_itself_and_listens_to_the_seed);
    RUN_TEST(an_epoch_shows_every_image_once);
    RUN_TEST(a_loss_that_is_not_finite_brings_the_best_knobs_back);
    RUN_TEST(best_means_the_least_loss_seen);
    RUN_TEST(a_chip_that_never_answers_ends_untuned_after_four_tries);
    RUN_TESTp(knobs_follow_policy_and_optimiser, OT_OPTIMIZER_ADAM, 0.0);
    RUN_TESTp(knobs_follow_policy_and_optimiser, OT_OPTIMIZER_SGD, 0.0);
    RUN_TESTp(knobs_follow_policy_and_optimiser, OT_OPTIMIZER_SGD, 0.9);
    RUN_TEST(a_fixed_policy_is_the_plain_rate_to_the_bit);
    RUN_TEST(sgd_that_runs_away_is_no_failure);
    RUN_TEST(a_policy_that_does_not_fit_the_steps_is_refused_at_once);
    RUN_TEST(gains_are_held_at_a_64th_and_counted);
    RUN_TEST(the_closed_form_gives_each_layer_the_ideals_mean_and_spread);
    RUN_TEST(the_closed_form_leaves_layers_without_spread_alone);
    for (size_t i = 0; i < sizeof books / sizeof *books; i++) {
        greatest_set_test_suffix((snprintf(suffix, sizeof suffix, "%d_rows_%d_clusters", books[i][0], books[i][1]), suffix));
        RUN_TESTp(learned_takes_the_nearest_member_of_the_nearest_medoids_cluster, books[i][0], books[i][1]);
    }
    RUN_TEST(a_casebook_of_few_or_equal_rows_answers_with_the_lowest);
    RUN_TEST(a_casebook_refuses_what_is_not_usable);
    RUN_TEST(tuners_have_names);
    RUN_TEST(settings_are_checked_one_by_one);
    RUN_TEST(epochs_become_steps);
    RUN_TEST(every_tuner_mends_a_chip);
    RUN_TEST(a_network_without_relu_has_nothing_to_tune);
    RUN_TEST(no_memory_is_said_and_nothing_leaks_in_any_tuner);
}

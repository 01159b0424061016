/* test_train.c - schedules, optimisers, augmentation, gradients of a training plan, the loop and its checkpoints. */
#include "base/fail.h"
#include "base/file.h"
#include "check.h"
#include "models/model.h"
#include "nets.h"
#include "train/augment.h"
#include "train/draw.h"
#include "train/lipschitz.h"
#include "train/optimizer.h"
#include "train/pool.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- pure functions ---- */

TEST schedules_follow_their_closed_forms(void)
{
    ot_train_options o = ot_train_defaults();
    o.lr = 0.4;
    o.epochs = 10;
    ASSERT_EQ(0.4, ot_train_lr(&o, 0, 0, 50));
    ASSERT_IN_RANGE(0.2, ot_train_lr(&o, 5, 0, 50), 1e-15);
    ASSERT_IN_RANGE(0.4 * 0.5 * (1 + cos(3.14159265358979 * 123 / 500)), ot_train_lr(&o, 2, 23, 50), 1e-15);
    ASSERT(ot_train_lr(&o, 9, 49, 50) > 0 && ot_train_lr(&o, 9, 49, 50) < 1e-5);
    o.warmup_epochs = 2;
    ASSERT_IN_RANGE(0.4 / 100, ot_train_lr(&o, 0, 0, 50), 1e-15);
    ASSERT_EQ(0.4, ot_train_lr(&o, 1, 49, 50));
    ASSERT_EQ(0.4, ot_train_lr(&o, 2, 0, 50));
    ASSERT_IN_RANGE(0.2, ot_train_lr(&o, 6, 0, 50), 1e-15);
    o.warmup_epochs = 0;
    o.schedule = OT_SCHEDULE_STEP;
    o.step_gamma = 0.5;
    o.step_epochs = 3;
    ASSERT_EQ(0.4, ot_train_lr(&o, 2, 49, 50));
    ASSERT_EQ(0.2, ot_train_lr(&o, 3, 0, 50));
    ASSERT_EQ(0.05, ot_train_lr(&o, 9, 0, 50));
    o.schedule = OT_SCHEDULE_FIXED;
    ASSERT_EQ(0.4, ot_train_lr(&o, 9, 49, 50));
    PASS();
}

/* The schedules as they were before there were policies. */
static double lr_before_policies(const ot_train_options *o, int epoch, int step, int steps)
{
    double done = (double)epoch * steps + step, warm = (double)o->warmup_epochs * steps;
    if (done < warm) return o->lr * (done + 1) / warm;
    if (o->schedule == OT_SCHEDULE_COSINE)
        return 0.5 * o->lr * (1 + cos(M_PI * (done - warm) / ((double)o->epochs * steps - warm)));
    return o->schedule == OT_SCHEDULE_STEP ? o->lr * pow(o->step_gamma, epoch / o->step_epochs) : o->lr;
}

TEST schedules_keep_the_bits_they_had(ot_schedule schedule)
{
    static const double lrs[] = {0.05, 0.1, 0.001, 7.7};
    ot_train_options o = ot_train_defaults();
    o.schedule = schedule;
    o.epochs = 12;
    for (int i = 0; i < 4; i++)
        for (o.warmup_epochs = 0; o.warmup_epochs <= 12; o.warmup_epochs += 3)
            for (int steps = 1; steps < 500; steps = 3 * steps + 1)
                for (int e = 0; e < 12; e++)
                    for (int k = 0; k < steps; k++) {
                        o.lr = lrs[i];
                        o.step_epochs = 1 + 2 * i;
                        o.step_gamma = i % 2 ? 0.1 : 0.37;
                        double want = lr_before_policies(&o, e, k, steps), got = ot_train_lr(&o, e, k, steps);
                        ASSERT_MEM_EQ(&want, &got, sizeof want);
                    }
    PASS();
}

TEST a_policy_begins_after_the_warm_up_and_stretches_over_the_rest(void)
{
    ot_train_options o = ot_train_defaults();
    ot_policy p, q;
    OK(ot_policy_read(&o.policy, "SIN k0=0.1 k1=0.4 l=50%"));
    OK(ot_policy_for(&p, &o.policy, 400, 50));
    o.schedule = OT_SCHEDULE_POLICY;
    o.warmup_epochs = 2;
    ASSERT_IN_RANGE(0.1 / 100, ot_train_lr(&o, 0, 0, 50), 1e-15);
    ASSERT_IN_RANGE(0.1, ot_train_lr(&o, 1, 49, 50), 1e-15);
    for (int e = 2; e < 10; e++)
        for (int k = 0; k < 50; k++) ASSERT_EQ(ot_policy_lr(&p, (e - 2) * 50 + k), ot_train_lr(&o, e, k, 50));
    ASSERT_IN_RANGE(0.4, ot_train_lr(&o, 6, 0, 50), 1e-15);
    OK(ot_policy_read(&o.policy, "NSTEP k0=1 gamma=0.1 l=[3ep, 120]"));       /* in this order only of epochs below 40 */
    ASSERT(isnan(ot_train_lr(&o, 5, 0, 50)));
    ASSERT_EQ(OT_E_RANGE, ot_policy_for(&q, &o.policy, 400, 50));
    PASS();
}

/* Four steps of PyTorch 1.13 in double: SGD(0.1, momentum 0.9, decay 0.01) and Adam(0.05, decay 0.01) from (1, -2, 0.5). */
TEST optimisers_step_as_pytorch_does(ot_optimizer kind)
{
    static const float grad[4][3] = {{0.3f, -0.1f, 0.2f}, {-0.2f, 0.4f, 0.1f}, {0.05f, 0.02f, -0.6f}, {0.1f, 0.1f, 0.1f}};
    static const float want[2][4][3] = {{{0.969000000f, -1.988000000f, 0.479500000f},
                                         {0.960131000f, -2.015212000f, 0.450570500f},
                                         {0.946188769f, -2.039687588f, 0.484083380f},
                                         {0.922694572f, -2.069675930f, 0.503760888f}},
                                        {{0.950000002f, -1.950000004f, 0.450000002f},
                                         {0.940946935f, -1.975413496f, 0.403250226f},
                                         {0.928889119f, -1.995077889f, 0.420044737f},
                                         {0.911152017f, -2.016592027f, 0.428941815f}}};
    float p[3] = {1, -2, 0.5f};
    ot_train_options opt = ot_train_defaults();
    opt.optimizer = kind;
    opt.weight_decay = 0.01;
    ot__optimizer o;
    const uint8_t all[3] = {1, 1, 1};
    OK(ot__optimizer_open(&o, &opt, 3, all));
    for (int s = 0; s < 4; s++) {
        ot__optimizer_step(&o, p, grad[s], kind == OT_OPTIMIZER_SGD ? 0.1 : 0.05);
        CHECK_CLOSE(want[kind][s], p, 3, 1e-6); /* a few roundings to float of numbers near 2 */
    }
    ot__optimizer_close(&o);
    PASS();
}

TEST weight_decay_spares_what_is_not_marked(void)
{
    float p[2] = {1, 1}, zero[2] = {0, 0};
    ot_train_options opt = ot_train_defaults();
    opt.weight_decay = 0.5;
    ot__optimizer o;
    const uint8_t first[2] = {1, 0};
    OK(ot__optimizer_open(&o, &opt, 2, first));
    ot__optimizer_step(&o, p, zero, 0.1);
    ASSERT_IN_RANGE(0.95, (double)p[0], 1e-7);
    ASSERT_EQ(1.0f, p[1]);
    ot__optimizer_close(&o);
    PASS();
}

/* Padding the image for real, cutting, mirroring. */
TEST crops_and_flips_are_those_of_a_padded_image(void)
{
    enum { C = 2, H = 5, W = 4, P = 3 };
    float in[C * H * W], out[C * H * W], want[C * H * W], black[C] = {-1, -2};
    for (int i = 0; i < C * H * W; i++) in[i] = (float)i + 1;
    for (int dy = 0; dy <= 2 * P; dy++)
        for (int dx = 0; dx <= 2 * P; dx++)
            for (int flip = 0; flip < 2; flip++) {
                for (int c = 0; c < C; c++)
                    for (int y = 0; y < H; y++)
                        for (int x = 0; x < W; x++) {
                            int sy = y + dy - P, sx = (flip ? W - 1 - x : x) + dx - P;
                            want[(c * H + y) * W + x] =
                                sy >= 0 && sy < H && sx >= 0 && sx < W ? in[(c * H + sy) * W + sx] : black[c];
                        }
                check_poison(out, C * H * W);
                ot__augment_apply(out, in, C, H, W, P, (ot__crop){dy, dx, flip}, black);
                CHECK_CLOSE(want, out, C * H * W, 0);
            }
    PASS();
}

TEST crops_are_spread_evenly_and_belong_to_image_and_epoch(void)
{
    ot_train_options o = ot_train_defaults();
    o.crop_pad = 4;
    o.flip = 1;
    int rows[9] = {0}, columns[9] = {0}, flips = 0;
    for (uint32_t i = 0; i < 9000; i++) {
        ot__crop a = ot__augment_choose(&o, i, 3), b = ot__augment_choose(&o, i, 3);
        ASSERT(a.dy == b.dy && a.dx == b.dx && a.flip == b.flip && a.dy >= 0 && a.dy <= 8 && a.dx >= 0 && a.dx <= 8);
        rows[a.dy]++;
        columns[a.dx]++;
        flips += a.flip;
    }
    for (int k = 0; k < 9; k++) ASSERT(abs(rows[k] - 1000) < 150 && abs(columns[k] - 1000) < 150); /* 5 sd of a count are 149 */
    ASSERT(abs(flips - 4500) < 237);
    PASS();
}

TEST orders_are_permutations_of_their_own(void)
{
    enum { N = 1001 };
    static uint32_t a[N], b[N], other[N];
    uint8_t seen[N] = {0};
    ot__draw_order(a, N, 5, 2);
    ot__draw_order(b, N, 5, 2);
    ot__draw_order(other, N, 5, 3);
    ASSERT_MEM_EQ(a, b, sizeof a);
    ASSERT(memcmp(a, other, sizeof a));
    for (int i = 0; i < N; i++) {
        ASSERT(a[i] < N && !seen[a[i]]);
        seen[a[i]] = 1;
    }
    ot__draw_order(a, 1, 5, 2);
    ASSERT_EQ(0, a[0]);
    PASS();
}

static ot_status job(void *user, int i)
{
    int *count = user;
    if (count[0] && i >= 3) return ot__fail(OT_E_DATA, __FILE__, __LINE__, "job %d", i);
    count[1 + i]++;
    return OT_OK;
}

TEST a_pool_does_each_job_once_and_brings_the_first_failure_home(void)
{
    for (int threads = 1; threads <= 4; threads++) {
        ot__pool *p;
        int count[9] = {0};
        OK(ot__pool_open(&p, threads));
        for (int round = 1; round <= 50; round++) {
            OK(ot__pool_run(p, 8, job, count));
            for (int i = 1; i <= 8; i++) ASSERT_EQ(round, count[i]);
        }
        count[0] = 1;
        FAILS(OT_E_DATA, "job 3", ot__pool_run(p, 8, job, count));
        ot__pool_close(p);
    }
    PASS();
}

/* ---- a tiny network and a set to learn ---- */

enum { SIDE = NET_TINY_SIDE, CLASSES = NET_TINY_CLASSES, IMAGES = 60 };

/* Noise with a bright bar: upright, lying or none. */
static void make_set(ot_data *d, uint8_t *pixels, int32_t *labels, uint64_t seed)
{
    check_rng r = {seed};
    for (int i = 0; i < IMAGES; i++) {
        int at = (int)(check_uniform(&r) * SIDE);
        labels[i] = i % CLASSES;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                pixels[(i * SIDE + y) * SIDE + x] = (uint8_t)(80 * check_uniform(&r) + (labels[i] == 1 && x == at   ? 150
                                                                                        : labels[i] == 2 && y == at ? 150
                                                                                                                    : 0));
    }
    *d = (ot_data){
        .name = "bars", .n = IMAGES, .c = 1, .h = SIDE, .w = SIDE, .classes = CLASSES, .pixels = pixels, .labels = labels};
}
static uint8_t train_pixels[IMAGES * SIDE * SIDE], test_pixels[IMAGES * SIDE * SIDE];
static int32_t train_labels[IMAGES], test_labels[IMAGES];
static ot_data train_set, test_set;

static ot_train_options quick(void)
{
    ot_train_options o = ot_train_defaults();
    o.epochs = 4;
    o.minibatch = 12;
    o.crop_pad = 1;
    o.flip = 1;
    o.lr = 0.1;
    return o;
}

TEST gradients_agree_with_finite_differences(const char *backend, double smoothing, double tol)
{
    enum { N = 10 };
    ot_network *net;
    ot_backend *be;
    ot_plan *plan;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = OT_PLAN_TRAIN;
    opt.tile = N;
    opt.label_smoothing = smoothing;
    OK(net_tiny(&net, 3));
    OK(ot_train_normalise(net, &train_set));
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    size_t n = ot_network_parameters(net), n_statistics = ot_network_statistics(net);
    float *p = malloc(n * sizeof *p), *grad = malloc(n * sizeof *grad), *unused = malloc(n * sizeof *unused);
    float *statistics = malloc(n_statistics * sizeof *statistics);
    float images[N * SIDE * SIDE];
    for (int i = 0; i < N; i++) ot_data_image(&train_set, net, i, images + i * SIDE * SIDE);
    ot_network_get_parameters(net, p);
    check_rng r = {1};
    for (size_t i = 0; i < n; i++) p[i] += (float)(0.1 * check_normal(&r));
    check_poison(grad, n);
    check_poison(statistics, n_statistics);
    double loss = NAN, up, down;
    int64_t correct = -1;
    OK(ot_plan_set_parameters(plan, p));
    OK(ot_plan_train(plan, images, train_labels, N, grad, statistics, &loss, &correct));
    ASSERT(loss > 0 && correct >= 0 && correct <= N);
    double largest = check_max_f32(grad, n);
    for (size_t i = 0; i < n; i++) {
        double slope = NAN;
        float saved = p[i];
        for (float h = 2e-3f; h > 1e-4f && !(fabs(slope - grad[i]) <= tol * largest);
             h /= 2) { /* smaller where a kink lies within */
            float plus, minus;
            p[i] = plus = saved + h;
            OK(ot_plan_set_parameters(plan, p));
            OK(ot_plan_train(plan, images, train_labels, N, unused, statistics, &up, &correct));
            p[i] = minus = saved - h;
            OK(ot_plan_set_parameters(plan, p));
            OK(ot_plan_train(plan, images, train_labels, N, unused, statistics, &down, &correct));
            slope = (up - down) / (plus - minus);
        }
        p[i] = saved;
        if (!(fabs(slope - grad[i]) <= tol * largest)) printf("\nparameter %zu of %zu\n", i, n);
        ASSERT_IN_RANGE((double)grad[i], slope, tol * largest);
    }
    free(p);
    free(grad);
    free(unused);
    free(statistics);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

/* One minibatch of two shards at a rate of almost nothing: running = 0.9 (0 or 1) + 0.1 (mean of the shards' own). */
TEST running_statistics_take_a_tenth_of_each_minibatch(void)
{
    ot_network *net;
    ot_backend *be;
    ot_plan *plan;
    ot_plan_options how = OT_PLAN_OPTIONS_INIT;
    ot_train_options o = quick();
    o.epochs = 1;
    o.minibatch = IMAGES;
    o.shards = 2;
    o.crop_pad = o.flip = 0;
    o.lr = 1e-9;
    how.use = OT_PLAN_TRAIN;
    how.tile = IMAGES / 2;
    OK(net_tiny(&net, 1));
    OK(ot_train_normalise(net, &train_set));
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_plan_open(&plan, be, net, &how));
    size_t n = ot_network_parameters(net), n_statistics = ot_network_statistics(net);
    float *p = malloc(n * sizeof *p), *grad = malloc(n * sizeof *grad), want[8] = {0, 0, 0, 0, 0.9f, 0.9f, 0.9f, 0.9f}, got[8],
          part[8];
    ASSERT_EQ(8, n_statistics);
    ot_network_get_parameters(net, p);
    OK(ot_plan_set_parameters(plan, p));
    uint32_t order[IMAGES];
    ot__draw_order(order, IMAGES, o.seed, 0);
    for (int shard = 0; shard < 2; shard++) {
        float images[IMAGES / 2 * SIDE * SIDE];
        int32_t labels[IMAGES / 2];
        for (int i = 0; i < IMAGES / 2; i++) {
            uint32_t k = order[shard * IMAGES / 2 + i];
            ot_data_image(&train_set, net, k, images + i * SIDE * SIDE);
            labels[i] = train_labels[k];
        }
        OK(ot_plan_train(plan, images, labels, IMAGES / 2, grad, part, NULL, NULL));
        for (int i = 0; i < 8; i++) want[i] += 0.05f * part[i];
    }
    OK(ot_train(net, "ref", &train_set, NULL, &o, NULL, NULL));
    check_poison(got, 8);
    ot_network_get_statistics(net, got);
    CHECK_CLOSE(want, got, 8, 1e-6); /* a few roundings of numbers near 1 */
    free(p);
    free(grad);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

typedef struct history {
    int n;
    double loss[64], train[64], test[64];
    int stop_after;
} history;
static ot_status remember(void *user, int epoch, double loss, double train, double test, double lr)
{
    history *h = user;
    (void)lr;
    h->loss[epoch] = loss;
    h->train[epoch] = train;
    h->test[epoch] = test;
    h->n++;
    return h->stop_after && epoch + 1 == h->stop_after ? OT_E_INTERRUPTED : OT_OK;
}

/* Trains a tiny network and gives its parameters and statistics behind each other (malloc). */
static ot_status run(const ot_train_options *o, const char *backend, history *h, float **numbers, size_t *n)
{
    ot_network *net;
    ot_status st = net_tiny(&net, o->seed);
    if (st == OT_OK) st = ot_train_normalise(net, &train_set);
    *h = (history){.stop_after = h->stop_after};
    if (st == OT_OK) st = ot_train(net, backend, &train_set, &test_set, o, remember, h);
    size_t parameters = ot_network_parameters(net), statistics = ot_network_statistics(net);
    *n = parameters + statistics;
    *numbers = malloc(*n * sizeof **numbers);
    ot_network_get_parameters(net, *numbers);
    ot_network_get_statistics(net, *numbers + parameters);
    ot_network_free(net);
    return st;
}

TEST a_toy_set_is_learnt(const char *backend, ot_optimizer kind)
{
    ot_train_options o = quick();
    history h = {0};
    float *numbers;
    size_t n;
    o.optimizer = kind;
    o.epochs = 25;
    o.crop_pad = 0;
    if (kind == OT_OPTIMIZER_ADAM) o.lr = 0.02;
    OK(run(&o, backend, &h, &numbers, &n));
    ASSERT_EQ(25, h.n);
    ASSERT(h.loss[24] < 0.5 * h.loss[0] && h.train[24] >= 0.9 && h.test[24] >= 0.8);
    for (size_t i = 0; i < n; i++) ASSERT(isfinite(numbers[i]));
    free(numbers);
    PASS();
}

static const char *scratch(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    unlink(path);
    return path;
}

TEST every_policy_trains(ot_policy_kind kind, ot_optimizer optimizer, double momentum)
{
    ot_train_options o = quick();
    history h = {0};
    float *numbers;
    size_t n;
    o.schedule = OT_SCHEDULE_POLICY;
    o.optimizer = optimizer;
    o.momentum = momentum;
    o.epochs = 12;
    o.crop_pad = 0;
    OK(ot_policy_usual(&o.policy, kind, optimizer == OT_OPTIMIZER_ADAM ? 0.02 : momentum > 0 ? 0.1 : 0.5));
    OK(run(&o, "ref", &h, &numbers, &n));
    ASSERT_EQ(12, h.n);
    ASSERT(h.loss[11] < 0.8 * h.loss[0]);
    for (size_t i = 0; i < n; i++) ASSERT(isfinite(numbers[i]));
    free(numbers);
    PASS();
}

/* The same rates by another name: the same bits. */
TEST a_policy_that_is_a_schedule_trains_to_the_same_bits(void)
{
    static const struct { ot_schedule schedule; const char *policy; } row[] = {
        {OT_SCHEDULE_COSINE, "COS k1=0.1 l=100%"}, {OT_SCHEDULE_FIXED, "FIX k0=0.1"}, {OT_SCHEDULE_STEP, "STEP k0=0.1 gamma=0.5 l=2ep"}};
    for (int i = 0; i < 3; i++) {
        ot_train_options o = quick();
        history h = {0};
        float *a, *b;
        size_t n;
        o.schedule = row[i].schedule;
        o.step_gamma = 0.5;
        o.step_epochs = 2;
        OK(run(&o, "ref", &h, &a, &n));
        o.schedule = OT_SCHEDULE_POLICY;
        o.lr = 77;
        OK(ot_policy_read(&o.policy, row[i].policy));
        OK(run(&o, "ref", &h, &b, &n));
        ASSERT_MEM_EQ(a, b, n * sizeof *a);
        free(a);
        free(b);
    }
    PASS();
}

TEST a_checkpoint_knows_its_policy(void)
{
    ot_train_options o = quick();
    history whole = {0}, part = {.stop_after = 2}, rest = {0};
    float *a, *b;
    size_t n;
    o.schedule = OT_SCHEDULE_POLICY;
    OK(ot_policy_read(&o.policy, "TRI2 k0=0.01 k1=0.2 l=25%"));
    OK(run(&o, "ref", &whole, &a, &n));
    o.checkpoint = scratch("policy.npz");
    ASSERT_EQ(OT_E_INTERRUPTED, run(&o, "ref", &part, &b, &n));
    free(b);
    o.policy.part[0].k1 = 0.3;
    FAILS(OT_E_MISMATCH, "it has 'policy: TRI2 k0=0.01 k1=0.2 l=25%', this run 'policy: TRI2 k0=0.01 k1=0.3 l=25%'", run(&o, "ref", &rest, &b, &n));
    free(b);
    o.policy.part[0].k1 = 0.2;
    o.epochs = 5;                                     /* a quarter of five epochs is another length */
    FAILS(OT_E_MISMATCH, "it has 'epochs: 4'", run(&o, "ref", &rest, &b, &n));
    free(b);
    o.epochs = 4;
    OK(run(&o, "ref", &rest, &b, &n));
    ASSERT_MEM_EQ(a, b, n * sizeof *a);
    free(a);
    free(b);
    PASS();
}

TEST threads_change_nothing(const char *backend)
{
    ot_train_options o = quick();
    history one = {0}, four = {0};
    float *a, *b;
    size_t n;
    o.shards = 4;
    o.threads = 1;
    OK(run(&o, backend, &one, &a, &n));
    o.threads = 4;
    OK(run(&o, backend, &four, &b, &n));
    ASSERT_MEM_EQ(a, b, n * sizeof *a);
    ASSERT_MEM_EQ(one.loss, four.loss, sizeof one.loss);
    ASSERT_MEM_EQ(one.test, four.test, sizeof one.test);
    free(a);
    free(b);
    PASS();
}

/* Ended by the caller's function after the second epoch, and started again. */
TEST a_resumed_training_ends_as_an_uninterrupted_one(ot_optimizer kind)
{
    ot_train_options o = quick();
    history whole = {0}, part = {.stop_after = 2}, rest = {0};
    float *a, *b;
    size_t n;
    o.optimizer = kind;
    OK(run(&o, "ref", &whole, &a, &n));
    o.checkpoint = scratch("checkpoint.npz");
    ASSERT_EQ(OT_E_INTERRUPTED, run(&o, "ref", &part, &b, &n));
    ASSERT_EQ(2, part.n);
    free(b);
    OK(run(&o, "ref", &rest, &b, &n));
    ASSERT_MEM_EQ(a, b, n * sizeof *a);
    ASSERT_EQ(2, rest.n);
    for (int e = 2; e < 4; e++) ASSERT(whole.loss[e] == rest.loss[e] && whole.test[e] == rest.test[e]);
    free(b);
    OK(run(&o, "ref", &rest, &b, &n)); /* and once more: nothing is left to do, the result stands */
    ASSERT_EQ(0, rest.n);
    ASSERT_MEM_EQ(a, b, n * sizeof *a);
    free(a);
    free(b);
    PASS();
}

static volatile sig_atomic_t stop_now;
static void on_alarm(int number)
{
    (void)number;
    stop_now = 1;
}

/* Stopped by the clock, in the middle of epochs, again and again. */
TEST stopping_between_minibatches_changes_nothing(void)
{
    ot_train_options o = quick();
    history h = {0};
    float *a, *b;
    size_t n;
    int stops = 0;
    o.epochs = 12;
    OK(run(&o, "ref", &h, &a, &n));
    o.checkpoint = scratch("stopped.npz");
    o.stop = &stop_now;
    signal(SIGALRM, on_alarm);
    for (long us = 1000;; us *= 2) {
        struct itimerval in = {.it_value = {.tv_sec = us / 1000000, .tv_usec = us % 1000000}};
        stop_now = 0;
        ASSERT_EQ(0, setitimer(ITIMER_REAL, &in, NULL));
        ot_status st = run(&o, "ref", &h, &b, &n);
        setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_INTERRUPTED, st);
        ASSERT(strstr(ot_last_error(), "goes on from"));
        free(b);
        stops++;
    }
    signal(SIGALRM, SIG_DFL);
    ASSERT(stops >= 1);
    ASSERT_MEM_EQ(a, b, n * sizeof *a);
    free(a);
    free(b);
    PASS();
}

TEST a_checkpoint_of_another_run_is_refused(void)
{
    ot_train_options o = quick();
    history h = {.stop_after = 1};
    float *a;
    size_t n;
    o.checkpoint = scratch("other.npz");
    ASSERT_EQ(OT_E_INTERRUPTED, run(&o, "ref", &h, &a, &n));
    free(a);
    o.lr = 0.2;
    FAILS(OT_E_MISMATCH, "it has 'lr: 0.1", run(&o, "ref", &h, &a, &n));
    free(a);
    o = quick();
    o.seed = 2;
    o.checkpoint = scratch("broken.npz");
    OK(ot__file_write(o.checkpoint, "PK\3\4 this is no checkpoint", 24));
    ASSERT(run(&o, "ref", &h, &a, &n) == OT_E_FORMAT && strstr(ot_last_error(), "broken.npz"));
    free(a);
    PASS();
}

TEST settings_out_of_range_name_the_setting(void)
{
    ot_network *net;
    OK(net_tiny(&net, 1));
#define BAD(words, ...)                                                                                                            \
    do {                                                                                                                           \
        ot_train_options o = quick();                                                                                              \
        __VA_ARGS__;                                                                                                               \
        FAILS(OT_E_RANGE, words, ot_train(net, "ref", &train_set, NULL, &o, NULL, NULL));                                          \
    } while (0)
    BAD("lr = nan", o.lr = NAN);
    BAD("lr = -1", o.lr = -1);
    BAD("momentum = 1", o.momentum = 1);
    BAD("weight_decay = -0.1", o.weight_decay = -0.1);
    BAD("epochs = 0", o.epochs = 0);
    BAD("the policy is none", o.schedule = OT_SCHEDULE_POLICY);
    BAD("COS: l = 0 iterations", o.schedule = OT_SCHEDULE_POLICY, o.policy = (ot_policy){.n = 1, .part = {{.kind = OT_POLICY_COS, .k1 = 1}}});
    BAD("schedule = 4, want", o.schedule = (ot_schedule)4);
    BAD("minibatch = 0", o.minibatch = 0);
    BAD("minibatch = 61, but bars has 60", o.minibatch = 61);
    BAD("warmup_epochs = 9, want 0..4", o.warmup_epochs = 9);
    BAD("crop_pad = -1", o.crop_pad = -1);
    BAD("label_smoothing = 1", o.label_smoothing = 1);
    BAD("minibatch = 12 does not divide into 5", o.shards = 5);
    BAD("threads = -1", o.threads = -1);
    ot_data wide = train_set;
    wide.w = SIDE - 1;
    ot_train_options o = quick();
    ASSERT_EQ(OT_E_SHAPE, ot_train(net, "ref", &wide, NULL, &o, NULL, NULL));
    ASSERT_EQ(OT_E_SHAPE, ot_train(net, "ref", &train_set, &wide, &o, NULL, NULL));
    ot_network_free(net);
    PASS();
}

TEST minibatches_of_one_and_seventeen_train(int size)
{
    ot_train_options o = quick();
    history h = {0};
    float *numbers;
    size_t n;
    o.minibatch = size;
    o.epochs = 1;
    o.lr = 0.01;
    OK(run(&o, "ref", &h, &numbers, &n));
    for (size_t i = 0; i < n; i++) ASSERT(isfinite(numbers[i]));
    free(numbers);
    PASS();
}

TEST batch_norm_over_a_single_value_is_refused(void)
{
    ot_network *net;
    ot_train_options o = quick();
    o.minibatch = 1;
    ot_data d = train_set;
    OK(ot_model_build(&net, "mobilenet-s", 1, SIDE, SIDE, CLASSES, 1));
    FAILS(OT_E_RANGE, "batch norm over 1 image of 1 x 1", ot_train(net, "ref", &d, NULL, &o, NULL, NULL));
    ot_network_free(net);
    PASS();
}

TEST a_loss_that_is_not_finite_stops_training(void)
{
    ot_train_options o = quick();
    history h = {0};
    float *numbers;
    size_t n;
    o.lr = 100;
    o.momentum = 0.99;
    o.epochs = 60;
    o.schedule = OT_SCHEDULE_FIXED;
    o.weight_decay = 1;
    FAILS(OT_E_DATA, "try a smaller one", run(&o, "ref", &h, &numbers, &n));
    free(numbers);
    PASS();
}

TEST normalisation_is_that_of_the_pixels(void)
{
    ot_network *net;
    const float *mean, *sd;
    double sum = 0, squares = 0, n = IMAGES * SIDE * SIDE;
    OK(net_tiny(&net, 1));
    OK(ot_train_normalise(net, &train_set));
    ot_network_normalisation(net, &mean, &sd);
    for (int i = 0; i < n; i++) sum += train_pixels[i] / 255.0;
    for (int i = 0; i < n; i++) squares += (train_pixels[i] / 255.0 - sum / n) * (train_pixels[i] / 255.0 - sum / n);
    ASSERT_IN_RANGE(sum / n, (double)mean[0], 1e-7);
    ASSERT_IN_RANGE(sqrt(squares / n), (double)sd[0], 1e-7);
    static uint8_t grey[IMAGES * SIDE * SIDE];
    ot_data d = train_set;
    d.pixels = grey;
    FAILS(OT_E_DATA, "channel 0", ot_train_normalise(net, &d));
    ot_network_free(net);
    PASS();
}

/* One epoch with a checkpoint; all it took is freed again, whichever allocation failed. */
static ot_status small_run(const ot_train_options *o)
{
    ot_network *net = NULL;
    ot_status st = net_tiny(&net, o->seed);
    if (st == OT_OK) st = ot_train_normalise(net, &train_set);
    if (st == OT_OK) st = ot_train(net, "ref", &train_set, &test_set, o, NULL, NULL);
    ot_network_free(net);
    return st;
}

TEST every_failed_allocation_is_reported_and_nothing_leaks(void)
{
    ot_train_options o = quick();
    o.epochs = 1;
    o.threads = 1;
    for (size_t n = 1;; n++) {
        o.checkpoint = scratch("memory.npz");
        size_t live = ot_memory_now().live;
        ot_memory_fail_at(n);
        ot_status st = small_run(&o);
        ot_memory_fail_at(0);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) {
            ASSERT(n > 50); /* there were so many to fail */
            break;
        }
        ASSERT_EQ(OT_E_NOMEM, st);
    }
    PASS();
}

/* ---- the penalty on layers that amplify ---- */

/* The largest eigenvalue of W W' by Jacobi rotations. */
static double largest_singular(const float *w, int rows, int cols)
{
    double a[8][8], most = 0;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < rows; j++) {
            a[i][j] = 0;
            for (int c = 0; c < cols; c++) a[i][j] += (double)w[i * cols + c] * (double)w[j * cols + c];
        }
    for (int sweep = 0; sweep < 60; sweep++)
        for (int p = 0; p < rows; p++)
            for (int q = p + 1; q < rows; q++) {
                if (fabs(a[p][q]) < 1e-300) continue;
                const double theta = 0.5 * atan2(2 * a[p][q], a[q][q] - a[p][p]), c = cos(theta), s = sin(theta);
                for (int k = 0; k < rows; k++) {
                    const double x = a[k][p], y = a[k][q];
                    a[k][p] = c * x - s * y, a[k][q] = s * x + c * y;
                }
                for (int k = 0; k < rows; k++) {
                    const double x = a[p][k], y = a[q][k];
                    a[p][k] = c * x - s * y, a[q][k] = s * x + c * y;
                }
            }
    for (int i = 0; i < rows; i++) most = fmax(most, a[i][i]);
    return sqrt(most);
}

TEST the_norm_is_the_largest_singular_value(int rows, int cols)
{
    check_rng r = {(uint64_t)(100 * rows + cols)};
    float     w[8 * 40];
    double    u[40], v[40];
    check_fill_normal(&r, w, (size_t)(rows * cols), 0.3);
    const double want = largest_singular(w, rows, cols), few = ot__lipschitz_norm(w, (size_t)rows, (size_t)cols, 5, u, v);
    ASSERT_IN_RANGE(want, ot__lipschitz_norm(w, (size_t)rows, (size_t)cols, 3000, u, v), 1e-9 * want);
    ASSERT(few <= want * (1 + 1e-12) && few > 0.8 * want);
    memset(w, 0, sizeof w);
    ASSERT_EQ(0.0, ot__lipschitz_norm(w, (size_t)rows, (size_t)cols, 5, u, v));
    PASS();
}

/* Training with the penalty: norms end near the bound, without it they do not; stopped and gone on with, the same bytes; another penalty is another run. */
TEST the_penalty_holds_layers(void)
{
    ot_data         *d;
    ot_network      *net[3];
    ot_train_options o = ot_train_defaults();
    double           worst[2] = {0, 0}, u[512], v[512];
    char             path[600];
    char             name[600];
    snprintf(name, sizeof name, "npz:%s", check_golden("../tune/tiny.npz"));
    OK(ot_data_open(&d, name, OT_SPLIT_TRAIN, 0));
    for (int k = 0; k < 3; k++) {
        OK(ot_network_open(&net[k], check_golden("../tune/tiny.onnx")));
        o.epochs = 40, o.minibatch = 10, o.lr = 0.05, o.threads = 1, o.weight_decay = 0, o.schedule = OT_SCHEDULE_FIXED;
        o.lipschitz = k ? 5 : 0;
        o.lipschitz_sigma = 0.1;
        if (k < 2) {
            OK(ot_train(net[k], "ref", d, NULL, &o, NULL, NULL));
            for (int c = 0; c < ot_network_crossbars(net[k]); c++) {
                const ot_layer *l = ot_network_crossbar(net[k], c);
                const size_t    cols = (size_t)ot_layer_fan_in(net[k], l);
                worst[k] = fmax(worst[k], ot__lipschitz_norm(l->weight, ot_layer_weights(l) / cols, cols, 300, u, v));
            }
            continue;
        }
        snprintf(path, sizeof path, "%s/lipschitz.npz", check_scratch());
        o.checkpoint = path;
        o.epochs = 2;
        OK(ot_train(net[k], "ref", d, NULL, &o, NULL, NULL));
        ot_network_free(net[k]);
        OK(ot_network_open(&net[k], check_golden("../tune/tiny.onnx")));
        o.epochs = 40;
        OK(ot_train(net[k], "ref", d, NULL, &o, NULL, NULL));
        ot_network *again;
        OK(ot_network_open(&again, check_golden("../tune/tiny.onnx")));
        o.lipschitz = 4;
        FAILS(OT_E_MISMATCH, "lipschitz: 4", ot_train(again, "ref", d, NULL, &o, NULL, NULL));
        ot_network_free(again);
    }
    const double mean = exp(0.005), bound = 1 / (mean + 3 * mean * sqrt(exp(0.01) - 1));
    ASSERT_GT(worst[0], 1.5 * bound);
    ASSERT_LT(worst[1], 1.2 * bound);
    for (int c = 0; c < ot_network_crossbars(net[1]); c++)
        ASSERT_MEM_EQ(ot_network_crossbar(net[1], c)->weight, ot_network_crossbar(net[2], c)->weight, ot_layer_weights(ot_network_crossbar(net[1], c)) * sizeof(float));
    o = ot_train_defaults();
    o.lipschitz = -1;
    FAILS(OT_E_RANGE, "lipschitz = -1, want 0..1e6", ot_train_check(&o));
    o.lipschitz = 1, o.lipschitz_sigma = NAN;
    FAILS(OT_E_RANGE, "lipschitz_sigma = nan, want 0..2", ot_train_check(&o));
    for (int k = 0; k < 3; k++) ot_network_free(net[k]);
    ot_data_free(d);
    PASS();
}

SUITE(test_train)
{
    for (int rows = 1; rows <= 8; rows += 7)
        for (int cols = 1; cols <= 40; cols += 13) RUN_TESTp(the_norm_is_the_largest_singular_value, rows, cols);
    RUN_TEST(the_penalty_holds_layers);
    make_set(&train_set, train_pixels, train_labels, 1);
    make_set(&test_set, test_pixels, test_labels, 2);
    RUN_TEST(schedules_follow_their_closed_forms);
    RUN_TEST1(schedules_keep_the_bits_they_had, OT_SCHEDULE_COSINE);
    RUN_TEST1(schedules_keep_the_bits_they_had, OT_SCHEDULE_STEP);
    RUN_TEST1(schedules_keep_the_bits_they_had, OT_SCHEDULE_FIXED);
    RUN_TEST(a_policy_begins_after_the_warm_up_and_stretches_over_the_rest);
    RUN_TEST1(optimisers_step_as_pytorch_does, OT_OPTIMIZER_SGD);
    RUN_TEST1(optimisers_step_as_pytorch_does, OT_OPTIMIZER_ADAM);
    RUN_TEST(weight_decay_spares_what_is_not_marked);
    RUN_TEST(crops_and_flips_are_those_of_a_padded_image);
    RUN_TEST(crops_are_spread_evenly_and_belong_to_image_and_epoch);
    RUN_TEST(orders_are_permutations_of_their_own);
    RUN_TEST(a_pool_does_each_job_once_and_brings_the_first_failure_home);
    RUN_TEST(normalisation_is_that_of_the_pixels);
    /* tolerances: float32 activations over a step of 1e-3, and kinks of ReLU and max within it */
    RUN_TESTp(gradients_agree_with_finite_differences, "ref", 0.0, 5e-3);
    RUN_TESTp(gradients_agree_with_finite_differences, "ref", 0.2, 5e-3);
    RUN_TESTp(gradients_agree_with_finite_differences, "cpu", 0.0, 5e-3);
    RUN_TEST(running_statistics_take_a_tenth_of_each_minibatch);
    RUN_TESTp(a_toy_set_is_learnt, "ref", OT_OPTIMIZER_SGD);
    RUN_TESTp(a_toy_set_is_learnt, "cpu", OT_OPTIMIZER_SGD);
    RUN_TESTp(a_toy_set_is_learnt, "ref", OT_OPTIMIZER_ADAM);
    for (int k = 0; k < OT_POLICY_KINDS; k++) {
        RUN_TESTp(every_policy_trains, (ot_policy_kind)k, OT_OPTIMIZER_SGD, 0.0);
        RUN_TESTp(every_policy_trains, (ot_policy_kind)k, OT_OPTIMIZER_SGD, 0.9);
        RUN_TESTp(every_policy_trains, (ot_policy_kind)k, OT_OPTIMIZER_ADAM, 0.0);
    }
    RUN_TEST(a_policy_that_is_a_schedule_trains_to_the_same_bits);
    RUN_TEST(a_checkpoint_knows_its_policy);
    RUN_TEST1(threads_change_nothing, "ref");
    RUN_TEST1(threads_change_nothing, "cpu");
    RUN_TEST1(a_resumed_training_ends_as_an_uninterrupted_one, OT_OPTIMIZER_SGD);
    RUN_TEST1(a_resumed_training_ends_as_an_uninterrupted_one, OT_OPTIMIZER_ADAM);
    RUN_TEST(stopping_between_minibatches_changes_nothing);
    RUN_TEST(a_checkpoint_of_another_run_is_refused);
    RUN_TEST(settings_out_of_range_name_the_setting);
    RUN_TEST1(minibatches_of_one_and_seventeen_train, 1);
    RUN_TEST1(minibatches_of_one_and_seventeen_train, 17);
    RUN_TEST(batch_norm_over_a_single_value_is_refused);
    RUN_TEST(a_loss_that_is_not_finite_stops_training);
    RUN_TEST(every_failed_allocation_is_reported_and_nothing_leaks);
}

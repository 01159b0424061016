/* test_fleet.c - many chips at once on the emulated cuda backend: what each chip gives is what it gives alone, and what ref gives.
 *
 * The network is the golden T-ReLU one (six ReLU layers, 32 images of 16 x 16) and nets.h's with every kind of layer; the device is made
 * up and steep, so that chips differ. */
#include "control.h"
#include "nets.h"
#include "plan/fleet.h"
#include "trelu.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHIPS = 3, IMAGES = 11, TILE = 4 };

static const ot_device steep = {.name = "steep", .g = {1e-4, 1e-6}, .n_poly = {3, 2}, .poly = {{1, 0.9, 0.2}, {1, -0.8}}, .domain = 0.15,
                                .g_min = 1e-9, .g_max = 1e-2, .s = {6, -5.3}, .valid_min = -0.15};
static const uint32_t numbers[CHIPS] = {7, 0, 123456789};

/* everything: which network; 0 the golden one, 1 every kind of layer, 2 net_shared. */
typedef struct bench { ot_network *net; ot_data *data; ot_backend *be; ot_fleet *fleet; int everything; } bench;

/* Two convolutions read one T-ReLU: its gradient is complete only at the first of them.  The second's share is the larger and half of
 * the batch norm's scales are negative, so that a mask and scale taken too early turns signs, which is what Adam's first steps show. */
static ot_network *net_shared(void)
{
    ot_network *net;
    check_rng   r = {11};
    if (ot_network_new(&net, "shared", 2, 6, 6) != OT_OK) return NULL;
    int    norm = net_batch_norm(net, &r, net_conv(net, &r, 0, 8, 3, 1, 1, 1, 0)), stem = net_relu(net, norm, INFINITY);
    int    first = net_conv(net, &r, stem, 8, 3, 1, 1, 1, 0), second = net_conv(net, &r, stem, 8, 1, 1, 0, 1, 0);
    float *w = ot_network_weights(net, second), *gamma = ot_network_layer(net, norm)->gamma;
    for (int i = 0; i < 64; i++) w[i] *= 2.0f;
    for (int c = 0; c < 8; c += 2) gamma[c] *= -2.0f;
    net_dense(net, &r, net_flatten(net, net_global(net, net_relu(net, net_add(net, first, second), INFINITY))), 5);
    return net;
}

static ot_status bench_open(bench *b, const char *backend, int chips, int everything)
{
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    ot_variation    var = OT_VARIATION_INIT;
    ot_data         trelu = {0};
    *b = (bench){.everything = everything};
    ot_status st = OT_OK;
    if (everything) b->net = everything == 2 ? net_shared() : net_everything(3, 0);
    else st = trelu_open(&b->net, &trelu);
    if (st != OT_OK) return st;
    if (everything) b->data = net_data(b->net, 5, 32, 1);
    else if ((b->data = ot_alloc(1, sizeof trelu))) *b->data = trelu;
    opt.use = OT_PLAN_TUNE;
    opt.tile = TILE;
    opt.chips = chips;
    st = ot_backend_open(&b->be, backend, NULL);
    return st == OT_OK ? ot_fleet_open(&b->fleet, b->be, b->net, &steep, &var, &opt) : st;
}

static void bench_close(bench *b)
{
    ot_fleet_free(b->fleet);
    ot_backend_close(b->be);
    if (b->everything) ot_data_free(b->data);
    else if (b->data) {                                    /* its name is nobody's to free */
        ot_free(b->data->pixels), ot_free(b->data->labels);
        ot_free(b->data);
    }
    ot_network_free(b->net);
}

TEST weights_on_the_device_are_the_chips_bits(const char *backend, double stuck)
{
    bench           b;
    ot_variation    var = OT_VARIATION_INIT;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    OK(bench_open(&b, backend, CHIPS, 1));
    ot_fleet_free(b.fleet);
    var.stuck_lrs = stuck, var.stuck_hrs = 2 * stuck;
    opt.tile = TILE, opt.chips = CHIPS;
    OK(ot_fleet_open(&b.fleet, b.be, b.net, &steep, &var, &opt));
    OK(ot_fleet_draw(b.fleet, numbers, CHIPS));
    for (int k = 0; k < CHIPS; k++) {
        ot_chip *chip;
        OK(ot_chip_draw(&chip, b.net, &steep, &var, numbers[k]));
        for (int l = 0; l < ot_network_crossbars(b.net); l++) {
            size_t n = ot_layer_weights(ot_network_crossbar(b.net, l));
            float *w = ot_alloc(n, sizeof *w);
            check_poison(w, n);
            OK(ot_fleet_weights(b.fleet, k, l, w));
            ASSERT_MEM_EQ(ot_chip_weights(chip, l), w, n * sizeof *w);
            ot_free(w);
        }
        ASSERT_EQ(numbers[k], ot_fleet_number(b.fleet, k));
        ASSERT(ot_chip_delta_sys(chip) == ot_fleet_delta_sys(b.fleet, k));
        ot_chip_free(chip);
    }
    bench_close(&b);
    PASS();
}

/* Everything a campaign asks of a chip. */
typedef struct answers {
    float   logits[CHIPS][IMAGES][10], means[CHIPS][IMAGES][8], gain[3][CHIPS][8], offset[3][CHIPS][8];
    int64_t correct[CHIPS];
    uint8_t bits[CHIPS][2];
    int     steps[CHIPS];
} answers;

static const char *policy = "none", *optimizer = "adam";

/* Chips from..from + n of the list, in fleets of `chips`; rows of `a` by their place in the list. */
static ot_status ask(answers *a, const char *backend, int chips, int everything)
{
    bench           b;
    ot_tune_options opt = ot_tune_defaults();
    ot_tuning      *tuning = NULL;
    ot_status       st = bench_open(&b, backend, chips, everything);
    uint32_t        index[IMAGES];
    int             classes, L;
    if (st != OT_OK) goto done;
    classes = ot_network_classes(b.net), L = ot_network_relus(b.net);
    for (uint32_t i = 0; i < IMAGES; i++) index[i] = i * 5 % 32;
    opt.minibatch = 6;                                    /* a tile and a half */
    opt.images = TILE;
    opt.steps = 4;
    opt.polish_steps = 2, opt.polish_images = 16;
    st = ot_policy_read(&opt.policy, policy);
    if (st == OT_OK) st = ot_optimizer_parse(&opt.optimizer, &opt.momentum, optimizer);
    if (st != OT_OK) goto done;
    {
        ot_plan_options one = OT_PLAN_OPTIONS_INIT;        /* the targets, exactly the same for all */
        ot_backend     *ref = NULL;
        ot_plan        *plan = NULL;
        one.use = OT_PLAN_TUNE;
        st = ot_backend_open(&ref, "ref", NULL);
        if (st == OT_OK) st = ot_plan_open(&plan, ref, b.net, &one);
        if (st == OT_OK) st = ot_tuning_open(&tuning, plan, b.data, &opt);
        ot_plan_free(plan);
        ot_backend_close(ref);
    }
    for (int first = 0; first < CHIPS && st == OT_OK; first += chips) {
        int          n = CHIPS - first < chips ? CHIPS - first : chips;
        ot_tune_cost cost[CHIPS];
        float       *logits = ot_alloc((size_t)n * IMAGES, (size_t)classes * sizeof(float)), *means = ot_alloc((size_t)n * IMAGES, (size_t)L * sizeof(float));
        float        gain[CHIPS * 8], offset[CHIPS * 8];
        check_poison(logits, (size_t)(n * IMAGES * classes)), check_poison(means, (size_t)(n * IMAGES * L));
        st = ot_fleet_draw(b.fleet, numbers + first, n);
        if (st == OT_OK) st = ot_fleet_forward(b.fleet, b.data, index, IMAGES, logits, means);
        if (st == OT_OK) st = ot_fleet_count(b.fleet, b.data, index, IMAGES, a->correct + first, a->bits[first]);
        for (int k = 0; k < n; k++)
            for (int i = 0; i < IMAGES; i++) {
                memcpy(a->logits[first + k][i], logits + (k * IMAGES + i) * classes, (size_t)classes * sizeof(float));
                memcpy(a->means[first + k][i], means + (k * IMAGES + i) * L, (size_t)L * sizeof(float));
            }
        static const ot_tuner tuners[3] = {OT_TUNER_EXHAUSTIVE, OT_TUNER_CLOSED_FORM, OT_TUNER_CLOSED_FORM_ADAM};
        for (int t = 0; t < 3 && st == OT_OK; t++) {
            check_poison(gain, CHIPS * 8), check_poison(offset, CHIPS * 8);
            st = ot_tuning_run_fleet(tuning, tuners[t], b.fleet, NULL, NULL, gain, offset, NULL, cost);
            for (int k = 0; k < n; k++) {
                memcpy(a->gain[t][first + k], gain + k * L, (size_t)L * sizeof(float));
                memcpy(a->offset[t][first + k], offset + k * L, (size_t)L * sizeof(float));
                if (t == 0) a->steps[first + k] = cost[k].steps;
            }
        }
        ot_free(logits), ot_free(means);
    }
done:
    ot_tuning_free(tuning);
    bench_close(&b);
    return st;
}

static answers *answers_new(void)
{
    answers *a = ot_alloc(1, sizeof *a);                   /* zero where a network is smaller than the arrays */
    return a;
}

TEST a_chip_gives_the_same_bits_in_any_fleet(const char *backend, int everything)
{
    answers *one = answers_new(), *two = answers_new(), *all = answers_new(), *again = answers_new();
    OK(ask(one, backend, 1, everything));
    OK(ask(two, backend, 2, everything));
    OK(ask(all, backend, CHIPS, everything));
    simt_order(SIMT_RANDOM + 4);
    OK(ask(again, backend, CHIPS, everything));
    simt_order(SIMT_FORWARD);
    ASSERT_MEM_EQ(one, two, sizeof *one);
    ASSERT_MEM_EQ(one, all, sizeof *one);
    ASSERT_MEM_EQ(one, again, sizeof *one);
    ot_free(one), ot_free(two), ot_free(all), ot_free(again);
    PASS();
}

/* Logits are of size 1 to 10.  `tol`: of numbers; `knob_tol`: of knobs after four steps of 0.01, where a gradient near zero may turn. */
TEST a_fleet_agrees_with_ref(const char *backend, int everything, double tol, double knob_tol)
{
    answers *want = answers_new(), *got = answers_new();
    OK(ask(want, "ref", CHIPS, everything));
    OK(ask(got, backend, CHIPS, everything));
    double top = check_max_f32(want->logits[0][0], sizeof want->logits / sizeof(float));
    CHECK_CLOSE(want->logits[0][0], got->logits[0][0], sizeof want->logits / sizeof(float), tol * (1 + top));
    CHECK_CLOSE(want->means[0][0], got->means[0][0], sizeof want->means / sizeof(float), tol);
    CHECK_CLOSE(want->gain[0][0], got->gain[0][0], sizeof want->gain / sizeof(float), knob_tol);
    CHECK_CLOSE(want->offset[0][0], got->offset[0][0], sizeof want->offset / sizeof(float), knob_tol);
    for (int k = 0; k < CHIPS; k++) {
        int64_t bits = 0;
        for (int i = 0; i < IMAGES; i++) bits += got->bits[k][i / 8] >> i % 8 & 1;
        ASSERT_EQ(got->correct[k], bits);
        ASSERT_EQ(4, got->steps[k]);
        if (tol < 1e-4) ASSERT_EQ(want->correct[k], got->correct[k]);
    }
    ot_free(want), ot_free(got);
    PASS();
}

/* The steps are 0.02, 0.04, 0.005, 0.0025 for four, 0.02, 0.005 for two. */
TEST a_fleet_follows_policy_and_optimiser(const char *how, double knob_tol)
{
    answers *fixed = answers_new(), *got = answers_new();
    OK(ask(fixed, "cuda", CHIPS, 0));
    policy = "TRI(k0=0.02 k1=0.04 l=25%)@50%, EXP(k0=0.005 gamma=0.5)";
    optimizer = how;
    greatest_test_res res = a_fleet_agrees_with_ref("cuda", 0, 1e-5, knob_tol);
    ot_status         st = ask(got, "cuda", CHIPS, 0);
    policy = "none", optimizer = "adam";
    ASSERT_EQ(OT_OK, st);
    ASSERT(memcmp(fixed->gain[0], got->gain[0], sizeof fixed->gain[0]) && memcmp(fixed->gain[2], got->gain[2], sizeof fixed->gain[2]));
    ASSERT_MEM_EQ(fixed->gain[1], got->gain[1], sizeof fixed->gain[1]);       /* the closed form takes no steps */
    ot_free(fixed), ot_free(got);
    return res;
}

/* Of the golden network's six T-ReLUs those without an addition before and a pool behind ride on the convolution that reads them. */
TEST backward_of_relus_rides_on_convolutions(void)
{
    bench               b;
    ot_many_adam_result result[1];
    uint32_t            rows[2 * TILE] = {0};
    int64_t             launches[3];
    int                 relus = 0;
    OK(bench_open(&b, "cuda", 1, 0));
    OK(ot_fleet_draw(b.fleet, numbers, 1));
    simt_blocks(SIMT_NO_BLOCKS);
    for (int steps = 1; steps <= 2; steps++) {
        launches[0] = simt_launches();
        OK(ot__fleet_many_adam(b.fleet, b.data, rows, TILE, steps, &(ot_many_rule){.lr = 0.01}, result));
        launches[steps] = simt_launches() - launches[0];
    }
    simt_blocks(SIMT_ALL_BLOCKS);
    const ot_plan *p = b.fleet->plan;
    int64_t        least = 1 + p->n_steps + 2 + 1;        /* input, forward, loss and its sum, Adam */
    for (int i = 0; i < p->n_steps; i++) {
        least += ot__plan_grad(p, p->steps[i].dst) && ot__plan_grad(p, p->steps[i].src);      /* one kernel to the data where it is wanted ... */
        least += p->steps[i].relu != NULL;                /* ... and the second stage of each T-ReLU's sums */
        relus += p->steps[i].relu != NULL;
    }
    ASSERT_EQ(6, relus);
    ASSERT(launches[2] - launches[1] >= least);
    ASSERT(launches[2] - launches[1] < least + relus);    /* not a kernel of its own for every T-ReLU */
    bench_close(&b);
    PASS();
}

TEST halves_that_overflow_are_run_again_in_float(void)
{
    bench b;
    OK(bench_open(&b, "cuda:fp16", 2, 0));
    OK(ot_fleet_draw(b.fleet, numbers, 2));
    float gain[2][6], offset[2][6] = {{0}}, logits[2 * 4 * 10], want[4 * 10];
    int64_t correct[2] = {-1, -1};
    for (int l = 0; l < 6; l++) gain[0][l] = 1, gain[1][l] = 300;         /* chip 1: numbers far beyond 65504 */
    OK(ot_fleet_set_knobs(b.fleet, gain[0], offset[0]));
    check_poison(logits, 80);
    OK(ot_fleet_forward(b.fleet, b.data, NULL, 4, logits, NULL));
    ASSERT_EQ(1, ot_fleet_reruns(b.fleet));
    OK(ot_fleet_count(b.fleet, b.data, NULL, 4, correct, NULL));
    ASSERT_EQ(2, ot_fleet_reruns(b.fleet));
    ASSERT(correct[0] >= 0 && correct[1] >= 0);
    bench_close(&b);
    OK(bench_open(&b, "ref", 1, 0));
    OK(ot_fleet_draw(b.fleet, &numbers[1], 1));
    OK(ot_fleet_set_knobs(b.fleet, gain[1], offset[1]));
    check_poison(want, 40);
    OK(ot_fleet_forward(b.fleet, b.data, NULL, 4, want, NULL));
    CHECK_CLOSE(want, logits + 40, 40, 1e-5 * check_max_f32(want, 40));
    bench_close(&b);
    PASS();
}

/* Pixels a thousand times too bright: without calibration halves overflow. */
TEST calibrated_halves_hold_large_and_small_numbers(float bright)
{
    bench       b;
    float       got[4 * 10], want[4 * 10], means[4 * 6], want_means[4 * 6];
    const float zero[3] = {0}, sd[3] = {1 / bright, 1 / bright, 1 / bright};
    for (int turn = 0; turn < 2; turn++) {
        ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
        ot_variation    var = OT_VARIATION_INIT;
        OK(bench_open(&b, turn ? "ref" : "cuda:fp16", 1, 0));
        ot_fleet_free(b.fleet);
        OK(ot_network_set_normalisation(b.net, zero, sd));
        opt.use = OT_PLAN_TUNE, opt.tile = TILE, opt.chips = 1;
        OK(ot_fleet_open(&b.fleet, b.be, b.net, &steep, &var, &opt));
        OK(ot_fleet_calibrate(b.fleet, b.data));
        OK(ot_fleet_draw(b.fleet, numbers, 1));
        OK(ot_fleet_forward(b.fleet, b.data, NULL, 4, turn ? want : got, turn ? want_means : means));
        ASSERT_EQ(0, ot_fleet_reruns(b.fleet));
        bench_close(&b);
    }
    CHECK_CLOSE(want, got, 40, 1e-2 * check_max_f32(want, 40));
    for (int k = 0; k < 24; k++) ASSERT_IN_RANGE((double)want_means[k], (double)means[k], 2e-2 * fabs((double)want_means[k]) + 1e-3 * check_max_f32(want_means, 24));
    PASS();
}

TEST bad_knobs_and_numbers_are_refused(void)
{
    bench   b;
    float   gain[12], offset[12] = {0};
    int64_t correct[2];
    OK(bench_open(&b, "cuda", 2, 0));
    FAILS(OT_E_RANGE, "no chips yet", ot_fleet_count(b.fleet, b.data, NULL, 4, correct, NULL));
    FAILS(OT_E_RANGE, "a fleet of 2", ot_fleet_draw(b.fleet, numbers, 3));
    OK(ot_fleet_draw(b.fleet, numbers, 2));
    for (int i = 0; i < 12; i++) gain[i] = 1;
    gain[8] = 0.01f;
    FAILS(OT_E_RANGE, "ReLU layer 2", ot_fleet_set_knobs(b.fleet, gain, offset));
    gain[8] = 1, offset[3] = NAN;
    FAILS(OT_E_RANGE, "ReLU layer 3", ot_fleet_set_knobs(b.fleet, gain, offset));
    FAILS(OT_E_RANGE, "33 images", ot_fleet_count(b.fleet, b.data, NULL, 33, correct, NULL));
    bench_close(&b);
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    ot_plan        *plan;
    ot_backend     *cpu;
    opt.chips = 2;
    OK(bench_open(&b, "cpu", 2, 0));
    OK(ot_backend_open(&cpu, "cpu", NULL));
    FAILS(OT_E_RANGE, "wants backend 'cuda'", ot_plan_open(&plan, cpu, b.net, &opt));
    ot_backend_close(cpu);
    bench_close(&b);
    PASS();
}

TEST fewer_chips_fit_into_less_memory(void)
{
    bench           b;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    int             all = 0, some = 0;
    opt.use = OT_PLAN_TUNE, opt.tile = TILE;
    OK(bench_open(&b, "cuda", 1, 0));
    OK(ot_fleet_fit(&all, b.be, b.net, &opt, 0, 1000));
    OK(ot_fleet_fit(&some, b.be, b.net, &opt, 4 << 20, 1000));
    ASSERT_EQ(1000, all);
    ASSERT(some > 1 && some < 100);
    FAILS(OT_E_MEMORY_PLAN, "one chip takes", ot_fleet_fit(&some, b.be, b.net, &opt, 1 << 10, 1000));
    bench_close(&b);
    PASS();
}

/* A fleet's whole life; what fails must be said, and nothing may be left behind. */
static ot_status life(const char *backend)
{
    bench           b;
    int64_t         correct[2];
    float           gain[12], offset[12];
    ot_tune_cost    cost[2];
    ot_tuning      *tuning = NULL;
    ot_tune_options opt = ot_tune_defaults();
    ot_plan        *plan = NULL;
    ot_plan_options one = OT_PLAN_OPTIONS_INIT;
    ot_status       st = bench_open(&b, backend, 2, 0);
    one.use = OT_PLAN_TUNE, one.tile = TILE;
    opt.steps = 3, opt.minibatch = 8, opt.images = 4;
    if (st == OT_OK) st = ot_plan_open(&plan, b.be, b.net, &one);
    if (st == OT_OK) st = ot_tuning_open(&tuning, plan, b.data, &opt);
    if (st == OT_OK) st = ot_fleet_draw(b.fleet, numbers, 2);
    if (st == OT_OK) st = ot_fleet_count(b.fleet, b.data, NULL, 9, correct, NULL);
    if (st == OT_OK) st = ot_tuning_run_fleet(tuning, OT_TUNER_CLOSED_FORM, b.fleet, NULL, NULL, gain, offset, NULL, cost);
    if (st == OT_OK) st = ot_tuning_run_fleet(tuning, OT_TUNER_EXHAUSTIVE, b.fleet, NULL, NULL, gain, offset, NULL, cost);
    ot_tuning_free(tuning);
    ot_plan_free(plan);
    bench_close(&b);
    return st;
}

TEST any_call_that_fails_is_reported_and_leaves_nothing(int error, ot_status want)
{
    int64_t before = simt_live(), start = simt_calls();
    simt_blocks(SIMT_NO_BLOCKS);                           /* what the calls are matters here, not the numbers */
    OK(life("cuda"));
    int64_t calls = simt_calls() - start;
    ASSERT(calls > 300);
    for (int64_t k = 1; k <= calls; k += k < 60 ? 1 : 7) {
        simt_fail_call(k, error);
        ot_status st = life("cuda");
        simt_fail_call(0, 0);
        simt_clear();
        if (st != want && st != OT_OK) printf("call %lld: %s: %s\n", (long long)k, ot_status_name(st), ot_last_error());
        ASSERT(st == want || st == OT_OK);                 /* a version number that cannot be read is no failure */
        if (st != OT_OK) ASSERT(strstr(ot_last_error(), "CUDA"));
        ASSERT_EQ(before, simt_live());
    }
    simt_blocks(SIMT_ALL_BLOCKS);
    PASS();
}

TEST devices_that_will_not_do_are_refused_with_the_reason(void)
{
    ot_backend *be;
    const char *why = NULL;
    simt_device(0, 0, 0, 13000);
    FAILS(OT_E_CUDA, "no CUDA-capable device", ot_backend_open(&be, "cuda", NULL));
    OK(ot_backend_open(&be, "auto", &why));
    ASSERT_STR_EQ("cpu", ot_backend_name(be));
    ASSERT(strstr(why, "no GPU: using cpu") && strstr(why, "no CUDA-capable device"));
    ot_backend_close(be);
    simt_device(1, 6, 1, 13000);
    FAILS(OT_E_BACKEND, "compute capability 6.1, want 7.0", ot_backend_open(&be, "cuda", NULL));
    simt_device(1, 7, 5, 13000);
    FAILS(OT_E_BACKEND, "'cuda:tf32' wants 8.0", ot_backend_open(&be, "cuda:tf32", NULL));
    simt_device(1, 9, 0, 11000);
    FAILS(OT_E_CUDA, "update it", ot_backend_open(&be, "cuda", NULL));
    simt_device(1, 9, 0, 13000);
    FAILS(OT_E_BACKEND, "want cuda, cuda:tf32 or cuda:fp16", ot_backend_open(&be, "cuda:int8", NULL));
    OK(ot_backend_open(&be, "cuda:fp16", &why));
    ASSERT_STR_EQ("cuda:fp16", ot_backend_name(be));
    ASSERT(strstr(ot_backend_detail(be), "fp16"));
    ot_backend_close(be);
    PASS();
}

TEST training_in_half_precision_is_refused(void)
{
    ot_network     *net = net_everything(3, 0);
    ot_backend     *be;
    ot_plan        *plan;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = OT_PLAN_TRAIN, opt.tile = 4;
    OK(ot_backend_open(&be, "cuda:fp16", NULL));
    FAILS(OT_E_UNSUPPORTED, "training weights in half precision", ot_plan_open(&plan, be, net, &opt));
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

SUITE(test_fleet)
{
    RUN_TESTp(weights_on_the_device_are_the_chips_bits, "cuda", 0.0);
    RUN_TESTp(weights_on_the_device_are_the_chips_bits, "cuda", 0.03);
    RUN_TESTp(weights_on_the_device_are_the_chips_bits, "cpu", 0.03);
    static const char *const nets[3] = {"golden", "every_layer", "shared"};
    for (int everything = 0; everything < 3; everything++) {
        if (everything == 1 && getenv("OT_SMALL")) continue;                                 /* sanitizers take their time */
        greatest_set_test_suffix(nets[everything]);
        RUN_TESTp(a_chip_gives_the_same_bits_in_any_fleet, "cuda", everything);
        RUN_TESTp(a_fleet_agrees_with_ref, "cuda", everything, /* float sums of some hundred terms */ 1e-5, 1e-3);
        RUN_TESTp(a_fleet_agrees_with_ref, "cpu", everything, 1e-5, 1e-3);
    }
    greatest_set_test_suffix("fp16");
    RUN_TESTp(a_chip_gives_the_same_bits_in_any_fleet, "cuda:fp16", 0);
    RUN_TESTp(a_fleet_agrees_with_ref, "cuda:fp16", 0, /* 11 bits through seven layers; a gradient near zero may turn, and a step is 0.01 */ 1e-2, 5e-2);
    greatest_set_test_suffix("tf32");
    RUN_TESTp(a_fleet_agrees_with_ref, "cuda:tf32", 0, 1e-2, 5e-2);
    greatest_set_test_suffix("libs");
    RUN_TESTp(a_chip_gives_the_same_bits_in_any_fleet, "cuda:fp32+libs=*:libs,libs", 0);
    greatest_set_test_suffix("libs");
    RUN_TESTp(a_fleet_agrees_with_ref, "cuda:fp32+libs=*:libs,libs", 0, 1e-5, 1e-3);
    /* float sums; SGD's steps are as long as the gradients, Adam's turn with one near zero */
    RUN_TESTp(a_fleet_follows_policy_and_optimiser, "adam", 5e-3);
    RUN_TESTp(a_fleet_follows_policy_and_optimiser, "sgd", 1e-5);
    RUN_TESTp(a_fleet_follows_policy_and_optimiser, "momentum", 1e-5);
    RUN_TEST(backward_of_relus_rides_on_convolutions);
    RUN_TEST(halves_that_overflow_are_run_again_in_float);
    RUN_TESTp(calibrated_halves_hold_large_and_small_numbers, 20000.0f);
    RUN_TESTp(calibrated_halves_hold_large_and_small_numbers, 1e-3f);
    RUN_TEST(bad_knobs_and_numbers_are_refused);
    RUN_TEST(fewer_chips_fit_into_less_memory);
    greatest_set_test_suffix("out_of_memory");
    RUN_TESTp(any_call_that_fails_is_reported_and_leaves_nothing, cudaErrorMemoryAllocation, OT_E_MEMORY_PLAN);
    greatest_set_test_suffix("launch_failure");
    RUN_TESTp(any_call_that_fails_is_reported_and_leaves_nothing, cudaErrorLaunchFailure, OT_E_CUDA);
    RUN_TEST(devices_that_will_not_do_are_refused_with_the_reason);
    RUN_TEST(training_in_half_precision_is_refused);
}

/* test_streams.c - where the random numbers of noise come from: a measured chip's weights, its two modules and training each have their own;
 * what samples of noise do to the rest of a training; the penalty's gradient; ranges that see every batch. */
#include "chip/draw.h"
#include "check.h"
#include "nets.h"
#include "quantise/quantise.h"
#include "train/draw.h"
#include "train/lipschitz.h"
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_CHIP = -1 };

/* Normal `i` of a stream, by the definition (philox.h). */
static double normal(uint64_t seed, ot_purpose purpose, uint32_t layer, uint32_t number, size_t i)
{
    uint32_t w[4];
    float    z[4];
    ot_philox(&w[0], &w[1], &w[2], &w[3], seed, (uint32_t)(i / 4), layer, number, purpose);
    ot_normal_pair(&z[0], &z[1], w[0], w[1]);
    ot_normal_pair(&z[2], &z[3], w[2], w[3]);
    return (double)z[i % 4];
}

/* Two crossbar layers, the first in two groups. */
static ot_network *two_layers(void)
{
    ot_network *net;
    check_rng   r = {8};
    if (ot_network_new(&net, "two", 2, 5, 5) != OT_OK) return NULL;
    int l = net_relu(net, net_conv(net, &r, 0, 6, 3, 1, 1, 2, 0), INFINITY);
    net_dense(net, &r, net_flatten(net, l), 3);
    return net;
}

/* Every number of a noisy chip with both modules, from the streams that the header names. */
TEST a_chip_of_noise_is_its_streams(ot_noise_model model, int columns)
{
    const ot_noise       noise = {.model = model, .within = 0.2, .between = 0.15, .seed = 77};
    const ot_self_tuning st = {.gtm_cells = 37, .ltm_columns = columns};
    const uint32_t       number = 5;
    ot_network          *net = two_layers(), *chip;
    double               between, estimate, column = 0;
    ASSERT(net);
    OK(ot_network_copy(&chip, net));
    OK(ot_noise_apply(chip, net, &noise, &st, number, &between, &estimate));
    const double want_between = noise.between * normal(noise.seed, OT_PURPOSE_NOISE, (uint32_t)WHOLE_CHIP, number, 0);
    for (size_t i = 0; i < 37; i++) column += normal(noise.seed, OT_PURPOSE_SELF_TUNING, (uint32_t)WHOLE_CHIP, number, i) / 37;
    ASSERT_IN_RANGE(want_between, between, 1e-12);
    ASSERT_IN_RANGE(want_between + noise.within * column, estimate, 1e-12);
    for (int k = 0; k < 2; k++) {
        const ot_layer *l = ot_network_crossbar(net, k), *got = ot_network_crossbar(chip, k);
        const size_t    n = ot_layer_weights(l), fan_in = n / (size_t)l->c, rows = (size_t)(l->c / l->groups), cells = fan_in * (size_t)l->groups;
        const double    most = check_max_f32(l->weight, n), share = ot_self_tuning_share(&st, estimate, most, most), gain = ot_self_tuning_gain(&st, estimate);
        for (size_t i = 0; i < n; i++) {
            const double w = (double)l->weight[i], eps = between + noise.within * normal(noise.seed, OT_PURPOSE_NOISE, (uint32_t)k, number, i);
            const size_t place = i / fan_in / rows * fan_in + i % fan_in;
            double       noisy = w + eps * (model == OT_NOISE_FIXED ? most : w), module = 0;
            for (int c = 0; c < columns; c++) {
                const double own = between + noise.within * normal(noise.seed, OT_PURPOSE_SELF_TUNING, (uint32_t)k, number, (size_t)c * ((cells + 3) / 4 * 4) + place);
                module += most * (1 + own) / columns;       /* of weight w_max both models vary by as much */
            }
            noisy = columns ? noisy - share * module : noisy * gain;
            ASSERT_IN_RANGE(noisy, (double)got->weight[i], 2e-6 * most);        /* a few roundings to float */
        }
    }
    ot_network_free(chip);
    ot_network_free(net);
    PASS();
}

/* An LTM never leaves more noise than there was, also past eps_B = -1; away from there it takes all. */
TEST a_module_never_adds_to_the_noise(void)
{
    const ot_self_tuning st = {.gtm_cells = 1, .ltm_columns = 1};
    for (int i = -300; i <= 300; i++) {
        const double eps = i / 100.0, left = eps - ot_self_tuning_share(&st, eps, 1, 1) * (1 + eps);
        ASSERT(fabs(left) <= fabs(eps) + 1e-12);
        if (fabs(1 + eps) >= 0.1) ASSERT_IN_RANGE(0.0, left, 1e-12);
    }
    PASS();
}

TEST a_groups_columns_are_counted(void)
{
    const ot_self_tuning st = {.gtm_cells = 10, .ltm_columns = 3};
    ot_network          *net = two_layers();
    ot_self_tuning_cost  cost;
    ASSERT(net);
    OK(ot_self_tuning_measure(&cost, &st, net));
    /* 1 x 3 x 3 places of each of two groups, at 25 pixels; 150 places of the dense layer */
    ASSERT_EQ(3.0 * (9 * 2 * 25 + 150), cost.macs_ltm);
    ASSERT_EQ(3.0 * (9 * 2 + 150), cost.weights_ltm);
    ot_network_free(net);
    PASS();
}

static double accuracy_seen;
static ot_status look(void *user, int epoch, double loss, double train, double test, double lr)
{
    (void)user, (void)epoch, (void)loss, (void)test, (void)lr;
    accuracy_seen = train;
    return OT_OK;
}

/* Noise too small for a float to notice: three samples a step are one, but for how often running statistics move, by a third of 0.1 each. */
TEST samples_are_averaged(void)
{
    double share[2], accuracy[2];
    for (int k = 0; k < 2; k++) {
        ot_train_options o = ot_train_defaults();
        ot_network      *net;
        OK(net_tiny(&net, 3));
        ot_data    *d = net_data(net, 4, 16, 0);
        const size_t m = ot_network_statistics(net);
        float      *before = malloc(m * sizeof *before), *after = malloc(m * sizeof *after);
        o.epochs = 1, o.minibatch = 16, o.threads = 1;
        o.robust.noise = (ot_noise){.within = 1e-30}, o.robust.samples = k ? 3 : 1;
        o.schedule = OT_SCHEDULE_POLICY, o.policy = (ot_policy){.n = 1, .part = {{.kind = OT_POLICY_FIX, .k0 = 1e-12}}};
        for (size_t i = 0; i < m; i++) before[i] = 1000;             /* far from the minibatch's, so that these hardly count */
        ot_network_set_statistics(net, before);
        OK(ot_train(net, "ref", d, NULL, &o, look, NULL));
        ot_network_get_statistics(net, after);
        share[k] = (double)(before[0] - after[0]) / 1000;
        accuracy[k] = accuracy_seen;
        free(after), free(before);
        ot_data_free(d);
        ot_network_free(net);
    }
    ASSERT_IN_RANGE(0.1, share[0], 1e-3);
    ASSERT_IN_RANGE(1 - pow(1 - 0.1 / 3, 3), share[1], 1e-3);
    ASSERT_IN_RANGE(accuracy[0], accuracy[1], 1e-12);
    PASS();
}

/* The penalty's gradient against differences of the penalty, grouped convolution included. */
TEST the_penaltys_gradient_is_its_slope(double sigma)
{
    ot_train_options opt = ot_train_defaults();
    ot_network      *net = two_layers();
    ASSERT(net);
    const size_t n = ot_network_parameters(net), widest = 256;
    ot__trainer  t = {.net = net, .opt = &opt, .n_parameters = n, .widest = widest};
    opt.lipschitz = 0.7, opt.lipschitz_sigma = sigma;
    t.parameters = malloc(n * sizeof *t.parameters), t.grad = calloc(n, sizeof *t.grad), t.singular = malloc(2 * widest * sizeof *t.singular);
    ot_network_get_parameters(net, t.parameters);
    for (int k = 0; k < 2; k++)                                     /* one direction above all: power iterations converge; every group is over the bound */
        for (size_t i = 0, cols = (size_t)ot_layer_fan_in(net, ot_network_crossbar(net, k)); i < ot_layer_weights(ot_network_crossbar(net, k)); i++) {
            float *w = &t.parameters[(k ? ot_layer_weights(ot_network_crossbar(net, 0)) : 0) + i];
            *w = 0.1f * *w + (1 - 0.4f * (float)(i / cols % 3)) * (0.7f - 0.5f * (float)(i % cols % 2));
        }
    const double penalty = ot__lipschitz_add(&t);
    /* lambda of its definition: mean and spread of a log-normal factor */
    const double mean = exp(sigma * sigma / 2), sd = mean * sqrt(exp(sigma * sigma) - 1), lambda = 1 / (mean + 3 * sd);
    double       own = 0, u[256], v[256];
    size_t       at = 0;
    for (int k = 0; k < 2; k++) {
        const ot_layer *l = ot_network_crossbar(net, k);
        const size_t    all = ot_layer_weights(l), cols = all / (size_t)l->c, rows = (size_t)(l->c / l->groups);
        for (int g = 0; g < l->groups; g++) own += 0.7 * pow(ot__lipschitz_norm(t.parameters + at + (size_t)g * rows * cols, rows, cols, 5, u, v) - lambda, 2);
        at += all + (l->bias ? (size_t)l->c : 0);
    }
    ASSERT_IN_RANGE(own, penalty, 1e-9 * own);
    float *grad = malloc(n * sizeof *grad), most = 0;
    memcpy(grad, t.grad, n * sizeof *grad);
    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(grad[i]));
    for (size_t i = 0; i < n; i += 3) {
        const float was = t.parameters[i], h = 1e-2f;
        t.parameters[i] = was + h;
        const double up = ot__lipschitz_add(&t);
        t.parameters[i] = was - h;
        const double down = ot__lipschitz_add(&t);
        t.parameters[i] = was;
        /* differences of a curved function, and five power iterations: a hundredth of the largest */
        ASSERT_IN_RANGE((up - down) / (2 * (double)h), (double)grad[i], 0.01 * (double)most);
    }
    free(grad), free(t.singular), free(t.grad), free(t.parameters);
    ot_network_free(net);
    PASS();
}

/* Images of each minibatch four times as large as those of the one before: the step of least error is that of all, not of the first ones.  More values
 * than are kept, so that places are left out. */
TEST ranges_see_every_batch(void)
{
    enum { BATCHES = 4, BATCH = 16, SIDE = 24, N = BATCHES * BATCH };
    ot_train_options o = ot_train_defaults();
    ot_network      *net;
    check_rng        r = {8};
    uint32_t         order[N];
    OK(ot_network_new(&net, "wide", 1, SIDE, SIDE));
    float *one = ot_network_weights(net, net_conv(net, &r, 0, 8, 1, 1, 0, 1, 0));
    for (int c = 0; c < 8; c++) one[c] = 1;
    net_dense(net, &r, net_flatten(net, net_global(net, net_relu(net, 1, INFINITY))), 3);
    ot_data *d = net_data(net, 4, N, 0);
    const size_t image = SIDE * SIDE;
    o.epochs = 1, o.minibatch = BATCH, o.shards = 1, o.threads = 1;
    o.schedule = OT_SCHEDULE_POLICY, o.policy = (ot_policy){.n = 1, .part = {{.kind = OT_POLICY_FIX, .k0 = 1e-12}}};
    o.robust.activation_bits = 4, o.robust.range = OT_RANGE_LEAST;
    ot__draw_order(order, N, o.seed, 0);
    double *all = malloc(N * image * sizeof *all), step = 0;
    size_t  n = 0;
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < image; k++) {
            float *x = &d->values[order[i] * image + k];
            *x = fabsf(*x) * powf(4, (float)(i / BATCH));
            all[n++] = (double)*x;
        }
    OK(ot_quantise_scale(&step, NULL, all, n, 4));
    OK(ot_train(net, "ref", d, NULL, &o, NULL, NULL));
    ASSERT_IN_RANGE(step, (double)ot_network_relu(net, 0)->step, 0.03 * step);      /* every second value or so of 36,864 */
    free(all);
    ot_data_free(d);
    ot_network_free(net);
    PASS();
}

TEST scales_of_numbers_of_any_size(int power)
{
    static const double x[] = {1, 2, -7, 3.3, 5};
    double              y[5], want, mse, scale, own;
    for (int i = 0; i < 5; i++) y[i] = ldexp(x[i], power);
    OK(ot_quantise_scale(&want, &mse, x, 5, 4));
    OK(ot_quantise_scale(&scale, &own, y, 5, 4));
    ASSERT_EQ(ldexp(want, power), scale);
    ASSERT_EQ(ldexp(mse, 2 * power), own);
    ASSERT_EQ(0, ot_quantise_code(NAN, 1, 4));
    PASS();
}

SUITE(test_streams)
{
    for (int model = 0; model < 2; model++)
        for (int columns = 0; columns <= 3; columns += columns ? 2 : 1) {
            char suffix[32];
            snprintf(suffix, sizeof suffix, "%s_%d_columns", ot_noise_model_name((ot_noise_model)model), columns);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(a_chip_of_noise_is_its_streams, (ot_noise_model)model, columns);
        }
    RUN_TEST(a_module_never_adds_to_the_noise);
    RUN_TEST(a_groups_columns_are_counted);
    RUN_TEST(samples_are_averaged);
    greatest_set_test_suffix("wide");
    RUN_TEST1(the_penaltys_gradient_is_its_slope, 0.5);
    greatest_set_test_suffix("narrow");
    RUN_TEST1(the_penaltys_gradient_is_its_slope, 0.1);
    RUN_TEST(ranges_see_every_batch);
    for (int power = -560; power <= 480; power += 260) {
        char suffix[16];
        snprintf(suffix, sizeof suffix, "2^%d", power);
        greatest_set_test_suffix(suffix);
        RUN_TEST1(scales_of_numbers_of_any_size, power);
    }
}

/* test_plan.c - plans: derivatives against finite differences and golden values, memory, tiles, moments, bad input. */
#include "nets.h"

#include <math.h>
#include <string.h>

enum { MOST = 16 };

static ot_status open_plan(ot_backend **be, ot_plan **plan, const char *backend, const ot_network *net, ot_plan_use use, int tile)
{
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = use;
    opt.tile = tile;
    ot_status st = ot_backend_open(be, backend, NULL);
    if (st != OT_OK) return st;
    st = ot_plan_open(plan, *be, net, &opt);
    if (st != OT_OK) ot_backend_close(*be);
    return st;
}

static void close_plan(ot_backend *be, ot_plan *plan)
{
    ot_plan_free(plan);
    ot_backend_close(be);
}

static void random_knobs(check_rng *r, float *gain, float *offset, int relus)
{
    for (int l = 0; l < relus; l++) {
        gain[l] = (float)(0.8 + 0.4 * check_uniform(r));
        offset[l] = (float)(0.2 * check_normal(r));
    }
}

TEST knob_gradients_agree_with_finite_differences(int branch)
{
    ot_network *net = net_everything(1, branch);
    ot_data    *data = net_data(net, 2, 24, 0);
    check_rng   r = {3};
    float       gain[MOST], offset[MOST], *knobs[2] = {gain, offset};
    double      loss, grad[2][MOST], low[MOST], high[MOST], want[2][MOST];
    ot_backend *be;
    ot_plan    *plan;
    OK(open_plan(&be, &plan, "ref", net, OT_PLAN_TUNE, 9));
    int relus = ot_plan_relus(plan);
    ASSERT_EQ(8 + branch, relus);
    random_knobs(&r, gain, offset, relus);
    OK(ot_plan_set_knobs(plan, gain, offset));
    OK(ot_plan_gradient(plan, data, NULL, 24, &loss, grad[0], grad[1]));
    for (int which = 0; which < 2; which++)
        for (int l = 0; l < relus; l++) {
            float keep = knobs[which][l], h = 1.0f / 4096, up = keep + h, down = keep - h;
            knobs[which][l] = up;
            OK(ot_plan_set_knobs(plan, gain, offset));
            OK(ot_plan_gradient(plan, data, NULL, 24, &loss, high, high));
            double above = loss;
            knobs[which][l] = down;
            OK(ot_plan_set_knobs(plan, gain, offset));
            OK(ot_plan_gradient(plan, data, NULL, 24, &loss, low, low));
            want[which][l] = (above - loss) / ((double)up - (double)down);
            knobs[which][l] = keep;
        }
    for (int which = 0; which < 2; which++)      /* logits come as floats: 1e-7 / h; kinks of 24 images x 10^3 neurons: h of their sum */
        CHECK_CLOSE64(want[which], grad[which], (size_t)relus, 2e-3 * (1 + check_max_f64(want[which], (size_t)relus)));
    close_plan(be, plan);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

TEST parameter_gradients_agree_with_finite_differences(double smoothing)
{
    ot_network *net = net_everything(4, 1);
    ot_data    *data = net_data(net, 5, 12, 0);
    size_t      n = ot_network_parameters(net);
    float      *theta = ot_alloc(n, sizeof *theta), *grad = ot_alloc(n, sizeof *grad), *unused = ot_alloc(n, sizeof *unused);
    check_rng   r = {6};
    ot_backend *be;
    ot_plan    *plan;
    double      loss, above;
    ot_plan_options opt = {.use = OT_PLAN_TRAIN, .tile = 12, .label_smoothing = smoothing};
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    ot_network_get_parameters(net, theta);
    check_poison(grad, n);
    OK(ot_plan_set_parameters(plan, theta));
    OK(ot_plan_train(plan, data->values, data->labels, 12, grad, NULL, &loss, NULL));
    double largest = check_max_f32(grad, n);
    ASSERT(largest > 1e-3);
    for (int i = 0; i < 40; i++) {
        size_t k = (size_t)(check_uniform(&r) * (double)n);
        float  keep = theta[k], h = 1.0f / 16384, up = keep + h, down = keep - h;
        theta[k] = up;
        OK(ot_plan_set_parameters(plan, theta));
        OK(ot_plan_train(plan, data->values, data->labels, 12, unused, NULL, &above, NULL));
        theta[k] = down;
        OK(ot_plan_set_parameters(plan, theta));
        OK(ot_plan_train(plan, data->values, data->labels, 12, unused, NULL, &loss, NULL));
        theta[k] = keep;
        double want = (above - loss) / ((double)up - (double)down), got = (double)grad[k];
        /* logits come as floats: 1e-7 / h; kinks, as above */
        if (!(fabs(want - got) <= 6e-3 + 2e-2 * fabs(want))) printf("\nparameter %zu of %zu: want %g, got %g\n", k, n, want, got);
        ASSERT(fabs(want - got) <= 6e-3 + 2e-2 * fabs(want));
    }
    close_plan(be, plan);
    ot_free(theta);
    ot_free(grad);
    ot_free(unused);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

SUITE(test_plan)
{
    for (int branch = 0; branch < 2; branch++) {
        greatest_set_test_suffix(branch ? "with_a_branch_nobody_reads" : "");
        RUN_TESTp(knob_gradients_agree_with_finite_differences, branch);
    }
    RUN_TESTp(parameter_gradients_agree_with_finite_differences, 0.0);
    greatest_set_test_suffix("label_smoothing");
    RUN_TESTp(parameter_gradients_agree_with_finite_differences, 0.1);
}

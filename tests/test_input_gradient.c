/* test_input_gradient.c - derivatives to the images: against finite differences on ref, backends against ref; plans that do not ask for
 * them stay as they are. */
#include "nets.h"

#include <math.h>
#include <string.h>

enum { MOST = 16, IMAGES = 6, CLASSES = 5, FIRSTS = 9 };

static ot_status open_plan(ot_backend **be, ot_plan **plan, const char *backend, const ot_network *net, int tile)
{
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = OT_PLAN_TUNE;
    opt.tile = tile;
    opt.input_gradient = 1;
    ot_status st = ot_backend_open(be, backend, NULL);
    return st == OT_OK ? ot_plan_open(plan, *be, net, &opt) : st;
}

static void close_plan(ot_backend *be, ot_plan *plan)
{
    ot_plan_free(plan);
    ot_backend_close(be);
}

static void set_random_knobs(ot_plan *plan)
{
    check_rng r = {3};
    float     gain[MOST], offset[MOST];
    for (int l = 0; l < ot_plan_knobs(plan); l++) {
        gain[l] = (float)(0.8 + 0.4 * check_uniform(&r));
        offset[l] = (float)(0.2 * check_normal(&r));
    }
    ot_plan_set_knobs(plan, gain, offset);
}

/* sum over images of w . y + y . y / 8, other weights for each image */
typedef struct loss { double value; int calls; } loss;

static ot_status bowl(void *user, const float *logits, int n, float *grad)
{
    loss     *l = user;
    check_rng r = {99};
    l->value = 0;
    l->calls++;
    for (int i = 0; i < n * CLASSES; i++) {
        double w = check_normal(&r), y = (double)logits[i];
        l->value += w * y + y * y / 8;
        grad[i] = (float)(w + y / 4);
    }
    return OT_OK;
}

/* Networks that begin with each kind of layer, without a ReLU: smooth but for max pooling, so differences are sharp. */
static ot_network *net_first(int first)
{
    check_rng   r = {21 + (uint64_t)first};
    ot_network *net;
    int         x = 0;
    if (ot_network_new(&net, "first", first == 8 ? 20 : 3, 9, 7) != OT_OK) return NULL;
    switch (first) {
    case 0: x = net_conv(net, &r, 0, 6, 3, 2, 1, 1, 1); break;
    case 1: x = net_batch_norm(net, &r, net_conv(net, &r, 0, 6, 3, 1, 1, 3, 0)); break;          /* depthwise, two outputs a channel */
    case 2: x = net_batch_norm(net, &r, 0); break;
    case 3: x = net_bias(net, &r, net_add(net, 0, 0)); break;
    case 4: x = net_pool(net, 0, OT_OP_MAX_POOL, 3, 2, 1); break;
    case 5: x = net_pool(net, 0, OT_OP_AVG_POOL, 2, 2, 0); break;
    case 6: x = net_add(net, net_slice(net, net_pad(net, 0, 1, 1), 2), net_pad(net, net_pool(net, 0, OT_OP_MAX_POOL, 2, 2, 1), 1, 0)); break;
    case 7: x = net_add(net, net_conv(net, &r, 0, 3, 3, 1, 1, 1, 0), 0); break;                   /* residual around the first layer */
    default: x = net_conv(net, &r, 0, 17, 1, 1, 0, 1, 0); break;
    }
    net_dense(net, &r, net_flatten(net, x), CLASSES);
    return net;
}

static enum greatest_test_res differences_agree(ot_network *net, double per_kink)
{
    ot_data    *data = net_data(net, 2, IMAGES, 0);
    size_t      image = (size_t)data->c * (size_t)data->h * (size_t)data->w, all = IMAGES * image;
    float      *grad = ot_alloc(all, sizeof *grad), *unused = ot_alloc(all, sizeof *unused);
    check_rng   r = {6};
    loss        l = {0};
    ot_backend *be;
    ot_plan    *plan;
    ASSERT(grad && unused);
    OK(open_plan(&be, &plan, "ref", net, IMAGES + 1));
    set_random_knobs(plan);
    check_poison(grad, all);
    OK(ot_plan_input_gradient(plan, data->values, IMAGES, bowl, &l, grad));
    double largest = check_max_f32(grad, all);
    ASSERT(largest > 1e-2);
    for (int i = 0; i < 80; i++) {
        size_t k = (size_t)(check_uniform(&r) * (double)all);
        float  keep = data->values[k], h = 1.0f / 512, up = keep + h, down = keep - h;
        data->values[k] = up;
        OK(ot_plan_input_gradient(plan, data->values, IMAGES, bowl, &l, unused));
        double above = l.value;
        data->values[k] = down;
        OK(ot_plan_input_gradient(plan, data->values, IMAGES, bowl, &l, unused));
        data->values[k] = keep;
        double want = (above - l.value) / ((double)up - (double)down), got = (double)grad[k];
        /* logits come as floats: 30 of them, each off by 6e-8 of itself, over 2 h: 1e-4; kinks within h move a few neurons' shares */
        if (!(fabs(want - got) <= 2e-4 * (1 + largest) + per_kink * largest)) printf("\npixel %zu of %zu: want %g, got %g\n", k, all, want, got);
        ASSERT(fabs(want - got) <= 2e-4 * (1 + largest) + per_kink * largest);
    }
    close_plan(be, plan);
    ot_free(unused);
    ot_free(grad);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

TEST image_gradients_agree_with_finite_differences(int branch) { return differences_agree(net_everything(1, branch), 0.01); }
TEST image_gradients_pass_each_kind_of_first_layer(int first) { return differences_agree(net_first(first), 0); }

TEST backends_agree_on_image_gradients(const char *backend, int first)
{
    ot_network *net = first < 0 ? net_everything(11, 1) : net_first(first);
    ot_data    *data = net_data(net, 12, IMAGES, 0);
    size_t      all = (size_t)IMAGES * (size_t)data->c * (size_t)data->h * (size_t)data->w;
    float      *grad[2];
    loss        l[2] = {{0, 0}, {0, 0}};
    for (int k = 0; k < 2; k++) {
        ot_backend *be;
        ot_plan    *plan;
        ASSERT((grad[k] = ot_alloc(all, sizeof *grad[k])));
        check_poison(grad[k], all);
        OK(open_plan(&be, &plan, k ? backend : "ref", net, 8));
        set_random_knobs(plan);
        OK(ot_plan_input_gradient(plan, data->values, IMAGES, bowl, &l[k], grad[k]));
        close_plan(be, plan);
    }
    /* a dozen layers of up to 200 float products each; a mask that flips moves a pixel by one neuron's share */
    ASSERT_IN_RANGE(l[0].value, l[1].value, 1e-5 * (1 + fabs(l[0].value)));
    CHECK_CLOSE(grad[0], grad[1], all, (first < 0 ? 1e-3 : 1e-5) * check_max_f32(grad[0], all));
    ot_free(grad[0]), ot_free(grad[1]);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* An image's gradient is the same bits alone, in company, and in a larger tile after NaN. */
TEST an_images_gradient_is_its_own(const char *backend)
{
    ot_network *net = net_everything(5, 0);
    ot_data    *data = net_data(net, 6, IMAGES, 0);
    size_t      image = 3 * 13 * 11, all = IMAGES * image;
    float      *grad = ot_alloc(all, sizeof *grad), *alone = ot_alloc(all, sizeof *alone);
    loss        l = {0};
    ot_backend *be;
    ot_plan    *plan;
    ASSERT(grad && alone);
    OK(open_plan(&be, &plan, backend, net, IMAGES));
    for (size_t i = 0; i < all; i++) alone[i] = NAN;
    OK(ot_plan_input_gradient(plan, alone, IMAGES, bowl, &l, grad));
    ASSERT(isnan(l.value));
    OK(ot_plan_input_gradient(plan, data->values, IMAGES, bowl, &l, grad));
    check_poison(alone, all);
    OK(ot_plan_input_gradient(plan, data->values, 2, bowl, &l, alone));
    ASSERT_MEM_EQ(grad, alone, 2 * image * sizeof *grad);
    ASSERT(isnan(alone[2 * image]));
    ot_free(alone);
    ot_free(grad);
    close_plan(be, plan);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* The plan that does not ask takes what it took; knob gradients are the same bits in both. */
TEST plans_that_do_not_ask_are_as_they_were(const char *backend)
{
    ot_network     *net = net_everything(1, 1);
    ot_data        *data = net_data(net, 2, 9, 0);
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = 9};
    size_t          bytes[2], L = (size_t)ot_network_relus(net);
    double          value[2], grad[2][2 * MOST];
    for (int k = 0; k < 2; k++) {
        ot_backend *be;
        ot_plan    *plan;
        opt.input_gradient = k;
        OK(ot_backend_open(&be, backend, NULL));
        size_t before = ot_memory_now().live_bytes, planned;
        OK(ot_plan_measure(&planned, be, net, &opt));
        OK(ot_plan_open(&plan, be, net, &opt));
        bytes[k] = ot_plan_bytes(plan);
        ASSERT_EQ(planned, bytes[k]);
        if (strncmp(backend, "cuda", 4)) ASSERT_EQ(planned, ot_memory_now().live_bytes - before);
        set_random_knobs(plan);
        OK(ot_plan_gradient(plan, data, NULL, 9, &value[k], grad[k], grad[k] + L));
        close_plan(be, plan);
    }
    ASSERT(bytes[0] < bytes[1]);
    ASSERT_EQ(value[0], value[1]);
    ASSERT_MEM_EQ(grad[0], grad[1], 2 * L * sizeof(double));
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* A network without knobs has no gradients at all in the plan that does not ask. */
TEST gradients_take_memory_only_where_asked(void)
{
    ot_network     *net = net_first(0);
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = 9};
    size_t          bytes[2];
    ot_backend     *be;
    OK(ot_backend_open(&be, "ref", NULL));
    for (int k = 0; k < 2; k++) {
        opt.input_gradient = k;
        OK(ot_plan_measure(&bytes[k], be, net, &opt));
    }
    ASSERT_GTE(bytes[1], bytes[0] + 9 * 3 * 9 * 7 * sizeof(double));  /* the images' at least */
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

static ot_status refuses(void *user, const float *logits, int n, float *grad)
{
    (void)user, (void)logits, (void)n, (void)grad;
    return OT_E_USAGE;
}

TEST image_gradients_refuse_what_they_cannot_do(void)
{
    ot_network     *net = net_everything(1, 0);
    ot_data        *data = net_data(net, 2, 4, 0);
    ot_plan_options opt = {.use = OT_PLAN_FORWARD, .tile = 4, .input_gradient = 1};
    loss            l = {0};
    float          *grad = ot_alloc(4 * 3 * 13 * 11, sizeof *grad);
    ot_backend     *be;
    ot_plan        *plan;
    OK(ot_backend_open(&be, "ref", NULL));
    FAILS(OT_E_RANGE, "opened for tuning", ot_plan_open(&plan, be, net, &opt));
    opt.use = OT_PLAN_TRAIN;
    FAILS(OT_E_RANGE, "opened for tuning", ot_plan_open(&plan, be, net, &opt));
    opt.use = OT_PLAN_TUNE;
    OK(ot_plan_open(&plan, be, net, &opt));
    FAILS(OT_E_RANGE, "gradients to 5 images, want 1..4", ot_plan_input_gradient(plan, data->values, 5, bowl, &l, grad));
    FAILS(OT_E_RANGE, "gradients to 0 images", ot_plan_input_gradient(plan, data->values, 0, bowl, &l, grad));
    ASSERT_EQ(OT_E_USAGE, ot_plan_input_gradient(plan, data->values, 4, refuses, NULL, grad));
    ASSERT_EQ(0, l.calls);
    ot_plan_free(plan);
    opt.input_gradient = 0;
    OK(ot_plan_open(&plan, be, net, &opt));
    FAILS(OT_E_RANGE, "opened with input_gradient", ot_plan_input_gradient(plan, data->values, 4, bowl, &l, grad));
    close_plan(be, plan);
    ot_free(grad);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

static void suffix(const char *backend, int first)
{
    char text[96];
    if (first >= 0) snprintf(text, sizeof text, "%s%sfirst_%d", backend, *backend ? "_" : "", first);
    else snprintf(text, sizeof text, "%s", backend);
    greatest_set_test_suffix(text);
}

SUITE(test_input_gradient)
{
    const char *be;
    for (int branch = 0; branch < 2; branch++) {
        greatest_set_test_suffix(branch ? "with_a_branch_nobody_reads" : "");
        RUN_TESTp(image_gradients_agree_with_finite_differences, branch);
    }
    for (int first = 0; first < FIRSTS; first++) {
        suffix("", first);
        RUN_TESTp(image_gradients_pass_each_kind_of_first_layer, first);
    }
    RUN_TEST(gradients_take_memory_only_where_asked);
    RUN_TEST(image_gradients_refuse_what_they_cannot_do);
    for (int i = 0; (be = net_backend(i)); i++) {
        suffix(be, -1);
        RUN_TESTp(plans_that_do_not_ask_are_as_they_were, be);
        suffix(be, -1);
        RUN_TESTp(an_images_gradient_is_its_own, be);
        for (int first = -1; first < FIRSTS && strcmp(be, "ref"); first++) {
            suffix(be, first);
            RUN_TESTp(backends_agree_on_image_gradients, be, first);
        }
    }
}

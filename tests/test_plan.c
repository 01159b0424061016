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
    int relus = ot_plan_knobs(plan);
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


/* --- memory --- */

TEST memory_planned_is_memory_taken(const char *backend)
{
    ot_network *net = net_everything(1, 1);
    size_t      bytes[3] = {0};
    for (int use = OT_PLAN_FORWARD; use <= OT_PLAN_TRAIN; use++)
        for (int tile = 1; tile <= 17; tile += 16) {
            ot_plan_options opt = {.use = (ot_plan_use)use, .tile = tile};
            ot_backend     *be;
            ot_plan        *plan;
            size_t          planned = 0;
            OK(ot_backend_open(&be, backend, NULL));
            size_t before = ot_memory_now().live_bytes;
            OK(ot_plan_measure(&planned, be, net, &opt));
            ASSERT_EQ(before, ot_memory_now().live_bytes);
            OK(ot_plan_open(&plan, be, net, &opt));
            ASSERT_EQ(planned, ot_plan_bytes(plan));
            if (planned != ot_memory_now().live_bytes - before) printf("\n%d %d: planned %zu, took %zu\n", use, tile, planned, ot_memory_now().live_bytes - before);
            ASSERT_EQ(planned, ot_memory_now().live_bytes - before);
            close_plan(be, plan);
            bytes[use] = planned;
        }
    ASSERT(bytes[OT_PLAN_FORWARD] < bytes[OT_PLAN_TUNE]);
    ASSERT(bytes[OT_PLAN_TUNE] <= bytes[OT_PLAN_TRAIN]);
    ot_network_free(net);
    PASS();
}

/* A chain of 30 equal layers in a forward plan wants two tensors, not 30. */
TEST forward_tensors_share_memory(void)
{
    check_rng       r = {1};
    ot_network     *net;
    ot_backend     *be;
    size_t          bytes[2];
    ot_plan_options opt = {.use = OT_PLAN_FORWARD, .tile = 64};
    for (int k = 0; k < 2; k++) {
        OK(ot_network_new(&net, "chain", 4, 16, 16));
        int x = 0;
        for (int i = 0; i < (k ? 30 : 3); i++) x = net_relu(net, net_conv(net, &r, x, 4, 1, 1, 0, 1, 1), INFINITY);
        OK(ot_backend_open(&be, "ref", NULL));
        OK(ot_plan_measure(&bytes[k], be, net, &opt));
        ot_backend_close(be);
        ot_network_free(net);
    }
    ASSERT(bytes[1] < bytes[0] + 64 * 4 * 16 * 16 * sizeof(double));
    PASS();
}

TEST steady_state_allocates_nothing(const char *backend)
{
    ot_network *net = net_everything(1, 0);
    ot_data    *data = net_data(net, 2, 20, 1);
    ot_backend *be;
    ot_plan    *plan;
    float       logits[20 * 5], mean[20 * MOST];
    double      loss, a[MOST], b[MOST];
    int64_t     correct;
    OK(open_plan(&be, &plan, backend, net, OT_PLAN_TUNE, 8));
    size_t calls = ot_memory_now().calls;
    OK(ot_plan_forward(plan, data, NULL, 20, logits, mean));
    OK(ot_plan_count(plan, data, NULL, 20, &correct, NULL));
    OK(ot_plan_gradient(plan, data, NULL, 20, &loss, a, b));
    OK(ot_plan_set_knobs(plan, NULL, NULL));
    OK(ot_plan_load(plan, NULL));
    ASSERT_EQ(calls, ot_memory_now().calls);
    close_plan(be, plan);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* Whatever allocation fails: the status says so, nothing leaks, and the next try succeeds. */
TEST every_failing_allocation_is_survived(const char *backend)
{
    ot_network *net = net_everything(1, 1);
    for (int use = OT_PLAN_FORWARD; use <= OT_PLAN_TRAIN + 1; use++) {
        ot_plan_options opt = {.use = use > OT_PLAN_TRAIN ? OT_PLAN_TUNE : (ot_plan_use)use, .tile = 3};
        size_t          before = ot_memory_now().live;
        int             failed = 0;
        for (size_t n = 1;; n++) {
            ot_backend *be = NULL;
            ot_plan    *plan = NULL;
            size_t      bytes;
            ot_memory_fail_at(n);
            ot_status st = ot_backend_open(&be, backend, NULL);
            if (st == OT_OK) st = use > OT_PLAN_TRAIN ? ot_plan_measure(&bytes, be, net, &opt) : ot_plan_open(&plan, be, net, &opt);
            ot_memory_fail_at(0);
            ot_plan_free(plan);
            ot_backend_close(be);
            ASSERT_EQ(before, ot_memory_now().live);
            if (st == OT_OK) break;
            ASSERT_EQ(OT_E_NOMEM, st);
            failed++;
        }
        ASSERT(failed >= 10);
    }
    ot_network_free(net);
    PASS();
}

/* --- tiles --- */

TEST results_do_not_depend_on_what_runs_beside_them(const char *backend)
{
    ot_network *net = net_everything(7, 0);
    ot_data    *data = net_data(net, 8, 40, 0);
    ot_backend *be;
    ot_plan    *plan;
    float       all[40 * 5], some[40 * 5], mean[40 * MOST], mean_some[40 * MOST];
    uint32_t    index[40];
    size_t      L;
    OK(open_plan(&be, &plan, backend, net, OT_PLAN_FORWARD, 17));
    L = (size_t)ot_plan_knobs(plan);
    OK(ot_plan_forward(plan, data, NULL, 40, all, mean));
    for (int i = 0; i < 40; i++) index[i] = (uint32_t)(39 - i);
    OK(ot_plan_forward(plan, data, index, 40, some, mean_some));
    for (size_t i = 0; i < 40; i++) {
        ASSERT_MEM_EQ(all + i * 5, some + (39 - i) * 5, 5 * sizeof(float));
        ASSERT_MEM_EQ(mean + i * L, mean_some + (39 - i) * L, L * sizeof(float));
    }
    for (uint32_t n = 1; n <= 35; n += 17) {                    /* one, a tile and one, two tiles and one */
        check_poison(some, 40 * 5);
        OK(ot_plan_forward(plan, data, NULL, n, some, NULL));
        ASSERT_MEM_EQ(all, some, n * 5 * sizeof(float));
        ASSERT(isnan(some[n * 5]));
    }
    for (size_t i = 0; i < 3 * 13 * 11; i++) data->values[20 * 3 * 13 * 11 + i] = NAN;      /* image 20 spoils itself alone */
    OK(ot_plan_forward(plan, data, NULL, 40, some, NULL));
    for (size_t i = 0; i < 40; i++) {
        if (i == 20) ASSERT(isnan(some[i * 5]));
        else ASSERT_MEM_EQ(all + i * 5, some + i * 5, 5 * sizeof(float));
    }
    OK(ot_plan_forward(plan, data, NULL, 3, some, NULL));       /* and does not linger in the padding of the next tile */
    ASSERT_MEM_EQ(all, some, 3 * 5 * sizeof(float));
    close_plan(be, plan);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* Gradients of n images in tiles with a tail, after a tile of NaN has filled the padding, against one tile that holds them all. */
TEST gradients_do_not_see_the_padding(const char *backend, int n)
{
    ot_network *net = net_everything(9, 0);
    ot_data    *data = net_data(net, 10, 40, 0);
    ot_backend *be[2];
    ot_plan    *plan[2];
    double      loss[2], grad[2][2 * MOST];
    for (size_t i = 20 * 3 * 13 * 11; i < 40 * 3 * 13 * 11; i++) data->values[i] = NAN;
    uint32_t bad[17];
    for (uint32_t i = 0; i < 17; i++) bad[i] = 20 + i;
    OK(open_plan(&be[0], &plan[0], backend, net, OT_PLAN_TUNE, 20));
    OK(open_plan(&be[1], &plan[1], backend, net, OT_PLAN_TUNE, 7));
    int L = ot_plan_knobs(plan[0]);
    for (int k = 0; k < 2; k++) {
        OK(ot_plan_gradient(plan[k], data, bad, 17, &loss[k], grad[k], grad[k] + L));
        ASSERT(isnan(loss[k]));
        OK(ot_plan_gradient(plan[k], data, NULL, n, &loss[k], grad[k], grad[k] + L));
        close_plan(be[k], plan[k]);
    }
    ASSERT_EQ(loss[0], loss[1]);
    /* the gradient enters the network as floats, and sums over tiles round apart; cpu: 10^4 float terms a sum */
    CHECK_CLOSE64(grad[0], grad[1], (size_t)(2 * L), (strcmp(backend, "ref") ? 1e-5 : 1e-6) * check_max_f64(grad[0], (size_t)(2 * L)));
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

TEST backends_agree_on_whole_networks(const char *backend)
{
    ot_network *net = net_everything(11, 1);
    ot_data    *data = net_data(net, 12, 20, 1);
    check_rng   r = {13};
    float       mean_in[3] = {0.4f, 0.5f, 0.6f}, std_in[3] = {0.2f, 0.3f, 0.25f}, gain[MOST], offset[MOST], logits[2][20 * 5], mean[2][20 * MOST];
    double      loss[2], grad[2][2 * MOST];
    size_t      L = (size_t)ot_network_relus(net);
    OK(ot_network_set_normalisation(net, mean_in, std_in));
    random_knobs(&r, gain, offset, (int)L);
    for (int k = 0; k < 2; k++) {
        ot_backend *be;
        ot_plan    *plan;
        OK(open_plan(&be, &plan, k ? backend : "ref", net, OT_PLAN_TUNE, 8));
        OK(ot_plan_set_knobs(plan, gain, offset));
        OK(ot_plan_forward(plan, data, NULL, 20, logits[k], mean[k]));
        OK(ot_plan_gradient(plan, data, NULL, 20, &loss[k], grad[k], grad[k] + L));
        close_plan(be, plan);
    }
    /* a dozen layers of up to 200 float products each; a mask that flips moves a gradient's sum by one of 10^4 terms */
    CHECK_CLOSE(logits[0], logits[1], 20 * 5, 1e-5 * (1 + check_max_f32(logits[0], 20 * 5)));
    CHECK_CLOSE(mean[0], mean[1], 20 * L, 1e-5 * (1 + check_max_f32(mean[0], 20 * L)));
    CHECK_CLOSE64(&loss[0], &loss[1], 1, 1e-5 * loss[0]);
    CHECK_CLOSE64(grad[0], grad[1], 2 * L, 1e-3 * check_max_f64(grad[0], 2 * L));
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- moments --- */

typedef struct seen { double mean[MOST], sd[MOST]; int n; const float *gain, *offset; } seen;

static ot_status see(void *user, int relu, double mean, double sd, float *gain, float *offset)
{
    seen *s = user;
    if (relu != s->n) return OT_E_BUG;                          /* each once, in order */
    s->mean[s->n] = mean;
    s->sd[s->n++] = sd;
    if (s->gain) {
        *gain = s->gain[relu];
        *offset = s->offset[relu];
    }
    return OT_OK;
}

/* The network cut before its ReLU `relu`: the input of that ReLU is then the output. */
static ot_network *cut_before(const ot_network *net, int relu)
{
    ot_network     *cut;
    const ot_layer *in = ot_network_layer(net, 0), *stop = ot_network_relu(net, relu);
    if (ot_network_new(&cut, "cut", in->c, in->h, in->w) != OT_OK) return NULL;
    for (int i = 1; i <= stop->in[0]; i++)
        if (ot_network_add(cut, ot_network_layer(net, i), NULL) != OT_OK) return NULL;
    return cut;
}

TEST moments_are_those_of_the_input_of_each_relu(const char *backend)
{
    enum { IMAGES = 9 };
    ot_network *net = net_everything(14, 0);
    ot_data    *data = net_data(net, 15, IMAGES, 0);
    check_rng   r = {16};
    float       gain[MOST], offset[MOST], after[IMAGES * 5], want[IMAGES * 5];
    ot_backend *be;
    ot_plan    *plan;
    seen        s = {.gain = gain, .offset = offset};
    OK(open_plan(&be, &plan, backend, net, OT_PLAN_FORWARD, 16));
    int L = ot_plan_knobs(plan);
    random_knobs(&r, gain, offset, L);
    OK(ot_plan_moments(plan, data, NULL, IMAGES, see, &s));
    ASSERT_EQ(L, s.n);
    OK(ot_plan_forward(plan, data, NULL, IMAGES, after, NULL));       /* the knobs were kept */
    OK(ot_plan_set_knobs(plan, gain, offset));
    OK(ot_plan_forward(plan, data, NULL, IMAGES, want, NULL));
    ASSERT_MEM_EQ(want, after, sizeof want);
    close_plan(be, plan);
    for (int l = 0; l < L; l++) {
        ot_network *cut = cut_before(net, l);
        ASSERT(cut);
        data->classes = 1;                                            /* labels do not matter here */
        size_t size = (size_t)ot_network_classes(cut), all = size * IMAGES;
        float *x = ot_alloc(all, sizeof *x);
        double sum = 0, squares = 0;
        check_poison(x, all);
        OK(open_plan(&be, &plan, "ref", cut, OT_PLAN_FORWARD, 16));
        OK(ot_plan_set_knobs(plan, gain, offset));                    /* the layers before have them already */
        OK(ot_plan_forward(plan, data, NULL, IMAGES, x, NULL));
        for (size_t i = 0; i < all; i++) sum += (double)x[i];
        double mean = sum / (double)all;
        size_t channels = (size_t)ot_network_layer(cut, ot_network_layers(cut) - 1)->c, pixels = size / channels;
        for (size_t c = 0; c < channels; c++) {                       /* the spread is the channels' own */
            double own = 0;
            for (size_t i = 0; i < all; i++) own += i / pixels % channels == c ? (double)x[i] / (double)(pixels * IMAGES) : 0;
            for (size_t i = 0; i < all; i++) squares += i / pixels % channels == c ? ((double)x[i] - own) * ((double)x[i] - own) : 0;
        }
        double sd = sqrt(squares / (double)all);
        CHECK_CLOSE64(&mean, &s.mean[l], 1, /* float layers before */ 1e-5 * sd);
        CHECK_CLOSE64(&sd, &s.sd[l], 1, 1e-5 * sd);
        ot_free(x);
        close_plan(be, plan);
        ot_network_free(cut);
    }
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

static ot_status spoil(void *user, int relu, double mean, double sd, float *gain, float *offset)
{
    (void)relu, (void)mean, (void)sd, (void)offset;
    *gain = *(float *)user;
    return OT_OK;
}

TEST moments_refuse_unusable_knobs(void)
{
    ot_network *net = net_everything(14, 0);
    ot_data    *data = net_data(net, 15, 20, 0);
    ot_backend *be;
    ot_plan    *plan;
    seen        s = {.n = 3};
    float       nan = NAN, small = 0.01f;
    OK(open_plan(&be, &plan, "ref", net, OT_PLAN_FORWARD, 16));
    FAILS(OT_E_RANGE, "ReLU layer 0 = nan", ot_plan_moments(plan, data, NULL, 2, spoil, &nan));
    FAILS(OT_E_RANGE, "1/64", ot_plan_moments(plan, data, NULL, 2, spoil, &small));
    FAILS(OT_E_RANGE, "17 images, want 1..16", ot_plan_moments(plan, data, NULL, 17, spoil, &small));
    ASSERT_EQ(OT_E_BUG, ot_plan_moments(plan, data, NULL, 2, see, &s));           /* what the function says is passed on */
    close_plan(be, plan);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- counting --- */

/* A network that hands its input on: logits are what the data says. */
static ot_network *identity(int classes)
{
    ot_network *net;
    if (ot_network_new(&net, "identity", classes, 1, 1) != OT_OK) return NULL;
    ot_layer l = {.op = OT_OP_RESHAPE, .name = "same", .in = {0, -1}, .c = classes, .h = 1, .w = 1};
    return ot_network_add(net, &l, NULL) == OT_OK ? net : NULL;
}

TEST ties_go_to_the_lowest_class_and_nan_is_wrong(const char *backend)
{
    static const struct { float x[3]; int label, right; } rows[] = {
        {{1, 2, 3}, 2, 1}, {{1, 2, 3}, 1, 0}, {{2, 2, 1}, 0, 1}, {{2, 2, 1}, 1, 0}, {{0, 0, 0}, 0, 1}, {{0, 0, 0}, 2, 0},
        {{NAN, 1, 2}, 2, 0}, {{3, 1, NAN}, 0, 0}, {{-INFINITY, -5, -6}, 1, 1}, {{INFINITY, 0, 0}, 0, 1}, {{-1, -1, -1}, 1, 0},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    ot_network *net = identity(3);
    ot_data    *data = net_data(net, 1, ROWS, 0);
    ot_backend *be;
    ot_plan    *plan;
    uint8_t     bits[2] = {0xff, 0xff};
    uint32_t    only[1] = {8};
    int64_t     correct = -1, want = 0;
    for (int i = 0; i < ROWS; i++) {
        memcpy(data->values + i * 3, rows[i].x, sizeof rows[i].x);
        data->labels[i] = rows[i].label;
        want += rows[i].right;
    }
    OK(open_plan(&be, &plan, backend, net, OT_PLAN_FORWARD, 4));
    OK(ot_plan_count(plan, data, NULL, ROWS, &correct, bits));
    ASSERT_EQ(want, correct);
    for (int i = 0; i < ROWS; i++) ASSERT_EQ_FMT(rows[i].right, bits[i / 8] >> i % 8 & 1, "%d");
    for (int i = ROWS; i < 16; i++) ASSERT_EQ(0, bits[i / 8] >> i % 8 & 1);
    OK(ot_plan_count(plan, data, only, 1, &correct, bits));
    ASSERT_EQ(1, correct);
    ASSERT_EQ(1, bits[0]);
    OK(ot_plan_count(plan, data, NULL, 0, &correct, NULL));
    ASSERT_EQ(0, correct);
    close_plan(be, plan);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* Networks at the edges: no ReLU at all; the ReLU last; nothing but a ReLU. */
TEST networks_without_knobs_or_with_the_relu_last_run(const char *backend, int kind)
{
    check_rng   r = {1};
    ot_network *net;
    ot_backend *be;
    ot_plan    *plan;
    double      loss = NAN, gain = NAN, offset = NAN;
    float       logits[5 * 4], knob = 2;
    OK(ot_network_new(&net, "edge", 4, 1, 1));
    if (kind != 2) net_dense(net, &r, 0, 4);
    if (kind > 0) net_relu(net, kind == 1, INFINITY);
    ot_data *data = net_data(net, 2, 5, 0);
    OK(open_plan(&be, &plan, backend, net, OT_PLAN_TUNE, 3));
    ASSERT_EQ(kind > 0, ot_plan_knobs(plan));
    OK(ot_plan_set_knobs(plan, &knob, NULL));
    OK(ot_plan_forward(plan, data, NULL, 5, logits, NULL));
    OK(ot_plan_gradient(plan, data, NULL, 5, &loss, &gain, &offset));
    ASSERT(isfinite(loss));
    ASSERT_EQ(kind > 0, isfinite(gain) && isfinite(offset));
    if (kind == 2)
        for (int i = 0; i < 20; i++) ASSERT_EQ(data->values[i] > 0 ? 2 * data->values[i] : 0, logits[i]);
    close_plan(be, plan);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* The only knob lies behind the residual: its gradient must still be found. */
TEST a_knob_behind_the_residual_alone_has_a_gradient(void)
{
    check_rng   r = {1};
    ot_network *net;
    ot_backend *be;
    ot_plan    *plan;
    double      loss, gain = 0, offset = 0;
    OK(ot_network_new(&net, "side", 3, 4, 4));
    int a = net_relu(net, net_conv(net, &r, 0, 5, 3, 1, 1, 1, 1), INFINITY);
    net_dense(net, &r, net_flatten(net, net_add(net, net_conv(net, &r, 0, 5, 1, 1, 0, 1, 1), a)), 4);
    ot_data *data = net_data(net, 2, 5, 0);
    OK(open_plan(&be, &plan, "ref", net, OT_PLAN_TUNE, 5));
    OK(ot_plan_gradient(plan, data, NULL, 5, &loss, &gain, &offset));
    ASSERT(fabs(gain) > 1e-6 && fabs(offset) > 1e-6);
    close_plan(be, plan);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- training --- */

TEST training_agrees_with_ref(const char *backend)
{
    ot_network *net = net_everything(17, 1);
    ot_data    *data = net_data(net, 18, 16, 0);
    size_t      n = ot_network_parameters(net), m = ot_network_statistics(net);
    float      *theta = ot_alloc(n, sizeof *theta), *grad[2], *stats[2];
    double      loss[2];
    int64_t     correct[2];
    ot_network_get_parameters(net, theta);
    for (int k = 0; k < 2; k++) {
        ot_backend     *be;
        ot_plan        *plan;
        grad[k] = ot_alloc(n, sizeof(float));
        stats[k] = ot_alloc(m, sizeof(float));
        check_poison(grad[k], n);
        check_poison(stats[k], m);
        OK(open_plan(&be, &plan, k ? backend : "ref", net, OT_PLAN_TRAIN, 16));
        OK(ot_plan_set_parameters(plan, theta));
        OK(ot_plan_train(plan, data->values, data->labels, 16, grad[k], stats[k], &loss[k], &correct[k]));
        close_plan(be, plan);
    }
    CHECK_CLOSE(stats[0], stats[1], m, /* sums of 10^3 floats */ 1e-4 * check_max_f32(stats[0], m));
    CHECK_CLOSE64(&loss[0], &loss[1], 1, 1e-5 * loss[0]);
    ASSERT_EQ(correct[0], correct[1]);
    CHECK_CLOSE(grad[0], grad[1], n, /* masks that flip, as in tuning */ 2e-3 * check_max_f32(grad[0], n));
    for (int k = 0; k < 2; k++) {
        ot_free(grad[k]);
        ot_free(stats[k]);
    }
    ot_free(theta);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- bad input --- */

TEST bad_input_is_named(void)
{
    ot_network *net = net_everything(1, 0), *other = identity(5);
    ot_data    *data = net_data(net, 2, 4, 0), *wrong = net_data(other, 2, 4, 0);
    ot_backend *be;
    ot_plan    *plan, *train;
    uint32_t    index[2] = {0, 4};
    float       gain[MOST], grad[1], logits[4 * 5];
    double      loss, knob[MOST];
    int64_t     correct;
    int32_t     labels[3] = {0, 5, 0};
    for (int i = 0; i < MOST; i++) gain[i] = 1;
    FAILS(OT_E_BACKEND, "backend 'gpu'", ot_backend_open(&be, "gpu", NULL));
    OK(ot_backend_open(&be, "auto", NULL));
    ot_plan_options opt = {.tile = 0};
    FAILS(OT_E_RANGE, "tile = 0", ot_plan_open(&plan, be, net, &opt));
    opt.tile = 4097;
    FAILS(OT_E_RANGE, "tile = 4097", ot_plan_open(&plan, be, net, &opt));
    opt = (ot_plan_options){.tile = 3, .label_smoothing = NAN};
    FAILS(OT_E_RANGE, "label smoothing = nan", ot_plan_open(&plan, be, net, &opt));
    opt = (ot_plan_options){.tile = 3, .use = (ot_plan_use)7};
    FAILS(OT_E_RANGE, "plan use = 7", ot_plan_open(&plan, be, net, &opt));
    opt = (ot_plan_options){.tile = 3, .conv = (ot_conv_choice)7};
    FAILS(OT_E_RANGE, "convolution choice = 7", ot_plan_open(&plan, be, net, &opt));
    opt = (ot_plan_options){.tile = 3};
    OK(ot_plan_open(&plan, be, net, &opt));
    FAILS(OT_E_SHAPE, "images (5, 1, 1)", ot_plan_forward(plan, wrong, NULL, 4, logits, NULL));
    FAILS(OT_E_RANGE, "5 images asked for", ot_plan_forward(plan, data, NULL, 5, logits, NULL));
    FAILS(OT_E_RANGE, "image number 4, want 0..3", ot_plan_count(plan, data, index, 2, &correct, NULL));
    FAILS(OT_E_RANGE, "plan opened for tuning", ot_plan_gradient(plan, data, NULL, 2, &loss, knob, knob));
    FAILS(OT_E_RANGE, "opened for training only", ot_plan_set_parameters(plan, gain));
    FAILS(OT_E_RANGE, "plan opened for it", ot_plan_train(plan, data->values, labels, 3, grad, NULL, &loss, NULL));
    gain[2] = 0.0156f;
    FAILS(OT_E_RANGE, "gain of ReLU layer 2 = 0.0156", ot_plan_set_knobs(plan, gain, NULL));
    gain[2] = NAN;
    FAILS(OT_E_RANGE, "gain of ReLU layer 2 = nan", ot_plan_set_knobs(plan, gain, NULL));
    gain[2] = INFINITY;
    FAILS(OT_E_RANGE, "offset of ReLU layer 2 = inf", ot_plan_set_knobs(plan, NULL, gain));
    opt.use = OT_PLAN_TRAIN;
    OK(ot_plan_open(&train, be, net, &opt));
    FAILS(OT_E_RANGE, "this plan trains", ot_plan_forward(train, data, NULL, 4, logits, NULL));
    FAILS(OT_E_RANGE, "this plan trains", ot_plan_moments(train, data, NULL, 2, see, NULL));
    FAILS(OT_E_DATA, "label of image 1 = 5, want 0..4", ot_plan_train(train, data->values, labels, 3, grad, NULL, &loss, NULL));
    FAILS(OT_E_RANGE, "training on 4 images", ot_plan_train(train, data->values, labels, 4, grad, NULL, &loss, NULL));
    ot_plan_free(train);
    opt.use = OT_PLAN_TUNE;
    OK(ot_plan_open(&train, be, net, &opt));
    FAILS(OT_E_RANGE, "gradient of 0 images", ot_plan_gradient(train, data, NULL, 0, &loss, knob, knob));
    ot_plan_free(train);
    close_plan(be, plan);
    ot_plan_free(NULL);
    ot_backend_close(NULL);
    ot_data_free(data);
    ot_data_free(wrong);
    ot_network_free(net);
    ot_network_free(other);
    PASS();
}

TEST a_chip_of_another_network_is_refused(void)
{
    check_rng    r = {1};
    ot_network  *net = net_everything(1, 0), *other;
    ot_variation var = OT_VARIATION_INIT;
    ot_device    dev;
    ot_chip     *chip;
    ot_backend  *be;
    ot_plan     *plan;
    OK(ot_device_open(&dev, "r1"));
    OK(ot_network_new(&other, "other", 3, 13, 11));
    net_conv(other, &r, 0, 5, 3, 1, 1, 1, 0);
    OK(ot_chip_draw(&chip, other, &dev, &var, 1));
    OK(open_plan(&be, &plan, "ref", net, OT_PLAN_FORWARD, 4));
    FAILS(OT_E_SHAPE, "crossbar layers (other)", ot_plan_load(plan, chip));
    ot_chip_free(chip);
    OK(ot_chip_draw(&chip, net, &dev, &var, 1));
    OK(ot_plan_load(plan, chip));
    ot_chip_free(chip);
    close_plan(be, plan);
    ot_network_free(net);
    ot_network_free(other);
    PASS();
}

static void suffix(const char *backend, const char *what, int number)
{
    char text[96];
    if (what) snprintf(text, sizeof text, "%s_%s_%d", backend, what, number);
    else snprintf(text, sizeof text, "%s", backend);
    greatest_set_test_suffix(text);
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
    RUN_TEST(forward_tensors_share_memory);
    RUN_TEST(a_knob_behind_the_residual_alone_has_a_gradient);
    RUN_TEST(moments_refuse_unusable_knobs);
    RUN_TEST(bad_input_is_named);
    RUN_TEST(a_chip_of_another_network_is_refused);
    const char *be;
    for (int i = 0; (be = net_backend(i)); i++) {
        suffix(be, NULL, 0);
        RUN_TESTp(memory_planned_is_memory_taken, be);
        suffix(be, NULL, 0);
        RUN_TESTp(steady_state_allocates_nothing, be);
        suffix(be, NULL, 0);
        RUN_TESTp(every_failing_allocation_is_survived, be);
        suffix(be, NULL, 0);
        RUN_TESTp(results_do_not_depend_on_what_runs_beside_them, be);
        suffix(be, NULL, 0);
        RUN_TESTp(moments_are_those_of_the_input_of_each_relu, be);
        suffix(be, NULL, 0);
        RUN_TESTp(ties_go_to_the_lowest_class_and_nan_is_wrong, be);
        static const int images[] = {1, 6, 7, 8, 15, 20};
        for (int k = 0; k < 6; k++) {
            suffix(be, "images", images[k]);
            RUN_TESTp(gradients_do_not_see_the_padding, be, images[k]);
        }
        for (int kind = 0; kind < 3; kind++) {
            suffix(be, "kind", kind);
            RUN_TESTp(networks_without_knobs_or_with_the_relu_last_run, be, kind);
        }
        if (!strcmp(be, "ref")) continue;
        suffix(be, NULL, 0);
        RUN_TESTp(backends_agree_on_whole_networks, be);
        suffix(be, NULL, 0);
        RUN_TESTp(training_agrees_with_ref, be);
    }
}

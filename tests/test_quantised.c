/* test_quantised.c - networks whose ReLU outputs have few codes: plans of every backend, their gradients, ONNX files. */
#include "check.h"
#include "nets.h"
#include "onnx_build.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every ReLU of the network with its own few codes; steps of a size that some outputs pass the last code, and in no simple ratio, or sums
 * of one layer's codes would lie on another's borders. */
static ot_network *quantised(uint64_t seed, int codes)
{
    check_rng r = {seed};
    ot_network *net = net_everything(seed, 0);
    for (int l = 0; l < ot_network_relus(net); l++)
        if (ot_network_quantise_relu(net, l, codes, (1.5 + check_uniform(&r)) / codes) != OT_OK) return NULL;
    return net;
}

static ot_status forward(float *logits, float *means, const ot_network *net, const ot_data *d, const char *backend, ot_plan_use use)
{
    ot_backend *be;
    ot_plan *plan = NULL;
    ot_plan_options opt = {.use = use, .tile = 5};
    ot_status st = ot_backend_open(&be, backend, NULL);
    if (st != OT_OK) return st;
    st = ot_plan_open(&plan, be, net, &opt);
    if (st == OT_OK) st = ot_plan_forward(plan, d, NULL, d->n, logits, means);
    ot_plan_free(plan);
    ot_backend_close(be);
    return st;
}

/* Rounding makes a rare output jump by a step where two backends differ by 1e-7: whole images may differ, a few at most. */
static int images_apart(const float *a, const float *b, int n, int each, double tol)
{
    int apart = 0;
    for (int i = 0; i < n; i++) {
        int differs = 0;
        for (int k = 0; k < each; k++) differs |= !(fabs((double)a[i * each + k] - (double)b[i * each + k]) <= tol);
        apart += differs;
    }
    return apart;
}

enum { N = 40, CLASSES = 5 };

TEST backends_agree(const char *backend, int codes)
{
    ot_network *net = quantised(11, codes);
    ot_data *d = net_data(net, 5, N, 0);
    const int L = ot_network_relus(net);
    float want[N * CLASSES], got[N * CLASSES], means[2][N * 16], plain[N * CLASSES];
    check_poison(got, N * CLASSES);
    OK(forward(want, means[0], net, d, "ref", OT_PLAN_FORWARD));
    OK(forward(got, means[1], net, d, backend, OT_PLAN_FORWARD));
    const double size = check_max_f32(want, N * CLASSES);
    /* float sums of a few hundred products through 8 layers; 40 images of some 5,000 activations, each within 1e-6 of a border in 1e-5 of cases */
    ASSERT(images_apart(want, got, N, CLASSES, 2e-5 * size) <= 4);
    ASSERT(images_apart(means[0], means[1], N, L, 2e-5) <= 4);
    OK(forward(got, means[1], net, d, backend, OT_PLAN_TUNE));
    ASSERT(images_apart(want, got, N, CLASSES, 2e-5 * size) <= 4);
    ASSERT(images_apart(means[0], means[1], N, L, 2e-5) <= 4);
    for (int l = 0; l < L; l++) OK(ot_network_quantise_relu(net, l, 0, 0));
    ASSERT(!ot_network_is_quantised(net));
    OK(forward(plain, NULL, net, d, "ref", OT_PLAN_FORWARD));
    ASSERT(images_apart(want, plain, N, CLASSES, 1e-3 * size) > N / 2);
    ot_data_free(d);
    ot_network_free(net);
    PASS();
}

/* T-ReLU of the picture itself, then codes: every value of the definition, knobs and clip included. */
TEST a_relu_gives_its_codes(const char *backend, float clip)
{
    ot_network *net;
    ot_backend *be;
    ot_plan *plan;
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = 3};
    float x[3 * 19], got[3 * 19];
    const float a = 1.25f, b = -0.1f, step = 0.3f;
    check_rng r = {4};
    OK(ot_network_new(&net, "relu", 19, 1, 1));
    net_relu(net, 0, clip);
    OK(ot_network_quantise_relu(net, 0, 7, (double)step));
    for (int i = 0; i < 3 * 19; i++) x[i] = (float)(3 * check_normal(&r));
    ot_data d = {.name = (char *)"x", .n = 3, .c = 19, .h = 1, .w = 1, .classes = 19, .values = x, .labels = (int32_t[]){0, 1, 2}};
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    OK(ot_plan_set_knobs(plan, &a, &b));
    check_poison(got, 3 * 19);
    OK(ot_plan_forward(plan, &d, NULL, 3, got, NULL));
    for (int i = 0; i < 3 * 19; i++) {
        double u = fmin((double)clip, fmax(0, ((double)x[i] - (double)b) * (double)a)), q = rint(u / (double)step);
        ASSERT_IN_RANGE((q > 7 ? 7 : q) * (double)step, (double)got[i], 3e-7);      /* a product rounded */
    }
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

/* ---- backward ---- */

static const double *load(ot_array *a, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "selftuning/gradients/%s.npy", what);
    return check_load(a, path) ? a->data : NULL;
}

static const double *target;
static ot_status square_loss(void *user, const float *y, int n, float *grad)
{
    (void)user;
    for (int i = 0; i < n * 12; i++) grad[i] = (float)(2.0 / 72 * ((double)y[i] - target[i]));
    return OT_OK;
}

/* The golden layer behind a quantised ReLU: its outputs, and the derivatives to the activations before they were rounded. */
TEST gradients_to_activations_are_the_golden_ones(const char *backend, int fixed)
{
    ot_array x = {0}, w = {0}, eps = {0}, t = {0}, y = {0}, want = {0};
    const double *act = load(&x, "activation"), *wq = load(&w, "w"), *noise = load(&eps, "eps");
    const double *out = load(&y, fixed ? "y_fixed" : "y_proportional"), *grad = load(&want, fixed ? "grad_activation_fixed" : "grad_activation_proportional");
    ASSERT((target = load(&t, "target")) && act && wq && noise && out && grad);
    float weight[240], image[120], got[120], logits[72];
    for (int i = 0; i < 240; i++) weight[i] = (float)(wq[i] + noise[i] * (fixed ? 2.153560470094117 : wq[i]));
    for (int i = 0; i < 120; i++) image[i] = (float)act[i];
    ot_network *net;
    ot_backend *be;
    ot_plan *plan;
    OK(ot_network_new(&net, "golden", 20, 1, 1));
    int relu = net_relu(net, 0, INFINITY);
    OK(ot_network_add(net, &(ot_layer){.op = OT_OP_DENSE, .name = "dense", .in = {relu, -1}, .c = 12, .weight = weight}, NULL));
    OK(ot_network_quantise_relu(net, 0, 3, 0.6403365240842328));
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = 6, .input_gradient = 1, .relu_ste = OT_STE_INSIDE};
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    check_poison(got, 120);
    OK(ot_plan_input_gradient(plan, image, 6, square_loss, NULL, got));
    double wide[120];
    for (int i = 0; i < 120; i++) {
        wide[i] = (double)got[i];
        if (!(act[i] > 0)) ASSERT_EQ(0, got[i]);          /* the golden layer has no ReLU: at 0 it passes */
        if (!(act[i] > 0)) wide[i] = grad[i];
    }
    CHECK_CLOSE64(grad, wide, 120, 1e-5 * check_max_f64(grad, 120));      /* the manifest's for float32 */
    ot_data d = {.name = (char *)"x", .n = 6, .c = 20, .h = 1, .w = 1, .classes = 12, .values = image, .labels = (int32_t[6]){0}};
    OK(ot_plan_forward(plan, &d, NULL, 6, logits, NULL));
    for (int i = 0; i < 72; i++) ASSERT_IN_RANGE(out[i], (double)logits[i], 1e-5 * check_max_f64(out, 72));
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    ot_array *all[] = {&x, &w, &eps, &t, &y, &want};
    for (int i = 0; i < 6; i++) ot_array_free(all[i]);
    PASS();
}

/* Knob gradients through codes, written out: dL/da = sum g m (x - b), dL/db = -a sum g m, m by the estimator's edge. */
TEST knob_gradients_pass_where_the_estimator_says(const char *backend, ot_ste ste)
{
    enum { C = 21, K = 4, B = 7 };
    const float a = 0.8f, b = 0.15f, step = 0.4f;
    const int codes = 3;
    float x[B * C], w[K * C];
    int32_t labels[B] = {0, 1, 2, 3, 0, 1, 2};
    check_rng r = {21};
    ot_network *net;
    ot_backend *be;
    ot_plan *plan;
    check_fill_normal(&r, x, B * C, 1.2);
    check_fill_normal(&r, w, K * C, 0.5);
    OK(ot_network_new(&net, "codes", C, 1, 1));
    int relu = net_relu(net, 0, 6);
    OK(ot_network_add(net, &(ot_layer){.op = OT_OP_DENSE, .name = "dense", .in = {relu, -1}, .c = K, .weight = w}, NULL));
    OK(ot_network_quantise_relu(net, 0, codes, (double)step));
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = 8, .relu_ste = ste};
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    OK(ot_plan_set_knobs(plan, &a, &b));
    ot_data d = {.name = (char *)"x", .n = B, .c = C, .h = 1, .w = 1, .classes = K, .values = x, .labels = labels};
    double loss = NAN, da = NAN, db = NAN, want_loss = 0, want_a = 0, want_b = 0;
    OK(ot_plan_gradient(plan, &d, NULL, B, &loss, &da, &db));
    const double edge = ste == OT_STE_IDENTITY ? 6 : (codes + (ste == OT_STE_CLIPPED ? 0.5 : 0)) * (double)step;
    int passed = 0;
    for (int i = 0; i < B; i++) {
        double u[C], y[K], sum = 0;
        for (int c = 0; c < C; c++) u[c] = ((double)x[i * C + c] - (double)b) * (double)a;
        for (int k = 0; k < K; k++) {
            y[k] = 0;
            for (int c = 0; c < C; c++) y[k] += (double)w[k * C + c] * (double)step * fmin(codes, rint(fmax(0, u[c]) / (double)step));
            sum += exp(y[k]);
        }
        want_loss += (log(sum) - y[labels[i]]) / B;
        for (int c = 0; c < C; c++) {
            double g = 0;
            for (int k = 0; k < K; k++) g += (double)w[k * C + c] * (exp(y[k]) / sum - (k == labels[i])) / B;
            if (!(u[c] > 0 && u[c] < 6 && u[c] <= edge)) continue;
            passed++;
            want_a += g * ((double)x[i * C + c] - (double)b);
            want_b -= g * (double)a;
        }
    }
    ASSERT(passed > 20 && passed < B * C);
    ASSERT_IN_RANGE(want_loss, loss, 1e-5);               /* float products and sums of 21 */
    ASSERT_IN_RANGE(want_a, da, 1e-5);
    ASSERT_IN_RANGE(want_b, db, 1e-5);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

/* Training: the gradient of the weights below a quantised ReLU is that of the golden rule on every backend; ref against the others. */
TEST training_goes_back_through_codes(const char *backend)
{
    ot_network *net = quantised(17, 15);
    ot_data *d = net_data(net, 6, 16, 0);
    const size_t n = ot_network_parameters(net);
    float *grad[2] = {malloc(n * sizeof(float)), malloc(n * sizeof(float))};
    double loss[2];
    for (int k = 0; k < 2; k++) {
        ot_backend *be;
        ot_plan *plan;
        ot_plan_options opt = {.use = OT_PLAN_TRAIN, .tile = 16};
        int64_t correct;
        OK(ot_backend_open(&be, k ? backend : "ref", NULL));
        OK(ot_plan_open(&plan, be, net, &opt));
        check_poison(grad[k], n);
        OK(ot_plan_train(plan, d->values, d->labels, 16, grad[k], NULL, &loss[k], &correct));
        ot_plan_free(plan);
        ot_backend_close(be);
    }
    /* an activation at a border of 15 codes moves the loss by little: 1e-3 of the largest where everything else is 1e-5 */
    ASSERT_IN_RANGE(loss[0], loss[1], 1e-3);
    CHECK_CLOSE(grad[0], grad[1], n, 5e-3 * check_max_f32(grad[0], n));
    free(grad[0]), free(grad[1]);
    ot_data_free(d);
    ot_network_free(net);
    PASS();
}

/* ---- chips ---- */

static const ot_device steep = {.name = "steep", .g = {1e-4, 1e-6}, .n_poly = {3, 2}, .poly = {{1, 0.9, 0.2}, {1, -0.8}}, .domain = 0.15, .g_min = 1e-9, .g_max = 1e-2,
                                .s = {6, -5.3}, .valid_min = -0.15};

/* Chips of a fleet answer as each does alone on ref, and are tuned alike: two Adam steps through the estimator. */
TEST fleets_are_quantised_too(const char *backend)
{
    enum { CHIPS = 3, IMAGES = 16 };
    ot_network *net = quantised(23, 31);
    ot_data *d = net_data(net, 8, IMAGES, 0);
    const int L = ot_network_relus(net);
    const uint32_t numbers[CHIPS] = {4, 0, 7};
    const ot_variation var = {.sigma = 0.03, .sys_share = 0.5, .bits = 8, .seed = 1};
    float logits[2][CHIPS * IMAGES * CLASSES], gain[2][CHIPS * 16], offset[2][CHIPS * 16];
    ot_tune_cost cost[CHIPS];
    ot_tune_options how = ot_tune_defaults();
    how.minibatch = IMAGES, how.steps = 2, how.images = IMAGES, how.polish_images = IMAGES;
    for (int k = 0; k < 2; k++) {
        ot_backend *be;
        ot_fleet *fleet;
        ot_plan *plan;
        ot_tuning *tuning;
        ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = IMAGES};
        OK(ot_backend_open(&be, k ? backend : "ref", NULL));
        OK(ot_plan_open(&plan, be, net, &opt));
        OK(ot_tuning_open(&tuning, plan, d, &how));
        opt.chips = CHIPS;
        OK(ot_fleet_open(&fleet, be, net, &steep, &var, &opt));
        OK(ot_fleet_draw(fleet, numbers, CHIPS));
        check_poison(logits[k], CHIPS * IMAGES * CLASSES);
        OK(ot_fleet_forward(fleet, d, NULL, IMAGES, logits[k], NULL));
        OK(ot_tuning_run_fleet(tuning, OT_TUNER_EXHAUSTIVE, fleet, NULL, NULL, gain[k], offset[k], NULL, cost));
        ASSERT_EQ(2, cost[0].steps);
        ot_fleet_free(fleet);
        ot_tuning_free(tuning);
        ot_plan_free(plan);
        ot_backend_close(be);
    }
    ASSERT(images_apart(logits[0], logits[1], CHIPS * IMAGES, CLASSES, 2e-5 * check_max_f32(logits[0], CHIPS * IMAGES * CLASSES)) <= 4);
    /* Adam's first steps are lr times a sign, nearly: a gradient near 0 may turn, one knob or two */
    int turned = 0;
    for (int i = 0; i < CHIPS * L; i++) turned += fabs((double)gain[0][i] - (double)gain[1][i]) > 1e-4, turned += fabs((double)offset[0][i] - (double)offset[1][i]) > 1e-4;
    ASSERT(turned <= 2);
    ot_data_free(d);
    ot_network_free(net);
    PASS();
}

/* ---- networks and files ---- */

TEST copies_and_files_keep_codes(void)
{
    ot_network *net = quantised(3, 7), *back, *copy;
    char path[300];
    OK(ot_network_quantise_relu(net, 0, 255, 0.01));
    OK(ot_network_quantise_relu(net, 1, 0, 0));
    OK(ot_network_copy(&copy, net));
    snprintf(path, sizeof path, "%s/codes.onnx", check_scratch());
    OK(ot_network_save(net, path, NULL, NULL));
    OK(ot_network_open(&back, path));
    ASSERT(ot_network_is_quantised(back) && ot_network_relus(back) == ot_network_relus(net) && ot_network_layers(back) == ot_network_layers(net));
    for (int l = 0; l < ot_network_relus(net); l++) {
        const ot_layer *a = ot_network_relu(net, l), *b = ot_network_relu(back, l), *c = ot_network_relu(copy, l);
        ASSERT(a->codes == c->codes && !(a->step < c->step) && !(a->step > c->step));
        /* of a clip and the last code the lower is kept */
        const double most = a->codes ? fmin((double)a->clip, a->codes * (double)a->step) : (double)a->clip, same = b->codes ? fmin((double)b->clip, b->codes * (double)b->step) : (double)b->clip;
        ASSERT(!(a->step < b->step) && !(a->step > b->step) && (a->codes == b->codes || (double)a->clip < a->codes * (double)a->step));
        ASSERTm(a->name, fabs(most - same) <= 1e-6 * same || (isinf(most) && isinf(same)));
        ASSERT_STR_EQ(a->name, b->name);
    }
    ot_data *d = net_data(net, 2, 6, 0);
    float want[30], got[30];
    OK(forward(want, NULL, net, d, "ref", OT_PLAN_FORWARD));
    OK(forward(got, NULL, back, d, "ref", OT_PLAN_FORWARD));
    ASSERT_MEM_EQ(want, got, sizeof want);
    ot_data_free(d);
    ot_network_free(copy);
    ot_network_free(back);
    ot_network_free(net);
    PASS();
}

static void build_bytes_zero(const char *name, int32_t type, int value)
{
    static uint8_t byte[4];
    static int at;
    build_ints(name, "", (const int64_t[]){value});
    Onnx__TensorProto *t = build_last_tensor();
    byte[at %= 4] = (uint8_t)value;
    t->data_type = type;
    t->has_raw_data = 1;
    t->raw_data.data = &byte[at++];
    t->raw_data.len = 1;
    t->n_int64_data = 0;
}

/* What other exporters write: Relu (no bound), zero point left out or int8. */
static void begin(const char *relu_inputs, const char *op)
{
    build_start(13);
    build_input("x", 1, "N,4");
    build_floats("least", "", (const float[]){0});
    build_floats("most", "", (const float[]){6});
    build_floats("step", "", (const float[]){0.5f});
    build_floats("other", "", (const float[]){0.25f});
    build_floats("w", "4,4", NULL);
    build_bytes_zero("zero", ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, 0);
    build_bytes_zero("three", ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, 3);
    build_bytes_zero("signed", ONNX__TENSOR_PROTO__DATA_TYPE__INT8, 0);
    build_node(op, "act", relu_inputs, "u", "");
}

TEST files_of_others_are_read(void)
{
    static const struct { const char *op, *inputs, *quantise; int codes; float clip; } rows[] = {
        {"Relu", "x", "u,step", 255, INFINITY}, {"Relu", "x", "u,step,zero", 255, INFINITY}, {"Relu", "x", "u,step,signed", 127, INFINITY},
        {"Clip", "x,least,most", "u,step,zero", 12, INFINITY}, {"Clip", "x,least,most", "u,other,zero", 24, INFINITY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ot_network *net;
        begin(rows[i].inputs, rows[i].op);
        build_node("QuantizeLinear", "q", rows[i].quantise, "code", "");
        char dequantise[32];
        snprintf(dequantise, sizeof dequantise, "code%s", rows[i].quantise + 1);
        build_node("DequantizeLinear", "d", dequantise, "v", "");
        build_node("MatMul", "m", "v,w", "y", "");
        build_output("y");
        OK(build_read(&net));
        ASSERT_EQ(rows[i].codes, ot_network_relu(net, 0)->codes);
        ASSERT_EQ(rows[i].clip, ot_network_relu(net, 0)->clip);
        ASSERT_EQ(3, ot_network_layers(net));
        ot_network_free(net);
    }
    PASS();
}

TEST files_that_cannot_be_meant_are_refused(void)
{
    static const struct { const char *words, *quantise, *dequantise, *matmul, *more; } rows[] = {
        {"its zero point is not the constant 0", "u,step,three", "code,step", "v,w", NULL},
        {"its scale is not one constant", "u,w", "code,step", "v,w", NULL},
        {"its scale is not one constant", "u,x", "code,step", "v,w", NULL},
        {"scale = 0, want a positive number", "u,least", "code,step", "v,w", NULL},
        {"quantises 'x', want the output of a Relu or Clip that nothing else reads", "x,step", "code,step", "v,w", NULL},
        {"quantises 'u', want the output of a Relu or Clip that nothing else reads", "u,step", "code,step", "v,w", "u"},
        {"scale = 0.25, but the codes were made with 0.5", "u,step", "code,other", "v,w", NULL},
        {"the codes of QuantizeLinear, want DequantizeLinear between", "u,step", "code,step", "code,w", NULL},
        {"want the codes of a QuantizeLinear", "u,step", "u,step", "v,w", NULL},
        {"want the output of a Relu or Clip", "w,step", "code,step", "v,w", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ot_network *net = NULL;
        begin("x", "Relu");
        build_node("QuantizeLinear", "q", rows[i].quantise, "code", "");
        build_node("DequantizeLinear", "d", rows[i].dequantise, "v", "");
        if (rows[i].more) build_node("MatMul", "more", "u,w", "z", "");
        build_node("MatMul", "m", rows[i].matmul, "y", "");
        build_output("y");
        ot_status st = build_read(&net);
        ASSERTm(rows[i].words, check_status(i == 3 ? OT_E_DATA : OT_E_UNSUPPORTED, st, rows[i].words, rows[i].words) || strstr(ot_last_error(), "nothing else reads"));
    }
    PASS();
}

TEST settings_out_of_range_say_so(void)
{
    ot_network *net = net_everything(1, 0);
    FAILS(OT_E_RANGE, "ReLU layer 8 to quantise, network 'everything' has 8", ot_network_quantise_relu(net, 8, 3, 1));
    FAILS(OT_E_RANGE, "ReLU layer -1", ot_network_quantise_relu(net, -1, 3, 1));
    FAILS(OT_E_RANGE, "256 codes of a quantised output, want 1..255", ot_network_quantise_relu(net, 0, 256, 1));
    FAILS(OT_E_RANGE, "step of a quantised output = 0, want a positive number", ot_network_quantise_relu(net, 0, 3, 0));
    FAILS(OT_E_RANGE, "step of a quantised output = nan", ot_network_quantise_relu(net, 0, 3, NAN));
    ASSERT(!ot_network_is_quantised(net));
    ot_layer bad = {.op = OT_OP_RELU, .name = "bad", .in = {0, -1}, .clip = INFINITY, .codes = 300, .step = 1};
    FAILS(OT_E_RANGE, "layer 'bad': 300 codes", ot_network_add(net, &bad, NULL));
    ot_backend *be;
    ot_plan *plan;
    ot_plan_options opt = {.tile = 1, .relu_ste = OT_STES};
    OK(ot_backend_open(&be, "ref", NULL));
    FAILS(OT_E_RANGE, "estimator of quantised activations = 3", ot_plan_open(&plan, be, net, &opt));
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

SUITE(test_quantised)
{
    for (int i = 0; net_backend(i); i++) {
        const char *be = net_backend(i);
        greatest_set_test_suffix(be);
        RUN_TESTp(backends_agree, be, 1);
        greatest_set_test_suffix(be);
        RUN_TESTp(backends_agree, be, 7);
        greatest_set_test_suffix(be);
        RUN_TESTp(backends_agree, be, 127);
        RUN_TESTp(a_relu_gives_its_codes, be, INFINITY);
        RUN_TESTp(a_relu_gives_its_codes, be, 1.3f);
        RUN_TESTp(gradients_to_activations_are_the_golden_ones, be, 0);
        RUN_TESTp(gradients_to_activations_are_the_golden_ones, be, 1);
        for (int s = 0; s < OT_STES; s++) RUN_TESTp(knob_gradients_pass_where_the_estimator_says, be, (ot_ste)s);
        RUN_TESTp(training_goes_back_through_codes, be);
        RUN_TESTp(fleets_are_quantised_too, be);
    }
    RUN_TEST(copies_and_files_keep_codes);
    RUN_TEST(files_of_others_are_read);
    RUN_TEST(files_that_cannot_be_meant_are_refused);
    RUN_TEST(settings_out_of_range_say_so);
}

/* test_spike_train.c - training spiking networks: weight gradients of PyTorch's autograd (tests/golden/spiketrain), rate coding, whole
 * trainings; firing rates and the thresholds that match them. */
#include "base/fail.h"
#include "nets.h"
#include "ohmtrim/train.h"
#include "ohmtrim/tune.h"

#include <math.h>
#include <string.h>

/* --- the golden network: conv - norm - IF - average pool - conv - norm - LIF to zero - dense - IF --- */

enum { N = 6, C = 5, PARAMETERS = 799, STATISTICS = 20, STEPS = 5 };
static int32_t labels[N] = {0, 3, 1, 4, 2, 2};

static ot_network *network(ot_coding coding)
{
    ot_network *net;
    check_rng   r = {1};
    if (ot_network_new(&net, "golden", 2, 8, 8) != OT_OK) return NULL;
    int x = net_spike(net, net_batch_norm(net, &r, net_conv(net, &r, 0, 4, 3, 1, 1, 1, 0)), 0.75f, 1, OT_RESET_SUBTRACT, 0);
    x = net_batch_norm(net, &r, net_conv(net, &r, net_pool(net, x, OT_OP_AVG_POOL, 2, 2, 0), 6, 3, 1, 1, 1, 1));
    x = net_flatten(net, net_spike(net, x, 0.5f, 0.5f, OT_RESET_ZERO, 0));
    net_spike(net, net_dense(net, &r, x, C), 1, 1, OT_RESET_SUBTRACT, 0);
    return ot_network_set_spiking(net, &(ot_spiking){.steps = STEPS, .coding = coding, .seed = 9}) == OT_OK ? net : NULL;
}

TEST weight_gradients_are_the_golden_ones(const char *backend, int fast, int rate)
{
    ot_network *net = network(OT_CODING_DIRECT);
    ot_array    parameters, images, want, statistics, counts;
    float       grad[PARAMETERS], seen[STATISTICS];
    double      got[PARAMETERS], moments[STATISTICS], loss = NAN;
    int64_t     correct = -1, right = 0;
    char        path[96];
    ot_backend *be;
    ot_plan    *plan;
    ot_plan_options opt = {.use = OT_PLAN_TRAIN, .tile = N, .surrogate = fast ? OT_SURROGATE_FAST_SIGMOID : OT_SURROGATE_ATAN,
                           .spike_loss = rate ? OT_SPIKE_LOSS_RATE : OT_SPIKE_LOSS_COUNT};
    snprintf(path, sizeof path, "spiketrain/%s_%s_gradient.npy", fast ? "fast_sigmoid" : "atan", rate ? "rate" : "count");
    ASSERT(check_load(&parameters, "spiketrain/parameters.npy") && check_load(&images, "spiketrain/images.npy") && check_load(&want, path));
    ASSERT(check_load(&statistics, "spiketrain/statistics.npy") && check_load(&counts, "spiketrain/counts.npy"));
    OK(ot_array_convert(&parameters, OT_F32));
    OK(ot_array_convert(&images, OT_F32));
    ASSERT_EQ(PARAMETERS, ot_network_parameters(net));
    ASSERT_EQ(STATISTICS, ot_network_statistics(net));
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    ASSERT_EQ(2 * 8 * 8, ot_plan_input(plan));
    OK(ot_plan_set_parameters(plan, parameters.data));
    for (int twice = 0; twice < 2; twice++) {                        /* nothing is left of the first time */
        check_poison(grad, PARAMETERS);
        check_poison(seen, STATISTICS);
        OK(ot_plan_train(plan, images.data, labels, N, grad, seen, &loss, &correct));
        const double *w = want.data;
        for (int i = 0; i < PARAMETERS; i++) got[i] = (double)grad[i];
        for (int i = 0; i < STATISTICS; i++) moments[i] = (double)seen[i];
        /* ref computes in doubles and gives floats; cpu's floats go through three layers and five steps */
        CHECK_CLOSE64(w, &loss, 1, 1e-12);
        CHECK_CLOSE64(w + 1, got, PARAMETERS, (strcmp(backend, "ref") ? 3e-6 : 1e-7) * check_max_f64(w + 1, PARAMETERS));
        CHECK_CLOSE64((const double *)statistics.data, moments, STATISTICS, 1e-6);
    }
    for (int i = 0; i < N; i++) {
        float row[C];
        for (int c = 0; c < C; c++) row[c] = (float)((const double *)counts.data)[i * C + c];
        right += ot_plan_class(row, C) == labels[i];
    }
    ASSERT_EQ(right, correct);
    ot_array *all[] = {&parameters, &images, &want, &statistics, &counts};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ot_array_free(all[i]);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

/* The spikes that training is given are those of the plan that runs the network; other seeds, other spikes. */
TEST input_spikes_are_drawn_by_seed_and_number(void)
{
    enum { PIXELS = 2 * 8 * 8 };
    ot_network *net = network(OT_CODING_RATE), *direct = network(OT_CODING_DIRECT);
    ot_backend *be;
    ot_plan    *plan, *still;
    float       a[STEPS * PIXELS], b[STEPS * PIXELS];
    ot_plan_options opt = {.use = OT_PLAN_TRAIN, .tile = 2};
    OK(ot_backend_open(&be, "cpu", NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    OK(ot_plan_open(&still, be, direct, &opt));
    ASSERT_EQ(STEPS * PIXELS, ot_plan_input(plan));
    double mean = 0;
    for (int seed = 0; seed < 40; seed++) {
        check_poison(a, STEPS * PIXELS);
        for (int k = 0; k < PIXELS; k++) a[k] = b[k] = 0.3f;
        OK(ot_plan_input_spikes(plan, 5 + (uint64_t)seed, 3, a));
        OK(ot_plan_input_spikes(plan, 5 + (uint64_t)seed, 3, b));
        ASSERT_MEM_EQ(a, b, sizeof a);
        for (int k = 0; k < PIXELS; k++) b[k] = 0.3f;
        OK(ot_plan_input_spikes(plan, 5 + (uint64_t)seed, 4, b));
        ASSERT(memcmp(a, b, sizeof a));
        for (int k = 0; k < STEPS * PIXELS; k++) {
            ASSERT(a[k] == 0 || a[k] == 1);
            mean += (double)a[k] / (40.0 * STEPS * PIXELS);
        }
    }
    ASSERT_IN_RANGE(0.3, mean, 4 * sqrt(0.3 * 0.7 / (40.0 * STEPS * PIXELS)));       /* four standard errors */
    a[5] = 1.5f;
    FAILS(OT_E_DATA, "image 3, number 5 = 1.5: rate coding wants 0..1", ot_plan_input_spikes(plan, 5, 3, a));
    a[5] = NAN;
    FAILS(OT_E_DATA, "number 5 = nan", ot_plan_input_spikes(plan, 5, 3, a));
    FAILS(OT_E_RANGE, "want a spiking network with rate or latency coding", ot_plan_input_spikes(still, 5, 3, a));
    ot_plan_free(plan);
    ot_plan_free(still);
    ot_backend_close(be);
    ot_network_free(net);
    ot_network_free(direct);
    PASS();
}

/* --- whole trainings: bright quarters of a small picture --- */

enum { SIDE = 8, IMAGES = 96, CLASSES = 4 };
static uint8_t pixels[IMAGES * SIDE * SIDE];
static int32_t classes[IMAGES];
static ot_data quarters = {.name = (char *)"quarters", .n = IMAGES, .c = 1, .h = SIDE, .w = SIDE, .classes = CLASSES, .pixels = pixels, .labels = classes};

static void paint(void)
{
    check_rng r = {4};
    for (int i = 0; i < IMAGES; i++) {
        classes[i] = i % CLASSES;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++) {
                int bright = (y >= SIDE / 2) * 2 + (x >= SIDE / 2) == classes[i];
                pixels[(i * SIDE + y) * SIDE + x] = (uint8_t)(check_uniform(&r) * 80 + 120 * bright);
            }
    }
}

static ot_status small(ot_network **out, ot_coding coding, float leak)
{
    check_rng   r = {7};
    OT_TRY(ot_network_new(out, "small", 1, SIDE, SIDE));
    int x = net_spike(*out, net_batch_norm(*out, &r, net_conv(*out, &r, 0, 6, 3, 2, 1, 1, 0)), 1, 1, OT_RESET_SUBTRACT, 0);
    net_spike(*out, net_dense(*out, &r, net_flatten(*out, x), CLASSES), 1, 1, OT_RESET_SUBTRACT, 0);
    OT_TRY(ot_network_set_neurons(*out, leak, OT_RESET_SUBTRACT, 0));
    return ot_network_set_spiking(*out, &(ot_spiking){.steps = 4, .coding = coding, .seed = 2});
}

typedef struct last { double test, train; int epochs, stop_after; } last;
static ot_status note(void *user, int epoch, double loss, double train, double test, double lr)
{
    last *l = user;
    (void)lr;
    l->train = train, l->test = test, l->epochs++;
    if (!isfinite(loss)) return OT_E_DATA;
    return l->stop_after && epoch + 1 == l->stop_after ? OT_E_INTERRUPTED : OT_OK;
}

static ot_train_options adam(void)
{
    ot_train_options o = ot_train_defaults();
    o.optimizer = OT_OPTIMIZER_ADAM, o.lr = 0.02, o.epochs = 24, o.minibatch = 24, o.weight_decay = 0, o.shards = 2;
    return o;
}

TEST small_networks_learn(int rate, int loss, int leaky, int once)
{
    ot_network *net;
    last        l = {0};
    ot_train_options o = adam();
    o.spike_loss = (ot_spike_loss)loss;
    OK(small(&net, rate ? OT_CODING_RATE : OT_CODING_DIRECT, leaky ? 0.75f : 1.0f));
    if (once) {
        OK(ot_network_set_neurons(net, 1, OT_RESET_ONCE, 0));
        OK(ot_network_set_spiking(net, &(ot_spiking){.steps = 8, .coding = OT_CODING_LATENCY}));
    }
    OK(ot_train(net, "cpu", &quarters, &quarters, &o, note, &l));
    ASSERT_EQ(24, l.epochs);
    if (!(l.test >= 0.9)) printf("\naccuracy %g, in training %g\n", l.test, l.train);
    ASSERT(l.test >= 0.9);                                           /* a quarter by chance */
    ot_network_free(net);
    PASS();
}

/* Threads and interruptions change nothing; another surrogate, loss or number of steps is another run. */
TEST a_training_goes_on_where_it_was_left(int rate)
{
    ot_network *whole, *parts;
    last        l = {0}, stopped = {.stop_after = 3};
    ot_train_options o = adam();
    size_t      n;
    o.threads = 1;
    remove("/tmp/test_spike_train.npz");
    OK(small(&whole, rate ? OT_CODING_RATE : OT_CODING_DIRECT, 1));
    OK(small(&parts, rate ? OT_CODING_RATE : OT_CODING_DIRECT, 1));
    OK(ot_train(whole, "cpu", &quarters, NULL, &o, note, &l));
    o.threads = 2;
    o.checkpoint = "/tmp/test_spike_train.npz";
    ASSERT_EQ(OT_E_INTERRUPTED, ot_train(parts, "cpu", &quarters, NULL, &o, note, &stopped));
    ot_network_free(parts);
    OK(small(&parts, rate ? OT_CODING_RATE : OT_CODING_DIRECT, 1));
    ot_train_options other = o;
    other.surrogate = OT_SURROGATE_FAST_SIGMOID;
    FAILS(OT_E_MISMATCH, "it has 'surrogate: 0", ot_train(parts, "cpu", &quarters, NULL, &other, NULL, NULL));
    other = o, other.spike_loss = OT_SPIKE_LOSS_RATE;
    FAILS(OT_E_MISMATCH, "it has 'loss of spikes: count'", ot_train(parts, "cpu", &quarters, NULL, &other, NULL, NULL));
    OK(ot_train(parts, "cpu", &quarters, NULL, &o, note, &l));
    n = ot_network_parameters(whole);
    float *a = ot_alloc(n, sizeof *a), *b = ot_alloc(n, sizeof *b);
    ot_network_get_parameters(whole, a);
    ot_network_get_parameters(parts, b);
    ASSERT_MEM_EQ(a, b, n * sizeof *a);
    ot_free(a);
    ot_free(b);
    remove("/tmp/test_spike_train.npz");
    ot_network_free(whole);
    ot_network_free(parts);
    PASS();
}

TEST unusable_settings_are_refused(void)
{
    ot_network *net;
    ot_train_options o = adam();
    OK(small(&net, OT_CODING_DIRECT, 1));
    o.surrogate = (ot_surrogate)9;
    FAILS(OT_E_RANGE, "surrogate = 9, want one of ot_surrogate", ot_train(net, "cpu", &quarters, NULL, &o, NULL, NULL));
    o = adam(), o.sharpness = -1;
    FAILS(OT_E_RANGE, "sharpness of the surrogate = -1", ot_train(net, "cpu", &quarters, NULL, &o, NULL, NULL));
    o = adam(), o.spike_loss = (ot_spike_loss)2;
    FAILS(OT_E_RANGE, "spike_loss = 2", ot_train(net, "cpu", &quarters, NULL, &o, NULL, NULL));
    FAILS(OT_E_DATA, "leak = 0, want above 0", ot_network_set_neurons(net, 0, OT_RESET_SUBTRACT, 0));
    FAILS(OT_E_DATA, "u_rst = nan", ot_network_set_neurons(net, 1, OT_RESET_FIXED, NAN));
    ASSERT_EQ(1, ot_network_spike(net, 0)->leak);
    const float mean = 0.1f, one = 1;
    OK(ot_network_set_spiking(net, &(ot_spiking){.steps = 4, .coding = OT_CODING_RATE}));
    OK(ot_network_set_normalisation(net, &mean, &one));
    o = adam();
    FAILS(OT_E_DATA, "rate coding wants 0..1 (pixels / 255 with mean 0, std 1)", ot_train(net, "cpu", &quarters, NULL, &o, NULL, NULL));
    ot_network_free(net);
    PASS();
}

/* --- time to first spike --- */

/* Each pixel fires once, the brighter the sooner; the last layer's first to fire counts most. */
TEST the_first_to_fire_wins(const char *backend)
{
    enum { T = 9, PIXELS = 4 };
    ot_network *net;
    ot_backend *be;
    ot_plan    *plan;
    float       x[PIXELS] = {1, 0.5f, 0, 0.126f}, score[PIXELS], frames[T * PIXELS], gain = 1, want[PIXELS] = {9, 5, 0, 2};
    double      loss, slope, none, up, down;
    int32_t     label = 1;
    ot_data     one = {.name = (char *)"one", .n = 1, .c = 1, .h = 2, .w = 2, .classes = PIXELS, .values = x, .labels = &label};
    OK(ot_network_new(&net, "first", 1, 2, 2));
    net_spike(net, net_flatten(net, 0), 0.5f, 1, OT_RESET_ONCE, 0);
    OK(ot_network_set_spiking(net, &(ot_spiking){.steps = T, .coding = OT_CODING_LATENCY}));
    ASSERT(ot_network_once(net));
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = 2}));
    memcpy(frames, x, sizeof x);
    OK(ot_plan_input_spikes(plan, 0, 0, frames));
    for (int k = 0; k < PIXELS; k++) {
        int spikes = 0;
        for (int t = 0; t < T; t++) spikes += frames[t * PIXELS + k] > 0;
        ASSERT_EQ(x[k] > 0, spikes);
        if (x[k] > 0) ASSERT(frames[(int)lrint((1 - (double)x[k]) * (T - 1)) * PIXELS + k] == 1);
    }
    check_poison(score, PIXELS);
    OK(ot_plan_forward(plan, &one, NULL, 1, score, NULL));
    ASSERT_MEM_EQ(want, score, sizeof want);
    gain = 0.5f;                                                     /* a gain on the current: 0.5 is not above 0.5 */
    OK(ot_plan_set_knobs(plan, &gain, NULL));
    OK(ot_plan_forward(plan, &one, NULL, 1, score, NULL));
    for (int k = 0; k < PIXELS; k++) ASSERT(score[k] == 0);
    OK(ot_plan_gradient(plan, &one, NULL, 1, &up, &slope, &none));
    ASSERT(up > 0 && none == 0 && fabs(slope) > 1e-6);
    OK(ot_plan_set_knobs(plan, NULL, NULL));
    OK(ot_plan_gradient(plan, &one, NULL, 1, &loss, &slope, &none));
    ASSERT_IN_RANGE(log(exp(9) + exp(5) + 1 + exp(2)) - 5, loss, 1e-6);
    down = slope;
    gain = 2;                                                        /* the same threshold in other words: half of 0.5 times (2 / 1)^2 */
    ot_plan_free(plan);
    ot_network_free(net);
    OK(ot_network_new(&net, "half", 1, 2, 2));
    net_spike(net, net_flatten(net, 0), 1, 1, OT_RESET_ONCE, 0);
    OK(ot_network_set_spiking(net, &(ot_spiking){.steps = T, .coding = OT_CODING_LATENCY}));
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = 2}));
    OK(ot_plan_set_knobs(plan, &gain, NULL));
    OK(ot_plan_gradient(plan, &one, NULL, 1, &loss, &slope, &none));
    ASSERT_IN_RANGE(down * -0.25 / -0.5, slope, 1e-6 * fabs(down));  /* dTh/dgain: -1 / 4 in place of -0.5 / 1 */
    ot_plan_free(plan);
    FAILS(OT_E_UNSUPPORTED, "the loss of rates for neurons that fire once", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1, .spike_loss = OT_SPIKE_LOSS_RATE}));
    net_spike(net, 2, 1, 1, OT_RESET_SUBTRACT, 0);
    FAILS(OT_E_UNSUPPORTED, "want all layers to fire once, or none", ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));
    x[1] = 1.5f;
    ot_network_free(net);
    OK(ot_network_new(&net, "first", 1, 2, 2));
    net_spike(net, net_flatten(net, 0), 0.5f, 1, OT_RESET_ONCE, 0);
    OK(ot_network_set_spiking(net, &(ot_spiking){.steps = T, .coding = OT_CODING_LATENCY}));
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));
    FAILS(OT_E_DATA, "number 1 = 1.5: latency coding wants 0..1", ot_plan_forward(plan, &one, NULL, 1, score, NULL));
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

/* --- firing rates --- */

TEST thresholds_bring_rates_back(const char *backend)
{
    ot_network *net;
    ot_backend *be;
    ot_plan    *plan;
    double      want[2], got[2], mean[2] = {0};
    float       gain[2], rates[2 * 16], known[2] = {0.75f, 1.25f};
    OK(small(&net, OT_CODING_DIRECT, 1));
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 16}));
    OK(ot_plan_set_knobs(plan, known, NULL));
    OK(ot_plan_rates(plan, &quarters, NULL, 16, want));
    OK(ot_plan_forward(plan, &quarters, NULL, 16, NULL, rates));
    for (int i = 0; i < 16; i++) mean[0] += (double)rates[2 * i] / 16, mean[1] += (double)rates[2 * i + 1] / 16;
    CHECK_CLOSE64(mean, want, 2, 1e-7);
    ASSERT(want[0] > 0.05 && want[0] < 0.95 && want[1] > 0.02);
    OK(ot_plan_set_knobs(plan, NULL, NULL));
    check_poison(gain, 2);
    OK(ot_plan_match_rates(plan, &quarters, NULL, 16, want, 0.25, 4, gain));
    OK(ot_plan_rates(plan, &quarters, NULL, 16, got));
    CHECK_CLOSE64(want, got, 2, 2.1 / (16 * 4 * CLASSES));           /* two spikes more or less of the last layer's; the first has more */
    float fast[2];
    OK(ot_plan_match_rates(plan, &quarters, NULL, 16, (double[]){2, 2}, 0.5, 2, fast));      /* out of reach: at the lower end */
    ASSERT_IN_RANGE(0.5, (double)fast[0], 1e-5);
    FAILS(OT_E_RANGE, "want 1/64 or more, the second larger", ot_plan_match_rates(plan, &quarters, NULL, 16, want, 0.001, 2, gain));
    FAILS(OT_E_RANGE, "firing rates of 17 images, want 1..16", ot_plan_rates(plan, &quarters, NULL, 17, want));
    ot_plan_free(plan);
    ot_network_free(net);
    check_rng r = {1};
    OK(ot_network_new(&net, "rectifiers", 1, SIDE, SIDE));
    net_relu(net, net_dense(net, &r, net_flatten(net, 0), CLASSES), INFINITY);
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 16}));
    FAILS(OT_E_UNSUPPORTED, "'rectifiers' does not spike", ot_plan_rates(plan, &quarters, NULL, 16, want));
    ot_plan_free(plan);
    ot_network_free(net);
    ot_backend_close(be);
    PASS();
}

/* Weights all 1.25 times too large want thresholds 1.25 times as high: both closed forms see it. */
TEST closed_forms_make_good_a_common_scale(void)
{
    ot_network *net, *strong;
    ot_backend *be;
    ot_plan    *plan, *loud;
    double      mean[2], sd[2], rate[2];
    float       gain[2], offset[2];
    ot_tune_cost cost = {0};
    OK(small(&net, OT_CODING_DIRECT, 1));
    OK(small(&strong, OT_CODING_DIRECT, 1));
    for (int k = 0; k < 2; k++) {
        const ot_layer *l = ot_network_crossbar(strong, k);
        for (int i = 0; i < ot_network_layers(strong); i++)
            if (ot_network_layer(strong, i) == l)
                for (size_t w = 0; w < ot_layer_weights(l); w++) ot_network_weights(strong, i)[w] *= 1.25f;
    }
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = 32}));
    OK(ot_plan_open(&loud, be, strong, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = 32}));
    OK(ot_tune_targets(mean, sd, plan, &quarters, NULL, 32));
    OK(ot_plan_rates(plan, &quarters, NULL, 32, rate));
    OK(ot_tune_closed_form(loud, &quarters, NULL, 32, mean, sd, gain, offset, &cost));
    ASSERT(offset[0] == 0 && offset[1] == 0 && gain[1] > 1.1f && gain[1] < 1.5f);    /* beta is not scaled; spikes are few */
    ASSERT_IN_RANGE(1.25, (double)gain[0], 1e-6);
    OK(ot_plan_set_knobs(loud, NULL, NULL));
    OK(ot_tune_match_rates(loud, &quarters, NULL, 32, rate, gain, offset, &cost));
    ASSERT(offset[0] == 0 && offset[1] == 0 && gain[0] > 1.05f && gain[0] < 1.4f && gain[1] > 1.05f && gain[1] < 1.4f);
    ASSERT_EQ(64, cost.images_forward);
    ot_plan_free(loud);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(strong);
    ot_network_free(net);
    PASS();
}

SUITE(test_spike_train)
{
    paint();
    for (int i = 0; i < 8; i++) {
        const char *backend = i & 1 ? "ref" : "cpu";
        char        suffix[32];
        snprintf(suffix, sizeof suffix, "%s_%s_%s", backend, i & 2 ? "fast" : "atan", i & 4 ? "rate" : "count");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(weight_gradients_are_the_golden_ones, backend, i >> 1 & 1, i >> 2);
    }
    RUN_TEST(input_spikes_are_drawn_by_seed_and_number);
    for (int i = 0; i < 8; i++) {
        char suffix[32];
        snprintf(suffix, sizeof suffix, "%s_%s_%s", i & 1 ? "rate" : "direct", i & 2 ? "ratewise" : "counts", i & 4 ? "leaky" : "if");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(small_networks_learn, i & 1, i >> 1 & 1, i >> 2, 0);
    }
    greatest_set_test_suffix("first_spike");
    RUN_TESTp(small_networks_learn, 0, 0, 0, 1);
    for (int rate = 0; rate < 2; rate++) {
        greatest_set_test_suffix(rate ? "rate" : "direct");
        RUN_TESTp(a_training_goes_on_where_it_was_left, rate);
    }
    RUN_TEST(unusable_settings_are_refused);
    for (int i = 0; i < 2; i++) {
        greatest_set_test_suffix(i ? "ref" : "cpu");
        RUN_TESTp(thresholds_bring_rates_back, i ? "ref" : "cpu");
        greatest_set_test_suffix(i ? "ref" : "cpu");
        RUN_TESTp(the_first_to_fire_wins, i ? "ref" : "cpu");
    }
    RUN_TEST(closed_forms_make_good_a_common_scale);
}

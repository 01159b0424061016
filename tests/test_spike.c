/* test_spike.c - spiking networks: golden spikes, gradients and Adam steps of PyTorch in double; the scan against a naive loop; input
 * spikes; memory.  Files and bad input: test_spike_files.c. */
#include "backend/backend.h"
#include "base/fail.h"
#include "kernels/adam.h"
#include "kernels/if.h"
#include "kernels/philox.h"
#include "nets.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- the golden network: conv - IF - average pool - conv - IF - dense - IF --- */

enum { N = 16, L = 3, STEPS = 10, CLASSES = 10, ADAM = 10 };

typedef struct golden { ot_network *net; ot_data data; ot_backend *be; ot_plan *plan; int exact; } golden;

static float *golden_floats(const char *path, double scale)
{
    ot_array a = {0};
    if (!check_load(&a, path)) return NULL;
    size_t n = (size_t)ot_array_count(&a);
    float *f = ot_alloc(n, sizeof *f);
    for (size_t i = 0; i < n; i++) f[i] = (float)(((const double *)a.data)[i] * scale);
    ot_array_free(&a);
    return f;
}

static int weighted(ot_network *net, ot_layer l, const char *file)
{
    int i = -1;
    l.weight = golden_floats(file, 1);
    if (!l.weight || ot_network_add(net, &l, &i) != OT_OK) printf("\n%s: %s\n", file, ot_last_error());
    ot_free(l.weight);
    return i;
}

static ot_network *golden_network(void)
{
    ot_network *net;
    if (ot_network_new(&net, "golden", 2, 12, 12) != OT_OK) return NULL;
    int x = net_spike(net, weighted(net, (ot_layer){.op = OT_OP_CONV, .name = "conv1", .in = {0, -1}, .c = 6, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1}, "ifneuron/w1.npy"),
                      1, 1, OT_RESET_SUBTRACT, 0);
    x = net_pool(net, x, OT_OP_AVG_POOL, 2, 2, 0);
    x = net_spike(net, weighted(net, (ot_layer){.op = OT_OP_CONV, .name = "conv2", .in = {x, -1}, .c = 8, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1}, "ifneuron/w2.npy"),
                  1, 1, OT_RESET_SUBTRACT, 0);
    x = weighted(net, (ot_layer){.op = OT_OP_DENSE, .name = "dense", .in = {net_flatten(net, x), -1}, .c = 10}, "ifneuron/w3.npy");
    net_spike(net, x, 1, 1, OT_RESET_SUBTRACT, 0);
    if (ot_network_set_spiking(net, &(ot_spiking){.steps = STEPS}) != OT_OK) return NULL;
    return net;
}

static void close_golden(golden *g)
{
    ot_plan_free(g->plan);
    ot_backend_close(g->be);
    ot_free(g->data.values);
    ot_free(g->data.labels);
    ot_network_free(g->net);
}

/* Images as the set defines them, u8 / 256; the set's random thresholds, or 1. */
static int open_golden(golden *g, const char *backend, ot_plan_options opt, int random)
{
    static const float thresholds[L] = {1.236f, 1.272f, 1.112f};
    ot_array labels = {0};
    memset(g, 0, sizeof *g);
    if (!check_load(&labels, "ifneuron/labels.npy")) return 0;
    g->data = (ot_data){.name = (char *)"golden", .n = N, .c = 2, .h = 12, .w = 12, .classes = CLASSES, .values = golden_floats("ifneuron/images.npy", 1.0 / 256),
                        .labels = ot_alloc(N, sizeof(int32_t))};
    for (int i = 0; i < N; i++) g->data.labels[i] = (int32_t)((const double *)labels.data)[i];
    ot_array_free(&labels);
    g->exact = !strcmp(backend, "ref");
    g->net = golden_network();
    opt.use = OT_PLAN_TUNE;
    ot_status st = ot_backend_open(&g->be, backend, NULL);
    if (st == OT_OK) st = ot_plan_open(&g->plan, g->be, g->net, &opt);
    if (st == OT_OK && random) st = ot_plan_set_knobs(g->plan, thresholds, NULL);
    if (st != OT_OK) printf("\n%s\n", ot_last_error());
    return st == OT_OK && ot_plan_knobs(g->plan) == L && ot_network_relus(g->net) == 0;
}

TEST counts_are_the_golden_ones(const char *backend, int random, int tile)
{
    static const double neurons[L] = {6 * 12 * 12, 8 * 6 * 6, 10};
    golden   g;
    ot_array want, layers;
    float    counts[N * CLASSES], rate[N * L];
    double   got[N * CLASSES], spikes[L] = {0}, known[L] = {0};
    ASSERT(open_golden(&g, backend, (ot_plan_options){.tile = tile}, random));
    ASSERT(check_load(&want, random ? "ifneuron/count_random.npy" : "ifneuron/count_nominal.npy"));
    ASSERT(check_load(&layers, random ? "ifneuron/layer_spikes_random.npy" : "ifneuron/layer_spikes_nominal.npy"));
    check_poison(counts, N * CLASSES);
    check_poison(rate, N * L);
    OK(ot_plan_forward(g.plan, &g.data, NULL, N, counts, rate));
    for (int i = 0; i < N * CLASSES; i++) got[i] = (double)counts[i];
    CHECK_CLOSE64((const double *)want.data, got, N * CLASSES, 0);   /* no membrane is nearer to its threshold than 1.2e-5 */
    for (int i = 0; i < N; i++)
        for (int l = 0; l < L; l++) spikes[l] += (double)rate[i * L + l] * neurons[l] * STEPS;
    for (int t = 0; t < STEPS; t++)
        for (int l = 0; l < L; l++) known[l] += ((const double *)layers.data)[t * L + l];
    CHECK_CLOSE64(known, spikes, L, 1e-6 * check_max_f64(known, L)); /* rates are floats */
    ot_array_free(&want);
    ot_array_free(&layers);
    close_golden(&g);
    PASS();
}

TEST gradients_are_the_golden_ones(const char *backend, int random, int fast, int rate, int tile)
{
    static const double losses[2][2] = {{2.5697422329450728, 2.0334582614057846}, {2.271429018789339, 2.040595089872862}};
    golden   g;
    ot_array want;
    double   loss, grad[L], offset[L];
    char     path[80];
    ASSERT(open_golden(&g, backend, (ot_plan_options){.tile = tile, .surrogate = fast ? OT_SURROGATE_FAST_SIGMOID : OT_SURROGATE_ATAN,
                                                      .spike_loss = rate ? OT_SPIKE_LOSS_RATE : OT_SPIKE_LOSS_COUNT}, random));
    snprintf(path, sizeof path, "ifneuron/grad_%s_%s_%s.npy", random ? "random" : "nominal", fast ? "fast_sigmoid" : "atan", rate ? "rate" : "count");
    ASSERT(check_load(&want, path));
    OK(ot_plan_gradient(g.plan, &g.data, NULL, N, &loss, grad, offset));
    /* ref: derivatives of the loss enter as floats (6e-8); float32: the manifest's */
    CHECK_CLOSE64((const double *)want.data, grad, L, (g.exact ? 1e-6 : 1e-4) * check_max_f64(want.data, L));
    CHECK_CLOSE64(&losses[random][rate], &loss, 1, 1e-12);           /* of whole numbers */
    for (int l = 0; l < L; l++) ASSERT(offset[l] == 0);
    ot_array_free(&want);
    close_golden(&g);
    PASS();
}

TEST adam_follows_the_golden_trajectory(const char *backend, int fast)
{
    golden   g;
    ot_array thresholds, losses, counts;
    ot_adam  state[L] = {{0, 0}};
    ot_adam_power power = {1, 1};
    double   th[L] = {1, 1, 1}, grad[L], offset[L], loss;
    float    sent[L], got[N * CLASSES];
    char     path[80];
    ASSERT(open_golden(&g, backend, (ot_plan_options){.tile = 7, .surrogate = fast ? OT_SURROGATE_FAST_SIGMOID : OT_SURROGATE_ATAN}, 0));
    snprintf(path, sizeof path, "ifneuron/adam_%s_threshold.npy", fast ? "fast_sigmoid" : "atan");
    ASSERT(check_load(&thresholds, path));
    snprintf(path, sizeof path, "ifneuron/adam_%s_loss.npy", fast ? "fast_sigmoid" : "atan");
    ASSERT(check_load(&losses, path));
    snprintf(path, sizeof path, "ifneuron/adam_%s_count.npy", fast ? "fast_sigmoid" : "atan");
    ASSERT(check_load(&counts, path));
    for (int s = 0; s < ADAM; s++) {
        OK(ot_plan_gradient(g.plan, &g.data, NULL, N, &loss, grad, offset));
        ot_adam_advance(&power);
        for (int l = 0; l < L; l++) sent[l] = (float)(th[l] = ot_adam_step(th[l], grad[l], 0.01, &state[l], power));
        OK(ot_plan_set_knobs(g.plan, sent, NULL));
        /* ref: thresholds reach it as floats, 6e-8, which Adam passes on; at step 8 a membrane
         * comes within 1.4e-6 of its threshold, and in float32 its spike flips */
        CHECK_CLOSE64((const double *)thresholds.data + s * L, th, L, g.exact ? 1e-6 : s < 8 ? 1e-4 : 3e-3);
        OK(ot_plan_gradient(g.plan, &g.data, NULL, N, &loss, grad, offset));
        if (!g.exact) continue;
        CHECK_CLOSE64((const double *)losses.data + s, &loss, 1, 1e-9);
        OK(ot_plan_forward(g.plan, &g.data, NULL, N, got, NULL));
        for (int i = 0; i < N * CLASSES; i++) ASSERT_EQ(((const double *)counts.data)[s * N * CLASSES + i], (double)got[i]);
    }
    ot_array *all[] = {&thresholds, &losses, &counts};
    for (int i = 0; i < 3; i++) ot_array_free(all[i]);
    close_golden(&g);
    PASS();
}

/* The tuner's own Adam, whole batches in its own order of images. */
TEST adam_of_the_tuner_follows_it_too(void)
{
    golden   g;
    ot_array thresholds;
    float    th[L] = {1, 1, 1}, offset[L] = {0};
    double   got[L];
    ot_tune_cost cost = {0};
    ot_tune_options opt = ot_tune_defaults();
    opt.lr = 0.01;
    opt.minibatch = N;
    ASSERT(open_golden(&g, "ref", (ot_plan_options){.tile = 16}, 0));
    ASSERT(check_load(&thresholds, "ifneuron/adam_atan_threshold.npy"));
    OK(ot_tune_adam(g.plan, &g.data, NULL, N, &opt, ADAM, th, offset, &cost));
    for (int l = 0; l < L; l++) got[l] = (double)th[l];
    CHECK_CLOSE64((const double *)thresholds.data + (ADAM - 1) * L, got, L, 1e-6);
    for (int l = 0; l < L; l++) ASSERT(offset[l] == 0);
    ASSERT_EQ(0, cost.nan_restores);
    ot_array_free(&thresholds);
    close_golden(&g);
    PASS();
}

/* --- single neurons --- */

enum { UNITS = 11 };

TEST single_neurons_are_the_golden_ones(const char *backend)
{
    ot_array current, threshold, membrane, spikes;
    ASSERT(check_load(&current, "ifneuron/unit_current.npy") && check_load(&threshold, "ifneuron/unit_threshold.npy"));
    ASSERT(check_load(&membrane, "ifneuron/unit_membrane.npy") && check_load(&spikes, "ifneuron/unit_spikes.npy"));
    for (int u = 0; u < UNITS; u++) {
        float th = (float)((const double *)threshold.data)[u], m = 0;
        ot_if p = {.threshold = th, .leak = 1, .loss = th};
        for (int t = 0; t < STEPS; t++) {
            m = ot_if_membrane(p, m, (float)((const double *)current.data)[u], m > th);
            ASSERT_EQ(((const double *)membrane.data)[u * STEPS + t], (double)m);
            ASSERT_EQ(((const double *)spikes.data)[u * STEPS + t], (double)(m > th));
        }
    }
    for (int u = 0; u < UNITS; u++) {
        double so_far = 0;
        for (int T = 1; T <= STEPS; T++) {                       /* counts of T steps, one neuron with its current for a picture */
            ot_network *net;
            ot_backend *be;
            ot_plan    *plan;
            float       x = (float)((const double *)current.data)[u], count;
            int32_t     label = 0;
            ot_data     one = {.name = (char *)"one", .n = 1, .c = 1, .h = 1, .w = 1, .classes = 1, .values = &x, .labels = &label};
            OK(ot_network_new(&net, "neuron", 1, 1, 1));
            net_spike(net, 0, (float)((const double *)threshold.data)[u], 1, OT_RESET_SUBTRACT, 0);
            OK(ot_network_set_spiking(net, &(ot_spiking){.steps = T}));
            OK(ot_backend_open(&be, backend, NULL));
            OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 1}));
            OK(ot_plan_forward(plan, &one, NULL, 1, &count, NULL));
            so_far += ((const double *)spikes.data)[u * STEPS + T - 1];
            ASSERT_EQ(so_far, (double)count);
            ot_plan_free(plan);
            ot_backend_close(be);
            ot_network_free(net);
        }
    }
    ot_array *all[] = {&current, &threshold, &membrane, &spikes};
    for (int i = 0; i < 4; i++) ot_array_free(all[i]);
    PASS();
}

/* --- the scan of every backend against a naive double loop --- */

enum { GUARD = 16, MOST_STEPS = 256 };

/* A backend with its flavour; half: its tensors hold halves. */
typedef struct subject { const ot_backend_i *i; const char *name, *flavour; int half; } subject;

static void flood(const ot_backend_i *i, void *ctx, void *at, int byte, size_t bytes)
{
    if (i->many) i->many->fill(ctx, at, byte, bytes);
    else memset(at, byte, bytes);
}

static int guarded(const ot_backend_i *i, void *ctx, const char *at)
{
    char guard[GUARD];
    if (i->many) i->many->read(ctx, guard, at, GUARD);
    else memcpy(guard, at, GUARD);
    for (int b = 0; b < GUARD; b++)
        if (guard[b] != 0x5a) return 0;
    return 1;
}

typedef struct scan_case {
    ot_shape s;
    int T, images, still, add;
    float leak, threshold, u_rst;
    ot_reset reset;
    ot_surrogate surrogate;
    double sharpness;
} scan_case;

/* Forward and backward of one neuron, with steps of `in` and `out` floats between times. */
static void naive_neuron(const scan_case *c, const float *current, size_t in, const float *g, size_t out, double *spikes, double *dcurrent, double *dthreshold)
{
    double m[MOST_STEPS], R[MOST_STEPS + 1] = {0}, back[MOST_STEPS + 1] = {0}, th = (double)c->threshold;
    int    silent[MOST_STEPS], gone = 0;                             /* ONCE: it has fired before */
    for (int t = 0; t < c->T; t++) {
        double I = (double)current[(size_t)t * in], before = t ? m[t - 1] : 0;
        switch (c->reset) {
        case OT_RESET_SUBTRACT: m[t] = (double)c->leak * before + I - R[t] * th; break;
        case OT_RESET_FIXED: m[t] = (double)c->leak * before + I - R[t] * (double)c->u_rst; break;
        case OT_RESET_ONCE: m[t] = (double)c->leak * before + I; break;
        default: m[t] = (double)c->leak * before * (1 - R[t]) + I;
        }
        spikes[t] = R[t + 1] = m[t] > th ? 1 : 0;
        if (c->reset == OT_RESET_ONCE && gone) spikes[t] = 0;
        silent[t] = gone;
        gone |= c->reset == OT_RESET_ONCE && spikes[t] > 0;
    }
    for (int t = c->T - 1; t >= 0; t--) {
        double z = m[t] - th, k = c->sharpness, sg;
        if (c->surrogate == OT_SURROGATE_ATAN) sg = k / 2 / (1 + pow(M_PI / 2 * k * z, 2));
        else if (c->surrogate == OT_SURROGATE_FAST_SIGMOID) sg = 1 / pow(1 + k * fabs(z), 2);
        else sg = fabs(z) < 1 / (2 * k) ? k : 0;
        double kt = silent[t] ? 0 : (double)g[(size_t)t * out] * sg;
        back[t] = kt + (double)c->leak * back[t + 1] * (c->reset == OT_RESET_ZERO ? 1 - R[t + 1] : 1);
        *dthreshold += -kt - (c->reset == OT_RESET_SUBTRACT ? back[t] * R[t] : 0);
        dcurrent[(size_t)t * in] += back[t];
    }
}

/* Numbers of few bits, so that float and double agree to the bit on who fires: sixteenths, and never a threshold's distance to a boxcar's edge. */
static void few_bits(check_rng *r, float *p, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = (float)((int)(check_uniform(r) * 41) - 12) / 16;
}

static ot_status run_scan(subject on, const scan_case *c, const float *current, float *g, float *spikes, float *tap, float *dcurrent, double *dthreshold)
{
    const ot_backend_i *i = on.i;
    size_t   frames_in = (size_t)c->images * (size_t)(c->still ? 1 : c->T), op_bytes, scratch_bytes, tile = (size_t)(c->images + 1) * (size_t)c->T;
    ot_layer l = {.op = OT_OP_SPIKE, .name = "scan", .c = c->s.c, .h = c->s.h, .w = c->s.w, .in_c = c->s.c, .crossbar = -1, .relu = -1, .threshold = 9, .leak = c->leak, .reset = c->reset, .u_rst = c->u_rst};
    ot_step  s = {.kind = OT_STEP_SPIKE, .layer = &l, .in = c->s, .out = c->s, .src = 0, .dst = 1, .res = -1, .steps = c->T, .still = c->still};
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = c->images + 1, .surrogate = c->surrogate, .sharpness = c->sharpness};
    void    *ctx, *op, *mem[5] = {NULL};
    OT_TRY(i->open(&ctx, on.flavour));
    OT_TRY(i->step_open(ctx, &op, &s, (int)tile, &opt, &op_bytes, &scratch_bytes));
    size_t   bytes = i->tensor_bytes(ctx, c->s, (int)tile);
    for (int k = 0; k < 5; k++) {                                    /* src, dst, g, dsrc, scratch: NaN, and guards behind */
        size_t n = k == 4 ? scratch_bytes : bytes;
        OT_TRY(i->alloc(ctx, &mem[k], n + GUARD));
        flood(i, ctx, mem[k], 0xff, n);
        flood(i, ctx, (char *)mem[k] + n, 0x5a, GUARD);
    }
    ot_step_run  run = {.n = c->images * c->T, .gain = c->threshold, .tap = tap};
    double       none = NAN;
    ot_step_back back = {.n = c->images * c->T, .gain = c->threshold, .add_src = c->add, .grad_gain = dthreshold, .grad_offset = &none};
    OT_TRY(i->step_load(ctx, op, NULL, NULL, NULL, NULL));
    OT_TRY(i->put(ctx, mem[0], c->s, (int)frames_in, current));
    OT_TRY(i->forward(ctx, op, mem[0], NULL, mem[1], mem[4], &run));
    OT_TRY(i->get(ctx, spikes, c->s, c->images * c->T, mem[1]));
    flood(i, ctx, mem[4], 0xff, scratch_bytes);
    OT_TRY(i->put(ctx, mem[2], c->s, c->images * c->T, g));
    if (c->add) OT_TRY(i->put(ctx, mem[3], c->s, (int)frames_in, dcurrent));
    OT_TRY(i->backward(ctx, op, mem[0], mem[1], mem[2], mem[3], NULL, mem[4], &back));
    OT_TRY(i->get(ctx, dcurrent, c->s, (int)frames_in, mem[3]));
    int whole = none == 0;
    for (int k = 0; k < 5; k++) {
        whole = whole && guarded(i, ctx, (char *)mem[k] + (k == 4 ? scratch_bytes : bytes));
        i->free(ctx, mem[k]);
    }
    i->step_close(ctx, op);
    i->close(ctx);
    return whole ? OT_OK : OT_E_BUG;
}

TEST scans_agree_with_a_naive_loop(subject on, const scan_case *c)
{
    check_rng r = {(uint64_t)(c->T * 100 + c->s.c)};
    size_t    size = (size_t)c->s.c * (size_t)c->s.h * (size_t)c->s.w, T = (size_t)c->T, out = size * T * (size_t)c->images, in = c->still ? size * (size_t)c->images : out;
    float    *current = ot_alloc(in, 4), *g = ot_alloc(out, 4), *spikes = ot_alloc(out, 4), *dcurrent = ot_alloc(in, 4), *tap = ot_alloc((size_t)c->images, 4);
    double   *want = ot_alloc(out, 8), *dwant = ot_alloc(in, 8), one[MOST_STEPS], dthreshold = 0, got = NAN, *rate = ot_alloc((size_t)c->images, 8);
    few_bits(&r, current, in);
    check_fill_normal(&r, g, out, 1);
    check_poison(spikes, out);
    check_poison(tap, (size_t)c->images);
    check_fill_normal(&r, dcurrent, in, 1);
    for (size_t e = 0; e < in; e++) dwant[e] = c->add ? (double)dcurrent[e] : 0;
    for (size_t k = 0; k < (size_t)c->images; k++)
        for (size_t e = 0; e < size; e++) {
            size_t at = k * size * T + e, from = c->still ? k * size + e : at;
            naive_neuron(c, current + from, c->still ? 0 : size, g + at, size, one, dwant + from, &dthreshold);
            for (size_t t = 0; t < T; t++) want[at + t * size] = one[t], rate[k] += one[t] / (double)(size * T);
        }
    OK(run_scan(on, c, current, g, spikes, tap, dcurrent, &got));
    for (size_t e = 0; e < out; e++) ASSERT_EQ_FMT(want[e], (double)spikes[e], "%g");
    for (int k = 0; k < c->images; k++) ASSERT(fabs((double)tap[k] - rate[k]) < 1e-7);          /* a float */
    double *dgot = ot_alloc(in, 8);
    for (size_t e = 0; e < in; e++) dgot[e] = (double)dcurrent[e];
    /* sums of T products of size sharpness; a float's 6e-8 each, and as often in the sum of the threshold's */
    double most = check_max_f64(dwant, in) + 1, tol = (on.half ? 1e-3 : 3e-7) * (double)T * most;            /* a half: 5e-4 */
    CHECK_CLOSE64(dwant, dgot, in, tol);
    CHECK_CLOSE64(&dthreshold, &got, 1, (on.half ? 5e-4 : 1e-6) * most * sqrt((double)out) * (double)T);
    void *all[] = {current, g, spikes, dcurrent, tap, want, dwant, rate, dgot};
    for (int k = 0; k < 9; k++) ot_free(all[k]);
    PASS();
}

/* On the emulator some rows do, unless OT_ALL is set: of fp16 every fifth, under sanitizers (OT_SMALL) of all. */
static int every(const char *backend)
{
#ifdef OT_SIMT
    if (getenv("OT_SMALL") || (strchr(backend, ':') && !getenv("OT_ALL"))) return 5;
#endif
    return (void)backend, 1;
}

static void some_scans(subject on)
{
    static const ot_shape shapes[] = {{1, 1, 1}, {1, 5, 7}, {3, 4, 5}, {10, 1, 1}, {16, 3, 3}, {17, 2, 5}, {40, 9, 8}, {257, 1, 1}};
    static const int      steps[] = {1, 2, 3, 6, 25, 64}, many[] = {65, 128, 130, 256};            /* cuda holds 64 steps at a time */
    char suffix[96];
    for (int k = 0; k < 60; k += every("")) {
        static scan_case c;
        c = (scan_case){.s = shapes[k % 8], .T = k < 48 ? steps[(k / 2) % 6] : many[k % 4], .images = 1 + k % 3, .still = k % 5 == 0 || k % 7 == 3, .add = k % 4 == 2, .leak = k % 2 ? 1.0f : 0.5f, .threshold = (float)(4 + k % 5 * 5) / 16,
                        .reset = (ot_reset)(k / 3 % OT_RESETS), .surrogate = (ot_surrogate)(k % 3)};
        if (c.T > 6 && c.leak < 1) c.leak = 1;                       /* halves of halves would need more bits than a float has */
        if (c.reset == OT_RESET_FIXED) c.u_rst = 0.4375f;
        c.sharpness = c.surrogate == OT_SURROGATE_ATAN ? 2 : c.surrogate == OT_SURROGATE_FAST_SIGMOID ? 25 : 0.8;
        snprintf(suffix, sizeof suffix, "%s_%d_%dx%dx%d_T%d_%s_reset_%d_surrogate_%d", on.name, k, c.s.c, c.s.h, c.s.w, c.T, c.still ? "still" : "moving", (int)c.reset, (int)c.surrogate);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(scans_agree_with_a_naive_loop, on, &c);
    }
}

#ifdef OT_SIMT                                                       /* the emulator's runner: the others ran elsewhere */
static const char *const names[] = {"cuda", "cuda:fp16"};
#else
static const char *const names[] = {"ref", "cpu", "cuda", "cuda:fp16"};
#endif

static void all_scans(void)
{
    for (size_t b = 0; b < sizeof names / sizeof *names; b++) {
        const char *colon = strchr(names[b], ':');
        ot_backend *be;
        if (ot_backend_open(&be, names[b], NULL) != OT_OK) continue;
        some_scans((subject){be->i, names[b], colon ? colon + 1 : "", colon && !strcmp(colon, ":fp16")});
        ot_backend_close(be);
    }
}

/* --- convolutions of spikes, event by event or not --- */

typedef struct event_case { ot_shape in; int c, k, stride, pad, T, images, res; double share; int averages; } event_case;

static ot_status run_conv(const ot_backend_i *i, const event_case *c, const ot_step *s, ot_plan_use use, int events, const float *const *numbers, float *out, float *first, float *dsrc)
{
    ot_plan_options opt = {.use = use, .tile = c->T * (c->images + 1)};
    const int       n = c->T * c->images;
    ot_step         step = *s;
    ot_step_run     run = {.n = n, .gain = 1};
    ot_step_back    back = {.n = n, .gain = 1};
    size_t          op_bytes, scratch_bytes;
    void           *ctx, *op, *mem[6] = {NULL};
    step.events = events;
    OT_TRY(i->open(&ctx, ""));
    OT_TRY(i->step_open(ctx, &op, &step, opt.tile, &opt, &op_bytes, &scratch_bytes));
    size_t bytes[6] = {i->tensor_bytes(ctx, s->in, opt.tile), i->tensor_bytes(ctx, s->out, opt.tile), i->tensor_bytes(ctx, s->out, opt.tile), i->tensor_bytes(ctx, s->out, opt.tile), i->tensor_bytes(ctx, s->in, opt.tile), scratch_bytes};
    for (int k = 0; k < 6; k++) {                                    /* src, res, dst, g, dsrc, scratch */
        OT_TRY(i->alloc(ctx, &mem[k], bytes[k] + GUARD));
        memset(mem[k], 0xff, bytes[k]);
        memset((char *)mem[k] + bytes[k], 0x5a, GUARD);
    }
    OT_TRY(i->step_load(ctx, op, numbers[1], numbers[2], numbers[3], numbers[4]));
    OT_TRY(i->put(ctx, mem[0], s->in, n, numbers[0]));
    if (c->res) OT_TRY(i->put(ctx, mem[1], s->out, n, numbers[5]));
    OT_TRY(i->forward(ctx, op, mem[0], c->res ? mem[1] : NULL, mem[2], mem[5], &run));
    OT_TRY(i->get(ctx, out, s->out, n, mem[2]));
    run.n = c->T;                                                    /* the first image alone, neighbours gone */
    memset(mem[2], 0xff, bytes[2]);
    memset(mem[5], 0xff, bytes[5]);
    OT_TRY(i->forward(ctx, op, mem[0], c->res ? mem[1] : NULL, mem[2], mem[5], &run));
    OT_TRY(i->get(ctx, first, s->out, c->T, mem[2]));
    if (use == OT_PLAN_TUNE) {
        OT_TRY(i->put(ctx, mem[3], s->out, n, numbers[5]));
        OT_TRY(i->backward(ctx, op, mem[0], mem[2], mem[3], mem[4], c->res ? mem[1] : NULL, mem[5], &back));
        OT_TRY(i->get(ctx, dsrc, s->in, n, mem[4]));
    }
    int whole = !events || c->in.c <= 4 || c->c <= 4 || i != &ot__backend_cpu || strstr(i->step_algorithm(op), "events") != NULL;
    for (int k = 0; k < 6; k++) {
        for (int b = 0; b < GUARD; b++) whole = whole && ((char *)mem[k])[bytes[k] + (size_t)b] == 0x5a;
        i->free(ctx, mem[k]);
    }
    i->step_close(ctx, op);
    i->close(ctx);
    return whole ? OT_OK : OT_E_BUG;
}

TEST convolutions_of_spikes_agree_with_ref(const event_case *c, int use)
{
    check_rng r = {(uint64_t)(c->c * 31 + c->k)};
    int       side_h = (c->in.h + 2 * c->pad - c->k) / c->stride + 1, side_w = (c->in.w + 2 * c->pad - c->k) / c->stride + 1;
    ot_shape  o = {c->c, side_h, side_w};
    ot_layer  l = {.op = OT_OP_CONV, .name = "conv", .c = o.c, .h = o.h, .w = o.w, .in_c = c->in.c, .groups = 1, .kh = c->k, .kw = c->k, .sh = c->stride, .sw = c->stride, .pt = c->pad, .pl = c->pad, .pb = c->pad, .pr = c->pad, .crossbar = 0, .relu = -1};
    ot_layer  norm = {.op = OT_OP_BATCH_NORM, .name = "norm", .c = o.c, .h = o.h, .w = o.w, .in_c = o.c, .crossbar = -1, .relu = -1};
    ot_step   s = {.kind = OT_STEP_CONV, .layer = &l, .affine = &norm, .in = c->in, .out = o, .src = 0, .dst = 1, .res = c->res ? 2 : -1, .steps = c->T};
    size_t    n = (size_t)(c->T * c->images), in = n * (size_t)(c->in.c * c->in.h * c->in.w), out = n * (size_t)(o.c * o.h * o.w), fan = (size_t)(c->in.c * c->k * c->k);
    float    *src = ot_alloc(in, 4), *weight = ot_alloc(fan * (size_t)c->c, 4), *bias = ot_alloc((size_t)c->c, 4), *scale = ot_alloc((size_t)c->c, 4), *shift = ot_alloc((size_t)c->c, 4), *res = ot_alloc(out, 4);
    float    *want = ot_alloc(out, 4), *got = ot_alloc(out, 4), *first = ot_alloc(out, 4), *dwant = ot_alloc(in, 4), *dgot = ot_alloc(in, 4);
    const float *numbers[6] = {src, weight, bias, scale, shift, res};
    for (size_t e = 0; e < in; e++) {                                /* the last image is busier than the others */
        double share = e >= in / (size_t)c->images * (size_t)(c->images - 1) ? 3 * c->share : c->share;
        src[e] = check_uniform(&r) < share ? c->averages ? (float)(1 + (int)(4 * check_uniform(&r))) / 4 : 1.0f : 0.0f;
    }
    check_fill_normal(&r, weight, fan * (size_t)c->c, 1 / sqrt((double)fan));
    check_fill_normal(&r, bias, (size_t)c->c, 0.5);
    check_fill_normal(&r, scale, (size_t)c->c, 1);
    check_fill_normal(&r, shift, (size_t)c->c, 0.5);
    check_fill_normal(&r, res, out, 1);
    OK(run_conv(&ot__backend_ref, c, &s, (ot_plan_use)use, 1, numbers, want, first, dwant));
    OK(run_conv(&ot__backend_cpu, c, &s, (ot_plan_use)use, 1, numbers, got, first, dgot));
    CHECK_CLOSE(want, got, out, 1e-5 * (1 + check_max_f32(want, out)));      /* sums of up to 2,300 terms of size 1; Winograd: 1e-6 */
    ASSERT_MEM_EQ(got, first, out / (size_t)c->images * sizeof *got);
    if (use == OT_PLAN_TUNE) CHECK_CLOSE(dwant, dgot, in, 1e-5 * (1 + check_max_f32(dwant, in)));
    float *all[] = {src, weight, bias, scale, shift, res, want, got, first, dwant, dgot};
    for (int k = 0; k < 11; k++) ot_free(all[k]);
    PASS();
}

static void all_convolutions(void)
{
    static const event_case cases[] = {
        {{16, 5, 6}, 16, 3, 1, 1, 6, 3, 0, 0.1, 0},    {{17, 6, 5}, 33, 3, 2, 1, 4, 2, 1, 0.05, 0},   {{5, 7, 7}, 64, 5, 1, 2, 3, 2, 0, 0.15, 1},
        {{40, 4, 4}, 100, 1, 1, 0, 5, 2, 1, 0.1, 1},   {{64, 8, 8}, 64, 3, 1, 1, 25, 2, 0, 0.04, 0},  {{32, 6, 7}, 48, 3, 1, 1, 16, 3, 1, 0.3, 0},
        {{32, 9, 9}, 32, 3, 2, 0, 1, 4, 0, 0.2, 0},    {{16, 3, 3}, 16, 3, 1, 2, 7, 2, 0, 0.0, 0},    {{256, 4, 4}, 80, 3, 1, 1, 20, 2, 0, 0.08, 1},
        {{3, 8, 8}, 16, 3, 1, 1, 6, 2, 0, 0.3, 0},     {{20, 2, 9}, 24, 2, 3, 0, 6, 2, 0, 0.2, 0},    {{16, 6, 6}, 3, 3, 1, 1, 6, 2, 0, 0.2, 0},
        {{48, 5, 5}, 16, 5, 1, 0, 6, 2, 1, 0.02, 0},
    };
    char suffix[80];
    for (int use = OT_PLAN_FORWARD; use <= OT_PLAN_TUNE; use++)
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            const event_case *c = &cases[k];
            snprintf(suffix, sizeof suffix, "%d_%s_%dx%dx%d_to_%d_k%d_s%d_T%d", (int)k, use ? "tune" : "forward", c->in.c, c->in.h, c->in.w, c->c, c->k, c->stride, c->T);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(convolutions_of_spikes_agree_with_ref, c, use);
        }
}

/* --- whole networks: everything at once, in numbers that floats hold exactly --- */

enum { E_CLASSES = 5, E_LAYERS = 7, E_IMAGES = 11 };

static float *dyadic(check_rng *r, size_t n, int most, float step)
{
    float *p = ot_alloc(n, sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = (float)((int)(check_uniform(r) * (2 * most + 1)) - most) * step;
    return p;
}

static int dyadic_crossbar(ot_network *net, check_rng *r, int in, int c, int k, int stride, int pad, const char *name)
{
    const ot_layer *from = ot_network_layer(net, in);
    ot_layer l = {.op = k ? OT_OP_CONV : OT_OP_DENSE, .name = name, .in = {in, -1}, .c = c, .groups = 1, .kh = k, .kw = k, .sh = stride, .sw = stride, .pt = pad, .pl = pad, .pb = pad, .pr = pad};
    int      i = -1;
    l.weight = dyadic(r, (size_t)(c * from->c * (k ? k * k : 1)), 8, 1.0f / 32);
    l.bias = dyadic(r, (size_t)c, 4, 1.0f / 16);
    if (ot_network_add(net, &l, &i) != OT_OK) printf("\n%s\n", ot_last_error());
    ot_free(l.weight);
    ot_free(l.bias);
    return i;
}

static int dyadic_norm(ot_network *net, check_rng *r, int in, const char *name)
{
    size_t   c = (size_t)ot_network_layer(net, in)->c;
    ot_layer l = {.op = OT_OP_BATCH_NORM, .name = name, .in = {in, -1}, .gamma = dyadic(r, c, 1, 0.5f), .beta = dyadic(r, c, 4, 0.125f), .mean = dyadic(r, c, 2, 0.125f), .var = ot_alloc(c, 4)};
    int      i = -1;
    for (size_t k = 0; k < c; k++) l.var[k] = 1, l.gamma[k] += 1;
    if (ot_network_add(net, &l, &i) != OT_OK) printf("\n%s\n", ot_last_error());
    ot_free(l.gamma);
    ot_free(l.beta);
    ot_free(l.mean);
    ot_free(l.var);
    return i;
}

/* Batch norm, all three resets, a leak, both pools, spikes added to spikes, a still picture through a pool, one tensor with three readers. */
static ot_network *everything(ot_coding coding)
{
    check_rng   r = {11};
    ot_network *net;
    if (ot_network_new(&net, "everything", 2, 12, 10) != OT_OK) return NULL;
    int x = net_pool(net, 0, OT_OP_AVG_POOL, 2, 1, 0);
    x = net_spike(net, dyadic_norm(net, &r, dyadic_crossbar(net, &r, x, 6, 3, 1, 1, "conv1"), "norm1"), 0.75f, 1, OT_RESET_SUBTRACT, 0);
    int a = net_spike(net, dyadic_crossbar(net, &r, x, 17, 3, 1, 1, "conv2"), 0.5f, 0.5f, OT_RESET_ZERO, 0);
    int b = net_spike(net, dyadic_crossbar(net, &r, x, 17, 1, 1, 0, "conv3"), 0.5f, 1, OT_RESET_FIXED, 0.25f);
    int s = net_add(net, a, b);
    int p = net_pool(net, s, OT_OP_MAX_POOL, 2, 2, 0);
    int q = net_spike(net, net_add(net, dyadic_norm(net, &r, dyadic_crossbar(net, &r, p, 17, 3, 1, 1, "conv4"), "norm4"), p), 1.0f, 1, OT_RESET_SUBTRACT, 0);
    int v = net_pool(net, q, OT_OP_AVG_POOL, 2, 2, 0);
    int f = net_spike(net, dyadic_crossbar(net, &r, net_flatten(net, v), 24, 0, 1, 0, "dense1"), 0.25f, 0.5f, OT_RESET_SUBTRACT, 0);
    int m = net_spike(net, f, 0.5f, 1, OT_RESET_ZERO, 0);             /* spikes straight into neurons */
    net_spike(net, dyadic_crossbar(net, &r, m, E_CLASSES, 0, 1, 0, "dense2"), 0.375f, 1, OT_RESET_SUBTRACT, 0);
    if (ot_network_set_spiking(net, &(ot_spiking){.steps = 5, .coding = coding, .seed = 77}) != OT_OK) return NULL;
    return net;
}

/* Pictures in sixteenths of 0..1. */
static ot_data *pictures(const ot_network *net, int n)
{
    ot_data *d = net_data(net, 5, n, 0);
    size_t   all = (size_t)(n * d->c * d->h * d->w);
    for (size_t i = 0; i < all; i++) d->values[i] = (float)((int)(fabs((double)d->values[i]) * 8) % 17) / 16;
    return d;
}

typedef struct answers { float counts[E_IMAGES * E_CLASSES], rates[E_IMAGES * E_LAYERS]; double loss, grad[E_LAYERS], offset[E_LAYERS]; int64_t correct; } answers;

static ot_status answer(answers *a, const char *backend, const ot_network *net, const ot_data *data, const uint32_t *index, ot_plan_options opt)
{
    ot_backend *be;
    ot_plan    *plan = NULL;
    memset(a, 0xff, sizeof *a);
    opt.use = OT_PLAN_TUNE;
    OT_TRY(ot_backend_open(&be, backend, NULL));
    ot_status st = ot_plan_open(&plan, be, net, &opt);
    if (st == OT_OK) st = ot_plan_forward(plan, data, index, E_IMAGES, a->counts, a->rates);
    if (st == OT_OK) st = ot_plan_gradient(plan, data, index, E_IMAGES, &a->loss, a->grad, a->offset);
    if (st == OT_OK) st = ot_plan_count(plan, data, index, E_IMAGES, &a->correct, NULL);
    ot_plan_free(plan);
    ot_backend_close(be);
    return st;
}

TEST backends_agree_on_everything_at_once(const char *backend, int rate, int surrogate, int loss)
{
    ot_network *net = everything(rate ? OT_CODING_RATE : OT_CODING_DIRECT);
    ot_data    *data = pictures(net, E_IMAGES);
    ot_plan_options opt = {.tile = 4, .surrogate = (ot_surrogate)surrogate, .spike_loss = loss ? OT_SPIKE_LOSS_RATE : OT_SPIKE_LOSS_COUNT};
    answers     want, got;
    OK(answer(&want, "ref", net, data, NULL, opt));
    OK(answer(&got, backend, net, data, NULL, opt));
    ASSERT_MEM_EQ(want.counts, got.counts, sizeof want.counts);      /* numbers of few bits: exact in either */
    CHECK_CLOSE(want.rates, got.rates, E_IMAGES * E_LAYERS, 1e-7);
    for (int l = 0; l < E_LAYERS; l++) {                             /* every layer takes part */
        double mean = 0;
        for (int i = 0; i < E_IMAGES; i++) mean += (double)want.rates[i * E_LAYERS + l] / E_IMAGES;
        if (!(mean > 0.01 && mean < 0.99)) printf("\nlayer %d: rate %g\n", l, mean);
        ASSERT(mean > 0.01 && mean < 0.99);
        if (surrogate != OT_SURROGATE_BOXCAR) ASSERT(fabs(want.grad[l]) > 0);
    }
    const double most = check_max_f64(want.grad, E_LAYERS);          /* floats through nine layers; halves: terms of 0.1 and more cancel in these sums */
    CHECK_CLOSE64(want.grad, got.grad, E_LAYERS, strstr(backend, "fp16") ? 5e-3 * most + 5e-4 : 2e-5 * most);
    CHECK_CLOSE64(&want.loss, &got.loss, 1, 0);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

TEST answers_depend_on_the_images_alone(const char *backend, int rate)
{
    ot_network *net = everything(rate ? OT_CODING_RATE : OT_CODING_DIRECT);
    ot_data    *data = pictures(net, E_IMAGES);
    uint32_t    order[E_IMAGES];
    answers     want, got;
    for (int i = 0; i < E_IMAGES; i++) order[i] = (uint32_t)((i * 7 + 3) % E_IMAGES);
    OK(answer(&want, backend, net, data, NULL, (ot_plan_options){.tile = 4}));
    for (int tile = 1; tile <= 16; tile *= 4) {
        OK(answer(&got, backend, net, data, NULL, (ot_plan_options){.tile = tile}));
        ASSERT_MEM_EQ(want.counts, got.counts, sizeof want.counts);
        ASSERT_MEM_EQ(want.rates, got.rates, sizeof want.rates);
        ASSERT_EQ(want.correct, got.correct);
        CHECK_CLOSE64(want.grad, got.grad, E_LAYERS, 1e-5 * check_max_f64(want.grad, E_LAYERS));   /* other tiles, other sums */
        OK(answer(&got, backend, net, data, order, (ot_plan_options){.tile = tile}));
        for (int i = 0; i < E_IMAGES; i++) {
            ASSERT_MEM_EQ(want.counts + order[i] * E_CLASSES, got.counts + i * E_CLASSES, E_CLASSES * sizeof(float));
            ASSERT_MEM_EQ(want.rates + order[i] * E_LAYERS, got.rates + i * E_LAYERS, E_LAYERS * sizeof(float));
        }
    }
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

typedef struct job { answers a; const ot_network *net; const ot_data *data; ot_status st; } job;

static void *work(void *p)
{
    job *j = p;
    j->st = answer(&j->a, "cpu", j->net, j->data, NULL, (ot_plan_options){.tile = 4});
    return NULL;
}

TEST threads_change_nothing(void)
{
    ot_network *net = everything(OT_CODING_RATE);
    ot_data    *data = pictures(net, E_IMAGES);
    pthread_t   thread[4];
    job         jobs[5];
    for (int i = 0; i < 5; i++) jobs[i] = (job){.net = net, .data = data};
    work(&jobs[4]);
    for (int i = 0; i < 4; i++) ASSERT_EQ(0, pthread_create(&thread[i], NULL, work, &jobs[i]));
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < 4; i++) {
        ASSERT_EQ(OT_OK, jobs[i].st);
        ASSERT_MEM_EQ(&jobs[4].a, &jobs[i].a, sizeof jobs[i].a);
    }
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- input --- */

/* One neuron a pixel that fires whenever its input does: counts are the input spikes. */
static ot_network *mirror(int c, int h, int w, int steps, ot_coding coding, uint64_t seed)
{
    ot_network *net;
    if (ot_network_new(&net, "mirror", c, h, w) != OT_OK) return NULL;
    net_spike(net, net_flatten(net, 0), 0.5f, 1, OT_RESET_ZERO, 0);
    return ot_network_set_spiking(net, &(ot_spiking){steps, coding, seed}) == OT_OK ? net : NULL;
}

TEST input_spikes_are_philox_by_image_step_and_pixel(const char *backend)
{
    enum { SIDE = 6, PIXELS = 2 * SIDE * SIDE, T = 50, IMAGES = 3 };
    const uint64_t seed = 0x1234567890abcdefu;
    ot_network *net = mirror(2, SIDE, SIDE, T, OT_CODING_RATE, seed);
    float       x[IMAGES * PIXELS], counts[IMAGES * PIXELS], want[IMAGES * PIXELS] = {0};
    int32_t     labels[IMAGES] = {0};
    ot_data     data = {.name = (char *)"grey", .n = IMAGES, .c = 2, .h = SIDE, .w = SIDE, .classes = PIXELS, .values = x, .labels = labels};
    uint32_t    index[IMAGES] = {2, 0, 1};
    ot_backend *be;
    ot_plan    *plan;
    double      far = 0;
    for (int i = 0; i < IMAGES * PIXELS; i++) x[i] = (float)(i % 17) / 16;
    for (uint32_t i = 0; i < IMAGES; i++)
        for (uint32_t t = 0; t < T; t++)
            for (uint32_t p = 0; p < PIXELS; p++) {
                uint32_t word[4];
                ot_philox(&word[0], &word[1], &word[2], &word[3], seed, p / 4, t, i, OT_PURPOSE_SPIKES);
                want[i * PIXELS + p] += (double)(word[p % 4] >> 8) / 16777216 < (double)x[i * PIXELS + p];
            }
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 2}));
    OK(ot_plan_forward(plan, &data, index, IMAGES, counts, NULL));
    for (int i = 0; i < IMAGES; i++) ASSERT_MEM_EQ(want + index[i] * PIXELS, counts + i * PIXELS, PIXELS * sizeof(float));
    for (int i = 0; i < IMAGES * PIXELS; i++) {
        double p = (double)x[i], z = ((double)want[i] - T * p) / sqrt(T * p * (1 - p) + 1e-9);
        far = fmax(far, fabs(z));                                    /* 0 and 1: never and always */
    }
    ASSERT(far < 4.5);                                               /* of 216 binomials: one in 700 of such sets is beyond */
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

TEST bad_pictures_are_refused(const char *backend)
{
    static const struct { float x; ot_coding coding; const char *words; } rows[] = {
        {-0.25f, OT_CODING_RATE, "image 1, number 3 = -0.25: rate coding wants 0..1"},
        {1.5f, OT_CODING_RATE, "image 1, number 3 = 1.5: rate coding wants 0..1"},
        {NAN, OT_CODING_RATE, "image 1, number 3 = nan: rate coding wants 0..1"},
        {NAN, OT_CODING_DIRECT, "image 1, number 3 = nan, want a finite one"},
        {-INFINITY, OT_CODING_DIRECT, "image 1, number 3 = -inf, want a finite one"},
        {-7, OT_CODING_DIRECT, NULL},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        ot_network *net = mirror(1, 2, 2, 3, rows[k].coding, 1);
        float       x[8] = {0, 1, 0.5f, 1, 0, 1, 1, rows[k].x}, counts[8];
        int32_t     labels[2] = {0};
        ot_data     data = {.name = (char *)"odd", .n = 2, .c = 1, .h = 2, .w = 2, .classes = 4, .values = x, .labels = labels};
        ot_backend *be;
        ot_plan    *plan;
        OK(ot_backend_open(&be, backend, NULL));
        OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = 2}));
        if (rows[k].words) FAILS(OT_E_DATA, rows[k].words, ot_plan_forward(plan, &data, NULL, 2, counts, NULL));
        else OK(ot_plan_forward(plan, &data, NULL, 2, counts, NULL));
        OK(ot_plan_forward(plan, &data, NULL, 1, counts, NULL));     /* the other image is good, and the plan too */
        ot_plan_free(plan);
        ot_backend_close(be);
        ot_network_free(net);
    }
    PASS();
}

static ot_status give_ones(void *user, const float *counts, int n, float *g)
{
    (void)user, (void)counts;
    for (int i = 0; i < n * E_CLASSES; i++) g[i] = 1;
    return OT_OK;
}

/* Derivatives to a still picture: those of its current at every step, added up. */
TEST gradients_reach_a_still_picture(const char *backend)
{
    ot_network *net = everything(OT_CODING_DIRECT);
    ot_data    *data = pictures(net, 3);
    size_t      pixels = (size_t)(3 * data->c * data->h * data->w);
    float      *grad[2] = {ot_alloc(pixels, 4), ot_alloc(pixels, 4)}, ones[3 * E_CLASSES];
    double      sum = 0;
    for (int k = 0; k < 2; k++) {
        ot_backend *be;
        ot_plan    *plan;
        check_poison(grad[k], pixels);
        OK(ot_backend_open(&be, k ? backend : "ref", NULL));
        OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = 3, .input_gradient = 1}));

        OK(ot_plan_input_gradient(plan, data->values, 3, give_ones, ones, grad[k]));
        ot_plan_free(plan);
        ot_backend_close(be);
    }
    for (size_t i = 0; i < pixels; i++) sum += fabs((double)grad[0][i]);
    ASSERT(sum > 0);
    CHECK_CLOSE(grad[0], grad[1], pixels, (strstr(backend, "fp16") ? 5e-3 : 2e-5) * check_max_f32(grad[0], pixels));
    ot_free(grad[0]);
    ot_free(grad[1]);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- knobs, moments --- */

static ot_status note_currents(void *user, int layer, double mean, double sd, float *gain, float *offset)
{
    double *seen = user;
    seen[2 * layer] = mean;
    seen[2 * layer + 1] = sd;
    if (layer == 1) *gain = 1.25f;
    return *offset == 0 ? OT_OK : OT_E_BUG;
}

TEST closed_forms_see_currents_and_set_thresholds(const char *backend)
{
    ot_network *net = everything(OT_CODING_DIRECT);
    ot_data    *data = pictures(net, E_IMAGES);
    double      seen[2 * E_LAYERS], again[2 * E_LAYERS];
    float       gain[E_LAYERS], offset[E_LAYERS] = {0}, want[E_IMAGES * E_CLASSES], got[E_IMAGES * E_CLASSES];
    ot_backend *be;
    ot_plan    *plan;
    ASSERT_EQ(E_LAYERS, ot_network_knobs(net));
    for (int l = 0; l < E_LAYERS; l++) gain[l] = 1;
    ASSERT(ot_network_spike(net, 0)->threshold == 0.75f && ot_network_spike(net, 1)->threshold == 0.5f);
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &(ot_plan_options){.tile = E_IMAGES}));
    OK(ot_plan_moments(plan, data, NULL, E_IMAGES, note_currents, seen));
    OK(ot_plan_forward(plan, data, NULL, E_IMAGES, want, NULL));     /* it holds what fn set */
    gain[1] = 1.25f;                                                 /* of 0.5 */
    OK(ot_plan_set_knobs(plan, gain, NULL));
    OK(ot_plan_forward(plan, data, NULL, E_IMAGES, got, NULL));
    ASSERT_MEM_EQ(want, got, sizeof want);
    OK(ot_plan_moments(plan, data, NULL, E_IMAGES, note_currents, again));
    ASSERT_MEM_EQ(seen, again, sizeof seen);
    for (int l = 0; l < E_LAYERS; l++) ASSERT(isfinite(seen[2 * l]) && seen[2 * l + 1] > 0);
    gain[2] = 0;
    FAILS(OT_E_RANGE, "gain of spiking layer 2 = 0, want a finite number of at least 1/64", ot_plan_set_knobs(plan, gain, NULL));
    gain[2] = NAN;
    FAILS(OT_E_RANGE, "gain of spiking layer 2 = nan", ot_plan_set_knobs(plan, gain, NULL));
    offset[4] = 0.5f;
    FAILS(OT_E_RANGE, "offset of spiking layer 4 = 0.5, want 0", ot_plan_set_knobs(plan, NULL, offset));
    OK(ot_plan_forward(plan, data, NULL, E_IMAGES, got, NULL));      /* what was refused was not taken */
    ASSERT_MEM_EQ(want, got, sizeof want);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* Chips of a spiking network, alone and in a fleet: the same counts, each with its own thresholds. */
TEST a_fleet_gives_each_chip_its_own_answers(const char *backend)
{
    enum { CHIPS = 3, FEW = 4 };
    ot_network     *net = everything(OT_CODING_RATE);
    ot_data        *data = pictures(net, FEW);
    ot_device       dev;
    ot_variation    var = {.sigma = 0.048, .sys_share = 0.5, .bits = 6, .seed = 3};
    uint32_t        numbers[CHIPS] = {4, 0, 9};
    float           gain[CHIPS * E_LAYERS], counts[CHIPS * FEW * E_CLASSES], rates[CHIPS * FEW * E_LAYERS], one[FEW * E_CLASSES], rate[FEW * E_LAYERS];
    ot_plan_options opt = {.tile = 3};
    ot_backend     *be;
    ot_fleet       *fleet;
    ot_plan        *plan;
    OK(ot_device_open(&dev, "r1"));
    for (int k = 0; k < CHIPS; k++) {
        for (int l = 0; l < E_LAYERS; l++) gain[k * E_LAYERS + l] = 1;
        gain[k * E_LAYERS + k] += 0.125f;
    }
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    opt.chips = CHIPS;
    OK(ot_fleet_open(&fleet, be, net, &dev, &var, &opt));
    OK(ot_fleet_draw(fleet, numbers, CHIPS));
    for (int tuned = 0; tuned < 2; tuned++) {
        OK(ot_fleet_set_knobs(fleet, tuned ? gain : NULL, NULL));
        OK(ot_fleet_forward(fleet, data, NULL, FEW, counts, rates));
        for (int k = 0; k < CHIPS; k++) {
            ot_chip *chip;
            OK(ot_chip_draw(&chip, net, &dev, &var, numbers[k]));
            OK(ot_plan_load(plan, chip));
            OK(ot_plan_set_knobs(plan, tuned ? gain + k * E_LAYERS : NULL, NULL));
            OK(ot_plan_forward(plan, data, NULL, FEW, one, rate));
            ASSERT_MEM_EQ(one, counts + k * FEW * E_CLASSES, sizeof one);
            ASSERT_MEM_EQ(rate, rates + k * FEW * E_LAYERS, sizeof rate);
            ot_chip_free(chip);
        }
    }
    gain[E_LAYERS] = -1;
    FAILS(OT_E_RANGE, "chip 0: gain of spiking layer 0 = -1", ot_fleet_set_knobs(fleet, gain, NULL));
    ot_fleet_free(fleet);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- memory --- */

TEST memory_planned_is_memory_taken_and_no_more(const char *backend)
{
    ot_network *net = everything(OT_CODING_RATE);
    ot_data    *data = pictures(net, E_IMAGES);
    for (int use = OT_PLAN_FORWARD; use <= OT_PLAN_TUNE; use++) {
        ot_plan_options opt = {.use = (ot_plan_use)use, .tile = 3};
        ot_backend     *be;
        ot_plan        *plan;
        size_t          planned;
        float           counts[E_IMAGES * E_CLASSES], rates[E_IMAGES * E_LAYERS];
        double          loss, a[E_LAYERS], b[E_LAYERS];
        OK(ot_backend_open(&be, backend, NULL));
        size_t before = ot_memory_now().live_bytes;
        OK(ot_plan_measure(&planned, be, net, &opt));
        OK(ot_plan_open(&plan, be, net, &opt));
        ASSERT_EQ(planned, ot_plan_bytes(plan));
        ASSERT_EQ(planned, ot_memory_now().live_bytes - before);
        size_t calls = ot_memory_now().calls;
        OK(ot_plan_forward(plan, data, NULL, E_IMAGES, counts, rates));
        if (use == OT_PLAN_TUNE) OK(ot_plan_gradient(plan, data, NULL, E_IMAGES, &loss, a, b));
        ASSERT_EQ(calls, ot_memory_now().calls);
        ot_plan_free(plan);
        ot_backend_close(be);
    }
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* Spikes are not kept for backward, currents are: a chain of layers takes one tensor a layer and a few to spare. */
TEST tuning_keeps_currents_alone(void)
{
    enum { DEPTH = 12, T = 8, TILE = 4 };
    check_rng   r = {3};
    ot_network *net;
    ot_backend *be;
    size_t      bytes, one = (size_t)TILE * T * 4 * 16 * 16 * sizeof(double);
    OK(ot_network_new(&net, "chain", 4, 16, 16));
    int x = 0;
    for (int i = 0; i < DEPTH; i++) x = net_spike(net, net_conv(net, &r, x, 4, 3, 1, 1, 1, 0), 1, 1, OT_RESET_SUBTRACT, 0);
    OK(ot_network_set_spiking(net, &(ot_spiking){.steps = T}));
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_plan_measure(&bytes, be, net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = TILE}));
    ASSERT(bytes < (DEPTH + 3) * one);
    OK(ot_plan_measure(&bytes, be, net, &(ot_plan_options){.use = OT_PLAN_FORWARD, .tile = TILE}));
    ASSERT(bytes < 4 * one);
    ot_backend_close(be);
    ot_network_free(net);
    PASS();
}

TEST every_failing_allocation_is_survived(const char *backend)
{
    ot_network *net = everything(OT_CODING_DIRECT);
    size_t      live = ot_memory_now().live, n;
    for (n = 1;; n++) {
        ot_backend *be = NULL;
        ot_plan    *plan = NULL;
        ot_network *copy = NULL;
        ot_memory_fail_at(n);
        ot_status st = ot_network_copy(&copy, net);
        if (st == OT_OK) st = ot_backend_open(&be, backend, NULL);
        if (st == OT_OK) st = ot_plan_open(&plan, be, copy, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = 2});
        ot_memory_fail_at(0);
        ot_plan_free(plan);
        ot_backend_close(be);
        ot_network_free(copy);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) break;
        ASSERT_EQ_FMT((int)OT_E_NOMEM, (int)st, "%d");
    }
    ASSERT(n > 50);
    ot_network_free(net);
    PASS();
}

/* --- files --- */

static const char *scratch(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    return path;
}

TEST spiking_networks_read_back_as_written(int rate)
{
    ot_network *net = everything(rate ? OT_CODING_RATE : OT_CODING_DIRECT), *back, *tuned;
    float       knobs[2][E_LAYERS];
    ot_data    *data = pictures(net, E_IMAGES);
    answers     want, got;
    OK(ot_network_save(net, scratch("spikes.onnx"), NULL, NULL));
    OK(ot_network_open(&back, scratch("spikes.onnx")));
    ASSERT_EQ(NULL, ot_network_warning(back, 0) ? strstr(ot_network_warning(back, 0), "steps") : NULL);
    ASSERT_EQ(E_LAYERS, ot_network_spikes(back));
    ASSERT_EQ(0, ot_network_relus(back));
    const ot_spiking *a = ot_network_spiking(net), *b = ot_network_spiking(back);
    ASSERT(a->steps == b->steps && a->coding == b->coding && b->seed == (rate ? a->seed : 0));
    for (int l = 0; l < E_LAYERS; l++) {
        const ot_layer *p = ot_network_spike(net, l), *q = ot_network_spike(back, l);
        ASSERT(p->threshold == q->threshold && p->leak == q->leak && p->reset == q->reset && p->u_rst == q->u_rst);
    }
    OK(answer(&want, "cpu", net, data, NULL, (ot_plan_options){.tile = 4}));
    OK(answer(&got, "cpu", back, data, NULL, (ot_plan_options){.tile = 4}));
    ASSERT_MEM_EQ(&want, &got, sizeof want);
    for (int l = 0; l < E_LAYERS; l++) knobs[0][l] = 1, knobs[1][l] = 0;
    knobs[0][3] = 0.8125f / ot_network_spike(net, 3)->threshold;
    OK(ot_network_save(net, scratch("tuned.onnx"), knobs[0], knobs[1]));
    OK(ot_network_open(&tuned, scratch("tuned.onnx")));
    ASSERT(ot_network_spike(tuned, 3)->threshold == 0.8125f && ot_network_spike(tuned, 2)->threshold == 0.5f);
    ot_network_free(tuned);
    ot_network_free(back);
    ot_network_free(net);
    ot_data_free(data);
    PASS();
}

/* What does not depend on the backend, or is cpu's alone. */
static void elsewhere(void)
{
    RUN_TEST(adam_of_the_tuner_follows_it_too);
    all_convolutions();
    RUN_TEST(threads_change_nothing);
    RUN_TEST(tuning_keeps_currents_alone);
    greatest_set_test_suffix("direct");
    RUN_TESTp(spiking_networks_read_back_as_written, 0);
    greatest_set_test_suffix("rate_coding");
    RUN_TESTp(spiking_networks_read_back_as_written, 1);
}

static void goldens(const char *backend)
{
    char suffix[80];
    for (int random = 0; random < 2; random++) {
        static const int tiles[] = {1, 5, 16};
        for (int t = 0; t < 3; t++) {
            snprintf(suffix, sizeof suffix, "%s_%s_tile_%d", backend, random ? "random" : "nominal", tiles[t]);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(counts_are_the_golden_ones, backend, random, tiles[t]);
        }
        for (int k = 0; k < 4; k++) {
            snprintf(suffix, sizeof suffix, "%s_%s_%s_%s", backend, random ? "random" : "nominal", k & 1 ? "fast_sigmoid" : "atan", k & 2 ? "rate" : "count");
            greatest_set_test_suffix(suffix);
            RUN_TESTp(gradients_are_the_golden_ones, backend, random, k & 1, k >> 1, tiles[(k + random) % 3]);
        }
    }
    for (int fast = 0; fast < 2; fast++) {
        snprintf(suffix, sizeof suffix, "%s_%s", backend, fast ? "fast_sigmoid" : "atan");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(adam_follows_the_golden_trajectory, backend, fast);
    }
}

static void everything_on(const char *backend)
{
    char suffix[80];
    for (int k = 0; k < 12 && strcmp(backend, "ref"); k += every(backend)) {
        snprintf(suffix, sizeof suffix, "%s_%s_surrogate_%d_%s", backend, k & 1 ? "rate_coding" : "direct", k >> 2, k & 2 ? "rate_loss" : "count_loss");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(backends_agree_on_everything_at_once, backend, k & 1, k >> 2, k >> 1 & 1);
    }
    for (int rate = 0; rate < 2; rate += every(backend)) {
        snprintf(suffix, sizeof suffix, "%s_%s", backend, rate ? "rate_coding" : "direct");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(answers_depend_on_the_images_alone, backend, rate);
    }
    greatest_set_test_suffix(backend);
    if (strcmp(backend, "ref")) RUN_TESTp(gradients_reach_a_still_picture, backend);
    greatest_set_test_suffix(backend);
    if (strcmp(backend, "ref")) RUN_TESTp(a_fleet_gives_each_chip_its_own_answers, backend);
    greatest_set_test_suffix(backend);
    RUN_TESTp(single_neurons_are_the_golden_ones, backend);
    greatest_set_test_suffix(backend);
    RUN_TESTp(input_spikes_are_philox_by_image_step_and_pixel, backend);
    greatest_set_test_suffix(backend);
    RUN_TESTp(bad_pictures_are_refused, backend);
    greatest_set_test_suffix(backend);
    RUN_TESTp(closed_forms_see_currents_and_set_thresholds, backend);
    greatest_set_test_suffix(backend);
    if (strncmp(backend, "cuda", 4)) RUN_TESTp(memory_planned_is_memory_taken_and_no_more, backend);      /* cuda: simt/test_neurons.c */
    greatest_set_test_suffix(backend);
    RUN_TESTp(every_failing_allocation_is_survived, backend);
}

SUITE(test_spike)
{
    all_scans();
    for (size_t b = 0; b < sizeof names / sizeof *names; b++) {
        ot_backend *be;
        if (ot_backend_open(&be, names[b], NULL) != OT_OK) continue;
        ot_backend_close(be);
        if (!strchr(names[b], ':')) goldens(names[b]);               /* in halves spikes turn */
        everything_on(names[b]);
    }
    if (!strcmp(names[0], "ref")) elsewhere();
}

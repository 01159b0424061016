/* test_spike.c - spiking networks: golden spikes, gradients and Adam steps of PyTorch in double; the scan against a naive loop; input
 * spikes; memory; files; bad input. */
#include "backend/backend.h"
#include "base/fail.h"
#include "kernels/adam.h"
#include "kernels/if.h"
#include "kernels/philox.h"
#include "nets.h"

#include <math.h>
#include <pthread.h>
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
    return st == OT_OK && ot_plan_knobs(g->plan) == L && ot_plan_relus(g->plan) == 0;
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
    /* ref: thresholds are floats (6e-8), so are derivatives of the loss; float32: the manifest's */
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
        /* ref: thresholds reach it as floats, 6e-8, which Adam passes on; a spike may flip in float32 (least_margin_adam 1.4e-6) */
        CHECK_CLOSE64((const double *)thresholds.data + s * L, th, L, g.exact ? 1e-6 : 1e-3);
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

/* --- single neurons --- */

enum { UNITS = 11 };

TEST single_neurons_are_the_golden_ones(void)
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
    for (int b = 0; net_backend(b); b++)
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
                OK(ot_backend_open(&be, net_backend(b), NULL));
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

enum { GUARD = 16 };

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
    double m[64], R[65] = {0}, back[65] = {0}, th = (double)c->threshold;
    for (int t = 0; t < c->T; t++) {
        double I = (double)current[(size_t)t * in], before = t ? m[t - 1] : 0;
        switch (c->reset) {
        case OT_RESET_SUBTRACT: m[t] = (double)c->leak * before + I - R[t] * th; break;
        case OT_RESET_FIXED: m[t] = (double)c->leak * before + I - R[t] * (double)c->u_rst; break;
        default: m[t] = (double)c->leak * before * (1 - R[t]) + I;
        }
        spikes[t] = R[t + 1] = m[t] > th ? 1 : 0;
    }
    for (int t = c->T - 1; t >= 0; t--) {
        double z = m[t] - th, k = c->sharpness, sg;
        if (c->surrogate == OT_SURROGATE_ATAN) sg = k / 2 / (1 + pow(M_PI / 2 * k * z, 2));
        else if (c->surrogate == OT_SURROGATE_FAST_SIGMOID) sg = 1 / pow(1 + k * fabs(z), 2);
        else sg = fabs(z) < 1 / (2 * k) ? k : 0;
        double kt = (double)g[(size_t)t * out] * sg;
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

static ot_status run_scan(const ot_backend_i *i, const scan_case *c, const float *current, float *g, float *spikes, float *tap, float *dcurrent, double *dthreshold)
{
    size_t   frames_in = (size_t)c->images * (size_t)(c->still ? 1 : c->T), op_bytes, scratch_bytes, tile = (size_t)(c->images + 1) * (size_t)c->T;
    ot_layer l = {.op = OT_OP_SPIKE, .name = "scan", .c = c->s.c, .h = c->s.h, .w = c->s.w, .in_c = c->s.c, .crossbar = -1, .relu = -1, .threshold = 9, .leak = c->leak, .reset = c->reset, .u_rst = c->u_rst};
    ot_step  s = {.kind = OT_STEP_SPIKE, .layer = &l, .in = c->s, .out = c->s, .src = 0, .dst = 1, .res = -1, .steps = c->T, .still = c->still};
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = c->images + 1, .surrogate = c->surrogate, .sharpness = c->sharpness};
    void    *ctx, *op, *mem[5] = {NULL};
    OT_TRY(i->open(&ctx, ""));
    OT_TRY(i->step_open(ctx, &op, &s, (int)tile, &opt, &op_bytes, &scratch_bytes));
    size_t   bytes = i->tensor_bytes(ctx, c->s, (int)tile);
    for (int k = 0; k < 5; k++) {                                    /* src, dst, g, dsrc, scratch: NaN, and guards behind */
        size_t n = k == 4 ? scratch_bytes : bytes;
        OT_TRY(i->alloc(ctx, &mem[k], n + GUARD));
        memset(mem[k], 0xff, n);
        memset((char *)mem[k] + n, 0x5a, GUARD);
    }
    ot_step_run  run = {.n = c->images * c->T, .gain = c->threshold, .tap = tap};
    double       none = NAN;
    ot_step_back back = {.n = c->images * c->T, .gain = c->threshold, .add_src = c->add, .grad_gain = dthreshold, .grad_offset = &none};
    OT_TRY(i->step_load(ctx, op, NULL, NULL, NULL, NULL));
    OT_TRY(i->put(ctx, mem[0], c->s, (int)frames_in, current));
    OT_TRY(i->forward(ctx, op, mem[0], NULL, mem[1], mem[4], &run));
    OT_TRY(i->get(ctx, spikes, c->s, c->images * c->T, mem[1]));
    memset(mem[4], 0xff, scratch_bytes);
    OT_TRY(i->put(ctx, mem[2], c->s, c->images * c->T, g));
    if (c->add) OT_TRY(i->put(ctx, mem[3], c->s, (int)frames_in, dcurrent));
    OT_TRY(i->backward(ctx, op, mem[0], mem[1], mem[2], mem[3], NULL, mem[4], &back));
    OT_TRY(i->get(ctx, dcurrent, c->s, (int)frames_in, mem[3]));
    int whole = none == 0;
    for (int k = 0; k < 5; k++) {
        for (int b = 0; b < GUARD; b++) whole = whole && ((char *)mem[k])[(k == 4 ? scratch_bytes : bytes) + (size_t)b] == 0x5a;
        i->free(ctx, mem[k]);
    }
    i->step_close(ctx, op);
    i->close(ctx);
    return whole ? OT_OK : OT_E_BUG;
}

TEST scans_agree_with_a_naive_loop(const ot_backend_i *i, const scan_case *c)
{
    check_rng r = {(uint64_t)(c->T * 100 + c->s.c)};
    size_t    size = (size_t)c->s.c * (size_t)c->s.h * (size_t)c->s.w, T = (size_t)c->T, out = size * T * (size_t)c->images, in = c->still ? size * (size_t)c->images : out;
    float    *current = ot_alloc(in, 4), *g = ot_alloc(out, 4), *spikes = ot_alloc(out, 4), *dcurrent = ot_alloc(in, 4), *tap = ot_alloc((size_t)c->images, 4);
    double   *want = ot_alloc(out, 8), *dwant = ot_alloc(in, 8), one[64], dthreshold = 0, got = NAN, *rate = ot_alloc((size_t)c->images, 8);
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
    OK(run_scan(i, c, current, g, spikes, tap, dcurrent, &got));
    for (size_t e = 0; e < out; e++) ASSERT_EQ_FMT(want[e], (double)spikes[e], "%g");
    for (int k = 0; k < c->images; k++) ASSERT(fabs((double)tap[k] - rate[k]) < 1e-7);          /* a float */
    double *dgot = ot_alloc(in, 8);
    for (size_t e = 0; e < in; e++) dgot[e] = (double)dcurrent[e];
    /* sums of T products of size sharpness; a float's 6e-8 each, and as often in the sum of the threshold's */
    double most = check_max_f64(dwant, in) + 1, tol = 3e-7 * (double)T * most;
    CHECK_CLOSE64(dwant, dgot, in, tol);
    CHECK_CLOSE64(&dthreshold, &got, 1, 1e-6 * most * sqrt((double)out) * (double)T);
    void *all[] = {current, g, spikes, dcurrent, tap, want, dwant, rate, dgot};
    for (int k = 0; k < 9; k++) ot_free(all[k]);
    PASS();
}

static void all_scans(void)
{
    static const ot_backend_i *const backends[] = {&ot__backend_ref, &ot__backend_cpu};
    static const ot_shape shapes[] = {{1, 1, 1}, {1, 5, 7}, {3, 4, 5}, {10, 1, 1}, {16, 3, 3}, {17, 2, 5}, {40, 9, 8}, {257, 1, 1}};
    static const int      steps[] = {1, 2, 3, 6, 25, 64};
    char suffix[80];
    for (int b = 0; b < 2; b++)
        for (int k = 0; k < 48; k++) {
            static scan_case c;
            c = (scan_case){.s = shapes[k % 8], .T = steps[(k / 2) % 6], .images = 1 + k % 3, .still = k % 5 == 0 || k % 7 == 3, .add = k % 4 == 2, .leak = k % 2 ? 1.0f : 0.5f, .threshold = (float)(4 + k % 5 * 5) / 16,
                            .reset = (ot_reset)(k / 3 % 3), .surrogate = (ot_surrogate)(k % 3)};
            if (c.T > 6 && c.leak < 1) c.leak = 1;                   /* halves of halves would need more bits than a float has */
            if (c.reset == OT_RESET_FIXED) c.u_rst = 0.4375f;
            c.sharpness = c.surrogate == OT_SURROGATE_ATAN ? 2 : c.surrogate == OT_SURROGATE_FAST_SIGMOID ? 25 : 0.8;
            snprintf(suffix, sizeof suffix, "%s_%dx%dx%d_T%d_%s_reset_%d_surrogate_%d", backends[b]->name, c.s.c, c.s.h, c.s.w, c.T, c.still ? "still" : "moving", (int)c.reset, (int)c.surrogate);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(scans_agree_with_a_naive_loop, backends[b], &c);
        }
}

SUITE(test_spike)
{
    char suffix[80];
    for (int i = 0; net_backend(i); i++) {
        for (int random = 0; random < 2; random++) {
            static const int tiles[] = {1, 5, 16};
            for (int t = 0; t < 3; t++) {
                snprintf(suffix, sizeof suffix, "%s_%s_tile_%d", net_backend(i), random ? "random" : "nominal", tiles[t]);
                greatest_set_test_suffix(suffix);
                RUN_TESTp(counts_are_the_golden_ones, net_backend(i), random, tiles[t]);
            }
            for (int k = 0; k < 4; k++) {
                snprintf(suffix, sizeof suffix, "%s_%s_%s_%s", net_backend(i), random ? "random" : "nominal", k & 1 ? "fast_sigmoid" : "atan", k & 2 ? "rate" : "count");
                greatest_set_test_suffix(suffix);
                RUN_TESTp(gradients_are_the_golden_ones, net_backend(i), random, k & 1, k >> 1, tiles[(k + random) % 3]);
            }
        }
        for (int fast = 0; fast < 2; fast++) {
            snprintf(suffix, sizeof suffix, "%s_%s", net_backend(i), fast ? "fast_sigmoid" : "atan");
            greatest_set_test_suffix(suffix);
            RUN_TESTp(adam_follows_the_golden_trajectory, net_backend(i), fast);
        }
    }
    RUN_TEST(single_neurons_are_the_golden_ones);
    all_scans();
}

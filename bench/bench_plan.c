/* bench_plan.c - microseconds an image for evaluation and for one step of T-ReLU tuning (forward and backward to all knobs), by network.
 *
 *     bench_plan [NETWORK ...]            lenet, mobilenet-s, resnet20
 *
 * Tile 128, one thread, its CPU time, random pixels; each row first checks logits and knob gradients against the ref backend. */
#include "base/build.h"
#include "ohmtrim.h"
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TILE = 128, MAX_RELUS = 64, CHECKED = 6, ROUNDS = 9 };

static uint32_t state = 1;
static double uniform(void)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) * 0x1p-24;
}

static void die(const char *what)
{
    fprintf(stderr, "bench_plan: %s: %s\n", what, ot_last_error());
    exit(1);
}

static int add(ot_network *net, ot_layer l)
{
    int index;
    char name[32];
    snprintf(name, sizeof name, "layer%d", ot_network_layers(net));
    l.name = name;
    if (l.op != OT_OP_ADD) l.in[1] = -1;
    if (ot_network_add(net, &l, &index) != OT_OK) die(name);
    float *w = ot_network_weights(net, index);
    size_t n = ot_layer_weights(ot_network_layer(net, index));
    double sd = w ? 1.7 / sqrt((double)ot_layer_fan_in(net, ot_network_layer(net, index))) : 0;
    for (size_t i = 0; w && i < n; i++) w[i] = (float)((uniform() + uniform() - 1) * 2.4 * sd);
    return index;
}

static int conv(ot_network *net, int from, int c, int groups, int k, int s, int p)
{
    return add(net, (ot_layer){.op = OT_OP_CONV, .in = {from}, .c = c, .groups = groups, .kh = k, .kw = k, .sh = s, .sw = s, .pt = p, .pl = p, .pb = p, .pr = p});
}

static int relu(ot_network *net, int from) { return add(net, (ot_layer){.op = OT_OP_RELU, .in = {from}, .clip = INFINITY}); }

static int norm(ot_network *net, int from, int c)
{
    float gamma[512], beta[512], mean[512], var[512];
    for (int i = 0; i < c; i++) {
        gamma[i] = (float)(0.8 + 0.4 * uniform());
        beta[i] = (float)(0.4 * uniform() - 0.1);
        mean[i] = (float)(0.2 * uniform() - 0.1);
        var[i] = (float)(0.8 + 0.4 * uniform());
    }
    return add(net, (ot_layer){.op = OT_OP_BATCH_NORM, .in = {from}, .gamma = gamma, .beta = beta, .mean = mean, .var = var, .eps = 1e-5f});
}

static int norm_relu(ot_network *net, int from, int c) { return relu(net, norm(net, from, c)); }

static ot_network *mobilenet_s(void)
{
    static const int blocks[][2] = {{16, 1}, {32, 2}, {32, 1}, {64, 2}, {64, 1}, {128, 2}, {128, 1}};
    ot_network *net;
    if (ot_network_new(&net, "mobilenet-s", 1, 28, 28) != OT_OK) die("mobilenet-s");
    int at = norm_relu(net, conv(net, 0, 8, 1, 3, 2, 1), 8), c = 8;
    for (int i = 0; i < 7; i++) {
        at = norm_relu(net, conv(net, at, c, c, 3, blocks[i][1], 1), c);
        c = blocks[i][0];
        at = norm_relu(net, conv(net, at, c, 1, 1, 1, 0), c);
    }
    at = add(net, (ot_layer){.op = OT_OP_GLOBAL_AVG, .in = {at}});
    add(net, (ot_layer){.op = OT_OP_DENSE, .in = {at}, .c = 10});
    return net;
}

static int pool(ot_network *net, int from) { return add(net, (ot_layer){.op = OT_OP_MAX_POOL, .in = {from}, .kh = 2, .kw = 2, .sh = 2, .sw = 2}); }

static ot_network *lenet(void)
{
    ot_network *net;
    if (ot_network_new(&net, "lenet-5", 1, 28, 28) != OT_OK) die("lenet");
    int at = pool(net, relu(net, conv(net, 0, 6, 1, 5, 1, 2)));
    at = pool(net, relu(net, conv(net, at, 16, 1, 5, 1, 0)));
    at = add(net, (ot_layer){.op = OT_OP_RESHAPE, .in = {at}, .c = 400, .h = 1, .w = 1});
    at = relu(net, add(net, (ot_layer){.op = OT_OP_DENSE, .in = {at}, .c = 120}));
    at = relu(net, add(net, (ot_layer){.op = OT_OP_DENSE, .in = {at}, .c = 84}));
    add(net, (ot_layer){.op = OT_OP_DENSE, .in = {at}, .c = 10});
    return net;
}

/* Shortcuts as the exporter of option A writes them: every second pixel, then channels of zeros on both sides. */
static ot_network *resnet20(void)
{
    ot_network *net;
    if (ot_network_new(&net, "resnet20", 3, 32, 32) != OT_OK) die("resnet20");
    int at = norm_relu(net, conv(net, 0, 16, 1, 3, 1, 1), 16), c = 16, size = 32;
    for (int i = 0; i < 9; i++) {
        int wider = i == 3 || i == 6, from = at, c_out = wider ? 2 * c : c;
        at = norm_relu(net, conv(net, at, c_out, 1, 3, wider ? 2 : 1, 1), c_out);
        at = norm(net, conv(net, at, c_out, 1, 3, 1, 1), c_out);
        if (wider) {
            size /= 2;
            from = add(net, (ot_layer){.op = OT_OP_SLICE, .in = {from}, .slice_step = {1, 2, 2}, .c = c, .h = size, .w = size});
            from = add(net, (ot_layer){.op = OT_OP_PAD, .in = {from}, .pad_before = {c / 2, 0, 0}, .pad_after = {c / 2, 0, 0}, .c = c_out, .h = size, .w = size});
            c = c_out;
        }
        at = relu(net, add(net, (ot_layer){.op = OT_OP_ADD, .in = {at, from}}));
    }
    at = add(net, (ot_layer){.op = OT_OP_GLOBAL_AVG, .in = {at}});
    add(net, (ot_layer){.op = OT_OP_DENSE, .in = {at}, .c = 10});
    return net;
}

static ot_data *random_images(const ot_network *net, int n)
{
    static ot_data d;
    const ot_layer *in = ot_network_layer(net, 0);
    size_t size = (size_t)n * (size_t)in->c * (size_t)in->h * (size_t)in->w;
    ot_free(d.pixels);
    ot_free(d.labels);
    d = (ot_data){.name = (char *)"random", .n = n, .c = in->c, .h = in->h, .w = in->w, .classes = ot_network_classes(net), .pixels = ot_alloc(size, 1),
                  .labels = ot_alloc((size_t)n, sizeof(int32_t))};
    for (size_t i = 0; i < size; i++) d.pixels[i] = (uint8_t)(255 * uniform());
    for (int i = 0; i < n; i++) d.labels[i] = (int32_t)(uniform() * d.classes);
    return &d;
}

typedef struct answers { float logits[CHECKED * 1000]; double loss, gain[MAX_RELUS], offset[MAX_RELUS]; } answers;

static void answer(answers *a, const char *backend, const ot_network *net, const ot_data *data, ot_conv_choice how)
{
    ot_backend *be;
    ot_plan *plan;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = OT_PLAN_TUNE;
    opt.conv = how;
    opt.tile = strcmp(backend, "ref") ? TILE : CHECKED;
    if (ot_backend_open(&be, backend, NULL) != OT_OK || ot_plan_open(&plan, be, net, &opt) != OT_OK) die(backend);
    if (ot_plan_forward(plan, data, NULL, CHECKED, a->logits, NULL) != OT_OK) die(backend);
    if (ot_plan_gradient(plan, data, NULL, CHECKED, &a->loss, a->gain, a->offset) != OT_OK) die(backend);
    ot_plan_free(plan);
    ot_backend_close(be);
}

static int check(const ot_network *net, const ot_data *data, ot_conv_choice how, double *worst)
{
    static answers r, c;
    int n = CHECKED * ot_network_classes(net), relus = ot_network_relus(net);
    double want[CHECKED * 1000], got[CHECKED * 1000];
    answer(&r, "ref", net, data, OT_CONV_DIRECT);
    answer(&c, "cpu", net, data, how);
    for (int i = 0; i < n; i++) want[i] = r.logits[i], got[i] = c.logits[i];
    *worst = fmax(gap(want, got, n), fmax(gap(r.gain, c.gain, relus), gap(r.offset, c.offset, relus)));
    return *worst < (how == OT_CONV_DIRECT ? 1e-4 : 1e-3);
}

static int row(const ot_network *net, ot_conv_choice how)
{
    static const char *const names[] = {"auto", "direct", "winograd"};
    ot_data *data = random_images(net, 2 * TILE);
    double worst, us[2][ROUNDS], loss, gain[MAX_RELUS], offset[MAX_RELUS];
    if (!check(net, data, how, &worst)) {
        fprintf(stderr, "bench_plan: %s, %s: off by %g from ref\n", ot_network_name(net), names[how], worst);
        return 1;
    }
    for (int tune = 0; tune < 2; tune++) {
        ot_backend *be;
        ot_plan *plan;
        ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
        opt.use = tune ? OT_PLAN_TUNE : OT_PLAN_FORWARD;
        opt.tile = TILE;
        opt.conv = how;
        if (ot_backend_open(&be, "cpu", NULL) != OT_OK || ot_plan_open(&plan, be, net, &opt) != OT_OK) die(ot_network_name(net));
        for (int r = -2; r < ROUNDS; r++) {
            int64_t right;
            double start = cpu_seconds();
            ot_status st = tune ? ot_plan_gradient(plan, data, NULL, data->n, &loss, gain, offset) : ot_plan_count(plan, data, NULL, data->n, &right, NULL);
            if (st != OT_OK) die(ot_network_name(net));
            if (r >= 0) us[tune][r] = (cpu_seconds() - start) / data->n * 1e6;
        }
        qsort(us[tune], ROUNDS, sizeof(double), by_value);
        printf("{\"bench\":\"plan\",\"network\":\"%s\",\"what\":\"%s\",\"conv\":\"%s\",\"tile\":%d,\"n\":%d,\"median_us_per_image\":%.2f,\"p10\":%.2f,\"p90\":%.2f,"
               "\"min\":%.2f,\"bytes\":%zu,\"off_ref\":%.1e,\"backend\":\"%s\",\"commit\":\"%s\",\"compiler\":\"%s\"}\n",
               ot_network_name(net), tune ? "tune" : "eval", names[how], TILE, ROUNDS, us[tune][ROUNDS / 2], us[tune][ROUNDS / 10], us[tune][ROUNDS * 9 / 10], us[tune][0],
               ot_plan_bytes(plan), worst, ot_backend_detail(be), ot__build_commit(), ot__build_compiler());
        fflush(stdout);
        ot_plan_free(plan);
        ot_backend_close(be);
    }
    return 0;
}

static int wanted(int argc, char **argv, const char *name)
{
    int any = argc < 2;
    for (int i = 1; i < argc; i++) any |= !strcmp(argv[i], name);
    return any;
}

int main(int argc, char **argv)
{
    int wrong = 0;
    ot_network *net;
    if (wanted(argc, argv, "lenet")) {
        wrong |= row(net = lenet(), OT_CONV_AUTO);
        ot_network_free(net);
    }
    if (wanted(argc, argv, "mobilenet-s")) {
        wrong |= row(net = mobilenet_s(), OT_CONV_AUTO);
        ot_network_free(net);
    }
    if (wanted(argc, argv, "resnet20")) {
        wrong |= row(net = resnet20(), OT_CONV_DIRECT);
        wrong |= row(net, OT_CONV_AUTO);
        ot_network_free(net);
    }
    return wrong;
}

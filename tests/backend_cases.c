/* backend_cases.c - see backend_cases.h.  Sizes, strides, pads, fusions and tiles turn at different rates, so that neighbouring rows
 * differ in all of them and every pair comes up. */
#include "backend_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CASES = 1000 };

static const int channels[] = {1, 3, 7, 8, 15, 16, 17, 32, 64};
static const int kernels[] = {3, 1, 5, 3, 7, 2, 3};
static const int tiles[] = {1, 17, 32, 5};
static const int fusions[] = {0, HAS_BIAS, HAS_AFFINE | HAS_RELU, HAS_BIAS | HAS_AFFINE | HAS_RES | HAS_RELU | HAS_CLIP, HAS_RES, HAS_BIAS | HAS_RELU, HAS_RES | HAS_RELU, HAS_AFFINE};
#define COUNT(A) ((int)(sizeof(A) / sizeof *(A)))

typedef struct list { backend_case *at; int n; } list;

void backend_case_point(backend_case *c)
{
    c->step.layer = &c->layer;
    c->step.affine = c->flags & HAS_AFFINE ? c->step.kind == OT_STEP_AFFINE ? &c->layer : &c->affine : NULL;
    c->step.relu = c->flags & HAS_RELU ? c->step.kind == OT_STEP_RELU ? &c->layer : &c->relu : NULL;
}

static backend_case *add(list *l, const char *what, ot_step_kind kind, ot_op op, ot_shape in, ot_shape out, int flags)
{
    if (l->n == MOST_CASES) abort();
    backend_case *c = &l->at[l->n];
    int i = l->n++;
    *c = (backend_case){.flags = flags, .use = OT_PLAN_TUNE, .tile = tiles[i % COUNT(tiles)]};
    c->n = c->tile > 1 && i % 3 ? c->tile - i % 2 - 1 : c->tile;
    c->add = i % 5 == 1;
    c->layer = (ot_layer){.op = op, .name = "layer", .in = {0, -1}, .c = out.c, .h = out.h, .w = out.w, .in_c = in.c, .crossbar = -1, .relu = kind == OT_STEP_RELU ? 0 : -1,
                          .eps = 1e-5f, .groups = 1, .clip = flags & HAS_CLIP ? 1.2f : INFINITY};
    c->affine = (ot_layer){.op = OT_OP_BATCH_NORM, .name = "norm", .c = out.c, .h = out.h, .w = out.w, .in_c = out.c, .crossbar = -1, .relu = -1, .eps = 1e-5f};
    c->relu = (ot_layer){.op = OT_OP_RELU, .name = "relu", .c = out.c, .h = out.h, .w = out.w, .in_c = out.c, .crossbar = -1, .clip = flags & HAS_CLIP ? 1.2f : INFINITY};
    c->step = (ot_step){.kind = kind, .in = in, .out = out, .src = 0, .dst = 1, .res = flags & ADD_SELF ? 0 : flags & HAS_RES ? 2 : -1};
    snprintf(c->name, sizeof c->name, "%s_%dx%dx%d_%dx%dx%d_flags_%d_tile_%d", what, in.c, in.h, in.w, out.c, out.h, out.w, flags, c->tile);
    return c;
}

static int outputs(int size, int before, int after, int k, int s) { return (size + before + after - k) / s + 1; }

typedef struct window { int kh, kw, sh, sw, pt, pl, pb, pr; } window;

static void set_window(ot_layer *l, window w)
{
    l->kh = w.kh, l->kw = w.kw, l->sh = w.sh, l->sw = w.sw, l->pt = w.pt, l->pl = w.pl, l->pb = w.pb, l->pr = w.pr;
}

/* A convolution as tuning and, when `weights`, as training sees it. */
static void conv(list *l, int ci, int co, int groups, int h, int w, window k, int flags, int weights, ot_conv_choice choice)
{
    ot_shape in = {ci, h, w}, out = {co, outputs(h, k.pt, k.pb, k.kh, k.sh), outputs(w, k.pl, k.pr, k.kw, k.sw)};
    for (int train = 0; train <= weights; train++) {
        backend_case *c = add(l, train ? "conv_train" : "conv", OT_STEP_CONV, OT_OP_CONV, in, out, train ? flags & HAS_BIAS : flags);
        c->layer.groups = groups;
        c->layer.crossbar = 0;
        c->conv = choice;
        set_window(&c->layer, k);
        double macs = (double)co * out.h * out.w * (ci / groups) * k.kh * k.kw;
        while (c->tile > 1 && macs * c->tile > 3e6) c->tile = c->n = c->tile / 2;
        if (train) c->use = OT_PLAN_TRAIN, c->n = c->tile;
        else if (c->n % 4 == 3 && !c->add) c->use = OT_PLAN_FORWARD;
        size_t at = strlen(c->name);
        snprintf(c->name + at, sizeof c->name - at, "_k%dx%d_s%dx%d_p%d%d%d%d_g%d", k.kh, k.kw, k.sh, k.sw, k.pt, k.pl, k.pb, k.pr, groups);
    }
}

static window turn(int i, int k)
{
    int half = k / 2, s = i % 3 == 2 ? 2 : 1;
    switch (i % 4) {
    case 0: return (window){k, k, s, s, half, half, half, half};
    case 1: return (window){k, k, s, s, 0, 0, 0, 0};
    case 2: return (window){k, k, s, s, 0, half, half, 0};            /* asymmetric */
    default: return (window){k, k, s, 3 - s, k - 1, half, 0, k - 1};
    }
}

static void convolutions(list *l)
{
    int i = 0;
    for (int a = 0; a < COUNT(channels); a++)
        for (int b = 0; b < COUNT(channels); b++, i++) {
            int    k = kernels[i % COUNT(kernels)], room = channels[a] * channels[b] > 500 ? 2 : 5;
            conv(l, channels[a], channels[b], 1, k + i % room, k + (i + 3) % (room + 1), turn(i, k), fusions[i % COUNT(fusions)], i % 2, OT_CONV_AUTO);
        }
    for (int a = 0; a < COUNT(channels); a++)                        /* depthwise */
        for (int k = 3; k <= 7; k += 2, i++)
            for (int s = 0; s < 2; s++) conv(l, channels[a], channels[a], channels[a], k + 4 - s, k + 2, turn(i * 2 + s, k), fusions[(i + s) % COUNT(fusions)], s, OT_CONV_AUTO);
    static const int grouped[][3] = {{8, 8, 2}, {15, 9, 3}, {16, 32, 4}, {32, 16, 2}, {64, 64, 4}, {34, 34, 2}, {6, 12, 6}, {16, 48, 16}, {12, 6, 6}};
    for (int g = 0; g < COUNT(grouped); g++, i++) conv(l, grouped[g][0], grouped[g][1], grouped[g][2], 6, 5, turn(i, 3), fusions[i % COUNT(fusions)], 1, OT_CONV_AUTO);
    static const window odd[] = {{1, 3, 1, 1, 0, 1, 0, 1}, {3, 1, 1, 1, 1, 0, 1, 0}, {2, 2, 2, 2, 0, 0, 0, 0}, {3, 3, 3, 3, 0, 0, 0, 0}, {2, 5, 1, 2, 1, 4, 0, 3}, {6, 6, 1, 1, 0, 0, 0, 0}, {3, 3, 4, 5, 1, 1, 1, 1}};
    for (int k = 0; k < COUNT(odd); k++, i++) {
        conv(l, 16, 24, 1, 6, 9, odd[k], fusions[i % COUNT(fusions)], 1, OT_CONV_AUTO);
        conv(l, 5, 3, 1, 6, 7, odd[k], fusions[(i + 3) % COUNT(fusions)], 0, OT_CONV_AUTO);
    }
    static const int many[] = {16, 17, 32, 64};
    for (int c = 0; c < COUNT(many); c++, i++)
        for (int choice = OT_CONV_DIRECT; choice <= OT_CONV_WINOGRAD; choice++) {
            conv(l, many[c], 16, 1, 8, 7, (window){3, 3, 1, 1, 1, 1, 1, 1}, fusions[(i + choice) % COUNT(fusions)], 0, (ot_conv_choice)choice);
            conv(l, many[c], 32, 1, 4, 4, (window){3, 3, 1, 1, 0, 0, 0, 0}, fusions[(i + choice + 3) % COUNT(fusions)], 0, (ot_conv_choice)choice);
        }
    conv(l, 3, 8, 1, 28, 28, (window){3, 3, 2, 2, 1, 1, 1, 1}, HAS_AFFINE | HAS_RELU, 1, OT_CONV_AUTO);
    conv(l, 1, 6, 1, 28, 28, (window){5, 5, 1, 1, 2, 2, 2, 2}, HAS_BIAS | HAS_RELU, 1, OT_CONV_AUTO);
    conv(l, 16, 16, 1, 16, 16, (window){3, 3, 1, 1, 1, 1, 1, 1}, HAS_AFFINE | HAS_RES | HAS_RELU, 1, OT_CONV_AUTO);
}

static void dense(list *l)
{
    static const int more[][2] = {{400, 120}, {84, 10}, {1, 10}, {257, 2}};
    for (int i = 0; i < COUNT(channels) * 3 + COUNT(more); i++) {
        int m = i - COUNT(channels) * 3, ci = m >= 0 ? more[m][0] : channels[i % 9], co = m >= 0 ? more[m][1] : channels[(i * 4 + i / 9) % 9];
        for (int train = 0; train < 2; train++) {
            backend_case *c = add(l, train ? "dense_train" : "dense", OT_STEP_DENSE, OT_OP_DENSE, (ot_shape){ci, 1, 1}, (ot_shape){co, 1, 1},
                                  train ? HAS_BIAS * (i % 2) : fusions[i % COUNT(fusions)]);
            c->layer.crossbar = 0;
            set_window(&c->layer, (window){1, 1, 1, 1, 0, 0, 0, 0});
            if (train) c->use = OT_PLAN_TRAIN, c->n = c->tile;
        }
    }
}

static void elementwise(list *l)
{
    static const ot_shape shapes[] = {{1, 1, 1}, {1, 5, 5}, {3, 4, 7}, {7, 1, 1}, {8, 3, 3}, {15, 2, 3}, {16, 9, 9}, {17, 3, 5}, {32, 4, 4}, {64, 1, 1}, {64, 5, 3}};
    for (int i = 0; i < COUNT(shapes); i++) {
        ot_shape s = shapes[i];
        add(l, "affine", OT_STEP_AFFINE, OT_OP_BATCH_NORM, s, s, HAS_AFFINE);
        add(l, "affine_relu", OT_STEP_AFFINE, OT_OP_BATCH_NORM, s, s, HAS_AFFINE | HAS_RELU);
        add(l, "affine_relu6", OT_STEP_AFFINE, OT_OP_BIAS, s, s, HAS_AFFINE | HAS_RELU | HAS_CLIP);
        add(l, "relu", OT_STEP_RELU, OT_OP_RELU, s, s, HAS_RELU);
        add(l, "relu6", OT_STEP_RELU, OT_OP_RELU, s, s, HAS_RELU | HAS_CLIP);
        add(l, "add", OT_STEP_ADD, OT_OP_ADD, s, s, HAS_RES);
        add(l, "add_relu", OT_STEP_ADD, OT_OP_ADD, s, s, HAS_RES | HAS_RELU);
        add(l, "add_self", OT_STEP_ADD, OT_OP_ADD, s, s, HAS_RES | ADD_SELF | HAS_RELU);
        backend_case *c = add(l, "batch_norm", OT_STEP_AFFINE, OT_OP_BATCH_NORM, s, s, HAS_AFFINE);
        c->use = OT_PLAN_TRAIN, c->step.batch = 1, c->tile = c->n = tiles[1 + i % 3];
        c = add(l, "bias_train", OT_STEP_AFFINE, OT_OP_BIAS, s, s, HAS_AFFINE);
        c->use = OT_PLAN_TRAIN, c->n = c->tile;
    }
}

static void pools(list *l)
{
    static const window windows[] = {{2, 2, 2, 2, 0, 0, 0, 0}, {3, 3, 2, 2, 1, 1, 1, 1}, {3, 3, 1, 1, 1, 1, 1, 1}, {2, 2, 1, 1, 0, 0, 1, 1}, {5, 3, 2, 1, 2, 0, 1, 2}, {3, 3, 3, 3, 0, 0, 0, 0}, {2, 3, 1, 2, 1, 2, 0, 1}};
    for (int i = 0; i < COUNT(channels) * COUNT(windows); i++) {
        window   w = windows[i % COUNT(windows)];
        ot_shape in = {channels[i / COUNT(windows)], 6 + i % 3, 5 + i % 4}, out = {in.c, outputs(in.h, w.pt, w.pb, w.kh, w.sh), outputs(in.w, w.pl, w.pr, w.kw, w.sw)};
        int ceil_mode = i % 4 == 3;                                   /* one more window where the last pixels need it */
        if (ceil_mode && (in.h + w.pt + w.pb - w.kh) % w.sh && out.h * w.sh < in.h + w.pt) out.h++;
        if (ceil_mode && (in.w + w.pl + w.pr - w.kw) % w.sw && out.w * w.sw < in.w + w.pl) out.w++;
        backend_case *c = add(l, "max_pool", OT_STEP_MAX_POOL, OT_OP_MAX_POOL, in, out, i % 2 ? HAS_TIES : 0);
        set_window(&c->layer, w);
        c->layer.ceil_mode = ceil_mode;
        c = add(l, i % 2 ? "avg_pool_count_pad" : "avg_pool", OT_STEP_AVG_POOL, OT_OP_AVG_POOL, in, out, 0);
        set_window(&c->layer, w);
        c->layer.ceil_mode = ceil_mode;
        c->layer.count_pad = i % 2;
    }
    for (int i = 0; i < COUNT(channels); i++) {
        add(l, "global_avg", OT_STEP_GLOBAL_AVG, OT_OP_GLOBAL_AVG, (ot_shape){channels[i], 1 + i, 8 - i % 8}, (ot_shape){channels[i], 1, 1}, 0);
        add(l, "global_avg", OT_STEP_GLOBAL_AVG, OT_OP_GLOBAL_AVG, (ot_shape){channels[i], 1, 1}, (ot_shape){channels[i], 1, 1}, 0);
    }
}

static void moves(list *l)
{
    for (int i = 0; i < COUNT(channels); i++) {
        ot_shape      in = {channels[i], 4 + i % 3, 5};
        const int     before[3] = {i % 4 * 4, i % 2, 0}, after[3] = {i % 3 * 8, 1, i % 3};
        backend_case *c = add(l, "pad", OT_STEP_PAD, OT_OP_PAD, in, (ot_shape){in.c + before[0] + after[0], in.h + before[1] + after[1], in.w + before[2] + after[2]}, 0);
        memcpy(c->layer.pad_before, before, sizeof before);
        memcpy(c->layer.pad_after, after, sizeof after);
        c->layer.pad_value = i % 2 ? 0 : -1.5f;
        int step[3] = {1 + i % 2, 1 + i % 3, 2}, start[3] = {0, i % 2, 1};
        c = add(l, "slice", OT_STEP_SLICE, OT_OP_SLICE, in, (ot_shape){(in.c - 1) / step[0] + 1, (in.h - 1 - start[1]) / step[1] + 1, 2}, 0);
        memcpy(c->layer.slice_start, start, sizeof start);
        memcpy(c->layer.slice_step, step, sizeof step);
        add(l, "flatten", OT_STEP_RESHAPE, OT_OP_RESHAPE, in, (ot_shape){in.c * in.h * in.w, 1, 1}, 0);
        add(l, "unflatten", OT_STEP_RESHAPE, OT_OP_RESHAPE, (ot_shape){in.c * in.h * in.w, 1, 1}, in, 0);
        add(l, "reshape", OT_STEP_RESHAPE, OT_OP_RESHAPE, in, (ot_shape){in.w, in.c, in.h}, 0);
        add(l, "reshape_same", OT_STEP_RESHAPE, OT_OP_RESHAPE, in, in, 0);
    }
}

backend_case *backend_cases(int *n)
{
    list l = {calloc(MOST_CASES, sizeof *l.at), 0};
    if (!l.at) abort();
    convolutions(&l);
    dense(&l);
    elementwise(&l);
    pools(&l);
    moves(&l);
    for (int i = 0; i < l.n; i++) backend_case_point(&l.at[i]);
    *n = l.n;
    return l.at;
}

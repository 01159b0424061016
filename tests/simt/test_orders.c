/* test_orders.c - every launcher of kernels.h: the same bits whatever the order of threads and however many chips.
 *
 * A trial runs one launcher on one row of its table.  Its inputs are functions of a chip's number, so that chip 2 alone and chip 2 among
 * three get the same; its outputs are NaN before.  Chips 0, 1, 2 one at a time, forward, say what is wanted; three at once, their
 * tensors apart by more than their size, must give that in every order.  What lies between tensors, and images past the n that count,
 * must stay NaN.  Whether the numbers are right is the conformance suite's business (test_backend.c). */
#include "control.h"
#include "device.h"
#include "kernels/cell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 4, N = 3, CHIPS = 3 };                    /* images there is room for, images that count */

typedef struct trial {
    otk_math math;
    otk_type type;
    int      chips, first, pad, row;                    /* chip numbers first.., elements between their tensors */
    char    *out[CHIPS];                                /* what each chip gave */
    size_t   used[CHIPS];
    int      bad;                                       /* a launch failed, or memory is not as it should be */
} trial;

static void complain(trial *t, const char *what)
{
    if (!t->bad++) printf("\n%s %s\n", what, simt_error());
}

#define RUN(CALL)                                       \
    do {                                                \
        if (CALL) complain(t, #CALL ":");               \
    } while (0)

static void give(trial *t, int chip, const void *from, size_t bytes)
{
    t->out[chip] = realloc(t->out[chip], t->used[chip] + bytes + 1);
    memcpy(t->out[chip] + t->used[chip], from, bytes);
    t->used[chip] += bytes;
}

static int untouched(const char *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)p[i] != 0xff) return 0;
    return 1;
}

/* --- tensors of a type, one a chip --- */

static otk_tensor take(trial *t, int64_t elements)
{
    otk_tensor x = {NULL, elements + t->pad};
    x.at = device_take((size_t)(x.stride * t->chips) * device_size(t->type));
    return x;
}

/* N images of a shape; of a chip's own, or the same for all. */
static otk_tensor images(trial *t, otk_shape s, uint64_t seed)
{
    otk_tensor x = take(t, TILE * otk_image(s));
    for (int k = 0; k < t->chips; k++) {
        check_rng r = {seed * 1000 + (uint64_t)(t->first + k) + 1};
        for (int64_t e = 0; e < N * otk_image(s); e++)
            device_put(t->type, x.at, k * x.stride + e, e % otk_channels(s.c) < s.c ? (float)check_normal(&r) : 0.0f);
    }
    return x;
}

static otk_tensor room(trial *t, otk_shape s) { return take(t, TILE * otk_image(s)); }

static void keep(trial *t, otk_tensor x, otk_shape s)
{
    const size_t size = device_size(t->type), used = (size_t)(N * otk_image(s)) * size, all = (size_t)x.stride * size;
    for (int k = 0; k < t->chips; k++) {
        const char *at = (const char *)x.at + (size_t)k * all;
        give(t, k, at, used);
        if (!untouched(at + used, all - used)) complain(t, "something was written past the images");
        for (int64_t e = 0; e < N * otk_image(s); e++) {
            const float v = device_get(t->type, at, e);
            if (!isfinite(v)) {
                complain(t, "an output is not finite");
                break;
            }
            if (e % otk_channels(s.c) >= s.c && v != 0.0f) {
                complain(t, "padding is not 0");
                break;
            }
        }
    }
}

static otk_tensor weights(trial *t, const otk_conv *c, uint64_t seed)
{
    const int64_t n = otk_conv_weights(c), true_n = (int64_t)c->out.c * (c->in.c / c->groups) * c->kh * c->kw;
    otk_tensor    x = take(t, n);
    float        *onnx = device_take((size_t)true_n * sizeof *onnx);
    for (int k = 0; k < t->chips; k++) {
        check_rng r = {seed * 1000 + (uint64_t)(t->first + k) + 1};
        void     *at = (char *)x.at + (size_t)(k * x.stride) * device_size(t->type);
        check_fill_normal(&r, onnx, (size_t)true_n, 0.3);
        memset(at, 0, (size_t)n * device_size(t->type));
        RUN(otk_conv_pack(c, t->type, onnx, at, 0, NULL));
    }
    return x;
}

/* --- plain arrays, `each` numbers a chip, one after the other --- */

static float *floats(trial *t, int chips, int64_t each, uint64_t seed, double mean, double sd)
{
    float *p = device_take((size_t)(chips * each) * sizeof *p);
    for (int k = 0; k < chips; k++) {
        check_rng r = {seed * 1000 + (uint64_t)(t->first + k) + 1};
        for (int64_t i = 0; i < each; i++) p[k * each + i] = (float)(mean + sd * check_normal(&r));
    }
    return p;
}

/* One array for all chips, 0 where channels are padding. */
static float *channels(int c, uint64_t seed, double mean, double sd)
{
    float    *p = device_take((size_t)otk_channels(c) * sizeof *p);
    check_rng r = {seed + 5};
    for (int i = 0; i < otk_channels(c); i++) p[i] = i < c ? (float)(mean + sd * check_normal(&r)) : 0.0f;
    return p;
}

static double *doubles(trial *t, int64_t each, double value)
{
    double *p = device_take((size_t)(t->chips * each) * sizeof *p);
    for (int64_t i = 0; i < t->chips * each; i++) p[i] = value;
    return p;
}

static void keep_array(trial *t, const void *p, size_t bytes_each)
{
    for (int k = 0; k < t->chips; k++) give(t, k, (const char *)p + (size_t)k * bytes_each, bytes_each);
}

static void keep_floats(trial *t, const float *p, int64_t n)
{
    give(t, 0, p, (size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(p[i])) {
            complain(t, "an output is not finite");
            break;
        }
}

/* --- the launchers --- */

enum { DEPTHWISE = 6 };
static const otk_conv convs[] = {
    {{3, 5, 4}, {10, 5, 4}, 1, 3, 3, 1, 1, 1, 1},
    {{16, 5, 5}, {70, 3, 3}, 1, 3, 3, 2, 2, 1, 1},
    {{12, 3, 3}, {9, 3, 3}, 3, 3, 3, 1, 1, 1, 1},       /* groups that are no multiples of 8 */
    {{16, 4, 3}, {32, 4, 3}, 2, 1, 1, 1, 1, 0, 0},
    {{300, 1, 1}, {130, 1, 1}, 1, 1, 1, 1, 1, 0, 0},
    {{8, 9, 8}, {8, 5, 8}, 1, 2, 3, 2, 1, 1, 1},        /* more rows than a tile has */
    [DEPTHWISE] = {{11, 6, 5}, {11, 6, 5}, 11, 3, 3, 1, 1, 1, 1},
    {{40, 5, 5}, {40, 3, 3}, 40, 3, 3, 2, 2, 1, 1},
};
enum { CONVS = sizeof convs / sizeof *convs };

static otk_after after_of(trial *t, otk_shape s, int how)
{
    otk_after a = {.in_factor = 1, .res_factor = 1, .out_factor = 1};
    if (how % 2) a.bias = channels(s.c, 11, 0, 0.5);
    if (how % 3) a.scale = channels(s.c, 12, 1, 0.3), a.shift = channels(s.c, 13, 0, 0.3);
    if (how % 4 < 2) {
        a.res = images(t, s, 14);
        a.in_factor = 0.5f, a.res_factor = 2, a.out_factor = 0.25f;
    }
    if (how % 5 != 1) {
        float *knobs = floats(t, t->chips, 7, 15, 1, 0.1);
        a.knobs = (otk_knobs){knobs, knobs + 3, 7, NAN, NAN, how % 2 ? 1.5f : INFINITY, 1};
        if (how % 5 == 2) a.knobs = (otk_knobs){NULL, NULL, 0, 1.2f, -0.1f, INFINITY, 1};
    }
    return a;
}

static void conv_forward(trial *t)
{
    const otk_conv *c = &convs[t->row];
    const otk_after a = after_of(t, c->out, t->row);
    otk_tensor      src = images(t, c->in, 1), w = weights(t, c, 2), dst = room(t, c->out);
    if (t->row == 1) src = (otk_tensor){device_take((size_t)(TILE * otk_image(c->in)) * device_size(t->type)), 0};      /* all chips see the same images */
    for (int64_t e = 0; t->row == 1 && e < N * otk_image(c->in); e++) device_put(t->type, src.at, e, (float)(e % 13) * 0.1f);
    RUN(otk_conv_forward(t->math, c, t->chips, N, src, w, dst, &a, NULL));
    keep(t, dst, c->out);
}

static void conv_data(trial *t)
{
    const otk_conv *c = &convs[t->row];
    const int       add = t->row % 2;
    otk_tensor      g = images(t, c->out, 3), w = weights(t, c, 4), dsrc = add ? images(t, c->in, 5) : room(t, c->in);
    RUN(otk_conv_data(t->math, c, t->chips, N, g, w, dsrc, 0.5f, add, NULL, NULL));
    keep(t, dsrc, c->in);
}

static void conv_pack(trial *t)
{
    const otk_conv *c = &convs[t->row];
    const int64_t   n = (int64_t)c->out.c * (c->in.c / c->groups) * c->kh * c->kw;
    otk_tensor      w = weights(t, c, 6);
    float          *back = device_take((size_t)n * sizeof *back);
    RUN(otk_conv_pack(c, t->type, back, w.at, 1, NULL));
    give(t, 0, w.at, (size_t)otk_conv_weights(c) * device_size(t->type));
    keep_floats(t, back, n);
}

static void conv_gradient(trial *t)
{
    const otk_conv *c = &convs[t->row];
    const int64_t   n = (int64_t)c->out.c * (c->in.c / c->groups) * c->kh * c->kw;
    float          *dw = device_take((size_t)n * sizeof *dw);
    otk_tensor      src = images(t, c->in, 7), g = images(t, c->out, 8);
    RUN(otk_conv_gradient(c, N, src.at, g.at, dw, device_take(otk_conv_gradient_bytes(c, N)), NULL));
    keep_floats(t, dw, n);
}

static const otk_shape shapes[] = {{3, 5, 4}, {8, 3, 3}, {17, 1, 1}, {70, 7, 5}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void pointwise(trial *t)
{
    const otk_shape s = shapes[t->row];
    for (int how = 0; how < 5; how++) {
        const otk_after a = after_of(t, s, how);
        otk_tensor      src = images(t, s, 20), dst = room(t, s);
        RUN(otk_pointwise(t->type, s, t->chips, N, src, dst, &a, NULL));
        keep(t, dst, s);
    }
}

static void relu_back(trial *t)
{
    const otk_shape s = shapes[t->row];
    for (int how = 0; how < 4; how++) {
        const otk_after a = after_of(t, s, 3 + how);
        double         *sums = doubles(t, 5, 0.5);
        otk_relu_back   b = {.u = images(t, s, 21), .g = images(t, s, 22), .knobs = a.knobs, .scale = a.scale, .sums_stride = 5, .sums_offset = 2, .factor = 2,
                             .u_factor = 0.5f, .dres_factor = 0.5f, .add_res = how % 2, .partial = device_take(otk_relu_back_bytes(s, t->chips, N))};
        if (how < 3) b.sums = sums;
        if (how < 2) b.dres = how ? images(t, s, 23) : room(t, s);
        RUN(otk_relu_back_run(t->type, s, t->chips, N, &b, NULL));
        keep(t, b.g, s);
        if (b.dres.at) keep(t, b.dres, s);
        keep_array(t, sums, 5 * sizeof *sums);
    }
}

static void add_to(trial *t)
{
    const otk_shape s = shapes[t->row];
    for (int add = 0; add < 2; add++) {
        otk_tensor from = images(t, s, 24), to = add ? images(t, s, 25) : room(t, s);
        RUN(otk_add_to(t->type, s, t->chips, N, from, to, 2, add, NULL));
        keep(t, to, s);
    }
}

static void import_export(trial *t)
{
    const otk_shape s = shapes[t->row];
    const int64_t   each = (int64_t)N * s.c * s.h * s.w;
    float          *nchw = device_take((size_t)(t->chips * each) * sizeof *nchw);
    otk_tensor      x = images(t, s, 26), y = room(t, s);
    RUN(otk_export(t->type, s, t->chips, N, x, nchw, 2, NULL));
    keep_array(t, nchw, (size_t)each * sizeof *nchw);
    for (int k = 0; k < t->chips; k++) RUN(otk_import(t->type, s, N, nchw + k * each, (char *)y.at + (size_t)(k * y.stride) * device_size(t->type), 0.5f, NULL));
    keep(t, y, s);
    for (int k = 0; k < t->chips; k++)
        for (int64_t e = 0; e < N * otk_image(s); e++)
            if (device_get(t->type, x.at, k * x.stride + e) != device_get(t->type, y.at, k * y.stride + e)) complain(t, "import undoes export");
}

static void channel_sums(trial *t)
{
    const otk_shape s = shapes[t->row];
    float          *out = device_take((size_t)s.c * sizeof *out);
    RUN(otk_channel_sums(s, N, images(t, s, 27).at, out, device_take(otk_norm_bytes(s, N)), NULL));
    keep_floats(t, out, s.c);
}

static const otk_window windows[] = {
    {.kind = OTK_MAX_POOL, .in = {5, 5, 4}, .out = {5, 3, 2}, .kh = 3, .kw = 3, .sh = 2, .sw = 2, .pt = 1, .pl = 1, .pb = 1, .pr = 1},
    {.kind = OTK_AVG_POOL, .in = {9, 5, 5}, .out = {9, 3, 3}, .kh = 3, .kw = 3, .sh = 2, .sw = 2, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .count_pad = 1},
    {.kind = OTK_GLOBAL_AVG, .in = {17, 4, 3}, .out = {17, 1, 1}},
    {.kind = OTK_PAD, .in = {3, 3, 3}, .out = {7, 5, 4}, .before = {2, 1, 0}, .pad_value = 0.25f},
    {.kind = OTK_SLICE, .in = {9, 5, 5}, .out = {4, 3, 2}, .start = {1, 0, 4}, .step = {2, 2, -2}},
    {.kind = OTK_RESHAPE, .in = {6, 2, 3}, .out = {36, 1, 1}},
    {.kind = OTK_MAX_POOL, .in = {64, 6, 6}, .out = {64, 3, 3}, .kh = 2, .kw = 2, .sh = 2, .sw = 2},
};
enum { WINDOWS = sizeof windows / sizeof *windows };

static void window(trial *t)
{
    const otk_window *w = &windows[t->row];
    const int         add = t->row % 2;
    otk_tensor        src = images(t, w->in, 30), dst = room(t, w->out), g = images(t, w->out, 31), dsrc = add ? images(t, w->in, 32) : room(t, w->in);
    RUN(otk_window_forward(t->type, w, t->chips, N, src, dst, 0.5f, NULL));
    RUN(otk_window_data(t->type, w, t->chips, N, src, g, dsrc, 2, add, NULL));
    keep(t, dst, w->out);
    keep(t, dsrc, w->in);
}

static void moments(trial *t)
{
    const otk_shape s = shapes[t->row];
    otk_tensor      src = images(t, s, 33);
    float          *tap = device_take((size_t)(t->chips * TILE) * sizeof *tap);
    double         *out = device_take((size_t)(t->chips * 2) * sizeof *out);
    int            *flags = device_take((size_t)t->chips * sizeof *flags);
    memset(flags, 0, (size_t)t->chips * sizeof *flags);
    RUN(otk_tap(t->type, s, t->chips, N, src, tap, TILE, 0.5f, NULL));
    RUN(otk_moments(t->type, s, t->chips, N, src, out, 0.5f, device_take(otk_moments_bytes(s, t->chips)), NULL));
    for (int k = 0; k < t->chips; k++)
        if (t->first + k == 1) device_put(t->type, src.at, k * src.stride + N * otk_image(s) - otk_channels(s.c), -INFINITY);
    RUN(otk_finite(t->type, s, t->chips, N, src, flags, NULL));
    for (int k = 0; k < t->chips; k++) {
        if (flags[k] != (t->first + k == 1)) complain(t, "infinities are found");
        for (int i = 0; i < N; i++)
            if (!isfinite(tap[k * TILE + i])) complain(t, "taps are there");
        if (!untouched((const char *)(tap + k * TILE + N), (TILE - N) * sizeof *tap)) complain(t, "taps stay in their row");
        if (!isfinite(out[2 * k]) || !(out[2 * k + 1] > 0)) complain(t, "moments are there");
    }
    keep_array(t, tap, TILE * sizeof *tap);
    keep_array(t, out, 2 * sizeof *out);
}

static void norm(trial *t)
{
    const otk_shape s = shapes[t->row];
    const int64_t   n = N * otk_image(s);
    const float    *src = images(t, s, 34).at, *g = images(t, s, 35).at, *gamma = floats(t, 1, s.c, 36, 1, 0.2), *beta = floats(t, 1, s.c, 37, 0, 0.2);
    float          *dst = device_take((size_t)n * sizeof *dst), *dgamma = device_take((size_t)s.c * sizeof *dgamma), *dbeta = device_take((size_t)s.c * sizeof *dbeta);
    double         *mean = device_take((size_t)s.c * sizeof *mean), *var = device_take((size_t)s.c * sizeof *var), *inverse = device_take((size_t)s.c * sizeof *inverse);
    float          *statistics = device_take(2 * (size_t)s.c * sizeof *statistics);
    void           *partial = device_take(otk_norm_bytes(s, N));
    RUN(otk_norm_forward(s, N, src, dst, gamma, beta, 1e-5, mean, var, inverse, partial, NULL));
    keep_floats(t, dst, n);
    for (int add = 0; add < 3; add++) {                     /* 2: nobody wants dsrc */
        float *dsrc = add == 1 ? images(t, s, 38).at : device_take((size_t)n * sizeof *dsrc);
        RUN(otk_norm_back(s, N, src, g, add == 2 ? NULL : dsrc, add, gamma, mean, inverse, dgamma, dbeta, partial, NULL));
        if (add < 2) keep_floats(t, dsrc, n);
        keep_floats(t, dgamma, s.c);
        keep_floats(t, dbeta, s.c);
    }
    RUN(otk_norm_statistics(s.c, N * s.h * s.w, mean, var, statistics, NULL));
    keep_floats(t, statistics, 2 * s.c);
    give(t, 0, mean, (size_t)s.c * sizeof *mean);
    give(t, 0, var, (size_t)s.c * sizeof *var);
}

static void loss(trial *t)
{
    static const int classes_of[] = {10, 3, 100};
    const int        classes = classes_of[t->row], n = 150;                    /* more than a block */
    const otk_shape  s = {classes, 1, 1};
    otk_tensor       logits = take(t, n * otk_image(s)), grad = take(t, n * otk_image(s));
    double          *sums = doubles(t, 1, 0.25);
    int64_t         *right = device_take((size_t)t->chips * sizeof *right);
    uint32_t        *bits = device_take((size_t)t->chips * 6 * sizeof *bits), *rows = device_take((size_t)n * sizeof *rows);
    int32_t         *labels = device_take((size_t)n * sizeof *labels);
    for (int i = 0; i < n; i++) rows[i] = (uint32_t)(n - 1 - i), labels[i] = i * 7 % classes;
    memset(bits, 0, (size_t)t->chips * 6 * sizeof *bits);
    for (int k = 0; k < t->chips; k++) {
        check_rng r = {(uint64_t)(t->first + k) + 99};
        right[k] = 1000;
        for (int64_t e = 0; e < n * otk_image(s); e++) device_put(t->type, logits.at, k * logits.stride + e, (float)(2 * check_normal(&r)));
    }
    const otk_loss l = {logits, grad, labels, rows, 0.5f, 0.125, 0.1, sums, right, bits, 6, 17, device_take(otk_loss_bytes(t->chips, n)), 0};
    RUN(otk_loss_run(t->type, classes, t->chips, n, &l, NULL));
    for (int k = 0; k < t->chips; k++) {
        give(t, k, (char *)grad.at + (size_t)(k * grad.stride) * device_size(t->type), (size_t)(n * otk_image(s)) * device_size(t->type));
        if (!isfinite(sums[k]) || right[k] < 1000) complain(t, "a loss is there");
    }
    keep_array(t, sums, sizeof *sums);
    keep_array(t, right, sizeof *right);
    keep_array(t, bits, 6 * sizeof *bits);
}

static void adam(trial *t)
{
    const int L = t->row ? 40 : 3;
    uint32_t *step = device_take(sizeof *step);
    otk_adam  a = {L, 0.01, 4, 0.5, doubles(t, 2 * L, 0), doubles(t, 2 * L, 0), doubles(t, 2 * L, 0), doubles(t, 4 * L, 0), doubles(t, 1, 0), NULL, NULL, step, NULL, 0.9, 0};
    double   *rate = device_take(3 * sizeof *rate);
    for (int s = 0; s < 3; s++) rate[s] = 0.01 * (s + 1);
    if (t->row) a.rate = rate;
    a.sent = device_take((size_t)(t->chips * 2 * L) * sizeof(float));
    a.chip = device_take((size_t)t->chips * sizeof *a.chip);
    RUN(otk_adam_start(&a, t->chips, floats(t, t->chips, 2 * L, 40, 1, 0.3), NULL));
    for (int s = 0; s < 3; s++) {
        for (int k = 0; k < t->chips; k++) {
            check_rng r = {(uint64_t)(100 * s + t->first + k) + 1};
            a.loss[k] = 4 + check_uniform(&r);
            for (int i = 0; i < 2 * L; i++) a.grad[k * 2 * L + i] = check_normal(&r);
            if (s == 1 && t->first + k == 1) a.grad[k * 2 * L + 2 * L - 1] = (double)NAN;
        }
        RUN(otk_adam_step(&a, t->chips, NULL));
    }
    if (*step != 3) complain(t, "steps are counted once");
    keep_array(t, a.knob, (size_t)(2 * L) * sizeof *a.knob);
    keep_array(t, a.best, (size_t)(2 * L) * sizeof *a.best);
    keep_array(t, a.state, (size_t)(4 * L) * sizeof *a.state);
    keep_array(t, a.sent, (size_t)(2 * L) * sizeof *a.sent);
    keep_array(t, a.chip, sizeof *a.chip);
}

static void train_step(trial *t)
{
    const int64_t  n = t->row % 2 ? 1000 : 255, few = 300;
    const int      adam = t->row / 2;
    otk_weights    w = {.n = n, .n_statistics = few, .shards = 2, .parameters = floats(t, 1, n, 50, 0, 1), .grad = floats(t, 1, 2 * n, 54, 0, 1), .momentum = 0.9, .decay = 1e-4,
                        .statistics = floats(t, 1, few, 55, 0, 1), .batch_statistics = floats(t, 1, 2 * few, 56, 0, 1), .share = 0.1, .images = 8,
                        .loss = device_take(sizeof(double)), .losses = device_take(2 * sizeof(double)), .step = device_take(sizeof(uint32_t))};
    uint8_t       *decays = device_take((size_t)n);
    double        *rate = device_take(2 * sizeof *rate);
    for (int64_t i = 0; i < n; i++) decays[i] = i % 2;
    rate[0] = 0.1, rate[1] = 0.05, *w.step = 0, *w.loss = 2;
    w.decays = decays, w.rate = rate;
    if (adam) {
        w.moments = doubles(t, 2 * n, 3), w.power = device_take(2 * sizeof(double));
        for (int64_t i = 0; i < 2 * n; i++) w.moments[i] = 0.01 * (double)(i % 7 + 1);
        w.power[0] = 0.9, w.power[1] = 0.999;
    } else {
        w.velocity = floats(t, 1, n, 51, 0, 1);
    }
    for (int s = 0; s < 2; s++) RUN(otk_weights_step(&w, NULL));
    keep_floats(t, w.parameters, n);
    if (adam) give(t, 0, w.moments, (size_t)(2 * n) * sizeof *w.moments);
    else keep_floats(t, w.velocity, n);
    keep_floats(t, w.statistics, few);
    give(t, 0, w.losses, 2 * sizeof *w.losses);
}

static void input(trial *t)
{
    const otk_shape s = shapes[t->row];
    const int64_t   image = (int64_t)s.c * s.h * s.w;
    uint8_t        *pixels = device_take((size_t)(10 * image));
    uint32_t       *rows = device_take(10 * sizeof *rows), *step = device_take(sizeof *step), *wanted = device_take(N * sizeof *wanted);
    otk_tensor      dst = room(t, s);
    for (int64_t i = 0; i < 10 * image; i++) pixels[i] = (uint8_t)(i * 37);
    for (uint32_t i = 0; i < 10; i++) rows[i] = 9 - i;
    *step = 2;
    RUN(otk_input(t->type, s, N, pixels, NULL, channels(s.c, 60, 0.01, 0.001), channels(s.c, 61, 0, 1), rows, step, 3, 1, dst.at, wanted, 0.5f, NULL));
    keep(t, dst, s);
    for (uint32_t i = 0; i < N; i++)
        if (wanted[i] != 9 - (1 + 2 * 3 + i)) complain(t, "rows taken are told");
    uint32_t  *crops = device_take(10 * sizeof *crops);
    otk_tensor cropped = room(t, s);
    for (uint32_t i = 0; i < 10; i++) crops[i] = i % 3 | i / 2 % 3 << 12 | i % 2 << 24;
    RUN(otk_input_crops(t->type, s, N, pixels, NULL, channels(s.c, 60, 0.01, 0.001), channels(s.c, 61, 0, 1), rows, step, 3, 1, crops, 1, cropped.at, wanted, 0.5f, NULL));
    keep(t, cropped, s);
}

static void draw(trial *t)
{
    const otk_conv *c = &convs[t->row];
    const int64_t   n = (int64_t)c->out.c * (c->in.c / c->groups) * c->kh * c->kw;
    for (int version = 1; version <= 2; version++) {
        ot_cell_map *maps = device_take((size_t)t->chips * sizeof *maps);
        uint32_t *numbers = device_take((size_t)t->chips * sizeof *numbers);
        int32_t  *q = device_take((size_t)n * sizeof *q);
        otk_tensor w = take(t, otk_conv_weights(c));
        for (int64_t i = 0; i < n; i++) q[i] = (int32_t)(i * 53 % 127 - 63);
        for (int k = 0; k < t->chips; k++) {
            memset(&maps[k], 0, sizeof maps[k]);
            maps[k].c[0][0] = 1, maps[k].c[0][1] = 0.05f + 0.01f * (float)(t->first + k), maps[k].c[1][1] = 0.01f;
            maps[k].n_terms[0] = maps[k].n_terms[1] = 2, maps[k].z_min = -6, maps[k].z_max = 6, maps[k].x_min = -0.1f, maps[k].x_max = 2;
            numbers[k] = (uint32_t)(t->first + k + 17);
            memset((char *)w.at + (size_t)(k * w.stride) * device_size(t->type), 0, (size_t)otk_conv_weights(c) * device_size(t->type));
        }
        const otk_draw d = {maps, numbers, q, 7, 2, 6, 0.01, 0, 0};
        RUN(otk_draw_weights(version, c, t->type, t->chips, &d, w, NULL));
        for (int k = 0; k < t->chips; k++) give(t, k, (char *)w.at + (size_t)(k * w.stride) * device_size(t->type), (size_t)otk_conv_weights(c) * device_size(t->type));
    }
}

/* T of a train, shape, whether the current stands still; 3: more steps than are held at once. */
static const struct { otk_shape s; int steps, still, reset; } trains[] = {
    {{3, 5, 4}, 4, 0, OTK_RESET_SUBTRACT}, {{17, 1, 1}, 3, 1, OTK_RESET_ZERO}, {{70, 3, 5}, 2, 0, OTK_RESET_FIXED}, {{9, 2, 3}, 67, 0, OTK_RESET_SUBTRACT},
};
enum { TRAINS = sizeof trains / sizeof *trains };

/* All T frames of an image as one, T times as high. */
static otk_shape train(int row)
{
    otk_shape s = trains[row].s;
    s.h *= trains[row].steps;
    return s;
}

static otk_if neuron_of(trial *t)
{
    const int steps = trains[t->row].steps;
    float    *gain = floats(t, t->chips, 3, 70, 0.7, 0.05);
    return (otk_if){gain + 1, 3, 1.25f, NAN, trains[t->row].reset == OTK_RESET_ZERO ? 0.75f : 1, 0.5f, (otk_reset)trains[t->row].reset, t->row == 2, steps, trains[t->row].still, 0.5f, 2,
                    t->row % 3, t->row % 3 == 1 ? 25 : 2};
}

static void if_forward(trial *t)
{
    const otk_shape s = trains[t->row].s, all = train(t->row);
    const otk_if    p = neuron_of(t);
    otk_tensor      src = images(t, p.still ? s : all, 71), dst = room(t, all);
    RUN(otk_if_forward(t->type, s, t->chips, N, src, dst, &p, NULL));
    keep(t, dst, all);
}

static void if_back(trial *t)
{
    const otk_shape s = trains[t->row].s, all = train(t->row), in = trains[t->row].still ? s : all;
    for (int how = 0; how < 3; how++) {                     /* written; added to, through a batch norm; the threshold's alone */
        const otk_if p = neuron_of(t);
        double      *sums = doubles(t, 5, 0.5);
        otk_if_back  b = {.g = images(t, all, 72), .add = how == 1, .sums = sums + 1, .sums_stride = 5, .partial = device_take(otk_if_back_bytes(s, t->chips, N))};
        if (how == 1) b.scale = channels(s.c, 73, 1, 0.3);
        if (how < 2) b.dsrc = how ? images(t, in, 74) : room(t, in);
        RUN(otk_if_back_run(t->type, s, t->chips, N, images(t, in, 71), &p, &b, NULL));
        if (b.dsrc.at) keep(t, b.dsrc, in);
        keep_array(t, sums, 5 * sizeof *sums);
        for (int k = 0; k < t->chips; k++)
            if (!isfinite(sums[5 * k + 1]) || sums[5 * k + 1] == 0.5 || sums[5 * k] != 0.5) complain(t, "the threshold's derivative is there");
    }
}

static void counts(trial *t)
{
    const otk_shape s = trains[t->row].s, all = train(t->row);
    otk_tensor      spikes = images(t, all, 75), sums = room(t, s), frames = room(t, all);
    RUN(otk_if_count(t->type, s, t->chips, N, trains[t->row].steps, t->row % 2, spikes, sums, 0.5f, NULL));
    keep(t, sums, s);
    RUN(otk_if_spread(t->type, s, t->chips, N, trains[t->row].steps, t->row % 2, sums, frames, NULL));
    keep(t, frames, all);
}

static void input_spikes(trial *t)
{
    const otk_shape s = trains[t->row].s, all = train(t->row);
    const int64_t   image = (int64_t)s.c * s.h * s.w;
    float          *values = device_take((size_t)(10 * image) * sizeof *values);
    uint32_t       *rows = device_take(10 * sizeof *rows), *step = device_take(sizeof *step), *wanted = device_take(N * sizeof *wanted);
    otk_tensor      dst = room(t, all);
    for (int64_t i = 0; i < 10 * image; i++) values[i] = (float)(i % 11) / 10;
    for (uint32_t i = 0; i < 10; i++) rows[i] = 9 - i;
    *step = 2;
    RUN(otk_input_spikes(t->type, s, N, t->row % 2 ? OTK_CODING_LATENCY : OTK_CODING_RATE, trains[t->row].steps, 77, NULL, values, NULL, NULL, rows, step, 3, 1, dst.at, wanted, 1, NULL));
    keep(t, dst, all);
    for (uint32_t i = 0; i < N; i++)
        if (wanted[i] != 9 - (1 + 2 * 3 + i)) complain(t, "rows taken are told");
}

/* --- trials in every order --- */

enum { TF32 = 1, HALF = 2, ONE_CHIP = 4 };              /* it has tf32; it has halves; it has no chips */

static const struct { const char *name; void (*run)(trial *t); int rows, flags; } launchers[] = {
    {"conv_forward", conv_forward, CONVS, TF32 | HALF},
    {"conv_data", conv_data, CONVS, TF32 | HALF},
    {"conv_pack", conv_pack, CONVS, HALF | ONE_CHIP},
    {"conv_gradient", conv_gradient, CONVS, ONE_CHIP},
    {"pointwise", pointwise, SHAPES, HALF},
    {"relu_back", relu_back, SHAPES, HALF},
    {"add_to", add_to, SHAPES, HALF},
    {"import_export", import_export, SHAPES, HALF},
    {"channel_sums", channel_sums, SHAPES, ONE_CHIP},
    {"window", window, WINDOWS, HALF},
    {"moments", moments, SHAPES, HALF},
    {"norm", norm, SHAPES, ONE_CHIP},
    {"loss", loss, 3, HALF},
    {"adam", adam, 2, 0},
    {"train_step", train_step, 4, ONE_CHIP},
    {"input", input, SHAPES, HALF | ONE_CHIP},
    {"draw", draw, CONVS, HALF},
    {"if_forward", if_forward, TRAINS, HALF},
    {"if_back", if_back, TRAINS, HALF},
    {"counts", counts, TRAINS, HALF},
    {"input_spikes", input_spikes, TRAINS, HALF | ONE_CHIP},
};
enum { LAUNCHERS = sizeof launchers / sizeof *launchers };

static int run_trial(trial *t, int launcher, int row, otk_math math, int chips, int first, int order)
{
    *t = (trial){.math = math, .type = math == OTK_FP16 ? OTK_F16 : OTK_F32, .chips = chips, .first = first, .pad = chips > 1 ? 8 : 0, .row = row};
    simt_clear();
    simt_order(order);
    launchers[launcher].run(t);
    simt_order(SIMT_FORWARD);
    device_give_all();
    return !t->bad;
}

static void close_trial(trial *t)
{
    for (int k = 0; k < CHIPS; k++) free(t->out[k]);
}

static int same(const trial *want, const trial *got, int chip)
{
    return want->used[0] == got->used[chip] && want->used[0] > 0 && !memcmp(want->out[0], got->out[chip], want->used[0]);
}

TEST same_bits_in_every_order_and_among_chips(int launcher, int row, otk_math math)
{
#ifdef __SANITIZE_THREAD__
    static const int orders[] = {SIMT_FORWARD};             /* the race detector wants to see each thread once */
#else
    static const int orders[] = {SIMT_FORWARD, SIMT_REVERSE, SIMT_RANDOM + 1, SIMT_RANDOM + 77};
#endif
    const int chips = launchers[launcher].flags & ONE_CHIP ? 1 : CHIPS;
    trial     want[CHIPS], got;
    int       ok = 1;
    for (int k = 0; k < chips; k++) ok &= run_trial(&want[k], launcher, row, math, 1, k, SIMT_FORWARD);
    for (size_t o = 0; ok && o < sizeof orders / sizeof *orders; o++) {
        ok = run_trial(&got, launcher, row, math, chips, 0, orders[o]);
        for (int k = 0; ok && k < chips; k++)
            if (!same(&want[k], &got, k)) {
                printf("\nchip %d of %d in order %d differs from chip %d alone\n", k, chips, orders[o], k);
                ok = 0;
            }
        close_trial(&got);
    }
    for (int k = 0; k < chips; k++) close_trial(&want[k]);
    ASSERT(ok);
    PASS();
}

SUITE(test_orders)
{
    static const char *const maths[] = {[OTK_FP32] = "fp32", [OTK_TF32] = "tf32", [OTK_FP16] = "fp16"};
    const int                small = getenv("OT_SMALL") != NULL;
    for (int l = 0; l < LAUNCHERS; l++)
        for (int row = 0; row < launchers[l].rows; row++)
            for (otk_math m = OTK_FP32; m <= OTK_FP16; m++) {
                char suffix[96];
                if (small && row && !(row == DEPTHWISE && launchers[l].rows == CONVS)) continue;        /* OT_SMALL: the least that meets every barrier */
                if ((m == OTK_TF32 && !(launchers[l].flags & TF32)) || (m == OTK_FP16 && !(launchers[l].flags & HALF))) continue;
                snprintf(suffix, sizeof suffix, "%s_%d_%s", launchers[l].name, row, maths[m]);
                greatest_set_test_suffix(suffix);
                RUN_TESTp(same_bits_in_every_order_and_among_chips, l, row, m);
            }
}

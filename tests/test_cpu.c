/* Suite test_cpu: every step of the cpu backend against ref, forward and backward, in tables of shapes around every edge of its layout. */
#include "check.h"

#include "backend/backend.h"

#include <pthread.h>

enum { TILE = 6 };

typedef struct fixture {
    const ot_backend_i *be;
    void  *ctx, *op, *src, *res, *dst, *g, *dsrc, *dres, *scratch;
    size_t guard[7];
} fixture;

typedef struct numbers {
    float *src, *res, *g, *weight, *bias, *scale, *shift;              /* in */
    float *dst, *dsrc, *dres, *tap, *dweight, *dbias, *dgamma, *dbeta, *mean, *var; /* out */
    double gain, offset;
} numbers;

static float *filled(check_rng *r, size_t n, double sd)
{
    float *p = ot_alloc(n + 1, sizeof *p);
    check_fill_normal(r, p, n, sd);
    return p;
}

static float *poisoned(size_t n)
{
    float *p = ot_alloc(n + 1, sizeof *p);
    check_poison(p, n);
    return p;
}

static size_t size_of(ot_shape s) { return (size_t)s.c * (size_t)s.h * (size_t)s.w; }

enum { GUARD = 64 };

/* Memory full of NaN with GUARD bytes of a pattern behind it. */
static void *guarded(const fixture *f, size_t bytes)
{
    void *p;
    if (f->be->alloc(f->ctx, &p, bytes + GUARD) != OT_OK) abort();
    for (size_t i = 0; i < bytes / 4; i++) ((float *)p)[i] = NAN;
    memset((char *)p + bytes, 0x5a, GUARD);
    return p;
}

static int intact(const void *p, size_t bytes)
{
    for (int i = 0; i < GUARD; i++)
        if (((const unsigned char *)p)[bytes + (size_t)i] != 0x5a) return 0;
    return 1;
}

/* The step on one backend: forward of n images of a tile of TILE, backward, all outputs out as NCHW. */
static int run_step(const ot_backend_i *be, const ot_step *step, ot_plan_use use, ot_conv_choice conv, int n, int add, numbers *m)
{
    fixture f = {.be = be};
    size_t op_bytes, scratch_bytes, in = be->tensor_bytes(NULL, step->in, TILE), out = be->tensor_bytes(NULL, step->out, TILE);
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = use;
    opt.tile = TILE;
    opt.conv = conv;
    int ok = be->open(&f.ctx, "") == OT_OK && be->step_open(f.ctx, &f.op, step, TILE, &opt, &op_bytes, &scratch_bytes) == OT_OK;
    if (!ok) {
        printf("\n%s\n", ot_last_error());
        return 0;
    }
    f.src = guarded(&f, in), f.res = guarded(&f, out), f.dst = guarded(&f, out), f.g = guarded(&f, out), f.dsrc = guarded(&f, in), f.dres = guarded(&f, out);
    f.scratch = guarded(&f, scratch_bytes);
    int self = step->kind == OT_STEP_ADD && step->res == step->src;
    ok = ok && be->put(f.ctx, f.src, step->in, n, m->src) == OT_OK;
    if (step->res >= 0) ok = ok && be->put(f.ctx, f.res, step->out, n, m->res) == OT_OK;
    ok = ok && be->step_load(f.ctx, f.op, m->weight, m->bias, m->scale, m->shift) == OT_OK;
    ot_step_run run = {.n = n, .gain = 1.3f, .offset = -0.2f, .tap = m->tap};
    ok = ok && be->forward(f.ctx, f.op, f.src, step->res < 0 ? NULL : self ? f.src : f.res, f.dst, f.scratch, &run) == OT_OK;
    ok = ok && be->get(f.ctx, m->dst, step->out, n, f.dst) == OT_OK;
    if (step->batch) ok = ok && be->batch_statistics(f.ctx, f.op, m->mean, m->var) == OT_OK;
    if (use != OT_PLAN_FORWARD) {
        ok = ok && be->put(f.ctx, f.g, step->out, n, m->g) == OT_OK;
        if (add) ok = ok && be->put(f.ctx, f.dsrc, step->in, n, m->src) == OT_OK && be->put(f.ctx, f.dres, step->out, n, m->res) == OT_OK;
        ot_step_back back = {.n = n, .gain = run.gain, .offset = run.offset, .grad_gain = step->relu ? &m->gain : NULL, .grad_offset = step->relu ? &m->offset : NULL,
                             .add_src = add, .add_res = add || self, .grad_weight = m->dweight, .grad_bias = m->dbias, .grad_gamma = m->dgamma, .grad_beta = m->dbeta};
        memset(f.scratch, 0xff, scratch_bytes);
        ok = ok && be->backward(f.ctx, f.op, f.src, f.dst, f.g, f.dsrc, step->res < 0 ? NULL : self ? f.dsrc : f.dres, f.scratch, &back) == OT_OK;
        ok = ok && be->get(f.ctx, m->dsrc, step->in, n, f.dsrc) == OT_OK;
        if (step->res >= 0 && !self) ok = ok && be->get(f.ctx, m->dres, step->out, n, f.dres) == OT_OK;
    }
    ok = ok && intact(f.src, in) && intact(f.dst, out) && intact(f.dsrc, in) && intact(f.dres, out) && intact(f.g, out) && intact(f.scratch, scratch_bytes);
    be->step_close(f.ctx, f.op);
    void *all[] = {f.src, f.res, f.dst, f.g, f.dsrc, f.dres, f.scratch};
    for (int i = 0; i < 7; i++) be->free(f.ctx, all[i]);
    be->close(f.ctx);
    return ok;
}

static void outputs(numbers *m, const ot_step *s, size_t weights, int train)
{
    size_t in = size_of(s->in) * TILE, out = size_of(s->out) * TILE, c = (size_t)s->out.c;
    m->dst = poisoned(out), m->dsrc = poisoned(in), m->dres = poisoned(out), m->tap = poisoned(TILE), m->mean = poisoned(c), m->var = poisoned(c);
    m->gain = m->offset = NAN;
    m->dweight = train && weights ? poisoned(weights) : NULL;
    m->dbias = train && weights ? poisoned(c) : NULL;
    m->dgamma = s->batch ? poisoned(c) : NULL;
    m->dbeta = train && s->affine ? poisoned(c) : NULL;
}

static void release(numbers *m, int inputs)
{
    float *out[] = {m->dst, m->dsrc, m->dres, m->tap, m->mean, m->var, m->dweight, m->dbias, m->dgamma, m->dbeta};
    float *in[] = {m->src, m->res, m->g, m->weight, m->bias, m->scale, m->shift};
    for (int i = 0; i < 10; i++) ot_free(out[i]);
    for (int i = 0; inputs && i < 7; i++) ot_free(in[i]);
}

/* |want - got| <= tol * max|want| */
static int near(const float *want, const float *got, size_t n, double tol, const char *what)
{
    return !want || check_close_f32(want, got, n, tol * (check_max_f32(want, n) + 1e-6), what);
}

static int same_on_both(const ot_step *s, ot_plan_use use, ot_conv_choice conv, int n, int add, double tol)
{
    check_rng r = {.s = 7};
    numbers a = {0}, b;
    size_t in = size_of(s->in) * TILE, out = size_of(s->out) * TILE, c = (size_t)s->out.c;
    int crossbar = s->kind == OT_STEP_CONV || s->kind == OT_STEP_DENSE, train = use == OT_PLAN_TRAIN;
    size_t weights = crossbar ? ot_layer_weights(s->layer) : 0;
    a.src = filled(&r, in, 1.0), a.res = filled(&r, out, 1.0), a.g = filled(&r, out, 1.0);
    if (weights) a.weight = filled(&r, weights, 0.3), a.bias = filled(&r, c, 0.5);
    if (s->affine) a.scale = filled(&r, c, 1.0), a.shift = filled(&r, c, 0.5);
    b = a;
    outputs(&a, s, weights, train);
    outputs(&b, s, weights, train);
    int ok = run_step(&ot__backend_ref, s, use, OT_CONV_DIRECT, n, add, &a) && run_step(&ot__backend_cpu, s, use, conv, n, add, &b);
    size_t m = (size_t)n;
    ok = ok && near(a.dst, b.dst, size_of(s->out) * m, tol, "dst") && near(a.tap, b.tap, m, tol, "tap");
    if (use != OT_PLAN_FORWARD) {
        ok = ok && near(a.dsrc, b.dsrc, size_of(s->in) * m, tol, "dsrc");
        if (s->res >= 0 && s->res != s->src) ok = ok && near(a.dres, b.dres, size_of(s->out) * m, tol, "dres");
        if (s->relu) {
            double sum = 0;
            for (size_t i = 0; i < out; i++) sum += fabs((double)a.g[i]);
            ok = ok && check_close_f64(&a.gain, &b.gain, 1, tol * sum, "gain") && check_close_f64(&a.offset, &b.offset, 1, tol * sum, "offset");
        }
        ok = ok && near(a.dweight, b.dweight, weights, tol, "dweight") && near(a.dbias, b.dbias, c, tol, "dbias");
        ok = ok && near(a.dgamma, b.dgamma, c, tol, "dgamma") && near(a.dbeta, b.dbeta, c, tol, "dbeta");
    }
    if (s->batch) ok = ok && near(a.mean, b.mean, c, tol, "mean") && near(a.var, b.var, c, tol, "var");
    release(&a, 1);
    release(&b, 0);
    return ok;
}

static int pooled(int n, int k, int s, int p0, int p1) { return (n + p0 + p1 - k) / s + 1; }

typedef struct conv_row { int ci, co, h, w, groups, k, s, p0, p1; } conv_row;
static const conv_row convs[] = {
    {1, 8, 9, 7, 1, 3, 2, 1, 1},    {3, 16, 8, 8, 1, 3, 1, 1, 1},   {8, 16, 5, 5, 1, 1, 1, 0, 0},    {16, 16, 16, 16, 1, 3, 1, 1, 1},
    {16, 32, 9, 9, 1, 3, 2, 1, 1},  {16, 32, 8, 8, 1, 3, 2, 0, 1},  {6, 16, 12, 12, 1, 5, 1, 0, 0},  {17, 33, 4, 3, 1, 3, 1, 1, 1},
    {32, 64, 4, 4, 1, 1, 1, 0, 0},  {32, 64, 7, 7, 1, 1, 2, 0, 0},  {64, 128, 2, 2, 1, 1, 1, 0, 0},  {16, 40, 4, 4, 1, 4, 1, 0, 0},
    {32, 3, 5, 5, 1, 3, 1, 1, 1},   {4, 2, 5, 6, 1, 2, 2, 1, 0},    {8, 8, 14, 14, 8, 3, 1, 1, 1},   {16, 16, 15, 15, 16, 3, 2, 1, 1},
    {33, 33, 2, 2, 33, 3, 1, 1, 1}, {3, 3, 6, 6, 3, 3, 1, 1, 1},    {32, 32, 6, 6, 2, 3, 1, 1, 1},   {6, 12, 5, 5, 3, 3, 2, 1, 1},
    {8, 16, 4, 4, 8, 3, 1, 1, 1},   {5, 7, 1, 1, 1, 1, 1, 0, 0},    {20, 20, 3, 3, 1, 5, 3, 2, 2},   {64, 64, 8, 8, 1, 3, 1, 1, 1},
    {16, 16, 30, 3, 1, 3, 3, 0, 0}, {1, 6, 28, 28, 1, 5, 1, 2, 2},  {16, 120, 5, 5, 1, 5, 1, 0, 0},  {48, 80, 6, 6, 1, 7, 1, 3, 3}, {200, 200, 2, 2, 1, 3, 1, 1, 1},
};

static int conv_case(const conv_row *c, ot_plan_use use, ot_conv_choice algorithm, int fused, int n, double tol)
{
    ot_layer layer = {.op = OT_OP_CONV, .name = "conv", .in_c = c->ci, .c = c->co, .h = pooled(c->h, c->k, c->s, c->p0, c->p1), .w = pooled(c->w, c->k, c->s, c->p0, c->p1),
                      .groups = c->groups, .kh = c->k, .kw = c->k, .sh = c->s, .sw = c->s, .pt = c->p0, .pl = c->p0, .pb = c->p1, .pr = c->p1};
    float dummy = 0;
    layer.weight = &dummy;
    ot_layer affine = {.op = OT_OP_BATCH_NORM, .name = "bn", .c = c->co}, relu = {.op = OT_OP_RELU, .name = "relu", .crossbar = -1, .clip = fused == 2 ? 2.0f : INFINITY};
    ot_step step = {.kind = OT_STEP_CONV, .layer = &layer, .affine = fused ? &affine : NULL, .relu = fused ? &relu : NULL, .in = {c->ci, c->h, c->w},
                    .out = {c->co, layer.h, layer.w}, .src = 0, .dst = 1, .res = fused == 2 ? 2 : -1};
    return same_on_both(&step, use, algorithm, n, fused == 2, tol);
}

/* N products, float: N * eps / 2 at worst, its root as a rule; 7 * 7 * 48 = 2352 terms at most, summed in one order */
#define CONV_TOL 2e-5

TEST convolution_agrees_with_ref(void)
{
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++)
        for (int fused = 0; fused < 3; fused++) {
            const conv_row *c = &convs[i];
            int ok = conv_case(c, OT_PLAN_TUNE, OT_CONV_AUTO, fused, fused == 1 ? TILE - 1 : TILE, CONV_TOL);
            if (!ok) printf("conv %zu: %d->%d %dx%d groups %d kernel %d stride %d, fused %d\n", i, c->ci, c->co, c->h, c->w, c->groups, c->k, c->s, fused);
            ASSERTm("cpu agrees with ref", ok);
        }
    PASS();
}

/* Winograd's transforms cost a few bits: 1e-6 relative rms measured, ten times that at worst */
TEST winograd_agrees_with_ref(void)
{
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++)
        for (int fused = 0; fused < 3; fused++) {
            int ok = conv_case(&convs[i], OT_PLAN_TUNE, OT_CONV_WINOGRAD, fused, fused == 1 ? TILE - 1 : TILE, 1e-4);
            if (!ok) printf("conv %zu, fused %d\n", i, fused);
            ASSERTm("cpu agrees with ref", ok);
        }
    PASS();
}

TEST weight_gradients_agree_with_ref(void)
{
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        const conv_row *c = &convs[i];
        int ok = conv_case(c, OT_PLAN_TRAIN, OT_CONV_DIRECT, 0, TILE, CONV_TOL);
        if (!ok) printf("conv %zu: %d->%d %dx%d groups %d kernel %d stride %d\n", i, c->ci, c->co, c->h, c->w, c->groups, c->k, c->s);
        ASSERTm("cpu agrees with ref", ok);
    }
    PASS();
}

TEST dense_agrees_with_ref(void)
{
    static const int rows[][2] = {{1, 1}, {16, 10}, {400, 120}, {84, 10}, {128, 2}, {3, 17}, {256, 256}, {600, 520}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int use = OT_PLAN_FORWARD; use <= OT_PLAN_TRAIN; use++) {
            float dummy = 0;
            ot_layer layer = {.op = OT_OP_DENSE, .name = "dense", .in_c = rows[i][0], .c = rows[i][1], .h = 1, .w = 1, .groups = 1, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .weight = &dummy};
            ot_layer relu = {.op = OT_OP_RELU, .name = "relu", .crossbar = -1, .clip = INFINITY};
            ot_step step = {.kind = OT_STEP_DENSE, .layer = &layer, .relu = use == OT_PLAN_TRAIN ? NULL : &relu, .in = {rows[i][0], 1, 1}, .out = {rows[i][1], 1, 1}, .res = -1, .dst = 1};
            ASSERT(same_on_both(&step, (ot_plan_use)use, OT_CONV_AUTO, TILE, 0, CONV_TOL));
        }
    PASS();
}

TEST pools_agree_with_ref(void)
{
    static const struct { int c, h, w, k, s, p, pb, count_pad; } rows[] = {{6, 8, 8, 2, 2, 0, 0, 0}, {3, 7, 7, 3, 2, 1, 1, 0}, {17, 5, 6, 3, 1, 1, 1, 1}, {32, 9, 9, 2, 2, 0, 1, 1}, {1, 4, 4, 4, 4, 0, 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int kind = OT_STEP_MAX_POOL; kind <= OT_STEP_GLOBAL_AVG; kind++)
            for (int add = 0; add < 2; add++) {
                int all = kind == OT_STEP_GLOBAL_AVG;
                ot_layer layer = {.op = OT_OP_MAX_POOL, .name = "pool", .crossbar = -1, .kh = rows[i].k, .kw = rows[i].k, .sh = rows[i].s, .sw = rows[i].s, .pt = rows[i].p, .pl = rows[i].p,
                                  .pb = rows[i].pb, .pr = rows[i].pb, .count_pad = rows[i].count_pad};
                int oh = all ? 1 : pooled(rows[i].h, rows[i].k, rows[i].s, rows[i].p, rows[i].pb), ow = all ? 1 : pooled(rows[i].w, rows[i].k, rows[i].s, rows[i].p, rows[i].pb);
                ot_step step = {.kind = (ot_step_kind)kind, .layer = &layer, .in = {rows[i].c, rows[i].h, rows[i].w}, .out = {rows[i].c, oh, ow}, .res = -1, .dst = 1};
                int ok = same_on_both(&step, OT_PLAN_TUNE, OT_CONV_AUTO, TILE - add, add, /* at most 81 terms */ 1e-6);
                if (!ok) printf("pool %zu kind %d\n", i, kind);
                ASSERTm("cpu agrees with ref", ok);
            }
    PASS();
}

TEST elementwise_steps_agree_with_ref(void)
{
    static const ot_shape shapes[] = {{1, 5, 5}, {3, 4, 4}, {16, 9, 9}, {21, 3, 5}, {10, 1, 1}, {64, 8, 8}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int kind = 0; kind < 7; kind++) {
            ot_layer layer = {.op = OT_OP_BATCH_NORM, .name = "layer", .crossbar = -1, .eps = 1e-5f, .c = shapes[i].c}, relu = {.op = OT_OP_RELU, .name = "relu", .crossbar = -1, .clip = kind == 2 ? 1.0f : INFINITY};
            ot_step step = {.kind = kind < 2 || kind >= 5 ? OT_STEP_AFFINE : kind == 2 ? OT_STEP_RELU : OT_STEP_ADD, .layer = &layer, .affine = kind < 2 || kind >= 5 ? &layer : NULL,
                            .relu = kind && kind < 5 ? &relu : NULL, .in = shapes[i], .out = shapes[i], .src = 0, .res = kind == 3 ? 2 : kind == 4 ? 0 : -1, .dst = 1, .batch = kind == 5};
            /* batch norm: the mean over n of g - mean(g) ... cancels; a few hundred terms in float between doubles */
            int ok = same_on_both(&step, kind < 5 ? OT_PLAN_TUNE : OT_PLAN_TRAIN, OT_CONV_AUTO, TILE, 0, 1e-5);
            if (!ok) printf("shape %zu kind %d\n", i, kind);
            ASSERTm("cpu agrees with ref", ok);
        }
    PASS();
}

TEST moving_steps_agree_with_ref(void)
{
    struct { ot_step_kind kind; ot_shape in, out; ot_layer l; } rows[] = {
        {OT_STEP_PAD, {16, 4, 4}, {32, 4, 4}, {.pad_before = {8, 0, 0}}},
        {OT_STEP_PAD, {32, 4, 4}, {64, 4, 4}, {.pad_before = {16, 0, 0}}},
        {OT_STEP_PAD, {3, 4, 4}, {5, 7, 6}, {.pad_before = {1, 2, 1}, .pad_value = 1.5f}},
        {OT_STEP_SLICE, {16, 8, 8}, {16, 4, 4}, {.slice_step = {1, 2, 2}}},
        {OT_STEP_SLICE, {20, 5, 5}, {3, 2, 3}, {.slice_start = {2, 1, 0}, .slice_step = {5, 3, 2}}},
        {OT_STEP_RESHAPE, {16, 4, 4}, {256, 1, 1}, {0}},
        {OT_STEP_RESHAPE, {128, 1, 1}, {128, 1, 1}, {0}},
        {OT_STEP_RESHAPE, {3, 4, 2}, {2, 3, 4}, {0}},
        {OT_STEP_RESHAPE, {48, 1, 1}, {3, 4, 4}, {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int add = 0; add < 2; add++) {
            rows[i].l.name = "move", rows[i].l.crossbar = -1, rows[i].l.op = OT_OP_PAD;
            ot_step step = {.kind = rows[i].kind, .layer = &rows[i].l, .in = rows[i].in, .out = rows[i].out, .res = -1, .dst = 1};
            int ok = same_on_both(&step, OT_PLAN_TUNE, OT_CONV_AUTO, TILE - add, add, /* moved, added once */ 1e-7);
            if (!ok) printf("row %zu\n", i);
            ASSERTm("cpu agrees with ref", ok);
        }
    PASS();
}

/* Direct, Winograd, depthwise, dense by sgemm, batch norm, a move: opening fails at its n-th allocation, for every n, and leaves nothing. */
TEST opening_survives_any_failed_allocation(void)
{
    float dummy = 0;
    ot_layer conv = {.op = OT_OP_CONV, .name = "conv", .in_c = 32, .c = 32, .h = 6, .w = 6, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .weight = &dummy};
    ot_layer depthwise = conv, dense = {.op = OT_OP_DENSE, .name = "dense", .in_c = 600, .c = 520, .h = 1, .w = 1, .groups = 1, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .weight = &dummy};
    ot_layer norm = {.op = OT_OP_BATCH_NORM, .name = "bn", .c = 32, .crossbar = -1}, pad = {.op = OT_OP_PAD, .name = "pad", .crossbar = -1};
    depthwise.groups = 32;
    const ot_shape image = {32, 6, 6};
    const ot_step steps[] = {
        {.kind = OT_STEP_CONV, .layer = &conv, .in = image, .out = image, .res = -1},          {.kind = OT_STEP_CONV, .layer = &depthwise, .in = image, .out = image, .res = -1},
        {.kind = OT_STEP_DENSE, .layer = &dense, .in = {600, 1, 1}, .out = {520, 1, 1}, .res = -1}, {.kind = OT_STEP_AFFINE, .layer = &norm, .affine = &norm, .in = image, .out = image, .res = -1, .batch = 1},
        {.kind = OT_STEP_PAD, .layer = &pad, .in = image, .out = {64, 6, 6}, .res = -1}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int how = OT_CONV_AUTO; how <= OT_CONV_WINOGRAD; how++) {
            ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
            opt.use = steps[i].batch ? OT_PLAN_TRAIN : OT_PLAN_TUNE;
            opt.conv = (ot_conv_choice)how;
            size_t before = ot_memory_now().live;
            for (size_t n = 1;; n++) {
                void  *ctx, *op;
                size_t bytes, scratch;
                ot_memory_fail_at(n);
                ot_status st = ot__backend_cpu.open(&ctx, "");
                if (st == OT_OK) {
                    st = ot__backend_cpu.step_open(ctx, &op, &steps[i], TILE, &opt, &bytes, &scratch);
                    if (st == OT_OK) ot__backend_cpu.step_close(ctx, op);
                    ot__backend_cpu.close(ctx);
                }
                ot_memory_fail_at(0);
                ASSERT_EQ(before, ot_memory_now().live);
                if (st == OT_OK) break;
                ASSERT_EQ(OT_E_NOMEM, st);
            }
        }
    PASS();
}

typedef struct worker { pthread_t thread; float dst[8 * 32 * 36]; int ok; } worker;

static void *work(void *arg)
{
    worker *w = arg;
    ot_layer conv = {.op = OT_OP_CONV, .name = "conv", .in_c = 32, .c = 32, .h = 6, .w = 6, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .weight = w->dst};
    ot_step step = {.kind = OT_STEP_CONV, .layer = &conv, .in = {32, 6, 6}, .out = {32, 6, 6}, .res = -1, .dst = 1};
    check_rng r = {.s = 11};
    numbers m = {.src = filled(&r, 32 * 36 * TILE, 1.0), .g = filled(&r, 32 * 36 * TILE, 1.0), .weight = filled(&r, 32 * 32 * 9, 0.3), .bias = filled(&r, 32, 0.5)};
    outputs(&m, &step, 0, 0);
    w->ok = 1;
    for (int i = 0; i < 5; i++) w->ok &= run_step(&ot__backend_cpu, &step, OT_PLAN_TUNE, OT_CONV_WINOGRAD, TILE, 0, &m);
    memcpy(w->dst, m.dst, sizeof(float) * 32 * 36 * TILE);
    release(&m, 1);
    return NULL;
}

TEST threads_get_the_same_bits(void)
{
    static worker alone, four[4];
    work(&alone);
    ASSERT(alone.ok);
    for (int i = 0; i < 4; i++) ASSERT_EQ(0, pthread_create(&four[i].thread, NULL, work, &four[i]));
    for (int i = 0; i < 4; i++) ASSERT_EQ(0, pthread_join(four[i].thread, NULL));
    for (int i = 0; i < 4; i++) ASSERTm("the same bits beside three others", four[i].ok && !memcmp(alone.dst, four[i].dst, sizeof(float) * 32 * 36 * TILE));
    PASS();
}

SUITE(test_cpu)
{
    RUN_TEST(threads_get_the_same_bits);
    RUN_TEST(opening_survives_any_failed_allocation);
    RUN_TEST(convolution_agrees_with_ref);
    RUN_TEST(winograd_agrees_with_ref);
    RUN_TEST(weight_gradients_agree_with_ref);
    RUN_TEST(dense_agrees_with_ref);
    RUN_TEST(pools_agree_with_ref);
    RUN_TEST(elementwise_steps_agree_with_ref);
    RUN_TEST(moving_steps_agree_with_ref);
}

/* test_backend.c - the conformance suite: a backend is done when this passes on it (docs/backends.md).
 *
 * Every row of backend_cases.c runs on every backend of this build, forward and backward.  ref is held against naive.c, the others
 * against ref.  All memory a backend gets is NaN first, images beyond the n that count too; guard words stand on both sides; what a
 * step may only read must be unchanged afterwards.  g is 0 where a pre-activation is so close to 0 or the clip that float and double
 * may disagree on which side it lies. */
#include "backend_cases.h"
#include "check.h"
#include "naive.h"
#include "nets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, SOME_ROWS = 11, SMALL_ROWS = 13 };    /* on the emulator: every n-th row of tf32 and fp16, of all under sanitizers */

static size_t size(ot_shape s) { return (size_t)s.c * (size_t)s.h * (size_t)s.w; }

/* --- numbers --- */

typedef struct results {
    float *before, *dst, *first, *tap, *dsrc, *dres, *mean, *var, *dweight, *dbias, *dgamma, *dbeta;   /* first: image 0 run alone */
    double grad_gain, grad_offset;
} results;

typedef struct sizes { size_t in, out, c, weights; } sizes;    /* of the n images that count */

static sizes sizes_of(const backend_case *c)
{
    size_t n = (size_t)c->n;
    return (sizes){size(c->step.in) * n, size(c->step.out) * n, (size_t)c->step.out.c, ot_layer_weights(&c->layer)};
}

static float *poisoned(size_t n)
{
    float *p = ot_alloc(n + 1, sizeof *p);
    check_poison(p, n);
    return p;
}

static void results_open(results *r, sizes z, int n)
{
    *r = (results){poisoned(z.out), poisoned(z.out), poisoned(z.out), poisoned((size_t)n), poisoned(z.in), poisoned(z.out), poisoned(z.c), poisoned(z.c),
                   poisoned(z.weights), poisoned(z.c), poisoned(z.c), poisoned(z.c), NAN, NAN};
}

static void results_close(results *r)
{
    float *all[] = {r->before, r->dst, r->first, r->tap, r->dsrc, r->dres, r->mean, r->var, r->dweight, r->dbias, r->dgamma, r->dbeta};
    for (int i = 0; i < 12; i++) ot_free(all[i]);
}

static float *normal(check_rng *r, size_t n, double sd)
{
    float *p = ot_alloc(n + 1, sizeof *p);
    check_fill_normal(r, p, n, sd);
    return p;
}

typedef struct numbers { float *src, *res, *g, *weight, *bias, *scale, *shift, *dsrc0, *dres0; } numbers;   /* dsrc0: there before adding */

static void numbers_open(numbers *m, const backend_case *c, sizes z)
{
    check_rng r = {(uint64_t)c->name[3] + 7 * z.in + z.out};
    size_t    fan = z.weights ? z.weights / z.c : 1;
    *m = (numbers){.src = normal(&r, z.in, 1), .g = normal(&r, z.out, 1), .dsrc0 = normal(&r, z.in, 1), .dres0 = normal(&r, z.out, 1)};
    if (c->flags & HAS_TIES)
        for (size_t i = 0; i < z.in; i++) m->src[i] = rintf(m->src[i]);
    else if (c->step.kind == OT_STEP_MAX_POOL)              /* numbers that halves hold: who is largest must not depend on the format */
        for (size_t i = 0; i < z.in; i++) m->src[i] = rintf(m->src[i] * 128) / 128;
    if (c->flags & HAS_RES) m->res = c->flags & ADD_SELF ? m->src : normal(&r, z.out, 1);
    if (z.weights) m->weight = normal(&r, z.weights, 1 / sqrt((double)fan));       /* outputs of size 1 */
    if (c->flags & HAS_BIAS) m->bias = normal(&r, z.c, 0.5);
    if (c->step.affine) {
        m->scale = normal(&r, z.c, 1);
        m->shift = normal(&r, z.c, 0.5);
    }
}

static void numbers_close(numbers *m)
{
    float *all[] = {m->src == m->res ? NULL : m->src, m->res, m->g, m->weight, m->bias, m->scale, m->shift, m->dsrc0, m->dres0};
    for (int i = 0; i < 9; i++) ot_free(all[i]);
}

/* --- memory with guards, wherever the backend has it --- */

typedef struct block { char *all; size_t bytes; } block;

static void *mem(block b) { return b.all + GUARD; }

static void flood(const ot_backend_i *i, void *ctx, void *at, int byte, size_t bytes)
{
    if (i->many) i->many->fill(ctx, at, byte, bytes);
    else memset(at, byte, bytes);
}

static void peek(const ot_backend_i *i, void *ctx, void *to, const void *at, size_t bytes)
{
    if (i->many) i->many->read(ctx, to, at, bytes);
    else memcpy(to, at, bytes);
}

static int block_open(block *b, const ot_backend_i *i, void *ctx, size_t bytes)
{
    void *p;
    if (i->alloc(ctx, &p, bytes + 2 * GUARD) != OT_OK) return 0;
    *b = (block){p, bytes};
    flood(i, ctx, b->all, 0x5a, bytes + 2 * GUARD);
    flood(i, ctx, b->all + GUARD, 0xff, bytes);             /* NaN, as float and as double */
    return 1;
}

static int intact(const ot_backend_i *i, void *ctx, block b)
{
    char guards[2 * GUARD];
    peek(i, ctx, guards, b.all, GUARD);
    peek(i, ctx, guards + GUARD, b.all + GUARD + b.bytes, GUARD);
    for (size_t k = 0; k < 2 * GUARD; k++)
        if (guards[k] != 0x5a) return 0;
    return 1;
}

/* --- one row on one backend --- */

enum { SRC, RES, DST, G, DSRC, DRES, SCRATCH, BLOCKS };

typedef struct bench { const ot_backend_i *i; void *ctx, *op; block b[BLOCKS]; } bench;

/* A backend with its flavour. */
typedef struct subject { const ot_backend_i *i; const char *name, *flavour; } subject;

#define MUST(EXPR)                                                       \
    do {                                                                 \
        if (!(EXPR)) {                                                   \
            printf("\n%s: %s: %s\n", c->name, #EXPR, ot_last_error());   \
            return 0;                                                    \
        }                                                                \
    } while (0)

static int run_forward(bench *t, const backend_case *c, const numbers *m, results *r)
{
    const ot_step *s = &c->step;
    size_t         src_bytes = t->b[SRC].bytes, res_bytes = t->b[RES].bytes;
    const void    *res = s->res < 0 ? NULL : c->flags & ADD_SELF ? mem(t->b[SRC]) : mem(t->b[RES]);
    ot_step_run    run = {.n = c->n, .gain = 1.3f, .offset = -0.2f, .skip_relu = 1};
    MUST(t->i->step_load(t->ctx, t->op, m->weight, m->bias, m->scale, m->shift) == OT_OK);
    MUST(t->i->put(t->ctx, mem(t->b[SRC]), s->in, c->n, m->src) == OT_OK);
    if (s->res >= 0) MUST(t->i->put(t->ctx, mem(t->b[RES]), s->out, c->n, m->res) == OT_OK);
    char *keep = malloc(2 * (src_bytes + res_bytes)), *now = keep + src_bytes + res_bytes;
    MUST(keep != NULL);
    peek(t->i, t->ctx, keep, mem(t->b[SRC]), src_bytes);
    peek(t->i, t->ctx, keep + src_bytes, mem(t->b[RES]), res_bytes);
    MUST(t->i->forward(t->ctx, t->op, mem(t->b[SRC]), res, mem(t->b[DST]), mem(t->b[SCRATCH]), &run) == OT_OK);
    MUST(t->i->get(t->ctx, r->before, s->out, c->n, mem(t->b[DST])) == OT_OK);
    if (!s->batch) {                                        /* image 0 alone, the others still there */
        run.n = 1;
        flood(t->i, t->ctx, mem(t->b[DST]), 0xff, t->b[DST].bytes);
        MUST(t->i->forward(t->ctx, t->op, mem(t->b[SRC]), res, mem(t->b[DST]), mem(t->b[SCRATCH]), &run) == OT_OK);
        MUST(t->i->get(t->ctx, r->first, s->out, 1, mem(t->b[DST])) == OT_OK);
        MUST(!memcmp(r->first, r->before, size(s->out) * sizeof(float)));
    }
    run = (ot_step_run){.n = c->n, .gain = 1.3f, .offset = -0.2f, .tap = r->tap};
    flood(t->i, t->ctx, mem(t->b[DST]), 0xff, t->b[DST].bytes);
    flood(t->i, t->ctx, mem(t->b[SCRATCH]), 0xff, t->b[SCRATCH].bytes);
    MUST(t->i->forward(t->ctx, t->op, mem(t->b[SRC]), res, mem(t->b[DST]), mem(t->b[SCRATCH]), &run) == OT_OK);
    MUST(t->i->get(t->ctx, r->dst, s->out, c->n, mem(t->b[DST])) == OT_OK);
    if (s->batch) MUST(t->i->batch_statistics(t->ctx, t->op, r->mean, r->var) == OT_OK);
    peek(t->i, t->ctx, now, mem(t->b[SRC]), src_bytes);
    peek(t->i, t->ctx, now + src_bytes, mem(t->b[RES]), res_bytes);
    MUST(!memcmp(keep, now, src_bytes + res_bytes));
    free(keep);
    return 1;
}

static int run_backward(bench *t, const backend_case *c, const numbers *m, results *r)
{
    const ot_step *s = &c->step;
    int            train = c->use == OT_PLAN_TRAIN, self = (c->flags & ADD_SELF) != 0;
    ot_step_back   back = {.n = c->n, .gain = 1.3f, .offset = -0.2f, .add_src = c->add, .add_res = c->add || self};
    if (s->relu) back.grad_gain = &r->grad_gain, back.grad_offset = &r->grad_offset;
    if (train && m->weight) back.grad_weight = r->dweight;
    if (train && m->bias) back.grad_bias = r->dbias;
    if (train && s->affine) back.grad_beta = r->dbeta;
    if (s->batch) back.grad_gamma = r->dgamma;
    MUST(t->i->put(t->ctx, mem(t->b[G]), s->out, c->n, m->g) == OT_OK);
    if (c->add) {
        MUST(t->i->put(t->ctx, mem(t->b[DSRC]), s->in, c->n, m->dsrc0) == OT_OK);
        MUST(t->i->put(t->ctx, mem(t->b[DRES]), s->out, c->n, m->dres0) == OT_OK);
    }
    flood(t->i, t->ctx, mem(t->b[SCRATCH]), 0xff, t->b[SCRATCH].bytes);
    void *dres = s->res < 0 ? NULL : self ? mem(t->b[DSRC]) : mem(t->b[DRES]);
    MUST(t->i->backward(t->ctx, t->op, mem(t->b[SRC]), mem(t->b[DST]), mem(t->b[G]), mem(t->b[DSRC]), dres, mem(t->b[SCRATCH]), &back) == OT_OK);
    MUST(t->i->get(t->ctx, r->dsrc, s->in, c->n, mem(t->b[DSRC])) == OT_OK);
    if (s->res >= 0 && !self) MUST(t->i->get(t->ctx, r->dres, s->out, c->n, mem(t->b[DRES])) == OT_OK);
    return 1;
}

static void clear_kinks(const backend_case *c, numbers *m, const float *before, double near)
{
    sizes z = sizes_of(c);
    for (size_t e = 0; c->step.relu && e < z.out; e++) {
        double v = ((double)before[e] + 0.2) * 1.3;
        if (fabs(v) < near || fabs(v - (double)c->step.relu->clip) < near) m->g[e] = 0;
    }
}

/* All of a row; `m->g` is cleaned of elements too close to a kink before it is used. */
static int run_on(subject on, const backend_case *c, numbers *m, results *r, double clean)
{
    const ot_backend_i *i = on.i;
    bench           t = {.i = i};
    size_t          op_bytes = 0, scratch_bytes = 0;
    ot_plan_options opt = {.use = c->use, .tile = c->tile, .conv = c->conv};
    MUST(i->open(&t.ctx, on.flavour) == OT_OK);
    MUST(i->step_open(t.ctx, &t.op, &c->step, c->tile, &opt, &op_bytes, &scratch_bytes) == OT_OK);
    MUST(i->step_algorithm(t.op) != NULL);
    size_t in = i->tensor_bytes(t.ctx, c->step.in, c->tile), out = i->tensor_bytes(t.ctx, c->step.out, c->tile);
    const size_t bytes[BLOCKS] = {in, out, out, out, in, out, scratch_bytes};
    for (int k = 0; k < BLOCKS; k++) MUST(block_open(&t.b[k], i, t.ctx, bytes[k]));
    int ok = run_forward(&t, c, m, r);
    if (ok && clean > 0) clear_kinks(c, m, r->before, clean);
    if (ok && c->use != OT_PLAN_FORWARD) ok = run_backward(&t, c, m, r);
    for (int k = 0; k < BLOCKS; k++) {
        MUST(intact(i, t.ctx, t.b[k]));
        i->free(t.ctx, t.b[k].all);
    }
    i->step_close(t.ctx, t.op);
    i->close(t.ctx);
    return ok;
}

/* --- what is wanted --- */

static void from_doubles(float *to, const double *from, size_t n)
{
    for (size_t e = 0; e < n; e++) to[e] = (float)from[e];
}

/* The row by naive.c, as a backend would give it. */
static void run_naive(const backend_case *c, const numbers *m, results *r)
{
    sizes    z = sizes_of(c);
    naive_in in = {m->src, m->res, m->g, m->weight, m->bias, m->scale, m->shift, 1.3f, -0.2f};
    double  *all = ot_alloc(2 * z.in + 4 * z.out + (size_t)c->n + 6 * z.c + z.weights, sizeof *all), *p = all;
    naive_out o = {0};
    o.before = p, p += z.out;
    o.dst = p, p += z.out;
    o.dsrc = p, p += z.in;
    o.dres = p, p += z.out;
    o.tap = p, p += c->n;
    o.mean = p, p += z.c;
    o.var = p, p += z.c;
    o.dweight = p, p += z.weights;
    o.dbias = p, p += z.c;
    o.dgamma = p, p += z.c;
    o.dbeta = p;
    naive_step(&o, &c->step, &in, c->n);
    for (size_t e = 0; e < z.in && c->flags & ADD_SELF; e++) o.dsrc[e] += o.dres[e];
    for (size_t e = 0; e < z.in && c->add; e++) o.dsrc[e] += (double)m->dsrc0[e];
    for (size_t e = 0; e < z.out && c->add; e++) o.dres[e] += (double)m->dres0[e];
    from_doubles(r->before, o.before, z.out);
    from_doubles(r->dst, o.dst, z.out);
    from_doubles(r->tap, o.tap, (size_t)c->n);
    from_doubles(r->dsrc, o.dsrc, z.in);
    from_doubles(r->dres, o.dres, z.out);
    from_doubles(r->mean, o.mean, z.c);
    from_doubles(r->var, o.var, z.c);
    from_doubles(r->dweight, o.dweight, z.weights);
    from_doubles(r->dbias, o.dbias, z.c);
    from_doubles(r->dgamma, o.dgamma, z.c);
    from_doubles(r->dbeta, o.dbeta, z.c);
    r->grad_gain = o.grad_gain;
    r->grad_offset = o.grad_offset;
    ot_free(all);
}

/* A sum of N products whose size is 1 (weights and data are scaled so): each of N float additions rounds by up to eps / 2 of the sum
 * so far, with either sign, so that they add up like sqrt(N) eps; 4 times that, and 8 eps for batch norm, addition and T-ReLU.
 * On tensor cores operands carry 11 bits: each product is off by up to 2 eps, eps = 2^-11, of its size 1/sqrt(N), which adds up to 1.4 eps
 * whatever N is, 5 sd of that and the result's own rounding are 8 eps.  Winograd's transforms lose another digit.  `exact`: doubles that are rounded to float on their way out, once. */
static double tolerance(const float *want, size_t n, double terms, int exact, int winograd, double eps)
{
    double top = check_max_f32(want, n);
    if (eps > 0) return eps * 8 * (1 + top);
    if (exact) return 2e-7 * (1 + top);
    return 6e-8 * (8 + 4 * sqrt(terms)) * (winograd ? 10 : 1) * (1 + top);
}

/* Operands' rounding on tensor cores; 0: they are floats. */
static double on_eps(subject on) { return !strncmp(on.flavour, "fp16", 4) || !strncmp(on.flavour, "tf32", 4) ? 4.9e-4 : 0; }

#define NEAR(FIELD, N, TERMS)                                                                                                        \
    do {                                                                                                                             \
        if (!check_close_f32(want.FIELD, got.FIELD, (N), tolerance(want.FIELD, (N), (TERMS), exact, winograd, on_eps(on)), #FIELD)) {            \
            printf("row %s\n", c->name);                                                                                             \
            ok = 0;                                                                                                                  \
        }                                                                                                                            \
    } while (0)

static int row_agrees(const backend_case *c, subject on)
{
    sizes   z = sizes_of(c);
    numbers m;
    results want, got;
    const ot_backend_i *backend = on.i;
    const subject ref = {&ot__backend_ref, "ref", ""};
    int     exact = backend == &ot__backend_ref, winograd = c->conv != OT_CONV_DIRECT && c->step.kind == OT_STEP_CONV, ok = 1;
    int     self = (c->flags & ADD_SELF) != 0, train = c->use == OT_PLAN_TRAIN, back = c->use != OT_PLAN_FORWARD;
    double  terms = z.weights ? (double)(z.weights / z.c) : 1, window = c->layer.kh * c->layer.kw > 0 ? c->layer.kh * c->layer.kw : (double)size(c->step.in);
    double  back_terms = z.weights ? (double)z.c * window : window, images = (double)c->n * c->step.out.h * c->step.out.w;
    numbers_open(&m, c, z);
    results_open(&want, z, c->n);
    results_open(&got, z, c->n);
    if (exact) {
        ok = run_on(on, c, &m, &got, 1e-4);
        run_naive(c, &m, &want);
    } else {
        ok = run_on(ref, c, &m, &want, on_eps(on) > 0 ? 4e-2 : 1e-4) && run_on(on, c, &m, &got, 0);
    }
    if (ok) {
        double spread = c->step.batch ? images : 1;
        NEAR(before, z.out, terms + spread);
        NEAR(dst, z.out, terms + spread);
        NEAR(tap, (size_t)c->n, terms + spread);
        if (back) NEAR(dsrc, z.in, back_terms + spread);
        if (back && c->step.res >= 0 && !self) NEAR(dres, z.out, 1.0);
        if (c->step.batch) {
            NEAR(mean, z.c, images);
            NEAR(var, z.c, images);
            NEAR(dgamma, z.c, images);
        }
        if (train && m.weight) NEAR(dweight, z.weights, images);
        if (train && m.bias) NEAR(dbias, z.c, images);
        if (train && c->step.affine) NEAR(dbeta, z.c, images);
        if (back && c->step.relu) {
            double sum = 1;                                 /* of the sizes of what is added up */
            for (size_t e = 0; e < z.out; e++) sum += fabs((double)m.g[e]) * (1 + fabs((double)want.dst[e]));
            ok = ok && check_close_f64(&want.grad_gain, &got.grad_gain, 1, (exact ? 2e-7 : on_eps(on) > 0 ? 2e-3 : 4e-6) * sum, "grad_gain");
            ok = ok && check_close_f64(&want.grad_offset, &got.grad_offset, 1, (exact ? 2e-7 : on_eps(on) > 0 ? 2e-3 : 4e-6) * sum, "grad_offset");
        }
    }
    results_close(&want);
    results_close(&got);
    numbers_close(&m);
    return ok;
}

TEST step_agrees(const backend_case *c, subject on)
{
    if (c->use == OT_PLAN_TRAIN && !strncmp(on.flavour, "fp16", 4)) PASS();      /* refused: tested in test_cuda.c */
    ASSERTm(c->name, row_agrees(c, on));
    PASS();
}

/* --- what is not a step --- */

TEST put_and_get_are_inverse_and_moments_right(subject on)
{
    const ot_backend_i *i = on.i;
    static const ot_shape shapes[] = {{1, 1, 1}, {1, 28, 28}, {3, 5, 4}, {7, 3, 3}, {16, 2, 5}, {17, 1, 1}, {33, 4, 3}, {64, 2, 2}};
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (int n = 1; n <= 9; n += 8) {
            check_rng r = {k};
            size_t    all = size(shapes[k]) * (size_t)n;
            float    *x = normal(&r, all, 2), *y = poisoned(all);
            void     *ctx;
            block     b;
            double    sum = 0, squares = 0, mean = NAN, sd = NAN;
            OK(i->open(&ctx, on.flavour));
            ASSERT(block_open(&b, i, ctx, i->tensor_bytes(ctx, shapes[k], 10)));
            OK(i->put(ctx, mem(b), shapes[k], n, x));
            OK(i->get(ctx, y, shapes[k], n, mem(b)));
            for (size_t e = 0; e < all; e++) ASSERT(y[e] == x[e] || (!strcmp(on.flavour, "fp16") && fabsf(y[e] - x[e]) < 4.9e-4f * fabsf(x[e]) + 1e-7f));
            memcpy(x, y, all * sizeof *x);                      /* what the tensor holds */
            for (size_t e = 0; e < all; e++) sum += (double)x[e];
            double want_mean = sum / (double)all;
            size_t channels = (size_t)shapes[k].c, pixels = size(shapes[k]) / channels;
            for (size_t c = 0; c < channels; c++) {             /* the spread is the channels' own */
                double own = 0;
                for (size_t e = 0; e < all; e++) own += e / pixels % channels == c ? (double)x[e] / (double)(pixels * (size_t)n) : 0;
                for (size_t e = 0; e < all; e++) squares += e / pixels % channels == c ? pow((double)x[e] - own, 2) : 0;
            }
            double want_sd = sqrt(squares / (double)all);
            OK(i->moments(ctx, mem(b), shapes[k], n, &mean, &sd));
            CHECK_CLOSE64(&want_mean, &mean, 1, /* at most 64 floats are added before they become doubles */ 4e-7 * (1 + fabs(want_mean)));
            CHECK_CLOSE64(&want_sd, &sd, 1, 1e-6 * (1 + want_sd));
            ASSERT(intact(i, ctx, b));
            i->free(ctx, b.all);
            i->close(ctx);
            ot_free(x);
            ot_free(y);
        }
    PASS();
}

TEST backends_are_picked_and_say_why(void)
{
    ot_backend *be;
    const char *why = NULL;
    OK(ot_backend_open(&be, "auto", &why));
    ASSERT(why && (strstr(why, "fastest") || strstr(why, "no GPU: using")));
    ASSERT(*ot_backend_detail(be));
    ot_backend_close(be);
    for (int k = 0; net_backend(k); k++) {
        OK(ot_backend_open(&be, net_backend(k), &why));
        ASSERT_STR_EQ(net_backend(k), ot_backend_name(be));
        ASSERT(strstr(why, "asked for"));
        ot_backend_close(be);
    }
    FAILS(OT_E_BACKEND, "want one of auto", ot_backend_open(&be, "tpu", NULL));
    PASS();
}

SUITE(test_backend)
{
    int           n;
    backend_case *cases = backend_cases(&n);
    RUN_TEST(backends_are_picked_and_say_why);
#ifdef OT_SIMT                                              /* the emulator takes its time, and the others ran elsewhere */
    static const char *const names[] = {"cuda", "cuda:tf32", "cuda:fp16", "cuda:fp32+libs=*:libs,libs,libs", "cuda:tf32+libs=*:libs,libs,libs",
                                        "cuda:fp16+libs=*:libs,libs"};
    const int small = getenv("OT_SMALL") != NULL, some = !getenv("OT_ALL");
#else
    static const char *const names[] = {"ref", "cpu", "cuda", "cuda:tf32", "cuda:fp16", "cuda:fp32+libs=*:libs,libs,libs", "cuda:fp16+libs=*:libs,libs"};
    const int small = 0, some = 0;
#endif
    for (size_t b = 0; b < sizeof names / sizeof *names; b++) {
        const char *name = names[b];
        ot_backend *be;
        char        suffix[128];
        if (ot_backend_open(&be, name, NULL) != OT_OK) continue;
        const char   *colon = strchr(name, ':');
        const subject on = {be->i, name, colon ? colon + 1 : ""};
        const int     libs = strchr(name, '=') != NULL;      /* libraries do convolutions, the rest is as without */
        ot_backend_close(be);
        greatest_set_test_suffix(name);
        if (!libs) RUN_TESTp(put_and_get_are_inverse_and_moments_right, on);
        const int every = small ? SMALL_ROWS : some && colon ? SOME_ROWS : 1;
        if (every > 1) printf("every %dth row on %s; OT_ALL=1 runs all\n", every, name);
        for (int k = 0; k < n; k += every) {
            if (libs && cases[k].step.kind != OT_STEP_CONV && cases[k].step.kind != OT_STEP_DENSE) continue;
            snprintf(suffix, sizeof suffix, "%.22s_%.95s", name, cases[k].name);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(step_agrees, &cases[k], on);
        }
    }
    free(cases);
}

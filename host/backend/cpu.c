/* cpu.c - the cpu backend: its table, its memory and layout, and every step but what cpu_conv.c, cpu_move.c and cpu_norm.c do. */
#include "backend/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- context, memory, layout ---- */

/* The widest loops this processor runs; $OHMTRIM_CPU=avx2 or baseline asks for less, so that machines give equal bits. */
static const ot__cpu_loops *pick(const char **isa)
{
#ifdef OT_CPU_X86
    const char *most = getenv("OHMTRIM_CPU");
    __builtin_cpu_init();
    int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (most && !strcmp(most, "avx2")) v4 = 0;
    if (most && !strcmp(most, "baseline")) v3 = v4 = 0;
    *isa = v4 ? "avx512" : "avx2";
    if (v4) return &ot__cpu_loops_16;
    if (v3) return &ot__cpu_loops_8;
#endif
    *isa = "baseline";
    return &ot__cpu_loops_4;
}

static ot_status cpu_open(void **ctx, const char *flavour)
{
    if (*flavour) OT_FAIL(OT_E_BACKEND, "backend 'cpu:%s', want 'cpu' alone", flavour);
    ot__cpu *cpu = ot_alloc(1, sizeof *cpu);
    if (!cpu) OT_NOMEM("cpu backend", sizeof *cpu);
    cpu->loops = pick(&cpu->isa);
    ot_status st = ot__dnnl_open(&cpu->dnnl);
    if (st != OT_OK) ot_free(cpu);
    else *ctx = cpu;
    return st;
}

static void cpu_close(void *ctx)
{
    ot__cpu *cpu = ctx;
    ot__dnnl_close(cpu->dnnl);
    ot_free(cpu);
}

static void cpu_detail(void *ctx, char *text, size_t n)
{
    const ot__cpu *cpu = ctx;
    char library[64];
    ot__dnnl_detail(library, sizeof library);
    snprintf(text, n, "own loops %s, %s", cpu->isa, library);
}

ot__cpu_view ot__cpu_view_of(ot_shape s)
{
    ot__cpu_view v = {.c = s.c, .h = s.h, .w = s.w, .b = s.c <= OT_THIN ? s.c : OT_BLOCK};
    v.nb = (s.c + v.b - 1) / v.b;
    v.pixel = (size_t)v.b;
    v.block = (size_t)s.h * (size_t)s.w * v.pixel;
    v.image = v.block * (size_t)v.nb;
    return v;
}

size_t ot__cpu_channels(ot__cpu_view v) { return (size_t)v.nb * (size_t)v.b; }

static size_t cpu_tensor_bytes(void *ctx, ot_shape s, int n)
{
    (void)ctx;
    return ot__cpu_view_of(s).image * (size_t)n * sizeof(float);
}

static ot_status cpu_alloc(void *ctx, void **mem, size_t bytes)
{
    (void)ctx;
    *mem = ot_alloc(bytes, 1);
    if (!*mem) OT_NOMEM("cpu backend", bytes);
    return OT_OK;
}

static void cpu_free(void *ctx, void *mem)
{
    (void)ctx;
    ot_free(mem);
}

static ot_status cpu_put(void *ctx, void *dst, ot_shape s, int n, const float *nchw)
{
    (void)ctx;
    ot__cpu_view v = ot__cpu_view_of(s);
    size_t pixels = (size_t)s.h * (size_t)s.w;
    float *out = dst;
    if (s.c % v.b) memset(out, 0, (size_t)n * v.image * sizeof *out);
    for (int i = 0; i < n; i++, out += v.image)
        for (int c = 0; c < s.c; c++, nchw += pixels) {
            float *to = out + (size_t)(c / v.b) * v.block + (size_t)(c % v.b);
            for (size_t p = 0; p < pixels; p++) to[p * v.pixel] = nchw[p];
        }
    return OT_OK;
}

static ot_status cpu_get(void *ctx, float *nchw, ot_shape s, int n, const void *src)
{
    (void)ctx;
    ot__cpu_view v = ot__cpu_view_of(s);
    size_t pixels = (size_t)s.h * (size_t)s.w;
    const float *in = src;
    for (int i = 0; i < n; i++, in += v.image)
        for (int c = 0; c < s.c; c++, nchw += pixels) {
            const float *from = in + (size_t)(c / v.b) * v.block + (size_t)(c % v.b);
            for (size_t p = 0; p < pixels; p++) nchw[p] = from[p * v.pixel];
        }
    return OT_OK;
}

/* ---- steps ---- */

static int is_conv(const ot__cpu_op *op) { return op->step.kind == OT_STEP_CONV || op->step.kind == OT_STEP_DENSE; }
static int is_norm(const ot__cpu_op *op) { return op->step.kind == OT_STEP_AFFINE && op->step.batch; }

static void cpu_step_close(void *ctx, void *p)
{
    (void)ctx;
    ot__cpu_op *op = p;
    if (!op) return;
    ot__cpu_conv_close(op);
    ot__cpu_norm_close(op);
    ot_free(op->from);
    ot_free(op->scale);
    ot_free(op->shift);
    ot_free(op->clip);
    ot_free(op);
}

static ot_status open_kind(ot__cpu_op *op, const ot_plan_options *opt)
{
    const ot_layer *l = op->step.layer;
    switch (op->step.kind) {
    case OT_STEP_CONV: case OT_STEP_DENSE: return ot__cpu_conv_open(op, opt);
    case OT_STEP_PAD: case OT_STEP_SLICE: case OT_STEP_RESHAPE: return ot__cpu_move_open(op);
    case OT_STEP_GLOBAL_AVG:
        op->window = (ot__cpu_window){.kh = op->in.h, .kw = op->in.w, .sh = 1, .sw = 1};
        break;
    case OT_STEP_MAX_POOL: case OT_STEP_AVG_POOL:
        op->window = (ot__cpu_window){.kh = l->kh, .kw = l->kw, .sh = l->sh, .sw = l->sw, .pt = l->pt, .pl = l->pl, .pb = l->pb, .pr = l->pr, .count_pad = l->count_pad};
        break;
    case OT_STEP_AFFINE: if (op->step.batch) return ot__cpu_norm_open(op); break;
    case OT_STEP_SPIKE: ot__cpu_spike_open(op, opt); break;
    case OT_STEP_ADD: case OT_STEP_RELU: break;
    }
    return OT_OK;
}

/* `clip` becomes where nothing passes going back (the edge itself does); going forward it is beyond the last code, where clips change nothing. */
static void take_codes(ot__cpu_op *op, const ot_layer *relu, const ot_plan_options *opt)
{
    const double edge = (relu->codes + (opt->relu_ste == OT_STE_CLIPPED ? 0.5 : 0.0)) * (double)relu->step;
    const float  top = nextafterf((float)edge, INFINITY);
    op->codes = (float)relu->codes;
    op->step_size = relu->step;
    for (int c = 0; opt->relu_ste != OT_STE_IDENTITY && c < op->out.c; c++)
        if (top < op->clip[c]) op->clip[c] = top;
}

static ot_status cpu_step_open(void *ctx, void **out, const ot_step *step, int tile, const ot_plan_options *opt, size_t *op_bytes, size_t *scratch_bytes)
{
    ot__cpu_op *op = ot_alloc(1, sizeof *op);
    ot_status st = OT_OK;
    if (!op) OT_NOMEM("a step", sizeof *op);
    *op = (ot__cpu_op){.cpu = ctx, .step = *step, .use = opt->use, .tile = tile, .in = ot__cpu_view_of(step->in), .out = ot__cpu_view_of(step->out),
                       .algorithm = "vector", .bytes = sizeof *op};
    size_t channels = ot__cpu_channels(op->out);
    op->scale = ot_alloc(channels, sizeof *op->scale);
    op->shift = ot_alloc(channels, sizeof *op->shift);
    op->clip = ot_alloc(channels, sizeof *op->clip);
    op->bytes += 3 * channels * sizeof *op->scale;
    if (!op->scale || !op->shift || !op->clip)
        OT_FAIL_TO(done, st, OT_E_NOMEM, "a step of %d channels: no memory for %zu bytes", op->out.c, op->bytes);
    for (int c = 0; c < op->out.c; c++) {
        op->scale[c] = 1.0f;
        op->clip[c] = step->relu ? step->relu->clip : INFINITY;
    }
    if (step->relu && step->relu->codes) take_codes(op, step->relu, opt);
    st = open_kind(op, opt);
done:
    if (st != OT_OK) {
        cpu_step_close(ctx, op);
        return st;
    }
    *op_bytes = op->bytes;
    *scratch_bytes = op->scratch;
    *out = op;
    return OT_OK;
}

static const char *cpu_step_algorithm(void *op) { return ((ot__cpu_op *)op)->algorithm; }

static ot_status cpu_step_load(void *ctx, void *p, const float *weight, const float *bias, const float *scale, const float *shift)
{
    (void)ctx;
    ot__cpu_op *op = p;
    for (int c = 0; c < op->out.c; c++) {
        float s = scale ? scale[c] : 1.0f;
        if (is_norm(op)) {
            op->gamma[c] = s;
            op->beta[c] = shift ? shift[c] : 0.0f;
            continue;
        }
        op->shift[c] = (bias ? bias[c] * s : 0.0f) + (shift ? shift[c] : 0.0f);
        if (!is_conv(op)) op->scale[c] = s;
    }
    op->scaled = scale != NULL;
    return is_conv(op) ? ot__cpu_conv_load(op, weight, scale) : OT_OK;
}

static ot_status cpu_forward(void *ctx, void *p, const void *src, const void *res, void *dst, void *scratch, const ot_step_run *run)
{
    ot__cpu *cpu = ctx;
    ot__cpu_op *op = p;
    const ot__cpu_loops *loops = OT_LOOPS_OF(cpu, op->out);
    const ot_step *s = &op->step;
    int relu = s->relu && !run->skip_relu;
    if (s->res < 0) res = NULL;
    if (is_norm(op)) ot__cpu_norm_statistics(op, src, run->n);
    ot__cpu_post post = {.scale = op->scale, .shift = op->shift, .clip = relu ? op->clip : NULL, .gain = run->gain, .offset = run->offset,
                         .codes = op->codes, .step = op->step_size};
    switch (s->kind) {
    case OT_STEP_CONV: case OT_STEP_DENSE:
        post.scale = NULL;
        OT_TRY(ot__cpu_conv_forward(op, src, res, dst, scratch, run->n, &post));
        break;
    case OT_STEP_AFFINE: case OT_STEP_ADD: case OT_STEP_RELU:
        loops->post(op->out, dst, src, res, run->n, &post);
        break;
    case OT_STEP_MAX_POOL: loops->max_pool(op->in, op->out, &op->window, src, dst, run->n); break;
    case OT_STEP_AVG_POOL: case OT_STEP_GLOBAL_AVG: loops->avg_pool(op->in, op->out, &op->window, src, dst, run->n); break;
    case OT_STEP_PAD: case OT_STEP_SLICE: case OT_STEP_RESHAPE: ot__cpu_move(op, src, dst, run->n); break;
    case OT_STEP_SPIKE: ot__cpu_spike_forward(op, src, dst, run); break;
    }
    if (run->tap) {
        double mean[OT_BLOCK];
        int frames = s->kind == OT_STEP_SPIKE ? s->steps : 1;    /* a tap is the mean of */
        double sum = 0.0, count = (double)op->out.c * op->out.h * op->out.w * frames;
        for (int i = 0; i < run->n; i += OT_BLOCK) {
            int m = run->n - i < OT_BLOCK ? run->n - i : OT_BLOCK;
            loops->image_sums(op->out, (const float *)dst + (size_t)i * op->out.image, m, mean);
            for (int j = 0; j < m; j++) {
                sum = (i + j) % frames ? sum + mean[j] : mean[j];
                if ((i + j) % frames == frames - 1) run->tap[(i + j) / frames] = (float)(sum / count);
            }
        }
    }
    return OT_OK;
}

/* Sums of g over images and pixels, some blocks at a time. */
static void bias_gradient(const ot__cpu_op *op, const float *g, int n, float *out)
{
    enum { SOME = 32 };
    double sum[SOME * OT_BLOCK];
    for (int k = 0; k < op->out.nb; k += SOME) {
        ot__cpu_view part = op->out;
        part.nb = op->out.nb - k < SOME ? op->out.nb - k : SOME;
        OT_LOOPS_OF(op->cpu, part)->channel_sums(part, g + (size_t)k * part.block, NULL, NULL, NULL, n, sum, NULL);
        for (int c = 0; c < part.nb * part.b && k * part.b + c < part.c; c++)
            out[k * part.b + c] = (float)(sum[c] * (is_conv(op) ? (double)op->weight_scale[k * part.b + c] : 1.0));
    }
}

static ot_status cpu_backward(void *ctx, void *p, const void *src, const void *dst, void *g, void *dsrc, void *dres, void *scratch,
                              const ot_step_back *back)
{
    ot__cpu *cpu = ctx;
    ot__cpu_op *op = p;
    const ot__cpu_loops *loops = OT_LOOPS_OF(cpu, op->out), *in_loops = OT_LOOPS_OF(cpu, op->in);
    size_t in_bytes = (size_t)back->n * op->in.image * sizeof(float);
    void *copy = op->step.kind == OT_STEP_ADD ? NULL : dres;      /* ADD may have dres == dsrc: dsrc first */
    if (op->step.relu) {
        double sums[2];
        if (op->codes > 0.0f) loops->mask_quantised(op->out, g, src, back->n, op->clip, back->gain, back->offset, sums);
        else loops->mask(op->out, g, dst, copy, back->add_res, back->n, op->clip, back->gain, sums);
        if (back->grad_gain) *back->grad_gain = sums[0] / (double)back->gain;
        if (back->grad_offset) *back->grad_offset = -(double)back->gain * sums[1];
    } else if (copy) {
        loops->scale(op->out, copy, g, NULL, back->add_res, back->n);
    }
    if (is_conv(op) && back->grad_bias) bias_gradient(op, g, back->n, back->grad_bias);
    if (op->step.kind == OT_STEP_AFFINE && !is_norm(op) && back->grad_beta) bias_gradient(op, g, back->n, back->grad_beta);
    if (dsrc && !back->add_src && (op->step.kind == OT_STEP_MAX_POOL || op->step.kind == OT_STEP_AVG_POOL || op->step.kind == OT_STEP_GLOBAL_AVG))
        memset(dsrc, 0, in_bytes);
    switch (op->step.kind) {
    case OT_STEP_CONV: case OT_STEP_DENSE: return ot__cpu_conv_backward(op, src, g, dsrc, scratch, back);
    case OT_STEP_AFFINE:
        if (is_norm(op)) ot__cpu_norm_backward(op, src, g, dsrc, back);
        else if (dsrc) loops->scale(op->in, dsrc, g, op->scaled ? op->scale : NULL, back->add_src, back->n);
        break;
    case OT_STEP_ADD: case OT_STEP_RELU:
        if (dsrc) loops->scale(op->in, dsrc, g, NULL, back->add_src, back->n);
        if (dres && !copy) loops->scale(op->in, dres, g, NULL, back->add_res, back->n);
        break;
    case OT_STEP_MAX_POOL: if (dsrc) in_loops->max_pool_back(op->in, op->out, &op->window, src, dst, g, dsrc, back->n); break;
    case OT_STEP_AVG_POOL: case OT_STEP_GLOBAL_AVG: if (dsrc) in_loops->avg_pool_back(op->in, op->out, &op->window, g, dsrc, back->n); break;
    case OT_STEP_PAD: case OT_STEP_SLICE: case OT_STEP_RESHAPE: if (dsrc) ot__cpu_move_back(op, g, dsrc, back->add_src, back->n); break;
    case OT_STEP_SPIKE: ot__cpu_spike_backward(op, src, g, dsrc, scratch, back); break;
    }
    return OT_OK;
}

static ot_status cpu_batch_statistics(void *ctx, void *p, float *mean, float *var)
{
    (void)ctx;
    ot__cpu_op *op = p;
    memcpy(mean, op->mean, (size_t)op->in.c * sizeof *mean);
    memcpy(var, op->var, (size_t)op->in.c * sizeof *var);
    return OT_OK;
}

/* Two passes: the channels' means, then the squares around each. */
static ot_status cpu_moments(void *ctx, const void *src, ot_shape s, int n, double *mean, double *sd)
{
    ot__cpu *cpu = ctx;
    ot__cpu_view v = ot__cpu_view_of(s);
    const ot__cpu_loops *loops = OT_LOOPS_OF(cpu, v);
    size_t channels = ot__cpu_channels(v);
    double *sum = ot_alloc(2 * channels, sizeof *sum), *dot = sum ? sum + channels : NULL, total = 0.0, squares = 0.0, each = (double)n * s.h * s.w;
    float *shift = ot_alloc(channels, sizeof *shift);
    ot_status st = OT_OK;
    if (!sum || !shift) OT_FAIL_TO(done, st, OT_E_NOMEM, "moments of %d channels: no memory", s.c);
    loops->channel_sums(v, src, NULL, NULL, NULL, n, sum, NULL);
    for (int c = 0; c < s.c; c++) {
        total += sum[c];
        shift[c] = (float)(sum[c] / each);
    }
    *mean = total / (each * s.c);
    loops->channel_sums(v, src, src, shift, shift, n, sum, dot);
    for (int c = 0; c < s.c; c++) squares += dot[c] - sum[c] * (sum[c] / each);
    squares /= each * s.c;
    *sd = squares > 0.0 ? sqrt(squares) : squares == squares ? 0.0 : squares;
done:
    ot_free(sum);
    ot_free(shift);
    return st;
}

const ot_backend_i ot__backend_cpu = {
    .name = "cpu", .open = cpu_open, .close = cpu_close, .detail = cpu_detail,
    .tensor_bytes = cpu_tensor_bytes, .alloc = cpu_alloc, .free = cpu_free, .put = cpu_put, .get = cpu_get,
    .step_open = cpu_step_open, .step_close = cpu_step_close, .step_algorithm = cpu_step_algorithm, .step_load = cpu_step_load,
    .forward = cpu_forward, .backward = cpu_backward, .batch_statistics = cpu_batch_statistics, .moments = cpu_moments,
};

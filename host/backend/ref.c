/* ref.c - the ref backend's table: memory, loading, and how a step's parts follow each other forward and backward. */
#include "backend/ref.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ot_status open_context(void **ctx, const char *flavour)
{
    if (*flavour) OT_FAIL(OT_E_BACKEND, "backend 'ref:%s', want 'ref' alone", flavour);
    *ctx = NULL;
    return OT_OK;
}

static void close_context(void *ctx) { (void)ctx; }
static void detail(void *ctx, char *text, size_t n)
{
    (void)ctx;
    snprintf(text, n, "plain C, double sums");
}

static size_t tensor_bytes(void *ctx, ot_shape s, int n)
{
    (void)ctx;
    return ot__ref_size(s) * (size_t)n * sizeof(double);
}

static ot_status take(void *ctx, void **mem, size_t bytes)
{
    (void)ctx;
    if (!(*mem = ot_alloc(1, bytes))) OT_NOMEM("ref backend", bytes);
    return OT_OK;
}

static void give(void *ctx, void *mem)
{
    (void)ctx;
    ot_free(mem);
}

static ot_status put(void *ctx, void *dst, ot_shape s, int n, const float *nchw)
{
    (void)ctx;
    double *d = dst;
    for (size_t e = 0, all = ot__ref_size(s) * (size_t)n; e < all; e++) d[e] = (double)nchw[e];
    return OT_OK;
}

static ot_status get(void *ctx, float *nchw, ot_shape s, int n, const void *src)
{
    (void)ctx;
    const double *p = src;
    for (size_t e = 0, all = ot__ref_size(s) * (size_t)n; e < all; e++) nchw[e] = (float)p[e];
    return OT_OK;
}

static void step_close(void *ctx, void *op)
{
    (void)ctx;
    ot_free(op);
}

/* One block: the struct, then its arrays. */
static ot_status step_open(void *ctx, void **out, const ot_step *step, int tile, const ot_plan_options *opt, size_t *op_bytes,
                           size_t *scratch_bytes)
{
    (void)ctx, (void)tile;
    size_t weights = ot_layer_weights(step->layer), c = (size_t)step->out.c;
    int    crossbar = step->kind == OT_STEP_CONV || step->kind == OT_STEP_DENSE;
    size_t doubles = step->batch ? 3 * c : 0, floats = (crossbar ? weights + c : 0) + (step->affine ? 2 * c : 0);
    size_t bytes = sizeof(ot__ref_op) + doubles * sizeof(double) + floats * sizeof(float);
    ot__ref_op *op = ot_alloc(1, bytes);
    if (!op) OT_FAIL(OT_E_NOMEM, "layer '%s': no memory for %zu bytes", step->layer->name, bytes);
    op->step = *step;
    op->ste = opt->relu_ste;
    op->surrogate = opt->surrogate;
    op->sharpness = ot__ref_sharpness(opt);
    double *d = (double *)(op + 1);
    float  *f = (float *)(d + doubles);
    if (step->batch) op->mean = d, op->var = d + c, op->inverse = d + 2 * c;
    if (crossbar) op->weight = f, op->bias = f + weights, f += weights + c;
    if (step->affine) op->scale = f, op->shift = f + c;
    *out = op;
    *op_bytes = bytes;
    *scratch_bytes = 0;
    return OT_OK;
}

static const char *algorithm(void *op)
{
    (void)op;
    return "plain";
}

static ot_status step_load(void *ctx, void *vop, const float *weight, const float *bias, const float *scale, const float *shift)
{
    (void)ctx;
    ot__ref_op *op = vop;
    size_t      c = (size_t)op->step.out.c;
    if (op->weight) {
        memcpy(op->weight, weight, ot_layer_weights(op->step.layer) * sizeof *weight);
        if (bias) memcpy(op->bias, bias, c * sizeof *bias);
        op->loaded_bias = bias != NULL;
    }
    if (op->scale) {
        memcpy(op->scale, scale, c * sizeof *scale);
        memcpy(op->shift, shift, c * sizeof *shift);
    }
    return OT_OK;
}

static void scale_channels(const ot__ref_op *op, const double *from, double *to, int n, int with_shift)
{
    const size_t size = ot__ref_size(op->step.out), plane = size / (size_t)op->step.out.c;
    for (size_t e = 0; e < size * (size_t)n; e++) {
        size_t c = e % size / plane;
        to[e] = from[e] * (double)op->scale[c] + (with_shift ? (double)op->shift[c] : 0.0);
    }
}

static void quantise(const ot_layer *relu, double *u, size_t n)
{
    const double codes = relu->codes, step = (double)relu->step;
    for (size_t e = 0; e < n; e++) {
        double q = rint(u[e] / step);
        u[e] = (q >= codes ? codes : q) * step;
    }
}

static ot_status forward(void *ctx, void *vop, const void *vsrc, const void *vres, void *vdst, void *scratch, const ot_step_run *run)
{
    (void)ctx, (void)scratch;
    ot__ref_op   *op = vop;
    const ot_step *s = &op->step;
    const double *src = vsrc, *res = vres;
    double       *dst = vdst;
    const size_t  size = ot__ref_size(s->out), all = size * (size_t)run->n;
    switch (s->kind) {
    case OT_STEP_CONV: case OT_STEP_DENSE:
        ot__ref_conv(op, src, dst, run->n);
        if (s->affine) scale_channels(op, dst, dst, run->n, 1);
        break;
    case OT_STEP_AFFINE:
        if (s->batch) ot__ref_batch_norm(op, src, dst, run->n);
        else scale_channels(op, src, dst, run->n, 1);
        break;
    case OT_STEP_ADD: case OT_STEP_RELU: memcpy(dst, src, all * sizeof *dst); break;
    case OT_STEP_SPIKE: ot__ref_spike(s, (double)run->gain, src, dst, run->n); break;
    default: ot__ref_window(s, src, dst, run->n);
    }
    if (s->res >= 0)
        for (size_t e = 0; e < all; e++) dst[e] += res[e];
    if (s->relu && !run->skip_relu) {
        const double a = (double)run->gain, b = (double)run->offset, clip = (double)s->relu->clip;
        for (size_t e = 0; e < all; e++) {
            double v = (dst[e] - b) * a;                 /* as ot_trelu; comparisons so that NaN stays NaN */
            v = v <= 0.0 ? 0.0 : v;
            dst[e] = v >= clip ? clip : v;
        }
        if (s->relu->codes) quantise(s->relu, dst, all);
    }
    const size_t each = size * (size_t)(s->kind == OT_STEP_SPIKE ? s->steps : 1);          /* what a tap is the mean of */
    for (size_t k = 0; run->tap && k < all / each; k++) {
        double sum = 0.0;
        for (size_t e = 0; e < each; e++) sum += dst[k * each + e];
        run->tap[k] = (float)(sum / (double)each);
    }
    return OT_OK;
}

/* g goes through the T-ReLU: masked and scaled, its two sums taken.  A quantised one goes back from its input, to the estimator's edge. */
static void relu_back(const ot__ref_op *op, const double *src, const double *dst, double *g, const ot_step_back *back)
{
    const ot_step *s = &op->step;
    const double a = (double)back->gain, b = (double)back->offset, clip = (double)s->relu->clip, codes = s->relu->codes;
    const double edge = !s->relu->codes || op->ste == OT_STE_IDENTITY ? INFINITY : (codes + (op->ste == OT_STE_CLIPPED ? 0.5 : 0.0)) * (double)s->relu->step;
    double       with_u = 0.0, alone = 0.0;
    for (size_t e = 0, all = ot__ref_size(s->out) * (size_t)back->n; e < all; e++) {
        double u = s->relu->codes ? (src[e] - b) * a : dst[e], m = u <= 0.0 || u >= clip || u > edge ? 0.0 : g[e];
        with_u += m * u;
        alone += m;
        g[e] = m * a;
    }
    if (back->grad_gain) *back->grad_gain = with_u / a;
    if (back->grad_offset) *back->grad_offset = -a * alone;
}

static void channel_sums(ot_shape s, const double *g, int n, float *out)
{
    size_t size = ot__ref_size(s), plane = size / (size_t)s.c;
    for (size_t c = 0; c < (size_t)s.c; c++) {
        double sum = 0.0;
        for (size_t k = 0; k < (size_t)n; k++)
            for (size_t p = 0; p < plane; p++) sum += g[k * size + c * plane + p];
        out[c] = (float)sum;
    }
}

static void add_to(double *out, const double *g, size_t n)
{
    for (size_t e = 0; e < n; e++) out[e] += g[e];
}

static ot_status backward(void *ctx, void *vop, const void *vsrc, const void *vdst, void *vg, void *vdsrc, void *vdres, void *scratch,
                          const ot_step_back *back)
{
    (void)ctx, (void)scratch;
    const ot__ref_op *op = vop;
    const ot_step    *s = &op->step;
    const double     *src = vsrc;
    double           *g = vg, *dsrc = vdsrc, *dres = vdres;
    const size_t      in = ot__ref_size(s->in) * (size_t)(s->still ? back->n / s->steps : back->n), out = ot__ref_size(s->out) * (size_t)back->n;
    if (dsrc && !back->add_src) memset(dsrc, 0, in * sizeof *dsrc);
    if (s->relu) relu_back(op, src, vdst, g, back);
    if (dres && dres != dsrc) {                          /* before scaling; adding x to itself comes below */
        if (!back->add_res) memset(dres, 0, out * sizeof *dres);
        add_to(dres, g, out);
    }
    switch (s->kind) {
    case OT_STEP_CONV: case OT_STEP_DENSE:
        if (s->affine) scale_channels(op, g, g, back->n, 0);
        if (back->grad_weight) ot__ref_conv_weights(op, src, g, back->n, back->grad_weight);
        if (back->grad_bias) channel_sums(s->out, g, back->n, back->grad_bias);
        if (dsrc) ot__ref_conv_data(op, g, dsrc, back->n);
        break;
    case OT_STEP_AFFINE:
        if (s->batch) {
            ot__ref_batch_norm_back(op, src, g, dsrc, back->n, back->grad_gamma, back->grad_beta);
            break;
        }
        if (back->grad_beta) channel_sums(s->out, g, back->n, back->grad_beta);
        scale_channels(op, g, g, back->n, 0);
        if (dsrc) add_to(dsrc, g, out);
        break;
    case OT_STEP_ADD: case OT_STEP_RELU:
        if (dsrc) add_to(dsrc, g, out);
        if (dsrc && dres == dsrc) add_to(dres, g, out);
        break;
    case OT_STEP_SPIKE: {
        const double threshold = ot__ref_spike_back(op, (double)back->gain, src, g, dsrc, back->n);
        if (back->grad_gain) *back->grad_gain = threshold, *back->grad_offset = 0.0;
        break;
    }
    default:
        if (dsrc) ot__ref_window_data(s, src, g, dsrc, back->n);
    }
    return OT_OK;
}

static ot_status batch_statistics(void *ctx, void *vop, float *mean, float *var)
{
    (void)ctx;
    const ot__ref_op *op = vop;
    for (int c = 0; c < op->step.in.c; c++) {
        mean[c] = (float)op->mean[c];
        var[c] = (float)(op->var[c] * op->count / (op->count > 1 ? op->count - 1 : 1));
    }
    return OT_OK;
}

static ot_status moments(void *ctx, const void *src, ot_shape s, int n, double *mean, double *sd)
{
    (void)ctx;
    const double *p = src;
    const size_t  pixels = (size_t)s.h * (size_t)s.w, image = pixels * (size_t)s.c, all = image * (size_t)n;
    double        sum = 0.0, squares = 0.0;
    for (size_t e = 0; e < all; e++) sum += p[e];
    *mean = sum / (double)all;
    for (int c = 0; c < s.c; c++) {
        double own = 0.0;
        for (size_t i = 0; i < (size_t)n; i++)
            for (size_t e = 0; e < pixels; e++) own += p[i * image + (size_t)c * pixels + e];
        own /= (double)pixels * n;
        for (size_t i = 0; i < (size_t)n; i++)
            for (size_t e = 0; e < pixels; e++) {
                const double d = p[i * image + (size_t)c * pixels + e] - own;
                squares += d * d;
            }
    }
    *sd = sqrt(squares / (double)all);
    return OT_OK;
}

const ot_backend_i ot__backend_ref = {
    .name = "ref",
    .open = open_context,
    .close = close_context,
    .detail = detail,
    .tensor_bytes = tensor_bytes,
    .alloc = take,
    .free = give,
    .put = put,
    .get = get,
    .step_open = step_open,
    .step_close = step_close,
    .step_algorithm = algorithm,
    .step_load = step_load,
    .forward = forward,
    .backward = backward,
    .batch_statistics = batch_statistics,
    .moments = moments,
};

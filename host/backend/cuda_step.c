/* cuda_step.c - a step on the GPU: its memory, weights loaded or drawn, forward and backward as launches of kernels.
 *
 * An op owns one block of device memory: the packed weights of all its chips, what the design gives every channel, and small results on
 * their way to the host.  Plans of one chip get taps and gradients on the host at once, which waits for the device; plans of several
 * chips leave them where they are and never wait. */
#ifdef OT_HAVE_CUDA

#include "backend/cuda_op.h"
#include "chip/map.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static otk_conv conv_of(const ot_step *s)
{
    const ot_layer *l = s->layer;
    otk_conv        c = {.in = ot__cuda_shape(s->in), .out = ot__cuda_shape(s->out), .groups = 1, .kh = 1, .kw = 1, .sh = 1, .sw = 1};
    if (s->kind == OT_STEP_CONV) c.groups = l->groups, c.kh = l->kh, c.kw = l->kw, c.sh = l->sh, c.sw = l->sw, c.pt = l->pt, c.pl = l->pl;
    return c;
}

static otk_window window_of(const ot_step *s)
{
    static const otk_window_kind kinds[] = {
        [OT_STEP_MAX_POOL] = OTK_MAX_POOL, [OT_STEP_AVG_POOL] = OTK_AVG_POOL, [OT_STEP_GLOBAL_AVG] = OTK_GLOBAL_AVG,
        [OT_STEP_PAD] = OTK_PAD, [OT_STEP_SLICE] = OTK_SLICE, [OT_STEP_RESHAPE] = OTK_RESHAPE,
    };
    const ot_layer *l = s->layer;
    otk_window      w = {.kind = kinds[s->kind], .in = ot__cuda_shape(s->in), .out = ot__cuda_shape(s->out), .kh = l->kh, .kw = l->kw, .sh = l->sh, .sw = l->sw,
                         .pt = l->pt, .pl = l->pl, .pb = l->pb, .pr = l->pr, .count_pad = l->count_pad, .pad_value = l->pad_value};
    for (int k = 0; k < 3; k++) w.before[k] = l->pad_before[k], w.start[k] = l->slice_start[k], w.step[k] = l->slice_step[k];
    return w;
}

/* Knobs in the backend's memory are gains: of thresholds, or, where neurons fire once, of currents. */
static otk_if neuron_of(const ot_step *s, const ot_plan_options *opt)
{
    static const otk_reset resets[] = {[OT_RESET_SUBTRACT] = OTK_RESET_SUBTRACT, [OT_RESET_FIXED] = OTK_RESET_FIXED, [OT_RESET_ZERO] = OTK_RESET_ZERO,
                                       [OT_RESET_ONCE] = OTK_RESET_FIXED};
    static const float     usual[OT_SURROGATES] = {2.0f, 25.0f, 1.0f};
    const ot_layer        *l = s->layer;
    const int              once = l->reset == OT_RESET_ONCE;
    return (otk_if){.unit = l->threshold, .divided = once, .leak = l->leak, .u_rst = once ? INFINITY : l->u_rst, .reset = resets[l->reset], .steps = s->steps,
                    .still = s->still, .surrogate = (int)opt->surrogate,
                    .sharpness = opt->sharpness > 0.0 ? (float)opt->sharpness : usual[opt->surrogate]};
}

/* Cuts the next piece off the op's block; with no block yet it only counts. */
static void *cut(const ot__cuda_op *op, size_t *at, size_t bytes)
{
    void *p = op->block ? op->block + *at : NULL;
    *at += (bytes + 255) / 256 * 256;
    return p;
}

static size_t lay_out(ot__cuda_op *op, const ot__cuda *c, int train, int draws)
{
    const ot_step *s = &op->step;
    size_t         at = 0, channels = (size_t)otk_channels(s->out.c);
    if (op->crossbar) {
        op->weight = cut(op, &at, (size_t)op->chips * (size_t)op->weight_stride * ot__cuda_size(c));
        op->onnx = cut(op, &at, op->weights * sizeof(float));
        if (draws) op->q = cut(op, &at, op->weights * sizeof(int32_t));
        op->bias = cut(op, &at, channels * sizeof(float));
    }
    if (s->affine) {
        op->scale = cut(op, &at, channels * sizeof(float));
        op->shift = cut(op, &at, channels * sizeof(float));
    }
    if (s->batch) {
        op->mean = cut(op, &at, channels * sizeof(double));
        op->var = cut(op, &at, channels * sizeof(double));
        op->inverse = cut(op, &at, channels * sizeof(double));
    }
    op->sums = cut(op, &at, 2 * sizeof(double));
    if (train) op->grad = cut(op, &at, (op->weights + 2 * channels) * sizeof(float));
    return at;
}

void ot__cuda_step_close(void *ctx, void *vop)
{
    ot__cuda_op *op = vop;
    (void)ctx;
    if (!op) return;
    (void)cudaFree(op->block);
    ot_free(op);
}

static ot_status take_block(ot__cuda_op *op, ot__cuda *c, size_t bytes)
{
    OT_CUDA(cudaMalloc((void **)&op->block, bytes));
    OT_CUDA(cudaMemsetAsync(op->block, 0, bytes, c->stream));         /* padding of weights and channels stays 0 */
    return OT_OK;
}

/* Who does the passes of a convolution, the scratch that takes, and its name. */
static ot_status choose(ot__cuda *c, ot__cuda_op *op, int tile, ot_plan_use use)
{
    static const char *const names[OT_PASSES][3] = {{NULL, "cublas gemm", "cudnn implicit precomp gemm"}, {NULL, "cublas gemm", "cudnn data 1"}, {NULL, NULL, "cudnn filter 1"}};
    static const char *const what[OT_PASSES] = {"", ", data by ", ", gradients by "};
    const char        *own = otk_conv_depthwise(&op->conv) ? "own depthwise" : "own implicit gemm";
    const otk_after    after = {.bias = op->bias, .scale = op->scale, .shift = op->shift, .knobs = {.there = op->step.relu != NULL, .own_gain = 1, .clip = INFINITY},
                                .in_factor = 1, .res_factor = 1, .out_factor = 1};
    const ot__cuda_question q = {.layer = op->step.layer->crossbar, .name = op->step.layer->name, .conv = &op->conv, .chips = op->chips, .tile = tile,
                                 .data = use != OT_PLAN_FORWARD && op->src_stride, .gradient = use == OT_PLAN_TRAIN, .src_stride = op->src_stride, .dst_stride = op->dst_stride,
                                 .weight = {op->weight, op->weight_stride}, .after = &after};
    op->tile = tile;
    if (c->lib) OT_TRY(ot__cuda_choose(&c->choices, c->lib, c->math, c->stream, &q, op->way));
    for (int p = 0; p < OT_PASSES; p++) {
        const int wanted = p == OT_PASS_FORWARD || (p == OT_PASS_DATA ? q.data : q.gradient);
        size_t    bytes, at = strlen(op->algorithm);
        if (!wanted) op->way[p] = OT_WAY_OWN;
        if (p == OT_PASS_FORWARD || op->way[p] != op->way[OT_PASS_FORWARD] || op->way[p] != OT_WAY_OWN)
            if (wanted) snprintf(op->algorithm + at, sizeof op->algorithm - at, "%s%s", what[p], op->way[p] == OT_WAY_OWN ? own : names[p][op->way[p]]);
        if (!c->lib) continue;
        OT_TRY(ot__cuda_lib_workspace_bytes(c->lib, op->way[p], (ot__cuda_pass)p, &op->conv, tile, &bytes));
        if (bytes > op->lib_bytes) op->lib_bytes = bytes;
    }
    return OT_OK;
}

/* A library is given whole tiles, and cuBLAS all chips, so that what it picks does not depend on how many count. */
static ot_status forward(ot__cuda *c, ot__cuda_op *op, int chips, int n, otk_tensor in, otk_tensor w, otk_tensor out, const otk_after *after, void *scratch)
{
    const ot__cuda_way way = op->way[OT_PASS_FORWARD];
    if (way != OT_WAY_OWN)
        return ot__cuda_lib_forward(c->lib, way, &op->conv, way == OT_WAY_CUBLAS ? op->chips : chips, op->tile, in, w, out, after, scratch, op->lib_bytes);
    OT_CUDA(otk_conv_forward(c->math, &op->conv, chips, n, in, w, out, after, c->stream));
    return OT_OK;
}

static ot_status data(ot__cuda *c, ot__cuda_op *op, int chips, int n, otk_tensor g, otk_tensor w, otk_tensor dsrc, int add, const otk_relu_back *mask, void *scratch)
{
    const ot__cuda_way way = op->way[OT_PASS_DATA];
    if (way != OT_WAY_OWN)
        return ot__cuda_lib_data(c->lib, way, &op->conv, chips, op->tile, g, w, dsrc, 1.0f, add, scratch, op->lib_bytes);
    OT_CUDA(otk_conv_data(c->math, &op->conv, chips, n, g, w, dsrc, 1.0f, add, mask, c->stream));
    return OT_OK;
}

ot_status ot__cuda_step_open(void *ctx, void **out, const ot_step *step, int tile, const ot_plan_options *opt, size_t *op_bytes, size_t *scratch_bytes)
{
    ot__cuda *c = ctx;
    int       train = opt->use == OT_PLAN_TRAIN, chips = opt->chips > 1 ? opt->chips : 1;
    if (train && c->type == OTK_F16) OT_FAIL(OT_E_UNSUPPORTED, "training weights in half precision is not supported, want backend 'cuda' or 'cuda:tf32'");
    ot__cuda_op *op = ot_alloc(1, sizeof *op);
    if (!op) OT_NOMEM(step->layer->name, sizeof *op);
    op->step = *step;
    op->ste = opt->relu_ste;
    op->chips = chips;
    op->src_scale = op->res_scale = op->dst_scale = 1.0f;
    op->crossbar = step->kind == OT_STEP_CONV || step->kind == OT_STEP_DENSE;
    op->src_stride = opt->chips && step->src == 0 ? 0 : ot__cuda_stride(c, step->in, step->still ? tile / step->steps : tile);
    op->res_stride = opt->chips && step->res == 0 ? 0 : ot__cuda_stride(c, step->out, tile);
    op->dst_stride = ot__cuda_stride(c, step->out, tile);
    if (op->crossbar) {
        op->conv = conv_of(step);
        op->weights = ot_layer_weights(step->layer);
        op->weight_stride = (otk_conv_weights(&op->conv) + 31) / 32 * 32;
    } else if (step->kind == OT_STEP_SPIKE) {
        op->neuron = neuron_of(step, opt);
    } else if (step->kind >= OT_STEP_MAX_POOL) {
        op->window = window_of(step);
    }
    size_t    bytes = lay_out(op, c, train, opt->chips > 0), partial = 0;
    ot_status st = take_block(op, c, bytes);
    if (st != OT_OK) {
        ot__cuda_step_close(c, op);
        return ot__fail_prefix(st, "layer '%s': ", step->layer->name);
    }
    lay_out(op, c, train, opt->chips > 0);
    if (opt->use != OT_PLAN_FORWARD)
        partial = step->kind == OT_STEP_SPIKE ? otk_if_back_bytes(ot__cuda_shape(step->out), chips, tile / step->steps)
                                              : otk_relu_back_bytes(ot__cuda_shape(step->out), chips, tile);
    if (opt->use != OT_PLAN_FORWARD && op->crossbar && otk_conv_data_bytes(&op->conv, chips, tile) > partial) partial = otk_conv_data_bytes(&op->conv, chips, tile);
    if (train && op->crossbar && otk_conv_gradient_bytes(&op->conv, tile) > partial) partial = otk_conv_gradient_bytes(&op->conv, tile);
    if (train && otk_norm_bytes(ot__cuda_shape(step->out), tile) > partial) partial = otk_norm_bytes(ot__cuda_shape(step->out), tile);
    op->tap_bytes = (size_t)tile * sizeof(float);
    st = op->crossbar ? choose(c, op, tile, opt->use) : OT_OK;
    if (st != OT_OK) {
        ot__cuda_step_close(c, op);
        return ot__fail_prefix(st, "layer '%s': ", step->layer->name);
    }
    if (op->lib_bytes > partial) partial = op->lib_bytes;
    *op_bytes = sizeof *op + bytes;
    *scratch_bytes = partial > op->tap_bytes ? partial : op->tap_bytes;
    *out = op;
    return OT_OK;
}

const char *ot__cuda_step_algorithm(void *vop)
{
    const ot__cuda_op *op = vop;
    return op->crossbar ? op->algorithm : "own";
}

static ot_status to_device(ot__cuda *c, void *dst, const void *src, size_t bytes)
{
    OT_CUDA(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyHostToDevice, c->stream));
    return OT_OK;
}

ot_status ot__cuda_step_load(void *ctx, void *vop, const float *weight, const float *bias, const float *scale, const float *shift)
{
    ot__cuda    *c = ctx;
    ot__cuda_op *op = vop;
    size_t       bytes = (size_t)op->step.out.c * sizeof(float);
    if (op->weight && weight) {
        OT_TRY(to_device(c, op->onnx, weight, op->weights * sizeof(float)));
        for (int k = 0; k < op->chips; k++)
            OT_CUDA(otk_conv_pack(&op->conv, c->type, op->onnx, (char *)op->weight + (size_t)k * (size_t)op->weight_stride * ot__cuda_size(c), 0, c->stream));
        op->has_bias = bias != NULL;
        if (bias) OT_TRY(to_device(c, op->bias, bias, bytes));
    }
    if (op->scale && scale) {
        OT_TRY(to_device(c, op->scale, scale, bytes));
        OT_TRY(to_device(c, op->shift, shift, bytes));
    }
    OT_CUDA(cudaStreamSynchronize(c->stream));
    return OT_OK;
}

static otk_knobs knobs_of(const ot_step *s, const float *gains, const float *offsets, int64_t stride, float gain, float offset)
{
    if (!s->relu) return (otk_knobs){.there = 0};
    return (otk_knobs){gains, offsets, stride, gain, offset, s->relu->clip, 1};
}

/* The neuron with the thresholds of a call. */
static otk_if neuron_with(const ot__cuda_op *op, const float *gains, int64_t stride, float threshold)
{
    otk_if p = op->neuron;
    p.gain = gains, p.stride = stride, p.own_threshold = threshold;
    p.src_factor = 1 / op->src_scale, p.dst_factor = op->dst_scale;
    return p;
}

/* An image's mean over all its frames: they are one image, T times as high. */
static otk_shape tapped(const ot_step *s)
{
    otk_shape shape = ot__cuda_shape(s->out);
    if (s->kind == OT_STEP_SPIKE) shape.h *= s->steps;
    return shape;
}

ot_status ot__cuda_forward(void *ctx, void *vop, const void *src, const void *res, void *dst, void *scratch, const ot_step_run *run)
{
    ot__cuda      *c = ctx;
    ot__cuda_op   *op = vop;
    const ot_step *s = &op->step;
    const int      chips = run->chips ? run->chips : 1, images = s->kind == OT_STEP_SPIKE ? run->n / s->steps : run->n;
    otk_tensor     in = {(void *)src, op->src_stride}, out = {dst, op->dst_stride}, w = {op->weight, op->weight_stride};
    otk_after      after = {.res = {s->res >= 0 ? (void *)res : NULL, op->res_stride}, .in_factor = 1 / op->src_scale, .res_factor = 1 / op->res_scale,
                            .out_factor = op->dst_scale};
    if (!run->skip_relu) after.knobs = knobs_of(s, run->gains, run->offsets, run->knob_stride, run->gain, run->offset);
    if (s->relu && s->relu->codes) after.codes = (float)s->relu->codes, after.step = s->relu->step;
    after.bias = op->has_bias ? op->bias : NULL;
    if (s->affine && !s->batch) after.scale = op->scale, after.shift = op->shift;
    switch (s->kind) {
    case OT_STEP_CONV: case OT_STEP_DENSE:
        OT_TRY(forward(c, op, chips, run->n, in, w, out, &after, scratch));
        break;
    case OT_STEP_AFFINE:
        if (s->batch) {
            op->count = (int64_t)run->n * s->in.h * s->in.w;
            OT_CUDA(otk_norm_forward(ot__cuda_shape(s->in), run->n, src, dst, op->scale, op->shift, (double)s->affine->eps, op->mean, op->var, op->inverse, scratch,
                                     c->stream));
            break;
        }
        OT_CUDA(otk_pointwise(c->type, ot__cuda_shape(s->out), chips, run->n, in, out, &after, c->stream));
        break;
    case OT_STEP_ADD: case OT_STEP_RELU:
        OT_CUDA(otk_pointwise(c->type, ot__cuda_shape(s->out), chips, run->n, in, out, &after, c->stream));
        break;
    case OT_STEP_SPIKE: {
        const otk_if neuron = neuron_with(op, run->gains, run->knob_stride, run->gain);
        OT_CUDA(otk_if_forward(c->type, ot__cuda_shape(s->out), chips, images, in, out, &neuron, c->stream));
        break;
    }
    default: OT_CUDA(otk_window_forward(c->type, &op->window, chips, run->n, in, out, op->dst_scale / op->src_scale, c->stream));
    }
    if (run->taps) OT_CUDA(otk_tap(c->type, tapped(s), chips, images, out, run->taps, run->tap_stride, 1 / op->dst_scale, c->stream));
    if (run->tap) {
        OT_CUDA(otk_tap(c->type, tapped(s), 1, images, out, scratch, 0, 1.0f, c->stream));
        OT_TRY(ot__cuda_to_host(c, run->tap, scratch, (size_t)images * sizeof(float)));
    }
    return OT_OK;
}

/* From where on nothing passes a quantised T-ReLU: behind the estimator's edge. */
static float top_of(const ot__cuda_op *op)
{
    const ot_layer *relu = op->step.relu;
    if (op->ste == OT_STE_IDENTITY) return INFINITY;
    return nextafterf((float)((relu->codes + (op->ste == OT_STE_CLIPPED ? 0.5 : 0.0)) * (double)relu->step), INFINITY);
}

/* g through the T-ReLU and the scale behind it, and into the added tensor. */
static ot_status behind(ot__cuda *c, ot__cuda_op *op, const void *src, const void *dst, void *g, void *dres, void *scratch, const ot_step_back *back)
{
    const ot_step *s = &op->step;
    const float   *scale = s->affine && !s->batch ? op->scale : NULL;
    int            single = back->grad_gain || back->grad_offset;
    otk_relu_back  b = {.u = {(void *)dst, op->dst_stride}, .g = {g, op->dst_stride}, .dres = {dres, op->res_stride}, .scale = scale, .factor = 1,
                        .u_factor = 1 / op->dst_scale, .dres_factor = 1, .add_res = back->add_res, .partial = scratch};
    b.knobs = knobs_of(s, back->gains, back->offsets, back->knob_stride, back->gain, back->offset);
    if (!s->relu && !dres && !scale) return OT_OK;
    if (s->relu && s->relu->codes) b.u = (otk_tensor){(void *)src, op->src_stride}, b.u_factor = 1 / op->src_scale, b.top = top_of(op);
    if (s->relu && back->sums) b.sums = back->sums, b.sums_stride = back->sums_stride, b.sums_offset = back->sums_offset;
    if (s->relu && single) {
        b.sums = op->sums, b.sums_offset = 1;
        OT_CUDA(cudaMemsetAsync(op->sums, 0, 2 * sizeof(double), c->stream));
    }
    OT_CUDA(otk_relu_back_run(c->type, ot__cuda_shape(s->out), (back->chips ? back->chips : 1), back->n, &b, c->stream));
    if (s->relu && single) {
        double sums[2];
        OT_TRY(ot__cuda_to_host(c, sums, op->sums, sizeof sums));
        if (back->grad_gain) *back->grad_gain = sums[0];
        if (back->grad_offset) *back->grad_offset = sums[1];
    }
    return OT_OK;
}

/* The T-ReLU that made `src`, and the batch norm before it. */
static otk_relu_back mask_of(const ot__cuda_op *made, const void *src, int64_t stride, void *scratch, const ot_step_back *back)
{
    const ot_step *s = &made->step;
    return (otk_relu_back){.u = {(void *)src, stride}, .knobs = knobs_of(s, back->mask_gains, back->mask_offsets, back->knob_stride, 1, 0),
                           .scale = s->affine && !s->batch ? made->scale : NULL, .sums = back->mask_sums, .sums_stride = back->sums_stride,
                           .sums_offset = back->sums_offset, .factor = 1, .u_factor = 1 / made->dst_scale, .partial = scratch};
}

int ot__cuda_masks(void *ctx, void *vop)
{
    const ot__cuda_op *op = vop;
    (void)ctx;
    return op->step.kind == OT_STEP_SPIKE || (op->crossbar && op->way[OT_PASS_DATA] == OT_WAY_OWN);
}

static ot_status spike_back(ot__cuda *c, ot__cuda_op *op, const void *src, void *g, void *dsrc, void *scratch, const ot_step_back *back)
{
    const ot_step     *s = &op->step;
    const ot__cuda_op *made = back->mask_op;
    const otk_if       neuron = neuron_with(op, back->gains, back->knob_stride, back->gain);
    otk_tensor         in = {(void *)src, op->src_stride};
    otk_if_back        b = {.g = {g, op->dst_stride}, .dsrc = {dsrc, op->src_stride}, .add = back->add_src, .scale = made ? made->scale : NULL, .sums = back->sums,
                            .sums_stride = back->sums_stride, .partial = scratch};
    if (back->grad_gain) {
        b.sums = op->sums;
        OT_CUDA(cudaMemsetAsync(op->sums, 0, sizeof(double), c->stream));
    }
    OT_CUDA(otk_if_back_run(c->type, ot__cuda_shape(s->out), back->chips ? back->chips : 1, back->n / s->steps, in, &neuron, &b, c->stream));
    if (!back->grad_gain) return OT_OK;
    *back->grad_offset = 0;
    return ot__cuda_to_host(c, back->grad_gain, op->sums, sizeof(double));
}

static ot_status conv_back(ot__cuda *c, ot__cuda_op *op, const void *src, void *g, void *dsrc, void *scratch, const ot_step_back *back)
{
    otk_tensor gt = {g, op->dst_stride}, w = {op->weight, op->weight_stride}, d = {dsrc, op->src_stride};
    OT_TRY(ot__cuda_conv_gradients(c, op, src, g, scratch, back));
    if (!dsrc) return OT_OK;
    otk_relu_back mask;
    if (back->mask_op) mask = mask_of(back->mask_op, src, op->src_stride, scratch, back);
    return data(c, op, back->chips ? back->chips : 1, back->n, gt, w, d, back->add_src, back->mask_op ? &mask : NULL, scratch);
}

ot_status ot__cuda_backward(void *ctx, void *vop, const void *src, const void *dst, void *g, void *dsrc, void *dres, void *scratch, const ot_step_back *back)
{
    ot__cuda      *c = ctx;
    ot__cuda_op   *op = vop;
    const ot_step *s = &op->step;
    otk_tensor     gt = {g, op->dst_stride}, d = {dsrc, op->src_stride}, in = {(void *)src, op->src_stride};
    otk_shape      shape = ot__cuda_shape(s->out);
    if (s->kind == OT_STEP_AFFINE && !s->batch && back->grad_beta) OT_TRY(ot__cuda_bias_gradient(c, op, g, scratch, back));
    if (!back->masked) OT_TRY(behind(c, op, src, dst, g, dres == dsrc ? NULL : dres, scratch, back));
    switch (s->kind) {
    case OT_STEP_CONV: case OT_STEP_DENSE: return conv_back(c, op, src, g, dsrc, scratch, back);
    case OT_STEP_AFFINE:
        if (s->batch) return ot__cuda_norm_back(c, op, src, g, dsrc, scratch, back);
        if (dsrc) OT_CUDA(otk_add_to(c->type, shape, (back->chips ? back->chips : 1), back->n, gt, d, 1.0f, back->add_src, c->stream));
        return OT_OK;
    case OT_STEP_ADD: case OT_STEP_RELU:
        if (dsrc) OT_CUDA(otk_add_to(c->type, shape, (back->chips ? back->chips : 1), back->n, gt, d, dres == dsrc ? 2.0f : 1.0f, back->add_src, c->stream));
        return OT_OK;
    case OT_STEP_SPIKE: return spike_back(c, op, src, g, dsrc, scratch, back);
    default:
        if (dsrc) OT_CUDA(otk_window_data(c->type, &op->window, (back->chips ? back->chips : 1), back->n, in, gt, d, 1.0f, back->add_src, c->stream));
        return OT_OK;
    }
}

ot_status ot__cuda_design(void *ctx, void *vop, const int32_t *q, double step, const ot_variation *var, uint32_t layer)
{
    const ot_faults faults = ot__faults_of(var);
    ot__cuda    *c = ctx;
    ot__cuda_op *op = vop;
    OT_TRY(to_device(c, op->q, q, op->weights * sizeof *q));
    OT_CUDA(cudaStreamSynchronize(c->stream));
    op->draw = (otk_draw){.q = op->q, .seed = var->seed, .layer = layer, .bits = var->bits, .step = step,
                          .stuck_lrs = faults.lrs, .stuck_any = faults.any};
    return OT_OK;
}

ot_status ot__cuda_draw(void *ctx, void *vop, int chips, const struct ot_cell_map *maps, const uint32_t *numbers)
{
    ot__cuda    *c = ctx;
    ot__cuda_op *op = vop;
    otk_tensor   w = {op->weight, op->weight_stride};
    op->draw.maps = maps;
    op->draw.chip = numbers;
    if (op->draw.step > 0.0) OT_CUDA(otk_draw_weights(0, &op->conv, c->type, chips, &op->draw, w, c->stream));
    else OT_CUDA(cudaMemsetAsync(op->weight, 0, (size_t)chips * (size_t)op->weight_stride * ot__cuda_size(c), c->stream));
    return OT_OK;
}

void ot__cuda_scale(void *ctx, void *vop, float src, float res, float dst)
{
    ot__cuda_op *op = vop;
    (void)ctx;
    op->src_scale = src, op->res_scale = res, op->dst_scale = dst;
}

ot_status ot__cuda_weights(void *ctx, void *vop, int k, float *onnx)
{
    ot__cuda    *c = ctx;
    ot__cuda_op *op = vop;
    OT_CUDA(otk_conv_pack(&op->conv, c->type, op->onnx, (char *)op->weight + (size_t)k * (size_t)op->weight_stride * ot__cuda_size(c), 1, c->stream));
    return ot__cuda_to_host(c, onnx, op->onnx, op->weights * sizeof(float));
}

#else
typedef int ot__cuda_step_is_not_in_this_build;
#endif

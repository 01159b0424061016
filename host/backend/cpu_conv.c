/* cpu_conv.c - convolution and dense layers of the cpu backend: weights in, forward, gradients to input and weights.
 *
 * Batch norm's scale is folded into the weights when a chip is loaded (only rounding differs), its shift into the bias; so forward
 * is one pass with the T-ReLU done in registers, and backward needs no scale at all.  Grouped convolutions that are
 * not depthwise are computed as dense ones with zeros between the groups: right, and rare enough. */
#include "backend/cpu.h"

#include <string.h>

typedef struct place { size_t forward, back; } place;

/* Where weight (o, i of the group, tap) lies in the two packed arrays. */
static place place_of(const ot__cpu_op *op, int o, int i, int tap)
{
    const ot__cpu_conv *f = &op->forward, *b = &op->back;
    size_t bo = (size_t)f->dst.b, bi = (size_t)f->src.b, to = (size_t)o, t = (size_t)tap;
    if (f->depthwise) {
        size_t at = to / bo * f->weight_out + t * bo + to % bo;
        return (place){at, at};
    }
    const ot_layer *l = op->step.layer;
    int groups = op->step.kind == OT_STEP_CONV ? l->groups : 1;
    size_t ti = (size_t)(o / (op->out.c / groups) * (op->in.c / groups) + i);
    return (place){to / bo * f->weight_out + ti / bi * f->weight_block + t * bi * bo + ti % bi * bo + to % bo,
                   ti / bi * b->weight_out + to / bo * b->weight_block + t * bi * bo + to % bo * bi + ti % bi};
}

static int taps_of(const ot__cpu_op *op) { return op->step.kind == OT_STEP_CONV ? op->step.layer->kh * op->step.layer->kw : 1; }
static int inputs_of(const ot__cpu_op *op) { return op->step.kind == OT_STEP_CONV ? op->in.c / op->step.layer->groups : op->in.c; }

static size_t weight_floats(const ot__cpu_conv *c) { return c->weight_out * (size_t)c->dst.nb; }

/* ---- who does it ---- */

enum { FEW_FRAMES = 16 };            /* fewer at a time are not enough for oneDNN's Winograd */

/* Decided by the step and the tile alone.  From measurements on AVX-512 (docs/backends.md): our loops are as fast as oneDNN's direct
 * convolution, but where many weights meet few pixels; Winograd is up to three times faster from 32 channels on, for whole tiles. */
static int wants_winograd(const ot__cpu_op *op, ot_conv_choice how)
{
    const ot_layer *l = op->step.layer;
    if (!op->cpu->dnnl || op->step.kind != OT_STEP_CONV || how == OT_CONV_DIRECT) return 0;
    if (l->groups != 1 || l->kh != 3 || l->kw != 3 || l->sh != 1 || l->sw != 1 || op->in.b != OT_BLOCK || op->out.b != OT_BLOCK) return 0;
    if (how == OT_CONV_WINOGRAD) return 1;
    return op->tile >= 64 && op->in.c >= 32 && op->out.c >= 32 && op->out.h >= 4 && op->out.w >= 4;
}

static int wants_dnnl_direct(const ot__cpu_op *op)
{
    const ot_layer *l = op->step.layer;
    if (!op->cpu->dnnl || op->step.kind != OT_STEP_CONV || l->groups != 1 || op->in.b != OT_BLOCK || op->out.b != OT_BLOCK) return 0;
    return !op->forward.flat && l->kh * l->kw > 1 && op->out.h * op->out.w <= 16 && (double)l->kh * l->kw * op->in.c * op->out.c > 256 * 1024;
}

static int wants_gemm(const ot__cpu_op *op)
{
    return op->cpu->dnnl && op->step.kind == OT_STEP_DENSE && (double)op->in.c * op->out.c >= 256 * 1024;
}

/* Frames of spikes: oneDNN does an image at a time where it does them densely, if that is enough for it; else our loops do. */
static ot_status ask_image(ot__cpu_op *op, int winograd)
{
    const ot_layer *l = op->step.layer;
    ot__dnnl_shape  s = {op->step.steps, op->in.c, op->in.h, op->in.w, op->out.c, op->out.h, op->out.w, l->kh, l->kw, l->sh, l->sw, l->pt, l->pl, l->pb, l->pr};
    if (op->step.steps < FEW_FRAMES) return OT_OK;
    ot_status st = ot__dnnl_conv_open(&op->dnnl_image, op->cpu->dnnl, &s, winograd, 0, &op->bytes, &op->image_scratch);
    op->winograd_image = st == OT_OK && winograd;
    if (st == OT_OK) op->algorithm = winograd ? "events or winograd" : "events or direct, oneDNN";
    return st == OT_E_UNSUPPORTED ? OT_OK : st;
}

/* oneDNN where it has this shape on this processor; op->dnnl stays NULL where it has not. */
static ot_status ask_dnnl(ot__cpu_op *op, int winograd)
{
    const ot_layer *l = op->step.layer;
    op->chunk = winograd && op->tile % 64 == 0 ? 64 : op->tile;
    if (op->event.weight) OT_TRY(ask_image(op, winograd));
    if (op->event.weight && op->use == OT_PLAN_FORWARD) return OT_OK;
    ot__dnnl_shape s = {op->chunk, op->in.c, op->in.h, op->in.w, op->out.c, op->out.h, op->out.w, l->kh, l->kw, l->sh, l->sw, l->pt, l->pl, l->pb, l->pr};
    ot_status st = ot__dnnl_conv_open(&op->dnnl, op->cpu->dnnl, &s, winograd, op->use != OT_PLAN_FORWARD, &op->bytes, &op->dnnl_scratch);
    if (st == OT_OK && !op->event.weight) op->algorithm = winograd ? "winograd" : "direct, oneDNN";
    return st == OT_E_UNSUPPORTED ? OT_OK : st;
}

static ot_status floats(float **out, size_t n, size_t *bytes)
{
    *out = ot_alloc(n, sizeof **out);
    if (!*out) OT_NOMEM("weights", n * sizeof **out);
    *bytes += n * sizeof **out;
    return OT_OK;
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

/* Scratch: [frame | packed weight gradients] for our loops, [oneDNN's | dL/d(src) to be added] for oneDNN. */
ot_status ot__cpu_conv_open(ot__cpu_op *op, const ot_plan_options *opt)
{
    int back = op->use != OT_PLAN_FORWARD;
    OT_TRY(ot__cpu_conv_plan(&op->forward, back ? &op->back : NULL, &op->step, op->in, op->out, &op->bytes));
    OT_TRY(floats(&op->weight_scale, (size_t)op->out.c, &op->bytes));
    OT_TRY(ot__cpu_event_open(op));
    op->algorithm = op->forward.depthwise ? "depthwise" : op->event.weight ? "events or direct" : "direct";
    if (wants_winograd(op, opt->conv)) OT_TRY(ask_dnnl(op, 1));
    if (!op->dnnl && !op->dnnl_image && wants_dnnl_direct(op)) OT_TRY(ask_dnnl(op, 0));
    if (op->dnnl || op->dnnl_image) OT_TRY(floats(&op->plain, (size_t)op->out.c * (size_t)inputs_of(op) * (size_t)taps_of(op), &op->bytes));
    if (op->dnnl) {
        op->dnnl_scratch = (op->dnnl_scratch + 63) / 64 * 64;
        op->scratch = op->dnnl_scratch + (back ? (size_t)op->chunk * op->in.image * sizeof(float) : 0);
    } else if (wants_gemm(op)) {
        op->algorithm = "sgemm";
        OT_TRY(floats(&op->gemm, op->in.image * op->out.image, &op->bytes));
        if (back) OT_TRY(floats(&op->gemm_back, op->in.image * op->out.image, &op->bytes));
        op->scratch = back ? (size_t)op->tile * op->in.image * sizeof(float) : 0;
    } else {
        if (back) OT_TRY(ot__cpu_conv_take(&op->back, &op->bytes));
        op->scratch = ot__cpu_frame_bytes(&op->back);
    }
    if (!op->gemm && !op->dnnl_image && (!op->dnnl || op->event.weight)) {          /* our loops go forward */
        OT_TRY(ot__cpu_conv_take(&op->forward, &op->bytes));
        op->scratch = most(op->scratch, ot__cpu_frame_bytes(&op->forward));
    }
    op->scratch = most(op->scratch, most(op->image_scratch, op->event.scratch));
    if (op->use == OT_PLAN_TRAIN) op->scratch = most(op->scratch, ot__cpu_frame_bytes(&op->forward) + weight_floats(&op->forward) * sizeof(float));
    return OT_OK;
}

void ot__cpu_conv_close(ot__cpu_op *op)
{
    ot__cpu_conv_free(&op->forward);
    ot__cpu_conv_free(&op->back);
    ot_free(op->weight_scale);
    ot_free(op->plain);
    ot_free(op->gemm);
    ot_free(op->gemm_back);
    if (op->dnnl) ot__dnnl_conv_close(op->dnnl);
    if (op->dnnl_image) ot__dnnl_conv_close(op->dnnl_image);
    ot_free(op->event.weight);
}

ot_status ot__cpu_conv_load(ot__cpu_op *op, const float *weight, const float *scale)
{
    int taps = taps_of(op), inputs = inputs_of(op);
    float *plain = op->plain;
    ot__cpu_event_load(op, weight, scale);
    for (int o = 0; o < op->out.c; o++) {
        op->weight_scale[o] = scale ? scale[o] : 1.0f;
        for (int i = 0; i < inputs; i++)
            for (int t = 0; t < taps; t++) {
                float w = *weight++ * op->weight_scale[o];
                if (plain) *plain++ = w;
                if (op->gemm) {
                    op->gemm[(size_t)i * op->out.image + (size_t)o] = w;
                    if (op->gemm_back) op->gemm_back[(size_t)o * op->in.image + (size_t)i] = w;
                } else {
                    place at = place_of(op, o, i, t);
                    if (op->forward.weight) op->forward.weight[at.forward] = w;
                    if (op->back.weight) op->back.weight[at.back] = w;
                }
            }
    }
    if (op->dnnl_image) OT_TRY(ot__dnnl_conv_load(op->dnnl_image, op->plain));
    return op->dnnl ? ot__dnnl_conv_load(op->dnnl, op->plain) : OT_OK;
}

/* ---- passes ---- */

ot_status ot__cpu_conv_forward(ot__cpu_op *op, const float *src, const float *res, float *dst, float *scratch, int n, const ot__cpu_post *post)
{
    const ot__cpu_loops *loops = OT_LOOPS_OF(op->cpu, op->out);
    if (op->gemm) {
        OT_TRY(ot__dnnl_sgemm(op->tile, (int)op->out.image, (int)op->in.image, src, op->gemm, dst));
        loops->post(op->out, dst, dst, res, n, post);
        return OT_OK;
    }
    if (op->event.weight) return ot__cpu_event_forward(op, src, res, dst, scratch, n, post);
    if (!op->dnnl) {
        loops->conv(&op->forward, src, res, dst, 0, n, post, scratch);
        return OT_OK;
    }
    for (int i = 0; i < n; i += op->chunk) {                 /* what follows while the chunk is in cache */
        size_t at = (size_t)i * op->out.image;
        OT_TRY(ot__dnnl_conv_forward(op->dnnl, src + (size_t)i * op->in.image, dst + at, scratch));
        loops->post(op->out, dst + at, dst + at, res ? res + at : NULL, n - i < op->chunk ? n - i : op->chunk, post);
    }
    return OT_OK;
}

static void gradients(ot__cpu_op *op, const float *src, const float *g, float *scratch, const ot_step_back *back)
{
    float *packed = scratch + ot__cpu_frame_bytes(&op->forward) / sizeof *scratch;
    memset(packed, 0, weight_floats(&op->forward) * sizeof *packed);
    OT_LOOPS_OF(op->cpu, op->out)->conv_weights(&op->forward, src, g, packed, back->n, scratch);
    int taps = taps_of(op), inputs = inputs_of(op);
    float *out = back->grad_weight;
    for (int o = 0; o < op->out.c; o++)
        for (int i = 0; i < inputs; i++)
            for (int t = 0; t < taps; t++) *out++ = packed[place_of(op, o, i, t).forward] * op->weight_scale[o];
}

static ot_status data_gradient(ot__cpu_op *op, const float *g, float *dsrc, float *scratch, int add, int n)
{
    const ot__cpu_loops *loops = OT_LOOPS_OF(op->cpu, op->in);
    if (op->gemm) {
        float *to = add ? scratch : dsrc;
        OT_TRY(ot__dnnl_sgemm(op->tile, (int)op->in.image, (int)op->out.image, g, op->gemm_back, to));
        if (add) loops->scale(op->in, dsrc, to, NULL, 1, n);
        return OT_OK;
    }
    if (!op->dnnl) {
        loops->conv(&op->back, g, NULL, dsrc, add, n, NULL, scratch);
        return OT_OK;
    }
    float *apart = scratch + op->dnnl_scratch / sizeof *scratch;
    for (int i = 0; i < n; i += op->chunk) {
        float *here = dsrc + (size_t)i * op->in.image, *to = add ? apart : here;
        OT_TRY(ot__dnnl_conv_data(op->dnnl, g + (size_t)i * op->out.image, to, scratch));
        if (add) loops->scale(op->in, here, to, NULL, 1, n - i < op->chunk ? n - i : op->chunk);
    }
    return OT_OK;
}

ot_status ot__cpu_conv_backward(ot__cpu_op *op, const float *src, float *g, float *dsrc, float *scratch, const ot_step_back *back)
{
    if (dsrc) OT_TRY(data_gradient(op, g, dsrc, scratch, back->add_src, back->n));
    if (back->grad_weight) gradients(op, src, g, scratch, back);
    return OT_OK;
}

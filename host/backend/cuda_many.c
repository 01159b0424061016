/* cuda_many.c - what plans of several chips use: images and knobs on the device, losses, the optimiser, graphs. */
#ifdef OT_HAVE_CUDA

#include "backend/cuda.h"

#include <string.h>

struct ot_many_adam {
    otk_adam a;
    void    *block, *rate;                 /* rate: (steps), NULL for a fixed one */
    float   *start;                        /* (chips, 2 L) knobs on their way */
    size_t   bytes;
};

static ot_status write_to(void *ctx, void *mem, const void *from, size_t bytes)
{
    ot__cuda *c = ctx;
    OT_CUDA(cudaMemcpyAsync(mem, from, bytes, cudaMemcpyHostToDevice, c->stream));
    OT_CUDA(cudaStreamSynchronize(c->stream));
    return OT_OK;
}

static ot_status read_from(void *ctx, void *to, const void *mem, size_t bytes)
{
    ot__cuda *c = ctx;
    OT_CUDA(cudaMemcpyAsync(to, mem, bytes, cudaMemcpyDeviceToHost, c->stream));
    OT_CUDA(cudaStreamSynchronize(c->stream));
    return OT_OK;
}

static ot_status fill(void *ctx, void *mem, int byte, size_t bytes)
{
    OT_CUDA(cudaMemsetAsync(mem, byte, bytes, ((ot__cuda *)ctx)->stream));
    return OT_OK;
}

static ot_status copy(void *ctx, void *to, const void *from, size_t bytes)
{
    OT_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, ((ot__cuda *)ctx)->stream));
    return OT_OK;
}

static ot_status free_bytes(void *ctx, size_t *bytes)
{
    size_t total;
    (void)ctx;
    OT_CUDA(cudaMemGetInfo(bytes, &total));
    return OT_OK;
}

static ot_status input(void *ctx, void *dst, ot_shape s, int n, const ot_many_input *in)
{
    ot__cuda *c = ctx;
    if (in->steps) {
        OT_CUDA(otk_input_spikes(c->type, ot__cuda_shape(s), n, in->coding == OT_CODING_LATENCY ? OTK_CODING_LATENCY : OTK_CODING_RATE, in->steps, in->seed, in->pixels, in->values, in->scale, in->shift, in->rows, in->step, in->per_step,
                                 in->first, dst, in->wanted, 1.0f, c->stream));
        return OT_OK;
    }
    if (in->crops) {
        OT_CUDA(otk_input_crops(c->type, ot__cuda_shape(s), n, in->pixels, in->values, in->scale, in->shift, in->rows, in->step, in->per_step, in->first, in->crops, in->pad,
                                dst, in->wanted, 1.0f, c->stream));
        return OT_OK;
    }
    OT_CUDA(otk_input(c->type, ot__cuda_shape(s), n, in->pixels, in->values, in->scale, in->shift, in->rows, in->step, in->per_step, in->first, dst, in->wanted, 1.0f,
                      c->stream));
    return OT_OK;
}

static ot_status loss(void *ctx, const void *logits, ot_shape s, int64_t stride, int chips, int n, const ot_many_loss *l)
{
    ot__cuda  *c = ctx;
    otk_tensor t = {(void *)logits, stride};
    size_t     partial = otk_loss_bytes(chips, n);
    otk_loss   k = {.logits = t, .grad = {l->grad, stride}, .labels = l->labels, .rows = l->rows, .logit_factor = 1 / l->scale, .weight = l->weight > 0 ? l->weight : c->type == OTK_F16 ? 16.0 : 1.0, .smoothing = l->smoothing,
                    .loss = l->loss, .right = l->right, .bits = l->bits, .bits_stride = l->bits_stride, .first = l->first, .frames = l->frames};
    OT_TRY(ot__cuda_grow(&c->small, &c->small_bytes, partial));
    k.partial = c->small;
    if (l->flags) OT_CUDA(otk_finite(c->type, ot__cuda_shape(s), chips, n, t, l->flags, c->stream));
    OT_CUDA(otk_loss_run(c->type, s.c, chips, n, &k, c->stream));
    return OT_OK;
}

static ot_status counts(void *ctx, void *out, int64_t out_stride, const void *spikes, int64_t stride, ot_shape s, int chips, int n, int steps, int sooner, float scale)
{
    ot__cuda  *c = ctx;
    otk_tensor from = {(void *)spikes, stride}, to = {out, out_stride};
    OT_CUDA(otk_if_count(c->type, ot__cuda_shape(s), chips, n, steps, sooner, from, to, 1.0f / scale, c->stream));
    return OT_OK;
}

static ot_status spread(void *ctx, void *frames, int64_t stride, const void *of_counts, int64_t counts_stride, ot_shape s, int chips, int n, int steps, int sooner)
{
    ot__cuda  *c = ctx;
    otk_tensor from = {(void *)of_counts, counts_stride}, to = {frames, stride};
    OT_CUDA(otk_if_spread(c->type, ot__cuda_shape(s), chips, n, steps, sooner, from, to, c->stream));
    return OT_OK;
}

static ot_status get(void *ctx, float *nchw, ot_shape s, int64_t stride, int chips, int n, float scale, const void *src)
{
    ot__cuda  *c = ctx;
    size_t     bytes = (size_t)chips * (size_t)n * (size_t)s.c * (size_t)s.h * (size_t)s.w * sizeof(float);
    otk_tensor t = {(void *)src, stride};
    OT_TRY(ot__cuda_grow(&c->stage, &c->stage_bytes, bytes));
    OT_CUDA(otk_export(c->type, ot__cuda_shape(s), chips, n, t, c->stage, 1.0f / scale, c->stream));
    return read_from(c, nchw, c->stage, bytes);
}

static ot_status largest(void *ctx, const void *src, ot_shape s, int n, float *out)
{
    ot__cuda *c = ctx;
    OT_TRY(ot__cuda_grow(&c->small, &c->small_bytes, sizeof(uint32_t)));
    OT_CUDA(cudaMemsetAsync(c->small, 0, sizeof(uint32_t), c->stream));
    OT_CUDA(otk_largest(c->type, ot__cuda_shape(s), n, src, c->small, c->stream));
    return read_from(c, out, c->small, sizeof *out);
}

static ot_status moments(void *ctx, const void *src, ot_shape s, int64_t stride, int chips, int n, float scale, double *out)
{
    ot__cuda  *c = ctx;
    otk_tensor t = {(void *)src, stride};
    OT_TRY(ot__cuda_grow(&c->small, &c->small_bytes, otk_moments_bytes(ot__cuda_shape(s), chips)));
    OT_CUDA(otk_moments(c->type, ot__cuda_shape(s), chips, n, t, out, 1.0f / scale, c->small, c->stream));
    return OT_OK;
}

static size_t place(size_t *at, size_t bytes)
{
    size_t was = *at;
    *at += (bytes + 255) / 256 * 256;
    return was;
}

static void adam_close(void *ctx, ot_many_adam *a)
{
    (void)ctx;
    if (!a) return;
    (void)cudaFree(a->rate);
    (void)cudaFree(a->block);
    ot_free(a);
}

static ot_status adam_open(void *ctx, ot_many_adam **out, int chips, int relus)
{
    size_t n = (size_t)chips * 2 * (size_t)relus, at = 0;
    size_t knob = place(&at, n * 8), best = place(&at, n * 8), grad = place(&at, n * 8), state = place(&at, n * 16), sent = place(&at, n * 4), start = place(&at, n * 4);
    size_t losses = place(&at, (size_t)chips * 8), chip = place(&at, (size_t)chips * sizeof(otk_adam_chip)), step = place(&at, 4);
    ot_many_adam *a = ot_alloc(1, sizeof *a);
    if (!a) OT_NOMEM("Adam", sizeof *a);
    ot_status st = ot__backend_cuda.alloc(ctx, &a->block, at);
    if (st != OT_OK) {
        ot_free(a);
        return st;
    }
    char *b = a->block;
    a->bytes = at;
    a->start = (float *)(b + start);
    a->a = (otk_adam){.L = relus, .knob = (double *)(b + knob), .best = (double *)(b + best), .grad = (double *)(b + grad), .state = (double *)(b + state),
                      .loss = (double *)(b + losses), .sent = (float *)(b + sent), .chip = (otk_adam_chip *)(b + chip), .step = (uint32_t *)(b + step)};
    *out = a;
    return OT_OK;
}

static ot_status adam_start(void *ctx, ot_many_adam *a, int chips, const float *knobs, const ot_many_rule *rule, int64_t minibatch)
{
    ot__cuda *c = ctx;
    OT_TRY(write_to(c, a->start, knobs, (size_t)chips * 2 * (size_t)a->a.L * sizeof *knobs));
    if (rule->rate) {
        OT_TRY(ot__backend_cuda.alloc(ctx, &a->rate, (size_t)rule->steps * sizeof *rule->rate));
        OT_TRY(write_to(c, a->rate, rule->rate, (size_t)rule->steps * sizeof *rule->rate));
    }
    a->a.lr = rule->lr;
    a->a.rate = a->rate;
    a->a.sgd = rule->sgd;
    a->a.momentum = rule->momentum;
    a->a.images = (double)minibatch;
    a->a.grad_factor = 1.0 / ((double)minibatch * (c->type == OTK_F16 ? 16.0 : 1.0));
    OT_CUDA(otk_adam_start(&a->a, chips, a->start, c->stream));
    return OT_OK;
}

static void adam_mem(ot_many_adam *a, const float **knobs, double **grad, double **losses, uint32_t **step)
{
    *knobs = a->a.sent;
    *grad = a->a.grad;
    *losses = a->a.loss;
    *step = a->a.step;
}

static ot_status adam_step(void *ctx, ot_many_adam *a, int chips)
{
    OT_CUDA(otk_adam_step(&a->a, chips, ((ot__cuda *)ctx)->stream));
    return OT_OK;
}

static ot_status adam_result(void *ctx, ot_many_adam *a, int chips, float *knobs, ot_many_adam_result *result)
{
    otk_adam_chip *all = ot_alloc((size_t)chips, sizeof *all);
    if (!all) OT_NOMEM("Adam", (size_t)chips * sizeof *all);
    ot_status st = read_from(ctx, knobs, a->a.sent, (size_t)chips * 2 * (size_t)a->a.L * sizeof *knobs);
    if (st == OT_OK) st = read_from(ctx, all, a->a.chip, (size_t)chips * sizeof *all);
    for (int k = 0; k < chips && st == OT_OK; k++)
        result[k] = (ot_many_adam_result){all[k].steps, all[k].projected, all[k].nan_restores, all[k].bad_in_row, all[k].best_loss, all[k].last_loss};
    ot_free(all);
    return st;
}

static ot_status capture(void *ctx)
{
    OT_CUDA(cudaStreamBeginCapture(((ot__cuda *)ctx)->stream, cudaStreamCaptureModeThreadLocal));
    return OT_OK;
}

static ot_status captured(void *ctx, void **graph)
{
    cudaGraph_t     g = NULL;
    cudaGraphExec_t e = NULL;
    int             st = cudaStreamEndCapture(((ot__cuda *)ctx)->stream, &g);
    if (graph && !st) st = cudaGraphInstantiate(&e, g, 0);
    if (g) (void)cudaGraphDestroy(g);
    if (!graph) {
        (void)cudaGetLastError();
        return OT_OK;
    }
    if (st) return ot__cuda_fail(st, "cudaGraphInstantiate", __FILE__, __LINE__);
    *graph = e;
    return OT_OK;
}

static ot_status replay(void *ctx, void *graph)
{
    OT_CUDA(cudaGraphLaunch(graph, ((ot__cuda *)ctx)->stream));
    return OT_OK;
}

static void graph_close(void *ctx, void *graph)
{
    (void)ctx;
    if (graph) (void)cudaGraphExecDestroy(graph);
}

const ot_many_i ot__cuda_many = {
    .write = write_to,
    .read = read_from,
    .fill = fill,
    .copy = copy,
    .free_bytes = free_bytes,
    .design = ot__cuda_design,
    .draw = ot__cuda_draw,
    .weights = ot__cuda_weights,
    .masks = ot__cuda_masks,
    .input = input,
    .loss = loss,
    .counts = counts,
    .spread = spread,
    .get = get,
    .moments = moments,
    .largest = largest,
    .scale = ot__cuda_scale,
    .adam_open = adam_open,
    .adam_close = adam_close,
    .adam_start = adam_start,
    .adam_mem = adam_mem,
    .adam_step = adam_step,
    .adam_result = adam_result,
    .capture = capture,
    .captured = captured,
    .replay = replay,
    .graph_close = graph_close,
};

#else
typedef int ot__cuda_many_is_not_in_this_build;
#endif

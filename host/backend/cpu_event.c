/* cpu_event.c - convolutions of spikes, event by event where few neurons fire, densely where many do.
 *
 * Which of the two is decided for each image by the share of numbers that are not zero at four of its steps, so it depends on that image
 * and nothing else, and so do the results.  Events add what a dense convolution adds, in another order.  Where oneDNN's Winograd does the
 * dense work it takes one image's T frames at a time here, so that no image is computed for its neighbours' sake. */
#include "backend/cpu.h"

#include <string.h>

/* Below this share events win, as measured (docs/spiking.md): later where the weights that 64 outputs meet no longer stay near. */
static double few_of(const ot__cpu_op *op)
{
    const ot_layer *l = op->step.layer;
    const int       near = (double)l->kh * l->kw * op->in.c <= 1600;
    return op->winograd_image ? near ? 0.22 : 0.12 : near ? 0.35 : 0.25;
}

ot_status ot__cpu_event_open(ot__cpu_op *op)
{
    const ot_layer *l = op->step.layer;
    const ot_step  *s = &op->step;
    size_t          channels = ot__cpu_channels(op->out);
    double          weights = (double)l->kh * l->kw * (double)ot__cpu_channels(op->in) * (double)channels;
    if (!s->events || s->kind != OT_STEP_CONV || l->groups != 1 || op->in.b != OT_BLOCK || op->out.b != OT_BLOCK || weights + (double)op->in.w * (double)channels > 1e9)
        return OT_OK;
    ot__cpu_event *e = &op->event;
    *e = (ot__cpu_event){.in = op->in, .out = op->out, .kh = l->kh, .kw = l->kw, .sh = l->sh, .sw = l->sw, .pt = l->pt, .pl = l->pl, .channels = channels,
                         .kernel_row = ot__cpu_channels(op->in) * (size_t)l->kw * channels, .most = op->in.image + OT_BLOCK,
                         .starts = ((size_t)op->in.h * (size_t)(op->in.w + 1) + OT_BLOCK - 1) / OT_BLOCK * OT_BLOCK};
    e->weight = ot_alloc(e->kernel_row * (size_t)l->kh, sizeof *e->weight);
    if (!e->weight) OT_NOMEM("weights of a convolution", e->kernel_row * (size_t)l->kh * sizeof *e->weight);
    op->bytes += e->kernel_row * (size_t)l->kh * sizeof *e->weight;
    e->scratch = (e->most + e->starts) * sizeof(int32_t) + e->most * sizeof(float);
    return OT_OK;
}

void ot__cpu_event_load(ot__cpu_op *op, const float *weight, const float *scale)
{
    const ot__cpu_event *e = &op->event;
    for (size_t o = 0; e->weight && o < (size_t)op->out.c; o++)
        for (size_t i = 0; i < (size_t)op->in.c; i++)
            for (size_t y = 0; y < (size_t)e->kh; y++)
                for (size_t x = 0; x < (size_t)e->kw; x++)
                    e->weight[y * e->kernel_row + (i * (size_t)e->kw + x) * e->channels + o] = *weight++ * (scale ? scale[o] : 1.0f);
}

static int few_events(const ot__cpu_op *op, const float *src)
{
    const size_t T = (size_t)op->step.steps;
    int64_t      count = 0;
    for (size_t k = 1; k <= 4; k++) count += OT_LOOPS_OF(op->cpu, op->in)->not_zero(op->in, src + (k * T / 4 - (k * T / 4 > 0)) * op->in.image);
    return (double)count < few_of(op) * 4.0 * op->in.c * op->in.h * op->in.w;
}

ot_status ot__cpu_event_forward(ot__cpu_op *op, const float *src, const float *res, float *dst, float *scratch, int n, const ot__cpu_post *post)
{
    const ot__cpu_loops *loops = OT_LOOPS_OF(op->cpu, op->out);
    const int            T = op->step.steps;
    const size_t         in = op->in.image, out = op->out.image;
    for (int i = 0; i < n; i += T) {
        const float *x = src + (size_t)i * in, *r = res ? res + (size_t)i * out : NULL;
        float       *y = dst + (size_t)i * out;
        if (few_events(op, x)) {
            for (size_t t = 0; t < (size_t)T; t++) loops->event_conv(&op->event, x + t * in, r ? r + t * out : NULL, y + t * out, post->shift, scratch);
        } else if (op->dnnl_image) {
            OT_TRY(ot__dnnl_conv_forward(op->dnnl_image, x, y, scratch));
            loops->post(op->out, y, y, r, T, post);
        } else {
            loops->conv(&op->forward, x, r, y, 0, T, post, scratch);
        }
    }
    return OT_OK;
}

/* run.c - images in, logits out, in tiles of fixed size.  Nothing here allocates. */
#include "plan/impl.h"

#include <math.h>
#include <string.h>

ot_status ot__plan_check_images(const ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n)
{
    OT_TRY(ot_data_check(data, p->net));
    if (n < 0 || (!index && n > data->n)) OT_FAIL(OT_E_RANGE, "%lld images asked for, data set %s has %d", (long long)n, data->name, data->n);
    for (int64_t i = 0; index && i < n; i++)
        if (index[i] >= (uint32_t)data->n) OT_FAIL(OT_E_RANGE, "image number %u, want 0..%d (data set %s)", index[i], data->n - 1, data->name);
    return OT_OK;
}

ot_status ot__plan_fill(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t first, int n)
{
    const int frames = p->tensors[0].frames;
    for (int k = 0; k < n; k++) {
        const int64_t i = index ? (int64_t)index[first + k] : first + k;
        float        *to = p->stage + (size_t)k * (size_t)frames * p->image;
        ot_data_image(data, p->net, i, to);
        if (p->spiking) OT_TRY(ot__plan_take_image(p, data, i, to));
    }
    return p->be->i->put(p->be->ctx, ot__plan_tensor(p, 0), p->tensors[0].shape, n * frames, p->stage);
}

ot_status ot__plan_step(ot_plan *p, int i, int n, int taps, int skip_relu)
{
    const ot_step *s = &p->steps[i];
    const int      l = ot__step_knob(s);
    ot_step_run    run = {.n = n * p->tensors[s->dst].frames, .gain = 1.0f, .skip_relu = skip_relu};
    if (l >= 0) {
        run.gain = s->kind == OT_STEP_SPIKE ? ot__step_threshold(s, p->gain[l]) : p->gain[l];
        run.offset = p->offset[l];
        if (taps) run.tap = p->tap + (size_t)l * (size_t)p->opt.tile;
    }
    return p->be->i->forward(p->be->ctx, p->ops[i], ot__plan_tensor(p, s->src), ot__plan_tensor(p, s->res), ot__plan_tensor(p, s->dst), p->scratch, &run);
}

ot_status ot__plan_steps(ot_plan *p, int n, int taps)
{
    for (int i = 0; i < p->n_steps; i++) OT_TRY(ot__plan_step(p, i, n, taps, 0));
    return OT_OK;
}

ot_status ot__plan_answers(ot_plan *p, int n)
{
    const ot__tensor *t = &p->tensors[p->logits];
    const size_t      classes = (size_t)p->classes, frames = (size_t)t->frames;
    OT_TRY(p->be->i->get(p->be->ctx, p->spiking ? p->frames : p->out, t->shape, n * t->frames, ot__plan_tensor(p, p->logits)));
    if (!p->spiking) return OT_OK;
    memset(p->out, 0, (size_t)n * classes * sizeof *p->out);
    for (size_t i = 0; i < (size_t)n * frames; i++)                  /* whole numbers: exact in any order */
        for (size_t c = 0; c < classes; c++) p->out[i / frames * classes + c] += p->frames[i * classes + c] * ot__spike_score(p, (int)(i % frames));
    return OT_OK;
}

int ot_plan_class(const float *x, int classes)
{
    int best = 0;
    for (int k = 0; k < classes; k++) {
        if (isnan(x[k])) return -1;
        if (x[k] > x[best]) best = k;
    }
    return best;
}

static ot_status run(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t first, int n, int taps)
{
    OT_TRY(ot__plan_fill(p, data, index, first, n));
    OT_TRY(ot__plan_steps(p, n, taps));
    OT_TRY(ot__plan_answers(p, n));
    for (int i = 0; i < n * p->classes && p->be->i->gradient_scale && p->be->i->gradient_scale(p->be->ctx) > 1; i++)
        if (!isfinite(p->out[i]))
            OT_FAIL(OT_E_DATA, "image %lld: numbers too large for half precision; want backend cuda or cuda:tf32", (long long)(index ? index[first + i / p->classes] : first + i / p->classes));
    return OT_OK;
}

static ot_status check(const ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n)
{
    if (p->opt.use == OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "this plan trains; open one for forward or tuning to run the network as it is");
    return ot__plan_check_images(p, data, index, n);
}

ot_status ot_plan_forward(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n, float *logits, float *layer_mean)
{
    const size_t classes = (size_t)p->classes, relus = (size_t)p->relus, tile = (size_t)p->opt.tile;
    OT_TRY(check(p, data, index, n));
    for (int64_t first = 0; first < n; first += p->opt.tile) {
        size_t count = n - first < p->opt.tile ? (size_t)(n - first) : tile;
        OT_TRY(run(p, data, index, first, (int)count, layer_mean != NULL));
        if (logits) memcpy(logits + (size_t)first * classes, p->out, count * classes * sizeof *logits);
        for (size_t k = 0; layer_mean && k < count; k++)
            for (size_t l = 0; l < relus; l++) layer_mean[((size_t)first + k) * relus + l] = p->tap[l * tile + k];
    }
    return OT_OK;
}

ot_status ot_plan_count(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n, int64_t *correct, uint8_t *bits)
{
    int64_t right = 0;
    OT_TRY(check(p, data, index, n));
    if (bits) memset(bits, 0, (size_t)(n + 7) / 8);
    for (int64_t first = 0; first < n; first += p->opt.tile) {
        int count = n - first < p->opt.tile ? (int)(n - first) : p->opt.tile;
        OT_TRY(run(p, data, index, first, count, 0));
        for (int64_t k = 0; k < count; k++) {
            int64_t i = first + k;
            int     good = ot_plan_class(p->out + k * p->classes, p->classes) == data->labels[index ? index[i] : i];
            right += good;
            if (bits && good) bits[i / 8] |= (uint8_t)(1u << i % 8);
        }
    }
    if (correct) *correct = right;
    return OT_OK;
}

/* run.c - forward: images into tiles, tiles through the steps, logits and layer means out. */
#include "impl.h"

#include <math.h>
#include <string.h>

ot_status plan__check_images(const ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n)
{
    OT_TRY(ot_data_check(data, p->net));
    if (n < 0 || (!index && n > data->n)) OT_FAIL(OT_E_RANGE, "%lld images of %s, want 0..%d", (long long)n, data->name, data->n);
    for (int64_t i = 0; index && i < n; i++)
        if (index[i] >= (uint32_t)data->n) OT_FAIL(OT_E_RANGE, "image %u of %s, want 0..%d", index[i], data->name, data->n - 1);
    return OT_OK;
}

void plan__stage(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t at, int n)
{
    size_t size = (size_t)data->c * (size_t)data->h * (size_t)data->w;
    for (int i = 0; i < n; i++) ot_data_image(data, p->net, index ? (int64_t)index[at + i] : at + i, p->image + (size_t)i * size);
    memset(p->image + (size_t)n * size, 0, (size_t)(p->opt.tile - n) * size * sizeof(float));     /* the padded tail */
}

static ot_step_run run_of(const ot_plan *p, const plan_step *ps, int n, int tap)
{
    int r = ps->step.relu ? ps->step.relu->relu : -1;
    return (ot_step_run){.n = n, .gain = r < 0 ? 1 : p->gain[r], .offset = r < 0 ? 0 : p->offset[r],
                         .tap = tap && r >= 0 ? p->taps + (size_t)r * (size_t)p->opt.tile : NULL};
}

static ot_status step_forward(ot_plan *p, plan_step *ps, const ot_step_run *run)
{
    const ot_step *s = &ps->step;
    return p->be->i->forward(p->be->ctx, ps->op, plan__mem(p, s->src), plan__mem(p, s->res), plan__mem(p, s->dst), p->scratch, run);
}

static ot_status put_images(ot_plan *p) { return p->be->i->put(p->be->ctx, plan__mem(p, 0), p->tensors[0].shape, p->opt.tile, p->image); }

static ot_status get_logits(ot_plan *p, int n)
{
    int out = p->steps[p->n_steps - 1].step.dst;
    return p->be->i->get(p->be->ctx, p->logits, p->tensors[out].shape, n, plan__mem(p, out));
}

ot_status plan__forward(ot_plan *p, int n, int tap)
{
    OT_TRY(put_images(p));
    for (int k = 0; k < p->n_steps; k++) {
        ot_step_run run = run_of(p, &p->steps[k], n, tap);
        OT_TRY(step_forward(p, &p->steps[k], &run));
    }
    return get_logits(p, n);
}

int plan__best(const float *logits, int classes)
{
    int best = 0;
    for (int k = 0; k < classes; k++) {
        if (isnan(logits[k])) return -1;
        if (logits[k] > logits[best]) best = k;
    }
    return best;
}

static ot_status not_training(const ot_plan *p)
{
    if (p->opt.use == OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "a TRAIN plan uses the minibatch's statistics and cannot be evaluated; open a FORWARD plan");
    return OT_OK;
}

ot_status ot_plan_forward(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n, float *logits, float *layer_mean)
{
    OT_TRY(not_training(p));
    OT_TRY(plan__check_images(p, data, index, n));
    for (int64_t at = 0; at < n; at += p->opt.tile) {
        int m = (int)(n - at < p->opt.tile ? n - at : p->opt.tile);
        plan__stage(p, data, index, at, m);
        OT_TRY(plan__forward(p, m, layer_mean != NULL));
        if (logits) memcpy(logits + at * p->classes, p->logits, (size_t)m * (size_t)p->classes * sizeof *logits);
        for (int i = 0; layer_mean && i < m; i++)
            for (int r = 0; r < p->n_relus; r++) layer_mean[(at + i) * p->n_relus + r] = p->taps[(size_t)r * (size_t)p->opt.tile + (size_t)i];
    }
    return OT_OK;
}

ot_status ot_plan_count(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n, int64_t *correct, uint8_t *bits)
{
    OT_TRY(not_training(p));
    OT_TRY(plan__check_images(p, data, index, n));
    int64_t right = 0;
    if (bits) memset(bits, 0, (size_t)(n + 7) / 8);
    for (int64_t at = 0; at < n; at += p->opt.tile) {
        int m = (int)(n - at < p->opt.tile ? n - at : p->opt.tile);
        plan__stage(p, data, index, at, m);
        OT_TRY(plan__forward(p, m, 0));
        for (int i = 0; i < m; i++) {
            int64_t image = at + i;
            if (plan__best(p->logits + (size_t)i * (size_t)p->classes, p->classes) != data->labels[index ? index[image] : image]) continue;
            right++;
            if (bits) bits[image / 8] |= (uint8_t)(1u << image % 8);
        }
    }
    if (correct) *correct = right;
    return OT_OK;
}

ot_status ot_plan_moments(ot_plan *p, const ot_data *data, const uint32_t *index, int n, ot_moment_fn fn, void *user)
{
    OT_TRY(not_training(p));
    OT_TRY(plan__check_images(p, data, index, n));
    if (n < 1 || n > p->opt.tile) OT_FAIL(OT_E_RANGE, "moments of %d images, want 1..%d (the tile)", n, p->opt.tile);
    plan__stage(p, data, index, 0, n);
    OT_TRY(put_images(p));
    for (int k = 0; k < p->n_steps; k++) {
        plan_step *ps = &p->steps[k];
        ot_step_run run = run_of(p, ps, n, 0);
        if (ps->step.relu) {                                        /* its input first; then again with the knobs that `fn` sets */
            int r = ps->step.relu->relu;
            double mean, sd;
            run.skip_relu = 1;
            OT_TRY(step_forward(p, ps, &run));
            OT_TRY(p->be->i->moments(p->be->ctx, plan__mem(p, ps->step.dst), p->tensors[ps->step.dst].shape, n, &mean, &sd));
            OT_TRY(fn(user, r, mean, sd, &p->gain[r], &p->offset[r]));
            run = run_of(p, ps, n, 0);
        }
        OT_TRY(step_forward(p, ps, &run));
    }
    return OT_OK;
}

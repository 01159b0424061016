/* fleet_many.c - a fleet in the backend's own memory: all chips in the same launches, images resident, the host waits for results only.
 *
 * A minibatch step of tuning is put together once (input, forward, loss, backward, Adam; the position in the list of images is a counter
 * on the device), noted as a graph and replayed for every further step. */
#include "plan/fleet.h"

#include "chip/chip.h"
#include "chip/map.h"

#include <math.h>
#include <string.h>

#define CTX (f->plan->be->ctx)

static ot_status take(ot_fleet *f, void **mem, size_t bytes) { return f->plan->be->i->alloc(CTX, mem, bytes); }

static void give(ot_fleet *f, void **mem)
{
    if (*mem) f->plan->be->i->free(CTX, *mem);
    *mem = NULL;
}

static ot_status grow(ot_fleet *f, void **mem, size_t *have, size_t want)
{
    if (want <= *have) return OT_OK;
    give(f, mem);
    *have = 0;
    OT_TRY(take(f, mem, want));
    *have = want;
    return OT_OK;
}

static size_t element_bytes(const ot_fleet *f) { return f->plan->be->i->tensor_bytes(CTX, (ot_shape){8, 1, 1}, 1) / 8; }

/* Elements from chip to chip. */
static int64_t stride(const ot_fleet *f, int t) { return t == 0 ? 0 : (int64_t)(f->plan->tensors[t].bytes / (size_t)f->most / element_bytes(f)); }

/* Bytes of a chip's spike counts. */
static size_t counts_bytes(const ot_fleet *f) { return (f->plan->be->i->tensor_bytes(CTX, f->plan->tensors[f->plan->logits].shape, f->plan->opt.tile) + 63) / 64 * 64; }

static ot_status give_design(ot_fleet *f)
{
    const ot_plan *p = f->plan;
    for (int i = 0; i < p->n_steps; i++) {
        int k = p->steps[i].layer->crossbar;
        if (k < 0) continue;
        double step = ot_chip_scale(f->chip, k) / ((1 << f->var.bits) - 1);
        OT_TRY(f->many->design(CTX, p->ops[i], ot__chip_magnitudes(f->chip, k), step, &f->var, (uint32_t)k));
    }
    return OT_OK;
}

static ot_status give_normalisation(ot_fleet *f)
{
    const float *mean, *std;
    float        both[2 * 1024];
    int          c = f->plan->tensors[0].shape.c;
    if (c > 1024) OT_FAIL(OT_E_UNSUPPORTED, "images of %d channels, want at most 1024 on this backend", c);
    ot_network_normalisation(f->plan->net, &mean, &std);
    for (int k = 0; k < c; k++) both[k] = 1.0f / (255.0f * std[k]), both[c + k] = -mean[k] / std[k];       /* as ot_data_image */
    return f->many->write(CTX, f->d_norm, both, (size_t)c * 2 * sizeof *both);
}

ot_status ot__fleet_many_open(ot_fleet *f)
{
    const size_t n = (size_t)f->most, L = (size_t)f->plan->relus, tile = (size_t)f->plan->opt.tile;
    OT_TRY(take(f, &f->d_maps, n * sizeof(ot_cell_map)));
    OT_TRY(take(f, &f->d_numbers, n * sizeof(uint32_t)));
    OT_TRY(take(f, &f->d_knobs, n * 2 * (L + 1) * sizeof(float)));
    OT_TRY(take(f, &f->d_moments, n * 2 * sizeof(double)));
    OT_TRY(take(f, &f->d_taps, n * (L + 1) * tile * sizeof(float)));
    OT_TRY(take(f, &f->d_right, n * sizeof(int64_t)));
    OT_TRY(take(f, &f->d_flags, n * sizeof(int)));
    OT_TRY(take(f, &f->d_wanted, tile * sizeof(uint32_t)));
    OT_TRY(take(f, &f->d_norm, (size_t)f->plan->tensors[0].shape.c * 2 * sizeof(float)));
    if (f->plan->spiking) OT_TRY(take(f, &f->d_counts, n * counts_bytes(f)));
    if (f->plan->spiking) OT_TRY(take(f, &f->d_counts_grad, n * counts_bytes(f)));
    OT_TRY(give_normalisation(f));
    return give_design(f);
}

static void drop_images(ot_fleet *f, ot__images_on *on)
{
    give(f, &on->pixels);
    give(f, &on->values);
    give(f, &on->labels);
    on->data = NULL;
}

void ot__fleet_many_close(ot_fleet *f)
{
    void **all[] = {&f->d_maps, &f->d_numbers, &f->d_knobs, &f->d_moments, &f->d_taps, &f->d_right, &f->d_flags, &f->d_wanted, &f->d_norm, &f->d_counts, &f->d_counts_grad,
                    &f->d_rows, &f->d_bits};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) give(f, all[k]);
    for (int k = 0; k < OT_FLEET_DATA; k++) drop_images(f, &f->images[k]);
}

ot_status ot__fleet_many_draw(ot_fleet *f)
{
    const ot_plan *p = f->plan;
    ot_cell_map   *maps = ot_alloc((size_t)f->n, sizeof *maps);
    ot_status      st = OT_OK;
    if (!maps) OT_NOMEM("fleet", (size_t)f->n * sizeof *maps);
    for (int k = 0; k < f->n; k++) {
        ot__cell_map_make(&maps[k], &f->dev, ot_fleet_delta_sys(f, k), ot__sigma_rand(&f->var));
        if (f->gains[k] < 1.0 || f->gains[k] > 1.0) ot__cell_map_scale(&maps[k], f->gains[k]);
    }
    OT_TRY_TO(done, st, f->many->write(CTX, f->d_maps, maps, (size_t)f->n * sizeof *maps));
    OT_TRY_TO(done, st, f->many->write(CTX, f->d_numbers, f->numbers, (size_t)f->n * sizeof *f->numbers));
    for (int i = 0; i < p->n_steps; i++)
        if (p->steps[i].layer->crossbar >= 0) OT_TRY_TO(done, st, f->many->draw(CTX, p->ops[i], f->n, f->d_maps, f->d_numbers));
done:
    ot_free(maps);
    return st;
}

ot_status ot__fleet_many_knobs(ot_fleet *f)
{
    return f->many->write(CTX, f->d_knobs, f->knobs, (size_t)f->n * 2 * (size_t)f->plan->relus * sizeof *f->knobs);
}

/* The data set on the device, copied there at first use; the oldest of OT_FLEET_DATA gives way. */
static ot_status images_of(ot__images_on **out, ot_fleet *f, const ot_data *d)
{
    const size_t numbers = (size_t)d->n * (size_t)d->c * (size_t)d->h * (size_t)d->w;
    ot_status    st = OT_OK;
    for (int k = 0; k < OT_FLEET_DATA; k++)
        if (f->images[k].data == d) {
            *out = &f->images[k];
            return OT_OK;
        }
    ot__images_on *on = &f->images[f->next_images++ % OT_FLEET_DATA];
    drop_images(f, on);
    if (d->pixels && !d->values) {
        OT_TRY_TO(done, st, take(f, &on->pixels, numbers));
        OT_TRY_TO(done, st, f->many->write(CTX, on->pixels, d->pixels, numbers));
    } else {
        OT_TRY_TO(done, st, take(f, &on->values, numbers * sizeof(float)));
        OT_TRY_TO(done, st, f->many->write(CTX, on->values, d->values, numbers * sizeof(float)));
    }
    OT_TRY_TO(done, st, take(f, &on->labels, (size_t)d->n * sizeof *d->labels));
    OT_TRY_TO(done, st, f->many->write(CTX, on->labels, d->labels, (size_t)d->n * sizeof *d->labels));
    on->odd = f->plan->spiking && !ot__plan_all_pictures_good(f->plan, d);
    on->data = d;
    *out = on;
done:
    if (st != OT_OK) drop_images(f, on);
    return st;
}

static ot_status rows_of(ot_fleet *f, const uint32_t *index, int64_t n)
{
    if (!index) return OT_OK;
    OT_TRY(grow(f, &f->d_rows, &f->rows_bytes, (size_t)n * sizeof *index));
    return f->many->write(CTX, f->d_rows, index, (size_t)n * sizeof *index);
}

/* Pictures that a spiking network refuses are refused where they are asked for, as in a plan. */
static ot_status check_pictures(ot_fleet *f, const ot__images_on *on, const uint32_t *index, int64_t n)
{
    for (int64_t i = 0; on->odd && i < n; i++) {
        const int64_t row = index ? (int64_t)index[i] : i;
        ot_data_image(on->data, f->plan->net, row, f->plan->stage);
        OT_TRY(ot__plan_check_picture(f->plan, on->data, row, f->plan->stage));
    }
    return OT_OK;
}

static ot_many_input input_of(const ot_fleet *f, const ot__images_on *on, const uint32_t *index, int64_t first)
{
    const ot_plan *p = f->plan;
    const float   *norm = f->d_norm;
    const int      coded = p->spiking && p->spiking->coding != OT_CODING_DIRECT;
    return (ot_many_input){.pixels = on->pixels, .values = on->values, .scale = norm, .shift = norm + p->tensors[0].shape.c, .rows = index ? f->d_rows : NULL,
                           .first = first, .wanted = f->d_wanted, .steps = coded ? p->spiking->steps : 0, .coding = coded ? p->spiking->coding : OT_CODING_DIRECT,
                           .seed = coded ? p->spiking->seed : 0};
}

static ot_status step_forward(ot_fleet *f, int i, int n, const float *knobs, int taps, int skip_relu)
{
    ot_plan       *p = f->plan;
    const ot_step *s = &p->steps[i];
    const int      l = ot__step_knob(s);
    ot_step_run    run = {.n = n * p->tensors[s->dst].frames, .chips = f->n, .gain = 1.0f, .skip_relu = skip_relu, .knob_stride = 2 * (int64_t)p->relus};
    if (l >= 0) {
        run.gains = knobs + l;
        run.offsets = run.gains + p->relus;
        if (taps) {
            run.taps = (float *)f->d_taps + (size_t)l * (size_t)p->opt.tile;
            run.tap_stride = (int64_t)p->relus * p->opt.tile;
        }
    }
    return p->be->i->forward(CTX, p->ops[i], ot__plan_tensor(p, s->src), ot__plan_tensor(p, s->res), ot__plan_tensor(p, s->dst), p->scratch, &run);
}

static ot_status forward(ot_fleet *f, int n, const float *knobs, int taps)
{
    for (int i = 0; i < f->plan->n_steps; i++) OT_TRY(step_forward(f, i, n, knobs, taps, 0));
    return OT_OK;
}

/* What classes are told by: logits, or counts of the last layer's spikes. */
typedef struct answers { void *at, *grad; ot_shape s; int64_t stride; float scale; } answers;

static ot_status answers_of(answers *out, ot_fleet *f, int n)
{
    const ot_plan    *p = f->plan;
    const ot__tensor *t = &p->tensors[p->logits];
    *out = (answers){ot__plan_tensor(p, p->logits), ot__plan_grad(p, p->logits), t->shape, stride(f, p->logits), t->scale};
    if (!p->spiking) return OT_OK;
    const answers spikes = *out;
    *out = (answers){f->d_counts, f->d_counts_grad, t->shape, (int64_t)(counts_bytes(f) / element_bytes(f)), 1};
    return f->many->counts(CTX, out->at, out->stride, spikes.at, spikes.stride, t->shape, f->n, n, t->frames, p->once, t->scale);
}

ot_status ot__fleet_many_forward(ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images, float *logits, float *layer_mean, int *flags)
{
    ot_plan       *p = f->plan;
    const size_t   n = (size_t)f->n, L = (size_t)p->relus, classes = (size_t)p->classes, tile = (size_t)p->opt.tile;
    ot__images_on *on;
    ot_status      st = OT_OK;
    float         *stage = ot_alloc(n * tile, (classes + L) * sizeof *stage), *taps = stage + n * tile * classes;
    if (!stage) OT_NOMEM("fleet", n * tile * (classes + L) * sizeof *stage);
    OT_TRY_TO(done, st, images_of(&on, f, data));
    OT_TRY_TO(done, st, check_pictures(f, on, index, images));
    OT_TRY_TO(done, st, rows_of(f, index, images));
    OT_TRY_TO(done, st, f->many->fill(CTX, f->d_flags, 0, n * sizeof(int)));
    OT_TRY_TO(done, st, f->many->fill(CTX, f->d_right, 0, n * sizeof(int64_t)));
    for (int64_t first = 0; first < images; first += p->opt.tile) {
        size_t        count = images - first < p->opt.tile ? (size_t)(images - first) : tile;
        ot_many_input in = input_of(f, on, index, first);
        ot_many_loss  loss = {.labels = on->labels, .rows = f->d_wanted, .right = f->d_right, .flags = f->d_flags};
        answers       a;
        OT_TRY_TO(done, st, f->many->input(CTX, ot__plan_tensor(p, 0), p->tensors[0].shape, (int)count, &in));
        OT_TRY_TO(done, st, forward(f, (int)count, f->d_knobs, layer_mean != NULL));
        OT_TRY_TO(done, st, answers_of(&a, f, (int)count));
        loss.scale = a.scale;
        OT_TRY_TO(done, st, f->many->loss(CTX, a.at, a.s, a.stride, f->n, (int)count, &loss));
        OT_TRY_TO(done, st, f->many->get(CTX, stage, a.s, a.stride, f->n, (int)count, a.scale, a.at));
        if (layer_mean && L) OT_TRY_TO(done, st, f->many->read(CTX, taps, f->d_taps, n * L * tile * sizeof *taps));
        for (size_t k = 0; k < n; k++) {
            size_t at = k * (size_t)images + (size_t)first;
            if (logits) memcpy(logits + at * classes, stage + k * count * classes, count * classes * sizeof *logits);
            for (size_t i = 0; layer_mean && i < count; i++)
                for (size_t l = 0; l < L; l++) layer_mean[(at + i) * L + l] = taps[(k * L + l) * tile + i];
        }
    }
    st = f->many->read(CTX, flags, f->d_flags, n * sizeof *flags);
done:
    ot_free(stage);
    return st;
}

ot_status ot__fleet_many_count(ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images, int64_t *correct, uint8_t *bits, int *flags)
{
    ot_plan       *p = f->plan;
    const size_t   n = (size_t)f->n, words = ((size_t)images + 31) / 32, row = ((size_t)images + 7) / 8;
    ot__images_on *on;
    uint32_t      *stage = NULL;
    ot_status      st = OT_OK;
    OT_TRY(images_of(&on, f, data));
    OT_TRY(check_pictures(f, on, index, images));
    OT_TRY(rows_of(f, index, images));
    OT_TRY(f->many->fill(CTX, f->d_flags, 0, n * sizeof(int)));
    OT_TRY(f->many->fill(CTX, f->d_right, 0, n * sizeof(int64_t)));
    if (bits) {
        OT_TRY(grow(f, &f->d_bits, &f->bits_bytes, n * words * sizeof *stage));
        OT_TRY(f->many->fill(CTX, f->d_bits, 0, n * words * sizeof *stage));
        if (!(stage = ot_alloc(n * words, sizeof *stage))) OT_NOMEM("fleet", n * words * sizeof *stage);
    }
    for (int64_t first = 0; first < images; first += p->opt.tile) {
        int           count = images - first < p->opt.tile ? (int)(images - first) : p->opt.tile;
        ot_many_input in = input_of(f, on, index, first);
        ot_many_loss  loss = {.labels = on->labels, .rows = f->d_wanted, .right = f->d_right, .bits = bits ? f->d_bits : NULL, .bits_stride = (int64_t)words,
                              .first = first, .flags = f->d_flags};
        answers       a;
        OT_TRY_TO(done, st, f->many->input(CTX, ot__plan_tensor(p, 0), p->tensors[0].shape, count, &in));
        OT_TRY_TO(done, st, forward(f, count, f->d_knobs, 0));
        OT_TRY_TO(done, st, answers_of(&a, f, count));
        loss.scale = a.scale;
        OT_TRY_TO(done, st, f->many->loss(CTX, a.at, a.s, a.stride, f->n, count, &loss));
    }
    OT_TRY_TO(done, st, f->many->read(CTX, correct, f->d_right, n * sizeof *correct));
    OT_TRY_TO(done, st, f->many->read(CTX, flags, f->d_flags, n * sizeof *flags));
    if (bits) OT_TRY_TO(done, st, f->many->read(CTX, stage, f->d_bits, n * words * sizeof *stage));
    for (size_t k = 0; bits && k < n; k++)
        for (size_t b = 0; b < row; b++) bits[k * row + b] = (uint8_t)(stage[k * words + b / 4] >> b % 4 * 8);
done:
    ot_free(stage);
    return st;
}

/* The knobs of layer l on each chip, from the moments of its input. */
static ot_status ask_knobs(ot_fleet *f, int l, const double *moments, ot_fleet_moment_fn fn, void *user)
{
    const size_t L = (size_t)f->plan->relus;
    for (int k = 0; k < f->n; k++) {
        float *own = f->knobs + (size_t)k * 2 * L, *gain = &own[l], *offset = &own[L + (size_t)l];
        OT_TRY(fn(user, k, l, moments[2 * k], moments[2 * k + 1], gain, offset));
        if (ot__plan_check_knob(f->plan, l, *gain, *offset) != OT_OK) return ot__fail_prefix(OT_E_RANGE, "chip %u: ", f->numbers[k]);
    }
    return ot__fleet_many_knobs(f);
}

/* What a T-ReLU's step would put out without it, or the currents that lie before a spiking layer. */
static ot_status moments_at(ot_fleet *f, int i, int images, double *out)
{
    ot_plan       *p = f->plan;
    const ot_step *s = &p->steps[i];
    const int      at = p->spiking ? s->src : s->dst;
    if (!p->spiking) OT_TRY(step_forward(f, i, images, f->d_knobs, 0, 1));
    OT_TRY(f->many->moments(CTX, ot__plan_tensor(p, at), p->tensors[at].shape, stride(f, at), f->n, images * p->tensors[at].frames, p->tensors[at].scale, f->d_moments));
    return f->many->read(CTX, out, f->d_moments, (size_t)f->n * 2 * sizeof *out);
}

ot_status ot__fleet_many_moments(ot_fleet *f, const ot_data *data, const uint32_t *index, int images, ot_fleet_moment_fn fn, void *user)
{
    ot_plan       *p = f->plan;
    ot__images_on *on;
    ot_status      st = OT_OK;
    double        *out = ot_alloc((size_t)f->n * 2, sizeof *out);
    if (!out) OT_NOMEM("fleet", (size_t)f->n * 2 * sizeof *out);
    OT_TRY_TO(done, st, images_of(&on, f, data));
    OT_TRY_TO(done, st, check_pictures(f, on, index, images));
    OT_TRY_TO(done, st, rows_of(f, index, images));
    ot_many_input in = input_of(f, on, index, 0);
    OT_TRY_TO(done, st, f->many->input(CTX, ot__plan_tensor(p, 0), p->tensors[0].shape, images, &in));
    for (int i = 0; i < p->n_steps; i++) {
        const int l = ot__step_knob(&p->steps[i]);
        if (l >= 0) OT_TRY_TO(done, st, moments_at(f, i, images, out));
        if (l >= 0) OT_TRY_TO(done, st, ask_knobs(f, l, out, fn, user));
        OT_TRY_TO(done, st, step_forward(f, i, images, f->d_knobs, 0, 0));
    }
done:
    ot_free(out);
    return st;
}

/* Mean rates of step i on each chip with the fleet's knobs: out (n); stage (n, L, tile). */
static ot_status rates_at(ot_fleet *f, int i, int images, double *out, float *stage)
{
    const size_t L = (size_t)f->plan->relus, tile = (size_t)f->plan->opt.tile, l = (size_t)ot__step_knob(&f->plan->steps[i]);
    OT_TRY(ot__fleet_many_knobs(f));
    OT_TRY(step_forward(f, i, images, f->d_knobs, 1, 0));
    OT_TRY(f->many->read(CTX, stage, f->d_taps, (size_t)f->n * L * tile * sizeof *stage));
    for (size_t k = 0; k < (size_t)f->n; k++) {
        out[k] = 0;
        for (int j = 0; j < images; j++) out[k] += (double)stage[(k * L + l) * tile + (size_t)j] / images;
    }
    return OT_OK;
}

ot_status ot__fleet_many_match_rates(ot_fleet *f, const ot_data *data, const uint32_t *index, int images, const double *rate, double low, double high, int rising)
{
    ot_plan       *p = f->plan;
    const size_t   n = (size_t)f->n, L = (size_t)p->relus;
    ot__images_on *on;
    ot_status      st = OT_OK;
    double        *room = ot_alloc(n, 3 * sizeof *room), *from = room + n, *to = from + n;
    float         *stage = ot_alloc(n * L, (size_t)p->opt.tile * sizeof *stage);
    if (!room || !stage) OT_FAIL_TO(done, st, OT_E_NOMEM, "fleet: no memory for the firing rates of %zu chips", n);
    OT_TRY_TO(done, st, images_of(&on, f, data));
    OT_TRY_TO(done, st, check_pictures(f, on, index, images));
    OT_TRY_TO(done, st, rows_of(f, index, images));
    ot_many_input in = input_of(f, on, index, 0);
    OT_TRY_TO(done, st, f->many->input(CTX, ot__plan_tensor(p, 0), p->tensors[0].shape, images, &in));
    for (int i = 0; i < p->n_steps; i++) {
        const int l = ot__step_knob(&p->steps[i]);
        for (size_t k = 0; k < n; k++) from[k] = low, to[k] = high;
        for (int h = 0; l >= 0 && h <= OT__RATE_HALVINGS; h++) {              /* the last time with what was found */
            for (size_t k = 0; k < n; k++) f->knobs[k * 2 * L + (size_t)l] = (float)(0.5 * (from[k] + to[k]));
            OT_TRY_TO(done, st, rates_at(f, i, images, room, stage));
            for (size_t k = 0; k < n && h < OT__RATE_HALVINGS; k++) *((room[k] > rate[l]) != rising ? &from[k] : &to[k]) = 0.5 * (from[k] + to[k]);
        }
        if (l < 0) OT_TRY_TO(done, st, step_forward(f, i, images, f->d_knobs, 0, 0));
    }
done:
    ot_free(stage);
    ot_free(room);
    return st;
}

/* A power of two that brings numbers up to `top` into the middle of half precision's range; 1 where they are there already. */
static float scale_for(float top)
{
    int e;
    if (!(top > 0) || !isfinite(top)) return 1;
    frexpf(top, &e);
    return e > 11 ? ldexpf(1, 11 - e) : e < -3 ? ldexpf(1, -3 - e) : 1;
}

/* Runs the ideal network in float, tensor by tensor. */
ot_status ot__fleet_many_calibrate(ot_fleet *f, ot_plan *exact, const ot_data *data)
{
    ot_plan  *p = f->plan;
    const int n = data->n < exact->opt.tile ? data->n : exact->opt.tile;
    OT_TRY(ot__plan_fill(exact, data, NULL, 0, n));
    for (int i = 0; i < exact->n_steps; i++) {
        const ot_step *s = &exact->steps[i];
        float          top = 0;
        OT_TRY(ot__plan_step(exact, i, n, 0, 0));
        OT_TRY(exact->be->i->many->largest(exact->be->ctx, ot__plan_tensor(exact, s->dst), s->out, n * exact->tensors[s->dst].frames, &top));
        p->tensors[s->dst].scale = scale_for(top);
    }
    for (int i = 0; i < p->n_steps; i++) {
        const ot_step *s = &p->steps[i];
        f->many->scale(CTX, p->ops[i], p->tensors[s->src].scale, s->res >= 0 ? p->tensors[s->res].scale : 1, p->tensors[s->dst].scale);
    }
    return OT_OK;
}

/* --- tuning --- */

enum { MASKED = 2 };                       /* of ot__tensor.written: the gradient has been through its T-ReLU */

typedef struct adam {
    ot_many_adam  *state;
    const float   *knobs;
    double        *grad, *loss;
    uint32_t      *step;
    ot__images_on *on;
    int64_t        batch;
} adam;

/* The step that made tensor t, if its T-ReLU's backward (before a spiking layer: its batch norm's) may ride on step i's: i is t's first
 * reader, so the last to add to its gradient. */
static int mask_step(ot_fleet *f, int i, int t)
{
    const ot_plan *p = f->plan;
    const int      made = p->tensors[t].producer;
    const ot_step *m = &p->steps[made < 0 ? 0 : made];
    if (made < 0 || m->res >= 0 || m->kind == OT_STEP_ADD || !f->many->masks(p->be->ctx, p->ops[i])) return -1;
    if (p->steps[i].kind == OT_STEP_SPIKE ? !m->affine || m->relu : !m->relu || m->relu->codes) return -1;
    for (int k = 0; k < i; k++)
        if (p->steps[k].src == t || p->steps[k].res == t) return -1;
    return made;
}

static ot_status backward(ot_fleet *f, const adam *a, int n)
{
    ot_plan *p = f->plan;
    for (int t = 0; t < p->n_tensors; t++) p->tensors[t].written = 0;
    for (int i = p->n_steps - 1; i >= 0; i--) {
        const ot_step *s = &p->steps[i];
        const int      l = ot__step_knob(s);
        ot_step_back   back = {.n = n * p->tensors[s->dst].frames, .chips = f->n, .gain = 1.0f, .knob_stride = 2 * (int64_t)p->relus,
                               .sums_stride = 2 * (int64_t)p->relus, .sums_offset = p->relus};
        void          *g = ot__plan_grad(p, s->dst);
        if (!g) continue;
        if (l >= 0) {
            back.gains = a->knobs + l;
            back.offsets = back.gains + p->relus;
            back.sums = a->grad + l;
        }
        back.masked = p->tensors[s->dst].written == MASKED;
        void *dsrc = ot__plan_operand(p, s->src, &back.add_src), *dres = ot__plan_operand(p, s->res, &back.add_res);
        int   made = dsrc ? mask_step(f, i, s->src) : -1;
        if (made >= 0) {
            const ot_layer *relu = p->steps[made].relu;
            back.mask_op = p->ops[made];
            if (relu) {
                back.mask_gains = a->knobs + relu->relu;
                back.mask_offsets = back.mask_gains + p->relus;
                back.mask_sums = a->grad + relu->relu;
            }
            p->tensors[s->src].written = MASKED;
        }
        OT_TRY(p->be->i->backward(CTX, p->ops[i], ot__plan_tensor(p, s->src), ot__plan_tensor(p, s->dst), g, dsrc, dres, p->scratch, &back));
    }
    return OT_OK;
}

/* The losses of n images and their gradient at the last tensor. */
static ot_status loss_of(ot_fleet *f, const adam *a, int n)
{
    const ot_plan *p = f->plan;
    ot_many_loss   loss = {.labels = a->on->labels, .rows = f->d_wanted, .loss = a->loss};
    void          *grad = ot__plan_grad(p, p->logits);
    answers        at;
    if (p->spiking && p->opt.spike_loss == OT_SPIKE_LOSS_RATE) {
        const ot__tensor *t = &p->tensors[p->logits];
        loss.grad = grad, loss.scale = t->scale, loss.frames = t->frames;
        return f->many->loss(CTX, ot__plan_tensor(p, p->logits), t->shape, stride(f, p->logits), f->n, n * t->frames, &loss);
    }
    OT_TRY(answers_of(&at, f, n));
    loss.grad = at.grad, loss.scale = at.scale, loss.right = f->d_right;
    OT_TRY(f->many->loss(CTX, at.at, at.s, at.stride, f->n, n, &loss));
    return p->spiking ? f->many->spread(CTX, grad, stride(f, p->logits), at.grad, at.stride, at.s, f->n, n, p->spiking->steps, p->once) : OT_OK;
}

/* One minibatch, as work put into the queue: tile by tile, then Adam. */
static ot_status minibatch(ot_fleet *f, const adam *a)
{
    ot_plan *p = f->plan;
    for (int64_t first = 0; first < a->batch; first += p->opt.tile) {
        int           count = a->batch - first < p->opt.tile ? (int)(a->batch - first) : p->opt.tile;
        ot_many_input in = input_of(f, a->on, f->d_rows, first);
        in.step = a->step;
        in.per_step = a->batch;
        OT_TRY(f->many->input(CTX, ot__plan_tensor(p, 0), p->tensors[0].shape, count, &in));
        OT_TRY(forward(f, count, a->knobs, 0));
        OT_TRY(loss_of(f, a, count));
        OT_TRY(backward(f, a, count));
    }
    return f->many->adam_step(CTX, a->state, f->n);
}

/* The first step as it is (whatever a backend takes at first use, it takes now), the second noted, the rest replayed. */
static ot_status all_steps(ot_fleet *f, const adam *a, int64_t steps)
{
    void     *graph = NULL;
    ot_status st;
    OT_TRY(minibatch(f, a));
    if (steps < 2) return OT_OK;
    OT_TRY(f->many->capture(CTX));
    st = minibatch(f, a);
    if (st != OT_OK) {
        (void)f->many->captured(CTX, NULL);
        return st;
    }
    OT_TRY(f->many->captured(CTX, &graph));
    for (int64_t i = 1; i < steps && st == OT_OK; i++) st = f->many->replay(CTX, graph);
    f->many->graph_close(CTX, graph);
    return st;
}

ot_status ot__fleet_many_adam(ot_fleet *f, const ot_data *data, const uint32_t *rows, int64_t batch, int64_t steps, const ot_many_rule *rule, ot_many_adam_result *result)
{
    adam      a = {.batch = batch};
    ot_status st = OT_OK;
    if (f->plan->opt.use != OT_PLAN_TUNE) OT_FAIL(OT_E_RANGE, "tuning a fleet wants one opened for tuning");
    OT_TRY(images_of(&a.on, f, data));
    OT_TRY(check_pictures(f, a.on, rows, batch * steps));
    OT_TRY(rows_of(f, rows, batch * steps));
    OT_TRY_TO(done, st, f->many->adam_open(CTX, &a.state, f->n, f->plan->relus));
    f->many->adam_mem(a.state, &a.knobs, &a.grad, &a.loss, &a.step);
    OT_TRY_TO(done, st, f->many->adam_start(CTX, a.state, f->n, f->knobs, rule, batch));
    OT_TRY_TO(done, st, all_steps(f, &a, steps));
    OT_TRY_TO(done, st, f->many->adam_result(CTX, a.state, f->n, f->knobs, result));
    st = ot__fleet_many_knobs(f);
done:
    f->many->adam_close(CTX, a.state);
    return st;
}

/* fleet.c - a fleet's chips, knobs and results; where the backend runs one chip at a time, chips take turns in one plan. */
#include "plan/fleet.h"

#include <math.h>
#include <string.h>

static size_t relus(const ot_fleet *f) { return (size_t)f->plan->relus; }

ot_status ot_fleet_open(ot_fleet **out, ot_backend *be, const ot_network *net, const ot_device *dev, const ot_variation *var, const ot_plan_options *opt)
{
    ot_plan_options own = *opt;
    ot_status       st;
    if (opt->chips < 1) OT_FAIL(OT_E_RANGE, "a fleet of %d chips, want 1 or more", opt->chips);
    if (opt->use == OT_PLAN_TRAIN) OT_FAIL(OT_E_RANGE, "a fleet runs and tunes chips; weights are trained in a plan");
    if (!be->i->many) own.chips = 0;
    ot_fleet *f = ot_alloc(1, sizeof *f);
    if (!f) OT_NOMEM("fleet", sizeof *f);
    *f = (ot_fleet){.dev = *dev, .var = *var, .most = opt->chips, .loaded = -1, .many = be->i->many};
    OT_TRY_TO(done, st, ot_chip_draw(&f->chip, net, dev, var, 0));
    OT_TRY_TO(done, st, ot_plan_open(&f->plan, be, net, &own));
    f->numbers = ot_alloc((size_t)f->most, sizeof *f->numbers);
    f->knobs = ot_alloc((size_t)f->most * 2, relus(f) * sizeof *f->knobs);
    f->gains = ot_alloc((size_t)f->most, sizeof *f->gains);
    if (!f->numbers || !f->knobs || !f->gains) OT_FAIL_TO(done, st, OT_E_NOMEM, "fleet: no memory for the knobs of %d chips", f->most);
    f->narrow = f->many && be->i->gradient_scale(be->ctx) > 1.0f;
    if (f->many) OT_TRY_TO(done, st, ot__fleet_many_open(f));
done:
    if (st == OT_OK) *out = f;
    else ot_fleet_free(f);
    return st;
}

void ot_fleet_free(ot_fleet *f)
{
    if (!f) return;
    ot_fleet_free(f->exact);
    ot_backend_close(f->exact_backend);
    if (f->many && f->plan) ot__fleet_many_close(f);
    ot_free(f->gains);
    ot_free(f->knobs);
    ot_free(f->numbers);
    ot_plan_free(f->plan);
    ot_chip_free(f->chip);
    ot_free(f);
}

size_t            ot_fleet_bytes(const ot_fleet *f) { return ot_plan_bytes(f->plan); }
int               ot_fleet_chips(const ot_fleet *f) { return f->n; }
uint32_t          ot_fleet_number(const ot_fleet *f, int k) { return f->numbers[k]; }
double            ot_fleet_delta_sys(const ot_fleet *f, int k) { return ot_chip_delta_sys_of(&f->var, f->numbers[k]); }
int               ot_fleet_reruns(const ot_fleet *f) { return f->reruns; }
const ot_network *ot_fleet_network(const ot_fleet *f) { return f->plan->net; }

/* What plans of one and two chips take says what each further chip does. */
ot_status ot_fleet_fit(int *chips, ot_backend *be, const ot_network *net, const ot_plan_options *opt, size_t memory, int most)
{
    size_t          one, two;
    ot_plan_options own = *opt;
    if (!be->i->many) {
        *chips = 1;
        return OT_OK;
    }
    own.chips = 1;
    OT_TRY(ot_plan_measure(&one, be, net, &own));
    own.chips = 2;
    OT_TRY(ot_plan_measure(&two, be, net, &own));
    if (!memory) {
        OT_TRY(be->i->many->free_bytes(be->ctx, &memory));
        memory = memory / 10 * 9;
    }
    if (memory < one)
        OT_FAIL(OT_E_MEMORY_PLAN, "one chip takes %.1f MB on the device, %.1f MB are there; a smaller tile takes less", (double)one / 1048576, (double)memory / 1048576);
    size_t fit = two > one ? 1 + (memory - one) / (two - one) : (size_t)most;
    if (fit > 65535) fit = 65535;
    *chips = fit < (size_t)most ? (int)fit : most;
    return OT_OK;
}

ot_status ot_fleet_draw(ot_fleet *f, const uint32_t *numbers, int n)
{
    if (n < 1 || n > f->most) OT_FAIL(OT_E_RANGE, "%d chips drawn into a fleet of %d", n, f->most);
    memcpy(f->numbers, numbers, (size_t)n * sizeof *numbers);
    f->n = n;
    f->loaded = -1;
    f->corrected = 0;
    for (int k = 0; k < n; k++) f->gains[k] = 1.0;
    if (f->many) OT_TRY(ot__fleet_many_draw(f));
    return ot_fleet_set_knobs(f, NULL, NULL);
}

ot_status ot_fleet_correct(ot_fleet *f, const double *gain)
{
    if (f->n < 1) OT_FAIL(OT_E_RANGE, "the fleet has no chips yet: draw some");
    for (int k = 0; gain && k < f->n; k++)
        if (!(gain[k] > 0.0 && isfinite(gain[k]))) OT_FAIL(OT_E_RANGE, "outputs of chip %u times %g, want a positive number", f->numbers[k], gain[k]);
    if (!gain && !f->corrected) return OT_OK;
    for (int k = 0; k < f->n; k++) f->gains[k] = gain ? gain[k] : 1.0;
    f->corrected = gain != NULL;
    f->loaded = -1;
    return f->many ? ot__fleet_many_draw(f) : OT_OK;
}

ot_status ot_fleet_set_knobs(ot_fleet *f, const float *gain, const float *offset)
{
    const size_t L = relus(f);
    for (size_t i = 0; i < (size_t)f->n * L; i++)
        if (ot__plan_check_knob(f->plan, (int)(i % L), gain ? gain[i] : 1, offset ? offset[i] : 0) != OT_OK)
            return ot__fail_prefix(OT_E_RANGE, "chip %u: ", f->numbers[i / L]);
    for (size_t k = 0; k < (size_t)f->n; k++) {
        float *knobs = f->knobs + k * 2 * L;
        for (size_t l = 0; l < L; l++) {
            knobs[l] = gain ? gain[k * L + l] : 1;
            knobs[L + l] = offset ? offset[k * L + l] : 0;
        }
    }
    return f->many ? ot__fleet_many_knobs(f) : OT_OK;
}

ot_status ot__fleet_take_turn(ot_fleet *f, int k)
{
    const float *knobs = f->knobs + (size_t)k * 2 * relus(f);
    if (f->loaded != k) {
        OT_TRY(ot_chip_redraw_corrected(f->chip, f->numbers[k], f->gains[k]));
        OT_TRY(ot_plan_load(f->plan, f->chip));
        f->loaded = k;
    }
    return ot_plan_set_knobs(f->plan, knobs, knobs + relus(f));
}

static ot_status open_exact(ot_fleet *f)
{
    return f->exact_backend ? OT_OK : ot_backend_open(&f->exact_backend, f->plan->be->i->name, NULL);
}

ot_status ot_fleet_calibrate(ot_fleet *f, const ot_data *data)
{
    ot_plan        *exact;
    ot_plan_options opt = f->plan->opt;
    if (!f->narrow) return OT_OK;
    OT_TRY(ot__plan_check_images(f->plan, data, NULL, 1));
    OT_TRY(open_exact(f));
    opt.chips = 0;
    opt.use = OT_PLAN_TUNE;                              /* lowered to the same steps, tensors kept apart */
    OT_TRY(ot_plan_open(&exact, f->exact_backend, f->plan->net, &opt));
    ot_status st = ot__fleet_many_calibrate(f, exact, data);
    ot_plan_free(exact);
    return st;
}

ot_status ot__fleet_exact(ot_fleet **out, ot_fleet *f, int k)
{
    const float *knobs = f->knobs + (size_t)k * 2 * relus(f);
    if (!f->exact) {
        ot_plan_options opt = f->plan->opt;
        opt.chips = 1;
        OT_TRY(open_exact(f));
        OT_TRY(ot_fleet_open(&f->exact, f->exact_backend, f->plan->net, &f->dev, &f->var, &opt));
    }
    OT_TRY(ot_fleet_draw(f->exact, &f->numbers[k], 1));
    if (f->corrected) OT_TRY(ot_fleet_correct(f->exact, &f->gains[k]));
    OT_TRY(ot_fleet_set_knobs(f->exact, knobs, knobs + relus(f)));
    f->reruns++;
    *out = f->exact;
    return OT_OK;
}

ot_status ot_fleet_weights(ot_fleet *f, int k, int crossbar, float *out)
{
    if (k < 0 || k >= f->n || crossbar < 0 || crossbar >= ot_network_crossbars(f->plan->net))
        OT_FAIL(OT_E_RANGE, "weights of chip %d, layer %d of a fleet of %d chips and %d crossbar layers", k, crossbar, f->n, ot_network_crossbars(f->plan->net));
    if (!f->many) {
        OT_TRY(ot__fleet_take_turn(f, k));
        memcpy(out, ot_chip_weights(f->chip, crossbar), ot_layer_weights(ot_network_crossbar(f->plan->net, crossbar)) * sizeof *out);
        return OT_OK;
    }
    for (int i = 0; i < f->plan->n_steps; i++)
        if (f->plan->steps[i].layer->crossbar == crossbar) return f->many->weights(f->plan->be->ctx, f->plan->ops[i], k, out);
    OT_FAIL(OT_E_BUG, "crossbar layer %d has no step", crossbar);
}

static ot_status check(const ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images)
{
    if (f->n < 1) OT_FAIL(OT_E_RANGE, "the fleet has no chips yet: draw some");
    return ot__plan_check_images(f->plan, data, index, images);
}

/* Chips whose numbers were too large for half precision, again in float. */
static ot_status flags_of(int **out, const ot_fleet *f)
{
    if (!(*out = ot_alloc((size_t)f->n, sizeof **out))) OT_NOMEM("fleet", (size_t)f->n * sizeof **out);
    return OT_OK;
}

ot_status ot_fleet_forward(ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images, float *logits, float *layer_mean)
{
    const size_t a = (size_t)images * (size_t)f->plan->classes, b = (size_t)images * relus(f);
    int         *flags = NULL;
    ot_status    st = OT_OK;
    OT_TRY(check(f, data, index, images));
    OT_TRY(flags_of(&flags, f));
    if (f->many) OT_TRY_TO(done, st, ot__fleet_many_forward(f, data, index, images, logits, layer_mean, flags));
    for (size_t k = 0; k < (size_t)f->n; k++) {
        ot_fleet *exact;
        float    *x = logits ? logits + k * a : NULL, *y = layer_mean ? layer_mean + k * b : NULL;
        if (f->many && !(f->narrow && flags[k])) continue;
        if (f->many) {
            OT_TRY_TO(done, st, ot__fleet_exact(&exact, f, (int)k));
            OT_TRY_TO(done, st, ot_fleet_forward(exact, data, index, images, x, y));
            continue;
        }
        OT_TRY_TO(done, st, ot__fleet_take_turn(f, (int)k));
        OT_TRY_TO(done, st, ot_plan_forward(f->plan, data, index, images, x, y));
    }
done:
    ot_free(flags);
    return st;
}

ot_status ot_fleet_count(ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images, int64_t *correct, uint8_t *bits)
{
    const size_t row = ((size_t)images + 7) / 8;
    int         *flags = NULL;
    ot_status    st = OT_OK;
    OT_TRY(check(f, data, index, images));
    OT_TRY(flags_of(&flags, f));
    if (f->many) OT_TRY_TO(done, st, ot__fleet_many_count(f, data, index, images, correct, bits, flags));
    for (size_t k = 0; k < (size_t)f->n; k++) {
        ot_fleet *exact;
        uint8_t  *own = bits ? bits + k * row : NULL;
        if (f->many && !(f->narrow && flags[k])) continue;
        if (f->many) {
            OT_TRY_TO(done, st, ot__fleet_exact(&exact, f, (int)k));
            OT_TRY_TO(done, st, ot_fleet_count(exact, data, index, images, &correct[k], own));
            continue;
        }
        OT_TRY_TO(done, st, ot__fleet_take_turn(f, (int)k));
        OT_TRY_TO(done, st, ot_plan_count(f->plan, data, index, images, &correct[k], own));
    }
done:
    ot_free(flags);
    return st;
}

typedef struct turn { ot_fleet *f; int k; ot_fleet_moment_fn fn; void *user; } turn;

static ot_status one_turn(void *user, int relu, double mean, double sd, float *gain, float *offset)
{
    turn  *t = user;
    float *knobs = t->f->knobs + (size_t)t->k * 2 * relus(t->f);
    OT_TRY(t->fn(t->user, t->k, relu, mean, sd, gain, offset));
    knobs[relu] = *gain;
    knobs[relus(t->f) + (size_t)relu] = *offset;
    return OT_OK;
}

ot_status ot_fleet_moments(ot_fleet *f, const ot_data *data, const uint32_t *index, int images, ot_fleet_moment_fn fn, void *user)
{
    OT_TRY(check(f, data, index, images));
    if (images < 1 || images > f->plan->opt.tile) OT_FAIL(OT_E_RANGE, "moments of %d images, want 1..%d (the plan's tile)", images, f->plan->opt.tile);
    if (f->many) return ot__fleet_many_moments(f, data, index, images, fn, user);
    for (int k = 0; k < f->n; k++) {
        turn t = {f, k, fn, user};
        OT_TRY(ot__fleet_take_turn(f, k));
        OT_TRY(ot_plan_moments(f->plan, data, index, images, one_turn, &t));
    }
    return OT_OK;
}

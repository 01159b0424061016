/* noise.c - the streams of weight noise, and chips made of it.
 *
 * Every number is a Philox draw of (seed, purpose, chip or sample, layer, weight): eps_W of weight i is normal i % 4 of group i / 4, as of a
 * chip's cells.  Training draws for another purpose than chips, so that no chip that is measured was ever trained on. */
#include "base/fail.h"
#include "chip/draw.h"
#include "quantise/quantise.h"

#include <math.h>

enum { WHOLE_CHIP = -1 };                /* the counter's layer word of what a chip has once */

const char *ot_noise_model_name(ot_noise_model m) { return m == OT_NOISE_FIXED ? "fixed" : "proportional"; }

ot_status ot_noise_check(const ot_noise *n)
{
    if (n->model != OT_NOISE_PROPORTIONAL && n->model != OT_NOISE_FIXED)
        OT_FAIL(OT_E_RANGE, "noise model = %d, want 0 (proportional) or 1 (fixed)", (int)n->model);
    if (!(n->within >= 0 && n->within <= 1)) OT_FAIL(OT_E_RANGE, "sigma within chips = %g, want 0..1", n->within);
    if (!(n->between >= 0 && n->between <= 1)) OT_FAIL(OT_E_RANGE, "sigma between chips = %g, want 0..1", n->between);
    return OT_OK;
}

void ot__noise_normals(float *out, size_t first, size_t n, uint64_t seed, uint32_t layer, uint32_t number, ot_purpose purpose)
{
    ot__normals_pick()(out, n, (uint32_t)(first / 4), (ot_draw_key){.seed = seed, .layer = layer, .chip = number}, purpose);
}

double ot__noise_common(uint64_t seed, uint32_t number, ot_purpose purpose)
{
    float z[4];
    ot__noise_normals(z, 0, 4, seed, (uint32_t)WHOLE_CHIP, number, purpose);
    return (double)z[0];
}

double ot_noise_between(const ot_noise *n, uint32_t number) { return n->between * ot__noise_common(n->seed, number, OT_PURPOSE_NOISE); }

static ot_status check_pair(const ot_network *chip, const ot_network *net)
{
    if (ot_network_crossbars(chip) != ot_network_crossbars(net))
        OT_FAIL(OT_E_SHAPE, "a chip of noise: %d crossbar layers in the copy, %d in the network", ot_network_crossbars(chip), ot_network_crossbars(net));
    for (int k = 0; k < ot_network_crossbars(net); k++) {
        size_t a = ot_layer_weights(ot_network_crossbar(chip, k)), b = ot_layer_weights(ot_network_crossbar(net, k));
        if (a != b) OT_FAIL(OT_E_SHAPE, "a chip of noise: crossbar layer %d has %zu weights in the copy, %zu in the network", k, a, b);
    }
    return OT_OK;
}

/* The chip's own column of known cells. */
static ot_status gtm(double *estimate, const ot_self_tuning *st, const ot_noise *noise, double between, uint32_t number)
{
    size_t n = (size_t)st->gtm_cells;
    float *normals = ot_alloc(n, sizeof *normals);
    if (!normals) OT_NOMEM("the GTM's cells", n * sizeof *normals);
    ot__noise_normals(normals, 0, n, noise->seed, (uint32_t)WHOLE_CHIP, number, OT_PURPOSE_SELF_TUNING);
    *estimate = ot__gtm_estimate(between, noise->within, normals, n);
    ot_free(normals);
    return OT_OK;
}

ot_status ot_noise_apply(ot_network *chip, const ot_network *net, const ot_noise *noise, const ot_self_tuning *st, uint32_t number,
                         double *between, double *estimate)
{
    const int tuned = st && (st->gtm_cells || st->ltm_columns);
    const double common = ot_noise_between(noise, number);
    double est = 0;
    OT_TRY(ot_noise_check(noise));
    OT_TRY(check_pair(chip, net));
    if (tuned) {
        OT_TRY(ot_self_tuning_check(st, net));
        OT_TRY(gtm(&est, st, noise, common, number));
    }
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        if (l->crossbar < 0) continue;
        const size_t n = ot_layer_weights(l);
        float *w = ot_network_weights(chip, i);
        const ot__weight_way way = {.model = noise->model, .within = noise->within, .between = common, .w_max = ot__weight_most(l->weight, n, 0, 0),
                                    .seed = noise->seed, .layer = (uint32_t)l->crossbar, .sample = number, .purpose = OT_PURPOSE_NOISE};
        ot__weight_go(w, NULL, l->weight, 0, n, &way);
        if (tuned) OT_TRY(ot__self_tune_layer(w, l, st, &way, est));
    }
    if (between) *between = common;
    if (estimate) *estimate = est;
    return OT_OK;
}

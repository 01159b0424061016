/* self_tuning.c - the tuning modules (paper 003 III.B): the chip's column of known cells (GTM) and the layers' columns of equal weight (LTM).
 *
 *     GTM   n cells of known weight and input: output / ideal output = mean of 1 + eps over them; estimate = that - 1
 *     no LTM      y_i / (1 + estimate)                        undoes proportional noise
 *     LTM   y_LTM = mean over m columns of sum_j (w_L + noise_cj) x_j;  y_i - estimate w_max / (w_L + estimate w_max) y_LTM
 *                                                             undoes fixed noise
 *
 * A module's cells are cells as all others: they have the chip's eps_B and an eps_W of their own, by the chip's noise model.  w_L is
 * w_max, the largest signal.  1 + estimate is held at 1/10 or above for the GTM alone, and 1/10 away from 0 on its own side for the LTM, or a
 * chip near eps_B = -1 would have its noise magnified.
 *
 * Both corrections are linear in x, and a column of the LTM sees what the layer's outputs see: for a convolution it is one more output
 * channel (one a group).  So the corrected layer is a layer: every weight divided, or less its place's share of the LTM's mean column. */
#include "base/fail.h"
#include "quantise/quantise.h"

#include <math.h>

ot_status ot_self_tuning_check(const ot_self_tuning *st, const ot_network *net)
{
    if (!(st->gtm_cells >= 1 && st->gtm_cells <= 100000000))
        OT_FAIL(OT_E_RANGE, "self-tuning: %d cells in the global module, want 1..100000000%s", st->gtm_cells,
                st->ltm_columns ? " (the layers' modules need its estimate)" : "");
    if (!(st->ltm_columns >= 0 && st->ltm_columns <= 65536)) OT_FAIL(OT_E_RANGE, "self-tuning: %d columns a layer, want 0..65536", st->ltm_columns);
    if (!(st->least >= 0 && st->least <= 1)) OT_FAIL(OT_E_RANGE, "self-tuning: the least 1 + estimate = %g, want 0 (the usual 0.1) to 1", st->least);
    if (net && ot_network_crossbars(net) == 0)
        OT_FAIL(OT_E_UNSUPPORTED, "self-tuning: network '%s' has no convolution or dense layer, want one at least for a module to correct", ot_network_name(net));
    return OT_OK;
}

double ot__gtm_estimate(double between, double within, const float *normals, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)normals[i];
    return between + within * (sum / (double)n);
}

static double held(const ot_self_tuning *st, double ratio)
{
    double least = st->least > 0 ? st->least : OT_SELF_TUNING_LEAST;
    return ratio >= least ? ratio : least;
}

/* The LTM's ratio may well be negative, for chips past eps_B = -1: it keeps its sign, as a share of the wrong one would add to the noise. */
static double held_away(const ot_self_tuning *st, double ratio)
{
    return ratio < 0 ? -held(st, -ratio) : held(st, ratio);
}

double ot_self_tuning_gain(const ot_self_tuning *st, double estimate) { return 1 / held(st, 1 + estimate); }

double ot_self_tuning_share(const ot_self_tuning *st, double estimate, double w_max, double w_ltm)
{
    if (!(w_max > 0 && w_ltm > 0)) return 0;
    return estimate * w_max / (w_ltm * held_away(st, 1 + estimate * w_max / w_ltm));
}

/* The mean column as it acts: `cells` places, m columns of weight w_ltm with their own noise. */
static void ltm_column(double *mean, float *room, size_t cells, const ot_self_tuning *st, const ot__weight_way *way, double w_ltm)
{
    ot__weight_way own = *way;
    own.purpose = OT_PURPOSE_SELF_TUNING;
    for (size_t j = 0; j < cells; j++) mean[j] = 0;
    for (int c = 0; c < st->ltm_columns; c++) {
        for (size_t j = 0; j < cells; j++) room[j] = (float)w_ltm;
        ot__weight_go(room, NULL, room, (size_t)c * ((cells + 3) / 4 * 4), cells, &own);
        for (size_t j = 0; j < cells; j++) mean[j] += (double)room[j];
    }
    for (size_t j = 0; j < cells; j++) mean[j] /= st->ltm_columns;
}

void ot__ltm_subtract(float *w, const ot_layer *l, const double *mean, double share)
{
    const size_t n = ot_layer_weights(l), fan_in = n / (size_t)l->c, rows = (size_t)(l->c / l->groups);
    for (size_t i = 0; i < n; i++) w[i] = (float)((double)w[i] - share * mean[i / fan_in / rows * fan_in + i % fan_in]);
}

ot_status ot__self_tune_layer(float *w, const ot_layer *l, const ot_self_tuning *st, const ot__weight_way *way, double estimate)
{
    const size_t n = ot_layer_weights(l), cells = n / (size_t)l->c * (size_t)l->groups;
    if (!st->ltm_columns) {
        const float gain = (float)ot_self_tuning_gain(st, estimate);
        for (size_t i = 0; i < n; i++) w[i] *= gain;
        return OT_OK;
    }
    const double share = ot_self_tuning_share(st, estimate, way->w_max, way->w_max);
    double *mean = ot_alloc(cells, sizeof *mean);
    float *room = ot_alloc(cells, sizeof *room);
    ot_status status = OT_OK;
    if (!mean || !room) OT_FAIL_TO(done, status, OT_E_NOMEM, "the tuning module of layer '%s': no memory for %zu cells", l->name, cells);
    ltm_column(mean, room, cells, st, way, way->w_max);
    ot__ltm_subtract(w, l, mean, share);
done:
    ot_free(room);
    ot_free(mean);
    return status;
}

ot_status ot_self_tuning_measure(ot_self_tuning_cost *out, const ot_self_tuning *st, const ot_network *net)
{
    ot_self_tuning_cost cost = {.macs_gtm = st->gtm_cells, .weights_gtm = st->gtm_cells};
    OT_TRY(ot_self_tuning_check(st, net));
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        if (l->crossbar < 0) continue;
        double cells = (double)ot_layer_weights(l) / l->c * l->groups * st->ltm_columns;
        cost.macs += ot_network_macs(net, i);
        cost.weights += (double)ot_layer_weights(l);
        cost.macs_ltm += cells * l->h * l->w;
        cost.weights_ltm += cells;
    }
    *out = cost;
    return OT_OK;
}

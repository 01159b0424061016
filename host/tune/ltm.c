/* ltm.c - the layers' own modules of self-tuning (paper 003 III.B) on chips of the device model.
 *
 * Beside every crossbar layer stand m columns whose weights all are the layer's largest; they see the layer's inputs.  The chip's column of known
 * cells says by how much, and from every output a share of the columns' mean output is taken:
 *
 *     y_i - estimate w_max / (w_max + estimate w_max) y_LTM
 *
 * That undoes noise that adds one number to all weights of a layer.  The device model's delta_sys multiplies them, so here the module is the wrong
 * one of the two; it is here to be compared with.  The correction is linear in the inputs: a corrected layer is a layer with other weights. */
#include "tune/change.h"

#include "base/fail.h"
#include "chip/chip.h"
#include "quantise/quantise.h"

/* The mean column as the chip holds it: `cells` places, m columns one after another. */
static ot_status mean_column(double *mean, const ot_chip *chip, int k, size_t cells, int m)
{
    float *w = ot_alloc(cells * (size_t)m, sizeof *w);
    if (!w) OT_NOMEM("the columns of a layer", cells * (size_t)m * sizeof *w);
    ot_status st = ot__chip_column(w, chip, k, cells * (size_t)m);
    for (size_t j = 0; j < cells && st == OT_OK; j++) {
        mean[j] = 0;
        for (size_t c = 0; c < (size_t)m; c++) mean[j] += (double)w[c * cells + j];
        mean[j] /= m;
    }
    ot_free(w);
    return st;
}

/* A layer's places, each a column deep. */
static size_t places(const ot_layer *l) { return ot_layer_weights(l) / (size_t)l->c * (size_t)l->groups; }

size_t ot__tuning_ltm_bytes(const ot_network *net, int columns)
{
    size_t most = 0;
    for (int k = 0; k < ot_network_crossbars(net); k++) {
        const size_t n = places(ot_network_crossbar(net, k));
        most = n > most ? n : most;
    }
    return ot_network_parameters(net) * sizeof(float) + most * (sizeof(double) + (size_t)columns * (sizeof(float) + sizeof(int32_t)));
}

static ot_status correct(float *w, const ot_layer *l, const ot_chip *chip, int columns, double estimate)
{
    const double scale = ot_chip_scale(chip, l->crossbar), share = ot_self_tuning_share(&(ot_self_tuning){0}, estimate, scale, scale);
    const size_t cells = places(l);
    if (!(scale > 0)) return OT_OK;
    double *mean = ot_alloc(cells, sizeof *mean);
    if (!mean) OT_NOMEM("a layer's column", cells * sizeof *mean);
    ot_status st = mean_column(mean, chip, l->crossbar, cells, columns);
    if (st == OT_OK) ot__ltm_subtract(w, l, mean, share);
    ot_free(mean);
    return st;
}

ot_status ot__tuning_ltm(const ot_tuning *t, ot_plan *plan, const ot_chip *chip, int64_t *values)
{
    ot_network *net;
    double      estimate;
    ot_status   st = OT_OK;
    OT_TRY(ot__chip_self_test(&estimate, chip, t->opt.gtm_cells));
    OT_TRY(ot_chip_network_copy(&net, chip));
    for (int i = 0; i < ot_network_layers(net) && st == OT_OK; i++) {
        const ot_layer *l = ot_network_layer(net, i);
        if (l->crossbar >= 0) st = correct(ot_network_weights(net, i), l, chip, t->opt.ltm_columns, estimate);
    }
    if (st == OT_OK) st = ot_plan_load_network(plan, net);
    *values = ot_network_crossbars(net);
    ot_network_free(net);
    return st;
}

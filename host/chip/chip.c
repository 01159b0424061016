/* chip.c - one manufactured chip of a network: its weights, drawn cell by cell.
 *
 * Drawing has two halves.  What the design fixes is done once, in ot_chip_draw: each weight's magnitude in steps of
 * max|w| / (2^B - 1), half to even, with its sign, as one int32.  What makes a chip this chip is done by ot_chip_redraw, in
 * the memory already there: delta_sys, the cells' polynomials re-centred around it (map.c), and the loop over weights (draw_loop.h).
 * The chip is one block of memory: the struct, a row for each crossbar layer, all magnitudes, all weights. */
#include "ohmtrim/chip.h"

#include "base/fail.h"
#include "chip/chip.h"
#include "chip/draw.h"
#include "chip/map.h"

#include <math.h>

_Static_assert((int)OT_MAP_TERMS >= (int)OT_DEVICE_MAX_POLY, "a device's polynomial fits the cells' map");

typedef struct crossbar {
    size_t  n;                 /* weights */
    double  scale;             /* max|w|, 0 for an all-zero layer */
    int32_t *q;                /* (n) signed magnitudes, |q| < 2^B */
    float   *w;                /* (n) drawn weights */
} crossbar;

struct ot_chip {
    const ot_network *net;     /* borrowed */
    ot_device    dev;
    ot_variation var;
    ot__draw_fn  draw;
    uint32_t     number;
    double       delta_sys;
    int          n_crossbars;
    crossbar     crossbars[];
};

/* Weights to signed magnitudes.  |w| (2^B - 1) is exact in double (24 and 16 bits), so the one rounding before rint's is the division's. */
static ot_status quantise(crossbar *c, const ot_layer *layer, int bits)
{
    double most = 0.0, levels = (double)((1 << bits) - 1);
    for (size_t i = 0; i < c->n; i++) {
        double a = fabs((double)layer->weight[i]);
        if (!(a <= FLT_MAX))
            OT_FAIL(OT_E_DATA, "layer %s: weight %zu is %g, want a finite number", layer->name, i, (double)layer->weight[i]);
        most = a > most ? a : most;
    }
    c->scale = most;
    for (size_t i = 0; i < c->n && most > 0.0; i++) {
        double m = rint(fabs((double)layer->weight[i]) * levels / most);
        c->q[i] = layer->weight[i] < 0.0f ? -(int32_t)m : (int32_t)m;
    }
    return OT_OK;
}

ot_status ot_chip_draw(ot_chip **out, const ot_network *net, const ot_device *dev, const ot_variation *var, uint32_t number)
{
    OT_TRY(ot_variation_check(var));
    OT_TRY(ot_device_check(dev));
    int n_crossbars = ot_network_crossbars(net);
    size_t total = 0;
    for (int k = 0; k < n_crossbars; k++) {
        const ot_layer *layer = ot_network_crossbar(net, k);
        size_t n = ot_layer_weights(layer);
        if (n / 2 >= ((uint64_t)1 << 32) / (size_t)var->bits)      /* 2 B cells a weight, groups of 4, numbered by 32 bits */
            OT_FAIL(OT_E_RANGE, "layer %s: %zu weights of %d bits, want fewer than %llu", layer->name, n, var->bits,
                    (1ull << 33) / (unsigned)var->bits);
        total += n;
    }
    size_t head = sizeof(ot_chip) + (size_t)n_crossbars * sizeof(crossbar), bytes = head + total * (sizeof(int32_t) + sizeof(float));
    ot_chip *chip = ot_alloc(1, bytes);
    if (!chip) OT_NOMEM("a chip", bytes);
    chip->net = net, chip->dev = *dev, chip->var = *var, chip->draw = ot__draw_pick(), chip->n_crossbars = n_crossbars;
    int32_t *q = (int32_t *)((char *)chip + head);
    float *w = (float *)(q + total);
    for (int k = 0; k < n_crossbars; k++) {
        crossbar *c = &chip->crossbars[k];
        c->n = ot_layer_weights(ot_network_crossbar(net, k)), c->q = q, c->w = w;
        q += c->n, w += c->n;
        ot_status st = quantise(c, ot_network_crossbar(net, k), var->bits);
        if (st != OT_OK) {
            ot_chip_free(chip);
            return st;
        }
    }
    OT_TRY(ot_chip_redraw(chip, number));
    *out = chip;
    return OT_OK;
}

ot_status ot__chip_redesign(ot_chip *chip)
{
    for (int k = 0; k < chip->n_crossbars; k++) {
        crossbar *c = &chip->crossbars[k];
        OT_TRY(quantise(c, ot_network_crossbar(chip->net, k), chip->var.bits));
        if (!(c->scale > 0.0)) memset(c->w, 0, c->n * sizeof *c->w), memset(c->q, 0, c->n * sizeof *c->q);
    }
    return OT_OK;
}

/* Whether a word of the groups of four that hold the weight's cells says "stuck".  The weights without are the fast loop's. */
static int may_be_stuck(ot_draw_key key, ot_faults faults, int bits, uint64_t w)
{
    uint32_t x[4];
    for (uint64_t group = 2 * w * (uint64_t)bits / 4; group <= (2 * (w + 1) * (uint64_t)bits - 1) / 4; group++) {
        ot_philox(&x[0], &x[1], &x[2], &x[3], key.seed, (uint32_t)group, key.layer, key.chip, OT_PURPOSE_FAULTS);
        if (x[0] < faults.any || x[1] < faults.any || x[2] < faults.any || x[3] < faults.any) return 1;
    }
    return 0;
}

ot_status ot_chip_redraw(ot_chip *chip, uint32_t number) { return ot_chip_redraw_corrected(chip, number, 1.0); }

ot_status ot_chip_redraw_corrected(ot_chip *chip, uint32_t number, double gain)
{
    ot_cell_map map;
    if (!(gain > 0.0 && gain <= FLT_MAX)) OT_FAIL(OT_E_RANGE, "outputs of chip %u times %g, want a positive number", number, gain);
    chip->number = number;
    chip->delta_sys = ot_chip_delta_sys_of(&chip->var, number);
    ot__cell_map_make(&map, &chip->dev, chip->delta_sys, ot__sigma_rand(&chip->var));
    if (gain < 1.0 || gain > 1.0) ot__cell_map_scale(&map, gain);
    ot_faults faults = ot__faults_of(&chip->var);
    for (int k = 0; k < chip->n_crossbars; k++) {
        crossbar *c = &chip->crossbars[k];
        ot_draw_key key = {.seed = chip->var.seed, .layer = (uint32_t)k, .chip = number};
        double step = c->scale / ((1 << chip->var.bits) - 1);
        if (!(c->scale > 0.0)) continue;
        chip->draw(c->w, c->q, c->n, &map, key, chip->var.bits, step);
        for (size_t i = 0; faults.any && i < c->n; i++)
            if (may_be_stuck(key, faults, chip->var.bits, i)) c->w[i] = ot_draw_weight_faulty(&map, key, faults, chip->var.bits, i, c->q[i], step);
    }
    return OT_OK;
}

enum { OWN_COLUMNS = 1u << 30 };          /* layer words of the layers' own columns: no network has so many layers */

ot_status ot__chip_column(float *w, const ot_chip *chip, int k, size_t n)
{
    const int         bits = chip->var.bits, levels = (1 << bits) - 1;
    const ot_draw_key key = {.seed = chip->var.seed, .layer = (uint32_t)OWN_COLUMNS + (uint32_t)k, .chip = chip->number};
    ot_cell_map       map;
    int32_t          *q;
    if (n / 2 >= ((uint64_t)1 << 32) / (size_t)bits)
        OT_FAIL(OT_E_RANGE, "the columns of crossbar layer %d: %zu weights of %d bits, want fewer than %llu", k, n, bits, (1ull << 33) / (unsigned)bits);
    q = ot_alloc(n, sizeof *q);
    if (!q) OT_NOMEM("a column", n * sizeof *q);
    for (size_t i = 0; i < n; i++) q[i] = levels;
    ot__cell_map_make(&map, &chip->dev, chip->delta_sys, ot__sigma_rand(&chip->var));
    chip->draw(w, q, n, &map, key, bits, chip->crossbars[k].scale / levels);
    ot_free(q);
    return OT_OK;
}

void ot_chip_free(ot_chip *chip) { ot_free(chip); }

ot_status ot__chip_self_test(double *estimate, const ot_chip *chip, int cells)
{
    return ot_chip_self_test(estimate, &chip->dev, &chip->var, chip->number, cells);
}

uint32_t          ot_chip_number(const ot_chip *chip) { return chip->number; }
double            ot_chip_delta_sys(const ot_chip *chip) { return chip->delta_sys; }
const ot_network *ot_chip_network(const ot_chip *chip) { return chip->net; }
const float      *ot_chip_weights(const ot_chip *chip, int k) { return k >= 0 && k < chip->n_crossbars ? chip->crossbars[k].w : NULL; }
const int32_t    *ot__chip_magnitudes(const ot_chip *chip, int k) { return chip->crossbars[k].q; }
double            ot_chip_scale(const ot_chip *chip, int k) { return k >= 0 && k < chip->n_crossbars ? chip->crossbars[k].scale : 0.0; }

/* FNV-1a over the weights' bytes, lowest first, layer after layer: the same on a machine of either byte order. */
uint64_t ot_chip_hash(const ot_chip *chip)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int k = 0; k < chip->n_crossbars; k++)
        for (size_t i = 0; i < chip->crossbars[k].n; i++) {
            uint32_t bits = ot_float_bits(chip->crossbars[k].w[i]);
            for (int b = 0; b < 32; b += 8) h = (h ^ (bits >> b & 0xff)) * 0x100000001b3u;
        }
    return h;
}

ot_status ot_chip_network_copy(ot_network **out, const ot_chip *chip)
{
    ot_network *net;
    OT_TRY(ot_network_copy(&net, chip->net));
    for (int i = 0; i < ot_network_layers(net); i++) {
        int k = ot_network_layer(net, i)->crossbar;
        if (k >= 0) memcpy(ot_network_weights(net, i), chip->crossbars[k].w, chip->crossbars[k].n * sizeof(float));
    }
    *out = net;
    return OT_OK;
}

/* chip.h - one manufactured chip: network x device x chip number.
 *
 *     ot_variation var = OT_VARIATION_INIT;
 *     ot_chip *chip;
 *     ot_status st = ot_chip_draw(&chip, net, &dev, &var, 17);
 *     const float *w = ot_chip_weights(chip, 0);                      // (out, in/groups, kh, kw) of crossbar layer 0
 *
 * Each weight is `bits` cells of magnitude in two arrays (positive, negative), every cell sampled (docs/chip.md; device-model
 * 5-6); a weight of 0 is two arrays in HRS, an all-zero layer stays zero.  The same (network, device, variation, number) gives the same bits on any machine, alone or among ten thousand.
 * Since 0.1. */
#ifndef OHMTRIM_CHIP_H
#define OHMTRIM_CHIP_H

#include "ohmtrim/device.h"
#include "ohmtrim/network.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { OT_DRAW_VERSION = 1 };      /* changes when a chip's bits would; stands in every store */

/* How chips differ from the design: gamma = gamma0 (1 + delta_sys + delta_rand), paper 000 II.B. */
typedef struct ot_variation {
    double   sigma;       /* sd of delta_sys + delta_rand, a fraction of gamma0, 0..0.08 */
    double   sys_share;   /* systematic share of the variance, 0..1                      */
    int      bits;        /* magnitude bits a weight, 2..16; one cell each, two arrays   */
    uint64_t seed;        /* with the chip number, decides every draw                    */
    double   stuck_lrs, stuck_hrs;   /* shares of cells that are in LRS, in HRS, whatever is written; 0..1 each and together */
} ot_variation;
#define OT_VARIATION_INIT { .sigma = 0.048, .sys_share = 0.5, .bits = 16, .seed = 1 }
ot_status ot_variation_check(const ot_variation *var);

typedef struct ot_chip ot_chip;

/* Draw chip `number`.  *out owns its weights, borrows `net` (keep it alive), copies `dev` and `var`.  OT_E_RANGE if
 * ot_variation_check or ot_device_check says so, OT_E_DATA names the layer whose weight is not finite; then *out is untouched. */
ot_status ot_chip_draw(ot_chip **out, const ot_network *net, const ot_device *dev, const ot_variation *var, uint32_t number);
/* Draw another chip of the same kind into the same memory; allocates nothing, cannot fail.  What the network's weights were when
 * ot_chip_draw saw them counts. */
ot_status ot_chip_redraw(ot_chip *chip, uint32_t number);
/* The same chip with every crossbar layer's output multiplied by `gain` behind the arrays, as self-tuning does: its weights times gain.
 * OT_E_RANGE unless 0 < gain < infinity. */
ot_status ot_chip_redraw_corrected(ot_chip *chip, uint32_t number, double gain);
void      ot_chip_free(ot_chip *chip);

uint32_t          ot_chip_number(const ot_chip *chip);
double            ot_chip_delta_sys(const ot_chip *chip);
const ot_network *ot_chip_network(const ot_chip *chip);
const float      *ot_chip_weights(const ot_chip *chip, int crossbar);   /* (out, in/groups, kh, kw); the chip's; NULL if there is none */
double            ot_chip_scale(const ot_chip *chip, int crossbar);     /* max|w| of the ideal layer, 0 for an all-zero one */
uint64_t          ot_chip_hash(const ot_chip *chip);                    /* FNV-1a over all weight bits, in order */
/* The network with this chip's weights in place of the ideal ones (a deep copy the caller frees). */
ot_status         ot_chip_network_copy(ot_network **out, const ot_chip *chip);
/* delta_sys of chip `number` without drawing its cells. */
double            ot_chip_delta_sys_of(const ot_variation *var, uint32_t number);

/* What chip `number` learns of itself from a column of known cells (`cells` weights of one, a pair of cells each): *estimate is by how much its
 * weights are too large, on average, as a fraction; 1 / (1 + estimate) corrects them (tune.h, self-tuning).  OT_E_RANGE. */
ot_status ot_chip_self_test(double *estimate, const ot_device *dev, const ot_variation *var, uint32_t number, int cells);

/* What theory says, to 1e-10: k[s] = mean, variance, third and fourth cumulant of X = G / (g_LRS - g_HRS) of a cell in state s
 * on a chip with this delta_sys, over its delta_rand of sd sigma_rand.  OT_E_RANGE outside 0..0.08. */
ot_status ot_chip_cell_cumulants(double k[2][4], const ot_device *dev, double delta_sys, double sigma_rand);
/* The same of a weight of signed magnitude q (|q| < 2^bits), in steps: w = max|w| / (2^bits - 1) times it. */
void      ot_chip_weight_cumulants(double out[4], const double k[2][4], int64_t q, int bits);

#ifdef __cplusplus
}
#endif
#endif

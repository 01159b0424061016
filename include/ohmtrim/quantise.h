/* quantise.h - weights and activations of few bits, noise on weights, and self-tuning modules that undo what a chip's cells have in common.
 *
 * A quantiser of k bits has n = 2^(k-1) - 1 codes on either side of zero and a scale D (paper 003, eq. 3):
 *
 *     code = clip(rint(x / D), -n, n)        value = code D        (activations, never negative: 0..n)
 *
 * A chip at the level of weights, without a device model: w~ = w + f(eps, w), eps = eps_B + eps_W, eps_B one number a chip, eps_W one a
 * weight, both normal; f = eps w (proportional) or eps w_max of the layer (fixed).
 *
 *     ot_noise noise = {.model = OT_NOISE_FIXED, .within = 0.2, .between = 0.2, .seed = 1};
 *     ot_self_tuning st = {.gtm_cells = 1000, .ltm_columns = 1};
 *     ot_network *chip;
 *     ot_status s = ot_network_copy(&chip, net);
 *     s = ot_noise_apply(chip, net, &noise, &st, 17, NULL, NULL);     // chip 17's weights as they act, self-tuned
 *
 * Self-tuning (paper 003 III.B).  A column of the chip with n known cells (GTM) tells eps_B up to sigma_W / sqrt(n).  Proportional noise is
 * undone by dividing every layer's outputs by 1 + estimate.  Fixed noise adds eps_B w_max sum(x) to every output; m more columns of equal
 * weight in each layer (LTM) tell sum(x).  Both corrections are linear in x, so a tuned chip is a chip with other weights: that is how
 * they are computed here, and why every plan runs them.  Since 0.1. */
#ifndef OHMTRIM_QUANTISE_H
#define OHMTRIM_QUANTISE_H

#include "ohmtrim/network.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { OT_QUANTISE_LEAST_BITS = 2, OT_QUANTISE_MOST_BITS = 8 };

/* n = 2^(bits-1) - 1: 1 for 2 bits (three values), 127 for 8. */
int ot_quantise_codes(int bits);
/* OT_E_RANGE unless 2..8; `what` begins the sentence ("weight bits"). */
ot_status ot_quantise_check_bits(int bits, const char *what);
/* clip(rint(x / scale), -n, n), half to even; 0 where scale is 0. */
int ot_quantise_code(double x, double scale, int bits);

/* The scale with the least mean squared error over all scales: found exactly, not on a grid.  mse (may be NULL): that error.  Numbers that
 * are all 0 have scale 0.  OT_E_RANGE (bits), OT_E_DATA (a number is not finite). */
ot_status ot_quantise_scale(double *scale, double *mse, const double *x, size_t n, int bits);

/* Every crossbar layer's weights become code * scale; scale (crossbars, may be NULL) gets the layers' scales. */
ot_status ot_quantise_weights(ot_network *net, int bits, double *scale);

/* What stands for the derivative of a quantiser: 1, and 0 beyond the last code, where the code does not follow, that is |x| > (n + 1/2) D
 * (as PyTorch's fake quantiser); 1 everywhere (eq. 4); or 0 beyond n D. */
typedef enum ot_ste { OT_STE_CLIPPED, OT_STE_IDENTITY, OT_STE_INSIDE, OT_STES } ot_ste;

typedef enum ot_noise_model { OT_NOISE_PROPORTIONAL, OT_NOISE_FIXED, OT_NOISE_MODELS } ot_noise_model;
typedef struct ot_noise {
    ot_noise_model model;
    double within, between;      /* standard deviations of eps_W and eps_B, 0..1 */
    uint64_t seed;
} ot_noise;
ot_status ot_noise_check(const ot_noise *noise);
/* "proportional", "fixed". */
const char *ot_noise_model_name(ot_noise_model m);
/* eps_B of chip `number`. */
double ot_noise_between(const ot_noise *noise, uint32_t number);

typedef struct ot_self_tuning {
    int    gtm_cells;            /* n; 0: no self-tuning */
    int    ltm_columns;          /* m of each layer; 0: outputs are divided by 1 + estimate, else the LTM's correction is subtracted */
    double least;                /* 1 + estimate is held at or above; 0: 0.1 */
} ot_self_tuning;
#define OT_SELF_TUNING_LEAST 0.1
/* OT_E_UNSUPPORTED: the network has no crossbar layer for a module to correct. */
ot_status ot_self_tuning_check(const ot_self_tuning *st, const ot_network *net);

/* The weights of chip `number` of `net`, as they act, into the crossbar layers of `chip`, a copy of `net`.  Its other numbers are left
 * alone.  st NULL or without cells: not tuned.  between, estimate (may be NULL): eps_B, and what the GTM says it is (0 without).
 * The same (net, noise, st, number) gives the same bits anywhere; tuned and untuned chips of a number have the same noise. */
ot_status ot_noise_apply(ot_network *chip, const ot_network *net, const ot_noise *noise, const ot_self_tuning *st, uint32_t number,
                         double *between, double *estimate);

/* The correction in numbers: what outputs are multiplied by, and what share of the LTM's output is taken from each, for an estimate. */
double ot_self_tuning_gain(const ot_self_tuning *st, double estimate);
double ot_self_tuning_share(const ot_self_tuning *st, double estimate, double w_max, double w_ltm);

/* What the modules cost beside the network: multiply-accumulates an image, and cells counted as weights. */
typedef struct ot_self_tuning_cost {
    double macs, macs_gtm, macs_ltm;         /* of the network, of the modules */
    double weights, weights_gtm, weights_ltm;
} ot_self_tuning_cost;
ot_status ot_self_tuning_measure(ot_self_tuning_cost *out, const ot_self_tuning *st, const ot_network *net);

#ifdef __cplusplus
}
#endif
#endif

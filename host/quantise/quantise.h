/* quantise.h - what a layer's weights go through on their way to where they act, for training and for chips of noise. */
#ifndef OT_QUANTISE_QUANTISE_H
#define OT_QUANTISE_QUANTISE_H

#include "kernels/philox.h"
#include "ohmtrim/quantise.h"

/* Of one layer and one sample of noise: w -> quantised -> noisy.  Whatever part of the layer is done when and by whom, the bits are
 * the same. */
typedef struct ot__weight_way {
    int bits;                   /* 0: not quantised */
    double scale;               /* D; 0: an all-zero layer */
    ot_ste ste;
    ot_noise_model model;
    double within, between;     /* sd of eps_W; eps_B itself */
    double w_max;               /* FIXED: the largest |quantised weight| (ot__weight_most) */
    uint64_t seed;
    uint32_t layer, sample;
    ot_purpose purpose;
} ot__weight_way;

enum { OT__WAY_CHUNK = 4096 };

/* Weights first .. first+n-1 of the layer: out[i] as it acts, slope[i] = d out / d w by the straight-through estimator with w_max held
 * (NULL: not wanted).  w, out, slope begin at weight `first`, a multiple of 4.  out may be w. */
void ot__weight_go(float *out, float *slope, const float *w, size_t first, size_t n, const ot__weight_way *way);
/* The noise of it: value[i] and slope[i] (NULL: not wanted) with the standard normal[i]. */
void ot__noise_add(float *restrict value, float *restrict slope, const float *restrict normal, size_t n, const ot__weight_way *way);
/* The largest |w| after quantising. */
double ot__weight_most(const float *w, size_t n, int bits, double scale);

ot_status ot__quantise_scale_f32(double *scale, const float *x, size_t n, int bits);
/* A standard normal for the whole chip or sample. */
double ot__noise_common(uint64_t seed, uint32_t number, ot_purpose purpose);
/* Normals of cells first .. first+n-1 (first a multiple of 4). */
void ot__noise_normals(float *out, size_t first, size_t n, uint64_t seed, uint32_t layer, uint32_t number, ot_purpose purpose);

/* What the GTM says: mean of eps_B + eps_W over its cells; normals (n) standard. */
double ot__gtm_estimate(double between, double within, const float *normals, size_t n);
/* w less `share` of what the module's mean column has at each place; mean: (groups, fan-in). */
void ot__ltm_subtract(float *w, const ot_layer *l, const double *mean, double share);
/* The layer's weights as they act, corrected by its module; `way`: what they went through. */
ot_status ot__self_tune_layer(float *w, const ot_layer *l, const ot_self_tuning *st, const ot__weight_way *way, double estimate);

/* An activation's range after one more batch whose largest is `most`: the moving average, begun by the first (`batch` 0). */
static inline double ot__range_next(double range, double most, int batch, double momentum)
{
    return batch ? momentum * range + (1 - momentum) * most : most;
}

#endif

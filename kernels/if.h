/* if.h - the integrate-and-fire neuron and what stands for its derivative, one neuron and step at a time (docs/spiking.md).
 *
 *     m' = leak m + I - (fired ? loss : 0)         loss = the threshold, or u_rst
 *     m' = (fired ? 0 : leak m) + I                reset to zero
 *     fires where m' > threshold, strictly; a loss of infinity: never again
 *
 * Backward, from the last step to the first, with k = dL/dS surrogate(m - threshold):
 *
 *     g' = k + leak g       (reset to zero: 0 in place of leak g where it fired at this step)
 *
 * Written so that a leak of 1 is exact and nothing depends on contraction: the product is rounded once, by fma or alone with leak 1. */
#ifndef OT_KERNELS_IF_H
#define OT_KERNELS_IF_H

#include "kernels/hd.h"

typedef struct ot_if {
    float threshold, leak, loss;     /* loss: what a spike takes */
    int   to_zero;
    int   surrogate;                 /* as ot_surrogate */
    float sharpness;
} ot_if;

/* The membrane after this step's current; `fired`: at the step before. */
OT_HD float ot_if_membrane(ot_if p, float m, float current, int fired)
{
    if (p.to_zero) return fired ? current : ot_fma(p.leak, m, current);
    const float v = ot_fma(p.leak, m, current);
    return fired ? v - p.loss : v;
}

OT_HD float ot_if_surrogate(ot_if p, float z)
{
    const float k = p.sharpness;
    if (p.surrogate == 0) {
        const float x = 1.57079632679489662f * k * z;
        return 0.5f * k / (1.0f + x * x);
    }
    if (p.surrogate == 1) {
        const float x = 1.0f + k * (z < 0.0f ? -z : z);
        return 1.0f / (x * x);
    }
    return (z < 0.0f ? -z : z) * (2.0f * k) < 1.0f ? k : 0.0f;
}

/* dL/dm of a step; g: of the one after it; `fires`: at this one. */
OT_HD float ot_if_back(ot_if p, float k, float g, int fires)
{
    return p.to_zero && fires ? k : ot_fma(p.leak, g, k);
}

#endif

/* ref.h - what the files of the ref backend share: plain C, double sums, the definition of right.
 *
 * A tensor is doubles (n, c, h, w) in memory, so that rounding to float happens only where numbers enter and leave.  Functions
 * work on the first n images; backward ones add to what they are given. */
#ifndef OT_BACKEND_REF_H
#define OT_BACKEND_REF_H

#include "backend/backend.h"
#include "base/fail.h"

typedef struct ot__ref_op {
    ot_step step;
    float  *weight, *bias;                 /* bias NULL: none */
    float  *scale, *shift;                 /* (c); with `batch` gamma and beta */
    double *mean, *var, *inverse;          /* `batch`: of the last forward; var biased, inverse = 1 / sqrt(var + eps) */
    ot_ste  ste;                           /* RELU with codes */
    ot_surrogate surrogate;                /* SPIKE */
    double  sharpness;
    int     loaded_bias, count;            /* whether step_load gave a bias; images x pixels of the last forward */
} ot__ref_op;

static inline size_t ot__ref_size(ot_shape s) { return (size_t)s.c * (size_t)s.h * (size_t)s.w; }

void ot__ref_conv(const ot__ref_op *op, const double *src, double *dst, int n);
void ot__ref_conv_data(const ot__ref_op *op, const double *g, double *dsrc, int n);
void ot__ref_conv_weights(const ot__ref_op *op, const double *src, const double *g, int n, float *grad_weight);

void ot__ref_window(const ot_step *s, const double *src, double *dst, int n);                        /* pools, pad, slice, reshape */
void ot__ref_window_data(const ot_step *s, const double *src, const double *g, double *dsrc, int n);

/* dst, g: n frames; src, dsrc as many, or one an image.  Backward gives dL/d(threshold). */
double ot__ref_sharpness(const ot_plan_options *opt);
void   ot__ref_spike(const ot_step *s, double threshold, const double *src, double *dst, int n);
double ot__ref_spike_back(const ot__ref_op *op, double threshold, const double *src, const double *g, double *dsrc, int n);

void ot__ref_batch_norm(ot__ref_op *op, const double *src, double *dst, int n);
void ot__ref_batch_norm_back(const ot__ref_op *op, const double *src, const double *g, double *dsrc, int n, float *grad_gamma,
                             float *grad_beta);

#endif

/* tune.h - setting a chip's knobs so that it works again.
 *
 *     exhaustive        Adam on all knobs by backward passes over training images (paper 000 IV.A, Algorithm 1)
 *     subset            the same on a fixed 10 % of the images
 *     learned           knobs of the nearest tuned chip in the casebook, by signature (paper 000 IV.B, Algorithm 2)
 *     closed-form       match mean and spread of each T-ReLU's input to the ideal's, one forward pass (DESIGN 6; ours)
 *     closed-form-adam  closed form, then a few Adam steps (ours)
 * Since 0.1. */
#ifndef OHMTRIM_TUNE_H
#define OHMTRIM_TUNE_H

#include "ohmtrim/test.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ot_tuner {
    OT_TUNER_EXHAUSTIVE, OT_TUNER_SUBSET, OT_TUNER_LEARNED, OT_TUNER_CLOSED_FORM, OT_TUNER_CLOSED_FORM_ADAM, OT_TUNERS
} ot_tuner;
const char *ot_tuner_name(ot_tuner t);                               /* "closed-form" */
ot_status   ot_tuner_parse(ot_tuner *out, const char *name);         /* OT_E_USAGE lists the names */

typedef struct ot_tune_options {
    double   lr;               /* Adam's learning rate (0.9, 0.999, 1e-8) */
    double   epochs;           /* over the images used; fractions allowed */
    int      steps;            /* > 0: so many steps instead of epochs */
    int      minibatch;        /* 128 */
    double   subset_frac;      /* 0.1 */
    int      images;           /* closed form: unlabelled images, 100 */
    int      polish_steps;     /* closed-form-adam */
    int      polish_images;
    uint64_t seed;             /* order of images, by (seed, epoch), not by chip */
} ot_tune_options;
ot_tune_options ot_tune_defaults(void);      /* found by the sweep of docs/tuning.md */
ot_status       ot_tune_check(const ot_tune_options *opt);

typedef struct ot_tune_cost {
    int64_t images_forward, images_backward;   /* images run through the chip */
    int     steps, projected, nan_restores;    /* Adam steps; gains held at 1/64; times NaN brought the best knobs back */
    double  seconds;                           /* wall time of this chip's tuning */
} ot_tune_cost;

/* Adam on the knobs of what `plan` (a TUNE plan) holds, from the knobs given in gain, offset (L each) to the ones left there. */
ot_status ot_tune_adam(ot_plan *plan, const ot_data *data, const uint32_t *index, int64_t n_index, const ot_tune_options *opt,
                       int64_t steps, float *gain, float *offset, ot_tune_cost *cost);

/* The ideal network's means and spreads of each T-ReLU's input on some images: 2L numbers, made once with the ideal weights loaded. */
ot_status ot_tune_targets(double *mean, double *sd, ot_plan *plan, const ot_data *data, const uint32_t *index, int n);
ot_status ot_tune_closed_form(ot_plan *plan, const ot_data *data, const uint32_t *index, int n, const double *mean, const double *sd,
                              float *gain, float *offset, ot_tune_cost *cost);

/* The casebook: signatures of untuned chips and the knobs that mended them. */
typedef struct ot_casebook ot_casebook;
/* signatures (n, s), gains and offsets (n, l); copied.  Features with sd < 1e-12 are dropped.  clusters 0: by silhouette, 2..30. */
ot_status ot_casebook_make(ot_casebook **out, const float *signatures, const float *gains, const float *offsets, int n, int s, int l,
                           int clusters);
void      ot_casebook_free(ot_casebook *cb);
int       ot_casebook_clusters(const ot_casebook *cb);
double    ot_casebook_silhouette(const ot_casebook *cb);
/* Nearest medoid, then nearest member (standardised, Euclid; ties to the lowest).  *nearest: row of the casebook. */
ot_status ot_tune_learned(const ot_casebook *cb, const float *signature, float *gain, float *offset, int *nearest, ot_tune_cost *cost);

#ifdef __cplusplus
}
#endif
#endif

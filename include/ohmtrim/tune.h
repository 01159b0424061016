/* tune.h - setting a chip's knobs so that it works again.
 *
 *     exhaustive        Adam on all knobs by backward passes over training images (paper 000 IV.A, Algorithm 1)
 *     subset            the same on a fixed 10 % of the images
 *     learned           knobs of the nearest tuned chip in the casebook, by signature (paper 000 IV.B, Algorithm 2)
 *     closed-form       match mean and spread of each T-ReLU's input to the ideal's, one forward pass (DESIGN 6; ours); of a spiking
 *                       network each layer's mean firing rate
 *     closed-form-adam  closed form, then a few Adam steps (ours)
 *     nearest           knobs of the tuned chip nearest in L1 (paper 002 III)
 *     knn               the mean of the nearest tuned chips' knobs, weighted by 1 / distance (ours)
 *     ridge             every knob a linear function of the signature, fitted to the casebook (ours)
 *     learned-adam      learned, then a few Adam steps (ours)
 *     moments           closed form on the stimulus alone, as a test floor can do it: no casebook, no training images (ours); of a
 *                       spiking network the spread of each layer's currents, a = sd / sd0
 *     self-tuning       no knobs: outputs are divided by what a column of known cells says they are too large (paper 003 III.B, its GTM)
 *     self-tuning-ltm   no knobs: of each layer's outputs a share of its own column's is taken (paper 003 III.B, its LTM), which undoes noise that
 *                       all weights of a layer have in common as a sum, not as a factor: the wrong module for the device model's chips
 *     bn-stats          no knobs: batch norm's mean and variance found again on unlabelled images, two numbers a channel (a baseline)
 *     retrain           no knobs: the weights that matter most are trained again and written anew (our reading of CorrectNet-like methods,
 *                       paper 000 Table II)
 * The last four change the chip; a test floor that sets knobs cannot apply them.
 * A spiking network's knobs are its thresholds, in `gain` (network.h); offsets stay 0.
 * Since 0.1. */
#ifndef OHMTRIM_TUNE_H
#define OHMTRIM_TUNE_H

#include "ohmtrim/fleet.h"
#include "ohmtrim/floor.h"
#include "ohmtrim/policy.h"
#include "ohmtrim/test.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ot_tuner {
    OT_TUNER_EXHAUSTIVE, OT_TUNER_SUBSET, OT_TUNER_LEARNED, OT_TUNER_CLOSED_FORM, OT_TUNER_CLOSED_FORM_ADAM,
    OT_TUNER_NEAREST, OT_TUNER_KNN, OT_TUNER_RIDGE, OT_TUNER_LEARNED_ADAM, OT_TUNER_MOMENTS,
    OT_TUNER_SELF_TUNING, OT_TUNER_BN_STATS, OT_TUNER_RETRAIN, OT_TUNER_SELF_TUNING_LTM, OT_TUNERS
} ot_tuner;
enum { OT_TUNERS_USUAL = OT_TUNER_NEAREST };                         /* the first so many are a campaign's default */
int         ot_tuner_wants_casebook(ot_tuner t);                     /* learned, nearest, knn, ridge, learned-adam */
int         ot_tuner_wants_stimulus(ot_tuner t);                     /* those, and moments */
const char *ot_tuner_name(ot_tuner t);                               /* "closed-form" */
int         ot_tuner_changes_chip(ot_tuner t);                       /* self-tuning, self-tuning-ltm, bn-stats, retrain */
/* OT_E_UNSUPPORTED: bn-stats without batch norm; bn-stats, retrain of spiking networks; these and self-tuning-ltm on a backend
 * that holds many chips at once (cuda). */
ot_status   ot_tuner_suits(ot_tuner t, const ot_network *net, const ot_backend *be);
ot_status   ot_tuner_parse(ot_tuner *out, const char *name);         /* OT_E_USAGE lists the names */

typedef struct ot_tune_options {
    double   lr;               /* Adam's learning rate (0.9, 0.999, 1e-8) */
    double   epochs;           /* over the images used; fractions allowed */
    int      steps;            /* > 0: so many steps instead of epochs */
    int      minibatch;        /* 128 */
    double   subset_frac;      /* 0.1 */
    int      images;           /* closed form: unlabelled images, 100 */
    int      polish_steps;     /* closed-form-adam: Adam steps after the closed form ... */
    int      polish_images;    /* ... on so many labelled images */
    int      gtm_cells;        /* self-tuning: known cells a chip, 1000 */
    int      ltm_columns;      /* self-tuning-ltm: columns a layer, 1 */
    double   retrain_frac;     /* retrain: share of the crossbar weights, 0.01 */
    double   retrain_lr;       /* retrain: Adam's learning rate of weights, 0.003 */
    uint64_t seed;             /* order of images, by (seed, epoch), not by chip */
    ot_optimizer optimizer;    /* of every tuner that takes steps: Adam */
    double   momentum;         /* SGD's; 0: plain */
    ot_policy policy;          /* the rate of every step, its run all steps of the tuner; none: lr throughout */
} ot_tune_options;
ot_tune_options ot_tune_defaults(void);      /* found by the sweep of docs/tuning.md */
ot_status       ot_tune_check(const ot_tune_options *opt);

typedef struct ot_tune_cost {
    int64_t images_forward, images_backward;   /* images run through the chip */
    int     steps, projected, nan_restores;    /* Adam steps; gains held at 1/64; times NaN brought the best knobs back */
    double  seconds;                           /* wall time of this chip's tuning */
} ot_tune_cost;

/* Adam steps that the options ask for on `n` images: `steps`, or epochs * n / minibatch, at least 1. */
int64_t ot_tune_steps(const ot_tune_options *opt, int64_t n);

/* Below, `index` picks images of `data`; NULL: the first n. */

/* Adam on the knobs of what `plan` (a TUNE plan) holds, from the knobs given in gain, offset (L each) to the ones left there (which the
 * plan holds too).  Minibatches are cut from one endless stream of images: every epoch an order of its own, by (seed, epoch).  A loss
 * or gradient that is not finite brings the best knobs seen back (1, 0 if none were); four times in a row ends tuning with them. */
ot_status ot_tune_adam(ot_plan *plan, const ot_data *data, const uint32_t *index, int64_t n_index, const ot_tune_options *opt,
                       int64_t steps, float *gain, float *offset, ot_tune_cost *cost);

/* The ideal network's means and spreads (ot_plan_moments) of each T-ReLU's input on `n` images (at most the plan's tile): mean (L), sd (L), with knobs
 * 1, 0.  Loads the ideal weights into the plan. */
ot_status ot_tune_targets(double *mean, double *sd, ot_plan *plan, const ot_data *data, const uint32_t *index, int n);
/* Layer by layer a = sd0 / sd, b = mean - mean0 / a on what `plan` holds: one forward pass.  (1, 0) where a spread is zero. */
ot_status ot_tune_closed_form(ot_plan *plan, const ot_data *data, const uint32_t *index, int n, const double *mean, const double *sd,
                              float *gain, float *offset, ot_tune_cost *cost);

/* Spiking networks: layer by layer the gain, 0.5..2, that brings the mean firing rate to rate (L), the ideal's (ot_plan_rates): one
 * forward pass, the scans repeated.  Offsets 0. */
ot_status ot_tune_match_rates(ot_plan *plan, const ot_data *data, const uint32_t *index, int n, const double *rate, float *gain, float *offset,
                              ot_tune_cost *cost);

/* The casebook: signatures of untuned chips and the knobs that mended them. */
typedef struct ot_casebook ot_casebook;
/* signatures (n, s), gains and offsets (n, l); copied.  Features with sd < 1e-12 are dropped.  clusters 0: by silhouette, 2..30. */
ot_status ot_casebook_make(ot_casebook **out, const float *signatures, const float *gains, const float *offsets, int n, int s, int l,
                           int clusters);
void      ot_casebook_free(ot_casebook *cb);
int       ot_casebook_clusters(const ot_casebook *cb);
double    ot_casebook_silhouette(const ot_casebook *cb);
int       ot_casebook_signature_length(const ot_casebook *cb);    /* s */
int       ot_casebook_relus(const ot_casebook *cb);               /* l */
int       ot_casebook_dropped(const ot_casebook *cb);             /* features without spread */
const ot_features *ot_casebook_features(const ot_casebook *cb);
const ot_cases    *ot_casebook_cases(const ot_casebook *cb);
/* Fits the linear functions of `ridge`, if that is not done yet. */
ot_status             ot_casebook_fit_ridge(ot_casebook *cb);
const ot_ridge_knobs *ot_casebook_ridge(const ot_casebook *cb);   /* coef NULL before */
enum { OT_CASEBOOK_KNN = 5 };                                     /* neighbours of knn */
/* Knobs for a chip by its untuned signature: LEARNED, NEAREST, KNN, RIDGE (features standardised; ties to the lowest row; RIDGE once
 * ot_casebook_fit_ridge was called).  *nearest (may be NULL): row of the casebook that stands for the answer. */
ot_status ot_casebook_mend(const ot_casebook *cb, ot_mender how, const float *signature, float *gain, float *offset, int *nearest, ot_tune_cost *cost);

/* What tuning the chips of one network shares: the images of each tuner, drawn from the seed, and the ideal's means and spreads.
 * Read-only once open, so threads may share it; borrows `train`.  ot_tuning_open needs a TUNE plan and leaves the ideal weights in it.
 * OT_E_UNSUPPORTED: a network without ReLU has no knobs. */
typedef struct ot_tuning ot_tuning;
ot_status ot_tuning_open(ot_tuning **out, ot_plan *plan, const ot_data *train, const ot_tune_options *opt);
void      ot_tuning_free(ot_tuning *t);
/* Names the stimulus (k <= tile images of `data`, borrowed; `index` is copied), for the tuner `moments`; leaves the ideal weights in the plan. */
ot_status ot_tuning_set_stimulus(ot_tuning *t, ot_plan *plan, const ot_data *data, const uint32_t *index, int k);
/* Tune what `plan` holds (a chip; any knobs) with one tuner: knobs into gain, offset (L each) and into the plan.  Tuners that want the
 * casebook need `cb` and the chip's untuned `signature`, and give the row they took in *nearest (may be NULL, as all three for others). */
ot_status ot_tuning_run(const ot_tuning *t, ot_tuner tuner, ot_plan *plan, const ot_casebook *cb, const float *signature, float *gain,
                        float *offset, int *nearest, ot_tune_cost *cost);
/* Self-tuning, of the chip that the plan holds: it is drawn again with its outputs corrected by what its own column says (*estimate, may be
 * NULL), and loaded; knobs untuned.  ot_chip_redraw and ot_plan_load bring it back.  ot_tuning_run refuses this tuner, as it has no chip. */
ot_status ot_tuning_self(const ot_tuning *t, ot_plan *plan, ot_chip *chip, float *gain, float *offset, double *estimate, ot_tune_cost *cost);
/* Any tuner that changes the chip: `plan` holds what it made of the chip, knobs 1, 0, until ot_tuning_change_back.  *values (may be NULL): numbers
 * that were changed on the chip.  Opens a plan of its own on the plan's backend.  OT_E_UNSUPPORTED as ot_tuner_suits.  Since 0.1. */
ot_status ot_tuning_change(const ot_tuning *t, ot_tuner tuner, ot_plan *plan, ot_chip *chip, float *gain, float *offset, int64_t *values, ot_tune_cost *cost);
ot_status ot_tuning_change_back(ot_plan *plan, ot_chip *chip);
/* The same for all n chips of a fleet (opened for tuning) at once: signatures (n, S), gain, offset (n, L), nearest (n), cost (n), whose
 * seconds are each chip's share.  A chip gets the knobs it would get alone.  self-tuning leaves the fleet's chips corrected; the other tuners
 * undo that first.  Since 0.1. */
ot_status ot_tuning_run_fleet(const ot_tuning *t, ot_tuner tuner, ot_fleet *fleet, const ot_casebook *cb, const float *signatures, float *gain,
                              float *offset, int *nearest, ot_tune_cost *cost);

#ifdef __cplusplus
}
#endif
#endif

/* adam.h - Adam, or SGD, on the knobs of one chip, a minibatch at a time. */
#ifndef OT_TUNE_ADAM_H
#define OT_TUNE_ADAM_H

#include "ohmtrim/tune.h"

typedef struct ot__adam ot__adam;

/* From gain, offset (L each; copied). */
ot_status ot__adam_open(ot__adam **out, int relus, double lr, const float *gain, const float *offset);
void      ot__adam_close(ot__adam *a);
/* Another optimiser and other rates than lr (policy none: lr), before the first step.  The lengths of `policy` are in iterations. */
void      ot__adam_rates(ot__adam *a, const ot_policy *policy, ot_optimizer optimizer, double momentum);
/* What a run of `steps` minibatches of `batch` out of `n` images makes of the options' policy. */
ot_status ot__tune_policy(ot_policy *out, const ot_tune_options *opt, int64_t steps, int64_t batch, int64_t n);
/* One step: loss (mean cross-entropy) and gradients of these images at the knobs as they stand, then the update.  A loss or gradient
 * that is not finite restores the best knobs instead.  Images, steps, projections and restores are added to *cost. */
ot_status ot__adam_step(ot__adam *a, ot_plan *plan, const ot_data *data, const uint32_t *index, int64_t n, double *loss,
                        ot_tune_cost *cost);
int       ot__adam_gave_up(const ot__adam *a);              /* four restores in a row: more steps are of no use */
void      ot__adam_knobs(const ot__adam *a, float *gain, float *offset);

/* The stream of images that minibatches are cut from: epoch after epoch of index[0..n-1] (NULL: 0..n-1), each in an order of its own. */
typedef struct ot__images {
    const uint32_t *index;
    uint32_t       *order, epoch;
    int64_t         n, at;
    uint64_t        seed;
} ot__images;
ot_status ot__images_open(ot__images *s, const uint32_t *index, int64_t n, uint64_t seed);
void      ot__images_close(ot__images *s);
void      ot__images_next(ot__images *s, uint32_t *rows, int64_t n);

#endif

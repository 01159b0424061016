/* train.h - weight training on the CPU: SGD with momentum, Adam; cosine and step schedules; crop and flip; checkpoints.
 * Since 0.1. */
#ifndef OHMTRIM_TRAIN_H
#define OHMTRIM_TRAIN_H

#include "ohmtrim/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Networks that can be built by name: lenet5, vgg-s, resnet8, resnet20, mobilenet-s, ...; weights drawn from the seed (He normal).
 * `c, h, w, classes`: the data set's. */
ot_status   ot_model_build(ot_network **out, const char *name, int c, int h, int w, int classes, uint64_t seed);
const char *ot_model_name(int i);                         /* NULL past the last */
const char *ot_model_text(int i);                         /* one line about it */

typedef enum ot_optimizer { OT_OPTIMIZER_SGD, OT_OPTIMIZER_ADAM } ot_optimizer;
typedef enum ot_schedule { OT_SCHEDULE_COSINE, OT_SCHEDULE_STEP, OT_SCHEDULE_FIXED } ot_schedule;

typedef struct ot_train_options {
    ot_optimizer optimizer;
    ot_schedule  schedule;
    double       lr, momentum, weight_decay;
    int          epochs, minibatch, warmup_epochs;
    double       step_gamma;          /* STEP: factor */
    int          step_epochs;         /* STEP: every so many epochs */
    int          crop_pad, flip;      /* augmentation: random crop after padding by so many pixels; horizontal flip */
    double       label_smoothing;
    uint64_t     seed;
    int          threads;             /* shards of a minibatch are fixed in number: threads change nothing but time */
    const char  *checkpoint;          /* written after each epoch, read if there; NULL: none */
} ot_train_options;
ot_train_options ot_train_defaults(void);
ot_status        ot_train_check(const ot_train_options *opt);

/* Called after each epoch; a status other than OT_OK ends training with it (the checkpoint stays). */
typedef ot_status (*ot_train_fn)(void *user, int epoch, double loss, double train_accuracy, double test_accuracy, double lr);

/* Trains `net` in place.  `test` may be NULL. */
ot_status ot_train(ot_network *net, const char *backend, const ot_data *train, const ot_data *test, const ot_train_options *opt,
                   ot_train_fn fn, void *user);

#ifdef __cplusplus
}
#endif
#endif

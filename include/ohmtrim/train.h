/* train.h - weight training: SGD with momentum, Adam; any learning-rate policy; crop and flip; checkpoints.
 *
 *     ot_network *net;
 *     ot_data *train;
 *     ot_status st = ot_data_open(&train, "fashion-mnist", OT_SPLIT_TRAIN, 0);
 *     st = ot_model_build(&net, "lenet5", 1, 28, 28, 10, 1);
 *     st = ot_train_normalise(net, train);                            // mean and sd of the training pixels into the metadata
 *     ot_train_options opt = ot_train_defaults();
 *     st = ot_train(net, "auto", train, NULL, &opt, NULL, NULL);
 *     st = ot_network_save(net, "lenet5.onnx", NULL, NULL);
 *
 * A minibatch is cut into `shards` equal parts; each has its own plan, its own batch-norm statistics and, where there are threads enough,
 * its own thread; their gradients are added in a fixed order.  So the result depends on the options (shards included), the backend
 * and the machine's instruction set, and never on the number of threads or on interruptions.  The order of the images and their crops
 * and flips are functions of (seed, epoch, image).  A last minibatch that would not be full is left out: those images come in other
 * epochs.  On backend cuda plain training keeps everything in the device's memory from epoch to epoch, and the shards follow each other there
 * (docs/training.md).  Since 0.1. */
#ifndef OHMTRIM_TRAIN_H
#define OHMTRIM_TRAIN_H

#include "ohmtrim/plan.h"
#include "ohmtrim/quantise.h"
#include "ohmtrim/policy.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Networks that can be built by name: lenet5, vgg-s, vgg16, resnet18, resnet20, mobilenet, ...; weights drawn from the seed (He normal),
 * the same on any machine.  `c, h, w, classes`: the data set's.  NAME@WIDTH, as in "mobilenet@0.25": the network with all its channels
 * (and the outputs of hidden dense layers) times WIDTH, each the nearest whole number, halves up, at least 1; for machines without a
 * GPU, as multiply-accumulates go with about its square.  OT_E_RANGE for a name, width or number of classes, OT_E_SHAPE for images, that
 * do not go; *out is the caller's to free. */
#define OT_MODEL_WIDTH_MIN 0.01
#define OT_MODEL_WIDTH_MAX 8.0
ot_status ot_model_build(ot_network **out, const char *name, int c, int h, int w, int classes, uint64_t seed);
const char *ot_model_name(int i); /* NULL past the last */
const char *ot_model_text(int i); /* one line about it */

typedef enum ot_schedule { OT_SCHEDULE_COSINE, OT_SCHEDULE_STEP, OT_SCHEDULE_FIXED, OT_SCHEDULE_POLICY } ot_schedule;

/* How the step of a layer's quantised activations is found. */
typedef enum ot_range {
    OT_RANGE_AUTO,    /* the second up to 4 bits, where the largest value makes almost every code 0; else the first */
    OT_RANGE_AVERAGE, /* moving average of each batch's largest value / n (paper 003) */
    OT_RANGE_LEAST    /* least mean squared error */
} ot_range;

/* Training of networks that will be quantised and vary (paper 003; docs/qavat.md): all 0 is plain training.
 *
 *     QAT      bits                      VAT      noise
 *     QAVAT    both                      PTQ-VAT  both, quantise_after = epochs
 *
 * Weights are kept in full; each step they go quantised and noisy into the plans, and the gradient comes back straight through. */
typedef struct ot_robust_options {
    int weight_bits, activation_bits; /* 2..8; 0: not quantised */
    ot_ste weight_ste, activation_ste;
    int quantise_after;    /* epochs trained without quantising before scales are found; 0: none; all of them: quantised after training */
    int rescale_epochs;    /* weight scales are found again every so many epochs; 0: never */
    ot_range range;
    int range_batches;     /* minibatches that activations are seen of: 100 */
    double range_momentum; /* 0.9 */
    ot_noise noise;        /* within, between 0: none; the seed is the training's */
    int samples;           /* samples of noise a step, whose gradients are averaged: 1 */
    const ot_device *device;  /* noise is chips of this device, drawn cell by cell, a new one each sample; NULL: `noise` */
    ot_variation variation;   /* theirs; its seed is the training's */
} ot_robust_options;

typedef struct ot_train_options {
    ot_optimizer optimizer;
    ot_schedule schedule;
    double lr;           /* at the top of the schedule; not used by POLICY */
    ot_policy policy;    /* POLICY: any of policy.h; its run is what comes after the warm-up */
    double momentum;     /* SGD's (Adam's betas are 0.9 and 0.999, its epsilon 1e-8) */
    /* CorrectNet-like (our reading): adds lipschitz * sum over crossbar layers of max(0, s - lambda)^2, s the largest singular value of a layer's weights,
     * lambda = 1 / (mu + 3 sd) of the factor exp(N(0, lipschitz_sigma^2)) that a weight may vary by.  0: no penalty; sigma 0..2, 0.5 */
    double lipschitz, lipschitz_sigma;
    double weight_decay; /* L2 as PyTorch's SGD and Adam have it, on crossbar weights only: not on biases, gamma, beta */
    int epochs, minibatch, warmup_epochs;
    double step_gamma;      /* STEP: factor */
    int step_epochs;        /* STEP: every so many epochs */
    int crop_pad, flip;     /* augmentation: random crop after padding by so many black pixels; horizontal flip */
    double label_smoothing; /* share of the target spread evenly over all classes */
    ot_robust_options robust;
    ot_surrogate surrogate; /* spiking networks: as in ot_plan_options */
    double sharpness;
    ot_spike_loss spike_loss;
    uint64_t seed;
    int shards;                        /* parts of a minibatch, each with its own batch norm; 0: 2, or 1 for an odd minibatch */
    int threads;                       /* change nothing but time; 0: one a core; no more than `shards` are used */
    const char *checkpoint;            /* npz written after each epoch, read and continued if it is there; NULL: none */
    const volatile sig_atomic_t *stop; /* set by a signal handler, say: ends training after the minibatch in hand; NULL: none */
} ot_train_options;
ot_train_options ot_train_defaults(void); /* plain; SGD 0.05, momentum 0.9, decay 5e-4, cosine, 10 epochs of 128, seed 1 */
ot_status ot_train_check(const ot_train_options *opt);

/* The learning rate of minibatch `step` of `steps` in `epoch`: a pure function.  Warm-up rises in equal steps up to lr (the policy's first
 * rate) over its epochs; cosine falls from lr to 0 over the remaining ones: COS k1=lr l=100%; step is lr * gamma^(epoch / step_epochs),
 * counted from the first epoch; a policy begins after the warm-up.  NaN for a policy that ot_policy_for refuses. */
double ot_train_lr(const ot_train_options *opt, int epoch, int step, int steps);

/* Mean and standard deviation of each channel's pixels / 255 become the network's normalisation.  A set of floats is used as it is: mean
 * 0, sd 1.  OT_E_DATA if a channel has the same value everywhere. */
ot_status ot_train_normalise(ot_network *net, const ot_data *train);

/* Called after each epoch (numbered from 0); a status other than OT_OK ends training with it (the checkpoint stays).  test_accuracy is
 * NaN without a test set. */
typedef ot_status (*ot_train_fn)(void *user, int epoch, double loss, double train_accuracy, double test_accuracy, double lr);

/* Trains `net` in place.  `test` may be NULL.  OT_E_RANGE and OT_E_SHAPE before anything is computed; OT_E_DATA when the loss is no
 * longer finite; OT_E_INTERRUPTED after `stop`, with the checkpoint written; OT_E_MISMATCH for a checkpoint of another run, naming
 * what differs. */
ot_status ot_train(ot_network *net, const char *backend, const ot_data *train, const ot_data *test, const ot_train_options *opt,
                   ot_train_fn fn, void *user);

#ifdef __cplusplus
}
#endif
#endif

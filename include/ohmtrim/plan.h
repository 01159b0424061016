/* plan.h - a network made ready to run on a backend: memory planned, layers fused, algorithms chosen.
 *
 *     ot_backend *be;  ot_plan *plan;
 *     ot_status st = ot_backend_open(&be, "auto", NULL);
 *     ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
 *     st = ot_plan_open(&plan, be, net, &opt);
 *     st = ot_plan_load(plan, chip);                                  // or NULL: the ideal weights
 *     int64_t correct;
 *     st = ot_plan_count(plan, test, NULL, test->n, &correct, NULL);  // right answers
 *
 * A plan holds one chip at a time and belongs to one thread.  Images go through it in tiles of fixed size (the last one
 * padded), so that results do not depend on how many images are asked for at once (DESIGN 4.8).  Knobs: L gains and L
 * offsets, one pair a ReLU layer, T-ReLU(x) = min(clip, max(0, (x - b) a)).
 *
 * A ReLU layer of few codes (network.h) gives them at once; means and logits are of what follows from them.
 *
 * Spiking networks (docs/spiking.md) run layer by layer over all T time steps.  Here, as in network.h, the gain of a spiking layer is
 * its threshold over the designed one and its offset is 0 (and its derivative 0); logits are spike counts; the mean of a layer's output is its mean firing
 * rate, spikes a neuron and step.  Since 0.1. */
#ifndef OHMTRIM_PLAN_H
#define OHMTRIM_PLAN_H

#include "ohmtrim/chip.h"
#include "ohmtrim/data.h"
#include "ohmtrim/quantise.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_backend ot_backend;

/* `name`: "auto", "cpu", "ref" and, where built, "cuda" (exact float), "cuda:tf32", "cuda:fp16" (tensor cores); "cuda:fp32+libs" and the like let cuBLAS and cuDNN do
 * the layers where they are measured to be faster.  `why` (may be NULL) gets a short sentence of what was picked and why,
 * owned by the backend.  OT_E_BACKEND if it is not in this build or machine.  One backend object per thread. */
ot_status   ot_backend_open(ot_backend **out, const char *name, const char **why);
void        ot_backend_close(ot_backend *be);
const char *ot_backend_name(const ot_backend *be);
/* The name that opens the backend again with all it has measured and chosen so far ("cuda:fp16+libs=0:own,cudnn;..."): the same results. */
ot_status   ot_backend_identity(const ot_backend *be, char *text, size_t n);
const char *ot_backend_detail(const ot_backend *be);      /* library and instruction set: part of a campaign's identity */

/* The machine's GPUs: at most `most` into out, how many there are into *n.  OT_E_BACKEND: this build has no CUDA; OT_E_CUDA: the
 * sentence says why none can be used (no device, an old driver).  Since 0.1. */
typedef struct ot_gpu {
    char   name[128];
    int    major, minor;               /* compute capability; 7.0 and newer will do */
    size_t bytes;                      /* device memory */
    int    driver, runtime;            /* newest CUDA the driver knows, and the one of this build: 13000 is 13.0 */
} ot_gpu;
ot_status ot_gpus(ot_gpu *out, int most, int *n);

typedef enum ot_plan_use { OT_PLAN_FORWARD, OT_PLAN_TUNE, OT_PLAN_TRAIN } ot_plan_use;
typedef enum ot_conv_choice { OT_CONV_AUTO, OT_CONV_DIRECT, OT_CONV_WINOGRAD } ot_conv_choice;

/* What stands for the derivative of a spike, of which there is none: a function of z = membrane - threshold. */
typedef enum ot_surrogate {
    OT_SURROGATE_ATAN,             /* (k / 2) / (1 + (pi/2 k z)^2), k = 2 */
    OT_SURROGATE_FAST_SIGMOID,     /* 1 / (1 + k |z|)^2, k = 25 */
    OT_SURROGATE_BOXCAR,           /* k where |z| < 1 / (2 k), else 0, k = 1 */
    OT_SURROGATES
} ot_surrogate;
typedef enum ot_spike_loss {
    OT_SPIKE_LOSS_COUNT,           /* cross-entropy of the spike counts: what decides the class */
    OT_SPIKE_LOSS_RATE,            /* mean over time steps of the cross-entropy of each step's spikes */
} ot_spike_loss;

typedef struct ot_plan_options {
    ot_plan_use    use;    /* FORWARD; TUNE adds backward to knobs; TRAIN: batch statistics, backward to weights */
    int            tile;   /* images computed at once, 1..4096; part of the result's identity */
    ot_conv_choice conv;
    double         label_smoothing;   /* TRAIN, 0..1: share of the target spread evenly over all classes */
    int            chips;             /* 0: one; more are for ot_fleet (fleet.h) */
    ot_ste         relu_ste;          /* TUNE, TRAIN: derivative of quantised ReLU outputs (network.h, codes) */
    int            frozen_norm;       /* TRAIN: batch norm keeps the network's running statistics, gamma and beta; these two get no gradient */
    int            input_gradient;    /* TUNE: memory for derivatives to the images too (ot_plan_input_gradient) */
    /* spiking networks */
    ot_surrogate   surrogate;
    double         sharpness;         /* its k; 0: as above */
    ot_spike_loss  spike_loss;
} ot_plan_options;
#define OT_PLAN_OPTIONS_INIT { .use = OT_PLAN_FORWARD, .tile = 128, .conv = OT_CONV_AUTO }

typedef struct ot_plan ot_plan;

ot_status         ot_plan_open(ot_plan **out, ot_backend *be, const ot_network *net, const ot_plan_options *opt);
void              ot_plan_free(ot_plan *plan);
size_t            ot_plan_bytes(const ot_plan *plan);           /* all memory it took */
/* Bytes a plan would take, without taking them. */
ot_status         ot_plan_measure(size_t *bytes, ot_backend *be, const ot_network *net, const ot_plan_options *opt);
const ot_network *ot_plan_network(const ot_plan *plan);
ot_backend       *ot_plan_backend(const ot_plan *plan);
int               ot_plan_knobs(const ot_plan *plan);           /* layers with knobs, ReLU or spiking: L */

ot_status ot_plan_load(ot_plan *plan, const ot_chip *chip);     /* NULL: the network's own weights */
/* Weights, biases, batch norm with its statistics from another network of the same layers, which need not live on.  OT_E_SHAPE if they differ. */
ot_status ot_plan_load_network(ot_plan *plan, const ot_network *net);
/* gain, offset: (L) or NULL for 1 and 0.  OT_E_RANGE: a gain below 1/64, an offset of a spiking layer that is not 0, anything not finite. */
ot_status ot_plan_set_knobs(ot_plan *plan, const float *gain, const float *offset);

/* Forward.  `index` picks `n` images of `data` (NULL: the first n).  Any output may be NULL.
 * logits (n, classes); layer_mean (n, L): mean over all neurons of each T-ReLU's output (paper 000's Y_x). */
ot_status ot_plan_forward(ot_plan *plan, const ot_data *data, const uint32_t *index, int64_t n, float *logits, float *layer_mean);
/* Right answers among them; bits (may be NULL): (n + 7) / 8 bytes, bit i%8 of byte i/8 set where image i is right.  Ties of the
 * largest logit go to the lowest class; an image with a NaN logit is wrong. */
ot_status ot_plan_count(ot_plan *plan, const ot_data *data, const uint32_t *index, int64_t n, int64_t *correct, uint8_t *bits);

/* The class of one image's logits by that rule; -1 where one is NaN. */
int       ot_plan_class(const float *logits, int classes);

/* Mean cross-entropy (natural log) of the n images and its derivatives to the knobs, grad_gain (L), grad_offset (L).  TUNE plans. */
ot_status ot_plan_gradient(ot_plan *plan, const ot_data *data, const uint32_t *index, int64_t n, double *loss, double *grad_gain,
                           double *grad_offset);

/* Derivatives to the images themselves, of a loss that the caller computes from the logits: forward of images (n, c, h, w), floats as the
 * network wants them, then fn, then backward; grad (n, c, h, w).  fn gets logits (n, classes) and writes the derivatives to them, (n,
 * classes); its failure is passed on.  Weights and knobs are those loaded and set.  1 <= n <= tile; plans opened with input_gradient. */
typedef ot_status (*ot_logit_fn)(void *user, const float *logits, int n, float *grad_logits);
ot_status ot_plan_input_gradient(ot_plan *plan, const float *images, int n, ot_logit_fn fn, void *user, float *grad);

/* Forward of n <= tile images that stops before each T-ReLU with the mean of its input x over images, channels and pixels, and its
 * spread within channels: sd = sqrt(mean over channels of the variance over images and pixels).  `fn` may set the layer's knobs, which are used at once and kept.
 * Of a spiking layer it sees the currents, over time steps too.  For closed forms (DESIGN 6). */
typedef ot_status (*ot_moment_fn)(void *user, int relu, double mean, double sd, float *gain, float *offset);
ot_status ot_plan_moments(ot_plan *plan, const ot_data *data, const uint32_t *index, int n, ot_moment_fn fn, void *user);

/* Forward of n <= tile images, floats as the network wants them (n, c, h, w), in which fn sees the output of each T-ReLU, n images' worth in
 * (n, c, h, w) order; valid during the call.  Plans of any use, of one chip. */
typedef ot_status (*ot_activation_fn)(void *user, int relu, const float *values, size_t n_values);
ot_status ot_plan_activations(ot_plan *plan, const float *images, int n, ot_activation_fn fn, void *user);
/* Spiking networks: mean firing rates (L) of each layer on n <= tile images, spikes a neuron and step; and, layer by layer, the gains
 * between low (>= 1/64) and high that bring them to `rate` (L), by halving: gain (L), and into the plan; offsets are let be.  Where a rate is
 * out of reach the gain ends at low or high.  OT_E_UNSUPPORTED: the network does not spike. */
ot_status ot_plan_rates(ot_plan *plan, const ot_data *data, const uint32_t *index, int n, double *rate);
ot_status ot_plan_match_rates(ot_plan *plan, const ot_data *data, const uint32_t *index, int n, const double *rate, double low, double high, float *gain);

/* Training (TRAIN plans): parameters as the flat vector of network.h; batch norm uses the minibatch's own statistics.
 * images (n, c, h, w) floats as the network wants them (augmented by the caller), n = tile; with rate and latency coding the spikes of all steps,
 * (n, T, c, h, w).
 * grad: d(mean loss)/d(parameters), NULL: forward alone; batch_statistics: as ot_network_get_statistics, of this minibatch (variance unbiased). */
ot_status ot_plan_set_parameters(ot_plan *plan, const float *parameters);
ot_status ot_plan_train(ot_plan *plan, const float *images, const int32_t *labels, int n, float *grad, float *batch_statistics,
                        double *loss, int64_t *correct);
/* Numbers of one image that ot_plan_train takes: c h w, with rate and latency coding T c h w. */
size_t ot_plan_input(const ot_plan *plan);
/* Rate and latency coding: x (T, c, h, w) begins with a picture of 0..1, which becomes its spikes at each step, with rate coding drawn by (seed, number, step, pixel). */
ot_status ot_plan_input_spikes(const ot_plan *plan, uint64_t seed, uint32_t number, float *x);

#ifdef __cplusplus
}
#endif
#endif

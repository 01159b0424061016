/* robust.h - what stands between the weights that are trained and those the plans see: quantisers, noise, simulated chips.
 *
 *     parameters --(quantise, add noise: robust.c)--> effective --> plans --> gradient * slope --> parameters' gradient
 *
 * slope is d effective / d parameter by the straight-through estimators.  Where nothing of it is asked for there is no effective vector, and
 * training is what it was. */
#ifndef OT_TRAIN_ROBUST_H
#define OT_TRAIN_ROBUST_H

#include "ohmtrim/train.h"
#include "quantise/quantise.h"

struct ot__trainer;

typedef struct ot__robust_layer { /* a crossbar layer */
    int layer;
    size_t at, n; /* in the flat vector */
    ot__weight_way way;
} ot__robust_layer;

typedef struct ot__robust {
    int quantising; /* scales are found, networks and plans have them */
    int n_layers, n_relus;
    ot__robust_layer *layers;
    double *weight_scale, *activation_step; /* (n_layers), (n_relus) */
    float *effective, *slope;               /* (n_parameters); NULL: plain training */
    ot_network *twin;                       /* device: what chips are drawn of */
    ot_chip *chip;
} ot__robust;

ot_status ot__robust_check(const ot_train_options *opt, const ot_network *net);
ot_status ot__robust_open(struct ot__trainer *t);
void ot__robust_close(struct ot__trainer *t);
int ot__robust_samples(const struct ot__trainer *t);
/* Sample i of the minibatch in hand: effective and slope. */
ot_status ot__robust_sample(struct ot__trainer *t, int i);
const float *ot__robust_parameters(const struct ot__trainer *t); /* what plans get */
/* The network as it would be written now: parameters quantised, without noise. */
void ot__robust_network(struct ot__trainer *t);
/* Whether weights or activations are quantised once so many epochs are done. */
int ot__robust_quantises(const struct ot__trainer *t, int epochs_done);
/* Called before the first epoch (epochs_done 0, or where the checkpoint stands) and after each: finds scales when it is time to begin. */
ot_status ot__robust_advance(struct ot__trainer *t, int epochs_done);
/* Called where an epoch begins: finds the weights' scales again, if it is one of those. */
ot_status ot__robust_rescale(struct ot__trainer *t);
/* Scales into the network and the plans; quantising from now on. */
ot_status ot__robust_begin(struct ot__trainer *t);
/* robust_range.c: activation_step of each ReLU layer from the float network's outputs on minibatches of the epoch. */
ot_status ot__robust_ranges(struct ot__trainer *t);

#endif

/* network.h - the trained, ideal network: what an ONNX file says, checked and in the order it runs.
 *
 *     ot_network *net;
 *     ot_status st = ot_network_open(&net, "models/mobilenet-s.onnx");
 *     ...
 *     ot_network_free(net);
 *
 * A network is a list of layers in topological order; layer 0 is the input, the last one gives the logits.  Every
 * tensor is (B, C, H, W); vectors are (B, C, 1, 1).  Crossbar layers (convolutions and dense ones) are numbered from 0
 * in order: that number is the `layer` word of the chip's random draws.  ReLU layers are numbered likewise: that number
 * is the index of their knobs.  Batch norm stays apart from the weights (digital and ideal, DESIGN 4.2).
 *
 * A spiking network has integrate-and-fire layers in place of ReLU layers, never both, and runs T time steps (docs/spiking.md).  Its knobs
 * are one threshold a spiking layer: wherever a function takes gain and offset (L each), gain[l] is the threshold of spiking layer l over
 * the one it was designed with, and offset[l] is 0, so that 1 and 0 are any network's untuned knobs.  Its "logits" are the spike counts of
 * its last layer; where that one's neurons fire once, T - t of a spike at step t (0 .. T-1), 0 of none: the first to fire wins.  Knobs
 * of layers that fire once are gains proper, on their currents: their threshold is divided by them.  Since 0.1. */
#ifndef OHMTRIM_NETWORK_H
#define OHMTRIM_NETWORK_H

#include "ohmtrim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ot_op {
    OT_OP_INPUT,        /* layer 0 only */
    OT_OP_CONV,         /* weight (out, in/groups, kh, kw), bias (out) or NULL; crossbar */
    OT_OP_DENSE,        /* weight (out, in, 1, 1), bias (out) or NULL; crossbar; input (B, in, 1, 1) */
    OT_OP_BATCH_NORM,   /* y = (x - mean) / sqrt(var + eps) * gamma + beta, per channel */
    OT_OP_BIAS,         /* y = x + bias, per channel (an Add of a constant that no crossbar layer absorbed) */
    OT_OP_RELU,         /* T-ReLU: y = min(clip, max(0, (x - b) * a)), one (a, b) a layer */
    OT_OP_ADD,          /* y = in[0] + in[1], same shape */
    OT_OP_MAX_POOL,     /* kernel, stride, pads; padding never wins */
    OT_OP_AVG_POOL,     /* kernel, stride, pads; count_pad: padding counts in the divisor */
    OT_OP_GLOBAL_AVG,   /* (B, C, H, W) -> (B, C, 1, 1) */
    OT_OP_PAD,          /* zeros (or `pad_value`) around, on C, H and W */
    OT_OP_SLICE,        /* every `slice_step`-th element from `slice_start`, on C, H and W */
    OT_OP_RESHAPE,      /* same elements in the same order, other C, H, W (flatten too) */
    OT_OP_SPIKE,        /* integrate and fire: currents in, spikes (0 or 1) out, at each time step; one threshold a layer */
} ot_op;

/* What a neuron loses after a spike: its layer's threshold, whatever that is tuned to; a fixed u_rst; everything; or it falls silent, so
 * that what it says is when it fires (time to first spike). */
typedef enum ot_reset { OT_RESET_SUBTRACT, OT_RESET_FIXED, OT_RESET_ZERO, OT_RESET_ONCE, OT_RESETS } ot_reset;

/* One layer.  A plain description; getters return the network's own, which are read-only.  Unused fields are 0. */
typedef struct ot_layer {
    ot_op       op;
    const char *name;              /* as in the file; unique */
    int         in[2];             /* layer indices; in[1] = -1 unless OT_OP_ADD */
    int         c, h, w;           /* output shape of one image (filled by ot_network_add) */

    int in_c;                      /* input channels (filled by ot_network_add) */
    int groups;                    /* CONV; 1 for DENSE */
    int kh, kw, sh, sw;            /* kernel and stride: CONV, pools */
    int pt, pl, pb, pr;            /* zero padding top, left, bottom, right: CONV, pools */
    int count_pad;                 /* AVG_POOL */
    int ceil_mode;                 /* pools: round the output size up */

    float *weight;                 /* crossbar: (out, in/groups, kh, kw) */
    float *bias;                   /* CONV, DENSE (or NULL), BIAS: (out) */
    float *gamma, *beta, *mean, *var;   /* BATCH_NORM: (c) each */
    float  eps;

    float clip;                    /* RELU: INFINITY for a plain one, 6 for ReLU6 */
    int   codes;                   /* RELU: its output u is quantised, min(codes, rint(u / step)) step; 1..255, 0: it is not */
    float step;                    /* RELU with codes: > 0 */
    float pad_value;
    int   pad_before[3], pad_after[3];                      /* PAD: on C, H, W */
    int   slice_start[3], slice_step[3];                    /* SLICE: on C, H, W; counts are c, h, w */

    int crossbar;                  /* number among crossbar layers, or -1 (filled by ot_network_add) */
    int relu;                      /* number among ReLU layers, or -1 (filled by ot_network_add) */

    /* SPIKE: with R[t] = 1 where the neuron fired at step t - 1, else 0, and I the current,
     *     m[t] = leak m[t-1] + I[t] - R[t] (threshold or u_rst)     or, ZERO:  m[t] = leak m[t-1] (1 - R[t]) + I[t]
     * and it fires where m[t] > threshold, strictly; ONCE: that step alone. */
    float    threshold;            /* > 0 */
    float    leak;                 /* 0 < leak <= 1; 1: no leak */
    ot_reset reset;
    float    u_rst;                /* FIXED: > 0; else 0 */
    int      spike;                /* number among spiking layers, or -1 (filled by ot_network_add) */
    int      timed;                /* at or behind a spiking layer: differs from step to step whatever the coding (filled by ot_network_add) */
} ot_layer;

/* How a spiking network runs. */
typedef enum ot_coding {
    OT_CODING_DIRECT,              /* the image is the current into the first layer, the same at every step */
    OT_CODING_RATE,                /* a pixel x of 0..1 is a spike with probability x at each step */
    OT_CODING_LATENCY,             /* a pixel x of 0..1 is one spike, the brighter the sooner: at step (1 - x) (T - 1), rounded; none for x = 0 */
    OT_CODINGS
} ot_coding;
enum { OT_MAX_STEPS = 1024 };
typedef struct ot_spiking {
    int       steps;               /* T, 1..OT_MAX_STEPS; 0: not said */
    ot_coding coding;
    uint64_t  seed;                /* RATE: with image number, pixel and step it decides every input spike */
} ot_spiking;

typedef struct ot_network ot_network;

/* Read an ONNX file (DESIGN 4.1).  OT_E_OPEN, OT_E_FORMAT, OT_E_UNSUPPORTED (names node, operator, opset), OT_E_SHAPE,
 * OT_E_DATA (NaN or infinite weights).  *out owns everything it holds.  `_read` takes the bytes of a file; `dir` is where
 * external data may lie, NULL forbids it. */
ot_status ot_network_open(ot_network **out, const char *path);
ot_status ot_network_read(ot_network **out, const void *bytes, size_t n_bytes, const char *dir);
void      ot_network_free(ot_network *net);

/* Write an ONNX file, opset 13, batch size dynamic, metadata_props `ohmtrim.*`; whole or not at all.  `gain` and
 * `offset` (L each, or NULL) write each T-ReLU whose knobs are not 1, 0 as Sub, Mul, Relu (paper 000 IV.A), which every
 * runtime reads.  Spiking layers become nodes ohmtrim::IF with their thresholds times `gain`, which other runtimes refuse. */
ot_status ot_network_save(const ot_network *net, const char *path, const float *gain, const float *offset);

/* Build one.  ot_network_new makes the input layer; ot_network_add checks `desc`, fills the output shape and numbers, copies the
 * arrays and gives the new layer's index.  (CONV: c = out channels is read from desc->c; DENSE likewise; PAD, SLICE and
 * RESHAPE: c, h, w wanted.)  Weight pointers may be NULL: then they are zero and `ot_network_weights` fills them. */
ot_status ot_network_new(ot_network **out, const char *name, int c, int h, int w);
ot_status ot_network_add(ot_network *net, const ot_layer *desc, int *index);
/* A deep copy. */
ot_status ot_network_copy(ot_network **out, const ot_network *net);

int             ot_network_layers(const ot_network *net);
const ot_layer *ot_network_layer(const ot_network *net, int index);
int             ot_network_crossbars(const ot_network *net);            /* number of crossbar layers */
const ot_layer *ot_network_crossbar(const ot_network *net, int number);
int             ot_network_relus(const ot_network *net);                /* number of ReLU layers: L; 0 in a spiking network */
const ot_layer *ot_network_relu(const ot_network *net, int number);
int             ot_network_spikes(const ot_network *net);               /* number of spiking layers: L of a spiking network, else 0 */
const ot_layer *ot_network_spike(const ot_network *net, int number);
/* Quantises a ReLU layer's output: codes 1..255 and step > 0, or codes 0 for no more.  OT_E_RANGE: no such layer, codes or step.  Plans that
 * are open do not see it. */
ot_status       ot_network_quantise_relu(ot_network *net, int number, int codes, double step);
int             ot_network_is_quantised(const ot_network *net);         /* whether a ReLU layer's output is */
int             ot_network_knobs(const ot_network *net);                /* layers with knobs, of either kind: L */
int             ot_network_once(const ot_network *net);                 /* its layers fire once (all of them, or none: ot_network_check_spiking) */
int             ot_network_classes(const ot_network *net);              /* elements of the last layer */
const char     *ot_network_name(const ot_network *net);
size_t          ot_layer_weights(const ot_layer *layer);                /* elements of `weight`; 0 if not a crossbar */
int             ot_layer_fan_in(const ot_network *net, const ot_layer *layer);  /* in/groups * kh * kw */
float          *ot_network_weights(ot_network *net, int layer);         /* the writable weights of a crossbar layer */
double          ot_network_macs(const ot_network *net, int layer);      /* multiply-accumulates an image */

/* Metadata (metadata_props ohmtrim.*): pixels enter as (u8 / 255 - mean[c]) / std[c]; mean 0, std 1 if the file has none. */
void        ot_network_normalisation(const ot_network *net, const float **mean, const float **std);   /* (c) each */
ot_status   ot_network_set_normalisation(ot_network *net, const float *mean, const float *std);
int         ot_network_bits(const ot_network *net);                     /* weight bits asked for, 0 if not said */
ot_status   ot_network_set_bits(ot_network *net, int bits);
const char *ot_network_class_name(const ot_network *net, int k);        /* NULL if not said */
ot_status   ot_network_set_class_names(ot_network *net, const char *comma_separated);

/* Time steps and input coding (metadata ohmtrim.steps, ohmtrim.coding, ohmtrim.spike_seed).  OT_E_RANGE: steps outside 1..OT_MAX_STEPS. */
const ot_spiking *ot_network_spiking(const ot_network *net);            /* steps 0 where it was not said, or does not spike */
ot_status         ot_network_set_spiking(ot_network *net, const ot_spiking *spiking);
/* All spiking layers' leak, reset and u_rst (0 unless fixed) at once.  OT_E_DATA as ot_network_add. */
ot_status         ot_network_set_neurons(ot_network *net, float leak, ot_reset reset, float u_rst);
/* Whether it can run: always for a network without spiking layers.  OT_E_UNSUPPORTED: the last layer is not a spiking one (a reshape
 * may follow it), or an addition joins a still picture and spikes; OT_E_RANGE: it was not said how many time steps. */
ot_status         ot_network_check_spiking(const ot_network *net);

/* All trainable numbers as one flat vector, layer after layer: weight, bias, gamma, beta; and the running statistics of batch
 * norm likewise: mean, var.  Training works on these. */
size_t ot_network_parameters(const ot_network *net);
void   ot_network_get_parameters(const ot_network *net, float *flat);
void   ot_network_set_parameters(ot_network *net, const float *flat);
size_t ot_network_statistics(const ot_network *net);
void   ot_network_get_statistics(const ot_network *net, float *flat);
void   ot_network_set_statistics(ot_network *net, const float *flat);

/* Things a user should know (biases without batch norm: the exporter folded it; an all-zero layer; no knobs): sentence i, NULL
 * past the last. */
const char *ot_network_warning(const ot_network *net, int i);

#ifdef __cplusplus
}
#endif
#endif

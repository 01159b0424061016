/* model.h - how a built-in network is written down: a chain of calls on one `ot_model`, each adding a layer after the last one.
 *
 * The first failure is kept in `st` and every later call does nothing, so that a network reads as a list of layers; ot_model_build
 * looks at `st` once at the end.  Channel counts are written as those of the full network: the calls below multiply them by `width`
 * (`mobilenet@0.25`), so a builder says nothing about it.  Weights are He normal (sd = sqrt(2 / fan_in)), biases and beta 0, gamma 1: weight i of crossbar
 * layer k is a function of (seed, k, i) alone, so a seed gives the same network on any machine. */
#ifndef OT_MODELS_MODEL_H
#define OT_MODELS_MODEL_H

#include "ohmtrim/train.h"

typedef struct ot_model {
    ot_network *net;
    uint64_t seed;
    int at; /* index of the layer added last: what the next one reads */
    int classes;
    double width; /* 1 or 0: as published */
    ot_status st;
} ot_model;

/* `out` channels times m->width: the nearest whole number, halves up, at least 1.  What every call below makes of its `out`. */
int ot__model_wide(const ot_model *m, int out);
/* `name` is the layer's own; a pad of kernel / 2 keeps sizes, stride divides them.  groups: 1, or `out` (depthwise). */
void ot__model_conv(ot_model *m, const char *name, int out, int kernel, int stride, int pad, int groups, int with_bias);
void ot__model_norm(ot_model *m, const char *name);
void ot__model_relu(ot_model *m, const char *name);
/* Integrate and fire with threshold 1, no leak, reset by subtraction. */
void ot__model_spike(ot_model *m, const char *name);
void ot__model_average_pool(ot_model *m, const char *name, int kernel);
void ot__model_max_pool(ot_model *m, const char *name, int kernel);
void ot__model_global_average(ot_model *m, const char *name);
void ot__model_flatten(ot_model *m, const char *name);
void ot__model_dense(ot_model *m, const char *name, int out);
/* The last dense layer: one output a class, whatever the width. */
void ot__model_classes(ot_model *m, const char *name);
/* Adds the output of layer `other` to that of the last one. */
void ot__model_add(ot_model *m, const char *name, int other);
/* Every second row and column of layer `from`, with channels of zeros around up to `out` (ResNet's option A). */
void ot__model_halve(ot_model *m, const char *slice_name, const char *pad_name, int from, int out);
/* conv, norm, relu: NAME.conv, NAME.norm, NAME.relu */
void ot__model_conv_norm_relu(ot_model *m, const char *name, int out, int kernel, int stride, int groups);
/* conv, norm, spike */
void ot__model_conv_norm_spike(ot_model *m, const char *name, int out, int stride);
/* Time steps, direct coding, 6 bits a weight: a spiking network's last call. */
void ot__model_spiking(ot_model *m, int steps);
/* Output shape of the last layer. */
const ot_layer *ot__model_last(const ot_model *m);

void ot__build_lenet5(ot_model *m);
void ot__build_vgg_s(ot_model *m);
void ot__build_resnet8(ot_model *m);
void ot__build_resnet20(ot_model *m);
void ot__build_resnet18(ot_model *m);
void ot__build_mobilenet_s(ot_model *m);
void ot__build_mobilenet(ot_model *m);
void ot__build_vgg11(ot_model *m);
void ot__build_vgg16(ot_model *m);
void ot__build_vgg16_3(ot_model *m);
void ot__build_vgg16_3_512(ot_model *m);
void ot__build_snn_vgg9(ot_model *m);
void ot__build_snn_vgg9_max(ot_model *m);
void ot__build_snn_s(ot_model *m);
void ot__build_snn_xs(ot_model *m);

#endif

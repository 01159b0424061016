/* snn_s.c - small spiking networks for 28 x 28 and 32 x 32 images.
 *
 *     snn-s   five 3x3 convolutions (out/stride) 32/2 32/1 64/2 64/1 128/2, six time steps
 *     snn-xs  three, 16/2 32/2 64/2, eight: for trying things
 *
 * Each convolution: batch norm - integrate and fire; then a dense layer that fires too.  Pooling is done by strides, so every crossbar but
 * the first sees spikes alone. */
#include "model.h"

#include <stdio.h>

typedef struct conv { int out, stride; } conv;

static void build(ot_model *m, const conv *layers, int n, int steps)
{
    char name[32];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "layer%d", i + 1);
        ot__model_conv_norm_spike(m, name, layers[i].out, layers[i].stride);
    }
    ot__model_flatten(m, "flatten");
    snprintf(name, sizeof name, "layer%d.dense", n + 1);
    ot__model_classes(m, name);
    snprintf(name, sizeof name, "layer%d.spike", n + 1);
    ot__model_spike(m, name);
    ot__model_spiking(m, steps);
}

void ot__build_snn_s(ot_model *m)
{
    static const conv layers[] = {{32, 2}, {32, 1}, {64, 2}, {64, 1}, {128, 2}};
    build(m, layers, (int)(sizeof layers / sizeof *layers), 6);
}

void ot__build_snn_xs(ot_model *m)
{
    static const conv layers[] = {{16, 2}, {32, 2}, {64, 2}};
    build(m, layers, (int)(sizeof layers / sizeof *layers), 8);
}

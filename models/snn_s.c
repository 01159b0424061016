/* snn_s.c - a small spiking network for 28 x 28 and 32 x 32 images.
 *
 *     five 3x3 convolutions (out/stride) 32/2 32/1 64/2 64/1 128/2: batch norm - integrate and fire; dense - integrate and fire
 *
 * Pooling is done by strides, so every crossbar but the first sees spikes alone.  Six thresholds, six time steps. */
#include "model.h"

#include <stdio.h>

void ot__build_snn_s(ot_model *m)
{
    static const struct {
        int out, stride;
    } layers[] = {{32, 2}, {32, 1}, {64, 2}, {64, 1}, {128, 2}};
    char name[32];
    for (int i = 0; i < (int)(sizeof layers / sizeof *layers); i++) {
        snprintf(name, sizeof name, "layer%d", i + 1);
        ot__model_conv_norm_spike(m, name, layers[i].out, layers[i].stride);
    }
    ot__model_flatten(m, "flatten");
    ot__model_dense(m, "layer6.dense", m->classes);
    ot__model_spike(m, "layer6.spike");
    ot__model_spiking(m, 6);
}

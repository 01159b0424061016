/* snn_vgg9.c - the spiking VGG-9 of paper 002, for 32 x 32 images; the layers are BNTT's (Kim and Panda 2021).
 *
 *     64 64 pool 128 128 pool 256 256 256 pool - dense 1024 - dense
 *
 * Every convolution: 3x3, batch norm (over time too: tdBN), integrate and fire; dense layers carry digital biases.  The last dense layer
 * fires as well, so that there are nine thresholds, one a layer.  For three channels and ten classes 5,938,880 crossbar weights and 194.7
 * million multiply-accumulates an image and step.  Averages of spikes have five levels; with max-pooling spikes stay spikes. */
#include "model.h"

#include <stdio.h>

static void build(ot_model *m, int max)
{
    static const int channels[] = {64, 64, 0, 128, 128, 0, 256, 256, 256, 0};
    char a[32];
    for (int i = 0, number = 1, pool = 1; i < (int)(sizeof channels / sizeof *channels); i++) {
        if (channels[i]) {
            snprintf(a, sizeof a, "layer%d", number++);
            ot__model_conv_norm_spike(m, a, channels[i], 1);
            continue;
        }
        snprintf(a, sizeof a, "pool%d", pool++);
        if (max) ot__model_max_pool(m, a, 2);
        else ot__model_average_pool(m, a, 2);
    }
    ot__model_flatten(m, "flatten");
    ot__model_dense(m, "layer8.dense", 1024);
    ot__model_spike(m, "layer8.spike");
    ot__model_classes(m, "layer9.dense");
    ot__model_spike(m, "layer9.spike");
    ot__model_spiking(m, 25);
}

void ot__build_snn_vgg9(ot_model *m) { build(m, 0); }
void ot__build_snn_vgg9_max(ot_model *m) { build(m, 1); }

/* mobilenet.c - MobileNet v1 (Howard et al. 2017) for small images: depthwise-separable blocks, a global average, a dense layer.
 *
 *     block (out/stride): depthwise 3x3 - norm - ReLU - pointwise 1x1 - norm - ReLU
 *
 * mobilenet, the network of paper 000's Table II, for 32 x 32 images: stem conv 3x3 32; 64/1 128/2 128/1 256/2 256/1 512/2 512/1 five times 1024/2
 * 1024/1.  3,195,328 crossbar weights, 27 ReLU layers, 46.4 M multiply-accumulates for three channels and ten classes.
 *
 * mobilenet-s, that of the demo, for 28 x 28 and 32 x 32 images: stem conv 3x3 8, stride 2; 16/1 32/2 32/1 64/2 64/1 128/2 128/1.  For one channel and
 * ten classes it has 38,474 trained parameters; with the 30 knobs of its 15 ReLU layers, 38,504.  A weight of a depthwise layer meets only nine
 * inputs, too few for cell-to-cell variation to average out: the network that needs tuning most. */
#include "model.h"

#include <stdio.h>

typedef struct block { int out, stride; } block;

/* A stem of `c` channels, then the blocks up to one of no channels. */
static void build(ot_model *m, int c, int stride, const block *b)
{
    char name[32];
    ot__model_conv_norm_relu(m, "stem", c, 3, stride, 1);
    for (int i = 1; b->out; c = b++->out, i++) {
        snprintf(name, sizeof name, "block%d.depthwise", i);
        ot__model_conv_norm_relu(m, name, c, 3, b->stride, c);
        snprintf(name, sizeof name, "block%d.pointwise", i);
        ot__model_conv_norm_relu(m, name, b->out, 1, 1, 1);
    }
    ot__model_global_average(m, "average");
    ot__model_flatten(m, "flatten");
    ot__model_classes(m, "dense");
}

void ot__build_mobilenet(ot_model *m)
{
    static const block blocks[] = {{64, 1}, {128, 2}, {128, 1}, {256, 2}, {256, 1}, {512, 2}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}, {0, 0}};
    build(m, 32, 1, blocks);
}

void ot__build_mobilenet_s(ot_model *m)
{
    static const block blocks[] = {{16, 1}, {32, 2}, {32, 1}, {64, 2}, {64, 1}, {128, 2}, {128, 1}, {0, 0}};
    build(m, 8, 2, blocks);
}

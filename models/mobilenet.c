/* mobilenet.c - MobileNet v1 (Howard et al. 2017) for 32 x 32 images, the network of paper 000's Table II.
 *
 *     stem: conv 3x3 32 - norm - ReLU
 *     13 blocks (out/stride) 64/1 128/2 128/1 256/2 256/1 512/2 512/1 five times 1024/2 1024/1:
 *         depthwise 3x3 - norm - ReLU - pointwise 1x1 - norm - ReLU
 *     global average - dense
 *
 * 3,195,328 crossbar weights, 27 ReLU layers, 46.4 M multiply-accumulates for three channels and ten classes. */
#include "model.h"

#include <stdio.h>

void ot__build_mobilenet(ot_model *m)
{
    static const struct {
        int out, stride;
    } blocks[] = {{64, 1}, {128, 2}, {128, 1}, {256, 2}, {256, 1}, {512, 2}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
    char name[32];
    ot__model_conv_norm_relu(m, "stem", 32, 3, 1, 1);
    for (int i = 0, c = 32; i < (int)(sizeof blocks / sizeof *blocks); c = blocks[i++].out) {
        snprintf(name, sizeof name, "block%d.depthwise", i + 1);
        ot__model_conv_norm_relu(m, name, c, 3, blocks[i].stride, c);
        snprintf(name, sizeof name, "block%d.pointwise", i + 1);
        ot__model_conv_norm_relu(m, name, blocks[i].out, 1, 1, 1);
    }
    ot__model_global_average(m, "average");
    ot__model_flatten(m, "flatten");
    ot__model_classes(m, "dense");
}

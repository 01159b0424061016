/* mobilenet_s.c - the small MobileNet of the demo, for 28 x 28 and 32 x 32 images.
 *
 *     stem: conv 3x3 8, stride 2 - norm - ReLU
 *     seven blocks (out/stride) 16/1 32/2 32/1 64/2 64/1 128/2 128/1: depthwise 3x3 - norm - ReLU - pointwise 1x1 - norm - ReLU
 *     global average - dense
 *
 * For one channel and ten classes it has 38,474 trained parameters; with the 30 knobs of its 15 ReLU layers, 38,504.  A weight of a
 * depthwise layer meets only nine inputs, too few for cell-to-cell variation to average out: the network that needs tuning most. */
#include "model.h"

#include <stdio.h>

void ot__build_mobilenet_s(ot_model *m)
{
    static const struct {
        int out, stride;
    } blocks[] = {{16, 1}, {32, 2}, {32, 1}, {64, 2}, {64, 1}, {128, 2}, {128, 1}};
    char name[32];
    ot__model_conv_norm_relu(m, "stem", 8, 3, 2, 1);
    for (int i = 0, c = 8; i < (int)(sizeof blocks / sizeof *blocks); c = blocks[i++].out) {
        snprintf(name, sizeof name, "block%d.depthwise", i + 1);
        ot__model_conv_norm_relu(m, name, c, 3, blocks[i].stride, c);
        snprintf(name, sizeof name, "block%d.pointwise", i + 1);
        ot__model_conv_norm_relu(m, name, blocks[i].out, 1, 1, 1);
    }
    ot__model_global_average(m, "average");
    ot__model_flatten(m, "flatten");
    ot__model_classes(m, "dense");
}

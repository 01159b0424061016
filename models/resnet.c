/* resnet.c - the CIFAR ResNets of He et al. (2015): 6 n + 2 layers, n = 1 (ResNet-8) or 3 (ResNet-20).
 *
 *     conv 16 - n blocks of 16 - n blocks of 32, the first with stride 2 - n blocks of 64, likewise - global average - dense
 *     block: conv - norm - ReLU - conv - norm - (+ shortcut) - ReLU
 *
 * Shortcuts across a change of size have no weights (option A): every second pixel (Slice), channels of zeros before and after
 * (Pad).  The second ReLU of a block stands after the addition.  ResNet-20 has 269,722 parameters, ResNet-8 75,290, for 3 channels and
 * ten classes. */
#include "model.h"

#include <stdio.h>

static void block(ot_model *m, int number, int out, int stride)
{
    char a[32], b[32];
    int in = m->at;
    snprintf(a, sizeof a, "block%d.1", number);
    ot__model_conv_norm_relu(m, a, out, 3, stride, 1);
    snprintf(a, sizeof a, "block%d.2.conv", number);
    ot__model_conv(m, a, out, 3, 1, 1, 1, 0);
    snprintf(a, sizeof a, "block%d.2.norm", number);
    ot__model_norm(m, a);
    int main_path = m->at;
    if (stride == 2) {
        snprintf(a, sizeof a, "block%d.slice", number);
        snprintf(b, sizeof b, "block%d.pad", number);
        ot__model_halve(m, a, b, in, out);
        in = m->at;
        m->at = main_path;
    }
    snprintf(a, sizeof a, "block%d.add", number);
    ot__model_add(m, a, in);
    snprintf(a, sizeof a, "block%d.2.relu", number);
    ot__model_relu(m, a);
}

static void build(ot_model *m, int n)
{
    ot__model_conv_norm_relu(m, "stem", 16, 3, 1, 1);
    for (int stage = 0, number = 1; stage < 3; stage++)
        for (int i = 0; i < n; i++) block(m, number++, 16 << stage, stage > 0 && i == 0 ? 2 : 1);
    ot__model_global_average(m, "average");
    ot__model_flatten(m, "flatten");
    ot__model_dense(m, "dense", m->classes);
}

void ot__build_resnet8(ot_model *m) { build(m, 1); }
void ot__build_resnet20(ot_model *m) { build(m, 3); }

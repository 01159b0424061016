/* resnet.c - residual networks (He et al. 2015) for 32 x 32 images.
 *
 *     resnet8, resnet20   conv 16 - stages of 16, 32, 64 channels with n = 1 or 3 blocks each: 6 n + 2 layers
 *     resnet18            conv 64 - stages of 64, 128, 256, 512 channels with 2 blocks each
 *
 * then global average - dense; the first block of each stage but the first has stride 2.
 *
 *     block: conv - norm - ReLU - conv - norm - (+ shortcut) - ReLU
 *
 * The second ReLU of a block stands after the addition.  Shortcuts across a change of size: resnet8 and resnet20 take every second pixel
 * (Slice) and add channels of zeros before and after (Pad): no weights (option A).  resnet18 has a 1x1 convolution of stride 2 and a
 * batch norm there.  For 3 channels ResNet-20 has 269,722 parameters and ResNet-8 75,290 (ten classes), ResNet-18 11,220,132 (hundred;
 * 11,210,432 of them crossbar weights in 21 layers), 17 ReLU layers, 555 M multiply-accumulates. */
#include "model.h"

#include <stdio.h>

typedef struct shape {
    int channels, stages, blocks; /* of the first stage; how many; in each */
    int projects;                 /* shortcuts with a convolution of their own */
} shape;

/* What is added to the main path where the size changes; m->at is it afterwards. */
static void shortcut(ot_model *m, const shape *s, int number, int from, int out)
{
    char a[32], b[32];
    if (s->projects) {
        m->at = from;
        snprintf(a, sizeof a, "block%d.shortcut.conv", number);
        ot__model_conv(m, a, out, 1, 2, 0, 1, 0);
        snprintf(a, sizeof a, "block%d.shortcut.norm", number);
        ot__model_norm(m, a);
        return;
    }
    snprintf(a, sizeof a, "block%d.slice", number);
    snprintf(b, sizeof b, "block%d.pad", number);
    ot__model_halve(m, a, b, from, out);
}

static void block(ot_model *m, const shape *s, int number, int out, int stride)
{
    char a[32];
    int in = m->at;
    snprintf(a, sizeof a, "block%d.1", number);
    ot__model_conv_norm_relu(m, a, out, 3, stride, 1);
    snprintf(a, sizeof a, "block%d.2.conv", number);
    ot__model_conv(m, a, out, 3, 1, 1, 1, 0);
    snprintf(a, sizeof a, "block%d.2.norm", number);
    ot__model_norm(m, a);
    int main_path = m->at;
    if (stride == 2) {
        shortcut(m, s, number, in, out);
        in = m->at;
        m->at = main_path;
    }
    snprintf(a, sizeof a, "block%d.add", number);
    ot__model_add(m, a, in);
    snprintf(a, sizeof a, "block%d.2.relu", number);
    ot__model_relu(m, a);
}

static void build(ot_model *m, const shape *s)
{
    ot__model_conv_norm_relu(m, "stem", s->channels, 3, 1, 1);
    for (int stage = 0, number = 1; stage < s->stages; stage++)
        for (int i = 0; i < s->blocks; i++) block(m, s, number++, s->channels << stage, stage > 0 && i == 0 ? 2 : 1);
    ot__model_global_average(m, "average");
    ot__model_flatten(m, "flatten");
    ot__model_classes(m, "dense");
}

void ot__build_resnet8(ot_model *m) { build(m, &(shape){16, 3, 1, 0}); }
void ot__build_resnet20(ot_model *m) { build(m, &(shape){16, 3, 3, 0}); }
void ot__build_resnet18(ot_model *m) { build(m, &(shape){64, 4, 2, 1}); }

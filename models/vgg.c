/* vgg.c - VGG (Simonyan and Zisserman 2015) with batch norm for 32 x 32 images.
 *
 *     vgg11        64 pool 128 pool 256 256 pool 512 512 pool 512 512 pool - dense                          8+1
 *     vgg16        64 64 pool 128 128 pool 256 256 256 pool 512 512 512 pool 512 512 512 pool - dense      13+1
 *     vgg16-3      the same convolutions - dense 4096 - ReLU - dense 4096 - ReLU - dense                   13+3
 *     vgg16-3-512  the same with 512 in place of 4096
 *
 * Every number is a 3x3 convolution with a bias, batch norm, ReLU.  For three channels:
 *
 *                   classes  crossbar weights  ReLU layers  multiply-accumulates
 *     vgg11              10         9,222,848            8           152,769,536
 *     vgg16              10        14,715,584           13           313,201,664
 *     vgg16-3           100        33,994,432           15           332,480,512
 *     vgg16-3-512       100        15,285,952           15           313,772,032
 *
 * The papers train the two large dense layers with dropout.  There is none here: a chip runs without it, and training here has no such
 * layer, so vgg16-3 overfits earlier than theirs. */
#include "model.h"

#include <stdio.h>

/* One entry a convolution; 0 is a pool, the last one -1. */
static void convolutions(ot_model *m, const int *channels)
{
    char a[32];
    for (int number = 1, pool = 1; *channels >= 0; channels++) {
        if (!*channels) {
            snprintf(a, sizeof a, "pool%d", pool++);
            ot__model_max_pool(m, a, 2);
            continue;
        }
        snprintf(a, sizeof a, "conv%d", number);
        ot__model_conv(m, a, *channels, 3, 1, 1, 1, 1);
        snprintf(a, sizeof a, "norm%d", number);
        ot__model_norm(m, a);
        snprintf(a, sizeof a, "relu%d", number++);
        ot__model_relu(m, a);
    }
    ot__model_flatten(m, "flatten");
}

static void thirteen(ot_model *m)
{
    static const int channels[] = {64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0, -1};
    convolutions(m, channels);
}

static void three_dense(ot_model *m, int hidden)
{
    thirteen(m);
    ot__model_dense(m, "dense1", hidden);
    ot__model_relu(m, "relu14");
    ot__model_dense(m, "dense2", hidden);
    ot__model_relu(m, "relu15");
    ot__model_classes(m, "dense3");
}

void ot__build_vgg11(ot_model *m)
{
    static const int channels[] = {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0, -1};
    convolutions(m, channels);
    ot__model_classes(m, "dense");
}

void ot__build_vgg16(ot_model *m)
{
    thirteen(m);
    ot__model_classes(m, "dense");
}

void ot__build_vgg16_3(ot_model *m) { three_dense(m, 4096); }
void ot__build_vgg16_3_512(ot_model *m) { three_dense(m, 512); }

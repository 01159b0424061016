/* vgg16.c - VGG-16 (Simonyan and Zisserman 2015) with batch norm for 32 x 32 images, one dense layer: 13+1.
 *
 *     64 64 pool 128 128 pool 256 256 256 pool 512 512 512 pool 512 512 512 pool - dense
 *
 * 14,715,584 crossbar weights, 13 ReLU layers, 313 M multiply-accumulates for three channels and ten classes. */
#include "model.h"

#include <stdio.h>

void ot__build_vgg16(ot_model *m)
{
    static const int channels[] = {64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0};
    char a[32];
    for (int i = 0, number = 1, pool = 1; i < (int)(sizeof channels / sizeof *channels); i++) {
        if (!channels[i]) {
            snprintf(a, sizeof a, "pool%d", pool++);
            ot__model_max_pool(m, a, 2);
            continue;
        }
        snprintf(a, sizeof a, "conv%d", number);
        ot__model_conv(m, a, channels[i], 3, 1, 1, 1, 1);
        snprintf(a, sizeof a, "norm%d", number);
        ot__model_norm(m, a);
        snprintf(a, sizeof a, "relu%d", number++);
        ot__model_relu(m, a);
    }
    ot__model_flatten(m, "flatten");
    ot__model_dense(m, "dense", m->classes);
}

/* vgg_s.c - a small VGG for 32 x 32 images: plain 3x3 convolutions with batch norm, halved by max-pools.
 *
 *     conv 32 - pool - conv 64 - pool - conv 128 - conv 128 - pool - global average - dense
 *
 * Of its 19.8 M multiply-accumulates only 0.9 M are spent on full-size images, and half in the last convolution: it learns much in a short
 * training on a CPU.  242,474 parameters for 3 channels and ten classes. */
#include "model.h"

void ot__build_vgg_s(ot_model *m)
{
    ot__model_conv_norm_relu(m, "stage1", 32, 3, 1, 1);
    ot__model_max_pool(m, "pool1", 2);
    ot__model_conv_norm_relu(m, "stage2", 64, 3, 1, 1);
    ot__model_max_pool(m, "pool2", 2);
    ot__model_conv_norm_relu(m, "stage3.1", 128, 3, 1, 1);
    ot__model_conv_norm_relu(m, "stage3.2", 128, 3, 1, 1);
    ot__model_max_pool(m, "pool3", 2);
    ot__model_global_average(m, "average");
    ot__model_flatten(m, "flatten");
    ot__model_classes(m, "dense");
}

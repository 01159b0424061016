/* lenet5.c - LeNet-5 as it is used today: ReLU and max-pooling in place of tanh and sub-sampling.
 *
 *     conv 5x5 6 - pool 2 - conv 5x5 16 - pool 2 - dense 120 - dense 84 - dense classes
 *
 * Images smaller than 32 are padded by 2 in the first convolution, so that 28 x 28 gives the 400 inputs of the first dense layer:
 * 61,706 parameters for 28 x 28 x 1 and ten classes.  No batch norm: the one network here whose biases are its own. */
#include "model.h"

void ot__build_lenet5(ot_model *m)
{
    int pad = m->st == OT_OK && ot__model_last(m)->h < 32 ? 2 : 0; /* the last layer so far is the image */
    ot__model_conv(m, "conv1", 6, 5, 1, pad, 1, 1);
    ot__model_relu(m, "relu1");
    ot__model_max_pool(m, "pool1", 2);
    ot__model_conv(m, "conv2", 16, 5, 1, 0, 1, 1);
    ot__model_relu(m, "relu2");
    ot__model_max_pool(m, "pool2", 2);
    ot__model_flatten(m, "flatten");
    ot__model_dense(m, "dense1", 120);
    ot__model_relu(m, "relu3");
    ot__model_dense(m, "dense2", 84);
    ot__model_relu(m, "relu4");
    ot__model_classes(m, "dense3");
}

/* augment.h - random crops and flips of training images. */
#ifndef OT_TRAIN_AUGMENT_H
#define OT_TRAIN_AUGMENT_H

#include "ohmtrim/train.h"

/* Where the window of a crop lies in the padded image (0..2 pad each) and whether it is mirrored. */
typedef struct ot__crop {
    int dy, dx, flip;
} ot__crop;

/* The choice for image `image` of the training set in `epoch`. */
ot__crop ot__augment_choose(const ot_train_options *opt, uint32_t image, uint32_t epoch);
/* out, in: (c, h, w); the image padded by `pad` with black[channel], cut at (dy, dx), then mirrored left to right if asked. */
void ot__augment_apply(float *restrict out, const float *restrict in, int c, int h, int w, int pad, ot__crop crop,
                       const float *black);

#endif

/* crop.h - where a pixel of an augmented image comes from, and a choice of it in one word: the host's lists and the kernels agree here.
 *
 * An image is padded by `pad` black pixels on each side; a window of its own size begins `dy` rows and `dx` columns into that, and may be
 * mirrored. */
#ifndef OT_KERNELS_CROP_H
#define OT_KERNELS_CROP_H

#include <stdint.h>

#include "kernels/hd.h"

#define OT_CROP_PAD_MOST 2047 /* dy and dx, 0..2 pad, take 12 bits each */

OT_HD uint32_t ot_crop_word(int dy, int dx, int flip) { return (uint32_t)dy | (uint32_t)dx << 12 | (uint32_t)(flip != 0) << 24; }

/* Pixel (y, x) of the augmented image is (*from_y, *from_x) of the image, or black: 0. */
OT_HD int ot_crop_from(uint32_t crop, int pad, int h, int w, int y, int x, int *from_y, int *from_x)
{
    *from_y = y + (int)(crop & 4095) - pad;
    *from_x = (crop >> 24 & 1 ? w - 1 - x : x) + (int)(crop >> 12 & 4095) - pad;
    return *from_y >= 0 && *from_y < h && *from_x >= 0 && *from_x < w;
}

#endif

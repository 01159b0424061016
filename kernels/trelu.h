/* trelu.h - the tunable ReLU, u = min(clip, max(0, (x - b) a)), forward and backward (DESIGN 4.3, 4.7).
 *
 * Backward needs the stored output u alone, never x, because the gain is held at or above OT_GAIN_MIN > 0.  With g = dL/du and
 * m = [0 < u < clip] the mask of elements that neither end holds,
 *
 *     dL/dx = a g m        dL/da = (1/a) sum g m u        dL/db = -a sum g m
 *
 * so a caller sums ot_trelu_mask(g, u, clip) times u and times 1 in an order of its own choosing and scales once at the end.
 * The comparisons are turned so that NaN comes out as NaN: a max() would hide it. */
#ifndef OT_KERNELS_TRELU_H
#define OT_KERNELS_TRELU_H

#include "kernels/hd.h"

#define OT_GAIN_MIN 0.015625f      /* 1/64: where tuning holds a gain */

OT_HD float ot_trelu(float x, float gain, float offset, float clip)
{
    float v = (x - offset) * gain;
    v = v <= 0.0f ? 0.0f : v;
    return v >= clip ? clip : v;
}

/* g where the output follows the input, 0 where it is held at 0 or at the clip (at a kink: 0, as PyTorch). */
OT_HD float ot_trelu_mask(float g, float u, float clip)
{
    return u <= 0.0f || u >= clip ? 0.0f : g;
}

#endif

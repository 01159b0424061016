/* quantise.h - the quantiser behind a T-ReLU: y = min(codes, rint(u / step)) step, half to even.
 *
 * u is never negative.  Backward it counts as the identity up to an edge of the estimator's choosing: with u as it was before rounding,
 * what T-ReLU's backward (trelu.h) does with `clip`, this does with the lower of clip and edge.  The edge itself is inside. */
#ifndef OT_KERNELS_QUANTISE_H
#define OT_KERNELS_QUANTISE_H

#include "kernels/hd.h"

/* codes at most 255.  Adding and taking away 3 * 2^22 rounds to whole numbers; comparisons so that NaN stays NaN. */
OT_HD float ot_quantise(float u, float codes, float step)
{
    float q = u / step;
    q = q >= codes ? codes : q;
    return ((q + 12582912.0f) - 12582912.0f) * step;
}

#endif

/* moments.c - two menders that look nothing up: knobs by ridge regression on the signature, and knobs by matching moments.
 *
 * Matching: what variation does to a layer is, for the most part, to scale and shift its input as a whole.  A chip that counts mean and
 * spread of each T-ReLU's input while it runs the stimulus can be mended from 2 L stored numbers of the ideal network.  The layers are
 * all measured in one pass with knobs 1, 0, so a layer behind a bad one is judged by its unmended input; the campaign's closed form,
 * which mends layer by layer, does not have that weakness. */
#include "floor/sums.h"
#include "ohmtrim/floor.h"

#include <math.h>

static const double LEAST_GAIN = 0.015625;

int ot_ridge_knobs_value(const ot_ridge_knobs *m, const double *x, float *gain, float *offset)
{
    int held = 0;
    for (int i = 0; i < 2 * m->l; i++) {
        double v = m->intercept[i] + ot__dot(m->coef + (int64_t)i * m->p, x, m->p);
        if (i < m->l && v < LEAST_GAIN) v = LEAST_GAIN, held++;
        *(i < m->l ? gain + i : offset + i - m->l) = (float)v;
    }
    return held;
}

/* A threshold follows the spread of its layer's currents, a gain makes it good. */
static int threshold(const ot_moments *m, int i, const float *signature, float *gain, float *offset)
{
    const double sd = (double)signature[m->sd_at[i]], ratio = m->knobs == OT_KNOBS_GAIN ? m->sd[i] / sd : sd / m->sd[i];
    const double a = sd > 0 && m->sd[i] > 0 && isfinite((float)ratio) ? ratio : 1;
    gain[i] = (float)(a < LEAST_GAIN ? LEAST_GAIN : a), offset[i] = 0;
    return a < LEAST_GAIN;
}

int ot_moments_knobs(const ot_moments *m, const float *signature, float *gain, float *offset)
{
    int held = 0;
    for (int i = 0; i < m->l; i++) {
        if (m->knobs != OT_KNOBS_GAIN_OFFSET) {
            held += threshold(m, i, signature, gain, offset);
            continue;
        }
        double mean = (double)signature[m->mean_at[i]], sd = (double)signature[m->sd_at[i]], a = 1, b = 0;
        if (sd > 0 && m->sd[i] > 0 && isfinite((float)(m->sd[i] / sd))) {
            int low = m->sd[i] / sd < LEAST_GAIN;
            a = low ? LEAST_GAIN : m->sd[i] / sd;
            b = mean - m->mean[i] / a;
            if (isfinite((float)b)) held += low;
            else a = 1, b = 0;
        }
        gain[i] = (float)a, offset[i] = (float)b;
    }
    return held;
}

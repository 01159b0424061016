/* ladder.c - thresholds that a chip can set: the levels of a resistor ladder (paper 002, III: Th = Vref (1 + alpha R1 / R), alpha 1..32).
 *
 * Levels are told as multiples of the designed threshold: Vref and R1 / R are chosen so that the lowest lies at `low`, the highest at `high`. */
#include "ohmtrim/floor.h"

#include <math.h>

static int levels(const ot_ladder *l) { return 1 << l->bits; }
static double step(const ot_ladder *l) { return (l->high - l->low) / (levels(l) - 1); }

int ot_ladder_fits(const ot_ladder *l) { return l->bits == 0 || (l->bits >= 1 && l->bits <= 16 && l->low >= 0.015625 && l->high > l->low && l->high <= 64); }

int ot_ladder_code(const ot_ladder *l, float gain, int *clamped)
{
    const double at = rint(((double)gain - l->low) / step(l));
    if (at >= 0 && at < levels(l)) return 1 + (int)at;
    ++*clamped;
    return at > 0 ? levels(l) : 1;
}

float ot_ladder_value(const ot_ladder *l, int alpha) { return (float)(l->low + (alpha - 1) * step(l)); }

int ot_ladder_round(const ot_ladder *l, float *gain, int n)
{
    int clamped = 0;
    for (int i = 0; i < n && l->bits; i++) gain[i] = ot_ladder_value(l, ot_ladder_code(l, gain[i], &clamped));
    return clamped;
}

/* normal.h - standard normals from random words, the same bits on every machine.
 *
 * Box-Muller: words x, y give uniforms u = (x + 0.5) 2^-32 and v = (y + 0.5) 2^-32, and
 *
 *     r = sqrt(-2 ln u)        z0 = r cos(2 pi v)        z1 = r sin(2 pi v)
 *
 * No logf, sinf or cosf: libraries differ in the last bit.  The polynomials below are least-maximum fits over their intervals,
 * rounded to float: -2 ln u to 1e-7 relative, sin to 1.3e-7 relative, cos to 1e-7 absolute.  Only fma, multiply, add, sqrt and
 * conversions are used, each rounded to nearest, and no product feeds an addition other than through ot_fma, so that a compiler
 * that contracts a * b + c finds nothing to contract.  |z| is at most sqrt(-2 ln 2^-33) = 6.764. */
#ifndef OT_KERNELS_NORMAL_H
#define OT_KERNELS_NORMAL_H

#include "kernels/hd.h"

#define OT_NORMAL_MAX 6.765f

/* -2 ln((x + 0.5) 2^-32), never negative.  u = 2^e (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), so that near u = 1, where the
 * logarithm is small, e is 0 and nothing cancels. */
OT_HD float ot_minus_2_log(uint32_t x)
{
    float u = ot_fma((float)x, 0x1p-32f, 0x1p-33f);
    uint32_t i = ot_float_bits(u) - 0x3f3504f3u;                        /* bits of sqrt(1/2) */
    float e = (float)((int32_t)i >> 23);
    float f = ot_bits_float((i & 0x7fffffu) + 0x3f3504f3u) - 1.0f;      /* exact */
    float p = -0.174696892f;
    p = ot_fma(p, f, 0.286150515f);
    p = ot_fma(p, f, -0.298359483f);
    p = ot_fma(p, f, 0.33141017f);
    p = ot_fma(p, f, -0.399241447f);
    p = ot_fma(p, f, 0.500035107f);
    p = ot_fma(p, f, -0.666679025f);
    p = ot_fma(p, f, 0.999999821f);
    p = ot_fma(p, f * f, -2.0f * f);
    return ot_fma(e, -1.38629436f, p);
}

/* Two independent normals from two words. */
OT_HD void ot_normal_pair(float *z0, float *z1, uint32_t x, uint32_t y)
{
    float r = sqrtf(ot_minus_2_log(x));
    uint32_t quarter = (y + 0x20000000u) >> 30;                         /* nearest quarter turn, mod 4 by the wrap */
    float t = ot_fma((float)(int32_t)(y - (quarter << 30)), 0x1p-32f, 0x1p-33f);      /* turns from it, |t| <= 1/8 */
    float tt = t * t;
    float s = ot_fma(-75.3935623f, tt, 81.5923538f);
    s = ot_fma(s, tt, -41.3416634f);
    s = ot_fma(s, tt, 6.28318548f);
    s = s * t;
    float c = ot_fma(-83.6659164f, tt, 64.9232254f);
    c = ot_fma(c, tt, -19.7391682f);
    c = ot_fma(c, tt, 1.0f);
    float cos_v = quarter & 1 ? s : c, sin_v = quarter & 1 ? c : s;     /* signs next: + - - + and + + - - */
    *z0 = r * ot_bits_float(ot_float_bits(cos_v) ^ (((quarter + 1) & 2) << 30));
    *z1 = r * ot_bits_float(ot_float_bits(sin_v) ^ ((quarter & 2) << 30));
}

#endif

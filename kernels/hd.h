/* hd.h - OT_HD marks a function that the host compiler and nvcc both build: the maths that must be the same everywhere is
 * written once, in headers of this folder, and used by the CPU loops and the CUDA kernels alike.
 *
 * ot_fma is the one fused multiply-add of that maths: a b + c rounded once, on every machine.  Where the processor has the
 * instruction it is that; elsewhere it is built from doubles: the product of two floats is exact in a double, the sum is rounded
 * to odd (Boldo and Melquiond 2008), which makes the second rounding, to float, the only one that counts.  It needs no libm. */
#ifndef OT_KERNELS_HD_H
#define OT_KERNELS_HD_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "float must be computed as float: on 32-bit x86 build with -msse2 -mfpmath=sse"
#endif

#ifdef __CUDACC__
#define OT_HD __host__ __device__ static inline
#else
#define OT_HD static inline __attribute__((always_inline))
#endif

OT_HD uint32_t ot_float_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

OT_HD float ot_bits_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Finite arguments. */
OT_HD float ot_fma_by_doubles(float a, float b, float c)
{
    double p = (double)a * b, s = p + c;
    double t = s - p, err = (p - (s - t)) + (c - t);          /* s + err = p + c exactly (Knuth) */
    uint64_t bits;
    memcpy(&bits, &s, sizeof bits);
    if ((err > 0.0 || err < 0.0) && (bits & 1) == 0) bits += (err > 0.0) == (s > 0.0) ? 1 : UINT64_MAX;
    memcpy(&s, &bits, sizeof s);
    return (float)s;
}

OT_HD float ot_fma(float a, float b, float c)
{
#if defined(__CUDACC__)
    return fmaf(a, b, c);
#elif defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__aarch64__)
    return __builtin_fmaf(a, b, c);
#else
    return ot_fma_by_doubles(a, b, c);
#endif
}

#endif

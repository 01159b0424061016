/* cpu_vec.h - a vector of OT_LANES floats, in gcc's vector extension; the few operations it lacks, with NaN passing through. */
#ifndef OT_BACKEND_CPU_VEC_H
#define OT_BACKEND_CPU_VEC_H

#include <stdint.h>
#if OT_LANES == 16 || OT_LANES == 8
#include <immintrin.h>
#endif

#define FORCE_INLINE static inline __attribute__((always_inline))

#if OT_LANES == 1
typedef float   vec;
typedef int32_t mask;
#else
typedef float   vec __attribute__((vector_size(4 * OT_LANES), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(4 * OT_LANES), aligned(4), may_alias));
#endif

#define STORE(P, V) (*(vec *)(P) = (V))
FORCE_INLINE vec LOAD(const float *p) { return *(const vec *)p; }
FORCE_INLINE vec SPLAT(float s) { return (vec){0} + s; }

#if OT_LANES == 16
#define MAX(A, B)         ((vec)_mm512_max_ps((__m512)(A), (__m512)(B)))            /* B if either is NaN */
#define MIN(A, B)         ((vec)_mm512_min_ps((__m512)(A), (__m512)(B)))
#define INSIDE(G, Y, TOP) ((vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)(Y), _mm512_setzero_ps(), _CMP_GT_OQ) & \
                                                    _mm512_cmp_ps_mask((__m512)(Y), (__m512)(TOP), _CMP_LT_OQ), (__m512)(G)))
#elif OT_LANES == 8
#define MAX(A, B)         ((vec)_mm256_max_ps((__m256)(A), (__m256)(B)))
#define MIN(A, B)         ((vec)_mm256_min_ps((__m256)(A), (__m256)(B)))
#define INSIDE(G, Y, TOP) ((vec)((mask)(G) & ((Y) > (vec){0}) & ((Y) < (TOP))))
#elif OT_LANES == 1
#define MAX(A, B)         ((A) > (B) ? (A) : (B))
#define MIN(A, B)         ((A) < (B) ? (A) : (B))
#define INSIDE(G, Y, TOP) ((Y) > 0.0f && (Y) < (TOP) ? (G) : 0.0f)
#else
#define PICK(M, A, B)     ((vec)(((mask)(A) & (M)) | ((mask)(B) & ~(M))))
#define MAX(A, B)         PICK((A) > (B), (A), (B))
#define MIN(A, B)         PICK((A) < (B), (A), (B))
#define INSIDE(G, Y, TOP) ((vec)((mask)(G) & ((Y) > (vec){0}) & ((Y) < (TOP))))
#endif

/* sum[lane] += v[lane], in double */
FORCE_INLINE void spill(double *sum, const vec *v)
{
    const float *f = (const float *)v;
    for (int i = 0; i < OT_LANES; i++) sum[i] += f[i];
}

#endif

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

/* MAX, MIN: B where either is NaN.  INSIDE: G, but 0 where Y <= 0 or Y >= TOP.  NAN_OF: B where B is NaN, else A. */
#define PICK(M, A, B)     ((vec)(((mask)(A) & (M)) | ((mask)(B) & ~(M))))
#if OT_LANES == 16
#define NAN_OF(A, B)      ((vec)_mm512_mask_mov_ps((__m512)(A), _mm512_cmp_ps_mask((__m512)(B), (__m512)(B), _CMP_UNORD_Q), (__m512)(B)))
#define MAX(A, B)         ((vec)_mm512_max_ps((__m512)(A), (__m512)(B)))
#define MIN(A, B)         ((vec)_mm512_min_ps((__m512)(A), (__m512)(B)))
#define INSIDE(G, Y, TOP) ((vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)(Y), _mm512_setzero_ps(), _CMP_NLE_UQ) & \
                                                    _mm512_cmp_ps_mask((__m512)(Y), (__m512)(TOP), _CMP_NGE_UQ), (__m512)(G)))
#elif OT_LANES == 8
#define NAN_OF(A, B)      PICK((B) != (B), B, A)
#define MAX(A, B)         ((vec)_mm256_max_ps((__m256)(A), (__m256)(B)))
#define MIN(A, B)         ((vec)_mm256_min_ps((__m256)(A), (__m256)(B)))
#define INSIDE(G, Y, TOP) ((vec)((mask)(G) & ~((Y) <= (vec){0}) & ~((Y) >= (TOP))))
#elif OT_LANES == 1
#define NAN_OF(A, B)      ((B) != (B) ? (B) : (A))
#define MAX(A, B)         ((A) > (B) ? (A) : (B))
#define MIN(A, B)         ((A) < (B) ? (A) : (B))
#define INSIDE(G, Y, TOP) ((Y) <= 0.0f || (Y) >= (TOP) ? 0.0f : (G))
#else
#define NAN_OF(A, B)      PICK((B) != (B), B, A)
#define MAX(A, B)         PICK((A) > (B), (A), (B))
#define MIN(A, B)         PICK((A) < (B), (A), (B))
#define INSIDE(G, Y, TOP) ((vec)((mask)(G) & ~((Y) <= (vec){0}) & ~((Y) >= (TOP))))
#endif

/* kernels/quantise.h on vectors. */
#define QUANTISE(Y, CODES, STEP) (((MIN(SPLAT(CODES), (Y) / SPLAT(STEP)) + SPLAT(12582912.0f)) - SPLAT(12582912.0f)) * SPLAT(STEP))

/* X where A > B, else 0; X where not A > B (NaN counts as not), else 0. */
#if OT_LANES == 16
#define WHERE_GT(A, B, X)     ((vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)(A), (__m512)(B), _CMP_GT_OQ), (__m512)(X)))
#define WHERE_NOT_GT(A, B, X) ((vec)_mm512_maskz_mov_ps(_mm512_cmp_ps_mask((__m512)(A), (__m512)(B), _CMP_NGT_UQ), (__m512)(X)))
#elif OT_LANES == 1
#define WHERE_GT(A, B, X)     ((A) > (B) ? (X) : 0.0f)
#define WHERE_NOT_GT(A, B, X) ((A) > (B) ? 0.0f : (X))
#else
#define WHERE_GT(A, B, X)     ((vec)((mask)(X) & ((A) > (B))))
#define WHERE_NOT_GT(A, B, X) ((vec)((mask)(X) & ~((A) > (B))))
#endif

/* sum[lane] += v[lane], in double */
FORCE_INLINE void spill(double *sum, const vec *v)
{
    const float *f = (const float *)v;
    for (int i = 0; i < OT_LANES; i++) sum[i] += f[i];
}

#endif

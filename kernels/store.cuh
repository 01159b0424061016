/* store.cuh - tensors in memory: eight channels at a time, as float or half. */
#ifndef OT_KERNELS_STORE_CUH
#define OT_KERNELS_STORE_CUH

#include "kernels/cuda.h"

struct ot_eight { float v[8]; };

template <class T> __device__ __forceinline__ ot_eight ot_load8(const T *p);
template <> __device__ __forceinline__ ot_eight ot_load8<float>(const float *p)
{
    const float4 a = ((const float4 *)p)[0], b = ((const float4 *)p)[1];
    return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}
template <> __device__ __forceinline__ ot_eight ot_load8<__half>(const __half *p)
{
    union { uint4 all; __half h[8]; } u;
    u.all = *(const uint4 *)p;
    ot_eight e;
    for (int i = 0; i < 8; i++) e.v[i] = __half2float(u.h[i]);
    return e;
}

__device__ __forceinline__ void ot_store8(float *p, const ot_eight &e)
{
    ((float4 *)p)[0] = make_float4(e.v[0], e.v[1], e.v[2], e.v[3]);
    ((float4 *)p)[1] = make_float4(e.v[4], e.v[5], e.v[6], e.v[7]);
}
__device__ __forceinline__ void ot_store8(__half *p, const ot_eight &e)
{
    union { uint4 all; __half h[8]; } u;
    for (int i = 0; i < 8; i++) u.h[i] = __float2half_rn(e.v[i]);
    *(uint4 *)p = u.all;
}

__device__ __forceinline__ float ot_get(const float *p) { return *p; }
__device__ __forceinline__ float ot_get(const __half *p) { return __half2float(*p); }
__device__ __forceinline__ void  ot_put(float *p, float v) { *p = v; }
__device__ __forceinline__ void  ot_put(__half *p, float v) { *p = __float2half_rn(v); }

__device__ __forceinline__ ot_eight ot_zero8()
{
    return {{0, 0, 0, 0, 0, 0, 0, 0}};
}

/* Eight elements as they lie in memory, for copies. */
template <class T> struct ot_chunk { uint4 v[sizeof(T) / 2]; };
template <class T> __device__ __forceinline__ ot_chunk<T> ot_load_chunk(const T *p)
{
    ot_chunk<T> c;
#pragma unroll
    for (int i = 0; i < (int)sizeof(T) / 2; i++) c.v[i] = ((const uint4 *)p)[i];
    return c;
}
template <class T> __device__ __forceinline__ void ot_store_chunk(T *p, const ot_chunk<T> &c)
{
#pragma unroll
    for (int i = 0; i < (int)sizeof(T) / 2; i++) ((uint4 *)p)[i] = c.v[i];
}
template <class T> __device__ __forceinline__ ot_chunk<T> ot_zero_chunk()
{
    ot_chunk<T> c;
#pragma unroll
    for (int i = 0; i < (int)sizeof(T) / 2; i++) c.v[i] = {0, 0, 0, 0};
    return c;
}

#endif

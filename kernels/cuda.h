/* cuda.h - what a .cu file is written in: CUDA under nvcc, the emulator of tests/simt under g++.  The whole porting surface is
 *
 *     OT_SHARED(float, tile, [8][33]);          one array a block (aligned to 128 bytes)
 *     OT_DYN_SHARED(float, all);                the launch's shared bytes
 *     return ot_launch(kernel<3>, grid, block, shared_bytes, stream, arguments...);      0 or a cudaError_t
 *
 * and, in the emulator, strictness: an empty grid is an error, shared memory starts as NaN.  Values held in half precision are loaded
 * and stored eight at a time (store.cuh); sums are in float or double. */
#ifndef OT_KERNELS_CUDA_H
#define OT_KERNELS_CUDA_H

#ifdef __CUDACC__

#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <utility>

#define OT_SHARED(T, NAME, DIMS) __shared__ __align__(128) T NAME DIMS
#define OT_DYN_SHARED(T, NAME)                                   \
    extern __shared__ __align__(128) unsigned char ot_dynamic[]; \
    T *NAME = (T *)ot_dynamic

template <class... P, class... A>
static int ot_launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, A &&...a)
{
    if (shared_bytes > 48u << 10) {
        cudaError_t e = cudaFuncSetAttribute((const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes);
        if (e != cudaSuccess) return (int)e;
    }
    kernel<<<grid, block, shared_bytes, stream>>>(static_cast<P>(a)...);
    return (int)cudaGetLastError();
}

#else
#include "simt.h"
#endif

#include "kernels/hd.h"
#include "kernels/kernels.h"

static inline int64_t ot_ceil(int64_t n, int64_t d) { return (n + d - 1) / d; }

#endif

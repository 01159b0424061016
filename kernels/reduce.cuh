/* reduce.cuh - sums with a fixed order: within a thread in the order of its elements, then over a block's threads as a tree. */
#ifndef OT_KERNELS_REDUCE_CUH
#define OT_KERNELS_REDUCE_CUH

#include "kernels/cuda.h"

/* The sum of v over the THREADS threads of a block, to thread 0.  `room`: THREADS values of shared memory, free before and after. */
template <int THREADS, class V> __device__ __forceinline__ V ot_block_sum(V v, V *room)
{
    room[threadIdx.x] = v;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    v = room[0];
    __syncthreads();
    return v;
}

#endif

/* cases.cu - see cases.h. */
#include "cases.h"
#include "kernels/cuda.h"

__global__ void number_kernel(uint32_t *out)
{
    const unsigned threads = blockDim.x * blockDim.y * blockDim.z, block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned i = block * threads + threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[i] = i + 1;
}
extern "C" int case_number(case_dim g, case_dim b, size_t shared_bytes, uint32_t *out, void *stream)
{
    return ot_launch(number_kernel, dim3(g.x, g.y, g.z), dim3(b.x, b.y, b.z), shared_bytes, (cudaStream_t)stream, out);
}

__global__ void count_kernel(int *counters)
{
    atomicAdd(&counters[0], 1);
    atomicMax(&counters[1], (int)(blockIdx.x * 64 + threadIdx.x));
    atomicOr(&counters[2], 1 << blockIdx.x);
}
extern "C" int case_count(int blocks, int *counters, void *stream)
{
    return ot_launch(count_kernel, dim3((unsigned)blocks), dim3(64), 0, (cudaStream_t)stream, counters);
}

__global__ void reverse_kernel(int *out, int barrier)
{
    OT_SHARED(int, room, [64]);
    room[threadIdx.x] = (int)threadIdx.x;
    if (barrier) __syncthreads();
    out[threadIdx.x] = room[63 - threadIdx.x];
}
extern "C" int case_reverse(int *out, int barrier) { return ot_launch(reverse_kernel, dim3(1), dim3(64), 0, NULL, out, barrier); }

__global__ void shared_kernel(uint32_t *out)
{
    OT_SHARED(uint32_t, a, [64]);
    OT_DYN_SHARED(uint32_t, b);
    out[(blockIdx.x * 64 + threadIdx.x) * 2] = a[threadIdx.x];
    out[(blockIdx.x * 64 + threadIdx.x) * 2 + 1] = b[threadIdx.x];
    a[threadIdx.x] = b[threadIdx.x] = 5;
}
extern "C" int case_shared_is_new(int blocks, uint32_t *out) { return ot_launch(shared_kernel, dim3((unsigned)blocks), dim3(64), 256, NULL, out); }

__global__ void exit_kernel(int *out)
{
    OT_SHARED(int, room, [64]);
    if (threadIdx.x % 2) return;
    room[threadIdx.x] = (int)threadIdx.x;
    __syncthreads();
    out[threadIdx.x / 2] = room[62 - threadIdx.x];
}
extern "C" int case_early_exit(int *out) { return ot_launch(exit_kernel, dim3(1), dim3(64), 0, NULL, out); }

__global__ void warp_kernel(int *out)
{
    const unsigned all = 0xffffffffu;
    int            sum = (int)threadIdx.x, *own = out + 5 * threadIdx.x;
    for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(all, sum, by);
    own[0] = sum;
    own[1] = __shfl_down_sync(all, (int)threadIdx.x, 1);
    own[2] = __shfl_up_sync(all, (int)threadIdx.x, 2);
    own[3] = __shfl_sync(all, (int)threadIdx.x, 3);
    own[4] = (int)__ballot_sync(all, threadIdx.x % 2);
}
extern "C" int case_warp(int threads, int *out) { return ot_launch(warp_kernel, dim3(1), dim3((unsigned)threads), 0, NULL, out); }

__global__ void half_warp_kernel(int *out)
{
    const unsigned mask = threadIdx.x < 16 ? 0xffffu : 0xffff0000u;
    int            sum = (int)threadIdx.x;
    for (int by = 8; by > 0; by /= 2) sum += __shfl_xor_sync(mask, sum, by);
    __syncwarp(mask);
    out[threadIdx.x] = sum;
}
extern "C" int case_half_warp(int *out) { return ot_launch(half_warp_kernel, dim3(1), dim3(32), 0, NULL, out); }

__global__ void ends_kernel(int *out)
{
    if (threadIdx.x >= 20) return;
    out[threadIdx.x] = (int)__ballot_sync(0xffffffffu, 1);
}
extern "C" int case_ends_then_sum(int *out) { return ot_launch(ends_kernel, dim3(1), dim3(32), 0, NULL, out); }

__global__ void wrong_kernel(int which, int *out)
{
    const int t = threadIdx.x, lane = t % 32;
    int       v = t;
    if (which == WRONG_DIVERGENT) {
        if (t < 32) __syncthreads();
        else __syncthreads();
        v++;
    } else if (which == WRONG_DEADLOCK) {
        if (t == 0) __syncwarp();
        else __syncthreads();
    } else if (which == WRONG_LANE) {
        if (lane < 20) v = __shfl_sync(0xffffffffu, t, 25);
    } else if (which == WRONG_OVERLAP) {
        if (lane < 16) __syncwarp(0x1ffffu);
        else __syncwarp(0xffff8000u);
    } else if (which == WRONG_OUTSIDE) {
        __syncwarp(0xffffu);
    } else if (which == WRONG_OPERATION) {
        if (lane < 16) v = (int)__ballot_sync(0xffffffffu, 1);
        else v = __shfl_sync(0xffffffffu, t, 1);
    } else if (which == WRONG_MISSING) {
        if (lane < 31) __syncwarp();
        __syncthreads();
    }
    out[t] = v;
}
extern "C" int case_wrong(int which, int *out) { return ot_launch(wrong_kernel, dim3(1), dim3(64), 0, NULL, which, out); }

extern "C" float case_half_to_float(uint16_t h)
{
    const __half half = {h};
    return __half2float(half);
}
extern "C" uint16_t case_float_to_half(float f) { return __float2half_rn(f).bits; }

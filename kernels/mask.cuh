/* mask.cuh - a complete gradient through the T-ReLU behind it, where it is made: eight channels masked and scaled, their two sums taken. */
#ifndef OT_KERNELS_MASK_CUH
#define OT_KERNELS_MASK_CUH

#include "kernels/after.cuh"
#include "kernels/reduce.cuh"

/* What the launchers share: the second stage of the sums (elementwise.cu), `blocks` partial pairs a chip. */
extern "C" int otk_relu_sums(const otk_relu_back *b, int chips, int blocks, otk_stream stream);

struct ot_mask_sums { double with_u, alone; };

/* u, and from where on nothing passes; a quantised T-ReLU's u is found again from its input. */
__device__ __forceinline__ float ot_held(float u, const otk_relu_back &b, const ot_chip_knobs &k) { return b.top > 0.0f ? (u - k.offset) * k.gain : u; }
__device__ __forceinline__ float ot_top(const otk_relu_back &b, const ot_chip_knobs &k) { return b.top > 0.0f && b.top < k.clip ? b.top : k.clip; }

/* m: dL/du at element `at` of the chip's tensor, channels first..; becomes dL/d(what the scale was applied to). */
template <class T>
__device__ __forceinline__ void ot_mask8(ot_eight &m, const otk_relu_back &b, const ot_chip_knobs &k, int chip, int first, int64_t at, ot_mask_sums *sums)
{
    const ot_eight u = ot_load8((const T *)b.u.at + chip * b.u.stride + at);
    float          with_u = 0.0f, alone = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const float held = ot_held(u.v[i] * b.u_factor, b, k);
        m.v[i] = ot_trelu_mask(m.v[i], held, ot_top(b, k));
        with_u = fmaf(m.v[i], held, with_u);
        alone += m.v[i];
        m.v[i] *= k.gain;
    }
    sums->with_u += (double)with_u;
    sums->alone += (double)alone;
    if (!b.scale) return;
    const ot_eight s = ot_load8(b.scale + first);
#pragma unroll
    for (int i = 0; i < 8; i++) m.v[i] *= s.v[i];
}

/* The same for one channel. */
template <class T>
__device__ __forceinline__ float ot_mask1(float m, const otk_relu_back &b, const ot_chip_knobs &k, int chip, int channel, int64_t at, ot_mask_sums *sums)
{
    const float held = ot_held(ot_get((const T *)b.u.at + chip * b.u.stride + at) * b.u_factor, b, k);
    m = ot_trelu_mask(m, held, ot_top(b, k));
    sums->with_u += (double)(m * held);
    sums->alone += (double)m;
    return m * k.gain * (b.scale ? b.scale[channel] : 1.0f);
}

/* A block's sums into its pair of the chip's `blocks` pairs.  `room`: THREADS doubles of shared memory. */
template <int THREADS> __device__ __forceinline__ void ot_mask_end(const otk_relu_back &b, ot_mask_sums sums, double *room, int chip, int blocks, int block)
{
    if (!b.sums) return;
    const double with_u = ot_block_sum<THREADS>(sums.with_u, room), alone = ot_block_sum<THREADS>(sums.alone, room);
    if (threadIdx.x != 0) return;
    double *partial = (double *)b.partial + ((int64_t)chip * blocks + block) * 2;
    partial[0] = with_u;
    partial[1] = alone;
}

#endif

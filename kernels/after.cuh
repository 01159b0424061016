/* after.cuh - what is fused onto an operation: bias, batch norm, addition, T-ReLU (kernels.h, otk_after), on eight channels at once. */
#ifndef OT_KERNELS_AFTER_CUH
#define OT_KERNELS_AFTER_CUH

#include "kernels/quantise.h"
#include "kernels/store.cuh"
#include "kernels/trelu.h"

/* The T-ReLU of one chip; `there` 0: none. */
struct ot_chip_knobs { float gain, offset, clip; int there; };

__device__ __forceinline__ ot_chip_knobs ot_knobs_of(const otk_knobs &k, int chip)
{
    if (!k.there) return {1.0f, 0.0f, INFINITY, 0};
    if (!k.gain) return {k.own_gain, k.own_offset, k.clip, 1};
    return {k.gain[chip * k.stride], k.offset[chip * k.stride], k.clip, 1};
}

/* `first`: channel of y.v[0];  `at`: element of the chip's tensor it goes to.  Channels from c on are padding and become 0. */
template <class T>
__device__ __forceinline__ ot_eight ot_after8(ot_eight y, const otk_after &a, const ot_chip_knobs &k, int chip, int first, int c, int64_t at)
{
#pragma unroll
    for (int i = 0; i < 8; i++) y.v[i] *= a.in_factor;
    if (a.bias) {
        const ot_eight b = ot_load8(a.bias + first);
#pragma unroll
        for (int i = 0; i < 8; i++) y.v[i] += b.v[i];
    }
    if (a.scale) {
        const ot_eight s = ot_load8(a.scale + first), t = ot_load8(a.shift + first);
#pragma unroll
        for (int i = 0; i < 8; i++) y.v[i] = fmaf(y.v[i], s.v[i], t.v[i]);
    }
    if (a.res.at) {
        const ot_eight r = ot_load8((const T *)a.res.at + chip * a.res.stride + at);
#pragma unroll
        for (int i = 0; i < 8; i++) y.v[i] = fmaf(r.v[i], a.res_factor, y.v[i]);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
        if (k.there) y.v[i] = ot_trelu(y.v[i], k.gain, k.offset, k.clip);
        if (k.there && a.codes > 0.0f) y.v[i] = ot_quantise(y.v[i], a.codes, a.step);
        y.v[i] = first + i < c ? y.v[i] * a.out_factor : 0.0f;
    }
    return y;
}

/* The same for one channel, where eight do not lie together. */
template <class T>
__device__ __forceinline__ float ot_after1(float y, const otk_after &a, const ot_chip_knobs &k, int chip, int channel, int64_t at)
{
    y *= a.in_factor;
    if (a.bias) y += a.bias[channel];
    if (a.scale) y = fmaf(y, a.scale[channel], a.shift[channel]);
    if (a.res.at) y = fmaf(ot_get((const T *)a.res.at + chip * a.res.stride + at), a.res_factor, y);
    if (k.there) y = ot_trelu(y, k.gain, k.offset, k.clip);
    if (k.there && a.codes > 0.0f) y = ot_quantise(y, a.codes, a.step);
    return y * a.out_factor;
}

#endif

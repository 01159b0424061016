/* conv.cuh - what the convolution files share: where a weight lies when packed (kernels.h). */
#ifndef OT_KERNELS_CONV_CUH
#define OT_KERNELS_CONV_CUH

#include "kernels/cuda.h"

/* Packed place of weight `w` in ONNX order (out, in/groups, ky, kx). */
__device__ __forceinline__ int64_t ot_packed(const otk_conv &c, bool depthwise, int64_t w)
{
    const int taps = c.kh * c.kw, in = c.in.c / c.groups, out = c.out.c / c.groups, tap = (int)(w % taps), i = (int)(w / taps % in);
    const int64_t o = w / taps / in;
    if (depthwise) return (int64_t)tap * otk_channels(c.out.c) + o;
    const int64_t group = o / out;
    return ((group * taps + tap) * otk_channels(in) + i) * otk_channels(out) + o % out;
}

extern "C" int otk_depthwise_forward(otk_type type, const otk_conv *c, int chips, int n, otk_tensor src, otk_tensor weight, otk_tensor dst,
                                     const otk_after *after, otk_stream stream);
extern "C" int otk_depthwise_data(otk_type type, const otk_conv *c, int chips, int n, otk_tensor g, otk_tensor weight, otk_tensor dsrc,
                                  float factor, int add, const otk_relu_back *mask, otk_stream stream);
extern "C" int64_t otk_depthwise_blocks(otk_shape to, int n);

#endif

/* depthwise.cu - convolutions of one channel each (groups = in = out), and the packing of all convolutions' weights.
 *
 * Nothing is shared between channels, so there is no matrix product: a thread makes eight neighbouring channels of one pixel and reads
 * its window from the caches.  Bound by memory.  Weights are (ky, kx, channel).
 *
 *   1  one pixel a thread; time on a GPU not measured yet (bench/README.md) */
#include "kernels/conv.cuh"
#include "kernels/mask.cuh"

enum { THREADS = 128 };

struct depthwise_args {
    otk_conv   c;
    otk_shape  from, to;
    int64_t    eights;                     /* of eight channels, of one chip */
    otk_tensor src, weight, dst;
    otk_after  after;
    float      factor;
    int        add, masked;
    otk_relu_back mask;
};

/* Eight channels of one pixel. */
template <class T, bool BACK> __device__ __forceinline__ void one_eight(const depthwise_args &p, int64_t e, int chip, int cp, int ch, ot_mask_sums *sums)
{
    const int64_t pixel = e / (cp / 8);
    const int     x = (int)(pixel % p.to.w), y = (int)(pixel / p.to.w % p.to.h);
    const T      *src = (const T *)p.src.at + chip * p.src.stride + pixel / p.to.w / p.to.h * otk_image(p.from) + ch;
    const T      *weight = (const T *)p.weight.at + chip * p.weight.stride + ch;
    ot_eight      sum = ot_zero8();
    for (int ky = 0; ky < p.c.kh; ky++)
        for (int kx = 0; kx < p.c.kw; kx++) {
            int fy = BACK ? y + p.c.pt - ky : y * p.c.sh - p.c.pt + ky, fx = BACK ? x + p.c.pl - kx : x * p.c.sw - p.c.pl + kx;
            if (BACK) {
                if (fy < 0 || fx < 0 || fy % p.c.sh || fx % p.c.sw) continue;
                fy /= p.c.sh, fx /= p.c.sw;
            }
            if (fy < 0 || fx < 0 || fy >= p.from.h || fx >= p.from.w) continue;
            const ot_eight v = ot_load8(src + ((int64_t)fy * p.from.w + fx) * cp), w = ot_load8(weight + (ky * p.c.kw + kx) * cp);
#pragma unroll
            for (int i = 0; i < 8; i++) sum.v[i] = fmaf(v.v[i], w.v[i], sum.v[i]);
        }
    const int64_t at = pixel * cp + ch;
    T            *dst = (T *)p.dst.at + chip * p.dst.stride + at;
    if (!BACK) {
        ot_store8(dst, ot_after8<T>(sum, p.after, ot_knobs_of(p.after.knobs, chip), chip, ch, p.to.c, at));
        return;
    }
    const ot_eight old = p.add ? ot_load8(dst) : ot_zero8();
#pragma unroll
    for (int i = 0; i < 8; i++) sum.v[i] = fmaf(sum.v[i], p.factor, old.v[i]);
    if (p.masked) ot_mask8<T>(sum, p.mask, ot_knobs_of(p.mask.knobs, chip), chip, ch, at, sums);
    ot_store8(dst, sum);
}

template <class T, bool BACK> __global__ void __launch_bounds__(THREADS) depthwise_kernel1(depthwise_args p)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    const int     chip = blockIdx.z, cp = otk_channels(p.to.c), ch = (int)(e % (cp / 8)) * 8;
    ot_mask_sums  sums = {0.0, 0.0};
    if (e < p.eights) one_eight<T, BACK>(p, e, chip, cp, ch, &sums);
    if (BACK && p.masked) {
        OT_SHARED(double, room, [THREADS]);
        ot_mask_end<THREADS>(p.mask, sums, &room[0], chip, (int)gridDim.x, (int)blockIdx.x);
    }
}

template <bool BACK> static int launch(otk_type type, depthwise_args p, int chips, int n, otk_stream stream)
{
    p.eights = n * otk_image(p.to) / 8;
    if (p.eights <= 0 || chips <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(p.eights, THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? depthwise_kernel1<__half, BACK> : depthwise_kernel1<float, BACK>, grid, dim3(THREADS), 0, (cudaStream_t)stream, p);
}

extern "C" int otk_depthwise_forward(otk_type type, const otk_conv *c, int chips, int n, otk_tensor src, otk_tensor weight, otk_tensor dst,
                                     const otk_after *after, otk_stream stream)
{
    depthwise_args p = {};
    p.c = *c, p.from = c->in, p.to = c->out, p.src = src, p.weight = weight, p.dst = dst, p.after = *after;
    return launch<false>(type, p, chips, n, stream);
}

extern "C" int otk_depthwise_data(otk_type type, const otk_conv *c, int chips, int n, otk_tensor g, otk_tensor weight, otk_tensor dsrc,
                                  float factor, int add, const otk_relu_back *mask, otk_stream stream)
{
    depthwise_args p = {};
    p.c = *c, p.from = c->out, p.to = c->in, p.src = g, p.weight = weight, p.dst = dsrc, p.factor = factor, p.add = add, p.masked = mask != NULL;
    if (mask) p.mask = *mask;
    const int e = launch<true>(type, p, chips, n, stream);
    return e || !mask || n <= 0 || chips <= 0 ? e : otk_relu_sums(mask, chips, (int)otk_depthwise_blocks(c->in, n), stream);
}

extern "C" int64_t otk_depthwise_blocks(otk_shape to, int n) { return ot_ceil(n * otk_image(to) / 8, THREADS); }

extern "C" int otk_conv_depthwise(const otk_conv *c) { return c->groups > 1 && c->groups == c->in.c && c->groups == c->out.c; }

extern "C" int64_t otk_conv_weights(const otk_conv *c)
{
    const int64_t taps = (int64_t)c->kh * c->kw;
    if (otk_conv_depthwise(c)) return taps * otk_channels(c->out.c);
    return c->groups * taps * otk_channels(c->in.c / c->groups) * otk_channels(c->out.c / c->groups);
}

template <class T> __global__ void __launch_bounds__(THREADS) pack_kernel1(otk_conv c, int depthwise, float *onnx, T *packed, int back, int64_t n)
{
    const int64_t w = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (w >= n) return;
    const int64_t at = ot_packed(c, depthwise != 0, w);
    if (back) onnx[w] = ot_get(packed + at);
    else ot_put(packed + at, onnx[w]);
}

extern "C" int otk_conv_pack(const otk_conv *c, otk_type type, float *onnx, void *packed, int back, otk_stream stream)
{
    const int64_t n = (int64_t)c->out.c * (c->in.c / c->groups) * c->kh * c->kw;
    const dim3    grid((unsigned)ot_ceil(n, THREADS));
    if (n <= 0) return 0;
    if (type == OTK_F16) return ot_launch(pack_kernel1<__half>, grid, dim3(THREADS), 0, (cudaStream_t)stream, *c, otk_conv_depthwise(c), onnx, (__half *)packed, back, n);
    return ot_launch(pack_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, *c, otk_conv_depthwise(c), onnx, (float *)packed, back, n);
}

/* elementwise.cu - steps that look at one element at a time: batch norm, addition and T-ReLU alone, their backward, copies.
 *
 * A thread does eight channels of one pixel.  Backward of the T-ReLU needs two sums a chip: each block leaves its two in `partial`, a
 * second kernel adds them in order.  The number of blocks depends on the tensor alone.
 *
 *   1  as above; time on a GPU not measured yet (bench/README.md) */
#include "kernels/mask.cuh"

enum { THREADS = 256, EACH = 4 };          /* eights a thread does in sums */

template <class T> __global__ void __launch_bounds__(THREADS) pointwise_kernel1(otk_shape s, int64_t eights, otk_tensor src, otk_tensor dst, otk_after after)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e >= eights) return;
    const int      chip = blockIdx.z, cp = otk_channels(s.c);
    const ot_eight y = ot_load8((const T *)src.at + chip * src.stride + e * 8);
    ot_store8((T *)dst.at + chip * dst.stride + e * 8, ot_after8<T>(y, after, ot_knobs_of(after.knobs, chip), chip, (int)(e * 8 % cp), s.c, e * 8));
}

extern "C" int otk_pointwise(otk_type type, otk_shape s, int chips, int n, otk_tensor src, otk_tensor dst, const otk_after *after, otk_stream stream)
{
    const int64_t eights = n * otk_image(s) / 8;
    if (eights <= 0 || chips <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(eights, THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? pointwise_kernel1<__half> : pointwise_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, s, eights, src, dst, *after);
}

template <class T> __global__ void __launch_bounds__(THREADS) relu_back_kernel1(otk_shape s, int64_t eights, otk_relu_back b, int blocks)
{
    OT_SHARED(double, room, [THREADS]);
    const int           chip = blockIdx.z, cp = otk_channels(s.c);
    const ot_chip_knobs k = ot_knobs_of(b.knobs, chip);
    T                  *g = (T *)b.g.at + chip * b.g.stride, *dres = b.dres.at ? (T *)b.dres.at + chip * b.dres.stride : NULL;
    ot_mask_sums        sums = {0.0, 0.0};
    otk_relu_back       unscaled = b;
    unscaled.scale = NULL;                                /* what is added took no part in the scale */
    for (int j = 0; j < EACH; j++) {
        const int64_t e = (blockIdx.x * (int64_t)EACH + j) * THREADS + threadIdx.x;
        if (e >= eights) break;
        ot_eight m = ot_load8(g + e * 8);
        if (k.there) ot_mask8<T>(m, unscaled, k, chip, 0, e * 8, &sums);
        if (dres) {
            ot_eight d = b.add_res ? ot_load8(dres + e * 8) : ot_zero8();
#pragma unroll
            for (int i = 0; i < 8; i++) d.v[i] = fmaf(m.v[i], b.dres_factor, d.v[i]);
            ot_store8(dres + e * 8, d);
        }
        if (b.scale) {
            const ot_eight sc = ot_load8(b.scale + e * 8 % cp);
#pragma unroll
            for (int i = 0; i < 8; i++) m.v[i] *= sc.v[i];
        }
        ot_store8(g + e * 8, m);
    }
    ot_mask_end<THREADS>(b, sums, &room[0], chip, blocks, blockIdx.x);
}

/* One block a chip. */
__global__ void __launch_bounds__(THREADS) relu_sums_kernel1(otk_relu_back b, int blocks)
{
    OT_SHARED(double, room, [THREADS]);
    const int     chip = blockIdx.x;
    const double *partial = (const double *)b.partial + (int64_t)chip * blocks * 2;
    double        with_u = 0.0, alone = 0.0;
    for (int i = threadIdx.x; i < blocks; i += THREADS) {
        with_u += partial[2 * i];
        alone += partial[2 * i + 1];
    }
    with_u = ot_block_sum<THREADS>(with_u, &room[0]);
    alone = ot_block_sum<THREADS>(alone, &room[0]);
    if (threadIdx.x == 0) {
        const double a = (double)ot_knobs_of(b.knobs, chip).gain;
        double      *sums = b.sums + chip * b.sums_stride;
        sums[0] += b.factor * with_u / a;
        sums[b.sums_offset] -= b.factor * a * alone;
    }
}

static int64_t sum_blocks(otk_shape s, int n) { return ot_ceil(n * otk_image(s) / 8, THREADS * EACH); }

extern "C" size_t otk_relu_back_bytes(otk_shape s, int chips, int n) { return (size_t)(chips * sum_blocks(s, n)) * 2 * sizeof(double); }

extern "C" int otk_relu_back_run(otk_type type, otk_shape s, int chips, int n, const otk_relu_back *b, otk_stream stream)
{
    const int64_t eights = n * otk_image(s) / 8;
    const int     blocks = (int)sum_blocks(s, n);
    if (eights <= 0 || chips <= 0) return 0;
    const int e = ot_launch(type == OTK_F16 ? relu_back_kernel1<__half> : relu_back_kernel1<float>, dim3((unsigned)blocks, 1, (unsigned)chips), dim3(THREADS), 0,
                            (cudaStream_t)stream, s, eights, *b, blocks);
    return e ? e : otk_relu_sums(b, chips, blocks, stream);
}

extern "C" int otk_relu_sums(const otk_relu_back *b, int chips, int blocks, otk_stream stream)
{
    if (!b->sums) return 0;
    return ot_launch(relu_sums_kernel1, dim3((unsigned)chips), dim3(THREADS), 0, (cudaStream_t)stream, *b, blocks);
}

template <class T> __global__ void __launch_bounds__(THREADS) add_to_kernel1(int64_t eights, otk_tensor from, otk_tensor to, float factor, int add)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e >= eights) return;
    T             *at = (T *)to.at + blockIdx.z * to.stride + e * 8;
    const ot_eight v = ot_load8((const T *)from.at + blockIdx.z * from.stride + e * 8);
    ot_eight       sum = add ? ot_load8(at) : ot_zero8();
#pragma unroll
    for (int i = 0; i < 8; i++) sum.v[i] = fmaf(v.v[i], factor, sum.v[i]);
    ot_store8(at, sum);
}

extern "C" int otk_add_to(otk_type type, otk_shape s, int chips, int n, otk_tensor from, otk_tensor to, float factor, int add, otk_stream stream)
{
    const int64_t eights = n * otk_image(s) / 8;
    if (eights <= 0 || chips <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(eights, THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? add_to_kernel1<__half> : add_to_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, eights, from, to, factor, add);
}

/* Element of NCHW that holds (image, y, x, channel) of a tensor; e counts the tensor's elements. */
__device__ __forceinline__ int64_t ot_nchw(otk_shape s, int64_t e, int *channel)
{
    const int     cp = otk_channels(s.c);
    const int64_t pixel = e / cp, plane = (int64_t)s.h * s.w;
    *channel = (int)(e % cp);
    return (pixel / plane * s.c + *channel) * plane + pixel % plane;
}

template <class T> __global__ void __launch_bounds__(THREADS) import_kernel1(otk_shape s, int64_t n, const float *nchw, T *dst, float factor)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    int           channel;
    if (e >= n) return;
    const int64_t from = ot_nchw(s, e, &channel);
    ot_put(dst + e, channel < s.c ? nchw[from] * factor : 0.0f);
}

extern "C" int otk_import(otk_type type, otk_shape s, int n, const float *nchw, void *dst, float factor, otk_stream stream)
{
    const int64_t all = n * otk_image(s);
    const dim3    grid((unsigned)ot_ceil(all, THREADS));
    if (all <= 0) return 0;
    if (type == OTK_F16) return ot_launch(import_kernel1<__half>, grid, dim3(THREADS), 0, (cudaStream_t)stream, s, all, nchw, (__half *)dst, factor);
    return ot_launch(import_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, s, all, nchw, (float *)dst, factor);
}

template <class T> __global__ void __launch_bounds__(THREADS) export_kernel1(otk_shape s, int n, int64_t all, otk_tensor src, float *nchw, float factor)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    int           channel;
    if (e >= all) return;
    const int64_t to = ot_nchw(s, e, &channel);
    if (channel < s.c) nchw[blockIdx.z * ((int64_t)n * s.c * s.h * s.w) + to] = ot_get((const T *)src.at + blockIdx.z * src.stride + e) * factor;
}

extern "C" int otk_export(otk_type type, otk_shape s, int chips, int n, otk_tensor src, float *nchw, float factor, otk_stream stream)
{
    const int64_t all = n * otk_image(s);
    if (all <= 0 || chips <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(all, THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? export_kernel1<__half> : export_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, s, n, all, src, nchw, factor);
}

/* gradient.cu - gradients of a convolution's weights (training): dW[ky][kx][in][out] = sum over pixels of src gathered times g.
 *
 * The sum over pixels is cut into slices whose number depends on sizes alone.  A block makes 64 x 64 gradients of one slice (a depthwise
 * one: 32 channels of one tap); a second kernel adds the slices in order, in double, and writes ONNX order.
 *
 *   1  as above; time on a GPU not measured yet (bench/README.md) */
#include "kernels/conv.cuh"
#include "kernels/store.cuh"

enum { THREADS = 256, TILE = 64, STEP = 16, LD = TILE + 4, CHANNELS = 32, LANES = THREADS / CHANNELS };

struct gradient_args {
    otk_conv     c;
    int          in, out, in_pad, out_pad; /* of a group */
    int          K, pixels, slice;         /* rows of the result; pixels of the output, and how many of them a slice takes */
    const float *src, *g;
    float       *partial;                  /* (slice, group, K, out_pad); depthwise (slice, tap, channel) */
};

/* Eight inputs at k.. of the window of output pixel `pixel`. */
__device__ __forceinline__ ot_eight window(const gradient_args &p, int pixel, int group, int k)
{
    if (k >= p.K) return ot_zero8();
    const int plane = p.c.out.h * p.c.out.w, image = pixel / plane, tap = k / p.in_pad, ch = k % p.in_pad;
    const int y = pixel % plane / p.c.out.w * p.c.sh - p.c.pt + tap / p.c.kw, x = pixel % p.c.out.w * p.c.sw - p.c.pl + tap % p.c.kw;
    if (y < 0 || x < 0 || y >= p.c.in.h || x >= p.c.in.w) return ot_zero8();
    const float *at = p.src + image * otk_image(p.c.in) + ((int64_t)y * p.c.in.w + x) * otk_channels(p.c.in.c) + group * p.in + ch;
    if (p.c.groups == 1 || p.in % 8 == 0) return ot_load8(at);
    ot_eight e = ot_zero8();
    for (int i = 0; i < 8 && ch + i < p.in; i++) e.v[i] = at[i];
    return e;
}

__device__ __forceinline__ ot_eight outputs(const gradient_args &p, int pixel, int group, int column)
{
    if (column >= p.out_pad) return ot_zero8();
    const float *at = p.g + (int64_t)pixel * otk_channels(p.c.out.c) + group * p.out + column;
    if (p.c.groups == 1 || p.out % 8 == 0) return ot_load8(at);
    ot_eight e = ot_zero8();
    for (int i = 0; i < 8 && column + i < p.out; i++) e.v[i] = at[i];
    return e;
}

__global__ void __launch_bounds__(THREADS) gradient_kernel1(gradient_args p)
{
    OT_SHARED(float, a, [STEP][LD]);
    OT_SHARED(float, b, [STEP][LD]);
    const int tid = threadIdx.x, tiles = (p.K + TILE - 1) / TILE, k0 = (int)(blockIdx.x % tiles) * TILE, column0 = (int)(blockIdx.x / tiles) * TILE;
    const int group = blockIdx.y, first = (int)blockIdx.z * p.slice, end = first + p.slice < p.pixels ? first + p.slice : p.pixels;
    const int own = tid % 128, pixel_of = own / (TILE / 8), at8 = own % (TILE / 8) * 8, row = tid / 16 * 4, column = tid % 16 * 4;
    float     sum[4][4] = {};
    for (int base = first; base < end; base += STEP) {
        const int      pixel = base + pixel_of;
        const ot_eight v = pixel >= end ? ot_zero8() : tid < 128 ? window(p, pixel, group, k0 + at8) : outputs(p, pixel, group, column0 + at8);
        ot_store8((tid < 128 ? a[pixel_of] : b[pixel_of]) + at8, v);
        __syncthreads();
        for (int s = 0; s < STEP; s++)
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] = fmaf(a[s][row + i], b[s][column + j], sum[i][j]);
        __syncthreads();
    }
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            if (k0 + row + i < p.K && column0 + column + j < p.out_pad)
                p.partial[((blockIdx.z * (int64_t)p.c.groups + group) * p.K + k0 + row + i) * p.out_pad + column0 + column + j] = sum[i][j];
}

__global__ void __launch_bounds__(THREADS) depthwise_gradient_kernel1(gradient_args p)
{
    OT_SHARED(float, room, [LANES][CHANNELS]);
    const int cp = otk_channels(p.c.in.c), ch = (int)blockIdx.x * CHANNELS + threadIdx.x % CHANNELS, lane = threadIdx.x / CHANNELS, tap = blockIdx.y;
    const int first = (int)blockIdx.z * p.slice, end = first + p.slice < p.pixels ? first + p.slice : p.pixels, plane = p.c.out.h * p.c.out.w;
    float     sum = 0.0f;
    for (int pixel = first + lane; ch < cp && pixel < end; pixel += LANES) {
        const int y = pixel % plane / p.c.out.w * p.c.sh - p.c.pt + tap / p.c.kw, x = pixel % p.c.out.w * p.c.sw - p.c.pl + tap % p.c.kw;
        if (y < 0 || x < 0 || y >= p.c.in.h || x >= p.c.in.w) continue;
        sum = fmaf(p.src[pixel / plane * otk_image(p.c.in) + ((int64_t)y * p.c.in.w + x) * cp + ch], p.g[(int64_t)pixel * cp + ch], sum);
    }
    room[lane][threadIdx.x % CHANNELS] = sum;
    __syncthreads();
    if (lane || ch >= cp) return;
    for (int l = 1; l < LANES; l++) sum += room[l][threadIdx.x % CHANNELS];
    p.partial[(blockIdx.z * (int64_t)(p.c.kh * p.c.kw) + tap) * cp + ch] = sum;
}

__global__ void __launch_bounds__(THREADS) gradient_end_kernel1(otk_conv c, int depthwise, int64_t n, int slices, int64_t packed, const float *partial, float *dweight)
{
    const int64_t w = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (w >= n) return;
    const int64_t at = ot_packed(c, depthwise != 0, w);
    double        sum = 0.0;
    for (int s = 0; s < slices; s++) sum += (double)partial[s * packed + at];
    dweight[w] = (float)sum;
}

static gradient_args plan(const otk_conv *c, int n, int *slices)
{
    gradient_args p = {};
    p.c = *c;
    p.in = c->in.c / c->groups, p.out = c->out.c / c->groups, p.in_pad = otk_channels(p.in), p.out_pad = otk_channels(p.out);
    p.K = c->kh * c->kw * p.in_pad;
    p.pixels = n * c->out.h * c->out.w;
    p.slice = (int)ot_ceil(ot_ceil(p.pixels, 64), STEP) * STEP;
    if (p.slice < 256) p.slice = 256;
    *slices = (int)ot_ceil(p.pixels, p.slice);
    return p;
}

extern "C" size_t otk_conv_gradient_bytes(const otk_conv *c, int n)
{
    int slices;
    plan(c, n, &slices);
    return (size_t)slices * (size_t)otk_conv_weights(c) * sizeof(float);
}

extern "C" int otk_conv_gradient(const otk_conv *c, int n, const float *src, const float *g, float *dweight, void *partial, otk_stream stream)
{
    int           slices, e;
    gradient_args p = plan(c, n, &slices);
    const int64_t all = (int64_t)c->out.c * p.in * c->kh * c->kw;
    if (all <= 0 || p.pixels <= 0) return 0;
    p.src = src, p.g = g, p.partial = (float *)partial;
    if (otk_conv_depthwise(c)) {
        const dim3 grid((unsigned)ot_ceil(otk_channels(c->in.c), CHANNELS), (unsigned)(c->kh * c->kw), (unsigned)slices);
        e = ot_launch(depthwise_gradient_kernel1, grid, dim3(THREADS), 0, (cudaStream_t)stream, p);
    } else {
        const dim3 grid((unsigned)(ot_ceil(p.K, TILE) * ot_ceil(p.out_pad, TILE)), (unsigned)c->groups, (unsigned)slices);
        e = ot_launch(gradient_kernel1, grid, dim3(THREADS), 0, (cudaStream_t)stream, p);
    }
    if (e) return e;
    return ot_launch(gradient_end_kernel1, dim3((unsigned)ot_ceil(all, THREADS)), dim3(THREADS), 0, (cudaStream_t)stream, *c, otk_conv_depthwise(c), all, slices,
                     otk_conv_weights(c), (const float *)partial, dweight);
}

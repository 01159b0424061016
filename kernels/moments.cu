/* moments.cu - what is asked about a whole tensor: layer means for signatures, mean and spread for the closed form, infinities.
 *
 * Sums in double, thread by thread in order, then a tree; sizes alone decide the order. */
#include "kernels/reduce.cuh"
#include "kernels/store.cuh"

enum { THREADS = 256 };

/* One block an image of a chip. */
template <class T> __global__ void __launch_bounds__(THREADS) tap_kernel1(otk_shape s, otk_tensor src, float *tap, int64_t tap_stride, float factor)
{
    OT_SHARED(double, room, [THREADS]);
    const T *image = (const T *)src.at + blockIdx.z * src.stride + blockIdx.x * otk_image(s);
    double   sum = 0.0;
    for (int64_t e = threadIdx.x; e < otk_image(s) / 8; e += THREADS) {
        const ot_eight v = ot_load8(image + e * 8);
        for (int i = 0; i < 8; i++) sum += (double)v.v[i];
    }
    sum = ot_block_sum<THREADS>(sum, &room[0]);
    if (threadIdx.x == 0) tap[blockIdx.z * tap_stride + blockIdx.x] = (float)(sum * (double)factor / ((double)s.c * s.h * s.w));
}

extern "C" int otk_tap(otk_type type, otk_shape s, int chips, int n, otk_tensor src, float *tap, int64_t tap_stride, float factor, otk_stream stream)
{
    if (n <= 0 || chips <= 0) return 0;
    return ot_launch(type == OTK_F16 ? tap_kernel1<__half> : tap_kernel1<float>, dim3((unsigned)n, 1, (unsigned)chips), dim3(THREADS), 0, (cudaStream_t)stream, s, src, tap,
                     tap_stride, factor);
}

/* One block a channel of a chip: sum, and squares about the channel's mean. */
template <class T> __global__ void __launch_bounds__(THREADS) moments_kernel1(otk_shape s, int64_t pixels, otk_tensor src, double *partial, float factor)
{
    OT_SHARED(double, room, [THREADS]);
    const T *at = (const T *)src.at + blockIdx.z * src.stride + blockIdx.x;
    double   sum = 0.0, squares = 0.0;
    for (int64_t p = threadIdx.x; p < pixels; p += THREADS) sum += (double)(ot_get(at + p * otk_channels(s.c)) * factor);
    sum = ot_block_sum<THREADS>(sum, &room[0]);
    const double own = sum / (double)pixels;
    for (int64_t p = threadIdx.x; p < pixels; p += THREADS) {
        const double d = (double)(ot_get(at + p * otk_channels(s.c)) * factor) - own;
        squares += d * d;
    }
    squares = ot_block_sum<THREADS>(squares, &room[0]);
    if (threadIdx.x == 0) {
        partial[(blockIdx.z * (int64_t)s.c + blockIdx.x) * 2] = sum;
        partial[(blockIdx.z * (int64_t)s.c + blockIdx.x) * 2 + 1] = squares;
    }
}

/* One block a chip. */
__global__ void __launch_bounds__(THREADS) moments_end_kernel1(int channels, double values, const double *partial, double *out)
{
    OT_SHARED(double, room, [THREADS]);
    const double *own = partial + blockIdx.x * (int64_t)channels * 2;
    double        sum = 0.0, squares = 0.0;
    for (int c = threadIdx.x; c < channels; c += THREADS) {
        sum += own[2 * c];
        squares += own[2 * c + 1];
    }
    sum = ot_block_sum<THREADS>(sum, &room[0]);
    squares = ot_block_sum<THREADS>(squares, &room[0]);
    if (threadIdx.x == 0) {
        out[2 * blockIdx.x] = sum / values;
        out[2 * blockIdx.x + 1] = sqrt(squares / values);
    }
}

extern "C" size_t otk_moments_bytes(otk_shape s, int chips) { return (size_t)chips * (size_t)s.c * 2 * sizeof(double); }

extern "C" int otk_moments(otk_type type, otk_shape s, int chips, int n, otk_tensor src, double *out, float factor, void *partial, otk_stream stream)
{
    const int64_t pixels = (int64_t)n * s.h * s.w;
    if (pixels <= 0 || chips <= 0) return 0;
    const int e = ot_launch(type == OTK_F16 ? moments_kernel1<__half> : moments_kernel1<float>, dim3((unsigned)s.c, 1, (unsigned)chips), dim3(THREADS), 0,
                            (cudaStream_t)stream, s, pixels, src, (double *)partial, factor);
    if (e) return e;
    return ot_launch(moments_end_kernel1, dim3((unsigned)chips), dim3(THREADS), 0, (cudaStream_t)stream, s.c, (double)pixels * s.c, (const double *)partial, out);
}

template <class T> __global__ void __launch_bounds__(THREADS) largest_kernel1(int64_t all, const T *src, uint32_t *bits)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    uint32_t      own = e < all ? ot_float_bits(ot_get(src + e)) & 0x7fffffffu : 0;
    for (int by = 16; by > 0; by /= 2) {
        const uint32_t other = __shfl_xor_sync(0xffffffffu, own, by);
        own = other > own ? other : own;
    }
    if (threadIdx.x % 32 == 0) atomicMax(bits, own);
}

extern "C" int otk_largest(otk_type type, otk_shape s, int n, const void *src, uint32_t *bits, otk_stream stream)
{
    const int64_t all = n * otk_image(s);
    if (all <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(all, THREADS));
    if (type == OTK_F16) return ot_launch(largest_kernel1<__half>, grid, dim3(THREADS), 0, (cudaStream_t)stream, all, (const __half *)src, bits);
    return ot_launch(largest_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, all, (const float *)src, bits);
}

template <class T> __global__ void __launch_bounds__(THREADS) finite_kernel1(int64_t all, otk_tensor src, int *flags)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e < all && !isfinite(ot_get((const T *)src.at + blockIdx.z * src.stride + e))) atomicOr(&flags[blockIdx.z], 1);
}

extern "C" int otk_finite(otk_type type, otk_shape s, int chips, int n, otk_tensor src, int *flags, otk_stream stream)
{
    const int64_t all = n * otk_image(s);
    if (all <= 0 || chips <= 0) return 0;
    return ot_launch(type == OTK_F16 ? finite_kernel1<__half> : finite_kernel1<float>, dim3((unsigned)ot_ceil(all, THREADS), 1, (unsigned)chips), dim3(THREADS), 0,
                     (cudaStream_t)stream, all, src, flags);
}

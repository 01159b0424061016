/* norm.cu - batch norm with the minibatch's own statistics (training; Ioffe and Szegedy 2015), and sums over channels; one chip, float tensors.
 *
 *     xhat = (x - mean) / sqrt(var + eps), y = gamma xhat + beta, mean and (biased) var over the m values of a channel
 *     dbeta = sum g, dgamma = sum g xhat, dx = gamma / sqrt(var + eps) (g - dbeta / m - xhat dgamma / m)
 *
 * Three kernels each way: sums of a slice of the pixels, 32 channels side by side so that a warp reads what lies together; the slices added
 * in order; then every element for itself.  Sums are in double, those of squares about the channel's first value, which is near enough to its
 * mean to lose no digits that a float holds.  The number of slices depends on sizes alone.
 *
 *   1  one block a channel, three passes over it     a warp read one float of each 32 bytes it loaded, and few blocks filled the card
 *   2  as above; time on a GPU not measured yet (bench/README.md) */
#include "kernels/cuda.h"
#include "kernels/store.cuh"

enum { THREADS = 256, CHANNELS = 32, ROWS = THREADS / CHANNELS, SLICES = 64, LEAST = 64 };

/* Pixels a slice. */
static int64_t slice_of(int64_t pixels)
{
    const int64_t slice = ot_ceil(pixels, SLICES);
    return slice < LEAST ? (int64_t)LEAST : slice;
}

/* Adds two numbers over the rows of a block; the first row has the sums. */
__device__ __forceinline__ void over_rows(double *a, double *b, double (*room)[ROWS][CHANNELS])
{
    const int lane = threadIdx.x % CHANNELS, row = threadIdx.x / CHANNELS;
    room[0][row][lane] = *a;
    room[1][row][lane] = *b;
    __syncthreads();
    for (int r = 1; row == 0 && r < ROWS; r++) {
        *a += room[0][r][lane];
        *b += room[1][r][lane];
    }
}

/* partial (slice, 2, channels): sums of d = x - first and of d^2. */
__global__ void __launch_bounds__(THREADS) norm_sums_kernel1(int c_padded, int64_t pixels, int64_t slice, const float *src, double *partial)
{
    OT_SHARED(double, room, [2][ROWS][CHANNELS]);
    const int     c = (int)blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
    const int64_t first = blockIdx.y * slice, end = first + slice < pixels ? first + slice : pixels;
    double        sum = 0.0, squares = 0.0;
    if (c < c_padded) {
        const double about = (double)src[c];
        for (int64_t p = first + threadIdx.x / CHANNELS; p < end; p += ROWS) {
            const double d = (double)src[p * c_padded + c] - about;
            sum += d;
            squares += d * d;
        }
    }
    over_rows(&sum, &squares, &room[0]);
    if (threadIdx.x >= CHANNELS || c >= c_padded) return;
    partial[(blockIdx.y * 2 + 0) * (int64_t)c_padded + c] = sum;
    partial[(blockIdx.y * 2 + 1) * (int64_t)c_padded + c] = squares;
}

__device__ __forceinline__ void over_slices(const double *partial, int slices, int c_padded, int c, double *a, double *b)
{
    *a = *b = 0.0;
    for (int s = 0; s < slices; s++) {
        *a += partial[(s * 2 + 0) * (int64_t)c_padded + c];
        *b += partial[(s * 2 + 1) * (int64_t)c_padded + c];
    }
}

__global__ void __launch_bounds__(THREADS) norm_end_kernel1(otk_shape s, int64_t pixels, int slices, const float *src, const double *partial, double eps, double *mean,
                                                            double *var, double *inverse)
{
    const int c = (int)blockIdx.x * THREADS + threadIdx.x;
    if (c >= s.c) return;
    const double m = (double)pixels;
    double       sum, squares;
    over_slices(partial, slices, otk_channels(s.c), c, &sum, &squares);
    const double v = (squares - sum * sum / m) / m, held = v < 0.0 ? 0.0 : v;
    mean[c] = (double)src[c] + sum / m;
    var[c] = held;
    inverse[c] = 1.0 / sqrt(held + eps);
}

__global__ void __launch_bounds__(THREADS) norm_kernel2(otk_shape s, int64_t eights, const float *src, float *dst, const float *gamma, const float *beta,
                                                        const double *mean, const double *inverse)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e >= eights) return;
    const int c = (int)(e % (otk_channels(s.c) / 8)) * 8;
    ot_eight  x = ot_load8(src + e * 8);
#pragma unroll
    for (int i = 0; i < 8; i++)
        x.v[i] = c + i < s.c ? (float)(((double)x.v[i] - mean[c + i]) * inverse[c + i] * (double)gamma[c + i] + (double)beta[c + i]) : 0.0f;
    ot_store8(dst + e * 8, x);
}

extern "C" size_t otk_norm_bytes(otk_shape s, int n)
{
    const int64_t pixels = (int64_t)n * s.h * s.w;
    return pixels <= 0 ? 0 : (size_t)ot_ceil(pixels, slice_of(pixels)) * 2 * (size_t)otk_channels(s.c) * sizeof(double);
}

static dim3 sums_grid(otk_shape s, int64_t pixels)
{
    return dim3((unsigned)ot_ceil(otk_channels(s.c), CHANNELS), (unsigned)ot_ceil(pixels, slice_of(pixels)));
}

extern "C" int otk_norm_forward(otk_shape s, int n, const float *src, float *dst, const float *gamma, const float *beta, double eps, double *mean,
                                double *var, double *inverse, void *partial, otk_stream stream)
{
    const int64_t pixels = (int64_t)n * s.h * s.w, slice = slice_of(pixels), eights = pixels * otk_channels(s.c) / 8;
    if (eights <= 0) return 0;
    int e = ot_launch(norm_sums_kernel1, sums_grid(s, pixels), dim3(THREADS), 0, (cudaStream_t)stream, otk_channels(s.c), pixels, slice, src, (double *)partial);
    if (!e)
        e = ot_launch(norm_end_kernel1, dim3((unsigned)ot_ceil(s.c, THREADS)), dim3(THREADS), 0, (cudaStream_t)stream, s, pixels, (int)ot_ceil(pixels, slice), src,
                      (const double *)partial, eps, mean, var, inverse);
    if (e) return e;
    return ot_launch(norm_kernel2, dim3((unsigned)ot_ceil(eights, THREADS)), dim3(THREADS), 0, (cudaStream_t)stream, s, eights, src, dst, gamma, beta, mean, inverse);
}

/* partial (slice, 2, channels): sums of g (x - mean) and of g. */
__global__ void __launch_bounds__(THREADS) norm_back_sums_kernel1(otk_shape s, int64_t pixels, int64_t slice, const float *src, const float *g, const double *mean,
                                                                  double *partial)
{
    OT_SHARED(double, room, [2][ROWS][CHANNELS]);
    const int     cp = otk_channels(s.c), c = (int)blockIdx.x * CHANNELS + threadIdx.x % CHANNELS;
    const int64_t first = blockIdx.y * slice, end = first + slice < pixels ? first + slice : pixels;
    double        with_x = 0.0, alone = 0.0;
    if (c < s.c) {
        const double own = mean[c];
        for (int64_t p = first + threadIdx.x / CHANNELS; p < end; p += ROWS) {
            const double v = (double)g[p * cp + c];
            with_x += v * ((double)src[p * cp + c] - own);
            alone += v;
        }
    }
    over_rows(&with_x, &alone, &room[0]);
    if (threadIdx.x >= CHANNELS || c >= s.c) return;
    partial[(blockIdx.y * 2 + 0) * (int64_t)cp + c] = with_x;
    partial[(blockIdx.y * 2 + 1) * (int64_t)cp + c] = alone;
}

/* The two sums end up in the first slice's place: of g xhat, and of g. */
__global__ void __launch_bounds__(THREADS) norm_back_end_kernel1(otk_shape s, int slices, const double *inverse, double *partial, float *dgamma, float *dbeta)
{
    const int c = (int)blockIdx.x * THREADS + threadIdx.x, cp = otk_channels(s.c);
    if (c >= s.c) return;
    double with_x, alone;
    over_slices(partial, slices, cp, c, &with_x, &alone);
    with_x *= inverse[c];
    partial[c] = with_x;
    partial[cp + c] = alone;
    dgamma[c] = (float)with_x;
    dbeta[c] = (float)alone;
}

__global__ void __launch_bounds__(THREADS) norm_back_kernel2(otk_shape s, int64_t eights, double m, const float *src, const float *g, float *dsrc, int add,
                                                             const float *gamma, const double *mean, const double *inverse, const double *sums)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e >= eights) return;
    const int      cp = otk_channels(s.c), c = (int)(e % (cp / 8)) * 8;
    const ot_eight x = ot_load8(src + e * 8);
    ot_eight       d = ot_load8(g + e * 8), old = add ? ot_load8(dsrc + e * 8) : ot_zero8();
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int k = c + i;
        if (k >= s.c) {
            d.v[i] = 0.0f;
            continue;
        }
        const double xhat = ((double)x.v[i] - mean[k]) * inverse[k];
        d.v[i] = (float)((double)old.v[i] + (double)gamma[k] * inverse[k] * ((double)d.v[i] - sums[cp + k] / m - xhat * sums[k] / m));
    }
    ot_store8(dsrc + e * 8, d);
}

extern "C" int otk_norm_back(otk_shape s, int n, const float *src, const float *g, float *dsrc, int add, const float *gamma, const double *mean,
                             const double *inverse, float *dgamma, float *dbeta, void *partial, otk_stream stream)
{
    const int64_t pixels = (int64_t)n * s.h * s.w, slice = slice_of(pixels), eights = pixels * otk_channels(s.c) / 8;
    if (eights <= 0) return 0;
    int e = ot_launch(norm_back_sums_kernel1, sums_grid(s, pixels), dim3(THREADS), 0, (cudaStream_t)stream, s, pixels, slice, src, g, mean, (double *)partial);
    if (!e)
        e = ot_launch(norm_back_end_kernel1, dim3((unsigned)ot_ceil(s.c, THREADS)), dim3(THREADS), 0, (cudaStream_t)stream, s, (int)ot_ceil(pixels, slice), inverse,
                      (double *)partial, dgamma, dbeta);
    if (e || !dsrc) return e;
    return ot_launch(norm_back_kernel2, dim3((unsigned)ot_ceil(eights, THREADS)), dim3(THREADS), 0, (cudaStream_t)stream, s, eights, (double)pixels, src, g, dsrc, add,
                     gamma, mean, inverse, (const double *)partial);
}

__global__ void __launch_bounds__(THREADS) channel_sums_kernel2(otk_shape s, double m, int slices, const float *g, const double *partial, float *out)
{
    const int c = (int)blockIdx.x * THREADS + threadIdx.x;
    if (c >= s.c) return;
    double sum, squares;
    over_slices(partial, slices, otk_channels(s.c), c, &sum, &squares);
    out[c] = (float)(sum + m * (double)g[c]);
}

extern "C" int otk_channel_sums(otk_shape s, int n, const float *g, float *out, void *partial, otk_stream stream)
{
    const int64_t pixels = (int64_t)n * s.h * s.w, slice = slice_of(pixels);
    if (pixels <= 0 || s.c <= 0) return 0;
    const int e = ot_launch(norm_sums_kernel1, sums_grid(s, pixels), dim3(THREADS), 0, (cudaStream_t)stream, otk_channels(s.c), pixels, slice, g, (double *)partial);
    if (e) return e;
    return ot_launch(channel_sums_kernel2, dim3((unsigned)ot_ceil(s.c, THREADS)), dim3(THREADS), 0, (cudaStream_t)stream, s, (double)pixels, (int)ot_ceil(pixels, slice), g,
                     (const double *)partial, out);
}

__global__ void __launch_bounds__(THREADS) norm_statistics_kernel1(int c, double m, const double *mean, const double *var, float *out)
{
    const int k = (int)blockIdx.x * THREADS + threadIdx.x;
    if (k >= c) return;
    out[k] = (float)mean[k];
    out[c + k] = (float)(var[k] * (m / (m > 1.0 ? m - 1.0 : 1.0)));
}

extern "C" int otk_norm_statistics(int c, int64_t count, const double *mean, const double *var, float *out, otk_stream stream)
{
    if (c <= 0) return 0;
    return ot_launch(norm_statistics_kernel1, dim3((unsigned)ot_ceil(c, THREADS)), dim3(THREADS), 0, (cudaStream_t)stream, c, (double)count, mean, var, out);
}

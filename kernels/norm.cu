/* norm.cu - batch norm with the minibatch's own statistics (training; Ioffe and Szegedy 2015), one chip, float tensors.
 *
 *     xhat = (x - mean) / sqrt(var + eps), y = gamma xhat + beta, mean and (biased) var over the m values of a channel
 *     dbeta = sum g, dgamma = sum g xhat, dx = gamma / sqrt(var + eps) (g - dbeta / m - xhat dgamma / m)
 *
 * A block does one channel: its passes over the channel follow each other, sums are in double. */
#include "kernels/reduce.cuh"
#include "kernels/store.cuh"

enum { THREADS = 256 };

__global__ void __launch_bounds__(THREADS) norm_kernel1(otk_shape s, int64_t pixels, const float *src, float *dst, const float *gamma, const float *beta,
                                                        double eps, double *mean, double *var, double *inverse)
{
    OT_SHARED(double, room, [THREADS]);
    const int c = blockIdx.x, cp = otk_channels(s.c);
    double    sum = 0.0, squares = 0.0;
    if (c >= s.c) {                                       /* padding */
        for (int64_t p = threadIdx.x; p < pixels; p += THREADS) dst[p * cp + c] = 0.0f;
        return;
    }
    for (int64_t p = threadIdx.x; p < pixels; p += THREADS) sum += (double)src[p * cp + c];
    const double own = ot_block_sum<THREADS>(sum, &room[0]) / (double)pixels;
    for (int64_t p = threadIdx.x; p < pixels; p += THREADS) {
        const double d = (double)src[p * cp + c] - own;
        squares += d * d;
    }
    const double v = ot_block_sum<THREADS>(squares, &room[0]) / (double)pixels, inv = 1.0 / sqrt(v + eps);
    for (int64_t p = threadIdx.x; p < pixels; p += THREADS)
        dst[p * cp + c] = (float)(((double)src[p * cp + c] - own) * inv * (double)gamma[c] + (double)beta[c]);
    if (threadIdx.x == 0) {
        mean[c] = own;
        var[c] = v;
        inverse[c] = inv;
    }
}

extern "C" int otk_norm_forward(otk_shape s, int n, const float *src, float *dst, const float *gamma, const float *beta, double eps, double *mean,
                                double *var, double *inverse, otk_stream stream)
{
    const int64_t pixels = (int64_t)n * s.h * s.w;
    if (pixels <= 0) return 0;
    return ot_launch(norm_kernel1, dim3((unsigned)otk_channels(s.c)), dim3(THREADS), 0, (cudaStream_t)stream, s, pixels, src, dst, gamma, beta, eps, mean, var, inverse);
}

__global__ void __launch_bounds__(THREADS) norm_back_kernel1(otk_shape s, int64_t pixels, const float *src, const float *g, float *dsrc, int add,
                                                             const float *gamma, const double *mean, const double *inverse, float *dgamma, float *dbeta)
{
    OT_SHARED(double, room, [THREADS]);
    const int c = blockIdx.x, cp = otk_channels(s.c);
    double    with_x = 0.0, alone = 0.0;
    if (c >= s.c) {
        for (int64_t p = threadIdx.x; dsrc && p < pixels; p += THREADS) dsrc[p * cp + c] = 0.0f;
        return;
    }
    for (int64_t p = threadIdx.x; p < pixels; p += THREADS) {
        const double v = (double)g[p * cp + c];
        with_x += v * ((double)src[p * cp + c] - mean[c]) * inverse[c];
        alone += v;
    }
    with_x = ot_block_sum<THREADS>(with_x, &room[0]);
    alone = ot_block_sum<THREADS>(alone, &room[0]);
    if (threadIdx.x == 0) {
        dgamma[c] = (float)with_x;
        dbeta[c] = (float)alone;
    }
    if (!dsrc) return;
    const double m = (double)pixels, k = (double)gamma[c] * inverse[c];
    for (int64_t p = threadIdx.x; p < pixels; p += THREADS) {
        const double xhat = ((double)src[p * cp + c] - mean[c]) * inverse[c];
        const double old = add ? (double)dsrc[p * cp + c] : 0.0;
        dsrc[p * cp + c] = (float)(old + k * ((double)g[p * cp + c] - alone / m - xhat * with_x / m));
    }
}

extern "C" int otk_norm_back(otk_shape s, int n, const float *src, const float *g, float *dsrc, int add, const float *gamma, const double *mean,
                             const double *inverse, float *dgamma, float *dbeta, otk_stream stream)
{
    const int64_t pixels = (int64_t)n * s.h * s.w;
    if (pixels <= 0) return 0;
    return ot_launch(norm_back_kernel1, dim3((unsigned)otk_channels(s.c)), dim3(THREADS), 0, (cudaStream_t)stream, s, pixels, src, g, dsrc, add, gamma, mean, inverse,
                     dgamma, dbeta);
}

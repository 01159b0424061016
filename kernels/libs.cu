/* libs.cu - weights in the order that cuDNN wants: (out, ky, kx, in), in and out of a group rounded up to 8 as in the packed order.
 *
 *   1  32 x 32 weights a block, turned in shared memory; time on a GPU not measured yet (bench/README.md) */
#include "kernels/cuda.h"
#include "kernels/store.cuh"

enum { TURN = 32, LINES = 8, THREADS = 256 };

/* A group's matrix (rows, columns) to (columns, rows). */
template <class T> __global__ void __launch_bounds__(THREADS) krsc_kernel1(const T *from, T *to, int rows, int columns)
{
    OT_SHARED(float, turn, [TURN][TURN + 1]);              /* a half is a float */
    const int     x = threadIdx.x % TURN, y0 = threadIdx.x / TURN, row = blockIdx.x * TURN, column = blockIdx.y * TURN;
    const int64_t group = blockIdx.z * (int64_t)rows * columns;
    for (int y = y0; y < TURN; y += LINES)
        if (row + y < rows && column + x < columns) turn[y][x] = ot_get(from + group + (int64_t)(row + y) * columns + column + x);
    __syncthreads();
    for (int y = y0; y < TURN; y += LINES)
        if (row + x < rows && column + y < columns) ot_put(to + group + (int64_t)(column + y) * rows + row + x, turn[x][y]);
}

extern "C" int otk_conv_krsc(const otk_conv *c, otk_type type, const void *packed, void *krsc, otk_stream stream)
{
    const int  rows = c->kh * c->kw * otk_channels(c->in.c / c->groups), columns = otk_channels(c->out.c / c->groups);
    const dim3 grid((unsigned)ot_ceil(rows, TURN), (unsigned)ot_ceil(columns, TURN), (unsigned)c->groups);
    if (rows <= 0 || columns <= 0) return 0;
    if (type == OTK_F16) return ot_launch(krsc_kernel1<__half>, grid, dim3(THREADS), 0, (cudaStream_t)stream, (const __half *)packed, (__half *)krsc, rows, columns);
    return ot_launch(krsc_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, (const float *)packed, (float *)krsc, rows, columns);
}

__global__ void __launch_bounds__(THREADS) krsc_to_onnx_kernel1(otk_conv c, int64_t n, const float *krsc, float *onnx)
{
    const int64_t w = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (w >= n) return;
    const int     taps = c.kh * c.kw, in = c.in.c / c.groups, out = c.out.c / c.groups;
    const int64_t o = w / taps / in, line = o / out * otk_channels(out) + o % out;
    onnx[w] = krsc[(line * taps + w % taps) * otk_channels(in) + w / taps % in];
}

extern "C" int otk_conv_krsc_to_onnx(const otk_conv *c, const float *krsc, float *onnx, otk_stream stream)
{
    const int64_t n = (int64_t)c->out.c * (c->in.c / c->groups) * c->kh * c->kw;
    if (n <= 0) return 0;
    return ot_launch(krsc_to_onnx_kernel1, dim3((unsigned)ot_ceil(n, THREADS)), dim3(THREADS), 0, (cudaStream_t)stream, *c, n, krsc, onnx);
}

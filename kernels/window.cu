/* window.cu - steps without weights: pools, pad, slice, reshape; forward and to the data.
 *
 * A thread makes one element.  Forward it reads its window; backward it visits the outputs whose windows hold it, in order, so that no
 * two threads add to one place.  What a window is, is said once (window_of). */
#include "kernels/store.cuh"

enum { THREADS = 256 };

struct span { int y0, y1, x0, x1; float divisor; };

__device__ __forceinline__ int least(int a, int b) { return a < b ? a : b; }
__device__ __forceinline__ int most(int a, int b) { return a > b ? a : b; }

__device__ __forceinline__ span window_of(const otk_window &w, int oy, int ox)
{
    if (w.kind == OTK_GLOBAL_AVG) return {0, w.in.h, 0, w.in.w, (float)w.in.h * (float)w.in.w};
    const int y = oy * w.sh - w.pt, x = ox * w.sw - w.pl;
    span s = {most(y, 0), least(y + w.kh, w.in.h), most(x, 0), least(x + w.kw, w.in.w), 1.0f};
    int rows = s.y1 - s.y0, columns = s.x1 - s.x0;
    if (w.count_pad) {                                    /* padding counts, what ceil_mode adds beyond it does not */
        rows = least(y + w.kh, w.in.h + w.pb) - y;
        columns = least(x + w.kw, w.in.w + w.pr) - x;
    }
    if (rows > 0 && columns > 0) s.divisor = (float)rows * (float)columns;
    return s;
}

__device__ __forceinline__ int64_t at(otk_shape s, int y, int x, int c) { return ((int64_t)y * s.w + x) * otk_channels(s.c) + c; }

/* The first largest element, row by row; NaN counts as largest. */
template <class T> __device__ __forceinline__ void largest(const otk_window &w, const T *image, span s, int c, int *best_y, int *best_x, float *value)
{
    *best_y = s.y0, *best_x = s.x0, *value = ot_get(image + at(w.in, s.y0, s.x0, c));
    for (int y = s.y0; y < s.y1; y++)
        for (int x = s.x0; x < s.x1; x++) {
            const float v = ot_get(image + at(w.in, y, x, c));
            if (*value == *value && !(v <= *value)) *best_y = y, *best_x = x, *value = v;
        }
}

/* Where element (c, y, x) of a PAD's, SLICE's or RESHAPE's output comes from; 0 if from nowhere. */
__device__ __forceinline__ int source(const otk_window &w, int c, int y, int x, int *ic, int *iy, int *ix)
{
    if (w.kind == OTK_PAD) {
        *ic = c - w.before[0], *iy = y - w.before[1], *ix = x - w.before[2];
        return *ic >= 0 && *ic < w.in.c && *iy >= 0 && *iy < w.in.h && *ix >= 0 && *ix < w.in.w;
    }
    if (w.kind == OTK_SLICE) {
        *ic = w.start[0] + c * w.step[0], *iy = w.start[1] + y * w.step[1], *ix = w.start[2] + x * w.step[2];
        return 1;
    }
    const int64_t e = ((int64_t)c * w.out.h + y) * w.out.w + x;
    *ix = (int)(e % w.in.w), *iy = (int)(e / w.in.w % w.in.h), *ic = (int)(e / w.in.w / w.in.h);
    return 1;
}

template <class T> __device__ __forceinline__ float forward_of(const otk_window &w, const T *image, int c, int y, int x)
{
    int   iy, ix, ic;
    float v;
    if (w.kind >= OTK_PAD) return source(w, c, y, x, &ic, &iy, &ix) ? ot_get(image + at(w.in, iy, ix, ic)) : w.pad_value;
    const span s = window_of(w, y, x);
    if (w.kind == OTK_MAX_POOL) {
        largest(w, image, s, c, &iy, &ix, &v);
        return v;
    }
    double sum = 0.0;
    for (iy = s.y0; iy < s.y1; iy++)
        for (ix = s.x0; ix < s.x1; ix++) sum += (double)ot_get(image + at(w.in, iy, ix, c));
    return (float)(sum / (double)s.divisor);
}

template <class T> __global__ void __launch_bounds__(THREADS) window_kernel1(otk_window w, int64_t all, otk_tensor src, otk_tensor dst, float factor)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e >= all) return;
    const int     cp = otk_channels(w.out.c), c = (int)(e % cp), x = (int)(e / cp % w.out.w), y = (int)(e / cp / w.out.w % w.out.h);
    const int64_t image = e / cp / w.out.w / w.out.h;
    const T      *from = (const T *)src.at + blockIdx.z * src.stride + image * otk_image(w.in);
    ot_put((T *)dst.at + blockIdx.z * dst.stride + e, c < w.out.c ? forward_of(w, from, c, y, x) * factor : 0.0f);
}

/* Outputs whose window may hold coordinate i: first..end. */
__device__ __forceinline__ void covering(int i, int k, int stride, int pad, int n, int *first, int *end)
{
    *first = i + pad - k + 1 <= 0 ? 0 : (i + pad - k + stride) / stride;
    *end = least((i + pad) / stride + 1, n);
}

template <class T> __device__ __forceinline__ float back_of(const otk_window &w, const T *image, const T *g, int c, int y, int x)
{
    float sum = 0.0f;
    if (w.kind == OTK_GLOBAL_AVG) return ot_get(g + c) / ((float)w.in.h * (float)w.in.w);
    if (w.kind == OTK_PAD) return ot_get(g + at(w.out, y + w.before[1], x + w.before[2], c + w.before[0]));
    if (w.kind == OTK_SLICE) {
        const int dc = c - w.start[0], dy = y - w.start[1], dx = x - w.start[2];
        const int oc = dc / w.step[0], oy = dy / w.step[1], ox = dx / w.step[2];
        const bool taken = oc * w.step[0] == dc && oy * w.step[1] == dy && ox * w.step[2] == dx;
        const bool there = oc >= 0 && oc < w.out.c && oy >= 0 && oy < w.out.h && ox >= 0 && ox < w.out.w;
        return taken && there ? ot_get(g + at(w.out, oy, ox, oc)) : 0.0f;
    }
    if (w.kind == OTK_RESHAPE) {
        const int64_t e = ((int64_t)c * w.in.h + y) * w.in.w + x;
        return ot_get(g + at(w.out, (int)(e / w.out.w % w.out.h), (int)(e % w.out.w), (int)(e / w.out.w / w.out.h)));
    }
    int y0, y1, x0, x1;
    covering(y, w.kh, w.sh, w.pt, w.out.h, &y0, &y1);
    covering(x, w.kw, w.sw, w.pl, w.out.w, &x0, &x1);
    for (int oy = y0; oy < y1; oy++)
        for (int ox = x0; ox < x1; ox++) {
            const span  s = window_of(w, oy, ox);
            const float v = ot_get(g + at(w.out, oy, ox, c));
            if (w.kind == OTK_AVG_POOL) {
                sum += v / s.divisor;
                continue;
            }
            int   by, bx;
            float value;
            largest(w, image, s, c, &by, &bx, &value);
            if (by == y && bx == x) sum += v;
        }
    return sum;
}

template <class T>
__global__ void __launch_bounds__(THREADS) window_data_kernel1(otk_window w, int64_t all, otk_tensor src, otk_tensor g, otk_tensor dsrc, float factor, int add)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e >= all) return;
    const int     cp = otk_channels(w.in.c), c = (int)(e % cp), x = (int)(e / cp % w.in.w), y = (int)(e / cp / w.in.w % w.in.h);
    const int64_t image = e / cp / w.in.w / w.in.h;
    T            *to = (T *)dsrc.at + blockIdx.z * dsrc.stride + e;
    const T      *gi = (const T *)g.at + blockIdx.z * g.stride + image * otk_image(w.out);
    const T      *si = (const T *)src.at + blockIdx.z * src.stride + image * otk_image(w.in);
    const float   old = add ? ot_get(to) : 0.0f;
    ot_put(to, c < w.in.c ? fmaf(back_of(w, si, gi, c, y, x), factor, old) : 0.0f);
}

extern "C" int otk_window_forward(otk_type type, const otk_window *w, int chips, int n, otk_tensor src, otk_tensor dst, float factor, otk_stream stream)
{
    const int64_t all = n * otk_image(w->out);
    if (all <= 0 || chips <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(all, THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? window_kernel1<__half> : window_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, *w, all, src, dst, factor);
}

extern "C" int otk_window_data(otk_type type, const otk_window *w, int chips, int n, otk_tensor src, otk_tensor g, otk_tensor dsrc, float factor, int add,
                               otk_stream stream)
{
    const int64_t all = n * otk_image(w->in);
    if (all <= 0 || chips <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(all, THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? window_data_kernel1<__half> : window_data_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, *w, all, src, g, dsrc,
                     factor, add);
}

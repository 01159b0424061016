/* input.cu - images: kept on the device as they are in the file, made into the network's input as they are wanted.  One tensor serves all
 * chips.
 *
 * Input spikes are T frames, drawn as host/plan/spiking.c draws them.  A thread draws the four words of its pixel's
 * group and takes one: three in four are thrown away, and still a tile's input takes a thousandth of what the network does with it. */
#include "kernels/crop.h"
#include "kernels/philox.h"
#include "kernels/store.cuh"

enum { THREADS = 256 };

struct input_args {
    otk_shape       s;
    int             n;
    const uint8_t  *pixels;
    const float    *values, *scale, *shift;
    const uint32_t *rows, *step;
    int64_t         per_step, first;
    uint32_t       *wanted;
    float           factor;
    const uint32_t *crops;                 /* NULL: whole images */
    int             pad;
};

/* x * scale + shift, the product rounded too: the bits of ot_data_image. */
__device__ __forceinline__ float rounded_twice(float x, float scale, float shift)
{
#ifdef __CUDACC__
    return __fadd_rn(__fmul_rn(x, scale), shift);
#else
    return x * scale + shift;
#endif
}

/* Where image i stands in the lists, and which one it is. */
__device__ __forceinline__ int64_t slot_of(const input_args &p, int64_t i) { return p.first + (p.step ? *p.step * p.per_step : 0) + i; }
__device__ __forceinline__ int64_t row_of(const input_args &p, int64_t i) { return p.rows ? (int64_t)p.rows[slot_of(p, i)] : slot_of(p, i); }

/* Number `at` of picture `row`, in channel c. */
__device__ __forceinline__ float number_of(const input_args &p, int64_t row, int c, int64_t at)
{
    const int64_t from = row * p.s.c * p.s.h * p.s.w + at;
    return p.pixels ? rounded_twice((float)p.pixels[from], p.scale[c], p.shift[c]) : p.values[from];
}

/* The same of pixel (y, x) of a crop: black lies around the picture. */
__device__ __forceinline__ float cropped(const input_args &p, int64_t row, int c, int y, int x, uint32_t crop)
{
    int from_y, from_x;
    if (!ot_crop_from(crop, p.pad, p.s.h, p.s.w, y, x, &from_y, &from_x)) return p.pixels ? p.shift[c] : 0.0f;
    return number_of(p, row, c, ((int64_t)c * p.s.h + from_y) * p.s.w + from_x);
}

template <class T> __global__ void __launch_bounds__(THREADS) input_kernel1(input_args p, T *dst, int64_t all)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e >= all) return;
    const int     cp = otk_channels(p.s.c), c = (int)(e % cp);
    const int64_t pixel = e / cp, plane = (int64_t)p.s.h * p.s.w, i = pixel / plane;
    const int64_t row = row_of(p, i);
    if (p.wanted && e % (plane * cp) == 0) p.wanted[i] = (uint32_t)row;
    float x = 0.0f;
    if (c < p.s.c && p.crops) x = cropped(p, row, c, (int)(pixel % plane / p.s.w), (int)(pixel % p.s.w), p.crops[slot_of(p, i)]);
    else if (c < p.s.c) x = number_of(p, row, c, c * plane + pixel % plane);
    ot_put(dst + e, x * p.factor);
}

static int input(otk_type type, const input_args &p, void *dst, otk_stream stream)
{
    const int64_t all = p.n * otk_image(p.s);
    const dim3    grid((unsigned)ot_ceil(all, THREADS));
    if (all <= 0) return 0;
    if (type == OTK_F16) return ot_launch(input_kernel1<__half>, grid, dim3(THREADS), 0, (cudaStream_t)stream, p, (__half *)dst, all);
    return ot_launch(input_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, p, (float *)dst, all);
}

extern "C" int otk_input(otk_type type, otk_shape s, int n, const uint8_t *pixels, const float *values, const float *scale, const float *shift,
                         const uint32_t *rows, const uint32_t *step, int64_t per_step, int64_t first, void *dst, uint32_t *wanted, float factor, otk_stream stream)
{
    const input_args p = {s, n, pixels, values, scale, shift, rows, step, per_step, first, wanted, factor, NULL, 0};
    return input(type, p, dst, stream);
}

extern "C" int otk_input_crops(otk_type type, otk_shape s, int n, const uint8_t *pixels, const float *values, const float *scale, const float *shift,
                               const uint32_t *rows, const uint32_t *step, int64_t per_step, int64_t first, const uint32_t *crops, int pad, void *dst,
                               uint32_t *wanted, float factor, otk_stream stream)
{
    const input_args p = {s, n, pixels, values, scale, shift, rows, step, per_step, first, wanted, factor, crops, pad};
    return input(type, p, dst, stream);
}

/* The uniform number of a pixel at a step. */
__device__ __forceinline__ float drawn(uint64_t seed, int64_t row, int step, int64_t at)
{
    uint32_t w[4];
    ot_philox(&w[0], &w[1], &w[2], &w[3], seed, (uint32_t)(at / 4), (uint32_t)step, (uint32_t)row, OT_PURPOSE_SPIKES);
    const uint32_t word = at % 4 < 2 ? at % 4 ? w[1] : w[0] : at % 4 == 2 ? w[2] : w[3];
    return (float)(word >> 8) * 0x1p-24f;
}

template <class T> __global__ void __launch_bounds__(THREADS) input_spikes_kernel1(input_args p, otk_coding coding, int steps, uint64_t seed, T *dst, int64_t all)
{
    const int64_t e = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (e >= all) return;
    const int     cp = otk_channels(p.s.c), c = (int)(e % cp);
    const int64_t pixel = e / cp, plane = (int64_t)p.s.h * p.s.w, frame = pixel / plane, i = frame / steps, t = frame % steps;
    const int64_t row = row_of(p, i);
    if (p.wanted && e % (plane * cp * steps) == 0) p.wanted[i] = (uint32_t)row;
    float spike = 0.0f;
    if (c < p.s.c) {
        const int64_t at = c * plane + pixel % plane;
        const float   x = number_of(p, row, c, at);
        spike = coding == OTK_CODING_RATE ? drawn(seed, row, (int)t, at) < x : x > 0.0f && (int)rintf((1.0f - x) * (float)(steps - 1)) == t;
    }
    ot_put(dst + e, spike * p.factor);
}

extern "C" int otk_input_spikes(otk_type type, otk_shape s, int n, otk_coding coding, int steps, uint64_t seed, const uint8_t *pixels, const float *values, const float *scale,
                                const float *shift, const uint32_t *rows, const uint32_t *step, int64_t per_step, int64_t first, void *dst, uint32_t *wanted, float factor,
                                otk_stream stream)
{
    const int64_t    all = n * (int64_t)steps * otk_image(s);
    const dim3       grid((unsigned)ot_ceil(all, THREADS));
    const input_args p = {s, n, pixels, values, scale, shift, rows, step, per_step, first, wanted, factor, NULL, 0};
    if (all <= 0) return 0;
    if (type == OTK_F16) return ot_launch(input_spikes_kernel1<__half>, grid, dim3(THREADS), 0, (cudaStream_t)stream, p, coding, steps, seed, (__half *)dst, all);
    return ot_launch(input_spikes_kernel1<float>, grid, dim3(THREADS), 0, (cudaStream_t)stream, p, coding, steps, seed, (float *)dst, all);
}

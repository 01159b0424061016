/* draw.cu - the weights of a layer on many chips, cell by cell: what host/chip/draw_loop.h does on a CPU, the same bits.
 *
 * A thread draws one weight of one chip (grid z) from draw.h's functions and puts it in its packed place.  The chip's polynomials lie in
 * shared memory.  Compiled with --fmad=false.
 *
 *   1  each cell computes its whole group of four, as draw.h says
 *   2  a weight's cells follow each other, so each array keeps its group until it is used up: a quarter of the random words
 *   Times on a GPU not measured yet (bench/README.md) */
#include "kernels/conv.cuh"
#include "kernels/draw.h"
#include "kernels/store.cuh"

enum { THREADS = 128 };

/* The chip's map to shared memory. */
__device__ __forceinline__ void load_map(ot_cell_map *map, const ot_cell_map *from)
{
    const uint32_t *words = (const uint32_t *)from;
    for (int i = threadIdx.x; i < (int)(sizeof(ot_cell_map) / 4); i += THREADS) ((uint32_t *)map)[i] = words[i];
    __syncthreads();
}

template <class T> __global__ void __launch_bounds__(THREADS) draw_kernel1(otk_conv c, int depthwise, int64_t n, otk_draw d, otk_tensor weight)
{
    OT_SHARED(ot_cell_map, map, [1]);
    load_map(&map[0], d.maps + blockIdx.z);
    const int64_t w = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (w >= n) return;
    const ot_draw_key key = {d.seed, d.layer, d.chip[blockIdx.z]};
    ot_put((T *)weight.at + blockIdx.z * weight.stride + ot_packed(c, depthwise != 0, w), ot_draw_weight(&map[0], key, d.bits, (uint64_t)w, d.q[w], d.step));
}

/* The normals of one array's cells, one after the other. */
struct cell_normals { ot_draw_key key; uint64_t n; float z[4]; };

__device__ __forceinline__ void normals_fill(cell_normals *s)
{
    uint32_t x[4];
    ot_philox(&x[0], &x[1], &x[2], &x[3], s->key.seed, (uint32_t)(s->n / 4), s->key.layer, s->key.chip, OT_PURPOSE_CELLS);
    ot_normal_pair(&s->z[0], &s->z[1], x[0], x[1]);
    ot_normal_pair(&s->z[2], &s->z[3], x[2], x[3]);
}

__device__ __forceinline__ float normals_next(cell_normals *s)
{
    const int i = (int)(s->n % 4);
    if (i == 0) normals_fill(s);
    s->n++;
    return i == 0 ? s->z[0] : i == 1 ? s->z[1] : i == 2 ? s->z[2] : s->z[3];
}

template <class T> __global__ void __launch_bounds__(THREADS) draw_kernel2(otk_conv c, int depthwise, int64_t n, otk_draw d, otk_tensor weight)
{
    OT_SHARED(ot_cell_map, map, [1]);
    load_map(&map[0], d.maps + blockIdx.z);
    const int64_t w = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (w >= n) return;
    const ot_draw_key key = {d.seed, d.layer, d.chip[blockIdx.z]};
    const int32_t     q = d.q[w];
    cell_normals      positive = {key, 2 * (uint64_t)w * (uint64_t)d.bits, {0, 0, 0, 0}}, negative = {key, (2 * (uint64_t)w + 1) * (uint64_t)d.bits, {0, 0, 0, 0}};
    if (positive.n % 4) normals_fill(&positive);
    if (negative.n % 4) normals_fill(&negative);
    float sum = 0.0f;
    for (int j = 0; j < d.bits; j++) {
        const float zp = normals_next(&positive), zn = normals_next(&negative);
        sum = ot_cell_add(sum, j, q, zp, zn, &map[0], map[0].n_terms[0], map[0].n_terms[1]);
    }
    ot_put((T *)weight.at + blockIdx.z * weight.stride + ot_packed(c, depthwise != 0, w), ot_cell_weight(sum, q, d.step));
}

/* With stuck cells: rare, so the readable one will do. */
template <class T> __global__ void __launch_bounds__(THREADS) draw_faulty_kernel1(otk_conv c, int depthwise, int64_t n, otk_draw d, otk_tensor weight)
{
    OT_SHARED(ot_cell_map, map, [1]);
    load_map(&map[0], d.maps + blockIdx.z);
    const int64_t w = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (w >= n) return;
    const ot_draw_key key = {d.seed, d.layer, d.chip[blockIdx.z]};
    const ot_faults   faults = {d.stuck_lrs, d.stuck_any};
    ot_put((T *)weight.at + blockIdx.z * weight.stride + ot_packed(c, depthwise != 0, w),
           ot_draw_weight_faulty(&map[0], key, faults, d.bits, (uint64_t)w, d.q[w], d.step));
}

template <class T> static int by_version(int version, const otk_conv *c, int chips, const otk_draw *d, otk_tensor weight, otk_stream stream)
{
    const int64_t n = (int64_t)c->out.c * (c->in.c / c->groups) * c->kh * c->kw;
    if (n <= 0 || chips <= 0) return 0;
    return ot_launch(d->stuck_any ? draw_faulty_kernel1<T> : version == 1 ? draw_kernel1<T> : draw_kernel2<T>, dim3((unsigned)ot_ceil(n, THREADS), 1, (unsigned)chips), dim3(THREADS), 0, (cudaStream_t)stream, *c,
                     otk_conv_depthwise(c), n, *d, weight);
}

extern "C" int otk_draw_weights(int version, const otk_conv *c, otk_type type, int chips, const otk_draw *d, otk_tensor weight, otk_stream stream)
{
    return type == OTK_F16 ? by_version<__half>(version, c, chips, d, weight, stream) : by_version<float>(version, c, chips, d, weight, stream);
}

/* simt.h - CUDA kernels run on the CPU: the language that a .cu file of kernels/ needs, for g++.
 *
 * Each CUDA thread is a fiber: a stack of its own, switched by hand.  Blocks run one after the other; inside a block a thread runs
 * until it waits (barrier, warp operation) or ends, then another one, in an order that tests choose: forward, reverse, random by a
 * seed.  Right kernels give the same bits in every order.  It is as strict as a GPU is, and says more:
 *
 *   - an empty grid, a block above 1024 threads, a grid above its limits, too much shared memory: the launch fails;
 *   - threads that meet at different barriers, or wait while others have no way to come: the launch fails and says who waits where;
 *   - lanes of a warp operation must all come, at one operation, with one mask;
 *   - shared memory is new for every block and filled with 0xff (NaN), global memory likewise when it is taken (runtime.cpp).
 *
 * Under -fsanitize=address all memory has red zones; under -fsanitize=thread each CUDA thread is a thread to the race detector and only
 * barriers order them, so that a missing one is reported with its two lines.  One launch runs at a time.  For correctness on small
 * shapes, never for timing.  The bodies are in simt.cpp. */
#ifndef SIMT_H
#define SIMT_H

#include "cuda_runtime_api.h"

#include <functional>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tuple>
#include <type_traits>
#include <utility>

#define SIMT_WHERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace simt {

/* Runs the grid, or notes it down while a graph is captured (runtime.cpp); an error is remembered (simt_error) and returned as a
 * cudaError_t. */
int run(std::function<void()> thread, dim3 grid, dim3 block, size_t shared_bytes, const char *file, int line);

struct indices { uint3 thread; uint3 block; dim3 block_dim, grid_dim; };
extern indices now;

void  sync_threads(const char *file, int line);
void  sync_warp(unsigned mask, const char *file, int line);
/* Every lane of `mask` gives 8 bytes and, once all have come, sees those of the others: returns their array of 32. */
const uint64_t *meet(unsigned mask, const char *op, uint64_t value, const char *file, int line);
unsigned        meet_lanes();                                   /* who took part in the last meet() of this thread */
void           *shared_array(const char *key, size_t bytes);
void           *dynamic_shared();
[[noreturn]] void fail(const char *format, ...);
int             lane();

template <class T> uint64_t to_bits(T v)
{
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable<T>::value, "a warp operation moves up to 8 bytes");
    uint64_t u = 0;
    memcpy(&u, &v, sizeof v);
    return u;
}
template <class T> T from_bits(uint64_t u)
{
    T v;
    memcpy(&v, &u, sizeof v);
    return v;
}
template <class T> T shuffle(unsigned mask, const char *op, T v, int from, const char *file, int line)
{
    const uint64_t *all = meet(mask, op, to_bits(v), file, line);
    if (from < 0 || from > 31) return v;
    if (!(meet_lanes() >> from & 1)) fail("%s:%d: %s reads lane %d, which takes no part", file, line, op, from);
    return from_bits<T>(all[from]);
}

/* A grid that remembers who asked for it. */
struct place {
    dim3 grid;
    const char *file;
    int line;
    place(dim3 g, SIMT_WHERE) : grid(g), file(file), line(line) {}
};

}

template <class... P, class... A>
int ot_launch(void (*kernel)(P...), simt::place where, dim3 block, size_t shared_bytes, cudaStream_t, A &&...a)
{
    std::tuple<P...> arguments(static_cast<P>(a)...);
    return simt::run([=] { std::apply(kernel, arguments); }, where.grid, block, shared_bytes, where.file, where.line);
}

#define __global__ static
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__
#define __launch_bounds__(...)
#define threadIdx simt::now.thread
#define blockIdx  simt::now.block
#define blockDim  simt::now.block_dim
#define gridDim   simt::now.grid_dim

/* OT_SHARED(float, tile, [8][33]): one array a block.  OT_DYN_SHARED(float, all): the launch's shared_bytes. */
#define OT_SHARED(T, NAME, DIMS)              \
    using NAME##_type = T DIMS;               \
    static char  NAME##_key;                  \
    NAME##_type &NAME = *(NAME##_type *)simt::shared_array(&NAME##_key, sizeof(NAME##_type))
#define OT_DYN_SHARED(T, NAME) T *NAME = (T *)simt::dynamic_shared()

inline void __syncthreads(SIMT_WHERE) { simt::sync_threads(file, line); }
inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_WHERE) { simt::sync_warp(mask, file, line); }
template <class T> T __shfl_sync(unsigned mask, T v, int from, SIMT_WHERE) { return simt::shuffle(mask, "__shfl_sync", v, from & 31, file, line); }
template <class T> T __shfl_down_sync(unsigned mask, T v, int by, SIMT_WHERE) { return simt::shuffle(mask, "__shfl_down_sync", v, simt::lane() + by, file, line); }
template <class T> T __shfl_up_sync(unsigned mask, T v, int by, SIMT_WHERE) { return simt::shuffle(mask, "__shfl_up_sync", v, simt::lane() - by, file, line); }
template <class T> T __shfl_xor_sync(unsigned mask, T v, int by, SIMT_WHERE) { return simt::shuffle(mask, "__shfl_xor_sync", v, simt::lane() ^ by, file, line); }
inline unsigned __ballot_sync(unsigned mask, int p, SIMT_WHERE)
{
    const uint64_t *all = simt::meet(mask, "__ballot_sync", (uint64_t)(p != 0), file, line);
    unsigned b = 0;
    for (int i = 0; i < 32; i++)
        if (simt::meet_lanes() >> i & 1) b |= (unsigned)all[i] << i;
    return b;
}

template <class T> T atomicAdd(T *at, T v)
{
    static_assert(std::is_integral<T>::value, "atomics on floats have no fixed order: use a two-stage sum");
    return __atomic_fetch_add(at, v, __ATOMIC_RELAXED);
}
template <class T> T atomicMax(T *at, T v)
{
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    while (old < v && !__atomic_compare_exchange_n(at, &old, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return old;
}
template <class T> T atomicOr(T *at, T v) { return __atomic_fetch_or(at, v, __ATOMIC_RELAXED); }

template <class T> inline T __ldg(const T *p) { return *p; }
inline int          __popc(unsigned u) { return __builtin_popcount(u); }
inline float        __int_as_float(int i) { return simt::from_bits<float>((uint64_t)(uint32_t)i); }
inline int          __float_as_int(float f) { return (int)simt::to_bits(f); }

/* Half precision: storage, rounded to nearest even; sums are done in float. */
struct __half { uint16_t bits; };
inline float __half2float(__half h)
{
    uint32_t sign = (uint32_t)(h.bits & 0x8000u) << 16, e = h.bits >> 10 & 31, m = h.bits & 0x3ffu;
    if (e == 31) return simt::from_bits<float>(sign | 0x7f800000u | m << 13);
    float f = e ? simt::from_bits<float>((e + 112) << 23 | m << 13) : (float)m * 0x1p-24f;
    return sign ? -f : f;
}
inline __half __float2half_rn(float f)
{
    uint32_t u = (uint32_t)simt::to_bits(f), sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return {(uint16_t)(sign | 0x7fffu)};
    if (a >= 0x477ff000u) return {(uint16_t)(sign | 0x7c00u)};                  /* 65520 and more */
    if (a < 0x38800000u) return {(uint16_t)(sign | (uint16_t)lrintf(simt::from_bits<float>(a) * 0x1p24f))};
    uint32_t odd = a >> 13 & 1;
    return {(uint16_t)(sign | (a - 0x38000000u + 0xfffu + odd) >> 13)};
}

#endif

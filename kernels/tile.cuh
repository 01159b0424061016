/* tile.cuh - 16 x 16 tiles of a matrix product, one warp each: tensor cores where they fit, plain multiply-adds where exactness is asked for.
 *
 *     ot_tile<OTK_FP16, COL>    half in, float sums: wmma 16x16x16 (sm_70 and newer)
 *     ot_tile<OTK_TF32, COL>    float in, rounded to 10-bit mantissas, float sums: wmma 16x16x8 (sm_80 and newer; below: exact)
 *     ot_tile<OTK_FP32, COL>    float, fused multiply-add in the order of k
 *
 * a is row-major (16, STEP), b is (STEP, 16) row-major or, with COL, column-major; both in shared memory, 32-byte aligned, `ld` a multiple
 * of 16 bytes.  `rows` gives each lane eight neighbouring results: row lane / 2, columns (lane % 2) * 8.., through 16 x OT_STAGE_LD floats
 * of shared memory that the warp has to itself.  In the emulator all three are sums in the order of k. */
#ifndef OT_KERNELS_TILE_CUH
#define OT_KERNELS_TILE_CUH

#include "kernels/store.cuh"

#ifdef __CUDACC__
#include <mma.h>
#endif

enum { OT_STAGE_LD = 20, OT_STAGE = 16 * OT_STAGE_LD };

/* The readable version, and the exact one: a lane holds one row of a, eight columns of b, eight sums. */
template <class E, int STEP_, bool COL> struct ot_plain_tile {
    typedef E elem;
    static constexpr int STEP = STEP_;
    struct frag_a { float v[STEP_]; };
    struct frag_b { float v[STEP_][8]; };
    struct frag_c { float v[8]; };
    __device__ static __forceinline__ int lane_of()
    {
#ifdef __CUDACC__
        return threadIdx.x % 32;
#else
        return (threadIdx.x % 32) ^ 1;      /* results cross lanes, as they do on a tensor core: a missing __syncwarp shows */
#endif
    }
    __device__ static __forceinline__ void zero(frag_c &c)
    {
        for (int i = 0; i < 8; i++) c.v[i] = 0.0f;
    }
    __device__ static __forceinline__ void load_a(frag_a &a, const E *p, int ld)
    {
#pragma unroll
        for (int k = 0; k < STEP_; k++) a.v[k] = ot_get(p + lane_of() / 2 * ld + k);
    }
    __device__ static __forceinline__ void load_b(frag_b &b, const E *p, int ld)
    {
        const int first = lane_of() % 2 * 8;
#pragma unroll
        for (int k = 0; k < STEP_; k++)
#pragma unroll
            for (int i = 0; i < 8; i++) b.v[k][i] = ot_get(COL ? p + (first + i) * ld + k : p + k * ld + first + i);
    }
    __device__ static __forceinline__ void mma(frag_c &c, const frag_a &a, const frag_b &b)
    {
#pragma unroll
        for (int k = 0; k < STEP_; k++)
#pragma unroll
            for (int i = 0; i < 8; i++) c.v[i] = fmaf(a.v[k], b.v[k][i], c.v[i]);
    }
    __device__ static __forceinline__ ot_eight rows(const frag_c &c, float *stage)
    {
        const int own = lane_of(), lane = threadIdx.x % 32;
        __syncwarp();
        for (int i = 0; i < 8; i++) stage[own / 2 * OT_STAGE_LD + own % 2 * 8 + i] = c.v[i];
        __syncwarp();
        return ot_load8(stage + lane / 2 * OT_STAGE_LD + lane % 2 * 8);
    }
};

template <int MATH, bool COL> struct ot_tile;
template <bool COL> struct ot_tile<OTK_FP32, COL> : ot_plain_tile<float, 4, COL> {};

#ifndef __CUDACC__

/* The emulator checks what a tensor core wants and would not say, and that all 32 lanes come. */
template <class E, int STEP_, bool COL, bool ROUND> struct ot_strict_tile : ot_plain_tile<E, STEP_, COL> {
    typedef ot_plain_tile<E, STEP_, COL> base;
    static void check(const E *p, int ld, const char *what)
    {
        if ((uintptr_t)p % 32 || ld * (int)sizeof(E) % 16)
            simt::fail("tensor core operand %s: address mod 32 is %d, want 0; ld = %d, want a multiple of 16 bytes", what, (int)((uintptr_t)p % 32), ld);
        __ballot_sync(0xffffffffu, 1);
    }
    static float rounded(float f) { return ROUND ? __int_as_float((int)(((uint32_t)__float_as_int(f) + 0x1000u) & 0xffffe000u)) : f; }
    static void load_a(typename base::frag_a &a, const E *p, int ld)
    {
        check(p, ld, "a");
        base::load_a(a, p, ld);
        for (float &f : a.v) f = rounded(f);
    }
    static void load_b(typename base::frag_b &b, const E *p, int ld)
    {
        check(p, ld, "b");
        base::load_b(b, p, ld);
        for (auto &row : b.v)
            for (float &f : row) f = rounded(f);
    }
};
template <bool COL> struct ot_tile<OTK_TF32, COL> : ot_strict_tile<float, 8, COL, true> {};
template <bool COL> struct ot_tile<OTK_FP16, COL> : ot_strict_tile<__half, 16, COL, false> {};

#else

template <class E, class W, int STEP_, bool COL> struct ot_wmma_tile {
    typedef E elem;
    static constexpr int STEP = STEP_;
    typedef typename std::conditional<COL, nvcuda::wmma::col_major, nvcuda::wmma::row_major>::type order_b;
    typedef nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, STEP_, W, nvcuda::wmma::row_major> frag_a;
    typedef nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, 16, 16, STEP_, W, order_b> frag_b;
    typedef nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, STEP_, float> frag_c;
    template <class F> __device__ static __forceinline__ void round(F &f)
    {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
        if constexpr (sizeof(E) == 4)
            for (int i = 0; i < f.num_elements; i++) f.x[i] = nvcuda::wmma::__float_to_tf32(f.x[i]);
#else
        (void)f;
#endif
    }
    __device__ static __forceinline__ void zero(frag_c &c) { nvcuda::wmma::fill_fragment(c, 0.0f); }
    __device__ static __forceinline__ void load_a(frag_a &a, const E *p, int ld)
    {
        nvcuda::wmma::load_matrix_sync(a, p, ld);
        round(a);
    }
    __device__ static __forceinline__ void load_b(frag_b &b, const E *p, int ld)
    {
        nvcuda::wmma::load_matrix_sync(b, p, ld);
        round(b);
    }
    __device__ static __forceinline__ void mma(frag_c &c, const frag_a &a, const frag_b &b) { nvcuda::wmma::mma_sync(c, a, b, c); }
    __device__ static __forceinline__ ot_eight rows(const frag_c &c, float *stage)
    {
        const int lane = threadIdx.x % 32;
        __syncwarp();
        nvcuda::wmma::store_matrix_sync(stage, c, OT_STAGE_LD, nvcuda::wmma::mem_row_major);
        __syncwarp();
        return ot_load8(stage + lane / 2 * OT_STAGE_LD + lane % 2 * 8);
    }
};
template <bool COL> struct ot_tile<OTK_FP16, COL> : ot_wmma_tile<__half, __half, 16, COL> {};
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
template <bool COL> struct ot_tile<OTK_TF32, COL> : ot_wmma_tile<float, nvcuda::wmma::precision::tf32, 8, COL> {};
#else
template <bool COL> struct ot_tile<OTK_TF32, COL> : ot_plain_tile<float, 4, COL> {};
#endif

#endif
#endif

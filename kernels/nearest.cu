/* nearest.cu - which of N signatures is nearest to each of a batch of queries.
 *
 * A tile is 128 rows; it leaves one candidate a query, and a second kernel takes the least of all tiles.  "Least" is by distance, then
 * by row, so that the order in which candidates are looked at does not matter; NaN is less than nothing.  Distances are float sums in
 * the order of the elements, the same in all versions.
 *
 *   1  a thread a row, a block column a query           reads every row once for every query; the readable version
 *   2  128 rows x 64 queries a block, 8 x 4 a thread    rows are read once; bound by additions (two for each element of a row and query)
 *   3  L2 alone: |r|^2 - 2 r.q + |q|^2 on tensor cores  bound by memory; only tiles that may hold the nearest row are summed as in 2
 *
 * Version 3 knows how far off it may be.  With rows and queries moved so that the first query is the origin (which changes no distance
 * but makes products small), a product of two numbers rounded to 11 bits is off by 2^-10 of its size, and a sum of n terms by n roundings:
 * together at most e (|r|^2 + |q|^2), see error_of().  A tile is summed exactly unless its least distance minus that is more than the
 * least distance of all plus that.  Numbers that are not finite say nothing, and their tile is summed exactly.  So the answer is
 * version 2's, and only the time depends on the data: a few tiles a query where distances differ, all of them where they do not.
 *
 * Times on a GPU: not measured yet (bench/README.md).  For 1,000,000 rows of 370 and 64 queries an H100 has 1.5 GB to read (0.5 ms at
 * 3 TB/s) and 47 G additions to do in version 2 (1.6 ms if it did nothing else); wanted are 1.5 ms for L2 and 4 ms for L1. */
#include "kernels/cuda.h"
#include "kernels/tile.cuh"

enum { THREADS = 256, ROWS = 128, BATCH = 64, GROUP = 64 };     /* GROUP: tiles that one block of the exact pass looks through */

struct nearest_args {
    const float *rows, *queries;
    int64_t      N, tiles;
    int          length, n_queries;
    int64_t     *best_row;                 /* (query, candidates) */
    float       *best;
    float       *low, *high, *bound;       /* version 3: (query, tiles), (query, tiles), (query) */
};

struct candidate { float d; int64_t row; };

__device__ __forceinline__ candidate no_candidate() { return {INFINITY, INT64_MAX}; }
__device__ __forceinline__ candidate less_of(candidate a, candidate b) { return b.d < a.d || (b.d == a.d && b.row < a.row) ? b : a; }
__device__ __forceinline__ float least(float a, float b) { return b < a ? b : a; }

template <int METRIC> __device__ __forceinline__ float plus(float sum, float r, float q)
{
    const float d = r - q;
    return METRIC == OTK_L1 ? sum + fabsf(d) : fmaf(d, d, sum);
}

/* The least candidate of a block, to thread 0. */
__device__ __forceinline__ candidate block_least(candidate c, float *d, int64_t *row)
{
    d[threadIdx.x] = c.d, row[threadIdx.x] = c.row;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) {
            c = less_of(c, {d[threadIdx.x + half], row[threadIdx.x + half]});
            d[threadIdx.x] = c.d, row[threadIdx.x] = c.row;
        }
        __syncthreads();
    }
    return c;
}

template <int METRIC> __global__ void __launch_bounds__(THREADS) nearest_kernel1(nearest_args p)
{
    OT_SHARED(float, d, [THREADS]);
    OT_SHARED(int64_t, at, [THREADS]);
    const int64_t row = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    const float  *r = p.rows + row * p.length, *q = p.queries + (int64_t)blockIdx.y * p.length;
    candidate     c = no_candidate();
    if (row < p.N) {
        float sum = 0.0f;
        for (int k = 0; k < p.length; k++) sum = plus<METRIC>(sum, r[k], q[k]);
        c = less_of(c, {sum, row});
    }
    c = block_least(c, d, at);
    if (threadIdx.x == 0) p.best[blockIdx.y * (int64_t)gridDim.x + blockIdx.x] = c.d, p.best_row[blockIdx.y * (int64_t)gridDim.x + blockIdx.x] = c.row;
}

/* The end of all versions: the least of a query's n candidates.  A row that never was is -1. */
__global__ void __launch_bounds__(THREADS) least_kernel1(nearest_args p, int64_t n, int64_t *nearest, float *distance)
{
    OT_SHARED(float, d, [THREADS]);
    OT_SHARED(int64_t, at, [THREADS]);
    const float   *best = p.best + blockIdx.x * n;
    const int64_t *row = p.best_row + blockIdx.x * n;
    candidate      c = no_candidate();
    for (int64_t i = threadIdx.x; i < n; i += THREADS) c = less_of(c, {best[i], row[i]});
    c = block_least(c, d, at);
    if (threadIdx.x) return;
    nearest[blockIdx.x] = c.row == INT64_MAX ? -1 : c.row;
    if (distance) distance[blockIdx.x] = c.d;
}

/* --- version 2 --- */

enum { STEP = 16, MINE_R = 8, MINE_Q = 4 };

/* Element k of row r in a tile of shared memory that lies k by k: fours of rows change places with k, so that neither the eight k x four
 * rows that a warp writes at once nor the fours that it reads meet in a bank. */
template <int WIDTH> __device__ __forceinline__ int swizzled(int k, int r) { return k * WIDTH + ((r / 4 ^ k % 8) * 4 | r % 4); }

/* A step of COUNT rows into registers: thread (k = lane % 8, row = lane / 8 + 4 warp), then on by 8 k and by 32 rows. */
template <int COUNT> __device__ __forceinline__ void load_step(float *v, const float *from, int64_t first, int64_t end, int length, int k0)
{
    const int lane = threadIdx.x % 32, row = lane / 8 + threadIdx.x / 32 * 4;
#pragma unroll
    for (int i = 0; i < COUNT / 32; i++)
#pragma unroll
        for (int j = 0; j < STEP / 8; j++) {
            const int     k = k0 + lane % 8 + j * 8;
            const int64_t r = first + row + i * 32;
            v[i * (STEP / 8) + j] = r < end && k < length ? from[r * length + k] : 0.0f;
        }
}

template <int COUNT> __device__ __forceinline__ void store_step(float *to, const float *v)
{
    const int lane = threadIdx.x % 32, row = lane / 8 + threadIdx.x / 32 * 4;
#pragma unroll
    for (int i = 0; i < COUNT / 32; i++)
#pragma unroll
        for (int j = 0; j < STEP / 8; j++) to[swizzled<COUNT>(lane % 8 + j * 8, row + i * 32)] = v[i * (STEP / 8) + j];
}

template <int METRIC> __global__ void __launch_bounds__(THREADS, 2) nearest_kernel2(nearest_args p)
{
    OT_SHARED(float, sr, [2][STEP * ROWS]);
    OT_SHARED(float, sq, [2][STEP * BATCH]);
    OT_SHARED(float, d, [THREADS / 16][BATCH]);
    OT_SHARED(int, at, [THREADS / 16][BATCH]);
    const int     tid = threadIdx.x, row = tid / 16 * MINE_R, query = tid % 16 * MINE_Q, steps = (p.length + STEP - 1) / STEP;
    const int64_t first = blockIdx.x * (int64_t)ROWS;
    float         sum[MINE_R][MINE_Q] = {}, next_r[ROWS / 32 * STEP / 8], next_q[BATCH / 32 * STEP / 8];
    load_step<ROWS>(next_r, p.rows, first, p.N, p.length, 0);
    load_step<BATCH>(next_q, p.queries, 0, p.n_queries, p.length, 0);
    for (int s = 0; s < steps; s++) {
        store_step<ROWS>(sr[s % 2], next_r);
        store_step<BATCH>(sq[s % 2], next_q);
        __syncthreads();                   /* one a step is enough: who is past it has left the other buffer */
        load_step<ROWS>(next_r, p.rows, first, p.N, p.length, (s + 1) * STEP);
        load_step<BATCH>(next_q, p.queries, 0, p.n_queries, p.length, (s + 1) * STEP);
#pragma unroll 8
        for (int k = 0; k < STEP; k++) {
            union { float4 four[MINE_R / 4]; float v[MINE_R]; } r;
            union { float4 four; float v[MINE_Q]; } q;
            r.four[0] = *(const float4 *)&sr[s % 2][swizzled<ROWS>(k, row)];
            r.four[1] = *(const float4 *)&sr[s % 2][swizzled<ROWS>(k, row + 4)];
            q.four = *(const float4 *)&sq[s % 2][swizzled<BATCH>(k, query)];
#pragma unroll
            for (int i = 0; i < MINE_R; i++)
#pragma unroll
                for (int j = 0; j < MINE_Q; j++) sum[i][j] = plus<METRIC>(sum[i][j], r.v[i], q.v[j]);
        }
    }
#pragma unroll
    for (int j = 0; j < MINE_Q; j++) {
        candidate c = no_candidate();
#pragma unroll
        for (int i = 0; i < MINE_R; i++)
            if (first + row + i < p.N) c = less_of(c, {sum[i][j], row + i});
        d[tid / 16][query + j] = c.d, at[tid / 16][query + j] = c.row == INT64_MAX ? -1 : (int)c.row;
    }
    __syncthreads();
    if (tid >= p.n_queries) return;
    candidate c = no_candidate();
    for (int i = 0; i < THREADS / 16; i++)
        if (at[i][tid] >= 0) c = less_of(c, {d[i][tid], first + at[i][tid]});
    p.best[tid * p.tiles + blockIdx.x] = c.d, p.best_row[tid * p.tiles + blockIdx.x] = c.row;
}

/* --- version 3 --- */

enum { WIDE = 32, LD = WIDE + 4, WARPS_M = 4, WARPS_N = 2, TM = ROWS / WARPS_M / 16, TN = BATCH / WARPS_N / 16 };

/* e of the head of this file: operands' rounding 2^-11 each, twice the product; n additions that may cut off instead of round; the move. */
static float error_of(int length) { return 2.02f * 0x1p-11f + (float)(length + 16) * 0x1p-21f; }

__device__ __forceinline__ bool finite(float f) { return fabsf(f) <= FLT_MAX; }

/* The row of its tile that a thread loads i-th.  Rows two apart lie eight banks apart. */
__device__ __forceinline__ int wide_row(int i) { return i * 32 + threadIdx.x / 32 % 4 * 8 + threadIdx.x % 32 / 8 * 2 + threadIdx.x / 128; }

template <int COUNT>
__device__ __forceinline__ void load_wide(float *v, const float *from, int64_t first, int64_t end, const float *origin, int length, int k0)
{
#pragma unroll
    for (int j = 0; j < WIDE / 8; j++) {
        const int   k = k0 + threadIdx.x % 8 + j * 8;
        const float o = k < length && finite(origin[k]) ? origin[k] : 0.0f;
#pragma unroll
        for (int i = 0; i < COUNT / 32; i++) {
            const int64_t r = first + wide_row(i);
            v[i * (WIDE / 8) + j] = r < end && k < length ? from[r * length + k] - o : 0.0f;
        }
    }
}

/* Into shared memory, and the squares to the rows' sums. */
template <int COUNT> __device__ __forceinline__ void store_wide(float *to, float *squares, const float *v)
{
#pragma unroll
    for (int i = 0; i < COUNT / 32; i++)
#pragma unroll
        for (int j = 0; j < WIDE / 8; j++) {
            const float f = v[i * (WIDE / 8) + j];
            to[wide_row(i) * LD + threadIdx.x % 8 + j * 8] = f;
            squares[i] = fmaf(f, f, squares[i]);
        }
}

/* Eight lanes hold parts of a row's sum. */
template <int COUNT> __device__ __forceinline__ void finish_squares(float *to, const float *squares)
{
#pragma unroll
    for (int i = 0; i < COUNT / 32; i++) {
        float s = squares[i];
        for (int by = 1; by < 8; by *= 2) s += __shfl_xor_sync(0xffffffffu, s, by);
        if (threadIdx.x % 8 == 0) to[wide_row(i)] = s;
    }
}

/* The least distance of a tile to each query, taken as low and as high as it may be. */
__global__ void __launch_bounds__(THREADS, 2) bounds_kernel3(nearest_args p, float e)
{
    typedef ot_tile<OTK_TF32, true> tile;
    OT_SHARED(float, memory, [(ROWS + BATCH) * LD]);
    OT_SHARED(float, norm, [ROWS + BATCH]);
    OT_SHARED(float, found, [2][WARPS_M][BATCH]);
    float *sr = &memory[0], *sq = sr + ROWS * LD;
    const int     tid = threadIdx.x, lane = tid % 32, warp = tid / 32, wm = warp / WARPS_N, wn = warp % WARPS_N, steps = (p.length + WIDE - 1) / WIDE;
    const int64_t first = blockIdx.x * (int64_t)ROWS;
    float         next_r[ROWS / 32 * WIDE / 8], next_q[BATCH / 32 * WIDE / 8], squares_r[ROWS / 32] = {}, squares_q[BATCH / 32] = {};
    typename tile::frag_c sum[TM][TN];
    for (int i = 0; i < TM; i++)
        for (int j = 0; j < TN; j++) tile::zero(sum[i][j]);
    load_wide<ROWS>(next_r, p.rows, first, p.N, p.queries, p.length, 0);
    load_wide<BATCH>(next_q, p.queries, 0, p.n_queries, p.queries, p.length, 0);
    for (int s = 0; s < steps; s++) {
        store_wide<ROWS>(sr, squares_r, next_r);
        store_wide<BATCH>(sq, squares_q, next_q);
        __syncthreads();
        load_wide<ROWS>(next_r, p.rows, first, p.N, p.queries, p.length, (s + 1) * WIDE);
        load_wide<BATCH>(next_q, p.queries, 0, p.n_queries, p.queries, p.length, (s + 1) * WIDE);
#pragma unroll 2
        for (int k = 0; k < WIDE; k += tile::STEP) {
            typename tile::frag_a a[TM];
#pragma unroll
            for (int i = 0; i < TM; i++) tile::load_a(a[i], sr + (wm * TM + i) * 16 * LD + k, LD);
#pragma unroll
            for (int j = 0; j < TN; j++) {
                typename tile::frag_b b;
                tile::load_b(b, sq + (wn * TN + j) * 16 * LD + k, LD);
#pragma unroll
                for (int i = 0; i < TM; i++) tile::mma(sum[i][j], a[i], b);
            }
        }
        __syncthreads();
    }
    finish_squares<ROWS>(&norm[0], squares_r);
    finish_squares<BATCH>(&norm[0] + ROWS, squares_q);
    __syncthreads();
    const float smallest = (float)(p.length + 16) * 1e-37f;        /* where squares are too small for a float */
    float      *stage = &memory[0] + warp * OT_STAGE;              /* the tiles are done with */
#pragma unroll
    for (int j = 0; j < TN; j++) {
        const int query = (wn * TN + j) * 16 + lane % 2 * 8;
        ot_eight  low, high;
#pragma unroll
        for (int n = 0; n < 8; n++) low.v[n] = high.v[n] = INFINITY;
#pragma unroll
        for (int i = 0; i < TM; i++) {
            const int      row = (wm * TM + i) * 16 + lane / 2;
            const ot_eight dot = tile::rows(sum[i][j], stage);
            if (first + row >= p.N) continue;
#pragma unroll
            for (int n = 0; n < 8; n++) {
                const float size = norm[row] + norm[ROWS + query + n], about = fmaf(-2.0f, dot.v[n], size), off = fmaf(e, size, smallest);
                const bool  said = finite(about) && finite(off) && finite(size);
                low.v[n] = least(low.v[n], said ? about - off : -INFINITY);
                high.v[n] = least(high.v[n], said ? about + off : INFINITY);
            }
        }
#pragma unroll
        for (int n = 0; n < 8; n++) {
            for (int by = 2; by < 32; by *= 2) {
                low.v[n] = least(low.v[n], __shfl_xor_sync(0xffffffffu, low.v[n], by));
                high.v[n] = least(high.v[n], __shfl_xor_sync(0xffffffffu, high.v[n], by));
            }
            if (lane < 2) found[0][wm][query + n] = low.v[n], found[1][wm][query + n] = high.v[n];
        }
    }
    __syncthreads();
    const int query = tid % BATCH, which = tid / BATCH;
    if (which > 1 || query >= p.n_queries) return;
    float m = found[which][0][query];
    for (int i = 1; i < WARPS_M; i++) m = least(m, found[which][i][query]);
    (which ? p.high : p.low)[query * p.tiles + blockIdx.x] = m;
}

/* A query's least upper bound, and what version 2's own roundings add to it. */
__global__ void __launch_bounds__(THREADS) bound_kernel3(nearest_args p)
{
    OT_SHARED(float, room, [THREADS]);
    float m = INFINITY;
    for (int64_t i = threadIdx.x; i < p.tiles; i += THREADS) m = least(m, p.high[blockIdx.x * p.tiles + i]);
    room[threadIdx.x] = m;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) room[threadIdx.x] = least(room[threadIdx.x], room[threadIdx.x + half]);
        __syncthreads();
    }
    if (threadIdx.x == 0) p.bound[blockIdx.x] = room[0] * (1.0f + (float)(p.length + 16) * 0x1p-22f);
}

/* The tiles that may hold the nearest row, summed exactly: a thread a row, rows through shared memory. */
__global__ void __launch_bounds__(THREADS) exact_kernel3(nearest_args p)
{
    OT_SHARED(float, sr, [ROWS][WIDE + 1]);
    OT_SHARED(float, sq, [WIDE]);
    OT_SHARED(float, d, [THREADS]);
    OT_SHARED(int64_t, at, [THREADS]);
    const int     tid = threadIdx.x, query = blockIdx.y;
    const int64_t end = (blockIdx.x + 1) * (int64_t)GROUP < p.tiles ? (blockIdx.x + 1) * (int64_t)GROUP : p.tiles;
    const float   bound = p.bound[query], *q = p.queries + (int64_t)query * p.length;
    candidate     c = no_candidate();
    for (int64_t t = blockIdx.x * (int64_t)GROUP; t < end; t++) {
        if (p.low[query * p.tiles + t] > bound) continue;
        const int64_t first = t * ROWS;
        float         sum = 0.0f;
        for (int k0 = 0; k0 < p.length; k0 += WIDE) {
            const int n = p.length - k0 < WIDE ? p.length - k0 : WIDE;
            for (int i = tid / WIDE; i < ROWS; i += THREADS / WIDE)
                if (first + i < p.N && tid % WIDE < n) sr[i][tid % WIDE] = p.rows[(first + i) * p.length + k0 + tid % WIDE];
            if (tid < n) sq[tid] = q[k0 + tid];
            __syncthreads();
            if (tid < ROWS && first + tid < p.N)
                for (int k = 0; k < n; k++) sum = plus<OTK_L2>(sum, sr[tid][k], sq[k]);
            __syncthreads();
        }
        if (tid < ROWS && first + tid < p.N) c = less_of(c, {sum, first + tid});
    }
    c = block_least(c, d, at);
    if (tid == 0) p.best[query * (int64_t)gridDim.x + blockIdx.x] = c.d, p.best_row[query * (int64_t)gridDim.x + blockIdx.x] = c.row;
}

/* --- launches --- */

static int64_t tiles_of(int64_t N) { return ot_ceil(N, ROWS); }
static int64_t groups_of(int64_t N) { return ot_ceil(tiles_of(N), GROUP); }

/* Rows of candidates first (8 bytes each), then their distances, then version 3's bounds; version 3 has candidates a group, not a tile. */
extern "C" size_t otk_nearest_bytes(int64_t N, int queries)
{
    const size_t q = (size_t)(queries < BATCH ? queries : BATCH);
    if (N <= 0 || queries <= 0) return 0;
    return q * ((size_t)tiles_of(N) * 12 + (size_t)groups_of(N) * 12 + 8);
}

static int launch1(otk_metric metric, const nearest_args &p, int64_t *candidates, otk_stream stream)
{
    *candidates = ot_ceil(p.N, THREADS);
    return ot_launch(metric == OTK_L1 ? nearest_kernel1<OTK_L1> : nearest_kernel1<OTK_L2>, dim3((unsigned)*candidates, (unsigned)p.n_queries), dim3(THREADS), 0,
                     (cudaStream_t)stream, p);
}

static int launch2(otk_metric metric, const nearest_args &p, int64_t *candidates, otk_stream stream)
{
    *candidates = p.tiles;
    return ot_launch(metric == OTK_L1 ? nearest_kernel2<OTK_L1> : nearest_kernel2<OTK_L2>, dim3((unsigned)p.tiles), dim3(THREADS), 0, (cudaStream_t)stream, p);
}

static int launch3(const nearest_args &p, int64_t *candidates, otk_stream stream)
{
    *candidates = groups_of(p.N);
    int e = ot_launch(bounds_kernel3, dim3((unsigned)p.tiles), dim3(THREADS), 0, (cudaStream_t)stream, p, error_of(p.length));
    if (!e) e = ot_launch(bound_kernel3, dim3((unsigned)p.n_queries), dim3(THREADS), 0, (cudaStream_t)stream, p);
    if (!e) e = ot_launch(exact_kernel3, dim3((unsigned)*candidates, (unsigned)p.n_queries), dim3(THREADS), 0, (cudaStream_t)stream, p);
    return e;
}

extern "C" int otk_nearest_by(int version, otk_metric metric, const float *rows, int64_t N, int length, const float *queries, int n_queries,
                              int64_t *nearest, float *distance, void *partial, otk_stream stream)
{
    if (version == 0) version = metric == OTK_L2 && N >= 64 * ROWS ? 3 : 2;
    if (version == 3 && metric == OTK_L1) version = 2;
    for (int first = 0; first < n_queries; first += BATCH) {
        nearest_args p = {};
        int64_t      candidates = 0;
        int          e = 0;
        p.rows = rows, p.queries = queries + (int64_t)first * length, p.N = N > 0 ? N : 0, p.length = length;
        p.n_queries = n_queries - first < BATCH ? n_queries - first : BATCH, p.tiles = tiles_of(p.N);
        const int64_t each = version == 3 ? groups_of(p.N) : p.tiles;
        p.best_row = (int64_t *)partial, p.best = (float *)(p.best_row + each * p.n_queries);
        if (version == 3) p.low = p.best + each * p.n_queries, p.high = p.low + p.tiles * p.n_queries, p.bound = p.high + p.tiles * p.n_queries;
        if (N > 0) e = version == 1 ? launch1(metric, p, &candidates, stream) : version == 2 ? launch2(metric, p, &candidates, stream) : launch3(p, &candidates, stream);
        if (!e) e = ot_launch(least_kernel1, dim3((unsigned)p.n_queries), dim3(THREADS), 0, (cudaStream_t)stream, p, candidates, nearest + first,
                              distance ? distance + first : NULL);
        if (e) return e;
    }
    return 0;
}

extern "C" int otk_nearest(otk_metric metric, const float *rows, int64_t N, int length, const float *queries, int n_queries, int64_t *nearest,
                           float *distance, void *partial, otk_stream stream)
{
    return otk_nearest_by(0, metric, rows, N, length, queries, n_queries, nearest, distance, partial, stream);
}

/* conv.cu - convolution on many chips at once: forward with all that is fused on, and backward to the data.
 *
 * One matrix product a chip and group, its left matrix gathered from the tensor as it is needed (implicit GEMM):
 *
 *     forward     rows (image, y, x) of the output    k (ky, kx, in)     columns out
 *     data        rows (image, y, x) of the input     k (ky, kx, out)    columns in
 *
 * Both read the same packed weights (ky, kx, in, out): forward as a row-major right matrix, backward as a column-major one.  A block
 * makes BM x BN results of one chip: grid (row tiles x column tiles, group, chip).  k goes in steps of BK through shared memory: while
 * one buffer is multiplied, the next step's loads are under way in registers, and go to the other buffer.  Sums run in the order of k.
 *
 *   1  as above; time on a GPU not measured yet (bench/README.md) */
#include "kernels/conv.cuh"
#include "kernels/mask.cuh"
#include "kernels/tile.cuh"

enum { THREADS = 256, WARPS_M = 4, WARPS_N = 2 };

struct conv_args {
    otk_conv   c;
    otk_shape  from, to;                   /* the tensor that is gathered from, the one that is written */
    int        k_channels, columns;        /* a group's, rounded up to 8: along k, along columns */
    int        from_group, to_group;       /* a group's true channels in `from` and `to` */
    int        rows, K, row_tiles;         /* rows of one chip */
    int        out_pad;                    /* outputs of a group rounded up to 8: the weights' innermost size */
    int64_t    weight_group;               /* elements of a group's weights */
    otk_tensor src, weight, dst;
    otk_after  after;
    float      factor;                     /* backward: dsrc = factor * sum, and added to */
    int        add, masked;                /* masked: dsrc goes through the T-ReLU that made src */
    otk_relu_back mask;
};

/* Where a row's window begins: forward the input pixel of tap (0, 0), backward the output pixel before division by the stride. */
struct row_place { int64_t image; int y, x; };

template <bool BACK> __device__ __forceinline__ row_place place_of(const conv_args &p, int row)
{
    const int pixels = p.to.h * p.to.w, b = row / pixels, y = row % pixels / p.to.w, x = row % p.to.w;
    if (row >= p.rows) return {-1, 0, 0};
    const int64_t image = b * otk_image(p.from);
    return BACK ? row_place{image, y + p.c.pt, x + p.c.pl} : row_place{image, y * p.c.sh - p.c.pt, x * p.c.sw - p.c.pl};
}

/* Eight neighbours along k of one row. */
template <class T, bool BACK> __device__ __forceinline__ ot_chunk<T> gather(const conv_args &p, const T *src, row_place r, int group, int k)
{
    if (k >= p.K || r.image < 0) return ot_zero_chunk<T>();
    const int tap = k / p.k_channels, ch = k % p.k_channels, ky = tap / p.c.kw, kx = tap % p.c.kw;
    int y, x;
    if (BACK) {
        y = r.y - ky, x = r.x - kx;
        if (y < 0 || x < 0 || y % p.c.sh || x % p.c.sw) return ot_zero_chunk<T>();
        y /= p.c.sh, x /= p.c.sw;
    } else {
        y = r.y + ky, x = r.x + kx;
        if (y < 0 || x < 0) return ot_zero_chunk<T>();
    }
    if (y >= p.from.h || x >= p.from.w) return ot_zero_chunk<T>();
    const T *at = src + r.image + ((int64_t)y * p.from.w + x) * otk_channels(p.from.c) + group * p.from_group + ch;
    if (p.c.groups == 1 || p.from_group % 8 == 0) return ot_load_chunk(at);
    union { ot_chunk<T> all; T one[8]; } u;
    u.all = ot_zero_chunk<T>();
    for (int i = 0; i < 8 && ch + i < p.from_group; i++) u.one[i] = at[i];
    return u.all;
}

/* Eight neighbours in memory of the right matrix: along columns (forward) or along k (backward). */
template <class T, bool BACK> __device__ __forceinline__ ot_chunk<T> right(const conv_args &p, const T *weight, int k, int column)
{
    if (k >= p.K || column >= p.columns) return ot_zero_chunk<T>();
    if (!BACK) return ot_load_chunk(weight + (int64_t)k * p.out_pad + column);
    const int tap = k / p.k_channels, out = k % p.k_channels;
    return ot_load_chunk(weight + ((int64_t)tap * p.columns + column) * p.out_pad + out);
}

template <class T, bool BACK>
__device__ __forceinline__ void finish(const conv_args &p, ot_eight y, const ot_chip_knobs &knobs, int chip, int group, int row, int column, ot_mask_sums *sums)
{
    if (row >= p.rows || column >= p.columns) return;
    const int     cp = otk_channels(p.to.c), first = group * p.to_group + column;
    const int64_t at = (int64_t)row * cp + first;
    T            *dst = (T *)p.dst.at + chip * p.dst.stride;
    const bool    together = p.c.groups == 1 || p.to_group % 8 == 0;
    if (!BACK && together) {
        ot_store8(dst + at, ot_after8<T>(y, p.after, knobs, chip, first, p.to.c, at));
    } else if (together) {
        const ot_eight old = p.add ? ot_load8(dst + at) : ot_zero8();
#pragma unroll
        for (int i = 0; i < 8; i++) y.v[i] = fmaf(y.v[i], p.factor, old.v[i]);
        if (p.masked) ot_mask8<T>(y, p.mask, knobs, chip, first, at, sums);
        ot_store8(dst + at, y);
    } else {
        for (int i = 0; i < 8 && column + i < p.to_group; i++) {
            float v = BACK ? fmaf(y.v[i], p.factor, p.add ? ot_get(dst + at + i) : 0.0f) : ot_after1<T>(y.v[i], p.after, knobs, chip, first + i, at + i);
            if (BACK && p.masked) v = ot_mask1<T>(v, p.mask, knobs, chip, first + i, at + i, sums);
            ot_put(dst + at + i, v);
        }
        if (group == p.c.groups - 1 && column == 0)
            for (int i = p.to.c; i < cp; i++) ot_put(dst + (int64_t)row * cp + i, 0.0f);
    }
}

template <int MATH, int BM, int BN, bool BACK> __global__ void __launch_bounds__(THREADS) conv_kernel1(conv_args p)
{
    typedef ot_tile<MATH, BACK>  tile;
    typedef typename tile::elem  T;
    constexpr int BK = sizeof(T) == 2 ? 32 : 16, SKEW = 16 / sizeof(T), LDA = BK + SKEW, LDB = BACK ? BK + SKEW : BN + SKEW;
    constexpr int A = BM * LDA, B = (BACK ? BN : BK) * LDB, CHUNKS_A = BM * BK / 8, CHUNKS_B = BN * BK / 8;
    constexpr int NA = (CHUNKS_A + THREADS - 1) / THREADS, NB = (CHUNKS_B + THREADS - 1) / THREADS;
    constexpr int TM = BM / WARPS_M / 16, TN = BN / WARPS_N / 16;
    constexpr int BYTES = 2 * (A + B) * (int)sizeof(T), STAGE = THREADS / 32 * OT_STAGE * 4;
    OT_SHARED(unsigned char, memory, [BYTES > STAGE ? BYTES : STAGE]);
    T  *sa = (T *)memory, *sb = sa + 2 * A;
    const int  tid = threadIdx.x, warp = tid / 32, wm = warp / WARPS_N, wn = warp % WARPS_N, group = blockIdx.y, chip = blockIdx.z;
    const int  row0 = (int)(blockIdx.x % p.row_tiles) * BM, column0 = (int)(blockIdx.x / p.row_tiles) * BN;
    const T   *src = (const T *)p.src.at + chip * p.src.stride;
    const T   *weight = (const T *)p.weight.at + chip * p.weight.stride + group * p.weight_group;
    row_place  place[NA];
    ot_chunk<T> next_a[NA], next_b[NB];
    typename tile::frag_c sum[TM][TN];
    for (int i = 0; i < NA; i++) next_a[i] = ot_zero_chunk<T>();
    for (int i = 0; i < NB; i++) next_b[i] = ot_zero_chunk<T>();
    for (int i = 0; i < NA; i++) place[i] = place_of<BACK>(p, row0 + (tid + i * THREADS) / (BK / 8));
    for (int i = 0; i < TM; i++)
        for (int j = 0; j < TN; j++) tile::zero(sum[i][j]);
    const int steps = (p.K + BK - 1) / BK;
    for (int s = 0; s <= steps; s++) {
        if (s < steps) {                                             /* the next step's loads go out ... */
#pragma unroll
            for (int i = 0; i < NA; i++) {
                const int c = tid + i * THREADS;
                if (c < CHUNKS_A) next_a[i] = gather<T, BACK>(p, src, place[i], group, s * BK + c % (BK / 8) * 8);
            }
#pragma unroll
            for (int i = 0; i < NB; i++) {
                const int c = tid + i * THREADS;
                if (c < CHUNKS_B) next_b[i] = BACK ? right<T, BACK>(p, weight, s * BK + c % (BK / 8) * 8, column0 + c / (BK / 8))
                                                   : right<T, BACK>(p, weight, s * BK + c / (BN / 8), column0 + c % (BN / 8) * 8);
            }
        }
        if (s > 0) {                                                 /* ... while the one before is multiplied */
            const T *a = sa + (s - 1) % 2 * A, *b = sb + (s - 1) % 2 * B;
#pragma unroll
            for (int k = 0; k < BK && row0 + wm * TM * 16 < p.rows; k += tile::STEP) {
                typename tile::frag_a fa[TM];
#pragma unroll
                for (int i = 0; i < TM; i++) tile::load_a(fa[i], a + (wm * TM + i) * 16 * LDA + k, LDA);
#pragma unroll
                for (int j = 0; j < TN; j++) {
                    typename tile::frag_b fb;
                    const int column = (wn * TN + j) * 16;
                    if (column0 + column >= p.columns) break;        /* nothing there: the same for the whole warp */
                    tile::load_b(fb, BACK ? b + column * LDB + k : b + k * LDB + column, LDB);
#pragma unroll
                    for (int i = 0; i < TM; i++) tile::mma(sum[i][j], fa[i], fb);
                }
            }
        }
        if (s < steps) {
            T *a = sa + s % 2 * A, *b = sb + s % 2 * B;
#pragma unroll
            for (int i = 0; i < NA; i++) {
                const int c = tid + i * THREADS;
                if (c < CHUNKS_A) ot_store_chunk(a + c / (BK / 8) * LDA + c % (BK / 8) * 8, next_a[i]);
            }
#pragma unroll
            for (int i = 0; i < NB; i++) {
                const int c = tid + i * THREADS;
                if (c < CHUNKS_B) ot_store_chunk(BACK ? b + c / (BK / 8) * LDB + c % (BK / 8) * 8 : b + c / (BN / 8) * LDB + c % (BN / 8) * 8, next_b[i]);
            }
        }
        __syncthreads();
    }
    const ot_chip_knobs knobs = ot_knobs_of(BACK ? p.mask.knobs : p.after.knobs, chip);
    ot_mask_sums sums = {0.0, 0.0};
    float *stage = (float *)memory + warp * OT_STAGE;
    const int lane = tid % 32;
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) {
            const ot_eight y = tile::rows(sum[i][j], stage);
            finish<T, BACK>(p, y, knobs, chip, group, row0 + (wm * TM + i) * 16 + lane / 2, column0 + (wn * TN + j) * 16 + lane % 2 * 8, &sums);
        }
    if (BACK && p.masked) {
        OT_SHARED(double, room, [THREADS]);
        ot_mask_end<THREADS>(p.mask, sums, &room[0], chip, (int)(gridDim.x * gridDim.y), (int)(blockIdx.y * gridDim.x + blockIdx.x));
    }
}

template <int MATH, bool BACK> static int launch(const conv_args &p, int chips, otk_stream stream)
{
    const dim3 wide((unsigned)(p.row_tiles * ot_ceil(p.columns, 128)), (unsigned)p.c.groups, (unsigned)chips);
    const dim3 narrow((unsigned)(p.row_tiles * ot_ceil(p.columns, 64)), (unsigned)p.c.groups, (unsigned)chips);
    if (MATH == OTK_FP16 && p.columns > 64) return ot_launch(conv_kernel1<MATH, 128, MATH == OTK_FP16 ? 128 : 64, BACK>, wide, dim3(THREADS), 0, (cudaStream_t)stream, p);
    return ot_launch(conv_kernel1<MATH, 128, 64, BACK>, narrow, dim3(THREADS), 0, (cudaStream_t)stream, p);
}

template <bool BACK> static int by_math(otk_math math, const conv_args &p, int chips, otk_stream stream)
{
    if (p.rows <= 0 || chips <= 0) return 0;
    switch (math) {
    case OTK_FP16: return launch<OTK_FP16, BACK>(p, chips, stream);
    case OTK_TF32: return launch<OTK_TF32, BACK>(p, chips, stream);
    default: return launch<OTK_FP32, BACK>(p, chips, stream);
    }
}

static conv_args common(const otk_conv *c, otk_tensor src, otk_tensor weight, otk_tensor dst)
{
    conv_args p = {};
    p.c = *c, p.src = src, p.weight = weight, p.dst = dst;
    p.out_pad = otk_channels(c->out.c / c->groups);
    p.weight_group = otk_conv_weights(c) / c->groups;
    return p;
}

extern "C" int otk_conv_forward(otk_math math, const otk_conv *c, int chips, int n, otk_tensor src, otk_tensor weight, otk_tensor dst,
                                const otk_after *after, otk_stream stream)
{
    if (otk_conv_depthwise(c)) return otk_depthwise_forward(math == OTK_FP16 ? OTK_F16 : OTK_F32, c, chips, n, src, weight, dst, after, stream);
    conv_args p = common(c, src, weight, dst);
    p.from = c->in, p.to = c->out, p.after = *after;
    p.from_group = c->in.c / c->groups, p.to_group = c->out.c / c->groups;
    p.k_channels = otk_channels(p.from_group), p.columns = p.out_pad;
    p.rows = n * c->out.h * c->out.w, p.K = c->kh * c->kw * p.k_channels, p.row_tiles = (int)ot_ceil(p.rows, 128);
    return by_math<false>(math, p, chips, stream);
}

/* Blocks a chip of the data pass; what launch() makes of it. */
static int64_t data_blocks(const otk_conv *c, int n, int wide)
{
    const int columns = otk_channels(c->in.c / c->groups);
    return ot_ceil((int64_t)n * c->in.h * c->in.w, 128) * ot_ceil(columns, wide && columns > 64 ? 128 : 64) * c->groups;
}

extern "C" size_t otk_conv_data_bytes(const otk_conv *c, int chips, int n)
{
    const int64_t blocks = otk_conv_depthwise(c) ? otk_depthwise_blocks(c->in, n) : data_blocks(c, n, 0);
    return (size_t)(chips * blocks) * 2 * sizeof(double);
}

extern "C" int otk_conv_data(otk_math math, const otk_conv *c, int chips, int n, otk_tensor g, otk_tensor weight, otk_tensor dsrc, float factor,
                             int add, const otk_relu_back *mask, otk_stream stream)
{
    if (otk_conv_depthwise(c)) return otk_depthwise_data(math == OTK_FP16 ? OTK_F16 : OTK_F32, c, chips, n, g, weight, dsrc, factor, add, mask, stream);
    conv_args p = common(c, g, weight, dsrc);
    p.from = c->out, p.to = c->in, p.factor = factor, p.add = add, p.masked = mask != NULL;
    if (mask) p.mask = *mask;
    p.from_group = c->out.c / c->groups, p.to_group = c->in.c / c->groups;
    p.k_channels = p.out_pad, p.columns = otk_channels(p.to_group);
    p.rows = n * c->in.h * c->in.w, p.K = c->kh * c->kw * p.k_channels, p.row_tiles = (int)ot_ceil(p.rows, 128);
    const int e = by_math<true>(math, p, chips, stream);
    if (e || !mask || p.rows <= 0 || chips <= 0) return e;
    return otk_relu_sums(mask, chips, (int)data_blocks(c, n, math == OTK_FP16), stream);
}

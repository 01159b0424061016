/* if.cu - integrate and fire over all time steps, on many chips at once (if.h says what is computed, docs/spiking.md why).
 *
 * A neuron's T frames lie otk_image(s) elements apart.  Forward a thread takes the neurons of 16 bytes, four floats or eight halves, through
 * all steps with their membranes in registers; the next four steps' currents are on their way meanwhile.
 *
 * Backward stores nothing between: it integrates again.  Walking back needs each step's membrane and the one before it (whether it fired);
 * leak m + I cannot be undone to the bit, so they are kept, in shared memory, a column a neuron: T <= 64 steps are read once, integrated,
 * walked back.  Longer trains go 64 steps at a time from the last; a first pass leaves in the column the membrane in front of each 64
 * (at most 15 of them), and their currents are read twice.  So a step moves a current and a gradient in and a gradient out, no more, no tensor
 * is needed beside them, and the 128 neurons of a block take T x 512 bytes: 12.8 KB at T = 25, which leaves a GPU of 100 KB and more
 * a multiprocessor enough threads to hide memory.  Membranes are floats whatever tensors hold.
 *
 * The sum for the threshold: a neuron's steps in order, in double; a block's threads as a tree; blocks in order by a second kernel.  Their
 * number depends on the tensor alone.
 *
 * In half precision a current too large for the format (infinite) makes its neuron's spikes NaN: it must not become a spike that looks
 * right.  In float an infinite current fires or does not, as in the ref backend.
 *
 *   1  as above; time on a GPU not measured yet (bench/README.md) */
#include "kernels/if.h"
#include "kernels/reduce.cuh"
#include "kernels/store.cuh"

enum { FORWARD_THREADS = 256, AHEAD = 4, BLOCK = 128, HELD = 64, SUM_THREADS = 256 };     /* BLOCK: neurons of a block backward; HELD: steps in shared memory */

/* BYTES of neighbours in memory, and what they say as floats. */
template <class T, int BYTES> struct few {
    enum { N = BYTES / (int)sizeof(T) };
    float v[N];
};
template <int BYTES> struct word { typedef uint4 type; };
template <> struct word<4> { typedef uint32_t type; };

template <class T, int BYTES> __device__ __forceinline__ few<T, BYTES> load_few(const T *p)
{
    union { typename word<BYTES>::type all; T one[few<T, BYTES>::N]; } u;
    few<T, BYTES> f;
    u.all = *(const typename word<BYTES>::type *)p;
#pragma unroll
    for (int i = 0; i < few<T, BYTES>::N; i++) f.v[i] = ot_get(&u.one[i]);
    return f;
}

template <class T, int BYTES> __device__ __forceinline__ void store_few(T *p, const few<T, BYTES> &f)
{
    union { typename word<BYTES>::type all; T one[few<T, BYTES>::N]; } u;
#pragma unroll
    for (int i = 0; i < few<T, BYTES>::N; i++) ot_put(&u.one[i], f.v[i]);
    *(typename word<BYTES>::type *)p = u.all;
}

template <class T> __device__ __forceinline__ float current_of(float held, float factor)
{
    const float current = held * factor;
    return sizeof(T) == 2 && fabsf(held) > 65504.0f ? NAN : current;
}

__device__ __forceinline__ ot_if neuron_of(const otk_if &p, int chip)
{
    const float gain = p.gain ? p.gain[chip * p.stride] : 1.0f, threshold = !p.gain ? p.own_threshold : p.divided ? p.unit / gain : p.unit * gain;
    return {threshold, p.leak, p.reset == OTK_RESET_FIXED ? p.u_rst : threshold, p.reset == OTK_RESET_ZERO, p.surrogate, p.sharpness};
}

template <class T> __global__ void __launch_bounds__(FORWARD_THREADS) if_kernel1(otk_if p, int64_t frame, int64_t all, otk_tensor src, otk_tensor dst)
{
    typedef few<T, 16> some;
    const int64_t e = blockIdx.x * (int64_t)FORWARD_THREADS + threadIdx.x;
    if (e >= all) return;
    const ot_if   neuron = neuron_of(p, blockIdx.z);
    const int64_t image = e / (frame / some::N), at = e % (frame / some::N) * some::N;
    const T      *in = (const T *)src.at + blockIdx.z * src.stride + image * (p.still ? 1 : p.steps) * frame + at;
    T            *out = (T *)dst.at + blockIdx.z * dst.stride + image * p.steps * frame + at;
    some          current[AHEAD];
    float         m[some::N];
#pragma unroll
    for (int i = 0; i < some::N; i++) m[i] = 0.0f;
    if (p.still) current[0] = load_few<T, 16>(in);
    for (int t = 0; t < p.steps; t += AHEAD) {
#pragma unroll
        for (int a = 0; a < AHEAD; a++)
            if (!p.still && t + a < p.steps) current[a] = load_few<T, 16>(in + (t + a) * frame);
#pragma unroll
        for (int a = 0; a < AHEAD; a++) {
            if (t + a >= p.steps) break;
            some spikes;
#pragma unroll
            for (int i = 0; i < some::N; i++) {
                const float x = p.still ? current[0].v[i] : current[a].v[i];
                m[i] = ot_if_membrane(neuron, m[i], current_of<T>(x, p.src_factor), m[i] > neuron.threshold);
                spikes.v[i] = m[i] > neuron.threshold ? p.dst_factor : m[i] == m[i] ? 0.0f : m[i];
            }
            store_few<T, 16>(out + (t + a) * frame, spikes);
        }
    }
}

extern "C" int otk_if_forward(otk_type type, otk_shape s, int chips, int images, otk_tensor src, otk_tensor dst, const otk_if *p, otk_stream stream)
{
    const int64_t frame = otk_image(s), all = images * frame / (type == OTK_F16 ? 8 : 4);
    if (all <= 0 || chips <= 0 || p->steps <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(all, FORWARD_THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? if_kernel1<__half> : if_kernel1<float>, grid, dim3(FORWARD_THREADS), 0, (cudaStream_t)stream, *p, frame, all, src, dst);
}

/* What one thread does backward, four bytes of neighbours: their columns of shared memory and the walk over them. */
template <class T> struct walk {
    typedef few<T, 4> some;
    enum { N = some::N, THREADS = BLOCK / N };
    const otk_if &p;
    ot_if    neuron;
    int64_t  frame;
    const T *in, *g;
    T       *out;                          /* NULL: nobody wants it */
    float   *column;                       /* row r, neighbour i at column[(r N + i) THREADS] */
    some     scale;
    float    after[N], total[N];           /* dL/dm of the step behind; its sum over steps */
    double   sum;

    __device__ __forceinline__ float &held(int row, int i) { return column[(row * N + i) * THREADS]; }

    /* Steps t0..t1 from membranes m, each noted in row t - t0 if `note`. */
    __device__ __forceinline__ void integrate(int t0, int t1, float (&m)[N], bool note)
    {
        some current[AHEAD];
        if (p.still) current[0] = load_few<T, 4>(in);
        for (int t = t0; t < t1; t += AHEAD) {
#pragma unroll
            for (int a = 0; a < AHEAD; a++)
                if (!p.still && t + a < t1) current[a] = load_few<T, 4>(in + (t + a) * frame);
#pragma unroll
            for (int a = 0; a < AHEAD; a++) {
                if (t + a >= t1) break;
#pragma unroll
                for (int i = 0; i < N; i++) {
                    const float x = p.still ? current[0].v[i] : current[a].v[i];
                    m[i] = ot_if_membrane(neuron, m[i], current_of<T>(x, p.src_factor), m[i] > neuron.threshold);
                    if (note) held(t + a - t0, i) = m[i];
                }
            }
        }
    }

    /* One step; now, before: membranes here and at the step before. */
    __device__ __forceinline__ void back(int t, const some &dspike, const float (&now)[N], const float (&before)[N], bool add)
    {
        some d = add && !p.still ? load_few<T, 4>(out + t * frame) : some();
#pragma unroll
        for (int i = 0; i < N; i++) {
            const float k = dspike.v[i] * ot_if_surrogate(neuron, now[i] - neuron.threshold);
            after[i] = ot_if_back(neuron, k, after[i], now[i] > neuron.threshold);
            sum -= (double)(p.reset == OTK_RESET_SUBTRACT && before[i] > neuron.threshold ? k + after[i] : k);
            total[i] += after[i];
            d.v[i] = fmaf(after[i], scale.v[i], add && !p.still ? d.v[i] : 0.0f);
        }
        if (out && !p.still) store_few<T, 4>(out + t * frame, d);
    }

    /* From step t1 - 1 to t0, whose membranes are held; `before`: those in front of t0. */
    __device__ __forceinline__ void walk_back(int t0, int t1, const float (&before)[N], bool add)
    {
        float now[N], front[N];
        some  dspike[AHEAD];
#pragma unroll
        for (int i = 0; i < N; i++) now[i] = held(t1 - 1 - t0, i);
        for (int t = t1 - 1; t >= t0; t -= AHEAD) {
#pragma unroll
            for (int a = 0; a < AHEAD; a++)
                if (t - a >= t0) dspike[a] = load_few<T, 4>(g + (t - a) * frame);
#pragma unroll
            for (int a = 0; a < AHEAD; a++) {
                if (t - a < t0) break;
#pragma unroll
                for (int i = 0; i < N; i++) front[i] = t - a > t0 ? held(t - a - 1 - t0, i) : before[i];
                back(t - a, dspike[a], now, front, add);
#pragma unroll
                for (int i = 0; i < N; i++) now[i] = front[i];
            }
        }
    }

    __device__ __forceinline__ void run(bool add)
    {
        const int T1 = p.steps, parts = (T1 + HELD - 1) / HELD, rows = T1 < HELD ? T1 : HELD;
        float     m[N];
#pragma unroll
        for (int i = 0; i < N; i++) m[i] = after[i] = total[i] = 0.0f;
        for (int part = 1; part < parts; part++) {
            integrate((part - 1) * HELD, part * HELD, m, false);
#pragma unroll
            for (int i = 0; i < N; i++) held(rows + part - 1, i) = m[i];
        }
        for (int part = parts - 1; part >= 0; part--) {
            const int t0 = part * HELD, t1 = t0 + HELD < T1 ? t0 + HELD : T1;
            float     before[N];
#pragma unroll
            for (int i = 0; i < N; i++) m[i] = before[i] = part ? held(rows + part - 1, i) : 0.0f;
            integrate(t0, t1, m, true);
            walk_back(t0, t1, before, add);
        }
        if (!p.still || !out) return;
        some d = add ? load_few<T, 4>(out) : some();
#pragma unroll
        for (int i = 0; i < N; i++) d.v[i] = fmaf(total[i], scale.v[i], add ? d.v[i] : 0.0f);
        store_few<T, 4>(out, d);
    }
};

template <class T, int SURROGATE>
__global__ void __launch_bounds__(walk<T>::THREADS) if_back_kernel1(otk_if p, otk_if_back b, int channels, int64_t frame, int64_t all, otk_tensor src)
{
    enum { N = walk<T>::N, THREADS = walk<T>::THREADS };
    OT_SHARED(double, room, [THREADS]);
    OT_DYN_SHARED(float, columns);
    const int     chip = blockIdx.z;
    const int64_t e = (blockIdx.x * (int64_t)THREADS + threadIdx.x) * N;
    double        sum = 0.0;
    p.surrogate = SURROGATE;
    if (e < all) {
        const int64_t image = e / frame, at = e % frame, moving = image * p.steps * frame + at, in = p.still ? e : moving;
        walk<T>       w = {p, neuron_of(p, chip), frame, (const T *)src.at + chip * src.stride + in, (const T *)b.g.at + chip * b.g.stride + moving,
                           b.dsrc.at ? (T *)b.dsrc.at + chip * b.dsrc.stride + in : NULL, columns + threadIdx.x, {}, {}, {}, 0.0};
#pragma unroll
        for (int i = 0; i < N; i++) w.scale.v[i] = b.scale ? b.scale[at % channels + i] : 1.0f;
        w.run(b.add && b.dsrc.at);
        sum = w.sum;
    }
    if (!b.sums) return;
    sum = ot_block_sum<THREADS>(sum, &room[0]);
    if (threadIdx.x == 0) ((double *)b.partial)[chip * (int64_t)gridDim.x + blockIdx.x] = sum;
}

/* One block a chip.  From the threshold's derivative to the gain's. */
__global__ void __launch_bounds__(SUM_THREADS) if_sums_kernel1(otk_if p, otk_if_back b, int64_t blocks)
{
    OT_SHARED(double, room, [SUM_THREADS]);
    const double *partial = (const double *)b.partial + blockIdx.x * blocks;
    double        sum = 0.0;
    for (int64_t i = threadIdx.x; i < blocks; i += SUM_THREADS) sum += partial[i];
    sum = ot_block_sum<SUM_THREADS>(sum, &room[0]);
    if (threadIdx.x != 0) return;
    const double gain = p.gain ? (double)p.gain[blockIdx.x * p.stride] : 1.0, unit = (double)p.unit;
    b.sums[blockIdx.x * b.sums_stride] += !p.gain ? sum : p.divided ? -unit / (gain * gain) * sum : unit * sum;
}

static int64_t back_blocks(otk_shape s, int images) { return ot_ceil(images * otk_image(s), BLOCK); }

extern "C" size_t otk_if_back_bytes(otk_shape s, int chips, int images) { return (size_t)(chips * back_blocks(s, images)) * sizeof(double); }

template <class T> static int launch_back(const otk_if *p, const otk_if_back *b, otk_shape s, int chips, int images, otk_tensor src, otk_stream stream)
{
    static void (*const kernels[])(otk_if, otk_if_back, int, int64_t, int64_t, otk_tensor) = {if_back_kernel1<T, 0>, if_back_kernel1<T, 1>, if_back_kernel1<T, 2>};
    const int    rows = p->steps <= HELD ? p->steps : HELD + (p->steps - 1) / HELD;
    const dim3   grid((unsigned)back_blocks(s, images), 1, (unsigned)chips), block(walk<T>::THREADS);
    const size_t shared = (size_t)rows * BLOCK * sizeof(float);
    return ot_launch(kernels[p->surrogate], grid, block, shared, (cudaStream_t)stream, *p, *b, otk_channels(s.c), otk_image(s), images * otk_image(s), src);
}

extern "C" int otk_if_back_run(otk_type type, otk_shape s, int chips, int images, otk_tensor src, const otk_if *p, const otk_if_back *b, otk_stream stream)
{
    if (images <= 0 || chips <= 0 || otk_image(s) <= 0 || p->steps <= 0) return 0;
    const int e = type == OTK_F16 ? launch_back<__half>(p, b, s, chips, images, src, stream) : launch_back<float>(p, b, s, chips, images, src, stream);
    if (e || !b->sums) return e;
    return ot_launch(if_sums_kernel1, dim3((unsigned)chips), dim3(SUM_THREADS), 0, (cudaStream_t)stream, *p, *b, back_blocks(s, images));
}

/* --- classes are told by counts --- */

__device__ __forceinline__ float worth(int sooner_more, int steps, int t) { return sooner_more ? (float)(steps - t) : 1.0f; }

template <class T>
__global__ void __launch_bounds__(FORWARD_THREADS) if_count_kernel1(int64_t frame, int64_t all, int steps, int sooner_more, otk_tensor spikes, otk_tensor counts, float factor)
{
    const int64_t e = blockIdx.x * (int64_t)FORWARD_THREADS + threadIdx.x;
    if (e >= all) return;
    const T *from = (const T *)spikes.at + blockIdx.z * spikes.stride + e / frame * steps * frame + e % frame;
    float    sum = 0.0f;
    for (int t = 0; t < steps; t++) sum += ot_get(from + t * frame) * worth(sooner_more, steps, t);          /* whole numbers: exact */
    ot_put((T *)counts.at + blockIdx.z * counts.stride + e, sum * factor);
}

extern "C" int otk_if_count(otk_type type, otk_shape s, int chips, int images, int steps, int sooner_more, otk_tensor spikes, otk_tensor counts, float factor, otk_stream stream)
{
    const int64_t frame = otk_image(s), all = images * frame;
    if (all <= 0 || chips <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(all, FORWARD_THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? if_count_kernel1<__half> : if_count_kernel1<float>, grid, dim3(FORWARD_THREADS), 0, (cudaStream_t)stream, frame, all, steps,
                     sooner_more, spikes, counts, factor);
}

template <class T>
__global__ void __launch_bounds__(FORWARD_THREADS) if_spread_kernel1(int64_t frame, int64_t all, int steps, int sooner_more, otk_tensor from, otk_tensor to)
{
    const int64_t e = blockIdx.x * (int64_t)FORWARD_THREADS + threadIdx.x;
    if (e >= all) return;
    const float g = ot_get((const T *)from.at + blockIdx.z * from.stride + e / frame / steps * frame + e % frame);
    ot_put((T *)to.at + blockIdx.z * to.stride + e, g * worth(sooner_more, steps, (int)(e / frame % steps)));
}

extern "C" int otk_if_spread(otk_type type, otk_shape s, int chips, int images, int steps, int sooner_more, otk_tensor from, otk_tensor to, otk_stream stream)
{
    const int64_t frame = otk_image(s), all = images * frame * steps;
    if (all <= 0 || chips <= 0) return 0;
    const dim3 grid((unsigned)ot_ceil(all, FORWARD_THREADS), 1, (unsigned)chips);
    return ot_launch(type == OTK_F16 ? if_spread_kernel1<__half> : if_spread_kernel1<float>, grid, dim3(FORWARD_THREADS), 0, (cudaStream_t)stream, frame, all, steps,
                     sooner_more, from, to);
}

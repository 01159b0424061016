/* loss.cu - softmax cross-entropy, its gradient, right answers; one thread an image of a chip, in double; a chip's losses are added by
 * one block in order.  The class of NaN logits is none: such an image is wrong, its loss NaN. */
#include "kernels/reduce.cuh"
#include "kernels/store.cuh"

enum { THREADS = 128 };

template <class T> __global__ void __launch_bounds__(THREADS) loss_kernel1(int classes, int n, otk_loss l)
{
    const int i = blockIdx.x * THREADS + threadIdx.x, chip = blockIdx.z, cp = otk_channels(classes);
    if (i >= n) return;
    const T      *x = (const T *)l.logits.at + chip * l.logits.stride + (int64_t)i * cp;
    const int     frames = l.frames ? l.frames : 1, image = i / frames;
    const int32_t label = l.labels[l.rows ? (int64_t)l.rows[image] : l.first + image];
    int           best = 0, nan = 0;
    for (int c = 0; c < classes; c++) {
        const float v = ot_get(x + c);
        nan |= v != v;
        if (v > ot_get(x + best)) best = c;
    }
    const int right = !nan && best == label;
    double   *loss = (double *)l.partial + (int64_t)chip * n;
    int      *good = (int *)((double *)l.partial + (int64_t)gridDim.z * n) + (int64_t)chip * n;
    good[i] = right;
    if (l.bits && right) atomicOr(&l.bits[chip * l.bits_stride + (l.first + i) / 32], 1u << (l.first + i) % 32);
    if (!l.loss && !l.grad.at) return;
    const double f = (double)l.logit_factor, top = (double)ot_get(x + best) * f;
    double       sum = 0.0, mean = 0.0;
    for (int c = 0; c < classes; c++) {
        const double v = (double)ot_get(x + c) * f - top;
        sum += exp(v);
        mean += v;
    }
    mean /= classes;
    loss[i] = (log(sum) - (1.0 - l.smoothing) * ((double)ot_get(x + label) * f - top) - l.smoothing * mean) / frames;
    if (!l.grad.at) return;
    T *g = (T *)l.grad.at + chip * l.grad.stride + (int64_t)i * cp;
    for (int c = 0; c < cp; c++) {
        const double target = (c == label ? 1.0 - l.smoothing : 0.0) + l.smoothing / classes;
        ot_put(g + c, c < classes ? (float)(l.weight / frames * (exp((double)ot_get(x + c) * f - top) / sum - target)) : 0.0f);
    }
}

/* One block a chip. */
__global__ void __launch_bounds__(THREADS) loss_end_kernel1(int n, otk_loss l)
{
    OT_SHARED(double, room, [THREADS]);
    OT_SHARED(int64_t, room_right, [THREADS]);
    const int     chip = blockIdx.x;
    const double *loss = (const double *)l.partial + (int64_t)chip * n;
    const int    *good = (const int *)((const double *)l.partial + (int64_t)gridDim.x * n) + (int64_t)chip * n;
    double        sum = 0.0;
    int64_t       right = 0;
    for (int i = threadIdx.x; i < n; i += THREADS) {
        if (l.loss) sum += loss[i];
        right += good[i];
    }
    sum = ot_block_sum<THREADS>(sum, &room[0]);
    right = ot_block_sum<THREADS>(right, &room_right[0]);
    if (threadIdx.x == 0) {
        if (l.loss) l.loss[chip] += sum;
        if (l.right) l.right[chip] += right;
    }
}

extern "C" size_t otk_loss_bytes(int chips, int n) { return (size_t)chips * (size_t)n * (sizeof(double) + sizeof(int)); }

extern "C" int otk_loss_run(otk_type type, int classes, int chips, int n, const otk_loss *l, otk_stream stream)
{
    if (n <= 0 || chips <= 0) return 0;
    const int e = ot_launch(type == OTK_F16 ? loss_kernel1<__half> : loss_kernel1<float>, dim3((unsigned)ot_ceil(n, THREADS), 1, (unsigned)chips), dim3(THREADS), 0,
                            (cudaStream_t)stream, classes, n, *l);
    if (e || (!l->loss && !l->right)) return e;
    return ot_launch(loss_end_kernel1, dim3((unsigned)chips), dim3(THREADS), 0, (cudaStream_t)stream, n, *l);
}

/* weights.cu - weight training: one optimiser step of all parameters, the running statistics of batch norm.
 *
 * The arithmetic is the host's (host/train): gradients of a minibatch's shards added in their order, in double; SGD in float, Adam in
 * double.  Rates, powers of Adam's betas and the number of the step lie on the device, so that a step can be replayed as a graph: every
 * thread reads them, and one thread moves them on in a kernel of its own behind. */
#include "kernels/adam.h"
#include "kernels/cuda.h"

enum { THREADS = 256 };

/* Mean over the shards. */
__device__ __forceinline__ float gathered(const float *all, int shards, int64_t n, int64_t i)
{
    double sum = 0.0;
    for (int k = 0; k < shards; k++) sum += (double)all[k * n + i];
    return (float)(sum * (1.0 / shards));
}

__global__ void __launch_bounds__(THREADS) sgd_kernel1(otk_weights w)
{
    const int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (i >= w.n) return;
    const float lr = (float)w.rate[*w.step], p = w.parameters[i], g = gathered(w.grad, w.shards, w.n, i);
    const float v = fmaf((float)w.momentum, w.velocity[i], w.decays[i] ? fmaf((float)w.decay, p, g) : g);
    w.velocity[i] = v;
    w.parameters[i] = fmaf(-lr, v, p);
}

__global__ void __launch_bounds__(THREADS) adam_weights_kernel1(otk_weights w)
{
    const int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (i >= w.n) return;
    ot_adam_power power = {w.power[0], w.power[1]};
    ot_adam       s = {w.moments[2 * i], w.moments[2 * i + 1]};
    const double  p = (double)w.parameters[i], g = (double)gathered(w.grad, w.shards, w.n, i) + (w.decays[i] ? w.decay * p : 0.0);
    ot_adam_advance(&power);
    w.parameters[i] = (float)ot_adam_step(p, g, w.rate[*w.step], &s, power);
    w.moments[2 * i] = s.m;
    w.moments[2 * i + 1] = s.v;
}

__global__ void __launch_bounds__(THREADS) statistics_kernel1(otk_weights w)
{
    const int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x;
    if (i >= w.n_statistics) return;
    double sum = 0.0;
    for (int k = 0; k < w.shards; k++) sum += (double)w.batch_statistics[k * w.n_statistics + i];
    w.statistics[i] += (float)(w.share * (sum * (1.0 / w.shards) - (double)w.statistics[i]));
}

__global__ void __launch_bounds__(32) advance_kernel1(otk_weights w)
{
    if (threadIdx.x) return;
    const uint32_t step = *w.step;
    w.losses[step] = *w.loss / w.images;
    *w.loss = 0.0;
    if (w.power) {
        ot_adam_power power = {w.power[0], w.power[1]};
        ot_adam_advance(&power);
        w.power[0] = power.beta1, w.power[1] = power.beta2;
    }
    *w.step = step + 1;
}

extern "C" int otk_weights_step(const otk_weights *w, otk_stream stream)
{
    const dim3 grid((unsigned)ot_ceil(w->n, THREADS)), of_statistics((unsigned)ot_ceil(w->n_statistics, THREADS));
    int        e = 0;
    if (w->n > 0) e = ot_launch(w->moments ? adam_weights_kernel1 : sgd_kernel1, grid, dim3(THREADS), 0, (cudaStream_t)stream, *w);
    if (!e && w->n_statistics > 0) e = ot_launch(statistics_kernel1, of_statistics, dim3(THREADS), 0, (cudaStream_t)stream, *w);
    return e ? e : ot_launch(advance_kernel1, dim3(1), dim3(32), 0, (cudaStream_t)stream, *w);
}

/* adam.cu - one optimiser step of the knobs of every chip in flight.
 *
 * One warp a chip, the arithmetic of adam.h in double, the rules of DESIGN 4.3 as in host/tune/adam.c: a loss or gradient that is
 * not finite brings the chip's best knobs back; four times in a row and it stays there. */
#include "kernels/adam.h"
#include "kernels/cuda.h"

enum { WARP = 32, GIVE_UP = 4 };

__global__ void __launch_bounds__(WARP) adam_start_kernel1(otk_adam a, const float *knobs)
{
    const int64_t at = blockIdx.x * (int64_t)(2 * a.L);
    for (int k = threadIdx.x; k < 2 * a.L; k += WARP) {
        a.knob[at + k] = (double)knobs[at + k];
        a.best[at + k] = k < a.L ? 1.0 : 0.0;             /* until a finite loss is seen: untuned */
        a.grad[at + k] = a.state[2 * (at + k)] = a.state[2 * (at + k) + 1] = 0.0;
        a.sent[at + k] = knobs[at + k];
    }
    if (threadIdx.x == 0) {
        const otk_adam_chip fresh = {1.0, 1.0, INFINITY, 0.0, 0, 0, 0, 0};
        a.chip[blockIdx.x] = fresh;
        a.loss[blockIdx.x] = 0.0;
        if (a.step && blockIdx.x == 0) *a.step = 0;
    }
}

__global__ void __launch_bounds__(WARP) adam_kernel1(otk_adam a)
{
    const int64_t  at = blockIdx.x * (int64_t)(2 * a.L);
    otk_adam_chip  s = a.chip[blockIdx.x];
    const double   loss = a.loss[blockIdx.x] / a.images;
    int            finite = isfinite(loss) != 0, projected = 0;
    for (int k = threadIdx.x; k < 2 * a.L; k += WARP) finite = finite && isfinite(a.grad[at + k] * a.grad_factor);
    const int      all_finite = __ballot_sync(0xffffffffu, finite) == 0xffffffffu, gave_up = s.bad_in_row >= GIVE_UP;
    const int      better = all_finite && loss < s.best_loss;
    ot_adam_power  power = {s.beta1, s.beta2};
    ot_adam_advance(&power);
    const double   lr = a.rate && !gave_up ? a.rate[s.steps] : a.lr;
    for (int k = threadIdx.x; k < 2 * a.L; k += WARP) {
        const double g = a.grad[at + k] * a.grad_factor;
        ot_adam      m = {a.state[2 * (at + k)], a.state[2 * (at + k) + 1]};
        double       p = a.knob[at + k];
        a.grad[at + k] = 0.0;
        if (gave_up) continue;
        if (all_finite) {
            if (better) a.best[at + k] = p;
            p = a.sgd ? ot_sgd_step(p, g, lr, a.momentum, &m) : ot_adam_step(p, g, lr, &m, power);
            if (k < a.L) p = ot_adam_project_gain(p, &projected);
        } else {
            p = a.best[at + k];
            m.m = m.v = 0.0;
        }
        a.knob[at + k] = p;
        a.sent[at + k] = (float)p;
        a.state[2 * (at + k)] = m.m;
        a.state[2 * (at + k) + 1] = m.v;
    }
    for (int by = 16; by > 0; by /= 2) projected += __shfl_xor_sync(0xffffffffu, projected, by);
    __syncwarp();                                         /* all have read loss and state: a shuffle does not order memory */
    if (threadIdx.x != 0) return;
    if (a.step && blockIdx.x == 0) ++*a.step;
    a.loss[blockIdx.x] = 0.0;
    if (gave_up) return;
    s.steps++;
    s.last_loss = loss;
    s.projected += projected;
    if (all_finite) {
        s.beta1 = power.beta1, s.beta2 = power.beta2, s.bad_in_row = 0;
        if (better) s.best_loss = loss;
    } else {
        s.beta1 = s.beta2 = 1.0;
        s.bad_in_row++, s.nan_restores++;
    }
    a.chip[blockIdx.x] = s;
}

extern "C" int otk_adam_start(const otk_adam *a, int chips, const float *knobs, otk_stream stream)
{
    if (chips <= 0) return 0;
    return ot_launch(adam_start_kernel1, dim3((unsigned)chips), dim3(WARP), 0, (cudaStream_t)stream, *a, knobs);
}

extern "C" int otk_adam_step(const otk_adam *a, int chips, otk_stream stream)
{
    if (chips <= 0) return 0;
    return ot_launch(adam_kernel1, dim3((unsigned)chips), dim3(WARP), 0, (cudaStream_t)stream, *a);
}

/* adam.h - one Adam step of one parameter (Kingma and Ba 2015, algorithm 1), one of SGD, and the projection that keeps a gain usable.
 *
 *     m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
 *     p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)          b1 = 0.9, b2 = 0.999, eps = 1e-8
 *
 * In double throughout: knobs are few, and 20 steps must follow PyTorch's double trajectory to 1e-9.  The caller keeps the two
 * powers (ot_adam_advance moves them on by one step), so that no pow() is needed. */
#ifndef OT_KERNELS_ADAM_H
#define OT_KERNELS_ADAM_H

#include "kernels/hd.h"

#include <math.h>

#define OT_ADAM_BETA1 0.9
#define OT_ADAM_BETA2 0.999
#define OT_ADAM_EPS   1e-8

/* State of one parameter; zero at the start. */
typedef struct ot_adam { double m, v; } ot_adam;
/* beta^t of the steps done so far, shared by all parameters; {1, 1} at the start. */
typedef struct ot_adam_power { double beta1, beta2; } ot_adam_power;

/* Before a step's updates: t becomes t + 1. */
OT_HD void ot_adam_advance(ot_adam_power *power)
{
    power->beta1 *= OT_ADAM_BETA1;
    power->beta2 *= OT_ADAM_BETA2;
}

OT_HD double ot_adam_step(double p, double g, double lr, ot_adam *s, ot_adam_power power)
{
    s->m = OT_ADAM_BETA1 * s->m + (1.0 - OT_ADAM_BETA1) * g;
    s->v = OT_ADAM_BETA2 * s->v + (1.0 - OT_ADAM_BETA2) * g * g;
    return p - lr * (s->m / (1.0 - power.beta1)) / (sqrt(s->v / (1.0 - power.beta2)) + OT_ADAM_EPS);
}

/* SGD with momentum, the velocity in s->m: v = momentum v + g, p = p - lr v.  Unlike Adam's its steps know no bound: one that no float
 * holds stops short of it, and the loss says the rest. */
OT_HD double ot_sgd_step(double p, double g, double lr, double momentum, ot_adam *s)
{
    s->m = momentum * s->m + g;
    p -= lr * s->m;
    return p > 1e38 ? 1e38 : p < -1e38 ? -1e38 : p;
}

/* A gain after a step: held at 1/64 or above, so that backward never divides by 0 (DESIGN 4.3); *projected counts the times. */
OT_HD double ot_adam_project_gain(double gain, int *projected)
{
    if (gain < 0.015625) {
        ++*projected;
        return 0.015625;
    }
    return gain;
}

#endif

/* optimizer.h - one step of SGD or Adam on a flat vector of parameters. */
#ifndef OT_TRAIN_OPTIMIZER_H
#define OT_TRAIN_OPTIMIZER_H

#include "kernels/adam.h"
#include "ohmtrim/train.h"

typedef struct ot__optimizer {
    ot_optimizer kind;
    size_t n;
    double momentum, weight_decay;
    const uint8_t *decays; /* (n): 1 where weight decay applies; borrowed */
    float *velocity;       /* SGD: (n) */
    ot_adam *moments;      /* Adam: (n) */
    ot_adam_power power;   /* Adam */
} ot__optimizer;

ot_status ot__optimizer_open(ot__optimizer *out, const ot_train_options *opt, size_t n, const uint8_t *decays);
void ot__optimizer_close(ot__optimizer *o);
/* SGD as PyTorch's: g += decay p; v = momentum v + g; p -= lr v.  Adam likewise with L2 decay in the gradient. */
void ot__optimizer_step(ot__optimizer *o, float *parameters, const float *grad, double lr);

#endif

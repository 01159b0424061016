/* naive.h - every step of backend.h once more, straight from its formula, in double and for tests only.
 *
 * All operations but max pooling are linear maps: an output is a sum of links, each an input element times a weight or a constant.
 * One function lists the links of an output; forward, the gradient to the data and the gradient to the weights all walk that list. */
#ifndef OT_TESTS_NAIVE_H
#define OT_TESTS_NAIVE_H

#include "backend/backend.h"

/* Numbers in: floats as the backend gets them, (n, c, h, w). */
typedef struct naive_in {
    const float *src, *res, *g, *weight, *bias, *scale, *shift;      /* NULL where the step has none */
    float        gain, offset;
} naive_in;

typedef struct naive_out {
    double *before, *dst;              /* input of the T-ReLU (or the output), output */
    double *dsrc, *dres;
    double *tap, *mean, *var;          /* (n), (c), (c) */
    double *dweight, *dbias, *dgamma, *dbeta;
    double  grad_gain, grad_offset;
} naive_out;

/* Fills all of `out` (every pointer must be there, zeroed). */
void naive_step(naive_out *out, const ot_step *step, const naive_in *in, int n);

#endif

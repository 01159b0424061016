/* lipschitz.h - a penalty on layers that amplify: what CorrectNet-like training adds to the loss (lipschitz.c). */
#ifndef OT_TRAIN_LIPSCHITZ_H
#define OT_TRAIN_LIPSCHITZ_H

#include "ohmtrim/train.h"

struct ot__trainer;

/* The largest singular value of w (rows, cols) by `iterations` power iterations from one fixed vector: never above it.  u (rows), v (cols) are left
 * holding the singular vectors; all 0 for a matrix of zeros. */
double ot__lipschitz_norm(const float *w, size_t rows, size_t cols, int iterations, double *u, double *v);
/* Adds the penalty's gradient to t->grad.  Returns the penalty. */
double ot__lipschitz_add(struct ot__trainer *t);

#endif

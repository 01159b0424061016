/* ref_norm.c - batch norm with the minibatch's own statistics (training; Ioffe and Szegedy 2015).
 *
 *     xhat = (x - mean) / sqrt(var + eps), y = gamma xhat + beta, mean and (biased) var over the m = n h w values of a channel
 *     dbeta = sum g, dgamma = sum g xhat, dx = gamma / sqrt(var + eps) (g - dbeta / m - xhat dgamma / m) */
#include "backend/ref.h"

#include <math.h>

/* Calls BODY for each value of channel c, with e its index. */
#define EACH(BODY)                                                                             \
    for (size_t k = 0; k < (size_t)n; k++)                                                     \
        for (size_t p = 0; p < plane; p++) {                                                   \
            size_t e = k * size + (size_t)c * plane + p;                                       \
            BODY;                                                                              \
        }

void ot__ref_batch_norm(ot__ref_op *op, const double *src, double *dst, int n)
{
    const size_t size = ot__ref_size(op->step.in), plane = size / (size_t)op->step.in.c;
    const double m = (double)n * (double)plane;
    op->count = (int)m;
    for (int c = 0; c < op->step.in.c; c++) {
        double sum = 0.0, squares = 0.0;
        EACH(sum += src[e])
        double mean = sum / m;
        EACH(squares += (src[e] - mean) * (src[e] - mean))
        op->mean[c] = mean;
        op->var[c] = squares / m;
        op->inverse[c] = 1.0 / sqrt(op->var[c] + (double)op->step.affine->eps);
        EACH(dst[e] = (src[e] - mean) * op->inverse[c] * (double)op->scale[c] + (double)op->shift[c])
    }
}

void ot__ref_batch_norm_back(const ot__ref_op *op, const double *src, const double *g, double *dsrc, int n, float *grad_gamma,
                             float *grad_beta)
{
    const size_t size = ot__ref_size(op->step.in), plane = size / (size_t)op->step.in.c;
    const double m = (double)n * (double)plane;
    for (int c = 0; c < op->step.in.c; c++) {
        double mean = op->mean[c], inverse = op->inverse[c], dgamma = 0.0, dbeta = 0.0;
        EACH(dgamma += g[e] * (src[e] - mean) * inverse; dbeta += g[e])
        if (grad_gamma) grad_gamma[c] = (float)dgamma;
        if (grad_beta) grad_beta[c] = (float)dbeta;
        if (dsrc)
            EACH(dsrc[e] += (double)op->scale[c] * inverse * (g[e] - dbeta / m - (src[e] - mean) * inverse * dgamma / m))
    }
}

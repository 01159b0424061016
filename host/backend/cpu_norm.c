/* cpu_norm.c - batch norm with the minibatch's own statistics, for training: y = (x - mean) / sqrt(var + eps) * gamma + beta. */
#include "backend/cpu.h"

#include <math.h>

ot_status ot__cpu_norm_open(ot__cpu_op *op)
{
    size_t n = ot__cpu_channels(op->out);
    op->gamma = ot_alloc(n, sizeof *op->gamma);
    op->beta = ot_alloc(n, sizeof *op->beta);
    op->mean = ot_alloc(n, sizeof *op->mean);
    op->var = ot_alloc(n, sizeof *op->var);
    op->inverse = ot_alloc(n, sizeof *op->inverse);
    op->work = ot_alloc(3 * n, sizeof *op->work);
    op->sums = ot_alloc(2 * n, sizeof *op->sums);
    if (!op->gamma || !op->beta || !op->mean || !op->var || !op->inverse || !op->work || !op->sums) OT_NOMEM("batch norm", n * 48);
    op->bytes += n * 48;
    op->algorithm = "batch";
    return OT_OK;
}

void ot__cpu_norm_close(ot__cpu_op *op)
{
    ot_free(op->gamma);
    ot_free(op->beta);
    ot_free(op->mean);
    ot_free(op->var);
    ot_free(op->inverse);
    ot_free(op->work);
    ot_free(op->sums);
}

/* Mean and variance of this minibatch, and the scale and shift they make. */
void ot__cpu_norm_statistics(ot__cpu_op *op, const float *src, int n)
{
    const ot__cpu_loops *loops = OT_LOOPS_OF(op->cpu, op->in);
    double count = (double)n * op->in.h * op->in.w, *sum = op->sums, *dot = op->sums + ot__cpu_channels(op->in);
    loops->channel_sums(op->in, src, NULL, NULL, NULL, n, sum, NULL);
    for (int c = 0; c < op->in.c; c++) op->mean[c] = (float)(sum[c] / count);
    loops->channel_sums(op->in, src, src, op->mean, op->mean, n, sum, dot);
    for (int c = 0; c < op->in.c; c++) {
        double off = sum[c] / count, var = dot[c] / count - off * off;      /* off: what rounding the mean to float left */
        op->var[c] = (float)(count > 1 ? var * count / (count - 1) : var);
        op->inverse[c] = (float)(1.0 / sqrt(var + (double)op->step.affine->eps));
        op->scale[c] = op->gamma[c] * op->inverse[c];
        op->shift[c] = op->beta[c] - op->mean[c] * op->scale[c];
    }
}

void ot__cpu_norm_backward(ot__cpu_op *op, const float *src, const float *g, float *dsrc, const ot_step_back *back)
{
    const ot__cpu_loops *loops = OT_LOOPS_OF(op->cpu, op->in);
    size_t channels = ot__cpu_channels(op->in);
    double count = (double)back->n * op->in.h * op->in.w, *sum = op->sums, *dot = op->sums + channels;
    float *a = op->work, *k = op->work + channels, *c0 = op->work + 2 * channels;
    loops->channel_sums(op->in, g, src, NULL, op->mean, back->n, sum, dot);
    for (int c = 0; c < op->in.c; c++) {
        double inv = op->inverse[c], slope = (double)op->gamma[c] * inv;
        if (back->grad_gamma) back->grad_gamma[c] = (float)(dot[c] * inv);
        if (back->grad_beta) back->grad_beta[c] = (float)sum[c];
        a[c] = (float)slope;
        k[c] = (float)(-slope * inv * inv * dot[c] / count);
        c0[c] = (float)(-slope * sum[c] / count - (double)k[c] * op->mean[c]);
    }
    if (dsrc) loops->combine(op->in, dsrc, g, src, a, k, c0, back->add_src, back->n);
}

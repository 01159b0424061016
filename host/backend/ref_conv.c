/* ref_conv.c - convolution: forward, to the data, to the weights.  Dense is the convolution of one pixel by a 1x1 kernel.
 *
 * All three walk the same pairs: for a weight (o, i, ky, kx) and an output row, input column = output column * stride + const.
 * `span` cuts the columns (and rows) whose input lies in the padding; what is left is a plain loop. */
#include "backend/ref.h"

#include <string.h>

typedef struct span { int first, end; } span;

/* Outputs o of 0..n-1 with 0 <= o * stride + at < size. */
static span inside(int n, int stride, int at, int size)
{
    span s = {at < 0 ? (-at + stride - 1) / stride : 0, size > at ? (size - at - 1) / stride + 1 : 0};
    if (s.end > n) s.end = n;
    return s;
}

/* Does the block for each weight and row of one image, with: wi (index of the weight), in (offset of the input row's element for output
 * column 0; may point left of the row, valid from x.first on), out (offset of the output row), x (columns). */
#define WALK(...)                                                                                                        \
    const ot_layer *l = op->step.layer;                                                                                  \
    const ot_shape  in_s = op->step.in, out_s = op->step.out;                                                            \
    const int       in_g = l->in_c / l->groups, out_g = out_s.c / l->groups;                                             \
    for (int o = 0; o < out_s.c; o++)                                                                                    \
        for (int i = 0; i < in_g; i++)                                                                                   \
            for (int ky = 0; ky < l->kh; ky++)                                                                           \
                for (int kx = 0; kx < l->kw; kx++) {                                                                     \
                    size_t wi = (((size_t)o * (size_t)in_g + (size_t)i) * (size_t)l->kh + (size_t)ky) * (size_t)l->kw + (size_t)kx; \
                    span   y = inside(out_s.h, l->sh, ky - l->pt, in_s.h), x = inside(out_s.w, l->sw, kx - l->pl, in_s.w); \
                    int    from = o / out_g * in_g + i;                                                                  \
                    for (int oy = y.first; oy < y.end; oy++) {                                                           \
                        ptrdiff_t in = ((ptrdiff_t)from * in_s.h + oy * l->sh + ky - l->pt) * in_s.w + kx - l->pl;       \
                        ptrdiff_t out = ((ptrdiff_t)o * out_s.h + oy) * out_s.w;                                         \
                        __VA_ARGS__                                                                                      \
                    }                                                                                                    \
                }

void ot__ref_conv(const ot__ref_op *op, const double *src, double *dst, int n)
{
    size_t plane = (size_t)op->step.out.h * (size_t)op->step.out.w;
    for (int k = 0; k < n; k++, src += ot__ref_size(op->step.in), dst += ot__ref_size(op->step.out)) {
        for (size_t e = 0; e < ot__ref_size(op->step.out); e++) dst[e] = op->loaded_bias ? (double)op->bias[e / plane] : 0.0;
        WALK({
            double w = (double)op->weight[wi];
            if (l->sw == 1)
                for (int c = x.first; c < x.end; c++) dst[out + c] += w * src[in + c];
            else
                for (int c = x.first; c < x.end; c++) dst[out + c] += w * src[in + c * l->sw];
        })
    }
}

void ot__ref_conv_data(const ot__ref_op *op, const double *g, double *dsrc, int n)
{
    for (int k = 0; k < n; k++, dsrc += ot__ref_size(op->step.in), g += ot__ref_size(op->step.out)) {
        WALK({
            double w = (double)op->weight[wi];
            if (l->sw == 1)
                for (int c = x.first; c < x.end; c++) dsrc[in + c] += w * g[out + c];
            else
                for (int c = x.first; c < x.end; c++) dsrc[in + c * l->sw] += w * g[out + c];
        })
    }
}

/* One weight at a time, over all images, so that its sum is rounded to float once. */
void ot__ref_conv_weights(const ot__ref_op *op, const double *src, const double *g, int n, float *grad_weight)
{
    const size_t src_size = ot__ref_size(op->step.in), g_size = ot__ref_size(op->step.out);
    size_t last = SIZE_MAX;
    double sum = 0.0;
    memset(grad_weight, 0, ot_layer_weights(op->step.layer) * sizeof *grad_weight);
    WALK({
        if (wi != last) {
            if (last != SIZE_MAX) grad_weight[last] = (float)sum;
            last = wi;
            sum = 0.0;
        }
        for (int k = 0; k < n; k++) {
            const double *a = src + (size_t)k * src_size, *b = g + (size_t)k * g_size;
            for (int c = x.first; c < x.end; c++) sum += a[in + c * l->sw] * b[out + c];
        }
    })
    if (last != SIZE_MAX) grad_weight[last] = (float)sum;
}

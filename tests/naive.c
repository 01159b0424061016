/* naive.c - see naive.h. */
#include "naive.h"

#include <math.h>
#include <stdlib.h>

typedef struct link { size_t in; ptrdiff_t weight; double k; } link;   /* weight -1: none */

static size_t size(ot_shape s) { return (size_t)(s.c * s.h * s.w); }
static size_t at(ot_shape s, int c, int y, int x) { return (size_t)((c * s.h + y) * s.w + x); }

/* The links of output (c, oy, ox); the count. */
static int links(link *out, const ot_step *s, int c, int oy, int ox)
{
    const ot_layer *l = s->layer;
    int n = 0;
    switch (s->kind) {
    case OT_STEP_CONV: case OT_STEP_DENSE: {
        int per = l->in_c / l->groups, group = c / (s->out.c / l->groups);
        for (int i = 0; i < per; i++)
            for (int ky = 0; ky < l->kh; ky++)
                for (int kx = 0; kx < l->kw; kx++) {
                    int y = oy * l->sh + ky - l->pt, x = ox * l->sw + kx - l->pl;
                    if (y < 0 || y >= s->in.h || x < 0 || x >= s->in.w) continue;
                    out[n++] = (link){at(s->in, group * per + i, y, x), ((c * per + i) * l->kh + ky) * l->kw + kx, 1};
                }
        return n;
    }
    case OT_STEP_MAX_POOL: case OT_STEP_AVG_POOL: {
        int area = 0;
        for (int ky = 0; ky < l->kh; ky++)
            for (int kx = 0; kx < l->kw; kx++) {
                int y = oy * l->sh + ky - l->pt, x = ox * l->sw + kx - l->pl;
                area += y < s->in.h + l->pb && x < s->in.w + l->pr;
                if (y < 0 || y >= s->in.h || x < 0 || x >= s->in.w) continue;
                out[n++] = (link){at(s->in, c, y, x), -1, 1};
            }
        for (int i = 0; i < n && s->kind == OT_STEP_AVG_POOL; i++) out[i].k = 1.0 / (l->count_pad ? area : n);
        return n;
    }
    case OT_STEP_GLOBAL_AVG:
        for (int y = 0; y < s->in.h; y++)
            for (int x = 0; x < s->in.w; x++) out[n++] = (link){at(s->in, c, y, x), -1, 1.0 / (s->in.h * s->in.w)};
        return n;
    case OT_STEP_PAD: {
        int i = c - l->pad_before[0], y = oy - l->pad_before[1], x = ox - l->pad_before[2];
        if (i < 0 || i >= s->in.c || y < 0 || y >= s->in.h || x < 0 || x >= s->in.w) return 0;
        out[0] = (link){at(s->in, i, y, x), -1, 1};
        return 1;
    }
    case OT_STEP_SLICE:
        out[0] = (link){at(s->in, l->slice_start[0] + c * l->slice_step[0], l->slice_start[1] + oy * l->slice_step[1], l->slice_start[2] + ox * l->slice_step[2]), -1, 1};
        return 1;
    default:
        out[0] = (link){at(s->out, c, oy, ox), -1, 1};                /* same element: affine, add, relu, reshape */
        return 1;
    }
}

static double coefficient(const link *l, const naive_in *in) { return l->k * (l->weight < 0 ? 1.0 : (double)in->weight[l->weight]); }

/* Max pooling keeps the first largest link alone. */
static int choose(link *l, int n, const ot_step *s, const float *src)
{
    if (s->kind != OT_STEP_MAX_POOL) return n;
    for (int i = 1; i < n; i++)
        if (src[l[i].in] > src[l[0].in]) l[0] = l[i];
    return 1;
}

#define OUTPUTS                                    \
    for (int c = 0; c < s->out.c; c++)             \
        for (int oy = 0; oy < s->out.h; oy++)      \
            for (int ox = 0; ox < s->out.w; ox++)

static void batch_statistics(naive_out *out, const ot_step *s, const naive_in *in, int n)
{
    size_t plane = size(s->in) / (size_t)s->in.c, all = size(s->in);
    double m = (double)plane * n;
    for (size_t c = 0; c < (size_t)s->in.c; c++) {
        double sum = 0, squares = 0;
        for (size_t k = 0; k < (size_t)n; k++)
            for (size_t p = 0; p < plane; p++) sum += (double)in->src[k * all + c * plane + p];
        for (size_t k = 0; k < (size_t)n; k++)
            for (size_t p = 0; p < plane; p++) squares += pow((double)in->src[k * all + c * plane + p] - sum / m, 2);
        out->mean[c] = sum / m;
        out->var[c] = squares / m;                                    /* unbiased once backward is done with it */
    }
}

static void forward(naive_out *out, const ot_step *s, const naive_in *in, int n, link *list)
{
    OUTPUTS {
        int all = links(list, s, c, oy, ox);
        for (size_t k = 0; k < (size_t)n; k++) {
            const float *src = in->src + k * size(s->in);
            size_t       o = k * size(s->out) + at(s->out, c, oy, ox);
            int          count = choose(list, all, s, src);
            double       y = s->kind == OT_STEP_PAD && count == 0 ? (double)s->layer->pad_value : 0.0;
            for (int i = 0; i < count; i++) y += coefficient(&list[i], in) * (double)src[list[i].in];
            if (in->bias) y += (double)in->bias[c];
            if (s->batch) y = (y - out->mean[c]) / sqrt(out->var[c] + (double)s->affine->eps);
            if (s->affine) y = y * (double)in->scale[c] + (double)in->shift[c];
            if (s->res >= 0) y += (double)in->res[o];
            out->before[o] = y;
            if (s->relu) y = fmin((double)s->relu->clip, fmax(0, (y - (double)in->offset) * (double)in->gain));
            out->dst[o] = y;
            out->tap[k] += y / (double)size(s->out);
            if (s->kind == OT_STEP_MAX_POOL && k + 1 < (size_t)n) all = links(list, s, c, oy, ox);
        }
    }
}

/* dL/d(value before the T-ReLU); the T-ReLU's two sums. */
static double through_relu(naive_out *out, const ot_step *s, const naive_in *in, size_t o)
{
    double g = (double)in->g[o], x = out->before[o] - (double)in->offset, a = (double)in->gain;
    if (!s->relu) return g;
    if (!(x * a > 0 && x * a < (double)s->relu->clip)) return 0;
    out->grad_gain += g * x;                                          /* d/da of (x - b) a */
    out->grad_offset -= g * a;
    return g * a;
}

static void batch_back(naive_out *out, const ot_step *s, const naive_in *in, int n)
{
    size_t plane = size(s->in) / (size_t)s->in.c, all = size(s->in);
    double m = (double)plane * n;
    for (size_t c = 0; c < (size_t)s->in.c; c++) {
        double sd = sqrt(out->var[c] + (double)s->affine->eps), g_sum = 0, gx_sum = 0;
        for (size_t k = 0; k < (size_t)n; k++)
            for (size_t p = 0; p < plane; p++) {
                size_t e = k * all + c * plane + p;
                g_sum += (double)in->g[e];
                gx_sum += (double)in->g[e] * ((double)in->src[e] - out->mean[c]) / sd;
            }
        for (size_t k = 0; k < (size_t)n; k++)
            for (size_t p = 0; p < plane; p++) {
                size_t e = k * all + c * plane + p;
                double hat = ((double)in->src[e] - out->mean[c]) / sd;
                out->dsrc[e] = (double)in->scale[c] / sd * ((double)in->g[e] - g_sum / m - hat * gx_sum / m);
            }
        out->dgamma[c] = gx_sum;
        out->dbeta[c] = g_sum;
        out->var[c] *= m > 1 ? m / (m - 1) : 1;
    }
}

static void backward(naive_out *out, const ot_step *s, const naive_in *in, int n, link *list)
{
    OUTPUTS {
        int all = links(list, s, c, oy, ox);
        for (size_t k = 0; k < (size_t)n; k++) {
            const float *src = in->src + k * size(s->in);
            size_t       o = k * size(s->out) + at(s->out, c, oy, ox);
            double       g = through_relu(out, s, in, o);
            int          count = choose(list, all, s, src);
            out->dres[o] = g;
            if (s->affine) {
                out->dbeta[c] += g;
                g *= (double)in->scale[c];
            }
            out->dbias[c] += g;
            for (int i = 0; i < count; i++) {
                out->dsrc[k * size(s->in) + list[i].in] += g * coefficient(&list[i], in);
                if (list[i].weight >= 0) out->dweight[list[i].weight] += g * (double)src[list[i].in];
            }
            if (s->kind == OT_STEP_MAX_POOL && k + 1 < (size_t)n) all = links(list, s, c, oy, ox);
        }
    }
}

void naive_step(naive_out *out, const ot_step *s, const naive_in *in, int n)
{
    size_t most = size(s->in) + 1;
    link  *list = malloc(most * sizeof *list);
    if (!list) abort();
    if (s->batch) batch_statistics(out, s, in, n);
    forward(out, s, in, n, list);
    if (s->batch) batch_back(out, s, in, n);
    else backward(out, s, in, n, list);
    free(list);
}

/* ref_window.c - steps without weights: pools, pad, slice, reshape; forward and to the data.
 *
 * Forward and backward share one walk: backward hands g of an output to the inputs that made it. */
#include "backend/ref.h"

#include <string.h>

static size_t at(ot_shape s, int c, int y, int x) { return ((size_t)c * (size_t)s.h + (size_t)y) * (size_t)s.w + (size_t)x; }

static int least(int a, int b) { return a < b ? a : b; }
static int most(int a, int b) { return a > b ? a : b; }

/* The part of an output's window that lies on the image, and what an average divides by. */
typedef struct window { int y0, y1, x0, x1; double divisor; } window;

static window window_of(const ot_step *s, int oy, int ox)
{
    const ot_layer *l = s->layer;
    if (s->kind == OT_STEP_GLOBAL_AVG) return (window){0, s->in.h, 0, s->in.w, (double)s->in.h * s->in.w};
    int y = oy * l->sh - l->pt, x = ox * l->sw - l->pl;
    window w = {most(y, 0), least(y + l->kh, s->in.h), most(x, 0), least(x + l->kw, s->in.w), 0};
    int rows = w.y1 - w.y0, columns = w.x1 - w.x0;
    if (l->count_pad) {                                  /* padding counts, what ceil_mode adds beyond it does not */
        rows = least(y + l->kh, s->in.h + l->pb) - y;
        columns = least(x + l->kw, s->in.w + l->pr) - x;
    }
    w.divisor = rows > 0 && columns > 0 ? (double)rows * columns : 1.0;
    return w;
}

/* The first largest element, row by row; NaN counts as largest. */
static size_t largest(const ot_step *s, const double *src, int c, window w)
{
    size_t best = at(s->in, c, w.y0, w.x0);
    for (int y = w.y0; y < w.y1; y++)
        for (int x = w.x0; x < w.x1; x++) {
            size_t e = at(s->in, c, y, x);
            if (src[best] == src[best] && !(src[e] <= src[best])) best = e;
        }
    return best;
}

static void pool(const ot_step *s, const double *src, const double *g, double *out)
{
    for (int c = 0; c < s->out.c; c++)
        for (int oy = 0; oy < s->out.h; oy++)
            for (int ox = 0; ox < s->out.w; ox++) {
                window w = window_of(s, oy, ox);
                size_t o = at(s->out, c, oy, ox);
                if (s->kind == OT_STEP_MAX_POOL) {
                    size_t e = largest(s, src, c, w);
                    if (g) out[e] += g[o];
                    else out[o] = src[e];
                    continue;
                }
                double sum = 0.0;
                for (int y = w.y0; y < w.y1; y++)
                    for (int x = w.x0; x < w.x1; x++) {
                        if (g) out[at(s->in, c, y, x)] += g[o] / w.divisor;
                        else sum += src[at(s->in, c, y, x)];
                    }
                if (!g) out[o] = sum / w.divisor;
            }
}

/* PAD: a small image into a large frame.  SLICE: a large image's elements into a small frame. */
static void place(const ot_step *s, const double *src, const double *g, double *out)
{
    const ot_layer *l = s->layer;
    if (s->kind == OT_STEP_PAD) {
        if (!g) for (size_t e = 0; e < ot__ref_size(s->out); e++) out[e] = (double)l->pad_value;
        for (int c = 0; c < s->in.c; c++)
            for (int y = 0; y < s->in.h; y++)
                for (int x = 0; x < s->in.w; x++) {
                    size_t i = at(s->in, c, y, x), o = at(s->out, c + l->pad_before[0], y + l->pad_before[1], x + l->pad_before[2]);
                    if (g) out[i] += g[o];
                    else out[o] = src[i];
                }
        return;
    }
    for (int c = 0; c < s->out.c; c++)
        for (int y = 0; y < s->out.h; y++)
            for (int x = 0; x < s->out.w; x++) {
                size_t i = at(s->in, l->slice_start[0] + c * l->slice_step[0], l->slice_start[1] + y * l->slice_step[1],
                              l->slice_start[2] + x * l->slice_step[2]);
                size_t o = at(s->out, c, y, x);
                if (g) out[i] += g[o];
                else out[o] = src[i];
            }
}

static void one(const ot_step *s, const double *src, const double *g, double *out)
{
    switch (s->kind) {
    case OT_STEP_MAX_POOL: case OT_STEP_AVG_POOL: case OT_STEP_GLOBAL_AVG: pool(s, src, g, out); break;
    case OT_STEP_PAD: case OT_STEP_SLICE: place(s, src, g, out); break;
    default:                                             /* RESHAPE: the same elements in the same order */
        if (g) for (size_t e = 0; e < ot__ref_size(s->in); e++) out[e] += g[e];
        else memcpy(out, src, ot__ref_size(s->in) * sizeof *out);
    }
}

void ot__ref_window(const ot_step *s, const double *src, double *dst, int n)
{
    for (size_t k = 0; k < (size_t)n; k++) one(s, src + k * ot__ref_size(s->in), NULL, dst + k * ot__ref_size(s->out));
}

void ot__ref_window_data(const ot_step *s, const double *src, const double *g, double *dsrc, int n)
{
    for (size_t k = 0; k < (size_t)n; k++)
        one(s, src + k * ot__ref_size(s->in), g + k * ot__ref_size(s->out), dsrc + k * ot__ref_size(s->in));
}

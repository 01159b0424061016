/* cpu_loops.h - every inner loop of the cpu backend but the convolutions', on vectors of OT_LANES channels.
 *
 * Included by cpu_loops_1.c ... cpu_loops_16.c, which differ in OT_LANES and in the instruction set the Makefile builds them for.
 * A block of `b` channels is worked through in b / OT_LANES vectors.  Sums run in float over at most RUN pixels and in double from
 * there, always in the same order. */
#include "backend/cpu_vec.h"

#include <string.h>

#include "backend/cpu_loops_conv.h"

enum { RUN = 64 };

/* Calls BODY for every vector column of a view: `at` is the offset of its first pixel, `ch` of its channel. */
#define COLUMNS(V, N)                                                                     \
    for (int i_ = 0; i_ < (N); i_++)                                                      \
        for (int k_ = 0; k_ < (V).nb; k_++)                                               \
            for (int l_ = 0; l_ < (V).b; l_ += OT_LANES)

#define AT(V) ((size_t)i_ * (V).image + (size_t)k_ * (V).block + (size_t)l_)
#define CH(V) (k_ * (V).b + l_)

static void quantise(ot__cpu_view v, float *y, int n, float codes, float size)
{
    size_t pixels = (size_t)v.h * (size_t)v.w, step = v.pixel;
    COLUMNS(v, n)
    {
        size_t at = AT(v);
        for (size_t i = 0; i < pixels; i++, at += step) {
            vec u = LOAD(y + at);
            STORE(y + at, QUANTISE(u, codes, size));
        }
    }
}

static void post(ot__cpu_view v, float *dst, const float *src, const float *res, int n, const ot__cpu_post *p)
{
    size_t pixels = (size_t)v.h * (size_t)v.w, step = v.pixel;
    COLUMNS(v, n)
    {
        size_t at = AT(v);
        vec scale = p->scale ? LOAD(p->scale + CH(v)) : SPLAT(1.0f), shift = p->shift ? LOAD(p->shift + CH(v)) : SPLAT(0.0f);
        if (p->clip && res) {
            vec top = LOAD(p->clip + CH(v));
            for (size_t i = 0; i < pixels; i++, at += step) {
                vec y = (LOAD(src + at) * scale + shift + LOAD(res + at) - p->offset) * p->gain;
                STORE(dst + at, MIN(top, MAX(SPLAT(0.0f), y)));
            }
        } else if (p->clip && p->codes > 0.0f) {
            vec top = LOAD(p->clip + CH(v));
            for (size_t i = 0; i < pixels; i++, at += step) {
                vec y = (LOAD(src + at) * scale + shift - p->offset) * p->gain, u = MIN(top, MAX(SPLAT(0.0f), y));
                STORE(dst + at, QUANTISE(u, p->codes, p->step));
            }
        } else if (p->clip) {
            vec top = LOAD(p->clip + CH(v));
            for (size_t i = 0; i < pixels; i++, at += step) {
                vec y = (LOAD(src + at) * scale + shift - p->offset) * p->gain;
                STORE(dst + at, MIN(top, MAX(SPLAT(0.0f), y)));
            }
        } else if (res) {
            for (size_t i = 0; i < pixels; i++, at += step) STORE(dst + at, LOAD(src + at) * scale + shift + LOAD(res + at));
        } else {
            for (size_t i = 0; i < pixels; i++, at += step) STORE(dst + at, LOAD(src + at) * scale + shift);
        }
    }
    if (p->clip && res && p->codes > 0.0f) quantise(v, dst, n, p->codes, p->step);
}

static void mask_back(ot__cpu_view v, float *g, const float *y, float *copy, int add, int n, const float *clip, float gain, double sums[2])
{
    size_t pixels = (size_t)v.h * (size_t)v.w, step = v.pixel;
    double gy[OT_LANES] = {0}, gs[OT_LANES] = {0};
    COLUMNS(v, n)
    {
        size_t at = AT(v);
        vec top = LOAD(clip + CH(v));
        for (size_t i = 0; i < pixels;) {
            size_t end = i + RUN < pixels ? i + RUN : pixels;
            vec a = {0}, s = {0};
            for (; i < end; i++, at += step) {
                vec u = LOAD(y + at), x = INSIDE(LOAD(g + at), u, top);
                a += x * u;
                s += x;
                x = x * gain;
                STORE(g + at, x);
                if (copy) STORE(copy + at, x + (add ? LOAD(copy + at) : SPLAT(0.0f)));
            }
            spill(gy, &a);
            spill(gs, &s);
        }
    }
    sums[0] = sums[1] = 0.0;
    for (int l = 0; l < OT_LANES; l++) sums[0] += gy[l], sums[1] += gs[l];
}

static void mask_quantised(ot__cpu_view v, float *g, const float *x, int n, const float *edge, float gain, float offset, double sums[2])
{
    size_t pixels = (size_t)v.h * (size_t)v.w, step = v.pixel;
    double gy[OT_LANES] = {0}, gs[OT_LANES] = {0};
    COLUMNS(v, n)
    {
        size_t at = AT(v);
        vec top = LOAD(edge + CH(v));
        for (size_t i = 0; i < pixels;) {
            size_t end = i + RUN < pixels ? i + RUN : pixels;
            vec a = {0}, s = {0};
            for (; i < end; i++, at += step) {
                vec u = (LOAD(x + at) - offset) * gain, m = INSIDE(LOAD(g + at), u, top);
                a += m * u;
                s += m;
                STORE(g + at, m * gain);
            }
            spill(gy, &a);
            spill(gs, &s);
        }
    }
    sums[0] = sums[1] = 0.0;
    for (int l = 0; l < OT_LANES; l++) sums[0] += gy[l], sums[1] += gs[l];
}

static void scale(ot__cpu_view v, float *dst, const float *src, const float *by, int add, int n)
{
    size_t pixels = (size_t)v.h * (size_t)v.w, step = v.pixel;
    COLUMNS(v, n)
    {
        size_t at = AT(v);
        vec s = by ? LOAD(by + CH(v)) : SPLAT(1.0f);
        if (add)
            for (size_t i = 0; i < pixels; i++, at += step) STORE(dst + at, LOAD(dst + at) + LOAD(src + at) * s);
        else
            for (size_t i = 0; i < pixels; i++, at += step) STORE(dst + at, LOAD(src + at) * s);
    }
}

static void combine(ot__cpu_view v, float *dst, const float *g, const float *x, const float *a, const float *k, const float *c, int add, int n)
{
    size_t pixels = (size_t)v.h * (size_t)v.w, step = v.pixel;
    COLUMNS(v, n)
    {
        size_t at = AT(v);
        vec va = LOAD(a + CH(v)), vk = LOAD(k + CH(v)), vc = LOAD(c + CH(v));
        for (size_t i = 0; i < pixels; i++, at += step) {
            vec y = LOAD(g + at) * va + LOAD(x + at) * vk + vc;
            STORE(dst + at, y + (add ? LOAD(dst + at) : SPLAT(0.0f)));
        }
    }
}

static void channel_sums(ot__cpu_view v, const float *x, const float *y, const float *shift, const float *yshift, int n, double *sum, double *dot)
{
    size_t pixels = (size_t)v.h * (size_t)v.w, step = v.pixel;
    for (int i = 0; i < v.nb * v.b; i++) {
        sum[i] = 0.0;
        if (dot) dot[i] = 0.0;
    }
    COLUMNS(v, n)
    {
        size_t at = AT(v);
        vec xs = shift ? LOAD(shift + CH(v)) : SPLAT(0.0f), ys = yshift ? LOAD(yshift + CH(v)) : SPLAT(0.0f);
        for (size_t i = 0; i < pixels;) {
            size_t end = i + RUN < pixels ? i + RUN : pixels;
            vec s = {0}, d = {0};
            for (; i < end; i++, at += step) {
                vec u = LOAD(x + at) - xs;
                s += u;
                if (dot) d += u * (LOAD(y + at) - ys);
            }
            spill(sum + CH(v), &s);
            if (dot) spill(dot + CH(v), &d);
        }
    }
}

static void image_sums(ot__cpu_view v, const float *x, int n, double *sum)
{
    size_t pixels = (size_t)v.h * (size_t)v.w, step = v.pixel;
    for (int i = 0; i < n; i++) {
        double lanes[OT_LANES] = {0};
        for (int k = 0; k < v.nb; k++)
            for (int l = 0; l < v.b; l += OT_LANES) {
                const float *p = x + (size_t)i * v.image + (size_t)k * v.block + (size_t)l;
                for (size_t j = 0; j < pixels;) {
                    size_t end = j + RUN < pixels ? j + RUN : pixels;
                    vec s = {0};
                    for (; j < end; j++, p += step) s += LOAD(p);
                    spill(lanes, &s);
                }
            }
        sum[i] = 0.0;
        for (int l = 0; l < OT_LANES; l++) sum[i] += lanes[l];
    }
}

/* Pooling.  A window is cut at the border of the input: rows y0..y1, columns x0..x1. */
typedef struct cut { int y0, y1, x0, x1; } cut;

FORCE_INLINE cut cut_at(const ot__cpu_window *k, const ot__cpu_view *s, int oy, int ox)
{
    int y = oy * k->sh - k->pt, x = ox * k->sw - k->pl;
    return (cut){y < 0 ? 0 : y, y + k->kh < s->h ? y + k->kh : s->h, x < 0 ? 0 : x, x + k->kw < s->w ? x + k->kw : s->w};
}

static float share(const ot__cpu_window *k, const ot__cpu_view *s, int oy, int ox)
{
    cut c = cut_at(k, s, oy, ox);
    int count = (c.y1 - c.y0) * (c.x1 - c.x0);
    if (k->count_pad) {
        int y = oy * k->sh - k->pt, x = ox * k->sw - k->pl;
        int y1 = y + k->kh < s->h + k->pb ? y + k->kh : s->h + k->pb, x1 = x + k->kw < s->w + k->pr ? x + k->kw : s->w + k->pr;
        count = (y1 - y) * (x1 - x);
    }
    return 1.0f / (float)(count > 0 ? count : 1);
}

#define WINDOWS(S, D, K) for (int oy = 0; oy < (D).h; oy++) for (int ox = 0; ox < (D).w; ox++)
#define PIXEL(V, Y, X)   (((size_t)(Y) * (size_t)(V).w + (size_t)(X)) * (V).pixel)

static void max_pool(ot__cpu_view s, ot__cpu_view d, const ot__cpu_window *k, const float *src, float *dst, int n)
{
    COLUMNS(d, n)
    {
        const float *x = src + AT(s);
        float *y = dst + AT(d);
        WINDOWS(s, d, k)
        {
            cut c = cut_at(k, &s, oy, ox);
            vec best = LOAD(x + PIXEL(s, c.y0, c.x0)), nan = best;
            for (int iy = c.y0; iy < c.y1; iy++)
                for (int ix = c.x0; ix < c.x1; ix++) {
                    vec u = LOAD(x + PIXEL(s, iy, ix));
                    best = MAX(u, best);            /* a NaN in u is lost here and kept below */
                    nan = NAN_OF(nan, u);
                }
            STORE(y + PIXEL(d, oy, ox), NAN_OF(best, nan));
        }
    }
}

/* The first of equal pixels in reading order takes the gradient. */
static void max_pool_back(ot__cpu_view s, ot__cpu_view d, const ot__cpu_window *k, const float *src, const float *dst, const float *g, float *dsrc, int n)
{
    COLUMNS(d, n)
    {
        const float *x = src + AT(s), *y = dst + AT(d), *gy = g + AT(d);
        float *gx = dsrc + AT(s);
        WINDOWS(s, d, k)
        {
            cut c = cut_at(k, &s, oy, ox);
            vec best = LOAD(y + PIXEL(d, oy, ox)), left = LOAD(gy + PIXEL(d, oy, ox));
            for (int iy = c.y0; iy < c.y1; iy++)
                for (int ix = c.x0; ix < c.x1; ix++) {
                    size_t at = PIXEL(s, iy, ix);
#if OT_LANES == 1
                    if (!(x[at] < best || x[at] > best)) {
                        gx[at] += left;
                        left = 0.0f;
                    }
#else
                    mask hit = ~((LOAD(x + at) < best) | (LOAD(x + at) > best));
                    STORE(gx + at, LOAD(gx + at) + (vec)((mask)left & hit));
                    left = (vec)((mask)left & ~hit);
#endif
                }
        }
    }
}

static void avg_pool(ot__cpu_view s, ot__cpu_view d, const ot__cpu_window *k, const float *src, float *dst, int n)
{
    COLUMNS(d, n)
    {
        const float *x = src + AT(s);
        float *y = dst + AT(d);
        WINDOWS(s, d, k)
        {
            cut c = cut_at(k, &s, oy, ox);
            vec sum = {0};
            for (int iy = c.y0; iy < c.y1; iy++)
                for (int ix = c.x0; ix < c.x1; ix++) sum += LOAD(x + PIXEL(s, iy, ix));
            STORE(y + PIXEL(d, oy, ox), sum * share(k, &s, oy, ox));
        }
    }
}

static void avg_pool_back(ot__cpu_view s, ot__cpu_view d, const ot__cpu_window *k, const float *g, float *dsrc, int n)
{
    COLUMNS(d, n)
    {
        const float *gy = g + AT(d);
        float *gx = dsrc + AT(s);
        WINDOWS(s, d, k)
        {
            cut c = cut_at(k, &s, oy, ox);
            vec part = LOAD(gy + PIXEL(d, oy, ox)) * share(k, &s, oy, ox);
            for (int iy = c.y0; iy < c.y1; iy++)
                for (int ix = c.x0; ix < c.x1; ix++) STORE(gx + PIXEL(s, iy, ix), LOAD(gx + PIXEL(s, iy, ix)) + part);
        }
    }
}

#include "backend/cpu_loops_spike.h"
#include "backend/cpu_loops_event.h"

const ot__cpu_loops OT_LOOPS = {
    .lanes = OT_LANES, .conv = conv, .conv_weights = conv_weights, .post = post, .mask = mask_back, .mask_quantised = mask_quantised, .scale = scale,
    .max_pool = max_pool, .max_pool_back = max_pool_back, .avg_pool = avg_pool, .avg_pool_back = avg_pool_back,
    .channel_sums = channel_sums, .image_sums = image_sums, .combine = combine,
    .spike = spike, .spike_back = spike_back, .event_conv = event_conv, .not_zero = not_zero,
};

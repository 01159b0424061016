/* cpu_phase.c - how a convolution's geometry becomes rows, taps and a frame of zeros for the loops.
 *
 * Forward: output pixel (y, x) reads input (y sh - pt + i, x sw - pl + j) for tap (i, j).  With the image inside a frame of zeros every
 * pixel has every tap.  Backward to the input: input pixel (y, x) reads output ((y + pt - i) / sh, (x + pl - j) / sw) for
 * those taps where the division is exact; the pixels with the same remainders form a phase with fixed taps and stride 1. */
#include "backend/cpu.h"

static ot_status taps_new(ot__cpu_phase *f, int most, size_t *bytes)
{
    f->tap_src = ot_alloc((size_t)most, sizeof *f->tap_src);
    f->tap_weight = ot_alloc((size_t)most, sizeof *f->tap_weight);
    if (!f->tap_src || !f->tap_weight) OT_NOMEM("convolution taps", 2 * (size_t)most * sizeof *f->tap_src);
    *bytes += 2 * (size_t)most * sizeof *f->tap_src;
    return OT_OK;
}

static void tap_add(ot__cpu_conv *c, ot__cpu_phase *f, int y, int x, int number)
{
    size_t line = (size_t)(c->pad ? c->pad_w : c->src.w);
    f->tap_src[f->taps] = ((size_t)y * line + (size_t)x) * c->src.pixel;
    f->tap_weight[f->taps] = (size_t)number * (c->depthwise ? (size_t)c->dst.b : (size_t)c->src.b * (size_t)c->dst.b);
    f->taps++;
}

/* A 1x1 convolution over whole rows is one long row; one output pixel an image makes the images the row. */
static void merge(ot__cpu_conv *c)
{
    ot__cpu_phase *f = c->phase;
    if (c->n_phases != 1 || c->pad) return;
    if (c->dst.h == 1 && c->dst.w == 1 && f->taps > 0 && !c->depthwise) {
        c->flat = 1;
        return;
    }
    if (f->taps == 1 && f->tap_src[0] == 0 && f->src_ystep == 1 && f->src_xstep == 1 && f->nx == c->src.w && f->nx == c->dst.w && f->ny == c->dst.h) {
        f->nx *= f->ny;
        f->ny = 1;
    }
}

static ot_status plan_forward(ot__cpu_conv *c, const ot__cpu_window *k, size_t *bytes)
{
    c->pad_h = (c->dst.h - 1) * k->sh + k->kh;
    c->pad_w = (c->dst.w - 1) * k->sw + k->kw;
    c->pad_top = k->pt;
    c->pad_left = k->pl;
    c->pad = k->pt || k->pl || c->pad_h > c->src.h || c->pad_w > c->src.w;
    c->n_phases = 1;
    c->phase = ot_alloc(1, sizeof *c->phase);
    if (!c->phase) OT_NOMEM("convolution", sizeof *c->phase);
    *bytes += sizeof *c->phase;
    ot__cpu_phase *f = c->phase;
    *f = (ot__cpu_phase){.ny = c->dst.h, .nx = c->dst.w, .ystep = 1, .xstep = 1, .src_ystep = k->sh, .src_xstep = k->sw};
    OT_TRY(taps_new(f, k->kh * k->kw, bytes));
    for (int i = 0; i < k->kh; i++)
        for (int j = 0; j < k->kw; j++) tap_add(c, f, i, j, i * k->kw + j);
    merge(c);
    return OT_OK;
}

static ot_status plan_back(ot__cpu_conv *c, const ot__cpu_window *k, size_t *bytes)
{
    c->pad_top = (k->kh - 1) / k->sh;
    c->pad_left = (k->kw - 1) / k->sw;
    c->pad_h = c->pad_top + (c->dst.h - 1 + k->pt) / k->sh + 1;
    c->pad_w = c->pad_left + (c->dst.w - 1 + k->pl) / k->sw + 1;
    c->pad = c->pad_top || c->pad_left || c->pad_h > c->src.h || c->pad_w > c->src.w;
    c->n_phases = k->sh * k->sw;
    c->phase = ot_alloc((size_t)c->n_phases, sizeof *c->phase);
    if (!c->phase) OT_NOMEM("convolution", (size_t)c->n_phases * sizeof *c->phase);
    *bytes += (size_t)c->n_phases * sizeof *c->phase;
    for (int n = 0; n < c->n_phases; n++) {
        ot__cpu_phase *f = &c->phase[n];
        int ry = n / k->sw, rx = n % k->sw;                      /* (y + pt) % sh, (x + pl) % sw */
        int y0 = ((ry - k->pt) % k->sh + k->sh) % k->sh, x0 = ((rx - k->pl) % k->sw + k->sw) % k->sw;
        *f = (ot__cpu_phase){.y0 = y0, .x0 = x0, .ystep = k->sh, .xstep = k->sw, .src_ystep = 1, .src_xstep = 1};
        f->ny = y0 < c->dst.h ? (c->dst.h - y0 + k->sh - 1) / k->sh : 0;
        f->nx = x0 < c->dst.w ? (c->dst.w - x0 + k->sw - 1) / k->sw : 0;
        /* tap m of a column reads output row q + j - m for the j-th row of the phase */
        int my = (k->kh - 1 - ry) < 0 ? -1 : (k->kh - 1 - ry) / k->sh, mx = (k->kw - 1 - rx) < 0 ? -1 : (k->kw - 1 - rx) / k->sw;
        int qy = (y0 + k->pt - ry) / k->sh, qx = (x0 + k->pl - rx) / k->sw;
        f->src_y = qy + c->pad_top - (my < 0 ? 0 : my);
        f->src_x = qx + c->pad_left - (mx < 0 ? 0 : mx);
        OT_TRY(taps_new(f, (my + 1) * (mx + 1), bytes));
        for (int i = 0; i <= my; i++)
            for (int j = 0; j <= mx; j++) tap_add(c, f, my - i, mx - j, (ry + i * k->sh) * k->kw + rx + j * k->sw);
    }
    merge(c);
    return OT_OK;
}

static void weight_strides(ot__cpu_conv *c, int taps)
{
    c->weight_block = (size_t)taps * (size_t)c->dst.b * (c->depthwise ? 1 : (size_t)c->src.b);
    c->weight_out = c->weight_block * (c->depthwise ? 1 : (size_t)c->src.nb);
}

ot_status ot__cpu_conv_take(ot__cpu_conv *c, size_t *bytes)
{
    size_t n = c->weight_out * (size_t)c->dst.nb;
    c->weight = ot_alloc(n, sizeof *c->weight);
    if (!c->weight) OT_NOMEM("weights of a convolution", n * sizeof *c->weight);
    *bytes += n * sizeof *c->weight;
    return OT_OK;
}

ot_status ot__cpu_conv_plan(ot__cpu_conv *forward, ot__cpu_conv *back, const ot_step *step, ot__cpu_view in, ot__cpu_view out, size_t *bytes)
{
    const ot_layer *l = step->layer;
    int dense = step->kind == OT_STEP_DENSE, depthwise = !dense && l->groups > 1 && l->groups == in.c && l->groups == out.c;
    ot__cpu_window k = dense ? (ot__cpu_window){.kh = 1, .kw = 1, .sh = 1, .sw = 1}
                             : (ot__cpu_window){.kh = l->kh, .kw = l->kw, .sh = l->sh, .sw = l->sw, .pt = l->pt, .pl = l->pl};
    *forward = (ot__cpu_conv){.src = in, .dst = out, .depthwise = depthwise};
    OT_TRY(plan_forward(forward, &k, bytes));
    weight_strides(forward, k.kh * k.kw);
    if (!back) return OT_OK;
    *back = (ot__cpu_conv){.src = out, .dst = in, .depthwise = depthwise};
    OT_TRY(plan_back(back, &k, bytes));
    weight_strides(back, k.kh * k.kw);
    return OT_OK;
}

void ot__cpu_conv_free(ot__cpu_conv *c)
{
    for (int i = 0; c->phase && i < c->n_phases; i++) {
        ot_free(c->phase[i].tap_src);
        ot_free(c->phase[i].tap_weight);
    }
    ot_free(c->phase);
    ot_free(c->weight);
    *c = (ot__cpu_conv){0};
}

size_t ot__cpu_frame_bytes(const ot__cpu_conv *c)
{
    return c->pad ? (size_t)c->src.nb * (size_t)c->pad_h * (size_t)c->pad_w * c->src.pixel * sizeof(float) : 0;
}

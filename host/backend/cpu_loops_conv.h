/* cpu_loops_conv.h - convolution on vectors of OT_LANES output channels: the part of cpu_loops.h where the time goes.
 *
 * The core keeps P pixels x Q blocks of output channels in registers; for every tap and input channel it loads Q vectors of weights and
 * multiplies them with P broadcast inputs.  Where a row of output is longer than P it is cut into nearly equal pieces.  What
 * follows the convolution is done while the sums are in registers.  A core exists for every P and Q, with the distance between
 * pixels known (16 floats: blocked layout, stride 1) or not. */

/* All that is the same for a whole call. */
typedef struct job {
    const ot__cpu_conv  *c;
    const ot__cpu_phase *f;
    const float *dst_base;              /* res lies like dst */
    size_t       xs, xb;                /* input: from pixel to pixel of a row, from block to block */
    size_t       os;                    /* output: from pixel to pixel of a row */
    int          last_ic;               /* channels of the last input block that are not padding */
    const ot__cpu_post *post;
    const float *res;
} job;

FORCE_INLINE void finish(const job *j, vec *acc, int oc, float *out, int P)
{
    const ot__cpu_post *p = j->post;
    if (p && p->shift) {
        vec shift = LOAD(p->shift + oc);
#pragma GCC unroll 16
        for (int i = 0; i < P; i++) acc[i] += shift;
    }
    if (j->res) {
        const float *res = j->res + (out - j->dst_base);
#pragma GCC unroll 16
        for (int i = 0; i < P; i++) acc[i] += LOAD(res + (size_t)i * j->os);
    }
    if (p && p->clip) {
        vec top = LOAD(p->clip + oc), b = SPLAT(p->offset), a = SPLAT(p->gain);
#pragma GCC unroll 16
        for (int i = 0; i < P; i++) acc[i] = MIN(top, MAX(SPLAT(0.0f), (acc[i] - b) * a));
        if (p->codes > 0.0f)
#pragma GCC unroll 16
            for (int i = 0; i < P; i++) acc[i] = QUANTISE(acc[i], p->codes, p->step);
    }
#pragma GCC unroll 16
    for (int i = 0; i < P; i++) STORE(out + (size_t)i * j->os, acc[i]);
}

/* x: the row's first input pixel; w: weights of the first of Q output blocks; out: its first output pixel; oc: its first channel */
FORCE_INLINE void core(const job *j, const float *x, const float *w, float *out, int oc, const int P, const int Q, const size_t xs)
{
    const ot__cpu_conv *c = j->c;
    const size_t bo = (size_t)c->dst.b;
    vec acc[4][16];
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++)
#pragma GCC unroll 16
        for (int p = 0; p < P; p++) acc[q][p] = (vec){0};
    for (int k = 0; k < c->src.nb; k++) {
        const int channels = k == c->src.nb - 1 ? j->last_ic : c->src.b;
        for (int t = 0; t < j->f->taps; t++) {
            const float *xt = x + (size_t)k * j->xb + j->f->tap_src[t], *wt = w + (size_t)k * c->weight_block + j->f->tap_weight[t];
            for (int i = 0; i < channels; i++, xt++, wt += bo) {
                vec wq[4];
#pragma GCC unroll 4
                for (int q = 0; q < Q; q++) wq[q] = LOAD(wt + (size_t)q * c->weight_out);
#pragma GCC unroll 16
                for (int p = 0; p < P; p++) {
                    float s = xt[(size_t)p * xs];
#pragma GCC unroll 4
                    for (int q = 0; q < Q; q++) acc[q][p] += wq[q] * s;
                }
            }
        }
    }
#pragma GCC unroll 4
    for (int q = 0; q < Q; q++) finish(j, acc[q], oc + q * (int)bo, out + (size_t)q * c->dst.block, P);
}

/* The picture a network starts with: one output block, C channels in one thin block, pixels S floats apart, both known. */
FORCE_INLINE void core_thin(const job *j, const float *x, const float *w, float *out, int oc, const int P, const int C, const size_t S)
{
    const size_t bo = (size_t)j->c->dst.b;
    vec acc[16];
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) acc[p] = (vec){0};
    for (int t = 0; t < j->f->taps; t++) {
        const float *xt = x + j->f->tap_src[t];
#pragma GCC unroll 4
        for (int i = 0; i < C; i++, w += bo) {
            vec wt = LOAD(w);
#pragma GCC unroll 16
            for (int p = 0; p < P; p++) acc[p] += wt * xt[(size_t)p * S + (size_t)i];
        }
    }
    finish(j, acc, oc, out, P);
}

FORCE_INLINE void core_depthwise(const job *j, const float *x, const float *w, float *out, int oc, const int P, const size_t xs)
{
    vec acc[16];
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) acc[p] = (vec){0};
    for (int t = 0; t < j->f->taps; t++) {
        const float *xt = x + j->f->tap_src[t];
        vec wt = LOAD(w + j->f->tap_weight[t]);
#pragma GCC unroll 16
        for (int p = 0; p < P; p++) acc[p] += wt * LOAD(xt + (size_t)p * xs);
    }
    finish(j, acc, oc, out, P);
}

typedef void core_fn(const job *j, const float *x, const float *w, float *out, int oc);

#define CORE(P, Q)                                                                                                            \
    static void core_##P##_##Q(const job *j, const float *x, const float *w, float *out, int oc)                              \
    {                                                                                                                         \
        if (j->xs == OT_BLOCK) core(j, x, w, out, oc, P, Q, OT_BLOCK);                                                        \
        else if (Q == 1 && P >= 7 && j->xs == 1 && j->c->src.b == 1) core_thin(j, x, w, out, oc, P, 1, 1);                    \
        else if (Q == 1 && P >= 7 && j->xs == 2 && j->c->src.b == 1) core_thin(j, x, w, out, oc, P, 1, 2);                    \
        else if (Q == 1 && P >= 7 && j->xs == 3 && j->c->src.b == 3) core_thin(j, x, w, out, oc, P, 3, 3);                    \
        else core(j, x, w, out, oc, P, Q, j->xs);                                                                             \
    }
#define CORE_DW(P)                                                                                                            \
    static void depthwise_##P(const job *j, const float *x, const float *w, float *out, int oc)                               \
    {                                                                                                                         \
        if (j->xs == OT_BLOCK) core_depthwise(j, x, w, out, oc, P, OT_BLOCK);                                                 \
        else core_depthwise(j, x, w, out, oc, P, j->xs);                                                                      \
    }
/* Under a sanitizer every access is a call: a few cores are enough, and compile in seconds. */
#if defined __SANITIZE_ADDRESS__ || OT_LANES == 1
#define FEW_CORES 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define FEW_CORES 1
#endif
#endif

CORE(1, 1) CORE(2, 1) CORE(3, 1) CORE(4, 1)
CORE_DW(1) CORE_DW(2) CORE_DW(3) CORE_DW(4)
#ifdef FEW_CORES
enum { LONGEST_DW = 4 };
static core_fn *const depthwise_cores[] = {depthwise_1, depthwise_2, depthwise_3, depthwise_4};
static core_fn *const cores[4][14] = {{core_1_1, core_2_1, core_3_1, core_4_1}};
static const int longest[4] = {4, 0, 0, 0};
#else
enum { LONGEST_DW = 8 };
CORE_DW(5) CORE_DW(6) CORE_DW(7) CORE_DW(8)
static core_fn *const depthwise_cores[] = {depthwise_1, depthwise_2, depthwise_3, depthwise_4, depthwise_5, depthwise_6, depthwise_7, depthwise_8};
CORE(5, 1) CORE(6, 1) CORE(7, 1) CORE(8, 1)
CORE(1, 2) CORE(2, 2) CORE(3, 2) CORE(4, 2) CORE(5, 2) CORE(6, 2)
#if OT_LANES < 16
static core_fn *const cores[4][14] = {{core_1_1, core_2_1, core_3_1, core_4_1, core_5_1, core_6_1, core_7_1, core_8_1},
                                      {core_1_2, core_2_2, core_3_2, core_4_2, core_5_2, core_6_2}};
static const int longest[4] = {8, 6, 0, 0};
#else
CORE(9, 1) CORE(10, 1) CORE(11, 1) CORE(12, 1) CORE(13, 1) CORE(14, 1)
CORE(7, 2) CORE(8, 2) CORE(9, 2) CORE(10, 2) CORE(11, 2) CORE(12, 2) CORE(13, 2) CORE(14, 2)
CORE(1, 4) CORE(2, 4) CORE(3, 4) CORE(4, 4) CORE(5, 4) CORE(6, 4) CORE(7, 4)
static core_fn *const cores[4][14] = {
    {core_1_1, core_2_1, core_3_1, core_4_1, core_5_1, core_6_1, core_7_1, core_8_1, core_9_1, core_10_1, core_11_1, core_12_1, core_13_1, core_14_1},
    {core_1_2, core_2_2, core_3_2, core_4_2, core_5_2, core_6_2, core_7_2, core_8_2, core_9_2, core_10_2, core_11_2, core_12_2, core_13_2, core_14_2},
    {0},
    {core_1_4, core_2_4, core_3_4, core_4_4, core_5_4, core_6_4, core_7_4}};
static const int longest[4] = {14, 14, 0, 7};
#endif
#endif

/* How many output blocks a core takes at once: four where rows are short, else two, as far as there are such cores. */
static int blocks_at_once(int left, int pixels)
{
    if (left >= 4 && longest[3] && pixels <= longest[3]) return 4;
    return left >= 2 && longest[1] ? 2 : 1;
}

/* One row of `pixels` output pixels of Q output blocks. */
FORCE_INLINE void row(const job *j, const float *x, const float *w, float *out, int oc, int pixels, int Q)
{
    core_fn *const *table = Q ? cores[Q - 1] : depthwise_cores;
    int most = Q ? longest[Q - 1] : LONGEST_DW, pieces = (pixels + most - 1) / most;
    for (int i = 0; i < pieces; i++) {
        int p = pixels / pieces + (i < pixels % pieces);
        for (int l = 0; l < j->c->dst.b; l += OT_LANES) table[p - 1](j, x + (Q ? 0 : l), w + l, out + l, oc + l);
        x += (size_t)p * j->xs;
        out += (size_t)p * j->os;
    }
}

/* All rows of one phase for Q output blocks (0: depthwise, one) of one image, or of all images where they are the pixels. */
static void rows(job *j, const float *src, float *dst, int o, int Q, int n)
{
    const ot__cpu_conv *c = j->c;
    const ot__cpu_phase *f = j->f;
    const int oc = o * c->dst.b;
    const float *w = c->weight + (size_t)o * c->weight_out;
    const float *x = src + (Q ? 0 : (size_t)o * j->xb);
    float *out = dst + (size_t)o * c->dst.block;
    if (c->flat) {
        row(j, x, w, out, oc, n, Q);
        return;
    }
    size_t line = c->pad ? (size_t)c->pad_w * c->src.pixel : (size_t)c->src.w * c->src.pixel;
    for (int y = 0; y < f->ny; y++)
        row(j, x + (size_t)(f->src_y + y * f->src_ystep) * line + (size_t)f->src_x * c->src.pixel, w,
            out + ((size_t)(f->y0 + y * f->ystep) * (size_t)c->dst.w + (size_t)f->x0) * c->dst.pixel, oc, f->nx, Q);
}

/* The image inside the frame of zeros. */
static void fill_frame(const ot__cpu_conv *c, float *frame, const float *src)
{
    int y0 = c->pad_top < 0 ? -c->pad_top : 0, x0 = c->pad_left < 0 ? -c->pad_left : 0;
    int y1 = c->pad_h - c->pad_top < c->src.h ? c->pad_h - c->pad_top : c->src.h;
    int x1 = c->pad_w - c->pad_left < c->src.w ? c->pad_w - c->pad_left : c->src.w;
    for (int k = 0; k < c->src.nb; k++)
        for (int y = y0; y < y1; y++) {
            const float *from = src + (size_t)k * c->src.block + ((size_t)y * (size_t)c->src.w + (size_t)x0) * c->src.pixel;
            float *to = frame + (((size_t)k * (size_t)c->pad_h + (size_t)(y + c->pad_top)) * (size_t)c->pad_w + (size_t)(x0 + c->pad_left)) * c->src.pixel;
            memcpy(to, from, (size_t)(x1 - x0) * c->src.pixel * sizeof *to);
        }
}

static size_t frame_floats(const ot__cpu_conv *c) { return (size_t)c->src.nb * (size_t)c->pad_h * (size_t)c->pad_w * c->src.pixel; }

static void conv(const ot__cpu_conv *c, const float *src, const float *res, float *dst, int add, int n, const ot__cpu_post *p, float *frame)
{
    job j = {.c = c, .post = p, .res = add ? dst : res, .dst_base = dst, .last_ic = c->src.c - (c->src.nb - 1) * c->src.b};
    if (c->pad) memset(frame, 0, frame_floats(c) * sizeof *frame);
    j.xb = c->pad ? (size_t)c->pad_h * (size_t)c->pad_w * c->src.pixel : c->src.block;
    /* With a frame an image is finished before the next is framed; without, the weights of some output blocks stay in cache. */
    int group = c->pad && !c->flat ? 1 : n;
    for (int i = 0; i < n; i += group) {
        const float *image = src + (size_t)i * c->src.image;
        if (c->pad) {
            fill_frame(c, frame, image);
            image = frame;
        }
        for (int f = 0; f < c->n_phases; f++) {
            j.f = &c->phase[f];
            j.xs = c->flat ? c->src.image : (size_t)j.f->src_xstep * c->src.pixel;
            j.os = c->flat ? c->dst.image : (size_t)j.f->xstep * c->dst.pixel;
            for (int o = 0, q; o < c->dst.nb; o += q) {
                q = c->depthwise || (c->src.b < OT_BLOCK && !c->flat) ? 1 : blocks_at_once(c->dst.nb - o, c->flat ? n : j.f->nx);
                if (c->flat)
                    rows(&j, image, dst, o, c->depthwise ? 0 : q, n);
                else
                    for (int m = 0; m < group; m++)
                        rows(&j, image + (size_t)m * c->src.image, dst + (size_t)(i + m) * c->dst.image, o, c->depthwise ? 0 : q, n);
            }
        }
    }
}

/* Gradient of the weights: lanes are output channels, one vector an input channel of the block, pixels go by. */
FORCE_INLINE void weights_core(const float *x, const float *g, float *dw, size_t xs, size_t xline, size_t gs, size_t gline, int ny, int nx,
                               const int channels, size_t bo)
{
    vec acc[OT_BLOCK];
#pragma GCC unroll 16
    for (int i = 0; i < channels; i++) acc[i] = (vec){0};
    for (int y = 0; y < ny; y++) {
        const float *xp = x + (size_t)y * xline, *gp = g + (size_t)y * gline;
        for (int p = 0; p < nx; p++, xp += xs, gp += gs) {
            vec v = LOAD(gp);
#pragma GCC unroll 16
            for (int i = 0; i < channels; i++) acc[i] += v * xp[i];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < channels; i++) STORE(dw + (size_t)i * bo, LOAD(dw + (size_t)i * bo) + acc[i]);
}

static void weights_any(const float *x, const float *g, float *dw, size_t xs, size_t xline, size_t gs, size_t gline, int ny, int nx, int channels, size_t bo)
{
    switch (channels) {
    case 1: weights_core(x, g, dw, xs, xline, gs, gline, ny, nx, 1, bo); break;
    case 2: weights_core(x, g, dw, xs, xline, gs, gline, ny, nx, 2, bo); break;
    case 3: weights_core(x, g, dw, xs, xline, gs, gline, ny, nx, 3, bo); break;
    case 4: weights_core(x, g, dw, xs, xline, gs, gline, ny, nx, 4, bo); break;
    default: weights_core(x, g, dw, xs, xline, gs, gline, ny, nx, OT_BLOCK, bo);
    }
}

static void weights_depthwise(const float *x, const float *g, float *dw, size_t xs, size_t xline, size_t gs, size_t gline, int ny, int nx)
{
    vec acc = {0};
    for (int y = 0; y < ny; y++) {
        const float *xp = x + (size_t)y * xline, *gp = g + (size_t)y * gline;
        for (int p = 0; p < nx; p++, xp += xs, gp += gs) acc += LOAD(gp) * LOAD(xp);
    }
    STORE(dw, LOAD(dw) + acc);
}

static void conv_weights(const ot__cpu_conv *c, const float *src, const float *g, float *dweight, int n, float *frame)
{
    const ot__cpu_phase *f = &c->phase[0];
    const size_t xb = c->pad ? (size_t)c->pad_h * (size_t)c->pad_w * c->src.pixel : c->src.block;
    const size_t xline = (size_t)f->src_ystep * (size_t)(c->pad ? c->pad_w : c->src.w) * c->src.pixel, xs = c->flat ? c->src.image : (size_t)f->src_xstep * c->src.pixel;
    const int nx = c->flat ? n : f->nx, images = c->flat ? 1 : n;
    const size_t gs = c->flat ? c->dst.image : c->dst.pixel, gline = (size_t)f->nx * c->dst.pixel;
    if (c->pad) memset(frame, 0, frame_floats(c) * sizeof *frame);
    for (int i = 0; i < images; i++) {
        const float *image = src + (size_t)i * c->src.image, *gi = g + (size_t)i * c->dst.image;
        if (c->pad) {
            fill_frame(c, frame, image);
            image = frame;
        }
        for (int o = 0; o < c->dst.nb; o++)
            for (int k = c->depthwise ? o : 0; k < (c->depthwise ? o + 1 : c->src.nb); k++)
                for (int t = 0; t < f->taps; t++)
                    for (int l = 0; l < c->dst.b; l += OT_LANES) {
                        const float *x = image + (size_t)k * xb + f->tap_src[t], *gp = gi + (size_t)o * c->dst.block + l;
                        float *dw = dweight + (size_t)o * c->weight_out + f->tap_weight[t] + l;
                        if (c->depthwise)
                            weights_depthwise(x + l, gp, dw, xs, xline, gs, gline, f->ny, nx);
                        else
                            weights_any(x, gp, dw + (size_t)k * c->weight_block, xs, xline, gs, gline, f->ny, nx, c->src.b, (size_t)c->dst.b);
                    }
    }
}

/* test_grids.c - launches of the largest size: 10,000 chips of VGG-16 for 224 x 224 images, where elements are counted past 2^31.
 *
 * Memory is reserved and never filled (simt_sparse), and of each launch only the first and the last block run.  The last chip's last
 * image gets numbers where the last block looks; what it writes must be right, so must the first chip's first image, and the gigabytes
 * in between are 0.  With no block run at all, every launch of every layer must be one that a GPU takes. */
#include "control.h"
#include "device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHIPS = 10000 };

static const struct { otk_conv c; int n; } vgg[] = {
    {{{3, 224, 224}, {64, 224, 224}, 1, 3, 3, 1, 1, 1, 1}, 2},
    {{{64, 224, 224}, {64, 224, 224}, 1, 3, 3, 1, 1, 1, 1}, 2},
    {{{64, 112, 112}, {128, 112, 112}, 1, 3, 3, 1, 1, 1, 1}, 3},
    {{{256, 56, 56}, {256, 56, 56}, 1, 3, 3, 1, 1, 1, 1}, 8},
    {{{512, 14, 14}, {512, 14, 14}, 1, 3, 3, 1, 1, 1, 1}, 32},
    {{{25088, 1, 1}, {4096, 1, 1}, 1, 1, 1, 1, 1, 0, 0}, 32},
    {{{4096, 1, 1}, {1000, 1, 1}, 1, 1, 1, 1, 1, 0, 0}, 256},
    {{{512, 28, 28}, {512, 28, 28}, 512, 3, 3, 1, 1, 1, 1}, 16},
    {{{512, 28, 28}, {512, 14, 14}, 32, 3, 3, 2, 2, 1, 1}, 16},
};
enum { LAYERS = sizeof vgg / sizeof *vgg };

static otk_tensor tensor(otk_type type, int64_t elements)
{
    return (otk_tensor){device_take((size_t)elements * CHIPS * device_size(type)), elements};
}

/* A number for element e: small, never 0, with few bits, so that sums are exact in float and in half. */
static float number(int64_t e) { return (float)(1 + e * 7 % 5) * (e % 3 ? 0.25f : -0.25f); }

static void *chip_at(otk_type type, otk_tensor x, int64_t chip) { return (char *)x.at + (size_t)(chip * x.stride) * device_size(type); }

/* Numbers into rows y0.. of one image. */
static void fill(otk_type type, void *image, otk_shape s, int y0, int y1)
{
    for (int y = y0; y < y1; y++)
        for (int x = 0; x < s.w; x++)
            for (int c = 0; c < s.c; c++) device_put(type, image, device_at(s, 0, c, y, x), number(((int64_t)c * s.h + y) * s.w + x));
}

/* The weight (out, in of its group, ky, kx): mostly 0 where a layer is wide. */
static float weight_of(const otk_conv *c, int o, int i, int ky, int kx)
{
    const int width = c->in.c / c->groups;
    return width > 64 && (i + o) % 64 ? 0.0f : number(o + 3 * i + 5 * ky + 11 * kx);
}

/* Into the packed weights of outputs o0..o1. */
static void fill_weights(otk_type type, void *w, const otk_conv *c, int o0, int o1)
{
    const int in = c->in.c / c->groups, out = c->out.c / c->groups;
    for (int o = o0; o < o1; o++)
        for (int i = 0; i < in; i++)
            for (int k = 0; k < c->kh * c->kw; k++) {
                const float v = weight_of(c, o, i, k / c->kw, k % c->kw);
                if (v == 0) continue;
                const int64_t at = otk_conv_depthwise(c) ? (int64_t)k * otk_channels(c->out.c) + o
                                                         : (((int64_t)(o / out) * c->kh * c->kw + k) * otk_channels(in) + i) * otk_channels(out) + o % out;
                device_put(type, w, at, v);
            }
}

static double wanted(const otk_conv *c, int o, int y, int x)
{
    const int in = c->in.c / c->groups, group = o / (c->out.c / c->groups);
    double    sum = 0;
    for (int ky = 0; ky < c->kh; ky++)
        for (int kx = 0; kx < c->kw; kx++) {
            const int iy = y * c->sh - c->pt + ky, ix = x * c->sw - c->pl + kx;
            if (iy < 0 || ix < 0 || iy >= c->in.h || ix >= c->in.w) continue;
            for (int i = 0; i < in; i++) {
                const float w = weight_of(c, o, i, ky, kx);
                if (w != 0) sum += (double)w * (double)number(((int64_t)(group * in + i) * c->in.h + iy) * c->in.w + ix);
            }
        }
    return sum;
}

/* Output channel o at pixel (y, x) of one image is as wanted. */
static int right(otk_type type, const void *image, const otk_conv *c, int o, int y, int x)
{
    const double want = wanted(c, o, y, x), got = (double)device_get(type, image, device_at(c->out, 0, o, y, x));
    if (fabs(want - got) <= (type == OTK_F16 ? 1e-3 * (1 + fabs(want)) : 1e-6 * (1 + fabs(want)))) return 1;         /* sums are exact, the result is stored rounded */
    printf("\nchannel %d pixel %d %d: want %g, got %g\n", o, y, x, want, got);
    return 0;
}

TEST last_block_of_a_convolution_is_right(int layer, otk_math math)
{
    const otk_conv *c = &vgg[layer].c;
    const otk_type  type = math == OTK_FP16 ? OTK_F16 : OTK_F32;
    const int       n = vgg[layer].n;
    const otk_after after = {.in_factor = 1, .res_factor = 1, .out_factor = 1};
    const int64_t   in = n * otk_image(c->in), out = n * otk_image(c->out);
    simt_sparse(1);
    simt_blocks(SIMT_END_BLOCKS);
    otk_tensor src = tensor(type, in), dst = tensor(type, out), w = tensor(type, otk_conv_weights(c));
    if (layer < 5) ASSERT(in * CHIPS > (int64_t)1 << 31 && out * CHIPS > (int64_t)1 << 31);
    /* What the ends see: the first rows of the first image, the last rows of the last. */
    const int rows = c->in.h < 5 ? c->in.h : 5, last = c->in.h - rows;
    for (int image = 0; image < n; image++)                                     /* a block may take several small images */
        for (int end = 0; end < 2; end++)
            if (c->in.h == 1 || image == (end ? n - 1 : 0))
                fill(type, (char *)chip_at(type, src, end ? CHIPS - 1 : 0) + (size_t)(image * otk_image(c->in)) * device_size(type), c->in, end ? last : 0, end ? c->in.h : rows);
    const int some = c->out.c < 8 ? c->out.c : 8;
    fill_weights(type, chip_at(type, w, 0), c, 0, some);
    fill_weights(type, chip_at(type, w, CHIPS - 1), c, c->out.c - some, c->out.c);
    ASSERT_EQ(0, otk_conv_forward(math, c, CHIPS, n, src, w, dst, &after, NULL));
    for (int k = 0; k < some; k++)
        for (int x = 0; x < 2 && x < c->out.w; x++) {               /* two pixels of 512 channels are all of a depthwise block */
            ASSERT(right(type, chip_at(type, dst, 0), c, k, 0, x));
            ASSERT(right(type, (char *)chip_at(type, dst, CHIPS - 1) + (size_t)((n - 1) * otk_image(c->out)) * device_size(type), c, c->out.c - 1 - k, c->out.h - 1, c->out.w - 1 - x));
        }
    /* Chips between were left alone. */
    ASSERT(device_get(type, chip_at(type, dst, CHIPS / 2), 0) == 0);
    /* Backward to the data, by the same adjoint: <g, conv x> with g one element of the last pixel gives the weights back. */
    otk_tensor g = tensor(type, out), dsrc = tensor(type, in);
    device_put(type, chip_at(type, g, CHIPS - 1), out - otk_channels(c->out.c) + c->out.c - 1, 2);
    ASSERT_EQ(0, otk_conv_data(math, c, CHIPS, n, g, w, dsrc, 0.5f, 0, NULL, NULL));
    const int width = c->in.c / c->groups, y = (c->out.h - 1) * c->sh - c->pt, x = (c->out.w - 1) * c->sw - c->pl;
    for (int i = width > 8 ? width - 8 : 0; i < width; i++)
        for (int k = 0; k < c->kh * c->kw; k++) {
            const int iy = y + k / c->kw, ix = x + k % c->kw;
            if (iy != c->in.h - 1 || ix < c->in.w - 2 || ix >= c->in.w) continue;      /* in the last block for sure */
            ASSERT_EQ(weight_of(c, c->out.c - 1, i, k / c->kw, k % c->kw),
                      device_get(type, chip_at(type, dsrc, CHIPS - 1), in - otk_image(c->in) + device_at(c->in, 0, c->in.c - width + i, iy, ix)));
        }
    simt_blocks(SIMT_ALL_BLOCKS);
    simt_sparse(0);
    device_give_all();
    PASS();
}

/* Launchers of one element each, at the widest tensor. */
TEST last_block_of_elementwise_steps_is_right(otk_type type)
{
    const otk_shape s = {64, 224, 224}, half = {64, 112, 112};
    const int64_t   n = 2, all = n * otk_image(s), small = n * otk_image(half);
    otk_after       after = {.in_factor = 1, .res_factor = 1, .out_factor = 1};
    simt_sparse(1);
    simt_blocks(SIMT_END_BLOCKS);
    otk_tensor src = tensor(type, all), dst = tensor(type, all), res = tensor(type, all), pooled = tensor(type, small), dsrc = tensor(type, all);
    float     *gain = device_take(CHIPS * 2 * sizeof *gain), *nchw = device_take((size_t)all * CHIPS * sizeof *nchw), *tap = device_take(CHIPS * 4 * sizeof *tap);
    double    *sums = device_take(CHIPS * 2 * sizeof *sums);
    int       *flags = device_take(CHIPS * sizeof *flags);
    for (int end = 0; end < 2; end++) {
        const int64_t chip = end ? CHIPS - 1 : 0;
        for (int64_t k = 0; k < 256; k++) {
            const int64_t e = end ? all - 1 - k : k;
            device_put(type, chip_at(type, src, chip), e, 2);
            device_put(type, chip_at(type, res, chip), e, 0.5f);
            device_put(type, chip_at(type, pooled, chip), end ? small - 1 - k : k, 3);
        }
        gain[2 * chip] = 3, gain[2 * chip + 1] = 0.5f;
    }
    after.res = res;
    after.knobs = (otk_knobs){gain, gain + 1, 2, 0, 0, INFINITY, 1};
    ASSERT_EQ(0, otk_pointwise(type, s, CHIPS, (int)n, src, dst, &after, NULL));
    const otk_window pool = {.kind = OTK_MAX_POOL, .in = s, .out = half, .kh = 2, .kw = 2, .sh = 2, .sw = 2};
    ASSERT_EQ(0, otk_window_data(type, &pool, CHIPS, (int)n, src, pooled, dsrc, 1, 0, NULL));
    ASSERT_EQ(0, otk_window_forward(type, &pool, CHIPS, (int)n, src, pooled, 1, NULL));
    ASSERT_EQ(0, otk_export(type, s, CHIPS, (int)n, src, nchw, 1, NULL));
    for (int end = 0; end < 2; end++) {
        const int64_t chip = end ? CHIPS - 1 : 0, e = end ? all - 1 : 0, last = end ? small - 1 : 0;
        ASSERT_IN_RANGE(6.0, (double)device_get(type, chip_at(type, dst, chip), e), 0);       /* 3 (2 + 0.5 - 0.5) */
        ASSERT_IN_RANGE(2.0, (double)device_get(type, chip_at(type, pooled, chip), last), 0);
        ASSERT_IN_RANGE(2.0, (double)nchw[chip * all + e], 0);
        /* The first of equals takes it, pixel (0, 0); at the other end that lies above the last row. */
        ASSERT_IN_RANGE(end ? 0.0 : 3.0, (double)device_get(type, chip_at(type, dsrc, chip), e), 0);
    }
    ASSERT_EQ(0, otk_add_to(type, s, CHIPS, (int)n, src, dst, 2, 1, NULL));
    ASSERT_IN_RANGE(10.0, (double)device_get(type, chip_at(type, dst, CHIPS - 1), all - 1), 0);
    otk_relu_back back = {.u = dst, .g = src, .knobs = after.knobs, .sums = sums, .sums_stride = 2, .sums_offset = 1, .factor = 1, .u_factor = 1, .dres_factor = 1,
                          .partial = device_take(otk_relu_back_bytes(s, CHIPS, (int)n))};
    ASSERT_EQ(0, otk_relu_back_run(type, s, CHIPS, (int)n, &back, NULL));
    ASSERT_IN_RANGE(6.0, (double)device_get(type, chip_at(type, src, CHIPS - 1), all - 1), 0);
    ASSERT_IN_RANGE(-3.0 * 256 * 2, sums[2 * CHIPS - 1], 1e-9);                               /* the last block's share is 256 elements of g = 2 */
    ASSERT_EQ(0, otk_tap(type, s, CHIPS, (int)n, src, tap, 4, 1, NULL));
    ASSERT_IN_RANGE(256 * 6.0 / (double)otk_image(s), (double)tap[4 * (CHIPS - 1) + 1], 1e-9);
    /* Two images of one frame: neurons of current 2 at thresholds 1 and 3.5 fire on the first chip alone. */
    const otk_if      neuron = {.gain = gain, .stride = 2, .unit = 1, .leak = 1, .steps = 1, .src_factor = 1, .dst_factor = 1, .sharpness = 0.25f, .surrogate = 2};
    const otk_if_back walk = {.g = res, .dsrc = dsrc, .sums = sums, .sums_stride = 2, .partial = device_take(otk_if_back_bytes(s, CHIPS, (int)n))};
    gain[0] = 1, sums[0] = sums[2 * CHIPS - 2] = 0;
    for (int64_t k = 0; k < 256; k++) device_put(type, chip_at(type, src, 0), k, 2), device_put(type, chip_at(type, src, CHIPS - 1), all - 1 - k, 2);
    ASSERT_EQ(0, otk_if_forward(type, s, CHIPS, (int)n, src, dst, &neuron, NULL));
    ASSERT_EQ(0, otk_if_back_run(type, s, CHIPS, (int)n, src, &neuron, &walk, NULL));
    ASSERT_EQ(1.0f, device_get(type, chip_at(type, dst, 0), 0));
    ASSERT_EQ(0.0f, device_get(type, chip_at(type, dst, CHIPS - 1), all - 1));
    ASSERT_EQ(0.125f, device_get(type, chip_at(type, dsrc, CHIPS - 1), all - 1));             /* 0.5 of the boxcar's 0.25, |2 - 3| being below 2 */
    ASSERT_IN_RANGE(-0.125 * 128, sums[2 * CHIPS - 2], 1e-9);                                  /* a block's 128 neurons */
    ASSERT_EQ(0, otk_if_spread(type, s, CHIPS, (int)n, 1, 0, src, dst, NULL));
    ASSERT_EQ(0, otk_if_count(type, s, CHIPS, 1, (int)n, 0, src, dsrc, 1, NULL));                 /* as two frames of one image */
    ASSERT_EQ(2.0f, device_get(type, chip_at(type, dst, CHIPS - 1), all - 1));
    ASSERT_EQ(2.0f, device_get(type, chip_at(type, dsrc, CHIPS - 1), all / 2 - 1));
    device_put(type, chip_at(type, src, CHIPS - 1), all - 1, INFINITY);
    ASSERT_EQ(0, otk_finite(type, s, CHIPS, (int)n, src, flags, NULL));
    ASSERT_EQ(1, flags[CHIPS - 1]);
    ASSERT_EQ(0, flags[0]);
    simt_blocks(SIMT_ALL_BLOCKS);
    simt_sparse(0);
    device_give_all();
    PASS();
}

/* Every launch of 10,000 chips is one that a GPU takes; so is 65,535 chips', the most that lie in a grid. */
TEST every_grid_is_legal(int chips)
{
    static const int counts[] = {1, 100, 1000};
    const otk_tensor none = {NULL, 0};
    const otk_after  after = {.in_factor = 1, .res_factor = 1, .out_factor = 1};
    simt_blocks(SIMT_NO_BLOCKS);
    for (int l = 0; l < LAYERS; l++)
        for (int k = 0; k < 3; k++) {
            const otk_conv *c = &vgg[l].c;
            const int       n = counts[k];
            const otk_window pool = {.kind = OTK_MAX_POOL, .in = c->out, .out = {c->out.c, (c->out.h + 1) / 2, (c->out.w + 1) / 2}, .kh = 2, .kw = 2, .sh = 2, .sw = 2};
            const otk_relu_back back = {.sums = (double *)8, .partial = (void *)8};
            const otk_loss  loss = {.loss = (double *)8};
            const otk_draw  draw = {.bits = 16};
            const otk_adam  adam = {.L = 16};
            const otk_if    neuron = {.steps = 25, .sharpness = 2};
            const otk_if_back walk = {.sums = (double *)8, .partial = (void *)8};
            for (otk_math m = OTK_FP32; m <= OTK_FP16; m++) {
                ASSERT_EQ(0, otk_conv_forward(m, c, chips, n, none, none, none, &after, NULL));
                ASSERT_EQ(0, otk_conv_data(m, c, chips, n, none, none, none, 1, 0, NULL, NULL));
            }
            ASSERT_EQ(0, otk_conv_pack(c, OTK_F32, NULL, NULL, 0, NULL));
            ASSERT_EQ(0, otk_conv_gradient(c, n, NULL, NULL, NULL, NULL, NULL));
            for (int v = 1; v <= 2; v++) ASSERT_EQ(0, otk_draw_weights(v, c, OTK_F32, chips, &draw, none, NULL));
            ASSERT_EQ(0, otk_pointwise(OTK_F32, c->out, chips, n, none, none, &after, NULL));
            ASSERT_EQ(0, otk_relu_back_run(OTK_F32, c->out, chips, n, &back, NULL));
            ASSERT_EQ(0, otk_add_to(OTK_F32, c->out, chips, n, none, none, 1, 0, NULL));
            ASSERT_EQ(0, otk_import(OTK_F32, c->in, n, NULL, NULL, 1, NULL));
            ASSERT_EQ(0, otk_export(OTK_F32, c->in, chips, n, none, NULL, 1, NULL));
            ASSERT_EQ(0, otk_channel_sums(c->out, n, NULL, NULL, NULL, NULL));
            ASSERT_EQ(0, otk_window_forward(OTK_F32, &pool, chips, n, none, none, 1, NULL));
            ASSERT_EQ(0, otk_window_data(OTK_F32, &pool, chips, n, none, none, none, 1, 0, NULL));
            ASSERT_EQ(0, otk_tap(OTK_F32, c->out, chips, n, none, NULL, 0, 1, NULL));
            ASSERT_EQ(0, otk_moments(OTK_F32, c->out, chips, n, none, NULL, 1, NULL, NULL));
            ASSERT_EQ(0, otk_finite(OTK_F32, c->out, chips, n, none, NULL, NULL));
            ASSERT_EQ(0, otk_norm_forward(c->out, n, NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL));
            ASSERT_EQ(0, otk_norm_back(c->out, n, NULL, NULL, (float *)8, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
            ASSERT_EQ(0, otk_loss_run(OTK_F32, 1000, chips, n, &loss, NULL));
            ASSERT_EQ(0, otk_adam_start(&adam, chips, NULL, NULL));
            ASSERT_EQ(0, otk_adam_step(&adam, chips, NULL));
            for (otk_type type = OTK_F32; type <= OTK_F16; type++) {
                ASSERT_EQ(0, otk_if_forward(type, c->out, chips, n, none, none, &neuron, NULL));
                ASSERT_EQ(0, otk_if_back_run(type, c->out, chips, n, none, &neuron, &walk, NULL));
                ASSERT_EQ(0, otk_if_count(type, c->out, chips, n, 25, 0, none, none, 1, NULL));
                ASSERT_EQ(0, otk_if_spread(type, c->out, chips, n, 25, 0, none, none, NULL));
                ASSERT_EQ(0, otk_input_spikes(type, c->in, n, OTK_CODING_RATE, 25, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, 1, NULL));
            }
            ASSERT_EQ(0, otk_input(OTK_F32, c->in, n, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, 1, NULL));
        }
    simt_blocks(SIMT_ALL_BLOCKS);
    PASS();
}

SUITE(test_grids)
{
    static const char *const maths[] = {[OTK_FP32] = "fp32", [OTK_TF32] = "tf32", [OTK_FP16] = "fp16"};
    char suffix[32];
    greatest_set_test_suffix("10000_chips");
    RUN_TEST1(every_grid_is_legal, CHIPS);
    greatest_set_test_suffix("65535_chips");
    RUN_TEST1(every_grid_is_legal, 65535);
#ifdef __SANITIZE_THREAD__                                  /* its shadow of terabytes has no room */
    const int layers = 0, types = 0;
#else
    const int layers = LAYERS, types = 2;
#endif
    for (int l = 0; l < layers; l++)
        for (otk_math m = OTK_FP32; m <= OTK_FP16; m++) {
            snprintf(suffix, sizeof suffix, "layer_%d_%s", l, maths[m]);
            if (getenv("OT_SMALL") && l != 0 && l != 7) continue;
            greatest_set_test_suffix(suffix);
            RUN_TESTp(last_block_of_a_convolution_is_right, l, m);
        }
    for (otk_type t = OTK_F32; t < (otk_type)types; t++) {
        greatest_set_test_suffix(t == OTK_F16 ? "fp16" : "fp32");
        RUN_TEST1(last_block_of_elementwise_steps_is_right, t);
    }
}

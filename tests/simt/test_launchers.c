/* test_launchers.c - launchers that have no row in the conformance suite, against plain C: drawing, images, loss, optimisers. */
#include "backend/backend.h"
#include "chip/map.h"
#include "control.h"
#include "device.h"
#include "kernels/adam.h"
#include "kernels/crop.h"
#include "nets.h"
#include "train/augment.h"

#include <math.h>
#include <string.h>

/* --- drawing: the weights of chips in flight are those of ot_chip_draw --- */

enum { DRAWN = 4 };
static const uint32_t numbers[DRAWN] = {0, 1, 77, 4294967295u};

/* What chip.c does to a layer's weights. */
static double magnitudes(int32_t *q, const ot_layer *l, int bits)
{
    const size_t n = ot_layer_weights(l);
    const double levels = (double)((1 << bits) - 1);
    double       most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)l->weight[i]));
    for (size_t i = 0; i < n; i++) {
        const int32_t m = most > 0 ? (int32_t)rint(fabs((double)l->weight[i]) * levels / most) : 0;
        q[i] = l->weight[i] < 0 ? -m : m;
    }
    return most / levels;
}

static otk_conv conv_of(const ot_layer *l, const ot_layer *in)
{
    return (otk_conv){{in->c, in->h, in->w}, {l->c, l->h, l->w}, l->groups, l->kh, l->kw, l->sh, l->sw, l->pt, l->pl};
}

/* Plain, grouped, depthwise, 1x1, all zero, dense. */
static ot_network *drawn_network(void)
{
    ot_network *net;
    check_rng   r = {3};
    if (ot_network_new(&net, "drawn", 3, 7, 7) != OT_OK) return NULL;
    const int a = net_conv(net, &r, 0, 12, 3, 1, 1, 1, 0), b = net_conv(net, &r, net_relu(net, a, INFINITY), 9, 3, 2, 1, 3, 0);
    const int c = net_conv(net, &r, b, 9, 3, 1, 1, 9, 1), d = net_conv(net, &r, c, 17, 1, 1, 0, 1, 0), e = net_conv(net, &r, d, 4, 3, 1, 1, 1, 0);
    memset(ot_network_weights(net, e), 0, ot_layer_weights(ot_network_layer(net, e)) * sizeof(float));
    net_dense(net, &r, net_global(net, e), 10);
    return net;
}

static int drawn_alike(ot_chip *const chip[DRAWN], const ot_network *net, int crossbar, const ot_variation *var, ot_cell_map *maps, uint32_t *d_numbers, int version, otk_type type)
{
    const ot_layer *l = ot_network_crossbar(net, crossbar);
    const otk_conv  c = conv_of(l, ot_network_layer(net, l->in[0]));
    const size_t    n = ot_layer_weights(l), size = device_size(type);
    const int64_t   packed = otk_conv_weights(&c);
    int32_t        *q = device_take(n * sizeof *q);
    float          *onnx = device_take(n * sizeof *onnx);
    otk_tensor      w = {NULL, packed + 8};
    const otk_draw  d = {maps, d_numbers, q, var->seed, (uint32_t)crossbar, var->bits, magnitudes(q, l, var->bits), 0, 0};
    if (!(d.step > 0)) return 1;                            /* the backend leaves such a layer alone: tested below */
    w.at = device_take((size_t)(DRAWN * w.stride) * size);
    if (otk_draw_weights(version, &c, type, DRAWN, &d, w, NULL)) return 0;
    for (int k = 0; k < DRAWN; k++) {
        const float *want = ot_chip_weights(chip[k], crossbar);
        if (otk_conv_pack(&c, type, onnx, (char *)w.at + (size_t)(k * w.stride) * size, 1, NULL)) return 0;
        for (size_t i = 0; i < n; i++) {
            float        once = want[i];
            unsigned char as[4];
            device_put(type, as, 0, once);
            if (type == OTK_F16) once = device_get(type, as, 0);
            if (memcmp(&once, &onnx[i], sizeof once)) {
                printf("\nlayer %d chip %u weight %zu: want %a, got %a\n", crossbar, numbers[k], i, (double)once, (double)onnx[i]);
                return 0;
            }
        }
    }
    return 1;
}

TEST drawn_weights_are_the_cpus(const char *preset, int bits)
{
    ot_network  *net = drawn_network();
    ot_device    dev;
    ot_variation var = {.sigma = 0.048, .sys_share = 0.5, .bits = bits, .seed = 0xfedcba9876543210u};
    ot_chip     *chip[DRAWN];
    int          ok = 1;
    ASSERT(net);
    OK(ot_device_open(&dev, preset));
    for (int k = 0; k < DRAWN; k++) OK(ot_chip_draw(&chip[k], net, &dev, &var, numbers[k]));
    for (int l = 0; ok && l < ot_network_crossbars(net); l++)
        for (int version = 1; ok && version <= 2; version++)
            for (otk_type type = OTK_F32; ok && type <= OTK_F16; type++) {
                ot_cell_map *maps = device_take(DRAWN * sizeof *maps);
                uint32_t    *d_numbers = device_copy(numbers, sizeof numbers);
                for (int k = 0; k < DRAWN; k++) ot__cell_map_make(&maps[k], &dev, ot_chip_delta_sys_of(&var, numbers[k]), ot__sigma_rand(&var));
                ok = drawn_alike(chip, net, l, &var, maps, d_numbers, version, type);
                device_give_all();
            }
    for (int k = 0; k < DRAWN; k++) ot_chip_free(chip[k]);
    ot_network_free(net);
    ASSERT(ok);
    PASS();
}

/* Through the backend's table: a layer of zeros stays +0 on every chip, as on the CPU; others are drawn. */
TEST a_layer_of_zeros_stays_zero(const char *flavour)
{
    const ot_variation six_bits = {.sigma = 0.048, .sys_share = 0.5, .bits = 6, .seed = 5};
    const ot_backend_i *be = &ot__backend_cuda;
    ot_network         *net = drawn_network();
    void               *ctx, *op;
    size_t              op_bytes, scratch;
    const ot_cell_map   map = {.c = {{1}, {0}}, .n_terms = {1, 1}, .z_min = -6, .z_max = 6, .x_max = 2}, maps[2] = {map, map};
    OK(be->open(&ctx, flavour));
    for (int number = 3; number <= 4; number++) {
        const ot_layer       *l = ot_network_crossbar(net, number), *in = ot_network_layer(net, l->in[0]);
        const ot_step         step = {.kind = OT_STEP_CONV, .layer = l, .in = {in->c, in->h, in->w}, .out = {l->c, l->h, l->w}, .src = 0, .dst = 1, .res = -1};
        const ot_plan_options opt = {.use = OT_PLAN_FORWARD, .tile = 2, .chips = 2};
        int32_t               q[1000];
        float                 w[1000];
        const size_t          n = ot_layer_weights(l);
        ASSERT(n <= 1000);
        const double unit = magnitudes(q, l, 6);
        ASSERT_EQ(number == 4, unit == 0);
        OK(be->step_open(ctx, &op, &step, 2, &opt, &op_bytes, &scratch));
        OK(be->many->design(ctx, op, q, unit, &six_bits, (uint32_t)number));
        OK(be->many->draw(ctx, op, 2, device_copy(maps, sizeof maps), device_copy(numbers, sizeof numbers)));
        check_poison(w, n);
        OK(be->many->weights(ctx, op, 1, w));
        for (size_t i = 0; i < n; i++) {
            uint32_t u;
            memcpy(&u, &w[i], sizeof u);
            if (number == 4) ASSERT_EQ(0u, u);
            else ASSERT_IN_RANGE(q[i] * unit, (double)w[i], 1e-3);          /* cells without variation */
        }
        be->step_close(ctx, op);
        device_give_all();
    }
    be->close(ctx);
    ot_network_free(net);
    PASS();
}

/* --- images --- */

TEST images_are_ot_data_images(int bytes, otk_type type)
{
    ot_network *net;
    const float mean[3] = {0.4914f, 0.4822f, 0.4465f}, std[3] = {0.247f, 0.2435f, 0.2616f};
    check_rng   r = {4};
    OK(ot_network_new(&net, "images", 3, 5, 6));
    net_dense(net, &r, net_global(net, 0), 10);
    OK(ot_network_set_normalisation(net, mean, std));
    ot_data        *data = net_data(net, 8, 40, bytes);
    const otk_shape s = {3, 5, 6};
    const size_t    size = 3 * 5 * 6;
    float           scale[3], shift[3], want[3 * 5 * 6];
    uint32_t        rows[12], step = 1;
    for (int c = 0; c < 3; c++) scale[c] = 1.0f / (255.0f * std[c]), shift[c] = -mean[c] / std[c];
    for (int i = 0; i < 12; i++) rows[i] = (uint32_t)(39 - 3 * i);
    const uint8_t *pixels = bytes ? device_copy(data->pixels, 40 * size) : NULL;
    const float   *values = bytes ? NULL : device_copy(data->values, 40 * size * sizeof *values);
    for (int n = 1; n <= 5; n += 4)
        for (int table = 0; table < 2; table++) {
            char     *dst = device_take((size_t)(5 * otk_image(s)) * device_size(type));
            uint32_t *wanted = device_take(5 * sizeof *wanted);
            ASSERT_EQ(0, otk_input(type, s, n, pixels, values, device_copy(scale, sizeof scale), device_copy(shift, sizeof shift), table ? device_copy(rows, sizeof rows) : NULL,
                                   table ? device_copy(&step, sizeof step) : NULL, 5, 2, dst, wanted, 1.0f, NULL));
            for (int i = 0; i < n; i++) {
                const uint32_t row = table ? rows[7 + i] : (uint32_t)(2 + i);
                ASSERT_EQ(row, wanted[i]);
                ot_data_image(data, net, row, want);
                for (int c = 0; c < 8; c++)
                    for (int p = 0; p < 30; p++) {
                        float v = c < 3 ? want[c * 30 + p] : 0.0f;
                        unsigned char as[4];
                        device_put(type, as, 0, v);
                        if (type == OTK_F16) v = device_get(type, as, 0);
                        ASSERT(v == device_get(type, dst, device_at(s, i, c, p / 6, p % 6)));
                    }
            }
            for (int64_t e = n * otk_image(s); e < 5 * otk_image(s); e++) ASSERT(isnan(device_get(type, dst, e)));
            for (int i = n; i < 5; i++) ASSERT_EQ(0xffffffffu, wanted[i]);
        }
    device_give_all();
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- loss --- */

TEST loss_is_the_plans(int classes, double smoothing, otk_type type)
{
    enum { IMAGES = 9, CHIPS = 2 };
    const otk_shape s = {classes, 1, 1};
    const int64_t   stride = (IMAGES + 1) * otk_image(s);
    char           *logits = device_take((size_t)(CHIPS * stride) * device_size(type)), *grad = device_take((size_t)(CHIPS * stride) * device_size(type));
    double         *loss = device_take(CHIPS * sizeof *loss);
    int64_t        *right = device_take(CHIPS * sizeof *right);
    uint32_t       *bits = device_take(CHIPS * 3 * sizeof *bits);
    int32_t        *labels = device_take(60 * sizeof *labels);
    check_rng       r = {(uint64_t)classes};
    for (int i = 0; i < 60; i++) labels[i] = i * 5 % classes;
    for (int k = 0; k < CHIPS; k++) {
        loss[k] = 10, right[k] = 100;
        for (int i = 0; i < IMAGES; i++)
            for (int c = 0; c < otk_channels(classes); c++) device_put(type, logits, k * stride + i * otk_image(s) + c, c < classes ? (float)rint(3 * check_normal(&r)) : 0.0f);
    }
    memset(bits, 0, CHIPS * 3 * sizeof *bits);
    /* Chip 1: image 1 has NaN for class 0, image 2 for its last class; images 3 and 4 are all ties, the label is the first, the last. */
    const int64_t at = stride, image = otk_image(s);
    device_put(type, logits, at + image, NAN);
    device_put(type, logits, at + 2 * image + classes - 1, NAN);
    for (int c = 0; c < classes; c++) device_put(type, logits, at + 3 * image + c, 1), device_put(type, logits, at + 4 * image + c, -2);
    labels[30 + 3] = 0, labels[30 + 4] = classes - 1;
    const otk_loss l = {{logits, stride}, {grad, stride}, labels, NULL, 0.5f, 0.25, smoothing, loss, right, bits, 3, 30, device_take(otk_loss_bytes(CHIPS, IMAGES)), 0};
    ASSERT_EQ(0, otk_loss_run(type, classes, CHIPS, IMAGES, &l, NULL));
    for (int k = 0; k < CHIPS; k++) {
        double  want = 10;
        int64_t want_right = 100;
        for (int i = 0; i < IMAGES; i++) {
            const int64_t from = k * stride + i * image;
            const int     label = labels[30 + i], has_nan = k == 1 && (i == 1 || i == 2);
            double        top = -INFINITY, sum = 0, mean = 0;
            int           best = 0;
            for (int c = 0; c < classes; c++) {
                const double x = 0.5 * (double)device_get(type, logits, from + c);
                if (x > top) best = c, top = x;
            }
            for (int c = 0; c < classes; c++) {
                const double x = 0.5 * (double)device_get(type, logits, from + c);
                sum += exp(x - top), mean += (x - top) / classes;
            }
            want += has_nan ? NAN : log(sum) - (1 - smoothing) * (0.5 * (double)device_get(type, logits, from + label) - top) - smoothing * mean;
            want_right += !has_nan && best == label;
            ASSERT_EQ((unsigned)(!has_nan && best == label), bits[k * 3 + (30 + i) / 32] >> (30 + i) % 32 & 1);
            for (int c = 0; c < otk_channels(classes); c++) {
                const double got = (double)device_get(type, grad, from + c), x = 0.5 * (double)device_get(type, logits, from + c);
                const double target = (c == label ? 1 - smoothing : 0) + smoothing / classes;
                if (c >= classes) ASSERT(got == 0);
                else if (has_nan) ASSERT(isnan(got));
                else ASSERT_IN_RANGE(0.25 * (exp(x - top) / sum - target), got, type == OTK_F16 ? 2e-4 : 1e-7);      /* rounding of results up to 0.25 */
            }
        }
        ASSERT_EQ(want_right, right[k]);
        if (isnan(want)) ASSERT(isnan(loss[k]));
        else ASSERT_IN_RANGE(want, loss[k], 1e-12 * want);
        for (int64_t e = IMAGES * image; e < stride; e++) ASSERT(isnan(device_get(type, grad, k * stride + e)));
    }
    /* Counting alone. */
    const otk_loss count = {{logits, stride}, {NULL, 0}, labels, NULL, 0.5f, 0, 0, NULL, right, NULL, 0, 30, l.partial, 0};
    const int64_t  before = right[0];
    ASSERT_EQ(0, otk_loss_run(type, classes, CHIPS, IMAGES, &count, NULL));
    ASSERT_EQ(2 * before - 100, right[0]);
    device_give_all();
    PASS();
}

/* --- optimisers --- */

/* Three steps of host/train's optimiser, written plainly, against weights.cu. */
TEST a_step_of_weights_is_the_hosts(int adam, int shards)
{
    enum { MOST = 515, FEW = 3, STEPS = 3 };
    static const int sizes[] = {0, 1, 255, 256, 257, MOST};
    float            p[MOST], g[3 * MOST], v[MOST], stat[FEW], batch[3 * FEW];
    double           m[2 * MOST], rate[STEPS] = {0.05, 0.02, 0.01}, power[2];
    uint8_t          decays[MOST];
    check_rng        r = {5};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int n = sizes[k];
        check_fill_normal(&r, p, MOST, 1);
        check_fill_normal(&r, v, MOST, 1);
        check_fill_normal(&r, stat, FEW, 1);
        for (int i = 0; i < MOST; i++) decays[i] = i % 3 != 0, m[2 * i] = 0.1 * check_normal(&r), m[2 * i + 1] = 0.1 * check_uniform(&r);
        power[0] = 0.9, power[1] = 0.999;
        const size_t N = (size_t)n;
        otk_weights w = {.n = n, .n_statistics = FEW, .shards = shards, .parameters = device_copy(p, N * sizeof *p), .grad = device_take(3 * sizeof g), .decays = device_copy(decays, N),
                         .rate = device_copy(rate, sizeof rate), .momentum = 0.9, .decay = 0.01, .statistics = device_copy(stat, sizeof stat),
                         .batch_statistics = device_take(sizeof batch), .share = 0.1, .images = 4, .loss = device_take(sizeof(double)),
                         .losses = device_take(STEPS * sizeof(double)), .step = device_take(sizeof(uint32_t))};
        if (adam) w.moments = device_copy(m, 2 * N * sizeof *m), w.power = device_copy(power, sizeof power);
        else w.velocity = device_copy(v, N * sizeof *v);
        *w.step = 0;
        for (int step = 0; step < STEPS; step++) {
            check_fill_normal(&r, g, (size_t)(shards * n), 1);
            check_fill_normal(&r, batch, (size_t)(shards * FEW), 1);
            memcpy((float *)w.grad, g, (size_t)(shards * n) * sizeof *g);
            memcpy((float *)w.batch_statistics, batch, (size_t)(shards * FEW) * sizeof *batch);
            *w.loss = 6 + step;
            ASSERT_EQ(0, otk_weights_step(&w, NULL));
            power[0] *= 0.9, power[1] *= 0.999;
            for (int i = 0; i < n; i++) {
                double sum = 0;
                for (int s = 0; s < shards; s++) sum += (double)g[s * n + i];
                const double mean = (double)(float)(sum * (1.0 / shards)), grad = mean + (decays[i] ? 0.01 * (double)p[i] : 0);
                if (adam) {
                    m[2 * i] = 0.9 * m[2 * i] + (1 - 0.9) * grad, m[2 * i + 1] = 0.999 * m[2 * i + 1] + (1 - 0.999) * grad * grad;
                    p[i] = (float)((double)p[i] - rate[step] * (m[2 * i] / (1 - power[0])) / (sqrt(m[2 * i + 1] / (1 - power[1])) + 1e-8));
                } else {
                    v[i] = (float)(0.9 * (double)v[i] + grad);
                    p[i] = (float)((double)p[i] - rate[step] * (double)v[i]);
                }
            }
            for (int i = 0; i < FEW; i++) {
                double sum = 0;
                for (int s = 0; s < shards; s++) sum += (double)batch[s * FEW + i];
                stat[i] = (float)((double)stat[i] + 0.1 * (sum / shards - (double)stat[i]));
            }
            /* a few roundings to float of numbers of about 10 at most */
            CHECK_CLOSE(p, w.parameters, N, 2e-6);
            if (adam) CHECK_CLOSE64(m, w.moments, 2 * N, 1e-14);
            else CHECK_CLOSE(v, w.velocity, N, 2e-6);
            CHECK_CLOSE(stat, w.statistics, FEW, 5e-7);
            ASSERT(w.losses[step] == (6 + step) / 4.0 && *w.loss == 0 && *w.step == (uint32_t)step + 1);
        }
        device_give_all();
    }
    PASS();
}

/* Every pixel of augmented images is the host's to the bit (host/train/augment.c). */
TEST crops_are_the_hosts(int bytes)
{
    enum { IMAGES = 9, PAD = 2 };
    const otk_shape  s = {3, 5, 4};
    const float      mean[] = {0.4f, 0.5f, 0.1f}, std[] = {0.2f, 0.25f, 0.3f};
    ot_train_options opt = ot_train_defaults();
    uint8_t          pixels[IMAGES * 60];
    float            values[IMAGES * 60], scale[3], shift[3], black[3] = {0}, one[60], want[60];
    uint32_t         rows[IMAGES] = {8, 0, 3, 1, 2, 7, 7, 5, 4}, crops[IMAGES];
    check_rng        r = {11};
    opt.crop_pad = PAD, opt.flip = 1;
    for (int i = 0; i < IMAGES * 60; i++) pixels[i] = (uint8_t)(255 * check_uniform(&r)), values[i] = (float)check_normal(&r);
    for (int c = 0; c < 3; c++) {
        scale[c] = 1.0f / (255.0f * std[c]), shift[c] = -mean[c] / std[c];
        if (bytes) black[c] = (0.0f - mean[c]) / std[c];
    }
    for (int i = 0; i < IMAGES; i++) {
        const ot__crop c = ot__augment_choose(&opt, rows[i], 4);
        crops[i] = ot_crop_word(c.dy, c.dx, c.flip);
    }
    float    *dst = device_take((size_t)(IMAGES * otk_image(s)) * sizeof *dst);
    uint32_t *wanted = device_take(IMAGES * sizeof *wanted), *step = device_take(sizeof *step), *d_rows = device_copy(rows, sizeof rows), *d_crops = device_copy(crops, sizeof crops);
    const int per = 4;                                             /* images a step; the second step has five */
    for (*step = 0; *step < 2; ++*step)
        ASSERT_EQ(0, otk_input_crops(OTK_F32, s, *step ? 5 : 4, bytes ? device_copy(pixels, sizeof pixels) : NULL, bytes ? NULL : device_copy(values, sizeof values),
                                     device_copy(scale, sizeof scale), device_copy(shift, sizeof shift), d_rows, step, per, 0, d_crops, PAD,
                                     dst + *step * per * otk_image(s), wanted + *step * per, 1, NULL));
    for (int i = 0; i < IMAGES; i++) {
        ASSERT_EQ(rows[i], wanted[i]);
        for (int k = 0; k < 60; k++) one[k] = bytes ? (float)pixels[rows[i] * 60 + (uint32_t)k] * scale[k / 20] + shift[k / 20] : values[rows[i] * 60 + (uint32_t)k];
        ot__augment_apply(want, one, 3, 5, 4, PAD, ot__augment_choose(&opt, rows[i], 4), black);
        for (int k = 0; k < 60; k++) ASSERT(want[k] == dst[device_at(s, i, k / 20, k % 20 / 4, k % 4)]);
        for (int pixel = 0; pixel < 20; pixel++)
            for (int c = 3; c < 8; c++) ASSERT(dst[device_at(s, i, c, pixel / 4, pixel % 4)] == 0);
    }
    device_give_all();
    PASS();
}

TEST statistics_are_unbiased(void)
{
    enum { C = 300 };
    double mean[C], var[C];
    float *out = device_take(2 * C * sizeof *out);
    for (int c = 0; c < C; c++) mean[c] = 0.1 * c, var[c] = 1 + c;
    ASSERT_EQ(0, otk_norm_statistics(C, 5, device_copy(mean, sizeof mean), device_copy(var, sizeof var), out, NULL));
    for (int c = 0; c < C; c++) ASSERT(out[c] == (float)mean[c] && out[C + c] == (float)(var[c] * 1.25));
    ASSERT_EQ(0, otk_norm_statistics(2, 1, device_copy(mean, sizeof mean), device_copy(var, sizeof var), out, NULL));
    ASSERT(out[2] == 1.0f && out[3] == 2.0f);                       /* one value: nothing to divide by */
    device_give_all();
    PASS();
}

/* The rules of host/tune/adam.c for one chip, once more. */
enum { MOST_KNOBS = 80 };
typedef struct plain_adam {
    int    L, bad_in_row, projected, restores, steps;
    double momentum;                         /* below 0: Adam */
    double best_loss, last_loss, b1, b2, knob[MOST_KNOBS], best[MOST_KNOBS], m[MOST_KNOBS], v[MOST_KNOBS];
} plain_adam;

static void plain_step(plain_adam *a, double lr, double loss, const double *grad)
{
    int finite = isfinite(loss) != 0;
    if (a->bad_in_row == 4) return;
    for (int k = 0; k < 2 * a->L; k++) finite = finite && isfinite(grad[k]);
    a->steps++;
    a->last_loss = loss;
    if (!finite) {
        memcpy(a->knob, a->best, sizeof a->knob);
        memset(a->m, 0, sizeof a->m);
        memset(a->v, 0, sizeof a->v);
        a->b1 = a->b2 = 1;
        a->bad_in_row++, a->restores++;
        return;
    }
    a->bad_in_row = 0;
    if (loss < a->best_loss) {
        a->best_loss = loss;
        memcpy(a->best, a->knob, sizeof a->best);
    }
    a->b1 *= 0.9, a->b2 *= 0.999;
    for (int k = 0; k < 2 * a->L; k++) {
        if (a->momentum >= 0) {
            a->m[k] = a->momentum * a->m[k] + grad[k];
            a->knob[k] -= lr * a->m[k];
            if (k < a->L && a->knob[k] < 0.015625) a->knob[k] = 0.015625, a->projected++;
            continue;
        }
        a->m[k] = 0.9 * a->m[k] + (1 - 0.9) * grad[k];
        a->v[k] = 0.999 * a->v[k] + (1 - 0.999) * grad[k] * grad[k];
        a->knob[k] -= lr * (a->m[k] / (1 - a->b1)) / (sqrt(a->v[k] / (1 - a->b2)) + 1e-8);
        if (k < a->L && a->knob[k] < 0.015625) a->knob[k] = 0.015625, a->projected++;
    }
}

/* momentum below 0: Adam.  rates 1: a rate of its own for every step. */
TEST steps_of_knobs_keep_the_rules(int L, double momentum, int rates)
{
    enum { CHIPS = 5, STEPS = 12 };
    const size_t n = (size_t)(CHIPS * 2 * L);
    static plain_adam want[CHIPS];
    static float      start[CHIPS * MOST_KNOBS];
    uint32_t         *step = device_take(sizeof *step);
    otk_adam          a = {L, 0.1, 4, 0.5, device_take(n * 8), device_take(n * 8), device_take(n * 8), device_take(n * 16), device_take(CHIPS * 8), device_take(n * 4),
                           device_take(CHIPS * sizeof(otk_adam_chip)), step, NULL, momentum, momentum >= 0};
    check_rng         r = {9};
    double            rate[STEPS];
    for (int s = 0; s < STEPS; s++) rate[s] = rates ? 0.02 + 0.3 * check_uniform(&r) : 0.1;
    if (rates) a.lr = (double)NAN, a.rate = device_copy(rate, sizeof rate);
    for (int k = 0; k < CHIPS; k++) {
        want[k] = (plain_adam){.L = L, .best_loss = INFINITY, .b1 = 1, .b2 = 1, .momentum = momentum};
        for (int i = 0; i < 2 * L; i++) {
            start[k * 2 * L + i] = (float)((i < L) + 0.1 * check_normal(&r));
            want[k].knob[i] = (double)start[k * 2 * L + i];
            want[k].best[i] = i < L;
        }
    }
    ASSERT_EQ(0, otk_adam_start(&a, CHIPS, device_copy(start, n * sizeof *start), NULL));
    ASSERT_EQ(0u, *step);
    for (size_t i = 0; i < n; i++) ASSERT(a.sent[i] == start[i]);
    for (int s = 0; s < STEPS; s++) {
        for (int k = 0; k < CHIPS; k++) {
            double *grad = a.grad + k * 2 * L, half[MOST_KNOBS];
            a.loss[k] = 4 * (2 + check_normal(&r));
            for (int i = 0; i < 2 * L; i++) grad[i] = check_normal(&r) + (k == 0 && i == 0 ? 4 : 0);          /* chip 0: a gain that wants to be 0 */
            if (k == 1 && s == 3) grad[2 * L - 1] = (double)NAN;
            if (k == 2 && s >= 2 && s < 6) a.loss[k] = (double)(s % 2 ? INFINITY : NAN);                   /* gives up; finite steps follow */
            if (k == 3 && s < 3) a.loss[k] = (double)INFINITY;                                            /* untuned is all there is to go back to */
            if (k == 4 && s % 2) grad[0] = -(double)INFINITY;                                             /* never four in a row */
            for (int i = 0; i < 2 * L; i++) half[i] = 0.5 * grad[i];
            plain_step(&want[k], rate[want[k].steps < STEPS ? want[k].steps : 0], a.loss[k] / 4, half);
        }
        ASSERT_EQ(0, otk_adam_step(&a, CHIPS, NULL));
        ASSERT_EQ((uint32_t)s + 1, *step);
        for (int k = 0; k < CHIPS; k++) {
            const otk_adam_chip *c = &a.chip[k];
            CHECK_CLOSE64(want[k].knob, a.knob + k * 2 * L, (size_t)(2 * L), 1e-12);
            CHECK_CLOSE64(want[k].best, a.best + k * 2 * L, (size_t)(2 * L), 1e-12);
            for (int i = 0; i < 2 * L; i++) {
                ASSERT(a.sent[k * 2 * L + i] == (float)a.knob[k * 2 * L + i]);
                ASSERT(a.grad[k * 2 * L + i] == 0);
                ASSERT_IN_RANGE(want[k].m[i], a.state[2 * (k * 2 * L + i)], 1e-12);
                ASSERT_IN_RANGE(want[k].v[i], a.state[2 * (k * 2 * L + i) + 1], 1e-12);
            }
            ASSERT(a.loss[k] == 0);
            ASSERT_EQ(want[k].steps, c->steps);
            ASSERT_EQ(want[k].bad_in_row, c->bad_in_row);
            ASSERT_EQ(want[k].restores, c->nan_restores);
            ASSERT_EQ(want[k].projected, c->projected);
            ASSERT(want[k].best_loss == c->best_loss);
            ASSERT(want[k].last_loss == c->last_loss || (isnan(want[k].last_loss) && isnan(c->last_loss)));
        }
    }
    ASSERT_GT(want[0].projected, 0);
    ASSERT_EQ(4, want[2].bad_in_row);
    ASSERT_EQ(6, want[2].steps);
    ASSERT_EQ(6, want[4].restores);
    device_give_all();
    PASS();
}

/* --- neurons: what no network of tests has; the rest is the spiking suites' business --- */

/* One neuron with current 0.4 at each of eight steps and derivatives 1, 2, .. to its spikes. */
typedef struct neuron { float spikes[8], dcurrent[8], sum, gain; } neuron;

static int run_neuron(neuron *r, otk_if p, double *sums)
{
    const otk_shape s = {1, 1, 1};
    const otk_tensor src = {device_take(8 * 8 * 4), 0}, dst = {device_take(8 * 8 * 4), 0}, g = {device_take(8 * 8 * 4), 0}, d = {device_take(8 * 8 * 4), 0};
    for (int e = 0; e < 64; e++) device_put(OTK_F32, src.at, e, e % 8 ? 0.0f : 0.4f), device_put(OTK_F32, g.at, e, e % 8 ? 0.0f : (float)(1 + e / 8));
    otk_if_back b = {.g = g, .dsrc = d, .sums = sums, .sums_stride = 1, .partial = device_take(otk_if_back_bytes(s, 1, 1))};
    float      *gain = device_copy(&r->gain, sizeof r->gain);
    p.gain = gain, p.steps = 8, p.leak = p.src_factor = p.dst_factor = 1, p.sharpness = 2;
    *sums = 0;
    if (otk_if_forward(OTK_F32, s, 1, 1, src, dst, &p, NULL) || otk_if_back_run(OTK_F32, s, 1, 1, src, &p, &b, NULL)) return 0;
    for (int t = 0; t < 8; t++) r->spikes[t] = device_get(OTK_F32, dst.at, 8 * t), r->dcurrent[t] = device_get(OTK_F32, d.at, 8 * t);
    return 1;
}

/* An infinite loss: it fires at step 2 (1.2 > 1), then never, and nothing after that step has a derivative. */
TEST a_neuron_may_fire_once(void)
{
    neuron  r = {.gain = 2};
    double *sums = device_take(sizeof *sums), dthreshold = 0;
    ASSERT(run_neuron(&r, (otk_if){.unit = 2, .divided = 1, .u_rst = INFINITY, .reset = OTK_RESET_FIXED}, sums));
    for (int t = 0; t < 8; t++) ASSERT_EQ_FMT(t == 2 ? 1.0 : 0.0, (double)r.spikes[t], "%g");
    for (int t = 2; t >= 0; t--) {
        const double x = M_PI * (0.4 * (t + 1) - 1), k = (t + 1) / (1 + x * x);
        dthreshold -= k;
        ASSERT_IN_RANGE(-dthreshold, (double)r.dcurrent[t], 1e-5);              /* leak 1: derivatives of the steps behind add up */
    }
    for (int t = 3; t < 8; t++) ASSERT_EQ(0.0f, r.dcurrent[t]);
    ASSERT_IN_RANGE(-2 / 4.0 * dthreshold, *sums, 1e-5);                        /* threshold = 2 / gain */
    device_give_all();
    PASS();
}

TEST gains_are_thresholds_in_their_unit(void)
{
    neuron  r = {.gain = 0.5f}, same = {.gain = 1};
    double *sums = device_take(2 * sizeof *sums);
    ASSERT(run_neuron(&r, (otk_if){.unit = 2}, sums));
    ASSERT(run_neuron(&same, (otk_if){.unit = 1}, sums + 1));
    ASSERT_MEM_EQ(r.spikes, same.spikes, sizeof r.spikes);
    ASSERT_MEM_EQ(r.dcurrent, same.dcurrent, sizeof r.dcurrent);
    ASSERT(sums[0] == 2 * sums[1] && sums[1] != 0);
    device_give_all();
    PASS();
}

TEST sooner_spikes_may_count_more(otk_type type)
{
    enum { T = 7, IMAGES = 2 };
    const otk_shape  s = {3, 1, 2};
    const int64_t    frame = otk_image(s);
    const otk_tensor spikes = {device_take((size_t)(IMAGES * T * frame) * 4), 0}, counts = {device_take((size_t)(IMAGES * frame) * 4), 0}, back = {device_take((size_t)(IMAGES * T * frame) * 4), 0};
    for (int64_t e = 0; e < IMAGES * T * frame; e++) device_put(type, spikes.at, e, e % 8 < 3 && e * 5 % 3 == 0 ? 1.0f : 0.0f);
    for (int more = 0; more < 2; more++) {
        ASSERT_EQ(0, otk_if_count(type, s, 1, IMAGES, T, more, spikes, counts, 1, NULL));
        ASSERT_EQ(0, otk_if_spread(type, s, 1, IMAGES, T, more, counts, back, NULL));
        for (int64_t e = 0; e < IMAGES * frame; e++) {
            float want = 0;
            for (int t = 0; t < T; t++) want += device_get(type, spikes.at, (e / frame * T + t) * frame + e % frame) * (float)(more ? T - t : 1);
            ASSERT_EQ(want, device_get(type, counts.at, e));
            for (int t = 0; t < T; t++) ASSERT_EQ(want * (float)(more ? T - t : 1), device_get(type, back.at, (e / frame * T + t) * frame + e % frame));
        }
    }
    device_give_all();
    PASS();
}

TEST latency_is_one_spike_the_brighter_the_sooner(otk_type type)
{
    enum { T = 6, PIXELS = 9 };
    const otk_shape s = {1, 3, 3};
    float           x[PIXELS] = {0, 1, 0.5f, 0.1f, 0.9f, 1e-6f, 0.7f, 0.3f, 0.30001f};
    char           *dst = device_take((size_t)(T * otk_image(s)) * device_size(type));
    ASSERT_EQ(0, otk_input_spikes(type, s, 1, OTK_CODING_LATENCY, T, 0, NULL, device_copy(x, sizeof x), NULL, NULL, NULL, NULL, 0, 0, dst, NULL, 1, NULL));
    for (int p = 0; p < PIXELS; p++)
        for (int t = 0; t < T; t++)
            ASSERT_EQ(x[p] > 0 && (int)rintf((1 - x[p]) * (T - 1)) == t ? 1.0f : 0.0f, device_get(type, dst, t * otk_image(s) + p * 8));
    device_give_all();
    PASS();
}

TEST nothing_to_do_is_no_launch(void)
{
    const int64_t   before = simt_launches();
    const otk_shape s = {8, 2, 2};
    const otk_conv  c = {s, s, 1, 1, 1, 1, 1, 0, 0};
    const otk_after after = {.in_factor = 1, .res_factor = 1, .out_factor = 1};
    const otk_tensor none = {NULL, 0};
    const otk_window w = {.kind = OTK_GLOBAL_AVG, .in = s, .out = {8, 1, 1}};
    const otk_loss  l = {.logits = none};
    const otk_draw  d = {.bits = 2};
    const otk_adam  a = {.L = 1};
    for (int k = 0; k < 2; k++) {
        const int chips = k, n = 1 - k;                     /* no chips, no images */
        ASSERT_EQ(0, otk_conv_forward(OTK_FP32, &c, chips, n, none, none, none, &after, NULL));
        ASSERT_EQ(0, otk_conv_data(OTK_FP16, &c, chips, n, none, none, none, 1, 0, NULL, NULL));
        ASSERT_EQ(0, otk_pointwise(OTK_F32, s, chips, n, none, none, &after, NULL));
        ASSERT_EQ(0, otk_add_to(OTK_F16, s, chips, n, none, none, 1, 0, NULL));
        ASSERT_EQ(0, otk_export(OTK_F32, s, chips, n, none, NULL, 1, NULL));
        ASSERT_EQ(0, otk_window_forward(OTK_F32, &w, chips, n, none, none, 1, NULL));
        ASSERT_EQ(0, otk_window_data(OTK_F32, &w, chips, n, none, none, none, 1, 0, NULL));
        ASSERT_EQ(0, otk_tap(OTK_F32, s, chips, n, none, NULL, 0, 1, NULL));
        ASSERT_EQ(0, otk_moments(OTK_F32, s, chips, n, none, NULL, 1, NULL, NULL));
        ASSERT_EQ(0, otk_finite(OTK_F32, s, chips, n, none, NULL, NULL));
        ASSERT_EQ(0, otk_loss_run(OTK_F32, 8, chips, n, &l, NULL));
        ASSERT_EQ(0, otk_if_forward(OTK_F32, s, chips, n, none, none, &(otk_if){.steps = 5}, NULL));
        ASSERT_EQ(0, otk_if_back_run(OTK_F16, s, chips, n, none, &(otk_if){.steps = 5}, &(otk_if_back){.sums = (double *)8}, NULL));
        ASSERT_EQ(0, otk_if_count(OTK_F32, s, chips, n, 5, 0, none, none, 1, NULL));
        ASSERT_EQ(0, otk_if_spread(OTK_F32, s, chips, n, 5, 0, none, none, NULL));
    }
    ASSERT_EQ(0, otk_input_spikes(OTK_F32, s, 0, OTK_CODING_RATE, 5, 1, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, 1, NULL));
    ASSERT_EQ(0, otk_conv_gradient(&c, 0, NULL, NULL, NULL, NULL, NULL));
    ASSERT_EQ(0, otk_import(OTK_F32, s, 0, NULL, NULL, 1, NULL));
    ASSERT_EQ(0, otk_norm_forward(s, 0, NULL, NULL, NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL));
    ASSERT_EQ(0, otk_norm_back(s, 0, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL));
    ASSERT_EQ(0, otk_channel_sums(s, 0, NULL, NULL, NULL, NULL));
    ASSERT_EQ(0, otk_norm_statistics(0, 5, NULL, NULL, NULL, NULL));
    ASSERT_EQ(0, otk_input_crops(OTK_F32, s, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, 2, NULL, NULL, 1, NULL));
    ASSERT_EQ(0, otk_input(OTK_F32, s, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, 1, NULL));
    ASSERT_EQ(0, otk_draw_weights(0, &c, OTK_F32, 0, &d, none, NULL));
    ASSERT_EQ(0, otk_adam_step(&a, 0, NULL));
    ASSERT_EQ(0, otk_adam_start(&a, 0, NULL, NULL));
    ASSERT_EQ(before, simt_launches());
    PASS();
}

SUITE(test_launchers)
{
    static const char *const presets[] = {"r1", "r2", "r3"};
    static const int         bits[] = {2, 3, 6, 16};
    char                     suffix[32];
    for (int p = 0; p < 3; p++)
        for (int b = 0; b < 4; b++) {
            snprintf(suffix, sizeof suffix, "%s_%d_bits", presets[p], bits[b]);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(drawn_weights_are_the_cpus, presets[p], bits[b]);
        }
    RUN_TEST1(a_layer_of_zeros_stays_zero, "");
    greatest_set_test_suffix("fp16");
    RUN_TEST1(a_layer_of_zeros_stays_zero, "fp16");
    for (otk_type t = OTK_F32; t <= OTK_F16; t++) {
        static const char *const names[] = {[OTK_F32] = "fp32", [OTK_F16] = "fp16"};
        for (int bytes = 0; bytes < 2; bytes++) {
            snprintf(suffix, sizeof suffix, "%s_%s", bytes ? "bytes" : "floats", names[t]);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(images_are_ot_data_images, bytes, t);
        }
        for (int classes = 2; classes <= 100; classes += 49)
            for (int smooth = 0; smooth < 2; smooth++) {
                snprintf(suffix, sizeof suffix, "%d_%s_%s", classes, smooth ? "smooth" : "plain", names[t]);
                greatest_set_test_suffix(suffix);
                RUN_TESTp(loss_is_the_plans, classes, smooth ? 0.1 : 0.0, t);
            }
    }
    for (int shards = 1; shards <= 3; shards++)
        for (int adam = 0; adam < 2; adam++) {
            snprintf(suffix, sizeof suffix, "%s_%d_shards", adam ? "adam" : "sgd", shards);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(a_step_of_weights_is_the_hosts, adam, shards);
        }
    for (int bytes = 0; bytes < 2; bytes++) {
        greatest_set_test_suffix(bytes ? "bytes" : "floats");
        RUN_TEST1(crops_are_the_hosts, bytes);
    }
    RUN_TEST(statistics_are_unbiased);
    RUN_TESTp(steps_of_knobs_keep_the_rules, 3, -1.0, 0);
    RUN_TESTp(steps_of_knobs_keep_the_rules, 3, 0.0, 1);
    RUN_TESTp(steps_of_knobs_keep_the_rules, 40, 0.9, 1);
    RUN_TESTp(steps_of_knobs_keep_the_rules, 40, -1.0, 1);
    greatest_set_test_suffix("more_knobs_than_lanes");
    RUN_TESTp(steps_of_knobs_keep_the_rules, 40, -1.0, 0);
    RUN_TEST(a_neuron_may_fire_once);
    RUN_TEST(gains_are_thresholds_in_their_unit);
    for (otk_type t = OTK_F32; t <= OTK_F16; t++) {
        greatest_set_test_suffix(t == OTK_F16 ? "fp16" : "fp32");
        RUN_TEST1(sooner_spikes_may_count_more, t);
        greatest_set_test_suffix(t == OTK_F16 ? "fp16" : "fp32");
        RUN_TEST1(latency_is_one_spike_the_brighter_the_sooner, t);
    }
    RUN_TEST(nothing_to_do_is_no_launch);
}

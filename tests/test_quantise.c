/* test_quantise.c - scales, codes, straight-through gradients, weight noise and self-tuning modules, against the golden set and by hand. */
#include "check.h"
#include "chip/draw.h"
#include "nets.h"
#include "quantise/quantise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int five_bits[5] = {2, 3, 4, 6, 8};

static const double *load(ot_array *a, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "selftuning/%s.npy", what);
    return check_load(a, path) ? a->data : NULL;
}

/* ---- scales and codes ---- */

TEST the_scale_is_the_golden_one(const char *set)
{
    ot_array x = {0}, want = {0}, codes = {0};
    char name[64];
    snprintf(name, sizeof name, "quantiser/%s", set);
    const double *v = load(&x, name);
    snprintf(name, sizeof name, "quantiser/%s_scale", set);
    const double *scale = load(&want, name);
    snprintf(name, sizeof name, "quantiser/%s_codes", set);
    const double *code = load(&codes, name);
    ASSERT(v && scale && code);
    const size_t n = (size_t)ot_array_count(&x);
    for (int k = 0; k < 5; k++) {
        double d = NAN, mse = NAN;
        OK(ot_quantise_scale(&d, &mse, v, n, five_bits[k]));
        /* the manifest's for an exact search: both are <x,q>/<q,q> of the same codes */
        CHECK_CLOSE64(&scale[2 * k], &d, 1, 1e-9 * scale[2 * k]);
        CHECK_CLOSE64(&scale[2 * k + 1], &mse, 1, 1e-9 * scale[2 * k + 1]);
        for (size_t i = 0; i < n; i++) ASSERT_EQ((int)code[(size_t)k * n + i] - ot_quantise_codes(five_bits[k]), ot_quantise_code(v[i], scale[2 * k], five_bits[k]));
    }
    ot_array_free(&codes);
    ot_array_free(&want);
    ot_array_free(&x);
    PASS();
}

TEST halves_go_to_the_even_code(void)
{
    ot_array x = {0}, codes = {0};
    const double *v = load(&x, "quantiser/half"), *want = load(&codes, "quantiser/half_codes_k4");
    ASSERT(v && want);
    for (int64_t i = 0; i < ot_array_count(&x); i++) ASSERT_EQ((int)want[i], ot_quantise_code(v[i], 1, 4));
    ASSERT_EQ(0, ot_quantise_code(5, 0, 4));
    ot_array_free(&codes);
    ot_array_free(&x);
    PASS();
}

static double error_at(const double *x, size_t n, double d, int bits)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double e = x[i] - ot_quantise_code(x[i], d, bits) * d;
        sum += e * e;
    }
    return sum / (double)n;
}

/* All codes that any scale gives, one after the other, and the best scale of each: no search, no bound. */
static double least_error(const double *x, size_t n, int bits)
{
    const int codes = ot_quantise_codes(bits);
    double best = error_at(x, n, 0, bits);
    for (size_t k = 0; k < n; k++)
        for (int j = 0; j < codes; j++)
            for (int side = -1; side <= 1; side += 2) {
                double at = fabs(x[k]) / (j + 0.5) * (1 + side * 1e-9), xq = 0, qq = 0;
                if (!(at > 0)) continue;
                for (size_t i = 0; i < n; i++) {
                    double q = ot_quantise_code(x[i], at, bits);
                    xq += x[i] * q;
                    qq += q * q;
                }
                if (qq > 0 && error_at(x, n, xq / qq, bits) < best) best = error_at(x, n, xq / qq, bits);
            }
    return best;
}

/* More than one leaf of the search: heavy tails, many equal numbers, numbers on a grid already. */
TEST no_other_scale_is_better(int kind, int bits)
{
    enum { N = 90 };
    double x[N], d, mse;
    check_rng r = {(uint64_t)(kind * 100 + bits)};
    for (int i = 0; i < N; i++) {
        double u = check_normal(&r);
        x[i] = kind == 0 ? u : kind == 1 ? u * u * u : kind == 2 ? floor(4 * u) / 8 : i % 3 ? 0 : exp(3 * u);
    }
    OK(ot_quantise_scale(&d, &mse, x, N, bits));
    double want = least_error(x, N, bits);
    /* a few hundred products and sums on either side, of a size of at most max^2 */
    double eps = 1e-12 * check_max_f64(x, N) * check_max_f64(x, N);
    CHECK_CLOSE64(&want, &mse, 1, eps);
    double own = error_at(x, N, d, bits);
    CHECK_CLOSE64(&own, &mse, 1, eps);
    PASS();
}

/* Many more breakpoints than a leaf holds; beside the best of a fine grid with its neighbourhood. */
TEST a_large_layer_is_searched_in_full(int bits)
{
    enum { N = 20000 };
    double *x = malloc(N * sizeof *x), d, mse, best = INFINITY;
    float *f = malloc(N * sizeof *f);
    check_rng r = {(uint64_t)bits};
    for (int i = 0; i < N; i++) f[i] = (float)check_normal(&r), x[i] = (double)f[i];
    OK(ot_quantise_scale(&d, &mse, x, N, bits));
    for (int i = 1; i <= 400; i++) {
        double at = check_max_f64(x, N) / ot_quantise_codes(bits) * i / 400, e = error_at(x, N, at, bits);
        best = e < best ? e : best;
    }
    ASSERT(mse <= best);
    double own = error_at(x, N, d, bits);
    CHECK_CLOSE64(&own, &mse, 1, 1e-12);
    /* methods.md 6.2: N(0,1) with 200,000 numbers; a sample of 20,000 has sd 1 / sqrt(2 N) = 0.5 % in its scale, the tail more */
    const double normal[9] = {0, 0, 1.2211, .6495, .3530, 0, .1053, 0, .0309};
    ASSERT_IN_RANGE(normal[bits], d, 0.03 * normal[bits]);
    double same;
    OK(ot__quantise_scale_f32(&same, f, N, bits));
    ASSERT_EQ(d, same);
    free(f);
    free(x);
    PASS();
}

TEST simple_numbers_have_their_scale(void)
{
    double d = NAN, mse = NAN;
    OK(ot_quantise_scale(&d, &mse, (double[]){0, 0, 0}, 3, 4));
    ASSERT(d == 0 && mse == 0);
    OK(ot_quantise_scale(&d, &mse, NULL, 0, 4));
    ASSERT(d == 0 && mse == 0);
    OK(ot_quantise_scale(&d, &mse, (double[]){-3}, 1, 2));
    ASSERT_IN_RANGE(3, d, 1e-12);
    OK(ot_quantise_scale(&d, &mse, (double[]){2, -2, 2, 0}, 4, 2));
    ASSERT_IN_RANGE(2, d, 1e-12);
    ASSERT_IN_RANGE(0, mse, 1e-13);
    OK(ot_quantise_scale(&d, &mse, (double[]){1e-20, 3e-20, -7e-20}, 3, 4));
    ASSERT_IN_RANGE(1e-20, d, 1e-30);
    PASS();
}

/* ---- gradients ---- */

typedef struct layer_case { ot_array x, eps, v, target; ot__weight_way way; float u[240], slope[240]; double y[72], dy[72]; } layer_case;

/* The golden layer's weights as they act, with the golden noise, and its outputs and their derivatives. */
static int open_layer(layer_case *c, ot_noise_model model, ot_ste ste)
{
    float x[240], eps[240];
    memset(c, 0, sizeof *c);
    if (!load(&c->x, "gradients/x") || !load(&c->eps, "gradients/eps") || !load(&c->v, "gradients/v") || !load(&c->target, "gradients/target")) return 0;
    c->way = (ot__weight_way){.bits = 3, .scale = 0.7178534900313724, .ste = ste, .model = model, .within = 1};
    for (int i = 0; i < 240; i++) x[i] = (float)((double *)c->x.data)[i], eps[i] = (float)((double *)c->eps.data)[i];
    c->way.w_max = ot__weight_most(x, 240, 3, c->way.scale);
    ot__weight_way quiet = c->way;
    quiet.within = 0;
    ot__weight_go(c->u, c->slope, x, 0, 240, &quiet);
    ot__noise_add(c->u, c->slope, eps, 240, &c->way);
    for (int b = 0; b < 6; b++)
        for (int o = 0; o < 12; o++) {
            double y = 0;
            for (int i = 0; i < 20; i++) y += ((double *)c->v.data)[b * 20 + i] * (double)c->u[o * 20 + i];
            c->y[b * 12 + o] = y;
            c->dy[b * 12 + o] = 2.0 / 72 * (y - ((double *)c->target.data)[b * 12 + o]);
        }
    return 1;
}

static void close_layer(layer_case *c)
{
    ot_array_free(&c->x);
    ot_array_free(&c->eps);
    ot_array_free(&c->v);
    ot_array_free(&c->target);
}

TEST weights_and_gradients_are_the_golden_ones(ot_noise_model model, ot_ste ste)
{
    static const char *const stes[] = {"clipped_round", "identity", "clipped"};
    layer_case c;
    ot_array y = {0}, grad = {0};
    char name[64];
    double got[240];
    ASSERT(open_layer(&c, model, ste));
    ASSERT_IN_RANGE(2.153560470094117, c.way.w_max, 1e-6);
    snprintf(name, sizeof name, "gradients/y_%s", ot_noise_model_name(model));
    ASSERT(load(&y, name));
    CHECK_CLOSE64((double *)y.data, c.y, 72, 1e-5 * check_max_f64(y.data, 72));      /* float32: the manifest's */
    snprintf(name, sizeof name, "gradients/grad_x_%s_%s", ot_noise_model_name(model), stes[ste]);
    ASSERT(load(&grad, name));
    for (int o = 0; o < 12; o++)
        for (int i = 0; i < 20; i++) {
            double g = 0;
            for (int b = 0; b < 6; b++) g += c.dy[b * 12 + o] * ((double *)c.v.data)[b * 20 + i];
            got[o * 20 + i] = g * (double)c.slope[o * 20 + i];
        }
    CHECK_CLOSE64((double *)grad.data, got, 240, 1e-5 * check_max_f64(grad.data, 240));
    ot_array_free(&grad);
    ot_array_free(&y);
    close_layer(&c);
    PASS();
}

TEST ranges_of_activations_are_the_golden_ones(void)
{
    ot_array x = {0}, range = {0}, codes = {0};
    const double *v = load(&x, "activations/x"), *want = load(&range, "activations/range"), *code = load(&codes, "activations/codes");
    ASSERT(v && want && code);
    for (int m = 0; m < 2; m++) {
        double got[20], r = 0;
        for (int b = 0; b < 20; b++) got[b] = r = ot__range_next(r, check_max_f64(v + b * 40, 40), b, m ? 0.99 : 0.9);
        CHECK_CLOSE64(want + m * 20, got, 20, 1e-13 * check_max_f64(want, 40));
        for (int k = 0; k < 5 && m == 0; k++)
            for (int i = 0; i < 40; i++) ASSERT_EQ((int)code[k * 40 + i], ot_quantise_code(v[19 * 40 + i], r / ot_quantise_codes(five_bits[k]), five_bits[k]));
    }
    ot_array_free(&codes);
    ot_array_free(&range);
    ot_array_free(&x);
    PASS();
}

/* ---- noise ---- */

TEST all_builds_give_the_same_normals(void)
{
    static const size_t sizes[] = {0, 1, 3, 4, 5, 127, 128, 129, 255, 256, 300};
    const ot_draw_key key = {.seed = 0x123456789abcdefu, .layer = 3, .chip = 4000000000u};
    ot__draw_variant v[OT_DRAW_VARIANTS];
    float want[304], got[304];
    for (uint32_t g = 0; g < 76; g++) {
        uint32_t w[4];
        ot_philox(&w[0], &w[1], &w[2], &w[3], key.seed, 1000 + g, key.layer, key.chip, OT_PURPOSE_NOISE);
        ot_normal_pair(&want[4 * g], &want[4 * g + 1], w[0], w[1]);
        ot_normal_pair(&want[4 * g + 2], &want[4 * g + 3], w[2], w[3]);
    }
    for (int k = ot__draw_variants(v) - 1; k >= 0; k--)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes && v[k].usable; s++) {
            check_poison(got, 304);
            v[k].normals(got, sizes[s], 1000, key, OT_PURPOSE_NOISE);
            ASSERT_MEM_EQ(want, got, sizes[s] * sizeof *got);
            for (size_t i = sizes[s]; i < 304; i++) ASSERT(isnan(got[i]));
        }
    PASS();
}

/* A layer done whole, in parts, in place: the same bits, whatever is quantised and noisy. */
TEST parts_of_a_layer_are_the_whole(int bits, ot_noise_model model)
{
    enum { N = 2 * OT__WAY_CHUNK + 37 };
    float *w = malloc(N * sizeof *w), *whole = malloc(N * sizeof *w), *slope = malloc(N * sizeof *w), *part = malloc(N * sizeof *w), *tilt = malloc(N * sizeof *w);
    check_rng r = {5};
    check_fill_normal(&r, w, N, 0.3);
    ot__weight_way way = {.bits = bits, .scale = 0.11, .ste = OT_STE_CLIPPED, .model = model, .within = 0.2, .between = -0.1, .seed = 9, .layer = 2, .sample = 77, .purpose = OT_PURPOSE_TRAIN_NOISE};
    way.w_max = ot__weight_most(w, N, bits, way.scale);
    check_poison(whole, N), check_poison(slope, N), check_poison(part, N), check_poison(tilt, N);
    ot__weight_go(whole, slope, w, 0, N, &way);
    for (size_t at = 0, n; at < N; at += n) {
        n = N - at < 1000 ? N - at : 1000;
        ot__weight_go(part + at, tilt + at, w + at, at, n, &way);
    }
    ASSERT_MEM_EQ(whole, part, N * sizeof *w);
    ASSERT_MEM_EQ(slope, tilt, N * sizeof *w);
    ot__weight_go(w, NULL, w, 0, N, &way);
    ASSERT_MEM_EQ(whole, w, N * sizeof *w);
    free(tilt), free(part), free(slope), free(whole), free(w);
    PASS();
}

/* Mean and sd of a noisy layer's relative changes are eps_B and sigma_W: 5 of their own standard deviations. */
TEST noise_has_the_spread_asked_for(ot_noise_model model)
{
    check_rng r = {1};
    ot_network *net, *chip;
    OK(ot_network_new(&net, "dense", 100, 1, 1));
    net_dense(net, &r, 0, 200);
    OK(ot_network_copy(&chip, net));
    const float *w = ot_network_crossbar(net, 0)->weight, *got = ot_network_crossbar(chip, 0)->weight;
    const double most = ot__weight_most(w, 20000, 0, 0);
    ot_noise noise = {.model = model, .within = 0.3, .between = 0.2, .seed = 11};
    double common = 0, common2 = 0;
    for (uint32_t c = 0; c < 8; c++) {
        double between = NAN, estimate = NAN, sum = 0, squares = 0;
        OK(ot_noise_apply(chip, net, &noise, NULL, c, &between, &estimate));
        ASSERT_EQ(0, estimate);
        ASSERT_EQ(between, ot_noise_between(&noise, c));
        for (int i = 0; i < 20000; i++) {
            double eps = ((double)got[i] - (double)w[i]) / (model == OT_NOISE_FIXED ? most : (double)w[i]) - between;
            sum += eps, squares += eps * eps;
        }
        ASSERT_IN_RANGE(0, sum / 20000, 5 * 0.3 / sqrt(20000));
        ASSERT_IN_RANGE(0.3, sqrt(squares / 20000), 5 * 0.3 / sqrt(40000));
    }
    for (uint32_t c = 0; c < 4000; c++) {
        double b = ot_noise_between(&noise, c);
        common += b, common2 += b * b;
    }
    ASSERT_IN_RANGE(0, common / 4000, 5 * 0.2 / sqrt(4000));
    ASSERT_IN_RANGE(0.2, sqrt(common2 / 4000), 5 * 0.2 / sqrt(8000));
    ot_network_free(chip);
    ot_network_free(net);
    PASS();
}

TEST training_never_sees_a_chip_that_is_measured(void)
{
    float a[8], b[8];
    ot__noise_normals(a, 0, 8, 1, 0, 5, OT_PURPOSE_NOISE);
    ot__noise_normals(b, 0, 8, 1, 0, 5, OT_PURPOSE_TRAIN_NOISE);
    for (int i = 0; i < 8; i++) ASSERT(a[i] < b[i] || a[i] > b[i]);
    PASS();
}

/* ---- self-tuning ---- */

enum { O = 12, I = 20, B = 5, CELLS = 200 };

typedef struct corrections { ot_array w, x, eps_B, eps_G, eps_W, eps_L, est; } corrections;
static const double *of(const ot_array *a) { return a->data; }

static int open_corrections(corrections *c)
{
    memset(c, 0, sizeof *c);
    return load(&c->w, "corrections/w") && load(&c->x, "corrections/activation") && load(&c->eps_B, "corrections/eps_B") && load(&c->eps_G, "corrections/eps_G") &&
           load(&c->eps_W, "corrections/eps_W") && load(&c->eps_L, "corrections/eps_L") && load(&c->est, "corrections/est");
}

static void close_corrections(corrections *c)
{
    ot_array *all[] = {&c->w, &c->x, &c->eps_B, &c->eps_G, &c->eps_W, &c->eps_L, &c->est};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ot_array_free(all[i]);
}

static void outputs(double *y, const float *w, const double *x)
{
    for (int b = 0; b < B; b++)
        for (int o = 0; o < O; o++) {
            y[b * O + o] = 0;
            for (int i = 0; i < I; i++) y[b * O + o] += (double)w[o * I + i] * x[b * I + i];
        }
}

/* The golden chip's weights with its own noise. */
static void noisy(const corrections *c, int chip, ot_noise_model model, float *w, ot__weight_way *way)
{
    float eps[O * I];
    for (int i = 0; i < O * I; i++) w[i] = (float)of(&c->w)[i], eps[i] = (float)of(&c->eps_W)[chip * O * I + i];
    *way = (ot__weight_way){.model = model, .within = 1, .between = of(&c->eps_B)[chip], .w_max = 2.680553071872917};
    ot__noise_add(w, NULL, eps, O * I, way);
}

TEST the_global_module_corrects_as_the_golden_one(void)
{
    corrections c;
    ot_array noisy_y = {0}, want = {0};
    ASSERT(open_corrections(&c) && load(&noisy_y, "corrections/y_proportional") && load(&want, "corrections/corrected_proportional"));
    for (int chip = 0; chip < 4; chip++) {
        ot__weight_way way;
        float w[O * I], g[CELLS];
        double y[B * O], est;
        for (int i = 0; i < CELLS; i++) g[i] = (float)of(&c.eps_G)[chip * CELLS + i];
        est = ot__gtm_estimate(of(&c.eps_B)[chip], 1, g, CELLS);
        CHECK_CLOSE64(of(&c.est) + chip, &est, 1, 1e-7);                /* eps_G rounded to float */
        noisy(&c, chip, OT_NOISE_PROPORTIONAL, w, &way);
        outputs(y, w, of(&c.x));
        CHECK_CLOSE64(of(&noisy_y) + chip * B * O, y, B * O, 1e-5 * check_max_f64(of(&noisy_y) + chip * B * O, B * O));
        const double gain = ot_self_tuning_gain(&(ot_self_tuning){0}, of(&c.est)[chip]);
        for (int i = 0; i < B * O; i++) y[i] *= gain;
        CHECK_CLOSE64(of(&want) + chip * B * O, y, B * O, 1e-5 * check_max_f64(of(&want) + chip * B * O, B * O));
    }
    ot_array_free(&want);
    ot_array_free(&noisy_y);
    close_corrections(&c);
    PASS();
}

/* The correction folded into the weights is the correction of the outputs.  The last chip's estimate is near -1: there the golden set
 * divides by almost nothing and ours is held, so only the first three are the same. */
TEST the_layer_module_corrects_as_the_golden_one(int which)
{
    corrections c;
    ot_array want = {0};
    const int m = which ? 4 : 1;
    ASSERT(open_corrections(&c) && load(&want, "corrections/corrected_fixed"));
    ot_layer layer = {.c = O, .in_c = I, .groups = 1, .kh = 1, .kw = 1};
    for (int chip = 0; chip < 4; chip++) {
        ot__weight_way way;
        float w[O * I], column[I], eps[I];
        double y[B * O], mean[I] = {0}, share;
        noisy(&c, chip, OT_NOISE_FIXED, w, &way);
        for (int k = 0; k < m; k++) {
            for (int i = 0; i < I; i++) column[i] = (float)way.w_max, eps[i] = (float)of(&c.eps_L)[(chip * 4 + k) * I + i];
            ot__noise_add(column, NULL, eps, I, &way);
            for (int i = 0; i < I; i++) mean[i] += (double)column[i] / m;
        }
        share = ot_self_tuning_share(&(ot_self_tuning){0}, of(&c.est)[chip], way.w_max, way.w_max);
        if (chip == 3) {
            ASSERT_IN_RANGE(of(&c.est)[chip] / 0.1, share, 1e-12);
            break;
        }
        ot__ltm_subtract(w, &layer, mean, share);
        outputs(y, w, of(&c.x));
        const double *golden = of(&want) + (chip * 2 + which) * B * O;
        CHECK_CLOSE64(golden, y, B * O, 1e-5 * check_max_f64(golden, B * O));
    }
    ot_array_free(&want);
    close_corrections(&c);
    PASS();
}

/* Without noise within chips the right module gives the ideal network back, the wrong one does not. */
TEST modules_undo_what_a_chip_has_in_common(ot_noise_model model)
{
    ot_network *net = net_everything(3, 0), *chip;
    OK(ot_network_copy(&chip, net));
    ot_noise noise = {.model = model, .between = 0.35, .seed = 4};
    const ot_self_tuning right = {.gtm_cells = 1, .ltm_columns = model == OT_NOISE_FIXED}, wrong = {.gtm_cells = 1, .ltm_columns = model != OT_NOISE_FIXED};
    for (uint32_t number = 0; number < 3; number++) {
        double between, estimate;
        OK(ot_noise_apply(chip, net, &noise, &right, number, &between, &estimate));
        ASSERT_EQ(between, estimate);
        ASSERT(fabs(between) > 0.01 && between > -0.9);
        for (int k = 0; k < ot_network_crossbars(net); k++) {
            const ot_layer *a = ot_network_crossbar(net, k), *b = ot_network_crossbar(chip, k);
            /* each weight rounded to float twice at the size of w_max (1 + eps_B) */
            CHECK_CLOSE(a->weight, b->weight, ot_layer_weights(a), 4e-7 * check_max_f32(a->weight, ot_layer_weights(a)));
        }
        OK(ot_noise_apply(chip, net, &noise, &wrong, number, NULL, NULL));
        const ot_layer *a = ot_network_crossbar(net, 0), *b = ot_network_crossbar(chip, 0);
        double far = 0;
        for (size_t i = 0; i < ot_layer_weights(a); i++) far = fmax(far, fabs((double)a->weight[i] - (double)b->weight[i]));
        ASSERT(far > 0.01 * check_max_f32(a->weight, ot_layer_weights(a)));
    }
    ot_network_free(chip);
    ot_network_free(net);
    PASS();
}

/* Depthwise layers have a column a group: places of different groups get different corrections. */
TEST a_group_has_a_column_of_its_own(void)
{
    ot_layer l = {.c = 4, .in_c = 4, .groups = 2, .kh = 1, .kw = 1, .crossbar = 0};
    float w[8] = {0};
    ot__ltm_subtract(w, &l, (double[]){1, 2, 3, 4}, -1);
    const float want[8] = {1, 2, 1, 2, 3, 4, 3, 4};
    ASSERT_MEM_EQ(want, w, sizeof w);
    PASS();
}

TEST estimates_get_better_with_cells(void)
{
    check_rng r = {8};
    ot_network *net, *chip;
    OK(ot_network_new(&net, "dense", 4, 1, 1));
    net_dense(net, &r, 0, 2);
    OK(ot_network_copy(&chip, net));
    ot_noise noise = {.model = OT_NOISE_PROPORTIONAL, .within = 0.35, .between = 0.35, .seed = 2};
    for (int cells = 10; cells <= 1000; cells *= 10) {
        ot_self_tuning st = {.gtm_cells = cells};
        double squares = 0;
        for (uint32_t c = 0; c < 400; c++) {
            double between, estimate;
            OK(ot_noise_apply(chip, net, &noise, &st, c, &between, &estimate));
            squares += (estimate - between) * (estimate - between);
        }
        double want = 0.35 / sqrt(cells);
        ASSERT_IN_RANGE(want, sqrt(squares / 400), 5 * want / sqrt(800));
    }
    ot_network_free(chip);
    ot_network_free(net);
    PASS();
}

/* Two columns on (conv 3x3, 2 -> 3 channels, 4 x 4 out) and (dense 48 -> 5): 18 and 48 cells each, the first at 16 places. */
TEST modules_say_what_they_cost(void)
{
    check_rng r = {8};
    ot_network *net;
    ot_self_tuning_cost cost;
    ot_self_tuning st = {.gtm_cells = 1000, .ltm_columns = 2};
    OK(ot_network_new(&net, "small", 2, 4, 4));
    int at = net_conv(net, &r, 0, 3, 3, 1, 1, 1, 0);
    net_dense(net, &r, net_flatten(net, at), 5);
    OK(ot_self_tuning_measure(&cost, &st, net));
    ASSERT_EQ(16 * 54 + 240, cost.macs);
    ASSERT_EQ(2 * (16 * 18 + 48), cost.macs_ltm);
    ASSERT_EQ(54 + 240, cost.weights);
    ASSERT_EQ(2 * (18 + 48), cost.weights_ltm);
    ASSERT(cost.macs_gtm == 1000 && cost.weights_gtm == 1000);
    ot_network_free(net);
    PASS();
}

/* ---- networks, bad input, memory ---- */

TEST a_network_of_few_bits_has_few_values(void)
{
    ot_network *net = net_everything(6, 0), *twin;
    OK(ot_network_copy(&twin, net));
    double scale[32], alone;
    OK(ot_quantise_weights(twin, 3, scale));
    for (int k = 0; k < ot_network_crossbars(net); k++) {
        const ot_layer *a = ot_network_crossbar(net, k), *b = ot_network_crossbar(twin, k);
        OK(ot__quantise_scale_f32(&alone, a->weight, ot_layer_weights(a), 3));
        ASSERT_EQ(alone, scale[k]);
        for (size_t i = 0; i < ot_layer_weights(a); i++) ASSERT_EQ((float)(ot_quantise_code((double)a->weight[i], alone, 3) * alone), b->weight[i]);
    }
    ot_network_free(twin);
    ot_network_free(net);
    PASS();
}

TEST settings_out_of_range_say_so(void)
{
    double d;
    ot_network *net = net_everything(1, 0), *other, *bare;
    check_rng r = {1};
    FAILS(OT_E_RANGE, "weight bits = 1, want 2..8", ot_quantise_check_bits(1, "weight bits"));
    FAILS(OT_E_RANGE, "bits = 9, want 2..8", ot_quantise_scale(&d, NULL, (double[]){1}, 1, 9));
    FAILS(OT_E_RANGE, "weight bits = 0, want 2..8", ot_quantise_weights(net, 0, NULL));
    FAILS(OT_E_DATA, "number 1 = nan", ot_quantise_scale(&d, NULL, (double[]){1, NAN}, 2, 4));
    FAILS(OT_E_DATA, "number 0 = -inf", ot_quantise_scale(&d, NULL, (double[]){-INFINITY, 1}, 2, 4));
    FAILS(OT_E_DATA, "number 1 = inf", ot__quantise_scale_f32(&d, (float[]){1, INFINITY}, 2, 4));
    ot_noise noise = {.within = -0.1};
    FAILS(OT_E_RANGE, "sigma within chips = -0.1, want 0..1", ot_noise_apply(net, net, &noise, NULL, 0, NULL, NULL));
    noise = (ot_noise){.between = NAN};
    FAILS(OT_E_RANGE, "sigma between chips = nan", ot_noise_check(&noise));
    noise = (ot_noise){.model = (ot_noise_model)2};
    FAILS(OT_E_RANGE, "noise model = 2", ot_noise_check(&noise));
    noise = (ot_noise){.within = 0.1};
    OK(ot_network_new(&bare, "bare", 1, 2, 2));
    FAILS(OT_E_UNSUPPORTED, "network 'bare' has no convolution or dense layer", ot_noise_apply(bare, bare, &noise, &(ot_self_tuning){.gtm_cells = 9}, 0, NULL, NULL));
    FAILS(OT_E_RANGE, "0 cells in the global module, want 1..100000000 (the layers' modules need its estimate)",
          ot_noise_apply(net, net, &noise, &(ot_self_tuning){.ltm_columns = 1}, 0, NULL, NULL));
    FAILS(OT_E_RANGE, "-1 columns", ot_self_tuning_check(&(ot_self_tuning){.gtm_cells = 1, .ltm_columns = -1}, net));
    FAILS(OT_E_RANGE, "least 1 + estimate = 2", ot_self_tuning_check(&(ot_self_tuning){.gtm_cells = 1, .least = 2}, net));
    OK(ot_network_new(&other, "other", 4, 1, 1));
    net_dense(other, &r, 0, 2);
    FAILS(OT_E_SHAPE, "1 crossbar layers in the copy", ot_noise_apply(other, net, &noise, NULL, 0, NULL, NULL));
    ot_network_free(other);
    ot_network_free(bare);
    OK(ot_network_new(&bare, "other", 4, 1, 1));
    OK(ot_network_new(&other, "other", 3, 1, 1));
    net_dense(bare, &r, 0, 2), net_dense(other, &r, 0, 2);
    FAILS(OT_E_SHAPE, "layer 0 has 6 weights in the copy, 8 in the network", ot_noise_apply(other, bare, &noise, NULL, 0, NULL, NULL));
    ot_network_free(other);
    ot_network_free(bare);
    ot_network_free(net);
    PASS();
}

TEST every_failed_allocation_is_reported_and_nothing_leaks(void)
{
    ot_network *net = net_everything(2, 0), *chip;
    OK(ot_network_copy(&chip, net));
    const ot_noise noise = {.model = OT_NOISE_FIXED, .within = 0.1, .between = 0.1, .seed = 1};
    const ot_self_tuning tuning = {.gtm_cells = 10, .ltm_columns = 2};
    for (size_t n = 1;; n++) {
        size_t live = ot_memory_now().live;
        double d;
        ot_memory_fail_at(n);
        ot_status st = ot_quantise_scale(&d, NULL, (double[]){1, 2}, 2, 4);
        if (st == OT_OK) st = ot_quantise_weights(chip, 4, NULL);
        if (st == OT_OK) st = ot_noise_apply(chip, net, &noise, &tuning, 1, NULL, NULL);
        ot_memory_fail_at(0);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) {
            ASSERT(n > 20);
            break;
        }
        ASSERT_EQ(OT_E_NOMEM, st);
    }
    ot_network_free(chip);
    ot_network_free(net);
    PASS();
}

SUITE(test_quantise)
{
    static const char *const sets[] = {"normal", "uniform", "laplace", "sparse", "few"};
    for (int i = 0; i < 5; i++) {
        greatest_set_test_suffix(sets[i]);
        RUN_TESTp(the_scale_is_the_golden_one, sets[i]);
    }
    RUN_TEST(halves_go_to_the_even_code);
    for (int kind = 0; kind < 4; kind++)
        for (int bits = 2; bits <= 8; bits += 2) RUN_TESTp(no_other_scale_is_better, kind, bits);
    for (int bits = 2; bits <= 8; bits += 2) RUN_TESTp(a_large_layer_is_searched_in_full, bits);
    RUN_TEST(simple_numbers_have_their_scale);
    for (int m = 0; m < OT_NOISE_MODELS; m++)
        for (int s = 0; s < OT_STES; s++) RUN_TESTp(weights_and_gradients_are_the_golden_ones, (ot_noise_model)m, (ot_ste)s);
    RUN_TEST(ranges_of_activations_are_the_golden_ones);
    RUN_TEST(all_builds_give_the_same_normals);
    for (int m = 0; m < OT_NOISE_MODELS; m++) {
        RUN_TESTp(parts_of_a_layer_are_the_whole, 0, (ot_noise_model)m);
        RUN_TESTp(parts_of_a_layer_are_the_whole, 4, (ot_noise_model)m);
        RUN_TESTp(noise_has_the_spread_asked_for, (ot_noise_model)m);
        RUN_TESTp(modules_undo_what_a_chip_has_in_common, (ot_noise_model)m);
    }
    RUN_TEST(training_never_sees_a_chip_that_is_measured);
    RUN_TEST(the_global_module_corrects_as_the_golden_one);
    RUN_TESTp(the_layer_module_corrects_as_the_golden_one, 0);
    RUN_TESTp(the_layer_module_corrects_as_the_golden_one, 1);
    RUN_TEST(a_group_has_a_column_of_its_own);
    RUN_TEST(estimates_get_better_with_cells);
    RUN_TEST(modules_say_what_they_cost);
    RUN_TEST(a_network_of_few_bits_has_few_values);
    RUN_TEST(settings_out_of_range_say_so);
    RUN_TEST(every_failed_allocation_is_reported_and_nothing_leaks);
}

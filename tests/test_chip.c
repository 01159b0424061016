/* test_chip.c - drawing: the loop's bits, the statistics against theory, chips as objects. */
#include "check.h"
#include "chip/draw.h"
#include "chip/map.h"

/* Device of the golden case chipstat/weights (its manifest). */
static ot_device golden_device(void)
{
    ot_device d = {.name = "golden", .g = {5.7992146e-05, 8.1856972e-07}, .n_poly = {6, 8}, .domain = 0.25,
                   .poly = {{1, 0.62187439, 0.0426885, -0.00947134, -0.00417215, 0.00498616},
                            {1, -1.91047211, 2.38770771, -2.45577617, 1.82429626, -0.30227418, -0.7219633, 0.40070862}},
                   .g_min = 2.981028175024701e-07, .g_max = 0.00010016384873033965, .s = {2.49, -7.67}, .valid_min = -0.25};
    return d;
}

/* The golden device with more terms than the short loop takes: 16 in all, the later ones small. */
static ot_device long_device(void)
{
    ot_device d = golden_device();
    for (int s = 0; s < 2; s++)
        for (; d.n_poly[s] < OT_DEVICE_MAX_POLY; d.n_poly[s]++) d.poly[s][d.n_poly[s]] = (d.n_poly[s] % 2 ? 1e-3 : -1e-3) / d.n_poly[s];
    return d;
}

/* Numbers that are the same on every machine: no libm in their making. */
static void fill(check_rng *r, float *w, size_t n, float most)
{
    for (size_t i = 0; i < n; i++) w[i] = most * (float)(2 * check_uniform(r) - 1);
}

static int32_t any_magnitude(check_rng *r, int bits)
{
    int32_t most = (1 << bits) - 1, m = (int32_t)(check_uniform(r) * (most + 1));
    return check_uniform(r) < 0.5 ? -m : m;
}

/* ---- the loop ---- */

/* Every build of the loop gives the readable version's bits: all B, sizes around the pair, the vector and the block, 8 and 16
 * terms, bounds that bite; nothing is written past the end. */
TEST all_loops_draw_the_same_bits(int bits)
{
    static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 200};
    ot__draw_variant v[OT_DRAW_VARIANTS];
    int n_variants = ot__draw_variants(v), used = 0;
    check_rng r = {(uint64_t)bits};
    for (int long_one = 0; long_one < 2; long_one++) {
        ot_device dev = long_one ? long_device() : golden_device();
        ot_cell_map map;
        ot__cell_map_make(&map, &dev, long_one ? -0.2 : 0.05, 0.048);              /* 0.05 + 0.048 z: clamp, and clip of HRS, bite */
        ASSERT_EQ(long_one ? 16 : 8, map.n_terms[OT_HRS]);
        ot_draw_key key = {.seed = 0xfedcba9876543210u, .layer = 5, .chip = 4294967295u};
        int32_t q[200];
        float want[200], got[202];
        for (size_t i = 0; i < 200; i++) q[i] = any_magnitude(&r, bits);
        q[0] = 0, q[1] = (1 << bits) - 1, q[2] = -q[1];
        for (size_t i = 0; i < 200; i++) want[i] = ot_draw_weight(&map, key, bits, i, q[i], 0.37 / ((1 << bits) - 1));
        for (int k = 0; k < n_variants; k++) {
            if (!v[k].usable) continue;
            used++;
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                check_poison(got, 202);
                v[k].fn(got + 1, q, sizes[s], &map, key, bits, 0.37 / ((1 << bits) - 1));
                ASSERT(isnan(got[0]) && isnan(got[sizes[s] + 1]));
                ASSERTm(v[k].name, !memcmp(want, got + 1, sizes[s] * sizeof *want));
            }
        }
    }
    ASSERT_GTE(used, 2);
    PASS();
}

/* X of the map against the device's own double formula, on a grid of z, for chips inside, at the edge of and beyond the domain.
 * Each coefficient and Horner step rounds once, 6e-8 of terms that add up to a few (golden device; worst seen 2.4e-7); to some
 * hundreds with 16 terms shifted to the end of the domain (1.1e-5). */
TEST maps_follow_the_device(void)
{
    static const double sys[] = {0, 0.03, -0.03, 0.12, -0.12, 0.2499, -0.26, 0.3, -0.5}, rnd[] = {0, 1e-12, 1e-3, 0.034, 0.08};
    for (int which = 0; which < 2; which++) {
        ot_device dev = which ? long_device() : golden_device();
        double d = dev.g[OT_LRS] - dev.g[OT_HRS];
        for (size_t i = 0; i < sizeof sys / sizeof *sys; i++)
            for (size_t j = 0; j < sizeof rnd / sizeof *rnd; j++) {
                ot_cell_map map;
                ot__cell_map_make(&map, &dev, sys[i], rnd[j]);
                for (float z = -6.75f; z <= 6.75f; z += 0.125f)
                    for (int s = OT_LRS; s <= OT_HRS; s++) {
                        double want = (ot_device_conductance(&dev, (ot_state)s, sys[i] + rnd[j] * (double)z) - dev.g[OT_HRS]) / d;
                        float held = ot_cell_z(z, &map);
                        float got = ot_clip(ot_cell_poly(map.c[s], OT_MAP_TERMS, held), map.x_min, map.x_max);
                        ASSERT_IN_RANGE(want, (double)got, which ? 2e-5 : 5e-7);
                    }
            }
    }
    PASS();
}

TEST without_variation_cells_are_exactly_0_and_1(void)
{
    ot_device dev = golden_device();
    ot_cell_map map;
    ot__cell_map_make(&map, &dev, 0, 0);
    ASSERT_EQ(1, map.n_terms[OT_LRS]);
    ASSERT_EQ(1, map.n_terms[OT_HRS]);
    ASSERT_EQ(1.0f, map.c[OT_LRS][0]);
    ASSERT_EQ(0.0f, map.c[OT_HRS][0]);
    PASS();
}

/* ---- stuck cells ---- */

/* One dense layer of n weights, alternating large and small. */
static ot_network *row_of_weights(int n)
{
    ot_network *net;
    int index;
    if (ot_network_new(&net, "row", n, 1, 1) != OT_OK) return NULL;
    ot_layer l = {.op = OT_OP_DENSE, .name = "row", .in = {0, -1}, .c = 1, .groups = 1};
    if (ot_network_add(net, &l, &index) != OT_OK) return NULL;
    for (int i = 0; i < n; i++) ot_network_weights(net, index)[i] = (float)(i % 2 ? -1.0 : 1.0) * (float)(1 + i % 7) / 7.0f;
    return net;
}

TEST stuck_cells_are_as_many_as_asked_for(void)
{
    enum { N = 4000 };
    ot_network *net = row_of_weights(N);
    ot_device dev = golden_device();
    ot_variation var = OT_VARIATION_INIT;
    ot_chip *none, *zero, *all, *some;
    var.sigma = 0;
    OK(ot_chip_draw(&none, net, &dev, &var, 3));
    var.stuck_hrs = 1;
    OK(ot_chip_draw(&all, net, &dev, &var, 3));
    for (int i = 0; i < N; i++) ASSERT_EQ(0.0f, ot_chip_weights(all, 0)[i]);          /* both arrays full of HRS */
    ot_chip_free(all);
    var.stuck_hrs = 0, var.stuck_lrs = 1;
    OK(ot_chip_draw(&all, net, &dev, &var, 3));
    for (int i = 0; i < N; i++) ASSERT_EQ(0.0f, ot_chip_weights(all, 0)[i]);
    var.stuck_lrs = 1e-12;                                       /* the faulty loop, but no cell is */
    OK(ot_chip_draw(&zero, net, &dev, &var, 3));
    ASSERT_MEM_EQ(ot_chip_weights(none, 0), ot_chip_weights(zero, 0), N * sizeof(float));
    /* Each bit of the difference is a stuck cell: of 16 bits x 2 arrays, with sigma = 0 a stuck LRS cell adds 2^j steps to its array
     * unless it was in LRS.  Count changed weights: 1 - (1 - p)^(cells that would change). */
    var.stuck_lrs = 0.002;
    OK(ot_chip_draw(&some, net, &dev, &var, 3));
    double want = 0, changed = 0, variance = 0;
    for (int i = 0; i < N; i++) {
        double m = rint(fabs((double)ot_chip_weights(none, 0)[i]) * 65535), cells = 32 - __builtin_popcount((unsigned)m), p = 1 - pow(1 - 0.002, cells);
        want += p, variance += p * (1 - p);
        changed += ot_chip_weights(some, 0)[i] != ot_chip_weights(none, 0)[i];
    }
    ASSERT_IN_RANGE(want, changed, 4 * sqrt(variance));
    var.stuck_lrs = 0.6, var.stuck_hrs = 0.5;
    FAILS(OT_E_RANGE, "stuck_lrs = 0.6", ot_variation_check(&var));
    var.stuck_lrs = NAN;
    FAILS(OT_E_RANGE, "stuck_lrs = nan", ot_variation_check(&var));
    ot_chip_free(none), ot_chip_free(zero), ot_chip_free(all), ot_chip_free(some);
    ot_network_free(net);
    PASS();
}

TEST a_faulty_loop_without_faults_draws_the_same_bits(void)
{
    ot_network *net = row_of_weights(300);
    ot_device dev = golden_device();
    ot_variation var = OT_VARIATION_INIT;
    ot_chip *a, *b;
    for (int bits = 2; bits <= 16; bits += 7) {
        var.bits = bits, var.stuck_hrs = 0;
        OK(ot_chip_draw(&a, net, &dev, &var, 9));
        var.stuck_hrs = 3e-10;                                   /* one word in 2^32 */
        OK(ot_chip_draw(&b, net, &dev, &var, 9));
        ASSERT_MEM_EQ(ot_chip_weights(a, 0), ot_chip_weights(b, 0), 300 * sizeof(float));
        ot_chip_free(a), ot_chip_free(b);
    }
    ot_network_free(net);
    PASS();
}

/* Only weights with a stuck cell are drawn the slow way: all must be those of the readable version, groups of four cells across weights too. */
TEST chips_with_stuck_cells_hold_the_readable_version_s_weights(int bits, double share)
{
    enum { N = 301 };
    ot_network *net = row_of_weights(N);
    ot_device dev = golden_device();
    ot_variation var = OT_VARIATION_INIT;
    ot_chip *chip;
    ot_cell_map map;
    int stuck = 0;
    var.bits = bits, var.stuck_lrs = share, var.stuck_hrs = share / 2;
    OK(ot_chip_draw(&chip, net, &dev, &var, 21));
    ot__cell_map_make(&map, &dev, ot_chip_delta_sys(chip), ot__sigma_rand(&var));
    const float *ideal = ot_network_crossbar(net, 0)->weight;
    const double levels = (1 << bits) - 1, step = ot_chip_scale(chip, 0) / levels;
    ot_draw_key key = {.seed = var.seed, .layer = 0, .chip = 21};
    for (int i = 0; i < N; i++) {
        const int32_t q = (int32_t)copysign(rint(fabs((double)ideal[i]) * levels / ot_chip_scale(chip, 0)), (double)ideal[i]);
        const float want = ot_draw_weight_faulty(&map, key, ot__faults_of(&var), bits, (uint64_t)i, q, step);
        stuck += want != ot_draw_weight(&map, key, bits, (uint64_t)i, q, step);
        ASSERT_EQ_FMT(want, ot_chip_weights(chip, 0)[i], "%.9g");
    }
    ASSERT(stuck > 0 && (stuck < N || share > 0.1));
    ot_chip_free(chip);
    ot_network_free(net);
    PASS();
}

/* ---- theory ---- */

TEST cumulants_equal_the_golden_ones(void)
{
    ot_array sys, rnd, device, m16, w16, m6, w6;
    ASSERT(check_load(&sys, "chipstat/weights/delta_sys.npy") && check_load(&rnd, "chipstat/weights/sigma_rand.npy"));
    ASSERT(check_load(&device, "chipstat/weights/device.npy"));
    ASSERT(check_load(&m16, "chipstat/weights/m16.npy") && check_load(&w16, "chipstat/weights/weight16.npy"));
    ASSERT(check_load(&m6, "chipstat/weights/m6.npy") && check_load(&w6, "chipstat/weights/weight6.npy"));
    ot_device dev = golden_device();
    int rows = 0;
    for (int s = 0; s < 3; s++)
        for (int d = 0; d < 6; d++) {
            int at = 6 * s + d;
            double k[2][4];
            OK(ot_chip_cell_cumulants(k, &dev, ((double *)sys.data)[at], ((double *)rnd.data)[s]));
            /* 1e-10 relative (manifest): central moments in double lose some digits at k3, k4 */
            for (int i = 0; i < 8; i++) {
                double want = ((double *)device.data)[8 * at + i], got = k[i / 4][i % 4];
                ASSERT_IN_RANGE(want, got, 1e-10 * fabs(want));
            }
            for (int b = 0; b < 2; b++)
                for (int i = 0; i < 8; i++, rows++) {
                    const double *want = (double *)(b ? w6.data : w16.data) + 4 * (8 * at + i);
                    double got[4], minus[4];
                    int64_t m = (int64_t)((double *)(b ? m6.data : m16.data))[i];
                    ot_chip_weight_cumulants(got, k, m, b ? 6 : 16);
                    ot_chip_weight_cumulants(minus, k, -m, b ? 6 : 16);
                    for (int n = 0; n < 4; n++) {
                        ASSERT_IN_RANGE(want[n], got[n], 1e-10 * fabs(want[n]) + (m == 0 ? 1e-300 : 0));
                        ASSERT_EQ(n % 2 || m == 0 ? got[n] : -got[n], minus[n]);
                    }
                }
        }
    ASSERT_EQ(288, rows);
    ot_array *all[] = {&sys, &rnd, &device, &m16, &w16, &m6, &w6};
    for (int i = 0; i < 7; i++) ot_array_free(all[i]);
    PASS();
}

TEST cumulants_refuse_what_makes_no_sense(void)
{
    ot_device dev = golden_device();
    double k[2][4];
    FAILS(OT_E_RANGE, "delta_sys = nan", ot_chip_cell_cumulants(k, &dev, NAN, 0.01));
    FAILS(OT_E_RANGE, "sigma_rand = -1", ot_chip_cell_cumulants(k, &dev, 0, -1));
    OK(ot_chip_cell_cumulants(k, &dev, 0, 0));
    ASSERT_IN_RANGE(1.0, k[0][0] - k[1][0], 1e-15);
    ASSERT_EQ(0.0, k[0][1] + k[1][1]);
    PASS();
}

/* Drawn weights of each golden row: mean and variance within 5 standard errors, sqrt(k2/n) and k2 sqrt((2 + k4/k2^2)/n). */
TEST drawn_weights_have_the_golden_moments(int bits)
{
    enum { N = 20000 };
    ot_array sys, rnd, m, want;
    ASSERT(check_load(&sys, "chipstat/weights/delta_sys.npy") && check_load(&rnd, "chipstat/weights/sigma_rand.npy"));
    ASSERT(check_load(&m, bits == 6 ? "chipstat/weights/m6.npy" : "chipstat/weights/m16.npy"));
    ASSERT(check_load(&want, bits == 6 ? "chipstat/weights/weight6.npy" : "chipstat/weights/weight16.npy"));
    ot_device dev = golden_device();
    float *w = ot_alloc(N, sizeof *w);
    int32_t *q = ot_alloc(N, sizeof *q);
    ot__draw_fn draw = ot__draw_pick();
    for (int row = 0; row < 3 * 6 * 8; row++) {
        const double *k = (double *)want.data + 4 * row;
        int sign = row % 2 ? -1 : 1;
        ot_cell_map map;
        ot__cell_map_make(&map, &dev, ((double *)sys.data)[row / 8], ((double *)rnd.data)[row / 48]);
        for (int i = 0; i < N; i++) q[i] = sign * (int32_t)((double *)m.data)[row % 8];
        ot_draw_key key = {.seed = 2024, .layer = (uint32_t)row, .chip = (uint32_t)bits};
        draw(w, q, N, &map, key, bits, 1.0);
        double mean = 0, var = 0;
        for (int i = 0; i < N; i++) mean += w[i] / (double)N;
        for (int i = 0; i < N; i++) var += (w[i] - mean) * (w[i] - mean) / (N - 1);
        ASSERT_IN_RANGE(sign * k[0], mean, 5 * sqrt(k[1] / N));
        ASSERT_IN_RANGE(k[1], var, 5 * k[1] * sqrt((2 + k[3] / (k[1] * k[1])) / N));
    }
    ot_free(w);
    ot_free(q);
    ot_array *all[] = {&sys, &rnd, &m, &want};
    for (int i = 0; i < 4; i++) ot_array_free(all[i]);
    PASS();
}

/* ---- chips ---- */

/* Four crossbar layers: a convolution, a depthwise one, one that is all zero, a dense one of an odd number of weights. */
static ot_network *small_network(void)
{
    ot_network *net = NULL;
    check_rng r = {42};
    float w[405];
    int at;
    ot_layer conv = {.op = OT_OP_CONV, .name = "conv", .in = {0, -1}, .c = 5, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .weight = w};
    ot_layer depthwise = {.op = OT_OP_CONV, .name = "depthwise", .in = {1, -1}, .c = 5, .groups = 5, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .weight = w};
    ot_layer zero = {.op = OT_OP_CONV, .name = "zero", .in = {2, -1}, .c = 1, .groups = 1, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .weight = w};
    ot_layer flat = {.op = OT_OP_RESHAPE, .name = "flat", .in = {3, -1}, .c = 9, .h = 1, .w = 1};
    ot_layer dense = {.op = OT_OP_DENSE, .name = "dense", .in = {4, -1}, .c = 3, .groups = 1, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .weight = w};
    ot_status st = ot_network_new(&net, "small", 3, 7, 7);
    fill(&r, w, 135, 0.5f);
    w[7] = -0.5f;                                              /* the largest of the layer is negative */
    if (st == OT_OK) st = ot_network_add(net, &conv, &at);
    fill(&r, w, 45, 1e-3f);
    if (st == OT_OK) st = ot_network_add(net, &depthwise, &at);
    memset(w, 0, sizeof w);
    if (st == OT_OK) st = ot_network_add(net, &zero, &at);
    if (st == OT_OK) st = ot_network_add(net, &flat, &at);
    fill(&r, w, 27, 8.0f);
    w[3] = 0.0f, w[4] = -0.0f;
    if (st == OT_OK) st = ot_network_add(net, &dense, &at);
    if (st != OT_OK) {
        printf("\nsmall_network: %s\n", ot_last_error());
        ot_network_free(net);
        return NULL;
    }
    return net;
}

static size_t weights_of(const ot_chip *c, int k) { return ot_layer_weights(ot_network_crossbar(ot_chip_network(c), k)); }

static int same_weights(const ot_chip *a, const ot_chip *b)
{
    for (int k = 0; k < 4; k++)
        if (memcmp(ot_chip_weights(a, k), ot_chip_weights(b, k), weights_of(a, k) * sizeof(float))) return 0;
    return ot_chip_delta_sys(a) == ot_chip_delta_sys(b) && ot_chip_hash(a) == ot_chip_hash(b);
}

TEST without_variation_a_chip_is_the_quantised_network(int bits)
{
    ot_network *net = small_network();
    ASSERT(net);
    ot_device dev = golden_device();
    ot_variation var = {.sigma = 0, .sys_share = 0.5, .bits = bits, .seed = 3};
    ot_chip *c;
    OK(ot_chip_draw(&c, net, &dev, &var, 8));
    ASSERT_EQ(0.0, ot_chip_delta_sys(c));
    for (int k = 0; k < 4; k++) {
        const ot_layer *l = ot_network_crossbar(net, k);
        double most = 0, levels = (1 << bits) - 1;
        for (size_t i = 0; i < weights_of(c, k); i++) most = fmax(most, fabs((double)l->weight[i]));
        ASSERT_EQ(most, ot_chip_scale(c, k));
        for (size_t i = 0; i < weights_of(c, k); i++) {
            double m = most > 0 ? rint(fabs((double)l->weight[i]) * levels / most) : 0;
            float want = (float)(copysign(m, (double)l->weight[i]) * (most / levels));
            ASSERT_EQ(want, ot_chip_weights(c, k)[i]);
            if (fabs((double)l->weight[i]) == most) ASSERT_EQ(l->weight[i], ot_chip_weights(c, k)[i]);
        }
    }
    ot_chip_free(c);
    ot_network_free(net);
    PASS();
}

TEST chip_17_is_chip_17_alone_or_among_others(void)
{
    ot_network *net = small_network();
    ASSERT(net);
    ot_device dev = golden_device();
    ot_variation var = OT_VARIATION_INIT;
    ot_chip *alone, *many;
    OK(ot_chip_draw(&alone, net, &dev, &var, 17));
    OK(ot_chip_draw(&many, net, &dev, &var, 0));
    ASSERT_FALSE(same_weights(alone, many));
    size_t calls = ot_memory_now().calls;
    for (uint32_t i = 1; i < 40; i++) {
        OK(ot_chip_redraw(many, i));
        ASSERT_EQ(i, ot_chip_number(many));
        ASSERT_EQ(ot_chip_delta_sys_of(&var, i), ot_chip_delta_sys(many));
        ASSERT_EQ(i == 17, same_weights(alone, many));
    }
    ASSERT_EQ(calls, ot_memory_now().calls);
    OK(ot_chip_redraw(many, 17));
    ASSERT(same_weights(alone, many));
    var.seed = 2;
    ot_chip_free(many);
    OK(ot_chip_draw(&many, net, &dev, &var, 17));
    ASSERT_FALSE(same_weights(alone, many));
    ot_chip_free(many);
    ot_chip_free(alone);
    ot_network_free(net);
    PASS();
}

/* Weights by the readable formula, from magnitudes worked out here: layer, seed, chip, delta_sys and step all land where they should. */
TEST a_chip_is_what_the_formula_says(int bits)
{
    ot_network *net = small_network();
    ASSERT(net);
    ot_device dev = golden_device();
    ot_variation var = {.sigma = 0.035, .sys_share = 0.3, .bits = bits, .seed = 0x100000007u};
    ot_chip *c;
    OK(ot_chip_draw(&c, net, &dev, &var, 5));
    ot_cell_map map;
    ot__cell_map_make(&map, &dev, ot_chip_delta_sys(c), 0.035 * sqrt(0.7));
    for (int k = 0; k < 4; k++) {
        const ot_layer *l = ot_network_crossbar(net, k);
        ot_draw_key key = {.seed = var.seed, .layer = (uint32_t)k, .chip = 5};
        double step = ot_chip_scale(c, k) / ((1 << bits) - 1);
        for (size_t i = 0; i < weights_of(c, k); i++) {
            int32_t q = step > 0 ? (int32_t)rint((double)l->weight[i] * ((1 << bits) - 1) / ot_chip_scale(c, k)) : 0;
            float want = step > 0 ? ot_draw_weight(&map, key, bits, i, q, step) : 0;
            ASSERT_EQ(want, ot_chip_weights(c, k)[i]);
        }
    }
    ASSERT_EQ(0.0, ot_chip_scale(c, 2));
    ot_chip_free(c);
    ot_network_free(net);
    PASS();
}

/* sd of the mean over n chips: sigma_sys / sqrt(n); of the variance: sigma_sys^2 sqrt(2/n).  5 of each. */
TEST systematic_variation_has_its_share(void)
{
    ot_variation var = {.sigma = 0.048, .sys_share = 0.25, .bits = 16, .seed = 11};
    double n = 20000, sum = 0, squares = 0, sd = 0.024;
    for (uint32_t i = 0; i < 20000; i++) {
        double d = ot_chip_delta_sys_of(&var, i);
        sum += d;
        squares += d * d;
    }
    ASSERT_IN_RANGE(0, sum / n, 5 * sd / sqrt(n));
    ASSERT_IN_RANGE(sd * sd, squares / n, 5 * sd * sd * sqrt(2 / n));
    var.sys_share = 0;
    for (uint32_t i = 0; i < 8; i++) ASSERT(ot_chip_delta_sys_of(&var, i) == 0 && !signbit(ot_chip_delta_sys_of(&var, i)));
    PASS();
}

/* The cell keeps its draw whatever is stored in it: one changed weight changes that weight alone. */
TEST a_changed_weight_leaves_the_others(void)
{
    ot_network *net = small_network();
    ASSERT(net);
    ot_device dev = golden_device();
    ot_variation var = OT_VARIATION_INIT;
    ot_chip *a, *b;
    OK(ot_chip_draw(&a, net, &dev, &var, 1));
    ot_network_weights(net, 1)[20] = 0.123f;
    OK(ot_chip_draw(&b, net, &dev, &var, 1));
    for (size_t i = 0; i < weights_of(a, 0); i++) ASSERT_EQ(i != 20, ot_chip_weights(a, 0)[i] == ot_chip_weights(b, 0)[i]);
    ot_chip_free(a);
    ot_chip_free(b);
    ot_network_free(net);
    PASS();
}

TEST the_copied_network_has_the_chips_weights(void)
{
    ot_network *net = small_network(), *copy;
    ASSERT(net);
    ot_device dev = golden_device();
    ot_variation var = OT_VARIATION_INIT;
    ot_chip *c;
    OK(ot_chip_draw(&c, net, &dev, &var, 9));
    OK(ot_chip_network_copy(&copy, c));
    ASSERT_EQ(ot_network_layers(net), ot_network_layers(copy));
    for (int k = 0; k < 4; k++) ASSERT_MEM_EQ(ot_chip_weights(c, k), ot_network_crossbar(copy, k)->weight, weights_of(c, k) * sizeof(float));
    ot_network_free(copy);
    ot_chip_free(c);
    ot_network_free(net);
    PASS();
}

TEST settings_out_of_range_are_named(void)
{
    ot_network *net = small_network();
    ASSERT(net);
    ot_device dev = golden_device();
    ot_chip *untouched = (ot_chip *)&dev, *c = untouched;
    size_t live = ot_memory_now().live;
    const struct { ot_variation var; const char *words; } bad[] = {
        {{.sigma = 0.081, .sys_share = 0.5, .bits = 16}, "sigma = 0.081, want 0..0.08"},
        {{.sigma = -1e-9, .sys_share = 0.5, .bits = 16}, "sigma = -1e-09"},
        {{.sigma = NAN, .sys_share = 0.5, .bits = 16}, "sigma = nan"},
        {{.sigma = 0.01, .sys_share = 1.5, .bits = 16}, "sys_share = 1.5, want 0..1"},
        {{.sigma = 0.01, .sys_share = NAN, .bits = 16}, "sys_share = nan"},
        {{.sigma = 0.01, .sys_share = 0.5, .bits = 1}, "bits = 1, want 2..16"},
        {{.sigma = 0.01, .sys_share = 0.5, .bits = 17}, "bits = 17"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        FAILS(OT_E_RANGE, bad[i].words, ot_variation_check(&bad[i].var));
        FAILS(OT_E_RANGE, bad[i].words, ot_chip_draw(&c, net, &dev, &bad[i].var, 0));
    }
    ot_variation edge = {.sigma = 0.08, .sys_share = 1, .bits = 2};
    OK(ot_variation_check(&edge));
    ot_network_weights(net, 1)[3] = NAN;
    FAILS(OT_E_DATA, "layer conv: weight 3 is nan, want a finite number", ot_chip_draw(&c, net, &dev, &edge, 0));
    ot_network_weights(net, 1)[3] = -INFINITY;
    FAILS(OT_E_DATA, "layer conv: weight 3 is -inf", ot_chip_draw(&c, net, &dev, &edge, 0));
    ot_network_weights(net, 1)[3] = 0;
    dev.domain = NAN;
    ASSERT_NEQ(OT_OK, ot_chip_draw(&c, net, &dev, &edge, 0));
    ASSERT_EQ(untouched, c);
    ASSERT_EQ(live, ot_memory_now().live);
    ot_network_free(net);
    PASS();
}

TEST no_memory_is_said_and_nothing_leaks(void)
{
    ot_network *net = small_network(), *copy = NULL;
    ASSERT(net);
    ot_device dev = golden_device();
    ot_variation var = OT_VARIATION_INIT;
    ot_chip *c = NULL;
    size_t live = ot_memory_now().live;
    ot_memory_fail_at(1);
    FAILS(OT_E_NOMEM, "a chip: no memory for", ot_chip_draw(&c, net, &dev, &var, 0));
    ASSERT_EQ(NULL, c);
    ASSERT_EQ(live, ot_memory_now().live);
    OK(ot_chip_draw(&c, net, &dev, &var, 0));
    live = ot_memory_now().live;
    ot_status st = OT_E_NOMEM;
    for (size_t n = 1; n < 1000 && st != OT_OK; n++) {
        ot_memory_fail_at(n);
        st = ot_chip_network_copy(&copy, c);
        ot_memory_fail_at(0);
        if (st == OT_OK) ot_network_free(copy);
        else ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT_EQ(live, ot_memory_now().live);
    }
    ASSERT_EQ(OT_OK, st);
    ot_chip_free(c);
    ot_chip_free(NULL);
    ot_network_free(net);
    PASS();
}

/* Three chips a preset, to the bit.  A difference here is another chip: OT_DRAW_VERSION must change with it (docs/chip.md). */
TEST chips_of_the_presets_have_their_stored_hashes(void)
{
    static const struct { const char *preset; uint64_t hash[3]; } stored[] = {
        {"r1", {0x0e213287750501e6, 0x19018509a41075e0, 0xa3864e7931deaa30}},
        {"r2", {0x2be99c1400c40b34, 0x66e29324931279b1, 0x0a0b56a188a47e39}},
        {"r3", {0x827af365d48f2881, 0x18063ab1b231fa9d, 0x0cc378492d3f3217}},
    };
    static const uint32_t number[3] = {0, 17, 4294967295u};
    ASSERT_EQ(1, OT_DRAW_VERSION);
    ot_network *net = small_network();
    ASSERT(net);
    int wrong = 0;
    for (int p = 0; p < 3; p++)
        for (int i = 0; i < 3; i++) {
            ot_device dev;
            ot_variation var = {.sigma = 0.048, .sys_share = 0.5, .bits = i == 1 ? 6 : 16, .seed = 1};
            ot_chip *c;
            OK(ot_device_open(&dev, stored[p].preset));
            OK(ot_chip_draw(&c, net, &dev, &var, number[i]));
            if (ot_chip_hash(c) != stored[p].hash[i]) {
                printf("\n%s chip %u: hash 0x%016llx\n", stored[p].preset, number[i], (unsigned long long)ot_chip_hash(c));
                wrong++;
            }
            ot_chip_free(c);
        }
    ot_network_free(net);
    ASSERT_EQ(0, wrong);
    PASS();
}

SUITE(test_chip)
{
    for (int bits = 2; bits <= 16; bits++) {
        char text[32];
        snprintf(text, sizeof text, "bits_%d", bits);
        greatest_set_test_suffix(text);
        RUN_TESTp(all_loops_draw_the_same_bits, bits);
        greatest_set_test_suffix(text);
        RUN_TESTp(without_variation_a_chip_is_the_quantised_network, bits);
        greatest_set_test_suffix(text);
        RUN_TESTp(a_chip_is_what_the_formula_says, bits);
    }
    RUN_TEST(maps_follow_the_device);
    RUN_TEST(without_variation_cells_are_exactly_0_and_1);
    RUN_TEST(stuck_cells_are_as_many_as_asked_for);
    RUN_TEST(a_faulty_loop_without_faults_draws_the_same_bits);
    for (int bits = 2; bits <= 16; bits++) {
        char suffix[32];
        snprintf(suffix, sizeof suffix, "%d_bits", bits);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(chips_with_stuck_cells_hold_the_readable_version_s_weights, bits, bits % 4 == 3 ? 0.3 : 0.01);
    }
    RUN_TEST(cumulants_equal_the_golden_ones);
    RUN_TEST(cumulants_refuse_what_makes_no_sense);
    RUN_TESTp(drawn_weights_have_the_golden_moments, 16);
    RUN_TESTp(drawn_weights_have_the_golden_moments, 6);
    RUN_TEST(chip_17_is_chip_17_alone_or_among_others);
    RUN_TEST(systematic_variation_has_its_share);
    RUN_TEST(a_changed_weight_leaves_the_others);
    RUN_TEST(the_copied_network_has_the_chips_weights);
    RUN_TEST(settings_out_of_range_are_named);
    RUN_TEST(no_memory_is_said_and_nothing_leaks);
    RUN_TEST(chips_of_the_presets_have_their_stored_hashes);
}

/* test_self_tuning.c - chips of the device model that correct themselves: the column of known cells, corrected chips alone and in fleets, the
 * tuner, and campaigns with it. */
#include "base/fail.h"
#include "chip/chip.h"
#include "chip/draw.h"
#include "chip/map.h"
#include "ohmtrim/campaign.h"
#include "trelu.h"
#include "tune/tuning.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { L = 6 };

/* Steep enough that chips differ; no physics to integrate. */
static const ot_device steep = {.name = "steep", .g = {1e-4, 1e-6}, .n_poly = {3, 2}, .poly = {{1, 0.9, 0.2}, {1, -0.8}}, .domain = 0.15,
                                .g_min = 1e-9, .g_max = 1e-2, .s = {6, -5.3}, .valid_min = -0.15};

/* ---- the column ---- */

TEST a_chip_without_variation_says_nothing(void)
{
    ot_variation var = {.sigma = 0, .sys_share = 0.5, .bits = 8, .seed = 1};
    double       e = NAN;
    OK(ot_chip_self_test(&e, &steep, &var, 3, 10));
    ASSERT_EQ(0, e);                       /* HRS is 0 and LRS 1 there, exactly */
    PASS();
}

/* The estimate's mean is what theory says all weights of the chip are multiplied by, its sd that of a pair over sqrt(n). */
TEST the_column_measures_what_weights_have_in_common(double sigma)
{
    enum { CHIPS = 60, CELLS = 400 };
    ot_variation var = {.sigma = sigma, .sys_share = 0.5, .bits = 8, .seed = 5};
    double       sum = 0, squares = 0;
    for (uint32_t c = 0; c < CHIPS; c++) {
        double k[2][4], e = NAN;
        OK(ot_chip_cell_cumulants(k, &steep, ot_chip_delta_sys_of(&var, c), sigma * sqrt(0.5)));
        OK(ot_chip_self_test(&e, &steep, &var, c, CELLS));
        double off = (e - (k[OT_LRS][0] - k[OT_HRS][0] - 1)) / sqrt((k[OT_LRS][1] + k[OT_HRS][1]) / CELLS);
        sum += off, squares += off * off;
    }
    ASSERT_IN_RANGE(0, sum / CHIPS, 5 / sqrt(CHIPS));
    ASSERT_IN_RANGE(1, squares / CHIPS, 5 * sqrt(2.0 / CHIPS));
    PASS();
}

/* Cells by the readable maths: pair i has normals 2 i and 2 i + 1 of the chip's own draws; any number of them, in blocks or not. */
TEST pairs_are_counted_once(void)
{
    ot_variation var = {.sigma = 0.08, .sys_share = 0.3, .bits = 8, .seed = 9};
    double       whole, part;
    OK(ot_chip_self_test(&whole, &steep, &var, 7, 1025));
    OK(ot_chip_self_test(&part, &steep, &var, 7, 1024));
    double      last = (whole + 1) * 1025 - (part + 1) * 1024;      /* pair 1024 alone: normals 2048 and 2049, the first two of group 512 */
    ot_cell_map map;
    uint32_t    w[4];
    float       z[2];
    ot__cell_map_make(&map, &steep, ot_chip_delta_sys_of(&var, 7), ot__sigma_rand(&var));
    ot_philox(&w[0], &w[1], &w[2], &w[3], var.seed, 512, UINT32_MAX, 7, OT_PURPOSE_SELF_TUNING);
    ot_normal_pair(&z[0], &z[1], w[0], w[1]);
    double want = (double)ot_clip(ot_cell_poly(map.c[OT_LRS], map.n_terms[OT_LRS], ot_cell_z(z[0], &map)), map.x_min, map.x_max) -
                  (double)ot_clip(ot_cell_poly(map.c[OT_HRS], map.n_terms[OT_HRS], ot_cell_z(z[1], &map)), map.x_min, map.x_max);
    ASSERT_IN_RANGE(want, last, 1e-6);     /* floats of size 1; a thousand of them summed in double */
    OK(ot_chip_self_test(&part, &steep, &var, 8, 1025));
    ASSERT(part < whole || part > whole);
    FAILS(OT_E_RANGE, "self-test on 0 cells, want 1..100000000", ot_chip_self_test(&part, &steep, &var, 7, 0));
    var.sigma = -1;
    FAILS(OT_E_RANGE, "sigma", ot_chip_self_test(&part, &steep, &var, 7, 10));
    PASS();
}

/* ---- corrected chips ---- */

TEST a_corrected_chip_has_scaled_weights(double stuck)
{
    ot_network *net;
    ot_data     data;
    ot_chip    *a, *b;
    ot_variation var = {.sigma = 0.06, .sys_share = 0.5, .bits = 6, .seed = 2, .stuck_lrs = stuck, .stuck_hrs = stuck};
    OK(trelu_open(&net, &data));
    OK(ot_chip_draw(&a, net, &steep, &var, 4));
    OK(ot_chip_draw(&b, net, &steep, &var, 0));
    OK(ot_chip_redraw_corrected(b, 4, 1.0));
    ASSERT_EQ(ot_chip_hash(a), ot_chip_hash(b));
    OK(ot_chip_redraw_corrected(b, 4, 1.25));
    for (int k = 0; k < ot_network_crossbars(net); k++) {
        size_t n = ot_layer_weights(ot_network_crossbar(net, k));
        const float *x = ot_chip_weights(a, k), *y = ot_chip_weights(b, k);
        /* every cell's terms rounded once more, of a size of the largest weight */
        double tol = 4e-6 * ot_chip_scale(a, k);
        for (size_t i = 0; i < n; i++) ASSERT_IN_RANGE(1.25 * (double)x[i], (double)y[i], tol);
    }
    OK(ot_chip_redraw(b, 4));
    ASSERT_EQ(ot_chip_hash(a), ot_chip_hash(b));
    FAILS(OT_E_RANGE, "outputs of chip 4 times 0, want a positive number", ot_chip_redraw_corrected(b, 4, 0));
    FAILS(OT_E_RANGE, "times nan", ot_chip_redraw_corrected(b, 4, NAN));
    FAILS(OT_E_RANGE, "times inf", ot_chip_redraw_corrected(b, 4, INFINITY));
    ASSERT_EQ(ot_chip_hash(a), ot_chip_hash(b));
    ot_chip_free(b), ot_chip_free(a);
    trelu_close(net, &data);
    PASS();
}

typedef struct bench { ot_network *net; ot_data data; ot_backend *be; ot_plan *plan; ot_tuning *tuning; ot_tune_options opt; ot_variation var; } bench;

static ot_status bench_open(bench *b)
{
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = 32};
    *b = (bench){.opt = ot_tune_defaults(), .var = {.sigma = 0.08, .sys_share = 0.99, .bits = 8, .seed = 3}};
    ot_status st = trelu_open(&b->net, &b->data);
    if (st == OT_OK) st = ot_backend_open(&b->be, "ref", NULL);
    if (st == OT_OK) st = ot_plan_open(&b->plan, b->be, b->net, &opt);
    b->opt.images = 16;
    if (st == OT_OK) st = ot_tuning_open(&b->tuning, b->plan, &b->data, &b->opt);
    return st;
}

static void bench_close(bench *b)
{
    ot_tuning_free(b->tuning);
    ot_plan_free(b->plan);
    ot_backend_close(b->be);
    trelu_close(b->net, &b->data);
}

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / (double)n);
}

/* Systematic variation nearly alone: logits come most of the way back to the ideal's. */
TEST self_tuning_brings_logits_back(void)
{
    bench        b;
    ot_chip     *chip;
    float        ideal[320], untuned[320], tuned[320], gain[L], offset[L];
    ot_tune_cost cost;
    int          far = 0;
    OK(bench_open(&b));
    OK(ot_plan_load(b.plan, NULL));
    OK(ot_plan_forward(b.plan, &b.data, NULL, 32, ideal, NULL));
    OK(ot_chip_draw(&chip, b.net, &steep, &b.var, 0));
    for (uint32_t c = 0; c < 4; c++) {
        double estimate = NAN;
        OK(ot_chip_redraw(chip, c));
        OK(ot_plan_load(b.plan, chip));
        OK(ot_plan_set_knobs(b.plan, NULL, NULL));
        OK(ot_plan_forward(b.plan, &b.data, NULL, 32, untuned, NULL));
        uint64_t hash = ot_chip_hash(chip);
        check_poison(gain, L), check_poison(offset, L);
        OK(ot_tuning_self(b.tuning, b.plan, chip, gain, offset, &estimate, &cost));
        for (int l = 0; l < L; l++) ASSERT(gain[l] >= 1 && gain[l] <= 1 && offset[l] >= 0 && offset[l] <= 0);
        ASSERT(cost.images_forward == 0 && cost.steps == 0 && cost.seconds >= 0);
        OK(ot_plan_forward(b.plan, &b.data, NULL, 32, tuned, NULL));
        if (fabs(estimate) > 0.1) {
            far++;
            ASSERT_LT(distance(tuned, ideal, 320), 0.5 * distance(untuned, ideal, 320));
        }
        OK(ot_chip_redraw(chip, c));
        ASSERT_EQ(hash, ot_chip_hash(chip));
    }
    ASSERT_GT(far, 0);
    FAILS(OT_E_USAGE, "self-tuning corrects a chip, not knobs", ot_tuning_run(b.tuning, OT_TUNER_SELF_TUNING, b.plan, NULL, NULL, gain, offset, NULL, &cost));
    ot_chip_free(chip);
    bench_close(&b);
    PASS();
}

/* In a fleet a chip is what it is alone; another tuner finds it uncorrected. */
TEST fleets_correct_their_chips(const char *backend)
{
    bench           b;
    ot_backend     *be;
    ot_fleet       *fleet;
    ot_chip        *chip;
    const uint32_t  numbers[3] = {5, 0, 9};
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = 32, .chips = 3};
    float           gain[3 * L], offset[3 * L], w[4096];
    ot_tune_cost    cost[3];
    OK(bench_open(&b));
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_fleet_open(&fleet, be, b.net, &steep, &b.var, &opt));
    OK(ot_fleet_draw(fleet, numbers, 3));
    OK(ot_tuning_run_fleet(b.tuning, OT_TUNER_SELF_TUNING, fleet, NULL, NULL, gain, offset, NULL, cost));
    OK(ot_chip_draw(&chip, b.net, &steep, &b.var, 0));
    for (int corrected = 1; corrected >= 0; corrected--) {
        for (int k = 0; k < 3; k++) {
            double e;
            OK(ot_chip_self_test(&e, &steep, &b.var, numbers[k], b.opt.gtm_cells));
            OK(ot_chip_redraw_corrected(chip, numbers[k], corrected ? 1 / (1 + e) : 1));
            for (int x = 0; x < ot_network_crossbars(b.net); x++) {
                size_t n = ot_layer_weights(ot_network_crossbar(b.net, x));
                ASSERT(n <= 4096);
                check_poison(w, n);
                OK(ot_fleet_weights(fleet, k, x, w));
                ASSERT_MEM_EQ(ot_chip_weights(chip, x), w, n * sizeof *w);
            }
        }
        if (corrected) OK(ot_tuning_run_fleet(b.tuning, OT_TUNER_CLOSED_FORM, fleet, NULL, NULL, gain, offset, NULL, cost));
    }
    FAILS(OT_E_RANGE, "outputs of chip 0 times -1", ot_fleet_correct(fleet, (const double[]){1, -1, 1}));
    ot_chip_free(chip);
    ot_fleet_free(fleet);
    OK(ot_fleet_open(&fleet, be, b.net, &steep, &b.var, &opt));
    FAILS(OT_E_RANGE, "no chips yet", ot_fleet_correct(fleet, NULL));
    ot_fleet_free(fleet);
    ot_backend_close(be);
    bench_close(&b);
    PASS();
}

/* ---- the layers' own columns ---- */

/* Cells of their own, the layer's largest weight on average times what the chip's weights have in common; the first n do not depend on how many follow. */
TEST columns_are_cells_of_the_chip(void)
{
    enum { CELLS = 4000 };
    bench   b;
    ot_chip *chip;
    float   *w = malloc(CELLS * sizeof *w), *part = malloc(CELLS * sizeof *part);
    ASSERT(w && part);
    OK(bench_open(&b));
    b.var.sys_share = 0.5;
    OK(ot_chip_draw(&chip, b.net, &steep, &b.var, 6));
    const int k = ot_network_crossbars(b.net) - 1;
    check_poison(w, CELLS), check_poison(part, CELLS);
    OK(ot__chip_column(w, chip, k, CELLS));
    OK(ot__chip_column(part, chip, k, 33));
    ASSERT_MEM_EQ(w, part, 33 * sizeof *w);
    double c[2][4], sum = 0, squares = 0;
    OK(ot_chip_cell_cumulants(c, &steep, ot_chip_delta_sys(chip), ot__sigma_rand(&b.var)));
    double shares = 0;                                       /* a weight's bits count 1, 2, 4, ... of 255: variances add by squares */
    for (int bit = 0; bit < 8; bit++) shares += pow(pow(2, bit) / 255, 2);
    const double mean = c[OT_LRS][0] - c[OT_HRS][0], variance = (c[OT_LRS][1] + c[OT_HRS][1]) * shares;
    for (int i = 0; i < CELLS; i++) {
        const double off = ((double)w[i] / ot_chip_scale(chip, k) - mean) / sqrt(variance);
        sum += off, squares += off * off;
    }
    ASSERT_IN_RANGE(0, sum / CELLS, 5 / sqrt(CELLS));
    ASSERT_IN_RANGE(1, squares / CELLS, 5 * sqrt(2.0 / CELLS));
    OK(ot__chip_column(part, chip, k - 1, 33));              /* another layer's, another chip's */
    ASSERT(memcmp(w, part, 33 * sizeof *w) != 0);
    OK(ot_chip_redraw(chip, 7));
    OK(ot__chip_column(part, chip, k, 33));
    ASSERT(memcmp(w, part, 33 * sizeof *w) != 0);
    FAILS(OT_E_RANGE, "weights of 8 bits, want fewer than", ot__chip_column(part, chip, k, (size_t)1 << 31));
    ot_chip_free(chip);
    bench_close(&b);
    free(part), free(w);
    PASS();
}

/* The chip's weights less the share of their place's mean column, output by output and group by group. */
static ot_status plainly(ot_network *net, const ot_chip *chip, const bench *b)
{
    const int columns = b->tuning->opt.ltm_columns;
    double    estimate;
    OT_TRY(ot_chip_self_test(&estimate, &steep, &b->var, ot_chip_number(chip), b->tuning->opt.gtm_cells));
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        if (l->crossbar < 0) continue;
        const int    n = (int)ot_layer_weights(l), deep = n / l->c, cells = deep * l->groups, outputs = l->c / l->groups;
        float       *column = malloc((size_t)(cells * columns) * sizeof *column), *w = ot_network_weights(net, i);
        ot_status    st = column ? ot__chip_column(column, chip, l->crossbar, (size_t)(cells * columns)) : OT_E_NOMEM;
        for (int o = 0; o < l->c && st == OT_OK; o++)
            for (int j = 0; j < deep; j++) {
                double mean = 0;
                for (int c = 0; c < columns; c++) mean += (double)column[c * cells + o / outputs * deep + j] / columns;
                w[o * deep + j] = (float)((double)w[o * deep + j] - estimate / (1 + estimate) * mean);
            }
        free(column);
        OT_TRY(st);
    }
    return OT_OK;
}

TEST layers_columns_correct_outputs(int columns)
{
    bench        b;
    ot_chip     *chip;
    ot_network  *net;
    float        untuned[320], want[320], got[320], gain[L], offset[L];
    int64_t      values = -1;
    ot_tune_cost cost;
    OK(bench_open(&b));
    b.tuning->opt.ltm_columns = columns;
    OK(ot_chip_draw(&chip, b.net, &steep, &b.var, 2));
    OK(ot_plan_load(b.plan, chip));
    OK(ot_plan_forward(b.plan, &b.data, NULL, 32, untuned, NULL));
    check_poison(gain, L), check_poison(offset, L), check_poison(got, 320);
    OK(ot_tuning_change(b.tuning, OT_TUNER_SELF_TUNING_LTM, b.plan, chip, gain, offset, &values, &cost));
    for (int l = 0; l < L; l++) ASSERT(gain[l] >= 1 && gain[l] <= 1 && offset[l] >= 0 && offset[l] <= 0);
    ASSERT_EQ(ot_network_crossbars(b.net), values);
    ASSERT(cost.images_forward == 0 && cost.steps == 0 && cost.seconds >= 0);
    OK(ot_plan_forward(b.plan, &b.data, NULL, 32, got, NULL));
    OK(ot_chip_network_copy(&net, chip));
    OK(plainly(net, chip, &b));
    OK(ot_plan_load_network(b.plan, net));
    OK(ot_plan_forward(b.plan, &b.data, NULL, 32, want, NULL));
    CHECK_CLOSE(want, got, 320, 1e-6 * check_max_f32(want, 320));       /* weights of float, sums of columns in another order of divisions */
    ASSERT(distance(want, untuned, 320) > 0.01 * (double)check_max_f32(untuned, 320));
    OK(ot_tuning_change_back(b.plan, chip));
    OK(ot_plan_forward(b.plan, &b.data, NULL, 32, got, NULL));
    ASSERT_MEM_EQ(untuned, got, sizeof got);
    ot_network_free(net);
    ot_chip_free(chip);
    bench_close(&b);
    PASS();
}

/* ---- campaigns ---- */

static ot_status small(ot_campaign_spec *s, const char *tuners)
{
    ot_campaign_spec_defaults(s);
    snprintf(s->network, sizeof s->network, "%s", check_golden("../tune/tiny.onnx"));
    snprintf(s->data, sizeof s->data, "npz:%s", check_golden("../tune/tiny.npz"));
    s->casebook_chips = 0, s->chips = 4, s->stimulus_images = 4;
    s->variation.sigma = 0.08;
    snprintf(s->backend, sizeof s->backend, "ref");
    ot_status st = ot_campaign_spec_set(s, "tune.gtm_cells", "200");
    return st == OT_OK ? ot_campaign_spec_set(s, "tuners", tuners) : st;
}

/* Its own tuner, its own answers; the digest is the same on threads and where the tuner came later. */
TEST campaigns_have_it_as_a_tuner(void)
{
    ot_campaign_spec     s;
    ot_campaign_how      one = {.threads = 1}, three = {.threads = 3};
    ot_campaign_results *r;
    ot_campaign_answers *plain, *tuned;
    char                 a[600], b[600], first[65], second[65];
    snprintf(a, sizeof a, "%s/self-a.db", check_scratch());
    snprintf(b, sizeof b, "%s/self-b.db", check_scratch());
    OK(small(&s, "closed-form,self-tuning-ltm,self-tuning"));
    OK(ot_campaign_run(a, &s, &one));
    OK(small(&s, "closed-form"));
    OK(ot_campaign_run(b, &s, &three));
    OK(small(&s, "self-tuning,self-tuning-ltm,closed-form"));
    OK(ot_campaign_run(b, &s, &three));
    OK(ot_campaign_digest(a, first));
    OK(ot_campaign_digest(b, second));
    ASSERT_STR_EQ(first, second);
    OK(ot_campaign_results_read(&r, a));
    ASSERT(r->n == 4 && r->n_tuners == 3 && r->failed == 0);
    int at = 0;
    while (at < 3 && r->tuners[at] != OT_TUNER_SELF_TUNING) at++;
    ASSERT(at < 3);
    for (int k = 0; k < r->n; k++) ASSERT_EQ(0, r->forward[k * 3 + at] + r->backward[k * 3 + at]);
    OK(ot_campaign_answers_read(&plain, a, "evaluate", "untuned", "random", OT_SIGNATURE_FULL, 0));
    OK(ot_campaign_answers_read(&tuned, a, "evaluate", "self-tuning", "random", OT_SIGNATURE_FULL, 0));
    ASSERT(plain->n == 4 && tuned->n == 4);
    for (int k = 0; k < 4; k++) {
        ASSERT_EQ((double)r->tuned[k * 3 + at] / (double)r->images, tuned->accuracy[k]);
        ASSERT(distance(plain->signature + k * plain->layout.length, tuned->signature + k * tuned->layout.length, (size_t)plain->layout.length) > 0);
    }
    ot_campaign_answers_free(tuned);
    ot_campaign_answers_free(plain);
    ot_campaign_results_free(r);
    FAILS(OT_E_RANGE, "tune.gtm_cells = '0'", ot_campaign_spec_set(&s, "tune.gtm_cells", "0"));
    FAILS(OT_E_RANGE, "tune.ltm_columns = '0'", ot_campaign_spec_set(&s, "tune.ltm_columns", "0"));
    OK(ot_campaign_spec_set(&s, "tune.gtm_cells", "100"));
    FAILS(OT_E_MISMATCH, "tune.gtm_cells (stored 200, asked 100)", ot_campaign_run(b, &s, &one));
    PASS();
}

SUITE(test_self_tuning)
{
    RUN_TEST(a_chip_without_variation_says_nothing);
    RUN_TESTp(the_column_measures_what_weights_have_in_common, 0.02);
    RUN_TESTp(the_column_measures_what_weights_have_in_common, 0.08);
    RUN_TEST(pairs_are_counted_once);
    RUN_TESTp(a_corrected_chip_has_scaled_weights, 0);
    RUN_TESTp(a_corrected_chip_has_scaled_weights, 0.02);
    RUN_TEST(self_tuning_brings_logits_back);
    RUN_TESTp(fleets_correct_their_chips, "ref");
    RUN_TESTp(fleets_correct_their_chips, "cpu");
    RUN_TEST(columns_are_cells_of_the_chip);
    RUN_TESTp(layers_columns_correct_outputs, 1);
    RUN_TESTp(layers_columns_correct_outputs, 3);
    RUN_TEST(campaigns_have_it_as_a_tuner);
}

/* test_floor.c - the test floor's models against values worked out by hand, knob codes, and one chip through every path. */
#include "check.h"
#include "floor/recipe.h"
#include "tests/recipes.h"

/* Sums of a few products of numbers of size 1: some eps. */
#define EPS 1e-15

TEST features_are_standardised(void)
{
    const int32_t     feature[] = {0, 2};
    const double      mean[] = {1, -2}, sd[] = {0.5, 4};
    const ot_features f = {.s = 3, .p = 2, .feature = feature, .mean = mean, .sd = sd};
    double            x[2] = {NAN, NAN};
    ot_features_apply(x, &f, (const float[]){2, NAN, 6});
    CHECK_CLOSE64(((const double[]){2, 2}), x, 2, 0);
    PASS();
}

/* 0.5 + 2 max(0, x0 - 1) - 3 max(0, 1 - x1) x0 */
static const double  mars_coef[] = {0.5, 2, -3}, mars_cut[] = {1, 1, 7};
static const int32_t mars_start[] = {0, 0, 1, 3}, mars_feature[] = {0, 1, 0}, mars_dir[] = {1, -1, 2};
static const ot_predictor mars = {.kind = OT_PREDICTOR_MARS, .p = 2,
    .mars = {.terms = 3, .hinges = 3, .coef = mars_coef, .start = mars_start, .feature = mars_feature, .dir = mars_dir, .cut = mars_cut}};

TEST mars_by_hand(void)
{
    ASSERT_IN_RANGE(0.5 + 2 * 2 - 3 * 0.5 * 3, ot_predictor_value(&mars, (const double[]){3, 0.5}), EPS * 10);
    ASSERT_IN_RANGE(0.5, ot_predictor_value(&mars, (const double[]){1, 1}), 0);             /* on both cuts */
    ASSERT_IN_RANGE(0.5 + 3 * 3.0, ot_predictor_value(&mars, (const double[]){-1, -2}), EPS * 10);   /* a linear hinge knows no sign */
    ASSERT(isnan(ot_predictor_value(&mars, (const double[]){NAN, 0})));
    ASSERT(isnan(ot_predictor_value(&mars, (const double[]){0, NAN})));
    PASS();
}

/* Two trees: (x0 <= 0 ? (x1 <= 5 ? 1 : 2) : 4), and a leaf of 10. */
static const int32_t boost_root[] = {0, 5}, boost_feature[] = {0, 1, -1, -1, -1, -1}, boost_left[] = {1, 3, -1, -1, -1, -1};
static const double  boost_value[] = {0, 5, 4, 1, 2, 10};
static const ot_predictor boost = {.kind = OT_PREDICTOR_BOOST, .p = 2,
    .boost = {.trees = 2, .nodes = 6, .init = 0.25, .rate = 0.5, .root = boost_root, .feature = boost_feature, .left = boost_left, .value = boost_value}};

TEST boosting_by_hand(void)
{
    ASSERT_IN_RANGE(0.25 + 0.5 * 1 + 5, ot_predictor_value(&boost, (const double[]){0, 5}), 0);        /* <= goes left */
    ASSERT_IN_RANGE(0.25 + 0.5 * 2 + 5, ot_predictor_value(&boost, (const double[]){-1, 5.1}), 0);
    ASSERT_IN_RANGE(0.25 + 0.5 * 4 + 5, ot_predictor_value(&boost, (const double[]){0.1, 0}), 0);
    ASSERT(isnan(ot_predictor_value(&boost, (const double[]){1, NAN})));                               /* even where no tree looks */
    PASS();
}

TEST ridge_by_hand(void)
{
    const double       coef[] = {2, -0.5};
    const ot_predictor m = {.kind = OT_PREDICTOR_RIDGE, .p = 2, .ridge = {.intercept = 1, .coef = coef}};
    ASSERT_IN_RANGE(1 + 6 - 2, ot_predictor_value(&m, (const double[]){3, 4}), 0);
    ASSERT(isnan(ot_predictor_value(&(ot_predictor){.kind = OT_PREDICTORS}, NULL)));
    PASS();
}

TEST screen_by_hand(void)
{
    /* covariance [[4, 2], [2, 10]] = L L', L = [[2, 0], [1, 3]] */
    const double    centre[] = {1, 1}, factor[] = {2, 0, 1, 3};
    const ot_screen s = {.kind = OT_SCREEN_MRCD, .p = 2, .q = 2, .centre = centre, .factor = factor, .threshold = 5};
    double          work[4], d2 = ot_screen_distance(&s, (const double[]){5, 6}, work);
    ASSERT_IN_RANGE(4 + 1, d2, EPS * 10);                  /* L^-1 (4, 5) = (2, 1) */
    ASSERT_EQ(0, ot_screen_outlier(&s, 5));
    ASSERT_EQ(1, ot_screen_outlier(&s, 5.000001));
    ASSERT_EQ(1, ot_screen_outlier(&s, NAN));
    ASSERT_EQ(1, ot_screen_outlier(&s, ot_screen_distance(&s, (const double[]){NAN, 0}, work)));
    PASS();
}

TEST pca_screen_by_hand(void)
{
    /* one axis (0.6, 0.8): x - mean = (2, 1) has score 2, residual (0.8, -0.6), |residual|^2 = 1, log 0 */
    const double    mean[] = {1, 1}, axes[] = {0.6, 0.8}, centre[] = {1, 2}, factor[] = {0.5, 0, 1, 4};
    const ot_screen s = {.kind = OT_SCREEN_PCA_MCD, .p = 2, .q = 2, .mean = mean, .axes = axes, .centre = centre, .factor = factor, .threshold = 5};
    double          work[4];
    ASSERT_IN_RANGE(4 + 1, ot_screen_distance(&s, (const double[]){3, 2}, work), 1e-14);        /* L^-1 (1, -2) = (2, -1) */
    const double    flat[] = {1, 0}, on = (log(1e-300) - 2 - 2) / 4;       /* nothing left over: not -inf */
    const ot_screen t = {.kind = OT_SCREEN_PCA_MCD, .p = 2, .q = 2, .mean = mean, .axes = flat, .centre = centre, .factor = factor, .threshold = 5};
    ASSERT_IN_RANGE(4 + on * on, ot_screen_distance(&t, (const double[]){3, 1}, work), 1e-10);
    PASS();
}

TEST bent_screens_by_hand(void)
{
    /* asinh((x - middle) / width) = (2, 1) at x = (1 + 2 sinh 2, 3 + 4 sinh 1): then as above */
    const double middle[] = {1, 3}, width[] = {2, 4}, none[] = {0, 0}, mean[] = {0, 0}, axes[] = {0.6, 0.8}, centre[] = {1, 2}, factor[] = {0.5, 0, 1, 4};
    const double plain[] = {2, 0, 1, 3}, x[] = {1 + 2 * sinh(2), 3 + 4 * sinh(1)};
    ot_screen    s = {.kind = OT_SCREEN_PCA_MCD, .p = 2, .q = 2, .middle = middle, .width = width, .mean = mean, .axes = axes, .centre = centre, .factor = factor};
    double       work[4];
    ASSERT_IN_RANGE(4 + 1, ot_screen_distance(&s, x, work), 1e-13);
    s = (ot_screen){.kind = OT_SCREEN_MRCD, .p = 2, .q = 2, .middle = middle, .width = width, .centre = none, .factor = plain};
    ASSERT_IN_RANGE(1 + 0, ot_screen_distance(&s, x, work), EPS * 10);        /* L^-1 (2, 1) = (1, 0) */
    PASS();
}

/* The rules' tables: what is said at, just above and just below each border. */
TEST rules_by_table(void)
{
    static const struct { ot_rule_kind kind; double a; int outlier, tuned; ot_verdict want; } rows[] = {
        {OT_RULE_000, 0.875, 0, 0, OT_VERDICT_PASS},     {OT_RULE_000, 0.874, 0, 0, OT_VERDICT_TUNE},      {OT_RULE_000, 0.874, 0, 1, OT_VERDICT_FULL_TEST},
        {OT_RULE_000, 0.875, 1, 0, OT_VERDICT_FULL_TEST}, {OT_RULE_000, NAN, 0, 0, OT_VERDICT_FULL_TEST},   {OT_RULE_000, 0.875, 0, 1, OT_VERDICT_PASS},
        {OT_RULE_002, 0.875, 0, 0, OT_VERDICT_PASS},     {OT_RULE_002, 0.874, 0, 0, OT_VERDICT_FULL_TEST}, {OT_RULE_002, 0.626, 0, 0, OT_VERDICT_FULL_TEST},
        {OT_RULE_002, 0.625, 0, 0, OT_VERDICT_TUNE},     {OT_RULE_002, 0.1, 0, 1, OT_VERDICT_FULL_TEST},   {OT_RULE_002, 0.1, 1, 0, OT_VERDICT_FULL_TEST},
        {OT_RULE_CONFORMAL, 0.875, 0, 0, OT_VERDICT_PASS}, {OT_RULE_CONFORMAL, 0.7, 0, 0, OT_VERDICT_TUNE}, {OT_RULE_CONFORMAL, 0.7, 0, 1, OT_VERDICT_FULL_TEST},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ot_rule r = {.kind = rows[i].kind, .cutoff = 0.75, .guard = rows[i].tuned ? 9 : 0.125, .guard_after = rows[i].tuned ? 0.125 : 9};
        ASSERT_EQ_FMT((int)rows[i].want, (int)ot_rule_verdict(&r, rows[i].a, rows[i].outlier, rows[i].tuned), "%d");
    }
    ot_rule r = {.cutoff = 0.75};
    ASSERT_EQ(OT_VERDICT_PASS, ot_rule_full_test(&r, 0.75, 0));
    ASSERT_EQ(OT_VERDICT_TUNE, ot_rule_full_test(&r, 0.74, 0));
    ASSERT_EQ(OT_VERDICT_REJECT, ot_rule_full_test(&r, 0.74, 1));
    ASSERT_EQ(OT_VERDICT_REJECT, ot_rule_full_test(&r, NAN, 1));
    PASS();
}

/* Five chips on a plane, in two clusters; the nearest of all (row 4) lies in the cluster whose medoid (row 2) is farther. */
static const float   case_x[] = {0, 0, 1, 0, 10, 0, 10, 1, 4, 0}, case_gain[] = {1, 2, 3, 4, 5}, case_offset[] = {0, -1, -2, -3, -4};
static const int32_t case_label[] = {0, 0, 1, 1, 1}, case_medoid[] = {0, 2};
static const ot_cases book = {.n = 5, .p = 2, .l = 1, .clusters = 2, .x = case_x, .label = case_label, .medoid = case_medoid, .gain = case_gain, .offset = case_offset};

TEST casebook_by_hand(void)
{
    double d;
    ASSERT_EQ(1, ot_cases_nearest(&book, OT_MENDER_LEARNED, (const double[]){3, 0}, &d));
    ASSERT_IN_RANGE(2, d, 0);
    ASSERT_EQ(4, ot_cases_nearest(&book, OT_MENDER_KNN, (const double[]){3, 0}, &d));
    ASSERT_IN_RANGE(1, d, 0);
    ASSERT_EQ(4, ot_cases_nearest(&book, OT_MENDER_NEAREST, (const double[]){4.5, 1}, &d));
    ASSERT_IN_RANGE(1.5, d, 0);
    ASSERT_EQ(2, ot_cases_nearest(&book, OT_MENDER_LEARNED, (const double[]){10, 0.5}, &d));       /* a tie: the lower row */
    PASS();
}

TEST knn_by_hand(void)
{
    float  gain = NAN, offset = NAN;
    double work[4], d;
    ASSERT_EQ(4, ot_cases_knn(&book, (const double[]){3, 0}, 2, &gain, &offset, work, &d));        /* rows 4 at 1, 1 at 2: weights 2/3, 1/3 */
    ASSERT_IN_RANGE(1, d, 0);
    ASSERT_IN_RANGE(5 * 2 / 3.0 + 2 / 3.0, gain, 4e-7);
    ASSERT_IN_RANGE(-4 * 2 / 3.0 - 1 / 3.0, offset, 4e-7);
    ASSERT_EQ(1, ot_cases_knn(&book, (const double[]){1, 0}, 2, &gain, &offset, work, &d));        /* on a row: that row's knobs */
    ASSERT_IN_RANGE(2, gain, 4e-7);
    PASS();
}

TEST ridge_knobs_by_hand(void)
{
    const double         coef[] = {1, 0, 0, -1, 2, 0, 0, 3}, intercept[] = {1, 1, 0, 0.5};
    const ot_ridge_knobs m = {.l = 2, .p = 2, .coef = coef, .intercept = intercept};
    float                gain[2] = {NAN, NAN}, offset[2] = {NAN, NAN};
    ASSERT_EQ(1, ot_ridge_knobs_value(&m, (const double[]){0.5, 2}, gain, offset));
    CHECK_CLOSE(((const float[]){1.5F, 0.015625F}), gain, 2, 0);
    CHECK_CLOSE(((const float[]){1, 6.5F}), offset, 2, 0);
    PASS();
}

TEST moments_by_hand(void)
{
    const double     mean[] = {1, 1, 1, 1, 1}, sd[] = {2, 0, 2, 0.001, 1e300};
    const int32_t    mean_at[] = {0, 1, 2, 3, 4}, sd_at[] = {5, 6, 7, 8, 9};
    const ot_moments m = {.l = 5, .mean = mean, .sd = sd, .mean_at = mean_at, .sd_at = sd_at};
    const float      signature[] = {3, 3, 3, 3, 3, 4, 4, 0, 1, 1e-9F};
    float            gain[5], offset[5];
    check_poison(gain, 5), check_poison(offset, 5);
    ASSERT_EQ(1, ot_moments_knobs(&m, signature, gain, offset));
    CHECK_CLOSE(((const float[]){0.5F, 1, 1, 0.015625F, 1}), gain, 5, 0);          /* matched; no spread there, none here; held; no float */
    CHECK_CLOSE(((const float[]){3 - 1 / 0.5F, 0, 0, 3 - 64, 0}), offset, 5, 0);
    PASS();
}

/* A spiking network's: thresholds follow the spread, gains make it good, offsets are 0. */
TEST moments_of_spiking_layers_by_hand(void)
{
    const double     mean[] = {1, 1, 1, 1}, sd[] = {2, 0, 2, 128};
    const int32_t    mean_at[] = {0, 1, 2, 3}, sd_at[] = {4, 5, 6, 7};
    const float      signature[] = {3, 3, 3, 3, 4, 4, 0, 1};
    ot_moments       m = {.l = 4, .knobs = OT_KNOBS_THRESHOLD, .mean = mean, .sd = sd, .mean_at = mean_at, .sd_at = sd_at};
    float            gain[4], offset[4];
    check_poison(gain, 4), check_poison(offset, 4);
    ASSERT_EQ(1, ot_moments_knobs(&m, signature, gain, offset));
    CHECK_CLOSE(((const float[]){2, 1, 1, 0.015625F}), gain, 4, 0);
    CHECK_CLOSE(((const float[]){0, 0, 0, 0}), offset, 4, 0);
    m.knobs = OT_KNOBS_GAIN;
    check_poison(gain, 4), check_poison(offset, 4);
    ASSERT_EQ(0, ot_moments_knobs(&m, signature, gain, offset));
    CHECK_CLOSE(((const float[]){0.5F, 1, 1, 128}), gain, 4, 0);
    CHECK_CLOSE(((const float[]){0, 0, 0, 0}), offset, 4, 0);
    PASS();
}

TEST ladder_levels(void)
{
    const ot_ladder usual = OT_LADDER_INIT, two = {.bits = 1, .low = 0.5, .high = 2};
    static const struct { float v; int alpha, clamped; } rows[] = {
        {0.5F, 1, 0}, {0.484F, 1, 0}, {0.483F, 1, 1}, {1.5F, 32, 0}, {1.516F, 32, 0}, {1.517F, 32, 1}, {1, 17, 0}, {1.02F, 17, 0}, {-3, 1, 1},
        {NAN, 1, 1}, {INFINITY, 32, 1}, {-INFINITY, 1, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int clamped = 0;
        ASSERT_EQ(rows[i].alpha, ot_ladder_code(&usual, rows[i].v, &clamped));
        ASSERT_EQ(rows[i].clamped, clamped);
    }
    for (int alpha = 1, none = 0; alpha <= 32; alpha++) {
        ASSERT_IN_RANGE(0.5 + (alpha - 1) / 31.0, (double)ot_ladder_value(&usual, alpha), 1e-7);
        ASSERT_EQ(alpha, ot_ladder_code(&usual, ot_ladder_value(&usual, alpha), &none));
        ASSERT_EQ(0, none);
    }
    float gain[] = {1, 3, 0.9F, 1.3F, NAN}, same[] = {0.123F, 77};
    ASSERT_EQ(2, ot_ladder_round(&two, gain, 5));
    CHECK_CLOSE(((const float[]){0.5F, 2, 0.5F, 2, 0.5F}), gain, 5, 0);
    ASSERT_EQ(0, ot_ladder_round(&(ot_ladder){0}, same, 2));
    ASSERT(same[0] == 0.123F && same[1] == 77);
    ASSERT(ot_ladder_fits(&usual) && ot_ladder_fits(&(ot_ladder){0}) && !ot_ladder_fits(&(ot_ladder){17, 0.5, 1.5}) && !ot_ladder_fits(&(ot_ladder){5, 1.5, 0.5}));
    ASSERT(!ot_ladder_fits(&(ot_ladder){5, 0, 1}) && !ot_ladder_fits(&(ot_ladder){5, 0.5, NAN}) && !ot_ladder_fits(&(ot_ladder){-1, 0.5, 1}));
    PASS();
}

TEST knob_codes(void)
{
    static const struct { ot_knob which; float v; uint16_t code; int clamped; } rows[] = {
        {OT_KNOB_GAIN, 1, 4096, 0},          {OT_KNOB_GAIN, 0.015625F, 64, 0},      {OT_KNOB_GAIN, 0.0156F, 64, 0},      {OT_KNOB_GAIN, 0.0154F, 64, 1},
        {OT_KNOB_GAIN, 15.9998F, 65535, 0},  {OT_KNOB_GAIN, 16, 65535, 1},          {OT_KNOB_GAIN, -1, 64, 1},           {OT_KNOB_GAIN, NAN, 4096, 1},
        {OT_KNOB_GAIN, INFINITY, 65535, 1},  {OT_KNOB_GAIN, 4096.5F / 4096, 4096, 0}, {OT_KNOB_GAIN, 4097.5F / 4096, 4098, 0},
        {OT_KNOB_OFFSET, 0, 0, 0},           {OT_KNOB_OFFSET, -1, 65280, 0},        {OT_KNOB_OFFSET, 0.5F, 128, 0},      {OT_KNOB_OFFSET, -128, 32768, 0},
        {OT_KNOB_OFFSET, 127.996F, 32767, 0}, {OT_KNOB_OFFSET, 128, 32767, 1},      {OT_KNOB_OFFSET, -129, 32768, 1},    {OT_KNOB_OFFSET, NAN, 0, 1},
        {OT_KNOB_OFFSET, -INFINITY, 32768, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int clamped = 0;
        ASSERT_EQ_FMT((int)rows[i].code, (int)ot_knob_code(rows[i].which, rows[i].v, &clamped), "%d");
        ASSERT_EQ_FMT(rows[i].clamped, clamped, "%d");
    }
    for (int c = 0; c < 65536; c++) {                      /* every code stands for itself */
        int clamped = 0;
        if (c >= 64) ASSERT_EQ(c, ot_knob_code(OT_KNOB_GAIN, ot_knob_value(OT_KNOB_GAIN, (uint16_t)c), &clamped));
        ASSERT_EQ(c, ot_knob_code(OT_KNOB_OFFSET, ot_knob_value(OT_KNOB_OFFSET, (uint16_t)c), &clamped));
        ASSERT_EQ(0, clamped);
    }
    ASSERT_IN_RANGE(-0.25, ot_knob_value(OT_KNOB_OFFSET, 65472), 0);
    PASS();
}

TEST lengths_of_signatures(void)
{
    ASSERT_EQ(370, ot_layout_length(&(ot_layout){OT_SIGNATURE_FULL, 10, 27, 10, 0}));
    ASSERT_EQ(100, ot_layout_length(&(ot_layout){OT_SIGNATURE_FINAL, 10, 27, 10, 0}));
    ASSERT_EQ(424, ot_layout_length(&(ot_layout){OT_SIGNATURE_MOMENTS, 10, 27, 10, 0}));
    ASSERT_EQ(-1, ot_layout_length(&(ot_layout){OT_SIGNATURE_FULL, 0, 27, 10, 0}));
    ASSERT_EQ(-1, ot_layout_length(&(ot_layout){OT_SIGNATURE_FULL, INT32_MAX, INT32_MAX, INT32_MAX, 0}));
    PASS();
}

TEST names_go_both_ways(void)
{
    for (int i = 0; i < OT_MENDERS; i++) {
        ot_mender m;
        OK(ot_mender_parse(&m, ot_mender_name((ot_mender)i)));
        ASSERT_EQ(i, (int)m);
    }
    for (int i = 0; i < OT_SIGNATURE_KINDS; i++) {
        ot_signature_kind k;
        OK(ot_signature_kind_parse(&k, ot_signature_kind_name((ot_signature_kind)i)));
        ASSERT_EQ(i, (int)k);
    }
    ot_mender m;
    FAILS(OT_E_USAGE, "mender 'magic' is not known, want one of learned, nearest, knn, ridge, moments", ot_mender_parse(&m, "magic"));
    ASSERT_STR_EQ("?", ot_verdict_name((ot_verdict)9));
    PASS();
}

/* A recipe of 2 images, 2 layers, 3 classes that always predicts `intercept`; distance |x|; 3 chips. */
typedef struct small {
    recipe_made made;
    ot_floor   *floor;
    float       signature[16];
} small;

static ot_status small_open(small *s, ot_mender mender, ot_signature_kind kind, int after)
{
    recipe_plan plan = {.signature = kind, .images = 2, .relus = 2, .classes = 3, .features = 4, .predictor = OT_PREDICTOR_RIDGE, .screen = OT_SCREEN_MCD,
                        .mender = mender, .cases = 6, .clusters = 2, .after = after, .stimulus = 1, .seed = 3};
    void     *bytes = NULL;
    size_t    n = 0;
    s->floor = NULL;
    recipe_make(&s->made, &plan);
    ot_status st = ot_recipe_write(&bytes, &n, &s->made.r);
    if (st == OT_OK) st = ot_floor_read(&s->floor, bytes, n, "small");
    ot_free(bytes);
    recipe_signature(&s->made, s->signature);
    return st;
}

static void small_close(small *s)
{
    ot_floor_free(s->floor);
    recipe_unmake(&s->made);
}

TEST a_verdict_brings_its_knobs(void)
{
    small           s;
    ot_floor_result r;
    float           gain[2], offset[2], mended[2], moved[2];
    OK(small_open(&s, OT_MENDER_LEARNED, OT_SIGNATURE_FULL, 1));
    check_poison(gain, 2), check_poison(offset, 2);
    OK(ot_floor_set_cutoff(s.floor, 0));
    OK(ot_floor_screen(s.floor, OT_FLOOR_BEFORE, s.signature, &r, gain, offset));
    ASSERT_EQ(OT_VERDICT_PASS, r.verdict);
    CHECK_CLOSE(((const float[]){1, 1}), gain, 2, 0);
    CHECK_CLOSE(((const float[]){0, 0}), offset, 2, 0);
    OK(ot_floor_set_cutoff(s.floor, 1));
    OK(ot_floor_screen(s.floor, OT_FLOOR_BEFORE, s.signature, &r, gain, offset));
    ASSERT_EQ(OT_VERDICT_TUNE, r.verdict);
    ASSERT(r.nearest >= 0 && r.nearest < 6 && r.nearest_distance > 0);
    const ot_cases *c = &s.made.r.mending.cases;
    CHECK_CLOSE(c->gain + 2 * r.nearest, gain, 2, 0);
    CHECK_CLOSE(c->offset + 2 * r.nearest, offset, 2, 0);
    ot_floor_knobs(s.floor, mended, moved);
    CHECK_CLOSE(gain, mended, 2, 0);
    CHECK_CLOSE(offset, moved, 2, 0);
    ASSERT_IN_RANGE(r.predicted - 0.02, r.low, 0);
    ASSERT_IN_RANGE(r.predicted + 0.015, r.high, 0);
    check_poison(gain, 2);
    OK(ot_floor_screen(s.floor, OT_FLOOR_AFTER, s.signature, &r, gain, NULL));
    ASSERT_EQ(OT_VERDICT_FULL_TEST, r.verdict);            /* not tune: knobs are set */
    ASSERT(isnan(gain[0]) && isnan(gain[1]) && r.nearest == -1 && isnan(r.nearest_distance));
    small_close(&s);
    PASS();
}

/* What comes out is what the models' own functions say. */
TEST a_chip_is_judged_by_the_models(void)
{
    small           s;
    ot_floor_result r;
    float           gain[2], offset[2], want_gain[2], want_offset[2];
    double          x[4], work[16], d;
    for (int mender = 0; mender < OT_MENDERS; mender++) {
        OK(small_open(&s, (ot_mender)mender, OT_SIGNATURE_MOMENTS, 0));
        const ot_judge   *j = &s.made.r.before;
        const ot_mending *m = &s.made.r.mending;
        for (int i = 10; i < 14; i++) s.signature[i] = fabsf(s.signature[i]) + 0.1F;
        OK(ot_floor_set_cutoff(s.floor, 1));
        OK(ot_floor_screen(s.floor, OT_FLOOR_BEFORE, s.signature, &r, gain, offset));
        ot_features_apply(x, &j->features, s.signature);
        ASSERT_IN_RANGE(ot_predictor_value(&j->predictor, x), r.predicted, 0);
        ASSERT_IN_RANGE(sqrt(ot_screen_distance(&j->screen, x, work)), r.distance, 0);
        int row = mender == OT_MENDER_KNN ? ot_cases_knn(&m->cases, x, m->k, want_gain, want_offset, work, &d) : ot_cases_nearest(&m->cases, (ot_mender)mender, x, &d);
        ASSERT_EQ(row, r.nearest);
        ASSERT_IN_RANGE(d, r.nearest_distance, 0);
        if (mender == OT_MENDER_RIDGE) ot_ridge_knobs_value(&m->ridge, x, want_gain, want_offset);
        else if (mender == OT_MENDER_MOMENTS) ot_moments_knobs(&m->moments, s.signature, want_gain, want_offset);
        else if (mender == OT_MENDER_NONE) want_gain[0] = want_gain[1] = 1, want_offset[0] = want_offset[1] = 0;
        else if (mender != OT_MENDER_KNN) memcpy(want_gain, m->cases.gain + 2 * row, sizeof want_gain), memcpy(want_offset, m->cases.offset + 2 * row, sizeof want_offset);
        CHECK_CLOSE(want_gain, gain, 2, 0);
        CHECK_CLOSE(want_offset, offset, 2, 0);
        small_close(&s);
    }
    PASS();
}

TEST bad_signatures_get_no_verdict(void)
{
    static const struct { ot_signature_kind kind; int at; float v; const char *words; } rows[] = {
        {OT_SIGNATURE_FULL, 1, NAN, "number 1 (image 0, layer 1) is nan"}, {OT_SIGNATURE_FULL, 9, INFINITY, "number 9 (image 1, class 2) is inf"},
        {OT_SIGNATURE_FINAL, 4, -INFINITY, "number 4 (image 1, class 1) is -inf"},
        {OT_SIGNATURE_MOMENTS, 11, NAN, "number 11 (mean of layer 1) is nan"}, {OT_SIGNATURE_MOMENTS, 12, NAN, "number 12 (spread of layer 0) is nan"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        small           s;
        ot_floor_result r;
        memset(&r, 0x5a, sizeof r);
        ot_floor_result before = r;
        float           gain[2] = {-7, -7}, offset[2] = {-7, -7};
        OK(small_open(&s, OT_MENDER_NEAREST, rows[i].kind, 1));
        s.signature[rows[i].at] = rows[i].v;
        for (int when = 0; when < 2; when++)
            FAILS(OT_E_DATA, rows[i].words, ot_floor_screen(s.floor, (ot_floor_when)when, s.signature, &r, gain, offset));
        ASSERT_MEM_EQ(&before, &r, sizeof r);
        CHECK_CLOSE(((const float[]){-7, -7}), gain, 2, 0);
        CHECK_CLOSE(((const float[]){-7, -7}), offset, 2, 0);
        small_close(&s);
    }
    PASS();
}

TEST overflow_is_no_verdict(void)
{
    small           s;
    ot_floor_result r;
    float           gain[2], offset[2];
    OK(small_open(&s, OT_MENDER_NEAREST, OT_SIGNATURE_FULL, 0));
    double huge = s.floor->judge[0].predictor.ridge.intercept;
    s.floor->judge[0].predictor.ridge.intercept = INFINITY;
    FAILS(OT_E_DATA, "the recipe's models give accuracy inf", ot_floor_screen(s.floor, OT_FLOOR_BEFORE, s.signature, &r, gain, offset));
    s.floor->judge[0].predictor.ridge.intercept = huge;
    OK(ot_floor_screen(s.floor, OT_FLOOR_BEFORE, s.signature, &r, gain, offset));
    FAILS(OT_E_UNSUPPORTED, "no judge for chips with knobs set", ot_floor_screen(s.floor, OT_FLOOR_AFTER, s.signature, &r, gain, offset));
    ASSERT(!ot_floor_judge(s.floor, OT_FLOOR_AFTER));
    FAILS(OT_E_RANGE, "cutoff = 1.5", ot_floor_set_cutoff(s.floor, 1.5));
    FAILS(OT_E_RANGE, "cutoff = nan", ot_floor_set_cutoff(s.floor, NAN));
    small_close(&s);
    PASS();
}

TEST a_far_signature_with_knn_is_no_verdict(void)
{
    small           s;
    ot_floor_result r;
    float           gain[2], offset[2];
    OK(small_open(&s, OT_MENDER_KNN, OT_SIGNATURE_FULL, 0));
    float *x = (float *)(uintptr_t)s.floor->mending.cases.gain;
    for (int i = 0; i < 12; i++) x[i] = INFINITY;          /* as if the check at opening were not */
    FAILS(OT_E_DATA, "the mender 'knn' gives gain inf", ot_floor_screen(s.floor, OT_FLOOR_BEFORE, s.signature, &r, gain, offset));
    small_close(&s);
    PASS();
}

TEST another_networks_recipe_is_refused(void)
{
    small s;
    OK(small_open(&s, OT_MENDER_NEAREST, OT_SIGNATURE_FULL, 0));
    OK(ot_floor_expect(s.floor, "made by hand"));
    OK(ot_floor_expect(s.floor, "00000000"));
    FAILS(OT_E_MISMATCH, "for network 'made by hand'", ot_floor_expect(s.floor, "0000000"));       /* too short to be sure */
    FAILS(OT_E_MISMATCH, "want '00000001'", ot_floor_expect(s.floor, "00000001"));
    small_close(&s);
    PASS();
}

TEST screening_allocates_nothing(void)
{
    small           s;
    ot_floor_result r;
    float           gain[2], offset[2];
    for (int mender = 0; mender < OT_MENDERS; mender++) {
        OK(small_open(&s, (ot_mender)mender, OT_SIGNATURE_MOMENTS, 1));
        ot_memory before = ot_memory_now();
        for (int i = 0; i < 1000; i++) OK(ot_floor_screen(s.floor, (ot_floor_when)(i % 2), s.signature, &r, gain, offset));
        ot_memory after = ot_memory_now();
        ASSERT_EQ(before.calls, after.calls);
        ASSERT_EQ(before.live_bytes, after.live_bytes);
        small_close(&s);
    }
    PASS();
}

SUITE(test_floor)
{
    RUN_TEST(features_are_standardised);
    RUN_TEST(mars_by_hand);
    RUN_TEST(boosting_by_hand);
    RUN_TEST(ridge_by_hand);
    RUN_TEST(screen_by_hand);
    RUN_TEST(pca_screen_by_hand);
    RUN_TEST(bent_screens_by_hand);
    RUN_TEST(rules_by_table);
    RUN_TEST(casebook_by_hand);
    RUN_TEST(knn_by_hand);
    RUN_TEST(ridge_knobs_by_hand);
    RUN_TEST(moments_by_hand);
    RUN_TEST(moments_of_spiking_layers_by_hand);
    RUN_TEST(ladder_levels);
    RUN_TEST(knob_codes);
    RUN_TEST(lengths_of_signatures);
    RUN_TEST(names_go_both_ways);
    RUN_TEST(a_verdict_brings_its_knobs);
    RUN_TEST(a_chip_is_judged_by_the_models);
    RUN_TEST(bad_signatures_get_no_verdict);
    RUN_TEST(overflow_is_no_verdict);
    RUN_TEST(a_far_signature_with_knn_is_no_verdict);
    RUN_TEST(another_networks_recipe_is_refused);
    RUN_TEST(screening_allocates_nothing);
}

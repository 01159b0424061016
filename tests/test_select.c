/* test_select.c - correctness vectors, their tree and medoids against scipy and brute force; filters against scikit-image and scipy; the remix loop. */
#include "check.h"
#include "ohmtrim/select.h"

#include <math.h>
#include <string.h>

/* -- Correctness vectors -------------------------------------------------------------------------------------------- */

static ot_status golden_bits(ot_correctness **v)
{
    ot_array  a = {0};
    ot_status st = ot_npy_read(&a, check_golden("cluster/bits/packed.npy"));
    if (st != OT_OK) return st;
    st = ot_correctness_make(v, (int)a.dims[0], 100);
    const uint8_t *b = a.data;
    for (int i = 0; i < 400 && st == OT_OK; i++)
        for (int c = 0; c < 100; c++) ot_correctness_set(*v, i, c, b[i * 16 + c / 8] >> c % 8 & 1);
    ot_array_free(&a);
    return st;
}

/* Chips in groups that fail on the same images, and some noise. */
static ot_status made_bits(ot_correctness **v, int images, int chips, double wrong, uint64_t seed)
{
    check_rng r = {seed};
    ot_status st = ot_correctness_make(v, images, chips);
    for (int i = 0; i < images && st == OT_OK; i++) {
        const double hard = check_uniform(&r);
        for (int c = 0; c < chips; c++) ot_correctness_set(*v, i, c, check_uniform(&r) >= wrong * hard * (1 + c % 7) / 4);
    }
    return st;
}

TEST distances_are_hammings(void)
{
    ot_correctness *v;
    ot_array        h = {0};
    OK(golden_bits(&v));
    OK(ot_npy_read(&h, check_golden("cluster/bits/hamming.npy")));
    for (int i = 0, at = 0; i < 400; i++)
        for (int j = i + 1; j < 400; j++, at++) ASSERT_EQ(((const uint8_t *)h.data)[at], ot_correctness_distance(v, i, j));
    ot_array_free(&h);
    ot_correctness_free(v);
    PASS();
}

TEST bits_of_a_store_are_taken_as_packed(void)
{
    ot_correctness *v;
    uint8_t         right[2][2] = {{0x05, 0x02}, {0xff, 0x03}};
    OK(ot_correctness_make(&v, 10, 70));
    ot_correctness_chip(v, 0, right[0]);
    ot_correctness_chip(v, 69, right[1]);
    for (int i = 0; i < 10; i++) {
        ASSERT_EQ((uint64_t)(i == 0 || i == 2 || i == 9), v->bits[2 * i]);
        ASSERT_EQ((uint64_t)1 << 5, v->bits[2 * i + 1]);
    }
    ot_correctness_set(v, 2, 0, 0);
    ASSERT_EQ(0, (int)v->bits[4]);
    ASSERT_EQ(1, ot_correctness_distance(v, 0, 2));
    ot_correctness_free(v);
    PASS();
}

/* The same tree as of the points, where nothing is tied: many chips, few images. */
TEST the_tree_is_that_of_points(ot_linkage linkage)
{
    enum { N = 60, CHIPS = 4001 };
    ot_correctness *v;
    ot_merge        got[N - 1], want[N - 1];
    static double   points[N * CHIPS];
    OK(made_bits(&v, N, CHIPS, 1, 11));
    for (int i = 0; i < N; i++)
        for (int c = 0; c < CHIPS; c++) points[i * CHIPS + c] = (double)(v->bits[i * v->words + c / 64] >> c % 64 & 1);
    OK(ot_correctness_tree(got, v, linkage, 2));
    OK(ot_cluster_tree(want, points, N, CHIPS, linkage));
    int label[2][N];
    for (int m = 0; m < N - 1; m++) ASSERT_IN_RANGE(want[m].height, got[m].height, 2e-5 * want[m].height);       /* float32 sums of up to 60 merges */
    for (int k = 1; k <= N; k += 7) {
        ot_cluster_cut(label[0], want, N, k);
        ot_cluster_cut(label[1], got, N, k);
        ASSERT(!memcmp(label[0], label[1], sizeof label[0]));
    }
    ot_correctness_free(v);
    PASS();
}

TEST a_cut_of_tied_bits_is_as_good_as_scipys(void)
{
    ot_correctness *v;
    ot_selection   *s;
    ot_array        h = {0};
    static ot_merge merges[399];
    OK(golden_bits(&v));
    OK(ot_npy_read(&h, check_golden("cluster/bits/height.npy")));
    OK(ot_correctness_tree(merges, v, OT_WARD, 1));
    OK(ot_correctness_select(&s, v, merges, 10, 1));
    /* Of 200 orders of the images scipy's cuts are 5218.656 to 5276.114 (tolerance of the golden case: 1 % beyond). */
    ASSERT(s->within > 5218.656 * 0.99 && s->within < 5276.114 * 1.01);
    ASSERT_IN_RANGE(((const double *)h.data)[398], merges[398].height, 0.05 * merges[398].height);       /* ties: here 2.2 % apart */
    ot_selection_free(s);
    ot_array_free(&h);
    ot_correctness_free(v);
    PASS();
}

/* By definition, all pairs. */
static int check_selection(const ot_selection *s, const ot_correctness *v)
{
    double distance = 0, within = 0;
    int    images = 0;
    for (int k = 0; k < s->k; k++) {
        double least = INFINITY, squares = 0;
        int    medoid = -1, size = 0;
        for (int i = 0; i < s->images; i++) {
            double sum = 0;
            if (s->label[i] != k) continue;
            size++;
            for (int j = 0; j < s->images; j++)
                if (s->label[j] == k) sum += sqrt(ot_correctness_distance(v, i, j)), squares += ot_correctness_distance(v, i, j) / 2.0;
            if (sum < least * (1 - 1e-12)) least = sum, medoid = i;
        }
        if (s->medoid[k] != medoid || s->size[k] != size || !(fabs(s->spread[k] - least / size) <= 1e-9)) return 0;
        if (k && s->size[k] > s->size[k - 1]) return 0;
        distance += least, within += squares / size, images += size;
    }
    return images == s->images && fabs(distance / images - s->distance) <= 1e-9 && fabs(within - s->within) <= 1e-9 * (1 + within);
}

TEST medoids_are_as_defined(ot_linkage linkage)
{
    enum { N = 300 };
    ot_correctness *v;
    ot_selection   *s;
    static ot_merge merges[N - 1];
    for (int few = 0; few < 2; few++) {                              /* few chips: most vectors are equal */
        OK(made_bits(&v, N, few ? 3 : 40, 0.5, 5));
        OK(ot_correctness_tree(merges, v, linkage, 3));
        for (int k = 1; k <= N; k = k < 12 ? k + 3 : k * 2 + 4) {
            OK(ot_correctness_select(&s, v, merges, k, 2));
            ASSERT(check_selection(s, v));
            ot_selection_free(s);
        }
        OK(ot_correctness_select(&s, v, merges, N, 1));
        ASSERT(check_selection(s, v));
        ot_selection_free(s);
        ot_correctness_free(v);
    }
    PASS();
}

TEST threads_do_not_change_the_tree(void)
{
    enum { N = 500 };
    ot_correctness *v;
    static ot_merge one[N - 1], many[N - 1];
    OK(made_bits(&v, N, 130, 0.4, 8));
    OK(ot_correctness_tree(one, v, OT_WARD, 1));
    for (int t = 2; t < 9; t += 3) {
        memset(many, 0xff, sizeof many);
        OK(ot_correctness_tree(many, v, OT_WARD, t));
        for (int m = 0; m < N - 1; m++) ASSERT(one[m].a == many[m].a && one[m].b == many[m].b && one[m].size == many[m].size && one[m].height == many[m].height);
    }
    ot_correctness_free(v);
    PASS();
}

TEST nonsense_is_refused_and_edges_are_not(void)
{
    ot_correctness *v = NULL;
    ot_selection   *s = NULL;
    ot_merge        merges[8];
    ot_linkage      linkage;
    FAILS(OT_E_RANGE, "0 images on 3 chips", ot_correctness_make(&v, 0, 3));
    FAILS(OT_E_RANGE, "5 images on 0 chips", ot_correctness_make(&v, 5, 0));
    FAILS(OT_E_USAGE, "linkage 'single' is not known", ot_linkage_parse(&linkage, "single"));
    OK(ot_linkage_parse(&linkage, "complete"));
    ASSERT_EQ(OT_COMPLETE, linkage);
    OK(ot_correctness_make(&v, 5, 3));                                /* all alike: every chip wrong on every image */
    OK(ot_correctness_tree(merges, v, OT_WARD, 0));
    for (int m = 0; m < 4; m++) ASSERT(merges[m].height == 0);
    FAILS(OT_E_RANGE, "k = 6, want 1..5", ot_correctness_select(&s, v, merges, 6, 1));
    FAILS(OT_E_RANGE, "k = 0", ot_correctness_select(&s, v, merges, 0, 1));
    OK(ot_correctness_select(&s, v, merges, 3, 1));
    ASSERT(check_selection(s, v) && s->distance == 0 && s->within == 0);
    ot_selection_free(s);
    ot_correctness_free(v);
    OK(ot_correctness_make(&v, 1, 3));
    OK(ot_correctness_tree(merges, v, OT_WARD, 0));
    OK(ot_correctness_select(&s, v, merges, 1, 1));
    ASSERT(s->medoid[0] == 0 && s->size[0] == 1);
    ot_selection_free(s);
    ot_correctness_free(v);
    PASS();
}

/* -- Filters -------------------------------------------------------------------------------------------------------- */

static const struct { const char *name; ot_filter f; } golden[] = {
    {"gaussian_0", {OT_GAUSSIAN, 0.8}}, {"gaussian_1", {OT_GAUSSIAN, 1.5}}, {"median_2", {OT_MEDIAN, 3}}, {"median_3", {OT_MEDIAN, 5}}, {"box_4", {OT_BOX, 3}},
    {"box_5", {OT_BOX, 5}}, {"brightness_6", {OT_BRIGHTNESS, 0.6}}, {"brightness_7", {OT_BRIGHTNESS, 1.4}}, {"contrast_8", {OT_CONTRAST, 0.5}},
    {"contrast_9", {OT_CONTRAST, 1.6}}, {"gamma_10", {OT_GAMMA, 0.7}}, {"gamma_11", {OT_GAMMA, 1.8}}, {"hue_12", {OT_HUE, 0.1}}, {"hue_13", {OT_HUE, -0.23}},
    {"hue_14", {OT_HUE, 0.5}}, {"saturation_15", {OT_SATURATION, 0.4}}, {"saturation_16", {OT_SATURATION, 1.7}}};

static ot_status shared_array(ot_array *a, const char *name, const char *suffix)
{
    char path[128];
    snprintf(path, sizeof path, "golden/filters/%s%s.npy", name, suffix);
    return ot_npy_read(a, check_shared(path));
}

enum { MOST = 3 * 32 * 32 };
/* (h, w, c) as the golden images are -> (c, h, w). */
#define PLANAR(TO, FROM, H, W) \
    for (int i_ = 0; i_ < (H) * (W); i_++) \
        for (int c_ = 0; c_ < 3; c_++) (TO)[c_ * (H) * (W) + i_] = (FROM)[3 * i_ + c_]

TEST filters_are_those_of_the_references(int which)
{
    ot_array tiny = {0}, want = {0};
    double   x[MOST], y[MOST], v[MOST];
    if (!check_shared("golden/filters/tiny.npy")) SKIPm("no shared golden data");
    OK(shared_array(&tiny, "tiny", ""));
    OK(shared_array(&want, golden[which].name, "_tiny"));
    for (int image = 0; image < 2; image++) {
        PLANAR(x, (const uint8_t *)tiny.data + image * 3 * 9 * 13, 9, 13);
        PLANAR(v, (const double *)want.data + image * 3 * 9 * 13, 9, 13);
        for (int i = 0; i < 3 * 9 * 13; i++) x[i] /= 255, y[i] = NAN;
        OK(ot_filter_values(y, x, 3, 9, 13, golden[which].f));
        for (int i = 0; i < 3 * 9 * 13; i++) ASSERT_IN_RANGE(v[i], y[i], 1e-12);         /* the golden case's tolerance */
    }
    ot_array_free(&want);
    ot_array_free(&tiny);
    PASS();
}

TEST and_their_bytes(int which)
{
    static const struct { const char *name; int h, w; } sets[] = {{"synthetic", 16, 20}, {"cifar", 32, 32}};
    if (!check_shared("golden/filters/tiny.npy")) SKIPm("no shared golden data");
    for (int k = 0; k < 2; k++) {
        ot_array  in = {0}, want = {0};
        char      suffix[16];
        const int h = sets[k].h, w = sets[k].w, n = 3 * h * w;
        uint8_t   x[MOST], y[MOST], v[MOST];
        double    values[MOST], exact[MOST];
        snprintf(suffix, sizeof suffix, "_%s", sets[k].name);
        OK(shared_array(&in, sets[k].name, ""));
        OK(shared_array(&want, golden[which].name, suffix));
        for (int image = 0; image < 4; image++) {
            PLANAR(x, (const uint8_t *)in.data + image * n, h, w);
            PLANAR(v, (const uint8_t *)want.data + image * n, h, w);
            for (int i = 0; i < n; i++) values[i] = x[i] / 255.0, y[i] = 77;
            OK(ot_filter_pixels(y, x, 3, h, w, golden[which].f));
            OK(ot_filter_values(exact, values, 3, h, w, golden[which].f));
            for (int i = 0; i < n; i++) {
                const double tie = fabs(255 * exact[i] - floor(255 * exact[i]) - 0.5);
                ASSERT(y[i] == v[i] || (tie < 1e-9 && abs(y[i] - v[i]) == 1));
            }
        }
        ot_array_free(&want);
        ot_array_free(&in);
    }
    PASS();
}

TEST grey_images_keep_their_colour(void)
{
    enum { H = 7, W = 5 };
    check_rng r = {3};
    double    x[3 * H * W], y[3 * H * W], grey[H * W];
    for (int i = 0; i < H * W; i++) x[i] = x[H * W + i] = x[2 * H * W + i] = check_uniform(&r);
    for (int kind = 0; kind < OT_FILTERS; kind++) {
        const ot_filter f = {(ot_filter_kind)kind, kind == OT_MEDIAN || kind == OT_BOX ? 3 : 0.7};
        OK(ot_filter_values(y, x, 3, H, W, f));
        OK(ot_filter_values(grey, x, 1, H, W, f));
        for (int i = 0; i < 3 * H * W; i++) ASSERT_IN_RANGE(grey[i % (H * W)], y[i], 1e-15);
        if (kind == OT_HUE || kind == OT_SATURATION)
            for (int i = 0; i < H * W; i++) ASSERT_IN_RANGE(x[i], grey[i], 1e-15);
    }
    for (int i = 0; i < H * W; i++) x[i] = 0.25;                      /* one grey: no neighbourhood changes it */
    for (int kind = OT_GAUSSIAN; kind <= OT_BOX; kind++) {
        OK(ot_filter_values(grey, x, 1, H, W, (ot_filter){(ot_filter_kind)kind, kind == OT_GAUSSIAN ? 10 : 15}));
        for (int i = 0; i < H * W; i++) ASSERT_IN_RANGE(0.25, grey[i], 1e-15);
    }
    PASS();
}

TEST filters_refuse_nonsense(void)
{
    double x[12] = {0}, y[12];
    FAILS(OT_E_RANGE, "gaussian of strength 0,", ot_filter_values(y, x, 1, 3, 4, (ot_filter){OT_GAUSSIAN, 0}));
    FAILS(OT_E_RANGE, "gaussian of strength 11", ot_filter_values(y, x, 1, 3, 4, (ot_filter){OT_GAUSSIAN, 11}));
    FAILS(OT_E_RANGE, "median of 4 x 4 pixels, want an odd", ot_filter_values(y, x, 1, 3, 4, (ot_filter){OT_MEDIAN, 4}));
    FAILS(OT_E_RANGE, "box of strength 17", ot_filter_values(y, x, 1, 3, 4, (ot_filter){OT_BOX, 17}));
    FAILS(OT_E_RANGE, "gamma of strength -1", ot_filter_values(y, x, 1, 3, 4, (ot_filter){OT_GAMMA, -1}));
    FAILS(OT_E_RANGE, "hue of strength nan", ot_filter_values(y, x, 1, 3, 4, (ot_filter){OT_HUE, NAN}));
    FAILS(OT_E_SHAPE, "image of 2 x 2 x 3", ot_filter_values(y, x, 2, 2, 3, (ot_filter){OT_HUE, 0.1}));
    FAILS(OT_E_RANGE, "filter number 9", ot_filter_values(y, x, 1, 3, 4, (ot_filter){(ot_filter_kind)9, 1}));
    PASS();
}

TEST draws_are_the_seeds(void)
{
    int seen[OT_FILTERS] = {0};
    for (uint32_t i = 0; i < 2000; i++) {
        ot_filter f = ot_filter_random(7, 3, i, i % 2 ? 3 : 1), again = ot_filter_random(7, 3, i, i % 2 ? 3 : 1);
        double    x[3] = {0.1, 0.5, 0.9}, y[3];
        ASSERT(f.kind == again.kind && f.strength == again.strength);
        ASSERT(i % 2 || f.kind < OT_HUE);
        OK(ot_filter_values(y, x, 3, 1, 1, f));                       /* every strength is allowed */
        seen[f.kind]++;
    }
    for (int k = 0; k < OT_FILTERS; k++) ASSERT(seen[k] > (k < OT_HUE ? 220 : 90));        /* 1,000 among six, 1,000 among eight: 292 and 125 expected */
    ASSERT(ot_filter_random(8, 3, 0, 3).strength != ot_filter_random(7, 3, 0, 3).strength);
    PASS();
}

/* -- The remix loop -------------------------------------------------------------------------------------------------- */

enum { CHIPS = 60, Q = 3, PIXELS = 16, TESTS = 40, ROUNDS = 20 };
static double  accuracy[CHIPS];
static uint8_t test_pixels[TESTS * PIXELS];
static int32_t test_labels[TESTS];

typedef struct asked { int calls, images; uint8_t last[PIXELS]; int repeats; } asked;      /* repeats: last image as the time before */

/* Chips that see an image the dimmer the worse they are: bright images tell more. */
static ot_status answer(void *user, const ot_images *m, uint8_t *right, float *responses)
{
    asked *a = user;
    const uint8_t *last = m->pixels + (m->n - 1) * PIXELS;
    a->calls++, a->images += m->n, a->repeats += !memcmp(a->last, last, PIXELS);
    memcpy(a->last, last, PIXELS);
    for (int c = 0; c < CHIPS; c++)
        for (int i = 0; i < m->n; i++) {
            double sum = 0;
            for (int k = 0; k < PIXELS; k++) sum += m->pixels[i * PIXELS + k] / 255.0 / PIXELS;
            check_rng r = {(uint64_t)(c * 1000003 + (int)(1e6 * sum))};
            right[c * m->n + i] = accuracy[c] * (0.5 + sum) > 0.8 * check_uniform(&r);
            for (int q = 0; q < Q; q++) responses[(c * m->n + i) * Q + q] = (float)(accuracy[c] * sum + 0.05 * check_normal(&r));
        }
    return OT_OK;
}

static ot_data made_data(void)
{
    check_rng r = {21};
    for (int i = 0; i < TESTS * PIXELS; i++) test_pixels[i] = (uint8_t)(60 * check_uniform(&r) + 4 * (i / PIXELS));
    for (int i = 0; i < TESTS; i++) test_labels[i] = i % 10;
    for (int c = 0; c < CHIPS; c++) accuracy[c] = 0.5 + 0.45 * check_uniform(&r);
    return (ot_data){.name = "made", .n = TESTS, .c = 1, .h = 4, .w = 4, .classes = 10, .pixels = test_pixels, .labels = test_labels};
}

static ot_remix_options remix_options(void)
{
    ot_remix_options o = ot_remix_defaults();
    o.k = 4, o.candidates = 12, o.predictor = ot_predictor_defaults(OT_PREDICTOR_RIDGE), o.seed = 5;
    return o;
}

static ot_status first_images(ot_images *m, const ot_data *test)
{
    ot_status st = ot_images_make(m, 4, 1, 4, 4);
    for (int i = 0; i < 4 && st == OT_OK; i++) {
        memcpy(m->pixels + i * PIXELS, test->pixels + i * PIXELS, PIXELS);
        m->labels[i] = test->labels[i], m->number[i] = i;
        snprintf(m->what[i], OT_WHAT, "test image %d", i);
    }
    return st;
}

static int same_images(const ot_images *a, const ot_images *b)
{
    return a->n == b->n && !memcmp(a->pixels, b->pixels, (size_t)a->n * PIXELS) && !memcmp(a->what, b->what, (size_t)a->n * OT_WHAT) &&
           !memcmp(a->labels, b->labels, (size_t)a->n * 4) && !memcmp(a->number, b->number, (size_t)a->n * 4);
}

TEST a_loop_goes_on_where_it_was(void)
{
    const ot_data    test = made_data();
    ot_remix_options o = remix_options();
    asked            how = {0};
    ot_population    p = {.chips = CHIPS, .q = Q, .accuracy = accuracy, .answer = answer, .user = &how};
    ot_images        first;
    ot_remix         r, copy;
    OK(first_images(&first, &test));
    OK(ot_remix_start(&r, &first, &p, &o));
    ASSERT(r.round == 0 && r.rmse == r.best_rmse && same_images(&r.kept, &first) && same_images(&r.best, &first));
    double least = r.rmse;
    for (int round = 1; round <= ROUNDS; round++) {
        OK(ot_remix_round(&r, &test, &p, &o));
        ASSERT_EQ(round, r.round);
        least = fmin(least, r.rmse);
        ASSERT(r.best_rmse == least);
        if (r.best_round == round) ASSERT(same_images(&r.kept, &r.best));
        if (round == 5) {                                             /* taken out, as a file would hold it */
            copy = r;
            OK(ot_images_make(&copy.kept, 4, 1, 4, 4));
            OK(ot_images_make(&copy.best, 4, 1, 4, 4));
            for (int i = 0; i < 4; i++) ot_images_copy(&copy.kept, i, &r.kept, i), ot_images_copy(&copy.best, i, &r.best, i);
        }
    }
    ASSERT(r.best_round > 0 && r.best_rmse < 0.8 * 0.13);             /* sd of the accuracies: 0.13; it learns something */
    ASSERT_EQ(1 + ROUNDS, how.calls);
    ASSERT_EQ(4 + ROUNDS * 16, how.images);
    ASSERT_EQ(0, how.repeats);                                        /* other candidates every round */
    for (int round = 6; round <= ROUNDS; round++) OK(ot_remix_round(&copy, &test, &p, &o));
    ASSERT(copy.rmse == r.rmse && copy.best_rmse == r.best_rmse && same_images(&copy.kept, &r.kept) && same_images(&copy.best, &r.best));
    /* Every image says where it is from: making it again gives it. */
    for (int i = 0; i < 4; i++) {
        char      name[20];
        int       number;
        ot_filter f;
        uint8_t   again[PIXELS];
        if (sscanf(r.best.what[i], "test image %d, %19s %lf", &number, name, &f.strength) != 3) continue;
        ASSERT_EQ(r.best.number[i], number);
        for (f.kind = OT_GAUSSIAN; strcmp(name, ot_filter_name(f.kind)); f.kind++) ASSERT(f.kind < OT_FILTERS - 1);
        OK(ot_filter_pixels(again, test.pixels + number * PIXELS, 1, 4, 4, f));
        ASSERT(!memcmp(again, r.best.pixels + i * PIXELS, PIXELS));
    }
    ot_remix_free(&copy);
    ot_remix_free(&r);
    ot_images_free(&first);
    PASS();
}

TEST loops_refuse_nonsense(void)
{
    ot_data          test = made_data();
    ot_remix_options o = remix_options();
    asked            how = {0};
    ot_population    p = {.chips = CHIPS, .q = Q, .accuracy = accuracy, .answer = answer, .user = &how};
    ot_images        first;
    ot_remix         r;
    OK(first_images(&first, &test));
    o.k = 5;
    FAILS(OT_E_RANGE, "4 images to begin with, want k = 5", ot_remix_start(&r, &first, &p, &o));
    o.k = 4, p.chips = 9;
    FAILS(OT_E_RANGE, "9 chips, want at least 10", ot_remix_start(&r, &first, &p, &o));
    p.chips = CHIPS;
    OK(ot_remix_start(&r, &first, &p, &o));
    o.candidates = 0;
    FAILS(OT_E_RANGE, "candidates = 0", ot_remix_round(&r, &test, &p, &o));
    o = remix_options();
    test.pixels = NULL;
    FAILS(OT_E_DATA, "images of floats", ot_remix_round(&r, &test, &p, &o));
    test = made_data(), test.h = 2, test.w = 8;
    FAILS(OT_E_SHAPE, "images of 1 x 2 x 8", ot_remix_round(&r, &test, &p, &o));
    ASSERT_EQ(0, r.round);
    ot_remix_free(&r);
    ot_images_free(&first);
    PASS();
}

TEST every_failed_allocation_is_reported_and_nothing_changes(void)
{
    const ot_data    test = made_data();
    ot_remix_options o = remix_options();
    asked            how = {0};
    ot_population    p = {.chips = CHIPS, .q = Q, .accuracy = accuracy, .answer = answer, .user = &how};
    ot_images        first;
    ot_remix         r = {0};
    OK(first_images(&first, &test));
    o.threads = 1;
    size_t live = ot_memory_now().live;
    for (int n = 1;; n++) {
        ot_memory_fail_at((size_t)n);
        ot_status st = ot_remix_start(&r, &first, &p, &o);
        ot_memory_fail_at(0);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT_EQ(live, ot_memory_now().live);
        ASSERT(n < 2000);
    }
    live = ot_memory_now().live;
    for (int n = 1;; n++) {
        ot_memory_fail_at((size_t)n);
        ot_status st = ot_remix_round(&r, &test, &p, &o);
        ot_memory_fail_at(0);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT(r.round == 0 && same_images(&r.kept, &first));
        ASSERT_EQ(live, ot_memory_now().live);
        ASSERT(n < 2000);
    }
    ASSERT_EQ(1, r.round);
    ot_remix_free(&r);
    ot_images_free(&first);
    PASS();
}

SUITE(test_select)
{
    RUN_TEST(distances_are_hammings);
    RUN_TEST(bits_of_a_store_are_taken_as_packed);
    for (int l = OT_WARD; l <= OT_COMPLETE; l++) RUN_TESTp(the_tree_is_that_of_points, (ot_linkage)l);
    RUN_TEST(a_cut_of_tied_bits_is_as_good_as_scipys);
    for (int l = OT_WARD; l <= OT_COMPLETE; l++) RUN_TESTp(medoids_are_as_defined, (ot_linkage)l);
    RUN_TEST(threads_do_not_change_the_tree);
    RUN_TEST(nonsense_is_refused_and_edges_are_not);
    for (int i = 0; i < (int)(sizeof golden / sizeof *golden); i++) {
        RUN_TESTp(filters_are_those_of_the_references, i);
        RUN_TESTp(and_their_bytes, i);
    }
    RUN_TEST(grey_images_keep_their_colour);
    RUN_TEST(filters_refuse_nonsense);
    RUN_TEST(draws_are_the_seeds);
    RUN_TEST(a_loop_goes_on_where_it_was);
    RUN_TEST(loops_refuse_nonsense);
    RUN_TEST(every_failed_allocation_is_reported_and_nothing_changes);
}

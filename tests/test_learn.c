/* test_learn.c - judges, guard bands, books, chips from several places: definitions by brute force, promises on made-up populations, bad input. */
#include "check.h"
#include "ohmtrim/learn.h"

#include <math.h>
#include <string.h>

/* -- A population: signatures that tell the accuracy up to noise ----------------------------------------------------- */

enum { S = 6, L = 2 };

static void make(float *signature, double *accuracy, int n, uint64_t seed)
{
    check_rng r = {seed};
    for (int i = 0; i < n; i++) {
        const double bad = fabs(check_normal(&r));
        for (int k = 0; k < S; k++) signature[i * S + k] = (float)((k % 2 ? 1 : -1) * bad + 0.3 * check_normal(&r) + 0.2 * k);
        accuracy[i] = fmin(1, fmax(0, 0.95 - 0.05 * bad + 0.004 * check_normal(&r)));
    }
}

static ot_learn_options ridge(void)
{
    ot_learn_options o = ot_learn_defaults();
    o.predictor = ot_predictor_defaults(OT_PREDICTOR_RIDGE);
    return o;
}

/* -- Judges ------------------------------------------------------------------------------------------------------- */

TEST errors_are_those_of_chips_not_seen(void)
{
    enum { N = 120, FIRST = 50 };
    float       s[N * S];
    double      a[N];
    ot_learned *l = NULL;
    make(s, a, N, 3);
    for (int i = 0; i < FIRST; i++) a[i] = 0.5;                       /* teachers of another kind: their errors are not counted */
    ot_learn_options o = ridge();
    o.first = FIRST;
    OK(ot_judge_learn(&l, s, a, N, S, &o));
    double sum = 0, square = 0, size = 0;
    int    out = 0;
    for (int i = FIRST; i < N; i++) sum += l->predicted[i] - a[i];
    for (int i = FIRST; i < N; i++) square += pow(l->predicted[i] - a[i] - sum / (N - FIRST), 2);
    ASSERT_IN_RANGE(sum / (N - FIRST), l->cv.mean, 1e-12);
    ASSERT_IN_RANGE(sqrt(square / (N - FIRST)), l->cv.sd, 1e-12);
    for (int i = FIRST; i < N; i++) {                                 /* paper 002's error: of the chips it was fitted to */
        double x[S];
        ot_features_apply(x, &l->judge.features, s + i * S);
        size += fabs(ot_predictor_value(&l->judge.predictor, x) - a[i]);
        out += a[i] < l->predicted[i] + l->judge.low || a[i] > l->predicted[i] + l->judge.high;
    }
    ASSERT_IN_RANGE(size / (N - FIRST), l->error_mean, 1e-12);
    ASSERT(out >= 2 && out <= 5);                                     /* 5 % of 70 lie outside, give or take an interpolated quantile */
    ot_learned_free(l);
    PASS();
}

TEST predictions_stay_inside_what_was_learned(void)
{
    enum { N = 60 };
    float     s[N * S];
    double    a[N], least = 1, most = 0, x[S];
    ot_learned *l = NULL;
    make(s, a, N, 3);
    for (int i = 0; i < N; i++) least = fmin(least, a[i]), most = fmax(most, a[i]);
    OK(ot_judge_learn(&l, s, a, N, S, NULL));
    const ot_predictor *m = &l->judge.predictor;
    ASSERT(m->holds && m->least == least && m->most == most);
    for (int i = 0; i < N; i++) ASSERT(l->predicted[i] >= least && l->predicted[i] <= most);         /* of folds: inside a part of that */
    for (int side = -1; side <= 1; side += 2) {
        for (int k = 0; k < S; k++) x[k] = 1000.0 * side * (k % 2 ? 1 : -1);
        ASSERT(ot_predictor_value(m, x) == (side < 0 ? most : least) || ot_predictor_value(m, x) == (side < 0 ? least : most));
    }
    x[0] = NAN;
    for (int k = 1; k < S; k++) x[k] = NAN;
    ASSERT(isnan(ot_predictor_value(m, x)));                          /* a NaN is not hidden by a bound */
    ot_learned_free(l);
    PASS();
}

/* The same chip measured with five sets of knobs: what one row knows of another is not knowledge of new chips. */
TEST rows_of_one_chip_stay_in_one_fold(void)
{
    enum { CHIPS = 40, TIMES = 5, N = CHIPS * TIMES };
    float     s[N * S];
    double    a[N], p[N];
    int       chip[N];
    check_rng r = {9};
    for (int i = 0; i < N; i++) {
        const int c = i % CHIPS;
        chip[i] = 1000 - 7 * c;
        for (int k = 0; k < S; k++) s[i * S + k] = i < CHIPS ? (float)check_normal(&r) : s[c * S + k];
        a[i] = i < CHIPS ? 0.5 + 0.1 * check_normal(&r) : a[c];       /* nothing to learn but the chip itself */
    }
    ot_predictor_options o = ot_predictor_defaults(OT_PREDICTOR_BOOST);
    ot_cross_validation  alone, together;
    OK(ot_predictor_cross_validate(&alone, p, s, a, N, S, 5, 1, &o));
    OK(ot_predictor_cross_validate_groups(&together, p, s, a, chip, N, S, 5, 1, &o));
    ASSERT(alone.r2 > 0.8);
    ASSERT(together.r2 < 0.2);
    FAILS(OT_E_RANGE, "folds = 41, want 2..40", ot_predictor_cross_validate_groups(&together, p, s, a, chip, N, S, 41, 1, &o));
    for (int i = 0; i < N; i++) chip[i] = i;                          /* each its own: as without groups */
    double q[N];
    OK(ot_predictor_cross_validate(&alone, p, s, a, N, S, 5, 1, &o));
    OK(ot_predictor_cross_validate_groups(&together, q, s, a, chip, N, S, 5, 1, &o));
    ASSERT(!memcmp(p, q, sizeof p));
    PASS();
}

/* -- Guard bands -------------------------------------------------------------------------------------------------- */

/* A judge of which only the out-of-fold numbers count. */
static void fake(ot_learned *l, double *predicted, double *accuracy, int n, uint64_t seed)
{
    check_rng r = {seed};
    for (int i = 0; i < n; i++) accuracy[i] = 0.8 + 0.15 * check_uniform(&r), predicted[i] = accuracy[i] + 0.01 * check_normal(&r) * (1 + 3 * (accuracy[i] < 0.87));
    *l = (ot_learned){.n = n, .predicted = predicted, .accuracy = accuracy, .cv = {.sd = 0.0125}, .error_mean = 0.01, .error_sd = 0.003};
}

static int bad_that_pass(const double *predicted, const double *accuracy, int n, double cutoff, double guard)
{
    int bad = 0;
    for (int i = 0; i < n; i++) bad += accuracy[i] < cutoff && predicted[i] >= cutoff + guard;
    return bad;
}

TEST guards_are_as_defined(void)
{
    enum { N = 500 };
    double     p[N], a[N], g;
    ot_learned l;
    fake(&l, p, a, N, 4);
    OK(ot_rule_guard(&g, &l, OT_RULE_000, 0.88, 3, 0.01));
    ASSERT_IN_RANGE(0.0375, g, 1e-15);
    OK(ot_rule_guard(&g, &l, OT_RULE_002, 0.88, 3, 0.01));
    ASSERT_IN_RANGE(0.016, g, 1e-15);
    for (int k = 1; k <= 40; k++) {
        const double escape = k / 100.0, may = floor(escape / 2 * (N + 1)) - 1;
        OK(ot_rule_guard(&g, &l, OT_RULE_CONFORMAL, 0.88, 2, escape));
        ASSERT(bad_that_pass(p, a, N, 0.88, g) <= may);
        ASSERT(g == 0 || bad_that_pass(p, a, N, 0.88, g - 1e-9) > may);        /* the least one */
    }
    for (int i = 0; i < N; i++) a[i] = 0.9;
    OK(ot_rule_guard(&g, &l, OT_RULE_CONFORMAL, 0.88, 2, 0.01));
    ASSERT(g == 0);                                                   /* no bad chip, no guard band */
    PASS();
}

/* The promise: over many lots, a new chip is bad and passes with probability escape / 2 at most. */
TEST the_promise_of_conformal_is_kept(double escape, int n)
{
    enum { LOTS = 3000, MOST = 500 };
    double     p[MOST], a[MOST], new_p[1], new_a[1], g;
    ot_learned l, one;
    int        bad = 0;
    for (int lot = 0; lot < LOTS; lot++) {
        fake(&l, p, a, n, 100 + 2 * (uint64_t)lot);
        OK(ot_rule_guard(&g, &l, OT_RULE_CONFORMAL, 0.88, 2, escape));
        fake(&one, new_p, new_a, 1, 101 + 2 * (uint64_t)lot);
        bad += bad_that_pass(new_p, new_a, 1, 0.88, g);
    }
    const double rate = (double)bad / LOTS, sd = sqrt(escape / 2 * (1 - escape / 2) / LOTS);
    ASSERT(rate <= escape / 2 + 3 * sd);
    ASSERT(rate >= escape / 2 - 2.0 / n - 3 * sd);                    /* and it is not bought by passing nothing: the bound is sharp up to 1 / (n + 1) */
    PASS();
}

TEST guards_refuse_nonsense(void)
{
    double     p[100], a[100], g;
    ot_learned l;
    fake(&l, p, a, 100, 4);
    FAILS(OT_E_RANGE, "cutoff = 1.5, want 0..1", ot_rule_guard(&g, &l, OT_RULE_000, 1.5, 2, 0.1));
    FAILS(OT_E_RANGE, "cutoff = nan", ot_rule_guard(&g, &l, OT_RULE_000, NAN, 2, 0.1));
    FAILS(OT_E_RANGE, "k = -1, want 0..100", ot_rule_guard(&g, &l, OT_RULE_000, 0.5, -1, 0.1));
    FAILS(OT_E_RANGE, "escape = 0, want more than 0", ot_rule_guard(&g, &l, OT_RULE_CONFORMAL, 0.5, 2, 0));
    FAILS(OT_E_RANGE, "escape = 0.01 with 100 chips, want at least 199 chips", ot_rule_guard(&g, &l, OT_RULE_CONFORMAL, 0.5, 2, 0.01));
    FAILS(OT_E_RANGE, "rule number 7", ot_rule_guard(&g, &l, (ot_rule_kind)7, 0.5, 2, 0.1));
    PASS();
}

/* -- Chips from several places ------------------------------------------------------------------------------------- */

TEST those_with_knobs_come_first(void)
{
    float    s[4 * S], gain[2 * L] = {1, 2, 3, 4}, offset[2 * L] = {5, 6, 7, 8};
    double   a[4] = {0.1, 0.2, 0.3, 0.4};
    int      chip[2] = {70, 60};
    ot_chips all, parts[3] = {{.n = 1, .s = S, .signature = s, .accuracy = a},
                              {.n = 0},
                              {.n = 2, .s = S, .l = L, .signature = s + S, .accuracy = a + 1, .gain = gain, .offset = offset, .n_knobs = 2, .chip = chip}};
    for (int i = 0; i < 4 * S; i++) s[i] = (float)i;
    OK(ot_chips_join(&all, parts, 3));
    ASSERT_EQ(3, all.n);
    ASSERT_EQ(2, all.n_knobs);
    ASSERT_EQ(S, all.s);
    ASSERT_EQ(L, all.l);
    ASSERT(all.accuracy[0] == 0.2 && all.accuracy[1] == 0.3 && all.accuracy[2] == 0.1);
    ASSERT(!memcmp(all.signature, s + S, 2 * S * sizeof *s) && !memcmp(all.signature + 2 * S, s, S * sizeof *s));
    ASSERT(!memcmp(all.gain, gain, sizeof gain) && !memcmp(all.offset, offset, sizeof offset));
    ASSERT(all.chip[0] == 70 && all.chip[1] == 60 && all.chip[2] < 0);
    ot_chips_free(&all);
    parts[0].s = S - 1;
    FAILS(OT_E_SHAPE, "signatures of 5 numbers and of 6", ot_chips_join(&all, parts, 3));
    parts[0] = parts[2], parts[0].l = 1;
    FAILS(OT_E_SHAPE, "1 knob pairs a chip and 2", ot_chips_join(&all, parts, 3));
    parts[0] = parts[2], parts[0].n_knobs = 1;
    FAILS(OT_E_SHAPE, "knobs of 1 of 2 chips", ot_chips_join(&all, parts, 3));
    PASS();
}

/* -- Books -------------------------------------------------------------------------------------------------------- */

enum { N = 100, T = 60 };
typedef struct lot {
    float    s[N * S], ts[T * S], os[T * S], gain[N * L], offset[N * L];
    double   a[N], ta[T], oa[T];
    ot_chips untuned, tuned, others;
} lot;

static void lot_make(lot *b)
{
    check_rng r = {12};
    make(b->s, b->a, N, 5), make(b->ts, b->ta, T, 6), make(b->os, b->oa, T, 7);
    for (int i = 0; i < T; i++) b->ta[i] = fmin(1, b->ta[i] + 0.03);
    for (int i = 0; i < N * L; i++) b->gain[i] = (float)(1 + 0.1 * check_normal(&r)), b->offset[i] = (float)(0.1 * check_normal(&r));
    b->untuned = (ot_chips){.n = N, .s = S, .l = L, .signature = b->s, .accuracy = b->a, .gain = b->gain, .offset = b->offset, .n_knobs = N};
    b->tuned = (ot_chips){.n = T, .s = S, .signature = b->ts, .accuracy = b->ta};
    b->others = (ot_chips){.n = T, .s = S, .signature = b->os, .accuracy = b->oa};
}

static ot_book_options options(void)
{
    ot_book_options o = ot_book_defaults();
    o.learn = ridge(), o.cutoff = 0.9, o.escape = 0.2;
    return o;
}

TEST the_second_judge_is_measured_on_tuned_chips(void)
{
    static lot      b;
    ot_book        *book = NULL;
    ot_book_options o = options();
    double          g;
    lot_make(&b);
    OK(ot_book_learn(&book, &b.untuned, NULL, NULL, &o));
    ASSERT(!book->after && book->rule.guard == book->rule.guard_after && book->mending.cases.n == N);
    ot_book_free(book);
    OK(ot_book_learn(&book, &b.untuned, &b.tuned, NULL, &o));         /* untuned ones teach */
    ASSERT_EQ(N + T, book->after->n);
    ASSERT_EQ(N, book->after->first);
    ot_book_free(book);
    OK(ot_book_learn(&book, &b.untuned, &b.tuned, &b.others, &o));    /* others teach instead */
    ASSERT_EQ(2 * T, book->after->n);
    ASSERT_EQ(T, book->after->first);
    ASSERT(!memcmp(book->after->accuracy, b.oa, sizeof b.oa) && !memcmp(book->after->accuracy + T, b.ta, sizeof b.ta));
    OK(ot_rule_guard(&g, book->after, OT_RULE_000, 0.9, 2, 0.2));
    ASSERT(g == book->rule.guard_after && g != book->rule.guard);
    ot_recipe r = {0};
    ot_book_recipe(&r, book);
    ASSERT(r.has_after && r.rule.cutoff == 0.9 && r.mending.cases.gain == book->mending.cases.gain);
    ot_book_free(book);
    PASS();
}

TEST menders_get_what_they_look_in(void)
{
    static lot      b;
    ot_book        *book = NULL;
    ot_book_options o = options();
    float           ideal[2 * L] = {0.1F, 0.2F, 1, 2};
    lot_make(&b);
    o.mender = OT_MENDER_RIDGE;
    OK(ot_book_learn(&book, &b.untuned, NULL, NULL, &o));
    ASSERT(book->mending.ridge.coef && book->mending.ridge.l == L);
    ot_book_free(book);
    o.mender = OT_MENDER_MOMENTS;
    FAILS(OT_E_DATA, "the mender moments wants signatures that end in moments", ot_book_learn(&book, &b.untuned, NULL, NULL, &o));
    o.ideal = ideal;
    OK(ot_book_learn(&book, &b.untuned, NULL, NULL, &o));
    ASSERT(book->mending.moments.mean[1] == (double)0.2F && book->mending.moments.sd[0] == 1 && book->mending.moments.mean_at[0] == S - 2 * L &&
           book->mending.moments.sd_at[1] == S - 1);
    ot_book_free(book);
    b.untuned.n_knobs = 0;
    for (int m = 0; m < 4; m++) {
        o.mender = (ot_mender)m;
        FAILS(OT_E_DATA, "no knobs of tuned chips", ot_book_learn(&book, &b.untuned, NULL, NULL, &o));
    }
    o.mender = OT_MENDER_NONE;
    OK(ot_book_learn(&book, &b.untuned, NULL, NULL, &o));
    ASSERT(!book->casebook && book->mending.kind == OT_MENDER_NONE);
    ot_book_free(book);
    PASS();
}

TEST books_refuse_nonsense(void)
{
    static lot      b;
    ot_book        *book = NULL;
    ot_book_options o = options();
    lot_make(&b);
#define BAD(STATUS, WORDS) FAILS(STATUS, WORDS, ot_book_learn(&book, &b.untuned, &b.tuned, &b.others, &o)); lot_make(&b), o = options()
    o.cutoff = NAN;                             BAD(OT_E_RANGE, "cutoff = nan");
    b.tuned.s = S - 1;                          BAD(OT_E_SHAPE, "signatures of tuned chips have 5 numbers, of untuned ones 6");
    b.others.s = S - 1;                         BAD(OT_E_SHAPE, "signatures of tuned chips have 5");
    for (int i = 0; i < N; i++) b.a[i] = 0.5;
    BAD(OT_E_DATA, "all 100 chips have the accuracy 0.5");
    b.a[17] = 1.5;                              BAD(OT_E_DATA, "accuracy of chip 17 is 1.5");
    b.s[3 * S + 1] = NAN;                       BAD(OT_E_DATA, "signature 3, number 1 is nan");
    b.gain[5] = INFINITY;                       BAD(OT_E_DATA, "gain");
    o.learn.folds = 1;                          BAD(OT_E_RANGE, "folds = 1");
    b.untuned.n = b.untuned.n_knobs = 9;        BAD(OT_E_RANGE, "9 chips to learn from");
    b.tuned.n = 9;                              BAD(OT_E_RANGE, "9 chips from number 60 on");
    o.rule = OT_RULE_CONFORMAL, o.escape = 0.01; BAD(OT_E_RANGE, "want at least 199 chips");
#undef BAD
    PASS();
}

TEST every_failed_allocation_of_a_book_is_reported(void)
{
    static lot      b;
    ot_book_options o = options();
    lot_make(&b);
    o.learn.screen = ot_screen_defaults(OT_SCREEN_MCD);
    o.learn.screen.threads = o.learn.predictor.threads = 1;
    size_t live = ot_memory_now().live;
    for (int n = 1, step = 1;; n += step) {
        ot_book *book = NULL;
        ot_memory_fail_at((size_t)n);
        ot_status st = ot_book_learn(&book, &b.untuned, &b.tuned, &b.others, &o);
        ot_memory_fail_at(0);
        ot_book_free(book);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT(n < 100000);
        if (n > 40) step = n / 10;                                    /* all of the first, then some of the screens' many */
    }
    PASS();
}

SUITE(test_learn)
{
    RUN_TEST(errors_are_those_of_chips_not_seen);
    RUN_TEST(predictions_stay_inside_what_was_learned);
    RUN_TEST(rows_of_one_chip_stay_in_one_fold);
    RUN_TEST(guards_are_as_defined);
    RUN_TESTp(the_promise_of_conformal_is_kept, 0.1, 99);
    RUN_TESTp(the_promise_of_conformal_is_kept, 0.04, 500);
    RUN_TEST(guards_refuse_nonsense);
    RUN_TEST(those_with_knobs_come_first);
    RUN_TEST(the_second_judge_is_measured_on_tuned_chips);
    RUN_TEST(menders_get_what_they_look_in);
    RUN_TEST(books_refuse_nonsense);
    RUN_TEST(every_failed_allocation_of_a_book_is_reported);
}

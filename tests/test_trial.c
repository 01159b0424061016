/* test_trial.c - trials of policies on chips, their table, verification and successive halving.  The network is the golden T-ReLU one. */
#include "base/file.h"
#include "trelu.h"
#include "tune/lab.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { L = 6, IMAGES = 32, STEPS = 6, EVERY = 4, POINTS = 3 };

static const ot_device steep = {.name = "steep", .g = {1e-4, 1e-6}, .n_poly = {3, 2}, .poly = {{1, 0.9, 0.2}, {1, -0.8}}, .domain = 0.15,
                                .g_min = 1e-9, .g_max = 1e-2, .s = {6, -5.3}, .valid_min = -0.15};

typedef struct bench { ot_network *net; ot_data data; ot_trial_task task; } bench;

static ot_status bench_open(bench *b)
{
    *b = (bench){.task = ot_trial_defaults()};
    ot_status st = trelu_open(&b->net, &b->data);
    b->task.net = b->net, b->task.device = &steep, b->task.train = b->task.judge = &b->data;
    b->task.backend = "ref", b->task.steps = STEPS, b->task.every = EVERY, b->task.threads = 1;
    b->task.tune.minibatch = 10, b->task.tune.images = 8, b->task.tune.polish_images = 16;
    return st;
}
static void bench_close(bench *b) { trelu_close(b->net, &b->data); }

static ot_candidate candidate(const char *policy, const char *optimizer)
{
    ot_candidate c = {0};
    if (ot_policy_read(&c.policy, policy) != OT_OK || ot_optimizer_parse(&c.optimizer, &c.momentum, optimizer) != OT_OK) abort();
    return c;
}

static const char *scratch(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    return path;
}
static char *contents(const char *path)
{
    void  *text = NULL;
    size_t n;
    return ot__file_read(&text, &n, path, 1 << 20) == OT_OK ? text : NULL;
}
static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

/* ---- trials ---- */

/* What ot_tune_adam gives, counted at the steps on the way. */
TEST a_trial_is_tuning_watched(ot_tuner tuner)
{
    bench        b;
    ot_lab      *lab;
    ot_candidate c[2] = {candidate("COS k1=0.05 l=100%", "adam"), candidate("EXP k0=0.02 gamma=0.5", "momentum")};
    ot_score     s[2];
    OK(bench_open(&b));
    b.task.tuner = tuner;
    OK(ot_lab_open(&lab, &b.task));
    ASSERT_EQ(POINTS, ot_lab_points(lab));
    ASSERT(ot_lab_at(lab, 0) == 0 && ot_lab_at(lab, 1) == EVERY && ot_lab_at(lab, 2) == STEPS);
    memset(s, 0x7f, sizeof s);
    OK(ot_trials_run(s, lab, c, 2, 2, 0.5));
    for (int i = 0; i < 2; i++) {
        ot_backend     *be;
        ot_plan        *plan;
        ot_chip        *chip;
        ot_tuning      *tuning;
        ot_plan_options how = OT_PLAN_OPTIONS_INIT;
        ot_tune_options opt = b.task.tune;
        ot_tune_cost    cost;
        float           gain[L], offset[L];
        int64_t         right = 0, sum = 0, before = 0;
        opt.steps = opt.polish_steps = STEPS;
        opt.policy = c[i].policy, opt.optimizer = c[i].optimizer, opt.momentum = c[i].momentum;
        how.use = OT_PLAN_TUNE;
        OK(ot_backend_open(&be, "ref", NULL));
        OK(ot_plan_open(&plan, be, b.net, &how));
        OK(ot_tuning_open(&tuning, plan, &b.data, &opt));
        OK(ot_chip_draw(&chip, b.net, &steep, &b.task.variation, 0));
        for (uint32_t k = 0; k < 2; k++) {
            OK(ot_chip_redraw(chip, k));
            OK(ot_plan_load(plan, chip));
            OK(ot_plan_set_knobs(plan, NULL, NULL));
            if (tuner == OT_TUNER_CLOSED_FORM_ADAM) OK(ot_tuning_run(tuning, OT_TUNER_CLOSED_FORM, plan, NULL, NULL, gain, offset, NULL, &cost));
            OK(ot_plan_count(plan, &b.data, NULL, IMAGES, &right, NULL));
            before += right;
            OK(ot_tuning_run(tuning, tuner, plan, NULL, NULL, gain, offset, NULL, &cost));
            OK(ot_plan_count(plan, &b.data, NULL, IMAGES, &right, NULL));
            sum += right;
        }
        ASSERT_IN_RANGE((double)sum / (2 * IMAGES), s[i].after, 1e-15);
        ASSERT_IN_RANGE((double)before / (2 * IMAGES), s[i].before, 1e-15);
        /* the subset's tenth is 3 images */
        ASSERT_IN_RANGE(STEPS * (tuner == OT_TUNER_SUBSET ? 3.0 : 10.0), s[i].images, 0);
        ASSERT(s[i].chips == 2 && s[i].fresh == 2 && s[i].seconds > 0 && s[i].worst <= s[i].after);
        ot_chip_free(chip);
        ot_tuning_free(tuning);
        ot_plan_free(plan);
        ot_backend_close(be);
    }
    ot_lab_close(lab);
    bench_close(&b);
    PASS();
}

TEST threads_change_no_score(void)
{
    bench        b;
    ot_lab      *lab;
    ot_candidate c[3] = {candidate("FIX k0=0.05", "adam"), candidate("TRI k0=0.01 k1=0.1 l=25%", "sgd"), candidate("SIN2 k1=0.1 l=50%", "momentum")};
    ot_score     one[3], three[3];
    double       a[POINTS], d[POINTS];
    OK(bench_open(&b));
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_trials_run(one, lab, c, 3, 3, 0.4));
    OK(ot_trials_curve(a, lab, &c[2], 3));
    ot_lab_close(lab);
    b.task.threads = 3;
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_trials_run(three, lab, c, 3, 3, 0.4));
    OK(ot_trials_curve(d, lab, &c[2], 3));
    ot_lab_close(lab);
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(one[i].after, three[i].after);
        ASSERT_EQ(one[i].before, three[i].before);
        ASSERT_EQ(one[i].worst, three[i].worst);
        ASSERT(one[i].to_target == three[i].to_target && one[i].at_target == three[i].at_target);
        ASSERT_EQ(one[0].before, one[i].before);
    }
    ASSERT_MEM_EQ(a, d, sizeof a);
    bench_close(&b);
    PASS();
}

/* ---- the table ---- */

TEST what_the_table_has_is_not_run_again(void)
{
    bench        b;
    ot_lab      *lab;
    ot_candidate c[2] = {candidate("FIX(k0=0.05)@50%, NSTEP(k0=0.05 gamma=0.1 l=[1,2])", "adam"), candidate("FIX k0=0.01", "sgd")}, none = {.optimizer = OT_OPTIMIZER_SGD};
    ot_score     first[2], again[2];
    OK(bench_open(&b));
    b.task.table = scratch("t.csv");
    unlink(b.task.table);
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_trials_run(first, lab, c, 2, 2, NAN));
    ot_lab_close(lab);
    char *was = contents(b.task.table);
    ASSERT_EQ(5, lines(was));
    ASSERT(strstr(was, "\"FIX(k0=0.05)@50%, NSTEP(k0=0.05 gamma=0.1 l=[1,2])\",6,4,0,32,"));
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_trials_run(again, lab, c, 2, 2, NAN));
    ASSERT(first[0].fresh == 2 && again[0].fresh == 0 && again[1].fresh == 0);
    ASSERT(first[0].after == again[0].after && first[1].worst == again[1].worst && first[0].images == again[0].images);
    ASSERT_IN_RANGE(first[0].seconds, again[0].seconds, 1e-4);             /* the table has four places */
    ASSERT(again[0].to_target == -1 && isnan(again[0].target_images));
    OK(ot_trials_run(again, lab, &none, 1, 2, NAN));                     /* no policy is FIX at the task's rate */
    ASSERT_EQ(0, again[0].fresh);
    char *is = contents(b.task.table);
    ASSERT_STR_EQ(was, is);
    OK(ot_trials_run(again, lab, c, 2, 3, NAN));                         /* a chip more */
    ASSERT(again[0].fresh == 1 && again[0].chips == 3);
    ot_lab_close(lab);
    ot_free(is);
    b.task.steps = STEPS + 1;                                            /* another budget is another trial */
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_trials_run(again, lab, &c[1], 1, 1, NAN));
    ASSERT_EQ(1, again[0].fresh);
    ot_lab_close(lab);
    b.task.steps = STEPS;
    b.task.variation.sigma = 0.02;                                       /* other chips, too */
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_trials_run(again, lab, &c[1], 1, 1, NAN));
    ASSERT_EQ(1, again[0].fresh);
    ot_lab_close(lab);
    ot_free(was);
    bench_close(&b);
    PASS();
}

TEST a_line_cut_short_by_a_kill_is_run_again(void)
{
    bench        b;
    ot_lab      *lab;
    ot_candidate c = candidate("FIX k0=0.05", "adam");
    ot_score     s;
    OK(bench_open(&b));
    b.task.table = scratch("cut.csv");
    unlink(b.task.table);
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_trials_run(&s, lab, &c, 1, 2, NAN));
    ot_lab_close(lab);
    char *text = contents(b.task.table);
    const size_t n = strlen(text), head = (size_t)(strchr(text, '\n') + 1 - text);
    const size_t cuts[] = {n - 1, n - 30, head, head - 1, 5, 0};
    const int    left[] = {1, 1, 2, 2, 2, 2};
    for (int i = 0; i < 6; i++) {
        double after = s.after;
        OK(ot__file_write(b.task.table, text, cuts[i]));
        OK(ot_lab_open(&lab, &b.task));
        OK(ot_trials_run(&s, lab, &c, 1, 2, NAN));
        ot_lab_close(lab);
        ASSERT_EQ(left[i], s.fresh);
        ASSERT_EQ(after, s.after);
        char *now = contents(b.task.table);
        ASSERT_EQ(3, lines(now));
        ASSERT(now[strlen(now) - 1] == '\n');
        ot_free(now);
        OK(ot_lab_open(&lab, &b.task));                        /* and is whole */
        OK(ot_trials_run(&s, lab, &c, 1, 2, NAN));
        ot_lab_close(lab);
        ASSERT_EQ(0, s.fresh);
    }
    ot_free(text);
    bench_close(&b);
    PASS();
}

TEST a_file_that_is_no_table_names_its_line(const char *line, const char *words)
{
    bench   b;
    ot_lab *lab;
    char    text[4096];
    OK(bench_open(&b));
    OK(ot_lab_open(&lab, &b.task));
    snprintf(text, sizeof text, "task,optimizer,momentum,policy,steps,every,chip,judged,right,images,seconds\nother,adam,0,x,1,1,0,1,x,0,0\n");
    const int own = *line == 'K';                              /* K: the task's own key */
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s\n", own ? ot_lab_key(lab) : "", line + own);
    ot_lab_close(lab);
    b.task.table = scratch("bad.csv");
    OK(ot__file_write(b.task.table, text, strlen(text)));
    FAILS(OT_E_FORMAT, words, ot_lab_open(&lab, &b.task));
    ASSERT(strstr(ot_last_error(), "bad.csv"));
    char *is = contents(b.task.table);
    ASSERT_STR_EQ(text, is);                                   /* it stays as it is */
    ot_free(is);
    bench_close(&b);
    PASS();
}

TEST files_of_others_are_left_alone(void)
{
    bench   b;
    ot_lab *lab;
    OK(bench_open(&b));
    b.task.table = scratch("others.csv");
    OK(ot__file_write(b.task.table, "a,b\n1,2", 7));
    FAILS(OT_E_FORMAT, "no table of trials", ot_lab_open(&lab, &b.task));
    OK(ot__file_write(b.task.table, "task\0optimizer\n", 15));
    FAILS(OT_E_FORMAT, "0 bytes", ot_lab_open(&lab, &b.task));
    b.task.table = "/nosuchfolder/t.csv";
    FAILS(OT_E_WRITE, "/nosuchfolder/t.csv", ot_lab_open(&lab, &b.task));
    bench_close(&b);
    PASS();
}

/* ---- scores by hand ---- */

/* A table in which candidate i gets right[i][chip][point] of 32. */
static ot_status table_of(bench *b, const ot_candidate *c, int n, int chips, const uint8_t right[][4][POINTS])
{
    ot_lab *lab;
    char    text[16384] = "task,optimizer,momentum,policy,steps,every,chip,judged,right,images,seconds\n", policy[OT_POLICY_TEXT];
    b->task.table = NULL;
    ot_status st = ot_lab_open(&lab, &b->task);
    if (st != OT_OK) return st;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < chips; k++) {
            ot_policy_write(policy, &c[i].policy);
            snprintf(text + strlen(text), sizeof text - strlen(text), "\"%s\",%s,%g,\"%s\",%d,%d,%d,32,%d %d %d,60,0.5\n", ot_lab_key(lab),
                     ot_optimizer_name(c[i].optimizer, c[i].momentum), c[i].momentum, policy, STEPS, EVERY, k, right[i][k][0], right[i][k][1], right[i][k][2]);
        }
    ot_lab_close(lab);
    b->task.table = scratch("made.csv");
    return ot__file_write(b->task.table, text, strlen(text));
}

TEST scores_are_those_of_the_answers(void)
{
    static const uint8_t right[1][4][POINTS] = {{{8, 16, 24}, {0, 16, 32}, {16, 32, 16}}};
    bench        b;
    ot_lab      *lab;
    ot_candidate c = candidate("COS k1=0.1 l=100%", "momentum");
    ot_score     s;
    double       curve[POINTS];
    OK(bench_open(&b));
    OK(table_of(&b, &c, 1, 3, right));
    OK(ot_lab_open(&lab, &b.task));
    static const struct { double target; int64_t at; int chips; double images; } row[] = {
        {0.25, 0, 3, 0}, {0.26, 4, 3, 40}, {64 / 96.0, 4, 2, 40}, {0.7, 6, 2, 60}, {0.76, -1, 1, NAN}, {NAN, -1, 0, NAN}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        OK(ot_trials_run(&s, lab, &c, 1, 3, row[i].target));
        ASSERT_EQ(0, s.fresh);
        ASSERT_IN_RANGE(24 / 96.0, s.before, 0);
        ASSERT_IN_RANGE(72 / 96.0, s.after, 0);
        ASSERT_IN_RANGE(0.5, s.worst, 0);
        ASSERT_IN_RANGE(0.5, s.seconds, 1e-15);
        ASSERT_EQ(row[i].at, s.to_target);
        ASSERT_EQ(row[i].chips, s.at_target);
        ASSERT_IN_RANGE(60, s.images, 1e-13);
        if (isnan(row[i].images)) ASSERT(isnan(s.target_images));
        else ASSERT_IN_RANGE(row[i].images, s.target_images, 1e-13);
    }
    OK(ot_trials_curve(curve, lab, &c, 3));
    ASSERT(curve[0] == 24 / 96.0 && curve[1] == 64 / 96.0 && curve[2] == 72 / 96.0);
    FAILS(OT_E_RANGE, "was not tried on chip 3", ot_trials_curve(curve, lab, &c, 4));
    ot_lab_close(lab);
    bench_close(&b);
    PASS();
}

TEST candidates_are_compared_chip_by_chip(void)
{
    static const uint8_t right[2][4][POINTS] = {{{0, 0, 20}, {0, 0, 24}, {0, 0, 22}}, {{0, 0, 16}, {0, 0, 23}, {0, 0, 21}}};
    bench        b;
    ot_lab      *lab;
    ot_candidate c[2] = {candidate("FIX k0=0.1", "adam"), candidate("FIX k0=0.2", "adam")};
    double       mean, error;
    OK(bench_open(&b));
    OK(table_of(&b, c, 2, 3, right));
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_trials_compare(&mean, &error, lab, &c[0], &c[1], 3));          /* differences 4, 1, 1: mean 2, sd sqrt 3 */
    ASSERT_IN_RANGE(2 / 32.0, mean, 1e-15);
    ASSERT_IN_RANGE(1 / 32.0, error, 1e-15);
    OK(ot_trials_compare(&mean, &error, lab, &c[1], &c[0], 1));
    ASSERT(mean == -4 / 32.0 && isnan(error));
    FAILS(OT_E_RANGE, "adam 0 FIX k0=0.1 was not tried on chip 3", ot_trials_compare(&mean, &error, lab, &c[0], &c[1], 4));
    ot_lab_close(lab);
    bench_close(&b);
    PASS();
}

/* Target 24 of 32.  On the first chip: 3 at once, 1 and 4 at iteration 4 (4 ends higher), 2 last, 0 and 5 never.  Half of six and the
 * first: 3, 4, 0.  On two chips 3 loses the target, so 4, 0 go on, and 4 stays ahead on all four. */
TEST successive_halving_keeps_the_better_half_and_the_first(void)
{
    static const uint8_t right[6][4][POINTS] = {
        {{8, 9, 10}, {8, 9, 10}, {8, 9, 11}, {8, 9, 11}}, {{8, 24, 25}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},   {{8, 10, 24}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
        {{24, 25, 26}, {0, 1, 2}, {1, 1, 1}, {1, 1, 1}},  {{8, 24, 30}, {0, 24, 30}, {0, 25, 31}, {0, 8, 31}}, {{8, 9, 23}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}}};
    bench        b;
    ot_lab      *lab;
    ot_candidate c[6];
    ot_score     s[6];
    int          order[6];
    OK(bench_open(&b));
    for (int i = 0; i < 6; i++) {
        char text[32];
        snprintf(text, sizeof text, "FIX k0=0.0%d", i + 1);
        c[i] = candidate(text, "adam");
    }
    OK(table_of(&b, c, 6, 4, right));
    OK(ot_lab_open(&lab, &b.task));
    memset(order, 0x7f, sizeof order), memset(s, 0x7f, sizeof s);
    OK(ot_recommend(s, order, lab, c, 6, 1, 4, 0.75));
    static const int want[6] = {4, 0, 3, 1, 2, 5}, chips[6] = {4, 1, 1, 2, 4, 1};
    for (int i = 0; i < 6; i++) {
        ASSERT_EQ(want[i], order[i]);
        ASSERT_EQ(chips[i], s[i].chips);
        ASSERT_EQ(0, s[i].fresh);
    }
    ASSERT(s[4].to_target == 6 && s[0].to_target == -1 && s[3].to_target == -1);
    OK(ot_recommend(s, order, lab, c, 6, 1, 4, NAN));                    /* by the end: 4, 3, 1, (2), 5, 0; then 4, 3 fall apart on chip 1 */
    ASSERT(order[0] == 4 && order[1] == 0 && order[2] == 3 && order[3] == 1 && order[4] == 2 && order[5] == 5);
    OK(ot_recommend(s, order, lab, c, 5, 1, 4, NAN));                    /* of five, three go on, then two */
    int on[5] = {0};
    for (int i = 0; i < 5; i++) on[s[i].chips]++;
    ASSERT(on[1] == 2 && on[2] == 1 && on[4] == 2);
    OK(ot_recommend(s, order, lab, c, 1, 1, 1, NAN));
    ASSERT_EQ(0, order[0]);
    FAILS(OT_E_RANGE, "first = 5 chips, want 1..4", ot_recommend(s, order, lab, c, 6, 5, 4, NAN));
    FAILS(OT_E_RANGE, "0 candidates", ot_recommend(s, order, lab, c, 0, 1, 4, NAN));
    ot_lab_close(lab);
    bench_close(&b);
    PASS();
}

/* Networks of the same numbers that compute something else are other tasks. */
TEST a_task_is_named_by_all_that_its_network_does(void)
{
    bench   b;
    ot_lab *lab;
    char    key[4][2048];
    OK(bench_open(&b));
    for (int k = 0; k < 4; k++) {
        if (k == 1) OK(ot_network_quantise_relu(b.net, 1, 7, 0.25));
        if (k == 2) OK(ot_network_quantise_relu(b.net, 1, 127, 0.25));
        if (k == 3) OK(ot_network_quantise_relu(b.net, 1, 0, 0));
        OK(ot_lab_open(&lab, &b.task));
        snprintf(key[k], sizeof key[k], "%s", ot_lab_key(lab));
        ot_lab_close(lab);
    }
    ASSERT(strcmp(key[0], key[1]) && strcmp(key[0], key[2]) && strcmp(key[1], key[2]));
    ASSERT_STR_EQ(key[0], key[3]);
    b.task.every = INT_MAX;                                  /* counted at the beginning and at the end */
    OK(ot_lab_open(&lab, &b.task));
    ASSERT_EQ(2, ot_lab_points(lab));
    ot_lab_close(lab);
    bench_close(&b);
    PASS();
}

TEST the_recommended_is_run_where_it_has_to_be(void)
{
    bench        b;
    ot_lab      *lab;
    ot_candidate c[4] = {candidate("FIX k0=0.01", "adam"), candidate("FIX k0=0.05", "adam"), candidate("FIX k0=1e-6", "adam"), candidate("FIX k0=1e-7", "sgd")};
    ot_score     s[4];
    int          order[4], fresh = 0;
    OK(bench_open(&b));
    OK(ot_lab_open(&lab, &b.task));
    OK(ot_recommend(s, order, lab, c, 4, 1, 3, NAN));
    for (int i = 0; i < 4; i++) fresh += s[i].fresh;
    ASSERT_EQ(4 + 2 + 2, fresh);                               /* one chip each, a second for two, a third for the same two */
    ASSERT(order[0] < 2 && order[1] < 2 && s[0].chips == 3);
    ot_lab_close(lab);
    bench_close(&b);
    PASS();
}

TEST tasks_that_do_not_go_say_why(void)
{
    bench   b;
    ot_lab *lab;
#define BAD(words, ...)                                       \
    do {                                                      \
        OK(bench_open(&b));                                   \
        __VA_ARGS__;                                          \
        FAILS(OT_E_RANGE, words, ot_lab_open(&lab, &b.task)); \
        bench_close(&b);                                      \
    } while (0)
    BAD("steps = 0", b.task.steps = 0);
    BAD("every = 0", b.task.every = 0);
    BAD("trials of the tuner ridge, want exhaustive", b.task.tuner = OT_TUNER_RIDGE);
    BAD("minibatch = 0", b.task.tune.minibatch = 0);
    BAD("sigma = 1", b.task.variation.sigma = 1);
    BAD("threads = -1", b.task.threads = -1);
    OK(bench_open(&b));
    b.task.memory = 1000;
    ASSERT_EQ(OT_E_MEMORY_PLAN, ot_lab_open(&lab, &b.task));
    b.task.memory = (size_t)1 << 30;
    OK(ot_lab_open(&lab, &b.task));
    ot_candidate c = candidate("FIX k0=0.01", "sgd");
    ot_score     s;
    c.momentum = 1;
    FAILS(OT_E_RANGE, "momentum = 1", ot_trials_run(&s, lab, &c, 1, 1, NAN));
    c = candidate("FIX(k0=1)@5, FIX(k0=1)@10%, FIX(k0=2)", "sgd");
    FAILS(OT_E_RANGE, "boundary 2 is at 0.6 after 5", ot_trials_run(&s, lab, &c, 1, 1, NAN));
    FAILS(OT_E_RANGE, "0 chips", ot_trials_run(&s, lab, &c, 1, 0, NAN));
    ot_lab_close(lab);
    ot_lab_close(NULL);
    bench_close(&b);
    PASS();
}

TEST every_failed_allocation_is_reported_and_nothing_leaks(void)
{
    bench        b;
    ot_candidate c[2] = {candidate("COS k1=0.05 l=100%", "adam"), candidate("FIX k0=0.01", "momentum")};
    OK(bench_open(&b));
    b.task.steps = 2, b.task.every = 1;
    for (size_t n = 1;; n++) {
        ot_lab   *lab = NULL;
        ot_score  s[2];
        int       order[2];
        b.task.table = scratch("oom.csv");
        unlink(b.task.table);
        size_t live = ot_memory_now().live;
        ot_memory_fail_at(n);
        ot_status st = ot_lab_open(&lab, &b.task);
        if (st == OT_OK) st = ot_recommend(s, order, lab, c, 2, 1, 2, NAN);
        ot_memory_fail_at(0);
        ot_lab_close(lab);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) {
            ASSERT_GT(n, 40);
            break;
        }
        ASSERT_EQ(OT_E_NOMEM, st);
    }
    bench_close(&b);
    PASS();
}

SUITE(test_trial)
{
    RUN_TEST1(a_trial_is_tuning_watched, OT_TUNER_EXHAUSTIVE);
    RUN_TEST1(a_trial_is_tuning_watched, OT_TUNER_SUBSET);
    RUN_TEST1(a_trial_is_tuning_watched, OT_TUNER_CLOSED_FORM_ADAM);
    RUN_TEST(threads_change_no_score);
    RUN_TEST(what_the_table_has_is_not_run_again);
    RUN_TEST(a_line_cut_short_by_a_kill_is_run_again);
    static const char *const bad[][2] = {
        {"only,three,fields", "line 3: not 11 fields"},
        {"K,adam,0,FIX k0=1,6,4,0,32,1 2 3,60,0.5,more", "line 3: not 11 fields"},
        {"\"open,adam,0,FIX k0=1,6,4,0,32,1 2 3,60,0.5", "line 3: quotes"},
        {"\"a\"b,adam,0,FIX k0=1,6,4,0,32,1 2 3,60,0.5", "line 3: quotes"},
        {"K,adam,0,FIX k0=1,six,4,0,32,1 2 3,60,0.5", "line 3: a number"},
        {"K,adam,0,FIX k0=1,6,4,-1,32,1 2 3,60,0.5", "line 3: a number"},
        {"K,adam,nan,FIX k0=1,6,4,0,32,1 2 3,60,0.5", "line 3: a number"},
        {"K,adam,0,FIX k0=1,6,4,0,32,1 2 3,inf,0.5", "line 3: a number"},
        {"K,adam,0,FOX k0=1,6,4,0,32,1 2 3,60,0.5", "line 3: 'FOX' is not a policy, want FIX"},
        {"K,lion,0,FIX k0=1,6,4,0,32,1 2 3,60,0.5", "line 3: optimizer = 'lion'"},
        {"K,adam,0,FIX k0=1,6,4,0,32,1 2,60,0.5", "line 3: right answers"},
        {"K,adam,0,FIX k0=1,6,4,0,32,1 2 3 4,60,0.5", "line 3: right answers"},
        {"K,adam,0,FIX k0=1,6,4,0,32,1 2 33,60,0.5", "line 3: right answers"},
        {"K,adam,0,FIX k0=1,6,4,0,32,1 -2 3,60,0.5", "line 3: right answers"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) RUN_TESTp(a_file_that_is_no_table_names_its_line, bad[i][0], bad[i][1]);
    RUN_TEST(files_of_others_are_left_alone);
    RUN_TEST(scores_are_those_of_the_answers);
    RUN_TEST(candidates_are_compared_chip_by_chip);
    RUN_TEST(successive_halving_keeps_the_better_half_and_the_first);
    RUN_TEST(a_task_is_named_by_all_that_its_network_does);
    RUN_TEST(the_recommended_is_run_where_it_has_to_be);
    RUN_TEST(tasks_that_do_not_go_say_why);
    RUN_TEST(every_failed_allocation_is_reported_and_nothing_leaks);
}

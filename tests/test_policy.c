/* test_policy.c - learning-rate policies: values, periods, composites, lengths, text and what it refuses; optimisers' names. */
#include "check.h"
#include "ohmtrim/policy.h"

#include <math.h>

static ot_status open_for(ot_policy *out, const char *text, double run, double epoch)
{
    ot_policy p;
    ot_status st = ot_policy_read(&p, text);
    return st == OT_OK ? ot_policy_for(out, &p, run, epoch) : st;
}

/* ---- values ---- */

/* By mpmath with 40 digits from the reference's formulas, triangles as (2 / pi) |asin(sin(pi t / (2 l)))|. */
enum { TIMES = 11 };
static const double times[TIMES] = {0, 1, 50, 99, 100, 101, 137, 200, 250, 1000, 123456};
static const struct value {
    const char *text;
    double want[TIMES];
} values[] = {
    {"FIX k0=0.01", {0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01}},
    {"STEP k0=0.1 gamma=0.5 l=100", {0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 9.765625e-5, 0}},
    {"NSTEP k0=0.1 gamma=0.1 l=[50,101,250]", {0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 0.0001, 0.0001, 0.0001}},
    {"EXP k0=0.1 gamma=0.99",
     {0.1, 0.099, 0.060500606713753665, 0.036972963764972677, 0.03660323412732295, 0.036237201786049721, 0.025236066308934647, 0.013397967485796195,
      0.008105851616218146, 4.3171247410658251e-6, 0}},
    {"EXP k0=0.1 gamma=0.5/100",
     {0.1, 0.09930924954370359, 0.070710678118654752, 0.05034777750283594, 0.05, 0.049654624771851795, 0.038689124838559748, 0.025,
      0.017677669529663688, 9.765625e-5, 0}},
    {"INV k0=0.1 gamma=0.05 p=0.75",
     {0.1, 0.096406879469432311, 0.039079497139068014, 0.026248970555096873, 0.026084743001221455, 0.025922893104880467, 0.021322973022120294,
      0.016556002607617017, 0.014198735649917166, 0.0052398923878113498, 0.00014357723408017017}},
    {"POLY k0=0.01 k1=0.1 p=0.75 l=200",
     {0.1, 0.099662288621806882, 0.08253347039808908, 0.063915177958404732, 0.063514320175122448, 0.063112458974818763, 0.047842117056965202, 0.01, 0.01,
      0.01, 0.01}},
    {"TRI k0=0.01 k1=0.1 l=100", {0.01, 0.0109, 0.055, 0.0991, 0.1, 0.0991, 0.0667, 0.01, 0.055, 0.01, 0.0604}},
    {"TRI2 k0=0.01 k1=0.1 l=100", {0.01, 0.0109, 0.055, 0.0991, 0.1, 0.0991, 0.0667, 0.01, 0.0325, 0.01, 0.01}},
    {"TRIEXP k0=0.01 k1=0.1 gamma=0.99 l=100",
     {0.01, 0.010891, 0.037225273021189149, 0.042942910714590655, 0.042942910714590655, 0.042287346791370301, 0.024308849597165945, 0.01,
      0.013647633227298166, 0.01, 0.01}},
    {"SIN k0=0.01 k1=0.1 l=100",
     {0.01, 0.011413658558063861, 0.073639610306789277, 0.099988896923349454, 0.1, 0.099988896923349454, 0.085222662523144323, 0.01,
      0.073639610306789277, 0.01, 0.079346191849821031}},
    {"SIN2 k0=0.01 k1=0.1 l=100",
     {0.01, 0.011413658558063861, 0.073639610306789277, 0.099988896923349454, 0.1, 0.099988896923349454, 0.085222662523144323, 0.01,
      0.041819805153394639, 0.01, 0.01}},
    {"SINEXP k0=0.01 k1=0.1 gamma=0.99 l=100",
     {0.01, 0.011399521972483222, 0.048502350345876023, 0.043271562251968606, 0.042942910714590655, 0.042609458163154431, 0.028983240993686834, 0.01,
      0.015158532380607808, 0.01, 0.01}},
    {"COS k0=0.01 k1=0.1 l=100",
     {0.1, 0.09997779521645792, 0.055, 0.01002220478354208, 0.01, 0.01002220478354208, 0.037128344921434872, 0.1, 0.055, 0.1, 0.046567840843642392}},
};

TEST each_function_has_the_reference_values(const struct value *v)
{
    ot_policy p;
    OK(ot_policy_read(&p, v->text));
    for (int i = 0; i < TIMES; i++) {
        /* pow and cos of arguments near 4e3: a few hundred roundings of a rate of 0.1 at most */
        ASSERT_IN_RANGE(v->want[i], ot_policy_lr(&p, times[i]), 1e-13 * fmax(v->want[i], 0.1));
    }
    PASS();
}

TEST waves_repeat_and_halve(void)
{
    ot_policy tri, tri2, sin1, sin2, cos1;
    OK(ot_policy_read(&tri, "TRI k0=0.25 k1=1 l=64"));
    OK(ot_policy_read(&tri2, "TRI2 k1=1 l=64"));
    OK(ot_policy_read(&sin1, "SIN k1=1 l=64"));
    OK(ot_policy_read(&sin2, "SIN2 k1=1 l=64"));
    OK(ot_policy_read(&cos1, "COS k1=1 l=64"));
    for (int t = 0; t < 128; t++) {                          /* eighths and 64ths: exact */
        ASSERT_EQ(0.25 + 0.75 * (t <= 64 ? t : 128 - t) / 64, ot_policy_lr(&tri, t));
        for (int k = 1; k < 5; k++) {
            ASSERT_EQ(ot_policy_lr(&tri, t), ot_policy_lr(&tri, t + 128 * k));
            ASSERT_EQ(ldexp(ot_policy_lr(&tri2, t), -k), ot_policy_lr(&tri2, t + 128 * k));
            ASSERT_EQ(ot_policy_lr(&sin1, t), ot_policy_lr(&sin1, t + 128 * k));
            ASSERT_EQ(ldexp(ot_policy_lr(&sin2, t), -k), ot_policy_lr(&sin2, t + 128 * k));
        }
        ASSERT_IN_RANGE(ot_policy_lr(&cos1, t), ot_policy_lr(&cos1, t + 128), 1e-14);
        ASSERT_IN_RANGE(1, ot_policy_lr(&cos1, t) + ot_policy_lr(&cos1, t + 64), 1e-14);
    }
    ASSERT_EQ(ot_policy_lr(&tri, 5), ot_policy_lr(&tri, 5 + 128e9));         /* a milliard periods on */
    PASS();
}

TEST waves_and_falls_have_no_jumps(void)
{
    static const char *const smooth[] = {"EXP k0=1 gamma=0.995", "INV k0=1 gamma=0.01 p=1", "POLY k1=1 p=1 l=300", "POLY k1=1 p=2 l=300", "TRI k1=1 l=100",
                                         "TRIEXP k1=1 l=100 gamma=0.995", "SIN k1=1 l=100", "SINEXP k1=1 l=100 gamma=0.995", "COS k1=1 l=100",
                                         "TRI2 k1=1 l=100", "SIN2 k1=1 l=100"};          /* the last two halve where they are 0 */
    for (size_t i = 0; i < sizeof smooth / sizeof *smooth; i++) {
        ot_policy p;
        OK(ot_policy_read(&p, smooth[i]));
        for (double t = 0; t < 1000; t += 0.25) {
            double step = fabs(ot_policy_lr(&p, t + 0.25) - ot_policy_lr(&p, t));
            ASSERTm(smooth[i], step <= 0.25 * 0.02);         /* the steepest slopes: 0.0157 of SIN and COS, 0.01 of the others */
            ASSERTm(smooth[i], ot_policy_lr(&p, t) >= 0 && ot_policy_lr(&p, t) <= 1);
        }
    }
    PASS();
}

TEST a_composite_counts_each_function_from_its_own_beginning(void)
{
    ot_policy p, exp1, cos1;
    OK(ot_policy_read(&p, "FIX(k0=0.1)@100, EXP(k0=0.1, gamma=0.99)@250, COS(k0=0.001 k1=0.05 l=1000)"));
    OK(ot_policy_read(&exp1, "EXP k0=0.1 gamma=0.99"));
    OK(ot_policy_read(&cos1, "COS k0=0.001 k1=0.05 l=1000"));
    ASSERT_EQ(3, p.n);
    ASSERT_EQ(0.1, ot_policy_lr(&p, 0));
    ASSERT_EQ(0.1, ot_policy_lr(&p, 99.999));
    ASSERT_EQ(0.1, ot_policy_lr(&p, 100));                    /* EXP's t = 0 */
    for (int t = 100; t < 250; t++) ASSERT_EQ(ot_policy_lr(&exp1, t - 100), ot_policy_lr(&p, t));
    for (int t = 250; t < 2000; t++) ASSERT_EQ(ot_policy_lr(&cos1, t - 250), ot_policy_lr(&p, t));
    PASS();
}

/* ---- lengths ---- */

TEST lengths_in_epochs_and_percent_are_those_of_the_run(void)
{
    ot_policy p, q, want;
    OK(ot_policy_read(&p, "NSTEP k0=1 gamma=0.5 l=[10, 2ep, 50%]"));
    ASSERT(isnan(ot_policy_lr(&p, 3)));                       /* of what run? */
    OK(ot_policy_for(&q, &p, 400, 62.5));
    OK(ot_policy_read(&want, "NSTEP k0=1 gamma=0.5 l=[10,125,200]"));
    for (int t = 0; t < 400; t++) ASSERT_EQ(ot_policy_lr(&want, t), ot_policy_lr(&q, t));
    ASSERT_EQ(0.125, ot_policy_lr(&q, 200));
    FAILS(OT_E_RANGE, "NSTEP: l 3 is at 100 after 125", ot_policy_for(&q, &p, 200, 62.5));
    OK(open_for(&q, "EXP k0=1 gamma=0.01/100%", 469, 0));
    ASSERT_IN_RANGE(0.01, ot_policy_lr(&q, 469), 1e-15);
    ASSERT_IN_RANGE(0.1, ot_policy_lr(&q, 469 / 2.0), 1e-15);
    OK(open_for(&q, "INV k0=1 gamma=3/2ep p=2", 0, 50));
    ASSERT_IN_RANGE(1 / 16.0, ot_policy_lr(&q, 100), 1e-15);
    OK(open_for(&q, "FIX(k0=0.02)@50%, COS(k1=0.02 l=50%)", 469, 469));     /* policy.h's example */
    ASSERT_IN_RANGE(0.01 * (1 + cos(M_PI * 65.5 / 234.5)), ot_policy_lr(&q, 300), 1e-16);
    FAILS(OT_E_RANGE, "boundary 2 is at 50 after 100", open_for(&q, "FIX(k0=1)@100, FIX(k0=2)@50%, FIX(k0=3)", 100, 1));
    FAILS(OT_E_RANGE, "percent of the run, and it has 0", open_for(&q, "COS k1=1 l=50%", 0, 1));
    FAILS(OT_E_RANGE, "epochs, and an epoch has -1", open_for(&q, "COS k1=1 l=5ep", 10, -1));
    FAILS(OT_E_RANGE, "percent of the run, and it has nan", open_for(&q, "COS k1=1 l=50%", NAN, 1));
    PASS();
}

TEST it_is_known_which_policies_stretch_with_the_run(void)
{
    static const struct { const char *text; int scales; } row[] = {
        {"COS k1=1 l=50", 0}, {"COS k1=1 l=50%", 1}, {"COS k1=1 l=5ep", 0}, {"EXP k0=1 gamma=0.5", 0}, {"EXP k0=1 gamma=0.5/10%", 1}, {"FIX k0=1", 0},
        {"NSTEP k0=1 gamma=0.1 l=[1,50%]", 1}, {"FIX(k0=1)@50%, FIX(k0=2)", 1}, {"FIX(k0=1)@50, FIX(k0=2)", 0}, {"none", 0}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        ot_policy p;
        OK(ot_policy_read(&p, row[i].text));
        ASSERT_EQm(row[i].text, row[i].scales, ot_policy_scales(&p));
    }
    PASS();
}

/* ---- text ---- */

TEST text_comes_back(const char *in, const char *out)
{
    char text[OT_POLICY_TEXT], again[OT_POLICY_TEXT];
    ot_policy p, q;
    OK(ot_policy_read(&p, in));
    memset(text, 'x', sizeof text);
    ot_policy_write(text, &p);
    ASSERT_STR_EQ(out, text);
    OK(ot_policy_read(&q, text));
    ot_policy_write(again, &q);
    ASSERT_STR_EQ(text, again);
    ASSERT_MEM_EQ(&p, &q, sizeof p);                          /* no padding differs: both began as {0} */
    PASS();
}

TEST every_usual_policy_reads_back_and_stays_below_its_top(void)
{
    for (int k = 0; k < OT_POLICY_KINDS; k++) {
        char text[OT_POLICY_TEXT];
        ot_policy p, q;
        double top = 0;
        OK(ot_policy_usual(&p, (ot_policy_kind)k, 0.03));
        ot_policy_write(text, &p);
        ASSERT_EQ(0, strncmp(text, ot_policy_name((ot_policy_kind)k), strlen(ot_policy_name((ot_policy_kind)k))));
        ASSERT(strlen(ot_policy_formula((ot_policy_kind)k)) > 1);
        OK(open_for(&q, text, 400, 100));
        for (int t = 0; t < 400; t++) {
            double lr = ot_policy_lr(&q, t);
            ASSERTm(text, lr >= 0 && lr <= 0.03 + 1e-15);
            top = fmax(top, lr);
        }
        /* TRIEXP and SINEXP have decayed a little where their first wave is highest */
        ASSERTm(text, top > (k == OT_POLICY_TRIEXP || k == OT_POLICY_SINEXP ? 0.7 : 0.999) * 0.03);
        ASSERT_EQm(text, k != OT_POLICY_FIX, ot_policy_scales(&p));
    }
    ot_policy p;
    FAILS(OT_E_RANGE, "FIX: k0 = nan", ot_policy_usual(&p, OT_POLICY_FIX, NAN));
    ASSERT_STR_EQ("?", ot_policy_name(OT_POLICY_KINDS));
    ASSERT_STR_EQ("?", ot_policy_formula((ot_policy_kind)-1));
    PASS();
}

TEST what_is_no_policy_says_what_is_wrong(const char *text, const char *words)
{
    ot_policy p;
    memset(&p, 0x5a, sizeof p);
    ot_policy was = p;
    FAILS(OT_E_RANGE, words, ot_policy_read(&p, text));
    ASSERT_MEM_EQ(&was, &p, sizeof p);                        /* untouched */
    ASSERT_FALSE(strchr(ot_last_error(), '\n'));
    PASS();
}

TEST structs_that_were_not_read_are_checked_too(void)
{
    ot_policy p;
    char text[OT_POLICY_TEXT];
    OK(ot_policy_read(&p, "COS k1=1 l=10"));
    p.part[0].kind = OT_POLICY_KINDS;
    FAILS(OT_E_RANGE, "policy number 13, want 0..12", ot_policy_check(&p));
    ASSERT(isnan(ot_policy_lr(&p, 0)));
    ot_policy_write(text, &p);
    ASSERT_STR_EQ("?", text);
    p.part[0].kind = (ot_policy_kind)-1;
    ASSERT(ot_policy_check(&p) == OT_E_RANGE && isnan(ot_policy_lr(&p, 0)));
    p.part[0].kind = OT_POLICY_COS;
    p.part[0].l.unit = (ot_span_unit)9;
    FAILS(OT_E_RANGE, "unit 9", ot_policy_check(&p));
    p.part[0].l = (ot_span){NAN, OT_SPAN_ITERATIONS};
    FAILS(OT_E_RANGE, "COS: l = nan iterations", ot_policy_check(&p));
    p.n = OT_POLICY_PARTS + 1;
    FAILS(OT_E_RANGE, "9 functions", ot_policy_check(&p));
    p = (ot_policy){0};
    OK(ot_policy_check(&p));                                  /* none */
    ASSERT(isnan(ot_policy_lr(&p, 0)));
    OK(ot_policy_read(&p, "FIX k0=1"));
    ASSERT(isnan(ot_policy_lr(&p, NAN)) && isnan(ot_policy_lr(&p, -1)) && ot_policy_lr(&p, 1e300) == 1);
    PASS();
}

TEST a_policy_too_long_to_write_is_refused(void)
{
    char text[4096] = "";
    ot_policy p;
    for (int i = 0; i < OT_POLICY_PARTS; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "TRIEXP(k0=0.%016d k1=0.12345678901234567 gamma=0.98765432109876543 l=12345.678901234567)@%d, ",
                 i + 1234567, i + 1);
    snprintf(strrchr(text, '@'), 2, "%s", "");
    FAILS(OT_E_RANGE, "longer than 511 bytes", ot_policy_read(&p, text));
    PASS();
}

TEST optimisers_have_names(void)
{
    ot_optimizer o = (ot_optimizer)7;
    double momentum = 0;
    OK(ot_optimizer_parse(&o, &momentum, "sgd"));
    ASSERT(o == OT_OPTIMIZER_SGD && momentum == 0);
    ASSERT_STR_EQ("sgd", ot_optimizer_name(o, momentum));
    OK(ot_optimizer_parse(&o, &momentum, "momentum"));
    ASSERT(o == OT_OPTIMIZER_SGD && momentum == 0.9);
    ASSERT_STR_EQ("momentum", ot_optimizer_name(o, momentum));
    momentum = 0.5;
    OK(ot_optimizer_parse(&o, &momentum, "momentum"));
    ASSERT(momentum == 0.5);
    OK(ot_optimizer_parse(&o, &momentum, "adam"));
    ASSERT_STR_EQ("adam", ot_optimizer_name(o, momentum));
    FAILS(OT_E_RANGE, "optimizer = 'rmsprop', want adam, sgd or momentum", ot_optimizer_parse(&o, &momentum, "rmsprop"));
    PASS();
}

SUITE(test_policy)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) RUN_TEST1(each_function_has_the_reference_values, &values[i]);
    RUN_TEST(waves_repeat_and_halve);
    RUN_TEST(waves_and_falls_have_no_jumps);
    RUN_TEST(a_composite_counts_each_function_from_its_own_beginning);
    RUN_TEST(lengths_in_epochs_and_percent_are_those_of_the_run);
    RUN_TEST(it_is_known_which_policies_stretch_with_the_run);
    static const char *const back[][2] = {
        {"fix k0=.1", "FIX k0=0.1"},
        {"COS(k0=0, k1=0.05, l=1000)", "COS k0=0 k1=0.05 l=1000"},
        {"  cos l = 1e3 k1=5e-2,", "COS k0=0 k1=0.05 l=1000"},
        {"NSTEP l=[100 2ep,50%] k0=0.1 gamma=0.1", "NSTEP k0=0.1 gamma=0.1 l=[100,2ep,50%]"},
        {"NSTEP k0=0.1 gamma=0.1 l=7", "NSTEP k0=0.1 gamma=0.1 l=[7]"},
        {"TRIEXP(k1=0.1,gamma=0.5/5ep,l=12.5%)", "TRIEXP k0=0 k1=0.1 gamma=0.5/5ep l=12.5%"},
        {"INV k0=0.1 gamma=0.0001/1 p=0.75", "INV k0=0.1 gamma=0.0001 p=0.75"},
        {"FIX(k0=0.1)@100, EXP(k0=0.1 gamma=0.99)", "FIX(k0=0.1)@100, EXP(k0=0.1 gamma=0.99)"},
        {"FIX k0=0.1 @1ep EXP k0=0.1 gamma=0.99 @ 30% , COS k1=1 l=70%", "FIX(k0=0.1)@1ep, EXP(k0=0.1 gamma=0.99)@30%, COS(k0=0 k1=1 l=70%)"},
        {"POLY k0=0.30000000000000004 k1=0.1 p=2 l=3", "POLY k0=0.30000000000000004 k1=0.1 p=2 l=3"},
        {"None", "none"},
    };
    for (size_t i = 0; i < sizeof back / sizeof *back; i++) RUN_TESTp(text_comes_back, back[i][0], back[i][1]);
    RUN_TEST(every_usual_policy_reads_back_and_stays_below_its_top);
    static const char *const bad[][2] = {
        {"", "an empty policy"},
        {" , ", "an empty policy"},
        {"COSS k1=1 l=5", "'COSS' is not a policy, want COS, or another of FIX, STEP"},
        {"trexp k1=1", "'trexp' is not a policy, want TRIEXP"},
        {"nonesuch", "'nonesuch' is not a policy"},
        {"COS k1=1", "COS: l is missing, want k0, k1, l"},
        {"STEP", "STEP: k0, gamma, l is missing, want k0, gamma, l"},
        {"COS k1=1 l=5 gamma=0.1", "COS has no parameter 'gamma', want k0, k1, l"},
        {"COS k1=1 l=5 l=6", "COS: l stands there twice"},
        {"COS k1=-0.1 l=5", "COS: k1 = -0.1, want a rate 0..100"},
        {"FIX k0=-1", "FIX: k0 = -1, want a rate 0..100"},
        {"FIX k0=101", "FIX: k0 = 101"},
        {"FIX k0=0", "its rates are all 0"},
        {"COS k1=0 l=5", "its rates are all 0"},
        {"FIX k0=nan", "FIX: k0: 'nan' is no number"},
        {"COS k1=nan l=5", "COS: k1: 'nan' is no number"},
        {"FIX k0=inf", "FIX: k0: 'inf' is no number"},
        {"FIX k0=", "FIX: k0: '' is no number"},
        {"FIX k0=1e999", "is not a number that a double holds"},
        {"FIX k0=1x", "'x' after the number"},
        {"FIX k0=50%", "'%' after the number"},
        {"COS k1=1 l=0", "COS: l = 0 iterations, want above 0"},
        {"COS k1=1 l=-5%", "COS: l = -5 percent of the run"},
        {"COS k1=1 l=5x", "'x' after the number, want a space, comma, % or ep"},
        {"EXP k0=1 gamma=1.5", "EXP: gamma = 1.5, want above 0, at most 1"},
        {"EXP k0=1 gamma=0", "EXP: gamma = 0, want above 0"},
        {"EXP k0=1 gamma=0.5/0", "EXP: gamma's time = 0 iterations"},
        {"STEP k0=1 gamma=0.5/5 l=5", "STEP: gamma is that of a step, want it without /"},
        {"INV k0=1 gamma=-1 p=1", "INV: gamma = -1"},
        {"POLY k1=1 p=0 l=5", "POLY: p = 0, want above 0"},
        {"NSTEP k0=1 gamma=0.1 l=[]", "NSTEP: l lists no steps"},
        {"NSTEP k0=1 gamma=0.1 l=[5,5]", "NSTEP: l 2 is at 5 after 5, want them rising"},
        {"NSTEP k0=1 gamma=0.1 l=[5,6", "its list does not end, want ]"},
        {"NSTEP k0=1 gamma=0.1 l=[1,2,3,4,5,6,7,8,9]", "lists more than 8 steps"},
        {"COS(k1=1 l=5", "where ) should stand"},
        {"COS(k1=1 l)", "COS: 'l' without a value, want l=NUMBER"},
        {"COS k1=1 l=5)", "')' where a policy's name should stand"},
        {"FIX(k0=1)@100", "nothing stands after the boundary of FIX"},
        {"FIX(k0=1), COS(k1=1 l=5)", "FIX before COS has no boundary, want @"},
        {"FIX(k0=1)@100, FIX(k0=2)@50, FIX(k0=3)", "boundary 2 is at 50 after 100, want them rising"},
        {"FIX(k0=1)@0, FIX(k0=2)", "boundary = 0 iterations"},
        {"FIX(k0=1)@, FIX(k0=2)", "boundary: ', FIX(k0=2)' is no number"},
        {"FIX(k0=1)@1 FIX(k0=1)@2 FIX(k0=1)@3 FIX(k0=1)@4 FIX(k0=1)@5 FIX(k0=1)@6 FIX(k0=1)@7 FIX(k0=1)@8 FIX(k0=1)", "more than 8 functions"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) RUN_TESTp(what_is_no_policy_says_what_is_wrong, bad[i][0], bad[i][1]);
    RUN_TEST(structs_that_were_not_read_are_checked_too);
    RUN_TEST(a_policy_too_long_to_write_is_refused);
    RUN_TEST(optimisers_have_names);
}

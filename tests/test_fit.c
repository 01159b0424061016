/* test_fit.c - from pulses to polynomials: the compiled-in presets come out again, and at the stated error. */
#include "check.h"

static const char *const preset_names[] = {"r1", "r2", "r3"};

TEST fitting_a_preset_gives_its_table(void)
{
    for (int i = 0; i < 3; i++) {
        ot_programming p;
        ot_device want, got;
        ot_fit fit = {{NAN, NAN}, NAN, 0, 0};
        OK(ot_device_open(&want, preset_names[i]));
        OK(ot_programming_preset(&p, preset_names[i]));
        OK(ot_device_fit(&got, &fit, &p));
        for (int s = 0; s < 2; s++) {
            /* r1's numbers are another fit's, through other samples: it agrees to 6e-6 and 5e-4 of the first coefficient */
            ASSERT_EQ(want.n_poly[s], got.n_poly[s]);
            CHECK_CLOSE64(want.poly[s], got.poly[s], (size_t)want.n_poly[s], i ? 1e-6 : 6e-4);
            ASSERT_IN_RANGE(want.g[s], got.g[s], 1e-7 * want.g[s]);
            ASSERT_IN_RANGE(want.s[s], got.s[s], 1e-4);
        }
        ASSERT_EQ(want.valid_min, got.valid_min);
        ASSERT_IN_RANGE(want.g_min, got.g_min, 1e-21);
        ASSERT_IN_RANGE(want.g_max, got.g_max, 1e-18);
        ASSERT_STR_EQ(want.source, got.source);
        ASSERT_IN_RANGE(want.max_rel_error, got.max_rel_error, 0.02 * want.max_rel_error);
        ASSERT_EQ(fmax(fit.rel_error[0], fit.rel_error[1]), got.max_rel_error);
        if (i == 0) { /* device-model 4.1: 1.03e-4 and 1.26e-3 */
            ASSERT_IN_RANGE(1.035e-4, fit.rel_error[0], 1e-6);
            ASSERT_IN_RANGE(1.25e-3, fit.rel_error[1], 1.5e-5);
        }
    }
    PASS();
}

/* Points that no fit has seen, hard bounds, the table that ships. */
TEST presets_follow_the_model_within_their_error(void)
{
    for (int i = 0; i < 3; i++) {
        ot_programming p;
        ot_device d;
        OK(ot_device_open(&d, preset_names[i]));
        OK(ot_programming_preset(&p, preset_names[i]));
        for (int k = 0; k < 15; k++) {
            double delta = d.valid_min + (d.domain - d.valid_min) * (k + 0.37) / 15;
            ot_levels l;
            OK(ot_programming_levels(&l, &p, delta, 0));
            for (int s = 0; s < 2; s++)
                ASSERT(fabs(ot_device_conductance(&d, (ot_state)s, delta) / l.g[s] - 1) <= 1.02 * d.max_rel_error);
        }
    }
    PASS();
}

TEST a_higher_degree_fits_better(void)
{
    ot_programming p = OT_PROGRAMMING_INIT;
    ot_device d;
    double last[2] = {2, 2};
    p.set.width_ns = 100, p.domain = 0.15;
    for (int degree = 1; degree <= 7; degree += 3) {
        ot_fit fit;
        p.degree[0] = p.degree[1] = degree;
        OK(ot_device_fit(&d, &fit, &p));
        for (int s = 0; s < 2; s++) {
            ASSERT(fit.rel_error[s] < 0.3 * last[s]);
            last[s] = fit.rel_error[s];
        }
    }
    PASS();
}

/* Without compliance SET runs to the gap's bound: LRS is the bound, whatever gamma, as long as SET works at all. */
TEST set_without_compliance_ends_at_the_bound(void)
{
    ot_programming p = OT_PROGRAMMING_INIT;
    ot_device d;
    p.set.series = OT_SERIES_NONE, p.set.volts = 2.0, p.reset.volts = -1.5, p.reset.width_ns = 100, p.domain = 0.1;
    OK(ot_device_fit(&d, NULL, &p));
    ASSERT_EQ(d.g_max, d.g[OT_LRS]);
    ASSERT_IN_RANGE(0, d.s[OT_LRS], 1e-9);
    ASSERT_IN_RANGE(d.g_max, ot_device_conductance(&d, OT_LRS, 0.05), 1e-12);
    PASS();
}

TEST programming_that_does_not_work_is_refused(void)
{
    const ot_programming good = OT_PROGRAMMING_INIT;
    ot_programming p;
    ot_device d;
#define BAD(WORDS, CHANGE)                                                                                                         \
    do {                                                                                                                           \
        p = good;                                                                                                                  \
        CHANGE;                                                                                                                    \
        FAILS(OT_E_RANGE, WORDS, ot_device_fit(&d, NULL, &p));                                                                     \
    } while (0)
    BAD("SET: pulse voltage = nan", p.set.volts = NAN);
    BAD("SET voltage = -2.2, want it positive", p.set.volts = -2.2);
    BAD("RESET voltage = 1.7, want it negative", p.reset.volts = 1.7);
    BAD("RESET: pulse width", p.reset.width_ns = 0);
    BAD("domain = 0.5", p.domain = 0.5);
    BAD("degree = 16, want 1..15", p.degree[1] = 16);
    BAD("the nominal cell has", p.reset.volts = -0.5);
    BAD("the nominal cell has", p.set.volts = 1.2);
    FAILS(OT_E_RANGE, "preset 'r7', want r1, r2 or r3", ot_programming_preset(&p, "r7"));
    PASS();
}

SUITE(test_fit)
{
    RUN_TEST(fitting_a_preset_gives_its_table);
    RUN_TEST(presets_follow_the_model_within_their_error);
    RUN_TEST(a_higher_degree_fits_better);
    RUN_TEST(set_without_compliance_ends_at_the_bound);
    RUN_TEST(programming_that_does_not_work_is_refused);
}

/* test_pulse.c - the compact model and the pulse integrator, against solvers of other people and closed forms. */
#include "check.h"
#include "device/cell.h"

static ot_pulse golden_pulse(const double *row)
{
    return (ot_pulse){
        .volts = row[0], .width_ns = row[1], .edge_ns = row[2], .series = (ot_series)row[5], .a = row[6], .b = row[7], .c = row[8]};
}

TEST static_solves_are_exact(void)
{
    ot_array t;
    ASSERT(check_load(&t, "device/static.npy"));
    ASSERT_EQ(24, t.dims[0]);
    for (int i = 0; i < 24; i++) {
        const double *r = (double *)t.data + 8 * i;
        ot_pulse p = {.series = (ot_series)r[2], .a = r[3], .b = r[4], .c = r[5]};
        double v_d = ot__cell_voltage(&p, r[0], r[1]);
        ASSERT(fabs(v_d - r[6]) <= 1e-11); /* double root finding */
        ASSERT(fabs(ot__cell_current(r[0], v_d) / r[7] - 1) <= 1e-10);
    }
    ot_array_free(&t);
    PASS();
}

TEST every_golden_pulse_ends_where_cvode_ends(void)
{
    ot_array pulse, gap, g, t_max;
    ASSERT(check_load(&pulse, "device/pulse.npy"));
    ASSERT(check_load(&gap, "device/gap.npy"));
    ASSERT(check_load(&g, "device/conductance.npy"));
    ASSERT(check_load(&t_max, "device/t_max.npy"));
    ASSERT_EQ(46, pulse.dims[0]);
    int steps = 0;
    for (int i = 0; i < 46; i++) {
        const double *r = (double *)pulse.data + 9 * i;
        ot_pulse p = golden_pulse(r);
        ot_pulse_result got = {NAN, NAN, NAN, 0};
        OK(ot_pulse_run(&got, &p, r[3], r[4], 0));
        double want = ((double *)gap.data)[i];
        if (want == CELL_GAP_MIN || want == CELL_GAP_MAX) ASSERT_EQ(want, got.gap);
        ASSERT(fabs(got.gap - want) <= 1e-8); /* 3e-9 reached; a wrong fifth digit of the method shows */
        steps += got.steps;
        ASSERT(fabs(got.conductance / ((double *)g.data)[i] - 1) <= 1e-6);
        ASSERT(fabs(got.t_max - ((double *)t_max.data)[i]) <= 1); /* both are maxima over steps */
    }
    ASSERT(steps < 46 * 400); /* 321 a pulse: order 4 is there */
    ot_array_free(&pulse);
    ot_array_free(&gap);
    ot_array_free(&g);
    ot_array_free(&t_max);
    PASS();
}

TEST ngspice_agrees(void)
{
    ot_array pulse, row, gap;
    ASSERT(check_load(&pulse, "device/pulse.npy"));
    ASSERT(check_load(&row, "device/ngspice_index.npy"));
    ASSERT(check_load(&gap, "device/ngspice_gap.npy"));
    for (int i = 0; i < 3; i++) {
        const double *r = (double *)pulse.data + 9 * (int)((double *)row.data)[i];
        ot_pulse p = golden_pulse(r);
        ot_pulse_result got = {NAN, NAN, NAN, 0};
        OK(ot_pulse_run(&got, &p, r[3], r[4], 0));
        ASSERT(fabs(got.gap / ((double *)gap.data)[i] - 1) <= 3e-4); /* ngspice: gear 2, steps of 0.02 ns */
    }
    ot_array_free(&pulse);
    ot_array_free(&row);
    ot_array_free(&gap);
    PASS();
}

TEST the_write_cycle_repeats_itself(void)
{
    ot_array delta, gap, g;
    ASSERT(check_load(&delta, "device/cycle_delta.npy"));
    ASSERT(check_load(&gap, "device/cycle_gap.npy"));
    ASSERT(check_load(&g, "device/cycle_conductance.npy"));
    ot_programming p = OT_PROGRAMMING_INIT;
    for (int i = 0; i < 9; i++)
        for (int relaxed = 0; relaxed < 2; relaxed++) {
            ot_levels l;
            OK(ot_programming_levels(&l, &p, ((double *)delta.data)[i], relaxed));
            for (int s = 0; s < 2; s++) {
                ASSERT(fabs(l.gap[s] - ((double *)gap.data)[2 * i + s]) <= 1e-7); /* 2e-9 reached */
                ASSERT(fabs(l.g[s] / ((double *)g.data)[2 * i + s] - 1) <= 1e-6); /* 9e-9 reached */
            }
        }
    ot_array_free(&delta);
    ot_array_free(&gap);
    ot_array_free(&g);
    PASS();
}

/* d rates by each argument, central differences. */
TEST the_jacobian_is_the_derivative(void)
{
    static const ot_pulse series[] = {{.series = OT_SERIES_NONE},
                                      {.series = OT_SERIES_RESISTOR, .a = 3000},
                                      {.series = OT_SERIES_LIMITER, .a = 150e-6, .b = 0.3, .c = 0.1}};
    static const double at[][3] = {{0.3, 450, 1.8}, {1.2, 330, -1.4}, {0.7, 600, 2.1}, {0.12, 900, -0.9}}; /* gap, T, volts */
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 4; i++) {
            cell_rates r;
            ot__cell_rates(&r, &series[k], 1.07, at[i][0], at[i][1], at[i][2]);
            for (int x = 0; x < 3; x++) {
                double a[3] = {at[i][0], at[i][1], at[i][2]}, b[3] = {at[i][0], at[i][1], at[i][2]}, h = 1e-5 * fabs(a[x]);
                cell_rates lo, hi;
                a[x] -= h, b[x] += h;
                ot__cell_rates(&lo, &series[k], 1.07, a[0], a[1], a[2]);
                ot__cell_rates(&hi, &series[k], 1.07, b[0], b[1], b[2]);
                for (int c = 0; c < 2; c++) {
                    double want = (hi.f[c] - lo.f[c]) / (2 * h), got = x < 2 ? r.jacobian[c][x] : r.by_volts[c];
                    /* truncation (1e-5)^2 times a third derivative, cancellation 1e-16/1e-5 of the rate */
                    ASSERT(fabs(want - got) <= 1e-6 * fabs(want) + 1e-10 * fabs(r.f[c] / at[i][x]) + 1e-300);
                }
            }
        }
    PASS();
}

/* With the temperature at its balance the gap obeys one separable equation: the time to reach a gap is an integral. */
TEST the_time_of_a_reset_is_a_quadrature(void)
{
    static const ot_pulse p = {.volts = -1.7, .width_ns = 1000, .edge_ns = 1, .series = OT_SERIES_NONE};
    ot_pulse_result r;
    OK(ot_pulse_run(&r, &p, 0.25, 1, 0));
    enum { N = 20000 };
    double sum = 0;
    for (int i = 0; i <= N; i++) { /* Simpson */
        cell_rates at;
        double gap = 0.25 + (r.gap - 0.25) * i / N;
        ot__cell_rates(&at, &p, 1, gap, CELL_T0, p.volts);
        ot__cell_rates(&at, &p, 1, gap, CELL_T0 - at.f[1] / at.jacobian[1][1], p.volts);
        sum += (i == 0 || i == N ? 1 : i % 2 ? 4 : 2) / at.f[0];
    }
    double time = sum * (r.gap - 0.25) / N / 3;
    ASSERT_IN_RANGE(1000, time, 10); /* the edges do part of the work: device-model 3 says 1 % */
    PASS();
}

TEST sensitivities_follow_the_closed_forms(void)
{
    static const double volts[2] = {2.2, 2.4}, compliance[2] = {150e-6, 50e-6};
    for (int i = 0; i < 2; i++) {
        ot_programming p = OT_PROGRAMMING_INIT;
        p.set.volts = volts[i], p.set.a = compliance[i];
        ot_levels a, b, l;
        OK(ot_programming_levels(&l, &p, 0, 1));
        OK(ot_programming_levels(&a, &p, -0.01, 1));
        OK(ot_programming_levels(&b, &p, 0.01, 1));
        double s[2];
        for (int k = 0; k < 2; k++) s[k] = log(b.g[k] / a.g[k]) / log(1.01 / 0.99);
        double ge = l.gap[OT_LRS], gam = 16.5 - 1.25 * ge * ge * ge, v_d = ot__cell_voltage(&p.set, ge, volts[i]);
        double low = 16.5 / gam / (0.43 / v_d * tanh(v_d / 0.43) - 3 * 1.25 * ge * ge * 0.27505 / gam);
        double high = -16.5 / (3 * 1.25 * l.gap[OT_HRS] * l.gap[OT_HRS] * 0.27505);
        ASSERT_IN_RANGE(low, s[OT_LRS], 0.08 * low);    /* isothermal: 2.66 against 2.49, 3.35 against 3.44 */
        ASSERT_IN_RANGE(high, s[OT_HRS], -0.04 * high); /* -7.91 against -7.67 */
        ASSERT_IN_RANGE(i ? 3.44 : 2.49, s[OT_LRS], 0.01);
        ASSERT_IN_RANGE(-7.67, s[OT_HRS], 0.01);
    }
    PASS();
}

TEST the_bounds_conduct_what_the_golden_f_clips_to(void)
{
    ASSERT_IN_RANGE(2.981028175024701e-07, ot__cell_conductance(CELL_GAP_MAX), 1e-21);
    ASSERT_IN_RANGE(0.00010016384873033965, ot__cell_conductance(CELL_GAP_MIN), 1e-18);
    PASS();
}

TEST pulses_that_cannot_be_are_refused(void)
{
    const ot_pulse good = {
        .volts = 2.2, .width_ns = 1000, .edge_ns = 1, .series = OT_SERIES_LIMITER, .a = 150e-6, .b = 0.3, .c = 0.1};
    ot_pulse p;
    ot_pulse_result r;
#define BAD(WORDS, CHANGE)                                                                                                         \
    do {                                                                                                                           \
        p = good;                                                                                                                  \
        CHANGE;                                                                                                                    \
        FAILS(OT_E_RANGE, WORDS, ot_pulse_run(&r, &p, 1, 1, 0));                                                                   \
    } while (0)
    BAD("voltage = nan", p.volts = NAN);
    BAD("voltage = 0", p.volts = 0);
    BAD("width = -1", p.width_ns = -1);
    BAD("edge = 0", p.edge_ns = 0);
    BAD("compliance = 0", p.a = 0);
    BAD("knee of the limiter = nan", p.b = NAN);
    BAD("slope of the limiter = -1", p.c = -1);
    BAD("series resistor = 0", (p.series = OT_SERIES_RESISTOR, p.a = 0));
    BAD("series element = 7", p.series = (ot_series)7);
    p = good;
    FAILS(OT_E_RANGE, "start gap = nan", ot_pulse_run(&r, &p, NAN, 1, 0));
    FAILS(OT_E_RANGE, "gamma/gamma0 = 2", ot_pulse_run(&r, &p, 1, 2, 0));
    PASS();
}

SUITE(test_pulse)
{
    RUN_TEST(static_solves_are_exact);
    RUN_TEST(every_golden_pulse_ends_where_cvode_ends);
    RUN_TEST(ngspice_agrees);
    RUN_TEST(the_write_cycle_repeats_itself);
    RUN_TEST(the_jacobian_is_the_derivative);
    RUN_TEST(the_time_of_a_reset_is_a_quadrature);
    RUN_TEST(sensitivities_follow_the_closed_forms);
    RUN_TEST(the_bounds_conduct_what_the_golden_f_clips_to);
    RUN_TEST(pulses_that_cannot_be_are_refused);
}

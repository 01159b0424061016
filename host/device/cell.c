/* cell.c - the static equations of the compact model, see cell.h.
 *
 * The series element is odd and rising, and so is the cell, so the balance I_cell(v_d) = I_series(v - v_d) has one root
 * between 0 and v: Newton's steps, with a bisection whenever one leaves the bracket.  Derivatives are analytic; that of
 * the root comes from the balance itself. */
#include "device/cell.h"

#include <math.h>

static const double K_B = 8.617333262e-5;     /* eV/K */
static const double E_AG = 1.501, E_AR = 1.5; /* eV, to grow and to dissolve the filament */
static const double I0 = 6.14e-5, G0 = 0.27505, V0 = 0.43;
static const double VEL0 = 150.0; /* nm/ns */
static const double GAMMA0 = 16.5, BETA = 1.25, A0_L = 0.05;
static const double C_TH = 3.1825e-16, TAU = 0.23; /* J/K, ns */
static const double PER_NS = 1e-9;

/* sinh and cosh of x by one exponential, to the last digits also next to 0. */
static void hyperbolic(double x, double *sinh_x, double *cosh_x)
{
    double m = expm1(x), r = m / (m + 1);
    *sinh_x = 0.5 * (m + r);
    *cosh_x = 1 + 0.5 * m * r;
}

double ot__cell_current(double gap, double v_d) { return I0 * exp(-gap / G0) * sinh(v_d / V0); }
double ot__cell_conductance(double gap) { return ot__cell_current(gap, CELL_V_READ) / CELL_V_READ; }

/* Current of the series element at e >= 0 volts across it, and its slope. */
static double series_current(const ot_pulse *p, double e, double *slope)
{
    if (p->series == OT_SERIES_RESISTOR) {
        *slope = 1 / p->a;
        return e / p->a;
    }
    double th = tanh(e / p->b), lift = 1 + p->c * e;
    *slope = p->a * ((1 - th * th) / p->b * lift + th * p->c);
    return p->a * th * lift;
}

double ot__cell_voltage(const ot_pulse *p, double gap, double v)
{
    if (p->series == OT_SERIES_NONE || v == 0) return v;
    double amp = I0 * exp(-gap / G0), top = fabs(v), low = 0, high = top, x = top / 2;
    for (int i = 0; i < 200; i++) {
        double slope, sh, ch;
        hyperbolic(x / V0, &sh, &ch);
        double f = amp * sh - series_current(p, top - x, &slope);
        if (f > 0)
            high = x;
        else
            low = x;
        double newton = f / (amp * ch / V0 + slope), next = x - newton;
        if (fabs(newton) <= 4e-16 * top) break; /* rounding is all that is left */
        x = next > low && next < high ? next : 0.5 * (low + high);
    }
    return copysign(x, v);
}

void ot__cell_rates(cell_rates *out, const ot_pulse *p, double gamma_scale, double gap, double temperature, double v)
{
    double v_d = ot__cell_voltage(p, gap, v), amp = I0 * exp(-gap / G0), sh, ch;
    hyperbolic(v_d / V0, &sh, &ch);
    double current = amp * sh, i_v = amp * ch / V0;
    double vd_g = 0, vd_v = 1; /* how v_d follows the gap and the applied voltage */
    if (p->series != OT_SERIES_NONE) {
        double slope;
        series_current(p, fabs(v) - fabs(v_d), &slope);
        vd_g = current / G0 / (i_v + slope);
        vd_v = slope / (i_v + slope);
    }
    double gam = GAMMA0 * gamma_scale - BETA * gap * gap * gap, kt = K_B * temperature;
    double x = gam * A0_L * v_d, x_g = A0_L * (gam * vd_g - 3 * BETA * gap * gap * v_d), x_v = gam * A0_L * vd_v;
    double grow = exp(-(E_AG - x) / kt), dissolve = exp(-(E_AR + x) / kt);
    double f_x = -VEL0 * (grow + dissolve) / kt;
    out->f[0] = -VEL0 * (grow - dissolve);
    out->jacobian[0][0] = f_x * x_g;
    out->jacobian[0][1] = -VEL0 * (grow * (E_AG - x) - dissolve * (E_AR + x)) / (kt * temperature);
    out->by_volts[0] = f_x * x_v;
    double heat = PER_NS / C_TH, power_vd = current + v_d * i_v; /* v_d and the current have one sign, so |v_d I| = v_d I */
    out->f[1] = heat * v_d * current - (temperature - CELL_T0) / TAU;
    out->jacobian[1][0] = heat * (power_vd * vd_g - v_d * current / G0);
    out->jacobian[1][1] = -1 / TAU;
    out->by_volts[1] = heat * power_vd * vd_v;
}

/* pulse.c - what one programming pulse does: a stiff integrator for gap and temperature.
 *
 * The filament's temperature settles in 0.23 ns while pulses last to 10 us, and a SET crosses the whole gap in 0.1 ns
 * after waiting for long: explicit steps of the published model are wrong by the whole window (device-model 3).  So a
 * Rosenbrock method: RODAS of Hairer and Wanner (Solving ODEs II, IV.7), six stages, order 4 with an error estimate of
 * order 3, L-stable and stiffly accurate, no iterations, one 2x2 matrix a step.  The pulse is three straight pieces;
 * each is integrated by itself, so the right-hand side has no kink inside a step.
 *
 * Hard bounds hold the gap where the model does: it is clipped at the end of the step that crosses the bound its pulse
 * pushes towards, and stays.  Relaxed bounds lie further out, which keeps f(gamma) smooth for fitting; the conductance is
 * clipped afterwards, and that is the same thing, because within one pulse the gap moves one way. */
#include "device/cell.h"
#include "base/fail.h"

#include <math.h>

enum { STAGES = 6, MOST_STEPS = 200000 };

static const double TOL_GAP = 1e-7, TOL_TEMPERATURE = 3e-5, GAMMA = 0.25; /* nm, K a step; the method's diagonal */
static const double RELAXED_MIN = -1, RELAXED_MAX = 2.1;                  /* nm; gamma - beta g^3 > 0 for delta >= -0.29 */
static const double ALPHA[STAGES] = {0, 0.386, 0.21, 0.63, 1, 1};
static const double GAMMA_I[STAGES] = {0.25, -0.1043, 0.1035, -0.0362, 0, 0};
static const double A[STAGES][STAGES] = {
    {0},
    {1.544},
    {0.9466785280815826, 0.2557011698983284},
    {3.314825187068521, 2.896124015972201, 0.9986419139977817},
    {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950},
    {1.221224509226641, 6.019134481288629, 12.53708332932087, -0.6878860361058950, 1},
};
static const double C[STAGES][STAGES] = {
    {0},
    {-5.6688},
    {-2.430093356833875, -0.2063599157091915},
    {-0.1073529058151375, -9.594562251023355, -20.47028614809616},
    {7.496443313967647, -10.24680431464352, -33.99990352819905, 11.70890893206160},
    {8.083246795921522, -7.981132988064893, -31.52159432874371, 16.31930543123136, -6.058818238834054},
};

typedef struct piece { /* a straight piece of the pulse */
    const ot_pulse *pulse;
    double gamma_scale, v0, slope; /* volts = v0 + slope t */
    double bound;                  /* gap that this pulse pushes towards, nm */
    int held;                      /* the gap rests at it */
} piece;

static void rates(cell_rates *r, const piece *p, double t, const double y[2])
{
    ot__cell_rates(r, p->pulse, p->gamma_scale, y[0], y[1], p->v0 + p->slope * t);
    if (p->held) r->f[0] = r->jacobian[0][0] = r->jacobian[0][1] = r->by_volts[0] = 0;
}

/* One step from (t, y) to `next`; returns the error in units of the tolerance. */
static double step(const piece *p, double t, double h, const double y[2], const cell_rates *start, double next[2])
{
    double k[STAGES][2];
    double m00 = 1 / (GAMMA * h) - start->jacobian[0][0], m01 = -start->jacobian[0][1];
    double m10 = -start->jacobian[1][0], m11 = 1 / (GAMMA * h) - start->jacobian[1][1], det = m00 * m11 - m01 * m10;
    for (int i = 0; i < STAGES; i++) {
        double at[2] = {y[0], y[1]}, b[2] = {start->f[0], start->f[1]};
        if (i) {
            for (int j = 0; j < i; j++)
                for (int c = 0; c < 2; c++) at[c] += A[i][j] * k[j][c];
            if (!(at[0] > -2 && at[0] < 3 && at[1] > 100 && at[1] < 1e8)) return INFINITY; /* a step far too long */
            cell_rates r;
            rates(&r, p, t + ALPHA[i] * h, at);
            b[0] = r.f[0], b[1] = r.f[1];
        }
        for (int c = 0; c < 2; c++) {
            for (int j = 0; j < i; j++) b[c] += C[i][j] / h * k[j][c];
            b[c] += h * GAMMA_I[i] * start->by_volts[c] * p->slope;
        }
        k[i][0] = (b[0] * m11 - m01 * b[1]) / det;
        k[i][1] = (m00 * b[1] - m10 * b[0]) / det;
        if (i == STAGES - 1)
            for (int c = 0; c < 2; c++) next[c] = at[c] + k[i][c];
    }
    return fmax(fabs(k[STAGES - 1][0]) / TOL_GAP, fabs(k[STAGES - 1][1]) / TOL_TEMPERATURE);
}

static int outside(const piece *p, double gap) { return p->pulse->volts > 0 ? gap <= p->bound : gap >= p->bound; }

static ot_status run_piece(piece *p, double length, double y[2], double *t_max, int *n_steps)
{
    double t = 0, h = fmin(1e-3, length);
    cell_rates start;
    while (t < length) {
        int last = t + h >= length;
        if (last) h = length - t;
        rates(&start, p, t, y);
        double next[2], error;
        for (;; last = 0) {
            if (++*n_steps > MOST_STEPS || h < 1e-12)
                OT_FAIL(OT_E_RANGE,
                        "pulse %g V %g ns: the integrator stands still at %g ns of an edge or top, gap %g nm, %g K: want a pulse "
                        "within the model's domain",
                        p->pulse->volts, p->pulse->width_ns, t, y[0], y[1]);
            error = step(p, t, h, y, &start, next);
            if (error <= 1) break;
            h *= fmax(0.1, 0.9 * pow(error, -0.25));
        }
        t = last ? length : t + h;
        y[0] = next[0], y[1] = next[1];
        h *= fmin(5, 0.9 * pow(fmax(error, 1e-8), -0.25));
        if (!p->held && outside(p, y[0])) y[0] = p->bound, p->held = 1;
        *t_max = fmax(*t_max, y[1]);
    }
    return OT_OK;
}

ot_status ot_pulse_check(const ot_pulse *p)
{
    if (!(fabs(p->volts) > 0 && fabs(p->volts) <= 5))
        OT_FAIL(OT_E_RANGE, "pulse voltage = %g, want more than 0 and at most 5 V either way", p->volts);
    if (!(p->width_ns > 0 && p->width_ns <= 1e6))
        OT_FAIL(OT_E_RANGE, "pulse width = %g ns, want more than 0 and at most 1e6", p->width_ns);
    if (!(p->edge_ns >= 0.01 && p->edge_ns <= 1000)) OT_FAIL(OT_E_RANGE, "pulse edge = %g ns, want 0.01..1000", p->edge_ns);
    switch (p->series) {
    case OT_SERIES_NONE: return OT_OK;
    case OT_SERIES_RESISTOR:
        if (!(p->a > 0 && p->a <= 1e7)) OT_FAIL(OT_E_RANGE, "series resistor = %g ohm, want more than 0 and at most 1e7", p->a);
        return OT_OK;
    case OT_SERIES_LIMITER:
        if (!(p->a >= 1e-7 && p->a <= 1e-2)) OT_FAIL(OT_E_RANGE, "compliance = %g A, want 1e-7..1e-2", p->a);
        if (!(p->b >= 0.01 && p->b <= 10)) OT_FAIL(OT_E_RANGE, "knee of the limiter = %g V, want 0.01..10", p->b);
        if (!(p->c >= 0 && p->c <= 10)) OT_FAIL(OT_E_RANGE, "slope of the limiter = %g /V, want 0..10", p->c);
        return OT_OK;
    }
    OT_FAIL(OT_E_RANGE, "series element = %d, want 0, 1 or 2", (int)p->series);
}

ot_status ot_pulse_run(ot_pulse_result *out, const ot_pulse *pulse, double gap, double gamma_scale, int relaxed)
{
    OT_TRY(ot_pulse_check(pulse));
    if (!(gap >= CELL_GAP_MIN && gap <= CELL_GAP_MAX))
        OT_FAIL(OT_E_RANGE, "start gap = %g nm, want %g..%g", gap, CELL_GAP_MIN, CELL_GAP_MAX);
    if (!(gamma_scale >= 0.5 && gamma_scale <= 1.5)) OT_FAIL(OT_E_RANGE, "gamma/gamma0 = %g, want 0.5..1.5", gamma_scale);
    double y[2] = {gap, CELL_T0}, rise = pulse->volts / pulse->edge_ns;
    double bound = pulse->volts > 0 ? (relaxed ? RELAXED_MIN : CELL_GAP_MIN) : (relaxed ? RELAXED_MAX : CELL_GAP_MAX);
    piece p = {.pulse = pulse, .gamma_scale = gamma_scale, .bound = bound};
    p.held = outside(&p, gap);
    ot_pulse_result r = {.t_max = CELL_T0};
    const double v0[3] = {0, pulse->volts, pulse->volts}, slope[3] = {rise, 0, -rise};
    const double length[3] = {pulse->edge_ns, pulse->width_ns, pulse->edge_ns};
    for (int i = 0; i < 3; i++) {
        p.v0 = v0[i], p.slope = slope[i];
        OT_TRY(run_piece(&p, length[i], y, &r.t_max, &r.steps));
    }
    r.gap = y[0];
    r.conductance = ot__cell_conductance(y[0]);
    *out = r;
    return OT_OK;
}

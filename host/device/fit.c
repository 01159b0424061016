/* fit.c - from a way of programming to the two polynomials f(G, delta): samples, then the best fit in the relative error.
 *
 * Samples lie at Chebyshev's points of valid_min..domain.  The polynomial goes through the nominal point, so with
 * u = delta/domain its relative error is 1 - f0/f - sum_k c_k u^k f0/f, a linear Chebyshev approximation by the functions
 * u^k f0/f, k = 1..n.  They share a zero at u = 0; turned by the sign of u they are a Haar system on the two sides
 * together, so the best fit's error, turned the same way, alternates on n + 1 samples.  Remez's exchange finds them: solve
 * for the coefficients and the height of the error on a reference of n + 1 samples, bring in the worst sample, repeat. */
#include "device/cell.h"
#include "base/fail.h"

#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLES = 64, MOST_EXCHANGES = 500, NMAX = OT_DEVICE_MAX_POLY };
static const double RATIO_SET = 2; /* G_LRS >= 2 G_HRS: the cell was set */

typedef struct samples {
    const ot_programming *p;
    int n, pulses, clip; /* clip, bit s: nominal level s rests at a bound, so samples are clipped */
    double t_max, u[SAMPLES], g[2][SAMPLES];
} samples;

/* Coefficients for one reference and the height of its error. */
static ot_status solve(double c[NMAX], double *height, const double *u, const double *g, double g0, const int *ref, int n)
{
    double m[(NMAX + 1) * (NMAX + 1)], b[NMAX + 1];
    lapack_int pivot[NMAX + 1], size = n + 1;
    for (int i = 0; i <= n; i++) {
        double ui = u[ref[i]], f = g[ref[i]], power = g0 / f;
        for (int k = 0; k < n; k++) m[k * size + i] = power *= ui;
        m[n * size + i] = (i % 2 ? -1 : 1) * (ui < 0 ? -1 : 1);
        b[i] = 1 - g0 / f;
    }
    lapack_int info = LAPACKE_dgesv(LAPACK_COL_MAJOR, size, 1, m, size, pivot, b, size);
    if (info < 0) OT_FAIL(OT_E_LIBRARY, "LAPACKE_dgesv returned %d", (int)info);
    if (info > 0) OT_FAIL(OT_E_RANGE, "a polynomial of degree %d cannot be fitted to these samples, want a lower degree", n);
    memcpy(c, b, sizeof(double) * (size_t)n);
    *height = b[n];
    return OT_OK;
}

static double error_at(const double *c, int n, double u, double f, double g0)
{
    double sum = 0;
    for (int k = n - 1; k >= 0; k--) sum = (sum + c[k]) * u;
    return 1 - g0 / f * (1 + sum);
}

/* Sample `worst` takes the place of the neighbour in the reference whose turned error has the same sign. */
static void exchange(int *ref, const double *turned, int n, int worst)
{
    int same = turned[worst] > 0;
    if (worst < ref[0]) {
        if (same != (turned[ref[0]] > 0)) memmove(ref + 1, ref, sizeof(int) * (size_t)n);
        ref[0] = worst;
    } else if (worst > ref[n]) {
        if (same != (turned[ref[n]] > 0)) memmove(ref, ref + 1, sizeof(int) * (size_t)n);
        ref[n] = worst;
    } else {
        int i = 0;
        while (ref[i + 1] <= worst) i++;
        ref[same == (turned[ref[i]] > 0) ? i : i + 1] = worst;
    }
}

/* c[0..n-1] for u^1..u^n. */
static ot_status minimax(double c[NMAX], double *largest, const samples *s, const double *g, double g0, int n)
{
    int ref[NMAX + 1];
    for (int i = 0; i <= n; i++) ref[i] = (int)lround((0.5 - 0.5 * cos(M_PI * i / n)) * (s->n - 1));
    for (int i = 1; i <= n; i++)
        if (ref[i] <= ref[i - 1]) ref[i] = ref[i - 1] + 1;
    for (int round = 0; round < MOST_EXCHANGES; round++) {
        double height = 0, turned[SAMPLES] = {0};
        int worst = 0;
        OT_TRY(solve(c, &height, s->u, g, g0, ref, n));
        for (int i = 0; i < s->n; i++) {
            turned[i] = (s->u[i] < 0 ? -1 : 1) * error_at(c, n, s->u[i], g[i], g0);
            if (fabs(turned[i]) > fabs(turned[worst])) worst = i;
        }
        *largest = fabs(turned[worst]);
        if (*largest <= fabs(height) * (1 + 1e-6) + 1e-13) return OT_OK;
        exchange(ref, turned, n, worst);
    }
    OT_FAIL(OT_E_RANGE, "the fit of degree %d did not settle in %d exchanges, want a lower degree or a smaller domain", n,
            MOST_EXCHANGES);
}

static ot_status level(double g[2], samples *s, double delta)
{
    ot_levels l;
    OT_TRY(ot_programming_levels(&l, s->p, delta, 1));
    double low = ot__cell_conductance(CELL_GAP_MAX), high = ot__cell_conductance(CELL_GAP_MIN);
    for (int i = 0; i < 2; i++) g[i] = s->clip >> i & 1 ? fmin(high, fmax(low, l.g[i])) : l.g[i];
    s->pulses += l.pulses;
    s->t_max = fmax(s->t_max, l.t_max);
    return OT_OK;
}

static int is_set(const double g[2]) { return g[OT_LRS] >= RATIO_SET * g[OT_HRS]; }

/* The lowest delta from which on every cell is set, to 0.001, rounded towards 0. */
static ot_status find_valid_min(double *out, samples *s)
{
    enum { COARSE = 12 };
    double g[2], good = 0, bad = 0;
    for (int i = 1; i <= COARSE && !(bad < 0); i++) {
        double delta = -s->p->domain * i / COARSE;
        OT_TRY(level(g, s, delta));
        if (is_set(g))
            good = delta;
        else
            bad = delta;
    }
    if (!(bad < 0)) {
        *out = -s->p->domain;
        return OT_OK;
    }
    while (good - bad > 2e-4) {
        double middle = 0.5 * (good + bad);
        OT_TRY(level(g, s, middle));
        if (is_set(g))
            good = middle;
        else
            bad = middle;
    }
    *out = ceil(good * 1000) / 1000;
    if (!(*out < -0.01))
        OT_FAIL(OT_E_RANGE,
                "with these pulses writing fails below delta = %.3f, want pulses that still write a cell at delta = -0.01", good);
    return OT_OK;
}

static void describe(char *out, size_t n, const ot_programming *p, const ot_device *d)
{
    const ot_pulse *q[2] = {&p->set, &p->reset};
    char text[2][100];
    for (int i = 0; i < 2; i++) {
        int used = snprintf(text[i], sizeof text[i], "%s %g V %g ns", i ? "RESET" : "SET", q[i]->volts, q[i]->width_ns);
        char *end = text[i] + used;
        size_t left = sizeof text[i] - (size_t)used;
        if (q[i]->series == OT_SERIES_LIMITER) snprintf(end, left, " through %g uA", q[i]->a * 1e6);
        if (q[i]->series == OT_SERIES_RESISTOR) snprintf(end, left, " through %g ohm", q[i]->a);
    }
    double tail[2], sigma = 0.048;
    ot_device_tail(d, sigma, tail);
    int used = snprintf(out, n, "%s, %s, edges %g and %g ns", text[0], text[1], p->set.edge_ns, p->reset.edge_ns);
    if (d->valid_min > -d->domain && used < (int)n)
        snprintf(out + used, n - (size_t)used, "; writing fails below delta = %g (%.3g cells in a million at sigma %g)",
                 d->valid_min, tail[0] * 1e6, sigma);
}

/* The nominal levels; from here on those that rest at a bound are clipped. */
static ot_status take_nominal(double g[2], samples *s, const ot_device *d)
{
    OT_TRY(level(g, s, 0));
    for (int i = 0; i < 2; i++) {
        if (!(g[i] < d->g_min || g[i] > d->g_max)) continue;
        s->clip |= 1 << i;
        g[i] = fmin(d->g_max, fmax(d->g_min, g[i]));
    }
    if (!is_set(g))
        OT_FAIL(OT_E_RANGE,
                "with these pulses the nominal cell has %g siemens after SET and %g after RESET, want a ratio of %g or more",
                g[OT_LRS], g[OT_HRS], RATIO_SET);
    return OT_OK;
}

/* At Chebyshev's points, both ends included. */
static ot_status take_samples(samples *s, double from, double to)
{
    for (int i = 0; i < s->n; i++) {
        double g[2], delta = 0.5 * (to + from) - 0.5 * (to - from) * cos(M_PI * i / (s->n - 1));
        OT_TRY(level(g, s, delta));
        if (!is_set(g))
            OT_FAIL(
                OT_E_RANGE,
                "with these pulses a cell at delta = %g has %g siemens after SET and %g after RESET, want a ratio of %g or more",
                delta, g[OT_LRS], g[OT_HRS], RATIO_SET);
        s->u[i] = delta / s->p->domain;
        for (int k = 0; k < 2; k++) s->g[k][i] = g[k];
    }
    return OT_OK;
}

ot_status ot_device_fit(ot_device *out, ot_fit *fit, const ot_programming *p)
{
    OT_TRY(ot_programming_check(p));
    samples s = {.p = p, .n = SAMPLES};
    ot_device d = {.name = "custom",
                   .domain = p->domain,
                   .g_min = ot__cell_conductance(CELL_GAP_MAX),
                   .g_max = ot__cell_conductance(CELL_GAP_MIN)};
    OT_TRY(take_nominal(d.g, &s, &d));
    OT_TRY(find_valid_min(&d.valid_min, &s));
    OT_TRY(take_samples(&s, d.valid_min, d.domain));
    ot_fit f = {.samples = s.n};
    double near[2][2], h = 0.002;
    OT_TRY(level(near[0], &s, -h));
    OT_TRY(level(near[1], &s, h));
    for (int i = 0; i < 2; i++) {
        d.n_poly[i] = p->degree[i] + 1;
        d.poly[i][0] = 1;
        OT_TRY(minimax(d.poly[i] + 1, &f.rel_error[i], &s, s.g[i], d.g[i], p->degree[i]));
        d.s[i] = log(near[1][i] / near[0][i]) / log((1 + h) / (1 - h));
    }
    d.max_rel_error = fmax(f.rel_error[0], f.rel_error[1]);
    f.pulses = s.pulses;
    f.t_max = s.t_max;
    describe(d.source, sizeof d.source, p, &d);
    OT_TRY(ot_device_check(&d));
    *out = d;
    if (fit) *fit = f;
    return OT_OK;
}

/* moments.c - cumulants of cells and of weights on a chip with given systematic variation, exact to rounding (device-model 6).
 *
 * X = f(g_s, delta_sys + sigma_rand z) / (g_L - g_H) is a polynomial in z between kinks: where u is clamped to the domain and where G
 * is clipped to its range.  Gauss-Hermite through the kinks is good to 1e-3 only; here the line |z| <= 12 (all but 4e-33 of a
 * normal) is cut at the kinks and into pieces of at most 1/2, each integrated by 16-point Gauss-Legendre.  Moments are taken
 * about the mean in a second pass, so that k3 and k4 keep their digits.
 *
 * A weight of magnitude m sums independent cells with factors 2^j, own bits in LRS where m has a 1, the rest of both arrays in HRS:
 * k_n = sum_j 2^(n j) (k_n own,j + (-1)^n k_n HRS). */
#include "ohmtrim/chip.h"

#include "base/fail.h"

#include <math.h>
#include <stdlib.h>

enum { NODES = 16, MAX_CUTS = 2 + 2 + 2 * (OT_DEVICE_MAX_POLY - 1) };      /* ends, domain, each clip at most once a root */

#define REACH 12.0

static void gauss_legendre(double *x, double *w)
{
    for (int i = 0; i < NODES; i++) {
        double t = cos(M_PI * (i + 0.75) / (NODES + 0.5)), slope = 1.0;
        for (int round = 0; round < 8; round++) {              /* Newton on P_n; quadratic from a start good to 1e-3 */
            double p0 = 1.0, p1 = t;
            for (int k = 2; k <= NODES; k++) {
                double p2 = ((2 * k - 1) * t * p1 - (k - 1) * p0) / k;
                p0 = p1, p1 = p2;
            }
            slope = NODES * (t * p1 - p0) / (t * t - 1.0);
            t -= p1 / slope;
        }
        x[i] = t, w[i] = 2.0 / ((1.0 - t * t) * slope * slope);
    }
}

typedef struct cell { const ot_device *dev; ot_state s; double delta_sys, sigma_rand; } cell;

/* G of the polynomial at u, neither clamped nor clipped. */
static double bare(const cell *c, double u)
{
    double p = 0.0;
    for (int k = c->dev->n_poly[c->s] - 1; k >= 0; k--) p = p * u + c->dev->poly[c->s][k];
    return c->dev->g[c->s] * p;
}

static double x_of(const cell *c, double z)
{
    double u = (c->delta_sys + c->sigma_rand * z) / c->dev->domain;
    u = u < -1.0 ? -1.0 : u > 1.0 ? 1.0 : u;
    double g = bare(c, u);
    g = g < c->dev->g_min ? c->dev->g_min : g > c->dev->g_max ? c->dev->g_max : g;
    return g / (c->dev->g[OT_LRS] - c->dev->g[OT_HRS]);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Where X(z) has kinks: the ends of the domain, and crossings of g_min and g_max found on 4096 steps of u, then by bisection. */
static int cuts_of(const cell *c, double *cut)
{
    enum { STEPS = 4096 };
    int n = 0;
    cut[n++] = -REACH, cut[n++] = REACH;
    for (int end = -1; end <= 1; end += 2) cut[n++] = (end * c->dev->domain - c->delta_sys) / c->sigma_rand;
    for (int which = 0; which < 2; which++) {
        double level = which ? c->dev->g_max : c->dev->g_min;
        for (int i = 0; i < STEPS && n < MAX_CUTS; i++) {
            double a = -1.0 + 2.0 * i / STEPS, b = -1.0 + 2.0 * (i + 1) / STEPS;
            if ((bare(c, a) < level) == (bare(c, b) < level)) continue;
            for (int round = 0; round < 60; round++) {
                double mid = 0.5 * (a + b);
                if ((bare(c, a) < level) == (bare(c, mid) < level)) a = mid;
                else b = mid;
            }
            cut[n++] = (a * c->dev->domain - c->delta_sys) / c->sigma_rand;
        }
    }
    for (int i = 0; i < n; i++) cut[i] = cut[i] < -REACH ? -REACH : cut[i] > REACH ? REACH : cut[i];
    qsort(cut, (size_t)n, sizeof *cut, by_value);
    return n;
}

static void cumulants_of(double k[4], const cell *c)
{
    k[0] = x_of(c, 0.0), k[1] = k[2] = k[3] = 0.0;
    if (!(c->sigma_rand > 0.0)) return;
    double cut[MAX_CUTS], node[NODES], weight[NODES], centre = k[0];
    int n_cuts = cuts_of(c, cut);
    gauss_legendre(node, weight);
    for (int pass = 0; pass < 2; pass++) {                     /* the second about the first's mean */
        double m[5] = {0};
        for (int i = 0; i + 1 < n_cuts; i++) {
            int parts = (int)ceil((cut[i + 1] - cut[i]) / 0.5);
            for (int p = 0; p < parts; p++) {
                double half = 0.5 * (cut[i + 1] - cut[i]) / parts, middle = cut[i] + (2 * p + 1) * half;
                for (int j = 0; j < NODES; j++) {
                    double z = middle + half * node[j], x = x_of(c, z) - centre, term = half * weight[j] * exp(-0.5 * z * z) / sqrt(2 * M_PI);
                    for (int order = 0; order < 5; order++, term *= x) m[order] += term;
                }
            }
        }
        if (pass == 0) centre += m[1] / m[0];
        else k[0] = centre + m[1], k[1] = m[2], k[2] = m[3], k[3] = m[4] - 3.0 * m[2] * m[2];
    }
}

ot_status ot_chip_cell_cumulants(double k[2][4], const ot_device *dev, double delta_sys, double sigma_rand)
{
    OT_TRY(ot_device_check(dev));
    if (!isfinite(delta_sys)) OT_FAIL(OT_E_RANGE, "delta_sys = %g, want a finite number", delta_sys);
    if (!(sigma_rand >= 0.0 && sigma_rand <= 0.08)) OT_FAIL(OT_E_RANGE, "sigma_rand = %g, want 0..0.08", sigma_rand);
    for (int s = OT_LRS; s <= OT_HRS; s++) {
        cell c = {.dev = dev, .s = (ot_state)s, .delta_sys = delta_sys, .sigma_rand = sigma_rand};
        cumulants_of(k[s], &c);
    }
    return OT_OK;
}

void ot_chip_weight_cumulants(double out[4], const double k[2][4], int64_t q, int bits)
{
    int64_t m = q < 0 ? -q : q;
    for (int n = 1; n <= 4; n++) {
        double sum = 0.0;
        for (int j = 0; j < bits; j++) {
            double own = k[m >> j & 1 ? OT_LRS : OT_HRS][n - 1], other = k[OT_HRS][n - 1];
            sum += ldexp(n % 2 ? own - other : own + other, n * j);
        }
        out[n - 1] = q < 0 && n % 2 ? -sum : sum;
    }
}

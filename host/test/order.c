/* order.c - order statistics and chi-square: medians, quantiles, the scale Qn, the incomplete gamma function.
 *
 * Qn is the k-th smallest of n (n - 1) / 2 differences.  Sorted data need no list of them: how many differences are <= v is counted with
 * two fingers in n steps, and v is found by halving.  Halving the *bit pattern* of v (positive doubles are ordered as their bits are)
 * ends at a difference itself after at most 63 counts, and where no more than 256 differences are left between the bounds (after a dozen)
 * these are sorted.  The first bounds are half and twice what it is for normal numbers.  Exact, n log n, no memory.
 *
 * chi2 cdf(x; k) = P(k / 2, x / 2), the series below the peak and the continued fraction above it (DLMF 8.11.4, 8.9.2; Lentz's method);
 * the quantile by Newton steps on it, kept between bounds. */
#include "test/scatter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 256 };                     /* differences that are sorted rather than halved further */

static int by_value_then_row(const void *pa, const void *pb)
{
    const ot__ranked *a = pa, *b = pb;
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return a->row - b->row;
}

static int by_row(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static int by_value(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

void ot__smallest(int *row, const double *d, int n, int h, ot__ranked *work)
{
    for (int i = 0; i < n; i++) work[i] = (ot__ranked){d[i], i};
    qsort(work, (size_t)n, sizeof *work, by_value_then_row);
    for (int i = 0; i < h; i++) row[i] = work[i].row;
    qsort(row, (size_t)h, sizeof *row, by_row);
}

void   ot__sort(double *v, int n) { qsort(v, (size_t)n, sizeof *v, by_value); }
double ot__median(const double *sorted, int n) { return n % 2 ? sorted[n / 2] : 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]); }

double ot__quantile(const double *sorted, int n, double share)
{
    double place = share * (n - 1);
    int    below = (int)place;
    return below >= n - 1 ? sorted[n - 1] : sorted[below] + (place - below) * (sorted[below + 1] - sorted[below]);
}

static double value(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t bits(double value)
{
    uint64_t b;
    memcpy(&b, &value, sizeof b);
    return b;
}

/* Differences <= v. */
static int64_t count(const double *x, int n, double v)
{
    int64_t total = 0;
    for (int i = 0, j = 0; i < n; i++) {               /* j: the first with x[j] - x[i] > v */
        while (j < n && x[j] - x[i] <= v) j++;
        total += j - i - 1;
    }
    return total;
}

/* Number `k` (from 0) of the differences above lo and up to hi, of which there are at most FEW. */
static double among(const double *x, int n, double lo, double hi, int64_t k)
{
    double few[FEW];
    int    m = 0;
    for (int i = 0, j = 0; i < n; i++) {
        while (j < n && x[j] - x[i] <= lo) j++;
        for (int l = j; l < n && x[l] - x[i] <= hi; l++) few[m++] = x[l] - x[i];
    }
    ot__sort(few, m);
    return few[k];
}

/* Bounds of the k-th smallest difference: `below` differences are <= lo, too few; `up_to` are <= hi, enough. */
typedef struct bounds { uint64_t lo, hi; int64_t below, up_to; } bounds;

static void narrow(bounds *b, const double *x, int n, int64_t k, uint64_t at)
{
    if (at <= b->lo || at >= b->hi) return;
    int64_t here = count(x, n, value(at));
    if (here >= k) b->hi = at, b->up_to = here;
    else b->lo = at, b->below = here;
}

/* The k-th smallest difference, from 1. */
static double kth_difference(const double *x, int n, int64_t k)
{
    const double guess = (x[3 * (n - 1) / 4] - x[(n - 1) / 4]) / 3;            /* where it is for normal numbers */
    bounds       b = {0, bits(x[n - 1] - x[0]), count(x, n, 0), (int64_t)n * (n - 1) / 2};
    if (b.below >= k) return 0;
    if (b.up_to > FEW) narrow(&b, x, n, k, bits(guess / 2)), narrow(&b, x, n, k, bits(guess * 2));
    while (b.hi - b.lo > 1 && b.up_to - b.below > FEW) narrow(&b, x, n, k, b.lo + (b.hi - b.lo) / 2);
    return b.hi - b.lo > 1 ? among(x, n, value(b.lo), value(b.hi), k - b.below - 1) : value(b.hi);
}

double ot__qn(const double *x, int n)
{
    if (n < 2) return 0;
    int64_t half = n / 2 + 1;
    /* 1 / (sqrt(2) Phi^-1(5 / 8)), and Croux and Rousseeuw's 1992 factor for small n */
    return 2.219144465985076 * kth_difference(x, n, half * (half - 1) / 2) * (n % 2 ? n / (n + 1.4) : n / (n + 3.8));
}

/* x^a e^-x / Gamma(a) */
static double front(double a, double x)
{
    int sign;
    return exp(a * log(x) - x - lgamma_r(a, &sign));
}

double ot__chi2_cdf(double chi2, double k)
{
    double a = k / 2, x = chi2 / 2;
    if (!(x > 0)) return 0;
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int i = 1; i < 100000 && term > 1e-17 * sum; i++) sum += term *= x / (a + i);
        return front(a, x) * sum;
    }
    double b = x + 1 - a, c = 1e300, d = 1 / b, f = d;
    for (int i = 1; i < 100000; i++) {
        double an = -i * (i - a), step;
        b += 2;
        d = an * d + b;
        d = 1 / (fabs(d) < 1e-300 ? 1e-300 : d);
        c = b + an / c;
        if (fabs(c) < 1e-300) c = 1e-300;
        f *= step = c * d;
        if (fabs(step - 1) < 1e-16) break;
    }
    return 1 - front(a, x) * f;
}

double ot__chi2_quantile(double share, double k)
{
    double lo = 0, hi = k + 10, x = k > 1 ? k - 0.67 : k / 2;
    while (ot__chi2_cdf(hi, k) < share) hi *= 2;
    for (int i = 0; i < 200 && hi - lo > 4e-16 * hi; i++) {
        double off = ot__chi2_cdf(x, k) - share, slope = front(k / 2, x / 2) / x;
        if (off < 0) lo = x;
        else hi = x;
        double next = x - off / slope;
        if (!(next > lo && next < hi)) next = 0.5 * (lo + hi);
        if (fabs(next - x) <= 2e-16 * x) break;
        x = next;
    }
    return x;
}

double ot__normal_quantile(double share)
{
    if (share == 0.5) return 0;
    double z = sqrt(ot__chi2_quantile(fabs(2 * share - 1), 1));
    return share < 0.5 ? -z : z;
}

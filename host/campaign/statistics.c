/* statistics.c - intervals and tests for yields and paired differences (DESIGN 4.17). */
#include "campaign/statistics.h"

#include "base/fail.h"

#include <math.h>
#include <stdlib.h>

/* Wilson's score interval: p within z standard errors of the observed share, where the error is that of p itself. */
ot_rate ot_wilson(int64_t good, int64_t n)
{
    if (n <= 0) return (ot_rate){NAN, 0, 1};
    const double z = 1.959963984540054, z2 = z * z, m = (double)n, p = (double)good / m;
    double centre = (p + z2 / (2 * m)) / (1 + z2 / m), half = z / (1 + z2 / m) * sqrt(p * (1 - p) / m + z2 / (4 * m * m));
    return (ot_rate){p, good == 0 ? 0 : centre - half, good == n ? 1 : centre + half};
}

/* Exact: of the n chips on which the two disagree, each side is as likely; P(as uneven as seen, or more), two-sided. */
double ot_mcnemar(int64_t only_a, int64_t only_b)
{
    int64_t n = only_a + only_b, least = only_a < only_b ? only_a : only_b;
    double sum = 0;
    for (int64_t k = 0; k <= least; k++)
        sum += exp(lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) - (double)n * log(2));
    return fmin(1, 2 * sum);
}

static uint64_t next(uint64_t *s)                                /* splitmix64 */
{
    uint64_t z = *s += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Percentiles 2.5 and 97.5 of the mean over resampled differences; the same stream of numbers for every call. */
ot_status ot__bootstrap(ot_rate *out, const double *difference, int n)
{
    enum { DRAWS = 2000 };
    if (n < 1) {
        *out = (ot_rate){NAN, NAN, NAN};
        return OT_OK;
    }
    double *means = ot_alloc(DRAWS, sizeof *means), sum = 0;
    if (!means) OT_NOMEM("bootstrap", DRAWS * sizeof *means);
    uint64_t state = 1;
    for (int i = 0; i < n; i++) sum += difference[i];
    for (int d = 0; d < DRAWS; d++) {
        double total = 0;
        for (int i = 0; i < n; i++) total += difference[(uint64_t)(uint32_t)(next(&state) >> 32) * (uint64_t)n >> 32];
        means[d] = total / n;
    }
    qsort(means, DRAWS, sizeof *means, by_value);
    *out = (ot_rate){sum / n, means[DRAWS / 40 - 1], means[DRAWS - DRAWS / 40]};
    ot_free(means);
    return OT_OK;
}

/* features.c - which numbers of a signature say something, and their scale: mean and sd (divisor n) over the chips to learn from.  A number
 * that is the same on every chip is left out. */
#include "test/features.h"
#include "base/fail.h"

#include <math.h>

static ot_status check(const float *signatures, int n, int s)
{
    if (!(n >= 2 && s >= 1)) OT_FAIL(OT_E_RANGE, "features of %d signatures of %d numbers, want 2 or more of 1 or more", n, s);
    for (int64_t i = 0; i < (int64_t)n * s; i++)
        if (!isfinite(signatures[i]))
            OT_FAIL(OT_E_DATA, "signature %lld, number %lld is %g, want a finite number", (long long)(i / s), (long long)(i % s), (double)signatures[i]);
    return OT_OK;
}

static void moments(double *mean, double *sd, const float *signatures, int n, int s, int k)
{
    double first = signatures[k], square = 0;
    *mean = 0;
    for (int i = 0; i < n; i++) *mean += (double)signatures[(size_t)i * (size_t)s + (size_t)k] - first;
    *mean = first + *mean / n;                          /* exact for a constant number */
    for (int i = 0; i < n; i++) {
        double d = (double)signatures[(size_t)i * (size_t)s + (size_t)k] - *mean;
        square += d * d;
    }
    *sd = sqrt(square / n);
}

ot_status ot__features_make(ot_features *out, const float *signatures, int n, int s)
{
    size_t   bytes = (size_t)s * (2 * sizeof(double) + sizeof(int32_t));
    double  *mean = ot_alloc(bytes, 1), *sd = mean + s;
    int32_t *feature = (int32_t *)(sd + s);
    int      p = 0;
    if (!mean) OT_NOMEM("features", bytes);
    for (int k = 0; k < s; k++) {
        moments(&mean[p], &sd[p], signatures, n, s, k);
        if (!(sd[p] < 1e-12)) feature[p++] = k;
    }
    *out = (ot_features){.s = s, .p = p, .feature = feature, .mean = mean, .sd = sd, .memory = mean};
    return OT_OK;
}

ot_status ot_features_fit(ot_features *out, const float *signatures, int n, int s)
{
    ot_features f;
    OT_TRY(check(signatures, n, s));
    OT_TRY(ot__features_make(&f, signatures, n, s));
    if (!f.p) {
        ot_features_free(&f);
        OT_FAIL(OT_E_DATA, "features: each of the %d numbers is the same in all %d signatures, want at least one that varies", s, n);
    }
    *out = f;
    return OT_OK;
}

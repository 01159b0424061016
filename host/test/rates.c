/* rates.c - how well distances tell bad chips from good ones: AUC by mid-ranks, escapes and overkill at a threshold.
 *
 * AUC = P(a bad chip's score > a good one's) + half P(equal) = (rank sum of the bad - b (b + 1) / 2) / (b g) with ties sharing their mean
 * rank (Mann and Whitney 1947).  Ranks are doubled, so that all sums are whole numbers. */
#include "base/fail.h"
#include "ohmtrim/synthesise.h"

#include <math.h>
#include <stdlib.h>

typedef struct scored { double score; int bad; } scored;

static int rises(const void *va, const void *vb)
{
    const scored *a = va, *b = vb;
    return (a->score > b->score) - (a->score < b->score);
}

ot_status ot_auc(double *out, const double *score, const uint8_t *good, int n)
{
    scored *s = ot_alloc((size_t)(n > 0 ? n : 0), sizeof *s);
    int64_t bad = 0, ranks = 0;
    if (!s) OT_NOMEM("AUC", (size_t)n * sizeof *s);
    for (int i = 0; i < n; i++) {
        s[i] = (scored){isnan(score[i]) ? INFINITY : score[i], !good[i]};
        bad += s[i].bad;
    }
    qsort(s, (size_t)(n > 0 ? n : 0), sizeof *s, rises);
    for (int i = 0, end; i < n; i = end) {                           /* a run of equals: ranks i + 1 .. end */
        int64_t of_them = 0;
        for (end = i; end < n && !(s[end].score > s[i].score); end++) of_them += s[end].bad;
        ranks += of_them * (i + 1 + end);
    }
    *out = bad > 0 && bad < n ? (double)(ranks - bad * (bad + 1)) / (2.0 * (double)bad * (double)(n - bad)) : (double)NAN;
    ot_free(s);
    return OT_OK;
}

ot_status ot_detector_rates(ot_rates *out, const double *distance, const uint8_t *good, int n, double threshold)
{
    int bad = 0, passed = 0, failed = 0;
    if (n < 1) OT_FAIL(OT_E_RANGE, "rates of %d chips, want 1 or more", n);
    for (int i = 0; i < n; i++) {
        const int fails = !(distance[i] <= threshold);
        bad += !good[i];
        passed += !good[i] && !fails;
        failed += good[i] && fails;
    }
    *out = (ot_rates){.chips = n, .bad = bad, .accuracy = 1.0 - (double)(passed + failed) / n, .escape = (double)passed / n, .overkill = (double)failed / n};
    return ot_auc(&out->auc, distance, good, n);
}

/* screen.h - learning which signatures are normal: robust covariance (FAST-MCD, PCA + MCD, MRCD).  Part of the test stage.
 *
 * Rousseeuw and Van Driessen 1999 (FAST-MCD); Boudt, Rousseeuw, Vanduffel, Verdonck 2020 (MRCD).  Evaluation is in floor.h.  Since 0.1. */
#ifndef OHMTRIM_SCREEN_H
#define OHMTRIM_SCREEN_H

#include "ohmtrim/floor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_screen_options {
    ot_screen_kind kind;           /* MRCD */
    double   support;              /* share of the chips trusted: 0: MCD's (n + p + 1) / 2, MRCD's 0.75 */
    double   contamination;        /* share of out-of-fold distances above the threshold; 0.01 */
    int      folds;                /* 5 */
    int      components;           /* PCA-MCD: most; 20 (fewer if they hold 95 % of the variance) */
    uint64_t seed;
    int      threads;              /* 0: one a core */
} ot_screen_options;
ot_screen_options ot_screen_defaults(ot_screen_kind kind);

/* What came out, for the report. */
typedef struct ot_screen_report {
    double log_det;                /* of the raw scatter matrix of the best subset */
    double rho;                    /* MRCD: weight of the target */
    int    h;                      /* size of the subset */
    double threshold_in_sample, threshold;      /* the same quantile of in-sample and of out-of-fold distances */
} ot_screen_report;

/* x (n, p): standardised signatures of chips that are taken as normal, contaminated at most by 1 - support.  report may be NULL.
 * OT_E_DATA: not finite, or no spread at all; OT_E_RANGE: MCD with p too large for n (names the modes that work). */
ot_status ot_screen_fit(ot_screen *out, const double *x, int n, int p, const ot_screen_options *opt, ot_screen_report *report);

#ifdef __cplusplus
}
#endif
#endif

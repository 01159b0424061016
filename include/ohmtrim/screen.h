/* screen.h - learning which signatures are normal: robust covariance (FAST-MCD, PCA + MCD, MRCD).  Part of the test stage.
 *
 * Rousseeuw and Van Driessen 1999 (FAST-MCD); Boudt, Rousseeuw, Vanduffel, Verdonck 2020 (MRCD).  Evaluation is in floor.h.
 *
 * Chips that only vary are no ellipse: weak ones lie a thousand spreads out, along a curve.  So MRCD's numbers are bent first, asinh((x - median) /
 * (bend Qn)), and how much, and how far the matrix is kept from its sample, is chosen so that the region called normal is smallest while it
 * lets the same share of good chips through.  Bent like that, bad chips hardly pull: so MRCD trusts all chips unless told otherwise, which
 * finds more (docs/screens.md has the rates).  Since 0.1. */
#ifndef OHMTRIM_SCREEN_H
#define OHMTRIM_SCREEN_H

#include "ohmtrim/floor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_screen_options {
    ot_screen_kind kind;           /* MRCD */
    double   support;              /* share of the chips trusted; 0: MCD's (n + p + 1) / 2, MRCD's 1 */
    double   contamination;        /* share of out-of-fold distances above the threshold; 0.01 */
    double   bend;                 /* above 0: as above; below: numbers stay as they are; 0: chosen (MRCD) or as they are (the others) */
    double   condition;            /* MRCD: the matrix's condition number, 2..1e8; 0: chosen.  50 is the authors' */
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
    double bend, condition;        /* what was used; bend 0: none, condition 0: not MRCD */
    double log_volume;             /* of the normal region, but for a constant of p; NaN for PCA-MCD */
    double threshold_in_sample, threshold;      /* the same quantile of in-sample and of out-of-fold distances */
} ot_screen_report;

/* x (n, p): standardised signatures of chips that are taken as normal.  If some of them are not, say so by `contamination`, or the threshold lies
 * among them.  report may be NULL.  OT_E_DATA: not finite, or no spread at all; OT_E_RANGE: MCD with p
 * too large for n (names the modes that work). */
ot_status ot_screen_fit(ot_screen *out, const double *x, int n, int p, const ot_screen_options *opt, ot_screen_report *report);

#ifdef __cplusplus
}
#endif
#endif

/* mrcd.h - what the regularised MCD starts from: robustly standardised numbers and six first subsets. */
#ifndef OT_TEST_MRCD_H
#define OT_TEST_MRCD_H

#include "test/scatter.h"

enum { OT__MRCD_STARTS = 6 };

typedef struct ot__mrcd_options {
    double support;                /* 0: 1, all rows */
    double condition;              /* what the target keeps the matrix's condition number below */
    int    starts;                 /* 1..6 of the views, the last ones */
} ot__mrcd_options;
ot_status ot__mrcd(ot__scatter *out, const double *x, int n, int p, const ot__mrcd_options *o);
int       ot__mrcd_subset(int n, double support);      /* h */
/* u = (x - centre) / scale, centre the median, scale Qn (where that is 0 the standard deviation, and 1 for a constant number).  OT_E_DATA:
 * no number differs between rows. */
ot_status ot__mrcd_standardise(double *u, double *centre, double *scale, const double *x, int n, int p);
/* Subsets of h rows of u (n, p), ut its transpose, of the last `starts` views: row (starts, n), of each the first h are used, ascending. */
ot_status ot__mrcd_starts(int *row, const double *u, const double *ut, int n, int p, int h, int starts);

#endif

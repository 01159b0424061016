/* mrcd.h - what the regularised MCD starts from: robustly standardised numbers and six first subsets. */
#ifndef OT_TEST_MRCD_H
#define OT_TEST_MRCD_H

#include "test/scatter.h"

enum { OT__MRCD_STARTS = 6 };

int       ot__mrcd_subset(int n, double support);      /* h */
/* u = (x - centre) / scale, centre the median, scale Qn (where that is 0 the standard deviation, and 1 for a constant number).  OT_E_DATA:
 * no number differs between rows. */
ot_status ot__mrcd_standardise(double *u, double *centre, double *scale, const double *x, int n, int p);
/* Six subsets of h rows of u (n, p), ut its transpose: row (6, n), of each the first h are used, ascending. */
ot_status ot__mrcd_starts(int *row, const double *u, const double *ut, int n, int p, int h);

#endif

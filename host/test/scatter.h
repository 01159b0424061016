/* scatter.h - means, covariances and what robust ones are made of: factors, distances, order statistics, scales, chi-square.
 *
 * Matrices are by rows.  Factors are kept as the upper triangle U, A = U' U, because then every heavy step is one ot__product.  All
 * sums have a fixed order; nothing here starts threads. */
#ifndef OT_TEST_SCATTER_H
#define OT_TEST_SCATTER_H

#include "ohmtrim/screen.h"

/* -- Linear algebra --------------------------------------------------------------------------------------------------- */

/* The upper triangle of a (n, n) becomes U in place.  A pivot must stay above `tol` of its diagonal element; -1, or the first that does not
 * (then a is spoilt). */
int  ot__cholesky(double *a, int n, double tol);
/* b (n, columns) becomes U'^-1 b. */
void ot__solve(double *b, int columns, const double *u, int n);
/* out (n, n) lower, zero above: U'. */
void ot__factor_lower(double *out, const double *u, int n);
/* out (columns, rows) from in (rows, columns). */
void ot__transpose(double *out, const double *in, int rows, int columns);
/* c (m, n) = a' b. */
void ot__product_set(double *c, const double *a, const double *b, int m, int n, int k);
/* c (n, n) upper triangle = a' a, a (k, n). */
void ot__gram(double *c, const double *a, int n, int k);
/* The `top` largest eigenvalues of a symmetric (n, n) whose upper triangle is given and spoilt, falling; vectors (top, n), or NULL. */
ot_status ot__eigen(double *values, double *vectors, double *a, int n, int top);
/* The same, roughly (leading.c): of a matrix with no eigenvalue below 0.  The upper triangle stays. */
ot_status ot__leading(double *values, double *vectors, double *a, int n, int top);
/* Mean and upper triangle of the covariance of h rows of x (n, p), `denominator` h or h - 1; work: (h, p). */
void ot__mean_covariance(double *mean, double *cov, const double *x, const int *row, int h, int p, int denominator, double *work);
/* Squared distances of all rows, xt (p, n) their transpose; work: (p, n). */
void ot__distances_of(double *d, const double *xt, int n, int p, const double *mean, const double *u, double *work);
double ot__log_det(const double *u, int n);            /* of U' U */

/* -- Order ------------------------------------------------------------------------------------------------------------ */

typedef struct ot__ranked { double value; int row; } ot__ranked;
/* The rows of the h smallest d, ties to the lower row, ascending. */
void   ot__smallest(int *row, const double *d, int n, int h, ot__ranked *work);
void   ot__sort(double *v, int n);
double ot__median(const double *sorted, int n);
/* Linear interpolation between order statistics, place share * (n - 1) (numpy's percentile). */
double ot__quantile(const double *sorted, int n, double share);
/* Rousseeuw and Croux 1993: the k-th smallest of |x_i - x_j|, i < j, k = C(n / 2 + 1, 2), made consistent at the normal distribution. */
double ot__qn(const double *sorted, int n);

/* -- Chi-square ------------------------------------------------------------------------------------------------------- */

double ot__chi2_cdf(double x, double k);
double ot__chi2_quantile(double share, double k);      /* 0 < share < 1 */
double ot__normal_quantile(double share);

/* -- The estimators --------------------------------------------------------------------------------------------------- */

/* Location and covariance of q numbers, as an ot_screen keeps them.  The caller owns the arrays. */
typedef struct ot__scatter {
    double *centre;                    /* (q) */
    double *factor;                    /* (q, q) lower */
    double  log_det, rho;
    int     h;
    int    *best;                      /* (h) the best subset, ascending; room for n, or NULL if not wanted */
} ot__scatter;

int       ot__mcd_subset(int n, int p, double support);             /* h */
int       ot__mcd_least_subset(int n, int p, double support);       /* of the subsets that random starts are made in */
/* `stream` separates the random starts of fits with one seed. */
ot_status ot__mcd(ot__scatter *out, const double *x, int n, int p, double support, uint64_t seed, uint32_t stream);
/* C-steps from a given subset: row (h) in and out, at most `most` of them; mean (p), cov (p, p) upper, log det and d (n) of each subset
 * (most + 1 of each), rows (most + 1, h).  Gives how many subsets there were.  Tests. */
ot_status ot__mcd_trace(int *count, int *rows, double *mean, double *cov, double *log_det, double *d, const double *x, int n, int p, int h, int most);
/* Principal axes for the PCA screen: how many, mean (p), axes (components, p). */
ot_status ot__pca(int *components, double *mean, double *axes, const double *x, int n, int p, int most);

#endif

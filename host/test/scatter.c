/* scatter.c - small linear algebra in a fixed order: Cholesky factors, triangular solves, covariances, distances.
 *
 * Factor and solve walk in blocks of 32 rows.  What earlier blocks take from this one is a product (ot__product does nearly all the
 * work); the rest inside the block is done row by row. */
#include "test/scatter.h"
#include "base/fail.h"
#include "test/product.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

enum { BLOCK = 32 };

void ot__product_set(double *c, const double *a, const double *b, int m, int n, int k)
{
    memset(c, 0, (size_t)m * (size_t)n * sizeof *c);
    ot__product(&(ot__product_args){.c = c, .a = a, .b = b, .ldc = (size_t)n, .lda = (size_t)m, .ldb = (size_t)n, .m = m, .n = n, .k = k, .sign = 1});
}

void ot__gram(double *c, const double *a, int n, int k)
{
    memset(c, 0, (size_t)n * (size_t)n * sizeof *c);
    ot__product(&(ot__product_args){.c = c, .a = a, .b = a, .ldc = (size_t)n, .lda = (size_t)n, .ldb = (size_t)n, .m = n, .n = n, .k = k, .sign = 1, .upper = 1});
}

int ot__cholesky(double *a, int n, double tol)
{
    size_t ld = (size_t)n;
    double limit[BLOCK];
    for (int k0 = 0; k0 < n; k0 += BLOCK) {
        int rows = n - k0 < BLOCK ? n - k0 : BLOCK;
        for (int r = 0; r < rows; r++) limit[r] = tol * a[(size_t)(k0 + r) * (ld + 1)];
        ot__product(&(ot__product_args){.c = a + (size_t)k0 * (ld + 1), .a = a + k0, .b = a + k0, .ldc = ld, .lda = ld, .ldb = ld,
                                        .m = rows, .n = n - k0, .k = k0, .sign = -1});
        for (int r = k0; r < k0 + rows; r++) {
            double *row = a + (size_t)r * ld;
            for (int l = k0; l < r; l++) {
                const double *above = a + (size_t)l * ld;
                double        f = above[r];
                for (int j = r; j < n; j++) row[j] -= f * above[j];
            }
            if (!(row[r] > limit[r - k0] && row[r] > 0)) return r;
            double root = sqrt(row[r]);
            for (int j = r; j < n; j++) row[j] /= root;
        }
    }
    return -1;
}

void ot__solve(double *b, int columns, const double *u, int n)
{
    size_t ld = (size_t)n, wide = (size_t)columns;
    for (int k0 = 0; k0 < n; k0 += BLOCK) {
        int rows = n - k0 < BLOCK ? n - k0 : BLOCK;
        ot__product(&(ot__product_args){.c = b + (size_t)k0 * wide, .a = u + k0, .b = b, .ldc = wide, .lda = ld, .ldb = wide,
                                        .m = rows, .n = columns, .k = k0, .sign = -1});
        for (int r = k0; r < k0 + rows; r++) {
            double *row = b + (size_t)r * wide, pivot = u[(size_t)r * (ld + 1)];
            for (int l = k0; l < r; l++) {
                const double *above = b + (size_t)l * wide;
                double        f = u[(size_t)l * ld + (size_t)r];
                for (int j = 0; j < columns; j++) row[j] -= f * above[j];
            }
            for (int j = 0; j < columns; j++) row[j] /= pivot;
        }
    }
}

void ot__factor_lower(double *out, const double *u, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) out[(size_t)i * (size_t)n + (size_t)j] = j <= i ? u[(size_t)j * (size_t)n + (size_t)i] : 0.0;
}

void ot__transpose(double *out, const double *in, int rows, int columns)
{
    for (int i0 = 0; i0 < rows; i0 += BLOCK)           /* squares that fit the first cache */
        for (int j0 = 0; j0 < columns; j0 += BLOCK)
            for (int i = i0; i < rows && i < i0 + BLOCK; i++)
                for (int j = j0; j < columns && j < j0 + BLOCK; j++)
                    out[(size_t)j * (size_t)rows + (size_t)i] = in[(size_t)i * (size_t)columns + (size_t)j];
}

/* By columns, LAPACK's way, our upper triangle is the lower one. */
ot_status ot__eigen(double *values, double *vectors, double *a, int n, int top)
{
    ot_status   st = OT_OK;
    lapack_int  found = 0, n_int, want[2] = {n - top + 1, n}, *support = NULL, *integers = NULL;
    double     *all = NULL, *out = NULL, *work = NULL, room, unused;
    lapack_int  info, ints_room;
    char        job = vectors ? 'V' : 'N';
    info = LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, job, 'I', 'L', n, a, n, 0, 0, want[0], want[1], 0, &found, &unused, &unused, n, &ints_room, &room, -1,
                               &n_int, -1);
    if (info) OT_FAIL(OT_E_LIBRARY, "LAPACKE_dsyevr_work returned %d when asked for its memory", (int)info);
    all = ot_alloc((size_t)n, sizeof *all);
    out = ot_alloc(vectors ? (size_t)n * (size_t)top : 1, sizeof *out);
    support = ot_alloc(2 * (size_t)n, sizeof *support);
    work = ot_alloc((size_t)room, sizeof *work);
    integers = ot_alloc((size_t)n_int, sizeof *integers);
    if (!all || !out || !support || !work || !integers) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for eigenvalues of %d by %d numbers", n, n);
    info = LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, job, 'I', 'L', n, a, n, 0, 0, want[0], want[1], 0, &found, all, out, n, support, work, (lapack_int)room,
                               integers, n_int);
    if (info || found != top) OT_FAIL_TO(done, st, OT_E_LIBRARY, "LAPACKE_dsyevr_work returned %d, %d of %d eigenvalues", (int)info, (int)found, top);
    for (int k = 0; k < top; k++) {
        values[k] = all[top - 1 - k];
        if (vectors) memcpy(vectors + (size_t)k * (size_t)n, out + (size_t)(top - 1 - k) * (size_t)n, (size_t)n * sizeof *out);
    }
done:
    ot_free(integers);
    ot_free(work);
    ot_free(support);
    ot_free(out);
    ot_free(all);
    return st;
}

void ot__mean_covariance(double *mean, double *cov, const double *x, const int *row, int h, int p, int denominator, double *work)
{
    memset(mean, 0, (size_t)p * sizeof *mean);
    for (int i = 0; i < h; i++)
        for (int k = 0; k < p; k++) mean[k] += x[(size_t)row[i] * (size_t)p + (size_t)k];
    for (int k = 0; k < p; k++) mean[k] /= h;
    for (int i = 0; i < h; i++)
        for (int k = 0; k < p; k++) work[(size_t)i * (size_t)p + (size_t)k] = x[(size_t)row[i] * (size_t)p + (size_t)k] - mean[k];
    ot__gram(cov, work, p, h);
    for (int i = 0; i < p; i++)
        for (int j = i; j < p; j++) cov[(size_t)i * (size_t)p + (size_t)j] /= denominator;
}

void ot__distances_of(double *d, const double *xt, int n, int p, const double *mean, const double *u, double *work)
{
    for (int k = 0; k < p; k++)
        for (int i = 0; i < n; i++) work[(size_t)k * (size_t)n + (size_t)i] = xt[(size_t)k * (size_t)n + (size_t)i] - mean[k];
    ot__solve(work, n, u, p);
    memset(d, 0, (size_t)n * sizeof *d);
    for (int k = 0; k < p; k++)
        for (int i = 0; i < n; i++) d[i] += work[(size_t)k * (size_t)n + (size_t)i] * work[(size_t)k * (size_t)n + (size_t)i];
}

double ot__log_det(const double *u, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += log(u[(size_t)i * ((size_t)n + 1)]);
    return 2 * sum;
}

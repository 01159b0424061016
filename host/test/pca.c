/* pca.c - principal axes for the screen that works on a few scores: the eigenvectors of the covariance, or of the smaller matrix of inner
 * products of the rows where there are fewer rows than numbers (same eigenvalues; axis = X' v / |X' v|).
 *
 * As many axes as hold 95 % of the variance, at most `most`, and always one fewer than the rank: the screen takes the logarithm of what
 * the axes leave over, so something must be left. */
#include "test/scatter.h"
#include "base/fail.h"

#include <math.h>
#include <string.h>

static const double HELD = 0.95, NOTHING = 1e-10;      /* of the largest eigenvalue: beyond the rank */

/* Rows of `axes` from eigenvectors v (k, n) of X X'. */
static void axes_of_rows(double *axes, const double *v, const double *x, int n, int p, int k)
{
    for (int a = 0; a < k; a++) {
        double *axis = axes + (size_t)a * (size_t)p, square = 0;
        memset(axis, 0, (size_t)p * sizeof *axis);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < p; j++) axis[j] += v[(size_t)a * (size_t)n + (size_t)i] * x[(size_t)i * (size_t)p + (size_t)j];
        for (int j = 0; j < p; j++) square += axis[j] * axis[j];
        for (int j = 0; j < p; j++) axis[j] /= square > 0 ? sqrt(square) : 1;
    }
}

ot_status ot__pca(int *components, double *mean, double *axes, const double *x, int n, int p, int most)
{
    int       few = n < p, m = few ? n : p, top = most + 2 < m ? most + 2 : m, k = 0, rank = 0;
    size_t    np = (size_t)n * (size_t)p;
    double    total = 0, held = 0, *matrix = NULL, *vectors = NULL, *values = NULL;
    ot_status st = OT_OK;
    double   *c = ot_alloc(2 * np, sizeof *c), *ct = c ? c + np : NULL;
    matrix = ot_alloc((size_t)m * (size_t)m, sizeof *matrix);
    vectors = ot_alloc((size_t)top * (size_t)m, sizeof *vectors);
    values = ot_alloc((size_t)top, sizeof *values);
    if (!c || !matrix || !vectors || !values) OT_FAIL_TO(done, st, OT_E_NOMEM, "pca: no memory for %d rows of %d numbers", n, p);
    memset(mean, 0, (size_t)p * sizeof *mean);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < p; j++) mean[j] += x[(size_t)i * (size_t)p + (size_t)j];
    for (int j = 0; j < p; j++) mean[j] /= n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < p; j++) c[(size_t)i * (size_t)p + (size_t)j] = x[(size_t)i * (size_t)p + (size_t)j] - mean[j];
    if (few) {
        ot__transpose(ct, c, n, p);
        ot__gram(matrix, ct, n, p);
    } else
        ot__gram(matrix, c, p, n);
    for (int j = 0; j < m; j++) total += matrix[(size_t)j * ((size_t)m + 1)];
    if (!(total > 0)) OT_FAIL_TO(done, st, OT_E_DATA, "pca: all %d rows are equal, want some spread", n);
    OT_TRY_TO(done, st, ot__eigen(values, vectors, matrix, m, top));
    while (rank < top && values[rank] > NOTHING * values[0]) rank++;
    while (k < most && k < rank - 1 && held < HELD * total) held += values[k++];
    if (few) axes_of_rows(axes, vectors, c, n, p, k);
    else memcpy(axes, vectors, (size_t)k * (size_t)p * sizeof *axes);
    *components = k;
done:
    ot_free(values);
    ot_free(vectors);
    ot_free(matrix);
    ot_free(c);
    return st;
}

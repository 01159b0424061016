/* leading.c - the subspace of the largest eigenvalues, well enough for a first look: where LAPACK needs seconds (it reduces the whole matrix
 * to three diagonals for a few of its vectors), multiplying a block of vectors by the matrix needs tenths.
 *
 * Orthogonal iteration: the block is multiplied and made orthonormal (Cholesky of its inner products) ROUNDS times, then rotated to the matrix's
 * eigenvectors within it.  It starts from numbers that are the same every time, and has GUARD vectors more than wanted, so an
 * eigenvalue l is found to about (l_guard / l)^(2 ROUNDS).  Vectors of nearly equal eigenvalues may come out mixed, which is as good here.
 * Small matrices, and those of too low a rank, are left to LAPACK. */
#include "test/scatter.h"
#include "base/fail.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 6, GUARD = 8, WORTH = 3 };             /* LAPACK's below WORTH times the vectors wanted */

/* Rows of b (k, n) become orthonormal; 0 if they are not independent.  t: (n, k), g: (k, k). */
static int orthonormal(double *b, double *t, double *g, int k, int n)
{
    ot__transpose(t, b, k, n);
    ot__gram(g, t, k, n);
    if (ot__cholesky(g, k, 1e-10) >= 0) return 0;
    ot__solve(b, n, g, k);
    return 1;
}

static ot_status exact(double *values, double *vectors, const double *a, int n, int top)
{
    double *copy = ot_alloc((size_t)n * (size_t)n, sizeof *copy);
    if (!copy) OT_NOMEM("eigenvectors", (size_t)n * (size_t)n * sizeof *copy);
    memcpy(copy, a, (size_t)n * (size_t)n * sizeof *copy);
    ot_status st = ot__eigen(values, vectors, copy, n, top);
    ot_free(copy);
    return st;
}

typedef struct block {
    double *b, *y;                     /* (k, n): orthonormal rows; what the matrix makes of them */
    double *t, *yt;                    /* (n, k) */
    double *g, *v;                     /* (k, k) */
} block;

/* What the block's rows are of the matrix: its eigenvectors within them. */
static ot_status rotate(double *values, double *vectors, block *w, int k, int n, int top)
{
    ot__transpose(w->yt, w->y, k, n);
    ot__product_set(w->g, w->yt, w->t, k, k, n);
    OT_TRY(ot__eigen(values, w->v, w->g, k, top));
    ot__transpose(w->g, w->v, top, k);
    ot__product_set(vectors, w->g, w->b, top, n, k);
    return OT_OK;
}

ot_status ot__leading(double *values, double *vectors, double *a, int n, int top)
{
    const int    k = top + GUARD;
    const size_t kn = (size_t)k * (size_t)n, kk = (size_t)k * (size_t)k;
    ot_status    st;
    uint32_t     number = 1;
    block        w;
    if (n <= WORTH * top) return exact(values, vectors, a, n, top);
    if (!(w.b = ot_alloc(4 * kn + 2 * kk, sizeof *w.b))) OT_NOMEM("eigenvectors", (4 * kn + 2 * kk) * sizeof *w.b);
    w.y = w.b + kn, w.t = w.y + kn, w.yt = w.t + kn, w.g = w.yt + kn, w.v = w.g + kk;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) a[(size_t)i * (size_t)n + (size_t)j] = a[(size_t)j * (size_t)n + (size_t)i];
    for (size_t i = 0; i < kn; i++) w.y[i] = (double)((number = number * 1664525u + 1013904223u) >> 8) / 8388608.0 - 1;
    for (int round = 0; round <= ROUNDS; round++) {
        memcpy(w.b, w.y, kn * sizeof *w.b);
        if (!orthonormal(w.b, w.t, w.g, k, n)) {
            st = exact(values, vectors, a, n, top);
            goto done;
        }
        ot__transpose(w.t, w.b, k, n);
        ot__product_set(w.y, w.t, a, k, n, n);
    }
    st = rotate(values, vectors, &w, k, n, top);
done:
    ot_free(w.b);
    return st;
}

/* mars_backward.c - MARS's backward pass: from all terms down to the constant, each time without the term that is missed least.
 *
 * The columns are made triangular once, B = QR.  The first terms of every order that comes by are subsets too, their squares to be read off
 * z: if they are better than the one met before of that size, they count (R's leaps, which R earth calls, does so).  Leaving out term k adds beta_k^2 / (B'B)^-1_kk to the squares, and (B'B)^-1_kk is the
 * squared length of row k of R^-1.  R without a column is brought back to a triangle by rotations of neighbouring rows, which turn
 * z = Q'y along; what falls off its end is what y loses.  B'B itself, with the squared condition, is never formed.  Of all sizes the one
 * with the least generalised cross-validation stays. */
#include "test/mars.h"
#include "base/fail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double DEPENDENT = 1e-8;       /* of its length: a column with less outside the ones before is left out */

double ot__mars_gcv(int terms, double rss, int n, double penalty)
{
    double cost = (terms + penalty * (terms - 1) / 2) / n;
    return cost >= 1 ? INFINITY : rss / (n * (1 - cost) * (1 - cost));
}

/* A triangle: column k of R holds r[k * room + 0 .. k]. */
typedef struct triangle {
    int     m, room;
    int    *term;                           /* (m) */
    double *r, *z;                          /* (room, room), (room) */
    double  rss;                            /* of y outside the span */
} triangle;

/* QR of the columns term[0..count-1]; dependent ones are dropped.  q: (count, n), y is overwritten by its residual. */
static void decompose(triangle *t, double *q, double *y, const double *column, const int *term, int count, int n)
{
    size_t width = (size_t)n;
    t->m = 0;
    for (int k = 0; k < count; k++) {
        double *v = q + (size_t)t->m * width, *r = t->r + (size_t)t->m * (size_t)t->room;
        memcpy(v, column + (size_t)term[k] * width, width * sizeof *v);
        double before = sqrt(ot__dot(v, v, n));
        for (int c = 0; c < t->m; c++) r[c] = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int c = 0; c < t->m; c++) {
                double d = ot__dot(q + (size_t)c * width, v, n);
                r[c] += d;
                for (size_t i = 0; i < width; i++) v[i] -= d * q[(size_t)c * width + i];
            }
        double length = sqrt(ot__dot(v, v, n));
        if (!(length > DEPENDENT * before)) continue;
        for (size_t i = 0; i < width; i++) v[i] /= length;
        r[t->m] = length;
        t->z[t->m] = ot__dot(v, y, n);
        for (size_t i = 0; i < width; i++) y[i] -= t->z[t->m] * v[i];
        t->term[t->m++] = term[k];
    }
    t->rss = ot__dot(y, y, n);
}

static void solve(double *coef, const triangle *t)
{
    for (int i = t->m - 1; i >= 0; i--) {
        double s = t->z[i];
        for (int k = i + 1; k < t->m; k++) s -= t->r[(size_t)k * (size_t)t->room + (size_t)i] * coef[k];
        coef[i] = s / t->r[(size_t)i * (size_t)t->room + (size_t)i];
    }
}

/* square[i] = squared length of row i of R^-1; `column`: scratch (m). */
static void inverse_rows(double *square, double *column, const triangle *t)
{
    for (int i = 0; i < t->m; i++) square[i] = 0;
    for (int k = 0; k < t->m; k++) {                     /* column k of the inverse, from its end */
        for (int i = k; i >= 0; i--) {
            double s = i == k;
            for (int l = i + 1; l <= k; l++) s -= t->r[(size_t)l * (size_t)t->room + (size_t)i] * column[l];
            column[i] = s / t->r[(size_t)i * (size_t)t->room + (size_t)i];
            square[i] += column[i] * column[i];
        }
    }
}

static void drop(triangle *t, int gone)
{
    size_t room = (size_t)t->room;
    for (int k = gone; k + 1 < t->m; k++) {              /* columns move up; each has one number below the diagonal */
        memcpy(t->r + (size_t)k * room, t->r + (size_t)(k + 1) * room, (size_t)(k + 2) * sizeof *t->r);
        t->term[k] = t->term[k + 1];
    }
    t->m--;
    for (int i = gone; i < t->m; i++) {                  /* rotate rows i and i + 1 */
        double a = t->r[(size_t)i * room + (size_t)i], b = t->r[(size_t)i * room + (size_t)i + 1], h = hypot(a, b), c = a / h, s = b / h;
        for (int k = i; k < t->m; k++) {
            double *r = t->r + (size_t)k * room + i, u = r[0], v = r[1];
            r[0] = c * u + s * v;
            r[1] = c * v - s * u;
        }
        double u = t->z[i], v = t->z[i + 1];
        t->z[i] = c * u + s * v;
        t->z[i + 1] = c * v - s * u;
    }
    t->rss += t->z[t->m] * t->z[t->m];
}

static int missed_least(const triangle *t, double *work)
{
    double *coef = work, *square = work + t->room, least = INFINITY;
    int     best = 1;
    solve(coef, t);
    inverse_rows(square, work + 2 * t->room, t);
    for (int k = 1; k < t->m; k++)
        if (coef[k] * coef[k] / square[k] < least) least = coef[k] * coef[best = k] / square[k];
    return best;
}

/* Keeps the first terms of the order as it stands wherever they leave less than what was met before; best: (room, room) terms. */
static void note(double *rss, int *best, const triangle *t)
{
    double left = t->rss;
    for (int size = t->m; size >= 1; size--) {
        if (left < rss[size - 1]) {
            rss[size - 1] = left;
            memcpy(best + (size_t)(size - 1) * (size_t)t->room, t->term, (size_t)size * sizeof *best);
        }
        left += t->z[size - 1] * t->z[size - 1];
    }
}

static int by_number(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static int place(ot__mars_subset *out, int terms)
{
    char *m = out->memory = ot_alloc((size_t)terms * (2 * sizeof(double) + sizeof(int)), 1);
    if (!m) return 0;
    out->coef = (double *)m;
    out->rss = out->coef + terms;
    out->term = (int *)(out->rss + terms);
    return 1;
}

ot_status ot__mars_backward(ot__mars_subset *out, const ot__mars_basis *basis, const double *y, int n, double penalty)
{
    int       all = basis->terms;
    size_t    terms = (size_t)all, rows = (size_t)n;
    triangle  t = {.room = all};
    ot_status st = OT_OK;
    double   *q = ot_alloc(terms * rows + rows, sizeof *q), *r = ot_alloc(terms * terms + 4 * terms, sizeof *r), mean = ot__mean(y, n), tss;
    int      *ints = ot_alloc(terms * terms + 2 * terms, sizeof *ints), *list = ints + terms, *best = list + terms;
    *out = (ot__mars_subset){0};
    if (!q || !r || !ints || !place(out, all)) OT_FAIL_TO(done, st, OT_E_NOMEM, "MARS: no memory to prune %d terms of %d rows", all, n);
    double *residual = q + terms * rows, *work = r + terms * terms + terms, least = INFINITY;
    t.r = r, t.z = r + terms * terms, t.term = ints;
    for (size_t i = 0; i < rows; i++) residual[i] = y[i] - mean;
    tss = ot__dot(residual, residual, n);
    for (int k = 0; k < all; k++) list[k] = k;
    decompose(&t, q, residual, basis->column, list, all, n);
    out->sizes = t.m;
    for (int k = 0; k < t.m; k++) out->rss[k] = INFINITY;
    for (note(out->rss, best, &t); t.m > 1; note(out->rss, best, &t)) drop(&t, missed_least(&t, work));
    for (int size = 1; size <= out->sizes; size++) {     /* the smaller one on a tie */
        double gcv = ot__mars_gcv(size, out->rss[size - 1], n, penalty);
        if (gcv < least) least = gcv, out->terms = size;
    }
    memcpy(out->term, best + (size_t)(out->terms - 1) * terms, (size_t)out->terms * sizeof *best);
    qsort(out->term, (size_t)out->terms, sizeof *out->term, by_number);
    for (size_t i = 0; i < rows; i++) residual[i] = y[i] - mean;
    decompose(&t, q, residual, basis->column, out->term, out->terms, n);
    solve(out->coef, &t);
    out->coef[0] += mean;                                /* term 0 is the constant 1 */
    out->gcv = ot__mars_gcv(t.m, t.rss, n, penalty);
    out->rsq = 1 - t.rss / tss;
    out->grsq = 1 - out->gcv / ot__mars_gcv(1, tss, n, penalty);
done:
    if (st != OT_OK) {
        ot_free(out->memory);
        *out = (ot__mars_subset){0};
    }
    ot_free(ints);
    ot_free(r);
    ot_free(q);
    return st;
}

/* ridge.c - least squares with a price on long coefficients: |y - Xb|^2 + lambda |b|^2, X standardised, the intercept free.
 *
 * One eigendecomposition serves every lambda: of X'X (p, p), or of XX' (n, n) where there are fewer rows than features.  With X = U D V' both
 * give d^2 and c = U'y, and then
 *
 *     rss(lambda) = |y|^2 - |c|^2 + sum (lambda / (d^2 + lambda) c)^2,   degrees of freedom = 1 + sum d^2 / (d^2 + lambda)
 *     GCV = rss / n / (1 - dof / n)^2,                                   b = V diag(d / (d^2 + lambda)) c
 *
 * lambda is the one of a fixed grid with the least GCV (Golub, Heath, Wahba 1979).  The solution is put back into the equations it should solve
 * before it is believed: a library that is wrong on this processor is reported, not used. */
#include "test/learner.h"
#include "base/fail.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

enum { GRID = 65 };                         /* 8 a decade: d^2max * 10^-7 .. 10^1 */

typedef struct ridge {
    const ot__rows *rows;
    int     n, p, k;                        /* k: the smaller of both */
    double *x;                              /* (n, p) standardised */
    double *mean, *sd;                      /* (p); sd 0: constant, left out */
    double *y, *b, *fit;                    /* (n) centred, (p), (n) */
    double *gram, *e, *c;                   /* (k, k) then its vectors in rows; (k) d^2; (k) U'y */
    double  rest;                           /* |y|^2 - |c|^2 */
} ridge;

static ot_status ridge_open(ridge *r)
{
    size_t n = (size_t)r->n, p = (size_t)r->p, k = (size_t)r->k;
    r->x = ot_alloc(n * p, sizeof *r->x);
    r->mean = ot_alloc(3 * p, sizeof *r->mean);
    r->y = ot_alloc(2 * n, sizeof *r->y);
    r->gram = ot_alloc(k * k + 2 * k, sizeof *r->gram);
    if (!r->x || !r->mean || !r->y || !r->gram) OT_FAIL(OT_E_NOMEM, "ridge: no memory for %d rows of %d features", r->n, r->p);
    r->sd = r->mean + p, r->b = r->sd + p, r->fit = r->y + n, r->e = r->gram + k * k, r->c = r->e + k;
    return OT_OK;
}

static void ridge_close(ridge *r)
{
    ot_free(r->gram);
    ot_free(r->y);
    ot_free(r->mean);
    ot_free(r->x);
}

static void standardise(ridge *r)
{
    size_t n = (size_t)r->n, p = (size_t)r->p;
    const double *x = r->rows->x;
    double mean = ot__mean(r->rows->y, r->n);
    for (size_t i = 0; i < n; i++) r->y[i] = r->rows->y[i] - mean;
    for (size_t j = 0; j < p; j++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < n; i++) sum += x[i * p + j] - x[j];
        r->mean[j] = x[j] + sum / (double)n;
        for (size_t i = 0; i < n; i++) square += (x[i * p + j] - r->mean[j]) * (x[i * p + j] - r->mean[j]);
        r->sd[j] = sqrt(square / (double)n);
        if (r->sd[j] < 1e-12) r->sd[j] = 0;
        for (size_t i = 0; i < n; i++) r->x[i * p + j] = r->sd[j] > 0 ? (x[i * p + j] - r->mean[j]) / r->sd[j] : 0;
    }
}

/* A thread's rows of the lower triangle; X'X from columns, which are first copied side by side. */
static ot_status gram_share(void *user, int job)
{
    ridge        *r = user;
    int           wide = r->n < r->p, length = wide ? r->p : r->n;
    const double *a = r->x;                 /* (k, length): rows of X or of its transpose */
    for (int i = job; i < r->k; i += r->rows->threads)
        for (int j = 0; j <= i; j++)
            r->gram[(size_t)i * (size_t)r->k + (size_t)j] = ot__dot(a + (size_t)i * (size_t)length, a + (size_t)j * (size_t)length, length);
    return OT_OK;
}

static ot_status transpose(ridge *r)
{
    size_t  n = (size_t)r->n, p = (size_t)r->p;
    double *t = ot_alloc(n * p, sizeof *t);
    if (!t) OT_NOMEM("ridge", n * p * sizeof *t);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < p; j++) t[j * n + i] = r->x[i * p + j];
    ot_free(r->x);
    r->x = t;
    return OT_OK;
}

/* out = X b (n) or X' a (p), for either storage. */
static void times(double *out, const ridge *r, const double *v, int to_features)
{
    int    wide = r->n < r->p, rows = wide ? r->n : r->p, length = wide ? r->p : r->n;     /* of storage */
    if (to_features != wide) {
        for (int i = 0; i < rows; i++) out[i] = ot__dot(r->x + (size_t)i * (size_t)length, v, length);
        return;
    }
    for (int l = 0; l < length; l++) out[l] = 0;
    for (int i = 0; i < rows; i++)
        for (int l = 0; l < length; l++) out[l] += v[i] * r->x[(size_t)i * (size_t)length + (size_t)l];
}

static ot_status decompose(ridge *r)
{
    int    wide = r->n < r->p;
    size_t k = (size_t)r->k;
    if (!wide) OT_TRY(transpose(r));
    OT_TRY(ot__pool_run(r->rows->pool, r->rows->threads, gram_share, r));
    /* Rows' lower triangle is columns' upper: the vectors come back as columns there, rows here. */
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', r->k, r->gram, r->k, r->e);
    if (info == LAPACK_WORK_MEMORY_ERROR) OT_NOMEM("LAPACKE_dsyevd", k * k * 3 * sizeof(double));
    if (info) OT_FAIL(OT_E_LIBRARY, "LAPACKE_dsyevd returned %d", (int)info);
    double *xy = r->b;                      /* X'y, or y itself */
    if (!wide) times(xy, r, r->y, 1);
    r->rest = ot__dot(r->y, r->y, r->n);
    double most = r->e[k - 1];
    for (size_t i = 0; i < k; i++) {
        double c = ot__dot(r->gram + i * k, wide ? r->y : xy, r->k);
        if (!(r->e[i] > 1e-13 * (double)k * most)) r->e[i] = 0;                 /* rank: nothing there but rounding */
        r->c[i] = r->e[i] > 0 ? (wide ? c : c / sqrt(r->e[i])) : 0;
        r->rest -= r->c[i] * r->c[i];
    }
    if (r->rest < 0) r->rest = 0;
    return OT_OK;
}

static double gcv(const ridge *r, double lambda)
{
    double rss = r->rest, dof = 1;
    for (int i = 0; i < r->k; i++) {
        if (!(r->e[i] > 0)) continue;
        double keep = r->e[i] / (r->e[i] + lambda), lost = lambda / (r->e[i] + lambda) * r->c[i];
        rss += lost * lost;
        dof += keep;
    }
    double left = 1 - dof / r->n;
    return left > 1e-9 ? rss / r->n / (left * left) : INFINITY;      /* no degree of freedom left: it says nothing */
}

static double best_lambda(const ridge *r)
{
    double best = INFINITY, most = r->e[r->k - 1], lambda = 10 * most;
    for (int i = 0; i < GRID; i++) {                                 /* from the largest: simpler on a tie */
        double l = most * pow(10, 1 - i / 8.0), v = gcv(r, l);
        if (v < best) best = v, lambda = l;
    }
    return lambda;
}

/* b, then the check: X'(y - Xb) = lambda b. */
static ot_status solve(ridge *r, double lambda)
{
    int     wide = r->n < r->p;
    size_t  k = (size_t)r->k, p = (size_t)r->p;
    double *w = ot_alloc(k + p, sizeof *w), *back = w + k, off = 0, size = 0;
    if (!w) OT_NOMEM("ridge", (k + p) * sizeof *w);
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; r->e[i] > 0 && j < k; j++)
            w[j] += r->gram[i * k + j] * r->c[i] * (wide ? 1 : sqrt(r->e[i])) / (r->e[i] + lambda);
    if (wide) times(r->b, r, w, 1);
    else memcpy(r->b, w, k * sizeof *w);
    times(r->fit, r, r->b, 0);
    times(back, r, r->y, 1);
    for (size_t j = 0; j < p; j++) size = fmax(size, fabs(back[j]));
    for (int i = 0; i < r->n; i++) r->fit[i] = r->y[i] - r->fit[i];
    times(back, r, r->fit, 1);
    for (size_t j = 0; j < p; j++) off = fmax(off, fabs(back[j] - lambda * r->b[j]));
    ot_free(w);
    if (!(off <= 1e-6 * size))
        OT_FAIL(OT_E_LIBRARY, "ridge: LAPACK's eigenvectors leave %g of %g unsolved, want 1e-6 (another BLAS may help: OPENBLAS_CORETYPE)", off, size);
    return OT_OK;
}

ot_status ot__ridge_fit(ot_predictor *out, const ot__rows *rows)
{
    ridge     r = {.rows = rows, .n = rows->n, .p = rows->p, .k = rows->n < rows->p ? rows->n : rows->p};
    double   *coef = NULL;
    ot_status st;
    OT_TRY_TO(done, st, ridge_open(&r));
    standardise(&r);
    OT_TRY_TO(done, st, decompose(&r));
    if (r.e[r.k - 1] > 0) OT_TRY_TO(done, st, solve(&r, rows->opt->lambda < 0 ? best_lambda(&r) : rows->opt->lambda));
    else memset(r.b, 0, (size_t)r.p * sizeof *r.b);                  /* every feature is constant */
    coef = ot_alloc((size_t)rows->p, sizeof *coef);
    if (!coef) OT_FAIL_TO(done, st, OT_E_NOMEM, "ridge: no memory for %d coefficients", rows->p);
    *out = (ot_predictor){.kind = OT_PREDICTOR_RIDGE, .p = rows->p, .memory = coef};
    out->ridge.intercept = ot__mean(rows->y, rows->n);
    for (int j = 0; j < rows->p; j++) {
        coef[j] = r.sd[j] > 0 ? r.b[j] / r.sd[j] : 0;
        out->ridge.intercept -= coef[j] * r.mean[j];
    }
    out->ridge.coef = coef;
done:
    ridge_close(&r);
    return st;
}

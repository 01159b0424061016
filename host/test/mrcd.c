/* mrcd.c - minimum regularised covariance determinant (Boudt, Rousseeuw, Vanduffel, Verdonck 2020): FAST-MCD's idea for any number of
 * numbers a row, p > n included.
 *
 *     u  = (x - median) / Qn                            each number by its own robust centre and scale
 *     K  = rho I + (1 - rho) c S                        S the covariance of a subset of h rows; what is made small is det K
 *     c  = (h / n) / F_{p+2}(F_p^-1(h / n))             F_k: chi-square; makes c S consistent at the normal distribution
 *
 * Six rough estimates give six first subsets (starts.c).  rho_i is the least weight that gives K of subset i a condition number of 50, or what
 * the caller asks for (a closed form in the extreme eigenvalues); rho is the largest of those not above max(0.1, their median), and subsets with a larger one
 * are dropped.  C-steps with K in place of S, never raising det K, go on from each until the subset stays; the least det K wins.  No
 * reweighting follows; the matrix that is kept has denominator h - 1, the search h (as rrcov, the authors' software).
 *
 * p >= h: S is singular, and everything is computed from inner products instead (Woodbury): with G the h by h matrix of products of the
 * centred rows, a = (1 - rho) c / h and g the products of a row y with them,
 *
 *     det K = rho^(p - h) det(rho I + a G)              y' K^-1 y = (y'y - a g' (rho I + a G)^-1 g) / rho
 *
 * so a C-step costs n h^2 / 2 products, not n p^2 / 2 + h p^2 / 2 + p^3 / 6. */
#include "test/mrcd.h"
#include "base/fail.h"

#include <math.h>
#include <string.h>

enum { STEPS = 100, STARTS = OT__MRCD_STARTS };
static const double SHARE = 1;

typedef struct fit {
    int         n, p, h, dual;
    double     *u, *ut;                    /* (n, p), (p, n) */
    double     *g;                         /* dual: (n, n) inner products */
    double     *mean, *k, *work, *d;       /* (p), (p, p) or (h, h), (n, p) or (h, n), (n) */
    double     *near;                      /* dual: (n) mean product with the subset */
    double      rho, c, condition;
    int         starts;
    int        *next;
    ot__ranked *ranked;
    uint64_t    seen[STARTS * (STEPS + 1)];        /* subsets visited, as hashes: a start that meets an earlier one's path ends as that did */
    int         n_seen;
} fit;

static void close_fit(fit *f)
{
    ot_free(f->ranked);
    ot_free(f->next);
    ot_free(f->u);
    f->ranked = NULL, f->next = NULL, f->u = NULL;
}

static ot_status open_fit(fit *f, int n, int p, int h)
{
    *f = (fit){.n = n, .p = p, .h = h, .dual = p >= h};
    size_t np = (size_t)n * (size_t)p, m = (size_t)(f->dual ? h : p);
    f->u = ot_alloc(2 * np + (f->dual ? (size_t)n * (size_t)n : 0) + (size_t)p + m * m + m * (size_t)n + 2 * (size_t)n, sizeof *f->u);
    f->next = ot_alloc((size_t)n, sizeof *f->next);
    f->ranked = ot_alloc((size_t)n, sizeof *f->ranked);
    if (!f->u || !f->next || !f->ranked) {
        close_fit(f);
        OT_FAIL(OT_E_NOMEM, "mrcd: no memory for %d rows of %d numbers", n, p);
    }
    f->ut = f->u + np, f->g = f->ut + np, f->mean = f->g + (f->dual ? (size_t)n * (size_t)n : 0), f->k = f->mean + p;
    f->work = f->k + m * m, f->d = f->work + m * (size_t)n, f->near = f->d + n;
    return OT_OK;
}

/* dual: products of centred rows follow from those of the rows; gives the mean over the subset of `near`. */
static double nearness(fit *f, const int *row)
{
    double mean = 0;
    for (int i = 0; i < f->n; i++) f->near[i] = 0;
    for (int r = 0; r < f->h; r++)
        for (int i = 0; i < f->n; i++) f->near[i] += f->g[(size_t)row[r] * (size_t)f->n + (size_t)i];
    for (int i = 0; i < f->n; i++) f->near[i] /= f->h;
    for (int r = 0; r < f->h; r++) mean += f->near[row[r]];
    return mean / f->h;
}

static double product(const fit *f, int i, int j, double mean) { return f->g[(size_t)i * (size_t)f->n + (size_t)j] - f->near[i] - f->near[j] + mean; }

/* S of a subset, or in its place the products of its centred rows / h, which have the same eigenvalues above 0: the upper triangle. */
static double scatter(fit *f, const int *row)
{
    if (!f->dual) {
        ot__mean_covariance(f->mean, f->k, f->u, row, f->h, f->p, f->h, f->work);
        return 0;
    }
    double mean = nearness(f, row);
    for (int i = 0; i < f->h; i++)
        for (int j = i; j < f->h; j++) f->k[(size_t)i * (size_t)f->h + (size_t)j] = product(f, row[i], row[j], mean) / f->h;
    return mean;
}

/* The least rho at which rho + (1 - rho) c lambda spans no more than 1 : condition. */
static ot_status weight(fit *f, const int *row, double *rho)
{
    int     m = f->dual ? f->h : f->p, top = f->dual ? 1 : m;
    double *values = ot_alloc((size_t)m, sizeof *values);
    if (!values) OT_NOMEM("mrcd", (size_t)m * sizeof *values);
    scatter(f, row);
    ot_status st = ot__eigen(values, NULL, f->k, m, top);
    double    most = f->c * values[0], least = f->dual || values[m - 1] < 0 ? 0 : f->c * values[m - 1], over = most - f->condition * least;
    *rho = !(most > 0) ? 1 : over > 0 ? over / (over + f->condition - 1) : 0;            /* 1: h equal rows */
    ot_free(values);
    return st;
}

static int factor(fit *f, const int *row, double *mean)
{
    int    m = f->dual ? f->h : f->p;
    double scale = (1 - f->rho) * f->c;
    *mean = scatter(f, row);
    for (int i = 0; i < m; i++)
        for (int j = i; j < m; j++) f->k[(size_t)i * (size_t)m + (size_t)j] = scale * f->k[(size_t)i * (size_t)m + (size_t)j] + (i == j ? f->rho : 0);
    return ot__cholesky(f->k, m, 0);
}

/* log det K of a subset, and distances of all rows; NaN if K has no factor (rho 0 and rounding). */
static double evaluate(fit *f, const int *row)
{
    int    n = f->n, h = f->h;
    double mean, a = (1 - f->rho) * f->c / h;
    if (factor(f, row, &mean) >= 0) return NAN;
    if (!f->dual) {
        ot__distances_of(f->d, f->ut, n, f->p, f->mean, f->k, f->work);
        return ot__log_det(f->k, f->p);
    }
    for (int r = 0; r < h; r++)
        for (int i = 0; i < n; i++) f->work[(size_t)r * (size_t)n + (size_t)i] = product(f, row[r], i, mean);
    ot__solve(f->work, n, f->k, h);
    memset(f->d, 0, (size_t)n * sizeof *f->d);
    for (int r = 0; r < h; r++)
        for (int i = 0; i < n; i++) f->d[i] += f->work[(size_t)r * (size_t)n + (size_t)i] * f->work[(size_t)r * (size_t)n + (size_t)i];
    for (int i = 0; i < n; i++) f->d[i] = (product(f, i, i, mean) - a * f->d[i]) / f->rho;
    return (f->p - h) * log(f->rho) + ot__log_det(f->k, h);
}

static int seen_before(fit *f, const int *row)
{
    uint64_t hash = 14695981039346656037u;                             /* FNV-1a over the row numbers */
    for (int i = 0; i < f->h; i++) hash = (hash ^ (uint64_t)row[i]) * 1099511628211u;
    for (int i = 0; i < f->n_seen; i++)
        if (f->seen[i] == hash) return 1;
    f->seen[f->n_seen++] = hash;
    return 0;
}

/* C-steps from row[0..h-1]; INFINITY if they run into an earlier start's path. */
static double c_steps(fit *f, int *row)
{
    if (seen_before(f, row)) return INFINITY;
    double log_det = evaluate(f, row);
    for (int step = 0; step < STEPS && !isnan(log_det); step++) {
        ot__smallest(f->next, f->d, f->n, f->h, f->ranked);
        if (!memcmp(f->next, row, (size_t)f->h * sizeof *row)) break;
        if (seen_before(f, f->next)) return INFINITY;
        double now = evaluate(f, f->next);
        if (!(now < log_det)) break;
        memcpy(row, f->next, (size_t)f->h * sizeof *row);
        log_det = now;
    }
    return log_det;
}

/* The weight of the target by the authors' rule. */
static double choose_rho(const double *rho, int starts)
{
    double sorted[STARTS], most = 0;
    memcpy(sorted, rho, (size_t)starts * sizeof *rho);
    ot__sort(sorted, starts);
    double limit = fmax(0.1, ot__median(sorted, starts));
    for (int i = 0; i < starts; i++)
        if (rho[i] <= limit) most = fmax(most, rho[i]);
    return most;
}

/* The best subset of the searches. */
static ot_status search(fit *f, int *row, int *best, double *log_det)
{
    double rho[STARTS];
    *log_det = INFINITY;
    for (int i = 0; i < f->starts; i++) OT_TRY(weight(f, row + (size_t)i * (size_t)f->n, &rho[i]));
    f->rho = choose_rho(rho, f->starts);
    for (int i = 0; i < f->starts; i++) {
        if (rho[i] > f->rho) continue;
        double now = c_steps(f, row + (size_t)i * (size_t)f->n);
        if (!(now < *log_det)) continue;
        *log_det = now;
        memcpy(best, row + (size_t)i * (size_t)f->n, (size_t)f->h * sizeof *best);
    }
    if (*log_det == INFINITY) OT_FAIL(OT_E_DATA, "mrcd: no subset of %d rows has a covariance with an inverse", f->h);
    return OT_OK;
}

/* The matrix of the best subset, in the units of x. */
static ot_status finish(ot__scatter *out, fit *f, const int *best, const double *centre, const double *scale)
{
    int     p = f->p;
    size_t  ld = (size_t)p;
    double *k = ot_alloc(ld * ld + (size_t)f->h * ld, sizeof *k);
    if (!k) OT_NOMEM("mrcd", ld * ld * sizeof *k);
    ot__mean_covariance(f->mean, k, f->u, best, f->h, p, f->h - 1, k + ld * ld);
    for (int i = 0; i < p; i++)
        for (int j = i; j < p; j++) k[(size_t)i * ld + (size_t)j] = (1 - f->rho) * f->c * k[(size_t)i * ld + (size_t)j] + (i == j ? f->rho : 0);
    int bad = ot__cholesky(k, p, 0);
    if (bad < 0) {
        ot__factor_lower(out->factor, k, p);
        for (int i = 0; i < p; i++) {
            out->centre[i] = centre[i] + scale[i] * f->mean[i];
            for (int j = 0; j <= i; j++) out->factor[(size_t)i * ld + (size_t)j] *= scale[i];
        }
    }
    ot_free(k);
    if (bad >= 0) OT_FAIL(OT_E_DATA, "mrcd: the covariance has no factor at number %d", bad);
    return OT_OK;
}

int ot__mrcd_subset(int n, double support) { return (int)ceil((support > 0 ? support : SHARE) * n - 1e-9); }

ot_status ot__mrcd(ot__scatter *out, const double *x, int n, int p, const ot__mrcd_options *o)
{
    int       h = ot__mrcd_subset(n, o->support);
    fit       f = {0};
    ot_status st;
    double    share = (double)h / n, *centre = ot_alloc(2 * (size_t)p, sizeof *centre), *scale = centre ? centre + p : NULL;
    int      *row = ot_alloc((STARTS + 1) * (size_t)n, sizeof *row), *best = row ? row + STARTS * (size_t)n : NULL;
    if (!centre || !row) OT_FAIL_TO(done, st, OT_E_NOMEM, "mrcd: no memory for %d rows of %d numbers", n, p);
    OT_TRY_TO(done, st, open_fit(&f, n, p, h));
    f.condition = o->condition, f.starts = o->starts;
    OT_TRY_TO(done, st, ot__mrcd_standardise(f.u, centre, scale, x, n, p));
    ot__transpose(f.ut, f.u, n, p);
    if (f.dual) {
        ot__gram(f.g, f.ut, n, p);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < i; j++) f.g[(size_t)i * (size_t)n + (size_t)j] = f.g[(size_t)j * (size_t)n + (size_t)i];
    }
    f.c = h < n ? share / ot__chi2_cdf(ot__chi2_quantile(share, p), p + 2) : 1;
    if (h == n) {                                      /* nothing to search for */
        f.starts = 1;
        for (int i = 0; i < n; i++) row[i] = i;
    } else OT_TRY_TO(done, st, ot__mrcd_starts(row, f.u, f.ut, n, p, h, f.starts));
    OT_TRY_TO(done, st, search(&f, row, best, &out->log_det));
    OT_TRY_TO(done, st, finish(out, &f, best, centre, scale));
    for (int k = 0; k < p; k++) out->log_det += 2 * log(scale[k]);
    out->h = h;
    out->rho = f.rho;
    if (out->best) memcpy(out->best, best, (size_t)h * sizeof *best);
done:
    close_fit(&f);
    ot_free(row);
    ot_free(centre);
    return st;
}

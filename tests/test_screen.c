/* test_screen.c - robust covariances and the screens made of them: against scikit-learn and rrcov, and what must hold for any data. */
#include "check.h"
#include "test/mrcd.h"
#include "test/product.h"

#include <math.h>
#include <string.h>

/* As rrcov does. */
static const ot__mrcd_options AUTHORS = {.support = 0.75, .condition = 50, .starts = OT__MRCD_STARTS};

static double *normal(check_rng *r, int n, int p)
{
    double *x = ot_alloc((size_t)n * (size_t)p, sizeof *x);
    for (size_t i = 0; i < (size_t)n * (size_t)p; i++) x[i] = check_normal(r);
    return x;
}

static void poison(double *v, size_t n)
{
    for (size_t i = 0; i < n; i++) v[i] = NAN;
}

/* -- Parts ------------------------------------------------------------------------------------------------------------ */

/* Every build of the product, against the definition in its order of summation: the same bits. */
TEST products_have_the_same_bits_in_every_build(int m, int n, int k, int upper)
{
    check_rng r = {5};
    double   *a = normal(&r, k + 1, m), *b = upper ? a : normal(&r, k + 1, n), *c = normal(&r, m, n), *want = ot_alloc((size_t)(m * n) + 1, 8), *got = ot_alloc((size_t)(m * n) + 1, 8);
    ot__product_variant v[OT__PRODUCT_VARIANTS];
    int builds = ot__product_variants(v);
    for (double sign = -1; sign <= 1; sign += 2) {
        memcpy(want, c, (size_t)(m * n) * 8);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
                for (int k0 = 0; k0 < k; k0 += 256) {
                    double sum = 0;
                    for (int l = k0; l < k && l < k0 + 256; l++) sum += a[l * m + i] * b[l * n + j];
                    want[i * n + j] += sign * sum;
                }
        for (int q = 0; q < builds; q++) {
            if (!v[q].usable) continue;
            memcpy(got, c, (size_t)(m * n) * 8);
            v[q].fn(&(ot__product_args){.c = got, .a = a, .b = b, .ldc = (size_t)n, .lda = (size_t)m, .ldb = (size_t)n, .m = m, .n = n, .k = k, .sign = sign, .upper = upper});
            for (int i = 0; i < m; i++)
                for (int j = upper ? i : 0; j < n; j++) ASSERT_EQ_FMT(want[i * n + j], got[i * n + j], "%.17g");
        }
    }
    ot_free(a), ot_free(upper ? NULL : b), ot_free(c), ot_free(want), ot_free(got);
    PASS();
}

/* U' U = A, U' y = b, log det: by multiplication, sizes around the block of 32. */
TEST factor_and_solve_undo_the_product(int p)
{
    check_rng r = {9};
    int       n = p + 40;
    double   *x = normal(&r, n, p), *a = ot_alloc((size_t)(p * p), 8), *u = ot_alloc((size_t)(p * p), 8), *b = normal(&r, p, 7), *y = ot_alloc((size_t)p * 7, 8);
    double   *back = ot_alloc((size_t)(p * p), 8), *low = ot_alloc((size_t)(p * p), 8);
    ot__gram(a, x, p, n);
    memcpy(u, a, (size_t)(p * p) * 8);
    ASSERT_EQ(-1, ot__cholesky(u, p, 1e-12));
    poison(low, (size_t)(p * p));
    ot__factor_lower(low, u, p);
    memcpy(y, b, (size_t)p * 7 * 8);
    ot__solve(y, 7, u, p);
    for (int i = 0; i < p; i++) {
        for (int j = i; j < p; j++) {
            double s = 0;
            for (int k = 0; k <= i; k++) s += low[i * p + k] * low[j * p + k];
            back[i * p + j] = s;
            ASSERT(fabs(s - a[i * p + j]) <= /* p products of size n */ 1e-15 * p * n);
        }
        for (int c = 0; c < 7; c++) {
            double s = 0;
            for (int k = 0; k <= i; k++) s += low[i * p + k] * y[k * 7 + c];
            ASSERT(fabs(s - b[i * 7 + c]) <= 1e-14 * p * 10);
        }
    }
    a[p * p - 1] -= 2 * u[p * p - 1] * u[p * p - 1];                   /* no longer positive definite, at the last pivot alone */
    ASSERT_EQ(p - 1, ot__cholesky(a, p, 0));
    ot_free(x), ot_free(a), ot_free(u), ot_free(b), ot_free(y), ot_free(back), ot_free(low);
    PASS();
}

/* Known values: Abramowitz and Stegun, tables 26.8 and 26.1, more digits from R's qchisq, pchisq, qnorm. */
TEST chi_square_and_normal_quantiles_are_the_tabled_ones(void)
{
    static const struct { double share, k, want; } t[] = {
        {0.5, 1, 0.45493642311957283}, {0.5, 2, 1.3862943611198906}, {0.975, 1, 5.0238861873148881}, {0.975, 5, 12.832501994030027},
        {0.975, 18, 31.526378440386633}, {0.75, 60, 66.981461107619126}, {0.975, 60, 83.297674877173186}, {0.99, 100, 135.80672317102676}, {0.01, 3, 0.11483180189911707}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        double got = ot__chi2_quantile(t[i].share, t[i].k), back = ot__chi2_cdf(t[i].want, t[i].k);
        CHECK_CLOSE64(&t[i].want, &got, 1, 1e-13 * 100 * t[i].want);   /* lgamma's and exp's rounding, magnified by a */
        CHECK_CLOSE64(&t[i].share, &back, 1, 1e-12);
    }
    double two = 2, z = ot__normal_quantile(0.975), want_z = 1.9599639845400545, minus = ot__normal_quantile(0.025), want_minus = -want_z;
    double far = ot__chi2_quantile(0.75, 1170), want_far = 1202.2539962782948;
    CHECK_CLOSE64(&want_z, &z, 1, 1e-12);
    CHECK_CLOSE64(&want_minus, &minus, 1, 1e-12);
    CHECK_CLOSE64(&want_far, &far, 1, 1e-11 * want_far);
    double exact = 1 - exp(-1), got = ot__chi2_cdf(two, 2), share = 0.75, back = ot__chi2_cdf(far, 1170);
    CHECK_CLOSE64(&exact, &got, 1, 1e-15);
    CHECK_CLOSE64(&share, &back, 1, 1e-12);
    PASS();
}

static int up(const void *a, const void *b) { return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b); }

/* Qn by its definition: all differences sorted. */
TEST qn_is_the_order_statistic_of_all_differences(int n)
{
    check_rng r = {11};
    double   *x = normal(&r, n, 1), *all = ot_alloc((size_t)(n * n), 8);
    int64_t   half = n / 2 + 1, k = half * (half - 1) / 2, m = 0;
    if (n > 8) x[3] = x[4] = x[5];
    for (int i = 0; n == 201 && i < n; i++) x[i] = floor(2 * x[i]);          /* thousands of equal differences, and the k-th among them */
    for (int i = 0; n == 202 && i < n; i++) x[i] = i % 3 ? 7 : x[i];           /* the k-th is 0 */
    ot__sort(x, n);
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) all[m++] = x[j] - x[i];
    qsort(all, (size_t)m, sizeof *all, up);
    double want = 2.219144465985076 * all[k - 1] * (n % 2 ? n / (n + 1.4) : n / (n + 3.8)), got = ot__qn(x, n);
    ASSERT_EQ_FMT(want, got, "%.17g");
    ot_free(x), ot_free(all);
    PASS();
}

TEST eigenvalues_rebuild_the_matrix(int n, int top)
{
    check_rng r = {13};
    double   *x = normal(&r, n + 5, n), *a = ot_alloc((size_t)(n * n), 8), *copy = ot_alloc((size_t)(n * n), 8), *values = ot_alloc((size_t)top, 8), *v = ot_alloc((size_t)(top * n), 8);
    ot__gram(a, x, n, n + 5);
    memcpy(copy, a, (size_t)(n * n) * 8);
    poison(values, (size_t)top);
    OK(ot__eigen(values, v, copy, n, top));
    for (int k = 0; k < top; k++) {
        ASSERT(k == 0 || values[k] <= values[k - 1]);
        for (int i = 0; i < n; i++) {
            double s = 0;
            for (int j = 0; j < n; j++) s += (j >= i ? a[i * n + j] : a[j * n + i]) * v[k * n + j];
            ASSERT(fabs(s - values[k] * v[k * n + i]) <= 1e-13 * values[0]);
        }
    }
    ot_free(x), ot_free(a), ot_free(copy), ot_free(values), ot_free(v);
    PASS();
}

/* Eigenvalues that fall by a third each: the leading ones to the promised (1 / 3)^12, their vectors with them; then what is left to LAPACK:
 * small matrices and those of too low a rank. */
TEST leading_eigenvectors_are_the_exact_ones(int n, int top, int rank)
{
    check_rng r = {15};
    double   *q = normal(&r, n, n), *a = ot_alloc((size_t)(n * n), 8), *copy = ot_alloc((size_t)(n * n), 8), *v = ot_alloc((size_t)(top * n), 8), *want = ot_alloc((size_t)top, 8), *got = ot_alloc((size_t)top, 8);
    for (int i = 0; i < n; i++) {                      /* orthonormal rows */
        double norm = 0;
        for (int twice = 0; twice < 2; twice++)
            for (int j = 0; j < i; j++) {
                double dot = 0;
                for (int k = 0; k < n; k++) dot += q[i * n + k] * q[j * n + k];
                for (int k = 0; k < n; k++) q[i * n + k] -= dot * q[j * n + k];
            }
        for (int k = 0; k < n; k++) norm += q[i * n + k] * q[i * n + k];
        for (int k = 0; k < n; k++) q[i * n + k] /= sqrt(norm);
    }
    for (int k = 0; k < n; k++)
        for (int i = 0; k < rank && i < n; i++)
            for (int j = i; j < n; j++) a[i * n + j] += pow(k < top ? 0.95 : 0.85, k) * q[k * n + i] * q[k * n + j];
    memcpy(copy, a, (size_t)(n * n) * 8);
    OK(ot__eigen(want, NULL, copy, n, top));
    poison(got, (size_t)top), poison(v, (size_t)(top * n));
    OK(ot__leading(got, v, a, n, top));
    CHECK_CLOSE64(want, got, (size_t)top, 1e-6);
    for (int k = 0; k < top; k++)
        for (int i = 0; i < n; i++) {
            double s = 0;
            for (int j = 0; j < n; j++) s += (j >= i ? a[i * n + j] : a[j * n + i]) * v[k * n + j];
            ASSERT(fabs(s - got[k] * v[k * n + i]) <= 1e-3);
        }
    ot_free(q), ot_free(a), ot_free(copy), ot_free(v), ot_free(want), ot_free(got);
    PASS();
}

/* -- Golden data ------------------------------------------------------------------------------------------------------ */

static int load(ot_array *a, const char *folder, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "mcd/%s/%s.npy", folder, what);
    return check_load(a, path);
}

/* C-steps from numpy's first subset: the same subsets, numbers to the manifest's 1e-10. */
TEST c_steps_are_numpys(void)
{
    enum { N = 60, P = 4, H = 33, K = 5 };
    ot_array x, subset, location, covariance, log_det, dist;
    int      rows[(K + 2) * H], count = 0;
    double   mean[(K + 1) * P], cov[(K + 1) * P * P], ld[K + 1], d[(K + 1) * N];
    ASSERT(load(&x, "cstep", "X") && load(&subset, "cstep", "subset") && load(&location, "cstep", "location") && load(&covariance, "cstep", "covariance") &&
           load(&log_det, "cstep", "logdet") && load(&dist, "cstep", "dist"));
    const double *want = subset.data;
    for (int i = 0; i < H; i++) rows[i] = (int)want[i];
    poison(mean, (K + 1) * P), poison(cov, (K + 1) * P * P), poison(ld, K + 1), poison(d, (K + 1) * N);
    OK(ot__mcd_trace(&count, rows, mean, cov, ld, d, x.data, N, P, H, K));
    ASSERT_EQ(K, count);
    for (int i = 0; i < K * H; i++) ASSERT_EQ((int)want[i], rows[i]);
    for (int k = 0; k < K * P * P; k++)
        if (k % (P * P) / P > k % P) cov[k] = cov[k / (P * P) * P * P + k % P * P + k % (P * P) / P];          /* the lower triangle */
    CHECK_CLOSE64((const double *)location.data, mean, K * P, 1e-10 * check_max_f64(location.data, K * P));
    CHECK_CLOSE64((const double *)covariance.data, cov, K * P * P, 1e-10 * check_max_f64(covariance.data, K * P * P));
    CHECK_CLOSE64((const double *)log_det.data, ld, K, 1e-10 * check_max_f64(log_det.data, K));
    CHECK_CLOSE64((const double *)dist.data, d, K * N, 1e-10 * check_max_f64(dist.data, K * N));
    ot_array *all[] = {&x, &subset, &location, &covariance, &log_det, &dist};
    for (int i = 0; i < 6; i++) ot_array_free(all[i]);
    PASS();
}

/* What a scatter holds, as covariance and distances of rows. */
static void covariance_of(double *cov, const double *l, int p)
{
    for (int i = 0; i < p; i++)
        for (int j = 0; j < p; j++) {
            double s = 0;
            for (int k = 0; k < p; k++) s += l[i * p + k] * l[j * p + k];
            cov[i * p + j] = s;
        }
}

static void distances_of(double *d, const ot__scatter *s, int p, const double *x, int n)
{
    ot_screen screen = {.kind = OT_SCREEN_MCD, .p = p, .q = p, .centre = s->centre, .factor = s->factor};
    double    work[256];
    for (int i = 0; i < n; i++) d[i] = ot_screen_distance(&screen, x + (size_t)i * (size_t)p, work);
}

/* scikit-learn's FAST-MCD: log det one-sided; with its subset all else to 1e-9, with another (a better one) distances to 5 %. */
TEST mcd_is_scikit_learns(const char *folder, double log_det, double slack, double contamination, int want_h)
{
    ot_array x, xnew, support, location, covariance, dist, decision;
    ASSERT(load(&x, folder, "X") && load(&xnew, folder, "Xnew") && load(&support, folder, "raw_support") && load(&location, folder, "location") &&
           load(&covariance, folder, "covariance") && load(&dist, folder, "dist") && load(&decision, folder, "decision_new"));
    int         n = (int)x.dims[0], p = (int)x.dims[1], m = (int)xnew.dims[0], best[800], same = 1;
    double      centre[18], factor[18 * 18], cov[18 * 18], d[800], d_new[80];
    ot__scatter s = {.centre = centre, .factor = factor, .best = best};
    const double *want_support = support.data, *want_decision = decision.data;
    poison(centre, 18), poison(factor, 18 * 18);
    OK(ot__mcd(&s, x.data, n, p, 0, 1, 0));
    ASSERT_EQ(want_h, s.h);
    ASSERTm("log det is not above scikit-learn's by more than the manifest allows", s.log_det <= log_det + slack);
    for (int i = 0; i < s.h; i++) same &= want_support[best[i]] == 1;
    printf("  [%s: log det %.9f, theirs %.9f, %s subset]\n", folder, s.log_det, log_det, same ? "same" : "another");
    covariance_of(cov, factor, p);
    distances_of(d, &s, p, x.data, n);
    distances_of(d_new, &s, p, xnew.data, m);
    double tol = same ? 1e-9 : 0.05;
    if (same) {
        CHECK_CLOSE64((const double *)location.data, centre, (size_t)p, tol * check_max_f64(location.data, (size_t)p));
        CHECK_CLOSE64((const double *)covariance.data, cov, (size_t)(p * p), tol * check_max_f64(covariance.data, (size_t)(p * p)));
    }
    CHECK_CLOSE64((const double *)dist.data, d, (size_t)n, tol * check_max_f64(dist.data, (size_t)n));
    ot__sort(d, n);
    double threshold = ot__quantile(d, n, 1 - contamination);
    for (int i = 0; i < m && same; i++) {
        double got = threshold - d_new[i];
        ASSERT(fabs(got - want_decision[i]) <= 1e-9 * check_max_f64(want_decision, (size_t)m));
        if (fabs(want_decision[i]) > 1e-6 * threshold) ASSERT_EQ(want_decision[i] < 0, got < 0);
    }
    ot_array *all[] = {&x, &xnew, &support, &location, &covariance, &dist, &decision};
    for (int i = 0; i < 7; i++) ot_array_free(all[i]);
    PASS();
}

/* rrcov's regularised MCD, n = 100, p = 60. */
TEST mrcd_is_rrcovs(void)
{
    enum { N = 100, P = 60, H = 75 };
    ot_array x, best, center, covariance, dist, flagged, target;
    ASSERT(load(&x, "mrcd", "X") && load(&best, "mrcd", "best") && load(&center, "mrcd", "center") && load(&covariance, "mrcd", "covariance") &&
           load(&dist, "mrcd", "dist") && load(&flagged, "mrcd", "flagged") && load(&target, "mrcd", "target"));
    static double centre[P], factor[P * P], cov[P * P], d[N];
    int           got_best[N], same = 0;
    ot__scatter   s = {.centre = centre, .factor = factor, .best = got_best};
    const double *want_best = best.data, *want_dist = dist.data, *want_target = target.data, *want_flagged = flagged.data, rho = 0.18318148831335;
    const double  cutoff = 83.2976748771732;
    poison(centre, P), poison(factor, P * P);
    OK(ot__mrcd(&s, x.data, N, P, &AUTHORS));
    ASSERT_EQ(H, s.h);
    for (int i = 0; i < H; i++)
        for (int j = 0; j < H; j++) same += got_best[i] == (int)want_best[j];
    covariance_of(cov, factor, P);
    distances_of(d, &s, P, x.data, N);
    double log_det = s.log_det;
    for (int k = 0; k < P; k++) log_det -= log(want_target[k]);
    printf("  [rho %.6f, theirs %.6f; %d of %d rows the same; log det standardised %.5f]\n", s.rho, rho, same, H, log_det);
    ASSERT(fabs(s.rho - rho) <= 0.02);                                 /* the manifest's */
    ASSERT(log_det <= -53.67717533363012 + 1.2);                       /* the manifest's, one-sided; Qn's small-sample factor differs by 0.1 % */
    for (int i = 0; i < N; i++)
        if (fabs(want_dist[i] / cutoff - 1) >= 0.1) ASSERT_EQ(want_flagged[i] == 1, d[i] > cutoff);
    ot_array *all[] = {&x, &best, &center, &covariance, &dist, &flagged, &target};
    for (int i = 0; i < 7; i++) ot_array_free(all[i]);
    PASS();
}


/* rrcov's matrix and distances from its subset, weight and target by the definition; then ours the same way, from ours. */
TEST mrcd_keeps_the_matrix_of_its_definition(void)
{
    enum { N = 100, P = 60, H = 75 };
    ot_array x, best, center, covariance, target;
    ASSERT(load(&x, "mrcd", "X") && load(&best, "mrcd", "best") && load(&center, "mrcd", "center") && load(&covariance, "mrcd", "covariance") && load(&target, "mrcd", "target"));
    static double centre[P], factor[P * P], cov[P * P], want[P * P], mean[P], s[P * P], work[H * P], scale[P], median[P], u[N * P];
    int           row[N];
    ot__scatter   sc = {.centre = centre, .factor = factor, .best = row};
    const double *want_best = best.data, *want_target = target.data;
    double        share = (double)H / N, c = share / ot__chi2_cdf(ot__chi2_quantile(share, P), P + 2), c_theirs = 1.08719362198442;
    CHECK_CLOSE64(&c_theirs, &c, 1, 1e-13 * 10);
    OK(ot__mrcd(&sc, x.data, N, P, &AUTHORS));
    covariance_of(cov, factor, P);
    OK(ot__mrcd_standardise(u, median, scale, x.data, N, P));
    for (int ours = 0; ours < 2; ours++) {
        if (!ours)
            for (int i = 0; i < H; i++) row[i] = (int)want_best[i];
        else OK(ot__mrcd(&sc, x.data, N, P, &AUTHORS));
        double rho = ours ? sc.rho : 0.18318148831335;
        ot__mean_covariance(mean, s, x.data, row, H, P, H - 1, work);
        for (int i = 0; i < P; i++)
            for (int j = 0; j < P; j++)
                want[i * P + j] = (1 - rho) * c * (j >= i ? s[i * P + j] : s[j * P + i]) + (i != j ? 0 : rho * (ours ? scale[i] * scale[i] : want_target[i]));
        const double *is = ours ? cov : covariance.data;
        CHECK_CLOSE64(is, want, P * P, 1e-9 * check_max_f64(want, P * P));
        CHECK_CLOSE64(ours ? centre : (const double *)center.data, mean, P, 1e-9 * check_max_f64(mean, P));
    }
    for (int k = 0; k < P; k++) ASSERT(fabs(scale[k] * scale[k] / want_target[k] - 1) < 3e-3);        /* other small-sample factors of Qn: 0.1 % of the scale */
    ot_array *all[] = {&x, &best, &center, &covariance, &target};
    for (int i = 0; i < 5; i++) ot_array_free(all[i]);
    PASS();
}

/* -- Properties ------------------------------------------------------------------------------------------------------- */

/* Signatures: a few factors and noise. */
typedef struct maker { check_rng r; int p; double *load; } maker;

static maker open_maker(uint64_t seed, int p)
{
    maker m = {{seed}, p, NULL};
    m.load = normal(&m.r, 4, p);
    return m;
}

static double *make(maker *m, int n)
{
    double *x = ot_alloc((size_t)n * (size_t)m->p, sizeof *x);
    for (int i = 0; i < n; i++) {
        double f[4];
        for (int k = 0; k < 4; k++) f[k] = check_normal(&m->r);
        for (int j = 0; j < m->p; j++) {
            double v = 0.5 * check_normal(&m->r);
            for (int k = 0; k < 4; k++) v += 0.4 * f[k] * m->load[k * m->p + j];
            x[(size_t)i * (size_t)m->p + (size_t)j] = v;
        }
    }
    return x;
}

static double *distances(const ot_screen *s, const double *x, int n)
{
    double *d = ot_alloc((size_t)n, 8), *work = ot_alloc((size_t)(s->p + s->q), 8);
    for (int i = 0; i < n; i++) d[i] = ot_screen_distance(s, x + (size_t)i * (size_t)s->p, work);
    ot_free(work);
    return d;
}

/* MCD: y = A x + b has the distances of x, and log det + 2 log |det A|. */
TEST mcd_does_not_depend_on_the_axes(int n)
{
    enum { P = 5 };
    maker     m = open_maker(3, P);
    double   *x = make(&m, n), *y = ot_alloc((size_t)n * P, 8), a[P][P] = {{0}}, log_det = 0;
    for (int i = 0; i < P; i++) {                      /* triangular: its determinant is plain */
        for (int j = 0; j < i; j++) a[i][j] = check_normal(&m.r);
        a[i][i] = exp(check_normal(&m.r));
        log_det += 2 * log(a[i][i]);
    }
    for (int r = 0; r < n; r++)
        for (int i = 0; i < P; i++) {
            double v = 3.0 * i - 7;
            for (int j = 0; j <= i; j++) v += a[i][j] * x[r * P + j];
            y[r * P + i] = v;
        }
    ot_screen_options o = ot_screen_defaults(OT_SCREEN_MCD);
    ot_screen         sx, sy;
    ot_screen_report  rx, ry;
    o.threads = 1;
    OK(ot_screen_fit(&sx, x, n, P, &o, &rx));
    OK(ot_screen_fit(&sy, y, n, P, &o, &ry));
    double *dx = distances(&sx, x, n), *dy = distances(&sy, y, n), want = rx.log_det + log_det;
    CHECK_CLOSE64(dx, dy, (size_t)n, /* condition of A squared, 1e4, times rounding */ 1e-10 * check_max_f64(dx, (size_t)n));
    CHECK_CLOSE64(&want, &ry.log_det, 1, 1e-10);
    CHECK_CLOSE64(&sx.threshold, &sy.threshold, 1, 1e-10 * sx.threshold);
    ot_screen_free(&sx), ot_screen_free(&sy);
    ot_free(x), ot_free(y), ot_free(dx), ot_free(dy), ot_free(m.load);
    PASS();
}

TEST any_number_of_threads_gives_the_same_bits(ot_screen_kind kind, int n, int p, double support)
{
    maker             m = open_maker(4, p);
    double           *x = make(&m, n);
    ot_screen_options o = ot_screen_defaults(kind);
    ot_screen         s[3];
    ot_screen_report  r[3];
    memset(r, 0xff, sizeof r);
    o.support = support;
    for (int t = 0; t < 3; t++) {
        o.threads = t + 1;
        OK(ot_screen_fit(&s[t], x, n, p, &o, &r[t]));
        ASSERT_EQ(kind, s[t].kind);
        ASSERT_EQ(p, s[t].p);
        ASSERT(!memcmp(&r[0].threshold, &r[t].threshold, 8) && !memcmp(&r[0].threshold_in_sample, &r[t].threshold_in_sample, 8) && !memcmp(&r[0].log_det, &r[t].log_det, 8));
        ASSERT(!memcmp(s[0].factor, s[t].factor, (size_t)s[t].q * (size_t)s[t].q * 8) && !memcmp(s[0].centre, s[t].centre, (size_t)s[t].q * 8));
        ASSERT_EQ_FMT(r[t].threshold, s[t].threshold, "%.17g");
    }
    ASSERT(r[0].h > n / 2 - 1 && r[0].h <= n);
    ASSERT_EQ(kind == OT_SCREEN_MRCD, r[0].rho > 0);
    for (int t = 0; t < 3; t++) ot_screen_free(&s[t]);
    ot_free(x), ot_free(m.load);
    PASS();
}

/* The authors' MRCD: three quarters trusted, nothing chosen. */
static ot_screen_options plain_options(ot_screen_kind kind)
{
    ot_screen_options o = ot_screen_defaults(kind);
    if (kind == OT_SCREEN_MRCD) o.support = 0.75, o.bend = -1, o.condition = 50;
    return o;
}

/* One row in `every` is bad, in two ways: `cluster` all alike (what masks itself best), or scattered.  They must stand out by far, and the
 * estimate must be that of the good rows. */
TEST bad_rows_do_not_pull_the_estimate(ot_screen_kind kind, int n, int p, int every, int cluster)
{
    maker             m = open_maker(6, p);
    double           *x = make(&m, n), *fresh = make(&m, 500);
    ot_screen_options o = every == 5 ? plain_options(kind) : ot_screen_defaults(kind);
    ot_screen         s;
    int               bad = n / every, missed = 0, flagged = 0;
    for (int i = 0; i < bad; i++)
        for (int j = 0; j < p; j++) {
            double *v = &x[(size_t)(i * every) * (size_t)p + (size_t)j];
            if (cluster) *v += j % 2 ? 3 : -3;
            else *v = *v + 4 * check_normal(&m.r);
        }
    if (every == 20) o.support = 0.9;
    o.contamination = 1.0 / every;
    o.threads = 1;
    OK(ot_screen_fit(&s, x, n, p, &o, NULL));
    double *d = distances(&s, x, n), *df = distances(&s, fresh, 500), least_bad = INFINITY;
    for (int i = 0; i < n; i++)
        if (i % every == 0 && i / every < bad) least_bad = fmin(least_bad, d[i]), missed += !ot_screen_outlier(&s, d[i]);
    for (int i = 0; i < 500; i++) flagged += df[i] >= least_bad;
    printf("  [least bad %.4g, threshold %.4g, largest good %.4g]\n", least_bad, s.threshold, check_max_f64(df, 500));
    ASSERT_EQ(0, flagged);                             /* every bad row is further out than any of 500 good ones */
    ASSERTm("bad rows lie above the threshold", missed <= 1);          /* it is a quantile at their share: the nearest may be on it */
    if (kind != OT_SCREEN_PCA_MCD && !s.middle)
        for (int j = 0; j < p; j++) ASSERT(fabs(s.centre[j]) < 1.0);   /* 0 but for sampling (sd < 0.15 of 1.1); pulled it would be 0.6 or more everywhere */
    ot_screen_free(&s);
    ot_free(x), ot_free(fresh), ot_free(d), ot_free(df), ot_free(m.load);
    PASS();
}

/* What the folds are for: 1 % of fresh good rows beyond the threshold, where the threshold of the training rows themselves lets through far less.
 * Tolerance: the threshold is the 99 % quantile of n distances, so its share is off by sd sqrt(0.0099 / n); 4 sd, and the fresh rows' own. */
TEST fresh_good_rows_are_flagged_as_promised(ot_screen_kind kind, int n, int p, int plain, double more)
{
    enum { FRESH = 4000 };
    maker             m = open_maker(8, p);
    double           *x = make(&m, n), *fresh = make(&m, FRESH);
    ot_screen_options o = plain ? plain_options(kind) : ot_screen_defaults(kind);
    ot_screen         s;
    ot_screen_report  r;
    int               out = 0, out_in_sample = 0;
    OK(ot_screen_fit(&s, x, n, p, &o, &r));
    double *d = distances(&s, fresh, FRESH), sd = sqrt(0.0099 / n + 0.0099 / FRESH);
    for (int i = 0; i < FRESH; i++) out += ot_screen_outlier(&s, d[i]), out_in_sample += d[i] > r.threshold_in_sample;
    printf("  [%.2f %%, in-sample %.2f %%]\n", 100.0 * out / FRESH, 100.0 * out_in_sample / FRESH);
    ASSERT((double)out / FRESH <= 0.01 + 4 * sd);
    ASSERT(out > 0);
    ASSERT(out_in_sample >= more * out);
    ot_screen_free(&s);
    ot_free(x), ot_free(fresh), ot_free(d), ot_free(m.load);
    PASS();
}

/* -- Bending and choosing --------------------------------------------------------------------------------------------- */

/* Chips on a curve: one cause that each number follows in its own way, a hundred times as far out on one side, the noise growing along. */
static double *curve(maker *m, int n)
{
    double *x = ot_alloc((size_t)n * (size_t)m->p, sizeof *x);
    for (int i = 0; i < n; i++) {
        double t = check_normal(&m->r), far = exp(1.5 * t);
        for (int j = 0; j < m->p; j++) x[(size_t)i * (size_t)m->p + (size_t)j] = m->load[j] * far + far * 0.05 * m->load[m->p + j] * check_normal(&m->r);
    }
    return x;
}

/* Every third number half as large again: found among chips on a curve by the default, missed by the straight one. */
TEST a_wide_population_does_not_hide_what_is_wrong(void)
{
    enum { N = 300, P = 30, FRESH = 500 };
    maker   m = open_maker(25, P);
    double *x = curve(&m, N), *good = curve(&m, FRESH), *bad = curve(&m, FRESH);
    int     found[2] = {0}, false_alarms[2] = {0};
    for (size_t i = 0; i < (size_t)FRESH * P; i += 3) bad[i] *= 1.5;
    for (int plain = 0; plain < 2; plain++) {
        ot_screen_options o = plain ? plain_options(OT_SCREEN_MRCD) : ot_screen_defaults(OT_SCREEN_MRCD);
        ot_screen         s;
        OK(ot_screen_fit(&s, x, N, P, &o, NULL));
        ASSERT_EQ(plain, s.middle == NULL);
        double *dg = distances(&s, good, FRESH), *db = distances(&s, bad, FRESH);
        for (int i = 0; i < FRESH; i++) false_alarms[plain] += ot_screen_outlier(&s, dg[i]), found[plain] += ot_screen_outlier(&s, db[i]);
        ot_screen_free(&s);
        ot_free(dg), ot_free(db);
    }
    printf("  [found %.1f %%, straight %.1f %%; false %.1f %%, %.1f %%]\n", found[0] / 5.0, found[1] / 5.0, false_alarms[0] / 5.0, false_alarms[1] / 5.0);
    ASSERT(found[0] > FRESH * 0.5 && found[1] < FRESH * 0.1);
    ASSERT(false_alarms[0] < FRESH * 0.04);            /* 1 %, and 4 sd of a 99 % quantile of 300 and of 500 chips: 0.73 % each */
    ot_free(x), ot_free(good), ot_free(bad), ot_free(m.load);
    PASS();
}

/* What is chosen is the least log volume of all candidates, first of the bends at a condition number of 1000, then of the condition numbers. */
TEST the_choice_has_the_least_volume(int n, int p, int bent)
{
    static const double bends[] = {-1, 3, 1, 0.5, 0.3, 0.2, 0.1}, conditions[] = {1000, 50, 10000};
    maker               m = open_maker(26, p);
    double             *x = bent ? curve(&m, n) : make(&m, n), least = INFINITY, bend = 0, condition = 0;
    ot_screen           s;
    ot_screen_report    r, chosen;
    ot_screen_options   o = ot_screen_defaults(OT_SCREEN_MRCD);
    OK(ot_screen_fit(&s, x, n, p, &o, &chosen));
    ot_screen_free(&s);
    for (int i = 0; i < 7; i++) {
        o.bend = bends[i], o.condition = 1000;
        OK(ot_screen_fit(&s, x, n, p, &o, &r));
        ASSERT_EQ_FMT(fmax(bends[i], 0), r.bend, "%g");
        if (r.log_volume < least) least = r.log_volume, bend = bends[i];
        ot_screen_free(&s);
    }
    o.bend = bend;
    for (int i = 0; i < 3; i++) {
        o.condition = conditions[i];
        OK(ot_screen_fit(&s, x, n, p, &o, &r));
        if (!condition || r.log_volume < least) least = r.log_volume, condition = conditions[i];
        ot_screen_free(&s);
    }
    printf("  [bend %g, condition %g]\n", chosen.bend, chosen.condition);
    ASSERT_EQ_FMT(fmax(bend, 0), chosen.bend, "%g");
    ASSERT_EQ_FMT(condition, chosen.condition, "%g");
    ASSERT_EQ_FMT(least, chosen.log_volume, "%.17g");
    ASSERT_EQ(bent, chosen.bend > 0 && chosen.bend < 3);
    ot_free(x), ot_free(m.load);
    PASS();
}

/* The volume by its definition, of a box of Gaussian numbers that the screen does not bend: p / 2 log threshold + log det of L, averaged over folds;
 * in other units it moves by the logarithms of their scales, bent or not, and the threshold stays. */
TEST units_move_the_volume_alone(double bend)
{
    enum { N = 200, P = 8 };
    maker             m = open_maker(27, P);
    double           *x = curve(&m, N), *y = ot_alloc(N * P, 8), moved = 0;
    ot_screen         s, t;
    ot_screen_report  r, q;
    ot_screen_options o = ot_screen_defaults(OT_SCREEN_MRCD);
    o.bend = bend, o.condition = 1000;
    for (int j = 0; j < P; j++) {
        double scale = ldexp(1, 3 * j - 10);           /* exact, but for the shift */
        moved += log(scale);
        for (int i = 0; i < N; i++) y[i * P + j] = scale * (x[i * P + j] + 0.5);
    }
    OK(ot_screen_fit(&s, x, N, P, &o, &r));
    OK(ot_screen_fit(&t, y, N, P, &o, &q));
    double want = r.log_volume + moved;
    CHECK_CLOSE64(&want, &q.log_volume, 1, 1e-9 * P);
    CHECK_CLOSE64(&r.threshold, &q.threshold, 1, 1e-9 * r.threshold);
    ot_screen_free(&s), ot_screen_free(&t);
    ot_free(x), ot_free(y), ot_free(m.load);
    PASS();
}

/* One number: the region is an interval, and its length is e to the log volume times the unit ball's 2 (straight, one fold's worth of spread). */
TEST the_volume_of_one_number_is_the_length_of_its_interval(double bend)
{
    enum { N = 4000 };
    check_rng         r = {28};
    double           *x = normal(&r, N, 1), work[2], length = 0, step = 1e-3;
    ot_screen         s;
    ot_screen_report  rep;
    ot_screen_options o = ot_screen_defaults(OT_SCREEN_MRCD);
    o.bend = bend, o.condition = 50;
    OK(ot_screen_fit(&s, x, N, 1, &o, &rep));
    for (double v = -20; v < 20; v += step) length += ot_screen_outlier(&s, ot_screen_distance(&s, &v, work)) ? 0 : step;
    printf("  [length %.4f, e^volume %.4f]\n", length, exp(rep.log_volume));
    /* 1 %: each fold's own scale; the bend's slope is taken at the median row, not along the interval: up to a factor of sinh(u) / u */
    ASSERT(bend < 0 ? fabs(length / (2 * exp(rep.log_volume)) - 1) < 0.01 : length / (2 * exp(rep.log_volume)) > 1);
    ot_screen_free(&s);
    ot_free(x);
    PASS();
}

/* Each chip stands there twice, so folds meet their own rows. */
TEST duplicate_chips_are_taken(ot_screen_kind kind)
{
    enum { N = 80, P = 6 };
    check_rng         r = {29};
    double           *x = normal(&r, N, P);
    ot_screen         s;
    ot_screen_report  rep;
    ot_screen_options o = ot_screen_defaults(kind);
    memcpy(x + N / 2 * P, x, N / 2 * P * sizeof *x);
    OK(ot_screen_fit(&s, x, N, P, &o, &rep));
    double *d = distances(&s, x, N);
    for (int i = 0; i < N / 2; i++) ASSERT(isfinite(d[i]) && d[i] == d[i + N / 2]);
    ASSERT(s.threshold > 0 && isfinite(s.threshold));
    ot_screen_free(&s);
    ot_free(x), ot_free(d);
    PASS();
}

/* Three quarters of the chips are one and the same: no covariance, but a screen. */
TEST equal_chips_and_a_few_others_give_a_screen(void)
{
    enum { N = 80, P = 4 };
    check_rng         r = {30};
    double           *x = normal(&r, N, P);
    ot_screen         s;
    ot_screen_options o = plain_options(OT_SCREEN_MRCD);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < P && i % 5; j++) x[i * P + j] = j;
    OK(ot_screen_fit(&s, x, N, P, &o, NULL));
    double *d = distances(&s, x, N);
    for (int i = 0; i < N; i++) ASSERT(i % 5 ? d[i] == 0 : d[i] > 0);
    ot_screen_free(&s);
    ot_free(x), ot_free(d);
    double *one = ot_alloc(N * P, 8);
    one[3] = 1;                                        /* the others of its fold are all equal, which is said */
    o = ot_screen_defaults(OT_SCREEN_MRCD);
    FAILS(OT_E_DATA, "mrcd: all 64 rows are equal, want some spread", ot_screen_fit(&s, one, N, P, &o, NULL));
    ot_free(one);
    PASS();
}

/* Exact fit: most rows obey x2 = x0 + x1, and the few that do not are what a screen must find. */
TEST a_hyperplane_of_normal_rows_is_kept_as_a_rule(void)
{
    enum { N = 120, P = 3 };
    check_rng r = {21};
    double   *x = normal(&r, N, P);
    for (int i = 0; i < N; i++)
        if (i % 6) x[i * P + 2] = x[i * P] + x[i * P + 1];
    ot_screen_options o = ot_screen_defaults(OT_SCREEN_MCD);
    ot_screen         s;
    ot_screen_report  rep;
    o.contamination = 1.0 / 6;
    OK(ot_screen_fit(&s, x, N, P, &o, &rep));
    ASSERT(isinf(rep.log_det) && rep.log_det < 0);
    double *d = distances(&s, x, N);
    for (int i = 0; i < N; i++) ASSERT(i % 6 ? d[i] < 40 : d[i] > 1e4);
    ot_screen_free(&s);
    ot_free(x), ot_free(d);
    PASS();
}

/* Constant and repeated numbers, fewer rows than numbers, integers with many ties. */
TEST awkward_columns_are_taken(ot_screen_kind kind)
{
    enum { N = 90, P = 6 };
    check_rng r = {23};
    double   *x = normal(&r, N, P), good[P];
    for (int i = 0; i < N; i++) {
        x[i * P + 1] = 2.5;
        x[i * P + 3] = x[i * P];
        x[i * P + 4] = floor(3 * check_uniform(&r));
        x[i * P + 5] = i % 10 == 0;                    /* more than half equal: Qn is 0 */
    }
    ot_screen_options o = ot_screen_defaults(kind);
    ot_screen         s;
    OK(ot_screen_fit(&s, x, N, P, &o, NULL));
    ASSERT(s.threshold > 0 && isfinite(s.threshold));
    double *d = distances(&s, x, N), *one;
    for (int i = 0; i < N; i++) ASSERT(isfinite(d[i]) && d[i] >= 0);
    memcpy(good, x, sizeof good);
    good[1] = 2.5 + 100, good[3] = good[0] + 100;
    one = distances(&s, good, 1);
    ASSERT(ot_screen_outlier(&s, one[0]));
    ot_screen_free(&s);
    ot_free(x), ot_free(d), ot_free(one);
    PASS();
}

/* p >= h goes by inner products: a number that says nothing, added to others to pass from one form to the other, changes what follows from it
 * alone: nothing but the constants of p.  Compared with K built plainly from the subset found. */
TEST more_numbers_than_rows_give_the_matrix_of_the_definition(int n, int p)
{
    maker       m = open_maker(12, p);
    double     *x = make(&m, n), *u = ot_alloc((size_t)n * (size_t)p, 8), *k = ot_alloc((size_t)(p * p), 8), *mean = ot_alloc(4 * (size_t)p, 8), *scale = mean + p;
    double     *centre = mean + 2 * p, *median = mean + 3 * p, *factor = ot_alloc((size_t)(p * p), 8), *d = ot_alloc((size_t)n, 8), *work = ot_alloc((size_t)n * (size_t)p, 8);
    double     *ut = ot_alloc((size_t)n * (size_t)p, 8);
    int        *best = ot_alloc((size_t)n, sizeof *best), *near = ot_alloc((size_t)n, sizeof *near);
    ot__ranked *ranked = ot_alloc((size_t)n, sizeof *ranked);
    ot__scatter s = {.centre = centre, .factor = factor, .best = best};
    OK(ot__mrcd(&s, x, n, p, &AUTHORS));
    OK(ot__mrcd_standardise(u, median, scale, x, n, p));
    ot__transpose(ut, u, n, p);
    double share = (double)s.h / n, c = share / ot__chi2_cdf(ot__chi2_quantile(share, p), p + 2), log_det = 0;
    ot__mean_covariance(mean, k, u, best, s.h, p, s.h, work);
    for (int i = 0; i < p; i++)
        for (int j = i; j < p; j++) k[i * p + j] = (1 - s.rho) * c * k[i * p + j] + (i == j ? s.rho : 0);
    memcpy(factor, k, (size_t)(p * p) * 8);
    double top, bottom, *values = ot_alloc((size_t)p, 8);
    OK(ot__eigen(values, NULL, factor, p, p));
    top = values[0], bottom = values[p - 1];
    ASSERT(top / bottom < 60);                         /* 50 for the start that gave rho; the end may differ a little */
    ASSERT_EQ(-1, ot__cholesky(k, p, 0));
    ot__distances_of(d, ut, n, p, mean, k, work);
    ot__smallest(near, d, n, s.h, ranked);
    for (int i = 0; i < s.h; i++) ASSERT_EQ(best[i], near[i]);         /* the subset is its own C-step */
    for (int i = 0; i < p; i++) log_det += 2 * log(scale[i]);
    log_det += ot__log_det(k, p);
    CHECK_CLOSE64(&log_det, &s.log_det, 1, 1e-10 * p);
    ot_free(x), ot_free(u), ot_free(k), ot_free(mean), ot_free(factor), ot_free(d), ot_free(work), ot_free(ut), ot_free(best), ot_free(near), ot_free(ranked), ot_free(values);
    ot_free(m.load);
    PASS();
}

/* One number a row: the window of least variance among all windows. */
TEST one_number_a_row_takes_the_tightest_window(void)
{
    enum { N = 41 };
    check_rng   r = {31};
    double     *x = normal(&r, N, 1), sorted[N], centre, factor, least = INFINITY;
    int         best[N];
    ot__scatter s = {.centre = &centre, .factor = &factor, .best = best};
    for (int i = 0; i < N; i++) x[i] += 1000;
    x[7] = 5000;
    OK(ot__mcd(&s, x, N, 1, 0, 1, 0));
    ASSERT_EQ(22, s.h);
    memcpy(sorted, x, sizeof sorted);
    ot__sort(sorted, N);
    for (int at = 0; at + s.h <= N; at++) {
        double mean = 0, v = 0;
        for (int i = 0; i < s.h; i++) mean += sorted[at + i] / s.h;
        for (int i = 0; i < s.h; i++) v += (sorted[at + i] - mean) * (sorted[at + i] - mean) / s.h;
        least = fmin(least, v);
    }
    double want = log(least);
    CHECK_CLOSE64(&want, &s.log_det, 1, 1e-9);
    ASSERT(fabs(centre - 1000) < 1);
    ot_free(x);
    PASS();
}

/* The merged set, and all rows after it: n above 1500. */
TEST thousands_of_rows_are_searched_in_parts(void)
{
    enum { N = 2101, P = 3 };
    maker             m = open_maker(17, P);
    double           *x = make(&m, N);
    ot_screen_options o = ot_screen_defaults(OT_SCREEN_MCD);
    ot_screen         s;
    ot_screen_report  r;
    for (int i = 0; i < N; i += 5)
        for (int j = 0; j < P; j++) x[i * P + j] = 10 + 0.1 * check_normal(&m.r);
    o.contamination = 0.21;
    OK(ot_screen_fit(&s, x, N, P, &o, &r));
    ASSERT_EQ((N + P + 2) / 2, r.h);
    double *d = distances(&s, x, N);
    for (int i = 0; i < N; i += 5) ASSERT(ot_screen_outlier(&s, d[i]));
    for (int j = 0; j < P; j++) ASSERT(fabs(s.centre[j]) < 0.2);
    ot_screen_free(&s);
    ot_free(x), ot_free(d), ot_free(m.load);
    PASS();
}

TEST what_cannot_be_fitted_is_refused(void)
{
    enum { N = 60, P = 4 };
    check_rng         r = {41};
    double           *x = normal(&r, N, 50), *equal = ot_alloc(N * P, 8);
    ot_screen         s;
    ot_screen_options o = ot_screen_defaults(OT_SCREEN_MRCD), bad;
    memset(&s, 0x5a, sizeof s);
    ot_screen untouched = s;
    for (int kind = 0; kind < OT_SCREENS; kind++) {
        o = ot_screen_defaults((ot_screen_kind)kind);
        x[2 * P + 3] = NAN;
        FAILS(OT_E_DATA, "row 2, number 3 is nan, want a finite number", ot_screen_fit(&s, x, N, P, &o, NULL));
        x[2 * P + 3] = -INFINITY;
        FAILS(OT_E_DATA, "row 2, number 3 is -inf", ot_screen_fit(&s, x, N, P, &o, NULL));
        x[2 * P + 3] = 1e101;
        FAILS(OT_E_DATA, "want at most 1e100", ot_screen_fit(&s, x, N, P, &o, NULL));
        x[2 * P + 3] = 0.5;
        FAILS(OT_E_DATA, "all 60 rows are equal", ot_screen_fit(&s, equal, N, P, &o, NULL));
        FAILS(OT_E_RANGE, "n = 19 chips for 5 folds, want at least 20", ot_screen_fit(&s, x, 19, P, &o, NULL));
        FAILS(OT_E_RANGE, "p = 0 numbers", ot_screen_fit(&s, x, N, 0, &o, NULL));
    }
    o = ot_screen_defaults(OT_SCREEN_MCD);
    FAILS(OT_E_RANGE, "mcd: 50 numbers a row are too many", ot_screen_fit(&s, x, N, 50, &o, NULL));
    FAILS(OT_E_RANGE, "pca-mcd and mrcd take any number", ot_screen_fit(&s, x, N, 50, &o, NULL));
    o = ot_screen_defaults(OT_SCREEN_PCA_MCD);
    FAILS(OT_E_RANGE, "p = 1 number a signature leaves nothing over", ot_screen_fit(&s, x, N, 1, &o, NULL));
    o.components = 49;
    FAILS(OT_E_RANGE, "take fewer components, or mrcd", ot_screen_fit(&s, x, N, 50, &o, NULL));
    o = ot_screen_defaults(OT_SCREEN_MRCD);
    bad = o, bad.support = 0.4;
    FAILS(OT_E_RANGE, "support = 0.4", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.support = NAN;
    FAILS(OT_E_RANGE, "support = nan", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.bend = NAN;
    FAILS(OT_E_RANGE, "bend = nan", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.bend = INFINITY;
    FAILS(OT_E_RANGE, "bend = inf", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.condition = 1;
    FAILS(OT_E_RANGE, "condition = 1, want 2..1e8", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.condition = NAN;
    FAILS(OT_E_RANGE, "condition = nan", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.contamination = 0;
    FAILS(OT_E_RANGE, "contamination = 0", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.folds = 1;
    FAILS(OT_E_RANGE, "folds = 1", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.components = 0;
    FAILS(OT_E_RANGE, "components = 0", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.threads = -1;
    FAILS(OT_E_RANGE, "threads = -1", ot_screen_fit(&s, x, N, P, &bad, NULL));
    bad = o, bad.kind = OT_SCREENS;
    FAILS(OT_E_RANGE, "kind = 3", ot_screen_fit(&s, x, N, P, &bad, NULL));
    ASSERT(!memcmp(&s, &untouched, sizeof s));
    ot_free(x), ot_free(equal);
    PASS();
}

TEST every_failed_allocation_is_reported_and_nothing_leaks(ot_screen_kind kind, int n, int p, double bend)
{
    maker             m = open_maker(19, p);
    double           *x = make(&m, n);
    ot_screen_options o = plain_options(kind);
    size_t            live = ot_memory_now().live, k = 1;
    o.threads = 1;
    o.folds = 2;
    o.components = 3;
    o.bend = bend;
    if (bend == 0) o.condition = 0;
    for (;; k++) {
        ot_screen s;
        ot_memory_fail_at(k);
        ot_status st = ot_screen_fit(&s, x, n, p, &o, NULL);
        if (st == OT_OK) {
            ot_memory_fail_at(0);
            ot_screen_free(&s);
            break;
        }
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT_EQ(live, ot_memory_now().live);
    }
    ASSERT(k > 10);
    ASSERT_EQ(live, ot_memory_now().live);
    ot_free(x), ot_free(m.load);
    PASS();
}

SUITE(test_screen)
{
    char suffix[64];
    static const int shapes[][3] = {{1, 1, 1}, {1, 1, 0}, {4, 16, 5}, {5, 17, 256}, {31, 33, 257}, {64, 64, 20}, {65, 130, 300}, {3, 100, 600}};
    for (int i = 0; i < 8; i++)
        for (int upper = 0; upper < 2; upper++) {
            snprintf(suffix, sizeof suffix, "%dx%dx%d%s", shapes[i][0], shapes[i][1], shapes[i][2], upper ? "_upper" : "");
            greatest_set_test_suffix(suffix);
            RUN_TESTp(products_have_the_same_bits_in_every_build, shapes[i][0], upper ? shapes[i][0] : shapes[i][1], shapes[i][2], upper);
        }
    static const int sizes[] = {1, 2, 31, 32, 33, 100};
    for (int i = 0; i < 6; i++) {
        snprintf(suffix, sizeof suffix, "%d", sizes[i]);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(factor_and_solve_undo_the_product, sizes[i]);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(eigenvalues_rebuild_the_matrix, sizes[i], sizes[i] > 40 ? 10 : sizes[i]);
    }
    static const int leading[][3] = {{300, 20, 300}, {60, 20, 60}, {61, 20, 61}, {200, 20, 15}, {100, 1, 100}};
    for (int i = 0; i < 5; i++) {
        snprintf(suffix, sizeof suffix, "%d_%d_%d", leading[i][0], leading[i][1], leading[i][2]);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(leading_eigenvectors_are_the_exact_ones, leading[i][0], leading[i][1], leading[i][2]);
    }
    RUN_TEST(chi_square_and_normal_quantiles_are_the_tabled_ones);
    static const int counts[] = {2, 3, 4, 9, 10, 61, 200, 201, 202, 700};
    for (int i = 0; i < 10; i++) {
        snprintf(suffix, sizeof suffix, "%d", counts[i]);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(qn_is_the_order_statistic_of_all_differences, counts[i]);
    }
    RUN_TEST(c_steps_are_numpys);
    greatest_set_test_suffix("small");
    RUN_TESTp(mcd_is_scikit_learns, "small", -3.306788774752987, 1e-9, 0.15, 103);
    greatest_set_test_suffix("large");
    RUN_TESTp(mcd_is_scikit_learns, "large", -18.99735246646086, 0.004471254910901834, 0.1, 405);
    greatest_set_test_suffix("p20");
    RUN_TESTp(mcd_is_scikit_learns, "p20", -2.852941826812012, 0.07536954302246235, 0.1, 210);
    RUN_TEST(mrcd_is_rrcovs);
    RUN_TEST(mrcd_keeps_the_matrix_of_its_definition);
    static const int rows[] = {150, 650};
    for (int i = 0; i < 2; i++) {
        snprintf(suffix, sizeof suffix, "%d", rows[i]);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(mcd_does_not_depend_on_the_axes, rows[i]);
    }
    static const struct { ot_screen_kind kind; int n, p; } fits[] = {{OT_SCREEN_MCD, 100, 4}, {OT_SCREEN_MCD, 60, 1}, {OT_SCREEN_PCA_MCD, 120, 30}, {OT_SCREEN_PCA_MCD, 60, 90},
                                                                      {OT_SCREEN_MRCD, 60, 20}, {OT_SCREEN_MRCD, 60, 80}};
    for (int i = 0; i < 12; i++) {
        snprintf(suffix, sizeof suffix, "%s_%d_%d%s", ot_screen_name(fits[i / 2].kind), fits[i / 2].n, fits[i / 2].p, i % 2 ? "_0.75" : "");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(any_number_of_threads_gives_the_same_bits, fits[i / 2].kind, fits[i / 2].n, fits[i / 2].p, i % 2 ? 0.75 : 0);
    }
    static const struct { ot_screen_kind kind; int n, p; double bend; } small[] = {{OT_SCREEN_MCD, 24, 3, -1}, {OT_SCREEN_MCD, 20, 1, 1}, {OT_SCREEN_MCD, 1010, 1, -1}, {OT_SCREEN_PCA_MCD, 24, 6, -1},
                                                                                     {OT_SCREEN_PCA_MCD, 24, 30, 1}, {OT_SCREEN_MRCD, 20, 5, -1}, {OT_SCREEN_MRCD, 20, 30, 1}, {OT_SCREEN_MRCD, 20, 4, 0}};
    for (int i = 0; i < 8; i++) {
        snprintf(suffix, sizeof suffix, "%s_%d_%d", ot_screen_name(small[i].kind), small[i].n, small[i].p);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(every_failed_allocation_is_reported_and_nothing_leaks, small[i].kind, small[i].n, small[i].p, small[i].bend);
    }
    static const struct { ot_screen_kind kind; int n, p, every; } bad[] = {{OT_SCREEN_MCD, 300, 10, 5}, {OT_SCREEN_PCA_MCD, 300, 40, 5}, {OT_SCREEN_MRCD, 200, 40, 5}, {OT_SCREEN_MRCD, 100, 150, 5},
                                                                               {OT_SCREEN_MRCD, 200, 40, 20}};
    for (int i = 0; i < 10; i++) {
        snprintf(suffix, sizeof suffix, "%s_%d_%d_%d_%s", ot_screen_name(bad[i / 2].kind), bad[i / 2].n, bad[i / 2].p, bad[i / 2].every, i % 2 ? "cluster" : "scattered");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(bad_rows_do_not_pull_the_estimate, bad[i / 2].kind, bad[i / 2].n, bad[i / 2].p, bad[i / 2].every, i % 2);
    }
    static const struct { ot_screen_kind kind; int n, p, plain; double more; } rates[] = {{OT_SCREEN_MCD, 400, 10, 1, 1}, {OT_SCREEN_MCD, 400, 60, 1, 3}, {OT_SCREEN_PCA_MCD, 400, 60, 1, 0},
                                                                                             {OT_SCREEN_MRCD, 400, 60, 1, 1}, {OT_SCREEN_MRCD, 150, 200, 1, 3}, {OT_SCREEN_MRCD, 400, 60, 0, 1}, {OT_SCREEN_MRCD, 150, 200, 0, 1}};
    for (int i = 0; i < 7; i++) {
        snprintf(suffix, sizeof suffix, "%s_%d_%d_%s", ot_screen_name(rates[i].kind), rates[i].n, rates[i].p, rates[i].plain ? "plain" : "chosen");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(fresh_good_rows_are_flagged_as_promised, rates[i].kind, rates[i].n, rates[i].p, rates[i].plain, rates[i].more);
    }
    RUN_TEST(a_wide_population_does_not_hide_what_is_wrong);
    for (int bent = 0; bent < 2; bent++) {
        greatest_set_test_suffix(bent ? "curve" : "straight");
        RUN_TESTp(the_choice_has_the_least_volume, 200, 20, bent);
        greatest_set_test_suffix(bent ? "bent" : "straight");
        RUN_TESTp(units_move_the_volume_alone, bent ? 0.3 : -1.0);
        greatest_set_test_suffix(bent ? "bent" : "straight");
        RUN_TESTp(the_volume_of_one_number_is_the_length_of_its_interval, bent ? 0.5 : -1.0);
    }
    for (int kind = 0; kind < OT_SCREENS; kind++) {
        greatest_set_test_suffix(ot_screen_name((ot_screen_kind)kind));
        RUN_TESTp(duplicate_chips_are_taken, (ot_screen_kind)kind);
    }
    RUN_TEST(equal_chips_and_a_few_others_give_a_screen);
    RUN_TEST(a_hyperplane_of_normal_rows_is_kept_as_a_rule);
    for (int kind = 0; kind < OT_SCREENS; kind++) {
        greatest_set_test_suffix(ot_screen_name((ot_screen_kind)kind));
        RUN_TESTp(awkward_columns_are_taken, (ot_screen_kind)kind);
    }
    static const int wide[][2] = {{60, 30}, {60, 44}, {60, 45}, {60, 46}, {60, 120}};
    for (int i = 0; i < 5; i++) {
        snprintf(suffix, sizeof suffix, "%d_%d", wide[i][0], wide[i][1]);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(more_numbers_than_rows_give_the_matrix_of_the_definition, wide[i][0], wide[i][1]);
    }
    RUN_TEST(one_number_a_row_takes_the_tightest_window);
    RUN_TEST(thousands_of_rows_are_searched_in_parts);
    RUN_TEST(what_cannot_be_fitted_is_refused);
}

/* test_screen.c - robust covariances and the screens made of them: against scikit-learn and rrcov, and what must hold for any data. */
#include "check.h"
#include "test/mrcd.h"
#include "test/product.h"

#include <math.h>
#include <string.h>

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
    printf(" [%s: log det %.9f, theirs %.9f, %s subset]", folder, s.log_det, log_det, same ? "same" : "another");
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
    OK(ot__mrcd(&s, x.data, N, P, 0));
    ASSERT_EQ(H, s.h);
    for (int i = 0; i < H; i++)
        for (int j = 0; j < H; j++) same += got_best[i] == (int)want_best[j];
    covariance_of(cov, factor, P);
    distances_of(d, &s, P, x.data, N);
    double log_det = s.log_det;
    for (int k = 0; k < P; k++) log_det -= log(want_target[k]);
    printf(" [rho %.6f, theirs %.6f; %d of %d rows the same; log det standardised %.5f]", s.rho, rho, same, H, log_det);
    ASSERT(fabs(s.rho - rho) <= 0.02);                                 /* the manifest's */
    ASSERT(log_det <= -53.67717533363012 + 1.2);                       /* the manifest's, one-sided; Qn's small-sample factor differs by 0.1 % */
    for (int i = 0; i < N; i++)
        if (fabs(want_dist[i] / cutoff - 1) >= 0.1) ASSERT_EQ(want_flagged[i] == 1, d[i] > cutoff);
    ot_array *all[] = {&x, &best, &center, &covariance, &dist, &flagged, &target};
    for (int i = 0; i < 7; i++) ot_array_free(all[i]);
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
    RUN_TEST(chi_square_and_normal_quantiles_are_the_tabled_ones);
    static const int counts[] = {2, 3, 4, 9, 10, 61, 200};
    for (int i = 0; i < 7; i++) {
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
}

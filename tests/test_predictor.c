/* test_predictor.c - features, MARS, boosting, ridge, cross-validation: golden cases of R earth and scikit-learn, definitions, bad input. */
#include "check.h"
#include "ohmtrim/predictor.h"
#include "test/mars.h"

#include <math.h>
#include <string.h>

/* -- Helpers ------------------------------------------------------------------------------------------------------- */

static int load(ot_array *a, const char *folder, const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    return check_load(a, path);
}

static void values(double *out, const ot_predictor *m, const double *x, int n)
{
    for (int i = 0; i < n; i++) out[i] = ot_predictor_value(m, x + (size_t)i * (size_t)m->p);
}

static double *doubles(size_t n)
{
    double *d = ot_alloc(n, sizeof *d);
    for (size_t i = 0; i < n; i++) d[i] = NAN;
    return d;
}

/* Correlated features, as signatures are, and a bent response. */
static void make(double *x, double *y, int n, int p, uint64_t seed)
{
    check_rng r = {seed};
    for (int i = 0; i < n; i++) {
        double common = check_normal(&r), bend = check_normal(&r);
        for (int j = 0; j < p; j++) x[(size_t)i * (size_t)p + (size_t)j] = 0.7 * common + (j % 3 ? 0.5 : -0.4) * bend + 0.4 * check_normal(&r);
        y[i] = 0.9 - 0.02 * fabs(common) - 0.01 * fmax(0, bend) * (1 + common) + 0.002 * check_normal(&r);
    }
}

static ot_predictor_options options(ot_predictor_kind kind, int degree, int threads)
{
    ot_predictor_options o = ot_predictor_defaults(kind);
    o.degree = degree;
    o.threads = threads;
    return o;
}

/* -- Features ------------------------------------------------------------------------------------------------------ */

TEST features_are_mean_and_sd_without_constants(void)
{
    enum { N = 5, S = 4 };
    static const float s[N * S] = {1, 7, 0.1f, -3, 2, 7, 0.1f, -3, 3, 7, 0.1f, 4, 4, 7, 0.1f, 4, 5, 7, 0.1f, 3};
    ot_features f;
    double      x[2] = {NAN, NAN};
    memset(&f, 0x55, sizeof f);
    OK(ot_features_fit(&f, s, N, S));
    ASSERT_EQ(S, f.s);
    ASSERT_EQ(2, f.p);
    ASSERT_EQ(0, f.feature[0]);
    ASSERT_EQ(3, f.feature[1]);
    static const double mean[2] = {3, 1}, sd[2] = {1.4142135623730951, 3.2863353450309969};      /* sqrt(2), sqrt(54 / 5) */
    CHECK_CLOSE64(mean, f.mean, 2, /* a few roundings */ 1e-15);
    CHECK_CLOSE64(sd, f.sd, 2, 1e-15);
    ot_features_apply(x, &f, s);
    static const double want[2] = {-1.4142135623730951, -1.2171612389003691};
    CHECK_CLOSE64(want, x, 2, 1e-15);
    ot_features_free(&f);
    ASSERT_EQ(NULL, f.memory);
    PASS();
}

TEST features_refuse_what_says_nothing(void)
{
    float       s[6] = {1, 2, 1, 2, 1, 2};
    ot_features f;
    FAILS(OT_E_DATA, "each of the 2 numbers is the same in all 3 signatures", ot_features_fit(&f, s, 3, 2));
    FAILS(OT_E_RANGE, "features of 1 signatures", ot_features_fit(&f, s, 1, 2));
    FAILS(OT_E_RANGE, "of 0 numbers", ot_features_fit(&f, s, 3, 0));
    s[5] = NAN;
    FAILS(OT_E_DATA, "signature 2, number 1 is nan", ot_features_fit(&f, s, 3, 2));
    s[5] = -INFINITY;
    FAILS(OT_E_DATA, "signature 2, number 1 is -inf", ot_features_fit(&f, s, 3, 2));
    PASS();
}

/* -- MARS ---------------------------------------------------------------------------------------------------------- */

typedef struct mars_case { const char *data, *name; int degree; double gcv, rsq, grsq, sd; } mars_case;
static const mars_case mars_cases[] = {                 /* scalars of the manifests */
    {"degenerate", "degenerate_d1", 1, 1.59644046424869, 0.746396778560875, 0.702176822931007, 2.3107891808827206},
    {"degenerate", "degenerate_d2", 2, 0.31152257226787, 0.957494687032086, 0.941884057514675, 2.3107891808827206},
    {"interaction", "interaction_d1", 1, 5.52116575292379, 0.604854955373659, 0.546172812083099, 3.482130991677734},
    {"interaction", "interaction_d2", 2, 0.211080181719586, 0.985956693732838, 0.982649692187912, 3.482130991677734},
    {"long", "long_d1", 1, 3.75211606417998, 0.935542513398218, 0.931771490541814, 7.412043070038803},
    {"long", "long_d2", 2, 0.619990596470873, 0.989502211625112, 0.988726085880144, 7.412043070038803},
    {"signature", "signature_d1", 1, 1.21957041313772, 0.966324976192032, 0.955475940625266, 5.227120542504979},
    {"signature", "signature_d2", 2, 1.01058457757092, 0.974532763946337, 0.963105592551074, 5.227120542504979},
    {"smooth", "smooth_d1", 1, 0.144220643759656, 0.985484587400229, 0.983390463517339, 2.943007783032856},
    {"smooth", "smooth_d2", 2, 0.149381609864614, 0.985484587400229, 0.982796087756897, 2.943007783032856},
    {"wide", "wide_d1", 1, 0.728433447185385, 0.98557870252738, 0.972035354599561, 5.086719453582148},
    {"wide", "wide_d2", 2, 0.690083390097629, 0.990547896062217, 0.973507617785291, 5.086719453582148},
};
enum { MARS_CASES = sizeof mars_cases / sizeof *mars_cases };

TEST mars_is_earth(const mars_case *c, int threads)
{
    char            data[64], model[64];
    ot_array        x, y, xnew, dirs, cut, cut_term, cut_feature, selected, fitted, pred, rss;
    ot_predictor    m;
    ot__mars_basis  basis;
    ot__mars_subset kept;
    snprintf(data, sizeof data, "mars/%s", c->data);
    snprintf(model, sizeof model, "mars/%s", c->name);
    ASSERT(load(&x, data, "X") && load(&y, data, "y") && load(&xnew, data, "Xnew"));
    ASSERT(load(&dirs, model, "dirs") && load(&cut, model, "cut") && load(&cut_term, model, "cut_term") && load(&cut_feature, model, "cut_feature"));
    ASSERT(load(&selected, model, "selected") && load(&fitted, model, "fitted") && load(&pred, model, "pred") && load(&rss, model, "rss_by_size"));
    int                  n = (int)x.dims[0], p = (int)x.dims[1], fresh = (int)xnew.dims[0];
    ot_predictor_options opt = options(OT_PREDICTOR_MARS, c->degree, threads);
    ot__rows             rows = {.x = x.data, .y = y.data, .n = n, .p = p, .threads = threads, .opt = &opt};
    OK(ot__pool_open(&rows.pool, threads));
    OK(ot__mars_fit(&m, &basis, &kept, &rows));
    ot__pool_close(rows.pool);

    ASSERT_EQ((int)dirs.dims[0], basis.terms);
    double *got = doubles((size_t)basis.terms * (size_t)p);
    memset(got, 0, (size_t)basis.terms * (size_t)p * sizeof *got);
    for (int t = 0; t < basis.terms; t++)
        for (int h = 0; h < basis.term[t].hinges; h++) got[t * p + basis.term[t].feature[h]] = basis.term[t].dir[h];
    CHECK_CLOSE64((const double *)dirs.data, got, (size_t)basis.terms * (size_t)p, 0);
    for (int64_t k = 0; k < cut.dims[0]; k++) {
        const ot__mars_term *t = &basis.term[(int)((const double *)cut_term.data)[k]];
        int                  h = t->hinges == 2 && t->feature[1] == (int)((const double *)cut_feature.data)[k];
        CHECK_CLOSE64((const double *)cut.data + k, &t->cut[h], 1, /* a value of the data */ 0);
    }
    ASSERT_EQ((int)selected.dims[0], kept.terms);
    for (int k = 0; k < kept.terms; k++) ASSERT_EQ((int)((const double *)selected.data)[k], kept.term[k]);
    ASSERT_EQ((int)rss.dims[0], kept.sizes);
    CHECK_CLOSE64((const double *)rss.data, kept.rss, (size_t)kept.sizes, /* the manifest's */ 1e-9 * check_max_f64(rss.data, (size_t)kept.sizes));
    CHECK_CLOSE64(&c->gcv, &kept.gcv, 1, 1e-9 * c->gcv);
    CHECK_CLOSE64(&c->rsq, &kept.rsq, 1, 1e-9);
    CHECK_CLOSE64(&c->grsq, &kept.grsq, 1, 1e-9);
    double *value = doubles((size_t)n);
    values(value, &m, x.data, n);
    CHECK_CLOSE64((const double *)fitted.data, value, (size_t)n, /* the manifest's */ 1e-8 * c->sd);
    values(value, &m, xnew.data, fresh);
    CHECK_CLOSE64((const double *)pred.data, value, (size_t)fresh, 1e-8 * c->sd);

    ot_free(value), ot_free(got), ot_free(kept.memory);
    ot__mars_basis_free(&basis);
    ot_predictor_free(&m);
    ot_array *all[] = {&x, &y, &xnew, &dirs, &cut, &cut_term, &cut_feature, &selected, &fitted, &pred, &rss};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ot_array_free(all[i]);
    PASS();
}

/* Squares of y left by a constant and m columns, by Gauss elimination of the normal equations. */
static double squares_left(const double *column, int m, const double *y, int n)
{
    enum { MOST = 4 };
    double a[MOST][MOST + 1] = {{0}}, rss = 0, b[MOST];
    for (int i = 0; i <= m; i++)
        for (int j = 0; j <= m + 1; j++)
            for (int k = 0; k < n; k++)
                a[i][j] += (i ? column[(i - 1) * n + k] : 1) * (j == m + 1 ? y[k] : j ? column[(j - 1) * n + k] : 1);
    for (int i = 0; i <= m; i++)
        for (int l = i + 1; l <= m; l++)
            for (int j = m + 1; j >= i; j--) a[l][j] -= a[l][i] / a[i][i] * a[i][j];
    for (int i = m; i >= 0; i--) {
        b[i] = a[i][m + 1];
        for (int j = i + 1; j <= m; j++) b[i] -= a[i][j] * b[j];
        b[i] /= a[i][i];
    }
    for (int k = 0; k < n; k++) {
        double e = y[k] - b[0];
        for (int i = 0; i < m; i++) e -= b[i + 1] * column[i * n + k];
        rss += e * e;
    }
    return rss;
}

/* The definition of a step from the constant: least squares on (x, hinge) for every feature and cut that the spans allow. */
TEST first_pair_is_the_best_of_all_pairs(uint64_t seed)
{
    enum { N = 90, P = 3, END = 8, STEP = 4, START = 9 };       /* methods: 7.32 + log2 3 -> 8; (2.97 + ln 270) / 1.73 -> 4; 74 = 18 * 4 + 2 */
    double          x[N * P], y[N], pair[2 * N], sorted[N], best = INFINITY, cut = NAN;
    int             feature = -1;
    ot_predictor    m;
    ot__mars_basis  basis;
    ot_predictor_options opt = options(OT_PREDICTOR_MARS, 1, 1);
    ot__rows        rows = {.x = x, .y = y, .n = N, .p = P, .threads = 1, .opt = &opt};
    make(x, y, N, P, seed);
    for (int j = 0; j < P; j++) {
        for (int i = 0; i < N; i++) sorted[i] = pair[i] = x[i * P + j];
        for (int i = 0; i < N; i++)
            for (int k = i; k > 0 && sorted[k] < sorted[k - 1]; k--) {
                double t = sorted[k];
                sorted[k] = sorted[k - 1], sorted[k - 1] = t;
            }
        for (int i = N - 2, count = START; i >= END; i--) {
            if (--count) continue;
            count = STEP;
            for (int k = 0; k < N; k++) pair[N + k] = fmax(0, pair[k] - sorted[i]);
            double rss = squares_left(pair, 2, y, N);
            if (rss < best) best = rss, feature = j, cut = sorted[i];
        }
    }
    OK(ot__pool_open(&rows.pool, 1));
    OK(ot__mars_fit(&m, &basis, NULL, &rows));
    ot__pool_close(rows.pool);
    ASSERT(basis.terms >= 3);
    ASSERT_EQ(feature, basis.term[1].feature[0]);
    ASSERT_EQ(1, basis.term[1].dir[0]);
    ASSERT_EQ(-1, basis.term[2].dir[0]);
    CHECK_CLOSE64(&cut, &basis.term[1].cut[0], 1, 0);
    ot__mars_basis_free(&basis);
    ot_predictor_free(&m);
    PASS();
}

/* Columns far from zero and nearly equal: their r'r is lost by subtraction and must be made anew. */
TEST near_copies_far_from_zero_change_nothing(void)
{
    enum { N = 200, P = 4 };
    double       x[N * P], far[N * P], y[N], a[N], b[N];
    ot_predictor m, k;
    ot_predictor_options opt = options(OT_PREDICTOR_MARS, 1, 1);
    make(x, y, N, P, 3);
    for (int i = 0; i < N; i++) {
        x[i * P + 2] = x[i * P], x[i * P + 3] = 2 * x[i * P + 1] - x[i * P];           /* a copy, and one in the span of others */
        for (int j = 0; j < P; j++) x[i * P + j] = (double)(float)x[i * P + j] * 0x1p10, far[i * P + j] = x[i * P + j] + 0x1p20;   /* exact */
    }
    OK(ot_predictor_fit(&m, x, y, N, P, &opt));
    OK(ot_predictor_fit(&k, far, y, N, P, &opt));
    values(a, &m, x, N);
    values(b, &k, far, N);
    ASSERT_EQ(m.mars.terms, k.mars.terms);
    CHECK_CLOSE64(a, b, N, /* linear terms around 2^20 with coefficients of 1e-5: 1e6 * 1e-5 * eps * condition */ 1e-9);
    for (int t = 0; t < m.mars.hinges; t++) ASSERT(m.mars.feature[t] != 2);
    ot_predictor_free(&m), ot_predictor_free(&k);
    PASS();
}

/* -- Boosting ------------------------------------------------------------------------------------------------------ */

TEST boosting_is_sklearns(const char *folder, int threads)
{
    ot_array     x, xtest, y, train, loss, test;
    ot_predictor m;
    ASSERT(load(&x, folder, "X") && load(&xtest, folder, "Xtest") && load(&y, folder, "y") && load(&train, folder, "train"));
    ASSERT(load(&loss, folder, "train_loss") && load(&test, folder, "test_lowest"));
    int           n = (int)x.dims[0], p = (int)x.dims[1], fresh = (int)xtest.dims[0];
    const double *target = y.data;
    double        mean = 0, var = 0, got_loss[100];
    for (int i = 0; i < n; i++) mean += target[i] / n;
    for (int i = 0; i < n; i++) var += (target[i] - mean) * (target[i] - mean) / (n - 1);
    ot_predictor_options opt = options(OT_PREDICTOR_BOOST, 1, threads);
    OK(ot_predictor_fit(&m, x.data, y.data, n, p, &opt));
    ASSERT_EQ(100, m.boost.trees);
    double *value = doubles((size_t)n);
    values(value, &m, x.data, n);
    CHECK_CLOSE64((const double *)train.data, value, (size_t)n, /* the manifest's; any random state */ 1e-9 * sqrt(var));
    values(value, &m, xtest.data, fresh);
    CHECK_CLOSE64((const double *)test.data, value, (size_t)fresh, /* the manifest's: ties to the lowest feature */ 1e-9 * sqrt(var));
    for (int t = 1; t <= 100; t++) {
        ot_predictor part = m;
        part.boost.trees = t;
        values(value, &part, x.data, n);
        got_loss[t - 1] = 0;
        for (int i = 0; i < n; i++) got_loss[t - 1] += (value[i] - target[i]) * (value[i] - target[i]) / n;
    }
    CHECK_CLOSE64((const double *)loss.data, got_loss, 100, /* the manifest's */ 1e-9 * check_max_f64(loss.data, 100));
    ot_free(value);
    ot_predictor_free(&m);
    ot_array *all[] = {&x, &xtest, &y, &train, &loss, &test};
    for (int i = 0; i < 6; i++) ot_array_free(all[i]);
    PASS();
}

TEST a_stump_parts_where_floats_differ(void)
{
    /* Feature 0 would part best between rows 1 and 2, which are 5e-8 apart: no cut there.  Feature 2 copies 1: the lower wins. */
    static const double x[] = {0, 0, 0, 1, 1, 1, 1 + 5e-8, 2, 2, 3, 3, 3}, y[] = {0, 0, 1, 1};
    ot_predictor        m;
    ot_predictor_options opt = options(OT_PREDICTOR_BOOST, 1, 2);
    opt.trees = opt.depth = 1;
    opt.rate = 1;
    OK(ot_predictor_fit(&m, x, y, 4, 3, &opt));
    ASSERT_EQ(3, m.boost.nodes);
    ASSERT_EQ(1, m.boost.feature[0]);
    static const double want[3] = {1.5, 0, 1};
    double got[3] = {m.boost.value[0], m.boost.init + m.boost.value[1], m.boost.init + m.boost.value[2]};
    CHECK_CLOSE64(want, got, 3, 0);
    ot_predictor_free(&m);
    PASS();
}

/* Each node of each tree, from the rows that reach it: no cut of any feature gains more, and leaves are means. */
TEST every_split_is_the_best_of_its_node(void)
{
    enum { N = 60, P = 5, TREES = 4 };
    double       x[N * P], y[N], fitted[N];
    ot_predictor m;
    ot_predictor_options opt = options(OT_PREDICTOR_BOOST, 1, 1);
    opt.trees = TREES, opt.depth = 4;
    make(x, y, N, P, 11);
    OK(ot_predictor_fit(&m, x, y, N, P, &opt));
    for (int i = 0; i < N; i++) fitted[i] = m.boost.init;
    for (int t = 0; t < TREES; t++) {
        int at[N], end = t + 1 < TREES ? m.boost.root[t + 1] : m.boost.nodes;
        for (int i = 0; i < N; i++) at[i] = m.boost.root[t];
        for (int v = m.boost.root[t]; v < end; v++) {
            double sum = 0, best = 0, got = 0, n = 0;
            for (int i = 0; i < N; i++) if (at[i] == v) sum += y[i] - fitted[i], n++;
            if (m.boost.feature[v] < 0) {
                ASSERT_IN_RANGE(sum / n, m.boost.value[v], /* N sums of 0.1 */ 1e-14);
                continue;
            }
            for (int j = 0; j < P; j++)
                for (int k = 0; k < N; k++) {
                    double s = 0, l = 0;
                    if (at[k] != v) continue;
                    for (int i = 0; i < N; i++) if (at[i] == v && x[i * P + j] <= x[k * P + j]) s += y[i] - fitted[i], l++;
                    if (l < n) best = fmax(best, (s / l - (sum - s) / (n - l)) * (s / l - (sum - s) / (n - l)) * l * (n - l) / n);
                }
            double s = 0, l = 0;
            for (int i = 0; i < N; i++)
                if (at[i] == v) {
                    int left = x[i * P + m.boost.feature[v]] <= m.boost.value[v];
                    if (left) s += y[i] - fitted[i], l++;
                    at[i] = m.boost.left[v] + !left;
                }
            got = (s / l - (sum - s) / (n - l)) * (s / l - (sum - s) / (n - l)) * l * (n - l) / n;
            ASSERT_IN_RANGE(best, got, 1e-12 * best);
        }
        for (int i = 0; i < N; i++) fitted[i] += m.boost.rate * m.boost.value[at[i]];
    }
    ot_predictor_free(&m);
    PASS();
}

/* -- Ridge --------------------------------------------------------------------------------------------------------- */

/* X'(y - Xb) = lambda b in standardised features, residuals of mean 0: the definition, whatever the shape. */
TEST ridge_solves_its_equations(int n, int p, double lambda)
{
    double *x = doubles((size_t)n * (size_t)p), *y = doubles((size_t)n), *e = doubles((size_t)n), sum = 0, most = 0, worst = 0;
    ot_predictor m;
    ot_predictor_options opt = options(OT_PREDICTOR_RIDGE, 1, 2);
    opt.lambda = lambda;
    make(x, y, n, p, 5);
    for (int i = 0; i < n && p > 2; i++) x[i * p + 1] = 3;                       /* constant: left out */
    for (int i = 0; i < n; i++) x[i * p] = 1000 + 50 * x[i * p];                 /* another scale */
    OK(ot_predictor_fit(&m, x, y, n, p, &opt));
    values(e, &m, x, n);
    for (int i = 0; i < n; i++) sum += e[i] = y[i] - e[i];
    ASSERT_IN_RANGE(0, sum / n, 1e-12);
    for (int j = 0; j < p; j++) {
        double mean = 0, var = 0, xe = 0, xy = 0;
        for (int i = 0; i < n; i++) mean += x[i * p + j] / n;
        for (int i = 0; i < n; i++) var += (x[i * p + j] - mean) * (x[i * p + j] - mean) / n;
        if (j == 1 && p > 2) {
            CHECK_CLOSE64(&(double){0}, &m.ridge.coef[j], 1, 0);
            continue;
        }
        for (int i = 0; i < n; i++) xe += (x[i * p + j] - mean) / sqrt(var) * e[i], xy += (x[i * p + j] - mean) / sqrt(var) * y[i];
        most = fmax(most, fabs(xy));
        worst = fmax(worst, fabs(xe - lambda * m.ridge.coef[j] * sqrt(var)));
    }
    ASSERT_IN_RANGE(0, worst, /* condition of X'X times rounding */ 1e-9 * most);
    ot_predictor_free(&m);
    ot_free(x), ot_free(y), ot_free(e);
    PASS();
}

/* GCV from the definition: the hat matrix's trace by predicting unit vectors. */
static double gcv_of(const double *x, const double *y, int n, int p, double lambda)
{
    ot_predictor m;
    ot_predictor_options opt = options(OT_PREDICTOR_RIDGE, 1, 1);
    double trace = 0, rss = 0, unit[64] = {0};
    opt.lambda = lambda;
    for (int i = 0; i < n; i++) {
        unit[i] = 1;
        if (ot_predictor_fit(&m, x, unit, n, p, &opt) != OT_OK) return NAN;
        trace += ot_predictor_value(&m, x + i * p);
        ot_predictor_free(&m);
        unit[i] = 0;
    }
    if (ot_predictor_fit(&m, x, y, n, p, &opt) != OT_OK) return NAN;
    for (int i = 0; i < n; i++) rss += pow(y[i] - ot_predictor_value(&m, x + i * p), 2);
    ot_predictor_free(&m);
    return rss / n / pow(1 - trace / n, 2);
}

/* The automatic lambda is that of the fixed lambda whose model it gives; no neighbour has a lesser GCV. */
TEST ridge_chooses_the_lambda_of_least_gcv(int n, int p)
{
    double x[50 * 60], y[50];
    ot_predictor m;
    ot_predictor_options opt = options(OT_PREDICTOR_RIDGE, 1, 1);
    make(x, y, n, p, 9);
    OK(ot_predictor_fit(&m, x, y, n, p, &opt));
    double lambda = NAN, size = 0, xe = 0;                            /* lambda from X'(y - Xb) = lambda b at the largest b */
    for (int j = 0; j < p; j++) {
        double mean = 0, var = 0, dot = 0;
        for (int i = 0; i < n; i++) mean += x[i * p + j] / n;
        for (int i = 0; i < n; i++) var += (x[i * p + j] - mean) * (x[i * p + j] - mean) / n;
        for (int i = 0; i < n; i++) dot += (x[i * p + j] - mean) / sqrt(var) * (y[i] - ot_predictor_value(&m, x + i * p));
        if (fabs(m.ridge.coef[j] * sqrt(var)) > size) size = fabs(m.ridge.coef[j] * sqrt(var)), xe = dot, lambda = xe / (m.ridge.coef[j] * sqrt(var));
    }
    ot_predictor_free(&m);
    double here = gcv_of(x, y, n, p, lambda), ratio = pow(10, 1 / 8.0);
    ASSERT(lambda > 0);
    for (int k = 1; k <= 8; k++) {
        double g = pow(ratio, k);
        ASSERT(gcv_of(x, y, n, p, lambda * g) >= here * (1 - 1e-9) && gcv_of(x, y, n, p, lambda / g) >= here * (1 - 1e-9));
    }
    PASS();
}

/* -- All kinds ----------------------------------------------------------------------------------------------------- */

static int same_bits(const ot_predictor *a, const ot_predictor *b)
{
#define SAME(P, N) (!memcmp(a->P, b->P, (size_t)(N) * sizeof *a->P))
    if (a->kind != b->kind || a->p != b->p) return 0;
    if (a->kind == OT_PREDICTOR_MARS)
        return a->mars.terms == b->mars.terms && a->mars.hinges == b->mars.hinges && SAME(mars.coef, a->mars.terms) && SAME(mars.start, a->mars.terms + 1) &&
               SAME(mars.feature, a->mars.hinges) && SAME(mars.dir, a->mars.hinges) && SAME(mars.cut, a->mars.hinges);
    if (a->kind == OT_PREDICTOR_BOOST)
        return a->boost.nodes == b->boost.nodes && a->boost.trees == b->boost.trees && !memcmp(&a->boost.init, &b->boost.init, sizeof(double)) &&
               SAME(boost.root, a->boost.trees) && SAME(boost.feature, a->boost.nodes) && SAME(boost.left, a->boost.nodes) && SAME(boost.value, a->boost.nodes);
    return !memcmp(&a->ridge.intercept, &b->ridge.intercept, sizeof(double)) && SAME(ridge.coef, a->p);
#undef SAME
}

TEST threads_change_no_bit(ot_predictor_kind kind, int degree, int n, int p)
{
    double *x = doubles((size_t)n * (size_t)p), *y = doubles((size_t)n), *yhat = doubles((size_t)n), mean = 0, rss = 0, tss = 0;
    ot_predictor one, m;
    make(x, y, n, p, 21);
    for (int threads = 1; threads <= 3; threads++) {
        ot_predictor_options opt = options(kind, degree, threads);
        OK(ot_predictor_fit(threads == 1 ? &one : &m, x, y, n, p, &opt));
        if (threads == 1) continue;
        ASSERT(same_bits(&one, &m));
        ot_predictor_free(&m);
    }
    values(yhat, &one, x, n);
    for (int i = 0; i < n; i++) mean += y[i] / n;
    for (int i = 0; i < n; i++) rss += (y[i] - yhat[i]) * (y[i] - yhat[i]), tss += (y[i] - mean) * (y[i] - mean);
    ASSERT(rss < (kind == OT_PREDICTOR_RIDGE ? 0.9 : 0.5) * tss);     /* it did learn; y is bent, which ridge cannot be */
    ot_predictor_free(&one);
    ot_free(x), ot_free(y), ot_free(yhat);
    PASS();
}

TEST constant_y_gives_a_constant(ot_predictor_kind kind)
{
    double       x[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13}, y[4] = {0.7, 0.7, 0.7, 0.7}, got;
    ot_predictor m;
    ot_predictor_options opt = ot_predictor_defaults(kind);
    memset(&m, 0x55, sizeof m);
    OK(ot_predictor_fit(&m, x, y, 4, 3, &opt));
    ASSERT_EQ(kind, m.kind);
    ASSERT_EQ(3, m.p);
    got = ot_predictor_value(&m, (const double[]){1e6, -1e6, 0});
    CHECK_CLOSE64(y, &got, 1, 0);
    ot_predictor_free(&m);
    for (int i = 0; i < 12; i++) x[i] = 1;                             /* nothing to learn from: the mean */
    y[0] = 0.3;
    OK(ot_predictor_fit(&m, x, y, 4, 3, &opt));
    got = ot_predictor_value(&m, x);
    CHECK_CLOSE64(&(double){0.6}, &got, 1, 1e-15);
    ot_predictor_free(&m);
    PASS();
}

TEST few_rows_are_enough(ot_predictor_kind kind, int degree)
{
    double x[12 * 2], y[12];
    make(x, y, 12, 2, 2);
    for (int n = 3; n <= 12; n++) {
        ot_predictor m;
        ot_predictor_options opt = options(kind, degree, 0);
        OK(ot_predictor_fit(&m, x, y, n, 2, &opt));
        for (int i = 0; i < n; i++) ASSERT(isfinite(ot_predictor_value(&m, x + 2 * i)));
        ot_predictor_free(&m);
    }
    PASS();
}

TEST bad_rows_are_refused(ot_predictor_kind kind)
{
    double       x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[4] = {1, 2, 3, 5};
    ot_predictor m;
    ot_predictor_options opt = ot_predictor_defaults(kind);
    FAILS(OT_E_RANGE, "2 rows of 2 numbers, want 3 or more", ot_predictor_fit(&m, x, y, 2, 2, &opt));
    FAILS(OT_E_RANGE, "4 rows of 0 numbers", ot_predictor_fit(&m, x, y, 4, 0, &opt));
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e101};
    for (int k = 0; k < 4; k++) {
        x[5] = bad[k];
        FAILS(OT_E_DATA, "number 1 of row 2 is ", ot_predictor_fit(&m, x, y, 4, 2, &opt));
        x[5] = 6;
        y[3] = bad[k];
        FAILS(OT_E_DATA, "y of row 3 is ", ot_predictor_fit(&m, x, y, 4, 2, &opt));
        y[3] = 5;
    }
    PASS();
}

TEST settings_out_of_range_are_named(void)
{
    double       x[4] = {1, 2, 3, 5}, y[4] = {1, 2, 3, 5};
    ot_predictor m;
    ot_predictor_options o;
#define BAD(FIELD, VALUE, WORDS)                                                                \
    do {                                                                                        \
        o = ot_predictor_defaults(OT_PREDICTOR_BOOST);                                          \
        OK(ot_predictor_options_check(&o));                                                     \
        o.FIELD = VALUE;                                                                        \
        FAILS(OT_E_RANGE, WORDS, ot_predictor_options_check(&o));                               \
        FAILS(OT_E_RANGE, WORDS, ot_predictor_fit(&m, x, y, 4, 1, &o));                         \
    } while (0)
    BAD(kind, OT_PREDICTORS, "kind = 3");
    BAD(degree, 0, "degree = 0, want 1 or 2");
    BAD(degree, 3, "degree = 3");
    BAD(penalty, NAN, "penalty = nan");
    BAD(max_terms, 2, "max_terms = 2, want 3..1000");
    BAD(max_terms, 1001, "max_terms = 1001");
    BAD(thresh, -0.1, "thresh = -0.1");
    BAD(thresh, 1, "thresh = 1");
    BAD(thresh, NAN, "thresh = nan");
    BAD(fast_k, 1001, "fast_k = 1001");
    BAD(trees, 0, "trees = 0, want 1");
    BAD(depth, 0, "depth = 0, want 1..16");
    BAD(depth, 17, "depth = 17");
    BAD(rate, 0, "rate = 0");
    BAD(rate, NAN, "rate = nan");
    BAD(lambda, NAN, "lambda = nan");
    BAD(threads, -1, "threads = -1");
#undef BAD
    PASS();
}

TEST every_failed_allocation_is_reported_and_nothing_leaks(ot_predictor_kind kind)
{
    enum { N = 24, S = 3 };
    double x[N * S], y[N], predicted[N];
    float  s[N * S];
    make(x, y, N, S, 6);
    for (int i = 0; i < N * S; i++) s[i] = (float)x[i];
    ot_predictor_options opt = options(kind, 2, 1);
    opt.trees = 2;
    size_t live = ot_memory_now().live;
    for (int n = 1;; n++) {
        ot_predictor        m = {0};
        ot_cross_validation cv;
        ot_memory_fail_at((size_t)n);
        ot_status st = ot_predictor_fit(&m, x, y, N, S, &opt);
        if (st == OT_OK) st = ot_predictor_cross_validate(&cv, predicted, s, y, N, S, 2, 1, &opt);
        ot_memory_fail_at(0);
        ot_predictor_free(&m);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT(n < 1000);
    }
    PASS();
}

/* -- Cross-validation ---------------------------------------------------------------------------------------------- */

enum { CV_N = 61, CV_S = 6 };

static void make_signatures(float *s, double *y)
{
    double x[CV_N * CV_S];
    make(x, y, CV_N, CV_S, 31);
    for (int i = 0; i < CV_N * CV_S; i++) s[i] = (float)x[i];
    for (int i = 0; i < CV_N; i++) s[i * CV_S + 4] = 2;                /* constant */
}

TEST folds_are_the_seeds_whatever_the_threads(ot_predictor_kind kind)
{
    float               s[CV_N * CV_S];
    double              y[CV_N], first[CV_N], got[CV_N];
    ot_cross_validation a, b;
    make_signatures(s, y);
    for (int threads = 1; threads <= 3; threads++) {
        ot_predictor_options opt = options(kind, 1, threads);
        double *p = threads == 1 ? first : got;
        for (int i = 0; i < CV_N; i++) p[i] = NAN;
        OK(ot_predictor_cross_validate(threads == 1 ? &a : &b, p, s, y, CV_N, CV_S, 5, 7, &opt));
        if (threads == 1) continue;
        ASSERT(!memcmp(first, got, sizeof got) && !memcmp(&a.rmse, &b.rmse, sizeof a.rmse) && a.folds == 5);
    }
    double mean = 0, sum = 0, square = 0, absolute = 0, spread = 0;
    for (int i = 0; i < CV_N; i++) mean += y[i] / CV_N, sum += first[i] - y[i], square += pow(first[i] - y[i], 2), absolute += fabs(first[i] - y[i]);
    for (int i = 0; i < CV_N; i++) spread += pow(y[i] - mean, 2);
    double want[5] = {sqrt(square / CV_N), sum / CV_N, sqrt(square / CV_N - pow(sum / CV_N, 2)), absolute / CV_N, 1 - square / spread};
    double said[5] = {a.rmse, a.mean, a.sd, a.mae, a.r2};
    CHECK_CLOSE64(want, said, 5, 1e-12);
    ASSERT(a.r2 > 0.3);
    ot_predictor_options opt = options(kind, 1, 1);
    OK(ot_predictor_cross_validate(&b, got, s, y, CV_N, CV_S, 5, 8, &opt));
    ASSERT(memcmp(first, got, sizeof got));                            /* another seed, other folds */
    PASS();
}

/* Leaving one out has no folds to draw: fit without each row by hand. */
TEST leaving_one_out_is_what_it_says(void)
{
    float               s[CV_N * CV_S], rest[CV_N * CV_S];
    double              y[CV_N], want[CV_N], got[CV_N], x[CV_N * CV_S], target[CV_N];
    ot_cross_validation cv;
    ot_predictor_options opt = options(OT_PREDICTOR_RIDGE, 1, 2);
    make_signatures(s, y);
    opt.lambda = 2;
    for (int out = 0; out < CV_N; out++) {
        ot_features  f;
        ot_predictor m;
        int          n = 0;
        for (int i = 0; i < CV_N; i++)
            if (i != out) memcpy(rest + n * CV_S, s + i * CV_S, CV_S * sizeof *s), target[n++] = y[i];
        OK(ot_features_fit(&f, rest, n, CV_S));
        for (int i = 0; i < n; i++) ot_features_apply(x + i * f.p, &f, rest + i * CV_S);
        OK(ot_predictor_fit(&m, x, target, n, f.p, &opt));
        ot_features_apply(x, &f, s + out * CV_S);
        want[out] = ot_predictor_value(&m, x);
        ot_predictor_free(&m);
        ot_features_free(&f);
    }
    OK(ot_predictor_cross_validate(&cv, got, s, y, CV_N, CV_S, CV_N, 1, &opt));
    CHECK_CLOSE64(want, got, CV_N, /* rows in another order: other roundings */ 1e-11);
    PASS();
}

TEST cross_validation_refuses_nonsense(void)
{
    float               s[CV_N * CV_S];
    double              y[CV_N], predicted[CV_N];
    ot_cross_validation cv;
    make_signatures(s, y);
    FAILS(OT_E_RANGE, "folds = 1, want 2..61", ot_predictor_cross_validate(&cv, predicted, s, y, CV_N, CV_S, 1, 1, NULL));
    FAILS(OT_E_RANGE, "folds = 62", ot_predictor_cross_validate(&cv, predicted, s, y, CV_N, CV_S, 62, 1, NULL));
    FAILS(OT_E_RANGE, "4 signatures in 2 folds leave 2 to learn from, want 3", ot_predictor_cross_validate(&cv, predicted, s, y, 4, CV_S, 2, 1, NULL));
    FAILS(OT_E_RANGE, "of 0 numbers", ot_predictor_cross_validate(&cv, predicted, s, y, CV_N, 0, 2, 1, NULL));
    s[2 * CV_S + 3] = NAN;
    FAILS(OT_E_DATA, "signature 2, number 3 is nan", ot_predictor_cross_validate(&cv, predicted, s, y, CV_N, CV_S, 2, 1, NULL));
    s[2 * CV_S + 3] = 0;
    y[60] = INFINITY;
    FAILS(OT_E_DATA, "y of row 60 is inf", ot_predictor_cross_validate(&cv, predicted, s, y, CV_N, CV_S, 2, 1, NULL));
    y[60] = 0.9;
    for (int i = 0; i < CV_N * CV_S; i++) s[i] = 1;
    FAILS(OT_E_DATA, "fold 1 of 2: ", ot_predictor_cross_validate(&cv, predicted, s, y, CV_N, CV_S, 2, 1, NULL));
    for (int i = 0; i < CV_N; i++) y[i] = 0.5, s[i * CV_S] = (float)i;
    OK(ot_predictor_cross_validate(&cv, predicted, s, y, CV_N, CV_S, 2, 1, NULL));       /* constant y: no error, no r2 */
    ASSERT(cv.rmse == 0 && cv.r2 == 0);
    PASS();
}

/* Suffixes name the row. */
static void suffix(const char *fmt, const char *name, int a, int b)
{
    char s[80];
    snprintf(s, sizeof s, fmt, name, a, b);
    greatest_set_test_suffix(s);
}

SUITE(test_predictor)
{
    RUN_TEST(features_are_mean_and_sd_without_constants);
    RUN_TEST(features_refuse_what_says_nothing);
    for (int i = 0; i < MARS_CASES; i++)
        for (int threads = 1; threads <= 2; threads++) {
            suffix("%s_%d_threads", mars_cases[i].name, threads, 0);
            RUN_TESTp(mars_is_earth, &mars_cases[i], threads);
        }
    for (int seed = 1; seed <= 5; seed++) {
        suffix("%s_%d", "seed", seed, 0);
        RUN_TESTp(first_pair_is_the_best_of_all_pairs, (uint64_t)seed);
    }
    RUN_TEST(near_copies_far_from_zero_change_nothing);
    for (int threads = 1; threads <= 2; threads++) {
        suffix("%s_%d_threads", "counts", threads, 0);
        RUN_TESTp(boosting_is_sklearns, "gbr/counts", threads);
        suffix("%s_%d_threads", "continuous", threads, 0);
        RUN_TESTp(boosting_is_sklearns, "gbr/continuous", threads);
    }
    RUN_TEST(a_stump_parts_where_floats_differ);
    RUN_TEST(every_split_is_the_best_of_its_node);
    static const int shapes[][2] = {{40, 1}, {40, 7}, {40, 39}, {40, 40}, {40, 41}, {30, 90}, {3, 2}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        suffix("%s_%dx%d", "rows", shapes[i][0], shapes[i][1]);
        RUN_TESTp(ridge_solves_its_equations, shapes[i][0], shapes[i][1], 3.0);
        if (shapes[i][1] < shapes[i][0]) RUN_TESTp(ridge_solves_its_equations, shapes[i][0], shapes[i][1], 0.0);
    }
    suffix("%s_%dx%d", "rows", 50, 8);
    RUN_TESTp(ridge_chooses_the_lambda_of_least_gcv, 50, 8);
    suffix("%s_%dx%d", "rows", 40, 60);
    RUN_TESTp(ridge_chooses_the_lambda_of_least_gcv, 40, 60);
    for (int k = 0; k < OT_PREDICTORS; k++) {
        const char *name = ot_predictor_name((ot_predictor_kind)k);
        for (int degree = 1; degree <= (k == OT_PREDICTOR_MARS ? 2 : 1); degree++) {
            suffix("%s_degree_%d_300x20", name, degree, 0);
            RUN_TESTp(threads_change_no_bit, (ot_predictor_kind)k, degree, 300, 20);
            suffix("%s_degree_%d_80x130", name, degree, 0);
            RUN_TESTp(threads_change_no_bit, (ot_predictor_kind)k, degree, 80, 130);
            suffix("%s_degree_%d", name, degree, 0);
            RUN_TESTp(few_rows_are_enough, (ot_predictor_kind)k, degree);
        }
        greatest_set_test_suffix(name);
        RUN_TESTp(constant_y_gives_a_constant, (ot_predictor_kind)k);
        greatest_set_test_suffix(name);
        RUN_TESTp(bad_rows_are_refused, (ot_predictor_kind)k);
        greatest_set_test_suffix(name);
        RUN_TESTp(every_failed_allocation_is_reported_and_nothing_leaks, (ot_predictor_kind)k);
        greatest_set_test_suffix(name);
        RUN_TESTp(folds_are_the_seeds_whatever_the_threads, (ot_predictor_kind)k);
    }
    RUN_TEST(settings_out_of_range_are_named);
    RUN_TEST(leaving_one_out_is_what_it_says);
    RUN_TEST(cross_validation_refuses_nonsense);
}

/* recipe_models.c - a recipe's tensors as models.
 *
 * Evaluation trusts its model (floor.h's functions check nothing), so everything it trusts is checked here, once: indices inside their
 * arrays, children behind their parents (so that a walk down a tree ends), a factor that can be divided by, gains a chip can be set to. */
#include "base/fail.h"
#include "floor/recipe.h"

#include <stdio.h>
#include <string.h>

#define TAKE(OUT, PREFIX, TENSOR, DTYPE, ...)                                                                                       \
    do {                                                                                                                            \
        int64_t dims_[] = {__VA_ARGS__};                                                                                            \
        OT_TRY(ot__recipe_take(&(OUT), f, (PREFIX), (TENSOR), OT_DTYPE_##DTYPE, (int)(sizeof dims_ / sizeof *dims_), dims_, name)); \
    } while (0)

/* Whole numbers of a tensor, each least..most. */
static ot_status within(const int32_t *v, int64_t n, int64_t least, int64_t most, const char *prefix, const char *tensor, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (v[i] < least || v[i] > most)
            OT_FAIL(OT_E_FORMAT, "%s: %s.%s[%lld] = %d, want %lld..%lld", name, prefix, tensor, (long long)i, v[i], (long long)least, (long long)most);
    return OT_OK;
}

static ot_status at_least(const double *v, int64_t n, double least, const char *prefix, const char *tensor, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (!(v[i] >= least)) OT_FAIL(OT_E_DATA, "%s: %s.%s[%lld] = %g, want %g or more", name, prefix, tensor, (long long)i, v[i], least);
    return OT_OK;
}

static ot_status features(ot_features *x, ot_floor *f, const char *prefix, const char *name)
{
    int64_t dims[1] = {-1};
    OT_TRY(ot__recipe_take(&x->feature, f, prefix, "feature", OT_DTYPE_I32, 1, dims, name));
    x->s = f->layout.length;
    x->p = (int)dims[0];
    if (x->p < 1) OT_FAIL(OT_E_SHAPE, "%s: %s.feature is empty, want 1 feature or more", name, prefix);
    TAKE(x->mean, prefix, "mean", F64, x->p);
    TAKE(x->sd, prefix, "sd", F64, x->p);
    OT_TRY(within(x->feature, x->p, 0, x->s - 1, prefix, "feature", name));
    for (int k = 1; k < x->p; k++)
        if (x->feature[k] <= x->feature[k - 1])
            OT_FAIL(OT_E_FORMAT, "%s: %s.feature[%d] = %d behind %d, want them ascending", name, prefix, k, x->feature[k], x->feature[k - 1]);
    return at_least(x->sd, x->p, 1e-12, prefix, "sd", name);
}

static ot_status mars(ot_mars *m, int p, ot_floor *f, const char *prefix, const char *name)
{
    int64_t terms[1] = {-1}, hinges[1] = {-1};
    OT_TRY(ot__recipe_take(&m->coef, f, prefix, "mars.coef", OT_DTYPE_F64, 1, terms, name));
    OT_TRY(ot__recipe_take(&m->cut, f, prefix, "mars.cut", OT_DTYPE_F64, 1, hinges, name));
    m->terms = (int)terms[0], m->hinges = (int)hinges[0];
    TAKE(m->start, prefix, "mars.start", I32, terms[0] + 1);
    TAKE(m->feature, prefix, "mars.feature", I32, hinges[0]);
    TAKE(m->dir, prefix, "mars.dir", I32, hinges[0]);
    OT_TRY(within(m->start, terms[0] + 1, 0, m->hinges, prefix, "mars.start", name));
    OT_TRY(within(m->feature, m->hinges, 0, p - 1, prefix, "mars.feature", name));
    for (int t = 0; t < m->terms; t++)
        if (m->start[t + 1] < m->start[t])
            OT_FAIL(OT_E_FORMAT, "%s: %s.mars.start[%d] = %d behind %d, want them ascending", name, prefix, t + 1, m->start[t + 1], m->start[t]);
    if (m->start[0] != 0 || m->start[m->terms] != m->hinges)
        OT_FAIL(OT_E_FORMAT, "%s: %s.mars.start runs from %d to %d, want 0 to %d", name, prefix, m->start[0], m->start[m->terms], m->hinges);
    for (int j = 0; j < m->hinges; j++)
        if (m->dir[j] != 1 && m->dir[j] != -1 && m->dir[j] != 2)
            OT_FAIL(OT_E_FORMAT, "%s: %s.mars.dir[%d] = %d, want -1, 1 or 2", name, prefix, j, m->dir[j]);
    return OT_OK;
}

static ot_status boost(ot_boost *m, int p, ot_floor *f, const char *prefix, const char *name)
{
    int64_t       trees[1] = {-1}, nodes[1] = {-1};
    const double *numbers = NULL;
    TAKE(numbers, prefix, "boost.numbers", F64, 2);
    OT_TRY(ot__recipe_take(&m->root, f, prefix, "boost.root", OT_DTYPE_I32, 1, trees, name));
    OT_TRY(ot__recipe_take(&m->value, f, prefix, "boost.value", OT_DTYPE_F64, 1, nodes, name));
    m->init = numbers[0], m->rate = numbers[1];
    m->trees = (int)trees[0], m->nodes = (int)nodes[0];
    TAKE(m->feature, prefix, "boost.feature", I32, nodes[0]);
    TAKE(m->left, prefix, "boost.left", I32, nodes[0]);
    OT_TRY(within(m->root, m->trees, 0, nodes[0] - 1, prefix, "boost.root", name));
    OT_TRY(within(m->feature, m->nodes, -1, p - 1, prefix, "boost.feature", name));
    for (int i = 0; i < m->nodes; i++)
        if (m->feature[i] >= 0 && (m->left[i] <= i || m->left[i] >= m->nodes - 1))
            OT_FAIL(OT_E_FORMAT, "%s: %s.boost.left[%d] = %d, want %d..%d (children stand behind parents, in pairs)", name, prefix, i, m->left[i], i + 1,
                    m->nodes - 2);
    return OT_OK;
}

static ot_status predictor(ot_predictor *m, int p, ot_floor *f, const char *prefix, const char *name)
{
    char          key[32];
    const char   *kind;
    const double *intercept = NULL;
    snprintf(key, sizeof key, "%s.predictor", prefix);
    OT_TRY(ot__recipe_text(&kind, f, key, name));
    ot_status st = ot_predictor_parse(&m->kind, kind);
    if (st != OT_OK) return ot__fail_prefix(OT_E_FORMAT, "%s: ", name);
    m->p = p;
    snprintf(key, sizeof key, "%s.range", prefix);
    if (ot__recipe_has(f, key)) {
        const double *range;
        TAKE(range, prefix, "range", F64, 2);
        if (!(range[0] <= range[1])) OT_FAIL(OT_E_DATA, "%s: %s = %g .. %g, want the least first", name, key, range[0], range[1]);
        m->holds = 1, m->least = range[0], m->most = range[1];
    }
    switch (m->kind) {
    case OT_PREDICTOR_MARS: return mars(&m->mars, p, f, prefix, name);
    case OT_PREDICTOR_BOOST: return boost(&m->boost, p, f, prefix, name);
    case OT_PREDICTOR_RIDGE:
    case OT_PREDICTORS: break;
    }
    TAKE(intercept, prefix, "ridge.intercept", F64, 1);
    m->ridge.intercept = *intercept;
    TAKE(m->ridge.coef, prefix, "ridge.coef", F64, p);
    return OT_OK;
}

static ot_status screen(ot_screen *s, int p, ot_floor *f, const char *prefix, const char *name)
{
    char          key[32];
    const char   *kind;
    const double *threshold = NULL;
    int64_t       dims[1] = {-1};
    snprintf(key, sizeof key, "%s.screen", prefix);
    OT_TRY(ot__recipe_text(&kind, f, key, name));
    ot_status st = ot_screen_parse(&s->kind, kind);
    if (st != OT_OK) return ot__fail_prefix(OT_E_FORMAT, "%s: ", name);
    OT_TRY(ot__recipe_take(&s->centre, f, prefix, "screen.centre", OT_DTYPE_F64, 1, dims, name));
    s->p = p, s->q = (int)dims[0];
    int pca = s->kind == OT_SCREEN_PCA_MCD;
    if (s->q < 1 || (pca ? s->q > p + 1 : s->q != p))
        OT_FAIL(OT_E_SHAPE, "%s: %s.screen.centre has %d numbers, want %s%d (%d features)", name, prefix, s->q, pca ? "1.." : "", pca ? p + 1 : p, p);
    TAKE(s->factor, prefix, "screen.factor", F64, s->q, s->q);
    TAKE(threshold, prefix, "screen.threshold", F64, 1);
    s->threshold = *threshold;
    snprintf(key, sizeof key, "%s.screen.middle", prefix);
    if (ot__recipe_has(f, key)) {
        TAKE(s->middle, prefix, "screen.middle", F64, p);
        TAKE(s->width, prefix, "screen.width", F64, p);
        for (int k = 0; k < p; k++)
            if (!(s->width[k] > 0)) OT_FAIL(OT_E_DATA, "%s: %s.screen.width[%d] = %g, want more than 0", name, prefix, k, s->width[k]);
    }
    if (pca) {
        TAKE(s->mean, prefix, "screen.mean", F64, p);
        TAKE(s->axes, prefix, "screen.axes", F64, s->q - 1, p);
    }
    OT_TRY(at_least(threshold, 1, 0, prefix, "screen.threshold", name));
    for (int i = 0; i < s->q; i++) {
        const double *row = s->factor + (int64_t)i * s->q;
        if (!(row[i] > 0)) OT_FAIL(OT_E_DATA, "%s: %s.screen.factor[%d][%d] = %g, want more than 0", name, prefix, i, i, row[i]);
        for (int j = i + 1; j < s->q; j++)
            if (row[j] != 0) OT_FAIL(OT_E_DATA, "%s: %s.screen.factor[%d][%d] = %g, want 0 above the diagonal", name, prefix, i, j, row[j]);
    }
    return OT_OK;
}

ot_status ot__recipe_judge(ot_judge *j, ot_floor *f, const char *prefix, const char *name)
{
    const double *interval = NULL, *error = NULL;
    OT_TRY(features(&j->features, f, prefix, name));
    OT_TRY(predictor(&j->predictor, j->features.p, f, prefix, name));
    OT_TRY(screen(&j->screen, j->features.p, f, prefix, name));
    TAKE(interval, prefix, "interval", F64, 2);
    TAKE(error, prefix, "error", F64, 3);
    j->low = interval[0], j->high = interval[1];
    j->rmse = error[0], j->sd = error[1], j->mean = error[2];
    if (j->low > j->high) OT_FAIL(OT_E_DATA, "%s: %s.interval is %g..%g, want the lower end first", name, prefix, j->low, j->high);
    return at_least(error, 2, 0, prefix, "error", name);
}

static ot_status cases(ot_cases *c, ot_mender kind, int p, ot_floor *f, const char *name)
{
    int64_t rows[2] = {-1, p}, clusters[1] = {-1};
    OT_TRY(ot__recipe_take(&c->x, f, "cases", "x", OT_DTYPE_F32, 2, rows, name));
    c->n = (int)rows[0], c->p = p, c->l = f->layout.relus;
    if (c->n < 1) OT_FAIL(OT_E_SHAPE, "%s: the casebook is empty, want 1 chip or more", name);
    TAKE(c->gain, "cases", "gain", F32, c->n, c->l);
    TAKE(c->offset, "cases", "offset", F32, c->n, c->l);
    for (int64_t i = 0; i < (int64_t)c->n * c->l; i++)
        if (!(c->gain[i] >= 0.015625f))
            OT_FAIL(OT_E_DATA, "%s: cases.gain[%lld][%lld] = %g, want 1/64 or more", name, (long long)(i / c->l), (long long)(i % c->l), (double)c->gain[i]);
    if (kind != OT_MENDER_LEARNED && !ot__recipe_has(f, "cases.medoid")) return OT_OK;
    TAKE(c->label, "cases", "label", I32, c->n);
    OT_TRY(ot__recipe_take(&c->medoid, f, "cases", "medoid", OT_DTYPE_I32, 1, clusters, name));
    c->clusters = (int)clusters[0];
    if (c->clusters < 1) OT_FAIL(OT_E_SHAPE, "%s: cases.medoid is empty, want 1 cluster or more", name);
    OT_TRY(within(c->label, c->n, 0, c->clusters - 1, "cases", "label", name));
    OT_TRY(within(c->medoid, c->clusters, 0, c->n - 1, "cases", "medoid", name));
    for (int m = 0; m < c->clusters; m++)
        if (c->label[c->medoid[m]] != m)
            OT_FAIL(OT_E_FORMAT, "%s: cases.medoid[%d] is chip %d of cluster %d, want one of its own", name, m, c->medoid[m], c->label[c->medoid[m]]);
    return OT_OK;
}

static ot_status moments(ot_moments *m, ot_floor *f, const char *name)
{
    m->l = f->layout.relus;
    m->knobs = f->mending.knobs;
    TAKE(m->mean, "moments", "mean", F64, m->l);
    TAKE(m->sd, "moments", "sd", F64, m->l);
    TAKE(m->mean_at, "moments", "mean_at", I32, m->l);
    TAKE(m->sd_at, "moments", "sd_at", I32, m->l);
    OT_TRY(at_least(m->sd, m->l, 0, "moments", "sd", name));
    OT_TRY(within(m->mean_at, m->l, 0, f->layout.length - 1, "moments", "mean_at", name));
    return within(m->sd_at, m->l, 0, f->layout.length - 1, "moments", "sd_at", name);
}

/* A recipe that says nothing of its knobs is of a network with ReLU layers. */
static ot_status knobs(ot_mending *m, ot_floor *f, const char *name)
{
    const char   *kind = ot_floor_text(f, "knobs");
    const double *v = NULL;
    if (kind && ot_knob_kind_parse(&m->knobs, kind) != OT_OK) return ot__fail_prefix(OT_E_FORMAT, "%s: ", name);
    if (m->knobs == OT_KNOBS_GAIN_OFFSET || !ot__recipe_has(f, "ladder")) return OT_OK;
    TAKE(v, "", "ladder", F64, 3);
    m->ladder = (ot_ladder){.bits = v[0] >= 1 && v[0] <= 16 ? (int)v[0] : -1, .low = v[1], .high = v[2]};
    if (m->ladder.bits != v[0] || !ot_ladder_fits(&m->ladder))
        OT_FAIL(OT_E_DATA, "%s: ladder of %g bits from %g to %g, want 1..16 bits and levels that rise, 1/64 or more", name, v[0], v[1], v[2]);
    return OT_OK;
}

ot_status ot__recipe_mending(ot_mending *m, ot_floor *f, const char *name)
{
    const char *kind;
    int         p = f->judge[OT_FLOOR_BEFORE].features.p;
    OT_TRY(ot__recipe_text(&kind, f, "mender", name));
    ot_status st = ot_mender_parse(&m->kind, kind);
    if (st != OT_OK) return ot__fail_prefix(OT_E_FORMAT, "%s: ", name);
    OT_TRY(knobs(m, f, name));
    int looks = m->kind == OT_MENDER_LEARNED || m->kind == OT_MENDER_NEAREST || m->kind == OT_MENDER_KNN;
    if (looks && !ot__recipe_has(f, "cases.x")) OT_FAIL(OT_E_SHAPE, "%s: the casebook is empty, the mender '%s' looks in one", name, kind);
    if (ot__recipe_has(f, "cases.x")) OT_TRY(cases(&m->cases, m->kind, p, f, name));
    if (m->kind == OT_MENDER_KNN) {
        OT_TRY(ot__recipe_count(&m->k, f, "mender.k", 1, name));
        if (m->k > m->cases.n) OT_FAIL(OT_E_FORMAT, "%s: mender.k = %d in a casebook of %d chips", name, m->k, m->cases.n);
    }
    if (m->kind == OT_MENDER_RIDGE) {
        m->ridge.l = f->layout.relus, m->ridge.p = p;
        TAKE(m->ridge.coef, "mender", "ridge.coef", F64, 2 * (int64_t)f->layout.relus, p);
        TAKE(m->ridge.intercept, "mender", "ridge.intercept", F64, 2 * (int64_t)f->layout.relus);
    }
    return m->kind == OT_MENDER_MOMENTS ? moments(&m->moments, f, name) : OT_OK;
}

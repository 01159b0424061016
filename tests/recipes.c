/* recipes.c - see recipes.h. */
#include "tests/recipes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double uniform(recipe_made *m)                     /* splitmix64, 0..1 */
{
    uint64_t z = (m->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double spread(recipe_made *m) { return 2 * uniform(m) - 1; }
float         recipe_uniform(recipe_made *m) { return (float)spread(m); }

static void *block(recipe_made *m, size_t count, size_t size)
{
    void *p = ot_alloc(count, size);
    if (!p || m->n == (int)(sizeof m->block / sizeof *m->block)) abort();
    return m->block[m->n++] = p;
}

static double *doubles(recipe_made *m, int64_t n, double centre, double width)
{
    double *v = block(m, (size_t)n, sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = centre + width * spread(m);
    return v;
}

static float *floats(recipe_made *m, int64_t n, double centre, double width)
{
    float *v = block(m, (size_t)n, sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = (float)(centre + width * spread(m));
    return v;
}

static int32_t *ints(recipe_made *m, int n) { return block(m, (size_t)n, sizeof(int32_t)); }

static void features(recipe_made *m, ot_features *f, int s, int p)
{
    int32_t *feature = ints(m, p);
    for (int k = 0; k < p; k++) feature[k] = (int32_t)((int64_t)k * s / p);
    *f = (ot_features){.s = s, .p = p, .feature = feature, .mean = doubles(m, p, 0.3, 0.2), .sd = doubles(m, p, 0.5, 0.2)};
}

static void mars(recipe_made *m, ot_mars *g, int p)
{
    int      terms = 2 * p < 61 ? 2 * p + 1 : 61, hinges = 0;
    int32_t *start = ints(m, terms + 1), *feature = ints(m, 2 * terms), *dir = ints(m, 2 * terms);
    for (int t = 0; t < terms; t++) {
        start[t] = hinges;
        for (int j = 0; t && j < 1 + t % 2; j++) {        /* the constant, then products of one and of two */
            feature[hinges] = (int32_t)(uniform(m) * p);
            dir[hinges++] = (int32_t[]){1, -1, 2}[(t + j) % 3];
        }
    }
    start[terms] = hinges;
    *g = (ot_mars){.terms = terms, .hinges = hinges, .coef = doubles(m, terms, 0, 0.02), .start = start, .feature = feature, .dir = dir,
                   .cut = doubles(m, hinges, 0, 1)};
}

static void boost(recipe_made *m, ot_boost *g, int p)
{
    enum { NODES = 15 };                                  /* depth 3 */
    int      trees = p < 10 ? 5 : 100;
    int32_t *root = ints(m, trees), *feature = ints(m, trees * NODES), *left = ints(m, trees * NODES);
    double  *value = doubles(m, trees * NODES, 0, 1);
    for (int t = 0; t < trees; t++) {
        root[t] = t * NODES;
        for (int i = 0; i < NODES; i++) {
            int at = t * NODES + i;
            feature[at] = i < 7 ? (int32_t)(uniform(m) * p) : -1;
            left[at] = i < 7 ? t * NODES + 2 * i + 1 : -1;
            if (i >= 7) value[at] *= 0.01;
        }
    }
    *g = (ot_boost){.trees = trees, .nodes = trees * NODES, .init = 0.8, .rate = 0.1, .root = root, .feature = feature, .left = left, .value = value};
}

static void screen(recipe_made *m, ot_screen *s, ot_screen_kind kind, int p)
{
    int     pca = kind == OT_SCREEN_PCA_MCD, q = pca ? (p < 5 ? p : 5) + 1 : p;
    double *factor = doubles(m, (int64_t)q * q, 0, 0.3 / sqrt(q));
    for (int i = 0; i < q; i++)
        for (int j = i; j < q; j++) factor[(int64_t)i * q + j] = i == j ? 1 + 0.5 * uniform(m) : 0;
    *s = (ot_screen){.kind = kind, .p = p, .q = q, .centre = doubles(m, q, 0, 0.2), .factor = factor, .threshold = 4.0 * q};
    if (p % 2) {                                          /* some bend their numbers */
        double *width = doubles(m, p, 0, 0);
        for (int k = 0; k < p; k++) width[k] = 0.2 + uniform(m);
        s->middle = doubles(m, p, 0, 0.1), s->width = width;
    }
    if (!pca) return;
    double *axes = doubles(m, (int64_t)(q - 1) * p, 0, 1);
    for (int a = 0; a < q - 1; a++) {                     /* Gram-Schmidt */
        double *row = axes + (int64_t)a * p, norm = 0;
        for (int b = 0; b < a; b++) {
            double dot = 0;
            for (int k = 0; k < p; k++) dot += row[k] * axes[(int64_t)b * p + k];
            for (int k = 0; k < p; k++) row[k] -= dot * axes[(int64_t)b * p + k];
        }
        for (int k = 0; k < p; k++) norm += row[k] * row[k];
        for (int k = 0; k < p; k++) row[k] /= sqrt(norm);
    }
    s->axes = axes;
    s->mean = doubles(m, p, 0, 0.1);
}

static void judge(recipe_made *m, ot_judge *j, const recipe_plan *plan, int s, int p)
{
    features(m, &j->features, s, p);
    j->predictor = (ot_predictor){.kind = plan->predictor, .p = p};
    if (p % 3 == 0) j->predictor.holds = 1, j->predictor.least = 0.7, j->predictor.most = 0.85;      /* some stay inside a range */
    switch (plan->predictor) {
    case OT_PREDICTOR_MARS: mars(m, &j->predictor.mars, p); break;
    case OT_PREDICTOR_BOOST: boost(m, &j->predictor.boost, p); break;
    case OT_PREDICTOR_RIDGE:
    case OT_PREDICTORS: j->predictor.ridge = (ot_ridge){.intercept = 0.8, .coef = doubles(m, p, 0, 0.1 / p)}; break;
    }
    screen(m, &j->screen, plan->screen, p);
    j->low = -0.02, j->high = 0.015, j->rmse = 0.01, j->sd = 0.0099, j->mean = -0.001;
}

static void cases(recipe_made *m, ot_cases *c, const recipe_plan *plan, int p)
{
    int32_t *label = ints(m, plan->cases), *medoid = ints(m, plan->clusters);
    for (int i = 0; i < plan->cases; i++) label[i] = i % plan->clusters;
    for (int i = 0; i < plan->clusters; i++) medoid[i] = i;
    *c = (ot_cases){.n = plan->cases, .p = p, .l = plan->relus, .clusters = plan->clusters, .label = label, .medoid = medoid};
    c->x = floats(m, (int64_t)plan->cases * p, 0, 1.7);
    c->gain = floats(m, (int64_t)plan->cases * plan->relus, 1, 0.2);
    c->offset = floats(m, (int64_t)plan->cases * plan->relus, 0, 0.1);
}

static void mending(recipe_made *m, ot_mending *out, const recipe_plan *plan, int s, int p)
{
    int l = plan->relus;
    out->kind = plan->mender;
    if (plan->cases) cases(m, &out->cases, plan, p);
    if (plan->mender == OT_MENDER_KNN) out->k = plan->cases < 5 ? plan->cases : 5;
    if (plan->mender == OT_MENDER_RIDGE) {
        double *intercept = doubles(m, 2 * (int64_t)l, 0, 0.1);
        for (int i = 0; i < l; i++) intercept[i] += 1;
        out->ridge = (ot_ridge_knobs){.l = l, .p = p, .coef = doubles(m, 2 * (int64_t)l * p, 0, 0.1 / p), .intercept = intercept};
    }
    if (plan->mender == OT_MENDER_MOMENTS) {
        int32_t *mean_at = ints(m, l), *sd_at = ints(m, l);
        for (int i = 0; i < l; i++) mean_at[i] = s - 2 * l + i, sd_at[i] = s - l + i;
        out->moments = (ot_moments){.l = l, .mean = doubles(m, l, 0, 0.5), .sd = doubles(m, l, 1, 0.3), .mean_at = mean_at, .sd_at = sd_at};
    }
}

void recipe_make(recipe_made *m, const recipe_plan *plan)
{
    *m = (recipe_made){.state = plan->seed};
    ot_recipe *r = &m->r;
    r->layout = (ot_layout){plan->signature, plan->images, plan->relus, plan->classes, 0};
    r->layout.length = ot_layout_length(&r->layout);
    int s = r->layout.length, p = plan->features ? plan->features : s;
    judge(m, &r->before, plan, s, p);
    if (plan->after) judge(m, &r->after, plan, s, p > 1 ? p - 1 : 1);
    r->has_after = plan->after;
    r->rule = (ot_rule){.kind = (ot_rule_kind)(plan->seed % OT_RULES), .cutoff = 0.8, .guard = 0.01, .k = 1, .escape = 0.01};
    mending(m, &r->mending, plan, s, p);
    r->network = "made by hand";
    r->network_sha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    r->commit = "none";
    if (!plan->stimulus) return;
    uint8_t     *pixels = block(m, (size_t)plan->images * 12, 1);
    const char **source = block(m, (size_t)plan->images, sizeof *source);
    for (int i = 0; i < plan->images * 12; i++) pixels[i] = (uint8_t)(uniform(m) * 256);
    for (int i = 0; i < plan->images; i++) {
        char *line = block(m, 40, 1);
        strcpy(line, "random pixels, \"image\" \t?");
        line[24] = (char)('0' + i % 10);
        source[i] = line;
    }
    r->stimulus = pixels, r->c = 3, r->h = 2, r->w = 2;
    r->source = source;
}

void recipe_signature(recipe_made *m, float *signature)
{
    for (int i = 0; i < m->r.layout.length; i++) signature[i] = (float)(0.3 + 0.5 * spread(m));
}

void recipe_unmake(recipe_made *m)
{
    for (int i = 0; i < m->n; i++) ot_free(m->block[i]);
    *m = (recipe_made){0};
}

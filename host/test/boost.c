/* boost.c - gradient boosting of least squares: each tree is fitted to what the trees before it left over.
 *
 * A tree grows level by level.  Columns are sorted once; a node owns a stretch [from, to) of every column's list of rows, and a split
 * parts each stretch without disturbing its order, so that a cut is found by one walk with a running sum:
 *
 *     feature 0   | node 1: rows ascending in x0 | node 2 .. |
 *     feature 1   | node 1: the same rows by x1  | node 2 .. |
 *
 *     gain(cut) = (n_left S - n S_left)^2 / (n_left n_right),    S the sum of residuals: n^2 times what the split takes off the squares
 *
 * The rules are scikit-learn's: neighbours are parted only where their values, rounded to float, are more than 1e-7 apart; the threshold is
 * half-way; a node with as good as no spread stays a leaf.  Where scikit-learn lets chance order the features, here the lowest wins, and
 * gains that differ by rounding (1e-12) are equal: features that part the rows alike must tie whatever the order of their sums.
 * Threads share the features, so their number changes nothing. */
#include "test/learner.h"
#include "base/fail.h"

#include <math.h>
#include <string.h>

static const double SLACK = 1e-12;

typedef struct node {
    int    from, to;                        /* its stretch of every list */
    int    id;                              /* in the model */
    double sum;                             /* of residuals */
    int    feature, cut, parted;            /* best split: rows from .. cut - 1 go left; 1: it is split */
} node;

typedef struct growth {
    const ot__rows *rows;
    int      n, p;
    int32_t *base, *list, *spare;           /* (p, n) sorted once; parted by node; (threads, n) */
    float   *x;                             /* (p, n) by row, as float */
    double  *fitted, *residual;             /* (n) */
    double  *gain;                          /* (width, p) best of each feature and node, -1: none */
    int     *cut;                           /* (width, p) */
    uint8_t *left;                          /* (n) does the row go left? */
    node    *level, *next;                  /* (width) */
    int      nodes;                         /* in level */
    double   least;                         /* spread that a node must have to be split */
} growth;

/* The model while it grows. */
typedef struct forest {
    int      nodes, room;
    int32_t *root, *feature, *left;
    double  *value;
} forest;

static ot_status room_for(forest *f, int more)
{
    if (f->nodes + more <= f->room) return OT_OK;
    int      room = 2 * f->room + more;
    int32_t *feature = ot_realloc(f->feature, (size_t)room, sizeof *feature);
    if (feature) f->feature = feature;
    int32_t *left = ot_realloc(f->left, (size_t)room, sizeof *left);
    if (left) f->left = left;
    double  *value = ot_realloc(f->value, (size_t)room, sizeof *value);
    if (value) f->value = value;
    if (!feature || !left || !value) OT_FAIL(OT_E_NOMEM, "boosting: no memory for %d nodes", room);
    f->room = room;
    return OT_OK;
}

static int leaf(forest *f, double value)
{
    f->feature[f->nodes] = -1;
    f->value[f->nodes] = value;
    return f->nodes++;
}

/* -- Splitting ----------------------------------------------------------------------------------------------------- */

static void best_cut(growth *g, const node *v, int j, double *gain, int *cut)
{
    const int32_t *list = g->list + (size_t)j * (size_t)g->n;
    const float   *x = g->x + (size_t)j * (size_t)g->n;
    double         s = 0, best = 0, n = v->to - v->from;
    float          above, here = x[list[v->from]];
    *gain = -1;
    for (int i = v->from; i + 1 < v->to; i++, here = above) {
        s += g->residual[list[i]];
        above = x[list[i + 1]];
        if (!(above > here + 1e-7f)) continue;
        double k = i + 1 - v->from, d = k * v->sum - n * s, both = k * (n - k);
        if (d * d > best * both && d * d / both > best) {              /* a product where nothing is gained, a quotient where it is */
            best = *gain = d * d / both;
            *cut = i + 1;
        }
    }
}

/* Parts one list by the splits of the level before; the two of a split lie side by side. */
static void part(const growth *g, int32_t *list, int32_t *spare)
{
    for (int v = 0; v + 1 < g->nodes; v += 2) {
        int a = g->level[v].from, b = 0;
        for (int i = a, to = g->level[v + 1].to; i < to; i++)
            if (g->left[list[i]]) list[a++] = list[i];
            else spare[b++] = list[i];
        memcpy(list + a, spare, (size_t)b * sizeof *list);
    }
}

/* A thread's features: parts their lists by the splits of the level before, then finds the best cut of each node. */
static ot_status cut_share(void *user, int job)
{
    growth  *g = user;
    int32_t *spare = g->spare + (size_t)job * (size_t)g->n;
    for (int j = job; j < g->p; j += g->rows->threads) {
        int32_t *list = g->list + (size_t)j * (size_t)g->n;
        part(g, list, spare);
        for (int v = 0; v < g->nodes; v++) {
            double *gain = &g->gain[(size_t)v * (size_t)g->p + (size_t)j];
            *gain = -1;
            if (g->level[v].parted) best_cut(g, &g->level[v], j, gain, &g->cut[(size_t)v * (size_t)g->p + (size_t)j]);
        }
    }
    return OT_OK;
}

/* Sum and spread of a node, in the order of column 0's list. */
static double describe(const growth *g, node *v)
{
    double mean, square = 0, n = v->to - v->from;
    v->sum = 0;
    for (int i = v->from; i < v->to; i++) v->sum += g->residual[g->list[i]];
    mean = v->sum / n;
    for (int i = v->from; i < v->to; i++) square += (g->residual[g->list[i]] - mean) * (g->residual[g->list[i]] - mean);
    return square / n;
}

/* The lowest feature whose gain is the greatest but for rounding. */
static void choose(const growth *g, node *v, const double *gain, const int *cut)
{
    double most = 0;
    for (int j = 0; j < g->p; j++) most = gain[j] > most ? gain[j] : most;
    v->parted = 0;
    for (int j = 0; j < g->p && most > 0; j++) {
        if (!(gain[j] >= most * (1 - SLACK))) continue;
        v->feature = j;
        v->cut = cut[j];
        v->parted = 1;
        return;
    }
}

static double threshold(const growth *g, const node *v)
{
    const int32_t *list = g->list + (size_t)v->feature * (size_t)g->n;
    double a = g->rows->x[(size_t)list[v->cut - 1] * (size_t)g->p + (size_t)v->feature];
    double b = g->rows->x[(size_t)list[v->cut] * (size_t)g->p + (size_t)v->feature], middle = a / 2 + b / 2;
    return middle == b ? a : middle;
}

/* -- A tree -------------------------------------------------------------------------------------------------------- */

static void settle(growth *g, forest *f, const node *v)
{
    double value = f->value[v->id] = v->sum / (v->to - v->from), step = g->rows->opt->rate * value;
    for (int i = v->from; i < v->to; i++) g->fitted[g->list[i]] += step;
}

/* Splits the nodes of a level into the next one; leaves take their part of the fit.  Rows are told apart before lists are parted. */
static void descend(growth *g, forest *f)
{
    int made = 0;
    for (int k = 0; k < g->nodes; k++) {
        node *v = &g->level[k];
        if (v->parted) choose(g, v, g->gain + (size_t)k * (size_t)g->p, g->cut + (size_t)k * (size_t)g->p);
        if (!v->parted) {
            settle(g, f, v);
            continue;
        }
        const int32_t *list = g->list + (size_t)v->feature * (size_t)g->n;
        for (int i = v->from; i < v->to; i++) g->left[list[i]] = i < v->cut;
        f->feature[v->id] = v->feature;
        f->value[v->id] = threshold(g, v);
        g->next[made] = (node){.from = v->from, .to = v->cut, .id = leaf(f, 0)};
        g->next[made + 1] = (node){.from = v->cut, .to = v->to, .id = leaf(f, 0)};
        f->left[v->id] = g->next[made].id;
        made += 2;
    }
    node *t = g->level;
    g->level = g->next;
    g->next = t;
    g->nodes = made;
}

static ot_status grow(growth *g, forest *f)
{
    int depth = g->rows->opt->depth;
    memcpy(g->list, g->base, (size_t)g->p * (size_t)g->n * sizeof *g->list);
    g->level[0] = (node){.from = 0, .to = g->n, .id = leaf(f, 0)};
    g->nodes = 1;
    for (int d = 0; g->nodes; d++) {
        OT_TRY(room_for(f, 2 * g->nodes));
        part(g, g->list, g->spare);                                    /* column 0 first: it tells a node's rows and sum */
        if (d == depth) {
            for (int k = 0; k < g->nodes; k++) describe(g, &g->level[k]), settle(g, f, &g->level[k]);
            break;
        }
        for (int k = 0; k < g->nodes; k++) {
            node *v = &g->level[k];
            double spread = describe(g, v);
            v->parted = v->to - v->from >= 2 && spread > g->least;
        }
        OT_TRY(ot__pool_run(g->rows->pool, g->rows->threads, cut_share, g));
        descend(g, f);
    }
    return OT_OK;
}

/* -- All trees ----------------------------------------------------------------------------------------------------- */

static ot_status growth_open(growth *g)
{
    size_t n = (size_t)g->n, p = (size_t)g->p, width = 1;
    for (int d = 0; d < g->rows->opt->depth && width < n; d++) width *= 2;
    g->base = ot_alloc(p * n, sizeof *g->base);
    g->list = ot_alloc(p * n, sizeof *g->list);
    g->spare = ot_alloc((size_t)g->rows->threads * n, sizeof *g->spare);
    g->x = ot_alloc(p * n, sizeof *g->x);
    g->fitted = ot_alloc(2 * n, sizeof *g->fitted);
    g->gain = ot_alloc(width * p, sizeof *g->gain);
    g->cut = ot_alloc(width * p, sizeof *g->cut);
    g->left = ot_alloc(n, sizeof *g->left);
    g->level = ot_alloc(width, sizeof *g->level);
    g->next = ot_alloc(width, sizeof *g->next);
    if (!g->base || !g->list || !g->spare || !g->x || !g->fitted || !g->gain || !g->cut || !g->left || !g->level || !g->next)
        OT_FAIL(OT_E_NOMEM, "boosting: no memory for %d rows of %d features", g->n, g->p);
    g->residual = g->fitted + n;
    for (size_t j = 0; j < p; j++)
        for (size_t i = 0; i < n; i++) g->x[j * n + i] = (float)g->rows->x[i * p + j];
    return ot__sort_columns(g->base, NULL, g->rows);
}

static void growth_close(growth *g)
{
    ot_free(g->next);
    ot_free(g->level);
    ot_free(g->left);
    ot_free(g->cut);
    ot_free(g->gain);
    ot_free(g->fitted);
    ot_free(g->x);
    ot_free(g->spare);
    ot_free(g->list);
    ot_free(g->base);
}

static ot_status pack(ot_predictor *out, const forest *f, const ot__rows *rows, double init)
{
    size_t  trees = (size_t)rows->opt->trees, nodes = (size_t)f->nodes, bytes = nodes * sizeof(double) + (trees + 2 * nodes) * sizeof(int32_t);
    double *value = ot_alloc(bytes, 1);
    if (!value) OT_NOMEM("boosting", bytes);
    int32_t *root = (int32_t *)(value + nodes), *feature = root + trees, *left = feature + nodes;
    memcpy(value, f->value, nodes * sizeof *value);
    memcpy(root, f->root, trees * sizeof *root);
    memcpy(feature, f->feature, nodes * sizeof *feature);
    memcpy(left, f->left, nodes * sizeof *left);
    *out = (ot_predictor){.kind = OT_PREDICTOR_BOOST, .p = rows->p, .memory = value};
    out->boost = (ot_boost){.trees = rows->opt->trees, .nodes = f->nodes, .init = init, .rate = rows->opt->rate,
                            .root = root, .feature = feature, .left = left, .value = value};
    return OT_OK;
}

ot_status ot__boost_fit(ot_predictor *out, const ot__rows *rows)
{
    growth    g = {.rows = rows, .n = rows->n, .p = rows->p};
    forest    f = {.root = ot_alloc((size_t)rows->opt->trees, sizeof *f.root)};
    double    init = ot__mean(rows->y, rows->n), square = 0;
    ot_status st = OT_OK;
    if (!f.root) OT_FAIL_TO(done, st, OT_E_NOMEM, "boosting: no memory for %d trees", rows->opt->trees);
    OT_TRY_TO(done, st, growth_open(&g));
    for (int i = 0; i < g.n; i++) g.fitted[i] = init, square += (rows->y[i] - init) * (rows->y[i] - init);
    g.least = 0x1p-52 * square / g.n;
    for (int t = 0; t < rows->opt->trees; t++) {
        for (int i = 0; i < g.n; i++) g.residual[i] = rows->y[i] - g.fitted[i];
        OT_TRY_TO(done, st, room_for(&f, 1));
        f.root[t] = f.nodes;
        OT_TRY_TO(done, st, grow(&g, &f));
    }
    OT_TRY_TO(done, st, pack(out, &f, rows, init));
done:
    growth_close(&g);
    ot_free(f.value);
    ot_free(f.left);
    ot_free(f.feature);
    ot_free(f.root);
    return st;
}

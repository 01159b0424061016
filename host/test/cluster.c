/* cluster.c - agglomerative clustering by the nearest-neighbour chain.
 *
 * Start anywhere and walk: a point, its nearest neighbour, that one's nearest neighbour, ...  Distances along the walk shrink, so it
 * ends in two clusters that are nearest to each other; for the linkages here (Ward, average, complete) such a pair may be merged at
 * once, whatever happens elsewhere (Murtagh 1985).  What is left of the walk stays valid.  That is n^2 time and no search for the
 * global minimum.  Merges come out of order, so they are sorted by height and renumbered as scipy does: node n + i is made by merge i.
 *
 * The distance of a merged cluster IJ to K follows from those of I and J (Lance and Williams); Ward works on squared distances and
 * reports their square root (scipy, R's ward.D2).
 *
 *     distances: the upper triangle, n (n - 1) / 2 doubles; a merged pair lives on in the larger of its two slots. */
#include "test/distance.h"
#include "base/fail.h"

#include <math.h>
#include <stdlib.h>

double ot__squared_distance(const double *x, const double *y, int p)
{
    double s = 0;
    for (int k = 0; k < p; k++) s += (x[k] - y[k]) * (x[k] - y[k]);
    return s;
}

ot_status ot__distances(double **out, const double *points, int n, int p)
{
    if (!(n >= 1 && p >= 0)) OT_FAIL(OT_E_RANGE, "clustering: %d points of %d numbers, want at least 1 point", n, p);
    for (size_t i = 0; i < (size_t)n * (size_t)p; i++)
        if (!isfinite(points[i]))
            OT_FAIL(OT_E_DATA, "clustering: number %zu of point %zu is %g, want a finite number", i % (size_t)p, i / (size_t)p, points[i]);
    size_t pairs = (size_t)n * (size_t)(n - 1) / 2;
    double *d = ot_alloc(pairs, sizeof *d);
    if (!d) OT_NOMEM("clustering", pairs * sizeof *d);
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++) {
            double s = ot__squared_distance(points + (size_t)i * (size_t)p, points + (size_t)j * (size_t)p, p);
            if (!(s < 1e280)) {                         /* room for Ward's weighted sums */
                ot_free(d);
                OT_FAIL(OT_E_DATA, "clustering: points %d and %d are %g apart, want less than 1e140", i, j, sqrt(s));
            }
            d[ot__pair(n, i, j)] = sqrt(s);
        }
    *out = d;
    return OT_OK;
}

static int by_height(const void *pa, const void *pb)
{
    const raw_merge *a = pa, *b = pb;
    if (a->height != b->height) return a->height < b->height ? -1 : 1;
    return a->order - b->order;                         /* stable */
}

#define REAL double
#include "test/cluster_chain.h"

static int root(int *parent, int i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

ot_status ot__cluster_number(ot_merge *merges, raw_merge *raw, int n)
{
    int *work = ot_alloc(3 * (size_t)n, sizeof *work), *parent = work, *node = work + n, *size = work + 2 * (size_t)n;
    if (!work) OT_NOMEM("clustering", 3 * (size_t)n * sizeof *work);
    qsort(raw, (size_t)(n - 1), sizeof *raw, by_height);
    for (int i = 0; i < n; i++) { parent[i] = node[i] = i; size[i] = 1; }
    for (int m = 0; m < n - 1; m++) {
        int a = root(parent, raw[m].a), b = root(parent, raw[m].b), na = node[a], nb = node[b];
        merges[m] = (ot_merge){na < nb ? na : nb, na < nb ? nb : na, size[a] + size[b], raw[m].height};
        parent[b] = a;
        node[a] = n + m;
        size[a] += size[b];
    }
    ot_free(work);
    return OT_OK;
}

ot_status ot__cluster_tree(ot_merge *merges, double *d, int n, ot_linkage linkage)
{
    ot_status  st = OT_OK;
    raw_merge *raw = ot_alloc((size_t)(n - 1), sizeof *raw);
    int       *size = ot_alloc(3 * (size_t)n, sizeof *size);
    if (!raw || !size) OT_FAIL_TO(done, st, OT_E_NOMEM, "clustering: no memory for the tree of %d points", n);
    if (linkage == OT_WARD)
        for (size_t i = 0; i < (size_t)n * (size_t)(n - 1) / 2; i++) d[i] *= d[i];
    for (int i = 0; i < n; i++) size[i] = 1;
    chain(raw, d, n, linkage, size, size + n);
    st = ot__cluster_number(merges, raw, n);
done:
    ot_free(raw);
    ot_free(size);
    return st;
}

ot_status ot_cluster_tree(ot_merge *merges, const double *points, int n, int p, ot_linkage linkage)
{
    double *d = NULL;
    if (linkage != OT_WARD && linkage != OT_AVERAGE && linkage != OT_COMPLETE)
        OT_FAIL(OT_E_RANGE, "clustering: linkage %d, want ward, average or complete", (int)linkage);
    OT_TRY(ot__distances(&d, points, n, p));
    ot_status st = ot__cluster_tree(merges, d, n, linkage);
    ot_free(d);
    return st;
}

/* label[] first holds links towards each cluster's lowest point, which are always to lower points, then numbers them in order. */
void ot_cluster_cut(int *label, const ot_merge *merges, int n, int clusters)
{
    for (int i = 0; i < n; i++) label[i] = i;
    for (int m = 0; m < n - clusters; m++) {
        int a = merges[m].a, b = merges[m].b;
        while (a >= n) a = merges[a - n].a;             /* any point of it */
        while (b >= n) b = merges[b - n].a;
        a = root(label, a);
        b = root(label, b);
        label[a > b ? a : b] = a > b ? b : a;
    }
    for (int i = 0, next = 0; i < n; i++) label[i] = label[i] == i ? next++ : label[label[i]];
}

void ot__cluster_medoids(int *medoid, const double *d, int n, const int *label, int clusters)
{
    for (int c = 0; c < clusters; c++) {
        double least = INFINITY;
        medoid[c] = -1;
        for (int i = 0; i < n; i++) {
            if (label[i] != c) continue;
            double sum = 0;
            for (int j = 0; j < n; j++)
                if (label[j] == c) sum += ot__pair_get(d, n, i, j);
            if (medoid[c] < 0 || sum < least * (1 - 1e-12)) {          /* sums of square roots: nearer than rounding is a tie */
                least = sum;
                medoid[c] = i;
            }
        }
    }
}

double ot__cluster_silhouette(const double *d, int n, const int *label, int clusters, double *sums, int *sizes)
{
    double total = 0;
    for (int c = 0; c < clusters; c++) sizes[c] = 0;
    for (int i = 0; i < n; i++) sizes[label[i]]++;
    for (int i = 0; i < n; i++) {
        if (sizes[label[i]] == 1) continue;
        for (int c = 0; c < clusters; c++) sums[c] = 0;
        for (int j = 0; j < n; j++) sums[label[j]] += ot__pair_get(d, n, i, j);
        double own = sums[label[i]] / (sizes[label[i]] - 1), other = INFINITY;
        for (int c = 0; c < clusters; c++)
            if (c != label[i] && sizes[c] && sums[c] / sizes[c] < other) other = sums[c] / sizes[c];
        double most = own > other ? own : other;
        if (most > 0) total += (other - own) / most;
    }
    return total / n;
}

static ot_status check_labels(const int *label, int n, int clusters, int least)
{
    if (!(clusters >= least && clusters <= n)) OT_FAIL(OT_E_RANGE, "clusters = %d, want %d..%d (the points)", clusters, least, n);
    for (int i = 0; i < n; i++)
        if (label[i] < 0 || label[i] >= clusters) OT_FAIL(OT_E_RANGE, "label of point %d = %d, want 0..%d", i, label[i], clusters - 1);
    return OT_OK;
}

ot_status ot_cluster_medoids(int *medoid, const double *points, int n, int p, const int *label, int clusters)
{
    double *d = NULL;
    OT_TRY(check_labels(label, n, clusters, 1));
    OT_TRY(ot__distances(&d, points, n, p));
    ot__cluster_medoids(medoid, d, n, label, clusters);
    ot_free(d);
    return OT_OK;
}

ot_status ot_cluster_silhouette(double *out, const double *points, int n, int p, const int *label, int clusters)
{
    double *d = NULL, *sums = NULL;
    int    *sizes = NULL;
    ot_status st = OT_OK;
    OT_TRY(check_labels(label, n, clusters, 2));
    OT_TRY(ot__distances(&d, points, n, p));
    sums = ot_alloc((size_t)clusters, sizeof *sums);
    sizes = ot_alloc((size_t)clusters, sizeof *sizes);
    if (!sums || !sizes) OT_FAIL_TO(done, st, OT_E_NOMEM, "silhouette: no memory for %d clusters", clusters);
    *out = ot__cluster_silhouette(d, n, label, clusters, sums, sizes);
done:
    ot_free(sizes);
    ot_free(sums);
    ot_free(d);
    return st;
}

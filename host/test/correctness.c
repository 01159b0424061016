/* correctness.c - which chips answer which image rightly, as bits; the tree of images by it; medoids.
 *
 * The squared Euclidean distance of two vectors of bits is their Hamming distance: an exclusive or and a count.  The distances of all pairs of
 * images, once, as float32: 10,000 images are 200 MB.  Images with equal vectors - those that every chip gets right, above all - are one point with
 * a weight (exact for all three linkages), which is the better part of them where chips are good.
 *
 *     Ward, weights s and t:  d2(i, j) = 2 s t / (s + t) Hamming(i, j)         else: d = sqrt(Hamming) */
#include "ohmtrim/select.h"

#include "base/fail.h"
#include "test/distance.h"
#include "train/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REAL float
#include "test/cluster_chain.h"

static const char *const linkages[] = {"ward", "average", "complete"};
const char *ot_linkage_name(ot_linkage linkage) { return (unsigned)linkage <= OT_COMPLETE ? linkages[linkage] : "?"; }

ot_status ot_linkage_parse(ot_linkage *out, const char *name)
{
    for (int i = 0; i <= OT_COMPLETE; i++)
        if (!strcmp(name, linkages[i])) {
            *out = (ot_linkage)i;
            return OT_OK;
        }
    OT_FAIL(OT_E_USAGE, "linkage '%s' is not known, want ward, average or complete", name);
}

ot_status ot_correctness_make(ot_correctness **out, int images, int chips)
{
    if (images < 1 || chips < 1) OT_FAIL(OT_E_RANGE, "correctness of %d images on %d chips, want at least one of each", images, chips);
    ot_correctness *v = ot_alloc(1, sizeof *v);
    if (!v) OT_NOMEM("correctness vectors", sizeof *v);
    *v = (ot_correctness){.images = images, .chips = chips, .words = (chips + 63) / 64};
    if (!(v->bits = ot_alloc((size_t)images, (size_t)v->words * sizeof *v->bits))) {
        ot_free(v);
        OT_NOMEM("correctness vectors", (size_t)images * (size_t)((chips + 63) / 64) * 8);
    }
    *out = v;
    return OT_OK;
}

void ot_correctness_free(ot_correctness *v)
{
    if (!v) return;
    ot_free(v->bits);
    ot_free(v);
}

static const uint64_t *row(const ot_correctness *v, int image) { return v->bits + (size_t)image * (size_t)v->words; }

void ot_correctness_set(ot_correctness *v, int image, int chip, int right)
{
    uint64_t *word = v->bits + (size_t)image * (size_t)v->words + chip / 64, bit = (uint64_t)1 << chip % 64;
    *word = right ? *word | bit : *word & ~bit;
}

void ot_correctness_chip(ot_correctness *v, int chip, const uint8_t *right)
{
    for (int i = 0; i < v->images; i++) ot_correctness_set(v, i, chip, right[i / 8] >> i % 8 & 1);
}

typedef int hamming_fn(const uint64_t *a, const uint64_t *b, int words);

static int hamming_plain(const uint64_t *a, const uint64_t *b, int words)
{
    int n = 0;
    for (int k = 0; k < words; k++) n += __builtin_popcountll(a[k] ^ b[k]);
    return n;
}

#ifdef __x86_64__
__attribute__((target("popcnt"))) static int hamming_popcnt(const uint64_t *a, const uint64_t *b, int words)
{
    int n = 0;
    for (int k = 0; k < words; k++) n += __builtin_popcountll(a[k] ^ b[k]);
    return n;
}

static hamming_fn *hamming(void) { return __builtin_cpu_supports("popcnt") ? hamming_popcnt : hamming_plain; }
#else
static hamming_fn *hamming(void) { return hamming_plain; }
#endif

int ot_correctness_distance(const ot_correctness *v, int a, int b) { return hamming()(row(v, a), row(v, b), v->words); }

/* -- Distinct vectors ---------------------------------------------------------------------------------------------- */

/* Points are vectors that differ, in the order of their first image. */
typedef struct points {
    const ot_correctness *v;
    ot_linkage linkage;
    int   n;
    int  *image, *weight;                    /* (n) first image, images with this vector */
    int  *of;                                /* (images) point of each image */
    float *d;                                /* pairs of points */
} points;

typedef struct keyed { const uint64_t *bits; int words, image; } keyed;

static int by_bits(const void *pa, const void *pb)
{
    const keyed *a = pa, *b = pb;
    int          c = memcmp(a->bits, b->bits, (size_t)a->words * sizeof *a->bits);
    return c ? c : a->image - b->image;
}

static void points_free(points *p) { ot_free(p->d), ot_free(p->of), ot_free(p->weight), ot_free(p->image); }

/* collapse 0: each image is a point. */
static ot_status find_points(points *p, int collapse)
{
    const size_t n = (size_t)p->v->images;
    keyed       *key = ot_alloc(n, sizeof *key);
    int         *first = ot_alloc(n, sizeof *first);
    ot_status    st = OT_OK;
    p->image = ot_alloc(n, sizeof *p->image), p->weight = ot_alloc(n, sizeof *p->weight), p->of = ot_alloc(n, sizeof *p->of);
    if (!key || !first || !p->image || !p->weight || !p->of) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %zu images", n);
    for (int i = 0; i < p->v->images; i++) key[i] = (keyed){row(p->v, i), p->v->words, i};
    qsort(key, n, sizeof *key, by_bits);
    for (size_t i = 0; i < n; i++)
        first[key[i].image] = collapse && i && !memcmp(key[i].bits, key[i - 1].bits, (size_t)p->v->words * sizeof *key[i].bits) ? first[key[i - 1].image] : key[i].image;
    for (int i = 0; i < p->v->images; i++) {
        if (first[i] == i) p->image[p->n] = i, p->of[i] = p->n++;
        else p->of[i] = p->of[first[i]];
        p->weight[p->of[i]]++;
    }
done:
    ot_free(first);
    ot_free(key);
    return st;
}

/* -- The tree ------------------------------------------------------------------------------------------------------ */

enum { ROWS = 64 };                          /* a job of the pool */

static ot_status measure_rows(void *user, int job)
{
    points     *p = user;
    hamming_fn *fn = hamming();
    for (int i = job * ROWS; i < p->n && i < (job + 1) * ROWS; i++) {
        float          *d = p->d + (i + 1 < p->n ? ot__pair(p->n, i, i + 1) : 0);
        const uint64_t *a = row(p->v, p->image[i]);
        for (int j = i + 1; j < p->n; j++) {
            const double h = fn(a, row(p->v, p->image[j]), p->v->words), s = p->weight[i], t = p->weight[j];
            d[j - i - 1] = (float)(p->linkage == OT_WARD ? 2 * s * t / (s + t) * h : sqrt(h));
        }
    }
    return OT_OK;
}

static ot_status run(int threads, int jobs, ot__pool_fn fn, void *user)
{
    ot__pool *pool = NULL;
    if (!threads) threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    OT_TRY(ot__pool_open(&pool, threads < 1 ? 1 : threads < jobs ? threads : jobs));
    ot_status st = ot__pool_run(pool, jobs, fn, user);
    ot__pool_close(pool);
    return st;
}

ot_status ot_correctness_tree(ot_merge *merges, const ot_correctness *v, ot_linkage linkage, int threads)
{
    points     p = {.v = v, .linkage = linkage};
    raw_merge *raw = NULL;
    int       *size = NULL;
    ot_status  st = OT_OK;
    if (linkage != OT_WARD && linkage != OT_AVERAGE && linkage != OT_COMPLETE) OT_FAIL(OT_E_RANGE, "clustering: linkage %d, want ward, average or complete", (int)linkage);
    if (v->images == 1) return OT_OK;
    OT_TRY_TO(done, st, find_points(&p, 1));
    const size_t n = (size_t)p.n, pairs = n * (n - 1) / 2;
    p.d = ot_alloc(pairs, sizeof *p.d);
    raw = ot_alloc((size_t)v->images - 1, sizeof *raw);
    size = ot_alloc(3 * n, sizeof *size);
    if (!p.d || !raw || !size) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %zu distances of %zu distinct images", pairs, n);
    OT_TRY_TO(done, st, run(threads, (p.n + ROWS - 1) / ROWS, measure_rows, &p));
    int m = 0;                                /* equal images first, then the points' tree */
    for (int i = 0; i < v->images; i++)
        if (p.image[p.of[i]] != i) raw[m] = (raw_merge){p.image[p.of[i]], i, m, 0}, m++;
    memcpy(size, p.weight, n * sizeof *size);
    chain(raw + m, p.d, p.n, linkage, size, size + n);
    for (int k = m; k < v->images - 1; k++) raw[k] = (raw_merge){p.image[raw[k].a], p.image[raw[k].b], k, raw[k].height};
    st = ot__cluster_number(merges, raw, v->images);
done:
    ot_free(size);
    ot_free(raw);
    points_free(&p);
    return st;
}

/* -- Medoids ------------------------------------------------------------------------------------------------------- */

void ot_selection_free(ot_selection *s)
{
    if (!s) return;
    ot_free(s->spread), ot_free(s->size), ot_free(s->medoid), ot_free(s->label);
    ot_free(s);
}

typedef struct medoids {
    const points *p;
    const double *root;                      /* square roots of 0..chips */
    const int    *label;                     /* (points) */
    double       *sum;                       /* (points) to the others of the cluster */
} medoids;

static ot_status sum_rows(void *user, int job)
{
    const medoids *m = user;
    const points  *p = m->p;
    hamming_fn    *fn = hamming();
    for (int i = job * ROWS; i < p->n && i < (job + 1) * ROWS; i++) {
        double sum = 0;
        for (int j = 0; j < p->n; j++)
            if (m->label[j] == m->label[i]) sum += p->weight[j] * m->root[fn(row(p->v, p->image[i]), row(p->v, p->image[j]), p->v->words)];
        m->sum[i] = sum;
    }
    return OT_OK;
}

static int *order_of(const ot_selection *s)
{
    int *rank = ot_alloc((size_t)s->k, sizeof *rank);
    for (int a = 0; rank && a < s->k; a++)
        for (int b = 0; b < s->k; b++) rank[a] += s->size[b] > s->size[a] || (s->size[b] == s->size[a] && b < a);
    return rank;
}

/* Clusters are renumbered by size. */
static ot_status largest_first(ot_selection *s)
{
    int    *rank = order_of(s), *size = ot_alloc((size_t)s->k, sizeof *size), *medoid = ot_alloc((size_t)s->k, sizeof *medoid);
    double *spread = ot_alloc((size_t)s->k, sizeof *spread);
    const int fine = rank && size && medoid && spread;
    for (int c = 0; fine && c < s->k; c++) size[rank[c]] = s->size[c], medoid[rank[c]] = s->medoid[c], spread[rank[c]] = s->spread[c];
    for (int i = 0; fine && i < s->images; i++) s->label[i] = rank[s->label[i]];
    for (int c = 0; fine && c < s->k; c++) s->size[c] = size[c], s->medoid[c] = medoid[c], s->spread[c] = spread[c];
    ot_free(spread), ot_free(medoid), ot_free(size), ot_free(rank);
    if (!fine) OT_NOMEM("clusters", (size_t)s->k * 20);
    return OT_OK;
}

/* Sum of squared distances to the clusters' means: a chip with `ones` right answers in a cluster of n adds ones (n - ones) / n. */
static ot_status within(ot_selection *s, const ot_correctness *v)
{
    int *ones = ot_alloc((size_t)s->k * (size_t)v->chips, sizeof *ones);
    if (!ones) OT_NOMEM("clusters", (size_t)s->k * (size_t)v->chips * sizeof *ones);
    for (int i = 0; i < v->images; i++)
        for (int c = 0; c < v->chips; c++) ones[(size_t)s->label[i] * (size_t)v->chips + (size_t)c] += (int)(row(v, i)[c / 64] >> c % 64 & 1);
    for (int k = 0; k < s->k; k++)
        for (int c = 0; c < v->chips; c++) {
            const double one = ones[(size_t)k * (size_t)v->chips + (size_t)c];
            s->within += one * (s->size[k] - one) / s->size[k];
        }
    ot_free(ones);
    return OT_OK;
}

static ot_status find_medoids(ot_selection *s, points *p, int threads)
{
    const ot_correctness *v = p->v;
    const size_t          n = (size_t)p->n;
    double   *sum = ot_alloc(n + (size_t)v->chips + 1, sizeof *sum), *root = sum ? sum + n : NULL;
    int      *label = ot_alloc(n, sizeof *label);
    ot_status st = OT_OK;
    if (!sum || !label) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %zu distinct images", n);
    for (int h = 0; h <= v->chips; h++) root[h] = sqrt(h);
    for (int i = 0; i < p->n; i++) label[i] = s->label[p->image[i]];
    medoids m = {p, root, label, sum};
    OT_TRY_TO(done, st, run(threads, (p->n + ROWS - 1) / ROWS, sum_rows, &m));
    for (int c = 0; c < s->k; c++) s->medoid[c] = -1;
    for (int i = 0; i < p->n; i++) {
        int *best = &s->medoid[label[i]];
        if (*best < 0 || sum[i] < sum[*best] * (1 - 1e-12)) *best = i;         /* sums of square roots: nearer than rounding is a tie */
    }
    for (int i = 0; i < v->images; i++) s->size[s->label[i]]++;
    for (int c = 0; c < s->k; c++) {
        s->distance += sum[s->medoid[c]] / v->images;
        s->spread[c] = sum[s->medoid[c]] / s->size[c];
        s->medoid[c] = p->image[s->medoid[c]];
    }
done:
    ot_free(label);
    ot_free(sum);
    return st;
}

ot_status ot_correctness_select(ot_selection **out, const ot_correctness *v, const ot_merge *merges, int k, int threads)
{
    points        p = {.v = v};
    ot_status     st = OT_OK;
    if (k < 1 || k > v->images) OT_FAIL(OT_E_RANGE, "k = %d, want 1..%d (the images)", k, v->images);
    ot_selection *s = ot_alloc(1, sizeof *s);
    if (!s) OT_NOMEM("a selection", sizeof *s);
    const size_t clusters = (size_t)k;
    *s = (ot_selection){.k = k, .images = v->images};
    s->label = ot_alloc((size_t)v->images, sizeof *s->label), s->medoid = ot_alloc(clusters, sizeof *s->medoid);
    s->size = ot_alloc(clusters, sizeof *s->size), s->spread = ot_alloc(clusters, sizeof *s->spread);
    if (!s->label || !s->medoid || !s->size || !s->spread) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d clusters", k);
    ot_cluster_cut(s->label, merges, v->images, k);
    OT_TRY_TO(done, st, find_points(&p, 1));
    if (k > p.n) {                            /* equal images in different clusters */
        points_free(&p);
        p = (points){.v = v};
        OT_TRY_TO(done, st, find_points(&p, 0));
    }
    OT_TRY_TO(done, st, find_medoids(s, &p, threads));
    OT_TRY_TO(done, st, largest_first(s));
    st = within(s, v);
done:
    points_free(&p);
    if (st != OT_OK) {
        ot_selection_free(s);
        return st;
    }
    *out = s;
    return OT_OK;
}

/* learned.c - paper 000's Algorithm 2: a chip that answers the stimulus as a chip tuned before did, wants the same knobs.
 *
 *     casebook    rows of (signature of the untuned chip, knobs that mended it)
 *     made once   each feature standardised by the casebook's mean and sd (constant ones dropped); rows clustered (Ward); medoids
 *     asked       the nearest medoid, then the nearest row of its cluster: that row's knobs
 *
 * The paper names neither linkage nor number of clusters: Ward, and the number with the best mean silhouette in 2..30.  Ties go to the
 * lower cluster, the lower row. */
#include "ohmtrim/tune.h"
#include "base/fail.h"
#include "base/progress.h"
#include "test/distance.h"

#include <math.h>
#include <string.h>

struct ot_casebook {
    int     n, s, l, p, clusters;      /* rows, signature length, knob pairs, features kept */
    int    *feature;                   /* (p) */
    double *mean, *sd;                 /* (p) */
    double *x;                         /* (n, p) standardised */
    int    *label, *medoid;            /* (n), (clusters) */
    float  *gain, *offset;             /* (n, l) */
    double  silhouette;
};

void ot_casebook_free(ot_casebook *cb)
{
    if (!cb) return;
    ot_free(cb->offset);
    ot_free(cb->gain);
    ot_free(cb->medoid);
    ot_free(cb->label);
    ot_free(cb->x);
    ot_free(cb->sd);
    ot_free(cb->mean);
    ot_free(cb->feature);
    ot_free(cb);
}

int    ot_casebook_clusters(const ot_casebook *cb) { return cb->clusters; }
double ot_casebook_silhouette(const ot_casebook *cb) { return cb->silhouette; }
int    ot_casebook_signature_length(const ot_casebook *cb) { return cb->s; }
int    ot_casebook_relus(const ot_casebook *cb) { return cb->l; }
int    ot_casebook_dropped(const ot_casebook *cb) { return cb->s - cb->p; }

static ot_status check(const float *signatures, const float *gains, const float *offsets, int n, int s, int l, int clusters)
{
    if (!(n >= 1 && s >= 1 && l >= 1)) OT_FAIL(OT_E_RANGE, "casebook of %d chips, %d signature numbers, %d knob pairs, want 1 or more", n, s, l);
    if (!(clusters >= 0 && clusters <= n)) OT_FAIL(OT_E_RANGE, "casebook: clusters = %d, want 0..%d (0: by silhouette)", clusters, n);
    for (int64_t i = 0; i < (int64_t)n * s; i++)
        if (!isfinite(signatures[i]))
            OT_FAIL(OT_E_DATA, "casebook: signature %lld, number %lld is %g, want finite", (long long)(i / s), (long long)(i % s), (double)signatures[i]);
    for (int64_t i = 0; i < (int64_t)n * l; i++)
        if (!(isfinite(gains[i]) && gains[i] >= 0.015625f && isfinite(offsets[i])))
            OT_FAIL(OT_E_DATA, "casebook: knobs %lld of chip %lld are gain %g, offset %g, want a gain of 1/64 or more and both finite",
                    (long long)(i % l), (long long)(i / l), (double)gains[i], (double)offsets[i]);
    return OT_OK;
}

/* Keeps the features that differ among chips and standardises them. */
static void standardise(ot_casebook *cb, const float *signatures)
{
    int n = cb->n, s = cb->s;
    for (int k = 0; k < s; k++) {
        double first = signatures[k], mean = 0, square = 0;
        for (int i = 0; i < n; i++) mean += (double)signatures[(size_t)i * (size_t)s + (size_t)k] - first;
        mean = first + mean / n;                         /* exact for a constant feature */
        for (int i = 0; i < n; i++) {
            double d = (double)signatures[(size_t)i * (size_t)s + (size_t)k] - mean;
            square += d * d;
        }
        double sd = sqrt(square / n);
        if (sd < 1e-12) continue;
        cb->feature[cb->p] = k;
        cb->mean[cb->p] = mean;
        cb->sd[cb->p++] = sd;
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < cb->p; k++)
            cb->x[(size_t)i * (size_t)cb->p + (size_t)k] =
                ((double)signatures[(size_t)i * (size_t)s + (size_t)cb->feature[k]] - cb->mean[k]) / cb->sd[k];
}

static ot_status cluster(ot_casebook *cb, int clusters)
{
    int       n = cb->n, most = n - 1 < 30 ? n - 1 : 30, wanted = clusters > most ? clusters : most;
    double   *distances = NULL, *tree_distances = NULL, *sums = NULL;
    int      *sizes = NULL;
    ot_merge *merges = NULL;
    ot_status st = OT_OK;
    size_t    bytes = (size_t)n * (size_t)(n - 1) / 2 * sizeof(double);
    OT_TRY(ot__distances(&distances, cb->x, n, cb->p));
    tree_distances = ot_alloc(1, bytes);
    merges = ot_alloc((size_t)(n - 1), sizeof *merges);
    sums = ot_alloc((size_t)wanted + 1, sizeof *sums);
    sizes = ot_alloc((size_t)wanted + 1, sizeof *sizes);
    cb->medoid = ot_alloc((size_t)wanted + 1, sizeof *cb->medoid);
    if (!tree_distances || !merges || !sums || !sizes || !cb->medoid)
        OT_FAIL_TO(done, st, OT_E_NOMEM, "casebook: no memory to cluster %d chips", n);
    memcpy(tree_distances, distances, bytes);
    OT_TRY_TO(done, st, ot__cluster_tree(merges, tree_distances, n, OT_WARD));
    cb->clusters = clusters ? clusters : 1;
    if (!clusters && cb->p)
        for (int c = 2; c <= most; c++) {
            ot_cluster_cut(cb->label, merges, n, c);
            double v = ot__cluster_silhouette(distances, n, cb->label, c, sums, sizes);
            if (cb->clusters == 1 || v > cb->silhouette) {
                cb->silhouette = v;
                cb->clusters = c;
            }
        }
    ot_cluster_cut(cb->label, merges, n, cb->clusters);
    if (clusters > 1) cb->silhouette = ot__cluster_silhouette(distances, n, cb->label, clusters, sums, sizes);
    ot__cluster_medoids(cb->medoid, distances, n, cb->label, cb->clusters);
done:
    ot_free(sizes);
    ot_free(sums);
    ot_free(merges);
    ot_free(tree_distances);
    ot_free(distances);
    return st;
}

ot_status ot_casebook_make(ot_casebook **out, const float *signatures, const float *gains, const float *offsets, int n, int s, int l,
                           int clusters)
{
    OT_TRY(check(signatures, gains, offsets, n, s, l, clusters));
    ot_status    st = OT_OK;
    size_t       knobs = (size_t)n * (size_t)l;
    ot_casebook *cb = ot_alloc(1, sizeof *cb);
    if (!cb) OT_NOMEM("casebook", sizeof *cb);
    *cb = (ot_casebook){.n = n, .s = s, .l = l};
    cb->feature = ot_alloc((size_t)s, sizeof *cb->feature);
    cb->mean = ot_alloc((size_t)s, sizeof *cb->mean);
    cb->sd = ot_alloc((size_t)s, sizeof *cb->sd);
    cb->x = ot_alloc((size_t)n * (size_t)s, sizeof *cb->x);
    cb->label = ot_alloc((size_t)n, sizeof *cb->label);
    cb->gain = ot_alloc(knobs, sizeof *cb->gain);
    cb->offset = ot_alloc(knobs, sizeof *cb->offset);
    if (!cb->feature || !cb->mean || !cb->sd || !cb->x || !cb->label || !cb->gain || !cb->offset)
        OT_FAIL_TO(done, st, OT_E_NOMEM, "casebook: no memory for %d chips of %d numbers", n, s);
    memcpy(cb->gain, gains, knobs * sizeof *gains);
    memcpy(cb->offset, offsets, knobs * sizeof *offsets);
    standardise(cb, signatures);
    st = cluster(cb, clusters);
done:
    if (st != OT_OK) {
        ot_casebook_free(cb);
        return st;
    }
    *out = cb;
    return OT_OK;
}

/* Squared distance, in standardised features, of a raw signature to row i. */
static double distance(const ot_casebook *cb, const float *signature, int i)
{
    double sum = 0;
    for (int k = 0; k < cb->p; k++) {
        double d = ((double)signature[cb->feature[k]] - cb->mean[k]) / cb->sd[k] - cb->x[(size_t)i * (size_t)cb->p + (size_t)k];
        sum += d * d;
    }
    return sum;
}

ot_status ot_tune_learned(const ot_casebook *cb, const float *signature, float *gain, float *offset, int *nearest, ot_tune_cost *cost)
{
    double start = ot__seconds(), least = INFINITY;
    int    c = -1, row = -1;
    for (int k = 0; k < cb->s; k++)
        if (!isfinite(signature[k])) OT_FAIL(OT_E_DATA, "signature: number %d is %g, want finite", k, (double)signature[k]);
    for (int m = 0; m < cb->clusters; m++) {
        double d = distance(cb, signature, cb->medoid[m]);
        if (c < 0 || d < least) { least = d; c = m; }
    }
    for (int i = 0; i < cb->n; i++) {
        if (cb->label[i] != c) continue;
        double d = distance(cb, signature, i);
        if (row < 0 || d < least) { least = d; row = i; }
    }
    memcpy(gain, cb->gain + (size_t)row * (size_t)cb->l, (size_t)cb->l * sizeof *gain);
    memcpy(offset, cb->offset + (size_t)row * (size_t)cb->l, (size_t)cb->l * sizeof *offset);
    if (nearest) *nearest = row;
    cost->seconds += ot__seconds() - start;
    return OT_OK;
}

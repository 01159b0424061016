/* casebook.c - knobs from chips tuned before: a chip that answers the stimulus as another did, wants the same knobs (paper 000 IV.B).
 *
 *     casebook    rows of (signature of the untuned chip, knobs that mended it)
 *     made once   each feature standardised by the casebook's mean and sd (constant ones dropped); rows clustered (Ward); medoids
 *     asked       learned (Algorithm 2)   the nearest medoid, then the nearest row of its cluster: that row's knobs
 *                 nearest (paper 002)     the nearest row in L1
 *                 knn (ours)              the mean of the nearest rows, the nearer the more
 *                 ridge (ours)            each knob a linear function of the features
 *
 * The paper names neither linkage nor number of clusters: Ward, and the number with the best mean silhouette in 2..30.  Ties go to the
 * lower cluster, the lower row.  The search itself is the test floor's (floor.h), so both give the same knobs. */
#include "tune/casebook.h"

#include "base/fail.h"
#include "base/progress.h"
#include "test/distance.h"
#include "test/features.h"

#include <math.h>
#include <string.h>

void ot_casebook_free(ot_casebook *cb)
{
    if (!cb) return;
    ot_features_free(&cb->features);
    ot_cases_free(&cb->cases);
    ot_free((double *)cb->ridge.coef);
    ot_free(cb);
}

int    ot_casebook_clusters(const ot_casebook *cb) { return cb->cases.clusters; }
double ot_casebook_silhouette(const ot_casebook *cb) { return cb->silhouette; }
int    ot_casebook_signature_length(const ot_casebook *cb) { return cb->features.s; }
int    ot_casebook_relus(const ot_casebook *cb) { return cb->cases.l; }
int    ot_casebook_dropped(const ot_casebook *cb) { return cb->features.s - cb->features.p; }

const ot_features *ot_casebook_features(const ot_casebook *cb) { return &cb->features; }
const ot_cases    *ot_casebook_cases(const ot_casebook *cb) { return &cb->cases; }

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

/* A casebook of equal signatures keeps no feature: its lowest row answers. */
static ot_status standardise(ot_casebook *cb, const ot_features *features, float *x, const float *signatures, int s)
{
    const size_t n = (size_t)cb->cases.n;
    OT_TRY(features ? ot__features_copy(&cb->features, features) : ot__features_make(&cb->features, signatures, cb->cases.n, s));
    const size_t p = (size_t)cb->features.p;
    double      *row = ot_alloc(p, sizeof *row);
    if (!row) OT_NOMEM("casebook", p * sizeof *row);
    cb->cases.p = (int)p;
    for (size_t i = 0; i < n; i++) {
        ot_features_apply(row, &cb->features, signatures + i * (size_t)s);
        for (size_t k = 0; k < p; k++) x[i * p + k] = (float)row[k];
    }
    ot_free(row);
    return OT_OK;
}

/* A tree of the rows, cut into `clusters`, or (0) where the silhouette is best; labels and medoids. */
static ot_status cluster(ot_casebook *cb, int32_t *label, int32_t *medoid, int most, int clusters)
{
    const int n = cb->cases.n, p = cb->cases.p;
    size_t    bytes = (size_t)n * (size_t)(n - 1) / 2 * sizeof(double), numbers = (size_t)n * (size_t)p;
    double   *distances = NULL, *tree_distances = ot_alloc(1, bytes), *sums = ot_alloc((size_t)n + 1, sizeof *sums), *x = ot_alloc(numbers, sizeof *x);
    int      *sizes = ot_alloc((size_t)n + 1, sizeof *sizes);
    ot_merge *merges = ot_alloc((size_t)(n - 1), sizeof *merges);
    ot_status st = OT_OK;
    int       best = clusters ? clusters : 1;
    if (!tree_distances || !merges || !sums || !sizes || !x) OT_FAIL_TO(done, st, OT_E_NOMEM, "casebook: no memory to cluster %d chips", n);
    for (size_t i = 0; i < numbers; i++) x[i] = (double)cb->cases.x[i];
    OT_TRY_TO(done, st, ot__distances(&distances, x, n, p));
    memcpy(tree_distances, distances, bytes);
    OT_TRY_TO(done, st, ot__cluster_tree(merges, tree_distances, n, OT_WARD));
    if (!clusters && p)
        for (int c = 2; c <= most; c++) {
            ot_cluster_cut(label, merges, n, c);
            double v = ot__cluster_silhouette(distances, n, label, c, sums, sizes);
            if (best == 1 || v > cb->silhouette) {
                cb->silhouette = v;
                best = c;
            }
        }
    ot_cluster_cut(label, merges, n, best);
    if (clusters > 1) cb->silhouette = ot__cluster_silhouette(distances, n, label, clusters, sums, sizes);
    ot__cluster_medoids(medoid, distances, n, label, best);
    cb->cases.clusters = best;
done:
    ot_free(merges);
    ot_free(sizes);
    ot_free(x);
    ot_free(sums);
    ot_free(tree_distances);
    ot_free(distances);
    return st;
}

static size_t part(size_t *at, size_t bytes)
{
    size_t here = *at;
    *at += (bytes + 15) & ~(size_t)15;
    return here;
}

ot_status ot_casebook_make(ot_casebook **out, const float *signatures, const float *gains, const float *offsets, int n, int s, int l,
                           int clusters)
{
    return ot__casebook_make(out, NULL, signatures, gains, offsets, n, s, l, clusters);
}

ot_status ot__casebook_make(ot_casebook **out, const ot_features *features, const float *signatures, const float *gains, const float *offsets, int n, int s, int l,
                            int clusters)
{
    OT_TRY(check(signatures, gains, offsets, n, s, l, clusters));
    const int    most = n - 1 < 30 ? n - 1 : 30;
    const size_t knobs = (size_t)n * (size_t)l * sizeof(float), S = (size_t)s;
    size_t       c_at = 0;
    const size_t x = part(&c_at, (size_t)n * S * sizeof(float)), label = part(&c_at, (size_t)n * sizeof(int32_t)),
                 medoid = part(&c_at, ((size_t)(clusters > most ? clusters : most) + 1) * sizeof(int32_t)), gain = part(&c_at, knobs), offset = part(&c_at, knobs);
    ot_status    st = OT_OK;
    ot_casebook *cb = ot_alloc(1, sizeof *cb);
    char        *c = ot_alloc(1, c_at);
    if (!cb || !c) {
        ot_free(c), ot_free(cb);
        OT_FAIL(OT_E_NOMEM, "casebook: no memory for %d chips of %d numbers", n, s);
    }
    *cb = (ot_casebook){
        .cases = {.n = n, .l = l, .x = (float *)(void *)(c + x), .label = (int32_t *)(void *)(c + label), .medoid = (int32_t *)(void *)(c + medoid),
                  .gain = (float *)(void *)(c + gain), .offset = (float *)(void *)(c + offset), .memory = c}};
    memcpy(c + gain, gains, knobs);
    memcpy(c + offset, offsets, knobs);
    OT_TRY_TO(done, st, standardise(cb, features, (float *)(void *)(c + x), signatures, s));
    st = cluster(cb, (int32_t *)(void *)(c + label), (int32_t *)(void *)(c + medoid), most, clusters);
done:
    if (st != OT_OK) {
        ot_casebook_free(cb);
        return st;
    }
    *out = cb;
    return OT_OK;
}

ot_status ot_casebook_mend(const ot_casebook *cb, ot_mender how, const float *signature, float *gain, float *offset, int *nearest, ot_tune_cost *cost)
{
    const double start = ot__seconds();
    const int    l = cb->cases.l, k = cb->cases.n < OT_CASEBOOK_KNN ? cb->cases.n : OT_CASEBOOK_KNN;
    double       distance, work[2 * OT_CASEBOOK_KNN];
    if (how == OT_MENDER_MOMENTS || how >= OT_MENDER_NONE) OT_FAIL(OT_E_USAGE, "casebook: the mender %d looks in none", (int)how);
    if (how == OT_MENDER_RIDGE && !cb->ridge.coef) OT_FAIL(OT_E_USAGE, "casebook: no ridge regression was fitted yet (ot_casebook_fit_ridge)");
    for (int i = 0; i < cb->features.s; i++)
        if (!isfinite(signature[i])) OT_FAIL(OT_E_DATA, "signature: number %d is %g, want finite", i, (double)signature[i]);
    double *x = ot_alloc((size_t)cb->features.p, sizeof *x);
    int     row = 0;
    if (!x) OT_NOMEM("a signature's features", (size_t)cb->features.p * sizeof *x);
    ot_features_apply(x, &cb->features, signature);
    if (how == OT_MENDER_RIDGE) {
        row = ot_cases_nearest(&cb->cases, OT_MENDER_LEARNED, x, &distance);
        cost->projected += ot_ridge_knobs_value(&cb->ridge, x, gain, offset);
    } else if (how == OT_MENDER_KNN) row = ot_cases_knn(&cb->cases, x, k, gain, offset, work, &distance);
    else {
        row = ot_cases_nearest(&cb->cases, how, x, &distance);
        memcpy(gain, cb->cases.gain + (size_t)row * (size_t)l, (size_t)l * sizeof *gain);
        memcpy(offset, cb->cases.offset + (size_t)row * (size_t)l, (size_t)l * sizeof *offset);
    }
    ot_free(x);
    if (nearest) *nearest = row;
    cost->seconds += ot__seconds() - start;
    return OT_OK;
}

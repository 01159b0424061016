/* test.h - testing a chip from a handful of images: stimulus, signature, clustering.
 *
 * Signature (paper 000 III): for each stimulus image, the mean over all neurons of each T-ReLU's output (L numbers), then the
 * class outputs (C numbers): S = P * (L + C), image after image.  Since 0.1. */
#ifndef OHMTRIM_TEST_H
#define OHMTRIM_TEST_H

#include "ohmtrim/fleet.h"
#include "ohmtrim/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `k` image numbers of `data`, balanced over classes (counts differ by at most 1 where the classes have enough images), drawn from
 * the seed, without repetition.  OT_E_RANGE unless 1 <= k <= data->n. */
ot_status ot_stimulus_random(uint32_t *index, int k, const ot_data *data, uint64_t seed);

int       ot_signature_length(const ot_network *net, int k);                     /* S */
/* The signature of what `plan` holds (chip and knobs), (S). */
ot_status ot_signature_measure(float *signature, ot_plan *plan, const ot_data *data, const uint32_t *stimulus, int k);
/* The same of every chip of a fleet: signatures (n, S).  Since 0.1. */
ot_status ot_signature_measure_fleet(float *signatures, ot_fleet *fleet, const ot_data *data, const uint32_t *stimulus, int k);

/* Agglomerative clustering of n >= 1 points of p numbers, Euclidean; nearest-neighbour chain, heights as scipy reports them. */
typedef enum ot_linkage { OT_WARD, OT_AVERAGE, OT_COMPLETE } ot_linkage;
typedef struct ot_merge { int a, b, size; double height; } ot_merge;             /* scipy's: n + i is the cluster of merge i; a < b */
ot_status ot_cluster_tree(ot_merge *merges /* (n - 1) */, const double *points /* (n, p) */, int n, int p, ot_linkage linkage);
/* Label 0..clusters-1 of each point for a cut into `clusters` (1..n), numbered by each cluster's lowest point. */
void      ot_cluster_cut(int *label, const ot_merge *merges, int n, int clusters);
/* Medoid of each cluster: least sum of distances to its members, ties to the lowest point. */
ot_status ot_cluster_medoids(int *medoid, const double *points, int n, int p, const int *label, int clusters);
/* Mean silhouette of a labelling into 2 or more clusters, -1..1 (a point alone in its cluster counts 0). */
ot_status ot_cluster_silhouette(double *out, const double *points, int n, int p, const int *label, int clusters);

#ifdef __cplusplus
}
#endif
#endif

/* distance.h - Euclidean distances of all pairs, kept once for what needs them several times: the tree, medoids, silhouettes. */
#ifndef OT_TEST_DISTANCE_H
#define OT_TEST_DISTANCE_H

#include "ohmtrim/test.h"

/* Pairs i < j, row by row of the upper triangle: n (n - 1) / 2 numbers. */
static inline size_t ot__pair(int n, int i, int j) { return (size_t)i * (size_t)(2 * (int64_t)n - i - 1) / 2 + (size_t)(j - i - 1); }
static inline double ot__pair_get(const double *d, int n, int i, int j)
{
    return i == j ? 0.0 : i < j ? d[ot__pair(n, i, j)] : d[ot__pair(n, j, i)];
}
double    ot__squared_distance(const double *x, const double *y, int p);
/* Euclidean distances in ot_alloc memory.  OT_E_DATA: a point is not finite. */
ot_status ot__distances(double **out, const double *points, int n, int p);
/* A merge as the chain finds it; a, b: any point of either cluster. */
typedef struct raw_merge { int a, b, order; double height; } raw_merge;
/* n - 1 of them, sorted here by height and then order, numbered as scipy does. */
ot_status ot__cluster_number(ot_merge *merges, raw_merge *raw, int n);
/* The tree from distances, which are overwritten. */
ot_status ot__cluster_tree(ot_merge *merges, double *distances, int n, ot_linkage linkage);
void      ot__cluster_medoids(int *medoid, const double *distances, int n, const int *label, int clusters);
/* `sums`: scratch of `clusters` numbers, `sizes` likewise. */
double    ot__cluster_silhouette(const double *distances, int n, const int *label, int clusters, double *sums, int *sizes);

#endif

/* learner.h - what the predictors' learners share: the rows to learn from, threads, columns in ascending order, sums of fixed order. */
#ifndef OT_TEST_LEARNER_H
#define OT_TEST_LEARNER_H

#include "ohmtrim/predictor.h"
#include "train/pool.h"

typedef struct ot__rows {
    const double *x, *y;                    /* (n, p), (n): checked */
    int           n, p, threads;
    ot__pool     *pool;                     /* of `threads` */
    const ot_predictor_options *opt;        /* checked */
} ot__rows;

/* Each fills *out from nothing; y is not constant. */
ot_status ot__boost_fit(ot_predictor *out, const ot__rows *rows);
ot_status ot__ridge_fit(ot_predictor *out, const ot__rows *rows);

/* order (p, n): the rows of each column by ascending x, equal ones by row; sorted (p, n), which may be NULL: x in that order. */
ot_status ot__sort_columns(int32_t *order, double *sorted, const ot__rows *rows);

/* Sum of a[i] b[i] in eight interleaved sums: one fixed order that vectorises. */
double ot__dot(const double *a, const double *b, int n);
double ot__mean(const double *a, int n);

#endif

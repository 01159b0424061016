/* predictor.h - learning to predict a chip's accuracy from its signature: MARS, gradient boosting, ridge.  Part of the test stage.
 *
 *     enum { N = 500, S = 370 };
 *     static float  signatures[N * S], new_signature[S];         // measured
 *     static double accuracy[N], x[N * S];
 *     ot_features   f;
 *     ot_predictor  m;
 *     ot_predictor_options opt = ot_predictor_defaults(OT_PREDICTOR_MARS);
 *     ot_status st = ot_features_fit(&f, signatures, N, S);
 *     for (int i = 0; i < N; i++) ot_features_apply(x + i * f.p, &f, signatures + i * S);
 *     st = ot_predictor_fit(&m, x, accuracy, N, f.p, &opt);
 *     ot_features_apply(x, &f, new_signature);
 *     double a_hat = ot_predictor_value(&m, x);                  // floor.h
 *
 * All arithmetic is double; a model does not depend on the number of threads.  Since 0.1. */
#ifndef OHMTRIM_PREDICTOR_H
#define OHMTRIM_PREDICTOR_H

#include "ohmtrim/floor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Mean and sd (divisor n) of each number over n >= 2 signatures (n, s); those with sd < 1e-12 are left out (s - p of them).
 * OT_E_DATA: a number that is not finite (names signature and number), or no number that varies. */
ot_status ot_features_fit(ot_features *out, const float *signatures, int n, int s);

typedef struct ot_predictor_options {
    ot_predictor_kind kind;
    int    degree;         /* MARS: most hinges a term, 1 or 2; 1 */
    double penalty;        /* MARS: GCV's cost of a knot; < 0: 2 for degree 1, 3 for degree 2 (R earth's) */
    int    max_terms;      /* MARS: of the forward pass; 0: min(200, max(20, 2 p)) + 1 */
    double thresh;         /* MARS: least gain of R2 a forward step; 0.001 */
    int    fast_k;         /* MARS: parents tried a step, 0: all; < 0: 0 for degree 1, 20 for degree 2 */
    int    trees, depth;   /* boosting: 100, 3 */
    double rate;           /* boosting: 0.1 */
    double lambda;         /* ridge; < 0: by generalised cross-validation on a grid */
    int    threads;        /* 0: one a core */
    int    hold;           /* 1: predictions stay inside the range of y; 0 */
} ot_predictor_options;
ot_predictor_options ot_predictor_defaults(ot_predictor_kind kind);
ot_status            ot_predictor_options_check(const ot_predictor_options *opt);

/* x (n, p), y (n), n >= 3, p >= 1.  A constant y gives a constant model.  OT_E_DATA: a number that is not finite. */
ot_status ot_predictor_fit(ot_predictor *out, const double *x, const double *y, int n, int p, const ot_predictor_options *opt);

/* Cross-validation on signatures (features are fitted anew in each fold): folds drawn from the seed, predicted (n) out of fold. */
typedef struct ot_cross_validation { double rmse, mean, sd, mae, r2; int folds; } ot_cross_validation;    /* of predicted - y; mae: mean |error| */
/* `group` (n), NULL: each row its own: rows of one group, say of one chip measured with several knobs, stay in one fold; at least `folds` groups. */
ot_status ot_predictor_cross_validate_groups(ot_cross_validation *out, double *predicted, const float *signatures, const double *y, const int *group,
                                             int n, int s, int folds, uint64_t seed, const ot_predictor_options *opt);
ot_status ot_predictor_cross_validate(ot_cross_validation *out, double *predicted, const float *signatures, const double *y, int n, int s,
                                      int folds, uint64_t seed, const ot_predictor_options *opt);

#ifdef __cplusplus
}
#endif
#endif

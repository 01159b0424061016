/* floor.h - the test floor: what judges and mends a chip from its signature, without a simulator.
 *
 *     float signature[...];                                      // measured on the chip, ot_floor_signature_length numbers
 *     ot_floor *floor;
 *     ot_floor_result r;
 *     ot_status st = ot_floor_open(&floor, "chip.recipe");
 *     st = ot_floor_screen(floor, OT_FLOOR_BEFORE, signature, &r, gain, offset);
 *     printf("%g %s\n", r.predicted, ot_verdict_name(r.verdict));
 *
 * First come the models as plain arrays: learners (predictor.h, screen.h, tune.h) make them, a recipe keeps them, and the functions
 * here are the only ones that evaluate them, so a campaign's verdicts and the test floor's are the same bits.  libohmtrim-floor.a
 * holds just this and the status part of base.h; it needs the C library and libm.  Accuracies are fractions 0..1.
 *
 * Memory: a model's arrays are owned by its `memory` where a learner made it (free with ot_..._free), and borrowed from the recipe
 * where `memory` is NULL.  Evaluation allocates nothing.  Since 0.1. */
#ifndef OHMTRIM_FLOOR_H
#define OHMTRIM_FLOOR_H

#include "ohmtrim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- Models ------------------------------------------------------------------------------------------------------- */

/* Which numbers of a signature (S) are used, and how: x[k] = (signature[feature[k]] - mean[k]) / sd[k], k < p. */
typedef struct ot_features {
    int            s, p;
    const int32_t *feature;        /* (p), ascending */
    const double  *mean, *sd;      /* (p) */
    void          *memory;
} ot_features;
void ot_features_apply(double *x /* (p) */, const ot_features *f, const float *signature /* (S) */);
void ot_features_free(ot_features *f);

typedef enum ot_predictor_kind { OT_PREDICTOR_MARS, OT_PREDICTOR_BOOST, OT_PREDICTOR_RIDGE, OT_PREDICTORS } ot_predictor_kind;

/* Friedman 1991: y = sum_t coef[t] * product of the hinges start[t] .. start[t + 1] - 1; hinge j of x = x[feature[j]] is max(0, x - cut)
 * for dir 1, max(0, cut - x) for dir -1, x itself for dir 2.  A term without hinges is the constant. */
typedef struct ot_mars {
    int            terms, hinges;
    const double  *coef;           /* (terms) */
    const int32_t *start;          /* (terms + 1) */
    const int32_t *feature, *dir;  /* (hinges) */
    const double  *cut;            /* (hinges) */
} ot_mars;

/* Gradient boosting, least squares: y = init + rate * sum over trees of the leaf that x falls into.  A node with feature >= 0 sends x to
 * node `left` if x[feature] <= value, else to `left` + 1; feature -1 marks a leaf with that value.  Children stand behind parents. */
typedef struct ot_boost {
    int            trees, nodes;
    double         init, rate;
    const int32_t *root;           /* (trees) */
    const int32_t *feature, *left; /* (nodes) */
    const double  *value;          /* (nodes) */
} ot_boost;

typedef struct ot_ridge { double intercept; const double *coef; /* (p) */ } ot_ridge;

/* Signature -> accuracy. */
typedef struct ot_predictor {
    ot_predictor_kind kind;
    int               p;
    ot_mars           mars;        /* the one that `kind` says; the others are zero */
    ot_boost          boost;
    ot_ridge          ridge;
    void             *memory;
} ot_predictor;
double      ot_predictor_value(const ot_predictor *m, const double *x /* (p) */);
void        ot_predictor_free(ot_predictor *m);
const char *ot_predictor_name(ot_predictor_kind kind);                       /* "mars", "boost", "ridge" */
ot_status   ot_predictor_parse(ot_predictor_kind *out, const char *name);    /* OT_E_USAGE lists the names */

typedef enum ot_screen_kind { OT_SCREEN_MRCD, OT_SCREEN_PCA_MCD, OT_SCREEN_MCD, OT_SCREENS } ot_screen_kind;

/* Outliers by robust squared distance d2 = |L^-1 (z - centre)|^2, L L' the covariance.  MCD and MRCD: z = x, q = p.  PCA-MCD: z = the q - 1
 * scores axes (x - mean), then log(|residual|^2 + 1e-300). */
typedef struct ot_screen {
    ot_screen_kind kind;
    int            p, q;
    const double  *mean, *axes;    /* (p), (q - 1, p) with orthonormal rows; NULL but for PCA-MCD */
    const double  *centre;         /* (q) */
    const double  *factor;         /* (q, q) lower triangular, rows; above the diagonal zero */
    double         threshold;      /* an outlier has d2 > threshold (or NaN) */
    void          *memory;
} ot_screen;
double      ot_screen_distance(const ot_screen *s, const double *x /* (p) */, double *work /* (p + q) */);       /* d2 */
int         ot_screen_outlier(const ot_screen *s, double distance);
void        ot_screen_free(ot_screen *s);
const char *ot_screen_name(ot_screen_kind kind);                             /* "mrcd", "pca-mcd", "mcd" */
ot_status   ot_screen_parse(ot_screen_kind *out, const char *name);

/* What to do with a chip (DESIGN 2). */
typedef enum ot_verdict { OT_VERDICT_PASS, OT_VERDICT_TUNE, OT_VERDICT_FULL_TEST, OT_VERDICT_REJECT, OT_VERDICTS } ot_verdict;
const char *ot_verdict_name(ot_verdict v);                                   /* "pass", "tune", "full-test", "reject" */

typedef enum ot_rule_kind { OT_RULE_000, OT_RULE_002, OT_RULE_CONFORMAL, OT_RULES } ot_rule_kind;
/* 000 (paper 000 III.C): guard = k sigma, sigma the sd of the predictor's error; a_hat >= cutoff + guard passes, the rest is tuned.
 * 002 (paper 002 III): guard = eps_max = mean + 2 sd of |error|; within guard of the cutoff: full test; above: pass; below: tune.
 * conformal (ours): guard = the quantile of a_hat - a out of fold that makes P(a < cutoff and passed) <= escape; then as 000.
 * Outliers get the full test under every rule. */
typedef struct ot_rule {
    ot_rule_kind kind;
    double       cutoff;           /* a_th */
    double       guard;
    double       k, escape;        /* how guard came about: 000, conformal */
} ot_rule;
/* tuned 0: the first verdict: pass, tune or full-test.  1: knobs are set: pass, or full-test. */
ot_verdict  ot_rule_verdict(const ot_rule *r, double predicted, int outlier, int tuned);
/* After a full test: pass, tune (if not yet tuned) or reject. */
ot_verdict  ot_rule_full_test(const ot_rule *r, double accuracy, int tuned);
const char *ot_rule_name(ot_rule_kind kind);                                 /* "000", "002", "conformal" */
ot_status   ot_rule_parse(ot_rule_kind *out, const char *name);

/* Signature -> knobs: how, and what it looks in. */
typedef enum ot_mender { OT_MENDER_LEARNED, OT_MENDER_NEAREST, OT_MENDER_KNN, OT_MENDER_RIDGE, OT_MENDER_MOMENTS, OT_MENDERS } ot_mender;

/* The casebook (paper 000 IV.B): standardised signatures of chips tuned before and the knobs that mended them. */
typedef struct ot_cases {
    int            n, p, l;        /* chips, features, knob pairs */
    int            clusters;
    const float   *x;              /* (n, p) standardised */
    const int32_t *label;          /* (n) cluster of each */
    const int32_t *medoid;         /* (clusters) rows */
    const float   *gain, *offset;  /* (n, l) */
    void          *memory;
} ot_cases;
void ot_cases_free(ot_cases *c);
/* LEARNED: the nearest medoid, then the nearest member of its cluster, Euclid.  NEAREST: the nearest row, L1.  Ties to the lowest row.
 * Gives the row and its distance in the measure used. */
int  ot_cases_nearest(const ot_cases *c, ot_mender how, const double *x /* (p) */, double *distance);
/* KNN: the k nearest rows in L2, knobs averaged with weights 1 / (distance + 1e-12).  work: (2 k).  Gives the nearest row. */
int  ot_cases_knn(const ot_cases *c, const double *x, int k, float *gain, float *offset, double *work, double *distance);
/* RIDGE: knob k = ridge[k] . x + ridge[k][p], gains first; ridge (2 l, p + 1).  Gains are held at 1/64 or above. */
void ot_ridge_knobs(float *gain, float *offset, const double *ridge, int l, int p, const double *x);

#ifdef __cplusplus
}
#endif
#endif

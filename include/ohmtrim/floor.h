/* floor.h - the test floor: what judges and mends a chip from its signature, without a simulator.
 *
 *     ot_floor *floor;
 *     ot_floor_result r;
 *     float signature[4096], gain[64], offset[64];     // ot_floor_layout says how many of each
 *     ot_status st = ot_floor_open(&floor, "chip.recipe");
 *     if (st == OT_OK) st = ot_floor_screen(floor, OT_FLOOR_BEFORE, signature, &r, gain, offset);
 *     if (st == OT_OK) printf("%g %s\n", r.predicted, ot_verdict_name(r.verdict));
 *     ot_floor_free(floor);
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

/* Signature -> accuracy.  With `holds` the value stays inside least..most, what the model learned from: a sum of hinges that is asked outside of
 * its data has no bounds of its own. */
typedef struct ot_predictor {
    ot_predictor_kind kind;
    int               p;
    int               holds;
    double            least, most;
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

/* Outliers by robust squared distance d2 = |L^-1 (z - centre)|^2, L L' the covariance.  First each number is bent, y = asinh((x - middle) / width),
 * or, where these are NULL, y = x.  MCD and MRCD: z = y, q = p.  PCA-MCD: z = the q - 1 scores axes (y - mean), then log(|residual|^2 +
 * 1e-300). */
typedef struct ot_screen {
    ot_screen_kind kind;
    int            p, q;
    const double  *middle, *width; /* (p), widths above 0; both or neither */
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
 * conformal (ours): the least guard with P(a < cutoff and passed) <= escape, from predictions out of fold (learn.h); then as 000.
 * Outliers get the full test under every rule. */
typedef struct ot_rule {
    ot_rule_kind kind;
    double       cutoff;           /* a_th */
    double       guard;
    double       guard_after;      /* of the second verdict, with knobs set */
    double       k, escape;        /* how the guards came about: 000, conformal */
} ot_rule;
/* tuned 0: the first verdict: pass, tune or full-test.  1: knobs are set: pass, or full-test. */
ot_verdict  ot_rule_verdict(const ot_rule *r, double predicted, int outlier, int tuned);
/* After a full test: pass, tune (if not yet tuned) or reject. */
ot_verdict  ot_rule_full_test(const ot_rule *r, double accuracy, int tuned);
const char *ot_rule_name(ot_rule_kind kind);                                 /* "000", "002", "conformal" */
ot_status   ot_rule_parse(ot_rule_kind *out, const char *name);

/* Signature -> knobs: how, and what it looks in.  None: chips are judged, their knobs stay as they are. */
typedef enum ot_mender {
    OT_MENDER_LEARNED, OT_MENDER_NEAREST, OT_MENDER_KNN, OT_MENDER_RIDGE, OT_MENDER_MOMENTS, OT_MENDER_NONE, OT_MENDERS
} ot_mender;

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

/* Signature -> knobs in one product: knob i = intercept[i] + sum_k coef[i][k] x[k]; gains, then offsets. */
typedef struct ot_ridge_knobs {
    int           l, p;
    const double *coef;            /* (2 l, p) */
    const double *intercept;       /* (2 l) */
} ot_ridge_knobs;
/* gain, offset (l); a gain below 1/64 is held there.  Gives how many were. */
int ot_ridge_knobs_value(const ot_ridge_knobs *m, const double *x /* (p) */, float *gain, float *offset);

/* What a layer's knobs are: gain and offset of a T-ReLU; of a spiking layer its threshold over the designed one, as gain, and no offset; of
 * neurons that fire once the gain of their currents, and no offset. */
typedef enum ot_knob_kind { OT_KNOBS_GAIN_OFFSET, OT_KNOBS_THRESHOLD, OT_KNOBS_GAIN, OT_KNOB_KINDS } ot_knob_kind;
const char *ot_knob_kind_name(ot_knob_kind kind);                            /* "gain-offset", "threshold", "gain" */
ot_status   ot_knob_kind_parse(ot_knob_kind *out, const char *name);

/* Means and spreads of each T-ReLU's input, which a chip can count by itself, matched to the ideal network's (docs/tuning.md). */
typedef struct ot_moments {
    int            l;
    ot_knob_kind   knobs;
    const double  *mean, *sd;      /* (l) the ideal's */
    const int32_t *mean_at, *sd_at;    /* (l) where the chip's stand in its signature */
} ot_moments;
/* a = sd0 / sd, b = mean - mean0 / a; of thresholds a = sd / sd0, of gains alone sd0 / sd, b = 0; (1, 0) where either spread is zero (or the quotient is no float); a gain below 1/64 is held there
 * and b follows.  Gives how many were. */
int ot_moments_knobs(const ot_moments *m, const float *signature, float *gain, float *offset);

/* -- Knob codes --------------------------------------------------------------------------------------------------- */

/* What a chip's 16-bit knob registers hold, fixed point:
 *     gain     unsigned, steps of 1/4096: 1/64 (code 64) .. 15.99976 (65535); 1 is 4096
 *     offset   two's complement, steps of 1/256: -128 (0x8000) .. 127.99609 (0x7fff); 0 is 0
 * The nearest code, halves to the even one.  A value outside, or NaN (neutral: 1, 0), saturates and adds 1 to *clamped. */
typedef enum ot_knob { OT_KNOB_GAIN, OT_KNOB_OFFSET } ot_knob;
uint16_t ot_knob_code(ot_knob which, float value, int *clamped);
float    ot_knob_value(ot_knob which, uint16_t code);

/* Thresholds of spiking layers that come from a resistor ladder: 2^bits levels, evenly from low to high times the designed threshold, chosen by
 * alpha = 1 .. 2^bits (paper 002, III: Th = Vref (1 + alpha R1 / R), 5 bits).  bits 0: no ladder, any threshold will do. */
typedef struct ot_ladder { int bits; double low, high; } ot_ladder;
#define OT_LADDER_INIT { .bits = 5, .low = 0.5, .high = 1.5 }
int   ot_ladder_fits(const ot_ladder *l);                                   /* bits 0..16, 1/64 <= low < high <= 64 */
/* The alpha whose level is nearest, halves to the even step; a gain outside (NaN: the lowest) is held at an end and adds 1 to *clamped. */
int   ot_ladder_code(const ot_ladder *l, float gain, int *clamped);
float ot_ladder_value(const ot_ladder *l, int alpha);
/* All n gains to their levels (bits 0: as they are); how many were held at an end. */
int   ot_ladder_round(const ot_ladder *l, float *gain, int n);

/* -- Recipes ------------------------------------------------------------------------------------------------------ */

/* What a signature of S numbers holds, of K stimulus images on a network with L T-ReLU layers and C classes:
 *     full     image after image: L layer means, then C class outputs                S = K (L + C)
 *     final    image after image: C class outputs                                    S = K C
 *     plain    S numbers of any meaning, as measured on chips of which no more is said; K and C are 1
 *     moments  full, then of each layer the mean of its input over all images (L), then its spread (L)   S = K (L + C) + 2 L */
typedef enum ot_signature_kind { OT_SIGNATURE_FULL, OT_SIGNATURE_FINAL, OT_SIGNATURE_MOMENTS, OT_SIGNATURE_PLAIN, OT_SIGNATURE_KINDS } ot_signature_kind;
const char *ot_signature_kind_name(ot_signature_kind kind);                  /* "full", "final", "moments", "plain" */
ot_status   ot_signature_kind_parse(ot_signature_kind *out, const char *name);

typedef struct ot_layout {
    ot_signature_kind kind;
    int               images, relus, classes, length;      /* K, L, C, S */
} ot_layout;
/* S as the kind says (plain: as it is); -1 where it does not fit an int or a count is below 1. */
int ot_layout_length(const ot_layout *layout);

/* What judges chips in one state of their knobs. */
typedef struct ot_judge {
    ot_features  features;
    ot_predictor predictor;
    ot_screen    screen;           /* of the same p features */
    double       low, high;        /* quantiles of a - a_hat out of fold: the accuracy lies in a_hat + low .. a_hat + high */
    double       rmse, sd, mean;   /* of a_hat - a out of fold */
} ot_judge;

const char *ot_mender_name(ot_mender mender);                                /* "learned", "nearest", "knn", "ridge", "moments", "none" */
ot_status   ot_mender_parse(ot_mender *out, const char *name);
typedef struct ot_mending {
    ot_mender      kind;
    ot_cases       cases;          /* learned, nearest, knn; with ridge and moments n may be 0.  x by the first judge's features */
    int            k;              /* knn */
    ot_ridge_knobs ridge;          /* ridge: of the first judge's features */
    ot_moments     moments;        /* moments */
    ot_knob_kind   knobs;
    ot_ladder      ladder;         /* spiking networks: the levels that the mender's gains are rounded to; bits 0: none */
} ot_mending;

/* A recipe that is open: everything it needs is allocated, screening allocates nothing.  One thread at a time. */
typedef struct ot_floor ot_floor;
/* OT_E_OPEN, OT_E_FORMAT (damaged), OT_E_VERSION, OT_E_SHAPE, OT_E_DATA (a number is unusable), OT_E_NOMEM; *out is then untouched. */
ot_status ot_floor_open(ot_floor **out, const char *path);
/* The same from memory; copies the bytes.  `name` stands at the head of sentences. */
ot_status ot_floor_read(ot_floor **out, const void *bytes, size_t n_bytes, const char *name);
void      ot_floor_free(ot_floor *f);

/* Below: owned by the recipe, as long as it is open. */
const ot_layout  *ot_floor_layout(const ot_floor *f);
const ot_rule    *ot_floor_rule(const ot_floor *f);
const ot_mending *ot_floor_mending(const ot_floor *f);
/* Text by key ("network", "network_sha256", "commit", ...: docs/recipe.md); NULL where it has none. */
const char *ot_floor_text(const ot_floor *f, const char *key);
/* Is the recipe for this network?  Its name, or its hash, or the first 8 or more digits of that; OT_E_MISMATCH says what it is for. */
ot_status ot_floor_expect(const ot_floor *f, const char *network);
/* Another a_th than the recipe's; OT_E_RANGE outside 0..1. */
ot_status ot_floor_set_cutoff(ot_floor *f, double cutoff);
/* The images to show the chip, (K, c, h, w) as integers for its DACs, and where image i came from.  NULL where the recipe holds none. */
const uint8_t *ot_floor_stimulus(const ot_floor *f, int *c, int *h, int *w);
const char    *ot_floor_stimulus_source(const ot_floor *f, int i);

typedef enum ot_floor_when { OT_FLOOR_BEFORE, OT_FLOOR_AFTER } ot_floor_when;     /* knobs at 1, 0; knobs set as the first verdict said */
const ot_judge *ot_floor_judge(const ot_floor *f, ot_floor_when when);       /* NULL: the recipe has none for AFTER */

typedef struct ot_floor_result {
    double     predicted;          /* a_hat */
    double     low, high;          /* its interval */
    double     distance;           /* the screen's, sqrt(d2) */
    int        outlier;            /* distance^2 > threshold */
    ot_verdict verdict;            /* pass, tune or full-test; ot_rule_full_test says what comes after a full test */
    int        nearest;            /* row of the casebook, -1: none, or AFTER */
    double     nearest_distance;   /* in standardised features: L1 for the nearest mender, else L2; NaN: none */
    int        held;               /* gains that were held at an end of their range: 1/64, or the ladder's */
} ot_floor_result;
/* Judge one chip.  signature (S).  BEFORE: gain, offset (L each) get the knobs to set: the mender's for tune and full-test, 1 and 0 for
 * pass.  AFTER leaves them alone (NULL is fine).  OT_E_DATA: a number of the signature, or what the models make of it, is not finite;
 * OT_E_UNSUPPORTED: AFTER with a recipe that has no judge for it.  On failure there is no verdict: *out, gain, offset are untouched. */
ot_status ot_floor_screen(ot_floor *f, ot_floor_when when, const float *signature, ot_floor_result *out, float *gain, float *offset);
/* The mender's knobs for the chip judged last with BEFORE, whatever its verdict: for one that passed and then failed a full test. */
void ot_floor_knobs(const ot_floor *f, float *gain, float *offset);

#ifdef __cplusplus
}
#endif
#endif

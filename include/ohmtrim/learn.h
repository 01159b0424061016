/* learn.h - from measured chips to what judges new ones: arrays in, judge and rules out.  Part of the recipe stage.
 *
 *     enum { N = 500, S = 370 };
 *     static float  signatures[N * S];                           // measured
 *     static double accuracy[N];
 *     double        guard;
 *     ot_learned   *l;
 *     ot_status st = ot_judge_learn(&l, signatures, accuracy, N, S, NULL);
 *     st = ot_rule_guard(&guard, l, OT_RULE_000, 0.88, 2.0, 0.01);
 *     ot_learned_free(l);
 *
 * The arrays may come from a simulated campaign or from real chips: nothing here knows of networks.  Since 0.1. */
#ifndef OHMTRIM_LEARN_H
#define OHMTRIM_LEARN_H

#include "ohmtrim/predictor.h"
#include "ohmtrim/recipe.h"
#include "ohmtrim/screen.h"
#include "ohmtrim/tune.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_learn_options {
    ot_predictor_options predictor;
    ot_screen_options    screen;
    int                  folds;            /* of cross-validation, 5 */
    uint64_t             seed;             /* of the folds */
    int                  first;            /* chips before it only teach the predictor; errors, intervals, guard bands and the screen are of
                                              those from it on; 0 */
    const int           *chip;             /* (n) which chip a row is of: rows of one chip stay in one fold; NULL: each its own */
    int                  errors_out_of_fold;   /* rule 002: eps_max from errors out of fold, not (paper 002) in sample */
} ot_learn_options;
ot_learn_options ot_learn_defaults(void);      /* MARS of degree 1, MRCD */

/* A judge and how good it is. */
typedef struct ot_learned {
    ot_judge            judge;
    ot_cross_validation cv;                /* of predicted - accuracy, chips first.. */
    ot_screen_report    screen;
    int                 n, first;          /* chips; which of them the errors are of */
    double             *predicted, *accuracy;  /* (n) out of fold, and as given */
    double              error_mean, error_sd;  /* of |a_hat - a|, paper 002: on the training chips, or out of fold */
} ot_learned;

/* signatures (n, s), accuracy (n) in 0..1, n >= 2 folds.  The screen takes all n chips as normal ones.  OT_E_DATA names chip and number that
 * is not usable. */
ot_status ot_judge_learn(ot_learned **out, const float *signatures, const double *accuracy, int n, int s, const ot_learn_options *opt);
void      ot_learned_free(ot_learned *l);

/* The guard band of a rule at a cutoff:
 *     000        k sd of the errors out of fold (paper 000 III.C gives no k; 2 is ours)
 *     002        mean + 2 sd of |error| (paper 002 III)
 *     conformal  the least g >= 0 with (bad chips that would pass + 1) / (n + 1) <= escape / 2, bad chips that would pass being those with
 *                accuracy < cutoff and a_hat (out of fold) >= cutoff + g: then a new chip like these is bad and passes with probability
 *                escape / 2 at most (conformal risk control; Angelopoulos, Bates, Fisch, Lei, Schuster 2022, theorem 1), and as a chip
 *                meets at most two verdicts, escape at most is promised for both
 * OT_E_RANGE: k < 0, escape outside 0..1, or too few chips for so small an escape (names how many are wanted). */
ot_status ot_rule_guard(double *guard, const ot_learned *l, ot_rule_kind kind, double cutoff, double k, double escape);
/* -- All of it: a book, from which recipes are written -------------------------------------------------------------- */

/* Measured chips. */
typedef struct ot_chips {
    int           n, s, l;               /* chips, signature length, knob pairs */
    const float  *signature;             /* (n, s) */
    const double *accuracy;              /* (n) */
    const float  *gain, *offset;         /* (n_knobs, l) the knobs that mended the first n_knobs of them; NULL if that is 0 */
    int           n_knobs;
    const int    *chip;                  /* (n) >= 0, which chip a row is of, if several rows may be of one; NULL: each its own */
} ot_chips;

/* All of them below each other, the parts with knobs first; a part's n_knobs is 0 or its n.  Freed with ot_chips_free.  OT_E_SHAPE: lengths
 * differ. */
ot_status ot_chips_join(ot_chips *out, const ot_chips *parts, int n_parts);
void      ot_chips_free(ot_chips *c);          /* of ot_chips_join only */

typedef struct ot_book_options {
    ot_learn_options learn;
    ot_rule_kind rule;                   /* 000 */
    double       cutoff;                 /* a_th, 0..1 */
    double       k, escape;              /* of the guard bands: 2, 0.01 */
    ot_mender    mender;                 /* learned; moments wants `ideal`, none no knobs */
    int          clusters;               /* of the casebook; 0: by silhouette */
    int          knn;                    /* neighbours; OT_CASEBOOK_KNN */
    const float *ideal;                  /* (2 l) moments: the ideal network's means and spreads, which stand last in a signature */
    ot_knob_kind knobs;                  /* what they are; */
    ot_ladder    ladder;                 /* those of spiking networks rounded to these levels (bits 0: not) */
} ot_book_options;
ot_book_options ot_book_defaults(void);

typedef struct ot_book {
    ot_learned  *before, *after;         /* after NULL: no chips with knobs set were given */
    ot_casebook *casebook;               /* NULL: no knobs were given */
    ot_rule      rule;
    ot_mending   mending;                /* points into the casebook and `moments` */
    void        *moments;
} ot_book;

/* `untuned`: chips as manufactured.  `tuned` (may be NULL): chips measured with knobs set, by a mender that had not seen them.  The second judge
 * learns from them and from `others` (may be NULL), chips with knobs set by other means: mended chips are all alike, and what others left half
 * mended teaches what a bad one answers; without others, untuned chips do that, less well (docs/testing.md).  It is measured on `tuned`.  OT_E_DATA: all chips have the same accuracy, unusable numbers (names chip and number), no knobs for a
 * mender that needs them; OT_E_SHAPE: signatures of two lengths. */
ot_status ot_book_learn(ot_book **out, const ot_chips *untuned, const ot_chips *tuned, const ot_chips *others, const ot_book_options *opt);
void      ot_book_free(ot_book *b);
/* Judges, rule and mending into a recipe, borrowed. */
void      ot_book_recipe(ot_recipe *r, const ot_book *b);

#ifdef __cplusplus
}
#endif
#endif

/* learn.h - from measured chips to what judges new ones: arrays in, judge and rules out.  Part of the recipe stage.
 *
 *     ot_learned *l;
 *     ot_status   st = ot_judge_learn(&l, signatures, accuracy, n, s, NULL);
 *     double      guard;
 *     st = ot_rule_guard(&guard, l, OT_RULE_000, cutoff, 2.0, 0.01);
 *
 * The arrays may come from a simulated campaign or from real chips: nothing here knows of networks.  Since 0.1. */
#ifndef OHMTRIM_LEARN_H
#define OHMTRIM_LEARN_H

#include "ohmtrim/floor.h"
#include "ohmtrim/predictor.h"
#include "ohmtrim/screen.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_learn_options {
    ot_predictor_options predictor;
    ot_screen_options    screen;
    int                  folds;            /* of cross-validation, 5 */
    uint64_t             seed;             /* of the folds */
    int                  errors_out_of_fold;   /* rule 002: eps_max from errors out of fold, not (paper 002) in sample */
} ot_learn_options;
ot_learn_options ot_learn_defaults(void);      /* MARS of degree 1, MRCD */

/* A judge and how good it is. */
typedef struct ot_learned {
    ot_judge            judge;
    ot_cross_validation cv;                /* of predicted - accuracy */
    ot_screen_report    screen;
    int                 n;                 /* chips */
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
 *     conformal  the least g >= 0 with (bad chips that would pass + 1) / (n + 1) <= escape, bad chips that would pass being those with
 *                accuracy < cutoff and a_hat (out of fold) >= cutoff + g: then a new chip like these is bad and passes with probability
 *                escape at most (conformal risk control; Angelopoulos, Bates, Fisch, Lei, Schuster 2022, theorem 1)
 * OT_E_RANGE: k < 0, escape outside 0..1, or too few chips for so small an escape (names how many are wanted). */
ot_status ot_rule_guard(double *guard, const ot_learned *l, ot_rule_kind kind, double cutoff, double k, double escape);

#ifdef __cplusplus
}
#endif
#endif

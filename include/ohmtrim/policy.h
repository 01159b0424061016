/* policy.h - learning-rate policies: the rate of every iteration as a pure function, after LRBench.  Part of the train stage.
 *
 *     ot_policy p, q;
 *     ot_status st = ot_policy_read(&p, "FIX(k0=0.02)@50%, COS(k1=0.02 l=50%)");
 *     if (st == OT_OK) st = ot_policy_for(&q, &p, 469, 469);            // a run of 469 iterations, one epoch
 *     if (st == OT_OK) printf("%g\n", ot_policy_lr(&q, 300));           // 0.0164...
 *
 * With t the iteration, from 0; tri(t) rises from 0 at t = 0 to 1 at t = l and falls to 0 at 2 l, over and over, and
 * sn(t) = |sin(pi t / (2 l))|:
 *
 *     FIX     k0                              TRI     (k1 - k0) tri(t) + k0
 *     STEP    k0 gamma^floor(t / l)           TRI2    (k1 - k0) tri(t) / 2^floor(t / (2 l)) + k0
 *     NSTEP   k0 gamma^(how many l <= t)      TRIEXP  (k1 - k0) tri(t) gamma^t + k0
 *     EXP     k0 gamma^t                      SIN     (k1 - k0) sn(t) + k0
 *     INV     k0 / (1 + gamma t)^p            SIN2    (k1 - k0) sn(t) / 2^floor(t / (2 l)) + k0
 *     POLY    (k1 - k0) (1 - t / l)^p + k0    SINEXP  (k1 - k0) sn(t) gamma^t + k0
 *     COS     (k1 - k0) / 2 (1 + cos(pi t / l)) + k0
 *
 * POLY stays at k0 past l.  A composite is a row of functions, each with the iteration at which the next takes over; each counts t
 * from its own beginning.
 *
 * As text: the name, then its parameters in any order, with or without parentheses and commas: "COS k0=0 k1=0.05 l=1000".  NSTEP's l
 * is a list, [100,200].  k0 may be left out where there is a k1 (0).  Lengths are iterations, epochs (3ep) or percent of the run (50%);
 * gamma of EXP, INV, TRIEXP and SINEXP is that of one iteration, or of any length: gamma=0.01/100% falls to a hundredth over the run.
 * In a composite each but the last function is followed by @ and where it ends, counted from the beginning of all.
 * "none" is no policy.  Since 0.1. */
#ifndef OHMTRIM_POLICY_H
#define OHMTRIM_POLICY_H

#include "ohmtrim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ot_policy_kind {
    OT_POLICY_FIX, OT_POLICY_STEP, OT_POLICY_NSTEP, OT_POLICY_EXP, OT_POLICY_INV, OT_POLICY_POLY, OT_POLICY_TRI, OT_POLICY_TRI2,
    OT_POLICY_TRIEXP, OT_POLICY_SIN, OT_POLICY_SIN2, OT_POLICY_SINEXP, OT_POLICY_COS, OT_POLICY_KINDS
} ot_policy_kind;
const char *ot_policy_name(ot_policy_kind kind);     /* "TRIEXP" */
const char *ot_policy_formula(ot_policy_kind kind);  /* "(k1 - k0) tri(t) gamma^t + k0" */

/* A length of time: so many iterations, epochs, or percent of the run. */
typedef enum ot_span_unit { OT_SPAN_ITERATIONS, OT_SPAN_EPOCHS, OT_SPAN_PERCENT } ot_span_unit;
typedef struct ot_span {
    double n;
    ot_span_unit unit;
} ot_span;

enum { OT_POLICY_PARTS = 8, OT_POLICY_STEPS = 8, OT_POLICY_TEXT = 512 };

/* One function; what it has no use for is 0. */
typedef struct ot_policy_part {
    ot_policy_kind kind;
    double k0, k1, gamma, p;
    ot_span l, per;                /* per: the time that gamma is of (EXP, INV, TRIEXP, SINEXP) */
    int n_steps;
    ot_span step[OT_POLICY_STEPS]; /* NSTEP's l, rising */
} ot_policy_part;

/* No pointers: copied by assignment.  All zero: no policy. */
typedef struct ot_policy {
    int n; /* functions; more than 1: a composite */
    ot_policy_part part[OT_POLICY_PARTS];
    ot_span until[OT_POLICY_PARTS]; /* where part i ends, from the beginning of the run; of the first n - 1 */
} ot_policy;

/* OT_E_RANGE and a sentence for what is no policy: an unknown name (with the nearest one), a parameter that is missing, unknown or out
 * of range, a negative rate, boundaries that do not rise.  Then *out is untouched. */
ot_status ot_policy_read(ot_policy *out, const char *text);
ot_status ot_policy_check(const ot_policy *p);
/* The text that reads back to the same policy, OT_POLICY_TEXT bytes at most (ot_policy_check sees to it); of one that ot_policy_check
 * refuses: "?". */
void ot_policy_write(char out[OT_POLICY_TEXT], const ot_policy *p);

/* The same policy with every length in iterations, for a run of `run` iterations of which `epoch` (a fraction is fine) are an epoch.
 * OT_E_RANGE as ot_policy_check, and where lengths of several units turn out not to rise. */
ot_status ot_policy_for(ot_policy *out, const ot_policy *p, double run, double epoch);
/* 1 if what ot_policy_for gives depends on how long the run is. */
int ot_policy_scales(const ot_policy *p);

/* The rate at iteration t (0 or more) of a policy whose lengths are in iterations (NaN of another, and of none): depends on its
 * arguments alone. */
double ot_policy_lr(const ot_policy *p, double t);

/* A usual form of each function over a whole run, its largest rate `top`: the candidates of ot_recommend. */
ot_status ot_policy_usual(ot_policy *out, ot_policy_kind kind, double top);

/* What does the steps.  SGD: v = momentum v + g, x -= lr v (plain where momentum is 0); Adam: betas 0.9 and 0.999, epsilon 1e-8. */
typedef enum ot_optimizer { OT_OPTIMIZER_SGD, OT_OPTIMIZER_ADAM } ot_optimizer;
/* "sgd" leaves *momentum as it is; "momentum" is SGD and makes a *momentum of 0 0.9; "adam".  OT_E_RANGE for another. */
ot_status ot_optimizer_parse(ot_optimizer *out, double *momentum, const char *name);
const char *ot_optimizer_name(ot_optimizer optimizer, double momentum); /* "sgd" for momentum 0, else "momentum"; "adam" */

#ifdef __cplusplus
}
#endif
#endif

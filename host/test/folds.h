/* folds.h - fits of screens out of fold: what screen.c, choose.c and folds.c share. */
#ifndef OT_TEST_FOLDS_H
#define OT_TEST_FOLDS_H

#include "test/mrcd.h"

/* Rows, dealt: row order[i] is in fold i % folds. */
typedef struct ot__dealt {
    const double   *x;                 /* (n, p) */
    const uint32_t *order;             /* (n) */
    int             n, p, folds, threads;      /* threads 0: one a core */
} ot__dealt;

/* One way to fit, and what comes of it. */
typedef struct ot__trial {
    ot_screen_options o;               /* decided: bend not 0, condition not 0 where it matters */
    int     starts;                    /* MRCD's first subsets */
    double *distance;                  /* (n) out: of each row, from the fit that did not see it */
    double *log_size;                  /* (folds) out: of each fit's region d2 <= 1, but for a constant of p; NaN where it has none */
} ot__trial;

/* All rows, by the first trial. */
typedef struct ot__whole {
    ot_screen   screen;                /* owned */
    ot__scatter scatter;
    double     *distance;              /* (n) out: in sample */
} ot__whole;

/* One fit (screen.c); `stream` separates the random starts of fits with one seed. */
ot_status ot__screen_fit_rows(ot_screen *out, ot__scatter *r, const double *x, int n, int p, const ot__trial *t, uint32_t stream);
/* Every fold of every trial, and `whole` unless it is NULL, shared out among threads. */
ot_status ot__folds_run(const ot__dealt *d, ot__trial *trials, int n_trials, ot__whole *whole);
/* log volume of a trial's region of normal rows, its threshold being a quantile of its distances (which are sorted). */
double    ot__trial_volume(ot__trial *t, const ot__dealt *d);
/* Decides what in o->bend and o->condition is 0 (choose.c). */
ot_status ot__screen_choose(ot_screen_options *o, const ot__dealt *d);

#endif

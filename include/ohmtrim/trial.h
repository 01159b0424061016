/* trial.h - learning-rate policies on trial: is an accuracy reached within a budget, and which policy does it best?  Part of the tune
 * stage; after LRBench's verification and recommendation.
 *
 *     ot_lab *lab;
 *     ot_data *train;
 *     ot_candidate c = {.optimizer = OT_OPTIMIZER_ADAM};
 *     ot_score score;
 *     ot_trial_task task = ot_trial_defaults();
 *     ot_status st = ot_data_open(&train, "fashion-mnist", OT_SPLIT_TRAIN, 0);
 *     task.net = net, task.device = &dev, task.train = train, task.judge = test, task.table = "trials.csv";
 *     if (st == OT_OK) st = ot_policy_read(&c.policy, "COS k1=0.02 l=100%");
 *     if (st == OT_OK) st = ot_lab_open(&lab, &task);
 *     if (st == OT_OK) st = ot_trials_run(&score, lab, &c, 1, 8, 0.89);       // eight chips, 89 %
 *     if (st == OT_OK) printf("%lld iterations\n", (long long)score.to_target);
 *     ot_lab_close(lab), ot_data_free(train);
 *
 * A trial tunes one chip with one candidate for the whole budget and counts right answers on the way, at iteration 0, `every`, 2 `every`,
 * ..., and the last.  Trials go into a table, a CSV file with a line a trial; what is there already is not run again, so a run that was
 * killed goes on, and later runs with other candidates or more chips add to it.  A trial depends on task, candidate and chip alone, not
 * on threads or on the other trials.  Since 0.1. */
#ifndef OHMTRIM_TRIAL_H
#define OHMTRIM_TRIAL_H

#include "ohmtrim/tune.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_candidate {
    ot_policy policy;          /* none: task.tune.lr throughout */
    ot_optimizer optimizer;
    double momentum;           /* SGD's */
} ot_candidate;

/* What the trials have in common.  All pointers are borrowed and must outlive the lab. */
typedef struct ot_trial_task {
    const ot_network *net;
    const ot_device *device;
    ot_variation variation;
    const ot_data *train, *judge; /* images tuned on; images whose right answers are counted */
    const char *backend;          /* "auto" */
    ot_tuner tuner;               /* exhaustive, subset or closed-form-adam: where knobs begin and which images they see */
    ot_tune_options tune;         /* minibatch, seed, numbers of images; lr for candidates without a policy */
    int steps, every;             /* the budget in iterations; how often answers are counted */
    uint32_t first_chip;          /* trials are on chips first_chip, first_chip + 1, ... */
    int threads;                  /* change nothing but time; 0: one a core */
    size_t memory;                /* bytes; 0: no limit */
    const char *table;            /* CSV file; NULL: trials are forgotten with the lab */
} ot_trial_task;
ot_trial_task ot_trial_defaults(void); /* exhaustive, 100 steps, counted every 10 */

typedef struct ot_lab ot_lab;
/* OT_E_RANGE, OT_E_SHAPE for a task that does not go; OT_E_FORMAT for a table that is no such table, naming the line; OT_E_MEMORY_PLAN. */
ot_status ot_lab_open(ot_lab **out, const ot_trial_task *task);
void ot_lab_close(ot_lab *lab);
const char *ot_lab_key(const ot_lab *lab); /* the task in words, as the table's first column has it */
int ot_lab_points(const ot_lab *lab);      /* how often a trial counts: point k is iteration ot_lab_at(lab, k) */
int ot_lab_at(const ot_lab *lab, int point);

/* A candidate on `chips` chips.  Accuracies are fractions of the judge's images, means over the chips. */
typedef struct ot_score {
    int chips, fresh;              /* trials counted; of them run now, not read from the table */
    double before, after, worst;   /* mean at iteration 0 and at the last; the worst chip's last */
    int64_t to_target;             /* the first counted iteration at which the mean is the target or more; -1: none is */
    int at_target;                 /* chips whose own last accuracy is the target or more */
    double images, target_images;  /* images forward, and as many backward, a chip: for the budget; up to to_target (NaN if -1) */
    double seconds;                /* a chip, for the budget, as measured when it ran */
} ot_score;

/* Scores of n candidates on the first `chips` chips; runs the trials that are missing.  target NaN: none. */
ot_status ot_trials_run(ot_score *out, ot_lab *lab, const ot_candidate *c, int n, int chips, double target);
/* Mean accuracy at each point, (ot_lab_points), of trials that were run or read.  OT_E_RANGE if one is not there. */
ot_status ot_trials_curve(double *out, const ot_lab *lab, const ot_candidate *c, int chips);
/* Mean over the chips of (accuracy with a) - (with b) at the end, and its standard error (NaN for one chip). */
ot_status ot_trials_compare(double *mean, double *error, const ot_lab *lab, const ot_candidate *a, const ot_candidate *b, int chips);

/* Successive halving: all n candidates on `first` chips; the better half, and always candidate 0, on twice as many; and so on until those
 * left have been on `chips`.  Better is: the target reached in fewer iterations (reached before not reached), then the higher mean at the
 * end, then the lower number.  out (n): score of each where it stopped; order (n): best first, by how far they came. */
ot_status ot_recommend(ot_score *out, int *order, ot_lab *lab, const ot_candidate *c, int n, int first, int chips, double target);

#ifdef __cplusplus
}
#endif
#endif

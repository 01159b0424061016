/* bench_lr.h - trials of learning-rate policies behind `ohmtrim bench lr`: cmd_bench.c reads what is asked for, bench_lr.c does it. */
#ifndef OHMTRIM_BENCH_LR_H
#define OHMTRIM_BENCH_LR_H

#include "cli.h"

enum { MOST = 64, OPTIMIZERS = 3 };
typedef struct bench_lr_args {
    cli_common   common;
    ot_trial_task task;
    const char  *what, *network, *plot;
    ot_policy    policy[MOST];
    const char  *optimizer[OPTIMIZERS];
    double       rate[MOST], momentum, target, drop, epochs;
    int          shape[OT_POLICY_KINDS], n_policies, n_optimizers, n_rates, chips, train_limit, recommend, rung_chips, skip, top, list, steps_given, every_given, drop_given;
} bench_lr_args;

/* Verifies or recommends on chips of a->network, prints, draws; without a network draws only.  OT_E_NO: a policy did not reach the target. */
ot_status bench_lr(bench_lr_args *a);
void      bench_lr_list(const bench_lr_args *a);

#endif

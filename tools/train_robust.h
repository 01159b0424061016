/* train_robust.h - options of `ohmtrim train` for networks that will be quantised and vary. */
#ifndef OT_TRAIN_ROBUST_CLI_H
#define OT_TRAIN_ROBUST_CLI_H

#include "cli.h"

typedef struct train_robust_args {
    ot_robust_options opt;       /* begins as ot_train_defaults has it */
    int               post_training, device, given;
    ot_device         dev;       /* what opt.device will point to */
} train_robust_args;

/* A child of the verb's argp; its input is a train_robust_args. */
extern const struct argp train_robust_argp;
/* What was asked for, into the options; --epochs and the common options are known by now.  *a must outlive them. */
ot_status train_robust_take(ot_train_options *out, train_robust_args *a, const cli_common *common);

#endif

/* eval_noise.h - `ohmtrim eval --noise`: a network's accuracy over chips of weight noise. */
#ifndef OT_EVAL_NOISE_H
#define OT_EVAL_NOISE_H

#include "cli.h"

/* "proportional:SW", "fixed:SW", either with ",SB"; 0 if the text is something else. */
int cli_parse_noise(ot_noise *out, const char *text);

typedef struct eval_noise_args {
    int          asked, samples_given;      /* --noise, --samples */
    ot_noise_run run;
} eval_noise_args;

/* A child of the verb's argp; its input is an eval_noise_args. */
extern const struct argp eval_noise_argp;
ot_status eval_noise(const cli_common *common, eval_noise_args *a, const ot_network *net, const ot_data *data, int tile);

#endif

/* cli.h - what the verbs share: common options (DESIGN 5), opening of networks, data and devices, errors to exit codes.
 *
 * A verb is one file tools/cmd_VERB.c with `int cmd_VERB(int argc, char **argv)`; the Makefile finds it.  argv[0] is "ohmtrim VERB". */
#ifndef OT_CLI_H
#define OT_CLI_H

#include "ohmtrim.h"

#include <argp.h>
#include <cjson/cJSON.h>
#include <stdio.h>

typedef struct cli_common {
    const char  *backend;          /* auto */
    const char  *data;             /* NAME[:DIR], NULL if not given */
    const char  *device_model;     /* r1 */
    ot_variation variation;        /* --sigma --sys-share --bits --seed --stuck-lrs --stuck-hrs */
    int          limit;            /* 0: all */
    int          threads;          /* 0: one a core */
    size_t       memory;           /* bytes, 0: no limit */
    int          dry_run, json, quiet;
    uint64_t     given;            /* bit (key - CLI_FIRST) set for each option on the command line */
} cli_common;

enum { CLI_FIRST = 0x1000, CLI_BACKEND = CLI_FIRST, CLI_SEED, CLI_THREADS, CLI_MEMORY, CLI_DATA, CLI_LIMIT, CLI_DEVICE_MODEL, CLI_SIGMA,
       CLI_SYS_SHARE, CLI_BITS, CLI_CONFIG, CLI_DRY_RUN, CLI_JSON, CLI_STUCK_LRS, CLI_STUCK_HRS, CLI_VERB_FIRST /* keys of a verb's own options start here */ };

/* A verb's argp puts its own options first, lists this child, and sets state->child_inputs[0] = &common on ARGP_KEY_INIT:
 *     static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};                       */
extern const struct argp cli_argp;
void cli_defaults(cli_common *c);
int  cli_given(const cli_common *c, int key);

/* Parse with argp; help and usage errors exit at once (0 or 2). */
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* Puts the options of `--config FILE`, if given, before the others; every long option of `argp` is a key (cli_parse calls it). */
ot_status cli_config_words(int *argc, char ***argv, const struct argp *argp);
/* For a sentence about the word in hand: "FILE: " if that file has it, and then the error is bad input (exit 3); else "". */
const char *cli_config_place(const struct argp_state *state);

/* Numbers of the command line, checked whole: a wrong one is a usage error that names the option, the text and what is wanted. */
double   cli_double(struct argp_state *state, const char *option, const char *text, double least, double most);
int64_t  cli_int(struct argp_state *state, const char *option, const char *text, int64_t least, int64_t most);
uint64_t cli_u64(struct argp_state *state, const char *option, const char *text);
/* A whole number of least..most at *p, which moves behind it; 0 if there is none. */
int      cli_take_int(int *out, const char **p, int least, int most);

/* Prints "ohmtrim VERB: sentence" for ot_last_error and gives the exit code of `st`. */
int  cli_fail(const char *verb, ot_status st);
/* To stderr unless -q. */
void cli_say(const cli_common *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One JSON object as one line on stdout (numbers with all digits), then frees it. */
void cli_print_json(cJSON *object);
void cli_json_number(cJSON *object, const char *name, double value);      /* NaN and infinity become null */

/* Whether a file can be written there, tried: what is there stays as it is.  OT_E_USAGE, OT_E_WRITE. */
ot_status cli_check_writable(const char *path);
int cli_same_file(const char *a, const char *b);
/* Fields macs, macs_tuning, weights, weights_tuning: an image's multiply-accumulates and the chip's weights (a weight is one cell of a module),
 * of the network and of its modules; the same as a sentence's end. */
void cli_add_self_tuning_cost(cJSON *o, const ot_self_tuning_cost *c);
const char *cli_self_tuning_cost(char out[160], const ot_self_tuning_cost *c);

/* Warnings of the network go to stderr. */
ot_status cli_open_network(const cli_common *c, ot_network **net, const char *path);
/* Is a word a built-in network, NAME or NAME@WIDTH, and no file? */
int cli_is_model(const char *word);
/* The training set of a name (mnist, ..., cifar100; what follows a colon does not count) as published: numbers and shape, no images. */
ot_status cli_published_data(ot_data **out, const char *name);
/* A remark where chips are drawn with other bits than the network asks for (ohmtrim.bits). */
void cli_say_bits(const cli_common *c, const ot_network *net, const char *path);
/* --device-model; says how many cells at --sigma lie outside what the device describes. */
ot_status cli_open_device(const cli_common *c, ot_device *dev);
ot_status cli_open_backend(const cli_common *c, ot_backend **be);         /* says what was picked and why */

/* Gains and offsets (L each) from what `tune --json` prints, or from an npz with arrays gain and offset; checked. */
ot_status cli_read_knobs(float *gain, float *offset, const ot_network *net, const char *path);
ot_status cli_parse_knobs(float *gain, float *offset, int n, const void *bytes, size_t n_bytes, const char *path);

/* An npy file, or FILE.npz:NAME, an array of an npz file. */
ot_status cli_read_array(ot_array *out, const char *path);
/* A table of numbers, (rows, columns) doubles freed with ot_free: such an array of float32 or float64 ((rows, columns), or (columns) for one
 * row, or (rows) where columns is 1), or text with commas between and an optional first line of names.  OT_E_SHAPE unless each row has
 * `columns`; with `gaps` an empty field or nan is NaN, else every number must be finite. */
ot_status cli_read_table(double **out, int *rows, int columns, int gaps, const char *path);
ot_status cli_parse_table(double **out, int *rows, int columns, int gaps, const void *bytes, size_t n_bytes, const char *path);

#endif

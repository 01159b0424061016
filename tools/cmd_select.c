/* cmd_select.c - `ohmtrim select`: which images to show a chip.  Three sources: a campaign, a measured matrix, a network alone. */
#include "select_campaign.h"
#include "select_synthesise.h"

#include <stdlib.h>
#include <string.h>

enum { OUT = 'o', K = 'k', LINKAGE = CLI_VERB_FIRST + 16, SWEEP, REMIX, CANDIDATES, STATE, CHIPS, NAME, ADD, CORRECT, PREDICTOR, FOLDS, SYNTHESISE, LOSS, STEPS, BY, NOISE, DROP };

static const struct argp_option options[] = {
    {0, K, "N", 0, "images to choose (10)", 0},
    {"linkage", LINKAGE, "ward|average|complete", 0, "of the clustering (ward)", 0},
    {"chips", CHIPS, "N", 0, "a campaign: use the first N casebook chips (all); --synthesise: simulated chips (100)", 0},
    {"name", NAME, "NAME", 0, "a campaign: what the stimulus is called there (medoids-K, remix-K, images)", 0},
    {"sweep", SWEEP, "N,N,..", 0, "a campaign: other K for the table of trade-offs; -k is chosen", 0},
    {"remix", REMIX, "ROUNDS", 0, "a campaign: then mix with filtered test images for so many rounds, keep the set that predicts best; a stopped loop goes on", 0},
    {"candidates", CANDIDATES, "N", 0, "images made a round or in all (200)", 0},
    {"state", STATE, "FILE.npz", 0, "where the remix loop is kept between runs (FILE.db.remix.npz)", 0},
    {"predictor", PREDICTOR, "mars|boost|ridge", 0, "whose error counts (mars)", 0},
    {"folds", FOLDS, "N", 0, "of its cross-validation (5)", 0},
    {"add", ADD, "FILE.npz", 0, "a campaign: only put the array `images` (k, c, h, w) of this file in", 0},
    {"correct", CORRECT, "V.npy", 0, "a measured matrix of 0 and 1, (images, chips): clusters and medoids; no campaign", 1},
    {"synthesise", SYNTHESISE, "NET.onnx", 0, "images made from noise by the network alone; no campaign", 2},
    {"output", OUT, "F.npz", 0, "--synthesise: where the images go", 2},
    {"loss", LOSS, "confident|boundary", 0, "--synthesise: what the network shall think of them (confident)", 2},
    {"steps", STEPS, "N", 0, "--synthesise: of gradient (300)", 2},
    {"by", BY, "logdet|auc", 0, "--synthesise: the choice: most information, or good chips told from bad ones best (logdet)", 2},
    {"noise", NOISE, "X", 0, "--synthesise: of a measurement, in spreads (0.1)", 2},
    {"drop", DROP, "X", 0, "--synthesise --by auc: a good chip loses at most this (0.02)", 2},
    {0},
};

typedef struct args {
    cli_common             common;
    select_args            s;
    select_synthesise_args made;
    const char            *correct;
    int                    k, candidates, only_campaign, only_made;      /* the last two: an option of that source was given */
} args;

static void take_sweep(args *a, struct argp_state *state, const char *text)
{
    char  copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    a->s.n_sweep = 1;
    for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        if (a->s.n_sweep == SELECT_SWEEP) argp_error(state, "--sweep: want at most %d numbers", SELECT_SWEEP - 1);
        a->s.sweep[a->s.n_sweep++] = (int)cli_int(state, "sweep", word, 1, 10000);
    }
}

static void check_words(args *a, struct argp_state *state)
{
    if (!!a->s.db + !!a->correct + !!a->made.network != 1) argp_error(state, "want one of: a campaign's database, --correct V.npy, --synthesise NET.onnx");
    if (!a->s.db && a->only_campaign) argp_error(state, "--name, --sweep, --remix, --state and --add go with a campaign's database");
    if (!a->made.network && a->only_made) argp_error(state, "-o, --loss, --steps, --by, --noise and --drop go with --synthesise");
    a->s.sweep[0] = a->s.remix.k = a->made.k = a->k;
    if (!a->s.n_sweep) a->s.n_sweep = 1;
    if (a->candidates) a->s.remix.candidates = a->made.opt.images = a->candidates;
    if (a->s.chips) a->made.chips = a->s.chips;
}

static error_t parse_made(int key, char *arg, args *a, struct argp_state *state)
{
    select_synthesise_args *m = &a->made;
    a->only_made = 1;
    switch (key) {
    case OUT: m->out = arg; return 0;
    case LOSS:
        if (ot_synthesis_loss_parse(&m->opt.loss, arg) != OT_OK) argp_error(state, "--loss: %s", ot_last_error());
        return 0;
    case STEPS: m->opt.steps = (int)cli_int(state, "steps", arg, 1, 100000); return 0;
    case BY:
        if (strcmp(arg, "auc") && strcmp(arg, "logdet")) argp_error(state, "--by = '%s', want logdet or auc", arg);
        m->by_auc = !strcmp(arg, "auc");
        return 0;
    case NOISE: m->noise = cli_double(state, "noise", arg, 1e-6, 1000); return 0;
    case DROP: m->drop = cli_double(state, "drop", arg, 0, 1); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args        *a = state->input;
    select_args *s = &a->s;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case K: a->k = (int)cli_int(state, "k", arg, 1, 10000); return 0;
    case LINKAGE:
        if (ot_linkage_parse(&s->remix.linkage, arg) != OT_OK) argp_error(state, "--linkage: %s", ot_last_error());
        return 0;
    case CHIPS: s->chips = (int)cli_int(state, "chips", arg, 2, 100000); return 0;
    case CANDIDATES: a->candidates = (int)cli_int(state, "candidates", arg, 1, 100000); return 0;
    case FOLDS: s->remix.folds = (int)cli_int(state, "folds", arg, 2, 1000); return 0;
    case PREDICTOR: {
        ot_predictor_kind kind;
        if (ot_predictor_parse(&kind, arg) != OT_OK) argp_error(state, "--predictor: %s", ot_last_error());
        s->remix.predictor = ot_predictor_defaults(kind);
        s->remix.predictor.hold = 1;
        return 0;
    }
    case NAME: s->name = arg, a->only_campaign = 1; return 0;
    case SWEEP: take_sweep(a, state, arg), a->only_campaign = 1; return 0;
    case REMIX: s->rounds = (int)cli_int(state, "remix", arg, 1, 100000), a->only_campaign = 1; return 0;
    case STATE: s->state = arg, a->only_campaign = 1; return 0;
    case ADD: s->add = arg, a->only_campaign = 1; return 0;
    case CORRECT: a->correct = arg; return 0;
    case SYNTHESISE: a->made.network = arg; return 0;
    case OUT: case LOSS: case STEPS: case BY: case NOISE: case DROP: return parse_made(key, arg, a, state);
    case ARGP_KEY_ARG:
        if (s->db) argp_error(state, "'%s' is one word too many, want one database", arg);
        s->db = arg;
        return 0;
    case ARGP_KEY_END: check_words(a, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {
    options, parse, "FILE.db\n--correct V.npy\n--synthesise NET.onnx -o F.npz",
    "Chooses the images that tell most of a chip: clusters the test images by which casebook chips answer them rightly and takes each cluster's "
    "medoid, shows what a predictor makes of them beside as many random images, and puts them into the campaign's file as a stimulus.\v"
    "The next `campaign run` lets every chip answer it; `learn --stimulus NAME` learns from it.  docs/stimulus.md says what to expect.\n\n"
    "Examples:\n"
    "  ohmtrim select c.db -k 10 --sweep 5,20,40\n"
    "  ohmtrim select c.db -k 10 --remix 20 --name mixed\n"
    "  ohmtrim select --correct V.npy -k 10 --linkage ward --json\n"
    "  ohmtrim select --synthesise models/mobilenet-s.onnx -k 10 -o made.npz",
    children, NULL, NULL};

int cmd_select(int argc, char **argv);
int cmd_select(int argc, char **argv)
{
    args a = {.k = 10, .s = {.remix = ot_remix_defaults()}};
    cli_defaults(&a.common);
    a.made = select_synthesise_defaults(&a.common);
    a.s.common = &a.common;
    cli_parse(&argp, argc, argv, &a);
    a.s.remix.seed = a.common.variation.seed;
    a.s.remix.threads = a.common.threads;
    ot_status st = a.made.network ? select_synthesise(&a.made) : a.correct ? select_matrix(&a.s, a.correct) : a.s.add ? select_add(&a.s) : select_campaign(&a.s);
    return st == OT_OK ? 0 : cli_fail("select", st);
}

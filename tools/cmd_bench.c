/* cmd_bench.c - `ohmtrim bench lr`: learning-rate policies of tuning, verified against a target accuracy and a budget, recommended by
 * successive halving, drawn. */
#include "base/fail.h"
#include "bench_lr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POLICY = CLI_VERB_FIRST + 0x100, OPTIMIZER, MOMENTUM, LR, TARGET, DROP, STEPS, EPOCHS, EVERY, CHIPS, FIRST_CHIP, TUNER, MINIBATCH, TRAIN_LIMIT, POLISH_IMAGES,
       RECOMMEND, SHAPES, RATES, RUNG_CHIPS, SKIP, TABLE, PLOT, TOP, LIST };

static const struct argp_option options[] = {
    {"policy", POLICY, "TEXT", 0, "a policy to verify (to try besides, with --recommend); may be given several times", 0},
    {"optimizer", OPTIMIZER, "O[,O...]", 0, "each of adam, sgd, momentum with every policy (adam)", 0},
    {"momentum", MOMENTUM, "X", 0, "of momentum (0.9)", 0},
    {"target", TARGET, "X", 0, "accuracy to be reached, a fraction", 0},
    {"drop", DROP, "X", 0, "or so far below the ideal network's (0.01)", 0},
    {"steps", STEPS, "N", 0, "budget: iterations (100)", 0},
    {"epochs", EPOCHS, "X", 0, "budget: passes over the tuner's images; without a network: of how many epochs --steps are (1)", 0},
    {"every", EVERY, "N", 0, "count right answers every N iterations (a tenth of the budget)", 0},
    {"chips", CHIPS, "N", 0, "chips to try on (8)", 0},
    {"first-chip", FIRST_CHIP, "N", 0, "the first of them (0)", 0},
    {"tuner", TUNER, "T", 0, "exhaustive, subset or closed-form-adam: where knobs begin and which images they see (exhaustive)", 0},
    {"minibatch", MINIBATCH, "N", 0, "images an iteration (128)", 0},
    {"train-limit", TRAIN_LIMIT, "N", 0, "use only the first N training images (all)", 0},
    {"polish-images", POLISH_IMAGES, "N", 0, "closed-form-adam: labelled images", 0},
    {"recommend", RECOMMEND, 0, 0, "try a grid of policies by successive halving, best first", 0},
    {"shapes", SHAPES, "F[,F...]", 0, "functions of the grid (all 13)", 0},
    {"rates", RATES, "X[,X...]", 0, "largest rates of the grid (0.003,0.01,0.03)", 0},
    {"rung-chips", RUNG_CHIPS, "N", 0, "chips of the first round of halving (2)", 0},
    {"lr", LR, "X", 0, "the fixed rate that the grid is compared with (the tuners' default)", 0},
    {"skip", SKIP, "N", 0, "judge by the test images after the first N; --limit says by how many (0; 2000 of them)", 0},
    {"table", TABLE, "F.csv", 0, "keep every trial there, and take from there what it has", 0},
    {"plot", PLOT, "F.svg|F.png", 0, "draw the policies (with --recommend the five best); needs no network", 0},
    {"top", TOP, "N", 0, "print the N best (10)", 0},
    {"list", LIST, 0, 0, "list the functions", 0},
    {0},
};

/* ---- words ---- */

/* The next word of a list with commas, 0 at its end. */
static int next_word(char *out, size_t room, const char **text)
{
    if (!**text) return 0;
    size_t n = strcspn(*text, ",");
    snprintf(out, room, "%.*s", (int)(n < room ? n : room - 1), *text);
    *text += n + ((*text)[n] == ',');
    return 1;
}

static void parse_optimizers(bench_lr_args *a, const char *text, struct argp_state *state)
{
    static const char *const names[OPTIMIZERS] = {"adam", "sgd", "momentum"};
    char word[32];
    for (a->n_optimizers = 0; next_word(word, sizeof word, &text);) {
        int i = 0;
        while (i < OPTIMIZERS && strcmp(names[i], word)) i++;
        if (i == OPTIMIZERS) argp_error(state, "--optimizer: '%s' is not known, want adam, sgd, momentum or several of them with commas", word);
        for (int k = 0; k < a->n_optimizers; k++)
            if (a->optimizer[k] == names[i]) argp_error(state, "--optimizer: %s stands there twice, want it once", word);
        a->optimizer[a->n_optimizers++] = names[i];
    }
    if (!a->n_optimizers) argp_error(state, "--optimizer: none, want adam, sgd, momentum or several of them with commas");
}

static void parse_shapes(bench_lr_args *a, const char *text, struct argp_state *state)
{
    char word[32];
    memset(a->shape, 0, sizeof a->shape);
    while (next_word(word, sizeof word, &text)) {
        int k = 0;
        while (k < OT_POLICY_KINDS && strcmp(ot_policy_name((ot_policy_kind)k), word)) k++;
        if (k == OT_POLICY_KINDS) argp_error(state, "--shapes: '%s' is not known; --list lists the functions", word);
        a->shape[k] = 1;
    }
}

static void parse_rates(bench_lr_args *a, const char *text, struct argp_state *state)
{
    char word[32];
    for (a->n_rates = 0; next_word(word, sizeof word, &text);) {
        if (a->n_rates == MOST) argp_error(state, "--rates: more than %d", MOST);
        a->rate[a->n_rates++] = cli_double(state, "rates", word, 1e-9, 100);
    }
    if (!a->n_rates) argp_error(state, "--rates: none, want such as 0.003,0.01");
}

static void parse_end(bench_lr_args *a, struct argp_state *state)
{
    if (!a->what || strcmp(a->what, "lr")) argp_error(state, "which benchmark? want `ohmtrim bench lr`");
    if (a->list) return;
    if (!a->network && !a->plot) argp_error(state, "a network is wanted: an ONNX file (or --plot, or --list)");
    if (!a->n_policies && !a->recommend) argp_error(state, "--policy TEXT is wanted, e.g. --policy 'COS k1=0.02 l=100%%' (or --recommend)");
    if (!a->network && a->recommend) argp_error(state, "--recommend wants a network");
    if (a->network && !a->common.data) argp_error(state, "--data is wanted, e.g. --data fashion-mnist");
    if (a->drop_given && !isnan(a->target)) argp_error(state, "--target and --drop both say what is to be reached, want one of them");
    if (a->task.first_chip > UINT32_MAX - (uint32_t)(a->chips - 1))
        argp_error(state, "--first-chip = %u and %d chips: want numbers up to %u", a->task.first_chip, a->chips, UINT32_MAX);
    if (a->rung_chips > a->chips) argp_error(state, "--rung-chips = %d, want at most --chips = %d", a->rung_chips, a->chips);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    bench_lr_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case POLICY:
        if (a->n_policies == MOST) argp_error(state, "--policy: more than %d", MOST);
        if (ot_policy_read(&a->policy[a->n_policies], arg) != OT_OK) argp_error(state, "--policy: %s", ot_last_error());
        if (!a->policy[a->n_policies++].n) argp_error(state, "--policy: '%s' is none, want one", arg);
        return 0;
    case OPTIMIZER: parse_optimizers(a, arg, state); return 0;
    case MOMENTUM: a->momentum = cli_double(state, "momentum", arg, 1e-6, 0.9999); return 0;
    case LR: a->task.tune.lr = cli_double(state, "lr", arg, 1e-9, 1); return 0;
    case TARGET: a->target = cli_double(state, "target", arg, 0, 1); return 0;
    case DROP:
        a->drop = cli_double(state, "drop", arg, 0, 1);
        a->drop_given = 1;
        return 0;
    case STEPS:
        a->task.steps = (int)cli_int(state, "steps", arg, 1, 1000000);
        a->steps_given = 1;
        return 0;
    case EPOCHS: a->epochs = cli_double(state, "epochs", arg, 1e-6, 1000); return 0;
    case EVERY:
        a->task.every = (int)cli_int(state, "every", arg, 1, 1000000);
        a->every_given = 1;
        return 0;
    case CHIPS: a->chips = (int)cli_int(state, "chips", arg, 1, 100000); return 0;
    case FIRST_CHIP: a->task.first_chip = (uint32_t)cli_int(state, "first-chip", arg, 0, UINT32_MAX); return 0;
    case TUNER:
        if (ot_tuner_parse(&a->task.tuner, arg) != OT_OK) argp_error(state, "--tuner: %s", ot_last_error());
        return 0;
    case MINIBATCH: a->task.tune.minibatch = (int)cli_int(state, "minibatch", arg, 1, 4096); return 0;
    case TRAIN_LIMIT: a->train_limit = (int)cli_int(state, "train-limit", arg, 0, INT32_MAX); return 0;
    case POLISH_IMAGES: a->task.tune.polish_images = (int)cli_int(state, "polish-images", arg, 1, INT32_MAX); return 0;
    case RECOMMEND: a->recommend = 1; return 0;
    case SHAPES: parse_shapes(a, arg, state); return 0;
    case RATES: parse_rates(a, arg, state); return 0;
    case RUNG_CHIPS: a->rung_chips = (int)cli_int(state, "rung-chips", arg, 1, 100000); return 0;
    case SKIP: a->skip = (int)cli_int(state, "skip", arg, 0, INT32_MAX); return 0;
    case TABLE: a->task.table = arg; return 0;
    case PLOT: a->plot = arg; return 0;
    case TOP: a->top = (int)cli_int(state, "top", arg, 1, 100000); return 0;
    case LIST: a->list = 1; return 0;
    case ARGP_KEY_ARG:
        if (!a->what)
            a->what = arg;
        else if (a->network)
            argp_error(state, "'%s': one network only, and '%s' was given", arg, a->network);
        else
            a->network = arg;
        return 0;
    case ARGP_KEY_END: parse_end(a, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {
    options, parse, "lr [NET.onnx]",
    "Verifies learning-rate policies: do knobs tuned with one reach an accuracy within a budget?  Or recommends one.\v"
    "Each chip is tuned with each policy for the whole budget; its right answers are counted on the way.  A policy is verified if the mean over the chips "
    "reaches the target; exit status 1 if one is not.  --recommend tries the 13 functions at several rates, first on a few chips, the better half on twice "
    "as many, and so on, always beside the tuners' own rate, and prints them best first: fewest iterations to the target, then the "
    "highest mean accuracy; verify the best on images that did not choose it (--skip).  With --table nothing is computed twice.  Lengths of a policy are iterations, epochs (3ep) or percent of the run (50%).\n\n"
    "Examples:\n  ohmtrim bench lr models/mobilenet-s.onnx --data fashion-mnist --policy 'COS k1=0.02 l=100%'\n"
    "  ohmtrim bench lr models/mobilenet-s.onnx --data fashion-mnist --recommend --chips 20 --table trials.csv\n"
    "  ohmtrim bench lr --policy 'TRI2 k0=0.001 k1=0.01 l=50' --policy 'EXP k0=0.01 gamma=0.1/100%' --steps 400 --plot policies.svg",
    children, NULL, NULL};

int cmd_bench(int argc, char **argv);
int cmd_bench(int argc, char **argv)
{
    static bench_lr_args a = {.optimizer = {"adam"}, .n_optimizers = 1, .rate = {0.003, 0.01, 0.03}, .n_rates = 3, .momentum = 0.9, .target = NAN, .drop = 0.01, .chips = 8,
                     .top = 10};
    a.task = ot_trial_defaults();
    for (int k = 0; k < OT_POLICY_KINDS; k++) a.shape[k] = 1;
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    if (a.list) {
        bench_lr_list(&a);
        return 0;
    }
    if (!a.rung_chips) a.rung_chips = a.chips < 2 ? 1 : 2;
    ot_status st = bench_lr(&a);
    return st == OT_OK ? 0 : cli_fail("bench", st);
}

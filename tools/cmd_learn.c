/* cmd_learn.c - `ohmtrim learn`: a campaign, or arrays measured on real chips, becomes a recipe. */
#include "cli.h"
#include "learn_arrays.h"
#include "print_verdicts.h"

#include <math.h>
#include <string.h>

enum { OUT = 'o', PREDICTOR = CLI_VERB_FIRST + 16, DEGREE, SCREEN, CONTAMINATION, SUPPORT, BEND, CONDITION, FOLDS, RULE, K, ESCAPE, CUTOFF, DROP, MENDER, CLUSTERS, STIMULUS, IMAGES, SIGNATURE,
       SIGNATURES, ACCURACY, KNOBS, TUNED_SIGNATURES, TUNED_ACCURACY, UPDATE };

static const struct argp_option options[] = {
    {"output", OUT, "FILE.recipe", 0, "the recipe to write; without it only the table is printed", 0},
    {"predictor", PREDICTOR, "mars|boost|ridge", 0, "signature -> accuracy (mars)", 0},
    {"degree", DEGREE, "1|2", 0, "mars: hinges a term at most (1)", 0},
    {"screen", SCREEN, "mrcd|pca-mcd|mcd", 0, "outliers (mrcd)", 0},
    {"contamination", CONTAMINATION, "X", 0, "share of good chips that the screen may flag (0.01)", 0},
    {"support", SUPPORT, "X", 0, "screen: share of the chips that are certainly normal, 0.5..1 (mrcd: 1, the others: half)", 0},
    {"bend", BEND, "auto|none|X", 0, "screen: numbers become asinh(x / X) first (auto: mrcd chooses, the others none)", 0},
    {"condition", CONDITION, "auto|X", 0, "mrcd: condition number of its matrix, 2..1e8 (auto)", 0},
    {"folds", FOLDS, "N", 0, "of cross-validation (5)", 0},
    {"rule", RULE, "000|002|conformal", 0, "verdicts (000)", 0},
    {"k", K, "X", 0, "rule 000: guard band in sd of the prediction's error (2)", 0},
    {"escape", ESCAPE, "X", 0, "rule conformal: how likely a bad chip may pass (0.01)", 0},
    {"cutoff", CUTOFF, "A", 0, "accuracy wanted, 0..1; arrays want it", 0},
    {"drop", DROP, "X", 0, "the same, as loss against the ideal network (0.02)", 0},
    {"mender", MENDER, "NAME", 0, "where knobs come from: learned (default), nearest, knn, ridge, moments, none (default for arrays without --knobs)", 0},
    {"clusters", CLUSTERS, "N", 0, "of the casebook (0: 2..30 by silhouette)", 0},
    {"stimulus", STIMULUS, "NAME", 0, "of the campaign: random, or one that select put there (the campaign's own)", 0},
    {"images", IMAGES, "N", 0, "only the first N images of the stimulus (all)", 0},
    {"signature", SIGNATURE, "full|final|moments", 0, "layer means and class outputs; class outputs alone; full and each layer's input moments (what the campaign's tuners looked at)", 0},
    {"signatures", SIGNATURES, "S.npy", 0, "measured signatures (n, S) of chips as they were made, instead of a campaign; also FILE.npz:NAME, as the next ones", 1},
    {"accuracy", ACCURACY, "A.npy", 0, "their accuracies (n), 0..1", 1},
    {"knobs", KNOBS, "K.npy", 0, "the knobs that mended them (n, 2, L): gains, offsets", 1},
    {"tuned-signatures", TUNED_SIGNATURES, "S.npy", 0, "signatures of chips with knobs set, for the second verdict", 1},
    {"tuned-accuracy", TUNED_ACCURACY, "A.npy", 0, "their accuracies", 1},
    {"update", UPDATE, "CHIPS.npz", 0, "more chips, fully tested since: signature, accuracy, gain, offset (may be missing), tuned_signature, tuned_accuracy (may be "
     "missing); may stand several times", 1},
    {0},
};

typedef struct args {
    cli_common                common;
    ot_campaign_learn_options opt;
    const char               *db, *out;
    array_files               files;
    int                       mender_given;
} args;

static const char *word(struct argp_state *state, const char *option, ot_status st, const char *arg)
{
    if (st != OT_OK) argp_error(state, "--%s = '%s': %s", option, arg, ot_last_error());
    return arg;
}

static void check_words(const args *a, struct argp_state *state)
{
    const array_files *f = &a->files;
    if (!a->db == !f->signatures) argp_error(state, "want a campaign's database, or --signatures (and --accuracy)");
    if (!f->signatures != !f->accuracy) argp_error(state, "--signatures and --accuracy go together");
    if (!f->tuned_signatures != !f->tuned_accuracy) argp_error(state, "--tuned-signatures and --tuned-accuracy go together");
    if (a->db && (f->knobs || f->tuned_signatures)) argp_error(state, "--knobs and --tuned-signatures go with --signatures, not with a campaign");
    if (!a->db && isnan(a->opt.book.cutoff)) argp_error(state, "--signatures wants --cutoff, an accuracy");
    if (!a->db && a->opt.book.mender == OT_MENDER_MOMENTS) argp_error(state, "--mender moments wants a campaign");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args            *a = state->input;
    ot_book_options *b = &a->opt.book;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case OUT: a->out = arg; return 0;
    case PREDICTOR: {
        ot_predictor_kind kind = OT_PREDICTOR_MARS;
        word(state, "predictor", ot_predictor_parse(&kind, arg), arg);
        b->learn.predictor = ot_predictor_defaults(kind);
        b->learn.predictor.hold = 1;
        return 0;
    }
    case DEGREE: b->learn.predictor.degree = (int)cli_int(state, "degree", arg, 1, 2); return 0;
    case SCREEN: {
        ot_screen_kind kind = OT_SCREEN_MRCD;
        word(state, "screen", ot_screen_parse(&kind, arg), arg);
        b->learn.screen.kind = kind;
        return 0;
    }
    case CONTAMINATION: b->learn.screen.contamination = cli_double(state, "contamination", arg, 0, 0.5); return 0;
    case SUPPORT: b->learn.screen.support = cli_double(state, "support", arg, 0.5, 1); return 0;
    case BEND: b->learn.screen.bend = !strcmp(arg, "auto") ? 0 : !strcmp(arg, "none") ? -1 : cli_double(state, "bend", arg, 1e-3, 1e3); return 0;
    case CONDITION: b->learn.screen.condition = !strcmp(arg, "auto") ? 0 : cli_double(state, "condition", arg, 2, 1e8); return 0;
    case FOLDS: b->learn.folds = b->learn.screen.folds = (int)cli_int(state, "folds", arg, 2, 1000); return 0;
    case RULE: word(state, "rule", ot_rule_parse(&b->rule, arg), arg); return 0;
    case K: b->k = cli_double(state, "k", arg, 0, 100); return 0;
    case ESCAPE: b->escape = cli_double(state, "escape", arg, 1e-6, 1); return 0;
    case CUTOFF: b->cutoff = cli_double(state, "cutoff", arg, 0, 1); return 0;
    case DROP: a->opt.drop = cli_double(state, "drop", arg, 0, 1); return 0;
    case MENDER:
        word(state, "mender", ot_mender_parse(&b->mender, arg), arg);
        a->mender_given = 1;
        return 0;
    case CLUSTERS: b->clusters = (int)cli_int(state, "clusters", arg, 0, 1000000); return 0;
    case STIMULUS: snprintf(a->opt.stimulus, sizeof a->opt.stimulus, "%s", arg); return 0;
    case IMAGES: a->opt.images = (int)cli_int(state, "images", arg, 1, 100000); return 0;
    case SIGNATURE: word(state, "signature", ot_signature_kind_parse(&a->opt.kind, arg), arg); return 0;
    case SIGNATURES: a->files.signatures = arg; return 0;
    case ACCURACY: a->files.accuracy = arg; return 0;
    case KNOBS: a->files.knobs = arg; return 0;
    case TUNED_SIGNATURES: a->files.tuned_signatures = arg; return 0;
    case TUNED_ACCURACY: a->files.tuned_accuracy = arg; return 0;
    case UPDATE:
        if (a->files.n_updates == ARRAY_UPDATES) argp_error(state, "--update: want at most %d of them", ARRAY_UPDATES);
        a->files.updates[a->files.n_updates++] = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->db) argp_error(state, "'%s' is one word too many, want one database", arg);
        a->db = arg;
        return 0;
    case ARGP_KEY_END:
        check_words(a, state);
        if (!a->db && !a->files.knobs && !a->mender_given) b->mender = OT_MENDER_NONE;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {
    options, parse, "FILE.db\n--signatures S.npy --accuracy A.npy",
    "Learns from chips of which everything is known to judge and mend chips of which only the signature is: a predictor of accuracy, a screen for "
    "outliers, the rule's guard band, the casebook.\v"
    "From a campaign, the casebook's chips teach, and the evaluation chips say what each rule would have made of them.  From arrays, no network is "
    "needed: any signatures will do.  --update adds chips that were tested in full or tuned since.\n\n"
    "Examples:\n"
    "  ohmtrim learn c.db -o chip.recipe\n"
    "  ohmtrim learn c.db --rule conformal --escape 0.005 --drop 0.03 --json\n"
    "  ohmtrim learn --signatures S.npy --accuracy A.npy --knobs K.npy --cutoff 0.9 -o real.recipe",
    children, NULL, NULL};

static void add_judge(cJSON *o, const ot_learned *l, const char *cv_rmse, const char *cv_sd, const char *cv_mae)
{
    cli_json_number(o, cv_rmse, l->cv.rmse);
    cli_json_number(o, cv_mae, l->cv.mae);
    cli_json_number(o, cv_sd, l->cv.sd);
}

static void print_book(const args *a, const ot_book *b, const ot_campaign_learned *l)
{
    const ot_learned *f = b->before;
    if (a->common.json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "chips", f->n);
        cJSON_AddNumberToObject(o, "features", f->judge.features.p);
        cJSON_AddNumberToObject(o, "signature", f->judge.features.s);
        cJSON_AddStringToObject(o, "predictor", ot_predictor_name(f->judge.predictor.kind));
        add_judge(o, f, "cv_rmse", "cv_sd", "cv_mae");
        cli_json_number(o, "cv_mean", f->cv.mean);
        cli_json_number(o, "cv_mae", f->cv.mae);
        cli_json_number(o, "cv_r2", f->cv.r2);
        if (b->after) add_judge(o, b->after, "after_cv_rmse", "after_cv_sd", "after_cv_mae");
        cJSON_AddStringToObject(o, "screen", ot_screen_name(f->judge.screen.kind));
        cli_json_number(o, "screen_threshold", f->screen.threshold);
        cli_json_number(o, "screen_bend", f->screen.bend);
        cli_json_number(o, "screen_condition", f->screen.condition);
        cJSON_AddStringToObject(o, "rule", ot_rule_name(b->rule.kind));
        cli_json_number(o, "cutoff", b->rule.cutoff);
        cli_json_number(o, "guard", b->rule.guard);
        cJSON_AddNumberToObject(o, "casebook", b->casebook ? b->mending.cases.n : 0);
        cJSON_AddStringToObject(o, "mender", ot_mender_name(b->mending.kind));
        if (l) print_verdicts_json(o, l);
        cli_print_json(o);
        return;
    }
    printf("%d chips, %d of %d numbers of a signature vary; predictor %s: error sd %.3f points, rmse %.3f, mean size %.3f, r2 %.4f (%d-fold cross-validation)\n", f->n,
           f->judge.features.p, f->judge.features.s, ot_predictor_name(f->judge.predictor.kind), 100 * f->cv.sd, 100 * f->cv.rmse, 100 * f->cv.mae, f->cv.r2, f->cv.folds);
    if (b->after) printf("with knobs set: error sd %.3f points, rmse %.3f, mean size %.3f, r2 %.4f\n", 100 * b->after->cv.sd, 100 * b->after->cv.rmse, 100 * b->after->cv.mae, b->after->cv.r2);
    printf("screen %s: threshold %.4g out of fold (in sample %.4g)", ot_screen_name(f->judge.screen.kind), f->screen.threshold, f->screen.threshold_in_sample);
    if (f->screen.bend > 0) printf(", numbers bent by %g", f->screen.bend);
    if (f->screen.condition > 0) printf(", condition number %g", f->screen.condition);
    printf("\n");
    printf("rule %s: cutoff %.2f %%, guard band %.3f points (%.3f with knobs set); mender %s", ot_rule_name(b->rule.kind), 100 * b->rule.cutoff, 100 * b->rule.guard,
           100 * b->rule.guard_after, ot_mender_name(b->mending.kind));
    if (b->casebook) printf(", casebook of %d chips in %d clusters", b->mending.cases.n, b->mending.cases.clusters);
    printf("\n");
    if (l) print_verdicts(l);
}

static ot_status from_campaign(const args *a)
{
    ot_campaign_learned *l = NULL;
    int                  without = 0;
    ot_status            st = learn_campaign(&l, a->db, &a->opt, &a->files);
    if (st == OT_OK && a->out) st = ot_campaign_learned_save(l, a->db, a->out, &without);
    if (st == OT_OK) {
        if (without) cli_say(&a->common, "the recipe holds no stimulus images: the campaign's data set is not here, or not of bytes\n");
        print_book(a, l->book, l);
    }
    ot_campaign_learned_free(l);
    return st;
}

static ot_status from_arrays(const args *a)
{
    learned_arrays *l = NULL;
    ot_status       st = learn_arrays(&l, &a->opt.book, &a->files);
    if (st == OT_OK && a->out) st = learned_arrays_save(l, a->out);
    if (st == OT_OK) print_book(a, learned_arrays_book(l), NULL);
    learned_arrays_free(l);
    return st;
}

int cmd_learn(int argc, char **argv);
int cmd_learn(int argc, char **argv)
{
    args a = {.opt = ot_campaign_learn_defaults()};
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    a.opt.book.learn.seed = a.opt.book.learn.screen.seed = a.common.variation.seed;
    a.opt.book.learn.predictor.threads = a.opt.book.learn.screen.threads = a.common.threads;
    ot_status st = a.db ? from_campaign(&a) : from_arrays(&a);
    return st == OT_OK ? 0 : cli_fail("learn", st);
}

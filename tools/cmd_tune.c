/* cmd_tune.c - `ohmtrim tune`: one chip, tuned by one or more tuners, before and after. */
#include "base/file.h"
#include "base/fail.h"
#include "cli.h"
#include "tune_casebook.h"

#include <stdlib.h>
#include <string.h>

enum { CHIP = CLI_VERB_FIRST, TUNER, STEPS, LR, EPOCHS, MINIBATCH, SUBSET_FRAC, IMAGES, POLICY, OPTIMIZER, MOMENTUM, POLISH_STEPS, POLISH_IMAGES, TRAIN_LIMIT,
       CASEBOOK, CLUSTERS, TILE, KNOBS_OUT, LADDER, GTM_CELLS, LTM_COLUMNS, RETRAIN_FRAC, RETRAIN_LR };

static const struct argp_option options[] = {
    {"chip", CHIP, "N", 0, "number of the chip (0)", 0},
    {"tuner", TUNER, "T[,T...]", 0, "exhaustive, subset, learned, closed-form, closed-form-adam, self-tuning, retrain, ...; several with commas (closed-form-adam)", 0},
    {"steps", STEPS, "N", 0, "Adam steps of exhaustive and subset, instead of --epochs", 0},
    {"epochs", EPOCHS, "X", 0, "passes over the images of exhaustive and subset; fractions allowed", 0},
    {"lr", LR, "X", 0, "learning rate of every step", 0},
    {"policy", POLICY, "TEXT", 0, "any policy of `bench lr --list` instead of --lr, e.g. 'COS k1=0.02 l=100%'; % is of a tuner's steps", 0},
    {"optimizer", OPTIMIZER, "adam|sgd|momentum", 0, "what takes the steps (adam); momentum is SGD with --momentum 0.9", 0},
    {"momentum", MOMENTUM, "X", 0, "of SGD (0; of --optimizer momentum 0.9)", 0},
    {"minibatch", MINIBATCH, "N", 0, "images an Adam step (128)", 0},
    {"subset-frac", SUBSET_FRAC, "X", 0, "share of the training images that subset uses (0.1)", 0},
    {"images", IMAGES, "N", 0, "closed form: unlabelled images (100)", 0},
    {"polish-steps", POLISH_STEPS, "N", 0, "closed-form-adam, learned-adam: Adam steps after the first knobs", 0},
    {"polish-images", POLISH_IMAGES, "N", 0, "closed-form-adam, learned-adam: labelled images of these steps", 0},
    {"train-limit", TRAIN_LIMIT, "N", 0, "use only the first N training images (all)", 0},
    {"casebook", CASEBOOK, "F.npz", 0, "for learned, nearest, knn, ridge, learned-adam: signature, gain, offset, stimulus, as `campaign export --npz` writes them", 0},
    {"clusters", CLUSTERS, "N", 0, "for learned, learned-adam: clusters of the casebook (0: 2..30 by silhouette)", 0},
    {"tile", TILE, "N", 0, "images computed at once (128)", 0},
    {"ladder", LADDER, "BITS[:LOW..HIGH]", 0, "spiking networks: round tuned thresholds to 2^BITS levels of LOW..HIGH times the designed ones (0.5..1.5)", 0},
    {"gtm-cells", GTM_CELLS, "N", 0, "self-tuning, self-tuning-ltm: known cells in the chip's column (1000)", 0},
    {"ltm-columns", LTM_COLUMNS, "M", 0, "self-tuning-ltm: columns beside each layer (1)", 0},
    {"retrain-frac", RETRAIN_FRAC, "X", 0, "retrain: share of the weights that are trained again (0.01)", 0},
    {"retrain-lr", RETRAIN_LR, "X", 0, "retrain: Adam's learning rate of weights (0.003)", 0},
    {"knobs-out", KNOBS_OUT, "F.json", 0, "write gains and offsets (of the one tuner asked for)", 0},
    {0},
};

typedef struct args {
    cli_common      common;
    ot_tune_options opt;
    const char     *network, *casebook, *knobs_out;
    uint32_t        chip;
    int             lr_given, momentum_given, train_limit, clusters, tile, n_tuners, asked[OT_TUNERS];
    ot_tuner        tuners[OT_TUNERS];
    ot_ladder       ladder;                /* bits 0: none */
} args;

static void parse_tuners(args *a, const char *text, struct argp_state *state)
{
    char name[32];
    a->n_tuners = 0;
    memset(a->asked, 0, sizeof a->asked);
    for (const char *p = text;; p++) {
        size_t   n = strcspn(p, ",");
        ot_tuner t;
        snprintf(name, sizeof name, "%.*s", (int)(n < 31 ? n : 31), p);
        if (ot_tuner_parse(&t, name) != OT_OK) argp_error(state, "--tuner: %s", ot_last_error());
        if (a->asked[t]) argp_error(state, "--tuner = '%s': %s twice", text, name);
        a->asked[t] = 1;
        a->tuners[a->n_tuners++] = t;
        p += n;
        if (!*p) return;
    }
}

static void parse_ladder(args *a, const char *text, struct argp_state *state)
{
    const char *p = text;
    int         used = 0;
    a->ladder = (ot_ladder)OT_LADDER_INIT;
    if (!cli_take_int(&a->ladder.bits, &p, 1, 16) || (*p && (sscanf(p, ":%lf..%lf%n", &a->ladder.low, &a->ladder.high, &used) != 2 || p[used])))
        argp_error(state, "--ladder = '%s', want BITS or BITS:LOW..HIGH, such as 5:0.5..1.5", text);
    if (a->ladder.bits < 1 || !ot_ladder_fits(&a->ladder)) argp_error(state, "--ladder = '%s', want 1..16 bits and levels that rise, 1/64..64", text);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case CHIP: a->chip = (uint32_t)cli_int(state, "chip", arg, 0, UINT32_MAX); return 0;
    case TUNER: parse_tuners(a, arg, state); return 0;
    case STEPS: a->opt.steps = (int)cli_int(state, "steps", arg, 1, 1000000); return 0;
    case EPOCHS: a->opt.epochs = cli_double(state, "epochs", arg, 1e-6, 1000); return 0;
    case LR:
        a->opt.lr = cli_double(state, "lr", arg, 1e-9, 1);
        a->lr_given = 1;
        return 0;
    case POLICY:
        if (ot_policy_read(&a->opt.policy, arg) != OT_OK) argp_error(state, "--policy: %s", ot_last_error());
        return 0;
    case OPTIMIZER:
        if (ot_optimizer_parse(&a->opt.optimizer, &a->opt.momentum, arg) != OT_OK) argp_error(state, "--%s", ot_last_error());
        return 0;
    case MOMENTUM:
        a->opt.momentum = cli_double(state, "momentum", arg, 0, 0.9999);
        a->momentum_given = 1;
        return 0;
    case MINIBATCH: a->opt.minibatch = (int)cli_int(state, "minibatch", arg, 1, 4096); return 0;
    case SUBSET_FRAC: a->opt.subset_frac = cli_double(state, "subset-frac", arg, 1e-9, 1); return 0;
    case IMAGES: a->opt.images = (int)cli_int(state, "images", arg, 2, 4096); return 0;
    case POLISH_STEPS: a->opt.polish_steps = (int)cli_int(state, "polish-steps", arg, 1, 1000000); return 0;
    case POLISH_IMAGES: a->opt.polish_images = (int)cli_int(state, "polish-images", arg, 1, INT32_MAX); return 0;
    case TRAIN_LIMIT: a->train_limit = (int)cli_int(state, "train-limit", arg, 0, INT32_MAX); return 0;
    case GTM_CELLS: a->opt.gtm_cells = (int)cli_int(state, "gtm-cells", arg, 1, 100000000); return 0;
    case LTM_COLUMNS: a->opt.ltm_columns = (int)cli_int(state, "ltm-columns", arg, 1, 65536); return 0;
    case RETRAIN_FRAC: a->opt.retrain_frac = cli_double(state, "retrain-frac", arg, 1e-9, 1); return 0;
    case RETRAIN_LR: a->opt.retrain_lr = cli_double(state, "retrain-lr", arg, 1e-12, 1); return 0;
    case CASEBOOK: a->casebook = arg; return 0;
    case CLUSTERS: a->clusters = (int)cli_int(state, "clusters", arg, 0, INT32_MAX); return 0;
    case TILE: a->tile = (int)cli_int(state, "tile", arg, 1, 4096); return 0;
    case KNOBS_OUT: a->knobs_out = arg; return 0;
    case LADDER: parse_ladder(a, arg, state); return 0;
    case ARGP_KEY_ARG:
        if (a->network) argp_error(state, "'%s': one network only, and '%s' was given", arg, a->network);
        a->network = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->network) argp_error(state, "a network is wanted: an ONNX file");
        if (a->opt.policy.n && a->lr_given) argp_error(state, "--policy says the rates: want it without --lr");
        if (!a->common.data) argp_error(state, "--data is wanted, e.g. --data fashion-mnist");
        for (int t = 0; t < OT_TUNERS; t++)
            if (a->asked[t] && ot_tuner_wants_casebook((ot_tuner)t) && !a->casebook)
                argp_error(state, "the %s tuner wants --casebook F.npz", ot_tuner_name((ot_tuner)t));
        if (a->momentum_given && a->opt.optimizer == OT_OPTIMIZER_ADAM) argp_error(state, "--momentum is of SGD, want --optimizer sgd or momentum too");
        if (a->knobs_out && a->n_tuners != 1) argp_error(state, "--knobs-out wants one tuner, and %d were given", a->n_tuners);
        if (a->knobs_out && ot_tuner_changes_chip(a->tuners[0])) argp_error(state, "--knobs-out: %s changes the chip and sets no knobs", ot_tuner_name(a->tuners[0]));
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {
    options, parse, "NET.onnx",
    "Tunes one chip's gains and offsets (of a spiking network: its thresholds), and says how many test images are right before and after.\v"
    "exhaustive is Adam on all training images, subset the same on a tenth of them; closed-form matches mean and spread of each layer on "
    "100 unlabelled images, closed-form-adam adds a few steps, moments matches on the stimulus alone (that of the casebook, else ten random "
    "test images); learned takes the knobs of the most similar chip tuned before by clusters, nearest by L1 distance, knn the mean of five, "
    "ridge a linear function of the signature, learned-adam adds a few steps.  self-tuning and "
    "self-tuning-ltm (outputs corrected by what known cells say), bn-stats (batch norm found again) and retrain (the weights that matter most are "
    "written anew) change the chip and leave its knobs.  "
    "`images` counts the images run through the chip for tuning.\n\n"
    "Example:\n  ohmtrim tune models/mobilenet-s.onnx --data fashion-mnist --chip 3 --tuner closed-form,closed-form-adam",
    children, NULL, NULL};

/* What one run holds; all of it freed in one place. */
typedef struct bench {
    ot_network  *net;
    ot_data     *test, *train;
    ot_backend  *be;
    ot_plan     *plan;
    ot_chip     *chip;
    ot_tuning   *tuning;
    ot_casebook *cb;
    tune_stimulus stimulus;
    float       *gain, *offset, *signature;
    ot_device    dev;
    double       before;
} bench;

static void bench_free(bench *b)
{
    ot_free(b->signature);
    ot_free(b->offset);
    ot_free(b->gain);
    tune_stimulus_free(&b->stimulus);
    ot_casebook_free(b->cb);
    ot_tuning_free(b->tuning);
    ot_chip_free(b->chip);
    ot_plan_free(b->plan);
    ot_backend_close(b->be);
    ot_data_free(b->train);
    ot_data_free(b->test);
    ot_network_free(b->net);
}

static ot_status accuracy(const bench *b, int limit, double *out)
{
    int64_t correct;
    int     n = limit && limit < b->test->n ? limit : b->test->n;
    OT_TRY(ot_plan_count(b->plan, b->test, NULL, n, &correct, NULL));
    *out = (double)correct / n;
    return OT_OK;
}

static ot_status say_plan(const bench *b, const args *a, size_t bytes)
{
    const int limit = a->common.limit, images = limit && limit < b->test->n ? limit : b->test->n;
    if (!a->common.json) {
        printf("chip %u of %s: %.1f MB, %d knob pairs, %d test images, %d training images\n", a->chip, a->network, (double)bytes / 1048576, ot_network_knobs(b->net), images,
               b->train->n);
        return OT_OK;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "network", a->network);
    cJSON_AddNumberToObject(o, "chip", a->chip);
    cJSON_AddNumberToObject(o, "bytes", (double)bytes);
    cJSON_AddNumberToObject(o, "knob_pairs", ot_network_knobs(b->net));
    cJSON_AddNumberToObject(o, "test_images", images);
    cJSON_AddNumberToObject(o, "training_images", b->train->n);
    cli_print_json(o);
    return OT_OK;
}

static ot_status prepare(bench *b, const args *a)
{
    const cli_common *c = &a->common;
    ot_plan_options   how = OT_PLAN_OPTIONS_INIT;
    OT_TRY(cli_open_network(c, &b->net, a->network));
    if (ot_network_knobs(b->net) < 1) OT_FAIL(OT_E_UNSUPPORTED, "%s: neither ReLU nor spiking layers, so there are no knobs to tune", a->network);
    if (a->ladder.bits && !ot_network_spikes(b->net)) OT_FAIL(OT_E_UNSUPPORTED, "%s: no spiking layers, --ladder is for their thresholds", a->network);
    if (a->knobs_out) OT_TRY(cli_check_writable(a->knobs_out));
    OT_TRY(ot_data_open(&b->test, c->data, OT_SPLIT_TEST, 0));        /* all: a casebook's stimulus may lie past --limit */
    OT_TRY(ot_data_check(b->test, b->net));
    OT_TRY(ot_data_open(&b->train, c->data, OT_SPLIT_TRAIN, a->train_limit));
    if (a->casebook) OT_TRY(tune_casebook_open(&b->cb, &b->stimulus, b->net, b->test, a->casebook, a->clusters));
    if (a->asked[OT_TUNER_RIDGE]) OT_TRY(ot_casebook_fit_ridge(b->cb));
    if (a->asked[OT_TUNER_MOMENTS] && !b->cb) OT_TRY(tune_stimulus_random(&b->stimulus, b->test, c->variation.seed));
    OT_TRY(cli_open_device(c, &b->dev));
    cli_say_bits(c, b->net, a->network);
    OT_TRY(cli_open_backend(c, &b->be));
    for (int i = 0; i < a->n_tuners; i++) OT_TRY(ot_tuner_suits(a->tuners[i], b->net, b->be));
    how.use = OT_PLAN_TUNE;
    how.tile = a->tile;
    size_t bytes;
    OT_TRY(ot_plan_measure(&bytes, b->be, b->net, &how));
    if (c->memory && bytes > c->memory)
        OT_FAIL(OT_E_MEMORY_PLAN, "tuning '%s' takes %.1f MB, --memory allows %.1f MB (a smaller --tile takes less)", a->network,
                (double)bytes / 1048576, (double)c->memory / 1048576);
    if (c->dry_run) {
        return say_plan(b, a, bytes);
    }
    OT_TRY(ot_plan_open(&b->plan, b->be, b->net, &how));
    OT_TRY(ot_tuning_open(&b->tuning, b->plan, b->train, &a->opt));
    if (a->asked[OT_TUNER_MOMENTS]) OT_TRY(ot_tuning_set_stimulus(b->tuning, b->plan, &b->stimulus.images, b->stimulus.index, b->stimulus.images.n));
    OT_TRY(ot_chip_draw(&b->chip, b->net, &b->dev, &c->variation, a->chip));
    OT_TRY(ot_plan_load(b->plan, b->chip));
    OT_TRY(ot_plan_set_knobs(b->plan, NULL, NULL));
    if (b->cb) {
        const int k = b->stimulus.images.n;
        if (!(b->signature = ot_alloc((size_t)ot_signature_length(b->net, k), sizeof *b->signature))) OT_NOMEM("a signature", (size_t)k);
        OT_TRY(ot_signature_measure(b->signature, b->plan, &b->stimulus.images, b->stimulus.index, k));
    }
    OT_TRY(accuracy(b, c->limit, &b->before));
    size_t relus = (size_t)ot_network_knobs(b->net);
    b->gain = ot_alloc(relus, sizeof *b->gain);
    b->offset = ot_alloc(relus, sizeof *b->offset);
    if (!b->gain || !b->offset) OT_NOMEM("knobs", 2 * relus * sizeof *b->gain);
    return OT_OK;
}

static void add_knobs(cJSON *o, const bench *b)
{
    cJSON *gain = cJSON_AddArrayToObject(o, "gain"), *offset = cJSON_AddArrayToObject(o, "offset");
    char   text[32];
    for (int l = 0; l < ot_network_knobs(b->net); l++) {              /* nine digits give the float back */
        snprintf(text, sizeof text, "%.9g", (double)b->gain[l]);
        cJSON_AddItemToArray(gain, cJSON_CreateRaw(text));
        snprintf(text, sizeof text, "%.9g", (double)b->offset[l]);
        cJSON_AddItemToArray(offset, cJSON_CreateRaw(text));
    }
}

static ot_status write_knobs(const bench *b, const args *a, ot_tuner t)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "network", a->network);
    cJSON_AddNumberToObject(o, "chip", a->chip);
    cJSON_AddStringToObject(o, "tuner", ot_tuner_name(t));
    add_knobs(o, b);
    char     *text = cJSON_Print(o);
    ot_status st = text ? ot__file_write(a->knobs_out, text, strlen(text)) : OT_E_NOMEM;
    cJSON_free(text);
    cJSON_Delete(o);
    return st;
}

/* What the chip's column of known cells said, and what the modules cost. */
static ot_status self_tuning_of(ot_self_tuning_cost *cost, double *estimate, char words[300], const bench *b, const args *a, ot_tuner t)
{
    const ot_self_tuning modules = {.gtm_cells = a->opt.gtm_cells, .ltm_columns = t == OT_TUNER_SELF_TUNING_LTM ? a->opt.ltm_columns : 0};
    char                 more[160];
    OT_TRY(ot_self_tuning_measure(cost, &modules, b->net));
    OT_TRY(ot_chip_self_test(estimate, &b->dev, &a->common.variation, a->chip, a->opt.gtm_cells));
    snprintf(words, 300, "%d cells say that weights are %+.2f %% off, %d column%s a layer; %s", modules.gtm_cells, 100 * *estimate, modules.ltm_columns, modules.ltm_columns == 1 ? "" : "s",
             cli_self_tuning_cost(more, cost));
    return OT_OK;
}

static ot_status run_tuner(bench *b, const args *a, ot_tuner t)
{
    ot_tune_cost cost;
    double       after, unrounded;
    int          nearest = -1, clamped = 0;
    int64_t      values = 0;
    const int    modules = t == OT_TUNER_SELF_TUNING || t == OT_TUNER_SELF_TUNING_LTM;
    ot_self_tuning_cost extra;
    double       estimate = 0;
    char         words[300];
    if (ot_tuner_changes_chip(t)) OT_TRY(ot_tuning_change(b->tuning, t, b->plan, b->chip, b->gain, b->offset, &values, &cost));
    else OT_TRY(ot_tuning_run(b->tuning, t, b->plan, b->cb, b->signature, b->gain, b->offset, &nearest, &cost));
    if (ot_tuner_wants_casebook(t)) cost.images_forward += b->stimulus.images.n;
    OT_TRY(accuracy(b, a->common.limit, &after));
    unrounded = after;
    if (a->ladder.bits) {
        clamped = ot_ladder_round(&a->ladder, b->gain, ot_network_knobs(b->net));
        OT_TRY(ot_plan_set_knobs(b->plan, b->gain, b->offset));
        OT_TRY(accuracy(b, a->common.limit, &after));
    }
    if (modules) OT_TRY(self_tuning_of(&extra, &estimate, words, b, a, t));
    else if (values) cli_say(&a->common, "%s: %lld numbers of the chip changed, its knobs are 1 and 0\n", ot_tuner_name(t), (long long)values);
    if (ot_tuner_changes_chip(t)) OT_TRY(ot_tuning_change_back(b->plan, b->chip));
    if (cost.nan_restores)
        cli_say(&a->common, "%s: the loss was not finite %d times; the best knobs seen were brought back\n", ot_tuner_name(t), cost.nan_restores);
    if (cost.projected) cli_say(&a->common, "%s: gains were held at 1/64 %d times\n", ot_tuner_name(t), cost.projected);
    if (a->common.json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "chip", a->chip);
        cli_json_number(o, "delta_sys", ot_chip_delta_sys(b->chip));
        cJSON_AddStringToObject(o, "tuner", ot_tuner_name(t));
        cli_json_number(o, "accuracy_before", b->before);
        cli_json_number(o, "accuracy_after", after);
        if (a->ladder.bits) cli_json_number(o, "accuracy_unrounded", unrounded), cJSON_AddNumberToObject(o, "clamped", clamped);
        add_knobs(o, b);
        cli_json_number(o, "images", (double)cost.images_forward);
        cli_json_number(o, "images_backward", (double)cost.images_backward);
        cJSON_AddNumberToObject(o, "steps", cost.steps);
        cli_json_number(o, "seconds", cost.seconds);
        cJSON_AddNumberToObject(o, "projected", cost.projected);
        cJSON_AddNumberToObject(o, "nan_restores", cost.nan_restores);
        if (values) cli_json_number(o, "values_changed", (double)values);
        if (modules) {
            cli_json_number(o, "estimate", estimate);
            cli_add_self_tuning_cost(o, &extra);
        }
        if (nearest >= 0) {
            cJSON_AddNumberToObject(o, "nearest", nearest);
            cJSON_AddNumberToObject(o, "clusters", ot_casebook_clusters(b->cb));
        }
        cli_print_json(o);
    } else {
        printf("%-17s %6.2f %%  %8lld images  %5d steps  %9.4f s", ot_tuner_name(t), 100 * after, (long long)cost.images_forward, cost.steps,
               cost.seconds);
        if (a->ladder.bits) printf("  (%.2f %% before rounding to %d levels, %d held at an end)", 100 * unrounded, 1 << a->ladder.bits, clamped);
        putchar('\n');
        if (modules) printf("%-17s %s\n", "", words);
    }
    fflush(stdout);
    return a->knobs_out ? write_knobs(b, a, t) : OT_OK;
}

int cmd_tune(int argc, char **argv);
int cmd_tune(int argc, char **argv)
{
    args      a = {.opt = ot_tune_defaults(), .n_tuners = 1, .tuners = {OT_TUNER_CLOSED_FORM_ADAM}, .tile = 128};
    bench     b = {0};
    ot_status st;
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    a.opt.seed = a.common.variation.seed;                 /* as in a campaign: the same seed and chip give the same knobs */
    OT_TRY_TO(done, st, prepare(&b, &a));
    if (!a.common.dry_run && !a.common.json)
        printf("chip %u, delta_sys %+.4f\n%-17s %6.2f %%\n", a.chip, ot_chip_delta_sys(b.chip), "untuned", 100 * b.before);
    for (int i = 0; i < a.n_tuners && !a.common.dry_run; i++) OT_TRY_TO(done, st, run_tuner(&b, &a, a.tuners[i]));
done:
    bench_free(&b);
    return st == OT_OK ? 0 : cli_fail("tune", st);
}

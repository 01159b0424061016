/* cmd_train.c - `ohmtrim train`: trains a built-in or an imported network and writes it as ONNX. */
#include "base/fail.h"
#include "base/file.h"
#include "base/progress.h"
#include "cli.h"
#include "train_robust.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    EPOCHS = CLI_VERB_FIRST,
    LR,
    OPTIMIZER,
    MOMENTUM,
    SCHEDULE,
    POLICY,
    WARMUP,
    MINIBATCH,
    WEIGHT_DECAY, LIPSCHITZ,
    AUGMENT,
    SMOOTHING,
    SHARDS,
    CHECKPOINT,
    STEPS,
    CODING,
    LEAK,
    RESET,
    SURROGATE,
    SPIKE_LOSS,
    NETWORK,
    LIST
};

static const struct argp_option options[] = {
    {"output", 'o', "OUT.onnx", 0, "file to write (required)", 0},
    {"epochs", EPOCHS, "N", 0, "passes over the training set (10)", 0},
    {"lr", LR, "X", 0, "learning rate at the top of the schedule (0.05; 0.001 for adam)", 0},
    {"optimizer", OPTIMIZER, "sgd|momentum|adam", 0, "SGD with --momentum (sgd and momentum are the same here), or Adam (sgd)", 0},
    {"lipschitz", LIPSCHITZ, "B[,S]", 0, "penalty on layers that amplify errors: B times the square of what a layer's largest singular value has over 1 / (mean + 3 sd) of weights' factor exp(N(0, S^2)) (0, 0.5)", 0},
    {"momentum", MOMENTUM, "X", 0, "momentum of sgd (0.9); 0: plain SGD", 0},
    {"schedule", SCHEDULE, "cosine|step:F,N|fixed", 0, "of the learning rate; step: times F every N epochs (cosine)", 0},
    {"policy", POLICY, "TEXT", 0, "any policy of `bench lr --list` instead of --schedule and --lr, e.g. 'TRI2 k0=0.01 k1=0.1 l=2ep'", 0},
    {"warmup", WARMUP, "N", 0, "epochs in which the learning rate rises to its top (0)", 0},
    {"minibatch", MINIBATCH, "N", 0, "images a step (128)", 0},
    {"weight-decay", WEIGHT_DECAY, "X", 0, "L2, on convolution and dense weights only (0.0005)", 0},
    {"augment", AUGMENT, "crop:N,flip", 0, "random crops after padding by N pixels, horizontal flips; either or both (none)", 0},
    {"label-smoothing", SMOOTHING, "X", 0, "share of the target spread over all classes (0)", 0},
    {"shards", SHARDS, "N", 0,
     "parts of a minibatch with a batch norm of their own, as many threads at most (2; 1 for an odd minibatch)", 0},
    {"checkpoint", CHECKPOINT, "F.npz", 0, "written after every epoch and on Ctrl-C; if it is there, training goes on from it", 0},
    {"steps", STEPS, "T", 0, "spiking networks: time steps (the network's own)", 0},
    {"coding", CODING, "direct|rate|latency", 0, "spiking networks: the image as a current, as spikes with its pixels as probabilities, or one spike a pixel, the brighter the sooner (direct)", 0},
    {"reset", RESET, "subtract|zero|once", 0, "spiking networks: what a neuron loses that fires; once: it never fires again, and the first to fire tells the class (the network's own)", 0},
    {"leak", LEAK, "X", 0, "spiking networks: what a membrane keeps from step to step, 0 to 1 (1: no leak)", 0},
    {"surrogate", SURROGATE, "atan|fast-sigmoid|boxcar[:K]", 0, "spiking networks: what stands for a spike's derivative (atan:2)", 0},
    {"spike-loss", SPIKE_LOSS, "count|rate", 0, "spiking networks: cross-entropy of counts, or the mean of each step's (count)", 0},
    {"network", NETWORK, "MODEL|NET.onnx", 0, "the network, for recipes (--config); one given as a word wins", 0},
    {"list", LIST, 0, 0, "list the built-in networks", 0},
    {0},
};

typedef struct args {
    cli_common common;
    ot_train_options opt;
    train_robust_args robust;
    const char *model, *out;
    const char *configured; /* --network: the model if no word says it */
    ot_spiking spiking; /* steps 0: the network's */
    ot_reset reset;
    int coding_given, reset_given, list, lr_given, schedule_given, momentum_given;
    double leak; /* 0: the network's */
} args;

static void parse_schedule(args *a, const char *text, struct argp_state *state)
{
    int used = 0;
    const char *p;
    if (!strcmp(text, "cosine"))
        a->opt.schedule = OT_SCHEDULE_COSINE;
    else if (!strcmp(text, "fixed"))
        a->opt.schedule = OT_SCHEDULE_FIXED;
    else if (sscanf(text, "step:%lf,%n", &a->opt.step_gamma, &used) == 1 && used && (p = text + used, cli_take_int(&a->opt.step_epochs, &p, 1, 100000)) && !*p)
        a->opt.schedule = OT_SCHEDULE_STEP;
    else
        argp_error(state, "--schedule = '%s', want cosine, fixed or step:F,N (such as step:0.1,30)", text);
}

static void parse_augment(args *a, const char *text, struct argp_state *state)
{
    const char *p = text;
    while (*p) {
        const size_t n = strcspn(p, ",");
        const char *number = p + 5;
        if (n == 4 && !strncmp(p, "flip", 4))
            a->opt.flip = 1;
        else if (strncmp(p, "crop:", 5) || !cli_take_int(&a->opt.crop_pad, &number, 0, 1000) || number != p + n)
            argp_error(state, "--augment = '%s', want crop:N, flip or both (crop:4,flip)", text);
        p += n + (p[n] == ',');
    }
}

/* Which of n words. */
static int word(struct argp_state *state, const char *option, const char *arg, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(arg, words[i])) return i;
    argp_error(state, "--%s = '%s', want %s, %s%s%s", option, arg, words[0], words[1], n > 2 ? " or " : "", n > 2 ? words[2] : "");
    return 0;
}

static void parse_surrogate(args *a, const char *text, struct argp_state *state)
{
    static const char *const names[OT_SURROGATES] = {"atan", "fast-sigmoid", "boxcar"};
    size_t n = strcspn(text, ":");
    for (int i = 0; i < OT_SURROGATES; i++)
        if (n == strlen(names[i]) && !strncmp(text, names[i], n)) {
            a->opt.surrogate = (ot_surrogate)i;
            a->opt.sharpness = text[n] ? cli_double(state, "surrogate", text + n + 1, 1e-6, 1e6) : 0;
            return;
        }
    argp_error(state, "--surrogate = '%s', want atan, fast-sigmoid or boxcar, with its sharpness if not the usual one (atan:2)", text);
}

static void parse_lipschitz(args *a, const char *text, struct argp_state *state)
{
    int used = 0;
    if ((sscanf(text, "%lf%n", &a->opt.lipschitz, &used) != 1 || text[used]) && (sscanf(text, "%lf,%lf%n", &a->opt.lipschitz, &a->opt.lipschitz_sigma, &used) != 2 || text[used]))
        argp_error(state, "--lipschitz = '%s', want B or B,S: the penalty and the sd of weights' logarithms, such as 0.01,0.5", text);
}

/* Common options that say something about training only where it is done on simulated chips. */
static const struct { int key; const char *name; } of_chips[] = {{CLI_DEVICE_MODEL, "device-model"}, {CLI_SIGMA, "sigma"}, {CLI_SYS_SHARE, "sys-share"},
                                                                 {CLI_BITS, "bits"}, {CLI_STUCK_LRS, "stuck-lrs"}, {CLI_STUCK_HRS, "stuck-hrs"}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->robust; state->child_inputs[1] = &a->common; return 0;
    case 'o': a->out = arg; return 0;
    case EPOCHS: a->opt.epochs = (int)cli_int(state, "epochs", arg, 1, 100000); return 0;
    case LR:
        a->opt.lr = cli_double(state, "lr", arg, 1e-9, 100);
        a->lr_given = 1;
        return 0;
    case OPTIMIZER:
        if (ot_optimizer_parse(&a->opt.optimizer, &a->opt.momentum, arg) != OT_OK) argp_error(state, "--%s", ot_last_error());
        return 0;
    case MOMENTUM:
        a->opt.momentum = cli_double(state, "momentum", arg, 0, 0.9999);
        a->momentum_given = 1;
        return 0;
    case SCHEDULE:
        parse_schedule(a, arg, state);
        a->schedule_given = 1;
        return 0;
    case POLICY:
        if (ot_policy_read(&a->opt.policy, arg) != OT_OK) argp_error(state, "--policy: %s", ot_last_error());
        return 0;
    case WARMUP: a->opt.warmup_epochs = (int)cli_int(state, "warmup", arg, 0, 100000); return 0;
    case MINIBATCH: a->opt.minibatch = (int)cli_int(state, "minibatch", arg, 1, 65536); return 0;
    case LIPSCHITZ: parse_lipschitz(a, arg, state); return 0;
    case WEIGHT_DECAY: a->opt.weight_decay = cli_double(state, "weight-decay", arg, 0, 1); return 0;
    case AUGMENT: parse_augment(a, arg, state); return 0;
    case SMOOTHING: a->opt.label_smoothing = cli_double(state, "label-smoothing", arg, 0, 0.9999); return 0;
    case SHARDS: a->opt.shards = (int)cli_int(state, "shards", arg, 0, 256); return 0;
    case CHECKPOINT: a->opt.checkpoint = arg; return 0;
    case STEPS: a->spiking.steps = (int)cli_int(state, "steps", arg, 1, OT_MAX_STEPS); return 0;
    case CODING:
        a->spiking.coding = (ot_coding)word(state, "coding", arg, (const char *const[]){"direct", "rate", "latency"}, OT_CODINGS);
        a->coding_given = 1;
        return 0;
    case RESET:
        a->reset = (ot_reset)(int[]){OT_RESET_SUBTRACT, OT_RESET_ZERO, OT_RESET_ONCE}[word(state, "reset", arg, (const char *const[]){"subtract", "zero", "once"}, 3)];
        a->reset_given = 1;
        return 0;
    case LEAK: a->leak = cli_double(state, "leak", arg, 1e-6, 1); return 0;
    case SURROGATE: parse_surrogate(a, arg, state); return 0;
    case SPIKE_LOSS:
        if (strcmp(arg, "count") && strcmp(arg, "rate")) argp_error(state, "--spike-loss = '%s', want count or rate", arg);
        a->opt.spike_loss = strcmp(arg, "rate") ? OT_SPIKE_LOSS_COUNT : OT_SPIKE_LOSS_RATE;
        return 0;
    case NETWORK: a->configured = arg; return 0;
    case LIST: a->list = 1; return 0;
    case ARGP_KEY_ARG:
        if (a->model) argp_error(state, "'%s': one network only, and '%s' was given", arg, a->model);
        a->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (a->list) return 0;
        if (a->opt.policy.n && (a->lr_given || a->schedule_given)) argp_error(state, "--policy says the rates: want it without --lr and --schedule");
        if (a->opt.policy.n) a->opt.schedule = OT_SCHEDULE_POLICY;
        if (a->momentum_given && a->opt.optimizer == OT_OPTIMIZER_ADAM) argp_error(state, "--momentum is of sgd, and --optimizer is adam, whose betas are 0.9 and 0.999");
        for (size_t i = 0; i < sizeof of_chips / sizeof *of_chips; i++)
            if (cli_given(&a->common, of_chips[i].key) && !a->robust.device) argp_error(state, "--%s is of simulated chips, want --noise device too", of_chips[i].name);
        if (a->out && a->opt.checkpoint && cli_same_file(a->out, a->opt.checkpoint)) argp_error(state, "-o and --checkpoint are both '%s', want two files", a->out);
        if (!a->model) a->model = a->configured;
        if (!a->model) argp_error(state, "a network is wanted: a built-in one (see --list) or an ONNX file");
        if (!a->common.data) argp_error(state, "--data is wanted, e.g. --data fashion-mnist");
        if (!a->out && !a->common.dry_run) argp_error(state, "-o OUT.onnx is wanted: the file to write");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&train_robust_argp, 0, "Networks that will be quantised and vary:", 5}, {&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {
    options,
    parse,
    "MODEL[@WIDTH]|NET.onnx",
    "Trains a built-in network (--list), or trains an ONNX file further, on the CPU or a GPU.\v"
    "Prints one line an epoch.  The result depends on the options and the machine's instruction set, never on --threads or on "
    "interruptions.  A built-in network takes the mean and standard deviation of the training pixels as its normalisation; a file "
    "keeps "
    "its own.  --limit N uses the first N training images too.\n\n"
    "MODEL@WIDTH is a built-in network with all its channels, and the outputs of its hidden dense layers, times WIDTH (0.01 to 8): the nearest "
    "whole number each, halves up, at least 1.  mobilenet@0.25 has a fifteenth of mobilenet's weights.\n\n"
    "Recipes are files of options (--config); models/ has one a network.  A dry run needs no data: a set that is not here counts with its "
    "published size.\n\n"
    "Examples:\n  ohmtrim train mobilenet-s --data fashion-mnist --epochs 4 --lr 0.1 -o mobilenet-s.onnx\n"
    "  ohmtrim train --config models/resnet20.yaml\n"
    "  ohmtrim train vgg16@0.5 --config models/vgg16.yaml -o half.onnx --dry-run",
    children,
    NULL,
    NULL};

static volatile sig_atomic_t stop;
static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static const char *class_names(const ot_data *d)
{
    if (!strcmp(d->name, "fashion-mnist")) return "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot";
    if (!strcmp(d->name, "cifar10")) return "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck";
    if (!strcmp(d->name, "mnist")) return "0,1,2,3,4,5,6,7,8,9";
    return NULL;
}

/* What is not a built-in name and is a file, or looks like one, is a file. */
static ot_status set_spiking(const args *a, ot_network *net)
{
    ot_spiking with = *ot_network_spiking(net);
    const ot_layer *first = ot_network_spike(net, 0);
    if (!first && !a->spiking.steps && !a->coding_given && !a->reset_given && a->leak <= 0) return OT_OK;
    if (!first) OT_FAIL(OT_E_UNSUPPORTED, "network %s has no spiking layers: --steps, --coding, --reset and --leak are for such", ot_network_name(net));
    if (a->spiking.steps) with.steps = a->spiking.steps;
    if (a->coding_given) with.coding = a->spiking.coding;
    ot_status st = ot_network_set_spiking(net, &with);
    if (st == OT_OK && (a->leak > 0 || a->reset_given))
        st = ot_network_set_neurons(net, a->leak > 0 ? (float)a->leak : first->leak, a->reset_given ? a->reset : first->reset, a->reset_given ? 0 : first->u_rst);
    return st;
}

static ot_status build_or_open(const args *a, const ot_data *train, ot_network **net)
{
    size_t n = strlen(a->model);
    if (strchr(a->model, '/') || (n > 5 && !strcmp(a->model + n - 5, ".onnx"))) return cli_open_network(&a->common, net, a->model);
    ot_status st = ot_model_build(net, a->model, train->c, train->h, train->w, train->classes, a->opt.seed);
    const int images = train->pixels || train->values;                           /* a dry run may have none */
    const int coded = a->coding_given && a->spiking.coding != OT_CODING_DIRECT;  /* pixels stay what they are then */
    if (st == OT_OK && images && !coded) st = ot_train_normalise(*net, train);
    const char *names = class_names(train);
    if (st == OT_OK && names) st = ot_network_set_class_names(*net, names);
    return st;
}

static ot_status open_network(const args *a, const ot_data *train, ot_network **net)
{
    ot_status st = build_or_open(a, train, net);
    return st == OT_OK ? set_spiking(a, *net) : st;
}

/* Training and test set.  A dry run that does not find the training set takes its published shape, without images. */
static ot_status open_data(const args *a, ot_data **train, ot_data **test)
{
    ot_status st = ot_data_open(train, a->common.data, OT_SPLIT_TRAIN, a->common.limit);
    if (st == OT_OK) return ot_data_open(test, a->common.data, OT_SPLIT_TEST, a->common.limit);
    if (st != OT_E_OPEN || !a->common.dry_run || strchr(a->common.data, ':')) return st;
    OT_TRY(cli_published_data(train, a->common.data));
    ot_data *d = *train;
    if (a->common.limit && a->common.limit < d->n) d->n = a->common.limit;
    cli_say(&a->common, "%s is not here; counted with its published %d images of %d x %d x %d\n", d->name, d->n, d->c, d->h, d->w);
    return OT_OK;
}

typedef struct run {
    int json, epochs_done;
    double test_accuracy;
} run;

static ot_status report(void *user, int epoch, double loss, double train_accuracy, double test_accuracy, double lr)
{
    run *r = user;
    r->test_accuracy = test_accuracy;
    r->epochs_done++;
    if (r->json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "epoch", epoch + 1);
        cli_json_number(o, "loss", loss);
        cli_json_number(o, "train_accuracy", train_accuracy);
        cli_json_number(o, "test_accuracy", test_accuracy);
        cli_json_number(o, "lr", lr);
        cli_print_json(o);
    } else {
        printf("epoch %3d  loss %.4f  train %.4f  test %.4f  lr %.3g\n", epoch + 1, loss, train_accuracy, test_accuracy, lr);
    }
    fflush(stdout);
    return OT_OK;
}

static void list_models(const args *a)
{
    for (int i = 0; ot_model_name(i); i++) {
        if (!a->common.json) {
            printf("%-14s %s\n", ot_model_name(i), ot_model_text(i));
            continue;
        }
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", ot_model_name(i));
        cJSON_AddStringToObject(o, "text", ot_model_text(i));
        cli_print_json(o);
    }
    if (!a->common.json) printf("NAME@WIDTH: any of them with its channels times WIDTH, %g to %g (mobilenet@0.25)\n", OT_MODEL_WIDTH_MIN, OT_MODEL_WIDTH_MAX);
}

/* What a shard's plan takes, and how many shards there are. */
static ot_status measure(size_t *bytes, int *shards, const args *a, const cli_common *common, const ot_network *net)
{
    ot_backend *be;
    ot_plan_options plan = OT_PLAN_OPTIONS_INIT;
    *shards = a->opt.shards ? a->opt.shards : a->opt.minibatch % 2 ? 1 : 2;
    plan.use = OT_PLAN_TRAIN;
    plan.tile = a->opt.minibatch / *shards;
    plan.surrogate = a->opt.surrogate;
    plan.sharpness = a->opt.sharpness;
    plan.spike_loss = a->opt.spike_loss;
    OT_TRY(ot_train_check(&a->opt));
    OT_TRY(cli_open_backend(common, &be));
    const ot_status st = ot_plan_measure(bytes, be, net, &plan);
    ot_backend_close(be);
    return st;
}

static ot_status check_memory(const args *a, const ot_network *net)
{
    size_t bytes;
    int shards;
    cli_common quiet = a->common; /* training says which backend it is */
    quiet.quiet = 1;
    if (!a->common.memory) return OT_OK;
    OT_TRY(measure(&bytes, &shards, a, &quiet, net));
    if (bytes * (size_t)shards > a->common.memory)
        OT_FAIL(OT_E_MEMORY_PLAN, "training '%s' takes %.1f MB, --memory allows %.1f MB (a smaller --minibatch takes less)", a->model,
                (double)bytes * shards / 1048576, (double)a->common.memory / 1048576);
    return OT_OK;
}

static ot_status dry_run(const args *a, const ot_network *net, const ot_data *train)
{
    size_t bytes;
    int shards;
    OT_TRY(measure(&bytes, &shards, a, &a->common, net));
    const int steps = train->n / a->opt.minibatch;
    if (!a->common.json) {
        printf("%s: %zu parameters; %d epochs of %d minibatches of %d images in %d shards; %.1f MB a shard\n", ot_network_name(net),
               ot_network_parameters(net), a->opt.epochs, steps, a->opt.minibatch, shards, (double)bytes / 1e6);
        return OT_OK;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "network", ot_network_name(net));
    cJSON_AddNumberToObject(o, "parameters", (double)ot_network_parameters(net));
    cJSON_AddNumberToObject(o, "epochs", a->opt.epochs);
    cJSON_AddNumberToObject(o, "steps", steps);
    cJSON_AddNumberToObject(o, "minibatch", a->opt.minibatch);
    cJSON_AddNumberToObject(o, "shards", shards);
    cJSON_AddNumberToObject(o, "bytes_a_shard", (double)bytes);
    cli_print_json(o);
    return OT_OK;
}

static void summary(const args *a, const ot_network *net, const ot_data *train, const run *r, double seconds)
{
    if (!a->common.json) {
        printf("%s written: %s, %zu parameters, ", a->out, ot_network_name(net), ot_network_parameters(net));
        if (r->epochs_done)
            printf("test accuracy %.4f, %.1f s\n", r->test_accuracy, seconds);
        else
            printf("as %s has it: nothing was left to do\n", a->opt.checkpoint);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "network", ot_network_name(net));
    cJSON_AddStringToObject(o, "file", a->out);
    cJSON_AddStringToObject(o, "data", train->name);
    cJSON_AddNumberToObject(o, "images", train->n);
    cJSON_AddNumberToObject(o, "parameters", (double)ot_network_parameters(net));
    cJSON_AddNumberToObject(o, "epochs", a->opt.epochs);
    cli_json_number(o, "test_accuracy", r->test_accuracy);
    cli_json_number(o, "seconds", seconds);
    cli_print_json(o);
}

int cmd_train(int argc, char **argv);
int cmd_train(int argc, char **argv)
{
    args a = {.opt = ot_train_defaults()};
    a.robust.opt = a.opt.robust;
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    if (a.list) {
        list_models(&a);
        return 0;
    }
    a.opt.seed = a.common.variation.seed;
    a.opt.threads = a.common.threads;
    a.opt.stop = &stop;
    if (a.opt.optimizer == OT_OPTIMIZER_ADAM && !a.lr_given) a.opt.lr = 0.001;

    ot_data *train = NULL, *test = NULL;
    ot_network *net = NULL;
    run r = {.json = a.common.json, .test_accuracy = NAN};
    double start = ot__seconds();
    int rc;
    ot_status st = train_robust_take(&a.opt, &a.robust, &a.common);
    if (st == OT_OK) st = ot_train_check(&a.opt);
    if (st == OT_OK) st = open_data(&a, &train, &test);
    if (st == OT_OK) st = open_network(&a, train, &net);
    if (st != OT_OK) goto done;
    if (a.common.dry_run) {
        st = dry_run(&a, net, train);
        goto done;
    }
    st = cli_check_writable(a.out);
    if (st == OT_OK && a.opt.checkpoint) st = cli_check_writable(a.opt.checkpoint);
    if (st == OT_OK) st = check_memory(&a, net);
    if (st != OT_OK) goto done;
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, NULL);
    st = ot_train(net, a.common.backend, train, test, &a.opt, report, &r);
    if (st == OT_OK) st = ot_network_save(net, a.out, NULL, NULL);
    if (st == OT_OK) summary(&a, net, train, &r, ot__seconds() - start);
done:
    rc = st == OT_OK ? 0 : cli_fail("train", st);
    ot_network_free(net);
    ot_data_free(test);
    ot_data_free(train);
    return rc;
}

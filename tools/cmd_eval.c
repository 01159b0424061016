/* cmd_eval.c - `ohmtrim eval`: accuracy of the ideal network, or of one chip, on the test images of a data set.
 *
 * The images are cut into as many runs of whole tiles as there are threads.  Each thread has a backend and a plan of its own; an
 * image's logits depend on nothing but the image, so the result is the same for any number of threads. */
#include "cli.h"
#include "eval_noise.h"

#include "base/fail.h"
#include "base/progress.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { KEY_CHIP = CLI_VERB_FIRST, KEY_LOGITS, KEY_KNOBS, KEY_TILE, KEY_CONV, TILE = 128, MOST_THREADS = 1024 };

static const struct argp_option options[] = {
    {"chip", KEY_CHIP, "N", 0, "evaluate chip N in place of the ideal network", 1},
    {"knobs", KEY_KNOBS, "FILE", 0, "set these knobs: what `ohmtrim tune --json` prints, or an npz with gain and offset", 1},
    {"logits", KEY_LOGITS, "FILE.npy", 0, "write the class outputs, (images, classes) float32", 1},
    {"tile", KEY_TILE, "N", 0, "images computed at once, 1..4096 (128)", 1},
    {"conv", KEY_CONV, "auto|direct|winograd", 0, "convolution algorithm (auto)", 1},
    {0},
};

typedef struct args {
    cli_common     common;
    eval_noise_args noise;
    const char    *network, *logits, *knobs;
    int64_t        chip;                       /* -1: the ideal network */
    int            tile;
    ot_conv_choice conv;
} args;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const convs[] = {"auto", "direct", "winograd"};
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->noise; state->child_inputs[1] = &a->common; return 0;
    case KEY_CHIP: a->chip = cli_int(state, "chip", arg, 0, UINT32_MAX); return 0;
    case KEY_LOGITS: a->logits = arg; return 0;
    case KEY_KNOBS: a->knobs = arg; return 0;
    case KEY_TILE: a->tile = (int)cli_int(state, "tile", arg, 1, 4096); return 0;
    case KEY_CONV:
        for (int i = 0; i < 3; i++)
            if (!strcmp(arg, convs[i])) {
                a->conv = (ot_conv_choice)i;
                return 0;
            }
        argp_error(state, "--conv = '%s', want auto, direct or winograd", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (a->network) argp_error(state, "'%s' is one word too many, want one network", arg);
        a->network = arg;
        return 0;
    case ARGP_KEY_END: {
        static const char *const of_chips[] = {"device-model", "sigma", "sys-share", "bits", "stuck-lrs", "stuck-hrs"};
        static const int         keys[] = {CLI_DEVICE_MODEL, CLI_SIGMA, CLI_SYS_SHARE, CLI_BITS, CLI_STUCK_LRS, CLI_STUCK_HRS};
        if (!a->network) argp_error(state, "want a network (an ONNX file)");
        if (!a->common.data) argp_error(state, "want --data, e.g. --data fashion-mnist");
        if (a->noise.asked && (a->chip >= 0 || a->knobs || a->logits || a->common.dry_run))
            argp_error(state, "--noise makes many chips of its own: not with --chip, --knobs, --logits or --dry-run");
        for (int i = 0; i < 6 && a->chip < 0; i++)
            if (cli_given(&a->common, keys[i])) argp_error(state, "--%s says how chips vary; the ideal network does not: want --chip N too", of_chips[i]);
        return 0;
    }
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Runs the test images of a data set through a network, ideal or as chip N turned out, and counts right answers."
    "\vExamples:\n"
    "  ohmtrim eval models/mobilenet-s.onnx --data fashion-mnist\n"
    "  ohmtrim eval models/mobilenet-s.onnx --data fashion-mnist --chip 17 --sigma 0.035 --json\n"
    "  ohmtrim tune models/mobilenet-s.onnx --data fashion-mnist --chip 17 --json >knobs.json\n"
    "  ohmtrim eval models/mobilenet-s.onnx --data fashion-mnist --chip 17 --knobs knobs.json\n"
    "  ohmtrim eval models/lenet5.onnx --data fashion-mnist --noise fixed:0.1,0.1 --self-tuning ltm:1000,1\n"
    "  ohmtrim eval mine.onnx --data npz:mine.npz --limit 1000 --logits logits.npy\n"
    "An image with a NaN among its class outputs counts as wrong; equal largest outputs go to the lowest class.";
static const struct argp_child children[] = {{&eval_noise_argp, 0, NULL, 1}, {&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {options, parse, "NET.onnx", doc, children, NULL, NULL};

/* What a thread does, and how it ended. */
typedef struct part {
    const args       *a;
    const ot_network *net;
    const ot_chip    *chip;                    /* NULL: ideal */
    const ot_data    *data;
    const float      *gain, *offset;           /* NULL: 1 and 0 */
    int64_t           first, n, correct;
    float            *logits;                  /* of its first image */
    ot_status         st;
    char              error[1024];
} part;

static ot_plan_options plan_options(const args *a)
{
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.tile = a->tile;
    opt.conv = a->conv;
    return opt;
}

static ot_status evaluate(part *w)
{
    ot_plan_options opt = plan_options(w->a);
    ot_backend     *be = NULL;
    ot_plan        *plan = NULL;
    uint32_t       *index = NULL;
    ot_status       st = OT_OK;
    const size_t    classes = (size_t)ot_network_classes(w->net);
    OT_TRY_TO(done, st, ot_backend_open(&be, w->a->common.backend, NULL));
    OT_TRY_TO(done, st, ot_plan_open(&plan, be, w->net, &opt));
    OT_TRY_TO(done, st, ot_plan_load(plan, w->chip));
    OT_TRY_TO(done, st, ot_plan_set_knobs(plan, w->gain, w->offset));
    if (!(index = ot_alloc((size_t)w->n, sizeof *index))) OT_FAIL_TO(done, st, OT_E_NOMEM, "eval: no memory for %lld image numbers", (long long)w->n);
    for (int64_t i = 0; i < w->n; i++) index[i] = (uint32_t)(w->first + i);
    if (w->logits) {
        OT_TRY_TO(done, st, ot_plan_forward(plan, w->data, index, w->n, w->logits, NULL));
        for (int64_t i = 0; i < w->n; i++) w->correct += ot_plan_class(w->logits + (size_t)i * classes, (int)classes) == w->data->labels[w->first + i];
    } else {
        OT_TRY_TO(done, st, ot_plan_count(plan, w->data, index, w->n, &w->correct, NULL));
    }
done:
    ot_free(index);
    ot_plan_free(plan);
    ot_backend_close(be);
    return st;
}

static void *thread_main(void *arg)
{
    part *w = arg;
    w->st = evaluate(w);
    if (w->st != OT_OK) snprintf(w->error, sizeof w->error, "%s", ot_last_error());
    return NULL;
}

/* Threads asked for, but no more than tiles, nor than fit in --memory. */
static ot_status threads_for(int *out, const args *a, const ot_data *data, size_t plan_bytes)
{
    int64_t tiles = ((int64_t)data->n + a->tile - 1) / a->tile;
    long    cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t n = a->common.threads ? a->common.threads : cores > 0 ? cores : 1;
    size_t  fixed = ot_memory_now().live_bytes;
    if (n > tiles) n = tiles;
    if (n > MOST_THREADS) n = MOST_THREADS;
    if (a->common.memory) {
        if (a->common.memory < fixed + plan_bytes)
            OT_FAIL(OT_E_MEMORY_PLAN, "--memory = %zu bytes; network, images and one plan take %zu", a->common.memory, fixed + plan_bytes);
        int64_t fit = (int64_t)((a->common.memory - fixed) / plan_bytes);
        if (n > fit) n = fit;
    }
    *out = n < 1 ? 1 : (int)n;
    return OT_OK;
}

static ot_status run(int64_t *correct, const args *a, const part *all, int threads)
{
    pthread_t id[MOST_THREADS];
    int       started = 0;
    int64_t   tiles = (all->n + a->tile - 1) / a->tile;
    ot_status st = OT_OK;
    part     *parts = ot_alloc((size_t)threads, sizeof *parts);
    if (!parts) OT_NOMEM("threads", (size_t)threads * sizeof *parts);
    for (int t = 0; t < threads; t++) {
        int64_t first = tiles * t / threads * a->tile, end = tiles * (t + 1) / threads * a->tile;
        parts[t] = *all;
        parts[t].first = first;
        parts[t].n = (end < all->n ? end : all->n) - first;
        if (all->logits) parts[t].logits = all->logits + first * ot_network_classes(all->net);
    }
    for (; started + 1 < threads; started++)
        if (pthread_create(&id[started], NULL, thread_main, &parts[started + 1])) break;
    for (int t = started + 1; t < threads; t++) thread_main(&parts[t]);         /* no more threads to be had: do it here */
    thread_main(&parts[0]);
    for (int t = 0; t < started; t++) pthread_join(id[t], NULL);
    *correct = 0;
    for (int t = 0; t < threads; t++) {
        *correct += parts[t].correct;
        if (parts[t].st != OT_OK && st == OT_OK) st = ot__fail(parts[t].st, __FILE__, __LINE__, "%s", parts[t].error);
    }
    ot_free(parts);
    return st;
}

static void print_result(const args *a, const part *all, int64_t correct, const ot_backend *be, double seconds, int threads)
{
    double accuracy = (double)correct / (double)all->n;
    if (!a->common.json) {
        if (a->chip >= 0) printf("chip %lld of %s: delta_sys %+.6f\n", (long long)a->chip, ot_network_name(all->net), ot_chip_delta_sys(all->chip));
        printf("%s on %s: %lld of %lld right, accuracy %.4f (%s, %d thread%s, %.2f s)\n", ot_network_name(all->net), all->data->name,
               (long long)correct, (long long)all->n, accuracy, ot_backend_name(be), threads, threads == 1 ? "" : "s", seconds);
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "network", ot_network_name(all->net));
    cJSON_AddStringToObject(o, "data", all->data->name);
    cJSON_AddNumberToObject(o, "images", (double)all->n);
    cJSON_AddNumberToObject(o, "correct", (double)correct);
    cli_json_number(o, "accuracy", accuracy);
    cJSON_AddStringToObject(o, "backend", ot_backend_name(be));
    cJSON_AddStringToObject(o, "backend_detail", ot_backend_detail(be));
    cJSON_AddNumberToObject(o, "threads", threads);
    cli_json_number(o, "seconds", seconds);
    if (a->chip >= 0) {
        cJSON_AddNumberToObject(o, "chip", (double)a->chip);
        cli_json_number(o, "delta_sys", ot_chip_delta_sys(all->chip));
    }
    cli_print_json(o);
}

static ot_status read_knobs(float **gain, float **offset, const ot_network *net, const char *path)
{
    size_t relus = (size_t)ot_network_knobs(net);
    *gain = ot_alloc(relus, sizeof **gain);
    *offset = ot_alloc(relus, sizeof **offset);
    if (!*gain || !*offset) OT_NOMEM("knobs", 2 * relus * sizeof **gain);
    return cli_read_knobs(*gain, *offset, net, path);
}

int cmd_eval(int argc, char **argv);      /* called by ohmtrim.c */
int cmd_eval(int argc, char **argv)
{
    args a = {.chip = -1, .tile = TILE};
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    ot_network *net = NULL;
    ot_data    *data = NULL;
    ot_chip    *chip = NULL;
    ot_backend *be = NULL;
    ot_device   dev;
    float      *gain = NULL, *offset = NULL, *logits = NULL;
    size_t      plan_bytes;
    int         threads;
    int64_t     correct = 0;
    ot_status   st = OT_OK;
    ot_plan_options opt = plan_options(&a);
    OT_TRY_TO(done, st, cli_open_network(&a.common, &net, a.network));
    OT_TRY_TO(done, st, ot_data_open(&data, a.common.data, OT_SPLIT_TEST, a.common.limit));
    OT_TRY_TO(done, st, ot_data_check(data, net));
    if (data->n < 1) OT_FAIL_TO(done, st, OT_E_DATA, "data set %s has no test images", data->name);
    if (a.knobs) OT_TRY_TO(done, st, read_knobs(&gain, &offset, net, a.knobs));
    OT_TRY_TO(done, st, cli_open_backend(&a.common, &be));
    OT_TRY_TO(done, st, ot_plan_measure(&plan_bytes, be, net, &opt));
    if (a.chip >= 0 && !a.common.dry_run) {
        OT_TRY_TO(done, st, cli_open_device(&a.common, &dev));
        cli_say_bits(&a.common, net, a.network);
        OT_TRY_TO(done, st, ot_chip_draw(&chip, net, &dev, &a.common.variation, (uint32_t)a.chip));
    }
    if (a.noise.asked) plan_bytes += 2 * sizeof(float) * ot_network_parameters(net);       /* each thread's chip */
    OT_TRY_TO(done, st, threads_for(&threads, &a, data, plan_bytes));
    if (!strncmp(ot_backend_name(be), "cuda", 4)) threads = 1;                  /* a device is one queue */
    if (a.common.dry_run) {
        printf("would run %d images through %s in tiles of %d on %d threads: %zu bytes a thread\n", data->n, ot_network_name(net), a.tile, threads, plan_bytes);
        goto done;
    }
    if (a.noise.asked) {
        if (a.common.memory) a.common.threads = threads;
        st = eval_noise(&a.common, &a.noise, net, data, a.tile);
        goto done;
    }
    size_t classes = (size_t)ot_network_classes(net);
    if (a.logits && !(logits = ot_alloc((size_t)data->n * classes, sizeof *logits)))
        OT_FAIL_TO(done, st, OT_E_NOMEM, "logits: no memory for %zu bytes", (size_t)data->n * classes * sizeof *logits);
    part all = {.a = &a, .net = net, .chip = chip, .data = data, .gain = gain, .offset = offset, .n = data->n, .logits = logits};
    double start = ot__seconds();
    OT_TRY_TO(done, st, run(&correct, &a, &all, threads));
    double seconds = ot__seconds() - start;
    if (a.logits) {
        const int64_t dims[2] = {data->n, (int64_t)classes};
        OT_TRY_TO(done, st, ot_npy_write(a.logits, OT_F32, 2, dims, logits));
        cli_say(&a.common, "wrote %s\n", a.logits);
    }
    print_result(&a, &all, correct, be, seconds, threads);
done:
    ot_free(logits);
    ot_free(offset);
    ot_free(gain);
    ot_backend_close(be);
    ot_chip_free(chip);
    ot_data_free(data);
    ot_network_free(net);
    return st == OT_OK ? 0 : cli_fail("eval", st);
}

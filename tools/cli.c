/* cli.c - see cli.h. */
#include "cli.h"
#include "base/progress.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct argp_option options[] = {
    {"backend", CLI_BACKEND, "NAME", 0, "auto, cpu, ref, or on a GPU cuda (float), cuda:tf32, cuda:fp16", 0},
    {"seed", CLI_SEED, "N", 0, "64-bit seed of all draws (1)", 0},
    {"threads", CLI_THREADS, "N", 0, "threads, 0 = one a core (0)", 0},
    {"memory", CLI_MEMORY, "SIZE", 0, "memory allowed, e.g. 800M or 2G (no limit)", 0},
    {"data", CLI_DATA, "NAME[:DIR]", 0, "data set: mnist, fashion-mnist, cifar10, cifar100, npz:FILE", 0},
    {"limit", CLI_LIMIT, "N", 0, "use only the first N test images (all)", 0},
    {"device-model", CLI_DEVICE_MODEL, "r1|r2|r3|FILE", 0, "device preset or file (r1)", 0},
    {"sigma", CLI_SIGMA, "X", 0, "sd of gamma's variation, a fraction 0..0.08 (0.048)", 0},
    {"sys-share", CLI_SYS_SHARE, "X", 0, "systematic share of its variance, 0..1 (0.5)", 0},
    {"bits", CLI_BITS, "N", 0, "magnitude bits a weight, 2..16 (16)", 0},
    {"stuck-lrs", CLI_STUCK_LRS, "X", 0, "share of cells stuck in LRS, 0..1 (0)", 0},
    {"stuck-hrs", CLI_STUCK_HRS, "X", 0, "share of cells stuck in HRS, 0..1 (0)", 0},
    {"config", CLI_CONFIG, "FILE", 0, "YAML file with any of these options as keys (sys_share: 0.5); the command line wins", 0},
    {"dry-run", CLI_DRY_RUN, 0, 0, "say what would be done and how much memory it takes, then stop", 0},
    {"json", CLI_JSON, 0, 0, "results as JSON, one object a line", 0},
    {"quiet", 'q', 0, 0, "no progress and no remarks", 0},
    {0},
};

int cli_given(const cli_common *c, int key) { return (int)(c->given >> (key - CLI_FIRST) & 1); }

double cli_double(struct argp_state *state, const char *option, const char *text, double least, double most)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end == text || *end || errno || !(v >= least && v <= most))
        argp_error(state, "%s--%s = '%s', want a number %g..%g", cli_config_place(state), option, text, least, most);
    return v;
}

int64_t cli_int(struct argp_state *state, const char *option, const char *text, int64_t least, int64_t most)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < least || v > most)
        argp_error(state, "%s--%s = '%s', want a whole number %lld..%lld", cli_config_place(state), option, text, (long long)least, (long long)most);
    return v;
}

uint64_t cli_u64(struct argp_state *state, const char *option, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (end == text || *end || errno || strchr(text, '-'))
        argp_error(state, "%s--%s = '%s', want a whole number 0..18446744073709551615", cli_config_place(state), option, text);
    return v;
}

int cli_take_int(int *out, const char **p, int least, int most)
{
    char *end;
    errno = 0;
    const long v = strtol(*p, &end, 10);
    if (end == *p || errno || v < least || v > most) return 0;
    *out = (int)v;
    *p = end;
    return 1;
}

static size_t size_of(struct argp_state *state, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    double unit = *end == 'K' ? 1024.0 : *end == 'M' ? 1048576.0 : *end == 'G' ? 1073741824.0 : 1.0;
    if (end == text || !(v > 0 && v * unit < 1e15) || (*end && (!strchr("KMG", *end) || end[1])))
        argp_error(state, "--memory = '%s', want a size such as 800M or 2G", text);
    return (size_t)(v * unit);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    cli_common *c = state->input;
    if (key >= CLI_FIRST && key < CLI_VERB_FIRST) c->given |= 1ull << (key - CLI_FIRST);
    switch (key) {
    case CLI_BACKEND: c->backend = arg; return 0;
    case CLI_SEED: c->variation.seed = cli_u64(state, "seed", arg); return 0;
    case CLI_THREADS: c->threads = (int)cli_int(state, "threads", arg, 0, 1024); return 0;
    case CLI_MEMORY: c->memory = size_of(state, arg); return 0;
    case CLI_DATA: c->data = arg; return 0;
    case CLI_LIMIT: c->limit = (int)cli_int(state, "limit", arg, 0, INT32_MAX); return 0;
    case CLI_DEVICE_MODEL: c->device_model = arg; return 0;
    case CLI_STUCK_LRS: c->variation.stuck_lrs = cli_double(state, "stuck-lrs", arg, 0, 1); return 0;
    case CLI_STUCK_HRS: c->variation.stuck_hrs = cli_double(state, "stuck-hrs", arg, 0, 1); return 0;
    case CLI_SIGMA: c->variation.sigma = cli_double(state, "sigma", arg, 0, 0.08); return 0;
    case CLI_SYS_SHARE: c->variation.sys_share = cli_double(state, "sys-share", arg, 0, 1); return 0;
    case CLI_BITS: c->variation.bits = (int)cli_int(state, "bits", arg, 2, 16); return 0;
    case CLI_CONFIG: return 0;                               /* read before parsing: cli_config.c */
    case CLI_DRY_RUN: c->dry_run = 1; return 0;
    case CLI_JSON: c->json = 1; return 0;
    case 'q': c->quiet = 1; return 0;
    case ARGP_KEY_SUCCESS: ot__progress_enable(!c->quiet && !c->json); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

void cli_defaults(cli_common *c)
{
    *c = (cli_common){.backend = "auto", .device_model = "r1", .variation = OT_VARIATION_INIT};
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    argp_err_exit_status = 2;
    ot_status st = cli_config_words(&argc, &argv, argp);
    if (st != OT_OK) {
        fprintf(stderr, "%s: %s\n", argv[0], ot_last_error());
        exit(ot_status_exit(st));
    }
    error_t e = argp_parse(argp, argc, argv, 0, NULL, input);
    if (e) {
        fprintf(stderr, "%s: %s\n", argv[0], strerror(e));
        exit(4);
    }
}

int cli_fail(const char *verb, ot_status st)
{
    fflush(stdout);
    fprintf(stderr, "ohmtrim %s: %s\n", verb, ot_last_error());
    return ot_status_exit(st);
}

void cli_say(const cli_common *c, const char *fmt, ...)
{
    if (c->quiet) return;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
}

void cli_json_number(cJSON *object, const char *name, double value)
{
    char text[40];
    if (!isfinite(value)) {
        cJSON_AddNullToObject(object, name);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {              /* the shortest text that reads back to the same double */
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    cJSON_AddRawToObject(object, name, text);
}

void cli_print_json(cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    puts(text ? text : "null");
    cJSON_free(text);
    cJSON_Delete(object);
}

ot_status cli_open_network(const cli_common *c, ot_network **net, const char *path)
{
    ot_status st = ot_network_open(net, path);
    for (int i = 0; st == OT_OK && ot_network_warning(*net, i); i++) cli_say(c, "%s: %s\n", path, ot_network_warning(*net, i));
    return st;
}

void cli_say_bits(const cli_common *c, const ot_network *net, const char *path)
{
    const int bits = ot_network_bits(net);
    if (bits && bits != c->variation.bits) cli_say(c, "%s asks for weights of %d bits, drawn with %d (--bits %d)\n", path, bits, c->variation.bits, bits);
}

ot_status cli_open_device(const cli_common *c, ot_device *dev)
{
    char warning[256];
    ot_status st = ot_device_open(dev, c->device_model);
    if (st == OT_OK && ot_device_warning(dev, c->variation.sigma, warning, sizeof warning)) cli_say(c, "%s\n", warning);
    return st;
}

ot_status cli_open_backend(const cli_common *c, ot_backend **be)
{
    const char *why;
    ot_status st = ot_backend_open(be, c->backend, &why);
    if (st == OT_OK) cli_say(c, "backend %s: %s\n", ot_backend_name(*be), why);
    return st;
}

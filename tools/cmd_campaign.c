/* cmd_campaign.c - `ohmtrim campaign run|status|digest|export`. */
#include "cli.h"
#include "print_campaign.h"

#include <math.h>
#include <signal.h>
#include <string.h>

enum { OUT = 'o', PHASE = CLI_VERB_FIRST, DURABLE, MIXED, SET, CSV, NPZ, STIMULUS, SIGNATURE, VERDICTS };

static const struct argp_option options[] = {
    {"output", OUT, "FILE.db", 0, "run: the database; if it is there, the campaign in it is continued", 0},
    {"phase", PHASE, "casebook|evaluate", 0, "run: only this phase (both)", 0},
    {"set", SET, "KEY=VALUE", 0, "run: a key of the spec, e.g. chips=500 or tune.steps=50; may be repeated", 0},
    {"durable", DURABLE, 0, 0, "run: wait for the disk at every chip, so that a power cut loses nothing", 0},
    {"mixed", MIXED, 0, 0, "run: continue although build or machine differ from those that began", 0},
    {"csv", CSV, "DIR", 0, "export: one CSV file a table, and summary.csv", 0},
    {"npz", NPZ, "FILE.npz", 0, "export: arrays, the casebook as `ohmtrim tune --casebook` and `learn --update` read it", 0},
    {"stimulus", STIMULUS, "NAME", 0, "export --npz: answers to this stimulus (the campaign's own)", 0},
    {"signature", SIGNATURE, "full|final|moments", 0, "export --npz: which numbers of them (full)", 0},
    {"verdicts", VERDICTS, 0, 0, "status: what each rule makes of the evaluation chips, with a judge learned from the casebook", 0},
    {0},
};

enum { MAX_SETS = 64 };
typedef struct args {
    cli_common      common;
    const char     *verb, *path, *out, *csv, *npz, *stimulus, *sets[MAX_SETS];
    int             n_sets, verdicts;
    ot_signature_kind kind;
    ot_campaign_how how;
} args;

static void check_words(const args *a, struct argp_state *state)
{
    static const char *const verbs[] = {"run", "status", "digest", "export"};
    int known = 0;
    if (!a->verb) argp_error(state, "want run, status, digest or export");
    for (size_t i = 0; i < 4; i++) known |= !strcmp(a->verb, verbs[i]);
    if (!known) argp_error(state, "'%s' is not known, want run, status, digest or export", a->verb);
    int run = !strcmp(a->verb, "run"), export = !strcmp(a->verb, "export");
    if (!a->path) argp_error(state, run ? "run wants a spec (a YAML file)" : "%s wants a campaign's database", a->verb);
    if (run && !a->out && !a->common.dry_run) argp_error(state, "run wants -o FILE.db");
    if (!run && (a->out || a->n_sets || a->how.durable || a->how.mixed || a->how.phase))
        argp_error(state, "-o, --phase, --set, --durable and --mixed belong to run, not to %s", a->verb);
    if (export && !a->csv == !a->npz) argp_error(state, "export wants --csv DIR or --npz FILE");
    if (!export && (a->csv || a->npz)) argp_error(state, "--csv and --npz belong to export, not to %s", a->verb);
    if (!a->npz && (a->stimulus || a->kind)) argp_error(state, "--stimulus and --signature go with export --npz");
    if (a->verdicts && strcmp(a->verb, "status")) argp_error(state, "--verdicts belongs to status, not to %s", a->verb);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case OUT: a->out = arg; return 0;
    case PHASE:
        if (!strcmp(arg, "casebook")) a->how.phase = OT_PHASE_CASEBOOK;
        else if (!strcmp(arg, "evaluate")) a->how.phase = OT_PHASE_EVALUATE;
        else argp_error(state, "--phase = '%s', want casebook or evaluate", arg);
        return 0;
    case DURABLE: a->how.durable = 1; return 0;
    case MIXED: a->how.mixed = 1; return 0;
    case SET:
        if (!strchr(arg, '=')) argp_error(state, "--set %s: want KEY=VALUE", arg);
        if (a->n_sets == MAX_SETS) argp_error(state, "--set: want at most %d of them", MAX_SETS);
        a->sets[a->n_sets++] = arg;
        return 0;
    case CSV: a->csv = arg; return 0;
    case NPZ: a->npz = arg; return 0;
    case STIMULUS: a->stimulus = arg; return 0;
    case SIGNATURE:
        if (ot_signature_kind_parse(&a->kind, arg) != OT_OK || a->kind == OT_SIGNATURE_PLAIN) argp_error(state, "--signature = '%s', want full, final or moments", arg);
        return 0;
    case VERDICTS: a->verdicts = 1; return 0;
    case ARGP_KEY_ARG:
        if (!a->verb) a->verb = arg;
        else if (!a->path) a->path = arg;
        else argp_error(state, "'%s' is one word too many", arg);
        return 0;
    case ARGP_KEY_END: check_words(a, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Many chips of one network, measured, tested and tuned, in one database file.\n\n"
    "run continues what is in the file and measures only what is missing; a kill loses at most the chips in hand, Ctrl-C finishes them.  "
    "status prints yields with 95 % intervals, digest one number for all results, export tables or arrays."
    "\vThe keys of a spec are described in docs/campaign.md; --data, --limit (test_limit), --sigma and the like replace them.\n\n"
    "Examples:\n"
    "  ohmtrim campaign run examples/demo.yaml -o c.db\n"
    "  ohmtrim campaign run examples/demo.yaml --set chips=20 --sigma 0.035 --dry-run -o d.db\n"
    "  ohmtrim campaign status c.db --verdicts\n"
    "  ohmtrim campaign export c.db --npz casebook.npz";
static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {options, parse, "run SPEC.yaml -o FILE.db\nstatus FILE.db\ndigest FILE.db\nexport FILE.db --csv DIR|--npz FILE", doc,
                                 children, NULL, NULL};

static volatile int stop;
static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void say(void *user, const char *sentence) { cli_say(user, "%s\n", sentence); }

/* The file, then --set, then the common options given. */
static ot_status read_spec(ot_campaign_spec *spec, const args *a)
{
    const cli_common *c = &a->common;
    char key[64], number[32];
    ot_status st = ot_campaign_spec_read(spec, a->path);
    for (int i = 0; st == OT_OK && i < a->n_sets; i++) {
        const char *eq = strchr(a->sets[i], '=');
        snprintf(key, sizeof key, "%.*s", (int)(eq - a->sets[i] < 63 ? eq - a->sets[i] : 63), a->sets[i]);
        st = ot_campaign_spec_set(spec, key, eq + 1);
    }
    const struct { int option; const char *key, *value; } given[] = {
        {CLI_BACKEND, "backend", c->backend}, {CLI_DATA, "data", c->data}, {CLI_DEVICE_MODEL, "device_model", c->device_model}};
    for (size_t i = 0; st == OT_OK && i < sizeof given / sizeof *given; i++)
        if (cli_given(c, given[i].option)) st = ot_campaign_spec_set(spec, given[i].key, given[i].value);
    if (st == OT_OK && cli_given(c, CLI_SEED)) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)c->variation.seed);
        st = ot_campaign_spec_set(spec, "seed", number);
    }
    if (cli_given(c, CLI_SIGMA)) spec->variation.sigma = c->variation.sigma;
    if (cli_given(c, CLI_SYS_SHARE)) spec->variation.sys_share = c->variation.sys_share;
    if (cli_given(c, CLI_STUCK_LRS)) spec->variation.stuck_lrs = c->variation.stuck_lrs;
    if (cli_given(c, CLI_STUCK_HRS)) spec->variation.stuck_hrs = c->variation.stuck_hrs;
    if (cli_given(c, CLI_BITS)) spec->variation.bits = c->variation.bits;
    if (cli_given(c, CLI_LIMIT)) spec->test_limit = c->limit;
    return st;
}

/* What a user should hear before hours of work: which backend, and cells outside the device's domain. */
static ot_status remarks(const args *a, const ot_campaign_spec *spec)
{
    cli_common c = a->common;
    ot_network *net = NULL;
    ot_backend *be = NULL;
    ot_device dev;
    c.backend = spec->backend;
    c.device_model = spec->device_model;
    c.variation = spec->variation;
    ot_status st = cli_open_network(&c, &net, spec->network);
    if (st == OT_OK) st = cli_open_device(&c, &dev);
    if (st == OT_OK) st = cli_open_backend(&c, &be);
    ot_backend_close(be);
    ot_network_free(net);
    return st;
}

static ot_status run(args *a)
{
    ot_campaign_spec spec;
    ot_campaign_need need;
    ot_campaign_how *how = &a->how;
    how->threads = a->common.threads;
    how->memory = a->common.memory;
    how->stop = &stop;
    how->say = say;
    how->user = &a->common;
    ot_status st = read_spec(&spec, a);
    if (st == OT_OK) st = ot_campaign_spec_check(&spec);
    if (st == OT_OK) st = remarks(a, &spec);
    if (st != OT_OK) return st;
    if (a->common.dry_run) {
        st = ot_campaign_measure(&need, &spec, how);
        if (st != OT_OK) return st;
        printf("%d casebook and %d evaluation chips, %d in flight: %.1f MB = %.1f MB of images and network + %d x %.1f MB a chip\n",
               spec.casebook_chips, spec.chips, need.in_flight, (double)need.total_bytes / 1048576, (double)need.shared_bytes / 1048576,
               need.in_flight, (double)need.chip_bytes / 1048576);
        return OT_OK;
    }
    /* The first signal stops after the chips in hand, a second one at once.  A file-size limit is an error like a full disk. */
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    signal(SIGXFSZ, SIG_IGN);
    st = ot_campaign_run(a->out, &spec, how);
    return st == OT_OK ? print_campaign(a->out, a->common.json, 0) : st;
}

static ot_status export(const args *a) { return a->csv ? ot_campaign_export_csv(a->path, a->csv) : ot_campaign_export_npz(a->path, a->npz, a->stimulus, a->kind); }

static ot_status digest(const args *a)
{
    char hex[65];
    ot_status st = ot_campaign_digest(a->path, hex);
    if (st != OT_OK) return st;
    if (a->common.json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "digest", hex);
        cli_print_json(o);
    } else puts(hex);
    return OT_OK;
}

int cmd_campaign(int argc, char **argv);      /* called by ohmtrim.c */
int cmd_campaign(int argc, char **argv)
{
    args a = {0};
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    ot_status st = !strcmp(a.verb, "run")      ? run(&a)
                   : !strcmp(a.verb, "status") ? print_campaign(a.path, a.common.json, a.verdicts)
                   : !strcmp(a.verb, "digest") ? digest(&a)
                                               : export(&a);
    return st == OT_OK ? 0 : cli_fail("campaign", st);
}

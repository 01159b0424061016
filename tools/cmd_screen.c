/* cmd_screen.c - `ohmtrim screen`: a recipe and measured signatures -> verdicts and knobs.
 *
 * All chips are judged before the first is printed: one bad number and there is no output to mistake for a verdict. */
#include "base/fail.h"
#include "base/file.h"
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { AFTER = CLI_VERB_FIRST, CODES, CSV, FAIL_ON, CUTOFF, ACCURACY, NETWORK };

static const struct argp_option options[] = {
    {"after", AFTER, 0, 0, "the signatures were measured with the knobs set: second verdict", 0},
    {"codes", CODES, 0, 0, "knobs as 16-bit codes too, thresholds of a spiking network as levels of their ladder (docs/recipe.md)", 0},
    {"csv", CSV, "FILE", 0, "as CSV; - is standard output", 0},
    {"fail-on", FAIL_ON, "V[,V...]", 0, "end with status 1 if a chip is one of pass, tune, full-test, reject, outlier", 0},
    {"cutoff", CUTOFF, "A", 0, "accuracy wanted, 0..1 (the recipe's)", 0},
    {"accuracy", ACCURACY, "FILE", 0, "results of full tests, npy or CSV, one number 0..1 a chip, nan where there was none: their verdicts", 0},
    {"network", NETWORK, "NAME|SHA", 0, "refuse a recipe that is not for this network: its name or the beginning of its hash", 0},
    {0},
};

enum { OUTLIER = OT_VERDICTS };

typedef struct args {
    cli_common  common;
    const char *recipe, *signatures, *csv, *accuracy, *network;
    double      cutoff;
    int         after, codes;
    unsigned    fail_on;                       /* bit (verdict or OUTLIER) */
} args;

/* One chip's line. */
typedef struct chip {
    ot_floor_result r;
    ot_verdict      verdict;                   /* r's, or what the full test made of it */
    double          accuracy;                  /* NaN: no full test */
} chip;

typedef struct session {
    ot_floor *floor;
    double   *signatures, *accuracy;
    float    *signature, *gain, *offset;       /* (S), (n, L), (n, L) */
    chip     *chips;
    int       n, relus, mends;                 /* mends: knobs are given */
} session;

static unsigned fail_on(const char *text, struct argp_state *state)
{
    unsigned bits = 0;
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, ",");
        int    v = 0;
        while (v < OUTLIER && (strlen(ot_verdict_name((ot_verdict)v)) != n || strncmp(ot_verdict_name((ot_verdict)v), p, n))) v++;
        if (v == OUTLIER && (n != 7 || strncmp(p, "outlier", n)))
            argp_error(state, "--fail-on = '%s': '%.*s', want pass, tune, full-test, reject or outlier", text, (int)n, p);
        bits |= 1u << v;
        p += n;
        if (!*p) return bits;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case AFTER: a->after = 1; return 0;
    case CODES: a->codes = 1; return 0;
    case CSV: a->csv = arg; return 0;
    case FAIL_ON: a->fail_on |= fail_on(arg, state); return 0;
    case CUTOFF: a->cutoff = cli_double(state, "cutoff", arg, 0, 1); return 0;
    case ACCURACY: a->accuracy = arg; return 0;
    case NETWORK: a->network = arg; return 0;
    case ARGP_KEY_ARG:
        if (a->signatures) argp_error(state, "'%s' is one word too many, want a recipe and signatures", arg);
        *(a->recipe ? &a->signatures : &a->recipe) = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->signatures) argp_error(state, "want a recipe and signatures");
        if (a->csv && !strcmp(a->csv, "-") && a->common.json) argp_error(state, "--csv - and --json exclude each other");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {
    options, parse, "RECIPE SIGNATURES.npy|.csv|FILE.npz:NAME",
    "Judges chips by their signatures, one a row: predicted accuracy with its interval, pass, tune or full-test, the knobs to set, and how far the "
    "nearest chip of the casebook is.\v"
    "Set the knobs of what is to be tuned, measure again, and judge with --after: pass, or full-test.  Full tests that were done come in with "
    "--accuracy: pass, tune or reject.\n\n"
    "Example:\n  ohmtrim screen examples/small.recipe examples/small.csv --fail-on reject,outlier",
    children, NULL, NULL};

static void session_free(session *s)
{
    ot_free(s->chips);
    ot_free(s->offset);
    ot_free(s->gain);
    ot_free(s->signature);
    ot_free(s->accuracy);
    ot_free(s->signatures);
    ot_floor_free(s->floor);
}

static ot_status prepare(session *s, const args *a)
{
    OT_TRY(ot_floor_open(&s->floor, a->recipe));
    ot_status st = a->network ? ot_floor_expect(s->floor, a->network) : OT_OK;
    if (st != OT_OK) return ot__fail_prefix(st, "%s: ", a->recipe);
    const ot_layout *l = ot_floor_layout(s->floor);
    int              tested;
    if (!isnan(a->cutoff)) OT_TRY(ot_floor_set_cutoff(s->floor, a->cutoff));
    OT_TRY(cli_read_table(&s->signatures, &s->n, l->length, 0, a->signatures));
    s->relus = l->relus;
    s->mends = !a->after && ot_floor_mending(s->floor)->kind != OT_MENDER_NONE;
    if (a->accuracy) {
        OT_TRY(cli_read_table(&s->accuracy, &tested, 1, 1, a->accuracy));
        if (tested != s->n) OT_FAIL(OT_E_SHAPE, "%s: %d accuracies, %s has %d signatures", a->accuracy, tested, a->signatures, s->n);
        for (int i = 0; i < s->n; i++)
            if (!isnan(s->accuracy[i]) && !(s->accuracy[i] >= 0 && s->accuracy[i] <= 1))
                OT_FAIL(OT_E_DATA, "%s: accuracy %d (from 0) is %g, want 0..1 or nan", a->accuracy, i, s->accuracy[i]);
    }
    s->signature = ot_alloc((size_t)l->length, sizeof *s->signature);
    s->gain = ot_alloc((size_t)s->n, (size_t)l->relus * sizeof *s->gain);
    s->offset = ot_alloc((size_t)s->n, (size_t)l->relus * sizeof *s->offset);
    s->chips = ot_alloc((size_t)s->n, sizeof *s->chips);
    if (!s->signature || !s->gain || !s->offset || !s->chips) OT_FAIL(OT_E_NOMEM, "%s: no memory for %d chips", a->signatures, s->n);
    return OT_OK;
}

/* A full test was done: its verdict, and the knobs that go with it. */
static void full_test(session *s, int i, int after)
{
    chip  *c = &s->chips[i];
    float *gain = s->gain + (size_t)i * (size_t)s->relus, *offset = s->offset + (size_t)i * (size_t)s->relus;
    c->verdict = ot_rule_full_test(ot_floor_rule(s->floor), c->accuracy, after);
    if (c->verdict == OT_VERDICT_TUNE) ot_floor_knobs(s->floor, gain, offset);
    for (int k = 0; c->verdict == OT_VERDICT_PASS && k < s->relus; k++) gain[k] = 1, offset[k] = 0;
}

static ot_status screen(session *s, const args *a)
{
    const ot_layout *l = ot_floor_layout(s->floor);
    for (int i = 0; i < s->n; i++) {
        chip *c = &s->chips[i];
        for (int k = 0; k < l->length; k++) s->signature[k] = (float)s->signatures[(size_t)i * (size_t)l->length + (size_t)k];
        ot_status st = ot_floor_screen(s->floor, a->after ? OT_FLOOR_AFTER : OT_FLOOR_BEFORE, s->signature, &c->r, s->gain + (size_t)i * (size_t)s->relus,
                                       s->offset + (size_t)i * (size_t)s->relus);
        if (st == OT_E_UNSUPPORTED) return ot__fail_prefix(st, "%s: ", a->recipe);
        if (st != OT_OK) return ot__fail_prefix(st, "%s: chip %d: ", a->signatures, i);
        c->accuracy = s->accuracy ? s->accuracy[i] : NAN;
        c->verdict = c->r.verdict;
        if (!isnan(c->accuracy)) full_test(s, i, a->after);
    }
    return OT_OK;
}

/* The shortest text that reads back to the same double; "" for NaN. */
static const char *shortest(char out[32], double v)
{
    *out = 0;
    for (int digits = 6; !isnan(v) && digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v) break;
    }
    return out;
}

static const char *text9(char out[32], float v)              /* nine digits give a float back; fewer if they do */
{
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(out, 32, "%.*g", digits, (double)v);
        if (strtof(out, NULL) == v) break;
    }
    return out;
}

/* What the chip's register gets: a ladder's alpha where thresholds come from one. */
static int code_of(const session *s, ot_knob which, float value, int *clamped)
{
    const ot_mending *m = ot_floor_mending(s->floor);
    if (m->knobs == OT_KNOBS_GAIN_OFFSET || !m->ladder.bits) return ot_knob_code(which, value, clamped);
    return which == OT_KNOB_GAIN ? ot_ladder_code(&m->ladder, value, clamped) : 0;
}

static void csv_knobs(FILE *f, const session *s, const float *v, const char *what, int i, int codes, int *clamped)
{
    char t[32];
    for (int k = 0; k < s->relus; k++) {
        if (i < 0) fprintf(f, ",%s%s_%d", what, codes ? "_code" : "", k);
        else if (codes) fprintf(f, ",%d", code_of(s, *what == 'g' ? OT_KNOB_GAIN : OT_KNOB_OFFSET, v[(size_t)i * (size_t)s->relus + (size_t)k], clamped));
        else fprintf(f, ",%s", text9(t, v[(size_t)i * (size_t)s->relus + (size_t)k]));
    }
}

static void csv(FILE *f, const session *s, const args *a)
{
    char t[5][32];
    fprintf(f, "index,predicted_accuracy,low,high,distance,outlier,verdict,accuracy,nearest,nearest_distance");
    for (int i = -1; i < s->n; i++) {
        const chip *c = &s->chips[i < 0 ? 0 : i];
        int         clamped = 0;
        if (i >= 0) {
            fprintf(f, "%d,%s,%s,%s,%s,%d,%s,%s", i, shortest(t[0], c->r.predicted), shortest(t[1], c->r.low), shortest(t[2], c->r.high),
                    shortest(t[3], c->r.distance), c->r.outlier, ot_verdict_name(c->verdict), shortest(t[4], c->accuracy));
            if (c->r.nearest >= 0) fprintf(f, ",%d,%s", c->r.nearest, shortest(t[0], c->r.nearest_distance));
            else fprintf(f, ",,");
        }
        if (s->mends) {
            csv_knobs(f, s, s->gain, "gain", i, 0, NULL);
            csv_knobs(f, s, s->offset, "offset", i, 0, NULL);
            if (a->codes) {
                csv_knobs(f, s, s->gain, "gain", i, 1, &clamped);
                csv_knobs(f, s, s->offset, "offset", i, 1, &clamped);
                if (i < 0) fprintf(f, ",held,clamped");
                else fprintf(f, ",%d,%d", c->r.held, clamped);
            } else if (i < 0) fprintf(f, ",held");
            else fprintf(f, ",%d", c->r.held);
        }
        putc('\n', f);
    }
}

static ot_status write_csv(const session *s, const args *a)
{
    char  *text = NULL;
    size_t n = 0;
    if (!strcmp(a->csv, "-")) {
        csv(stdout, s, a);
        return OT_OK;
    }
    FILE *f = open_memstream(&text, &n);
    if (f) csv(f, s, a);
    int       bad = !f || ferror(f);
    ot_status st = OT_OK;
    if (f && fclose(f)) bad = 1;
    if (bad) st = ot__fail(OT_E_NOMEM, __FILE__, __LINE__, "%s: no memory for the lines of %d chips", a->csv, s->n);
    else st = ot__file_write(a->csv, text, n);
    free(text);
    return st;
}

static void json_knobs(cJSON *o, const session *s, const char *name, const float *v, int codes, ot_knob which, int *clamped)
{
    cJSON *list = cJSON_AddArrayToObject(o, name);
    char   t[32];
    for (int k = 0; k < s->relus; k++)
        cJSON_AddItemToArray(list, codes ? cJSON_CreateNumber(code_of(s, which, v[k], clamped)) : cJSON_CreateRaw(text9(t, v[k])));
}

static void json(const session *s, const args *a)
{
    for (int i = 0; i < s->n; i++) {
        const chip  *c = &s->chips[i];
        const float *gain = s->gain + (size_t)i * (size_t)s->relus, *offset = s->offset + (size_t)i * (size_t)s->relus;
        cJSON       *o = cJSON_CreateObject();
        int          clamped = 0;
        cJSON_AddNumberToObject(o, "index", i);
        cli_json_number(o, "predicted_accuracy", c->r.predicted);
        cli_json_number(o, "low", c->r.low);
        cli_json_number(o, "high", c->r.high);
        cli_json_number(o, "distance", c->r.distance);
        cJSON_AddBoolToObject(o, "outlier", c->r.outlier);
        cJSON_AddStringToObject(o, "verdict", ot_verdict_name(c->verdict));
        if (s->accuracy) {
            cli_json_number(o, "accuracy", c->accuracy);
            cJSON_AddStringToObject(o, "screen_verdict", ot_verdict_name(c->r.verdict));
        }
        if (!s->mends) {
            cJSON_AddNullToObject(o, "gain");
            cJSON_AddNullToObject(o, "offset");
        } else {
            json_knobs(o, s, "gain", gain, 0, OT_KNOB_GAIN, NULL);
            json_knobs(o, s, "offset", offset, 0, OT_KNOB_OFFSET, NULL);
            cJSON_AddNumberToObject(o, "held", c->r.held);
            if (a->codes) {
                json_knobs(o, s, "gain_code", gain, 1, OT_KNOB_GAIN, &clamped);
                json_knobs(o, s, "offset_code", offset, 1, OT_KNOB_OFFSET, &clamped);
                cJSON_AddNumberToObject(o, "clamped", clamped);
            }
        }
        if (c->r.nearest >= 0) cJSON_AddNumberToObject(o, "nearest", c->r.nearest);
        else cJSON_AddNullToObject(o, "nearest");
        cli_json_number(o, "nearest_distance", c->r.nearest_distance);
        cli_print_json(o);
    }
}

static void table_knobs(const session *s, const char *what, const float *v, int codes)
{
    int  clamped = 0;
    char t[32];
    printf("      %s", what);
    for (int k = 0; k < s->relus; k++)
        if (codes) printf(" %d", code_of(s, *what == 'g' ? OT_KNOB_GAIN : OT_KNOB_OFFSET, v[k], &clamped));
        else printf(" %s", text9(t, v[k]));
    puts(clamped ? "  (clamped)" : "");
}

static void table(const session *s, const args *a)
{
    int count[OT_VERDICTS] = {0}, outliers = 0;
    printf("chip  predicted  interval         distance  verdict    nearest (distance)\n");
    for (int i = 0; i < s->n; i++) {
        const chip *c = &s->chips[i];
        printf("%4d  %7.2f %%  %6.2f..%6.2f %%  %8.3g  %-9s", i, 100 * c->r.predicted, 100 * c->r.low, 100 * c->r.high, c->r.distance, ot_verdict_name(c->verdict));
        if (c->r.nearest >= 0) printf("  %d (%.3g)", c->r.nearest, c->r.nearest_distance);
        printf("%s", c->r.outlier ? "  outlier" : "");
        if (!isnan(c->accuracy)) printf("  full test %.2f %%", 100 * c->accuracy);
        putchar('\n');
        if (s->mends && (c->verdict == OT_VERDICT_TUNE || c->verdict == OT_VERDICT_FULL_TEST)) {
            table_knobs(s, "gain  ", s->gain + (size_t)i * (size_t)s->relus, a->codes);
            table_knobs(s, "offset", s->offset + (size_t)i * (size_t)s->relus, a->codes);
        }
        count[c->verdict]++;
        outliers += c->r.outlier;
    }
    printf("%d chips: %d pass, %d tune, %d full-test, %d reject; %d outliers\n", s->n, count[OT_VERDICT_PASS], count[OT_VERDICT_TUNE], count[OT_VERDICT_FULL_TEST],
           count[OT_VERDICT_REJECT], outliers);
}

/* How many chips are what --fail-on names. */
static int failed(const session *s, unsigned bits)
{
    int n = 0;
    for (int i = 0; i < s->n; i++)
        n += (bits >> s->chips[i].verdict & 1) || (s->chips[i].r.outlier && (bits >> OUTLIER & 1));
    return n;
}

int cmd_screen(int argc, char **argv);      /* called by ohmtrim.c */
int cmd_screen(int argc, char **argv)
{
    args    a = {.cutoff = NAN};
    session s = {0};
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    ot_status st = prepare(&s, &a);
    if (st == OT_OK) st = screen(&s, &a);
    if (st == OT_OK && a.csv) st = write_csv(&s, &a);
    if (st == OT_OK && a.common.json) json(&s, &a);
    else if (st == OT_OK && !a.csv) table(&s, &a);
    int rc = st == OT_OK ? 0 : cli_fail("screen", st), n = st == OT_OK && a.fail_on ? failed(&s, a.fail_on) : 0;
    if (n) {
        cli_say(&a.common, "%d of %d chips are what --fail-on names\n", n, s.n);
        rc = ot_status_exit(OT_E_NO);
    }
    session_free(&s);
    return rc;
}

/* cmd_device.c - `ohmtrim device`: shows a device, or simulates programming pulses and fits one; writes its file. */
#include "cli.h"

#include "base/progress.h"
#include "device/format.h"
#include "plot_device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_PRESET = CLI_VERB_FIRST,
    KEY_FIT,
    KEY_SET_V,
    KEY_SET_T,
    KEY_SET_COMPLIANCE,
    KEY_SET_R,
    KEY_RESET_V,
    KEY_RESET_T,
    KEY_RESET_R,
    KEY_EDGE,
    KEY_DOMAIN,
    KEY_DEGREE,
    KEY_NAME,
    KEY_AT,
    KEY_LIST,
    KEY_PLOT,
    MOST_AT = 256
};

static const struct argp_option options[] = {
    {"preset", KEY_PRESET, "r1|r2|r3", 0, "show this preset, or start from its pulses (r1)", 1},
    {"at", KEY_AT, "D1,D2,...", 0, "the two conductances at these delta = gamma/gamma0 - 1", 1},
    {"output", 'o', "FILE", 0, "write the device as JSON, for --device-model FILE", 1},
    {"plot", KEY_PLOT, "FILE", 0, "draw f(delta) as .svg or .png (gnuplot)", 1},
    {"list", KEY_LIST, 0, 0, "list the presets", 1},
    {"name", KEY_NAME, "TEXT", 0, "name of the device written", 1},
    {0, 0, 0, 0, "Pulses (any of these simulates them and fits anew):", 2},
    {"fit", KEY_FIT, 0, 0, "fit the preset's own pulses", 2},
    {"set-v", KEY_SET_V, "V", 0, "SET voltage (2.2)", 2},
    {"set-t", KEY_SET_T, "US", 0, "SET width in microseconds (1)", 2},
    {"set-compliance", KEY_SET_COMPLIANCE, "UA", 0, "current limit of the access transistor in SET, microamperes (150)", 2},
    {"set-r", KEY_SET_R, "OHM", 0, "a resistor in place of the transistor in SET; 0 is none", 2},
    {"reset-v", KEY_RESET_V, "V", 0, "RESET voltage, negative (-1.7)", 2},
    {"reset-t", KEY_RESET_T, "US", 0, "RESET width in microseconds (1)", 2},
    {"reset-r", KEY_RESET_R, "OHM", 0, "series resistance in RESET (0)", 2},
    {"edge", KEY_EDGE, "NS", 0, "edges of both pulses in nanoseconds (1)", 2},
    {"domain", KEY_DOMAIN, "X", 0, "fit for |delta| up to this (0.25)", 2},
    {"degree", KEY_DEGREE, "L,H", 0, "degrees of the two polynomials (5,7)", 2},
    {0},
};

typedef struct args {
    cli_common common;
    const char *preset, *output, *plot, *name;
    ot_programming change, p; /* where `changed` says so; all of it, once made */
    uint64_t changed;         /* bit (key - CLI_VERB_FIRST) */
    int simulate, list, n_at;
    double at[MOST_AT];
    double model[MOST_AT][2]; /* with pulses: what the compact model gives there, siemens */
} args;

static int changed(const args *a, int key) { return (int)(a->changed >> (key - CLI_VERB_FIRST) & 1); }

static int numbers(struct argp_state *state, const char *option, char *text, double *out, int most, double least, double greatest)
{
    int n = 0;
    for (char *save, *t = strtok_r(text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
        if (n == most) argp_error(state, "--%s has more than %d numbers, want at most that", option, most);
        out[n++] = cli_double(state, option, t, least, greatest);
    }
    if (n == 0) argp_error(state, "--%s = '', want numbers separated by commas", option);
    return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    ot_programming *c = &a->change;
    if (key >= KEY_FIT && key <= KEY_DEGREE) {
        a->changed |= 1ull << (key - CLI_VERB_FIRST);
        a->simulate = 1;
    }
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case KEY_PRESET: a->preset = arg; return 0;
    case KEY_AT: a->n_at = numbers(state, "at", arg, a->at, MOST_AT, -0.5, 0.5); return 0;
    case 'o': a->output = arg; return 0;
    case KEY_PLOT: a->plot = arg; return 0;
    case KEY_LIST: a->list = 1; return 0;
    case KEY_NAME:
        if (!*arg || strlen(arg) >= sizeof((ot_device *)0)->name)
            argp_error(state, "--name has %zu bytes, want 1..%zu", strlen(arg), sizeof((ot_device *)0)->name - 1);
        a->name = arg;
        return 0;
    case KEY_FIT: return 0;
    case KEY_SET_V: c->set.volts = cli_double(state, "set-v", arg, 0.1, 5); return 0;
    case KEY_SET_T: c->set.width_ns = 1e3 * cli_double(state, "set-t", arg, 1e-4, 1000); return 0;
    case KEY_SET_COMPLIANCE: c->set.a = 1e-6 * cli_double(state, "set-compliance", arg, 0.1, 10000); return 0;
    case KEY_SET_R: c->set.b = cli_double(state, "set-r", arg, 0, 1e7); return 0;
    case KEY_RESET_V: c->reset.volts = cli_double(state, "reset-v", arg, -5, -0.1); return 0;
    case KEY_RESET_T: c->reset.width_ns = 1e3 * cli_double(state, "reset-t", arg, 1e-4, 1000); return 0;
    case KEY_RESET_R: c->reset.b = cli_double(state, "reset-r", arg, 0, 1e7); return 0;
    case KEY_EDGE: c->set.edge_ns = cli_double(state, "edge", arg, 0.01, 1000); return 0;
    case KEY_DOMAIN: c->domain = cli_double(state, "domain", arg, 0.02, 0.3); return 0;
    case KEY_DEGREE: {
        double d[2] = {0};
        if (numbers(state, "degree", arg, d, 2, 1, OT_DEVICE_MAX_POLY - 1) != 2 || d[0] != floor(d[0]) || d[1] != floor(d[1]))
            argp_error(state, "--degree wants two whole numbers, LRS,HRS");
        c->degree[0] = (int)d[0], c->degree[1] = (int)d[1];
        return 0;
    }
    case ARGP_KEY_ARG: argp_error(state, "'%s' is not wanted here; presets go by --preset, files by --device-model", arg); return 0;
    case ARGP_KEY_END:
        if (changed(a, KEY_SET_R) && changed(a, KEY_SET_COMPLIANCE))
            argp_error(state, "--set-r and --set-compliance exclude each other, want one");
        if (cli_given(&a->common, CLI_DEVICE_MODEL) && (a->simulate || a->preset))
            argp_error(state, "--device-model shows a device as it is, want it without --preset and pulses");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Shows a device, or simulates programming pulses through the compact model, fits f(G, gamma) and shows that."
    "\vExamples:\n"
    "  ohmtrim device --list\n"
    "  ohmtrim device --preset r2 --at -0.1,0,0.1\n"
    "  ohmtrim device --set-compliance 120 --reset-v -1.8 --name mine -o mine.json\n"
    "  ohmtrim device --device-model mine.json --json\n"
    "A table of measured cells (CSV: state,mean,sigma) is a device too: --device-model cells.csv, see docs/device.md.";
static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {options, parse, NULL, doc, children, NULL, NULL};

static void series(ot_pulse *p, double ohm)
{
    p->series = ohm > 0 ? OT_SERIES_RESISTOR : OT_SERIES_NONE;
    p->a = ohm, p->b = p->c = 0;
}

/* The preset's pulses with what the command line changes. */
static ot_status programming(ot_programming *out, const args *a)
{
    const ot_programming *c = &a->change;
    ot_status st = ot_programming_preset(out, a->preset ? a->preset : "r1");
    if (st != OT_OK) return st;
    if (changed(a, KEY_SET_V)) out->set.volts = c->set.volts;
    if (changed(a, KEY_SET_T)) out->set.width_ns = c->set.width_ns;
    if (changed(a, KEY_SET_COMPLIANCE)) out->set.a = c->set.a;
    if (changed(a, KEY_SET_R)) series(&out->set, c->set.b);
    if (changed(a, KEY_RESET_V)) out->reset.volts = c->reset.volts;
    if (changed(a, KEY_RESET_T)) out->reset.width_ns = c->reset.width_ns;
    if (changed(a, KEY_RESET_R)) series(&out->reset, c->reset.b);
    if (changed(a, KEY_EDGE)) out->set.edge_ns = out->reset.edge_ns = c->set.edge_ns;
    if (changed(a, KEY_DOMAIN)) out->domain = c->domain;
    if (changed(a, KEY_DEGREE)) memcpy(out->degree, c->degree, sizeof c->degree);
    return OT_OK;
}

static ot_status make(ot_device *d, ot_fit *fit, double *seconds, args *a)
{
    ot_status st = programming(&a->p, a);
    if (st != OT_OK) return st;
    if (!a->simulate) return ot_device_open(d, a->preset ? a->preset : a->common.device_model);
    double start = ot__seconds();
    st = ot_device_fit(d, fit, &a->p);
    *seconds = ot__seconds() - start;
    for (int i = 0; i < a->n_at && st == OT_OK; i++) {
        ot_levels l;
        st = ot_programming_levels(&l, &a->p, a->at[i], 0);
        if (st == OT_OK) memcpy(a->model[i], l.g, sizeof l.g);
    }
    if (st == OT_OK && a->preset && !(a->changed & ~(1ull << (KEY_FIT - CLI_VERB_FIRST))))
        snprintf(d->name, sizeof d->name, "%s", a->preset);
    return st;
}

static int list(const args *a)
{
    const char *name, *what;
    for (int i = 0; (name = ot_device_preset(i, &what)); i++) {
        if (!a->common.json) {
            printf("%s  %s\n", name, what);
            continue;
        }
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", name);
        cJSON_AddStringToObject(o, "what", what);
        cli_print_json(o);
    }
    return 0;
}

static void print_json(const args *a, const ot_device *d, const ot_fit *fit, double seconds)
{
    cJSON *o = ot__device_to_json(d), *at = NULL;
    double tail[2], sigma = a->common.variation.sigma;
    ot_device_tail(d, sigma, tail);
    cli_json_number(o, "sigma", sigma);
    cli_json_number(o, "cells_below_valid", tail[0]);
    cli_json_number(o, "cells_outside_domain", tail[1]);
    if (a->simulate) {
        cli_json_number(o, "rel_error_lrs", fit->rel_error[0]);
        cli_json_number(o, "rel_error_hrs", fit->rel_error[1]);
        cli_json_number(o, "t_max", fit->t_max);
        cli_json_number(o, "pulses", fit->pulses);
        cli_json_number(o, "seconds", seconds);
    }
    if (a->n_at) at = cJSON_AddArrayToObject(o, "at");
    for (int i = 0; i < a->n_at; i++) {
        cJSON *one = cJSON_CreateObject();
        cli_json_number(one, "delta", a->at[i]);
        cli_json_number(one, "g_lrs", ot_device_conductance(d, OT_LRS, a->at[i]));
        cli_json_number(one, "g_hrs", ot_device_conductance(d, OT_HRS, a->at[i]));
        if (a->simulate) {
            cli_json_number(one, "model_lrs", a->model[i][OT_LRS]);
            cli_json_number(one, "model_hrs", a->model[i][OT_HRS]);
        }
        cJSON_AddItemToArray(at, one);
    }
    cli_print_json(o);
}

static void print_text(const args *a, const ot_device *d, const ot_fit *fit, double seconds)
{
    static const char *const names[2] = {"LRS", "HRS"};
    printf("device %s: %s\n", d->name, d->source);
    printf("  on/off %.4g; conductance %.4g..%.4g uS; |delta| <= %g", d->g[0] / d->g[1], 1e6 * d->g_min, 1e6 * d->g_max, d->domain);
    if (d->valid_min > -d->domain) printf(", cells can be written for delta >= %g", d->valid_min);
    printf("\n");
    for (int s = 0; s < 2; s++) {
        printf("  %s %10.5g uS  d ln G / d ln gamma %+.4g\n      G / G0 =", names[s], 1e6 * d->g[s], d->s[s]);
        for (int k = 0; k < d->n_poly[s]; k++) printf(k ? " %+.6g u^%d" : " %g", d->poly[s][k], k);
        printf(d->n_poly[s] > 1 ? ",  u = delta / %g\n" : "\n", d->domain);
    }
    if (d->max_rel_error > 0) printf("  largest relative error of the fit %.3g\n", d->max_rel_error);
    if (a->simulate)
        printf("  fitted in %.2f s from %d samples (%d pulses): error LRS %.3g, HRS %.3g; hottest cell %.0f K\n", seconds,
               fit->samples, fit->pulses, fit->rel_error[0], fit->rel_error[1], fit->t_max);
    if (a->n_at) printf("  %10s %12s %12s%s\n", "delta", "LRS [uS]", "HRS [uS]", a->simulate ? "   pulses: LRS          HRS" : "");
    for (int i = 0; i < a->n_at; i++) {
        printf("  %10g %12.6g %12.6g", a->at[i], 1e6 * ot_device_conductance(d, OT_LRS, a->at[i]),
               1e6 * ot_device_conductance(d, OT_HRS, a->at[i]));
        if (a->simulate) printf(" %14.6g %12.6g", 1e6 * a->model[i][OT_LRS], 1e6 * a->model[i][OT_HRS]);
        printf("\n");
    }
}

int cmd_device(int argc, char **argv); /* called by ohmtrim.c */
int cmd_device(int argc, char **argv)
{
    args a = {0};
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    if (a.list) return list(&a);
    ot_device d;
    ot_fit fit = {0};
    double seconds = 0;
    ot_status st = make(&d, &fit, &seconds, &a);
    if (st == OT_OK && a.name) snprintf(d.name, sizeof d.name, "%s", a.name);
    if (st == OT_OK && a.output) st = ot_device_save(&d, a.output);
    if (st == OT_OK && a.plot) st = plot_device(&d, a.plot);
    if (st != OT_OK) return cli_fail("device", st);
    char warning[256];
    if (ot_device_warning(&d, a.common.variation.sigma, warning, sizeof warning)) cli_say(&a.common, "%s\n", warning);
    if (d.max_rel_error > 0.01)
        cli_say(&a.common, "device %s: the fit is off by up to %.3g; a higher --degree or a smaller --domain follows closer\n",
                d.name, d.max_rel_error);
    if (a.simulate && fit.t_max > 1500)
        cli_say(&a.common, "device %s: the hottest cell reaches %.0f K, beyond what the compact model describes\n", d.name,
                fit.t_max);
    for (int i = 0; i < a.n_at; i++)
        if (fabs(a.at[i]) > d.domain)
            cli_say(&a.common, "device %s: delta = %g lies beyond +-%g and is held there\n", d.name, a.at[i], d.domain);
    if (a.common.json)
        print_json(&a, &d, &fit, seconds);
    else
        print_text(&a, &d, &fit, seconds);
    if (a.output) cli_say(&a.common, "wrote %s\n", a.output);
    if (a.plot) cli_say(&a.common, "wrote %s\n", a.plot);
    return 0;
}

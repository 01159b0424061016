/* table.c - a device from measured cells: a CSV table of the two states.
 *
 *   # anything
 *   state,mean,sigma,reference
 *   LRS,5.80e-5,6.9e-6,0.048
 *   HRS,8.19e-7,3.6e-7,0.048
 *
 * mean and sigma (standard deviation over cells) in siemens.  `reference`, which may be left out (0.048), is the sd of gamma
 * that the measured cells stand for: a run with --sigma = reference gets back this mean and this sigma.  So each state is a
 * straight line, G(delta) = mean (1 + r delta), r = (sigma / mean) / reference, rising for LRS and falling for HRS, as the
 * compact model and its pulses do (device-model 2), out to six references or 25 %.  A line through few numbers says nothing
 * about tails: conductances stop at a thousandth of HRS's mean and at LRS's mean plus six sigma. */
#include "base/fail.h"
#include "device/format.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STATE, MEAN, SIGMA, REFERENCE, N_COLUMNS, MOST_LINE = 512 };
static const char *const column_name[N_COLUMNS] = {"state", "mean", "sigma", "reference"};
static const double REFERENCE_USUAL = 0.048;

typedef struct table {
    const char *name;
    int line;
    int n_columns, column[N_COLUMNS]; /* what each field of a line is */
    int have[2];                      /* the line of each state, 0: not yet */
    double mean[2], sigma[2], reference[2];
} table;

/* Cuts a field off the line at the next comma, without the blanks around it; NULL past the last. */
static char *field(char **rest)
{
    char *start = *rest;
    if (!start) return NULL;
    char *comma = strchr(start, ',');
    *rest = comma ? comma + 1 : NULL;
    if (comma) *comma = 0;
    while (isspace((unsigned char)*start)) start++;
    char *end = start + strlen(start);
    while (end > start && isspace((unsigned char)end[-1])) *--end = 0;
    return start;
}

static ot_status read_header(table *t, char *line)
{
    int have[N_COLUMNS] = {0};
    for (char *f; (f = field(&line));) {
        int c = 0;
        while (c < N_COLUMNS && strcasecmp(f, column_name[c])) c++;
        if (c == N_COLUMNS)
            OT_FAIL(OT_E_FORMAT, "%s: line %d: column '%.40s' is not known, want state,mean,sigma and perhaps reference", t->name,
                    t->line, f);
        if (have[c]++) OT_FAIL(OT_E_FORMAT, "%s: line %d: column '%s' stands there twice, want it once", t->name, t->line, f);
        t->column[t->n_columns++] = c;
    }
    for (int c = 0; c < REFERENCE; c++)
        if (!have[c])
            OT_FAIL(OT_E_FORMAT, "%s: line %d: column '%s' is missing, want a first line state,mean,sigma", t->name, t->line,
                    column_name[c]);
    return OT_OK;
}

static ot_status read_row(table *t, char *line)
{
    int state = -1, n = 0;
    double value[N_COLUMNS] = {0, 0, 0, REFERENCE_USUAL};
    for (char *f; (f = field(&line)); n++) {
        if (n >= t->n_columns)
            OT_FAIL(OT_E_FORMAT, "%s: line %d has more than %d fields, want as many as the first line", t->name, t->line,
                    t->n_columns);
        int c = t->column[n];
        if (c == STATE) {
            state = !strcasecmp(f, "LRS") || !strcmp(f, "1") ? OT_LRS : !strcasecmp(f, "HRS") || !strcmp(f, "0") ? OT_HRS : -1;
            if (state < 0)
                OT_FAIL(OT_E_UNSUPPORTED, "%s: line %d: state = '%.40s', want LRS or HRS (cells are binary)", t->name, t->line, f);
            continue;
        }
        char *end;
        errno = 0;
        value[c] = strtod(f, &end);
        if (end == f || *end || !isfinite(value[c]))
            OT_FAIL(OT_E_FORMAT, "%s: line %d: %s = '%.40s', want a number", t->name, t->line, column_name[c], f);
    }
    if (n < t->n_columns) OT_FAIL(OT_E_FORMAT, "%s: line %d has %d fields, want %d", t->name, t->line, n, t->n_columns);
    if (t->have[state])
        OT_FAIL(OT_E_FORMAT, "%s: line %d: a second row of its state, the first is line %d, want one row each", t->name, t->line,
                t->have[state]);
    if (!(value[MEAN] >= 1e-12 && value[MEAN] <= 0.1))
        OT_FAIL(OT_E_DATA, "%s: line %d: mean = %g, want 1e-12..0.1 siemens", t->name, t->line, value[MEAN]);
    if (!(value[SIGMA] >= 0 && value[SIGMA] <= value[MEAN]))
        OT_FAIL(OT_E_DATA, "%s: line %d: sigma = %g, want 0..mean = %g siemens", t->name, t->line, value[SIGMA], value[MEAN]);
    if (!(value[REFERENCE] >= 0.001 && value[REFERENCE] <= 0.25))
        OT_FAIL(OT_E_DATA, "%s: line %d: reference = %g, want 0.001..0.25 (a fraction of gamma0)", t->name, t->line,
                value[REFERENCE]);
    t->have[state] = t->line;
    t->mean[state] = value[MEAN], t->sigma[state] = value[SIGMA], t->reference[state] = value[REFERENCE];
    return OT_OK;
}

/* The lowest delta from which on LRS conducts at least twice what HRS does: below, a cell's state cannot be told. */
static double valid_min(const ot_device *d)
{
    enum { GRID = 1000 };
    for (int i = 1; i <= GRID; i++) {
        double delta = -d->domain * i / GRID;
        if (!(ot_device_conductance(d, OT_LRS, delta) >= 2 * ot_device_conductance(d, OT_HRS, delta)))
            return -d->domain * (i - 1) / GRID;
    }
    return -d->domain;
}

static ot_status finish(ot_device *d, const table *t)
{
    for (int s = 0; s < 2; s++)
        if (!t->have[s])
            OT_FAIL(OT_E_FORMAT, "%s: no row of state %s, want one row of each of LRS and HRS", t->name, s ? "HRS" : "LRS");
    if (!(t->mean[OT_LRS] >= 2 * t->mean[OT_HRS]))
        OT_FAIL(OT_E_DATA, "%s: mean of LRS = %g, want at least twice that of HRS = %g", t->name, t->mean[OT_LRS], t->mean[OT_HRS]);
    d->domain = fmin(0.25, 6 * fmin(t->reference[0], t->reference[1]));
    d->g_min = t->mean[OT_HRS] / 1000;
    d->g_max = t->mean[OT_LRS] + 6 * fmax(t->sigma[OT_LRS], t->sigma[OT_HRS]);
    for (int s = 0; s < 2; s++) {
        d->g[s] = t->mean[s];
        d->n_poly[s] = t->sigma[s] > 0 ? 2 : 1;
        d->poly[s][0] = 1;
        d->s[s] = (s == OT_LRS ? 1 : -1) * t->sigma[s] / t->mean[s] / t->reference[s];
        d->poly[s][1] = d->s[s] * d->domain;
    }
    if (!(d->g_max > d->g[OT_LRS])) d->g_max = 2 * d->g[OT_LRS]; /* no spread at all: nothing to stop */
    d->valid_min = valid_min(d);
    if (!(d->valid_min < 0))
        OT_FAIL(OT_E_DATA, "%s: LRS and HRS meet next to their means, want states that can be told apart", t->name);
    snprintf(d->name, sizeof d->name, "table");
    snprintf(d->source, sizeof d->source, "table %.200s", t->name);
    if (ot_device_check(d) != OT_OK) return ot__fail_prefix(OT_E_DATA, "%s: ", t->name);
    return OT_OK;
}

ot_status ot__device_from_table(ot_device *out, const char *text, size_t n_bytes, const char *name)
{
    table t = {.name = name};
    for (size_t at = 0; at < n_bytes;) {
        char line[MOST_LINE];
        const char *end = memchr(text + at, '\n', n_bytes - at);
        size_t n = (end ? (size_t)(end - text) : n_bytes) - at, next = at + n + 1;
        t.line++;
        if (n >= sizeof line) OT_FAIL(OT_E_FORMAT, "%s: line %d has %zu bytes, want less than %d", name, t.line, n, MOST_LINE);
        memcpy(line, text + at, n);
        line[n] = 0;
        for (size_t i = 0; i < n; i++)
            if (iscntrl((unsigned char)line[i]) && !isspace((unsigned char)line[i]))
                OT_FAIL(OT_E_FORMAT, "%s: line %d: byte %zu is 0x%02x, want text", name, t.line, i,
                        (unsigned)(unsigned char)line[i]);
        at = next;
        char *start = line;
        while (isspace((unsigned char)*start)) start++;
        if (!*start || *start == '#') continue;
        if (t.n_columns == 0)
            OT_TRY(read_header(&t, start));
        else
            OT_TRY(read_row(&t, start));
    }
    if (t.n_columns == 0) OT_FAIL(OT_E_FORMAT, "%s: no first line, want state,mean,sigma", name);
    ot_device d = {0};
    OT_TRY(finish(&d, &t));
    *out = d;
    return OT_OK;
}

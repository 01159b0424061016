/* cmd_report.c - `ohmtrim report`: a campaign as a page with curves. */
#include "cli.h"

#include <string.h>

enum { OUT = 'o' };
static const struct argp_option options[] = {
    {"output", OUT, "DIR", 0, "folder for index.html, the curves and their tables (FILE.db without .db, and -report)", 0},
    {0},
};

typedef struct args {
    cli_common  common;
    const char *path, *out;
} args;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case OUT: a->out = arg; return 0;
    case ARGP_KEY_ARG:
        if (a->path) argp_error(state, "'%s' is one word too many, want one database", arg);
        a->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->path) argp_error(state, "want a campaign's database");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] = "Writes a page with yield and accuracy curves of a campaign (index.html), the curves as svg and png, and their tables as csv. "
                          "Wants gnuplot.\vExample:\n  ohmtrim report c.db -o c-report";
static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {options, parse, "FILE.db", doc, children, NULL, NULL};

int cmd_report(int argc, char **argv);      /* called by ohmtrim.c */
int cmd_report(int argc, char **argv)
{
    args a = {0};
    char dir[4200];
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    size_t n = strlen(a.path);
    if (n > 3 && !strcmp(a.path + n - 3, ".db")) n -= 3;
    snprintf(dir, sizeof dir, "%.*s-report", (int)(n < 4000 ? n : 4000), a.path);
    if (!a.out) a.out = dir;
    ot_status st = ot_report_write(a.path, a.out);
    if (st != OT_OK) return cli_fail("report", st);
    if (a.common.json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "page", a.out);
        cli_print_json(o);
    } else printf("%s/index.html\n", a.out);
    return 0;
}

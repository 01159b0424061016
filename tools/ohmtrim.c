/* ohmtrim.c - the command: finds the verb and hands over.  Verbs are the files tools/cmd_*.c (verbs.inc is made by the Makefile). */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define X(name) int cmd_##name(int argc, char **argv);
#include "verbs.inc"
#undef X

static const struct { const char *name; int (*run)(int, char **); } verbs[] = {
#define X(name) {#name, cmd_##name},
#include "verbs.inc"
#undef X
};

/* One line a verb, in the order a user meets them. */
static const char *const texts[][2] = {
    {"doctor", "what was built in and what this machine has"},
    {"device", "simulate programming pulses, fit f(G, gamma), write a device file; list presets"},
    {"import", "ONNX file -> checked network with metadata"},
    {"info", "layers, shapes, weights, MACs, knobs, memory"},
    {"train", "train a built-in or imported network"},
    {"eval", "accuracy of the ideal network or of a chip"},
    {"chip", "draw a chip; dump its weights, write it as ONNX"},
    {"tune", "tune one chip, show before and after"},
    {"campaign", "many chips, measured and tuned: run, status, digest, export"},
    {"select", "which images to show: by clustering, by remixing, synthetic ones"},
    {"learn", "measured chips -> a recipe: predictor, screen, rule, casebook"},
    {"screen", "a recipe and measured signatures -> verdicts and knobs"},
    {"report", "a campaign as a page with curves"},
    {"bench", "lr: verify and recommend learning-rate policies of tuning"},
};

static void usage(FILE *f)
{
    fputs("Usage: ohmtrim VERB [OPTIONS]      (ohmtrim VERB --help tells more)\n\n"
          "Tests neural-network chips of resistive memory, and tunes the weak ones back into specification.\n\n", f);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++)
            if (!strcmp(texts[i][0], verbs[v].name)) fprintf(f, "  %-10s %s\n", texts[i][0], texts[i][1]);
    fputs("\nExit status: 0 done, 1 a check said no, 2 usage, 3 bad input, 4 resource, 5 bug.\n", f);
}

int main(int argc, char **argv)
{
    static char name[64];
    if (argc < 2) { usage(stderr); return 2; }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) { usage(stdout); return 0; }
    if (!strcmp(argv[1], "--version")) { puts("ohmtrim " OT_VERSION); return 0; }
    for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++)
        if (!strcmp(argv[1], verbs[v].name)) {
            snprintf(name, sizeof name, "ohmtrim %s", argv[1]);
            argv[1] = name;
            int rc = verbs[v].run(argc - 1, argv + 1);
            if (fflush(stdout) || ferror(stdout)) {
                fprintf(stderr, "%s: standard output cannot be written\n", name);
                return 4;
            }
            return rc;
        }
    fprintf(stderr, "ohmtrim: '%s' is not a verb; 'ohmtrim --help' lists them\n", argv[1]);
    return 2;
}

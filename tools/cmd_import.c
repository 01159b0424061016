/* cmd_import.c - `ohmtrim import`: reads an ONNX file, checks it, adds what ONNX has no field for, and writes it back plain. */
#include "cli.h"

#include "base/fail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MEAN = CLI_VERB_FIRST, KEY_STD, KEY_CLASSES };

static const struct argp_option options[] = {
    {"output", 'o', "OUT.onnx", 0, "the file to write (opset 13, metadata under ohmtrim.*)", 1},
    {"mean", KEY_MEAN, "M,M,M", 0, "mean of the pixels (of u8 / 255), one a channel or one for all", 1},
    {"std", KEY_STD, "S,S,S", 0, "standard deviation of the pixels, likewise", 1},
    {"classes", KEY_CLASSES, "A,B,C", 0, "names of the classes", 1},
    {0},
};

typedef struct args {
    cli_common  common;
    const char *network, *out, *mean, *std, *classes;
} args;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case 'o': a->out = arg; return 0;
    case KEY_MEAN: a->mean = arg; return 0;
    case KEY_STD: a->std = arg; return 0;
    case KEY_CLASSES: a->classes = arg; return 0;
    case ARGP_KEY_ARG:
        if (a->network) argp_error(state, "'%s' is one word too many, want one network", arg);
        a->network = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->network) argp_error(state, "want a network (an ONNX file)");
        if (!a->out) argp_error(state, "want -o OUT.onnx");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Reads an ONNX file as exporters write it, folds its shape arithmetic away, checks every number, and writes a plain ONNX file with "
    "what ONNX has no field for: how pixels are normalised, the weight bits (--bits), the names of the classes."
    "\vExample:\n"
    "  ohmtrim import resnet20.onnx -o r20.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n"
    "Operators, opsets, and the export that keeps batch norm: docs/onnx.md.";
static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {options, parse, "NET.onnx -o OUT.onnx", doc, children, NULL, NULL};

/* "0.5" or "0.5,0.4,0.3" to c numbers. */
static ot_status numbers(float *out, int c, const char *option, const char *text)
{
    const char *p = text;
    int n = 0;
    while (1) {
        char *end;
        double v = strtod(p, &end);
        if (end == p || (*end && *end != ',') || !isfinite(v)) OT_FAIL(OT_E_USAGE, "--%s = '%s', want numbers with commas between", option, text);
        if (n < c) out[n] = (float)v;
        n++;
        if (!*end) break;
        p = end + 1;
    }
    if (n != 1 && n != c) OT_FAIL(OT_E_USAGE, "--%s = '%s' has %d numbers, want %d (one a channel) or 1", option, text, n, c);
    for (int k = n; k < c; k++) out[k] = out[0];
    return OT_OK;
}

static ot_status annotate(ot_network *net, const args *a)
{
    int c = ot_network_layer(net, 0)->c;
    const float *old_mean, *old_std;
    float *mean = ot_alloc((size_t)c, sizeof *mean), *std = ot_alloc((size_t)c, sizeof *std);
    ot_status st = OT_OK;
    if (!mean || !std) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d means", c);
    ot_network_normalisation(net, &old_mean, &old_std);
    memcpy(mean, old_mean, (size_t)c * sizeof *mean);
    memcpy(std, old_std, (size_t)c * sizeof *std);
    if (a->mean) OT_TRY_TO(done, st, numbers(mean, c, "mean", a->mean));
    if (a->std) OT_TRY_TO(done, st, numbers(std, c, "std", a->std));
    OT_TRY_TO(done, st, ot_network_set_normalisation(net, mean, std));
    if (cli_given(&a->common, CLI_BITS)) OT_TRY_TO(done, st, ot_network_set_bits(net, a->common.variation.bits));
    if (a->classes) OT_TRY_TO(done, st, ot_network_set_class_names(net, a->classes));
done:
    ot_free(mean);
    ot_free(std);
    return st;
}

int cmd_import(int argc, char **argv);      /* called by ohmtrim.c */
int cmd_import(int argc, char **argv)
{
    args a = {0};
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    ot_network *net = NULL;
    size_t weights = 0;
    ot_status st = OT_OK;
    OT_TRY_TO(done, st, cli_open_network(&a.common, &net, a.network));
    OT_TRY_TO(done, st, annotate(net, &a));
    for (int k = 0; k < ot_network_crossbars(net); k++) weights += ot_layer_weights(ot_network_crossbar(net, k));
    if (!a.common.dry_run) OT_TRY_TO(done, st, ot_network_save(net, a.out, NULL, NULL));
    if (a.common.json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "network", a.network);
        cJSON_AddStringToObject(o, "output", a.out);
        cJSON_AddNumberToObject(o, "layers", ot_network_layers(net));
        cJSON_AddNumberToObject(o, "crossbars", ot_network_crossbars(net));
        cJSON_AddNumberToObject(o, "relus", ot_network_relus(net));
        cJSON_AddNumberToObject(o, "weights", (double)weights);
        cJSON_AddNumberToObject(o, "classes", ot_network_classes(net));
        cJSON *warnings = cJSON_AddArrayToObject(o, "warnings");
        for (int k = 0; ot_network_warning(net, k); k++) cJSON_AddItemToArray(warnings, cJSON_CreateString(ot_network_warning(net, k)));
        cli_print_json(o);
    } else
        printf("%s %s: %d layers, %zu weights in %d crossbar layers, %d ReLU layers, %d classes\n", a.common.dry_run ? "would write" : "wrote", a.out,
               ot_network_layers(net), weights, ot_network_crossbars(net), ot_network_relus(net), ot_network_classes(net));
done:
    ot_network_free(net);
    return st == OT_OK ? 0 : cli_fail("import", st);
}

/* cmd_import.c - ohmtrim import: an exporter's ONNX file to a checked one with the metadata that chips and campaigns need. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const char doc[] = "Reads an ONNX file as exporters write it, checks it, and writes it back with metadata: how pixels become inputs, class names, "
                          "weight bits.\vPixels enter as (u8 / 255 - mean) / std, per channel.  Example:\n"
                          "  ohmtrim import net.onnx -o net-checked.onnx --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225\n";

enum { KEY_MEAN = CLI_VERB_FIRST, KEY_STD, KEY_CLASSES };
static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0, "where to write the network (required)", 0},
    {"mean", KEY_MEAN, "A[,B,C]", 0, "mean of the pixels, one a channel, of 0..1", 0},
    {"std", KEY_STD, "A[,B,C]", 0, "standard deviation of the pixels", 0},
    {"classes", KEY_CLASSES, "NAME,NAME,...", 0, "class names", 0},
    {0},
};

typedef struct arguments { cli_common common; const char *in, *out, *mean, *std, *classes; } arguments;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case 'o': a->out = arg; return 0;
    case KEY_MEAN: a->mean = arg; return 0;
    case KEY_STD: a->std = arg; return 0;
    case KEY_CLASSES: a->classes = arg; return 0;
    case ARGP_KEY_ARG:
        if (a->in) argp_error(state, "'%s': one network is enough", arg);
        a->in = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->in) argp_error(state, "which network? (an ONNX file)");
        if (!a->out) argp_error(state, "where to? (-o FILE)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* c numbers with commas between; a usage error names the option. */
static int numbers(const char *option, const char *text, float *out, int c)
{
    const char *p = text;
    for (int i = 0; i < c; i++) {
        char *end;
        out[i] = strtof(p, &end);
        if (end == p || *end != (i < c - 1 ? ',' : 0)) {
            fprintf(stderr, "ohmtrim import: --%s = '%s', want %d number%s with commas between (the network has %d input channels)\n", option, text, c,
                    c == 1 ? "" : "s", c);
            return 0;
        }
        p = end + 1;
    }
    return 1;
}

static int set_metadata(const arguments *a, ot_network *net, ot_status *st)
{
    int c = ot_network_layer(net, 0)->c;
    const float *mean, *std;
    float *own = ot_alloc((size_t)c * 2, sizeof *own);
    if (!own) return 4;
    ot_network_normalisation(net, &mean, &std);
    memcpy(own, mean, (size_t)c * sizeof *own);
    memcpy(own + c, std, (size_t)c * sizeof *own);
    int good = (!a->mean || numbers("mean", a->mean, own, c)) && (!a->std || numbers("std", a->std, own + c, c));
    if (good) *st = ot_network_set_normalisation(net, own, own + c);
    if (good && *st == OT_OK && a->classes) *st = ot_network_set_class_names(net, a->classes);
    if (good && *st == OT_OK && cli_given(&a->common, CLI_BITS)) *st = ot_network_set_bits(net, a->common.variation.bits);
    ot_free(own);
    return good ? 0 : 2;
}

int cmd_import(int argc, char **argv);
int cmd_import(int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
    static const struct argp argp = {options, parse, "NETWORK.onnx -o FILE", doc, children, NULL, NULL};
    arguments a = {0};
    ot_network *net = NULL;
    int rc = 0;
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    ot_status st = cli_open_network(&a.common, &net, a.in);
    if (st == OT_OK) rc = set_metadata(&a, net, &st);
    if (st == OT_OK && rc == 0 && !a.common.dry_run) st = ot_network_save(net, a.out, NULL, NULL);
    if (st == OT_OK && rc == 0 && a.common.json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "network", ot_network_name(net));
        cJSON_AddStringToObject(o, "output", a.out);
        cJSON_AddNumberToObject(o, "crossbars", ot_network_crossbars(net));
        cJSON_AddNumberToObject(o, "relus", ot_network_relus(net));
        cJSON_AddNumberToObject(o, "classes", ot_network_classes(net));
        cli_print_json(o);
    } else if (st == OT_OK && rc == 0)
        printf("%s: %d crossbar layers, %d T-ReLU layers, %d classes -> %s\n", a.in, ot_network_crossbars(net), ot_network_relus(net), ot_network_classes(net), a.out);
    if (st != OT_OK) rc = cli_fail("import", st);
    ot_network_free(net);
    return rc;
}

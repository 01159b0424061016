/* cmd_info.c - ohmtrim info: what a network is made of, and what it takes. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>

static const char doc[] = "Layers, shapes, weights, multiply-accumulates, knobs and memory of a network.\v"
                          "Example:\n  ohmtrim info models/mobilenet-s.onnx\n";

typedef struct arguments { cli_common common; const char *path; } arguments;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case ARGP_KEY_ARG:
        if (a->path) argp_error(state, "'%s': one network is enough", arg);
        a->path = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->path) argp_error(state, "which network? (an ONNX file)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char *op_name(ot_op op)
{
    static const char *const names[] = {"input", "conv", "dense", "batch norm", "bias", "relu", "add", "max pool", "avg pool", "global avg", "pad", "slice", "reshape"};
    return (size_t)op < sizeof names / sizeof *names ? names[op] : "?";
}

/* What a plan of the picked backend takes in memory; 0 if it cannot be made. */
static size_t plan_bytes(ot_backend *be, const ot_network *net, ot_plan_use use)
{
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    size_t bytes = 0;
    opt.use = use;
    return ot_plan_measure(&bytes, be, net, &opt) == OT_OK ? bytes : 0;
}

static void print_json(const ot_network *net, double macs, size_t weights, const size_t bytes[2])
{
    cJSON *o = cJSON_CreateObject(), *layers = cJSON_AddArrayToObject(o, "layers");
    const ot_layer *in = ot_network_layer(net, 0);
    const float *mean, *std;
    ot_network_normalisation(net, &mean, &std);
    cJSON_AddStringToObject(o, "network", ot_network_name(net));
    cJSON *shape = cJSON_AddArrayToObject(o, "input"), *m = cJSON_AddArrayToObject(o, "mean"), *s = cJSON_AddArrayToObject(o, "std");
    const int dims[3] = {in->c, in->h, in->w};
    for (int i = 0; i < 3; i++) cJSON_AddItemToArray(shape, cJSON_CreateNumber(dims[i]));
    for (int i = 0; i < in->c; i++) cJSON_AddItemToArray(m, cJSON_CreateNumber((double)mean[i])), cJSON_AddItemToArray(s, cJSON_CreateNumber((double)std[i]));
    cJSON_AddNumberToObject(o, "classes", ot_network_classes(net));
    cJSON_AddNumberToObject(o, "bits", ot_network_bits(net));
    cJSON_AddNumberToObject(o, "crossbars", ot_network_crossbars(net));
    cJSON_AddNumberToObject(o, "relus", ot_network_relus(net));
    cJSON_AddNumberToObject(o, "knobs", 2 * ot_network_relus(net));
    cJSON_AddNumberToObject(o, "weights", (double)weights);
    cJSON_AddNumberToObject(o, "parameters", (double)ot_network_parameters(net));
    cJSON_AddNumberToObject(o, "macs", macs);
    cJSON_AddNumberToObject(o, "memory_forward", (double)bytes[0]);
    cJSON_AddNumberToObject(o, "memory_tune", (double)bytes[1]);
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        cJSON *j = cJSON_CreateObject();
        cJSON_AddStringToObject(j, "name", l->name);
        cJSON_AddStringToObject(j, "op", op_name(l->op));
        cJSON_AddNumberToObject(j, "c", l->c);
        cJSON_AddNumberToObject(j, "h", l->h);
        cJSON_AddNumberToObject(j, "w", l->w);
        cJSON_AddNumberToObject(j, "weights", (double)ot_layer_weights(l));
        cJSON_AddNumberToObject(j, "macs", ot_network_macs(net, i));
        cJSON_AddItemToArray(layers, j);
    }
    cJSON *w = cJSON_AddArrayToObject(o, "warnings");
    for (int i = 0; ot_network_warning(net, i); i++) cJSON_AddItemToArray(w, cJSON_CreateString(ot_network_warning(net, i)));
    cli_print_json(o);
}

static void print_text(const ot_network *net, double macs, size_t weights, const size_t bytes[2])
{
    printf("%-4s %-34s %-11s %16s %12s %12s  %s\n", "", "layer", "operation", "output", "weights", "MACs", "crossbar, knobs");
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        char shape[48], tail[48] = "";
        snprintf(shape, sizeof shape, "%d x %d x %d", l->c, l->h, l->w);
        if (l->crossbar >= 0) snprintf(tail, sizeof tail, "crossbar %d", l->crossbar);
        if (l->relu >= 0 && isinf(l->clip)) snprintf(tail, sizeof tail, "T-ReLU %d", l->relu);
        else if (l->relu >= 0) snprintf(tail, sizeof tail, "T-ReLU %d, clip %g", l->relu, (double)l->clip);
        printf("%-4d %-34.34s %-11s %16s %12.0f %12.0f  %s\n", i, l->name, op_name(l->op), shape, (double)ot_layer_weights(l), ot_network_macs(net, i), tail);
    }
    printf("\n%s: %d crossbar layers, %zu crossbar weights, %zu parameters, %.0f MACs an image\n", ot_network_name(net), ot_network_crossbars(net), weights,
           ot_network_parameters(net), macs);
    printf("%d T-ReLU layers (%d knobs), %d classes", ot_network_relus(net), 2 * ot_network_relus(net), ot_network_classes(net));
    for (int i = 0; ot_network_class_name(net, i); i++) printf("%s%s", i ? ", " : ": ", ot_network_class_name(net, i));
    printf("\nmemory of one chip in flight: %.1f MiB to evaluate, %.1f MiB to tune (tile 128)\n", (double)bytes[0] / 1048576, (double)bytes[1] / 1048576);
}

int cmd_info(int argc, char **argv);
int cmd_info(int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
    static const struct argp argp = {NULL, parse, "NETWORK.onnx", doc, children, NULL, NULL};
    arguments a = {0};
    ot_network *net = NULL;
    ot_backend *be = NULL;
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    ot_status st = cli_open_network(&a.common, &net, a.path);
    if (st == OT_OK) st = ot_backend_open(&be, a.common.backend, NULL);
    if (st == OT_OK) {
        double macs = 0;
        size_t weights = 0, bytes[2] = {plan_bytes(be, net, OT_PLAN_FORWARD), plan_bytes(be, net, OT_PLAN_TUNE)};
        for (int i = 0; i < ot_network_layers(net); i++) {
            macs += ot_network_macs(net, i);
            weights += ot_layer_weights(ot_network_layer(net, i));
        }
        if (a.common.json) print_json(net, macs, weights, bytes);
        else print_text(net, macs, weights, bytes);
    }
    int rc = st == OT_OK ? 0 : cli_fail("info", st);
    ot_backend_close(be);
    ot_network_free(net);
    return rc;
}

/* cmd_info.c - `ohmtrim info`: what a network is made of: layers, shapes, weights, multiply-accumulates, knobs, memory. */
#include "cli.h"

#include "base/fail.h"

#include <math.h>
#include <string.h>

typedef struct args {
    cli_common  common;
    const char *network;
} args;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case ARGP_KEY_ARG:
        if (a->network) argp_error(state, "'%s' is one word too many, want one network", arg);
        a->network = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->network) argp_error(state, "want a network (an ONNX file, or a built-in one)");
        if (cli_is_model(a->network) && !a->common.data) argp_error(state, "%s is a built-in network: --data is wanted for its images and classes (mnist, fashion-mnist, cifar10 or cifar100)", a->network);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Shows a network: every layer with its output shape, the weights that go on the chip, multiply-accumulates an image, the knobs, and the "
    "memory it takes to run."
    "\vExamples:\n"
    "  ohmtrim info models/mobilenet-s.onnx\n"
    "  ohmtrim info models/mobilenet-s.onnx --json\n"
    "  ohmtrim info resnet18@0.5 --data cifar100       a built-in network as it would be built (train --list); needs no images\n"
    "Which ONNX files can be read: docs/onnx.md.";
static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {0, parse, "NET.onnx|MODEL[@WIDTH]", doc, children, NULL, NULL};

static const char *op_name(ot_op op)
{
    static const char *const names[] = {"input", "conv", "dense", "batch-norm", "bias", "relu", "add", "max-pool", "avg-pool", "global-avg", "pad", "slice", "reshape", "spike"};
    return (size_t)op < sizeof names / sizeof *names ? names[op] : "?";
}

typedef struct totals {
    size_t weights, plan, tune;      /* crossbar weights; bytes of a plan that runs, and of one that tunes */
    double macs;
    int    bits;                     /* asked for by the file or the command line */
} totals;

static ot_status add_up(totals *t, const args *a, const ot_network *net)
{
    ot_backend *be = NULL;
    ot_plan_options run = OT_PLAN_OPTIONS_INIT, tune = OT_PLAN_OPTIONS_INIT;
    tune.use = OT_PLAN_TUNE;
    for (int k = 0; k < ot_network_layers(net); k++) {
        t->weights += ot_layer_weights(ot_network_layer(net, k));
        t->macs += ot_network_macs(net, k);
    }
    t->bits = ot_network_bits(net) && !cli_given(&a->common, CLI_BITS) ? ot_network_bits(net) : a->common.variation.bits;
    OT_TRY(ot_backend_open(&be, a->common.backend, NULL));
    ot_status st = ot_plan_measure(&t->plan, be, net, &run);
    if (st == OT_OK) st = ot_plan_measure(&t->tune, be, net, &tune);
    ot_backend_close(be);
    return st;
}

static void print_json(const args *a, const ot_network *net, const totals *t)
{
    const ot_layer *in = ot_network_layer(net, 0);
    const float *mean, *std;
    ot_network_normalisation(net, &mean, &std);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "network", a->network);
    cJSON_AddStringToObject(o, "name", ot_network_name(net));
    cJSON_AddItemToObject(o, "input", cJSON_CreateIntArray((const int[]){in->c, in->h, in->w}, 3));
    cJSON_AddNumberToObject(o, "classes", ot_network_classes(net));
    cJSON *m = cJSON_AddArrayToObject(o, "mean"), *s = cJSON_AddArrayToObject(o, "std");
    for (int c = 0; c < in->c; c++) {
        char text[40];
        snprintf(text, sizeof text, "%.9g", (double)mean[c]);
        cJSON_AddItemToArray(m, cJSON_CreateRaw(text));
        snprintf(text, sizeof text, "%.9g", (double)std[c]);
        cJSON_AddItemToArray(s, cJSON_CreateRaw(text));
    }
    if (ot_network_class_name(net, 0)) {
        cJSON *names = cJSON_AddArrayToObject(o, "class_names");
        for (int k = 0; ot_network_class_name(net, k); k++) cJSON_AddItemToArray(names, cJSON_CreateString(ot_network_class_name(net, k)));
    }
    cJSON_AddNumberToObject(o, "bits", t->bits);
    cJSON_AddNumberToObject(o, "parameters", (double)ot_network_parameters(net));
    cJSON_AddNumberToObject(o, "crossbars", ot_network_crossbars(net));
    cJSON_AddNumberToObject(o, "weights", (double)t->weights);
    cJSON_AddNumberToObject(o, "cells", 2.0 * t->bits * (double)t->weights);
    cJSON_AddNumberToObject(o, "macs", t->macs);
    cJSON_AddNumberToObject(o, "relus", ot_network_relus(net));
    cJSON_AddNumberToObject(o, "knobs", 2 * ot_network_relus(net) + ot_network_spikes(net));
    if (ot_network_spikes(net)) {
        const ot_spiking *spiking = ot_network_spiking(net);
        cJSON_AddNumberToObject(o, "spiking_layers", ot_network_spikes(net));
        cJSON_AddNumberToObject(o, "steps", spiking->steps);
        cJSON_AddStringToObject(o, "coding", (const char *[]){"direct", "rate", "latency"}[spiking->coding]);
    }
    cJSON_AddNumberToObject(o, "weight_bytes", (double)t->weights * sizeof(float));
    cJSON_AddNumberToObject(o, "memory_forward", (double)t->plan);
    cJSON_AddNumberToObject(o, "memory_tune", (double)t->tune);
    cJSON *layers = cJSON_AddArrayToObject(o, "layers");
    for (int k = 0; k < ot_network_layers(net); k++) {
        const ot_layer *l = ot_network_layer(net, k);
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "name", l->name);
        cJSON_AddStringToObject(one, "op", op_name(l->op));
        cJSON_AddItemToObject(one, "in", cJSON_CreateIntArray(l->in, l->op == OT_OP_ADD ? 2 : k > 0));
        cJSON_AddItemToObject(one, "shape", cJSON_CreateIntArray((const int[]){l->c, l->h, l->w}, 3));
        if (l->crossbar >= 0) {
            cJSON_AddNumberToObject(one, "crossbar", l->crossbar);
            cJSON_AddNumberToObject(one, "weights", (double)ot_layer_weights(l));
            cJSON_AddNumberToObject(one, "fan_in", ot_layer_fan_in(net, l));
            cJSON_AddNumberToObject(one, "macs", ot_network_macs(net, k));
            cJSON_AddBoolToObject(one, "bias", l->bias != NULL);
        }
        if (l->relu >= 0) cJSON_AddNumberToObject(one, "relu", l->relu);
        if (l->relu >= 0 && isfinite(l->clip)) cli_json_number(one, "clip", (double)l->clip);
        if (l->spike >= 0) {
            static const char *const resets[OT_RESETS] = {"subtract", "fixed", "zero", "once"};
            cJSON_AddNumberToObject(one, "spike", l->spike);
            cli_json_number(one, "threshold", (double)l->threshold);
            cli_json_number(one, "leak", (double)l->leak);
            cJSON_AddStringToObject(one, "reset", resets[l->reset]);
        }
        cJSON_AddItemToArray(layers, one);
    }
    cJSON *warnings = cJSON_AddArrayToObject(o, "warnings");
    for (int k = 0; ot_network_warning(net, k); k++) cJSON_AddItemToArray(warnings, cJSON_CreateString(ot_network_warning(net, k)));
    cli_print_json(o);
}

/* What there is to say of one layer besides its shape: "3x3 /2 +1, 8 groups", "knobs 4". */
static void describe(const ot_layer *l, char *text, size_t n)
{
    int at = 0;
    *text = 0;
    int window = l->op == OT_OP_CONV || l->op == OT_OP_MAX_POOL || l->op == OT_OP_AVG_POOL;
    if (window) {
        at = snprintf(text, n, "%dx%d", l->kh, l->kw);
        if (l->sh != 1 || l->sw != 1) at += snprintf(text + at, n - (size_t)at, " stride %d,%d", l->sh, l->sw);
        if (l->pt || l->pl || l->pb || l->pr) at += snprintf(text + at, n - (size_t)at, " pads %d,%d,%d,%d", l->pt, l->pl, l->pb, l->pr);
        if (l->op == OT_OP_CONV && l->groups > 1) snprintf(text + at, n - (size_t)at, " %d groups", l->groups);
    }
    if (l->spike >= 0) {
        at = snprintf(text, n, "knob %d, threshold %g", l->spike, (double)l->threshold);
        if (l->leak < 1) at += snprintf(text + at, n - (size_t)at, ", leak %g", (double)l->leak);
        if (l->reset == OT_RESET_FIXED) snprintf(text + at, n - (size_t)at, ", reset by %g", (double)l->u_rst);
        if (l->reset == OT_RESET_ZERO) snprintf(text + at, n - (size_t)at, ", reset to 0");
        if (l->reset == OT_RESET_ONCE) snprintf(text + at, n - (size_t)at, ", fires once");
    }
    if (l->relu >= 0) at = snprintf(text, n, "knob %d", l->relu);
    if (l->relu >= 0 && isfinite(l->clip)) snprintf(text + at, n - (size_t)at, ", clip %g", (double)l->clip);
}

static void print_table(const args *a, const ot_network *net, const totals *t)
{
    const ot_layer *in = ot_network_layer(net, 0);
    const float *mean, *std;
    ot_network_normalisation(net, &mean, &std);
    printf("%s: %s, images (%d, %d, %d), %d classes\n", a->network, ot_network_name(net), in->c, in->h, in->w, ot_network_classes(net));
    printf("%4s %-28s %-10s %-9s %-16s %10s %12s  %s\n", "", "layer", "operation", "reads", "shape", "weights", "MACs", "");
    for (int k = 0; k < ot_network_layers(net); k++) {
        const ot_layer *l = ot_network_layer(net, k);
        char shape[40], reads[32] = "", more[80], weights[24] = "", macs[24] = "";
        snprintf(shape, sizeof shape, "%d,%d,%d", l->c, l->h, l->w);
        if (l->op == OT_OP_ADD) snprintf(reads, sizeof reads, "%d,%d", l->in[0], l->in[1]);
        else if (k) snprintf(reads, sizeof reads, "%d", l->in[0]);
        if (l->crossbar >= 0) {
            snprintf(weights, sizeof weights, "%zu", ot_layer_weights(l));
            snprintf(macs, sizeof macs, "%.0f", ot_network_macs(net, k));
        }
        describe(l, more, sizeof more);
        printf("%4d %-28s %-10s %-9s %-16s %10s %12s  %s\n", k, l->name, op_name(l->op), reads, shape, weights, macs, more);
    }
    printf("pixels enter as (u8 / 255 - mean) / std: mean");
    for (int c = 0; c < in->c && c < 8; c++) printf(" %g", (double)mean[c]);
    printf(", std");
    for (int c = 0; c < in->c && c < 8; c++) printf(" %g", (double)std[c]);
    printf("%s\n", in->c > 8 ? " ..." : "");
    if (ot_network_class_name(net, 0)) {
        printf("classes:");
        for (int k = 0; ot_network_class_name(net, k); k++) printf("%s %s", k ? "," : "", ot_network_class_name(net, k));
        printf("\n");
    }
    printf("on the chip: %zu weights in %d layers, %.0f cells at %d bits; %.4g MACs an image\n", t->weights, ot_network_crossbars(net),
           2.0 * t->bits * (double)t->weights, t->bits, t->macs);
    if (ot_network_spikes(net))
        printf("knobs: %d (a threshold for each spiking layer); %zu parameters in all; %d time steps, %s\n", ot_network_spikes(net), ot_network_parameters(net),
               ot_network_spiking(net)->steps, (const char *[]){"the image as a constant current", "input spikes drawn at random", "one input spike a pixel"}[ot_network_spiking(net)->coding]);
    else printf("knobs: %d (a gain and an offset for each of %d ReLU layers); %zu parameters in all\n", 2 * ot_network_relus(net), ot_network_relus(net),
           ot_network_parameters(net));
    printf("memory: weights %.2f MiB; a plan of 128 images %.1f MiB, with tuning %.1f MiB\n", (double)t->weights * 4 / 1048576, (double)t->plan / 1048576,
           (double)t->tune / 1048576);
}

static ot_status open_or_build(const args *a, ot_network **net)
{
    ot_data *shape = NULL;
    if (!cli_is_model(a->network)) return cli_open_network(&a->common, net, a->network);
    ot_status st = cli_published_data(&shape, a->common.data);
    if (st == OT_OK) st = ot_model_build(net, a->network, shape->c, shape->h, shape->w, shape->classes, a->common.variation.seed);
    ot_data_free(shape);
    return st;
}

int cmd_info(int argc, char **argv);      /* called by ohmtrim.c */
int cmd_info(int argc, char **argv)
{
    args a = {0};
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    ot_network *net = NULL;
    totals t = {0};
    ot_status st = open_or_build(&a, &net);
    if (st == OT_OK) st = add_up(&t, &a, net);
    if (st == OT_OK) (a.common.json ? print_json : print_table)(&a, net, &t);
    ot_network_free(net);
    return st == OT_OK ? 0 : cli_fail("info", st);
}

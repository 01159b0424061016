/* cmd_chip.c - `ohmtrim chip`: draws one chip, says what it is like, dumps its weights, writes it as a plain ONNX network. */
#include "cli.h"

#include "base/fail.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { KEY_DUMP = CLI_VERB_FIRST, KEY_ONNX, KEY_KNOBS };

static const struct argp_option options[] = {
    {"dump", KEY_DUMP, "F.npz", 0, "write the weights: one float32 array a layer, ONNX shape and name", 1},
    {"onnx", KEY_ONNX, "F.onnx", 0, "write the chip as a plain ONNX network that any runtime can check", 1},
    {"knobs", KEY_KNOBS, "F.json", 0, "with --onnx: gains and offsets, as `ohmtrim tune --json` prints them (or .npz)", 1},
    {0},
};

typedef struct args {
    cli_common  common;
    const char *network, *dump, *onnx, *knobs;
    uint32_t    number;
    int         n_words;
} args;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case KEY_DUMP: a->dump = arg; return 0;
    case KEY_ONNX: a->onnx = arg; return 0;
    case KEY_KNOBS: a->knobs = arg; return 0;
    case ARGP_KEY_ARG:
        if (a->n_words == 0) a->network = arg;
        else if (a->n_words == 1) a->number = (uint32_t)cli_int(state, "chip (the second word)", arg, 0, UINT32_MAX);
        else argp_error(state, "'%s' is one word too many, want a network and a chip number", arg);
        a->n_words++;
        return 0;
    case ARGP_KEY_END:
        if (a->n_words < 2) argp_error(state, "want a network (an ONNX file) and a chip number");
        if (a->knobs && !a->onnx) argp_error(state, "--knobs goes into the file of --onnx, want both");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char doc[] =
    "Draws chip N of a network: every cell of every weight, by Philox from (seed, chip, layer, cell). The same network, device, "
    "variation and number give the same bits on any machine."
    "\vExamples:\n"
    "  ohmtrim chip models/mobilenet-s.onnx 17\n"
    "  ohmtrim chip models/mobilenet-s.onnx 17 --sigma 0.035 --dump chip17.npz --json\n"
    "  ohmtrim tune models/mobilenet-s.onnx --chip 17 --data fashion-mnist --json >knobs.json\n"
    "  ohmtrim chip models/mobilenet-s.onnx 17 --onnx chip17.onnx --knobs knobs.json\n"
    "How it is done: docs/chip.md.";
static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
static const struct argp argp = {options, parse, "NET.onnx N", doc, children, NULL, NULL};

static void mean_and_sd(const float *w, size_t n, double *mean, double *sd)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += w[i];
    *mean = n ? sum / (double)n : 0;
    for (size_t i = 0; i < n; i++) squares += (w[i] - *mean) * (w[i] - *mean);
    *sd = n ? sqrt(squares / (double)n) : 0;
}

static void print_chip(const args *a, const ot_chip *chip, const ot_device *dev)
{
    const ot_network *net = ot_chip_network(chip);
    const ot_variation *var = &a->common.variation;
    cJSON *o = cJSON_CreateObject(), *layers = NULL;
    char text[32];
    if (a->common.json) {
        cJSON_AddNumberToObject(o, "chip", a->number);
        snprintf(text, sizeof text, "%" PRIu64, var->seed);
        cJSON_AddRawToObject(o, "seed", text);
        cli_json_number(o, "delta_sys", ot_chip_delta_sys(chip));
        cJSON_AddStringToObject(o, "device", dev->name);
        cli_json_number(o, "sigma", var->sigma);
        cli_json_number(o, "sys_share", var->sys_share);
        cJSON_AddNumberToObject(o, "bits", var->bits);
        cJSON_AddNumberToObject(o, "draw_version", OT_DRAW_VERSION);
        snprintf(text, sizeof text, "%016" PRIx64, ot_chip_hash(chip));
        cJSON_AddStringToObject(o, "hash", text);
        layers = cJSON_AddArrayToObject(o, "layers");
    } else {
        printf("chip %" PRIu32 " of %s: delta_sys %+.6f\n", a->number, ot_network_name(net), ot_chip_delta_sys(chip));
        printf("device %s, sigma %g (systematic share of the variance %g), %d bits, seed %" PRIu64 ", hash %016" PRIx64 "\n", dev->name, var->sigma,
               var->sys_share, var->bits, var->seed, ot_chip_hash(chip));
        printf("%-32s %10s %12s %12s %12s\n", "layer", "weights", "mean", "sd", "scale");
    }
    for (int k = 0; k < ot_network_crossbars(net); k++) {
        const ot_layer *layer = ot_network_crossbar(net, k);
        size_t n = ot_layer_weights(layer);
        double mean, sd;
        mean_and_sd(ot_chip_weights(chip, k), n, &mean, &sd);
        if (a->common.json) {
            cJSON *one = cJSON_CreateObject();
            cJSON_AddStringToObject(one, "name", layer->name);
            cJSON_AddNumberToObject(one, "weights", (double)n);
            cli_json_number(one, "mean", mean);
            cli_json_number(one, "sd", sd);
            cli_json_number(one, "scale", ot_chip_scale(chip, k));
            cJSON_AddItemToArray(layers, one);
        } else printf("%-32s %10zu %12.5g %12.5g %12.5g\n", layer->name, n, mean, sd, ot_chip_scale(chip, k));
    }
    if (a->common.json) cli_print_json(o);
    else cJSON_Delete(o);
}

static ot_status dump(const ot_chip *chip, const char *path)
{
    const ot_network *net = ot_chip_network(chip);
    ot_npz_writer *z;
    OT_TRY(ot_npz_create(&z, path));
    for (int k = 0; k < ot_network_crossbars(net); k++) {
        const ot_layer *l = ot_network_crossbar(net, k);
        int64_t per_output = (int64_t)ot_layer_weights(l) / l->c, area = (int64_t)l->kh * l->kw;
        int64_t dims[4] = {l->c, l->op == OT_OP_DENSE ? per_output : per_output / area, l->kh, l->kw};
        ot_status st = ot_npz_add(z, l->name, OT_F32, l->op == OT_OP_DENSE ? 2 : 4, dims, ot_chip_weights(chip, k));
        if (st != OT_OK) {
            ot_npz_abandon(z);
            return st;
        }
    }
    return ot_npz_finish(z);
}

static ot_status write_onnx(const args *a, const ot_chip *chip)
{
    ot_network *copy = NULL;
    ot_status st = OT_OK;
    size_t relus = (size_t)ot_network_knobs(ot_chip_network(chip));
    float *gain = ot_alloc(relus, sizeof *gain), *offset = ot_alloc(relus, sizeof *offset);
    if (!gain || !offset) OT_FAIL_TO(done, st, OT_E_NOMEM, "knobs: no memory for %zu bytes", 2 * relus * sizeof *gain);
    if (a->knobs) OT_TRY_TO(done, st, cli_read_knobs(gain, offset, ot_chip_network(chip), a->knobs));
    OT_TRY_TO(done, st, ot_chip_network_copy(&copy, chip));
    OT_TRY_TO(done, st, ot_network_save(copy, a->onnx, a->knobs ? gain : NULL, a->knobs ? offset : NULL));
done:
    ot_network_free(copy);
    ot_free(gain);
    ot_free(offset);
    return st;
}

int cmd_chip(int argc, char **argv);      /* called by ohmtrim.c */
int cmd_chip(int argc, char **argv)
{
    args a = {0};
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);
    ot_network *net = NULL;
    ot_chip *chip = NULL;
    ot_device dev;
    ot_status st = OT_OK;
    OT_TRY_TO(done, st, cli_open_network(&a.common, &net, a.network));
    OT_TRY_TO(done, st, cli_open_device(&a.common, &dev));
    cli_say_bits(&a.common, net, a.network);
    if (a.common.dry_run) {
        size_t weights = 0;
        for (int k = 0; k < ot_network_crossbars(net); k++) weights += ot_layer_weights(ot_network_crossbar(net, k));
        printf("would draw chip %" PRIu32 ": %d layers, %zu weights, %zu cells, %zu bytes\n", a.number, ot_network_crossbars(net), weights,
               2 * weights * (size_t)a.common.variation.bits, weights * (sizeof(float) + sizeof(int32_t)));
        goto done;
    }
    OT_TRY_TO(done, st, ot_chip_draw(&chip, net, &dev, &a.common.variation, a.number));
    if (a.dump) OT_TRY_TO(done, st, dump(chip, a.dump));
    if (a.onnx) OT_TRY_TO(done, st, write_onnx(&a, chip));
    print_chip(&a, chip, &dev);
    if (a.dump) cli_say(&a.common, "wrote %s\n", a.dump);
    if (a.onnx) cli_say(&a.common, "wrote %s\n", a.onnx);
done:
    ot_chip_free(chip);
    ot_network_free(net);
    return st == OT_OK ? 0 : cli_fail("chip", st);
}

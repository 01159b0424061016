/* eval_noise.c - `ohmtrim eval --noise`: a network's accuracy over chips of weight noise, self-tuned or not. */
#include "eval_noise.h"
#include "base/fail.h"
#include "base/progress.h"

#include <stdlib.h>
#include <string.h>

enum { NOISE = 0x2000, SAMPLES, SELF_TUNING };
enum { MOST_CELLS = 100000000, MOST_COLUMNS = 65536 };

static const struct argp_option options[] = {
    {"noise", NOISE, "proportional|fixed:SW[,SB]", 0, "chips of weight noise: sd within chips and between them, a share of each weight or of the layer's largest", 1},
    {"samples", SAMPLES, "N", 0, "so many of them (100)", 1},
    {"self-tuning", SELF_TUNING, "gtm:N|ltm:N,M", 0, "each with a column of N known cells that tells what its cells have in common; ltm: and M columns in every layer", 1},
    {0},
};

/* A number of 0..1 at *p, which moves behind it; 0 if there is none. */
static int take_sd(double *out, const char **p)
{
    char *end;
    *out = strtod(*p, &end);
    int good = end != *p && *out >= 0 && *out <= 1;
    *p = end;
    return good;
}

int cli_parse_noise(ot_noise *n, const char *text)
{
    for (int m = 0; m < OT_NOISE_MODELS; m++) {
        size_t length = strlen(ot_noise_model_name((ot_noise_model)m));
        if (strncmp(text, ot_noise_model_name((ot_noise_model)m), length) || text[length] != ':') continue;
        const char *p = text + length + 1;
        n->model = (ot_noise_model)m;
        n->between = 0;
        if (!take_sd(&n->within, &p)) return 0;
        if (*p == ',' && (p++, !take_sd(&n->between, &p))) return 0;
        return !*p;
    }
    return 0;
}

static int parse_tuning(ot_self_tuning *st, const char *text)
{
    const int   layers = !strncmp(text, "ltm:", 4);
    const char *p = text + 4;
    *st = (ot_self_tuning){0};
    if ((!layers && strncmp(text, "gtm:", 4)) || !cli_take_int(&st->gtm_cells, &p, 1, MOST_CELLS)) return 0;
    if (layers && (*p++ != ',' || !cli_take_int(&st->ltm_columns, &p, 1, MOST_COLUMNS))) return 0;
    return !*p;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    eval_noise_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: a->run.chips = 100; return 0;
    case NOISE:
        a->asked = 1;
        if (!cli_parse_noise(&a->run.noise, arg)) argp_error(state, "--noise = '%s', want proportional:SW or fixed:SW (SW,SB: within and between chips, 0..1)", arg);
        return 0;
    case SAMPLES:
        a->run.chips = (int)cli_int(state, "samples", arg, 1, 10000000);
        a->samples_given = 1;
        return 0;
    case SELF_TUNING:
        if (!parse_tuning(&a->run.self_tuning, arg)) argp_error(state, "--self-tuning = '%s', want gtm:N or ltm:N,M: N cells a chip, 1..%d, M columns a layer, 1..%d", arg, MOST_CELLS, MOST_COLUMNS);
        return 0;
    case ARGP_KEY_END:
        if (!a->asked && (a->run.self_tuning.gtm_cells || a->samples_given)) argp_error(state, "--samples and --self-tuning are of chips of noise, want --noise too");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp eval_noise_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

static void print(const cli_common *common, const eval_noise_args *a, const ot_network *net, const ot_data *data, const ot_noise_summary *s,
                  const ot_self_tuning_cost *cost, double seconds)
{
    const ot_noise *n = &a->run.noise;
    const ot_self_tuning *t = &a->run.self_tuning;
    if (!common->json) {
        char text[160];
        printf("%s on %s: %d chip%s of %s noise, %g within and %g between them: accuracy %.4f", ot_network_name(net), data->name, a->run.chips, a->run.chips > 1 ? "s" : "",
               ot_noise_model_name(n->model), n->within, n->between, s->mean);
        if (a->run.chips > 1) printf(" (%.4f..%.4f), a chip's sd %.4f, %.4f to %.4f", s->low, s->high, s->sd, s->least, s->most);
        printf(" (%.1f s)\n", seconds);
        if (t->gtm_cells)
            printf("self-tuned: %d cells a chip (what they say is off by %.4f), %d columns a layer; %s\n", t->gtm_cells, s->error, t->ltm_columns,
                   cli_self_tuning_cost(text, cost));
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "network", ot_network_name(net));
    cJSON_AddStringToObject(o, "data", data->name);
    cJSON_AddNumberToObject(o, "images", data->n);
    cJSON_AddStringToObject(o, "noise", ot_noise_model_name(n->model));
    cli_json_number(o, "within", n->within);
    cli_json_number(o, "between", n->between);
    cJSON_AddNumberToObject(o, "samples", a->run.chips);
    cJSON_AddNumberToObject(o, "gtm_cells", t->gtm_cells);
    cJSON_AddNumberToObject(o, "ltm_columns", t->ltm_columns);
    cli_json_number(o, "accuracy", s->mean);
    cli_json_number(o, "low", s->low);
    cli_json_number(o, "high", s->high);
    cli_json_number(o, "sd", s->sd);
    cli_json_number(o, "least", s->least);
    cli_json_number(o, "most", s->most);
    if (t->gtm_cells) {
        cli_json_number(o, "estimate_error", s->error);
        cli_add_self_tuning_cost(o, cost);
    }
    cli_json_number(o, "seconds", seconds);
    cli_print_json(o);
}

ot_status eval_noise(const cli_common *common, eval_noise_args *a, const ot_network *net, const ot_data *data, int tile)
{
    ot_self_tuning_cost cost = {0};
    ot_noise_summary    summary;
    const double        start = ot__seconds();
    a->run.noise.seed = common->variation.seed;
    a->run.tile = tile;
    a->run.threads = common->threads;
    if (a->run.self_tuning.gtm_cells) OT_TRY(ot_self_tuning_measure(&cost, &a->run.self_tuning, net));
    ot_noise_chip *chip = ot_alloc((size_t)a->run.chips, sizeof *chip);
    if (!chip) OT_NOMEM("chips of noise", (size_t)a->run.chips * sizeof *chip);
    ot_status st = ot_noise_measure(chip, net, common->backend, data, &a->run);
    if (st == OT_OK) {
        ot_noise_summarise(&summary, chip, a->run.chips, data->n);
        print(common, a, net, data, &summary, &cost, ot__seconds() - start);
    }
    ot_free(chip);
    return st;
}

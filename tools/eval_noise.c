/* eval_noise.c - `ohmtrim eval --noise`: a network's accuracy over chips of weight noise, self-tuned or not. */
#include "eval_noise.h"
#include "base/fail.h"
#include "base/progress.h"

#include <stdlib.h>
#include <string.h>

enum { NOISE = 0x2000, SAMPLES, SELF_TUNING };

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
    int used = 0;
    *st = (ot_self_tuning){0};
    if (sscanf(text, "gtm:%d%n", &st->gtm_cells, &used) == 1 && !text[used]) return st->gtm_cells > 0;
    return sscanf(text, "ltm:%d,%d%n", &st->gtm_cells, &st->ltm_columns, &used) == 2 && !text[used] && st->gtm_cells > 0 && st->ltm_columns > 0;
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
    case SAMPLES: a->run.chips = (int)cli_int(state, "samples", arg, 1, 10000000); return 0;
    case SELF_TUNING:
        if (!parse_tuning(&a->run.self_tuning, arg)) argp_error(state, "--self-tuning = '%s', want gtm:N or ltm:N,M: N cells a chip, M columns a layer, 1 or more", arg);
        return 0;
    case ARGP_KEY_END:
        if (!a->asked && (a->run.self_tuning.gtm_cells || a->run.chips != 100)) argp_error(state, "--samples and --self-tuning are of chips of noise, want --noise too");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp eval_noise_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

static void add_cost(cJSON *o, const ot_self_tuning_cost *c)
{
    cli_json_number(o, "macs", c->macs);
    cli_json_number(o, "macs_tuning", c->macs_gtm + c->macs_ltm);
    cli_json_number(o, "weights", c->weights);
    cli_json_number(o, "weights_tuning", c->weights_gtm + c->weights_ltm);
}

static void print(const cli_common *common, const eval_noise_args *a, const ot_network *net, const ot_data *data, const ot_noise_summary *s,
                  const ot_self_tuning_cost *cost, double seconds)
{
    const ot_noise *n = &a->run.noise;
    const ot_self_tuning *t = &a->run.self_tuning;
    if (!common->json) {
        printf("%s on %s: %d chips of %s noise, %g within and %g between them: accuracy %.4f (%.4f..%.4f), a chip's sd %.4f, %.4f to %.4f (%.1f s)\n", ot_network_name(net),
               data->name, a->run.chips, ot_noise_model_name(n->model), n->within, n->between, s->mean, s->low, s->high, s->sd, s->least, s->most, seconds);
        if (t->gtm_cells)
            printf("self-tuned: %d cells a chip (what they say is off by %.4f), %d columns a layer; %.4g %% more multiply-accumulates, %.4g %% more cells\n", t->gtm_cells,
                   s->error, t->ltm_columns, 100 * (cost->macs_gtm + cost->macs_ltm) / cost->macs, 100 * (cost->weights_gtm + cost->weights_ltm) / cost->weights);
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
        add_cost(o, cost);
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

/* cli_self_tuning.c - what self-tuning modules cost, in words and in JSON; the same fields wherever a verb has them. */
#include "cli.h"

void cli_add_self_tuning_cost(cJSON *o, const ot_self_tuning_cost *c)
{
    cli_json_number(o, "macs", c->macs);
    cli_json_number(o, "macs_tuning", c->macs_gtm + c->macs_ltm);
    cli_json_number(o, "weights", c->weights);
    cli_json_number(o, "weights_tuning", c->weights_gtm + c->weights_ltm);
}

const char *cli_self_tuning_cost(char out[160], const ot_self_tuning_cost *c)
{
    snprintf(out, 160, "%.4g %% more multiply-accumulates an image, %.4g %% more cells", 100 * (c->macs_gtm + c->macs_ltm) / c->macs,
             100 * (c->weights_gtm + c->weights_ltm) / c->weights);
    return out;
}

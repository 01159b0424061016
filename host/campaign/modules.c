/* modules.c - what the self-tuning modules of a campaign's chips cost, of the network that its spec names. */
#include "base/fail.h"
#include "ohmtrim/campaign.h"

ot_status ot_campaign_modules(ot_self_tuning_cost *out, const ot_campaign_spec *spec, ot_tuner tuner)
{
    const ot_self_tuning modules = {.gtm_cells = spec->tune.gtm_cells, .ltm_columns = tuner == OT_TUNER_SELF_TUNING_LTM ? spec->tune.ltm_columns : 0};
    ot_network          *net;
    if (tuner != OT_TUNER_SELF_TUNING && tuner != OT_TUNER_SELF_TUNING_LTM) OT_FAIL(OT_E_USAGE, "the tuner %s has no modules, want self-tuning or self-tuning-ltm", ot_tuner_name(tuner));
    OT_TRY(ot_network_open(&net, spec->network));
    const ot_status st = ot_self_tuning_measure(out, &modules, net);
    ot_network_free(net);
    return st;
}

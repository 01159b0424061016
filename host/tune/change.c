/* change.c - one door to the tuners that change a chip rather than its knobs: self-tuning, batch norm found again, retraining. */
#include "tune/change.h"

#include "backend/backend.h"
#include "base/fail.h"
#include "base/progress.h"

int ot__tuner_alone(ot_tuner t) { return t == OT_TUNER_BN_STATS || t == OT_TUNER_RETRAIN || t == OT_TUNER_SELF_TUNING_LTM; }
int ot_tuner_changes_chip(ot_tuner t) { return t == OT_TUNER_SELF_TUNING || ot__tuner_alone(t); }

ot_status ot_tuner_suits(ot_tuner t, const ot_network *net, const ot_backend *be)
{
    if (!ot__tuner_alone(t)) return OT_OK;
    if (ot_network_spikes(net) && t != OT_TUNER_SELF_TUNING_LTM) OT_FAIL(OT_E_UNSUPPORTED, "the tuner %s is for networks of ReLU layers; '%s' spikes", ot_tuner_name(t), ot_network_name(net));
    if (t == OT_TUNER_BN_STATS && !ot_network_statistics(net))
        OT_FAIL(OT_E_UNSUPPORTED, "the tuner bn-stats wants batch norm apart from the weights; '%s' has none", ot_network_name(net));
    if (be->i->many) OT_FAIL(OT_E_UNSUPPORTED, "the tuner %s works on one chip at a time, backend %s on many: want backend cpu or ref", ot_tuner_name(t), ot_backend_name(be));
    return OT_OK;
}

ot_status ot_tuning_change(const ot_tuning *t, ot_tuner tuner, ot_plan *plan, ot_chip *chip, float *gain, float *offset, int64_t *values, ot_tune_cost *cost)
{
    const double start = ot__seconds();
    int64_t      changed = 1;                                          /* self-tuning: one factor; its LTM: one share a layer */
    *cost = (ot_tune_cost){0};
    if (!ot_tuner_changes_chip(tuner)) OT_FAIL(OT_E_USAGE, "the tuner %s sets knobs: want ot_tuning_run", ot_tuner_name(tuner) ? ot_tuner_name(tuner) : "?");
    OT_TRY(ot_tuner_suits(tuner, ot_plan_network(plan), ot_plan_backend(plan)));
    if (tuner == OT_TUNER_SELF_TUNING) OT_TRY(ot_tuning_self(t, plan, chip, gain, offset, NULL, cost));
    if (tuner == OT_TUNER_SELF_TUNING_LTM) OT_TRY(ot__tuning_ltm(t, plan, chip, &changed));
    if (tuner == OT_TUNER_RETRAIN) OT_TRY(ot__tuning_retrain(t, plan, chip, &changed, cost));
    if (tuner == OT_TUNER_BN_STATS) OT_TRY(ot__tuning_bn_stats(t, plan, chip, &changed, cost));
    OT_TRY(ot_plan_set_knobs(plan, NULL, NULL));
    for (int l = 0; l < t->relus; l++) gain[l] = 1, offset[l] = 0;
    if (values) *values = changed;
    cost->seconds = ot__seconds() - start;
    return OT_OK;
}

ot_status ot_tuning_change_back(ot_plan *plan, ot_chip *chip)
{
    OT_TRY(ot_chip_redraw(chip, ot_chip_number(chip)));
    return ot_plan_load(plan, chip);
}

/* change.h - tuners that change more of a chip than its knobs (change.c is their door): weights written anew, batch norm found again, layers' own columns. */
#ifndef OT_TUNE_CHANGE_H
#define OT_TUNE_CHANGE_H

#include "tune/tuning.h"

/* Into `plan`: the chip with the changed numbers.  *values: how many. */
ot_status ot__tuning_retrain(const ot_tuning *t, ot_plan *plan, const ot_chip *chip, int64_t *values, ot_tune_cost *cost);
ot_status ot__tuning_bn_stats(const ot_tuning *t, ot_plan *plan, const ot_chip *chip, int64_t *values, ot_tune_cost *cost);

/* What the layers' own columns say is taken from their outputs (ltm.c). */
ot_status ot__tuning_ltm(const ot_tuning *t, ot_plan *plan, const ot_chip *chip, int64_t *values);
/* What it takes beside the plan. */
size_t ot__tuning_ltm_bytes(const ot_network *net, int columns);

#endif

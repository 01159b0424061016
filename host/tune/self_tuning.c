/* self_tuning.c - chips that correct themselves: outputs divided by 1 + what the chip's column of known cells says (ot_chip_self_test).
 *
 * On a chip of the device model all weights are too large or too small by one factor on average, delta_sys through the cells' curves: the
 * case of noise in proportion to weights, which the column alone undoes.  1 + estimate is held at 1/10 or above, as in quantise.h. */
#include "tune/tuning.h"

#include "base/fail.h"
#include "base/progress.h"
#include "chip/chip.h"
#include "plan/fleet.h"

static double gain_of(double estimate) { return ot_self_tuning_gain(&(ot_self_tuning){.gtm_cells = 1}, estimate); }

ot_status ot_tuning_self(const ot_tuning *t, ot_plan *plan, ot_chip *chip, float *gain, float *offset, double *estimate, ot_tune_cost *cost)
{
    const double start = ot__seconds();
    double       said;
    *cost = (ot_tune_cost){0};
    OT_TRY(ot__chip_self_test(&said, chip, t->opt.gtm_cells));
    OT_TRY(ot_chip_redraw_corrected(chip, ot_chip_number(chip), gain_of(said)));
    OT_TRY(ot_plan_load(plan, chip));
    OT_TRY(ot_plan_set_knobs(plan, NULL, NULL));
    for (int l = 0; l < t->relus; l++) gain[l] = 1, offset[l] = 0;
    if (estimate) *estimate = said;
    cost->seconds = ot__seconds() - start;
    return OT_OK;
}

ot_status ot__tuning_self_fleet(ot_fleet *f, int cells)
{
    ot_status st = OT_OK;
    double   *gain = ot_alloc((size_t)f->n, sizeof *gain), said;
    if (!gain) OT_NOMEM("self-tuning", (size_t)f->n * sizeof *gain);
    for (int k = 0; k < f->n; k++) {
        OT_TRY_TO(done, st, ot_chip_self_test(&said, &f->dev, &f->var, f->numbers[k], cells));
        gain[k] = gain_of(said);
    }
    OT_TRY_TO(done, st, ot_fleet_correct(f, gain));
    st = ot_fleet_set_knobs(f, NULL, NULL);
done:
    ot_free(gain);
    return st;
}

/* measure.c - one chip from drawing to results: untuned accuracy, signature, then each tuner and what it made of the chip.
 *
 * Nothing here depends on which thread runs it, on other chips or on the clock (cost.seconds aside), so a chip measured again after a
 * kill gives the same rows. */
#include "base/fail.h"
#include "campaign/job.h"

#include <stdio.h>
#include <string.h>

ot_status campaign__result_make(result *r, const campaign *c)
{
    const size_t relus = (size_t)c->n_relus, s = (size_t)c->n_signature, sets = 2 * OT_TUNERS + 1, bytes = (2 * s + 2 * relus * OT_TUNERS) * sizeof(float) + sets * c->n_bits;
    *r = (result){0};
    float *f = ot_alloc(1, bytes);
    if (!f) OT_NOMEM("a chip's results", bytes);
    r->memory = f;
    r->signature = f;
    r->scratch = f + s;
    f += 2 * s;
    for (int t = 0; t < OT_TUNERS; t++) {
        r->tuned[t].gain = f, r->tuned[t].offset = f + relus;
        f += 2 * relus;
    }
    r->bits = (uint8_t *)f;
    for (size_t t = 0; t < OT_TUNERS; t++) r->tuned[t].bits = r->bits + (t + 1) * c->n_bits, r->tuned[t].unrounded_bits = r->bits + (t + 1 + OT_TUNERS) * c->n_bits;
    return OT_OK;
}

void campaign__result_free(result *r)
{
    ot_free(r->memory);
    r->memory = NULL;
}

static ot_status count(const campaign *c, ot_plan *plan, int64_t *correct, uint8_t *bits)
{
    return ot_plan_count(plan, c->test, NULL, c->test->n, correct, bits);
}

/* To the ladder's levels; what it was before is noted. */
static ot_status round_knobs(const campaign *c, ot_plan *plan, tuned *u)
{
    u->unrounded = u->correct;
    memcpy(u->unrounded_bits, u->bits, c->n_bits);
    u->cost.projected += ot_ladder_round(&c->ladder, u->gain, c->n_relus);
    OT_TRY(ot_plan_set_knobs(plan, u->gain, u->offset));
    return count(c, plan, &u->correct, u->bits);
}

static ot_status measure_all(result *r, const campaign *c, ot_plan *plan, ot_chip *chip)
{
    OT_TRY(ot_plan_load(plan, chip));
    OT_TRY(ot_plan_set_knobs(plan, NULL, NULL));
    if (r->job.fresh) OT_TRY(count(c, plan, &r->correct, r->bits));
    OT_TRY(ot_signature_measure(r->signature, plan, &c->main->images, c->main->index, c->main->images.n));
    for (int t = 0; t < OT_TUNERS; t++) {
        if (!(r->job.tuners >> t & 1)) continue;
        tuned *u = &r->tuned[r->n_tuned];
        int nearest = -1;
        if (ot_tuner_changes_chip((ot_tuner)t)) OT_TRY(ot_tuning_change(c->tuning, (ot_tuner)t, plan, chip, u->gain, u->offset, NULL, &u->cost));
        else OT_TRY(ot_tuning_run(c->tuning, (ot_tuner)t, plan, c->casebook, campaign__looks(c, r->signature, r->scratch), u->gain, u->offset, &nearest, &u->cost));
        if (ot_tuner_wants_casebook((ot_tuner)t)) u->cost.images_forward += c->main->images.n;         /* its signature */
        u->tuner = (ot_tuner)t;
        u->nearest = nearest < 0 ? -1 : (int)c->casebook_chip[nearest];
        OT_TRY(count(c, plan, &u->correct, u->bits));
        if (c->ladder.bits) OT_TRY(round_knobs(c, plan, u));
        if (ot_tuner_changes_chip((ot_tuner)t)) OT_TRY(ot_tuning_change_back(plan, chip));
        r->n_tuned++;
    }
    return OT_OK;
}

/* `chip` is drawn into the memory of the one before.  A chip whose numbers are not usable is a result too, a bad one. */
ot_status campaign__measure(result *r, const campaign *c, ot_plan *plan, ot_chip **chip, job j, job_role role)
{
    r->job = j;
    r->role = role;
    r->failure[0] = 0;
    r->n_tuned = 0;
    ot_status st = *chip ? ot_chip_redraw(*chip, j.chip) : ot_chip_draw(chip, c->net, &c->dev, &c->spec->variation, j.chip);
    if (st == OT_OK) {
        r->delta_sys = ot_chip_delta_sys(*chip);
        r->hash = ot_chip_hash(*chip);
        st = measure_all(r, c, plan, *chip);
    }
    if (st == OT_E_DATA) {
        snprintf(r->failure, sizeof r->failure, "%s", ot_last_error());
        return OT_OK;
    }
    return st == OT_OK ? OT_OK : ot__fail_prefix(st, "chip %u: ", j.chip);
}

/* fleet.c - chips measured together on a device: the same steps as for one chip (measure.c), each for all of them at once.
 *
 * A chip's rows are those it would get alone.  Only its hash is worked out on the host, from the weights drawn there: that the two agree
 * is what makes the stored hash worth having. */
#include "base/fail.h"
#include "campaign/job.h"

#include <stdio.h>
#include <string.h>

/* Arrays for all chips of a fleet, handed out to their results. */
typedef struct room {
    float        *signature, *scratch, *gain, *offset;       /* (n, S), (S n), (n, L), (n, L) */
    uint8_t      *bits;                            /* (n, n_bits) */
    int64_t      *correct;
    int          *nearest;
    ot_tune_cost *cost;
} room;

static void room_close(room *m)
{
    ot_free(m->signature), ot_free(m->scratch), ot_free(m->gain), ot_free(m->offset), ot_free(m->bits), ot_free(m->correct), ot_free(m->nearest), ot_free(m->cost);
}

static ot_status room_open(room *m, const campaign *c, int chips)
{
    const size_t n = (size_t)chips, L = (size_t)c->n_relus;
    *m = (room){ot_alloc(n, (size_t)c->n_signature * sizeof(float)), ot_alloc(n, (size_t)c->n_signature * sizeof(float)), ot_alloc(n, L * sizeof(float)), ot_alloc(n, L * sizeof(float)), ot_alloc(n, c->n_bits),
                ot_alloc(n, sizeof(int64_t)), ot_alloc(n, sizeof(int)), ot_alloc(n, sizeof(ot_tune_cost))};
    if (m->signature && m->scratch && m->gain && m->offset && m->bits && m->correct && m->nearest && m->cost) return OT_OK;
    room_close(m);
    OT_NOMEM("a fleet's results", n * ((size_t)c->n_signature * sizeof(float) + c->n_bits));
}

static ot_status count(room *m, const campaign *c, ot_fleet *f) { return ot_fleet_count(f, c->test, NULL, c->test->n, m->correct, m->bits); }

/* To the ladder's levels; what it was before is noted. */
static ot_status round_knobs(result *r, room *m, const campaign *c, ot_fleet *f)
{
    const size_t L = (size_t)c->n_relus;
    for (size_t k = 0; k < (size_t)ot_fleet_chips(f); k++) {
        tuned *u = &r[k].tuned[r[k].n_tuned];
        u->unrounded = m->correct[k];
        memcpy(u->unrounded_bits, m->bits + k * c->n_bits, c->n_bits);
        m->cost[k].projected += ot_ladder_round(&c->ladder, m->gain + k * L, c->n_relus);
    }
    OT_TRY(ot_fleet_set_knobs(f, m->gain, m->offset));
    return count(m, c, f);
}

/* What tuners look at, of all chips. */
static const float *looks(room *m, const campaign *c, int n)
{
    const size_t one = (size_t)(c->looks.kind == OT_SIGNATURE_FULL ? c->n_signature : c->looks.images * c->looks.classes);
    if (c->looks.kind == OT_SIGNATURE_FULL) return m->signature;
    for (size_t k = 0; k < (size_t)n; k++) campaign__looks(c, m->signature + k * (size_t)c->n_signature, m->scratch + k * one);
    return m->scratch;
}

static ot_status run_tuner(result *r, room *m, const campaign *c, ot_fleet *f, ot_tuner t)
{
    const size_t L = (size_t)c->n_relus;
    for (int k = 0; k < ot_fleet_chips(f); k++) m->nearest[k] = -1;
    OT_TRY(ot_tuning_run_fleet(c->tuning, t, f, c->casebook, looks(m, c, ot_fleet_chips(f)), m->gain, m->offset, m->nearest, m->cost));
    OT_TRY(count(m, c, f));
    if (c->ladder.bits) OT_TRY(round_knobs(r, m, c, f));
    for (size_t k = 0; k < (size_t)ot_fleet_chips(f); k++) {
        tuned *u = &r[k].tuned[r[k].n_tuned++];
        u->tuner = t;
        u->cost = m->cost[k];
        if (ot_tuner_wants_casebook((ot_tuner)t)) u->cost.images_forward += c->main->images.n;
        u->nearest = m->nearest[k] < 0 ? -1 : (int)c->casebook_chip[m->nearest[k]];
        u->correct = m->correct[k];
        memcpy(u->gain, m->gain + k * L, L * sizeof *u->gain);
        memcpy(u->offset, m->offset + k * L, L * sizeof *u->offset);
        memcpy(u->bits, m->bits + k * c->n_bits, c->n_bits);
    }
    return OT_OK;
}

static ot_status measure_all(result *r, room *m, const campaign *c, ot_fleet *f, unsigned tuners)
{
    const size_t S = (size_t)c->n_signature;
    int          fresh = 0;
    for (int k = 0; k < ot_fleet_chips(f); k++) fresh |= r[k].job.fresh;
    if (fresh) OT_TRY(count(m, c, f));
    OT_TRY(ot_signature_measure_fleet(m->signature, f, &c->main->images, c->main->index, c->main->images.n));
    for (size_t k = 0; k < (size_t)ot_fleet_chips(f); k++) {
        r[k].correct = m->correct[k];
        memcpy(r[k].bits, m->bits + k * c->n_bits, c->n_bits);
        memcpy(r[k].signature, m->signature + k * S, S * sizeof(float));
    }
    for (int t = 0; t < OT_TUNERS; t++)
        if (tuners >> t & 1) OT_TRY(run_tuner(r, m, c, f, (ot_tuner)t));
    return OT_OK;
}

ot_status campaign__measure_fleet(result *r, const campaign *c, ot_fleet *f, ot_chip **chip, const job *j, int n, job_role role)
{
    uint32_t *numbers = ot_alloc((size_t)n, sizeof *numbers);
    room      m;
    ot_status st = OT_OK;
    if (!numbers) OT_NOMEM("a fleet's chips", (size_t)n * sizeof *numbers);
    st = room_open(&m, c, n);
    if (st != OT_OK) {
        ot_free(numbers);
        return st;
    }
    for (int k = 0; k < n; k++) {
        r[k].job = j[k], r[k].role = role, r[k].failure[0] = 0, r[k].n_tuned = 0;
        numbers[k] = j[k].chip;
        OT_TRY_TO(done, st, *chip ? ot_chip_redraw(*chip, j[k].chip) : ot_chip_draw(chip, c->net, &c->dev, &c->spec->variation, j[k].chip));
        r[k].delta_sys = ot_chip_delta_sys(*chip);
        r[k].hash = ot_chip_hash(*chip);
    }
    OT_TRY_TO(done, st, ot_fleet_draw(f, numbers, n));
    st = measure_all(r, &m, c, f, j[0].tuners);
done:
    room_close(&m);
    ot_free(numbers);
    if (st == OT_E_DATA && n > 1) {                      /* one chip's numbers are not usable: which, they say alone */
        for (int k = 0; k < n; k++) OT_TRY(campaign__measure_fleet(&r[k], c, f, chip, &j[k], 1, role));
        return OT_OK;
    }
    if (st == OT_E_DATA) {
        snprintf(r->failure, sizeof r->failure, "%s", ot_last_error());
        r->n_tuned = 0;
        return OT_OK;
    }
    return st == OT_OK ? OT_OK : ot__fail_prefix(st, "chips %u..%u: ", j[0].chip, j[n - 1].chip);
}

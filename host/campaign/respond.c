/* respond.c - what chips answer: for each stimulus of the file and each set of knobs that a chip has (untuned, and one a tuner), the
 * signature and the moments, i.e. mean and spread of every T-ReLU's input.
 *
 * A chip is drawn again for it, its weights being nowhere stored, and answers everything at once; that is ten images or so a set of
 * knobs, little beside measuring its accuracy.  So a stimulus that `select` adds later costs a redraw a chip and no tuning.  Chips of one
 * fleet have the same sets of knobs.  Knobs 'matching' is the tuner moments' own way: a T-ReLU's knobs follow from its moments at once, and
 * the layers behind it run with them. */
#include "base/fail.h"
#include "campaign/job.h"
#include "tune/tuning.h"

#include <string.h>

enum { MOST_SETS = OT_TUNERS + 2 };            /* untuned, tuners, matching */
static const char MATCHING[] = "matching";

struct response {
    const job *jobs;
    int        n, n_sets;
    const char *set[MOST_SETS];                /* names of the knobs */
    float     *gain[MOST_SETS], *offset[MOST_SETS];      /* (chips, L) each */
    float     *signature, *moments;            /* of one stimulus and set for all chips: (chips, S), (chips, 2 L), at place() */
    size_t     s_all, l;                       /* S of all stimuli together */
    int        chips;
    void      *memory;
};

void campaign__response_free(response *r)
{
    if (!r) return;
    ot_free(r->memory);
    ot_free(r);
}

ot_status campaign__response_make(response **out, const campaign *c, int chips)
{
    response    *r = ot_alloc(1, sizeof *r);
    const size_t n = (size_t)chips, L = (size_t)c->n_relus;
    size_t       s_all = 0;
    for (int i = 0; i < c->n_stimuli; i++) s_all += (size_t)c->stimuli[i].n_signature;
    float *f = ot_alloc(MOST_SETS * n, (2 * L + s_all + (size_t)c->n_stimuli * 2 * L) * sizeof *f);
    if (!r || !f) {
        ot_free(r), ot_free(f);
        OT_NOMEM("responses", MOST_SETS * n * (s_all + 2 * L) * sizeof *f);
    }
    *r = (response){.memory = f, .s_all = s_all, .l = L, .chips = chips};
    for (int k = 0; k < MOST_SETS; k++) r->gain[k] = f, r->offset[k] = f + n * L, f += 2 * n * L;
    r->signature = f;
    r->moments = f + MOST_SETS * n * s_all;
    *out = r;
    return OT_OK;
}

/* Where stimulus i's numbers of set k begin; `before`: S of the stimuli before it. */
static float *signature_at(const response *r, const stimulus *s, size_t before, int k)
{
    return r->signature + (size_t)r->chips * (MOST_SETS * before + (size_t)k * (size_t)s->n_signature);
}
static float *moments_at(const response *r, int i, int k) { return r->moments + (size_t)r->chips * 2 * r->l * ((size_t)i * MOST_SETS + (size_t)k); }

static ot_status read_knobs(response *r, campaign *c, int at, const char *tuner, float *gain, float *offset)
{
    const size_t  bytes = r->l * sizeof(float);
    sqlite3_stmt *stmt;
    int           more;
    OT_TRY(ot__store_ask(&stmt, c->store, "SELECT gain, offset FROM tuning WHERE chip = ?1 AND tuner = ?2", "it", (int64_t)r->jobs[at].chip, tuner));
    ot_status st = ot__store_next(c->store, stmt, &more);
    if (st == OT_OK && (!more || (size_t)sqlite3_column_bytes(stmt, 0) != bytes || (size_t)sqlite3_column_bytes(stmt, 1) != bytes))
        st = ot__fail(OT_E_FORMAT, __FILE__, __LINE__, "%s: chip %u: knobs of tuner %s are missing or of another length, want %zu numbers", ot__store_path(c->store),
                      r->jobs[at].chip, tuner, r->l);
    if (st == OT_OK) {
        memcpy(gain + (size_t)at * r->l, sqlite3_column_blob(stmt, 0), bytes);
        memcpy(offset + (size_t)at * r->l, sqlite3_column_blob(stmt, 1), bytes);
    }
    sqlite3_finalize(stmt);
    return st;
}

ot_status campaign__response_knobs(response *r, campaign *c, const job *j, int n)
{
    r->jobs = j, r->n = n, r->n_sets = 0;
    r->set[r->n_sets++] = "untuned";
    for (int t = 0; t < OT_TUNERS; t++) {
        if (!(j->tuners >> t & 1) || ot__tuner_alone((ot_tuner)t)) continue;
        for (int k = 0; k < n; k++) OT_TRY(read_knobs(r, c, k, ot_tuner_name((ot_tuner)t), r->gain[r->n_sets], r->offset[r->n_sets]));
        r->set[r->n_sets++] = ot_tuner_name((ot_tuner)t);
    }
    r->set[r->n_sets++] = MATCHING;
    return OT_OK;
}

typedef struct noting { int spiking; float *out; size_t l; const double *mean0, *sd0; ot_tune_cost cost; } noting;

/* mean0 NULL: knobs stay as they are. */
static ot_status note(void *user, int chip, int relu, double mean, double sd, float *gain, float *offset)
{
    noting *m = user;
    float  *row = m->out + (size_t)chip * 2 * m->l;
    row[relu] = (float)mean;
    row[m->l + (size_t)relu] = (float)sd;
    if (m->mean0) ot__match(m->spiking, m->mean0[relu], m->sd0[relu], (double)row[relu], (double)row[m->l + (size_t)relu], gain, offset, &m->cost);
    return OT_OK;
}

static ot_status note_one(void *user, int relu, double mean, double sd, float *gain, float *offset) { return note(user, 0, relu, mean, sd, gain, offset); }

/* Moments are of at most a tile of images. */
static int tile_of(const campaign *c, const stimulus *s) { return s->images.n < c->spec->tile ? s->images.n : c->spec->tile; }

/* One stimulus, all sets of knobs. */
static ot_status ask(response *r, const campaign *c, ot_fleet *f, int i, size_t before)
{
    stimulus *s = &c->stimuli[i];
    ot_status st = OT_OK;
    double   *target = ot_alloc(2 * r->l, sizeof *target);
    if (!target) OT_NOMEM("targets", 2 * r->l * sizeof *target);
    for (size_t l = 0; l < 2 * r->l; l++) target[l] = (double)s->ideal[l];
    for (int k = 0; k < r->n_sets; k++) {
        const int matching = k == r->n_sets - 1;
        noting    m = {.spiking = ot__knobs_of(c->net), .out = moments_at(r, i, k), .l = r->l, .mean0 = matching ? target : NULL, .sd0 = target + r->l};
        if (!strcmp(r->set[k], ot_tuner_name(OT_TUNER_SELF_TUNING))) OT_TRY_TO(done, st, ot__tuning_self_fleet(f, c->spec->tune.gtm_cells));
        else OT_TRY_TO(done, st, ot_fleet_correct(f, NULL));
        OT_TRY_TO(done, st, ot_fleet_set_knobs(f, k && !matching ? r->gain[k] : NULL, k && !matching ? r->offset[k] : NULL));
        if (!matching) OT_TRY_TO(done, st, ot_signature_measure_fleet(signature_at(r, s, before, k), f, &s->images, s->index, s->images.n));
        OT_TRY_TO(done, st, ot_fleet_moments(f, &s->images, s->index, tile_of(c, s), note, &m));
    }
done:
    ot_free(target);
    return st;
}

ot_status campaign__respond(response *r, const campaign *c, ot_fleet *f)
{
    size_t    before = 0;
    ot_status st = OT_OK;
    uint32_t *numbers = ot_alloc((size_t)r->n, sizeof *numbers);
    if (!numbers) OT_NOMEM("a fleet's chips", (size_t)r->n * sizeof *numbers);
    for (int k = 0; k < r->n; k++) numbers[k] = r->jobs[k].chip;
    OT_TRY_TO(done, st, ot_fleet_draw(f, numbers, r->n));
    for (int i = 0; i < c->n_stimuli; i++) {
        OT_TRY_TO(done, st, ask(r, c, f, i, before));
        before += (size_t)c->stimuli[i].n_signature;
    }
done:
    ot_free(numbers);
    return st == OT_OK ? OT_OK : ot__fail_prefix(st, "chips %u..%u: ", r->jobs[0].chip, r->jobs[r->n - 1].chip);
}

static ot_status response_rows(campaign *c, const response *r)
{
    size_t before = 0, moments = 2 * r->l;
    for (int i = 0; i < c->n_stimuli; i++) {
        const stimulus *s = &c->stimuli[i];
        for (int k = 0; k < r->n_sets; k++)
            for (int j = 0; j < r->n; j++) {
                const int64_t chip = r->jobs[j].chip;
                if (k < r->n_sets - 1)
                    OT_TRY(ot__store_do(c->store, "INSERT OR REPLACE INTO signature VALUES (?1, ?2, ?3, ?4)", "iitb", chip, s->id, r->set[k],
                                        (const void *)(signature_at(r, s, before, k) + (size_t)j * (size_t)s->n_signature), (size_t)s->n_signature * sizeof(float)));
                OT_TRY(ot__store_do(c->store, "INSERT OR REPLACE INTO moments VALUES (?1, ?2, ?3, ?4)", "iitb", chip, s->id, r->set[k],
                                    (const void *)(moments_at(r, i, k) + (size_t)j * moments), moments * sizeof(float)));
            }
        before += (size_t)s->n_signature;
    }
    return OT_OK;
}

ot_status campaign__write_response(campaign *c, const response *r)
{
    OT_TRY(ot__store_begin(c->store));
    return ot__store_end(c->store, response_rows(c, r));
}

/* Chips that lack an answer, with the tuners whose knobs they have; one after the other those with the same ones. */
ot_status campaign__respond_jobs(job **out, int *n, campaign *c)
{
    sqlite3_stmt *stmt = NULL;
    ot_status     st = OT_OK;
    int64_t       most;
    int           more, last = -1;
    *n = 0;
    OT_TRY(ot__store_int(&most, c->store, 0, "SELECT count(*) FROM chip WHERE failure IS NULL", ""));
    job *jobs = ot_alloc((size_t)most, sizeof *jobs);
    if (!jobs) OT_NOMEM("chips", (size_t)most * sizeof *jobs);
    OT_TRY_TO(done, st, ot__store_ask(&stmt, c->store,
                                      "SELECT c.number, t.tuner FROM chip c LEFT JOIN tuning t ON t.chip = c.number WHERE c.failure IS NULL AND"
                                      " (SELECT count(*) FROM moments m WHERE m.chip = c.number) < ?1 * (2 + (SELECT count(*) FROM tuning u WHERE u.chip = c.number))"
                                      " ORDER BY c.role, c.number", "i", (int64_t)c->n_stimuli));
    OT_TRY_TO(done, st, ot__store_next(c->store, stmt, &more));
    while (more && *n <= most) {
        const int chip = sqlite3_column_int(stmt, 0);
        ot_tuner  t;
        if (chip != last) jobs[(*n)++] = (job){.chip = (uint32_t)chip};
        last = chip;
        if (sqlite3_column_type(stmt, 1) != SQLITE_NULL) {
            OT_TRY_TO(done, st, ot_tuner_parse(&t, ot__store_text(stmt, 1)));
            jobs[*n - 1].tuners |= 1u << t;
        }
        OT_TRY_TO(done, st, ot__store_next(c->store, stmt, &more));
    }
done:
    sqlite3_finalize(stmt);
    if (st != OT_OK) {
        ot_free(jobs);
        return st;
    }
    *out = jobs;
    return OT_OK;
}

ot_status campaign__respond_ideal(campaign *c, ot_plan *plan)
{
    ot_status st = OT_OK;
    float    *signature = NULL, *moments = ot_alloc(2 * (size_t)c->n_relus, sizeof *moments);
    int64_t   have;
    if (!moments) OT_NOMEM("moments", 2 * (size_t)c->n_relus * sizeof *moments);
    OT_TRY_TO(done, st, ot_plan_load(plan, NULL));
    for (int i = 0; i < c->n_stimuli; i++) {
        stimulus *s = &c->stimuli[i];
        noting    m = {.out = moments, .l = (size_t)c->n_relus};
        if (s->ideal) continue;
        ot_free(signature);
        if (!(signature = ot_alloc((size_t)s->n_signature, sizeof *signature))) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d numbers", s->n_signature);
        OT_TRY_TO(done, st, ot_plan_set_knobs(plan, NULL, NULL));
        OT_TRY_TO(done, st, ot_signature_measure(signature, plan, &s->images, s->index, s->images.n));
        OT_TRY_TO(done, st, ot_plan_moments(plan, &s->images, s->index, tile_of(c, s), note_one, &m));
        if (!(s->ideal = ot_alloc(2 * (size_t)c->n_relus, sizeof *s->ideal))) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d moments", 2 * c->n_relus);
        memcpy(s->ideal, moments, 2 * (size_t)c->n_relus * sizeof *moments);
        OT_TRY_TO(done, st, ot__store_int(&have, c->store, 0, "SELECT count(*) FROM ideal_response WHERE stimulus = ?1", "i", s->id));
        if (!have)
            OT_TRY_TO(done, st, ot__store_do(c->store, "INSERT INTO ideal_response VALUES (?1, ?2, ?3)", "ibb", s->id, (const void *)signature,
                                             (size_t)s->n_signature * sizeof *signature, (const void *)moments, 2 * (size_t)c->n_relus * sizeof *moments));
    }
done:
    ot_free(signature);
    ot_free(moments);
    return st;
}

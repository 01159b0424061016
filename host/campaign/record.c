/* record.c - a campaign's rows: into the database, and back out to continue it. */
#include "base/build.h"
#include "base/fail.h"
#include "base/sha256.h"
#include "campaign/job.h"
#include "campaign/spec.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define UNROUNDED " unrounded"            /* behind a tuner's name: with its knobs before they were rounded to the ladder */
static const char UNTUNED[] = "untuned";
static const char *const role_names[] = {[JOB_CASEBOOK] = "casebook", [JOB_CROSS] = "casebook", [JOB_EVALUATE] = "evaluate"};

static const char *now(char out[32])
{
    time_t t = time(NULL);
    struct tm tm;
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    return out;
}

/* The value stored under a key, in ot_alloc memory; NULL if there is none. */
static ot_status stored(char **out, ot_store *s, const char *key)
{
    sqlite3_stmt *stmt;
    int more;
    *out = NULL;
    OT_TRY(ot__store_ask(&stmt, s, "SELECT value FROM spec WHERE key = ?1", "t", key));
    ot_status st = ot__store_next(s, stmt, &more);
    if (st == OT_OK && more && !(*out = ot_strdup(ot__store_text(stmt, 0))))
        st = ot__fail(OT_E_NOMEM, __FILE__, __LINE__, "%s: no memory for the stored spec", ot__store_path(s));
    sqlite3_finalize(stmt);
    return st;
}

/* Does the asked value keep what the stored one made? */
static int keeps(const ot_campaign_spec *spec, const spec_key *k, const char *was, const char *is)
{
    if (k->role == SPEC_FIXED || !strcmp(was, is)) return !strcmp(was, is);
    ot_campaign_spec old = *spec;
    if (ot_campaign_spec_set(&old, k->name, was) != OT_OK) return 0;
    if (k->type == SPEC_INT) return old.chips <= spec->chips;
    for (int i = 0; i < old.n_tuners; i++)
        if (!ot__spec_has_tuner(spec, old.tuners[i])) return 0;
    return 1;
}

typedef struct list { char text[700]; int n; } list;
static void differ(list *l, const char *key, const char *was, const char *is)
{
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof l->text - n, "%s%s (stored %.64s, asked %.64s)", l->n++ ? ", " : "", key, was, is);
}

static ot_status compare_spec(campaign *c)
{
    const struct { const char *key, *stored_as, *value; } files[] = {{"network", "network.sha256", c->network_sha},
                                                                     {"data", "train.sha256", c->train_sha},
                                                                     {"data", "test.sha256", c->test_sha},
                                                                     {"device_model", "device.sha256", c->device_sha}};
    char value[SPEC_VALUE], *was;
    list l = {0};
    for (int i = 0; i < ot__spec_keys(); i++) {
        const spec_key *k = ot__spec_key(i);
        if (k->role == SPEC_PLACE) continue;
        OT_TRY(stored(&was, c->store, k->name));
        ot__spec_value(value, c->spec, k);
        if (!was && ot__spec_later(k, value)) continue;                                    /* stored before there was such a key */
        if (k->role == SPEC_CHOICE) {
            int64_t evaluated = 0;                                                          /* another one as long as nothing stands on the old one */
            if (strcmp(was ? was : "random", value)) OT_TRY(ot__store_int(&evaluated, c->store, 0, "SELECT count(*) FROM chip WHERE role = 'evaluate'", ""));
            if (evaluated) differ(&l, k->name, was ? was : "random", value);
            ot_free(was);
            continue;
        }
        if (!was || !keeps(c->spec, k, was, value)) differ(&l, k->name, was ? was : "nothing", value);
        ot_free(was);
    }
    int limits = l.n;                       /* other limits give other images: one reason is enough */
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        OT_TRY(stored(&was, c->store, files[i].stored_as));
        int same = was && !strcmp(was, files[i].value);
        if (!same && !(limits && !strcmp(files[i].key, "data"))) {
            char a[32] = "nothing", b[32];
            if (was) snprintf(a, sizeof a, "SHA-256 %.12s", was);
            snprintf(b, sizeof b, "%.12s", files[i].value);
            differ(&l, files[i].stored_as, a, b);
        }
        ot_free(was);
    }
    if (l.n)
        OT_FAIL(OT_E_MISMATCH, "%s: holds a campaign of another spec: %s; want the stored spec or another file", ot__store_path(c->store), l.text);
    return OT_OK;
}

ot_status campaign__adopt_choices(campaign *c)
{
    sqlite3_stmt *stmt;
    int           more;
    size_t        base = strcspn(c->backend, "=");
    if (!strstr(c->spec->backend, "+libs") || strchr(c->spec->backend, '=')) return OT_OK;
    OT_TRY(ot__store_ask(&stmt, c->store, "SELECT backend FROM run_info ORDER BY id LIMIT 1", ""));
    ot_status st = ot__store_next(c->store, stmt, &more);
    if (st == OT_OK && more) {
        const char *was = ot__store_text(stmt, 0);
        if (!strncmp(was, c->backend, base) && (was[base] == '=' || !was[base])) snprintf(c->backend, sizeof c->backend, "%s", was);
    }
    sqlite3_finalize(stmt);
    return st;
}

static ot_status compare_build(campaign *c)
{
    sqlite3_stmt *stmt;
    int more;
    list l = {0};
    const char *const names[] = {"build", "compiler", "backend", "libraries"},
                     *const values[] = {ot__build_commit(), ot__build_compiler(), c->backend, c->libraries};
    OT_TRY(ot__store_ask(&stmt, c->store,
                         "SELECT DISTINCT build, compiler, backend, libraries, draw_version FROM run_info WHERE id IN (SELECT run FROM chip)"
                         " OR id = (SELECT min(id) FROM run_info)", ""));
    ot_status st = ot__store_next(c->store, stmt, &more);
    for (; st == OT_OK && more && !l.n; st = ot__store_next(c->store, stmt, &more)) {
        for (int i = 0; i < 4; i++) {
            const char *was = ot__store_text(stmt, i);
            if (strcmp(was, values[i])) differ(&l, names[i], was, values[i]);
        }
        if (sqlite3_column_int(stmt, 4) != OT_DRAW_VERSION) differ(&l, "draw_version", ot__store_text(stmt, 4), "another");
    }
    sqlite3_finalize(stmt);
    OT_TRY(st);
    if (l.n && !c->how->mixed)
        OT_FAIL(OT_E_MISMATCH, "%s: was begun by another build or machine: %s; want the same one, or --mixed to mix results", ot__store_path(c->store),
                l.text);
    return OT_OK;
}

static ot_status put(campaign *c, const char *key, const char *value, const char *role)
{
    return ot__store_do(c->store, "INSERT OR REPLACE INTO spec VALUES (?1, ?2, ?3)", "ttt", key, value, role);
}

/* Casebook chips tuned by the others by their answers to a stimulus that is no longer the one: to be done again. */
static ot_status forget_cross(campaign *c)
{
    static const char *const rows[] = {
        "DELETE FROM signature WHERE chip IN (SELECT chip FROM casebook) AND knobs <> 'untuned' AND knobs NOT IN (SELECT tuner FROM casebook)",
        "DELETE FROM moments WHERE chip IN (SELECT chip FROM casebook) AND knobs NOT IN ('untuned', 'matching') AND knobs NOT IN (SELECT tuner FROM casebook)",
        "DELETE FROM measurement WHERE chip IN (SELECT chip FROM casebook) AND knobs <> 'untuned' AND replace(knobs, '" UNROUNDED "', '') NOT IN (SELECT tuner FROM casebook)",
        "DELETE FROM tuning WHERE chip IN (SELECT chip FROM casebook) AND tuner NOT IN (SELECT tuner FROM casebook)",
    };
    char *was;
    OT_TRY(stored(&was, c->store, "stimulus"));
    int same = !strcmp(was ? was : "random", c->spec->stimulus);
    ot_free(was);
    for (size_t i = 0; !same && i < sizeof rows / sizeof *rows; i++) OT_TRY(ot__store_do(c->store, rows[i], ""));
    return OT_OK;
}

static ot_status write_spec(campaign *c)
{
    static const char *const roles[] = {[SPEC_FIXED] = "fixed", [SPEC_GROWS] = "grows", [SPEC_PLACE] = "place", [SPEC_CHOICE] = "choice"};
    char value[SPEC_VALUE], hex[65], *yaml;
    ot_sha256 sha;
    OT_TRY(forget_cross(c));
    ot__sha256_start(&sha);
    for (int i = 0; i < ot__spec_keys(); i++) {
        const spec_key *k = ot__spec_key(i);
        ot__spec_value(value, c->spec, k);
        OT_TRY(put(c, k->name, value, roles[k->role]));
        if (k->role != SPEC_FIXED || ot__spec_later(k, value) > 1) continue;               /* the hash of older campaigns stays what it was */
        ot__sha256_add(&sha, k->name, strlen(k->name) + 1);
        ot__sha256_add(&sha, value, strlen(value) + 1);
    }
    const char *const files[][2] = {{"network.sha256", c->network_sha}, {"train.sha256", c->train_sha}, {"test.sha256", c->test_sha},
                                    {"device.sha256", c->device_sha}};
    for (int i = 0; i < 4; i++) {
        OT_TRY(put(c, files[i][0], files[i][1], "fixed"));
        ot__sha256_add(&sha, files[i][1], 65);
    }
    ot__sha256_end(&sha, hex);
    OT_TRY(put(c, "knobs", ot_knob_kind_name(!ot_network_spikes(c->net) ? OT_KNOBS_GAIN_OFFSET : ot_network_once(c->net) ? OT_KNOBS_GAIN : OT_KNOBS_THRESHOLD), "derived"));
    OT_TRY(put(c, "sha256", hex, "derived"));                  /* of all that decides results */
    OT_TRY(ot_campaign_spec_text(&yaml, c->spec));
    ot_status st = put(c, "yaml", yaml, "derived");
    ot_free(yaml);
    return st;
}

static ot_status begin_run(campaign *c)
{
    char when[32], host[128] = "?";
    gethostname(host, sizeof host - 1);
    OT_TRY(ot__store_do(c->store,
                        "INSERT INTO run_info (started, host, pid, threads, memory, version, build, compiler, backend, libraries, draw_version)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", "ttiiittttti", now(when), host, (int64_t)getpid(),
                        (int64_t)c->need.in_flight, (int64_t)c->how->memory, OT_VERSION, ot__build_commit(), ot__build_compiler(), c->backend,
                        c->libraries, (int64_t)OT_DRAW_VERSION));
    c->run = sqlite3_last_insert_rowid(ot__store_db(c->store));
    return OT_OK;
}

ot_status campaign__continue(campaign *c, int is_new)
{
    int64_t keys = 0;
    if (!is_new) OT_TRY(ot__store_int(&keys, c->store, 0, "SELECT count(*) FROM spec", ""));
    if (keys) {
        OT_TRY(compare_spec(c));
        OT_TRY(compare_build(c));
    }
    OT_TRY(ot__store_begin(c->store));
    ot_status st = write_spec(c);
    return ot__store_end(c->store, st == OT_OK ? begin_run(c) : st);
}

ot_status campaign__finish(campaign *c, ot_status st)
{
    char when[32], sentence[1024];
    snprintf(sentence, sizeof sentence, "%s", ot_last_error());
    ot_status wrote = ot__store_do(c->store, "UPDATE run_info SET ended = ?1, outcome = ?2 WHERE id = ?3", "tti", now(when), ot_status_text(st), c->run);
    if (st == OT_OK) return wrote;
    return ot__fail(st, __FILE__, __LINE__, "%s", sentence);
}

static ot_status ideal_rows(campaign *c, int64_t correct, const uint8_t *bits)
{
    OT_TRY(ot__store_do(c->store, "INSERT INTO ideal VALUES (0, ?1, ?2, ?3)", "iib", (int64_t)c->test->n, correct, (const void *)bits, c->n_bits));
    for (int i = 0; i < c->spec->stimulus_images; i++)
        OT_TRY(ot__store_do(c->store, "INSERT INTO stimulus VALUES (0, ?1, ?2)", "ii", (int64_t)i, (int64_t)c->stimulus[i]));
    return OT_OK;
}

ot_status campaign__write_ideal(campaign *c, int64_t correct, const uint8_t *bits)
{
    OT_TRY(ot__store_begin(c->store));
    return ot__store_end(c->store, ideal_rows(c, correct, bits));
}

static ot_status write_measurement(campaign *c, int64_t chip, const char *knobs, int64_t correct, const uint8_t *bits)
{
    return ot__store_do(c->store, "INSERT INTO measurement VALUES (?1, ?2, ?3, ?4, ?5)", "itiib", chip, knobs, (int64_t)c->test->n, correct,
                        (const void *)bits, c->n_bits);
}

static ot_status write_tuned(campaign *c, int64_t chip, const tuned *u)
{
    size_t n = (size_t)c->n_relus * sizeof(float);
    const char *name = ot_tuner_name(u->tuner);
    char unrounded[64];
    snprintf(unrounded, sizeof unrounded, "%s" UNROUNDED, name);
    OT_TRY(write_measurement(c, chip, name, u->correct, u->bits));
    if (c->ladder.bits) OT_TRY(write_measurement(c, chip, unrounded, u->unrounded, u->unrounded_bits));
    return ot__store_do(c->store, "INSERT INTO tuning VALUES (?1, ?2, ?3, ?4, nullif(?5, -1), ?6, ?7, ?8, ?9, ?10, ?11)", "itbbiiiiiid", chip, name,
                        (const void *)u->gain, n, (const void *)u->offset, n, (int64_t)u->nearest, u->cost.images_forward,
                        u->cost.images_backward, (int64_t)u->cost.steps, (int64_t)u->cost.projected, (int64_t)u->cost.nan_restores,
                        u->cost.seconds);
}

static ot_status chip_rows(campaign *c, const result *r)
{
    int64_t chip = r->job.chip;
    if (r->job.fresh)
        OT_TRY(ot__store_do(c->store, "INSERT INTO chip VALUES (?1, ?2, ?3, ?4, ?5, ?6)", "itditi", chip, role_names[r->role], r->delta_sys,
                            (int64_t)r->hash, r->failure[0] ? r->failure : (const char *)NULL, c->run));
    if (r->failure[0]) return OT_OK;
    if (r->job.fresh) {
        OT_TRY(write_measurement(c, chip, UNTUNED, r->correct, r->bits));
        OT_TRY(ot__store_do(c->store, "INSERT INTO signature VALUES (?1, ?2, ?3, ?4)", "iitb", chip, c->main->id, UNTUNED, (const void *)r->signature,
                            (size_t)c->n_signature * sizeof(float)));
    }
    for (int t = 0; t < r->n_tuned; t++) OT_TRY(write_tuned(c, chip, &r->tuned[t]));
    if (r->role == JOB_CASEBOOK)
        OT_TRY(ot__store_do(c->store, "INSERT INTO casebook VALUES (?1, ?2)", "it", chip, ot_tuner_name(OT_TUNER_EXHAUSTIVE)));
    return OT_OK;
}

ot_status campaign__write(campaign *c, const result *r)
{
    OT_TRY(ot__store_begin(c->store));
    return ot__store_end(c->store, chip_rows(c, r));
}

/* Every chip of the role, with the tuners it still lacks; those that lack none are left out. */
ot_status campaign__jobs(job **out, int *n, campaign *c, job_role role)
{
    const ot_campaign_spec *s = c->spec;
    int first = role == JOB_EVALUATE ? s->casebook_chips : 0, count = role == JOB_EVALUATE ? s->chips : s->casebook_chips, left = 0, more;
    unsigned want = 1u << OT_TUNER_EXHAUSTIVE;
    sqlite3_stmt *stmt = NULL;
    ot_status st = OT_OK;
    job *jobs = ot_alloc((size_t)count, sizeof *jobs);
    if (!jobs) OT_NOMEM("chips", (size_t)count * sizeof *jobs);
    if (role == JOB_CROSS) want = campaign__menders(s);
    if (role == JOB_EVALUATE) {
        want = 0;
        for (int t = 0; t < s->n_tuners; t++) want |= 1u << s->tuners[t];
    }
    for (int i = 0; i < count; i++) jobs[i] = (job){.chip = (uint32_t)(first + i), .tuners = want, .fresh = 1};
    OT_TRY_TO(done, st, ot__store_ask(&stmt, c->store,
                                      "SELECT c.number, t.tuner, c.failure IS NOT NULL FROM chip c LEFT JOIN tuning t ON t.chip = c.number"
                                      " WHERE c.number >= ?1 AND c.number < ?2", "ii", (int64_t)first, (int64_t)first + count));
    OT_TRY_TO(done, st, ot__store_next(c->store, stmt, &more));
    while (more) {
        job *j = &jobs[sqlite3_column_int64(stmt, 0) - first];
        ot_tuner t;
        j->fresh = 0;
        if (sqlite3_column_int(stmt, 2)) j->tuners = 0;
        else if (sqlite3_column_type(stmt, 1) != SQLITE_NULL) {
            OT_TRY_TO(done, st, ot_tuner_parse(&t, ot__store_text(stmt, 1)));
            j->tuners &= ~(1u << t);
        }
        OT_TRY_TO(done, st, ot__store_next(c->store, stmt, &more));
    }
    for (int i = 0; i < count; i++)
        if ((jobs[i].fresh || jobs[i].tuners) && (role != JOB_CROSS || (int)jobs[i].chip % FOLDS == c->fold)) jobs[left++] = jobs[i];
done:
    sqlite3_finalize(stmt);
    if (st != OT_OK) {
        ot_free(jobs);
        return st;
    }
    *out = jobs;
    *n = left;
    return OT_OK;
}

static int take_blob(float *out, sqlite3_stmt *stmt, int column, size_t n)
{
    if ((size_t)sqlite3_column_bytes(stmt, column) != n * sizeof *out) return 0;
    memcpy(out, sqlite3_column_blob(stmt, column), n * sizeof *out);
    return 1;
}

unsigned campaign__menders(const ot_campaign_spec *spec)
{
    unsigned bits = 0;
    for (int m = 0; m < OT_MENDERS; m++)
        if (ot__spec_has_tuner(spec, ot_mender_tuner((ot_mender)m))) bits |= 1u << ot_mender_tuner((ot_mender)m);
    return bits;
}

/* Rows in chip order, so that the casebook does not depend on which chip was finished first. */
ot_status campaign__read_casebook(campaign *c, int without)
{
    size_t most = (size_t)c->spec->casebook_chips, s = (size_t)ot_layout_length(&c->looks), l = (size_t)c->n_relus, n = 0;
    sqlite3_stmt *stmt = NULL;
    ot_status st = OT_OK;
    int more;
    ot_casebook_free(c->casebook);
    ot_free(c->casebook_chip);
    c->casebook = NULL;
    c->casebook_chip = ot_alloc(most, sizeof *c->casebook_chip);
    float *full = ot_alloc((size_t)c->n_signature, sizeof *full), *signature = ot_alloc(most * s, sizeof(float)), *gain = ot_alloc(most * l, sizeof(float)), *offset = ot_alloc(most * l, sizeof(float));
    if (!full || !signature || !gain || !offset || !c->casebook_chip) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for a casebook of %zu chips", most);
    OT_TRY_TO(done, st, ot__store_ask(&stmt, c->store,
                                      "SELECT s.value, t.gain, t.offset, b.chip FROM casebook b JOIN signature s ON s.chip = b.chip AND"
                                      " s.stimulus = ?1 AND s.knobs = 'untuned' JOIN tuning t ON t.chip = b.chip AND t.tuner = b.tuner"
                                      " WHERE b.chip % ?2 <> ?3 ORDER BY b.chip", "iii", c->main->id, (int64_t)FOLDS, (int64_t)without));
    OT_TRY_TO(done, st, ot__store_next(c->store, stmt, &more));
    for (; more && n < most; n++) {
        if (!take_blob(full, stmt, 0, (size_t)c->n_signature) || !take_blob(gain + n * l, stmt, 1, l) || !take_blob(offset + n * l, stmt, 2, l))
            OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: casebook chip %d: signature or knobs of another length, want %zu and %zu numbers",
                       ot__store_path(c->store), sqlite3_column_int(stmt, 3), (size_t)c->n_signature, l);
        ot__answers_arrange(signature + n * s, &c->looks, full, NULL);
        c->casebook_chip[n] = (uint32_t)sqlite3_column_int64(stmt, 3);
        OT_TRY_TO(done, st, ot__store_next(c->store, stmt, &more));
    }
    st = ot_casebook_make(&c->casebook, signature, gain, offset, (int)n, (int)s, (int)l, 0);
done:
    sqlite3_finalize(stmt);
    ot_free(offset);
    ot_free(gain);
    ot_free(signature);
    ot_free(full);
    return st;
}

/* summary.c - from rows to yields: which chips are good at a threshold, untuned and with each tuner, and what that cost (DESIGN 4.17).
 *
 * All tuners ran on every evaluation chip, so every threshold and every rule is computed afterwards from the same rows.  Here the
 * rule is the oracle: it knows each chip's untuned accuracy.  Accuracies are compared as right answers, so that a chip exactly at
 * the threshold is good whatever the rounding. */
#include "base/fail.h"
#include "campaign/statistics.h"
#include "campaign/store.h"

#include <math.h>
#include <string.h>

void ot_campaign_results_free(ot_campaign_results *r)
{
    if (!r) return;
    ot_free(r->seconds);
    ot_free(r->backward);
    ot_free(r->forward);
    ot_free(r->unrounded);
    ot_free(r->tuned);
    ot_free(r->untuned);
    ot_free(r->delta_sys);
    ot_free(r->chip);
    ot_free(r);
}

ot_status ot__store_spec(ot_campaign_spec *spec, ot_store *s)
{
    sqlite3_stmt *stmt;
    int more;
    ot_campaign_spec_defaults(spec);
    OT_TRY(ot__store_ask(&stmt, s, "SELECT key, value FROM spec WHERE role IN ('fixed', 'grows', 'place', 'choice') AND key NOT LIKE '%.sha256'", ""));
    ot_status st = ot__store_next(s, stmt, &more);
    while (st == OT_OK && more) {
        st = ot_campaign_spec_set(spec, ot__store_text(stmt, 0), ot__store_text(stmt, 1));
        if (st != OT_OK) ot__fail_prefix(st = OT_E_FORMAT, "%s: table spec: ", ot__store_path(s));
        else st = ot__store_next(s, stmt, &more);
    }
    sqlite3_finalize(stmt);
    return st;
}

ot_status ot_campaign_spec_stored(ot_campaign_spec *spec, const char *db_path)
{
    ot_store *s;
    OT_TRY(ot__store_open(&s, db_path));
    ot_status st = ot__store_spec(spec, s);
    ot__store_close(s);
    return st;
}

ot_status ot_campaign_spec_hash(char hex[65], const char *db_path)
{
    ot_store     *s;
    sqlite3_stmt *stmt;
    int           more = 0;
    OT_TRY(ot__store_open(&s, db_path));
    ot_status st = ot__store_ask(&stmt, s, "SELECT value FROM spec WHERE key = 'sha256'", "");
    if (st == OT_OK) {
        st = ot__store_next(s, stmt, &more);
        if (st == OT_OK && (!more || strlen(ot__store_text(stmt, 0)) != 64)) st = ot__fail(OT_E_FORMAT, __FILE__, __LINE__, "%s: no hash of its spec", db_path);
        if (st == OT_OK) memcpy(hex, ot__store_text(stmt, 0), 65);
        sqlite3_finalize(stmt);
    }
    ot__store_close(s);
    return st;
}

static ot_status read_counts(ot_campaign_results *r, ot_store *s)
{
    ot_campaign_spec spec;
    OT_TRY(ot__store_spec(&spec, s));
    r->casebook_chips = spec.casebook_chips;
    r->evaluate_chips = spec.chips;
    r->n_tuners = spec.n_tuners;
    memcpy(r->tuners, spec.tuners, sizeof r->tuners);
    const struct { int *out; const char *sql; } rows[] = {
        {&r->casebook_done, "SELECT done FROM progress WHERE role = 'casebook'"},
        {&r->evaluate_done, "SELECT done FROM progress WHERE role = 'evaluate'"},
        {&r->failed, "SELECT sum(failed) FROM progress"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t v;
        OT_TRY(ot__store_int(&v, s, 0, rows[i].sql, ""));
        *rows[i].out = (int)v;
    }
    r->chips = r->casebook_chips + r->evaluate_chips;
    OT_TRY(ot__store_int(&r->images, s, 0, "SELECT images FROM ideal", ""));
    return ot__store_int(&r->ideal, s, 0, "SELECT correct FROM ideal", "");
}

/* A chip counts once every tuner of the campaign has run on it, or if it failed. */
static ot_status read_chips(ot_campaign_results *r, ot_store *s)
{
    sqlite3_stmt *stmt;
    int more;
    OT_TRY(ot__store_ask(&stmt, s,
                         "SELECT c.number, c.delta_sys, coalesce(m.correct, 0) FROM chip c LEFT JOIN measurement m ON m.chip = c.number AND"
                         " m.knobs = 'untuned' WHERE c.role = 'evaluate' AND (c.failure IS NOT NULL OR"
                         " (SELECT count(*) FROM tuning t WHERE t.chip = c.number) >= ?1) ORDER BY c.number", "i", (int64_t)r->n_tuners));
    ot_status st = ot__store_next(s, stmt, &more);
    for (; st == OT_OK && more && r->n < r->evaluate_done; st = ot__store_next(s, stmt, &more)) {
        r->chip[r->n] = (uint32_t)sqlite3_column_int64(stmt, 0);
        r->delta_sys[r->n] = sqlite3_column_double(stmt, 1);
        r->untuned[r->n++] = sqlite3_column_int64(stmt, 2);
    }
    sqlite3_finalize(stmt);
    r->evaluate_done = r->n;                                   /* those that a new tuner still has to visit are not done */
    r->done = r->casebook_done + r->evaluate_done;
    return st;
}

static ot_status read_tunings(ot_campaign_results *r, ot_store *s, int tuner, int *any)
{
    sqlite3_stmt *stmt;
    int more, i = 0, rounds = 0;
    OT_TRY(ot__store_ask(&stmt, s,
                         "SELECT t.chip, m.correct, t.images_forward, t.images_backward, t.seconds, u.correct FROM tuning t JOIN chip c ON"
                         " c.number = t.chip AND c.role = 'evaluate' JOIN measurement m ON m.chip = t.chip AND m.knobs = t.tuner"
                         " LEFT JOIN measurement u ON u.chip = t.chip AND u.knobs = t.tuner || ' unrounded'"
                         " WHERE t.tuner = ?1 ORDER BY t.chip", "t", ot_tuner_name(r->tuners[tuner])));
    ot_status st = ot__store_next(s, stmt, &more);
    for (; st == OT_OK && more; st = ot__store_next(s, stmt, &more)) {
        int64_t chip = sqlite3_column_int64(stmt, 0);
        while (i < r->n && r->chip[i] < chip) i++;
        if (i == r->n || r->chip[i] != chip) continue;
        size_t at = (size_t)i * (size_t)r->n_tuners + (size_t)tuner;
        r->tuned[at] = sqlite3_column_int64(stmt, 1);
        r->forward[at] = sqlite3_column_int64(stmt, 2);
        r->backward[at] = sqlite3_column_int64(stmt, 3);
        r->seconds[at] = sqlite3_column_double(stmt, 4);
        r->unrounded[at] = sqlite3_column_int64(stmt, 5);
        rounds |= sqlite3_column_type(stmt, 5) != SQLITE_NULL;
    }
    sqlite3_finalize(stmt);
    *any |= rounds;
    return st;
}

ot_status ot_campaign_results_read(ot_campaign_results **out, const char *db_path)
{
    ot_store *s = NULL;
    ot_status st = OT_OK;
    ot_campaign_results *r = ot_alloc(1, sizeof *r);
    if (!r) OT_NOMEM(db_path, sizeof *r);
    OT_TRY_TO(done, st, ot__store_open(&s, db_path));
    OT_TRY_TO(done, st, ot__store_do(s, "BEGIN", ""));         /* one view of the file while a run writes */
    OT_TRY_TO(done, st, read_counts(r, s));
    size_t n = (size_t)r->evaluate_done, nt = n * (size_t)r->n_tuners;
    r->chip = ot_alloc(n, sizeof *r->chip);
    r->delta_sys = ot_alloc(n, sizeof *r->delta_sys);
    r->untuned = ot_alloc(n, sizeof *r->untuned);
    r->tuned = ot_alloc(nt, sizeof *r->tuned);
    r->unrounded = ot_alloc(nt, sizeof *r->unrounded);
    r->forward = ot_alloc(nt, sizeof *r->forward);
    r->backward = ot_alloc(nt, sizeof *r->backward);
    r->seconds = ot_alloc(nt, sizeof *r->seconds);
    if (!r->chip || !r->delta_sys || !r->untuned || !r->tuned || !r->unrounded || !r->forward || !r->backward || !r->seconds)
        OT_FAIL_TO(done, st, OT_E_NOMEM, "%s: no memory for the results of %zu chips", db_path, n);
    OT_TRY_TO(done, st, read_chips(r, s));
    int rounds = 0;
    for (int t = 0; t < r->n_tuners; t++) OT_TRY_TO(done, st, read_tunings(r, s, t, &rounds));
    if (!rounds) {
        ot_free(r->unrounded);
        r->unrounded = NULL;
    }
done:
    ot__store_close(s);
    if (st != OT_OK) {
        ot_campaign_results_free(r);
        return st;
    }
    *out = r;
    return OT_OK;
}

/* Right answers wanted at `drop`: at least as many as the ideal's less drop. */
static int64_t wanted(const ot_campaign_results *r, double drop)
{
    return (int64_t)ceil((double)r->ideal - drop * (double)r->images - 1e-6);
}

/* Right answers of chip i in the end, with entry e (0: untuned, 1 + t: tuner t where the rule flags it). */
static int64_t final(const ot_campaign_results *r, int i, int e, int64_t want)
{
    if (e == 0 || r->untuned[i] >= want) return r->untuned[i];
    return r->tuned[(size_t)i * (size_t)r->n_tuners + (size_t)(e - 1)];
}

void ot_campaign_yield(ot_yield *out, const ot_campaign_results *r, double drop)
{
    int64_t want = wanted(r, drop);
    *out = (ot_yield){.drop = drop, .threshold = r->images ? (double)r->ideal / (double)r->images - drop : NAN, .chips = r->n};
    for (int i = 0; i < r->n; i++) out->flagged += r->untuned[i] < want;
    for (int e = 0; e <= r->n_tuners; e++) {
        int64_t good = 0, correct = 0;
        double images = 0, seconds = 0;
        for (int i = 0; i < r->n; i++) {
            int64_t c = final(r, i, e, want);
            size_t at = (size_t)i * (size_t)r->n_tuners + (size_t)(e - 1);
            good += c >= want;
            correct += c;
            if (e && r->untuned[i] < want) images += (double)r->forward[at], seconds += r->seconds[at];
        }
        out->yield[e] = ot_wilson(good, r->n);
        out->accuracy[e] = r->n && r->images ? (double)correct / ((double)r->n * (double)r->images) : NAN;
        out->images[e] = out->flagged ? images / out->flagged : NAN;
        out->seconds[e] = out->flagged ? seconds / out->flagged : NAN;
    }
}

void ot_campaign_recovery(ot_recovery *out, const ot_campaign_results *r, double drop)
{
    const int64_t want = wanted(r, drop);
    *out = (ot_recovery){.drop = drop};
    for (int e = 0; e <= r->n_tuners; e++)
        for (int i = 0; i < r->n; i++) out->bad[e] += final(r, i, e, want) < want;
    for (int e = 0; e <= r->n_tuners; e++) out->recovered[e] = out->bad[0] ? ot_wilson(out->bad[0] - out->bad[e], out->bad[0]) : (ot_rate){NAN, NAN, NAN};
}

ot_status ot_campaign_compare(ot_paired *out, const ot_campaign_results *r, int a, int b, double drop)
{
    if (a < 0 || b < 0 || a > r->n_tuners || b > r->n_tuners)
        OT_FAIL(OT_E_RANGE, "entries %d and %d, want 0..%d (0: untuned)", a, b, r->n_tuners);
    int64_t want = wanted(r, drop);
    double *difference = ot_alloc((size_t)r->n, sizeof *difference);
    if (!difference) OT_NOMEM("differences", (size_t)r->n * sizeof *difference);
    *out = (ot_paired){0};
    for (int i = 0; i < r->n; i++) {
        int64_t x = final(r, i, a, want), y = final(r, i, b, want);
        out->only_a += x >= want && y < want;
        out->only_b += y >= want && x < want;
        difference[i] = (double)(x - y) / (double)(r->images ? r->images : 1);
    }
    out->p = ot_mcnemar(out->only_a, out->only_b);
    ot_status st = ot__bootstrap(&out->difference, difference, r->n);
    ot_free(difference);
    return st;
}

/* export.c - a campaign's tables as CSV files, its arrays as one npz. */
#include "base/fail.h"
#include "base/file.h"
#include "campaign/store.h"
#include "campaign/text.h"
#include "ohmtrim/array.h"
#include "ohmtrim/campaign.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static ot_status add_quoted(ot_text *t, const char *value)
{
    OT_TRY(ot__text_add(t, "\""));
    for (; *value; value++) OT_TRY(ot__text_add(t, *value == '"' ? "\"\"" : "%c", *value));
    return ot__text_add(t, "\"");
}

/* Blobs of floats as numbers with a space between; nine digits give a float back. */
static ot_status add_floats(ot_text *t, sqlite3_stmt *stmt, int i)
{
    const char *bytes = sqlite3_column_blob(stmt, i);
    size_t n = (size_t)sqlite3_column_bytes(stmt, i) / sizeof(float);
    for (size_t k = 0; k < n; k++) {
        float v;
        memcpy(&v, bytes + k * sizeof v, sizeof v);
        OT_TRY(ot__text_add(t, "%s%.9g", k ? " " : "", (double)v));
    }
    return OT_OK;
}

static ot_status write_query(ot_store *s, const char *path, const char *sql)
{
    sqlite3_stmt *stmt;
    ot_text t = {0};
    int more;
    OT_TRY(ot__store_ask(&stmt, s, sql, ""));
    int columns = sqlite3_column_count(stmt);
    ot_status st = OT_OK;
    for (int i = 0; st == OT_OK && i < columns; i++) st = ot__text_add(&t, "%s%s", i ? "," : "", sqlite3_column_name(stmt, i));
    if (st == OT_OK) st = ot__text_add(&t, "\n");
    if (st == OT_OK) st = ot__store_next(s, stmt, &more);
    while (st == OT_OK && more) {
        for (int i = 0; st == OT_OK && i < columns; i++) {
            if (i) st = ot__text_add(&t, ",");
            if (st != OT_OK) break;
            switch (sqlite3_column_type(stmt, i)) {
            case SQLITE_INTEGER: st = ot__text_add(&t, "%lld", (long long)sqlite3_column_int64(stmt, i)); break;
            case SQLITE_FLOAT: st = ot__text_add(&t, "%.17g", sqlite3_column_double(stmt, i)); break;
            case SQLITE_TEXT: st = add_quoted(&t, ot__store_text(stmt, i)); break;
            case SQLITE_BLOB: st = add_floats(&t, stmt, i); break;
            default: break;                                          /* NULL: an empty field */
            }
        }
        if (st == OT_OK) st = ot__text_add(&t, "\n");
        if (st == OT_OK) st = ot__store_next(s, stmt, &more);
    }
    sqlite3_finalize(stmt);
    if (st == OT_OK) st = ot__file_write(path, t.bytes, t.n);
    ot_free(t.bytes);
    return st;
}

static ot_status write_summary(const char *db_path, const char *path)
{
    ot_campaign_results *r;
    ot_text t = {0};
    OT_TRY(ot_campaign_results_read(&r, db_path));
    ot_status st = ot__text_add(&t, "drop,rule,threshold,flagged,knobs,yield,low,high,accuracy,images_per_flagged_chip,seconds_per_flagged_chip\n");
    for (int d = 0; d <= 80 && r->n; d++) {
        ot_yield y;
        ot_campaign_yield(&y, r, d * 0.0025);
        for (int e = 0; e <= r->n_tuners && st == OT_OK; e++) {
            st = ot__text_add(&t, "%g,oracle,%.9g,%d,%s,%.9g,%.9g,%.9g,%.9g,", y.drop, y.threshold, y.flagged, e ? ot_tuner_name(r->tuners[e - 1]) : "untuned",
                     y.yield[e].value, y.yield[e].low, y.yield[e].high, y.accuracy[e]);
            if (st == OT_OK) st = e && y.flagged ? ot__text_add(&t, "%.9g,%.9g\n", y.images[e], y.seconds[e]) : ot__text_add(&t, ",\n");
        }
    }
    if (st == OT_OK) st = ot__file_write(path, t.bytes, t.n);
    ot_free(t.bytes);
    ot_campaign_results_free(r);
    return st;
}

ot_status ot_campaign_export_csv(const char *db_path, const char *dir)
{
    static const char *const tables[][2] = {
        {"run_info", "SELECT * FROM run_info"},
        {"spec", "SELECT * FROM spec ORDER BY key"},
        {"chip", "SELECT number, role, delta_sys, printf('%016x', hash) AS hash, failure FROM chip ORDER BY number"},
        {"stimulus", "SELECT * FROM stimulus ORDER BY id, position"},
        {"signature", "SELECT * FROM signature ORDER BY chip, stimulus, knobs"},
        {"measurement", "SELECT chip, role, delta_sys, knobs, correct, images, accuracy FROM chip_accuracy ORDER BY chip, knobs"},
        {"tuning", "SELECT * FROM tuning ORDER BY chip, tuner"},
        {"casebook", "SELECT * FROM casebook ORDER BY chip"},
    };
    char path[4200];
    ot_store *s;
    OT_TRY(ot__store_open(&s, db_path));
    ot_status st = OT_OK;
    if (mkdir(dir, 0777) && errno != EEXIST) st = ot__fail(OT_E_WRITE, __FILE__, __LINE__, "%s: %s", dir, strerror(errno));
    if (st == OT_OK) st = ot__store_do(s, "BEGIN", "");
    for (size_t i = 0; st == OT_OK && i < sizeof tables / sizeof *tables; i++) {
        snprintf(path, sizeof path, "%.4000s/%s.csv", dir, tables[i][0]);
        st = write_query(s, path, tables[i][1]);
    }
    ot__store_close(s);
    snprintf(path, sizeof path, "%.4000s/summary.csv", dir);
    return st == OT_OK ? write_summary(db_path, path) : st;
}

/* One array from a query of one column: (rows) numbers, or (rows, n) floats where it is a blob.  `tuner` (may be NULL) is ?1. */
static ot_status add_array(ot_npz_writer *z, ot_store *s, const char *name, ot_type type, const char *sql, const char *tuner)
{
    sqlite3_stmt *stmt;
    int more;
    int64_t rows = 0, width = -1;
    ot_text t = {0};
    OT_TRY(ot__store_ask(&stmt, s, sql, tuner ? "t" : "", tuner));
    ot_status st = ot__store_next(s, stmt, &more);
    for (; st == OT_OK && more; rows++) {
        int64_t i64 = sqlite3_column_int64(stmt, 0);
        double f64 = sqlite3_column_double(stmt, 0);
        const void *bytes = type == OT_I64 ? (const void *)&i64 : type == OT_F64 ? (const void *)&f64 : sqlite3_column_blob(stmt, 0);
        int64_t n = type == OT_F32 ? sqlite3_column_bytes(stmt, 0) : 8;
        if (width >= 0 && n != width) OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: %s: row %lld has %lld bytes, want %lld", ot__store_path(s), name,
                                                 (long long)rows, (long long)n, (long long)width);
        width = n;
        OT_TRY_TO(done, st, ot__text_bytes(&t, bytes, (size_t)n));
        st = ot__store_next(s, stmt, &more);
    }
    if (st == OT_OK) {
        const int64_t dims[2] = {rows, width < 0 ? 0 : width / 4};
        st = ot_npz_add(z, name, type, type == OT_F32 ? 2 : 1, dims, t.bytes ? (const void *)t.bytes : "");
    }
done:
    sqlite3_finalize(stmt);
    ot_free(t.bytes);
    return st;
}

#define OF_CASEBOOK(column) "SELECT t." column " FROM casebook b JOIN tuning t ON t.chip = b.chip AND t.tuner = b.tuner ORDER BY b.chip"
#define OF_EVALUATION " JOIN chip c ON c.number = x.chip AND c.role = 'evaluate' WHERE "

static ot_status add_arrays(ot_npz_writer *z, ot_store *s, const ot_campaign_results *r)
{
    static const struct { const char *name; ot_type type; const char *sql; } arrays[] = {
        {"stimulus", OT_I64, "SELECT image FROM stimulus WHERE id = 0 ORDER BY position"},
        {"chip", OT_I64, "SELECT chip FROM casebook ORDER BY chip"},
        {"signature", OT_F32, "SELECT s.value FROM casebook b JOIN signature s ON s.chip = b.chip AND s.stimulus = 0 AND s.knobs = 'untuned' ORDER BY b.chip"},
        {"gain", OT_F32, OF_CASEBOOK("gain")},
        {"offset", OT_F32, OF_CASEBOOK("offset")},
        {"evaluate_chip", OT_I64, "SELECT number FROM chip WHERE role = 'evaluate' AND failure IS NULL ORDER BY number"},
        {"evaluate_delta_sys", OT_F64, "SELECT delta_sys FROM chip WHERE role = 'evaluate' AND failure IS NULL ORDER BY number"},
        {"evaluate_signature", OT_F32, "SELECT value FROM signature x" OF_EVALUATION "knobs = 'untuned' ORDER BY chip"},
        {"evaluate_correct_untuned", OT_I64, "SELECT correct FROM measurement x" OF_EVALUATION "knobs = 'untuned' ORDER BY chip"},
    };
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) OT_TRY(add_array(z, s, arrays[i].name, arrays[i].type, arrays[i].sql, NULL));
    for (int t = 0; t < r->n_tuners; t++) {
        static const struct { const char *what; ot_type type; const char *sql; } of_tuner[] = {
            {"correct", OT_I64, "SELECT correct FROM measurement x" OF_EVALUATION "knobs = ?1 ORDER BY chip"},
            {"gain", OT_F32, "SELECT gain FROM tuning x" OF_EVALUATION "tuner = ?1 ORDER BY chip"},
            {"offset", OT_F32, "SELECT offset FROM tuning x" OF_EVALUATION "tuner = ?1 ORDER BY chip"},
        };
        for (int k = 0; k < 3; k++) {
            char name[64];
            snprintf(name, sizeof name, "evaluate_%s_%s", of_tuner[k].what, ot_tuner_name(r->tuners[t]));
            OT_TRY(add_array(z, s, name, of_tuner[k].type, of_tuner[k].sql, ot_tuner_name(r->tuners[t])));
        }
    }
    const int64_t two[1] = {2}, values[2] = {r->ideal, r->images};
    return ot_npz_add(z, "ideal_correct_of", OT_I64, 1, two, values);
}

ot_status ot_campaign_export_npz(const char *db_path, const char *path)
{
    ot_campaign_results *r = NULL;
    ot_store *s = NULL;
    ot_npz_writer *z = NULL;
    ot_status st;
    OT_TRY_TO(done, st, ot_campaign_results_read(&r, db_path));
    OT_TRY_TO(done, st, ot__store_open(&s, db_path));
    OT_TRY_TO(done, st, ot__store_do(s, "BEGIN", ""));
    OT_TRY_TO(done, st, ot_npz_create(&z, path));
    OT_TRY_TO(done, st, add_arrays(z, s, r));
    st = ot_npz_finish(z);
    z = NULL;
done:
    ot_npz_abandon(z);
    ot__store_close(s);
    ot_campaign_results_free(r);
    return st;
}

/* export.c - a campaign's tables as CSV files. */
#include "base/fail.h"
#include "base/file.h"
#include "campaign/store.h"
#include "campaign/text.h"
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
        {"stimulus", "SELECT t.name, s.*, i.what FROM stimulus s JOIN stimulus_set t ON t.id = s.id LEFT JOIN stimulus_image i ON i.id = s.id AND"
                     " i.position = s.position ORDER BY s.id, s.position"},
        {"signature", "SELECT * FROM signature ORDER BY chip, stimulus, knobs"},
        {"moments", "SELECT * FROM moments ORDER BY chip, stimulus, knobs"},
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

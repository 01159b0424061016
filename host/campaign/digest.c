/* digest.c - one number for all results: SHA-256 over every result row in key order (DESIGN 4.8).
 *
 * A row is its table's name, then its columns: a type letter and, little endian, i: int64, f: the double's bits, t and b: length as int64
 * and the bytes; n alone for NULL.  Left out: run_info, spec, chip.run and tuning.seconds, that is times, host, paths, threads, memory. */
#include "base/fail.h"
#include "base/sha256.h"
#include "campaign/store.h"
#include "ohmtrim/campaign.h"

#include <string.h>

enum { FIRST = 7 };                            /* tables of version 1 */
static const char *const tables[][2] = {
    {"ideal", "SELECT images, correct, bits FROM ideal ORDER BY id"},
    {"stimulus", "SELECT id, position, image FROM stimulus ORDER BY id, position"},
    {"chip", "SELECT number, role, delta_sys, hash, failure FROM chip ORDER BY number"},
    {"signature", "SELECT chip, stimulus, knobs, value FROM signature ORDER BY chip, stimulus, knobs"},
    {"measurement", "SELECT chip, knobs, images, correct, bits FROM measurement ORDER BY chip, knobs"},
    {"tuning", "SELECT chip, tuner, gain, offset, nearest, images_forward, images_backward, steps, projected, nan_restores FROM tuning"
               " ORDER BY chip, tuner"},
    {"casebook", "SELECT chip, tuner FROM casebook ORDER BY chip"},
    {"stimulus_set", "SELECT id, name, source FROM stimulus_set WHERE id > 0 ORDER BY id"},
    {"stimulus_image", "SELECT id, position, pixels, what FROM stimulus_image ORDER BY id, position"},
    {"moments", "SELECT chip, stimulus, knobs, value FROM moments ORDER BY chip, stimulus, knobs"},
    {"ideal_response", "SELECT stimulus, signature, moments FROM ideal_response ORDER BY stimulus"},
};

static void add_u64(ot_sha256 *sha, uint64_t v)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(v >> 8 * i);
    ot__sha256_add(sha, bytes, 8);
}

static void add_column(ot_sha256 *sha, sqlite3_stmt *stmt, int i)
{
    static const char letters[] = {[SQLITE_INTEGER] = 'i', [SQLITE_FLOAT] = 'f', [SQLITE_TEXT] = 't', [SQLITE_BLOB] = 'b', [SQLITE_NULL] = 'n'};
    int type = sqlite3_column_type(stmt, i);
    ot__sha256_add(sha, &letters[type], 1);
    if (type == SQLITE_INTEGER) add_u64(sha, (uint64_t)sqlite3_column_int64(stmt, i));
    if (type == SQLITE_FLOAT) {
        double v = sqlite3_column_double(stmt, i);
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        add_u64(sha, bits);
    }
    if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
        const void *bytes = sqlite3_column_blob(stmt, i);
        size_t n = (size_t)sqlite3_column_bytes(stmt, i);
        add_u64(sha, n);
        ot__sha256_add(sha, bytes, n);
    }
}

static ot_status add_table(ot_sha256 *sha, ot_store *s, const char *name, const char *sql)
{
    sqlite3_stmt *stmt;
    int more = 1;
    OT_TRY(ot__store_ask(&stmt, s, sql, ""));
    ot_status st = ot__store_next(s, stmt, &more);
    for (; st == OT_OK && more; st = ot__store_next(s, stmt, &more)) {
        ot__sha256_add(sha, name, strlen(name) + 1);
        for (int i = 0; i < sqlite3_column_count(stmt); i++) add_column(sha, stmt, i);
    }
    sqlite3_finalize(stmt);
    return st;
}

ot_status ot_campaign_digest(const char *db_path, char hex[65])
{
    ot_store *s;
    ot_sha256 sha;
    OT_TRY(ot__store_open(&s, db_path));
    ot__sha256_start(&sha);
    ot_status st = ot__store_do(s, "BEGIN", "");               /* one view of the file while a run writes */
    const size_t n = ot__store_version(s) < 2 ? FIRST : sizeof tables / sizeof *tables;
    for (size_t t = 0; st == OT_OK && t < n; t++) st = add_table(&sha, s, tables[t][0], tables[t][1]);
    if (st == OT_OK) ot__sha256_end(&sha, hex);
    ot__store_close(s);
    return st;
}

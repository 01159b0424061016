/* add_stimulus.c - puts a chosen set of images into a campaign's file; the next `campaign run` lets every chip answer it. */
#include "base/fail.h"
#include "campaign/store.h"
#include "ohmtrim/campaign.h"

#include <ctype.h>
#include <string.h>

/* A word that fits spec keys and file names. */
static ot_status check_name(const char *name)
{
    const size_t n = strlen(name);
    int          fine = n >= 1 && n < 64;
    for (size_t i = 0; i < n; i++) fine = fine && (isalnum((unsigned char)name[i]) || strchr("-_.", name[i]));
    if (!fine) OT_FAIL(OT_E_RANGE, "stimulus name '%.80s', want 1..63 letters, digits, '-', '_' or '.'", name);
    return OT_OK;
}

/* Not a test image as it is. */
static int own_pixels(const ot_images *m, int i) { return m->number[i] < 0 || strchr(m->what[i], ','); }

static ot_status insert(ot_store *s, const char *name, const char *source, const ot_images *m)
{
    const size_t one = (size_t)m->c * (size_t)m->h * (size_t)m->w;
    int64_t      id;
    OT_TRY(ot__store_int(&id, s, 0, "SELECT max(id) + 1 FROM stimulus_set", ""));
    OT_TRY(ot__store_do(s, "INSERT INTO stimulus_set VALUES (?1, ?2, ?3)", "itt", id, name, source));
    for (int i = 0; i < m->n; i++) {
        OT_TRY(ot__store_do(s, "INSERT INTO stimulus VALUES (?1, ?2, ?3)", "iii", id, (int64_t)i, (int64_t)m->number[i]));
        if (own_pixels(m, i))
            OT_TRY(ot__store_do(s, "INSERT INTO stimulus_image VALUES (?1, ?2, ?3, ?4)", "iibt", id, (int64_t)i, (const void *)(m->pixels + (size_t)i * one), one,
                                (const char *)m->what[i]));
    }
    return OT_OK;
}

/* Are the images of stimulus `name` these? */
static ot_status compare(int *same, ot_store *s, const char *name, const ot_images *m)
{
    const size_t  one = (size_t)m->c * (size_t)m->h * (size_t)m->w;
    sqlite3_stmt *stmt;
    int           more, at = 0;
    OT_TRY(ot__store_ask(&stmt, s, "SELECT s.image, i.pixels FROM stimulus s JOIN stimulus_set t ON t.id = s.id LEFT JOIN stimulus_image i ON i.id = s.id AND"
                         " i.position = s.position WHERE t.name = ?1 ORDER BY s.position", "t", name));
    ot_status st = ot__store_next(s, stmt, &more);
    for (*same = 1; st == OT_OK && more; at++) {
        const void *pixels = sqlite3_column_blob(stmt, 1);
        *same = *same && at < m->n && sqlite3_column_int64(stmt, 0) == m->number[at] && !pixels == !own_pixels(m, at) &&
                (!pixels || ((size_t)sqlite3_column_bytes(stmt, 1) == one && !memcmp(pixels, m->pixels + (size_t)at * one, one)));
        st = ot__store_next(s, stmt, &more);
    }
    sqlite3_finalize(stmt);
    *same = *same && at == m->n;
    return st;
}

static ot_status check(int *there, ot_store *s, const char *name, const ot_images *m, const char *db_path)
{
    int64_t have;
    *there = 0;
    if (ot__store_version(s) < 2) OT_FAIL(OT_E_VERSION, "%s: was written by an older ohmtrim: `ohmtrim campaign run` brings it up to date", db_path);
    OT_TRY(ot__store_int(&have, s, 0, "SELECT count(*) FROM ideal", ""));
    if (!have) OT_FAIL(OT_E_DATA, "%s: its campaign has not begun: `ohmtrim campaign run` it first", db_path);
    OT_TRY(ot__store_int(&have, s, 0, "SELECT count(*) FROM stimulus_set WHERE name = ?1", "t", name));
    if (!have) return OT_OK;
    OT_TRY(compare(there, s, name, m));
    if (!*there) OT_FAIL(OT_E_RANGE, "%s: has another stimulus '%s', want another name", db_path, name);
    return OT_OK;
}

ot_status ot_campaign_add_stimulus(const char *db_path, const char *name, const char *source, const ot_images *m)
{
    ot_store   *s = NULL;
    int         is_new = 0, there = 0;
    const char *warning;
    OT_TRY(check_name(name));
    if (m->n < 1) OT_FAIL(OT_E_RANGE, "stimulus '%s' of %d images, want at least 1", name, m->n);
    ot_status st = ot__store_open(&s, db_path);                           /* an old or foreign file is not touched */
    if (st == OT_OK) st = check(&there, s, name, m, db_path);
    ot__store_close(s);
    if (st != OT_OK || there) return st;
    OT_TRY(ot__store_open_write(&s, db_path, 0, &is_new, &warning));
    st = ot__store_begin(s);
    if (st == OT_OK) st = ot__store_end(s, insert(s, name, source, m));
    ot__store_close(s);
    return st;
}

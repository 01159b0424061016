/* store.h - the database file of a campaign: opened, locked, checked, written in transactions. */
#ifndef OT_CAMPAIGN_STORE_H
#define OT_CAMPAIGN_STORE_H

#include "ohmtrim/campaign.h"

#include <sqlite3.h>

enum { OT_STORE_VERSION = 2 };                 /* PRAGMA user_version: of the tables in schema.c */

typedef struct ot_store ot_store;

/* To read: OT_E_OPEN, OT_E_FORMAT (not a database, no campaign, damaged), OT_E_VERSION (newer). */
ot_status ot__store_open(ot_store **out, const char *path);
/* To write: takes the lock, makes the tables if the file is new (*is_new); OT_E_LOCKED, OT_E_WRITE.  *warning (may be NULL) gets a
 * sentence where the file lies on a network file system, else NULL. */
ot_status ot__store_open_write(ot_store **out, const char *path, int durable, int *is_new, const char **warning);
void      ot__store_close(ot_store *s);        /* NULL is fine */
int         ot__store_version(const ot_store *s);      /* of the file: an old one is only brought up to date to be written */
sqlite3    *ot__store_db(ot_store *s);
const char *ot__store_path(const ot_store *s);

/* The sentence for what SQLite said last, with the status that fits. */
ot_status ot__store_fail(ot_store *s);

/* One statement with its values, no rows wanted.  Formats: i int64_t, d double, t const char * (NULL: NULL),
 * b const void *, size_t (bytes are copied). */
ot_status ot__store_do(ot_store *s, const char *sql, const char *formats, ...);
/* A statement to step through; the caller finalises it. */
ot_status ot__store_ask(sqlite3_stmt **out, ot_store *s, const char *sql, const char *formats, ...);
/* Next row: *more = 1, or 0 at the end. */
ot_status ot__store_next(ot_store *s, sqlite3_stmt *stmt, int *more);
/* A column of the row as a text; "" for NULL.  Valid until the next step. */
const char *ot__store_text(sqlite3_stmt *stmt, int column);
/* The first column of the only row as a number; `otherwise` if there is no row or it is NULL. */
ot_status ot__store_int(int64_t *out, ot_store *s, int64_t otherwise, const char *sql, const char *formats, ...);

ot_status ot__store_begin(ot_store *s);        /* a transaction that writes */
ot_status ot__store_end(ot_store *s, ot_status st);      /* commits if st is OT_OK, else rolls back and gives st */

/* The stored spec; keys that are not there keep their defaults. */
ot_status ot__store_spec(ot_campaign_spec *spec, ot_store *s);

extern const char ot__store_schema[], ot__store_additions[];            /* schema.c: version 1, and what version 2 adds */

/* answers.c: the numbers of the layout's kind from a full signature (K, L + C) and moments (2 L; only for that kind). */
void ot__answers_arrange(float *out, const ot_layout *l, const float *full, const float *moments);

#endif

/* store.c - see store.h.
 *
 * Writers use WAL (a kill loses nothing committed) with synchronous NORMAL, FULL if durable; on a network file system, where WAL's
 * shared memory does not work, TRUNCATE.  Readers open read-only and may read while a run writes.  A file is a campaign's if its
 * application_id says so; an empty one is new.  The tables are made in one transaction with the version number, so a kill in between
 * leaves an empty file. */
#include "campaign/store.h"

#include "base/fail.h"
#include "base/file.h"
#include "campaign/lock.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { APPLICATION_ID = 1332243789, BUSY_MS = 20000 };

struct ot_store {
    sqlite3 *db;
    char     path[4096];
    ot_lock  lock;
    int      writes, version;
};

sqlite3    *ot__store_db(ot_store *s) { return s->db; }
const char *ot__store_path(const ot_store *s) { return s->path; }
int         ot__store_version(const ot_store *s) { return s->version; }

ot_status ot__store_fail(ot_store *s)
{
    const char *text = s->db ? sqlite3_errmsg(s->db) : "out of memory";
    int sys = s->db ? sqlite3_system_errno(s->db) : 0;
    switch (s->db ? sqlite3_errcode(s->db) : SQLITE_NOMEM) {
    case SQLITE_NOMEM: OT_FAIL(OT_E_NOMEM, "%s: no memory for the database", s->path);
    case SQLITE_FULL: OT_FAIL(OT_E_WRITE, "%s: the disk is full; what was committed is kept", s->path);
    case SQLITE_IOERR: OT_FAIL(OT_E_WRITE, "%s: %s (%s); what was committed is kept", s->path, text, sys ? strerror(sys) : "no space or a failing disk");
    case SQLITE_READONLY: OT_FAIL(OT_E_WRITE, "%s: cannot be written: %s", s->path, text);
    case SQLITE_CANTOPEN: OT_FAIL(s->writes ? OT_E_WRITE : OT_E_OPEN, "%s: %s%s%s", s->path, text, sys ? ": " : "", sys ? strerror(sys) : "");
    case SQLITE_CORRUPT: OT_FAIL(OT_E_FORMAT, "%s: damaged or truncated (%s), want a campaign's database", s->path, text);
    case SQLITE_NOTADB: OT_FAIL(OT_E_FORMAT, "%s: not a database, want one that `ohmtrim campaign run` made", s->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: OT_FAIL(OT_E_LOCKED, "%s: another program has held its write lock for %d s", s->path, BUSY_MS / 1000);
    default: OT_FAIL(OT_E_LIBRARY, "%s: SQLite: %s", s->path, text);
    }
}

static ot_status run_text(ot_store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK ? OT_OK : ot__store_fail(s);
}

static ot_status bind(ot_store *s, sqlite3_stmt *stmt, const char *formats, va_list ap)
{
    int rc = SQLITE_OK;
    for (int i = 1; *formats && rc == SQLITE_OK; formats++, i++) {
        if (*formats == 'i') rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
        else if (*formats == 'd') rc = sqlite3_bind_double(stmt, i, va_arg(ap, double));
        else if (*formats == 't') rc = sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
        else {
            const void *bytes = va_arg(ap, const void *);
            size_t n = va_arg(ap, size_t);
            rc = sqlite3_bind_blob64(stmt, i, bytes, n, SQLITE_TRANSIENT);
        }
    }
    return rc == SQLITE_OK ? OT_OK : ot__store_fail(s);
}

static ot_status ask(sqlite3_stmt **out, ot_store *s, const char *sql, const char *formats, va_list ap)
{
    *out = NULL;
    if (sqlite3_prepare_v2(s->db, sql, -1, out, NULL) != SQLITE_OK) return ot__store_fail(s);
    ot_status st = bind(s, *out, formats, ap);
    if (st != OT_OK) {
        sqlite3_finalize(*out);
        *out = NULL;
    }
    return st;
}

ot_status ot__store_ask(sqlite3_stmt **out, ot_store *s, const char *sql, const char *formats, ...)
{
    va_list ap;
    va_start(ap, formats);
    ot_status st = ask(out, s, sql, formats, ap);
    va_end(ap);
    return st;
}

ot_status ot__store_next(ot_store *s, sqlite3_stmt *stmt, int *more)
{
    int rc = sqlite3_step(stmt);
    *more = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OT_OK : ot__store_fail(s);
}

const char *ot__store_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

ot_status ot__store_do(ot_store *s, const char *sql, const char *formats, ...)
{
    sqlite3_stmt *stmt;
    int more;
    va_list ap;
    va_start(ap, formats);
    ot_status st = ask(&stmt, s, sql, formats, ap);
    va_end(ap);
    OT_TRY(st);
    st = ot__store_next(s, stmt, &more);
    sqlite3_finalize(stmt);
    return st;
}

ot_status ot__store_int(int64_t *out, ot_store *s, int64_t otherwise, const char *sql, const char *formats, ...)
{
    sqlite3_stmt *stmt;
    int more;
    va_list ap;
    va_start(ap, formats);
    ot_status st = ask(&stmt, s, sql, formats, ap);
    va_end(ap);
    OT_TRY(st);
    st = ot__store_next(s, stmt, &more);
    *out = st == OT_OK && more && sqlite3_column_type(stmt, 0) != SQLITE_NULL ? sqlite3_column_int64(stmt, 0) : otherwise;
    sqlite3_finalize(stmt);
    return st;
}

ot_status ot__store_begin(ot_store *s) { return run_text(s, "BEGIN IMMEDIATE"); }

ot_status ot__store_end(ot_store *s, ot_status st)
{
    if (st == OT_OK) st = run_text(s, "COMMIT");
    if (st != OT_OK && !sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return st;
}

void ot__store_close(ot_store *s)
{
    if (!s) return;
    sqlite3_close(s->db);
    ot__lock_drop(&s->lock);
    ot_free(s);
}

static ot_status make(ot_store **out, const char *path)
{
    ot_store *s = ot_alloc(1, sizeof *s);
    if (!s) OT_NOMEM(path, sizeof *s);
    s->lock.fd = -1;
    if (snprintf(s->path, sizeof s->path, "%s", path) >= (int)sizeof s->path) {
        ot_free(s);
        OT_FAIL(OT_E_OPEN, "%.200s...: the name is too long", path);
    }
    *out = s;
    return OT_OK;
}

/* Is it a campaign's database, of a version we know?  *is_new: it is empty.  `is_new` NULL: an empty one is refused. */
static ot_status check(ot_store *s, int *is_new)
{
    int64_t id, version, tables;
    OT_TRY(ot__store_int(&tables, s, 0, "SELECT count(*) FROM sqlite_master", ""));
    OT_TRY(ot__store_int(&id, s, 0, "PRAGMA application_id", ""));
    OT_TRY(ot__store_int(&version, s, 0, "PRAGMA user_version", ""));
    if (is_new && (*is_new = tables == 0 && id == 0)) return OT_OK;
    if (id != APPLICATION_ID) OT_FAIL(OT_E_FORMAT, "%s: %s, want one that `ohmtrim campaign run` made", s->path,
                                      tables ? "a database of another program" : "an empty database");
    if (version > OT_STORE_VERSION)
        OT_FAIL(OT_E_VERSION, "%s: tables of version %lld, want at most %d: the file is newer than this ohmtrim", s->path, (long long)version,
                OT_STORE_VERSION);
    if (version < 1) OT_FAIL(OT_E_FORMAT, "%s: tables of version %lld, want 1..%d", s->path, (long long)version, OT_STORE_VERSION);
    s->version = (int)version;
    sqlite3_stmt *stmt;
    int more;
    OT_TRY(ot__store_ask(&stmt, s, "PRAGMA quick_check(1)", ""));
    ot_status st = ot__store_next(s, stmt, &more);
    const char *verdict = st == OT_OK && more ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    if (st == OT_OK && (!verdict || strcmp(verdict, "ok")))
        st = ot__fail(OT_E_FORMAT, __FILE__, __LINE__, "%s: damaged or truncated (%s), want a whole database", s->path, verdict ? verdict : "?");
    sqlite3_finalize(stmt);
    return st;
}

/* A database in a folder that cannot be written to is opened as one that nobody changes: SQLite would want to make WAL's index there. */
static ot_status open_to_read(ot_store *s)
{
    char uri[3 * sizeof s->path + 32] = "file:", *p = uri + 5;
    if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(s->db, BUSY_MS);
        if (sqlite3_exec(s->db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL) != SQLITE_CANTOPEN) return OT_OK;
    }
    for (const char *c = s->path; *c; c++) p += sprintf(p, strchr("?#% ", *c) ? "%%%02X" : "%c", (unsigned char)*c);
    strcpy(p, "?immutable=1");
    sqlite3_close(s->db);
    s->db = NULL;
    return sqlite3_open_v2(uri, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK ? OT_OK : ot__store_fail(s);
}

ot_status ot__store_open(ot_store **out, const char *path)
{
    ot_store *s = NULL;
    struct stat file;
    if (stat(path, &file)) OT_FAIL(OT_E_OPEN, "%s: %s", path, strerror(errno));
    if (!S_ISREG(file.st_mode)) OT_FAIL(OT_E_OPEN, "%s: is no regular file, want a campaign's database", path);
    OT_TRY(make(&s, path));
    ot_status st = open_to_read(s);
    if (st == OT_OK) st = check(s, NULL);
    if (st != OT_OK) {
        ot__store_close(s);
        return st;
    }
    *out = s;
    return OT_OK;
}

/* Those whose clients do not share memory maps or locks as local ones do. */
static int on_network(const char *path)
{
    static const long magic[] = {NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, (long)0xff534d42 /* CIFS */, (long)0xfe534d42 /* SMB2 */,
                                 V9FS_MAGIC, AFS_SUPER_MAGIC, CODA_SUPER_MAGIC, 0x00c36400 /* Ceph */, 0x0bd00bd0 /* Lustre */,
                                 0x47504653 /* GPFS */, (long)0x65735546 /* FUSE */};
    struct statfs fs;
    if (statfs(path, &fs)) return 0;
    for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
        if ((uint32_t)fs.f_type == (uint32_t)magic[i]) return 1;
    return 0;
}

static ot_status prepare(ot_store *s, int durable, int *is_new, const char **warning)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(s->path, &s->db, flags, NULL) != SQLITE_OK) return ot__store_fail(s);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    OT_TRY(check(s, is_new));
    int network = on_network(s->path);
    if (warning)
        *warning = network ? "the database lies on a network file system: journal_mode TRUNCATE, slower than a local disk" : NULL;
    OT_TRY(run_text(s, network ? "PRAGMA journal_mode = TRUNCATE" : "PRAGMA journal_mode = WAL"));
    OT_TRY(run_text(s, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
    OT_TRY(run_text(s, "PRAGMA foreign_keys = ON"));
    if (!*is_new && s->version == OT_STORE_VERSION) return OT_OK;
    OT_TRY(ot__store_begin(s));
    ot_status st = *is_new ? run_text(s, ot__store_schema) : OT_OK;
    if (st == OT_OK) st = run_text(s, ot__store_additions);
    s->version = OT_STORE_VERSION;
    return ot__store_end(s, st);
}

ot_status ot__store_open_write(ot_store **out, const char *path, int durable, int *is_new, const char **warning)
{
    ot_store *s = NULL;
    struct stat file;
    if (!stat(path, &file) && !S_ISREG(file.st_mode)) OT_FAIL(OT_E_WRITE, "%s: is no regular file, want a database's name", path);
    OT_TRY(make(&s, path));
    s->writes = 1;
    ot_status st = ot__lock_take(&s->lock, path);
    if (st == OT_OK) st = prepare(s, durable, is_new, warning);
    if (st != OT_OK) {
        ot__store_close(s);
        return st;
    }
    *out = s;
    return OT_OK;
}

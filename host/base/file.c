/* file.c - see file.h. */
#include "file.h"
#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

int ot__file_exists(const char *path) { return access(path, F_OK) == 0; }

static ot_status read_all(int fd, void **out, size_t *n_bytes, const char *path, size_t max_bytes)
{
    struct stat s;
    if (fstat(fd, &s)) OT_FAIL(OT_E_OPEN, "%s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode)) OT_FAIL(OT_E_OPEN, "%s: is a folder, want a file", path);
    if (s.st_size > 0 && (uintmax_t)s.st_size > max_bytes)
        OT_FAIL(OT_E_OPEN, "%s: %jd bytes, want at most %zu", path, (intmax_t)s.st_size, max_bytes);
    size_t room = S_ISREG(s.st_mode) ? (size_t)s.st_size : 65536, n = 0;
    char *bytes = ot_alloc(room + 1, 1);
    if (!bytes) OT_NOMEM(path, room + 1);
    for (;;) {
        ssize_t got = read(fd, bytes + n, room - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            ot_free(bytes);
            OT_FAIL(OT_E_OPEN, "%s: %s", path, strerror(errno));
        }
        n += (size_t)got;
        if (got == 0) break;
        if (n < room) continue;
        if (S_ISREG(s.st_mode)) break;                             /* all that fstat promised */
        if (room >= max_bytes) {
            ot_free(bytes);
            OT_FAIL(OT_E_OPEN, "%s: more than %zu bytes", path, max_bytes);
        }
        char *more = ot_realloc(bytes, room * 2 + 1, 1);
        if (!more) {
            ot_free(bytes);
            OT_NOMEM(path, room * 2 + 1);
        }
        bytes = more;
        room *= 2;
    }
    bytes[n] = 0;
    *out = bytes;
    *n_bytes = n;
    return OT_OK;
}

ot_status ot__file_read(void **out, size_t *n_bytes, const char *path, size_t max_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) OT_FAIL(OT_E_OPEN, "%s: %s", path, strerror(errno));
    ot_status st = read_all(fd, out, n_bytes, path, max_bytes);
    close(fd);
    return st;
}

ot_status ot__file_read_gz(void **out, size_t *n_bytes, const char *path, size_t max_bytes)
{
    void *packed;
    size_t n_packed;
    OT_TRY(ot__file_read(&packed, &n_packed, path, max_bytes));
    const uint8_t *p = packed;
    if (n_packed < 2 || p[0] != 0x1f || p[1] != 0x8b) {
        *out = packed;
        *n_bytes = n_packed;
        return OT_OK;
    }
    ot_status st = OT_OK;
    size_t room = n_packed * 4 + 4096, n = 0;
    char *bytes = NULL;
    z_stream z = {.next_in = packed, .avail_in = (uInt)n_packed};
    if (n_packed > UINT_MAX) OT_FAIL_TO(no_stream, st, OT_E_FORMAT, "%s: %zu bytes packed, want less than 4 GiB", path, n_packed);
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) OT_FAIL_TO(no_stream, st, OT_E_LIBRARY, "%s: zlib would not start", path);
    if (!(bytes = ot_alloc(room + 1, 1))) OT_FAIL_TO(done, st, OT_E_NOMEM, "%s: no memory for %zu bytes", path, room + 1);
    for (int code = Z_OK; code != Z_STREAM_END;) {
        if (n == room) {
            if (room >= max_bytes) OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: unpacks to more than %zu bytes", path, max_bytes);
            char *more = ot_realloc(bytes, room * 2 + 1, 1);
            if (!more) OT_FAIL_TO(done, st, OT_E_NOMEM, "%s: no memory for %zu bytes", path, room * 2 + 1);
            bytes = more;
            room *= 2;
        }
        size_t chunk = room - n < 1u << 30 ? room - n : 1u << 30;
        z.next_out = (Bytef *)bytes + n;
        z.avail_out = (uInt)chunk;
        code = inflate(&z, Z_NO_FLUSH);
        size_t made = chunk - z.avail_out;
        n += made;
        if (code == Z_BUF_ERROR || (code == Z_OK && made == 0 && z.avail_in == 0))
            OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: gzip data ends after %zu bytes, want more (truncated)", path, n);
        if (code != Z_OK && code != Z_STREAM_END)
            OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: damaged gzip data after %zu bytes (%s)", path, n, z.msg ? z.msg : "zlib error");
    }
    bytes[n] = 0;
    *out = bytes;
    *n_bytes = n;
    bytes = NULL;
done:
    inflateEnd(&z);
no_stream:
    ot_free(bytes);
    ot_free(packed);
    return st;
}

ot_status ot__file_write(const char *path, const void *bytes, size_t n_bytes)
{
    char temp[PATH_MAX];
    struct stat is;
    if (!stat(path, &is) && !S_ISREG(is.st_mode)) OT_FAIL(OT_E_WRITE, "%s: is no regular file (a folder, a device), want a file's name", path);
    if (snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= (int)sizeof temp) OT_FAIL(OT_E_WRITE, "%s: the name is too long", path);
    int fd = mkstemp(temp);
    if (fd < 0) OT_FAIL(OT_E_WRITE, "%s: %s", path, strerror(errno));
    ot_status st = OT_OK;
    mode_t mask = umask(0);
    umask(mask);
    const char *p = bytes;
    for (size_t left = n_bytes; left;) {
        ssize_t put = write(fd, p, left);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) OT_FAIL_TO(fail, st, OT_E_WRITE, "%s: %s after %zu of %zu bytes", path, strerror(errno), n_bytes - left, n_bytes);
        p += put;
        left -= (size_t)put;
    }
    if (fchmod(fd, 0666 & ~mask) || fsync(fd)) OT_FAIL_TO(fail, st, OT_E_WRITE, "%s: %s", path, strerror(errno));
    if (close(fd)) {
        fd = -1;
        OT_FAIL_TO(fail, st, OT_E_WRITE, "%s: %s", path, strerror(errno));
    }
    fd = -1;
    if (rename(temp, path)) OT_FAIL_TO(fail, st, OT_E_WRITE, "%s: %s", path, strerror(errno));
    return OT_OK;
fail:
    if (fd >= 0) close(fd);
    unlink(temp);
    return st;
}

/* npz.c - numpy's .npz: a zip archive of .npy members.
 *
 * Reading goes by the central directory at the file's end, as zip wants it (members may be stored or deflated, sizes may be
 * 64 bits wide).  Writing is stored only, with a fixed time stamp, so that equal content gives equal bytes:
 *
 *     [local header + name + npy]...  [directory entry + name]...  [end record]
 *
 * Files of ours stay below 4 GiB; a larger one is refused when writing. */
#include "npy.h"
#include "fail.h"
#include "file.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

typedef struct member { char name[256]; uint64_t at, packed, size; int method; uint32_t crc; } member;

struct ot_npz { char *name; uint8_t *bytes; size_t n_bytes; member *members; int n; };

static uint64_t le(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

/* The end record lies in the last 65,557 bytes; scanned backwards because a comment may follow it. */
static ot_status find_directory(const ot_npz *z, uint64_t *at, uint64_t *count)
{
    const uint8_t *b = z->bytes;
    for (size_t back = 22; back <= z->n_bytes && back <= 65557; back++) {
        size_t e = z->n_bytes - back;
        if (le(b + e, 4) != 0x06054b50) continue;
        *count = le(b + e + 10, 2);
        *at = le(b + e + 16, 4);
        if ((*count == 0xffff || *at == 0xffffffff) && e >= 20 && le(b + e - 20, 4) == 0x07064b50) {
            uint64_t e64 = le(b + e - 12, 8);
            if (e64 > z->n_bytes || z->n_bytes - e64 < 56 || le(b + e64, 4) != 0x06064b50)
                OT_FAIL(OT_E_FORMAT, "%s: the zip64 end record is damaged", z->name);
            *count = le(b + e64 + 32, 8);
            *at = le(b + e64 + 48, 8);
        }
        if (*at > z->n_bytes || *count > (z->n_bytes - *at) / 46) OT_FAIL(OT_E_FORMAT, "%s: the zip directory lies outside the file", z->name);
        return OT_OK;
    }
    OT_FAIL(OT_E_FORMAT, "%s: no zip end record (truncated, or not an npz file)", z->name);
}

/* One directory entry at *at; moves *at behind it. */
static ot_status read_entry(const ot_npz *z, member *m, uint64_t *at)
{
    const uint8_t *b = z->bytes + *at;
    uint64_t left = z->n_bytes - *at;
    if (left < 46 || le(b, 4) != 0x02014b50) OT_FAIL(OT_E_FORMAT, "%s: zip directory entry at byte %llu is damaged", z->name, (unsigned long long)*at);
    size_t n_name = le(b + 28, 2), n_extra = le(b + 30, 2), n_comment = le(b + 32, 2);
    if (left < 46 + n_name + n_extra + n_comment || n_name >= sizeof m->name || n_name == 0)
        OT_FAIL(OT_E_FORMAT, "%s: zip directory entry at byte %llu has a bad name length %zu", z->name, (unsigned long long)*at, n_name);
    memset(m, 0, sizeof *m);
    memcpy(m->name, b + 46, n_name);
    m->method = (int)le(b + 10, 2);
    m->crc = (uint32_t)le(b + 16, 4);
    m->packed = le(b + 20, 4);
    m->size = le(b + 24, 4);
    uint64_t local = le(b + 42, 4);
    const uint8_t *x = b + 46 + n_name, *end = x + n_extra;
    while (end - x >= 4) {                                         /* zip64 extra field */
        size_t id = le(x, 2), n = le(x + 2, 2);
        x += 4;
        if ((size_t)(end - x) < n) break;
        const uint8_t *v = x, *v_end = x + n;
        if (id == 1) {
            if (m->size == 0xffffffff && v_end - v >= 8) m->size = le(v, 8), v += 8;
            if (m->packed == 0xffffffff && v_end - v >= 8) m->packed = le(v, 8), v += 8;
            if (local == 0xffffffff && v_end - v >= 8) local = le(v, 8);
        }
        x += n;
    }
    *at += 46 + n_name + n_extra + n_comment;
    if (local > z->n_bytes || z->n_bytes - local < 30 || le(z->bytes + local, 4) != 0x04034b50)
        OT_FAIL(OT_E_FORMAT, "%s: member '%s' lies outside the file", z->name, m->name);
    m->at = local + 30 + le(z->bytes + local + 26, 2) + le(z->bytes + local + 28, 2);
    if (m->at > z->n_bytes || m->packed > z->n_bytes - m->at)
        OT_FAIL(OT_E_FORMAT, "%s: member '%s' of %llu bytes ends outside the file", z->name, m->name, (unsigned long long)m->packed);
    if (m->method != 0 && m->method != 8)
        OT_FAIL(OT_E_UNSUPPORTED, "%s: member '%s' uses zip method %d, want 0 (stored) or 8 (deflated)", z->name, m->name, m->method);
    size_t n = strlen(m->name);
    if (n > 4 && !strcmp(m->name + n - 4, ".npy")) m->name[n - 4] = 0;
    return OT_OK;
}

static ot_status open_bytes(ot_npz **out, uint8_t *bytes, size_t n_bytes, const char *name)
{
    ot_status st = OT_OK;
    uint64_t at = 0, count = 0;
    ot_npz *z = ot_alloc(1, sizeof *z);
    if (!z || !(z->name = ot_strdup(name))) {
        ot_free(z);
        ot_free(bytes);
        OT_NOMEM(name, sizeof *z);
    }
    z->bytes = bytes;
    z->n_bytes = n_bytes;
    OT_TRY_TO(fail, st, find_directory(z, &at, &count));
    if (!(z->members = ot_alloc(count + 1, sizeof *z->members))) OT_FAIL_TO(fail, st, OT_E_NOMEM, "%s: no memory for its directory", name);
    for (; (uint64_t)z->n < count; z->n++) OT_TRY_TO(fail, st, read_entry(z, &z->members[z->n], &at));
    *out = z;
    return OT_OK;
fail:
    ot_npz_close(z);
    return st;
}

ot_status ot_npz_open(ot_npz **out, const char *path)
{
    void *bytes;
    size_t n;
    OT_TRY(ot__file_read(&bytes, &n, path, (size_t)1 << 40));
    return open_bytes(out, bytes, n, path);
}

ot_status ot_npz_parse(ot_npz **out, const void *bytes, size_t n_bytes, const char *name)
{
    uint8_t *copy = ot_alloc(n_bytes + 1, 1);
    if (!copy) OT_NOMEM(name, n_bytes);
    if (n_bytes) memcpy(copy, bytes, n_bytes);
    return open_bytes(out, copy, n_bytes, name);
}

void ot_npz_close(ot_npz *z)
{
    if (!z) return;
    ot_free(z->name);
    ot_free(z->bytes);
    ot_free(z->members);
    ot_free(z);
}

int ot_npz_count(const ot_npz *z) { return z->n; }
const char *ot_npz_name(const ot_npz *z, int i) { return i >= 0 && i < z->n ? z->members[i].name : NULL; }

static const member *find(const ot_npz *z, const char *name)
{
    for (int i = 0; i < z->n; i++)
        if (!strcmp(z->members[i].name, name)) return &z->members[i];
    return NULL;
}

int ot_npz_has(const ot_npz *z, const char *name) { return find(z, name) != NULL; }

static ot_status unpack(const ot_npz *z, const member *m, uint8_t *to)
{
    if (m->packed > UINT32_MAX || m->size > UINT32_MAX) OT_FAIL(OT_E_UNSUPPORTED, "%s: deflated member '%s' of 4 GiB or more", z->name, m->name);
    z_stream s = {.next_in = z->bytes + m->at, .avail_in = (uInt)m->packed, .next_out = to, .avail_out = (uInt)m->size};
    if (inflateInit2(&s, -MAX_WBITS) != Z_OK) OT_FAIL(OT_E_LIBRARY, "%s: zlib would not start", z->name);
    int code = inflate(&s, Z_FINISH);
    uint64_t made = s.total_out;
    inflateEnd(&s);
    if (code != Z_STREAM_END || made != m->size)
        OT_FAIL(OT_E_FORMAT, "%s: member '%s' unpacks to %llu bytes, want %llu (damaged)", z->name, m->name, (unsigned long long)made,
                (unsigned long long)m->size);
    return OT_OK;
}

ot_status ot_npz_get(ot_array *out, ot_npz *z, const char *name)
{
    const member *m = find(z, name);
    if (!m) OT_FAIL(OT_E_FORMAT, "%s: no array '%s' in it", z->name, name);
    char full[512];
    snprintf(full, sizeof full, "%.200s:%s", z->name, name);
    if (m->method == 0 && m->size != m->packed) OT_FAIL(OT_E_FORMAT, "%s: stored size %llu, want %llu", full, (unsigned long long)m->packed, (unsigned long long)m->size);
    if (m->method == 8 && m->size / 1100 > m->packed + 64)         /* deflate cannot shrink more than about 1032 times */
        OT_FAIL(OT_E_FORMAT, "%s: %llu bytes said to unpack to %llu", full, (unsigned long long)m->packed, (unsigned long long)m->size);
    const uint8_t *data = z->bytes + m->at;
    uint8_t *unpacked = NULL;
    ot_status st = OT_OK;
    if (m->method == 8) {
        if (!(unpacked = ot_alloc(m->size + 1, 1))) OT_NOMEM(full, m->size);
        OT_TRY_TO(done, st, unpack(z, m, unpacked));
        data = unpacked;
    }
    uint32_t crc = 0;
    for (uint64_t at = 0; at < m->size; at += 1u << 30)
        crc = (uint32_t)crc32(crc, data + at, (uInt)(m->size - at < 1u << 30 ? m->size - at : 1u << 30));
    if (crc != m->crc) OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: checksum %08x, want %08x (damaged)", full, crc, m->crc);
    st = ot_npy_parse(out, data, m->size, full);
done:
    ot_free(unpacked);
    return st;
}

struct ot_npz_writer { char *path; uint8_t *bytes; size_t n, room; uint8_t *directory; size_t n_directory, room_directory; int count; };

static ot_status append(uint8_t **buffer, size_t *n, size_t *room, const void *bytes, size_t n_bytes, const char *path)
{
    if (*n + n_bytes > *room) {
        size_t more = (*n + n_bytes) * 3 / 2 + 4096;
        uint8_t *p = ot_realloc(*buffer, more, 1);
        if (!p) OT_NOMEM(path, more);
        *buffer = p;
        *room = more;
    }
    if (n_bytes) memcpy(*buffer + *n, bytes, n_bytes);
    *n += n_bytes;
    return OT_OK;
}

ot_status ot_npz_create(ot_npz_writer **out, const char *path)
{
    ot_npz_writer *z = ot_alloc(1, sizeof *z);
    if (!z || !(z->path = ot_strdup(path))) {
        ot_free(z);
        OT_NOMEM(path, sizeof *z);
    }
    *out = z;
    return OT_OK;
}

static void put(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) p[i] = (uint8_t)(v >> (8 * i));
}

ot_status ot_npz_add(ot_npz_writer *z, const char *name, ot_type type, int n_dims, const int64_t *dims, const void *data)
{
    char header[OT_NPY_HEADER], full[256];
    size_t head = ot__npy_header(header, type, n_dims, dims), bytes = ot_type_bytes(type);
    for (int i = 0; i < n_dims; i++) bytes *= (size_t)dims[i];
    size_t total = head + bytes, n_name = (size_t)snprintf(full, sizeof full, "%s.npy", name);
    if (n_name >= sizeof full) OT_FAIL(OT_E_RANGE, "%s: array name of %zu characters, want at most 251", z->path, n_name - 4);
    if (z->n + total + 65536 > UINT32_MAX) OT_FAIL(OT_E_WRITE, "%s: more than 4 GiB of arrays", z->path);
    uint32_t crc = (uint32_t)crc32(0, (Bytef *)header, (uInt)head);
    for (size_t at = 0; at < bytes; at += 1u << 30) crc = (uint32_t)crc32(crc, (const Bytef *)data + at, (uInt)(bytes - at < 1u << 30 ? bytes - at : 1u << 30));
    uint8_t common[26] = {20};                                     /* version .. extra length: the part both headers share */
    put(common + 6, 0, 2);
    put(common + 8, 0x21, 2);                                      /* 1 January 1980 */
    put(common + 10, crc, 4);
    put(common + 14, total, 4);
    put(common + 18, total, 4);
    put(common + 22, n_name, 2);
    uint8_t local[30] = {'P', 'K', 3, 4}, entry[46] = {'P', 'K', 1, 2, 20};
    memcpy(local + 4, common, 26);
    memcpy(entry + 6, common, 26);
    put(entry + 42, z->n, 4);
    OT_TRY(append(&z->directory, &z->n_directory, &z->room_directory, entry, sizeof entry, z->path));
    OT_TRY(append(&z->directory, &z->n_directory, &z->room_directory, full, n_name, z->path));
    OT_TRY(append(&z->bytes, &z->n, &z->room, local, sizeof local, z->path));
    OT_TRY(append(&z->bytes, &z->n, &z->room, full, n_name, z->path));
    OT_TRY(append(&z->bytes, &z->n, &z->room, header, head, z->path));
    OT_TRY(append(&z->bytes, &z->n, &z->room, data, bytes, z->path));
    z->count++;
    return OT_OK;
}

void ot_npz_abandon(ot_npz_writer *z)
{
    if (!z) return;
    ot_free(z->path);
    ot_free(z->bytes);
    ot_free(z->directory);
    ot_free(z);
}

ot_status ot_npz_finish(ot_npz_writer *z)
{
    uint8_t end[22] = {'P', 'K', 5, 6};
    put(end + 8, (uint64_t)z->count, 2);
    put(end + 10, (uint64_t)z->count, 2);
    put(end + 12, z->n_directory, 4);
    put(end + 16, z->n, 4);
    ot_status st = append(&z->bytes, &z->n, &z->room, z->directory, z->n_directory, z->path);
    if (st == OT_OK) st = append(&z->bytes, &z->n, &z->room, end, sizeof end, z->path);
    if (st == OT_OK) st = ot__file_write(z->path, z->bytes, z->n);
    ot_npz_abandon(z);
    return st;
}

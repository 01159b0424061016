/* npy.c - numpy's .npy: "\x93NUMPY", version, header length, a Python dict as text, then the numbers.
 *
 * The dict is read by a scanner for its three keys, which is stricter than Python: anything unexpected is an error that says
 * where.  Byte counts are checked before anything is allocated, so a hostile header cannot ask for memory it does not bring. */
#include "npy.h"
#include "fail.h"
#include "file.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct { ot_type type; const char *descr; size_t bytes; } types[] = {
    {OT_F32, "<f4", 4}, {OT_F64, "<f8", 8}, {OT_U8, "|u1", 1}, {OT_I32, "<i4", 4}, {OT_I64, "<i8", 8}, {OT_BOOL, "|b1", 1},
};
enum { N_TYPES = sizeof types / sizeof *types };

size_t ot_type_bytes(ot_type t) { return (unsigned)t < N_TYPES ? types[t].bytes : 0; }

int64_t ot_array_count(const ot_array *a)
{
    int64_t n = 1;
    for (int i = 0; i < a->n_dims; i++) n *= a->dims[i];
    return n;
}

void ot_array_free(ot_array *a)
{
    if (!a) return;
    ot_free(a->data);
    memset(a, 0, sizeof *a);
}

static const char *after_key(const char *header, const char *key)
{
    const char *p = strstr(header, key);
    if (!p) return NULL;
    p += strlen(key);
    while (*p == ' ') p++;
    if (*p++ != ':') return NULL;
    while (*p == ' ') p++;
    return p;
}

static ot_status header_parse(ot_array *a, int *fortran, const char *header, const char *name)
{
    const char *descr = after_key(header, "'descr'"), *order = after_key(header, "'fortran_order'"), *shape = after_key(header, "'shape'");
    if (!descr || !order || !shape)
        OT_FAIL(OT_E_FORMAT, "%s: npy header '%.60s', want the keys descr, fortran_order and shape", name, header);
    int t = 0;
    while (t < N_TYPES && !(descr[0] == '\'' && !strncmp(descr + 1, types[t].descr, 3) && descr[4] == '\'')) t++;
    if (t == N_TYPES) OT_FAIL(OT_E_UNSUPPORTED, "%s: npy type %.12s, want one of <f4 <f8 |u1 <i4 <i8 |b1", name, descr);
    a->type = types[t].type;
    if (!strncmp(order, "True", 4)) *fortran = 1;
    else if (!strncmp(order, "False", 5)) *fortran = 0;
    else OT_FAIL(OT_E_FORMAT, "%s: npy fortran_order '%.8s', want True or False", name, order);
    if (*shape++ != '(') OT_FAIL(OT_E_FORMAT, "%s: npy shape '%.20s', want (...)", name, shape - 1);
    int64_t count = 1;
    for (a->n_dims = 0;;) {
        while (*shape == ' ' || *shape == ',') shape++;
        if (*shape == ')') return OT_OK;
        char *end;
        long long d = strtoll(shape, &end, 10);
        if (end == shape || d < 0 || a->n_dims == 8)
            OT_FAIL(OT_E_FORMAT, "%s: npy shape '%.30s', want up to 8 dimensions of 0 or more", name, shape);
        if (__builtin_mul_overflow(count, (int64_t)d, &count) || count > INT64_MAX / 16)
            OT_FAIL(OT_E_FORMAT, "%s: npy shape with dimension %lld is too large", name, d);
        a->dims[a->n_dims++] = d;
        shape = end;
    }
}

/* Column-major numbers to row-major. */
static void turn(char *to, const char *from, const ot_array *a, size_t size)
{
    int64_t index[8] = {0}, count = ot_array_count(a);
    for (int64_t i = 0; i < count; i++) {
        int64_t at = 0;
        for (int d = a->n_dims - 1; d >= 0; d--) at = at * a->dims[d] + index[d];
        memcpy(to + (size_t)i * size, from + (size_t)at * size, size);
        for (int d = a->n_dims - 1; d >= 0 && ++index[d] == a->dims[d]; d--) index[d] = 0;
    }
}

ot_status ot_npy_parse(ot_array *out, const void *bytes, size_t n_bytes, const char *name)
{
    const uint8_t *p = bytes;
    if (n_bytes < 10 || memcmp(p, "\x93NUMPY", 6)) OT_FAIL(OT_E_FORMAT, "%s: does not begin as an npy file (\\x93NUMPY)", name);
    size_t at = p[6] == 1 ? 10 : 12, length = p[8] | (size_t)p[9] << 8;
    if (p[6] < 1 || p[6] > 3) OT_FAIL(OT_E_VERSION, "%s: npy version %d, want 1, 2 or 3", name, p[6]);
    if (p[6] > 1) {
        if (n_bytes < 12) OT_FAIL(OT_E_FORMAT, "%s: npy header ends at byte %zu, want 12", name, n_bytes);
        length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    }
    if (length > 65536 || at + length > n_bytes)
        OT_FAIL(OT_E_FORMAT, "%s: npy header of %zu bytes in a file of %zu (truncated)", name, length, n_bytes);
    char *header = ot_alloc(length + 1, 1);
    if (!header) OT_NOMEM(name, length + 1);
    memcpy(header, p + at, length);
    ot_array a = {0};
    int fortran = 0;
    ot_status st = header_parse(&a, &fortran, header, name);
    ot_free(header);
    OT_TRY(st);
    at += length;
    size_t size = ot_type_bytes(a.type), want = (size_t)ot_array_count(&a) * size;
    if (want != n_bytes - at) OT_FAIL(OT_E_FORMAT, "%s: %zu bytes of npy data, want %zu", name, n_bytes - at, want);
    if (!(a.data = ot_alloc(want, 1))) OT_NOMEM(name, want);
    if (fortran && a.n_dims > 1) turn(a.data, (const char *)p + at, &a, size);
    else memcpy(a.data, p + at, want);
    *out = a;
    return OT_OK;
}

ot_status ot_npy_read(ot_array *out, const char *path)
{
    void *bytes;
    size_t n;
    OT_TRY(ot__file_read(&bytes, &n, path, (size_t)1 << 40));
    ot_status st = ot_npy_parse(out, bytes, n, path);
    ot_free(bytes);
    return st;
}

size_t ot__npy_header(char header[OT_NPY_HEADER], ot_type type, int n_dims, const int64_t *dims)
{
    char shape[200] = "";
    size_t n = 0;
    for (int i = 0; i < n_dims; i++) n += (size_t)snprintf(shape + n, sizeof shape - n, "%lld, ", (long long)dims[i]);
    char text[300];
    int length = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", types[type].descr, shape);
    size_t total = (10 + (size_t)length + 1 + 63) / 64 * 64;
    memset(header, ' ', total);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((total - 10) & 255);
    header[9] = (char)((total - 10) >> 8);
    memcpy(header + 10, text, (size_t)length);
    header[total - 1] = '\n';
    return total;
}

ot_status ot_npy_write(const char *path, ot_type type, int n_dims, const int64_t *dims, const void *data)
{
    char header[OT_NPY_HEADER];
    size_t head = ot__npy_header(header, type, n_dims, dims), bytes = ot_type_bytes(type);
    for (int i = 0; i < n_dims; i++) bytes *= (size_t)dims[i];
    char *all = ot_alloc(head + bytes, 1);
    if (!all) OT_NOMEM(path, head + bytes);
    memcpy(all, header, head);
    if (bytes) memcpy(all + head, data, bytes);
    ot_status st = ot__file_write(path, all, head + bytes);
    ot_free(all);
    return st;
}

static double element(const ot_array *a, int64_t i)
{
    switch (a->type) {
    case OT_F32: return ((const float *)a->data)[i];
    case OT_F64: return ((const double *)a->data)[i];
    case OT_I32: return ((const int32_t *)a->data)[i];
    case OT_I64: return (double)((const int64_t *)a->data)[i];
    case OT_U8: case OT_BOOL: break;
    }
    return ((const uint8_t *)a->data)[i];
}

ot_status ot_array_convert(ot_array *a, ot_type to)
{
    if (a->type == to) return OT_OK;
    int64_t n = ot_array_count(a);
    static const double least[] = {-INFINITY, -INFINITY, 0, INT32_MIN, -0x1p53, 0}, most[] = {INFINITY, INFINITY, 255, INT32_MAX, 0x1p53, 1};
    int whole = to != OT_F32 && to != OT_F64;
    char *data = ot_alloc((size_t)n, ot_type_bytes(to));
    if (!data) OT_NOMEM("array conversion", (size_t)n * ot_type_bytes(to));
    for (int64_t i = 0; i < n; i++) {
        double v = element(a, i);
        if (whole && !(v >= least[to] && v <= most[to] && v == floor(v))) {
            ot_free(data);
            OT_FAIL(OT_E_RANGE, "array element %lld = %g, want a whole number %g..%g", (long long)i, v, least[to], most[to]);
        }
        switch (to) {
        case OT_F32: ((float *)data)[i] = (float)v; break;
        case OT_F64: ((double *)data)[i] = v; break;
        case OT_I32: ((int32_t *)data)[i] = (int32_t)v; break;
        case OT_I64: ((int64_t *)data)[i] = (int64_t)v; break;
        case OT_U8: case OT_BOOL: ((uint8_t *)data)[i] = (uint8_t)v; break;
        }
    }
    ot_free(a->data);
    a->data = data;
    a->type = to;
    return OT_OK;
}

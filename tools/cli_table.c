/* cli_table.c - a table of measured numbers, one row a chip: an npy file, an array of an npz file, or text with commas between the numbers.
 *
 * The two are told apart by the first bytes.  In text a first line that begins with a letter or '#' and not with a number (nan is one)
 * names the columns and is skipped, as are empty lines.  Sentences name line and column, counted from 1, as editors do. */
#include "cli.h"

#include "base/fail.h"
#include "base/file.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

ot_status cli_read_array(ot_array *out, const char *path)
{
    const char *of = strstr(path, ".npz:");
    char        file[4096];
    ot_npz     *z;
    if (!of) return ot_npy_read(out, path);
    snprintf(file, sizeof file, "%.*s", (int)(of + 4 - path < 4095 ? of + 4 - path : 4095), path);
    OT_TRY(ot_npz_open(&z, file));
    ot_status st = ot_npz_get(out, z, of + 5);
    ot_npz_close(z);
    return st;
}

static ot_status from_array(double **out, int *rows, int columns, int gaps, ot_array *from, const char *path)
{
    ot_array  a = *from;
    ot_status st = OT_OK;
    int64_t   n = 1, m;
    if (a.type != OT_F32 && a.type != OT_F64) OT_FAIL_TO(done, st, OT_E_UNSUPPORTED, "%s: whole numbers, want an array of float32 or float64", path);
    if (a.n_dims != 1 && a.n_dims != 2) OT_FAIL_TO(done, st, OT_E_SHAPE, "%s: an array of %d dimensions, want (n, %d) or (%d)", path, a.n_dims, columns, columns);
    m = a.dims[a.n_dims - 1];
    if (a.n_dims == 2) n = a.dims[0];
    else if (columns == 1) n = m, m = 1;
    if (m != columns) OT_FAIL_TO(done, st, OT_E_SHAPE, "%s: rows of %lld numbers, want %d", path, (long long)m, columns);
    if (n < 1 || n > INT32_MAX) OT_FAIL_TO(done, st, OT_E_SHAPE, "%s: %lld rows, want 1..2147483647", path, (long long)n);
    OT_TRY_TO(done, st, ot_array_convert(&a, OT_F64));
    for (int64_t i = 0; i < n * m && !gaps; i++)
        if (!isfinite(((const double *)a.data)[i]))
            OT_FAIL_TO(done, st, OT_E_DATA, "%s: row %lld, number %lld (from 0) is %g, want finite", path, (long long)(i / m), (long long)(i % m), ((const double *)a.data)[i]);
    *out = a.data;
    *rows = (int)n;
    a.data = NULL;
done:
    ot_array_free(&a);
    *from = (ot_array){0};
    return st;
}

static ot_status from_npz(double **out, int *rows, int columns, int gaps, const char *path)
{
    ot_array a = {0};
    OT_TRY(cli_read_array(&a, path));
    return from_array(out, rows, columns, gaps, &a, path);
}

static ot_status from_npy(double **out, int *rows, int columns, int gaps, const void *bytes, size_t n_bytes, const char *path)
{
    ot_array a = {0};
    OT_TRY(ot_npy_parse(&a, bytes, n_bytes, path));
    return from_array(out, rows, columns, gaps, &a, path);
}

/* The field at p up to a comma or the line's end. */
static ot_status field(double *out, const char *p, size_t n, int gaps, int line, int column, const char *path)
{
    char   text[64], *end;
    while (n && isspace((unsigned char)*p)) p++, n--;
    while (n && isspace((unsigned char)p[n - 1])) n--;
    if (n >= sizeof text) OT_FAIL(OT_E_FORMAT, "%s: line %d, column %d: a field of %zu bytes, want a number", path, line, column, n);
    memcpy(text, p, n);
    text[n] = 0;
    for (char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = '?';
    *out = strtod(text, &end);
    if (!n && gaps) *out = NAN;
    else if (end == text || *end) OT_FAIL(OT_E_FORMAT, "%s: line %d, column %d: '%s', want a number", path, line, column, text);
    if (!isfinite(*out) && !(gaps && isnan(*out)))
        OT_FAIL(OT_E_DATA, "%s: line %d, column %d: '%s', want a finite number", path, line, column, text);
    return OT_OK;
}

static int names_columns(const char *p, size_t n)
{
    char   text[64], *end;
    size_t k = 0;
    while (k < n && k < sizeof text - 1 && p[k] != ',') text[k] = p[k], k++;
    text[k] = 0;
    if (n && *p == '#') return 1;
    if (!n || !isalpha((unsigned char)*p)) return 0;
    (void)strtod(text, &end);
    while (isspace((unsigned char)*end)) end++;
    return end == text || *end;
}

static ot_status row(double *out, const char *p, size_t n, int columns, int gaps, int line, const char *path)
{
    int have = 1;
    for (size_t i = 0; i < n; i++) have += p[i] == ',';
    if (have != columns) OT_FAIL(OT_E_SHAPE, "%s: line %d has %d number%s, want %d", path, line, have, have == 1 ? "" : "s", columns);
    for (int c = 0; c < columns; c++) {
        size_t k = 0;
        while (k < n && p[k] != ',') k++;
        OT_TRY(field(&out[c], p, k, gaps, line, c + 1, path));
        k += k < n;
        p += k, n -= k;
    }
    return OT_OK;
}

static int blank(const char *p, size_t n)
{
    while (n && isspace((unsigned char)*p)) p++, n--;
    return !n;
}

static ot_status from_text(double **out, int *rows, int columns, int gaps, const char *text, size_t n_bytes, const char *path)
{
    size_t  lines = 1;
    int     n = 0, line = 0, first = 1;
    for (size_t i = 0; i < n_bytes; i++) lines += text[i] == '\n';
    if (lines > INT32_MAX) OT_FAIL(OT_E_SHAPE, "%s: %zu lines, want at most 2147483647", path, lines);
    double *v = NULL;
    size_t  room = 0;
    for (const char *p = text, *end = text + n_bytes; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t      length = (size_t)((stop ? stop : end) - p);
        line++;
        int named = first && names_columns(p, length);
        first = first && blank(p, length);
        if (!named && !blank(p, length)) {
            if ((size_t)n == room) {
                double *more = ot_realloc(v, room = room ? 2 * room : 64, (size_t)columns * sizeof *v);
                if (!more) {
                    ot_free(v);
                    OT_NOMEM(path, room * (size_t)columns * sizeof *v);
                }
                v = more;
            }
            ot_status st = row(v + (size_t)n * (size_t)columns, p, length, columns, gaps, line, path);
            if (st != OT_OK) {
                ot_free(v);
                return st;
            }
            n++;
        }
        p += length + 1;
    }
    if (!n) OT_FAIL(OT_E_SHAPE, "%s: no line with numbers", path);
    *out = v;
    *rows = n;
    return OT_OK;
}

ot_status cli_parse_table(double **out, int *rows, int columns, int gaps, const void *bytes, size_t n_bytes, const char *path)
{
    if (n_bytes >= 6 && !memcmp(bytes, "\x93NUMPY", 6)) return from_npy(out, rows, columns, gaps, bytes, n_bytes, path);
    return from_text(out, rows, columns, gaps, bytes, n_bytes, path);
}

ot_status cli_read_table(double **out, int *rows, int columns, int gaps, const char *path)
{
    void     *bytes = NULL;
    size_t    n_bytes = 0;
    if (strstr(path, ".npz:")) return from_npz(out, rows, columns, gaps, path);
    ot_status st = ot__file_read(&bytes, &n_bytes, path, (size_t)1 << 34);
    if (st == OT_OK) st = cli_parse_table(out, rows, columns, gaps, bytes, n_bytes, path);
    ot_free(bytes);
    return st;
}

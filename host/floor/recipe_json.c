/* recipe_json.c - the header of a recipe: the JSON of a safetensors file, and not one construct more.
 *
 *     {"__metadata__": {"format": "ohmtrim.recipe", ...},                                    texts by key
 *      "before.mean": {"dtype": "F64", "shape": [370], "data_offsets": [0, 2960]}, ...}     tensors; then spaces
 *
 * The grammar has a fixed depth, so nothing recurses; numbers are counts (digits alone); a string is unescaped where it stands, for it
 * never gets longer.  Every failure names the byte.  What the header promises is then held against the file's length: bytes = product
 * of the shape, aligned, no hole, no overlap, nothing left over. */
#include "floor/recipe.h"
#include "base/fail.h"

#include <string.h>

static const struct { const char *name; size_t bytes; } dtypes[] = {
    [OT_DTYPE_F64] = {"F64", 8}, [OT_DTYPE_F32] = {"F32", 4}, [OT_DTYPE_I32] = {"I32", 4}, [OT_DTYPE_U8] = {"U8", 1},
};
const char *ot__dtype_name(ot_dtype t) { return dtypes[t].name; }
size_t      ot__dtype_bytes(ot_dtype t) { return dtypes[t].bytes; }

typedef struct cursor {
    char       *text;
    size_t      n, at;
    const char *name;
} cursor;

static void space(cursor *c)
{
    while (c->at < c->n && strchr(" \t\r\n", c->text[c->at]) && c->text[c->at]) c->at++;
}

static int peek(cursor *c)
{
    space(c);
    return c->at < c->n ? (unsigned char)c->text[c->at] : -1;
}

/* The byte at hand, for a sentence. */
static const char *seen(cursor *c, char out[16])
{
    int b = peek(c);
    if (b < 0) return "the end";
    const char *hex = "0123456789abcdef";
    if (b > 32 && b < 127) out[0] = '\'', out[1] = (char)b, out[2] = '\'', out[3] = 0;
    else memcpy(out, "byte 0x", 7), out[7] = hex[b >> 4], out[8] = hex[b & 15], out[9] = 0;
    return out;
}

static ot_status want(cursor *c, char what)
{
    char s[16];
    if (peek(c) != what) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: %s, want '%c'", c->name, c->at, seen(c, s), what);
    c->at++;
    return OT_OK;
}

/* After a member: 1 in *more for a comma, 0 for the closing bracket. */
static ot_status next(cursor *c, char close, int *more)
{
    char s[16];
    int  b = peek(c);
    if (b != ',' && b != close) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: %s, want ',' or '%c'", c->name, c->at, seen(c, s), close);
    *more = b == ',';
    c->at++;
    return OT_OK;
}

static int hex4(cursor *c, unsigned *out)
{
    *out = 0;
    if (c->n - c->at < 4) return 0;
    for (int i = 0; i < 4; i++) {
        int b = c->text[c->at + (size_t)i], digit = b >= '0' && b <= '9' ? b - '0' : b >= 'a' && b <= 'f' ? b - 'a' + 10 : b >= 'A' && b <= 'F' ? b - 'A' + 10 : -1;
        if (digit < 0) return 0;
        *out = *out << 4 | (unsigned)digit;
    }
    c->at += 4;
    return 1;
}

static char *put_utf8(char *to, unsigned u)
{
    if (u < 0x80) *to++ = (char)u;
    else if (u < 0x800) *to++ = (char)(0xc0 | u >> 6), *to++ = (char)(0x80 | (u & 63));
    else if (u < 0x10000) *to++ = (char)(0xe0 | u >> 12), *to++ = (char)(0x80 | (u >> 6 & 63)), *to++ = (char)(0x80 | (u & 63));
    else *to++ = (char)(0xf0 | u >> 18), *to++ = (char)(0x80 | (u >> 12 & 63)), *to++ = (char)(0x80 | (u >> 6 & 63)), *to++ = (char)(0x80 | (u & 63));
    return to;
}

/* What stands behind a backslash; the text it makes is never longer than the escape. */
static ot_status escape(cursor *c, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    size_t   start = c->at - 1;
    unsigned u, low;
    if (c->at >= c->n) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: the header ends in a string", c->name, c->at);
    char        b = c->text[c->at++];
    const char *known = b ? strchr(from, b) : NULL;
    if (known) {
        *(*to)++ = into[known - from];
        return OT_OK;
    }
    if (b != 'u' || !hex4(c, &u)) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: no JSON escape", c->name, start);
    if (u >= 0xd800 && u < 0xdc00) {                   /* the first of a pair */
        if (c->n - c->at < 2 || memcmp(c->text + c->at, "\\u", 2)) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: half of a surrogate pair", c->name, start);
        c->at += 2;
        if (!hex4(c, &low) || low < 0xdc00 || low > 0xdfff) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: half of a surrogate pair", c->name, start);
        u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
    } else if (u == 0 || (u >= 0xdc00 && u < 0xe000))
        OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: \\u%04x stands for no character", c->name, start, u);
    *to = put_utf8(*to, u);
    return OT_OK;
}

/* Length of the UTF-8 character at p, 0 where it is none (overlong, surrogate, beyond U+10FFFF, cut). */
static size_t utf8(const unsigned char *p, size_t n)
{
    size_t   k = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    unsigned least = k == 3 ? 0x800 : k == 4 ? 0x10000 : 0, u = k == 1 ? p[0] : p[0] & (0x7fu >> k);
    if (k == 0 || k > n) return 0;
    for (size_t i = 1; i < k; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        u = u << 6 | (p[i] & 63);
    }
    return u < least || u > 0x10ffff || (u >= 0xd800 && u < 0xe000) ? 0 : k;
}

/* A string, unescaped in place; ends with a 0 byte where its closing quote stood, or before. */
static ot_status string(cursor *c, const char **out)
{
    OT_TRY(want(c, '"'));
    char *start = c->text + c->at, *to = start;
    for (;;) {
        if (c->at >= c->n) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: the header ends in a string", c->name, c->at);
        unsigned char b = (unsigned char)c->text[c->at];
        if (b == '"') break;
        if (b < 32) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: byte 0x%02x in a string, want it escaped", c->name, c->at, b);
        if (b == '\\') {
            c->at++;
            OT_TRY(escape(c, &to));
            continue;
        }
        size_t k = utf8((const unsigned char *)c->text + c->at, c->n - c->at);
        if (!k) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: byte 0x%02x begins no UTF-8 character", c->name, c->at, b);
        while (k--) *to++ = c->text[c->at++];
    }
    c->at++;
    *to = 0;
    *out = start;
    return OT_OK;
}

/* A whole number of 0 or more, digits alone. */
static ot_status count(cursor *c, int64_t *out)
{
    char    s[16];
    int64_t v = 0;
    int     b = peek(c);
    size_t  start = c->at;
    if (b < '0' || b > '9') OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: %s, want a whole number", c->name, c->at, seen(c, s));
    for (; c->at < c->n && c->text[c->at] >= '0' && c->text[c->at] <= '9'; c->at++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, c->text[c->at] - '0', &v))
            OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: a number beyond 9223372036854775807", c->name, start);
    if (b == '0' && c->at > start + 1) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: a number that begins with 0", c->name, start);
    *out = v;
    return OT_OK;
}

static ot_status shape(cursor *c, ot_tensor *t)
{
    OT_TRY(want(c, '['));
    if (peek(c) == ']') {
        c->at++;
        return OT_OK;
    }
    for (int more = 1; more;) {
        if (t->n_dims == OT_RECIPE_DIMS)
            OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: tensor '%.60s' has more than %d dimensions", c->name, c->at, t->name, OT_RECIPE_DIMS);
        OT_TRY(count(c, &t->dims[t->n_dims++]));
        OT_TRY(next(c, ']', &more));
    }
    return OT_OK;
}

static ot_status dtype(cursor *c, ot_tensor *t)
{
    const char *text;
    OT_TRY(string(c, &text));
    for (int i = 0; i < OT_DTYPES; i++)
        if (!strcmp(text, dtypes[i].name)) {
            t->dtype = (ot_dtype)i;
            return OT_OK;
        }
    OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' has dtype '%.20s', want F64, F32, I32 or U8", c->name, t->name, text);
}

static ot_status tensor(cursor *c, ot_tensor *t)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    int had[3] = {0};
    OT_TRY(want(c, '{'));
    for (int more = 1; more;) {
        const char *key;
        OT_TRY(string(c, &key));
        OT_TRY(want(c, ':'));
        int k = 0;
        while (k < 3 && strcmp(key, keys[k])) k++;
        if (k == 3) OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' has '%.30s', want dtype, shape, data_offsets", c->name, t->name, key);
        if (had[k]++) OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' has '%s' twice", c->name, t->name, key);
        if (k == 0) OT_TRY(dtype(c, t));
        else if (k == 1) OT_TRY(shape(c, t));
        else {
            OT_TRY(want(c, '['));
            OT_TRY(count(c, &t->begin));
            OT_TRY(want(c, ','));
            OT_TRY(count(c, &t->end));
            OT_TRY(want(c, ']'));
        }
        OT_TRY(next(c, '}', &more));
    }
    for (int k = 0; k < 3; k++)
        if (!had[k]) OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' has no %s", c->name, t->name, keys[k]);
    return OT_OK;
}

static ot_status texts(cursor *c, ot_header *h)
{
    if (h->has_texts++) OT_FAIL(OT_E_FORMAT, "%s: __metadata__ stands twice in the header", c->name);
    OT_TRY(want(c, '{'));
    if (peek(c) == '}') {
        c->at++;
        return OT_OK;
    }
    for (int more = 1; more;) {
        int n = h->n_texts;
        if (n == OT_RECIPE_TEXTS) OT_FAIL(OT_E_FORMAT, "%s: more than %d texts in the header", c->name, OT_RECIPE_TEXTS);
        OT_TRY(string(c, &h->key[n]));
        OT_TRY(want(c, ':'));
        OT_TRY(string(c, &h->text[n]));
        for (int i = 0; i < n; i++)
            if (!strcmp(h->key[i], h->key[n])) OT_FAIL(OT_E_FORMAT, "%s: text '%.60s' stands twice in the header", c->name, h->key[n]);
        h->n_texts++;
        OT_TRY(next(c, '}', &more));
    }
    return OT_OK;
}

/* The tensor's bytes are what its shape says, and stand where they can be read. */
static ot_status check(const ot_tensor *t, int64_t n_data, const char *name)
{
    int64_t bytes = (int64_t)dtypes[t->dtype].bytes;
    for (int i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(bytes, t->dims[i], &bytes))
            OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' has a shape beyond 2^63 bytes", name, t->name);
    if (t->begin > t->end || t->end > n_data)
        OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' stands at bytes %lld..%lld of %lld (truncated?)", name, t->name, (long long)t->begin, (long long)t->end,
                (long long)n_data);
    if (t->end - t->begin != bytes)
        OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' has %lld bytes, its shape wants %lld", name, t->name, (long long)(t->end - t->begin), (long long)bytes);
    if (t->begin % (int64_t)dtypes[t->dtype].bytes)
        OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' begins at byte %lld, want a multiple of %zu", name, t->name, (long long)t->begin, dtypes[t->dtype].bytes);
    return OT_OK;
}

/* Sorted by place (insertion: they mostly are), then one after the other without hole or overlap. */
static ot_status cover(ot_header *h, int64_t n_data, const char *name)
{
    int64_t at = 0;
    for (int i = 1; i < h->n_tensors; i++) {
        ot_tensor t = h->tensor[i];
        int       j = i;
        for (; j > 0 && (h->tensor[j - 1].begin > t.begin || (h->tensor[j - 1].begin == t.begin && h->tensor[j - 1].end > t.end)); j--)
            h->tensor[j] = h->tensor[j - 1];
        h->tensor[j] = t;
    }
    for (int i = 0; i < h->n_tensors; i++) {
        const ot_tensor *t = &h->tensor[i];
        if (t->begin != at)
            OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' begins at byte %lld, the one before ends at %lld (%s)", name, t->name, (long long)t->begin, (long long)at,
                    t->begin < at ? "they overlap" : "a hole");
        at = t->end;
    }
    if (at != n_data) OT_FAIL(OT_E_FORMAT, "%s: the tensors end at byte %lld of %lld", name, (long long)at, (long long)n_data);
    return OT_OK;
}

ot_status ot__header_parse(ot_header *out, char *text, size_t n, int64_t n_data, const char *name)
{
    cursor      c = {.text = text, .n = n, .name = name};
    const char *key;
    char        s[16];
    *out = (ot_header){0};
    OT_TRY(want(&c, '{'));
    for (int more = 1; more;) {
        OT_TRY(string(&c, &key));
        OT_TRY(want(&c, ':'));
        if (!strcmp(key, "__metadata__")) OT_TRY(texts(&c, out));
        else {
            if (out->n_tensors == OT_RECIPE_TENSORS) OT_FAIL(OT_E_FORMAT, "%s: more than %d tensors", name, OT_RECIPE_TENSORS);
            ot_tensor *t = &out->tensor[out->n_tensors];
            t->name = key;
            for (int i = 0; i < out->n_tensors; i++)
                if (!strcmp(out->tensor[i].name, key)) OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' stands twice in the header", name, key);
            OT_TRY(tensor(&c, t));
            OT_TRY(check(t, n_data, name));
            out->n_tensors++;
        }
        OT_TRY(next(&c, '}', &more));
    }
    if (peek(&c) >= 0) OT_FAIL(OT_E_FORMAT, "%s: header byte %zu: %s behind the closing '}', want spaces", name, c.at, seen(&c, s));
    return cover(out, n_data, name);
}

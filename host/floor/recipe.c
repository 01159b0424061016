/* recipe.c - opens a recipe: one safetensors file.
 *
 *     8 bytes      length n of the header, little endian
 *     n bytes      JSON (recipe_json.c), padded with spaces to a multiple of 8
 *     the rest     the tensors, those of large elements first, so that each is aligned
 *
 * The file is copied into one block, and models and texts point into it.  Nothing is looked at before the header's promises are held
 * against the file's length; then recipe_models.c checks what the numbers say.  A file that opens can be evaluated. */
#include "floor/recipe.h"
#include "base/fail.h"
#include "floor/names.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "recipes are little endian, and read as they are");

static const int64_t MOST_BYTES = (int64_t)1 << 30;

static const char *const kinds[] = {"full", "final", "moments", "plain"};
const char *ot_signature_kind_name(ot_signature_kind kind) { return ot__name_of(kinds, OT_SIGNATURE_KINDS, (int)kind); }

ot_status ot_signature_kind_parse(ot_signature_kind *out, const char *name)
{
    int       i;
    ot_status st = ot__name_parse(&i, kinds, OT_SIGNATURE_KINDS, "signature", name);
    if (st == OT_OK) *out = (ot_signature_kind)i;
    return st;
}

static const char *const menders[] = {"learned", "nearest", "knn", "ridge", "moments", "none"};
const char *ot_mender_name(ot_mender mender) { return ot__name_of(menders, OT_MENDERS, (int)mender); }

ot_status ot_mender_parse(ot_mender *out, const char *name)
{
    int       i;
    ot_status st = ot__name_parse(&i, menders, OT_MENDERS, "mender", name);
    if (st == OT_OK) *out = (ot_mender)i;
    return st;
}

static const char *const knob_kinds[] = {"gain-offset", "threshold", "gain"};
const char *ot_knob_kind_name(ot_knob_kind kind) { return ot__name_of(knob_kinds, OT_KNOB_KINDS, (int)kind); }

ot_status ot_knob_kind_parse(ot_knob_kind *out, const char *name)
{
    int       i;
    ot_status st = ot__name_parse(&i, knob_kinds, OT_KNOB_KINDS, "knobs", name);
    if (st == OT_OK) *out = (ot_knob_kind)i;
    return st;
}

int ot_layout_length(const ot_layout *l)
{
    int64_t k = l->images, relus = l->relus, classes = l->classes;
    if (k < 1 || relus < 1 || classes < 1) return -1;
    if (l->kind == OT_SIGNATURE_PLAIN) return l->length;
    int64_t a_image = l->kind == OT_SIGNATURE_FINAL ? classes : relus + classes;
    int64_t s = k * a_image + (l->kind == OT_SIGNATURE_MOMENTS ? 2 * relus : 0);            /* below 2^63: 2^31 * 2^32 */
    return s > INT32_MAX ? -1 : (int)s;
}

const char *ot_floor_text(const ot_floor *f, const char *key)
{
    for (int i = 0; i < f->header.n_texts; i++)
        if (!strcmp(f->header.key[i], key)) return f->header.text[i];
    return NULL;
}

ot_status ot__recipe_text(const char **out, const ot_floor *f, const char *key, const char *name)
{
    if (!(*out = ot_floor_text(f, key))) OT_FAIL(OT_E_FORMAT, "%s: no text '%s' in the header", name, key);
    return OT_OK;
}

ot_status ot__recipe_count(int *out, const ot_floor *f, const char *key, int least, const char *name)
{
    const char *text;
    int         v = 0;
    OT_TRY(ot__recipe_text(&text, f, key, name));
    for (const char *p = text; v >= 0 && (*p || p == text); p++)
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v)) v = -1;
    if (v < least) OT_FAIL(OT_E_FORMAT, "%s: %s = '%.30s', want a whole number %d..2147483647", name, key, text, least);
    *out = v;
    return OT_OK;
}

int ot__recipe_has(const ot_floor *f, const char *tensor)
{
    for (int i = 0; i < f->header.n_tensors; i++)
        if (!strcmp(f->header.tensor[i].name, tensor)) return 1;
    return 0;
}

static ot_status check_finite(const ot_tensor *t, const void *at, const char *name)
{
    int64_t n = (t->end - t->begin) / (int64_t)ot__dtype_bytes(t->dtype);
    for (int64_t i = 0; i < n; i++) {
        double v = t->dtype == OT_DTYPE_F64 ? ((const double *)at)[i] : t->dtype == OT_DTYPE_F32 ? (double)((const float *)at)[i] : 0;
        if (!isfinite(v)) OT_FAIL(OT_E_DATA, "%s: tensor '%s' holds %g (number %lld of %lld), want finite", name, t->name, v, (long long)i, (long long)n);
    }
    return OT_OK;
}

ot_status ot__recipe_take(void *out, ot_floor *f, const char *prefix, const char *tensor, ot_dtype dtype, int n_dims, int64_t *dims,
                          const char *name)
{
    char       full[64];
    ot_tensor *t = NULL;
    snprintf(full, sizeof full, "%s%s%s", prefix, *prefix ? "." : "", tensor);
    for (int i = 0; i < f->header.n_tensors; i++)
        if (!strcmp(f->header.tensor[i].name, full)) t = &f->header.tensor[i];
    if (!t) OT_FAIL(OT_E_FORMAT, "%s: no tensor '%s'", name, full);
    if (t->dtype != dtype) OT_FAIL(OT_E_FORMAT, "%s: tensor '%s' is %s, want %s", name, full, ot__dtype_name(t->dtype), ot__dtype_name(dtype));
    if (t->n_dims != n_dims) OT_FAIL(OT_E_SHAPE, "%s: tensor '%s' has %d dimensions, want %d", name, full, t->n_dims, n_dims);
    for (int i = 0; i < n_dims; i++) {
        if (dims[i] < 0 && t->dims[i] < INT32_MAX) dims[i] = t->dims[i];
        if (t->dims[i] != dims[i])
            OT_FAIL(OT_E_SHAPE, "%s: dimension %d of tensor '%s' is %lld, want %lld", name, i, full, (long long)t->dims[i],
                    dims[i] < 0 ? (long long)INT32_MAX - 1 : (long long)dims[i]);
    }
    const char *at = f->data + t->begin;
    t->used = 1;
    memcpy(out, &at, sizeof at);
    return check_finite(t, at, name);
}

static ot_status layout(ot_floor *f, const char *name)
{
    ot_layout  *l = &f->layout;
    const char *kind;
    OT_TRY(ot__recipe_text(&kind, f, "signature", name));
    ot_status st = ot_signature_kind_parse(&l->kind, kind);
    if (st != OT_OK) return ot__fail_prefix(OT_E_FORMAT, "%s: ", name);
    OT_TRY(ot__recipe_count(&l->images, f, "signature.images", 1, name));
    OT_TRY(ot__recipe_count(&l->relus, f, "signature.relus", 1, name));
    OT_TRY(ot__recipe_count(&l->classes, f, "signature.classes", 1, name));
    OT_TRY(ot__recipe_count(&l->length, f, "signature.length", 1, name));
    if (l->length != ot_layout_length(l))
        OT_FAIL(OT_E_SHAPE, "%s: signatures of %d numbers, but %s ones of %d images, %d layers, %d classes have %d", name, l->length, kind, l->images, l->relus,
                l->classes, ot_layout_length(l));
    return OT_OK;
}

static ot_status rule(ot_floor *f, const char *name)
{
    const char   *kind;
    const double *v = NULL;
    int64_t       dims[1] = {5};
    OT_TRY(ot__recipe_text(&kind, f, "rule", name));
    ot_status st = ot_rule_parse(&f->rule.kind, kind);
    if (st != OT_OK) return ot__fail_prefix(OT_E_FORMAT, "%s: ", name);
    OT_TRY(ot__recipe_take(&v, f, "", "rule.numbers", OT_DTYPE_F64, 1, dims, name));
    f->rule.cutoff = v[0], f->rule.guard = v[1], f->rule.guard_after = v[2], f->rule.k = v[3], f->rule.escape = v[4];
    if (!(v[0] >= 0 && v[0] <= 1)) OT_FAIL(OT_E_DATA, "%s: rule.numbers[0] (the cutoff) = %g, want 0..1", name, v[0]);
    return OT_OK;
}

/* Images, and a line for each that says where it came from. */
static ot_status stimulus(ot_floor *f, const char *name)
{
    int64_t     dims[4] = {f->layout.images, -1, -1, -1};
    const char *text = ot_floor_text(f, "stimulus.sources");
    if (ot__recipe_has(f, "stimulus")) {
        OT_TRY(ot__recipe_take(&f->stimulus, f, "", "stimulus", OT_DTYPE_U8, 4, dims, name));
        for (int i = 0; i < 3; i++) f->image[i] = (int)dims[i + 1];
        if (f->image[0] < 1 || f->image[1] < 1 || f->image[2] < 1)
            OT_FAIL(OT_E_SHAPE, "%s: stimulus images of %d x %d x %d pixels", name, f->image[0], f->image[1], f->image[2]);
    }
    if (!text) return OT_OK;
    int lines = 1;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    if (lines != f->layout.images) OT_FAIL(OT_E_SHAPE, "%s: stimulus.sources has %d lines for %d images", name, lines, f->layout.images);
    f->sources = ot_strdup(text);
    f->source = ot_alloc((size_t)lines, sizeof *f->source);
    if (!f->sources || !f->source) OT_NOMEM(name, strlen(text));
    char *p = f->sources;
    for (int i = 0; i < lines; i++) {
        char *end = strchr(p, '\n');
        f->source[i] = p;
        if (end) *end = 0, p = end + 1;
    }
    return OT_OK;
}

static ot_status scratch(ot_floor *f, const char *name)
{
    size_t p = 0, work = 2 * (size_t)f->mending.k;
    for (int i = 0; i <= f->has_after; i++) {
        size_t here = (size_t)f->judge[i].features.p, both = here + (size_t)f->judge[i].screen.q;
        p = here > p ? here : p;
        work = both > work ? both : work;
    }
    f->x = ot_alloc(p, sizeof *f->x);
    f->work = ot_alloc(work, sizeof *f->work);
    f->gain = ot_alloc((size_t)f->layout.relus, sizeof *f->gain);
    f->offset = ot_alloc((size_t)f->layout.relus, sizeof *f->offset);
    if (!f->x || !f->work || !f->gain || !f->offset) OT_NOMEM(name, (p + work) * sizeof *f->x);
    return OT_OK;
}

static ot_status parse(ot_floor *f, size_t n_bytes, const char *name)
{
    uint64_t    n = 0;
    const char *format, *version;
    if (n_bytes < 10) OT_FAIL(OT_E_FORMAT, "%s: %zu bytes, too short for a recipe", name, n_bytes);
    memcpy(&n, f->bytes, 8);
    if (n > OT_RECIPE_HEADER || n > n_bytes - 8)
        OT_FAIL(OT_E_FORMAT, "%s: a header of %llu bytes in a file of %zu (no recipe, or truncated)", name, (unsigned long long)n, n_bytes);
    if (n % 8) OT_FAIL(OT_E_FORMAT, "%s: a header of %llu bytes, want a multiple of 8", name, (unsigned long long)n);
    f->data = f->bytes + 8 + n;
    OT_TRY(ot__header_parse(&f->header, f->bytes + 8, (size_t)n, (int64_t)(n_bytes - 8 - (size_t)n), name));
    format = ot_floor_text(f, "format");
    if (!format || strcmp(format, OT_RECIPE_FORMAT)) OT_FAIL(OT_E_FORMAT, "%s: a safetensors file whose format is '%.40s', want '" OT_RECIPE_FORMAT "'", name, format ? format : "");
    OT_TRY(ot__recipe_text(&version, f, "version", name));
    if (strcmp(version, OT_RECIPE_VERSION)) OT_FAIL(OT_E_VERSION, "%s: a recipe of version '%.20s', this reader knows " OT_RECIPE_VERSION, name, version);
    OT_TRY(layout(f, name));
    OT_TRY(ot__recipe_judge(&f->judge[OT_FLOOR_BEFORE], f, "before", name));
    f->has_after = ot_floor_text(f, "after.predictor") != NULL;
    if (f->has_after) OT_TRY(ot__recipe_judge(&f->judge[OT_FLOOR_AFTER], f, "after", name));
    OT_TRY(rule(f, name));
    OT_TRY(ot__recipe_mending(&f->mending, f, name));
    OT_TRY(stimulus(f, name));
    for (int i = 0; i < f->header.n_tensors; i++)
        if (!f->header.tensor[i].used) OT_FAIL(OT_E_FORMAT, "%s: tensor '%.60s' has no place in a recipe of this kind", name, f->header.tensor[i].name);
    return scratch(f, name);
}

/* Takes the bytes (freed on failure too). */
static ot_status take_over(ot_floor **out, char *bytes, size_t n_bytes, const char *name)
{
    ot_floor *f = ot_alloc(1, sizeof *f);
    if (!f) {
        ot_free(bytes);
        OT_NOMEM(name, sizeof *f);
    }
    f->bytes = bytes;
    ot_status st = parse(f, n_bytes, name);
    if (st == OT_OK) *out = f;
    else ot_floor_free(f);
    return st;
}

ot_status ot_floor_read(ot_floor **out, const void *bytes, size_t n_bytes, const char *name)
{
    char *copy = ot_alloc(n_bytes + 1, 1);
    if (!copy) OT_NOMEM(name, n_bytes + 1);
    if (n_bytes) memcpy(copy, bytes, n_bytes);
    return take_over(out, copy, n_bytes, name);
}

ot_status ot_floor_open(ot_floor **out, const char *path)
{
    ot_status st = OT_OK;
    char     *bytes = NULL;
    long      n = -1;
    FILE     *file = fopen(path, "rb");
    if (!file) OT_FAIL(OT_E_OPEN, "%s: %s", path, strerror(errno));
    if (fseek(file, 0, SEEK_END) || (n = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) OT_FAIL_TO(done, st, OT_E_OPEN, "%s: %s", path, strerror(errno));
    if (n > MOST_BYTES) OT_FAIL_TO(done, st, OT_E_OPEN, "%s: %ld bytes, want at most %lld", path, n, (long long)MOST_BYTES);
    if (!(bytes = ot_alloc((size_t)n + 1, 1))) OT_FAIL_TO(done, st, OT_E_NOMEM, "%s: no memory for %ld bytes", path, n + 1);
    if (fread(bytes, 1, (size_t)n, file) != (size_t)n)
        OT_FAIL_TO(done, st, OT_E_OPEN, "%s: %s", path, ferror(file) ? strerror(errno) : "became shorter while it was read");
    st = take_over(out, bytes, (size_t)n, path);
    bytes = NULL;
done:
    ot_free(bytes);
    fclose(file);
    return st;
}

void ot_floor_free(ot_floor *f)
{
    if (!f) return;
    ot_free(f->offset);
    ot_free(f->gain);
    ot_free(f->work);
    ot_free(f->x);
    ot_free((void *)f->source);
    ot_free(f->sources);
    ot_free(f->bytes);
    ot_free(f);
}

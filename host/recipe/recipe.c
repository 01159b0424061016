/* recipe.c - a recipe as one safetensors file (docs/recipe.md has it tensor by tensor).
 *
 *     collect     every array of the models becomes a tensor: name, type, shape, pointer
 *     order       elements of 8 bytes first, then 4, then 1: each tensor is aligned without a hole
 *     header      JSON by cJSON: texts in __metadata__, then the tensors; padded with spaces to a multiple of 8
 *     prove       the bytes are opened by the reader of the test floor: what it refuses is not written
 *
 * Arrays are only looked at by their sizes here; whether the numbers make sense is said by one place alone, the reader. */
#include "ohmtrim/recipe.h"

#include "base/fail.h"
#include "base/file.h"
#include "floor/recipe.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

typedef struct piece {
    char        name[48];
    ot_dtype    dtype;
    int         n_dims;
    int64_t     dims[OT_RECIPE_DIMS], bytes;
    const void *data;
} piece;

typedef struct writer {
    piece     pieces[OT_RECIPE_TENSORS];
    int       n;
    cJSON    *texts;
    ot_status st;                                       /* of the first failure; what comes after it is left out */
    double    numbers[2][12], rule[5], ladder[3];                /* single numbers of each judge, as arrays */
} writer;

static void add(writer *w, const char *prefix, const char *name, ot_dtype dtype, const void *data, int n_dims, int64_t a, int64_t b, int64_t c,
                int64_t d)
{
    if (w->st != OT_OK) return;
    piece  *p = &w->pieces[w->n++];
    int64_t dims[OT_RECIPE_DIMS] = {a, b, c, d};
    *p = (piece){.dtype = dtype, .n_dims = n_dims, .data = data, .bytes = (int64_t)ot__dtype_bytes(dtype)};
    snprintf(p->name, sizeof p->name, "%s%s%s", prefix, *prefix ? "." : "", name);
    for (int i = 0; i < n_dims; i++) {
        p->dims[i] = dims[i];
        if (dims[i] < 0 || __builtin_mul_overflow(p->bytes, dims[i], &p->bytes)) {
            w->st = ot__fail(OT_E_SHAPE, __FILE__, __LINE__, "recipe: dimension %d of '%s' is %lld", i, p->name, (long long)dims[i]);
            return;
        }
    }
    if (p->bytes && !data) w->st = ot__fail(OT_E_SHAPE, __FILE__, __LINE__, "recipe: '%s' has no numbers, want %lld", p->name, (long long)dims[0]);
}

static void add1(writer *w, const char *prefix, const char *name, ot_dtype dtype, const void *data, int64_t n)
{
    add(w, prefix, name, dtype, data, 1, n, 0, 0, 0);
}

static void add2(writer *w, const char *prefix, const char *name, ot_dtype dtype, const void *data, int64_t n, int64_t m)
{
    add(w, prefix, name, dtype, data, 2, n, m, 0, 0);
}

static void text(writer *w, const char *prefix, const char *key, const char *value)
{
    char full[96];
    if (w->st != OT_OK || !value) return;
    if (snprintf(full, sizeof full, "%s%s%s", prefix, *prefix ? "." : "", key) >= (int)sizeof full) {
        w->st = ot__fail(OT_E_FORMAT, __FILE__, __LINE__, "recipe: the key '%.40s...' has %zu bytes, want at most 95", full, strlen(key));
        return;
    }
    if (!cJSON_AddStringToObject(w->texts, full, value)) w->st = ot__fail(OT_E_NOMEM, __FILE__, __LINE__, "recipe: no memory for the text '%s'", full);
}

static void text_count(writer *w, const char *key, int value)
{
    char s[16];
    snprintf(s, sizeof s, "%d", value);
    text(w, "", key, s);
}

/* The numbers[] of a judge: interval 0..1, error 2..4, threshold 5, a predictor's two 6..7 and range 8..9. */
static void judge(writer *w, const char *prefix, const ot_judge *j, double *numbers)
{
    const ot_features  *f = &j->features;
    const ot_predictor *m = &j->predictor;
    const ot_screen    *s = &j->screen;
    int                 p = f->p;
    if (m->p != p || s->p != p)
        w->st = ot__fail(OT_E_SHAPE, __FILE__, __LINE__, "recipe: %s: %d features, a predictor of %d, a screen of %d, want as many", prefix, p, m->p, s->p);
    double all[] = {j->low, j->high, j->rmse, j->sd, j->mean, s->threshold, 0, 0, m->least, m->most};
    if (m->kind == OT_PREDICTOR_BOOST) all[6] = m->boost.init, all[7] = m->boost.rate;
    if (m->kind == OT_PREDICTOR_RIDGE) all[6] = m->ridge.intercept;
    memcpy(numbers, all, sizeof all);
    add1(w, prefix, "feature", OT_DTYPE_I32, f->feature, p);
    add1(w, prefix, "mean", OT_DTYPE_F64, f->mean, p);
    add1(w, prefix, "sd", OT_DTYPE_F64, f->sd, p);
    add1(w, prefix, "interval", OT_DTYPE_F64, numbers, 2);
    add1(w, prefix, "error", OT_DTYPE_F64, numbers + 2, 3);
    if (m->holds) add1(w, prefix, "range", OT_DTYPE_F64, numbers + 8, 2);
    text(w, prefix, "predictor", ot_predictor_name(m->kind));
    switch (m->kind) {
    case OT_PREDICTOR_MARS:
        add1(w, prefix, "mars.coef", OT_DTYPE_F64, m->mars.coef, m->mars.terms);
        add1(w, prefix, "mars.cut", OT_DTYPE_F64, m->mars.cut, m->mars.hinges);
        add1(w, prefix, "mars.start", OT_DTYPE_I32, m->mars.start, (int64_t)m->mars.terms + 1);
        add1(w, prefix, "mars.feature", OT_DTYPE_I32, m->mars.feature, m->mars.hinges);
        add1(w, prefix, "mars.dir", OT_DTYPE_I32, m->mars.dir, m->mars.hinges);
        break;
    case OT_PREDICTOR_BOOST:
        add1(w, prefix, "boost.numbers", OT_DTYPE_F64, numbers + 6, 2);
        add1(w, prefix, "boost.value", OT_DTYPE_F64, m->boost.value, m->boost.nodes);
        add1(w, prefix, "boost.root", OT_DTYPE_I32, m->boost.root, m->boost.trees);
        add1(w, prefix, "boost.feature", OT_DTYPE_I32, m->boost.feature, m->boost.nodes);
        add1(w, prefix, "boost.left", OT_DTYPE_I32, m->boost.left, m->boost.nodes);
        break;
    case OT_PREDICTOR_RIDGE:
        add1(w, prefix, "ridge.intercept", OT_DTYPE_F64, numbers + 6, 1);
        add1(w, prefix, "ridge.coef", OT_DTYPE_F64, m->ridge.coef, p);
        break;
    case OT_PREDICTORS: break;
    }
    text(w, prefix, "screen", ot_screen_name(s->kind));
    add1(w, prefix, "screen.centre", OT_DTYPE_F64, s->centre, s->q);
    add2(w, prefix, "screen.factor", OT_DTYPE_F64, s->factor, s->q, s->q);
    add1(w, prefix, "screen.threshold", OT_DTYPE_F64, numbers + 5, 1);
    if (s->middle) {
        add1(w, prefix, "screen.middle", OT_DTYPE_F64, s->middle, p);
        add1(w, prefix, "screen.width", OT_DTYPE_F64, s->width, p);
    }
    if (s->kind == OT_SCREEN_PCA_MCD) {
        add1(w, prefix, "screen.mean", OT_DTYPE_F64, s->mean, p);
        add2(w, prefix, "screen.axes", OT_DTYPE_F64, s->axes, (int64_t)s->q - 1, p);
    }
}

static void mending(writer *w, const ot_mending *m, int l, int p)
{
    const ot_cases *c = &m->cases;
    int             looks = m->kind == OT_MENDER_LEARNED || m->kind == OT_MENDER_NEAREST || m->kind == OT_MENDER_KNN;
    text(w, "", "mender", ot_mender_name(m->kind));
    if (looks || c->n > 0) {
        if (c->n > 0 && (c->p != p || c->l != l))
            w->st = ot__fail(OT_E_SHAPE, __FILE__, __LINE__, "recipe: a casebook of %d features and %d layers, want %d and %d", c->p, c->l, p, l);
        add2(w, "cases", "x", OT_DTYPE_F32, c->x, c->n, p);
        add2(w, "cases", "gain", OT_DTYPE_F32, c->gain, c->n, l);
        add2(w, "cases", "offset", OT_DTYPE_F32, c->offset, c->n, l);
        if (c->clusters > 0) {
            add1(w, "cases", "label", OT_DTYPE_I32, c->label, c->n);
            add1(w, "cases", "medoid", OT_DTYPE_I32, c->medoid, c->clusters);
        }
    }
    if (m->knobs != OT_KNOBS_GAIN_OFFSET) text(w, "", "knobs", ot_knob_kind_name(m->knobs));
    if (m->knobs != OT_KNOBS_GAIN_OFFSET && m->ladder.bits) {
        const double ladder[] = {m->ladder.bits, m->ladder.low, m->ladder.high};
        memcpy(w->ladder, ladder, sizeof ladder);
        add1(w, "", "ladder", OT_DTYPE_F64, w->ladder, 3);
    }
    if (m->kind == OT_MENDER_KNN) text_count(w, "mender.k", m->k);
    if (m->kind == OT_MENDER_RIDGE) {
        if (m->ridge.p != p || m->ridge.l != l)
            w->st = ot__fail(OT_E_SHAPE, __FILE__, __LINE__, "recipe: a ridge mender of %d features and %d layers, want %d and %d", m->ridge.p, m->ridge.l, p, l);
        add2(w, "mender", "ridge.coef", OT_DTYPE_F64, m->ridge.coef, 2 * (int64_t)l, p);
        add1(w, "mender", "ridge.intercept", OT_DTYPE_F64, m->ridge.intercept, 2 * (int64_t)l);
    }
    if (m->kind == OT_MENDER_MOMENTS) {
        if (m->moments.l != l)
            w->st = ot__fail(OT_E_SHAPE, __FILE__, __LINE__, "recipe: a moments mender of %d layers, want %d", m->moments.l, l);
        add1(w, "moments", "mean", OT_DTYPE_F64, m->moments.mean, l);
        add1(w, "moments", "sd", OT_DTYPE_F64, m->moments.sd, l);
        add1(w, "moments", "mean_at", OT_DTYPE_I32, m->moments.mean_at, l);
        add1(w, "moments", "sd_at", OT_DTYPE_I32, m->moments.sd_at, l);
    }
}

/* Where the images came from, as lines of one text. */
static void sources(writer *w, const ot_recipe *r)
{
    size_t n = 1, at = 0;
    if (w->st != OT_OK || !r->source) return;
    for (int i = 0; i < r->layout.images; i++) n += strlen(r->source[i]) + 1;
    char *lines = ot_alloc(n, 1);
    if (!lines) {
        w->st = ot__fail(OT_E_NOMEM, __FILE__, __LINE__, "recipe: no memory for %zu bytes of text", n);
        return;
    }
    for (int i = 0; i < r->layout.images; i++) at += (size_t)snprintf(lines + at, n - at, "%s%s", i ? "\n" : "", r->source[i]);
    text(w, "", "stimulus.sources", lines);
    ot_free(lines);
}

static void collect(writer *w, const ot_recipe *r)
{
    const ot_layout *l = &r->layout;
    text(w, "", "format", OT_RECIPE_FORMAT);
    text(w, "", "version", OT_RECIPE_VERSION);
    text(w, "", "ohmtrim", OT_VERSION);
    text(w, "", "network", r->network);
    text(w, "", "network_sha256", r->network_sha256);
    text(w, "", "commit", r->commit);
    text(w, "", "spec_hash", r->spec_hash);
    text(w, "", "expected_error", r->expected_error);
    text(w, "", "signature", ot_signature_kind_name(l->kind));
    text_count(w, "signature.images", l->images);
    text_count(w, "signature.relus", l->relus);
    text_count(w, "signature.classes", l->classes);
    text_count(w, "signature.length", l->length);
    judge(w, "before", &r->before, w->numbers[0]);
    if (w->st == OT_OK && r->has_after) judge(w, "after", &r->after, w->numbers[1]);
    double rule[] = {r->rule.cutoff, r->rule.guard, r->rule.guard_after, r->rule.k, r->rule.escape};
    memcpy(w->rule, rule, sizeof rule);
    text(w, "", "rule", ot_rule_name(r->rule.kind));
    add1(w, "", "rule.numbers", OT_DTYPE_F64, w->rule, 5);
    if (w->st == OT_OK) mending(w, &r->mending, l->relus, r->before.features.p);
    if (r->stimulus) add(w, "", "stimulus", OT_DTYPE_U8, r->stimulus, 4, l->images, r->c, r->h, r->w);
    sources(w, r);
    for (int i = 0; i < r->n_texts; i++) text(w, "", r->texts[i].key, r->texts[i].text);
}

/* Large elements first; among equals the order of collecting. */
static void order(writer *w)
{
    for (int i = 1; i < w->n; i++) {
        piece p = w->pieces[i];
        int   j = i;
        for (; j > 0 && ot__dtype_bytes(w->pieces[j - 1].dtype) < ot__dtype_bytes(p.dtype); j--) w->pieces[j] = w->pieces[j - 1];
        w->pieces[j] = p;
    }
}

static int tensor_object(cJSON *root, const piece *p, int64_t begin)
{
    cJSON *t = cJSON_AddObjectToObject(root, p->name), *shape, *at;
    int    good = t && cJSON_AddStringToObject(t, "dtype", ot__dtype_name(p->dtype)) && (shape = cJSON_AddArrayToObject(t, "shape"));
    for (int i = 0; good && i < p->n_dims; i++) good = cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)p->dims[i]));
    return good && (at = cJSON_AddArrayToObject(t, "data_offsets")) && cJSON_AddItemToArray(at, cJSON_CreateNumber((double)begin)) &&
           cJSON_AddItemToArray(at, cJSON_CreateNumber((double)(begin + p->bytes)));
}

/* Header and tensors in one block.  Takes w->texts. */
static ot_status assemble(char **out, size_t *n_bytes, writer *w)
{
    ot_status st = OT_OK;
    int64_t   total = 0;
    cJSON    *root = cJSON_CreateObject(), *texts = w->texts;
    char     *json = NULL, *bytes;
    if (!root || !cJSON_AddItemToObject(root, "__metadata__", texts)) OT_FAIL_TO(done, st, OT_E_NOMEM, "recipe: no memory for its header");
    w->texts = NULL;
    for (int i = 0; i < w->n; i++) {
        if (!tensor_object(root, &w->pieces[i], total)) OT_FAIL_TO(done, st, OT_E_NOMEM, "recipe: no memory for its header");
        if (__builtin_add_overflow(total, w->pieces[i].bytes, &total) || total > (int64_t)1 << 30)
            OT_FAIL_TO(done, st, OT_E_RANGE, "recipe: more than 1 GiB of numbers");
    }
    if (!(json = cJSON_PrintUnformatted(root))) OT_FAIL_TO(done, st, OT_E_NOMEM, "recipe: no memory for its header");
    size_t n = strlen(json), padded = (n + 7) / 8 * 8;
    *n_bytes = 8 + padded + (size_t)total;
    if (!(bytes = ot_alloc(*n_bytes, 1))) OT_FAIL_TO(done, st, OT_E_NOMEM, "recipe: no memory for %zu bytes", *n_bytes);
    uint64_t length = padded;
    memcpy(bytes, &length, 8);
    memset(bytes + 8, ' ', padded);
    memcpy(bytes + 8, json, n);
    char *at = bytes + 8 + padded;
    for (int i = 0; i < w->n; at += w->pieces[i++].bytes)
        if (w->pieces[i].bytes) memcpy(at, w->pieces[i].data, (size_t)w->pieces[i].bytes);
    *out = bytes;
done:
    cJSON_free(json);
    cJSON_Delete(root);
    return st;
}

ot_status ot_recipe_write(void **out, size_t *n_bytes, const ot_recipe *r)
{
    char     *bytes = NULL;
    size_t    n = 0;
    ot_floor *proof = NULL;
    ot_status st = OT_OK;
    if (!r->network || !r->network_sha256) OT_FAIL(OT_E_USAGE, "recipe: no %s, want it said which network's chips it is for", r->network ? "network_sha256" : "network");
    writer *w = ot_alloc(1, sizeof *w);
    if (!w) OT_NOMEM("recipe", sizeof *w);
    if (!(w->texts = cJSON_CreateObject())) OT_FAIL_TO(done, st, OT_E_NOMEM, "recipe: no memory for its header");
    collect(w, r);
    OT_TRY_TO(done, st, w->st);
    order(w);
    OT_TRY_TO(done, st, assemble(&bytes, &n, w));
    OT_TRY_TO(done, st, ot_floor_read(&proof, bytes, n, "recipe"));
    ot_floor_free(proof);
    *out = bytes;
    *n_bytes = n;
    bytes = NULL;
done:
    ot_free(bytes);
    cJSON_Delete(w->texts);
    ot_free(w);
    return st;
}

ot_status ot_recipe_save(const ot_recipe *r, const char *path)
{
    void  *bytes;
    size_t n;
    OT_TRY(ot_recipe_write(&bytes, &n, r));
    ot_status st = ot__file_write(path, bytes, n);
    ot_free(bytes);
    return st;
}

/* learn_arrays.c - see learn_arrays.h. */
#include "learn_arrays.h"

#include "base/fail.h"

#include <string.h>

/* One source of chips: the arrays it owns, and the chips that point into them. */
typedef struct source {
    ot_array signature, accuracy, gain, offset, tuned_signature, tuned_accuracy;
    ot_chips chips, tuned;
} source;

static void source_free(source *s)
{
    ot_array *all[] = {&s->signature, &s->accuracy, &s->gain, &s->offset, &s->tuned_signature, &s->tuned_accuracy};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ot_array_free(all[i]);
}

static ot_status shape(ot_array *a, const char *path, const char *name, int n_dims, ot_type type)
{
    if (a->n_dims != n_dims) OT_FAIL(OT_E_SHAPE, "%s: %s has %d dimensions, want %d", path, name, a->n_dims, n_dims);
    for (int i = 0; i < n_dims; i++)
        if (a->dims[i] > INT32_MAX) OT_FAIL(OT_E_SHAPE, "%s: %s: dimension %d is %lld, want at most 2147483647", path, name, i, (long long)a->dims[i]);
    ot_status st = ot_array_convert(a, type);
    return st == OT_OK ? OT_OK : ot__fail_prefix(st, "%s: %s: ", path, name);
}

/* Signatures and accuracies of as many chips. */
static ot_status chips_of(ot_chips *out, ot_array *signature, ot_array *accuracy, const char *path, const char *accuracy_path)
{
    OT_TRY(shape(signature, path, "signatures", 2, OT_F32));
    OT_TRY(shape(accuracy, accuracy_path, "accuracies", 1, OT_F64));
    if (signature->dims[0] != accuracy->dims[0])
        OT_FAIL(OT_E_SHAPE, "%s: %lld signatures, %s: %lld accuracies, want as many", path, (long long)signature->dims[0], accuracy_path, (long long)accuracy->dims[0]);
    *out = (ot_chips){.n = (int)signature->dims[0], .s = (int)signature->dims[1], .signature = signature->data, .accuracy = accuracy->data};
    return OT_OK;
}

static ot_status knobs_of(ot_chips *c, ot_array *gain, ot_array *offset, const char *path)
{
    OT_TRY(shape(gain, path, "gains", 2, OT_F32));
    OT_TRY(shape(offset, path, "offsets", 2, OT_F32));
    if (gain->dims[0] != c->n || offset->dims[0] != c->n || gain->dims[1] != offset->dims[1] || gain->dims[1] < 1)
        OT_FAIL(OT_E_SHAPE, "%s: gains of %lld x %lld and offsets of %lld x %lld, want %d rows and as many columns", path, (long long)gain->dims[0],
                (long long)gain->dims[1], (long long)offset->dims[0], (long long)offset->dims[1], c->n);
    c->l = (int)gain->dims[1];
    c->gain = gain->data, c->offset = offset->data, c->n_knobs = c->n;
    return OT_OK;
}

/* (n, 2, L), or (n, 2 L): gains, then offsets. */
static ot_status split_knobs(source *s, ot_array *knobs, const char *path)
{
    if (knobs->n_dims == 3 && knobs->dims[1] == 2) knobs->n_dims = 2, knobs->dims[1] = 2 * knobs->dims[2];
    OT_TRY(shape(knobs, path, "knobs", 2, OT_F32));
    if (knobs->dims[1] % 2 || knobs->dims[1] < 2) OT_FAIL(OT_E_SHAPE, "%s: %lld knobs a chip, want L gains and L offsets, (n, 2, L)", path, (long long)knobs->dims[1]);
    const size_t n = (size_t)knobs->dims[0], l = (size_t)knobs->dims[1] / 2;
    ot_array    *parts[2] = {&s->gain, &s->offset};
    for (size_t k = 0; k < 2; k++) {
        *parts[k] = (ot_array){.type = OT_F32, .n_dims = 2, .dims = {(int64_t)n, (int64_t)l}, .data = ot_alloc(n, l * sizeof(float))};
        if (!parts[k]->data) OT_NOMEM(path, n * l * sizeof(float));
        for (size_t i = 0; i < n; i++) memcpy((float *)parts[k]->data + i * l, (const float *)knobs->data + (2 * i + k) * l, l * sizeof(float));
    }
    return knobs_of(&s->chips, &s->gain, &s->offset, path);
}

static ot_status read_files(source *s, const array_files *f)
{
    ot_array knobs = {0};
    OT_TRY(cli_read_array(&s->signature, f->signatures));
    OT_TRY(cli_read_array(&s->accuracy, f->accuracy));
    OT_TRY(chips_of(&s->chips, &s->signature, &s->accuracy, f->signatures, f->accuracy));
    if (f->knobs) {
        ot_status st = cli_read_array(&knobs, f->knobs);
        if (st == OT_OK) st = split_knobs(s, &knobs, f->knobs);
        ot_array_free(&knobs);
        OT_TRY(st);
    }
    if (!f->tuned_signatures) return OT_OK;
    OT_TRY(cli_read_array(&s->tuned_signature, f->tuned_signatures));
    OT_TRY(cli_read_array(&s->tuned_accuracy, f->tuned_accuracy));
    return chips_of(&s->tuned, &s->tuned_signature, &s->tuned_accuracy, f->tuned_signatures, f->tuned_accuracy);
}

static ot_status read_npz(source *s, ot_npz *z, const char *path)
{
    OT_TRY(ot_npz_get(&s->signature, z, "signature"));
    OT_TRY(ot_npz_get(&s->accuracy, z, "accuracy"));
    OT_TRY(chips_of(&s->chips, &s->signature, &s->accuracy, path, path));
    if (ot_npz_has(z, "gain") || ot_npz_has(z, "offset")) {
        OT_TRY(ot_npz_get(&s->gain, z, "gain"));
        OT_TRY(ot_npz_get(&s->offset, z, "offset"));
        OT_TRY(knobs_of(&s->chips, &s->gain, &s->offset, path));
    }
    if (!ot_npz_has(z, "tuned_signature")) return OT_OK;
    OT_TRY(ot_npz_get(&s->tuned_signature, z, "tuned_signature"));
    OT_TRY(ot_npz_get(&s->tuned_accuracy, z, "tuned_accuracy"));
    return chips_of(&s->tuned, &s->tuned_signature, &s->tuned_accuracy, path, path);
}

static ot_status read_update(source *s, const char *path)
{
    ot_npz   *z = NULL;
    ot_status st = ot_npz_open(&z, path);
    if (st == OT_OK) st = read_npz(s, z, path);
    ot_npz_close(z);
    return st;
}

/* Updates only: chips and tuned ones, each a list. */
typedef struct updates { source source[ARRAY_UPDATES]; ot_chips chips[ARRAY_UPDATES + 1], tuned[ARRAY_UPDATES + 1]; int n; } updates;

static void updates_free(updates *u)
{
    for (int i = 0; u && i < u->n; i++) source_free(&u->source[i]);
    ot_free(u);
}

static ot_status updates_read(updates **out, const array_files *f)
{
    ot_status st = OT_OK;
    updates  *u = ot_alloc(1, sizeof *u);
    if (!u) OT_NOMEM("updates", sizeof *u);
    for (; st == OT_OK && u->n < f->n_updates; u->n++) {
        st = read_update(&u->source[u->n], f->updates[u->n]);
        u->chips[u->n] = u->source[u->n].chips, u->tuned[u->n] = u->source[u->n].tuned;
    }
    if (st != OT_OK) {
        updates_free(u);
        return st;
    }
    *out = u;
    return OT_OK;
}

ot_status learn_campaign(ot_campaign_learned **out, const char *db_path, const ot_campaign_learn_options *opt, const array_files *files)
{
    ot_campaign_learn_options o = *opt;
    updates                  *u = NULL;
    ot_status                 st = updates_read(&u, files);
    if (st != OT_OK) return st;
    o.more = u->chips, o.more_tuned = u->tuned, o.n_more = o.n_more_tuned = u->n;
    st = ot_campaign_learn(out, db_path, &o);
    if (st == OT_OK) (*out)->opt.more = (*out)->opt.more_tuned = NULL, (*out)->opt.n_more = (*out)->opt.n_more_tuned = 0;
    updates_free(u);
    return st;
}

struct learned_arrays { ot_book *book; int s, l; };

void learned_arrays_free(learned_arrays *l)
{
    if (!l) return;
    ot_book_free(l->book);
    ot_free(l);
}

const ot_book *learned_arrays_book(const learned_arrays *l) { return l->book; }

ot_status learn_arrays(learned_arrays **out, const ot_book_options *opt, const array_files *files)
{
    source    own = {0};
    updates  *u = NULL;
    ot_chips  all = {0}, tuned = {0};
    ot_status st = OT_OK;
    learned_arrays *l = ot_alloc(1, sizeof *l);
    if (!l) OT_NOMEM("arrays", sizeof *l);
    OT_TRY_TO(done, st, updates_read(&u, files));
    OT_TRY_TO(done, st, read_files(&own, files));
    u->chips[u->n] = own.chips, u->tuned[u->n] = own.tuned;
    OT_TRY_TO(done, st, ot_chips_join(&all, u->chips, u->n + 1));
    OT_TRY_TO(done, st, ot_chips_join(&tuned, u->tuned, u->n + 1));
    l->s = all.s, l->l = all.l;
    st = ot_book_learn(&l->book, &all, tuned.n ? &tuned : NULL, NULL, opt);
done:
    ot_chips_free(&tuned);
    ot_chips_free(&all);
    source_free(&own);
    updates_free(u);
    if (st != OT_OK) {
        learned_arrays_free(l);
        return st;
    }
    *out = l;
    return OT_OK;
}

/* The chips are real: no network file, no images. */
ot_status learned_arrays_save(const learned_arrays *l, const char *path)
{
    ot_recipe r = {.layout = {.kind = OT_SIGNATURE_PLAIN, .images = 1, .relus = l->l > 0 ? l->l : 1, .classes = 1, .length = l->s}, .network = "measured chips",
                   .network_sha256 = "none"};
    ot_book_recipe(&r, l->book);
    return ot_recipe_save(&r, path);
}

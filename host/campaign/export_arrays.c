/* export_arrays.c - a campaign's answers as arrays in one npz: casebook chips under plain names, which `tune --casebook` and `learn --update`
 * read, evaluation chips under evaluate_*.  Rows of a role are the same chips in all its arrays: those that are done. */
#include "base/fail.h"
#include "campaign/store.h"
#include "ohmtrim/array.h"

#include <stdio.h>
#include <string.h>

/* Chips of one role: [0] untuned, then one set of answers a tuner. */
typedef struct role {
    ot_campaign_answers *by[1 + OT_TUNERS];
    const char          *knobs[1 + OT_TUNERS];
    int                  n_by, n;
    int                 *row[1 + OT_TUNERS];         /* (n) where chip i of the export is */
} role;

static void role_free(role *r)
{
    for (int k = 0; k < r->n_by; k++) ot_free(r->row[k]), ot_campaign_answers_free(r->by[k]);
}

/* Chips that all sets of answers hold; they are sorted by chip. */
static ot_status match(role *r)
{
    const ot_campaign_answers *first = r->by[0];
    int at[1 + OT_TUNERS] = {0};
    for (int k = 0; k < r->n_by; k++)
        if (!(r->row[k] = ot_alloc((size_t)first->n, sizeof *r->row[k]))) OT_NOMEM("chips", (size_t)first->n * sizeof *r->row[k]);
    for (int i = 0; i < first->n; i++) {
        int all = 1;
        for (int k = 0; k < r->n_by; k++) {
            while (at[k] < r->by[k]->n && r->by[k]->chip[at[k]] < first->chip[i]) at[k]++;
            all = all && at[k] < r->by[k]->n && r->by[k]->chip[at[k]] == first->chip[i];
        }
        for (int k = 0; k < r->n_by && all; k++) r->row[k][r->n] = at[k];
        r->n += all;
    }
    return OT_OK;
}

static ot_status role_read(role *r, const char *db_path, const char *name, const char *stimulus, ot_signature_kind kind)
{
    for (int k = 0; k < r->n_by; k++) OT_TRY(ot_campaign_answers_read(&r->by[k], db_path, name, r->knobs[k], stimulus, kind, 0));
    return match(r);
}

/* `width` values of each row of `from` (rows of them), as name + suffix. */
static ot_status add_rows(ot_npz_writer *z, const role *r, int k, const char *name, ot_type type, int dims, const void *from, size_t width)
{
    const size_t  bytes = (type == OT_F32 ? 4 : 8) * width;
    const int64_t shape[2] = {r->n, (int64_t)width};
    char         *rows = ot_alloc((size_t)r->n, bytes);
    if (!rows) OT_NOMEM(name, (size_t)r->n * bytes);
    for (int i = 0; i < r->n; i++) memcpy(rows + (size_t)i * bytes, (const char *)from + (size_t)r->row[k][i] * bytes, bytes);
    ot_status st = ot_npz_add(z, name, type, dims, shape, rows);
    ot_free(rows);
    return st;
}

static ot_status add_signature(ot_npz_writer *z, const role *r, int k, const char *name) { return add_rows(z, r, k, name, OT_F32, 2, r->by[k]->signature, (size_t)r->by[k]->layout.length); }
static ot_status add_accuracy(ot_npz_writer *z, const role *r, int k, const char *name) { return add_rows(z, r, k, name, OT_F64, 1, r->by[k]->accuracy, 1); }

static ot_status add_knobs(ot_npz_writer *z, const role *r, int k, const char *gain, const char *offset)
{
    OT_TRY(add_rows(z, r, k, gain, OT_F32, 2, r->by[k]->gain, (size_t)r->by[k]->layout.relus));
    return add_rows(z, r, k, offset, OT_F32, 2, r->by[k]->offset, (size_t)r->by[k]->layout.relus);
}

static ot_status add_chips(ot_npz_writer *z, const role *r, const char *name)
{
    int64_t *chip = ot_alloc((size_t)r->n, sizeof *chip);
    if (!chip) OT_NOMEM(name, (size_t)r->n * sizeof *chip);
    for (int i = 0; i < r->n; i++) chip[i] = r->by[0]->chip[r->row[0][i]];
    const int64_t n = r->n;
    ot_status     st = ot_npz_add(z, name, OT_I64, 1, &n, chip);
    ot_free(chip);
    return st;
}

static ot_status add_casebook(ot_npz_writer *z, const role *r)
{
    OT_TRY(add_chips(z, r, "chip"));
    OT_TRY(add_signature(z, r, 0, "signature"));
    OT_TRY(add_accuracy(z, r, 0, "accuracy"));
    OT_TRY(add_knobs(z, r, 1, "gain", "offset"));
    OT_TRY(add_signature(z, r, 1, "tuned_signature"));
    return add_accuracy(z, r, 1, "tuned_accuracy");
}

static ot_status add_evaluation(ot_npz_writer *z, const role *r)
{
    OT_TRY(add_chips(z, r, "evaluate_chip"));
    for (int k = 0; k < r->n_by; k++) {
        char name[4][80];
        snprintf(name[0], sizeof name[0], k ? "evaluate_signature_%s" : "evaluate_signature", r->knobs[k]);
        snprintf(name[1], sizeof name[1], k ? "evaluate_accuracy_%s" : "evaluate_accuracy", r->knobs[k]);
        snprintf(name[2], sizeof name[2], "evaluate_gain_%s", r->knobs[k]);
        snprintf(name[3], sizeof name[3], "evaluate_offset_%s", r->knobs[k]);
        OT_TRY(add_signature(z, r, k, name[0]));
        OT_TRY(add_accuracy(z, r, k, name[1]));
        if (k) OT_TRY(add_knobs(z, r, k, name[2], name[3]));
    }
    return OT_OK;
}

/* Image numbers, -1 for images of their own; the pixels of those (k, C H W), rows of zeros for the others, if there are any. */
static ot_status add_stimulus(ot_npz_writer *z, ot_store *s, const char *stimulus, int k)
{
    sqlite3_stmt *stmt = NULL;
    int           more, at = 0;
    int64_t       width, *image = ot_alloc((size_t)k, sizeof *image);
    char         *pixels = NULL;
    ot_status     st = OT_OK;
    if (!image) OT_NOMEM("a stimulus", (size_t)k * sizeof *image);
    OT_TRY_TO(done, st, ot__store_int(&width, s, 0, "SELECT max(length(i.pixels)) FROM stimulus_image i JOIN stimulus_set t ON t.id = i.id WHERE t.name = ?1", "t", stimulus));
    if (width && !(pixels = ot_alloc((size_t)k, (size_t)width))) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d images", k);
    OT_TRY_TO(done, st, ot__store_ask(&stmt, s, "SELECT s.image, i.pixels FROM stimulus s JOIN stimulus_set t ON t.id = s.id LEFT JOIN stimulus_image i ON"
                                      " i.id = s.id AND i.position = s.position WHERE t.name = ?1 ORDER BY s.position", "t", stimulus));
    st = ot__store_next(s, stmt, &more);
    for (; st == OT_OK && more && at < k; at++) {
        const void *own = sqlite3_column_blob(stmt, 1);
        image[at] = own ? -1 : sqlite3_column_int64(stmt, 0);
        if (own && sqlite3_column_bytes(stmt, 1) == width) memcpy(pixels + (size_t)at * (size_t)width, own, (size_t)width);
        st = ot__store_next(s, stmt, &more);
    }
    const int64_t dims[2] = {k, width};
    if (st == OT_OK) st = ot_npz_add(z, "stimulus", OT_I64, 1, dims, image);
    if (st == OT_OK && width) st = ot_npz_add(z, "stimulus_pixels", OT_U8, 2, dims, pixels);
done:
    sqlite3_finalize(stmt);
    ot_free(pixels);
    ot_free(image);
    return st;
}

static ot_status add_arrays(ot_npz_writer *z, ot_store *s, const char *stimulus, const role *casebook, const role *evaluate)
{
    const ot_campaign_answers *a = evaluate->by[0];
    const int64_t two[1] = {2}, values[2] = {a->ideal, a->images};
    OT_TRY(add_stimulus(z, s, stimulus, a->layout.images));
    if (casebook->n_by > 1) OT_TRY(add_casebook(z, casebook));
    OT_TRY(add_evaluation(z, evaluate));
    return ot_npz_add(z, "ideal_correct_of", OT_I64, 1, two, values);
}

ot_status ot_campaign_export_npz(const char *db_path, const char *path, const char *stimulus, ot_signature_kind kind)
{
    ot_store        *s = NULL;
    ot_npz_writer   *z = NULL;
    role             casebook = {.knobs = {"untuned"}, .n_by = 1}, evaluate = {.knobs = {"untuned"}, .n_by = 1};
    ot_campaign_spec spec;
    ot_status        st;
    OT_TRY_TO(done, st, ot__store_open(&s, db_path));
    OT_TRY_TO(done, st, ot__store_spec(&spec, s));
    if (!stimulus || !*stimulus) stimulus = spec.stimulus;
    if (spec.casebook_chips) casebook.knobs[casebook.n_by++] = ot_tuner_name(OT_TUNER_EXHAUSTIVE);
    for (int t = 0; t < spec.n_tuners; t++) evaluate.knobs[evaluate.n_by++] = ot_tuner_name(spec.tuners[t]);
    OT_TRY_TO(done, st, role_read(&casebook, db_path, "casebook", stimulus, kind));
    OT_TRY_TO(done, st, role_read(&evaluate, db_path, "evaluate", stimulus, kind));
    OT_TRY_TO(done, st, ot_npz_create(&z, path));
    OT_TRY_TO(done, st, add_arrays(z, s, stimulus, &casebook, &evaluate));
    st = ot_npz_finish(z);
    z = NULL;
done:
    ot_npz_abandon(z);
    role_free(&evaluate), role_free(&casebook);
    ot__store_close(s);
    return st;
}

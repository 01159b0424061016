/* answers.c - what a campaign's chips answered, as arrays: the door from the store to learners.  Rows are in chip order. */
#include "base/fail.h"
#include "campaign/store.h"

#include <string.h>

void ot_campaign_answers_free(ot_campaign_answers *a)
{
    if (!a) return;
    ot_free(a->bits);
    ot_free(a->offset);
    ot_free(a->gain);
    ot_free(a->accuracy);
    ot_free(a->signature);
    ot_free(a->chip);
    ot_free(a);
}

/* K, L and C of the stimulus, from the ideal network's answers to it: S = K (L + C), moments 2 L. */
static ot_status read_layout(ot_campaign_answers *a, ot_store *s, int64_t *id, const char *stimulus)
{
    int64_t numbers, moments, k;
    OT_TRY(ot__store_int(id, s, -1, "SELECT id FROM stimulus_set WHERE name = ?1", "t", stimulus));
    if (*id < 0) OT_FAIL(OT_E_RANGE, "%s: no stimulus '%s', want random or one that `select` put there", ot__store_path(s), stimulus);
    OT_TRY(ot__store_int(&k, s, 0, "SELECT count(*) FROM stimulus WHERE id = ?1", "i", *id));
    OT_TRY(ot__store_int(&numbers, s, 0, "SELECT length(signature) / 4 FROM ideal_response WHERE stimulus = ?1", "i", *id));
    OT_TRY(ot__store_int(&moments, s, 0, "SELECT length(moments) / 4 FROM ideal_response WHERE stimulus = ?1", "i", *id));
    if (k < 1 || numbers < k || moments < 2 || numbers % k || numbers / k <= moments / 2)
        OT_FAIL(OT_E_FORMAT, "%s: no answers to stimulus '%s' yet: `ohmtrim campaign run` measures them", ot__store_path(s), stimulus);
    a->layout.images = a->asked = (int)k;
    a->layout.relus = (int)(moments / 2);
    a->layout.classes = (int)(numbers / k - moments / 2);
    a->layout.length = ot_layout_length(&a->layout);
    return OT_OK;
}

/* The first `images` of the stimulus; 0: all. */
static ot_status take_images(ot_campaign_answers *a, int images, const char *stimulus)
{
    if (!images || images == a->asked) return OT_OK;
    if (images < 0 || images > a->asked) OT_FAIL(OT_E_RANGE, "%d images of the stimulus '%s', want 1..%d", images, stimulus, a->asked);
    if (a->layout.kind == OT_SIGNATURE_MOMENTS) OT_FAIL(OT_E_RANGE, "moments are of all %d images of the stimulus '%s', want as many", a->asked, stimulus);
    a->layout.images = images;
    a->layout.length = ot_layout_length(&a->layout);
    return OT_OK;
}

/* The numbers of the layout's kind from a full signature and moments. */
void ot__answers_arrange(float *out, const ot_layout *l, const float *full, const float *moments)
{
    const size_t relus = (size_t)l->relus, classes = (size_t)l->classes, one = relus + classes, k = (size_t)l->images;
    if (l->kind == OT_SIGNATURE_FINAL) {
        for (size_t i = 0; i < k; i++) memcpy(out + i * classes, full + i * one + relus, classes * sizeof *out);
        return;
    }
    memcpy(out, full, k * one * sizeof *out);
    if (l->kind == OT_SIGNATURE_MOMENTS) memcpy(out + k * one, moments, 2 * relus * sizeof *out);
}

static ot_status take_row(ot_campaign_answers *a, ot_store *s, sqlite3_stmt *stmt)
{
    const ot_layout *l = &a->layout;
    const size_t     at = (size_t)a->n, relus = (size_t)l->relus, full = (size_t)a->asked * (relus + (size_t)l->classes);
    const void      *gain = sqlite3_column_blob(stmt, 4), *offset = sqlite3_column_blob(stmt, 5), *bits = sqlite3_column_blob(stmt, 6);
    const int64_t    images = sqlite3_column_int64(stmt, 8);
    if ((size_t)sqlite3_column_bytes(stmt, 1) != full * sizeof(float) || (size_t)sqlite3_column_bytes(stmt, 2) != 2 * relus * sizeof(float) ||
        (gain && ((size_t)sqlite3_column_bytes(stmt, 4) != relus * sizeof(float) || (size_t)sqlite3_column_bytes(stmt, 5) != relus * sizeof(float) || !offset)) ||
        images != a->images || (size_t)sqlite3_column_bytes(stmt, 6) != a->n_bits || !bits)
        OT_FAIL(OT_E_FORMAT, "%s: chip %lld: an answer, its knobs or right answers have another length than the ideal network's", ot__store_path(s),
                (long long)sqlite3_column_int64(stmt, 0));
    a->chip[at] = (uint32_t)sqlite3_column_int64(stmt, 0);
    a->accuracy[at] = (double)sqlite3_column_int64(stmt, 3) / (double)images;
    ot__answers_arrange(a->signature + at * (size_t)l->length, l, sqlite3_column_blob(stmt, 1), sqlite3_column_blob(stmt, 2));
    for (size_t i = 0; i < relus && !gain; i++) a->gain[at * relus + i] = 1, a->offset[at * relus + i] = 0;
    if (gain) memcpy(a->gain + at * relus, gain, relus * sizeof(float)), memcpy(a->offset + at * relus, offset, relus * sizeof(float));
    memcpy(a->bits + at * a->n_bits, bits, a->n_bits);
    a->seconds += sqlite3_column_double(stmt, 7);
    a->n++;
    return OT_OK;
}

static ot_status read_rows(ot_campaign_answers *a, ot_store *s, int64_t id, const char *role, const char *knobs)
{
    const int     untuned = !strcmp(knobs, "untuned");
    const size_t  relus = (size_t)a->layout.relus;
    sqlite3_stmt *stmt;
    int           more;
    int64_t       most;
    OT_TRY(ot__store_int(&most, s, 0, "SELECT count(*) FROM chip WHERE role = ?1", "t", role));
    OT_TRY(ot__store_int(&a->images, s, 0, "SELECT images FROM ideal", ""));
    OT_TRY(ot__store_int(&a->ideal, s, 0, "SELECT correct FROM ideal", ""));
    a->n_bits = (size_t)(a->images + 7) / 8;
    const size_t n = (size_t)most;
    a->chip = ot_alloc(n, sizeof *a->chip);
    a->signature = ot_alloc(n, (size_t)a->layout.length * sizeof *a->signature);
    a->accuracy = ot_alloc(n, sizeof *a->accuracy);
    a->gain = ot_alloc(n, relus * sizeof *a->gain);
    a->offset = ot_alloc(n, relus * sizeof *a->offset);
    a->bits = ot_alloc(n, a->n_bits);
    if (!a->chip || !a->signature || !a->accuracy || !a->gain || !a->offset || !a->bits) OT_NOMEM("answers", n * (size_t)a->layout.length * sizeof(float));
    /* The moments that a test floor can have: untuned chips set each layer's knobs as they go. */
    OT_TRY(ot__store_ask(&stmt, s,
                         "SELECT c.number, g.value, o.value, m.correct, t.gain, t.offset, m.bits, t.seconds, m.images FROM chip c"
                         " JOIN signature g ON g.chip = c.number AND g.stimulus = ?1 AND g.knobs = ?2"
                         " JOIN moments o ON o.chip = c.number AND o.stimulus = ?1 AND o.knobs = ?3"
                         " JOIN measurement m ON m.chip = c.number AND m.knobs = ?2 LEFT JOIN tuning t ON t.chip = c.number AND t.tuner = ?2"
                         " WHERE c.role = ?4 AND c.failure IS NULL ORDER BY c.number", "ittt", id, knobs, untuned ? "matching" : knobs, role));
    ot_status st = ot__store_next(s, stmt, &more);
    while (st == OT_OK && more && a->n < most) {
        st = take_row(a, s, stmt);
        if (st == OT_OK) st = ot__store_next(s, stmt, &more);
    }
    sqlite3_finalize(stmt);
    return st;
}

ot_status ot_campaign_answers_read(ot_campaign_answers **out, const char *db_path, const char *role, const char *knobs, const char *stimulus, ot_signature_kind kind,
                                   int images)
{
    ot_store *s = NULL;
    ot_status st = OT_OK;
    int64_t   id;
    ot_campaign_answers *a = ot_alloc(1, sizeof *a);
    if (!a) OT_NOMEM(db_path, sizeof *a);
    a->layout.kind = kind;
    OT_TRY_TO(done, st, ot__store_open(&s, db_path));
    if (ot__store_version(s) < 2)
        OT_FAIL_TO(done, st, OT_E_VERSION, "%s: was written by an older ohmtrim and holds no answers with knobs set: `ohmtrim campaign run` adds them", db_path);
    OT_TRY_TO(done, st, ot__store_do(s, "BEGIN", ""));
    OT_TRY_TO(done, st, read_layout(a, s, &id, stimulus));
    OT_TRY_TO(done, st, take_images(a, images, stimulus));
    st = read_rows(a, s, id, role, knobs);
done:
    ot__store_close(s);
    if (st != OT_OK) {
        ot_campaign_answers_free(a);
        return st;
    }
    *out = a;
    return OT_OK;
}

/* learn.c - from a campaign's file to a recipe: the casebook chips teach, the evaluation chips say what it is worth.
 *
 *     casebook, untuned              -> first judge, casebook of the mender
 *     casebook, tuned by the mender (each chip from the other folds'), by other menders, exhaustively -> second judge
 *     evaluation, untuned and with the mender's knobs -> verdicts (verdicts.c)
 *
 * The casebook's knobs are those of its tuner (exhaustive); the mender's on an evaluation chip are those that the tuner of the same name
 * found, which searches with the test floor's code. */
#include "base/build.h"
#include "base/fail.h"
#include "campaign/store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

ot_campaign_learn_options ot_campaign_learn_defaults(void) { return (ot_campaign_learn_options){.book = ot_book_defaults(), .drop = 0.02, .kind = OT_SIGNATURE_KINDS}; }

ot_tuner ot_mender_tuner(ot_mender mender)
{
    static const ot_tuner tuners[] = {[OT_MENDER_LEARNED] = OT_TUNER_LEARNED, [OT_MENDER_NEAREST] = OT_TUNER_NEAREST, [OT_MENDER_KNN] = OT_TUNER_KNN,
                                      [OT_MENDER_RIDGE] = OT_TUNER_RIDGE, [OT_MENDER_MOMENTS] = OT_TUNER_MOMENTS, [OT_MENDER_NONE] = OT_TUNERS};
    return (unsigned)mender < OT_MENDERS ? tuners[mender] : OT_TUNERS;
}

ot_mender ot_campaign_mender(const ot_campaign_spec *spec)
{
    for (int t = 0; t < spec->n_tuners; t++)
        for (int m = 0; m < OT_MENDER_NONE; m++)
            if (ot_mender_tuner((ot_mender)m) == spec->tuners[t]) return (ot_mender)m;
    return OT_MENDER_NONE;
}

void ot_campaign_learned_free(ot_campaign_learned *l)
{
    if (!l) return;
    ot_opinions_free(l->opinions);
    ot_book_free(l->book);
    ot_campaign_answers_free(l->evaluate_tuned);
    ot_campaign_answers_free(l->evaluate);
    for (int m = 0; m < OT_MENDERS; m++) ot_campaign_answers_free(l->casebook_others[m]);
    ot_campaign_answers_free(l->casebook_mended);
    ot_campaign_answers_free(l->casebook_tuned);
    ot_campaign_answers_free(l->casebook);
    ot_free(l);
}

static ot_status take_text(char *out, size_t n, ot_store *s, const char *key)
{
    sqlite3_stmt *stmt;
    int           more;
    OT_TRY(ot__store_ask(&stmt, s, "SELECT value FROM spec WHERE key = ?1", "t", key));
    ot_status st = ot__store_next(s, stmt, &more);
    snprintf(out, n, "%s", st == OT_OK && more ? ot__store_text(stmt, 0) : "");
    sqlite3_finalize(stmt);
    return st;
}

/* Means and spreads of the ideal network on the stimulus, in ot_alloc memory. */
static ot_status ideal_moments(float **out, ot_store *s, const char *stimulus)
{
    sqlite3_stmt *stmt;
    int           more;
    OT_TRY(ot__store_ask(&stmt, s, "SELECT r.moments FROM ideal_response r JOIN stimulus_set t ON t.id = r.stimulus WHERE t.name = ?1", "t", stimulus));
    ot_status st = ot__store_next(s, stmt, &more);
    size_t    bytes = st == OT_OK && more ? (size_t)sqlite3_column_bytes(stmt, 0) : 0;
    *out = ot_alloc(bytes, 1);
    if (st == OT_OK && !*out) st = ot__fail(OT_E_NOMEM, __FILE__, __LINE__, "no memory for %zu bytes of moments", bytes);
    else if (bytes) memcpy(*out, sqlite3_column_blob(stmt, 0), bytes);
    sqlite3_finalize(stmt);
    return st;
}

/* What the knobs are, and what tuners looked at. */
static ot_status spiking(ot_campaign_learned *l, ot_store *s, const ot_campaign_spec *spec)
{
    char kind[32];
    OT_TRY(take_text(kind, sizeof kind, s, "knobs"));
    if (kind[0]) OT_TRY(ot_knob_kind_parse(&l->knobs, kind));       /* older campaigns are of networks with ReLU layers */
    if (l->knobs != OT_KNOBS_GAIN_OFFSET) l->ladder = spec->ladder;
    if (l->opt.kind == OT_SIGNATURE_KINDS) l->opt.kind = strcmp(spec->signature, "final") ? OT_SIGNATURE_FULL : OT_SIGNATURE_FINAL;
    return OT_OK;
}

static ot_status resolve(ot_campaign_learned *l, const char *db_path, float **ideal)
{
    ot_store        *s;
    ot_campaign_spec spec;
    OT_TRY(ot__store_open(&s, db_path));
    ot_status st = ot__store_spec(&spec, s);
    if (!l->opt.stimulus[0]) snprintf(l->opt.stimulus, sizeof l->opt.stimulus, "%s", spec.stimulus);
    if (l->opt.book.mender == OT_MENDER_MOMENTS) l->opt.kind = OT_SIGNATURE_MOMENTS;
    if (st == OT_OK) st = take_text(l->network_sha, sizeof l->network_sha, s, "network.sha256");
    if (st == OT_OK) st = take_text(l->spec_sha, sizeof l->spec_sha, s, "sha256");
    if (st == OT_OK && ot__store_version(s) >= 2) st = ideal_moments(ideal, s, l->opt.stimulus);
    snprintf(l->network, sizeof l->network, "%s", spec.network);
    if (st == OT_OK) st = spiking(l, s, &spec);
    ot__store_close(s);
    return st;
}

/* The tuner whose knobs the casebook holds. */
static ot_status casebook_tuner(char out[64], const char *db_path)
{
    ot_store     *s;
    sqlite3_stmt *stmt;
    int           more = 0;
    OT_TRY(ot__store_open(&s, db_path));
    ot_status st = ot__store_ask(&stmt, s, "SELECT tuner FROM casebook ORDER BY chip LIMIT 1", "");
    if (st == OT_OK) {
        st = ot__store_next(s, stmt, &more);
        snprintf(out, 64, "%s", st == OT_OK && more ? ot__store_text(stmt, 0) : "");
        sqlite3_finalize(stmt);
    }
    ot__store_close(s);
    if (st == OT_OK && !out[0]) OT_FAIL(OT_E_DATA, "%s: the casebook is empty: there is nothing to learn from (casebook_chips, --phase casebook)", db_path);
    return st;
}

static ot_status read_all(ot_campaign_learned *l, const char *db_path)
{
    const ot_campaign_learn_options *o = &l->opt;
    const char *mender = o->book.mender == OT_MENDER_NONE ? "none" : ot_tuner_name(ot_mender_tuner(o->book.mender));    /* no rows of "none" */
    char        tuner[64];
    OT_TRY(casebook_tuner(tuner, db_path));
    OT_TRY(ot_campaign_answers_read(&l->casebook, db_path, "casebook", "untuned", o->stimulus, o->kind, o->images));
    OT_TRY(ot_campaign_answers_read(&l->casebook_tuned, db_path, "casebook", tuner, o->stimulus, o->kind, o->images));
    OT_TRY(ot_campaign_answers_read(&l->casebook_mended, db_path, "casebook", mender, o->stimulus, o->kind, o->images));
    for (int m = 0; m < OT_MENDERS; m++)
        if (m != (int)o->book.mender && m != OT_MENDER_NONE)
            OT_TRY(ot_campaign_answers_read(&l->casebook_others[m], db_path, "casebook", ot_tuner_name(ot_mender_tuner((ot_mender)m)), o->stimulus, o->kind, o->images));
    OT_TRY(ot_campaign_answers_read(&l->evaluate, db_path, "evaluate", "untuned", o->stimulus, o->kind, o->images));
    OT_TRY(ot_campaign_answers_read(&l->evaluate_tuned, db_path, "evaluate", mender, o->stimulus, o->kind, o->images));
    if (l->evaluate_tuned->n == 0 || l->evaluate->n == 0) {
        ot_campaign_answers_free(l->evaluate_tuned);
        l->evaluate_tuned = NULL;
    }
    if (l->casebook->n != l->casebook_tuned->n)
        OT_FAIL(OT_E_DATA, "%s: %d casebook chips answered untuned, %d tuned: `ohmtrim campaign run` completes them", db_path, l->casebook->n, l->casebook_tuned->n);
    return OT_OK;
}

static ot_status join(ot_chips *out, const ot_chips *own, const ot_chips *more, int n_more)
{
    ot_chips *parts = ot_alloc((size_t)n_more + 1, sizeof *parts);
    if (!parts) OT_NOMEM("chips", ((size_t)n_more + 1) * sizeof *parts);
    parts[0] = *own;
    if (n_more) memcpy(parts + 1, more, (size_t)n_more * sizeof *parts);
    ot_status st = ot_chips_join(out, parts, n_more + 1);
    ot_free(parts);
    return st;
}

static ot_chips chips_of(const ot_campaign_answers *a) { return (ot_chips){.n = a->n, .s = a->layout.length, .signature = a->signature, .accuracy = a->accuracy, .chip = (const int *)a->chip}; }

/* With the casebook's knobs and with other menders': beside the mender's own, where those are there. */
static ot_status join_others(ot_chips *out, const ot_campaign_learned *l)
{
    ot_chips parts[1 + OT_MENDERS];
    int      n = 0;
    parts[n++] = chips_of(l->casebook_tuned);
    for (int m = 0; m < OT_MENDERS; m++)
        if (l->casebook_others[m]) parts[n++] = chips_of(l->casebook_others[m]);
    return ot_chips_join(out, parts, n);
}

static ot_status learn(ot_campaign_learned *l, const char *db_path)
{
    float    *ideal = NULL;
    ot_chips  untuned = {0}, tuned = {0}, others = {0};
    ot_status st = OT_OK;
    OT_TRY_TO(done, st, resolve(l, db_path, &ideal));
    OT_TRY_TO(done, st, read_all(l, db_path));
    const ot_campaign_answers *u = l->casebook, *t = l->casebook_tuned;
    ot_book_options           *o = &l->opt.book;
    if (isnan(o->cutoff)) o->cutoff = (double)u->ideal / (double)u->images - l->opt.drop;
    o->ideal = ideal;
    o->knobs = l->knobs, o->ladder = l->ladder;
    const int      by_folds = l->casebook_mended->n > 0;              /* small casebooks are not */
    const ot_chips after = chips_of(by_folds ? l->casebook_mended : t);
    ot_chips       before = chips_of(u);
    before.l = u->layout.relus, before.gain = t->gain, before.offset = t->offset, before.n_knobs = t->n;
    OT_TRY_TO(done, st, join(&untuned, &before, l->opt.more, l->opt.n_more));
    OT_TRY_TO(done, st, join(&tuned, &after, l->opt.more_tuned, l->opt.n_more_tuned));
    if (by_folds) OT_TRY_TO(done, st, join_others(&others, l));
    OT_TRY_TO(done, st, ot_book_learn(&l->book, &untuned, &tuned, &others, o));
    if (l->evaluate_tuned)
        st = ot_opinions_make(&l->opinions, &l->book->before->judge, &l->book->after->judge, l->evaluate, l->evaluate_tuned);
done:
    ot_chips_free(&others);
    ot_chips_free(&tuned);
    ot_chips_free(&untuned);
    l->opt.book.ideal = NULL;
    ot_free(ideal);
    return st;
}

ot_status ot_campaign_learn(ot_campaign_learned **out, const char *db_path, const ot_campaign_learn_options *opt)
{
    ot_campaign_learned *l = ot_alloc(1, sizeof *l);
    if (!l) OT_NOMEM(db_path, sizeof *l);
    l->opt = *opt;
    ot_status st = learn(l, db_path);
    if (st != OT_OK) {
        ot_campaign_learned_free(l);
        return st;
    }
    *out = l;
    return OT_OK;
}

ot_status ot_campaign_learned_verdicts(ot_verdicts *out, const ot_campaign_learned *l, ot_rule_kind kind, double cutoff)
{
    const ot_book_options *o = &l->opt.book;
    ot_rule rule = {.kind = kind, .cutoff = cutoff, .k = o->k, .escape = o->escape};
    if (!l->opinions) OT_FAIL(OT_E_DATA, "no evaluation chips with the knobs of the mender %s", ot_mender_name(o->mender));
    OT_TRY(ot_rule_guard(&rule.guard, l->book->before, kind, cutoff, o->k, o->escape));
    OT_TRY(ot_rule_guard(&rule.guard_after, l->book->after, kind, cutoff, o->k, o->escape));
    ot_opinions_verdicts(out, l->opinions, &rule);
    return OT_OK;
}

/* -- The file -- */

typedef struct images { uint8_t *pixels; char **source; int k, c, h, w; } images;

static void images_free(images *m)
{
    for (int i = 0; m->source && i < m->k; i++) ot_free(m->source[i]);
    ot_free(m->source);
    ot_free(m->pixels);
}

/* One row: image number, its own pixels or NULL, what it is. */
static ot_status take_image(images *m, int i, sqlite3_stmt *stmt, const ot_data *data)
{
    const size_t  one = (size_t)data->c * (size_t)data->h * (size_t)data->w;
    const int64_t number = sqlite3_column_int64(stmt, 0);
    const void   *pixels = sqlite3_column_blob(stmt, 1);
    char          text[160];
    if (pixels && (size_t)sqlite3_column_bytes(stmt, 1) != one) OT_FAIL(OT_E_FORMAT, "stimulus image %d has %d bytes, want %zu", i, sqlite3_column_bytes(stmt, 1), one);
    if (!pixels && (number < 0 || number >= data->n)) OT_FAIL(OT_E_FORMAT, "stimulus image %d is test image %lld, want 0..%d", i, (long long)number, data->n - 1);
    memcpy(m->pixels + (size_t)i * one, pixels ? (const uint8_t *)pixels : data->pixels + (size_t)number * one, one);
    if (pixels) snprintf(text, sizeof text, "%s", ot__store_text(stmt, 2));
    else snprintf(text, sizeof text, "%.60s test image %lld", data->name, (long long)number);
    if (!(m->source[i] = ot_strdup(text))) OT_NOMEM("a stimulus", sizeof text);
    return OT_OK;
}

static ot_status read_images(images *m, ot_store *s, const char *stimulus, const ot_data *data, int k)
{
    sqlite3_stmt *stmt;
    int           more, i = 0;
    *m = (images){.k = k, .c = data->c, .h = data->h, .w = data->w};
    m->pixels = ot_alloc((size_t)k, (size_t)data->c * (size_t)data->h * (size_t)data->w);
    m->source = ot_alloc((size_t)k, sizeof *m->source);
    if (!m->pixels || !m->source) OT_NOMEM("a stimulus", (size_t)k * (size_t)data->c * (size_t)data->h * (size_t)data->w);
    OT_TRY(ot__store_ask(&stmt, s, "SELECT s.image, i.pixels, i.what FROM stimulus_set t JOIN stimulus s ON s.id = t.id LEFT JOIN stimulus_image i"
                         " ON i.id = s.id AND i.position = s.position WHERE t.name = ?1 ORDER BY s.position", "t", stimulus));
    ot_status st = ot__store_next(s, stmt, &more);
    for (; st == OT_OK && more && i < k; i++) {
        st = take_image(m, i, stmt, data);
        if (st == OT_OK) st = ot__store_next(s, stmt, &more);
    }
    sqlite3_finalize(stmt);
    return st;
}

ot_status ot_campaign_learned_save(const ot_campaign_learned *l, const char *db_path, const char *path, int *without_images)
{
    ot_store        *s = NULL;
    ot_campaign_spec spec;
    ot_data         *data = NULL;
    images           m = {0};
    ot_status        st;
    char             expected[256];
    ot_recipe        r = {.layout = l->casebook->layout, .network = l->network, .network_sha256 = l->network_sha, .commit = ot__build_commit(), .spec_hash = l->spec_sha};
    OT_TRY_TO(done, st, ot__store_open(&s, db_path));
    OT_TRY_TO(done, st, ot__store_spec(&spec, s));
    *without_images = ot_data_open(&data, spec.data, OT_SPLIT_TEST, spec.test_limit) != OT_OK || !data->pixels;
    if (!*without_images) {
        OT_TRY_TO(done, st, read_images(&m, s, l->opt.stimulus, data, r.layout.images));
        r.stimulus = m.pixels, r.c = m.c, r.h = m.h, r.w = m.w, r.source = (const char *const *)m.source;
    }
    snprintf(expected, sizeof expected, "predicted - true accuracy: mean %+.3f, sd %.3f points (%d-fold cross-validation of %d chips)", 100 * l->book->before->cv.mean,
             100 * l->book->before->cv.sd, l->opt.book.learn.folds, l->book->before->n);
    r.expected_error = expected;
    ot_book_recipe(&r, l->book);
    st = ot_recipe_save(&r, path);
done:
    images_free(&m);
    ot_data_free(data);
    ot__store_close(s);
    return st;
}

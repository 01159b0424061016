/* stimuli.c - the stimuli of a campaign's file as small data sets: images of the test set by number, others by their own pixels. */
#include "base/fail.h"
#include "campaign/job.h"

#include <stdio.h>
#include <string.h>

void campaign__free_stimuli(campaign *c)
{
    for (int i = 0; i < c->n_stimuli; i++) {
        stimulus *s = &c->stimuli[i];
        ot_free(s->ideal), ot_free(s->index), ot_free(s->images.labels), ot_free(s->images.values), ot_free(s->images.pixels);
    }
    ot_free(c->stimuli);
    c->stimuli = c->main = NULL;
    c->n_stimuli = 0;
}

/* Image `at` of the stimulus: pixels of its own, or test image `number`. */
static ot_status take_image(stimulus *s, const campaign *c, int at, int64_t number, const void *pixels, size_t bytes)
{
    const size_t one = (size_t)c->test->c * (size_t)c->test->h * (size_t)c->test->w, to = (size_t)at * one, from = (size_t)number * one;
    if (pixels) {
        if (!s->images.pixels || bytes != one)
            OT_FAIL(OT_E_FORMAT, "%s: stimulus %lld, image %d: %zu bytes of pixels, want %zu and a data set of bytes", ot__store_path(c->store), (long long)s->id, at,
                    bytes, one);
        memcpy(s->images.pixels + to, pixels, one);
        return OT_OK;
    }
    if (number < 0 || number >= c->test->n)
        OT_FAIL(OT_E_FORMAT, "%s: stimulus %lld, image %d is test image %lld, want 0..%d", ot__store_path(c->store), (long long)s->id, at, (long long)number,
                c->test->n - 1);
    if (s->images.pixels) memcpy(s->images.pixels + to, c->test->pixels + from, one);
    else memcpy(s->images.values + to, c->test->values + from, one * sizeof(float));
    return OT_OK;
}

static ot_status read_images(stimulus *s, campaign *c, int64_t k)
{
    const size_t one = (size_t)c->test->c * (size_t)c->test->h * (size_t)c->test->w;
    ot_data     *d = &s->images;
    sqlite3_stmt *stmt = NULL;
    int           more, at = 0;
    *d = (ot_data){.name = c->test->name, .n = (int)k, .c = c->test->c, .h = c->test->h, .w = c->test->w, .classes = c->test->classes};
    d->labels = ot_alloc((size_t)k, sizeof *d->labels);
    s->index = ot_alloc((size_t)k, sizeof *s->index);
    if (c->test->pixels) d->pixels = ot_alloc((size_t)k, one);
    else d->values = ot_alloc((size_t)k, one * sizeof(float));
    if (!d->labels || !s->index || (!d->pixels && !d->values)) OT_NOMEM("a stimulus", (size_t)k * one);
    for (uint32_t i = 0; i < (uint32_t)k; i++) s->index[i] = i;
    OT_TRY(ot__store_ask(&stmt, c->store, "SELECT s.image, i.pixels FROM stimulus s LEFT JOIN stimulus_image i ON i.id = s.id AND i.position = s.position"
                         " WHERE s.id = ?1 ORDER BY s.position", "i", s->id));
    ot_status st = ot__store_next(c->store, stmt, &more);
    for (; st == OT_OK && more && at < k; at++) {
        st = take_image(s, c, at, sqlite3_column_int64(stmt, 0), sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1));
        if (st == OT_OK) st = ot__store_next(c->store, stmt, &more);
    }
    sqlite3_finalize(stmt);
    s->n_signature = ot_signature_length(c->net, (int)k);
    return st;
}

ot_status campaign__read_stimuli(campaign *c)
{
    int64_t       n;
    sqlite3_stmt *stmt;
    int           more;
    campaign__free_stimuli(c);
    OT_TRY(ot__store_int(&n, c->store, 0, "SELECT count(*) FROM stimulus_set", ""));
    if (!(c->stimuli = ot_alloc((size_t)n, sizeof *c->stimuli))) OT_NOMEM("stimuli", (size_t)n * sizeof *c->stimuli);
    OT_TRY(ot__store_ask(&stmt, c->store, "SELECT id, (SELECT count(*) FROM stimulus s WHERE s.id = t.id), name FROM stimulus_set t ORDER BY id", ""));
    ot_status st = ot__store_next(c->store, stmt, &more);
    while (st == OT_OK && more && c->n_stimuli < n) {
        stimulus *s = &c->stimuli[c->n_stimuli++];
        int64_t   k = sqlite3_column_int64(stmt, 1);
        s->id = sqlite3_column_int64(stmt, 0);
        snprintf(s->name, sizeof s->name, "%s", ot__store_text(stmt, 2));
        if (k < 1) st = ot__fail(OT_E_FORMAT, __FILE__, __LINE__, "%s: stimulus %lld has no images", ot__store_path(c->store), (long long)s->id);
        else st = read_images(s, c, k);
        if (st == OT_OK) st = ot__store_next(c->store, stmt, &more);
    }
    sqlite3_finalize(stmt);
    OT_TRY(st);
    for (int i = 0; i < c->n_stimuli; i++)
        if (!strcmp(c->stimuli[i].name, c->spec->stimulus)) c->main = &c->stimuli[i];
    if (!c->main) OT_FAIL(OT_E_RANGE, "stimulus = '%s' is not in %s, want random or one that `select` put there", c->spec->stimulus, ot__store_path(c->store));
    c->n_signature = c->main->n_signature;
    return OT_OK;
}

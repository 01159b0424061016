/* select_state.c - see select_state.h. */
#include "select_state.h"

#include "base/fail.h"

#include <string.h>
#include <unistd.h>

enum { NUMBERS = 6, ERRORS = 2 };            /* round, best round, seed, k, candidates, linkage; rmse, best rmse */

static ot_status add_images(ot_npz_writer *z, const ot_images *m, const char *which)
{
    const int64_t shape[4] = {m->n, m->c, m->h, m->w}, text[2] = {m->n, OT_WHAT};
    char          name[4][40];
    static const char *const parts[] = {"pixels", "labels", "number", "what"};
    for (int i = 0; i < 4; i++) snprintf(name[i], sizeof name[i], "%s_%s", which, parts[i]);
    OT_TRY(ot_npz_add(z, name[0], OT_U8, 4, shape, m->pixels));
    OT_TRY(ot_npz_add(z, name[1], OT_I32, 1, shape, m->labels));
    OT_TRY(ot_npz_add(z, name[2], OT_I32, 1, shape, m->number));
    return ot_npz_add(z, name[3], OT_U8, 2, text, m->what);
}

ot_status select_state_write(const ot_remix *r, const char *path, const char *spec_sha, const ot_remix_options *o)
{
    const int64_t numbers[NUMBERS] = {r->round, r->best_round, (int64_t)o->seed, o->k, o->candidates, (int64_t)o->linkage}, n = NUMBERS, e = ERRORS, sha = 64;
    const double  errors[ERRORS] = {r->rmse, r->best_rmse};
    ot_npz_writer *z = NULL;
    ot_status      st;
    OT_TRY_TO(done, st, ot_npz_create(&z, path));
    OT_TRY_TO(done, st, ot_npz_add(z, "numbers", OT_I64, 1, &n, numbers));
    OT_TRY_TO(done, st, ot_npz_add(z, "errors", OT_F64, 1, &e, errors));
    OT_TRY_TO(done, st, ot_npz_add(z, "spec", OT_U8, 1, &sha, spec_sha));
    OT_TRY_TO(done, st, add_images(z, &r->kept, "kept"));
    OT_TRY_TO(done, st, add_images(z, &r->best, "best"));
    st = ot_npz_finish(z);
    z = NULL;
done:
    ot_npz_abandon(z);
    return st;
}

static ot_status get(ot_array *out, ot_npz *z, const char *path, const char *name, ot_type type, int64_t count)
{
    int64_t n = 1;
    OT_TRY(ot_npz_get(out, z, name));
    for (int i = 0; i < out->n_dims; i++) n *= out->dims[i];
    if (out->type != type || (count >= 0 && n != count)) OT_FAIL(OT_E_FORMAT, "%s: array '%s' of %lld numbers is not that of a remix loop", path, name, (long long)n);
    return OT_OK;
}

static ot_status get_images(ot_images *m, ot_npz *z, const char *path, const char *which, int k)
{
    ot_array  pixels = {0}, labels = {0}, number = {0}, what = {0};
    char      name[4][40];
    ot_status st;
    static const char *const parts[] = {"pixels", "labels", "number", "what"};
    for (int i = 0; i < 4; i++) snprintf(name[i], sizeof name[i], "%s_%s", which, parts[i]);
    OT_TRY_TO(done, st, get(&pixels, z, path, name[0], OT_U8, -1));
    if (pixels.n_dims != 4 || pixels.dims[0] != k || pixels.dims[1] > 3 || pixels.dims[2] > 4096 || pixels.dims[3] > 4096)
        OT_FAIL_TO(done, st, OT_E_SHAPE, "%s: array '%s' does not hold %d images", path, name[0], k);
    OT_TRY_TO(done, st, get(&labels, z, path, name[1], OT_I32, k));
    OT_TRY_TO(done, st, get(&number, z, path, name[2], OT_I32, k));
    OT_TRY_TO(done, st, get(&what, z, path, name[3], OT_U8, (int64_t)k * OT_WHAT));
    OT_TRY_TO(done, st, ot_images_make(m, k, (int)pixels.dims[1], (int)pixels.dims[2], (int)pixels.dims[3]));
    memcpy(m->pixels, pixels.data, (size_t)k * (size_t)(m->c * m->h * m->w));
    memcpy(m->labels, labels.data, (size_t)k * sizeof *m->labels);
    memcpy(m->number, number.data, (size_t)k * sizeof *m->number);
    memcpy(m->what, what.data, (size_t)k * OT_WHAT);
    for (int i = 0; i < k; i++) m->what[i][OT_WHAT - 1] = 0;
done:
    ot_array_free(&what), ot_array_free(&number), ot_array_free(&labels), ot_array_free(&pixels);
    return st;
}

static ot_status read_state(ot_remix *r, ot_npz *z, const char *path, const char *spec_sha, const ot_remix_options *o)
{
    ot_array  numbers = {0}, errors = {0}, sha = {0};
    ot_status st;
    OT_TRY_TO(done, st, get(&numbers, z, path, "numbers", OT_I64, NUMBERS));
    OT_TRY_TO(done, st, get(&errors, z, path, "errors", OT_F64, ERRORS));
    OT_TRY_TO(done, st, get(&sha, z, path, "spec", OT_U8, 64));
    const int64_t *n = numbers.data;
    const double  *e = errors.data;
    if (memcmp(sha.data, spec_sha, 64)) OT_FAIL_TO(done, st, OT_E_MISMATCH, "%s: holds the remix loop of another campaign", path);
    if (n[2] != (int64_t)o->seed || n[3] != o->k || n[4] != o->candidates || n[5] != (int64_t)o->linkage)
        OT_FAIL_TO(done, st, OT_E_MISMATCH, "%s: a remix loop of seed %lld, k = %lld, %lld candidates, linkage %s, asked for %lld, %d, %d, %s", path, (long long)n[2],
                   (long long)n[3], (long long)n[4], ot_linkage_name((ot_linkage)n[5]), (long long)o->seed, o->k, o->candidates, ot_linkage_name(o->linkage));
    if (n[0] < 0 || n[0] > 1000000 || n[1] < 0 || n[1] > n[0]) OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: round %lld, best round %lld", path, (long long)n[0], (long long)n[1]);
    r->round = (int)n[0], r->best_round = (int)n[1], r->rmse = e[0], r->best_rmse = e[1];
    OT_TRY_TO(done, st, get_images(&r->kept, z, path, "kept", o->k));
    st = get_images(&r->best, z, path, "best", o->k);
done:
    ot_array_free(&sha), ot_array_free(&errors), ot_array_free(&numbers);
    return st;
}

ot_status select_state_read(ot_remix *r, int *found, const char *path, const char *spec_sha, const ot_remix_options *o)
{
    ot_npz *z = NULL;
    *r = (ot_remix){0};
    *found = access(path, F_OK) == 0;
    if (!*found) return OT_OK;
    OT_TRY(ot_npz_open(&z, path));
    ot_status st = read_state(r, z, path, spec_sha, o);
    ot_npz_close(z);
    if (st != OT_OK) ot_remix_free(r);
    return st;
}

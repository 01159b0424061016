/* tune_casebook.c - see tune_casebook.h. */
#include "tune_casebook.h"

#include "base/fail.h"

#include <string.h>

void tune_stimulus_free(tune_stimulus *s)
{
    ot_free(s->index), ot_free(s->images.labels), ot_free(s->images.values), ot_free(s->images.pixels);
    *s = (tune_stimulus){0};
}

static ot_status room(tune_stimulus *s, const ot_data *test, int k)
{
    const size_t one = (size_t)test->c * (size_t)test->h * (size_t)test->w;
    s->images = (ot_data){.name = test->name, .n = k, .c = test->c, .h = test->h, .w = test->w, .classes = test->classes};
    s->images.labels = ot_alloc((size_t)k, sizeof *s->images.labels);
    s->index = ot_alloc((size_t)k, sizeof *s->index);
    if (test->pixels) s->images.pixels = ot_alloc((size_t)k, one);
    else s->images.values = ot_alloc((size_t)k, one * sizeof(float));
    if (!s->images.labels || !s->index || (!s->images.pixels && !s->images.values)) OT_NOMEM("a stimulus", (size_t)k * one);
    for (int i = 0; i < k; i++) s->index[i] = (uint32_t)i;
    return OT_OK;
}

static void take(tune_stimulus *s, const ot_data *test, int at, int64_t image)
{
    const size_t one = (size_t)test->c * (size_t)test->h * (size_t)test->w, to = (size_t)at * one, from = (size_t)image * one;
    if (test->pixels) memcpy(s->images.pixels + to, test->pixels + from, one);
    else memcpy(s->images.values + to, test->values + from, one * sizeof(float));
}

ot_status tune_stimulus_random(tune_stimulus *s, const ot_data *test, uint64_t seed)
{
    const int k = test->n < 10 ? test->n : 10;
    uint32_t  image[10];
    OT_TRY(ot_stimulus_random(image, k, test, seed));
    OT_TRY(room(s, test, k));
    for (int i = 0; i < k; i++) take(s, test, i, image[i]);
    return OT_OK;
}

typedef struct arrays { ot_array signature, gain, offset, stimulus, pixels; } arrays;

static ot_status get(ot_array *out, ot_npz *z, const char *path, const char *name, int n_dims, ot_type type)
{
    if (!ot_npz_has(z, name)) OT_FAIL(OT_E_FORMAT, "%s: no array '%s', want signature, gain, offset, stimulus", path, name);
    OT_TRY(ot_npz_get(out, z, name));
    if (out->n_dims != n_dims) OT_FAIL(OT_E_SHAPE, "%s: array '%s' has %d dimensions, want %d", path, name, out->n_dims, n_dims);
    return ot_array_convert(out, type);
}

static ot_status get_all(arrays *a, ot_npz *z, const char *path)
{
    OT_TRY(get(&a->signature, z, path, "signature", 2, OT_F32));
    OT_TRY(get(&a->gain, z, path, "gain", 2, OT_F32));
    OT_TRY(get(&a->offset, z, path, "offset", 2, OT_F32));
    OT_TRY(get(&a->stimulus, z, path, "stimulus", 1, OT_I64));
    return ot_npz_has(z, "stimulus_pixels") ? get(&a->pixels, z, path, "stimulus_pixels", 2, OT_U8) : OT_OK;
}

static ot_status check(const arrays *a, const ot_network *net, const ot_data *test, const char *path)
{
    const int64_t n = a->signature.dims[0], s = a->signature.dims[1], k = a->stimulus.dims[0], relus = ot_network_knobs(net), one = relus + ot_network_classes(net);
    const ot_array *g = &a->gain, *o = &a->offset;
    if (g->dims[0] != n || o->dims[0] != n)
        OT_FAIL(OT_E_SHAPE, "%s: %lld signatures, %lld rows of gains, %lld of offsets, want as many", path, (long long)n, (long long)g->dims[0], (long long)o->dims[0]);
    if (g->dims[1] != relus || o->dims[1] != relus)
        OT_FAIL(OT_E_SHAPE, "%s: %lld gains and %lld offsets a chip, network '%s' has %lld layers with knobs", path, (long long)g->dims[1], (long long)o->dims[1],
                ot_network_name(net), (long long)relus);
    if (k < 1 || k > test->n || s != k * one)
        OT_FAIL(OT_E_SHAPE, "%s: signatures of %lld numbers for %lld images, network '%s' gives %lld an image", path, (long long)s, (long long)k, ot_network_name(net),
                (long long)one);
    if (n > INT32_MAX) OT_FAIL(OT_E_RANGE, "%s: %lld chips, want at most 2147483647", path, (long long)n);
    return OT_OK;
}

/* Image numbers of the test set; -1: pixels of its own. */
static ot_status images(tune_stimulus *s, const arrays *a, const ot_data *test, const char *path)
{
    const int     k = (int)a->stimulus.dims[0];
    const int64_t one = (int64_t)test->c * test->h * test->w;
    OT_TRY(room(s, test, k));
    for (int i = 0; i < k; i++) {
        const int64_t image = ((const int64_t *)a->stimulus.data)[i];
        const int     own = image == -1 && a->pixels.data;
        if (!own && (image < 0 || image >= test->n))
            OT_FAIL(OT_E_RANGE, "%s: stimulus image %d is number %lld, want 0..%d (%s)", path, i, (long long)image, test->n - 1, test->name);
        if (own && (!test->pixels || a->pixels.dims[0] != k || a->pixels.dims[1] != one))
            OT_FAIL(OT_E_SHAPE, "%s: stimulus_pixels of %lld x %lld, want %d x %lld and a data set of bytes", path, (long long)a->pixels.dims[0],
                    (long long)a->pixels.dims[1], k, (long long)one);
        if (own) memcpy(s->images.pixels + (size_t)i * (size_t)one, (const char *)a->pixels.data + (size_t)i * (size_t)one, (size_t)one);
        else take(s, test, i, image);
    }
    return OT_OK;
}

ot_status tune_casebook_open(ot_casebook **cb, tune_stimulus *s, const ot_network *net, const ot_data *test, const char *path, int clusters)
{
    ot_npz   *z = NULL;
    arrays    a = {0};
    ot_status st = OT_OK;
    OT_TRY_TO(done, st, ot_npz_open(&z, path));
    OT_TRY_TO(done, st, get_all(&a, z, path));
    OT_TRY_TO(done, st, check(&a, net, test, path));
    OT_TRY_TO(done, st, images(s, &a, test, path));
    st = ot_casebook_make(cb, a.signature.data, a.gain.data, a.offset.data, (int)a.signature.dims[0], (int)a.signature.dims[1], (int)a.gain.dims[1], clusters);
    if (st != OT_OK) ot__fail_prefix(st, "%s: ", path);
done:
    ot_array_free(&a.pixels), ot_array_free(&a.stimulus), ot_array_free(&a.offset), ot_array_free(&a.gain), ot_array_free(&a.signature);
    ot_npz_close(z);
    return st;
}

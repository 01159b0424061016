/* data_formats.c - the three formats of labelled images, from memory, with every count checked. */
#include "data.h"
#include "ohmtrim/array.h"

#include <math.h>
#include <string.h>

static ot_status new_data(ot_data **out, const char *name, int c, int h, int w, int classes)
{
    ot_data *d = ot_alloc(1, sizeof *d);
    if (!d || !(d->name = ot_strdup(name))) {
        ot_free(d);
        OT_NOMEM(name, sizeof *d);
    }
    d->c = c, d->h = h, d->w = w, d->classes = classes;
    *out = d;
    return OT_OK;
}

static uint32_t be(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

ot_status ot__data_idx(ot_data **out, const char *name, int classes, const void *images, size_t n_images, const char *images_name,
                       const void *labels, size_t n_labels, const char *labels_name, int limit)
{
    const uint8_t *x = images, *y = labels;
    if (n_images < 16 || be(x) != 0x803)
        OT_FAIL(OT_E_FORMAT, "%s: begins with %08x, want 00000803 (idx images)", images_name, n_images < 4 ? 0 : be(x));
    if (n_labels < 8 || be(y) != 0x801)
        OT_FAIL(OT_E_FORMAT, "%s: begins with %08x, want 00000801 (idx labels)", labels_name, n_labels < 4 ? 0 : be(y));
    uint32_t n = be(x + 4), h = be(x + 8), w = be(x + 12);
    if (n == 0 || n > 1u << 28 || h == 0 || w == 0 || h > 4096 || w > 4096)
        OT_FAIL(OT_E_FORMAT, "%s: %u images of %u x %u, want 1 or more of at most 4096 x 4096", images_name, n, h, w);
    if (n_images - 16 != (size_t)n * h * w) OT_FAIL(OT_E_FORMAT, "%s: %zu bytes of pixels, want %zu", images_name, n_images - 16, (size_t)n * h * w);
    if (be(y + 4) != n) OT_FAIL(OT_E_FORMAT, "%s: %u labels, want %u as there are images", labels_name, be(y + 4), n);
    if (n_labels - 8 != n) OT_FAIL(OT_E_FORMAT, "%s: %zu bytes of labels, want %u", labels_name, n_labels - 8, n);
    for (uint32_t i = 0; i < n; i++)
        if (y[8 + i] >= classes) OT_FAIL(OT_E_FORMAT, "%s: label %u is %d, want 0..%d", labels_name, i, y[8 + i], classes - 1);
    if (limit > 0 && (uint32_t)limit < n) n = (uint32_t)limit;
    ot_data *d = NULL;
    OT_TRY(new_data(&d, name, 1, (int)h, (int)w, classes));
    d->n = (int)n;
    if (!(d->pixels = ot_alloc((size_t)n * h, w)) || !(d->labels = ot_alloc(n, sizeof *d->labels))) {
        ot_data_free(d);
        OT_NOMEM(images_name, (size_t)n * h * w);
    }
    memcpy(d->pixels, x + 16, (size_t)n * h * w);
    for (uint32_t i = 0; i < n; i++) d->labels[i] = y[8 + i];
    *out = d;
    return OT_OK;
}

ot_status ot__data_cifar(ot_data *d, const void *bytes, size_t n_bytes, const char *file, int label_bytes, int limit)
{
    enum { PIXELS = 3072 };
    size_t record = (size_t)label_bytes + PIXELS, n = n_bytes / record;
    if (n_bytes == 0 || n_bytes % record) OT_FAIL(OT_E_FORMAT, "%s: %zu bytes, want a multiple of %zu", file, n_bytes, record);
    if (limit > 0 && (size_t)(limit - d->n) < n) n = (size_t)(limit - d->n);
    uint8_t *pixels = ot_realloc(d->pixels, (size_t)d->n + n, PIXELS);
    if (pixels) d->pixels = pixels;
    int32_t *labels = pixels ? ot_realloc(d->labels, (size_t)d->n + n, sizeof *labels) : NULL;
    if (!labels) OT_NOMEM(file, n * record);
    d->labels = labels;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *r = (const uint8_t *)bytes + i * record;
        int label = r[label_bytes - 1];
        if (label >= d->classes) OT_FAIL(OT_E_FORMAT, "%s: label of record %zu is %d, want 0..%d", file, i, label, d->classes - 1);
        d->labels[(size_t)d->n + i] = label;
        memcpy(d->pixels + ((size_t)d->n + i) * PIXELS, r + label_bytes, PIXELS);
    }
    d->n += (int)n;
    return OT_OK;
}

static ot_status npz_fill(ot_data *d, ot_array *x, ot_array *y, const char *file, const char *split, int limit)
{
    if (x->n_dims != 4) OT_FAIL(OT_E_SHAPE, "%s: x_%s has %d dimensions, want 4: (N, C, H, W)", file, split, x->n_dims);
    for (int i = 0; i < 4; i++)
        if (x->dims[i] < 1 || x->dims[i] > 1 << 24) OT_FAIL(OT_E_SHAPE, "%s: x_%s has dimension %lld, want 1 or more", file, split, (long long)x->dims[i]);
    if (y->n_dims != 1 || y->dims[0] != x->dims[0])
        OT_FAIL(OT_E_SHAPE, "%s: y_%s has %lld labels, want %lld as there are images", file, split, (long long)ot_array_count(y), (long long)x->dims[0]);
    if (x->type != OT_U8) OT_TRY(ot_array_convert(x, OT_F32));
    OT_TRY(ot_array_convert(y, OT_I32));
    int64_t n = x->dims[0], size = x->dims[1] * x->dims[2] * x->dims[3];
    if (limit > 0 && limit < n) n = limit;
    const int32_t *labels = y->data;
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] > 65535) OT_FAIL(OT_E_FORMAT, "%s: y_%s[%lld] = %d, want 0..65535", file, split, (long long)i, labels[i]);
        if (labels[i] >= d->classes) d->classes = labels[i] + 1;
    }
    for (int64_t i = 0; x->type == OT_F32 && i < n * size; i++)
        if (!isfinite(((float *)x->data)[i])) OT_FAIL(OT_E_DATA, "%s: x_%s holds a number that is not finite in image %lld", file, split, (long long)(i / size));
    d->n = (int)n;
    d->c = (int)x->dims[1], d->h = (int)x->dims[2], d->w = (int)x->dims[3];
    if (x->type == OT_U8) d->pixels = x->data;
    else d->values = x->data;
    d->labels = y->data;
    x->data = y->data = NULL;                                      /* handed over */
    return OT_OK;
}

ot_status ot__data_npz(ot_data **out, const void *bytes, size_t n_bytes, const char *file, ot_split split, int limit)
{
    const char *names[2][2] = {{"x_train", "y_train"}, {"x_test", "y_test"}};
    int s = split == OT_SPLIT_TEST;
    ot_npz *z = NULL;
    ot_array x = {0}, y = {0};
    ot_data *d = NULL;
    ot_status st = OT_OK;
    OT_TRY_TO(done, st, ot_npz_parse(&z, bytes, n_bytes, file));
    OT_TRY_TO(done, st, ot_npz_get(&x, z, names[s][0]));
    OT_TRY_TO(done, st, ot_npz_get(&y, z, names[s][1]));
    OT_TRY_TO(done, st, new_data(&d, "npz", 0, 0, 0, 1));
    OT_TRY_TO(done, st, npz_fill(d, &x, &y, file, s ? "test" : "train", limit));
    *out = d;
    d = NULL;
done:
    ot_data_free(d);
    ot_array_free(&x);
    ot_array_free(&y);
    ot_npz_close(z);
    return st;
}

/* data.c - data sets by name: where they are looked for, which files make them up, and images as a network wants them. */
#include "data.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 30 };

typedef struct set { const char *name, *folder; int classes, label_bytes; const char *train[6], *test[6]; } set;

/* label_bytes 0: idx (images, then labels); else CIFAR binary files */
static const set sets[] = {
    {"mnist", "mnist", 10, 0, {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}, {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}},
    {"fashion-mnist", "fashion-mnist", 10, 0, {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}, {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}},
    {"cifar10", "cifar-10-batches-bin", 10, 1,
     {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}, {"test_batch.bin"}},
    {"cifar100", "cifar-100-binary", 100, 2, {"train.bin"}, {"test.bin"}},
};

void ot_data_free(ot_data *d)
{
    if (!d) return;
    ot_free(d->name);
    ot_free(d->pixels);
    ot_free(d->values);
    ot_free(d->labels);
    ot_free(d);
}

/* dir/[folder/]file[.gz], whichever is there */
static int find_file(char *path, size_t n, const char *dir, const set *s, const char *file)
{
    for (int i = 0; i < 4; i++) {
        snprintf(path, n, "%s%s%s/%s%s", dir, i < 2 ? "/" : "", i < 2 ? s->folder : "", file, i % 2 ? "" : ".gz");
        if (ot__file_exists(path)) return 1;
    }
    return 0;
}

/* The folder that has the set's first file: the one given, or the first of the places of DESIGN 5. */
static ot_status find_dir(char *dir, size_t n, const set *s, const char *given, const char *file)
{
    char path[1200];
    const char *places[] = {getenv("OHMTRIM_DATA"), "./data", "/usr/share/datasets"};
    if (given) {
        snprintf(dir, n, "%s", given);
        if (find_file(path, sizeof path, dir, s, file)) return OT_OK;
        OT_FAIL(OT_E_OPEN, "data set %s: no %s[.gz] in %s or %s/%s", s->name, file, given, given, s->folder);
    }
    for (int i = 0; i < 3; i++) {
        if (!places[i]) continue;
        snprintf(dir, n, "%s", places[i]);
        if (find_file(path, sizeof path, dir, s, file)) return OT_OK;
    }
    OT_FAIL(OT_E_OPEN, "data set %s: no %s[.gz] in $OHMTRIM_DATA (%s), ./data or /usr/share/datasets; give its folder as %s:DIR", s->name, file,
            places[0] ? places[0] : "not set", s->name);
}

static ot_status open_idx(ot_data **out, const set *s, const char *dir, const char *const *files, int limit)
{
    char x_path[1200], y_path[1200];
    void *x = NULL, *y = NULL;
    size_t n_x, n_y;
    if (!find_file(x_path, sizeof x_path, dir, s, files[0])) OT_FAIL(OT_E_OPEN, "%s: no %s[.gz] in it", dir, files[0]);
    if (!find_file(y_path, sizeof y_path, dir, s, files[1])) OT_FAIL(OT_E_OPEN, "%s: no %s[.gz] in it", dir, files[1]);
    ot_status st = ot__file_read_gz(&x, &n_x, x_path, MAX_BYTES);
    if (st == OT_OK) st = ot__file_read_gz(&y, &n_y, y_path, MAX_BYTES);
    if (st == OT_OK) st = ot__data_idx(out, s->name, s->classes, x, n_x, x_path, y, n_y, y_path, limit);
    ot_free(x);
    ot_free(y);
    return st;
}

static ot_status open_cifar(ot_data **out, const set *s, const char *dir, const char *const *files, int limit)
{
    ot_data *d = ot_alloc(1, sizeof *d);
    ot_status st = OT_OK;
    if (!d || !(d->name = ot_strdup(s->name))) {
        ot_free(d);
        OT_NOMEM(s->name, sizeof *d);
    }
    d->c = 3, d->h = d->w = 32, d->classes = s->classes;
    for (int i = 0; i < 6 && files[i] && st == OT_OK && (limit == 0 || d->n < limit); i++) {
        char path[1200];
        void *bytes = NULL;
        size_t n;
        if (!find_file(path, sizeof path, dir, s, files[i])) OT_FAIL_TO(fail, st, OT_E_OPEN, "%s: no %s in it", dir, files[i]);
        st = ot__file_read_gz(&bytes, &n, path, MAX_BYTES);
        if (st == OT_OK) st = ot__data_cifar(d, bytes, n, path, s->label_bytes, limit);
        ot_free(bytes);
    }
fail:
    if (st == OT_OK) *out = d;
    else ot_data_free(d);
    return st;
}

ot_status ot_data_open(ot_data **out, const char *spec, ot_split split, int limit)
{
    const char *colon = strchr(spec, ':');
    size_t n = colon ? (size_t)(colon - spec) : strlen(spec);
    if (n == 3 && !strncmp(spec, "npz", 3)) {
        void *bytes;
        size_t n_bytes;
        if (!colon) OT_FAIL(OT_E_USAGE, "data set 'npz', want npz:FILE");
        OT_TRY(ot__file_read(&bytes, &n_bytes, colon + 1, (size_t)1 << 36));
        ot_status st = ot__data_npz(out, bytes, n_bytes, colon + 1, split, limit);
        ot_free(bytes);
        return st;
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        const set *s = &sets[i];
        if (strlen(s->name) != n || strncmp(spec, s->name, n)) continue;
        const char *const *files = split == OT_SPLIT_TEST ? s->test : s->train;
        char dir[1024];
        OT_TRY(find_dir(dir, sizeof dir, s, colon ? colon + 1 : NULL, files[0]));
        return s->label_bytes ? open_cifar(out, s, dir, files, limit) : open_idx(out, s, dir, files, limit);
    }
    OT_FAIL(OT_E_USAGE, "data set '%s', want mnist, fashion-mnist, cifar10, cifar100 (each with :DIR if it is elsewhere) or npz:FILE", spec);
}

ot_status ot_data_check(const ot_data *d, const ot_network *net)
{
    const ot_layer *in = ot_network_layer(net, 0);
    if (d->c != in->c || d->h != in->h || d->w != in->w)
        OT_FAIL(OT_E_SHAPE, "data set %s has images (%d, %d, %d), network %s wants (%d, %d, %d)", d->name, d->c, d->h, d->w, ot_network_name(net),
                in->c, in->h, in->w);
    if (d->classes > ot_network_classes(net))
        OT_FAIL(OT_E_SHAPE, "data set %s has %d classes, network %s tells %d apart", d->name, d->classes, ot_network_name(net), ot_network_classes(net));
    return OT_OK;
}

void ot_data_image(const ot_data *d, const ot_network *net, int64_t i, float *out)
{
    size_t plane = (size_t)d->h * (size_t)d->w, size = (size_t)d->c * plane;
    if (d->values) {
        memcpy(out, d->values + (size_t)i * size, size * sizeof *out);
        return;
    }
    const float *mean, *std;
    const uint8_t *p = d->pixels + (size_t)i * size;
    ot_network_normalisation(net, &mean, &std);
    for (int c = 0; c < d->c; c++) {
        float scale = 1.0f / (255.0f * std[c]), shift = -mean[c] / std[c];
        for (size_t k = 0; k < plane; k++) *out++ = (float)*p++ * scale + shift;
    }
}

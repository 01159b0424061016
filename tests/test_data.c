/* test_data.c - data sets: found where they should be, read right, and every damage one sentence. */
#include "check.h"
#include "network/data.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char *in_scratch(const char *name)
{
    static char path[4][600];
    static int k;
    k = (k + 1) % 4;
    snprintf(path[k], sizeof *path, "%s/%s", check_scratch(), name);
    return path[k];
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_scratch(name), "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) perror(name), abort();
}

/* Two images of 2 x 3 and their labels 4, 9 as idx bytes. */
static uint8_t images[16 + 12], labels[8 + 2];
static void sound(void)
{
    static const uint8_t x[16] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3}, y[10] = {0, 0, 8, 1, 0, 0, 0, 2, 4, 9};
    memcpy(images, x, 16);
    for (int k = 0; k < 12; k++) images[16 + k] = (uint8_t)(20 * k);
    memcpy(labels, y, 10);
}
static ot_status idx(ot_data **d, size_t n_images, size_t n_labels, int limit)
{
    return ot__data_idx(d, "mnist", 10, images, n_images, "IMAGES", labels, n_labels, "LABELS", limit);
}

TEST idx_images_and_labels_are_read(void)
{
    ot_data *d;
    sound();
    OK(idx(&d, 28, 10, 0));
    ASSERT(d->n == 2 && d->c == 1 && d->h == 2 && d->w == 3 && d->classes == 10);
    ASSERT(d->labels[0] == 4 && d->labels[1] == 9 && d->pixels[7] == 140);
    ot_data_free(d);
    OK(idx(&d, 28, 10, 1));
    ASSERT_EQ(1, d->n);
    ot_data_free(d);
    PASS();
}

TEST damaged_idx_says_what_is_wrong(void)
{
    ot_data *d = NULL;
    size_t live = ot_memory_now().live;
    sound();
    FAILS(OT_E_FORMAT, "IMAGES: begins with 00000000, want 00000803", idx(&d, 3, 10, 0));
    FAILS(OT_E_FORMAT, "IMAGES: 11 bytes of pixels, want 12", idx(&d, 27, 10, 0));
    FAILS(OT_E_FORMAT, "LABELS: 1 bytes of labels, want 2", idx(&d, 28, 9, 0));
    FAILS(OT_E_FORMAT, "LABELS: begins with 00000000, want 00000801", idx(&d, 28, 0, 0));
    images[3] = 1;
    FAILS(OT_E_FORMAT, "IMAGES: begins with 00000801, want 00000803", idx(&d, 28, 10, 0));
    sound();
    labels[9] = 10;
    FAILS(OT_E_FORMAT, "LABELS: label 1 is 10, want 0..9", idx(&d, 28, 10, 0));
    sound();
    labels[7] = 3;
    FAILS(OT_E_FORMAT, "LABELS: 3 labels, want 2 as there are images", idx(&d, 28, 10, 0));
    sound();
    images[4] = 0xff;
    FAILS(OT_E_FORMAT, "IMAGES: 4278190082 images of 2 x 3", idx(&d, 28, 10, 0));
    sound();
    images[11] = 0;
    FAILS(OT_E_FORMAT, "IMAGES: 2 images of 0 x 3", idx(&d, 16, 10, 0));
    for (size_t n = 1;; n++) {                              /* lack of memory */
        sound();
        ot_memory_fail_at(n);
        ot_status st = idx(&d, 28, 10, 0);
        ot_memory_fail_at(0);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT(n < 10);
    }
    ot_data_free(d);
    ASSERT_EQ(live, ot_memory_now().live);
    PASS();
}

TEST a_set_is_found_with_and_without_its_folder_packed_and_plain(void)
{
    ot_data *d;
    char spec[700];
    sound();
    mkdir(in_scratch("sets"), 0777);
    mkdir(in_scratch("sets/mnist"), 0777);
    gzFile z = gzopen(in_scratch("sets/mnist/t10k-images-idx3-ubyte.gz"), "wb");
    ASSERT(z && gzwrite(z, images, 28) == 28 && gzclose(z) == Z_OK);
    put("sets/mnist/t10k-labels-idx1-ubyte", labels, 10);
    snprintf(spec, sizeof spec, "mnist:%s", in_scratch("sets"));
    OK(ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    ASSERT(d->n == 2 && d->pixels[7] == 140);
    ASSERT_STR_EQ("mnist", d->name);
    ot_data_free(d);
    snprintf(spec, sizeof spec, "mnist:%s", in_scratch("sets/mnist"));
    OK(ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    ot_data_free(d);
    FAILS(OT_E_OPEN, "no train-images-idx3-ubyte[.gz] in", ot_data_open(&d, spec, OT_SPLIT_TRAIN, 0));
    char *old = getenv("OHMTRIM_DATA") ? strdup(getenv("OHMTRIM_DATA")) : NULL;
    setenv("OHMTRIM_DATA", in_scratch("sets"), 1);
    ot_status st = ot_data_open(&d, "mnist", OT_SPLIT_TEST, 0);
    setenv("OHMTRIM_DATA", "/no/such/folder", 1);
    ot_data *none = NULL;
    ot_status st2 = ot_data_open(&none, "cifar100", OT_SPLIT_TRAIN, 0);
    if (old) setenv("OHMTRIM_DATA", old, 1);
    else unsetenv("OHMTRIM_DATA");
    free(old);
    OK(st);
    ot_data_free(d);
    if (st2 != OT_OK) FAILS(OT_E_OPEN, "no train.bin[.gz] in $OHMTRIM_DATA (/no/such/folder), ./data or /usr/share/datasets; give its folder as cifar100:DIR", st2);
    ot_data_free(none);

    put("sets/mnist/t10k-images-idx3-ubyte.gz", "\x1f\x8b\x08 damaged", 11);        /* gzip says no */
    snprintf(spec, sizeof spec, "mnist:%s", in_scratch("sets"));
    ot_status bad = ot_data_open(&d, spec, OT_SPLIT_TEST, 0);
    ASSERT(bad == OT_E_FORMAT || bad == OT_E_OPEN);
    ASSERT(strstr(ot_last_error(), "t10k-images-idx3-ubyte.gz"));
    PASS();
}

TEST cifar_records_are_read_across_files(void)
{
    ot_data *d;
    char spec[700];
    static uint8_t file[3 * 3073];
    mkdir(in_scratch("cifar-10-batches-bin"), 0777);
    for (int f = 1; f <= 5; f++) {
        char name[64];
        for (int i = 0; i < 3; i++) {
            memset(file + i * 3073, f * 10 + i, 3073);
            file[i * 3073] = (uint8_t)(f + i);
        }
        snprintf(name, sizeof name, "cifar-10-batches-bin/data_batch_%d.bin", f);
        put(name, file, sizeof file);
    }
    snprintf(spec, sizeof spec, "cifar10:%s", check_scratch());
    OK(ot_data_open(&d, spec, OT_SPLIT_TRAIN, 0));
    ASSERT(d->n == 15 && d->c == 3 && d->h == 32 && d->w == 32 && d->classes == 10);
    ASSERT(d->labels[3] == 2 && d->pixels[3 * 3072] == 20 && d->pixels[15 * 3072 - 1] == 52);
    ot_data_free(d);
    OK(ot_data_open(&d, spec, OT_SPLIT_TRAIN, 4));
    ASSERT(d->n == 4 && d->labels[3] == 2);
    ot_data_free(d);
    unlink(in_scratch("cifar-10-batches-bin/data_batch_4.bin"));
    FAILS(OT_E_OPEN, "no data_batch_4.bin in it", ot_data_open(&d, spec, OT_SPLIT_TRAIN, 0));
    put("cifar-10-batches-bin/data_batch_4.bin", file, 3000);
    FAILS(OT_E_FORMAT, "data_batch_4.bin: 3000 bytes, want a multiple of 3073", ot_data_open(&d, spec, OT_SPLIT_TRAIN, 0));
    file[3073] = 10;
    put("cifar-10-batches-bin/data_batch_4.bin", file, sizeof file);
    FAILS(OT_E_FORMAT, "data_batch_4.bin: label of record 1 is 10, want 0..9", ot_data_open(&d, spec, OT_SPLIT_TRAIN, 0));
    put("cifar-10-batches-bin/data_batch_4.bin", "", 0);
    FAILS(OT_E_FORMAT, "data_batch_4.bin: 0 bytes", ot_data_open(&d, spec, OT_SPLIT_TRAIN, 0));
    PASS();
}

TEST cifar100_counts_the_fine_label(void)
{
    ot_data *d;
    char spec[700];
    static uint8_t record[3074] = {7, 99};
    mkdir(in_scratch("cifar-100-binary"), 0777);
    put("cifar-100-binary/test.bin", record, sizeof record);
    snprintf(spec, sizeof spec, "cifar100:%s", check_scratch());
    OK(ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    ASSERT(d->n == 1 && d->classes == 100 && d->labels[0] == 99);
    ot_data_free(d);
    PASS();
}

static void write_npz(const char *name, ot_type type, int n_dims, const int64_t *dims, const void *x, int64_t n_labels, const int64_t *y)
{
    ot_npz_writer *z;
    if (ot_npz_create(&z, in_scratch(name)) != OT_OK || ot_npz_add(z, "x_test", type, n_dims, dims, x) != OT_OK ||
        ot_npz_add(z, "y_test", OT_I64, 1, &n_labels, y) != OT_OK || ot_npz_finish(z) != OT_OK)
        abort();
}

TEST npz_gives_bytes_or_floats(void)
{
    ot_data *d;
    char spec[700];
    const uint8_t u8[8] = {0, 255, 51, 102, 1, 2, 3, 4};
    const float f32[8] = {0.5f, -1, 2, 3, 4, 5, 6, 7};
    const int64_t dims[4] = {2, 1, 2, 2}, y[2] = {0, 6};
    float out[4];
    ot_network *net;
    OK(ot_network_new(&net, "n", 1, 2, 2));
    OK(ot_network_set_normalisation(net, (const float[]){0.5f}, (const float[]){0.25f}));
    write_npz("u8.npz", OT_U8, 4, dims, u8, 2, y);
    snprintf(spec, sizeof spec, "npz:%s", in_scratch("u8.npz"));
    OK(ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    ASSERT(d->n == 2 && d->classes == 7 && d->pixels && !d->values && d->labels[1] == 6);
    check_poison(out, 4);
    ot_data_image(d, net, 0, out);
    CHECK_CLOSE(((float[]){-2, 2, -1.2f, -0.4f}), out, 4, /* a product and a sum in float */ 5e-7);
    ot_data_free(d);
    write_npz("f32.npz", OT_F32, 4, dims, f32, 2, y);
    snprintf(spec, sizeof spec, "npz:%s", in_scratch("f32.npz"));
    OK(ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    check_poison(out, 4);
    ot_data_image(d, net, 1, out);                         /* floats are used as they are */
    CHECK_CLOSE(f32 + 4, out, 4, 0);
    ot_data_free(d);
    ot_network_free(net);
    PASS();
}

TEST an_npz_that_does_not_fit_says_why(void)
{
    ot_data *d = NULL;
    char spec[700];
    float f32[8] = {0};
    const int64_t dims[4] = {2, 1, 2, 2}, y[2] = {0, 1}, negative[2] = {0, -1};
    snprintf(spec, sizeof spec, "npz:%s", in_scratch("bad.npz"));
    FAILS(OT_E_USAGE, "want npz:FILE", ot_data_open(&d, "npz", OT_SPLIT_TEST, 0));
    FAILS(OT_E_OPEN, "bad.npz", ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    write_npz("bad.npz", OT_F32, 3, dims, f32, 2, y);
    FAILS(OT_E_SHAPE, "x_test has 3 dimensions, want 4: (N, C, H, W)", ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    write_npz("bad.npz", OT_F32, 4, dims, f32, 1, y);
    FAILS(OT_E_SHAPE, "y_test has 1 labels, want 2", ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    write_npz("bad.npz", OT_F32, 4, dims, f32, 2, negative);
    FAILS(OT_E_FORMAT, "y_test[1] = -1, want 0..65535", ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    FAILS(OT_E_FORMAT, "x_train", ot_data_open(&d, spec, OT_SPLIT_TRAIN, 0));
    f32[5] = NAN;
    write_npz("bad.npz", OT_F32, 4, dims, f32, 2, y);
    FAILS(OT_E_DATA, "not finite in image 1", ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    put("bad.npz", "PK\3\4 not a zip", 14);
    FAILS(OT_E_FORMAT, "bad.npz", ot_data_open(&d, spec, OT_SPLIT_TEST, 0));
    PASS();
}

TEST data_that_does_not_fit_the_network_is_refused(void)
{
    ot_data d = {.name = (char *)(uintptr_t)"cifar10", .n = 1, .c = 3, .h = 32, .w = 32, .classes = 10};
    ot_network *net;
    OK(ot_network_new(&net, "lenet", 1, 28, 28));
    FAILS(OT_E_SHAPE, "data set cifar10 has images (3, 32, 32), network lenet wants (1, 28, 28)", ot_data_check(&d, net));
    ot_network_free(net);
    OK(ot_network_new(&net, "small", 3, 32, 32));
    OK(ot_network_add(net, &(ot_layer){.op = OT_OP_GLOBAL_AVG, .name = "gap"}, NULL));
    FAILS(OT_E_SHAPE, "data set cifar10 has 10 classes, network small tells 3 apart", ot_data_check(&d, net));
    d.classes = 3;
    OK(ot_data_check(&d, net));
    ot_network_free(net);
    PASS();
}

TEST a_set_nobody_knows_is_a_usage_error(void)
{
    ot_data *d;
    FAILS(OT_E_USAGE, "data set 'imagenet', want mnist, fashion-mnist, cifar10", ot_data_open(&d, "imagenet", OT_SPLIT_TEST, 0));
    FAILS(OT_E_USAGE, "data set ''", ot_data_open(&d, "", OT_SPLIT_TEST, 0));
    FAILS(OT_E_USAGE, "data set 'mnis:x'", ot_data_open(&d, "mnis:x", OT_SPLIT_TEST, 0));
    PASS();
}

TEST debian_s_fashion_mnist_is_read_whole(void)
{
    ot_data *d;
    if (access("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz", R_OK)) SKIPm("dataset-fashion-mnist is not installed");
    OK(ot_data_open(&d, "fashion-mnist:/usr/share/datasets", OT_SPLIT_TEST, 0));
    int count[10] = {0};
    for (int i = 0; i < d->n; i++) count[d->labels[i]]++;
    ASSERT(d->n == 10000 && d->h == 28 && d->w == 28 && d->labels[0] == 9 && d->labels[1] == 2);
    for (int k = 0; k < 10; k++) ASSERT_EQ(1000, count[k]);
    ot_data_free(d);
    PASS();
}

SUITE(test_data)
{
    RUN_TEST(idx_images_and_labels_are_read);
    RUN_TEST(damaged_idx_says_what_is_wrong);
    RUN_TEST(a_set_is_found_with_and_without_its_folder_packed_and_plain);
    RUN_TEST(cifar_records_are_read_across_files);
    RUN_TEST(cifar100_counts_the_fine_label);
    RUN_TEST(npz_gives_bytes_or_floats);
    RUN_TEST(an_npz_that_does_not_fit_says_why);
    RUN_TEST(data_that_does_not_fit_the_network_is_refused);
    RUN_TEST(a_set_nobody_knows_is_a_usage_error);
    RUN_TEST(debian_s_fashion_mnist_is_read_whole);
}

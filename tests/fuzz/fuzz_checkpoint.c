/* fuzz_checkpoint.c - checkpoints of a training whose arrays hold anything: it goes on from them or says why not, and what it goes on from is finite.
 *
 * Random bytes would never get past an npz's checksums, so the input is a list of changes to a checkpoint that a training wrote: which array,
 * where in it, eight new bytes, or that it is left out. */
#include "train/trainer.h"
#include "ohmtrim/array.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 16, SIDE = 4, IMAGES = 8 };

static char      good[64], bad[64];
static ot_array  array[MOST];
static char      name[MOST][32];
static int       arrays;
static uint8_t   pixels[IMAGES * SIDE * SIDE];
static int32_t   labels[IMAGES] = {0, 1, 0, 1, 1, 0, 1, 0};
static ot_data   data = {.name = (char *)"fuzz", .n = IMAGES, .c = 1, .h = SIDE, .w = SIDE, .classes = 2, .pixels = pixels, .labels = labels};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static ot_status stop(void *user, int epoch, double loss, double train, double test, double lr)
{
    (void)user, (void)epoch, (void)loss, (void)train, (void)test, (void)lr;
    return OT_E_INTERRUPTED;
}

static ot_status train(const char *path, ot_train_fn fn)
{
    static const float w[4 * 9] = {0.3f, -0.2f, 0.1f, 0.7f}, v[2 * 4 * SIDE * SIDE] = {0.1f, -0.1f, 0.4f};
    ot_train_options   o = ot_train_defaults();
    ot_network        *net;
    int                l = 0;
    if (ot_network_new(&net, "fuzz", 1, SIDE, SIDE) != OT_OK) abort();
    const ot_layer layers[] = {{.op = OT_OP_CONV, .c = 4, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .weight = (float *)w},
                               {.op = OT_OP_RELU, .clip = INFINITY}, {.op = OT_OP_RESHAPE, .c = 4 * SIDE * SIDE, .h = 1, .w = 1}, {.op = OT_OP_DENSE, .c = 2, .weight = (float *)v}};
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        char     own[16];
        ot_layer add = layers[k];
        snprintf(own, sizeof own, "l%zu", k);
        add.name = own, add.in[0] = l, add.in[1] = -1;
        if (ot_network_add(net, &add, &l) != OT_OK) abort();
    }
    o.epochs = 3, o.minibatch = 4, o.threads = 1, o.shards = 1, o.schedule = OT_SCHEDULE_FIXED, o.lr = 1e-6, o.checkpoint = path;
    o.optimizer = OT_OPTIMIZER_ADAM, o.robust.weight_bits = o.robust.activation_bits = 4, o.robust.rescale_epochs = 1, o.robust.range_batches = 1;
    const ot_status st = ot_train(net, "ref", &data, NULL, &o, fn, NULL);
    ot_network_free(net);
    return st;
}

static void free_arrays(void)
{
    for (int k = 0; k < arrays; k++) ot_array_free(&array[k]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    ot_npz *z;
    (void)argc, (void)argv;
    atexit(free_arrays);
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 37);
    snprintf(good, sizeof good, "/tmp/fuzz-checkpoint-%d.npz", (int)getpid());
    snprintf(bad, sizeof bad, "/tmp/fuzz-checkpoint-%d-bad.npz", (int)getpid());
    if (train(good, stop) != OT_E_INTERRUPTED || ot_npz_open(&z, good) != OT_OK) abort();
    for (arrays = 0; arrays < ot_npz_count(z) && arrays < MOST; arrays++) {
        snprintf(name[arrays], sizeof *name, "%s", ot_npz_name(z, arrays));
        if (ot_npz_get(&array[arrays], z, name[arrays]) != OT_OK) abort();
    }
    ot_npz_close(z);
    remove(good);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    ot_npz_writer *w;
    uint8_t       *room[MOST];
    int            out[MOST] = {0};
    for (int k = 0; k < arrays; k++) {
        const size_t n = (size_t)ot_array_count(&array[k]) * ot_type_bytes(array[k].type);
        if (!(room[k] = malloc(n + 8))) abort();
        memcpy(room[k], array[k].data, n);
    }
    for (size_t at = 0; at + 11 <= size; at += 11) {
        const int    k = bytes[at] % arrays;
        const size_t n = (size_t)ot_array_count(&array[k]) * ot_type_bytes(array[k].type), place = (size_t)(bytes[at + 1] << 8 | bytes[at + 2]) % (n ? n : 1);
        if (bytes[at] >= 0xf0) out[k] = 1;
        else memcpy(room[k] + place, bytes + at + 3, n - place < 8 ? n - place : 8);
    }
    if (ot_npz_create(&w, bad) != OT_OK) abort();
    for (int k = 0; k < arrays; k++)
        if (!out[k] && ot_npz_add(w, name[k], array[k].type, array[k].n_dims, array[k].dims, room[k]) != OT_OK) abort();
    if (ot_npz_finish(w) != OT_OK) abort();
    const ot_status st = train(bad, NULL);
    if (st != OT_OK && !*ot_last_error()) abort();
    remove(bad);
    for (int k = 0; k < arrays; k++) free(room[k]);
    return 0;
}

/* test_checkpoint.c - checkpoints of a training: what belongs to a run, damaged files, runs made longer or shorter. */
#include "base/file.h"
#include "check.h"
#include "nets.h"

#include "ohmtrim/array.h"
#include "ohmtrim/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ot_data *images;
static float    clip = INFINITY;                            /* of the first ReLU */

static const char *scratch(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    return path;
}

static ot_train_options quick(const char *checkpoint)
{
    ot_train_options o = ot_train_defaults();
    o.epochs = 4, o.minibatch = 8, o.threads = 1, o.schedule = OT_SCHEDULE_FIXED, o.lr = 0.02, o.checkpoint = checkpoint;
    return o;
}

static ot_status stop_after_two(void *user, int epoch, double loss, double train, double test, double lr)
{
    (void)user, (void)loss, (void)train, (void)test, (void)lr;
    return epoch == 1 ? OT_E_INTERRUPTED : OT_OK;
}

static ot_status train(const ot_train_options *o, const char *name, ot_train_fn fn, float **numbers, size_t *n)
{
    ot_network *net;
    check_rng   r = {3};
    ot_status   st = ot_network_new(&net, name, 1, NET_TINY_SIDE, NET_TINY_SIDE);
    if (st != OT_OK) return st;
    int l = net_relu(net, net_batch_norm(net, &r, net_conv(net, &r, 0, 4, 3, 1, 1, 1, 0)), clip);
    net_dense(net, &r, net_flatten(net, net_relu(net, net_conv(net, &r, l, 4, 3, 2, 1, 2, 1), INFINITY)), NET_TINY_CLASSES);
    if (!images) images = net_data(net, 7, 32, 0);
    st = ot_train(net, "ref", images, NULL, o, fn, NULL);
    if (numbers) {
        *n = ot_network_parameters(net);
        *numbers = malloc(*n * sizeof **numbers);
        ot_network_get_parameters(net, *numbers);
    }
    ot_network_free(net);
    return st;
}

TEST a_name_of_any_length_is_told_in_a_line(int length, char fill)
{
    ot_train_options o = quick(scratch("long.npz"));
    char            *name = malloc((size_t)length + 1);
    memset(name, fill, (size_t)length);
    name[length] = 0;
    ASSERT_EQ(OT_E_INTERRUPTED, train(&o, name, stop_after_two, NULL, NULL));
    OK(train(&o, name, NULL, NULL, NULL));
    remove(o.checkpoint);
    free(name);
    PASS();
}

/* The file again, with one array changed or (`to` NULL, 0 numbers) left out. */
static ot_status spoil(const char *path, const char *which, int at, double to, int leave_out)
{
    ot_npz        *z;
    ot_npz_writer *w;
    ot_status      st = ot_npz_open(&z, path);
    if (st == OT_OK) st = ot_npz_create(&w, path);
    for (int k = 0; st == OT_OK && k < ot_npz_count(z); k++) {
        const char *name = ot_npz_name(z, k);
        ot_array    a = {0};
        st = ot_npz_get(&a, z, name);
        if (st == OT_OK && !strcmp(name, which) && !leave_out) {
            if (a.type == OT_F32) ((float *)a.data)[at] = (float)to;
            if (a.type == OT_F64) ((double *)a.data)[at] = to;
            if (a.type == OT_I64) ((int64_t *)a.data)[at] = (int64_t)to;
        }
        if (st == OT_OK && (strcmp(name, which) || !leave_out)) st = ot_npz_add(w, name, a.type, a.n_dims, a.dims, a.data);
        ot_array_free(&a);
    }
    if (st == OT_OK) st = ot_npz_finish(w);
    ot_npz_close(z);
    return st;
}

TEST what_a_run_can_not_have_written_is_refused(ot_optimizer optimizer)
{
    static const struct { const char *array; int at; double to; int leave_out; const char *words; } rows[] = {
        {"parameters", 3, NAN, 0, "'parameters', number 3 = nan, want a finite one"},
        {"statistics", 0, INFINITY, 0, "'statistics', number 0 = inf"},
        {"velocity", 1, NAN, 0, "'velocity', number 1 = nan"},
        {"moments", 2, NAN, 0, "'moments', number 2 = nan"},
        {"power", 0, -1, 0, "'power', number 0 = -1, want a finite one of 0 or more"},
        {"loss_sum", 0, NAN, 0, "'loss_sum', number 0 = nan"},
        {"position", 1, 4, 0, "minibatch 4, want a minibatch below 4"},
        {"position", 0, 1000, 0, "it stands in epoch 1001, this run ends after 4"},
        {"position", 2, 1e9, 0, "1000000000 right answers of 0 images"},
        {"weight_scale", 0, -1, 0, "'weight_scale', number 0 = -1"},
        {"weight_scale", 1, 1e300, 0, "'weight_scale', number 1 = 1e+300"},
        {"activation_step", 0, NAN, 0, "'activation_step', number 0 = nan"},
        {"weight_scale", 0, 0, 1, "no 'weight_scale' at epoch 3, where this run is quantised"},
        {"parameters", 0, 0, 1, "parameters"},
    };
    ot_train_options o = quick(scratch("spoilt.npz"));
    o.optimizer = optimizer;
    o.robust.weight_bits = o.robust.activation_bits = 4;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        if (!strcmp(rows[k].array, "velocity") && optimizer != OT_OPTIMIZER_SGD) continue;
        if ((!strcmp(rows[k].array, "moments") || !strcmp(rows[k].array, "power")) && optimizer == OT_OPTIMIZER_SGD) continue;
        ASSERT_EQ(OT_E_INTERRUPTED, train(&o, "net", stop_after_two, NULL, NULL));
        OK(spoil(o.checkpoint, rows[k].array, rows[k].at, rows[k].to, rows[k].leave_out));
        const ot_status st = train(&o, "net", NULL, NULL, NULL);
        ASSERTm(rows[k].words, st == OT_E_FORMAT || st == OT_E_MISMATCH);
        if (!strstr(ot_last_error(), rows[k].words)) FAILm(ot_last_error());
        remove(o.checkpoint);
    }
    PASS();
}

/* Not quantised before its time. */
TEST scales_before_their_epoch_are_refused(void)
{
    ot_train_options o = quick(scratch("early.npz"));
    o.robust.weight_bits = 4, o.robust.quantise_after = 2;
    ASSERT_EQ(OT_E_INTERRUPTED, train(&o, "net", stop_after_two, NULL, NULL));
    OK(spoil(o.checkpoint, "position", 0, 1, 0));
    FAILS(OT_E_FORMAT, "has 'weight_scale' at epoch 2, where this run is not quantised yet", train(&o, "net", NULL, NULL, NULL));
    remove(o.checkpoint);
    PASS();
}

/* Two epochs, then two more, are four: weights' scales are found again where the second two begin. */
TEST a_run_made_longer_is_the_long_run(void)
{
    ot_train_options o = quick(NULL);
    float           *whole, *parts;
    size_t           n;
    o.robust.weight_bits = 3, o.robust.rescale_epochs = 2, o.lr = 0.2;
    OK(train(&o, "net", NULL, &whole, &n));
    o.checkpoint = scratch("longer.npz");
    o.epochs = 2;
    OK(train(&o, "net", NULL, NULL, NULL));
    o.epochs = 4;
    OK(train(&o, "net", NULL, &parts, &n));
    ASSERT_MEM_EQ(whole, parts, n * sizeof *whole);
    free(parts);
    o.checkpoint = NULL, o.robust.rescale_epochs = 0;           /* and it does find them again */
    OK(train(&o, "net", NULL, &parts, &n));
    ASSERT(memcmp(whole, parts, n * sizeof *whole));
    remove(scratch("longer.npz"));
    free(parts);
    free(whole);
    PASS();
}

TEST a_checkpoint_of_a_longer_run_is_no_shorter_one(void)
{
    ot_train_options o = quick(scratch("shorter.npz"));
    OK(train(&o, "net", NULL, NULL, NULL));
    OK(train(&o, "net", NULL, NULL, NULL));                     /* nothing is left to do */
    o.epochs = 3;
    FAILS(OT_E_MISMATCH, "it stands in epoch 5, this run ends after 3", train(&o, "net", NULL, NULL, NULL));
    remove(o.checkpoint);
    PASS();
}

TEST what_differs_is_named(void)
{
    ot_train_options o = quick(scratch("named.npz"));
    ot_device        r1, other;
    OK(ot_device_open(&r1, "r1"));
    other = r1;
    other.g[1] *= 3;
    o.robust.device = &r1, o.robust.variation = (ot_variation)OT_VARIATION_INIT, o.robust.variation.bits = 4;
    ASSERT_EQ(OT_E_INTERRUPTED, train(&o, "net", stop_after_two, NULL, NULL));
    ot_train_options p = o;
    p.robust.device = &other;
    FAILS(OT_E_MISMATCH, "it has 'chips: ", train(&p, "net", NULL, NULL, NULL));
    p = o, other = r1, other.g_max *= 10, p.robust.device = &other;
    FAILS(OT_E_MISMATCH, "it has 'chips: ", train(&p, "net", NULL, NULL, NULL));
    p = o, p.seed = 2;
    FAILS(OT_E_MISMATCH, "it has 'seed: 1', this run 'seed: 2'", train(&p, "net", NULL, NULL, NULL));
    p = o, p.lipschitz = 0.1, p.lipschitz_sigma = 0.5;
    FAILS(OT_E_MISMATCH, "this run has 'lipschitz: 0.1, sigma 0.5', it no such thing", train(&p, "net", NULL, NULL, NULL));
    p = o, p.robust.device = NULL;
    FAILS(OT_E_MISMATCH, "it has 'chips: ", train(&p, "net", NULL, NULL, NULL));
    ASSERT(strstr(ot_last_error(), "this run no such thing"));
    FAILS(OT_E_MISMATCH, "it has 'network: net", train(&o, "nets", NULL, NULL, NULL));
    clip = 6;                                                   /* the same numbers, other layers */
    FAILS(OT_E_MISMATCH, "it has 'network: net", train(&o, "net", NULL, NULL, NULL));
    clip = INFINITY;
    remove(o.checkpoint);
    PASS();
}

SUITE(test_checkpoint)
{
    greatest_set_test_suffix("long");
    RUN_TESTp(a_name_of_any_length_is_told_in_a_line, 1800, 'n');
    greatest_set_test_suffix("longer");
    RUN_TESTp(a_name_of_any_length_is_told_in_a_line, 5000, 'n');
    greatest_set_test_suffix("of_newlines");
    RUN_TESTp(a_name_of_any_length_is_told_in_a_line, 20, '\n');
    for (int k = 0; k < 2; k++) {
        greatest_set_test_suffix(k ? "adam" : "sgd");
        RUN_TEST1(what_a_run_can_not_have_written_is_refused, k ? OT_OPTIMIZER_ADAM : OT_OPTIMIZER_SGD);
    }
    RUN_TEST(scales_before_their_epoch_are_refused);
    RUN_TEST(a_run_made_longer_is_the_long_run);
    RUN_TEST(a_checkpoint_of_a_longer_run_is_no_shorter_one);
    RUN_TEST(what_differs_is_named);
    ot_data_free(images);
    images = NULL;
}

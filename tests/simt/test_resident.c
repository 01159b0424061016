/* test_resident.c - weight training that stays on the device (host/train/resident.c) on the emulated cuda backend: the same as on the reference
 * backend up to rounding, the same to the bit however it is interrupted, and every failure said and cleaned up after. */
#include "control.h"
#include "nets.h"

#include "base/file.h"
#include "ohmtrim/train.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct result {
    float  *numbers;                                        /* parameters, then statistics */
    size_t  n;
    double  loss[8], accuracy[8], test[8];
    int     epochs;
} result;

static ot_status note(void *user, int epoch, double loss, double accuracy, double test, double lr)
{
    result *r = user;
    (void)lr;
    r->loss[epoch] = loss, r->accuracy[epoch] = accuracy, r->test[epoch] = test, r->epochs = epoch + 1;
    return OT_OK;
}

/* One channel, 6 x 6: 18 minibatches of 4 an epoch, so that losses are read in the middle of one. */
static ot_train_options usual(void)
{
    ot_train_options o = ot_train_defaults();
    o.epochs = 2, o.minibatch = 4, o.lr = 0.02, o.shards = 2, o.threads = 1, o.crop_pad = 1, o.flip = 1, o.label_smoothing = 0.1, o.weight_decay = 0.01;
    return o;
}

/* A bias layer that no batch norm takes out again. */
enum { BIASED = 2 };
static ot_network *biased(void)
{
    ot_network *net;
    check_rng   r = {5};
    if (ot_network_new(&net, "biased", 1, 6, 6) != OT_OK) return NULL;
    int l = net_relu(net, net_bias(net, &r, net_conv(net, &r, 0, 4, 3, 1, 1, 1, 0)), INFINITY);
    net_dense(net, &r, net_flatten(net, l), 3);
    return net;
}

static int spoilt = -1;                                     /* a number of the training images that is NaN */

static ot_status train(result *r, const char *backend, const ot_train_options *o, int bytes, int everything)
{
    ot_network *net = NULL;
    ot_status   st = OT_OK;
    if (everything == BIASED) net = biased();
    else if (everything) net = net_everything(3, 1);
    else st = net_tiny(&net, 3);
    if (st != OT_OK) return st;
    ot_data *data = net_data(net, 4, everything == 1 ? 8 : 73, bytes), *test = net_data(net, 5, 9, bytes);
    if (bytes) st = ot_train_normalise(net, data);
    if (spoilt >= 0) data->values[spoilt] = NAN;
    if (st == OT_OK) st = ot_train(net, backend, data, test, o, note, r);
    const size_t n = ot_network_parameters(net), m = ot_network_statistics(net);
    r->n = n + m;
    r->numbers = realloc(r->numbers, r->n * sizeof *r->numbers);
    ot_network_get_parameters(net, r->numbers);
    ot_network_get_statistics(net, r->numbers + n);
    ot_data_free(test);
    ot_data_free(data);
    ot_network_free(net);
    return st;
}

/* What makes the two part: sums in float and another order, 1e-6 of a gradient, over 36 steps. */
TEST training_is_the_references(int adam, int shards, int bytes, int everything, const char *backend)
{
    const double ten_bits = strstr(backend, "tf32") ? 100 : 1;
    ot_train_options o = usual();
    result           ref = {0}, cuda = {0};
    o.shards = shards;
    if (adam) o.optimizer = OT_OPTIMIZER_ADAM, o.lr = 0.003;
    if (everything == 1) o.minibatch = 8, o.epochs = 6, o.lr = 0.05;               /* far enough for a bias to matter */
    if (bytes) o.schedule = OT_SCHEDULE_STEP, o.step_epochs = 1, o.step_gamma = 0.5;
    OK(train(&ref, "ref", &o, bytes, everything));
    const int64_t before = simt_launches();
    OK(train(&cuda, backend, &o, bytes, everything));
    ASSERT(simt_launches() > before && simt_live() == 0);
    CHECK_CLOSE(ref.numbers, cuda.numbers, ref.n, ten_bits * 2e-4 * check_max_f32(ref.numbers, ref.n));
    for (int e = 0; e < o.epochs; e++) {
        ASSERT_IN_RANGE(ref.loss[e], cuda.loss[e], ten_bits * 1e-4);
        if (ten_bits > 1) continue;
        ASSERT_IN_RANGE(ref.accuracy[e], cuda.accuracy[e], 1e-9);
        ASSERT_IN_RANGE(ref.test[e], cuda.test[e], 1e-9);
    }
    free(ref.numbers);
    free(cuda.numbers);
    PASS();
}

/* Nothing but losses comes to the host within an epoch: what a minibatch costs in calls is launches and copies on the device. */
TEST a_minibatch_is_noted_once_an_epoch(void)
{
    ot_train_options o = usual();
    result           r = {0};
    int64_t          calls[2];
    for (int k = 0; k < 2; k++) {
        o.epochs = 1, o.minibatch = k ? 4 : 8;               /* 9 and 18 minibatches */
        int64_t before = simt_calls();
        OK(train(&r, "cuda", &o, 0, 0));
        calls[k] = simt_calls() - before;
    }
    /* Eighteen replays are nine calls more, and one more look at the losses is three. */
    ASSERT(calls[1] - calls[0] <= 9 + 3 + 4);
    free(r.numbers);
    PASS();
}

static volatile sig_atomic_t stop;
static void on_alarm(int signal)
{
    (void)signal;
    stop = 1;
}

/* Stopped at whatever moment a clock says, again and again, it ends with the bytes of a run that nobody stopped. */
TEST stopped_anywhere_it_ends_the_same(int adam)
{
    ot_train_options o = usual();
    result           whole = {0}, parts = {0};
    char             path[600];
    int              stops = 0;
    snprintf(path, sizeof path, "%s/resident-%d.npz", check_scratch(), adam);
    if (adam) o.optimizer = OT_OPTIMIZER_ADAM, o.lr = 0.003;
    OK(train(&whole, "cuda", &o, 1, 0));
    o.checkpoint = path, o.stop = &stop;
    signal(SIGALRM, on_alarm);
    for (int tries = 1;; tries++) {
        const int64_t us = 1000 + 7000 * tries;
        ASSERT(tries < 500);
        stop = tries == 1;                                  /* the first before anything is done */
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {us / 1000000, us % 1000000}}, NULL);
        const ot_status st = train(&parts, "cuda", &o, 1, 0);
        setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 0}}, NULL);
        ASSERT_EQ(0, simt_live());
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_INTERRUPTED, st);
        stops++;
    }
    ASSERT(stops > 0 && parts.n == whole.n);
    ASSERT_EQ(0, memcmp(whole.numbers, parts.numbers, whole.n * sizeof *whole.numbers));
    ASSERT(whole.loss[1] == parts.loss[1] && whole.accuracy[1] == parts.accuracy[1]);
    free(whole.numbers);
    free(parts.numbers);
    PASS();
}

TEST a_loss_that_is_not_finite_ends_it(void)
{
    ot_train_options o = usual();
    result           r = {0};
    char             ref[300];
    o.crop_pad = 0, spoilt = 40 * 36 + 3;
    ASSERT_EQ(OT_E_DATA, train(&r, "ref", &o, 0, 0));
    snprintf(ref, sizeof ref, "%s", ot_last_error());
    ASSERT_EQ(OT_E_DATA, train(&r, "cuda", &o, 0, 0));
    spoilt = -1;
    const char *where = strstr(ref, "epoch");
    ASSERT(where && strstr(ot_last_error(), where));        /* "epoch 1, minibatch 7, want a finite number; ..." */
    ASSERT_EQ(0, simt_live());
    free(r.numbers);
    PASS();
}

/* Quantisers and noise work on the host's weights; the same result as the reference's all the same. */
TEST quantised_and_noisy_training_goes_through_the_host(void)
{
    ot_train_options o = usual();
    result           ref = {0}, cuda = {0};
    o.epochs = 1, o.minibatch = 24;
    o.robust.weight_bits = 4, o.robust.noise = (ot_noise){.model = OT_NOISE_FIXED, .within = 0.1};
    OK(train(&ref, "ref", &o, 0, 0));
    OK(train(&cuda, "cuda", &o, 0, 0));
    CHECK_CLOSE(ref.numbers, cuda.numbers, ref.n, 1e-4 * check_max_f32(ref.numbers, ref.n));
    free(ref.numbers);
    free(cuda.numbers);
    PASS();
}

TEST every_failed_call_is_said_and_cleaned_up_after(int error, ot_status want)
{
    ot_train_options o = usual();
    result           r = {0};
    o.epochs = 1, o.minibatch = 24;                         /* three minibatches: as it is, noted, replayed */
    const int64_t start = simt_calls();
    simt_blocks(SIMT_NO_BLOCKS);                            /* what the calls are matters here, not the numbers */
    ASSERT_EQ(OT_E_DATA, train(&r, "cuda", &o, 1, 0));      /* losses stay as device memory is at first: NaN */
    const int64_t calls = simt_calls() - start;
    ASSERT(calls > 300);
    for (int64_t k = 1; k <= calls; k += k < 60 ? 1 : 7) {
        simt_fail_call(k, error);
        const ot_status st = train(&r, "cuda", &o, 1, 0);
        simt_fail_call(0, 0);
        simt_clear();
        if (st != want && st != OT_E_DATA) printf("call %lld: %s: %s\n", (long long)k, ot_status_name(st), ot_last_error());
        ASSERT(st == want || st == OT_E_DATA);              /* a version number that cannot be read is no failure */
        if (st == want) ASSERT(strstr(ot_last_error(), "CUDA"));
        ASSERT_EQ(0, simt_live());
    }
    simt_blocks(SIMT_ALL_BLOCKS);
    free(r.numbers);
    PASS();
}

SUITE(test_resident)
{
    static const struct { int adam, shards, bytes, everything; const char *name, *backend; } rows[] = {
        {0, 1, 0, 0, "sgd_floats", "cuda"}, {0, 2, 1, 0, "sgd_two_shards_bytes", "cuda"}, {1, 2, 0, 0, "adam_two_shards", "cuda"}, {1, 4, 1, 0, "adam_four_shards", "cuda"},
        {0, 2, 0, 1, "everything", "cuda"}, {0, 2, 0, BIASED, "biased", "cuda"}, {0, 1, 0, 0, "tf32", "cuda:tf32"}, {0, 2, 0, 1, "libraries", "cuda:fp32+libs=*:libs,libs,libs"}, {0, 2, 1, 0, "tf32_libraries", "cuda:tf32+libs"},
    };
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        greatest_set_test_suffix(rows[k].name);
        RUN_TESTp(training_is_the_references, rows[k].adam, rows[k].shards, rows[k].bytes, rows[k].everything, rows[k].backend);
    }
    RUN_TEST(a_minibatch_is_noted_once_an_epoch);
    for (int adam = 0; adam < 2; adam++) {
        greatest_set_test_suffix(adam ? "adam" : "sgd");
        RUN_TEST1(stopped_anywhere_it_ends_the_same, adam);
    }
    RUN_TEST(a_loss_that_is_not_finite_ends_it);
    RUN_TEST(quantised_and_noisy_training_goes_through_the_host);
    greatest_set_test_suffix("memory");
    RUN_TESTp(every_failed_call_is_said_and_cleaned_up_after, cudaErrorMemoryAllocation, OT_E_MEMORY_PLAN);
    greatest_set_test_suffix("launch");
    RUN_TESTp(every_failed_call_is_said_and_cleaned_up_after, cudaErrorLaunchFailure, OT_E_CUDA);
}

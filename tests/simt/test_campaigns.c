/* test_campaigns.c - whole campaigns on the emulated cuda backend: the same chips as on cpu, the same digest in any fleets, a GPU that is
 * lost midway. */
#include "control.h"
#include "trelu.h"

#include "campaign/store.h"

#include <cuda_runtime_api.h>
#include <string.h>
#include <unistd.h>

static char said[4096];

static void say(void *user, const char *sentence)
{
    (void)user;
    strncat(said, sentence, sizeof said - strlen(said) - 2);
    strcat(said, "\n");
}

static const char *path_of(const char *name)
{
    static char path[4][600];
    static int  turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", check_scratch(), name);
    return path[turn];
}

/* The golden network, its images as both splits, a made-up steep device. */
static ot_status inputs(ot_campaign_spec *s)
{
    ot_network *net;
    ot_data     d;
    ot_status   st = trelu_open(&net, &d);
    const int64_t dims[4] = {32, 3, 16, 16};
    ot_npz_writer *z;
    if (st == OT_OK) st = ot_network_save(net, path_of("net.onnx"), NULL, NULL);
    if (st == OT_OK) st = ot_npz_create(&z, path_of("data.npz"));
    for (int k = 0; k < 2 && st == OT_OK; k++) {
        st = ot_npz_add(z, k ? "x_test" : "x_train", OT_U8, 4, dims, d.pixels);
        if (st == OT_OK) st = ot_npz_add(z, k ? "y_test" : "y_train", OT_I32, 1, dims, d.labels);
    }
    if (st == OT_OK) st = ot_npz_finish(z);
    trelu_close(net, &d);
    ot_campaign_spec_defaults(s);
    snprintf(s->network, sizeof s->network, "%s", path_of("net.onnx"));
    snprintf(s->data, sizeof s->data, "npz:%s", path_of("data.npz"));
    s->casebook_chips = 3, s->chips = 4, s->stimulus_images = 3, s->tile = 16, s->tune.steps = 2, s->tune.minibatch = 8, s->tune.images = 8;
    s->tune.polish_steps = 1, s->tune.polish_images = 8;
    return st;
}

static ot_status run(const char *db, ot_campaign_spec *s, const char *backend, size_t memory, int chips, char digest[65])
{
    ot_campaign_how how = {.threads = 1, .memory = memory, .say = say};
    said[0] = 0;
    s->chips = chips;
    snprintf(s->backend, sizeof s->backend, "%s", backend);
    ot_status st = ot_campaign_run(path_of(db), s, &how);
    return st == OT_OK && digest ? ot_campaign_digest(path_of(db), digest) : st;
}

static int64_t ask(const char *db, const char *sql)
{
    ot_store *s;
    int64_t   v = -1;
    int       is_new = 0;
    if (ot__store_open_write(&s, path_of(db), 0, &is_new, NULL) != OT_OK) return -1;
    if (ot__store_int(&v, s, -1, sql, "") != OT_OK) v = -1;
    ot__store_close(s);
    return v;
}

TEST digests_do_not_depend_on_fleets_or_interruptions(void)
{
    ot_campaign_spec s;
    char             a[65], b[65], c[65];
    OK(inputs(&s));
    OK(run("a.db", &s, "cuda", 0, 4, a));
    ASSERT(strstr(said, "4 at a time"));
    ot_campaign_need need;
    ot_campaign_how  how = {.threads = 1};
    size_t           memory = 64 << 20;
    do {                                                    /* room for two */
        how.memory = memory = memory / 8 * 7;
        OK(ot_campaign_measure(&need, &s, &how));
    } while (need.in_flight > 2);
    OK(run("b.db", &s, "cuda", memory, 4, b));
    ASSERT(strstr(said, "2 at a time"));
    OK(run("c.db", &s, "cuda", 0, 1, NULL));                /* then three more chips */
    OK(run("c.db", &s, "cuda", 0, 4, c));
    ASSERT_STR_EQ(a, b);
    ASSERT_STR_EQ(a, c);
    PASS();
}

TEST chips_are_those_of_the_cpu(void)
{
    ot_campaign_spec s;
    OK(inputs(&s));
    OK(run("cuda.db", &s, "cuda", 0, 4, NULL));
    OK(run("cpu.db", &s, "cpu", 0, 4, NULL));
    ASSERT_EQ(ask("cuda.db", "SELECT sum(hash % 1000003) FROM chip"), ask("cpu.db", "SELECT sum(hash % 1000003) FROM chip"));
    ASSERT_EQ(7 + 3 + 4 * 5, ask("cuda.db", "SELECT count(*) FROM measurement"));
    ASSERT_EQ(ask("cuda.db", "SELECT count(*) FROM measurement"), ask("cpu.db", "SELECT count(*) FROM measurement"));
    /* Of 30 x 32 answers: logits differ by 1e-6, so that next to none turn; two for the knobs' last bits. */
    int64_t cuda = ask("cuda.db", "SELECT sum(correct) FROM measurement"), cpu = ask("cpu.db", "SELECT sum(correct) FROM measurement");
    ASSERT(cuda - cpu <= 2 && cpu - cuda <= 2);
    PASS();
}

TEST a_lost_gpu_goes_on_with_cpu_only_where_the_backend_was_open(void)
{
    ot_campaign_spec s;
    OK(inputs(&s));
    OK(ot_campaign_spec_set(&s, "tuners", "closed-form-adam,nearest"));
    int64_t start = simt_calls();
    OK(run("whole.db", &s, "cuda", 0, 4, NULL));
    int64_t calls = simt_calls() - start, midway, kept = 7;
    for (midway = calls * 5 / 8; kept == 7; midway -= calls / 16) { /* back to where the evaluation chips are being tuned */
        ASSERT(midway > 0);
        unlink(path_of("asked.db"));
        simt_fail_call(midway, cudaErrorIllegalAddress);
        FAILS(OT_E_CUDA, "results so far are kept", run("asked.db", &s, "cuda", 0, 4, NULL));
        simt_fail_call(0, 0);
        kept = ask("asked.db", "SELECT count(*) FROM chip");
    }
    midway += calls / 16;
    ASSERT_EQ(3, kept);                                     /* the casebook; four evaluation chips are one fleet */
    simt_fail_call(midway, cudaErrorIllegalAddress);
    OK(run("auto.db", &s, "auto", 0, 4, NULL));
    simt_fail_call(0, 0);
    ASSERT(strstr(said, "the GPU is lost") && strstr(said, "going on with cpu"));
    ASSERT_EQ(7, ask("auto.db", "SELECT count(*) FROM chip"));
    ASSERT_EQ(kept, ask("auto.db", "SELECT count(*) FROM chip JOIN run_info ON run_info.id = chip.run WHERE backend = 'cuda'"));
    ASSERT_EQ(7 - kept, ask("auto.db", "SELECT count(*) FROM chip JOIN run_info ON run_info.id = chip.run WHERE backend = 'cpu'"));
    OK(run("asked.db", &s, "cuda", 0, 4, NULL));            /* the same command continues */
    ASSERT_EQ(7, ask("asked.db", "SELECT count(*) FROM chip"));
    simt_fail_call(calls - 5, cudaErrorIllegalAddress);     /* while the chips answer the stimulus, at the end */
    OK(run("late.db", &s, "auto", 0, 4, NULL));
    simt_fail_call(0, 0);
    ASSERT(strstr(said, "the GPU is lost"));
    ASSERT_EQ(ask("whole.db", "SELECT count(*) FROM signature"), ask("late.db", "SELECT count(*) FROM signature"));
    PASS();
}

/* Ten casebook chips make five folds: those are fleets too, and their answers. */
TEST folds_are_those_of_the_cpu(void)
{
    static const char nearest[] = "SELECT sum(t.nearest * (t.chip + 7)) FROM tuning t WHERE tuner = 'nearest'";
    ot_campaign_spec s;
    OK(inputs(&s));
    OK(ot_campaign_spec_set(&s, "tuners", "nearest"));
    s.casebook_chips = 10, s.tune.steps = 1;
    OK(run("folds-cuda.db", &s, "cuda", 0, 1, NULL));
    OK(run("folds-cpu.db", &s, "cpu", 0, 1, NULL));
    ASSERT_EQ(11, ask("folds-cuda.db", "SELECT count(*) FROM tuning WHERE tuner = 'nearest'"));
    ASSERT_EQ(0, ask("folds-cuda.db", "SELECT count(*) FROM tuning t JOIN chip c ON c.number = t.chip WHERE c.role = 'casebook' AND tuner = 'nearest' AND t.nearest % 5 = t.chip % 5"));
    ASSERT_EQ(ask("folds-cpu.db", nearest), ask("folds-cuda.db", nearest));
    ASSERT_EQ(ask("folds-cpu.db", "SELECT count(*) FROM signature"), ask("folds-cuda.db", "SELECT count(*) FROM signature"));
    PASS();
}

TEST what_was_measured_is_stored_and_replayed(void)
{
    ot_campaign_spec s;
    char             a[65], b[65];
    OK(inputs(&s));
    OK(run("libs.db", &s, "cuda:fp32+libs", 0, 1, NULL));
    ASSERT_EQ(1, ask("libs.db", "SELECT count(*) FROM run_info WHERE backend LIKE 'cuda:fp32+libs=0:%,%;1:%'"));
    OK(run("libs.db", &s, "cuda:fp32+libs", 0, 4, a));      /* measured anew, perhaps with another outcome: the stored one counts */
    ASSERT_EQ(1, ask("libs.db", "SELECT count(DISTINCT backend) FROM run_info"));
    ASSERT_EQ(2, ask("libs.db", "SELECT count(*) FROM run_info"));
    OK(run("own.db", &s, "cuda:fp32", 0, 4, b));
    PASS();
}

/* Tuners that change one chip's numbers do not pretend to work on fleets. */
TEST retraining_wants_another_backend(void)
{
    ot_campaign_spec s;
    char             digest[65];
    OK(inputs(&s));
    OK(ot_campaign_spec_set(&s, "tuners", "retrain"));
    FAILS(OT_E_UNSUPPORTED, "the tuner retrain works on one chip at a time, backend cuda on many: want backend cpu or ref", run("retrain.db", &s, "cuda", 0, 2, digest));
    OK(ot_campaign_spec_set(&s, "tuners", "self-tuning-ltm"));
    FAILS(OT_E_UNSUPPORTED, "the tuner self-tuning-ltm works on one chip at a time", run("ltm.db", &s, "cuda", 0, 2, digest));
    PASS();
}

SUITE(test_campaigns)
{
    RUN_TEST(retraining_wants_another_backend);
    RUN_TEST(what_was_measured_is_stored_and_replayed);
    RUN_TEST(digests_do_not_depend_on_fleets_or_interruptions);
    RUN_TEST(chips_are_those_of_the_cpu);
    RUN_TEST(folds_are_those_of_the_cpu);
    RUN_TEST(a_lost_gpu_goes_on_with_cpu_only_where_the_backend_was_open);
}

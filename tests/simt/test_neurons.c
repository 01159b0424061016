/* test_neurons.c - spiking networks, many chips at once on the emulated cuda backend: what each chip gives is what it gives alone, and what
 * ref gives.  Numbers of the network have few bits; a chip's weights do not, so that between float and double a spike may turn where a membrane
 * comes within 1e-6 of its threshold: with these chips and images none does. */
#include "control.h"
#include "kernels/adam.h"
#include "nets.h"
#include "plan/fleet.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHIPS = 3, IMAGES = 7, TILE = 3, L = 5, CLASSES = 5, STEPS = 7, BATCH = 5, ADAM = 3 };

static const ot_device steep = {.name = "steep", .g = {1e-4, 1e-6}, .n_poly = {3, 2}, .poly = {{1, 0.9, 0.2}, {1, -0.8}}, .domain = 0.15,
                                .g_min = 1e-9, .g_max = 1e-2, .s = {6, -5.3}, .valid_min = -0.15};
static const uint32_t numbers[CHIPS] = {7, 0, 123456789};

/* Currents with one reader and with two, behind batch norm (some of its scales negative, so that a gradient that misses them, or meets them too
 * early, turns signs, which is what Adam's first steps show) and without; both pools; all resets; a leak. */
static ot_network *network(ot_coding coding)
{
    check_rng   r = {5};
    ot_network *net;
    if (ot_network_new(&net, "spikes", 2, 8, 7) != OT_OK) return NULL;
    int    norm = net_batch_norm(net, &r, net_conv(net, &r, 0, 8, 3, 1, 1, 1, 0)), x = net_spike(net, norm, 0.75f, 1, OT_RESET_SUBTRACT, 0);
    int    second = net_batch_norm(net, &r, net_conv(net, &r, x, 10, 3, 1, 1, 1, 0)), a = net_spike(net, second, 0.5f, 0.75f, OT_RESET_ZERO, 0);
    int    third = net_batch_norm(net, &r, net_conv(net, &r, a, 10, 3, 1, 1, 1, 0));
    int    both = net_add(net, net_conv(net, &r, a, 10, 1, 1, 0, 1, 0), third);                  /* third's first reader is an addition, its second a scan */
    int    b = net_spike(net, net_pool(net, both, OT_OP_MAX_POOL, 2, 2, 0), 0.5f, 1, OT_RESET_FIXED, 0.25f);
    int    c = net_pool(net, net_spike(net, third, 0.625f, 1, OT_RESET_SUBTRACT, 0), OT_OP_AVG_POOL, 2, 2, 0);
    for (int k = 0; k < 10; k += 3) ot_network_layer(net, second)->gamma[k] *= -1, ot_network_layer(net, third)->gamma[k] *= -2;
    net_spike(net, net_dense(net, &r, net_flatten(net, net_add(net, b, c)), CLASSES), 2.5f, 1, OT_RESET_SUBTRACT, 0);
    return ot_network_set_spiking(net, &(ot_spiking){.steps = STEPS, .coding = coding, .seed = 91}) == OT_OK ? net : NULL;
}

/* Pictures of 0..1: bytes, or floats. */
static ot_data *pictures(const ot_network *net, int n, int bytes)
{
    ot_data *d = net_data(net, 5, n, bytes);
    for (int i = 0; !bytes && i < n * d->c * d->h * d->w; i++) d->values[i] = (float)(fabs((double)d->values[i]) > 1 ? 1 : fabs((double)d->values[i]));
    return d;
}

/* A knob that makes layer l's threshold `times` what the design says. */
static float knob_of(const ot_network *net, int l, float times) { return times * ot_network_spike(net, l)->threshold; }

typedef struct answers {
    float   counts[CHIPS][IMAGES][CLASSES], rates[CHIPS][IMAGES][L], tuned[CHIPS][2 * L];
    double  moments[CHIPS][L][2], loss[CHIPS];
    int64_t correct[CHIPS];
    uint8_t bits[CHIPS];
} answers;

typedef struct asked { answers *a; const ot_network *net; int first; } asked;

/* Thresholds a little higher on later chips, from the moments' call. */
static ot_status note(void *user, int chip, int layer, double mean, double sd, float *gain, float *offset)
{
    asked *q = user;
    q->a->moments[q->first + chip][layer][0] = mean;
    q->a->moments[q->first + chip][layer][1] = sd;
    *gain = knob_of(q->net, layer, 1 + 0.0625f * (float)(q->first + chip));
    return *offset == 0 ? OT_OK : OT_E_BUG;
}

typedef struct how { const char *backend; ot_coding coding; int bytes; ot_spike_loss loss; ot_surrogate surrogate; } how;

/* Steps of Adam from the fleet's knobs: in the backend's memory, or of its chips in turn, by hand. */
static ot_status tune(answers *a, ot_fleet *f, int first, const ot_data *data, const uint32_t *rows)
{
    ot_many_adam_result result[CHIPS];
    if (f->many) OT_TRY(ot__fleet_many_adam(f, data, rows, BATCH, ADAM, &(ot_many_rule){.lr = 0.01}, result));
    for (int k = 0; k < f->n; k++) {
        float        *knobs = f->knobs + k * 2 * L;
        double        p[L], grad[L], none[L];
        ot_adam       state[L] = {{0, 0}};
        ot_adam_power power = {1, 1};
        for (int l = 0; l < L; l++) p[l] = knobs[l];
        for (int s = 0; s < ADAM && !f->many; s++) {
            for (int l = 0; l < L; l++) knobs[l] = (float)p[l];
            OT_TRY(ot__fleet_take_turn(f, k));
            OT_TRY(ot_plan_gradient(f->plan, data, rows + s * BATCH, BATCH, &a->loss[first + k], grad, none));
            ot_adam_advance(&power);
            for (int l = 0; l < L; l++) p[l] = ot_adam_step(p[l], grad[l], 0.01, &state[l], power);
        }
        for (int l = 0; l < L && !f->many; l++) knobs[l] = (float)p[l];
        memcpy(a->tuned[first + k], knobs, sizeof a->tuned[0]);
        if (f->many) a->loss[first + k] = result[k].last_loss;
    }
    return OT_OK;
}

/* All that a fleet can be asked, chips in fleets of `chips`. */
static ot_status ask(answers *a, const how *h, int chips)
{
    ot_network     *net = network(h->coding);
    ot_data        *data = pictures(net, 2 * IMAGES, h->bytes);
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = TILE, .chips = chips, .spike_loss = h->loss, .surrogate = h->surrogate};
    ot_variation    var = OT_VARIATION_INIT;
    ot_backend     *be = NULL;
    ot_fleet       *f = NULL;
    uint32_t        index[IMAGES], rows[ADAM * BATCH];
    memset(a, 0, sizeof *a);
    for (uint32_t i = 0; i < IMAGES; i++) index[i] = i * 5 % (2 * IMAGES);
    for (uint32_t i = 0; i < ADAM * BATCH; i++) rows[i] = (i * 3 + 1) % (2 * IMAGES);
    var.bits = 6;
    ot_status st = ot_backend_open(&be, h->backend, NULL);
    if (st == OT_OK) st = ot_fleet_open(&f, be, net, &steep, &var, &opt);
    if (st == OT_OK) st = ot_fleet_calibrate(f, data);
    for (int first = 0; first < CHIPS && st == OT_OK; first += chips) {
        const int n = CHIPS - first < chips ? CHIPS - first : chips;
        asked     q = {a, net, first};
        check_poison(a->counts[first][0], (size_t)n * IMAGES * CLASSES), check_poison(a->rates[first][0], (size_t)n * IMAGES * L);
        st = ot_fleet_draw(f, numbers + first, n);
        if (st == OT_OK) st = ot_fleet_moments(f, data, index, TILE, note, &q);
        if (st == OT_OK) st = ot_fleet_forward(f, data, index, IMAGES, a->counts[first][0], a->rates[first][0]);
        if (st == OT_OK) st = ot_fleet_count(f, data, index, IMAGES, a->correct + first, a->bits + first);
        if (st == OT_OK) st = tune(a, f, first, data, rows);
    }
    ot_fleet_free(f);
    ot_backend_close(be);
    ot_data_free(data);
    ot_network_free(net);
    return st;
}

TEST a_chip_gives_the_same_bits_in_any_fleet(const how *h)
{
    static answers one, two, all, again;
    OK(ask(&one, h, 1));
    OK(ask(&two, h, 2));
    OK(ask(&all, h, CHIPS));
    simt_order(SIMT_RANDOM + 4);
    OK(ask(&again, h, CHIPS));
    simt_order(SIMT_FORWARD);
    ASSERT_MEM_EQ(&one, &two, sizeof one);
    ASSERT_MEM_EQ(&one, &all, sizeof one);
    ASSERT_MEM_EQ(&one, &again, sizeof one);
    PASS();
}

/* exact: counts are ref's; else so many of them may be off by one. */
TEST a_fleet_agrees_with_ref(const how *h, int exact, double tol, double knob_tol)
{
    static answers want, got;
    how            ref = *h;
    int            busy = 0, off = 0;
    ref.backend = "ref";
    OK(ask(&want, &ref, CHIPS));
    OK(ask(&got, h, CHIPS));
    for (int k = 0; k < CHIPS; k++) {
        int64_t bits = 0;
        for (int i = 0; i < IMAGES; i++) {
            bits += got.bits[k] >> i & 1;
            for (int c = 0; c < CLASSES; c++) {
                const float a = want.counts[k][i][c], b = got.counts[k][i][c];
                busy += a > 0 && a < STEPS, off += a != b;
                if (exact) ASSERT_EQ_FMT((double)a, (double)b, "%g");
                ASSERT(fabs((double)a - (double)b) <= 2);
            }
        }
        ASSERT_EQ(got.correct[k], bits);
        if (exact) ASSERT_EQ(want.correct[k], got.correct[k]);
    }
    ASSERT(busy > 20);
    ASSERT(off * 5 < CHIPS * IMAGES * CLASSES);
    CHECK_CLOSE(want.rates[0][0], got.rates[0][0], CHIPS * IMAGES * L, tol);
    CHECK_CLOSE64(want.moments[0][0], got.moments[0][0], CHIPS * L * 2, 10 * tol);
    CHECK_CLOSE(want.tuned[0], got.tuned[0], CHIPS * 2 * L, knob_tol);
    CHECK_CLOSE64(want.loss, got.loss, CHIPS, 100 * tol);
    PASS();
}

/* --- input --- */

/* One neuron a pixel that fires whenever its input does: counts are the input spikes. */
static ot_network *mirror(ot_coding coding, int steps)
{
    ot_network *net;
    if (ot_network_new(&net, "mirror", 3, 5, 3) != OT_OK) return NULL;
    net_spike(net, net_flatten(net, 0), 0.5f, 1, OT_RESET_ZERO, 0);
    return ot_network_set_spiking(net, &(ot_spiking){steps, coding, 0xfedcba9876543210u}) == OT_OK ? net : NULL;
}

static ot_status counts_of(float *counts, const char *backend, const ot_network *net, const ot_data *data, const uint32_t *index, int n, int *reruns)
{
    ot_variation    var = OT_VARIATION_INIT;
    ot_plan_options opt = {.tile = 2, .chips = 2};
    ot_backend     *be;
    ot_fleet       *f = NULL;
    check_poison(counts, (size_t)(2 * n * ot_network_classes(net)));
    OT_TRY(ot_backend_open(&be, backend, NULL));
    ot_status st = ot_fleet_open(&f, be, net, &steep, &var, &opt);
    if (st == OT_OK) st = ot_fleet_draw(f, numbers, 2);
    if (st == OT_OK) st = ot_fleet_forward(f, data, index, n, counts, NULL);
    if (st == OT_OK && reruns) *reruns = ot_fleet_reruns(f);
    ot_fleet_free(f);
    ot_backend_close(be);
    return st;
}

TEST input_spikes_are_the_plans(const char *backend, int bytes)
{
    enum { N = 5, PIXELS = 45 };
    ot_network *net = mirror(OT_CODING_RATE, 50);
    ot_data    *data = pictures(net, 2 * N, bytes);
    uint32_t    index[N] = {9, 2, 2, 0, 5};
    float       want[2 * N * PIXELS], got[2 * N * PIXELS], sum = 0;
    for (int table = 0; table < 2; table++) {
        OK(counts_of(want, "ref", net, data, table ? index : NULL, N, NULL));
        OK(counts_of(got, backend, net, data, table ? index : NULL, N, NULL));
        ASSERT_MEM_EQ(want, got, sizeof want);
        for (int i = 0; i < 2 * N * PIXELS; i++) sum += got[i];
    }
    ASSERT(sum > 2 * N * PIXELS * 50 / 4);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

TEST bad_pictures_are_refused_where_they_are_asked_for(int bytes)
{
    static const struct { float x; ot_coding coding; const char *words; } rows[] = {
        {-0.25f, OT_CODING_RATE, "image 2, number 44 = -0.25: rate coding wants 0..1"}, {NAN, OT_CODING_DIRECT, "image 2, number 44 = nan, want a finite one"}, {-7, OT_CODING_DIRECT, NULL},
    };
    const float    mean[3] = {0, 0.5f, 0}, sd[3] = {1, 1, 1};
    const uint32_t others[3] = {3, 0, 1};
    float          counts[2 * 4 * 45];
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        ot_network *net = mirror(rows[k].coding, 3);
        ot_data    *data = pictures(net, 4, bytes);
        const char *words = rows[k].words;
        if (bytes) {                                        /* 0 becomes -0.5 in the second channel; only picture 2 has one */
            OK(ot_network_set_normalisation(net, mean, sd));
            for (int i = 0; i < 4 * 45; i++) data->pixels[i] = (uint8_t)(128 + data->pixels[i] / 2);
            data->pixels[2 * 45 + 20] = 0;
            words = rows[k].coding == OT_CODING_RATE ? "image 2, number 20 = -0.5: rate coding wants 0..1" : NULL;
        } else data->values[2 * 45 + 44] = rows[k].x;
        if (words) FAILS(OT_E_DATA, words, counts_of(counts, "cuda", net, data, NULL, 4, NULL));
        else OK(counts_of(counts, "cuda", net, data, NULL, 4, NULL));
        OK(counts_of(counts, "cuda", net, data, others, 3, NULL));
        for (int i = 0; i < 2 * 3 * 45; i++) ASSERT(counts[i] >= 0);
        ot_data_free(data);
        ot_network_free(net);
    }
    PASS();
}

/* Weights so large that currents do not fit a half: they must not become spikes, nor none. */
TEST currents_too_large_for_halves_are_run_again_in_float(void)
{
    enum { N = 4 };
    float       want[2 * N * CLASSES], got[2 * N * CLASSES];
    int         reruns = 0;
    ot_network *net = network(OT_CODING_DIRECT);
    ot_data    *data = pictures(net, N, 0);
    float      *gamma = ot_network_layer(net, 2)->gamma;
    for (int c = 0; c < 8; c++) gamma[c] *= 1e6f;
    OK(counts_of(want, "cuda", net, data, NULL, N, &reruns));
    ASSERT_EQ(0, reruns);
    OK(counts_of(got, "cuda:fp16", net, data, NULL, N, &reruns));
    ASSERT_EQ(2, reruns);
    ASSERT_MEM_EQ(want, got, sizeof want);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- rates matched on all chips at once: what halving gives a chip in a plan of its own --- */

typedef struct halving { double low, high, want; } halving;

TEST matched_rates_are_those_of_a_plan_each(const char *backend)
{
    static const double want[L] = {0.2, 0.1, 0.3, 0.15, 0.25};
    const uint32_t  index[TILE] = {4, 0, 9};
    ot_network     *net = network(OT_CODING_RATE);
    ot_data        *data = pictures(net, 2 * IMAGES, 1);
    ot_plan_options opt = {.tile = TILE, .chips = 2};
    ot_variation    var = OT_VARIATION_INIT;
    ot_backend     *be;
    ot_fleet       *f, *one;
    OK(ot_backend_open(&be, backend, NULL));
    OK(ot_fleet_open(&f, be, net, &steep, &var, &opt));
    OK(ot_fleet_draw(f, numbers, 2));
    OK(ot__fleet_many_match_rates(f, data, index, TILE, want, 0.0625, 8, 0));
    opt.chips = 1;
    OK(ot_fleet_open(&one, be, net, &steep, &var, &opt));
    for (int k = 0; k < 2; k++) {
        float rates[TILE * L], counts[TILE * CLASSES], gain[L];
        int   near = 0;
        OK(ot_fleet_draw(one, &numbers[k], 1));
        for (int l = 0; l < L; l++) gain[l] = knob_of(net, l, 1);
        for (int l = 0; l < L; l++) {
            halving h = {0.0625, 8, want[l]};
            for (int i = 0; i < 20; i++) {
                double mean = 0;
                gain[l] = (float)(0.5 * (h.low + h.high));
                OK(ot_fleet_set_knobs(one, gain, NULL));
                OK(ot_fleet_forward(one, data, index, TILE, counts, rates));
                for (int j = 0; j < TILE; j++) mean += (double)rates[j * L + l] / TILE;
                *(mean > h.want ? &h.low : &h.high) = 0.5 * (h.low + h.high);
                near += i == 19 && fabs(mean - h.want) < 0.05;
            }
            gain[l] = (float)(0.5 * (h.low + h.high));
        }
        ASSERT_MEM_EQ(gain, f->knobs + k * 2 * L, sizeof gain);
        ASSERT(near >= L - 1);                              /* five output neurons have few rates */
    }
    ot_fleet_free(one);
    ot_fleet_free(f);
    ot_backend_close(be);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* --- memory --- */

TEST memory_planned_is_memory_taken(const char *backend)
{
    for (int chips = 0; chips <= 3; chips += 3)
        for (int use = OT_PLAN_FORWARD; use <= OT_PLAN_TUNE; use++) {
            ot_network     *net = network(OT_CODING_RATE);
            ot_plan_options opt = {.use = (ot_plan_use)use, .tile = 3, .chips = chips};
            ot_backend     *be;
            ot_plan        *plan;
            size_t          planned, free_before, free_after;
            OK(ot_backend_open(&be, backend, NULL));
            const size_t before = ot_memory_now().live_bytes;
            OK(be->i->many->free_bytes(be->ctx, &free_before));
            OK(ot_plan_measure(&planned, be, net, &opt));
            OK(ot_plan_open(&plan, be, net, &opt));
            OK(be->i->many->free_bytes(be->ctx, &free_after));
            ASSERT_EQ(planned, ot_plan_bytes(plan));
            ASSERT_EQ(planned, ot_memory_now().live_bytes - before + free_before - free_after);
            ot_plan_free(plan);
            ot_backend_close(be);
            ot_network_free(net);
        }
    PASS();
}

/* A fleet's whole life, no more than it takes to come by every call. */
static ot_status life(const ot_network *net, const ot_data *data)
{
    ot_plan_options opt = {.use = OT_PLAN_TUNE, .tile = TILE, .chips = 2};
    ot_variation    var = OT_VARIATION_INIT;
    ot_backend     *be = NULL;
    ot_fleet       *f = NULL;
    int64_t         correct[2];
    static answers  a;
    asked           q = {&a, net, 0};
    uint32_t        rows[2 * BATCH] = {0};
    ot_many_adam_result result[2];
    ot_status       st = ot_backend_open(&be, "cuda", NULL);
    if (st == OT_OK) st = ot_fleet_open(&f, be, net, &steep, &var, &opt);
    if (st == OT_OK) st = ot_fleet_draw(f, numbers, 2);
    if (st == OT_OK) st = ot_fleet_moments(f, data, NULL, TILE, note, &q);
    if (st == OT_OK) st = ot_fleet_forward(f, data, NULL, BATCH, a.counts[0][0], a.rates[0][0]);
    if (st == OT_OK) st = ot_fleet_count(f, data, NULL, BATCH, correct, a.bits);
    if (st == OT_OK) st = ot__fleet_many_adam(f, data, rows, BATCH, 2, &(ot_many_rule){.lr = 0.01}, result);
    ot_fleet_free(f);
    ot_backend_close(be);
    return st;
}

TEST any_call_that_fails_is_reported_and_leaves_nothing(int error, ot_status want)
{
    ot_network   *net = network(OT_CODING_RATE);
    ot_data      *data = pictures(net, BATCH, 1);
    const int64_t before = simt_live(), start = simt_calls();
    simt_blocks(SIMT_NO_BLOCKS);                            /* what the calls are matters here, not the numbers */
    OK(life(net, data));
    const int64_t calls = simt_calls() - start;
    ASSERT(calls > 150);
    for (int64_t k = 1; k <= calls; k += k < 100 && !getenv("OT_SMALL") ? 1 : 7) {
        simt_fail_call(k, error);
        const ot_status st = life(net, data);
        simt_fail_call(0, 0);
        simt_clear();
        if (st != want && st != OT_OK) printf("call %lld: %s: %s\n", (long long)k, ot_status_name(st), ot_last_error());
        ASSERT(st == want || st == OT_OK);
        if (st != OT_OK) ASSERT(strstr(ot_last_error(), "CUDA"));
        ASSERT_EQ(before, simt_live());
    }
    simt_blocks(SIMT_ALL_BLOCKS);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

TEST any_host_allocation_that_fails_leaves_nothing(void)
{
    ot_network   *net = network(OT_CODING_RATE);
    ot_data      *data = pictures(net, BATCH, 1);
    const size_t  live = ot_memory_now().live;
    const int64_t held = simt_live();
    ot_status     st = OT_E_NOMEM;
    size_t        n;
    simt_blocks(SIMT_NO_BLOCKS);
    for (n = 1; st != OT_OK; n++) {
        ot_memory_fail_at(n);
        st = life(net, data);
        ot_memory_fail_at(0);
        ASSERT_EQ(live, ot_memory_now().live);
        ASSERT_EQ(held, simt_live());
        if (st != OT_OK) ASSERT_EQ_FMT((int)OT_E_NOMEM, (int)st, "%d");
    }
    simt_blocks(SIMT_ALL_BLOCKS);
    ASSERT(n > 25);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

/* The batch norms before scans that are their tensors' first readers take no kernel of their own backward: here the first layer's (it has no
 * gradient), the second's; not the third's, whose tensor an addition reads first. */
TEST batch_norms_ride_on_scans(void)
{
    ot_network         *net = network(OT_CODING_DIRECT);
    ot_data            *data = pictures(net, TILE, 1);
    ot_plan_options     opt = {.use = OT_PLAN_TUNE, .tile = TILE, .chips = 1};
    ot_variation        var = OT_VARIATION_INIT;
    ot_backend         *be;
    ot_fleet           *f;
    uint32_t            rows[2 * TILE] = {0};
    ot_many_adam_result result[1];
    int64_t             launches[3], want;
    int                 passes = 0, norms = 0;
    OK(ot_backend_open(&be, "cuda", NULL));
    OK(ot_fleet_open(&f, be, net, &steep, &var, &opt));
    OK(ot_fleet_draw(f, numbers, 1));
    simt_blocks(SIMT_NO_BLOCKS);
    for (int steps = 1; steps <= 2; steps++) {
        launches[0] = simt_launches();
        OK(ot__fleet_many_adam(f, data, rows, TILE, steps, &(ot_many_rule){.lr = 0.01}, result));
        launches[steps] = simt_launches() - launches[0];
    }
    simt_blocks(SIMT_ALL_BLOCKS);
    for (int i = 0; i < f->plan->n_steps; i++) {
        const ot_step *s = &f->plan->steps[i];
        if (!ot__plan_grad(f->plan, s->dst)) continue;
        passes += s->kind == OT_STEP_SPIKE ? 2 : 1;          /* a scan and its sum */
        norms += s->affine != NULL;
    }
    ASSERT_EQ(2, norms);
    /* Input, forward, counts, the loss, its sum, spread, backward; two additions' second gradients, the third's norm; Adam. */
    want = 1 + f->plan->n_steps + 4 + passes + 2 + 1 + 1;
    ASSERT_EQ_FMT((long long)want, (long long)(launches[2] - launches[1]), "%lld");
    ot_fleet_free(f);
    ot_backend_close(be);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

SUITE(test_neurons)
{
    static const how hows[] = {
        {"cuda", OT_CODING_DIRECT, 0, OT_SPIKE_LOSS_COUNT, OT_SURROGATE_ATAN}, {"cuda", OT_CODING_RATE, 0, OT_SPIKE_LOSS_RATE, OT_SURROGATE_FAST_SIGMOID},
        {"cuda", OT_CODING_RATE, 1, OT_SPIKE_LOSS_COUNT, OT_SURROGATE_ATAN}, {"cuda", OT_CODING_DIRECT, 1, OT_SPIKE_LOSS_RATE, OT_SURROGATE_BOXCAR},
    };
    static const how half = {"cuda:fp16", OT_CODING_RATE, 1, OT_SPIKE_LOSS_COUNT, OT_SURROGATE_ATAN}, tf32 = {"cuda:tf32", OT_CODING_DIRECT, 0, OT_SPIKE_LOSS_COUNT, OT_SURROGATE_ATAN};
    const int small = getenv("OT_SMALL") != NULL;             /* sanitizers take their time */
    char suffix[64];
    for (size_t k = 0; k < sizeof hows / sizeof *hows; k++) {
        const how *h = &hows[k];
        snprintf(suffix, sizeof suffix, "%s_%s_%s", h->coding == OT_CODING_RATE ? "rate_coding" : "direct", h->bytes ? "bytes" : "floats", h->loss == OT_SPIKE_LOSS_RATE ? "rate_loss" : "count_loss");
        if (small && k > 1) break;
        greatest_set_test_suffix(suffix);
        if (k < (small ? 1 : 2)) RUN_TESTp(a_chip_gives_the_same_bits_in_any_fleet, h);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(a_fleet_agrees_with_ref, h, 1, /* float sums of some hundred terms */ 1e-5, 1e-3);
    }
    greatest_set_test_suffix("fp16");
    if (!small) RUN_TESTp(a_chip_gives_the_same_bits_in_any_fleet, &half);
    greatest_set_test_suffix("fp16");
    RUN_TESTp(a_fleet_agrees_with_ref, &half, 0, /* 11 bits, and spikes that turn; three steps of 0.01 either way */ 5e-2, 7e-2);
    greatest_set_test_suffix("tf32");
    RUN_TESTp(a_fleet_agrees_with_ref, &tf32, 0, 5e-2, 7e-2);
    for (int bytes = 0; bytes < 2; bytes++) {
        greatest_set_test_suffix(bytes ? "bytes" : "floats");
        RUN_TESTp(input_spikes_are_the_plans, "cuda", bytes);
        greatest_set_test_suffix(bytes ? "bytes_fp16" : "floats_fp16");
        RUN_TESTp(input_spikes_are_the_plans, "cuda:fp16", bytes);
        greatest_set_test_suffix(bytes ? "bytes" : "floats");
        RUN_TESTp(bad_pictures_are_refused_where_they_are_asked_for, bytes);
    }
    RUN_TEST(currents_too_large_for_halves_are_run_again_in_float);
    RUN_TESTp(matched_rates_are_those_of_a_plan_each, "cuda");
    RUN_TESTp(memory_planned_is_memory_taken, "cuda");
    greatest_set_test_suffix("fp16");
    RUN_TESTp(memory_planned_is_memory_taken, "cuda:fp16");
    greatest_set_test_suffix("out_of_memory");
    RUN_TESTp(any_call_that_fails_is_reported_and_leaves_nothing, cudaErrorMemoryAllocation, OT_E_MEMORY_PLAN);
    greatest_set_test_suffix("launch_failure");
    RUN_TESTp(any_call_that_fails_is_reported_and_leaves_nothing, cudaErrorLaunchFailure, OT_E_CUDA);
    RUN_TEST(any_host_allocation_that_fails_leaves_nothing);
    RUN_TEST(batch_norms_ride_on_scans);
}

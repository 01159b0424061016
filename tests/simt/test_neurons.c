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
    if (f->many) OT_TRY(ot__fleet_many_adam(f, data, rows, BATCH, ADAM, 0.01, result));
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

SUITE(test_neurons)
{
    static const how hows[] = {
        {"cuda", OT_CODING_DIRECT, 0, OT_SPIKE_LOSS_COUNT, OT_SURROGATE_ATAN}, {"cuda", OT_CODING_RATE, 0, OT_SPIKE_LOSS_RATE, OT_SURROGATE_FAST_SIGMOID},
        {"cuda", OT_CODING_RATE, 1, OT_SPIKE_LOSS_COUNT, OT_SURROGATE_ATAN}, {"cuda", OT_CODING_DIRECT, 1, OT_SPIKE_LOSS_RATE, OT_SURROGATE_BOXCAR},
    };
    static const how half = {"cuda:fp16", OT_CODING_RATE, 1, OT_SPIKE_LOSS_COUNT, OT_SURROGATE_ATAN}, tf32 = {"cuda:tf32", OT_CODING_DIRECT, 0, OT_SPIKE_LOSS_COUNT, OT_SURROGATE_ATAN};
    char suffix[64];
    for (size_t k = 0; k < sizeof hows / sizeof *hows; k++) {
        const how *h = &hows[k];
        snprintf(suffix, sizeof suffix, "%s_%s_%s", h->coding == OT_CODING_RATE ? "rate_coding" : "direct", h->bytes ? "bytes" : "floats", h->loss == OT_SPIKE_LOSS_RATE ? "rate_loss" : "count_loss");
        greatest_set_test_suffix(suffix);
        RUN_TESTp(a_chip_gives_the_same_bits_in_any_fleet, h);
        greatest_set_test_suffix(suffix);
        RUN_TESTp(a_fleet_agrees_with_ref, h, 1, /* float sums of some hundred terms */ 1e-5, 1e-3);
    }
    greatest_set_test_suffix("fp16");
    RUN_TESTp(a_chip_gives_the_same_bits_in_any_fleet, &half);
    greatest_set_test_suffix("fp16");
    RUN_TESTp(a_fleet_agrees_with_ref, &half, 0, /* 11 bits, and spikes that turn; three steps of 0.01 either way */ 5e-2, 7e-2);
    greatest_set_test_suffix("tf32");
    RUN_TESTp(a_fleet_agrees_with_ref, &tf32, 0, 5e-2, 7e-2);
}

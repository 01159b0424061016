/* bench_gpu.c - what the cuda backend takes on a GPU: floors of the card, then each job beside its floor.  Called by gpu.sh.
 *
 *     bench_gpu PART [--precision fp32|tf32|fp16] [--network mobilenet|vgg16|resnet18|mobilenet-s|snn-vgg9|snn-s|snn-tiny] [--chips C] [--images N] [--rounds R]
 *
 *     floor        copy bandwidth, and the rate of our own matrix tiles on a large product
 *     expand       weights drawn a second, all layers of the network, C chips
 *     epoch        one epoch of T-ReLU tuning over N images (50,000), C chips in flight (1); per chip
 *     train        one epoch of weight training over N images (12,800), minibatches of 128 with crops and flips
 *     exhaustive   right answers of C chips (1,000) on N images (10,000), chips drawn on the way
 *     signature    signatures of C chips (1,000) on ten images, end to end
 *     nearest      which of N signatures (1,000,000) of 370 numbers is nearest to each of 64, L1 and L2
 *     accuracy     mean accuracy of C chips (100) of --file NET.onnx on the test images of --data, this precision against fp32
 *
 * Each part first checks its results on a few images against the ref backend (drawing: bit by bit against the CPU).  Times are wall clock
 * round calls that wait for the device; one JSON line a row.  `floor_s` is what moving the bytes (or doing the products) alone would
 * take at the measured rate, given with --copy GB/s and --matrix TFLOP/s.
 *
 * Spiking networks (snn-...: epoch, exhaustive, signature) have random weights, scaled layer by layer so that the designed thresholds lie two
 * spreads of the current above its mean: a tenth to a quarter of the neurons fire at a step, as in trained ones.  They are checked against
 * the cpu backend (ref takes minutes) by mean firing rates: a spike that turns where a membrane comes close to its threshold turns others. */
#include "backend/backend.h"
#include "base/build.h"
#include "chip/chip.h"
#include "gpu_train.h"
#include "ohmtrim.h"
#include "plan/fleet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef OT_HAVE_CUDA
#include "kernels/kernels.h"
#include <cuda_runtime_api.h>
#endif

enum { TILE = 128, MOST_ROUNDS = 64 };

typedef struct job {
    const char *part, *precision, *network;
    int         chips, images, rounds, fleet;
    double      copy, matrix;              /* measured, bytes/s and FLOP/s; 0: not given */
    char        backend[32];
    ot_backend *be;
    ot_network *net;
    ot_device   dev;
    ot_data    *data;
    double      seconds[MOST_ROUNDS];
    int         n;
} job;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(ot_status st, const char *what)
{
    if (st == OT_OK) return;
    fprintf(stderr, "bench_gpu: %s: %s\n", what, ot_last_error());
    exit(ot_status_exit(st));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* `per`: what one round does, in `unit`; floor in seconds a round, 0 if not known. */
static void row(job *j, const char *what, double per, const char *unit, double floor_s, double error)
{
    if (j->n < 1) return;
    qsort(j->seconds, (size_t)j->n, sizeof *j->seconds, by_value);
    double median = j->seconds[j->n / 2];
    printf("{\"bench\":\"gpu\",\"part\":\"%s\",\"what\":\"%s\",\"network\":\"%s\",\"precision\":\"%s\",\"chips\":%d,\"images\":%d,\"n\":%d,\"median_s\":%.6g,"
           "\"p10_s\":%.6g,\"p90_s\":%.6g,\"min_s\":%.6g,\"unit\":\"%s\",\"value\":%.6g,\"floor_s\":%.6g,\"share\":%.4g,\"checked_error\":%.3g,\"device\":\"%s\","
           "\"commit\":\"%s\",\"compiler\":\"%s\"}\n",
           j->part, what, j->network, j->precision, j->chips, j->images, j->n, median, j->seconds[j->n / 10], j->seconds[j->n * 9 / 10], j->seconds[0], unit,
           per / median, floor_s, floor_s / median, error, ot_backend_detail(j->be), ot__build_commit(), ot__build_compiler());
    fflush(stdout);
    j->n = 0;
}

static ot_data *random_data(const ot_network *net, int n)
{
    const ot_layer *in = ot_network_layer(net, 0);
    size_t          image = (size_t)in->c * (size_t)in->h * (size_t)in->w;
    ot_data        *d = ot_alloc(1, sizeof *d);
    uint32_t        state = 1;
    if (!d) return NULL;
    *d = (ot_data){.name = ot_strdup("random"), .n = n, .c = in->c, .h = in->h, .w = in->w, .classes = ot_network_classes(net)};
    d->pixels = ot_alloc((size_t)n, image);
    d->labels = ot_alloc((size_t)n, sizeof *d->labels);
    if (!d->pixels || !d->labels) return NULL;
    for (size_t i = 0; i < (size_t)n * image; i++) state = state * 1664525u + 1013904223u, d->pixels[i] = (uint8_t)(state >> 24);
    for (int i = 0; i < n; i++) state = state * 1664525u + 1013904223u, d->labels[i] = (int32_t)((state >> 8) % (uint32_t)d->classes);
    return d;
}

/* --- spiking networks --- */

/* What the emulator can do: every kind of layer of snn-vgg9, small. */
static ot_network *snn_tiny(void)
{
    ot_network *net;
    float       w[8 * 8 * 9];
    uint32_t    state = 9;
    int         x = 0;
    for (int i = 0; i < 8 * 8 * 9; i++) state = state * 1664525u + 1013904223u, w[i] = (float)((int)(state >> 24) - 100) / 256;
    must(ot_network_new(&net, "snn-tiny", 3, 8, 8), "network");
    const ot_layer layers[] = {
        {.op = OT_OP_CONV, .c = 8, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .weight = w}, {.op = OT_OP_SPIKE, .threshold = 1, .leak = 1},
        {.op = OT_OP_CONV, .c = 8, .groups = 1, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .weight = w}, {.op = OT_OP_SPIKE, .threshold = 1, .leak = 1},
        {.op = OT_OP_AVG_POOL, .kh = 8, .kw = 8, .sh = 8, .sw = 8}, {.op = OT_OP_RESHAPE, .c = 8, .h = 1, .w = 1}, {.op = OT_OP_DENSE, .c = 10, .weight = w},
        {.op = OT_OP_SPIKE, .threshold = 1, .leak = 1},
    };
    for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
        char     name[16];
        ot_layer l = layers[k];
        snprintf(name, sizeof name, "layer%zu", k);
        l.name = name, l.in[0] = x, l.in[1] = -1;
        must(ot_network_add(net, &l, &x), "layer");
    }
    must(ot_network_set_spiking(net, &(ot_spiking){.steps = 4}), "steps");
    return net;
}

typedef struct level { double spreads; float gain[32]; } level;

static ot_status above_the_mean(void *user, int layer, double mean, double sd, float *gain, float *offset)
{
    level *v = user;
    (void)offset;
    *gain = v->gain[layer] = (float)fmax(mean + v->spreads * sd, 0.05 * sd);
    return OT_OK;
}

/* Currents are linear in the weights here (batch norm is as it starts), so a threshold divided into the weights before it may stay 1. */
static void level_currents(ot_network *net, const ot_data *data)
{
    level           v = {.spreads = 2};
    ot_backend     *cpu;
    ot_plan        *plan;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.tile = 4;
    must(ot_backend_open(&cpu, "cpu", NULL), "cpu");
    must(ot_plan_open(&plan, cpu, net, &opt), "plan");
    must(ot_plan_moments(plan, data, NULL, opt.tile, above_the_mean, &v), "moments");
    ot_plan_free(plan);
    ot_backend_close(cpu);
    for (int i = 0, l = 0; i < ot_network_layers(net); i++) {
        const ot_layer *layer = ot_network_layer(net, i);
        if (layer->crossbar < 0) continue;
        float *w = ot_network_weights(net, i);
        for (size_t k = 0; k < ot_layer_weights(layer); k++) w[k] /= v.gain[l];
        for (int c = 0; layer->bias && c < layer->c; c++) layer->bias[c] /= v.gain[l];
        l++;
    }
}

static ot_fleet *open_fleet(job *j, ot_backend *be, int chips, int use)
{
    ot_fleet       *f;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    ot_variation    var = OT_VARIATION_INIT;
    opt.use = use;
    opt.tile = TILE;
    opt.chips = chips;
    must(ot_fleet_open(&f, be, j->net, &j->dev, &var, &opt), "fleet");
    return f;
}

/* Chips 0..most in flight: as many as fit, of those wanted. */
static int in_flight(job *j, int most, int use)
{
    int             chips = 1;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = use;
    opt.tile = TILE;
    must(ot_fleet_fit(&chips, j->be, j->net, &opt, 0, most), "memory");
    return chips;
}

static void draw(ot_fleet *f, int first, int n)
{
    uint32_t *numbers = ot_alloc((size_t)n, sizeof *numbers);
    for (int k = 0; k < n; k++) numbers[k] = (uint32_t)(first + k);
    must(ot_fleet_draw(f, numbers, n), "drawing");
    ot_free(numbers);
}

/* Largest difference of logits from ref's, relative to the largest logit: two chips, four images. */
static double check_logits(job *j)
{
    enum { N = 2 * 4 };
    const size_t classes = (size_t)ot_network_classes(j->net);
    float       *want = ot_alloc(N, classes * sizeof(float)), *got = ot_alloc(N, classes * sizeof(float));
    double       top = 0, error = 0;
    ot_backend  *ref;
    must(ot_backend_open(&ref, "ref", NULL), "ref");
    for (int turn = 0; turn < 2; turn++) {
        ot_fleet *f = open_fleet(j, turn ? j->be : ref, 2, OT_PLAN_FORWARD);
        draw(f, 5, 2);
        must(ot_fleet_forward(f, j->data, NULL, 4, turn ? got : want, NULL), "logits");
        ot_fleet_free(f);
    }
    for (size_t i = 0; i < N * classes; i++) {
        if (fabs((double)want[i]) > top) top = fabs((double)want[i]);
        if (!(fabs((double)want[i] - (double)got[i]) <= error)) error = fabs((double)want[i] - (double)got[i]);
    }
    error /= top;
    if (!(error < (strcmp(j->precision, "fp32") ? 0.05 : 1e-4))) {
        fprintf(stderr, "bench_gpu: %s %s: logits differ from ref's by %g of the largest: no times are taken\n", j->network, j->precision, error);
        exit(1);
    }
    ot_backend_close(ref);
    ot_free(want), ot_free(got);
    return error;
}

/* Mean firing rates of two chips' layers on four images, largest difference from cpu's. */
static double check_rates(job *j)
{
    enum { CHECKED = 4 };
    const size_t L = (size_t)ot_network_spikes(j->net), classes = (size_t)ot_network_classes(j->net);
    double      *sum = ot_alloc(2 * 2 * L, sizeof *sum), error = 0, mean = 0;
    float       *counts = ot_alloc(2 * CHECKED, classes * sizeof *counts), *rates = ot_alloc(2 * CHECKED, L * sizeof *rates);
    ot_backend  *cpu;
    must(ot_backend_open(&cpu, "cpu", NULL), "cpu");
    for (size_t turn = 0; turn < 2; turn++) {
        ot_fleet *f = open_fleet(j, turn ? j->be : cpu, 2, OT_PLAN_FORWARD);
        draw(f, 5, 2);
        must(ot_fleet_forward(f, j->data, NULL, CHECKED, counts, rates), "spikes");
        for (size_t i = 0; i < 2 * CHECKED; i++)
            for (size_t l = 0; l < L; l++) sum[(turn * 2 + i / CHECKED) * L + l] += (double)rates[i * L + l] / CHECKED;
        ot_fleet_free(f);
    }
    for (size_t i = 0; i < 2 * L; i++) {
        mean += sum[i] / (double)(2 * L);
        if (!(fabs(sum[i] - sum[2 * L + i]) <= error)) error = fabs(sum[i] - sum[2 * L + i]);
    }
    fprintf(stderr, "bench_gpu: %s %s: a neuron fires at %.3f of the steps; rates differ from cpu's by at most %.2g\n", j->network, j->precision, mean, error);
    /* The last layer has ten neurons: forty numbers of 0..T; a turned spike of one image is 0.001 of its rate, hundreds turn in halves. */
    if (!(error < (strcmp(j->precision, "fp32") ? 0.05 : 0.01)) || !(mean > 0.02 && mean < 0.6)) {
        fprintf(stderr, "bench_gpu: %s %s: rates differ from cpu's by %g, mean rate %g: no times are taken\n", j->network, j->precision, error, mean);
        exit(1);
    }
    ot_backend_close(cpu);
    ot_free(sum), ot_free(counts), ot_free(rates);
    return error;
}

static double check(job *j) { return ot_network_spikes(j->net) ? check_rates(j) : check_logits(j); }

/* Bytes an image moves through memory if each tensor is read and written once by each step that needs it. */
static double bytes_an_image(const ot_plan *p, int tune)
{
    double bytes = 0;
    for (int i = 0; i < p->n_steps; i++) {
        const ot_step *s = &p->steps[i];
        double in = (double)p->be->i->tensor_bytes(p->be->ctx, s->in, p->tensors[s->src].frames), out = (double)p->be->i->tensor_bytes(p->be->ctx, s->out, p->tensors[s->dst].frames);
        bytes += in + out + (s->res >= 0 ? out : 0);
        if (!tune || !ot__plan_grad(p, s->dst)) continue;
        bytes += (p->spiking ? 1 : 2) * out + (s->kind == OT_STEP_SPIKE ? in : 0) + (ot__plan_grad(p, s->src) ? in : 0);      /* a scan reads its currents again */
    }
    return bytes;
}

static double floor_of(const job *j, const ot_plan *p, double images, int tune)
{
    double macs = 0, bytes = j->copy > 0 ? bytes_an_image(p, tune) / j->copy : 0;
    for (int i = 0; i < ot_network_layers(j->net); i++) macs += ot_network_macs(j->net, i) * p->tensors[i].frames;
    double products = j->matrix > 0 ? 2 * macs * (tune ? 2 : 1) / j->matrix : 0;
    return images * (bytes > products ? bytes : products);
}

static void part_floor(job *j)
{
#ifdef OT_HAVE_CUDA
    const size_t bytes = (size_t)j->images << 20;
    const ot_many_i *many = j->be->i->many;
    void   *a, *b;
    char    sync;
    must(j->be->i->alloc(j->be->ctx, &a, bytes), "memory");
    must(j->be->i->alloc(j->be->ctx, &b, bytes), "memory");
    must(many->fill(j->be->ctx, a, 0, bytes), "fill");
    for (int r = 0; r < j->rounds; r++) {
        must(many->read(j->be->ctx, &sync, a, 1), "sync");
        double t = now();
        for (int k = 0; k < 8; k++) must(many->copy(j->be->ctx, b, a, bytes), "copy");
        must(many->read(j->be->ctx, &sync, b, 1), "sync");
        j->seconds[j->n++] = (now() - t) / 8;
    }
    row(j, "copy", 2.0 * (double)bytes, "B/s", 0, 0);
    j->be->i->free(j->be->ctx, a), j->be->i->free(j->be->ctx, b);
    /* A dense layer of 4096 x 4096 on 4096 images: the tiles at their best (64 of each where the copy is tiny too: the emulator). */
    const int       side = j->images >= 16 ? 4096 : 64;
    ot_layer        l = {.op = OT_OP_DENSE, .name = "product", .c = side, .h = 1, .w = 1, .in_c = side, .groups = 1, .crossbar = 0, .relu = -1};
    ot_step         s = {.kind = OT_STEP_DENSE, .layer = &l, .in = {side, 1, 1}, .out = {side, 1, 1}, .src = 1, .dst = 2, .res = -1};
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    size_t          op_bytes, scratch_bytes;
    void           *op, *src, *dst, *scratch;
    opt.tile = side;
    must(j->be->i->step_open(j->be->ctx, &op, &s, side, &opt, &op_bytes, &scratch_bytes), "step");
    must(j->be->i->alloc(j->be->ctx, &src, j->be->i->tensor_bytes(j->be->ctx, s.in, side)), "memory");
    must(j->be->i->alloc(j->be->ctx, &dst, j->be->i->tensor_bytes(j->be->ctx, s.out, side)), "memory");
    must(j->be->i->alloc(j->be->ctx, &scratch, scratch_bytes + 1), "memory");
    must(many->fill(j->be->ctx, src, 0, j->be->i->tensor_bytes(j->be->ctx, s.in, side)), "fill");
    ot_step_run run = {.n = side, .gain = 1};
    for (int r = 0; r <= j->rounds; r++) {
        must(many->read(j->be->ctx, &sync, dst, 1), "sync");
        double t = now();
        for (int k = 0; k < 8; k++) must(j->be->i->forward(j->be->ctx, op, src, NULL, dst, scratch, &run), "product");
        must(many->read(j->be->ctx, &sync, dst, 1), "sync");
        if (r) j->seconds[j->n++] = (now() - t) / 8;
    }
    row(j, "own tiles", 2.0 * side * side * side, "FLOP/s", 0, 0);
    j->be->i->free(j->be->ctx, src), j->be->i->free(j->be->ctx, dst), j->be->i->free(j->be->ctx, scratch);
    j->be->i->step_close(j->be->ctx, op);
#else
    (void)j;
#endif
}

static void part_expand(job *j)
{
    int       fleet = in_flight(j, j->chips, OT_PLAN_FORWARD), crossbars = ot_network_crossbars(j->net);
    ot_fleet *f = open_fleet(j, j->be, fleet, OT_PLAN_FORWARD);
    double    weights = 0, wrong = 0;
    ot_chip  *chip;
    ot_variation var = OT_VARIATION_INIT;
    draw(f, 0, fleet);
    must(ot_chip_draw(&chip, j->net, &j->dev, &var, (uint32_t)fleet - 1), "chip");
    for (int k = 0; k < crossbars; k++) {
        size_t n = ot_layer_weights(ot_network_crossbar(j->net, k));
        float *w = ot_alloc(n, sizeof *w);
        must(ot_fleet_weights(f, fleet - 1, k, w), "weights");
        weights += (double)n;
        for (size_t i = 0; i < n; i++) wrong += !strcmp(j->precision, "fp16") ? fabs((double)(w[i] - ot_chip_weights(chip, k)[i])) > 1e-3 * fabs((double)w[i]) + 1e-6 : w[i] != ot_chip_weights(chip, k)[i];
        ot_free(w);
    }
    if (wrong > 0) {
        fprintf(stderr, "bench_gpu: %g weights differ from the CPU's: no times are taken\n", wrong);
        exit(1);
    }
    j->chips = fleet;
    for (int r = 0; r < j->rounds; r++) {
        double t = now();
        draw(f, r * fleet, fleet);
        j->seconds[j->n++] = now() - t;
    }
    row(j, "weights drawn", weights * fleet, "weights/s", 0, wrong);
    ot_chip_free(chip);
    ot_fleet_free(f);
}

static void part_epoch(job *j)
{
    double          error = check(j);
    int             fleet = in_flight(j, j->chips, OT_PLAN_TUNE);
    ot_fleet       *f = open_fleet(j, j->be, fleet, OT_PLAN_TUNE);
    int64_t         steps = j->images / TILE;
    uint32_t       *rows = ot_alloc((size_t)(steps * TILE), sizeof *rows);
    ot_many_adam_result *result = ot_alloc((size_t)fleet, sizeof *result);
    for (int64_t i = 0; i < steps * TILE; i++) rows[i] = (uint32_t)(i * 7919 % j->data->n);
    draw(f, 0, fleet);
    j->chips = fleet;
    for (int r = 0; r <= j->rounds; r++) {
        must(ot_fleet_set_knobs(f, NULL, NULL), "knobs");
        double t = now();
        must(ot__fleet_many_adam(f, j->data, rows, TILE, steps, &(ot_many_rule){.lr = 0.01}, result), "tuning");
        if (r) j->seconds[j->n++] = now() - t;              /* the first brings the images to the device */
    }
    for (int k = 0; k < fleet; k++) error += result[k].steps != steps || result[k].nan_restores;
    row(j, "tuning epoch", (double)(steps * TILE) * fleet, "images/s", floor_of(j, f->plan, (double)(steps * TILE) * fleet, 1), error);
    ot_free(rows), ot_free(result);
    ot_fleet_free(f);
}

static void part_train(job *j)
{
    const int batch = j->images < TILE ? j->images : TILE;
    double    error = 0;
    must(gpu_train_error(&error, j->be, j->net, j->data, j->images < 16 ? j->images : 16), "gradients");
    if (!(error < 0.1)) {                                   /* what tf32 and a ReLU that turns make is 1e-2 at most */
        fprintf(stderr, "bench_gpu: gradients are %g of the largest from the CPU's: no times are taken\n", error);
        exit(1);
    }
    must(gpu_train_times(j->seconds, j->rounds, j->backend, j->net, j->data, batch), "training");
    j->n = j->rounds;
    row(j, strstr(j->backend, "+libs") ? "training epoch, libraries" : "training epoch", (double)(j->images / batch * batch), "images/s", 0, error);
}

static void part_exhaustive(job *j)
{
    double    error = check(j);
    int       fleet = in_flight(j, j->chips < 128 ? j->chips : 128, OT_PLAN_FORWARD);
    ot_fleet *f = open_fleet(j, j->be, fleet, OT_PLAN_FORWARD);
    int64_t  *correct = ot_alloc((size_t)fleet, sizeof *correct);
    for (int r = 0; r < j->rounds; r++) {
        double t = now();
        for (int first = 0; first < j->chips; first += fleet) {
            draw(f, first, j->chips - first < fleet ? j->chips - first : fleet);
            must(ot_fleet_count(f, j->data, NULL, j->images, correct, NULL), "counting");
        }
        j->seconds[j->n++] = now() - t;
    }
    row(j, "exhaustive test", (double)j->chips * j->images, "images/s", floor_of(j, f->plan, (double)j->chips * j->images, 0), error);
    ot_free(correct);
    ot_fleet_free(f);
}

static void part_signature(job *j)
{
    double    error = check(j);
    int       fleet = in_flight(j, j->chips < 256 ? j->chips : 256, OT_PLAN_FORWARD);
    ot_fleet *f = open_fleet(j, j->be, fleet, OT_PLAN_FORWARD);
    uint32_t  stimulus[10];
    float    *signature = ot_alloc((size_t)fleet, (size_t)ot_signature_length(j->net, 10) * sizeof *signature);
    for (uint32_t i = 0; i < 10; i++) stimulus[i] = i * 3;
    for (int r = 0; r < j->rounds; r++) {
        double t = now();
        for (int first = 0; first < j->chips; first += fleet) {
            draw(f, first, j->chips - first < fleet ? j->chips - first : fleet);
            must(ot_signature_measure_fleet(signature, f, j->data, stimulus, 10), "signatures");
        }
        j->seconds[j->n++] = now() - t;
    }
    row(j, "signatures", j->chips, "chips/s", 0, error);
    ot_free(signature);
    ot_fleet_free(f);
}

/* The nearest of `rows` by plain loops, for a few queries. */
static int64_t nearest_of(const float *rows, int64_t n, int length, const float *query, int l1)
{
    int64_t best = 0;
    double  least = INFINITY;
    for (int64_t r = 0; r < n; r++) {
        double d = 0;
        for (int k = 0; k < length; k++) {
            double e = (double)rows[r * length + k] - (double)query[k];
            d += l1 ? fabs(e) : e * e;
        }
        if (d < least) least = d, best = r;
    }
    return best;
}

static void part_nearest(job *j)
{
#ifdef OT_HAVE_CUDA
    enum { LENGTH = 370, QUERIES = 64, PLAIN = 4 };
    const int64_t n = j->images;
    float        *rows = ot_alloc((size_t)n, LENGTH * sizeof *rows), queries[QUERIES * LENGTH];
    int64_t       got[QUERIES];
    void         *d_rows, *d_queries, *d_nearest, *d_distance, *partial;
    uint32_t      state = 3;
    const ot_many_i *many = j->be->i->many;
    void         *ctx = j->be->ctx;
    if (!rows) must(OT_E_NOMEM, "signatures");
    for (size_t i = 0; i < (size_t)n * LENGTH; i++) state = state * 1664525u + 1013904223u, rows[i] = (float)(state >> 8) * 0x1p-24f;
    for (size_t i = 0; i < QUERIES * LENGTH; i++) state = state * 1664525u + 1013904223u, queries[i] = (float)(state >> 8) * 0x1p-24f;
    must(j->be->i->alloc(ctx, &d_rows, (size_t)n * LENGTH * sizeof *rows), "memory");
    must(j->be->i->alloc(ctx, &d_queries, sizeof queries), "memory");
    must(j->be->i->alloc(ctx, &d_nearest, sizeof got), "memory");
    must(j->be->i->alloc(ctx, &d_distance, QUERIES * sizeof(float)), "memory");
    must(j->be->i->alloc(ctx, &partial, otk_nearest_bytes(n, QUERIES)), "memory");
    must(many->write(ctx, d_rows, rows, (size_t)n * LENGTH * sizeof *rows), "write");
    must(many->write(ctx, d_queries, queries, sizeof queries), "write");
    for (int metric = OTK_L1; metric <= OTK_L2; metric++) {
        double wrong = 0;
        for (int r = 0; r <= j->rounds; r++) {
            must(many->read(ctx, got, d_nearest, sizeof got), "sync");
            double t = now();
            if (otk_nearest((otk_metric)metric, d_rows, n, LENGTH, d_queries, QUERIES, d_nearest, d_distance, partial, NULL)) must(OT_E_CUDA, "nearest");
            cudaDeviceSynchronize();
            if (r) j->seconds[j->n++] = now() - t;
        }
        must(many->read(ctx, got, d_nearest, sizeof got), "read");
        for (int q = 0; q < PLAIN; q++) wrong += got[q] != nearest_of(rows, n, LENGTH, queries + q * LENGTH, metric == OTK_L1);
        if (wrong > 0) {
            fprintf(stderr, "bench_gpu: %g of %d nearest signatures are wrong: no times are taken\n", wrong, PLAIN);
            exit(1);
        }
        row(j, metric == OTK_L1 ? "nearest L1" : "nearest L2", QUERIES, "queries/s", j->copy > 0 ? (double)n * LENGTH * 4 / j->copy : 0, wrong);
    }
    j->be->i->free(ctx, d_rows), j->be->i->free(ctx, d_queries), j->be->i->free(ctx, d_nearest), j->be->i->free(ctx, d_distance), j->be->i->free(ctx, partial);
    ot_free(rows);
#else
    (void)j;
#endif
}

static double mean_accuracy(job *j, const char *backend)
{
    ot_backend     *be;
    int64_t         correct[128];
    int             fleet = 1;
    double          sum = 0;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = OT_PLAN_FORWARD, opt.tile = TILE;
    must(ot_backend_open(&be, backend, NULL), "backend");
    must(ot_fleet_fit(&fleet, be, j->net, &opt, 0, j->chips < 128 ? j->chips : 128), "memory");
    ot_fleet *f = open_fleet(j, be, fleet, OT_PLAN_FORWARD);
    must(ot_fleet_calibrate(f, j->data), "calibration");
    for (int first = 0; first < j->chips; first += fleet) {
        int n = j->chips - first < fleet ? j->chips - first : fleet;
        draw(f, first, n);
        must(ot_fleet_count(f, j->data, NULL, j->data->n, correct, NULL), "counting");
        for (int k = 0; k < n; k++) sum += (double)correct[k] / j->data->n;
    }
    fprintf(stderr, "%s: mean accuracy of %d chips %.6f, %d run again in float\n", backend, j->chips, sum / j->chips, ot_fleet_reruns(f));
    ot_fleet_free(f);
    ot_backend_close(be);
    return sum / j->chips;
}

static void part_accuracy(job *j)
{
    double t = now(), narrow = mean_accuracy(j, j->backend), exact = mean_accuracy(j, "cuda:fp32");
    j->seconds[j->n++] = now() - t;
    j->images = j->data->n;
    row(j, "mean accuracy, points from fp32", 100 * (narrow - exact) * j->seconds[0], "points", 0, 100 * fabs(narrow - exact));
}

static const struct { const char *name; void (*run)(job *); int chips, images, rounds; } parts[] = {
    {"floor", part_floor, 1, 256, 9}, {"expand", part_expand, 256, 0, 9}, {"epoch", part_epoch, 1, 50000, 3}, {"train", part_train, 1, 12800, 3},
    {"exhaustive", part_exhaustive, 1000, 10000, 1}, {"signature", part_signature, 1000, 64, 3},
    {"nearest", part_nearest, 1, 1000000, 15}, {"accuracy", part_accuracy, 100, 0, 1},
};

static void usage(void)
{
    fprintf(stderr, "usage: bench_gpu floor|expand|epoch|train|exhaustive|signature|nearest|accuracy [--precision fp32|tf32|fp16] [--network NAME] [--chips C] [--images N]\n"
                    "       [--rounds R] [--copy GB/s] [--matrix TFLOP/s] [--backend NAME] [--file NET.onnx] [--data SPEC]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    job j = {.precision = "fp32", .network = "mobilenet"};
    int part = -1;
    const char *backend = NULL, *file = NULL, *data = NULL;
    if (argc < 2) {
        fprintf(stderr, "bench_gpu: no part given, nothing is measured; bench/gpu.sh calls it\n");
        return 0;
    }
    for (int k = 0; k < (int)(sizeof parts / sizeof *parts); k++)
        if (!strcmp(argv[1], parts[k].name)) part = k;
    if (part < 0 || argc % 2) usage();
    j.part = parts[part].name, j.chips = parts[part].chips, j.images = parts[part].images, j.rounds = parts[part].rounds;
    for (int i = 2; i + 1 < argc; i += 2) {
        const char *v = argv[i + 1];
        if (!strcmp(argv[i], "--precision")) j.precision = v;
        else if (!strcmp(argv[i], "--network")) j.network = v;
        else if (!strcmp(argv[i], "--backend")) backend = v;
        else if (!strcmp(argv[i], "--file")) file = j.network = v;
        else if (!strcmp(argv[i], "--data")) data = v;
        else if (!strcmp(argv[i], "--chips")) j.chips = atoi(v);
        else if (!strcmp(argv[i], "--images")) j.images = atoi(v);
        else if (!strcmp(argv[i], "--rounds")) j.rounds = atoi(v);
        else if (!strcmp(argv[i], "--copy")) j.copy = atof(v) * 1e9;
        else if (!strcmp(argv[i], "--matrix")) j.matrix = atof(v) * 1e12;
        else usage();
    }
    if (j.chips < 1 || j.images < 0 || j.rounds < 1 || j.rounds > MOST_ROUNDS - 1) usage();
    snprintf(j.backend, sizeof j.backend, "%s%s%s", backend ? backend : "cuda:", backend ? "" : j.precision, "");
    must(ot_backend_open(&j.be, j.backend, NULL), "backend");
    if (!j.be->i->many) {
        fprintf(stderr, "bench_gpu: backend '%s' runs one chip at a time; want cuda\n", j.backend);
        return 4;
    }
    int small = !strcmp(j.network, "mobilenet-s") || !strcmp(j.network, "snn-s");
    const float mean[3] = {0.5f, 0.5f, 0.5f}, sd[3] = {0.25f, 0.25f, 0.25f};
    if (!strcmp(j.part, "accuracy") && (!file || !data)) usage();
    if (file) must(ot_network_open(&j.net, file), "network");
    else if (!strcmp(j.network, "snn-tiny")) j.net = snn_tiny();
    else must(ot_model_build(&j.net, j.network, small ? 1 : 3, small ? 28 : 32, small ? 28 : 32, 10, 1), "network");
    if (!file) must(ot_network_set_normalisation(j.net, mean, sd), "network");
    if (data) must(ot_data_open(&j.data, data, OT_SPLIT_TEST, j.images), "data");
    must(ot_device_open(&j.dev, "r1"), "device");
    if (!data && strcmp(j.part, "floor") && strcmp(j.part, "nearest") && !(j.data = random_data(j.net, j.images > 64 ? j.images : 64))) must(OT_E_NOMEM, "images");
    if (j.data && ot_network_spikes(j.net) && !file) level_currents(j.net, j.data);
    parts[part].run(&j);
    if (j.data) {
        ot_free(j.data->name), ot_free(j.data->pixels), ot_free(j.data->labels);
        ot_free(j.data);
    }
    ot_network_free(j.net);
    ot_backend_close(j.be);
    return 0;
}

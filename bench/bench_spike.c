/* bench_spike.c - spiking networks: milliseconds an image for counting spikes and for one step of threshold tuning, by network.
 *
 *     bench_spike [--export DIR] [NETWORK ...]            snn-s, snn-vgg9
 *
 * One thread, its CPU time, random pixels.  Weights are random, batch norm is set layer by layer so that currents have mean 0 and a
 * spread that makes layers fire at rates as trained networks have.  Each row first checks counts and threshold gradients against the ref
 * backend.  --export writes what peer_spike.py needs to run the same network on the same images: weights, images, labels, and our counts
 * and gradients (of the ref backend for a few images), which it compares before it takes a time. */
#include "base/build.h"
#include "ohmtrim.h"
#include "ohmtrim/train.h"
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_LAYERS = 16, ROUNDS = 5, CHECKED = 2, MOST_IMAGES = 128 };

/* T frames of a few images are as much as caches hold; answers do not depend on it. */
enum { TILE = 8 };
static int images_of(const ot_network *net) { return ot_network_spikes(net) > 6 ? 16 : MOST_IMAGES; }

static void die(const char *what)
{
    fprintf(stderr, "bench_spike: %s: %s\n", what, ot_last_error());
    exit(1);
}

#define MUST(CALL) do { if ((CALL) != OT_OK) die(#CALL); } while (0)

static uint32_t state = 1;
static double uniform(void)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) * 0x1p-24;
}

/* Thresholds in spreads of each layer's current, so that rates come out near 10 %. */
typedef struct fit { ot_network *net; int layer; double mean[MAX_LAYERS], sd[MAX_LAYERS]; float *gain; double spreads; } fit;

static ot_status set_threshold(void *user, int layer, double mean, double sd, float *gain, float *offset)
{
    fit *f = user;
    (void)offset;
    double th = mean + f->spreads * sd;
    *gain = f->gain[layer] = (float)(th > 0.05 * sd ? th : 0.05 * sd);
    return OT_OK;
}

static ot_data *random_images(const ot_network *net, int n)
{
    const ot_layer *in = ot_network_layer(net, 0);
    size_t          size = (size_t)n * (size_t)in->c * (size_t)in->h * (size_t)in->w;
    ot_data        *d = ot_alloc(1, sizeof *d);
    *d = (ot_data){.name = ot_strdup("random"), .n = n, .c = in->c, .h = in->h, .w = in->w, .classes = ot_network_classes(net), .values = ot_alloc(size, sizeof(float)),
                   .labels = ot_alloc((size_t)n, sizeof(int32_t))};
    for (size_t i = 0; i < size; i++) d->values[i] = (float)(int)(256 * uniform()) / 256;
    for (int i = 0; i < n; i++) d->labels[i] = (int32_t)(uniform() * d->classes);
    return d;
}

typedef struct bench { ot_network *net; ot_data *data; float gain[MAX_LAYERS]; } bench;

static void prepare(bench *b, const char *name, double spreads)
{
    int         small = !strcmp(name, "snn-s");
    ot_backend *be;
    ot_plan    *plan;
    MUST(ot_model_build(&b->net, name, small ? 1 : 3, small ? 28 : 32, small ? 28 : 32, 10, 1));
    b->data = random_images(b->net, images_of(b->net));
    MUST(ot_backend_open(&be, "cpu", NULL));
    MUST(ot_plan_open(&plan, be, b->net, &(ot_plan_options){.tile = TILE}));
    fit f = {.net = b->net, .gain = b->gain, .spreads = spreads};
    MUST(ot_plan_moments(plan, b->data, NULL, TILE, set_threshold, &f));
    ot_plan_free(plan);
    ot_backend_close(be);
}

typedef struct answers { float counts[CHECKED * 10]; double loss, grad[MAX_LAYERS], offset[MAX_LAYERS]; } answers;

static void answer(answers *a, const char *backend, const bench *b, int n)
{
    ot_backend *be;
    ot_plan    *plan;
    MUST(ot_backend_open(&be, backend, NULL));
    MUST(ot_plan_open(&plan, be, b->net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = strcmp(backend, "ref") ? TILE : 1}));
    MUST(ot_plan_set_knobs(plan, b->gain, NULL));
    MUST(ot_plan_forward(plan, b->data, NULL, n, a->counts, NULL));
    MUST(ot_plan_gradient(plan, b->data, NULL, n, &a->loss, a->grad, a->offset));
    ot_plan_free(plan);
    ot_backend_close(be);
}

/* ref takes its time. */
static int checked(const bench *b) { return ot_network_spikes(b->net) > 6 ? 1 : CHECKED; }

/* A spike or two may flip in float32: counts within 1, gradients within 5 %. */
static int check(const bench *b, double *worst)
{
    answers want, got;
    int     far = 0, n = checked(b);
    answer(&want, "ref", b, n);
    answer(&got, "cpu", b, n);
    for (int i = 0; i < n * 10; i++) far = (int)fmax(far, fabs((double)want.counts[i] - (double)got.counts[i]));
    *worst = gap(want.grad, got.grad, ot_network_knobs(b->net));
    return far <= 1 && *worst < 0.05;
}

static void export_all(const bench *b, const char *dir)
{
    char    path[600];
    double  loss, grad[MAX_LAYERS], offset[MAX_LAYERS];
    float   counts[MOST_IMAGES * 10];
    int     images = images_of(b->net);
    ot_npz_writer *z;
    ot_backend *be;
    ot_plan    *plan;
    MUST(ot_backend_open(&be, "cpu", NULL));
    MUST(ot_plan_open(&plan, be, b->net, &(ot_plan_options){.use = OT_PLAN_TUNE, .tile = TILE}));
    MUST(ot_plan_set_knobs(plan, b->gain, NULL));
    MUST(ot_plan_forward(plan, b->data, NULL, images, counts, NULL));
    MUST(ot_plan_gradient(plan, b->data, NULL, images, &loss, grad, offset));
    ot_plan_free(plan);
    ot_backend_close(be);
    snprintf(path, sizeof path, "%s/%s.npz", dir, ot_network_name(b->net));
    MUST(ot_npz_create(&z, path));
    for (int k = 0; k < ot_network_crossbars(b->net); k++) {
        const ot_layer *l = ot_network_crossbar(b->net, k);
        char            name[32];
        snprintf(name, sizeof name, "w%d", k);
        MUST(ot_npz_add(z, name, OT_F32, 4, (const int64_t[]){l->c, l->in_c / (l->groups ? l->groups : 1), l->kh, l->kw}, l->weight));
    }
    const ot_data *d = b->data;
    MUST(ot_npz_add(z, "images", OT_F32, 4, (const int64_t[]){d->n, d->c, d->h, d->w}, d->values));
    MUST(ot_npz_add(z, "labels", OT_I32, 1, (const int64_t[]){d->n}, d->labels));
    MUST(ot_npz_add(z, "thresholds", OT_F32, 1, (const int64_t[]){ot_network_knobs(b->net)}, b->gain));
    MUST(ot_npz_add(z, "counts", OT_F32, 2, (const int64_t[]){images, 10}, counts));
    answers ref;
    const int few = checked(b);
    answer(&ref, "ref", b, few);
    MUST(ot_npz_add(z, "ref_counts", OT_F32, 2, (const int64_t[]){few, 10}, ref.counts));
    MUST(ot_npz_add(z, "ref_grad", OT_F64, 1, (const int64_t[]){ot_network_knobs(b->net)}, ref.grad));
    MUST(ot_npz_add(z, "grad", OT_F64, 1, (const int64_t[]){ot_network_knobs(b->net)}, grad));
    MUST(ot_npz_finish(z));
}

static int row(const bench *b, double spreads)
{
    double  worst, ms[2][ROUNDS], loss, gain[MAX_LAYERS], offset[MAX_LAYERS], rate = 0;
    float   counts[MOST_IMAGES * 10], rates[MOST_IMAGES * MAX_LAYERS];
    int     images = images_of(b->net), L = ot_network_knobs(b->net);
    if (!check(b, &worst)) {
        fprintf(stderr, "bench_spike: %s: off by %g from ref\n", ot_network_name(b->net), worst);
        return 1;
    }
    for (int tune = 0; tune < 2; tune++) {
        ot_backend *be;
        ot_plan    *plan;
        MUST(ot_backend_open(&be, "cpu", NULL));
        MUST(ot_plan_open(&plan, be, b->net, &(ot_plan_options){.use = tune ? OT_PLAN_TUNE : OT_PLAN_FORWARD, .tile = TILE}));
        MUST(ot_plan_set_knobs(plan, b->gain, NULL));
        for (int r = -1; r < ROUNDS; r++) {
            double start = cpu_seconds();
            if (tune) MUST(ot_plan_gradient(plan, b->data, NULL, images, &loss, gain, offset));
            else MUST(ot_plan_forward(plan, b->data, NULL, images, counts, rates));
            if (r >= 0) ms[tune][r] = (cpu_seconds() - start) / images * 1e3;
        }
        qsort(ms[tune], ROUNDS, sizeof(double), by_value);
        if (!tune)
            for (int i = 0; i < images * (L - 1); i++) rate += (double)rates[i / (L - 1) * L + i % (L - 1)] / (images * (L - 1));
        printf("{\"bench\":\"spike\",\"network\":\"%s\",\"steps\":%d,\"spreads\":%g,\"mean_rate\":%.3f,\"what\":\"%s\",\"tile\":%d,\"n\":%d,\"median_ms_per_image\":%.3f,\"p10\":%.3f,"
               "\"p90\":%.3f,\"min\":%.3f,\"bytes\":%zu,\"off_ref\":%.1e,\"backend\":\"%s\",\"commit\":\"%s\",\"compiler\":\"%s\"}\n",
               ot_network_name(b->net), ot_network_spiking(b->net)->steps, spreads, rate, tune ? "tune" : "eval", TILE, ROUNDS, ms[tune][ROUNDS / 2], ms[tune][ROUNDS / 10],
               ms[tune][ROUNDS * 9 / 10], ms[tune][0], ot_plan_bytes(plan), worst, ot_backend_detail(be), ot__build_commit(), ot__build_compiler());
        fflush(stdout);
        ot_plan_free(plan);
        ot_backend_close(be);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"snn-s", "snn-vgg9"};
    const char *dir = NULL, *only = NULL;
    int         wrong = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--export") && i + 1 < argc) dir = argv[++i];
        else only = argv[i];
    }
    for (int k = 0; k < 2; k++) {
        static const double spreads[] = {2.0, 4.0};
        if (only && strcmp(only, names[k])) continue;
        for (int s = 0; s < 2; s++) {
            bench b = {0};
            prepare(&b, names[k], spreads[s]);
            if (dir && s == 0) export_all(&b, dir);
            wrong |= row(&b, spreads[s]);
            ot_data_free(b.data);
            ot_network_free(b.net);
        }
    }
    return wrong;
}

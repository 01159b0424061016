/* bench_train.c - images a second of `ohmtrim train`'s loop (fetch, crop, flip, forward, backward, optimiser) for the built-in networks,
 * on one thread and on two: a JSON line each.  Random images; an epoch to warm up, then the median of five.
 *
 *     bench_train [BACKEND [MODEL...]]
 *     bench_train --export DIR [MODEL...]
 *
 * The second writes DIR/MODEL.npz, one minibatch with our gradient, and the ref backend's for the first 16 images, for peer_train.py, and times the bare step it has, without crops and flips: CPU
 * time of one thread, one shard. */
#include "ohmtrim.h"
#include "base/progress.h"
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EPOCHS = 6, MINIBATCH = 128, REF = 16 };

static ot_status stamp(void *user, int epoch, double loss, double train, double test, double lr)
{
    double *at = user;
    (void)loss, (void)train, (void)test, (void)lr;
    at[epoch] = ot__seconds();
    return OT_OK;
}

static ot_data random_data(int n, int c, int side)
{
    size_t pixels = (size_t)n * c * side * side;
    ot_data d = {.name = "random",
                 .n = n,
                 .c = c,
                 .h = side,
                 .w = side,
                 .classes = 10,
                 .pixels = ot_alloc(pixels, 1),
                 .labels = ot_alloc((size_t)n, sizeof *d.labels)};
    if (!d.pixels || !d.labels) exit(4);
    uint64_t s = 1;
    for (size_t i = 0; i < pixels; i++) d.pixels[i] = (uint8_t)((s = s * 6364136223846793005u + 1442695040888963407u) >> 56);
    for (int i = 0; i < n; i++) d.labels[i] = i % 10;
    return d;
}

static void free_data(ot_data *d)
{
    ot_free(d->pixels);
    ot_free(d->labels);
}

static void measure(const char *backend, const char *model, int c, int side, int steps, int threads)
{
    int n = steps * MINIBATCH;
    ot_data d = random_data(n, c, side);
    ot_network *net;
    ot_backend *be;
    must(ot_backend_open(&be, backend, NULL));
    must(ot_model_build(&net, model, c, side, side, 10, 1));
    must(ot_train_normalise(net, &d));
    ot_train_options opt = ot_train_defaults();
    double at[EPOCHS], took[EPOCHS - 1];
    opt.epochs = EPOCHS;
    opt.minibatch = MINIBATCH;
    opt.lr = 0.01;
    opt.crop_pad = 4;
    opt.flip = 1;
    opt.threads = threads;
    must(ot_train(net, backend, &d, NULL, &opt, stamp, at));
    for (int i = 0; i + 1 < EPOCHS; i++) took[i] = at[i + 1] - at[i];
    qsort(took, EPOCHS - 1, sizeof *took, by_value);
    double median = took[(EPOCHS - 1) / 2];
    printf("{\"bench\":\"train\",\"network\":\"%s\",\"backend\":\"%s\",\"detail\":\"%s\",\"threads\":%d,\"minibatch\":%d,\"n\":%d,"
           "\"images_per_s\":%.0f,"
           "\"images_per_s_min\":%.0f,\"images_per_s_max\":%.0f}\n",
           model, ot_backend_name(be), ot_backend_detail(be), threads, MINIBATCH, EPOCHS - 1, n / median, n / took[EPOCHS - 2],
           n / took[0]);
    fflush(stdout);
    ot_network_free(net);
    ot_backend_close(be);
    free_data(&d);
}

static ot_status stamp_cpu(void *user, int epoch, double loss, double train, double test, double lr)
{
    double *at = user;
    struct timespec t;
    (void)loss, (void)train, (void)test, (void)lr;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    at[epoch] = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    return OT_OK;
}

static void gradient(float *grad, double *loss, const char *backend, const ot_network *net, const float *parameters, const float *x, const int32_t *labels, int n)
{
    ot_backend *be;
    ot_plan *plan;
    must(ot_backend_open(&be, backend, NULL));
    must(ot_plan_open(&plan, be, net, &(ot_plan_options){.use = OT_PLAN_TRAIN, .tile = n}));
    must(ot_plan_set_parameters(plan, parameters));
    must(ot_plan_train(plan, x, labels, n, grad, NULL, loss, NULL));
    ot_plan_free(plan);
    ot_backend_close(be);
}

static void write_minibatch(const ot_network *net, const ot_data *d, const char *path)
{
    ot_npz_writer *z;
    double loss[2];
    const size_t size = (size_t)d->c * d->h * d->w, n = ot_network_parameters(net);
    float *x = ot_alloc(MINIBATCH * size, sizeof *x), *p = ot_alloc(n, sizeof *p), *grad = ot_alloc(2 * n, sizeof *grad);
    if (!x || !p || !grad) exit(4);
    for (size_t i = 0; i < MINIBATCH * size; i++) x[i] = (float)d->pixels[i] / 255.0f;
    ot_network_get_parameters(net, p);
    gradient(grad, &loss[0], "cpu", net, p, x, d->labels, MINIBATCH);
    gradient(grad + n, &loss[1], "ref", net, p, x, d->labels, REF);
    must(ot_npz_create(&z, path));
    must(ot_npz_add(z, "parameters", OT_F32, 1, (const int64_t[]){(int64_t)n}, p));
    must(ot_npz_add(z, "images", OT_F32, 4, (const int64_t[]){MINIBATCH, d->c, d->h, d->w}, x));
    must(ot_npz_add(z, "labels", OT_I32, 1, (const int64_t[]){MINIBATCH}, d->labels));
    must(ot_npz_add(z, "grad", OT_F32, 2, (const int64_t[]){2, (int64_t)n}, grad));
    must(ot_npz_add(z, "loss", OT_F64, 1, (const int64_t[]){2}, loss));
    must(ot_npz_finish(z));
    ot_free(x);
    ot_free(p);
    ot_free(grad);
}

static void compare(const char *dir, const char *model, int c, int side, int steps)
{
    char path[600];
    int n = steps * MINIBATCH;
    ot_data d = random_data(n, c, side);
    ot_network *net;
    must(ot_model_build(&net, model, c, side, side, 10, 1));
    snprintf(path, sizeof path, "%s/%s.npz", dir, model);
    write_minibatch(net, &d, path);
    ot_train_options opt = ot_train_defaults();
    double at[EPOCHS], took[EPOCHS - 1];
    opt.epochs = EPOCHS;
    opt.minibatch = MINIBATCH;
    opt.lr = 0.01;
    opt.threads = opt.shards = 1;
    must(ot_train(net, "cpu", &d, NULL, &opt, stamp_cpu, at));
    for (int i = 0; i + 1 < EPOCHS; i++) took[i] = (at[i + 1] - at[i]) / n * 1e6;
    qsort(took, EPOCHS - 1, sizeof *took, by_value);
    printf("{\"bench\":\"train_step\",\"network\":\"%s\",\"minibatch\":%d,\"n\":%d,\"us_an_image\":%.1f,\"least\":%.1f,\"most\":%.1f}\n",
           model, MINIBATCH, EPOCHS - 1, took[(EPOCHS - 1) / 2], took[0], took[EPOCHS - 2]);
    fflush(stdout);
    ot_network_free(net);
    free_data(&d);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int c, side, steps;
    } models[] = {
        {"lenet5", 1, 28, 40}, {"mobilenet-s", 1, 28, 20}, {"resnet8", 3, 32, 8}, {"vgg-s", 3, 32, 8}, {"resnet20", 3, 32, 4}};
    const char *dir = argc > 2 && !strcmp(argv[1], "--export") ? argv[2] : NULL;
    const int first = dir ? 3 : 2;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        int wanted = argc <= first;
        for (int i = first; i < argc; i++) wanted |= !strcmp(argv[i], models[m].name);
        if (wanted && dir) compare(dir, models[m].name, models[m].c, models[m].side, models[m].steps);
        for (int threads = 1; !dir && wanted && threads <= 2; threads++)
            measure(argc > 1 ? argv[1] : "auto", models[m].name, models[m].c, models[m].side, models[m].steps, threads);
    }
    return 0;
}

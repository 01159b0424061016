/* bench_train.c - images a second of `ohmtrim train`'s loop (fetch, crop, flip, forward, backward, optimiser) for the built-in networks,
 * on one thread and on two: a JSON line each.  Random images; an epoch to warm up, then the median of five.
 *
 *     bench_train [BACKEND [MODEL...]] */
#include "ohmtrim.h"
#include "base/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EPOCHS = 6, MINIBATCH = 128 };

static void must(ot_status st)
{
    if (st == OT_OK) return;
    fprintf(stderr, "bench_train: %s\n", ot_last_error());
    exit(ot_status_exit(st));
}

static ot_status stamp(void *user, int epoch, double loss, double train, double test, double lr)
{
    double *at = user;
    (void)loss, (void)train, (void)test, (void)lr;
    at[epoch] = ot__seconds();
    return OT_OK;
}

static int ascending(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static void measure(const char *backend, const char *model, int c, int side, int steps, int threads)
{
    int n = steps * MINIBATCH;
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
    qsort(took, EPOCHS - 1, sizeof *took, ascending);
    double median = took[(EPOCHS - 1) / 2];
    printf("{\"bench\":\"train\",\"network\":\"%s\",\"backend\":\"%s\",\"detail\":\"%s\",\"threads\":%d,\"minibatch\":%d,\"n\":%d,"
           "\"images_per_s\":%.0f,"
           "\"images_per_s_min\":%.0f,\"images_per_s_max\":%.0f}\n",
           model, ot_backend_name(be), ot_backend_detail(be), threads, MINIBATCH, EPOCHS - 1, n / median, n / took[EPOCHS - 2],
           n / took[0]);
    fflush(stdout);
    ot_network_free(net);
    ot_backend_close(be);
    ot_free(d.pixels);
    ot_free(d.labels);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int c, side, steps;
    } models[] = {
        {"lenet5", 1, 28, 40}, {"mobilenet-s", 1, 28, 20}, {"resnet8", 3, 32, 8}, {"vgg-s", 3, 32, 8}, {"resnet20", 3, 32, 4}};
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        int wanted = argc < 3;
        for (int i = 2; i < argc; i++) wanted |= !strcmp(argv[i], models[m].name);
        for (int threads = 1; wanted && threads <= 2; threads++)
            measure(argc > 1 ? argv[1] : "auto", models[m].name, models[m].c, models[m].side, models[m].steps, threads);
    }
    return 0;
}

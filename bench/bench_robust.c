/* bench_robust.c - what quantisation and noise add to a training step: plain training, QAT (4 bits), VAT (both kinds of noise) and QAVAT in turns,
 * and chips of the device model (16 bits, drawn cell by cell).  One thread.  Before a setting is timed, a step of it on the backend must give the reference
 * backend's loss.  A JSON line a setting: time of an epoch over plain's of the same round, median of the rounds.
 *
 *     bench_robust [BACKEND [MODEL...]] */
#include "ohmtrim.h"
#include "base/progress.h"
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 7, EPOCHS = 3, MINIBATCH = 128 };

typedef struct times { double at[EPOCHS], loss; } times;

static ot_status stamp(void *user, int epoch, double loss, double train, double test, double lr)
{
    times *t = user;
    (void)train, (void)test, (void)lr;
    t->at[epoch] = ot__seconds();
    t->loss = loss;
    return OT_OK;
}

static const char *const names[] = {"plain", "QAT 4 bits", "VAT fixed", "VAT proportional", "QAVAT 4 bits, fixed", "chips of r1, 16 bits"};
enum { SETTINGS = sizeof names / sizeof *names };

static ot_robust_options setting(int i, const ot_device *dev)
{
    ot_robust_options o = ot_train_defaults().robust;
    if (i == 1 || i == 4) o.weight_bits = o.activation_bits = 4;
    if (i >= 2 && i <= 4) o.noise = (ot_noise){.model = i == 3 ? OT_NOISE_PROPORTIONAL : OT_NOISE_FIXED, .within = 0.1, .between = 0.1};
    if (i == 5) o.device = dev;
    return o;
}

static times train(const char *backend, const char *model, const ot_data *d, const ot_robust_options *robust, int epochs)
{
    ot_network *net;
    times t = {0};
    ot_train_options opt = ot_train_defaults();
    must(ot_model_build(&net, model, d->c, d->h, d->w, 10, 1));
    must(ot_train_normalise(net, d));
    opt.epochs = epochs;
    opt.minibatch = MINIBATCH;
    opt.lr = 0.001;
    opt.threads = 1;
    opt.robust = *robust;
    must(ot_train(net, backend, d, NULL, &opt, stamp, &t));
    ot_network_free(net);
    return t;
}

static ot_data images(int n, int c, int side)
{
    const size_t pixels = (size_t)n * c * side * side;
    ot_data d = {.name = "random", .n = n, .c = c, .h = side, .w = side, .classes = 10, .pixels = ot_alloc(pixels, 1), .labels = ot_alloc((size_t)n, sizeof *d.labels)};
    uint64_t s = 1;
    if (!d.pixels || !d.labels) exit(4);
    for (size_t i = 0; i < pixels; i++) d.pixels[i] = (uint8_t)((s = s * 6364136223846793005u + 1442695040888963407u) >> 56);
    for (int i = 0; i < n; i++) d.labels[i] = i % 10;
    return d;
}

static void measure(const char *backend, const char *model, int c, int side, int steps, const ot_device *dev)
{
    ot_data d = images(steps * MINIBATCH, c, side), one = d;
    double ms[SETTINGS][ROUNDS], ratio[SETTINGS][ROUNDS];
    one.n = MINIBATCH;
    for (int i = 0; i < SETTINGS; i++) {
        ot_robust_options o = setting(i, dev);
        double want = train("ref", model, &one, &o, 1).loss, got = train(backend, model, &one, &o, 1).loss;
        if (fabs(want - got) <= 2e-3 * want) continue;      /* an activation at a border may round the other way */
        fprintf(stderr, "bench_robust: %s, %s: loss %g, want ref's %g\n", model, names[i], got, want);
        exit(5);
    }
    for (int r = 0; r < ROUNDS; r++)
        for (int i = 0; i < SETTINGS; i++) {
            ot_robust_options o = setting(i, dev);
            times t = train(backend, model, &d, &o, EPOCHS);
            ms[i][r] = 1e3 * (t.at[EPOCHS - 1] - t.at[0]) / (EPOCHS - 1) / steps;
            ratio[i][r] = ms[i][r] / ms[0][r];
        }
    for (int i = 0; i < SETTINGS; i++) {
        qsort(ms[i], ROUNDS, sizeof(double), by_value);
        qsort(ratio[i], ROUNDS, sizeof(double), by_value);
        printf("{\"bench\":\"robust\",\"network\":\"%s\",\"setting\":\"%s\",\"minibatch\":%d,\"n\":%d,\"ms_a_step\":%.3f,\"ms_least\":%.3f,\"ms_most\":%.3f,\"over_plain\":%.3f,"
               "\"over_plain_least\":%.3f,\"over_plain_most\":%.3f}\n",
               model, names[i], MINIBATCH, ROUNDS, ms[i][ROUNDS / 2], ms[i][0], ms[i][ROUNDS - 1], ratio[i][ROUNDS / 2], ratio[i][0], ratio[i][ROUNDS - 1]);
        fflush(stdout);
    }
    ot_free(d.pixels);
    ot_free(d.labels);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; int c, side, steps; } models[] = {{"lenet5", 1, 28, 8}, {"mobilenet-s", 1, 28, 4}, {"resnet8", 3, 32, 2}};
    ot_device dev;
    must(ot_device_open(&dev, "r1"));
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        int wanted = argc < 3;
        for (int i = 2; i < argc; i++) wanted |= !strcmp(argv[i], models[m].name);
        if (wanted) measure(argc > 1 ? argv[1] : "auto", models[m].name, models[m].c, models[m].side, models[m].steps, &dev);
    }
    return 0;
}

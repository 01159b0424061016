/* bench_tuning.c - what tuning costs and what it brings, and the sweep that the default schedule comes from (docs/tuning.md).
 *
 *     bench_tuning                      each tuner on a few chips of models/mobilenet-s.onnx: a JSON line a tuner (`make bench`)
 *     bench_tuning --sweep [OPTIONS]    Adam from knobs 1, 0 and from the closed form, on several numbers of images and at several
 *                                       rates; accuracy after so many steps: a JSON line each, means over the chips
 *
 * A sweep runs each (start, images, rate) once per chip and tests it at every number of steps on the way. */
#include "ohmtrim.h"
#include "base/progress.h"
#include "tune/adam.h"
#include "measure.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 };

typedef struct setting {
    const char *net, *data, *device, *backend;
    int         sweep, chips, first, test, train;
    double      sigma;
    int         n_lr, n_steps, n_images, n_starts;
    double      lr[MOST], steps[MOST], images[MOST], starts[MOST];
} setting;

typedef struct lab {
    ot_network *net;
    ot_data    *train, *test;
    ot_backend *be;
    ot_plan    *plan;
    ot_chip    *chip;
    ot_tuning  *tuning;
    float      *gain, *offset;
} lab;

typedef struct tally { double sum, square, least, seconds; int n; } tally;

static int numbers(double *out, const char *text)
{
    int n = 0;
    for (char *end; *text && n < MOST; text = *end == ',' ? end + 1 : end) {
        out[n++] = strtod(text, &end);
        if (end == text) {
            fprintf(stderr, "bench_tuning: '%s' is not a list of numbers\n", text);
            exit(2);
        }
    }
    return n;
}

static double accuracy(lab *b)
{
    int64_t right;
    must(ot_plan_count(b->plan, b->test, NULL, b->test->n, &right, NULL));
    return (double)right / b->test->n;
}

static void lab_open(lab *b, const setting *s)
{
    ot_plan_options how = OT_PLAN_OPTIONS_INIT;
    ot_tune_options tune = ot_tune_defaults();
    ot_variation    var = OT_VARIATION_INIT;
    ot_device       dev;
    var.sigma = s->sigma;
    how.use = OT_PLAN_TUNE;
    must(ot_network_open(&b->net, s->net));
    must(ot_data_open(&b->test, s->data, OT_SPLIT_TEST, s->test));
    must(ot_data_open(&b->train, s->data, OT_SPLIT_TRAIN, s->train));
    must(ot_data_check(b->test, b->net));
    must(ot_device_open(&dev, s->device));
    must(ot_backend_open(&b->be, s->backend, NULL));
    must(ot_plan_open(&b->plan, b->be, b->net, &how));
    tune.steps = 50;
    must(ot_tuning_open(&b->tuning, b->plan, b->train, &tune));
    must(ot_chip_draw(&b->chip, b->net, &dev, &var, 0));
    b->gain = ot_alloc((size_t)ot_network_knobs(b->net), sizeof *b->gain);
    b->offset = ot_alloc((size_t)ot_network_knobs(b->net), sizeof *b->offset);
    if (!b->gain || !b->offset) exit(4);
    printf("{\"bench\":\"tuning\",\"net\":\"%s\",\"data\":\"%s\",\"device\":\"%s\",\"sigma\":%g,\"backend\":\"%s\",\"test_images\":%d,"
           "\"train_images\":%d,\"ideal\":%.5f}\n", s->net, s->data, s->device, s->sigma, ot_backend_name(b->be), b->test->n, b->train->n,
           accuracy(b));
}

static void lab_close(lab *b)
{
    ot_free(b->offset);
    ot_free(b->gain);
    ot_tuning_free(b->tuning);
    ot_chip_free(b->chip);
    ot_plan_free(b->plan);
    ot_backend_close(b->be);
    ot_data_free(b->train);
    ot_data_free(b->test);
    ot_network_free(b->net);
}

static void load(lab *b, int chip)
{
    must(ot_chip_redraw(b->chip, (uint32_t)chip));
    must(ot_plan_load(b->plan, b->chip));
    must(ot_plan_set_knobs(b->plan, NULL, NULL));
}

static void add(tally *t, double accuracy_after, double seconds)
{
    t->least = t->n && t->least < accuracy_after ? t->least : accuracy_after;
    t->sum += accuracy_after;
    t->square += accuracy_after * accuracy_after;
    t->seconds += seconds;
    t->n++;
}

static void print(const tally *t)
{
    double mean = t->sum / t->n;
    printf("\"chips\":%d,\"mean\":%.5f,\"worst\":%.5f,\"sd\":%.5f,\"seconds\":%.4f}\n", t->n, mean, t->least,
           sqrt(fmax(0, t->square / t->n - mean * mean)), t->seconds / t->n);
    fflush(stdout);
}

/* One run of Adam, tested at each number of steps. */
static void trajectory(lab *b, const setting *s, double lr, int images, tally *tallies)
{
    int          relus = ot_network_knobs(b->net), done = 0;
    ot__adam    *adam;
    ot__images   stream;
    ot_tune_cost cost = {0};
    uint32_t     rows[128];
    double       seconds = 0, loss;
    int          n = images && images < b->train->n ? images : b->train->n;
    must(ot__adam_open(&adam, relus, lr, b->gain, b->offset));
    must(ot__images_open(&stream, NULL, n, 1));
    for (int k = 0; k < s->n_steps; k++) {
        double start = ot__seconds();
        for (; done < (int)s->steps[k]; done++) {
            ot__images_next(&stream, rows, n < 128 ? n : 128);
            must(ot__adam_step(adam, b->plan, b->train, rows, n < 128 ? n : 128, &loss, &cost));
        }
        seconds += ot__seconds() - start;
        ot__adam_knobs(adam, b->gain, b->offset);
        must(ot_plan_set_knobs(b->plan, b->gain, b->offset));
        add(&tallies[k], accuracy(b), seconds);
    }
    ot__images_close(&stream);
    ot__adam_close(adam);
}

static void sweep(lab *b, const setting *s)
{
    tally untuned = {0}, closed = {0};
    for (int c = 0; c < s->chips; c++) {
        ot_tune_cost cost;
        load(b, s->first + c);
        double before = accuracy(b);
        add(&untuned, before, 0);
        must(ot_tuning_run(b->tuning, OT_TUNER_CLOSED_FORM, b->plan, NULL, NULL, b->gain, b->offset, NULL, &cost));
        double after = accuracy(b);
        add(&closed, after, cost.seconds);
        fprintf(stderr, "chip %d delta_sys %+.4f untuned %.4f closed form %.4f\n", s->first + c, ot_chip_delta_sys(b->chip), before, after);
    }
    printf("{\"start\":\"untuned\","), print(&untuned);
    printf("{\"start\":\"closed-form\",\"images\":100,"), print(&closed);
    for (int st = 0; st < s->n_starts; st++)
        for (int i = 0; i < s->n_images; i++)
            for (int r = 0; r < s->n_lr; r++) {
                tally tallies[MOST] = {{0}};
                for (int c = 0; c < s->chips; c++) {
                    ot_tune_cost cost;
                    load(b, s->first + c);
                    for (int l = 0; l < ot_network_knobs(b->net); l++) b->gain[l] = 1, b->offset[l] = 0;
                    if (s->starts[st] > 0)
                        must(ot_tuning_run(b->tuning, OT_TUNER_CLOSED_FORM, b->plan, NULL, NULL, b->gain, b->offset, NULL, &cost));
                    trajectory(b, s, s->lr[r], (int)s->images[i], tallies);
                }
                for (int k = 0; k < s->n_steps; k++) {
                    printf("{\"start\":\"%s\",\"images\":%d,\"lr\":%g,\"steps\":%d,", s->starts[st] > 0 ? "closed-form" : "untuned",
                           (int)s->images[i], s->lr[r], (int)s->steps[k]);
                    print(&tallies[k]);
                }
            }
}

static void each_tuner(lab *b, const setting *s)
{
    static const ot_tuner tuners[] = {OT_TUNER_EXHAUSTIVE, OT_TUNER_CLOSED_FORM, OT_TUNER_CLOSED_FORM_ADAM};
    tally   untuned = {0}, tallies[3] = {{0}};
    int64_t images[3] = {0};
    for (int c = 0; c < s->chips; c++) {
        load(b, s->first + c);
        add(&untuned, accuracy(b), 0);
        for (int t = 0; t < 3; t++) {
            ot_tune_cost cost;
            must(ot_tuning_run(b->tuning, tuners[t], b->plan, NULL, NULL, b->gain, b->offset, NULL, &cost));
            add(&tallies[t], accuracy(b), cost.seconds);
            images[t] = cost.images_forward;
        }
    }
    printf("{\"tuner\":\"untuned\","), print(&untuned);
    for (int t = 0; t < 3; t++) {
        printf("{\"tuner\":\"%s%s\",\"images\":%lld,", ot_tuner_name(tuners[t]), t ? "" : " (50 steps)", (long long)images[t]);
        print(&tallies[t]);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"sweep", 0, 0, 's'}, {"net", 1, 0, 'n'},    {"data", 1, 0, 'd'},  {"device", 1, 0, 'D'}, {"backend", 1, 0, 'b'}, {"sigma", 1, 0, 'S'},
        {"chips", 1, 0, 'c'}, {"first", 1, 0, 'f'},  {"test", 1, 0, 't'},  {"train", 1, 0, 'T'},  {"lr", 1, 0, 'l'},      {"steps", 1, 0, 'k'},
        {"images", 1, 0, 'i'}, {"starts", 1, 0, 'a'}, {0},
    };
    setting s = {.net = "models/mobilenet-s.onnx", .data = "fashion-mnist", .device = "r1", .backend = "auto", .chips = 4, .test = 2000,
                 .train = 0, .sigma = 0.048, .n_lr = 3, .lr = {0.003, 0.01, 0.03}, .n_steps = 4, .steps = {25, 50, 100, 400},
                 .n_images = 2, .images = {1000, 5000}, .n_starts = 2, .starts = {0, 1}};
    lab b = {0};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 's': s.sweep = 1; break;
        case 'n': s.net = optarg; break;
        case 'd': s.data = optarg; break;
        case 'D': s.device = optarg; break;
        case 'b': s.backend = optarg; break;
        case 'S': s.sigma = strtod(optarg, NULL); break;
        case 'c': s.chips = atoi(optarg); break;
        case 'f': s.first = atoi(optarg); break;
        case 't': s.test = atoi(optarg); break;
        case 'T': s.train = atoi(optarg); break;
        case 'l': s.n_lr = numbers(s.lr, optarg); break;
        case 'k': s.n_steps = numbers(s.steps, optarg); break;
        case 'i': s.n_images = numbers(s.images, optarg); break;
        case 'a': s.n_starts = numbers(s.starts, optarg); break;
        default: return 2;
        }
    }
    lab_open(&b, &s);
    if (s.sweep) sweep(&b, &s);
    else each_tuner(&b, &s);
    lab_close(&b);
    return 0;
}

/* bench_egis.c - how well a screen alone tells bad chips from good ones, by what images it sees (docs/synthetic-images.md).
 *
 *     bench_egis [--net F.onnx] [--data NAME] [--device r1] [--sigma 0.048] [--chips 200] [--test 2000] [--candidates 200] [--steps 300]
 *                [--smooth 1] [--noise 0.1] [--draws 3] [--screen mrcd]
 *
 * Without --net: models/lenet5.onnx and models/mobilenet-s.onnx.  Chips 0 .. chips - 1 teach, as many others (from 100,000 on) judge;
 * good are those within two points of the ideal network on --test images.  Candidates: synthetic ones of both losses, noise, real images of
 * the training split; of each, ten and twenty are chosen by log det, by AUC, and at random (means over --draws draws).  A JSON line each. */
#include "ohmtrim.h"
#include "base/progress.h"
#include "measure.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIDENT, BOUNDARY, NOISE, REAL, SOURCES, BY_LOGDET = 0, BY_AUC, BY_CHANCE, WAYS, OTHERS = 100000 };
static const char *const source_names[] = {"confident", "boundary", "noise", "real"}, *const way_names[] = {"logdet", "auc", "random"};

typedef struct setting {
    const char *net, *data, *device;
    double      sigma, smooth, noise;
    int         chips, test, candidates, steps, draws;
    ot_screen_kind screen;
} setting;

/* What the bench knows of its chips: 0 teaching, 1 judging. */
typedef struct lab {
    ot_network *net;
    ot_backend *be;
    ot_fleet   *fleet;
    ot_data    *test, *images[SOURCES];
    int         q;
    float      *responses[2][SOURCES];     /* (chips, candidates, q) */
    uint8_t    *good[2];
} lab;

static void *room(size_t n, size_t size)
{
    void *p = ot_alloc(n, size);
    if (!p) exit(4);
    return p;
}

/* `n` of an open set's images, in the order of ot_stimulus_random. */
static ot_data *real_images(const char *name, int n)
{
    ot_data  *all, *d = room(1, sizeof *d);
    uint32_t *index = room((size_t)n, sizeof *index);
    must(ot_data_open(&all, name, OT_SPLIT_TRAIN, 0));
    must(ot_stimulus_random(index, n, all, 1));
    size_t image = (size_t)all->c * (size_t)all->h * (size_t)all->w;
    *d = *all;
    d->n = n;
    d->name = ot_strdup("real");
    d->pixels = room((size_t)n, image);
    d->labels = room((size_t)n, sizeof *d->labels);
    for (int i = 0; i < n; i++) memcpy(d->pixels + (size_t)i * image, all->pixels + index[i] * image, image), d->labels[i] = all->labels[index[i]];
    ot_data_free(all);
    ot_free(index);
    return d;
}

static ot_data *make_images(lab *b, const setting *s, int source)
{
    ot_synthesis_options o = ot_synthesis_defaults(source == BOUNDARY ? OT_SYNTHESIS_BOUNDARY : OT_SYNTHESIS_CONFIDENT);
    ot_synthesis        *made;
    double               start = ot__seconds(), entropy = 0, least = INFINITY;
    if (source == REAL) return real_images(s->data, s->candidates);
    o.images = s->candidates, o.steps = s->steps, o.smooth = s->smooth;
    if (source == NOISE) o.steps = 1, o.lr = 1e-12;                  /* as drawn */
    must(ot_synthesise(&made, "auto", b->net, &o, NULL, NULL));
    for (int i = 0; i < made->images->n; i++) {
        entropy += made->entropy[i] / made->images->n;
        least = fmin(least, made->entropy[i]);
    }
    printf("{\"bench\":\"egis\",\"net\":\"%s\",\"images\":\"%s\",\"candidates\":%d,\"steps\":%d,\"entropy\":%.4g,\"least_entropy\":%.4g,\"seconds\":%.1f}\n", s->net,
           source_names[source], s->candidates, source == NOISE ? 0 : s->steps, entropy, least, ot__seconds() - start);
    fflush(stdout);
    ot_data *d = made->images;
    made->images = NULL;
    ot_synthesis_free(made);
    return d;
}

static void measure(lab *b, const setting *s, double cutoff)
{
    uint32_t *all = room((size_t)s->candidates, sizeof *all);
    for (uint32_t i = 0; i < (uint32_t)s->candidates; i++) all[i] = i;
    for (int set = 0; set < 2; set++) {
        double mean = 0;
        int    bad = 0;
        b->good[set] = room((size_t)s->chips, 1);
        for (int k = 0; k < SOURCES; k++) b->responses[set][k] = room((size_t)s->chips * (size_t)s->candidates, (size_t)b->q * sizeof(float));
        for (int i = 0; i < s->chips; i++) {
            const uint32_t number = (uint32_t)(set ? OTHERS + i : i);
            int64_t        right;
            must(ot_fleet_draw(b->fleet, &number, 1));
            must(ot_fleet_count(b->fleet, b->test, NULL, b->test->n, &right, NULL));
            b->good[set][i] = (double)right / b->test->n >= cutoff;
            bad += !b->good[set][i];
            mean += (double)right / b->test->n / s->chips;
            for (int k = 0; k < SOURCES; k++)
                must(ot_signature_measure_fleet(b->responses[set][k] + (size_t)i * (size_t)s->candidates * (size_t)b->q, b->fleet, b->images[k], all, s->candidates));
        }
        printf("{\"bench\":\"egis\",\"net\":\"%s\",\"chips\":\"%s\",\"number\":%d,\"bad\":%d,\"mean_accuracy\":%.4f,\"cutoff\":%.4f}\n", s->net, set ? "judging" : "teaching",
               s->chips, bad, mean, cutoff);
        fflush(stdout);
    }
    ot_free(all);
}

static void rates_of(ot_rates *out, const lab *b, const setting *s, int source, const int *chosen, int k)
{
    const int         length = k * b->q;
    float            *x = room((size_t)s->chips, (size_t)length * sizeof *x);
    double           *d = room((size_t)s->chips, sizeof *d);
    ot_screen_options opt = ot_screen_defaults(s->screen);
    ot_detector       detector;
    ot_compact_gather(x, b->responses[0][source], s->chips, s->candidates, b->q, chosen, k);
    must(ot_detector_fit(&detector, x, b->good[0], s->chips, length, &opt));
    ot_compact_gather(x, b->responses[1][source], s->chips, s->candidates, b->q, chosen, k);
    must(ot_detector_distances(d, &detector, x, s->chips));
    must(ot_detector_rates(out, d, b->good[1], s->chips, detector.screen.threshold));
    ot_detector_free(&detector);
    ot_free(d);
    ot_free(x);
}

static void print_rates(const setting *s, int source, int way, int k, const ot_rates *r, double chosen_seconds, double fit_seconds)
{
    printf("{\"bench\":\"egis\",\"net\":\"%s\",\"images\":\"%s\",\"chosen\":\"%s\",\"k\":%d,\"auc\":%.4f,\"accuracy\":%.4f,\"escape\":%.4f,\"overkill\":%.4f,\"bad\":%.4f,"
           "\"choose_s\":%.2f,\"fit_s\":%.2f}\n", s->net, source_names[source], way_names[way], k, r->auc, r->accuracy, r->escape, r->overkill, (double)r->bad / r->chips, chosen_seconds, fit_seconds);
    fflush(stdout);
}

static void judge(const lab *b, const setting *s, int source)
{
    static const int sizes[] = {10, 20};
    int             *chosen = room((size_t)s->candidates, sizeof *chosen);
    for (int way = 0; way < WAYS; way++) {
        double start = ot__seconds(), chose = 0;
        if (way == BY_LOGDET) must(ot_compact_logdet(chosen, NULL, b->responses[0][source], s->chips, s->candidates, b->q, 20, s->noise));
        if (way == BY_AUC) must(ot_compact_auc(chosen, NULL, b->responses[0][source], b->good[0], s->chips, s->candidates, b->q, 20, s->noise));
        chose = ot__seconds() - start;
        for (int z = 0; z < 2; z++) {
            ot_rates sum = {0}, r;
            int      draws = way == BY_CHANCE ? s->draws : 1;
            start = ot__seconds();
            for (int draw = 0; draw < draws; draw++) {
                for (int i = 0; way == BY_CHANCE && i < sizes[z]; i++) chosen[i] = (draw * 20 + i) % s->candidates;
                rates_of(&r, b, s, source, chosen, sizes[z]);
                sum.chips = r.chips, sum.bad = r.bad;
                sum.auc += r.auc / draws, sum.accuracy += r.accuracy / draws, sum.escape += r.escape / draws, sum.overkill += r.overkill / draws;
            }
            print_rates(s, source, way, sizes[z], &sum, chose, (ot__seconds() - start) / draws);
        }
    }
    ot_free(chosen);
}

static void bench(const setting *s)
{
    lab             b = {0};
    ot_device       dev;
    ot_variation    var = OT_VARIATION_INIT;
    ot_plan_options how = OT_PLAN_OPTIONS_INIT;
    ot_plan        *plan;
    int64_t         ideal;
    var.sigma = s->sigma;
    must(ot_network_open(&b.net, s->net));
    must(ot_data_open(&b.test, s->data, OT_SPLIT_TEST, s->test));
    must(ot_device_open(&dev, s->device));
    must(ot_backend_open(&b.be, "auto", NULL));
    must(ot_plan_open(&plan, b.be, b.net, &how));
    must(ot_plan_count(plan, b.test, NULL, b.test->n, &ideal, NULL));
    ot_plan_free(plan);
    how.chips = 1;
    must(ot_fleet_open(&b.fleet, b.be, b.net, &dev, &var, &how));
    b.q = ot_signature_length(b.net, 1);
    for (int k = 0; k < SOURCES; k++) b.images[k] = make_images(&b, s, k);
    measure(&b, s, (double)ideal / b.test->n - 0.02);
    for (int k = 0; k < SOURCES; k++) judge(&b, s, k);
    for (int k = 0; k < SOURCES; k++) ot_data_free(b.images[k]), ot_free(b.responses[0][k]), ot_free(b.responses[1][k]);
    ot_free(b.good[0]), ot_free(b.good[1]);
    ot_fleet_free(b.fleet);
    ot_backend_close(b.be);
    ot_data_free(b.test);
    ot_network_free(b.net);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"net", 1, 0, 'n'}, {"data", 1, 0, 'd'}, {"device", 1, 0, 'v'}, {"sigma", 1, 0, 's'}, {"chips", 1, 0, 'c'}, {"test", 1, 0, 't'},
                                            {"candidates", 1, 0, 'i'}, {"steps", 1, 0, 'p'}, {"smooth", 1, 0, 'm'}, {"noise", 1, 0, 'o'}, {"draws", 1, 0, 'r'}, {"screen", 1, 0, 'e'}, {0, 0, 0, 0}};
    setting s = {.data = "fashion-mnist", .device = "r1", .sigma = 0.048, .smooth = 1, .noise = 0.1, .chips = 200, .test = 2000, .candidates = 200, .steps = 300, .draws = 3, .screen = OT_SCREEN_MRCD};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) switch (c) {
        case 'n': s.net = optarg; break;
        case 'd': s.data = optarg; break;
        case 'v': s.device = optarg; break;
        case 's': s.sigma = strtod(optarg, NULL); break;
        case 'c': s.chips = atoi(optarg); break;
        case 't': s.test = atoi(optarg); break;
        case 'i': s.candidates = atoi(optarg); break;
        case 'p': s.steps = atoi(optarg); break;
        case 'm': s.smooth = strtod(optarg, NULL); break;
        case 'o': s.noise = strtod(optarg, NULL); break;
        case 'r': s.draws = atoi(optarg); break;
        case 'e': must(ot_screen_parse(&s.screen, optarg)); break;
        default: return 2;
        }
    if (s.candidates < 20 || s.chips < 20 || s.draws < 1) {
        fprintf(stderr, "bench_egis: want at least 20 candidates, 20 chips, 1 draw\n");
        return 2;
    }
    if (s.net) bench(&s);
    else
        for (int k = 0; k < 2; k++) {
            s.net = k ? "models/mobilenet-s.onnx" : "models/lenet5.onnx";
            bench(&s);
        }
    return 0;
}

/* bench_anomalies.c - what screens find: simulated chips with something wrong that variation does not make (anomaly.h), good chips beside them.
 *
 *     bench_anomalies [--net models/mobilenet-s.onnx] [--data fashion-mnist] [--device r1] [--sigma 0.048] [--chips 500] [--good 500] [--bad 150]
 *                     [--images 10] [--test 300] [--bad-share 0] [--contamination 0.01] [--dump FOLDER]
 *
 * Casebook: chips 0 .. chips - 1, as they vary.  Judged: other good chips, and `bad` of each anomaly, all by the signature on `images` random
 * images.  A JSON line for each screen (what was chosen, seconds), then one for each anomaly: points of accuracy lost, how often the predictor
 * (MARS of the same casebook) says an accuracy more than 5 points too high, and what share each screen flags, with its 95 % Wilson interval;
 * `let_through` is the share of chips that the predictor overrates and the default screen passes.  --bad-share S: that share of the casebook has
 * anomalies too, one after the other.  --dump: the signatures as npy. */
#include "anomaly.h"
#include "base/build.h"
#include "base/progress.h"
#include "ohmtrim/array.h"
#include "test/scatter.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OTHERS = 100000, SCORES = 20 };
static const double TOO_HIGH = 0.05;

typedef struct setting {
    const char *net, *data, *device, *dump;
    double      sigma, bad_share, contamination;
    int         chips, good, bad, images, test;
} setting;

/* A screen to compare; `scores`: it sees the first 20 principal scores alone. */
typedef struct contender {
    const char    *name;
    ot_screen_kind kind;
    double         support, bend, condition;
    int            scores;
    ot_screen      screen;
} contender;

static contender contenders[] = {
    {"mrcd", OT_SCREEN_MRCD, 0, 0, 0, 0, {0}},                     /* the default: support 1 */
    {"mrcd_0.9", OT_SCREEN_MRCD, 0.9, 0, 0, 0, {0}},
    {"mrcd_0.75", OT_SCREEN_MRCD, 0.75, 0, 0, 0, {0}},
    {"straight_mrcd", OT_SCREEN_MRCD, 0, -1, 0, 0, {0}},           /* condition number chosen */
    {"mrcd_condition_50", OT_SCREEN_MRCD, 0, 0, 50, 0, {0}},       /* bend chosen */
    {"published_mrcd_1", OT_SCREEN_MRCD, 1, -1, 50, 0, {0}},
    {"published_mrcd_0.9", OT_SCREEN_MRCD, 0.9, -1, 50, 0, {0}},
    {"published_mrcd_0.75", OT_SCREEN_MRCD, 0.75, -1, 50, 0, {0}},
    {"pca-mcd", OT_SCREEN_PCA_MCD, 0, 0, 0, 0, {0}},
    {"pca-mcd_0.95", OT_SCREEN_PCA_MCD, 0.95, 0, 0, 0, {0}},
    {"bent_pca-mcd_1", OT_SCREEN_PCA_MCD, 1, 0.5, 0, 0, {0}},
    {"mcd_of_scores", OT_SCREEN_MCD, 0, 0, 0, 1, {0}},
};
enum { CONTENDERS = sizeof contenders / sizeof *contenders };

/* The casebook and what was learned from it. */
typedef struct book {
    float       *signature;            /* (chips, s) */
    double      *accuracy, *x;         /* (chips), (chips, p) */
    ot_features  features;
    ot_predictor predictor;
    double      *mean, *axes;          /* (p), (SCORES, p) */
    int          s, scores;
} book;

/* Of n chips of one kind. */
typedef struct batch { float *signature; double *accuracy; } batch;

static batch measure(bed *b, const setting *s, const uint32_t *stimulus, const anomaly *a, int n, uint32_t first, int length)
{
    batch m = {room((size_t)n * (size_t)length, sizeof(float)), room((size_t)n, sizeof(double))};
    for (int i = 0; i < n; i++) {
        bed_load(b, a, first + (uint32_t)i);
        bed_signature(m.signature + (size_t)i * (size_t)length, b, stimulus, s->images);
        m.accuracy[i] = bed_accuracy(b, s->test);
    }
    return m;
}

static void dump(const setting *s, const char *name, const batch *m, int n, int length)
{
    char path[512];
    if (!s->dump) return;
    snprintf(path, sizeof path, "%s/%s.npy", s->dump, name);
    must(ot_npy_write(path, OT_F32, 2, (int64_t[]){n, length}, m->signature));
    snprintf(path, sizeof path, "%s/%s_accuracy.npy", s->dump, name);
    must(ot_npy_write(path, OT_F64, 1, (int64_t[]){n}, m->accuracy));
}

/* -- Learning --------------------------------------------------------------------------------------------------------- */

static void scores_of(double *z, const book *k, const double *x)
{
    const size_t p = (size_t)k->features.p;
    for (int a = 0; a < k->scores; a++) {
        z[a] = 0;
        for (size_t j = 0; j < p; j++) z[a] += k->axes[(size_t)a * p + j] * (x[j] - k->mean[j]);
    }
}

static void learn_book(book *k, const setting *s, batch chips)
{
    const ot_predictor_options how = ot_predictor_defaults(OT_PREDICTOR_MARS);
    k->signature = chips.signature, k->accuracy = chips.accuracy;
    must(ot_features_fit(&k->features, k->signature, s->chips, k->s));
    const size_t p = (size_t)k->features.p;
    k->x = room((size_t)s->chips * p, sizeof *k->x);
    for (int i = 0; i < s->chips; i++) ot_features_apply(k->x + (size_t)i * p, &k->features, k->signature + (size_t)i * (size_t)k->s);
    must(ot_predictor_fit(&k->predictor, k->x, k->accuracy, s->chips, k->features.p, &how));
    k->mean = room((SCORES + 1) * p, sizeof *k->mean);
    k->axes = k->mean + p;
    must(ot__pca(&k->scores, k->mean, k->axes, k->x, s->chips, k->features.p, SCORES));
}

static void learn_screen(contender *c, const book *k, const setting *s)
{
    ot_screen_options o = ot_screen_defaults(c->kind);
    ot_screen_report  r;
    const double     *x = k->x;
    double           *z = room((size_t)s->chips * SCORES, sizeof *z), start = ot__seconds();
    int               p = k->features.p;
    for (int i = 0; i < s->chips && c->scores; i++) scores_of(z + (size_t)i * (size_t)k->scores, k, k->x + (size_t)i * (size_t)p);
    if (c->scores) x = z, p = k->scores;
    o.support = c->support, o.bend = c->bend, o.condition = c->condition;
    o.contamination = s->contamination;
    o.threads = 1;
    must(ot_screen_fit(&c->screen, x, s->chips, p, &o, &r));
    char volume[32] = "null";
    if (isfinite(r.log_volume)) snprintf(volume, sizeof volume, "%.4g", r.log_volume);
    printf("{\"bench\":\"anomalies\",\"screen\":\"%s\",\"p\":%d,\"h\":%d,\"bend\":%g,\"condition\":%g,\"threshold\":%.4g,\"threshold_in_sample\":%.4g,\"log_volume\":%s,\"learn_s\":%.2f}\n",
           c->name, p, r.h, r.bend, r.condition, r.threshold, r.threshold_in_sample, volume, ot__seconds() - start);
    fflush(stdout);
    ot_free(z);
}

/* -- Judging ---------------------------------------------------------------------------------------------------------- */

static void wilson(char text[32], int k, int n)
{
    const double z = 1.959963984540054, f = (double)k / n, centre = (f + z * z / (2 * n)) / (1 + z * z / n),
                 half = z / (1 + z * z / n) * sqrt(f * (1 - f) / n + z * z / (4.0 * n * n));
    const int digits = n < 200 ? 0 : 1;
    snprintf(text, 32, "%.*f (%.*f-%.*f)", digits, 100 * f, digits, 100 * fmax(0, centre - half), digits, 100 * fmin(1, centre + half));
}

/* Flags of n chips, by each screen: sums into `mean` if these chips lose accuracy. */
static void judge(const book *k, const anomaly *a, const batch *m, const batch *same, int n, double mean[CONTENDERS], int *harmful)
{
    const size_t p = (size_t)k->features.p;
    double      *x = room(p, sizeof *x), *work = room(3 * p + 2 * SCORES, sizeof *work), z[SCORES], loss = 0;
    int          flagged[CONTENDERS] = {0}, overrated = 0, let_through = 0;
    char         text[32];
    for (int i = 0; i < n; i++) {
        ot_features_apply(x, &k->features, m->signature + (size_t)i * (size_t)k->s);
        scores_of(z, k, x);
        const int too_high = ot_predictor_value(&k->predictor, x) > m->accuracy[i] + TOO_HIGH;
        loss += (same->accuracy[i] - m->accuracy[i]) / n;
        overrated += too_high;
        for (int c = 0; c < CONTENDERS; c++) {
            const ot_screen *s = &contenders[c].screen;
            const int        out = ot_screen_outlier(s, ot_screen_distance(s, contenders[c].scores ? z : x, work));
            flagged[c] += out;
            if (!c) let_through += too_high && !out;
        }
    }
    printf("{\"bench\":\"anomalies\",\"anomaly\":\"%s\",\"strength\":\"%s\",\"chips\":%d,\"points_lost\":%.1f,\"overrated\":\"%.0f\",\"let_through\":\"%.0f\"", a->name, a->strength, n,
           100 * loss, 100.0 * overrated / n, 100.0 * let_through / n);
    for (int c = 0; c < CONTENDERS; c++) {
        wilson(text, flagged[c], n);
        printf(",\"%s\":\"%s\"", contenders[c].name, text);
        if (loss >= 0.01) mean[c] += (double)flagged[c] / n;
    }
    *harmful += loss >= 0.01;
    printf("}\n");
    fflush(stdout);
    ot_free(work);
    ot_free(x);
}

/* Some of the casebook's chips have anomalies too. */
static void spoil(batch *m, bed *b, const setting *s, const uint32_t *stimulus, int length)
{
    const int bad = (int)(s->bad_share * s->chips);
    for (int i = 0; i < bad; i++) {
        bed_load(b, &anomalies[1 + i % (n_anomalies - 1)], (uint32_t)i);
        bed_signature(m->signature + (size_t)i * (size_t)length, b, stimulus, s->images);
        m->accuracy[i] = bed_accuracy(b, s->test);
    }
}

static void bench(const setting *s)
{
    ot_data  *data;
    uint32_t *stimulus = room((size_t)s->images, sizeof *stimulus);
    double    mean[CONTENDERS] = {0};
    int       harmful = 0, one = 0;
    book      k = {0};
    must(ot_data_open(&data, s->data, OT_SPLIT_TEST, s->test > 1000 ? s->test : 1000));
    must(ot_stimulus_random(stimulus, s->images, data, 1));
    bed *b = bed_open(s->net, s->device, s->sigma, data, 1);
    k.s = ot_signature_length(bed_network(b), s->images);
    batch chips = measure(b, s, stimulus, &anomalies[0], s->chips, 0, k.s);
    spoil(&chips, b, s, stimulus, k.s);
    dump(s, "casebook", &chips, s->chips, k.s);
    learn_book(&k, s, chips);
    for (int c = 0; c < CONTENDERS; c++) learn_screen(&contenders[c], &k, s);
    batch good = measure(b, s, stimulus, &anomalies[0], s->good, OTHERS, k.s);
    dump(s, "good", &good, s->good, k.s);
    judge(&k, &anomalies[0], &good, &good, s->good, mean, &one);
    for (int a = 1; a < n_anomalies; a++) {
        char  name[32];
        batch bad = measure(b, s, stimulus, &anomalies[a], s->bad, OTHERS, k.s);
        snprintf(name, sizeof name, "anomaly%02d", a);
        dump(s, name, &bad, s->bad, k.s);
        judge(&k, &anomalies[a], &bad, &good, s->bad, mean, &harmful);
        ot_free(bad.signature), ot_free(bad.accuracy);
    }
    printf("{\"bench\":\"anomalies\",\"anomaly\":\"mean\",\"strength\":\"of the %d that lose a point or more\"", harmful);
    for (int c = 0; c < CONTENDERS; c++) printf(",\"%s\":\"%.0f\"", contenders[c].name, 100 * mean[c] / harmful);
    printf(",\"net\":\"%s\",\"device\":\"%s\",\"sigma\":%g,\"casebook\":%d,\"bad_share\":%g,\"contamination\":%g,\"commit\":\"%s\",\"compiler\":\"%s\"}\n", s->net, s->device, s->sigma, s->chips,
           s->bad_share, s->contamination, ot__build_commit(), ot__build_compiler());
    for (int c = 0; c < CONTENDERS; c++) ot_screen_free(&contenders[c].screen);
    ot_predictor_free(&k.predictor);
    ot_features_free(&k.features);
    ot_free(k.mean), ot_free(k.x), ot_free(chips.signature), ot_free(chips.accuracy), ot_free(good.signature), ot_free(good.accuracy), ot_free(stimulus);
    bed_close(b);
    ot_data_free(data);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"net", 1, 0, 'n'}, {"data", 1, 0, 'd'}, {"device", 1, 0, 'v'}, {"sigma", 1, 0, 's'}, {"chips", 1, 0, 'c'}, {"good", 1, 0, 'g'}, {"bad", 1, 0, 'b'},
                                            {"images", 1, 0, 'i'}, {"test", 1, 0, 't'}, {"bad-share", 1, 0, 'h'}, {"contamination", 1, 0, 'q'}, {"dump", 1, 0, 'f'}, {0, 0, 0, 0}};
    setting s = {.net = "models/mobilenet-s.onnx", .data = "fashion-mnist", .device = "r1", .sigma = 0.048, .contamination = 0.01, .chips = 500, .good = 500, .bad = 150, .images = 10, .test = 300};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) switch (c) {
        case 'n': s.net = optarg; break;
        case 'd': s.data = optarg; break;
        case 'v': s.device = optarg; break;
        case 's': s.sigma = strtod(optarg, NULL); break;
        case 'c': s.chips = atoi(optarg); break;
        case 'g': s.good = atoi(optarg); break;
        case 'b': s.bad = atoi(optarg); break;
        case 'i': s.images = atoi(optarg); break;
        case 't': s.test = atoi(optarg); break;
        case 'h': s.bad_share = strtod(optarg, NULL); break;
        case 'q': s.contamination = strtod(optarg, NULL); break;
        case 'f': s.dump = optarg; break;
        default: return 2;
        }
    if (s.chips < 100 || s.bad < 1 || s.good < s.bad || s.images < 1 || s.images > 64 || s.test < 1 || !(s.bad_share >= 0 && s.bad_share <= 0.5)) {
        fprintf(stderr, "bench_anomalies: want 100 chips or more, 1 bad one or more, no fewer good ones, 1..64 images, 1 test image or more, a bad share of 0..0.5\n");
        return 2;
    }
    bench(&s);
    return 0;
}

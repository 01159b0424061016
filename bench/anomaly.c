/* anomaly.c - how each anomaly is made.
 *
 * A drawn chip's weights are copied into a network of our own, damaged there and loaded into the plan, so nothing here depends on how chips are
 * kept.  What happens while a chip runs, the noise of converters, needs the plan's insides: each layer is run up to its T-ReLU, taken
 * out, disturbed and put back.  Random numbers are functions of (seed, chip, what for): the same chip is damaged in the same way. */
#include "anomaly.h"

#include "kernels/philox.h"
#include "plan/impl.h"
#include "test/scatter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 64, LEVELS = 65536, MOST_LAYERS = 64, WHAT_LAYER = 100, WHAT_ORDER, WHAT_NUMBER, WHAT_NOISE };

const anomaly anomalies[] = {
    {"none", "", ANOMALY_NONE, 0},
    {"dead columns", "1 in a layer", ANOMALY_DEAD, 0},       {"dead columns", "10 % of a layer", ANOMALY_DEAD, 0.1}, {"dead columns", "30 % of a layer", ANOMALY_DEAD, 0.3},
    {"stuck in LRS", "0.02 % of cells", ANOMALY_STUCK_LRS, 0.0002}, {"stuck in LRS", "0.1 %", ANOMALY_STUCK_LRS, 0.001}, {"stuck in LRS", "0.5 %", ANOMALY_STUCK_LRS, 0.005},
    {"stuck in HRS", "0.1 % of cells", ANOMALY_STUCK_HRS, 0.001}, {"stuck in HRS", "0.5 %", ANOMALY_STUCK_HRS, 0.005}, {"stuck in HRS", "2 %", ANOMALY_STUCK_HRS, 0.02},
    {"noisy converters", "0.05 spreads", ANOMALY_NOISE, 0.05}, {"noisy converters", "0.2", ANOMALY_NOISE, 0.2}, {"noisy converters", "0.5", ANOMALY_NOISE, 0.5},
    {"column offsets", "0.05 spreads", ANOMALY_OFFSET, 0.05}, {"column offsets", "0.15", ANOMALY_OFFSET, 0.15}, {"column offsets", "0.5", ANOMALY_OFFSET, 0.5},
    {"layer gains", "2 % off", ANOMALY_GAIN, 0.02},          {"layer gains", "5 %", ANOMALY_GAIN, 0.05},           {"layer gains", "15 %", ANOMALY_GAIN, 0.15},
    {"other sigma", "6 %", ANOMALY_SIGMA, 0.06},             {"other sigma", "8 %", ANOMALY_SIGMA, 0.08},
    {"other device", "r3", ANOMALY_DEVICE, 0},               {"other device", "r2", ANOMALY_DEVICE, 0},
    {"columns permuted", "a pointwise layer", ANOMALY_PERMUTED, 0},
    {"other weights", "in one layer", ANOMALY_LAYER, 0},
    {"classes turned", "2", ANOMALY_CLASSES, 2},             {"classes turned", "10", ANOMALY_CLASSES, 10},
    {"images turned", "2 of 10", ANOMALY_IMAGES, 2},         {"images turned", "10", ANOMALY_IMAGES, 10},
};
const int n_anomalies = (int)(sizeof anomalies / sizeof *anomalies);

struct bed {
    ot_network     *net, *work;
    const ot_data  *data;
    ot_backend     *be;
    ot_plan        *plan;
    ot_device       device;
    ot_variation    var;
    ot_chip        *chip, *special;        /* of the usual kind; of an anomaly's, drawn anew for each */
    const anomaly  *now;
    uint32_t        number;
    uint64_t        seed;
    float          *statistics, *usual_statistics;
    double          spread[MOST_LAYERS + 1];           /* of each T-ReLU's input, then of the classes */
    float          *values;                /* (TILE, widest) */
    float           quantile[LEVELS];      /* of the normal distribution */
};

void must(ot_status st)
{
    if (st == OT_OK) return;
    fprintf(stderr, "%s\n", ot_last_error());
    exit(ot_status_exit(st));
}

void *room(size_t n, size_t size)
{
    void *p = ot_alloc(n, size);
    if (!p) exit(4);
    return p;
}

static uint32_t word(const bed *b, uint32_t what, uint32_t place)
{
    uint32_t w[4];
    ot_philox(&w[0], &w[1], &w[2], &w[3], b->seed, place, what, b->number, OT_PURPOSE_FAULTS);
    return w[0];
}
static uint32_t below(const bed *b, uint32_t what, uint32_t place, uint32_t n) { return (uint32_t)((uint64_t)word(b, what, place) * n >> 32); }
static double   normal(const bed *b, uint32_t what, uint32_t place) { return b->quantile[word(b, what, place) >> 16]; }

/* The first of `order` (n) are a random choice, from what comes after. */
static void shuffle(const bed *b, uint32_t *order, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint32_t k = i + below(b, WHAT_ORDER, i, n - i), t = order[i];
        order[i] = order[k], order[k] = t;
    }
}

const ot_network *bed_network(const bed *b) { return b->net; }

static ot_status remember(void *user, int relu, double mean, double sd, float *gain, float *offset)
{
    (void)mean, (void)gain, (void)offset;
    ((bed *)user)->spread[relu] = sd;
    return OT_OK;
}

/* Spreads of the ideal network: of its layers and of its class outputs. */
static void learn_spreads(bed *b)
{
    const int n = TILE, classes = ot_network_classes(b->net), relus = ot_network_relus(b->net);
    float     logits[TILE * MOST_LAYERS];
    double    mean = 0, square = 0;
    if (relus > MOST_LAYERS || classes > MOST_LAYERS) must(OT_E_UNSUPPORTED);
    must(ot_plan_moments(b->plan, b->data, NULL, n, remember, b));
    must(ot_plan_forward(b->plan, b->data, NULL, n, logits, NULL));
    for (int i = 0; i < n * classes; i++) mean += logits[i] / (n * classes);
    for (int i = 0; i < n * classes; i++) square += (logits[i] - mean) * (logits[i] - mean) / (n * classes);
    b->spread[relus] = sqrt(square);
}

bed *bed_open(const char *net, const char *device, double sigma, const ot_data *data, uint64_t seed)
{
    bed            *b = room(1, sizeof *b);
    ot_plan_options how = OT_PLAN_OPTIONS_INIT;
    size_t          widest = 0;
    b->var = (ot_variation)OT_VARIATION_INIT;
    b->var.sigma = sigma;
    b->seed = seed;
    b->data = data;
    how.tile = TILE;
    must(ot_network_open(&b->net, net));
    must(ot_network_copy(&b->work, b->net));
    must(ot_data_check(data, b->net));
    must(ot_device_open(&b->device, device));
    must(ot_backend_open(&b->be, "auto", NULL));
    must(ot_plan_open(&b->plan, b->be, b->work, &how));
    must(ot_chip_draw(&b->chip, b->net, &b->device, &b->var, 0));
    for (int i = 0; i < LEVELS; i++) b->quantile[i] = (float)ot__normal_quantile((i + 0.5) / LEVELS);
    for (int i = 0; i < ot_network_layers(b->net); i++) {
        const ot_layer *l = ot_network_layer(b->net, i);
        size_t          size = (size_t)l->c * (size_t)l->h * (size_t)l->w;
        if (size > widest) widest = size;
    }
    b->values = room(TILE * widest, sizeof *b->values);
    b->statistics = room(2 * ot_network_statistics(b->net) + 1, sizeof *b->statistics);
    b->usual_statistics = b->statistics + ot_network_statistics(b->net);
    ot_network_get_statistics(b->net, b->usual_statistics);
    learn_spreads(b);
    return b;
}

void bed_close(bed *b)
{
    ot_free(b->statistics);
    ot_free(b->values);
    ot_chip_free(b->special);
    ot_chip_free(b->chip);
    ot_plan_free(b->plan);
    ot_backend_close(b->be);
    ot_network_free(b->work);
    ot_network_free(b->net);
    ot_free(b);
}

/* -- Damage ----------------------------------------------------------------------------------------------------------- */

static const ot_chip *draw(bed *b, const anomaly *a)
{
    const int    special = a->kind == ANOMALY_STUCK_LRS || a->kind == ANOMALY_STUCK_HRS || a->kind == ANOMALY_SIGMA || a->kind == ANOMALY_DEVICE;
    ot_variation var = b->var;
    ot_device    device = b->device;
    if (!special) {
        must(ot_chip_redraw(b->chip, b->number));
        return b->chip;
    }
    if (a->kind == ANOMALY_STUCK_LRS) var.stuck_lrs = a->amount;
    if (a->kind == ANOMALY_STUCK_HRS) var.stuck_hrs = a->amount;
    if (a->kind == ANOMALY_SIGMA) var.sigma = a->amount;
    if (a->kind == ANOMALY_DEVICE) must(ot_device_open(&device, a->strength));
    if (a != b->now || !b->special) {
        ot_chip_free(b->special);
        b->special = NULL;
        must(ot_chip_draw(&b->special, b->net, &device, &var, b->number));
    } else must(ot_chip_redraw(b->special, b->number));
    return b->special;
}

/* Columns of a crossbar layer: `from[k]` becomes column k. */
static void reorder(float *weight, int columns, size_t a_column, const uint32_t *from)
{
    float *copy = room((size_t)columns * a_column, sizeof *copy);
    memcpy(copy, weight, (size_t)columns * a_column * sizeof *copy);
    for (int k = 0; k < columns; k++) memcpy(weight + (size_t)k * a_column, copy + (size_t)from[k] * a_column, a_column * sizeof *copy);
    ot_free(copy);
}

static void damage(bed *b, const anomaly *a)
{
    const int layers = ot_network_crossbars(b->net);
    int       number = (int)below(b, WHAT_LAYER, 0, (uint32_t)layers);
    if (a->kind == ANOMALY_CLASSES) number = layers - 1;
    while (a->kind == ANOMALY_PERMUTED && (ot_network_crossbar(b->net, number)->kh > 1 || number == layers - 1)) number = (number + 1) % layers;
    const ot_layer *l = ot_network_crossbar(b->work, number);
    float          *weight = l->weight;
    size_t          n = ot_layer_weights(l), a_column = n / (size_t)l->c;
    uint32_t        order[4096];
    shuffle(b, order, (uint32_t)l->c);
    if (a->kind == ANOMALY_DEAD)
        for (int k = 0; k == 0 || k < a->amount * l->c; k++) memset(weight + order[k] * a_column, 0, a_column * sizeof *weight);
    if (a->kind == ANOMALY_PERMUTED) reorder(weight, l->c, a_column, order);
    if (a->kind == ANOMALY_CLASSES) {
        for (uint32_t k = 0; k < (uint32_t)l->c; k++) order[k] = k < a->amount ? (k + 1) % (uint32_t)a->amount : k;
        reorder(weight, l->c, a_column, order);
    }
    if (a->kind == ANOMALY_LAYER) {
        double square = 0;
        for (size_t i = 0; i < n; i++) square += (double)weight[i] * weight[i] / (double)n;
        for (size_t i = 0; i < n; i++) weight[i] = (float)(sqrt(square) * normal(b, WHAT_NUMBER, (uint32_t)i));
    }
}

/* Converters' offsets enter where batch norm subtracts its mean. */
static void offset_columns(bed *b, double amount)
{
    size_t at = 0;
    memcpy(b->statistics, b->usual_statistics, ot_network_statistics(b->net) * sizeof(float));
    for (int i = 0; i < ot_network_layers(b->net); i++) {
        const ot_layer *l = ot_network_layer(b->net, i);
        if (l->op != OT_OP_BATCH_NORM) continue;
        for (int k = 0; k < l->c; k++) b->statistics[at + (size_t)k] += (float)(amount * normal(b, WHAT_NUMBER, (uint32_t)at + (uint32_t)k) * sqrt((double)l->var[k]));
        at += 2 * (size_t)l->c;
    }
    ot_network_set_statistics(b->work, b->statistics);
}

void bed_load(bed *b, const anomaly *a, uint32_t number)
{
    float gain[MOST_LAYERS];
    b->number = number;
    const ot_chip *chip = draw(b, a);
    for (int k = 0; k < ot_network_crossbars(b->net); k++) {
        const ot_layer *l = ot_network_crossbar(b->work, k);
        memcpy(l->weight, ot_chip_weights(chip, k), ot_layer_weights(l) * sizeof(float));
    }
    b->now = a;
    damage(b, a);
    if (a->kind == ANOMALY_OFFSET) offset_columns(b, a->amount);
    else ot_network_set_statistics(b->work, b->usual_statistics);
    must(ot_plan_load(b->plan, NULL));
    for (int k = 0; k < ot_network_relus(b->net); k++) gain[k] = a->kind == ANOMALY_GAIN ? (float)exp(a->amount * normal(b, WHAT_NUMBER, (uint32_t)k)) : 1;
    must(ot_plan_set_knobs(b->plan, gain, NULL));
}

/* -- Running ---------------------------------------------------------------------------------------------------------- */

/* Adds noise to n numbers; `at` counts what was drawn for this chip. */
static void disturb(const bed *b, float *v, size_t n, double sd, uint32_t *at)
{
    uint32_t w[4];
    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0) ot_philox(&w[0], &w[1], &w[2], &w[3], b->seed, (*at)++, WHAT_NOISE, b->number, OT_PURPOSE_READ_NOISE);
        v[i] += (float)sd * b->quantile[i % 2 ? w[i / 2 % 4] >> 16 : w[i / 2 % 4] & 0xffff];
    }
}

/* n <= TILE images through noisy converters. */
static void run_noisy(bed *b, const uint32_t *index, int first, int n, float *logits, float *layers, uint32_t *at)
{
    ot_plan  *p = b->plan;
    const int relus = ot_network_relus(b->net), classes = ot_network_classes(b->net);
    must(ot__plan_fill(p, b->data, index, first, n));
    for (int i = 0; i < p->n_steps; i++) {
        const ot_step *s = &p->steps[i];
        must(ot__plan_step(p, i, n, 0, s->relu != NULL));
        if (!s->relu) continue;
        const int    k = s->relu->relu;
        const size_t size = (size_t)s->out.c * (size_t)s->out.h * (size_t)s->out.w;
        must(p->be->i->get(p->be->ctx, b->values, s->out, n, ot__plan_tensor(p, s->dst)));
        disturb(b, b->values, (size_t)n * size, b->now->amount * b->spread[k], at);
        for (int image = 0; image < n; image++) {
            double sum = 0;
            for (size_t j = (size_t)image * size; j < (size_t)(image + 1) * size; j++) sum += b->values[j] = fminf(s->relu->clip, fmaxf(0, b->values[j]));
            if (layers) layers[image * relus + k] = (float)(sum / (double)size);
        }
        must(p->be->i->put(p->be->ctx, ot__plan_tensor(p, s->dst), s->out, n, b->values));
    }
    must(p->be->i->get(p->be->ctx, logits, p->tensors[p->logits].shape, n, ot__plan_tensor(p, p->logits)));
    disturb(b, logits, (size_t)(n * classes), b->now->amount * b->spread[relus], at);
}

void bed_signature(float *out, bed *b, const uint32_t *stimulus, int k)
{
    const int relus = ot_network_relus(b->net), classes = ot_network_classes(b->net);
    uint32_t  shown[TILE], at = 0;
    float    *logits = room((size_t)k * (size_t)classes, sizeof *logits), *layers = room((size_t)(k * relus), sizeof *layers);
    if (k > TILE) exit(2);
    for (int i = 0; i < k; i++) shown[i] = stimulus[b->now->kind == ANOMALY_IMAGES && i < b->now->amount ? (i + 1) % (int)b->now->amount % k : i];
    if (b->now->kind == ANOMALY_NOISE) {
        run_noisy(b, shown, 0, k, logits, layers, &at);
        for (int i = 0; i < k; i++) {
            memcpy(out + i * (relus + classes), layers + i * relus, (size_t)relus * sizeof *out);
            memcpy(out + i * (relus + classes) + relus, logits + i * classes, (size_t)classes * sizeof *out);
        }
    } else must(ot_signature_measure(out, b->plan, b->data, shown, k));
    ot_free(layers);
    ot_free(logits);
}

double bed_accuracy(bed *b, int n)
{
    int64_t  right = 0;
    uint32_t at = 1u << 24;
    if (b->now->kind != ANOMALY_NOISE) {
        must(ot_plan_count(b->plan, b->data, NULL, n, &right, NULL));
        return (double)right / n;
    }
    const int classes = ot_network_classes(b->net);
    float     logits[TILE * MOST_LAYERS];
    for (int first = 0; first < n; first += TILE) {
        const int count = n - first < TILE ? n - first : TILE;
        run_noisy(b, NULL, first, count, logits, NULL, &at);
        for (int i = 0; i < count; i++) right += ot_plan_class(logits + i * classes, classes) == b->data->labels[first + i];
    }
    return (double)right / n;
}

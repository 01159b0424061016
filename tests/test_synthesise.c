/* test_synthesise.c - synthetic images: their losses against finite differences, what comes out; compact sets and AUC against their
 * definitions; the detector. */
#include "kernels/philox.h"
#include "nets.h"

#include <math.h>
#include <string.h>

/* ---- losses ---- */

enum { N = 4, CLASSES = 5 };

static void random_logits(float *logits, double sd)
{
    check_rng r = {17};
    check_fill_normal(&r, logits, N * CLASSES, sd);
}

TEST entropy_losses_have_the_slopes_of_finite_differences(ot_synthesis_loss loss, double diversity, double sd)
{
    float  logits[N * CLASSES], grad[N * CLASSES], unused[N * CLASSES];
    double work[(N + 1) * CLASSES], want[N * CLASSES], got[N * CLASSES];
    random_logits(logits, sd);
    check_poison(grad, N * CLASSES);
    ot_entropy_loss(loss, diversity, logits, N, CLASSES, work, grad);
    for (int i = 0; i < N * CLASSES; i++) {
        const float keep = logits[i], up = keep + 1.0f / 1024, down = keep - 1.0f / 1024;
        logits[i] = up;
        const double above = ot_entropy_loss(loss, diversity, logits, N, CLASSES, work, unused);
        logits[i] = down;
        want[i] = (above - ot_entropy_loss(loss, diversity, logits, N, CLASSES, work, unused)) / ((double)up - (double)down);
        logits[i] = keep;
        got[i] = (double)grad[i];
    }
    CHECK_CLOSE64(want, got, N * CLASSES, /* third derivatives x h^2 / 6, below 10 x 1e-6 / 6 */ 2e-6 * (1 + diversity));
    for (int b = 0; b < N; b++) {                                    /* a shift of all logits changes nothing */
        double sum = 0;
        for (int k = 0; k < CLASSES; k++) sum += got[b * CLASSES + k];
        ASSERT_IN_RANGE(0, sum, /* five floats below 1 */ 5e-7);
    }
    PASS();
}

TEST entropies_of_certain_and_of_even_answers(void)
{
    const float sure[] = {1000, 0, 0, 0, 1000, 0, 0, 0, 1000}, even[] = {7, 7, 7, -3, -3, -3, 0, 0, 0}, same[] = {0, 800, 0, 0, 800, 0, 0, 800, 0};
    double      work[12];
    float       grad[9];
    ASSERT_IN_RANGE(log(3), ot_entropy(even, 3), 1e-15);
    ASSERT_IN_RANGE(0, ot_entropy(sure, 3), 1e-15);
    ASSERT_IN_RANGE(-log(3), ot_entropy_loss(OT_SYNTHESIS_CONFIDENT, 1, sure, 3, 3, work, grad), 1e-15);      /* each its own class */
    ASSERT_IN_RANGE(0, ot_entropy_loss(OT_SYNTHESIS_CONFIDENT, 1, same, 3, 3, work, grad), 1e-15);            /* all one class */
    for (int i = 0; i < 9; i++) ASSERT_IN_RANGE(0, (double)grad[i], 1e-15);                                   /* and underflow gives no NaN */
    ASSERT_IN_RANGE(0, ot_entropy_loss(OT_SYNTHESIS_CONFIDENT, 1, even, 3, 3, work, grad), 1e-15);
    ASSERT_IN_RANGE(log(3) * 0.75, ot_entropy_loss(OT_SYNTHESIS_CONFIDENT, 0.25, even, 3, 3, work, grad), 1e-15);
    ASSERT_IN_RANGE(-log(3), ot_entropy_loss(OT_SYNTHESIS_BOUNDARY, 1, even, 3, 3, work, grad), 1e-15);
    ASSERT_IN_RANGE(0, ot_entropy_loss(OT_SYNTHESIS_BOUNDARY, 1, sure, 3, 3, work, grad), 1e-15);
    PASS();
}

TEST total_variation_has_the_slopes_of_finite_differences(int h, int w)
{
    enum { MOST = 2 * 2 * 5 * 4 };
    const int all = 2 * 2 * h * w;
    float     x[MOST], grad[MOST], unused[MOST] = {0};
    double    want[MOST], got[MOST], sum = 0;
    check_rng r = {8};
    int       pairs = 2 * 2 * (h * (w - 1) + (h - 1) * w);
    for (int i = 0; i < all; i++) x[i] = (float)check_uniform(&r), grad[i] = 3;                  /* it adds */
    const double value = ot_total_variation(x, 2, 2, h, w, 0.7, grad);
    for (int i = 0; i < all; i++) {
        const int   row = i / w % h, column = i % w;
        const float keep = x[i], up = keep + 1.0f / 4096, down = keep - 1.0f / 4096;
        if (column + 1 < w) sum += sqrt(pow((double)x[i + 1] - (double)keep, 2) + 1e-4) - 0.01;
        if (row + 1 < h) sum += sqrt(pow((double)x[i + w] - (double)keep, 2) + 1e-4) - 0.01;
        x[i] = up;
        const double above = ot_total_variation(x, 2, 2, h, w, 0, unused);
        x[i] = down;
        want[i] = 3 + 0.7 * (above - ot_total_variation(x, 2, 2, h, w, 0, unused)) / ((double)up - (double)down);
        x[i] = keep;
        got[i] = (double)grad[i];
    }
    ASSERT_IN_RANGE(pairs ? sum / pairs : 0, value, 1e-12);
    CHECK_CLOSE64(want, got, (size_t)all, /* curvature 1 / e^2, h^2 / 6 of it, over the pairs */ 0.7 * 1e-3 / (pairs ? pairs : 1) + 3e-7);
    PASS();
}

/* ---- images ---- */

static ot_synthesis_options few(ot_synthesis_loss loss, int images, int batch, int steps)
{
    ot_synthesis_options o = ot_synthesis_defaults(loss);
    o.images = images, o.batch = batch, o.steps = steps, o.threads = 1, o.seed = 7;
    return o;
}

static ot_network *net_normalised(int branch)
{
    ot_network *net = net_everything(31, branch);
    float       mean[3] = {0.3f, 0.5f, 0.6f}, std[3] = {0.2f, 0.4f, 0.3f};
    return ot_network_set_normalisation(net, mean, std) == OT_OK ? net : NULL;
}

TEST losses_fall_and_answers_are_as_they_want(const char *backend, ot_synthesis_loss loss)
{
    ot_network          *net = net_normalised(0);
    ot_synthesis_options o = few(loss, 9, 5, 60);
    ot_synthesis        *s = NULL;
    double               mean = 0;
    int                  seen[CLASSES] = {0}, classes = 0;
    OK(ot_synthesise(&s, backend, net, &o, NULL, NULL));
    ASSERT_EQ(60, s->steps);
    OK(ot_data_check(s->images, net));
    ASSERT_EQ(9, s->images->n);
    for (int i = 0; i < 9; i++) mean += s->entropy[i] / 9, seen[s->images->labels[i]] = 1;
    for (int k = 0; k < CLASSES; k++) classes += seen[k];
    ASSERT_LT(s->loss[59], s->loss[0] - 0.2);
    if (loss == OT_SYNTHESIS_CONFIDENT) {
        ASSERT_LT(mean, 0.5 * log(CLASSES));                         /* random weights give small logits */
        ASSERT_GTE(classes, 3);
    } else {
        ASSERT_GT(mean, 0.9 * log(CLASSES));
    }
    ot_synthesis_free(s);
    ot_network_free(net);
    PASS();
}

/* The first loss is that of the noise drawn from (seed, image), and entropies are those of the rounded images. */
TEST images_start_from_the_seeds_noise_and_end_rounded(void)
{
    enum { IMAGES = 5, IMAGE = 3 * 13 * 11, PLANE = 13 * 11 };
    ot_network          *net = net_normalised(1);
    ot_synthesis_options o = few(OT_SYNTHESIS_CONFIDENT, IMAGES, 3, 12);
    ot_plan_options      how = {.tile = IMAGES};
    ot_data             *data = net_data(net, 1, IMAGES, 0);
    ot_synthesis        *s;
    ot_backend          *be;
    ot_plan             *plan;
    float                x[IMAGES * IMAGE], logits[IMAGES * CLASSES], unused[IMAGES * IMAGE] = {0};
    const float         *mean, *std;
    double               work[(IMAGES + 1) * CLASSES], want;
    ot_network_normalisation(net, &mean, &std);
    for (uint32_t i = 0; i < IMAGES * IMAGE; i++) {
        uint32_t word[4];
        ot_philox(&word[0], &word[1], &word[2], &word[3], 7, i % IMAGE / 4, i / IMAGE, 0, OT_PURPOSE_IMAGES);
        x[i] = (float)(((double)word[i % IMAGE % 4] + 0.5) / 4294967296.0);
        data->values[i] = (x[i] - mean[i % IMAGE / PLANE]) / std[i % IMAGE / PLANE];
    }
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_plan_open(&plan, be, net, &how));
    OK(ot_plan_forward(plan, data, NULL, IMAGES, logits, NULL));
    /* batches of 2 and 3 */
    want = (2 * (ot_entropy_loss(o.loss, o.diversity, logits, 2, CLASSES, work, unused) + o.smooth * ot_total_variation(x, 2, 3, 13, 11, 0, unused)) +
            3 * (ot_entropy_loss(o.loss, o.diversity, logits + 2 * CLASSES, 3, CLASSES, work, unused) +
                 o.smooth * ot_total_variation(x + 2 * IMAGE, 3, 3, 13, 11, 0, unused))) / 5;
    OK(ot_synthesise(&s, "ref", net, &o, NULL, NULL));
    ASSERT_IN_RANGE(want, s->loss[0], 1e-12);
    OK(ot_plan_forward(plan, s->images, NULL, IMAGES, logits, NULL));
    for (int i = 0; i < IMAGES; i++) {
        ASSERT_EQ(ot_entropy(logits + i * CLASSES, CLASSES), s->entropy[i]);
        ASSERT_EQ(ot_plan_class(logits + i * CLASSES, CLASSES), s->images->labels[i]);
    }
    ot_synthesis_free(s);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_data_free(data);
    ot_network_free(net);
    PASS();
}

static int same(const ot_synthesis *a, const ot_synthesis *b, int images)
{
    size_t image = (size_t)a->images->c * (size_t)a->images->h * (size_t)a->images->w;
    return !memcmp(a->images->pixels, b->images->pixels, (size_t)images * image) && !memcmp(a->entropy, b->entropy, (size_t)images * sizeof *a->entropy);
}

TEST threads_change_nothing_and_the_seed_does(const char *backend)
{
    ot_network          *net = net_normalised(0);
    ot_synthesis_options o = few(OT_SYNTHESIS_BOUNDARY, 8, 2, 15);
    ot_synthesis        *a, *b, *c;
    OK(ot_synthesise(&a, backend, net, &o, NULL, NULL));
    o.threads = 3;
    OK(ot_synthesise(&b, backend, net, &o, NULL, NULL));
    o.seed = 8;
    OK(ot_synthesise(&c, backend, net, &o, NULL, NULL));
    ASSERT(same(a, b, 8));
    ASSERT_MEM_EQ(a->loss, b->loss, 15 * sizeof *a->loss);
    ASSERT(!same(a, c, 8));
    ot_synthesis_free(a), ot_synthesis_free(b), ot_synthesis_free(c);
    ot_network_free(net);
    PASS();
}

typedef struct told { int calls, last, stop_at; } told;
static ot_status listen(void *user, int done, int steps, double loss)
{
    told *t = user;
    t->calls++;
    t->last = done;
    return !isfinite(loss) || steps != 25 ? OT_E_BUG : done == t->stop_at ? OT_E_LOCKED : OT_OK;
}

TEST progress_is_told_and_can_end_it(void)
{
    ot_network          *net = net_normalised(0);
    ot_synthesis_options o = few(OT_SYNTHESIS_BOUNDARY, 2, 2, 25);
    ot_synthesis        *s = NULL;
    told                 t = {0, 0, 0};
    OK(ot_synthesise(&s, "ref", net, &o, listen, &t));
    ASSERT(t.calls == 3 && t.last == 25);
    ot_synthesis_free(s);
    t = (told){0, 0, 20};
    ASSERT_EQ(OT_E_LOCKED, ot_synthesise(&s, "ref", net, &o, listen, &t));
    ASSERT(t.calls == 2 && t.last == 20);
    ot_network_free(net);
    PASS();
}

TEST synthesis_refuses_what_it_cannot_do(void)
{
    ot_network          *net = net_normalised(0);
    ot_synthesis_options o = few(OT_SYNTHESIS_CONFIDENT, 2, 2, 2);
    ot_synthesis_loss    loss;
    ot_synthesis        *s;
#define REFUSED(FIELD, VALUE, WORDS)                                                       \
    do {                                                                                   \
        ot_synthesis_options bad = o;                                                      \
        bad.FIELD = VALUE;                                                                 \
        FAILS(OT_E_RANGE, WORDS, ot_synthesise(&s, "ref", net, &bad, NULL, NULL));         \
    } while (0)
    REFUSED(loss, (ot_synthesis_loss)2, "loss = 2");
    REFUSED(images, 0, "images = 0");
    REFUSED(batch, 0, "batch = 0");
    REFUSED(steps, 0, "steps = 0");
    REFUSED(lr, NAN, "lr = nan");
    REFUSED(diversity, -1, "diversity = -1");
    REFUSED(smooth, NAN, "smooth = nan");
    REFUSED(threads, -1, "threads = -1");
#undef REFUSED
    OK(ot_synthesis_loss_parse(&loss, "boundary"));
    ASSERT_EQ(OT_SYNTHESIS_BOUNDARY, loss);
    FAILS(OT_E_USAGE, "'sharp', want confident or boundary", ot_synthesis_loss_parse(&loss, "sharp"));
    FAILS(OT_E_BACKEND, "abacus", ot_synthesise(&s, "abacus", net, &o, NULL, NULL));
    float *w = ot_network_weights(net, ot_network_crossbar(net, 0)->crossbar >= 0 ? 1 : 0);
    for (int i = 0; i < 27; i++) w[i] = INFINITY;
    FAILS(OT_E_DATA, "synthetic image 0, step 0", ot_synthesise(&s, "ref", net, &o, NULL, NULL));
    ot_synthesis_free(NULL);
    ot_network_free(net);
    PASS();
}

/* ---- compact sets, by their definitions ---- */

enum { CHIPS = 9, IMAGES = 6, Q = 3, D = IMAGES * Q };

typedef struct population { float responses[CHIPS * IMAGES * Q]; uint8_t good[CHIPS]; } population;

/* Number 0 is large, number 2 never varies; image 4 repeats image 1. */
static population made_up(void)
{
    population p;
    check_rng  r = {5};
    for (int i = 0; i < CHIPS; i++) {
        p.good[i] = i % 4 != 1;
        double weak = p.good[i] ? 0 : 1.5;
        for (int m = 0; m < IMAGES; m++) {
            float *at = p.responses + (i * IMAGES + m) * Q;
            at[0] = (float)(1000 + 100 * check_normal(&r) * (m + 1) + 60 * weak), at[1] = (float)(check_normal(&r) + weak), at[2] = 5;
        }
        memcpy(p.responses + (i * IMAGES + 4) * Q, p.responses + (i * IMAGES + 1) * Q, Q * sizeof(float));
    }
    return p;
}

/* Scaled by spreads over the rows that count, centre not taken off. */
static void scaled(double *x, const population *p, const uint8_t *counts, double noise)
{
    for (int j = 0; j < Q; j++) {
        double squares = 0;
        int    n = 0;
        for (int i = 0; i < CHIPS; i++) n += counts[i] != 0;
        for (int m = 0; m < IMAGES; m++) {
            double mean = 0;
            for (int i = 0; i < CHIPS; i++) mean += counts[i] ? (double)p->responses[(i * IMAGES + m) * Q + j] / n : 0;
            for (int i = 0; i < CHIPS; i++) squares += counts[i] ? pow((double)p->responses[(i * IMAGES + m) * Q + j] - mean, 2) : 0;
        }
        double spread = sqrt(squares / (n - 1) / IMAGES);
        for (int i = 0; i < CHIPS; i++)
            for (int m = 0; m < IMAGES; m++) x[i * D + m * Q + j] = spread > 1e-12 ? (double)p->responses[(i * IMAGES + m) * Q + j] / spread / noise : 0;
    }
}

/* I + covariance of the chosen columns over the rows that count, and their mean. */
static void covariance(double *a, double *mean, const double *x, const uint8_t *counts, const int *columns, int d)
{
    int n = 0;
    for (int i = 0; i < CHIPS; i++) n += counts[i] != 0;
    for (int c = 0; c < d; c++) {
        mean[c] = 0;
        for (int i = 0; i < CHIPS; i++) mean[c] += counts[i] ? x[i * D + columns[c]] / n : 0;
    }
    for (int c = 0; c < d; c++)
        for (int e = 0; e < d; e++) {
            a[c * d + e] = c == e;
            for (int i = 0; i < CHIPS; i++)
                if (counts[i]) a[c * d + e] += (x[i * D + columns[c]] - mean[c]) * (x[i * D + columns[e]] - mean[e]) / (n - 1);
        }
}

/* Gauss without pivoting (positive definite): log det, and y' A^-1 y in *d2 if y is given. */
static double eliminate(double *a, int d, double *y, double *d2)
{
    double log_det = 0;
    if (y) *d2 = 0;
    for (int c = 0; c < d; c++) {
        log_det += log(a[c * d + c]);
        if (y) *d2 += y[c] * y[c] / a[c * d + c];
        for (int e = c + 1; e < d; e++) {
            double f = a[e * d + c] / a[c * d + c];
            for (int k = c; k < d; k++) a[e * d + k] -= f * a[c * d + k];
            if (y) y[e] -= f * y[c];
        }
    }
    return log_det;
}

static int columns_of(int *columns, const int *chosen, int k)
{
    for (int s = 0; s < k; s++)
        for (int j = 0; j < Q; j++) columns[s * Q + j] = chosen[s] * Q + j;
    return k * Q;
}

TEST logdet_adds_the_image_that_tells_most(double noise)
{
    population p = made_up();
    double     x[CHIPS * D], a[D * D], mean[D], gain[IMAGES], before = 0;
    uint8_t    all[CHIPS];
    int        chosen[IMAGES] = {-1, -1, -1, -1, -1, -1}, columns[D];
    memset(all, 1, sizeof all);
    scaled(x, &p, all, noise);
    OK(ot_compact_logdet(chosen, gain, p.responses, CHIPS, IMAGES, Q, IMAGES, noise));
    for (int step = 0, used[IMAGES] = {0}; step < IMAGES; step++) {
        int    best = -1, try[IMAGES];
        double most = 0;
        memcpy(try, chosen, sizeof try);
        for (int m = 0; m < IMAGES; m++) {
            if (used[m]) continue;
            try[step] = m;
            int d = columns_of(columns, try, step + 1);
            covariance(a, mean, x, all, columns, d);
            double value = eliminate(a, d, NULL, NULL);
            if (best < 0 || value > most + 1e-9) best = m, most = value;
        }
        ASSERT_EQ(best, chosen[step]);
        ASSERT_IN_RANGE(most - before, gain[step], /* 18 columns' worth of roundings, condition 1e4 */ 1e-8);
        used[best] = 1;
        before = most;
    }
    PASS();
}

/* The distances of ot_compact_auc, from scratch: a good chip is left out of centre and covariance (whose ridge then weighs 1 / (g - 2)). */
static void by_definition(double *d2, const population *p, const double *x, const int *columns, int d)
{
    for (int i = 0; i < CHIPS; i++) {
        double  a[D * D], mean[D], y[D];
        uint8_t counts[CHIPS];
        int     g = 0;
        memcpy(counts, p->good, sizeof counts);
        counts[i] = 0;
        for (int k = 0; k < CHIPS; k++) g += p->good[k] != 0;
        covariance(a, mean, x, counts, columns, d);
        if (p->good[i])
            for (int c = 0; c < d; c++) a[c * d + c] += (double)(g - 1) / (g - 2) - 1;
        for (int c = 0; c < d; c++) y[c] = x[i * D + columns[c]] - mean[c];
        eliminate(a, d, y, &d2[i]);
    }
}

static double pairs_auc(const double *score, const uint8_t *good, int n)
{
    double wins = 0, pairs = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (!good[i] && good[j]) pairs++, wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
    return wins / pairs;
}

TEST auc_adds_the_image_that_finds_most_bad_chips(double noise)
{
    population p = made_up();
    double     x[CHIPS * D], d2[CHIPS], auc[IMAGES];
    int        chosen[IMAGES] = {-1, -1, -1, -1, -1, -1}, columns[D];
    scaled(x, &p, p.good, noise);
    OK(ot_compact_auc(chosen, auc, p.responses, p.good, CHIPS, IMAGES, Q, 4, noise));
    ASSERT_EQ(-1, chosen[4]);
    for (int step = 0, used[IMAGES] = {0}; step < 4; step++) {
        int    best = -1, try[IMAGES];
        double most = 0, wide = 0;
        memcpy(try, chosen, sizeof try);
        for (int m = 0; m < IMAGES; m++) {
            if (used[m]) continue;
            double gap[2] = {0, 0};
            try[step] = m;
            int d = columns_of(columns, try, step + 1), g = 0;
            by_definition(d2, &p, x, columns, d);
            for (int i = 0; i < CHIPS; i++) g += p.good[i], gap[p.good[i]] += log(d2[i]);
            double value = pairs_auc(d2, p.good, CHIPS), between = gap[0] / (CHIPS - g) - gap[1] / g;
            if (best < 0 || value > most || (value == most && between > wide + 1e-9)) best = m, most = value, wide = between;
        }
        ASSERT_EQ(best, chosen[step]);
        ASSERT_EQ(most, auc[step]);
        used[best] = 1;
    }
    PASS();
}

TEST auc_counts_pairs_and_shares_ties(void)
{
    double    score[40], out;
    uint8_t   good[40];
    check_rng r = {3};
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 0; i < 40; i++) good[i] = check_uniform(&r) < 0.6, score[i] = floor(check_uniform(&r) * (turn + 1)) + (turn % 2 ? 0 : check_uniform(&r));
        OK(ot_auc(&out, score, good, 40));
        ASSERT_EQ(pairs_auc(score, good, 40), out);
    }
    const double  nan_is_far[] = {1, NAN, 2, INFINITY};
    const uint8_t g[] = {1, 0, 1, 0};
    OK(ot_auc(&out, nan_is_far, g, 4));
    ASSERT_EQ(1, out);
    OK(ot_auc(&out, nan_is_far, g, 1));
    ASSERT(isnan(out));
    PASS();
}

TEST rates_are_shares_of_all_chips(void)
{
    const double  d[] = {1, 2, 3, 4, 5, 6, NAN, 0.5};
    const uint8_t good[] = {1, 1, 0, 1, 0, 0, 0, 1};
    ot_rates      r;
    OK(ot_detector_rates(&r, d, good, 8, 3));                        /* 3 itself passes */
    ASSERT(r.chips == 8 && r.bad == 4);
    ASSERT_EQ(1.0 / 8, r.escape);
    ASSERT_EQ(1.0 / 8, r.overkill);
    ASSERT_EQ(6.0 / 8, r.accuracy);
    ASSERT_EQ(15.0 / 16, r.auc);
    FAILS(OT_E_RANGE, "rates of 0 chips", ot_detector_rates(&r, d, good, 0, 3));
    PASS();
}

TEST chosen_images_are_gathered_in_their_order(void)
{
    population p = made_up();
    float      got[CHIPS * 2 * Q + 1];
    const int  chosen[] = {5, 0};
    check_poison(got, CHIPS * 2 * Q + 1);
    ot_compact_gather(got, p.responses, CHIPS, IMAGES, Q, chosen, 2);
    for (int i = 0; i < CHIPS; i++)
        for (int j = 0; j < Q; j++) {
            ASSERT_EQ(p.responses[(i * IMAGES + 5) * Q + j], got[(i * 2 + 0) * Q + j]);
            ASSERT_EQ(p.responses[(i * IMAGES + 0) * Q + j], got[(i * 2 + 1) * Q + j]);
        }
    ASSERT(isnan(got[CHIPS * 2 * Q]));
    PASS();
}

TEST compact_sets_refuse_what_they_cannot_do(void)
{
    population p = made_up();
    int        chosen[IMAGES];
    uint8_t    none[CHIPS] = {1, 1, 0, 0, 0, 0, 0, 0, 0};
    FAILS(OT_E_RANGE, "7 images, want 1..6", ot_compact_logdet(chosen, NULL, p.responses, CHIPS, IMAGES, Q, 7, 0.1));
    FAILS(OT_E_RANGE, "0 images, want 1..6", ot_compact_auc(chosen, NULL, p.responses, p.good, CHIPS, IMAGES, Q, 0, 0.1));
    FAILS(OT_E_RANGE, "noise = 0", ot_compact_logdet(chosen, NULL, p.responses, CHIPS, IMAGES, Q, 2, 0));
    FAILS(OT_E_RANGE, "responses of 1 chips", ot_compact_logdet(chosen, NULL, p.responses, 1, IMAGES, Q, 2, 0.1));
    FAILS(OT_E_RANGE, "2 good chips and 7 bad", ot_compact_auc(chosen, NULL, p.responses, none, CHIPS, IMAGES, Q, 2, 0.1));
    memset(none, 1, sizeof none);
    FAILS(OT_E_RANGE, "9 good chips and 0 bad", ot_compact_auc(chosen, NULL, p.responses, none, CHIPS, IMAGES, Q, 2, 0.1));
    p.responses[(2 * IMAGES + 3) * Q + 1] = NAN;
    FAILS(OT_E_DATA, "chip 2 to image 3: number 1", ot_compact_logdet(chosen, NULL, p.responses, CHIPS, IMAGES, Q, 2, 0.1));
    memset(p.responses, 0, sizeof p.responses);
    FAILS(OT_E_DATA, "do not vary", ot_compact_logdet(chosen, NULL, p.responses, CHIPS, IMAGES, Q, 2, 0.1));
    PASS();
}

/* ---- the detector ---- */

TEST the_detector_learns_from_good_chips_alone(void)
{
    enum { CHIPS_SEEN = 240, S = 12 };
    static float x[2][CHIPS_SEEN * S];
    static double d[CHIPS_SEEN];
    uint8_t      good[CHIPS_SEEN];
    check_rng    r = {12};
    ot_detector  one, two;
    ot_rates     rates;
    for (int set = 0; set < 2; set++)
        for (int i = 0; i < CHIPS_SEEN; i++) {
            const double factor = check_normal(&r), weak = i % 3 == 2 ? 4 : 0;
            good[i] = i % 3 != 2;
            for (int j = 0; j < S; j++) x[set][i * S + j] = (float)(10 * j + factor * (j % 4) + 0.3 * check_normal(&r) + weak * (j % 2));
        }
    OK(ot_detector_fit(&one, x[0], good, CHIPS_SEEN, S, NULL));
    OK(ot_detector_distances(d, &one, x[1], CHIPS_SEEN));
    OK(ot_detector_rates(&rates, d, good, CHIPS_SEEN, one.screen.threshold));
    ASSERT_GT(rates.auc, 0.999);                                     /* the bad lie 4 / 0.3 sd off in six numbers */
    ASSERT_EQ(0, rates.escape);
    ASSERT_LTE(rates.overkill, 0.05);                                /* aimed at: 0.01 of 160; 8 or more of 160 at 1 %: 3e-4 */
    for (int i = 0; i < CHIPS_SEEN; i++)
        for (int j = 0; j < S && !good[i]; j++) x[0][i * S + j] = NAN;             /* bad chips are not looked at */
    OK(ot_detector_fit(&two, x[0], good, CHIPS_SEEN, S, NULL));
    ASSERT_EQ(one.screen.threshold, two.screen.threshold);
    ot_detector_free(&one), ot_detector_free(&two);
    memset(good, 0, sizeof good);
    good[0] = good[9] = 1;
    FAILS(OT_E_RANGE, "2 good chips of 240", ot_detector_fit(&one, x[0], good, CHIPS_SEEN, S, NULL));
    PASS();
}

/* ---- allocation ---- */

TEST allocation_failures_in_synthesis_are_survived(void)
{
    ot_network          *net = net_normalised(0);
    ot_synthesis_options o = few(OT_SYNTHESIS_CONFIDENT, 3, 2, 2);
    size_t               before = ot_memory_now().live;
    int                  failed = 0;
    for (size_t n = 1;; n++) {
        ot_synthesis *s = NULL;
        ot_memory_fail_at(n);
        ot_status st = ot_synthesise(&s, "cpu", net, &o, NULL, NULL);
        ot_memory_fail_at(0);
        if (st == OT_OK) ot_synthesis_free(s);
        ASSERT_EQ(before, ot_memory_now().live);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        failed++;
    }
    ASSERT(failed >= 12);
    ot_network_free(net);
    PASS();
}

TEST allocation_failures_in_compact_sets_are_survived(void)
{
    population p = made_up();
    size_t     before = ot_memory_now().live;
    for (int which = 0; which < 2; which++)
        for (size_t n = 1, done = 0; !done; n++) {
            int chosen[3];
            ot_memory_fail_at(n);
            ot_status st = which ? ot_compact_auc(chosen, NULL, p.responses, p.good, CHIPS, IMAGES, Q, 3, 0.1)
                                 : ot_compact_logdet(chosen, NULL, p.responses, CHIPS, IMAGES, Q, 3, 0.1);
            ot_memory_fail_at(0);
            ASSERT_EQ(before, ot_memory_now().live);
            done = st == OT_OK;
            if (!done) ASSERT_EQ(OT_E_NOMEM, st);
            else ASSERT_GTE(n, 12);
        }
    PASS();
}

TEST allocation_failures_in_the_detector_are_survived(void)
{
    enum { CHIPS_SEEN = 24, S = 4 };
    float             x[CHIPS_SEEN * S];
    double            distance[CHIPS_SEEN];
    uint8_t           good[CHIPS_SEEN];
    check_rng         r = {2};
    ot_screen_options opt = ot_screen_defaults(OT_SCREEN_MRCD);
    size_t            before = ot_memory_now().live;
    opt.folds = 2, opt.threads = 1;
    check_fill_normal(&r, x, CHIPS_SEEN * S, 1);
    for (int i = 0; i < CHIPS_SEEN; i++) good[i] = i % 6 != 5;
    for (size_t n = 1, done = 0; !done; n++) {
        ot_detector d;
        ot_memory_fail_at(n);
        ot_status st = ot_detector_fit(&d, x, good, CHIPS_SEEN, S, &opt);
        if (st == OT_OK) {
            st = ot_detector_distances(distance, &d, x, CHIPS_SEEN);
            ot_detector_free(&d);
        }
        ot_memory_fail_at(0);
        ASSERT_EQ(before, ot_memory_now().live);
        done = st == OT_OK;
        if (!done) ASSERT_EQ(OT_E_NOMEM, st);
        else ASSERT_GTE(n, 4);
    }
    PASS();
}

SUITE(test_synthesise)
{
    const char *be;
    for (int k = 0; k < 3; k++) {
        static const double sd[] = {0.1, 1, 8};
        char                text[32];
        snprintf(text, sizeof text, "sd_%g", sd[k]);
        greatest_set_test_suffix(text);
        RUN_TESTp(entropy_losses_have_the_slopes_of_finite_differences, OT_SYNTHESIS_CONFIDENT, 1.5, sd[k]);
        greatest_set_test_suffix(text);
        RUN_TESTp(entropy_losses_have_the_slopes_of_finite_differences, OT_SYNTHESIS_BOUNDARY, 1.5, sd[k]);
    }
    RUN_TEST(entropies_of_certain_and_of_even_answers);
    RUN_TESTp(total_variation_has_the_slopes_of_finite_differences, 5, 4);
    greatest_set_test_suffix("one_row");
    RUN_TESTp(total_variation_has_the_slopes_of_finite_differences, 1, 4);
    greatest_set_test_suffix("one_pixel");
    RUN_TESTp(total_variation_has_the_slopes_of_finite_differences, 1, 1);
    RUN_TEST(images_start_from_the_seeds_noise_and_end_rounded);
    RUN_TEST(progress_is_told_and_can_end_it);
    RUN_TEST(synthesis_refuses_what_it_cannot_do);
    for (int i = 0; (be = net_backend(i)); i++) {
        for (int loss = 0; loss < OT_SYNTHESIS_LOSSES; loss++) {
            char text[64];
            snprintf(text, sizeof text, "%s_%s", be, ot_synthesis_loss_name((ot_synthesis_loss)loss));
            greatest_set_test_suffix(text);
            RUN_TESTp(losses_fall_and_answers_are_as_they_want, be, (ot_synthesis_loss)loss);
        }
        greatest_set_test_suffix(be);
        RUN_TESTp(threads_change_nothing_and_the_seed_does, be);
    }
    for (int k = 0; k < 2; k++) {
        greatest_set_test_suffix(k ? "much_noise" : "");
        RUN_TESTp(logdet_adds_the_image_that_tells_most, k ? 1.0 : 0.1);
        greatest_set_test_suffix(k ? "much_noise" : "");
        RUN_TESTp(auc_adds_the_image_that_finds_most_bad_chips, k ? 1.0 : 0.1);
    }
    RUN_TEST(auc_counts_pairs_and_shares_ties);
    RUN_TEST(rates_are_shares_of_all_chips);
    RUN_TEST(chosen_images_are_gathered_in_their_order);
    RUN_TEST(compact_sets_refuse_what_they_cannot_do);
    RUN_TEST(the_detector_learns_from_good_chips_alone);
    RUN_TEST(allocation_failures_in_synthesis_are_survived);
    RUN_TEST(allocation_failures_in_compact_sets_are_survived);
    RUN_TEST(allocation_failures_in_the_detector_are_survived);
}

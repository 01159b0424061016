/* compact.c - which few of many candidate images: greedy forward selection on the responses of simulated chips.
 *
 * Responses (chips, images, q) are centred and divided by (spread of number j) x noise, so that noise has variance 1.  Both criteria only
 * need products between chips, so they work on chips x chips matrices, however many numbers the chosen images give:
 *
 *     logdet   log det(I + sum Z Z'), Z (chips, q) an image's responses / sqrt(chips - 1).  With I + ... = L L', image j adds
 *              log det(I_q + V'V), V = L^-1 Z_j; taking it is q rank-one updates of L.
 *     auc      d2(y) = y' (S / (g - 1) + I)^-1 y with S over the g good chips, = (g - 1) (k_yy - |L^-1 k_y|^2) / c with c = g - 1, L L' =
 *              cI + K, K = products of good chips, k_y those with y.  A good chip i left out: h = 1 - c (cI + K)^-1_ii, and
 *              d2 = (g - 2) (g / (g - 1))^2 h / (1 - g h / (g - 1)), which is exact (the matrix loses one rank, the centre moves along it). */
#include "base/fail.h"
#include "ohmtrim/synthesise.h"

#include <math.h>
#include <string.h>

typedef struct compact {
    const float *responses;
    int          chips, images, q, g;  /* g good chips; they come first in `row` */
    double       noise;
    int         *row;                  /* (chips) */
    double      *scale;                /* (q) 1 / (spread x noise), 0 where nothing varies */
    double      *z;                    /* (chips, q) the image under test */
    double      *v;                    /* (chips, q), logdet */
    double      *small;                /* (q, q), logdet */
    double      *sum;                  /* (chips, chips): logdet: L.  auc: products of the chosen images */
    double      *trial;                /* (chips, chips), auc: with one more image */
    double      *factor;               /* (g, g), auc */
    double      *line;                 /* (chips) */
    double      *d2;                   /* (chips), auc */
    uint8_t     *taken, *is_good;      /* (images), (chips: in row order) */
} compact;

/* ---- responses ---- */

static double response(const compact *c, int chip, int image, int j)
{
    return (double)c->responses[((size_t)c->row[chip] * (size_t)c->images + (size_t)image) * (size_t)c->q + (size_t)j];
}

/* Sum of squares around the mean of the first n rows. */
static double around(const compact *c, int image, int j, int n, double *mean)
{
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < n; i++) sum += response(c, i, image, j);
    *mean = sum / n;
    for (int i = 0; i < n; i++) squares += (response(c, i, image, j) - *mean) * (response(c, i, image, j) - *mean);
    return squares;
}

/* Root mean square over images of the sd over the first n rows, for each of the q. */
static ot_status set_scale(compact *c, int n)
{
    double mean;
    int    varies = 0;
    for (int j = 0; j < c->q; j++) {
        double sum = 0.0;
        for (int m = 0; m < c->images; m++) sum += around(c, m, j, n, &mean);
        const double spread = sqrt(sum / ((double)(n - 1) * c->images));
        c->scale[j] = spread >= 1e-12 ? 1.0 / (spread * c->noise) : 0.0;
        varies |= spread >= 1e-12;
    }
    if (!varies) OT_FAIL(OT_E_DATA, "responses of %d chips to %d images do not vary at all", n, c->images);
    return OT_OK;
}

/* z of one image, centred over the first n rows, times `share`. */
static void load(compact *c, int image, int n, double share)
{
    double mean;
    for (int j = 0; j < c->q; j++) {
        around(c, image, j, n, &mean);
        for (int i = 0; i < c->chips; i++) c->z[(size_t)i * (size_t)c->q + (size_t)j] = (response(c, i, image, j) - mean) * c->scale[j] * share;
    }
}

/* Eight sums side by side, then joined: an order as fixed as any, and eight times as fast as one. */
static double dot(const double *a, const double *b, int n)
{
    double s[8] = {0}, rest = 0.0;
    int    i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) s[k] += a[i + k] * b[i + k];
    for (; i < n; i++) rest += a[i] * b[i];
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + rest;
}

/* Cholesky in place, lower triangle of (n, n) with rows of `stride`; 0 if it is not positive definite. */
static int cholesky(double *a, int n, int stride)
{
    for (int i = 0; i < n; i++) {
        double *ai = a + (size_t)i * (size_t)stride;
        for (int j = 0; j <= i; j++) {
            const double *aj = a + (size_t)j * (size_t)stride;
            const double  s = ai[j] - dot(ai, aj, j);
            if (j < i) ai[j] = s / aj[j];
            else if (s > 0.0) ai[i] = sqrt(s);
            else return 0;
        }
    }
    return 1;
}

/* ---- logdet ---- */

/* L <- the factor of L L' + x x'; x is used up. */
static void update(double *l, double *x, int n)
{
    for (int k = 0; k < n; k++) {
        double *diagonal = &l[(size_t)k * (size_t)n + (size_t)k];
        const double r = sqrt(*diagonal * *diagonal + x[k] * x[k]), co = r / *diagonal, si = x[k] / *diagonal;
        *diagonal = r;
        for (int i = k + 1; i < n; i++) {
            double *e = &l[(size_t)i * (size_t)n + (size_t)k];
            *e = (*e + si * x[i]) / co;
            x[i] = co * x[i] - si * *e;
        }
    }
}

/* What the loaded image adds. */
static double gain_of(compact *c)
{
    const int q = c->q;
    double    log_det = 0.0;
    for (int i = 0; i < c->chips; i++) {                             /* V = L^-1 Z, row after row */
        const double *li = c->sum + (size_t)i * (size_t)c->chips;
        double       *vi = c->v + (size_t)i * (size_t)q;
        memcpy(vi, c->z + (size_t)i * (size_t)q, (size_t)q * sizeof *vi);
        for (int k = 0; k < i; k++)
            for (int j = 0; j < q; j++) vi[j] -= li[k] * c->v[(size_t)k * (size_t)q + (size_t)j];
        for (int j = 0; j < q; j++) vi[j] /= li[i];
    }
    memset(c->small, 0, (size_t)q * (size_t)q * sizeof *c->small);
    for (int i = 0; i < c->chips; i++) {
        const double *vi = c->v + (size_t)i * (size_t)q;
        for (int a = 0; a < q; a++)
            for (int b = 0; b <= a; b++) c->small[a * q + b] += vi[a] * vi[b];
    }
    for (int a = 0; a < q; a++) c->small[a * q + a] += 1.0;
    if (!cholesky(c->small, q, q)) return -INFINITY;                 /* 1 + a square: only past 1e308 */
    for (int a = 0; a < q; a++) log_det += 2.0 * log(c->small[a * q + a]);
    return log_det;
}

static void take(compact *c)
{
    for (int j = 0; j < c->q; j++) {
        for (int i = 0; i < c->chips; i++) c->line[i] = c->z[(size_t)i * (size_t)c->q + (size_t)j];
        update(c->sum, c->line, c->chips);
    }
}

/* ---- auc ---- */

/* Products of the loaded image added to those chosen: all chips with the good ones, and each with itself. */
static void add_products(const compact *c, double *to)
{
    const size_t n = (size_t)c->chips;
    for (int i = 0; i < c->chips; i++) {
        const double *zi = c->z + (size_t)i * (size_t)c->q;
        for (int k = 0; k < c->g && k <= i; k++) to[(size_t)i * n + (size_t)k] = c->sum[(size_t)i * n + (size_t)k] + dot(zi, c->z + (size_t)k * (size_t)c->q, c->q);
        if (i >= c->g) to[(size_t)i * n + (size_t)i] = c->sum[(size_t)i * n + (size_t)i] + dot(zi, zi, c->q);
    }
}

/* (cI + K)^-1's diagonal: column after column of L^-1, squares summed. */
static void inverse_diagonal(const double *l, int n, double *column, double *out)
{
    for (int k = 0; k < n; k++) {
        double sum = 0.0;
        for (int i = k; i < n; i++) {
            column[i] = ((i == k) - dot(l + (size_t)i * (size_t)n + k, column + k, i - k)) / l[(size_t)i * (size_t)n + (size_t)i];
            sum += column[i] * column[i];
        }
        out[k] = sum;
    }
}

static ot_status distances(compact *c)
{
    const int    g = c->g;
    const size_t n = (size_t)c->chips, gs = (size_t)g;
    const double ridge = g - 1, ratio = (double)g / (g - 1);
    for (size_t i = 0; i < gs; i++) {
        memcpy(c->factor + i * gs, c->trial + i * n, (i + 1) * sizeof(double));
        c->factor[i * gs + i] += ridge;
    }
    if (!cholesky(c->factor, g, g)) OT_FAIL(OT_E_DATA, "responses are too large to compare: products of chips are not finite");
    inverse_diagonal(c->factor, g, c->line, c->d2);
    for (int i = 0; i < g; i++) {
        const double h = 1.0 - ridge * c->d2[i], left = 1.0 - ratio * h;
        c->d2[i] = (g - 2) * ratio * ratio * (h > 0.0 ? h : 0.0) / (left > 1e-300 ? left : 1e-300);
    }
    for (size_t i = gs; i < n; i++) {
        const double *k = c->trial + i * n;
        double        rest = k[i];
        for (int a = 0; a < g; a++) {
            c->line[a] = (k[a] - dot(c->factor + (size_t)a * gs, c->line, a)) / c->factor[(size_t)a * gs + (size_t)a];
            rest -= c->line[a] * c->line[a];
        }
        c->d2[i] = rest > 0.0 ? rest : 0.0;                          /* (g - 1) / c = 1 */
    }
    return OT_OK;
}

static double gap(const compact *c)
{
    double good = 0.0, bad = 0.0;
    for (int i = 0; i < c->chips; i++) *(i < c->g ? &good : &bad) += log(c->d2[i] + 1e-300);
    return bad / (c->chips - c->g) - good / c->g;
}

/* ---- both ---- */

static ot_status check(const float *responses, int chips, int images, int q, int k, double noise)
{
    if (chips < 2 || images < 1 || q < 1 || q > 46340) OT_FAIL(OT_E_RANGE, "responses of %d chips to %d images, %d numbers each: want 2, 1, 1..46340 or more", chips, images, q);
    if (k < 1 || k > images) OT_FAIL(OT_E_RANGE, "a compact set of %d images, want 1..%d (the candidates)", k, images);
    if (!(noise > 0 && noise <= 1000)) OT_FAIL(OT_E_RANGE, "noise = %g spreads, want above 0, at most 1000", noise);
    for (size_t i = 0, n = (size_t)chips * (size_t)images * (size_t)q; i < n; i++)
        if (!isfinite(responses[i]))
            OT_FAIL(OT_E_DATA, "response of chip %zu to image %zu: number %zu is %g", i / (size_t)q / (size_t)images, i / (size_t)q % (size_t)images, i % (size_t)q, (double)responses[i]);
    return OT_OK;
}

static void close_compact(compact *c)
{
    ot_free(c->is_good), ot_free(c->taken), ot_free(c->d2), ot_free(c->line), ot_free(c->factor), ot_free(c->trial), ot_free(c->sum);
    ot_free(c->small), ot_free(c->v), ot_free(c->z), ot_free(c->scale), ot_free(c->row);
}

static ot_status open_compact(compact *c, int auc)
{
    const size_t n = (size_t)c->chips, q = (size_t)c->q, g = (size_t)c->g;
    c->row = ot_alloc(n, sizeof *c->row);
    c->scale = ot_alloc(q, sizeof *c->scale);
    c->z = ot_alloc(n * q, sizeof *c->z);
    c->v = ot_alloc(auc ? 0 : n * q, sizeof *c->v);
    c->small = ot_alloc(auc ? 0 : q * q, sizeof *c->small);
    c->sum = ot_alloc(n * n, sizeof *c->sum);
    c->trial = ot_alloc(auc ? n * n : 0, sizeof *c->trial);
    c->factor = ot_alloc(auc ? g * g : 0, sizeof *c->factor);
    c->line = ot_alloc(n, sizeof *c->line);
    c->d2 = ot_alloc(n, sizeof *c->d2);
    c->taken = ot_alloc((size_t)c->images, 1);
    c->is_good = ot_alloc(n, 1);
    if (!c->row || !c->scale || !c->z || !c->v || !c->small || !c->sum || !c->trial || !c->factor || !c->line || !c->d2 || !c->taken || !c->is_good)
        OT_NOMEM("compact set", n * n * sizeof *c->sum);
    return OT_OK;
}

ot_status ot_compact_logdet(int *chosen, double *gain, const float *responses, int chips, int images, int q, int k, double noise)
{
    compact   c = {.responses = responses, .chips = chips, .images = images, .q = q, .g = chips, .noise = noise};
    ot_status st = OT_OK;
    OT_TRY(check(responses, chips, images, q, k, noise));
    OT_TRY_TO(done, st, open_compact(&c, 0));
    for (int i = 0; i < chips; i++) c.row[i] = i, c.sum[(size_t)i * (size_t)chips + (size_t)i] = 1.0;
    OT_TRY_TO(done, st, set_scale(&c, chips));
    for (int step = 0; step < k; step++) {
        int    best = -1;
        double most = 0.0;
        for (int m = 0; m < images; m++) {
            if (c.taken[m]) continue;
            load(&c, m, chips, 1.0 / sqrt(chips - 1.0));
            const double value = gain_of(&c);
            if (best < 0 || value > most) best = m, most = value;
        }
        load(&c, best, chips, 1.0 / sqrt(chips - 1.0));
        take(&c);
        c.taken[best] = 1;
        chosen[step] = best;
        if (gain) gain[step] = most;
    }
done:
    close_compact(&c);
    return st;
}

ot_status ot_compact_auc(int *chosen, double *auc, const float *responses, const uint8_t *good, int chips, int images, int q, int k, double noise)
{
    compact   c = {.responses = responses, .chips = chips, .images = images, .q = q, .noise = noise};
    ot_status st = OT_OK;
    OT_TRY(check(responses, chips, images, q, k, noise));
    for (int i = 0; i < chips; i++) c.g += good[i] != 0;
    if (c.g < 3 || c.g == chips) OT_FAIL(OT_E_RANGE, "%d good chips and %d bad ones, want at least 3 and 1", c.g, chips - c.g);
    OT_TRY_TO(done, st, open_compact(&c, 1));
    for (int i = 0, g = 0, b = c.g; i < chips; i++) c.row[good[i] ? g++ : b++] = i;
    memset(c.is_good, 1, (size_t)c.g);
    OT_TRY_TO(done, st, set_scale(&c, c.g));
    for (int step = 0; step < k; step++) {
        int    best = -1;
        double most = 0.0, wide = 0.0;
        for (int m = 0; m < images; m++) {
            double value, between;
            if (c.taken[m]) continue;
            load(&c, m, c.g, 1.0);
            add_products(&c, c.trial);
            OT_TRY_TO(done, st, distances(&c));
            OT_TRY_TO(done, st, ot_auc(&value, c.d2, c.is_good, chips));
            between = gap(&c);
            if (best < 0 || value > most || (value == most && between > wide)) best = m, most = value, wide = between;
        }
        load(&c, best, c.g, 1.0);
        add_products(&c, c.sum);
        c.taken[best] = 1;
        chosen[step] = best;
        if (auc) auc[step] = most;
    }
done:
    close_compact(&c);
    return st;
}

void ot_compact_gather(float *signatures, const float *responses, int chips, int images, int q, const int *chosen, int k)
{
    for (size_t i = 0; i < (size_t)chips; i++)
        for (size_t m = 0; m < (size_t)k; m++, signatures += q)
            memcpy(signatures, responses + (i * (size_t)images + (size_t)chosen[m]) * (size_t)q, (size_t)q * sizeof *signatures);
}

/* filter.c - image filters on pixels in 0..1, with the borders and definitions of scipy and scikit-image; see select.h. */
#include "ohmtrim/select.h"

#include "base/fail.h"
#include "kernels/philox.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[OT_FILTERS] = {"gaussian", "median", "box", "brightness", "contrast", "gamma", "hue", "saturation"};
const char *ot_filter_name(ot_filter_kind kind) { return (unsigned)kind < OT_FILTERS ? names[kind] : "?"; }

static int inside(int i, int n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }
static double clip(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

/* -- Neighbourhoods ------------------------------------------------------------------------------------------------ */

enum { MOST_RADIUS = 40, MOST_SIDE = 15 };                /* int(4 x 10 + 0.5); k */

/* Along rows, then along columns. */
static void separable(double *y, const double *x, double *line, int h, int w, const double *weight, int r)
{
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            double sum = 0;
            for (int k = -r; k <= r; k++) sum += weight[k + r] * x[i * w + inside(j + k, w)];
            y[i * w + j] = sum;
        }
    for (int j = 0; j < w; j++) {
        for (int i = 0; i < h; i++) line[i] = y[i * w + j];
        for (int i = 0; i < h; i++) {
            double sum = 0;
            for (int k = -r; k <= r; k++) sum += weight[k + r] * line[inside(i + k, h)];
            y[i * w + j] = sum;
        }
    }
}

static int weights_of(double *weight, ot_filter f)
{
    const int r = f.kind == OT_BOX ? (int)f.strength / 2 : (int)(4 * f.strength + 0.5);
    double    sum = 0;
    for (int k = -r; k <= r; k++) sum += weight[k + r] = f.kind == OT_BOX ? 1 : exp(-(double)(k * k) / (2 * f.strength * f.strength));
    for (int k = 0; k <= 2 * r; k++) weight[k] /= sum;
    return r;
}

/* The middle one of n numbers, n odd, by insertion: neighbourhoods are small. */
static double middle(double *v, int n)
{
    for (int i = 1; i < n; i++) {
        const double t = v[i];
        int          k = i;
        for (; k > 0 && v[k - 1] > t; k--) v[k] = v[k - 1];
        v[k] = t;
    }
    return v[n / 2];
}

static void median(double *y, const double *x, int h, int w, int side)
{
    double v[MOST_SIDE * MOST_SIDE];
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            int n = 0;
            for (int a = -side / 2; a <= side / 2; a++)
                for (int b = -side / 2; b <= side / 2; b++) v[n++] = x[inside(i + a, h) * w + inside(j + b, w)];
            y[i * w + j] = middle(v, n);
        }
}

/* -- Colours ------------------------------------------------------------------------------------------------------- */

static double luma(const double *x, size_t plane, int c, size_t i) { return c == 1 ? x[i] : 0.299 * x[i] + 0.587 * x[plane + i] + 0.114 * x[2 * plane + i]; }

/* Hue in turns; grey has none and stays. */
static void turn_hue(double *out, const double in[3], double turns)
{
    const double most = fmax(in[0], fmax(in[1], in[2])), least = fmin(in[0], fmin(in[1], in[2])), range = most - least;
    memcpy(out, in, 3 * sizeof *out);
    if (range <= 0) return;
    double hue = in[2] == most ? 4 + (in[0] - in[1]) / range : in[1] == most ? 2 + (in[2] - in[0]) / range : (in[1] - in[2]) / range;
    hue = hue / 6 + turns;
    hue -= floor(hue);
    const double s = range / most, sector = floor(hue * 6), f = hue * 6 - sector, p = most * (1 - s), q = most * (1 - f * s), t = most * (1 - (1 - f) * s);
    const double rgb[6][3] = {{most, t, p}, {q, most, p}, {p, most, t}, {p, q, most}, {t, p, most}, {most, p, q}};
    memcpy(out, rgb[(int)sector % 6], 3 * sizeof *out);
}

static void colours(double *y, const double *x, int c, size_t plane, ot_filter f)
{
    double mean = 0, in[3], out[3];
    for (size_t i = 0; i < plane; i++) mean += luma(x, plane, c, i);
    mean /= (double)plane;
    for (size_t i = 0; i < plane; i++) {
        const double about = f.kind == OT_CONTRAST ? mean : luma(x, plane, c, i);
        for (int k = 0; k < c; k++) in[k] = x[(size_t)k * plane + i];
        if (f.kind == OT_HUE && c == 3) turn_hue(out, in, f.strength);
        else
            for (int k = 0; k < c; k++) out[k] = f.kind == OT_HUE ? in[k] : clip(about + f.strength * (in[k] - about));
        for (int k = 0; k < c; k++) y[(size_t)k * plane + i] = out[k];
    }
}

/* -- All ----------------------------------------------------------------------------------------------------------- */

static ot_status check(int c, int h, int w, ot_filter f)
{
    const int side = f.kind == OT_MEDIAN || f.kind == OT_BOX;
    if ((unsigned)f.kind >= OT_FILTERS) OT_FAIL(OT_E_RANGE, "filter number %d, want 0..%d", (int)f.kind, OT_FILTERS - 1);
    if ((c != 1 && c != 3) || h < 1 || w < 1) OT_FAIL(OT_E_SHAPE, "filter %s: an image of %d x %d x %d, want 1 or 3 channels", names[f.kind], c, h, w);
    const double least = f.kind == OT_GAUSSIAN ? 0.05 : side ? 1 : f.kind == OT_HUE ? -1 : 0, most = side ? MOST_SIDE : f.kind == OT_HUE ? 1 : 10;
    if (!(f.strength >= least && f.strength <= most)) OT_FAIL(OT_E_RANGE, "filter %s of strength %g, want %g..%g", names[f.kind], f.strength, least, most);
    if (side && fmod(f.strength, 2) != 1) OT_FAIL(OT_E_RANGE, "filter %s of %g x %g pixels, want an odd number", names[f.kind], f.strength, f.strength);
    return OT_OK;
}

ot_status ot_filter_values(double *y, const double *x, int c, int h, int w, ot_filter f)
{
    const size_t plane = (size_t)h * (size_t)w, n = plane * (size_t)c;
    double       weight[2 * MOST_RADIUS + 1], *line = NULL;
    OT_TRY(check(c, h, w, f));
    switch (f.kind) {
    case OT_GAUSSIAN:
    case OT_BOX: {
        if (!(line = ot_alloc((size_t)h, sizeof *line))) OT_NOMEM("an image's column", (size_t)h * sizeof *line);
        const int r = weights_of(weight, f);
        for (int k = 0; k < c; k++) separable(y + (size_t)k * plane, x + (size_t)k * plane, line, h, w, weight, r);
        ot_free(line);
        break;
    }
    case OT_MEDIAN:
        for (int k = 0; k < c; k++) median(y + (size_t)k * plane, x + (size_t)k * plane, h, w, (int)f.strength);
        break;
    case OT_BRIGHTNESS:
        for (size_t i = 0; i < n; i++) y[i] = clip(f.strength * x[i]);
        break;
    case OT_GAMMA:
        for (size_t i = 0; i < n; i++) y[i] = pow(x[i], f.strength);
        break;
    case OT_CONTRAST:
    case OT_HUE:
    case OT_SATURATION: colours(y, x, c, plane, f); break;
    case OT_FILTERS: break;
    }
    return OT_OK;
}

ot_status ot_filter_pixels(uint8_t *y, const uint8_t *x, int c, int h, int w, ot_filter f)
{
    OT_TRY(check(c, h, w, f));
    const size_t n = (size_t)c * (size_t)h * (size_t)w;
    double      *v = ot_alloc(2 * n, sizeof *v);
    if (!v) OT_NOMEM("an image", 2 * n * sizeof *v);
    for (size_t i = 0; i < n; i++) v[i] = x[i] / 255.0;
    ot_status st = ot_filter_values(v + n, v, c, h, w, f);
    for (size_t i = 0; i < n && st == OT_OK; i++) y[i] = (uint8_t)floor(255 * v[n + i] + 0.5);
    ot_free(v);
    return st;
}

/* Kinds that change grey images stand first in the enum; strengths are ours: visible, and the image still to be told. */
ot_filter ot_filter_random(uint64_t seed, uint32_t turn, uint32_t index, int c)
{
    static const double range[OT_FILTERS][2] = {{0.4, 2}, {3, 5}, {3, 5}, {0.4, 1.8}, {0.3, 2}, {0.4, 2.5}, {-0.5, 0.5}, {0, 2.5}};
    uint32_t       word[4];
    ot_philox(&word[0], &word[1], &word[2], &word[3], seed, index, turn, 1, OT_PURPOSE_IMAGES);
    const int      kind = (int)((uint64_t)word[0] * (uint64_t)(c == 3 ? OT_FILTERS : OT_HUE) >> 32);
    const double   u = word[1] / 4294967296.0, low = range[kind][0], high = range[kind][1];
    const int      side = kind == OT_MEDIAN || kind == OT_BOX;
    return (ot_filter){(ot_filter_kind)kind, side ? (u < 0.5 ? low : high) : rint(1000 * (low + u * (high - low))) / 1000};
}

/* starts.c - six rough views of which rows are normal, each robust against something else (Hubert, Rousseeuw, Verdonck 2012, section 3):
 *
 *     tanh        correlation of tanh(u): far values count as 1
 *     ranks       Spearman's correlation
 *     scores      correlation of normal scores of the ranks, Phi^-1((rank - 1/3) / (n + 1/3))
 *     signs       covariance of u / |u|: a row counts by its direction alone
 *     half        covariance of the half of the rows nearest to the centre (BACON's first step)
 *     wrapped     correlation of wrapped values: u up to 1.5, falling back to 0 at 4 (Raymaekers and Rousseeuw 2021)
 *
 * The last replaces the pairwise OGK of the paper: the same idea, a correlation that outlying cells cannot reach, at the price of one
 * covariance instead of p^2 robust scales.
 *
 * A view's eigenvectors are kept, its eigenvalues are not trusted: the scale of each score is its Qn, its centre the median.  With more
 * than 64 numbers a row the 64 leading eigenvectors are kept and what they leave over of a row counts with one pooled scale.  The h rows
 * nearest by that distance are the first subset. */
#include "test/mrcd.h"
#include "base/fail.h"

#include <math.h>
#include <string.h>

enum { AXES = 64 };
static const double FLOOR = 1e-6;                      /* of the largest scale: eigenvectors along which rows hardly differ */

static int least(int a, int b) { return a < b ? a : b; }

ot_status ot__mrcd_standardise(double *u, double *centre, double *scale, const double *x, int n, int p)
{
    int     spread = 0;
    double *v = ot_alloc((size_t)n, sizeof *v);
    if (!v) OT_NOMEM("mrcd", (size_t)n * sizeof *v);
    for (int k = 0; k < p; k++) {
        double mean = 0, square = 0;
        for (int i = 0; i < n; i++) v[i] = x[(size_t)i * (size_t)p + (size_t)k];
        ot__sort(v, n);
        centre[k] = ot__median(v, n);
        scale[k] = ot__qn(v, n);
        int constant = v[0] == v[n - 1];
        spread |= !constant;
        if (constant) scale[k] = 1;
        else if (!(scale[k] > 0)) {
            for (int i = 0; i < n; i++) mean += v[i] / n;
            for (int i = 0; i < n; i++) square += (v[i] - mean) * (v[i] - mean);
            scale[k] = sqrt(square / n);
        }
        for (int i = 0; i < n; i++) u[(size_t)i * (size_t)p + (size_t)k] = (x[(size_t)i * (size_t)p + (size_t)k] - centre[k]) / scale[k];
    }
    ot_free(v);
    if (!spread) OT_FAIL(OT_E_DATA, "mrcd: all %d rows are equal, want some spread", n);
    return OT_OK;
}

typedef struct view {
    int         n, p, h, m, axes;          /* m = min(n, p) */
    const double *u, *ut;
    double     *y, *yt;                    /* (n, p), (p, n): what the eigenvectors are of */
    double     *matrix, *vectors, *values; /* (m, m), (axes, m), (axes) */
    double     *axis;                      /* (p, axes) */
    double     *score;                     /* (axes, n) */
    double     *left, *d, *column, *table; /* (n) */
    ot__ranked *ranked;
} view;

static double wrap(double u)
{
    double a = fabs(u);                                                /* Raymaekers and Rousseeuw's constants for b = 1.5, c = 4 */
    return a < 1.5 ? u : a > 4 ? 0 : copysign(1.540793 * tanh(0.8622731 * (4 - a)), u);
}

/* Ranks 1..n of a column, equal values share the mean of theirs. */
static void ranks(double *out, const double *column, int n, ot__ranked *work, int *unused)
{
    ot__smallest(unused, column, n, n, work);
    for (int i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && work[j].value == work[i].value; j++) {}
        for (int k = i; k < j; k++) out[work[k].row] = 0.5 * (i + 1 + j);
    }
}

/* Columns of yt to mean 0 and variance 1 (0 for a constant one). */
static void correlate(view *w, int scaled)
{
    for (int k = 0; k < w->p; k++) {
        double *c = w->yt + (size_t)k * (size_t)w->n, mean = 0, square = 0;
        for (int i = 0; i < w->n; i++) mean += c[i];
        mean /= w->n;
        for (int i = 0; i < w->n; i++) c[i] -= mean, square += c[i] * c[i];
        double sd = scaled ? sqrt(square / w->n) : 1;
        for (int i = 0; i < w->n; i++) c[i] = sd > 0 ? c[i] / sd : 0;
    }
}

/* One of the views of the columns: fills yt (p, n). */
static void look(view *w, int which, int *scratch)
{
    int    n = w->n, p = w->p;
    size_t np = (size_t)n * (size_t)p;
    if (which == 0)
        for (size_t i = 0; i < np; i++) w->yt[i] = tanh(w->ut[i]);
    if (which == 5)
        for (size_t i = 0; i < np; i++) w->yt[i] = wrap(w->ut[i]);
    if (which == 1 || which == 2)
        for (int k = 0; k < p; k++) ranks(w->yt + (size_t)k * (size_t)n, w->ut + (size_t)k * (size_t)n, n, w->ranked, scratch);
    if (which == 2)
        for (size_t i = 0; i < np; i++) {
            int    whole = (int)w->yt[i];
            double between = w->yt[i] - whole;                         /* half a rank where two values tie */
            w->yt[i] = between > 0 ? 0.5 * (w->table[whole - 1] + w->table[whole]) : w->table[whole - 1];
        }
    if (which == 3 || which == 4) {
        memset(w->d, 0, (size_t)n * sizeof *w->d);
        for (int k = 0; k < p; k++)
            for (int i = 0; i < n; i++) w->d[i] += w->ut[(size_t)k * (size_t)n + (size_t)i] * w->ut[(size_t)k * (size_t)n + (size_t)i];
    }
    if (which == 3)
        for (int k = 0; k < p; k++)
            for (int i = 0; i < n; i++) w->yt[(size_t)k * (size_t)n + (size_t)i] = w->d[i] > 0 ? w->ut[(size_t)k * (size_t)n + (size_t)i] / sqrt(w->d[i]) : 0;
    if (which == 4) {                                  /* rows outside the half take the half's mean, which adds nothing to its covariance */
        int half = (n + 1) / 2;
        ot__smallest(scratch, w->d, n, half, w->ranked);
        for (int k = 0; k < p; k++) {
            double       *c = w->yt + (size_t)k * (size_t)n, mean = 0;
            const double *u = w->ut + (size_t)k * (size_t)n;
            for (int i = 0; i < half; i++) mean += u[scratch[i]];
            mean /= half;
            for (int i = 0; i < n; i++) c[i] = mean;
            for (int i = 0; i < half; i++) c[scratch[i]] = u[scratch[i]];
        }
    }
    if (which != 3) correlate(w, which != 4);
}

/* The leading eigenvectors of y' y, as columns of w->axis. */
static ot_status find_axes(view *w)
{
    int n = w->n, p = w->p, k = w->axes;
    ot__transpose(w->y, w->yt, p, n);
    if (p <= n) ot__gram(w->matrix, w->y, p, n);
    else ot__gram(w->matrix, w->yt, n, p);
    OT_TRY(ot__leading(w->values, w->vectors, w->matrix, w->m, k));
    if (p <= n) {
        ot__transpose(w->axis, w->vectors, k, p);
        return OT_OK;
    }
    ot__transpose(w->score, w->vectors, k, n);                         /* (n, k), as scratch */
    ot__product_set(w->axis, w->y, w->score, p, k, n);
    for (int a = 0; a < k; a++) {
        double square = 0;
        for (int j = 0; j < p; j++) square += w->axis[(size_t)j * (size_t)k + (size_t)a] * w->axis[(size_t)j * (size_t)k + (size_t)a];
        for (int j = 0; j < p; j++)                                    /* one beyond the rank is rounding: left out */
            w->axis[(size_t)j * (size_t)k + (size_t)a] *= square > 1e-10 * (w->values[0] > 0 ? w->values[0] : 1) ? 1 / sqrt(square) : 0;
    }
    return OT_OK;
}

/* Distances from the scores' own robust scales. */
static void measure(view *w)
{
    int    n = w->n, p = w->p, k = w->axes;
    double centre[AXES], scale[AXES], most = 0;
    ot__product_set(w->score, w->axis, w->ut, k, n, p);
    memset(w->left, 0, (size_t)n * sizeof *w->left);
    for (int j = 0; j < p; j++)
        for (int i = 0; i < n; i++) w->left[i] += w->ut[(size_t)j * (size_t)n + (size_t)i] * w->ut[(size_t)j * (size_t)n + (size_t)i];
    for (int a = 0; a < k; a++) {
        const double *s = w->score + (size_t)a * (size_t)n;
        for (int i = 0; i < n; i++) w->left[i] -= s[i] * s[i];
        memcpy(w->column, s, (size_t)n * sizeof *s);
        ot__sort(w->column, n);
        centre[a] = ot__median(w->column, n);
        scale[a] = ot__qn(w->column, n);
        most = fmax(most, scale[a]);
    }
    if (!(most > 0)) most = 1;
    memset(w->d, 0, (size_t)n * sizeof *w->d);
    for (int a = 0; a < k; a++) {
        double by = 1 / fmax(scale[a], FLOOR * most);
        for (int i = 0; i < n; i++) {
            double z = (w->score[(size_t)a * (size_t)n + (size_t)i] - centre[a]) * by;
            w->d[i] += z * z;
        }
    }
    if (k == p) return;
    for (int i = 0; i < n; i++) w->column[i] = w->left[i] = fmax(w->left[i], 0);
    ot__sort(w->column, n);
    double pooled = fmax(ot__median(w->column, n) / (p - k), FLOOR * FLOOR * most * most);
    for (int i = 0; i < n; i++) w->d[i] += w->left[i] / pooled;
}

ot_status ot__mrcd_starts(int *row, const double *u, const double *ut, int n, int p, int h, int starts)
{
    view      w = {.n = n, .p = p, .h = h, .m = least(n, p), .u = u, .ut = ut};
    size_t    np = (size_t)n * (size_t)p, m = (size_t)w.m, k = (size_t)(w.axes = least(w.m, AXES));
    ot_status st = OT_OK;
    int      *scratch = ot_alloc((size_t)n, sizeof *scratch);
    w.ranked = ot_alloc((size_t)n, sizeof *w.ranked);
    w.y = ot_alloc(2 * np + m * m + k * m + k + k * (size_t)p + k * (size_t)n + 4 * (size_t)n, sizeof *w.y);
    if (!scratch || !w.ranked || !w.y) OT_FAIL_TO(done, st, OT_E_NOMEM, "mrcd: no memory for the first subsets of %d rows of %d numbers", n, p);
    w.yt = w.y + np, w.matrix = w.yt + np, w.vectors = w.matrix + m * m, w.values = w.vectors + k * m, w.axis = w.values + k;
    w.score = w.axis + k * (size_t)p, w.left = w.score + k * (size_t)n, w.d = w.left + n, w.column = w.d + n, w.table = w.column + n;
    for (int i = 0; i < n; i++) w.table[i] = ot__normal_quantile((i + 1 - 1.0 / 3) / (n + 1.0 / 3));
    for (int i = 0; i < starts; i++) {
        look(&w, OT__MRCD_STARTS - starts + i, scratch);
        OT_TRY_TO(done, st, find_axes(&w));
        measure(&w);
        ot__smallest(row + (size_t)i * (size_t)n, w.d, n, h, w.ranked);
    }
done:
    ot_free(w.y);
    ot_free(w.ranked);
    ot_free(scratch);
    return st;
}

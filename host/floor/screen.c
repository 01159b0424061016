/* screen.c - how far a signature lies from the normal ones: a robust Mahalanobis distance by forward substitution. */
#include "floor/names.h"
#include "floor/sums.h"

#include <math.h>

static double bent(const ot_screen *s, const double *x, int k) { return s->middle ? asinh((x[k] - s->middle[k]) / s->width[k]) : x[k]; }

/* Scores along the axes, then the logarithm of what they leave over. */
static void project(const ot_screen *s, const double *x, double *rest, double *z)
{
    double left;
    for (int k = 0; k < s->p; k++) rest[k] = bent(s, x, k) - s->mean[k];
    for (int a = 0; a < s->q - 1; a++) z[a] = ot__dot(s->axes + (int64_t)a * s->p, rest, s->p);
    for (int a = 0; a < s->q - 1; a++) {
        const double *axis = s->axes + (int64_t)a * s->p;
        for (int k = 0; k < s->p; k++) rest[k] -= z[a] * axis[k];
    }
    OT_SUM(left, s->p, rest[k] * rest[k]);
    z[s->q - 1] = log(left + 1e-300);
}

double ot_screen_distance(const ot_screen *s, const double *x, double *work)
{
    double *z = work + s->p, d2 = 0;
    if (s->kind == OT_SCREEN_PCA_MCD) project(s, x, work, z);
    else
        for (int k = 0; k < s->p; k++) z[k] = bent(s, x, k);
    for (int i = 0; i < s->q; i++) {                   /* z becomes L^-1 (z - centre) */
        const double *row = s->factor + (int64_t)i * s->q;
        z[i] = (z[i] - s->centre[i] - ot__dot(row, z, i)) / row[i];
        d2 += z[i] * z[i];
    }
    return d2;
}

int ot_screen_outlier(const ot_screen *s, double distance) { return !(distance <= s->threshold); }

void ot_screen_free(ot_screen *s)
{
    ot_free(s->memory);
    *s = (ot_screen){0};
}

static const char *const names[] = {"mrcd", "pca-mcd", "mcd"};
const char *ot_screen_name(ot_screen_kind kind) { return ot__name_of(names, OT_SCREENS, (int)kind); }

ot_status ot_screen_parse(ot_screen_kind *out, const char *name)
{
    int       i;
    ot_status st = ot__name_parse(&i, names, OT_SCREENS, "screen", name);
    if (st == OT_OK) *out = (ot_screen_kind)i;
    return st;
}

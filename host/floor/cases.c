/* cases.c - search in the casebook: which chip tuned before answered the stimulus most like this one. */
#include "ohmtrim/floor.h"

#include <math.h>

void ot_cases_free(ot_cases *c)
{
    ot_free(c->memory);
    *c = (ot_cases){0};
}

static double squared(const ot_cases *c, int row, const double *x)
{
    const float *y = c->x + (int64_t)row * c->p;
    double       sum = 0;
    for (int k = 0; k < c->p; k++) sum += (x[k] - (double)y[k]) * (x[k] - (double)y[k]);
    return sum;
}

static double absolute(const ot_cases *c, int row, const double *x)
{
    const float *y = c->x + (int64_t)row * c->p;
    double       sum = 0;
    for (int k = 0; k < c->p; k++) sum += fabs(x[k] - (double)y[k]);
    return sum;
}

int ot_cases_nearest(const ot_cases *c, ot_mender how, const double *x, double *distance)
{
    double least = INFINITY;
    int    cluster = -1, row = -1;
    if (how == OT_MENDER_LEARNED)
        for (int m = 0; m < c->clusters; m++) {
            double d = squared(c, c->medoid[m], x);
            if (cluster < 0 || d < least) { least = d; cluster = m; }
        }
    for (int i = 0; i < c->n; i++) {
        if (cluster >= 0 && c->label[i] != cluster) continue;
        double d = how == OT_MENDER_NEAREST ? absolute(c, i, x) : squared(c, i, x);
        if (row < 0 || d < least) { least = d; row = i; }
    }
    *distance = how == OT_MENDER_NEAREST ? least : sqrt(least);
    return row;
}

int ot_cases_knn(const ot_cases *c, const double *x, int k, float *gain, float *offset, double *work, double *distance)
{
    double *near = work, *row = work + k, total = 0;      /* the k nearest so far, nearest first */
    int     have = 0;
    for (int i = 0; i < c->n; i++) {
        double d = squared(c, i, x);
        if (have == k && !(d < near[k - 1])) continue;
        int at = have < k ? have++ : k - 1;
        for (; at > 0 && d < near[at - 1]; at--) near[at] = near[at - 1], row[at] = row[at - 1];
        near[at] = d, row[at] = i;
    }
    for (int j = 0; j < have; j++) total += 1 / (sqrt(near[j]) + 1e-12);
    for (int i = 0; i < c->l; i++) {
        double a = 0, b = 0;
        for (int j = 0; j < have; j++) {
            double  w = 1 / (sqrt(near[j]) + 1e-12) / total;
            int64_t at = (int64_t)row[j] * c->l + i;
            a += w * (double)c->gain[at];
            b += w * (double)c->offset[at];
        }
        gain[i] = (float)a, offset[i] = (float)b;
    }
    *distance = sqrt(near[0]);
    return (int)row[0];
}

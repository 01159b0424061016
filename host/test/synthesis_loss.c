/* synthesis_loss.c - what synthetic images are made to minimise: entropies of the network's answers, and roughness of the pixels.
 *
 * With log p_bk = z_bk - log sum exp z_b, H_b = - sum_k p_bk log p_bk and m_k = mean over b of p_bk,
 *
 *     d H_b / d z_bk    = - p_bk (log p_bk + H_b)
 *     d H(m) / d z_bk   = - p_bk (log m_k - sum_j p_bj log m_j) / n
 *
 * (the sum over classes of each is 0, as a shift of all logits changes nothing).  Total variation is smoothed near 0, sqrt(d^2 + e^2) - e,
 * so that it has a derivative there.  All sums are double, in the order of the arrays. */
#include "base/fail.h"
#include "ohmtrim/synthesise.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {"confident", "boundary"};

const char *ot_synthesis_loss_name(ot_synthesis_loss loss) { return loss >= 0 && loss < OT_SYNTHESIS_LOSSES ? names[loss] : "?"; }

ot_status ot_synthesis_loss_parse(ot_synthesis_loss *out, const char *name)
{
    for (int k = 0; k < OT_SYNTHESIS_LOSSES; k++)
        if (!strcmp(name, names[k])) {
            *out = (ot_synthesis_loss)k;
            return OT_OK;
        }
    OT_FAIL(OT_E_USAGE, "loss '%s', want confident or boundary", name);
}

/* log sum exp of one image's logits. */
static double log_sum(const float *z, int classes)
{
    double top = (double)z[0], sum = 0.0;
    for (int k = 1; k < classes; k++) top = (double)z[k] > top ? (double)z[k] : top;
    for (int k = 0; k < classes; k++) sum += exp((double)z[k] - top);
    return top + log(sum);
}

double ot_entropy(const float *z, int classes)
{
    const double all = log_sum(z, classes);
    double       h = 0.0;
    for (int k = 0; k < classes; k++) h -= exp((double)z[k] - all) * ((double)z[k] - all);
    return h;
}

/* log p of all images into `work`, the log of each class's mean probability behind it (0 where that underflowed: there every p is 0). */
static double *log_probabilities(double *work, const float *logits, int n, int classes)
{
    double *log_m = work + (size_t)n * (size_t)classes;
    for (int k = 0; k < classes; k++) log_m[k] = 0.0;
    for (int b = 0; b < n; b++) {
        const float *z = logits + (size_t)b * (size_t)classes;
        double      *log_p = work + (size_t)b * (size_t)classes, all = log_sum(z, classes);
        for (int k = 0; k < classes; k++) {
            log_p[k] = (double)z[k] - all;
            log_m[k] += exp(log_p[k]) / n;
        }
    }
    for (int k = 0; k < classes; k++) log_m[k] = log_m[k] != 0.0 ? log(log_m[k]) : 0.0;
    return log_m;
}

double ot_entropy_loss(ot_synthesis_loss loss, double diversity, const float *logits, int n, int classes, double *work, float *grad)
{
    const double  sign = loss == OT_SYNTHESIS_BOUNDARY ? -1.0 : 1.0, share = loss == OT_SYNTHESIS_CONFIDENT ? diversity : 0.0;
    const double *log_m = log_probabilities(work, logits, n, classes);
    double        value = 0.0;
    for (int b = 0; b < n; b++) {
        const double *log_p = work + (size_t)b * (size_t)classes;
        float        *g = grad + (size_t)b * (size_t)classes;
        double        h = 0.0, across = 0.0;                         /* H(p_b), sum of p_b log m */
        for (int k = 0; k < classes; k++) {
            h -= exp(log_p[k]) * log_p[k];
            across += exp(log_p[k]) * log_m[k];
        }
        value += (sign * h + share * across) / n;                    /* the n sums `across` make up - H(m) */
        for (int k = 0; k < classes; k++)
            g[k] = (float)(exp(log_p[k]) * (share * (log_m[k] - across) - sign * (log_p[k] + h)) / n);
    }
    return value;
}

enum { PIXELS_A_GREY = 100 };                                        /* e = 1 / 100: two and a half of 255 grey levels */

/* One pair of neighbours: its roughness, and its derivatives into both. */
static double pair(const float *x, float *g, size_t a, size_t b, double share)
{
    const double e = 1.0 / PIXELS_A_GREY, d = (double)x[b] - (double)x[a], root = sqrt(d * d + e * e), slope = share * d / root;
    g[a] -= (float)slope;
    g[b] += (float)slope;
    return root - e;
}

double ot_total_variation(const float *pixels, int n, int c, int h, int w, double weight, float *grad)
{
    const size_t width = (size_t)w, plane = (size_t)h * width, planes = (size_t)n * (size_t)c;
    const double pairs = (double)planes * ((double)h * (w - 1) + (double)(h - 1) * w);
    double       sum = 0.0;
    if (pairs <= 0.0) return 0.0;
    for (size_t i = 0; i < planes; i++) {
        const float *x = pixels + i * plane;
        float       *g = grad + i * plane;
        for (size_t p = 0; p < plane; p++) {
            if (p % width + 1 < width) sum += pair(x, g, p, p + 1, weight / pairs);
            if (p + width < plane) sum += pair(x, g, p, p + width, weight / pairs);
        }
    }
    return sum / pairs;
}

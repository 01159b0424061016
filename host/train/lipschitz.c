/* lipschitz.c - a penalty on layers that amplify errors, after CorrectNet (Eldebiky et al., DATE 2023, whose "modified Lipschitz constant
 * regularization" we know from its abstract; the form is our reading):
 *
 *     beta sum over layers of max(0, s(W) - lambda)^2        lambda = 1 / (mu + 3 sd)
 *     d / dW = 2 beta (s - lambda) u v'                      mu, sd of the factor exp(theta), theta ~ N(0, sigma^2), that varies a weight
 *
 * s is the largest singular value of a layer's weights as a matrix (outputs of a group, its inputs x kernel), so that with its variation it stays
 * below 1.  It comes of a few power iterations from the same vector every time: no state, so that a run that was stopped goes on to the same
 * bits.  Batch norm behind a layer takes any factor out again: there the penalty acts on the size of steps more than on what is computed. */
#include "train/lipschitz.h"

#include "train/trainer.h"

#include <math.h>

enum { ITERATIONS = 5 };

static double normalise(double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    const double norm = sqrt(sum);
    for (size_t i = 0; i < n && norm > 0; i++) x[i] /= norm;
    return norm;
}

/* u = W v; v = W' u */
static void forward(const float *w, size_t rows, size_t cols, const double *v, double *u)
{
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t c = 0; c < cols; c++) sum += (double)w[r * cols + c] * v[c];
        u[r] = sum;
    }
}

static void back(const float *w, size_t rows, size_t cols, const double *u, double *v)
{
    for (size_t c = 0; c < cols; c++) v[c] = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) v[c] += (double)w[r * cols + c] * u[r];
}

double ot__lipschitz_norm(const float *w, size_t rows, size_t cols, int iterations, double *u, double *v)
{
    double s = 0;
    for (size_t c = 0; c < cols; c++) v[c] = 1 + 0.5 * sin(1.0 + 2.4 * (double)c);       /* no row of weights is at right angles to it by design */
    normalise(v, cols);
    for (int i = 0; i < iterations; i++) {
        forward(w, rows, cols, v, u);
        s = normalise(u, rows);
        if (!(s > 0)) break;
        back(w, rows, cols, u, v);
        normalise(v, cols);
    }
    if (s > 0) forward(w, rows, cols, v, u), s = normalise(u, rows);
    return s;
}

double ot__lipschitz_add(ot__trainer *t)
{
    const double sigma = t->opt->lipschitz_sigma, beta = t->opt->lipschitz;
    const double mean = exp(sigma * sigma / 2), lambda = 1 / (mean + 3 * mean * sqrt(expm1(sigma * sigma)));
    double       penalty = 0;
    size_t       at = 0;
    for (int i = 0; i < ot_network_layers(t->net); i++) {
        const ot_layer *l = ot_network_layer(t->net, i);
        const size_t    weights = ot_layer_weights(l), cols = weights ? (size_t)ot_layer_fan_in(t->net, l) : 1;
        const size_t    groups = weights && l->groups ? (size_t)l->groups : 1, rows = weights / cols / groups;
        for (size_t g = 0; weights && g < groups; g++) {
            const size_t from = at + g * rows * cols;
            const double over = ot__lipschitz_norm(t->parameters + from, rows, cols, ITERATIONS, t->singular, t->singular + t->widest) - lambda;
            if (!(over > 0)) continue;
            penalty += beta * over * over;
            for (size_t r = 0; r < rows; r++)
                for (size_t c = 0; c < cols; c++)
                    t->grad[from + r * cols + c] += (float)(2 * beta * over * t->singular[r] * t->singular[t->widest + c]);
        }
        at += weights + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
    }
    return penalty;
}

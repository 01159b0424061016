/* ref_spike.c - integrate and fire over all time steps, in doubles; backward through time with a surrogate.
 *
 * One neuron of one image at a time.  `src` advances by a frame a step, or stands still.
 * A neuron that fires once loses infinitely much: it never comes back, and its surrogate is 0 from then on. */
#include "backend/ref.h"

#include <math.h>

static double surrogate(const ot__ref_op *op, double z)
{
    const double k = op->sharpness, x = 0.5 * M_PI * k * z, a = 1.0 + k * fabs(z);
    switch (op->surrogate) {
    case OT_SURROGATE_ATAN: return 0.5 * k / (1.0 + x * x);
    case OT_SURROGATE_FAST_SIGMOID: return 1.0 / (a * a);
    default: return fabs(z) < 0.5 / k ? k : 0.0;
    }
}

double ot__ref_sharpness(const ot_plan_options *opt)
{
    static const double usual[OT_SURROGATES] = {2.0, 25.0, 1.0};
    return opt->sharpness > 0.0 ? opt->sharpness : usual[opt->surrogate];
}

/* The membranes of one neuron at each step into m (T). */
static void integrate(const ot_step *s, double threshold, const double *src, double *m)
{
    const ot_layer *l = s->layer;
    const size_t    frame = s->still ? 0 : ot__ref_size(s->out);
    const double    leak = (double)l->leak, loss = l->reset == OT_RESET_FIXED ? (double)l->u_rst : l->reset == OT_RESET_ONCE ? INFINITY : threshold;
    double          v = 0.0;
    for (int t = 0; t < s->steps; t++) {
        int fired = t > 0 && v > threshold;
        if (l->reset == OT_RESET_ZERO) v = (fired ? 0.0 : leak * v) + src[(size_t)t * frame];
        else v = leak * v + src[(size_t)t * frame] - (fired ? loss : 0.0);
        m[t] = v;
    }
}

#define NEURONS(N)                                                                                                             \
    const size_t size = ot__ref_size(s->out), T = (size_t)s->steps, in = s->still ? size : size * T;                            \
    double       m[OT_MAX_STEPS];                                                                                               \
    for (size_t i = 0; i < (size_t)(N) / T; i++)                                                                                \
        for (size_t e = 0; e < size; e++)

void ot__ref_spike(const ot_step *s, double threshold, const double *src, double *dst, int n)
{
    NEURONS(n)
    {
        integrate(s, threshold, src + i * in + e, m);
        for (size_t t = 0; t < T; t++) dst[(i * T + t) * size + e] = m[t] > threshold ? 1.0 : m[t] == m[t] ? 0.0 : m[t];
    }
}

double ot__ref_spike_back(const ot__ref_op *op, double threshold, const double *src, const double *g, double *dsrc, int n)
{
    const ot_step  *s = &op->step;
    const ot_layer *l = s->layer;
    double          sum = 0.0;
    NEURONS(n)
    {
        double after = 0.0;                                          /* dL/dm of the step behind */
        integrate(s, threshold, src + i * in + e, m);
        for (size_t t = T; t-- > 0;) {
            const int    fires = m[t] > threshold, fired = t > 0 && m[t - 1] > threshold;
            const double k = g[(i * T + t) * size + e] * surrogate(op, m[t] - threshold);
            after = k + (l->reset == OT_RESET_ZERO && fires ? 0.0 : (double)l->leak * after);
            sum -= k + (l->reset == OT_RESET_SUBTRACT && fired ? after : 0.0);
            if (dsrc) dsrc[i * in + (s->still ? 0 : t * size) + e] += after;
        }
    }
    return sum;
}

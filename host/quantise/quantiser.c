/* quantiser.c - codes and values, and a layer's weights on their way: quantised, then noisy.
 *
 * Noise comes after quantising and is reparameterised (paper 003, eq. 2): w~ = w_D + eps w_D or w_D + eps w_max with eps drawn for itself, so
 * that the derivative to w_D is 1 + eps or 1.  That of the quantiser is its straight-through estimator.  Codes are found in double, as
 * the definition is; the rest is float. */
#include "base/fail.h"
#include "quantise/quantise.h"

#include <math.h>

int ot_quantise_codes(int bits) { return (1 << (bits - 1)) - 1; }

ot_status ot_quantise_check_bits(int bits, const char *what)
{
    if (bits < OT_QUANTISE_LEAST_BITS || bits > OT_QUANTISE_MOST_BITS)
        OT_FAIL(OT_E_RANGE, "%s = %d, want %d..%d", what, bits, OT_QUANTISE_LEAST_BITS, OT_QUANTISE_MOST_BITS);
    return OT_OK;
}

int ot_quantise_code(double x, double scale, int bits)
{
    const int n = ot_quantise_codes(bits);
    if (!(scale > 0) || isnan(x)) return 0;
    double q = rint(x / scale);
    return q > n ? n : q < -n ? -n : (int)q;
}

double ot__weight_most(const float *w, size_t n, int bits, double scale)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        float a = fabsf(w[i]);
        most = a > most ? a : most;
    }
    return bits ? (float)(ot_quantise_code((double)most, scale, bits) * scale) : (double)most;
}

/* Adding and taking away 3 * 2^51 rounds to whole numbers, half to even, as rint does, which is a call where SSE4.1 is not asked for. */
static void quantise(float *restrict out, const float *restrict w, size_t n, double scale, double codes)
{
    for (size_t i = 0; i < n; i++) {
        double q = (double)w[i] / scale;
        q = q > codes ? codes : q;
        q = q < -codes ? -codes : q;
        out[i] = (float)(((q + 0x1.8p52) - 0x1.8p52) * scale);
    }
}

static void straight_through(float *restrict slope, const float *restrict w, size_t n, ot_ste ste, double edge)
{
    if (ste == OT_STE_IDENTITY)
        for (size_t i = 0; i < n; i++) slope[i] = 1.0f;
    else
        for (size_t i = 0; i < n; i++) slope[i] = fabs((double)w[i]) <= edge ? 1.0f : 0.0f;
}

void ot__noise_add(float *restrict value, float *restrict slope, const float *restrict normal, size_t n, const ot__weight_way *way)
{
    const float within = (float)way->within, between = (float)way->between, most = (float)way->w_max;
    if (way->model == OT_NOISE_FIXED)
        for (size_t i = 0; i < n; i++) value[i] += (between + within * normal[i]) * most;
    else if (slope)
        for (size_t i = 0; i < n; i++) {
            float factor = 1.0f + (between + within * normal[i]);
            value[i] *= factor;
            slope[i] *= factor;
        }
    else
        for (size_t i = 0; i < n; i++) value[i] *= 1.0f + (between + within * normal[i]);
}

/* At most a chunk. */
static void go(float *out, float *slope, const float *w, size_t first, size_t n, const ot__weight_way *way)
{
    float value[OT__WAY_CHUNK], normal[OT__WAY_CHUNK];
    const double codes = way->bits ? ot_quantise_codes(way->bits) : 0;
    const int zero = way->bits && !(way->scale > 0), noisy = way->within > 0 || way->between < 0 || way->between > 0;
    if (way->bits && !zero) quantise(value, w, n, way->scale, codes);
    else
        for (size_t i = 0; i < n; i++) value[i] = zero ? 0.0f : w[i];
    if (slope) straight_through(slope, w, n, way->bits ? way->ste : OT_STE_IDENTITY, (codes + (way->ste == OT_STE_CLIPPED ? 0.5 : 0.0)) * way->scale);
    if (noisy) {
        if (way->within > 0) ot__noise_normals(normal, first, n, way->seed, way->layer, way->sample, way->purpose);
        else
            for (size_t i = 0; i < n; i++) normal[i] = 0;
        ot__noise_add(value, slope, normal, n, way);
    }
    for (size_t i = 0; i < n; i++) out[i] = value[i];
}

void ot__weight_go(float *out, float *slope, const float *w, size_t first, size_t n, const ot__weight_way *way)
{
    for (size_t at = 0; at < n; at += OT__WAY_CHUNK) {
        size_t here = n - at < OT__WAY_CHUNK ? n - at : OT__WAY_CHUNK;
        go(out + at, slope ? slope + at : NULL, w + at, first + at, here, way);
    }
}

ot_status ot_quantise_weights(ot_network *net, int bits, double *scale)
{
    OT_TRY(ot_quantise_check_bits(bits, "weight bits"));
    for (int i = 0; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        const size_t n = ot_layer_weights(l);
        double d;
        if (l->crossbar < 0) continue;
        ot_status st = ot__quantise_scale_f32(&d, l->weight, n, bits);
        if (st != OT_OK) return ot__fail_prefix(st, "layer '%s': ", l->name);
        float *w = ot_network_weights(net, i);
        ot__weight_go(w, NULL, w, 0, n, &(ot__weight_way){.bits = bits, .scale = d});
        if (scale) scale[l->crossbar] = d;
    }
    return OT_OK;
}

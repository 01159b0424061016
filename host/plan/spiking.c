/* spiking.c - what enters a spiking network: finite pictures, or spikes drawn from them.
 *
 * With rate coding the pixel x fires at a step with probability x.  The draw is Philox's, by (seed, image's number in its data set, step,
 * pixel): the same spikes whatever the tile, the order of images, the chip, the backend.  One word of 24 bits a pixel and step:
 *     counter  c0 = pixel / 4    c1 = step    c2 = image    c3 = OT_PURPOSE_SPIKES    word pixel % 4    spike where word / 2^24 < x */
#include "plan/impl.h"

#include "kernels/philox.h"

#include <math.h>
#include <string.h>

static const char *coding_name(const ot_plan *p) { return p->spiking->coding == OT_CODING_RATE ? "rate" : "latency"; }

static ot_status check_pixels(const ot_plan *p, const ot_data *data, int64_t number, const float *x)
{
    const int spikes = p->spiking->coding != OT_CODING_DIRECT;
    for (size_t k = 0; k < p->image; k++) {
        if (spikes && !(x[k] >= 0 && x[k] <= 1))
            OT_FAIL(OT_E_DATA, "data set %s, image %lld, number %zu = %g: %s coding wants 0..1 (pixels / 255 with mean 0, std 1)", data->name, (long long)number, k, (double)x[k], coding_name(p));
        if (!isfinite(x[k])) OT_FAIL(OT_E_DATA, "data set %s, image %lld, number %zu = %g, want a finite one", data->name, (long long)number, k, (double)x[k]);
    }
    return OT_OK;
}

/* From the last step to the first, so that the picture at the front is read until it is overwritten. */
static void draw(const ot_plan *p, uint64_t seed, uint32_t number, float *x)
{
    for (int t = p->spiking->steps - 1; t >= 0; t--) {
        float *out = x + (size_t)t * p->image;
        for (size_t k = 0; k < p->image; k += 4) {
            uint32_t w[4];
            ot_philox(&w[0], &w[1], &w[2], &w[3], seed, (uint32_t)(k / 4), (uint32_t)t, number, OT_PURPOSE_SPIKES);
            for (size_t j = 0; j < 4 && k + j < p->image; j++) out[k + j] = (float)(w[j] >> 8) * 0x1p-24f < x[k + j] ? 1.0f : 0.0f;
        }
    }
}

float ot__step_threshold(const ot_step *s, float gain) { return s->layer->reset == OT_RESET_ONCE ? s->layer->threshold / gain : s->layer->threshold * gain; }

double ot__step_threshold_slope(const ot_step *s, float gain)
{
    const double threshold = (double)s->layer->threshold;
    return s->layer->reset == OT_RESET_ONCE ? -threshold / ((double)gain * (double)gain) : threshold;
}

/* What a spike of the last layer counts at step t. */
float ot__spike_score(const ot_plan *p, int t) { return p->once ? (float)(p->spiking->steps - t) : 1; }

size_t ot_plan_input(const ot_plan *p) { return p->image * (size_t)p->tensors[0].frames; }

/* One spike a pixel, from the last step to the first. */
static void latency(const ot_plan *p, float *x)
{
    const int T = p->spiking->steps;
    for (int t = T - 1; t >= 0; t--)
        for (size_t k = 0; k < p->image; k++) x[(size_t)t * p->image + k] = x[k] > 0 && (int)rintf((1.0f - x[k]) * (float)(T - 1)) == t ? 1.0f : 0.0f;
}

static void spikes(const ot_plan *p, uint64_t seed, uint32_t number, float *x)
{
    if (p->spiking->coding == OT_CODING_RATE) draw(p, seed, number, x);
    else latency(p, x);
}

ot_status ot_plan_input_spikes(const ot_plan *p, uint64_t seed, uint32_t number, float *x)
{
    if (!p->spiking || p->spiking->coding == OT_CODING_DIRECT) OT_FAIL(OT_E_RANGE, "input spikes want a spiking network with rate or latency coding");
    for (size_t k = 0; k < p->image; k++)
        if (!(x[k] >= 0 && x[k] <= 1)) OT_FAIL(OT_E_DATA, "image %u, number %zu = %g: %s coding wants 0..1 (pixels / 255 with mean 0, std 1)", number, k, (double)x[k], coding_name(p));
    spikes(p, seed, number, x);
    return OT_OK;
}

ot_status ot__plan_take_image(const ot_plan *p, const ot_data *data, int64_t number, float *to)
{
    OT_TRY(check_pixels(p, data, number, to));
    if (p->spiking->coding != OT_CODING_DIRECT) spikes(p, p->spiking->seed, (uint32_t)number, to);
    return OT_OK;
}

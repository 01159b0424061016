/* spiking.c - what enters a spiking network: finite pictures, or spikes drawn from them.
 *
 * With rate coding the pixel x fires at a step with probability x.  The draw is Philox's, by (seed, image's number in its data set, step,
 * pixel): the same spikes whatever the tile, the order of images, the chip, the backend.  One word of 24 bits a pixel and step:
 *     counter  c0 = pixel / 4    c1 = step    c2 = image    c3 = OT_PURPOSE_SPIKES    word pixel % 4    spike where word / 2^24 < x */
#include "plan/impl.h"

#include "kernels/philox.h"

#include <math.h>
#include <string.h>

ot_status ot__plan_check_picture(const ot_plan *p, const ot_data *data, int64_t number, const float *x)
{
    const int rate = p->spiking->coding == OT_CODING_RATE;
    for (size_t k = 0; k < p->image; k++) {
        if (rate && !(x[k] >= 0 && x[k] <= 1))
            OT_FAIL(OT_E_DATA, "data set %s, image %lld, number %zu = %g: rate coding wants 0..1 (pixels / 255 with mean 0, std 1)", data->name, (long long)number, k, (double)x[k]);
        if (!isfinite(x[k])) OT_FAIL(OT_E_DATA, "data set %s, image %lld, number %zu = %g, want a finite one", data->name, (long long)number, k, (double)x[k]);
    }
    return OT_OK;
}

/* Bytes become numbers by a line a channel, so its two ends say all. */
int ot__plan_all_pictures_good(const ot_plan *p, const ot_data *data)
{
    const int    rate = p->spiking->coding == OT_CODING_RATE;
    const size_t n = data->values ? (size_t)data->n * p->image : 2 * (size_t)data->c;
    const float *mean, *std;
    ot_network_normalisation(p->net, &mean, &std);
    for (size_t k = 0; k < n; k++) {
        const float x = data->values ? data->values[k] : (float)(k % 2 * 255) * (1.0f / (255.0f * std[k / 2])) + -mean[k / 2] / std[k / 2];
        if (!isfinite(x) || (rate && !(x >= 0 && x <= 1))) return 0;
    }
    return 1;
}

/* From the last step to the first, so that the picture at the front is read until it is overwritten. */
static void draw(const ot_plan *p, uint32_t number, float *x)
{
    for (int t = p->spiking->steps - 1; t >= 0; t--) {
        float *out = x + (size_t)t * p->image;
        for (size_t k = 0; k < p->image; k += 4) {
            uint32_t w[4];
            ot_philox(&w[0], &w[1], &w[2], &w[3], p->spiking->seed, (uint32_t)(k / 4), (uint32_t)t, number, OT_PURPOSE_SPIKES);
            for (size_t j = 0; j < 4 && k + j < p->image; j++) out[k + j] = (float)(w[j] >> 8) * 0x1p-24f < x[k + j] ? 1.0f : 0.0f;
        }
    }
}

ot_status ot__plan_take_image(const ot_plan *p, const ot_data *data, int64_t number, float *to)
{
    OT_TRY(ot__plan_check_picture(p, data, number, to));
    if (p->spiking->coding == OT_CODING_RATE) draw(p, (uint32_t)number, to);
    return OT_OK;
}

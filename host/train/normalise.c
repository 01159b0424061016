/* normalise.c - the mean and standard deviation of the training pixels, a pair a channel, kept with the network. */
#include "base/fail.h"
#include "ohmtrim/train.h"

#include <math.h>

ot_status ot_train_normalise(ot_network *net, const ot_data *d)
{
    OT_TRY(ot_data_check(d, net));
    float *mean = ot_alloc((size_t)d->c, sizeof *mean), *sd = ot_alloc((size_t)d->c, sizeof *sd);
    ot_status st = OT_OK;
    if (!mean || !sd) OT_FAIL_TO(done, st, OT_E_NOMEM, "the normalisation of %d channels: no memory", d->c);
    size_t plane = (size_t)d->h * d->w;
    for (int c = 0; c < d->c; c++) {
        sd[c] = 1;
        if (!d->pixels) continue;
        uint64_t sum = 0, squares = 0; /* exact: 255^2 * 2^47 pixels fit */
        for (int64_t i = 0; i < d->n; i++) {
            const uint8_t *p = d->pixels + ((size_t)i * d->c + c) * plane;
            for (size_t k = 0; k < plane; k++) {
                sum += p[k];
                squares += (uint64_t)p[k] * p[k];
            }
        }
        double n = (double)d->n * plane, m = sum / n, variance = squares / n - m * m;
        if (!(variance > 0))
            OT_FAIL_TO(done, st, OT_E_DATA, "%s: all pixels of channel %d have the value %g, want images that differ", d->name, c,
                       m);
        mean[c] = (float)(m / 255);
        sd[c] = (float)(sqrt(variance) / 255);
    }
    st = ot_network_set_normalisation(net, mean, sd);
done:
    ot_free(mean);
    ot_free(sd);
    return st;
}

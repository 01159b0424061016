/* fuzz_recipe.c - recipes: any bytes give a recipe whose verdicts and knobs are finite, or a failure, never a crash. */
#include "ohmtrim/floor.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MOST = 4096 };
    static float signature[MOST], gain[MOST], offset[MOST];
    ot_floor *f;
    int       c, h, w;
    if (ot_floor_read(&f, data, size, "fuzz") != OT_OK) return 0;
    const ot_layout *l = ot_floor_layout(f);
    const uint8_t   *pixels = ot_floor_stimulus(f, &c, &h, &w);
    unsigned         sum = 0;
    for (size_t i = 0; pixels && i < (size_t)l->images * (size_t)c * (size_t)h * (size_t)w; i++) sum += pixels[i];
    for (int i = 0; i < l->images && ot_floor_stimulus_source(f, i); i++) sum += (unsigned)*ot_floor_stimulus_source(f, i);
    for (int scale = 0; scale < 3 && l->length <= MOST && l->relus <= MOST; scale++) {
        for (int i = 0; i < l->length; i++) signature[i] = (float)((double)((i * 7919 + (int)(sum & 7)) % 997 - 400) * (const double[]){1e-3, 1e3, 1e35}[scale]);
        for (int when = 0; when < 2; when++) {
            ot_floor_result r;
            if (ot_floor_screen(f, (ot_floor_when)when, signature, &r, gain, offset) != OT_OK) continue;
            if (!(isfinite(r.predicted) && r.low <= r.high && r.distance >= 0 && isfinite(r.distance))) abort();
            if (r.verdict < OT_VERDICT_PASS || r.verdict > OT_VERDICT_FULL_TEST) abort();
            if (r.nearest >= 0 && !(r.nearest < ot_floor_mending(f)->cases.n && r.nearest_distance >= 0)) abort();
            for (int k = 0; k < l->relus && when == OT_FLOOR_BEFORE; k++)
                if (!(gain[k] >= 1.0F / 64 && isfinite(gain[k]) && isfinite(offset[k]))) abort();
        }
    }
    ot_floor_free(f);
    return 0;
}

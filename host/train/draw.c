/* draw.c - see draw.h. */
#include "train/draw.h"
#include "kernels/normal.h"

void ot__draw_words(uint32_t out[4], uint64_t seed, uint32_t c0, uint32_t c1, ot_purpose purpose)
{
    ot_philox(&out[0], &out[1], &out[2], &out[3], seed, c0, c1, 0, purpose);
}

void ot__draw_normals(float *out, size_t n, uint64_t seed, ot_purpose purpose, uint32_t where, double sd)
{
    for (size_t i = 0; i < n; i += 4) {
        uint32_t word[4];
        float z[4];
        ot__draw_words(word, seed, (uint32_t)(i / 4), where, purpose);
        ot_normal_pair(&z[0], &z[1], word[0], word[1]);
        ot_normal_pair(&z[2], &z[3], word[2], word[3]);
        for (size_t k = 0; k < 4 && i + k < n; k++) out[i + k] = z[k] * (float)sd;
    }
}

void ot__draw_order(uint32_t *out, uint32_t n, uint64_t seed, uint32_t epoch)
{
    uint32_t word[4] = {0};
    for (uint32_t i = 0; i < n; i++) out[i] = i;
    for (uint32_t i = 0; i + 1 < n; i++) { /* Fisher-Yates */
        if (i % 4 == 0) ot__draw_words(word, seed, i / 4, epoch, OT_PURPOSE_SHUFFLE);
        uint32_t j = i + (uint32_t)((uint64_t)word[i % 4] * (n - i) >> 32), t = out[i];
        out[i] = out[j];
        out[j] = t;
    }
}

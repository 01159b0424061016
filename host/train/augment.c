/* augment.c - see augment.h.  The padding never exists: a window row is zero, one or two runs of black and one of pixels. */
#include "train/augment.h"
#include "train/draw.h"

#include <string.h>

ot__crop ot__augment_choose(const ot_train_options *opt, uint32_t image, uint32_t epoch)
{
    uint32_t word[4];
    ot__draw_words(word, opt->seed, image, epoch, OT_PURPOSE_AUGMENT);
    uint64_t places = 2 * (uint64_t)opt->crop_pad + 1;
    return (ot__crop){.dy = (int)(word[0] * places >> 32), .dx = (int)(word[1] * places >> 32), .flip = opt->flip && word[2] >> 31};
}

void ot__augment_apply(float *restrict out, const float *restrict in, int c, int h, int w, int pad, ot__crop crop,
                       const float *black)
{
    for (int k = 0; k < c; k++)
        for (int y = 0; y < h; y++, out += w) {
            int from = y + crop.dy - pad, shift = crop.dx - pad;
            for (int x = 0; x < w; x++) out[x] = black[k];
            if (from >= 0 && from < h) {
                const float *row = in + ((size_t)k * h + from) * w;
                int first = shift < 0 ? -shift : 0, end = shift > 0 ? w - shift : w;
                if (end > first) memcpy(out + first, row + first + shift, (size_t)(end - first) * sizeof *out);
            }
            if (crop.flip)
                for (int a = 0, b = w - 1; a < b; a++, b--) {
                    float t = out[a];
                    out[a] = out[b];
                    out[b] = t;
                }
        }
}

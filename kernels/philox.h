/* philox.h - Philox4x32-10, the counter-based random numbers of every draw (Salmon, Moraes, Dror, Shaw 2011).
 *
 * Four words come out of a 128-bit counter and a 64-bit key; there is no state.  The layout is DESIGN 4.5's:
 *
 *     key = seed        c0 = group of 4 cells in the layer    c1 = layer (order among crossbar nodes)
 *                       c2 = chip                             c3 = purpose
 *
 * so a draw is a function of what it is for, never of thread, launch shape or what was drawn before. */
#ifndef OT_KERNELS_PHILOX_H
#define OT_KERNELS_PHILOX_H

#include "kernels/hd.h"

/* What a draw is for: the counter's last word.  Numbers stay for good. */
typedef enum ot_purpose {
    OT_PURPOSE_CELLS = 0,         /* delta_rand of each cell */
    OT_PURPOSE_SYSTEMATIC = 1,    /* delta_sys of the chip; c0 = c1 = 0 */
    OT_PURPOSE_FAULTS = 2,
    OT_PURPOSE_READ_NOISE = 3,
    OT_PURPOSE_SPIKES = 4,        /* input spikes */
    OT_PURPOSE_SHUFFLE = 5,       /* order of images, choice of stimulus */
    OT_PURPOSE_SELF_TUNING = 6,   /* self-tuning cells: c0 = group of 4 cells, c1 = layer (2^32 - 1: the chip's own column), c2 = chip */
    OT_PURPOSE_WEIGHTS = 7,       /* weights that training starts from; c2 = 0 */
    OT_PURPOSE_AUGMENT = 8,       /* crops and flips: c0 = image, c1 = epoch, c2 = 0 */
    OT_PURPOSE_IMAGES = 9,        /* pixels that synthetic images start from: c0 = group of 4 pixels, c1 = image, c2 = 0;
                                     filters of images: c0 = image, c1 = round, c2 = 1 */
    OT_PURPOSE_NOISE = 10,        /* weight noise of chips: c0 = group of 4 weights, c1 = layer, c2 = chip; between chips c0 = 0, c1 = 2^32 - 1 */
    OT_PURPOSE_TRAIN_NOISE = 11,  /* the same of training, c2 = sample: never a chip that is measured */
} ot_purpose;

/* Counter in, words out, in place. */
OT_HD void ot_philox_rounds(int rounds, uint32_t *x0, uint32_t *x1, uint32_t *x2, uint32_t *x3, uint32_t k0, uint32_t k1)
{
    uint32_t a = *x0, b = *x1, c = *x2, d = *x3;
#if defined(__CUDACC__)
#pragma unroll
#elif !defined(__clang__)
#pragma GCC unroll 10
#endif
    for (int i = 0; i < rounds; i++) {
        uint64_t p = (uint64_t)0xD2511F53u * a, q = (uint64_t)0xCD9E8D57u * c;
        a = (uint32_t)(q >> 32) ^ b ^ k0;
        b = (uint32_t)q;
        c = (uint32_t)(p >> 32) ^ d ^ k1;
        d = (uint32_t)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    *x0 = a, *x1 = b, *x2 = c, *x3 = d;
}

/* The four words of group `c0` of `layer` on `chip`, for `purpose`. */
OT_HD void ot_philox(uint32_t *x0, uint32_t *x1, uint32_t *x2, uint32_t *x3, uint64_t seed, uint32_t c0, uint32_t layer, uint32_t chip,
                     ot_purpose purpose)
{
    *x0 = c0, *x1 = layer, *x2 = chip, *x3 = (uint32_t)purpose;
    ot_philox_rounds(10, x0, x1, x2, x3, (uint32_t)seed, (uint32_t)(seed >> 32));
}

#endif

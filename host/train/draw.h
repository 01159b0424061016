/* draw.h - the random choices of training, each a function of (seed, purpose, where): Philox, so that no order of computing matters. */
#ifndef OT_TRAIN_DRAW_H
#define OT_TRAIN_DRAW_H

#include "ohmtrim/base.h"

#include "kernels/philox.h"

/* Four words of 32 bits for (seed; c0, c1, purpose). */
void ot__draw_words(uint32_t out[4], uint64_t seed, uint32_t c0, uint32_t c1, ot_purpose purpose);
/* n normal numbers of standard deviation sd; number i depends on (seed, purpose, where, i) only. */
void ot__draw_normals(float *out, size_t n, uint64_t seed, ot_purpose purpose, uint32_t where, double sd);
/* A permutation of 0..n-1 for an epoch. */
void ot__draw_order(uint32_t *out, uint32_t n, uint64_t seed, uint32_t epoch);

#endif

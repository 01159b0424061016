/* shuffle.h - orders of images, drawn from the seed: the same on any machine, whoever asks first. */
#ifndef OT_TEST_SHUFFLE_H
#define OT_TEST_SHUFFLE_H

#include <stdint.h>

/* Which shuffle: the second word of the counter (the third is the turn, e.g. the epoch; the fourth says "shuffle", DESIGN 4.5). */
enum { OT__SHUFFLE_STIMULUS = 16, OT__SHUFFLE_SUBSET, OT__SHUFFLE_ORDER, OT__SHUFFLE_CLOSED_FORM, OT__SHUFFLE_POLISH, OT__SHUFFLE_FOLDS };

/* Puts item[0..n-1] into an order drawn from (seed, which, turn). */
void ot__shuffle(uint32_t *item, uint32_t n, uint64_t seed, uint32_t which, uint32_t turn);

#endif

/* chip.h - what other stages of the library may know of a chip's insides. */
#ifndef OT_CHIP_CHIP_H
#define OT_CHIP_CHIP_H

#include "ohmtrim/chip.h"

/* Signed magnitudes of crossbar layer k, (weights), the design's: in steps of ot_chip_scale / (2^bits - 1). */
const int32_t *ot__chip_magnitudes(const ot_chip *chip, int k);
/* ot_chip_self_test of the chip drawn last. */
ot_status ot__chip_self_test(double *estimate, const ot_chip *chip, int cells);
/* What the network's weights are now becomes the design; the weights drawn last stay until the next ot_chip_redraw. */
ot_status ot__chip_redesign(ot_chip *chip);

#endif

/* chip.h - what other stages of the library may know of a chip's insides. */
#ifndef OT_CHIP_CHIP_H
#define OT_CHIP_CHIP_H

#include "ohmtrim/chip.h"

/* Signed magnitudes of crossbar layer k, (weights), the design's: in steps of ot_chip_scale / (2^bits - 1). */
const int32_t *ot__chip_magnitudes(const ot_chip *chip, int k);
/* ot_chip_self_test of the chip drawn last. */
ot_status ot__chip_self_test(double *estimate, const ot_chip *chip, int cells);
/* A column beside crossbar layer k: n weights of the layer's largest magnitude (ot_chip_scale) as this chip holds them.  Its cells are whole ones,
 * have the chip's delta_sys and draws of their own; they do not depend on how many are asked for. */
ot_status ot__chip_column(float *w, const ot_chip *chip, int k, size_t n);
/* What the network's weights are now becomes the design; the weights drawn last stay until the next ot_chip_redraw. */
ot_status ot__chip_redesign(ot_chip *chip);

#endif

/* map.h - the device's polynomials, re-centred for one chip.  Also what the tests compare with. */
#ifndef OT_CHIP_MAP_H
#define OT_CHIP_MAP_H

#include "kernels/draw.h"
#include "ohmtrim/chip.h"

/* X(z) of a chip with this delta_sys, whose cells have delta = delta_sys + sigma_rand z. */
void ot__cell_map_make(ot_cell_map *out, const ot_device *dev, double delta_sys, double sigma_rand);
/* Every X, and so every weight, times gain > 0. */
void ot__cell_map_scale(ot_cell_map *map, double gain);
/* sigma = sqrt(systematic^2 + random^2), split by sys_share. */
double ot__sigma_sys(const ot_variation *var);
double ot__sigma_rand(const ot_variation *var);
/* Which words of a cell mean that it is stuck. */
ot_faults ot__faults_of(const ot_variation *var);

#endif

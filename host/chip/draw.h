/* draw.h - drawing a layer's weights: one loop, built for several instruction sets, same bits from all. */
#ifndef OT_CHIP_DRAW_H
#define OT_CHIP_DRAW_H

#include "kernels/draw.h"

#include <stddef.h>

/* w[i] for weights 0..n-1 of the layer from their signed magnitudes q[i]. */
typedef void (*ot__draw_fn)(float *w, const int32_t *q, size_t n, const ot_cell_map *map, ot_draw_key key, int bits, double step);

/* out[i] = normal i % 4 of group `group` + i / 4, for i of 0..n-1: what ot_cell_normal gives cells, for any purpose. */
typedef void (*ot__normals_fn)(float *out, size_t n, uint32_t group, ot_draw_key key, ot_purpose purpose);

typedef struct ot__draw_variant {
    const char *name;          /* "x86-64-v4", "x86-64-v3", "base" */
    ot__draw_fn fn;
    ot__normals_fn normals;
    int         usable;        /* on this processor */
} ot__draw_variant;

enum { OT_DRAW_VARIANTS = 3 };
/* Fastest first; gives how many there are in this build.  The last, "base", is always usable. */
int ot__draw_variants(ot__draw_variant out[OT_DRAW_VARIANTS]);
/* The first usable one. */
ot__draw_fn ot__draw_pick(void);
ot__normals_fn ot__normals_pick(void);

void ot__normals_base(float *out, size_t n, uint32_t group, ot_draw_key key, ot_purpose purpose);
void ot__draw_base(float *w, const int32_t *q, size_t n, const ot_cell_map *map, ot_draw_key key, int bits, double step);
void ot__normals_v3(float *out, size_t n, uint32_t group, ot_draw_key key, ot_purpose purpose);
void ot__draw_v3(float *w, const int32_t *q, size_t n, const ot_cell_map *map, ot_draw_key key, int bits, double step);
void ot__normals_v4(float *out, size_t n, uint32_t group, ot_draw_key key, ot_purpose purpose);
void ot__draw_v4(float *w, const int32_t *q, size_t n, const ot_cell_map *map, ot_draw_key key, int bits, double step);

#endif

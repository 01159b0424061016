/* cell.h - from normals to the conductance of cells, and from cells to a weight (DESIGN 4.4, device-model 4-6).
 *
 * On a chip with systematic variation d, a cell in state s (LRS or HRS) with the normal z has
 *
 *     G = clip(g_s p_s(u), g_min, g_max),  u = clip((d + sigma_rand z) / domain, -1, 1),  X = G / (g_L - g_H)
 *
 * Once a chip the host turns p_s, in double, into a polynomial in z itself (ot__cell_map_make, host/chip/map.c), the clip of u
 * into a clip of z, and subtracts g_H / (g_L - g_H) from every X.  That constant cancels between the two arrays of a weight;
 * without it an HRS cell is 0 and an LRS cell 1 on a chip with no variation, exactly.  A weight of signed magnitude q is
 *
 *     sgn(q) sum_j 2^j (X_own,j - X_other,j) step,     step = max|w| / (2^B - 1)
 *
 * own: the array of its sign (q > 0: positive), whose cell j is in LRS where bit j of |q| is set; all other cells are in HRS.  That is
 * the sum over the positive array less the sum over the negative one, so a weight of magnitude 0 needs no sign. */
#ifndef OT_KERNELS_CELL_H
#define OT_KERNELS_CELL_H

#include "kernels/hd.h"

enum { OT_MAP_TERMS = 16 };

/* X of one chip's cells as a function of z.  Terms past a polynomial's degree are 0: evaluating them changes no bit. */
typedef struct ot_cell_map {
    float c[2][OT_MAP_TERMS];     /* LRS, HRS: coefficients of (z - z_centre)^k */
    int   n_terms[2];             /* terms up to the last that is not 0, at least 1 */
    float z_min, z_max;           /* |u| <= 1 */
    float z_centre;               /* where the polynomials are centred: 0, but for a delta_sys beyond the domain */
    float x_min, x_max;           /* g_min, g_max */
} ot_cell_map;

OT_HD float ot_clip(float x, float least, float most)
{
    x = x < least ? least : x;
    return x > most ? most : x;
}

/* The polynomials' argument. */
OT_HD float ot_cell_z(float z, const ot_cell_map *map) { return ot_clip(z, map->z_min, map->z_max) - map->z_centre; }

/* sum_k c[k] z^k, k < n. */
OT_HD float ot_cell_poly(const float *c, int n, float z)
{
    float p = c[n - 1];
#if defined(__CUDACC__)
#pragma unroll
#elif !defined(__clang__)
#pragma GCC unroll 16
#endif
    for (int k = n - 2; k >= 0; k--) p = ot_fma(p, z, c[k]);
    return p;
}

/* The sum over bits goes from bit 0 up: this adds bit `bit` of a weight q whose cells there drew z_positive and z_negative. */
OT_HD float ot_cell_add(float sum, int bit, int32_t q, float z_positive, float z_negative, const ot_cell_map *map, int n_lrs, int n_hrs)
{
    float z_own = ot_cell_z(q < 0 ? z_negative : z_positive, map), z_other = ot_cell_z(q < 0 ? z_positive : z_negative, map);
    int32_t m = q < 0 ? -q : q;
    float lrs = ot_cell_poly(map->c[0], n_lrs, z_own), hrs = ot_cell_poly(map->c[1], n_hrs, z_own);
    float own = ot_clip(m & (1 << bit) ? lrs : hrs, map->x_min, map->x_max);
    float other = ot_clip(ot_cell_poly(map->c[1], n_hrs, z_other), map->x_min, map->x_max);
    return ot_fma((float)(1 << bit), own - other, sum);
}

/* The weight, once its bits are summed. */
OT_HD float ot_cell_weight(float sum, int32_t q, double step)
{
    return (float)((double)(q < 0 ? -sum : sum) * step);
}

#endif

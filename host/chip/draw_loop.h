/* draw_loop.h - the fast drawing loop, written so that the compiler turns its inner loops into vector code.
 *
 * Included by draw_base.c, draw_v3.c and draw_v4.c, which differ only in the names OT_DRAW, OT_NORMALS and the instruction set they are built
 * for.  Two weights have 4 B cells, exactly B groups, whatever B is.  So a block takes OT_LANES pairs of weights side by side:
 * first all their normals, group by group, z[cell of the pair][lane], then, parity by parity and bit by bit, the cells.  Every loop
 * over lanes is free of branches, and all arithmetic is that of kernels/, so the bits are those of ot_draw_weight. */
#include "chip/draw.h"
#include "chip/words.h"

typedef struct lanes {
    float   z[4 * 16][OT_LANES];
    float   sum[2][OT_LANES];
    int32_t q[2][OT_LANES];
} lanes;

static void draw_normals(lanes *l, uint32_t first_group, ot_draw_key key, int bits)
{
    uint32_t x[4][OT_LANES];
    for (int j = 0; j < bits; j++) {
        float *restrict z0 = l->z[4 * j], *restrict z1 = l->z[4 * j + 1], *restrict z2 = l->z[4 * j + 2], *restrict z3 = l->z[4 * j + 3];
        draw_words(x, first_group + (uint32_t)j, (uint32_t)bits, key, OT_PURPOSE_CELLS);
        for (int i = 0; i < OT_LANES; i++) {
            ot_normal_pair(&z0[i], &z1[i], x[0][i], x[1][i]);
            ot_normal_pair(&z2[i], &z3[i], x[2][i], x[3][i]);
        }
    }
}

/* n_lrs, n_hrs: constants where this is inlined, at least the terms that are not 0. */
OT_HD void draw_cells(lanes *l, const ot_cell_map *map, int bits, int n_lrs, int n_hrs)
{
    for (int parity = 0; parity < 2; parity++) {
        float *restrict sum = l->sum[parity];
        const int32_t *restrict q = l->q[parity];
        for (int i = 0; i < OT_LANES; i++) sum[i] = 0.0f;
        for (int j = 0; j < bits; j++) {
            const float *restrict zp = l->z[2 * bits * parity + j], *restrict zn = l->z[2 * bits * parity + bits + j];
            for (int i = 0; i < OT_LANES; i++) sum[i] = ot_cell_add(sum[i], j, q[i], zp[i], zn[i], map, n_lrs, n_hrs);
        }
    }
}

/* The presets' degrees, and everything else. */
static void draw_cells_6_8(lanes *l, const ot_cell_map *map, int bits) { draw_cells(l, map, bits, 6, 8); }
static void draw_cells_any(lanes *l, const ot_cell_map *map, int bits) { draw_cells(l, map, bits, OT_MAP_TERMS, OT_MAP_TERMS); }

void OT_DRAW(float *w, const int32_t *q, size_t n, const ot_cell_map *map, ot_draw_key key, int bits, double step)
{
    lanes l = {0};
    const ot_cell_map m = *map;
    for (size_t pair = 0; 2 * pair < n; pair += OT_LANES) {
        size_t left = n - 2 * pair, here = left < 2 * OT_LANES ? left : 2 * OT_LANES;
        for (size_t i = 0; i < here; i++) l.q[i % 2][i / 2] = q[2 * pair + i];
        draw_normals(&l, (uint32_t)(pair * (size_t)bits), key, bits);
        if (m.n_terms[0] <= 6 && m.n_terms[1] <= 8) draw_cells_6_8(&l, &m, bits);
        else draw_cells_any(&l, &m, bits);
        for (size_t i = 0; i < here; i++) w[2 * pair + i] = ot_cell_weight(l.sum[i % 2][i / 2], l.q[i % 2][i / 2], step);
    }
}

void OT_NORMALS(float *out, size_t n, uint32_t group, ot_draw_key key, ot_purpose purpose)
{
    uint32_t x[4][OT_LANES];
    float z[4][OT_LANES];
    for (size_t at = 0; at < n; at += 4 * OT_LANES, group += OT_LANES) {
        draw_words(x, group, 1, key, purpose);
        for (int i = 0; i < OT_LANES; i++) {
            ot_normal_pair(&z[0][i], &z[1][i], x[0][i], x[1][i]);
            ot_normal_pair(&z[2][i], &z[3][i], x[2][i], x[3][i]);
        }
        if (n - at >= 4 * OT_LANES)
            for (size_t i = 0; i < OT_LANES; i++)
                for (size_t k = 0; k < 4; k++) out[at + 4 * i + k] = z[k][i];
        else
            for (size_t i = 0; i < n - at; i++) out[at + i] = z[i % 4][i / 4];
    }
}

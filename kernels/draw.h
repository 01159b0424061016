/* draw.h - one weight of one chip, cell by cell: the readable statement of what drawing is (DESIGN 4.5).
 *
 * Cell number of bit j of weight w, polarity 0 positive, 1 negative: (2 w + polarity) B + j.  Cell n takes normal n % 4 of
 * group n / 4.  Loops that are fast do the same in another order and must give the same bits (host/chip/draw_loop.h). */
#ifndef OT_KERNELS_DRAW_H
#define OT_KERNELS_DRAW_H

#include "kernels/cell.h"
#include "kernels/normal.h"
#include "kernels/philox.h"

/* Which draw: what every cell of a layer shares. */
typedef struct ot_draw_key {
    uint64_t seed;
    uint32_t layer, chip;
} ot_draw_key;

/* Cells that stay in one state whatever is written: a cell draws a word of its own; below `lrs` it is stuck in LRS, else below `any` in HRS.
 * Shares of cells times 2^32; both 0: no faults, and no word is drawn. */
typedef struct ot_faults { uint64_t lrs, any; } ot_faults;

/* The normal of cell `n` of the layer. */
OT_HD float ot_cell_normal(ot_draw_key key, uint64_t n)
{
    uint32_t x[4];
    float z[2];
    ot_philox(&x[0], &x[1], &x[2], &x[3], key.seed, (uint32_t)(n / 4), key.layer, key.chip, OT_PURPOSE_CELLS);
    ot_normal_pair(&z[0], &z[1], x[n % 4 / 2 * 2], x[n % 4 / 2 * 2 + 1]);
    return z[n % 2];
}

/* Weight number `w` of the layer, of signed magnitude q. */
OT_HD float ot_draw_weight(const ot_cell_map *map, ot_draw_key key, int bits, uint64_t w, int32_t q, double step)
{
    float sum = 0.0f;
    for (int j = 0; j < bits; j++)
        sum = ot_cell_add(sum, j, q, ot_cell_normal(key, 2 * w * (uint64_t)bits + (uint64_t)j),
                          ot_cell_normal(key, (2 * w + 1) * (uint64_t)bits + (uint64_t)j), map, map->n_terms[0],
                          map->n_terms[1]);
    return ot_cell_weight(sum, q, step);
}

/* Whether cell `n`, which ought to be in LRS (1) or HRS (0), is in LRS. */
OT_HD int ot_cell_state(ot_draw_key key, ot_faults faults, uint64_t n, int wanted)
{
    uint32_t x[4];
    ot_philox(&x[0], &x[1], &x[2], &x[3], key.seed, (uint32_t)(n / 4), key.layer, key.chip, OT_PURPOSE_FAULTS);
    const uint32_t word = x[n % 4];
    return word < faults.lrs ? 1 : word < faults.any ? 0 : wanted;
}

/* The same weight with stuck cells; with none it is ot_draw_weight's, to the bit. */
OT_HD float ot_draw_weight_faulty(const ot_cell_map *map, ot_draw_key key, ot_faults faults, int bits, uint64_t w, int32_t q, double step)
{
    const int32_t m = q < 0 ? -q : q;
    float         sum = 0.0f;
    for (int j = 0; j < bits; j++) {
        float x[2];                                   /* positive, negative */
        for (int array = 0; array < 2; array++) {
            const uint64_t n = (2 * w + (uint64_t)array) * (uint64_t)bits + (uint64_t)j;
            const int      own = array == (q < 0), s = ot_cell_state(key, faults, n, own && (m >> j & 1)) ? 0 : 1;
            x[array] = ot_clip(ot_cell_poly(map->c[s], map->n_terms[s], ot_cell_z(ot_cell_normal(key, n), map)), map->x_min, map->x_max);
        }
        sum = ot_fma((float)(1 << j), q < 0 ? x[1] - x[0] : x[0] - x[1], sum);
    }
    return ot_cell_weight(sum, q, step);
}

#endif

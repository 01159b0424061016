/* self_test.c - what a chip's own column of known cells says of it (paper 003's GTM, with the device model's cells).
 *
 * The column's weights are 1: a cell in LRS in the positive array, one in HRS in the negative.  A weight of any magnitude is made of such
 * differences, and their mean on this chip is what all its weights are multiplied by, on average; the column's output over its ideal
 * output, a number stored with the design, estimates that mean.  Its cells have the chip's delta_sys and delta_rand of their own: normal
 * 2 i and 2 i + 1 of the chip's self-tuning draws for pair i.  Its cells are taken to be whole ones: stuck cells are left out of it. */
#include "chip/draw.h"
#include "chip/map.h"

#include "base/fail.h"

ot_status ot_chip_self_test(double *estimate, const ot_device *dev, const ot_variation *var, uint32_t number, int cells)
{
    enum { PAIRS = 512 };
    const ot_draw_key    key = {.seed = var->seed, .layer = UINT32_MAX, .chip = number};
    const ot__normals_fn normals = ot__normals_pick();
    ot_cell_map          map;
    double               sum = 0.0;
    float                z[2 * PAIRS];
    OT_TRY(ot_variation_check(var));
    OT_TRY(ot_device_check(dev));
    if (!(cells >= 1 && cells <= 100000000)) OT_FAIL(OT_E_RANGE, "self-test on %d cells, want 1..100000000", cells);
    ot__cell_map_make(&map, dev, ot_chip_delta_sys_of(var, number), ot__sigma_rand(var));
    for (int first = 0; first < cells; first += PAIRS) {
        const int n = cells - first < PAIRS ? cells - first : PAIRS;
        normals(z, 2 * (size_t)n, (uint32_t)(first / 2), key, OT_PURPOSE_SELF_TUNING);
        for (int i = 0; i < n; i++) {
            float lrs = ot_clip(ot_cell_poly(map.c[OT_LRS], map.n_terms[OT_LRS], ot_cell_z(z[2 * i], &map)), map.x_min, map.x_max);
            float hrs = ot_clip(ot_cell_poly(map.c[OT_HRS], map.n_terms[OT_HRS], ot_cell_z(z[2 * i + 1], &map)), map.x_min, map.x_max);
            sum += (double)(lrs - hrs);
        }
    }
    *estimate = sum / cells - 1.0;
    return OT_OK;
}

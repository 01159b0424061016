/* map.c - variation: its settings checked, its share of a chip drawn, and the device's polynomials re-centred around it.
 *
 * The device gives p(u), u = delta / domain.  On one chip delta = d + sigma_rand z, so u = u0 + h z with u0 = d / domain and
 * h = sigma_rand / domain, and p(u0 + h z) is again a polynomial in z: a Taylor shift, here by repeated synthetic division in double,
 * then rounded to float once.  That is done once a chip; 2 B polynomials a weight then need no u at all. */
#include "chip/map.h"

#include "base/fail.h"
#include "kernels/draw.h"

ot_status ot_variation_check(const ot_variation *var)
{
    if (!(var->sigma >= 0.0 && var->sigma <= 0.08))
        OT_FAIL(OT_E_RANGE, "sigma = %g, want 0..0.08 (a fraction of gamma0; the device model holds no further)", var->sigma);
    if (!(var->sys_share >= 0.0 && var->sys_share <= 1.0))
        OT_FAIL(OT_E_RANGE, "sys_share = %g, want 0..1 (the systematic share of the variance)", var->sys_share);
    if (!(var->stuck_lrs >= 0.0 && var->stuck_hrs >= 0.0 && var->stuck_lrs + var->stuck_hrs <= 1.0))
        OT_FAIL(OT_E_RANGE, "stuck_lrs = %g, stuck_hrs = %g, want shares of all cells, 0..1 each and together", var->stuck_lrs, var->stuck_hrs);
    if (!(var->bits >= 2 && var->bits <= 16)) OT_FAIL(OT_E_RANGE, "bits = %d, want 2..16 (magnitude bits a weight)", var->bits);
    return OT_OK;
}

double ot__sigma_sys(const ot_variation *var) { return var->sigma * sqrt(var->sys_share); }
double ot__sigma_rand(const ot_variation *var) { return var->sigma * sqrt(1.0 - var->sys_share); }

ot_faults ot__faults_of(const ot_variation *var)
{
    return (ot_faults){(uint64_t)(var->stuck_lrs * 0x1p32), (uint64_t)((var->stuck_lrs + var->stuck_hrs) * 0x1p32)};
}

double ot_chip_delta_sys_of(const ot_variation *var, uint32_t number)
{
    uint32_t x[4];
    float z[2];
    ot_philox(&x[0], &x[1], &x[2], &x[3], var->seed, 0, 0, number, OT_PURPOSE_SYSTEMATIC);
    ot_normal_pair(&z[0], &z[1], x[0], x[1]);
    return ot__sigma_sys(var) > 0.0 ? ot__sigma_sys(var) * (double)z[0] : 0.0;      /* never -0 */
}

/* a[k] of sum_k p[k] u^k = sum_k a[k] (u - u0)^k. */
static void taylor_shift(double *a, const double *p, int n, double u0)
{
    for (int k = 0; k < n; k++) a[k] = p[k];
    for (int k = 0; k < n - 1; k++)
        for (int i = n - 2; i >= k; i--) a[i] += u0 * a[i + 1];
}

void ot__cell_map_make(ot_cell_map *out, const ot_device *dev, double delta_sys, double sigma_rand)
{
    const double z_most = 7.0;                                 /* no normal is beyond OT_NORMAL_MAX: a bound further out is no bound */
    double u0 = delta_sys / dev->domain, h = sigma_rand / dev->domain, centre = u0 < -1.0 ? -1.0 : u0 > 1.0 ? 1.0 : u0;
    double d = dev->g[OT_LRS] - dev->g[OT_HRS], x_hrs = dev->g[OT_HRS] / d;
    double z_min = -z_most, z_max = z_most, z_centre = 0.0;
    if (h > 0.0 && (1.0 - u0) / h > -z_most && (-1.0 - u0) / h < z_most) {
        z_min = (-1.0 - u0) / h, z_max = (1.0 - u0) / h, z_centre = (centre - u0) / h;
    } else h = 0.0;                                            /* all cells at one u: no randomness, or all beyond the domain */
    memset(out, 0, sizeof *out);
    for (int s = OT_LRS; s <= OT_HRS; s++) {
        double a[OT_DEVICE_MAX_POLY], scale = dev->g[s] / d;
        out->n_terms[s] = 1;
        taylor_shift(a, dev->poly[s], dev->n_poly[s], centre);
        for (int k = 0; k < dev->n_poly[s]; k++, scale *= h) {
            out->c[s][k] = (float)(scale * a[k] - (k == 0 ? x_hrs : 0.0));
            if (out->c[s][k] != 0.0f) out->n_terms[s] = k + 1;
        }
    }
    out->z_min = (float)(z_min > -z_most ? z_min : -z_most);
    out->z_max = (float)(z_max < z_most ? z_max : z_most);
    out->z_centre = (float)z_centre;
    out->x_min = (float)(dev->g_min / d - x_hrs);
    out->x_max = (float)(dev->g_max / d - x_hrs);
}

void ot__cell_map_scale(ot_cell_map *map, double gain)
{
    for (int s = OT_LRS; s <= OT_HRS; s++)
        for (int k = 0; k < OT_MAP_TERMS; k++) map->c[s][k] = (float)((double)map->c[s][k] * gain);
    map->x_min = (float)((double)map->x_min * gain);
    map->x_max = (float)((double)map->x_max * gain);
}

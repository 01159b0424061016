/* device.c - f(G, gamma) of one cell, what makes an ot_device sound, and how much of a population it covers. */
#include "ohmtrim/device.h"
#include "base/fail.h"

#include <math.h>
#include <stdio.h>

static const char *const state_name[2] = {"lrs", "hrs"};

double ot_device_conductance(const ot_device *dev, ot_state s, double delta)
{
    double u = fmin(1, fmax(-1, delta / dev->domain)), sum = 0;
    for (int k = dev->n_poly[s] - 1; k >= 0; k--) sum = sum * u + dev->poly[s][k];
    return fmin(dev->g_max, fmax(dev->g_min, dev->g[s] * sum));
}

ot_status ot_device_check(const ot_device *dev)
{
    if (!(dev->domain > 0 && dev->domain <= 0.5))
        OT_FAIL(OT_E_RANGE, "domain = %g, want more than 0 and at most 0.5 (a fraction of gamma0)", dev->domain);
    if (!(dev->valid_min >= -dev->domain && dev->valid_min < 0))
        OT_FAIL(OT_E_RANGE, "valid_min = %g, want -domain = %g or more, and below 0", dev->valid_min, -dev->domain);
    if (!(dev->g_min > 0 && dev->g_min < dev->g_max && dev->g_max <= 1))
        OT_FAIL(OT_E_RANGE, "g_min = %g and g_max = %g, want 0 < g_min < g_max <= 1 siemens", dev->g_min, dev->g_max);
    if (!(dev->max_rel_error >= 0 && dev->max_rel_error < 1e6))
        OT_FAIL(OT_E_RANGE, "max_rel_error = %g, want 0 or more", dev->max_rel_error);
    for (int s = 0; s < 2; s++) {
        if (!(dev->g[s] >= dev->g_min && dev->g[s] <= dev->g_max))
            OT_FAIL(OT_E_RANGE, "g_%s = %g, want g_min..g_max = %g..%g siemens", state_name[s], dev->g[s], dev->g_min, dev->g_max);
        if (dev->n_poly[s] < 1 || dev->n_poly[s] > OT_DEVICE_MAX_POLY)
            OT_FAIL(OT_E_RANGE, "poly_%s has %d coefficients, want 1..%d", state_name[s], dev->n_poly[s], OT_DEVICE_MAX_POLY);
        if (!(dev->poly[s][0] == 1)) OT_FAIL(OT_E_RANGE, "poly_%s[0] = %g, want 1", state_name[s], dev->poly[s][0]);
        for (int k = 0; k < dev->n_poly[s]; k++)
            if (!(fabs(dev->poly[s][k]) <= 1e6))
                OT_FAIL(OT_E_RANGE, "poly_%s[%d] = %g, want -1e6..1e6", state_name[s], k, dev->poly[s][k]);
        if (!(fabs(dev->s[s]) <= 1e6)) OT_FAIL(OT_E_RANGE, "s_%s = %g, want -1e6..1e6", state_name[s], dev->s[s]);
    }
    enum { GRID = 256 };
    for (int i = 0; i <= GRID; i++) {
        double delta = dev->valid_min + (dev->domain - dev->valid_min) * i / GRID;
        double l = ot_device_conductance(dev, OT_LRS, delta), h = ot_device_conductance(dev, OT_HRS, delta);
        if (!(l > h))
            OT_FAIL(OT_E_RANGE, "at delta = %g LRS has %g and HRS %g siemens, want LRS above HRS from valid_min to domain", delta,
                    l, h);
    }
    return OT_OK;
}

void ot_device_tail(const ot_device *dev, double sigma, double out[2])
{
    out[0] = out[1] = 0;
    if (!(sigma > 0)) return;
    if (dev->valid_min > -dev->domain) out[0] = 0.5 * erfc(-dev->valid_min / (sigma * sqrt(2)));
    out[1] = erfc(dev->domain / (sigma * sqrt(2)));
}

int ot_device_warning(const ot_device *dev, double sigma, char *out, size_t n_bytes)
{
    double tail[2];
    char below[96] = "", beyond[96] = "";
    ot_device_tail(dev, sigma, tail);
    if (tail[0] > 1e-6)
        snprintf(below, sizeof below, "%.3g cells in a million lie below delta = %g, where writing fails", tail[0] * 1e6,
                 dev->valid_min);
    if (tail[1] > 1e-6)
        snprintf(beyond, sizeof beyond, "%.3g in a million beyond +-%g, where f is held constant", tail[1] * 1e6, dev->domain);
    if (n_bytes) *out = 0;
    if (!*below && !*beyond) return 0;
    snprintf(out, n_bytes, "device %s: at sigma %g %s%s%s", dev->name, sigma, below, *below && *beyond ? "; " : "", beyond);
    return 1;
}

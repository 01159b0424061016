/* program.c - writes a cell: SET and RESET in turn until both levels repeat.
 *
 * What a cell was before hardly matters (0.03 % for SET, 0.06 % for RESET), so two rounds do; where the two levels come
 * close, each depends on the other and more rounds are needed.  Relaxed levels may lie beyond the gap's bounds, so that
 * f(gamma) has no kink to fit; the next pulse starts from the gap that the device would really have. */
#include "device/cell.h"
#include "base/fail.h"

#include <math.h>

enum { MOST_ROUNDS = 40 };
static const double SAME = 1e-8; /* nm: 4e-8 in conductance */

ot_status ot_programming_check(const ot_programming *p)
{
    if (ot_pulse_check(&p->set) != OT_OK) return ot__fail_prefix(OT_E_RANGE, "SET: ");
    if (ot_pulse_check(&p->reset) != OT_OK) return ot__fail_prefix(OT_E_RANGE, "RESET: ");
    if (!(p->set.volts > 0)) OT_FAIL(OT_E_RANGE, "SET voltage = %g, want it positive", p->set.volts);
    if (!(p->reset.volts < 0)) OT_FAIL(OT_E_RANGE, "RESET voltage = %g, want it negative", p->reset.volts);
    if (!(p->domain >= 0.02 && p->domain <= 0.3))
        OT_FAIL(OT_E_RANGE, "domain = %g, want 0.02..0.3 (a fraction of gamma0)", p->domain);
    for (int s = 0; s < 2; s++)
        if (p->degree[s] < 1 || p->degree[s] >= OT_DEVICE_MAX_POLY)
            OT_FAIL(OT_E_RANGE, "degree = %d, want 1..%d", p->degree[s], OT_DEVICE_MAX_POLY - 1);
    return OT_OK;
}

static double inside(double gap) { return fmin(CELL_GAP_MAX, fmax(CELL_GAP_MIN, gap)); }

ot_status ot_programming_levels(ot_levels *out, const ot_programming *p, double delta, int relaxed)
{
    ot_pulse_result low = {.gap = 0.25}, high = {.gap = 0};
    ot_levels r = {.t_max = 0};
    for (int round = 0; round < MOST_ROUNDS; round++) {
        double was_low = low.gap, was_high = high.gap;
        OT_TRY(ot_pulse_run(&high, &p->reset, inside(low.gap), 1 + delta, relaxed));
        OT_TRY(ot_pulse_run(&low, &p->set, inside(high.gap), 1 + delta, relaxed));
        r.pulses += 2;
        r.t_max = fmax(r.t_max, fmax(low.t_max, high.t_max));
        if (fabs(low.gap - was_low) < SAME && fabs(high.gap - was_high) < SAME) break;
    }
    r.gap[OT_LRS] = low.gap, r.gap[OT_HRS] = high.gap;
    r.g[OT_LRS] = low.conductance, r.g[OT_HRS] = high.conductance;
    *out = r;
    return OT_OK;
}

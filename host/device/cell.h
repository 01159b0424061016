/* cell.h - the compact model of one RRAM cell and its access device, and what a programming pulse does to it.
 *
 * Chen and Yu's model with the ASU/Stanford parameters (device-model 1).  State: gap g of the filament [nm] and its
 * temperature T [K]; time in ns, so that a velocity in m/s is one in nm/ns.
 *
 *   dg/dt = -v0 [exp(-(Eag - x)/kT) - exp(-(Ear + x)/kT)]    x = (gamma - beta g^3) (a0/L) V_d
 *   dT/dt = |V_d I| / Cth - (T - T0)/tau                      I = I0 exp(-g/g0) sinh(V_d/V0)
 *
 * gamma, the quantity that varies from cell to cell, moves the gap only; current and read-out depend on the gap alone. */
#ifndef OT_DEVICE_CELL_H
#define OT_DEVICE_CELL_H

#include "ohmtrim/device.h"

#define CELL_GAP_MIN 0.1             /* nm: the filament touches */
#define CELL_GAP_MAX 1.7             /* nm: nothing left to dissolve */
#define CELL_T0      298.0           /* K */
#define CELL_V_READ  0.1             /* volts */

/* What the static equations give at gap g, temperature T and applied voltage v, with the derivatives an implicit step needs. */
typedef struct cell_rates {
    double f[2];                     /* dg/dt [nm/ns], dT/dt [K/ns] */
    double jacobian[2][2];           /* by g and T */
    double by_volts[2];              /* by the applied voltage */
} cell_rates;

double ot__cell_current(double gap, double v_d);                                /* amperes */
double ot__cell_conductance(double gap);                                        /* siemens at CELL_V_READ */
/* The voltage across the cell when v lies across cell and series element: I_cell(v_d) = I_series(v - v_d). */
double ot__cell_voltage(const ot_pulse *series, double gap, double v);
void   ot__cell_rates(cell_rates *out, const ot_pulse *series, double gamma_scale, double gap, double temperature, double v);

#endif

/* device.h - how one RRAM cell answers variation: f(G, gamma), from physics, presets, tables or a file.
 *
 *     ot_device dev;
 *     ot_status st = ot_device_open(&dev, "r1");                      // a preset, or a JSON file
 *     double g = ot_device_conductance(&dev, OT_LRS, 0.048);          // siemens
 *
 * G(delta) = clip(g_s * sum_k poly_s[k] u^k, g_min, g_max), u = clip(delta / domain, -1, 1), delta = gamma/gamma0 - 1,
 * poly_s[0] = 1 (device-model 4.1).  The polynomials come from pulses through the compact model (device-model 1-4).
 * Since 0.1. */
#ifndef OHMTRIM_DEVICE_H
#define OHMTRIM_DEVICE_H

#include "ohmtrim/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ot_state { OT_LRS = 0, OT_HRS = 1 } ot_state;
enum { OT_DEVICE_MAX_POLY = 16 };

typedef struct ot_device {
    char   name[64];
    double g[2];                               /* conductance at gamma0, siemens: LRS, HRS */
    int    n_poly[2];                          /* coefficients, 1..OT_DEVICE_MAX_POLY */
    double poly[2][OT_DEVICE_MAX_POLY];        /* poly[s][0] = 1 */
    double domain;                             /* |delta| beyond it is clamped, a fraction of gamma0 */
    double g_min, g_max;                       /* siemens */
    double s[2];                               /* d ln G / d ln gamma at gamma0 */
    double max_rel_error;                      /* of the worse of the two fits, over valid_min..domain; 0 for a table */
    double valid_min;                          /* writing works for delta >= this; -domain if everywhere.  Below it f is extrapolated */
    char   source[256];                        /* what made it: pulses, table file */
} ot_device;

double    ot_device_conductance(const ot_device *dev, ot_state s, double delta);
/* OT_E_RANGE unless all fields are finite, positive where they must be, and G_LRS > G_HRS from valid_min to domain. */
ot_status ot_device_check(const ot_device *dev);
/* A preset ("r1", "r2", "r3"), a JSON file as ot_device_save writes it, or a CSV table `state,mean,sigma` of measured cells
 * (docs/device.md).  OT_E_OPEN, OT_E_FORMAT, OT_E_VERSION, OT_E_DATA (numbers that make no device); *out untouched. */
ot_status ot_device_open(ot_device *out, const char *preset_or_path);
/* The same from memory; `name` stands in for the path in sentences. */
ot_status ot_device_parse(ot_device *out, const char *text, size_t n_bytes, const char *name);
/* As JSON, all digits: reading it back gives the same bits.  Whole or not at all; OT_E_WRITE. */
ot_status ot_device_save(const ot_device *dev, const char *path);
/* The presets by number, 0..: name and a line about it; NULL past the last. */
const char *ot_device_preset(int i, const char **what);
/* Fraction of cells whose total delta (sd sigma) lies outside the valid domain: [0] below valid_min, [1] beyond +-domain. */
void      ot_device_tail(const ot_device *dev, double sigma, double out[2]);
/* Where more than one cell in a million is out there: 1 and a sentence saying how many; else 0 and "".  256 bytes are enough. */
int       ot_device_warning(const ot_device *dev, double sigma, char *out, size_t n_bytes);

/* -- Programming pulses ------------------------------------------------------------------------------------------
 * A pulse rises from 0 to `volts` in edge_ns, stays width_ns, falls in edge_ns.  Cell and access device are in series;
 * positive volts SET (towards LRS), negative ones RESET. */
typedef enum ot_series {
    OT_SERIES_NONE,                            /* the cell sees the whole voltage */
    OT_SERIES_RESISTOR,                        /* I = V / a */
    OT_SERIES_LIMITER                          /* I = a tanh(V / b) (1 + c |V|), an access transistor's compliance */
} ot_series;

typedef struct ot_pulse {
    double    volts, width_ns, edge_ns;
    ot_series series;
    double    a, b, c;                         /* resistor: ohm; limiter: amperes, volts, per volt */
} ot_pulse;

typedef struct ot_pulse_result {
    double gap;                                /* nm, at the end */
    double conductance;                        /* siemens at 0.1 V */
    double t_max;                              /* K, the highest at a step's end */
    int    steps;                              /* of the integrator, rejected ones too */
} ot_pulse_result;

ot_status ot_pulse_check(const ot_pulse *p);
/* From `gap` nm (0.1..1.7) and room temperature, for a cell with gamma = gamma_scale gamma0 (0.5..1.5).  relaxed 0: the gap
 * stops at its bounds, as the device does; 1: it runs on, for fits.  OT_E_RANGE. */
ot_status ot_pulse_run(ot_pulse_result *out, const ot_pulse *p, double gap, double gamma_scale, int relaxed);

/* A way to write cells: SET and RESET repeated until the two levels no longer change (two rounds do; device-model 3). */
typedef struct ot_programming {
    ot_pulse set, reset;
    double   domain;                           /* fit for |delta| up to this, 0.02..0.3 */
    int      degree[2];                        /* of the polynomials, 1..OT_DEVICE_MAX_POLY - 1: LRS, HRS */
} ot_programming;
/* Preset r1: SET 2.2 V 1 us through a 150 uA limiter, RESET -1.7 V 1 us straight, edges of 1 ns. */
#define OT_PROGRAMMING_INIT                                                                                        \
    {.set = {.volts = 2.2, .width_ns = 1000, .edge_ns = 1, .series = OT_SERIES_LIMITER, .a = 150e-6, .b = 0.3, .c = 0.1}, \
     .reset = {.volts = -1.7, .width_ns = 1000, .edge_ns = 1, .series = OT_SERIES_NONE}, .domain = 0.25, .degree = {5, 7}}

typedef struct ot_levels {
    double g[2];                               /* siemens after SET and after RESET, not clipped where relaxed */
    double gap[2];                             /* nm */
    double t_max;                              /* K, of all pulses */
    int    pulses;                             /* run until nothing changed */
} ot_levels;

typedef struct ot_fit {
    double rel_error[2];                       /* largest |fit / sample - 1|: LRS, HRS */
    double t_max;                              /* K, hottest cell */
    int    samples, pulses;
} ot_fit;

ot_status ot_programming_check(const ot_programming *p);
/* The programming behind a preset.  OT_E_RANGE for a name that is none. */
ot_status ot_programming_preset(ot_programming *out, const char *preset);
/* The two levels of a cell with gamma = gamma0 (1 + delta).  OT_E_RANGE. */
ot_status ot_programming_levels(ot_levels *out, const ot_programming *p, double delta, int relaxed);
/* Polynomials of least largest relative error through samples of the programming; well under 5 s.  A cell counts as set
 * where G_LRS >= 2 G_HRS; out->valid_min is the lowest delta from which on all are.  `fit` may be NULL.
 * OT_E_RANGE where the nominal cell is not set, OT_E_NOMEM. */
ot_status ot_device_fit(ot_device *out, ot_fit *fit, const ot_programming *p);

#ifdef __cplusplus
}
#endif
#endif

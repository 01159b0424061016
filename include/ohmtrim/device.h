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
    double max_rel_error;                      /* of the fit, over the domain */
    double valid_min;                          /* the fit is physical for delta >= this (SET fails below); -domain if all is */
    char   source[256];                        /* what made it: pulses, table file */
} ot_device;

double    ot_device_conductance(const ot_device *dev, ot_state s, double delta);
/* OT_E_FORMAT/OT_E_RANGE unless all fields are finite, positive where they must be, and G_LRS > G_HRS over the domain. */
ot_status ot_device_check(const ot_device *dev);
/* "r1", "r2", "r3", or the path of a JSON file written by ot_device_save. */
ot_status ot_device_open(ot_device *out, const char *preset_or_path);
ot_status ot_device_save(const ot_device *dev, const char *path);
/* Fraction of cells whose total delta (sd sigma) lies outside the valid domain: [0] below valid_min, [1] beyond +-domain. */
void      ot_device_tail(const ot_device *dev, double sigma, double out[2]);

#ifdef __cplusplus
}
#endif
#endif

/* fleet.h - many chips of one network at once: drawn, run, measured and tuned together.  Part of the plan stage.
 *
 *     ot_backend *be;
 *     ot_status   st = ot_backend_open(&be, "auto", NULL);
 *     ot_variation    var = OT_VARIATION_INIT;
 *     ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
 *     opt.use = OT_PLAN_TUNE;
 *     opt.chips = 64;                                                   // in flight
 *     ot_fleet *fleet;
 *     uint32_t  numbers[64] = {0, 1, 2};                                // and so on
 *     int64_t   correct[64];
 *     st = ot_fleet_open(&fleet, be, net, &dev, &var, &opt);
 *     st = ot_fleet_draw(fleet, numbers, 64);
 *     st = ot_fleet_count(fleet, test, NULL, test->n, correct, NULL);
 *
 * On backend cuda all chips of a fleet run in the same launches, weights and images stay on the device, and the host waits only for
 * results.  On other backends a fleet runs its chips one after the other through one plan.  A chip's results do not depend on the
 * fleet it is in: not on how many chips are in flight, nor on which.  On "cuda:fp16" a chip with an infinity or NaN where the format is
 * too narrow is run again in float and counted (ot_fleet_reruns).  A fleet belongs to one thread.  Since 0.1. */
#ifndef OHMTRIM_FLEET_H
#define OHMTRIM_FLEET_H

#include "ohmtrim/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_fleet ot_fleet;

/* opt->chips: the most chips at once, 1 or more.  Borrows `be` and `net`, copies the rest.  OT_E_MEMORY_PLAN: they do not fit. */
ot_status ot_fleet_open(ot_fleet **out, ot_backend *be, const ot_network *net, const ot_device *dev, const ot_variation *var,
                        const ot_plan_options *opt);
void      ot_fleet_free(ot_fleet *f);
size_t    ot_fleet_bytes(const ot_fleet *f);
/* How many chips fit into `memory` bytes (0: nine tenths of what the device has free), at most `most`.  OT_E_MEMORY_PLAN: not even one. */
ot_status ot_fleet_fit(int *chips, ot_backend *be, const ot_network *net, const ot_plan_options *opt, size_t memory, int most);

/* On "cuda:fp16": a power of two for every layer's activations, from a float run of the ideal network on the first tile of `data`, so that
 * large ones do not overflow and small ones do not vanish.  Part of the result's identity: the same data gives the same bits.  Elsewhere
 * nothing happens. */
ot_status ot_fleet_calibrate(ot_fleet *f, const ot_data *data);
/* Chips numbers[0..n-1] become the fleet's chips 0..n-1, knobs 1, 0.  Below, n is that n and L the number of ReLU layers. */
ot_status ot_fleet_draw(ot_fleet *f, const uint32_t *numbers, int n);
/* The same chips, each with its crossbar layers' outputs multiplied by gain[k] (ot_chip_redraw_corrected), knobs as they are; NULL: not, as
 * ot_fleet_draw leaves them. */
ot_status ot_fleet_correct(ot_fleet *f, const double *gain);
int       ot_fleet_chips(const ot_fleet *f);                              /* n */
uint32_t  ot_fleet_number(const ot_fleet *f, int k);
double    ot_fleet_delta_sys(const ot_fleet *f, int k);
int       ot_fleet_reruns(const ot_fleet *f);                             /* chips run again in float since the fleet was opened */
const ot_network *ot_fleet_network(const ot_fleet *f);
/* Weights of chip k's crossbar layer, ONNX order, as the backend holds them. */
ot_status ot_fleet_weights(ot_fleet *f, int k, int crossbar, float *out);
/* gain, offset (n, L), or NULL for the network's own (1 and 0; thresholds and 0); rules of ot_plan_set_knobs. */
ot_status ot_fleet_set_knobs(ot_fleet *f, const float *gain, const float *offset);

/* As ot_plan_forward, for each chip: logits (n, images, classes), layer_mean (n, images, L).  `data` is copied to the device at its first
 * use and must not change while the fleet lives. */
ot_status ot_fleet_forward(ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images, float *logits, float *layer_mean);
/* As ot_plan_count: correct (n), bits (n, (images + 7) / 8). */
ot_status ot_fleet_count(ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images, int64_t *correct, uint8_t *bits);
/* As ot_plan_moments; fn is called for every chip of a layer before the next layer. */
typedef ot_status (*ot_fleet_moment_fn)(void *user, int chip, int relu, double mean, double sd, float *gain, float *offset);
ot_status ot_fleet_moments(ot_fleet *f, const ot_data *data, const uint32_t *index, int images, ot_fleet_moment_fn fn, void *user);

#ifdef __cplusplus
}
#endif
#endif

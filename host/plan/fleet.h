/* fleet.h - what the files of a fleet share.  The cuda half lives in fleet_many.c; where a backend has no `many` table, chips take turns
 * in one plan (fleet.c). */
#ifndef OT_PLAN_FLEET_H
#define OT_PLAN_FLEET_H

#include "ohmtrim/fleet.h"
#include "plan/impl.h"

/* A data set on the device. */
typedef struct ot__images_on {
    const ot_data *data;                   /* borrowed: what it is a copy of */
    void          *pixels, *values, *labels;
    int            odd;                    /* spiking: some of its pictures are refused, so that each that is asked for must be looked at */
} ot__images_on;
enum { OT_FLEET_DATA = 4 };

struct ot_fleet {
    ot_plan      *plan;
    ot_device     dev;
    ot_variation  var;
    ot_chip      *chip;                    /* the design's magnitudes; without `many` also the chip whose turn it is */
    int           most, n, loaded;         /* loaded: whose turn it was last, -1 nobody's */
    uint32_t     *numbers;                 /* (most) */
    float        *knobs;                   /* (most, 2 L) */
    double       *gains;                   /* (most) what outputs are multiplied by, 1 */
    int           corrected;               /* whether one is not 1 */
    int           reruns, narrow;          /* narrow: numbers may be too large for the backend's format */

    const ot_many_i *many;                 /* NULL: chips take turns */
    ot__images_on images[OT_FLEET_DATA];
    int           next_images;
    /* in the backend's memory */
    void         *d_maps, *d_numbers, *d_knobs, *d_moments, *d_taps, *d_right, *d_flags, *d_wanted, *d_norm;
    void         *d_counts, *d_counts_grad;          /* spiking: (most, tile, classes) as tensors of one frame an image */
    void         *d_rows, *d_bits;         /* grown */
    size_t        rows_bytes, bits_bytes;
    /* fp16: the same chips one at a time in float, opened when first wanted */
    ot_backend   *exact_backend;
    ot_fleet     *exact;
};

/* fleet.c: what works on chip k alone. */
ot_status ot__fleet_take_turn(ot_fleet *f, int k);
ot_status ot__fleet_exact(ot_fleet **out, ot_fleet *f, int k);            /* a fleet of chip k alone, in float, with its knobs */

/* fleet_many.c */
ot_status ot__fleet_many_open(ot_fleet *f);
void      ot__fleet_many_close(ot_fleet *f);
ot_status ot__fleet_many_draw(ot_fleet *f);
ot_status ot__fleet_many_knobs(ot_fleet *f);
ot_status ot__fleet_many_calibrate(ot_fleet *f, ot_plan *exact, const ot_data *data);     /* exact: of the same network, in float, ideal weights */
ot_status ot__fleet_many_forward(ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images, float *logits, float *layer_mean, int *flags);
ot_status ot__fleet_many_count(ot_fleet *f, const ot_data *data, const uint32_t *index, int64_t images, int64_t *correct, uint8_t *bits, int *flags);
ot_status ot__fleet_many_moments(ot_fleet *f, const ot_data *data, const uint32_t *index, int images, ot_fleet_moment_fn fn, void *user);
/* Spiking: layer by layer the knobs between low and high that bring each chip's mean firing rate on `images` <= tile images to rate (L), by
 * halving, all chips at once: into f->knobs.  `rising`: a rate rises with its knob. */
ot_status ot__fleet_many_match_rates(ot_fleet *f, const ot_data *data, const uint32_t *index, int images, const double *rate, double low, double high, int rising);
/* Adam or SGD: `steps` minibatches of `batch` rows, rows (steps, batch); knobs in and out through f->knobs. */
ot_status ot__fleet_many_adam(ot_fleet *f, const ot_data *data, const uint32_t *rows, int64_t batch, int64_t steps, const ot_many_rule *rule,
                              ot_many_adam_result *result);

#endif

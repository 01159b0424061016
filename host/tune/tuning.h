/* tuning.h - what the chips of a network share when they are tuned, for one chip (tuning.c) and for fleets (fleet.c). */
#ifndef OT_TUNE_TUNING_H
#define OT_TUNE_TUNING_H

#include "ohmtrim/tune.h"

struct ot_tuning {
    ot_tune_options opt;
    const ot_data  *train;             /* borrowed */
    int             relus;
    int64_t         n[4];              /* images of each list */
    uint32_t       *index[4];          /* ALL, SUBSET, MATCH, POLISH */
    double         *mean, *sd;         /* (L) the ideal's, on the MATCH images */
    double         *rate;              /* (L) its firing rates there; NULL: the network does not spike */
    const ot_data  *stimulus_of;       /* borrowed; NULL until there is a stimulus */
    uint32_t       *stimulus;
    int             n_stimulus;
    double         *stimulus_mean, *stimulus_sd;
};
enum { ALL, SUBSET, MATCH, POLISH };

/* Firing rates are matched with gains in here: as far as thresholds can be set on a chip, and some more. */
#define OT__RATE_LOW 0.5
#define OT__RATE_HIGH 2.0

/* The casebook's way of a tuner that looks there. */
ot_mender ot__mender_of(ot_tuner t);
/* Casebook and signature are there and fit, or a sentence; so for a stimulus. */
ot_status ot__tuning_may(const ot_tuning *t, ot_tuner tuner, const ot_casebook *cb, const float *signature);

/* Changes numbers of one chip at a time: no knobs, and no factor for all weights, bring such a chip back. */
int ot__tuner_alone(ot_tuner t);
/* All chips of the fleet corrected by their own columns of so many cells; knobs untuned. */
ot_status ot__tuning_self_fleet(ot_fleet *f, int cells);
/* What a network's knobs are, for matching: gain and offset; thresholds; gains of neurons that fire once. */
enum { OT__RECTIFIES, OT__SPIKES, OT__ONCE };
static inline int ot__knobs_of(const ot_network *net) { return !ot_network_spikes(net) ? OT__RECTIFIES : ot_network_once(net) ? OT__ONCE : OT__SPIKES; }

/* Matching's rule for one layer (closed_form.c): knobs from the ideal's and the chip's mean and spread. */
void ot__match(int spiking, double mean0, double sd0, double mean, double sd, float *gain, float *offset, ot_tune_cost *cost);

#endif

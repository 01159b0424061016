/* noise.h - accuracy of a network over chips of weight noise (quantise.h), self-tuned or not.  Part of the plan stage.
 *
 *     ot_noise_run run = {.noise = {.model = OT_NOISE_FIXED, .within = 0.5, .seed = 1}, .chips = 200};
 *     ot_noise_chip chip[200];
 *     ot_noise_summary s;
 *     ot_status st = ot_noise_measure(chip, net, "auto", test, &run);
 *     ot_noise_summarise(&s, chip, run.chips, test->n);
 *
 * A chip's result depends on (network, noise, self-tuning, its number, data, backend), not on the others nor on threads.  Since 0.1. */
#ifndef OHMTRIM_NOISE_H
#define OHMTRIM_NOISE_H

#include "ohmtrim/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_noise_run {
    ot_noise       noise;
    ot_self_tuning self_tuning;      /* no cells: none */
    uint32_t       first;            /* number of the first chip */
    int            chips;
    int            tile;             /* images at once; 0: 128 */
    int            threads;          /* 0: one a core */
} ot_noise_run;

typedef struct ot_noise_chip {
    int64_t correct;                 /* of the data's images */
    double  between, estimate;       /* eps_B, and what the chip's own module says it is (0 without) */
} ot_noise_chip;

/* out (run->chips).  OT_E_RANGE, OT_E_SHAPE, OT_E_UNSUPPORTED before anything is computed. */
ot_status ot_noise_measure(ot_noise_chip *out, const ot_network *net, const char *backend, const ot_data *data, const ot_noise_run *run);

typedef struct ot_noise_summary {
    double mean, low, high;          /* accuracy over chips, and 95 % of the mean: +-1.96 sd / sqrt(chips) */
    double sd, least, most;          /* of single chips */
    double error;                    /* root mean square of estimate - between */
} ot_noise_summary;
void ot_noise_summarise(ot_noise_summary *out, const ot_noise_chip *chip, int chips, int64_t images);

#ifdef __cplusplus
}
#endif
#endif

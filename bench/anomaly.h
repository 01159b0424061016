/* anomaly.h - chips with something wrong that variation alone does not make, for the bench of the screens. */
#ifndef OT_BENCH_ANOMALY_H
#define OT_BENCH_ANOMALY_H

#include "ohmtrim.h"

typedef enum anomaly_kind {
    ANOMALY_NONE,
    ANOMALY_DEAD,          /* share of one layer's output columns that give 0, at least one; which layer and which columns differs from chip to chip */
    ANOMALY_STUCK_LRS, ANOMALY_STUCK_HRS,      /* share of all cells */
    ANOMALY_NOISE,         /* converters: a fresh normal number for every neuron and image before the T-ReLU, in units of the layer's spread; classes too */
    ANOMALY_OFFSET,        /* converters: one normal number a column, in units of the column's spread */
    ANOMALY_GAIN,          /* each layer's T-ReLU has a gain of exp(amount * normal number) */
    ANOMALY_SIGMA,         /* another sigma: amount */
    ANOMALY_DEVICE,        /* another device: `strength` names it */
    ANOMALY_PERMUTED,      /* the output columns of one pointwise layer are in another order: wired or programmed wrongly */
    ANOMALY_CLASSES,       /* the first `amount` classes' columns are turned by one place */
    ANOMALY_LAYER,         /* one layer holds other weights of the same spread */
    ANOMALY_IMAGES,        /* the tester: the first `amount` images are turned by one place */
} anomaly_kind;

typedef struct anomaly {
    const char  *name, *strength;
    anomaly_kind kind;
    double       amount;
} anomaly;

extern const anomaly anomalies[];          /* the first is ANOMALY_NONE */
extern const int     n_anomalies;

/* One plan that chips are put into. */
typedef struct bed bed;
bed *bed_open(const char *net, const char *device, double sigma, const ot_data *data, uint64_t seed);
void bed_close(bed *b);
const ot_network *bed_network(const bed *b);
/* Chip `number`, with the anomaly, is in the bed from now on. */
void bed_load(bed *b, const anomaly *a, uint32_t number);
/* Its signature, k images. */
void bed_signature(float *out, bed *b, const uint32_t *stimulus, int k);
/* Its accuracy on the first n images. */
double bed_accuracy(bed *b, int n);

void must(ot_status st);                   /* or ends with the sentence */
void *room(size_t n, size_t size);         /* or ends */

#endif

/* resident.h - training on a backend with memory of its own (a GPU): images, parameters, optimiser and statistics stay there for an epoch.
 *
 * Once an epoch the host sends the order of the images, their crops and the learning rates; a minibatch is put together once, noted as a graph
 * and replayed.  Every so many minibatches the losses come back, at the epoch's end all else.  The result is that of the loop in train.c up to
 * rounding, and does not depend on when it is read. */
#ifndef OT_TRAIN_RESIDENT_H
#define OT_TRAIN_RESIDENT_H

#include "ohmtrim/train.h"

struct ot__trainer;
typedef struct ot__resident ot__resident;

/* Opens it if this training can be done so; else *out is NULL.  Quantising, noise, simulated chips and the penalty work on the host's weights:
 * for these the parameters come and go with every minibatch. */
ot_status ot__resident_open(ot__resident **out, struct ot__trainer *t);
void ot__resident_close(ot__resident *r);
/* Whether a training like this one will be resident, told by its options, network and an open backend. */
int ot__resident_fits(const struct ot__trainer *t, const ot_backend *be);
/* Some minibatches from t->step on: losses and right answers into t, t->step moved on. */
ot_status ot__resident_minibatches(ot__resident *r, struct ot__trainer *t);
/* Parameters, statistics and optimiser as they stand, into t. */
ot_status ot__resident_read(ot__resident *r, struct ot__trainer *t);

#endif

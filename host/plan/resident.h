/* resident.h - training plans whose parameters, gradients and images stay in the backend's memory: the host only puts work into its queue. */
#ifndef OT_PLAN_RESIDENT_H
#define OT_PLAN_RESIDENT_H

#include "backend/backend.h"

/* Whether this plan can be run so: a backend with such memory, and no spikes to be counted on the host. */
int ot__resident_can(const ot_plan *plan);
/* parameters: the flat vector of network.h, in the backend's memory. */
ot_status ot__resident_load(ot_plan *plan, const float *parameters);
/* A pass over n <= tile images as ot_plan_train does it, of parameters loaded before.  All pointers are to the backend's memory; input->wanted holds
 * the rows taken.  grad (parameters) and batch_statistics are written (where the loss does not depend on a parameter its gradient is let be); the
 * images' losses and right answers are added to *loss and *right. */
ot_status ot__resident_pass(ot_plan *plan, const ot_many_input *input, const int32_t *labels, int n, float *grad, float *batch_statistics, double *loss, int64_t *right);

#endif

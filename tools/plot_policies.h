/* plot_policies.h - learning-rate policies as a picture: the rate over the iterations of a run. */
#ifndef OT_PLOT_POLICIES_H
#define OT_PLOT_POLICIES_H

#include "ohmtrim/policy.h"

/* Policies for a run of `steps` iterations, an epoch of `epoch`.  As gnuplot_draw, and as ot_policy_for. */
ot_status plot_policies(const ot_policy *policies, int n, int steps, double epoch, const char *path);

#endif

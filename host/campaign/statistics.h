/* statistics.h - what summary.c shares with the tests. */
#ifndef OT_CAMPAIGN_STATISTICS_H
#define OT_CAMPAIGN_STATISTICS_H

#include "ohmtrim/campaign.h"

/* Mean of `difference` (n) with a 95 % interval: 2,000 resamples of the n values. */
ot_status ot__bootstrap(ot_rate *out, const double *difference, int n);

#endif

/* casebook.h - what a casebook holds: the test floor's arrays (floor.h) with their memory. */
#ifndef OT_TUNE_CASEBOOK_H
#define OT_TUNE_CASEBOOK_H

#include "ohmtrim/tune.h"

struct ot_casebook {
    ot_features features;
    ot_cases    cases;
    double     *ridge;                 /* (2 l, p + 1): each knob's coefficients and intercept; NULL until made */
    double      silhouette;
};

#endif

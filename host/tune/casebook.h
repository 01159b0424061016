/* casebook.h - what a casebook holds: the test floor's arrays (floor.h) with their memory. */
#ifndef OT_TUNE_CASEBOOK_H
#define OT_TUNE_CASEBOOK_H

#include "ohmtrim/tune.h"

struct ot_casebook {
    ot_features features;
    ot_cases    cases;
    ot_ridge_knobs ridge;              /* coef owned, intercept behind it; NULL until made */
    double      silhouette;
};

#endif

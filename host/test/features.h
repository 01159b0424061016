/* features.h - features for those who can do with none. */
#ifndef OT_TEST_FEATURES_H
#define OT_TEST_FEATURES_H

#include "ohmtrim/predictor.h"

/* As ot_features_fit on finite numbers, n >= 1; p is 0 where nothing varies. */
ot_status ot__features_make(ot_features *out, const float *signatures, int n, int s);

#endif

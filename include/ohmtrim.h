/* ohmtrim.h - all of ohmtrim: one header a stage, in the order data flows (each is the manual of its stage).
 *
 *     floor -> device -> network -> chip -> quantise -> plan -> train -> test -> tune -> recipe -> campaign -> report */
#ifndef OHMTRIM_H
#define OHMTRIM_H

#include "ohmtrim/base.h"
#include "ohmtrim/array.h"
#include "ohmtrim/floor.h"
#include "ohmtrim/device.h"
#include "ohmtrim/network.h"
#include "ohmtrim/data.h"
#include "ohmtrim/chip.h"
#include "ohmtrim/quantise.h"
#include "ohmtrim/plan.h"
#include "ohmtrim/fleet.h"
#include "ohmtrim/noise.h"
#include "ohmtrim/policy.h"
#include "ohmtrim/train.h"
#include "ohmtrim/test.h"
#include "ohmtrim/predictor.h"
#include "ohmtrim/screen.h"
#include "ohmtrim/select.h"
#include "ohmtrim/synthesise.h"
#include "ohmtrim/tune.h"
#include "ohmtrim/trial.h"
#include "ohmtrim/recipe.h"
#include "ohmtrim/learn.h"
#include "ohmtrim/campaign.h"
#include "ohmtrim/report.h"

#endif

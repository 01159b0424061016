/* structure.h - what a network computes, apart from its parameters and statistics: two networks that differ in nothing here and in no number there
 * give the same outputs. */
#ifndef OT_NETWORK_STRUCTURE_H
#define OT_NETWORK_STRUCTURE_H

#include "base/sha256.h"
#include "ohmtrim/network.h"

/* Adds layers with all their settings, how spikes run, and the input's normalisation; not names. */
void ot__network_add_structure(ot_sha256 *s, const ot_network *net);

#endif

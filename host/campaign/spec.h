/* spec.h - the keys of a campaign's spec, for those who store and compare them. */
#ifndef OT_CAMPAIGN_SPEC_H
#define OT_CAMPAIGN_SPEC_H

#include "ohmtrim/campaign.h"

typedef enum spec_role {
    SPEC_FIXED,        /* decides results: must be the same to continue a campaign */
    SPEC_GROWS,        /* may be given more on continuing: what is there stays right */
    SPEC_PLACE,        /* where something lies or is called: what it holds is compared, not its name */
    SPEC_CHOICE,       /* may change until an evaluation chip is measured */
} spec_role;
typedef enum spec_type { SPEC_TEXT, SPEC_INT, SPEC_REAL, SPEC_SEED, SPEC_TUNERS, SPEC_POLICY, SPEC_OPTIMIZER } spec_type;
typedef struct spec_key {
    const char *name;
    spec_role   role;
    spec_type   type;
    size_t      at;                /* in ot_campaign_spec */
    double      least, most;       /* TEXT: most is its room */
} spec_key;
enum { SPEC_VALUE = 600 };

int             ot__spec_keys(void);
const spec_key *ot__spec_key(int i);
void            ot__spec_value(char out[SPEC_VALUE], const ot_campaign_spec *spec, const spec_key *k);
/* 1, 2: this is the default of a key that campaigns written earlier lack; 2: and their hash is without it. */
int             ot__spec_later(const spec_key *k, const char *value);
int             ot__spec_has_tuner(const ot_campaign_spec *spec, ot_tuner t);
/* The first tuner of the spec that looks in the casebook; OT_TUNERS if none does. */
ot_tuner        ot__spec_casebook_tuner(const ot_campaign_spec *spec);

#endif

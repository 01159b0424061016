/* print_verdicts.h - what each rule makes of a campaign's evaluation chips, as a table or in JSON. */
#ifndef OT_PRINT_VERDICTS_H
#define OT_PRINT_VERDICTS_H

#include "cli.h"

void print_verdicts(const ot_campaign_learned *l);
/* Adds "evaluation" and "thresholds" to the object. */
void print_verdicts_json(cJSON *o, const ot_campaign_learned *l);

#endif

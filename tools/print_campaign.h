/* print_campaign.h - a campaign's results as a table or as JSON (DESIGN 5). */
#ifndef OT_PRINT_CAMPAIGN_H
#define OT_PRINT_CAMPAIGN_H

#include "cli.h"

ot_status print_campaign(const char *db_path, int json, int verdicts);

#endif

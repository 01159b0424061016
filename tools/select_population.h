/* select_population.h - a campaign's casebook chips, drawn again to answer new images. */
#ifndef OT_SELECT_POPULATION_H
#define OT_SELECT_POPULATION_H

#include "cli.h"

typedef struct select_population {
    ot_population        p;                  /* answers by drawing each chip again */
    ot_campaign_spec     spec;
    ot_campaign_answers *casebook;           /* untuned */
    ot_network          *net;
    ot_data             *test;
    ot_device            dev;
    char                 backend[1024];
    int                  threads, in_flight;
    size_t               memory;
    char                 progress[48];       /* what the line says while chips answer; "" for none */
} select_population;

/* The first `chips` casebook chips (0: all) of the campaign, which must be done with its casebook.  The backend is the campaign's unless --backend
 * is given. */
ot_status select_population_open(select_population *s, const cli_common *c, const char *db_path, int chips);
void      select_population_close(select_population *s);

#endif

/* report.h - what the parts of a report share. */
#ifndef OT_REPORT_REPORT_H
#define OT_REPORT_REPORT_H

#include "campaign/text.h"
#include "ohmtrim/report.h"

enum { REPORT_STEPS = 81 };                          /* thresholds of the curves: 0, 0.25, ... 20 points below the ideal accuracy */

typedef struct report {
    const char             *db_path, *dir;
    ot_campaign_spec        spec;
    ot_campaign_results    *r;
    char                    digest[65];
    ot_yield               *curve;                   /* (REPORT_STEPS) */
} report;

const char *report__name(const report *p, int entry);       /* "untuned", then the tuners */
ot_status   report__plot(const report *p);                  /* plot.c: yield, accuracy as svg and png from the csv files */
ot_status   report__verdicts(ot_text *t, const report *p);  /* verdicts.c: the predictive test */
ot_status   report__page(const report *p);                  /* page.c: index.html */

#endif

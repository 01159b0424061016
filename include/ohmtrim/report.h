/* report.h - a campaign as curves (svg, png by gnuplot), tables (csv) and a plain HTML page around them.  Since 0.1. */
#ifndef OHMTRIM_REPORT_H
#define OHMTRIM_REPORT_H

#include "ohmtrim/campaign.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes index.html, yield.{svg,png,csv}, accuracy.{svg,png,csv} into `dir` (made if missing).  OT_E_TOOL if gnuplot fails. */
ot_status ot_report_write(const char *db_path, const char *dir);

#ifdef __cplusplus
}
#endif
#endif

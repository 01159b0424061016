/* campaign.h - many chips, measured, tested and tuned, in one SQLite file that survives being killed (DESIGN 4.8, 4.10, 4.17).
 *
 *     ot_campaign_spec spec;
 *     ot_status st = ot_campaign_spec_read(&spec, "spec.yaml");
 *     st = ot_campaign_run("c.db", &spec, &how);
 * Since 0.1. */
#ifndef OHMTRIM_CAMPAIGN_H
#define OHMTRIM_CAMPAIGN_H

#include "ohmtrim/tune.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What decides the results.  Field names are the YAML keys and the long options of the command. */
typedef struct ot_campaign_spec {
    char            network[512];      /* ONNX file; its SHA-256 is stored */
    char            data[512];         /* NAME[:DIR] */
    int             test_limit;        /* test images, 0: all */
    int             train_limit;       /* training images the tuners draw from, 0: all */
    char            device_model[512];
    ot_variation    variation;         /* sigma, sys_share, bits, seed */
    int             casebook_chips;    /* chips 0..casebook-1 */
    int             chips;             /* evaluation chips, numbered after them */
    int             stimulus_images;   /* K */
    int             n_tuners;
    ot_tuner        tuners[OT_TUNERS];
    ot_tune_options tune;
    int             tile;
    char            backend[16];
} ot_campaign_spec;

void      ot_campaign_spec_defaults(ot_campaign_spec *spec);
ot_status ot_campaign_spec_check(const ot_campaign_spec *spec);
ot_status ot_campaign_spec_read(ot_campaign_spec *spec, const char *yaml_path);    /* over the defaults; unknown keys are errors */

/* How it is run: changes time and memory, never results. */
typedef struct ot_campaign_how {
    int    threads;          /* 0: one a core */
    size_t memory;           /* bytes; 0: no limit */
    int    durable;          /* synchronous = FULL */
    int    mixed;            /* resume although build or machine differ */
    volatile int *stop;      /* set to nonzero by a signal handler: finish the chips in hand and return OT_E_INTERRUPTED */
} ot_campaign_how;

ot_status ot_campaign_run(const char *db_path, const ot_campaign_spec *spec, const ot_campaign_how *how);
ot_status ot_campaign_digest(const char *db_path, char hex[65]);
ot_status ot_campaign_export_csv(const char *db_path, const char *dir_or_file);
ot_status ot_campaign_export_npz(const char *db_path, const char *path);

#ifdef __cplusplus
}
#endif
#endif

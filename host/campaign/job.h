/* job.h - what the parts of a running campaign share: inputs, the store, and one chip's results on their way into it. */
#ifndef OT_CAMPAIGN_JOB_H
#define OT_CAMPAIGN_JOB_H

#include "campaign/store.h"
#include "ohmtrim/campaign.h"

#include <pthread.h>

/* A stimulus as a data set of its own. */
typedef struct stimulus {
    int64_t id;
    int     n_signature;                   /* S */
    char    name[64];
    ot_data images;                        /* labels are of no use */
    uint32_t *index;                       /* 0..k-1 */
    float  *ideal;                         /* (2 L) the ideal network's moments; NULL until it was asked */
} stimulus;

typedef struct campaign {
    const ot_campaign_spec *spec;
    const ot_campaign_how  *how;
    ot_network  *net;
    ot_device    dev;
    ot_data     *train, *test;
    ot_tuning   *tuning;
    ot_casebook *casebook;                 /* NULL until it is finished and wanted */
    uint32_t    *casebook_chip;            /* its rows' chip numbers */
    uint32_t    *stimulus;                 /* (stimulus_images) of the test images */
    stimulus    *stimuli;                  /* of the store, by number: (n_stimuli); read for the responses */
    int          n_stimuli;
    stimulus    *main;                     /* the one that tuners look at: spec.stimulus */
    ot_layout    looks;                    /* what tuners look at of the stimulus' answers: full, or final */
    ot_ladder    ladder;                   /* that tuned thresholds are rounded to; bits 0: none, or no spiking network */
    int          fold;                     /* of the casebook chips that are tuned by the others */
    int          n_signature, n_relus;
    size_t       n_bits;                   /* bytes of packed right answers */
    char         network_sha[65], train_sha[65], test_sha[65], device_sha[65];
    char         backend[2304], libraries[256];
    ot_campaign_need need;
    int          fleet;                    /* chips run together on the device (fleet.c), not a thread each */

    ot_store    *store;
    int64_t      run;                      /* run_info.id of this process */
} campaign;

typedef enum job_role { JOB_CASEBOOK, JOB_CROSS, JOB_EVALUATE, JOB_RESPOND } job_role;
enum { FOLDS = 5 };                        /* of the casebook (run.c) */
typedef struct job {
    uint32_t chip;
    unsigned tuners;                       /* bit t: tuner t is wanted; to respond: its knobs are there */
    int      fresh;                        /* nothing of it is stored yet */
} job;

/* One chip, measured. */
typedef struct tuned {
    ot_tuner     tuner;
    float       *gain, *offset;            /* (L) */
    int          nearest;                  /* chip of the casebook, -1 if it was not asked */
    int64_t      correct, unrounded;       /* right answers; before knobs were rounded to the ladder */
    uint8_t     *bits, *unrounded_bits;
    ot_tune_cost cost;
} tuned;
typedef struct result {
    job      job;
    job_role role;
    double   delta_sys;
    uint64_t hash;
    char     failure[1024];                /* "" unless the chip cannot be computed */
    int64_t  correct;
    uint8_t *bits;
    float   *signature, *scratch;
    int      n_tuned;
    tuned    tuned[OT_TUNERS];
    void    *memory;
} result;

/* setup.c */
ot_status campaign__open(campaign *c, const ot_campaign_spec *spec, const ot_campaign_how *how);
ot_status campaign__hash(campaign *c);                               /* of network, images and device */
void      campaign__close(campaign *c);
/* Of a full signature what tuners look at; the same array where that is all of it. */
const float *campaign__looks(const campaign *c, const float *full, float *scratch);
ot_plan_options campaign__plan_options(const ot_campaign_spec *spec);
/* record.c: into the database and out of it */
ot_status campaign__adopt_choices(campaign *c);                      /* the libraries' share as it was measured when the campaign began */
ot_status campaign__continue(campaign *c, int is_new);              /* spec and build checked against what is stored, run_info begun */
ot_status campaign__finish(campaign *c, ot_status st);              /* run_info ended; gives st */
ot_status campaign__write_ideal(campaign *c, int64_t correct, const uint8_t *bits);
ot_status campaign__write(campaign *c, const result *r);            /* one transaction */
ot_status campaign__jobs(job **out, int *n, campaign *c, job_role role);
ot_status campaign__read_casebook(campaign *c, int without);         /* leaves out the chips of fold `without`, -1: none */
unsigned  campaign__menders(const ot_campaign_spec *spec);            /* bits of its tuners that a test floor has too */
/* measure.c: one chip */
ot_status campaign__result_make(result *r, const campaign *c);
void      campaign__result_free(result *r);
ot_status campaign__measure(result *r, const campaign *c, ot_plan *plan, ot_chip **chip, job j, job_role role);
/* fleet.c: n chips with the same tuners at once; results in the order of jobs */
ot_status campaign__measure_fleet(result *r, const campaign *c, ot_fleet *fleet, ot_chip **chip, const job *j, int n, job_role role);
/* stimuli.c */
ot_status campaign__read_stimuli(campaign *c);
void      campaign__free_stimuli(campaign *c);
/* respond.c: signatures and moments of chips with each set of knobs they have, for every stimulus */
typedef struct response response;
ot_status campaign__respond_jobs(job **out, int *n, campaign *c);
ot_status campaign__respond_ideal(campaign *c, ot_plan *plan);       /* for the stimuli that lack it */
ot_status campaign__response_make(response **out, const campaign *c, int chips);
void      campaign__response_free(response *r);
ot_status campaign__response_knobs(response *r, campaign *c, const job *j, int n);      /* from the store: under its mutex */
ot_status campaign__respond(response *r, const campaign *c, ot_fleet *fleet);
ot_status campaign__write_response(campaign *c, const response *r);  /* one transaction: under the mutex */

#endif

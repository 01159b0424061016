/* lab.h - what trials (lab.c), their table (trial_table.c) and recommendations (recommend.c) share. */
#ifndef OT_TUNE_LAB_H
#define OT_TUNE_LAB_H

#include "ohmtrim/trial.h"

#include <pthread.h>

enum { OT__CANDIDATE_TEXT = OT_POLICY_TEXT + 64 };

/* One trial that was run.  Its right answers: (points). */
typedef struct ot__trial {
    char candidate[OT__CANDIDATE_TEXT]; /* "adam 0 COS k0=0 k1=0.02 l=100%": optimiser, momentum, policy */
    uint32_t chip;
    double images, seconds;
    int64_t *right;
} ot__trial;

struct ot_lab {
    ot_trial_task task;
    char *key;
    ot_backend *be; /* of the first worker, named in the key */
    ot_tuning *tuning;
    int threads, points;
    struct ot__worker *worker; /* (threads) */
    struct ot__pool *pool;
    /* trials of this task, in the order in which they came; the lock guards them and the file */
    pthread_mutex_t lock;
    int locked, file; /* file: -1 without a table */
    ot__trial *trial;
    size_t n, room;
};

/* Makes lab->key; lab->be is open (lab_key.c). */
ot_status ot__lab_key(ot_lab *lab);

/* Its name in the table and here; the policy none is "FIX k0=lr". */
void ot__candidate_text(char out[OT__CANDIDATE_TEXT], const ot_lab *lab, const ot_candidate *c);
/* NULL if it is not there. */
const ot__trial *ot__lab_find(const ot_lab *lab, const char *candidate, uint32_t chip);
/* Puts it at the end and takes over its `right`; it is freed on failure. */
ot_status ot__lab_add(ot_lab *lab, ot__trial *t);

/* The file: opened, its rows of this task added to the lab, a line that was cut off by a kill taken away. */
ot_status ot__table_open(ot_lab *lab);
/* One line at its end, in one write. */
ot_status ot__table_write(const ot_lab *lab, const ot__trial *t);

#endif

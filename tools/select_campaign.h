/* select_campaign.h - `ohmtrim select FILE.db`: images by a campaign's correctness vectors. */
#ifndef OT_SELECT_CAMPAIGN_H
#define OT_SELECT_CAMPAIGN_H

#include "cli.h"

enum { SELECT_SWEEP = 16 };
typedef struct select_args {
    const cli_common *common;
    const char       *db, *name, *add, *state;      /* add: npz of images to put in; state: file of the remix loop */
    int               sweep[SELECT_SWEEP], n_sweep, chips, rounds;
    ot_remix_options  remix;                        /* its k, linkage, seed count everywhere */
} select_args;

ot_status select_campaign(const select_args *a);
/* Images of an npz (`images` (k, c, h, w)) into the file. */
ot_status select_add(const select_args *a);
/* `select --correct V.npy`: a measured matrix (images, chips) of 0 and 1. */
ot_status select_matrix(const select_args *a, const char *path);
void      select_print_cut(cJSON *o, const ot_selection *s);

#endif

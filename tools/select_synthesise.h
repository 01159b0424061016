/* select_synthesise.h - `ohmtrim select --synthesise`: a compact set of synthetic images of a network. */
#ifndef OT_SELECT_SYNTHESISE_H
#define OT_SELECT_SYNTHESISE_H

#include "cli.h"

typedef struct select_synthesise_args {
    const cli_common    *common;
    const char          *network;      /* NET.onnx */
    const char          *out;          /* F.npz */
    int                  k;            /* images to choose: 10 */
    int                  chips;        /* simulated ones that the choice is made on: 100 */
    int                  by_auc;       /* --by auc: wants --data; else by log det, which needs no data */
    double               noise;        /* of a measurement, in spreads of the responses: 0.1 */
    double               drop;         /* by auc: a good chip is at most this much below the ideal network: 0.02 */
    ot_synthesis_options opt;          /* seed: the common one */
} select_synthesise_args;

select_synthesise_args select_synthesise_defaults(const cli_common *common);
/* All of it: images, chips, choice, file, report on stdout. */
ot_status select_synthesise(const select_synthesise_args *a);

#endif

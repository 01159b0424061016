/* learn_arrays.h - chips for `learn` from files: npy arrays of measured chips, npz files of chips tested since. */
#ifndef OT_LEARN_ARRAYS_H
#define OT_LEARN_ARRAYS_H

#include "cli.h"

enum { ARRAY_UPDATES = 64 };
typedef struct array_files {
    const char *signatures, *accuracy, *knobs, *tuned_signatures, *tuned_accuracy;      /* NULL: not given */
    const char *updates[ARRAY_UPDATES];
    int         n_updates;
} array_files;

typedef struct learned_arrays learned_arrays;
ot_status      learn_arrays(learned_arrays **out, const ot_book_options *opt, const array_files *files);
void           learned_arrays_free(learned_arrays *l);
const ot_book *learned_arrays_book(const learned_arrays *l);
ot_status      learned_arrays_save(const learned_arrays *l, const char *path);

/* ot_campaign_learn, with the updates' chips. */
ot_status learn_campaign(ot_campaign_learned **out, const char *db_path, const ot_campaign_learn_options *opt, const array_files *files);

#endif

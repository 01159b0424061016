/* recipe.h - writing a recipe: everything the test floor needs to judge and mend one network's chips, in one file (docs/recipe.md).
 *
 *     ot_recipe r = {.layout = {OT_SIGNATURE_FULL, 10, 27, 10, 370}, .network = "mobilenet-s", .network_sha256 = sha};
 *     ...                                                        // judges, rule, mender: from the learners, borrowed
 *     ot_status st = ot_recipe_save(&r, "chip.recipe");
 *
 * Reading and evaluating is floor.h's; nothing here evaluates.  Equal recipes give equal bytes: no date is stored.  Since 0.1. */
#ifndef OHMTRIM_RECIPE_H
#define OHMTRIM_RECIPE_H

#include "ohmtrim/floor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ot_recipe_text { const char *key, *text; } ot_recipe_text;

/* All pointers are borrowed. */
typedef struct ot_recipe {
    ot_layout   layout;
    ot_judge    before;            /* learned from chips with knobs at 1, 0 ... */
    ot_judge    after;             /* ... and from chips with knobs set; only with has_after */
    int         has_after;
    ot_rule     rule;
    ot_mending  mending;
    const uint8_t     *stimulus;   /* (K, c, h, w), NULL: not in the recipe */
    int                c, h, w;
    const char *const *source;     /* (K) where each image came from, one line each; NULL: not said */
    /* Where it all came from; NULL: not said, but for the first two, which are wanted. */
    const char *network, *network_sha256, *commit, *spec_hash;
    const char *expected_error;    /* what to expect of the predictions, a sentence */
    const ot_recipe_text *texts;   /* (n_texts) more; keys of their own */
    int                   n_texts;
} ot_recipe;

/* The file's bytes, freed by the caller with ot_free.  They are opened by floor.h's reader before they are given out, so what cannot be
 * read is refused here, with the reader's sentence: OT_E_SHAPE, OT_E_DATA (a NaN, a gain below 1/64, ...), OT_E_FORMAT, OT_E_NOMEM. */
ot_status ot_recipe_write(void **out, size_t *n_bytes, const ot_recipe *r);
/* The same to a file, whole or not at all; OT_E_WRITE. */
ot_status ot_recipe_save(const ot_recipe *r, const char *path);

#ifdef __cplusplus
}
#endif
#endif

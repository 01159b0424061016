/* recipes.h - recipes made by hand for tests and benchmarks: models of every kind with random numbers in them. */
#ifndef OT_TESTS_RECIPES_H
#define OT_TESTS_RECIPES_H

#include "ohmtrim/recipe.h"

typedef struct recipe_plan {
    ot_signature_kind signature;
    int               images, relus, classes;
    int               features;            /* p, of the first judge; 0: all of the signature */
    ot_predictor_kind predictor;
    ot_screen_kind    screen;
    ot_mender         mender;
    int               cases, clusters;     /* chips of the casebook */
    int               after, stimulus;
    uint64_t          seed;
} recipe_plan;

typedef struct recipe_made {
    ot_recipe r;
    void     *block[128];
    int       n;
    uint64_t  state;
} recipe_made;

/* Aborts when memory is short.  A 4-feature MARS, MCD, learned recipe of 2 images, 2 layers, 3 classes is about 4 kB. */
void  recipe_make(recipe_made *m, const recipe_plan *plan);
void  recipe_unmake(recipe_made *m);
float recipe_uniform(recipe_made *m);      /* the next of the stream: -1..1 */
void  recipe_signature(recipe_made *m, float *signature);      /* a plausible one */

#endif

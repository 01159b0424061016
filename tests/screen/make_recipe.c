/* make_recipe.c - writes recipes made by hand: for the shell tests, the fuzz corpus and examples/.
 *
 *     make_recipe random FILE PREDICTOR SCREEN MENDER SIGNATURE AFTER     small, random numbers; AFTER 0 or 1
 *     make_recipe example FILE                                            examples/small.recipe */
#include "tests/recipes.c"

#include <stdio.h>

static int save(const ot_recipe *r, const char *path)
{
    ot_status st = ot_recipe_save(r, path);
    if (st != OT_OK) fprintf(stderr, "make_recipe: %s\n", ot_last_error());
    return ot_status_exit(st);
}

static int random_recipe(char **arg)
{
    recipe_made m;
    recipe_plan plan = {.images = 2, .relus = 2, .classes = 3, .features = 4, .cases = 6, .clusters = 2, .after = atoi(arg[5]), .stimulus = 1, .seed = 3};
    if (ot_predictor_parse(&plan.predictor, arg[1]) != OT_OK || ot_screen_parse(&plan.screen, arg[2]) != OT_OK || ot_mender_parse(&plan.mender, arg[3]) != OT_OK ||
        ot_signature_kind_parse(&plan.signature, arg[4]) != OT_OK) {
        fprintf(stderr, "make_recipe: %s\n", ot_last_error());
        return 2;
    }
    recipe_make(&m, &plan);
    int rc = save(&m.r, arg[0]);
    recipe_unmake(&m);
    return rc;
}

/* A network of 2 images, 2 layers, 3 classes whose chips differ in one number d: layer means are 1 + d, the class outputs 0.5 - d / 2.
 * Accuracy falls by 0.4 |d| from 0.9; the screen wants the two layers of image 0 to agree; three chips in the casebook. */
static int example(const char *path)
{
    static const int32_t feature[] = {0, 1, 4}, start[] = {0, 0, 1, 2}, hinge[] = {0, 0}, dir[] = {1, -1}, label[] = {0, 0, 1}, medoid[] = {1, 2};
    static const double  mean[] = {1, 1, 0.5}, sd[] = {0.1, 0.1, 0.05}, coef[] = {0.9, -0.04, -0.04}, cut[] = {0, 0}, centre[] = {0, 0, 0},
                        factor[] = {1, 0, 0, 0.95, 0.3122498999199199, 0, -0.95, -0.15, 0.2738612787525831};
    static const float   x[] = {-1, -1, 1, 1, 1, -1, 3, 3, -3}, gain[] = {1.1F, 1.05F, 0.9F, 0.95F, 0.75F, 0.875F}, offset[] = {0.02F, 0, -0.02F, 0, -0.05F, -0.01F};
    static const uint8_t pixels[] = {0, 64, 128, 255, 255, 128, 64, 0};
    static const char *const sources[] = {"drawn by hand: a ramp", "drawn by hand: the same, turned"};
    ot_judge j = {.features = {.s = 10, .p = 3, .feature = feature, .mean = mean, .sd = sd},
                  .predictor = {.kind = OT_PREDICTOR_MARS, .p = 3, .mars = {.terms = 3, .hinges = 2, .coef = coef, .start = start, .feature = hinge, .dir = dir, .cut = cut}},
                  .screen = {.kind = OT_SCREEN_MCD, .p = 3, .q = 3, .centre = centre, .factor = factor, .threshold = 16.27},
                  .low = -0.02, .high = 0.02, .rmse = 0.01, .sd = 0.01, .mean = 0};
    ot_recipe r = {.layout = {OT_SIGNATURE_FULL, 2, 2, 3, 10}, .before = j, .after = j, .has_after = 1,
                   .rule = {.kind = OT_RULE_000, .cutoff = 0.85, .guard = 0.01, .k = 1},
                   .mending = {.kind = OT_MENDER_LEARNED, .cases = {.n = 3, .p = 3, .l = 2, .clusters = 2, .x = x, .label = label, .medoid = medoid, .gain = gain, .offset = offset}},
                   .stimulus = pixels, .c = 1, .h = 2, .w = 2, .source = sources, .network = "an example made by hand",
                   .network_sha256 = "0000000000000000000000000000000000000000000000000000000000000000", .expected_error = "0.01 (made up)"};
    return save(&r, path);
}

int main(int argc, char **argv)
{
    if (argc == 8 && !strcmp(argv[1], "random")) return random_recipe(argv + 2);
    if (argc == 3 && !strcmp(argv[1], "example")) return example(argv[2]);
    fputs("usage: make_recipe random FILE PREDICTOR SCREEN MENDER SIGNATURE AFTER | example FILE\n", stderr);
    return 2;
}

/* bench_floor.c - microseconds to judge one chip on the test floor, knobs included; the goal is under 1 ms.
 *
 *     bench_floor
 *
 * Recipes with random models of the sizes that occur: S = 370 (10 images, ResNet-20's 27 layers, 10 classes), S = 1170 (10 images, 100
 * classes), a casebook of 1,000 chips.  One thread, its CPU time, a new signature each time.  Each row first checks accuracy and distance
 * against sums in long double, and that nothing is allocated. */
#include "base/build.h"
#include "tests/recipes.c"
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CHIPS = 64, ROUNDS = 21 };

/* The screen's distance (MRCD) once more, in long double. */
static double distance_again(const ot_judge *j, const double *x)
{
    int          p = j->screen.p;
    long double *z = ot_alloc((size_t)p, sizeof *z), d2 = 0;
    for (int i = 0; i < p; i++) {
        const double *row = j->screen.factor + (int64_t)i * p;
        z[i] = (long double)x[i] - (long double)j->screen.centre[i];
        for (int k = 0; k < i; k++) z[i] -= (long double)row[k] * z[k];
        z[i] /= (long double)row[i];
        d2 += z[i] * z[i];
    }
    ot_free(z);
    return (double)sqrtl(d2);
}

static double ridge_again(const ot_judge *j, const double *x)
{
    long double y = (long double)j->predictor.ridge.intercept;
    for (int k = 0; k < j->predictor.p; k++) y += (long double)j->predictor.ridge.coef[k] * (long double)x[k];
    return (double)y;
}

static void check(const recipe_made *m, ot_floor *f, const float *signature, const ot_floor_result *r)
{
    const ot_judge *j = &m->r.before;
    double         *x = ot_alloc((size_t)j->features.p, sizeof *x), a = NAN;
    ot_features_apply(x, &j->features, signature);
    double d = j->screen.kind == OT_SCREEN_MRCD ? distance_again(j, x) : r->distance;
    a = j->predictor.kind == OT_PREDICTOR_RIDGE ? ridge_again(j, x) : ot_predictor_value(&j->predictor, x);
    if (!(fabs(d - r->distance) <= 1e-9 * d && fabs(a - r->predicted) <= 1e-12)) {
        fprintf(stderr, "bench_floor: predicted %.17g, distance %.17g, want %.17g and %.17g\n", r->predicted, r->distance, a, d);
        exit(1);
    }
    (void)f;
    ot_free(x);
}

static void row(const recipe_plan *plan)
{
    recipe_made     m;
    void           *bytes;
    size_t          n;
    ot_floor       *f;
    ot_floor_result r;
    double          seconds[ROUNDS];
    recipe_make(&m, plan);
    must(ot_recipe_write(&bytes, &n, &m.r));
    double opening = cpu_seconds();
    must(ot_floor_read(&f, bytes, n, "bench"));
    opening = cpu_seconds() - opening;
    int    s = m.r.layout.length, l = m.r.layout.relus;
    float *signature = ot_alloc((size_t)s * CHIPS, sizeof *signature), *gain = ot_alloc((size_t)l, sizeof *gain), *offset = ot_alloc((size_t)l, sizeof *offset);
    if (!signature || !gain || !offset) must(OT_E_NOMEM);
    for (int i = 0; i < CHIPS; i++) recipe_signature(&m, signature + (size_t)i * (size_t)s);
    for (int i = 0; i < 4; i++) {
        must(ot_floor_screen(f, OT_FLOOR_BEFORE, signature + (size_t)i * (size_t)s, &r, gain, offset));
        check(&m, f, signature + (size_t)i * (size_t)s, &r);
    }
    size_t calls = ot_memory_now().calls;
    for (int k = 0; k < ROUNDS; k++) {
        double start = cpu_seconds();
        for (int i = 0; i < CHIPS; i++) must(ot_floor_screen(f, OT_FLOOR_BEFORE, signature + (size_t)i * (size_t)s, &r, gain, offset));
        seconds[k] = (cpu_seconds() - start) / CHIPS;
    }
    if (ot_memory_now().calls != calls) {
        fprintf(stderr, "bench_floor: judging allocates\n");
        exit(1);
    }
    qsort(seconds, ROUNDS, sizeof *seconds, by_value);
    printf("{\"bench\":\"floor\",\"S\":%d,\"p\":%d,\"predictor\":\"%s\",\"screen\":\"%s\",\"mender\":\"%s\",\"casebook\":%d,\"n\":%d,\"us_median\":%.2f,\"us_p10\":%.2f,"
           "\"us_p90\":%.2f,\"us_min\":%.2f,\"under_1_ms\":%s,\"open_ms\":%.2f,\"recipe_bytes\":%zu,\"commit\":\"%s\",\"compiler\":\"%s\"}\n",
           s, m.r.before.features.p, ot_predictor_name(plan->predictor), ot_screen_name(plan->screen), ot_mender_name(plan->mender), plan->cases, ROUNDS * CHIPS,
           1e6 * seconds[ROUNDS / 2], 1e6 * seconds[ROUNDS / 10], 1e6 * seconds[ROUNDS - 1 - ROUNDS / 10], 1e6 * seconds[0],
           seconds[ROUNDS / 2] < 1e-3 ? "true" : "false", 1e3 * opening, n, ot__build_commit(), ot__build_compiler());
    fflush(stdout);
    ot_free(offset);
    ot_free(gain);
    ot_free(signature);
    ot_floor_free(f);
    ot_free(bytes);
    recipe_unmake(&m);
}

int main(void)
{
    const struct { int relus, classes; ot_predictor_kind predictor; ot_screen_kind screen; ot_mender mender; } rows[] = {
        {27, 10, OT_PREDICTOR_MARS, OT_SCREEN_PCA_MCD, OT_MENDER_LEARNED},  {27, 10, OT_PREDICTOR_BOOST, OT_SCREEN_PCA_MCD, OT_MENDER_LEARNED},
        {27, 10, OT_PREDICTOR_MARS, OT_SCREEN_MRCD, OT_MENDER_LEARNED},     {27, 10, OT_PREDICTOR_RIDGE, OT_SCREEN_MRCD, OT_MENDER_KNN},
        {27, 10, OT_PREDICTOR_MARS, OT_SCREEN_MRCD, OT_MENDER_NEAREST},     {17, 100, OT_PREDICTOR_MARS, OT_SCREEN_PCA_MCD, OT_MENDER_LEARNED},
        {17, 100, OT_PREDICTOR_MARS, OT_SCREEN_MRCD, OT_MENDER_LEARNED},    {17, 100, OT_PREDICTOR_BOOST, OT_SCREEN_MRCD, OT_MENDER_KNN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        row(&(recipe_plan){.signature = OT_SIGNATURE_FULL, .images = 10, .relus = rows[i].relus, .classes = rows[i].classes, .predictor = rows[i].predictor,
                           .screen = rows[i].screen, .mender = rows[i].mender, .cases = 1000, .clusters = 20, .seed = i});
    return 0;
}

/* select_campaign.c - see select_campaign.h.
 *
 *     bits of the casebook chips -> tree -> for each K: clusters, medoids, and how well a predictor does with them
 *     --remix: the medoids, then rounds of filtered images; state in a file, so that a stopped loop goes on
 *     the images -> the campaign's file, as a stimulus with a name */
#include "select_campaign.h"

#include "base/fail.h"
#include "select_population.h"
#include "select_state.h"

#include <math.h>
#include <signal.h>
#include <string.h>

static volatile int stop;
static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

typedef struct work {
    select_population  who;
    ot_merge          *merges;
    ot_selection      *cut[SELECT_SWEEP];
    double             rmse[SELECT_SWEEP], random[SELECT_SWEEP];      /* of the predictor: with medoids, with random images */
    ot_images          asked;                /* medoids of every K, then random images */
    ot_remix           loop;
    ot_images          chosen;
    char               sha[65];
} work;

static void work_free(work *w)
{
    for (int i = 0; i < SELECT_SWEEP; i++) ot_selection_free(w->cut[i]);
    ot_images_free(&w->chosen), ot_images_free(&w->asked);
    ot_remix_free(&w->loop);
    ot_free(w->merges);
    select_population_close(&w->who);
}

static void take_test_image(ot_images *m, int at, const ot_data *test, int image)
{
    const size_t one = (size_t)m->c * (size_t)m->h * (size_t)m->w;
    memcpy(m->pixels + (size_t)at * one, test->pixels + (size_t)image * one, one);
    m->labels[at] = test->labels[image], m->number[at] = image;
    snprintf(m->what[at], OT_WHAT, "test image %d", image);
}

static ot_status cluster(work *w, const select_args *a)
{
    const ot_campaign_answers *c = w->who.casebook;
    ot_correctness *v = NULL;
    ot_status       st = OT_OK;
    const int       images = (int)c->images;
    for (int i = 0; i < a->n_sweep; i++)
        if (a->sweep[i] > images) OT_FAIL(OT_E_RANGE, "k = %d, want 1..%d (the test images)", a->sweep[i], images);
    if (!(w->merges = ot_alloc((size_t)images, sizeof *w->merges))) OT_NOMEM("clustering", (size_t)images * sizeof *w->merges);
    OT_TRY_TO(done, st, ot_correctness_make(&v, images, w->who.p.chips));
    for (int i = 0; i < w->who.p.chips; i++) ot_correctness_chip(v, i, c->bits + (size_t)i * c->n_bits);
    OT_TRY_TO(done, st, ot_correctness_tree(w->merges, v, a->remix.linkage, a->common->threads));
    for (int i = 0; i < a->n_sweep; i++) OT_TRY_TO(done, st, ot_correctness_select(&w->cut[i], v, w->merges, a->sweep[i], a->common->threads));
done:
    ot_correctness_free(v);
    return st;
}

/* Every K's medoids and as many random images, answered at once. */
static ot_status score(work *w, const select_args *a)
{
    const ot_population *p = &w->who.p;
    const ot_data       *test = w->who.test;
    int                  n = 0, at = 0;
    for (int i = 0; i < a->n_sweep; i++) n += 2 * a->sweep[i];
    OT_TRY(ot_images_make(&w->asked, n, test->c, test->h, test->w));
    uint32_t  *draw = ot_alloc((size_t)n, sizeof *draw);
    uint8_t   *right = ot_alloc((size_t)n, (size_t)p->chips);
    float     *responses = ot_alloc((size_t)n * (size_t)p->chips, (size_t)p->q * sizeof *responses);
    int       *chosen = ot_alloc((size_t)n, sizeof *chosen);
    ot_status  st = OT_OK;
    if (!draw || !right || !responses || !chosen) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for the answers of %d chips to %d images", p->chips, n);
    for (int i = 0; i < a->n_sweep; i++) {
        for (int k = 0; k < a->sweep[i]; k++) take_test_image(&w->asked, at++, test, w->cut[i]->medoid[k]);
        OT_TRY_TO(done, st, ot_stimulus_random(draw, a->sweep[i], test, a->remix.seed));
        for (int k = 0; k < a->sweep[i]; k++) take_test_image(&w->asked, at++, test, (int)draw[k]);
    }
    snprintf(w->who.progress, sizeof w->who.progress, "chips");
    OT_TRY_TO(done, st, p->answer(p->user, &w->asked, right, responses));
    for (int i = 0, first = 0; i < a->n_sweep; first += 2 * a->sweep[i++])
        for (int random = 0; random < 2; random++) {
            for (int k = 0; k < a->sweep[i]; k++) chosen[k] = first + random * a->sweep[i] + k;
            OT_TRY_TO(done, st, ot_stimulus_score(random ? &w->random[i] : &w->rmse[i], responses, n, chosen, a->sweep[i], p, &a->remix));
        }
done:
    ot_free(chosen), ot_free(responses), ot_free(right), ot_free(draw);
    return st;
}

/* The K that is chosen stands first in the sweep. */
static ot_status medoids(ot_images *m, const work *w, const select_args *a)
{
    const ot_data *test = w->who.test;
    OT_TRY(ot_images_make(m, a->remix.k, test->c, test->h, test->w));
    for (int k = 0; k < a->remix.k; k++) take_test_image(m, k, test, w->cut[0]->medoid[k]);
    return OT_OK;
}

/* -- Remix --------------------------------------------------------------------------------------------------------- */

static void print_round(const select_args *a, const ot_remix *r)
{
    if (a->common->json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "round", r->round);
        cli_json_number(o, "rmse", r->rmse);
        cli_json_number(o, "best_rmse", r->best_rmse);
        cJSON_AddNumberToObject(o, "best_round", r->best_round);
        cli_print_json(o);
    } else printf("round %3d: predictor's error %.3f points, best %.3f (round %d)\n", r->round, 100 * r->rmse, 100 * r->best_rmse, r->best_round);
    fflush(stdout);
}

static ot_status remix(work *w, const select_args *a)
{
    const ot_population *p = &w->who.p;
    ot_images first = {0};
    char      path[4200];
    int       found;
    if (a->state) snprintf(path, sizeof path, "%.4100s", a->state);
    else snprintf(path, sizeof path, "%.4000s.remix.npz", a->db);
    OT_TRY(select_state_read(&w->loop, &found, path, w->sha, &a->remix));
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    if (found) cli_say(a->common, "%s: going on after round %d\n", path, w->loop.round);
    else {
        OT_TRY(medoids(&first, w, a));
        ot_status st = ot_remix_start(&w->loop, &first, p, &a->remix);
        ot_images_free(&first);
        if (st == OT_OK) st = select_state_write(&w->loop, path, w->sha, &a->remix);
        OT_TRY(st);
        print_round(a, &w->loop);
    }
    while (w->loop.round < a->rounds && !stop) {
        snprintf(w->who.progress, sizeof w->who.progress, "round %d of %d, chips", w->loop.round + 1, a->rounds);
        OT_TRY(ot_remix_round(&w->loop, w->who.test, p, &a->remix));
        OT_TRY(select_state_write(&w->loop, path, w->sha, &a->remix));
        print_round(a, &w->loop);
    }
    if (stop) OT_FAIL(OT_E_INTERRUPTED, "stopped after round %d of %d; the same command goes on", w->loop.round, a->rounds);
    return OT_OK;
}

/* -- Reports ------------------------------------------------------------------------------------------------------- */

void select_print_cut(cJSON *o, const ot_selection *s)
{
    cJSON *medoid = cJSON_AddArrayToObject(o, "medoids"), *size = cJSON_AddArrayToObject(o, "sizes"), *spread = cJSON_AddArrayToObject(o, "spread");
    for (int k = 0; k < s->k; k++) {
        cJSON_AddItemToArray(medoid, cJSON_CreateNumber(s->medoid[k]));
        cJSON_AddItemToArray(size, cJSON_CreateNumber(s->size[k]));
        cJSON_AddItemToArray(spread, cJSON_CreateNumber(s->spread[k]));
    }
    cli_json_number(o, "distance", s->distance);
    cli_json_number(o, "within", s->within);
}

static void print_json(const work *w, const select_args *a, const char *name)
{
    for (int i = 0; i < a->n_sweep; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "k", a->sweep[i]);
        cJSON_AddStringToObject(o, "linkage", ot_linkage_name(a->remix.linkage));
        select_print_cut(o, w->cut[i]);
        cli_json_number(o, "cv_rmse", w->rmse[i]);
        cli_json_number(o, "random_cv_rmse", w->random[i]);
        if (!i && name) cJSON_AddStringToObject(o, "stimulus", name);
        cli_print_json(o);
    }
}

static void print_table(const work *w, const select_args *a)
{
    printf("%d images by %d chips, %s linkage\n", (int)w->who.casebook->images, w->who.p.chips, ot_linkage_name(a->remix.linkage));
    printf("    K  largest  smallest  to medoid  predictor's error, points  with K random images\n");
    for (int i = 0; i < a->n_sweep; i++) {
        const ot_selection *s = w->cut[i];
        printf("%5d  %7d  %8d  %9.2f  %25.3f  %20.3f\n", s->k, s->size[0], s->size[s->k - 1], s->distance, 100 * w->rmse[i], 100 * w->random[i]);
    }
}

static void print_images(const ot_images *m, const char *name, const char *db)
{
    printf("stimulus '%s':", name);
    for (int i = 0; i < m->n; i++) printf("%s %s (class %d)", i ? "," : "", m->what[i], m->labels[i]);
    printf("\n`ohmtrim campaign run SPEC.yaml -o %s` lets every chip answer it; `ohmtrim learn %s --stimulus %s` learns from it\n", db, db, name);
}

/* -- All ----------------------------------------------------------------------------------------------------------- */

static ot_status put(work *w, const select_args *a, char name[64])
{
    char source[160];
    if (a->name) snprintf(name, 64, "%s", a->name);
    else snprintf(name, 64, "%s-%d", a->rounds ? "remix" : "medoids", a->remix.k);
    if (a->rounds) {
        snprintf(source, sizeof source, "remix loop, best of %d rounds of %d candidates (round %d), seed %llu, %s linkage, %d chips", w->loop.round, a->remix.candidates,
                 w->loop.best_round, (unsigned long long)a->remix.seed, ot_linkage_name(a->remix.linkage), w->who.p.chips);
        return ot_campaign_add_stimulus(a->db, name, source, &w->loop.best);
    }
    snprintf(source, sizeof source, "medoids of %d clusters of correctness vectors, %s linkage, %d chips", a->remix.k, ot_linkage_name(a->remix.linkage), w->who.p.chips);
    OT_TRY(medoids(&w->chosen, w, a));
    return ot_campaign_add_stimulus(a->db, name, source, &w->chosen);
}

ot_status select_campaign(const select_args *a)
{
    work      w = {0};
    ot_status st;
    char      name[64] = "";
    OT_TRY_TO(done, st, select_population_open(&w.who, a->common, a->db, a->chips));
    OT_TRY_TO(done, st, ot_campaign_spec_hash(w.sha, a->db));
    OT_TRY_TO(done, st, cluster(&w, a));
    OT_TRY_TO(done, st, score(&w, a));
    if (!a->common->json) print_table(&w, a);
    if (a->rounds) OT_TRY_TO(done, st, remix(&w, a));
    if (!a->common->dry_run) OT_TRY_TO(done, st, put(&w, a, name));
    if (a->common->json) print_json(&w, a, name[0] ? name : NULL);
    else if (name[0]) print_images(a->rounds ? &w.loop.best : &w.chosen, name, a->db);
done:
    work_free(&w);
    return st;
}

/* -- Images and matrices from files ---------------------------------------------------------------------------------- */

ot_status select_add(const select_args *a)
{
    ot_npz   *z = NULL;
    ot_array  x = {0};
    ot_images m = {0};
    ot_status st;
    char      name[64], source[160];
    const char *base = strrchr(a->add, '/');
    OT_TRY_TO(done, st, ot_npz_open(&z, a->add));
    OT_TRY_TO(done, st, ot_npz_get(&x, z, "images"));
    if (x.type != OT_U8 || x.n_dims != 4 || x.dims[0] < 1 || x.dims[0] > 10000 || x.dims[1] > 3 || x.dims[2] > 4096 || x.dims[3] > 4096)
        OT_FAIL_TO(done, st, OT_E_SHAPE, "%s: images want bytes of shape (k, c, h, w)", a->add);
    OT_TRY_TO(done, st, ot_images_make(&m, (int)x.dims[0], (int)x.dims[1], (int)x.dims[2], (int)x.dims[3]));
    memcpy(m.pixels, x.data, (size_t)m.n * (size_t)(m.c * m.h * m.w));
    base = base ? base + 1 : a->add;
    for (int i = 0; i < m.n; i++) m.number[i] = -1, snprintf(m.what[i], OT_WHAT, "image %d of %.40s", i, base);
    snprintf(name, sizeof name, "%s", a->name ? a->name : "images");
    snprintf(source, sizeof source, "%d images of %.100s", m.n, base);
    OT_TRY_TO(done, st, ot_campaign_add_stimulus(a->db, name, source, &m));
    cli_say(a->common, "stimulus '%s': %s\n", name, source);
done:
    ot_images_free(&m);
    ot_array_free(&x);
    ot_npz_close(z);
    return st;
}

static ot_status read_matrix(ot_correctness **v, const char *path)
{
    ot_array  x = {0};
    ot_status st;
    OT_TRY_TO(done, st, cli_read_array(&x, path));
    if (x.n_dims != 2) OT_FAIL_TO(done, st, OT_E_SHAPE, "%s: %d dimensions, want (images, chips)", path, x.n_dims);
    if (x.dims[0] > 1000000 || x.dims[1] > 1000000) OT_FAIL_TO(done, st, OT_E_SHAPE, "%s: %lld images, %lld chips, want at most a million of each", path, (long long)x.dims[0], (long long)x.dims[1]);
    OT_TRY_TO(done, st, ot_array_convert(&x, OT_F64));
    OT_TRY_TO(done, st, ot_correctness_make(v, (int)x.dims[0], (int)x.dims[1]));
    for (int i = 0; i < (*v)->images; i++)
        for (int c = 0; c < (*v)->chips; c++) {
            const double one = ((const double *)x.data)[(size_t)i * (size_t)(*v)->chips + (size_t)c];
            if (one != 0 && one != 1) OT_FAIL_TO(done, st, OT_E_DATA, "%s: image %d, chip %d is %g, want 0 or 1", path, i, c, one);
            ot_correctness_set(*v, i, c, one != 0);
        }
done:
    ot_array_free(&x);
    return st;
}

static void print_matrix(const select_args *a, const ot_selection *s, const ot_merge *merges)
{
    if (!a->common->json) {
        printf("cluster  images  medoid  to medoid\n");
        for (int k = 0; k < s->k; k++) printf("%7d  %6d  %6d  %9.3f\n", k, s->size[k], s->medoid[k], s->spread[k]);
        return;
    }
    cJSON *o = cJSON_CreateObject(), *label, *height;
    cJSON_AddNumberToObject(o, "k", s->k);
    cJSON_AddStringToObject(o, "linkage", ot_linkage_name(a->remix.linkage));
    select_print_cut(o, s);
    label = cJSON_AddArrayToObject(o, "labels");
    for (int i = 0; i < s->images; i++) cJSON_AddItemToArray(label, cJSON_CreateNumber(s->label[i]));
    height = cJSON_AddArrayToObject(o, "heights");
    for (int m = 0; m < s->images - 1; m++) cJSON_AddItemToArray(height, cJSON_CreateNumber(merges[m].height));
    cli_print_json(o);
}

ot_status select_matrix(const select_args *a, const char *path)
{
    ot_correctness *v = NULL;
    ot_selection   *s = NULL;
    ot_merge       *merges = NULL;
    ot_status       st;
    OT_TRY_TO(done, st, read_matrix(&v, path));
    if (!(merges = ot_alloc((size_t)v->images, sizeof *merges))) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d images", v->images);
    OT_TRY_TO(done, st, ot_correctness_tree(merges, v, a->remix.linkage, a->common->threads));
    for (int i = 0; i < a->n_sweep; i++) {
        ot_selection_free(s);
        s = NULL;
        OT_TRY_TO(done, st, ot_correctness_select(&s, v, merges, a->sweep[i], a->common->threads));
        print_matrix(a, s, merges);
    }
done:
    ot_selection_free(s);
    ot_free(merges);
    ot_correctness_free(v);
    return st;
}

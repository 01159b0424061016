/* remix.c - the loop of paper 000 III.A: the images kept so far and filtered test images are put before all chips, clustered by who answers
 * them rightly, and one of each cluster is kept; the set with which accuracy is predicted best is remembered.
 *
 * A round is a function of (state, seed, round): stopping between rounds and going on later changes nothing. */
#include "ohmtrim/select.h"

#include "base/fail.h"
#include "kernels/philox.h"

#include <stdio.h>
#include <string.h>

ot_remix_options ot_remix_defaults(void)
{
    ot_remix_options o = {.k = 10, .candidates = 200, .linkage = OT_WARD, .seed = 1, .folds = 5, .predictor = ot_predictor_defaults(OT_PREDICTOR_MARS)};
    o.predictor.hold = 1;
    return o;
}

/* -- Images -------------------------------------------------------------------------------------------------------- */

void ot_images_free(ot_images *m)
{
    ot_free(m->what), ot_free(m->number), ot_free(m->labels), ot_free(m->pixels);
    *m = (ot_images){0};
}

ot_status ot_images_make(ot_images *out, int n, int c, int h, int w)
{
    const size_t images = (size_t)n, one = (size_t)c * (size_t)h * (size_t)w;
    *out = (ot_images){.n = n, .c = c, .h = h, .w = w};
    out->pixels = ot_alloc(images, one), out->labels = ot_alloc(images, sizeof *out->labels), out->number = ot_alloc(images, sizeof *out->number);
    out->what = ot_alloc(images, sizeof *out->what);
    if (!out->pixels || !out->labels || !out->number || !out->what) {
        ot_images_free(out);
        OT_NOMEM("images", images * (one + OT_WHAT + 8));
    }
    return OT_OK;
}

void ot_images_copy(ot_images *to, int at, const ot_images *from, int i)
{
    const size_t one = (size_t)to->c * (size_t)to->h * (size_t)to->w;
    memcpy(to->pixels + (size_t)at * one, from->pixels + (size_t)i * one, one);
    memcpy(to->what[at], from->what[i], OT_WHAT);
    to->labels[at] = from->labels[i], to->number[at] = from->number[i];
}

/* Candidate `index` of a round. */
static ot_status make_candidate(ot_images *m, int at, const ot_data *test, uint64_t seed, int round, int index)
{
    const size_t one = (size_t)m->c * (size_t)m->h * (size_t)m->w;
    uint32_t     word[4];
    ot_philox(&word[0], &word[1], &word[2], &word[3], seed, (uint32_t)index, (uint32_t)round, 1, OT_PURPOSE_IMAGES);
    const size_t image = (size_t)((uint64_t)word[2] * (uint64_t)test->n >> 32);
    ot_filter    f = ot_filter_random(seed, (uint32_t)round, (uint32_t)index, m->c);
    m->labels[at] = test->labels[image], m->number[at] = (int32_t)image;
    snprintf(m->what[at], OT_WHAT, "test image %zu, %s %g", image, ot_filter_name(f.kind), f.strength);
    return ot_filter_pixels(m->pixels + (size_t)at * one, test->pixels + image * one, m->c, m->h, m->w, f);
}

/* -- Scores -------------------------------------------------------------------------------------------------------- */

ot_status ot_stimulus_score(double *rmse, const float *responses, int n, const int *chosen, int k, const ot_population *p, const ot_remix_options *opt)
{
    const size_t chips = (size_t)p->chips, q = (size_t)p->q, s = (size_t)k * q;
    float       *signature = ot_alloc(chips, s * sizeof *signature);
    double      *predicted = ot_alloc(chips, sizeof *predicted);
    ot_status    st = OT_OK;
    if (!signature || !predicted) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %zu signatures of %zu numbers", chips, s);
    for (size_t c = 0; c < chips; c++)
        for (size_t i = 0; i < (size_t)k; i++)
            memcpy(signature + c * s + i * q, responses + (c * (size_t)n + (size_t)chosen[i]) * q, q * sizeof *signature);
    ot_cross_validation  cv;
    ot_predictor_options how = opt->predictor;
    how.threads = opt->threads;
    st = ot_predictor_cross_validate(&cv, predicted, signature, p->accuracy, p->chips, (int)s, opt->folds, opt->seed, &how);
    if (st == OT_OK) *rmse = cv.rmse;
done:
    ot_free(predicted);
    ot_free(signature);
    return st;
}

/* -- Rounds -------------------------------------------------------------------------------------------------------- */

typedef struct answers { uint8_t *right; float *responses; } answers;

static void answers_free(answers *a) { ot_free(a->responses), ot_free(a->right); }

static ot_status ask(answers *a, const ot_images *m, const ot_population *p)
{
    const size_t n = (size_t)m->n * (size_t)p->chips;
    a->right = ot_alloc(n, 1), a->responses = ot_alloc(n, (size_t)p->q * sizeof *a->responses);
    if (!a->right || !a->responses) OT_NOMEM("answers", n * ((size_t)p->q * 4 + 1));
    return p->answer(p->user, m, a->right, a->responses);
}

static ot_status check(const ot_remix_options *o, const ot_population *p, int images)
{
    if (o->k < 1 || o->k > 10000) OT_FAIL(OT_E_RANGE, "k = %d, want 1..10000", o->k);
    if (images != o->k) OT_FAIL(OT_E_RANGE, "%d images to begin with, want k = %d", images, o->k);
    if (o->candidates < 1 || o->candidates > 100000) OT_FAIL(OT_E_RANGE, "candidates = %d, want 1..100000", o->candidates);
    if (p->chips < 2 * o->folds) OT_FAIL(OT_E_RANGE, "%d chips, want at least %d for %d folds", p->chips, 2 * o->folds, o->folds);
    return OT_OK;
}

void ot_remix_free(ot_remix *r)
{
    ot_images_free(&r->best), ot_images_free(&r->kept);
    *r = (ot_remix){0};
}

static ot_status copy(ot_images *to, const ot_images *from)
{
    OT_TRY(ot_images_make(to, from->n, from->c, from->h, from->w));
    for (int i = 0; i < from->n; i++) ot_images_copy(to, i, from, i);
    return OT_OK;
}

ot_status ot_remix_start(ot_remix *r, const ot_images *first, const ot_population *p, const ot_remix_options *opt)
{
    answers   a = {0};
    int      *all = NULL;
    ot_status st = OT_OK;
    *r = (ot_remix){0};
    OT_TRY(check(opt, p, first->n));
    if (!(all = ot_alloc((size_t)first->n, sizeof *all))) OT_NOMEM("images", (size_t)first->n * sizeof *all);
    for (int i = 0; i < first->n; i++) all[i] = i;
    OT_TRY_TO(done, st, copy(&r->kept, first));
    OT_TRY_TO(done, st, copy(&r->best, first));
    OT_TRY_TO(done, st, ask(&a, first, p));
    st = ot_stimulus_score(&r->rmse, a.responses, first->n, all, first->n, p, opt);
    r->best_rmse = r->rmse;
done:
    answers_free(&a);
    ot_free(all);
    if (st != OT_OK) ot_remix_free(r);
    return st;
}

static ot_status choose(ot_selection **out, const answers *a, int n, const ot_population *p, const ot_remix_options *opt)
{
    ot_correctness *v = NULL;
    ot_merge       *merges = ot_alloc((size_t)n, sizeof *merges);
    ot_status       st = OT_OK;
    if (!merges) OT_NOMEM("clustering", (size_t)n * sizeof *merges);
    OT_TRY_TO(done, st, ot_correctness_make(&v, n, p->chips));
    for (int i = 0; i < n; i++)
        for (int c = 0; c < p->chips; c++) ot_correctness_set(v, i, c, a->right[(size_t)c * (size_t)n + (size_t)i]);
    OT_TRY_TO(done, st, ot_correctness_tree(merges, v, opt->linkage, opt->threads));
    st = ot_correctness_select(out, v, merges, opt->k, opt->threads);
done:
    ot_correctness_free(v);
    ot_free(merges);
    return st;
}

static ot_status mix(ot_images *m, const ot_remix *r, const ot_data *test, const ot_remix_options *opt)
{
    OT_TRY(ot_images_make(m, opt->k + opt->candidates, test->c, test->h, test->w));
    for (int i = 0; i < opt->k; i++) ot_images_copy(m, i, &r->kept, i);
    for (int i = 0; i < opt->candidates; i++) OT_TRY(make_candidate(m, opt->k + i, test, opt->seed, r->round + 1, i));
    return OT_OK;
}

ot_status ot_remix_round(ot_remix *r, const ot_data *test, const ot_population *p, const ot_remix_options *opt)
{
    answers       a = {0};
    ot_images     m = {0}, kept = {0}, best = {0};
    ot_selection *s = NULL;
    ot_status     st = OT_OK;
    double        rmse;
    OT_TRY(check(opt, p, r->kept.n));
    if (!test->pixels) OT_FAIL(OT_E_DATA, "%s: images of floats, filters want bytes", test->name);
    if (test->c != r->kept.c || test->h != r->kept.h || test->w != r->kept.w)
        OT_FAIL(OT_E_SHAPE, "%s: images of %d x %d x %d, kept ones of %d x %d x %d", test->name, test->c, test->h, test->w, r->kept.c, r->kept.h, r->kept.w);
    OT_TRY_TO(done, st, mix(&m, r, test, opt));
    OT_TRY_TO(done, st, ask(&a, &m, p));
    OT_TRY_TO(done, st, choose(&s, &a, m.n, p, opt));
    OT_TRY_TO(done, st, ot_stimulus_score(&rmse, a.responses, m.n, s->medoid, opt->k, p, opt));
    OT_TRY_TO(done, st, ot_images_make(&kept, opt->k, m.c, m.h, m.w));
    for (int i = 0; i < opt->k; i++) ot_images_copy(&kept, i, &m, s->medoid[i]);
    if (rmse < r->best_rmse) OT_TRY_TO(done, st, copy(&best, &kept));
    ot_images_free(&r->kept);
    r->kept = kept, r->rmse = rmse, r->round++;
    kept = (ot_images){0};
    if (best.n) {
        ot_images_free(&r->best);
        r->best = best, r->best_rmse = rmse, r->best_round = r->round;
        best = (ot_images){0};
    }
done:
    ot_selection_free(s);
    ot_images_free(&best), ot_images_free(&kept), ot_images_free(&m);
    answers_free(&a);
    return st;
}

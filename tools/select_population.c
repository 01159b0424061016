/* select_population.c - see select_population.h.
 *
 * A chip is its number, so what it answers to images nobody thought of when the campaign ran is computed now: chips are shared out to threads,
 * each of which draws its own, a fleet at a time.  An answer is right if the class output is the greatest for the label, ties to the
 * lowest class, which the signature itself says. */
#include "select_population.h"

#include "base/fail.h"
#include "base/progress.h"
#include "train/pool.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

typedef struct asking {
    const select_population *s;
    const ot_images *images;
    uint32_t        *all;                    /* 0, 1, .. */
    uint8_t         *right;
    float           *responses;
    ot_progress      line;
    pthread_mutex_t  mutex;
} asking;

static ot_data as_data(const ot_images *m, int classes)
{
    return (ot_data){.name = "images", .n = m->n, .c = m->c, .h = m->h, .w = m->w, .classes = classes, .pixels = m->pixels, .labels = m->labels};
}

static void mark(const asking *a, int chip)
{
    const int    n = a->images->n, q = a->s->p.q, classes = ot_network_classes(a->s->net);
    for (int i = 0; i < n; i++) {
        const float *out = a->responses + ((size_t)chip * (size_t)n + (size_t)i) * (size_t)q + (q - classes);
        int          best = 0;
        for (int k = 1; k < classes; k++)
            if (out[k] > out[best]) best = k;
        a->right[(size_t)chip * (size_t)n + (size_t)i] = best == a->images->labels[i];
    }
}

static ot_status ask_some(asking *a, ot_fleet *fleet, const ot_data *d, int first, int n)
{
    const size_t row = (size_t)a->images->n * (size_t)a->s->p.q;
    OT_TRY(ot_fleet_draw(fleet, a->s->casebook->chip + first, n));
    OT_TRY(ot_signature_measure_fleet(a->responses + (size_t)first * row, fleet, d, a->all, d->n));
    for (int i = 0; i < n; i++) mark(a, first + i);
    if (a->s->progress[0]) {
        pthread_mutex_lock(&a->mutex);
        ot__progress_add(&a->line, n, NULL);
        pthread_mutex_unlock(&a->mutex);
    }
    return OT_OK;
}

/* Job t of `threads`: every fleet of its own share. */
static ot_status ask_share(void *user, int t)
{
    asking                  *a = user;
    const select_population *s = a->s;
    const ot_data            d = as_data(a->images, s->test->classes);
    ot_plan_options          how = OT_PLAN_OPTIONS_INIT;
    ot_backend              *be = NULL;
    ot_fleet                *fleet = NULL;
    ot_status                st = OT_OK;
    const int first = (int)((int64_t)s->p.chips * t / s->threads), end = (int)((int64_t)s->p.chips * (t + 1) / s->threads);
    how.tile = s->spec.tile;
    how.chips = s->in_flight;
    OT_TRY_TO(done, st, ot_backend_open(&be, s->backend, NULL));
    OT_TRY_TO(done, st, ot_fleet_open(&fleet, be, s->net, &s->dev, &s->spec.variation, &how));
    OT_TRY_TO(done, st, ot_fleet_calibrate(fleet, s->test));
    for (int i = first; i < end && st == OT_OK; i += s->in_flight) st = ask_some(a, fleet, &d, i, end - i < s->in_flight ? end - i : s->in_flight);
done:
    ot_fleet_free(fleet);
    ot_backend_close(be);
    return st;
}

static ot_status answer(void *user, const ot_images *images, uint8_t *right, float *responses)
{
    const select_population *s = user;
    asking    a = {.s = s, .images = images, .right = right, .responses = responses, .mutex = PTHREAD_MUTEX_INITIALIZER};
    ot__pool *pool = NULL;
    ot_status st = OT_OK;
    if (!(a.all = ot_alloc((size_t)images->n, sizeof *a.all))) OT_NOMEM("images", (size_t)images->n * sizeof *a.all);
    for (uint32_t i = 0; i < (uint32_t)images->n; i++) a.all[i] = i;
    if (s->progress[0]) ot__progress_start(&a.line, s->progress, s->p.chips);
    OT_TRY_TO(done, st, ot__pool_open(&pool, s->threads));
    st = ot__pool_run(pool, s->threads, ask_share, &a);
done:
    if (s->progress[0]) ot__progress_end(&a.line);
    ot__pool_close(pool);
    ot_free(a.all);
    return st;
}

void select_population_close(select_population *s)
{
    ot_data_free(s->test);
    ot_network_free(s->net);
    ot_campaign_answers_free(s->casebook);
}

/* As many threads as cores and chips allow; a GPU has one. */
static ot_status choose_backend(select_population *s, const cli_common *c)
{
    cli_common      own = *c;
    ot_plan_options how = OT_PLAN_OPTIONS_INIT;
    ot_backend     *be;
    if (!cli_given(c, CLI_BACKEND)) own.backend = s->spec.backend;
    OT_TRY(cli_open_backend(&own, &be));
    ot_status st = ot_backend_identity(be, s->backend, sizeof s->backend);
    const int gpu = !strncmp(ot_backend_name(be), "cuda", 4);
    how.tile = s->spec.tile;
    s->threads = gpu ? 1 : c->threads ? c->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (s->threads > s->p.chips) s->threads = s->p.chips;
    if (s->threads < 1) s->threads = 1;
    s->in_flight = 1;
    if (st == OT_OK && gpu) st = ot_fleet_fit(&s->in_flight, be, s->net, &how, c->memory, s->p.chips);
    ot_backend_close(be);
    return st;
}

ot_status select_population_open(select_population *s, const cli_common *c, const char *db_path, int chips)
{
    cli_common own = *c;
    *s = (select_population){.memory = c->memory};
    OT_TRY(ot_campaign_spec_stored(&s->spec, db_path));
    OT_TRY(ot_campaign_answers_read(&s->casebook, db_path, "casebook", "untuned", "random", OT_SIGNATURE_FULL, 0));
    if (s->casebook->n < 10) OT_FAIL(OT_E_DATA, "%s: %d casebook chips have answered, want at least 10 to select by", db_path, s->casebook->n);
    own.device_model = s->spec.device_model;
    own.variation = s->spec.variation;
    OT_TRY(cli_open_network(&own, &s->net, s->spec.network));
    OT_TRY(ot_data_open(&s->test, s->spec.data, OT_SPLIT_TEST, s->spec.test_limit));
    OT_TRY(ot_data_check(s->test, s->net));
    if (!s->test->pixels) OT_FAIL(OT_E_DATA, "%s: images of floats, selection wants bytes", s->spec.data);
    if (s->test->n != s->casebook->images) OT_FAIL(OT_E_MISMATCH, "%s has %d test images, %s was measured on %lld", s->spec.data, s->test->n, db_path, (long long)s->casebook->images);
    OT_TRY(cli_open_device(&own, &s->dev));
    s->p = (ot_population){.chips = chips && chips < s->casebook->n ? chips : s->casebook->n, .q = ot_signature_length(s->net, 1), .accuracy = s->casebook->accuracy,
                           .answer = answer, .user = s};
    return choose_backend(s, c);
}

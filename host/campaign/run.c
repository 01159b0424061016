/* run.c - a campaign from start to end, or from where it was left.
 *
 * Worker threads take chips from a list; each has a backend, a plan and a chip of its own, so no result depends on another thread.  A
 * finished chip goes into the database at once, in one transaction, under a mutex.  The casebook comes first: the learned tuner looks
 * in it, in chip order, whatever order its chips were finished in.
 *
 *     casebook   chips 0..C-1       untuned accuracy, signature, exhaustive tuning
 *     evaluate   chips C..C+N-1     untuned accuracy, signature, every tuner of the spec
 *     respond    all of them        signatures and moments that are missing: with knobs set, to stimuli added since (respond.c) */
#include "base/fail.h"
#include "base/progress.h"
#include "campaign/job.h"
#include "campaign/spec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct phase {
    campaign       *c;
    job_role        role;
    job            *jobs;
    int             n, next;
    int             interrupted;
    ot_status       st;                    /* the first failure, and its sentence */
    char            sentence[1024];
    pthread_mutex_t mutex;                 /* all of the above, and the store */
    ot_progress     progress;
} phase;

static void say(const campaign *c, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (!c->how->say) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->how->say(c->how->user, text);
}

/* The next chips, up to `most` that want the same tuners; 0 if none is left, something failed or a signal came. */
static int take(phase *p, const job **j, int most)
{
    int got = 0;
    pthread_mutex_lock(&p->mutex);
    *j = &p->jobs[p->next];
    if (p->c->how->stop && *p->c->how->stop) p->interrupted |= p->next < p->n;
    else
        while (p->st == OT_OK && got < most && p->next < p->n && p->jobs[p->next].tuners == (*j)->tuners) p->next++, got++;
    pthread_mutex_unlock(&p->mutex);
    return got;
}

static ot_status write(phase *p, const result *r)
{
    pthread_mutex_lock(&p->mutex);
    ot_status st = p->st == OT_OK ? campaign__write(p->c, r) : OT_OK;
    if (st == OT_OK) ot__progress_add(&p->progress, 1, NULL);
    pthread_mutex_unlock(&p->mutex);
    return st;
}

static void fail(phase *p, ot_status st)
{
    pthread_mutex_lock(&p->mutex);
    if (p->st == OT_OK) {
        p->st = st;
        snprintf(p->sentence, sizeof p->sentence, "%s", ot_last_error());
    }
    pthread_mutex_unlock(&p->mutex);
}

/* A thread that measures one chip after the other. */
static ot_status chip_by_chip(phase *p, ot_backend *be)
{
    campaign *c = p->c;
    ot_plan *plan = NULL;
    ot_chip *chip = NULL;
    result r = {0};
    const job *j;
    ot_status st;
    ot_plan_options opt = campaign__plan_options(c->spec);
    OT_TRY_TO(done, st, ot_plan_open(&plan, be, c->net, &opt));
    OT_TRY_TO(done, st, campaign__result_make(&r, c));
    while (take(p, &j, 1)) {
        OT_TRY_TO(done, st, campaign__measure(&r, c, plan, &chip, *j, p->role));
        OT_TRY_TO(done, st, write(p, &r));
    }
done:
    campaign__result_free(&r);
    ot_chip_free(chip);
    ot_plan_free(plan);
    return st;
}

/* The one thread of a device, which runs as many chips at once as fit. */
static ot_status fleet_by_fleet(phase *p, ot_backend *be)
{
    campaign *c = p->c;
    int room = c->need.in_flight < p->n ? c->need.in_flight : p->n, most = room, n;
    ot_fleet *fleet = NULL;
    ot_chip *chip = NULL;
    const job *j;
    ot_status st = OT_OK;
    ot_plan_options opt = campaign__plan_options(c->spec);
    result *r = ot_alloc((size_t)most, sizeof *r);
    if (!r) OT_NOMEM("a fleet's results", (size_t)most * sizeof *r);
    for (int k = 0; k < most; k++) OT_TRY_TO(done, st, campaign__result_make(&r[k], c));
    for (int flight = most;; most = flight) {            /* memory that others took since it was planned: fewer chips */
        opt.chips = flight;
        st = ot_fleet_open(&fleet, be, c->net, &c->dev, &c->spec->variation, &opt);
        if (st != OT_E_MEMORY_PLAN || flight == 1) break;
        flight /= 2;
        say(c, "%d chips do not fit into the device's memory now, trying %d", opt.chips, flight);
    }
    if (st != OT_OK) goto done;
    OT_TRY_TO(done, st, ot_fleet_calibrate(fleet, c->test));
    while ((n = take(p, &j, most)) > 0) {
        OT_TRY_TO(done, st, campaign__measure_fleet(r, c, fleet, &chip, j, n, p->role));
        for (int k = 0; k < n; k++) OT_TRY_TO(done, st, write(p, &r[k]));
    }
done:
    for (int k = 0; k < room; k++) campaign__result_free(&r[k]);
    ot_free(r);
    ot_chip_free(chip);
    ot_fleet_free(fleet);
    return st;
}

/* A thread that lets chips answer, `flight` at a time. */
static ot_status respond(phase *p, ot_backend *be, int flight)
{
    campaign *c = p->c;
    ot_fleet *fleet = NULL;
    response *r = NULL;
    const job *j;
    int n;
    ot_status st = OT_OK;
    ot_plan_options opt = campaign__plan_options(c->spec);
    opt.chips = flight;
    OT_TRY_TO(done, st, campaign__response_make(&r, c, flight));
    OT_TRY_TO(done, st, ot_fleet_open(&fleet, be, c->net, &c->dev, &c->spec->variation, &opt));
    OT_TRY_TO(done, st, ot_fleet_calibrate(fleet, c->test));
    while ((n = take(p, &j, flight)) > 0) {
        pthread_mutex_lock(&p->mutex);
        st = campaign__response_knobs(r, c, j, n);
        pthread_mutex_unlock(&p->mutex);
        if (st == OT_OK) st = campaign__respond(r, c, fleet);
        if (st != OT_OK) break;
        pthread_mutex_lock(&p->mutex);
        if (p->st == OT_OK) st = campaign__write_response(c, r);
        ot__progress_add(&p->progress, n, NULL);
        pthread_mutex_unlock(&p->mutex);
        if (st != OT_OK) break;
    }
done:
    ot_fleet_free(fleet);
    campaign__response_free(r);
    return st;
}

static void *work(void *arg)
{
    phase *p = arg;
    ot_backend *be = NULL;
    ot_status st = ot_backend_open(&be, p->c->backend, NULL);
    if (st == OT_OK && p->role == JOB_RESPOND) st = respond(p, be, p->c->fleet ? p->c->need.in_flight : 1);
    else if (st == OT_OK) st = p->c->fleet ? fleet_by_fleet(p, be) : chip_by_chip(p, be);
    if (st != OT_OK) fail(p, st);
    ot_backend_close(be);
    return NULL;
}

static ot_status run_phase(campaign *c, job_role role)
{
    static const char *const names[] = {[JOB_CASEBOOK] = "casebook chips", [JOB_EVALUATE] = "evaluation chips", [JOB_RESPOND] = "chips to answer stimuli"};
    phase p = {.c = c, .role = role, .mutex = PTHREAD_MUTEX_INITIALIZER};
    OT_TRY(role == JOB_RESPOND ? campaign__respond_jobs(&p.jobs, &p.n, c) : campaign__jobs(&p.jobs, &p.n, c, role));
    int all = role == JOB_CASEBOOK ? c->spec->casebook_chips : role == JOB_EVALUATE ? c->spec->chips : p.n;
    int flight = c->need.in_flight < p.n ? c->need.in_flight : p.n, threads = c->fleet && flight > 1 ? 1 : flight, started = 0;
    ot_status st = OT_OK;
    if (p.n) say(c, "%s: %d of %d to do, %d at a time", names[role], p.n, all, flight);
    pthread_t *thread = ot_alloc((size_t)threads, sizeof *thread);
    if (!thread) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d threads", threads);
    ot__progress_start(&p.progress, names[role], p.n);
    while (started < threads && !pthread_create(&thread[started], NULL, work, &p)) started++;
    if (started < threads) {
        if (started) say(c, "only %d of %d threads could be started", started, threads);
        else st = ot__fail(OT_E_NOMEM, __FILE__, __LINE__, "no thread could be started, want %d", threads);
    }
    for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
    ot__progress_end(&p.progress);
    if (p.st != OT_OK) st = ot__fail(p.st, __FILE__, __LINE__, "%s", p.sentence);
    else if (p.interrupted)
        st = ot__fail(OT_E_INTERRUPTED, __FILE__, __LINE__, "%s: stopped by a signal with %d of %d %s left; the same command continues",
                      ot__store_path(c->store), p.n - p.next, all, names[role]);
done:
    ot_free(thread);
    ot_free(p.jobs);
    return st;
}

/* What all chips share: the ideal network's right answers and responses, the stimuli, the tuners' images and targets. */
static ot_status prelude(campaign *c)
{
    ot_backend *be = NULL;
    ot_plan *plan = NULL;
    uint8_t *bits = NULL;
    int64_t have, correct;
    ot_status st = OT_OK;
    ot_plan_options opt = campaign__plan_options(c->spec);
    OT_TRY_TO(done, st, ot_backend_open(&be, c->backend, NULL));
    OT_TRY_TO(done, st, ot_plan_open(&plan, be, c->net, &opt));
    OT_TRY_TO(done, st, ot_tuning_open(&c->tuning, plan, c->train, &c->spec->tune));
    OT_TRY_TO(done, st, ot__store_int(&have, c->store, 0, "SELECT count(*) FROM ideal", ""));
    if (!have) {
        if (!(bits = ot_alloc(c->n_bits, 1))) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %zu bytes", c->n_bits);
        OT_TRY_TO(done, st, ot_plan_load(plan, NULL));
        OT_TRY_TO(done, st, ot_plan_set_knobs(plan, NULL, NULL));
        OT_TRY_TO(done, st, ot_plan_count(plan, c->test, NULL, c->test->n, &correct, bits));
        OT_TRY_TO(done, st, campaign__write_ideal(c, correct, bits));
    }
    OT_TRY_TO(done, st, campaign__read_stimuli(c));
    OT_TRY_TO(done, st, campaign__respond_ideal(c, plan));
    if (ot__spec_has_tuner(c->spec, OT_TUNER_MOMENTS))
        st = ot_tuning_set_stimulus(c->tuning, plan, &c->main->images, c->main->index, c->main->images.n);
done:
    ot_free(bits);
    ot_plan_free(plan);
    ot_backend_close(be);
    return st;
}

static ot_status run_phases(campaign *c)
{
    const ot_campaign_spec *s = c->spec;
    int64_t have;
    OT_TRY(prelude(c));
    if (c->how->phase != OT_PHASE_EVALUATE) OT_TRY(run_phase(c, JOB_CASEBOOK));
    if (c->how->phase == OT_PHASE_CASEBOOK) return run_phase(c, JOB_RESPOND);
    ot_tuner looks = ot__spec_casebook_tuner(s);
    if (s->chips > 0 && looks < OT_TUNERS) {
        OT_TRY(ot__store_int(&have, c->store, 0, "SELECT count(*) FROM chip WHERE role = 'casebook'", ""));
        if (have < s->casebook_chips)
            OT_FAIL(OT_E_MISMATCH, "%s: the casebook has %lld of %d chips, want all before the %s tuner runs (--phase casebook)",
                    ot__store_path(c->store), (long long)have, s->casebook_chips, ot_tuner_name(looks));
        if (c->main->id) OT_TRY(run_phase(c, JOB_RESPOND));              /* the casebook's answers to a stimulus chosen since */
        OT_TRY(campaign__read_casebook(c));
        if (ot__spec_has_tuner(s, OT_TUNER_RIDGE)) OT_TRY(ot_casebook_fit_ridge(c->casebook));
        say(c, "casebook: %d clusters", ot_casebook_clusters(c->casebook));
    }
    OT_TRY(run_phase(c, JOB_EVALUATE));
    return run_phase(c, JOB_RESPOND);
}

/* What is done stays; the run that goes on has a row of its own in run_info, which says where each chip was measured. */
static ot_status go_on_with_cpu(const char *db_path, const ot_campaign_spec *spec, const ot_campaign_how *how)
{
    ot_campaign_spec own = *spec;
    ot_campaign_how mixed = *how;
    snprintf(own.backend, sizeof own.backend, "cpu");
    mixed.mixed = 1;
    return ot_campaign_run(db_path, &own, &mixed);
}

ot_status ot_campaign_run(const char *db_path, const ot_campaign_spec *spec, const ot_campaign_how *how)
{
    campaign c;
    int is_new;
    const char *warning;
    ot_status st = campaign__open(&c, spec, how);
    if (st != OT_OK) goto done;
    OT_TRY_TO(done, st, campaign__hash(&c));
    OT_TRY_TO(done, st, ot__store_open_write(&c.store, db_path, how->durable, &is_new, &warning));
    if (warning) say(&c, "%s: %s", db_path, warning);
    if (!is_new) OT_TRY_TO(done, st, campaign__adopt_choices(&c));
    OT_TRY_TO(done, st, campaign__continue(&c, is_new));
    st = campaign__finish(&c, run_phases(&c));
done:;
    int lost = st == OT_E_CUDA && c.fleet && !strcmp(spec->backend, "auto");
    if (lost) say(&c, "the GPU is lost (%s); going on with cpu, as the backend was left open (auto)", ot_last_error());
    campaign__close(&c);
    return lost ? go_on_with_cpu(db_path, spec, how) : st;
}

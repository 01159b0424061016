/* noise.c - many chips of weight noise, one plan a thread: apply, load, count. */
#include "base/fail.h"
#include "base/progress.h"
#include "ohmtrim/noise.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_THREADS = 256 };

typedef struct shared {
    const ot_network   *net;
    const char         *backend;
    const ot_data      *data;
    const ot_noise_run *run;
    ot_noise_chip      *out;
    atomic_int          next;                    /* chip to do */
    ot_progress         progress;
    pthread_mutex_t     lock;
    ot_status           st;
    char                error[1024];
} shared;

static ot_status chips(shared *s)
{
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    ot_network     *chip = NULL;
    ot_backend     *be = NULL;
    ot_plan        *plan = NULL;
    ot_status       st = OT_OK;
    if (s->run->tile) opt.tile = s->run->tile;
    OT_TRY_TO(done, st, ot_network_copy(&chip, s->net));
    OT_TRY_TO(done, st, ot_backend_open(&be, s->backend, NULL));
    OT_TRY_TO(done, st, ot_plan_open(&plan, be, chip, &opt));
    for (int k; (k = atomic_fetch_add(&s->next, 1)) < s->run->chips;) {
        ot_noise_chip *o = &s->out[k];
        OT_TRY_TO(done, st, ot_noise_apply(chip, s->net, &s->run->noise, &s->run->self_tuning, s->run->first + (uint32_t)k, &o->between, &o->estimate));
        OT_TRY_TO(done, st, ot_plan_load(plan, NULL));
        OT_TRY_TO(done, st, ot_plan_count(plan, s->data, NULL, s->data->n, &o->correct, NULL));
        pthread_mutex_lock(&s->lock);
        ot__progress_add(&s->progress, 1, NULL);
        pthread_mutex_unlock(&s->lock);
    }
done:
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_network_free(chip);
    return st;
}

static void *work(void *arg)
{
    shared   *s = arg;
    ot_status st = chips(s);
    if (st == OT_OK) return NULL;
    pthread_mutex_lock(&s->lock);
    if (s->st == OT_OK) {
        s->st = st;
        snprintf(s->error, sizeof s->error, "%s", ot_last_error());
    }
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->next, s->run->chips);       /* the others need not go on */
    return NULL;
}

static ot_status check(const ot_network *net, const ot_data *data, const ot_noise_run *run)
{
    OT_TRY(ot_data_check(data, net));
    OT_TRY(ot_noise_check(&run->noise));
    if (run->self_tuning.gtm_cells || run->self_tuning.ltm_columns) OT_TRY(ot_self_tuning_check(&run->self_tuning, net));
    if (ot_network_crossbars(net) == 0) OT_FAIL(OT_E_UNSUPPORTED, "network '%s' has no convolution or dense layer whose weights could vary", ot_network_name(net));
    if (!(run->chips >= 1 && run->chips <= 10000000)) OT_FAIL(OT_E_RANGE, "%d chips of noise, want 1..10000000", run->chips);
    if (!(run->threads >= 0 && run->threads <= 1024)) OT_FAIL(OT_E_RANGE, "threads = %d, want 0 (one a core) to 1024", run->threads);
    if (!(run->tile >= 0 && run->tile <= 4096)) OT_FAIL(OT_E_RANGE, "tile = %d images, want 0 (128) to 4096", run->tile);
    return OT_OK;
}

ot_status ot_noise_measure(ot_noise_chip *out, const ot_network *net, const char *backend, const ot_data *data, const ot_noise_run *run)
{
    shared    s = {.net = net, .backend = backend, .data = data, .run = run, .out = out, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t id[MOST_THREADS];
    long      cores = sysconf(_SC_NPROCESSORS_ONLN);
    int       started = 0;
    OT_TRY(check(net, data, run));
    int threads = run->threads ? run->threads : cores > 0 ? (int)cores : 1;
    if (threads > run->chips) threads = run->chips;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    if (!strncmp(backend, "cuda", 4)) threads = 1;                              /* a device is one queue */
    ot__progress_start(&s.progress, "chips of noise", run->chips);
    while (started < threads - 1 && !pthread_create(&id[started], NULL, work, &s)) started++;
    work(&s);
    for (int t = 0; t < started; t++) pthread_join(id[t], NULL);
    ot__progress_end(&s.progress);
    if (s.st != OT_OK) OT_FAIL(s.st, "%s", s.error);
    return OT_OK;
}

/* In counts, so that equal ones have no spread. */
void ot_noise_summarise(ot_noise_summary *out, const ot_noise_chip *chip, int n, int64_t images)
{
    const double all = (double)images;
    double       sum = 0, squares = 0, errors = 0;
    int64_t      least = INT64_MAX, most = INT64_MIN;
    for (int k = 0; k < n; k++) {
        const double e = chip[k].estimate - chip[k].between;
        sum += (double)chip[k].correct;
        errors += e * e;
        least = chip[k].correct < least ? chip[k].correct : least;
        most = chip[k].correct > most ? chip[k].correct : most;
    }
    for (int k = 0; k < n; k++) squares += ((double)chip[k].correct - sum / n) * ((double)chip[k].correct - sum / n);
    *out = (ot_noise_summary){.mean = sum / n / all, .sd = n > 1 ? sqrt(squares / (n - 1)) / all : NAN, .least = (double)least / all, .most = (double)most / all, .error = sqrt(errors / n)};
    out->low = out->mean - 1.96 * out->sd / sqrt(n);
    out->high = out->mean + 1.96 * out->sd / sqrt(n);
}

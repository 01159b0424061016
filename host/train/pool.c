/* pool.c - see pool.h.  A run is announced by a new round number; threads that have done their share count themselves off. */
#include "train/pool.h"
#include "base/fail.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

struct ot__pool {
    int threads, started;
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    unsigned round; /* of the run announced last */
    int busy, quit; /* threads still at it */
    int jobs;
    ot__pool_fn fn;
    void *user;
    int failed_job; /* lowest that failed, INT_MAX if none */
    ot_status failed;
    char sentence[512];
    struct worker {
        ot__pool *pool;
        int index;
        pthread_t id;
    } worker[];
};

static void work(ot__pool *p, int index)
{
    for (int job = index; job < p->jobs; job += p->threads) {
        ot_status st = p->fn(p->user, job);
        if (st == OT_OK) continue;
        pthread_mutex_lock(&p->lock);
        if (job < p->failed_job) {
            p->failed_job = job;
            p->failed = st;
            snprintf(p->sentence, sizeof p->sentence, "%s", ot_last_error());
        }
        pthread_mutex_unlock(&p->lock);
        return;
    }
}

static void *serve(void *arg)
{
    struct worker *w = arg;
    ot__pool *p = w->pool;
    pthread_mutex_lock(&p->lock);
    for (unsigned seen = 0;;) {
        while (p->round == seen && !p->quit) pthread_cond_wait(&p->begin, &p->lock);
        if (p->quit) break;
        seen = p->round;
        pthread_mutex_unlock(&p->lock);
        work(p, w->index);
        pthread_mutex_lock(&p->lock);
        if (--p->busy == 0) pthread_cond_signal(&p->end);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

ot_status ot__pool_open(ot__pool **out, int threads)
{
    ot__pool *p = ot_alloc(1, sizeof *p + (size_t)threads * sizeof p->worker[0]);
    if (!p) OT_NOMEM("threads", sizeof *p);
    p->threads = threads;
    p->started = 1;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->begin, NULL);
    pthread_cond_init(&p->end, NULL);
    for (int i = 1; i < threads; i++, p->started++) {
        p->worker[i] = (struct worker){.pool = p, .index = i};
        if (pthread_create(&p->worker[i].id, NULL, serve, &p->worker[i])) {
            ot__pool_close(p);
            OT_FAIL(OT_E_NOMEM, "thread %d of %d cannot be started", i + 1, threads);
        }
    }
    *out = p;
    return OT_OK;
}

void ot__pool_close(ot__pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->quit = 1;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
    for (int i = 1; i < p->started; i++) pthread_join(p->worker[i].id, NULL);
    pthread_cond_destroy(&p->end);
    pthread_cond_destroy(&p->begin);
    pthread_mutex_destroy(&p->lock);
    ot_free(p);
}

ot_status ot__pool_run(ot__pool *p, int jobs, ot__pool_fn fn, void *user)
{
    pthread_mutex_lock(&p->lock);
    p->jobs = jobs;
    p->fn = fn;
    p->user = user;
    p->failed_job = INT_MAX;
    p->busy = p->threads - 1;
    p->round++;
    pthread_cond_broadcast(&p->begin);
    pthread_mutex_unlock(&p->lock);
    work(p, 0);
    pthread_mutex_lock(&p->lock);
    while (p->busy) pthread_cond_wait(&p->end, &p->lock);
    pthread_mutex_unlock(&p->lock);
    if (p->failed_job < INT_MAX) OT_FAIL(p->failed, "%s", p->sentence);
    return OT_OK;
}

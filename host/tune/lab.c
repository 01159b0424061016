/* lab.c - trials: one chip tuned with one candidate, its right answers counted on the way (trial.h).
 *
 *     worker      backend, plan, chip, Adam: one thread's own
 *     lab         the workers, what tuning shares, the trials that are known
 *
 * A worker does a trial from beginning to end, so what comes out depends on the chip and the candidate alone.  The answers at iteration
 * 0 are the same for all candidates and taken from any trial of the chip that is there. */
#include "tune/lab.h"
#include "base/fail.h"
#include "base/progress.h"
#include "train/pool.h"
#include "tune/adam.h"
#include "tune/tuning.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct ot__worker {
    ot_backend *be;
    ot_plan    *plan;
    ot_chip    *chip;
    float      *gain, *offset;
    uint32_t   *rows;
} ot__worker;

ot_trial_task ot_trial_defaults(void)
{
    return (ot_trial_task){.variation = OT_VARIATION_INIT, .backend = "auto", .tuner = OT_TUNER_EXHAUSTIVE, .tune = ot_tune_defaults(), .steps = 100, .every = 10};
}

/* ---- the task ---- */

static ot_status check(const ot_trial_task *t)
{
    OT_TRY(ot_tune_check(&t->tune));
    OT_TRY(ot_variation_check(&t->variation));
    OT_TRY(ot_device_check(t->device));
    OT_TRY(ot_data_check(t->train, t->net));
    OT_TRY(ot_data_check(t->judge, t->net));
    if (t->judge->n < 1) OT_FAIL(OT_E_RANGE, "no images to judge by, want 1 or more");
    if (t->tuner != OT_TUNER_EXHAUSTIVE && t->tuner != OT_TUNER_SUBSET && t->tuner != OT_TUNER_CLOSED_FORM_ADAM)
        OT_FAIL(OT_E_RANGE, "trials of the tuner %s, want exhaustive, subset or closed-form-adam", ot_tuner_name(t->tuner));
    if (!(t->steps >= 1 && t->steps <= 1000000)) OT_FAIL(OT_E_RANGE, "steps = %d, want 1..1000000", t->steps);
    if (!(t->every >= 1)) OT_FAIL(OT_E_RANGE, "every = %d, want 1 or more iterations", t->every);
    if (!(t->threads >= 0 && t->threads <= 1024)) OT_FAIL(OT_E_RANGE, "threads = %d, want 0 (one a core) to 1024", t->threads);
    return OT_OK;
}

/* ---- opening ---- */

static ot_status worker_open(void *user, int job)
{
    ot_lab        *lab = user;
    ot__worker    *w = &lab->worker[job];
    const ot_trial_task *t = &lab->task;
    ot_plan_options how = OT_PLAN_OPTIONS_INIT;
    how.use = OT_PLAN_TUNE;
    if (job == 0)
        w->be = lab->be;
    else
        OT_TRY(ot_backend_open(&w->be, t->backend, NULL));
    OT_TRY(ot_plan_open(&w->plan, w->be, t->net, &how));
    OT_TRY(ot_chip_draw(&w->chip, t->net, t->device, &t->variation, t->first_chip));
    const size_t knobs = (size_t)ot_plan_knobs(w->plan);
    w->gain = ot_alloc(knobs, sizeof *w->gain);
    w->offset = ot_alloc(knobs, sizeof *w->offset);
    w->rows = ot_alloc((size_t)t->tune.minibatch, sizeof *w->rows);
    if (!w->gain || !w->offset || !w->rows) OT_NOMEM("a trial", 2 * knobs * sizeof *w->gain + (size_t)t->tune.minibatch * sizeof *w->rows);
    return OT_OK;
}

static ot_status count_threads(ot_lab *lab)
{
    const ot_trial_task *t = &lab->task;
    ot_plan_options how = OT_PLAN_OPTIONS_INIT;
    size_t bytes;
    how.use = OT_PLAN_TUNE;
    lab->threads = t->threads ? t->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (lab->threads < 1) lab->threads = 1;
    OT_TRY(ot_plan_measure(&bytes, lab->be, t->net, &how));
    for (int l = 0; l < ot_network_crossbars(t->net); l++) bytes += 2 * sizeof(float) * ot_layer_weights(ot_network_crossbar(t->net, l));       /* the chip */
    if (t->memory && bytes > t->memory)
        OT_FAIL(OT_E_MEMORY_PLAN, "a trial takes %.1f MB, want no more than the %.1f MB allowed", (double)bytes / 1048576, (double)t->memory / 1048576);
    if (t->memory && bytes * (size_t)lab->threads > t->memory) lab->threads = (int)(t->memory / bytes);
    return OT_OK;
}

static ot_status open_all(ot_lab *lab)
{
    const ot_trial_task *t = &lab->task;
    OT_TRY(ot_backend_open(&lab->be, t->backend, NULL));
    OT_TRY(count_threads(lab));
    lab->points = 2 + (t->steps - 1) / t->every;
    lab->worker = ot_alloc((size_t)lab->threads, sizeof *lab->worker);
    if (!lab->worker) OT_NOMEM("workers", (size_t)lab->threads * sizeof *lab->worker);
    OT_TRY(ot__lab_key(lab));
    OT_TRY(ot__table_open(lab));
    OT_TRY(ot__pool_open(&lab->pool, lab->threads));
    OT_TRY(ot__pool_run(lab->pool, lab->threads, worker_open, lab));
    return ot_tuning_open(&lab->tuning, lab->worker[0].plan, t->train, &lab->task.tune);
}

ot_status ot_lab_open(ot_lab **out, const ot_trial_task *task)
{
    OT_TRY(check(task));
    ot_lab *lab = ot_alloc(1, sizeof *lab);
    if (!lab) OT_NOMEM("a lab", sizeof *lab);
    lab->task = *task;
    lab->task.tune.policy = (ot_policy){0};          /* the candidates' own */
    lab->file = -1;
    lab->locked = !pthread_mutex_init(&lab->lock, NULL);
    ot_status st = open_all(lab);
    if (st != OT_OK) {
        ot_lab_close(lab);
        return st;
    }
    *out = lab;
    return OT_OK;
}

void ot_lab_close(ot_lab *lab)
{
    if (!lab) return;
    for (int i = 0; lab->worker && i < lab->threads; i++) {
        ot__worker *w = &lab->worker[i];
        ot_free(w->rows);
        ot_free(w->offset);
        ot_free(w->gain);
        ot_chip_free(w->chip);
        ot_plan_free(w->plan);
        if (w->be != lab->be) ot_backend_close(w->be);
    }
    ot_tuning_free(lab->tuning);
    ot__pool_close(lab->pool);
    ot_backend_close(lab->be);
    for (size_t i = 0; i < lab->n; i++) ot_free(lab->trial[i].right);
    if (lab->file >= 0) close(lab->file);
    if (lab->locked) pthread_mutex_destroy(&lab->lock);
    ot_free(lab->trial);
    ot_free(lab->worker);
    ot_free(lab->key);
    ot_free(lab);
}

const char *ot_lab_key(const ot_lab *lab) { return lab->key; }
int ot_lab_points(const ot_lab *lab) { return lab->points; }
int ot_lab_at(const ot_lab *lab, int point)
{
    const int64_t at = (int64_t)point * lab->task.every;
    return at < lab->task.steps ? (int)at : lab->task.steps;
}

/* ---- trials that are known ---- */

void ot__candidate_text(char out[OT__CANDIDATE_TEXT], const ot_lab *lab, const ot_candidate *c)
{
    ot_policy p = c->policy;
    char      text[OT_POLICY_TEXT];
    if (!p.n) p = (ot_policy){.n = 1, .part = {{.kind = OT_POLICY_FIX, .k0 = lab->task.tune.lr}}};
    ot_policy_write(text, &p);
    const double momentum = c->optimizer == OT_OPTIMIZER_SGD ? c->momentum : 0;
    snprintf(out, OT__CANDIDATE_TEXT, "%s %.9g %s", ot_optimizer_name(c->optimizer, momentum), momentum, text);
}

const ot__trial *ot__lab_find(const ot_lab *lab, const char *candidate, uint32_t chip)
{
    for (size_t i = 0; i < lab->n; i++)
        if (lab->trial[i].chip == chip && !strcmp(lab->trial[i].candidate, candidate)) return &lab->trial[i];
    return NULL;
}

ot_status ot__lab_add(ot_lab *lab, ot__trial *t)
{
    if (lab->n == lab->room) {
        size_t     room = lab->room ? 2 * lab->room : 64;
        ot__trial *more = ot_realloc(lab->trial, room, sizeof *more);
        if (!more) {
            ot_free(t->right);
            OT_NOMEM("trials", room * sizeof *more);
        }
        lab->trial = more;
        lab->room = room;
    }
    lab->trial[lab->n++] = *t;
    return OT_OK;
}

/* Right answers at iteration 0 of any trial of the chip, or -1. */
static int64_t known_start(ot_lab *lab, uint32_t chip)
{
    int64_t right = -1;
    pthread_mutex_lock(&lab->lock);
    for (size_t i = 0; i < lab->n && right < 0; i++)
        if (lab->trial[i].chip == chip) right = lab->trial[i].right[0];
    pthread_mutex_unlock(&lab->lock);
    return right;
}

/* ---- a trial ---- */

typedef struct run {
    ot_lab *lab;
    const ot_candidate *c;
    struct todo { int candidate; uint32_t chip; } *todo;
    int jobs;
    ot_progress progress;
} run;

static ot_status count(const ot_lab *lab, ot__worker *w, int64_t *right)
{
    return ot_plan_count(w->plan, lab->task.judge, NULL, lab->task.judge->n, right, NULL);
}

/* Knobs where the tuner begins, on the plan and in gain, offset. */
static ot_status begin(const ot_lab *lab, ot__worker *w, uint32_t chip)
{
    ot_tune_cost cost;
    const int    knobs = ot_plan_knobs(w->plan);
    OT_TRY(ot_chip_redraw(w->chip, chip));
    OT_TRY(ot_plan_load(w->plan, w->chip));
    if (lab->task.tuner == OT_TUNER_CLOSED_FORM_ADAM)
        return ot_tuning_run(lab->tuning, OT_TUNER_CLOSED_FORM, w->plan, NULL, NULL, w->gain, w->offset, NULL, &cost);
    for (int l = 0; l < knobs; l++) w->gain[l] = 1, w->offset[l] = 0;
    return ot_plan_set_knobs(w->plan, w->gain, w->offset);
}

static ot_status go(ot_lab *lab, ot__worker *w, ot__adam *adam, ot__images *images, int64_t batch, ot__trial *t)
{
    const ot_trial_task *task = &lab->task;
    ot_tune_cost cost = {0};
    double       loss;
    for (int i = 0, point = 1; point < lab->points; point++) {
        const double start = ot__seconds();
        for (; i < ot_lab_at(lab, point); i++) {
            if (ot__adam_gave_up(adam)) continue;
            ot__images_next(images, w->rows, batch);
            OT_TRY(ot__adam_step(adam, w->plan, task->train, w->rows, batch, &loss, &cost));
        }
        t->seconds += ot__seconds() - start;
        ot__adam_knobs(adam, w->gain, w->offset);
        OT_TRY(ot_plan_set_knobs(w->plan, w->gain, w->offset));
        OT_TRY(count(lab, w, &t->right[point]));
    }
    t->images = (double)cost.images_forward;
    return OT_OK;
}

static ot_status trial(ot_lab *lab, ot__worker *w, const ot_candidate *c, uint32_t chip, ot__trial *t)
{
    static const int     lists[OT_TUNERS] = {[OT_TUNER_EXHAUSTIVE] = ALL, [OT_TUNER_SUBSET] = SUBSET, [OT_TUNER_CLOSED_FORM_ADAM] = POLISH};
    const ot_trial_task *task = &lab->task;
    const int            list = lists[task->tuner];
    const int64_t        n = lab->tuning->n[list], batch = task->tune.minibatch < n ? task->tune.minibatch : n;
    ot_tune_options      opt = task->tune;
    ot__adam            *adam = NULL;
    ot__images           images = {0};
    ot_policy            policy;
    ot_status            st = OT_OK;
    opt.policy = c->policy;
    OT_TRY(ot__tune_policy(&policy, &opt, task->steps, batch, n));
    *t = (ot__trial){.chip = chip, .right = ot_alloc((size_t)lab->points, sizeof *t->right)};
    if (!t->right) OT_NOMEM("a trial", (size_t)lab->points * sizeof *t->right);
    ot__candidate_text(t->candidate, lab, c);
    OT_TRY_TO(done, st, begin(lab, w, chip));
    if ((t->right[0] = known_start(lab, chip)) < 0) OT_TRY_TO(done, st, count(lab, w, &t->right[0]));
    OT_TRY_TO(done, st, ot__images_open(&images, lab->tuning->index[list], n, opt.seed));
    OT_TRY_TO(done, st, ot__adam_open(&adam, ot_plan_knobs(w->plan), opt.lr, w->gain, w->offset));
    ot__adam_rates(adam, &policy, c->optimizer, c->momentum);
    st = go(lab, w, adam, &images, batch, t);
done:
    ot__adam_close(adam);
    ot__images_close(&images);
    if (st != OT_OK) ot_free(t->right);
    return st;
}

static ot_status job(void *user, int k)
{
    run       *r = user;
    ot_lab    *lab = r->lab;
    ot__trial  t;
    OT_TRY(trial(lab, &lab->worker[k % lab->threads], &r->c[r->todo[k].candidate], r->todo[k].chip, &t));
    pthread_mutex_lock(&lab->lock);
    ot_status st = ot__table_write(lab, &t);
    if (st == OT_OK)
        st = ot__lab_add(lab, &t);
    else
        ot_free(t.right);
    ot__progress_add(&r->progress, 1, NULL);
    pthread_mutex_unlock(&lab->lock);
    return st;
}

/* ---- scores ---- */

static ot_status check_candidate(const ot_lab *lab, const ot_candidate *c)
{
    ot_tune_options o = lab->task.tune;
    o.policy = c->policy, o.optimizer = c->optimizer, o.momentum = c->momentum;
    return ot_tune_check(&o);
}

static ot_status missing(run *r, ot_score *score, int n, int chips)
{
    char text[OT__CANDIDATE_TEXT];
    for (int k = 0; k < chips; k++)
        for (int i = 0; i < n; i++) {
            int again = 0;
            ot__candidate_text(text, r->lab, &r->c[i]);
            for (int e = 0; e < i && !again; e++) {          /* the same candidate twice is one trial */
                char other[OT__CANDIDATE_TEXT];
                ot__candidate_text(other, r->lab, &r->c[e]);
                again = !strcmp(text, other);
            }
            if (again || ot__lab_find(r->lab, text, r->lab->task.first_chip + (uint32_t)k)) continue;
            score[i].fresh++;
            r->todo[r->jobs].candidate = i;
            r->todo[r->jobs++].chip = r->lab->task.first_chip + (uint32_t)k;
        }
    return OT_OK;
}

ot_status ot_trials_curve(double *out, const ot_lab *lab, const ot_candidate *c, int chips)
{
    char text[OT__CANDIDATE_TEXT];
    ot__candidate_text(text, lab, c);
    for (int p = 0; p < lab->points; p++) out[p] = 0;
    for (int k = 0; k < chips; k++) {
        const ot__trial *t = ot__lab_find(lab, text, lab->task.first_chip + (uint32_t)k);
        if (!t) OT_FAIL(OT_E_RANGE, "%s was not tried on chip %" PRIu32 ", want ot_trials_run before", text, lab->task.first_chip + (uint32_t)k);
        for (int p = 0; p < lab->points; p++) out[p] += (double)t->right[p];        /* whole numbers: exact */
    }
    for (int p = 0; p < lab->points; p++) out[p] /= (double)chips * lab->task.judge->n;
    return OT_OK;
}

static ot_status score_of(ot_score *s, const ot_lab *lab, const ot_candidate *c, int chips, double target, double *curve)
{
    const int    last = lab->points - 1;
    char         text[OT__CANDIDATE_TEXT];
    OT_TRY(ot_trials_curve(curve, lab, c, chips));
    ot__candidate_text(text, lab, c);
    *s = (ot_score){.chips = chips, .fresh = s->fresh, .before = curve[0], .after = curve[last], .worst = 1, .to_target = -1, .target_images = NAN};
    for (int k = 0; k < chips; k++) {
        const ot__trial *t = ot__lab_find(lab, text, lab->task.first_chip + (uint32_t)k);
        const double     own = (double)t->right[last] / lab->task.judge->n;
        s->worst = own < s->worst ? own : s->worst;
        s->at_target += own >= target;
        s->images += t->images / chips;
        s->seconds += t->seconds / chips;
    }
    for (int p = last; p >= 0; p--)
        if (curve[p] >= target) s->to_target = ot_lab_at(lab, p);
    if (s->to_target >= 0) s->target_images = s->images * (double)s->to_target / lab->task.steps;
    return OT_OK;
}

ot_status ot_trials_run(ot_score *out, ot_lab *lab, const ot_candidate *c, int n, int chips, double target)
{
    run       r = {.lab = lab, .c = c};
    double   *curve = NULL;
    ot_status st = OT_OK;
    if (!(n >= 1 && n <= 100000)) OT_FAIL(OT_E_RANGE, "%d candidates, want 1..100000", n);
    if (!(chips >= 1 && chips <= 100000)) OT_FAIL(OT_E_RANGE, "%d chips, want 1..100000", chips);
    for (int i = 0; i < n; i++) OT_TRY(check_candidate(lab, &c[i]));
    memset(out, 0, (size_t)n * sizeof *out);
    r.todo = ot_alloc((size_t)n * (size_t)chips, sizeof *r.todo);
    curve = ot_alloc((size_t)lab->points, sizeof *curve);
    if (!r.todo || !curve) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for %d trials", n * chips);
    OT_TRY_TO(done, st, missing(&r, out, n, chips));
    ot__progress_start(&r.progress, "trials", r.jobs);
    st = ot__pool_run(lab->pool, r.jobs, job, &r);
    ot__progress_end(&r.progress);
    for (int i = 0; i < n && st == OT_OK; i++) st = score_of(&out[i], lab, &c[i], chips, target, curve);
done:
    ot_free(curve);
    ot_free(r.todo);
    return st;
}

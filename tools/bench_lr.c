/* bench_lr.c - learning-rate policies on chips: the candidates, the laboratory they are tried in, what is printed and drawn of them. */
#include "base/fail.h"
#include "bench_lr.h"
#include "gnuplot.h"
#include "plot_policies.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is tried ---- */

typedef struct bench {
    ot_network   *net;
    ot_data      *train, *test, judge;           /* judge: a part of test; it owns nothing */
    ot_device     dev;
    ot_lab       *lab;
    ot_candidate *c;
    int           n;
    double        ideal, target;
    ot_score     *score;
    int          *order;
    double       *curve;
} bench;

static void bench_free(bench *b)
{
    ot_free(b->curve);
    ot_free(b->order);
    ot_free(b->score);
    ot_free(b->c);
    ot_lab_close(b->lab);
    ot_data_free(b->test);
    ot_data_free(b->train);
    ot_network_free(b->net);
}

/* Images first..first + n - 1; borrowed. */
static ot_data part_of(const ot_data *d, int first, int n)
{
    ot_data p = *d;
    size_t image = (size_t)d->c * (size_t)d->h * (size_t)d->w;
    p.n = n;
    p.labels += first;
    if (p.pixels) p.pixels += (size_t)first * image;
    if (p.values) p.values += (size_t)first * image;
    return p;
}

static void add(bench *b, const bench_lr_args *a, const ot_policy *p)
{
    for (int o = 0; o < a->n_optimizers; o++) {
        ot_candidate c = {.policy = *p};
        if (!strcmp(a->optimizer[o], "momentum")) c.momentum = a->momentum;
        (void)ot_optimizer_parse(&c.optimizer, &c.momentum, a->optimizer[o]);
        b->c[b->n++] = c;
    }
}

static ot_status make_candidates(bench *b, const bench_lr_args *a)
{
    const size_t room = 1 + (size_t)OPTIMIZERS * ((size_t)a->n_policies + (size_t)OT_POLICY_KINDS * (size_t)a->n_rates);
    b->c = ot_alloc(room, sizeof *b->c);
    b->score = ot_alloc(room, sizeof *b->score);
    b->order = ot_alloc(room, sizeof *b->order);
    if (!b->c || !b->score || !b->order) OT_NOMEM("candidates", room * sizeof *b->c);
    if (a->recommend) b->c[b->n++] = (ot_candidate){.optimizer = OT_OPTIMIZER_ADAM};      /* the tuners' own */
    for (int i = 0; i < a->n_policies; i++) add(b, a, &a->policy[i]);
    for (int k = 0; a->recommend && k < OT_POLICY_KINDS; k++)
        for (int r = 0; a->shape[k] && r < a->n_rates; r++) {
            ot_policy p;
            if (k == OT_POLICY_FIX && a->n_optimizers == 1 && !strcmp(a->optimizer[0], "adam") && a->rate[r] == a->task.tune.lr) continue;
            OT_TRY(ot_policy_usual(&p, (ot_policy_kind)k, a->rate[r]));
            add(b, a, &p);
        }
    return OT_OK;
}

static ot_status open_data(bench *b, const bench_lr_args *a)
{
    OT_TRY(cli_open_network(&a->common, &b->net, a->network));
    OT_TRY(ot_data_open(&b->train, a->common.data, OT_SPLIT_TRAIN, a->train_limit));
    OT_TRY(ot_data_check(b->train, b->net));
    OT_TRY(ot_data_open(&b->test, a->common.data, OT_SPLIT_TEST, 0));
    if (a->skip >= b->test->n) OT_FAIL(OT_E_RANGE, "--skip = %d of %d test images, want fewer", a->skip, b->test->n);
    int n = a->common.limit ? a->common.limit : 2000;
    b->judge = part_of(b->test, a->skip, n < b->test->n - a->skip ? n : b->test->n - a->skip);
    return cli_open_device(&a->common, &b->dev);
}

/* Images of one epoch of the tuner. */
static double epoch_images(const bench *b, const bench_lr_args *a)
{
    const ot_tune_options *o = &a->task.tune;
    if (a->task.tuner == OT_TUNER_SUBSET) return fmax(1, floor(b->train->n * o->subset_frac + 0.5));
    return a->task.tuner == OT_TUNER_CLOSED_FORM_ADAM && o->polish_images < b->train->n ? o->polish_images : b->train->n;
}

static double epoch_steps(const bench *b, const bench_lr_args *a)
{
    const double n = epoch_images(b, a);
    return n / fmin(n, a->task.tune.minibatch);
}

static ot_status open_lab(bench *b, bench_lr_args *a)
{
    const cli_common *c = &a->common;
    ot_trial_task    *t = &a->task;
    ot_backend       *be;
    ot_plan          *plan = NULL;
    ot_plan_options   how = OT_PLAN_OPTIONS_INIT;
    int64_t           right;
    t->net = b->net, t->device = &b->dev, t->variation = c->variation, t->train = b->train, t->judge = &b->judge;
    t->backend = c->backend, t->threads = c->threads, t->memory = c->memory, t->tune.seed = c->variation.seed;
    OT_TRY(cli_open_backend(c, &be));
    ot_status st = ot_plan_open(&plan, be, b->net, &how);
    if (st == OT_OK) st = ot_plan_count(plan, &b->judge, NULL, b->judge.n, &right, NULL);
    if (st == OT_OK) b->ideal = (double)right / b->judge.n;
    ot_plan_free(plan);
    ot_backend_close(be);
    OT_TRY(st);
    b->target = isnan(a->target) ? b->ideal - a->drop : a->target;
    OT_TRY(ot_lab_open(&b->lab, t));
    b->curve = ot_alloc((size_t)ot_lab_points(b->lab), sizeof *b->curve);
    if (!b->curve) OT_NOMEM("a curve", (size_t)ot_lab_points(b->lab) * sizeof *b->curve);
    return OT_OK;
}

/* ---- what comes out ---- */

static ot_status print_json(const bench *b, const bench_lr_args *a, int i, int rank)
{
    const ot_candidate *c = &b->c[i];
    const ot_score     *s = &b->score[i];
    char                text[OT_POLICY_TEXT];
    double              difference, error;
    ot_policy           p = c->policy;
    if (!p.n) OT_TRY(ot_policy_usual(&p, OT_POLICY_FIX, a->task.tune.lr));
    ot_policy_write(text, &p);
    OT_TRY(ot_trials_curve(b->curve, b->lab, c, s->chips));
    cJSON *o = cJSON_CreateObject();
    if (a->recommend) cJSON_AddNumberToObject(o, "rank", rank);
    cJSON_AddStringToObject(o, "policy", text);
    cJSON_AddStringToObject(o, "optimizer", ot_optimizer_name(c->optimizer, c->momentum));
    cli_json_number(o, "momentum", c->momentum);
    cJSON_AddNumberToObject(o, "chips", s->chips);
    cJSON_AddNumberToObject(o, "steps", a->task.steps);
    cli_json_number(o, "ideal", b->ideal);
    cli_json_number(o, "target", b->target);
    cJSON_AddBoolToObject(o, "verified", s->to_target >= 0);
    cli_json_number(o, "iterations_to_target", s->to_target >= 0 ? (double)s->to_target : NAN);
    cli_json_number(o, "accuracy_before", s->before);
    cli_json_number(o, "accuracy_after", s->after);
    cli_json_number(o, "accuracy_worst", s->worst);
    cJSON_AddNumberToObject(o, "chips_at_target", s->at_target);
    cli_json_number(o, "images", s->images);
    cli_json_number(o, "images_to_target", s->target_images);
    cli_json_number(o, "seconds", s->seconds);
    if (a->recommend) {
        OT_TRY(ot_trials_compare(&difference, &error, b->lab, c, &b->c[0], s->chips));
        cli_json_number(o, "over_default", difference);
        cli_json_number(o, "over_default_error", error);
    }
    cJSON *curve = cJSON_AddArrayToObject(o, "curve");
    for (int k = 0; k < ot_lab_points(b->lab); k++) {
        cJSON *point = cJSON_CreateObject();
        cJSON_AddNumberToObject(point, "iteration", ot_lab_at(b->lab, k));
        cli_json_number(point, "accuracy", b->curve[k]);
        cJSON_AddItemToArray(curve, point);
    }
    cli_print_json(o);
    return OT_OK;
}

static const char *named(char out[OT_POLICY_TEXT + 64], const bench_lr_args *a, const ot_candidate *c)
{
    char      text[OT_POLICY_TEXT];
    ot_policy p = c->policy;
    if (!p.n) p = (ot_policy){.n = 1, .part = {{.kind = OT_POLICY_FIX, .k0 = a->task.tune.lr}}};
    ot_policy_write(text, &p);
    snprintf(out, OT_POLICY_TEXT + 64, "%-8s %s", ot_optimizer_name(c->optimizer, c->momentum), text);
    return out;
}

static ot_status print_verified(const bench *b, const bench_lr_args *a, int i)
{
    const ot_score *s = &b->score[i];
    char            text[OT_POLICY_TEXT + 64];
    OT_TRY(ot_trials_curve(b->curve, b->lab, &b->c[i], s->chips));
    printf("%s\n ", named(text, a, &b->c[i]));
    for (int k = 0; k < ot_lab_points(b->lab); k++) printf(" %d: %.2f%s", ot_lab_at(b->lab, k), 100 * b->curve[k], k + 1 < ot_lab_points(b->lab) ? "," : " %\n");
    if (s->to_target >= 0)
        printf("  verified: %.2f %% reached at iteration %lld of %d (%.0f images a chip of %.0f)", 100 * b->target, (long long)s->to_target, a->task.steps,
               s->target_images, s->images);
    else
        printf("  not verified: %.2f %% not reached in %d iterations (%.0f images a chip)", 100 * b->target, a->task.steps, s->images);
    printf("; at the end %d of %d chips, the worst at %.2f %%; %.2f s a chip\n", s->at_target, s->chips, 100 * s->worst, s->seconds);
    return OT_OK;
}

static ot_status verify(bench *b, const bench_lr_args *a)
{
    int missed = 0;
    OT_TRY(ot_trials_run(b->score, b->lab, b->c, b->n, a->chips, b->target));
    if (!a->common.json)
        printf("ideal %.2f %%, target %.2f %%, %d chips, untuned %.2f %%\n", 100 * b->ideal, 100 * b->target, a->chips, 100 * b->score[0].before);
    for (int i = 0; i < b->n; i++) {
        OT_TRY(a->common.json ? print_json(b, a, i, 0) : print_verified(b, a, i));
        missed += b->score[i].to_target < 0;
    }
    if (missed) OT_FAIL(OT_E_NO, "%d of %d policies did not reach the target", missed, b->n);
    return OT_OK;
}

static ot_status recommend(bench *b, const bench_lr_args *a)
{
    char   text[OT_POLICY_TEXT + 64], at[32];
    double difference, error;
    int    fresh = 0;
    OT_TRY(ot_recommend(b->score, b->order, b->lab, b->c, b->n, a->rung_chips, a->chips, b->target));
    for (int i = 0; i < b->n; i++) fresh += b->score[i].fresh;
    if (!a->common.json)
        printf("ideal %.2f %%, target %.2f %%, untuned %.2f %%; %d candidates, %d trials run\n"
               "rank chips  to target   mean   worst   over %g fixed   policy\n", 100 * b->ideal, 100 * b->target, 100 * b->score[b->order[0]].before, b->n, fresh,
               a->task.tune.lr);
    for (int r = 0; r < b->n && r < a->top; r++) {
        const int       i = b->order[r];
        const ot_score *s = &b->score[i];
        if (a->common.json) {
            OT_TRY(print_json(b, a, i, r + 1));
            continue;
        }
        OT_TRY(ot_trials_compare(&difference, &error, b->lab, &b->c[i], &b->c[0], s->chips));
        snprintf(at, sizeof at, s->to_target < 0 ? "-" : "%lld", (long long)s->to_target);
        printf("%4d %5d %10s %6.2f  %6.2f   %+6.2f +- %4.2f   %s\n", r + 1, s->chips, at, 100 * s->after, 100 * s->worst, 100 * difference, 100 * error,
               named(text, a, &b->c[i]));
    }
    return OT_OK;
}

static ot_status draw(const bench *b, const bench_lr_args *a, double epoch)
{
    enum { BEST = 5 };
    if (!a->recommend) return plot_policies(a->policy, a->n_policies, a->task.steps, epoch, a->plot);
    ot_policy best[BEST];
    int       n = b->n < BEST ? b->n : BEST;
    for (int i = 0; i < n; i++) {
        best[i] = b->c[b->order[i]].policy;
        if (!best[i].n) OT_TRY(ot_policy_usual(&best[i], OT_POLICY_FIX, a->task.tune.lr));
    }
    return plot_policies(best, n, a->task.steps, epoch, a->plot);
}

void bench_lr_list(const bench_lr_args *a)
{
    for (int k = 0; k < OT_POLICY_KINDS; k++) {
        char      text[OT_POLICY_TEXT] = "";
        ot_policy p;
        if (ot_policy_usual(&p, (ot_policy_kind)k, 0.01) == OT_OK) ot_policy_write(text, &p);
        if (!a->common.json) {
            printf("%-7s %-55s %s\n", ot_policy_name((ot_policy_kind)k), ot_policy_formula((ot_policy_kind)k), text);
            continue;
        }
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", ot_policy_name((ot_policy_kind)k));
        cJSON_AddStringToObject(o, "formula", ot_policy_formula((ot_policy_kind)k));
        cJSON_AddStringToObject(o, "usual", text);
        cli_print_json(o);
    }
}

static ot_status on_chips(bench *b, bench_lr_args *a)
{
    OT_TRY(open_data(b, a));
    if (!a->steps_given && a->epochs > 0) {
        double steps = nearbyint(a->epochs * epoch_steps(b, a));
        if (!(steps <= 1000000)) OT_FAIL(OT_E_RANGE, "--epochs = %g are %g iterations, want at most 1000000", a->epochs, steps);
        a->task.steps = steps < 1 ? 1 : (int)steps;
    }
    if (!a->every_given) a->task.every = a->task.steps < 10 ? 1 : a->task.steps / 10;
    OT_TRY(make_candidates(b, a));
    if (a->common.dry_run && a->common.json) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "candidates", b->n);
        cJSON_AddNumberToObject(o, "chips", a->chips);
        cJSON_AddNumberToObject(o, "steps", a->task.steps);
        cJSON_AddNumberToObject(o, "minibatch", a->task.tune.minibatch);
        cJSON_AddNumberToObject(o, "images", b->judge.n);
        cJSON_AddNumberToObject(o, "every", a->task.every);
        cli_print_json(o);
        return OT_OK;
    }
    if (a->common.dry_run) {
        printf("%d candidates on %s%d chips, %d iterations of %d images, judged by %d images every %d\n", b->n, a->recommend ? "up to " : "", a->chips, a->task.steps,
               a->task.tune.minibatch, b->judge.n, a->task.every);
        return OT_OK;
    }
    OT_TRY(open_lab(b, a));
    ot_status st = a->recommend ? recommend(b, a) : verify(b, a);
    if ((st == OT_OK || st == OT_E_NO) && a->plot) {
        ot_status drawn = draw(b, a, epoch_steps(b, a));
        if (drawn != OT_OK) return drawn;
        if (st != OT_OK) OT_FAIL(OT_E_NO, "a policy did not reach the target");
    }
    return st;
}

ot_status bench_lr(bench_lr_args *a)
{
    bench     b = {0};
    if (a->plot) OT_TRY(gnuplot_check(a->plot));
    ot_status st = a->network ? on_chips(&b, a) : draw(&b, a, a->task.steps / (a->epochs > 0 ? a->epochs : 1));
    bench_free(&b);
    return st;
}

/* select_synthesise.c - synthetic candidates, simulated chips' responses to them, and the few that tell most (docs/synthetic-images.md).
 *
 * The file it writes has the chosen images twice: as `images`, and as x_test with y_test (the classes the ideal network sees in them), so that
 * `--data npz:F.npz` takes it wherever a data set is wanted, e.g. `ohmtrim eval --chip 3 --logits`. */
#include "select_synthesise.h"

#include "base/fail.h"
#include "base/progress.h"

#include <string.h>

enum { TILE = 128, COUNT_LIMIT = 2000 };

typedef struct bench {
    ot_network   *net;
    ot_backend   *be;
    ot_fleet     *fleet;
    ot_data      *test;
    ot_synthesis *made;
    float        *responses;               /* (chips, candidates, q) */
    uint8_t      *good;
    uint32_t     *numbers;
    int64_t      *right;
    int          *chosen;                  /* (k) */
    double       *value;                   /* (k) */
    int           q, bad, in_flight;
    double        seconds;
} bench;

select_synthesise_args select_synthesise_defaults(const cli_common *common)
{
    return (select_synthesise_args){.common = common, .k = 10, .chips = 100, .noise = 0.1, .drop = 0.02, .opt = ot_synthesis_defaults(OT_SYNTHESIS_CONFIDENT)};
}

static void bench_free(bench *b)
{
    ot_free(b->value), ot_free(b->chosen), ot_free(b->right), ot_free(b->numbers), ot_free(b->good), ot_free(b->responses);
    ot_synthesis_free(b->made);
    ot_fleet_free(b->fleet);
    ot_backend_close(b->be);
    ot_data_free(b->test);
    ot_network_free(b->net);
}

static ot_status check(const select_synthesise_args *a)
{
    OT_TRY(ot_synthesis_check(&a->opt));
    if (a->k < 1 || a->k > a->opt.images) OT_FAIL(OT_E_USAGE, "-k %d, want 1..%d (--candidates)", a->k, a->opt.images);
    if (a->chips < 2 || a->chips > 100000) OT_FAIL(OT_E_USAGE, "--chips %d, want 2..100000", a->chips);
    if (!(a->noise > 0 && a->noise <= 1000)) OT_FAIL(OT_E_USAGE, "--noise %g, want above 0, at most 1000", a->noise);
    if (!(a->drop >= 0 && a->drop <= 1)) OT_FAIL(OT_E_USAGE, "--drop %g, want 0..1", a->drop);
    if (!a->out) OT_FAIL(OT_E_USAGE, "-o F.npz is wanted: where the images go");
    if (a->by_auc && !a->common->data) OT_FAIL(OT_E_USAGE, "--by auc wants --data, e.g. --data fashion-mnist: test images say which chips are good");
    return OT_OK;
}

static ot_status take_room(bench *b, const select_synthesise_args *a)
{
    const size_t chips = (size_t)a->chips, k = (size_t)a->k;
    b->q = ot_signature_length(b->net, 1);
    b->responses = ot_alloc(chips * (size_t)a->opt.images, (size_t)b->q * sizeof *b->responses);
    b->good = ot_alloc(chips, 1);
    b->numbers = ot_alloc(chips > (size_t)a->opt.images ? chips : (size_t)a->opt.images, sizeof *b->numbers);
    b->right = ot_alloc(chips, sizeof *b->right);
    b->chosen = ot_alloc(k, sizeof *b->chosen);
    b->value = ot_alloc(k, sizeof *b->value);
    if (!b->responses || !b->good || !b->numbers || !b->right || !b->chosen || !b->value)
        OT_NOMEM("responses of simulated chips", chips * (size_t)a->opt.images * (size_t)b->q * sizeof *b->responses);
    return OT_OK;
}

static ot_status prepare(bench *b, const select_synthesise_args *a)
{
    const cli_common *c = a->common;
    ot_plan_options   how = OT_PLAN_OPTIONS_INIT;
    ot_device         dev;
    OT_TRY(check(a));
    OT_TRY(cli_open_network(c, &b->net, a->network));
    if (a->by_auc) {
        OT_TRY(ot_data_open(&b->test, c->data, OT_SPLIT_TEST, c->limit ? c->limit : COUNT_LIMIT));
        OT_TRY(ot_data_check(b->test, b->net));
    }
    OT_TRY(cli_open_device(c, &dev));
    OT_TRY(cli_open_backend(c, &b->be));
    how.tile = TILE;
    OT_TRY(ot_fleet_fit(&b->in_flight, b->be, b->net, &how, c->memory, a->chips));
    how.chips = b->in_flight;
    OT_TRY(ot_fleet_open(&b->fleet, b->be, b->net, &dev, &c->variation, &how));
    return take_room(b, a);
}

/* The ideal network's right answers, which say what is good. */
static ot_status ideal_right(const bench *b, int64_t *right)
{
    ot_plan_options how = OT_PLAN_OPTIONS_INIT;
    ot_plan        *plan;
    how.tile = TILE;
    OT_TRY(ot_plan_open(&plan, b->be, b->net, &how));
    ot_status st = ot_plan_count(plan, b->test, NULL, b->test->n, right, NULL);
    ot_plan_free(plan);
    return st;
}

static ot_status measure(bench *b, const select_synthesise_args *a)
{
    const size_t row = (size_t)a->opt.images * (size_t)b->q;
    uint32_t    *all = ot_alloc((size_t)a->opt.images, sizeof *all);
    ot_progress  line;
    ot_status    st = OT_OK;
    if (!all) OT_NOMEM("candidates", (size_t)a->opt.images * sizeof *all);
    for (uint32_t i = 0; i < (uint32_t)a->opt.images; i++) all[i] = i;
    ot__progress_start(&line, "chips", a->chips);
    OT_TRY_TO(done, st, ot_fleet_calibrate(b->fleet, b->made->images));
    for (int first = 0, n; first < a->chips; first += n) {
        n = a->chips - first < b->in_flight ? a->chips - first : b->in_flight;
        for (int i = 0; i < n; i++) b->numbers[i] = (uint32_t)(first + i);
        OT_TRY_TO(done, st, ot_fleet_draw(b->fleet, b->numbers, n));
        OT_TRY_TO(done, st, ot_signature_measure_fleet(b->responses + (size_t)first * row, b->fleet, b->made->images, all, a->opt.images));
        if (a->by_auc) OT_TRY_TO(done, st, ot_fleet_count(b->fleet, b->test, NULL, b->test->n, b->right + first, NULL));
        ot__progress_add(&line, n, NULL);
    }
done:
    ot__progress_end(&line);
    ot_free(all);
    return st;
}

static ot_status choose(bench *b, const select_synthesise_args *a)
{
    int64_t ideal;
    if (!a->by_auc) return ot_compact_logdet(b->chosen, b->value, b->responses, a->chips, a->opt.images, b->q, a->k, a->noise);
    OT_TRY(ideal_right(b, &ideal));
    for (int i = 0; i < a->chips; i++) {
        b->good[i] = (double)b->right[i] >= (double)ideal - a->drop * b->test->n;
        b->bad += !b->good[i];
    }
    if (b->bad == 0 || a->chips - b->bad < 3)
        OT_FAIL(OT_E_RANGE, "%d of %d chips are bad (more than %g below the ideal network); --by auc wants some of both: other --drop, --sigma or --chips", b->bad, a->chips, a->drop);
    return ot_compact_auc(b->chosen, b->value, b->responses, b->good, a->chips, a->opt.images, b->q, a->k, a->noise);
}

static ot_status add_arrays(ot_npz_writer *z, const bench *b, const uint8_t *pixels, const int64_t *numbers, const int64_t *labels, const double *entropy, int k)
{
    const ot_data *d = b->made->images;
    const int64_t  shape[4] = {k, d->c, d->h, d->w}, steps = b->made->steps;
    OT_TRY(ot_npz_add(z, "images", OT_U8, 4, shape, pixels));
    OT_TRY(ot_npz_add(z, "candidate", OT_I64, 1, shape, numbers));
    OT_TRY(ot_npz_add(z, "entropy", OT_F64, 1, shape, entropy));
    OT_TRY(ot_npz_add(z, "value", OT_F64, 1, shape, b->value));
    OT_TRY(ot_npz_add(z, "loss", OT_F64, 1, &steps, b->made->loss));
    OT_TRY(ot_npz_add(z, "x_test", OT_U8, 4, shape, pixels));
    return ot_npz_add(z, "y_test", OT_I64, 1, shape, labels);
}

static ot_status write_file(const bench *b, const select_synthesise_args *a)
{
    const ot_data *d = b->made->images;
    const size_t   image = (size_t)d->c * (size_t)d->h * (size_t)d->w, k = (size_t)a->k;
    uint8_t       *pixels = ot_alloc(k, image);
    int64_t       *numbers = ot_alloc(2 * k, sizeof *numbers);
    double        *entropy = ot_alloc(k, sizeof *entropy);
    ot_npz_writer *z = NULL;
    ot_status      st = OT_OK;
    if (!pixels || !numbers || !entropy) OT_FAIL_TO(done, st, OT_E_NOMEM, "%s: no memory for %d images", a->out, a->k);
    for (size_t i = 0; i < k; i++) {
        memcpy(pixels + i * image, d->pixels + (size_t)b->chosen[i] * image, image);
        numbers[i] = b->chosen[i];
        numbers[k + i] = d->labels[b->chosen[i]];
        entropy[i] = b->made->entropy[b->chosen[i]];
    }
    OT_TRY_TO(done, st, ot_npz_create(&z, a->out));
    st = add_arrays(z, b, pixels, numbers, numbers + k, entropy, a->k);
    if (st == OT_OK) st = ot_npz_finish(z);
    else ot_npz_abandon(z);
done:
    ot_free(entropy);
    ot_free(numbers);
    ot_free(pixels);
    return st;
}

static void print_json(const bench *b, const select_synthesise_args *a)
{
    cJSON *o = cJSON_CreateObject(), *list;
    cJSON_AddStringToObject(o, "network", a->network);
    cJSON_AddStringToObject(o, "loss", ot_synthesis_loss_name(a->opt.loss));
    cJSON_AddStringToObject(o, "by", a->by_auc ? "auc" : "logdet");
    cJSON_AddNumberToObject(o, "candidates", a->opt.images);
    cJSON_AddNumberToObject(o, "steps", a->opt.steps);
    cJSON_AddNumberToObject(o, "chips", a->chips);
    if (a->by_auc) cJSON_AddNumberToObject(o, "bad", b->bad);
    cli_json_number(o, "loss_first", b->made->loss[0]);
    cli_json_number(o, "loss_last", b->made->loss[b->made->steps - 1]);
    list = cJSON_AddArrayToObject(o, "images");
    for (int i = 0; i < a->k; i++) {
        cJSON *image = cJSON_CreateObject();
        cJSON_AddNumberToObject(image, "candidate", b->chosen[i]);
        cJSON_AddNumberToObject(image, "class", b->made->images->labels[b->chosen[i]]);
        cli_json_number(image, "entropy", b->made->entropy[b->chosen[i]]);
        cli_json_number(image, "value", b->value[i]);
        cJSON_AddItemToArray(list, image);
    }
    cJSON_AddStringToObject(o, "file", a->out);
    cli_json_number(o, "seconds", b->seconds);
    cli_print_json(o);
}

static void print_table(const bench *b, const select_synthesise_args *a)
{
    printf("%d candidates, %s loss %.4f -> %.4f in %d steps; %d chips", a->opt.images, ot_synthesis_loss_name(a->opt.loss), b->made->loss[0],
           b->made->loss[b->made->steps - 1], a->opt.steps, a->chips);
    if (a->by_auc) printf(", %d of them bad", b->bad);
    printf("\n%9s  %5s  %7s  %s\n", "candidate", "class", "entropy", a->by_auc ? "AUC so far" : "log det added");
    for (int i = 0; i < a->k; i++)
        printf("%9d  %5d  %7.4f  %.4f\n", b->chosen[i], b->made->images->labels[b->chosen[i]], b->made->entropy[b->chosen[i]], b->value[i]);
    printf("%s: %d images, %.1f s\n", a->out, a->k, b->seconds);
}

typedef struct steps { ot_progress line; int told; } steps;

static ot_status tell(void *user, int done, int all, double loss)
{
    steps *s = user;
    char   note[48];
    (void)all;
    snprintf(note, sizeof note, "loss %.4f", loss);
    ot__progress_add(&s->line, done - s->told, note);
    s->told = done;
    return OT_OK;
}

ot_status select_synthesise(const select_synthesise_args *a)
{
    bench        b = {0};
    steps        s = {0};
    ot_status    st;
    const double start = ot__seconds();
    ot_synthesis_options opt = a->opt;
    char         identity[1024];
    opt.seed = a->common->variation.seed;
    opt.threads = a->common->threads;
    OT_TRY_TO(done, st, prepare(&b, a));
    if (a->common->dry_run) {
        printf("%d candidates of %s, %d steps; %d chips, %.1f MB on the device\n", opt.images, a->network, opt.steps, a->chips, (double)ot_fleet_bytes(b.fleet) / 1048576);
        goto done;
    }
    OT_TRY_TO(done, st, ot_backend_identity(b.be, identity, sizeof identity));
    ot__progress_start(&s.line, "steps", opt.steps);
    st = ot_synthesise(&b.made, identity, b.net, &opt, tell, &s);
    ot__progress_end(&s.line);
    if (st != OT_OK) goto done;
    OT_TRY_TO(done, st, measure(&b, a));
    OT_TRY_TO(done, st, choose(&b, a));
    OT_TRY_TO(done, st, write_file(&b, a));
    b.seconds = ot__seconds() - start;
    if (a->common->json) print_json(&b, a);
    else print_table(&b, a);
done:
    bench_free(&b);
    return st;
}

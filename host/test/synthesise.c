/* synthesise.c - images from noise: Adam on the pixels, down a loss on the ideal network's answers.
 *
 *     x (pixels 0..1)  ->  z = (x - mean) / std  ->  network  ->  logits  ->  entropy loss         plus  smooth * TV(x)
 *     dL/dx = dL/dz / std + smooth dTV/dx,   x = clamp(x - Adam's step, 0, 1),   at the end round(255 x)
 *
 * Images are moved in batches of their own, each batch by one thread with a plan of its own whose tile is the largest batch: so nothing
 * depends on how many threads there are.  Threads meet every ten steps, which is when progress is told. */
#include "base/fail.h"
#include "kernels/adam.h"
#include "kernels/philox.h"
#include "ohmtrim/synthesise.h"
#include "train/pool.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { STEPS_A_ROUND = 10 };

/* A batch: images first .. first + n - 1 of all. */
typedef struct batch {
    int           first, n, done;      /* steps done */
    ot_adam_power power;
    double        value;               /* the entropy loss of the step under way */
} batch;

typedef struct worker { ot_backend *be; ot_plan *plan; float *input, *grad; double *work; } worker;

typedef struct job {
    const ot_network           *net;
    const ot_synthesis_options *opt;
    const char                 *backend;
    int                         tile, n_batches, threads, target;     /* steps to have done after this round */
    size_t                      image, classes;
    float                      *pixels;    /* (images, image) 0..1 */
    ot_adam                    *adam;      /* likewise */
    double                     *loss;      /* (batches, steps) */
    batch                      *batches;
    worker                     *workers;
    ot_synthesis               *out;
} job;

ot_synthesis_options ot_synthesis_defaults(ot_synthesis_loss loss)
{
    return (ot_synthesis_options){.loss = loss, .images = 200, .batch = 50, .steps = 300, .lr = 0.05, .diversity = 1, .smooth = 1, .seed = 1};
}

ot_status ot_synthesis_check(const ot_synthesis_options *o)
{
    if (o->loss != OT_SYNTHESIS_CONFIDENT && o->loss != OT_SYNTHESIS_BOUNDARY) OT_FAIL(OT_E_RANGE, "synthesis loss = %d, want 0 (confident) or 1 (boundary)", (int)o->loss);
    if (o->images < 1 || o->images > 100000) OT_FAIL(OT_E_RANGE, "synthetic images = %d, want 1..100000", o->images);
    if (o->batch < 1 || o->batch > 4096) OT_FAIL(OT_E_RANGE, "synthesis batch = %d images, want 1..4096", o->batch);
    if (o->steps < 1 || o->steps > 100000) OT_FAIL(OT_E_RANGE, "synthesis steps = %d, want 1..100000", o->steps);
    if (!(o->lr > 0 && o->lr <= 1)) OT_FAIL(OT_E_RANGE, "synthesis lr = %g, want above 0, at most 1 (pixels are 0..1)", o->lr);
    if (!(o->diversity >= 0 && o->diversity <= 100)) OT_FAIL(OT_E_RANGE, "diversity = %g, want 0..100", o->diversity);
    if (!(o->smooth >= 0 && o->smooth <= 100)) OT_FAIL(OT_E_RANGE, "smooth = %g, want 0..100", o->smooth);
    if (o->threads < 0 || o->threads > 1024) OT_FAIL(OT_E_RANGE, "threads = %d, want 0..1024", o->threads);
    return OT_OK;
}

void ot_synthesis_free(ot_synthesis *s)
{
    if (!s) return;
    ot_data_free(s->images);
    ot_free(s->entropy);
    ot_free(s->loss);
    ot_free(s);
}

/* ---- one batch ---- */

/* Pixel i of an image is word i % 4 of block i / 4 of its stream. */
static void noise(float *pixels, size_t n, uint64_t seed, uint32_t image)
{
    uint32_t word[4];
    for (size_t i = 0; i < n; i++) {
        if (i % 4 == 0) ot_philox(&word[0], &word[1], &word[2], &word[3], seed, (uint32_t)(i / 4), image, 0, OT_PURPOSE_IMAGES);
        pixels[i] = (float)(((double)word[i % 4] + 0.5) / 4294967296.0);
    }
}

typedef struct asked { const job *j; batch *b; double *work; } asked;

static ot_status entropy_of(void *user, const float *logits, int n, float *grad)
{
    const asked *a = user;
    const job   *j = a->j;
    for (size_t i = 0; i < (size_t)n * j->classes; i++)
        if (!isfinite(logits[i]))
            OT_FAIL(OT_E_DATA, "synthetic image %zu, step %d: a class output is %g, want finite ones", (size_t)a->b->first + i / j->classes, a->b->done, (double)logits[i]);
    a->b->value = ot_entropy_loss(j->opt->loss, j->opt->diversity, logits, n, (int)j->classes, a->work, grad);
    return OT_OK;
}

static ot_status one_step(const job *j, batch *b, worker *w)
{
    const ot_layer *in = ot_network_layer(j->net, 0);
    const size_t    plane = (size_t)in->h * (size_t)in->w, all = (size_t)b->n * j->image;
    float          *x = j->pixels + (size_t)b->first * j->image;
    ot_adam        *adam = j->adam + (size_t)b->first * j->image;
    const float    *mean, *std;
    asked           ask = {j, b, w->work};
    ot_network_normalisation(j->net, &mean, &std);
    for (size_t i = 0; i < all; i++) w->input[i] = (x[i] - mean[i / plane % (size_t)in->c]) / std[i / plane % (size_t)in->c];
    OT_TRY(ot_plan_input_gradient(w->plan, w->input, b->n, entropy_of, &ask, w->grad));
    for (size_t i = 0; i < all; i++) w->grad[i] /= std[i / plane % (size_t)in->c];
    double rough = ot_total_variation(x, b->n, in->c, in->h, in->w, j->opt->smooth, w->grad);
    j->loss[(size_t)(b - j->batches) * (size_t)j->opt->steps + (size_t)b->done] = b->value + j->opt->smooth * rough;
    ot_adam_advance(&b->power);
    for (size_t i = 0; i < all; i++) {
        double p = ot_adam_step((double)x[i], (double)w->grad[i], j->opt->lr, &adam[i], b->power);
        x[i] = (float)(p < 0.0 ? 0.0 : p > 1.0 ? 1.0 : p);
    }
    b->done++;
    return OT_OK;
}

/* ---- threads ---- */

static ot_status open_worker(void *user, int number)
{
    job            *j = user;
    worker         *w = &j->workers[number];
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    const size_t    n = (size_t)j->tile * j->image;
    opt.use = OT_PLAN_TUNE;
    opt.tile = j->tile;
    opt.input_gradient = 1;
    if (!w->be) OT_TRY(ot_backend_open(&w->be, j->backend, NULL));
    OT_TRY(ot_plan_open(&w->plan, w->be, j->net, &opt));
    w->input = ot_alloc(n, sizeof *w->input);
    w->grad = ot_alloc(n, sizeof *w->grad);
    w->work = ot_alloc((size_t)j->tile + 1, j->classes * sizeof *w->work);
    if (!w->input || !w->grad || !w->work) OT_NOMEM("synthetic images", 2 * n * sizeof *w->grad);
    return OT_OK;
}

static void close_worker(worker *w)
{
    ot_free(w->work);
    ot_free(w->grad);
    ot_free(w->input);
    ot_plan_free(w->plan);
    ot_backend_close(w->be);
}

static ot_status start_batch(void *user, int number)
{
    job   *j = user;
    batch *b = &j->batches[number];
    b->first = (int)((int64_t)j->opt->images * number / j->n_batches);
    b->n = (int)((int64_t)j->opt->images * (number + 1) / j->n_batches) - b->first;
    b->power = (ot_adam_power){1, 1};
    for (int k = 0; k < b->n; k++) noise(j->pixels + (size_t)(b->first + k) * j->image, j->image, j->opt->seed, (uint32_t)(b->first + k));
    return OT_OK;
}

static ot_status move_batch(void *user, int number)
{
    job   *j = user;
    batch *b = &j->batches[number];
    while (b->done < j->target) OT_TRY(one_step(j, b, &j->workers[number % j->threads]));
    return OT_OK;
}

/* Rounded; entropy and class of what the rounded images give. */
static ot_status finish_batch(void *user, int number)
{
    job         *j = user;
    const batch *b = &j->batches[number];
    worker      *w = &j->workers[number % j->threads];
    const size_t at = (size_t)b->first * j->image;
    ot_data      own = *j->out->images;
    float       *logits = (float *)w->work;                          /* wider than needed */
    own.n = b->n;
    own.pixels += at;
    own.labels += b->first;
    for (size_t i = 0; i < (size_t)b->n * j->image; i++) own.pixels[i] = (uint8_t)lrint(255.0 * (double)j->pixels[at + i]);
    OT_TRY(ot_plan_forward(w->plan, &own, NULL, b->n, logits, NULL));
    for (int k = 0; k < b->n; k++) {
        const float *z = logits + (size_t)k * j->classes;
        j->out->entropy[b->first + k] = ot_entropy(z, (int)j->classes);
        own.labels[k] = ot_plan_class(z, (int)j->classes);
        if (own.labels[k] < 0 || !isfinite(j->out->entropy[b->first + k])) OT_FAIL(OT_E_DATA, "synthetic image %d: a class output is not finite", b->first + k);
    }
    return OT_OK;
}

/* ---- all of it ---- */

static ot_status make_output(job *j)
{
    const ot_layer *in = ot_network_layer(j->net, 0);
    const size_t    n = (size_t)j->opt->images;
    ot_data        *d = ot_alloc(1, sizeof *d);
    if (!(j->out = ot_alloc(1, sizeof *j->out)) || !d) {
        ot_free(d);
        OT_NOMEM("synthetic images", sizeof *d);
    }
    j->out->images = d;
    j->out->steps = j->opt->steps;
    *d = (ot_data){.name = ot_strdup("synthetic"), .n = j->opt->images, .c = in->c, .h = in->h, .w = in->w, .classes = (int)j->classes,
                   .pixels = ot_alloc(n, j->image), .labels = ot_alloc(n, sizeof *d->labels)};
    j->out->entropy = ot_alloc(n, sizeof *j->out->entropy);
    j->out->loss = ot_alloc((size_t)j->opt->steps, sizeof *j->out->loss);
    if (!d->name || !d->pixels || !d->labels || !j->out->entropy || !j->out->loss) OT_NOMEM("synthetic images", n * j->image);
    return OT_OK;
}

static ot_status make_state(job *j)
{
    const size_t pixels = (size_t)j->opt->images * j->image;
    j->pixels = ot_alloc(pixels, sizeof *j->pixels);
    j->adam = ot_alloc(pixels, sizeof *j->adam);
    j->loss = ot_alloc((size_t)j->n_batches * (size_t)j->opt->steps, sizeof *j->loss);
    j->batches = ot_alloc((size_t)j->n_batches, sizeof *j->batches);
    j->workers = ot_alloc((size_t)j->threads, sizeof *j->workers);
    if (!j->pixels || !j->adam || !j->loss || !j->batches || !j->workers) OT_NOMEM("synthetic images", pixels * (sizeof *j->pixels + sizeof *j->adam));
    return OT_OK;
}

/* The losses of all batches, weighted by their images. */
static double mean_loss(const job *j, int step)
{
    double sum = 0.0;
    for (int b = 0; b < j->n_batches; b++) sum += j->loss[(size_t)b * (size_t)j->opt->steps + (size_t)step] * j->batches[b].n;
    return sum / j->opt->images;
}

static ot_status work(job *j, ot__pool *pool, ot_synthesis_progress progress, void *user)
{
    OT_TRY(ot__pool_run(pool, j->threads, open_worker, j));
    OT_TRY(ot__pool_run(pool, j->n_batches, start_batch, j));
    for (int step = 0; step < j->opt->steps;) {
        j->target = j->opt->steps - step < STEPS_A_ROUND ? j->opt->steps : step + STEPS_A_ROUND;
        OT_TRY(ot__pool_run(pool, j->n_batches, move_batch, j));
        for (; step < j->target; step++) j->out->loss[step] = mean_loss(j, step);
        if (progress) OT_TRY(progress(user, step, j->opt->steps, j->out->loss[step - 1]));
    }
    return ot__pool_run(pool, j->n_batches, finish_batch, j);
}

ot_status ot_synthesise(ot_synthesis **out, const char *backend, const ot_network *net, const ot_synthesis_options *opt, ot_synthesis_progress progress, void *user)
{
    const ot_layer *in = ot_network_layer(net, 0);
    ot__pool       *pool = NULL;
    ot_backend     *first = NULL;
    char            name[1024];
    ot_status       st = OT_OK;
    OT_TRY(ot_synthesis_check(opt));
    OT_TRY(ot_backend_open(&first, backend, NULL));
    job j = {.net = net, .opt = opt, .backend = ot_backend_name(first), .n_batches = (opt->images + opt->batch - 1) / opt->batch,
             .image = (size_t)in->c * (size_t)in->h * (size_t)in->w, .classes = (size_t)ot_network_classes(net)};
    j.tile = (opt->images + j.n_batches - 1) / j.n_batches;
    j.threads = opt->threads ? opt->threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (j.threads > j.n_batches) j.threads = j.n_batches;
    if (j.threads < 1 || !strncmp(j.backend, "cuda", 4)) j.threads = 1;
    OT_TRY_TO(done, st, ot_backend_identity(first, name, sizeof name));                      /* a library's choices are the first one's for all */
    j.backend = name;
    OT_TRY_TO(done, st, make_state(&j));
    j.workers[0].be = first;
    first = NULL;
    OT_TRY_TO(done, st, make_output(&j));
    OT_TRY_TO(done, st, ot__pool_open(&pool, j.threads));
    st = work(&j, pool, progress, user);
done:
    ot__pool_close(pool);
    for (int k = 0; k < j.threads && j.workers; k++) close_worker(&j.workers[k]);
    ot_backend_close(first);
    ot_free(j.workers);
    ot_free(j.batches);
    ot_free(j.loss);
    ot_free(j.adam);
    ot_free(j.pixels);
    if (st == OT_OK) *out = j.out;
    else ot_synthesis_free(j.out);
    return st;
}

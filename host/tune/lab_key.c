/* lab_key.c - a task in words: what names it in the table of trials, so that results of another network, device or image set are never
 * taken for its own.  Things are named by their names and the beginning of a SHA-256 of what they hold. */
#include "tune/lab.h"
#include "base/fail.h"
#include "base/sha256.h"
#include "network/structure.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Twelve digits of what a thing holds. */
static void twelve(char out[13], ot_sha256 *s)
{
    char hex[65];
    ot__sha256_end(s, hex);
    memcpy(out, hex, 12);
    out[12] = 0;
}

static void hash_data(char out[13], const ot_data *d)
{
    ot_sha256 s;
    size_t    pixels = (size_t)d->n * (size_t)d->c * (size_t)d->h * (size_t)d->w;
    ot__sha256_start(&s);
    ot__sha256_add(&s, d->labels, (size_t)d->n * sizeof *d->labels);
    if (d->pixels)
        ot__sha256_add(&s, d->pixels, pixels);
    else
        ot__sha256_add(&s, d->values, pixels * sizeof *d->values);
    twelve(out, &s);
}

static void hash_device(char out[13], const ot_device *d)
{
    ot_sha256 s;
    ot__sha256_start(&s);
    ot__sha256_add(&s, d->g, sizeof d->g);
    for (int k = 0; k < 2; k++) ot__sha256_add(&s, d->poly[k], (size_t)d->n_poly[k] * sizeof *d->poly[k]);
    ot__sha256_add(&s, (double[]){d->domain, d->g_min, d->g_max}, 3 * sizeof(double));
    twelve(out, &s);
}

static ot_status hash_network(char out[13], const ot_network *net)
{
    ot_sha256    s;
    const size_t n = ot_network_parameters(net), m = ot_network_statistics(net);
    float       *all = ot_alloc(n + m, sizeof *all);
    if (!all) OT_NOMEM("parameters", (n + m) * sizeof *all);
    ot_network_get_parameters(net, all);
    ot_network_get_statistics(net, all + n);
    ot__sha256_start(&s);
    ot__sha256_add(&s, all, (n + m) * sizeof *all);
    ot__network_add_structure(&s, net);
    ot_free(all);
    twelve(out, &s);
    return OT_OK;
}

/* All that a trial depends on besides candidate, chip, steps and every. */
ot_status ot__lab_key(ot_lab *lab)
{
    const ot_trial_task   *t = &lab->task;
    const ot_tune_options *o = &t->tune;
    const ot_variation    *v = &t->variation;
    char net[13], train[13], judge[13], device[13];
    enum { ROOM = 1024 };
    OT_TRY(hash_network(net, t->net));
    hash_data(train, t->train);
    hash_data(judge, t->judge);
    hash_device(device, t->device);
    if (!(lab->key = ot_alloc(ROOM, 1))) OT_NOMEM("the name of a task", ROOM);
    int n = snprintf(lab->key, ROOM, "%.100s:%s train=%.60s:%d:%s judge=%.60s:%d:%s device=%.60s:%s sigma=%.12g sys_share=%.12g bits=%d stuck=%.12g/%.12g seed=%" PRIu64
             " tuner=%s minibatch=%d order=%" PRIu64 " backend=%.100s", ot_network_name(t->net), net, t->train->name, t->train->n, train, t->judge->name, t->judge->n,
             judge, t->device->name, device, v->sigma, v->sys_share, v->bits, v->stuck_lrs, v->stuck_hrs, v->seed, ot_tuner_name(t->tuner), o->minibatch, o->seed,
             ot_backend_name(lab->be));
    if (t->tuner == OT_TUNER_SUBSET) snprintf(lab->key + n, ROOM - (size_t)n, " subset_frac=%.12g", o->subset_frac);
    if (t->tuner == OT_TUNER_CLOSED_FORM_ADAM) snprintf(lab->key + n, ROOM - (size_t)n, " images=%d polish_images=%d", o->images, o->polish_images);
    for (char *p = lab->key; *p; p++)
        if ((unsigned char)*p < ' ') *p = '?';
    return OT_OK;
}

/* setup.c - opens what a campaign reads, says what it is (hashes), and how much memory it takes. */
#include "backend/backend.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/sha256.h"
#include "campaign/job.h"
#include "tune/change.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* The most chips on a device at once: it is busy long before, and a kill loses no more than these. */
enum { FLEET = 64 };

ot_plan_options campaign__plan_options(const ot_campaign_spec *spec)
{
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    opt.use = OT_PLAN_TUNE;
    opt.tile = spec->tile;
    return opt;
}

/* The file's bytes, then all numbers that were read: external data lies beside the file. */
static ot_status hash_network(campaign *c)
{
    void *bytes;
    size_t n_bytes, n = ot_network_parameters(c->net), m = ot_network_statistics(c->net);
    ot_sha256 sha;
    float *flat = ot_alloc(n + m, sizeof *flat);
    if (!flat) OT_NOMEM(c->spec->network, (n + m) * sizeof *flat);
    ot_status st = ot__file_read(&bytes, &n_bytes, c->spec->network, (size_t)1 << 32);
    if (st == OT_OK) {
        ot_network_get_parameters(c->net, flat);
        ot_network_get_statistics(c->net, flat + n);
        ot__sha256_start(&sha);
        ot__sha256_add(&sha, bytes, n_bytes);
        ot__sha256_add(&sha, flat, (n + m) * sizeof *flat);
        ot__sha256_end(&sha, c->network_sha);
        ot_free(bytes);
    }
    ot_free(flat);
    return st;
}

static void hash_data(char hex[65], const ot_data *d)
{
    const int32_t shape[5] = {d->n, d->c, d->h, d->w, d->classes};
    size_t numbers = (size_t)d->n * (size_t)d->c * (size_t)d->h * (size_t)d->w;
    ot_sha256 sha;
    ot__sha256_start(&sha);
    ot__sha256_add(&sha, shape, sizeof shape);
    if (d->pixels) ot__sha256_add(&sha, d->pixels, numbers);
    if (d->values) ot__sha256_add(&sha, d->values, numbers * sizeof *d->values);
    ot__sha256_add(&sha, d->labels, (size_t)d->n * sizeof *d->labels);
    ot__sha256_end(&sha, hex);
}

/* What cells do, not what the device is called or where it came from. */
static void hash_device(char hex[65], const ot_device *d)
{
    ot_sha256 sha;
    ot__sha256_start(&sha);
    for (int s = 0; s < 2; s++) {
        ot__sha256_add(&sha, &d->g[s], sizeof d->g[s]);
        ot__sha256_add(&sha, d->poly[s], (size_t)d->n_poly[s] * sizeof *d->poly[s]);
    }
    const double rest[3] = {d->domain, d->g_min, d->g_max};
    ot__sha256_add(&sha, rest, sizeof rest);
    ot__sha256_end(&sha, hex);
}

static int cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

static size_t data_bytes(const ot_data *d)
{
    size_t numbers = (size_t)d->n * (size_t)d->c * (size_t)d->h * (size_t)d->w;
    return numbers * (d->values ? sizeof(float) : 1) + (size_t)d->n * sizeof(int32_t);
}

/* Bytes that the tuners take which change one chip at a time; OT_E_UNSUPPORTED: a tuner does not suit the network. */
static ot_status tuners_memory(size_t *bytes, const campaign *c, ot_backend *be)
{
    const ot_campaign_spec *s = c->spec;
    ot_plan_options         opt = campaign__plan_options(s);
    *bytes = 0;
    for (int i = 0; i < s->n_tuners; i++) {
        size_t one;
        OT_TRY(ot_tuner_suits(s->tuners[i], c->net, be));
        if (!ot__tuner_alone(s->tuners[i])) continue;
        opt.use = OT_PLAN_TRAIN;
        opt.tile = s->tuners[i] == OT_TUNER_RETRAIN ? s->tune.minibatch : s->tune.images;
        if (s->tuners[i] == OT_TUNER_SELF_TUNING_LTM) one = ot__tuning_ltm_bytes(c->net, s->tune.ltm_columns);
        else OT_TRY(ot_plan_measure(&one, be, c->net, &opt));
        if (s->tuners[i] == OT_TUNER_RETRAIN) one += ot_network_parameters(c->net) * 40;      /* gradient, sums, saliences, Adam */
        if (one > *bytes) *bytes = one;
    }
    return OT_OK;
}

static ot_status plan_memory(campaign *c)
{
    ot_backend *be;
    size_t plan_bytes, tuner_bytes = 0;
    ot_plan_options opt = campaign__plan_options(c->spec);
    const ot_campaign_spec *s = c->spec;
    OT_TRY(ot_backend_open(&be, s->backend, NULL));
    snprintf(c->libraries, sizeof c->libraries, "%s", ot_backend_detail(be));
    int fleet = 0, most = s->chips > s->casebook_chips ? s->chips : s->casebook_chips;
    ot_status st = ot_plan_measure(&plan_bytes, be, c->net, &opt);
    if (st == OT_OK) st = tuners_memory(&tuner_bytes, c, be);
    if (st == OT_OK && be->i->many) st = ot_fleet_fit(&fleet, be, c->net, &opt, c->how->memory, most < FLEET ? most : FLEET);
    if (st == OT_OK) st = ot_backend_identity(be, c->backend, sizeof c->backend);      /* with what it chose: all other openings replay it */
    ot_backend_close(be);
    OT_TRY(st);
    c->fleet = fleet > 0;
    ot_campaign_need *need = &c->need;
    size_t weights = 0, casebook = (size_t)s->casebook_chips * ((size_t)c->n_signature * 12 + (size_t)c->n_relus * 8);
    for (int k = 0; k < ot_network_crossbars(c->net); k++) weights += ot_layer_weights(ot_network_crossbar(c->net, k));
    casebook += (size_t)s->casebook_chips * (size_t)s->casebook_chips * 8;              /* distances, while it is clustered */
    need->shared_bytes = data_bytes(c->train) + data_bytes(c->test) + ot_network_parameters(c->net) * sizeof(float) + casebook;
    need->chip_bytes = plan_bytes + tuner_bytes + weights * (sizeof(float) + sizeof(int32_t)) +
                       (OT_TUNERS + 1) * (c->n_bits + 2 * (size_t)c->n_relus * sizeof(float)) + (size_t)c->n_signature * sizeof(float);
    int threads = c->how->threads > 0 ? c->how->threads : cores();
    need->in_flight = fleet ? fleet : threads < most ? threads : most;
    size_t allowed = fleet ? 0 : c->how->memory;                                        /* a fleet's memory is the device's */
    if (allowed) {
        size_t fit = allowed > need->shared_bytes ? (allowed - need->shared_bytes) / need->chip_bytes : 0;
        if (fit < 1)
            OT_FAIL(OT_E_MEMORY_PLAN, "memory = %.1f MB, want at least %.1f MB: images and network %.1f, one chip %.1f", (double)allowed / 1048576,
                    (double)(need->shared_bytes + need->chip_bytes) / 1048576, (double)need->shared_bytes / 1048576,
                    (double)need->chip_bytes / 1048576);
        if (fit < (size_t)need->in_flight) need->in_flight = (int)fit;
    }
    need->total_bytes = need->shared_bytes + (size_t)need->in_flight * need->chip_bytes;
    return OT_OK;
}

ot_status campaign__open(campaign *c, const ot_campaign_spec *spec, const ot_campaign_how *how)
{
    *c = (campaign){.spec = spec, .how = how};
    OT_TRY(ot_campaign_spec_check(spec));
    OT_TRY(ot_network_open(&c->net, spec->network));
    OT_TRY(ot_device_open(&c->dev, spec->device_model));
    OT_TRY(ot_data_open(&c->test, spec->data, OT_SPLIT_TEST, spec->test_limit));
    OT_TRY(ot_data_check(c->test, c->net));
    OT_TRY(ot_data_open(&c->train, spec->data, OT_SPLIT_TRAIN, spec->train_limit));
    OT_TRY(ot_data_check(c->train, c->net));
    c->n_relus = ot_network_knobs(c->net);
    if (c->n_relus < 1) OT_FAIL(OT_E_UNSUPPORTED, "%s: neither ReLU nor spiking layers, so there are no knobs to tune", spec->network);
    c->n_signature = ot_signature_length(c->net, spec->stimulus_images);
    c->looks = (ot_layout){.kind = strcmp(spec->signature, "final") ? OT_SIGNATURE_FULL : OT_SIGNATURE_FINAL, .images = spec->stimulus_images, .relus = c->n_relus,
                           .classes = ot_network_classes(c->net)};
    if (ot_network_spikes(c->net)) c->ladder = spec->ladder;
    c->n_bits = ((size_t)c->test->n + 7) / 8;
    c->stimulus = ot_alloc((size_t)spec->stimulus_images, sizeof *c->stimulus);
    if (!c->stimulus) OT_NOMEM("stimulus", (size_t)spec->stimulus_images * sizeof *c->stimulus);
    OT_TRY(ot_stimulus_random(c->stimulus, spec->stimulus_images, c->test, spec->variation.seed));
    return plan_memory(c);
}

const float *campaign__looks(const campaign *c, const float *full, float *scratch)
{
    if (c->looks.kind == OT_SIGNATURE_FULL) return full;
    ot__answers_arrange(scratch, &c->looks, full, NULL);
    return scratch;
}

/* The hashes read all images: only for a run. */
ot_status campaign__hash(campaign *c)
{
    hash_data(c->test_sha, c->test);
    hash_data(c->train_sha, c->train);
    hash_device(c->device_sha, &c->dev);
    return hash_network(c);
}

void campaign__close(campaign *c)
{
    ot__store_close(c->store);
    campaign__free_stimuli(c);
    ot_casebook_free(c->casebook);
    ot_tuning_free(c->tuning);
    ot_free(c->casebook_chip);
    ot_free(c->stimulus);
    ot_data_free(c->train);
    ot_data_free(c->test);
    ot_network_free(c->net);
}

ot_status ot_campaign_measure(ot_campaign_need *out, const ot_campaign_spec *spec, const ot_campaign_how *how)
{
    campaign c;
    ot_status st = campaign__open(&c, spec, how);
    if (st == OT_OK) *out = c.need;
    campaign__close(&c);
    return st;
}

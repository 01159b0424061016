/* identity.c - see identity.h.  What the user sets comes before what follows from it (hashes), so that a sentence names the cause. */
#include "train/identity.h"
#include "base/fail.h"
#include "base/number.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 100 }; /* of a network or a data set: enough to tell, whatever a file says */

typedef struct lines { char *text; size_t n; } lines;

__attribute__((format(printf, 2, 3))) static void say(lines *l, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    const int n = vsnprintf(l->text + l->n, OT__IDENTITY_ROOM - l->n, format, ap);
    va_end(ap);
    if (n > 0) l->n += (size_t)n;
    if (l->n > OT__IDENTITY_ROOM - 1) l->n = OT__IDENTITY_ROOM - 1;
}

/* A name within a line. */
static const char *name(char out[NAME + 1], const char *from)
{
    snprintf(out, NAME + 1, "%s", from);
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < ' ') *p = '?';
    return out;
}

static void say_loop(lines *l, const ot__trainer *t)
{
    static const char *const schedules[] = {[OT_SCHEDULE_COSINE] = "cosine", [OT_SCHEDULE_STEP] = "step", [OT_SCHEDULE_FIXED] = "fixed", [OT_SCHEDULE_POLICY] = "policy"};
    const ot_train_options *o = t->opt;
    char a[32], b[32], c[32], d[32];
    say(l, "seed: %" PRIu64 "\noptimizer: %s\nschedule: %s\nlr: %s\nmomentum: %s\nweight decay: %s\n", o->seed, o->optimizer == OT_OPTIMIZER_SGD ? "sgd" : "adam",
        schedules[o->schedule], ot__number_text(a, o->lr), ot__number_text(b, o->momentum), ot__number_text(c, o->weight_decay));
    say(l, "minibatch: %d\nshards: %d\nwarm-up epochs: %d\ncrop: %d\nflip: %d\nlabel smoothing: %s\n", o->minibatch, t->n_shards, o->warmup_epochs, o->crop_pad, o->flip,
        ot__number_text(d, o->label_smoothing));
    if (o->schedule == OT_SCHEDULE_POLICY) {
        char policy[OT_POLICY_TEXT];
        ot_policy_write(policy, &o->policy);
        say(l, "policy: %s\n", policy);
    }
    /* more epochs than before are welcome where the schedule does not depend on their number */
    if (o->schedule == OT_SCHEDULE_COSINE || (o->schedule == OT_SCHEDULE_POLICY && ot_policy_scales(&o->policy))) say(l, "epochs: %d\n", o->epochs);
    if (o->schedule == OT_SCHEDULE_STEP) say(l, "step: %s every %d epochs\n", ot__number_text(a, o->step_gamma), o->step_epochs);
    if (o->lipschitz > 0) say(l, "lipschitz: %s, sigma %s\n", ot__number_text(a, o->lipschitz), ot__number_text(b, o->lipschitz_sigma));
}

static void say_spiking(lines *l, const ot__trainer *t)
{
    char a[32];
    if (ot_network_spikes(t->net))
        say(l, "steps: %d\nsurrogate: %d, sharpness %s\nloss of spikes: %s\n", ot_network_spiking(t->net)->steps, (int)t->opt->surrogate, ot__number_text(a, t->opt->sharpness),
            t->opt->spike_loss == OT_SPIKE_LOSS_COUNT ? "count" : "rate");
}

static uint64_t hash_device(const ot_device *d)
{
    uint64_t h = ot__train_hash(0, d->g, sizeof d->g);
    for (int k = 0; k < 2; k++) h = ot__train_hash(h, d->poly[k], (size_t)d->n_poly[k] * sizeof *d->poly[k]);
    return ot__train_hash(h, (double[]){d->domain, d->g_min, d->g_max}, 3 * sizeof(double));
}

/* Quantising, noise, simulated chips; nothing of plain training. */
static void say_robust(lines *l, const ot__trainer *t)
{
    static const char *const stes[OT_STES] = {"clipped", "identity", "inside"}, *const ranges[] = {"auto", "average", "least"};
    const ot_robust_options *o = &t->opt->robust;
    const ot_variation *v = &o->variation;
    char a[32], b[32], c[32], d[32], of[NAME + 1];
    if (o->weight_bits || o->activation_bits)
        say(l, "bits: weights %d %s, activations %d %s\nquantised after: %d epochs, scales every %d\nrange: %s of %d, momentum %s\n", o->weight_bits, stes[o->weight_ste],
            o->activation_bits, stes[o->activation_ste], o->quantise_after, o->rescale_epochs, ranges[o->range], o->range_batches, ot__number_text(a, o->range_momentum));
    if (o->noise.within > 0 || o->noise.between > 0)
        say(l, "noise: %s, within %s, between %s, %d samples\n", ot_noise_model_name(o->noise.model), ot__number_text(a, o->noise.within), ot__number_text(b, o->noise.between), o->samples);
    if (o->device)
        say(l, "chips: %s hash %016" PRIx64 ", sigma %s, share %s, %d bits, stuck %s %s, %d samples\n", name(of, o->device->name), hash_device(o->device), ot__number_text(a, v->sigma),
            ot__number_text(b, v->sys_share), v->bits, ot__number_text(c, v->stuck_lrs), ot__number_text(d, v->stuck_hrs), o->samples);
}

void ot__identity_write(char text[OT__IDENTITY_ROOM], const ot__trainer *t)
{
    const ot_backend *be = t->shard[0].backend;
    char net[NAME + 1], set[NAME + 1];
    lines l = {text, 0};
    say(&l, "checkpoint: 2\n");
    say_loop(&l, t);
    say_spiking(&l, t);
    say_robust(&l, t);
    say(&l, "training set: %s, %d images, hash %016" PRIx64 "\n", name(set, t->train->name), t->train->n, t->data_hash);
    say(&l, "network: %s, %zu parameters, hash %016" PRIx64 ", layers %.12s\n", name(net, ot_network_name(t->net)), t->n_parameters, t->start_hash, t->structure);
    say(&l, "backend: %s %s\n", ot_backend_name(be), ot_backend_detail(be));
}

static int key(const char *line, const char *end)
{
    const char *colon = memchr(line, ':', (size_t)(end - line));
    return (int)((colon ? colon : end) - line);
}

/* Whether a line of `text` has this key. */
static int has_key(const char *text, const char *wanted, int n)
{
    for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
        if (!strncmp(text, wanted, (size_t)n) && text[n] == ':') return 1;
    return 0;
}

ot_status ot__identity_compare(const char *path, const char *stored, const char *own)
{
    while (*own || *stored) {
        const int a = (int)strcspn(stored, "\n"), b = (int)strcspn(own, "\n"), ka = key(stored, stored + a), kb = key(own, own + b);
        if (*stored && !has_key(own, stored, ka))
            OT_FAIL(OT_E_MISMATCH, "%s is the checkpoint of another run: it has '%.*s', this run no such thing (remove the file to start anew)", path, a, stored);
        if (*own && !has_key(stored, own, kb))
            OT_FAIL(OT_E_MISMATCH, "%s is the checkpoint of another run: this run has '%.*s', it no such thing (remove the file to start anew)", path, b, own);
        if (a != b || memcmp(stored, own, (size_t)a))
            OT_FAIL(OT_E_MISMATCH, "%s is the checkpoint of another run: it has '%.*s', this run '%.*s' (remove the file to start anew)", path, a, stored, b, own);
        stored += a + (stored[a] == '\n');
        own += b + (own[b] == '\n');
    }
    return OT_OK;
}

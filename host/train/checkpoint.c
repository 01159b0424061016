/* checkpoint.c - a training run as an npz file, and back.
 *
 *     identity      text, one `key: value` a line: everything that the result depends on
 *     position      int64 (3): epoch, minibatch of it to do next, right answers of it so far
 *     loss_sum      float64: of the epoch's minibatches so far
 *     parameters, statistics                       float32, as network.h flattens them
 *     weight_scale, activation_step                float64, a number a layer: once weights or activations are quantised
 *     velocity      float32 (SGD), or  moments     float64 (n, 2) and  power  float64 (2) (Adam)
 *
 * The order of the images, crops and flips are functions of (seed, epoch, image), so that no state of a generator need be kept.  A
 * run goes on only where every line of the identity agrees; the first that differs is named. */
#include "base/fail.h"
#include "ohmtrim/array.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDENTITY_MAX = 2048 };

uint64_t ot__train_hash(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    if (!h) h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

/* The shortest text that reads back to the same number. */
static const char *number(char text[32], double v)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, 32, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    return text;
}

static void identity(char text[IDENTITY_MAX], const ot__trainer *t)
{
    const ot_train_options *o = t->opt;
    const ot_backend *be = t->shard[0].backend;
    char a[32], b[32], c[32], d[32];
    int n =
        snprintf(text, IDENTITY_MAX,
                 "checkpoint: 1\nnetwork: %s, %zu parameters, hash %016" PRIx64 "\ntraining set: %s, %d images, hash %016" PRIx64
                 "\nbackend: %s %s\noptimizer: %s\nschedule: %s\nlr: %s\nmomentum: %s\nweight decay: %s\nminibatch: %d\n"
                 "shards: %d\nwarm-up epochs: %d\ncrop: %d\nflip: %d\nlabel smoothing: %s\nseed: %" PRIu64 "\n",
                 ot_network_name(t->net), t->n_parameters, t->start_hash, t->train->name, t->train->n, t->data_hash,
                 ot_backend_name(be), ot_backend_detail(be), o->optimizer == OT_OPTIMIZER_SGD ? "sgd" : "adam",
                 o->schedule == OT_SCHEDULE_COSINE  ? "cosine"
                 : o->schedule == OT_SCHEDULE_STEP  ? "step"
                 : o->schedule == OT_SCHEDULE_FIXED ? "fixed"
                                                    : "policy",
                 number(a, o->lr), number(b, o->momentum), number(c, o->weight_decay), o->minibatch, t->n_shards, o->warmup_epochs,
                 o->crop_pad, o->flip, number(d, o->label_smoothing), o->seed);
    if (o->schedule == OT_SCHEDULE_POLICY) {
        char policy[OT_POLICY_TEXT];
        ot_policy_write(policy, &o->policy);
        n += snprintf(text + n, IDENTITY_MAX - (size_t)n, "policy: %s\n", policy);
    }
    /* more epochs than before are welcome where the schedule does not depend on their number */
    if (o->schedule == OT_SCHEDULE_COSINE || (o->schedule == OT_SCHEDULE_POLICY && ot_policy_scales(&o->policy)))
        n += snprintf(text + n, IDENTITY_MAX - (size_t)n, "epochs: %d\n", o->epochs);
    if (o->schedule == OT_SCHEDULE_STEP)
        n += snprintf(text + n, IDENTITY_MAX - (size_t)n, "step: %s every %d epochs\n", number(a, o->step_gamma), o->step_epochs);
    if (o->lipschitz > 0) n += snprintf(text + n, IDENTITY_MAX - (size_t)n, "lipschitz: %s, sigma %s\n", number(a, o->lipschitz), number(b, o->lipschitz_sigma));
    if (ot_network_spikes(t->net))
        snprintf(text + n, IDENTITY_MAX - (size_t)n, "steps: %d\nsurrogate: %d, sharpness %s\nloss of spikes: %s\n",
                 ot_network_spiking(t->net)->steps, (int)o->surrogate, number(a, o->sharpness),
                 o->spike_loss == OT_SPIKE_LOSS_COUNT ? "count" : "rate");
}

ot_status ot__checkpoint_write(const ot__trainer *t, const char *path)
{
    char text[IDENTITY_MAX];
    int64_t position[3] = {t->epoch, t->step, t->correct_sum}, n = (int64_t)t->n_parameters;
    const ot__optimizer *o = &t->optimizer;
    ot_npz_writer *z = NULL;
    ot_status st;

    identity(text, t);
    ot__robust_identity(text + strlen(text), IDENTITY_MAX - strlen(text), t);
    OT_TRY(ot_npz_create(&z, path));
    OT_TRY_TO(fail, st, ot_npz_add(z, "identity", OT_U8, 1, (int64_t[]){(int64_t)strlen(text)}, text));
    OT_TRY_TO(fail, st, ot_npz_add(z, "position", OT_I64, 1, (int64_t[]){3}, position));
    OT_TRY_TO(fail, st, ot_npz_add(z, "loss_sum", OT_F64, 0, NULL, &t->loss_sum));
    OT_TRY_TO(fail, st, ot_npz_add(z, "parameters", OT_F32, 1, &n, t->parameters));
    OT_TRY_TO(fail, st, ot_npz_add(z, "statistics", OT_F32, 1, (int64_t[]){(int64_t)t->n_statistics}, t->statistics));
    if (t->robust.quantising) {
        OT_TRY_TO(fail, st, ot_npz_add(z, "weight_scale", OT_F64, 1, (int64_t[]){t->robust.n_layers}, t->robust.weight_scale));
        OT_TRY_TO(fail, st, ot_npz_add(z, "activation_step", OT_F64, 1, (int64_t[]){t->robust.n_relus}, t->robust.activation_step));
    }
    if (o->velocity) OT_TRY_TO(fail, st, ot_npz_add(z, "velocity", OT_F32, 1, &n, o->velocity));
    if (o->moments) {
        OT_TRY_TO(fail, st, ot_npz_add(z, "moments", OT_F64, 2, (int64_t[]){n, 2}, o->moments));
        OT_TRY_TO(fail, st, ot_npz_add(z, "power", OT_F64, 1, (int64_t[]){2}, &o->power));
    }
    return ot_npz_finish(z);
fail:
    ot_npz_abandon(z);
    return st;
}

/* An array of this name, type and number of elements, copied to `to`. */
static ot_status take(void *to, ot_npz *z, const char *path, const char *name, ot_type type, int64_t count)
{
    ot_array a = {0};
    OT_TRY(ot_npz_get(&a, z, name));
    ot_status st = OT_OK;
    if (a.type != type || ot_array_count(&a) != count)
        st = ot__fail(OT_E_FORMAT, __FILE__, __LINE__, "%s: '%s' has type %d and %" PRId64 " elements, want type %d and %" PRId64,
                      path, name, (int)a.type, ot_array_count(&a), (int)type, count);
    else if (count)
        memcpy(to, a.data, (size_t)count * ot_type_bytes(type));
    ot_array_free(&a);
    return st;
}

/* Line by line: the first that differs makes the sentence. */
static ot_status compare(const char *path, const char *stored, const char *own)
{
    while (*own || *stored) {
        int a = (int)strcspn(stored, "\n"), b = (int)strcspn(own, "\n");
        if (a != b || memcmp(stored, own, (size_t)a))
            OT_FAIL(OT_E_MISMATCH,
                    "%s is the checkpoint of another run: it has '%.*s', this run '%.*s' (remove the file to start anew)", path, a,
                    stored, b, own);
        stored += a + (stored[a] == '\n');
        own += b + (own[b] == '\n');
    }
    return OT_OK;
}

ot_status ot__checkpoint_read(ot__trainer *t, const char *path)
{
    char own[IDENTITY_MAX], stored[IDENTITY_MAX];
    int64_t position[3], n = (int64_t)t->n_parameters;
    ot__optimizer *o = &t->optimizer;
    ot_array text = {0};
    ot_npz *z = NULL;
    ot_status st;

    OT_TRY(ot_npz_open(&z, path));
    if (!ot_npz_has(z, "identity"))
        OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: not a checkpoint of a training: no 'identity' in it", path);
    OT_TRY_TO(done, st, ot_npz_get(&text, z, "identity"));
    if (text.type != OT_U8 || ot_array_count(&text) >= IDENTITY_MAX)
        OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: 'identity' is not a text of less than %d bytes", path, IDENTITY_MAX);
    memcpy(stored, text.data, (size_t)ot_array_count(&text));
    stored[ot_array_count(&text)] = 0;
    identity(own, t);
    ot__robust_identity(own + strlen(own), IDENTITY_MAX - strlen(own), t);
    OT_TRY_TO(done, st, compare(path, stored, own));

    OT_TRY_TO(done, st, take(position, z, path, "position", OT_I64, 3));
    if (!(position[0] >= 0 && position[0] <= INT32_MAX && position[1] >= 0 && position[1] < t->steps))
        OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: stands at epoch %" PRId64 ", minibatch %" PRId64 ", want a minibatch below %d", path,
                   position[0], position[1], t->steps);
    OT_TRY_TO(done, st, take(&t->loss_sum, z, path, "loss_sum", OT_F64, 1));
    OT_TRY_TO(done, st, take(t->parameters, z, path, "parameters", OT_F32, n));
    OT_TRY_TO(done, st, take(t->statistics, z, path, "statistics", OT_F32, (int64_t)t->n_statistics));
    if (o->velocity) OT_TRY_TO(done, st, take(o->velocity, z, path, "velocity", OT_F32, n));
    if (o->moments) {
        OT_TRY_TO(done, st, take(o->moments, z, path, "moments", OT_F64, 2 * n));
        OT_TRY_TO(done, st, take(&o->power, z, path, "power", OT_F64, 2));
    }
    t->epoch = (int)position[0];
    t->step = (int)position[1];
    t->correct_sum = position[2];
    st = OT_OK;
    if (ot_npz_has(z, "weight_scale")) {
        OT_TRY_TO(done, st, take(t->robust.weight_scale, z, path, "weight_scale", OT_F64, t->robust.n_layers));
        OT_TRY_TO(done, st, take(t->robust.activation_step, z, path, "activation_step", OT_F64, t->robust.n_relus));
        st = ot__robust_begin(t);
    }
done:
    ot_array_free(&text);
    ot_npz_close(z);
    return st;
}

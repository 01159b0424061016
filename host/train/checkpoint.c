/* checkpoint.c - a training run as an npz file, and back.
 *
 *     identity      text: everything that the result depends on (identity.h)
 *     position      int64 (3): epoch, minibatch of it to do next, right answers of it so far
 *     loss_sum      float64: of the epoch's minibatches so far
 *     parameters, statistics                       float32, as network.h flattens them
 *     weight_scale, activation_step                float64, a number a layer: once weights or activations are quantised
 *     velocity      float32 (SGD), or  moments     float64 (n, 2) and  power  float64 (2) (Adam)
 *
 * The order of the images, crops and flips are functions of (seed, epoch, image), so that no state of a generator need be kept. */
#include "base/fail.h"
#include "ohmtrim/array.h"
#include "train/identity.h"
#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

uint64_t ot__train_hash(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    if (!h) h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

ot_status ot__checkpoint_write(const ot__trainer *t, const char *path)
{
    char text[OT__IDENTITY_ROOM];
    int64_t position[3] = {t->epoch, t->step, t->correct_sum}, n = (int64_t)t->n_parameters;
    const ot__optimizer *o = &t->optimizer;
    ot_npz_writer *z = NULL;
    ot_status st;

    ot__identity_write(text, t);
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

/* An array of floats as `take`, all of them finite. */
static ot_status take_finite(float *to, ot_npz *z, const char *path, const char *name, int64_t count)
{
    OT_TRY(take(to, z, path, name, OT_F32, count));
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(to[i])) OT_FAIL(OT_E_FORMAT, "%s: '%s', number %" PRId64 " = %g, want a finite one", path, name, i, (double)to[i]);
    return OT_OK;
}

static ot_status take_doubles(double *to, ot_npz *z, const char *path, const char *name, int64_t count, double least)
{
    OT_TRY(take(to, z, path, name, OT_F64, count));
    for (int64_t i = 0; i < count; i++)
        if (!(to[i] >= least && isfinite((float)to[i])))
            OT_FAIL(OT_E_FORMAT, "%s: '%s', number %" PRId64 " = %g, want a finite one%s", path, name, i, to[i], least < 0 ? "" : " of 0 or more");
    return OT_OK;
}

static ot_status take_position(ot__trainer *t, ot_npz *z, const char *path)
{
    int64_t at[3];
    OT_TRY(take(at, z, path, "position", OT_I64, 3));
    if (!(at[0] >= 0 && at[0] <= INT32_MAX && at[1] >= 0 && at[1] < t->steps))
        OT_FAIL(OT_E_FORMAT, "%s: stands at epoch %" PRId64 ", minibatch %" PRId64 ", want a minibatch below %d", path, at[0], at[1], t->steps);
    if (at[0] > t->opt->epochs || (at[0] == t->opt->epochs && at[1]))
        OT_FAIL(OT_E_MISMATCH, "%s is the checkpoint of a longer run: it stands in epoch %" PRId64 ", this run ends after %d", path, at[0] + 1, t->opt->epochs);
    if (!(at[2] >= 0 && at[2] <= at[1] * t->opt->minibatch))
        OT_FAIL(OT_E_FORMAT, "%s: %" PRId64 " right answers of %" PRId64 " images", path, at[2], at[1] * t->opt->minibatch);
    OT_TRY(take_doubles(&t->loss_sum, z, path, "loss_sum", 1, 0));
    t->epoch = (int)at[0];
    t->step = (int)at[1];
    t->correct_sum = at[2];
    return OT_OK;
}

/* A run that quantises has scales from the epoch on in which it began to. */
static ot_status take_scales(ot__trainer *t, ot_npz *z, const char *path)
{
    const int has = ot_npz_has(z, "weight_scale"), wants = ot__robust_quantises(t, t->epoch);
    if (has != wants) OT_FAIL(OT_E_FORMAT, "%s: %s 'weight_scale' at epoch %d, where this run %s", path, has ? "has" : "no", t->epoch + 1, wants ? "is quantised" : "is not quantised yet");
    if (!has) return OT_OK;
    OT_TRY(take_doubles(t->robust.weight_scale, z, path, "weight_scale", t->robust.n_layers, 0));
    OT_TRY(take_doubles(t->robust.activation_step, z, path, "activation_step", t->robust.n_relus, 0));
    return ot__robust_begin(t);
}

ot_status ot__checkpoint_read(ot__trainer *t, const char *path)
{
    char own[OT__IDENTITY_ROOM], stored[OT__IDENTITY_ROOM];
    const int64_t n = (int64_t)t->n_parameters;
    ot__optimizer *o = &t->optimizer;
    ot_array text = {0};
    ot_npz *z = NULL;
    ot_status st;

    OT_TRY(ot_npz_open(&z, path));
    if (!ot_npz_has(z, "identity"))
        OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: not a checkpoint of a training: no 'identity' in it", path);
    OT_TRY_TO(done, st, ot_npz_get(&text, z, "identity"));
    if (text.type != OT_U8 || ot_array_count(&text) >= OT__IDENTITY_ROOM)
        OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: 'identity' is not a text of less than %d bytes", path, OT__IDENTITY_ROOM);
    memcpy(stored, text.data, (size_t)ot_array_count(&text));
    stored[ot_array_count(&text)] = 0;
    ot__identity_write(own, t);
    OT_TRY_TO(done, st, ot__identity_compare(path, stored, own));

    OT_TRY_TO(done, st, take_position(t, z, path));
    OT_TRY_TO(done, st, take_finite(t->parameters, z, path, "parameters", n));
    OT_TRY_TO(done, st, take_finite(t->statistics, z, path, "statistics", (int64_t)t->n_statistics));
    if (o->velocity) OT_TRY_TO(done, st, take_finite(o->velocity, z, path, "velocity", n));
    if (o->moments) {
        OT_TRY_TO(done, st, take_doubles((double *)o->moments, z, path, "moments", 2 * n, -INFINITY));
        OT_TRY_TO(done, st, take_doubles((double *)&o->power, z, path, "power", 2, 0));
    }
    st = take_scales(t, z, path);
done:
    ot_array_free(&text);
    ot_npz_close(z);
    return st;
}

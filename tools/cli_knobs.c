/* cli_knobs.c - reads the knobs of a chip: what `ohmtrim tune --json` prints (an object with gain[] and offset[], one number a ReLU
 * layer each; other fields are let be), or an npz with arrays gain and offset. */
#include "cli.h"

#include "base/fail.h"
#include "base/file.h"

#include <float.h>
#include <string.h>

static ot_status check(const float *v, int n, const char *path, const char *what, double least)
{
    for (int i = 0; i < n; i++)
        if (!(v[i] >= least && v[i] <= FLT_MAX))
            OT_FAIL(OT_E_DATA, "%s: %s[%d] = %g, want a finite number%s", path, what, i, (double)v[i], least > 0 ? " of at least 1/64" : "");
    return OT_OK;
}

static ot_status from_json(float *out, const cJSON *root, const char *what, int n, const char *path)
{
    const cJSON *a = cJSON_GetObjectItemCaseSensitive(root, what), *v;
    int i = 0;
    if (!cJSON_IsArray(a)) OT_FAIL(OT_E_FORMAT, "%s: no array '%s', want gain[] and offset[] as `ohmtrim tune --json` prints them", path, what);
    if (cJSON_GetArraySize(a) != n)
        OT_FAIL(OT_E_SHAPE, "%s: %d numbers in '%s', the network has %d layers with knobs", path, cJSON_GetArraySize(a), what, n);
    cJSON_ArrayForEach(v, a)
    {
        if (!cJSON_IsNumber(v)) OT_FAIL(OT_E_FORMAT, "%s: %s[%d] is not a number", path, what, i);
        out[i++] = (float)v->valuedouble;
    }
    return OT_OK;
}

static ot_status from_npz(float *out, ot_npz *z, const char *what, int n, const char *path)
{
    ot_array a = {0};
    ot_status st = OT_OK;
    if (!ot_npz_has(z, what)) OT_FAIL(OT_E_FORMAT, "%s: no array '%s', want gain and offset", path, what);
    OT_TRY(ot_npz_get(&a, z, what));
    OT_TRY_TO(done, st, ot_array_convert(&a, OT_F32));
    if (ot_array_count(&a) != n)
        OT_FAIL_TO(done, st, OT_E_SHAPE, "%s: %lld numbers in '%s', the network has %d layers with knobs", path, (long long)ot_array_count(&a), what, n);
    memcpy(out, a.data, (size_t)n * sizeof *out);
done:
    ot_array_free(&a);
    return st;
}

ot_status cli_parse_knobs(float *gain, float *offset, int n, const void *bytes, size_t n_bytes, const char *path)
{
    cJSON *root = NULL;
    ot_npz *z = NULL;
    ot_status st = OT_OK;
    if (n_bytes >= 2 && !memcmp(bytes, "PK", 2)) {
        OT_TRY_TO(done, st, ot_npz_parse(&z, bytes, n_bytes, path));
        OT_TRY_TO(done, st, from_npz(gain, z, "gain", n, path));
        OT_TRY_TO(done, st, from_npz(offset, z, "offset", n, path));
    } else {
        const char *end = NULL;
        root = cJSON_ParseWithLengthOpts(bytes, n_bytes, &end, 0);
        if (!cJSON_IsObject(root))
            OT_FAIL_TO(done, st, OT_E_FORMAT, "%s: not a JSON object (byte %zu), want gain[] and offset[]", path, end ? (size_t)(end - (const char *)bytes) : 0);
        OT_TRY_TO(done, st, from_json(gain, root, "gain", n, path));
        OT_TRY_TO(done, st, from_json(offset, root, "offset", n, path));
    }
    OT_TRY_TO(done, st, check(gain, n, path, "gain", 1.0 / 64));
    OT_TRY_TO(done, st, check(offset, n, path, "offset", -FLT_MAX));
done:
    ot_npz_close(z);
    cJSON_Delete(root);
    return st;
}

ot_status cli_read_knobs(float *gain, float *offset, const ot_network *net, const char *path)
{
    void *bytes = NULL;
    size_t n_bytes = 0;
    ot_status st = ot__file_read(&bytes, &n_bytes, path, (size_t)16 << 20);
    if (st == OT_OK) st = cli_parse_knobs(gain, offset, ot_network_knobs(net), bytes, n_bytes, path);
    ot_free(bytes);
    return st;
}

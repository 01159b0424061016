/* json.c - a device as a JSON file, read strictly: each key once, of its type, none unknown, nothing after the end.
 *
 *   {"format": "ohmtrim-device", "version": 1, "name": "r1", "source": "SET 2.2 V ...",
 *    "g_lrs": 5.8e-05, "g_hrs": 8.2e-07, "s_lrs": 2.49, "s_hrs": -7.67, "poly_lrs": [1, 0.62, ...], "poly_hrs": [1, ...],
 *    "domain": 0.25, "valid_min": -0.25, "g_min": 2.98e-07, "g_max": 1.0e-04, "max_rel_error": 0.00126}
 *
 * name, source, s_*, valid_min and max_rel_error may be left out. */
#include "base/fail.h"
#include "base/number.h"
#include "device/format.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FORMAT[] = "ohmtrim-device";
enum { VERSION = 1 };

typedef enum kind { NUMBER, NUMBERS, TEXT } kind;
typedef struct key {
    const char *name;
    kind kind;
    int needed;
    size_t at, size; /* where in ot_device; bytes of a text */
    int state;       /* of NUMBERS */
} key;

#define AT(field) offsetof(ot_device, field)
static const key keys[] = {
    {"format", TEXT, 1, 0, 0, 0},
    {"version", NUMBER, 1, 0, 0, 0},
    {"name", TEXT, 0, AT(name), sizeof(((ot_device *)0)->name), 0},
    {"source", TEXT, 0, AT(source), sizeof(((ot_device *)0)->source), 0},
    {"g_lrs", NUMBER, 1, AT(g[0]), 0, 0},
    {"g_hrs", NUMBER, 1, AT(g[1]), 0, 0},
    {"s_lrs", NUMBER, 0, AT(s[0]), 0, 0},
    {"s_hrs", NUMBER, 0, AT(s[1]), 0, 0},
    {"poly_lrs", NUMBERS, 1, AT(poly[0]), 0, OT_LRS},
    {"poly_hrs", NUMBERS, 1, AT(poly[1]), 0, OT_HRS},
    {"domain", NUMBER, 1, AT(domain), 0, 0},
    {"valid_min", NUMBER, 0, AT(valid_min), 0, 0},
    {"g_min", NUMBER, 1, AT(g_min), 0, 0},
    {"g_max", NUMBER, 1, AT(g_max), 0, 0},
    {"max_rel_error", NUMBER, 0, AT(max_rel_error), 0, 0},
};
enum { N_KEYS = sizeof keys / sizeof *keys, KEY_FORMAT = 0, KEY_VERSION = 1, KEY_FIRST = 2 };

/* The value as it stands in the file, cut short, for a sentence. */
static const char *seen(char out[48], const cJSON *item)
{
    char *text = cJSON_PrintUnformatted(item);
    snprintf(out, 48, "%.40s%s", text ? text : "?", text && strlen(text) > 40 ? "..." : "");
    for (char *c = out; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = '?';
    cJSON_free(text);
    return out;
}

static ot_status take_number(double *out, const cJSON *item, const char *name, const char *key_name)
{
    char s[48];
    if (!cJSON_IsNumber(item)) OT_FAIL(OT_E_FORMAT, "%s: %s = %s, want a number", name, key_name, seen(s, item));
    if (!isfinite(item->valuedouble)) OT_FAIL(OT_E_FORMAT, "%s: %s is not finite, want a finite number", name, key_name);
    *out = item->valuedouble;
    return OT_OK;
}

static ot_status take(ot_device *d, const key *k, const cJSON *item, const char *name)
{
    char *base = (char *)d + k->at, s[48];
    switch (k->kind) {
    case NUMBER: return take_number((double *)(void *)base, item, name, k->name);
    case TEXT:
        if (!cJSON_IsString(item)) OT_FAIL(OT_E_FORMAT, "%s: %s = %s, want a text", name, k->name, seen(s, item));
        if (strlen(item->valuestring) >= k->size)
            OT_FAIL(OT_E_FORMAT, "%s: %s has %zu bytes, want at most %zu", name, k->name, strlen(item->valuestring), k->size - 1);
        for (const char *c = item->valuestring; *c; c++)
            if (iscntrl((unsigned char)*c))
                OT_FAIL(OT_E_FORMAT, "%s: %s holds a control character, want printable text", name, k->name);
        strcpy(base, item->valuestring);
        return OT_OK;
    case NUMBERS:
        if (!cJSON_IsArray(item)) OT_FAIL(OT_E_FORMAT, "%s: %s = %s, want an array of numbers", name, k->name, seen(s, item));
        int n = cJSON_GetArraySize(item), i = 0;
        if (n < 1 || n > OT_DEVICE_MAX_POLY)
            OT_FAIL(OT_E_FORMAT, "%s: %s has %d numbers, want 1..%d", name, k->name, n, OT_DEVICE_MAX_POLY);
        const cJSON *e;
        cJSON_ArrayForEach(e, item) OT_TRY(take_number((double *)(void *)base + i++, e, name, k->name));
        d->n_poly[k->state] = n;
        return OT_OK;
    }
    return OT_OK;
}

static ot_status check_format(const cJSON *root, const char *name)
{
    char s[48];
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(root, "format"),
                *version = cJSON_GetObjectItemCaseSensitive(root, "version");
    if (!format) OT_FAIL(OT_E_FORMAT, "%s: the key 'format' is missing, want \"%s\"", name, FORMAT);
    if (!cJSON_IsString(format) || strcmp(format->valuestring, FORMAT))
        OT_FAIL(OT_E_FORMAT, "%s: format = %s, want \"%s\"", name, seen(s, format), FORMAT);
    double v = 0;
    if (!version) OT_FAIL(OT_E_FORMAT, "%s: the key 'version' is missing, want %d", name, VERSION);
    OT_TRY(take_number(&v, version, name, "version"));
    if (v > VERSION) OT_FAIL(OT_E_VERSION, "%s: version = %g, want %d: the file is newer than this ohmtrim", name, v, VERSION);
    if (v != VERSION) OT_FAIL(OT_E_FORMAT, "%s: version = %g, want %d", name, v, VERSION);
    return OT_OK;
}

static ot_status read_object(ot_device *d, const cJSON *root, const char *name)
{
    int have[N_KEYS] = {0};
    const cJSON *item;
    OT_TRY(check_format(root, name));
    cJSON_ArrayForEach(item, root)
    {
        int k = 0;
        while (k < N_KEYS && strcmp(keys[k].name, item->string)) k++;
        if (k == N_KEYS) OT_FAIL(OT_E_FORMAT, "%s: the key '%.60s' is not known, want those of docs/device.md", name, item->string);
        if (have[k]++) OT_FAIL(OT_E_FORMAT, "%s: the key '%s' stands there twice, want it once", name, keys[k].name);
        if (k >= KEY_FIRST) OT_TRY(take(d, &keys[k], item, name));
    }
    for (int k = 0; k < N_KEYS; k++)
        if (keys[k].needed && !have[k])
            OT_FAIL(OT_E_FORMAT, "%s: the key '%s' is missing, want %s", name, keys[k].name,
                    keys[k].kind == NUMBERS ? "an array of numbers" : "a number");
    for (int k = 0; k < N_KEYS; k++) { /* what was left out follows from the rest */
        if (have[k]) continue;
        if (keys[k].at == AT(valid_min)) d->valid_min = -d->domain;
        for (int s = 0; s < 2; s++)
            if (keys[k].at == AT(s[s]) && k >= KEY_FIRST) d->s[s] = d->n_poly[s] > 1 ? d->poly[s][1] / d->domain : 0;
    }
    return OT_OK;
}

ot_status ot__device_from_json(ot_device *out, const char *text, size_t n_bytes, const char *name)
{
    const char *end = NULL;
    ot_device d = {.name = "file"};
    cJSON *root = cJSON_ParseWithLengthOpts(text, n_bytes, &end, 0);
    if (!root)
        OT_FAIL(OT_E_FORMAT, "%s: not JSON at byte %zu of %zu, want one whole object", name, end ? (size_t)(end - text) : 0,
                n_bytes);
    ot_status st = OT_OK;
    for (size_t i = (size_t)(end - text); st == OT_OK && i < n_bytes; i++)
        if (!isspace((unsigned char)text[i]))
            st = ot__fail(OT_E_FORMAT, __FILE__, __LINE__, "%s: something follows the object at byte %zu, want the end", name, i);
    if (st == OT_OK) st = read_object(&d, root, name);
    cJSON_Delete(root);
    OT_TRY(st);
    if (ot_device_check(&d) != OT_OK) return ot__fail_prefix(OT_E_DATA, "%s: ", name);
    *out = d;
    return OT_OK;
}

static cJSON *number(double v)
{
    char text[OT__NUMBER_ROOM];
    return cJSON_CreateRaw(ot__number_text(text, v));
}

cJSON *ot__device_to_json(const ot_device *dev)
{
    cJSON *root = cJSON_CreateObject();
    int good = root && cJSON_AddStringToObject(root, "format", FORMAT) && cJSON_AddNumberToObject(root, "version", VERSION);
    for (int k = KEY_FIRST; k < N_KEYS && good; k++) {
        const char *base = (const char *)dev + keys[k].at;
        cJSON *item = NULL;
        if (keys[k].kind == TEXT) item = cJSON_CreateString(base);
        if (keys[k].kind == NUMBER) item = number(*(const double *)(const void *)base);
        if (keys[k].kind == NUMBERS) {
            item = cJSON_CreateArray();
            for (int i = 0; item && good && i < dev->n_poly[keys[k].state]; i++)
                good = cJSON_AddItemToArray(item, number(((const double *)(const void *)base)[i]));
        }
        if (good && cJSON_AddItemToObject(root, keys[k].name, item)) continue;
        cJSON_Delete(item);
        good = 0;
    }
    if (good) return root;
    cJSON_Delete(root);
    return NULL;
}

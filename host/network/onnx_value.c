/* onnx_value.c - the table of values, and tensors of a file as constants. */
#include "onnx.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

ot_status onnx__fail(const onnx_reader *r, const Onnx__NodeProto *node, ot_status st, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!node) return ot__fail(st, __FILE__, __LINE__, "%s: %s", r->path, text);
    const char *name = node->name && *node->name ? node->name : node->n_output ? node->output[0] : "";
    return ot__fail(st, __FILE__, __LINE__, "%s: node '%s' (%s, opset %lld): %s", r->path, name, node->op_type ? node->op_type : "no operator",
                    (long long)r->opset, text);
}

onnx_value *onnx__find(onnx_reader *r, const char *name)
{
    for (int i = r->n_values - 1; i >= 0; i--)
        if (!strcmp(r->values[i].name, name)) return &r->values[i];
    return NULL;
}

static ot_status new_value(onnx_reader *r, onnx_value **out, const char *name)
{
    if (onnx__find(r, name)) OT_FAIL(OT_E_FORMAT, "%s: '%s' is made twice, want each name once", r->path, name);
    if (r->n_values == r->room) {
        int room = r->room ? 2 * r->room : 256;
        onnx_value *more = ot_realloc(r->values, (size_t)room, sizeof *more);
        if (!more) OT_NOMEM(r->path, (size_t)room * sizeof *more);
        r->values = more;
        r->room = room;
    }
    *out = &r->values[r->n_values++];
    **out = (onnx_value){.name = name, .layer = -1};
    return OT_OK;
}

ot_status onnx__new_layer(onnx_reader *r, const char *name, int layer, int rank)
{
    onnx_value *v = NULL;
    OT_TRY(new_value(r, &v, name));
    v->layer = layer;
    v->rank = rank;
    return OT_OK;
}

ot_status onnx__new_constant(onnx_reader *r, onnx_value **out, const char *name, int whole, int n_dims, const int64_t *dims)
{
    onnx_value *v = NULL;
    int64_t count = 1;
    if (n_dims > ONNX_RANK) OT_FAIL(OT_E_UNSUPPORTED, "%s: '%s' has %d dimensions, want at most %d", r->path, name, n_dims, ONNX_RANK);
    for (int k = 0; k < n_dims; k++) {
        if (dims[k] < 0 || dims[k] > OT_MAX_ELEMENTS) OT_FAIL(OT_E_FORMAT, "%s: '%s' has dimension %lld, want 0..%d", r->path, name, (long long)dims[k], OT_MAX_ELEMENTS);
        count *= dims[k];
        if (count > OT_MAX_ELEMENTS) OT_FAIL(OT_E_FORMAT, "%s: '%s' has more than %d elements", r->path, name, OT_MAX_ELEMENTS);
    }
    OT_TRY(new_value(r, &v, name));
    v->whole = whole;
    v->n_dims = n_dims;
    for (int k = 0; k < n_dims; k++) v->dims[k] = dims[k];
    v->count = count;
    void *p = ot_alloc((size_t)count, 8);
    if (!p) OT_FAIL(OT_E_NOMEM, "%s: no memory for '%s' of %lld numbers", r->path, name, (long long)count);
    if (whole) v->i = p;
    else v->f = p;
    *out = v;
    return OT_OK;
}

static double half(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 0 ? ldexp(m, -24) : e == 31 ? (m ? NAN : INFINITY) : ldexp(1024 + m, e - 25);
    return h >> 15 ? -v : v;
}

static size_t width_of(int32_t type)
{
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: return 4;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return 8;
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return 2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: return 1;
    default: return 0;
    }
}

static void from_raw(onnx_value *v, int32_t type, const uint8_t *p)
{
    for (int64_t k = 0; k < v->count; k++) {
        float f;
        double d;
        int32_t i4;
        int64_t i8;
        uint16_t h;
        switch (type) {
        case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: memcpy(&f, p + 4 * k, 4); v->f[k] = f; break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: memcpy(&d, p + 8 * k, 8); v->f[k] = d; break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: memcpy(&h, p + 2 * k, 2); v->f[k] = half(h); break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: memcpy(&i4, p + 4 * k, 4); v->i[k] = i4; break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: memcpy(&i8, p + 8 * k, 8); v->i[k] = i8; break;
        case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: v->i[k] = (int8_t)p[k]; break;
        default: v->i[k] = p[k];
        }
    }
}

/* Bytes of a tensor kept in a file beside the model: a plain file name in the model's own folder, nothing else. */
static ot_status external(onnx_reader *r, const char *name, const Onnx__TensorProto *t, size_t want, void **bytes)
{
    const char *file = NULL;
    long long offset = 0, length = -1;
    for (size_t k = 0; k < t->n_external_data; k++) {
        const char *key = t->external_data[k]->key, *value = t->external_data[k]->value;
        if (!key || !value) continue;
        if (!strcmp(key, "location")) file = value;
        if (!strcmp(key, "offset")) offset = strtoll(value, NULL, 10);
        if (!strcmp(key, "length")) length = strtoll(value, NULL, 10);
    }
    if (!file || !*file || strchr(file, '/') || strchr(file, '\\') || !strcmp(file, "..") || !strcmp(file, "."))
        OT_FAIL(OT_E_UNSUPPORTED, "%s: tensor '%s' lies in '%.200s', want a plain file name in the model's own folder", r->path, name, file ? file : "");
    if (!r->dir) OT_FAIL(OT_E_UNSUPPORTED, "%s: tensor '%s' lies in another file ('%.200s'), which is not allowed here", r->path, name, file);
    char path[1400];
    struct stat about;
    snprintf(path, sizeof path, "%.1000s/%.300s", r->dir, file);
    if (stat(path, &about) || !S_ISREG(about.st_mode)) OT_FAIL(OT_E_OPEN, "%s: no such file, where %s keeps tensor '%s'", path, r->path, name);
    if (offset < 0 || offset > about.st_size || (size_t)(about.st_size - offset) < want || (length >= 0 && (size_t)length != want))
        OT_FAIL(OT_E_FORMAT, "%s: tensor '%s' wants %zu bytes at %lld of a file of %lld (length said: %lld)", path, name, want, offset,
                (long long)about.st_size, length);
    if (!(*bytes = ot_alloc(want, 1))) OT_NOMEM(path, want);
    FILE *f = fopen(path, "rb");
    int good = f && !fseeko(f, (off_t)offset, SEEK_SET) && fread(*bytes, 1, want, f) == want;
    if (f) fclose(f);
    if (!good) {
        ot_free(*bytes);
        OT_FAIL(OT_E_OPEN, "%s: cannot be read", path);
    }
    return OT_OK;
}

ot_status onnx__tensor(onnx_reader *r, const char *name, const Onnx__TensorProto *t)
{
    int32_t type = t->data_type;
    size_t width = width_of(type);
    if (!width) OT_FAIL(OT_E_UNSUPPORTED, "%s: tensor '%s' has ONNX data type %d, want float, double, float16, int or bool", r->path, name, (int)type);
    if (t->n_dims > ONNX_RANK) OT_FAIL(OT_E_UNSUPPORTED, "%s: tensor '%s' has %zu dimensions, want at most %d", r->path, name, t->n_dims, ONNX_RANK);
    int whole = type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && type != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE && type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
    int is_external = t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    double want = (double)width;
    for (size_t k = 0; k < t->n_dims; k++) want *= (double)t->dims[k];
    /* what the file brings bounds what is allocated */
    size_t brought = is_external ? (size_t)1 << 34 : t->has_raw_data ? t->raw_data.len : width * (t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_double_data);
    if (!(want >= 0) || want != (is_external ? want : (double)brought) || want > 0x1p34)
        OT_FAIL(OT_E_FORMAT, "%s: tensor '%s' brings %zu bytes, want %.0f for its shape", r->path, name, brought, want);
    onnx_value *v = NULL;
    void *bytes = NULL;
    if (is_external) OT_TRY(external(r, name, t, (size_t)want, &bytes));
    ot_status st = onnx__new_constant(r, &v, name, whole, (int)t->n_dims, t->dims);
    if (st == OT_OK && is_external) from_raw(v, type, bytes);
    ot_free(bytes);
    if (st != OT_OK || is_external) return st;
    if (t->has_raw_data) from_raw(v, type, t->raw_data.data);
    else
        for (int64_t k = 0; k < v->count; k++) {
            size_t j = (size_t)k;
            int fits = type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT ? j < t->n_float_data : type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ? j < t->n_double_data :
                       type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ? j < t->n_int64_data : j < t->n_int32_data;
            if (!fits) OT_FAIL(OT_E_FORMAT, "%s: tensor '%s' keeps its numbers in a field of another type", r->path, name);
            if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) v->f[k] = (double)t->float_data[k];
            else if (type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE) v->f[k] = t->double_data[k];
            else if (type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16) v->f[k] = half((uint16_t)t->int32_data[k]);
            else v->i[k] = type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 ? t->int64_data[k] : t->int32_data[k];
        }
    return OT_OK;
}

onnx_value *onnx__input(onnx_reader *r, const Onnx__NodeProto *node, size_t k)
{
    return k < node->n_input && *node->input[k] ? onnx__find(r, node->input[k]) : NULL;
}

const Onnx__AttributeProto *onnx__attribute(const Onnx__NodeProto *node, const char *name)
{
    for (size_t k = 0; k < node->n_attribute; k++)
        if (node->attribute[k]->name && !strcmp(node->attribute[k]->name, name)) return node->attribute[k];
    return NULL;
}

int64_t onnx__int(const Onnx__NodeProto *node, const char *name, int64_t otherwise)
{
    const Onnx__AttributeProto *a = onnx__attribute(node, name);
    return a && a->has_i ? a->i : otherwise;
}

float onnx__float(const Onnx__NodeProto *node, const char *name, float otherwise)
{
    const Onnx__AttributeProto *a = onnx__attribute(node, name);
    return a && a->has_f ? a->f : otherwise;
}

ot_status onnx__ints(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *v, const char *what, int64_t *out, int most, int *n)
{
    const Onnx__AttributeProto *a = v ? NULL : onnx__attribute(node, what);
    *n = 0;
    if (!v && !a) return OT_OK;
    if (v && (v->layer >= 0 || !v->whole)) NODE_FAIL(OT_E_UNSUPPORTED, "%s is '%s', want constant whole numbers", what, v->name);
    int64_t count = v ? v->count : (int64_t)a->n_ints;
    if (count > most) NODE_FAIL(OT_E_FORMAT, "%s has %lld numbers, want at most %d", what, (long long)count, most);
    for (int64_t k = 0; k < count; k++) out[k] = v ? v->i[k] : a->ints[k];
    *n = (int)count;
    return OT_OK;
}

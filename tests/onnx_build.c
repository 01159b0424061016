/* onnx_build.c - see onnx_build.h.  Everything lives in one static block that build_start empties. */
#include "onnx_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 24, MOST = 512 };
static char block[BLOCK];
static size_t used;
static uint8_t packed[BLOCK];
static Onnx__ModelProto model;
static Onnx__GraphProto graph;

static void *take(size_t n)
{
    void *p = block + used;
    used += (n + 15) & ~(size_t)15;
    if (used > BLOCK) {
        fprintf(stderr, "onnx_build: the test's model is too large\n");
        exit(1);
    }
    return memset(p, 0, n);
}

static char *word(const char *s, size_t n) { return memcpy(take(n + 1), s, n); }

/* "a,b" to words; "" to none; "a,,b" has an empty word in the middle */
static size_t split(const char *s, char ***out)
{
    size_t n = 0;
    *out = take(MOST * sizeof **out);
    if (!*s) return 0;
    for (const char *p = s;; p++) {
        size_t length = strcspn(p, ",");
        (*out)[n++] = word(p, length);
        p += length;
        if (!*p) return n;
    }
}

void build_start(int64_t opset)
{
    used = 0;
    onnx__model_proto__init(&model);
    onnx__graph_proto__init(&graph);
    Onnx__OperatorSetIdProto *o = take(sizeof *o);
    onnx__operator_set_id_proto__init(o);
    o->has_version = 1;
    o->version = opset;
    o->domain = word("", 0);
    model.opset_import = take(4 * sizeof *model.opset_import);
    model.opset_import[model.n_opset_import++] = o;
    model.has_ir_version = 1;
    model.ir_version = 7;
    model.graph = &graph;
    model.metadata_props = take(MOST * sizeof *model.metadata_props);
    graph.name = word("built", 5);
    graph.node = take(MOST * sizeof *graph.node);
    graph.initializer = take(MOST * sizeof *graph.initializer);
    graph.input = take(MOST * sizeof *graph.input);
    graph.output = take(MOST * sizeof *graph.output);
}

static Onnx__ValueInfoProto *info(const char *name)
{
    Onnx__ValueInfoProto *v = take(sizeof *v);
    onnx__value_info_proto__init(v);
    v->name = word(name, strlen(name));
    return v;
}

void build_input(const char *name, int type, const char *dims)
{
    Onnx__ValueInfoProto *v = info(name);
    Onnx__TypeProto *t = take(sizeof *t);
    Onnx__TypeProto__Tensor *tensor = take(sizeof *tensor);
    Onnx__TensorShapeProto *shape = take(sizeof *shape);
    char **d;
    size_t n = split(dims, &d);
    onnx__type_proto__init(t);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    shape->dim = take(MOST * sizeof *shape->dim);
    for (size_t k = 0; k < n; k++) {
        char *end;
        Onnx__TensorShapeProto__Dimension *one = take(sizeof *one);
        onnx__tensor_shape_proto__dimension__init(one);
        one->dim_value = strtoll(d[k], &end, 10);
        one->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (end == d[k]) {
            one->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            one->dim_param = d[k];
        }
        shape->dim[shape->n_dim++] = one;
    }
    tensor->has_elem_type = 1;
    tensor->elem_type = type;
    tensor->shape = shape;
    t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    t->tensor_type = tensor;
    v->type = t;
    graph.input[graph.n_input++] = v;
}

void build_output(const char *name) { graph.output[graph.n_output++] = info(name); }

static Onnx__TensorProto *tensor(const char *name, const char *dims, int64_t *count)
{
    Onnx__TensorProto *t = take(sizeof *t);
    char **d;
    onnx__tensor_proto__init(t);
    t->name = word(name, strlen(name));
    t->n_dims = split(dims, &d);
    t->dims = take((t->n_dims + 1) * sizeof *t->dims);
    *count = 1;
    for (size_t k = 0; k < t->n_dims; k++) *count *= t->dims[k] = strtoll(d[k], NULL, 10);
    t->has_data_type = 1;
    graph.initializer[graph.n_initializer++] = t;
    return t;
}

void build_floats(const char *name, const char *dims, const float *values)
{
    int64_t n;
    Onnx__TensorProto *t = tensor(name, dims, &n);
    float *f = take((size_t)n * sizeof *f);
    for (int64_t k = 0; k < n; k++) f[k] = values ? values[k] : (float)((k * 37 + 11) % 64 - 31) / 64;
    t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    t->has_raw_data = 1;
    t->raw_data = (ProtobufCBinaryData){(size_t)n * sizeof *f, (uint8_t *)f};
}

void build_ints(const char *name, const char *dims, const int64_t *values)
{
    int64_t n;
    Onnx__TensorProto *t = tensor(name, dims, &n);
    t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    t->int64_data = take((size_t)(n + 1) * sizeof *values);
    memcpy(t->int64_data, values, (size_t)n * sizeof *values);
    t->n_int64_data = (size_t)n;
}

static Onnx__AttributeProto *attribute(const char *text, size_t n)
{
    Onnx__AttributeProto *a = take(sizeof *a);
    const char *eq = memchr(text, '=', n);
    char *value = word(eq + 1, n - (size_t)(eq + 1 - text)), **parts;
    onnx__attribute_proto__init(a);
    a->name = word(text, (size_t)(eq - text));
    a->has_type = 1;
    if (*value == '\'') {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
        a->has_s = 1;
        a->s = (ProtobufCBinaryData){strlen(value) - 2, (uint8_t *)value + 1};
    } else if (strchr(value, ',')) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        size_t count = split(value, &parts);
        a->ints = take((count + 1) * sizeof *a->ints);
        for (size_t k = 0; k < count; k++)
            if (*parts[k]) a->ints[a->n_ints++] = strtoll(parts[k], NULL, 10);
    } else if (strpbrk(value, ".enf")) {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        a->has_f = 1;
        a->f = strtof(value, NULL);
    } else {
        a->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        a->has_i = 1;
        a->i = strtoll(value, NULL, 10);
    }
    return a;
}

void build_node(const char *op, const char *name, const char *inputs, const char *outputs, const char *attributes)
{
    Onnx__NodeProto *n = take(sizeof *n);
    onnx__node_proto__init(n);
    n->op_type = word(op, strlen(op));
    n->name = word(name, strlen(name));
    n->n_input = split(inputs, &n->input);
    n->n_output = split(outputs, &n->output);
    n->attribute = take(16 * sizeof *n->attribute);
    for (const char *p = attributes; *p; p += strspn(p, " ")) {
        size_t length = strcspn(p, " ");
        n->attribute[n->n_attribute++] = attribute(p, length);
        p += length;
    }
    graph.node[graph.n_node++] = n;
}

void build_meta(const char *key, const char *value)
{
    Onnx__StringStringEntryProto *p = take(sizeof *p);
    onnx__string_string_entry_proto__init(p);
    p->key = word(key, strlen(key));
    p->value = word(value, strlen(value));
    model.metadata_props[model.n_metadata_props++] = p;
}

Onnx__ModelProto  *build_model(void) { return &model; }
Onnx__NodeProto   *build_last_node(void) { return graph.node[graph.n_node - 1]; }
Onnx__TensorProto *build_last_tensor(void) { return graph.initializer[graph.n_initializer - 1]; }

const void *build_bytes(size_t *n)
{
    if (onnx__model_proto__get_packed_size(&model) > sizeof packed) {
        fprintf(stderr, "onnx_build: the test's model is too large\n");
        exit(1);
    }
    *n = onnx__model_proto__pack(&model, packed);
    return packed;
}

ot_status build_read_in(ot_network **out, const char *dir)
{
    size_t n;
    const void *bytes = build_bytes(&n);
    *out = NULL;
    return ot_network_read(out, bytes, n, dir);
}

ot_status build_read(ot_network **out) { return build_read_in(out, NULL); }

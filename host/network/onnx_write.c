/* onnx_write.c - a network to an ONNX file, opset 13, batch size open.
 *
 * Messages and the strings in them come from one arena that is freed at the end; weights are not copied.  A T-ReLU whose knobs
 * are not (1, 0) becomes Sub, Mul, then Relu or Clip: plain operators that every runtime has. */
#include "impl.h"
#include "base/file.h"
#include "onnx.pb-c.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct writer {
    const ot_network *net;
    const float *gain, *offset;
    void **blocks;                   /* the arena */
    int    n_blocks, room, failed;
    Onnx__GraphProto graph;
    size_t room_nodes, room_tensors;
    const char **out;                /* name of each layer's output */
    int *rank;                       /* its dimensions in the file: 2 after a dense layer, else 4 */
} writer;

/* Zeroed memory of the arena.  When there is none, `failed` is set and a block that is never read comes back. */
static void *get(writer *w, size_t n, size_t size)
{
    static char nothing[512];
    if (w->n_blocks == w->room) {
        void **more = ot_realloc(w->blocks, (size_t)w->room * 2 + 64, sizeof *more);
        if (!more) { w->failed = 1; return nothing; }
        w->blocks = more;
        w->room = w->room * 2 + 64;
    }
    void *p = ot_alloc(n, size);
    if (!p) { w->failed = 1; return nothing; }
    return w->blocks[w->n_blocks++] = p;
}

static char *text(writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static char *text(writer *w, const char *fmt, ...)
{
    char buffer[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buffer, sizeof buffer, fmt, ap);
    va_end(ap);
    size_t length = n < (int)sizeof buffer ? (size_t)n : sizeof buffer - 1;
    char *p = get(w, length + 1, 1);
    if (!w->failed) memcpy(p, buffer, length + 1);
    return p;
}

static void *grow(writer *w, void *list, size_t n, size_t *room)
{
    if (n < *room) return list;
    size_t more = *room * 2 + 64;
    void **p = get(w, more, sizeof *p);
    if (w->failed) return list;
    if (n) memcpy(p, list, n * sizeof *p);
    *room = more;
    return p;
}

/* An initialiser; gives its name. */
static char *tensor(writer *w, const char *layer, const char *what, int whole, const void *data, int n_dims, const int64_t *dims)
{
    Onnx__TensorProto *t = get(w, 1, sizeof *t);
    w->graph.initializer = grow(w, w->graph.initializer, w->graph.n_initializer, &w->room_tensors);
    char *name = text(w, "%.200s.%s", layer, what);
    if (w->failed) return name;
    onnx__tensor_proto__init(t);
    t->name = name;
    t->has_data_type = 1;
    t->data_type = whole ? ONNX__TENSOR_PROTO__DATA_TYPE__INT64 : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    t->dims = get(w, (size_t)n_dims + 1, sizeof *t->dims);
    size_t bytes = whole ? 8 : 4;
    for (int k = 0; k < n_dims && !w->failed; k++) t->dims[k] = dims[k], bytes *= (size_t)dims[k];
    t->n_dims = (size_t)n_dims;
    t->has_raw_data = 1;
    t->raw_data.len = bytes;
    t->raw_data.data = (uint8_t *)(uintptr_t)data;
    if (!w->failed) w->graph.initializer[w->graph.n_initializer++] = t;
    return name;
}

static const int64_t *keep(writer *w, const int64_t *from, int n)
{
    int64_t *p = get(w, (size_t)n, sizeof *p);
    if (!w->failed) memcpy(p, from, (size_t)n * sizeof *p);
    return p;
}

static char *floats(writer *w, const char *layer, const char *what, const float *data, int64_t n) { return tensor(w, layer, what, 0, data, 1, &n); }
static char *scalar(writer *w, const char *layer, const char *what, float v)
{
    float *p = get(w, 1, sizeof *p);
    if (!w->failed) *p = v;
    return tensor(w, layer, what, 0, p, 0, NULL);
}
static char *integers(writer *w, const char *layer, const char *what, const int64_t *v, int64_t n) { return tensor(w, layer, what, 1, keep(w, v, (int)n), 1, &n); }

static Onnx__NodeProto *node(writer *w, const char *op, const char *name, const char *output, int n_in, ...)
{
    Onnx__NodeProto *n = get(w, 1, sizeof *n);
    w->graph.node = grow(w, w->graph.node, w->graph.n_node, &w->room_nodes);
    char **in = get(w, (size_t)n_in, sizeof *in), **out = get(w, 1, sizeof *out);
    if (w->failed) return n;
    onnx__node_proto__init(n);
    va_list ap;
    va_start(ap, n_in);
    for (int k = 0; k < n_in; k++) in[k] = va_arg(ap, char *);
    va_end(ap);
    out[0] = (char *)(uintptr_t)output;
    n->op_type = (char *)(uintptr_t)op;
    n->name = (char *)(uintptr_t)name;
    n->input = in;
    n->n_input = (size_t)n_in;
    n->output = out;
    n->n_output = 1;
    n->attribute = get(w, 8, sizeof *n->attribute);
    w->graph.node[w->graph.n_node++] = n;
    return n;
}

static Onnx__AttributeProto *attribute(writer *w, Onnx__NodeProto *n, const char *name, Onnx__AttributeProto__AttributeType type)
{
    Onnx__AttributeProto *a = get(w, 1, sizeof *a);
    if (w->failed) return a;
    onnx__attribute_proto__init(a);
    a->name = (char *)(uintptr_t)name;
    a->has_type = 1;
    a->type = type;
    n->attribute[n->n_attribute++] = a;
    return a;
}

static void set_ints(writer *w, Onnx__NodeProto *n, const char *name, const int64_t *v, int count)
{
    Onnx__AttributeProto *a = attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    if (w->failed) return;
    a->ints = (int64_t *)(uintptr_t)keep(w, v, count);
    a->n_ints = (size_t)count;
}

static void set_int(writer *w, Onnx__NodeProto *n, const char *name, int64_t v)
{
    Onnx__AttributeProto *a = attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (w->failed) return;
    a->has_i = 1;
    a->i = v;
}

static void set_float(writer *w, Onnx__NodeProto *n, const char *name, float v)
{
    Onnx__AttributeProto *a = attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (w->failed) return;
    a->has_f = 1;
    a->f = v;
}

static void set_window(writer *w, Onnx__NodeProto *n, const ot_layer *l)
{
    set_ints(w, n, "kernel_shape", (const int64_t[]){l->kh, l->kw}, 2);
    set_ints(w, n, "strides", (const int64_t[]){l->sh, l->sw}, 2);
    set_ints(w, n, "pads", (const int64_t[]){l->pt, l->pl, l->pb, l->pr}, 4);
}

/* The zero point 0 of uint8 codes. */
static const char *code_zero(writer *w, const char *layer)
{
    char *name = tensor(w, layer, "zero", 1, get(w, 1, 8), 0, NULL);
    if (w->failed) return name;
    Onnx__TensorProto *t = w->graph.initializer[w->graph.n_initializer - 1];
    t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    t->raw_data.len = 1;
    return name;
}

/* A quantised one (onnx_quantise.c) has its bound at the last code, so that uint8 need not saturate there. */
static void write_relu(writer *w, const ot_layer *l, const char *name, const char *in, const char *out)
{
    float a = w->gain ? w->gain[l->relu] : 1, b = w->offset ? w->offset[l->relu] : 0;
    if (a != 1 || b != 0) {
        const char *shifted = text(w, "%.200s.shifted", name), *scaled = text(w, "%.200s.scaled", name);
        node(w, "Sub", text(w, "%.200s.sub", name), shifted, 2, in, scalar(w, name, "offset", b));
        node(w, "Mul", text(w, "%.200s.mul", name), scaled, 2, shifted, scalar(w, name, "gain", a));
        in = scaled;
    }
    const float own = l->codes && l->codes < 255 ? (float)l->codes * l->step : INFINITY, most = own < l->clip ? own : l->clip;
    const char *u = l->codes ? text(w, "%.200s.u", name) : out;
    if (isinf(most)) node(w, "Relu", name, u, 1, in);
    else node(w, "Clip", name, u, 3, in, scalar(w, name, "least", 0), scalar(w, name, "most", most));
    if (!l->codes) return;
    const char *codes = text(w, "%.200s.codes", name), *step = scalar(w, name, "step", l->step), *zero = code_zero(w, name);
    node(w, "QuantizeLinear", text(w, "%.200s.quantise", name), codes, 3, u, step, zero);
    node(w, "DequantizeLinear", text(w, "%.200s.dequantise", name), out, 3, codes, step, zero);
}

static void set_string(writer *w, Onnx__NodeProto *n, const char *name, const char *v)
{
    Onnx__AttributeProto *a = attribute(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    if (w->failed) return;
    a->has_s = 1;
    a->s.data = (uint8_t *)(uintptr_t)v;
    a->s.len = strlen(v);
}

static void write_spike(writer *w, const ot_layer *l, const char *name, const char *in, const char *out)
{
    Onnx__NodeProto *n = node(w, "IF", name, out, 1, in);
    if (!w->failed) n->domain = (char *)(uintptr_t)OT_ONNX_DOMAIN;
    set_float(w, n, "threshold", w->gain ? w->gain[l->spike] * l->threshold : l->threshold);
    set_float(w, n, "leak", l->leak);
    set_string(w, n, "reset", ot__reset_names[l->reset]);
    if (l->reset == OT_RESET_FIXED) set_float(w, n, "u_rst", l->u_rst);
}

/* Layer i's output with 4 dimensions. */
static const char *as_image(writer *w, int i, const char *reader)
{
    const ot_layer *l = &w->net->layers[i];
    if (w->rank[i] == 4) return w->out[i];
    const char *image = text(w, "%.200s.image", reader);
    node(w, "Reshape", text(w, "%.200s.reshape", reader), image, 2, w->out[i], integers(w, reader, "image_shape", (const int64_t[]){0, l->c, l->h, l->w}, 4));
    return image;
}

static int same_rank(ot_op op) { return op == OT_OP_BATCH_NORM || op == OT_OP_BIAS || op == OT_OP_RELU || op == OT_OP_SPIKE; }

static void write_layer(writer *w, int i)
{
    const ot_layer *l = &w->net->layers[i];
    const char *name = text(w, "%.250s", l->name), *out = w->out[i];
    Onnx__NodeProto *n;
    w->rank[i] = l->op == OT_OP_DENSE ? 2 : same_rank(l->op) || (l->op == OT_OP_ADD && w->rank[l->in[1]] == w->rank[l->in[0]]) ? w->rank[l->in[0]] : 4;
    const char *in = w->rank[i] == 4 ? as_image(w, l->in[0], name) : w->out[l->in[0]];
    switch (l->op) {
    case OT_OP_CONV: {
        char *weight = tensor(w, name, "weight", 0, l->weight, 4, (const int64_t[]){l->c, l->in_c / l->groups, l->kh, l->kw});
        n = l->bias ? node(w, "Conv", name, out, 3, in, weight, floats(w, name, "bias", l->bias, l->c)) : node(w, "Conv", name, out, 2, in, weight);
        set_window(w, n, l);
        set_int(w, n, "group", l->groups);
        break;
    }
    case OT_OP_DENSE: {
        const char *flat = text(w, "%.200s.flat", name);
        char *weight = tensor(w, name, "weight", 0, l->weight, 2, (const int64_t[]){l->c, l->in_c});
        node(w, "Flatten", text(w, "%.200s.flatten", name), flat, 1, in);
        n = l->bias ? node(w, "Gemm", name, out, 3, flat, weight, floats(w, name, "bias", l->bias, l->c)) : node(w, "Gemm", name, out, 2, flat, weight);
        set_int(w, n, "transB", 1);
        break;
    }
    case OT_OP_BATCH_NORM:
        n = node(w, "BatchNormalization", name, out, 5, in, floats(w, name, "gamma", l->gamma, l->c), floats(w, name, "beta", l->beta, l->c),
                 floats(w, name, "mean", l->mean, l->c), floats(w, name, "var", l->var, l->c));
        set_float(w, n, "epsilon", l->eps);
        break;
    case OT_OP_BIAS: node(w, "Add", name, out, 2, in, tensor(w, name, "bias", 0, l->bias, w->rank[i] == 2 ? 1 : 3, (const int64_t[]){l->c, 1, 1})); break;
    case OT_OP_RELU: write_relu(w, l, name, in, out); break;
    case OT_OP_SPIKE: write_spike(w, l, name, in, out); break;
    case OT_OP_ADD: node(w, "Add", name, out, 2, in, w->rank[i] == 4 ? as_image(w, l->in[1], name) : w->out[l->in[1]]); break;
    case OT_OP_MAX_POOL: case OT_OP_AVG_POOL:
        n = node(w, l->op == OT_OP_MAX_POOL ? "MaxPool" : "AveragePool", name, out, 1, in);
        set_window(w, n, l);
        if (l->ceil_mode) set_int(w, n, "ceil_mode", 1);
        if (l->count_pad) set_int(w, n, "count_include_pad", 1);
        break;
    case OT_OP_GLOBAL_AVG: node(w, "GlobalAveragePool", name, out, 1, in); break;
    case OT_OP_PAD: {
        const int64_t pads[8] = {0, l->pad_before[0], l->pad_before[1], l->pad_before[2], 0, l->pad_after[0], l->pad_after[1], l->pad_after[2]};
        node(w, "Pad", name, out, 3, in, integers(w, name, "pads", pads, 8), scalar(w, name, "value", l->pad_value));
        break;
    }
    case OT_OP_SLICE: {
        const int count[3] = {l->c, l->h, l->w};
        int64_t start[3], end[3], step[3];
        for (int k = 0; k < 3; k++) start[k] = l->slice_start[k], step[k] = l->slice_step[k], end[k] = start[k] + (count[k] - 1) * step[k] + 1;
        node(w, "Slice", name, out, 5, in, integers(w, name, "starts", start, 3), integers(w, name, "ends", end, 3),
             integers(w, name, "axes", (const int64_t[]){1, 2, 3}, 3), integers(w, name, "steps", step, 3));
        break;
    }
    case OT_OP_RESHAPE: node(w, "Reshape", name, out, 2, in, integers(w, name, "shape", (const int64_t[]){0, l->c, l->h, l->w}, 4)); break;
    case OT_OP_INPUT: break;
    }
}

/* Declares an input or output of the graph: (N, ...) floats. */
static Onnx__ValueInfoProto *declare(writer *w, const char *name, int n_dims, const int64_t *dims)
{
    Onnx__ValueInfoProto *v = get(w, 1, sizeof *v);
    Onnx__TypeProto *type = get(w, 1, sizeof *type);
    Onnx__TypeProto__Tensor *t = get(w, 1, sizeof *t);
    Onnx__TensorShapeProto *shape = get(w, 1, sizeof *shape);
    Onnx__TensorShapeProto__Dimension *d = get(w, (size_t)n_dims, sizeof *d), **list = get(w, (size_t)n_dims, sizeof *list);
    if (w->failed) return v;
    onnx__value_info_proto__init(v);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(t);
    onnx__tensor_shape_proto__init(shape);
    for (int k = 0; k < n_dims; k++) {
        onnx__tensor_shape_proto__dimension__init(&d[k]);
        d[k].value_case = k ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
        if (k) d[k].dim_value = dims[k];
        else d[k].dim_param = (char *)(uintptr_t)"N";
        list[k] = &d[k];
    }
    shape->dim = list;
    shape->n_dim = (size_t)n_dims;
    t->has_elem_type = 1;
    t->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    t->shape = shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = t;
    v->name = (char *)(uintptr_t)name;
    v->type = type;
    return v;
}

static void prop(writer *w, Onnx__ModelProto *m, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *p = get(w, 1, sizeof *p);
    if (w->failed) return;
    onnx__string_string_entry_proto__init(p);
    p->key = (char *)(uintptr_t)key;
    p->value = (char *)(uintptr_t)value;
    m->metadata_props[m->n_metadata_props++] = p;
}

static const char *joined(writer *w, const float *v, int n)
{
    size_t at = 0, room = (size_t)n * 20 + 1;
    char *p = get(w, room, 1);
    for (int i = 0; i < n && !w->failed; i++) at += (size_t)snprintf(p + at, room - at, "%s%.9g", i ? "," : "", (double)v[i]);
    return p;
}

static const char *class_list(writer *w)
{
    size_t room = 1, at = 0;
    for (int i = 0; i < w->net->n_class_names; i++) room += strlen(w->net->class_names[i]) + 1;
    char *p = get(w, room, 1);
    for (int i = 0; i < w->net->n_class_names && !w->failed; i++) at += (size_t)snprintf(p + at, room - at, "%s%s", i ? "," : "", w->net->class_names[i]);
    return p;
}

static ot_status save(writer *w, const char *path)
{
    const ot_network *net = w->net;
    const ot_layer *in = &net->layers[0], *last = &net->layers[net->n - 1];
    Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, own = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[2] = {&opset, &own};
    Onnx__StringStringEntryProto *props[7];
    Onnx__ValueInfoProto *inputs[1], *outputs[1];
    onnx__graph_proto__init(&w->graph);
    w->out = get(w, (size_t)net->n, sizeof *w->out);
    w->rank = get(w, (size_t)net->n, sizeof *w->rank);
    for (int i = 0; i < net->n && !w->failed; i++) w->out[i] = text(w, "%.200s%s", net->layers[i].name, i ? ".y" : "");
    if (w->failed) OT_NOMEM(path, 0);
    w->rank[0] = 4;
    for (int i = 1; i < net->n; i++) write_layer(w, i);
    const char *output = w->out[net->n - 1];
    if (w->rank[net->n - 1] == 4 && last->h == 1 && last->w == 1) node(w, "Flatten", "logits.flatten", output = "logits", 1, w->out[net->n - 1]);
    int flat = w->rank[net->n - 1] == 2 || (last->h == 1 && last->w == 1);
    inputs[0] = declare(w, w->out[0], 4, (const int64_t[]){0, in->c, in->h, in->w});
    outputs[0] = declare(w, output, flat ? 2 : 4, (const int64_t[]){0, last->c, last->h, last->w});
    w->graph.name = net->name;
    w->graph.input = inputs;
    w->graph.output = outputs;
    w->graph.n_input = w->graph.n_output = 1;
    opset.has_version = 1;
    opset.version = 13;
    opset.domain = (char *)(uintptr_t)"";
    m.has_ir_version = 1;
    m.ir_version = 7;
    m.producer_name = (char *)(uintptr_t)"ohmtrim";
    m.producer_version = (char *)(uintptr_t)OT_VERSION;
    m.opset_import = opsets;
    m.n_opset_import = net->n_spikes ? 2 : 1;
    own.has_version = 1;
    own.version = 1;
    own.domain = (char *)(uintptr_t)OT_ONNX_DOMAIN;
    m.graph = &w->graph;
    m.metadata_props = props;
    prop(w, &m, "ohmtrim.mean", joined(w, net->mean, in->c));
    prop(w, &m, "ohmtrim.std", joined(w, net->std, in->c));
    if (net->bits) prop(w, &m, "ohmtrim.bits", text(w, "%d", net->bits));
    if (net->n_class_names) prop(w, &m, "ohmtrim.classes", class_list(w));
    if (net->spiking.steps) {
        prop(w, &m, "ohmtrim.steps", text(w, "%d", net->spiking.steps));
        prop(w, &m, "ohmtrim.coding", ot__coding_names[net->spiking.coding]);
        if (net->spiking.coding == OT_CODING_RATE) prop(w, &m, "ohmtrim.spike_seed", text(w, "%llu", (unsigned long long)net->spiking.seed));
    }
    if (w->failed) OT_NOMEM(path, 0);
    size_t n = onnx__model_proto__get_packed_size(&m);
    uint8_t *bytes = ot_alloc(n + 1, 1);
    if (!bytes) OT_NOMEM(path, n);
    onnx__model_proto__pack(&m, bytes);
    ot_status st = ot__file_write(path, bytes, n);
    ot_free(bytes);
    return st;
}

ot_status ot_network_save(const ot_network *net, const char *path, const float *gain, const float *offset)
{
    writer w = {.net = net, .gain = gain, .offset = offset};
    if (net->n < 2) OT_FAIL(OT_E_SHAPE, "%s: network %s has no layers to write", path, net->name);
    ot_status st = save(&w, path);
    for (int i = 0; i < w.n_blocks; i++) ot_free(w.blocks[i]);
    ot_free(w.blocks);
    return st;
}

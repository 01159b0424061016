/* onnx_read.c - an ONNX file to a network: what the output needs is folded or lowered, node by node.
 *
 * Nodes that the output does not need are left out, whatever they are.  A Softmax at the very end is left out with a warning:
 * logits are wanted here. */
#include "onnx.h"
#include "onnx_wire.h"
#include "base/file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The searches by name are linear: the limits keep a hostile file from taking minutes. */
enum { OLDEST_OPSET = 1, NEWEST_OPSET = 25, MAX_NODES = 10000, MAX_NAMES = 50000 };

/* The oldest opset in which each operator means what onnx_fold.c and onnx_lower.c take it to mean (before: other attributes, or another
 * broadcast).  Newer versions either only allow more types or are told apart there by what the node carries: attributes that became
 * inputs (Clip 11, Pad 11 and 18, Slice 10, Squeeze and Unsqueeze 13, ReduceMean 18). */
static const struct { const char *op; int oldest; } versions[] = {
    {"Add", 7}, {"AveragePool", 1}, {"BatchNormalization", 7}, {"Cast", 6}, {"Clip", 6}, {"Concat", 4}, {"Constant", 1}, {"ConstantOfShape", 9},
    {"Conv", 1}, {"Div", 7}, {"Dropout", 7}, {"Flatten", 1}, {"Gather", 1}, {"Gemm", 7}, {"GlobalAveragePool", 1}, {"Identity", 1}, {"MatMul", 1},
    {"MaxPool", 1}, {"Mul", 7}, {"Pad", 2}, {"ReduceMean", 1}, {"Relu", 1}, {"Reshape", 5}, {"Shape", 1}, {"Slice", 1}, {"Squeeze", 1}, {"Sub", 7},
    {"Transpose", 1}, {"Unsqueeze", 1},
};

static ot_status check_version(onnx_reader *r, const Onnx__NodeProto *node)
{
    for (size_t k = 0; k < sizeof versions / sizeof *versions; k++)
        if (!strcmp(versions[k].op, node->op_type) && r->opset < versions[k].oldest)
            NODE_FAIL(OT_E_UNSUPPORTED, "this operator is read from opset %d on", versions[k].oldest);
    return OT_OK;
}

static ot_status find_opset(onnx_reader *r, const Onnx__ModelProto *m)
{
    for (size_t i = 0; i < m->n_opset_import; i++) {
        const char *domain = m->opset_import[i]->domain;
        if (!domain || !*domain || !strcmp(domain, "ai.onnx")) r->opset = m->opset_import[i]->version;
        else if (!strcmp(domain, OT_ONNX_DOMAIN)) r->own_opset = m->opset_import[i]->version;
    }
    if (r->opset < OLDEST_OPSET || r->opset > NEWEST_OPSET)
        OT_FAIL(OT_E_UNSUPPORTED, "%s: opset %lld, want %d..%d", r->path, (long long)r->opset, OLDEST_OPSET, NEWEST_OPSET);
    return OT_OK;
}

static ot_status check_messages(onnx_reader *r)
{
    const Onnx__GraphProto *g = r->graph;
    size_t n_names = 0;
    for (size_t i = 0; i < g->n_node; i++) n_names += g->node[i]->n_input + g->node[i]->n_output;
    if (g->n_node > MAX_NODES || g->n_initializer > MAX_NODES || n_names > MAX_NAMES || g->n_input > MAX_NODES || g->n_output > MAX_NODES)
        OT_FAIL(OT_E_UNSUPPORTED, "%s: %zu nodes, %zu initialisers, %zu names, %zu inputs, %zu outputs, want at most %d (names %d)", r->path, g->n_node,
                g->n_initializer, n_names, g->n_input, g->n_output, MAX_NODES, MAX_NAMES);
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *n = g->node[i];
        if (!n->op_type || !n->n_output) OT_FAIL(OT_E_FORMAT, "%s: node %zu has no operator or no output", r->path, i);
        for (size_t k = 0; k < n->n_input; k++)
            if (!n->input[k]) OT_FAIL(OT_E_FORMAT, "%s: node %zu has an input without a name", r->path, i);
        for (size_t k = 0; k < n->n_output; k++)
            if (!n->output[k]) OT_FAIL(OT_E_FORMAT, "%s: node %zu has an output without a name", r->path, i);
        int own = n->domain && !strcmp(n->domain, OT_ONNX_DOMAIN);
        if (own && (strcmp(n->op_type, "IF") || r->own_opset != 1))
            OT_FAIL(OT_E_UNSUPPORTED, "%s: node '%s' is '%s' of domain '%s', version %lld, want IF of version 1", r->path, n->name ? n->name : n->output[0], n->op_type,
                    OT_ONNX_DOMAIN, (long long)r->own_opset);
        if (!own && n->domain && *n->domain && strcmp(n->domain, "ai.onnx"))
            OT_FAIL(OT_E_UNSUPPORTED, "%s: node '%s' is '%s' of domain '%s', want ONNX's own operators or ohmtrim::IF", r->path, n->name ? n->name : n->output[0], n->op_type, n->domain);
    }
    return OT_OK;
}

/* The one input that is not an initialiser: layer 0. */
static ot_status read_input(onnx_reader *r)
{
    const Onnx__GraphProto *g = r->graph;
    const Onnx__ValueInfoProto *in = NULL;
    for (size_t i = 0; i < g->n_input; i++) {
        const char *name = g->input[i]->name;
        if (!name) OT_FAIL(OT_E_FORMAT, "%s: input %zu has no name", r->path, i);
        if (onnx__find(r, name)) continue;
        if (in) OT_FAIL(OT_E_UNSUPPORTED, "%s: inputs '%s' and '%s', want one", r->path, in->name, name);
        in = g->input[i];
    }
    if (!in) OT_FAIL(OT_E_FORMAT, "%s: the graph has no input", r->path);
    const Onnx__TypeProto__Tensor *t = in->type && in->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? in->type->tensor_type : NULL;
    size_t n = t && t->shape ? t->shape->n_dim : 0;
    if (n != 2 && n != 4) OT_FAIL(OT_E_UNSUPPORTED, "%s: input '%s' has %zu dimensions, want 4 (N, C, H, W) or 2 (N, features)", r->path, in->name, n);
    if (t->has_elem_type && t->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT) OT_FAIL(OT_E_UNSUPPORTED, "%s: input '%s' has data type %d, want float", r->path, in->name, t->elem_type);
    int64_t d[4] = {0, 1, 1, 1};
    for (size_t k = 1; k < n; k++) {
        const Onnx__TensorShapeProto__Dimension *dim = t->shape->dim[k];
        d[k] = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ? dim->dim_value : 0;
        if (d[k] < 1 || d[k] > OT_MAX_ELEMENTS)
            OT_FAIL(OT_E_UNSUPPORTED, "%s: input '%s' has dimension %zu = %lld, want a fixed positive number (only the batch may be open)", r->path, in->name, k, (long long)d[k]);
    }
    const char *slash = strrchr(r->path, '/'), *name = r->graph->name && *r->graph->name ? r->graph->name : slash ? slash + 1 : r->path;
    OT_TRY(ot_network_new(&r->net, name, (int)d[1], (int)d[2], (int)d[3]));
    return onnx__new_layer(r, in->name, 0, (int)n);
}

/* Marks the nodes that `name` needs; producers stand before readers in a valid file, so one walk backwards does. */
static void mark_needed(const Onnx__GraphProto *g, const char *output, char *needed)
{
    for (size_t i = g->n_node; i-- > 0;) {
        const Onnx__NodeProto *n = g->node[i];
        for (size_t k = 0; k < n->n_output && !needed[i]; k++) {
            if (!*n->output[k]) continue;
            needed[i] = !strcmp(n->output[k], output);
            for (size_t j = i + 1; j < g->n_node && !needed[i]; j++)
                for (size_t q = 0; needed[j] && q < g->node[j]->n_input; q++) needed[i] |= !strcmp(g->node[j]->input[q], n->output[k]);
        }
    }
}

static ot_status read_nodes(onnx_reader *r)
{
    const Onnx__GraphProto *g = r->graph;
    if (g->n_output < 1 || !g->output[0]->name) OT_FAIL(OT_E_FORMAT, "%s: the graph has no output", r->path);
    const char *output = g->output[0]->name;
    if (g->n_output > 1) OT_TRY(ot__network_warn(r->net, "%zu outputs; '%s' is used", g->n_output, output));
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *n = g->node[i];
        if (strcmp(n->output[0], output) || !n->n_input || (strcmp(n->op_type, "Softmax") && strcmp(n->op_type, "LogSoftmax"))) continue;
        OT_TRY(ot__network_warn(r->net, "%s at the end is left out: logits are used", n->op_type));
        output = n->input[0];
        break;
    }
    char *needed = ot_alloc(g->n_node + 1, 1);
    if (!needed) OT_NOMEM(r->path, g->n_node + 1);
    mark_needed(g, output, needed);
    ot_status st = OT_OK;
    for (size_t i = 0; i < g->n_node && st == OT_OK; i++) {
        int done = 0;
        if (!needed[i]) continue;
        st = check_version(r, g->node[i]);
        if (st == OT_OK) st = onnx__fold(r, g->node[i], &done);
        if (st == OT_OK && !done) st = onnx__lower(r, g->node[i]);
    }
    ot_free(needed);
    OT_TRY(st);
    const onnx_value *out = onnx__find(r, output);
    if (!out || out->layer < 0) OT_FAIL(OT_E_FORMAT, "%s: output '%s' is not made by any node", r->path, output);
    if (out->layer != ot_network_layers(r->net) - 1 || out->layer == 0) {        /* the last layer is the output: make it so */
        const ot_layer *l = ot_network_layer(r->net, out->layer);
        OT_TRY(ot_network_add(r->net, &(ot_layer){.op = OT_OP_RESHAPE, .name = "ohmtrim.output", .in = {out->layer, -1}, .c = l->c, .h = l->h, .w = l->w}, NULL));
    }
    return OT_OK;
}

/* Comma-separated numbers of a metadata entry, exactly n of them. */
static ot_status numbers(onnx_reader *r, const char *key, const char *text, float *out, int n)
{
    const char *p = text;
    for (int i = 0; i < n; i++) {
        char *end;
        out[i] = strtof(p, &end);
        if (end == p || *end != (i < n - 1 ? ',' : 0) || !isfinite(out[i]))
            OT_FAIL(OT_E_FORMAT, "%s: metadata %s = '%.60s', want %d numbers with commas between", r->path, key, text, n);
        p = end + 1;
    }
    return OT_OK;
}

static ot_status whole_number(onnx_reader *r, const char *key, const char *text, unsigned long long most, unsigned long long *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || *out > most)
        OT_FAIL(OT_E_FORMAT, "%s: metadata %s = '%.40s', want a whole number of at most %llu", r->path, key, text, most);
    return OT_OK;
}

/* steps, coding, spike_seed; *done says whether it was one of them. */
static ot_status read_spiking(onnx_reader *r, const char *key, const char *value, int *done)
{
    ot_spiking *s = &r->net->spiking;
    unsigned long long n = 0;
    *done = 1;
    if (!strcmp(key, "ohmtrim.steps")) {
        OT_TRY(whole_number(r, key, value, OT_MAX_STEPS, &n));
        if (n < 1) OT_FAIL(OT_E_FORMAT, "%s: metadata %s = '%.40s', want 1..%d", r->path, key, value, OT_MAX_STEPS);
        s->steps = (int)n;
    } else if (!strcmp(key, "ohmtrim.coding")) {
        int k = 0;
        while (k < OT_CODINGS && strcmp(value, ot__coding_names[k])) k++;
        if (k == OT_CODINGS) OT_FAIL(OT_E_FORMAT, "%s: metadata %s = '%.40s', want direct, rate or latency", r->path, key, value);
        s->coding = (ot_coding)k;
    } else if (!strcmp(key, "ohmtrim.spike_seed")) {
        OT_TRY(whole_number(r, key, value, UINT64_MAX, &n));
        s->seed = n;
    } else {
        *done = 0;
    }
    return OT_OK;
}

/* What a spiking network must have; time steps may still be given by whoever opens it. */
static ot_status check_spiking(onnx_reader *r)
{
    ot_network *net = r->net;
    int         said = net->spiking.steps;
    if (!net->n_spikes) {
        if (said) OT_TRY(ot__network_warn(net, "metadata ohmtrim.steps is left out: no spiking layer"));
        net->spiking = (ot_spiking){0};
        return OT_OK;
    }
    if (!said) {
        OT_TRY(ot__network_warn(net, "spiking layers, but no metadata ohmtrim.steps: the number of time steps is still to be said"));
        net->spiking.steps = 1;
    }
    ot_status st = ot_network_check_spiking(net);
    net->spiking.steps = said;
    return st == OT_OK ? st : ot__fail_prefix(st, "%s: ", r->path);
}

static ot_status read_metadata(onnx_reader *r, const Onnx__ModelProto *m)
{
    int c = ot_network_layer(r->net, 0)->c;
    float *mean = r->net->mean, *std = r->net->std;
    for (size_t i = 0; i < m->n_metadata_props; i++) {
        const char *key = m->metadata_props[i]->key, *value = m->metadata_props[i]->value;
        if (!key || !value || strncmp(key, "ohmtrim.", 8)) continue;
        if (!strcmp(key, "ohmtrim.mean")) OT_TRY(numbers(r, key, value, mean, c));
        else if (!strcmp(key, "ohmtrim.std")) OT_TRY(numbers(r, key, value, std, c));
        else if (!strcmp(key, "ohmtrim.classes")) {
            ot_status st = ot_network_set_class_names(r->net, value);
            if (st != OT_OK) return ot__fail_prefix(st, "%s: metadata %s: ", r->path, key);
        } else if (!strcmp(key, "ohmtrim.bits")) {
            char *end;
            long bits = strtol(value, &end, 10);
            if (end == value || *end || bits < 2 || bits > 16) OT_FAIL(OT_E_FORMAT, "%s: metadata %s = '%.20s', want 2..16", r->path, key, value);
            OT_TRY(ot_network_set_bits(r->net, (int)bits));
        } else {
            int done;
            OT_TRY(read_spiking(r, key, value, &done));
            if (!done) OT_TRY(ot__network_warn(r->net, "metadata key %s is not known and left out", key));
        }
    }
    for (int i = 0; i < c; i++)
        if (!(std[i] > 0)) OT_FAIL(OT_E_FORMAT, "%s: metadata ohmtrim.std[%d] = %g, want a positive number", r->path, i, (double)std[i]);
    return OT_OK;
}

static ot_status warn_user(ot_network *net)
{
    int biased = 0;
    const char *first = NULL;
    for (int i = 1; i < net->n; i++) {
        const ot_layer *l = &net->layers[i];
        if (l->op == OT_OP_CONV && l->bias) {
            int normed = 0;
            for (int j = i + 1; j < net->n; j++) normed |= net->layers[j].op == OT_OP_BATCH_NORM && net->layers[j].in[0] == i;
            if (!normed && !biased++) first = l->name;
        }
        if (l->crossbar >= 0) {
            size_t n = ot_layer_weights(l), k = 0;
            while (k < n && l->weight[k] == 0) k++;
            if (k == n) OT_TRY(ot__network_warn(net, "layer '%s': all %zu weights are 0; it stays 0 on every chip", l->name, n));
        }
    }
    if (biased)
        OT_TRY(ot__network_warn(net, "%d convolutions (first '%s') carry biases and no batch norm follows: if the exporter folded batch norm into the weights, "
                                     "their conductances are not the design's; docs/onnx.md shows the export that keeps it", biased, first));
    if (!net->n_relus && !net->n_spikes) OT_TRY(ot__network_warn(net, "no ReLU layer: the network has no knobs and cannot be tuned"));
    return OT_OK;
}

static ot_status read_graph(onnx_reader *r, const Onnx__ModelProto *m)
{
    if (!m->graph) OT_FAIL(OT_E_FORMAT, "%s: no graph in it", r->path);
    r->graph = m->graph;
    OT_TRY(find_opset(r, m));
    OT_TRY(check_messages(r));
    for (size_t i = 0; i < r->graph->n_initializer; i++) {
        const char *name = r->graph->initializer[i]->name;
        if (!name) OT_FAIL(OT_E_FORMAT, "%s: initialiser %zu has no name", r->path, i);
        OT_TRY(onnx__tensor(r, name, r->graph->initializer[i]));
    }
    OT_TRY(read_input(r));
    OT_TRY(read_nodes(r));
    OT_TRY(read_metadata(r, m));
    OT_TRY(check_spiking(r));
    return warn_user(r->net);
}

static ot_status read_named(ot_network **out, const void *bytes, size_t n_bytes, const char *path, const char *dir)
{
    onnx_reader r = {.path = path, .dir = dir};
    Onnx__ModelProto *m;
    OT_TRY(onnx__wire_read(&m, bytes, n_bytes, path));
    ot_status st = read_graph(&r, m);
    for (int i = 0; i < r.n_values; i++) {
        ot_free(r.values[i].f);
        ot_free(r.values[i].i);
    }
    ot_free(r.values);
    onnx__wire_free(m);
    if (st == OT_OK) *out = r.net;
    else ot_network_free(r.net);
    return st;
}

ot_status ot_network_read(ot_network **out, const void *bytes, size_t n_bytes, const char *dir) { return read_named(out, bytes, n_bytes, "ONNX model", dir); }

ot_status ot_network_open(ot_network **out, const char *path)
{
    void *bytes;
    size_t n_bytes;
    char dir[1024];
    const char *slash = strrchr(path, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    OT_TRY(ot__file_read(&bytes, &n_bytes, path, (size_t)2 << 30));
    ot_status st = read_named(out, bytes, n_bytes, path, *dir ? dir : "/");
    ot_free(bytes);
    return st;
}

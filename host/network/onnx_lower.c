/* onnx_lower.c - one ONNX node to one layer (or none): the operators of DESIGN 4.1. */
#include "onnx.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The layer that input k is the output of. */
static ot_status input_layer(onnx_reader *r, const Onnx__NodeProto *node, size_t k, const onnx_value **v)
{
    *v = onnx__input(r, node, k);
    if (!*v) NODE_FAIL(OT_E_FORMAT, "reads '%s', which nothing before it makes", k < node->n_input ? node->input[k] : "nothing");
    if ((*v)->step > 0) NODE_FAIL(OT_E_UNSUPPORTED, "reads '%s', the codes of QuantizeLinear, want DequantizeLinear between", (*v)->name);
    if ((*v)->layer < 0) NODE_FAIL(OT_E_UNSUPPORTED, "input %zu ('%s') is a constant, want a layer's output", k, (*v)->name);
    return OT_OK;
}

static ot_status four(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x)
{
    if (x->rank != 4) NODE_FAIL(OT_E_UNSUPPORTED, "reads %d dimensions, want 4: (N, C, H, W)", x->rank);
    return OT_OK;
}

/* A constant input as floats the caller frees; `wanted` elements unless 0. */
static ot_status floats(onnx_reader *r, const Onnx__NodeProto *node, size_t k, const char *what, int64_t wanted, float **out)
{
    const onnx_value *v = onnx__input(r, node, k);
    *out = NULL;
    if (!v || v->layer >= 0) NODE_FAIL(OT_E_UNSUPPORTED, "%s ('%s') is not a constant", what, k < node->n_input ? node->input[k] : "missing");
    if (wanted && v->count != wanted) NODE_FAIL(OT_E_SHAPE, "%s has %lld numbers, want %lld", what, (long long)v->count, (long long)wanted);
    if (!(*out = ot_alloc((size_t)v->count, sizeof **out))) NODE_FAIL(OT_E_NOMEM, "no memory for %lld numbers", (long long)v->count);
    for (int64_t i = 0; i < v->count; i++) {
        double x = v->whole ? (double)v->i[i] : v->f[i];
        if (!isfinite(x) || fabs(x) > 3.4e38) {
            ot_free(*out);
            *out = NULL;
            NODE_FAIL(OT_E_DATA, "%s[%lld] = %g, want a finite number", what, (long long)i, x);
        }
        (*out)[i] = (float)x;
    }
    return OT_OK;
}

/* One number or one a channel, spread to c floats the caller frees. */
static ot_status per_channel(onnx_reader *r, const Onnx__NodeProto *node, size_t k, const onnx_value *x, float **out)
{
    const ot_layer *l = ot_network_layer(r->net, x->layer);
    const onnx_value *v = onnx__input(r, node, k);
    int64_t c = l->c;
    if (!v || v->layer >= 0) NODE_FAIL(OT_E_UNSUPPORTED, "want a constant beside the layer");
    int at = v->n_dims - (x->rank == 4 ? 3 : 1), good = v->count == 1 || (v->count == c && ((at >= 0 && v->dims[at] == c) || (l->h == 1 && l->w == 1 && at >= 0 && v->dims[at] == c)));
    if (!good || v->n_dims > x->rank) NODE_FAIL(OT_E_UNSUPPORTED, "a constant of %lld numbers on (%d, %d, %d), want one or one a channel", (long long)v->count, l->c, l->h, l->w);
    OT_TRY(floats(r, node, k, "the constant", 0, out));
    if (v->count == 1 && c != 1) {
        float *all = ot_alloc((size_t)c, sizeof *all), one = **out;
        ot_free(*out);
        *out = all;
        if (!all) NODE_FAIL(OT_E_NOMEM, "no memory for %lld numbers", (long long)c);
        for (int64_t i = 0; i < c; i++) all[i] = one;
    }
    return OT_OK;
}

/* Adds the layer under the node's name (made unique) and makes the node's output its value. */
static ot_status add(onnx_reader *r, const Onnx__NodeProto *node, ot_layer *l, int rank)
{
    char name[300];
    const char *base = node->name && *node->name ? node->name : node->output[0];
    snprintf(name, sizeof name, "%.250s", base);
    for (int n = ot_network_layers(r->net), i = 0; i < ot_network_layers(r->net); i++)
        if (!strcmp(ot_network_layer(r->net, i)->name, name)) {
            snprintf(name, sizeof name, "%.250s.%d", base, n++);      /* the layer's own number: seldom taken */
            i = -1;
        }
    int index;
    l->name = name;
    if (l->op != OT_OP_ADD) l->in[1] = -1;
    ot_status st = ot_network_add(r->net, l, &index);
    if (st != OT_OK) return ot__fail_prefix(st, "%s: opset %lld: ", r->path, (long long)r->opset);
    return onnx__new_layer(r, node->output[0], index, rank);
}

static ot_status alias(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x, int rank) { return onnx__new_layer(r, node->output[0], x->layer, rank); }

/* kernel, strides, pads, dilations, auto_pad of Conv and pools. */
static ot_status window(onnx_reader *r, const Onnx__NodeProto *node, ot_layer *l, const ot_layer *in, int kh, int kw)
{
    int64_t kernel[4], stride[4], pad[4], dilation[4];
    int nk, ns, np, nd;
    OT_TRY(onnx__ints(r, node, NULL, "kernel_shape", kernel, 4, &nk));
    OT_TRY(onnx__ints(r, node, NULL, "strides", stride, 4, &ns));
    OT_TRY(onnx__ints(r, node, NULL, "pads", pad, 4, &np));
    OT_TRY(onnx__ints(r, node, NULL, "dilations", dilation, 4, &nd));
    if (!nk && kh) kernel[0] = kh, kernel[1] = kw, nk = 2;
    if (nk != 2 || (ns && ns != 2) || (np && np != 4) || (nd && nd != 2)) NODE_FAIL(OT_E_UNSUPPORTED, "%d-dimensional windows, want 2", nk);
    if (kh && (kernel[0] != kh || kernel[1] != kw)) NODE_FAIL(OT_E_SHAPE, "kernel_shape (%lld, %lld), the weights say (%d, %d)", (long long)kernel[0], (long long)kernel[1], kh, kw);
    for (int k = 0; k < nd; k++)
        if (dilation[k] != 1) NODE_FAIL(OT_E_UNSUPPORTED, "dilation %lld, want 1", (long long)dilation[k]);
    if (!ns) stride[0] = stride[1] = 1;
    for (int k = 0; k < 2; k++)
        if (kernel[k] < 1 || kernel[k] > 4096 || stride[k] < 1 || stride[k] > 4096) NODE_FAIL(OT_E_FORMAT, "kernel %lld, stride %lld, want 1..4096", (long long)kernel[k], (long long)stride[k]);
    for (int k = 0; k < 4; k++) {
        if (!np) pad[k] = 0;
        if (pad[k] < 0 || pad[k] > 4096) NODE_FAIL(OT_E_FORMAT, "pad %lld, want 0..4096", (long long)pad[k]);
    }
    const Onnx__AttributeProto *a = onnx__attribute(node, "auto_pad");
    if (a && a->has_s && !(a->s.len == 6 && !memcmp(a->s.data, "NOTSET", 6)) && !(a->s.len == 5 && !memcmp(a->s.data, "VALID", 5))) {
        int upper = a->s.len == 10 && !memcmp(a->s.data, "SAME_UPPER", 10), lower = a->s.len == 10 && !memcmp(a->s.data, "SAME_LOWER", 10);
        if (!upper && !lower) NODE_FAIL(OT_E_UNSUPPORTED, "auto_pad '%.*s', want NOTSET, VALID, SAME_UPPER or SAME_LOWER", (int)a->s.len, (const char *)a->s.data);
        const int size[2] = {in->h, in->w};
        for (int k = 0; k < 2; k++) {
            int64_t out = (size[k] + stride[k] - 1) / stride[k], total = (out - 1) * stride[k] + kernel[k] - size[k];
            if (total < 0) total = 0;
            pad[k] = upper ? total / 2 : total - total / 2;
            pad[k + 2] = total - pad[k];
        }
    }
    l->kh = (int)kernel[0], l->kw = (int)kernel[1], l->sh = (int)stride[0], l->sw = (int)stride[1];
    l->pt = (int)pad[0], l->pl = (int)pad[1], l->pb = (int)pad[2], l->pr = (int)pad[3];
    return OT_OK;
}

static ot_status lower_conv(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x, *w = onnx__input(r, node, 1);
    OT_TRY(input_layer(r, node, 0, &x));
    OT_TRY(four(r, node, x));
    if (!w || w->layer >= 0 || w->n_dims != 4) NODE_FAIL(OT_E_UNSUPPORTED, "weights are not a constant of 4 dimensions");
    const ot_layer *in = ot_network_layer(r->net, x->layer);
    int64_t groups = onnx__int(node, "group", 1);
    if (groups < 1 || groups > in->c || in->c % groups || w->dims[0] < 1 || w->dims[0] > 1 << 20 || w->dims[1] != in->c / groups || w->dims[2] < 1 || w->dims[3] < 1)
        NODE_FAIL(OT_E_SHAPE, "weights (%lld, %lld, %lld, %lld) in %lld groups on %d channels", (long long)w->dims[0], (long long)w->dims[1], (long long)w->dims[2],
                  (long long)w->dims[3], (long long)groups, in->c);
    ot_layer l = {.op = OT_OP_CONV, .in = {x->layer, -1}, .c = (int)w->dims[0], .groups = (int)groups};
    OT_TRY(window(r, node, &l, in, (int)w->dims[2], (int)w->dims[3]));
    ot_status st = floats(r, node, 1, "weight", 0, &l.weight);
    if (st == OT_OK && node->n_input > 2 && *node->input[2]) st = floats(r, node, 2, "bias", l.c, &l.bias);
    if (st == OT_OK) st = add(r, node, &l, 4);
    ot_free(l.weight);
    ot_free(l.bias);
    return st;
}

/* Gemm, and MatMul with a constant: weights to (out, in). */
static ot_status lower_dense(onnx_reader *r, const Onnx__NodeProto *node, int gemm)
{
    const onnx_value *x, *w = onnx__input(r, node, 1);
    OT_TRY(input_layer(r, node, 0, &x));
    if (x->rank != 2) NODE_FAIL(OT_E_UNSUPPORTED, "reads %d dimensions, want 2: (N, features)", x->rank);
    if (!w || w->layer >= 0 || w->n_dims != 2) NODE_FAIL(OT_E_UNSUPPORTED, "weights are not a constant of 2 dimensions");
    int trans = gemm && onnx__int(node, "transB", 0);
    double alpha = gemm ? (double)onnx__float(node, "alpha", 1) : 1, beta = gemm ? (double)onnx__float(node, "beta", 1) : 1;
    if (gemm && onnx__int(node, "transA", 0)) NODE_FAIL(OT_E_UNSUPPORTED, "transA = 1, want 0");
    int64_t out = w->dims[trans ? 0 : 1], in = w->dims[trans ? 1 : 0];
    const ot_layer *from = ot_network_layer(r->net, x->layer);
    if (in != from->c || out < 1 || out > 1 << 24) NODE_FAIL(OT_E_SHAPE, "weights (%lld, %lld) on %d features", (long long)w->dims[0], (long long)w->dims[1], from->c);
    ot_layer l = {.op = OT_OP_DENSE, .in = {x->layer, -1}, .c = (int)out};
    float *raw = NULL, *turned = ot_alloc((size_t)w->count, sizeof *turned), *bias = NULL;
    ot_status st = turned ? floats(r, node, 1, "weight", 0, &raw) : onnx__fail(r, node, OT_E_NOMEM, "no memory for %lld numbers", (long long)w->count);
    if (st == OT_OK)
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++) turned[o * in + i] = (float)(alpha * (double)raw[trans ? o * in + i : i * out + o]);
    const onnx_value *c = gemm && node->n_input > 2 && *node->input[2] ? onnx__input(r, node, 2) : NULL;
    if (st == OT_OK && gemm && node->n_input > 2 && *node->input[2]) {
        if (!c || c->layer >= 0 || (c->count != 1 && c->count != out)) st = onnx__fail(r, node, OT_E_UNSUPPORTED, "the bias is not a constant of 1 or %lld numbers", (long long)out);
        else st = floats(r, node, 2, "bias", 0, &bias);
        if (st == OT_OK && !(l.bias = ot_alloc((size_t)out, sizeof *l.bias))) st = onnx__fail(r, node, OT_E_NOMEM, "no memory for %lld numbers", (long long)out);
        for (int64_t o = 0; st == OT_OK && o < out; o++) l.bias[o] = (float)(beta * (double)bias[c->count == 1 ? 0 : o]);
    }
    l.weight = turned;
    if (st == OT_OK) st = add(r, node, &l, 2);
    ot_free(raw);
    ot_free(turned);
    ot_free(bias);
    ot_free(l.bias);
    return st;
}

static ot_status lower_batch_norm(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x;
    OT_TRY(input_layer(r, node, 0, &x));
    int c = ot_network_layer(r->net, x->layer)->c;
    ot_layer l = {.op = OT_OP_BATCH_NORM, .in = {x->layer, -1}, .eps = onnx__float(node, "epsilon", 1e-5f)};
    float **to[4] = {&l.gamma, &l.beta, &l.mean, &l.var};
    static const char *const what[4] = {"scale", "bias", "mean", "var"};
    ot_status st = OT_OK;
    for (size_t k = 0; k < 4 && st == OT_OK; k++) st = floats(r, node, k + 1, what[k], c, to[k]);
    if (st == OT_OK && onnx__int(node, "training_mode", 0))
        st = ot__network_warn(r->net, "batch norm '%s' was exported in training mode; its running statistics are used", node->name ? node->name : node->output[0]);
    if (st == OT_OK) st = add(r, node, &l, x->rank);
    for (int k = 0; k < 4; k++) ot_free(*to[k]);
    return st;
}

static ot_status lower_clip(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x, *v[2] = {onnx__input(r, node, 1), onnx__input(r, node, 2)};
    double bound[2] = {(double)onnx__float(node, "min", -INFINITY), (double)onnx__float(node, "max", INFINITY)};
    OT_TRY(input_layer(r, node, 0, &x));
    for (int k = 0; k < 2; k++) {
        if (node->n_input > (size_t)k + 1 && *node->input[k + 1] && (!v[k] || v[k]->layer >= 0 || v[k]->count != 1)) NODE_FAIL(OT_E_UNSUPPORTED, "a bound that is not one constant");
        if (v[k]) bound[k] = v[k]->whole ? (double)v[k]->i[0] : v[k]->f[0];
    }
    if (bound[0] != 0 || !(bound[1] > 0)) NODE_FAIL(OT_E_UNSUPPORTED, "clips to %g..%g, want 0..something positive (as ReLU6)", bound[0], bound[1]);
    ot_layer l = {.op = OT_OP_RELU, .in = {x->layer, -1}, .clip = bound[1] > 3e38 ? INFINITY : (float)bound[1]};
    return add(r, node, &l, x->rank);
}

static ot_status lower_pool(onnx_reader *r, const Onnx__NodeProto *node, ot_op op)
{
    const onnx_value *x;
    OT_TRY(input_layer(r, node, 0, &x));
    OT_TRY(four(r, node, x));
    if (node->n_output > 1 && *node->output[1]) NODE_FAIL(OT_E_UNSUPPORTED, "a second output, want one");
    ot_layer l = {.op = op, .in = {x->layer, -1}, .ceil_mode = onnx__int(node, "ceil_mode", 0) != 0, .count_pad = op == OT_OP_AVG_POOL && onnx__int(node, "count_include_pad", 0)};
    OT_TRY(window(r, node, &l, ot_network_layer(r->net, x->layer), 0, 0));
    return add(r, node, &l, 4);
}

static ot_status lower_mean(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x;
    int64_t axes[ONNX_RANK];
    int n, seen = 0;
    OT_TRY(input_layer(r, node, 0, &x));
    OT_TRY(four(r, node, x));
    OT_TRY(onnx__ints(r, node, node->n_input > 1 ? onnx__input(r, node, 1) : NULL, "axes", axes, ONNX_RANK, &n));
    for (int k = 0; k < n; k++) seen |= axes[k] >= -4 && axes[k] < 4 ? 1 << (axes[k] & 3) : 16;
    if (seen != (4 | 8)) NODE_FAIL(OT_E_UNSUPPORTED, "a mean over other axes than height and width");
    int keep = onnx__int(node, "keepdims", 1) != 0;
    ot_layer l = {.op = OT_OP_GLOBAL_AVG, .in = {x->layer, -1}};
    return add(r, node, &l, keep ? 4 : 2);
}

int onnx__readers(const onnx_reader *r, const char *name)
{
    int n = 0;
    for (size_t i = 0; i < r->graph->n_node; i++)
        for (size_t k = 0; k < r->graph->node[i]->n_input; k++) n += !strcmp(r->graph->node[i]->input[k], name);
    return n;
}

static ot_status lower_add(onnx_reader *r, const Onnx__NodeProto *node, int sign)
{
    const onnx_value *a = onnx__input(r, node, 0), *b = onnx__input(r, node, 1);
    if (!a || !b) NODE_FAIL(OT_E_FORMAT, "reads '%s', which nothing before it makes", node->n_input > 1 ? node->input[a ? 1 : 0] : "nothing");
    if (a->layer >= 0 && b->layer >= 0) {
        if (sign < 0) NODE_FAIL(OT_E_UNSUPPORTED, "subtracts two layers");
        const ot_layer *p = ot_network_layer(r->net, a->layer), *q = ot_network_layer(r->net, b->layer);
        if (p->c != q->c || p->h != q->h || p->w != q->w || a->rank != b->rank)
            NODE_FAIL(OT_E_UNSUPPORTED, "adds (%d, %d, %d) and (%d, %d, %d), want equal shapes", p->c, p->h, p->w, q->c, q->h, q->w);
        ot_layer l = {.op = OT_OP_ADD, .in = {a->layer, b->layer}};
        return add(r, node, &l, a->rank);
    }
    if (sign < 0 && a->layer < 0) NODE_FAIL(OT_E_UNSUPPORTED, "subtracts a layer from a constant");
    int constant = a->layer < 0;
    const onnx_value *x = constant ? b : a;
    float *bias;
    OT_TRY(per_channel(r, node, constant ? 0 : 1, x, &bias));
    ot_layer *from = &r->net->layers[x->layer];
    for (int i = 0; sign < 0 && i < from->c; i++) bias[i] = -bias[i];
    if (from->op == OT_OP_DENSE && !from->bias && sign > 0 && onnx__readers(r, x->name) == 1) {        /* MatMul + Add: one dense layer */
        from->bias = bias;
        return alias(r, node, x, x->rank);
    }
    ot_layer l = {.op = OT_OP_BIAS, .in = {x->layer, -1}, .bias = bias};
    ot_status st = add(r, node, &l, x->rank);
    ot_free(bias);
    return st;
}

/* A product with constants is batch norm without statistics: digital, per channel. */
static ot_status lower_mul(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *a = onnx__input(r, node, 0), *b = onnx__input(r, node, 1);
    if (!a || !b || (a->layer >= 0) == (b->layer >= 0)) NODE_FAIL(OT_E_UNSUPPORTED, "want a layer times a constant");
    const onnx_value *x = a->layer < 0 ? b : a;
    size_t c = (size_t)ot_network_layer(r->net, x->layer)->c;
    ot_layer l = {.op = OT_OP_BATCH_NORM, .in = {x->layer, -1}};
    ot_status st = per_channel(r, node, a->layer < 0 ? 0 : 1, x, &l.gamma);
    if (st == OT_OK && (!(l.beta = ot_alloc(c, sizeof(float))) || !(l.mean = ot_alloc(c, sizeof(float))) || !(l.var = ot_alloc(c, sizeof(float)))))
        st = onnx__fail(r, node, OT_E_NOMEM, "no memory for %zu numbers", 3 * c);
    for (size_t i = 0; st == OT_OK && i < c; i++) l.var[i] = 1;
    if (st == OT_OK) st = add(r, node, &l, x->rank);
    ot_free(l.gamma);
    ot_free(l.beta);
    ot_free(l.mean);
    ot_free(l.var);
    return st;
}

static ot_status to_shape(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x, int c, int h, int w, int rank)
{
    const ot_layer *in = ot_network_layer(r->net, x->layer);
    if (in->c == c && in->h == h && in->w == w) return alias(r, node, x, rank);
    ot_layer l = {.op = OT_OP_RESHAPE, .in = {x->layer, -1}, .c = c, .h = h, .w = w};
    return add(r, node, &l, rank);
}

static ot_status lower_flatten(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x;
    OT_TRY(input_layer(r, node, 0, &x));
    int64_t axis = onnx__int(node, "axis", 1);
    if (axis != 1 && axis != 1 - x->rank) NODE_FAIL(OT_E_UNSUPPORTED, "flattens from axis %lld, want 1", (long long)axis);
    const ot_layer *in = ot_network_layer(r->net, x->layer);
    return to_shape(r, node, x, in->c * in->h * in->w, 1, 1, 2);
}

static ot_status lower_reshape(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x;
    int64_t d[ONNX_RANK];
    int n, rest = -1;
    OT_TRY(input_layer(r, node, 0, &x));
    OT_TRY(onnx__ints(r, node, onnx__input(r, node, 1), "shape", d, ONNX_RANK, &n));
    const ot_layer *in = ot_network_layer(r->net, x->layer);
    int64_t total = (int64_t)in->c * in->h * in->w, known = 1;
    const int64_t old[4] = {ONNX_BATCH, in->c, in->h, in->w};
    if (n != 2 && n != 4) NODE_FAIL(OT_E_UNSUPPORTED, "reshapes to %d dimensions, want 2 or 4", n);
    for (int k = 1; k < n; k++) {
        if (d[k] == 0 && k < x->rank) d[k] = x->rank == 2 ? total : old[k];
        if (d[k] == -1 && rest < 0) { rest = k; continue; }
        if (d[k] < 1 || d[k] > OT_MAX_IMAGE) NODE_FAIL(OT_E_UNSUPPORTED, "reshapes to dimension %lld", (long long)d[k]);
        known *= d[k];
        if (known > OT_MAX_IMAGE) NODE_FAIL(OT_E_FORMAT, "reshapes to more than %d elements", OT_MAX_IMAGE);
    }
    if (rest >= 0) d[rest] = total / known, known *= d[rest];
    if (known != total) NODE_FAIL(OT_E_UNSUPPORTED, "reshapes images of %lld elements to %lld: the batch may not change", (long long)total, (long long)known);
    return to_shape(r, node, x, (int)d[1], n == 4 ? (int)d[2] : 1, n == 4 ? (int)d[3] : 1, n);
}

static ot_status lower_squeeze(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x;
    OT_TRY(input_layer(r, node, 0, &x));
    const ot_layer *in = ot_network_layer(r->net, x->layer);
    if (x->rank != 4 || in->h != 1 || in->w != 1) NODE_FAIL(OT_E_UNSUPPORTED, "squeezes (%d, %d, %d), want height and width 1", in->c, in->h, in->w);
    return alias(r, node, x, 2);
}

static ot_status lower_pad(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x, *value = onnx__input(r, node, 2);
    int64_t pads[2 * ONNX_RANK], axes[ONNX_RANK];
    int n, n_axes;
    OT_TRY(input_layer(r, node, 0, &x));
    OT_TRY(four(r, node, x));
    OT_TRY(onnx__ints(r, node, node->n_input > 1 ? onnx__input(r, node, 1) : NULL, "pads", pads, 2 * ONNX_RANK, &n));
    OT_TRY(onnx__ints(r, node, onnx__input(r, node, 3), "axes", axes, ONNX_RANK, &n_axes));
    const Onnx__AttributeProto *mode = onnx__attribute(node, "mode");
    if (mode && mode->has_s && (mode->s.len != 8 || memcmp(mode->s.data, "constant", 8))) NODE_FAIL(OT_E_UNSUPPORTED, "mode '%.*s', want constant", (int)mode->s.len, (const char *)mode->s.data);
    if (!n_axes)
        for (int k = 0; k < 4; k++) axes[n_axes++] = k;
    if (n != 2 * n_axes) NODE_FAIL(OT_E_FORMAT, "%d pads, want %d", n, 2 * n_axes);
    if (value && (value->layer >= 0 || value->count != 1)) NODE_FAIL(OT_E_UNSUPPORTED, "a padding value that is not one constant");
    ot_layer l = {.op = OT_OP_PAD, .in = {x->layer, -1}, .pad_value = value ? (float)(value->whole ? (double)value->i[0] : value->f[0]) : onnx__float(node, "value", 0)};
    int any = 0;
    for (int k = 0; k < n_axes; k++) {
        int64_t a = axes[k] < 0 ? axes[k] + 4 : axes[k];
        if (a < 0 || a > 3 || pads[k] < 0 || pads[k + n_axes] < 0 || pads[k] > 65536 || pads[k + n_axes] > 65536 || (a == 0 && (pads[k] || pads[k + n_axes])))
            NODE_FAIL(OT_E_UNSUPPORTED, "pads axis %lld by %lld and %lld, want channels, height or width by 0..65536", (long long)axes[k], (long long)pads[k], (long long)pads[k + n_axes]);
        if (a) l.pad_before[a - 1] = (int)pads[k], l.pad_after[a - 1] = (int)pads[k + n_axes];
        any |= pads[k] || pads[k + n_axes];
    }
    return any ? add(r, node, &l, 4) : alias(r, node, x, 4);
}

static ot_status lower_slice(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x;
    int64_t start[ONNX_RANK], end[ONNX_RANK], axes[ONNX_RANK], steps[ONNX_RANK];
    int n, n_end, n_axes, n_steps, inputs = node->n_input > 1;
    OT_TRY(input_layer(r, node, 0, &x));
    OT_TRY(four(r, node, x));
    OT_TRY(onnx__ints(r, node, inputs ? onnx__input(r, node, 1) : NULL, "starts", start, ONNX_RANK, &n));
    OT_TRY(onnx__ints(r, node, inputs ? onnx__input(r, node, 2) : NULL, "ends", end, ONNX_RANK, &n_end));
    OT_TRY(onnx__ints(r, node, inputs ? onnx__input(r, node, 3) : NULL, "axes", axes, ONNX_RANK, &n_axes));
    OT_TRY(onnx__ints(r, node, inputs ? onnx__input(r, node, 4) : NULL, "steps", steps, ONNX_RANK, &n_steps));
    if (n != n_end || (n_axes && n_axes != n) || (n_steps && n_steps != n) || n > 4) NODE_FAIL(OT_E_FORMAT, "%d starts, %d ends, %d axes, %d steps", n, n_end, n_axes, n_steps);
    const ot_layer *in = ot_network_layer(r->net, x->layer);
    const int size[3] = {in->c, in->h, in->w};
    ot_layer l = {.op = OT_OP_SLICE, .in = {x->layer, -1}, .c = in->c, .h = in->h, .w = in->w, .slice_step = {1, 1, 1}};
    int *count[3] = {&l.c, &l.h, &l.w};
    for (int k = 0; k < n; k++) {
        int64_t a = n_axes ? axes[k] : k, s = n_steps ? steps[k] : 1;
        if (a < 0) a += 4;
        if (a < 0 || a > 3) NODE_FAIL(OT_E_FORMAT, "axis %lld", (long long)axes[k]);
        if (a == 0) {
            if (start[k] != 0 || s != 1 || end[k] < INT32_MAX) NODE_FAIL(OT_E_UNSUPPORTED, "slices the batch");
            continue;
        }
        int64_t dim = size[a - 1], from = start[k] < 0 ? start[k] + dim : start[k], to = end[k] < 0 ? end[k] + dim : end[k];
        if (from < 0) from = 0;
        if (to > dim) to = dim;
        if (s < 1 || s > OT_MAX_ELEMENTS || from >= to) NODE_FAIL(OT_E_UNSUPPORTED, "slice %lld:%lld:%lld of %lld, want something left and a positive step", (long long)start[k], (long long)end[k], (long long)s, (long long)dim);
        l.slice_start[a - 1] = (int)from;
        l.slice_step[a - 1] = (int)s;
        *count[a - 1] = (int)((to - from + s - 1) / s);
    }
    return add(r, node, &l, 4);
}

/* ohmtrim::IF */
static ot_status lower_spike(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x;
    OT_TRY(input_layer(r, node, 0, &x));
    if (node->n_input != 1 || node->n_output != 1) NODE_FAIL(OT_E_FORMAT, "%zu inputs and %zu outputs, want 1 and 1", node->n_input, node->n_output);
    const Onnx__AttributeProto *reset = onnx__attribute(node, "reset");
    ot_layer l = {.op = OT_OP_SPIKE, .in = {x->layer, -1}, .threshold = onnx__float(node, "threshold", NAN), .leak = onnx__float(node, "leak", 1)};
    if (isnan(l.threshold)) NODE_FAIL(OT_E_FORMAT, "no threshold, want attribute 'threshold', a float above 0");
    if (reset && reset->has_s) {
        int k = 0;
        while (k < OT_RESETS && (strlen(ot__reset_names[k]) != reset->s.len || memcmp(ot__reset_names[k], reset->s.data, reset->s.len))) k++;
        if (k == OT_RESETS) NODE_FAIL(OT_E_FORMAT, "reset '%.*s', want subtract, fixed, zero or once", (int)(reset->s.len < 40 ? reset->s.len : 40), (const char *)reset->s.data);
        l.reset = (ot_reset)k;
    }
    if (l.reset == OT_RESET_FIXED) l.u_rst = onnx__float(node, "u_rst", NAN);
    return add(r, node, &l, x->rank);
}

ot_status onnx__lower(onnx_reader *r, const Onnx__NodeProto *node)
{
    const char *op = node->op_type;
    const onnx_value *x;
    if (node->domain && !strcmp(node->domain, OT_ONNX_DOMAIN)) return lower_spike(r, node);
    if (!strcmp(op, "Conv")) return lower_conv(r, node);
    if (!strcmp(op, "Gemm")) return lower_dense(r, node, 1);
    if (!strcmp(op, "MatMul")) return lower_dense(r, node, 0);
    if (!strcmp(op, "BatchNormalization")) return lower_batch_norm(r, node);
    if (!strcmp(op, "Clip")) return lower_clip(r, node);
    if (!strcmp(op, "QuantizeLinear")) return onnx__lower_quantise(r, node);
    if (!strcmp(op, "DequantizeLinear")) return onnx__lower_dequantise(r, node);
    if (!strcmp(op, "MaxPool")) return lower_pool(r, node, OT_OP_MAX_POOL);
    if (!strcmp(op, "AveragePool")) return lower_pool(r, node, OT_OP_AVG_POOL);
    if (!strcmp(op, "ReduceMean")) return lower_mean(r, node);
    if (!strcmp(op, "Add")) return lower_add(r, node, 1);
    if (!strcmp(op, "Sub")) return lower_add(r, node, -1);
    if (!strcmp(op, "Mul")) return lower_mul(r, node);
    if (!strcmp(op, "Flatten")) return lower_flatten(r, node);
    if (!strcmp(op, "Reshape")) return lower_reshape(r, node);
    if (!strcmp(op, "Squeeze")) return lower_squeeze(r, node);
    if (!strcmp(op, "Pad")) return lower_pad(r, node);
    if (!strcmp(op, "Slice")) return lower_slice(r, node);
    int relu = !strcmp(op, "Relu"), global = !strcmp(op, "GlobalAveragePool"), same = !strcmp(op, "Identity") || !strcmp(op, "Dropout");
    if (!relu && !global && !same) NODE_FAIL(OT_E_UNSUPPORTED, "this operator is not supported (docs/onnx.md lists those that are)");
    OT_TRY(input_layer(r, node, 0, &x));
    if (same) return alias(r, node, x, x->rank);
    if (global) OT_TRY(four(r, node, x));
    ot_layer l = {.op = relu ? OT_OP_RELU : OT_OP_GLOBAL_AVG, .in = {x->layer, -1}, .clip = INFINITY};
    return add(r, node, &l, x->rank);
}

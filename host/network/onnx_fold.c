/* onnx_fold.c - the small integer sub-graphs that exporters write around Reshape, Pad and Slice, folded to constants. */
#include "onnx.h"

#include <math.h>
#include <string.h>

/* What is folded from nothing or by repeating is small in real files; large constants are only moved. */
enum { INPUTS = 16, MAX_MADE = 1 << 20 };

static double number(const onnx_value *v, int64_t k) { return v->whole ? (double)v->i[k] : v->f[k]; }
static void store(onnx_value *v, int64_t k, double x)
{
    if (v->whole) v->i[k] = (int64_t)x;
    else v->f[k] = x;
}
static void copy_one(onnx_value *to, int64_t k, const onnx_value *from, int64_t j)
{
    if (to->whole && from->whole) to->i[k] = from->i[j];
    else store(to, k, number(from, j));
}

static ot_status made(onnx_reader *r, const Onnx__NodeProto *node, onnx_value **out, int whole, int n_dims, const int64_t *dims)
{
    return onnx__new_constant(r, out, node->output[0], whole, n_dims, dims);
}

static ot_status axis_of(onnx_reader *r, const Onnx__NodeProto *node, int64_t otherwise, int n_dims, int *axis)
{
    int64_t a = onnx__int(node, "axis", otherwise);
    if (a < 0) a += n_dims;
    if (a < 0 || a >= n_dims) NODE_FAIL(OT_E_FORMAT, "axis %lld of a constant with %d dimensions", (long long)a, n_dims);
    *axis = (int)a;
    return OT_OK;
}

static ot_status fold_shape(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x)
{
    int64_t dims[ONNX_RANK];
    int rank = x->layer < 0 ? x->n_dims : x->rank;
    for (int k = 0; x->layer < 0 && k < rank; k++) dims[k] = x->dims[k];
    if (x->layer >= 0) {
        const ot_layer *l = ot_network_layer(r->net, x->layer);
        dims[0] = ONNX_BATCH;
        dims[1] = rank == 2 ? (int64_t)l->c * l->h * l->w : l->c;
        dims[2] = l->h;
        dims[3] = l->w;
    }
    int64_t start = onnx__int(node, "start", 0), end = onnx__int(node, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end > rank ? rank : end;
    if (start < 0 || start > end) NODE_FAIL(OT_E_FORMAT, "start %lld, end %lld of %d dimensions", (long long)start, (long long)end, rank);
    onnx_value *v = NULL;
    OT_TRY(made(r, node, &v, 1, 1, (const int64_t[]){end - start}));
    memcpy(v->i, dims + start, (size_t)(end - start) * sizeof *dims);
    return OT_OK;
}

static ot_status fold_gather(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x, const onnx_value *index)
{
    int axis = 0;
    if (!index || !index->whole || x->n_dims < 1) NODE_FAIL(OT_E_UNSUPPORTED, "want whole numbers as indices of a constant with dimensions");
    OT_TRY(axis_of(r, node, 0, x->n_dims, &axis));
    if (axis != 0 || x->n_dims + index->n_dims - 1 > ONNX_RANK) NODE_FAIL(OT_E_UNSUPPORTED, "gathers along axis %d, want 0", axis);
    int64_t dims[2 * ONNX_RANK], row = x->dims[0] ? x->count / x->dims[0] : 0;
    int n = 0;
    for (int k = 0; k < index->n_dims; k++) dims[n++] = index->dims[k];
    for (int k = 1; k < x->n_dims; k++) dims[n++] = x->dims[k];
    onnx_value *v, from = *x, at = *index;                             /* copies: the table may move */
    if ((double)at.count * (double)row > MAX_MADE && at.count * row > from.count) NODE_FAIL(OT_E_UNSUPPORTED, "gathers %lld rows of %lld numbers, want at most %d in all", (long long)at.count, (long long)row, MAX_MADE);
    OT_TRY(made(r, node, &v, from.whole, n, dims));
    for (int64_t k = 0; k < at.count; k++) {
        int64_t i = at.i[k] < 0 ? at.i[k] + from.dims[0] : at.i[k];
        if (i < 0 || i >= from.dims[0]) NODE_FAIL(OT_E_FORMAT, "index %lld of %lld", (long long)at.i[k], (long long)from.dims[0]);
        for (int64_t j = 0; j < row; j++) copy_one(v, k * row + j, &from, i * row + j);
    }
    return OT_OK;
}

static ot_status fold_concat(onnx_reader *r, const Onnx__NodeProto *node)
{
    onnx_value in[INPUTS], *v;
    int whole = 1;
    int64_t n = 0;
    if (node->n_input > INPUTS) NODE_FAIL(OT_E_UNSUPPORTED, "joins %zu constants, want at most %d", node->n_input, INPUTS);
    for (size_t k = 0; k < node->n_input; k++) {
        in[k] = *onnx__input(r, node, k);
        if (in[k].n_dims != 1) NODE_FAIL(OT_E_UNSUPPORTED, "joins constants of %d dimensions, want 1", in[k].n_dims);
        whole &= in[k].whole;
        n += in[k].count;
    }
    OT_TRY(made(r, node, &v, whole, 1, &n));
    int64_t at = 0;
    for (size_t k = 0; k < node->n_input; k++)
        for (int64_t j = 0; j < in[k].count; j++) copy_one(v, at++, &in[k], j);
    return OT_OK;
}

/* The same numbers in another shape; -1 is what is left, 0 the old one. */
static ot_status fold_shaped(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x, const int64_t *dims, int n)
{
    onnx_value from = *x, *v;
    int64_t d[ONNX_RANK], known = 1;
    int rest = -1;
    for (int k = 0; k < n; k++) {
        d[k] = dims[k] == 0 && k < from.n_dims ? from.dims[k] : dims[k];
        if (d[k] == -1 && rest < 0) rest = k;
        else if (d[k] < 0) NODE_FAIL(OT_E_FORMAT, "dimension %lld of a constant", (long long)d[k]);
        else if (__builtin_mul_overflow(known, d[k], &known)) NODE_FAIL(OT_E_FORMAT, "a shape too large");
    }
    if (rest >= 0) d[rest] = known ? from.count / known : 0, known *= d[rest];
    if (known != from.count) NODE_FAIL(OT_E_FORMAT, "%lld numbers into a shape of %lld", (long long)from.count, (long long)known);
    OT_TRY(made(r, node, &v, from.whole, n, d));
    for (int64_t k = 0; k < from.count; k++) copy_one(v, k, &from, k);
    return OT_OK;
}

static ot_status fold_axes(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x, int add)
{
    int64_t axes[ONNX_RANK], dims[2 * ONNX_RANK];
    int n_axes, n = 0, mark[2 * ONNX_RANK] = {0};
    OT_TRY(onnx__ints(r, node, onnx__input(r, node, 1), "axes", axes, ONNX_RANK, &n_axes));
    int rank = add ? x->n_dims + n_axes : x->n_dims;
    if (rank > ONNX_RANK) NODE_FAIL(OT_E_UNSUPPORTED, "a constant of %d dimensions, want at most %d", rank, ONNX_RANK);
    for (int k = 0; k < n_axes; k++) {
        int64_t a = axes[k] < 0 ? axes[k] + rank : axes[k];
        if (a < 0 || a >= rank || mark[a]) NODE_FAIL(OT_E_FORMAT, "axis %lld of %d dimensions", (long long)axes[k], rank);
        mark[a] = 1;
    }
    if (add)
        for (int k = 0, from = 0; k < rank; k++) dims[n++] = mark[k] ? 1 : x->dims[from++];
    else
        for (int k = 0; k < rank; k++)
            if (n_axes ? !mark[k] : x->dims[k] != 1) dims[n++] = x->dims[k];
    return fold_shaped(r, node, x, dims, n);
}

static ot_status fold_slice(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x)
{
    int64_t start[ONNX_RANK], end[ONNX_RANK], axes[ONNX_RANK], steps[ONNX_RANK];
    int n, n_end, n_axes, n_steps, inputs = node->n_input > 1;
    OT_TRY(onnx__ints(r, node, inputs ? onnx__input(r, node, 1) : NULL, "starts", start, ONNX_RANK, &n));
    OT_TRY(onnx__ints(r, node, inputs ? onnx__input(r, node, 2) : NULL, "ends", end, ONNX_RANK, &n_end));
    OT_TRY(onnx__ints(r, node, inputs ? onnx__input(r, node, 3) : NULL, "axes", axes, ONNX_RANK, &n_axes));
    OT_TRY(onnx__ints(r, node, inputs ? onnx__input(r, node, 4) : NULL, "steps", steps, ONNX_RANK, &n_steps));
    if (n != 1 || n_end != 1 || (n_axes && axes[0] != 0 && axes[0] != -x->n_dims) || x->n_dims < 1)
        NODE_FAIL(OT_E_UNSUPPORTED, "slices a constant along %d axes, want the first alone", n);
    int64_t size = x->dims[0], s = n_steps ? steps[0] : 1, from = start[0], to = end[0], row = size ? x->count / size : 0;
    if (s == 0 || s < -OT_MAX_ELEMENTS || s > OT_MAX_ELEMENTS) NODE_FAIL(OT_E_FORMAT, "step %lld", (long long)s);
    if (from < 0) from += size;
    if (to < 0 && to >= -size) to += size;
    else if (to < 0) to = -1;
    int64_t low = s > 0 ? 0 : -1, high = s > 0 ? size : size - 1;
    from = from < (s > 0 ? 0 : -1) ? (s > 0 ? 0 : -1) : from > high ? high : from;
    to = to < low ? low : to > (s > 0 ? size : size - 1) ? (s > 0 ? size : size - 1) : to;
    int64_t count = s > 0 ? (to > from ? (to - from + s - 1) / s : 0) : (from > to ? (from - to - s - 1) / -s : 0);
    int64_t dims[ONNX_RANK];
    onnx_value src = *x, *v;
    memcpy(dims, src.dims, sizeof dims);
    dims[0] = count;
    OT_TRY(made(r, node, &v, src.whole, src.n_dims, dims));
    for (int64_t k = 0; k < count; k++)
        for (int64_t j = 0; j < row; j++) copy_one(v, k * row + j, &src, (from + k * s) * row + j);
    return OT_OK;
}

static ot_status fold_transpose(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x)
{
    int64_t perm[ONNX_RANK], dims[ONNX_RANK];
    int n, rank = x->n_dims, seen = 0;
    OT_TRY(onnx__ints(r, node, NULL, "perm", perm, ONNX_RANK, &n));
    for (int k = 0; n == 0 && k < rank; k++) perm[k] = rank - 1 - k;
    if (n && n != rank) NODE_FAIL(OT_E_FORMAT, "perm of %d for %d dimensions", n, rank);
    for (int k = 0; k < rank; k++) {
        if (perm[k] < 0 || perm[k] >= rank || seen >> perm[k] & 1) NODE_FAIL(OT_E_FORMAT, "perm[%d] = %lld", k, (long long)perm[k]);
        seen |= 1 << perm[k];
        dims[k] = x->dims[perm[k]];
    }
    onnx_value from = *x, *v;
    OT_TRY(made(r, node, &v, from.whole, rank, dims));
    int64_t at[ONNX_RANK] = {0}, stride[ONNX_RANK], step = 1;
    for (int k = rank - 1; k >= 0; k--) stride[k] = step, step *= from.dims[k];
    for (int64_t i = 0; i < from.count; i++) {
        int64_t j = 0;
        for (int k = 0; k < rank; k++) j += at[k] * stride[perm[k]];
        copy_one(v, i, &from, j);
        for (int k = rank - 1; k >= 0 && ++at[k] == dims[k]; k--) at[k] = 0;
    }
    return OT_OK;
}

static ot_status fold_arithmetic(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *a, const onnx_value *b, char op)
{
    onnx_value x = *a, y = *b, *v;
    if (x.count != y.count && x.count != 1 && y.count != 1) NODE_FAIL(OT_E_UNSUPPORTED, "constants of %lld and %lld numbers", (long long)x.count, (long long)y.count);
    const onnx_value *shape = x.count == 1 && (y.count != 1 || y.n_dims > x.n_dims) ? &y : &x;
    OT_TRY(made(r, node, &v, x.whole && y.whole, shape->n_dims, shape->dims));
    for (int64_t k = 0; k < v->count; k++) {
        int64_t i = x.count == 1 ? 0 : k, j = y.count == 1 ? 0 : k;
        if (v->whole) {
            int64_t p = x.i[i], q = y.i[j], out = 0;
            if (p == ONNX_BATCH || q == ONNX_BATCH) NODE_FAIL(OT_E_UNSUPPORTED, "arithmetic with the batch size, which may be anything");
            if (op == '/' && (q == 0 || q == -1)) NODE_FAIL(OT_E_FORMAT, "divides by %lld", (long long)q);
            int over = op == '+' ? __builtin_add_overflow(p, q, &out) : op == '-' ? __builtin_sub_overflow(p, q, &out) : op == '*' ? __builtin_mul_overflow(p, q, &out) : (out = p / q, 0);
            if (over) NODE_FAIL(OT_E_FORMAT, "%lld %c %lld is too large", (long long)p, op, (long long)q);
            v->i[k] = out;
        } else {
            double p = number(&x, i), q = number(&y, j);
            v->f[k] = op == '+' ? p + q : op == '-' ? p - q : op == '*' ? p * q : p / q;
        }
    }
    return OT_OK;
}

static ot_status fold_filled(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *shape)
{
    int64_t dims[ONNX_RANK];
    int n;
    const Onnx__AttributeProto *a = onnx__attribute(node, "value");
    OT_TRY(onnx__ints(r, node, shape, "shape", dims, ONNX_RANK, &n));
    double fill = 0, count = 1;
    int whole = 0;
    for (int k = 0; k < n; k++) count *= (double)dims[k];
    if (!(count <= MAX_MADE)) NODE_FAIL(OT_E_UNSUPPORTED, "a constant of %.0f numbers, want at most %d", count, MAX_MADE);
    if (a && a->t) {
        onnx_value *t;
        OT_TRY(onnx__tensor(r, node->output[0], a->t));
        t = &r->values[--r->n_values];                                 /* read for its one number only */
        fill = t->count ? number(t, 0) : 0;
        whole = t->whole;
        ot_free(t->i);
        ot_free(t->f);
    }
    onnx_value *v = NULL;
    OT_TRY(made(r, node, &v, whole, n, dims));
    for (int64_t k = 0; k < v->count; k++) store(v, k, fill);
    return OT_OK;
}

static ot_status fold_cast(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *x)
{
    int64_t to = onnx__int(node, "to", 0);
    int whole = to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && to != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE && to != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
    onnx_value from = *x, *v;
    OT_TRY(made(r, node, &v, whole, from.n_dims, from.dims));
    for (int64_t k = 0; k < from.count; k++) {
        if (whole && !from.whole && !(fabs(from.f[k]) < 0x1p62)) NODE_FAIL(OT_E_FORMAT, "casts %g to a whole number", from.f[k]);
        copy_one(v, k, &from, k);
    }
    return OT_OK;
}

static ot_status fold_constant(onnx_reader *r, const Onnx__NodeProto *node)
{
    const Onnx__AttributeProto *a = node->n_attribute ? node->attribute[0] : NULL;
    const char *name = a && a->name ? a->name : "";
    onnx_value *v = NULL;
    if (!strcmp(name, "value") && a->t) return onnx__tensor(r, node->output[0], a->t);
    if (!strcmp(name, "value_int") || !strcmp(name, "value_float")) {
        OT_TRY(made(r, node, &v, name[6] == 'i', 0, NULL));
        store(v, 0, 0);
        if (v->whole) v->i[0] = a->i;
        else v->f[0] = (double)a->f;
        return OT_OK;
    }
    if (!strcmp(name, "value_ints") || !strcmp(name, "value_floats")) {
        int whole = name[6] == 'i';
        int64_t n = (int64_t)(whole ? a->n_ints : a->n_floats);
        OT_TRY(made(r, node, &v, whole, 1, &n));
        for (int64_t k = 0; k < n; k++) {
            if (whole) v->i[k] = a->ints[k];
            else v->f[k] = (double)a->floats[k];
        }
        return OT_OK;
    }
    NODE_FAIL(OT_E_UNSUPPORTED, "attribute '%s', want value, value_int, value_ints, value_float or value_floats", name);
}

ot_status onnx__fold(onnx_reader *r, const Onnx__NodeProto *node, int *done)
{
    const char *op = node->op_type;
    *done = 1;
    if (!strcmp(op, "Constant")) return fold_constant(r, node);
    if (!strcmp(op, "Shape")) {
        const onnx_value *x = onnx__input(r, node, 0);
        if (!x) NODE_FAIL(OT_E_FORMAT, "has no input");
        return fold_shape(r, node, x);
    }
    *done = 0;
    for (size_t k = 0; k < node->n_input; k++) {
        const onnx_value *v = onnx__input(r, node, k);
        if (*node->input[k] && (!v || v->layer >= 0)) return OT_OK;
    }
    const onnx_value *x = onnx__input(r, node, 0), *y = onnx__input(r, node, 1);
    if (!x) return OT_OK;
    static const struct { const char *op; char sign; } arithmetic[] = {{"Add", '+'}, {"Sub", '-'}, {"Mul", '*'}, {"Div", '/'}};
    *done = 1;
    for (int k = 0; k < 4; k++)
        if (!strcmp(op, arithmetic[k].op) && y) return fold_arithmetic(r, node, x, y, arithmetic[k].sign);
    if (!strcmp(op, "Identity")) return fold_shaped(r, node, x, x->dims, x->n_dims);
    if (!strcmp(op, "Gather")) return fold_gather(r, node, x, y);
    if (!strcmp(op, "Concat")) return fold_concat(r, node);
    if (!strcmp(op, "Cast")) return fold_cast(r, node, x);
    if (!strcmp(op, "Unsqueeze")) return fold_axes(r, node, x, 1);
    if (!strcmp(op, "Squeeze")) return fold_axes(r, node, x, 0);
    if (!strcmp(op, "Slice")) return fold_slice(r, node, x);
    if (!strcmp(op, "Transpose")) return fold_transpose(r, node, x);
    if (!strcmp(op, "ConstantOfShape")) return fold_filled(r, node, x);
    if (!strcmp(op, "Reshape") && y) {
        int64_t dims[ONNX_RANK];
        int n;
        OT_TRY(onnx__ints(r, node, y, "shape", dims, ONNX_RANK, &n));
        return fold_shaped(r, node, x, dims, n);
    }
    *done = 0;
    return OT_OK;
}

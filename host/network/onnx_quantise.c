/* onnx_quantise.c - quantised activations as ONNX has them: Relu or Clip, QuantizeLinear to uint8, DequantizeLinear.
 *
 *     u = Clip(x, 0, most)   code = saturate(rint(u / scale), 0..255)   y = code * scale        one ReLU layer with codes and step
 *
 * A quantiser of fewer than 255 codes is written with most = codes * scale, and that is how it is known again: codes = rint(most / scale).
 * Where the two agree the bound is the quantiser's own and the ReLU is read back without one. */
#include "onnx.h"

#include <math.h>
#include <string.h>

/* A scale that is one positive constant, and a zero point that is 0 or left out. */
static ot_status take_scale(onnx_reader *r, const Onnx__NodeProto *node, double *scale)
{
    const onnx_value *s = onnx__input(r, node, 1), *zero = onnx__input(r, node, 2);
    if (!s || s->layer >= 0 || s->count != 1 || s->whole) NODE_FAIL(OT_E_UNSUPPORTED, "its scale is not one constant");
    if (!((float)s->f[0] > 0 && isfinite((float)s->f[0]))) NODE_FAIL(OT_E_DATA, "scale = %g, want a positive number", s->f[0]);
    if (node->n_input > 2 && *node->input[2] && (!zero || zero->layer >= 0 || zero->count != 1 || !zero->whole || zero->i[0] != 0))
        NODE_FAIL(OT_E_UNSUPPORTED, "its zero point is not the constant 0");
    *scale = s->f[0];
    return OT_OK;
}

/* uint8 codes: the default where there is no zero point, else its type; int8 ends at 127.  0: a type that is not known. */
static int most_code(const onnx_reader *r, const Onnx__NodeProto *node)
{
    if (node->n_input < 3 || !*node->input[2]) return 255;
    for (size_t i = 0; i < r->graph->n_initializer; i++) {
        const Onnx__TensorProto *t = r->graph->initializer[i];
        if (t->name && !strcmp(t->name, node->input[2])) return t->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__INT8 ? 127 : 255;
    }
    return 0;
}

ot_status onnx__lower_quantise(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x = onnx__input(r, node, 0);
    double step;
    if (!x || x->layer < 0 || x->step > 0) NODE_FAIL(OT_E_UNSUPPORTED, "want the output of a Relu or Clip");
    ot_layer *l = &r->net->layers[x->layer];
    OT_TRY(take_scale(r, node, &step));
    if (l->op != OT_OP_RELU || l->codes || onnx__readers(r, x->name) != 1)
        NODE_FAIL(OT_E_UNSUPPORTED, "quantises '%s', want the output of a Relu or Clip that nothing else reads", x->name);
    const double most = most_code(r, node);
    if (!(most > 0)) NODE_FAIL(OT_E_UNSUPPORTED, "its zero point is not an initialiser");
    const double codes = (double)l->clip < most * step ? rint((double)l->clip / step) : most;
    if (codes < 1) NODE_FAIL(OT_E_DATA, "scale = %g for numbers of 0..%g: every code is 0", step, (double)l->clip);
    OT_TRY(ot_network_quantise_relu(r->net, l->relu, (int)codes, step));
    if (fabs((double)l->clip - codes * step) <= 1e-6 * codes * step) l->clip = INFINITY;
    const int layer = x->layer, rank = x->rank;
    OT_TRY(onnx__new_layer(r, node->output[0], layer, rank));
    onnx__find(r, node->output[0])->step = step;
    return OT_OK;
}

ot_status onnx__lower_dequantise(onnx_reader *r, const Onnx__NodeProto *node)
{
    const onnx_value *x = onnx__input(r, node, 0);
    double step;
    if (!x || !(x->step > 0)) NODE_FAIL(OT_E_UNSUPPORTED, "want the codes of a QuantizeLinear");
    OT_TRY(take_scale(r, node, &step));
    if (step < x->step || step > x->step) NODE_FAIL(OT_E_UNSUPPORTED, "scale = %g, but the codes were made with %g", step, x->step);
    return onnx__new_layer(r, node->output[0], x->layer, x->rank);
}

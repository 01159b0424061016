/* lower.c - from layers to steps: what follows a heavy operation and is read by nothing else is fused onto it.
 *
 *     conv -> batch norm -> add -> relu      becomes one step with affine, res and relu set
 *
 * An addition is fused onto the operand that is computed last.  In training batch norm needs the whole minibatch's statistics
 * and nothing is fused. */
#include "impl.h"

static int sole_reader(const ot_network *net, int layer)
{
    int reader = -1;
    for (int i = layer + 1; i < ot_network_layers(net); i++) {
        const ot_layer *l = ot_network_layer(net, i);
        for (int k = 0; k < 2; k++)
            if (l->in[k] == layer) {
                if (reader >= 0) return -1;
                reader = i;
            }
    }
    return reader;
}

static ot_step_kind kind_of(ot_op op)
{
    switch (op) {
    case OT_OP_CONV: return OT_STEP_CONV;
    case OT_OP_DENSE: return OT_STEP_DENSE;
    case OT_OP_BATCH_NORM: case OT_OP_BIAS: return OT_STEP_AFFINE;
    case OT_OP_ADD: return OT_STEP_ADD;
    case OT_OP_RELU: return OT_STEP_RELU;
    case OT_OP_MAX_POOL: return OT_STEP_MAX_POOL;
    case OT_OP_AVG_POOL: return OT_STEP_AVG_POOL;
    case OT_OP_GLOBAL_AVG: return OT_STEP_GLOBAL_AVG;
    case OT_OP_PAD: return OT_STEP_PAD;
    case OT_OP_SLICE: return OT_STEP_SLICE;
    case OT_OP_RESHAPE: case OT_OP_INPUT: break;
    }
    return OT_STEP_RESHAPE;
}

static int is_affine(ot_op op) { return op == OT_OP_BATCH_NORM || op == OT_OP_BIAS; }

ot_status plan__lower(ot_plan *p)
{
    const ot_network *net = p->net;
    int n = ot_network_layers(net), train = p->opt.use == OT_PLAN_TRAIN;
    int *tensor = ot_alloc((size_t)n, sizeof *tensor);              /* of each layer's output; -1: not computed, or inside a fusion */
    p->steps = ot_alloc((size_t)n, sizeof *p->steps);
    p->tensors = ot_alloc((size_t)n, sizeof *p->tensors);
    if (!tensor || !p->steps || !p->tensors) {
        ot_free(tensor);
        OT_NOMEM(ot_network_name(net), (size_t)n * sizeof *p->steps);
    }
    for (int i = 0; i < n; i++) tensor[i] = -1;
    const ot_layer *in = ot_network_layer(net, 0);
    tensor[0] = 0;
    p->tensors[p->n_tensors++] = (plan_tensor){.shape = {in->c, in->h, in->w}, .first = -1, .last = -1};
    int *done = ot_alloc((size_t)n, sizeof *done);                  /* inside a fusion already */
    if (!done) {
        ot_free(tensor);
        OT_NOMEM(ot_network_name(net), (size_t)n * sizeof *done);
    }
    for (int i = 1; i < n; i++) {
        if (done[i]) continue;
        const ot_layer *l = ot_network_layer(net, i);
        const ot_layer *from = ot_network_layer(net, l->in[0]);
        plan_step *ps = &p->steps[p->n_steps];
        ot_step *s = &ps->step;
        *s = (ot_step){.kind = kind_of(l->op), .layer = l, .in = {from->c, from->h, from->w}, .out = {l->c, l->h, l->w}, .src = tensor[l->in[0]],
                       .res = l->op == OT_OP_ADD ? tensor[l->in[1]] : -1};
        int last = i, next;
        if (is_affine(l->op)) s->affine = l;
        if (l->op == OT_OP_RELU) s->relu = l;
        s->batch = train && l->op == OT_OP_BATCH_NORM;
        int heavy = l->op == OT_OP_CONV || l->op == OT_OP_DENSE;
        if (!train && heavy && (next = sole_reader(net, last)) >= 0 && is_affine(ot_network_layer(net, next)->op)) {
            s->affine = ot_network_layer(net, next);
            done[last = next] = 1;
        }
        if (!train && heavy && (next = sole_reader(net, last)) >= 0 && ot_network_layer(net, next)->op == OT_OP_ADD) {
            const ot_layer *add = ot_network_layer(net, next);
            int other = add->in[0] == last ? add->in[1] : add->in[0];
            if (tensor[other] >= 0 && tensor[other] != s->src) {
                s->res = tensor[other];
                done[last = next] = 1;
            }
        }
        if (!train && (heavy || s->affine || l->op == OT_OP_ADD) && (next = sole_reader(net, last)) >= 0 && ot_network_layer(net, next)->op == OT_OP_RELU) {
            s->relu = ot_network_layer(net, next);
            done[last = next] = 1;
        }
        s->dst = tensor[last] = p->n_tensors;
        p->tensors[p->n_tensors++] = (plan_tensor){.shape = s->out, .first = p->n_steps, .last = p->n_steps};
        p->tensors[s->src].last = p->n_steps;
        if (s->res >= 0) p->tensors[s->res].last = p->n_steps;
        int parameters = heavy || s->affine;
        ps->need_back = s->relu || (train && parameters) || p->tensors[s->src].need_grad || (s->res >= 0 && p->tensors[s->res].need_grad);
        p->tensors[s->dst].need_grad = ps->need_back;
        p->n_steps++;
    }
    size_t at = 0, statistics = 0;                                  /* where each step's numbers lie in the flat vectors */
    for (int i = 1; i < n; i++) {
        const ot_layer *l = ot_network_layer(net, i);
        for (int k = 0; k < p->n_steps; k++) {
            if (p->steps[k].step.layer == l) p->steps[k].at = at;
            if (p->steps[k].step.affine == l) p->steps[k].at_affine = at, p->steps[k].at_statistics = statistics;
        }
        at += ot_layer_weights(l) + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
        statistics += l->gamma ? 2 * (size_t)l->c : 0;
    }
    ot_free(tensor);
    ot_free(done);
    return OT_OK;
}

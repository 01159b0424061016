/* observe.c - forward that shows what each T-ReLU gives, for finding the ranges of activations.
 *
 * Works in plans of any use: in training plans batch norm takes the statistics of these images, as it will in training. */
#include "plan/impl.h"

ot_status ot_plan_activations(ot_plan *p, const float *images, int n, ot_activation_fn fn, void *user)
{
    size_t largest = 1;
    if (p->opt.chips > 0) OT_FAIL(OT_E_RANGE, "activations are shown of one chip, this plan has %d", p->opt.chips);
    if (n < 1 || n > p->opt.tile) OT_FAIL(OT_E_RANGE, "activations of %d images, want 1..%d (the plan's tile)", n, p->opt.tile);
    for (int i = 0; i < p->n_steps; i++) {
        const ot_shape s = p->steps[i].out;
        const size_t   size = (size_t)s.c * (size_t)s.h * (size_t)s.w;
        if (p->steps[i].relu && size > largest) largest = size;
    }
    float *values = ot_alloc(largest * (size_t)n, sizeof *values);
    if (!values) OT_NOMEM("activations", largest * (size_t)n * sizeof *values);
    ot_status st = p->be->i->put(p->be->ctx, ot__plan_tensor(p, 0), p->tensors[0].shape, n * p->tensors[0].frames, images);
    for (int i = 0; i < p->n_steps && st == OT_OK; i++) {
        const ot_step *s = &p->steps[i];
        const size_t   size = (size_t)s->out.c * (size_t)s->out.h * (size_t)s->out.w;
        st = ot__plan_step(p, i, n, 0, 0);
        if (st != OT_OK || !s->relu) continue;
        st = p->be->i->get(p->be->ctx, values, s->out, n, ot__plan_tensor(p, s->dst));
        if (st == OT_OK) st = fn(user, s->relu->relu, values, size * (size_t)n);
    }
    ot_free(values);
    return st;
}

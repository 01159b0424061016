/* memory.c - where tensors lie: a slot is one block of memory that several tensors may use one after another.
 *
 * FORWARD plans share slots as soon as a tensor's last reader has run.  TUNE and TRAIN plans keep every output for the backward
 * pass (the stored output u is all that T-ReLU needs, DESIGN 4.7); gradients share slots, going backward.  Sizes are known
 * before anything is allocated, so a plan can be measured without being made. */
#include "impl.h"

/* A slot that is free from `now` on, the smallest that is large enough, else the largest made larger, else a new one. */
static int take(ot_plan *p, size_t bytes, int now, int until, int first_slot)
{
    int best = -1;
    for (int i = first_slot; i < p->n_slots; i++) {
        const plan_slot *s = &p->slots[i];
        if (s->free_at > now) continue;
        if (best < 0) best = i;
        else {
            size_t a = s->bytes, b = p->slots[best].bytes;
            if (b < bytes ? a > b : a >= bytes && a < b) best = i;
        }
    }
    if (best < 0) best = p->n_slots++;
    if (p->slots[best].bytes < bytes) p->slots[best].bytes = bytes;
    p->slots[best].free_at = until;
    return best;
}

ot_status plan__place(ot_plan *p)
{
    const ot_backend_i *be = p->be->i;
    int keep = p->opt.use != OT_PLAN_FORWARD, end = p->n_steps;
    p->slots = ot_alloc((size_t)p->n_tensors * 2, sizeof *p->slots);
    if (!p->slots) OT_NOMEM("a memory plan", (size_t)p->n_tensors * 2 * sizeof *p->slots);
    for (int i = 0; i < p->n_tensors; i++) {
        plan_tensor *t = &p->tensors[i];
        int is_output = i == p->steps[p->n_steps - 1].step.dst;
        size_t bytes = be->tensor_bytes(p->be->ctx, t->shape, p->opt.tile);
        /* tensors are numbered in the order they are written, so slots free up in that order too */
        t->slot = take(p, bytes, t->first, keep || is_output ? end + 1 : t->last + 1, 0);
        t->grad_slot = -1;
    }
    if (!keep) return OT_OK;
    /* Backward runs steps n-1..0 at times 0..n-1: a gradient lives from its tensor's last reader to its writer. */
    int first_slot = p->n_slots;
    for (int k = p->n_steps - 1; k >= 0; k--) {
        const ot_step *s = &p->steps[k].step;
        int now = p->n_steps - 1 - k;
        const int touched[3] = {s->dst, s->src, s->res};
        for (int j = 0; j < 3; j++) {
            plan_tensor *t = touched[j] < 0 ? NULL : &p->tensors[touched[j]];
            if (!t || !t->need_grad || !p->steps[k].need_back || t->grad_slot >= 0) continue;
            t->grad_slot = take(p, be->tensor_bytes(p->be->ctx, t->shape, p->opt.tile), now, p->n_steps - t->first, first_slot);
        }
    }
    return OT_OK;
}

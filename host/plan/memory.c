/* memory.c - where tensors lie: known before anything runs.
 *
 * Each tensor, and each gradient, lives from the step that writes it to the step that reads it last.  Time runs through the forward
 * steps and then, in plans with a backward pass, through them in reverse.  Things whose times do not overlap may share memory: the
 * largest are placed first, each at the lowest place that is free while it lives.  A plan with a backward pass keeps all its forward
 * tensors to the end, since backward reads them; of spiking networks only as long as backward needs them.  A tensor of several chips holds theirs one after the other. */
#include "plan/impl.h"

#include <stdlib.h>

enum { ALIGN = 64 };

typedef struct thing { size_t bytes, *at; int first, last, order; } thing;

static size_t aligned(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

static int larger_first(const void *va, const void *vb)
{
    const thing *a = va, *b = vb;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
    return a->order - b->order;
}

static size_t place(thing *things, int n)
{
    size_t total = 0;
    qsort(things, (size_t)n, sizeof *things, larger_first);
    for (int i = 0; i < n; i++) {
        size_t at = 0;
        for (int k = 0; k < i; k++) {                                /* move past whatever is in the way, until nothing is */
            const thing *o = &things[k];
            if (o->first > things[i].last || o->last < things[i].first) continue;
            if (*o->at >= at + things[i].bytes || *o->at + o->bytes <= at) continue;
            at = *o->at + o->bytes;
            k = -1;
        }
        *things[i].at = at;
        if (at + things[i].bytes > total) total = at + things[i].bytes;
    }
    return total;
}

/* When a tensor is read last.  Backward of spiking networks reads few of the forward tensors (backend.h), and not before the steps behind are done. */
static int last_use(const ot_plan *p, int k, int back)
{
    const ot__tensor *t = &p->tensors[k];
    int               last = t->last_read > t->producer ? t->last_read : t->producer;
    for (int i = 0; back && i < p->n_steps; i++) {
        const ot_step *s = &p->steps[i];
        int needed = p->opt.use == OT_PLAN_TRAIN ? s->src == k || s->dst == k
                                                 : (s->src == k && s->kind == OT_STEP_SPIKE) || ((s->src == k || s->dst == k) && s->kind == OT_STEP_MAX_POOL);
        int when = 2 * p->n_steps - 1 - i;
        if (needed && when > last) last = when;
    }
    return last;
}

ot_status ot__plan_place(ot_plan *p)
{
    const ot_backend_i *i = p->be->i;
    const int           back = p->opt.use != OT_PLAN_FORWARD, end = 2 * p->n_steps;
    const size_t        chips = p->opt.chips > 1 ? (size_t)p->opt.chips : 1;
    thing              *things = ot_alloc((size_t)p->n_tensors * 2, sizeof *things);
    int                 n = 0;
    if (!things) OT_NOMEM("memory plan", (size_t)p->n_tensors * 2 * sizeof *things);
    for (int k = 0; k < p->n_tensors; k++) {
        ot__tensor *t = &p->tensors[k];
        if (k > 0 && t->producer < 0) continue;
        t->bytes = aligned(i->tensor_bytes(p->be->ctx, t->shape, p->opt.tile * t->frames)) * (k > 0 ? chips : 1);
        int last = k == p->logits || (back && !p->spiking) ? end : last_use(p, k, back);
        things[n] = (thing){t->bytes, &t->at, t->producer, last, n};
        n++;
    }
    for (int k = 0; back && k < p->n_tensors; k++) {
        ot__tensor *t = &p->tensors[k];
        if ((k > 0 && t->producer < 0) || !t->reaches || !t->wants) continue;
        /* The last reader's backward step writes it first (a reader the logits do not depend on never runs: a little early is safe). */
        int first = k == p->logits ? p->n_steps : end - 1 - t->last_read, last = end - 1 - t->producer;
        t->grad_bytes = t->bytes;
        things[n] = (thing){t->grad_bytes, &t->grad_at, first, last, n};
        n++;
    }
    p->arena_bytes = place(things, n);
    ot_free(things);
    return OT_OK;
}

/* The host arrays in one block: with p->host NULL this only counts. */
void ot__plan_cut_host(ot_plan *p)
{
    size_t tile = (size_t)p->opt.tile, relus = (size_t)p->relus, widest = 1, at = 0;
    for (int i = 0; i < p->n_tensors; i++)
        if ((size_t)p->tensors[i].shape.c > widest) widest = (size_t)p->tensors[i].shape.c;
    const size_t in = (size_t)p->tensors[0].frames, steps = p->spiking ? (size_t)p->spiking->steps : 0;
    struct { float **p; size_t n; } arrays[] = {
        {&p->stage, tile * in * p->image}, {&p->frames, tile * steps * (size_t)p->classes}, {&p->out, tile * (size_t)p->classes * (p->opt.input_gradient ? 2 : 1)}, {&p->tap, tile * relus}, {&p->gain, relus},
        {&p->offset, relus}, {&p->scale, widest}, {&p->shift, widest},
    };
    for (size_t k = 0; k < sizeof arrays / sizeof *arrays; k++) {
        if (p->host) *arrays[k].p = (float *)((char *)p->host + at);
        at += aligned(arrays[k].n * sizeof(float));
    }
    p->host_bytes = at;
}

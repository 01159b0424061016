/* lower.c - the network's layers become steps: a heavy operation with what follows it fused on (backend.h says what may be).
 *
 *     conv - batch norm - add - relu        one step CONV, standing where the relu stood, dst = the relu's tensor
 *          shortcut conv - batch norm /     its own step; its tensor is the first one's `res`
 *
 * Layers come in topological order, so one walk does it: a layer either joins the open step of what it reads, if nobody else
 * reads that, or opens a step.  A step stands where its last layer stood: by then everything it reads is there.  Of an addition's
 * two branches the later one takes the other as `res`.  In training nothing joins.  A T-ReLU of few codes stands alone where there is a
 * backward pass: it needs what came before rounding. */
#include "plan/impl.h"

/* How far the step that a layer ends has got: what may still join. */
enum { PLAIN, AFTER_OP, AFTER_AFFINE, AFTER_ADD, CLOSED };

static const ot_step_kind kinds[] = {
    [OT_OP_CONV] = OT_STEP_CONV, [OT_OP_DENSE] = OT_STEP_DENSE, [OT_OP_BATCH_NORM] = OT_STEP_AFFINE, [OT_OP_BIAS] = OT_STEP_AFFINE,
    [OT_OP_RELU] = OT_STEP_RELU, [OT_OP_ADD] = OT_STEP_ADD, [OT_OP_MAX_POOL] = OT_STEP_MAX_POOL, [OT_OP_AVG_POOL] = OT_STEP_AVG_POOL,
    [OT_OP_GLOBAL_AVG] = OT_STEP_GLOBAL_AVG, [OT_OP_PAD] = OT_STEP_PAD, [OT_OP_SLICE] = OT_STEP_SLICE, [OT_OP_RESHAPE] = OT_STEP_RESHAPE, [OT_OP_SPIKE] = OT_STEP_SPIKE,
};

static ot_shape shape_of(const ot_plan *p, int i)
{
    const ot_layer *l = ot_network_layer(p->net, i);
    return (ot_shape){l->c, l->h, l->w};
}

static int readers(const ot_plan *p, int layer)
{
    int n = 0;
    for (int i = 1; i < p->n_tensors; i++) {
        const ot_layer *l = ot_network_layer(p->net, i);
        n += (l->in[0] == layer) + (l->in[1] == layer);
    }
    return n;
}

static int stage_after(const ot_step *s)
{
    int heavy = s->kind == OT_STEP_CONV || s->kind == OT_STEP_DENSE;
    if (s->relu) return CLOSED;
    if (s->kind == OT_STEP_ADD || (heavy && s->res >= 0)) return AFTER_ADD;
    if (s->kind == OT_STEP_AFFINE) return AFTER_ADD;                  /* a T-ReLU alone may join */
    return heavy ? s->affine ? AFTER_AFFINE : AFTER_OP : PLAIN;
}

/* The step that ends at layer `i`, if layer i + 1 or later may join it; else NULL. */
static ot_step *open_step(ot_plan *p, int i)
{
    if (p->opt.use == OT_PLAN_TRAIN || readers(p, i) != 1) return NULL;
    for (int s = 0; s < p->n_steps; s++)
        if (p->steps[s].dst == i) return &p->steps[s];
    return NULL;
}

static void move_to_end(ot_plan *p, ot_step *s)
{
    ot_step moved = *s;
    for (ot_step *last = &p->steps[p->n_steps - 1]; s < last; s++) *s = s[1];
    *s = moved;
}

/* Joins layer `i` to the step of what it reads; 0 if it cannot. */
static int join(ot_plan *p, int i)
{
    const ot_layer *l = ot_network_layer(p->net, i);
    int             branch = l->op == OT_OP_ADD && l->in[1] > l->in[0];
    ot_step        *s = NULL;
    int             stage = PLAIN;
    for (int tries = l->op == OT_OP_ADD ? 2 : 1; tries > 0; tries--, branch = !branch) {
        s = open_step(p, l->in[branch]);
        stage = s ? stage_after(s) : PLAIN;
        if (l->op != OT_OP_ADD) break;
        if ((stage == AFTER_OP || stage == AFTER_AFFINE) && s->src != l->in[!branch]) break;
        s = NULL;
    }
    if (!s) return 0;
    switch (l->op) {
    case OT_OP_BATCH_NORM: case OT_OP_BIAS:
        if (stage != AFTER_OP) return 0;
        s->affine = l;
        break;
    case OT_OP_ADD: s->res = l->in[!branch]; break;
    case OT_OP_RELU:
        if (stage == PLAIN || stage == CLOSED || (l->codes && p->opt.use != OT_PLAN_FORWARD)) return 0;
        s->relu = l;
        break;
    default: return 0;
    }
    s->dst = i;
    move_to_end(p, s);
    return 1;
}

static void open_new(ot_plan *p, int i)
{
    const ot_layer *l = ot_network_layer(p->net, i);
    ot_step        *s = &p->steps[p->n_steps++];
    *s = (ot_step){.kind = kinds[l->op], .layer = l, .in = shape_of(p, l->in[0]), .out = shape_of(p, i), .src = l->in[0], .res = l->in[1], .dst = i};
    if (s->kind == OT_STEP_AFFINE) s->affine = l;
    if (s->kind == OT_STEP_RELU) s->relu = l;
    s->batch = l->op == OT_OP_BATCH_NORM && p->opt.use == OT_PLAN_TRAIN && !p->opt.frozen_norm;
    s->events = p->tensors[s->src].events;
    s->steps = p->tensors[i].frames;
    s->still = s->kind == OT_STEP_SPIKE && p->tensors[s->src].frames == 1;
}

/* Layers whose output is mostly zeros where their input is. */
static int keeps_zeros(ot_op op)
{
    return op == OT_OP_MAX_POOL || op == OT_OP_AVG_POOL || op == OT_OP_PAD || op == OT_OP_SLICE || op == OT_OP_RESHAPE;
}

static int has_parameters(const ot_step *s)
{
    return s->kind == OT_STEP_CONV || s->kind == OT_STEP_DENSE || s->kind == OT_STEP_AFFINE;
}

/* Who is read by whom, whom the logits depend on, whose gradient is of use. */
static void trace(ot_plan *p)
{
    ot__tensor *t = p->tensors;
    for (int i = 0; i < p->n_tensors; i++) t[i].producer = t[i].last_read = -1;
    t[0].wants = p->opt.input_gradient;
    for (int i = 0; i < p->n_steps; i++) {
        const ot_step *s = &p->steps[i];
        t[s->dst].producer = i;
        t[s->src].last_read = i;
        if (s->res >= 0) t[s->res].last_read = i;
        t[s->dst].wants = (p->opt.use == OT_PLAN_TRAIN ? has_parameters(s) : ot__step_knob(s) >= 0) || t[s->src].wants || (s->res >= 0 && t[s->res].wants);
    }
    t[p->logits].reaches = 1;
    for (int i = p->n_steps - 1; i >= 0; i--) {
        const ot_step *s = &p->steps[i];
        if (!t[s->dst].reaches) continue;
        t[s->src].reaches = 1;
        if (s->res >= 0) t[s->res].reaches = 1;
    }
}

void ot__plan_lower(ot_plan *p)
{
    const ot_spiking *spiking = ot_network_spiking(p->net);
    const int         coded = spiking->coding != OT_CODING_DIRECT && ot_network_spikes(p->net) > 0;
    size_t parameter = 0, statistic = 0;
    for (int i = 0; i < p->n_tensors; i++) {
        const ot_layer *l = ot_network_layer(p->net, i);
        ot__tensor     *t = &p->tensors[i];
        t->shape = shape_of(p, i);
        t->scale = 1;
        t->frames = l->timed || coded ? spiking->steps : 1;
        t->events = i == 0 ? coded : keeps_zeros(l->op) ? p->tensors[l->in[0]].events : l->op == OT_OP_SPIKE;
        t->parameter = parameter;
        t->statistic = statistic;
        parameter += ot_layer_weights(l) + (l->bias ? (size_t)l->c : 0) + (l->gamma ? 2 * (size_t)l->c : 0);
        statistic += l->gamma ? 2 * (size_t)l->c : 0;
        if (i > 0 && !join(p, i)) open_new(p, i);
    }
    trace(p);
}

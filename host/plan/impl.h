/* impl.h - what the files of host/plan/ share: the plan's insides.
 *
 *     network --lower.c--> steps on tensors --memory.c--> bytes --plan.c--> opened steps --run.c, gradient.c, train.c--> results */
#ifndef OT_PLAN_IMPL_H
#define OT_PLAN_IMPL_H

#include "backend/backend.h"
#include "base/fail.h"

typedef struct plan_tensor {
    ot_shape shape;
    int      first, last;        /* steps that write it first and read it last; the input is written before step 0 */
    int      slot, grad_slot;    /* memory it lies in; -1: none */
    int      need_grad;          /* something before it has knobs or, in training, parameters */
    int      grad_written;       /* while going backward */
} plan_tensor;

typedef struct plan_step {
    ot_step step;
    void   *op;
    int     need_back;
    size_t  at;                  /* first of its layer's parameters in the flat vector (training) */
    size_t  at_affine, at_statistics;
} plan_step;

typedef struct plan_slot { size_t bytes; void *mem; int free_at; } plan_slot;

struct ot_plan {
    ot_backend       *be;
    const ot_network *net;
    ot_plan_options   opt;
    int          n_steps, n_tensors, n_slots;
    plan_step   *steps;
    plan_tensor *tensors;        /* 0 is the input, the last step's dst the logits */
    plan_slot   *slots;
    void        *scratch;
    size_t       scratch_bytes, op_bytes, host_bytes;
    int          n_relus, classes;
    float       *gain, *offset;  /* (L) */
    float       *image;          /* (tile, c, h, w) staging of the input */
    float       *logits;         /* (tile, classes) staging; gradients of them too */
    float       *taps;           /* (L, tile) */
    float       *fold;           /* scale and shift of the widest batch norm, while loading */
    double      *dgain, *doffset;/* (L) of one tile */
};

ot_status plan__lower(ot_plan *p);                       /* fills steps and tensors */
ot_status plan__place(ot_plan *p);                       /* gives tensors slots */
/* One tile forward: n images of data from position `at` of index (or of the data), or n images already in p->image. */
void      plan__stage(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t at, int n);
ot_status plan__forward(ot_plan *p, int n, int tap);     /* from p->image to p->logits */
ot_status plan__check_images(const ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n);
/* Cross-entropy of p->logits (n, classes) into *loss (a sum) and correct; replaced by its derivative, each divided by n_total. */
void      plan__softmax(ot_plan *p, const int32_t *labels, int n, int64_t n_total, double *loss, int64_t *correct);
/* One tile backward from p->logits; grad: flat parameter gradients (training) or NULL. */
ot_status plan__backward(ot_plan *p, int n, float *grad);
int       plan__best(const float *logits, int classes);  /* lowest class of the largest; -1 if any is NaN */

static inline void *plan__mem(const ot_plan *p, int tensor) { return tensor < 0 ? NULL : p->slots[p->tensors[tensor].slot].mem; }
static inline void *plan__grad(const ot_plan *p, int tensor)
{
    return tensor < 0 || p->tensors[tensor].grad_slot < 0 ? NULL : p->slots[p->tensors[tensor].grad_slot].mem;
}

#endif

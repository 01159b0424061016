/* impl.h - what the files of host/plan/ share: the plan's insides.
 *
 * Tensors are numbered as the layers whose output they hold; a layer that was fused into a later one has none (bytes 0).  All
 * tensors and their gradients lie in one arena of the backend, all host arrays in one block (memory.c). */
#ifndef OT_PLAN_IMPL_H
#define OT_PLAN_IMPL_H

#include "backend/backend.h"
#include "base/fail.h"
#include "ohmtrim/plan.h"

typedef struct ot__tensor {
    ot_shape shape;
    int      events;               /* mostly zeros: spikes, or made of them */
    int      frames;               /* an image: 1, or the time steps of a spiking network */
    size_t   bytes, at;            /* in the arena */
    int      producer, last_read;  /* steps; producer -1: the input; last_read -1: nobody */
    int      reaches;              /* the logits depend on it */
    int      wants;                /* its gradient is of use: a knob (training: a parameter) lies at or before it, or the images' is asked for */
    size_t   grad_bytes, grad_at;  /* 0: it has none */
    int      written;              /* while backward runs: its gradient holds something */
    float    scale;                /* fleets in half precision: memory holds values times this power of two */
    size_t   parameter, statistic; /* where this layer's numbers begin in the flat vectors of network.h */
} ot__tensor;

struct ot_plan {
    ot_backend       *be;          /* borrowed */
    const ot_network *net;         /* borrowed */
    ot_plan_options   opt;
    const ot_spiking *spiking;     /* the network's, or NULL */
    int               once;        /* its neurons fire once: the first of the last layer tells the class */
    int               n_steps, n_tensors, relus, classes, logits;      /* relus: layers with knobs; logits: tensor */
    ot_step          *steps;
    void            **ops;
    ot__tensor       *tensors;
    size_t            image;       /* elements of one */
    size_t            bytes, op_bytes, arena_bytes, scratch_bytes, host_bytes;
    char             *arena;
    void             *scratch, *host;
    /* in the host block */
    float            *stage;       /* (tile, image); with rate coding (tile, T, image) */
    float            *out;         /* (tile, classes): logits, then their gradient; plans with gradients to images keep the logits behind it */
    float            *frames;      /* spiking: (tile, T, classes) spikes of the last layer, then their gradient */
    float            *tap;         /* (L, tile) */
    float            *gain, *offset;                                   /* (L) */
    float            *scale, *shift;                                   /* (widest) batch norm folded */
};

/* lower.c: the network's layers as steps, and who reads what. */
void ot__plan_lower(ot_plan *p);
/* memory.c: places tensors and gradients in the arena (sets arena_bytes), sizes and cuts the host block. */
ot_status ot__plan_place(ot_plan *p);
void      ot__plan_cut_host(ot_plan *p);
/* run.c */
ot_status ot__plan_check_images(const ot_plan *p, const ot_data *data, const uint32_t *index, int64_t n);
ot_status ot__plan_fill(ot_plan *p, const ot_data *data, const uint32_t *index, int64_t first, int n);  /* images into the input tensor */
ot_status ot__plan_step(ot_plan *p, int step, int n, int taps, int skip_relu);
ot_status ot__plan_steps(ot_plan *p, int n, int taps);
/* spiking.c: whether a picture's numbers x (c, h, w) may enter a spiking network, or a sentence; whether all of a data set's may. */
ot_status ot__plan_check_picture(const ot_plan *p, const ot_data *data, int64_t number, const float *x);
int       ot__plan_all_pictures_good(const ot_plan *p, const ot_data *data);
/* Checks a picture's pixels (c, h, w) at `to`; with rate coding they become T frames of input spikes there, by the picture's number
 * in the data set. */
ot_status ot__plan_take_image(const ot_plan *p, const ot_data *data, int64_t number, float *to);
/* run.c: the logits of n images into p->out (spiking: counts; their spikes into p->frames). */
ot_status ot__plan_answers(ot_plan *p, int n);
/* plan.c: batch norm with this gamma and beta (or a bias layer) as one multiplication and one addition a channel, p->scale and p->shift, worked
 * out in double. */
void      ot__plan_fold(const ot_plan *p, const ot_layer *l, const float *gamma, const float *beta);
/* plan.c: whether a pair of knobs may be set, or a sentence. */
ot_status ot__plan_check_knob(const ot_plan *p, int l, float gain, float offset);
/* spiking.c: the threshold of a spiking step's layer at gain `gain`, and its derivative to that. */
float     ot__step_threshold(const ot_step *s, float gain);
double    ot__step_threshold_slope(const ot_step *s, float gain);
float     ot__spike_score(const ot_plan *p, int t);
enum { OT__RATE_HALVINGS = 20 };                                     /* rates are matched to a millionth of the interval of gains */
/* Which knob a step has, or -1. */
static inline int ot__step_knob(const ot_step *s) { return s->relu ? s->relu->relu : s->kind == OT_STEP_SPIKE ? s->layer->spike : -1; }
/* gradient.c: adds the cross-entropies of the n images whose logits lie in p->out (spikes: p->frames too), which then holds their derivatives
 * times weight (p->frames those to the spikes). */
void      ot__plan_cross_entropy(ot_plan *p, const int32_t *labels, int n, double weight, double smoothing, double *sum_of_losses);
/* The gradient of a step's operand (NULL: not wanted), and whether it holds something already; from now on it does. */
void     *ot__plan_operand(ot_plan *p, int t, int *add);
/* From p->out (spiking: p->frames) back through all steps.  grad_gain, grad_offset (L) are added to; grad (training) is the flat vector. */
ot_status ot__plan_backward(ot_plan *p, int n, double *grad_gain, double *grad_offset, float *grad);
/* The same from the gradient that the last tensor has already; resident: grad is the backend's memory (resident.h). */
ot_status ot__plan_back_from(ot_plan *p, int n, double *grad_gain, double *grad_offset, float *grad, int resident);

static inline void *ot__plan_tensor(const ot_plan *p, int t) { return t < 0 ? NULL : p->arena + p->tensors[t].at; }
static inline void *ot__plan_grad(const ot_plan *p, int t) { return t < 0 || !p->tensors[t].grad_bytes ? NULL : p->arena + p->tensors[t].grad_at; }

#endif

/* backend.h - the one door between plans and the code that computes: a small table of functions a backend fills.
 *
 * A plan lowers the network to *steps*.  A step is one heavy operation with what follows it fused on:
 *
 *     y = op(src) + bias;  y = y * scale + shift  (batch norm);  y += res;  y = T-ReLU(y);  tap = mean(y)
 *
 * each part present or not.  The plan decides order and memory; the backend decides layout and algorithm.  A backend opens a
 * step once (primitives, choice of algorithm, its own copy of weights), loads weights for each chip, and runs it forward and
 * backward on tiles of `n` images.  Tensors live in backend memory in the backend's own layout; `put` and `get` speak float32 NCHW.
 * Results depend on the step and the tile only: never on load, free memory or thread count (DESIGN 4.8).
 *
 * Which parts may be fused: a bias layer or batch norm on CONV, DENSE (and it is the step itself in AFFINE); `res` on CONV, DENSE (and
 * it is the step itself in ADD); a T-ReLU on CONV, DENSE, AFFINE, ADD (and RELU).  Nothing else.  In training (OT_PLAN_TRAIN) nothing
 * is fused at all: AFFINE steps of batch norm have `batch` set and use the minibatch's statistics.
 *
 * What both sides rely on:
 * - A tile has room for `tile` images, of which the first `n` count.  The others hold anything, NaN too; no result depends on them.
 * - `dst`, `dsrc`, `dres` never overlap what the step reads, nor each other, with one exception: in ADD of a tensor to itself dsrc ==
 *   dres, and then add_res is set.  dsrc is written before dres.  A fused `res` is never the step's own `src`.
 * - Tensors share memory in turn, so a step writes all of its output, its layout's padding too.
 * - src and dst are as forward left them when backward runs; `g` may be overwritten.
 * - An image's result does not depend on the images beside it (but for batch statistics). */
#ifndef OT_BACKEND_H
#define OT_BACKEND_H

#include "ohmtrim/plan.h"

typedef enum ot_step_kind {
    OT_STEP_CONV, OT_STEP_DENSE,
    OT_STEP_AFFINE,         /* batch norm or bias alone */
    OT_STEP_ADD,            /* src + res */
    OT_STEP_RELU,           /* T-ReLU alone */
    OT_STEP_MAX_POOL, OT_STEP_AVG_POOL, OT_STEP_GLOBAL_AVG,
    OT_STEP_PAD, OT_STEP_SLICE, OT_STEP_RESHAPE,
} ot_step_kind;

typedef struct ot_shape { int c, h, w; } ot_shape;

typedef struct ot_step {
    ot_step_kind    kind;
    const ot_layer *layer;         /* geometry of the operation (for AFFINE, RELU, ADD: that layer) */
    const ot_layer *affine;        /* fused or own batch norm / bias layer, or NULL; its scale and shift come by step_load */
    const ot_layer *relu;          /* fused or own T-ReLU, or NULL */
    ot_shape        in, out;
    int             src, res, dst; /* tensor numbers of the plan; res = -1: nothing is added */
    int             batch;         /* AFFINE: use the minibatch's statistics (training) */
} ot_step;

/* What a forward pass of a step is told besides its tensors. */
typedef struct ot_step_run {
    int     n;                     /* images in the tile that count; the rest of the tile is padding */
    float   gain, offset;          /* of the T-ReLU, if any */
    float  *tap;                   /* (n) mean over neurons of the output of each image, or NULL; double sums, fixed order */
    int     skip_relu;             /* leave out the T-ReLU (its input is wanted: moments) */
} ot_step_run;

/* Backward: g = dL/d(output) comes in and is overwritten; results are written, not added, unless said. */
typedef struct ot_step_back {
    int      n;
    float    gain, offset;
    double  *grad_gain, *grad_offset;   /* one number each; NULL in training and where the step has no T-ReLU */
    int      add_src, add_res;          /* add to dsrc / dres instead of writing (the tensor has several readers) */
    float   *grad_weight, *grad_bias;   /* host, ONNX layout; NULL unless training */
    float   *grad_gamma, *grad_beta;    /* AFFINE in training, host; a bias layer has grad_beta alone */
} ot_step_back;

typedef struct ot_backend_i {
    const char *name;                                       /* "ref", "cpu", "cuda" */
    ot_status (*open)(void **ctx);
    void (*close)(void *ctx);
    void (*detail)(void *ctx, char *text, size_t n);        /* library, version, instruction set */

    size_t (*tensor_bytes)(void *ctx, ot_shape s, int n);
    ot_status (*alloc)(void *ctx, void **mem, size_t bytes);
    void (*free)(void *ctx, void *mem);
    /* The first n images of a tensor made for n or more.  put also zeroes the layout's padding in them. */
    ot_status (*put)(void *ctx, void *dst, ot_shape s, int n, const float *nchw);
    ot_status (*get)(void *ctx, float *nchw, ot_shape s, int n, const void *src);

    /* `op` owns primitives, weights and its saved state: *op_bytes in all, taken here and not later; `scratch` is shared by all steps
     * of a plan and may hold anything when a call begins.  `step` is copied, the layers it points to are borrowed. */
    ot_status (*step_open)(void *ctx, void **op, const ot_step *step, int tile, const ot_plan_options *opt, size_t *op_bytes,
                           size_t *scratch_bytes);
    void (*step_close)(void *ctx, void *op);
    const char *(*step_algorithm)(void *op);                /* "direct", "winograd", "sgemm", ...: stored with a campaign */
    /* weight: (out, in/groups, kh, kw) host; bias of the crossbar layer, (out) host, or NULL.  scale, shift: (c) host, both or neither:
     * of batch norm the folded ones (of a bias layer 1 and the bias), with `batch` gamma and beta themselves.  Allocates nothing. */
    ot_status (*step_load)(void *ctx, void *op, const float *weight, const float *bias, const float *scale, const float *shift);
    ot_status (*forward)(void *ctx, void *op, const void *src, const void *res, void *dst, void *scratch, const ot_step_run *run);
    /* src, dst: what forward read and wrote; g: dL/d(dst); dsrc, dres: where dL/d(src), dL/d(res) go, NULL where not needed */
    ot_status (*backward)(void *ctx, void *op, const void *src, const void *dst, void *g, void *dsrc, void *dres, void *scratch,
                          const ot_step_back *back);
    /* AFFINE with `batch`: this minibatch's mean and unbiased variance, (c) host each, after forward */
    ot_status (*batch_statistics)(void *ctx, void *op, float *mean, float *var);
    /* over the n images of a tensor, double, fixed order: the mean of all, and the spread within channels (plan.h, ot_moment_fn) */
    ot_status (*moments)(void *ctx, const void *src, ot_shape s, int n, double *mean, double *sd);
} ot_backend_i;

extern const ot_backend_i ot__backend_ref, ot__backend_cpu;

struct ot_backend {
    const ot_backend_i *i;
    void *ctx;
    char why[384], detail[256];
};

#endif

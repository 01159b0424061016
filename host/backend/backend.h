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
 * A T-ReLU whose layer has codes is followed by the quantiser (kernels/quantise.h).  Where there is a backward pass it is a RELU step of its
 * own and goes back from src: its output does not tell what came before.
 *
 * What both sides rely on:
 * - A tile has room for `tile` images, of which the first `n` count.  The others hold anything, NaN too; no result depends on them.
 * - `dst`, `dsrc`, `dres` never overlap what the step reads, nor each other, with one exception: in ADD of a tensor to itself dsrc ==
 *   dres, and then add_res is set.  dsrc is written before dres.  A fused `res` is never the step's own `src`.
 * - Tensors share memory in turn, so a step writes all of its output, its layout's padding too.
 * - src and dst are as forward left them when backward runs; `g` may be overwritten.
 * - An image's result does not depend on the images beside it (but for batch statistics).
 *
 * Spiking networks.  Behind the first spiking layer (with rate coding: everywhere) a tensor holds T frames an image, image after image, step
 * after step, and every step but SPIKE takes them as so many images: `tile` and `n` count frames.  SPIKE integrates (network.h): its
 * `tile` and `n` count frames of dst, which are T an image; src may be still.  Its knob is the threshold, in `gain`; taps are one an
 * image, means over neurons and time.  dst is 0 or 1.  Backward recomputes the membranes from src: nothing is saved between; k[t] =
 * dL/dS[t] times the surrogate, and with R[t] whether it fired at t - 1 (held fixed)
 *     g[t] = k[t] + leak g[t+1] (ZERO: leak (1 - R[t+1]) g[t+1])     dL/dI[t] = g[t]     dL/dTh = sum of -k[t] (SUBTRACT: - g[t] R[t])
 * (FIXED, ONCE: the first sum alone; ONCE is a loss of infinity.)  A still src gets the sum over t.  In such plans src and dst are there when backward runs only where it needs them: SPIKE src, MAX_POOL
 * both, and in training all.
 *
 * A backend with a `many` table (cuda) takes plans of several chips (opt->chips): a tensor then holds one tile a chip, each rounded up to
 * 64 bytes, except tensor 0, the images, which all chips share.  Knobs, taps and gradients of such plans stay in the backend's memory. */
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
    OT_STEP_SPIKE,          /* integrate and fire over all time steps */
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
    /* spiking networks */
    int             steps;         /* frames of dst an image: T, or 1 */
    int             still;         /* SPIKE: src has one frame an image, the same at every step, else T */
    int             events;        /* src is spikes or came from spikes without a crossbar between (averages, moves): mostly zeros */
} ot_step;

/* What a forward pass of a step is told besides its tensors. */
typedef struct ot_step_run {
    int     n;                     /* images in the tile that count; the rest of the tile is padding */
    float   gain, offset;          /* of the T-ReLU, if any */
    float  *tap;                   /* (n) mean over neurons of the output of each image, or NULL; double sums, fixed order */
    int     skip_relu;             /* leave out the T-ReLU (its input is wanted: moments) */
    /* several chips: how many of them count; the rest in the backend's memory, chip k's at k * stride, in place of gain, offset, tap */
    int          chips;
    const float *gains, *offsets;
    int64_t      knob_stride;
    float       *taps;
    int64_t      tap_stride;
} ot_step_run;

/* Backward: g = dL/d(output) comes in and is overwritten; results are written, not added, unless said. */
typedef struct ot_step_back {
    int      n;
    float    gain, offset;
    double  *grad_gain, *grad_offset;   /* one number each; NULL in training and where the step has no T-ReLU */
    int      add_src, add_res;          /* add to dsrc / dres instead of writing (the tensor has several readers) */
    float   *grad_weight, *grad_bias;   /* host, ONNX layout; NULL unless training */
    float   *grad_gamma, *grad_beta;    /* AFFINE in training, host; a bias layer has grad_beta alone */
    int      resident;                  /* these four are the backend's memory (ot_resident_i): nothing waits */
    /* several chips, as above; gradients are added to sums[k * sums_stride] (gain) and sums_offset after it (offset) */
    int          chips;
    const float *gains, *offsets;
    int64_t      knob_stride;
    double      *sums;
    int64_t      sums_stride, sums_offset;
    /* CONV, DENSE: dsrc is complete with this step, and src was made by the T-ReLU of step `mask_op`, which took no res: dsrc goes through
     * it (and its batch norm) at once, with these knobs and sums; then that step is told `masked`, and its g is what comes before.
     * SPIKE: likewise dsrc goes through the batch norm of step `mask_op`, which took no res and has no T-ReLU. */
    void        *mask_op;
    const float *mask_gains, *mask_offsets;
    double      *mask_sums;
    int          masked;
} ot_step_back;

/* What a backend adds that keeps many chips and the images in its own memory.  Calls only put work into the backend's queue, but for
 * read and write, which wait for it.  `mem` is the backend's memory throughout. */
typedef struct ot_many_input {
    const void     *pixels, *values;    /* mem: (N, c, h, w) bytes, or floats as the network wants them */
    const float    *scale, *shift;      /* mem: (c) of pixels */
    const uint32_t *rows, *step;        /* mem: image row rows[*step * per_step + first + i]; NULL: no table, step 0 */
    int64_t         per_step, first;
    uint32_t       *wanted;             /* mem: (n) the rows taken */
    int             steps;              /* rate and latency coding: so many frames of spikes an image, with rate coding drawn by `seed`; else 0 */
    ot_coding       coding;
    uint64_t        seed;
    const uint32_t *crops;              /* mem: a word of kernels/crop.h for each of rows, of images padded by `pad`; NULL: whole images */
    int             pad;
} ot_many_input;
typedef struct ot_many_loss {
    const int32_t  *labels;             /* mem */
    const uint32_t *rows;               /* mem: (n) */
    void           *grad;               /* mem: gradient of the logits, NULL: not wanted */
    double         *loss;               /* mem: (chip), added to; NULL: not wanted */
    int64_t        *right;              /* mem: (chip), added to; NULL: not wanted */
    uint32_t       *bits;               /* mem: (chip, bits_stride), bit first + i */
    int64_t         bits_stride, first;
    float           scale;              /* the logits are held this many times too large */
    int            *flags;              /* mem: (chip) bit 0: a logit is not finite; NULL: not wanted */
    int             frames;             /* logits are so many an image and n counts them, an image's loss is their mean; right and bits NULL.  0: one */
    double          weight, smoothing;  /* training: gradient of weight * loss, 0: the usual one; as ot_plan_options.label_smoothing */
} ot_many_loss;
typedef struct ot_many_adam ot_many_adam;     /* one population's optimiser state, in the backend's memory */
/* How knobs are stepped: rate (steps) is that of every step, on the host (NULL: lr); sgd 1: SGD with momentum instead of Adam. */
typedef struct ot_many_rule { double lr; const double *rate; int64_t steps; int sgd; double momentum; } ot_many_rule;
typedef struct ot_many_adam_result { int steps, projected, nan_restores, bad_in_row; double best_loss, last_loss; } ot_many_adam_result;

struct ot_cell_map;
typedef struct ot_many_i {
    ot_status (*write)(void *ctx, void *mem, const void *from, size_t bytes);
    ot_status (*read)(void *ctx, void *to, const void *mem, size_t bytes);
    ot_status (*fill)(void *ctx, void *mem, int byte, size_t bytes);
    ot_status (*copy)(void *ctx, void *to, const void *from, size_t bytes);        /* both mem */
    ot_status (*free_bytes)(void *ctx, size_t *bytes);
    /* A crossbar step's signed magnitudes (ONNX order) and step: kept by the op; then the cells of `chips` chips, maps and numbers in mem. */
    ot_status (*design)(void *ctx, void *op, const int32_t *q, double step, const ot_variation *var, uint32_t layer);
    ot_status (*draw)(void *ctx, void *op, int chips, const struct ot_cell_map *maps, const uint32_t *numbers);
    /* Whether backward of the step can be given a mask_op. */
    int (*masks)(void *ctx, void *op);
    /* A step's weights of chip `k`, in ONNX order. */
    ot_status (*weights)(void *ctx, void *op, int k, float *onnx);
    ot_status (*input)(void *ctx, void *dst, ot_shape s, int n, const ot_many_input *in);
    ot_status (*loss)(void *ctx, const void *logits, ot_shape s, int64_t stride, int chips, int n, const ot_many_loss *l);
    /* Spikes of n images, `steps` frames each and held `scale` times too large, added up: a tensor of one frame an image, held as they are.
     * `sooner`: a spike at step t counts steps - t.
     * And back: a gradient of counts to all frames. */
    ot_status (*counts)(void *ctx, void *counts, int64_t counts_stride, const void *spikes, int64_t stride, ot_shape s, int chips, int n, int steps, int sooner, float scale);
    ot_status (*spread)(void *ctx, void *frames, int64_t stride, const void *counts, int64_t counts_stride, ot_shape s, int chips, int n, int steps, int sooner);
    ot_status (*get)(void *ctx, float *nchw, ot_shape s, int64_t stride, int chips, int n, float scale, const void *src);
    /* out, mem: (chip, 2) mean and spread as `moments` of a tensor held `scale` times too large */
    ot_status (*moments)(void *ctx, const void *src, ot_shape s, int64_t stride, int chips, int n, float scale, double *out);
    /* The largest |x| of n images of one chip. */
    ot_status (*largest)(void *ctx, const void *src, ot_shape s, int n, float *out);
    /* From now on the step's tensors hold their values times these powers of two (half precision has few exponents); 1 at first. */
    void (*scale)(void *ctx, void *op, float src, float res, float dst);
    /* Knobs (chip, 2 L) in gains-then-offsets order; `minibatch` images a step.  adam_mem: where forward and backward find things. */
    ot_status (*adam_open)(void *ctx, ot_many_adam **out, int chips, int relus);
    void (*adam_close)(void *ctx, ot_many_adam *a);
    ot_status (*adam_start)(void *ctx, ot_many_adam *a, int chips, const float *knobs, const ot_many_rule *rule, int64_t minibatch);
    void (*adam_mem)(ot_many_adam *a, const float **knobs, double **grad, double **loss, uint32_t **step);
    ot_status (*adam_step)(void *ctx, ot_many_adam *a, int chips);
    ot_status (*adam_result)(void *ctx, ot_many_adam *a, int chips, float *knobs, ot_many_adam_result *result);
    /* All work put in between is noted, then done at each replay. */
    ot_status (*capture)(void *ctx);
    ot_status (*captured)(void *ctx, void **graph);       /* graph NULL: the noted work is thrown away */
    ot_status (*replay)(void *ctx, void *graph);
    void (*graph_close)(void *ctx, void *graph);
} ot_many_i;

/* What a backend adds that trains weights without the host seeing them: parameters, gradients, optimiser and statistics as flat vectors of
 * network.h in its own memory.  Calls only put work into the queue.  Plans of one chip; images and loss come by `many`. */
typedef struct ot_resident {
    size_t         n, n_statistics;
    int            shards;
    float         *parameters, *grad;         /* (n), (shards, n) */
    const uint8_t *decays;                    /* (n): 1 where weight decay applies */
    float         *velocity;                  /* SGD: (n) */
    double        *moments, *power;           /* Adam: (n, 2), (2); else NULL */
    const double  *rate;                      /* (steps) */
    double         momentum, decay;
    float         *statistics, *batch_statistics; /* (n_statistics), (shards, n_statistics) */
    double         share, images;             /* of the minibatch's statistics in the running ones; images a minibatch */
    double        *loss, *losses;             /* sum over the minibatch, cleared; (steps) means */
    uint32_t      *step;                      /* counted up */
} ot_resident;
typedef struct ot_resident_i {
    ot_status (*load)(void *ctx, void *op, const float *weight, const float *bias, const float *scale, const float *shift); /* as step_load; NULL: as it is */
    ot_status (*statistics)(void *ctx, void *op, float *out); /* AFFINE with `batch`: (2, c) mean and unbiased variance of the last forward */
    ot_status (*update)(void *ctx, const ot_resident *r);     /* one step of the optimiser and of the running statistics */
} ot_resident_i;

typedef struct ot_backend_i {
    const char *name;                                       /* "ref", "cpu", "cuda" */
    ot_status (*open)(void **ctx, const char *flavour);     /* what follows "name:", or "" */
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
    float (*gradient_scale)(void *ctx);                     /* what gradients are multiplied by to fit the format; NULL: 1 */
    ot_status (*choices)(void *ctx, char *text, size_t n);  /* what was measured and chosen so far, "" if nothing; NULL: never anything */
    const ot_many_i *many;                                  /* NULL: one chip at a time, in host memory */
    const ot_resident_i *resident;                          /* NULL: parameters come and go with each minibatch */
} ot_backend_i;

extern const ot_backend_i ot__backend_ref, ot__backend_cpu;
#ifdef OT_HAVE_CUDA
extern const ot_backend_i ot__backend_cuda;
#endif

struct ot_backend {
    const ot_backend_i *i;
    void *ctx;
    char name[16], why[384], detail[256];     /* name: with its flavour */
};

#endif

/* cpu.h - what the files of the cpu backend share: the layout of its tensors, its loops, its operations.
 *
 * Layout.  Channels lie in blocks of `b`: (n, nb, h, w, b), b = 16 and the last block filled up with zeros, as oneDNN's nChw16c.
 * An image of at most 4 channels and more than one pixel has b = c, one block and no padding: the picture a network starts with
 * would be mostly zeros otherwise.  Padding channels are zero always: operations rely on it and keep it so.
 *
 * Loops.  cpu_loops.h holds every inner loop, written on vectors of OT_LANES channels; it is compiled for 16 (AVX-512), 8 (AVX2 and
 * FMA), 4 (anything) and 1 (thin tensors).  Which one runs depends on the processor and on the tensor, never on load. */
#ifndef OT_BACKEND_CPU_H
#define OT_BACKEND_CPU_H

#include "backend/backend.h"
#include "backend/dnnl.h"
#include "base/fail.h"

enum { OT_BLOCK = 16, OT_THIN = 4 };

/* A tensor as it lies in memory; strides in floats. */
typedef struct ot__cpu_view {
    int    c, h, w, b, nb;
    size_t pixel, block, image;      /* from one pixel, block, image to the next */
} ot__cpu_view;

ot__cpu_view ot__cpu_view_of(ot_shape s);

/* What follows an operation: y = T-ReLU(x * scale + shift + res).  Arrays reach to the end of the last block. */
typedef struct ot__cpu_post {
    const float *scale, *shift;      /* NULL: none */
    const float *clip;               /* upper bound of each channel, 0 for padding; NULL: no T-ReLU */
    float        gain, offset;
    float        codes, step;        /* quantiser behind the T-ReLU; codes 0: none */
} ot__cpu_post;

/* A convolution as the loops see it: rows of output pixels, each the sum over taps of (input pixel) x (weights).  Strided backward
 * passes fall into stride_h * stride_w phases, each a convolution of stride 1 of its own. */
typedef struct ot__cpu_phase {
    int     taps;
    size_t *tap_src, *tap_weight;    /* (taps) offsets in floats from the row's first input pixel, from a block's weights */
    int     y0, ny, ystep, x0, nx, xstep;            /* output rows and columns of this phase */
    int     src_y, src_x, src_ystep, src_xstep;      /* input row and column of the first tap of the first pixel, and steps */
} ot__cpu_phase;

typedef struct ot__cpu_conv {
    ot__cpu_view  src, dst;
    int           depthwise;
    int           pad, pad_top, pad_left, pad_h, pad_w;  /* pad: images are copied into a frame of (nb, pad_h, pad_w, b) first */
    int           flat;                                  /* images are the pixels: h = w = 1 */
    int           n_phases;
    ot__cpu_phase *phase;
    size_t        weight_block, weight_out;              /* floats from one input block to the next, one output block to the next */
    float        *weight;                                /* (out block, in block, tap, in b, out b); depthwise: (block, tap, b) */
} ot__cpu_conv;

typedef struct ot__cpu_window {      /* pooling: windows in input coordinates, cut at the border by the loops */
    int kh, kw, sh, sw, pt, pl, pb, pr, count_pad;
} ot__cpu_window;

typedef struct ot__cpu_spike {       /* a spiking layer */
    int          steps, still, strip;    /* strip: neurons that go back through time together */
    float        threshold, leak, loss;  /* loss: what a spike takes */
    ot_reset     reset;
    ot_surrogate surrogate;
    float        sharpness;
} ot__cpu_spike;

typedef struct ot__cpu_event {       /* a convolution done event by event */
    ot__cpu_view in, out;
    int          kh, kw, sh, sw, pt, pl;
    size_t       channels, kernel_row;   /* output channels with padding; weights of one row of the kernel */
    float       *weight;                 /* (kh, in, kw, channels); NULL: this step has none */
    size_t       most, starts, scratch;  /* room for events and for where pixels begin, in scratch: offsets, starts, values; its bytes */
} ot__cpu_event;

typedef struct ot__cpu_loops {
    int lanes;
    void (*conv)(const ot__cpu_conv *c, const float *src, const float *res, float *dst, int add, int n, const ot__cpu_post *post, float *frame);
    /* dweight (as c->weight of the forward convolution) += src x g over n images */
    void (*conv_weights)(const ot__cpu_conv *c, const float *src, const float *g, float *dweight, int n, float *frame);
    void (*post)(ot__cpu_view v, float *dst, const float *src, const float *res, int n, const ot__cpu_post *post);
    /* g = g * gain where 0 < y < clip, else 0; sums[0] = sum of g y, sums[1] = sum of g there, before the gain */
    void (*mask)(ot__cpu_view v, float *g, const float *y, float *copy, int add, int n, const float *clip, float gain, double sums[2]);
    /* the same through a quantiser: y = (x - offset) gain is found again from the step's input x; top: per channel, from where on nothing passes */
    void (*mask_quantised)(ot__cpu_view v, float *g, const float *x, int n, const float *top, float gain, float offset, double sums[2]);
    void (*scale)(ot__cpu_view v, float *dst, const float *src, const float *scale, int add, int n);     /* scale NULL: 1 */
    void (*max_pool)(ot__cpu_view s, ot__cpu_view d, const ot__cpu_window *k, const float *src, float *dst, int n);
    void (*max_pool_back)(ot__cpu_view s, ot__cpu_view d, const ot__cpu_window *k, const float *src, const float *dst, const float *g, float *dsrc, int n);
    void (*avg_pool)(ot__cpu_view s, ot__cpu_view d, const ot__cpu_window *k, const float *src, float *dst, int n);
    void (*avg_pool_back)(ot__cpu_view s, ot__cpu_view d, const ot__cpu_window *k, const float *g, float *dsrc, int n);
    /* double sums of each channel over n images (nb * b): sum[i] = sum of x - shift[i]; dot[i] = sum of (x - shift[i]) (y - yshift[i]) */
    void (*channel_sums)(ot__cpu_view v, const float *x, const float *y, const float *shift, const float *yshift, int n, double *sum, double *dot);
    void (*image_sums)(ot__cpu_view v, const float *x, int n, double *sum);                  /* (n) */
    /* dst = g * a + x * k + c, per channel: backward of batch norm with the minibatch's statistics */
    void (*combine)(ot__cpu_view v, float *dst, const float *g, const float *x, const float *a, const float *k, const float *c, int add, int n);
    /* dst: T frames an image; src, dsrc as many, or one (still).  Backward gives dL/d(threshold); m: (T, strip) room. */
    void (*spike)(ot__cpu_view v, const ot__cpu_spike *p, const float *src, float *dst, int images);
    double (*spike_back)(ot__cpu_view v, const ot__cpu_spike *p, const float *src, const float *g, float *dsrc, int add, int images, float *m);
    /* one frame; shift: per channel */
    void (*event_conv)(const ot__cpu_event *e, const float *src, const float *res, float *dst, const float *shift, void *scratch);
    int64_t (*not_zero)(ot__cpu_view v, const float *src);
} ot__cpu_loops;

extern const ot__cpu_loops ot__cpu_loops_1, ot__cpu_loops_4, ot__cpu_loops_8, ot__cpu_loops_16;

typedef struct ot__cpu {
    const ot__cpu_loops *loops;
    const char          *isa;
    ot__dnnl            *dnnl;       /* NULL in a build without oneDNN */
} ot__cpu;
#define OT_LOOPS_OF(CPU, VIEW) ((VIEW).b == OT_BLOCK ? (CPU)->loops : &ot__cpu_loops_1)

/* An operation: one step, opened. */
typedef struct ot__cpu_op {
    const ot__cpu *cpu;
    ot_step        step;
    ot_plan_use    use;
    int            tile;
    ot__cpu_view   in, out;
    const char    *algorithm;
    float         *scale, *shift, *clip;     /* (out.nb * out.b) each, padding 0; clip of a RELU with codes: the estimator's edge, if lower */
    float          codes, step_size;         /* of the T-ReLU; codes 0: not quantised */
    int            scaled;                   /* `scale` is not all ones (AFFINE) */
    /* CONV, DENSE */
    ot__cpu_conv   forward, back;            /* back: gradient to the input */
    float         *weight_scale;             /* batch norm's scale of each output channel, folded into the weights */
    ot__dnnl_conv *dnnl;                     /* oneDNN does it, `chunk` images at a time; or */
    float         *gemm, *gemm_back;         /* oneDNN's sgemm does: (in, out), (out, in) with the layouts' padding */
    int            chunk;
    float         *plain;                    /* scaled weights as they came, for oneDNN */
    size_t         dnnl_scratch;
    /* AFFINE with the minibatch's statistics */
    float         *gamma, *beta, *mean, *inverse, *work;   /* work: 3 arrays */
    double        *sums;                     /* 2 arrays */
    float         *var;
    /* PAD, SLICE, RESHAPE: each unit of the output comes from `from` (in floats), or is a constant */
    int            unit;
    size_t         n_units;
    int64_t       *from;
    /* pools */
    ot__cpu_window window;
    /* SPIKE */
    ot__cpu_spike  spike;
    /* CONV of spikes */
    ot__cpu_event  event;
    ot__dnnl_conv *dnnl_image;               /* as dnnl, forward only, the T frames of an image at a time */
    int            winograd_image;
    size_t         image_scratch;
    size_t         bytes, scratch;
} ot__cpu_op;

size_t ot__cpu_channels(ot__cpu_view v);             /* with padding */

/* cpu_conv.c */
ot_status ot__cpu_conv_open(ot__cpu_op *op, const ot_plan_options *opt);
void      ot__cpu_conv_close(ot__cpu_op *op);
ot_status ot__cpu_conv_load(ot__cpu_op *op, const float *weight, const float *scale);
ot_status ot__cpu_conv_forward(ot__cpu_op *op, const float *src, const float *res, float *dst, float *scratch, int n, const ot__cpu_post *post);
ot_status ot__cpu_conv_backward(ot__cpu_op *op, const float *src, float *g, float *dsrc, float *scratch, const ot_step_back *back);
/* cpu_phase.c */
ot_status ot__cpu_conv_plan(ot__cpu_conv *forward, ot__cpu_conv *back, const ot_step *step, ot__cpu_view in, ot__cpu_view out, size_t *bytes);
void      ot__cpu_conv_free(ot__cpu_conv *c);
ot_status ot__cpu_conv_take(ot__cpu_conv *c, size_t *bytes);          /* memory for its weights */
size_t    ot__cpu_frame_bytes(const ot__cpu_conv *c);
/* cpu_move.c */
ot_status ot__cpu_move_open(ot__cpu_op *op);
void      ot__cpu_move(const ot__cpu_op *op, const float *src, float *dst, int n);
void      ot__cpu_move_back(const ot__cpu_op *op, const float *g, float *dsrc, int add, int n);
/* cpu_spike.c */
void      ot__cpu_spike_open(ot__cpu_op *op, const ot_plan_options *opt);
void      ot__cpu_spike_forward(const ot__cpu_op *op, const float *src, float *dst, const ot_step_run *run);
void      ot__cpu_spike_backward(const ot__cpu_op *op, const float *src, const float *g, float *dsrc, float *scratch, const ot_step_back *back);
/* cpu_event.c */
ot_status ot__cpu_event_open(ot__cpu_op *op);              /* op->event.weight stays NULL where it is nothing for events */
void      ot__cpu_event_load(ot__cpu_op *op, const float *weight, const float *scale);
ot_status ot__cpu_event_forward(ot__cpu_op *op, const float *src, const float *res, float *dst, float *scratch, int n, const ot__cpu_post *post);
/* cpu_norm.c */
ot_status ot__cpu_norm_open(ot__cpu_op *op);
void      ot__cpu_norm_close(ot__cpu_op *op);
void      ot__cpu_norm_statistics(ot__cpu_op *op, const float *src, int n);
void      ot__cpu_norm_backward(ot__cpu_op *op, const float *src, const float *g, float *dsrc, const ot_step_back *back);

#endif

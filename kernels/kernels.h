/* kernels.h - the one door to the CUDA kernels, in C.
 *
 * A launcher takes plain device pointers and sizes, puts its kernels into `stream` and returns 0 or a cudaError_t; an empty size is
 * nothing to do.  Nothing here waits or allocates.
 *
 * Tensors are (chip, image, y, x, channel) with the channels rounded up to a multiple of 8 (otk_channels); what is beyond the true
 * ones is 0, always.  They hold float or half (otk_type).  Chips lie `stride` elements apart; a stride of 0 is one tensor that all
 * chips share (the images).  Of a tile the first `n` images count.  Weights of a convolution are (chip, group, ky, kx, in, out), in and
 * out of a group rounded up to 8, zeros there.  What belongs to the design (bias, scale, shift) is float, one for all chips.
 *
 * Every sum has a fixed order that depends on sizes alone, never on the number of chips: a chip gets the same bits alone and among
 * thousands. */
#ifndef OT_KERNELS_KERNELS_H
#define OT_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/hd.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum otk_type { OTK_F32, OTK_F16 } otk_type;
/* How products are summed: fp32 exactly, tf32 (10-bit mantissas in, float sums), fp16 (half in, float sums). */
typedef enum otk_math { OTK_FP32, OTK_TF32, OTK_FP16 } otk_math;
typedef void *otk_stream;

OT_HD int otk_channels(int c) { return (c + 7) / 8 * 8; }

typedef struct otk_shape { int c, h, w; } otk_shape;
typedef struct otk_tensor { void *at; int64_t stride; } otk_tensor;              /* stride: elements from chip to chip */

OT_HD int64_t otk_image(otk_shape s) { return (int64_t)s.h * s.w * otk_channels(s.c); }      /* elements */

/* The T-ReLU of each chip, if `there`: chip k uses gain[k * stride] and offset[k * stride]; gain NULL: all use own_gain, own_offset. */
typedef struct otk_knobs { const float *gain, *offset; int64_t stride; float own_gain, own_offset, clip; int there; } otk_knobs;

/* What follows a step's operation, each part NULL or there:
 *     y = y * in_factor + bias;  y = y * scale + shift;  y += res * res_factor;  y = T-ReLU(y);  y = quantised(y);  stored as y * out_factor
 * The factors, powers of two, undo and make the scales of tensors in half precision; 1 elsewhere. */
typedef struct otk_after {
    const float *bias, *scale, *shift;     /* (otk_channels(c)) */
    otk_tensor   res;                      /* at NULL: nothing is added */
    otk_knobs    knobs;
    float        in_factor, res_factor, out_factor;
    float        codes, step;              /* of the quantiser behind the T-ReLU (quantise.h); codes 0: none */
} otk_after;

/* --- convolution: conv.cu (implicit GEMM), depthwise.cu; a dense layer is a 1x1 convolution of one pixel --- */
typedef struct otk_conv { otk_shape in, out; int groups, kh, kw, sh, sw, pt, pl; } otk_conv;
int64_t otk_conv_weights(const otk_conv *c);                  /* elements a chip, packed as above */
int     otk_conv_depthwise(const otk_conv *c);                /* whether depthwise.cu does it; its weights are (ky, kx, channel) */
/* Weights in ONNX order, float, into a chip's packed place (type); out of it again with back = 1. */
int otk_conv_pack(const otk_conv *c, otk_type type, float *onnx, void *packed, int back, otk_stream stream);
int otk_conv_forward(otk_math math, const otk_conv *c, int chips, int n, otk_tensor src, otk_tensor weight, otk_tensor dst,
                     const otk_after *after, otk_stream stream);
/* dsrc = factor * (conv^T g), or += with add.  With `mask`, dsrc is complete after this and goes at once through the T-ReLU that made src,
 * as otk_relu_back_run would do with it: mask->u is src, its g and dres are not used, its partial holds otk_conv_data_bytes. */
struct otk_relu_back;
int    otk_conv_data(otk_math math, const otk_conv *c, int chips, int n, otk_tensor g, otk_tensor weight, otk_tensor dsrc, float factor, int add,
                     const struct otk_relu_back *mask, otk_stream stream);
size_t otk_conv_data_bytes(const otk_conv *c, int chips, int n);
/* Gradient of the weights in ONNX order, one chip, float tensors.  `partial`: otk_conv_gradient_bytes. */
size_t otk_conv_gradient_bytes(const otk_conv *c, int n);
int    otk_conv_gradient(const otk_conv *c, int n, const float *src, const float *g, float *dweight, void *partial, otk_stream stream);

/* --- libs.cu: weights as cuDNN wants them, (group, out, ky, kx, in), padded as when packed; not for depthwise ones --- */
int otk_conv_krsc(const otk_conv *c, otk_type type, const void *packed, void *krsc, otk_stream stream);
int otk_conv_krsc_to_onnx(const otk_conv *c, const float *krsc, float *onnx, otk_stream stream);

/* --- elementwise.cu: everything that looks at one element --- */
/* dst may be src: a thread reads its eight elements, then writes them. */
int otk_pointwise(otk_type type, otk_shape s, int chips, int n, otk_tensor src, otk_tensor dst, const otk_after *after, otk_stream stream);
/* g = dL/du comes in.  Out: m = g [0 < u < clip], g = m a scale (scale NULL: 1), dres = m a (or +=; at NULL: not wanted), and the two sums
 *     sums[chip * sums_stride] += factor / a * sum m u       sums[chip * sums_stride + sums_offset] -= factor * a * sum m
 * With `top` u is found again as (x - offset) gain from the T-ReLU's input x in place of u, and nothing passes from the lower of clip and top on.
 * sums NULL: not wanted.  Without knobs m = g and a = 1.  `partial`: otk_relu_back_bytes. */
typedef struct otk_relu_back {
    otk_tensor   u, g, dres;
    otk_knobs    knobs;
    const float *scale;
    double      *sums;
    int64_t      sums_stride, sums_offset;
    double       factor;                   /* undoes the gradient's scale */
    float        u_factor, dres_factor;    /* undoes u's scale; changes g's scale to dres's */
    int          add_res;
    float        top;                      /* 0: u is u */
    void        *partial;
} otk_relu_back;
size_t otk_relu_back_bytes(otk_shape s, int chips, int n);
int    otk_relu_back_run(otk_type type, otk_shape s, int chips, int n, const otk_relu_back *b, otk_stream stream);
/* to = from * factor, or += */
int otk_add_to(otk_type type, otk_shape s, int chips, int n, otk_tensor from, otk_tensor to, float factor, int add, otk_stream stream);
/* float NCHW of one chip, contiguous, from and to a tensor. */
int otk_import(otk_type type, otk_shape s, int n, const float *nchw, void *dst, float factor, otk_stream stream);
int otk_export(otk_type type, otk_shape s, int chips, int n, otk_tensor src, float *nchw, float factor, otk_stream stream);

/* --- window.cu: pools, pad, slice, reshape --- */
typedef enum otk_window_kind { OTK_MAX_POOL, OTK_AVG_POOL, OTK_GLOBAL_AVG, OTK_PAD, OTK_SLICE, OTK_RESHAPE } otk_window_kind;
typedef struct otk_window {
    otk_window_kind kind;
    otk_shape in, out;
    int kh, kw, sh, sw, pt, pl, pb, pr, count_pad;
    int before[3];                         /* PAD: on c, h, w */
    int start[3], step[3];                 /* SLICE */
    float pad_value;
} otk_window;
int otk_window_forward(otk_type type, const otk_window *w, int chips, int n, otk_tensor src, otk_tensor dst, float factor, otk_stream stream);
int otk_window_data(otk_type type, const otk_window *w, int chips, int n, otk_tensor src, otk_tensor g, otk_tensor dsrc, float factor, int add,
                    otk_stream stream);

/* --- moments.cu: sums over a tensor, double, fixed order --- */
/* tap[chip * tap_stride + image]: mean over neurons */
int otk_tap(otk_type type, otk_shape s, int chips, int n, otk_tensor src, float *tap, int64_t tap_stride, float factor, otk_stream stream);
/* out (chip, 2): mean of all, sd within channels.  `partial`: otk_moments_bytes. */
size_t otk_moments_bytes(otk_shape s, int chips);
int    otk_moments(otk_type type, otk_shape s, int chips, int n, otk_tensor src, double *out, float factor, void *partial, otk_stream stream);
/* bits (1) = max(bits, those of the largest |x| as a float): positive floats are ordered as their bits are; NaN counts as largest */
int otk_largest(otk_type type, otk_shape s, int n, const void *src, uint32_t *bits, otk_stream stream);
/* Whether anything in (chip, n images) is infinite or NaN: flags[chip] |= 1 */
int otk_finite(otk_type type, otk_shape s, int chips, int n, otk_tensor src, int *flags, otk_stream stream);

/* --- if.cu: integrate and fire over T steps (if.h); an image's frames lie one after the other --- */
typedef enum otk_reset { OTK_RESET_SUBTRACT, OTK_RESET_FIXED, OTK_RESET_ZERO } otk_reset;
typedef struct otk_if {
    const float *gain;                     /* chip k's threshold is unit * gain[k * stride], or with `divided` unit / it; NULL: own_threshold for all */
    int64_t      stride;
    float        unit, own_threshold, leak, u_rst;       /* FIXED: u_rst may be infinite: a neuron fires once */
    otk_reset    reset;
    int          divided;
    int          steps, still;             /* T; src has one frame an image, the same current at every step */
    float        src_factor, dst_factor;   /* undoes the scale of src; a spike is stored as this */
    int          surrogate;                /* backward: as in if.h */
    float        sharpness;
} otk_if;
int otk_if_forward(otk_type type, otk_shape s, int chips, int images, otk_tensor src, otk_tensor dst, const otk_if *p, otk_stream stream);
/* Backward through time from g = dL/dS (frames of src's neurons, T an image):
 *     dsrc = scale * dL/dI, or += with add (at NULL: not wanted; scale NULL: 1)        sums[chip * sums_stride] += dL/d(gain, or own_threshold)
 * sums NULL: not wanted.  `partial`: otk_if_back_bytes. */
typedef struct otk_if_back {
    otk_tensor   g, dsrc;
    int          add;
    const float *scale;                    /* (otk_channels(c)): of the batch norm that made src */
    double      *sums;
    int64_t      sums_stride;
    void        *partial;
} otk_if_back;
size_t otk_if_back_bytes(otk_shape s, int chips, int images);
int    otk_if_back_run(otk_type type, otk_shape s, int chips, int images, otk_tensor src, const otk_if *p, const otk_if_back *b, otk_stream stream);
/* counts (chip, images) = factor * sum over the T frames of spikes (chip, images, T), each times T - t if `sooner_more`; its gradient `from`
 * (chip, images) into all T frames of `to`, times the same. */
int otk_if_count(otk_type type, otk_shape s, int chips, int images, int steps, int sooner_more, otk_tensor spikes, otk_tensor counts, float factor, otk_stream stream);
int otk_if_spread(otk_type type, otk_shape s, int chips, int images, int steps, int sooner_more, otk_tensor from, otk_tensor to, otk_stream stream);

/* --- norm.cu: batch norm with the minibatch's statistics, float, one chip --- */
/* mean, var (biased), inverse: (c) double each, written forward, read backward.  `partial`: otk_norm_bytes, 8-byte aligned. */
size_t otk_norm_bytes(otk_shape s, int n);
int otk_norm_forward(otk_shape s, int n, const float *src, float *dst, const float *gamma, const float *beta, double eps, double *mean, double *var,
                     double *inverse, void *partial, otk_stream stream);
int otk_norm_back(otk_shape s, int n, const float *src, const float *g, float *dsrc, int add, const float *gamma, const double *mean,
                  const double *inverse, float *dgamma, float *dbeta, void *partial, otk_stream stream);
/* Sums over the images and pixels of each channel: out (c).  `partial`: otk_norm_bytes. */
int otk_channel_sums(otk_shape s, int n, const float *g, float *out, void *partial, otk_stream stream);
/* out (2, c) = mean, and var as the unbiased one of `count` values */
int otk_norm_statistics(int c, int64_t count, const double *mean, const double *var, float *out, otk_stream stream);

/* --- loss.cu --- */
/* Softmax cross-entropy.  logits (chip, n images, otk_channels(classes)); label of image i: labels[rows[i]].  With `frames`, logits are so
 * many an image, n counts them all, an image's loss is their mean; bits and right are then not wanted.
 * grad (same layout, NULL: not wanted) = weight * (softmax - target);  loss (chip) += sum over images, in order;
 * right (chip) += images whose class is right;  bits (chip, bits_stride words of 32): bit first + i of its row. */
typedef struct otk_loss {
    otk_tensor     logits, grad;
    const int32_t *labels;
    const uint32_t *rows;
    float          logit_factor;
    double         weight, smoothing;
    double        *loss;                   /* NULL: not wanted */
    int64_t       *right;
    uint32_t      *bits;                   /* NULL: not wanted */
    int64_t        bits_stride, first;
    void          *partial;                /* otk_loss_bytes */
    int            frames;                 /* 0: one */
} otk_loss;
size_t otk_loss_bytes(int chips, int n);
int    otk_loss_run(otk_type type, int classes, int chips, int n, const otk_loss *l, otk_stream stream);

/* --- adam.cu --- */
/* One step of the knobs of every chip: DESIGN 4.3 (projection of gains, best knobs back at a NaN).  knob, best, grad: (chip, 2 L) double;
 * state (chip, 2 L, 2) double; sent (chip, 2 L) float: what plans read; chip_state (chip).  loss (chip), grad are cleared afterwards;
 * loss is the sum over the minibatch, `images` its size.  sgd 1: SGD with momentum, its velocity in state[..][0].  rate: that of each step
 * by its number (chip_state's steps), on the device; NULL: lr. */
typedef struct otk_adam_chip { double beta1, beta2, best_loss, last_loss; int bad_in_row, projected, nan_restores, steps; } otk_adam_chip;
typedef struct otk_adam {
    int L;
    double lr, images, grad_factor;
    double *knob, *best, *grad, *state, *loss;
    float *sent;
    otk_adam_chip *chip;
    uint32_t *step;                        /* one counter, moved on by 1 (NULL: none) */
    const double *rate;
    double momentum;
    int sgd;
} otk_adam;
int otk_adam_start(const otk_adam *a, int chips, const float *knobs, otk_stream stream);      /* knobs (chip, 2 L) */
int otk_adam_step(const otk_adam *a, int chips, otk_stream stream);

/* --- weights.cu: one step of training weights, all of it on the device --- */
/* Gradients are the mean over the shards' (shards, n), added in order.  SGD: v = momentum v + g + decay p (where decays), p -= lr v.  Adam: with
 * L2 decay in the gradient, where there are moments.  lr = rate[*step].  statistics += share (mean over shards of batch_statistics - statistics).
 * Last, losses[*step] = *loss / images, loss is cleared, the powers and the step are moved on. */
typedef struct otk_weights {
    int64_t        n, n_statistics;
    int            shards;
    float         *parameters;             /* (n) */
    const float   *grad;                   /* (shards, n) */
    const uint8_t *decays;                 /* (n): 1 where weight decay applies */
    float         *velocity;               /* SGD: (n) */
    double        *moments, *power;        /* Adam: (n, 2), and beta^t (2); NULL: SGD */
    const double  *rate;                   /* of each step */
    double         momentum, decay;
    float         *statistics;             /* (n_statistics) */
    const float   *batch_statistics;       /* (shards, n_statistics) */
    double         share, images;
    double        *loss, *losses;          /* the minibatch's sum; (steps) */
    uint32_t      *step;
} otk_weights;
int otk_weights_step(const otk_weights *w, otk_stream stream);

/* --- input.cu --- */
/* Image rows[*step * n + i] of pixels (u8, CHW each) or values (float), x * scale[c] + shift[c], into dst, one tensor for all chips.
 * step NULL: 0.  wanted (n): the row numbers taken, for otk_loss. */
int otk_input(otk_type type, otk_shape s, int n, const uint8_t *pixels, const float *values, const float *scale, const float *shift,
              const uint32_t *rows, const uint32_t *step, int64_t per_step, int64_t first, void *dst, uint32_t *wanted, float factor,
              otk_stream stream);
/* The same, each image a window of itself padded by `pad` black pixels, mirrored or not: crops, one for each of rows, are words of crop.h. */
int otk_input_crops(otk_type type, otk_shape s, int n, const uint8_t *pixels, const float *values, const float *scale, const float *shift,
                    const uint32_t *rows, const uint32_t *step, int64_t per_step, int64_t first, const uint32_t *crops, int pad, void *dst,
                    uint32_t *wanted, float factor, otk_stream stream);
/* The same as `steps` frames of spikes an image.  RATE: each 1 with probability x, drawn by (seed, row, step, number of the pixel); LATENCY: one
 * spike where x > 0, at step (1 - x) (steps - 1), rounded. */
typedef enum otk_coding { OTK_CODING_RATE, OTK_CODING_LATENCY } otk_coding;
int otk_input_spikes(otk_type type, otk_shape s, int n, otk_coding coding, int steps, uint64_t seed, const uint8_t *pixels, const float *values, const float *scale,
                     const float *shift, const uint32_t *rows, const uint32_t *step, int64_t per_step, int64_t first, void *dst, uint32_t *wanted,
                     float factor, otk_stream stream);

/* --- draw.cu: the cells of a layer on many chips (draw.h) --- */
struct ot_cell_map;
typedef struct otk_draw {
    const struct ot_cell_map *maps;        /* (chip), device */
    const uint32_t *chip;                  /* (chip) numbers, device */
    const int32_t  *q;                     /* (weights) signed magnitudes, ONNX order, device */
    uint64_t seed;
    uint32_t layer;
    int      bits;
    double   step;                         /* max|w| / (2^bits - 1) */
    uint64_t stuck_lrs, stuck_any;         /* draw.h, ot_faults */
} otk_draw;
int otk_draw_weights(int version, const otk_conv *c, otk_type type, int chips, const otk_draw *d, otk_tensor weight, otk_stream stream);

/* --- nearest.cu: which of N signatures is nearest to each query; ties to the lowest row --- */
typedef enum otk_metric { OTK_L1, OTK_L2 } otk_metric;
/* rows (N, length), queries (n_queries, length).  A distance is a float sum over the length, in order: of |r - q|, or of (r - q)^2 (fused),
 * no root taken.  nearest (n_queries), distance (n_queries; NULL: not wanted): NaN never wins; if all are NaN, or N is 0, they are -1 and
 * infinity.  `partial`: otk_nearest_bytes, 8-byte aligned. */
size_t otk_nearest_bytes(int64_t N, int queries);
int    otk_nearest(otk_metric metric, const float *rows, int64_t N, int length, const float *queries, int n_queries, int64_t *nearest,
                   float *distance, void *partial, otk_stream stream);
/* The same by version 1, 2 or 3 (L2 alone; L1: 2) of the file's ladder; 0: the one that otk_nearest takes.  All give the same bits. */
int    otk_nearest_by(int version, otk_metric metric, const float *rows, int64_t N, int length, const float *queries, int n_queries,
                      int64_t *nearest, float *distance, void *partial, otk_stream stream);

#ifdef __cplusplus
}
#endif
#endif

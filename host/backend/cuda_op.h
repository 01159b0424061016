/* cuda_op.h - what the cuda backend keeps of a step; shared by cuda_step.c and cuda_train.c. */
#ifndef OT_BACKEND_CUDA_OP_H
#define OT_BACKEND_CUDA_OP_H

#include "backend/cuda.h"

#ifdef OT_HAVE_CUDA

struct ot__cuda_op {
    ot_step    step;
    ot_ste     ste;                        /* of a quantised T-ReLU */
    int        chips, crossbar;
    int64_t    src_stride, res_stride, dst_stride, weight_stride;
    size_t     weights, tap_bytes;         /* ONNX weights; bytes of taps at the head of scratch */
    otk_conv   conv;
    otk_window window;
    otk_if     neuron;                     /* SPIKE; its threshold comes with each call */
    otk_draw   draw;
    char      *block;
    /* in the block */
    void      *weight;                     /* (chips, packed) */
    float     *onnx;                       /* (weights) on their way */
    int32_t   *q;                          /* (weights) signed magnitudes, plans of several chips */
    float     *bias, *scale, *shift;       /* (channels, padded) */
    double    *mean, *var, *inverse;       /* batch */
    double    *sums;                       /* (2) gain, offset */
    float     *grad;                       /* training: (weights), then (2, channels) */
    int        has_bias;
    float      src_scale, res_scale, dst_scale;      /* tensors hold values times these */
    int64_t    count;                      /* batch: values a channel of the last forward */
    int        tile;
    ot__cuda_way way[OT_PASSES];           /* who does a convolution's passes */
    size_t     lib_bytes;                  /* of scratch, for a library */
    char       algorithm[128];
};

/* Waits for the device. */
static inline ot_status ot__cuda_to_host(ot__cuda *c, void *dst, const void *src, size_t bytes)
{
    OT_CUDA(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToHost, c->stream));
    OT_CUDA(cudaStreamSynchronize(c->stream));
    return OT_OK;
}

/* cuda_train.c: gradients of a step's parameters, to where `back` wants them. */
ot_status ot__cuda_conv_gradients(ot__cuda *c, ot__cuda_op *op, const void *src, void *g, void *scratch, const ot_step_back *back);
ot_status ot__cuda_bias_gradient(ot__cuda *c, ot__cuda_op *op, const void *g, void *scratch, const ot_step_back *back); /* of a bias layer, to grad_beta */
ot_status ot__cuda_norm_back(ot__cuda *c, ot__cuda_op *op, const void *src, void *g, void *dsrc, void *scratch, const ot_step_back *back);

#endif
#endif

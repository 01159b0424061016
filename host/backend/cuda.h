/* cuda.h - what the files of the cuda backend share.  They are C: the CUDA runtime's interface and kernels.h, no kernels.
 *
 * A context is one device and one stream; everything is put into that stream and done in order.  Tensors are kernels.h's.  "cuda" holds
 * floats and sums exactly, "cuda:tf32" holds floats and multiplies on tensor cores, "cuda:fp16" holds halves.  Gradients of fp16 are
 * kept OT_CUDA_GRADIENT times too large, so that small ones do not vanish.
 *
 * With "+libs" ("cuda:fp16+libs") convolutions may be done by cuBLAS and cuDNN where that is measured to be faster when a plan is opened;
 * "+libs=TEXT" takes the choices from a text (cuda_lib.h) and measures nothing. */
#ifndef OT_BACKEND_CUDA_H
#define OT_BACKEND_CUDA_H

#ifdef OT_HAVE_CUDA

#include "backend/backend.h"
#include "backend/cuda_lib.h"
#include "base/fail.h"
#include "kernels/kernels.h"

#include <cuda_runtime_api.h>

#define OT_CUDA_GRADIENT 2048.0f

typedef struct ot__cuda {
    otk_math     math;
    otk_type     type;
    cudaStream_t stream;
    char         name[128];
    int          major, minor;
    void        *stage, *small;            /* grown where needed: floats on their way in and out; partial sums */
    size_t       stage_bytes, small_bytes;
    ot__cuda_lib *lib;                     /* "+libs", else NULL */
    ot__cuda_choices choices;
} ot__cuda;

/* Also says what to do about errors that users can do something about. */
ot_status ot__cuda_fail(int error, const char *call, const char *file, int line);
#define OT_CUDA(CALL)                                                                       \
    do {                                                                                    \
        int e_ = (int)(CALL);                                                               \
        if (e_) return ot__cuda_fail(e_, #CALL, __FILE__, __LINE__);                        \
    } while (0)

static inline size_t ot__cuda_size(const ot__cuda *c) { return c->type == OTK_F16 ? 2 : 4; }
static inline otk_shape ot__cuda_shape(ot_shape s) { return (otk_shape){s.c, s.h, s.w}; }
/* Elements from chip to chip of a tensor in a plan. */
int64_t   ot__cuda_stride(const ot__cuda *c, ot_shape s, int tile);
ot_status ot__cuda_grow(void **p, size_t *have, size_t want);

/* cuda_step.c */
typedef struct ot__cuda_op ot__cuda_op;
ot_status   ot__cuda_step_open(void *ctx, void **op, const ot_step *step, int tile, const ot_plan_options *opt, size_t *op_bytes, size_t *scratch_bytes);
void        ot__cuda_step_close(void *ctx, void *op);
const char *ot__cuda_step_algorithm(void *op);
ot_status   ot__cuda_step_load(void *ctx, void *op, const float *weight, const float *bias, const float *scale, const float *shift);
ot_status   ot__cuda_forward(void *ctx, void *op, const void *src, const void *res, void *dst, void *scratch, const ot_step_run *run);
ot_status   ot__cuda_backward(void *ctx, void *op, const void *src, const void *dst, void *g, void *dsrc, void *dres, void *scratch, const ot_step_back *back);
ot_status   ot__cuda_batch_statistics(void *ctx, void *op, float *mean, float *var);
ot_status   ot__cuda_design(void *ctx, void *op, const int32_t *q, double step, const ot_variation *var, uint32_t layer);
ot_status   ot__cuda_draw(void *ctx, void *op, int chips, const struct ot_cell_map *maps, const uint32_t *numbers);
int         ot__cuda_masks(void *ctx, void *op);
void        ot__cuda_scale(void *ctx, void *op, float src, float res, float dst);
ot_status   ot__cuda_weights(void *ctx, void *op, int k, float *onnx);
/* cuda_many.c */
extern const ot_many_i ot__cuda_many;
/* cuda_train.c */
extern const ot_resident_i ot__cuda_resident;

#endif
#endif

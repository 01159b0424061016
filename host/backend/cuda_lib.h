/* cuda_lib.h - convolutions by cuBLAS and cuDNN, for the cuda backend; and which of them or of our own kernels does a step.
 *
 * The libraries are loaded when first asked for and never linked: libcublas.so.13, .12 or .11 and libcudnn.so.9 or .8, from the folder
 * $OHMTRIM_CUDA_LIBS or where the system finds them.  Only algorithms whose sums have a fixed order are used.  Tensors and weights are
 * kernels.h's.
 *
 *     cublas    1 x 1 convolutions of stride 1 and dense layers
 *     cudnn     any convolution but depthwise ones whose padding is as wide on both sides
 *
 * A library picks its kernels by sizes.  To keep an image's and a chip's result its own, the backend always gives it whole tiles, one chip
 * after the other. */
#ifndef OT_BACKEND_CUDA_LIB_H
#define OT_BACKEND_CUDA_LIB_H

#include "kernels/kernels.h"
#include "ohmtrim/base.h"

typedef enum ot__cuda_way { OT_WAY_OWN, OT_WAY_CUBLAS, OT_WAY_CUDNN, OT_WAY_LIBS } ot__cuda_way;      /* LIBS: the library that can, else own */
typedef enum ot__cuda_pass { OT_PASS_FORWARD, OT_PASS_DATA, OT_PASS_GRADIENT, OT_PASSES } ot__cuda_pass;

typedef struct ot__cuda_lib ot__cuda_lib;

/* OT_E_BACKEND: a library or a call in it is not there, and the sentence says which and what to do.  `stream`: a cudaStream_t; all work
 * goes there. */
ot_status ot__cuda_lib_open(ot__cuda_lib **out, otk_math math, otk_stream stream);
void      ot__cuda_lib_close(ot__cuda_lib *lib);
void      ot__cuda_lib_detail(const ot__cuda_lib *lib, char *text, size_t n);        /* "cuBLAS 13.0.2, cuDNN 9.19.0" */

/* Whether a way can do it, by geometry alone; LIBS resolved. */
int          ot__cuda_lib_can(ot__cuda_way way, ot__cuda_pass pass, const otk_conv *c);
ot__cuda_way ot__cuda_lib_resolve(ot__cuda_way way, ot__cuda_pass pass, const otk_conv *c);

/* As otk_conv_forward, otk_conv_data and otk_conv_gradient, with a workspace of ot__cuda_lib_workspace_bytes.  OT_E_UNSUPPORTED: the
 * library does not do this one; OT_E_LIBRARY and OT_E_MEMORY_PLAN with its own words. */
ot_status ot__cuda_lib_workspace_bytes(ot__cuda_lib *lib, ot__cuda_way way, ot__cuda_pass pass, const otk_conv *c, int n, size_t *bytes);
ot_status ot__cuda_lib_forward(ot__cuda_lib *lib, ot__cuda_way way, const otk_conv *c, int chips, int n, otk_tensor src, otk_tensor weight,
                               otk_tensor dst, const otk_after *after, void *workspace, size_t bytes);
ot_status ot__cuda_lib_data(ot__cuda_lib *lib, ot__cuda_way way, const otk_conv *c, int chips, int n, otk_tensor g, otk_tensor weight,
                            otk_tensor dsrc, float factor, int add, void *workspace, size_t bytes);
ot_status ot__cuda_lib_gradient(ot__cuda_lib *lib, const otk_conv *c, int n, const float *src, const float *g, float *dweight, void *workspace,
                                size_t bytes);

/* --- cuda_choose.c --- */

/* Who does each pass of the crossbar layers, measured or read from a text such as
 *
 *     0:own,own;1:cudnn,own;2:cublas,cublas;*:libs,own,own
 *
 * number of the crossbar layer, then the ways forward, to the data and to the weights (own where left out); `*` is for all that are not
 * named.  A measured choice holds for its layer's geometry, whatever the chips and tile of plans opened later. */
typedef struct ot__cuda_choice { int layer; ot__cuda_way way[OT_PASSES]; int measured; otk_conv conv; } ot__cuda_choice;      /* measured: a bit a pass; layer -1: `*` */
typedef struct ot__cuda_choices { ot__cuda_choice *list; int n, fixed; } ot__cuda_choices;      /* fixed: nothing is measured */

ot_status ot__cuda_choices_read(ot__cuda_choices *out, const char *text);
ot_status ot__cuda_choices_write(const ot__cuda_choices *c, char *text, size_t n);              /* OT_E_RANGE: n is too small */
void      ot__cuda_choices_free(ot__cuda_choices *c);

/* What is to be chosen for: a step, how many chips and images, where its weights lie, what follows it. */
typedef struct ot__cuda_question {
    int              layer;
    const char      *name;
    const otk_conv  *conv;
    int              chips, tile, data, gradient;         /* data, gradient: whether these passes will run */
    int64_t          src_stride, dst_stride;
    otk_tensor       weight;
    const otk_after *after;
} ot__cuda_question;

/* What was chosen or read for the layer; else both are timed (cudaEvent, medians of OT_CHOOSE_REPEATS, taking turns) and a library is taken
 * where it takes less than OT_CHOOSE_FACTOR of our time.  With no memory to measure in, and where a library does not do it: own. */
enum { OT_CHOOSE_REPEATS = 5 };
#define OT_CHOOSE_FACTOR 0.9f
ot_status ot__cuda_choose(ot__cuda_choices *choices, ot__cuda_lib *lib, otk_math math, otk_stream stream, const ot__cuda_question *q,
                          ot__cuda_way way[OT_PASSES]);

#endif

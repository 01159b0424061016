/* dnnl.h - the few things the cpu backend asks of oneDNN, behind one header: its C interfaces of version 2 and 3 differ.
 *
 * A convolution works on `n` images of fp32 in the layout of cpu.h (nhwc up to 4 channels, nChw16c above); weights come as
 * (out, in, kh, kw).  All memory is taken in open; passes use the caller's scratch.  oneDNN is held to the calling thread:
 * its OpenMP runs one thread inside these calls, so results depend on the shape alone and threads of ours do not disturb each other. */
#ifndef OT_BACKEND_DNNL_H
#define OT_BACKEND_DNNL_H

#include "ohmtrim/base.h"

typedef struct ot__dnnl ot__dnnl;              /* engine and stream: one a backend context */
typedef struct ot__dnnl_conv ot__dnnl_conv;

typedef struct ot__dnnl_shape { int n, ic, ih, iw, oc, oh, ow, kh, kw, sh, sw, pt, pl, pb, pr; } ot__dnnl_shape;

ot_status ot__dnnl_open(ot__dnnl **out);
void      ot__dnnl_close(ot__dnnl *lib);
void      ot__dnnl_detail(char *text, size_t n);          /* "oneDNN 2.6.3 avx512_core" */

/* Winograd or direct; `back`: with the gradient to the input.  OT_E_UNSUPPORTED if oneDNN does not do this shape that way here. */
ot_status ot__dnnl_conv_open(ot__dnnl_conv **out, ot__dnnl *lib, const ot__dnnl_shape *s, int winograd, int back, size_t *bytes, size_t *scratch);
void      ot__dnnl_conv_close(ot__dnnl_conv *c);
ot_status ot__dnnl_conv_load(ot__dnnl_conv *c, const float *weight);
ot_status ot__dnnl_conv_forward(ot__dnnl_conv *c, const float *src, float *dst, void *scratch);
ot_status ot__dnnl_conv_data(ot__dnnl_conv *c, const float *g, float *dsrc, void *scratch);

/* c (m, n) = a (m, k) b (k, n), row-major without gaps */
ot_status ot__dnnl_sgemm(int m, int n, int k, const float *a, const float *b, float *c);

#endif

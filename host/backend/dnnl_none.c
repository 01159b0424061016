/* dnnl_none.c - dnnl.h in a build without oneDNN: nothing opens, and the cpu backend's own loops do all the work. */
#ifndef OT_HAVE_DNNL
#include "backend/dnnl.h"
#include "base/fail.h"

#include <stdio.h>

ot_status ot__dnnl_open(ot__dnnl **out)
{
    *out = NULL;
    return OT_OK;
}

void ot__dnnl_close(ot__dnnl *lib) { (void)lib; }
void ot__dnnl_detail(char *text, size_t n) { snprintf(text, n, "no oneDNN in this build: no Winograd, slower"); }

ot_status ot__dnnl_conv_open(ot__dnnl_conv **out, ot__dnnl *lib, const ot__dnnl_shape *s, int winograd, int back, size_t *bytes, size_t *scratch)
{
    (void)out, (void)lib, (void)s, (void)winograd, (void)back, (void)bytes, (void)scratch;
    OT_FAIL(OT_E_BACKEND, "oneDNN is not in this build");
}

void ot__dnnl_conv_close(ot__dnnl_conv *c) { (void)c; }

ot_status ot__dnnl_conv_load(ot__dnnl_conv *c, const float *weight)
{
    (void)c, (void)weight;
    OT_FAIL(OT_E_BUG, "oneDNN is not in this build");
}

ot_status ot__dnnl_conv_forward(ot__dnnl_conv *c, const float *src, float *dst, void *scratch)
{
    (void)c, (void)src, (void)dst, (void)scratch;
    OT_FAIL(OT_E_BUG, "oneDNN is not in this build");
}

ot_status ot__dnnl_conv_data(ot__dnnl_conv *c, const float *g, float *dsrc, void *scratch)
{
    (void)c, (void)g, (void)dsrc, (void)scratch;
    OT_FAIL(OT_E_BUG, "oneDNN is not in this build");
}

ot_status ot__dnnl_sgemm(int m, int n, int k, const float *a, const float *b, float *c)
{
    (void)m, (void)n, (void)k, (void)a, (void)b, (void)c;
    OT_FAIL(OT_E_BUG, "oneDNN is not in this build");
}
#else
typedef int ot__dnnl_none_is_for_builds_without;      /* an empty file is not C */
#endif

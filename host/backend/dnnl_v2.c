/* dnnl_v2.c - dnnl_half.h on oneDNN's C interface of version 2 (Debian 12: 2.6.3): descriptors are plain structs. */
#ifdef OT_HAVE_DNNL
#include "backend/dnnl_half.h"
#endif
#if defined OT_HAVE_DNNL && DNNL_VERSION_MAJOR == 2

#define TRY(CALL)                                     \
    do {                                              \
        dnnl_status_t s_ = (CALL);                    \
        if (s_ != dnnl_success) return s_;            \
    } while (0)

dnnl_status_t ot__dnnl_host_weights(dnnl_memory_t *out, dnnl_engine_t engine, const ot__dnnl_shape *s)
{
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {s->oc, s->ic, s->kh, s->kw};
    TRY(dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, dnnl_oihw));
    return dnnl_memory_create(out, &md, engine, DNNL_MEMORY_NONE);
}

static dnnl_status_t images(dnnl_memory_desc_t *md, int n, int c, int h, int w)
{
    dnnl_dims_t dims = {n, c, h, w};
    return dnnl_memory_desc_init_by_tag(md, 4, dims, dnnl_f32, c <= 4 ? dnnl_nhwc : dnnl_nChw16c);
}

dnnl_status_t ot__dnnl_describe(dnnl_primitive_desc_t *forward, dnnl_primitive_desc_t *data, dnnl_engine_t engine, const ot__dnnl_shape *s, int winograd,
                                dnnl_primitive_attr_t attr)
{
    dnnl_memory_desc_t src, dst, weight;
    dnnl_dims_t dims = {s->oc, s->ic, s->kh, s->kw}, strides = {s->sh, s->sw}, before = {s->pt, s->pl}, after = {s->pb, s->pr};
    dnnl_alg_kind_t how = winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    dnnl_convolution_desc_t d;
    TRY(images(&src, s->n, s->ic, s->ih, s->iw));
    TRY(images(&dst, s->n, s->oc, s->oh, s->ow));
    TRY(dnnl_memory_desc_init_by_tag(&weight, 4, dims, dnnl_f32, dnnl_format_tag_any));
    TRY(dnnl_convolution_forward_desc_init(&d, dnnl_forward_training, how, &src, &weight, NULL, &dst, strides, before, after));
    TRY(dnnl_primitive_desc_create(forward, &d, attr, engine, NULL));
    if (!data) return dnnl_success;
    dnnl_status_t st = dnnl_convolution_backward_data_desc_init(&d, how, &src, &weight, &dst, strides, before, after);
    if (st == dnnl_success) st = dnnl_primitive_desc_create(data, &d, attr, engine, *forward);
    if (st != dnnl_success) dnnl_primitive_desc_destroy(*forward);
    return st;
}
#else
typedef int ot__dnnl_v2_is_for_version_2;      /* an empty file is not C */
#endif
